//! Feeds a segment to the engine that it begins with, and compares what comes out with what the
//! daemon wrote down: octet for octet, in the form of the file.

use std::io::BufRead;

use vipd_engine::{Engine, Output, Outputs, SnapshotError, Timestamp};

use super::read::{ReadError, Recorded, Segment, Told};
use super::{Head, OwnedInput};

/// A segment that is being replayed.
#[derive(Debug)]
pub struct Replay<R> {
    segment: Segment<R>,
    engine: Engine,
    outputs: Outputs,
}

/// What one line of a segment came to.
#[derive(Debug)]
pub enum Step {
    /// An input.
    Input(Replayed),
    /// The daemon lost so many inputs here; the segment ends.
    Lost(u64),
}

/// An input, and what the engine asked for now.
#[derive(Debug)]
pub struct Replayed {
    /// When it was told.
    pub at: Timestamp,
    /// What it was told.
    pub input: OwnedInput,
    /// What it asked for, in order.
    pub outputs: Vec<Output>,
    /// Where that is not what it asked for then.
    pub difference: Option<Difference>,
}

/// The first output that is not the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The line of the file, counted from 1.
    pub line: u64,
    /// Which output of the line, counted from 1.
    pub output: usize,
    /// What was written down.
    pub recorded: Option<Side>,
    /// What comes out now.
    pub replayed: Option<Side>,
}

/// One side of a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    /// In the engine's words. `None` if it is no output at all.
    pub words: Option<String>,
    /// As it stands in the file, or would.
    pub json: String,
}

impl<R: BufRead> Replay<R> {
    /// Reads the head and takes the engine out of it.
    ///
    /// # Errors
    /// Those of [`Segment::open`], and a snapshot that no engine can have written.
    pub fn open(text: R) -> Result<(Head, Self), ReadError> {
        let (head, segment) = Segment::open(text)?;
        let engine = head.engine.clone().try_into().map_err(|error: SnapshotError| {
            ReadError::Damaged { line: 1, why: error.to_string() }
        })?;
        Ok((head, Self { segment, engine, outputs: Outputs::new() }))
    }

    /// Replays the next line; `None` after the last one. What follows a difference follows from
    /// it: nothing is gained by going on.
    ///
    /// # Errors
    /// Those of [`Segment::read`].
    pub fn step(&mut self) -> Result<Option<Step>, ReadError> {
        let recorded = match self.segment.read()? {
            Some(Told::Entry(recorded)) => recorded,
            Some(Told::Lost(count)) => return Ok(Some(Step::Lost(count))),
            None => return Ok(None),
        };
        let Recorded { at, ref input, .. } = recorded;
        self.engine.handle(at, input.input(), &mut self.outputs);
        let outputs: Vec<_> = self.outputs.drain().collect();
        let difference = compare(&recorded, &outputs);
        Ok(Some(Step::Input(Replayed { at, input: recorded.input, outputs, difference })))
    }
}

fn compare(recorded: &Recorded, outputs: &[Output]) -> Option<Difference> {
    let most = recorded.outputs.len().max(outputs.len());
    (0..most).find_map(|place| {
        let then = recorded.outputs.get(place).map(|json| Side {
            words: serde_json::from_str::<Output>(json.get()).ok().map(|it| it.to_string()),
            json: json.get().to_string(),
        });
        let now = outputs.get(place).map(|output| Side {
            words: Some(output.to_string()),
            json: serde_json::to_string(output).unwrap_or_default(),
        });
        let same = then.as_ref().map(|side| &side.json) == now.as_ref().map(|side| &side.json);
        let line = recorded.line;
        let difference = Difference { line, output: place + 1, recorded: then, replayed: now };
        (!same).then_some(difference)
    })
}
