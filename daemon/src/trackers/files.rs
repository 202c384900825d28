//! A tracked file: its number, whenever it changes. Its folder is watched and not the file, which
//! may be replaced by another one, or not be there yet.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent};
use tokio::io::unix::AsyncFd;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};
use vipd_config::trackers::TrackedFile;
use vipd_engine::TrackerValue;

use super::Tell;

/// How often a file is looked at whose folder cannot be watched, because it is not there yet.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A file that is being written may have no number for so long before that is said.
const BEING_WRITTEN: Duration = Duration::from_millis(250);
/// Octets of a tracked file that are read: a number is shorter.
const LONGEST_NUMBER: u64 = 64;
/// Symbolic links that a path may lead through, as for the kernel.
const MOST_LINKS: usize = 40;

/// Tells of every new number in a file. As long as it is not there or has no number, it has no new
/// value: that must not look like a good one.
pub(super) async fn watch(file: TrackedFile, tell: Tell) {
    let TrackedFile { name, path, init, overwrite, .. } = &file;
    let path = Path::new(path);
    if let Some(number) = init
        && (*overwrite || !path.exists())
        && let Err(error) = fs::write(path, format!("{number}\n"))
    {
        warn!("track_file {name}: cannot write {}: {error}", path.display());
    }
    // Watched before it is read, so that no change falls between the two.
    let mut folders = Folders::of(path);
    let (mut known, mut complained, mut waited) = (None, false, false);
    loop {
        match number(path) {
            Ok(number) => {
                (complained, waited) = (false, false);
                if known.replace(number) != Some(number) {
                    info!("track_file {name} is {number}");
                    tell.value(name, TrackerValue::Number(number)).await;
                }
                folders.changed(path).await;
            }
            Err(_) if complained => folders.changed(path).await,
            Err(error) if waited => {
                complained = true;
                warn!("track_file {name}: {}: {error}, its value stays", path.display());
            }
            Err(_) => waited = timeout(BEING_WRITTEN, folders.changed(path)).await.is_err(),
        }
    }
}

fn number(path: &Path) -> io::Result<i32> {
    // Nothing else may be opened: a pipe would keep us.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no plain file"));
    }
    let mut text = String::new();
    fs::File::open(path)?.take(LONGEST_NUMBER).read_to_string(&mut text)?;
    text.trim().parse().map_err(io::Error::other)
}

/// A name in a folder.
type Entry = (PathBuf, OsString);

/// The folders in which a path can come to mean another file.
struct Folders {
    entries: BTreeSet<Entry>,
    /// None if one of them cannot be watched.
    inotify: Option<(Inotify, AsyncFd<OwnedFd>)>,
}

impl Folders {
    fn of(path: &Path) -> Self {
        let entries = entries(path);
        let inotify = Self::watch(&entries).ok();
        Self { entries, inotify }
    }

    fn watch(entries: &BTreeSet<Entry>) -> io::Result<(Inotify, AsyncFd<OwnedFd>)> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let changes = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_MOVE
            | AddWatchFlags::IN_DELETE
            | gone();
        for (folder, _) in entries {
            inotify.add_watch(folder, changes)?;
        }
        let readable = vipd_sys::watch(&inotify)?;
        Ok((inotify, readable))
    }

    /// Waits until something happened to one of the names, and watches what the path leads through
    /// by then. Nothing is lost if nobody waits for it any more.
    async fn changed(&mut self, path: &Path) {
        loop {
            let Some((inotify, readable)) = &self.inotify else {
                sleep(LOOK_EVERY).await;
                *self = Self::of(path);
                return;
            };
            let Ok(mut ready) = readable.readable().await else {
                self.inotify = None;
                continue;
            };
            let events = inotify.read_events().unwrap_or_default();
            ready.clear_ready();
            if events.iter().any(|event| event.mask.intersects(gone())) {
                *self = Self::of(path);
                return;
            }
            if events.iter().any(|event| self.concerns(event)) {
                if entries(path) != self.entries {
                    *self = Self::of(path);
                }
                return;
            }
        }
    }

    fn concerns(&self, event: &InotifyEvent) -> bool {
        self.entries.iter().any(|(_, name)| event.name.as_ref() == Some(name))
    }
}

/// A watched folder is not there any more, or not all was told.
fn gone() -> AddWatchFlags {
    AddWatchFlags::IN_DELETE_SELF
        | AddWatchFlags::IN_MOVE_SELF
        | AddWatchFlags::IN_UNMOUNT
        | AddWatchFlags::IN_IGNORED
        | AddWatchFlags::IN_Q_OVERFLOW
}

/// The name of the file in its folder, and every symbolic link on the way: whoever puts another one
/// in its place gives the path another meaning.
fn entries(path: &Path) -> BTreeSet<Entry> {
    let mut entries = BTreeSet::new();
    let mut folder = PathBuf::from(".");
    let mut links = 0;
    let mut left: VecDeque<PathBuf> = parts(path);
    while let Some(part) = left.pop_front() {
        match part.components().next() {
            Some(Component::RootDir | Component::Prefix(_)) => folder = PathBuf::from("/"),
            Some(Component::ParentDir) => folder.push(".."),
            Some(Component::CurDir) | None => {}
            Some(Component::Normal(name)) => {
                let next = folder.join(name);
                match fs::read_link(&next) {
                    Ok(target) if links < MOST_LINKS => {
                        links += 1;
                        entries.insert((folder.clone(), OsStr::to_os_string(name)));
                        left = parts(&target).into_iter().chain(left).collect();
                    }
                    Ok(_) | Err(_) if left.is_empty() => {
                        entries.insert((folder.clone(), OsStr::to_os_string(name)));
                    }
                    Ok(_) | Err(_) => folder = next,
                }
            }
        }
    }
    entries
}

fn parts(path: &Path) -> VecDeque<PathBuf> {
    path.components().map(|part| PathBuf::from(part.as_os_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_path_means_another_file_when_the_file_or_a_link_on_the_way_is_replaced() {
        let folder = std::env::temp_dir().join(format!("vipd-links-{}", std::process::id()));
        fs::create_dir_all(folder.join("one")).expect("a folder of ours");
        symlink("one", folder.join("current")).expect("a link of ours");
        symlink("current/number", folder.join("number")).expect("a link of ours");
        symlink("loop", folder.join("loop")).expect("a link of ours");
        let names = |name: &str| {
            let found = entries(&folder.join(name)).into_iter();
            let found = found.map(|(at, name)| {
                let at = at.strip_prefix(&folder).unwrap_or(&at).join(name);
                at.display().to_string()
            });
            found.collect::<Vec<_>>()
        };
        let (plain, linked, looped) = (names("one/number"), names("number"), names("loop"));
        fs::remove_dir_all(&folder).expect("it is ours");
        assert_eq!(plain, ["one/number"]);
        assert_eq!(linked, ["current", "number", "one/number"]);
        assert_eq!(looped, ["loop"], "it ends");
    }
}
