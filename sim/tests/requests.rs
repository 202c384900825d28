//! Clients that ask a virtual server for pages: through the director's table, to a real server, and
//! back.

use std::path::Path;

use vipd_scenarios::record::{HostId, Observation, Seen};
use vipd_scenarios::runner;
use vipd_scenarios::scenario::Scenario;
use vipd_sim::configurations::Configurations;
use vipd_sim::world::Simulation;

const WEB2: HostId = HostId(3);
const CLIENT: HostId = HostId(4);
const SECOND: u64 = 1_000_000_000;
const MILLI: u64 = 1_000_000;

/// A request: when it began, how long it took, who answered.
type Asked = (u64, u64, Option<HostId>);

/// The seed's hosts and a client that asks each 100 ms, with these keys, and these steps.
fn play(keys: &str, steps: &str) -> Vec<Asked> {
    let text = format!(
        r#"
title = "A client"
until = "12s"
[segment.lan]
[host.director-1]
config = "director-1.conf"
interfaces.ens192 = {{ segment = "lan", address = "200.222.0.73/24" }}
[host.director-2]
config = "director-2.conf"
interfaces.ens192 = {{ segment = "lan", address = "200.222.0.74/24" }}
[host.web1]
interfaces.eth0 = {{ segment = "lan", address = "200.222.0.87/24" }}
[host.web2]
interfaces.eth0 = {{ segment = "lan", address = "200.222.0.89/24" }}
[host.client]
interfaces.eth0 = {{ segment = "lan", address = "200.222.0.10/24" }}
requests = {{ address = "200.222.0.113", every = "100ms", {keys} }}
{steps}
"#
    );
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/seed/none.toml");
    let scenario = Scenario::parse(&file, &text).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let (configurations, findings) = Configurations::load(&scenario);
    assert!(!findings.unusable);
    let mut world = Simulation::new(&scenario, configurations, 1);
    let mut record: Vec<Observation> = Vec::new();
    runner::run(&scenario, &mut world, None, Some(&mut record));
    let asked = record.iter().filter_map(|observation| match observation.seen {
        Seen::Request { sent, ended, answered_by } => {
            assert_eq!(observation.host, CLIENT);
            Some((sent.0, ended.0 - sent.0, answered_by))
        }
        _ => None,
    });
    asked.collect()
}

fn from(asked: &[Asked], at: u64) -> &[Asked] {
    &asked[asked.partition_point(|(sent, ..)| *sent < at)..]
}

#[test]
fn a_page_takes_two_round_trips_of_which_one_way_leads_over_the_director() {
    let asked = play("port = 80", "");
    let (sent, took, answered_by) = from(&asked, 4 * SECOND)[0];
    assert_eq!((sent, took), (4 * SECOND, MILLI * 6 / 10));
    assert_eq!(answered_by, Some(WEB2));
    // Persistence keeps a client with its real server.
    assert!(from(&asked, 4 * SECOND).iter().all(|(.., by)| *by == Some(WEB2)));
    // Requests begin on time and are told in their order, those that fail too.
    let began: Vec<_> = asked.iter().map(|(sent, ..)| *sent).collect();
    let on_time: Vec<_> = (1..=began.len() as u64).map(|number| number * 100 * MILLI).collect();
    assert_eq!(began, on_time);
    assert_eq!(asked[0], (100 * MILLI, 500 * MILLI, None));
}

#[test]
fn what_no_real_server_answers_with_a_page_has_failed() {
    // How soon it is known: by a reset or a wrong answer at once, else by patience.
    for (conduct, took) in [
        ("refuses", 3),
        ("resets", 6),
        ("closes", 6),
        ("lies", 6),
        ("hangs", 5000),
        ("silent", 5000),
        ("unreachable", 5000),
    ] {
        let step =
            |web| format!("[[step]]\nat = \"5s\"\nserver = \"{web}\"\ndoes = \"{conduct}\"\n");
        let asked = play("port = 80", &[step("web1"), step("web2")].concat());
        let during = from(&asked, 5 * SECOND + 1);
        assert_eq!(during[0], (5_100 * MILLI, took * MILLI / 10, None), "{conduct}");
        // It is no matter of the other requests.
        assert_eq!(during[1].0, 5_200 * MILLI, "{conduct}");
    }
}

#[test]
fn a_port_without_a_service_is_refused_and_so_is_one_without_a_real_server() {
    let asked = play("port = 8080", "");
    assert_eq!(from(&asked, 4 * SECOND)[0], (4 * SECOND, 2 * MILLI / 10, None));
    let down = |web| format!("[[step]]\nat = \"4s\"\nserver = \"{web}\"\ndoes = \"refuses\"\n");
    let asked = play("port = 80", &[down("web1"), down("web2")].concat());
    // Both are out after 10.708 s and its second try.
    assert_eq!(from(&asked, 11_800 * MILLI)[0].1, 2 * MILLI / 10);
}

#[test]
fn a_patient_client_waits_for_its_tcp_and_then_for_its_answer() {
    let cut = "[[step]]\nat = \"9s\"\ncut = \"director-1 <-> client\"\n\
               [[step]]\nat = \"9.5s\"\nheal = \"director-1 <-> client\"\n";
    let asked = play("port = 80, patient = true", cut);
    // Nobody has the address yet: so says ARP after 3 s. The second request leaves when the
    // address is announced.
    assert_eq!(asked[0], (100 * MILLI, 3 * SECOND, None));
    assert_eq!(asked[1], (3_100 * MILLI, 510_075_000, Some(WEB2)));
    // From then on one begins each 100 ms, until a SYN is lost that is sent again a second later.
    let held = from(&asked, 9 * SECOND)[0];
    assert_eq!((held.0, held.1), (9_010_075_000, SECOND + 6 * MILLI / 10));
    // Then it goes on at once.
    assert_eq!(from(&asked, held.0 + 1)[0].0, held.0 + held.1);
}

#[test]
fn a_page_that_drips_is_whole_with_its_last_octet_whatever_was_lost_meanwhile() {
    let drips = |every: &str, meanwhile: &str| {
        let step = |web| {
            format!(
                "[[step]]\nat = \"5s\"\nserver = \"{web}\"\ndoes = \"drips\"\nevery = \"{every}\"\n"
            )
        };
        let asked = play("port = 80", &[&step("web1"), &step("web2"), meanwhile].concat());
        from(&asked, 5 * SECOND + 1)[0]
    };
    let cut = |way: &str| {
        format!(
            "[[step]]\nat = \"5.2s\"\ncut = \"{way}\"\n[[step]]\nat = \"5.3s\"\nheal = \"{way}\"\n"
        )
    };
    // 38 octets, behind a page's two round trips.
    let whole = (5_100 * MILLI, 380 * MILLI + 6 * MILLI / 10, Some(WEB2));
    assert_eq!(drips("10ms", ""), whole);
    assert_eq!(drips("10ms", &cut("web2 <-> client")), whole, "octets are lost");
    assert_eq!(drips("10ms", &cut("director-1 <-> client")), whole, "acknowledgements are lost");
    // Patience ends after 500 ms.
    assert_eq!(drips("13.2ms", ""), (5_100 * MILLI, 500 * MILLI, None));
    // The program ends: the next octet is a reset.
    let ends = "[[step]]\nat = \"5.3s\"\nserver = \"web2\"\ndoes = \"refuses\"\n";
    assert_eq!(drips("10ms", ends), (5_100 * MILLI, 200 * MILLI + 6 * MILLI / 10, None));
}
