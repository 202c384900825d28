//! Topologies from configuration files alone: who is on which segment, with which address, and
//! what is said of what had to be made up.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use vipd_config::diagnostics::Colour;
use vipd_scenarios::judge::{PropertyId, Verdict};
use vipd_scenarios::runner::{self, Outcome};
use vipd_scenarios::scenario::{Host, Scenario};
use vipd_sim::bare_files::{self, Bare};
use vipd_sim::world::Simulation;

/// Files of these names and texts in a folder of its own.
fn files(folder: &str, texts: &[(&str, &str)]) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bare-{folder}"));
    let write = |(name, text): &(&str, &str)| {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("it can be made");
        std::fs::write(&path, text).expect("a file");
        path
    };
    texts.iter().map(write).collect()
}

fn read(arguments: &[PathBuf]) -> (Option<Bare>, String) {
    let mut err = Vec::new();
    let bare = bare_files::read(arguments, Colour::Never, &mut err).expect("memory takes it all");
    (bare, String::from_utf8(err).expect("text"))
}

fn bare(folder: &str, texts: &[(&str, &str)]) -> Bare {
    let (bare, err) = read(&files(folder, texts));
    bare.unwrap_or_else(|| panic!("{err}"))
}

fn play(bare: &Bare) -> Outcome {
    let mut world = Simulation::new(&bare.scenario, bare.configurations.clone(), 1);
    runner::run(&bare.scenario, &mut world, None, None)
}

fn verdict(outcome: &Outcome, id: PropertyId) -> Verdict {
    let judged = outcome.properties.iter().find(|judged| judged.report.id == id);
    judged.expect("every property is judged").report.verdict
}

fn instance(name: &str, vrid: u8, priority: u8, rest: &str) -> String {
    format!(
        "vrrp_instance {name} {{\n interface eth0\n virtual_router_id {vrid}\n \
         priority {priority}\n {rest}\n virtual_ipaddress {{\n 192.0.2.100/24\n }}\n}}\n"
    )
}

/// `eth0 lan 192.0.2.1/24`, a line per interface.
fn ports(scenario: &Scenario, host: &Host) -> Vec<String> {
    let port = |interface: &vipd_scenarios::scenario::Interface| {
        let segment = &scenario.segments[usize::from(interface.segment.0)].name;
        let addresses = interface.addresses.iter();
        let addresses: Vec<_> = addresses.map(|(at, len)| format!("{at}/{len}")).collect();
        format!("{} {segment} {}", interface.name, addresses.join(" "))
    };
    host.interfaces.iter().map(port).collect()
}

fn all_ports(bare: &Bare) -> Vec<(String, Vec<String>)> {
    let hosts = bare.scenario.hosts.iter();
    hosts.map(|host| (host.name.to_string(), ports(&bare.scenario, host))).collect()
}

#[test]
fn the_seed_s_two_files_are_a_pair_and_a_client_that_is_answered_all_the_time() {
    let seed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/seed");
    let (bare, err) = read(&[seed.join("director-1.conf"), seed.join("director-2.conf")]);
    let bare = bare.expect("it can be used");
    assert!(bare.remarks.is_empty() && !err.contains("note: director"), "{err}");
    let expected = [
        ("director-1", "ens192 lan 200.222.0.73/24"),
        ("director-2", "ens192 lan 200.222.0.74/24"),
        ("client", "eth0 lan 200.222.0.1/24"),
    ];
    let expected = expected.map(|(host, port)| (host.to_owned(), vec![port.to_owned()]));
    assert_eq!(all_ports(&bare), expected);
    let probe = bare.scenario.hosts[2].probe.expect("the client asks");
    assert_eq!(probe.address, "200.222.0.113".parse::<IpAddr>().expect("an address"));
    let outcome = play(&bare);
    for id in [PropertyId::S7, PropertyId::L4, PropertyId::L6] {
        assert_eq!(verdict(&outcome, id), Verdict::Held, "{id}");
    }
}

#[test]
fn what_bare_files_make_is_an_ordinary_scenario_file() {
    let bare = bare(
        "ordinary",
        &[
            ("lb1.conf", &instance("VI_1", 51, 200, "")),
            ("lb2.conf", &instance("VI_1", 51, 100, "")),
        ],
    );
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bare-ordinary");
    let text = bare.scenario.to_toml(&folder);
    let again = Scenario::parse(&folder.join("pair.toml"), &text);
    let again = again.unwrap_or_else(|mistakes| panic!("{mistakes}\n{text}"));
    assert_eq!(format!("{:?}", again.hosts.len()), "3");
    assert!(text.contains("config = \"lb1.conf\""), "{text}");
}

#[test]
fn where_an_address_answers_nobody_no_client_is_made_and_it_is_said_why() {
    let pair = |name: &str, globals: &str, rest: &str| {
        let file = |priority| format!("{globals}{}", instance("VI_1", 51, priority, rest));
        bare(name, &[("lb1.conf", &file(200)), ("lb2.conf", &file(100))])
    };
    let strict = "global_defs {\n vrrp_strict\n}\n";
    for (name, globals, rest) in [("strict", strict, ""), ("no-accept", "", "no_accept")] {
        let bare = pair(name, globals, rest);
        assert_eq!(bare.scenario.hosts.len(), 2, "{name}");
        let said = bare.remarks.last().expect("a remark");
        let wanted = "lan: no client is made, for 192.0.2.100 answers nobody while its master is \
                      without `accept` (`vrrp_strict` or `no_accept`)";
        assert_eq!(said, wanted, "{name}");
        let outcome = play(&bare);
        assert_eq!(verdict(&outcome, PropertyId::S7), Verdict::Held, "{name}");
        assert_ne!(verdict(&outcome, PropertyId::L6), Verdict::Violated, "{name}");
    }
    // Strict, and yet it answers.
    let bare = pair("strict-accept", strict, "accept");
    let probe = bare.scenario.hosts[2].probe.expect("the client asks");
    assert_eq!(probe.address, "192.0.2.100".parse::<IpAddr>().expect("an address"));
    assert_eq!(verdict(&play(&bare), PropertyId::L6), Verdict::Held);
}

#[test]
fn a_client_asks_an_address_that_answers_rather_than_one_that_does_not() {
    let file = |priority| {
        let deaf = instance("VI_1", 51, priority, "no_accept");
        let other = instance("VI_2", 52, priority, "").replace("192.0.2.100", "192.0.2.101");
        format!("{deaf}{other}")
    };
    let bare = bare("one-answers", &[("lb1.conf", &file(200)), ("lb2.conf", &file(100))]);
    let probe = bare.scenario.hosts[2].probe.expect("the client asks");
    assert_eq!(probe.address, "192.0.2.101".parse::<IpAddr>().expect("an address"));
    assert!(!bare.remarks.iter().any(|remark| remark.contains("no client")), "{:?}", bare.remarks);
}

#[test]
fn multicast_hosts_without_a_source_get_addresses_of_the_virtual_network_and_it_is_said() {
    let bare = bare(
        "made-up",
        &[
            ("lb1.conf", &instance("VI_1", 51, 200, "")),
            ("lb2.conf", &instance("VI_1", 51, 100, "mcast_src_ip 192.0.2.1")),
        ],
    );
    let hosts = all_ports(&bare);
    // 192.0.2.1 is the other one's.
    assert_eq!(hosts[0].1, ["eth0 lan 192.0.2.2/24"]);
    assert_eq!(hosts[1].1, ["eth0 lan 192.0.2.1/24"]);
    assert_eq!(hosts[2].1, ["eth0 lan 192.0.2.3/24"]);
    assert_eq!(bare.remarks.len(), 1);
    assert!(bare.remarks[0].starts_with("lb1 eth0: ") && bare.remarks[0].contains("192.0.2.2"));
    assert_eq!(verdict(&play(&bare), PropertyId::S7), Verdict::Held);
}

#[test]
fn a_unicast_host_without_a_source_is_the_peer_that_the_others_name() {
    let bare = bare(
        "guessed",
        &[
            ("lb1.conf", &instance("VI_1", 51, 200, "unicast_peer {\n 192.0.2.12\n }")),
            ("lb2.conf", &instance("VI_1", 51, 100, "unicast_peer {\n 192.0.2.11\n }")),
        ],
    );
    let hosts = all_ports(&bare);
    assert_eq!(hosts[0].1, ["eth0 lan 192.0.2.11/24"]);
    assert_eq!(hosts[1].1, ["eth0 lan 192.0.2.12/24"]);
    assert_eq!(bare.remarks.len(), 2, "{:?}", bare.remarks);
    let outcome = play(&bare);
    assert_eq!(verdict(&outcome, PropertyId::S7), Verdict::Held);
    assert_eq!(verdict(&outcome, PropertyId::S9), Verdict::NotExercised);
}

#[test]
fn two_files_that_say_the_same_source_are_remarked() {
    let same = "unicast_src_ip 192.0.2.11\n unicast_peer {\n 192.0.2.12\n }";
    let bare = bare(
        "same-source",
        &[
            ("lb1.conf", &instance("VI_1", 51, 200, same)),
            ("lb2.conf", &instance("VI_1", 51, 100, same)),
        ],
    );
    assert!(bare.remarks.iter().any(|remark| remark.ends_with("of 1 other file, too")));
}

#[test]
fn vrids_that_differ_for_one_address_are_on_one_segment_and_named_as_s9() {
    let bare = bare(
        "vrids",
        &[
            ("lb1.conf", &instance("VI_1", 51, 200, "mcast_src_ip 192.0.2.1")),
            ("lb2.conf", &instance("VI_1", 52, 100, "mcast_src_ip 192.0.2.2")),
        ],
    );
    assert_eq!(bare.scenario.segments.len(), 1);
    let remark = "lb1: no other file has VRID 51 (IPv4) of VI_1: nobody takes over from it; lb2 \
                  serves 192.0.2.100 with VRID 52 (IPv4)";
    assert_eq!(bare.remarks[0], remark);
    assert_eq!(verdict(&play(&bare), PropertyId::S9), Verdict::Held);
}

#[test]
fn files_that_share_nothing_are_alone_and_it_is_said() {
    let other = instance("VI_2", 7, 100, "").replace("192.0.2.100", "198.51.100.9");
    let bare =
        bare("alone", &[("lb1.conf", &instance("VI_1", 51, 200, "")), ("other.conf", &other)]);
    assert_eq!(bare.scenario.segments.len(), 2);
    assert!(bare.remarks.iter().any(|remark| remark.contains("it is alone")));
    // Each network has its own client.
    let names: Vec<_> = bare.scenario.hosts.iter().map(|host| &*host.name).collect();
    assert_eq!(names, ["lb1", "other", "client", "client-2"]);
}

#[test]
fn ipv6_routers_need_no_address_made_up_and_their_client_gets_one() {
    let file = |priority: u8| {
        format!(
            "vrrp_instance VI_6 {{\n interface eth1\n virtual_router_id 6\n priority {priority}\n \
             virtual_ipaddress {{\n fe80::6\n 2001:db8:1::100/64\n }}\n}}\n"
        )
    };
    let bare = bare("ipv6", &[("lb1.conf", &file(200)), ("lb2.conf", &file(100))]);
    let hosts = all_ports(&bare);
    assert_eq!(hosts[0].1, ["eth1 lan "]);
    assert!(bare.remarks.is_empty(), "{:?}", bare.remarks);
    assert_eq!(hosts[2].0, "client");
    let outcome = play(&bare);
    assert_eq!(verdict(&outcome, PropertyId::S7), Verdict::Held);
    assert_eq!(verdict(&outcome, PropertyId::L6), Verdict::Held);
}

#[test]
fn instances_of_two_networks_make_two_segments_and_a_sync_group_s_tracked_interface_is_there() {
    let file = |priority: u8| {
        let inside = instance("VI_1", 51, priority, "");
        let outside = instance("VI_2", 52, priority, "")
            .replace("eth0", "eth1")
            .replace("192.0.2.100", "198.51.100.100");
        let group = "vrrp_sync_group VG {\n group {\n VI_1\n VI_2\n }\n \
                     track_interface {\n eth2\n }\n}\n";
        format!("{inside}{outside}{group}")
    };
    let bare = bare("two-networks", &[("lb1.conf", &file(200)), ("lb2.conf", &file(100))]);
    let hosts = all_ports(&bare);
    let expected = ["eth0 lan 192.0.2.1/24", "eth1 lan-2 198.51.100.1/24", "eth2 lan-3 "];
    assert_eq!(hosts[0].1, expected);
    assert_eq!(hosts[1].1[2], "eth2 lan-3 ");
    assert_eq!(hosts.len(), 4, "a client on each network that has an address");
    let outcome = play(&bare);
    assert_eq!(verdict(&outcome, PropertyId::S7), Verdict::Held);
}

#[test]
fn the_same_file_twice_is_refused_with_the_way_out_and_two_names_make_two_hosts() {
    let text = format!(
        "@a $PRIORITY=200\n@b $PRIORITY=100\n{}",
        instance("VI_1", 51, 1, "").replace("priority 1", "priority $PRIORITY")
    );
    let path = files("twice", &[("pair.conf", &text)]).remove(0);
    let (none, err) = read(&[path.clone(), path.clone()]);
    assert!(none.is_none());
    assert!(err.contains("is given twice; name each host, as in `lb1="), "{err}");
    let named = |name: &str| PathBuf::from(format!("{name}={}", path.display()));
    let (two, err) = read(&[named("a"), named("b")]);
    let two = two.unwrap_or_else(|| panic!("{err}"));
    for (argument, said) in [
        ("a b=pair.conf", "there is no file `a b=pair.conf`, and `a b` is no name of a host"),
        ("=pair.conf", "`` is no name of a host: letters, digits, `-`, `_` and `.`"),
        ("a=", "there is no file after `a=`"),
    ] {
        let (none, err) = read(&[path.clone(), PathBuf::from(argument)]);
        assert!(none.is_none() && err.contains(said), "{argument}: {err}");
    }
    let priorities: Vec<_> =
        two.files.iter().map(|file| file.loaded.config.instances()[0].priority.get()).collect();
    assert_eq!(priorities, [200, 100]);
}

#[test]
fn files_of_one_name_are_told_apart_by_their_folders() {
    let bare = bare(
        "folders",
        &[
            ("lb1/keepalived.conf", &instance("VI_1", 51, 200, "")),
            ("lb2/keepalived.conf", &instance("VI_1", 51, 100, "")),
        ],
    );
    let names: Vec<_> = bare.files.iter().map(|file| &*file.name).collect();
    assert_eq!(names, ["lb1", "lb2"]);
    assert!(bare.remarks.iter().any(|remark| remark.contains("is of host lb1")));
}

#[test]
fn what_cannot_be_read_is_said_and_nothing_is_made() {
    let missing = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-such.conf");
    let (none, err) = read(&[missing]);
    assert!(none.is_none() && err.contains("no-such.conf"), "{err}");
    let broken = files("broken", &[("lb1.conf", "vrrp_instance VI_1 {\n priorty 100\n}\n")]);
    let (none, err) = read(&broken);
    assert!(none.is_none() && err.contains("priority"), "{err}");
    let empty = files("empty", &[("lb1.conf", "global_defs {\n}\n")]);
    let (none, err) = read(&empty);
    assert!(none.is_none() && err.contains("vrrp_instance"), "{err}");
    let many = vec![PathBuf::from("a.conf"); bare_files::MOST_FILES + 1];
    let (none, err) = read(&many);
    assert!(none.is_none() && err.contains("64 at most"), "{err}");
}

#[test]
fn a_hunt_over_files_that_do_not_fit_says_that_nobody_looked_for_two_masters() {
    let hunt = |folder: &str, password: &str| {
        let with = |own: &str| format!("authentication {{\n auth_type PASS\n auth_pass {own}\n }}");
        let (one, other) =
            (instance("VI_1", 51, 100, &with("one")), instance("VI_1", 51, 90, &with(password)));
        let files = files(folder, &[("a.conf", &one), ("b.conf", &other)]);
        let mut command = Command::new(env!("CARGO_BIN_EXE_vipsim"));
        command.args(["hunt", "--seeds", "2", "--first", "3", "--class", "pause", "--for", "3m"]);
        let output = command.arg("--conf").args(files).output().expect("vipsim runs");
        String::from_utf8(output.stdout).expect("text")
    };
    let remark = "S1 (two masters) was outside its conditions in every seed";
    assert!(!hunt("fits", "one").contains(remark));
    let text = hunt("fits-not", "other");
    let why = text.lines().find(|line| line.starts_with(remark)).expect("it is said");
    assert!(why.ends_with("b.conf --class pause --for 180s --seed 3"), "{why}");
}
