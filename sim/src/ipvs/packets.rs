//! What becomes of a packet: the connection it belongs to, or a new one by its service.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use vipd_engine::Timestamp;
use vipd_engine::config::director::{Forwarding, Persistence, Protocol, Service};
use vipd_engine::ipvs::Endpoint;

use super::connections::{Held, Id, Key, What};
use super::tcp::{Seen, State};
use super::{Flow, Limits, Name, Segment, Table, Verdict};

/// A new connection, and the flag of its service that it is to be forgotten at once.
struct Begun {
    id: Id,
    is_one_packet: bool,
}

impl Table {
    /// A client's packet.
    pub fn arrive(&mut self, now: Timestamp, flow: &Flow, segment: Segment) -> Verdict {
        self.expire(now);
        let key = flow.key(segment);
        let mut ended = None;
        if let Some((id, one)) = self.connections.find(&key) {
            let name = one.name;
            if self.begins_another(id, segment) {
                ended = Some(id);
            } else if self.destinations.get(&name).is_some_and(|one| one.is_in_table) {
                return self.follow(now, id, segment);
            } else if self.settings.expire_nodest_conn {
                ended = Some(id);
            } else {
                return Verdict::Dropped;
            }
        }
        let verdict = self.schedule(now, flow, segment);
        // It still counted for the choice: Linux ends it a little later.
        if let Some(id) = ended {
            self.end(id);
        }
        verdict
    }

    /// A packet to the client that a real server sends from `by`, if it comes by here as with NAT.
    pub fn reply(&mut self, now: Timestamp, flow: &Flow, by: SocketAddr, segment: Segment) {
        self.expire(now);
        let found = self.connections.find(&flow.key(segment));
        let Some((id, one)) = found.filter(|(_, one)| one.to == by) else { return };
        let (what, timeout) = one.what.after(segment, Seen::Server, self.limits);
        self.advance(now, id, what, timeout);
    }

    /// Whether a SYN is not taken for one of this connection.
    fn begins_another(&self, id: Id, segment: Segment) -> bool {
        let Some(one) = self.connections.get(id) else { return false };
        let weight = self.destinations.get(&one.name).map(|one| one.spec.weight);
        let is_quiesced = self.settings.expire_nodest_conn && weight == Some(0);
        let is_over = matches!(
            one.what,
            What::Tcp { state: State::TimeWait | State::Closed, template: None, .. }
        );
        segment == Segment::Syn && (is_quiesced || self.settings.conn_reuse_mode && is_over)
    }

    fn follow(&mut self, now: Timestamp, id: Id, segment: Segment) -> Verdict {
        let Some(one) = self.connections.get(id) else { return Verdict::Passed };
        let verdict = Verdict::Forwarded { endpoint: one.name.1, to: one.to };
        let seen = match (one.forwarding, one.what) {
            (Forwarding::Nat, _) | (_, What::Tcp { hears_server: true, .. }) => Seen::Client,
            (Forwarding::DirectRouting | Forwarding::Tunnel(_), _) => Seen::ClientAlone,
        };
        let before = one.what;
        let (what, timeout) = before.after(segment, seen, self.limits);
        self.advance(now, id, what, timeout);
        self.tell(now, id, before);
        verdict
    }

    fn schedule(&mut self, now: Timestamp, flow: &Flow, segment: Segment) -> Verdict {
        let Some(service) = self.service(flow, segment) else { return Verdict::Passed };
        if !matches!(segment, Segment::Syn | Segment::Datagram) {
            return Verdict::Passed;
        }
        let persistence = self.services.get(&service).and_then(|row| row.spec.persistence.clone());
        let begun = match persistence {
            Some(persistence) => self.begin_persistent(now, service, flow, segment, &persistence),
            // Every port needs persistence.
            None if own_port(service) == Some(0) => None,
            None => self.pick(service, flow).map(|endpoint| {
                let to = reached(endpoint, flow.target.port());
                self.begin_flow(now, (service, endpoint), flow, segment, to, None)
            }),
        };
        let Some(Begun { id, is_one_packet }) = begun else { return Verdict::Refused };
        let verdict = self.follow(now, id, segment);
        if is_one_packet {
            self.end(id);
        }
        verdict
    }

    /// The service that is meant: by its mark, its address and port, or its address alone.
    fn service(&self, flow: &Flow, segment: Segment) -> Option<Service> {
        let (address, port) = (flow.target.ip(), flow.target.port());
        let protocol = segment.protocol();
        let family = vipd_engine::Family::of(address);
        let marked = Service::Fwmark { mark: flow.mark, family };
        let exact = Service::Address { address, port, protocol };
        let any_port = Service::Address { address, port: 0, protocol };
        let candidates = [Some(marked).filter(|_| flow.mark != 0), Some(exact), Some(any_port)];
        candidates.into_iter().flatten().find(|one| self.services.contains_key(one))
    }

    fn pick(&mut self, service: Service, flow: &Flow) -> Option<Endpoint> {
        let pool = self.pool(service);
        let row = self.services.get_mut(&service)?;
        row.memory.pick(row.spec.scheduling, &pool, flow, &mut self.random)
    }

    /// By the template of the client's network; where there is none that is good, a new one.
    fn begin_persistent(
        &mut self,
        now: Timestamp,
        service: Service,
        flow: &Flow,
        segment: Segment,
        persistence: &Persistence,
    ) -> Option<Begun> {
        let network = network(flow.client.ip(), persistence.prefix_len);
        let key = Key::Template { network, held: held(service, flow, segment) };
        let found = self.connections.find(&key).map(|(id, one)| (id, one.name));
        let (template, name) = match found {
            Some((id, name)) if self.is_good(name) => (id, name),
            found => {
                if let Some((id, _)) = found {
                    self.connections.hide(id);
                }
                let name = (service, self.pick(service, flow)?);
                let what = (What::Template { followers: 0 }, persistence.timeout);
                let to = reached(name.1, 0);
                let forwarding = self.destinations.get(&name)?.spec.forwarding;
                (self.begin(now, key, name, what, (forwarding, to)), name)
            }
        };
        // Another port than the service's stays as it is.
        let is_own_port = own_port(service) == Some(flow.target.port());
        let port = flow.target.port();
        let to = if is_own_port { reached(name.1, port) } else { at(name.1.address, port) };
        let begun = self.begin_flow(now, name, flow, segment, to, Some(template));
        self.connections.restart(now, template);
        Some(begun)
    }

    /// Whether a template to this destination is still followed.
    fn is_good(&self, name: Name) -> bool {
        self.destinations.get(&name).is_some_and(|one| {
            let is_quiesced = one.spec.weight == 0 && self.settings.expire_quiescent_template;
            one.is_in_table && !is_quiesced
        })
    }

    fn begin_flow(
        &mut self,
        now: Timestamp,
        name: Name,
        flow: &Flow,
        segment: Segment,
        to: SocketAddr,
        template: Option<Id>,
    ) -> Begun {
        let is_datagram = segment == Segment::Datagram;
        let what = if is_datagram {
            What::Udp { template }
        } else {
            What::Tcp { state: State::New, hears_server: false, template }
        };
        let scheduling = self.services.get(&name.0).map(|row| row.spec.scheduling);
        let is_one_packet = is_datagram && scheduling.is_some_and(|one| one.one_packet);
        let destination = self.destinations.get(&name);
        let forwarding = destination.map_or(Forwarding::Nat, |one| one.spec.forwarding);
        // The packet itself sets the time limit.
        let what = (what, Duration::ZERO);
        let id = self.begin(now, flow.key(segment), name, what, (forwarding, to));
        Begun { id, is_one_packet }
    }
}

impl What {
    fn after(self, segment: Segment, seen: Seen, limits: Limits) -> (Self, Duration) {
        match self {
            Self::Tcp { state, hears_server, template } => {
                let hears_server = hears_server || seen == Seen::Server;
                let state = state.after(segment, seen);
                (Self::Tcp { state, hears_server, template }, state.limit(limits))
            }
            Self::Udp { .. } => (self, limits.udp),
            Self::Template { .. } => (self, Duration::ZERO),
        }
    }
}

impl Flow {
    fn key(&self, segment: Segment) -> Key {
        Key::Flow { protocol: segment.protocol(), client: self.client, target: self.target }
    }
}

impl Segment {
    const fn protocol(self) -> Protocol {
        match self {
            Self::Datagram => Protocol::Udp,
            Self::Syn | Self::Ack | Self::Fin | Self::Reset => Protocol::Tcp,
        }
    }
}

fn held(service: Service, flow: &Flow, segment: Segment) -> Held {
    match service {
        Service::Fwmark { mark, .. } => Held::Mark(mark),
        // Its own port, 0 included.
        Service::Address { port, .. } => {
            let target = at(flow.target.ip(), port);
            Held::Target { protocol: segment.protocol(), target }
        }
    }
}

const fn at(address: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(address, port)
}

/// Where a packet to this port arrives at a destination: at its own port, if it has one.
const fn reached(endpoint: Endpoint, port: u16) -> SocketAddr {
    at(endpoint.address, if endpoint.port == 0 { port } else { endpoint.port })
}

/// The port of a service; a mark has none.
const fn own_port(service: Service) -> Option<u16> {
    match service {
        Service::Address { port, .. } => Some(port),
        Service::Fwmark { .. } => None,
    }
}

/// The network of an address.
fn network(address: IpAddr, prefix_len: u8) -> IpAddr {
    let prefix_len = u32::from(prefix_len);
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(prefix_len)).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(prefix_len)).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}
