//! Random configurations and events, and a stage that tells a director of them. What is wanted is
//! computed here a second time, from the configuration and from what was told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use vipd_engine::config::director::{
    AtStop, DirectorConfig, Forwarding, Persistence, Protocol, RealServer, Scheduler, Scheduling,
    Service, SorryServer, SyncDaemon, Timeouts, Tunnel, TunnelChecksum, VirtualServer,
    VirtualServerName,
};
use vipd_engine::ipvs::{
    DestinationSpec, Endpoint, Health, IpvsError, READ_BACK_EVERY, ServerOrder, ServiceSpec,
    SyncRole, SyncSpec,
};
use vipd_engine::{Family, InstanceName, InterfaceName, Timestamp};

use super::{Destinations, Fate, Tables, World, at, config, ip, real, sorry, tcp};

const SERVERS: [&str; 4] = ["10.1.0.1:80", "10.1.0.2:80", "10.1.0.2:81", "[fd00::1]:80"];
const NAMES: usize = 6;

fn services(which: usize) -> (VirtualServerName, Vec<Service>) {
    let of = |service| (super::name(service), vec![service]);
    let group = |name: &str, services: &[Service]| {
        (VirtualServerName::Group { name: name.into(), protocol: Protocol::Tcp }, services.to_vec())
    };
    match which {
        0 => of(tcp("10.0.0.1:80")),
        1 => of(Service::Address { address: ip("10.0.0.1"), port: 53, protocol: Protocol::Udp }),
        2 => of(Service::Fwmark { mark: 7, family: Family::Ipv4 }),
        3 => of(tcp("[fd00::100]:80")),
        4 => group("one", &[tcp("10.0.0.2:80"), tcp("10.0.0.2:443")]),
        // It shares a service with the one before, and one with the first.
        _ => group("two", &[tcp("10.0.0.2:443"), tcp("10.0.0.3:80"), tcp("10.0.0.1:80")]),
    }
}

fn forwarding() -> impl Strategy<Value = Forwarding> {
    let gue = Tunnel::Gue { port: 6080, checksum: TunnelChecksum::Whole };
    prop_oneof![
        3 => Just(Forwarding::Nat),
        2 => Just(Forwarding::DirectRouting),
        1 => Just(Forwarding::Tunnel(gue)),
    ]
}

prop_compose! {
    fn server()(
        which in 0..SERVERS.len(),
        weight in 0..4_u32,
        forwarding in forwarding(),
        upper_threshold in prop_oneof![Just(0), Just(100)],
        inhibit_on_failure in any::<bool>(),
    ) -> RealServer {
        RealServer {
            weight, forwarding, upper_threshold, inhibit_on_failure, ..real(SERVERS[which])
        }
    }
}

prop_compose! {
    fn pool()(
        which in 0..NAMES,
        real_servers in prop::collection::vec(server(), 0..5),
        scheduler in prop_oneof![Just(Scheduler::Wlc), Just(Scheduler::Mh)],
        flags in 0..2_u8,
        persistence in prop::option::of(1..3_u64),
        // One of them is a real server too.
        sorry_at in prop::option::of(prop_oneof![Just("10.9.0.1:80"), Just(SERVERS[0])]),
        inhibit in any::<bool>(),
        (quorum, hysteresis) in (0..5_u32, 0..3_u32),
        omega in any::<bool>(),
        ha_suspend in any::<bool>(),
    ) -> VirtualServer {
        let (name, services) = services(which);
        let persistence = persistence.map(|seconds| Persistence {
            timeout: Duration::from_secs(seconds), prefix_len: 32, engine: None,
        });
        let sorry_server = sorry_at.map(|text| {
            SorryServer { inhibit, ..sorry(text) }
        });
        VirtualServer {
            name, services, persistence, real_servers, sorry_server, quorum, hysteresis,
            scheduling: Scheduling { scheduler, flags, hashed: false, one_packet: false },
            alpha: false, omega, ha_suspend,
        }
    }
}

prop_compose! {
    fn director()(
        pools in prop::collection::vec(pool(), 0..5),
        tcp in prop::option::of(100..102_u64),
        sync in prop::option::of((0..2_u8, any::<bool>())),
        at_stop in prop_oneof![Just(AtStop::RemoveOurs), Just(AtStop::RemoveServices)],
    ) -> DirectorConfig {
        let tcp = tcp.map(Duration::from_secs);
        let sync_daemon = sync.map(|(id, follows)| SyncDaemon {
            interface: InterfaceName::new("eth0"),
            instance: follows.then(|| InstanceName::new("VI_1")),
            id, maxlen: None, port: None, ttl: None, group: None,
        });
        DirectorConfig {
            timeouts: Timeouts { tcp, ..Timeouts::default() }, sync_daemon, at_stop,
            ..config(&pools)
        }
    }
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub enum Op {
    Configure(DirectorConfig),
    Health(usize, usize, Health),
    Order(usize, usize, ServerOrder),
    Address(bool),
    Instance(SyncRole),
    Wait(u64),
    /// What is asked for is done only later, or at once again.
    Hold(bool),
    Fates(Vec<Fate>),
    /// Somebody else: a service goes, or one of its destinations does, comes, or is changed.
    RemoveService(prop::sample::Index),
    RemoveDestination(prop::sample::Index),
    AddDestination(prop::sample::Index, u8),
    EditDestination(prop::sample::Index, u32),
    EditService(prop::sample::Index),
    AddService(usize),
    SetTimeouts(u64),
    /// A thread of the synchronisation runs with this id, or does not.
    Thread(SyncRole, Option<u8>),
    Bare(bool),
    Stop,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        Just(Fate::Answered),
        Just(Fate::Unanswered),
        Just(Fate::Lost),
        Just(Fate::Late),
        Just(Fate::Failed(IpvsError::Refused)),
        any::<u8>().prop_map(Fate::Refused),
    ]
}

/// What needs no second thought of the kernel.
pub fn plain() -> impl Strategy<Value = Op> {
    let health =
        prop_oneof![Just(Health::Down), (0..4_u32).prop_map(|weight| Health::Up { weight }),];
    let order = prop_oneof![
        Just(ServerOrder::Drain),
        Just(ServerOrder::Undrain),
        prop::option::of(0..4_u32).prop_map(ServerOrder::Weight),
    ];
    prop_oneof![
        2 => director().prop_map(Op::Configure),
        6 => (0..NAMES, 0..SERVERS.len(), health).prop_map(|(a, b, c)| Op::Health(a, b, c)),
        3 => (0..NAMES, 0..SERVERS.len(), order).prop_map(|(a, b, c)| Op::Order(a, b, c)),
        1 => any::<bool>().prop_map(Op::Address),
        1 => prop_oneof![Just(SyncRole::Master), Just(SyncRole::Backup)].prop_map(Op::Instance),
    ]
}

pub fn op() -> impl Strategy<Value = Op> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        10 => plain(),
        3 => (0..5000_u64).prop_map(Op::Wait),
        2 => any::<bool>().prop_map(Op::Hold),
        3 => prop::collection::vec(fate(), 1..4).prop_map(Op::Fates),
        1 => index().prop_map(Op::RemoveService),
        1 => index().prop_map(Op::RemoveDestination),
        1 => (index(), 0..6_u8).prop_map(|(a, b)| Op::AddDestination(a, b)),
        1 => (index(), 0..9_u32).prop_map(|(a, b)| Op::EditDestination(a, b)),
        1 => index().prop_map(Op::EditService),
        1 => (0..NAMES).prop_map(Op::AddService),
        1 => (99..102_u64).prop_map(Op::SetTimeouts),
        1 => (0..2_usize, prop::option::of(0..3_u8))
            .prop_map(|(role, id)| Op::Thread(SyncRole::ALL[role], id)),
        1 => any::<bool>().prop_map(Op::Bare),
    ]
}

/// A server as it must be by what was told.
#[derive(Clone, Copy, Debug)]
pub struct State {
    health: Health,
    drained: bool,
    ordered: Option<u32>,
    configured: u32,
}

impl State {
    fn weight(&self) -> Option<u32> {
        match self.health {
            Health::Down => None,
            Health::Up { weight } => {
                Some(if self.drained { 0 } else { self.ordered.unwrap_or(weight) })
            }
        }
    }
}

/// A world, and what was told.
#[derive(Clone, Debug)]
pub struct Stage {
    pub world: World,
    pub config: Option<DirectorConfig>,
    pub states: BTreeMap<(VirtualServerName, Endpoint), State>,
    pub stopped: bool,
}

impl Stage {
    pub fn new(now: Timestamp) -> Self {
        let world = World::at(now);
        Self { world, config: None, states: BTreeMap::new(), stopped: false }
    }

    /// The virtual servers that count, each with the services that are its own.
    fn pools(config: &DirectorConfig) -> Vec<(Arc<VirtualServer>, Vec<Service>)> {
        let (mut names, mut taken) = (BTreeSet::new(), BTreeSet::new());
        let mut pools = Vec::new();
        for pool in &config.virtual_servers {
            if names.insert(pool.name.clone()) {
                let own = pool.services.iter().copied().filter(|one| taken.insert(*one)).collect();
                pools.push((Arc::clone(pool), own));
            }
        }
        pools
    }

    pub fn apply(&mut self, op: &Op) {
        match op {
            Op::Configure(config) => self.configure(config),
            Op::Health(pool, server, health) => {
                let (name, server) = (services(*pool).0, at(SERVERS[*server]));
                if let Some(state) = self.states.get_mut(&(name.clone(), server)) {
                    state.health = *health;
                }
                self.world.health(&name, server, *health);
            }
            Op::Order(pool, server, order) => self.order(*pool, *server, *order),
            Op::Address(present) => self.world.address(ip("10.0.0.2"), *present),
            Op::Instance(role) => self.world.instance(*role),
            Op::Wait(time) => self.world.wait(Duration::from_millis(*time)),
            Op::Hold(true) => self.world.held = true,
            Op::Hold(false) => self.world.release(),
            Op::Fates(fates) => self.world.fates.extend(fates),
            // Threads that run keep the module from going.
            Op::Bare(bare) if self.world.kernel.sync.is_empty() => {
                self.world.kernel.is_bare = *bare;
                if *bare {
                    self.world.kernel.table.retain(|service, _| *service == others().0);
                }
            }
            Op::Bare(_) => {}
            Op::Stop => {
                self.stopped = true;
                self.world.stop();
            }
            Op::RemoveService(_)
            | Op::RemoveDestination(_)
            | Op::AddDestination(..)
            | Op::EditDestination(..)
            | Op::EditService(_)
            | Op::AddService(_) => self.meddle(op),
            Op::SetTimeouts(_) | Op::Thread(..) if self.world.kernel.is_bare => {}
            Op::SetTimeouts(seconds) => {
                self.world.kernel.timeouts.tcp = Some(Duration::from_secs(*seconds));
            }
            // Threads of others are left alone where none is configured.
            Op::Thread(role, id) => {
                let config = self.config.as_ref().filter(|_| !self.stopped);
                let Some(config) = config.and_then(|config| config.sync_daemon.as_ref()) else {
                    return;
                };
                let threads = &mut self.world.kernel.sync;
                match id {
                    None => drop(threads.remove(role)),
                    Some(id) => {
                        let spec = SyncSpec { id: *id, ..SyncSpec::from(config) };
                        threads.insert(*role, spec);
                        self.world.kernel.foreign.insert(*role);
                    }
                }
            }
        }
    }

    fn configure(&mut self, config: &DirectorConfig) {
        self.stopped = false;
        let mut states = BTreeMap::new();
        for (pool, _) in Self::pools(config) {
            for server in &pool.real_servers {
                let endpoint = Endpoint { address: server.address, port: server.port };
                let key = (pool.name.clone(), endpoint);
                let configured = server.weight;
                let mut state = self.states.get(&key).copied().unwrap_or(State {
                    health: Health::Up { weight: configured },
                    drained: false,
                    ordered: None,
                    configured,
                });
                if state.health == (Health::Up { weight: state.configured }) {
                    state.health = Health::Up { weight: configured };
                }
                state.configured = configured;
                states.entry(key).or_insert(state);
            }
        }
        self.states = states;
        self.config = Some(config.clone());
        self.world.configure(config);
    }

    fn order(&mut self, pool: usize, server: usize, order: ServerOrder) {
        let (name, server) = (services(pool).0, at(SERVERS[server]));
        let state = self.states.get_mut(&(name.clone(), server));
        let known = state.is_some();
        match (state, order) {
            (None, _) => {}
            (Some(state), ServerOrder::Drain) => state.drained = true,
            (Some(state), ServerOrder::Undrain) => state.drained = false,
            (Some(state), ServerOrder::Weight(weight)) => state.ordered = weight,
        }
        let edited = self.world.edited;
        self.world.tell(|ipvs, now, out| {
            let obeyed = ipvs.order(now, &name, server, order, out).is_ok();
            assert!(edited || obeyed == known);
        });
    }

    /// Somebody else changes the kernel.
    fn meddle(&mut self, op: &Op) {
        let table = &mut self.world.kernel.table;
        let is_free = |service: &Service| *service != others().0;
        let keys: Vec<_> = table.keys().copied().filter(is_free).collect();
        let of = |table: &Tables, index: &prop::sample::Index| {
            let all = table.iter().flat_map(|(service, (_, destinations))| {
                destinations.keys().map(|endpoint| (*service, *endpoint))
            });
            let all: Vec<_> = all.filter(|(service, _)| is_free(service)).collect();
            (!all.is_empty()).then(|| *index.get(&all))
        };
        let spec = |weight| DestinationSpec {
            weight,
            forwarding: Forwarding::Nat,
            upper_threshold: 0,
            lower_threshold: 0,
        };
        match op {
            Op::AddService(which) if !self.world.kernel.is_bare => {
                table.entry(services(*which).1[0]).or_insert((foreign(), Destinations::new()));
            }
            _ if keys.is_empty() => {}
            Op::RemoveService(index) => drop(table.remove(index.get(&keys))),
            Op::EditService(index) => table.get_mut(index.get(&keys)).unwrap().0 = foreign(),
            Op::AddDestination(index, octet) => {
                let endpoint = Endpoint { address: [10, 1, 0, *octet].into(), port: 80 };
                table.get_mut(index.get(&keys)).unwrap().1.entry(endpoint).or_insert(spec(5));
            }
            Op::RemoveDestination(index) => {
                if let Some((service, endpoint)) = of(table, index) {
                    table.get_mut(&service).unwrap().1.remove(&endpoint);
                }
            }
            Op::EditDestination(index, weight) => {
                if let Some((service, endpoint)) = of(table, index) {
                    table.get_mut(&service).unwrap().1.insert(endpoint, spec(*weight));
                }
            }
            _ => {}
        }
    }

    /// Nothing goes wrong any more until everything is read and tried again.
    pub fn calm(&mut self) {
        self.world.fates.clear();
        self.world.kernel.is_bare = false;
        self.world.release();
        self.world.catch_up();
        self.world.wait(READ_BACK_EVERY * 2 + Duration::from_secs(40));
    }

    /// What the kernel must have of ours.
    pub fn wanted(&self) -> Tables {
        let mut tables = Tables::new();
        let Some(config) = self.config.as_ref().filter(|_| !self.stopped) else { return tables };
        for (pool, own) in Self::pools(config) {
            let up = self.quorum(&pool);
            for service in own {
                let mut scheduling = pool.scheduling;
                scheduling.hashed = true;
                let spec = ServiceSpec { scheduling, persistence: pool.persistence.clone() };
                tables.insert(service, (spec, self.destinations(&pool, service, up)));
            }
        }
        tables
    }

    /// Whether it has its quorum: as it says, which must be possible.
    fn quorum(&self, pool: &VirtualServer) -> bool {
        let mut statuses = self.world.ipvs.virtual_servers();
        let status =
            statuses.find(|status| status.config().name == pool.name).expect("it is known");
        let mine = self.states.iter().filter(|((name, _), _)| *name == pool.name);
        let live: u64 = mine.map(|(_, state)| u64::from(state.weight().unwrap_or(0))).sum();
        let (quorum, hysteresis) = (u64::from(pool.quorum), u64::from(pool.hysteresis));
        assert_eq!(status.live(), live);
        if live >= quorum + hysteresis && live > 0 {
            assert!(status.has_quorum(), "{live} is enough");
        }
        if live < quorum.saturating_sub(hysteresis) || live == 0 {
            assert!(!status.has_quorum(), "{live} is not enough");
        }
        status.has_quorum()
    }

    fn destinations(&self, pool: &VirtualServer, service: Service, up: bool) -> Destinations {
        let key = |address, port, forwarding| match (service, forwarding) {
            (_, Forwarding::Nat) => Endpoint { address, port },
            (Service::Fwmark { .. }, _) => Endpoint { address, port: 0 },
            (Service::Address { port, .. }, _) => Endpoint { address, port },
        };
        let sorry = pool.sorry_server.as_ref();
        let (mut seen, mut keys) = (BTreeSet::new(), BTreeSet::new());
        let mut wanted = Destinations::new();
        for server in &pool.real_servers {
            let identity = Endpoint { address: server.address, port: server.port };
            let endpoint = key(server.address, server.port, server.forwarding);
            if !seen.insert(identity) || !keys.insert(endpoint) {
                continue;
            }
            let state = &self.states[&(pool.name.clone(), identity)];
            let gives_way = !up && sorry.is_some();
            let weight = match state.weight() {
                Some(weight) if !gives_way => weight,
                Some(_) if state.drained => 0,
                _ if server.inhibit_on_failure => 0,
                _ => continue,
            };
            let RealServer { forwarding, upper_threshold, lower_threshold, .. } = *server;
            wanted.insert(
                endpoint,
                DestinationSpec { weight, forwarding, upper_threshold, lower_threshold },
            );
        }
        if let Some(sorry) = sorry {
            let endpoint = key(sorry.address, sorry.port, sorry.forwarding);
            let (forwarding, weight) = (sorry.forwarding, u32::from(!up));
            let spec =
                DestinationSpec { weight, forwarding, upper_threshold: 0, lower_threshold: 0 };
            match wanted.get(&endpoint) {
                Some(server) if server.weight > 0 || weight == 0 => {}
                _ if weight > 0 || sorry.inhibit => drop(wanted.insert(endpoint, spec)),
                _ => {}
            }
        }
        wanted
    }

    /// The kernel's table without what is somebody else's.
    pub fn ours(&self) -> Tables {
        let mine = |service: &Service| self.wanted().contains_key(service);
        self.world.kernel.table.clone().into_iter().filter(|(key, _)| mine(key)).collect()
    }
}

fn foreign() -> ServiceSpec {
    let scheduler = Scheduler::Sed;
    let scheduling = Scheduling { scheduler, flags: 0, hashed: true, one_packet: false };
    ServiceSpec { scheduling, persistence: None }
}

/// Somebody else's service that no configuration here can name.
pub fn others() -> (Service, (ServiceSpec, Destinations)) {
    let spec = DestinationSpec {
        weight: 3,
        forwarding: Forwarding::DirectRouting,
        upper_threshold: 0,
        lower_threshold: 0,
    };
    (tcp("10.0.0.1:81"), (foreign(), [(at("10.1.0.1:81"), spec)].into()))
}
