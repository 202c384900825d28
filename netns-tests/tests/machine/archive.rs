//! An archive that a kernel unpacks into memory when it starts: the form "newc" of cpio
//! (`Documentation/driver-api/early-userspace/buffer-format.rst` of Linux).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const FOLDER: u32 = 0o040_755;
const FILE: u32 = 0o100_644;
const PROGRAM: u32 = 0o100_755;
const CHARACTER_DEVICE: u32 = 0o020_600;

/// An archive that grows.
#[derive(Default)]
pub struct Archive {
    octets: Vec<u8>,
    entries: u32,
    folders: BTreeSet<PathBuf>,
}

impl Archive {
    /// A folder, with those that it lies in.
    pub fn folder(&mut self, path: &Path) {
        let mut folders: Vec<_> = path.ancestors().filter(|path| path.parent().is_some()).collect();
        folders.reverse();
        for folder in folders {
            if self.folders.insert(folder.to_path_buf()) {
                self.entry(&name(folder), FOLDER, [0, 0], &[]);
            }
        }
    }

    /// A file in its folder.
    pub fn file(&mut self, path: &Path, content: &[u8]) {
        path.parent().into_iter().for_each(|folder| self.folder(folder));
        self.entry(&name(path), FILE, [0, 0], content);
    }

    /// A file that can be run.
    pub fn program(&mut self, path: &Path, content: &[u8]) {
        path.parent().into_iter().for_each(|folder| self.folder(folder));
        self.entry(&name(path), PROGRAM, [0, 0], content);
    }

    /// A character device.
    pub fn device(&mut self, path: &Path, numbers: [u32; 2]) {
        path.parent().into_iter().for_each(|folder| self.folder(folder));
        self.entry(&name(path), CHARACTER_DEVICE, numbers, &[]);
    }

    /// All of it.
    pub fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, [0, 0], &[]);
        self.octets
    }

    fn entry(&mut self, name: &str, mode: u32, [major, minor]: [u32; 2], content: &[u8]) {
        self.entries += 1;
        let long = u32::try_from(content.len()).expect("less than 4 GiB");
        let named = u32::try_from(name.len() + 1).expect("a short name");
        // Number, mode, owner, group, links, time, length, device, its own numbers, name, sum.
        let fields = [self.entries, mode, 0, 0, 1, 0, long, 0, 0, major, minor, named, 0];
        self.octets.extend(b"070701");
        fields.iter().for_each(|field| self.octets.extend(format!("{field:08x}").bytes()));
        self.octets.extend(name.bytes());
        self.octets.push(0);
        self.align();
        self.octets.extend(content);
        self.align();
    }

    fn align(&mut self) {
        self.octets.resize(self.octets.len().next_multiple_of(4), 0);
    }
}

/// Names in an archive begin at its root.
fn name(path: &Path) -> String {
    path.strip_prefix("/").unwrap_or(path).display().to_string()
}

#[test]
fn an_archive_has_each_folder_once_and_before_what_is_in_it() {
    let mut archive = Archive::default();
    archive.file(Path::new("/a/b/one"), b"words");
    archive.program(Path::new("/a/two"), b"");
    let octets = archive.finish();
    let text = String::from_utf8(octets).expect("it is ASCII");
    let entries: Vec<_> = text.split("070701").skip(1).collect();
    let names: Vec<_> = entries.iter().map(|entry| &entry[104..entry.len()]).collect();
    let padded = ["a\0", "a/b\0\0\0", "a/b/one\0\0\0words\0\0\0", "a/two\0", "TRAILER!!!\0\0\0\0"];
    let expected = padded.map(|entry| entry.trim_end_matches('\0'));
    assert_eq!(names.iter().map(|name| name.trim_end_matches('\0')).collect::<Vec<_>>(), expected);
    // Each begins at a multiple of four, and a file's length is in its seventh field.
    assert!(entries.iter().all(|entry| (entry.len() + 6) % 4 == 0), "{entries:?}");
    assert_eq!(&entries[2][48..56], "00000005");
    let modes: Vec<_> = entries.iter().map(|entry| &entry[8..16]).collect();
    assert_eq!(modes, ["000041ed", "000041ed", "000081a4", "000081ed", "00000000"]);
}
