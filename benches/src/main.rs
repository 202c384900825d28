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
use vipd_benches::{checking, inside, installing, parsing, takeover};

/// Where `packaging/build` leaves it.
const SHIPPED: &str = "target/x86_64-unknown-linux-gnu/shipped/vipd";

/// What can be measured. The last three need a kernel with IPVS, and the first one comes first: see
/// [`parsing::measure`].
const PARTS: [&str; 7] =
    ["parse", "takeover", "together", "spread", "install", "checks", "adverts"];
const USUAL: [&str; 3] = ["takeover", "together", "spread"];
const OF_IPVS: [&str; 3] = ["install", "checks", "adverts"];
/// User-mode Linux is ended after this long.
const INSIDE_WITHIN: Duration = Duration::from_secs(1500);

const EXAMPLES: &str = "\
Examples:
  cargo build --release && packaging/build && sudo target/release/versus-keepalived
      Virtual routers, in about eight minutes, of the static program, which is what is shipped. Nothing
      else should run on the machine.
  sudo target/release/versus-keepalived --short
      The same in less than two, with intervals of 100 ms and less to go by.
  sudo target/release/versus-keepalived --short --only spread --vipd target/release/vipd
      A part of it, of the program with shared libraries.
  sudo target/release/versus-keepalived --only parse --only install --only checks --only adverts
      What many real servers take, in about fifteen minutes.

Exit status:
  0  vipd reaches everything that it must
  1  something is not reached
  2  this machine lacks something, or a daemon did not do what is measured

It needs root, iproute2 and keepalived; where the kernel has no IPVS, user-mode Linux. Nothing
outside of its own namespaces is touched.";

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
    /// What is measured: takeover, together and spread, if none is named; and of many real servers
    /// parse, and on a kernel with IPVS install, checks and adverts. May be repeated.
    #[arg(long = "only", value_name = "WHAT", value_parser = PARTS)]
    only: Vec<String>,
    /// Print rows for the program that runs this one on a kernel with IPVS.
    #[arg(long, hide = true)]
    inside: bool,
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
        Ok((rows, _)) if arguments.inside => {
            println!("{}", serde_json::json!(rows));
            ExitCode::SUCCESS
        }
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
    let wanted = |what: &str| match arguments.only.is_empty() {
        true => USUAL.contains(&what),
        false => arguments.only.iter().any(|one| one == what),
    };
    // How often, between which adverts, and for how long a crowd is watched.
    let (runs, interval, watch) = match arguments.short {
        true => (10, Duration::from_millis(100), Duration::from_secs(5)),
        false => (10, Duration::from_secs(1), Duration::from_secs(30)),
    };
    let mut rows = Vec::new();
    if wanted("parse") {
        eprintln!("80,000 real servers read, {runs} times each");
        let folder = Folder::new()?;
        rows.extend(figures::of_parsing(&parsing::measure(daemons, &folder.0, runs)?));
    }
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
    let of_ipvs: Vec<_> = OF_IPVS.into_iter().filter(|part| wanted(part)).collect();
    if !of_ipvs.is_empty() && !arguments.inside && inside::is_needed() {
        eprintln!("in a user-mode Linux: this kernel has no IPVS");
        let only = of_ipvs.iter().map(|part| format!("--only={part}"));
        let [vipd, keepalived] = daemons.each_ref().map(|one| one.program().display().to_string());
        let more = [format!("--vipd={vipd}"), format!("--keepalived={keepalived}")];
        let short = arguments.short.then(|| "--short".to_string());
        let words: Vec<_> = only.chain(more).chain(short).collect();
        rows.extend(inside::run(&words, INSIDE_WITHIN)?);
        if wanted("adverts") {
            eprintln!("vipd: adverts beside them on this kernel, where no table takes them");
            let (_, _, watch) = watched(arguments.short);
            let vipd = checking::beside(&daemons[0], watch)?;
            rows.extend(figures::of_adverts(&vipd, None, "the same without IPVS, on this kernel"));
        }
    } else {
        rows.extend(measure_directors(&of_ipvs, daemons, arguments.short)?);
    }
    Ok(rows)
}

/// How often, how long checks alone are watched, and how long adverts beside them: longer than the
/// minute in which every service is read.
const fn watched(short: bool) -> (usize, Duration, Duration) {
    match short {
        true => (3, Duration::from_secs(12), Duration::from_secs(20)),
        false => (7, Duration::from_secs(30), Duration::from_secs(90)),
    }
}

/// What needs a kernel with IPVS.
fn measure_directors(
    parts: &[&str],
    daemons: &[Daemon; 2],
    short: bool,
) -> Result<Vec<Figure>, String> {
    let (runs, alone, beside) = watched(short);
    let mut rows = Vec::new();
    for part in parts {
        rows.extend(match *part {
            "install" => figures::of_installing(&each(daemons, |daemon| {
                eprintln!("{daemon}: 1,000 virtual servers installed, {runs} times");
                installing::measure(daemon, runs)
            })?),
            "checks" => figures::of_checks(&each(daemons, |daemon| {
                eprintln!("{daemon}: 10,000 checks");
                checking::cost(daemon, alone)
            })?),
            _ => {
                let [vipd, keepalived] = each(daemons, |daemon| {
                    eprintln!("{daemon}: adverts beside 80,000 real servers and 10,000 checks");
                    checking::beside(daemon, beside)
                })?;
                let where_ = "80,000 real servers, 10,000 checks";
                figures::of_adverts(&vipd, Some(&keepalived), where_)
            }
        });
    }
    Ok(rows)
}

/// A folder of ours.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, String> {
        let folder = std::env::temp_dir().join(format!("versus-{}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
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
