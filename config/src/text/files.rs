//! Where configuration text comes from: the disk, or memory for tests. It interprets nothing.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use glob::{MatchOptions, Pattern};

/// A set of files, and the environment that `${_ENV NAME}` reads.
pub trait Files {
    /// The content of one file, or [`ReadError::TooLarge`] if it exceeds `limit` octets.
    ///
    /// # Errors
    /// One variant per distinct cause; never blocks on a pipe or a device.
    fn read(&self, path: &Path, limit: usize) -> Result<Vec<u8>, ReadError>;

    /// The paths that match a glob pattern, in the order of their names, at most `limit`.
    ///
    /// # Errors
    /// What is wrong with the pattern.
    fn matching(&self, pattern: &str, limit: usize) -> Result<Vec<PathBuf>, String>;

    /// One name per file, so that a loop of includes is seen through links and `..`.
    fn identity(&self, path: &Path) -> PathBuf;

    /// A variable of the environment.
    fn environment(&self, name: &str) -> Option<String>;
}

/// Why a file could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// There is no such file.
    Missing,
    /// It is a directory.
    Directory,
    /// It is a pipe, a socket or a device.
    NotAFile,
    /// The permissions forbid it.
    Denied,
    /// It is larger than the limit asked for.
    TooLarge,
    /// The system's own words.
    Other(String),
}

/// The real file system and the environment of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path, limit: usize) -> Result<Vec<u8>, ReadError> {
        // Looked at before it is opened: opening a pipe would wait for its writer.
        let kind = std::fs::metadata(path).map_err(|error| cause(&error))?;
        if kind.is_dir() {
            return Err(ReadError::Directory);
        }
        if !kind.is_file() {
            return Err(ReadError::NotAFile);
        }
        let file = std::fs::File::open(path).map_err(|error| cause(&error))?;
        let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        // With room for all of it, and for the look behind its end: nothing is copied.
        let room = usize::try_from(kind.len().saturating_add(1).min(most)).unwrap_or(0);
        let mut octets = Vec::with_capacity(room);
        file.take(most).read_to_end(&mut octets).map_err(|error| cause(&error))?;
        if octets.len() > limit { Err(ReadError::TooLarge) } else { Ok(octets) }
    }

    fn matching(&self, pattern: &str, limit: usize) -> Result<Vec<PathBuf>, String> {
        let paths = glob::glob_with(pattern, matching_like_a_shell());
        let paths = paths.map_err(|error| error.msg.to_lowercase())?;
        // A folder that cannot be listed holds no match, as for a shell.
        Ok(paths.filter_map(Result::ok).take(limit).collect())
    }

    fn identity(&self, path: &Path) -> PathBuf {
        std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
    }

    fn environment(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

fn cause(error: &std::io::Error) -> ReadError {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::NotFound => ReadError::Missing,
        ErrorKind::IsADirectory => ReadError::Directory,
        ErrorKind::PermissionDenied => ReadError::Denied,
        _ => ReadError::Other(error.to_string()),
    }
}

fn matching_like_a_shell() -> MatchOptions {
    MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    }
}

/// Files that exist in memory only.
#[derive(Clone, Debug, Default)]
pub struct InMemory {
    files: BTreeMap<PathBuf, Vec<u8>>,
    environment: BTreeMap<String, String>,
}

impl InMemory {
    /// No files, no environment.
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more file.
    #[must_use]
    pub fn with(mut self, path: impl Into<PathBuf>, content: impl Into<Vec<u8>>) -> Self {
        self.files.insert(plain(&path.into()), content.into());
        self
    }

    /// With one more variable in the environment.
    #[must_use]
    pub fn with_environment(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }
}

impl Files for InMemory {
    fn read(&self, path: &Path, limit: usize) -> Result<Vec<u8>, ReadError> {
        let path = plain(path);
        match self.files.get(&path) {
            Some(content) if content.len() > limit => Err(ReadError::TooLarge),
            Some(content) => Ok(content.clone()),
            None if self.files.keys().any(|file| file.starts_with(&path)) => {
                Err(ReadError::Directory)
            }
            None => Err(ReadError::Missing),
        }
    }

    fn matching(&self, pattern: &str, limit: usize) -> Result<Vec<PathBuf>, String> {
        let pattern = plain(Path::new(pattern));
        let pattern = Pattern::new(&pattern.to_string_lossy());
        let pattern = pattern.map_err(|error| error.msg.to_lowercase())?;
        let matches = |path: &&PathBuf| pattern.matches_path_with(path, matching_like_a_shell());
        Ok(self.files.keys().filter(matches).take(limit).cloned().collect())
    }

    fn identity(&self, path: &Path) -> PathBuf {
        plain(path)
    }

    fn environment(&self, name: &str) -> Option<String> {
        self.environment.get(name).cloned()
    }
}

/// The path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut result = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                if !result.pop() {
                    result.push("..");
                }
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => {
                result.push(component);
            }
        }
    }
    result
}
