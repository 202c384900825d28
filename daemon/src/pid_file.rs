//! Files that say which process we are, for those who signal it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Programs that a pid file of ours may be about.
const PROGRAMS: [&str; 2] = ["vipd", "keepalived"];

/// A pid file; it goes with this.
#[derive(Debug)]
pub struct PidFile(PathBuf);

impl PidFile {
    /// Writes the number of this process, and a line end.
    ///
    /// # Errors
    /// [`io::ErrorKind::AddrInUse`] if the file is that of a running vipd or keepalived, or what
    /// the file system says.
    pub fn write(path: &Path) -> io::Result<Self> {
        if let Some(other) = running(path) {
            let why = format!("process {other} runs already");
            return Err(io::Error::new(io::ErrorKind::AddrInUse, why));
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        // What is there may be a link that somebody else made: it is replaced, not followed.
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        fs::write(path, format!("{}\n", std::process::id()))?;
        Ok(Self(path.to_path_buf()))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = fs::remove_file(&self.0);
    }
}

/// The process that a file names, if it runs and is a program of this kind: numbers are used again.
fn running(path: &Path) -> Option<u32> {
    let number: u32 = fs::read_to_string(path).ok()?.trim().parse().ok()?;
    let name = fs::read_to_string(format!("/proc/{number}/comm")).ok()?;
    (PROGRAMS.contains(&name.trim()) && number != std::process::id()).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_over_one_of_a_process_that_is_gone_and_removed_at_the_end() {
        let path = std::env::temp_dir().join(format!("vipd-pid-{}", std::process::id()));
        // No process has this number: it is above the greatest that Linux gives.
        fs::write(&path, "4194305\n").expect("a file of ours");
        let file = PidFile::write(&path).expect("nobody runs");
        let written = fs::read_to_string(&path).expect("it is there");
        assert_eq!(written, format!("{}\n", std::process::id()));
        drop(file);
        assert!(!path.exists());
    }
}
