//! The folder of a journal: who may read it, the names of its segments, and how many there are.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

/// Segments that are kept; the oldest is removed when one more begins.
pub const SEGMENTS_KEPT: usize = 16;

/// Passwords of version 2 stand in a journal: for its owner alone.
const FOLDER_MODE: u32 = 0o700;
const SEGMENT_MODE: u32 = 0o600;

const PREFIX: &str = "segment-";
const SUFFIX: &str = ".jsonl";

/// Why a folder cannot be used.
#[derive(Debug)]
pub enum Unusable {
    /// What the system says.
    Io(io::Error),
    /// The folder that it is to be made in is not there.
    NoParent,
    /// It is something else.
    NoFolder,
    /// Others may write to it, and could put their own things in the place of segments.
    OthersWrite,
    /// Another process writes its journal there.
    InUse,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error} (name a folder that vipd may write to)"),
            Self::NoParent => f.write_str("the folder above it is not there (make that first)"),
            Self::NoFolder => f.write_str("it is not a folder (name one, or one that is to be)"),
            Self::OthersWrite => f.write_str("others may write to it (chmod 700 it)"),
            Self::InUse => f.write_str("another vipd writes there (give each a folder of its own)"),
        }
    }
}

impl std::error::Error for Unusable {}

impl From<io::Error> for Unusable {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A folder that is ours for as long as this lives.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Its lock ends with it.
    _lock: File,
    /// The number of the next segment.
    next: u64,
}

impl Folder {
    /// Makes it if need be, and proves that a segment can be written.
    pub(super) fn open(path: &Path) -> Result<Self, Unusable> {
        match DirBuilder::new().mode(FOLDER_MODE).create(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Unusable::NoParent);
            }
            Err(error) => return Err(Unusable::Io(error)),
        }
        let lock = File::open(path)?;
        let metadata = lock.metadata()?;
        if !metadata.is_dir() {
            return Err(Unusable::NoFolder);
        }
        if metadata.mode() & 0o022 != 0 {
            return Err(Unusable::OthersWrite);
        }
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => Unusable::InUse,
            TryLockError::Error(error) => Unusable::Io(error),
        })?;
        let mut folder = Self { path: path.to_path_buf(), _lock: lock, next: 1 };
        folder.next = folder.segments()?.last().map_or(1, |last| last + 1);
        let (proof, _, file) = folder.create()?;
        drop(file);
        fs::remove_file(proof)?;
        Ok(folder)
    }

    /// A new segment, empty, with its number. Older ones go first, so that [`SEGMENTS_KEPT`] are
    /// there with it.
    pub(super) fn begin(&mut self) -> io::Result<(PathBuf, u64, File)> {
        let segments = self.segments()?;
        let over = (segments.len() + 1).saturating_sub(SEGMENTS_KEPT);
        for old in &segments[..over] {
            fs::remove_file(self.path_of(*old))?;
        }
        let created = self.create();
        // Also after a failure: whatever has that name keeps it.
        self.next += 1;
        created
    }

    fn create(&self) -> io::Result<(PathBuf, u64, File)> {
        let path = self.path_of(self.next);
        // Never one that is there: it may be a link that somebody put there.
        let file =
            OpenOptions::new().write(true).create_new(true).mode(SEGMENT_MODE).open(&path)?;
        Ok((path, self.next, file))
    }

    /// The numbers of the segments that are there, oldest first.
    fn segments(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| {
                name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse::<u64>().ok()
            });
            // Only a name that we would give.
            numbers.extend(number.filter(|number| Path::new(&name_of(*number)) == name));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn path_of(&self, number: u64) -> PathBuf {
        self.path.join(name_of(number))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

fn name_of(number: u64) -> String {
    format!("{PREFIX}{number:08}{SUFFIX}")
}
