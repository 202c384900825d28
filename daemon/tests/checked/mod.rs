//! What the tests of the checks have in common: the driver of the checks, and servers on loopback
//! that behave in every way.

#![allow(dead_code, reason = "not every test needs all of it")]

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use tokio::time::timeout;
use vipd::probes::{Probes, Settings};
use vipd::reload::Source;
use vipd::scripts::{Helper, Scripts};
use vipd_config::{Loaded, Options};
use vipd_engine::config::health::{Bind, Check, CheckKind, HttpCheck, HttpProtocol, Tls, Url};
use vipd_engine::health::{AttemptId, CheckId, Outcome, Probe, ProbeCommand};

/// What has not come by then does not come.
pub const LONG: Duration = Duration::from_secs(20);
/// Time of an attempt that is to run out of it.
pub const SHORT: Duration = Duration::from_millis(300);

/// The driver, and the engine's numbers.
pub struct Checks {
    pub probes: Probes,
    pub settings: Settings,
    number: u64,
}

impl Checks {
    /// Without a file. Must be called inside a runtime.
    pub fn new() -> Self {
        Self::over(helper(Path::new("/nowhere")))
    }

    /// With the scripts of this file, which the helper reads too.
    pub async fn with(file: &Path, loaded: &Loaded) -> Self {
        let mut scripts = helper(file);
        scripts.configure(loaded).await;
        let checks = Self::over(scripts);
        checks.settings.configure(loaded);
        checks
    }

    fn over(scripts: Scripts) -> Self {
        let settings = Settings::default();
        Self { probes: Probes::new(scripts, settings.clone()), settings, number: 0 }
    }

    /// Begins an attempt of a check with this place.
    pub fn start(&mut self, place: u32, check: &Arc<Check>, url: u32) -> AttemptId {
        self.number += 1;
        let id = AttemptId { check: CheckId(place), number: self.number };
        let command = ProbeCommand::Start { check: Arc::clone(check), url };
        self.probes.perform(Probe { id, command });
        id
    }

    pub fn cancel(&mut self, id: AttemptId) {
        self.probes.perform(Probe { id, command: ProbeCommand::Cancel });
    }

    pub async fn next(&mut self) -> (AttemptId, Outcome) {
        timeout(LONG, self.probes.next()).await.expect("an outcome")
    }

    /// Makes one attempt.
    pub async fn outcome(&mut self, check: Check) -> Outcome {
        let id = self.start(0, &Arc::new(check), 0);
        let (of, outcome) = self.next().await;
        assert_eq!(of, id);
        outcome
    }
}

fn helper(file: &Path) -> Scripts {
    let source = Source { file: file.to_path_buf(), options: Options::default() };
    let helper = Helper::start_as(Path::new(env!("CARGO_BIN_EXE_vipd")), &source);
    helper.expect("a helper").attach().expect("its pipes")
}

/// A check of a port of this machine.
pub fn check(kind: CheckKind, port: u16) -> Check {
    Check {
        kind,
        address: Ipv4Addr::LOCALHOST.into(),
        port,
        bind: Bind::default(),
        timeout: LONG,
        delay_loop: Duration::from_secs(6),
        retry: 0,
        delay_before_retry: Duration::from_secs(1),
        warmup: Duration::ZERO,
        alpha: false,
        tells_all_failures: false,
    }
}

pub fn url(path: &str) -> Url {
    let (path, status) = (path.to_string(), vec![(200, 299)]);
    Url { path, virtualhost: None, status, digest: None, pattern: None }
}

/// An `HTTP_GET` of one page, or an `SSL_GET`.
pub fn page(tls: Option<Tls>) -> HttpCheck {
    HttpCheck {
        tls,
        protocol: HttpProtocol::V1_1,
        virtualhost: None,
        fast_recovery: false,
        urls: vec![url("/")],
    }
}

pub fn http(http: HttpCheck, port: u16) -> Check {
    check(CheckKind::Http(Box::new(http)), port)
}

/// A port of loopback, of which each connection gets a thread that does this. What it returns comes
/// out of the receiver.
pub fn server<T: Send + 'static>(
    does: impl Fn(TcpStream) -> T + Send + Sync + 'static,
) -> (u16, Receiver<T>) {
    server_at(Ipv4Addr::LOCALHOST.into(), does)
}

pub fn server_at<T: Send + 'static>(
    address: IpAddr,
    does: impl Fn(TcpStream) -> T + Send + Sync + 'static,
) -> (u16, Receiver<T>) {
    let listener = TcpListener::bind(SocketAddr::new(address, 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (sender, came) = channel();
    let does = Arc::new(does);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (does, sender) = (Arc::clone(&does), sender.clone());
            // Whoever asked may have seen enough.
            thread::spawn(move || sender.send(does(stream)));
        }
    });
    (port, came)
}

/// A port of loopback at which nobody is.
pub fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// Reads the head of a request.
pub fn request(stream: &mut impl Read) -> String {
    let (mut head, mut octet) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut octet) {
            Ok(1) => head.push(octet[0]),
            Ok(_) | Err(_) => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// Answers one request like this, and waits until the other end closes.
pub fn answers(answer: &'static str) -> impl Fn(TcpStream) -> String + Send + Sync + 'static {
    move |mut stream| {
        let asked = request(&mut stream);
        let _ = stream.write_all(answer.as_bytes());
        let _ = io::copy(&mut stream, &mut io::sink());
        asked
    }
}

pub const PAGE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
pub const ENDLESS: &str = "HTTP/1.1 200 OK\r\n\r\n";

/// Writes a page that never ends, until nobody takes it.
pub fn pours(stream: &mut impl Write) {
    let _ = stream.write_all(ENDLESS.as_bytes());
    while stream.write_all(&[b'x'; 65_536]).is_ok() {}
}

/// A folder for the files of a test, removed with it.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("vipd-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
