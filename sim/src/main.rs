//! `vipsim`: rehearses VRRP failovers in a deterministic simulated network.
//!
//! Arguments and exit status only; what it does is in [`vipd_sim::run`].

#![forbid(unsafe_code)]

use std::io::{self, ErrorKind, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use vipd_config::diagnostics::Colour;
use vipd_scenarios::language::parse_duration;
use vipd_sim::run::{Ended, Request, run};

const EXAMPLES: &str = "\
Examples:
  vipsim run scenarios/failover/pkill-master.toml
      Stop the master, see the takeover, start it again.
  vipsim run scenarios/failover/pkill-master.toml --json | jq .verdict
      The same for programs.
  vipsim run scenarios/failover/pkill-master.toml --pcap run.pcapng
  tcpdump -vvv -r run.pcapng
      Look at every packet, with the tool that you know.
  vipsim run scenarios/loss/rough-link.toml --seed 7 --until 10m
      Another draw of everything random, and ten minutes of it.

Exit status:
  0  every named property has the expected verdict, every expectation is met
  1  something is not so
  2  the scenario, a configuration or the arguments cannot be used
  3  skipped: the simulated world lacks a step of the scenario

Diagnostics go to standard error, in colour on a terminal unless NO_COLOR is set.";

/// Rehearses VRRP failovers in a deterministic simulated network.
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
    /// End at this time, such as 90s, 10m or 24h, instead of the scenario's own.
    #[arg(long, value_name = "T", value_parser = parse_duration)]
    until: Option<Duration>,
}

fn main() -> ExitCode {
    let Command::Run(arguments) = Arguments::parse().command;
    let RunArguments { file, seed, json, pcap: capture, until } = arguments;
    let request = Request { file, seed, json, capture, until, colour: colour() };
    match run(&request, &mut io::stdout().lock(), &mut io::stderr().lock()) {
        Ok(ended) => ExitCode::from(ended.status()),
        // Whoever reads has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: cannot write the result: {error}");
            ExitCode::from(Ended::Unusable.status())
        }
    }
}

fn colour() -> Colour {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if refused || !io::stderr().is_terminal() { Colour::Never } else { Colour::Always }
}
