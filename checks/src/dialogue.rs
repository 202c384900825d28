//! One attempt, from the first event to its verdict.

use alloc::vec::Vec;
use core::fmt;

use crate::dns::Dns;
use crate::http::Http;
use crate::ping::Ping;
use crate::smtp::Smtp;
use crate::udp::Udp;
use crate::verdict::{ConnectionFailure, Fault, Stage, Verdict};

/// What a driver saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// The connection is there; with TLS, its handshake is done. Of a datagram socket: it can send.
    Opened,
    /// Octets of the stream, in any pieces; or one whole datagram. For a ping: the ICMP message,
    /// without an IP header.
    Octets(&'a [u8]),
    /// The other end sends no more. With TLS, whether it said so (`close_notify`) or not: many do
    /// not.
    Closed,
    /// The network, the other end, or TLS said no.
    Failed(ConnectionFailure),
}

/// What a driver does next, after it sent what was appended to the buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Wait for the next event.
    Continue,
    /// Close, and open another connection to the same place: the next page is asked for on it.
    Reopen,
    /// Close. It is over.
    Over(Verdict),
}

impl Step {
    pub(crate) const fn bad(fault: Fault) -> Self {
        Self::Over(Verdict::Bad(fault))
    }
}

/// What the parts have in common. All but `opened` are called on what is open.
pub(crate) trait Talk: fmt::Debug {
    fn opened(&mut self, out: &mut Vec<u8>) -> Step;

    fn heard(&mut self, octets: &[u8], out: &mut Vec<u8>) -> Step;

    fn closed(&mut self) -> Step {
        Step::bad(Fault::Closed(self.stage()))
    }

    fn failed(&mut self, failure: ConnectionFailure) -> Step {
        Step::bad(Fault::Connection(failure))
    }

    /// What is waited for.
    fn stage(&self) -> Stage;

    /// What it means that nothing more came.
    fn on_deadline(&self) -> Verdict {
        Verdict::Bad(Fault::TimedOut(self.stage()))
    }

    /// Octets held of what came.
    fn held(&self) -> usize {
        0
    }
}

/// The connection is all there is to see.
#[derive(Clone, Debug)]
pub(crate) struct Tcp;

impl Talk for Tcp {
    fn opened(&mut self, _out: &mut Vec<u8>) -> Step {
        Step::Over(Verdict::Good)
    }

    fn heard(&mut self, _octets: &[u8], _out: &mut Vec<u8>) -> Step {
        Step::Continue
    }

    fn stage(&self) -> Stage {
        Stage::Connection
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Part {
    Tcp(Tcp),
    Http(Http),
    Smtp(Smtp),
    Dns(Dns),
    Udp(Udp),
    Ping(Ping),
}

impl Part {
    fn talk(&self) -> &dyn Talk {
        match self {
            Self::Tcp(part) => part,
            Self::Http(part) => part,
            Self::Smtp(part) => part,
            Self::Dns(part) => part,
            Self::Udp(part) => part,
            Self::Ping(part) => part,
        }
    }

    fn talk_mut(&mut self) -> &mut dyn Talk {
        match self {
            Self::Tcp(part) => part,
            Self::Http(part) => part,
            Self::Smtp(part) => part,
            Self::Dns(part) => part,
            Self::Udp(part) => part,
            Self::Ping(part) => part,
        }
    }
}

/// One attempt of a check. [`crate::Plan::begin`] makes it.
#[derive(Clone, Debug)]
pub struct Dialogue {
    part: Part,
    open: bool,
    verdict: Option<Verdict>,
}

impl Dialogue {
    pub(crate) const fn new(part: Part) -> Self {
        Self { part, open: false, verdict: None }
    }

    /// Takes what happened and appends to `out` what is to be sent.
    ///
    /// Before [`Event::Opened`], and again after [`Step::Reopen`], only that and
    /// [`Event::Failed`] mean anything. After the verdict, every event has the same one.
    pub fn on(&mut self, event: Event<'_>, out: &mut Vec<u8>) -> Step {
        if let Some(verdict) = &self.verdict {
            return Step::Over(verdict.clone());
        }
        let talk = self.part.talk_mut();
        let step = match event {
            Event::Opened if self.open => Step::Continue,
            Event::Opened => {
                self.open = true;
                talk.opened(out)
            }
            Event::Failed(failure) if !self.open => Step::bad(Fault::Connection(failure)),
            Event::Octets(_) | Event::Closed if !self.open => Step::Continue,
            Event::Octets(octets) => talk.heard(octets, out),
            Event::Closed => talk.closed(),
            Event::Failed(failure) => talk.failed(failure),
        };
        match &step {
            Step::Continue => {}
            Step::Reopen => self.open = false,
            Step::Over(verdict) => self.verdict = Some(verdict.clone()),
        }
        step
    }

    /// What it means that the time is up now. Only for a datagram that needs no answer is silence
    /// good.
    #[must_use]
    pub fn on_deadline(&self) -> Verdict {
        match &self.verdict {
            Some(verdict) => verdict.clone(),
            None if self.open => self.part.talk().on_deadline(),
            None => Verdict::Bad(Fault::TimedOut(Stage::Connection)),
        }
    }

    /// Path of the page that is asked for, or was the last one: what a fault is about where a check
    /// has several.
    #[must_use]
    pub fn page(&self) -> Option<&str> {
        match &self.part {
            Part::Http(http) => Some(http.page().path()),
            Part::Tcp(_) | Part::Smtp(_) | Part::Dns(_) | Part::Udp(_) | Part::Ping(_) => None,
        }
    }

    /// The name that the next TLS handshake sends (`enable_sni`), if any.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        match &self.part {
            Part::Http(http) => http.page().server_name(),
            Part::Tcp(_) | Part::Smtp(_) | Part::Dns(_) | Part::Udp(_) | Part::Ping(_) => None,
        }
    }

    /// Octets that are held of what came, at most [`crate::HELD_MAX`].
    #[must_use]
    pub fn held(&self) -> usize {
        self.part.talk().held()
    }
}
