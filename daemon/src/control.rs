//! The control socket: one line asks, one JSON object answers, and the connection ends. Only
//! `events` is answered by a line for each, for as long as whoever asks stays.
//!
//! What is asked for is done by the run loop ([`crate::driver`]), by [`crate::reload`] or by
//! [`crate::events`].

use std::fs::{self, File, TryLockError};
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use tracing::debug;
use vipd_engine::Order;

use crate::driver::Request;
use crate::events::Events;
use crate::ipvs::Ipvs;
use crate::orders;
use crate::reload::Trigger;
use crate::status::connections;

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
    /// Held for as long as the socket is ours, let go after its file.
    _lock: File,
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
    /// that somebody answers never is. The lock beside it lets one of two that start at a time do
    /// so: both would find nobody, and the second would replace the first one's.
    ///
    /// # Errors
    /// [`ErrorKind::AddrInUse`] if somebody answers or holds the lock, [`ErrorKind::AlreadyExists`]
    /// if something else than a socket is there, or what the file system says.
    pub fn listen(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let lock = lock(path)?;
        match UnixStream::connect(path) {
            Ok(_) => return Err(ErrorKind::AddrInUse.into()),
            // Nobody listens there any more, or it is a file of another kind.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                if !fs::symlink_metadata(path)?.file_type().is_socket() {
                    return Err(ErrorKind::AlreadyExists.into());
                }
                fs::remove_file(path)?;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let listener = UnixListener::bind(path)?;
        let file = SocketFile(path.to_path_buf());
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, _file: file, _lock: lock })
    }

    /// Answers for as long as the runtime lives.
    ///
    /// # Errors
    /// Those of `epoll_ctl(2)`, at once.
    pub fn serve(
        &self,
        requests: mpsc::Sender<Request>,
        reloads: mpsc::Sender<Trigger>,
        events: Events,
    ) -> io::Result<()> {
        let listener = tokio::net::UnixListener::from_std(self.listener.try_clone()?)?;
        tokio::spawn(async move {
            let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
            while let Ok(place) = Arc::clone(&places).acquire_owned().await {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let asked = Asked { requests: requests.clone(), reloads: reloads.clone() };
                let (events, freed) = (events.clone(), requests.clone());
                tokio::spawn(async move {
                    let (input, output) = stream.into_split();
                    let (mut input, mut output) = (tokio::io::BufReader::new(input), output);
                    let answered = timeout(PATIENCE, asked.converse(&mut input, &mut output)).await;
                    debug!("control connection: {answered:?}");
                    // A status of many virtual routers is larger than all that is kept of them.
                    let _ = freed.send(Request::GiveBack).await;
                    drop(place);
                    if let Ok(Ok(Then::Follow)) = answered {
                        let followed = events.follow(input, output).await;
                        debug!("control connection: followed events: {followed:?}");
                    }
                });
            }
        });
        Ok(())
    }
}

/// Takes the lock of a socket. Its file stays: who removed it would let two lock two files.
fn lock(path: &Path) -> io::Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let mut options = File::options();
    let file = options.write(true).create(true).truncate(false).mode(0o600).open(name)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ErrorKind::AddrInUse.into()),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Who does what is asked for.
struct Asked {
    requests: mpsc::Sender<Request>,
    reloads: mpsc::Sender<Trigger>,
}

/// What comes after the question.
#[derive(Debug)]
enum Then {
    /// It was answered.
    Answered,
    /// It was `events`.
    Follow,
}

impl Asked {
    async fn converse(
        &self,
        input: &mut tokio::io::BufReader<OwnedReadHalf>,
        output: &mut OwnedWriteHalf,
    ) -> io::Result<Then> {
        let mut question = String::new();
        input.take(LONGEST_QUESTION).read_line(&mut question).await?;
        let answer = match question.trim() {
            "events" => return Ok(Then::Follow),
            "status" => with_connections(self.request(Request::Status).await).await,
            "reload" => {
                let (sender, answer) = oneshot::channel();
                match self.reloads.send(Trigger::Asked(sender)).await {
                    Ok(()) => answer.await.unwrap_or_else(|_| stopping()),
                    Err(_) => stopping(),
                }
            }
            other => self.order(other).await.unwrap_or_else(|error| json!({ "error": error })),
        };
        output.write_all(format!("{answer}\n").as_bytes()).await?;
        Ok(Then::Answered)
    }

    /// Orders of real servers first: their words are others.
    async fn order(&self, question: &str) -> Result<Value, String> {
        if let Some(order) = orders::read(question) {
            let (which, order) = order?;
            return Ok(self.request(|answer| Request::Server { which, order, answer }).await);
        }
        let (order, instance) = order(question)?;
        Ok(self.request(|answer| Request::Order { instance, order, answer }).await)
    }

    /// Asks the run loop.
    async fn request(&self, ask: impl FnOnce(oneshot::Sender<Value>) -> Request) -> Value {
        let (sender, answer) = oneshot::channel();
        match self.requests.send(ask(sender)).await {
            Ok(()) => answer.await.unwrap_or_else(|_| stopping()),
            Err(_) => stopping(),
        }
    }
}

/// The report with what the kernel knows beside it.
async fn with_connections(mut report: Value) -> Value {
    if !connections::are_told(&report) {
        return report;
    }
    let tell = move || {
        connections::tell(&mut report, Ipvs::open());
        report
    };
    let told = tokio::task::spawn_blocking(tell).await;
    told.unwrap_or_else(|died| json!({ "error": format!("no status: {died}") }))
}

/// `yield INSTANCE` and its like. The name is whatever else is on the line.
fn order(question: &str) -> Result<(Order, String), String> {
    let (word, name) = question.split_once(' ').unwrap_or((question, ""));
    let words = Order::ALL.map(Order::word).join(", ");
    match (Order::from_word(word), name.trim()) {
        (None, _) => Err(format!(
            "`{word}` is none of status, reload, events, {words}, drain, undrain, weight"
        )),
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

/// Follows the events of a running vipd until it ends, or until `hear` fails.
///
/// # Errors
/// Those of the connection and of `hear`; [`ErrorKind::Other`] with what vipd says if it refuses.
pub fn follow(path: &Path, mut hear: impl FnMut(Value) -> io::Result<()>) -> io::Result<()> {
    let mut stream = UnixStream::connect(path)?;
    writeln!(stream, "events")?;
    for line in BufReader::new(stream).lines() {
        let told: Value = serde_json::from_str(&line?)?;
        if let Some(error) = told["error"].as_str() {
            return Err(io::Error::other(error.to_owned()));
        }
        hear(told)?;
    }
    Ok(())
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
        assert_eq!(
            unknown,
            "`stop` is none of status, reload, events, yield, hold, resume, drain, undrain, weight"
        );
    }

    #[test]
    fn of_two_that_start_at_a_time_one_has_the_socket_and_the_other_leaves_it_alone() {
        let folder = std::env::temp_dir().join(format!("vipd-race-{}", std::process::id()));
        let path = folder.join("control.sock");
        fs::create_dir_all(&folder).expect("a folder of ours");
        let mut races = 0;
        for _ in 0..1_000 {
            // Nobody answers there: the process that made it was killed.
            let _ = fs::remove_file(&path);
            drop(UnixListener::bind(&path).expect("a socket file"));
            let racers: Vec<_> = (0..4)
                .map(|_| {
                    let path = path.clone();
                    std::thread::spawn(move || Control::listen(&path))
                })
                .collect();
            let ends: Vec<_> =
                racers.into_iter().map(|one| one.join().expect("no panic")).collect();
            let won = ends.iter().filter(|end| end.is_ok()).count();
            let lost = ends.iter().filter_map(|end| end.as_ref().err()).map(io::Error::kind);
            assert!(lost.into_iter().all(|kind| kind == ErrorKind::AddrInUse));
            // A process that another test forks holds the lock of the race before until its exec.
            if won == 0 {
                continue;
            }
            assert_eq!(won, 1);
            assert!(UnixStream::connect(&path).is_ok(), "the winner's socket is the one there");
            drop(ends);
            assert!(!path.exists());
            races += 1;
            if races == 100 {
                break;
            }
        }
        assert_eq!(races, 100, "nearly each race has a winner");
        fs::remove_dir_all(&folder).expect("it is ours");
    }

    #[test]
    fn a_file_that_is_no_socket_is_never_replaced() {
        let path = std::env::temp_dir().join(format!("vipd-no-socket-{}", std::process::id()));
        fs::write(&path, "precious").expect("a file of ours");
        let refused = Control::listen(&path).map(drop).expect_err("it is in the way");
        let left = fs::read_to_string(&path).expect("it is there");
        fs::remove_file(&path).expect("it is ours");
        let _ = fs::remove_file(format!("{}.lock", path.display()));
        assert_eq!((refused.kind(), left.as_str()), (ErrorKind::AlreadyExists, "precious"));
    }
}
