//! What differs between targets: how their files come about, what they are told, what they lack.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use vipd_config::diagnostics::Colour;
use vipd_config::text::InMemory;
use vipd_config::{Options, load_from};
use vipd_engine::{Config, Profile};

use super::experiment::{Act, Experiment, Stage};
use super::site::Terms;
use crate::frr::{self, Macvlan};
use crate::namespaces::Namespace;
use crate::node::{Kind, VRRP_ONLY};

/// What the program is told besides where its file is.
pub(super) fn arguments(terms: &Terms) -> Vec<String> {
    let words = match terms.target {
        Kind::Vipd => vec![VRRP_ONLY, "--profile", terms.profile.name()],
        Kind::Keepalived => vec![VRRP_ONLY],
        Kind::Frr => Vec::new(),
    };
    words.into_iter().map(str::to_owned).collect()
}

/// Writes the file of a stage, before or after a reload.
///
/// # Errors
/// Why it cannot be written, or what the target lacks.
pub(super) fn write(
    stage: &Stage,
    terms: &Terms,
    target: &Namespace,
    file: &Path,
    reloaded: bool,
) -> Result<(), String> {
    let text = stage.text(terms, reloaded);
    let text = match terms.target {
        Kind::Vipd | Kind::Keepalived => text,
        Kind::Frr => {
            let equivalent = frr::equivalent(&*read(&text)?)?;
            if !reloaded {
                target.ip(&equivalent.macvlans.iter().map(Macvlan::lines).collect::<String>())?;
            }
            equivalent.text
        }
    };
    fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
}

/// What somebody has to do by hand before the target starts again after a crash.
///
/// # Errors
/// What `ip` says.
pub(super) fn tidy(stage: &Stage, terms: &Terms, target: &Namespace) -> Result<(), String> {
    match terms.target {
        Kind::Vipd | Kind::Keepalived => Ok(()),
        Kind::Frr => {
            let equivalent = frr::equivalent(&*read(&stage.text(terms, false))?)?;
            target.ip(&equivalent.macvlans.iter().map(Macvlan::muting).collect::<String>())
        }
    }
}

/// What the target lacks for a whole stage, if it does.
pub(super) fn lacks_stage(stage: &Stage, terms: &Terms) -> Option<&'static str> {
    let reloads = stage.acts.iter().any(|(_, act)| *act == Act::Reload);
    match terms.target {
        Kind::Vipd | Kind::Keepalived => None,
        Kind::Frr if stage.configuration.is_some() => {
            Some("its file is made by the suite, without mistakes")
        }
        Kind::Frr if reloads => Some("FRR only adds what a file says anew"),
        Kind::Frr => None,
    }
}

/// What the target lacks for an experiment, if it does.
pub(super) fn lacks(experiment: &Experiment, terms: &Terms) -> Option<String> {
    match terms.target {
        Kind::Vipd => None,
        // Its strict mode refuses what no RFC has.
        Kind::Keepalived if terms.profile != Profile::DropIn => {
            let refused =
                |router: &super::site::Router| router.peer.is_some() || router.password.is_some();
            let any = experiment.routers.iter().any(refused);
            any.then(|| "`vrrp_strict` refuses unicast and authentication".to_owned())
        }
        Kind::Keepalived => None,
        Kind::Frr => {
            let mut text = String::new();
            experiment.configuration(terms, false, &mut text);
            let found = read(&text).and_then(|config| frr::equivalent(&config));
            let found = found.err()?;
            // Which instance it is says nothing here.
            Some(found.split_once(": ").map_or(found.clone(), |(_, what)| what.to_owned()))
        }
    }
}

/// How many experiments one process serves, as many at a time as there are processes.
fn capacity(terms: &Terms) -> usize {
    match terms.target {
        Kind::Vipd => usize::MAX,
        // With more it is later than the tolerance: each announcement waits for the kernel.
        Kind::Keepalived => 24,
        Kind::Frr => 40,
    }
}

/// Divides the stages into as many as the target needs, two of them side by side.
pub(super) fn divide(stages: Vec<Stage>, terms: &Terms) -> Vec<Stage> {
    let most = capacity(terms);
    let mut divided: Vec<Stage> = Vec::new();
    let (mut round, mut last) = (0, 0);
    for stage in stages.into_iter().filter(|stage| !stage.experiments.is_empty()) {
        let Stage { name, experiments, acts, ends, round: own, configuration } = stage;
        if own != last {
            (round, last) = (round + 1, own);
        }
        let mut experiments = experiments.into_iter().peekable();
        let mut parts = 0;
        while experiments.peek().is_some() {
            if parts > 0 && parts % 2 == 0 {
                round += 1;
            }
            parts += 1;
            let (acts, configuration) = (acts.clone(), configuration.clone());
            let experiments: Vec<_> = experiments.by_ref().take(most).collect();
            divided.push(Stage { name, experiments, acts, ends, round, configuration });
        }
    }
    divided
}

fn read(text: &str) -> Result<Arc<Config>, String> {
    let path = Path::new("target.conf");
    let files = InMemory::new().with(path, text);
    let loaded = load_from(&files, path, &Options::default());
    loaded.map(|loaded| loaded.config).map_err(|report| report.render(Colour::Never))
}
