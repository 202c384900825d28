//! A read-only view for command lines, metrics and reports.

use core::net::IpAddr;

use super::checker::{CheckCounters, Checker, State, Verdict};
use super::output::{CheckId, ServerName};
use super::server::Server;
use super::{Counters, Health, Outcome};
use crate::config::director::VirtualServerName;
use crate::config::health::Check;
use crate::time::Timestamp;

/// All checks and the real servers that they are for.
#[derive(Clone, Copy, Debug)]
pub struct Status<'a> {
    health: &'a Health,
}

/// One real server of one virtual server.
#[derive(Clone, Copy, Debug)]
pub struct ServerStatus<'a> {
    health: &'a Health,
    server: &'a Server,
}

/// One check.
#[derive(Clone, Copy, Debug)]
pub struct CheckStatus<'a> {
    health: &'a Health,
    id: CheckId,
    checker: &'a Checker,
}

/// What a check does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Now {
    /// Its next attempt is due then. If that is over, too many others run.
    Waits(Timestamp),
    /// An attempt is under way, no longer than until then.
    Runs(Timestamp),
    /// A tracker tells its value.
    IsTold,
    /// Every virtual server that needs it rests; it is looked at again then.
    Rests(Timestamp),
}

impl Health {
    /// A read-only view.
    #[must_use]
    pub const fn status(&self) -> Status<'_> {
        Status { health: self }
    }
}

impl<'a> Status<'a> {
    /// The real servers, in the order in which they were first configured where none has gone.
    pub fn servers(&self) -> impl Iterator<Item = ServerStatus<'a>> + use<'a> {
        let health = self.health;
        health.servers.iter().map(move |(_, server)| ServerStatus { health, server })
    }

    /// One of them.
    #[must_use]
    pub fn server(
        &self,
        virtual_server: &VirtualServerName,
        address: IpAddr,
        port: u16,
    ) -> Option<ServerStatus<'a>> {
        let health = self.health;
        let owner = *health.by_name.get(virtual_server)?;
        let id = health.by_server.get(&(owner, address, port))?;
        Some(ServerStatus { health, server: health.servers.get(id.0)? })
    }

    /// The checks. One that several real servers need is there once.
    pub fn checks(&self) -> impl Iterator<Item = CheckStatus<'a>> + use<'a> {
        let health = self.health;
        let places = health.checks.iter();
        places.map(move |(place, checker)| CheckStatus { health, id: CheckId(place), checker })
    }

    /// Attempts that are under way.
    #[must_use]
    pub fn running(&self) -> usize {
        self.health.agenda.running()
    }

    /// What was counted over all checks.
    #[must_use]
    pub const fn counters(&self) -> &'a Counters {
        &self.health.counters
    }
}

impl<'a> ServerStatus<'a> {
    /// Which one.
    #[must_use]
    pub fn name(&self) -> &'a ServerName {
        &self.server.name
    }

    /// Whether it may have connections.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.server.is_up()
    }

    /// Since when it is up or down.
    #[must_use]
    pub const fn since(&self) -> Timestamp {
        self.server.since()
    }

    /// Its weight in force, at most `MAX_WEIGHT` of the configuration.
    #[must_use]
    pub const fn weight(&self) -> u32 {
        self.server.weight()
    }

    /// Its checks, in the order of the file.
    pub fn checks(&self) -> impl Iterator<Item = CheckStatus<'a>> + use<'a> {
        let Self { health, server } = *self;
        server.checks.iter().filter_map(move |id| {
            let checker = health.checks.get(id.0)?;
            Some(CheckStatus { health, id: *id, checker })
        })
    }
}

impl<'a> CheckStatus<'a> {
    /// Its place.
    #[must_use]
    pub const fn id(&self) -> CheckId {
        self.id
    }

    /// What it is.
    #[must_use]
    pub fn check(&self) -> &'a Check {
        &self.checker.check
    }

    /// What is known by it.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        self.checker.verdict()
    }

    /// Since when that is known, whatever the failure is.
    #[must_use]
    pub const fn since(&self) -> Timestamp {
        self.checker.since()
    }

    /// Failures in a row that did not count.
    #[must_use]
    pub const fn tolerated(&self) -> u32 {
        self.checker.tolerated()
    }

    /// How the last attempt ended, and when. It prints in words.
    #[must_use]
    pub const fn last(&self) -> Option<(Timestamp, Outcome)> {
        self.checker.last()
    }

    /// What it does now.
    #[must_use]
    pub fn now(&self) -> Now {
        match self.checker.state {
            State::Waits { start_at } if !self.health.is_wanted(self.id) => Now::Rests(start_at),
            State::Waits { start_at } => Now::Waits(start_at),
            State::Runs { until, .. } => Now::Runs(until),
            State::IsTold => Now::IsTold,
        }
    }

    /// How many real servers need it.
    #[must_use]
    pub fn subscribers(&self) -> usize {
        self.checker.subscribers.len()
    }

    /// What it counted.
    #[must_use]
    pub const fn counters(&self) -> &'a CheckCounters {
        self.checker.counters()
    }
}
