//! The files of a command, those that it reads and those that it is asked to write: none of them is
//! both, and nothing is written twice. All commands look here before they do anything.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use vipd_scenarios::report::files::Files;

use crate::configurations::Configurations;
use crate::output;

/// The files of a command, each with what it is to the command.
#[derive(Debug, Default)]
pub struct NamedFiles(Vec<NamedFile>);

#[derive(Debug)]
struct NamedFile {
    /// `--html page.html`, `the scenario pair.toml`.
    words: String,
    usage: Usage,
    places: Vec<Place>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Usage {
    Read,
    Written,
    /// Standard output and standard error, which may well be one file.
    Stream,
}

/// Where a file is: two names of one file are one place.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    /// Its device and inode, once it exists.
    known: Option<(u64, u64)>,
}

impl NamedFiles {
    /// Those that a scenario is played from, and those that are asked for about its run.
    #[must_use]
    pub fn of_run(
        scenario: &Path,
        configurations: &Configurations,
        capture: Option<&Path>,
        files: &Files,
    ) -> Self {
        Self::default()
            .reads("the scenario", [scenario])
            .reads("the configuration", configurations.paths())
            .writes("--pcap", capture)
            .writes("--html", files.html.as_deref())
            .writes("--perfetto", files.perfetto.as_deref())
            .writes("--jsonl", files.jsonl.as_deref())
    }

    /// These are read.
    #[must_use]
    pub fn reads<'a>(mut self, what: &str, paths: impl IntoIterator<Item = &'a Path>) -> Self {
        let named = |path: &Path| NamedFile {
            words: format!("{what} {}", path.display()),
            usage: Usage::Read,
            places: Place::of(path).into_iter().collect(),
        };
        self.0.extend(paths.into_iter().map(named));
        self
    }

    /// This is written, if it is asked for, and what is written beside it until it is whole.
    #[must_use]
    pub fn writes(mut self, option: &str, path: Option<&Path>) -> Self {
        let named = path.map(|path| {
            let place = Place::of(path);
            let partial = place.as_ref().and_then(|place| Place::of(&output::partial(&place.path)));
            NamedFile {
                words: format!("{option} {}", path.display()),
                usage: Usage::Written,
                places: place.into_iter().chain(partial).collect(),
            }
        });
        self.0.extend(named);
        self
    }

    /// # Errors
    /// What to tell people: which two are one file, or that one is called `-`, which is standard
    /// output nearly everywhere.
    pub fn check(mut self) -> Result<(), String> {
        let is_dash = |one: &&NamedFile| {
            let named = one.words.split_once(' ').map(|(_, path)| path);
            one.usage == Usage::Written && named == Some("-")
        };
        if let Some(NamedFile { words, .. }) = self.0.iter().find(is_dash) {
            return Err(format!(
                "{words} is no file: write `/dev/stdout` for standard output, `./-` for a file of \
                 that name"
            ));
        }
        for (words, path) in [("standard output", "/dev/stdout"), ("standard error", "/dev/stderr")]
        {
            let places = Place::of(Path::new(path)).into_iter().collect();
            self.0.push(NamedFile { words: words.to_owned(), usage: Usage::Stream, places });
        }
        let outputs = self.0.iter().enumerate().filter(|(_, one)| one.usage != Usage::Read);
        for (number, output) in outputs {
            let mut others = self.0.iter().enumerate().filter(|(other, _)| *other != number);
            if let Some((_, other)) = others.find(|(_, other)| output.is(other)) {
                return Err(output.clash(other));
            }
        }
        Ok(())
    }
}

impl NamedFile {
    fn is(&self, other: &Self) -> bool {
        let streams = self.usage == Usage::Stream && other.usage == Usage::Stream;
        let is_one = |place: &Place| other.places.iter().any(|other| place.is(other));
        !streams && self.places.iter().any(is_one)
    }

    fn clash(&self, other: &Self) -> String {
        let (this, words) = (&self.words, &other.words);
        match other.usage {
            Usage::Read => format!("{this} would overwrite {words}: name another file"),
            Usage::Written | Usage::Stream => {
                format!("{this} and {words} would be written to one file: name another one")
            }
        }
    }
}

impl Place {
    /// `None` for what is no file, such as a device or a pipe: that can be written by several.
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok();
        if metadata.as_ref().is_some_and(|known| !known.is_file()) {
            return None;
        }
        let path = path.canonicalize().unwrap_or_else(|_| {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new(".")).canonicalize();
            let name = path.file_name().unwrap_or_default();
            folder.map_or_else(|_| path.to_path_buf(), |folder| folder.join(name))
        });
        Some(Self { path, known: metadata.map(|known| (known.dev(), known.ino())) })
    }

    fn is(&self, other: &Self) -> bool {
        self.path == other.path || (self.known.is_some() && self.known == other.known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::tests::folder;

    fn check(read: &Path, written: &[(&str, &Path)]) -> Result<(), String> {
        let files = NamedFiles::default().reads("the scenario", [read]);
        let add =
            |files: NamedFiles, (option, path): &(&str, &Path)| files.writes(option, Some(path));
        written.iter().fold(files, add).check()
    }

    #[test]
    fn an_output_by_any_other_name_of_an_input_is_refused() {
        let folder = folder("one-file");
        let scenario = folder.join("pair.toml");
        fs::write(&scenario, "title").expect("a file");
        let (soft, hard) = (folder.join("soft"), folder.join("hard"));
        let _ = std::os::unix::fs::symlink(&scenario, &soft);
        let _ = fs::hard_link(&scenario, &hard);
        let around = folder.join("..").join(folder.file_name().expect("a name")).join("pair.toml");
        for output in [&scenario, &soft, &hard, &around] {
            let why = check(&scenario, &[("--html", output)]).expect_err("they are one file");
            let (output, scenario) = (output.display(), scenario.display());
            let wanted = format!("--html {output} would overwrite the scenario {scenario}: ");
            assert!(why.starts_with(&wanted), "{why}");
        }
        assert_eq!(check(&scenario, &[("--html", &folder.join("pair.html"))]), Ok(()));
        fs::remove_dir_all(&folder).expect("it goes");
    }

    #[test]
    fn what_is_written_beside_an_output_until_that_is_whole_is_no_input_either() {
        let folder = folder("beside");
        let scenario = folder.join("pair.toml.part");
        fs::write(&scenario, "title").expect("a file");
        let why = check(&scenario, &[("--html", &folder.join("pair.toml"))]);
        assert!(why.is_err_and(|why| why.contains("would overwrite the scenario")));
        fs::remove_dir_all(&folder).expect("it goes");
    }

    #[test]
    fn two_outputs_are_not_one_file_but_a_device_takes_both() {
        let folder = folder("two-outputs");
        let (scenario, page) = (folder.join("pair.toml"), folder.join("o"));
        let why = check(&scenario, &[("--html", &page), ("--pcap", &page)]).expect_err("one file");
        let shown = page.display();
        let both = format!("--html {shown} and --pcap {shown} would be written to one file");
        assert!(why.starts_with(&both), "{why}");
        let null = Path::new("/dev/null");
        assert_eq!(check(&scenario, &[("--html", null), ("--pcap", null)]), Ok(()));
        fs::remove_dir_all(&folder).expect("it goes");
    }
}
