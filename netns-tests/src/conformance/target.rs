//! What differs between targets: how their files come about, what they are told, what they lack.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use vipd_config::diagnostics::Colour;
use vipd_config::text::InMemory;
use vipd_config::{Options, load_from};
use vipd_engine::{Config, Profile};

use super::experiment::{Experiment, Stage};
use super::site::Terms;
use crate::frr::{self, Macvlan};
use crate::namespaces::Namespace;
use crate::node::Kind;

/// What the program is told besides where its file is.
pub(super) fn arguments(terms: &Terms) -> Vec<String> {
    match terms.target {
        Kind::Vipd => vec!["--profile".to_owned(), terms.profile.name().to_owned()],
        Kind::Keepalived | Kind::Frr => Vec::new(),
    }
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

fn read(text: &str) -> Result<Arc<Config>, String> {
    let path = Path::new("target.conf");
    let files = InMemory::new().with(path, text);
    let loaded = load_from(&files, path, &Options::default());
    loaded.map(|loaded| loaded.config).map_err(|report| report.render(Colour::Never))
}
