//! The wires of this machine: raw sockets for adverts, a packet socket for whole frames.
//!
//! It decides which of them a frame leaves by, and which multicast groups are listened to on which
//! interfaces. Octets on one raw socket are in `raw`, headers in `vipd_frames`.

mod raw;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use tracing::{debug, warn};
use vipd_engine::config::{MULTICAST_GROUP_V4, MULTICAST_GROUP_V6, Transport};
use vipd_engine::{
    AdvertFrame, Announcement, CommandId, Config, EffectError, Family, Frame, Ifindex,
    InterfaceName, Link, LinkState, Received,
};
use vipd_frames::Ethernet;
use vipd_sys::{BURST, PacketSocket, Path};

use crate::seam::{Socket, Told};
use raw::{MULTICAST_TTL, Raw, RawSocket};

/// The sockets as they are opened at start-up, before the privileges for it are dropped.
pub struct Opened {
    ipv4: Raw,
    /// `None` on a machine without IPv6.
    ipv6: Option<Raw>,
    packet: PacketSocket,
}

impl Opened {
    /// Opens them. Needs `CAP_NET_RAW`.
    ///
    /// # Errors
    /// Those of socket(2) and of its options; a kernel without IPv6 is none.
    pub fn new() -> io::Result<Self> {
        let ipv6 = match Raw::open(Family::Ipv6) {
            Ok(socket) => Some(socket),
            Err(error) if error.raw_os_error() == Some(nix::errno::Errno::EAFNOSUPPORT as i32) => {
                None
            }
            Err(error) => return Err(error),
        };
        Ok(Self { ipv4: Raw::open(Family::Ipv4)?, ipv6, packet: PacketSocket::new()? })
    }

    /// Makes them wake a runtime. Must be called inside one.
    ///
    /// # Errors
    /// Those of `epoll_ctl(2)`.
    pub fn register(self) -> io::Result<Sockets> {
        Ok(Sockets {
            ipv4: RawSocket::new(self.ipv4)?,
            ipv6: self.ipv6.map(RawSocket::new).transpose()?,
            packet: self.packet,
            ipv6_first: false,
            frame: Vec::new(),
            identification: 0,
            config: Arc::default(),
            links: BTreeMap::new(),
            joined: BTreeSet::new(),
            refused: BTreeSet::new(),
        })
    }
}

/// A group on an interface.
type Membership = (Ifindex, IpAddr);

/// The sockets at work.
pub struct Sockets {
    ipv4: RawSocket,
    ipv6: Option<RawSocket>,
    packet: PacketSocket,
    /// The families take turns, so that a flood of one leaves the other its share.
    ipv6_first: bool,
    /// Memory for the frame that is being sent.
    frame: Vec<u8>,
    identification: u16,
    config: Arc<Config>,
    links: BTreeMap<Ifindex, Link>,
    joined: BTreeSet<Membership>,
    /// Those that the kernel did not let us join: told once.
    refused: BTreeSet<Membership>,
}

impl Socket for Sockets {
    async fn readable(&self) {
        match &self.ipv6 {
            Some(ipv6) => tokio::select! {
                () = self.ipv4.readable() => {}
                () = ipv6.readable() => {}
            },
            None => self.ipv4.readable().await,
        }
    }

    fn try_recv(&mut self) -> Option<Received<'_>> {
        self.ipv6_first = !self.ipv6_first;
        let (ipv4, ipv6) = (Some(&mut self.ipv4), self.ipv6.as_mut());
        let [first, second] = if self.ipv6_first { [ipv6, ipv4] } else { [ipv4, ipv6] };
        let received = first.and_then(RawSocket::try_recv).or_else(|| second?.try_recv())?;
        let interface = home(&self.config, &self.links, received.interface);
        Some(Received { interface, ..received })
    }

    fn try_send(&mut self, frame: &Frame) -> Result<(), EffectError> {
        let sent = match (self.as_datagram(frame), frame) {
            (Some((path, advert)), _) => self.send_datagrams(path, &[advert]).map(|_| ()),
            (None, Frame::Advert(advert)) if is_too_late(&self.links, advert) => {
                Err(nix::errno::Errno::ENETDOWN.into())
            }
            (None, Frame::Advert(AdvertFrame { interface, .. }))
            | (None, Frame::GratuitousArp(Announcement { interface, .. }))
            | (None, Frame::UnsolicitedNa(Announcement { interface, .. })) => {
                self.send_frame(*interface, frame)
            }
        };
        sent.map_err(|error| refused(frame, &error))
    }

    fn send_all(&mut self, frames: &[(CommandId, Frame)], told: &mut VecDeque<Told>) {
        let mut rest = frames;
        while let [(_, frame), ..] = rest {
            let sent = match self.burst(rest) {
                Some((path, burst)) => {
                    let sent = self.send_datagrams(path, &burst);
                    sent.map_err(|error| refused(frame, &error))
                }
                None => self.try_send(frame).map(|()| 1),
            };
            // One that is refused behind others is tried again as the first, and then it is told.
            let (done, later) = rest.split_at(sent.unwrap_or(1).clamp(1, rest.len()));
            let result = sent.map(|_| ());
            told.extend(done.iter().map(|(id, _)| Told::Done { id: *id, result }));
            rest = later;
        }
    }

    fn unreadable(&self) -> u64 {
        self.ipv4.unreadable() + self.ipv6.as_ref().map_or(0, RawSocket::unreadable)
    }

    fn configure(&mut self, config: &Arc<Config>) {
        self.config = Arc::clone(config);
        self.refused.clear();
        self.listen();
    }

    fn on_link(&mut self, link: &Link) {
        if link.state == LinkState::Absent {
            self.links.remove(&link.interface);
        } else {
            self.links.insert(link.interface, link.clone());
        }
        self.listen();
    }
}

impl Sockets {
    /// Whether the Ethernet source is not the interface's own: only a whole frame can say that. A
    /// unicast advert needs its receiver's MAC, which the kernel knows, and leaves with our own.
    fn leaves_with_another_mac(&self, advert: &AdvertFrame) -> bool {
        let own = self.links.get(&advert.interface).map(|link| link.mac);
        advert.dst.is_multicast() && own.is_some_and(|own| own != advert.mac)
    }

    /// An advert of which the kernel makes the packet, and how it leaves.
    fn as_datagram<'a>(&self, frame: &'a Frame) -> Option<(Path, &'a AdvertFrame)> {
        let Frame::Advert(advert) = frame else { return None };
        let AdvertFrame { interface, src, dst, ttl, .. } = *advert;
        let plain = !is_too_late(&self.links, advert) && !self.leaves_with_another_mac(advert);
        let ttl = (!dst.is_multicast() || ttl != MULTICAST_TTL).then_some(ttl);
        plain.then_some((Path { interface: interface.0, src, dst, ttl }, advert))
    }

    /// The adverts at the front of these that leave by one path, several of them.
    fn burst<'a>(&self, frames: &'a [(CommandId, Frame)]) -> Option<(Path, Vec<&'a AdvertFrame>)> {
        let mut datagrams = frames.iter().map_while(|(_, frame)| self.as_datagram(frame));
        let (path, first) = datagrams.next()?;
        let alike = datagrams.take_while(|(other, _)| *other == path).map(|(_, advert)| advert);
        let burst: Vec<_> = [first].into_iter().chain(alike).take(BURST).collect();
        (burst.len() > 1).then_some((path, burst))
    }

    /// Says how many of them left.
    fn send_datagrams(&mut self, path: Path, adverts: &[&AdvertFrame]) -> io::Result<usize> {
        self.frame.clear();
        let mut ends = Vec::with_capacity(adverts.len());
        for advert in adverts {
            advert.emit(&mut self.frame);
            ends.push(self.frame.len());
        }
        let starts = [0].into_iter().chain(ends.iter().copied());
        let messages: Vec<_> =
            starts.zip(&ends).map(|(start, end)| &self.frame[start..*end]).collect();
        let socket = match Family::of(path.dst) {
            Family::Ipv4 => Some(&self.ipv4),
            Family::Ipv6 => self.ipv6.as_ref(),
        };
        socket.ok_or(io::ErrorKind::Unsupported)?.send(path, &messages)
    }

    fn send_frame(&mut self, interface: Ifindex, frame: &Frame) -> io::Result<()> {
        self.frame.clear();
        self.identification = self.identification.wrapping_add(1);
        vipd_frames::encode(frame, Ethernet::BROADCAST, self.identification, &mut self.frame);
        self.packet.send(interface.0, &self.frame)
    }

    /// Joins and leaves groups until those of the configuration are joined on the interfaces that
    /// there are. An interface that was made anew has another index, and is joined anew; one that
    /// only went down and up again keeps its groups.
    fn listen(&mut self) {
        let wanted = wanted(&self.config, &self.links);
        for gone in self.joined.difference(&wanted) {
            // It may be gone together with its interface.
            let _ = self.socket_of(gone.1).map(|socket| socket.leave(gone.0, gone.1));
        }
        self.joined.retain(|membership| wanted.contains(membership));
        self.refused.retain(|membership| wanted.contains(membership));
        for (interface, group) in wanted {
            if self.joined.contains(&(interface, group)) {
                continue;
            }
            match self.socket_of(group).map(|socket| socket.join(interface, group)) {
                Some(Ok(())) => {
                    self.joined.insert((interface, group));
                }
                Some(Err(error)) if self.refused.insert((interface, group)) => {
                    let name = self.links.get(&interface).map_or("?", |link| link.name.as_str());
                    warn!("cannot listen to {group} on {name}: {error}");
                }
                None if self.refused.insert((interface, group)) => {
                    warn!("cannot listen to {group}: this machine has no IPv6");
                }
                Some(Err(_)) | None => {}
            }
        }
    }

    fn socket_of(&self, group: IpAddr) -> Option<&RawSocket> {
        match Family::of(group) {
            Family::Ipv4 => Some(&self.ipv4),
            Family::Ipv6 => self.ipv6.as_ref(),
        }
    }
}

/// What is to be listened to. Who speaks by unicast listens to the group as well: a peer that
/// speaks by multicast is to be named (property S9). A macvlan is listened to as well as its
/// parent: a frame whose source is the macvlan's own MAC, which the other router uses too, arrives
/// there.
fn wanted(config: &Config, links: &BTreeMap<Ifindex, Link>) -> BTreeSet<Membership> {
    let mut wanted = BTreeSet::new();
    for instance in config.instances() {
        let group = match (&instance.transport, instance.family) {
            (Transport::Multicast { group, .. }, _) => *group,
            (Transport::Unicast { .. }, Family::Ipv4) => IpAddr::V4(MULTICAST_GROUP_V4),
            (Transport::Unicast { .. }, Family::Ipv6) => IpAddr::V6(MULTICAST_GROUP_V6),
        };
        let macvlan = instance.virtual_mac.as_ref().map(|macvlan| &macvlan.interface);
        let names = macvlan.into_iter().chain([&instance.interface]);
        let indexes = names.filter_map(|name| index_of(links, name));
        wanted.extend(indexes.map(|interface| (interface, group)));
    }
    wanted
}

/// The interface of the configuration that a datagram is for: a macvlan's is its instance's.
fn home(config: &Config, links: &BTreeMap<Ifindex, Link>, arrived: Ifindex) -> Ifindex {
    let Some(name) = links.get(&arrived).map(|link| &link.name) else { return arrived };
    let above = config.instances().iter().find(|instance| {
        instance.virtual_mac.as_ref().is_some_and(|macvlan| macvlan.interface == *name)
    });
    above.and_then(|instance| index_of(links, &instance.interface)).unwrap_or(arrived)
}

fn index_of(links: &BTreeMap<Ifindex, Link>, name: &InterfaceName) -> Option<Ifindex> {
    links.values().find(|link| link.name == *name).map(|link| link.interface)
}

/// A resignation by a link that is down would leave when the link is back: the kernel keeps a
/// unicast datagram until it knows its neighbour again. By then nobody is to be told.
fn is_too_late(links: &BTreeMap<Ifindex, Link>, frame: &AdvertFrame) -> bool {
    let is_up = links.get(&frame.interface).is_some_and(|link| link.state == LinkState::Up);
    frame.advert.priority == 0 && !is_up
}

fn refused(frame: &Frame, error: &io::Error) -> EffectError {
    debug!("{frame}: {error}");
    effect_error(error)
}

fn effect_error(error: &io::Error) -> EffectError {
    use nix::errno::Errno;
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENODEV | Errno::ENXIO | Errno::ENETDOWN) => EffectError::NoInterface,
        Some(_) | None => EffectError::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vipd_engine::config::{Peer, VirtualMac};
    use vipd_engine::rules::ChecksumForm;
    use vipd_engine::{Advert, InstanceConfig, Interval, MacAddress, Version, Vrid};

    fn link(index: u32, name: &str) -> (Ifindex, Link) {
        let interface = Ifindex(index);
        let (name, mac) = (InterfaceName::new(name), MacAddress([2, 0, 0, 0, 0, index as u8]));
        (interface, Link { interface, name, mac, state: LinkState::Up })
    }

    fn with_macvlan() -> Config {
        let vrid = Vrid::new(51).expect("in range");
        let mut instance = InstanceConfig::new("VI_1", Family::Ipv4, "eth0", vrid);
        let interface = InterfaceName::new("vrrp.51");
        instance.virtual_mac = Some(VirtualMac { interface, transmit_from_parent: false });
        Config::new(vec![instance], Vec::new(), std::time::Duration::ZERO).expect("it is valid")
    }

    #[test]
    fn groups_are_listened_to_on_the_interface_and_on_its_macvlan_as_far_as_they_exist() {
        let group: IpAddr = "224.0.0.18".parse().expect("an address");
        let mut links = BTreeMap::from([link(7, "eth1")]);
        assert_eq!(wanted(&with_macvlan(), &links), BTreeSet::new());
        links.extend([link(2, "eth0")]);
        assert_eq!(wanted(&with_macvlan(), &links), BTreeSet::from([(Ifindex(2), group)]));
        links.extend([link(9, "vrrp.51")]);
        let both = BTreeSet::from([(Ifindex(2), group), (Ifindex(9), group)]);
        assert_eq!(wanted(&with_macvlan(), &links), both);
    }

    #[test]
    fn who_speaks_by_unicast_listens_to_the_group_to_name_a_peer_that_does_not() {
        let vrid = Vrid::new(51).expect("in range");
        let mut instance = InstanceConfig::new("VI_1", Family::Ipv6, "eth0", vrid);
        let peer = Peer::new("fe80::2".parse().expect("an address"));
        let (source, peers, ttl) = (None, vec![peer], 255);
        instance.transport = Transport::Unicast { source, peers, ttl };
        let config = Config::new(vec![instance], Vec::new(), std::time::Duration::ZERO);
        let links = BTreeMap::from([link(2, "eth0")]);
        let group = "ff02::12".parse().expect("an address");
        let wanted = wanted(&config.expect("it is valid"), &links);
        assert_eq!(wanted, BTreeSet::from([(Ifindex(2), group)]));
    }

    fn advert(priority: u8) -> AdvertFrame {
        let [src, dst] = ["10.0.0.1", "10.0.0.2"].map(|text| text.parse().expect("an address"));
        let advert = Advert {
            version: Version::V2,
            vrid: Vrid::new(51).expect("in range"),
            priority,
            interval: Interval::DEFAULT,
            password: None,
            addresses: [].into(),
        };
        let (interface, mac) = (Ifindex(2), MacAddress([2, 0, 0, 0, 0, 2]));
        let checksum = ChecksumForm::PseudoHeader;
        AdvertFrame { interface, mac, src, dst, ttl: 255, checksum, advert }
    }

    #[test]
    fn a_resignation_leaves_only_while_its_link_is_up_and_any_other_advert_is_tried() {
        let mut links = BTreeMap::from([link(2, "eth0")]);
        let too_late = |links: &_| [0, 100].map(|priority| is_too_late(links, &advert(priority)));
        assert_eq!(too_late(&links), [false, false]);
        links.get_mut(&Ifindex(2)).expect("eth0").state = LinkState::Down;
        assert_eq!(too_late(&links), [true, false]);
        links.clear();
        assert_eq!(too_late(&links), [true, false]);
    }

    #[test]
    fn what_arrives_on_a_macvlan_is_its_instances_and_anything_else_stays_where_it_arrived() {
        let links = BTreeMap::from([link(2, "eth0"), link(7, "eth1"), link(9, "vrrp.51")]);
        let arrivals = [2, 7, 9, 99].map(|index| home(&with_macvlan(), &links, Ifindex(index)).0);
        assert_eq!(arrivals, [2, 7, 2, 99]);
    }
}
