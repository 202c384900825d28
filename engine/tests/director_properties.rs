//! What holds of the director whatever real servers, operators, reloads, addresses and the kernel
//! do: once it is quiet, the table is what the configuration and the health of the servers say.

mod director_world;
mod ipvs_world;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use director_world::random::{SERVERS, SERVICES, SORRY, behaviour, director, fate, limits, order};
use director_world::{Behaviour, World};
use ipvs_world::{Destinations, Fate, at, ip, name, tcp};
use proptest::prelude::*;
use vipd_engine::config::director::{
    DirectorConfig, Forwarding, RealServer, Service, VirtualServer,
};
use vipd_engine::config::health::PlacedCheck;
use vipd_engine::director::{DirectorOutput, News};
use vipd_engine::health::{Limits, News as Judged, Outcome, ServerName};
use vipd_engine::ipvs::{
    DestinationSpec, Endpoint, IpvsCommand, PROBE_EVERY, READ_BACK_EVERY, ServerOrder, identity,
};
use vipd_engine::{Engine, Snapshot, Timestamp};

/// One thing that happens.
#[derive(Clone, Debug)]
enum Op {
    Configure(DirectorConfig),
    Stop,
    Server(usize, Behaviour),
    Order(usize, usize, ServerOrder),
    Address(usize, bool),
    Wait(u64),
    /// A tick, early or late.
    Tick,
    /// Time passes and nobody ticks.
    Stall(u64),
    Fates(Vec<Fate>),
    Bare(bool),
    /// Somebody else empties the table.
    Flush,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => director().prop_map(Op::Configure),
        1 => Just(Op::Stop),
        6 => (0..SERVERS.len(), behaviour()).prop_map(|(a, b)| Op::Server(a, b)),
        3 => (0..SERVICES.len(), 0..SERVERS.len(), order())
            .prop_map(|(a, b, c)| Op::Order(a, b, c)),
        2 => (0..SERVICES.len(), any::<bool>()).prop_map(|(a, b)| Op::Address(a, b)),
        6 => (0..5000_u64).prop_map(Op::Wait),
        4 => Just(Op::Tick),
        1 => (0..5000_u64).prop_map(Op::Stall),
        2 => prop::collection::vec(fate(), 1..4).prop_map(Op::Fates),
        1 => any::<bool>().prop_map(Op::Bare),
        1 => Just(Op::Flush),
    ]
}

/// What an operator ordered of a real server.
#[derive(Clone, Copy, Debug, Default)]
struct Orders {
    drained: bool,
    weight: Option<u32>,
}

/// A world, and what was told to it.
#[derive(Clone, Debug)]
struct Stage {
    world: World,
    config: DirectorConfig,
    orders: BTreeMap<(Service, &'static str), Orders>,
    stopped: bool,
}

impl Stage {
    fn new(now: Timestamp, limits: Limits) -> Self {
        let world = World::of(now, limits);
        let config = DirectorConfig::default();
        Self { world, config, orders: BTreeMap::new(), stopped: false }
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Configure(config) => {
                (self.config, self.stopped) = (config.clone(), false);
                self.world.configure(config);
            }
            Op::Stop => {
                self.stopped = true;
                self.world.stop();
            }
            Op::Server(which, behaviour) => self.world.set(SERVERS[*which], *behaviour),
            Op::Order(service, server, order) => self.order(*service, SERVERS[*server], *order),
            Op::Address(which, present) => {
                self.world.address(at(SERVICES[*which]).address, *present);
            }
            Op::Wait(time) => self.world.run(Duration::from_millis(*time)),
            Op::Tick => self.world.tick(),
            Op::Stall(time) => self.world.now = self.world.now + Duration::from_millis(*time),
            Op::Fates(fates) => self.world.machine.fates.extend(fates),
            Op::Bare(bare) => {
                self.world.machine.kernel.is_bare = *bare;
                if *bare {
                    self.world.machine.kernel.table.clear();
                }
            }
            Op::Flush => self.world.machine.kernel.table.clear(),
        }
        self.forget();
    }

    fn order(&mut self, service: usize, server: &'static str, order: ServerOrder) {
        let service = tcp(SERVICES[service]);
        if self.world.order(service, server, order).is_err() {
            return;
        }
        let orders = self.orders.entry((service, server)).or_default();
        match order {
            ServerOrder::Drain => orders.drained = true,
            ServerOrder::Undrain => orders.drained = false,
            ServerOrder::Weight(weight) => orders.weight = weight,
        }
    }

    /// Orders hold as long as their server is there.
    fn forget(&mut self) {
        let director = self.world.engine.status().director();
        let known: BTreeSet<_> = director
            .iter()
            .flat_map(vipd_engine::director::Status::virtual_servers)
            .flat_map(|one| {
                let name = one.config().name.clone();
                one.servers()
                    .map(|server| (name.clone(), server.config().address))
                    .collect::<Vec<_>>()
            })
            .collect();
        self.orders
            .retain(|(service, server), _| known.contains(&(name(*service), at(server).address)));
    }

    /// Nothing goes wrong any more until every check was made, and everything read, tried again.
    fn calm(&mut self) {
        self.world.machine.fates.clear();
        self.world.machine.kernel.is_bare = false;
        for service in SERVICES {
            self.world.address(at(service).address, true);
        }
        self.world.run(PROBE_EVERY + READ_BACK_EVERY * 2 + Duration::from_secs(40));
    }

    /// What the server's weight comes to by its behaviour; `None`: it is down.
    fn weight(&self, server: &RealServer) -> Option<u32> {
        let own = server.weight;
        let mut weight = i64::from(own);
        for check in server.checks.iter().map(PlacedCheck::check).collect::<BTreeSet<_>>() {
            match self.world.machine.behaviour(check.address) {
                Behaviour::Answers(after, _) if after > check.timeout => return None,
                Behaviour::Answers(_, Outcome::Good { weight: wish }) => {
                    weight += wish.map_or(0, |wish| i64::from(wish) - i64::from(own));
                }
                Behaviour::Answers(..) | Behaviour::Silent => return None,
            }
        }
        Some(weight.max(0) as u32)
    }

    /// What the kernel must have of a virtual server.
    fn wanted(&self, pool: &VirtualServer) -> Destinations {
        let states: Vec<_> = pool
            .real_servers
            .iter()
            .map(|server| {
                let text =
                    SERVERS.into_iter().find(|text| at(text).address == server.address).unwrap();
                let orders =
                    self.orders.get(&(pool.services[0], text)).copied().unwrap_or_default();
                let weight = self
                    .weight(server)
                    .map(|weight| if orders.drained { 0 } else { orders.weight.unwrap_or(weight) });
                (server, weight, orders.drained)
            })
            .collect();
        let live: u32 = states.iter().map(|(_, weight, _)| weight.unwrap_or(0)).sum();
        let is_sorry = live < pool.quorum && pool.sorry_server.is_some();
        let spec = |weight| DestinationSpec {
            weight,
            forwarding: Forwarding::Nat,
            upper_threshold: 0,
            lower_threshold: 0,
        };
        let mut wanted = Destinations::new();
        for (server, weight, drained) in states {
            let weight = match weight {
                Some(weight) if !is_sorry => weight,
                Some(_) if drained => 0,
                _ if server.inhibit_on_failure => 0,
                _ => continue,
            };
            wanted.insert(identity(server), spec(weight));
        }
        if is_sorry {
            wanted.insert(at(SORRY), spec(1));
        }
        wanted
    }

    fn all_wanted(&self) -> BTreeMap<Service, Destinations> {
        let pools = self.config.virtual_servers.iter().filter(|_| !self.stopped);
        pools.map(|pool| (pool.services[0], self.wanted(pool))).collect()
    }

    fn there(&self) -> BTreeMap<Service, Destinations> {
        let table = self.world.machine.kernel.table.iter();
        table.map(|(service, (_, destinations))| (*service, destinations.clone())).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn once_it_is_quiet_the_table_is_what_configuration_and_health_say(
        limits in limits(),
        ops in prop::collection::vec(op(), 1..40),
    ) {
        let mut stage = Stage::new(Timestamp::ZERO, limits);
        ops.iter().for_each(|op| stage.apply(op));
        stage.calm();
        prop_assert_eq!(stage.there(), stage.all_wanted());
        let status = stage.world.engine.status();
        let is_stopped = status.director().is_none_or(|director| director.is_stopped());
        prop_assert_eq!(is_stopped, stage.stopped || status.director().is_none());
        prop_assert!(!(stage.stopped && status.is_releasing()));
        if stage.stopped {
            prop_assert!(stage.world.machine.running.is_empty());
        }
        // And so it stays.
        stage.world.log.clear();
        stage.world.run(READ_BACK_EVERY * 2);
        prop_assert_eq!(stage.world.commands(), vec![]);
    }

    #[test]
    fn nobody_gets_connections_while_its_checks_do_not_vouch_for_it(
        limits in limits(),
        ops in prop::collection::vec(op(), 1..40),
    ) {
        let mut stage = Stage::new(Timestamp::ZERO, limits);
        ops.iter().for_each(|op| stage.apply(op));
        stage.calm();
        let mut up = BTreeMap::new();
        for (_, output) in &stage.world.log {
            judge(output, &mut up)?;
        }
    }

    #[test]
    fn one_that_was_read_back_does_the_same_from_then_on(
        limits in limits(),
        before in prop::collection::vec(op(), 1..30),
        after in prop::collection::vec(op(), 1..20),
    ) {
        let mut stage = Stage::new(Timestamp::ZERO, limits);
        before.iter().for_each(|op| stage.apply(op));
        let written = serde_json::to_string(&stage.world.engine.snapshot()).unwrap();
        let snapshot: Snapshot = serde_json::from_str(&written).unwrap();
        let mut other = stage.clone();
        other.world.engine = Engine::try_from(snapshot).unwrap();
        for op in &after {
            prop_assert_eq!(stage.world.fingerprint(), other.world.fingerprint());
            stage.apply(op);
            other.apply(op);
        }
        prop_assert_eq!(stage.world.log, other.world.log);
    }

    #[test]
    fn the_same_inputs_at_shifted_times_give_the_same_outputs_and_fingerprints(
        shift in 0..u64::MAX / 4,
        limits in limits(),
        ops in prop::collection::vec(op(), 1..30),
    ) {
        let mut one = Stage::new(Timestamp::ZERO, limits);
        let mut other = Stage::new(Timestamp::from_nanos(shift), limits);
        for op in &ops {
            one.apply(op);
            other.apply(op);
            prop_assert_eq!(one.world.fingerprint(), other.world.fingerprint(), "after {:?}", op);
            let outputs = |stage: &mut Stage| {
                stage.world.log.drain(..).map(|(_, output)| output).collect::<Vec<_>>()
            };
            prop_assert_eq!(outputs(&mut one), outputs(&mut other));
        }
    }
}

/// Notes what is told of real servers, and holds commands against it.
fn judge(
    output: &DirectorOutput,
    up: &mut BTreeMap<(Service, Endpoint), bool>,
) -> Result<(), TestCaseError> {
    let key = |server: &ServerName| {
        let service = SERVICES.map(tcp).into_iter().find(|one| name(*one) == server.virtual_server);
        let endpoint = Endpoint { address: server.address, port: server.port };
        (service.expect("one of them"), endpoint)
    };
    match output {
        DirectorOutput::News(News::Health(Judged::ServerUp { server, .. })) => {
            up.insert(key(server), true);
        }
        DirectorOutput::News(News::Health(Judged::ServerDown { server, .. })) => {
            up.insert(key(server), false);
        }
        DirectorOutput::Batch(batch) => {
            for command in &batch.commands {
                if let IpvsCommand::AddDestination { service, endpoint, spec }
                | IpvsCommand::EditDestination { service, endpoint, spec } = command
                    && spec.weight > 0
                    && endpoint.address != ip("10.9.0.1")
                {
                    prop_assert_eq!(up.get(&(*service, *endpoint)), Some(&true), "{}", command);
                }
            }
        }
        DirectorOutput::Probe(_) | DirectorOutput::Read(_) | DirectorOutput::News(_) => {}
    }
    Ok(())
}
