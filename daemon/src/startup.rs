//! `vipd run`: the start, in a fixed order, and the end.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use nix::unistd::daemon;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tracing::{info, warn};
use vipd_config::diagnostics::Colour;
use vipd_config::{Loaded, Report};

use crate::clock::BootClock;
use crate::control::Control;
use crate::driver::{Driver, Ended, Request};
use crate::executors::Executors;
use crate::ipvs;
use crate::journal::{Journal, Wanted};
use crate::mail::Mailer;
use crate::netlink::Netlink;
use crate::notify::Notifier;
use crate::pid_file::PidFile;
use crate::privileges;
use crate::probes::{self, Probes};
use crate::process;
use crate::reload::{self, Followers, Source, Trigger};
use crate::scripts::Helper;
use crate::sockets::Opened;
use crate::systemd::Supervisor;
use crate::trackers::Tracking;

/// Requests that wait for the loop; who asks for more waits himself.
const WAITING_REQUESTS: usize = 16;

/// What is to be run, and how.
pub struct Run<'a> {
    /// The file.
    pub source: &'a Source,
    /// Where the control socket is made.
    pub control: &'a Path,
    /// How diagnostics are printed.
    pub colour: Colour,
    /// In the background: what started it goes on when the file was found to be usable.
    pub detach: bool,
    /// Where the process is named.
    pub pid_files: Vec<PathBuf>,
    /// Where a journal is written, if one is wanted.
    pub journal: Option<Wanted>,
}

/// Why it did not start.
#[derive(Debug)]
pub enum Failure {
    /// The file cannot be used. What is wrong with it was printed.
    Unusable,
    /// These capabilities are missing.
    Unprivileged(Vec<String>),
    /// Something that the process needs is refused.
    Refused {
        /// What.
        what: String,
        /// Why.
        why: String,
    },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unusable => f.write_str("the configuration cannot be used"),
            Self::Unprivileged(missing) => {
                let missing = missing.join(" and ");
                write!(
                    f,
                    "cannot change addresses and send adverts: {missing} missing (run as root)"
                )
            }
            Self::Refused { what, why } => write!(f, "cannot {what}: {why}"),
        }
    }
}

/// Runs until it is told to stop. The order of the start is this function.
///
/// # Errors
/// What kept it from starting.
pub fn run(run: &Run<'_>) -> Result<Ended, Failure> {
    let source = run.source;
    let loaded = read_and_check(source, run.colour)?;
    require_privileges()?;
    // A fork copies one thread only, and there is one yet.
    if run.detach {
        daemon(false, false).map_err(refused("go into the background"))?;
    }
    let _pid_files = write_pid_files(&run.pid_files)?;
    let control = listen(run.control)?;
    let supervisor = Supervisor::of_environment().map_err(refused("use NOTIFY_SOCKET"))?;
    let sockets = Opened::new().map_err(refused("open raw sockets"))?;
    let helper = start_helper(source, &loaded)?;
    // Behind the helper: scripts are not urgent.
    let urgency = process::prepare(&loaded.process);
    privileges::drop_to_the_needed(process::needed_to_stay_locked())
        .map_err(refused("drop capabilities"))?;
    // With the rights that it will have: it goes on writing there.
    let journal = run.journal.as_ref().map(start_journal).transpose()?;
    let runtime = single_threaded().map_err(refused("start a runtime"))?;
    let ended = runtime.block_on(async {
        let (requests, mut due) = mpsc::channel(WAITING_REQUESTS);
        let scripts = helper.attach().map_err(refused("run scripts"))?;
        let (notifier, mailer) = (Notifier::start(scripts.clone()), Mailer::start());
        let tracking = Tracking::new(scripts.clone(), requests.clone());
        let checks = probes::Settings::default();
        let servers = Executors::new(Probes::new(scripts.clone(), checks.clone()));
        let mut followers = Followers {
            scripts,
            checks,
            tracking,
            notifier: notifier.teller(),
            post: mailer.post(),
            supervisor: supervisor.clone(),
            process: loaded.process,
        };
        followers.configure(&loaded).await;
        let (reloads, triggers) = mpsc::channel(WAITING_REQUESTS);
        tokio::spawn(reload::serve(source.clone(), followers, triggers, requests.clone()));
        listen_to_signals(&requests, &reloads).map_err(refused("catch signals"))?;
        let sockets = sockets.register().map_err(refused("watch the sockets"))?;
        let clock = BootClock::new().map_err(refused("make a timer"))?;
        let kernel = Netlink::follow(&loaded.config, urgency).await;
        let kernel = kernel.map_err(refused("read interfaces and addresses"))?;
        let mut driver = Driver::over(sockets, clock, kernel, servers);
        let events = driver.events();
        let served = control.serve(requests, reloads, events.clone());
        served.map_err(refused("serve the control socket"))?;
        driver.tell(notifier.teller());
        driver.mail(mailer.post());
        driver.report_to(supervisor);
        driver.runs_with(urgency);
        if let Some(journal) = journal {
            driver.keep(journal);
        }
        driver.start(&loaded.config);
        info!("ready: {} instances of {}", reload::count(&loaded), source.file.display());
        // What is said of the file was said, and everybody has what is his.
        drop(loaded);
        driver.owe_memory();
        let ended = driver.run(&mut due).await;
        tokio::join!(notifier.end(), mailer.end());
        events.end().await;
        say(ended);
        Ok(ended)
    });
    // A file that is being read, from a disk that does not answer, keeps nobody.
    runtime.shutdown_background();
    ended
}

fn say(ended: Ended) {
    match ended {
        Ended::Released => info!("stopped"),
        Ended::GaveUp => tracing::error!("stopped, and something of ours may be left behind"),
    }
}

fn read_and_check(source: &Source, colour: Colour) -> Result<Loaded, Failure> {
    let say = |report: &Report| {
        let text = report.render(colour);
        if !text.trim().is_empty() {
            eprintln!("{}", text.trim_end());
        }
    };
    match source.load() {
        Ok(loaded) => {
            say(&loaded.report);
            Ok(loaded)
        }
        Err(report) => {
            say(&report);
            Err(Failure::Unusable)
        }
    }
}

fn require_privileges() -> Result<(), Failure> {
    let missing = privileges::missing().map_err(refused("read our capabilities"))?;
    if missing.is_empty() { Ok(()) } else { Err(Failure::Unprivileged(missing)) }
}

fn write_pid_files(paths: &[PathBuf]) -> Result<Vec<PidFile>, Failure> {
    let write = |path: &PathBuf| {
        PidFile::write(path).map_err(refused(&format!("write the pid file {}", path.display())))
    };
    paths.iter().map(write).collect()
}

fn listen(path: &Path) -> Result<Control, Failure> {
    Control::listen(path).map_err(|error| {
        let why = match error.kind() {
            io::ErrorKind::AddrInUse => "another vipd answers there".to_string(),
            _ => error.to_string(),
        };
        refused(&format!("make the control socket {}", path.display()))(why)
    })
}

/// What takes privileges that are dropped after it.
fn start_helper(source: &Source, loaded: &Loaded) -> Result<Helper, Failure> {
    ipvs::module::load_if_needed(loaded);
    Helper::start(source).map_err(refused("start the helper for scripts"))
}

fn start_journal(wanted: &Wanted) -> Result<Journal, Failure> {
    let what = format!("keep a journal in {}", wanted.folder.display());
    Journal::start(wanted).map_err(refused(&what))
}

/// Its other threads read files, /proc and the like.
fn single_threaded() -> io::Result<Runtime> {
    Builder::new_current_thread().on_thread_start(process::give_way).enable_all().build()
}

/// The number of `SIGRTMIN + 2`, on which keepalived writes its state as JSON.
const JSON_DUMP: i32 = 36;

/// SIGTERM and SIGINT stop, SIGHUP reloads. The signals on which keepalived writes files do not end
/// the process, which is what they would do by themselves.
fn listen_to_signals(
    requests: &mpsc::Sender<Request>,
    reloads: &mpsc::Sender<Trigger>,
) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut data = signal(SignalKind::user_defined1())?;
    let mut statistics = signal(SignalKind::user_defined2())?;
    let mut json = signal(SignalKind::from_raw(JSON_DUMP))?;
    let (stop, reload) = (requests.clone(), reloads.clone());
    tokio::spawn(async move {
        loop {
            tokio::select! {
                Some(()) = terminate.recv() => { let _ = stop.send(Request::Stop).await; }
                Some(()) = interrupt.recv() => { let _ = stop.send(Request::Stop).await; }
                Some(()) = hang_up.recv() => { let _ = reload.send(Trigger::Signal).await; }
                Some(()) = data.recv() => no_dump(),
                Some(()) = statistics.recv() => no_dump(),
                Some(()) = json.recv() => no_dump(),
            }
        }
    });
    Ok(())
}

fn no_dump() {
    warn!("no file is written on a signal: `vipd status --json` says how things are");
}

fn refused<E: ToString>(what: &str) -> impl FnOnce(E) -> Failure {
    move |why| Failure::Refused { what: what.to_string(), why: why.to_string() }
}
