//! What virtual routers and a director have to do with each other: one engine, one machine, named
//! cases. What holds whatever happens is in `together.rs`.

mod director_world;
mod driver;
mod ipvs_world;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use director_world::{LOOP, Machine, checked, server_name, tcp_check, with};
use driver::{Driver, ETH0, ip, priority, v2};
use ipvs_world::{name, tcp, virtual_server};
use vipd_engine::config::director::{DirectorConfig, RealServer, SyncDaemon, VirtualServer};
use vipd_engine::config::health::{Check, CheckKind};
use vipd_engine::config::{GroupConfig, VirtualAddress};
use vipd_engine::ipvs::{OrderError, PROBE_EVERY, READ_BACK_EVERY, ServerOrder, SyncRole};
use vipd_engine::{
    Config, Fault, Frame, GroupName, Ifindex, Input, InstanceConfig, InstanceId, InstanceName,
    InterfaceName, LinkState, Output, Outputs, Priority, StateKind, TrackerName, TrackerValue,
    Vrid,
};

const VIP: &str = "10.0.0.100:80";
const ONE: &str = "10.1.0.1:80";
const TWO: &str = "10.1.0.2:80";
const SECOND: Duration = Duration::from_secs(1);

fn pool(real_servers: Vec<RealServer>) -> VirtualServer {
    VirtualServer { real_servers, ..virtual_server(tcp(VIP), &[]) }
}

fn two() -> VirtualServer {
    pool(vec![checked(ONE), checked(TWO)])
}

fn owner() -> InstanceConfig {
    InstanceConfig { priority: Priority::OWNER, ..v2() }
}

/// Another virtual router, with an address that nobody else has.
fn other() -> InstanceConfig {
    let mut config = InstanceConfig { name: InstanceName::new("VI_2"), ..v2() };
    config.vrid = Vrid::new(52).unwrap();
    config.addresses = vec![VirtualAddress::new(ip("10.0.0.101"))];
    config
}

fn config(
    instances: Vec<InstanceConfig>,
    groups: Vec<GroupConfig>,
    director: DirectorConfig,
) -> Config {
    let config = Config::new(instances, groups, Duration::ZERO).expect("a valid configuration");
    config.with_director(director).expect("valid virtual servers")
}

fn pools(pools: &[VirtualServer]) -> DirectorConfig {
    ipvs_world::config(pools)
}

/// A machine with virtual routers and a director.
struct World {
    driver: Driver,
    machine: Machine,
    done: usize,
}

impl World {
    fn new() -> Self {
        Self { driver: Driver::unconfigured(), machine: Machine::default(), done: 0 }
    }

    fn with(instances: Vec<InstanceConfig>, director: DirectorConfig) -> Self {
        let mut world = Self::new();
        world.configure(&config(instances, vec![], director));
        world
    }

    fn configure(&mut self, config: &Config) {
        self.handle(Input::Configure(Arc::new(config.clone())));
    }

    /// An address that the kernel has or lost because it was told so is news to the engine too.
    fn handle(&mut self, input: Input<'_>) {
        self.driver.handle(input);
        self.perform();
    }

    fn perform(&mut self) {
        while let Some((at, output)) = self.driver.log.get(self.done).cloned() {
            self.done += 1;
            if let Output::Kernel { command, .. } = &output {
                use vipd_engine::KernelCommand::{AddAddress, RemoveAddress};
                match command {
                    AddAddress(spec) => {
                        self.driver.address(&spec.address.address.to_string(), true);
                    }
                    RemoveAddress(spec) => {
                        self.driver.address(&spec.address.address.to_string(), false);
                    }
                    _ => {}
                }
            }
            for answer in self.machine.perform(at, &output) {
                self.driver.handle(answer);
            }
        }
    }

    fn run(&mut self, time: Duration) {
        let until = self.driver.now + time;
        loop {
            let answer = self.machine.next_at().filter(|at| *at <= until);
            let due = self.driver.engine.next_deadline().map(|due| due.at);
            match (answer, due.filter(|at| *at <= until)) {
                (Some(at), due) if due.is_none_or(|due| at <= due) => {
                    self.driver.now = self.driver.now.max(at);
                    let answer = self.machine.answers();
                    answer.into_iter().for_each(|answer| self.handle(answer));
                }
                (_, Some(due)) => {
                    self.driver.now = self.driver.now.max(due);
                    self.handle(Input::Tick);
                }
                (_, None) => break,
            }
        }
        self.driver.now = until;
    }

    fn states(&self) -> BTreeMap<String, StateKind> {
        let status = self.driver.engine.status();
        status.instances().map(|one| (one.config().name.to_string(), one.state())).collect()
    }

    fn state(&self, name: &str) -> StateKind {
        self.states()[name]
    }

    fn told(&mut self) -> Vec<String> {
        self.done = 0;
        let log = self.driver.log.drain(..);
        let notes = log.filter_map(|(_, output)| match output {
            Output::Notify(event) => Some(event.to_string()),
            Output::Send { .. } | Output::Kernel { .. } | Output::Probe(_) | Output::Ipvs(_) => {
                None
            }
        });
        notes.collect()
    }

    fn weights(&self) -> Vec<(String, u32)> {
        let (_, destinations) = &self.machine.kernel.table[&tcp(VIP)];
        destinations.iter().map(|(at, spec)| (at.to_string(), spec.weight)).collect()
    }
}

#[test]
fn whoever_cannot_direct_holds_no_address_of_a_virtual_server() {
    let mut world = World::new();
    world.machine.kernel.is_bare = true;
    world.configure(&config(vec![owner(), other()], vec![], pools(&[two()])));
    world.run(SECOND * 10);
    assert_eq!(world.state("VI_1"), StateKind::Fault);
    assert_eq!(world.state("VI_2"), StateKind::Master, "it directs nothing");
    let status = world.driver.engine.status();
    let fault = status.instances().next().unwrap().fault().cloned();
    assert_eq!(fault, Some(Fault::NoIpvs(ip("10.0.0.100"))));
    let told = world.told();
    let why = "10.0.0.100 is a virtual server's and the kernel has no IPVS";
    assert!(told.contains(&format!("VI_1: master -> fault: {why}")), "{told:#?}");
    assert!(
        told.contains(&"director: the kernel has no IPVS, nothing is directed".to_string()),
        "{told:#?}"
    );
    // And it is there again with the module.
    world.machine.kernel.is_bare = false;
    world.run(PROBE_EVERY);
    assert_eq!(world.state("VI_1"), StateKind::Master);
    assert_eq!(world.weights().len(), 2);
}

#[test]
fn an_excluded_address_counts_and_one_of_a_firewall_mark_is_nobodys() {
    use vipd_engine::config::director::{Service, VirtualServerName};
    let marked = VirtualServer {
        name: VirtualServerName::Fwmark { mark: 1, family: vipd_engine::Family::Ipv4 },
        ..virtual_server(
            Service::Fwmark { mark: 1, family: vipd_engine::Family::Ipv4 },
            &["10.1.0.1:0"],
        )
    };
    for (servers, state) in [(vec![marked], StateKind::Master), (vec![two()], StateKind::Fault)] {
        let mut config_of_vi_2 = other();
        config_of_vi_2.excluded = vec![VirtualAddress::new(ip("10.0.0.100"))];
        let mut world = World::new();
        world.machine.kernel.is_bare = true;
        world.configure(&config(vec![config_of_vi_2], vec![], pools(&servers)));
        world.run(SECOND * 10);
        assert_eq!(world.state("VI_2"), state);
    }
}

#[test]
fn the_fault_is_its_groups_and_goes_with_the_virtual_server() {
    let group = GroupConfig {
        name: GroupName::new("VG"),
        members: vec![InstanceName::new("VI_1"), InstanceName::new("VI_2")],
        tracks: vec![],
        tracking_weight: false,
    };
    let with = |servers: &[VirtualServer]| {
        config(vec![v2(), other()], vec![group.clone()], pools(servers))
    };
    let mut world = World::new();
    world.machine.kernel.is_bare = true;
    world.configure(&with(&[two()]));
    world.run(SECOND * 10);
    assert!(world.states().values().all(|state| *state == StateKind::Fault));
    world.configure(&with(&[]));
    world.run(SECOND * 10);
    assert!(world.states().values().all(|state| *state == StateKind::Master));
    world.configure(&with(&[two()]));
    world.run(SECOND * 10);
    assert!(world.states().values().all(|state| *state == StateKind::Fault), "it is known by now");
}

#[test]
fn without_a_director_nothing_is_checked_and_nothing_depends_on_ipvs() {
    let whole = config(vec![owner()], vec![], pools(&[two()]));
    let mut world = World::new();
    world.machine.kernel.is_bare = true;
    world.configure(&whole.without_director());
    world.run(LOOP * 3);
    assert_eq!(world.state("VI_1"), StateKind::Master);
    let is_of_director = |output: &Output| matches!(output, Output::Probe(_) | Output::Ipvs(_));
    assert!(!world.driver.log.iter().any(|(_, output)| is_of_director(output)));
    let engine = &world.driver.engine;
    assert!(engine.status().director().is_none());
    let server = server_name(tcp(VIP), ONE);
    assert_eq!(engine.may_order(&server, ServerOrder::Drain), Err(OrderError::NoVirtualServer));
    assert_eq!(engine.trackers().count(), 0);
}

#[test]
fn checks_go_on_where_the_virtual_router_is_master_and_rest_elsewhere() {
    let suspended = VirtualServer { ha_suspend: true, ..two() };
    let mut world = World::with(vec![v2()], pools(&[suspended]));
    world.run(SECOND * 2);
    assert_eq!(world.machine.running.len(), 0);
    world.run(SECOND * 3);
    assert_eq!(world.state("VI_1"), StateKind::Master);
    world.machine.set(ONE, director_world::REFUSES);
    world.run(LOOP);
    assert_eq!(world.weights(), [(TWO.to_string(), 1)]);
    // Its interface takes the address along, and nobody says so.
    world.told();
    world.driver.link(LinkState::Absent);
    world.perform();
    let told = world.told();
    assert!(told.contains(&format!("director: {}: checks rest", name(tcp(VIP)))), "{told:#?}");
}

#[test]
fn an_address_is_here_as_long_as_one_interface_has_it() {
    let suspended = VirtualServer { ha_suspend: true, ..two() };
    let mut world = World::with(vec![], pools(&[suspended]));
    world.driver.link_of(Ifindex(3), "eth1", LinkState::Up);
    let on = |interface, present| {
        let address = ip("10.0.0.100");
        Input::LocalAddress(vipd_engine::LocalAddress { interface, address, present })
    };
    world.handle(on(ETH0, true));
    world.handle(on(Ifindex(3), true));
    world.run(LOOP);
    world.told();
    world.handle(on(ETH0, false));
    assert_eq!(world.told(), [""; 0]);
    world.handle(on(Ifindex(3), false));
    assert_eq!(world.told(), [format!("director: {}: checks rest", name(tcp(VIP)))]);
}

#[test]
fn what_was_told_before_the_first_virtual_server_counts() {
    let kind = CheckKind::File {
        file: TrackerName::new("load"),
        weight: 0,
        reverse: false,
        dynamic: false,
    };
    let by_file = with(ONE, Check { kind, port: 0, ..tcp_check(ONE) });
    let suspended = VirtualServer { ha_suspend: true, ..pool(vec![by_file, checked(TWO)]) };
    let mut world = World::with(vec![owner()], DirectorConfig::default());
    world.driver.tracker("load", TrackerValue::Number(1));
    world.run(SECOND);
    assert!(world.driver.engine.status().director().is_none());
    world.configure(&config(vec![owner()], vec![], pools(&[suspended])));
    let trackers: Vec<_> = world.driver.engine.trackers().cloned().collect();
    assert_eq!(trackers, [TrackerName::new("load")]);
    world.machine.set(TWO, director_world::REFUSES);
    world.run(LOOP * 2);
    assert_eq!(world.weights(), [], "the file says no, and the checks of a master are made");
    world.handle(Input::Tracker { id: TrackerName::new("load"), value: TrackerValue::Number(0) });
    assert_eq!(world.weights(), [(ONE.to_string(), 1)]);
}

#[test]
fn the_synchronisation_sends_where_its_instance_is_master() {
    let following = |name: &str| DirectorConfig {
        sync_daemon: Some(SyncDaemon {
            interface: InterfaceName::new("eth0"),
            instance: Some(InstanceName::new(name)),
            id: 1,
            maxlen: None,
            port: None,
            ttl: None,
            group: None,
        }),
        ..pools(&[two()])
    };
    let runs = |world: &World| world.machine.kernel.sync.keys().copied().collect::<Vec<_>>();
    let lower = InstanceConfig { priority: priority(50), ..v2() };
    let mut world = World::with(vec![lower.clone(), other()], following("VI_1"));
    world.run(SECOND);
    assert_eq!(runs(&world), [SyncRole::Backup]);
    world.run(SECOND * 3);
    assert_eq!((world.state("VI_1"), runs(&world)), (StateKind::Master, vec![SyncRole::Master]));
    world.driver.hear("10.0.0.1", 200);
    world.perform();
    world.run(Duration::ZERO);
    assert_eq!((world.state("VI_1"), runs(&world)), (StateKind::Backup, vec![SyncRole::Backup]));
    // VI_2 is still master.
    world.configure(&config(vec![lower, other()], vec![], following("VI_2")));
    world.run(Duration::ZERO);
    assert_eq!(runs(&world), [SyncRole::Master]);
    world.handle(Input::Shutdown);
    world.run(Duration::ZERO);
    assert_eq!(runs(&world), []);
}

#[test]
fn a_stop_resigns_at_once_and_ends_when_the_table_is_empty_too() {
    let mut world = World::with(vec![owner()], pools(&[two()]));
    world.run(SECOND);
    assert_eq!(world.weights().len(), 2);
    let mut out = Outputs::new();
    world.driver.engine.handle(world.driver.now, Input::Shutdown, &mut out);
    let out: Vec<_> = out.drain().collect();
    let resigns = |output: &Output| match output {
        Output::Send { frame: Frame::Advert(frame), .. } => frame.advert.priority == 0,
        _ => false,
    };
    let about_ipvs = |output: &Output| matches!(output, Output::Ipvs(_));
    assert!(resigns(&out[0]), "{:?}", out[0]);
    assert!(!out.iter().any(about_ipvs), "the table has time");
    for output in &out {
        let (Output::Send { id, .. } | Output::Kernel { id, .. }) = output else { continue };
        world.handle(Input::Done { id: *id, result: Ok(()) });
    }
    let holds = |world: &World| world.driver.engine.status().instances().next().is_some();
    assert!(!holds(&world) && world.driver.engine.status().is_releasing());
    world.run(Duration::ZERO);
    assert!(world.machine.kernel.table.is_empty());
    assert!(!world.driver.engine.status().is_releasing());
    world.told();
    world.run(READ_BACK_EVERY * 2);
    assert!(world.driver.log.is_empty());
}

#[test]
fn a_configuration_without_virtual_servers_empties_the_table_and_nothing_is_asked_any_more() {
    let mut world = World::with(vec![owner()], pools(&[two()]));
    world.run(SECOND);
    world.told();
    world.configure(&config(vec![owner()], vec![], DirectorConfig::default()));
    world.run(SECOND);
    assert!(world.machine.kernel.table.is_empty());
    assert_eq!(world.state("VI_1"), StateKind::Master);
    world.told();
    world.run(READ_BACK_EVERY * 2);
    assert!(world.driver.log.iter().all(|(_, output)| matches!(output, Output::Send { .. })));
}

#[test]
fn an_operator_hears_why_not_and_what_was_ordered_is_told() {
    let mut world = World::with(vec![owner()], pools(&[two()]));
    world.run(SECOND);
    world.told();
    let engine = &world.driver.engine;
    let server = server_name(tcp(VIP), ONE);
    let stranger = server_name(tcp(VIP), "10.1.0.9:80");
    let heavy = ServerOrder::Weight(Some(u32::MAX));
    assert_eq!(engine.may_order(&stranger, ServerOrder::Drain), Err(OrderError::NoRealServer));
    assert_eq!(engine.may_order(&server, heavy), Err(OrderError::TooHeavy));
    assert_eq!(engine.may_order(&server, ServerOrder::Drain), Ok(()));
    world.handle(Input::Server { server: Box::new(stranger), order: ServerOrder::Drain });
    assert_eq!(world.told(), [""; 0]);
    world.handle(Input::Server { server: Box::new(server), order: ServerOrder::Drain });
    let told = format!("director: {ONE} of {} is drained by an operator", name(tcp(VIP)));
    assert_eq!(world.told(), [told]);
    world.run(Duration::ZERO);
    assert_eq!(world.weights(), [(ONE.to_string(), 0), (TWO.to_string(), 1)]);
}

#[test]
fn whoever_is_due_first_is_named() {
    let mut world = World::with(vec![owner()], pools(&[two()]));
    let due = world.driver.engine.next_deadline().unwrap();
    assert_eq!((due.at, due.instance), (world.driver.now, InstanceId::DIRECTOR), "it takes it");
    world.run(Duration::ZERO);
    let due = world.driver.engine.next_deadline().unwrap();
    assert_eq!((due.at, due.instance), (world.driver.now + SECOND, InstanceId(0)));
}
