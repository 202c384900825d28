//! Reads one segment, line by line. It is hostile: anybody may have edited it, and a daemon that
//! was killed may not have finished it. What could be read until then stays read.

use std::fmt;
use std::io::{self, BufRead};

use serde::Deserialize;
use serde_json::value::RawValue;
use vipd_engine::Timestamp;

use super::{FORM, Head, OwnedInput};

/// No stamp of a journal is later (146 years after a start): later ones would run into the end of
/// the engine's time.
pub const LATEST: Timestamp = Timestamp::from_nanos(1 << 62);

/// Why a segment cannot be read, or not any further. Lines are counted from 1.
#[derive(Debug)]
pub enum ReadError {
    /// The file could not be read.
    Io(io::Error),
    /// Its first line is not the head of a segment.
    NoJournal,
    /// Another form.
    Form {
        /// Its number.
        found: u64,
        /// The program that wrote it, if it says so.
        vipd: Option<String>,
    },
    /// A line that says what cannot be.
    Damaged {
        /// Which one.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
    /// The last line ends in the middle.
    Cut {
        /// Which one.
        line: u64,
    },
    /// A stamp before the one above it.
    TimeGoesBack {
        /// In which line.
        line: u64,
    },
    /// A stamp after [`LATEST`].
    TooLate {
        /// In which line.
        line: u64,
    },
    /// A line after the one that ends a segment.
    AfterTheEnd {
        /// Which one.
        line: u64,
    },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::NoJournal => f.write_str("not a segment of a journal of vipd"),
            Self::Form { found, vipd } => {
                write!(f, "a journal of form {found}, and this program reads form {FORM}")?;
                let vipd = vipd.as_deref();
                vipd.map_or(Ok(()), |vipd| write!(f, ": use the one that came with vipd {vipd}"))
            }
            Self::Damaged { line, why } => write!(f, "line {line} is damaged: {why}"),
            Self::Cut { line } => write!(f, "line {line} ends in the middle: the file is cut"),
            Self::TimeGoesBack { line } => {
                write!(f, "line {line} is damaged: it is earlier than the line above")
            }
            Self::TooLate { line } => {
                write!(f, "line {line} is damaged: it is later than {LATEST} s after the start")
            }
            Self::AfterTheEnd { line } => {
                write!(f, "line {line} is damaged: it follows the end of the segment")
            }
        }
    }
}

impl std::error::Error for ReadError {}

/// What a segment tells after its head.
#[derive(Debug)]
pub enum Told {
    /// An input and the outputs that it caused.
    Entry(Recorded),
    /// So many inputs are lost; nothing follows.
    Lost(u64),
}

/// An input and, octet for octet as they stand in the file, the outputs that it caused.
#[derive(Debug)]
pub struct Recorded {
    /// The line that it stands in.
    pub line: u64,
    /// When the engine was told.
    pub at: Timestamp,
    /// What it was told.
    pub input: OwnedInput,
    /// What it asked for.
    pub outputs: Vec<Box<RawValue>>,
}

/// A segment that is being read.
#[derive(Debug)]
pub struct Segment<R> {
    text: R,
    /// The one that was read last.
    line: u64,
    now: Timestamp,
    ended: bool,
}

/// A line after the head: an entry or a loss.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    at: Option<Timestamp>,
    input: Option<OwnedInput>,
    outputs: Option<Vec<Box<RawValue>>>,
    lost: Option<u64>,
}

/// What tells a head from anything else, whatever its form.
#[derive(Deserialize)]
struct AnyHead {
    vipd_journal: u64,
    vipd: Option<String>,
}

impl<R: BufRead> Segment<R> {
    /// Reads the head.
    ///
    /// # Errors
    /// [`ReadError`], each but the last three.
    pub fn open(text: R) -> Result<(Head, Self), ReadError> {
        let mut segment = Self { text, line: 0, now: Timestamp::ZERO, ended: false };
        let (line, whole) = segment.next_line()?.ok_or(ReadError::NoJournal)?;
        // Any file without a line break is cut, but not every one is a journal.
        if !whole && line.starts_with(br#"{"vipd_journal":"#) {
            return Err(ReadError::Cut { line: 1 });
        }
        let any: AnyHead = serde_json::from_slice(&line).map_err(|_| ReadError::NoJournal)?;
        if any.vipd_journal != u64::from(FORM) {
            return Err(ReadError::Form { found: any.vipd_journal, vipd: any.vipd });
        }
        let head: Head = serde_json::from_slice(&line).map_err(|error| segment.damaged(&error))?;
        segment.advance(head.at)?;
        Ok((head, segment))
    }

    /// The next line; `None` after the last one.
    ///
    /// # Errors
    /// [`ReadError`], but for the first lines.
    pub fn read(&mut self) -> Result<Option<Told>, ReadError> {
        let Some((text, whole)) = self.next_line()? else { return Ok(None) };
        let line = self.line;
        if !whole {
            return Err(ReadError::Cut { line });
        }
        if self.ended {
            return Err(ReadError::AfterTheEnd { line });
        }
        let read: Line = serde_json::from_slice(&text).map_err(|error| self.damaged(&error))?;
        match read {
            Line { at: Some(at), input: Some(input), outputs: Some(outputs), lost: None } => {
                self.advance(at)?;
                Ok(Some(Told::Entry(Recorded { line, at, input, outputs })))
            }
            Line { at: None, input: None, outputs: None, lost: Some(lost) } => {
                self.ended = true;
                Ok(Some(Told::Lost(lost)))
            }
            Line { .. } => {
                let why = "neither an input with its outputs nor a loss".to_string();
                Err(ReadError::Damaged { line, why })
            }
        }
    }

    /// The next line without its line break, and whether it had one.
    fn next_line(&mut self) -> Result<Option<(Vec<u8>, bool)>, ReadError> {
        let mut text = Vec::new();
        self.text.read_until(b'\n', &mut text).map_err(ReadError::Io)?;
        if text.is_empty() {
            return Ok(None);
        }
        self.line += 1;
        let whole = text.pop_if(|last| *last == b'\n').is_some();
        Ok(Some((text, whole)))
    }

    fn advance(&mut self, at: Timestamp) -> Result<(), ReadError> {
        let line = self.line;
        if at < self.now {
            return Err(ReadError::TimeGoesBack { line });
        }
        if at > LATEST {
            return Err(ReadError::TooLate { line });
        }
        self.now = at;
        Ok(())
    }

    /// serde counts its own lines, and there is one.
    fn damaged(&self, error: &serde_json::Error) -> ReadError {
        let text = error.to_string();
        let what = text.split(" at line ").next().unwrap_or_default();
        ReadError::Damaged { line: self.line, why: format!("{what} (column {})", error.column()) }
    }
}
