//! What the engine orders as what the kernel is told, and what the kernel has as the engine takes
//! it.

use vipd_engine::config::director::{Service, Timeouts};
use vipd_engine::ipvs::{
    DestinationSpec as WantedDestination, Endpoint, IpvsCommand, IpvsError, Seen,
    ServiceSpec as WantedService, Settings, SyncRole as WantedRole, SyncSpec as WantedSync,
};

use super::codec::Failure;
use super::spec::{
    Command, DestinationSpec, ListedDestination, ListedService, ServiceSpec, SyncRole, SyncSpec,
};

/// What the kernel is told.
#[must_use]
pub fn command(command: &IpvsCommand) -> Command {
    match command {
        IpvsCommand::Flush => Command::Flush,
        IpvsCommand::SetTimeouts(timeouts) => Command::SetTimeouts(*timeouts),
        IpvsCommand::AddService { service, spec } => Command::AddService(whole(*service, spec)),
        IpvsCommand::EditService { service, spec } => Command::SetService(whole(*service, spec)),
        IpvsCommand::RemoveService(service) => Command::RemoveService(*service),
        IpvsCommand::AddDestination { service, endpoint, spec } => {
            Command::AddDestination(*service, at(*endpoint, *spec))
        }
        IpvsCommand::EditDestination { service, endpoint, spec } => {
            Command::SetDestination(*service, at(*endpoint, *spec))
        }
        IpvsCommand::RemoveDestination { service, endpoint } => {
            Command::RemoveDestination(*service, endpoint.address, endpoint.port)
        }
        IpvsCommand::StartSync { role, spec } => Command::StartSync(sync(*role, spec)),
        IpvsCommand::StopSync(role) => Command::StopSync(role_of(*role)),
    }
}

/// What the kernel has.
#[must_use]
pub fn seen(listed: ListedService, destinations: Vec<ListedDestination>) -> Seen {
    let spec = |spec: ServiceSpec| {
        let ServiceSpec { service: _, scheduling, persistence } = spec;
        WantedService { scheduling, persistence }
    };
    let destination = |one: ListedDestination| {
        let ListedDestination { address, port, spec, connections: _ } = one;
        let spec = spec.map(|spec| WantedDestination {
            weight: spec.weight,
            forwarding: spec.forwarding,
            upper_threshold: spec.upper_threshold,
            lower_threshold: spec.lower_threshold,
        });
        (Endpoint { address, port }, spec)
    };
    Seen {
        service: listed.service,
        spec: listed.spec.map(spec),
        destinations: destinations.into_iter().map(destination).collect(),
    }
}

/// What the kernel has beside its services.
#[must_use]
pub fn settings(timeouts: Timeouts, threads: Vec<SyncSpec>) -> Settings {
    let thread = |spec: SyncSpec| {
        let SyncSpec { role, interface, id, maxlen, group, port, ttl } = spec;
        let role = match role {
            SyncRole::Master => WantedRole::Master,
            SyncRole::Backup => WantedRole::Backup,
        };
        (role, WantedSync { interface, id, maxlen, port, ttl, group })
    };
    Settings { timeouts, sync: threads.into_iter().map(thread).collect() }
}

/// Why the kernel did not do it.
#[must_use]
pub const fn error(failure: &Failure) -> IpvsError {
    match failure {
        Failure::Exists => IpvsError::Exists,
        Failure::NotThere | Failure::NoModule => IpvsError::NotThere,
        Failure::NoService => IpvsError::NoService,
        Failure::NotPermitted | Failure::Refused { .. } => IpvsError::Refused,
        Failure::Unknown => IpvsError::TimedOut,
    }
}

fn whole(service: Service, spec: &WantedService) -> ServiceSpec {
    let WantedService { scheduling, persistence } = spec;
    ServiceSpec { service, scheduling: *scheduling, persistence: persistence.clone() }
}

const fn at(endpoint: Endpoint, spec: WantedDestination) -> DestinationSpec {
    let Endpoint { address, port } = endpoint;
    let WantedDestination { weight, forwarding, upper_threshold, lower_threshold } = spec;
    DestinationSpec { address, port, weight, forwarding, upper_threshold, lower_threshold }
}

fn sync(role: WantedRole, spec: &WantedSync) -> SyncSpec {
    let WantedSync { interface, id, maxlen, port, ttl, group } = spec;
    let (id, maxlen, port, ttl, group) = (*id, *maxlen, *port, *ttl, *group);
    SyncSpec { role: role_of(role), interface: interface.clone(), id, maxlen, group, port, ttl }
}

const fn role_of(role: WantedRole) -> SyncRole {
    match role {
        WantedRole::Master => SyncRole::Master,
        WantedRole::Backup => SyncRole::Backup,
    }
}
