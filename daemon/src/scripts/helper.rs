//! The helper's side: it runs what it is asked to if the file has it, each script in a process
//! group of its own with a time limit, and writes lines into named pipes.
//!
//! Until it is told of a file with any of these it waits for its pipe, without a runtime and with
//! hardly any memory.

use std::fs;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::pipe;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use vipd_config::trackers::ScriptUser;

use super::command::{self, Group};
use super::fifos::Fifos;
use super::permitted::Permitted;
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
        let mut serving = Serving { source, answers, permitted, fifos };
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
            self.answer(&question["number"], Ok(String::new())).await;
        } else {
            self.run(question);
        }
    }

    fn run(&self, question: Value) {
        let user = question["user"].as_str().map(|user| ScriptUser {
            user: user.to_string(),
            group: question["group"].as_str().map(str::to_string),
        });
        let safety = question["command"]
            .as_str()
            .and_then(|command| self.permitted.safety(command, user.as_ref()));
        let (answers, number) = (self.answers.clone(), question["number"].clone());
        tokio::spawn(async move {
            let ended = match safety {
                Some(only_safe) => run(&question, user.as_ref(), only_safe).await,
                None => Ok("not run: the file does not have it".to_string()),
            };
            let _ = answers.send(answer(&number, ended)).await;
        });
    }

    async fn answer(&self, number: &Value, ended: io::Result<String>) {
        let _ = self.answers.send(answer(number, ended)).await;
    }
}

fn answer(number: &Value, ended: io::Result<String>) -> Value {
    let (good, said) = match ended {
        Ok(status) => (status.is_empty(), status),
        Err(error) => (false, error.to_string()),
    };
    json!({ "number": number, "good": good, "said": said })
}

/// Runs a script to its end. Answers with what was wrong, nothing if nothing was.
async fn run(question: &Value, user: Option<&ScriptUser>, only_safe: bool) -> io::Result<String> {
    let line = question["command"].as_str().unwrap_or_default();
    let mut command = command::prepare(line, user, only_safe)?;
    let more = question["arguments"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut running = command.args(more).spawn()?;
    let group = Group::of(&running);
    let limit = Duration::from_millis(question["timeout_ms"].as_u64().unwrap_or_default());
    let Ok(ended) = timeout(limit, running.wait()).await else {
        // Its children too, or a pipe of theirs would keep them.
        drop(group);
        running.wait().await?;
        return Ok(format!("did not end within {limit:?}"));
    };
    group.ended();
    let ended = ended?;
    Ok(if ended.success() { String::new() } else { ended.to_string() })
}
