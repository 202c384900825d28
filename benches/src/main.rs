//! `versus-keepalived`: measures vipd and keepalived in one run, and says what they have to do
//! with each other.
//!
//! Arguments and exit status only; what is measured is in [`vipd_benches`].

#![forbid(unsafe_code)]

use std::fs::File;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use vipd_benches::crowd::{self, Phases};
use vipd_benches::figures::{self, Figure};
use vipd_benches::running::Daemon;
use vipd_benches::takeover;

/// Where `packaging/build` leaves it.
const SHIPPED: &str = "target/x86_64-unknown-linux-gnu/shipped/vipd";

const EXAMPLES: &str = "\
Examples:
  cargo build --release && packaging/build && sudo target/release/versus-keepalived
      Everything, in about eight minutes, of the static program, which is what is shipped. Nothing
      else should run on the machine.
  sudo target/release/versus-keepalived --short
      The same in less than two, with intervals of 100 ms and less to go by.
  sudo target/release/versus-keepalived --short --only spread --vipd target/release/vipd
      A part of it, of the program with shared libraries.

Exit status:
  0  vipd reaches everything that it must
  1  something is not reached
  2  this machine lacks something, or a daemon did not do what is measured

It needs root, iproute2 and keepalived. Nothing outside of its own namespaces is touched.";

/// Measures vipd beside keepalived.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Arguments {
    /// Fewer and shorter measurements.
    #[arg(long)]
    short: bool,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Only what is named: takeover, together, spread. May be repeated.
    #[arg(long = "only", value_name = "WHAT", value_parser = ["takeover", "together", "spread"])]
    only: Vec<String>,
    /// The program vipd that is measured.
    #[arg(long, value_name = "PATH", default_value = SHIPPED)]
    vipd: PathBuf,
    /// The program keepalived, instead of the one that is installed.
    #[arg(long, value_name = "PATH", default_value = "/usr/sbin/keepalived")]
    keepalived: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match daemons(&arguments).and_then(|daemons| Ok((measure(&arguments, &daemons)?, daemons))) {
        Ok((rows, daemons)) => {
            let [vipd, keepalived] = daemons.map(|daemon| daemon.program().display().to_string());
            if arguments.json {
                let mut report = figures::json(&rows);
                report["vipd"] = vipd.into();
                report["keepalived"] = keepalived.into();
                println!("{report:#}");
            } else {
                println!("vipd is {vipd}\nkeepalived is {keepalived}\n");
                print!("{}", figures::table(&rows));
            }
            ExitCode::from(u8::from(!figures::reached(&rows)))
        }
        Err(reason) => {
            eprintln!("error: {reason}");
            ExitCode::from(2)
        }
    }
}

fn measure(arguments: &Arguments, daemons: &[Daemon; 2]) -> Result<Vec<Figure>, String> {
    let wanted =
        |what: &str| arguments.only.is_empty() || arguments.only.iter().any(|one| one == what);
    // How often, between which adverts, and for how long a crowd is watched.
    let (runs, interval, watch) = match arguments.short {
        true => (10, Duration::from_millis(100), Duration::from_secs(5)),
        false => (10, Duration::from_secs(1), Duration::from_secs(30)),
    };
    let mut rows = Vec::new();
    if wanted("takeover") {
        let found = each(daemons, |daemon| {
            eprintln!("{daemon}: {} takeovers", 2 * runs);
            takeover::measure(daemon, runs, interval)
        })?;
        rows.extend(figures::of_takeovers(&found));
    }
    for (phases, name) in [(Phases::Together, "together"), (Phases::Spread, "spread")] {
        if wanted(name) {
            let found = each(daemons, |daemon| {
                eprintln!("{daemon}: 255 virtual routers, adverts {name}");
                crowd::measure(daemon, phases, watch)
            })?;
            rows.extend(figures::of_crowds(&found, &format!("255 {name}")));
        }
    }
    Ok(rows)
}

fn daemons(arguments: &Arguments) -> Result<[Daemon; 2], String> {
    // Whole, for whoever reads what was measured.
    let vipd = arguments.vipd.canonicalize().map_err(|error| {
        let path = arguments.vipd.display();
        format!("{path}: {error}: build it with `packaging/build`, or name a vipd with --vipd PATH")
    })?;
    if !arguments.keepalived.is_file() {
        return Err("keepalived is not installed (Debian package keepalived)".to_string());
    }
    // Of a file that was just built, and is not on its disk yet, Linux maps more than of one that is.
    let written = File::open(&vipd).and_then(|file| file.sync_all());
    written.map_err(|error| format!("{}: {error}", vipd.display()))?;
    Ok([Daemon::Vipd(vipd), Daemon::Keepalived(arguments.keepalived.clone())])
}

fn each<T>(
    daemons: &[Daemon; 2],
    measure: impl Fn(&Daemon) -> Result<T, String>,
) -> Result<[T; 2], String> {
    let [vipd, keepalived] = daemons;
    Ok([measure(vipd)?, measure(keepalived)?])
}
