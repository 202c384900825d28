//! The three traits of the seam on a host of turmoil: its UDP socket, its clock, the simulator's
//! model kernel, and a gate in everything that waits, which holds a paused process.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use turmoil::net::UdpSocket;
use vipd::seam::{Clock, Kernel, Socket, Told};
use vipd_engine::config::{MULTICAST_GROUP_V4, MULTICAST_GROUP_V6, Transport};
use vipd_engine::{
    AdvertFrame, CommandId, Config, EffectError, Family, Frame, KernelCommand, Link, Received,
    Timestamp,
};

use super::host::{Datagram, Host, PORT, Plant, ahead, now};

/// UDP has no TTL that a receiver could see.
const TTL: u8 = 255;

/// Adverts as datagrams of UDP. Announcements go into the Record alone.
pub struct UdpPort {
    host: Rc<Host>,
    socket: Rc<UdpSocket>,
    joined: BTreeSet<IpAddr>,
    /// What was read last.
    current: Option<Datagram>,
    /// How often it said that it is readable.
    announced: Cell<u32>,
    /// It said so and was not read empty since.
    waited_for: Cell<bool>,
}

impl UdpPort {
    pub fn new(host: Rc<Host>, socket: Rc<UdpSocket>) -> Self {
        let (announced, waited_for) = (Cell::new(0), Cell::new(false));
        Self { host, socket, joined: BTreeSet::new(), current: None, announced, waited_for }
    }

    fn send(&self, frame: &AdvertFrame) -> Result<(), EffectError> {
        // turmoil sends from the host's own address alone.
        if frame.src != self.host.ip {
            return Err(EffectError::Refused);
        }
        let octets = self.host.emit(now(), frame).ok_or(EffectError::Refused)?;
        // A datagram to an address that nobody has leaves all the same.
        let _ = self.socket.try_send_to(&octets, SocketAddr::new(frame.dst, PORT));
        Ok(())
    }
}

impl Socket for UdpPort {
    async fn readable(&self) {
        if let Plant::LostReadiness(after) = self.host.plant.get()
            && self.announced.get() >= after
        {
            return std::future::pending().await;
        }
        loop {
            self.host.gate().await;
            if self.host.has_datagrams() {
                break;
            }
            self.host.arrived.notified().await;
        }
        self.announced.set(self.announced.get() + 1);
        self.waited_for.set(true);
    }

    fn try_recv(&mut self) -> Option<Received<'_>> {
        if self.host.plant.get() == Plant::TimersFirst && !self.waited_for.get() {
            return None;
        }
        self.current = self.host.next_datagram();
        let Some(Datagram { src, dst, bytes }) = &self.current else {
            self.waited_for.set(false);
            return None;
        };
        let interface = self.host.interface;
        Some(Received { interface, src: *src, dst: *dst, ttl: TTL, bytes })
    }

    fn try_send(&mut self, frame: &Frame) -> Result<(), EffectError> {
        let interface = match frame {
            Frame::Advert(advert) => advert.interface,
            Frame::GratuitousArp(announced) | Frame::UnsolicitedNa(announced) => {
                announced.interface
            }
        };
        if !self.host.passes(interface) {
            return Err(EffectError::NoInterface);
        }
        match frame {
            Frame::Advert(advert) => self.send(advert),
            Frame::GratuitousArp(announced) | Frame::UnsolicitedNa(announced) => {
                self.host.announce(now(), announced);
                Ok(())
            }
        }
    }

    fn unreadable(&self) -> u64 {
        0
    }

    fn configure(&mut self, config: &Arc<Config>) {
        for instance in config.instances() {
            // As production: who speaks by unicast hears the group as well.
            let group = match (&instance.transport, instance.family) {
                (Transport::Multicast { group, .. }, _) => *group,
                (Transport::Unicast { .. }, Family::Ipv4) => IpAddr::V4(MULTICAST_GROUP_V4),
                (Transport::Unicast { .. }, Family::Ipv6) => IpAddr::V6(MULTICAST_GROUP_V6),
            };
            if !self.joined.insert(group) {
                continue;
            }
            let joined = match group {
                IpAddr::V4(group) => self.socket.join_multicast_v4(group, Ipv4Addr::UNSPECIFIED),
                IpAddr::V6(group) => self.socket.join_multicast_v6(&group, 0),
            };
            joined.expect("turmoil joins every group");
        }
    }

    fn on_link(&mut self, _: &Link) {}
}

/// turmoil's clock, on each host from another origin.
pub struct HostClock(pub Rc<Host>);

impl Clock for HostClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(now().later(ahead(self.0.id)).0)
    }

    async fn sleep_until(&self, at: Option<Timestamp>) {
        // The loop waits: whatever its engine said until now belongs here.
        self.0.hear_engine(now());
        let Some(at) = at else { return std::future::pending().await };
        loop {
            self.0.gate().await;
            let left = at.since(self.now());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }
}

/// The simulator's kernel.
pub struct ModelKernel(pub Rc<Host>);

impl Kernel for ModelKernel {
    fn submit(&mut self, id: CommandId, command: KernelCommand) {
        self.0.submit(now(), id, command);
    }

    async fn readable(&mut self) {
        loop {
            self.0.gate().await;
            if self.0.has_news() {
                return;
            }
            self.0.told.notified().await;
        }
    }

    fn try_next(&mut self) -> Option<Told> {
        self.0.next_news()
    }
}
