//! keepalived.conf text to a checked engine configuration, with diagnostics that point at the line.
//!
//! [`load`] is the way in. [`text`] makes words and blocks of the files and knows no keyword.

#![forbid(unsafe_code)]

use std::path::Path;
use std::sync::Arc;

use vipd_engine::{Config, Profile};

pub mod diagnostics;
pub mod director;
mod effective;
mod report;
pub mod text;
pub mod trackers;

pub use effective::Effective;
pub use report::Report;

/// What a file is read with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// What `@id` lines are compared with.
    pub config_id: Option<String>,
    /// Whose rules instances follow unless a keyword says otherwise.
    pub profile: Profile,
}

/// A configuration without an error.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What the engine is given.
    pub config: Arc<Config>,
    /// Warnings and notes.
    pub report: Report,
    /// Every value with its origin.
    pub effective: Effective,
    /// What a driver runs and watches.
    pub trackers: trackers::Trackers,
    /// Mail settings: not acted on yet.
    pub mail: director::Mail,
    /// Virtual servers: not acted on yet.
    pub virtual_servers: Vec<director::VirtualServer>,
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
    let text_options =
        text::TextOptions { config_id: options.config_id.clone(), ..Default::default() };
    let document = text::read_from(files, path, &text_options);
    Err(Box::new(Report { sources: document.sources, diagnostics: document.diagnostics }))
}
