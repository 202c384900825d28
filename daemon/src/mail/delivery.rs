//! One mail over one connection. What is said is decided in `dialogue`.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::dialogue::{Dialogue, Letter, Outcome, Stage, Step};
use super::resolve;

/// How long the reply to QUIT is waited for: the mail is taken by then.
const GOOD_BYE: Duration = Duration::from_secs(2);
/// Octets that are read at a time.
const READ_AT_ONCE: usize = 1024;

/// The mail server, and how it is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// For the name, for each connection and for each reply.
    pub patience: Duration,
    /// Our own name.
    pub helo_name: String,
}

/// Delivers it, at the first address that can be connected to.
pub async fn deliver(server: &Server, letter: Letter) -> Outcome {
    if letter.to.is_empty() {
        return Outcome::default();
    }
    let to = letter.to.clone();
    match connect(server).await {
        Ok(stream) => converse(stream, server, Dialogue::new(&server.helo_name, letter)).await,
        Err(why) => Outcome::later(&to, &why),
    }
}

async fn connect(server: &Server) -> Result<TcpStream, String> {
    let Server { host, port, patience, .. } = server;
    let found = timeout(*patience, resolve::addresses(host)).await;
    let found = found.unwrap_or_else(|_| Err(format!("nobody says in time where {host} is")))?;
    let mut why = String::new();
    for address in found {
        let address = SocketAddr::new(address, *port);
        why = match timeout(*patience, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => format!("no connection to {address}: {error}"),
            Err(_) => format!("no connection to {address} within {} s", patience.as_secs_f32()),
        };
    }
    Err(why)
}

async fn converse(mut stream: TcpStream, server: &Server, mut dialogue: Dialogue) -> Outcome {
    let mut octets = [0; READ_AT_ONCE];
    let mut out = Vec::new();
    let mut stage = dialogue.stage();
    let mut until = Instant::now() + server.patience;
    loop {
        let exchange = async {
            stream.write_all(&out).await?;
            stream.read(&mut octets).await
        };
        let step = match timeout_at(until, exchange).await {
            Ok(Ok(0)) => dialogue.breaks_off(&format!("{stage} is missing: it was closed")),
            Ok(Ok(count)) => {
                out.clear();
                dialogue.heard(&octets[..count], &mut out)
            }
            Ok(Err(error)) => dialogue.breaks_off(&format!("{stage} is missing: {error}")),
            Err(_) => {
                let patience = server.patience.as_secs_f32();
                dialogue.breaks_off(&format!("{stage} did not come within {patience} s"))
            }
        };
        if step == Step::Over {
            return dialogue.outcome();
        }
        // A server that sends a little now and then gets no more time for it.
        if dialogue.stage() != stage {
            stage = dialogue.stage();
            let patience = if stage == Stage::Quit { GOOD_BYE } else { server.patience };
            until = Instant::now() + patience.min(server.patience);
        }
    }
}
