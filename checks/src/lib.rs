//! What is said in a health check, and what must come back: octets in, octets out.
//!
//! There is no socket, no clock and no TLS here. The engine says when a check runs and for how
//! long; a driver opens, sends, receives and closes; a [`Dialogue`] knows what to send and when an
//! answer is good. The simulator and the daemon run the same ones.
//!
//! # How a driver uses it
//!
//! 1. Once per configured check: [`Plan::new`]. What cannot be asked is refused there
//!    ([`Unusable`]), so that nothing is left to fail while it runs.
//! 2. Per attempt: [`Plan::begin`], and a socket of the kind that [`Plan::transport`] names. A
//!    failure of our own (no descriptor, the source address cannot be bound) is no event: it is
//!    told to the engine as such, and never counts against the server.
//! 3. Each [`Event`] goes to [`Dialogue::on`]. What that appended to the buffer is sent, then its
//!    [`Step`] is followed. With TLS, [`Event::Opened`] comes when the handshake is done, octets
//!    are the plaintext, and a failed handshake is [`Event::Failed`].
//! 4. [`Step::Over`] ends it: [`Verdict::outcome`] is what the engine is told, the words of the
//!    [`Fault`] say more to people. When the engine ends the attempt first,
//!    [`Dialogue::on_deadline`] says what was waited for.
//!
//! Of a stream, octets may come in any pieces, the outcome is the same. Of datagrams, each call has
//! one whole datagram, and what is appended in one call is sent as one. What is not an answer to
//! *this* attempt (another id, another question, another sequence number) is not heard: the
//! dialogue goes on.
//!
//! ```
//! use vipd_checks::{Attempt, Event, Plan, Step, Verdict};
//! use vipd_engine::health::{Failure, Outcome};
//! # use vipd_engine::config::health::{Bind, Check, CheckKind};
//! # use std::time::Duration;
//! # let check = Check {
//! #     kind: CheckKind::Smtp { helo_name: "director.example".into() },
//! #     address: "192.0.2.25".parse().unwrap(),
//! #     port: 25,
//! #     bind: Bind::default(),
//! #     timeout: Duration::from_secs(5),
//! #     delay_loop: Duration::from_secs(60),
//! #     retry: 1,
//! #     delay_before_retry: Duration::from_secs(1),
//! #     warmup: Duration::ZERO,
//! #     alpha: false,
//! #     tells_all_failures: false,
//! # };
//! let plan = Plan::new(&check).expect("a check that can be asked");
//! let mut dialogue = plan.begin(Attempt::default());
//! let mut out = Vec::new();
//! assert_eq!(dialogue.on(Event::Opened, &mut out), Step::Continue);
//! assert_eq!(dialogue.on(Event::Octets(b"220 mail.example ready\r\n"), &mut out), Step::Continue);
//! assert_eq!(out, b"HELO director.example\r\n");
//! let step = dialogue.on(Event::Octets(b"550 go away\r\n"), &mut out);
//! let Step::Over(Verdict::Bad(fault)) = step else { panic!("{step:?}") };
//! assert_eq!(fault.to_string(), "status 550 in the reply to HELO, 250 wanted: \"550 go away\"");
//! assert_eq!(Verdict::Bad(fault).outcome(), Outcome::Bad(Failure::SmtpReply(550)));
//! ```
//!
//! # What a server can do to it
//!
//! Nothing that comes in makes it panic, and what it holds of that is at most [`HELD_MAX`] octets:
//! a body is hashed and searched as it passes, whatever its length. Each limit is a constant with
//! its own [`Fault`]. A server that never ends is ended by the engine's deadline.
//!
//! Where it differs from keepalived is a table in `docs/keepalived.md`.
//!
//! Go on with `plan` (what is prepared once), `http`, `smtp`, `dns`, `udp`, `ping` (a dialogue
//! each), `verdict` (what can be wrong).

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod dialogue;
mod dns;
mod http;
mod line;
mod outcome;
mod ping;
mod plan;
mod smtp;
mod udp;
mod verdict;

pub use dialogue::{Dialogue, Event, Step};
pub use dns::DNS_NAME_MAX;
pub use http::{HTTP_HEAD_MAX, HTTP_LINE_MAX, PATTERN_SIZE_MAX};
pub use ping::ECHO_OCTETS;
pub use plan::{Attempt, Family, Plan, Transport, Unusable};
pub use smtp::{SMTP_LINE_MAX, SMTP_LINES_MAX, reply_line};
pub use verdict::{
    ConnectionFailure, DnsFault, EXCERPT_MAX, Excerpt, Fault, HttpFault, SmtpFault, Stage,
    UdpFault, Verdict,
};

/// Most octets that a dialogue holds of what a server sent: two lines of a head.
pub const HELD_MAX: usize = 2 * HTTP_LINE_MAX;
