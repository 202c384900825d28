//! `vipd`: keeps virtual addresses on one of several machines (VRRP).
//!
//! Arguments and exit status only; what it does is in [`vipd_config::show`].

#![forbid(unsafe_code)]

use std::io::{self, ErrorKind, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use vipd_config::Options;
use vipd_config::diagnostics::Colour;
use vipd_config::show::{Form, Shown, check, profile, show};
use vipd_engine::Profile;

const EXAMPLES: &str = "\
Examples:
  vipd check /etc/keepalived/keepalived.conf
      Whether the file can be used, and what is to be said of it.

Diagnostics go to standard error, in colour on a terminal unless NO_COLOR is set.";

const CHECK_EXAMPLES: &str = "\
Examples:
  vipd check /etc/keepalived/keepalived.conf
      Every mistake in it, and in what it includes, in one go.
  vipd check director-1.conf director-2.conf
      Several files, each by itself; the worst decides.

Exit status:
  0  nothing to remark but notes
  1  usable, with warnings
  2  unusable, or there is no such file";

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
    /// Read files and say all that is to be said of them.
    #[command(after_help = CHECK_EXAMPLES)]
    Check(CheckArguments),
    /// Print what a file means: every value, its default and its origin.
    #[command(after_help = CONFIG_EXAMPLES)]
    Config(ConfigArguments),
}

#[derive(Args)]
struct CheckArguments {
    /// The files, as keepalived reads them.
    #[arg(required = true)]
    files: Vec<PathBuf>,
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
}

impl From<Reading> for Options {
    fn from(reading: Reading) -> Self {
        Self { config_id: reading.id, profile: reading.profile }
    }
}

fn main() -> ExitCode {
    let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
    let status = match Arguments::parse().command {
        Command::Check(CheckArguments { files, reading }) => {
            check(&files, &reading.into(), colour(), &mut out, &mut err).map(Shown::status)
        }
        Command::Config(ConfigArguments { file, json, reading }) => {
            let form = if json { Form::Json } else { Form::Text };
            show(&file, &reading.into(), form, colour(), &mut out, &mut err).map(Shown::status)
        }
    };
    drop((out, err));
    match status {
        Ok(status) => ExitCode::from(status),
        // Whoever reads has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: cannot write the result: {error}");
            ExitCode::from(Shown::Unusable.status())
        }
    }
}

fn colour() -> Colour {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if refused || !io::stderr().is_terminal() { Colour::Never } else { Colour::Always }
}
