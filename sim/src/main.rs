//! `vipsim`: rehearses VRRP failovers in a deterministic simulated network.
//!
//! Arguments and exit status only; what it does is in [`vipd_sim::run`],
//! [`vipd_sim::suite`], [`vipd_sim::hunt`], [`vipd_sim::shrink`],
//! [`vipd_sim::rehearse`], [`vipd_sim::prove`], [`vipd_sim::replay`] and [`vipd_config::show`].

#![forbid(unsafe_code)]

mod examples;

use std::io::{self, IsTerminal, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::{ArgGroup, Args, Parser, Subcommand};
use mimalloc::MiMalloc;
use vipd_config::Options;
use vipd_config::diagnostics::Colour;
use vipd_config::show::{Form, Shown, profile, show};
use vipd_config::streams::{Results, Talk};
use vipd_engine::Profile;
use vipd_scenarios::judge::PropertyId;
use vipd_scenarios::language::parse_duration;
use vipd_scenarios::report::files::Files;
use vipd_sim::faults::FaultClass;
use vipd_sim::hunt::{self, Over, Shard, merge};
use vipd_sim::output;
use vipd_sim::prove::plan::{Claim, Delays, Lattice, MAX_FAULTS, MAX_NODES, Plan};
use vipd_sim::prove::{self, parse_octets};
use vipd_sim::rehearse;
use vipd_sim::replay;
use vipd_sim::run::{Ended, Request, run};
use vipd_sim::shrink;
use vipd_sim::suite::{self, suite};

/// A simulated world is many small things that come and go: the allocator of the C library takes 7%
/// of a hunt.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Rehearses VRRP failovers in a deterministic simulated network.
#[derive(Parser)]
#[command(version, after_help = examples::EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Play one scenario, print its timeline and judge it.
    #[command(after_help = examples::EXAMPLES)]
    Run(RunArguments),
    /// Play every scenario of a folder side by side, and print one table.
    #[command(after_help = examples::SUITE_EXAMPLES)]
    Suite(SuiteArguments),
    /// Try every placement of a few faults among a few nodes: do the properties hold in all?
    #[command(after_help = examples::PROVE_EXAMPLES)]
    Prove(ProveArguments),
    /// Play random schedules of faults over a scenario or bare configurations, and judge each.
    #[command(after_help = examples::HUNT_EXAMPLES)]
    Hunt(HuntArguments),
    /// Add what the parts of a hunt wrote.
    #[command(after_help = examples::MERGE_EXAMPLES)]
    Merge(MergeArguments),
    /// Make a scenario that violates a property as small as it gets, and keep it as a file.
    #[command(after_help = examples::SHRINK_EXAMPLES)]
    Shrink(ShrinkArguments),
    /// What each class of faults means for one's own configuration files, on one page.
    #[command(after_help = examples::REHEARSE_EXAMPLES)]
    Rehearse(RehearseArguments),
    /// Feed a segment of the journal of vipd to the engine again, and compare.
    #[command(after_help = examples::REPLAY_EXAMPLES)]
    Replay(ReplayArguments),
    /// Read one keepalived.conf and print what it means: every value, its default and its origin.
    #[command(after_help = examples::CONFIG_EXAMPLES)]
    Config(ConfigArguments),
}

#[derive(Args)]
struct RunArguments {
    /// The scenario, a TOML file.
    file: PathBuf,
    /// Seed of everything random, instead of the scenario's own.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
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
    /// End at this time, such as 90s, 10m or 24h, instead of the scenario's own.
    #[arg(long, value_name = "T", value_parser = parse_duration)]
    until: Option<Duration>,
}

#[derive(Args)]
struct SuiteArguments {
    /// Only scenarios whose name contains this.
    pattern: Option<String>,
    /// Where the scenario files are, in it and in its folders; `scenarios` unless given, and
    /// `sim/regressions` where it is there.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// How many to play at a time; as many as there are processors unless given.
    #[arg(long, value_name = "J")]
    jobs: Option<NonZeroUsize>,
}

#[derive(Args)]
#[command(group = ArgGroup::new("over").required(true).args(["scenario", "conf"]))]
struct HuntArguments {
    /// The scenario, a TOML file. Its topology is used, its steps are not.
    scenario: Option<PathBuf>,
    /// Instead of a scenario the configuration of each host, FILE or NAME=FILE; the name is the
    /// config-id, too.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    conf: Vec<PathBuf>,
    /// Only faults of this class, by name or number; may be repeated.
    #[arg(long = "class", value_name = "CLASS", value_parser = fault_class)]
    classes: Vec<FaultClass>,
    /// How many seeds.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = at_least_one)]
    seeds: u64,
    /// The first one.
    #[arg(long, value_name = "N", default_value_t = 0)]
    first: u64,
    /// How many to play at a time; as many as there are processors unless given.
    #[arg(long, value_name = "J", value_parser = jobs())]
    jobs: Option<u64>,
    /// Simulated time of each seed.
    #[arg(long = "for", value_name = "T", default_value = "10m", value_parser = parse_duration)]
    length: Duration,
    /// Only part i of n, i from 0 to n-1.
    #[arg(long, value_name = "i/n", value_parser = Shard::parse)]
    shard: Option<Shard>,
    /// Print one JSON object instead of tables.
    #[arg(long)]
    json: bool,
    /// Write that JSON object to this file, too, for `vipsim merge`.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write a page with the tables and the timelines of violations to this HTML file.
    #[arg(long, value_name = "OUT")]
    html: Option<PathBuf>,
    /// Play this seed alone and print its timeline.
    #[arg(long, value_name = "N",
          conflicts_with_all = ["seeds", "first", "jobs", "shard", "out", "html"])]
    seed: Option<u64>,
}

#[derive(Args)]
struct MergeArguments {
    /// What `vipsim hunt --out` wrote.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Print one JSON object instead of tables.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
#[command(group = ArgGroup::new("over").required(true).args(["files", "conf"]))]
struct ShrinkArguments {
    /// One scenario, a TOML file; or several bare configuration files, of which none ends in
    /// .toml.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Instead of a scenario the configuration of each host, FILE or NAME=FILE, as for hunt.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    conf: Vec<PathBuf>,
    /// The property whose violation is kept, such as S1; the first one unless given.
    #[arg(long, value_name = "ID", value_parser = property)]
    property: Option<PropertyId>,
    /// Seed of everything random, instead of the scenario's own.
    #[arg(long, value_name = "N", conflicts_with = "hunted")]
    seed: Option<u64>,
    /// The random schedule of this seed of `vipsim hunt`, instead of the scenario's steps.
    #[arg(long, value_name = "N")]
    hunted: Option<u64>,
    /// The class of faults that this hunt was for, by name or number; may be repeated.
    #[arg(long = "class", value_name = "CLASS", value_parser = fault_class, requires = "hunted")]
    classes: Vec<FaultClass>,
    /// Simulated time of each seed of that hunt.
    #[arg(long = "for", value_name = "T", default_value = "10m", value_parser = parse_duration,
          requires = "hunted")]
    length: Duration,
    /// Where to; `-` is standard output.
    #[arg(short, long, value_name = "OUT")]
    out: Option<PathBuf>,
    /// Scenarios that are played at most.
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    runs: u64,
}

#[derive(Args)]
struct RehearseArguments {
    /// The configuration of each host, FILE or NAME=FILE; the name is the config-id, too.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Only this class of faults, by name or number; may be repeated.
    #[arg(long = "class", value_name = "CLASS", value_parser = fault_class)]
    classes: Vec<FaultClass>,
    /// Runs of each class.
    #[arg(long, value_name = "N", default_value_t = rehearse::RUNS, value_parser = at_least_one)]
    runs: u64,
    /// Play this run of the one class alone and print its timeline.
    #[arg(long, value_name = "N", conflicts_with_all = ["runs", "html"])]
    seed: Option<u64>,
    /// Write the page to this HTML file, too.
    #[arg(long, value_name = "OUT")]
    html: Option<PathBuf>,
    /// Print one JSON object instead of the page.
    #[arg(long)]
    json: bool,
    /// How many to play at a time; as many as there are processors unless given.
    #[arg(long, value_name = "J", value_parser = jobs())]
    jobs: Option<u64>,
}

#[derive(Args)]
struct ProveArguments {
    /// How many nodes; the first one is the best.
    #[arg(long, value_name = "N", default_value_t = 3,
        value_parser = clap::value_parser!(u8).range(2..=MAX_NODES as i64))]
    nodes: u8,
    /// How many faults at most.
    #[arg(long, value_name = "K", default_value_t = 3,
        value_parser = clap::value_parser!(u8).range(0..=i64::from(MAX_FAULTS)))]
    faults: u8,
    /// How many quanta an interval has, 8 or 16: how fine time is.
    #[arg(long, value_name = "Q", default_value = "16", value_parser = Lattice::from_quanta)]
    quanta: Lattice,
    /// How many quanta an advert takes: `0,1`, none or one, or `1`, never less (far fewer states).
    #[arg(long, value_name = "QUANTA", default_value = "0,1", value_parser = Delays::from_quanta)]
    delays: Delays,
    /// What is to hold: S1, S7, L2 or some-two-masters; repeat it for several [default: S1, S7, L2]
    #[arg(long, value_name = "ID", value_parser = Claim::from_name)]
    property: Vec<Claim>,
    /// The nodes have no departure from RFC 9568 (`strict_mode`).
    #[arg(long)]
    strict: bool,
    /// No node preempts (`nopreempt`).
    #[arg(long)]
    nopreempt: bool,
    /// Leave nothing out, not even what cannot change a verdict: slow, and a check on the rest.
    #[arg(long)]
    unreduced: bool,
    /// Stop before it takes more memory than about this, such as 500M or 8G.
    #[arg(long, value_name = "OCTETS", default_value = "4G", value_parser = parse_octets)]
    memory: usize,
    /// Write a counter-example to this scenario file, and its configuration beside it as .conf.
    #[arg(long, value_name = "OUT.toml")]
    out: Option<PathBuf>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

impl ProveArguments {
    fn request(self) -> prove::Request {
        let mut claims = self.property;
        if claims.is_empty() {
            claims.extend(Claim::DEFAULT);
        }
        claims.sort_unstable();
        claims.dedup();
        let plan = Plan {
            nodes: usize::from(self.nodes),
            faults: self.faults,
            lattice: self.quanta,
            delays: self.delays,
            claims,
            strict: self.strict,
            nopreempt: self.nopreempt,
            reduce: !self.unreduced,
        };
        let stop = || INTERRUPTED.load(Ordering::Relaxed);
        prove::Request { plan, memory: self.memory, out: self.out, json: self.json, stop }
    }
}

#[derive(Args)]
struct ReplayArguments {
    /// The segment, one of the files that `vipd run --journal` writes.
    segment: PathBuf,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct ConfigArguments {
    /// The file, as keepalived reads it.
    file: PathBuf,
    /// What `@id` lines are compared with, keepalived's config-id.
    #[arg(long, value_name = "NAME")]
    id: Option<String>,
    /// Whose rules hold where the file does not say: drop-in, rfc3768, rfc5798 or rfc9568.
    #[arg(long, value_name = "PROFILE", default_value = "drop-in", value_parser = profile)]
    profile: Profile,
}

impl RunArguments {
    fn request(self, stop: fn() -> bool) -> Request {
        let Self { file, seed, json, pcap: capture, html, perfetto, jsonl, until } = self;
        let files = Files { html, perfetto, jsonl };
        Request { file, seed, json, capture, files, until, colour: colour(), stop }
    }
}

/// Ctrl-C was pressed once: what was found so far is printed.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// A second Ctrl-C ends the process, but not within this time: `timeout` and others signal a
/// process and then its whole group, and mean one signal.
const ONE_SIGNAL: Duration = Duration::from_secs(1);

fn on_interrupt() {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    INTERRUPTED.store(true, Ordering::Relaxed);
    if FIRST.get_or_init(Instant::now).elapsed() >= ONE_SIGNAL {
        output::abandon();
        std::process::exit(130);
    }
}

fn main() -> ExitCode {
    output::outgrow_no_limit_silently();
    // Without a handler Ctrl-C ends the process at once, which is no reason not to run.
    let _ = ctrlc::set_handler(on_interrupt);
    let mut out = Results::stdout();
    let mut err = Talk::stderr();
    let status = match Arguments::parse().command {
        Command::Run(arguments) => {
            let stop = || INTERRUPTED.load(Ordering::Relaxed);
            run(&arguments.request(stop), &mut out, &mut err).map(Ended::status)
        }
        Command::Suite(SuiteArguments { folder, pattern, json, jobs }) => {
            let jobs = jobs.or_else(|| thread::available_parallelism().ok());
            let jobs = jobs.unwrap_or(NonZeroUsize::MIN);
            let regressions = Path::new(shrink::REGRESSIONS);
            let also = folder.is_none() && regressions.is_dir();
            let also = also.then(|| regressions.to_path_buf());
            let folder = folder.unwrap_or_else(|| PathBuf::from("scenarios"));
            let request = suite::Request { folder, also, pattern, json, jobs, colour: colour() };
            suite(&request, &mut out, &mut err).map(Ended::status)
        }
        Command::Hunt(arguments) => hunts(arguments, &mut out, &mut err).map(Ended::status),
        Command::Merge(MergeArguments { files, json }) => {
            let request = merge::Request { files, json };
            merge::merge(&request, &mut out, &mut err).map(Ended::status)
        }
        Command::Shrink(arguments) => shrinks(arguments, &mut out, &mut err).map(Ended::status),
        Command::Rehearse(arguments) => rehearses(arguments, &mut out, &mut err).map(Ended::status),
        Command::Prove(arguments) => {
            prove::prove(&arguments.request(), &mut out, &mut err).map(Ended::status)
        }
        Command::Replay(ReplayArguments { segment, json }) => {
            let request = replay::Request { file: segment, json };
            replay::replay(&request, &mut out, &mut err).map(Ended::status)
        }
        Command::Config(ConfigArguments { file, id, profile }) => {
            let options = Options { config_id: id, profile, ..Options::default() };
            show(&file, &options, Form::Json, colour(), &mut out, &mut err).map(Shown::status)
        }
    };
    drop((out, err));
    match status {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: cannot write the result: {error}");
            ExitCode::from(Ended::Unusable.status())
        }
    }
}

fn hunts(arguments: HuntArguments, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<Ended> {
    let HuntArguments { scenario, conf, mut classes, seeds, first, jobs, .. } = arguments;
    let HuntArguments { length, shard, json, out: file, html, seed, .. } = arguments;
    if first.checked_add(seeds).is_none() {
        writeln!(
            err,
            "error: a hunt ends at seed {} at most: lower --first or --seeds",
            u64::MAX - 1
        )?;
        return Ok(Ended::Unusable);
    }
    classes.sort_unstable();
    classes.dedup();
    let processors = || thread::available_parallelism().map_or(1, NonZeroUsize::get) as u64;
    let request = hunt::Request {
        over: scenario.map_or(Over::Files(conf), Over::Scenario),
        classes,
        first,
        seeds,
        shard: shard.unwrap_or(Shard::WHOLE),
        jobs: jobs.unwrap_or_else(processors),
        length,
        json,
        out: file,
        html,
        bar: io::stderr().is_terminal(),
        colour: colour(),
        stop: || INTERRUPTED.load(Ordering::Relaxed),
    };
    match seed {
        Some(seed) => hunt::replay(&request, seed, out, err),
        None => hunt::hunt(&request, out, err),
    }
}

fn at_least_one(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(0) => Err("at least 1 is needed".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(error.to_string()),
    }
}

fn jobs() -> clap::builder::RangedU64ValueParser<u64> {
    clap::value_parser!(u64).range(1..=hunt::MOST_JOBS)
}

fn shrinks(
    arguments: ShrinkArguments,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<Ended> {
    let ShrinkArguments { files, conf, property, seed, hunted, mut classes, .. } = arguments;
    let ShrinkArguments { length, out: file, runs, .. } = arguments;
    let over = if files.is_empty() { Ok(Over::Files(conf)) } else { Over::named(files) };
    let over = match over {
        Ok(over) => over,
        Err(why) => {
            writeln!(err, "error: {why}")?;
            return Ok(Ended::Unusable);
        }
    };
    classes.sort_unstable();
    classes.dedup();
    let request = shrink::Request {
        over,
        property,
        seed,
        hunted: hunted.map(|seed| shrink::Hunted { seed, length, classes }),
        out: file,
        most_runs: runs,
        bar: io::stderr().is_terminal(),
        colour: colour(),
        stop: || INTERRUPTED.load(Ordering::Relaxed),
    };
    shrink::shrink(&request, out, err)
}

fn rehearses(
    arguments: RehearseArguments,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<Ended> {
    let RehearseArguments { files, mut classes, runs, seed, html, json, jobs } = arguments;
    if classes.is_empty() {
        classes = FaultClass::ALL.to_vec();
    }
    classes.sort_unstable();
    classes.dedup();
    let processors = || thread::available_parallelism().map_or(1, NonZeroUsize::get) as u64;
    let request = rehearse::Request {
        files,
        classes,
        runs,
        seed,
        jobs: jobs.unwrap_or_else(processors),
        json,
        html,
        bar: io::stderr().is_terminal(),
        colour: colour(),
        stop: || INTERRUPTED.load(Ordering::Relaxed),
    };
    rehearse::rehearse(&request, out, err)
}

fn fault_class(text: &str) -> Result<FaultClass, String> {
    let named = FaultClass::ALL.into_iter().find(|class| class.name() == text);
    let numbered = || FaultClass::from_number(text.parse().ok()?);
    named.or_else(numbered).ok_or_else(|| {
        let names = FaultClass::ALL.map(|class| class.to_string());
        format!("there are {}", names.join(", "))
    })
}

fn property(text: &str) -> Result<PropertyId, String> {
    let wanted = text.to_uppercase();
    let found = PropertyId::ALL.into_iter().find(|id| id.to_string() == wanted);
    found.ok_or_else(|| "there are S1 to S12 and L1 to L7".to_owned())
}

fn colour() -> Colour {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if refused || !io::stderr().is_terminal() { Colour::Never } else { Colour::Always }
}
