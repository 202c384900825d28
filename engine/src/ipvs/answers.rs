//! What the kernel answered to a batch. That something is there already, or is not there, is an
//! answer and no failure: the next look at it makes the other command of it.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::config::director::Service;
use crate::ipvs::building::{Waiting, differs};
use crate::ipvs::command::{
    DestinationSpec, Effect, Endpoint, Failure, IpvsCommand, IpvsError, ServiceSpec, SyncRole,
};
use crate::ipvs::director::{Ipvs, PROBE_EVERY};
use crate::ipvs::news::{Cause, Found, News, ServiceChange};
use crate::ipvs::queue::Item;
use crate::ipvs::table::{Destination, InKernel, Table};
use crate::time::Timestamp;

impl Ipvs {
    /// How a batch or a read ended. `Ok`: each command of the batch was done but for these. `Err`:
    /// the batch, or the read, failed as a whole. A number that is no longer waited for is ignored.
    pub fn on_done(
        &mut self,
        now: Timestamp,
        number: u64,
        result: Result<&[Failure], IpvsError>,
        out: &mut Vec<Effect>,
    ) {
        let is_read = matches!(self.waiting, Some(Waiting::Read { .. }));
        if self.waiting.as_ref().is_none_or(|waiting| waiting.number() != number)
            || (is_read && result.is_ok())
        {
            return;
        }
        let Some(waiting) = self.waiting.take() else { return };
        match (waiting, result) {
            (Waiting::Batch { commands, .. }, Ok(failures)) => {
                self.settle_all(now, commands, failures, out);
            }
            (waiting, Err(error)) => self.lose(now, waiting, error, out),
            (Waiting::Read { .. }, Ok(_)) => {}
        }
        self.go_on(now, out);
    }

    fn settle_all(
        &mut self,
        now: Timestamp,
        commands: Vec<IpvsCommand>,
        failures: &[Failure],
        out: &mut Vec<Effect>,
    ) {
        let failed: BTreeMap<_, _> =
            failures.iter().map(|failure| (failure.place, failure.error)).collect();
        let mut added = Vec::new();
        for (place, command) in (0..).zip(commands) {
            match (failed.get(&place), command) {
                (None, command) => {
                    if let IpvsCommand::AddService { service, .. } = command {
                        added.push(service);
                    }
                    self.settle(command, out);
                }
                (Some(error), command) => self.fail(now, command, *error, out),
            }
        }
        for service in added {
            // What a configuration brought while it was on its way.
            self.look_at_destinations(service, false);
        }
    }

    /// It was done.
    fn settle(&mut self, command: IpvsCommand, out: &mut Vec<Effect>) {
        self.queue.recover(Item::of(&command));
        match command {
            IpvsCommand::Flush => self.on_flushed(),
            IpvsCommand::SetTimeouts(timeouts) => self.limits.settle(timeouts),
            IpvsCommand::AddService { service, spec } => {
                self.set_service(service, InKernel::Present(spec), ServiceChange::Added, out);
            }
            IpvsCommand::EditService { service, spec } => {
                self.set_service(service, InKernel::Present(spec), ServiceChange::Edited, out);
            }
            IpvsCommand::RemoveService(service) => {
                self.set_service(service, InKernel::Absent, ServiceChange::Removed, out);
                self.on_removed(service);
            }
            IpvsCommand::AddDestination { service, endpoint, spec }
            | IpvsCommand::EditDestination { service, endpoint, spec } => {
                self.settle_destination(service, endpoint, InKernel::Present(spec), out);
            }
            IpvsCommand::RemoveDestination { service, endpoint } => {
                self.settle_destination(service, endpoint, InKernel::Absent, out);
            }
            IpvsCommand::StartSync { role, spec } => {
                *self.sync.thread_mut(role) = InKernel::Present(spec);
                out.push(Effect::News(News::Sync { role, runs: true }));
            }
            IpvsCommand::StopSync(role) => self.on_sync_stopped(role, out),
        }
    }

    /// It was not done, or not by us.
    fn fail(
        &mut self,
        now: Timestamp,
        command: IpvsCommand,
        error: IpvsError,
        out: &mut Vec<Effect>,
    ) {
        let item = Item::of(&command);
        match (error, &command) {
            (IpvsError::NoIpvs, _) => self.enter_fault(now, out),
            (IpvsError::Exists, IpvsCommand::AddService { service, .. }) => {
                self.queue.recover(item);
                if let Some(entry) = self.table.services.get_mut(service) {
                    entry.kernel = InKernel::Unknown;
                    self.queue.reads.push(Item::Read(*service));
                }
            }
            (IpvsError::Exists, IpvsCommand::AddDestination { service, endpoint, .. }) => {
                self.set_destination(*service, *endpoint, InKernel::Otherwise);
                tell_found(*service, Found::DestinationAdded(*endpoint), out);
                self.try_the_other(now, item, error);
            }
            (IpvsError::NotThere, IpvsCommand::EditDestination { service, endpoint, .. }) => {
                self.set_destination(*service, *endpoint, InKernel::Absent);
                tell_found(*service, Found::DestinationMissing(*endpoint), out);
                self.try_the_other(now, item, error);
            }
            (IpvsError::NotThere, IpvsCommand::RemoveDestination { .. })
            | (
                IpvsError::NotThere | IpvsError::NoService,
                IpvsCommand::RemoveService(_) | IpvsCommand::StopSync(_),
            ) => self.settle(command, out),
            (
                IpvsError::NoService,
                IpvsCommand::EditService { service, .. }
                | IpvsCommand::AddDestination { service, .. }
                | IpvsCommand::EditDestination { service, .. }
                | IpvsCommand::RemoveDestination { service, .. },
            ) => {
                self.queue.recover(item);
                self.on_vanished(*service, out);
            }
            (IpvsError::Exists, IpvsCommand::StartSync { role, .. }) => {
                *self.sync.thread_mut(*role) = InKernel::Otherwise;
                self.try_the_other(now, item, error);
            }
            (IpvsError::TimedOut, _) => self.lose_sight(now, &BTreeSet::from([item]), error),
            (
                IpvsError::Exists | IpvsError::NotThere | IpvsError::NoService | IpvsError::Refused,
                _,
            ) => self.on_refused(now, command, error, out),
        }
    }

    fn on_refused(
        &mut self,
        now: Timestamp,
        command: IpvsCommand,
        error: IpvsError,
        out: &mut Vec<Effect>,
    ) {
        let item = Item::of(&command);
        if item == Item::Flush && !self.stopping {
            // What was to be emptied once is not emptied later, when it is ours.
            self.queue.recover(item);
        } else {
            self.queue.fail(now, item, error);
            self.owe(item);
        }
        if let Item::Timeouts | Item::Sync(_) = item
            && !self.stopping
        {
            self.ask_for_settings();
        }
        if let Some(service) = item.service()
            && self.table.services.contains_key(&service)
            && !self.queue.waits(&Item::Read(service))
        {
            self.queue.reads.push(Item::Read(service));
        }
        out.push(Effect::News(News::CommandFailed { command, error }));
    }

    fn try_the_other(&mut self, now: Timestamp, item: Item, error: IpvsError) {
        if self.queue.surprise(now, item, error) {
            self.queue.urgent.push(item);
        }
    }

    /// Nobody knows what became of what waited.
    pub(super) fn lose(
        &mut self,
        now: Timestamp,
        waiting: Waiting,
        error: IpvsError,
        out: &mut Vec<Effect>,
    ) {
        let was_in_fault = self.fault.is_some();
        if error == IpvsError::NoIpvs {
            self.enter_fault(now, out);
        }
        match waiting {
            Waiting::Batch { commands, .. } => {
                let items: BTreeSet<_> = commands.iter().map(Item::of).collect();
                self.lose_sight(now, &items, error);
                let commands = u32::try_from(commands.len()).unwrap_or(u32::MAX);
                out.push(Effect::News(News::BatchFailed { commands, error }));
            }
            Waiting::Read { services, settings, .. } => {
                if settings {
                    self.queue.fail(now, Item::Settings, error);
                }
                for service in &services {
                    if self.table.services.contains_key(service) {
                        self.queue.fail(now, Item::Read(*service), error);
                    }
                }
                let services = u32::try_from(services.len()).unwrap_or(u32::MAX);
                if !was_in_fault {
                    out.push(Effect::News(News::ReadFailed { services, error }));
                }
            }
        }
    }

    /// What these are about is read before it is touched again.
    fn lose_sight(&mut self, now: Timestamp, items: &BTreeSet<Item>, error: IpvsError) {
        let services: BTreeSet<_> = items.iter().filter_map(Item::service).collect();
        for service in services {
            let Some(entry) = self.table.services.get_mut(&service) else { continue };
            entry.kernel = InKernel::Unknown;
            let item = if entry.owner.is_none() || self.stopping {
                Item::Service(service)
            } else {
                Item::Read(service)
            };
            self.queue.fail(now, item, error);
        }
        items.iter().for_each(|item| self.owe(*item));
        for item in items.iter().filter(|item| item.service().is_none()) {
            match item {
                Item::Sync(role) => *self.sync.thread_mut(*role) = InKernel::Unknown,
                Item::Timeouts => self.limits.forget(),
                _ => {}
            }
            if *item != Item::Flush || self.stopping {
                self.queue.fail(now, *item, error);
            }
        }
    }

    /// That it went wrong is told, so how it ends is too.
    fn owe(&mut self, item: Item) {
        if let Item::Destination(service, endpoint) = item
            && let Some(entry) = self.table.services.get_mut(&service)
            && let Some(destination) = entry.destinations.get_mut(&endpoint)
        {
            destination.owed = true;
        }
    }

    fn enter_fault(&mut self, now: Timestamp, out: &mut Vec<Effect>) {
        if self.fault.replace(now + PROBE_EVERY).is_none() {
            out.push(Effect::News(News::Fault));
        }
    }

    fn on_flushed(&mut self) {
        if self.stopping {
            let all: Vec<_> = self.table.services.keys().copied().collect();
            for service in all {
                self.drop_service(service);
            }
        }
    }

    fn on_removed(&mut self, service: Service) {
        let Some(entry) = self.table.services.get_mut(&service) else { return };
        entry.is_gone();
        if entry.owner.is_none() || self.stopping {
            self.drop_service(service);
        } else {
            self.queue.urgent.push(Item::Service(service));
        }
    }

    /// Somebody removed a service, its destinations with it. If it was not there at all, its own
    /// command failed before.
    fn on_vanished(&mut self, service: Service, out: &mut Vec<Effect>) {
        let Some(entry) = self.table.services.get_mut(&service) else { return };
        if entry.kernel.is_there() {
            entry.is_gone();
            tell_found(service, Found::ServiceMissing, out);
            self.queue.urgent.push(Item::Service(service));
        }
    }

    fn on_sync_stopped(&mut self, role: SyncRole, out: &mut Vec<Effect>) {
        let thread = core::mem::take(self.sync.thread_mut(role));
        if thread.present().is_some() {
            out.push(Effect::News(News::Sync { role, runs: false }));
        }
        self.queue.urgent.push(Item::Sync(role));
    }

    fn set_service(
        &mut self,
        service: Service,
        kernel: InKernel<ServiceSpec>,
        change: ServiceChange,
        out: &mut Vec<Effect>,
    ) {
        let Some(entry) = self.table.services.get_mut(&service) else { return };
        entry.kernel = kernel;
        out.push(Effect::News(News::Service { service, change }));
    }

    /// The kernel has a destination like this now. It may be one that a configuration dropped since
    /// that was asked for.
    fn set_destination(
        &mut self,
        service: Service,
        endpoint: Endpoint,
        kernel: InKernel<DestinationSpec>,
    ) {
        if let Some(entry) = self.table.services.get_mut(&service) {
            entry.destinations.entry(endpoint).or_default().kernel = kernel;
        }
    }

    /// As we asked; since then it may be wanted another way.
    fn settle_destination(
        &mut self,
        service: Service,
        endpoint: Endpoint,
        kernel: InKernel<DestinationSpec>,
        out: &mut Vec<Effect>,
    ) {
        self.set_destination(service, endpoint, kernel);
        let Table { services, pools, .. } = &mut self.table;
        let Some(entry) = services.get_mut(&service) else { return };
        let pool = entry.owner.and_then(|owner| pools.get(owner.0 as usize)?.as_ref());
        let Some(destination) = entry.destinations.get_mut(&endpoint) else { return };
        tell_server(service, endpoint, destination, false, out);
        let wanted = pool.and_then(|pool| Table::wanted(pool, destination));
        if differs(wanted, destination) {
            self.queue.bulk.push(Item::Destination(service, endpoint));
        } else if !destination.is_ours() {
            entry.destinations.remove(&endpoint);
        }
    }
}

/// Tells what the kernel has of a destination, unless that was told.
pub(super) fn tell_server(
    service: Service,
    server: Endpoint,
    destination: &mut Destination,
    by_reading: bool,
    out: &mut Vec<Effect>,
) {
    let to = match &destination.kernel {
        InKernel::Present(spec) => Some(spec.weight),
        InKernel::Absent => None,
        InKernel::Unknown | InKernel::Otherwise => return,
    };
    let from = core::mem::replace(&mut destination.told, to);
    if from != to {
        let sorry = destination.sorry && destination.server.is_none();
        let owed = core::mem::replace(&mut destination.owed, by_reading);
        let cause = match () {
            () if owed || by_reading => Cause::Belated,
            () if destination.is_ours() => Cause::Wanted,
            () => Cause::Dropped,
        };
        out.push(Effect::News(News::Server { service, server, sorry, from, to, cause }));
    }
}

pub(super) fn tell_found(service: Service, what: Found, out: &mut Vec<Effect>) {
    out.push(Effect::News(News::Found { service, what }));
}
