//! The control socket: one line asks, one JSON object answers, and the connection ends.
//!
//! What is asked for is done by the run loop ([`crate::driver`]) or by [`crate::reload`].

use std::fs;
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use tracing::debug;

use crate::driver::Request;
use crate::reload::Trigger;

/// Where it is unless an argument says otherwise.
pub const DEFAULT_PATH: &str = "/run/vipd/control.sock";
/// Connections that are served at a time; others wait.
const MOST_CONNECTIONS: usize = 8;
/// Octets of a question, at most.
const LONGEST_QUESTION: u64 = 64;
/// A connection may take this long.
const PATIENCE: Duration = Duration::from_secs(5);

/// The socket, bound; its file goes with it.
#[derive(Debug)]
pub struct Control {
    listener: UnixListener,
    _file: SocketFile,
}

#[derive(Debug)]
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // It may be gone already, and then so is the reason to remove it.
        let _ = fs::remove_file(&self.0);
    }
}

impl Control {
    /// Makes the socket, for its owner alone. A socket file that nobody answers is replaced, one
    /// that somebody answers never is.
    ///
    /// # Errors
    /// [`ErrorKind::AddrInUse`] if somebody answers, [`ErrorKind::AlreadyExists`] if something else
    /// than a socket is there, or what the file system says.
    pub fn listen(path: &Path) -> io::Result<Self> {
        match UnixStream::connect(path) {
            Ok(_) => return Err(ErrorKind::AddrInUse.into()),
            // Nobody listens there any more, or it is a file of another kind.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                if !fs::symlink_metadata(path)?.file_type().is_socket() {
                    return Err(ErrorKind::AlreadyExists.into());
                }
                fs::remove_file(path)?;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if let Some(folder) = path.parent() {
                    fs::create_dir_all(folder)?;
                }
            }
            Err(error) => return Err(error),
        }
        let listener = UnixListener::bind(path)?;
        let file = SocketFile(path.to_path_buf());
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, _file: file })
    }

    /// Answers for as long as the runtime lives.
    ///
    /// # Errors
    /// Those of `epoll_ctl(2)`, at once.
    pub fn serve(
        &self,
        requests: mpsc::Sender<Request>,
        reloads: mpsc::Sender<Trigger>,
    ) -> io::Result<()> {
        let listener = tokio::net::UnixListener::from_std(self.listener.try_clone()?)?;
        tokio::spawn(async move {
            let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
            while let Ok(place) = Arc::clone(&places).acquire_owned().await {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let (requests, reloads) = (requests.clone(), reloads.clone());
                tokio::spawn(async move {
                    let answered = timeout(PATIENCE, converse(stream, requests, reloads)).await;
                    debug!("control connection: {answered:?}");
                    drop(place);
                });
            }
        });
        Ok(())
    }
}

async fn converse(
    stream: tokio::net::UnixStream,
    requests: mpsc::Sender<Request>,
    reloads: mpsc::Sender<Trigger>,
) -> io::Result<()> {
    let (input, mut output) = stream.into_split();
    let mut question = String::new();
    tokio::io::BufReader::new(input.take(LONGEST_QUESTION)).read_line(&mut question).await?;
    let answer = match question.trim() {
        "status" => {
            let (sender, answer) = oneshot::channel();
            let asked = requests.send(Request::Status(sender)).await;
            match asked {
                Ok(()) => answer.await.unwrap_or_else(|_| stopping()),
                Err(_) => stopping(),
            }
        }
        "reload" => {
            let (sender, answer) = oneshot::channel();
            match reloads.send(Trigger::Asked(sender)).await {
                Ok(()) => answer.await.unwrap_or_else(|_| stopping()),
                Err(_) => stopping(),
            }
        }
        other => json!({ "error": format!("`{other}` is neither `status` nor `reload`") }),
    };
    output.write_all(format!("{answer}\n").as_bytes()).await
}

fn stopping() -> Value {
    json!({ "error": "vipd is stopping" })
}

/// Asks a running vipd. It may take five seconds.
///
/// # Errors
/// Those of the connection; [`ErrorKind::InvalidData`] for an answer that is no JSON, and
/// [`ErrorKind::Other`] with what vipd says if it cannot do it.
pub fn ask(path: &Path, question: &str) -> io::Result<Value> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    writeln!(stream, "{question}")?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    let answer: Value = serde_json::from_str(&answer)?;
    match answer["error"].as_str() {
        Some(error) => Err(io::Error::other(error.to_owned())),
        None => Ok(answer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_socket_is_never_replaced() {
        let path = std::env::temp_dir().join(format!("vipd-no-socket-{}", std::process::id()));
        fs::write(&path, "precious").expect("a file of ours");
        let refused = Control::listen(&path).map(drop).expect_err("it is in the way");
        let left = fs::read_to_string(&path).expect("it is there");
        fs::remove_file(&path).expect("it is ours");
        assert_eq!((refused.kind(), left.as_str()), (ErrorKind::AlreadyExists, "precious"));
    }
}
