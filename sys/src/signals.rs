//! The signals that a program begins with.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Lets the program begin with no signal blocked (sigprocmask(2)). The standard library lets it
/// inherit what the thread that starts it blocks.
pub fn begin_with_no_signal_blocked(command: &mut Command) {
    let unblock = || {
        let mut none = std::mem::MaybeUninit::uninit();
        // SAFETY: the first call fills the set that the second one reads; a null pointer asks for
        // no set in return. Both are async-signal-safe (signal-safety(7)).
        #[allow(unsafe_code)]
        let done = unsafe {
            libc::sigemptyset(none.as_mut_ptr());
            libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut())
        };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    // SAFETY: between fork and exec this takes no lock and no memory.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(unblock);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel says that a program blocks which this thread starts.
    fn blocked(command: &mut Command) -> String {
        let output = command.args(["SigBlk", "/proc/self/status"]).output().expect("grep runs");
        let line = String::from_utf8(output.stdout).expect("text");
        line.split_whitespace().last().expect("a mask").to_string()
    }

    #[test]
    fn what_a_thread_blocks_its_program_does_not() {
        std::thread::spawn(|| {
            let mut term = std::mem::MaybeUninit::uninit();
            // SAFETY: the set is made before it is read, and the mask is this thread's alone.
            #[allow(unsafe_code)]
            unsafe {
                libc::sigemptyset(term.as_mut_ptr());
                libc::sigaddset(term.as_mut_ptr(), libc::SIGTERM);
                libc::pthread_sigmask(libc::SIG_BLOCK, term.as_ptr(), std::ptr::null_mut());
            }
            assert_eq!(
                blocked(&mut Command::new("grep")),
                "0000000000004000",
                "as it is inherited"
            );
            let mut command = Command::new("grep");
            begin_with_no_signal_blocked(&mut command);
            assert_eq!(blocked(&mut command), "0000000000000000");
        })
        .join()
        .expect("no panic");
    }
}
