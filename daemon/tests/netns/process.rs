//! A process of ours with its standard error, ended by its own id.

use std::cell::Cell;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::PATIENCE;

/// Lines so far, and whether that was all.
type Said = Arc<(Mutex<(Vec<String>, bool)>, Condvar)>;

/// A running program.
pub struct Process {
    child: Child,
    said: Said,
    /// Lines that were waited for, or passed over.
    heard: Cell<usize>,
}

impl Process {
    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it can be started");
        let said = Said::default();
        let (heard, lines) = (Arc::clone(&said), child.stderr.take().expect("it is piped"));
        std::thread::spawn(move || {
            for line in BufReader::new(lines).lines().map_while(Result::ok) {
                heard.0.lock().unwrap_or_else(PoisonError::into_inner).0.push(line);
                heard.1.notify_all();
            }
            heard.0.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
            heard.1.notify_all();
        });
        Self { child, said, heard: Cell::new(0) }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The process that it started with this word among its arguments. One that has just begun has
    /// none yet.
    pub fn child(&self, word: &str) -> Pid {
        let id = self.child.id();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let listed = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
            let listed = listed.expect("it runs");
            let has_word = |pid: &&str| {
                let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                line.split(|octet| *octet == 0).any(|one| one == word.as_bytes())
            };
            if let Some(found) = listed.split_whitespace().find(has_word) {
                return Pid::from_raw(found.parse().expect("a process id"));
            }
            assert!(Instant::now() < deadline, "it runs nothing with the word {word}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends a signal and answers when.
    pub fn signal(&self, signal: Signal) -> SystemTime {
        let id = i32::try_from(self.child.id()).expect("a process id");
        let now = SystemTime::now();
        kill(Pid::from_raw(id), signal).expect("it runs");
        now
    }

    /// Passes over everything that it has said so far.
    pub fn forget(&self) {
        self.heard.set(self.said.0.lock().unwrap_or_else(PoisonError::into_inner).0.len());
    }

    /// Waits until it says a line with these words, behind the last one that was waited for.
    pub fn wait_for(&self, words: &str) -> String {
        self.wait_for_within(words, PATIENCE)
    }

    /// The same for what takes longer than [`PATIENCE`].
    pub fn wait_for_within(&self, words: &str, patience: Duration) -> String {
        let deadline = Instant::now() + patience;
        let mut said = self.said.0.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let lines = said.0.iter().enumerate().skip(self.heard.get());
            for (number, line) in lines {
                if line.contains(words) {
                    self.heard.set(number + 1);
                    return line.clone();
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero() && !said.1, "never said `{words}`:\n{}", said.0.join("\n"));
            said = self.said.1.wait_timeout(said, left).expect("no panic").0;
        }
    }

    /// Waits until it has said all of these, in any order.
    pub fn wait_for_all(&self, lines: &[&str]) {
        let from = self.heard.get();
        let mut last = from;
        for words in lines {
            self.heard.set(from);
            self.wait_for(words);
            last = last.max(self.heard.get());
        }
        self.heard.set(last);
    }

    /// Everything that it has said.
    pub fn said(&self) -> String {
        self.said.0.lock().unwrap_or_else(PoisonError::into_inner).0.join("\n")
    }

    /// Waits for its end.
    pub fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        let mut said = self.said.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Its standard error ends with it.
        while !said.1 {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "it does not end:\n{}", said.0.join("\n"));
            said = self.said.1.wait_timeout(said, left).expect("no panic").0;
        }
        drop(said);
        self.child.wait().expect("it is our child")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Either is refused if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
