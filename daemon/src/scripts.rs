//! Running scripts: by a helper, a process of our own program that was started before the
//! privileges were dropped. It hears nothing but us, runs nothing but what the file has, which it
//! reads itself, and ends when we do.
//!
//! A question is a line, an answer is a line, both JSON. What the helper does is in `helper`.

mod command;
mod fifos;
mod helper;
mod permitted;

use std::collections::BTreeMap;
use std::io;
use std::mem;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::sync::{mpsc, oneshot};
use tracing::{error, warn};
use vipd_config::trackers::ScriptUser;
use vipd_config::{Loaded, Scope};

use crate::systemd::VARIABLES;

pub use helper::serve;

use crate::ipvs::module;
use crate::reload::Source;

/// The hidden command of our program that is the helper.
pub const COMMAND: &str = "script-helper";

/// Scripts that wait for the helper to hear of them.
const WAITING_QUESTIONS: usize = 64;

/// What is to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The command and its arguments as they stand in the file.
    pub command: String,
    /// More arguments.
    pub arguments: Vec<String>,
    /// Who runs it; keepalived's default user if `None`.
    pub user: Option<ScriptUser>,
    /// It may take this long.
    pub timeout: Duration,
}

/// How a script ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// By itself, with this status.
    Exit(u8),
    /// By this signal.
    Signal(u8),
    /// It was killed: its time was over.
    TooLate,
    /// It was not run: the file does not have it, or it is not there, or it may not be run as it
    /// lies there.
    Unusable,
    /// It was not run: there was no process to be had, or nobody runs scripts any more.
    NoProcess,
}

/// What came of a script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// The same in words, for the log; nothing if all was well.
    pub said: String,
}

impl Outcome {
    /// It ended with 0 within its time limit.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.end == End::Exit(0)
    }
}

/// The helper, started.
pub struct Helper(Child);

impl Helper {
    /// Starts it. It has whatever privileges we have now, and a process group of its own, so that
    /// Ctrl-C is ours to handle.
    ///
    /// # Errors
    /// Those of starting a program.
    pub fn start(source: &Source) -> io::Result<Self> {
        Self::start_as(&std::env::current_exe()?, source)
    }

    /// The same of this program, which is ours.
    ///
    /// # Errors
    /// Those of starting a program.
    pub fn start_as(program: &Path, source: &Source) -> io::Result<Self> {
        let mut command = Command::new(program);
        // Whatever we are called, the helper is found by its command.
        command.arg0("vipd").arg(COMMAND).arg("--file").arg(&source.file).process_group(0);
        command.args(["--profile", source.options.profile.name()]);
        if let Some(id) = &source.options.config_id {
            command.args(["--id", id]);
        }
        match source.options.scope {
            Scope::All => {}
            Scope::VrrpOnly => drop(command.arg("--vrrp")),
            Scope::ChecksOnly => drop(command.arg("--check")),
        }
        for variable in VARIABLES {
            command.env_remove(variable);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        // Who ends or reloads all that is called vipd means us: the helper ends with its pipe. It
        // inherits what is blocked here, and so has it blocked from its first moment on.
        let signals = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];
        let blocked = signals.into_iter().collect::<SigSet>();
        let before = blocked.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        let started = command.spawn();
        before.thread_set_mask()?;
        started.map(Self)
    }

    /// Makes it usable. Must be called inside a runtime.
    ///
    /// # Errors
    /// Those of `epoll_ctl(2)`.
    pub fn attach(mut self) -> io::Result<Scripts> {
        let missing = || io::Error::other("the helper has no pipe");
        let input = self.0.stdin.take().ok_or_else(missing)?;
        let mut input = tokio::process::ChildStdin::from_std(input)?;
        let output = self.0.stdout.take().ok_or_else(missing)?;
        let output = BufReader::new(tokio::process::ChildStdout::from_std(output)?);
        let waiting = Waiting::default();
        let (questions, mut due) = mpsc::channel::<String>(WAITING_QUESTIONS);
        tokio::spawn(async move {
            while let Some(question) = due.recv().await {
                if input.write_all(question.as_bytes()).await.is_err() {
                    return;
                }
            }
        });
        let answered = Arc::clone(&waiting);
        tokio::spawn(async move {
            let mut lines = output.lines();
            while let Ok(Some(line)) = lines.next_line().await {
                answer(&answered, &line);
            }
            error!("the helper that runs scripts has ended: they count as failed");
            // Whoever waits hears that nobody will answer.
            let mut answered = answered.lock().unwrap_or_else(PoisonError::into_inner);
            answered.askers.clear();
            answered.over = true;
        });
        Ok(Scripts {
            questions,
            waiting,
            used: Arc::default(),
            begun: false,
            _child: Arc::new(self.0),
        })
    }
}

#[derive(Default)]
struct Askers {
    last: u64,
    askers: BTreeMap<u64, oneshot::Sender<Outcome>>,
    over: bool,
}

type Waiting = Arc<Mutex<Askers>>;

/// A way to run scripts.
#[derive(Clone)]
pub struct Scripts {
    questions: mpsc::Sender<String>,
    waiting: Waiting,
    /// The helper was told of scripts.
    used: Arc<AtomicBool>,
    /// There was a file: another one is a reload's.
    begun: bool,
    /// Its pipe is closed with the last of us, and then it ends.
    _child: Arc<Child>,
}

impl Scripts {
    /// The file has these scripts and named pipes from now on: the helper is told to read it. As
    /// long as there were none, it is left alone. Of a reload that has virtual servers it is told
    /// too, to have the kernel load its IPVS; for the first file the start has done that.
    pub async fn configure(&mut self, loaded: &Loaded) {
        let is_reload = mem::replace(&mut self.begun, true);
        if permitted::are_needed(loaded) || (is_reload && module::is_needed(loaded)) {
            self.used.store(true, Ordering::Relaxed);
        }
        if self.used.load(Ordering::Relaxed) {
            self.tell(&json!({ "configure": true })).await;
        }
    }

    /// Writes a line to every named pipe, behind what was written before.
    pub async fn write(&self, line: &str) {
        self.tell(&json!({ "line": format!("{line}\n") })).await;
    }

    /// Closes the named pipes and ends what reads them. Nothing is written any more.
    pub async fn finish(&self) {
        if self.used.load(Ordering::Relaxed) {
            self.ask(json!({ "finish": true })).await;
        }
    }

    /// Runs one and waits for its end. If the helper is gone, that is a failure. Who stops waiting
    /// has it killed.
    pub async fn run(&self, script: &Script) -> Outcome {
        let question = json!({
            "command": script.command,
            "arguments": script.arguments,
            "user": script.user.as_ref().map(|user| &user.user),
            "group": script.user.as_ref().and_then(|user| user.group.as_ref()),
            "timeout_ms": u64::try_from(script.timeout.as_millis()).unwrap_or(u64::MAX),
        });
        self.ask(question).await
    }

    async fn ask(&self, mut question: Value) -> Outcome {
        let (asker, outcome) = oneshot::channel();
        let number = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.last += 1;
            let number = waiting.last;
            if !waiting.over {
                waiting.askers.insert(number, asker);
            }
            number
        };
        question["number"] = json!(number);
        let asked = Asked { scripts: self, number };
        self.tell(&question).await;
        let outcome = outcome.await;
        drop(asked);
        outcome.unwrap_or_else(|_| Outcome {
            end: End::NoProcess,
            said: "nobody runs scripts any more".to_string(),
        })
    }

    async fn tell(&self, question: &Value) {
        // If it cannot be told, it has ended, and that is said elsewhere.
        let _ = self.questions.send(format!("{question}\n")).await;
    }
}

/// A question that waits for its answer. If it goes before that, nobody wants to know any more.
struct Asked<'a> {
    scripts: &'a Scripts,
    number: u64,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let Self { scripts, number } = self;
        let mut waiting = scripts.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.askers.remove(number).is_some() {
            // If it does not fit in, the time limit ends it.
            let _ = scripts.questions.try_send(format!("{}\n", json!({ "cancel": number })));
        }
    }
}

fn answer(waiting: &Waiting, line: &str) {
    let Ok(mut answer) = serde_json::from_str::<Value>(line) else { return };
    let Some(number) = answer["number"].as_u64() else {
        warn!("{}", answer["said"].as_str().unwrap_or_default());
        return;
    };
    let asker = waiting.lock().unwrap_or_else(PoisonError::into_inner).askers.remove(&number);
    // Whoever asked may have been stopped.
    if let (Some(asker), Ok(outcome)) = (asker, serde_json::from_value(answer["outcome"].take())) {
        let _ = asker.send(outcome);
    }
}
