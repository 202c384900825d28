//! Real servers that answer every check, all on loopback: those of `TCP_CHECK` close what they
//! accept, those of `SSL_GET` answer a page.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use vipd_netns_tests::namespaces::Namespace;

use crate::servers::PORTS;

/// How many handshakes are under way at a time.
const THREADS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(2);
const PAGE: &[u8] = b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// How many checks were answered so far. The servers end with the process.
#[derive(Clone, Default)]
pub struct Answered(Arc<AtomicU64>);

impl Answered {
    /// Since they were started.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Starts them in this namespace.
///
/// # Errors
/// Those of the sockets and of the certificate, in words.
pub fn start(namespace: &Namespace) -> Result<Answered, String> {
    let answered = Answered::default();
    let listen = |port| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port));
    let [plain, secret] = namespace.within(move || PORTS.map(listen))?;
    let error = |error: io::Error| error.to_string();
    let (plain, secret, config) = (plain.map_err(error)?, secret.map_err(error)?, config()?);
    let counts = answered.clone();
    thread::spawn(move || {
        give_way();
        while plain.accept().is_ok() {
            counts.0.fetch_add(1, Ordering::Relaxed);
        }
    });
    for _ in 0..THREADS {
        let listener = secret.try_clone().map_err(|error| error.to_string())?;
        let (config, counts) = (Arc::clone(&config), answered.clone());
        thread::spawn(move || {
            give_way();
            while let Ok((stream, _)) = listener.accept() {
                if page(&config, stream).is_some() {
                    counts.0.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }
    Ok(answered)
}

fn page(config: &Arc<ServerConfig>, stream: TcpStream) -> Option<()> {
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let connection = ServerConnection::new(Arc::clone(config)).ok()?;
    let mut stream = StreamOwned::new(connection, stream);
    let mut asked = [0; 1024];
    let _ = stream.read(&mut asked).ok()?;
    stream.write_all(PAGE).ok()?;
    stream.conn.send_close_notify();
    stream.flush().ok()
}

fn config() -> Result<Arc<ServerConfig>, String> {
    let made = rcgen::generate_simple_self_signed(vec!["www.example".to_string()]);
    let made = made.map_err(|error| error.to_string())?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key)
        });
    config.map(Arc::new).map_err(|error| error.to_string())
}

/// They are on the machine that is measured only because there is no other one.
fn give_way() {
    let own = nix::unistd::gettid().to_string();
    let mut command = Command::new("renice");
    command.args(["-n", "10", "-p", &own]).stdin(Stdio::null()).stdout(Stdio::null());
    let _ = command.stderr(Stdio::null()).status();
}
