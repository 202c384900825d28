//! The director and a kernel that had something before, that others change, that refuses, loses
//! answers, or has no IPVS at all.

mod ipvs_world;

use std::time::Duration;

use ipvs_world::{
    Destinations, Fate, SECOND, World, at, config, ip, name, sorry, tcp, virtual_server,
};
use vipd_engine::config::director::{
    DirectorConfig, Forwarding, Scheduler, Service, VirtualServer,
};
use vipd_engine::ipvs::{
    COMMAND_LIMIT, DestinationSpec, Effect, Failure, Health, IpvsCommand, IpvsError, MOST_IN_BATCH,
    News, Observed, PROBE_EVERY, READ_AT_ONCE, READ_BACK_EVERY, READ_LIMIT, RETRY_AFTER, Seen,
    ServerOrder, ServiceState, WORK_AT_ONCE,
};

const VIP: &str = "10.0.0.1:80";
const ONE: &str = "10.1.0.1:80";
const TWO: &str = "10.1.0.2:80";

fn vip() -> VirtualServer {
    virtual_server(tcp(VIP), &[ONE, TWO])
}

fn health(world: &mut World, server: &str, health: Health) {
    world.health(&name(tcp(VIP)), at(server), health);
}

fn there(world: &mut World) -> &mut Destinations {
    &mut world.kernel.table.get_mut(&tcp(VIP)).expect("the service").1
}

fn weight(weight: u32) -> DestinationSpec {
    DestinationSpec { weight, forwarding: Forwarding::Nat, upper_threshold: 0, lower_threshold: 0 }
}

fn errors(world: &mut World) -> Vec<IpvsError> {
    let failed = |news| match news {
        News::CommandFailed { error, .. }
        | News::BatchFailed { error, .. }
        | News::ReadFailed { error, .. } => Some(error),
        _ => None,
    };
    world.news().into_iter().filter_map(failed).collect()
}

fn reads(world: &mut World) -> Vec<Service> {
    let log = std::mem::take(&mut world.log);
    let of = |effect| if let Effect::Read(read) = effect { read.services } else { Vec::new() };
    log.into_iter().flat_map(of).collect()
}

/// A director after one that was killed, which left this kernel.
fn after_a_kill(pools: &[VirtualServer], before: World) -> World {
    let mut world = World::new();
    world.kernel = before.kernel;
    world.configure(&config(pools));
    world
}

#[test]
fn what_a_killed_run_left_goes_on_without_a_command() {
    let mut world = after_a_kill(&[vip()], World::with(&config(&[vip()])));
    assert_eq!(
        world.lines(),
        [
            "TCP 10.0.0.1:80: quorum gained, 2 of 1",
            "TCP 10.0.0.1:80 was there with 2 destinations, taken over",
        ]
    );
}

#[test]
fn of_what_a_killed_run_left_only_differences_are_put_right() {
    let mut before = World::with(&config(&[virtual_server(tcp(VIP), &[ONE, "10.1.0.9:80"])]));
    there(&mut before).insert(at(ONE), weight(4));
    let mut world = after_a_kill(&[vip()], before);
    assert_eq!(
        world.lines()[2..],
        [
            "ipvs: edit destination 10.1.0.1:80 of TCP 10.0.0.1:80 weight 1 NAT",
            "ipvs: add destination 10.1.0.2:80 of TCP 10.0.0.1:80 weight 1 NAT",
            "ipvs: remove destination 10.1.0.9:80 of TCP 10.0.0.1:80",
            "TCP 10.0.0.1:80: real server 10.1.0.1:80 has weight 1 after 4",
            "TCP 10.0.0.1:80: real server 10.1.0.2:80 is in with weight 1",
            "TCP 10.0.0.1:80: real server 10.1.0.9:80 is out",
        ]
    );
}

#[test]
fn services_that_no_configuration_names_are_neither_read_nor_touched() {
    let others = virtual_server(tcp("10.0.0.2:80"), &[ONE]);
    let mut world = after_a_kill(&[vip()], World::with(&config(&[others])));
    let before = world.kernel.table[&tcp("10.0.0.2:80")].clone();
    world.wait(READ_BACK_EVERY * 3);
    let read = reads(&mut world);
    assert!(read.iter().all(|service| *service == tcp(VIP)), "{read:?}");
    world.stop();
    assert_eq!(world.kernel.table[&tcp("10.0.0.2:80")], before);
}

#[test]
fn a_change_by_somebody_else_is_found_put_right_and_told() {
    let mut world = World::with(&config(&[vip()]));
    there(&mut world).insert(at(ONE), weight(0));
    there(&mut world).remove(&at(TWO));
    there(&mut world).insert(at("10.1.0.9:80"), weight(5));
    world.kernel.table.get_mut(&tcp(VIP)).expect("it").0.scheduling.scheduler = Scheduler::Rr;
    world.wait(READ_BACK_EVERY);
    assert_eq!(
        world.lines(),
        [
            "TCP 10.0.0.1:80: somebody changed the service to rr",
            "TCP 10.0.0.1:80: somebody changed 10.1.0.1:80 to weight 0 NAT",
            "TCP 10.0.0.1:80: somebody added 10.1.0.9:80",
            "TCP 10.0.0.1:80: somebody removed 10.1.0.2:80",
            "ipvs: edit service TCP 10.0.0.1:80 wlc",
            "ipvs: edit destination 10.1.0.1:80 of TCP 10.0.0.1:80 weight 1 NAT",
            "ipvs: add destination 10.1.0.2:80 of TCP 10.0.0.1:80 weight 1 NAT",
            "ipvs: remove destination 10.1.0.9:80 of TCP 10.0.0.1:80",
            "TCP 10.0.0.1:80 is changed in the kernel",
        ],
        "for whoever counts servers nothing changed"
    );
    assert_eq!(world.weights(tcp(VIP)), [(ONE.to_string(), 1), (TWO.to_string(), 1)]);
}

#[test]
fn a_service_that_somebody_removed_is_put_back_with_its_servers() {
    let mut world = World::with(&config(&[vip()]));
    world.kernel.table.clear();
    world.wait(READ_BACK_EVERY);
    assert_eq!(world.lines()[0], "TCP 10.0.0.1:80: somebody removed the service");
    assert_eq!(world.weights(tcp(VIP)), [(ONE.to_string(), 1), (TWO.to_string(), 1)]);
}

#[test]
fn what_no_configuration_could_ask_for_is_put_right_too() {
    let mut world = World::with(&config(&[vip()]));
    world.held = true;
    world.wait(READ_BACK_EVERY);
    let Some(Effect::Read(read)) = world.waiting.pop() else { panic!("a read is due") };
    let destinations = vec![(at(ONE), None), (at(TWO), Some(weight(1)))];
    let seen = Seen { service: tcp(VIP), spec: None, destinations };
    world.log.clear();
    for observed in [Observed::Begin, Observed::Service(seen), Observed::End] {
        world.tell(|ipvs, now, out| ipvs.on_observed(now, read.number, observed, out));
    }
    let lines = world.lines();
    assert_eq!(lines[0], "TCP 10.0.0.1:80: somebody changed the service");
    assert_eq!(lines[2], "ipvs: edit service TCP 10.0.0.1:80 wlc");
    assert_eq!(lines[3], "ipvs: edit destination 10.1.0.1:80 of TCP 10.0.0.1:80 weight 1 NAT");
}

#[test]
fn that_it_is_there_or_not_there_is_an_answer_and_no_failure() {
    let mut world = World::with(&config(&[vip()]));
    // Somebody removed it: the edit becomes an add.
    there(&mut world).remove(&at(ONE));
    health(&mut world, ONE, Health::Up { weight: 2 });
    // It is removed already.
    there(&mut world).remove(&at(TWO));
    health(&mut world, TWO, Health::Down);
    // Somebody added it: the add becomes an edit.
    there(&mut world).insert(at(TWO), weight(7));
    health(&mut world, TWO, Health::Up { weight: 3 });
    assert_eq!(world.weights(tcp(VIP)), [(ONE.to_string(), 2), (TWO.to_string(), 3)]);
    // Somebody removed the service: all of it comes back at once.
    world.kernel.table.clear();
    health(&mut world, ONE, Health::Up { weight: 4 });
    assert_eq!(world.weights(tcp(VIP)), [(ONE.to_string(), 4), (TWO.to_string(), 3)]);
    assert_eq!(errors(&mut world), []);
}

#[test]
fn a_service_that_appears_between_our_reading_and_our_adding_is_read_again() {
    let mut world = World::new();
    world.held = true;
    world.configure(&config(&[vip()]));
    let read = world.waiting.pop();
    world.held = false;
    let Some(Effect::Read(read)) = read else { panic!("it is read first") };
    world.tell(|ipvs, now, out| ipvs.on_observed(now, read.number, Observed::Begin, out));
    world.kernel = World::with(&config(&[virtual_server(tcp(VIP), &["10.1.0.9:80"])])).kernel;
    world.tell(|ipvs, now, out| ipvs.on_observed(now, read.number, Observed::End, out));
    assert_eq!(world.weights(tcp(VIP)), [(ONE.to_string(), 1), (TWO.to_string(), 1)]);
}

#[test]
fn a_command_that_is_refused_is_told_and_tried_again_ever_less_often() {
    let mut world = World::with(&config(&[vip()]));
    world.fates.extend([Fate::Refused(0xff), Fate::Answered, Fate::Refused(0xff)]);
    health(&mut world, ONE, Health::Up { weight: 2 });
    assert_eq!(errors(&mut world), [IpvsError::Refused]);
    world.wait(RETRY_AFTER - Duration::from_millis(1));
    assert_eq!(world.commands(), []);
    world.wait(Duration::from_millis(1));
    assert_eq!(errors(&mut world), [IpvsError::Refused]);
    world.wait(RETRY_AFTER * 2 - Duration::from_millis(1));
    assert_eq!(world.commands(), []);
    world.wait(Duration::from_millis(1));
    assert_eq!(world.weights(tcp(VIP)), [(ONE.to_string(), 2), (TWO.to_string(), 1)]);
}

#[test]
fn a_server_that_is_refused_holds_nobody_up_and_a_new_reason_is_tried_at_once() {
    let mut world = World::with(&config(&[vip()]));
    world.fates.push_back(Fate::Refused(0xff));
    health(&mut world, ONE, Health::Up { weight: 2 });
    let pool = world.ipvs.virtual_servers().next().expect("one");
    let service = pool.services().next().expect("one");
    let first = service.destinations().next().expect("one");
    assert_eq!(first.error, Some(IpvsError::Refused));
    health(&mut world, TWO, Health::Up { weight: 5 });
    assert_eq!(world.weights(tcp(VIP)), [(ONE.to_string(), 1), (TWO.to_string(), 5)]);
    health(&mut world, ONE, Health::Up { weight: 3 });
    assert_eq!(world.weights(tcp(VIP)), [(ONE.to_string(), 3), (TWO.to_string(), 5)]);
}

#[test]
fn what_was_refused_and_is_not_wanted_any_more_is_no_trouble() {
    let mut world = World::with(&config(&[vip()]));
    world.fates.push_back(Fate::Refused(0xff));
    health(&mut world, ONE, Health::Up { weight: 2 });
    health(&mut world, ONE, Health::Up { weight: 1 });
    let pool = world.ipvs.virtual_servers().next().expect("one");
    let mut there = pool.services().flat_map(|service| service.destinations());
    assert!(there.all(|one| one.error.is_none()));
}

#[test]
fn many_changes_do_not_keep_the_director_from_reading() {
    let mut world = World::with(&config(&[vip()]));
    world.held = true;
    health(&mut world, ONE, Health::Up { weight: 2 });
    world.configure(&config(&[vip(), virtual_server(tcp("10.0.0.2:80"), &[ONE])]));
    // Whenever a batch is answered, the next change waits already.
    health(&mut world, TWO, Health::Up { weight: 9 });
    let Some(Effect::Batch(batch)) = world.waiting.pop() else { panic!("a batch is out") };
    world.log.clear();
    world.tell(|ipvs, now, out| ipvs.on_done(now, batch.number, Ok(&[]), out));
    assert_eq!(reads(&mut world), [tcp("10.0.0.2:80")]);
}

#[test]
fn a_scheduler_that_the_kernel_lacks_is_tried_again_without_its_servers() {
    // The answer to an add: the scheduler is not there, and thus no service for its servers.
    let mut world = World::new();
    let fail = |world: &mut World| {
        let batch = world.waiting.iter().find_map(|effect| match effect {
            Effect::Batch(batch) => Some(batch.clone()),
            _ => None,
        });
        let batch = batch.expect("a batch");
        world.waiting.clear();
        let failures: Vec<_> = (0..)
            .zip(&batch.commands)
            .map(|(place, command)| {
                let is_service = matches!(command, IpvsCommand::AddService { .. });
                let error = if is_service { IpvsError::NotThere } else { IpvsError::NoService };
                Failure { place, error }
            })
            .collect();
        world.tell(|ipvs, now, out| ipvs.on_done(now, batch.number, Ok(&failures), out));
    };
    world.configure(&config(&[]));
    world.held = true;
    world.configure(&config(&[vip()]));
    let read = world.waiting.pop();
    let Some(Effect::Read(read)) = read else { panic!("it is read first") };
    for observed in [Observed::Begin, Observed::End] {
        world.tell(|ipvs, now, out| ipvs.on_observed(now, read.number, observed, out));
    }
    fail(&mut world);
    assert_eq!(errors(&mut world), [IpvsError::NotThere], "once, not for each server");
    world.release();
    world.wait(RETRY_AFTER);
    assert_eq!(world.weights(tcp(VIP)).len(), 2);
}

#[test]
fn a_batch_without_an_answer_is_given_up_and_what_it_was_about_is_read() {
    for fate in [Fate::Unanswered, Fate::Lost, Fate::Late] {
        let mut world = World::with(&config(&[vip()]));
        world.fates.push_back(fate);
        health(&mut world, ONE, Health::Down);
        world.wait(COMMAND_LIMIT);
        assert_eq!(errors(&mut world), [], "its limit is longer by 1 ms for each command");
        world.wait(Duration::from_millis(1));
        assert_eq!(errors(&mut world), [IpvsError::TimedOut]);
        let state = |world: &World| {
            let pool = world.ipvs.virtual_servers().next().expect("one");
            pool.services().next().expect("one").state()
        };
        assert_eq!(state(&world), ServiceState::Unknown);
        world.wait(RETRY_AFTER);
        assert_eq!(state(&world), ServiceState::Present);
        assert_eq!(world.weights(tcp(VIP)), [(TWO.to_string(), 1)], "{fate:?}");
    }
}

#[test]
fn a_read_without_an_end_is_given_up_and_asked_for_again() {
    let mut world = World::new();
    world.fates.push_back(Fate::Unanswered);
    world.configure(&config(&[vip()]));
    world.wait(READ_LIMIT);
    assert_eq!(errors(&mut world), [IpvsError::TimedOut]);
    world.wait(RETRY_AFTER);
    assert_eq!(world.weights(tcp(VIP)).len(), 2);
}

#[test]
fn an_answer_to_what_is_no_longer_waited_for_is_ignored() {
    let mut world = World::with(&config(&[vip()]));
    world.fates.push_back(Fate::Lost);
    health(&mut world, ONE, Health::Down);
    let number = world.log.iter().find_map(|effect| match effect {
        Effect::Batch(batch) => Some(batch.number),
        _ => None,
    });
    let number = number.expect("a batch");
    world.wait(SECOND * 2);
    let before = world.fingerprint();
    world.tell(|ipvs, now, out| ipvs.on_done(now, number, Ok(&[]), out));
    world.tell(|ipvs, now, out| ipvs.on_done(now, 1 << 40, Ok(&[]), out));
    world.tell(|ipvs, now, out| ipvs.on_observed(now, number, Observed::End, out));
    assert_eq!(world.fingerprint(), before);
}

#[test]
fn a_kernel_without_ipvs_is_a_fault_that_is_told_once_and_over_when_it_has_it() {
    let mut world = World::new();
    world.kernel.is_bare = true;
    world.configure(&config(&[vip()]));
    assert!(world.ipvs.is_in_fault());
    assert!(world.ipvs.needs_ipvs(ip("10.0.0.1")));
    assert!(!world.ipvs.needs_ipvs(ip("10.0.0.2")));
    world.wait(PROBE_EVERY * 3);
    let told = world.lines();
    assert_eq!(told.iter().filter(|line| line.contains("no IPVS")).count(), 2, "{told:?}");
    health(&mut world, ONE, Health::Down);
    world.kernel.is_bare = false;
    world.wait(PROBE_EVERY);
    assert!(!world.ipvs.is_in_fault());
    assert_eq!(world.lines()[0], "the kernel has IPVS again");
    assert_eq!(world.weights(tcp(VIP)), [(TWO.to_string(), 1)]);
}

#[test]
fn a_stop_without_ipvs_is_over_at_once() {
    let mut world = World::new();
    world.kernel.is_bare = true;
    world.configure(&config(&[vip()]));
    world.stop();
    assert!(world.ipvs.is_stopped());
}

#[test]
fn each_service_is_read_once_a_minute_one_after_the_other() {
    let services: Vec<_> = (1..=3).map(|n| tcp(&format!("10.0.0.{n}:80"))).collect();
    let pools: Vec<_> = services.iter().map(|one| virtual_server(*one, &[ONE])).collect();
    let mut world = World::with(&config(&pools));
    world.wait(READ_BACK_EVERY);
    world.log.clear();
    for turn in 0..6 {
        world.wait(READ_BACK_EVERY / 3);
        assert_eq!(reads(&mut world).len(), 1, "turn {turn}");
    }
    world.wait(READ_BACK_EVERY);
    let mut read = reads(&mut world);
    read.sort_unstable();
    assert_eq!(read, services);
}

#[test]
fn many_services_are_read_in_turns_of_several_each_still_once_a_minute() {
    let address = |n: u32| std::net::Ipv4Addr::from(0x0a00_0000 + n).to_string();
    let pools: Vec<_> =
        (0..1300).map(|n| virtual_server(tcp(&format!("{}:80", address(n))), &[ONE])).collect();
    let mut world = World::with(&config(&pools));
    world.wait(READ_BACK_EVERY);
    world.log.clear();
    world.wait(Duration::from_millis(100));
    assert_eq!(reads(&mut world).len(), 3);
    world.wait(READ_BACK_EVERY);
    let read: std::collections::BTreeSet<_> = reads(&mut world).into_iter().collect();
    assert_eq!(read.len(), 1300);
}

#[test]
fn no_call_does_more_than_a_portion_and_no_batch_or_read_is_larger() {
    let address = |n: u32| std::net::Ipv4Addr::from(0x0a00_0000 + n).to_string();
    let servers: Vec<_> = (1..=10).map(|n| format!("10.200.0.{n}:80")).collect();
    let servers: Vec<_> = servers.iter().map(String::as_str).collect();
    let pools: Vec<_> =
        (0..300).map(|n| virtual_server(tcp(&format!("{}:80", address(n))), &servers)).collect();
    let mut world = World::new();
    let mut out = Vec::new();
    world.ipvs.configure(world.now, &config(&pools), &mut out);
    assert_eq!(world.ipvs.virtual_servers().count(), 0, "it is worked off with the ticks");
    world.ipvs.on_tick(world.now, &|_, _| None, &mut out);
    let first = world.ipvs.virtual_servers().count();
    assert!(first > 0 && first * 12 <= WORK_AT_ONCE + 12, "{first} virtual servers");
    assert!(world.ipvs.deadline() <= Some(world.now), "and wants to go on at once");
    assert!(!out.contains(&Effect::InForce));
    world.configure(&config(&pools));
    assert_eq!(world.log.iter().filter(|effect| **effect == Effect::InForce).count(), 1);
    for effect in out.iter().chain(&world.log) {
        match effect {
            Effect::Batch(batch) => assert!(batch.commands.len() <= MOST_IN_BATCH),
            Effect::Read(read) => assert!(read.services.len() <= READ_AT_ONCE),
            Effect::Rest { .. } | Effect::InForce | Effect::News(_) => {}
        }
    }
    world.wait(SECOND * 10);
    assert_eq!(world.kernel.table.len(), 300);
    assert!(world.kernel.table.values().all(|(_, servers)| servers.len() == 10));
}

#[test]
fn what_the_checks_say_comes_before_what_a_configuration_brings() {
    let servers: Vec<_> = (0..600).map(|n| format!("10.2.{}.{}:80", n / 200, n % 200)).collect();
    let servers: Vec<_> = servers.iter().map(String::as_str).collect();
    let many = virtual_server(tcp("10.0.0.2:80"), &servers);
    let mut world = World::with(&config(&[vip()]));
    world.held = true;
    world.configure(&config(&[vip(), many]));
    health(&mut world, ONE, Health::Down);
    world.log.clear();
    let read = world.waiting.pop();
    let Some(Effect::Read(read)) = read else { panic!("it is read first") };
    for observed in [Observed::Begin, Observed::End] {
        world.tell(|ipvs, now, out| ipvs.on_observed(now, read.number, observed, out));
    }
    assert!(world.commands()[0].to_string().starts_with("remove destination 10.1.0.1:80"));
}

#[test]
fn the_table_is_emptied_at_the_start_only_and_before_everything_else() {
    let foreign = World::with(&config(&[virtual_server(tcp("10.0.0.9:80"), &[ONE])])).kernel;
    let flushing = DirectorConfig { flush_at_start: true, ..config(&[vip()]) };
    let mut world = World::new();
    world.kernel = foreign.clone();
    world.configure(&flushing);
    assert_eq!(world.commands()[0], IpvsCommand::Flush);
    assert_eq!(world.kernel.table.len(), 1);
    world.kernel.table.extend(foreign.table.clone());
    world.configure(&flushing);
    world.wait(READ_BACK_EVERY);
    assert_eq!(world.kernel.table.len(), 2);
    // One that is refused is not made up for when the table is ours.
    let mut world = World::new();
    world.kernel = foreign;
    world.fates.push_back(Fate::Refused(0xff));
    world.configure(&flushing);
    assert_eq!(errors(&mut world), [IpvsError::Refused]);
    world.wait(READ_BACK_EVERY);
    assert_eq!(world.kernel.table.len(), 2);
}

#[test]
fn a_stop_that_is_refused_is_tried_until_it_is_done() {
    let mut world = World::with(&config(&[vip()]));
    world.fates.extend([Fate::Refused(0xff), Fate::Answered, Fate::Lost]);
    world.stop();
    assert!(!world.ipvs.is_stopped());
    world.wait(SECOND * 10);
    assert!(world.ipvs.is_stopped() && world.kernel.table.is_empty());
}

#[test]
fn a_director_that_is_configured_again_while_its_stop_is_on_its_way_has_it_all_back() {
    for fate in [Fate::Answered, Fate::Lost, Fate::Unanswered, Fate::Late] {
        let mut world = World::with(&config(&[vip()]));
        world.held = true;
        world.stop();
        // Its first command is given up, and the second one is on its way.
        world.wait(SECOND * 3);
        world.fates.push_back(fate);
        world.configure(&config(&[vip()]));
        world.release();
        world.wait(SECOND * 5);
        assert_eq!(world.weights(tcp(VIP)).len(), 2, "{fate:?}");
        assert!(!world.ipvs.is_stopped());
    }
}

#[test]
fn a_reload_while_commands_are_on_their_way_ends_as_the_last_one_says() {
    let mut world = World::new();
    world.configure(&config(&[]));
    world.held = true;
    world.configure(&config(&[vip()]));
    let Some(Effect::Read(read)) = world.waiting.pop() else { panic!("it is read first") };
    for observed in [Observed::Begin, Observed::End] {
        world.tell(|ipvs, now, out| ipvs.on_observed(now, read.number, observed, out));
    }
    // The service and its servers are on their way.
    let more = virtual_server(tcp(VIP), &[TWO, "10.1.0.3:80"]);
    let more = VirtualServer { sorry_server: Some(sorry("10.9.0.1:80")), ..more };
    world.configure(&config(&[more]));
    world.order(&name(tcp(VIP)), at(TWO), ServerOrder::Drain);
    world.release();
    assert_eq!(world.weights(tcp(VIP)), [(TWO.to_string(), 0), ("10.1.0.3:80".into(), 1)]);
}
