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
use vipd_engine::Order;

use crate::driver::Request;
use crate::reload::Trigger;

/// Where it is unless an argument says otherwise.
pub const DEFAULT_PATH: &str = "/run/vipd/control.sock";
/// Connections that are served at a time; others wait.
const MOST_CONNECTIONS: usize = 8;
/// Octets of a question, at most.
const LONGEST_QUESTION: u64 = 1024;
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
                    // A status of many virtual routers is larger than all that is kept of them.
                    vipd_sys::give_back_free_memory();
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
        other => match order(other) {
            Ok((order, instance)) => {
                let (answer, sent) = oneshot::channel();
                let asked = requests.send(Request::Order { instance, order, answer }).await;
                match asked {
                    Ok(()) => sent.await.unwrap_or_else(|_| stopping()),
                    Err(_) => stopping(),
                }
            }
            Err(error) => json!({ "error": error }),
        },
    };
    output.write_all(format!("{answer}\n").as_bytes()).await
}

/// `yield INSTANCE` and its like. The name is whatever else is on the line.
fn order(question: &str) -> Result<(Order, String), String> {
    let (word, name) = question.split_once(' ').unwrap_or((question, ""));
    let words = Order::ALL.map(Order::word).join(", ");
    match (Order::from_word(word), name.trim()) {
        (None, _) => Err(format!("`{word}` is none of status, reload, {words}")),
        (Some(order), "") => Err(format!("{} needs the name of a vrrp_instance", order.word())),
        (Some(order), name) => Ok((order, name.to_string())),
    }
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
    fn an_order_is_a_word_and_the_name_of_an_instance() {
        assert_eq!(order("hold VI_1"), Ok((Order::Hold, "VI_1".to_string())));
        assert_eq!(order("yield two words"), Ok((Order::Yield, "two words".to_string())));
        assert_eq!(order("resume"), Err("resume needs the name of a vrrp_instance".to_string()));
        let unknown = order("stop VI_1").expect_err("no order");
        assert_eq!(unknown, "`stop` is none of status, reload, yield, hold, resume");
    }

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
