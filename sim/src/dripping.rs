//! Pages that come an octet at a time ([`Conduct::Drips`]): the connections that a real server
//! keeps.
//!
//! The question is acknowledged at once, and each octet is a segment of its own. What the client
//! has not acknowledged goes out again with the next octet, and after the last one until it is
//! acknowledged or was sent [`MOST_UNHEARD`] times in a row for nothing (tcp(7), `tcp_retries2`).
//! What a server does later on changes nothing of a page that drips, but that one which refuses, a
//! program that has ended, resets it, and one that is silent says nothing meanwhile.

use std::time::Duration;

use vipd_frames::tcp::{Flags, Tcp};
use vipd_frames::{Endpoints, Ethernet};
use vipd_scenarios::scenario::Conduct;

use crate::host::{Host, HostPort, Outside};
use crate::network::Due;
use crate::requests::PAGE_AT;
use crate::serving::PAGE;

/// How often a server says the same to somebody who does not acknowledge it.
const MOST_UNHEARD: u32 = 15;

/// Pages under way.
#[derive(Debug, Default)]
pub(crate) struct Drips {
    begun: u64,
    open: Vec<Drip>,
}

/// One of them.
#[derive(Clone, Copy, Debug)]
struct Drip {
    number: u64,
    port: HostPort,
    /// From the server to the client.
    endpoints: Endpoints,
    ports: (u16, u16),
    every: Duration,
    /// Sequence number behind what was heard.
    heard: u32,
    /// Octets that were said, and those that the client has.
    said: usize,
    acknowledged: usize,
    /// How often something was said since the client acknowledged something.
    unheard: u32,
}

impl Drip {
    fn answers(&self, tcp: &Tcp<'_>) -> bool {
        self.endpoints == tcp.endpoints.reversed() && self.ports == (tcp.ports.1, tcp.ports.0)
    }

    /// What the client has not acknowledged, with the end of the page behind its last octet.
    fn segment(&self) -> Tcp<'static> {
        let fin = self.said == PAGE.len();
        Tcp {
            endpoints: self.endpoints,
            ports: self.ports,
            flags: Flags { fin, ack: true, ..Flags::default() },
            sequence: PAGE_AT + self.acknowledged as u32,
            acknowledged: self.heard,
            data: &PAGE[self.acknowledged..self.said],
        }
    }
}

impl Drips {
    /// The machine is off.
    pub(crate) fn forget(&mut self) {
        self.open.clear();
    }

    /// Hears a segment. Says whether a page drips on its connection, and goes on to.
    pub(crate) fn hear(&mut self, tcp: &Tcp<'_>) -> bool {
        let Some(place) = self.open.iter().position(|drip| drip.answers(tcp)) else { return false };
        let drip = &mut self.open[place];
        let octets = tcp.acknowledged.wrapping_sub(PAGE_AT) as usize;
        if tcp.flags.rst || tcp.flags.fin || tcp.flags.syn || octets > PAGE.len() {
            // It has ended, or another one begins.
            self.open.swap_remove(place);
            return false;
        }
        if tcp.flags.ack && (drip.acknowledged + 1..=drip.said).contains(&octets) {
            (drip.acknowledged, drip.unheard) = (octets, 0);
        }
        true
    }
}

impl Host {
    /// A question came: the first octet of its page follows in a while.
    pub(crate) fn begin_drip(
        &mut self,
        port: HostPort,
        tcp: &Tcp<'_>,
        every: Duration,
        out: &mut Outside<'_>,
    ) {
        let number = self.drips.begun;
        self.drips.begun += 1;
        self.drips.open.push(Drip {
            number,
            port,
            endpoints: tcp.endpoints.reversed(),
            ports: (tcp.ports.1, tcp.ports.0),
            every,
            heard: tcp.sequence.wrapping_add(tcp.length()),
            said: 0,
            acknowledged: 0,
            unheard: 0,
        });
        out.net.queue.push(out.net.now.later(every), Due::Drip { host: self.id, number });
    }

    /// The next octet of a page.
    pub(crate) fn on_drip(&mut self, number: u64, out: &mut Outside<'_>) {
        let Some(place) = self.drips.open.iter().position(|drip| drip.number == number) else {
            return;
        };
        let mut drip = self.drips.open[place];
        let target = (drip.endpoints.src(), drip.ports.0);
        let mut segment = None;
        if self.is_running() && self.kernel.passes(drip.port.index) {
            segment = match out.servers.conduct(out.net.now, self.id, target) {
                Some(Conduct::Silent | Conduct::Unreachable) => None,
                None | Some(Conduct::Refuses) => {
                    let flags = Flags { rst: true, ack: true, ..Flags::default() };
                    Some(Tcp { flags, data: b"", ..drip.segment() })
                }
                Some(_) => {
                    drip.said = PAGE.len().min(drip.said + 1);
                    drip.unheard += 1;
                    Some(drip.segment())
                }
            };
        }
        let is_reset = segment.is_some_and(|segment| segment.flags.rst);
        if is_reset || drip.unheard > MOST_UNHEARD {
            self.drips.open.swap_remove(place);
        } else {
            self.drips.open[place] = drip;
            let next = out.net.now.later(drip.every);
            out.net.queue.push(next, Due::Drip { host: self.id, number });
        }
        let own = self.kernel.interface(drip.port.index).map(|own| own.mac);
        let Some((segment, src)) = segment.zip(own) else { return };
        let dst = out.net.resolve(drip.port.segment, segment.endpoints.dst());
        self.transmit(drip.port, out, |bytes| segment.emit(Ethernet { src, dst }, bytes));
    }
}
