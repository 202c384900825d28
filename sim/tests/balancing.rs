//! A director among the hosts: who its kernel sends connections to when machines, processes and
//! kernels fail. What real servers do by themselves is in `scenarios/ipvs`.

mod rehearsal;

use std::sync::Arc;
use std::time::Duration;

use rehearsal::*;
use vipd_engine::Config;
use vipd_engine::config::director::{
    DirectorConfig, Forwarding, Protocol, RealServer, Scheduler, Scheduling, Service,
    VirtualServer, VirtualServerName,
};
use vipd_engine::config::health::{Bind, Check, CheckKind};
use vipd_scenarios::record::{ProcessChange, Seen};

const MS: u64 = 1_000_000;
/// There and back.
const TRIP: u64 = 2 * DELAY;

/// `TCP_CHECK` of 10.0.0.21:80 every 6 s, the first at once; limit 3 s, one more try after 1 s.
fn director() -> Arc<Config> {
    let address = "10.0.0.21".parse().expect("an address");
    let seconds = Duration::from_secs;
    let check = Check {
        kind: CheckKind::Tcp,
        address,
        port: 80,
        bind: Bind::default(),
        timeout: seconds(3),
        delay_loop: seconds(6),
        retry: 1,
        delay_before_retry: seconds(1),
        warmup: Duration::ZERO,
        alpha: false,
        tells_all_failures: false,
    };
    let server = RealServer {
        address,
        port: 80,
        weight: 5,
        forwarding: Forwarding::DirectRouting,
        upper_threshold: 0,
        lower_threshold: 0,
        inhibit_on_failure: false,
        checks: [check.into()].into(),
    };
    let (address, port, protocol) = (VIP, 80, Protocol::Tcp);
    let scheduling =
        Scheduling { scheduler: Scheduler::Rr, flags: 0, hashed: false, one_packet: false };
    let virtual_server = VirtualServer {
        name: VirtualServerName::Address { address, port, protocol },
        services: vec![Service::Address { address, port, protocol }],
        scheduling,
        persistence: None,
        real_servers: vec![server],
        sorry_server: None,
        quorum: 1,
        hysteresis: 0,
        alpha: false,
        omega: false,
        ha_suspend: false,
    };
    let virtual_servers = vec![Arc::new(virtual_server)];
    let director = DirectorConfig { virtual_servers, ..DirectorConfig::default() };
    let config = Config::new(vec![], vec![], Duration::ZERO).expect("a configuration");
    Arc::new(config.with_director(director).expect("virtual servers"))
}

fn played(steps: &str) -> Played {
    let hosts = host("a", Some(1), &[("lan", "10.0.0.1/24")])
        + &host("web", None, &[("lan", "10.0.0.21/24")]);
    let text = scenario("60s", &["lan"]) + &hosts + steps;
    Rehearsal::with_files(&text, [(A, 1, director())]).play()
}

/// When the real server came into the table (its weight) and left it.
fn table(played: &Played) -> Vec<(u64, Option<u32>)> {
    let change = |seen: &vipd_scenarios::record::Observation| match seen.seen {
        Seen::Destination { weight, .. } => Some((seen.at.0, weight)),
        _ => None,
    };
    played.seen.iter().filter_map(change).collect()
}

fn refuses(at: &str) -> String {
    step(at, "server = \"web\"\ndoes = \"refuses\"")
}

#[test]
fn a_server_that_refuses_is_out_after_one_more_try() {
    let played = played(&refuses("10s"));
    let out = 12 * SECOND + TRIP + SECOND + TRIP;
    assert_eq!(table(&played), [(0, Some(5)), (out, None)]);
    assert_eq!(played.reported(A, "server-down"), [out]);
}

#[test]
fn a_late_kernel_does_it_that_much_later() {
    let late = step("1s", "kernel_late = \"a\"\nby = \"300ms\"");
    let played = played(&(late + &refuses("10s")));
    let out = 13 * SECOND + 2 * TRIP;
    assert_eq!(table(&played), [(0, Some(5)), (out + 300 * MS, None)]);
}

#[test]
fn a_killed_director_leaves_its_table_and_the_next_one_takes_it_over() {
    let steps = step("10s", "kill = \"a\"") + &step("20s", "start = \"a\"");
    let played = played(&steps);
    assert_eq!(table(&played), [(0, Some(5))]);
    assert_eq!(played.reported(A, "taken-over"), [20 * SECOND]);
}

#[test]
fn a_stopped_director_empties_its_table_before_it_ends() {
    let played = played(&step("10s", "stop = \"a\""));
    assert_eq!(table(&played), [(0, Some(5)), (10 * SECOND, None)]);
    let gone = played.seen.iter().rposition(|seen| matches!(seen.seen, Seen::Destination { .. }));
    let ended = |seen: &Seen| matches!(seen, Seen::Process(ProcessChange::Stopped));
    let ended = played.seen.iter().position(|seen| ended(&seen.seen));
    assert!(gone < ended, "{gone:?} {ended:?}");
}

#[test]
fn without_power_the_table_is_gone_and_a_boot_fills_it_again() {
    let steps = step("10s", "power_off = \"a\"") + &step("20s", "power_on = \"a\"");
    let expected = [(0, Some(5)), (10 * SECOND, None), (20 * SECOND, Some(5))];
    assert_eq!(table(&played(&steps)), expected);
}

#[test]
fn a_paused_director_finds_out_when_it_goes_on() {
    let steps = step("9s", "pause = \"a\"") + &refuses("10s") + &step("32s", "resume = \"a\"");
    // The attempt of 12 s is made at 32 s, and once more.
    let out = 33 * SECOND + 2 * TRIP;
    assert_eq!(table(&played(&steps)), [(0, Some(5)), (out, None)]);
}

#[test]
fn a_link_of_the_server_that_is_down_is_as_good_as_no_server() {
    let down = step("10s", "link_down = \"web\"\ninterface = \"eth0\"");
    // Asked at 12 s, nothing by 15 s; again at 16 s, nothing by 19 s.
    assert_eq!(table(&played(&down)), [(0, Some(5)), (19 * SECOND, None)]);
}

#[test]
fn an_answer_on_its_way_is_lost_with_its_server() {
    // The attempt of 12 s, whose answer comes at 12.0002 s.
    let off = step("12.0001s", "power_off = \"web\"");
    assert_eq!(table(&played(&off)), [(0, Some(5)), (19 * SECOND, None)]);
}

#[test]
fn a_check_whose_first_syn_was_lost_is_good_when_the_second_arrives_within_its_limit() {
    // Out at 12 s + 3 s + 1 s + 3 s, and asked again at 24 s and 30 s.
    let back = |up: &str| {
        let link = |at, what| step(at, &format!("{what} = \"web\"\ninterface = \"eth0\""));
        let table = table(&played(&(link("10s", "link_down") + &link(up, "link_up"))));
        assert_eq!(table[..2], [(0, Some(5)), (19 * SECOND, None)]);
        table[2..].to_vec()
    };
    assert_eq!(back("24.5s"), [(25 * SECOND + TRIP, Some(5))]);
    // The third SYN leaves 3 s after the first one, and that is the limit.
    assert_eq!(back("25.5s"), [(30 * SECOND + TRIP, Some(5))]);
}
