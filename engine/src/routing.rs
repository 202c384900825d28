//! Which instance an input is for: a table by interface, family and VRID, and indexes by virtual
//! address and macvlan. Books, rebuilt when configuration or interfaces change.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::config::fib::FibPlace;
use crate::config::{Config, FibEntry, Transport};
use crate::engine::Engine;
use crate::event::{Event, News};
use crate::input::{EffectError, Received};
use crate::names::{Family, Ifindex, InstanceName, InterfaceName};
use crate::observed::Observed;
use crate::output::{CommandId, InstanceId, Output, Outputs};
use crate::time::Timestamp;
use crate::vrrp::accept::{Unclaimed, check_unclaimed};
use crate::vrrp::advert::vrid_octet;
use crate::vrrp::drop_reason::DropReason;
use crate::vrrp::instance::Instance;
use crate::vrrp::named::Cause;

/// The indexes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Routing {
    /// By [`ear`], in order. Of one VRID there is mostly one.
    ears: Vec<u64>,
    /// Whose each of them is.
    listeners: Vec<InstanceId>,
    by_address: BTreeMap<IpAddr, Vec<InstanceId>>,
    by_macvlan: BTreeMap<InterfaceName, Vec<InstanceId>>,
    by_fib: BTreeMap<FibPlace, Vec<InstanceId>>,
    /// Interfaces that routes need.
    by_next_hop: BTreeMap<InterfaceName, Vec<InstanceId>>,
    /// By the configured source of adverts.
    by_source: BTreeMap<IpAddr, Vec<InstanceId>>,
    /// Configured unicast peers, and the instance that names them.
    by_peer: BTreeMap<IpAddr, InstanceName>,
}

impl Routing {
    pub(crate) fn rebuild(
        &mut self,
        config: &Config,
        instances: &[Option<Instance>],
        observed: &Observed,
    ) {
        self.rebuild_with(config, instances, observed, |instance| !instance.is_stopping());
    }

    /// The same, with the adverts of those instances that `listens` says.
    pub(crate) fn rebuild_with(
        &mut self,
        config: &Config,
        instances: &[Option<Instance>],
        observed: &Observed,
        listens: impl Fn(&Instance) -> bool,
    ) {
        *self = Self::default();
        let mut listeners = Vec::new();
        for instance in instances.iter().flatten() {
            let settings = &instance.config;
            let addresses = settings.addresses.iter().chain(&settings.excluded);
            for address in addresses {
                self.by_address.entry(address.address).or_default().push(instance.id);
            }
            for configured in &settings.fib {
                let places = self.by_fib.entry(configured.entry.place()).or_default();
                push_once(places, instance.id);
                for interface in configured.entry.interfaces() {
                    push_once(self.by_next_hop.entry(interface.clone()).or_default(), instance.id);
                }
            }
            if let Some(source) = settings.source() {
                self.by_source.entry(source).or_default().push(instance.id);
            }
            if let Some(macvlan) = &settings.virtual_mac {
                self.by_macvlan.entry(macvlan.interface.clone()).or_default().push(instance.id);
            }
            if let Some((index, _)) = observed.by_name(&settings.interface)
                && listens(instance)
            {
                let ear = ear(index, settings.family, settings.vrid.get());
                listeners.push((ear, instance.id));
            }
        }
        listeners.sort_unstable();
        (self.ears, self.listeners) = listeners.into_iter().unzip();
        for instance in config.instances() {
            if let Transport::Unicast { peers, .. } = &instance.transport {
                for peer in peers {
                    self.by_peer.insert(peer.address, instance.name.clone());
                }
            }
        }
    }

    /// Whether adverts reach this instance.
    pub(crate) fn reaches(&self, instance: &Instance, observed: &Observed) -> bool {
        let settings = &instance.config;
        let (family, vrid) = (settings.family, settings.vrid.get());
        observed
            .by_name(&settings.interface)
            .is_some_and(|(index, _)| self.with_vrid(index, family, vrid).contains(&instance.id))
    }

    pub(crate) fn with_address(&self, address: IpAddr) -> Vec<InstanceId> {
        self.by_address.get(&address).cloned().unwrap_or_default()
    }

    pub(crate) fn with_source(&self, address: IpAddr) -> Vec<InstanceId> {
        self.by_source.get(&address).cloned().unwrap_or_default()
    }

    pub(crate) fn with_macvlan(&self, name: &InterfaceName) -> Vec<InstanceId> {
        self.by_macvlan.get(name).cloned().unwrap_or_default()
    }

    pub(crate) fn with_fib(&self, entry: &FibEntry) -> Vec<InstanceId> {
        self.by_fib.get(&entry.place()).cloned().unwrap_or_default()
    }

    pub(crate) fn with_next_hop(&self, name: &InterfaceName) -> Vec<InstanceId> {
        self.by_next_hop.get(name).cloned().unwrap_or_default()
    }

    fn with_vrid(&self, interface: Ifindex, family: Family, vrid: u8) -> &[InstanceId] {
        let ear = ear(interface, family, vrid);
        let first = self.ears.partition_point(|known| *known < ear);
        let count = self.ears[first..].iter().take_while(|known| **known == ear).count();
        &self.listeners[first..first + count]
    }
}

/// Interface, family and VRID as one number.
fn ear(interface: Ifindex, family: Family, vrid: u8) -> u64 {
    u64::from(interface.0) << 16 | (family as u64) << 8 | u64::from(vrid)
}

/// An instance's entries come one after the other.
pub(crate) fn push_once(ids: &mut Vec<InstanceId>, id: InstanceId) {
    if ids.last() != Some(&id) {
        ids.push(id);
    }
}

impl Engine {
    /// Hands a datagram to the instance that it is for. Of several with this VRID it is the one
    /// that listens to the destination; if none does, the first one says so.
    #[inline(never)]
    pub(crate) fn on_advert(&mut self, now: Timestamp, received: &Received<'_>, out: &mut Outputs) {
        let family = Family::of(received.dst);
        let candidates = vrid_octet(received.bytes)
            .map_or(&[][..], |vrid| self.routing.with_vrid(received.interface, family, vrid));
        let chosen = match candidates {
            [] => None,
            [one] => Some(*one),
            [first, ..] => {
                let listens = |id: &&InstanceId| {
                    self.instances[id.0 as usize]
                        .as_ref()
                        .is_some_and(|instance| instance.listens_to(received.dst))
                };
                Some(*candidates.iter().find(listens).unwrap_or(first))
            }
        };
        match chosen {
            Some(id) => {
                self.with(id, now, out, |instance, ctx| instance.on_advert(ctx, received));
            }
            None => self.on_unclaimed(received, out),
        }
    }

    /// Whether the answer is that an advert was sent. Mostly it is, and changes nothing else.
    pub(crate) fn is_sent(&mut self, id: CommandId, result: Result<(), EffectError>) -> bool {
        let instance = self.instances.get_mut(id.instance.0 as usize);
        let instance = instance.and_then(Option::as_mut).filter(|_| result.is_ok());
        instance.is_some_and(|instance| instance.is_sent(id.number))
    }

    #[inline(never)]
    pub(crate) fn on_done(
        &mut self,
        now: Timestamp,
        id: CommandId,
        result: Result<(), EffectError>,
        out: &mut Outputs,
    ) {
        if id.instance == InstanceId::STATIC {
            self.with_statics(now, out, |statics, ctx| statics.on_done(ctx, id.number, result));
        } else {
            self.with(id.instance, now, out, |instance, ctx| {
                instance.on_done(ctx, id.number, result);
            });
        }
    }

    /// Nobody here has this VRID: it is news only if it carries one of our addresses or comes from
    /// a configured peer. Other virtual routers are normal on a LAN.
    fn on_unclaimed(&mut self, received: &Received<'_>, out: &mut Outputs) {
        let (reason, unclaimed) = check_unclaimed(received);
        self.unclaimed.count(reason);
        let (DropReason::Vrid, Some(Unclaimed { vrid, view })) = (reason, unclaimed) else {
            return;
        };
        let by_address = view.addresses().find_map(|address| {
            let id = *self.routing.by_address.get(&address)?.first()?;
            Some(self.instances[id.0 as usize].as_ref()?.config.name.clone())
        });
        let ours = by_address.or_else(|| self.routing.by_peer.get(&received.src).cloned());
        let Some(instance) = ours else { return };
        if self.named.is_new(received.src, Cause::ForeignVrid(vrid)) {
            let news = News::ForeignVrid { peer: received.src, vrid };
            out.push(Output::Notify(Event { instance, news }));
        }
    }
}
