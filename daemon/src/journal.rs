//! The journal as the run loop sees it: every input and what it caused, handed to a thread that
//! writes it down.
//!
//! Nothing here waits. What the thread has not taken yet is bounded; what does not fit is lost,
//! counted, and told in the journal, which goes on in a new segment with a new snapshot. The form
//! is that of [`vipd_frames::journal`].

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use std::{fmt, thread};

use serde_json::{Value, json};
use vipd_engine::config::fib::Route;
use vipd_engine::health::ServerName;
use vipd_engine::ipvs::{Answer, IpvsCommand, Observed, Request};
use vipd_engine::{Engine, Input, Output, Outputs, Snapshot, Timestamp};
use vipd_frames::journal::{Entry, OwnedInput};

use crate::process;

mod folder;
mod writer;

pub use folder::{SEGMENTS_KEPT, Unusable};
pub use writer::{RETRY_AFTER, SEGMENT_OCTETS};

/// Inputs that wait for the thread, at most.
pub const WAITING_ENTRIES: usize = 4096;
/// And as much memory, in octets, roughly.
pub const WAITING_OCTETS: usize = 8 << 20;
/// How long the end waits for the thread: a disk that does not answer keeps nobody.
pub const END_LIMIT: Duration = Duration::from_secs(1);

/// Where a journal is to be.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Its folder.
    pub folder: PathBuf,
    /// Octets of inputs after which a segment ends, [`SEGMENT_OCTETS`] as a rule.
    pub segment_octets: u64,
}

/// What the thread is handed.
enum Line {
    /// A segment begins, `lost` inputs after the last one that was handed over.
    Begin(Box<Beginning>),
    /// An input, what it caused, and its weight.
    Entry(Box<Entry>, usize),
}

struct Beginning {
    at: Timestamp,
    unix_ns: u64,
    lost: u64,
    engine: Snapshot,
}

/// What the loop and the thread both see.
#[derive(Default)]
struct Shared {
    /// The thread wants a segment to begin.
    wants_segment: AtomicBool,
    waiting_entries: AtomicUsize,
    waiting_octets: AtomicUsize,
    written: AtomicU64,
    lost: AtomicU64,
    failures: AtomicU64,
    segment: Mutex<Option<PathBuf>>,
    error: Mutex<Option<String>>,
}

/// The loop's end of the journal.
pub struct Journal {
    folder: PathBuf,
    /// `None` once it ends.
    lines: Option<SyncSender<Line>>,
    ended: Receiver<()>,
    shared: Arc<Shared>,
    /// Inputs that were lost since the last one that was handed over.
    lost: u64,
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Journal {
    /// Takes the folder, which is made if need be, and starts the thread.
    ///
    /// # Errors
    /// [`Unusable`]: why the folder cannot be used.
    pub fn start(wanted: &Wanted) -> Result<Self, Unusable> {
        let opened = folder::Folder::open(&wanted.folder)?;
        let (lines, waiting) = mpsc::sync_channel(WAITING_ENTRIES);
        let (end, ended) = mpsc::channel();
        let shared = Arc::new(Shared::default());
        shared.wants_segment.store(true, Ordering::Relaxed);
        let writer = writer::Writer::new(opened, wanted.segment_octets, Arc::clone(&shared));
        let thread = thread::Builder::new().name("journal".to_string());
        thread.spawn(move || {
            process::give_way();
            writer.run(&waiting);
            // Nobody waits any more if this fails.
            let _ = end.send(());
        })?;
        let (folder, lines) = (wanted.folder.clone(), Some(lines));
        Ok(Self { folder, lines, ended, shared, lost: 0 })
    }

    /// Before the engine is told something: whether that is to be noted, and as what.
    fn before(&mut self, now: Timestamp, engine: &Engine, input: &Input<'_>) -> Option<OwnedInput> {
        let begins = self.shared.wants_segment.load(Ordering::Relaxed) || self.lost > 0;
        if begins && !self.begin(now, engine) {
            self.lose();
            return None;
        }
        Some(input.into())
    }

    fn after(&mut self, at: Timestamp, input: OwnedInput, outputs: &[Output]) {
        let entry = Box::new(Entry { at, input, outputs: outputs.to_vec() });
        let weight = weight(&entry);
        let waiting = self.shared.waiting_octets.load(Ordering::Relaxed);
        // The first one fits, however heavy: a stop of a thousand instances is one input.
        let fits = waiting == 0 || waiting.saturating_add(weight) <= WAITING_OCTETS;
        if !(fits && self.hand_over(Line::Entry(entry, weight), weight)) {
            self.lose();
        }
    }

    /// Begins a segment, if at least half of the buffer is free: a snapshot costs more than an
    /// input, and what follows it should fit too.
    fn begin(&mut self, at: Timestamp, engine: &Engine) -> bool {
        let entries = self.shared.waiting_entries.load(Ordering::Relaxed);
        let octets = self.shared.waiting_octets.load(Ordering::Relaxed);
        if entries > WAITING_ENTRIES / 2 || octets > WAITING_OCTETS / 2 {
            return false;
        }
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let unix_ns = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        let beginning = Beginning { at, unix_ns, lost: self.lost, engine: engine.snapshot() };
        let began = self.hand_over(Line::Begin(Box::new(beginning)), 0);
        if began {
            self.lost = 0;
            self.shared.wants_segment.store(false, Ordering::Relaxed);
        }
        began
    }

    fn hand_over(&self, line: Line, weight: usize) -> bool {
        // Counted first: the thread may take it at once.
        self.shared.waiting_entries.fetch_add(1, Ordering::Relaxed);
        self.shared.waiting_octets.fetch_add(weight, Ordering::Relaxed);
        let handed = self.lines.as_ref().is_some_and(|lines| lines.try_send(line).is_ok());
        if !handed {
            self.shared.waiting_entries.fetch_sub(1, Ordering::Relaxed);
            self.shared.waiting_octets.fetch_sub(weight, Ordering::Relaxed);
        }
        handed
    }

    fn lose(&mut self) {
        self.lost += 1;
        self.shared.lost.fetch_add(1, Ordering::Relaxed);
    }

    /// How it is, for the status. `docs/daemon.md` says what each key is.
    #[must_use]
    pub fn report(&self) -> Value {
        let shared = &self.shared;
        let segment = shared.segment.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let error = shared.error.lock().unwrap_or_else(PoisonError::into_inner).clone();
        json!({
            "folder": self.folder.display().to_string(),
            "segment": segment.map(|segment| segment.display().to_string()),
            "written": shared.written.load(Ordering::Relaxed),
            "lost": shared.lost.load(Ordering::Relaxed),
            "failures": shared.failures.load(Ordering::Relaxed),
            "error": error,
        })
    }
}

impl Drop for Journal {
    /// Lets the thread write what it was handed, for [`END_LIMIT`] at most.
    fn drop(&mut self) {
        self.lines = None;
        match self.ended.recv_timeout(END_LIMIT) {
            Ok(()) | Err(RecvTimeoutError::Disconnected) => {}
            Err(RecvTimeoutError::Timeout) => {
                tracing::warn!("the end of the journal is not written: the disk does not answer");
            }
        }
    }
}

/// Tells the engine something, and notes it and what it caused if there is a journal. `out` is
/// empty before.
pub fn handle(
    journal: &mut Option<Journal>,
    engine: &mut Engine,
    now: Timestamp,
    input: Input<'_>,
    out: &mut Outputs,
) {
    let noted = journal.as_mut().and_then(|journal| journal.before(now, engine, &input));
    engine.handle(now, input, out);
    if let (Some(journal), Some(noted)) = (journal, noted) {
        journal.after(now, noted, out.as_slice());
    }
}

fn of_answer(answer: &Answer) -> usize {
    match answer {
        Answer::Observed(Observed::Service(seen)) => size_of_val(seen.destinations.as_slice()),
        // At most two threads.
        Answer::Observed(Observed::Begin | Observed::Settings(_) | Observed::End)
        | Answer::Done(Err(_)) => 0,
        Answer::Done(Ok(failures)) => size_of_val(failures.as_slice()),
    }
}

/// Roughly the octets that an entry keeps.
fn weight(entry: &Entry) -> usize {
    let datagram = match &entry.input {
        OwnedInput::Advert { bytes, .. } => bytes.0.len(),
        OwnedInput::Fib(_) => size_of::<Route>(),
        OwnedInput::Tick
        | OwnedInput::Configure(_)
        | OwnedInput::Link(_)
        | OwnedInput::LocalAddress(_)
        | OwnedInput::Tracker { .. }
        | OwnedInput::Done { .. }
        | OwnedInput::Shutdown
        | OwnedInput::Operator { .. }
        | OwnedInput::Probe { .. } => 0,
        OwnedInput::Server { .. } => size_of::<ServerName>(),
        OwnedInput::Ipvs { answer, .. } => size_of::<Answer>() + of_answer(answer),
    };
    let outputs: usize = entry.outputs.iter().map(of_output).sum();
    size_of::<Entry>() + datagram + outputs
}

fn of_output(output: &Output) -> usize {
    let more = match output {
        Output::Ipvs(Request::Batch(batch)) => batch.commands.len() * size_of::<IpvsCommand>(),
        Output::Ipvs(Request::Read(read)) => size_of_val(read.services.as_slice()),
        Output::Send { .. } | Output::Kernel { .. } | Output::Notify(_) | Output::Probe(_) => 0,
    };
    size_of::<Output>() + more
}
