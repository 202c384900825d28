//! `viplab`: plays scenarios on real network namespaces, with vipd, keepalived or FRR on each host.
//!
//! Arguments and exit status only; what it does is in [`vipd_netns_tests::run`],
//! [`vipd_netns_tests::agree`] and [`vipd_netns_tests::conformance`].

#![forbid(unsafe_code)]

use std::env;
use std::io::{self, IsTerminal, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use vipd_config::diagnostics::Colour;
use vipd_config::streams::{Results, Talk};
use vipd_engine::Profile;
use vipd_netns_tests::agree::{Request as AgreeRequest, agree};
use vipd_netns_tests::conformance;
use vipd_netns_tests::kernel::Kernel;
use vipd_netns_tests::matrix::{Mode, Pairing, Request as MatrixRequest, matrix};
use vipd_netns_tests::node::Kind;
use vipd_netns_tests::run::Request;
use vipd_netns_tests::uml::play::{TOLERANCE_INSIDE, play};
use vipd_netns_tests::uml::{Inside, MEMORY, init};
use vipd_netns_tests::world::TOLERANCE;
use vipd_scenarios::language::parse_duration;
use vipd_scenarios::report::files::Files;
use vipd_sim::output;
use vipd_sim::run::Ended;
use vipd_sim::suite;

const EXAMPLES: &str = "\
Examples:
  viplab run scenarios/failover/pkill-master.toml
      Stop the master, see the takeover, start it again: vipd on both directors.
  viplab run scenarios/failover/pkill-master.toml --node director-2=keepalived
      The same with keepalived as one of the two.
  viplab run scenarios/failover/pkill-master.toml --kernel uml
      The same on a kernel of its own, user-mode Linux. It needs no root.
  viplab run scenarios/cut/loser-deaf.toml --node a=keepalived --node b=keepalived --pcap run.pcapng
      Two keepalived, a cut in one direction, and every packet in a file.
  viplab run scenarios/failover/pkill-master.toml --html run.html
      A page with the timeline, for any browser; --perfetto and --jsonl for other programs.

Exit status:
  0  every named property has the expected verdict, every expectation is met
  1  something is not so
  2  the scenario, a configuration or the arguments cannot be used, or this machine lacks something
  3  skipped: the real world lacks a step of the scenario

It needs iproute2, and root or user-mode Linux. A scenario of 30 s takes 30 s. Nothing outside of
its own namespaces is touched, and they are removed at the end, also by the next start if this one
is killed.";

const AGREE_EXAMPLES: &str = "\
Examples:
  viplab agree scenarios/failover/pkill-master.toml scenarios/failover/kill-9.toml
      Whether the simulation foresees what vipd does on real kernels, and by how much it is off.
  viplab agree scenarios/failover/pkill-master.toml --node director-1=keepalived
      The same with keepalived as one of the two.
  viplab agree scenarios/failover/pkill-master.toml --html both.html
      Both runs on one page, aligned at the first step.

  viplab agree
      Every scenario of the folder scenarios, four at a time, in about a quarter of an hour.

Exit status:
  0  the same happened in the same order, each within the tolerance, in all that can be compared
  1  something is not so
  2  a scenario, a configuration or the arguments cannot be used, or this machine lacks something
  3  none can be compared: the real world lacks a step, or the order is left to chance";

const CONFORMANCE_EXAMPLES: &str = "\
Examples:
  viplab conformance --target vipd
      Every requirement of the RFCs that packets and kernel state can show, by vipd's own rules.
  viplab conformance --target vipd --profile rfc9568 --html report.html
      By the rules of RFC 9568 alone, and a page to keep.
  viplab conformance --target keepalived --json
      Another implementation, for another program to read.
  viplab conformance --target keepalived --only V3-7.1-INT0 --only seat-v2
      One requirement, and all that one experiment shows: half a minute.

Exit status:
  0  no requirement fails; known deviations are named
  1  some do
  2  the arguments cannot be used, or this machine lacks something
  3  it cannot run here: it needs root";

const MATRIX_EXAMPLES: &str = "\
Examples:
  viplab matrix
      vipd, keepalived and FRR, each as master and as backup of each, in every mode.
  viplab matrix --only vipd+keepalived --only keepalived+vipd --mode v3-ipv4
      Two pairings in one mode.

Exit status:
  0  every pairing does what the scenario says, or deviates from it as is known of a peer
  1  something is not so
  2  the arguments cannot be used, or this machine lacks something
  3  none of the chosen pairings has one of the chosen modes";

const INSIDE_EXAMPLES: &str = "\
Examples:
  viplab inside -- ipvsadm -Ln
      The table of a kernel that has IPVS, whatever this machine's own has.
  viplab inside -- sh -c 'ip link add d0 type dummy && ip -br link'
      A kernel in which one is root.

It sees this machine's files, and writes to none of them: what is written to /tmp, /run and /var/log
is gone afterwards. It needs the Debian packages user-mode-linux and kmod, and no root.

Exit status:
  that of the command; 125 if it did not come to its end, for the reason that is told";

/// Plays scenarios on real network namespaces.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Play one scenario, print its timeline and judge it.
    #[command(after_help = EXAMPLES)]
    Run(RunArguments),
    /// Play scenarios simulated and real, and compare what happened when.
    #[command(after_help = AGREE_EXAMPLES)]
    Agree(AgreeArguments),
    /// Judge an implementation by every requirement of the RFCs.
    #[command(after_help = CONFORMANCE_EXAMPLES)]
    Conformance(ConformanceArguments),
    /// Play pairings of vipd, keepalived and FRR in every mode, and print one table.
    #[command(after_help = MATRIX_EXAMPLES)]
    Matrix(MatrixArguments),
    /// Run a command inside of a kernel of its own, user-mode Linux, as root.
    #[command(after_help = INSIDE_EXAMPLES)]
    Inside(InsideArguments),
}

#[derive(Args)]
struct InsideArguments {
    /// End it after this long, the boot of some 3 s included.
    #[arg(long, value_name = "T", value_parser = parse_duration, default_value = "10m")]
    within: Duration,
    /// Memory of the kernel, MiB.
    #[arg(long, value_name = "MIB", default_value_t = MEMORY)]
    memory: u32,
    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true)]
    command: Vec<String>,
}

#[derive(Args)]
struct ConformanceArguments {
    /// Whom to judge: vipd, keepalived or frr.
    #[arg(long, value_name = "KIND", required_unless_present = "list")]
    target: Option<Kind>,
    /// Print which experiments judge which row, and do nothing.
    #[arg(long)]
    list: bool,
    /// Only this row or this experiment, as --list has them. May be repeated.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// By whose rules: drop-in (unless said otherwise), rfc3768, rfc5798 or rfc9568.
    #[arg(long, value_name = "PROFILE", default_value = "drop-in", value_parser = profile)]
    profile: Profile,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
    /// Write one page with every row to this file.
    #[arg(long, value_name = "OUT")]
    html: Option<PathBuf>,
    /// The program vipd, instead of the one beside this program.
    #[arg(long, value_name = "PATH")]
    vipd: Option<PathBuf>,
    /// What this machine may be late by, instead of 50ms.
    #[arg(long, value_name = "T", value_parser = parse_duration)]
    tolerance: Option<Duration>,
}

#[derive(Args)]
struct MatrixArguments {
    /// Only this pairing, such as vipd+keepalived. May be repeated.
    #[arg(long, value_name = "MASTER+BACKUP")]
    only: Vec<Pairing>,
    /// Only this mode: v2, v2-unicast-pass, v3-ipv4 or v3-ipv6. May be repeated.
    #[arg(long = "mode", value_name = "MODE")]
    modes: Vec<Mode>,
    /// Where the scenario files are; those of the matrix are in its folder matrix.
    #[arg(long, value_name = "DIR", default_value = "scenarios")]
    folder: PathBuf,
    /// How many to play at a time.
    #[arg(long, value_name = "J", default_value = "4")]
    jobs: NonZeroUsize,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
    /// The program vipd, instead of the one beside this program.
    #[arg(long, value_name = "PATH")]
    vipd: Option<PathBuf>,
    /// What this machine may be late by: more than in a run alone, for many are played at a time.
    #[arg(long, value_name = "T", value_parser = parse_duration, default_value = "100ms")]
    tolerance: Duration,
}

#[derive(Args)]
struct AgreeArguments {
    /// The scenarios, TOML files; without one, every scenario of the folder.
    files: Vec<PathBuf>,
    /// Where the scenario files are, in it and in its folders.
    #[arg(long, value_name = "DIR", default_value = "scenarios")]
    folder: PathBuf,
    /// How many to play at a time.
    #[arg(long, value_name = "J", default_value = "4")]
    jobs: NonZeroUsize,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
    /// Write a page with both runs of one scenario, one below the other, aligned at the first step.
    #[arg(long, value_name = "OUT")]
    html: Option<PathBuf>,
    /// Whose kernel: host, uml (user-mode Linux, one for all), or auto: host for what it has all
    /// that it needs for, and uml for the rest.
    #[arg(long, value_name = "KERNEL", default_value = "auto")]
    kernel: Kernel,
    #[command(flatten)]
    on: On,
}

/// What a scenario is played on.
#[derive(Args)]
struct On {
    /// What runs on a host: vipd (unless said otherwise), keepalived or frr. May be repeated.
    #[arg(long = "node", value_name = "HOST=KIND", value_parser = node)]
    nodes: Vec<(String, Kind)>,
    /// The program vipd, instead of the one beside this program.
    #[arg(long, value_name = "PATH")]
    vipd: Option<PathBuf>,
    /// What this machine may be late by, instead of 50ms. It widens windows and bounds.
    #[arg(long, value_name = "T", value_parser = parse_duration)]
    tolerance: Option<Duration>,
    /// End at this time, such as 15s, instead of the scenario's own.
    #[arg(long, value_name = "T", value_parser = parse_duration)]
    until: Option<Duration>,
}

#[derive(Args)]
struct RunArguments {
    /// The scenario, a TOML file.
    file: PathBuf,
    /// Whose kernel: host, uml (user-mode Linux), or auto: host if it has what the scenario needs
    /// and root asks, otherwise uml.
    #[arg(long, value_name = "KERNEL", default_value = "auto")]
    kernel: Kernel,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
    /// Write what passes at every port to this pcapng file.
    #[arg(long, value_name = "OUT")]
    pcap: Option<PathBuf>,
    /// Write a page to look at, which needs no server and loads nothing.
    #[arg(long, value_name = "OUT")]
    html: Option<PathBuf>,
    /// Write a trace for ui.perfetto.dev.
    #[arg(long, value_name = "OUT")]
    perfetto: Option<PathBuf>,
    /// Write what was seen, one JSON object per line.
    #[arg(long, value_name = "OUT")]
    jsonl: Option<PathBuf>,
    #[command(flatten)]
    on: On,
}

/// Exit status of `inside` when the command did not run to its end.
const NOT_RUN: u8 = 125;

/// Ctrl-C was pressed: what was found so far is printed, and everything is removed.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    if init::is_asked() {
        init::run();
    }
    output::outgrow_no_limit_silently();
    // Without a handler Ctrl-C ends the process at once, and the next start tidies up.
    let _ = ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed));
    let (mut out, mut err) = (Results::stdout(), Talk::stderr());
    let ended = match Arguments::parse().command {
        Command::Run(arguments) => {
            let (kernel, tolerance) = (arguments.kernel, arguments.on.tolerance);
            play(arguments.request(), kernel, tolerance, &mut out, &mut err)
        }
        Command::Agree(arguments) => arguments.request(&mut err).and_then(|request| {
            request.map_or(Ok(Ended::Unusable), |request| agree(&request, &mut out, &mut err))
        }),
        Command::Conformance(asked) if asked.list => {
            conformance::list(&mut out).map(|()| Ended::Passed)
        }
        Command::Conformance(asked) => {
            let request = conformance::Request {
                target: asked.target.unwrap_or_default(),
                profile: asked.profile,
                only: asked.only,
                vipd: asked.vipd,
                json: asked.json,
                html: asked.html,
                tolerance: asked.tolerance.unwrap_or(TOLERANCE),
                stop,
            };
            conformance::run(&request, &mut out, &mut err)
        }
        Command::Matrix(arguments) => matrix(&arguments.request(), &mut out, &mut err),
        Command::Inside(arguments) => return arguments.run(&mut out, &mut err),
    };
    drop((out, err));
    match ended {
        Ok(ended) => ExitCode::from(ended.status()),
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: cannot write the result: {error}");
            ExitCode::from(Ended::Unusable.status())
        }
    }
}

impl InsideArguments {
    fn run(self, out: &mut dyn Write, err: &mut dyn Write) -> ExitCode {
        let Self { within, memory, command } = self;
        let ran = env::current_exe().map_err(|error| error.to_string()).and_then(|viplab| {
            let inside = Inside { command, viplab, memory, within, stop };
            let finished = inside.run()?;
            let _ = out.write_all(&finished.output).and_then(|()| err.write_all(&finished.errors));
            Ok(finished.status)
        });
        ran.map_or_else(
            |error| {
                let _ = writeln!(err, "error: {error}");
                ExitCode::from(NOT_RUN)
            },
            ExitCode::from,
        )
    }
}

impl AgreeArguments {
    /// `None` if there is no scenario: then that is said.
    fn request(self, err: &mut dyn Write) -> io::Result<Option<AgreeRequest>> {
        let Self { mut files, folder, jobs, json, html, kernel, on } = self;
        if files.is_empty() {
            match suite::files(&folder) {
                Ok(found) => files.extend(found.into_iter().map(|(_, file)| file)),
                Err(error) => {
                    let folder = folder.display();
                    writeln!(err, "error: cannot read the folder {folder}: {error}")?;
                }
            }
        }
        if files.is_empty() {
            writeln!(err, "error: no scenario; name files, or a folder with --folder")?;
            return Ok(None);
        }
        if html.is_some() && files.len() != 1 {
            writeln!(err, "error: a page has one scenario; name one file with --html")?;
            return Ok(None);
        }
        let files_to_write = Files { html, ..Files::default() };
        let how = Request { json, files: files_to_write, ..on.request(PathBuf::new()) };
        let tolerance_inside = on.tolerance.unwrap_or(TOLERANCE_INSIDE);
        Ok(Some(AgreeRequest { files, how, jobs, kernel, tolerance_inside }))
    }
}

impl RunArguments {
    fn request(self) -> Request {
        let Self { file, json, pcap, html, perfetto, jsonl, on, .. } = self;
        let files = Files { html, perfetto, jsonl };
        Request { json, capture: pcap, files, ..on.request(file) }
    }
}

impl MatrixArguments {
    fn request(self) -> MatrixRequest {
        let Self { only, modes, folder, jobs, json, vipd, tolerance } = self;
        let on = On { nodes: Vec::new(), vipd, tolerance: Some(tolerance), until: None };
        let how = Request { json, ..on.request(PathBuf::new()) };
        MatrixRequest { folder, only, modes, how, jobs }
    }
}

impl On {
    fn request(&self, file: PathBuf) -> Request {
        Request {
            file,
            nodes: self.nodes.iter().cloned().collect(),
            vipd: self.vipd.clone(),
            json: false,
            capture: None,
            files: Files::default(),
            tolerance: self.tolerance.unwrap_or(TOLERANCE),
            until: self.until,
            colour: colour(),
            stop,
        }
    }
}

fn stop() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

fn profile(text: &str) -> Result<Profile, String> {
    let known = Profile::ALL.into_iter().find(|profile| profile.name() == text);
    known.ok_or_else(|| {
        let names = Profile::ALL.map(Profile::name).join(", ");
        format!("no profile is called `{text}`, but {names}")
    })
}

fn node(text: &str) -> Result<(String, Kind), String> {
    let (host, kind) = text.split_once('=').ok_or("HOST=KIND, such as director-2=keepalived")?;
    Ok((host.to_string(), kind.parse()?))
}

fn colour() -> Colour {
    let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if refused || !io::stderr().is_terminal() { Colour::Never } else { Colour::Always }
}
