//! The helper's side: it runs what it is asked to if the file has it, each script in a process
//! group of its own with a time limit, as the account that it is to have.
//!
//! Until it is told of a file with scripts it only waits for its pipe: no runtime, hardly
//! any memory. Accounts are looked up in /etc/passwd and /etc/group alone: a static program has no
//! other way.

use std::fs;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::pipe;
use tokio::process::Command;
use tokio::sync::mpsc;

use super::permitted::Permitted;
use crate::reload::Source;

/// Who runs a script that names nobody, if there is such a user; else whoever we are.
const DEFAULT_USER: &str = "keepalived_script";
/// Answers that wait to be written.
const WAITING_ANSWERS: usize = 64;

/// Octets of the first question that are read before there is a runtime.
const FIRST_READ: usize = 4096;

/// Serves standard input until it ends.
///
/// # Errors
/// Those of the runtime and of standard input.
pub fn serve(source: &Source) -> io::Result<()> {
    // Who ends or reloads all that is called vipd means the one that started us: our end is that of
    // the pipe. Scripts begin with no signal blocked.
    let signals = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];
    signals.into_iter().collect::<SigSet>().thread_block()?;
    let mut begun = vec![0; FIRST_READ];
    let length = fs::File::from(io::stdin().as_fd().try_clone_to_owned()?).read(&mut begun)?;
    begun.truncate(length);
    if begun.is_empty() {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (answers, mut due) = mpsc::channel::<Value>(WAITING_ANSWERS);
        let mut output = pipe::Sender::from_owned_fd(io::stdout().as_fd().try_clone_to_owned()?)?;
        tokio::spawn(async move {
            while let Some(answer) = due.recv().await {
                if output.write_all(format!("{answer}\n").as_bytes()).await.is_err() {
                    return;
                }
            }
        });
        let input = pipe::Receiver::from_owned_fd(io::stdin().as_fd().try_clone_to_owned()?)?;
        let mut questions = BufReader::new(AsyncReadExt::chain(&begun[..], input)).lines();
        let mut permitted = Permitted::default();
        while let Some(line) = questions.next_line().await? {
            let Ok(question) = serde_json::from_str::<Value>(&line) else { continue };
            if question["configure"].as_bool() == Some(true) {
                // One that cannot be used any more changes nothing.
                permitted = source.load().map_or(permitted, |loaded| Permitted::of(&loaded));
                continue;
            }
            let safety = permitted.safety(&question);
            let answers = answers.clone();
            tokio::spawn(async move {
                let ended = match safety {
                    Some(only_safe) => run(&question, only_safe).await,
                    None => Ok("not run: the file does not have it".to_string()),
                };
                let (good, said) = match ended {
                    Ok(status) => (status.is_empty(), status),
                    Err(error) => (false, error.to_string()),
                };
                let answer = json!({ "number": question["number"], "good": good, "said": said });
                let _ = answers.send(answer).await;
            });
        }
        // Nobody is left to answer. Scripts that run are killed as their tasks are dropped.
        Ok(())
    })
}

/// Runs a script to its end. Answers with what was wrong, nothing if nothing was.
async fn run(question: &Value, only_safe: bool) -> io::Result<String> {
    let words = words(question["command"].as_str().unwrap_or_default());
    let Some((program, arguments)) = words.split_first() else {
        return Ok("there is no command".to_string());
    };
    let account = match question["user"].as_str() {
        Some(user) => Some(account(user, question["group"].as_str())?),
        None => account(DEFAULT_USER, None).ok(),
    };
    let is_root = account.is_none_or(|(user, _)| user == 0);
    if only_safe && is_root {
        others_cannot_replace(Path::new(program))?;
    }
    let mut command = Command::new(program);
    let more = question["arguments"].as_array().into_iter().flatten().filter_map(Value::as_str);
    command.args(arguments).args(more).process_group(0).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Some((user, group)) = account {
        command.uid(user).gid(group);
    }
    let mut running = command.spawn()?;
    let group = running.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    let limit = Duration::from_millis(question["timeout_ms"].as_u64().unwrap_or_default());
    let Ok(ended) = tokio::time::timeout(limit, running.wait()).await else {
        // Its children too, or a pipe of theirs would keep them.
        let _ = group.map(|group| killpg(group, Signal::SIGKILL));
        running.wait().await?;
        return Ok(format!("did not end within {limit:?}"));
    };
    let ended = ended?;
    Ok(if ended.success() { String::new() } else { ended.to_string() })
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
fn account(user: &str, group: Option<&str>) -> io::Result<(u32, u32)> {
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
