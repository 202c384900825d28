//! `vipsim replay`: a segment of a daemon's journal, fed to the engine again.
//!
//! Reading and comparing is in [`vipd_frames::journal`]; here is what is shown of it.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use vipd_engine::{Output, Timestamp};
use vipd_frames::journal::Head;
use vipd_frames::journal::read::ReadError;
use vipd_frames::journal::replay::{Difference, Replay, Side, Step};

use crate::run::Ended;

/// What to replay and how to show it.
#[derive(Clone, Debug)]
pub struct Request {
    /// The segment.
    pub file: PathBuf,
    /// One JSON object instead of text.
    pub json: bool,
}

/// What was replayed so far.
#[derive(Default)]
struct Told {
    head: Option<Head>,
    inputs: u64,
    outputs: u64,
    last: Option<Timestamp>,
    lost: u64,
    timeline: Vec<Value>,
    difference: Option<(String, Difference)>,
    unreadable: Option<ReadError>,
}

/// Does what is asked for.
///
/// # Errors
/// Those of `out` and `err`.
pub fn replay(request: &Request, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<Ended> {
    let mut told = Told::default();
    let opened = File::open(&request.file).map_err(ReadError::Io);
    match opened.and_then(|file| Replay::open(BufReader::new(file))) {
        Ok((head, replay)) => {
            if !request.json {
                writeln!(out, "{}\n", introduction(&request.file, &head))?;
            }
            told.head = Some(head);
            told.run(replay, request.json, out)?;
        }
        Err(error) => told.unreadable = Some(error),
    }
    if request.json {
        writeln!(out, "{:#}", told.json(&request.file))?;
    } else if told.head.is_some() {
        out.write_all(told.text().as_bytes())?;
    }
    out.flush()?;
    if let Some(error) = &told.unreadable {
        writeln!(err, "error: {}: {error}", request.file.display())?;
    }
    Ok(told.ended())
}

impl Told {
    /// Replays until the end, the first difference, or the first line that cannot be read.
    fn run(
        &mut self,
        mut replay: Replay<BufReader<File>>,
        json: bool,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        loop {
            let replayed = match replay.step() {
                Ok(Some(Step::Input(replayed))) => replayed,
                Ok(Some(Step::Lost(count))) => {
                    self.lost = count;
                    continue;
                }
                Ok(None) => return Ok(()),
                Err(error) => {
                    self.unreadable = Some(error);
                    return Ok(());
                }
            };
            self.inputs += 1;
            self.last = Some(replayed.at);
            for output in &replayed.outputs {
                self.outputs += 1;
                if json {
                    self.timeline.push(entry(replayed.at, output));
                } else {
                    writeln!(out, "{:>22} {output}", replayed.at.to_string())?;
                }
            }
            if let Some(difference) = replayed.difference {
                self.difference = Some((replayed.input.to_string(), difference));
                return Ok(());
            }
        }
    }

    fn ended(&self) -> Ended {
        match (&self.unreadable, &self.difference) {
            (Some(_), _) => Ended::Unusable,
            (None, Some(_)) => Ended::Failed,
            (None, None) => Ended::Passed,
        }
    }

    fn verdict(&self) -> &'static str {
        match self.ended() {
            Ended::Unusable => "unusable",
            Ended::Failed => "differs",
            Ended::Passed | Ended::Skipped => "same",
        }
    }

    fn text(&self) -> String {
        let counted = format!("{} inputs, {} outputs", self.inputs, self.outputs);
        let mut text = String::from("\n");
        if self.lost > 0 {
            text += &format!("{} inputs after this are in no segment\n", self.lost);
        }
        if let Some((input, difference)) = &self.difference {
            let Difference { line, output, recorded, replayed } = difference;
            text += &format!("line {line}, output {output}, after: {input}\n");
            let in_words = words(recorded) != words(replayed);
            for (name, side) in [("recorded", recorded), ("replayed", replayed)] {
                let shown = if in_words { words(side) } else { side.as_ref().map(|it| &*it.json) };
                text += &format!("  {name}: {}\n", shown.unwrap_or("nothing"));
            }
        }
        let rest = match self.ended() {
            Ended::Unusable => ": what could be read is the same",
            Ended::Failed | Ended::Passed | Ended::Skipped => "",
        };
        text + &format!("verdict: {} ({counted}{rest})\n", self.verdict())
    }

    fn json(&self, file: &Path) -> Value {
        let head = self.head.as_ref();
        let difference = self.difference.as_ref().map(|(input, it)| {
            json!({
                "line": it.line,
                "output": it.output,
                "input": input,
                "recorded": it.recorded.as_ref().map(side),
                "replayed": it.replayed.as_ref().map(side),
            })
        });
        json!({
            "file": file.display().to_string(),
            "vipd": head.map(|head| &*head.vipd),
            "segment": head.map(|head| head.segment),
            "from_ns": head.map(|head| head.at.as_nanos()),
            "from_unix_ns": head.map(|head| head.unix_ns),
            "to_ns": self.last.or(head.map(|head| head.at)).map(Timestamp::as_nanos),
            "lost_before": head.map(|head| head.lost_before),
            "lost_after": self.lost,
            "inputs": self.inputs,
            "outputs": self.outputs,
            "timeline": self.timeline,
            "verdict": self.verdict(),
            "difference": difference,
            "unusable": self.unreadable.as_ref().map(ToString::to_string),
        })
    }
}

fn introduction(file: &Path, head: &Head) -> String {
    let Head { segment, vipd, at, unix_ns, lost_before, .. } = head;
    let name = file.display();
    let since = unix_ns / 1_000_000_000;
    let mut text =
        format!("{name}: segment {segment} of vipd {vipd}, from {at} s (unix time {since})");
    if *lost_before > 0 {
        text += &format!("\n{lost_before} inputs before this are in no segment");
    }
    text
}

fn entry(at: Timestamp, output: &Output) -> Value {
    json!({ "at_ns": at.as_nanos(), "text": output.to_string() })
}

fn words(side: &Option<Side>) -> Option<&str> {
    side.as_ref().map(|side| side.words.as_deref().unwrap_or(&side.json))
}

fn side(side: &Side) -> Value {
    json!({ "text": side.words, "json": side.json })
}
