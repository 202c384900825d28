//! Commands from differences: what is to be looked at becomes the next batch.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::director::Service;
use crate::ipvs::command::{
    Batch, DestinationSpec, Effect, Endpoint, IpvsCommand, IpvsError, ServiceSpec,
};
use crate::ipvs::director::Ipvs;
use crate::ipvs::pool::Pool;
use crate::ipvs::queue::Item;
use crate::ipvs::table::{Destination, InKernel, Table};
use crate::time::Timestamp;

/// Most commands of a batch. Only the exchange with a sorry server may have more: it is not split.
pub const MOST_IN_BATCH: usize = 256;
/// Most items that one call looks at.
pub const WORK_AT_ONCE: usize = 256;
/// A batch without an answer for this long, and a millisecond for each command, counts as lost.
pub const COMMAND_LIMIT: Duration = Duration::from_secs(1);

/// What waits for the kernel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Waiting {
    /// A batch.
    Batch { number: u64, limit: Timestamp, commands: Vec<IpvsCommand> },
    /// A read.
    Read {
        number: u64,
        limit: Timestamp,
        /// Those that were not told of yet, in the order in which they were asked for.
        services: Vec<Service>,
        begun: bool,
        /// What is no service was asked for, and not told of yet.
        #[serde(default)]
        settings: bool,
    },
}

impl Waiting {
    pub(super) const fn number(&self) -> u64 {
        match self {
            Self::Batch { number, .. } | Self::Read { number, .. } => *number,
        }
    }

    /// Whether a command of it is about this.
    pub(super) fn is_about(&self, item: &Item) -> bool {
        match self {
            Self::Batch { commands, .. } => commands.iter().any(|one| Item::of(one) == *item),
            Self::Read { .. } => false,
        }
    }

    pub(super) const fn limit(&self) -> Timestamp {
        match self {
            Self::Batch { limit, .. } | Self::Read { limit, .. } => *limit,
        }
    }

    pub(super) fn fold(&self, now: Timestamp, hasher: &mut impl Hasher) {
        match self {
            Self::Batch { limit, commands, .. } => (0, *limit - now, commands).hash(hasher),
            Self::Read { limit, services, begun, settings, .. } => {
                (1, *limit - now, services, begun, settings).hash(hasher);
            }
        }
    }
}

/// A batch that is being made.
#[derive(Default)]
struct Building {
    commands: Vec<IpvsCommand>,
    /// What has its command already.
    asked: BTreeSet<Item>,
    /// There is no room for what comes next.
    is_full: bool,
}

impl Building {
    fn ask(&mut self, command: IpvsCommand) {
        if self.asked.insert(Item::of(&command)) {
            self.commands.push(command);
        }
    }
}

impl Ipvs {
    /// Asks the kernel for the next thing, if nothing waits for it.
    pub(super) fn go_on(&mut self, now: Timestamp, out: &mut Vec<Effect>) {
        if self.has_work() && self.waiting.is_none() && self.fault.is_none() {
            self.hurry();
            // In turn, or many changes would keep us from reading what the kernel has.
            let asked = self.reads_next && self.issue_read(now, out);
            if !asked && !self.issue_batch(now, out) {
                self.issue_read(now, out);
            }
        }
        self.work_at = now;
    }

    pub(super) fn next_number(&mut self) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        number
    }

    fn issue_batch(&mut self, now: Timestamp, out: &mut Vec<Effect>) -> bool {
        let mut building = Building::default();
        for _ in 0..WORK_AT_ONCE {
            if building.is_full || building.commands.len() >= MOST_IN_BATCH {
                break;
            }
            let Some((item, urgent)) = self.queue.pop() else { break };
            self.look_at(item, urgent, &mut building);
        }
        let commands = building.commands;
        if commands.is_empty() {
            return false;
        }
        let number = self.next_number();
        let length = u32::try_from(commands.len()).unwrap_or(u32::MAX);
        let limit = now + COMMAND_LIMIT + Duration::from_millis(1) * length;
        self.waiting = Some(Waiting::Batch { number, limit, commands: commands.clone() });
        self.reads_next = true;
        out.push(Effect::Batch(Batch { number, commands }));
        true
    }

    fn look_at(&mut self, item: Item, urgent: bool, building: &mut Building) {
        match item {
            Item::Flush => building.ask(IpvsCommand::Flush),
            Item::Timeouts => {
                if let Some(command) = self.look_at_limits() {
                    building.ask(command);
                }
            }
            Item::Sync(role) => {
                if let Some(command) = self.look_at_thread(role) {
                    building.ask(command);
                }
            }
            Item::Service(service) => self.look_at_service(service, building),
            Item::Exchange(service) => self.look_at_exchange(service, urgent, building),
            Item::Destination(service, endpoint) => {
                self.look_at_destination(service, endpoint, building);
            }
            Item::Read(_) | Item::Settings => self.queue.reads.push(item),
        }
    }

    fn look_at_service(&mut self, service: Service, building: &mut Building) {
        let Some(entry) = self.table.services.get(&service) else { return };
        let pool = entry.owner.and_then(|owner| self.table.pool(owner));
        let wanted = pool.filter(|_| !self.stopping).map(Pool::service_spec);
        match (wanted, &entry.kernel) {
            (None, InKernel::Absent) => self.drop_service(service),
            // Also one that was not read: it was ours to be.
            (None, InKernel::Unknown | InKernel::Otherwise | InKernel::Present(_)) => {
                building.ask(IpvsCommand::RemoveService(service));
            }
            (Some(_), InKernel::Unknown) => {
                if !self.is_to_be_read(service) {
                    self.queue.reads.push(Item::Read(service));
                }
            }
            (Some(spec), InKernel::Absent) => {
                building.ask(IpvsCommand::AddService { service, spec });
                // Right behind it, so that it is not empty for longer than it must be.
                for endpoint in entry.destinations.keys().rev() {
                    self.queue.bulk.push_front(Item::Destination(service, *endpoint));
                }
            }
            (Some(spec), kernel) => {
                if !is_as_wanted(kernel, &spec) {
                    building.ask(IpvsCommand::EditService { service, spec });
                }
            }
        }
    }

    fn look_at_destination(
        &mut self,
        service: Service,
        endpoint: Endpoint,
        building: &mut Building,
    ) {
        let Table { services, pools, .. } = &mut self.table;
        let Some(entry) = services.get_mut(&service) else { return };
        let owner = entry.owner.and_then(|owner| pools.get(owner.0 as usize)?.as_ref());
        let Some(pool) = owner.filter(|_| !self.stopping) else { return };
        if !entry.kernel.is_there() && !building.asked.contains(&Item::Service(service)) {
            return;
        }
        let Some(destination) = entry.destinations.get(&endpoint) else { return };
        let wanted = Table::wanted(pool, destination);
        if let Some(command) = difference(service, endpoint, wanted, &destination.kernel) {
            building.ask(command);
            return;
        }
        // What was refused is not wanted any more.
        self.queue.recover(Item::Destination(service, endpoint));
        if !destination.is_ours() && destination.kernel == InKernel::Absent {
            entry.destinations.remove(&endpoint);
        }
    }

    /// All destinations of a service in one go, in the order that [`comes_first`] says.
    fn look_at_exchange(&mut self, service: Service, urgent: bool, building: &mut Building) {
        let Some((entry, pool)) = self.table.service(service) else { return };
        if self.stopping || !entry.kernel.is_there() {
            return;
        }
        let length = building.commands.len();
        if length > 0 && length + entry.destinations.len() > MOST_IN_BATCH {
            let line = if urgent { &mut self.queue.urgent } else { &mut self.queue.bulk };
            line.push_front(Item::Exchange(service));
            building.is_full = true;
            return;
        }
        for first in [true, false] {
            for (endpoint, destination) in &entry.destinations {
                let wanted = Table::wanted(pool, destination);
                if comes_first(pool, destination, wanted) == first
                    && let Some(command) =
                        difference(service, *endpoint, wanted, &destination.kernel)
                {
                    self.queue.hasten(Item::of(&command));
                    building.ask(command);
                }
            }
        }
    }

    /// What waits has waited too long.
    pub(super) fn give_up_what_is_overdue(&mut self, now: Timestamp, out: &mut Vec<Effect>) {
        if self.waiting.as_ref().is_some_and(|waiting| waiting.limit() <= now)
            && let Some(waiting) = self.waiting.take()
        {
            self.lose(now, waiting, IpvsError::TimedOut, out);
        }
    }

    /// What failed has its next try.
    pub(super) fn try_again(&mut self, now: Timestamp) {
        for _ in 0..WORK_AT_ONCE {
            let Some(item) = self.queue.pop_due(now) else { return };
            match item {
                Item::Read(_) | Item::Settings => self.queue.reads.push(item),
                _ => self.queue.bulk.push(item),
            }
        }
    }
}

/// The place of a destination in the order: who comes is first, so that there is always somebody to
/// take connections. But real servers leave before the sorry server comes, as in keepalived: it is
/// to answer for all of them.
///
/// DEVIATION: keepalived removes the sorry server before it adds the real servers.
pub(super) fn comes_first(
    pool: &Pool,
    destination: &Destination,
    wanted: Option<DestinationSpec>,
) -> bool {
    let takes_connections = wanted.is_some_and(|spec| spec.weight > 0);
    if pool.is_sorry() {
        !(destination.sorry && takes_connections)
    } else {
        destination.server.is_some() && wanted.is_some()
    }
}

/// Whether the kernel has a destination another way.
pub(super) fn differs(wanted: Option<DestinationSpec>, destination: &Destination) -> bool {
    match (&wanted, &destination.kernel) {
        (Some(wanted), InKernel::Present(spec)) => wanted != spec,
        (None, InKernel::Absent) | (_, InKernel::Unknown) => false,
        (Some(_), InKernel::Absent | InKernel::Otherwise)
        | (None, InKernel::Otherwise | InKernel::Present(_)) => true,
    }
}

fn difference(
    service: Service,
    endpoint: Endpoint,
    wanted: Option<DestinationSpec>,
    kernel: &InKernel<DestinationSpec>,
) -> Option<IpvsCommand> {
    match (wanted, kernel) {
        (Some(spec), InKernel::Absent) => {
            Some(IpvsCommand::AddDestination { service, endpoint, spec })
        }
        (Some(spec), InKernel::Present(there)) if *there == spec => None,
        (Some(spec), InKernel::Otherwise | InKernel::Present(_)) => {
            Some(IpvsCommand::EditDestination { service, endpoint, spec })
        }
        (None, InKernel::Otherwise | InKernel::Present(_)) => {
            Some(IpvsCommand::RemoveDestination { service, endpoint })
        }
        (None, InKernel::Absent) | (_, InKernel::Unknown) => None,
    }
}

/// Whether the kernel has a service as it is to be.
pub(super) fn is_as_wanted(kernel: &InKernel<ServiceSpec>, wanted: &ServiceSpec) -> bool {
    kernel.present().is_some_and(|there| there.does_the_same_as(wanted))
}
