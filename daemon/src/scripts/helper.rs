//! The helper's side: it runs what it is asked to if the file has it, each script in a process
//! group of its own with a time limit, and writes lines into named pipes.
//!
//! Until it is told of a file with any of these it waits for its pipe, without a runtime and with
//! hardly any memory.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use nix::errno::Errno;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::pipe;
use tokio::process::Child;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;
use vipd_config::trackers::ScriptUser;

use super::command::{self, Group};
use super::fifos::Fifos;
use super::permitted::Permitted;
use super::{End, Outcome};
use crate::ipvs::module;
use crate::reload::Source;

/// Answers that wait to be written.
const WAITING_ANSWERS: usize = 64;
/// Octets of the first question that are read before there is a runtime.
const FIRST_READ: usize = 4096;
/// How often a pipe that is full is tried again.
const TRY_EVERY: Duration = Duration::from_millis(250);

/// Serves standard input until it ends.
///
/// # Errors
/// Those of the runtime and of standard input.
pub fn serve(source: &Source) -> io::Result<()> {
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
        let (permitted, fifos) = (Permitted::default(), Fifos::new(answers.clone()));
        let running = BTreeMap::new();
        let mut serving = Serving { source, answers, permitted, fifos, running };
        loop {
            tokio::select! {
                line = questions.next_line() => {
                    let Some(line) = line? else { break };
                    if let Ok(question) = serde_json::from_str::<Value>(&line) {
                        serving.on_question(question).await;
                    }
                }
                () = sleep(TRY_EVERY), if serving.fifos.is_full() => serving.fifos.try_again(),
            }
        }
        serving.fifos.close().await;
        // Nobody is left to answer. Scripts that run are killed as their tasks are dropped.
        Ok(())
    })
}

struct Serving<'a> {
    source: &'a Source,
    answers: mpsc::Sender<Value>,
    permitted: Permitted,
    fifos: Fifos,
    /// Scripts that run, by the number of the question. One is killed when its sender is dropped.
    running: BTreeMap<u64, oneshot::Sender<()>>,
}

impl Serving<'_> {
    async fn on_question(&mut self, question: Value) {
        if question["configure"].as_bool() == Some(true) {
            // A file that cannot be used any more changes nothing.
            if let Ok(loaded) = self.source.load() {
                module::load_if_needed(&loaded);
                self.permitted.follow(&loaded);
                self.fifos.configure(&loaded).await;
            }
        } else if let Some(line) = question["line"].as_str() {
            self.fifos.write(line);
        } else if question["finish"].as_bool() == Some(true) {
            self.fifos.close().await;
            let done = Outcome { end: End::Exit(0), said: String::new() };
            let _ = self.answers.send(answer(&question["number"], &done)).await;
        } else if let Some(number) = question["cancel"].as_u64() {
            self.running.remove(&number);
        } else {
            self.run(question);
        }
    }

    fn run(&mut self, question: Value) {
        let user = question["user"].as_str().map(|user| ScriptUser {
            user: user.to_string(),
            group: question["group"].as_str().map(str::to_string),
        });
        let safety = question["command"]
            .as_str()
            .and_then(|command| self.permitted.safety(command, user.as_ref()));
        let (answers, number) = (self.answers.clone(), question["number"].clone());
        self.running.retain(|_, wanted| !wanted.is_closed());
        let (sender, wanted) = oneshot::channel();
        self.running.insert(number.as_u64().unwrap_or_default(), sender);
        tokio::spawn(async move {
            let outcome = match safety {
                Some(only_safe) => run(&question, user.as_ref(), only_safe, wanted).await,
                None => unusable("not run: the file does not have it".to_string()),
            };
            let _ = answers.send(answer(&number, &outcome)).await;
        });
    }
}

fn answer(number: &Value, outcome: &Outcome) -> Value {
    json!({ "number": number, "outcome": outcome })
}

const fn unusable(said: String) -> Outcome {
    Outcome { end: End::Unusable, said }
}

/// It did not begin.
fn not_begun(error: &io::Error) -> Outcome {
    // Of the process that was to become it, or of this one.
    let ours = [Errno::EAGAIN, Errno::ENOMEM, Errno::EMFILE, Errno::ENFILE];
    let is_ours = error.raw_os_error().is_some_and(|errno| ours.contains(&Errno::from_raw(errno)));
    let end = if is_ours { End::NoProcess } else { End::Unusable };
    Outcome { end, said: error.to_string() }
}

fn ended(status: ExitStatus) -> Outcome {
    let octet = |number: i32| u8::try_from(number).unwrap_or(u8::MAX);
    let end = match (status.code(), status.signal()) {
        (Some(code), _) => End::Exit(octet(code)),
        (None, signal) => End::Signal(octet(signal.unwrap_or_default())),
    };
    let said = if status.success() { String::new() } else { status.to_string() };
    Outcome { end, said }
}

/// Runs a script to its end, its time's, or until it is not wanted any more.
async fn run(
    question: &Value,
    user: Option<&ScriptUser>,
    only_safe: bool,
    wanted: oneshot::Receiver<()>,
) -> Outcome {
    let begun = begin(question, user, only_safe);
    let (mut running, group) = match begun {
        Ok(begun) => begun,
        Err(error) => return not_begun(&error),
    };
    let limit = Duration::from_millis(question["timeout_ms"].as_u64().unwrap_or_default());
    let over = async {
        tokio::select! {
            () = sleep(limit) => {}
            _ = wanted => {}
        }
    };
    tokio::select! {
        waited = running.wait() => {
            group.ended();
            return waited.map_or_else(|error| not_begun(&error), ended);
        }
        () = over => {}
    }
    // Its children too, or a pipe of theirs would keep them.
    drop(group);
    let said = format!("did not end within {limit:?}");
    let dead = running.wait().await;
    dead.map_or_else(|error| not_begun(&error), |_| Outcome { end: End::TooLate, said })
}

fn begin(
    question: &Value,
    user: Option<&ScriptUser>,
    only_safe: bool,
) -> io::Result<(Child, Group)> {
    let line = question["command"].as_str().unwrap_or_default();
    let mut command = command::prepare(line, user, only_safe)?;
    let more = question["arguments"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let running = command.args(more).spawn()?;
    let group = Group::of(&running);
    Ok((running, group))
}
