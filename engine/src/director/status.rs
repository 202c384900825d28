//! A read-only view that joins both parts: what is wanted, what the kernel has, and what the checks
//! say.

use core::net::IpAddr;

use crate::config::director::{RealServer, Service, VirtualServer};
use crate::director::{Director, find};
use crate::health::{self, CheckStatus, Now, Outcome, Verdict};
use crate::ipvs::{self, DestinationStatus, ServiceStatus, Why};
use crate::time::Timestamp;

/// All of it.
#[derive(Clone, Copy, Debug)]
pub struct Status<'a> {
    director: &'a Director,
}

/// One virtual server.
#[derive(Clone, Copy, Debug)]
pub struct VirtualServerStatus<'a> {
    director: &'a Director,
    /// Its quorum and its services.
    pub table: ipvs::VirtualServerStatus<'a>,
}

/// One real server of a virtual server.
#[derive(Clone, Copy, Debug)]
pub struct ServerStatus<'a> {
    owner: ipvs::VirtualServerStatus<'a>,
    /// What it is to be in the table, since when, and what was ordered.
    pub table: ipvs::ServerStatus<'a>,
    /// What its checks say; `None`: they do not know it, or not any more, because a configuration
    /// is being taken.
    pub health: Option<health::ServerStatus<'a>>,
}

impl Director {
    /// A read-only view.
    #[must_use]
    pub const fn status(&self) -> Status<'_> {
        Status { director: self }
    }
}

impl<'a> Status<'a> {
    /// The virtual servers, by name.
    pub fn virtual_servers(&self) -> impl Iterator<Item = VirtualServerStatus<'a>> + use<'a> {
        let director = self.director;
        director.ipvs.virtual_servers().map(|table| VirtualServerStatus { director, table })
    }

    /// The kernel has no IPVS: nothing is directed.
    #[must_use]
    pub const fn is_in_fault(&self) -> bool {
        self.director.is_in_fault()
    }

    /// Whether packets to this address need IPVS, see [`Director::needs_ipvs`].
    #[must_use]
    pub fn needs_ipvs(&self, address: IpAddr) -> bool {
        self.director.needs_ipvs(address)
    }

    /// Whether it was stopped and has given everything back, see [`Director::is_stopped`].
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.director.is_stopped()
    }

    /// The checks with what they count.
    #[must_use]
    pub const fn checks(&self) -> health::Status<'a> {
        self.director.health.status()
    }
}

impl<'a> VirtualServerStatus<'a> {
    /// Its configuration.
    #[must_use]
    pub fn config(&self) -> &'a VirtualServer {
        self.table.config()
    }

    /// Its services, by key.
    pub fn services(&self) -> impl Iterator<Item = ServiceStatus<'a>> + use<'a> {
        self.table.services()
    }

    /// Its real servers, in the order of the configuration.
    pub fn servers(&self) -> impl Iterator<Item = ServerStatus<'a>> + use<'a> {
        let Self { director, table: owner } = *self;
        owner.servers().map(move |table| {
            let endpoint = ipvs::identity(table.config);
            let health = find(&director.health, &owner.config().name, endpoint);
            ServerStatus { owner, table, health }
        })
    }
}

impl<'a> ServerStatus<'a> {
    /// Its configuration.
    #[must_use]
    pub const fn config(&self) -> &'a RealServer {
        self.table.config
    }

    /// Whether its checks say that it may have connections.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        matches!(self.table.health, ipvs::Health::Up { .. })
    }

    /// Since when it is up or down; the time of its last change of any kind if its checks do not
    /// know it.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        self.health.map_or(self.table.since, |health| health.since())
    }

    /// The weight that it is to have in the table; `None`: it is to be out of it.
    #[must_use]
    pub const fn wanted(&self) -> Option<u32> {
        self.table.wanted
    }

    /// Why.
    #[must_use]
    pub const fn why(&self) -> Why {
        self.table.why
    }

    /// What each service of its virtual server has of it.
    pub fn in_kernel(&self) -> impl Iterator<Item = (Service, DestinationStatus)> + use<'a> {
        let (owner, config) = (self.owner, self.table.config);
        owner
            .services()
            .filter_map(move |service| Some((service.service(), service.destination_of(config)?)))
    }

    /// Its checks, in the order of the file.
    pub fn checks(&self) -> impl Iterator<Item = CheckStatus<'a>> + use<'a> {
        self.health.into_iter().flat_map(|health| health.checks())
    }

    /// How the last attempt of the check that fails ended, or of the one that was made last; it
    /// prints in words.
    #[must_use]
    pub fn last(&self) -> Option<(Timestamp, Outcome)> {
        let failed = self.checks().find_map(|check| match check.verdict() {
            // What is told, such as a file, has no attempt.
            Verdict::Failed(why) => check.last().or(Some((check.since(), Outcome::Bad(why)))),
            Verdict::Untested | Verdict::Good => None,
        });
        failed.or_else(|| self.checks().filter_map(|check| check.last()).max_by_key(|last| last.0))
    }

    /// When one of its checks is made next; `None`: it has none that is made, all of them rest, or
    /// each is being made now.
    #[must_use]
    pub fn next_check(&self) -> Option<Timestamp> {
        let next = self.checks().filter_map(|check| match check.now() {
            Now::Waits(start_at) => Some(start_at),
            Now::Runs(_) | Now::IsTold | Now::Rests(_) => None,
        });
        next.min()
    }
}
