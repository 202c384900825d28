//! A real server: it listens, and has a page for whoever asks.

use std::io::{self, Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::socket::{Shutdown, shutdown};

/// Whoever connects and says nothing for so long wants no page.
const SILENCE: Duration = Duration::from_millis(500);

/// It refuses once this is dropped.
pub struct Server {
    listener: Arc<TcpListener>,
    status: Arc<AtomicU16>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// At port 80 of this address.
    pub fn start(address: IpAddr) -> io::Result<Self> {
        let listener = Arc::new(TcpListener::bind((address, 80))?);
        let status = Arc::new(AtomicU16::new(200));
        let (door, says) = (Arc::clone(&listener), Arc::clone(&status));
        let thread = thread::spawn(move || {
            while let Ok((stream, _)) = door.accept() {
                // Whoever goes away without a question has none.
                drop(answer(stream, says.load(Ordering::SeqCst)));
            }
        });
        Ok(Self { listener, status, thread: Some(thread) })
    }

    /// Its page has this status from now on.
    pub fn says(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It listens no more, and whoever waits for a guest is told so.
        let _ = shutdown(self.listener.as_raw_fd(), Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn answer(mut stream: TcpStream, status: u16) -> io::Result<()> {
    stream.set_read_timeout(Some(SILENCE))?;
    let mut asked = [0; 1024];
    if stream.read(&mut asked)? > 0 {
        write!(stream, "HTTP/1.0 {status} so\r\nContent-Length: 4\r\n\r\npage")?;
    }
    Ok(())
}
