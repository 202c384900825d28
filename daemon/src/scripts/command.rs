//! A command of the file as a process that can be started: its words, and the account that it is to
//! have.
//!
//! Accounts are looked up in /etc/passwd and /etc/group alone: a static program has no other way.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Stdio;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use vipd_config::trackers::ScriptUser;

/// Who runs a script that names nobody, if there is such a user; else whoever we are.
const DEFAULT_USER: &str = "keepalived_script";

/// Makes it ready, in a process group of its own and with no signal blocked. It ends with us; what
/// else is in its group does so by a [`Group`].
///
/// # Errors
/// There is no command, no such account, or root would run what somebody else may change.
pub fn prepare(command: &str, user: Option<&ScriptUser>, only_safe: bool) -> io::Result<Command> {
    let words = words(command);
    let Some((program, arguments)) = words.split_first() else {
        return Err(io::Error::other("there is no command"));
    };
    let account = match user {
        Some(user) => Some(account(user)?),
        None => account(&ScriptUser { user: DEFAULT_USER.to_string(), group: None }).ok(),
    };
    let is_root = account.is_none_or(|(user, _)| user == 0);
    if only_safe && is_root {
        others_cannot_replace(Path::new(program))?;
    }
    let mut command = Command::new(program);
    vipd_sys::begin_with_no_signal_blocked(command.as_std_mut());
    command.args(arguments).process_group(0).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Some((user, group)) = account {
        command.uid(user).gid(group);
    }
    Ok(command)
}

/// The process group of a command that runs. Unless it ended by itself, all that is in it is killed
/// when this is dropped.
#[derive(Debug)]
pub struct Group(Option<Pid>);

impl Group {
    /// That of a command that was just started.
    pub fn of(running: &Child) -> Self {
        Self(running.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw))
    }

    /// The command has ended: what it left behind it left on purpose, and its number is free.
    pub fn ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // There may be nobody left in it.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

/// A command as a shell would split it, without anything else that a shell does.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut letters = command.chars();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\\', None | Some('"')) => {
                word.get_or_insert_default().extend(letters.next());
            }
            (_, Some(open)) if letter == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (_, None) if letter.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

/// The numbers of a user and a group; the user's own group unless one is named.
///
/// # Errors
/// There is no such user or group.
pub fn account(user: &ScriptUser) -> io::Result<(u32, u32)> {
    let ScriptUser { user, group } = user;
    let unknown = |what, name| io::Error::other(format!("there is no {what} {name}"));
    let passwd = fs::read_to_string("/etc/passwd")?;
    let (id, own) = numbers(&passwd, user).ok_or_else(|| unknown("user", user))?;
    match group {
        None => Ok((id, own.ok_or_else(|| unknown("group of", user))?)),
        Some(group) => {
            let groups = fs::read_to_string("/etc/group")?;
            let (group, _) = numbers(&groups, group).ok_or_else(|| unknown("group", group))?;
            Ok((id, group))
        }
    }
}

/// The third and the fourth field of the line that begins with this name.
fn numbers(table: &str, name: &str) -> Option<(u32, Option<u32>)> {
    let mut rows = table.lines().map(|line| line.split(':'));
    let mut fields = rows.find_map(|mut row| (row.next() == Some(name)).then_some(row))?;
    let first = fields.nth(1)?.parse().ok()?;
    Some((first, fields.next().and_then(|field| field.parse().ok())))
}

/// `enable_script_security`: what root runs, and every folder above it, is root's and nobody else
/// may write to it.
fn others_cannot_replace(program: &Path) -> io::Result<()> {
    let real = fs::canonicalize(program)?;
    for place in real.ancestors() {
        let facts = fs::metadata(place)?;
        let sticky = facts.is_dir() && facts.mode() & 0o1000 != 0;
        if facts.uid() != 0 || (facts.mode() & 0o022 != 0 && !sticky) {
            let place = place.display();
            return Err(io::Error::other(format!("not run as root: others may change {place}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_split_as_a_shell_would() {
        assert_eq!(words("/usr/bin/killall -0  haproxy"), ["/usr/bin/killall", "-0", "haproxy"]);
        assert_eq!(words(r#"a "b c" 'd "e' f\ g "" h"i""#), ["a", "b c", "d \"e", "f g", "", "hi"]);
        assert_eq!(words("  "), [""; 0]);
    }

    #[test]
    fn accounts_are_lines_of_two_tables() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nwww:x:33:34::/:/bin/false\n";
        assert_eq!(numbers(passwd, "www"), Some((33, Some(34))));
        assert_eq!(numbers("adm:x:4:syslog\n", "adm"), Some((4, None)));
        assert_eq!(numbers(passwd, "ww"), None);
    }
}
