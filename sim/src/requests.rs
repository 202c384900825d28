//! A host that asks a virtual server for pages: what its users see of an outage.
//!
//! Each request is a connection of its own, from its SYN to its page. A patient client's TCP sends
//! again what is lost: a SYN after 1 s, 3 s, 7 s and so on, a question after 0.2 s, 0.6 s and so on
//! (RFC 6298; on a LAN Linux waits for the 0.2 s of `TCP_RTO_MIN`).

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use vipd_frames::tcp::{Flags, Tcp};
use vipd_frames::{Endpoints, Ethernet};
use vipd_scenarios::record::{HostId, Seen, WorldTime};
use vipd_scenarios::scenario::Requests;

use crate::host::{Host, HostPort, Outside};
use crate::network::Due;

const QUESTION: &[u8] = b"GET / HTTP/1.0\r\n\r\n";
const WANTED: &[u8] = b"HTTP/1.0 200 ";
/// Ephemeral ports (RFC 6335 section 6). One comes again when all others were used, and so no
/// request is taken for an earlier one by who still remembers that, as IPVS does.
const FIRST_PORT: u16 = 49152;
const PORTS: u64 = 16384;
/// A lost SYN is sent again after this, a lost question after that, each time doubled.
pub(crate) const AGAIN_SYN: Duration = Duration::from_secs(1);
const AGAIN_QUESTION: Duration = Duration::from_millis(200);
/// A neighbour is asked for its MAC each second, three times; then it cannot be reached (arp(7),
/// `retrans_time_ms` and `mcast_solicit`).
const AGAIN_ARP: Duration = Duration::from_secs(1);
const MOST_ARP: u32 = 3;
/// How often (tcp(7), `tcp_syn_retries` and `tcp_retries2`).
pub(crate) const MOST_SYNS: u32 = 6;
const MOST_QUESTIONS: u32 = 15;
/// Sequence numbers: the SYN has 0.
const QUESTION_AT: u32 = 1;
pub(crate) const PAGE_AT: u32 = 1;

/// A client and its open requests.
pub(crate) struct User {
    pub(crate) requests: Requests,
    /// Place among its host's ports.
    port: usize,
    ends: Endpoints,
    begun: u64,
    /// In the order in which they began. One that ended waits for those before it.
    open: VecDeque<Request>,
}

struct Request {
    number: u64,
    sent: WorldTime,
    progress: Progress,
    /// Timers that were filed for it, and how often its last segment was sent again.
    filings: u32,
    again: u32,
    /// What came of its page.
    page: Vec<u8>,
    ended: Option<(WorldTime, Option<HostId>)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// It waits for the neighbour's MAC.
    Unresolved,
    Connecting,
    Asking,
    /// Its question is acknowledged: it waits for its page.
    Hearing,
}

impl User {
    /// A client at this port of its host. `ends` are its own address and the virtual one.
    pub(crate) const fn new(requests: Requests, port: usize, ends: Endpoints) -> Self {
        Self { requests, port, ends, begun: 0, open: VecDeque::new() }
    }

    /// Whether a request waits for the MAC of an address.
    pub(crate) fn awaits(&self, host: &Host, port: HostPort, address: IpAddr) -> bool {
        let is_meant = host.ports[self.port].id == port.id && self.requests.address == address;
        is_meant && self.live().any(|request| request.progress == Progress::Unresolved)
    }

    fn live(&self) -> impl Iterator<Item = &Request> {
        self.open.iter().filter(|request| request.ended.is_none())
    }

    fn request(&mut self, number: u64) -> Option<&mut Request> {
        let mut open = self.open.iter_mut();
        open.find(|request| request.number == number && request.ended.is_none())
    }

    fn segment(
        &self,
        number: u64,
        flags: Flags,
        acknowledged: u32,
        data: &'static [u8],
    ) -> Tcp<'_> {
        let sequence = match flags {
            Flags { syn: true, .. } => 0,
            _ if data.is_empty() => QUESTION_AT + QUESTION.len() as u32,
            _ => QUESTION_AT,
        };
        let ports = (local_port(number), self.requests.port);
        Tcp { endpoints: self.ends, ports, flags, sequence, acknowledged, data }
    }
}

impl Request {
    /// How long until its last segment is sent again; `None`: not any more.
    const fn patience(&self) -> Option<Duration> {
        let (first, most) = match self.progress {
            Progress::Unresolved if self.again < MOST_ARP => return Some(AGAIN_ARP),
            Progress::Unresolved | Progress::Hearing => return None,
            Progress::Connecting => (AGAIN_SYN, MOST_SYNS),
            Progress::Asking => (AGAIN_QUESTION, MOST_QUESTIONS),
        };
        if self.again <= most { Some(first.saturating_mul(1 << self.again)) } else { None }
    }
}

impl Host {
    /// The next request begins.
    pub(crate) fn on_request(&mut self, out: &mut Outside<'_>) {
        let (now, running) = (out.net.now, self.is_running());
        let Some(user) = &mut self.user else { return };
        let next = now.later(user.requests.every);
        if !user.requests.patient || !running {
            out.net.queue.push(next, Due::Request { host: self.id });
        }
        if !running {
            return;
        }
        let number = user.begun;
        user.begun += 1;
        let progress = Progress::Unresolved;
        let (sent, filings, again, page, ended) = (now, 0, 0, Vec::new(), None);
        user.open.push_back(Request { number, sent, progress, filings, again, page, ended });
        self.try_request(number, out);
        let Some(user) = &mut self.user else { return };
        if !user.requests.patient {
            let timer = Due::RequestTimer { host: self.id, number, filing: 0 };
            out.net.queue.push(now.later(Requests::LIMIT), timer);
        }
    }

    /// Sends the last segment of a request, or asks for the MAC that it needs. A patient client
    /// files when that is done again.
    fn try_request(&mut self, number: u64, out: &mut Outside<'_>) {
        let Some(user) = &mut self.user else { return };
        let (ends, patient) = (user.ends, user.requests.patient);
        let port = self.ports[user.port];
        let Some(request) = user.request(number) else { return };
        if patient {
            let Some(patience) = request.patience() else {
                return self.end_request(number, None, out);
            };
            request.filings += 1;
            let timer = Due::RequestTimer { host: self.id, number, filing: request.filings };
            out.net.queue.push(out.net.now.later(patience), timer);
        }
        if !self.kernel.passes(port.index) {
            return;
        }
        let known = self.kernel.neighbour(port.index, ends.dst()).is_some();
        match (request.progress, known) {
            (Progress::Unresolved, false) => self.resolve(port, ends, out),
            (Progress::Unresolved, true) => {
                (request.progress, request.again) = (Progress::Connecting, 0);
                self.send_segment(number, Flags { syn: true, ..Flags::default() }, 0, b"", out);
            }
            (Progress::Connecting, _) => {
                self.send_segment(number, Flags { syn: true, ..Flags::default() }, 0, b"", out);
            }
            (Progress::Asking, _) => {
                let ack = Flags { ack: true, ..Flags::default() };
                self.send_segment(number, ack, PAGE_AT, QUESTION, out);
            }
            (Progress::Hearing, _) => {}
        }
    }

    /// The MAC of the virtual address is known: what waits for it leaves.
    pub(crate) fn connect_resolved(
        &mut self,
        port: HostPort,
        address: IpAddr,
        out: &mut Outside<'_>,
    ) {
        let Some(user) = self.user.as_ref().filter(|user| user.awaits(self, port, address)) else {
            return;
        };
        let waiting = user.live().filter(|request| request.progress == Progress::Unresolved);
        for number in waiting.map(|request| request.number).collect::<Vec<_>>() {
            self.try_request(number, out);
        }
    }

    /// Patience with a request is over.
    pub(crate) fn on_request_timer(&mut self, number: u64, filing: u32, out: &mut Outside<'_>) {
        let Some(user) = &mut self.user else { return };
        let patient = user.requests.patient;
        let Some(request) = user.request(number).filter(|request| request.filings == filing) else {
            return;
        };
        if patient {
            request.again += 1;
            self.try_request(number, out);
        } else {
            self.end_request(number, None, out);
        }
    }

    /// Hears a segment if it belongs to a request; says whether it is for this client.
    pub(crate) fn on_reply(
        &mut self,
        port: HostPort,
        tcp: &Tcp<'_>,
        sender: Option<HostId>,
        out: &mut Outside<'_>,
    ) -> bool {
        let Some(user) = &mut self.user else { return false };
        let is_meant = user.ends.reversed() == tcp.endpoints
            && self.ports[user.port].id == port.id
            && user.requests.port == tcp.ports.0;
        if !is_meant {
            return false;
        }
        let found = user.live().find(|request| local_port(request.number) == tcp.ports.1);
        let Some((number, progress)) = found.map(|request| (request.number, request.progress))
        else {
            self.deny(port, tcp, out);
            return true;
        };
        let Flags { syn, rst, .. } = tcp.flags;
        match progress {
            _ if rst => self.end_request(number, None, out),
            Progress::Connecting if syn => {
                if let Some(request) = user.request(number) {
                    (request.progress, request.again) = (Progress::Asking, 0);
                }
                self.try_request(number, out);
            }
            Progress::Asking | Progress::Hearing if !syn => {
                self.hear_page(number, tcp, sender, out);
            }
            _ => {}
        }
        true
    }

    /// Hears a part of a page, or all of it, or that its question has arrived.
    fn hear_page(
        &mut self,
        number: u64,
        tcp: &Tcp<'_>,
        sender: Option<HostId>,
        out: &mut Outside<'_>,
    ) {
        let Some(user) = &mut self.user else { return };
        let patient = user.requests.patient;
        let Some(request) = user.request(number) else { return };
        if request.progress == Progress::Asking {
            request.progress = Progress::Hearing;
            // The question is not sent again. That patience with a request is over still counts.
            request.filings += u32::from(patient);
        }
        if tcp.length() == 0 {
            return;
        }
        let next = PAGE_AT + request.page.len() as u32;
        // What it has already came again; what lies behind a gap comes again.
        let known = next.checked_sub(tcp.sequence).map(|known| known as usize);
        let new = known.and_then(|known| tcp.data.get(known..));
        request.page.extend_from_slice(new.unwrap_or_default());
        let heard = PAGE_AT + request.page.len() as u32;
        let ends = tcp.flags.fin && new.is_some();
        let is_page = request.page.starts_with(WANTED);
        let flags = Flags { fin: ends, ack: true, ..Flags::default() };
        self.send_segment(number, flags, heard + u32::from(ends), b"", out);
        if ends {
            self.end_request(number, sender.filter(|_| is_page), out);
        }
    }

    /// There is no such connection any more (RFC 9293 section 3.5.2).
    fn deny(&self, port: HostPort, tcp: &Tcp<'_>, out: &mut Outside<'_>) {
        if tcp.flags.rst || tcp.length() == 0 {
            return;
        }
        let own = self.kernel.interface(port.index).map(|own| own.mac);
        let neighbour = self.kernel.neighbour(port.index, tcp.endpoints.src());
        let Some((src, dst)) = own.zip(neighbour) else { return };
        let denial = Tcp {
            endpoints: tcp.endpoints.reversed(),
            ports: (tcp.ports.1, tcp.ports.0),
            flags: Flags { rst: true, ..Flags::default() },
            sequence: tcp.acknowledged,
            acknowledged: 0,
            data: b"",
        };
        self.transmit(port, out, |bytes| denial.emit(Ethernet { src, dst }, bytes));
    }

    fn send_segment(
        &self,
        number: u64,
        flags: Flags,
        acknowledged: u32,
        data: &'static [u8],
        out: &mut Outside<'_>,
    ) {
        let Some(user) = &self.user else { return };
        let port = self.ports[user.port];
        let own = self.kernel.interface(port.index).map(|interface| interface.mac);
        let Some((src, dst)) = own.zip(self.kernel.neighbour(port.index, user.ends.dst())) else {
            return;
        };
        let tcp = user.segment(number, flags, acknowledged, data);
        self.transmit(port, out, |bytes| tcp.emit(Ethernet { src, dst }, bytes));
    }

    /// It ended. Those that ended in a row from the first one on are told.
    fn end_request(&mut self, number: u64, answered_by: Option<HostId>, out: &mut Outside<'_>) {
        let now = out.net.now;
        let Some(user) = &mut self.user else { return };
        let Requests { every, patient, .. } = user.requests;
        let Some(request) = user.request(number) else { return };
        request.ended = Some((now, answered_by));
        if patient {
            let next = request.sent.later(every).max(now);
            out.net.queue.push(next, Due::Request { host: self.id });
        }
        let mut told = Vec::new();
        while let Some((sent, (ended, answered_by))) =
            user.open.front().and_then(|first| Some((first.sent, first.ended?)))
        {
            user.open.pop_front();
            told.push(Seen::Request { sent, ended, answered_by });
        }
        told.into_iter().for_each(|seen| self.see(seen, out));
    }

    /// The machine is off: nobody waits for anything any more.
    pub(crate) fn forget_requests(&mut self, out: &mut Outside<'_>) {
        let Some(user) = &mut self.user else { return };
        let waited = user.live().next().is_some();
        user.open.clear();
        if user.requests.patient && waited {
            let next = out.net.now.later(user.requests.every);
            out.net.queue.push(next, Due::Request { host: self.id });
        }
    }
}

/// The port from which a client sends its request of this number.
#[must_use]
pub const fn local_port(number: u64) -> u16 {
    FIRST_PORT + (number % PORTS) as u16
}
