//! The thread that writes the journal down. It may wait for the disk; nobody waits for it.

use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use tracing::{info, warn};
use vipd_frames::journal::{Entry, FORM, Head, Loss};

use super::folder::Folder;
use super::{Beginning, Line, Shared};

/// Octets of inputs in a segment: the first input after that begins the next one. The snapshot
/// comes on top.
pub const SEGMENT_OCTETS: u64 = 8 << 20;
/// A disk that refused is tried again after this long.
pub const RETRY_AFTER: Duration = Duration::from_secs(5);
/// Octets that are gathered before they are written, at most. They are written anyway as soon as
/// nothing more waits.
const GATHERED: usize = 64 << 10;

pub(super) struct Writer {
    folder: Folder,
    segment_octets: u64,
    shared: Arc<Shared>,
    segment: Option<Open>,
    /// When a new segment is tried, after a failure.
    retry_at: Option<Instant>,
    /// Inputs that could not be written since a segment was.
    unwritten: u64,
}

/// The segment that is being written.
struct Open {
    file: File,
    /// Octets in the file, all of whole lines.
    written: u64,
    /// Lines that are not in the file yet, and how many of them are inputs.
    gathered: Vec<u8>,
    inputs: u64,
    /// Octets of the head.
    head: u64,
    /// The next one was asked for.
    is_full: bool,
}

impl Writer {
    pub(super) fn new(folder: Folder, segment_octets: u64, shared: Arc<Shared>) -> Self {
        Self { folder, segment_octets, shared, segment: None, retry_at: None, unwritten: 0 }
    }

    /// Writes until the other end is gone and nothing waits.
    pub(super) fn run(mut self, lines: &Receiver<Line>) {
        loop {
            let line = match lines.try_recv() {
                Ok(line) => line,
                Err(TryRecvError::Disconnected) => break,
                Err(TryRecvError::Empty) => {
                    self.flush();
                    let Ok(line) = lines.recv() else { break };
                    line
                }
            };
            let weight = match line {
                Line::Begin(beginning) => {
                    self.begin(*beginning);
                    0
                }
                Line::Entry(entry, weight) => {
                    self.enter(&entry);
                    weight
                }
            };
            self.shared.waiting_entries.fetch_sub(1, Ordering::Relaxed);
            self.shared.waiting_octets.fetch_sub(weight, Ordering::Relaxed);
        }
        self.flush();
    }

    fn begin(&mut self, beginning: Beginning) {
        let lost = beginning.lost;
        if let Some(segment) = self.segment.as_mut().filter(|_| lost > 0) {
            // Writing to memory cannot fail.
            let _ = Loss { lost }.write(&mut segment.gathered);
        }
        self.flush();
        self.segment = None;
        self.unwritten += lost;
        match self.create(beginning) {
            Ok(segment) => {
                self.segment = Some(segment);
                self.recovered();
            }
            Err(error) => self.failed(&error),
        }
    }

    fn create(&mut self, beginning: Beginning) -> io::Result<Open> {
        let (path, number, file) = self.folder.begin()?;
        let Beginning { at, unix_ns, engine, .. } = beginning;
        let (vipd, lost_before) = (env!("CARGO_PKG_VERSION").to_string(), self.unwritten);
        let vipd_journal = FORM;
        let head = Head { vipd_journal, vipd, segment: number, at, unix_ns, lost_before, engine };
        let mut gathered = Vec::new();
        head.write(&mut gathered)?;
        let head = gathered.len() as u64;
        let mut open = Open { file, written: 0, gathered, inputs: 0, head, is_full: false };
        if let Err(error) = open.flush() {
            drop(open);
            // A segment without a head is none. It may stay if the disk refuses that too.
            let _ = std::fs::remove_file(&path);
            return Err(error);
        }
        *self.shared.segment.lock().unwrap_or_else(PoisonError::into_inner) = Some(path);
        Ok(open)
    }

    fn enter(&mut self, entry: &Entry) {
        let Some(segment) = &mut self.segment else {
            self.unwritten += 1;
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
            if self.retry_at.is_some_and(|at| at <= Instant::now()) {
                self.retry_at = None;
                self.shared.wants_segment.store(true, Ordering::Relaxed);
            }
            return;
        };
        // Writing to memory cannot fail.
        let _ = entry.write(&mut segment.gathered);
        segment.inputs += 1;
        let octets = segment.written + segment.gathered.len() as u64 - segment.head;
        if octets >= self.segment_octets && !std::mem::replace(&mut segment.is_full, true) {
            self.shared.wants_segment.store(true, Ordering::Relaxed);
        }
        if segment.gathered.len() >= GATHERED {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let Some(segment) = &mut self.segment else { return };
        let inputs = segment.inputs;
        match segment.flush() {
            Ok(()) => {
                self.shared.written.fetch_add(inputs, Ordering::Relaxed);
            }
            Err(error) => {
                self.segment = None;
                self.unwritten += inputs;
                self.shared.lost.fetch_add(inputs, Ordering::Relaxed);
                self.failed(&error);
            }
        }
    }

    /// Told once, until it works again.
    fn failed(&mut self, error: &io::Error) {
        self.retry_at = Some(Instant::now() + RETRY_AFTER);
        self.shared.failures.fetch_add(1, Ordering::Relaxed);
        *self.shared.segment.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let mut told = self.shared.error.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = told.replace(error.to_string()).is_none();
        drop(told);
        if is_new {
            let (folder, seconds) = (self.folder.path().display(), RETRY_AFTER.as_secs());
            warn!("the journal in {folder} cannot be written: {error}, tried every {seconds} s");
        }
    }

    fn recovered(&mut self) {
        let lost = std::mem::take(&mut self.unwritten);
        self.retry_at = None;
        let mut told = self.shared.error.lock().unwrap_or_else(PoisonError::into_inner);
        let had_failed = told.take().is_some();
        drop(told);
        if had_failed {
            info!("the journal is written again, {lost} inputs are missing");
        } else if lost > 0 {
            warn!("{lost} inputs came too fast for the journal, and are missing");
        }
    }
}

impl Open {
    /// Writes what was gathered. After an error the file ends with its last whole line.
    fn flush(&mut self) -> io::Result<()> {
        if let Err(error) = self.file.write_all(&self.gathered) {
            // Else the segment is read as one that was cut.
            let _ = self.file.set_len(self.written);
            return Err(error);
        }
        self.written += self.gathered.len() as u64;
        self.gathered.clear();
        self.inputs = 0;
        Ok(())
    }
}
