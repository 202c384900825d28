//! Reading the file anew while the engine runs. A file that cannot be used changes nothing.
//!
//! It is read on another thread: reading must not delay an advert.

use std::path::PathBuf;

use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tracing::{error, info, warn};
use vipd_config::diagnostics::Colour;
use vipd_config::process::Process;
use vipd_config::{Loaded, Options, Report};

use crate::driver::Request;
use crate::mail::Post;
use crate::notify;
use crate::probes;
use crate::scripts::Scripts;
use crate::systemd::Supervisor;
use crate::trackers::Tracking;

/// What a supervisor hears then.
const REFUSED: &str = "the file cannot be used, nothing was changed";

/// What the configuration is read from.
#[derive(Clone, Debug)]
pub struct Source {
    /// The file.
    pub file: PathBuf,
    /// What it is read with.
    pub options: Options,
}

impl Source {
    /// Reads and checks it.
    ///
    /// # Errors
    /// All the mistakes in it.
    pub fn load(&self) -> Result<Loaded, Box<Report>> {
        vipd_config::load(&self.file, &self.options)
    }
}

/// Who wants a reload.
#[derive(Debug)]
pub enum Trigger {
    /// SIGHUP.
    Signal,
    /// Somebody who is told what came of it.
    Asked(oneshot::Sender<Value>),
}

/// What follows a configuration beside the engine.
pub struct Followers {
    /// Who runs scripts.
    pub scripts: Scripts,
    /// What checks need of the file.
    pub checks: probes::Settings,
    /// Tracked scripts and files.
    pub tracking: Tracking,
    /// Notify scripts.
    pub notifier: notify::Teller,
    /// Mail alerts.
    pub post: Post,
    /// Whoever supervises us.
    pub supervisor: Supervisor,
    /// What was asked of the kernel for the process at the start.
    pub process: Process,
}

impl Followers {
    /// Follows this one from now on. Start-up is a change from nothing. Must be called inside a
    /// runtime.
    pub async fn configure(&mut self, loaded: &Loaded) {
        // First: the others will ask for what is new in it.
        self.scripts.configure(loaded).await;
        self.checks.configure(loaded);
        let settings = notify::Settings::new(loaded);
        // It ends only after us.
        let _ = self.notifier.send(notify::Told::Configure(settings));
        self.post.configure(loaded);
        self.tracking.configure(&loaded.trackers);
        if loaded.process != self.process {
            warn!("other priorities of the process are taken at the next start only");
        }
    }
}

/// Reloads one after the other, for as long as somebody may ask.
pub async fn serve(
    source: Source,
    mut followers: Followers,
    mut triggers: mpsc::Receiver<Trigger>,
    requests: mpsc::Sender<Request>,
) {
    while let Some(trigger) = triggers.recv().await {
        let from = source.clone();
        followers.supervisor.reloading();
        let loaded = tokio::task::spawn_blocking(move || from.load()).await;
        let answer = match loaded {
            Ok(Ok(loaded)) => {
                let said = loaded.report.render(Colour::Never);
                info!("{}: read anew, {} instances", source.file.display(), count(&loaded));
                followers.configure(&loaded).await;
                // The loop ends only together with us.
                let _ = requests.send(Request::Configure(loaded.config)).await;
                json!({ "reloaded": true, "said": said.trim_end() })
            }
            Ok(Err(report)) => {
                let said = report.render(Colour::Never);
                error!(
                    "{}: unusable, nothing is changed\n{}",
                    source.file.display(),
                    said.trim_end()
                );
                followers.supervisor.ready(REFUSED);
                json!({ "reloaded": false, "said": said.trim_end() })
            }
            Err(died) => {
                warn!("{}: cannot be read: {died}", source.file.display());
                followers.supervisor.ready(REFUSED);
                json!({ "reloaded": false, "said": died.to_string() })
            }
        };
        if let Trigger::Asked(asker) = trigger {
            let _ = asker.send(answer);
        }
        // The loop ends only together with us.
        let _ = requests.send(Request::GiveBack).await;
    }
}

/// How many virtual routers a file has.
#[must_use]
pub fn count(loaded: &Loaded) -> usize {
    loaded.config.instances().len()
}
