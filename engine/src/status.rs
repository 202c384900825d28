//! A read-only view for command lines, metrics and reports.

use core::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::config::{FibEntry, InstanceConfig};
use crate::director::{self, Director};
use crate::event::{Fault, StateKind, Why};
use crate::names::Priority;
use crate::output::{AddressSpec, InstanceId};
use crate::statics::Statics;
use crate::time::Timestamp;
use crate::vrrp::drop_reason::DropCounters;
use crate::vrrp::instance::Instance;
use crate::vrrp::last_event::LastEvent;
use crate::vrrp::operator::Standing;
use crate::vrrp::state::State;

/// What an instance counted since it was created. All of it is a book: it decides nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Rounds of adverts sent (one advert to the group, or one to each peer).
    pub sent: u64,
    /// Of these, with priority 0.
    pub sent_priority_zero: u64,
    /// Adverts that counted.
    pub received: u64,
    /// Of these, with priority 0.
    pub received_priority_zero: u64,
    /// Transitions to Master.
    pub master_transitions: u64,
    /// Datagrams that did not count, by reason.
    pub drops: DropCounters,
}

/// A counter that was kept is no greater, so that it can be counted on.
pub(crate) const MOST_COUNTED: u64 = 1 << 62;

impl Counters {
    /// Whether each can be counted on.
    pub(crate) fn fit(&self) -> bool {
        let Self { sent, sent_priority_zero, received, received_priority_zero, .. } = self;
        [sent, sent_priority_zero, received, received_priority_zero, &self.master_transitions]
            .into_iter()
            .chain(self.drops.iter().map(|(_, count)| count).max().as_ref())
            .all(|count| *count <= MOST_COUNTED)
    }
}

/// The engine as a whole.
#[derive(Clone, Copy, Debug)]
pub struct Status<'a> {
    pub(crate) instances: &'a [Option<Instance>],
    pub(crate) statics: &'a Statics,
    pub(crate) unclaimed: &'a DropCounters,
    pub(crate) director: Option<&'a Director>,
}

impl<'a> Status<'a> {
    /// The virtual routers, in the order in which they were first configured.
    pub fn instances(&self) -> impl Iterator<Item = InstanceStatus<'a>> + use<'a> {
        self.instances.iter().flatten().map(|instance| InstanceStatus { instance })
    }

    /// The static addresses that the kernel has.
    pub fn static_addresses(&self) -> impl Iterator<Item = &'a AddressSpec> + use<'a> {
        self.statics.holdings().present()
    }

    /// The static routes and rules that the kernel has.
    pub fn static_fib(&self) -> impl Iterator<Item = &'a FibEntry> + use<'a> {
        self.statics.holdings().fib.present()
    }

    /// Datagrams that no virtual router here claimed.
    #[must_use]
    pub const fn unclaimed(&self) -> &'a DropCounters {
        self.unclaimed
    }

    /// Virtual and real servers, if there were ever any.
    #[must_use]
    pub fn director(&self) -> Option<director::Status<'a>> {
        self.director.map(Director::status)
    }

    /// Whether something waits for the kernel: a stopped engine may end when this is false.
    #[must_use]
    pub fn is_releasing(&self) -> bool {
        self.director.is_some_and(|director| !director.is_stopped())
            || self.statics.holdings().is_busy()
            || self.instances.iter().flatten().any(|instance| !instance.is_gone())
    }
}

/// One virtual router.
#[derive(Clone, Copy, Debug)]
pub struct InstanceStatus<'a> {
    instance: &'a Instance,
}

impl<'a> InstanceStatus<'a> {
    /// Its place in the engine.
    #[must_use]
    pub const fn id(&self) -> InstanceId {
        self.instance.id
    }

    /// Its configuration.
    #[must_use]
    pub fn config(&self) -> &'a InstanceConfig {
        &self.instance.config
    }

    /// Its state.
    #[must_use]
    pub const fn state(&self) -> StateKind {
        self.instance.state_kind()
    }

    /// Since when it is in this state.
    #[must_use]
    pub const fn since(&self) -> Timestamp {
        self.instance.since
    }

    /// Why it is in this state.
    #[must_use]
    pub const fn why(&self) -> &'a Why {
        &self.instance.why
    }

    /// The last event that RFC 8347 has a name for.
    #[must_use]
    pub const fn last_event(&self) -> LastEvent {
        self.instance.last_event
    }

    /// What it needs and does not have.
    #[must_use]
    pub const fn fault(&self) -> Option<&'a Fault> {
        self.instance.own_fault()
    }

    /// What an operator ordered of it, or that it is held down.
    #[must_use]
    pub const fn standing(&self) -> Standing {
        self.instance.standing
    }

    /// The priority in force, trackers included.
    #[must_use]
    pub const fn priority(&self) -> Priority {
        self.instance.priority
    }

    /// Source, priority and time of the last advert that counted.
    #[must_use]
    pub const fn last_heard(&self) -> Option<(IpAddr, u8, Timestamp)> {
        self.instance.last_heard
    }

    /// Lower masters that go on although it asserted itself so often that it told of it (property
    /// S10): they do not hear it, and two are master.
    pub fn deaf_rivals(&self, now: Timestamp) -> impl Iterator<Item = IpAddr> + use<'a> {
        let instance = self.instance;
        let master = match &instance.state {
            State::Master(master) => Some(master),
            State::Initialize { .. } | State::Backup(_) | State::Fault { .. } => None,
        };
        let alarm = instance.config.one_way_alarm;
        master.into_iter().flat_map(move |master| master.rivals.deaf(now, alarm))
    }

    /// Its counters.
    #[must_use]
    pub const fn counters(&self) -> &'a Counters {
        &self.instance.counters
    }

    /// With `dead_man`, as Master: until when it may be without another advert.
    #[must_use]
    pub fn lease_end(&self) -> Option<Timestamp> {
        self.instance.lease_end()
    }

    /// The virtual addresses that the kernel has.
    pub fn addresses(&self) -> impl Iterator<Item = &'a AddressSpec> + use<'a> {
        self.instance.holdings.present()
    }

    /// The routes and rules that the kernel has.
    pub fn fib(&self) -> impl Iterator<Item = &'a FibEntry> + use<'a> {
        self.instance.holdings.fib.present()
    }

    /// When it wants to be called next, and for what.
    #[must_use]
    pub fn deadline(&self) -> Option<(Timestamp, &'static str)> {
        let Instance { state, holdings, .. } = self.instance;
        let at = self.instance.deadline()?;
        let what = match Some(at) {
            first if state.deadline() == first => state.timer(at),
            first if holdings.deadline() == first => "kernel command",
            _ => "hold-down",
        };
        Some((at, what))
    }
}
