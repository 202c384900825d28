//! Waiting for a descriptor in a runtime of tokio.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Watches whatever `fd` refers to until it can be read. The watch owns a duplicate, so `fd` may be
/// closed before it. Must be called inside a runtime.
///
/// # Errors
/// Those of duplicating a descriptor and of `epoll_ctl(2)`.
pub fn watch(fd: &impl AsFd) -> io::Result<AsyncFd<OwnedFd>> {
    let duplicate = fd.as_fd().try_clone_to_owned()?;
    // SAFETY: an `OwnedFd` is one open descriptor of always the same number until it is dropped,
    // and the `AsyncFd` that owns it deregisters it before.
    #[allow(unsafe_code)]
    let watched = unsafe { AsyncFd::register_with_interest(duplicate, Interest::READABLE) };
    Ok(watched?)
}
