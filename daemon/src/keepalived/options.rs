//! The options of keepalived 2.2.7 and what becomes of each here, as one table.

use clap::{Arg, ArgAction, ArgMatches, Command};

/// One option.
pub(super) struct Flag {
    short: Option<char>,
    pub long: &'static str,
    value: Takes,
    help: &'static str,
    standing: Standing,
}

#[derive(Clone, Copy)]
enum Takes {
    Nothing,
    Value(&'static str),
    /// It may be left out.
    Perhaps(&'static str),
}

/// What becomes of an option.
#[derive(Clone, Copy)]
enum Standing {
    /// It does what it says.
    Honoured,
    /// It asks for what is so in any case.
    AlwaysSo,
    /// It is not done, for this reason. Who gives it is told.
    Not(&'static str),
}

use Standing::{AlwaysSo, Honoured, Not};
use Takes::{Nothing, Perhaps, Value};

const fn flag(
    short: char,
    long: &'static str,
    value: Takes,
    help: &'static str,
    standing: Standing,
) -> Flag {
    Flag { short: Some(short), long, value, help, standing }
}

const fn long(long: &'static str, value: Takes, help: &'static str, standing: Standing) -> Flag {
    Flag { short: None, long, value, help, standing }
}

const NO_PROCESS: &str = "there is no such process";
const NO_SNMP: &str = "SNMP is not built";
const NO_CORES: &str = "cores are the system's to set up (ulimit -c, core_pattern)";

pub(super) const FLAGS: [Flag; 34] = [
    flag('f', "use-file", Value("FILE"), "The configuration file", Honoured),
    flag('P', "vrrp", Nothing, "VRRP only: virtual servers are not looked at", Honoured),
    flag('C', "check", Nothing, "Health checks only: no VRRP", Honoured),
    flag('B', "no_bfd", Nothing, "No BFD", AlwaysSo),
    long("all", Nothing, "Start every process", Not("all is done by one process")),
    flag('l', "log-console", Nothing, "Log to standard error", Honoured),
    flag('D', "log-detail", Nothing, "Log interfaces and commands to the kernel, too", Honoured),
    flag('S', "log-facility", Value("FACILITY"), "0-7, local0-local7, user, daemon", Honoured),
    flag('G', "no-syslog", Nothing, "Do not log to syslog", Honoured),
    flag('u', "umask", Value("MASK"), "The umask, as a number", Honoured),
    flag('X', "release-vips", Nothing, "Give addresses back on a signal", AlwaysSo),
    flag(
        'V',
        "dont-release-vrrp",
        Nothing,
        "Keep addresses at the end",
        Not("what was added to the kernel is always taken back"),
    ),
    flag('I', "dont-release-ipvs", Nothing, "Keep virtual servers at the end", AlwaysSo),
    flag('R', "dont-respawn", Nothing, "Start no process again", AlwaysSo),
    flag('n', "dont-fork", Nothing, "Stay in the foreground", Honoured),
    flag('d', "dump-conf", Nothing, "Print what the file means", Honoured),
    flag('p', "pid", Value("FILE"), "The pid file", Honoured),
    flag('r', "vrrp_pid", Value("FILE"), "The pid file of whoever does VRRP", Honoured),
    flag('T', "genhash", Nothing, "Hash a web page", Not("it is not built, and nothing is run")),
    flag('c', "checkers_pid", Value("FILE"), "The pid file of whoever checks", Honoured),
    flag(
        'a',
        "address-monitoring",
        Nothing,
        "Log every address that comes or goes",
        Not("only addresses of instances are logged"),
    ),
    flag('b', "bfd_pid", Value("FILE"), "BFD's pid file", Not(NO_PROCESS)),
    flag('x', "snmp", Nothing, "Enable SNMP", Not(NO_SNMP)),
    flag('A', "snmp-agent-socket", Value("FILE"), "The agent's socket", Not(NO_SNMP)),
    flag('s', "namespace", Value("NAME"), "Run in this network namespace", Honoured),
    flag('m', "core-dump", Nothing, "Dump core", Not(NO_CORES)),
    flag('M', "core-dump-pattern", Perhaps("PATTERN"), "How cores are called", Not(NO_CORES)),
    flag(
        'e',
        "all-config",
        Nothing,
        "A file that an include names must be there",
        Not("write `include_check` into `global_defs`"),
    ),
    flag('i', "config-id", Value("ID"), "What `@id` lines are compared with", Honoured),
    long("signum", Value("NAME"), "Print the number of the signal STOP or RELOAD", Honoured),
    flag('t', "config-test", Perhaps("LOG"), "Check the file, remarks to LOG or stderr", Honoured),
    flag('v', "version", Nothing, "Print the version", Honoured),
    long("socket", Value("PATH"), "vipd's own: the control socket", Honoured),
    flag(
        'g',
        "log-file",
        Perhaps("FILE"),
        "Log to a file",
        Not("whoever reads standard error or syslog writes files"),
    ),
];

/// Words that are no option.
const EXTRA: &str = "extra";

/// The command line.
pub(super) fn command() -> Command {
    let about = "vipd, called as keepalived. `vipd --help` is its own command line.";
    let command = Command::new("keepalived").about(about).disable_version_flag(true);
    let extra = Arg::new(EXTRA).num_args(0..).hide(true);
    // As getopt_long(3) does it.
    let command = command.infer_long_args(true).args_override_self(true).arg(extra);
    FLAGS.iter().fold(command, |command, flag| command.arg(flag.argument()))
}

impl Flag {
    fn argument(&self) -> Arg {
        let argument = Arg::new(self.long).long(self.long);
        let argument = self.short.into_iter().fold(argument, Arg::short);
        let argument = match self.value {
            Nothing => argument.action(ArgAction::SetTrue),
            Value(name) => argument.value_name(name),
            Perhaps(name) => argument
                .value_name(name)
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value(""),
        };
        argument.help(match self.standing {
            Honoured | AlwaysSo => self.help.to_string(),
            Not(why) => format!("{}. Not honoured: {why}", self.help),
        })
    }

    fn is_given(&self, matches: &ArgMatches) -> bool {
        matches.value_source(self.long) == Some(clap::parser::ValueSource::CommandLine)
    }

    fn name(&self) -> String {
        match self.short {
            Some(letter) => format!("-{letter} (--{})", self.long),
            None => format!("--{}", self.long),
        }
    }
}

/// What is to be said of options that are not honoured, a line each.
pub(super) fn remarks(matches: &ArgMatches) -> Vec<String> {
    let unhonoured = FLAGS.iter().filter_map(|flag| match flag.standing {
        Not(why) if flag.is_given(matches) => {
            Some(format!("{} is not honoured: {why}", flag.name()))
        }
        Honoured | AlwaysSo | Not(_) => None,
    });
    let extra = matches.get_many::<String>(EXTRA).into_iter().flatten();
    let extra = extra.map(|word| format!("`{word}` is no option, and is passed over"));
    unhonoured.chain(extra).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(words: &[&str]) -> Result<ArgMatches, clap::Error> {
        command().try_get_matches_from([&["keepalived"], words].concat())
    }

    #[test]
    fn letters_stand_together_and_values_in_every_way_of_getopt() {
        let given = matches(&["-nlDP", "-f", "a.conf", "-p/run/x", "--config-i=lb1"]).unwrap();
        for long in ["dont-fork", "log-console", "log-detail", "vrrp"] {
            assert!(given.get_flag(long), "{long}");
        }
        let value = |long| given.get_one::<String>(long).map(String::as_str);
        assert_eq!(value("use-file"), Some("a.conf"));
        assert_eq!(value("pid"), Some("/run/x"));
        assert_eq!(value("config-id"), Some("lb1"));
        assert_eq!(value("config-test"), None);
        assert_eq!(remarks(&given), [""; 0]);
        let file = matches(&["--config-test=/tmp/log"]).unwrap();
        assert_eq!(file.get_one::<String>("config-test").map(String::as_str), Some("/tmp/log"));
        let none = matches(&["-t", "-f", "x"]).unwrap();
        assert_eq!(none.get_one::<String>("config-test").map(String::as_str), Some(""));
    }

    #[test]
    fn what_is_not_honoured_is_named_once_each_and_what_nobody_knows_is_an_error() {
        let given = matches(&["-n", "-V", "-x", "-x", "-b", "/run/b.pid", "word"]).unwrap();
        let remarks = remarks(&given).join("\n");
        for part in ["-V (--dont", "-x (--snmp)", "-b (--bfd_pid)", "`word` is no option"] {
            assert_eq!(remarks.matches(part).count(), 1, "{part} in\n{remarks}");
        }
        assert_eq!(remarks.lines().count(), 4, "{remarks}");
        assert!(matches(&["--bogus"]).is_err() && matches(&["-Z"]).is_err());
    }

    #[test]
    fn the_page_says_what_becomes_of_every_option() {
        let page = include_str!("../../../docs/keepalived.md");
        for flag in &FLAGS {
            let option = flag.name().split(' ').next().expect("a name").to_string();
            let rows = page.lines().filter(|line| line.starts_with('|'));
            let mut cells = rows.filter_map(|row| row.split('|').nth(1));
            let named = cells.any(|cell| cell.contains(&format!("`{option}`")));
            assert!(named, "docs/keepalived.md has no row with `{option}`");
        }
    }
}
