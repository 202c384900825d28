//! Verdicts on machines that are written down: interfaces, settings, adverts.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;

use vipd_config::diagnostics::{Diagnostic, Diagnostics};
use vipd_config::text::InMemory;
use vipd_config::{Loaded, Options, Places};
use vipd_engine::rules::ChecksumForm;
use vipd_engine::{
    Advert, Ifindex, InterfaceName, Interval, Link, LinkState, MacAddress, Password, Version, Vrid,
};

use super::listening::{self, Heard};
use super::settings::Settings;
use super::{links, real_servers, settings};
use crate::netlink::Seen;

fn loaded(text: &str) -> (Loaded, Places) {
    let files = InMemory::new().with("/v.conf", text);
    let read = vipd_config::locate_from(&files, Path::new("/v.conf"), &Options::default());
    read.unwrap_or_else(|report| panic!("{report}"))
}

/// Severity, code, line and message of each finding.
fn lines(found: &Diagnostics, loaded: &Loaded) -> Vec<String> {
    let line = |one: &Diagnostic| {
        let sources = &loaded.report.sources;
        let at = one.span.map_or(0, |span| sources.position(span).line);
        format!("{:?} {} {at} {}", one.severity, one.code, one.message)
    };
    found.iter().map(line).collect()
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// A machine with these interfaces, and addresses `INDEX ADDRESS LENGTH`.
fn machine(links: &[(&str, LinkState)], addresses: &[(u32, &str, u8)]) -> Seen {
    let link = |(index, (name, state)): (u32, &(&str, LinkState))| Link {
        interface: Ifindex(index),
        name: InterfaceName::new(name),
        mac: MacAddress([2, 0, 0, 0, 0, index as u8]),
        state: *state,
    };
    let address = |(index, text, length): &(u32, &str, u8)| (Ifindex(*index), ip(text), *length);
    Seen {
        links: (1..).zip(links).map(link).collect(),
        addresses: addresses.iter().map(address).collect(),
    }
}

fn director() -> Seen {
    let links = [("lo", LinkState::Up), ("eth0", LinkState::Up), ("eth1", LinkState::Down)];
    machine(&links, &[(1, "127.0.0.1", 8), (2, "192.0.2.11", 24), (3, "198.51.100.1", 24)])
}

fn instance(more: &str) -> String {
    format!(
        "vrrp_instance VI_1 {{\ninterface eth0\nvirtual_router_id 51\npriority 100\nadvert_int 1\n\
         virtual_ipaddress {{\n192.0.2.100\n}}\n{more}\n}}\n"
    )
}

fn of_links(seen: &Seen, text: &str) -> Vec<String> {
    let (loaded, places) = loaded(text);
    lines(&links::judge(seen, &loaded.config, &places), &loaded)
}

#[test]
fn a_machine_that_has_what_the_file_names_is_fine() {
    assert_eq!(of_links(&director(), &instance("mcast_src_ip 192.0.2.11")), [""; 0]);
}

#[test]
fn an_interface_that_is_missing_is_told_where_it_is_named_with_those_that_are_there() {
    let text =
        instance("track_interface {\neth7\n}").replace("192.0.2.100", "192.0.2.100 dev eth8");
    let text = text.replace("interface eth0", "interface eth9");
    assert_eq!(
        of_links(&director(), &text),
        [
            "Error no-interface 2 there is no interface `eth9` on this machine",
            "Error no-interface 7 there is no interface `eth8` on this machine",
            "Error no-interface 9 there is no interface `eth7` on this machine",
        ]
    );
    let (loaded, places) = loaded(&text);
    let found = links::judge(&director(), &loaded.config, &places);
    let help = found.iter().find_map(|one| one.help.clone());
    assert_eq!(help.as_deref(), Some("there are lo, eth0, eth1"));
}

#[test]
fn the_macvlan_that_the_daemon_makes_is_not_missing() {
    let text = instance("use_vmac vrrp.51").replace("192.0.2.100", "192.0.2.100 dev vrrp.51");
    assert_eq!(of_links(&director(), &text), [""; 0]);
}

#[test]
fn an_interface_that_is_down_is_a_warning_unless_its_carrier_does_not_matter() {
    let text = instance("").replace("eth0", "eth1");
    let down = "Warning interface-down 2 the interface `eth1` is down, or has no carrier";
    assert_eq!(of_links(&director(), &text), [down]);
    let text = instance("dont_track_primary").replace("eth0", "eth1");
    assert_eq!(of_links(&director(), &text), [""; 0]);
}

#[test]
fn the_file_of_the_other_machine_is_recognised() {
    let text = instance("unicast_src_ip 192.0.2.12\nunicast_peer {\n192.0.2.11\n}");
    assert_eq!(
        of_links(&director(), &text),
        [
            "Error no-source 9 192.0.2.12 is not an address of this machine",
            "Warning peer-is-here 11 the peer 192.0.2.11 is this machine",
        ]
    );
}

#[test]
fn an_interface_without_an_address_to_send_from_is_an_error() {
    let ipv6 = instance("").replace("192.0.2.100", "fe80::100");
    let said = of_links(&director(), &ipv6);
    let none = "Error no-source 2 `eth0` has no IPv6 link-local address to send adverts from";
    assert_eq!(said, [none]);
}

/// What /proc/sys of a machine has.
#[derive(Default)]
struct Written {
    values: BTreeMap<&'static str, i64>,
    is_read_only: bool,
}

impl Settings for Written {
    fn get(&self, path: &str) -> Option<i64> {
        self.values.get(path).copied()
    }

    fn is_read_only(&self, _: &str) -> bool {
        self.is_read_only
    }
}

fn written<const N: usize>(values: [(&'static str, i64); N]) -> Written {
    Written { values: BTreeMap::from(values), is_read_only: false }
}

fn of_settings(settings: &Written, seen: &Seen, text: &str) -> Vec<String> {
    let (loaded, places) = loaded(text);
    let mut found = settings::judge(settings, seen, &loaded.config, &places);
    found.extend(real_servers::judge(settings, seen, &loaded.config, &places));
    lines(&found, &loaded)
}

#[test]
fn strict_filtering_of_sources_matters_for_a_macvlan_and_where_two_interfaces_share_a_network() {
    let strict = written([("net/ipv4/conf/all/rp_filter", 1)]);
    assert_eq!(of_settings(&strict, &director(), &instance("")), [""; 0]);
    let said = of_settings(&strict, &director(), &instance("use_vmac"));
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with("Warning rp-filter 9 net.ipv4.conf.all.rp_filter is 1"),
        "{said:?}"
    );
    let links = [("eth0", LinkState::Up), ("eth1", LinkState::Up)];
    let both = machine(&links, &[(1, "192.0.2.11", 24), (2, "192.0.2.21", 24)]);
    let said = of_settings(&strict, &both, &instance(""));
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("`eth1` is in the same network"), "{said:?}");
    let single = machine(&links, &[(1, "192.0.2.11", 24), (2, "192.0.2.21", 32)]);
    assert_eq!(of_settings(&strict, &single, &instance("")), [""; 0], "no way leads by it");
    let loose = written([("net/ipv4/conf/all/rp_filter", 1), ("net/ipv4/conf/eth0/rp_filter", 2)]);
    assert_eq!(of_settings(&loose, &both, &instance("")), [""; 0], "the greater one counts");
}

#[test]
fn what_the_daemon_sets_for_a_macvlan_matters_only_if_nobody_can_set_it() {
    let text = instance("use_vmac");
    assert_eq!(of_settings(&written([]), &director(), &text), [""; 0]);
    let sealed = Written { is_read_only: true, ..written([]) };
    let said = of_settings(&sealed, &director(), &text);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said.iter().all(|one| one.contains("/proc/sys is read-only")), "{said:?}");
    let mute = written([("net/ipv4/conf/eth0/arp_ignore", 8)]);
    let said = of_settings(&mute, &director(), &instance(""));
    assert_eq!(
        said,
        ["Warning arp-setting 2 arp_ignore is 8: nobody is told where an address of `eth0` is"]
    );
}

fn server(more: &str, real: &str) -> String {
    format!(
        "virtual_server 192.0.2.100 80 {{\nlb_kind DR\nprotocol TCP\n{more}\n\
         real_server {real} 80 {{\ninhibit_on_failure\nTCP_CHECK\n{{\n}}\n}}\n}}\n"
    )
}

#[test]
fn persistence_that_outlives_a_failed_server_is_told_where_ipvs_is_there() {
    let off = written([("net/ipv4/vs/expire_quiescent_template", 0)]);
    let persistent = server("persistence_timeout 600", "192.0.2.21");
    let said = of_settings(&off, &director(), &persistent);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with("Warning persistence-setting 1 with inhibit_on_failure"),
        "{said:?}"
    );
    for fine in [written([("net/ipv4/vs/expire_quiescent_template", 1)]), written([])] {
        assert_eq!(of_settings(&fine, &director(), &persistent), [""; 0]);
    }
    assert_eq!(of_settings(&off, &director(), &server("", "192.0.2.21")), [""; 0]);
}

#[test]
fn a_real_server_that_is_this_machine_needs_the_address_on_lo_and_must_not_answer_for_it() {
    let text = format!("{}{}", server("", "192.0.2.11"), instance(""));
    let said = of_settings(&written([]), &director(), &text);
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said[0].starts_with("Warning real-server-here 5 "), "{said:?}");
    assert!(said[0].contains("192.0.2.100 is not on `lo`"), "{said:?}");
    assert!(said[1].contains("arp_ignore of `eth0` is 0"), "{said:?}");
    assert!(said[2].contains("arp_announce of `eth0` is 0"), "{said:?}");
    let right =
        written([("net/ipv4/conf/all/arp_ignore", 1), ("net/ipv4/conf/eth0/arp_announce", 2)]);
    let mut ready = director();
    // As master it has the address on `eth0`, for as long as it is.
    ready.addresses.push((Ifindex(2), ip("192.0.2.100"), 32));
    assert_eq!(of_settings(&right, &ready, &text).len(), 1);
    ready.addresses.push((Ifindex(1), ip("192.0.2.100"), 32));
    assert_eq!(of_settings(&right, &ready, &text), [""; 0]);
    let translated = text.replace("lb_kind DR", "lb_kind NAT");
    assert_eq!(of_settings(&written([]), &director(), &translated), [""; 0]);
}

/// A v2 advert of VRID 51 by 192.0.2.12, as it is on the wire.
fn advert(priority: u8, change: impl Fn(&mut Advert)) -> Heard {
    let (src, dst) = (ip("192.0.2.12"), ip("224.0.0.18"));
    let mut advert = Advert {
        version: Version::V2,
        vrid: Vrid::new(51).expect("in range"),
        priority,
        interval: Interval::DEFAULT,
        password: None,
        addresses: [ip("192.0.2.100")].into(),
    };
    change(&mut advert);
    let mut bytes = Vec::new();
    advert.emit(src, dst, ChecksumForm::MessageOnly, &mut bytes);
    Heard { interface: Ifindex(2), src, dst, ttl: 255, bytes }
}

fn of_adverts<const N: usize>(heard: [Heard; N], text: &str) -> Vec<String> {
    let (loaded, places) = loaded(text);
    let found = listening::judge(&BTreeSet::from(heard), &director(), &loaded.config, &places);
    lines(&found, &loaded)
}

#[test]
fn a_master_that_agrees_is_a_note_that_says_what_would_come_of_it() {
    let who = "Note other-master 3 192.0.2.12 advertises VRID 51 with priority";
    let backup = format!("{who} 150; this machine would be its backup");
    assert_eq!(of_adverts([advert(150, |_| ())], &instance("")), [backup]);
    let over = format!("{who} 50; this machine would take over");
    assert_eq!(of_adverts([advert(50, |_| ())], &instance("")), [over]);
    let alone = format!("{who} 50; this machine would leave it alone (nopreempt)");
    assert_eq!(of_adverts([advert(50, |_| ())], &instance("nopreempt")), [alone]);
}

#[test]
fn what_would_put_it_into_fault_makes_it_no_less_a_listener_and_its_own_adverts_are_nobodys() {
    let busy = instance("use_vmac\ntrack_interface {\neth1\n}");
    let said = of_adverts([advert(150, |_| ())], &busy);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("this machine would be its backup"), "{said:?}");
    let own = Heard { src: ip("192.0.2.11"), ..advert(150, |_| ()) };
    assert_eq!(of_adverts([own], &instance("")), [""; 0]);
}

#[test]
fn a_master_whose_adverts_do_not_count_is_a_warning_with_the_engines_reason() {
    let of = |change: fn(&mut Advert), text: &str| of_adverts([advert(150, change)], text);
    let who = "192.0.2.12 advertises VRID 51 with priority 150, and its adverts would be dropped";
    let password = Password::new(b"secret").expect("short");
    let with_password = instance("authentication {\nauth_type PASS\nauth_pass 1111\n}");
    let heard = advert(150, |advert| advert.password = Some(password));
    assert_eq!(
        of_adverts([heard], &with_password),
        [format!("Warning other-master 11 {who} (auth_data: password differs)")]
    );
    let slow = |advert: &mut Advert| advert.interval = Interval::from_seconds(3).expect("in range");
    assert_eq!(
        of(slow, &instance("")),
        [format!("Warning other-master 5 {who} (interval: interval differs (theirs is 3 s))")]
    );
    let newer = |advert: &mut Advert| advert.version = Version::V3;
    assert_eq!(
        of(newer, &instance("")),
        [format!("Warning other-master 1 {who} (version: version differs (theirs is 3))")]
    );
}

#[test]
fn a_router_with_other_addresses_is_a_warning_and_one_with_another_vrid_is_nothing() {
    let other = |advert: &mut Advert| advert.addresses = [ip("192.0.2.200")].into();
    let said = of_adverts([advert(150, other)], &instance(""));
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with("Warning other-master 6 "), "{said:?}");
    assert!(said[0].contains("address list differs"), "{said:?}");
    let stranger = |advert: &mut Advert| advert.vrid = Vrid::new(52).expect("in range");
    assert_eq!(of_adverts([advert(150, stranger)], &instance("")), [""; 0]);
}

#[test]
fn a_master_may_be_silent_for_three_intervals_and_nobody_waits_for_ever() {
    let seconds =
        |text: &str| listening::long_enough(&loaded(text).0.config).map(|time| time.as_secs_f32());
    assert_eq!(seconds(&instance("")), Some(3.5));
    assert_eq!(seconds(&instance("").replace("advert_int 1", "advert_int 200")), Some(30.0));
    assert_eq!(seconds(""), None);
}
