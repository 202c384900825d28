//! One attempt over the network: opens, sends what its dialogue says, and lets it hear what comes,
//! until there is a verdict or the time is over.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};

use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, Interest, ReadBuf};
use tokio::net::UdpSocket;
use tokio::task::yield_now;
use tokio::time::timeout;
use tracing::debug;
use vipd_checks::{Dialogue, Event, Family, Plan, Step, Transport, Verdict};
use vipd_engine::config::health::Check;
use vipd_engine::health::Outcome;

use super::socket::{self, Trouble};
use super::tls;

/// Octets of a stream that are read at a time. Whoever sends that much lets the others go on.
const READ_AT_ONCE: usize = 16 << 10;
/// Longest datagram.
const LONGEST_DATAGRAM: usize = 64 << 10;

thread_local! {
    /// Where all attempts of a thread read into, one at a time: what is read is heard before
    /// anything else happens.
    static ROOM: RefCell<Vec<u8>> = RefCell::new(vec![0; LONGEST_DATAGRAM]);
}

/// What is to be done.
pub struct Attempt {
    pub check: Arc<Check>,
    pub plan: Plan,
    pub tls: Option<Arc<ClientConfig>>,
    pub numbers: vipd_checks::Attempt,
}

impl Attempt {
    /// Makes it, within the time that the check has. Dropped, it closes what it opened.
    pub async fn run(self) -> Outcome {
        let check = &*self.check;
        let mut dialogue = self.plan.begin(self.numbers);
        let verdict = match timeout(check.timeout, self.speak(&mut dialogue)).await {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(Trouble::Ours(error))) => {
                debug!("{check} could not be made: {error}");
                return Outcome::Local(error);
            }
            Ok(Err(Trouble::Theirs(_) | Trouble::Late)) | Err(_) => dialogue.on_deadline(),
        };
        match dialogue.page() {
            Some(page) => debug!("{check} {page}: {verdict}"),
            None => debug!("{check}: {verdict}"),
        }
        verdict.outcome()
    }

    async fn speak(&self, dialogue: &mut Dialogue) -> Result<Verdict, Trouble> {
        loop {
            let step = match self.plan.transport() {
                Transport::Stream => self.on_stream(dialogue).await,
                Transport::Datagram => self.on_datagrams(dialogue, has_no_head).await,
                Transport::Echo(Family::V4) => self.on_datagrams(dialogue, ip_head).await,
                Transport::Echo(Family::V6) => self.on_datagrams(dialogue, has_no_head).await,
            };
            // Of what failed the dialogue says what it means.
            let step = match step {
                Err(Trouble::Theirs(why)) => dialogue.on(Event::Failed(why), &mut Vec::new()),
                Err(trouble) => return Err(trouble),
                Ok(step) => step,
            };
            match step {
                Step::Over(verdict) => return Ok(verdict),
                Step::Reopen | Step::Continue => {}
            }
        }
    }

    /// One connection.
    async fn on_stream(&self, dialogue: &mut Dialogue) -> Result<Step, Trouble> {
        let stream = socket::stream(&self.check).await?;
        match &self.tls {
            None => converse(stream, dialogue).await,
            Some(config) => {
                let name = dialogue.server_name().map(str::to_string);
                let stream = tls::shake_hands(config, name, self.check.address, stream).await?;
                converse(stream, dialogue).await
            }
        }
    }

    async fn on_datagrams(
        &self,
        dialogue: &mut Dialogue,
        head: fn(&[u8]) -> usize,
    ) -> Result<Step, Trouble> {
        let socket = socket::datagrams(&self.check, self.plan.transport())?;
        let mut out = Vec::new();
        let mut step = dialogue.on(Event::Opened, &mut out);
        loop {
            if !out.is_empty() {
                socket.send(&out).await.map_err(|error| Trouble::of(&error))?;
                out.clear();
            }
            if step != Step::Continue {
                return Ok(step);
            }
            let hear = |datagram: &[u8]| {
                let message = &datagram[head(datagram).min(datagram.len())..];
                dialogue.on(Event::Octets(message), &mut out)
            };
            step = receive(&socket, hear).await.map_err(|error| Trouble::of(&error))?;
            // Whoever floods us lets the others go on.
            yield_now().await;
        }
    }
}

/// Waits for a datagram, or for an error of one that was sent: a socket that only has an error is
/// not readable for tokio.
async fn receive<T>(socket: &UdpSocket, hear: impl FnOnce(&[u8]) -> T) -> io::Result<T> {
    loop {
        let ready = socket.ready(Interest::READABLE | Interest::ERROR).await?;
        let received = if ready.is_error() {
            socket.try_io(Interest::ERROR, || match socket.take_error()? {
                Some(error) => Err(error),
                None => Err(ErrorKind::WouldBlock.into()),
            })
        } else {
            ROOM.with_borrow_mut(|room| socket.try_recv(room))
        };
        match received {
            Ok(length) => return Ok(ROOM.with_borrow(|room| hear(&room[..length]))),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// The kernel hands over what is behind the head.
const fn has_no_head(_: &[u8]) -> usize {
    0
}

/// A raw socket of IPv4 hands over the IP header too (raw(7)): its length in words is in the first
/// octet.
fn ip_head(datagram: &[u8]) -> usize {
    datagram.first().map_or(0, |first| usize::from(first & 0xf) * 4)
}

/// On a connection that is there, until the dialogue wants another one or is over.
async fn converse<S>(mut stream: S, dialogue: &mut Dialogue) -> Result<Step, Trouble>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut out = Vec::new();
    let mut step = dialogue.on(Event::Opened, &mut out);
    loop {
        if !out.is_empty() {
            // Whoever takes nothing more may have said why: that is read, and then its end.
            if stream.write_all(&out).await.is_ok() {
                let _ = stream.flush().await;
            }
            out.clear();
        }
        if step != Step::Continue {
            return Ok(step);
        }
        step = hear(&mut stream, dialogue, &mut out).await?;
    }
}

/// Waits for what comes next.
async fn hear<S>(
    stream: &mut S,
    dialogue: &mut Dialogue,
    out: &mut Vec<u8>,
) -> Result<Step, Trouble>
where
    S: AsyncRead + Unpin,
{
    let heard = poll_fn(|context| {
        ROOM.with_borrow_mut(|room| {
            let mut room = ReadBuf::new(&mut room[..READ_AT_ONCE]);
            let event = match ready!(Pin::new(&mut *stream).poll_read(context, &mut room)) {
                Ok(()) if room.filled().is_empty() => Event::Closed,
                Ok(()) => Event::Octets(room.filled()),
                // TLS that ends without saying so.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => Event::Closed,
                Err(error) => return Poll::Ready(Err(tls::trouble(&error))),
            };
            Poll::Ready(Ok((dialogue.on(event, out), room.remaining() == 0)))
        })
    });
    let (step, was_full) = heard.await?;
    if was_full {
        yield_now().await;
    }
    Ok(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_a_datagram_is_as_long_as_it_says() {
        assert_eq!(ip_head(&[0x45; 84]), 20);
        assert_eq!(ip_head(&[0x4f; 84]), 60);
        assert_eq!(ip_head(&[]), 0);
    }
}
