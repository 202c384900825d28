//! What an instance sends: adverts (RFC 9568 section 7.2) and announcements of its addresses.

use alloc::vec::Vec;
use core::net::IpAddr;

use crate::config::Transport;
use crate::event::{Fault, News, StateKind};
use crate::input::EffectError;
use crate::names::{Family, InterfaceName, Interval, MacAddress};
use crate::output::{AdvertFrame, Announcement, CommandId, Frame, Output};
use crate::policy;
use crate::rules::NaBurst;
use crate::time::Timestamp;
use crate::vrrp::advert::Advert;
use crate::vrrp::instance::{Context, Instance, Port};
use crate::vrrp::sending::REFUSED_LIMIT;
use crate::vrrp::state::State;

impl Instance {
    /// Sends one advert to the group, or one to each peer. Returns how many rounds in a row are
    /// refused by now, if the one before was never answered.
    pub(crate) fn send_adverts(&mut self, ctx: &mut Context<'_>, priority: u8) -> Option<u8> {
        self.send_adverts_of(ctx, priority, self.config.interval)
    }

    /// The same with another interval than ours in them.
    pub(crate) fn send_adverts_of(
        &mut self,
        ctx: &mut Context<'_>,
        priority: u8,
        interval: Interval,
    ) -> Option<u8> {
        let Self { id: instance, config, sending, next_number, advertised, state, .. } = self;
        let Port { interface, mac, source: src } = self.port?;
        if let State::Master(master) = state {
            master.rivals.answered(ctx.now);
        }
        self.counters.sent += 1;
        self.counters.sent_priority_zero += u64::from(priority == 0);
        let first = *next_number;
        let mut send = |dst, ttl| {
            let advert = Advert {
                version: config.version,
                vrid: config.vrid,
                priority,
                interval,
                password: config.password,
                addresses: advertised.clone(),
            };
            let checksum = config.rules.checksum_sent;
            let frame = AdvertFrame { interface, mac, src, dst, ttl, checksum, advert };
            let id = CommandId { instance: *instance, number: *next_number };
            *next_number += 1;
            ctx.out.push(Output::Send { id, frame: Frame::Advert(frame) });
        };
        match &config.transport {
            Transport::Multicast { group, .. } => send(*group, 255),
            Transport::Unicast { peers, ttl, .. } => {
                peers.iter().for_each(|peer| send(peer.address, *ttl));
            }
        }
        // `Config` refuses more than `MAX_PEERS`, which is what an octet counts.
        let count = (*next_number - first) as u8;
        sending.begin(ctx.now, first, count, config.interval.duration())
    }

    /// Whether the kernel took an advert of the running round with this, and nothing follows from
    /// it. With a lease something does.
    pub(crate) fn is_sent(&mut self, number: u64) -> bool {
        let is_sent = self.config.dead_man.is_none() && self.sending.has(number);
        if is_sent {
            self.sending.done(number, Ok(()));
        }
        is_sent
    }

    /// `Adver_Timer` and its interval.
    pub(crate) fn adver_timer(&self) -> Option<(Interval, Timestamp)> {
        match &self.state {
            State::Master(master) => Some((self.config.interval, master.advert_at)),
            State::Initialize { .. } | State::Backup(_) | State::Fault { .. } => None,
        }
    }

    /// Its advert leaves with one whose `Adver_Timer` fired at this time, a little before its own.
    pub(crate) fn advertise_with(&mut self, ctx: &mut Context<'_>, fired_at: Timestamp) {
        if let State::Master(master) = &mut self.state {
            master.advert_at = fired_at;
        }
        self.on_master_tick(ctx);
    }

    /// Announces every address that the kernel has, this many times.
    #[inline]
    pub(crate) fn announce(&mut self, ctx: &mut Context<'_>, frames: u8) {
        if frames > 0 && policy::owns(&self.state, ctx.now) {
            self.announce_all(ctx, frames);
        }
    }

    fn announce_all(&mut self, ctx: &mut Context<'_>, frames: u8) {
        let rests = self.neighbour_advertisements_rest(ctx);
        let present: Vec<_> = self.holdings.present().cloned().collect();
        for spec in present {
            let address = spec.address.address;
            if !(rests && Family::of(address) == Family::Ipv6) {
                self.announce_one(ctx, &spec.interface, address, frames);
            }
        }
    }

    /// Announces one address that is new to the kernel, this many times.
    pub(crate) fn announce_address(&mut self, ctx: &mut Context<'_>, address: IpAddr, frames: u8) {
        let spec = self.holdings.present().find(|spec| spec.address.address == address).cloned();
        if let Some(spec) = spec {
            self.neighbour_advertisements_rest(ctx);
            self.announce_one(ctx, &spec.interface, address, frames);
        }
    }

    /// Whether the addresses were announced less than a second ago, under rules that want a second
    /// between two unsolicited neighbour advertisements. If not, they are announced now.
    fn neighbour_advertisements_rest(&mut self, ctx: &Context<'_>) -> bool {
        match (&mut self.state, self.config.rules.na_burst) {
            (State::Master(master), NaBurst::Single) => master.announcing.rests(ctx.now),
            (_, NaBurst::Single | NaBurst::BackToBack) => false,
        }
    }

    fn announce_one(
        &mut self,
        ctx: &mut Context<'_>,
        interface: &InterfaceName,
        address: IpAddr,
        frames: u8,
    ) {
        let home = self.config.virtual_mac.as_ref().is_some_and(|macvlan| {
            macvlan.interface == *interface && !macvlan.transmit_from_parent
        });
        let (index, mac) = match (home, self.port, ctx.observed.by_name(interface)) {
            (true, Some(port), _) => (port.interface, port.mac),
            (_, _, Some((index, interface))) => (index, interface.mac),
            (_, _, None) => return,
        };
        let virtual_mac = MacAddress::virtual_router(self.config.family, self.config.vrid);
        let arp_target = self.config.rules.arp_target.address(virtual_mac);
        let announcement = Announcement { interface: index, mac, address, arp_target };
        let (frame, frames) = match Family::of(address) {
            Family::Ipv4 => (Frame::GratuitousArp(announcement), frames),
            Family::Ipv6 => {
                (Frame::UnsolicitedNa(announcement), self.config.rules.na_burst.limit(frames))
            }
        };
        for _ in 0..frames {
            let id = CommandId { instance: self.id, number: self.next_number };
            self.next_number += 1;
            ctx.out.push(Output::Send { id, frame: frame.clone() });
        }
    }

    /// A round of adverts was refused. Three in a row mean that nobody can hear us.
    pub(crate) fn on_refused(&mut self, ctx: &mut Context<'_>, error: EffectError, in_a_row: u8) {
        self.notify(ctx, News::SendRefused { error, in_a_row });
        if in_a_row >= REFUSED_LIMIT && self.state.kind() == StateKind::Master {
            self.sends_refused = true;
            self.own_fault = self.own_fault.take().or(Some(Fault::SendsRefused));
            self.act_on_faults(ctx);
        }
    }
}
