//! What holds of virtual routers and of a director in one engine, whatever happens to either.

mod director_world;
mod inputs;
mod ipvs_world;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use director_world::random::{SERVERS, SERVICES, behaviour, director, fate, limits, order};
use director_world::{Behaviour, Machine, server_name, tcp_check};
use inputs::{CONFIGS, Op as Vrrp, is_of_director, lease_since, map_commands};
use ipvs_world::{Fate, tcp};
use proptest::prelude::*;
use vipd_engine::config::DirectorConfig;
use vipd_engine::config::director::SyncDaemon;
use vipd_engine::config::health::{Check, CheckKind};
use vipd_engine::health::Limits;
use vipd_engine::ipvs::{PROBE_EVERY, READ_BACK_EVERY, ServerOrder, SyncRole};
use vipd_engine::{
    Config, Engine, Event, Fault, Input, InstanceName, InterfaceName, News, Output, Snapshot,
    StateKind, Timestamp, TrackerName, Why,
};

/// One thing that happens.
#[derive(Clone, Debug)]
enum Op {
    Vrrp(Vrrp),
    Configure(u8, DirectorConfig),
    Server(usize, Behaviour),
    Order(usize, usize, ServerOrder),
    Fates(Vec<Fate>),
    Bare(bool),
    /// Somebody else empties the table.
    Flush,
}

/// Also with a check of the file `a`, and a synchronisation that follows `VI_1`.
fn any_director() -> impl Strategy<Value = DirectorConfig> {
    let weight = prop_oneof![Just(0), Just(1), -3..3_i32];
    let follows = prop::option::of(prop::option::of(Just("VI_1")));
    (director(), prop::option::of((weight, any::<bool>())), follows).prop_map(
        |(mut config, file, follows)| {
            if let (Some((weight, dynamic)), Some(one)) = (file, config.virtual_servers.first_mut())
            {
                let file = TrackerName::new("a");
                let kind = CheckKind::File { file, weight, reverse: false, dynamic };
                for server in &mut Arc::make_mut(one).real_servers {
                    let check = Check { kind: kind.clone(), port: 0, ..tcp_check(SERVERS[0]) };
                    let more = server.checks.iter().cloned().chain([check.into()]);
                    server.checks = more.collect();
                }
            }
            config.sync_daemon = follows.map(|name| SyncDaemon {
                interface: InterfaceName::new("eth0"),
                instance: name.map(InstanceName::new),
                id: 1,
                maxlen: None,
                port: None,
                ttl: None,
                group: None,
            });
            config
        },
    )
}

/// The configuration of this number with these virtual servers. The last one has no instance that
/// could be followed.
fn config(which: u8, director: &DirectorConfig) -> Config {
    let instances = inputs::config(which);
    let mut director = director.clone();
    let follows = |daemon: &SyncDaemon| {
        let known = |name: &InstanceName| instances.instances().iter().any(|one| one.name == *name);
        daemon.instance.as_ref().is_none_or(known)
    };
    director.sync_daemon = director.sync_daemon.filter(follows);
    Config::clone(&instances).with_director(director).expect("it breaks no rule")
}

fn configure() -> impl Strategy<Value = Op> {
    (0..CONFIGS, any_director()).prop_map(|(which, director)| Op::Configure(which, director))
}

/// With a kernel that has IPVS all the time.
fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        20 => inputs::op().prop_filter("it goes with servers", |op| {
            !matches!(op, Vrrp::Configure(_))
        }).prop_map(Op::Vrrp),
        1 => Just(Op::Vrrp(Vrrp::Shutdown)),
        4 => configure(),
        5 => (0..SERVERS.len(), behaviour()).prop_map(|(a, b)| Op::Server(a, b)),
        2 => (0..SERVICES.len(), 0..SERVERS.len(), order())
            .prop_map(|(a, b, c)| Op::Order(a, b, c)),
        2 => prop::collection::vec(fate(), 1..4).prop_map(Op::Fates),
        1 => Just(Op::Flush),
    ]
}

fn op_of_any_kernel() -> impl Strategy<Value = Op> {
    prop_oneof![12 => op(), 1 => any::<bool>().prop_map(Op::Bare)]
}

/// A world of virtual routers, and what answers a director.
#[derive(Clone)]
struct World {
    routers: inputs::World,
    machine: Machine,
    /// How much of the log was performed.
    done: usize,
    director: DirectorConfig,
    which: u8,
    stopped: bool,
    /// There is nothing but virtual routers.
    alone: bool,
}

impl World {
    fn new(now: Timestamp, limits: Limits, alone: bool) -> Self {
        let routers = inputs::World::with(Engine::with_limits(limits), now, 0);
        let (machine, director) = (Machine::default(), DirectorConfig::default());
        Self { routers, machine, done: 0, director, which: 0, stopped: false, alone }
    }

    fn apply(&mut self, op: &Op) {
        let now = self.routers.now;
        match op {
            Op::Vrrp(Vrrp::Wait(nanos)) => self.run_until(now + Duration::from_nanos(*nanos)),
            Op::Vrrp(Vrrp::Sleep(nanos)) => {
                self.routers.now = now + Duration::from_nanos(*nanos);
                self.handle(Input::Tick);
            }
            Op::Vrrp(Vrrp::Tick) => self.handle(Input::Tick),
            Op::Vrrp(other) => {
                self.stopped |= matches!(other, Vrrp::Shutdown);
                self.routers.apply(other);
                self.perform();
            }
            Op::Configure(which, director) => {
                let config = config(*which, director);
                (self.which, self.director, self.stopped) = (*which, director.clone(), false);
                let config = if self.alone { config.without_director() } else { config };
                self.handle(Input::Configure(Arc::new(config)));
            }
            Op::Server(which, behaviour) => self.machine.set(SERVERS[*which], *behaviour),
            Op::Order(service, server, order) => {
                let server = Box::new(server_name(tcp(SERVICES[*service]), SERVERS[*server]));
                self.handle(Input::Server { server, order: *order });
            }
            Op::Fates(fates) => self.machine.fates.extend(fates),
            Op::Bare(bare) => {
                self.machine.kernel.is_bare = *bare;
                if *bare {
                    self.machine.kernel.table.clear();
                    self.machine.kernel.sync.clear();
                }
            }
            Op::Flush => self.machine.kernel.table.clear(),
        }
    }

    fn handle(&mut self, input: Input<'_>) {
        self.routers.handle(input);
        self.perform();
    }

    /// What the log has of a director since it was performed last.
    fn perform(&mut self) {
        while let Some((at, output)) = self.routers.log.get(self.done).cloned() {
            self.done += 1;
            for answer in self.machine.perform(at, &output) {
                self.routers.handle(answer);
            }
        }
    }

    fn run_until(&mut self, until: Timestamp) {
        for _ in 0..1_000_000 {
            let answer = self.machine.next_at().filter(|at| *at <= until);
            let due = self.routers.engine.next_deadline().map(|due| due.at);
            match (answer, due.filter(|at| *at <= until)) {
                // What waits is heard before a late timer fires, as in a driver.
                (Some(at), due) if due.is_none_or(|due| at <= due.max(self.routers.now)) => {
                    self.routers.now = self.routers.now.max(at);
                    let answer = self.machine.answers();
                    answer.into_iter().for_each(|answer| self.handle(answer));
                }
                (_, Some(due)) => {
                    self.routers.now = self.routers.now.max(due);
                    self.handle(Input::Tick);
                }
                (_, None) => {
                    self.routers.now = until;
                    return;
                }
            }
        }
        panic!("it has no end: {:?}", self.routers.engine.next_deadline());
    }

    /// Nothing goes wrong any more, and there is no other router.
    fn calm(&mut self) {
        self.machine.fates.clear();
        self.routers.apply(&Vrrp::Answers(Some(Ok(()))));
        let long = PROBE_EVERY + READ_BACK_EVERY * 2 + Duration::from_secs(40);
        self.run_until(self.routers.now + long);
    }

    fn taken(&mut self) -> Vec<(Timestamp, Output)> {
        self.done = 0;
        self.routers.log.split_off(0)
    }

    /// The same without an order among virtual routers: whatever comes first behind a stall ends a
    /// lease, and where there is a director that may be an answer to it.
    fn by_instance(&self, mut outputs: Vec<(Timestamp, Output)>) -> Vec<(Timestamp, Output)> {
        let status = self.routers.engine.status();
        let place = |output: &Output| match output {
            Output::Send { id, .. } | Output::Kernel { id, .. } => Some(id.instance),
            Output::Notify(Event { instance, .. }) => {
                let named = status.instances().find(|one| one.config().name == *instance);
                named.map(|one| one.id())
            }
            Output::Probe(_) | Output::Ipvs(_) => None,
        };
        outputs.sort_by_key(|(_, output)| place(output));
        outputs
    }

    fn restored(&self) -> Self {
        let written = serde_json::to_string(&self.routers.engine.snapshot()).expect("JSON");
        let read: Snapshot = serde_json::from_str(&written).expect("what was written");
        let mut restored = self.clone();
        restored.routers.engine = read.try_into().expect("there was such an engine");
        restored
    }
}

fn ends_a_lease(outputs: &[(Timestamp, Output)]) -> bool {
    outputs.iter().any(|(_, output)| match output {
        Output::Notify(event) => matches!(event.news, News::State { why: Why::LeaseOver, .. }),
        _ => false,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn virtual_routers_do_the_same_without_a_director_while_the_kernel_has_ipvs(
        limits in limits(),
        ops in prop::collection::vec(op(), 1..60),
    ) {
        let mut with = World::new(Timestamp::ZERO, limits, false);
        let mut alone = World::new(Timestamp::ZERO, limits, true);
        for op in &ops {
            with.apply(op);
            alone.apply(op);
            let own = with.taken().into_iter().filter(|(_, output)| !is_of_director(output));
            let (own, other): (Vec<_>, _) = (own.collect(), alone.taken());
            if ends_a_lease(&own) {
                prop_assert_eq!(with.by_instance(own), alone.by_instance(other), "after {:?}", op);
                // What is answered next counts by the order in which it waits.
                with.routers.waiting.sort();
                alone.routers.waiting.sort();
            } else {
                prop_assert_eq!(own, other, "after {:?}", op);
            }
        }
    }

    #[test]
    fn nobody_holds_an_address_of_a_virtual_server_where_there_is_no_ipvs(
        limits in limits(),
        ops in prop::collection::vec(op_of_any_kernel(), 1..40),
        bare in any::<bool>(),
    ) {
        let mut world = World::new(Timestamp::ZERO, limits, false);
        ops.iter().for_each(|op| world.apply(op));
        world.apply(&Op::Bare(bare));
        world.calm();
        let services = world.director.virtual_servers.iter().flat_map(|one| &one.services);
        let directed: Vec<_> = services.copied().collect();
        for instance in world.routers.engine.status().instances().filter(|_| !world.stopped) {
            let config = instance.config();
            let addresses = config.addresses.iter().chain(&config.excluded);
            let needs = addresses.map(|one| tcp(&SocketAddr::new(one.address, 80).to_string()));
            let is_needed = needs.into_iter().any(|service| directed.contains(&service));
            let lacks = matches!(instance.fault(), Some(Fault::NoIpvs(_)));
            if is_needed && bare {
                prop_assert!(instance.fault().is_some(), "{}", config.name);
                // Whoever waits for a tracker is not started.
                let is_out = [StateKind::Fault, StateKind::Initialize].contains(&instance.state());
                prop_assert!(is_out, "{} is {}", config.name, instance.state());
                // An owner's address is a real one.
                let has_none = instance.addresses().next().is_none();
                prop_assert!(has_none || config.priority.is_owner(), "{}", config.name);
            } else {
                prop_assert!(!lacks, "{}", config.name);
            }
        }
    }

    #[test]
    fn once_it_is_quiet_the_synchronisation_follows_its_instance(
        limits in limits(),
        ops in prop::collection::vec(op(), 1..40),
    ) {
        let mut world = World::new(Timestamp::ZERO, limits, false);
        ops.iter().for_each(|op| world.apply(op));
        world.calm();
        let config = config(world.which, &world.director);
        let daemon = config.director().sync_daemon.as_ref().filter(|_| !world.stopped);
        let status = world.routers.engine.status();
        let role = |name: &InstanceName| {
            let found = status.instances().find(|one| one.config().name == *name);
            let is_master = found.is_some_and(|one| one.state() == StateKind::Master);
            if is_master { SyncRole::Master } else { SyncRole::Backup }
        };
        let wanted = daemon.map_or(vec![], |daemon| match &daemon.instance {
            Some(name) => vec![role(name)],
            None => SyncRole::ALL.to_vec(),
        });
        let runs: Vec<_> = world.machine.kernel.sync.keys().copied().collect();
        prop_assert_eq!(runs, wanted);
        prop_assert!(!(world.stopped && status.is_releasing()));
    }

    #[test]
    fn one_that_was_read_back_does_the_same_from_then_on(
        limits in limits(),
        before in prop::collection::vec(op_of_any_kernel(), 1..30),
        after in prop::collection::vec(op_of_any_kernel(), 1..30),
    ) {
        let mut world = World::new(Timestamp::from_nanos(1), limits, false);
        before.iter().for_each(|op| world.apply(op));
        let mut other = world.restored();
        for op in &after {
            prop_assert_eq!(world.routers.fingerprint(), other.routers.fingerprint());
            world.apply(op);
            other.apply(op);
            prop_assert_eq!(world.taken(), other.taken(), "after {:?}", op);
        }
    }

    #[test]
    fn the_same_inputs_at_shifted_times_give_the_same_outputs_and_fingerprints(
        shift in 0..u64::MAX / 4,
        limits in limits(),
        ops in prop::collection::vec(op_of_any_kernel(), 1..30),
    ) {
        let mut one = World::new(Timestamp::ZERO, limits, false);
        let mut other = World::new(Timestamp::from_nanos(shift), limits, false);
        let outputs = |world: &mut World, origin| -> Vec<_> {
            let since = |command| lease_since(command, origin);
            world.taken().into_iter().map(|(_, output)| map_commands(output, since)).collect()
        };
        for op in &ops {
            one.apply(op);
            other.apply(op);
            prop_assert_eq!(one.routers.fingerprint(), other.routers.fingerprint());
            let (one, other) = (&mut one, &mut other);
            let (one, other) =
                (outputs(one, Timestamp::ZERO), outputs(other, Timestamp::from_nanos(shift)));
            prop_assert_eq!(one, other, "after {:?}", op);
        }
    }
}
