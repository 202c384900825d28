//! What the director puts into the kernel, in which order, and what it tells.

mod ipvs_world;

use std::time::Duration;

use ipvs_world::{World, at, config, ip, name, real, sorry, tcp, virtual_server};
use vipd_engine::Family;
use vipd_engine::config::director::{
    AtStop, DirectorConfig, Forwarding, MAX_WEIGHT, Persistence, Protocol, RealServer, Scheduler,
    Scheduling, Service, SorryServer, Timeouts, Tunnel, TunnelChecksum, VirtualServer,
    VirtualServerName,
};
use vipd_engine::config::health::{Bind, Check, CheckKind};
use vipd_engine::ipvs::{Health, MOST_IN_BATCH, OrderError, ServerOrder, Why};

const VIP: &str = "10.0.0.1:80";
const ONE: &str = "10.1.0.1:80";
const TWO: &str = "10.1.0.2:80";
const SORRY: &str = "10.9.0.1:80";
const UP: Health = Health::Up { weight: 1 };

fn vip() -> VirtualServer {
    virtual_server(tcp(VIP), &[ONE, TWO])
}

fn with_sorry() -> VirtualServer {
    VirtualServer { sorry_server: Some(sorry(SORRY)), ..vip() }
}

fn health(world: &mut World, server: &str, health: Health) {
    world.health(&name(tcp(VIP)), at(server), health);
}

fn order(world: &mut World, server: &str, order: ServerOrder) {
    world.order(&name(tcp(VIP)), at(server), order);
}

fn weights(world: &World) -> Vec<(String, u32)> {
    world.weights(tcp(VIP))
}

fn pairs(expected: &[(&str, u32)]) -> Vec<(String, u32)> {
    expected.iter().map(|(server, weight)| ((*server).to_string(), *weight)).collect()
}

/// A check, which succeeds once before it counts as good.
fn alpha() -> Check {
    let second = Duration::from_secs(1);
    Check {
        kind: CheckKind::Tcp,
        address: ip("10.1.0.1"),
        port: 80,
        bind: Bind::default(),
        timeout: second,
        delay_loop: second,
        retry: 1,
        delay_before_retry: second,
        warmup: second,
        alpha: true,
        tells_all_failures: false,
    }
}

#[test]
fn a_virtual_server_and_its_real_servers_come_in_one_batch_once_it_was_read() {
    let mut world = World::new();
    world.configure(&config(&[vip()]));
    assert_eq!(
        world.lines(),
        [
            "TCP 10.0.0.1:80: quorum gained, 2 of 1",
            "ipvs: add service TCP 10.0.0.1:80 wlc",
            "ipvs: add destination 10.1.0.1:80 of TCP 10.0.0.1:80 weight 1 NAT",
            "ipvs: add destination 10.1.0.2:80 of TCP 10.0.0.1:80 weight 1 NAT",
            "TCP 10.0.0.1:80 is in the kernel",
            "TCP 10.0.0.1:80: real server 10.1.0.1:80 is in with weight 1",
            "TCP 10.0.0.1:80: real server 10.1.0.2:80 is in with weight 1",
        ]
    );
}

#[test]
fn a_server_that_goes_down_leaves_and_comes_back_and_that_is_told_when_the_kernel_did_it() {
    let mut world = World::with(&config(&[vip()]));
    world.held = true;
    health(&mut world, ONE, Health::Down);
    assert_eq!(
        world.lines(),
        ["ipvs: remove destination 10.1.0.1:80 of TCP 10.0.0.1:80"],
        "nothing is told yet"
    );
    world.release();
    assert_eq!(world.lines(), ["TCP 10.0.0.1:80: real server 10.1.0.1:80 is out"]);
    health(&mut world, ONE, Health::Up { weight: 7 });
    assert_eq!(weights(&world), pairs(&[(ONE, 7), (TWO, 1)]));
    world.log.clear();
    health(&mut world, ONE, Health::Up { weight: 9 });
    assert_eq!(
        world.lines(),
        [
            "ipvs: edit destination 10.1.0.1:80 of TCP 10.0.0.1:80 weight 9 NAT",
            "TCP 10.0.0.1:80: real server 10.1.0.1:80 has weight 9 after 7",
        ]
    );
}

#[test]
fn what_is_over_before_the_kernel_answered_takes_no_command() {
    let mut world = World::with(&config(&[vip()]));
    world.held = true;
    health(&mut world, ONE, Health::Down);
    world.log.clear();
    // While the first command is on its way the other one goes down and comes back.
    health(&mut world, TWO, Health::Down);
    health(&mut world, TWO, UP);
    world.release();
    assert_eq!(world.commands(), []);
    assert_eq!(weights(&world), pairs(&[(TWO, 1)]));
}

#[test]
fn with_inhibit_on_failure_a_server_stays_with_weight_0() {
    let mut pool = vip();
    pool.real_servers[0].inhibit_on_failure = true;
    let mut world = World::with(&config(&[pool]));
    health(&mut world, ONE, Health::Down);
    assert_eq!(weights(&world), pairs(&[(ONE, 0), (TWO, 1)]));
    health(&mut world, ONE, UP);
    assert_eq!(weights(&world), pairs(&[(ONE, 1), (TWO, 1)]));
}

#[test]
fn with_alpha_a_server_comes_once_a_check_succeeded_and_one_without_checks_at_once() {
    let mut pool = vip();
    pool.real_servers[0].checks = [alpha().into()].into();
    let mut world = World::with(&config(&[pool]));
    assert_eq!(weights(&world), pairs(&[(TWO, 1)]));
    health(&mut world, ONE, UP);
    assert_eq!(weights(&world), pairs(&[(ONE, 1), (TWO, 1)]));
}

#[test]
fn an_alpha_server_that_is_inhibited_comes_with_weight_0() {
    let mut pool = vip();
    pool.real_servers[0].checks = [alpha().into()].into();
    pool.real_servers[0].inhibit_on_failure = true;
    let world = World::with(&config(&[pool]));
    assert_eq!(weights(&world), pairs(&[(ONE, 0), (TWO, 1)]));
}

#[test]
fn the_quorum_is_lost_and_gained_at_its_edges() {
    let pool = VirtualServer { quorum: 4, hysteresis: 1, ..with_sorry() };
    let mut world = World::with(&config(&[pool]));
    // 2 of 4 at the start: below 3.
    assert_eq!(weights(&world), pairs(&[(SORRY, 1)]));
    let mut live = |first, second| {
        health(&mut world, ONE, Health::Up { weight: first });
        health(&mut world, TWO, Health::Up { weight: second });
        world.ipvs.virtual_servers().next().expect("a virtual server").has_quorum()
    };
    assert!(!live(2, 2), "4 are not quorum and hysteresis");
    assert!(live(2, 3), "5 are");
    assert!(live(1, 2), "3 are quorum without hysteresis");
    assert!(!live(0, 2), "2 are not");
}

#[test]
fn a_quorum_that_is_lost_without_a_sorry_server_leaves_the_living_in() {
    let mut world = World::with(&config(&[VirtualServer { quorum: 2, ..vip() }]));
    health(&mut world, ONE, Health::Down);
    assert_eq!(weights(&world), pairs(&[(TWO, 1)]));
    assert!(world.lines().contains(&"TCP 10.0.0.1:80: quorum lost, 1 of 2".to_string()));
}

#[test]
fn at_the_exchange_real_servers_leave_first_and_all_of_it_is_one_batch() {
    let mut world = World::with(&config(&[VirtualServer { quorum: 2, ..with_sorry() }]));
    health(&mut world, ONE, Health::Down);
    assert_eq!(
        world.lines(),
        [
            "TCP 10.0.0.1:80: quorum lost, 1 of 2",
            "ipvs: remove destination 10.1.0.1:80 of TCP 10.0.0.1:80",
            "ipvs: remove destination 10.1.0.2:80 of TCP 10.0.0.1:80",
            "ipvs: add destination 10.9.0.1:80 of TCP 10.0.0.1:80 weight 1 NAT",
            "TCP 10.0.0.1:80: real server 10.1.0.1:80 is out",
            "TCP 10.0.0.1:80: real server 10.1.0.2:80 is out",
            "TCP 10.0.0.1:80: sorry server 10.9.0.1:80 is in with weight 1",
        ]
    );
    health(&mut world, ONE, UP);
    // And when they are back nobody is without a server.
    assert_eq!(
        world.lines()[..4],
        [
            "TCP 10.0.0.1:80: quorum gained, 2 of 2",
            "ipvs: add destination 10.1.0.1:80 of TCP 10.0.0.1:80 weight 1 NAT",
            "ipvs: add destination 10.1.0.2:80 of TCP 10.0.0.1:80 weight 1 NAT",
            "ipvs: remove destination 10.9.0.1:80 of TCP 10.0.0.1:80",
        ]
    );
}

#[test]
fn an_exchange_of_many_real_servers_is_not_split_either() {
    let servers: Vec<_> = (0..400).map(|n| format!("10.1.{}.{}:80", n / 200, n % 200)).collect();
    let servers: Vec<&str> = servers.iter().map(String::as_str).collect();
    let pool = virtual_server(tcp(VIP), &servers);
    let pool = VirtualServer { quorum: 400, sorry_server: Some(sorry(SORRY)), ..pool };
    let mut world = World::with(&config(&[pool]));
    assert_eq!(weights(&world).len(), 400);
    world.held = true;
    health(&mut world, servers[7], Health::Down);
    let commands = world.commands();
    assert_eq!(commands.len(), 401);
    assert!(commands.len() > MOST_IN_BATCH);
    assert!(commands[400].to_string().starts_with("add destination 10.9.0.1:80"));
}

#[test]
fn inhibited_servers_and_an_inhibited_sorry_server_stay_with_weight_0() {
    let mut pool = with_sorry();
    pool.sorry_server = Some(SorryServer { inhibit: true, ..sorry(SORRY) });
    pool.real_servers[0].inhibit_on_failure = true;
    pool.quorum = 2;
    let mut world = World::with(&config(&[pool]));
    assert_eq!(weights(&world), pairs(&[(ONE, 1), (TWO, 1), (SORRY, 0)]));
    health(&mut world, TWO, Health::Down);
    assert_eq!(weights(&world), pairs(&[(ONE, 0), (SORRY, 1)]));
    health(&mut world, TWO, UP);
    assert_eq!(weights(&world), pairs(&[(ONE, 1), (TWO, 1), (SORRY, 0)]));
}

#[test]
fn a_real_server_may_be_the_sorry_server_too() {
    let pool = VirtualServer { sorry_server: Some(sorry(ONE)), quorum: 4, ..vip() };
    let mut world = World::with(&config(&[pool]));
    health(&mut world, ONE, Health::Up { weight: 3 });
    assert_eq!(weights(&world), pairs(&[(ONE, 3), (TWO, 1)]));
    health(&mut world, TWO, Health::Down);
    assert_eq!(weights(&world), pairs(&[(ONE, 1)]));
}

#[test]
fn a_drained_server_keeps_its_connections_until_it_is_undrained_whatever_its_checks_say() {
    let mut world = World::with(&config(&[vip()]));
    order(&mut world, ONE, ServerOrder::Drain);
    assert_eq!(weights(&world), pairs(&[(ONE, 0), (TWO, 1)]));
    health(&mut world, ONE, Health::Up { weight: 5 });
    assert_eq!(weights(&world), pairs(&[(ONE, 0), (TWO, 1)]));
    health(&mut world, ONE, Health::Down);
    assert_eq!(weights(&world), pairs(&[(TWO, 1)]), "a dead one has no connections to keep");
    health(&mut world, ONE, UP);
    assert_eq!(weights(&world), pairs(&[(ONE, 0), (TWO, 1)]));
    order(&mut world, ONE, ServerOrder::Undrain);
    assert_eq!(weights(&world), pairs(&[(ONE, 1), (TWO, 1)]));
}

#[test]
fn orders_hold_over_a_reload_and_end_with_the_server() {
    let mut world = World::with(&config(&[vip()]));
    order(&mut world, ONE, ServerOrder::Drain);
    order(&mut world, TWO, ServerOrder::Weight(Some(9)));
    let mut changed = vip();
    changed.real_servers[1].weight = 3;
    changed.scheduling.scheduler = Scheduler::Rr;
    world.configure(&config(&[changed]));
    assert_eq!(weights(&world), pairs(&[(ONE, 0), (TWO, 9)]));
    order(&mut world, TWO, ServerOrder::Weight(None));
    assert_eq!(weights(&world), pairs(&[(ONE, 0), (TWO, 3)]), "the weight of the file");
    world.configure(&config(&[virtual_server(tcp(VIP), &[TWO])]));
    world.configure(&config(&[vip()]));
    assert_eq!(weights(&world), pairs(&[(ONE, 1), (TWO, 1)]));
}

#[test]
fn a_drained_server_does_not_count_for_the_quorum_and_stays_at_the_exchange() {
    let mut world = World::with(&config(&[with_sorry()]));
    order(&mut world, ONE, ServerOrder::Drain);
    health(&mut world, TWO, Health::Down);
    assert_eq!(weights(&world), pairs(&[(ONE, 0), (SORRY, 1)]));
}

#[test]
fn an_order_that_cannot_be_obeyed_says_why() {
    let mut world = World::with(&config(&[vip()]));
    let mut order = |service, server, order| {
        let (mut out, now) = (Vec::new(), world.now);
        world.ipvs.order(now, &name(tcp(service)), at(server), order, &mut out)
    };
    let unknown = order("10.0.0.9:80", ONE, ServerOrder::Drain);
    assert_eq!(unknown, Err(OrderError::NoVirtualServer));
    assert_eq!(order(VIP, SORRY, ServerOrder::Drain), Err(OrderError::NoRealServer));
    let heavy = order(VIP, ONE, ServerOrder::Weight(Some(1 << 31)));
    assert_eq!(
        heavy.map_err(|error| error.to_string()),
        Err("weight must be 0 to 2147483647".into())
    );
    assert_eq!(order(VIP, ONE, ServerOrder::Weight(Some(MAX_WEIGHT))), Ok(()));
}

#[test]
fn a_reload_of_the_same_file_takes_no_command_and_one_changed_server_takes_one() {
    let mut other = virtual_server(tcp("10.0.0.2:80"), &[ONE]);
    let mut world = World::with(&config(&[vip(), other.clone()]));
    world.configure(&config(&[vip(), other.clone()]));
    assert_eq!(world.lines(), Vec::<String>::new());
    // The order of the blocks and of the servers is no difference.
    let mut turned = vip();
    turned.real_servers.reverse();
    other.real_servers[0].weight = 4;
    world.configure(&config(&[other, turned]));
    let commands = world.commands();
    assert_eq!(commands.len(), 1);
    assert_eq!(
        commands[0].to_string(),
        "edit destination 10.1.0.1:80 of TCP 10.0.0.2:80 weight 4 NAT"
    );
}

#[test]
fn a_reload_keeps_what_the_checks_said() {
    let mut world = World::with(&config(&[vip()]));
    health(&mut world, ONE, Health::Down);
    health(&mut world, TWO, Health::Up { weight: 6 });
    world.log.clear();
    let mut changed = vip();
    changed.real_servers[0].weight = 3;
    changed.real_servers[1].weight = 3;
    changed.real_servers.push(real("10.1.0.3:80"));
    world.configure(&config(&[changed]));
    // A weight that a check made stays until it makes another one.
    assert_eq!(weights(&world), pairs(&[(TWO, 6), ("10.1.0.3:80", 1)]));
}

#[test]
fn at_a_reload_new_servers_come_before_old_ones_leave() {
    let mut world = World::with(&config(&[virtual_server(tcp(VIP), &[ONE])]));
    world.configure(&config(&[virtual_server(tcp(VIP), &[TWO])]));
    let lines: Vec<_> = world.commands().iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "add destination 10.1.0.2:80 of TCP 10.0.0.1:80 weight 1 NAT",
            "remove destination 10.1.0.1:80 of TCP 10.0.0.1:80",
        ]
    );
}

#[test]
fn a_virtual_server_that_is_configured_no_more_leaves_by_one_command() {
    let mut world = World::with(&config(&[vip(), virtual_server(tcp("10.0.0.2:80"), &[ONE])]));
    world.configure(&config(&[vip()]));
    assert_eq!(
        world.lines(),
        ["ipvs: remove service TCP 10.0.0.2:80", "TCP 10.0.0.2:80 is out of the kernel"]
    );
    assert_eq!(world.ipvs.virtual_servers().count(), 1);
}

fn group(name: &str, services: &[Service], servers: &[RealServer]) -> VirtualServer {
    VirtualServer {
        name: VirtualServerName::Group { name: name.into(), protocol: Protocol::Tcp },
        services: services.to_vec(),
        real_servers: servers.to_vec(),
        ..vip()
    }
}

#[test]
fn a_service_that_moves_to_another_virtual_server_stays_in_the_kernel() {
    let mut world = World::with(&config(&[vip()]));
    world.configure(&config(&[group("web", &[tcp(VIP)], &[real(ONE), real("10.1.0.3:80")])]));
    let lines: Vec<_> = world.commands().iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "add destination 10.1.0.3:80 of TCP 10.0.0.1:80 weight 1 NAT",
            "remove destination 10.1.0.2:80 of TCP 10.0.0.1:80",
        ]
    );
    world.configure(&config(&[vip()]));
    assert_eq!(weights(&world), pairs(&[(ONE, 1), (TWO, 1)]));
}

#[test]
fn a_server_of_a_group_changes_in_each_of_its_services() {
    let direct = RealServer { forwarding: Forwarding::DirectRouting, ..real(ONE) };
    let mark = Service::Fwmark { mark: 7, family: Family::Ipv4 };
    let services = [tcp(VIP), tcp("10.0.0.1:443"), mark];
    let pool = group("web", &services, &[direct, real(TWO)]);
    let mut world = World::with(&config(std::slice::from_ref(&pool)));
    // Only address translation can change the port, behind a mark, too.
    assert_eq!(world.weights(services[0]), pairs(&[(ONE, 1), (TWO, 1)]));
    assert_eq!(world.weights(services[1]), pairs(&[("10.1.0.1:443", 1), (TWO, 1)]));
    assert_eq!(world.weights(mark), pairs(&[("10.1.0.1:0", 1), (TWO, 1)]));
    world.health(&pool.name, at(ONE), Health::Down);
    assert_eq!(world.commands().len(), 3);
}

#[test]
fn what_two_virtual_servers_claim_belongs_to_the_first_one() {
    let second = group("web", &[tcp(VIP), tcp("10.0.0.2:80")], &[real("10.1.0.3:80")]);
    let mut world = World::with(&config(&[vip(), second.clone()]));
    assert_eq!(weights(&world), pairs(&[(ONE, 1), (TWO, 1)]));
    world.configure(&config(&[second, vip()]));
    assert_eq!(weights(&world), pairs(&[("10.1.0.3:80", 1)]));
    world.configure(&config(&[vip()]));
    assert_eq!(weights(&world), pairs(&[(ONE, 1), (TWO, 1)]));
}

#[test]
fn schedulers_flags_persistence_thresholds_and_tunnels_reach_the_kernel() {
    let mut pool = vip();
    pool.scheduling =
        Scheduling { scheduler: Scheduler::Mh, flags: 0b11, hashed: true, one_packet: false };
    let timeout = Duration::from_secs(600);
    pool.persistence = Some(Persistence { timeout, prefix_len: 24, engine: Some("sip".into()) });
    let tunnel = Tunnel::Gue { port: 6080, checksum: TunnelChecksum::Remote };
    pool.real_servers[0] = RealServer {
        forwarding: Forwarding::Tunnel(tunnel),
        upper_threshold: 100,
        lower_threshold: 50,
        ..real(ONE)
    };
    let mut world = World::new();
    world.configure(&config(&[pool.clone()]));
    let lines: Vec<_> = world.commands().iter().map(ToString::to_string).collect();
    assert_eq!(
        lines[..2],
        [
            "add service TCP 10.0.0.1:80 mh flag-1 flag-2 persistent 600 s /24 sip",
            "add destination 10.1.0.1:80 of TCP 10.0.0.1:80 weight 1 TUN thresholds 50-100",
        ]
    );
    let spec = world.kernel.table[&tcp(VIP)].1[&at(ONE)];
    assert_eq!(spec.forwarding, Forwarding::Tunnel(tunnel));
    // The kernel's own flag is no difference, whether it is asked for or not.
    pool.scheduling.hashed = false;
    world.configure(&config(&[pool.clone()]));
    assert_eq!(world.commands(), []);
    pool.persistence = None;
    world.configure(&config(&[pool]));
    let lines: Vec<_> = world.commands().iter().map(ToString::to_string).collect();
    assert_eq!(lines, ["edit service TCP 10.0.0.1:80 mh flag-1 flag-2"]);
}

#[test]
fn a_real_server_that_comes_is_what_the_checks_say_by_then() {
    let judged = |_: &VirtualServerName, server| {
        Some(if server == at(ONE) { Health::Down } else { Health::Up { weight: 7 } })
    };
    let mut world = World::new();
    world.tell(|ipvs, now, out| {
        ipvs.configure(now, &config(&[vip()]), out);
        ipvs.on_tick(now, &judged, out);
    });
    assert_eq!(weights(&world), pairs(&[(TWO, 7)]));
}

#[test]
fn a_stop_removes_each_service_by_one_command_and_nothing_else() {
    let mut world = World::with(&config(&[with_sorry(), virtual_server(tcp("[fd00::1]:80"), &[])]));
    world.configure(&config(&[vip(), virtual_server(tcp("[fd00::1]:80"), &[])]));
    world.log.clear();
    assert!(!world.ipvs.is_stopped());
    world.stop();
    assert_eq!(
        world.lines(),
        [
            "ipvs: remove service TCP 10.0.0.1:80",
            "ipvs: remove service TCP [fd00::1]:80",
            "TCP 10.0.0.1:80 is out of the kernel",
            "TCP [fd00::1]:80 is out of the kernel",
        ]
    );
    assert!(world.ipvs.is_stopped());
    assert_eq!(world.ipvs.deadline(), None);
}

#[test]
fn with_omega_the_stop_is_told_as_if_all_servers_went_down() {
    let mut world = World::with(&config(&[VirtualServer { omega: true, ..vip() }]));
    world.stop();
    assert_eq!(
        world.lines()[..3],
        [
            "TCP 10.0.0.1:80: quorum lost, 2 of 1",
            "TCP 10.0.0.1:80: real server 10.1.0.1:80 is out",
            "TCP 10.0.0.1:80: real server 10.1.0.2:80 is out",
        ]
    );
    assert!(world.ipvs.is_stopped());
}

#[test]
fn with_lvs_flush_onstop_the_whole_table_goes() {
    let foreign = World::with(&config(&[virtual_server(tcp("10.0.0.9:80"), &[ONE])])).kernel;
    let flushing = DirectorConfig { at_stop: AtStop::Flush, ..config(&[vip()]) };
    let mut world = World::new();
    world.kernel = foreign;
    world.configure(&flushing);
    world.log.clear();
    world.stop();
    assert_eq!(world.lines(), ["ipvs: flush"]);
    assert!(world.ipvs.is_stopped() && world.kernel.table.is_empty());
}

#[test]
fn what_was_stopped_can_be_configured_again() {
    let mut world = World::with(&config(&[vip()]));
    world.stop();
    world.configure(&config(&[vip()]));
    assert_eq!(weights(&world), pairs(&[(ONE, 1), (TWO, 1)]));
    assert!(!world.ipvs.is_stopped());
}

#[test]
fn checks_rest_while_no_address_of_the_virtual_server_is_here_of_a_group_neither() {
    let suspended = |pool| VirtualServer { ha_suspend: true, ..pool };
    let services = [tcp("10.0.0.2:80"), tcp("10.0.0.3:80")];
    let of_group = suspended(group("web", &services, &[real(ONE)]));
    let mark = Service::Fwmark { mark: 7, family: Family::Ipv4 };
    let marked = suspended(virtual_server(mark, &[ONE]));
    let mut world = World::new();
    world.address(ip("10.0.0.1"), true);
    world.configure(&config(&[suspended(vip()), of_group.clone(), marked.clone()]));
    let lines = world.lines();
    let told: Vec<_> = lines.iter().filter(|line| line.contains("checks")).collect();
    assert_eq!(
        told,
        ["TCP 10.0.0.1:80: checks go on", "TCP group web: checks rest", "fwmark 7: checks go on"]
    );
    assert!(!world.ipvs.rests(&name(tcp(VIP))), "its address was told before");
    assert!(world.ipvs.rests(&of_group.name));
    assert!(!world.ipvs.rests(&marked.name), "a mark is nowhere");
    world.log.clear();
    world.address(ip("10.0.0.3"), true);
    world.address(ip("10.0.0.2"), true);
    world.address(ip("10.0.0.3"), false);
    world.address(ip("10.0.0.1"), false);
    world.address(ip("10.0.0.2"), false);
    assert_eq!(
        world.lines(),
        [
            "TCP group web: checks go on",
            "TCP 10.0.0.1:80: checks rest",
            "TCP group web: checks rest"
        ]
    );
    world.configure(&config(&[vip(), of_group, marked]));
    let anew = ["TCP 10.0.0.1:80: checks go on", told[1], told[2]];
    assert_eq!(world.lines(), anew, "it is not asked of the first any more");
    // The kernel's table is the same wherever the address is.
    assert_eq!(weights(&world), pairs(&[(ONE, 1), (TWO, 1)]));
}

#[test]
fn time_limits_are_set_once_and_when_they_change() {
    let limits = |seconds| {
        let timeouts = Timeouts { tcp: Some(Duration::from_secs(seconds)), ..Timeouts::default() };
        DirectorConfig { timeouts, ..config(&[]) }
    };
    let mut world = World::with(&limits(900));
    assert_eq!(world.commands(), [], "they are the kernel's own");
    world.configure(&limits(900));
    assert_eq!(world.commands(), []);
    world.configure(&limits(300));
    assert_eq!(world.lines(), ["ipvs: set timeouts tcp 300 s tcpfin - udp -"]);
    world.configure(&config(&[]));
    assert_eq!(world.commands(), [], "what nobody sets any more stays");
}

#[test]
fn the_view_says_what_is_wanted_what_is_there_and_why() {
    let mut world = World::with(&config(&[with_sorry()]));
    world.held = true;
    order(&mut world, ONE, ServerOrder::Drain);
    let pool = world.ipvs.virtual_servers().next().expect("one");
    assert_eq!((pool.has_quorum(), pool.live(), pool.rests()), (true, 1, false));
    let servers: Vec<_> = pool.servers().map(|one| (one.wanted, one.why, one.since)).collect();
    let start = servers[1].2;
    assert_eq!(servers, [(Some(0), Why::Drained, world.now), (Some(1), Why::Up, start)]);
    let service = pool.services().next().expect("one");
    let there: Vec<_> = service
        .destinations()
        .map(|one| (one.wanted.map(|spec| spec.weight), one.in_kernel.map(|spec| spec.weight)))
        .collect();
    assert_eq!(there, [(Some(0), Some(1)), (Some(1), Some(1)), (None, None)]);
    world.release();
    health(&mut world, TWO, Health::Down);
    let pool = world.ipvs.virtual_servers().next().expect("one");
    let whys: Vec<_> = pool.servers().map(|one| one.why.name()).collect();
    assert_eq!(whys, ["drained", "down"]);
}
