//! The run loop above a machine that is made of this file: its clock jumps from event to event, its
//! socket and its kernel are lists. What is read before a timer, and in which order effects happen.

mod made_up_machine;

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use made_up_machine::*;
use tokio::sync::oneshot;
use vipd::driver::{
    Ended, GIVE_BACK_WITHIN, HEAR_AT_ONCE, HEAR_TOGETHER, READ_AT_ONCE, READ_FOR, Request,
    STOP_LIMIT,
};
use vipd::mail::Post;
use vipd::systemd::Supervisor;
use vipd_config::text::InMemory;
use vipd_config::{Options, load_from};
use vipd_engine::config::director::{
    DirectorConfig, Forwarding, Protocol, RealServer, Scheduler, Scheduling, Service,
    VirtualServer, VirtualServerName,
};
use vipd_engine::config::health::{Bind, Check, CheckKind};
use vipd_engine::{Config, KernelCommand};

#[test]
fn the_advert_leaves_first_then_the_address_comes_then_its_announcement() {
    let (done, ended) = run(|machine| {
        machine.events.insert(1 + MASTER_DOWN + 1_000_000, Event::Ask(Request::Stop));
    });
    let expected = [
        "advert 99",
        "add address 10.0.0.9/32 on eth0",
        "announcement",
        "advert 0",
        "remove address 10.0.0.9/32 on eth0",
    ];
    assert_eq!(words(&done), expected);
    assert_eq!(done[0].0, 1 + MASTER_DOWN, "to the nanosecond, when nothing is late");
    assert_eq!(ended, Ended::Released);
}

#[test]
fn a_router_is_master_before_its_first_advert_leaves_and_resigned_behind_its_last_one() {
    let (done, _, told) = run_followed(|machine| {
        machine.sending_takes = 1_000;
        machine.events.insert(1 + MASTER_DOWN + 1_000_000, Event::Ask(Request::Stop));
    });
    let left = |what: &str| done.iter().find(|(_, done)| done == what).expect("it left").0;
    let entered = |state: &str| {
        let told = told.iter().filter(|told| told["what"] == "state");
        let mut told = told.filter(|told| told["news"]["State"]["to"] == state);
        told.next_back().expect("it is told")["at_ns"].as_u64().expect("a time")
    };
    assert_eq!(entered("Master"), left("advert 99"));
    assert_eq!(entered("Initialize"), left("advert 0") + 1_000);
    assert!(told.is_sorted_by_key(|told| told["at_ns"].as_u64()));
}

#[test]
fn a_process_that_was_paused_hears_the_adverts_that_wait_before_it_fires_its_timer() {
    let pause_ends = 20_000_000_000;
    let (asker, mut answer) = oneshot::channel();
    let (done, ended) = run(|machine| {
        machine.paused_until = pause_ends;
        machine.events.insert(19_500_000_000, Event::Datagram(advert()));
        machine.events.insert(pause_ends + 1, Event::Ask(Request::Status(asker)));
        machine.events.insert(pause_ends + 2, Event::Ask(Request::Stop));
    });
    assert_eq!(words(&done), [""; 0], "it stays backup: the master is alive");
    assert_eq!(ended, Ended::Released);
    let status = answer.try_recv().expect("it was answered");
    assert_eq!(status["late_timers"]["count"], 0, "the timer was moved, it never fired");
    assert_eq!(status["instances"][0]["counters"]["received"], 1);
}

#[test]
fn a_timer_that_fires_late_is_counted_with_how_late_it_was() {
    let pause_ends = 1 + MASTER_DOWN + 70_000_000;
    let (asker, mut answer) = oneshot::channel();
    let (done, _) = run(|machine| {
        machine.paused_until = pause_ends;
        machine.events.insert(pause_ends + 1, Event::Ask(Request::Status(asker)));
        machine.events.insert(pause_ends + 2, Event::Ask(Request::Stop));
    });
    assert_eq!(done[0], (pause_ends, "advert 99".to_string()));
    let status = answer.try_recv().expect("it was answered");
    assert_eq!(status["late_timers"]["count"], 1);
    assert_eq!(status["late_timers"]["worst_ns"], 70_000_000);
}

#[test]
fn a_flood_of_datagrams_delays_no_timer_beyond_the_budget() {
    let (takes, until) = (1_000_000, 8_000_000_000);
    let (done, _) = run(|machine| {
        machine.flood = Some(Flood { until, takes });
        machine.events.insert(until, Event::Ask(Request::Stop));
    });
    // What was being read when the deadline passed, and what is read before the timer.
    let budget = (READ_AT_ONCE as u64 + 1) * takes + READ_FOR.as_nanos() as u64;
    assert_adverts_until_8_s(&done, budget);
}

/// Mastership after 3.6 s, and an advert a second until 8 s, none later than the budget.
fn assert_adverts_until_8_s(done: &[(u64, String)], budget: u64) {
    let adverts: Vec<_> = done.iter().filter(|(_, what)| what == "advert 99").collect();
    assert_eq!(adverts.len(), 5, "{done:?}");
    let first = adverts[0].0;
    let due = (0..).map(|number| first + number * 1_000_000_000);
    let late = adverts.iter().zip(due).map(|((at, _), due)| at - due);
    let late: Vec<_> = [first - (1 + MASTER_DOWN)].into_iter().chain(late).collect();
    assert!(late.iter().all(|late| *late <= budget), "late by {late:?} ns, {budget} at most");
}

#[test]
fn a_flood_of_news_from_the_kernel_delays_no_timer_beyond_the_budget() {
    let takes = 100_000;
    let (done, _) = run(|machine| {
        machine.hearing_takes = takes;
        // 7.9 s of hearing.
        machine.events.insert(2, Event::News(79_000));
        machine.events.insert(8_000_000_001, Event::Ask(Request::Stop));
    });
    assert_adverts_until_8_s(&done, 2 * HEAR_AT_ONCE as u64 * takes);
}

#[test]
fn outcomes_of_checks_delay_no_timer_beyond_two_portions() {
    let takes = 100_000;
    let (done, _) = run(|machine| {
        machine.hearing_takes = takes;
        // 7.9 s of hearing.
        machine.events.insert(2, Event::Outcomes(79_000));
        machine.events.insert(8_000_000_001, Event::Ask(Request::Stop));
    });
    // One portion that was begun, with the one that woke us, and one before the timer.
    assert_adverts_until_8_s(&done, (2 * HEAR_TOGETHER as u64 + 1) * takes);
}

/// When a master whose adverts are so many centiseconds apart gives memory back that it is asked
/// for at these times.
fn given_back(centiseconds: i64, asked: &[u64]) -> Vec<u64> {
    let (done, _) = run(|machine| {
        machine.config = every(centiseconds);
        for at in asked {
            machine.events.insert(*at, Event::Ask(Request::GiveBack));
        }
        machine.events.insert(10_000_000_000, Event::Ask(Request::Stop));
    });
    let given = done.iter().filter(|(_, what)| what == "give memory back");
    given.map(|(at, _)| *at).collect()
}

#[test]
fn memory_is_given_back_at_once_unless_an_advert_is_about_to_leave() {
    let (done, _) = run(|machine| {
        machine.config = every(100);
        machine.events.insert(10_000_000_000, Event::Ask(Request::Stop));
    });
    let adverts: Vec<_> = done.iter().filter(|(_, what)| what == "advert 99").collect();
    let [first, second, ..] = adverts[..] else { panic!("{done:?}") };
    let (long_before, shortly_before) = (first.0 + 300_000_000, second.0 - 30_000_000);
    assert_eq!(given_back(100, &[long_before, shortly_before]), [long_before, second.0]);
}

#[test]
fn memory_is_given_back_behind_the_work_on_the_table_and_not_in_its_midst() {
    let (done, _) = run(|machine| {
        machine.config = directing();
        machine.order_takes = 1_000_001;
        machine.events.insert(2, Event::Ask(Request::GiveBack));
        machine.events.insert(1_000_000_000, Event::Ask(Request::Stop));
    });
    let words = words(&done);
    let at = |what: &str| words.iter().position(|word| word.starts_with(what));
    assert!(at("ipvs: add service").is_some(), "{words:?}");
    assert!(at("give memory back") > at("ipvs: add service"), "{words:?}");
}

#[test]
fn memory_is_given_back_after_a_while_where_an_advert_is_always_about_to_leave() {
    let asked = 5_000_000_000;
    let given = given_back(2, &[asked, asked + 1_000_000]);
    let [given] = given[..] else { panic!("once for both: {given:?}") };
    let late = Duration::from_nanos(given - asked);
    let next_advert = Duration::from_millis(20);
    assert!((GIVE_BACK_WITHIN..=GIVE_BACK_WITHIN + next_advert).contains(&late), "{late:?}");
}

#[test]
fn a_stop_is_given_up_when_the_kernel_does_not_answer() {
    let asked = 1 + MASTER_DOWN + 1_000_000;
    let (done, ended) = run(|machine| {
        machine.answered = |command| matches!(command, KernelCommand::AddAddress(_));
        machine.events.insert(asked, Event::Ask(Request::Stop));
    });
    assert_eq!(ended, Ended::GaveUp);
    let removals = done.iter().filter(|(_, what)| what.starts_with("remove address")).count();
    assert_eq!(removals, 3, "at once, and a second after each time limit of a second: {done:?}");
    let last = done.last().expect("it did something").0;
    assert!(last <= asked + STOP_LIMIT.as_nanos() as u64);
}

/// How often life is shown in 20 s with a watchdog of 10 s, for a process that first gets to run
/// at this time.
fn signs_of_life(paused_until: u64) -> usize {
    let name = format!("vipd-loop-{}-{paused_until}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let listener = UnixDatagram::bind_addr(&address).expect("a socket of ours");
    listener.set_nonblocking(true).expect("a socket");
    run(|machine| {
        let supervisor = Supervisor::at(format!("@{name}").as_ref()).expect("an address");
        machine.supervisor = supervisor.with_watchdog(Duration::from_secs(10));
        machine.paused_until = paused_until;
        machine.events.insert(20_000_000_000, Event::Ask(Request::Stop));
    });
    let mut words = Vec::new();
    let mut octets = [0; 100];
    while let Ok(length) = listener.recv(&mut octets) {
        words.push(String::from_utf8_lossy(&octets[..length]).into_owned());
    }
    let ready = "READY=1\nSTATUS=master of 0 of 1 virtual routers";
    assert_eq!(words.iter().filter(|word| *word == ready).count(), 1, "{words:?}");
    assert!(words.iter().any(|word| word == "STATUS=master of 1 of 1 virtual routers"));
    assert!(words.iter().any(|word| word.starts_with("STOPPING=1\n")));
    words.iter().filter(|word| *word == "WATCHDOG=1").count()
}

#[test]
fn a_watchdog_hears_of_the_loop_twice_in_its_time_and_of_one_that_hangs_nothing() {
    assert_eq!(signs_of_life(0), 4, "at once, and after 5, 10 and 15 s");
    assert_eq!(signs_of_life(12_000_000_000), 3, "at once, and after 12 and 17 s");
}

#[test]
fn three_adverts_in_a_row_that_the_kernel_refuses_put_it_in_fault_until_a_new_try() {
    let second = 1_000_000_000;
    let (third, retry) = (1 + MASTER_DOWN + 2 * second, 1 + MASTER_DOWN + 2 * second + MASTER_DOWN);
    let (in_fault, mut of_fault) = oneshot::channel();
    let (in_backup, mut of_backup) = oneshot::channel();
    let (done, _) = run(|machine| {
        machine.refuses_until = third + 1;
        machine.events.insert(third + second, Event::Ask(Request::Status(in_fault)));
        machine.events.insert(retry + second, Event::Ask(Request::Status(in_backup)));
        machine.events.insert(retry + 2 * second, Event::Ask(Request::Stop));
    });
    let status = of_fault.try_recv().expect("it was answered");
    let instance = &status["instances"][0];
    assert_eq!((instance["state"].as_str(), &instance["fault"]), (Some("fault"), &instance["why"]));
    assert_eq!(instance["why"], "adverts are refused");
    let at = |wanted: &str| {
        let found = done.iter().filter(|(_, what)| what == wanted).map(|(at, _)| *at);
        found.collect::<Vec<_>>()
    };
    assert_eq!(at("advert 99"), [third - 2 * second, third - second, third]);
    assert_eq!(at("remove address 10.0.0.9/32 on eth0"), [third], "nobody hears that it has it");
    let status = of_backup.try_recv().expect("it was answered");
    assert_eq!(status["instances"][0]["state"], "backup", "it tries again");
}

#[test]
fn each_state_waits_to_be_mailed_the_stop_as_well_and_the_status_says_how_many() {
    let text = "global_defs {\n smtp_server 192.0.2.25\n smtp_alert_vrrp\n \
                notification_email {\n a@x.example\n }\n}\nvrrp_instance VI_1 {\n \
                interface eth0\n virtual_router_id 51\n virtual_ipaddress {\n 10.0.0.9\n }\n}\n";
    let files = InMemory::new().with("/k.conf", text);
    let loaded = load_from(&files, Path::new("/k.conf"), &Options::default()).expect("usable");
    // Nobody mails: there is only the queue.
    let post = Post::default();
    post.configure(&loaded);
    let (asker, mut answer) = oneshot::channel();
    run(|machine| {
        machine.post = post.clone();
        machine.events.insert(MASTER_DOWN + 1_000_000, Event::Ask(Request::Status(asker)));
        machine.events.insert(MASTER_DOWN + 2_000_000, Event::Ask(Request::Stop));
    });
    let report = answer.try_recv().expect("it was answered");
    let told = (&report["mail"]["server"], &report["mail"]["waiting"]);
    assert_eq!(told, (&"192.0.2.25:25".into(), &2.into()), "backup and master");
    assert_eq!(post.report()["waiting"], 3, "and the stop");
    let shown = vipd::status::text(&report);
    assert!(shown.contains("mail to 192.0.2.25:25: 0 sent, 2 alerts wait, 0 lost\n"), "{shown}");
}

/// A virtual server at the address of the instance, whose real server is checked every second.
fn directing() -> Arc<Config> {
    let service = Service::Address { address: ip(VIP), port: 80, protocol: Protocol::Tcp };
    let (address, port, protocol) = (ip(VIP), 80, Protocol::Tcp);
    let (scheduler, flags, hashed, one_packet) = (Scheduler::Wlc, 0, false, false);
    let second = Duration::from_secs(1);
    let check = Check {
        kind: CheckKind::Tcp,
        address: ip("10.1.0.1"),
        port: 80,
        bind: Bind::default(),
        timeout: second,
        delay_loop: second,
        retry: 1,
        delay_before_retry: second,
        warmup: Duration::ZERO,
        alpha: false,
        tells_all_failures: false,
    };
    let real = RealServer {
        address: ip("10.1.0.1"),
        port: 80,
        weight: 1,
        forwarding: Forwarding::Nat,
        upper_threshold: 0,
        lower_threshold: 0,
        inhibit_on_failure: false,
        checks: [check.into()].into(),
    };
    let pool = VirtualServer {
        name: VirtualServerName::Address { address, port, protocol },
        services: vec![service],
        scheduling: Scheduling { scheduler, flags, hashed, one_packet },
        persistence: None,
        real_servers: vec![real],
        sorry_server: None,
        quorum: 1,
        hysteresis: 0,
        alpha: false,
        omega: false,
        ha_suspend: false,
    };
    let director = DirectorConfig { virtual_servers: vec![Arc::new(pool)], ..Default::default() };
    Arc::new(Config::clone(&config()).with_director(director).expect("it is valid"))
}

#[test]
fn servers_are_checked_and_directed_and_a_stop_resigns_before_it_empties_the_table() {
    let stop = 1 + MASTER_DOWN + 1_000_000;
    let (done, ended) = run(|machine| {
        machine.config = directing();
        machine.events.insert(stop, Event::Ask(Request::Stop));
    });
    assert_eq!(ended, Ended::Released);
    let words = words(&done);
    let at = |what: &str| words.iter().position(|word| *word == what);
    let added = "ipvs: add service TCP 10.0.0.9:80 wlc\n\
                 ipvs: add destination 10.1.0.1:80 of TCP 10.0.0.9:80 weight 1 NAT";
    assert!(at("ipvs: read 1 services") < at(added), "{words:?}");
    assert!(at(added).is_some() && at(added) < at("advert 99"), "{words:?}");
    let removed = at("ipvs: remove service TCP 10.0.0.9:80");
    assert!(at("advert 0").is_some() && at("advert 0") < removed, "{words:?}");
    assert_eq!(removed, Some(words.len() - 1), "the last of all");
    let checks = words.iter().filter(|word| word.starts_with("start attempt")).count();
    assert_eq!(checks, 4, "one at the start and one each second: {words:?}");
}

#[test]
fn a_virtual_router_s_timer_is_late_whatever_real_servers_were_due_before_it() {
    let pause_ends = 1 + MASTER_DOWN + 70_000_000;
    let (asker, mut answer) = oneshot::channel();
    let (done, _) = run(|machine| {
        machine.config = directing();
        machine.paused_until = pause_ends;
        machine.events.insert(pause_ends + 1, Event::Ask(Request::Status(asker)));
        machine.events.insert(pause_ends + 2, Event::Ask(Request::Stop));
    });
    assert!(done.contains(&(pause_ends, "advert 99".to_string())), "{done:?}");
    let status = answer.try_recv().expect("it was answered");
    assert_eq!(status["late_timers"]["count"], 1, "a check that waits for its turn is none");
    assert_eq!(status["late_timers"]["worst_ns"], 70_000_000);
}
