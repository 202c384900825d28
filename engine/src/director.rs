//! The director: health checks and the IPVS table as one part. What the one learns reaches the
//! other here, within the same call; neither knows of the other.
//!
//! Health comes first. It takes a configuration in portions, and only when it has all of it does
//! the table begin to; each real server that comes there is what health says of it by then. So no
//! server is in the table before it was judged, and none that stays leaves it.
//! A stop goes the same way: first every check is cancelled, then the table is emptied.
//!
//! Go on with `output` (what is asked and told), `status`, `snapshot`; the work is in
//! [`health`] and [`ipvs`].

mod output;
mod snapshot;
mod status;

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use core::net::IpAddr;

use serde::{Deserialize, Serialize};

pub use output::{DirectorOutput, News};
pub use snapshot::{Snapshot, SnapshotError};
pub use status::{ServerStatus, Status, VirtualServerStatus};

use crate::config::director::{DirectorConfig, VirtualServerName};
use crate::health::{self, AttemptId, Health, Limits, Outcome, ServerName};
use crate::input::TrackerValue;
use crate::ipvs::{
    self, Cause, Effect, Endpoint, Failure, Ipvs, IpvsError, Observed, OrderError, ServerOrder,
    SyncRole,
};
use crate::names::TrackerName;
use crate::time::{Timestamp, earlier};

/// The director.
///
/// Each input is a method with the time and a sink, in which what is to be done and told stands in
/// its order. No call does more than a portion of work, see [`health`] and
/// [`ipvs`]; whoever has more to do is due again at once.
#[derive(Clone, Debug, Default)]
pub struct Director {
    health: Health,
    ipvs: Ipvs,
    /// When the table is due: a book, for each outcome of a check asks.
    ipvs_due: Option<Timestamp>,
    /// What the table is told when health has taken its part of it.
    next: Option<Next>,
    /// What health says in a call; empty between calls.
    told: Vec<health::Output>,
}

/// What health takes now and the table takes next.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Next {
    Configure(Arc<DirectorConfig>),
    Stop,
}

impl Director {
    /// Nothing to check and to direct.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { health: Health::new(limits), ..Self::default() }
    }

    /// The configuration is now this one. One that comes while another is being taken replaces it;
    /// one that comes after [`Self::stop`] starts it again. [`News::InForce`] tells that it is
    /// worked off.
    pub fn configure(
        &mut self,
        now: Timestamp,
        config: Arc<DirectorConfig>,
        out: &mut Vec<DirectorOutput>,
    ) {
        self.next = Some(Next::Configure(Arc::clone(&config)));
        self.with_health(now, |health, out| health.configure(now, config, out), out);
        self.hand_over(now, out);
    }

    /// A deadline may have passed. An early call does only work that waits, a late one makes up for
    /// it once.
    pub fn tick(&mut self, now: Timestamp, out: &mut Vec<DirectorOutput>) {
        self.with_health(now, |health, out| health.tick(now, out), out);
        self.hand_over(now, out);
        if self.ipvs_due.is_some_and(|at| at <= now) {
            self.tick_ipvs(now, out);
        }
    }

    fn tick_ipvs(&mut self, now: Timestamp, out: &mut Vec<DirectorOutput>) {
        let Self { health, ipvs, .. } = self;
        let mut effects = Vec::new();
        let judged = |name: &VirtualServerName, server| Some(judgement(health, name, server));
        ipvs.on_tick(now, &judged, &mut effects);
        self.hear_ipvs(effects, out);
    }

    /// An attempt of a check ended, see [`Health::on_outcome`].
    pub fn on_outcome(
        &mut self,
        now: Timestamp,
        id: AttemptId,
        outcome: Outcome,
        out: &mut Vec<DirectorOutput>,
    ) {
        self.with_health(now, |health, out| health.on_outcome(now, id, outcome, out), out);
    }

    /// A tracked file says something else, see [`Health::on_tracker`].
    pub fn on_tracker(
        &mut self,
        now: Timestamp,
        file: TrackerName,
        value: TrackerValue,
        out: &mut Vec<DirectorOutput>,
    ) {
        self.with_health(now, |health, out| health.on_tracker(now, file, value, out), out);
    }

    /// The kernel has this, see [`Ipvs::on_observed`].
    pub fn on_observed(
        &mut self,
        now: Timestamp,
        number: u64,
        observed: Observed,
        out: &mut Vec<DirectorOutput>,
    ) {
        self.with_ipvs(|ipvs, out| ipvs.on_observed(now, number, observed, out), out);
    }

    /// How a batch or a read ended, see [`Ipvs::on_done`].
    pub fn on_done(
        &mut self,
        now: Timestamp,
        number: u64,
        result: Result<&[Failure], IpvsError>,
        out: &mut Vec<DirectorOutput>,
    ) {
        self.with_ipvs(|ipvs, out| ipvs.on_done(now, number, result, out), out);
    }

    /// An address is on this machine now, on whichever interface, or on none any more. Checks of a
    /// virtual server with `ha_suspend` rest while none of its addresses is here.
    pub fn on_address(
        &mut self,
        now: Timestamp,
        address: IpAddr,
        present: bool,
        out: &mut Vec<DirectorOutput>,
    ) {
        self.with_ipvs(|ipvs, out| ipvs.on_address(now, address, present, out), out);
    }

    /// The instance that the synchronisation follows is master, or not.
    pub fn on_instance(&mut self, now: Timestamp, role: SyncRole, out: &mut Vec<DirectorOutput>) {
        self.with_ipvs(|ipvs, out| ipvs.on_instance(now, role, out), out);
    }

    /// An operator orders something of a real server.
    ///
    /// # Errors
    /// If there is no such server, or the weight is too great.
    pub fn order(
        &mut self,
        now: Timestamp,
        server: &ServerName,
        order: ServerOrder,
        out: &mut Vec<DirectorOutput>,
    ) -> Result<(), OrderError> {
        let ServerName { virtual_server: name, address, port } = server;
        let endpoint = Endpoint { address: *address, port: *port };
        let mut effects = Vec::new();
        self.ipvs.order(now, name, endpoint, order, &mut effects)?;
        out.push(DirectorOutput::News(News::Ordered { server: server.clone(), order }));
        self.hear_ipvs(effects, out);
        Ok(())
    }

    /// Whether an operator may order this, see [`Self::order`].
    ///
    /// # Errors
    /// If not.
    pub fn may_order(&self, server: &ServerName, order: ServerOrder) -> Result<(), OrderError> {
        let ServerName { virtual_server: name, address, port } = server;
        self.ipvs.may_order(name, Endpoint { address: *address, port: *port }, order)
    }

    /// Cancels every check, then removes what is ours from the kernel. [`Self::is_stopped`] says
    /// when that is done.
    pub fn stop(&mut self, now: Timestamp, out: &mut Vec<DirectorOutput>) {
        self.next = Some(Next::Stop);
        let nothing = Arc::new(DirectorConfig::default());
        self.with_health(now, |health, out| health.configure(now, nothing, out), out);
        self.hand_over(now, out);
    }

    /// Whether it was stopped, no check runs, and nothing of ours is left in the kernel, as far as
    /// we know.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.next.is_none() && self.ipvs.is_stopped()
    }

    /// Whether it was stopped, whatever is left to do.
    #[must_use]
    pub const fn is_stopping(&self) -> bool {
        matches!(self.next, Some(Next::Stop)) || self.ipvs.is_stopping()
    }

    /// Whether a configuration or a stop is being worked off.
    #[must_use]
    pub const fn is_taking(&self) -> bool {
        self.next.is_some() || self.ipvs.is_taking()
    }

    /// What it was told last of the instance that the synchronisation follows.
    #[must_use]
    pub const fn sync_role(&self) -> SyncRole {
        self.ipvs.sync_role()
    }

    /// The addresses of this machine, as it was told.
    #[must_use]
    pub const fn addresses(&self) -> &BTreeSet<IpAddr> {
        self.ipvs.addresses()
    }

    /// When to call [`Self::tick`], if nothing else happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        earlier(self.health.next_deadline(), self.ipvs_due)
    }

    /// The kernel has no IPVS: nothing is directed.
    #[must_use]
    pub const fn is_in_fault(&self) -> bool {
        self.ipvs.is_in_fault()
    }

    /// Whether packets to this address need IPVS: a virtual server has it. Of a new configuration
    /// that is known once [`News::InForce`] was told.
    #[must_use]
    pub fn needs_ipvs(&self, address: IpAddr) -> bool {
        self.ipvs.needs_ipvs(address)
    }

    /// The tracked files whose values it wants to hear.
    pub fn files(&self) -> impl Iterator<Item = &TrackerName> {
        self.health.files()
    }

    /// Folds all that decides, every time as its distance from `now`.
    pub fn fingerprint(&self, now: Timestamp, hasher: &mut impl Hasher) {
        self.health.fingerprint(now, hasher);
        self.ipvs.fingerprint(now, hasher);
        match &self.next {
            None => 0_u8.hash(hasher),
            Some(Next::Configure(config)) => (1_u8, config).hash(hasher),
            Some(Next::Stop) => 2_u8.hash(hasher),
        }
    }

    /// Checks what must hold between any two calls, for tests, simulation and fuzzing.
    ///
    /// # Panics
    /// If something does not hold.
    pub fn check_invariants(&self) {
        self.health.check_invariants();
        self.ipvs.check_invariants();
        if let Err(what) = self.agree() {
            panic!("{what}");
        }
    }

    /// Whether both parts mean the same.
    fn agree(&self) -> Result<(), &'static str> {
        if self.ipvs_due != self.ipvs.deadline() {
            return Err("the table is due at another time than it is called");
        }
        if self.next.is_some() != self.health.is_taking() {
            return Err("the table waits for nothing, or does not wait");
        }
        for one in self.ipvs.virtual_servers() {
            let name = &one.config().name;
            for server in one.servers() {
                let endpoint = ipvs::identity(server.config);
                if find(&self.health, name, endpoint).is_some()
                    && judgement(&self.health, name, endpoint) != server.health
                {
                    return Err("a real server is another way in the table than it was judged");
                }
            }
            if let (Some(here), Some(rests)) = (self.health.presence(name), one.suspension())
                && here == rests
            {
                return Err("checks rest where the address is, or go on where it is not");
            }
        }
        Ok(())
    }

    /// The table's turn comes when health has taken its part.
    fn hand_over(&mut self, now: Timestamp, out: &mut Vec<DirectorOutput>) {
        if self.health.is_taking() {
            return;
        }
        match self.next.take() {
            Some(Next::Configure(config)) => {
                self.with_ipvs(|ipvs, out| ipvs.configure(now, &config, out), out);
            }
            Some(Next::Stop) => self.with_ipvs(|ipvs, out| ipvs.stop(now, out), out),
            None => {}
        }
    }

    fn with_health(
        &mut self,
        now: Timestamp,
        act: impl FnOnce(&mut Health, &mut Vec<health::Output>),
        out: &mut Vec<DirectorOutput>,
    ) {
        act(&mut self.health, &mut self.told);
        // From its end, so that its memory stays where it is.
        self.told.reverse();
        while let Some(output) = self.told.pop() {
            match output {
                health::Output::Probe(probe) => out.push(DirectorOutput::Probe(probe)),
                health::Output::News(news) => self.hear_health(now, news, out),
            }
        }
    }

    /// First why, then what is done about it.
    fn hear_health(&mut self, now: Timestamp, news: health::News, out: &mut Vec<DirectorOutput>) {
        let judged = match &news {
            health::News::ServerUp { server, weight, .. }
            | health::News::Weight { server, weight } => {
                Some((Arc::clone(server), ipvs::Health::Up { weight: *weight }))
            }
            health::News::ServerDown { server, .. } => {
                Some((Arc::clone(server), ipvs::Health::Down))
            }
            health::News::CheckFailed { .. }
            | health::News::CheckPassed { .. }
            | health::News::CheckNotMade { .. } => None,
        };
        out.push(DirectorOutput::News(News::Health(news)));
        if let Some((server, health)) = judged {
            let ServerName { virtual_server: name, address, port } = &*server;
            let server = Endpoint { address: *address, port: *port };
            self.with_ipvs(|ipvs, out| ipvs.on_server(now, name, server, health, out), out);
        }
    }

    fn with_ipvs(
        &mut self,
        act: impl FnOnce(&mut Ipvs, &mut Vec<Effect>),
        out: &mut Vec<DirectorOutput>,
    ) {
        let mut effects = Vec::new();
        act(&mut self.ipvs, &mut effects);
        self.hear_ipvs(effects, out);
    }

    /// The table did something.
    fn hear_ipvs(&mut self, effects: Vec<Effect>, out: &mut Vec<DirectorOutput>) {
        self.ipvs_due = self.ipvs.deadline();
        for effect in effects {
            out.push(match effect {
                Effect::Batch(batch) => DirectorOutput::Batch(batch),
                Effect::Read(read) => DirectorOutput::Read(read),
                Effect::InForce => DirectorOutput::News(News::InForce),
                Effect::Rest { name, rests } => {
                    if self.health.presence(&name) == Some(!rests) {
                        continue;
                    }
                    self.health.on_presence(&name, !rests);
                    DirectorOutput::News(News::Rest { name, rests })
                }
                Effect::News(news) if is_said_already(&news) => continue,
                Effect::News(news) => DirectorOutput::News(News::Table(news)),
            });
        }
    }
}

/// Whether people can tell it from what they were told before. A server that goes down is told by
/// health, with its reason; that the kernel removed it is news only if it did not do so at once.
/// The same is true of orders, of the quorum and of configurations. The sorry server is checked by
/// nobody, so of it nothing else is told.
const fn is_said_already(news: &ipvs::News) -> bool {
    match news {
        ipvs::News::Server { sorry, cause, .. } => !*sorry && matches!(cause, Cause::Wanted),
        ipvs::News::Service { .. }
        | ipvs::News::Quorum { .. }
        | ipvs::News::TakenOver { .. }
        | ipvs::News::Found { .. }
        | ipvs::News::FoundSetting(_)
        | ipvs::News::CommandFailed { .. }
        | ipvs::News::BatchFailed { .. }
        | ipvs::News::ReadFailed { .. }
        | ipvs::News::Sync { .. }
        | ipvs::News::Fault
        | ipvs::News::FaultOver => false,
    }
}

fn find<'a>(
    health: &'a Health,
    name: &VirtualServerName,
    server: Endpoint,
) -> Option<health::ServerStatus<'a>> {
    health.status().server(name, server.address, server.port)
}

/// What health says of a real server. One that it does not know belongs to a configuration that
/// another one replaced: nobody vouches for it.
fn judgement(health: &Health, name: &VirtualServerName, server: Endpoint) -> ipvs::Health {
    match find(health, name, server) {
        Some(server) if server.is_up() => ipvs::Health::Up { weight: server.weight() },
        Some(_) | None => ipvs::Health::Down,
    }
}
