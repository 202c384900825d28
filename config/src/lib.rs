//! keepalived.conf text to a checked engine configuration, with diagnostics that point at the line.
//!
//! [`load`] is the way in, [`explain`] the one for people. [`text`] makes words and blocks of the
//! files and knows no keyword; [`keywords`] is the table of the language; the typed meaning reads
//! statements by that table and hands the result to the engine's own rules.

#![forbid(unsafe_code)]

use std::path::Path;
use std::sync::Arc;

use vipd_engine::{Config, Profile};

pub mod diagnostics;
pub mod director;
mod effective;
pub mod keywords;
pub mod mail;
mod meaning;
pub mod notify;
mod places;
pub mod process;
mod report;
pub mod show;
pub mod streams;
pub mod text;
pub mod trackers;

pub use effective::Effective;
pub use places::Places;
pub use report::Report;

/// What a file is read with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// What `@id` lines are compared with.
    pub config_id: Option<String>,
    /// Whose rules instances follow unless a keyword says otherwise.
    pub profile: Profile,
    /// How much of a file is acted on.
    pub scope: Scope,
}

/// How much of a file is acted on. All of it is read and checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// All of it.
    #[default]
    All,
    /// Virtual servers are somebody else's, as with keepalived's `-P`: nothing is said of what is
    /// not built of them.
    VrrpOnly,
    /// Virtual servers alone, as with keepalived's `-C`: virtual routers, static addresses, routes
    /// and rules, and the synchronisation of connections are somebody else's.
    ChecksOnly,
}

/// A configuration without an error.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What the engine is given.
    pub config: Arc<Config>,
    /// Warnings and notes.
    pub report: Report,
    /// What a driver runs and watches.
    pub trackers: trackers::Trackers,
    /// What is run when a virtual router changes its state.
    pub notify: notify::Notify,
    /// What is asked of the kernel for the process itself.
    pub process: process::Process,
    /// Where mail goes, and of what.
    pub mail: mail::Mail,
    /// What virtual servers want to be run and told.
    pub director: director::Director,
}

/// Reads a file, and what it includes, from the disk.
///
/// # Errors
/// All the mistakes in it, at least one of them an error.
pub fn load(path: &Path, options: &Options) -> Result<Loaded, Box<Report>> {
    load_from(&text::Disk, path, options)
}

/// As [`load`], from any set of files.
///
/// # Errors
/// As [`load`].
pub fn load_from(
    files: &dyn text::Files,
    path: &Path,
    options: &Options,
) -> Result<Loaded, Box<Report>> {
    read(files, path, options, false, |_, _, _| ()).map(|(loaded, ())| loaded)
}

/// As [`load`], with every value and its origin. That is many times what a driver needs, in memory
/// and in time.
///
/// # Errors
/// As [`load`].
pub fn explain(path: &Path, options: &Options) -> Result<(Loaded, Effective), Box<Report>> {
    explain_from(&text::Disk, path, options)
}

/// As [`explain`], from any set of files.
///
/// # Errors
/// As [`load`].
pub fn explain_from(
    files: &dyn text::Files,
    path: &Path,
    options: &Options,
) -> Result<(Loaded, Effective), Box<Report>> {
    read(files, path, options, true, |draft, settled, sources| {
        Effective::new(draft, settled, sources, options.profile)
    })
}

/// As [`load`], with the place in the files of what else may be found out about it.
///
/// # Errors
/// As [`load`].
pub fn locate(path: &Path, options: &Options) -> Result<(Loaded, Places), Box<Report>> {
    locate_from(&text::Disk, path, options)
}

/// As [`locate`], from any set of files.
///
/// # Errors
/// As [`load`].
pub fn locate_from(
    files: &dyn text::Files,
    path: &Path,
    options: &Options,
) -> Result<(Loaded, Places), Box<Report>> {
    read(files, path, options, false, |draft, settled, _| Places::new(draft, settled))
}

/// Reads, checks, and looks at what was found before the engine's part is taken out of it.
fn read<T>(
    files: &dyn text::Files,
    path: &Path,
    options: &Options,
    explains: bool,
    look: impl FnOnce(&meaning::Draft, &meaning::Settled, &diagnostics::Sources) -> T,
) -> Result<(Loaded, T), Box<Report>> {
    let mut found = diagnostics::Diagnostics::default();
    let mut draft = meaning::Draft::new(options.profile, options.scope, explains);
    let mut walk = |statement: text::Statement| {
        let statement = std::slice::from_ref(&statement);
        meaning::walk(statement, keywords::Place::Root, &mut draft, options.profile, &mut found);
    };
    let (sources, in_text) = text::read_each(files, path, &text_options(options), &mut walk);
    found.extend(in_text);
    if found.len() >= meaning::MOST_FINDINGS {
        let message = format!("{} findings, the rest is not read", meaning::MOST_FINDINGS);
        found.push(diagnostics::Diagnostic::error("too-many-mistakes", message));
    }
    let mut settled = meaning::settle(&mut draft, options.profile, &mut found);
    let report = Report { sources, diagnostics: found };
    let Some(config) = settled.config.take().filter(|_| !report.diagnostics.has_errors()) else {
        return Err(Box::new(report));
    };
    let seen = look(&draft, &settled, &report.sources);
    let loaded = Loaded {
        config: Arc::new(config),
        report,
        trackers: draft.trackers(),
        notify: settled.notify,
        process: draft.globals.process,
        mail: settled.mail,
        director: settled.director,
    };
    Ok((loaded, seen))
}

fn text_options(options: &Options) -> text::TextOptions {
    let root = keywords::Place::Root.rows().iter();
    let blocks = root.filter(|row| matches!(row.form, keywords::Form::Block(_)));
    let only_there = blocks.map(|row| row.name);
    let only_there = only_there.filter(|name| keywords::places_of(name).count() == 1);
    text::TextOptions {
        config_id: options.config_id.clone(),
        root_blocks: only_there.collect(),
        ..text::TextOptions::default()
    }
}
