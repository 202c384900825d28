//! A descriptor that stands for a process.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// A descriptor that can be read once this process has ended, whatever becomes of its number
/// (`pidfd_open(2)`, Linux 5.3).
///
/// # Errors
/// [`io::ErrorKind::NotFound`] or another one if there is no such process; those of a kernel that
/// lacks it, or has no descriptor left.
pub fn process_end(pid: u32) -> io::Result<OwnedFd> {
    let flags = 0;
    // SAFETY: the call reads two numbers and no memory.
    #[allow(unsafe_code)]
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, libc::c_ulong::from(pid), flags) };
    let fd = RawFd::try_from(fd).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: the call has just returned this descriptor, and nobody else knows it.
    #[allow(unsafe_code)]
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn the_end_of_a_process_can_be_seen_and_one_that_is_gone_has_none() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().expect("cat runs");
        let end = process_end(child.id()).expect("it runs");
        drop(child.stdin.take());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
        runtime.expect("a runtime").block_on(async {
            let watch = crate::watch(&end).expect("a descriptor");
            drop(watch.readable().await.expect("it ends"));
        });
        let id = child.id();
        child.wait().expect("it is our child");
        assert!(process_end(id).is_err(), "its number is free");
    }
}
