//! `vipd`: keeps virtual addresses on one of several machines (VRRP).
//!
//! Arguments and exit status only; what it does is in [`vipd::startup`] and [`vipd_config::show`].

#![forbid(unsafe_code)]

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use serde_json::Value;
use tracing::Level;
use vipd::control::{self, DEFAULT_PATH};
use vipd::driver::Ended;
use vipd::events;
use vipd::journal::{SEGMENT_OCTETS, Wanted};
use vipd::keepalived;
use vipd::log::Log;
use vipd::orders;
use vipd::reload::Source;
use vipd::scripts;
use vipd::startup::{self, Failure, Run};
use vipd_config::diagnostics::Colour;
use vipd_config::show::{Form, Shown, check, check_also, profile, show};
use vipd_config::streams::{Results, Talk};
use vipd_config::{Options, Scope};
use vipd_engine::{Order, Profile};

const EXAMPLES: &str = "\
Examples:
  vipd run -f /etc/keepalived/keepalived.conf
      Take part in VRRP until SIGTERM. SIGHUP reads the file anew.
  vipd status
      Who is master here, since when and why.
  vipd check /etc/keepalived/keepalived.conf
      Whether the file can be used, and what is to be said of it.

Diagnostics go to standard error, in colour on a terminal unless NO_COLOR is set.";

const RUN_EXAMPLES: &str = "\
Examples:
  vipd run -f /etc/keepalived/keepalived.conf
      In the foreground, log on standard error.
  vipd run -f director-1.conf --log trace
      Every packet, one line each.
  vipd run -f director-1.conf --journal /var/log/vipd
      Everything that it is told, so that vipsim replay shows an incident again.

Signals:
  TERM, INT  resign, give the addresses back, end
  HUP        read the file anew; one that cannot be used changes nothing

Exit status:
  0  it was told to stop, and everything was given back
  1  it could not start, or not give everything back
  2  the file or the arguments cannot be used

It needs the capabilities NET_ADMIN and NET_RAW, and drops all others.";

const STATUS_EXAMPLES: &str = "\
Examples:
  vipd status
      A few lines per virtual router.
  vipd status --json | jq -r '.instances[] | select(.state == \"master\") | .name'
      The names of those that are master here.

Exit status:
  0  it answered
  1  nobody answers on the control socket";

const RELOAD_EXAMPLES: &str = "\
Examples:
  vipd reload
      As SIGHUP, and the answer says what came of it.

Exit status:
  0  the file is in force
  1  nobody answers on the control socket
  2  the file cannot be used; nothing was changed";

const EVENTS_EXAMPLES: &str = "\
Examples:
  vipd events
      The last 128 things that happened, then each as it happens, until Ctrl-C. The time is that
      of the boot clock, as in dmesg.
  vipd events --json
      One object a line, for programs.

Exit status:
  0  vipd ended
  1  nobody answers on the control socket, or too many follow already";

const YIELD_EXAMPLES: &str = "\
Examples:
  vipd yield VI_1
      Before this machine is worked on: it resigns, its peer takes over at once.

It leaves a lower master alone until `vipd resume`. If there is no master any more it takes over
again, and what was ordered is over.

Exit status:
  0  it obeys
  1  nobody answers on the control socket
  2  there is no such instance";

const HOLD_EXAMPLES: &str = "\
Examples:
  vipd hold VI_1
      As yield, and it stays out even if nobody else is master: then nobody has the addresses.

Exit status:
  0  it obeys
  1  nobody answers on the control socket
  2  there is no such instance";

const RESUME_EXAMPLES: &str = "\
Examples:
  vipd resume VI_1
      The election decides again: it preempts a lower master as its file says.

Exit status:
  0  it obeys
  1  nobody answers on the control socket
  2  there is no such instance";

const DRAIN_EXAMPLES: &str = "\
Examples:
  vipd drain 10.1.0.1
      Before that machine is worked on: no new connections for any service on it.
  vipd drain 10.1.0.1:80 --of \"TCP 192.0.2.9:80\"
      Of one virtual server alone.

It stays in the table with weight 0, and the quorum is counted without it. It holds over reloads,
until `vipd undrain`; a restart forgets it.

Exit status:
  0  it obeys
  1  nobody answers on the control socket
  2  there is no such real server";

const UNDRAIN_EXAMPLES: &str = "\
Examples:
  vipd undrain 10.1.0.1
      Its weight is that of its file, its checks or `vipd weight` again.

Exit status:
  0  it obeys
  1  nobody answers on the control socket
  2  there is no such real server";

const WEIGHT_EXAMPLES: &str = "\
Examples:
  vipd weight 50 10.1.0.1:80
      While it is up it has weight 50, whatever its file and its checks say.
  vipd weight - 10.1.0.1:80
      No such order any more.

Exit status:
  0  it obeys
  1  nobody answers on the control socket
  2  there is no such real server, or the weight is too great";

const CHECK_EXAMPLES: &str = "\
Examples:
  vipd check /etc/keepalived/keepalived.conf
      Every mistake in it, and in what it includes, in one go.
  vipd check director-1.conf director-2.conf
      Several files, each by itself; the worst decides.
  vipd check --host /etc/keepalived/keepalived.conf
      Also what on this machine would break it: interfaces, packet filters, settings of the
      kernel, and masters that are there already, for which it listens some seconds.
  vipd check --host --listen 0 -P director-1.conf
      The same without listening, and without virtual servers.

--host changes and sends nothing. What it may not look at it says: root sees everything.

Exit status:
  0  nothing to remark but notes
  1  usable, with warnings
  2  unusable (with --host: on this machine), or there is no such file";

const CONFIG_EXAMPLES: &str = "\
Examples:
  vipd config /etc/keepalived/keepalived.conf
      A line per value that would be in force, and behind # where it comes from.
  vipd config keepalived.conf --json | jq '.vrrp_instance[].priority'
      The same for programs.

Exit status:
  0  nothing to remark but notes
  1  usable, with warnings
  2  unusable, or there is no such file";

/// Keeps virtual addresses on one of several machines (VRRP), as keepalived does.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Take part in VRRP, in the foreground, until told to stop.
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunArguments),
    /// Print how a running vipd is.
    #[command(after_help = STATUS_EXAMPLES)]
    Status(StatusArguments),
    /// Follow what happens in a running vipd.
    #[command(after_help = EVENTS_EXAMPLES)]
    Events(StatusArguments),
    /// Let a running vipd read its file anew.
    #[command(after_help = RELOAD_EXAMPLES)]
    Reload(Reaching),
    /// Let a virtual router give up, until it is needed or resumed.
    #[command(after_help = YIELD_EXAMPLES)]
    Yield(Ordering),
    /// Keep a virtual router from being master, until it is resumed.
    #[command(after_help = HOLD_EXAMPLES)]
    Hold(Ordering),
    /// End `yield` and `hold`.
    #[command(after_help = RESUME_EXAMPLES)]
    Resume(Ordering),
    /// Give a real server no new connections; those that it has may end.
    #[command(after_help = DRAIN_EXAMPLES)]
    Drain(ServerOrdering),
    /// End `drain`.
    #[command(after_help = UNDRAIN_EXAMPLES)]
    Undrain(ServerOrdering),
    /// Give a real server another weight than its file and its checks say.
    #[command(after_help = WEIGHT_EXAMPLES)]
    Weight(WeightOrdering),
    /// Read files and say all that is to be said of them.
    #[command(after_help = CHECK_EXAMPLES)]
    Check(CheckArguments),
    /// Print what a file means: every value, its default and its origin.
    #[command(after_help = CONFIG_EXAMPLES)]
    Config(ConfigArguments),
    /// Runs scripts for another vipd, which starts this.
    #[command(name = scripts::COMMAND, hide = true)]
    ScriptHelper(HelperArguments),
}

#[derive(Args)]
struct RunArguments {
    /// The file, as keepalived reads it.
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// The least that is logged: error, warn, info, debug, or trace (every packet).
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log: Level,
    /// Write every input and what it caused into segments in this folder, for vipsim replay.
    #[arg(long, value_name = "DIR")]
    journal: Option<PathBuf>,
    /// Octets of inputs after which a segment of the journal ends.
    #[arg(long, value_name = "OCTETS", default_value_t = SEGMENT_OCTETS, requires = "journal")]
    journal_segment: u64,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    reaching: Reaching,
}

#[derive(Args)]
struct HelperArguments {
    /// The file whose scripts it may run.
    #[arg(long)]
    file: PathBuf,
    #[command(flatten)]
    reading: Reading,
}

#[derive(Args)]
struct StatusArguments {
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reaching: Reaching,
}

/// Where a running vipd is reached.
#[derive(Args)]
struct Reaching {
    /// The control socket.
    #[arg(long, value_name = "PATH", default_value = DEFAULT_PATH)]
    socket: PathBuf,
}

#[derive(Args)]
struct Ordering {
    /// The name of its vrrp_instance. The members of a vrrp_sync_group obey together.
    instance: String,
    #[command(flatten)]
    reaching: Reaching,
}

#[derive(Args)]
struct ServerOrdering {
    /// ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT, as the file has it. Without a port: whatever port.
    server: String,
    /// Of this virtual server alone, as `vipd status` prints it.
    #[arg(long, value_name = "NAME")]
    of: Option<String>,
    #[command(flatten)]
    reaching: Reaching,
}

#[derive(Args)]
struct WeightOrdering {
    /// The weight, or - for that of the file and the checks.
    #[arg(value_parser = |text: &str| orders::weight(text).map(|_| text.to_string()))]
    weight: String,
    #[command(flatten)]
    ordering: ServerOrdering,
}

#[derive(Args)]
struct CheckArguments {
    /// The files, as keepalived reads them.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Look at this machine, too: what on it would break the file.
    #[arg(long)]
    host: bool,
    /// Seconds to listen for other masters, 0 not at all [default: 3 advert intervals and a bit,
    /// 30 at most].
    #[arg(long, value_name = "SECONDS", requires = "host",
        value_parser = clap::value_parser!(u64).range(0..=3600))]
    listen: Option<u64>,
    #[command(flatten)]
    reading: Reading,
}

#[derive(Args)]
struct ConfigArguments {
    /// The file, as keepalived reads it.
    file: PathBuf,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reading: Reading,
}

/// What a file is read with.
#[derive(Args)]
struct Reading {
    /// What `@id` lines are compared with, keepalived's config-id.
    #[arg(long, value_name = "NAME")]
    id: Option<String>,
    /// Whose rules hold where the file does not say: drop-in, rfc3768, rfc5798 or rfc9568.
    #[arg(long, value_name = "PROFILE", default_value = "drop-in", value_parser = profile)]
    profile: Profile,
    /// VRRP only, as keepalived's -P: virtual servers are somebody else's.
    #[arg(short = 'P', long)]
    vrrp: bool,
    /// Health checks and virtual servers only, as keepalived's -C: virtual routers are somebody
    /// else's.
    #[arg(short = 'C', long = "check", conflicts_with = "vrrp")]
    checks: bool,
}

impl From<Reading> for Options {
    fn from(reading: Reading) -> Self {
        let scope = match reading {
            Reading { vrrp: true, .. } => Scope::VrrpOnly,
            Reading { checks: true, .. } => Scope::ChecksOnly,
            Reading { .. } => Scope::All,
        };
        Self { config_id: reading.id, profile: reading.profile, scope }
    }
}

/// Nobody answers on the control socket, or it could not start.
const FAILED: u8 = 1;

fn main() -> ExitCode {
    if std::env::args_os().next().is_some_and(|name| keepalived::is_meant(&name)) {
        return ExitCode::from(keepalived::main(std::env::args_os(), colour()));
    }
    let status = match Arguments::parse().command {
        Command::Run(arguments) => Ok(run(arguments)),
        Command::Status(StatusArguments { json, reaching }) => status(&reaching, json),
        Command::Events(StatusArguments { json, reaching }) => events(&reaching, json),
        Command::Reload(reaching) => reload(&reaching),
        Command::Yield(ordering) => order(Order::Yield, &ordering),
        Command::Hold(ordering) => order(Order::Hold, &ordering),
        Command::Resume(ordering) => order(Order::Resume, &ordering),
        Command::Drain(ordering) => order_servers("drain", &ordering),
        Command::Undrain(ordering) => order_servers("undrain", &ordering),
        Command::Weight(WeightOrdering { weight, ordering }) => {
            order_servers(&format!("weight {weight}"), &ordering)
        }
        Command::ScriptHelper(HelperArguments { file, reading }) => {
            scripts::serve(&Source { file, options: reading.into() }).map(|()| 0)
        }
        Command::Check(arguments) => check_files(arguments).map(Shown::status),
        Command::Config(ConfigArguments { file, json, reading }) => {
            let (mut out, mut err) = (Results::stdout(), Talk::stderr());
            let form = if json { Form::Json } else { Form::Text };
            show(&file, &reading.into(), form, colour(), &mut out, &mut err).map(Shown::status)
        }
    };
    match status {
        Ok(status) => ExitCode::from(status),
        // Whoever reads events has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: cannot write the result: {error}");
            ExitCode::from(Shown::Unusable.status())
        }
    }
}

fn run(arguments: RunArguments) -> u8 {
    let RunArguments { file, log, journal, journal_segment, reading, reaching } = arguments;
    Log::console(log).init();
    let source = Source { file, options: reading.into() };
    let run = Run {
        source: &source,
        control: &reaching.socket,
        colour: colour(),
        detach: false,
        pid_files: Vec::new(),
        journal: journal.map(|folder| Wanted { folder, segment_octets: journal_segment }),
    };
    match startup::run(&run) {
        Ok(Ended::Released) => 0,
        Ok(Ended::GaveUp) => FAILED,
        Err(failure) => {
            eprintln!("error: {failure}");
            match failure {
                Failure::Unusable => Shown::Unusable.status(),
                Failure::Unprivileged(_) | Failure::Refused { .. } => FAILED,
            }
        }
    }
}

fn check_files(arguments: CheckArguments) -> io::Result<Shown> {
    let CheckArguments { files, host, listen, reading } = arguments;
    let (mut out, mut err) = (Results::stdout(), Talk::stderr());
    if !host {
        return check(&files, &reading.into(), colour(), &mut out, &mut err);
    }
    // A group that cannot be listened to is said by the sockets themselves.
    Log::console(Level::WARN).init();
    let listen = listen.map(Duration::from_secs);
    check_also(&files, &reading.into(), colour(), &mut out, &mut err, |loaded, places, talk| {
        vipd::host::look(loaded, places, listen, talk)
    })
}

fn status(reaching: &Reaching, json: bool) -> io::Result<u8> {
    let Some(report) = ask(reaching, "status") else { return Ok(FAILED) };
    let mut out = Results::stdout();
    if json {
        writeln!(out, "{report:#}")?;
    } else {
        out.write_all(vipd::status::text(&report).as_bytes())?;
    }
    Ok(0)
}

fn events(reaching: &Reaching, json: bool) -> io::Result<u8> {
    let mut out = io::stdout().lock();
    let mut unwritable = false;
    let followed = control::follow(&reaching.socket, |told| {
        let line = if json { told.to_string() } else { events::text(&told) };
        writeln!(out, "{line}").inspect_err(|_| unwritable = true)
    });
    match followed {
        Ok(()) => Ok(0),
        Err(error) if unwritable => Err(error),
        Err(error) => {
            eprintln!("error: {}: {error}", reaching.socket.display());
            Ok(FAILED)
        }
    }
}

fn reload(reaching: &Reaching) -> io::Result<u8> {
    let Some(answer) = ask(reaching, "reload") else { return Ok(FAILED) };
    let said = answer["said"].as_str().unwrap_or_default();
    if !said.is_empty() {
        writeln!(Talk::stderr(), "{said}")?;
    }
    if answer["reloaded"] == Value::Bool(true) {
        writeln!(Results::stdout(), "the file is in force")?;
        return Ok(0);
    }
    writeln!(Results::stdout(), "nothing was changed")?;
    Ok(Shown::Unusable.status())
}

fn order(order: Order, Ordering { instance, reaching }: &Ordering) -> io::Result<u8> {
    match control::ask(&reaching.socket, &format!("{} {instance}", order.word())) {
        Ok(answer) => {
            let state = answer["state"].as_str().unwrap_or_default();
            writeln!(Results::stdout(), "{instance}: {}, it is {state}", order.word())?;
            Ok(0)
        }
        Err(error) => refused(&error, reaching),
    }
}

fn order_servers(words: &str, ordering: &ServerOrdering) -> io::Result<u8> {
    let ServerOrdering { server, of, reaching } = ordering;
    let of = of.iter().fold(String::new(), |_, name| format!(" of {name}"));
    match control::ask(&reaching.socket, &format!("{words} {server}{of}")) {
        Ok(answer) => {
            for server in answer["of"].as_array().into_iter().flatten() {
                let server = server.as_str().unwrap_or_default();
                writeln!(Results::stdout(), "{server}: {words}")?;
            }
            Ok(0)
        }
        Err(error) => refused(&error, reaching),
    }
}

/// What an order came to that was not obeyed.
fn refused(error: &io::Error, reaching: &Reaching) -> io::Result<u8> {
    if error.kind() == ErrorKind::Other {
        eprintln!("error: {error}");
        return Ok(Shown::Unusable.status());
    }
    eprintln!("error: {}: {error}", reaching.socket.display());
    Ok(FAILED)
}

fn ask(reaching: &Reaching, question: &str) -> Option<Value> {
    match control::ask(&reaching.socket, question) {
        Ok(answer) => Some(answer),
        Err(error) => {
            eprintln!("error: {}: {error}", reaching.socket.display());
            None
        }
    }
}

fn colour() -> Colour {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if refused || !io::stderr().is_terminal() { Colour::Never } else { Colour::Always }
}
