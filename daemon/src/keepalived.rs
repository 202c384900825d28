//! Being called as `keepalived`: that program's command line and its exit statuses. What each
//! option becomes is the table in `options`; what is done then is in [`crate::startup`].
//!
//! `docs/keepalived.md` is for its users.

mod options;

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::{Mode, umask};
use tracing::Level;
use vipd_config::diagnostics::Colour;
use vipd_config::show::{Form, show};
use vipd_config::{Options, Report, Scope};

use crate::control::DEFAULT_PATH;
use crate::driver::Ended;
use crate::log::{Facility, Log, SYSLOG};
use crate::reload::Source;
use crate::startup::{self, Failure, Run};

/// The file, unless `-f` names another.
const FILE: &str = "/etc/keepalived/keepalived.conf";
/// Where the process is named, unless `-p`, `-r` and `-c` say otherwise.
const PID_FILE: (&str, &str) = ("pid", "/run/keepalived.pid");
const VRRP_PID_FILE: (&str, &str) = ("vrrp_pid", "/run/vrrp.pid");
const CHECKERS_PID_FILE: (&str, &str) = ("checkers_pid", "/run/checkers.pid");

/// Told to stop and given everything back, the file is fine, or the question is answered.
const FINE: u8 = 0;
/// The arguments make no sense, or what the process needs is refused.
const FAILED: u8 = 1;
/// The file cannot be used.
const CONFIG: u8 = 2;
/// The process lacks privileges.
const PERMISSION: u8 = 4;
/// There is no such file.
const NO_FILE: u8 = 6;
/// `-t`: the file cannot be used, or there is none.
const TEST_UNUSABLE: u8 = 4;
/// `-t`: the file is used with other values than it has.
const TEST_ADJUSTED: u8 = 5;

/// What is said of a file that keepalived reports as errors, too, and runs with.
const ADJUSTED: [&str; 2] = ["value-adjusted", "no-address"];

/// Whether a program of this name is to behave as keepalived.
#[must_use]
pub fn is_meant(program: &OsStr) -> bool {
    Path::new(program).file_name() == Some(OsStr::new("keepalived"))
}

/// Does what the arguments say, the program's name the first of them, and answers with the exit
/// status.
pub fn main(arguments: impl Iterator<Item = OsString>, colour: Colour) -> u8 {
    let matches = match options::command().try_get_matches_from(arguments.map(test_file_apart)) {
        Ok(matches) => matches,
        Err(error) => {
            let status = if error.use_stderr() { FAILED } else { FINE };
            // Whoever reads has seen enough.
            let _ = error.print();
            return status;
        }
    };
    if matches.get_flag("version") {
        eprintln!("vipd {}, called as keepalived", env!("CARGO_PKG_VERSION"));
        return FINE;
    }
    if let Some(name) = matches.get_one::<String>("signum") {
        return signal_number(name);
    }
    if matches.get_flag("genhash") {
        eprintln!("error: genhash (-T) is not built");
        return FAILED;
    }
    for remark in options::remarks(&matches) {
        eprintln!("warning: {remark}");
    }
    let done = match matches.get_one::<String>("config-test") {
        Some(log) => test(&matches, Path::new(log), colour),
        None => run(&matches, colour),
    };
    done.unwrap_or_else(|refused| {
        eprintln!("error: {refused}");
        FAILED
    })
}

/// The file of `-t` stands behind the letter, with or without a `=` between.
fn test_file_apart(word: OsString) -> OsString {
    match word.to_str().and_then(|text| text.strip_prefix("-t")) {
        Some(file) if !file.is_empty() => {
            format!("--config-test={}", file.trim_start_matches('=')).into()
        }
        Some(_) | None => word,
    }
}

/// The signals of keepalived that mean the same here.
fn signal_number(name: &str) -> u8 {
    let number = match name {
        "STOP" => 15,
        "RELOAD" => 1,
        other => {
            eprintln!("error: `{other}` is no signal of vipd: STOP or RELOAD");
            return FAILED;
        }
    };
    println!("{number}");
    FINE
}

/// Both letters ask for both.
fn scope(matches: &ArgMatches) -> Scope {
    match (matches.get_flag("vrrp"), matches.get_flag("check")) {
        (true, false) => Scope::VrrpOnly,
        (false, true) => Scope::ChecksOnly,
        (true, true) | (false, false) => Scope::All,
    }
}

fn source(matches: &ArgMatches) -> io::Result<Source> {
    let file = matches.get_one::<String>("use-file").map_or(FILE, String::as_str);
    let options = Options {
        config_id: Some(matches.get_one::<String>("config-id").cloned().unwrap_or_else(host)),
        scope: scope(matches),
        ..Options::default()
    };
    // In the background it is read from another folder.
    Ok(Source { file: std::path::absolute(file)?, options })
}

/// The short name of this machine.
fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().split('.').next().unwrap_or_default().to_string()
}

/// `-t`: what is to be said goes to standard error, or to the file that is named.
fn test(matches: &ArgMatches, log: &Path, colour: Colour) -> io::Result<u8> {
    let source = source(matches)?;
    let (report, status) = match source.load() {
        Ok(loaded) => {
            let adjusted = adjusted(&loaded.report);
            (loaded.report, if adjusted { TEST_ADJUSTED } else { FINE })
        }
        Err(report) => (*report, TEST_UNUSABLE),
    };
    if log.as_os_str().is_empty() {
        write_report(&report, colour, &mut io::stderr())?;
    } else {
        let mut file = File::options();
        let opened = file.write(true).create(true).truncate(true).mode(0o600).open(log);
        let named = |error| io::Error::other(format!("{}: {error}", log.display()));
        write_report(&report, Colour::Never, &mut opened.map_err(named)?)?;
    }
    Ok(status)
}

fn write_report(report: &Report, colour: Colour, to: &mut dyn Write) -> io::Result<()> {
    let text = report.render(colour);
    if text.trim().is_empty() { Ok(()) } else { writeln!(to, "{}", text.trim_end()) }
}

fn adjusted(report: &Report) -> bool {
    report.diagnostics.warnings().any(|warning| ADJUSTED.contains(&warning.code))
}

fn run(matches: &ArgMatches, colour: Colour) -> io::Result<u8> {
    let source = source(matches)?;
    if fs::metadata(&source.file).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        eprintln!("error: there is no file {}", source.file.display());
        return Ok(NO_FILE);
    }
    log(matches)?.init();
    if let Some(mask) = matches.get_one::<String>("umask") {
        umask(self::mask(mask)?);
    }
    if let Some(name) = matches.get_one::<String>("namespace") {
        enter(name)?;
    }
    if matches.get_flag("dump-conf") {
        let form = Form::Text;
        show(&source.file, &source.options, form, colour, &mut io::stderr(), &mut io::sink())?;
    }
    let path = |name: &str, default: &str| -> io::Result<PathBuf> {
        std::path::absolute(matches.get_one::<String>(name).map_or(default, String::as_str))
    };
    let pid_files = pid_files(matches);
    let pid_files = pid_files.iter().map(|(name, default)| path(name, default));
    let started = startup::run(&Run {
        source: &source,
        control: &path("socket", DEFAULT_PATH)?,
        colour,
        detach: !matches.get_flag("dont-fork"),
        pid_files: pid_files.collect::<io::Result<_>>()?,
        journal: None,
    });
    Ok(match started {
        Ok(Ended::Released) => FINE,
        Ok(Ended::GaveUp) => FAILED,
        Err(failure) => {
            eprintln!("error: {failure}");
            match failure {
                Failure::Unusable => CONFIG,
                Failure::Unprivileged(_) => PERMISSION,
                Failure::Refused { .. } => FAILED,
            }
        }
    })
}

/// The process is named for each part that it does. That it does health checks, too, is said where
/// somebody asks for it.
fn pid_files(matches: &ArgMatches) -> Vec<(&'static str, &'static str)> {
    let asked = matches.value_source("checkers_pid").is_some();
    match scope(matches) {
        Scope::VrrpOnly => vec![PID_FILE, VRRP_PID_FILE],
        Scope::ChecksOnly => vec![PID_FILE, CHECKERS_PID_FILE],
        Scope::All if asked => vec![PID_FILE, VRRP_PID_FILE, CHECKERS_PID_FILE],
        Scope::All => vec![PID_FILE, VRRP_PID_FILE],
    }
}

/// To syslog unless `-G`, to standard error with `-l`, or if it is the only place that there is.
fn log(matches: &ArgMatches) -> io::Result<Log> {
    let facility = match matches.get_one::<String>("log-facility") {
        None => Facility::DAEMON,
        Some(name) => Facility::named(name)
            .ok_or_else(|| io::Error::other(format!("`{name}` is no log facility (-S)")))?,
    };
    let silent = matches.get_flag("no-syslog");
    let nobody = !silent && !Path::new(SYSLOG).exists() && matches.get_flag("dont-fork");
    Ok(Log {
        level: if matches.get_flag("log-detail") { Level::DEBUG } else { Level::INFO },
        console: matches.get_flag("log-console") || nobody,
        syslog: (!silent).then_some(facility),
    })
}

/// A number as C writes it: octal behind a `0`, hexadecimal behind a `0x`.
fn mask(text: &str) -> io::Result<Mode> {
    let number = if let Some(digits) = text.strip_prefix("0x") {
        u32::from_str_radix(digits, 16)
    } else if let Some(digits) = text.strip_prefix('0').filter(|digits| !digits.is_empty()) {
        u32::from_str_radix(digits, 8)
    } else {
        text.parse()
    };
    let mask = number.ok().and_then(Mode::from_bits).filter(|mask| mask.bits() <= 0o777);
    mask.ok_or_else(|| io::Error::other(format!("`{text}` is no umask (-u)")))
}

/// Enters a named network namespace (ip-netns(8)). There is one thread yet.
fn enter(name: &str) -> io::Result<()> {
    let named = |error: io::Error| io::Error::other(format!("network namespace {name}: {error}"));
    let namespace = File::open(Path::new("/run/netns").join(name)).map_err(named)?;
    setns(namespace, CloneFlags::CLONE_NEWNET).map_err(|error| named(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_decides_wherever_the_program_stands() {
        for name in ["keepalived", "/usr/sbin/keepalived", "./keepalived"] {
            assert!(is_meant(OsStr::new(name)), "{name}");
        }
        for name in ["vipd", "/usr/sbin/vipd", "/etc/keepalived/vipd", "keepalived2", ""] {
            assert!(!is_meant(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn the_file_of_t_stands_behind_the_letter() {
        let apart = |word: &str| test_file_apart(word.into()).into_string().expect("text");
        assert_eq!(apart("-t"), "-t");
        assert_eq!(apart("-t/tmp/log"), "--config-test=/tmp/log");
        assert_eq!(apart("-t=/tmp/log"), "--config-test=/tmp/log");
        assert_eq!(apart("-f/tmp/file"), "-f/tmp/file");
    }

    #[test]
    fn masks_are_numbers_as_c_writes_them() {
        let bits = |text| mask(text).map(|mask| mask.bits()).ok();
        assert_eq!(bits("022"), Some(0o22));
        assert_eq!(bits("0x12"), Some(0o22));
        assert_eq!(bits("18"), Some(0o22));
        assert_eq!(bits("0"), Some(0));
        for wrong in ["999", "8x", "", "-1", "01000"] {
            assert_eq!(bits(wrong), None, "{wrong}");
        }
    }
}
