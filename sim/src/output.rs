//! A file that a command is asked to write: whether it can be is known before the work, and what
//! is there already is kept until the new one is whole.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::signal::{SigSet, Signal};
use vipd_scenarios::report::files::Files;
use vipd_scenarios::report::page::{Shown, html};
use vipd_scenarios::report::{lines, perfetto};

/// Files beside their places that are not whole yet.
static PARTS: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// A write beyond what the system lets a file grow to (`ulimit -f`) becomes an error like that of a
/// full disk, and no end of the process: SIGXFSZ is blocked in this thread, and in all that it
/// starts from now on.
pub fn outgrow_no_limit_silently() {
    // If it cannot be blocked the process ends by it, as it would have without this.
    let _ = SigSet::from(Signal::SIGXFSZ).thread_block();
}

/// A file that is going to be written.
#[derive(Debug)]
pub struct Output {
    /// As it was asked for, for messages.
    asked: PathBuf,
    /// Where the new one becomes the old one; `None` for what is no file, such as `/dev/stdout`.
    part: Option<(PathBuf, PathBuf)>,
    file: File,
}

impl Output {
    /// Opens it, or a file beside it.
    ///
    /// # Errors
    /// What to tell people: which file, and why not.
    pub fn open(asked: &Path) -> Result<Self, String> {
        // A link is written through; a device or a pipe must not be replaced by a file.
        let path = asked.canonicalize().unwrap_or_else(|_| asked.to_path_buf());
        let is_other = fs::metadata(&path).is_ok_and(|known| !known.is_file());
        let part = (!is_other).then(|| (partial(&path), path.clone()));
        let opened = match &part {
            Some((part, _)) => File::create(part),
            None => File::options().write(true).open(&path),
        };
        let file = opened.map_err(|error| message(asked, &error))?;
        parts().extend(part.iter().map(|(part, _)| part.clone()));
        Ok(Self { asked: asked.to_path_buf(), part, file })
    }

    /// Writes it, whole.
    ///
    /// # Errors
    /// What to tell people: which file, and why not.
    pub fn write(mut self, octets: &[u8]) -> Result<(), String> {
        self.fill(octets)?;
        self.keep()
    }

    /// Writes what it is to be, beside its place. [`Output::keep`] puts it there.
    ///
    /// # Errors
    /// What to tell people: which file, and why not.
    pub fn fill(&mut self, octets: &[u8]) -> Result<(), String> {
        let written = self.file.write_all(octets).and_then(|()| self.file.flush());
        written.map_err(|error| message(&self.asked, &error))
    }

    /// What to write it through, bit by bit. [`Output::keep`] is for when it is whole.
    ///
    /// # Errors
    /// Those of the system.
    pub fn handle(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// It is whole.
    ///
    /// # Errors
    /// What to tell people: which file, and why not.
    pub fn keep(mut self) -> Result<(), String> {
        if let Some((part, path)) = &self.part {
            fs::rename(part, path).map_err(|error| message(&self.asked, &error))?;
            parts().remove(part);
            self.part = None;
        }
        Ok(())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some((part, _)) = &self.part {
            // Nobody can do more about it than we.
            let _ = fs::remove_file(part);
            parts().remove(part);
        }
    }
}

/// What of a run stands in a file.
type Text = fn(&Shown<'_>) -> String;

/// The files that are asked for about a run, and what will stand in each.
#[derive(Debug)]
pub struct Outputs(Vec<(Output, Text)>);

impl Outputs {
    /// Opens them.
    ///
    /// # Errors
    /// What to tell people: which file, and why not.
    pub fn open(files: &Files) -> Result<Self, String> {
        let Files { html: page, perfetto: trace, jsonl } = files;
        let one_run: Text = |shown| html(std::slice::from_ref(shown));
        let all: [(_, Text); 3] = [(page, one_run), (trace, perfetto::text), (jsonl, lines::text)];
        let asked = all.into_iter().filter_map(|(path, text)| Some((path.as_deref()?, text)));
        let opened = asked.map(|(path, text)| Ok((Output::open(path)?, text)));
        opened.collect::<Result<_, _>>().map(Self)
    }

    /// Writes each. One that could not be written is a message; the others are written all the
    /// same.
    #[must_use]
    pub fn write(self, shown: &Shown<'_>) -> Vec<String> {
        let write = |(output, text): (Output, Text)| output.write(text(shown).as_bytes()).err();
        self.0.into_iter().filter_map(write).collect()
    }
}

/// Removes what is not whole, for a process that ends at once.
pub fn abandon() {
    for part in &*parts() {
        let _ = fs::remove_file(part);
    }
}

fn parts() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    PARTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is written first, beside it.
pub(crate) fn partial(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".part");
    path.with_file_name(name)
}

fn message(path: &Path, error: &io::Error) -> String {
    format!("cannot write {}: {error}", path.display())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A folder for one test.
    pub(crate) fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("vipsim-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    #[test]
    fn the_old_file_is_kept_until_the_new_one_is_whole() {
        let folder = folder("output");
        let path = folder.join("page.html");
        fs::write(&path, "old").expect("a file");
        drop(Output::open(&path).expect("it can be written"));
        assert_eq!(fs::read_to_string(&path).expect("a file"), "old");
        let output = Output::open(&path).expect("it can be written");
        assert_eq!(fs::read_to_string(&path).expect("a file"), "old");
        output.write(b"new").expect("it is written");
        assert!(!parts().contains(&partial(&path)), "nothing of it is left to be abandoned");
        assert_eq!(fs::read_to_string(&path).expect("a file"), "new");
        let names: Vec<_> = fs::read_dir(&folder).expect("a folder").collect();
        assert_eq!(names.len(), 1, "{names:?}");
        fs::remove_dir_all(&folder).expect("it goes");
    }

    #[test]
    fn a_device_is_written_to_and_stays_one() {
        let full = Path::new("/dev/full");
        let output = Output::open(full).expect("it can be opened");
        assert!(output.write(b"new").is_err_and(|why| why.starts_with("cannot write /dev/full: ")));
        assert!(!fs::metadata(full).expect("it is there").is_file());
        assert!(Output::open(Path::new("/")).is_err());
    }
}
