//! Tracked processes: how many of each run. /proc is looked at once a second; the end of one that
//! counts is noticed at once, by a descriptor that stands for it.
//!
//! The kernel's connector for process events would tell of starts at once too, but only in the
//! first network and process namespace: in a container it is silent.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::future::poll_fn;
use std::os::fd::OwnedFd;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tracing::{info, warn};
use vipd_config::trackers::{ParamMatch, TrackedProcess};
use vipd_engine::TrackerValue;

use super::Tell;
use super::quorum::Quorum;

/// How often /proc is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After the end of one process, those that end with it are waited for.
const ENDS_TOGETHER: Duration = Duration::from_millis(10);
/// Processes whose end is noticed at once; that of others is when /proc is looked at.
const MOST_WATCHED: usize = 256;
/// The kernel cuts the name of a process after so many octets.
const LONGEST_NAME: usize = 15;

/// Counts processes for as long as somebody may name others. What a new list has as before keeps
/// what is believed of it.
pub(super) async fn watch(mut lists: mpsc::UnboundedReceiver<Vec<TrackedProcess>>, tell: Tell) {
    let began = Instant::now();
    let mut tracked: Vec<Quorum> = Vec::new();
    let mut ends = Ends::default();
    loop {
        let now = began.elapsed();
        let processes: Vec<_> = tracked.iter().map(|one| one.process().clone()).collect();
        let found = if processes.is_empty() {
            Vec::new()
        } else {
            // Many small files: the run loop is not to wait for them.
            let looked = tokio::task::spawn_blocking(move || running(&processes)).await;
            looked.unwrap_or_default()
        };
        ends.watch(found.iter().flatten().copied());
        for (one, found) in tracked.iter_mut().zip(&found) {
            let value = one.on_count(now, found.len());
            report(one, value, &tell).await;
        }
        let next_look = now + LOOK_EVERY;
        while began.elapsed() < next_look {
            let due = tracked.iter().filter_map(Quorum::due).min();
            let wake = due.into_iter().chain([next_look]).min().unwrap_or(next_look);
            tokio::select! {
                list = lists.recv() => {
                    let Some(list) = list else { return };
                    tracked = taken_over(tracked, list);
                    break;
                }
                () = ends.any() => {
                    sleep(ENDS_TOGETHER).await;
                    break;
                }
                () = sleep(wake.saturating_sub(began.elapsed())), if !tracked.is_empty() => {}
            }
            let now = began.elapsed();
            for one in &mut tracked {
                let value = one.on_time(now);
                report(one, value, &tell).await;
            }
        }
    }
}

fn taken_over(mut known: Vec<Quorum>, list: Vec<TrackedProcess>) -> Vec<Quorum> {
    let each = list.into_iter().map(|process| {
        let place = known.iter().position(|one| *one.process() == process);
        place.map_or_else(|| Quorum::new(process), |place| known.swap_remove(place))
    });
    each.collect()
}

async fn report(one: &Quorum, value: Option<TrackerValue>, tell: &Tell) {
    let Some(value) = value else { return };
    let (name, count) = (&one.process().name, one.count());
    match value {
        TrackerValue::Up => info!("vrrp_track_process {name} is good: {count} running"),
        _ => warn!("vrrp_track_process {name} is bad: {count} running"),
    }
    tell.value(name, value).await;
}

/// The processes whose end is waited for.
#[derive(Default)]
struct Ends(BTreeMap<u32, AsyncFd<OwnedFd>>);

impl Ends {
    /// These from now on. One that has ended meanwhile is missing when /proc is looked at again.
    fn watch(&mut self, wanted: impl Iterator<Item = u32>) {
        let wanted: BTreeSet<u32> = wanted.collect();
        self.0.retain(|pid, _| wanted.contains(pid));
        for pid in wanted {
            if self.0.len() < MOST_WATCHED
                && !self.0.contains_key(&pid)
                && let Ok(end) = vipd_sys::process_end(pid).and_then(|end| vipd_sys::watch(&end))
            {
                self.0.insert(pid, end);
            }
        }
    }

    /// Waits for the end of any of them, and forgets who has ended.
    async fn any(&mut self) {
        poll_fn(|context| {
            let before = self.0.len();
            self.0.retain(|_, end| end.poll_read_ready(context).is_pending());
            if self.0.len() < before { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// The processes that match each of these. One that has ended and was not waited for runs no more.
fn running(tracked: &[TrackedProcess]) -> Vec<Vec<u32>> {
    let mut found = vec![Vec::new(); tracked.len()];
    let with_lines = tracked.iter().any(TrackedProcess::reads_command_lines);
    let Ok(entries) = fs::read_dir("/proc") else { return found };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // It may end at any time.
        let Ok(stat) = fs::read(entry.path().join("stat")) else { continue };
        let Some(name) = living_name(&stat) else { continue };
        let line = if with_lines {
            fs::read(entry.path().join("cmdline")).unwrap_or_default()
        } else {
            Vec::new()
        };
        for (process, found) in tracked.iter().zip(&mut found) {
            if matches(process, name, &line) {
                found.push(pid);
            }
        }
    }
    found
}

/// The name in `/proc/PID/stat`, which is between the first and the last parenthesis and may have
/// others in it; none if the letter behind it says that the process is dead.
fn living_name(stat: &[u8]) -> Option<&[u8]> {
    let from = stat.iter().position(|octet| *octet == b'(')? + 1;
    let until = stat.iter().rposition(|octet| *octet == b')')?;
    let state = stat.get(until + 2)?;
    if matches!(state, b'Z' | b'X' | b'x') { None } else { stat.get(from..until) }
}

/// Whether a process is one of those tracked: by its name, or by the words of its command line,
/// each of which ends with a zero.
fn matches(process: &TrackedProcess, name: &[u8], line: &[u8]) -> bool {
    let program = process.program.as_bytes();
    if !process.reads_command_lines() {
        return name == &program[..program.len().min(LONGEST_NAME)];
    }
    let first = line.iter().position(|octet| *octet == 0).unwrap_or(line.len());
    let (word, rest) = line.split_at(first);
    let given = rest.get(1..).unwrap_or_default();
    let wanted = process.parameters.iter().flat_map(|word| word.bytes().chain([0]));
    let wanted: Vec<u8> = wanted.collect();
    word == program
        && match process.param_match {
            None if process.parameters.is_empty() => true,
            Some(_) if process.parameters.is_empty() => given.is_empty(),
            None => given == wanted,
            Some(ParamMatch::Partial) => given.starts_with(&wanted),
            Some(ParamMatch::Initial) => given.starts_with(&wanted[..wanted.len() - 1]),
        }
}

#[cfg(test)]
mod tests {
    use super::super::quorum::tests::process;
    use super::*;

    #[test]
    fn the_name_is_between_the_outer_parentheses_and_a_dead_process_has_none() {
        assert_eq!(living_name(b"7 (cat) S 1 7"), Some(&b"cat"[..]));
        assert_eq!(living_name(b"7 (a) R (b) R 1"), Some(&b"a) R (b"[..]));
        assert_eq!(living_name(b"7 (cat) Z 1 7"), None);
        assert_eq!(living_name(b"7 (cat"), None);
        assert_eq!(living_name(b""), None);
    }

    #[test]
    fn without_parameters_the_name_decides_as_far_as_the_kernel_keeps_it() {
        assert!(matches(&process("sshd"), b"sshd", b"anything\0"));
        assert!(!matches(&process("ssh"), b"sshd", b""), "no part of a name");
        let long = process("a-name-of-twenty-one");
        assert!(matches(&long, b"a-name-of-twent", b""));
    }

    #[test]
    fn with_full_command_the_first_word_decides() {
        let full = TrackedProcess { full_command: true, ..process("/bin/cat") };
        assert!(matches(&full, b"cat", b"/bin/cat\0-n\0"));
        assert!(matches(&full, b"other", b"/bin/cat\0"));
        assert!(!matches(&full, b"cat", b"cat\0-n\0"));
        assert!(!matches(&full, b"cat", b""), "a thread of the kernel");
    }

    #[test]
    fn parameters_are_all_there_or_come_first_or_begin_the_same() {
        let with = |param_match, words: &[&str]| TrackedProcess {
            parameters: words.iter().map(|word| (*word).to_string()).collect(),
            param_match,
            ..process("p")
        };
        let table = [
            (None, &["-a", "b c"][..], &b"p\0-a\0b c\0"[..], true),
            (None, &["-a"], b"p\0-a\0more\0", false),
            (Some(ParamMatch::Partial), &["-a"], b"p\0-a\0more\0", true),
            (Some(ParamMatch::Partial), &["-a"], b"p\0-ab\0", false),
            (Some(ParamMatch::Initial), &["-a"], b"p\0-ab\0more\0", true),
            (Some(ParamMatch::Initial), &["-a", "x"], b"p\0-a\0", false),
            (Some(ParamMatch::Initial), &[], b"p\0", true),
            (Some(ParamMatch::Partial), &[], b"p\0-a\0", false),
            (Some(ParamMatch::Partial), &["-a"], b"q\0-a\0", false),
        ];
        for (how, words, line, expected) in table {
            assert_eq!(matches(&with(how, words), b"p", line), expected, "{how:?} {words:?}");
        }
    }

    #[test]
    fn this_process_is_found_in_proc() {
        let stat = fs::read("/proc/self/stat").expect("proc is mounted");
        let own = String::from_utf8_lossy(living_name(&stat).expect("we live")).to_string();
        let line = fs::read("/proc/self/cmdline").expect("proc is mounted");
        let first = line.split(|octet| *octet == 0).next().unwrap_or_default();
        let full =
            TrackedProcess { full_command: true, ..process(&String::from_utf8_lossy(first)) };
        let found = running(&[process(&own), full, process("no such process")]);
        let pid = std::process::id();
        assert!(found[0].contains(&pid) && found[1].contains(&pid), "{found:?}");
        assert_eq!(found[2], [0; 0]);
    }
}
