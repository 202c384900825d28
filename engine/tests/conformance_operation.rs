//! Announcements, many virtual routers, counters, events and hostile input, one row of
//! `requirements.toml` a case.

mod driver;
mod vector;

use std::net::IpAddr;
use std::time::Duration;

use driver::*;
use vipd_engine::config::{Announcements, VirtualAddress};
use vipd_engine::rules::ChecksumForm;
use vipd_engine::{
    Advert, Frame, Ifindex, Input, InstanceConfig, InstanceName, InterfaceName, Interval,
    LinkState, LocalAddress, Output, Outputs, Password, Profile, Received, Rules, StateKind,
    Timestamp, Version, Vrid,
};

const SECOND: Duration = Duration::from_secs(1);
/// 3 A + Skew_Time of priority 100 at one second.
const DOWN: Duration = Duration::from_nanos(3_609_375_000);

fn at(duration: Duration) -> Timestamp {
    Timestamp::ZERO + duration
}

fn announced(driver: &Driver) -> Vec<(Timestamp, IpAddr)> {
    let frames = driver.frames().into_iter();
    let announced = frames.filter_map(|(at, frame)| match frame {
        Frame::GratuitousArp(announcement) | Frame::UnsolicitedNa(announcement) => {
            Some((at, announcement.address))
        }
        Frame::Advert(_) => None,
    });
    announced.collect()
}

/// GARP-COUNT
#[test]
fn number_delay_and_interval_of_gratuitous_arps_are_configured() {
    let announcements = Announcements {
        delay: SECOND * 2,
        repeat: 3,
        refresh: Some(SECOND * 7),
        refresh_repeat: 2,
        ..Announcements::default()
    };
    let mut driver = Driver::new(InstanceConfig { announcements, ..v2() });
    driver.run_until(at(DOWN + SECOND * 7));
    let times: Vec<_> = announced(&driver).into_iter().map(|(time, _)| time).collect();
    let mut expected = vec![at(DOWN); 3];
    expected.extend([at(DOWN + SECOND * 2); 3]);
    expected.extend([at(DOWN + SECOND * 7); 2]);
    assert_eq!(times, expected);
}

#[test]
fn an_address_is_announced_once_the_machine_has_it_and_not_before() {
    let mut cases = under_each_profile("ARP-8.1.2-DELAY", &v2());
    cases.extend(under_each_profile("ND-DELAY", &v6()));
    for (row, config) in cases {
        let mut driver = Driver::new(config);
        driver.kernel = Answer::Silent;
        driver.run_until(at(DOWN + SECOND / 2));
        assert_eq!(driver.state(), StateKind::Master, "{row}");
        assert!(announced(&driver).is_empty(), "{row}");
        let asked = driver.log.iter().filter_map(|(_, output)| match output {
            Output::Kernel { id, .. } => Some(*id),
            Output::Send { .. } | Output::Notify(_) | Output::Probe(_) | Output::Ipvs(_) => None,
        });
        let asked: Vec<_> = asked.collect();
        driver.kernel = Answer::Ok;
        for id in asked {
            driver.handle(Input::Done { id, result: Ok(()) });
        }
        let first = announced(&driver).first().map(|(time, _)| *time);
        assert_eq!(first, Some(at(DOWN + SECOND / 2)), "{row}");
    }
}

/// ARP-8.1.2-CFG
#[test]
fn an_address_that_a_master_is_given_is_announced_at_once() {
    let mut driver = Driver::new(v2());
    driver.run_until(at(DOWN + SECOND * 10));
    driver.log.clear();
    let mut config = v2();
    config.addresses.push(VirtualAddress::new(ip("10.0.0.101")));
    driver.configure(vec![config], vec![]);
    let announced = announced(&driver);
    assert_eq!(announced.first(), Some(&(at(DOWN + SECOND * 10), ip("10.0.0.101"))));
}

#[test]
fn neighbour_advertisements_of_one_address_are_a_second_apart_under_the_rfcs() {
    for profile in [Profile::Rfc5798, Profile::Rfc9568] {
        let row = "ND-UNA-RATE";
        let mut driver = Driver::new(InstanceConfig { rules: Rules::of(profile), ..v6() });
        driver.run_until(at(DOWN + SECOND * 200));
        let (first, second) = (ip("fe80::10"), ip("fd00:99::10"));
        for address in [first, second] {
            let sent = announced(&driver).into_iter().filter(|(_, it)| *it == address);
            let times: Vec<_> = sent.map(|(time, _)| time).collect();
            assert!(times.len() >= 2, "{row}");
            assert!(times.windows(2).all(|pair| pair[1] >= pair[0] + SECOND), "{row}: {times:?}");
        }
    }
}

/// MULTI-1
#[test]
fn all_255_vrids_of_both_families_elect_independently() {
    let mut instances = Vec::new();
    for id in 1..=255 {
        let own = |config: InstanceConfig, name: String, address: String| InstanceConfig {
            name: InstanceName::new(&name),
            vrid: Vrid::new(id).unwrap(),
            priority: priority(id.min(254)),
            addresses: vec![VirtualAddress::new(ip(&address))],
            ..config
        };
        instances.push(own(v2(), format!("V4_{id}"), format!("10.1.0.{id}")));
        instances.push(own(v6(), format!("V6_{id}"), format!("fe80::1:{id:x}")));
    }
    let mut driver = Driver::unconfigured();
    driver.configure(instances, vec![]);
    assert_eq!(driver.states().len(), 510);
    driver.run_until(at(SECOND * 4));
    let mut firsts: Vec<_> = Vec::new();
    for (time, frame) in driver.frames() {
        if let Frame::Advert(frame) = frame {
            let id = u64::from(frame.advert.vrid.get());
            // 3 s and (256 - priority) / 256 s.
            let skew = (256 - id.min(254)) * 1_000_000_000 / 256;
            if !firsts.contains(&(id, frame.src)) {
                assert_eq!(time, at(SECOND * 3 + nanos(skew)), "VRID {id}");
                firsts.push((id, frame.src));
            }
        }
    }
    assert_eq!(firsts.len(), 510);
}

fn hear_on(driver: &mut Driver, interface: Ifindex, heard: u8) {
    let advert = Advert {
        version: Version::V2,
        vrid: vrid(),
        priority: heard,
        interval: Interval::DEFAULT,
        password: None,
        addresses: [ip("10.0.0.100")].into(),
    };
    let (src, dst) = (ip("10.0.0.1"), ip("224.0.0.18"));
    let mut bytes = Vec::new();
    advert.emit(src, dst, ChecksumForm::MessageOnly, &mut bytes);
    driver.handle(Input::Advert(Received { interface, src, dst, ttl: 255, bytes: &bytes }));
}

/// MULTI-2
#[test]
fn one_vrid_on_two_links_is_two_virtual_routers() {
    let mut driver = Driver::unconfigured();
    let eth1 = Ifindex(3);
    driver.link_of(eth1, "eth1", LinkState::Up);
    let address = LocalAddress { interface: eth1, address: ip("10.2.0.2"), present: true };
    driver.handle(Input::LocalAddress(address));
    let other = InstanceConfig {
        name: InstanceName::new("VI_2"),
        interface: InterfaceName::new("eth1"),
        addresses: vec![VirtualAddress::new(ip("10.2.0.100"))],
        ..v2()
    };
    driver.configure(vec![v2(), other], vec![]);
    driver.run_until(at(SECOND));
    hear_on(&mut driver, ETH0, 150);
    driver.run_until(at(DOWN));
    assert_eq!(driver.states(), [StateKind::Backup, StateKind::Master]);
    let sent = driver.frames().into_iter().filter_map(|(_, frame)| match frame {
        Frame::Advert(frame) => Some(frame.interface),
        Frame::GratuitousArp(_) | Frame::UnsolicitedNa(_) => None,
    });
    assert_eq!(sent.collect::<Vec<_>>(), [eth1]);
}

/// MULTI-3
#[test]
fn one_vrid_in_two_families_is_two_virtual_routers() {
    let mut driver = Driver::unconfigured();
    driver.configure(vec![v2(), v6()], vec![]);
    driver.run_until(at(SECOND));
    hear_on(&mut driver, ETH0, 150);
    driver.run_until(at(DOWN));
    assert_eq!(driver.states(), [StateKind::Backup, StateKind::Master]);
}

/// MIB-6527-PRI0
#[test]
fn priority_zero_is_counted_where_it_is_sent_and_where_it_is_received() {
    let mut sender = Driver::new(v2());
    // Four adverts with the priority of this router, and one with 0.
    sender.run_until(at(DOWN + 3 * SECOND));
    sender.kernel = Answer::Silent;
    sender.handle(Input::Shutdown);
    let sent = sender.engine.status().instances().next().unwrap().counters().sent;
    assert_eq!(sent, 5);
    let counters = |driver: &Driver| {
        let status = driver.engine.status();
        let counters = status.instances().next().unwrap().counters().clone();
        (counters.sent_priority_zero, counters.received_priority_zero)
    };
    assert_eq!(counters(&sender), (1, 0));
    let mut receiver = Driver::new(v2());
    receiver.hear("10.0.0.1", 0);
    assert_eq!(counters(&receiver), (0, 1));
}

/// The reason of the last change of state.
fn why(driver: &Driver) -> String {
    driver.engine.status().instances().next().unwrap().why().to_string()
}

/// MIB-6527-REASON
#[test]
fn a_new_master_says_why_it_is_one() {
    let mut resigned = Driver::new(v2());
    resigned.hear("10.0.0.1", 150);
    resigned.hear("10.0.0.1", 0);
    resigned.run_for(SECOND);
    assert_eq!(why(&resigned), "10.0.0.1 resigned");
    let mut silent = Driver::new(v2());
    silent.hear("10.0.0.1", 150);
    silent.run_for(DOWN);
    assert_eq!(why(&silent), "no master heard for 3.609375 s");
    let mut preempting = Driver::new(v2());
    preempting.run_until(at(SECOND * 3));
    preempting.hear("10.0.0.1", 50);
    preempting.run_until(at(DOWN));
    assert_eq!(why(&preempting), "preempts 10.0.0.1 with priority 50");
}

/// V3-7.1-INT
#[test]
fn another_interval_in_v3_counts_and_is_told_once() {
    let mut driver = Driver::new(v3(100));
    let advert = Advert {
        version: Version::V3,
        vrid: vrid(),
        priority: 150,
        interval: Interval::from_centiseconds(200).unwrap(),
        password: None,
        addresses: [ip("10.0.0.100")].into(),
    };
    for _ in 0..100 {
        driver.hear_advert("10.0.0.1", &advert);
        driver.run_for(SECOND * 2);
    }
    let told = driver.news().into_iter().filter(|(_, name)| *name == "interval-learned");
    assert_eq!((driver.state(), told.count()), (StateKind::Backup, 1));
    assert_eq!(driver.engine.status().instances().next().unwrap().counters().received, 100);
}

/// MIB-6527-NOTIF
#[test]
fn a_new_master_and_a_protocol_error_are_events() {
    let mut driver = Driver::new(v2());
    driver.hear_bytes("10.0.0.1", ip("224.0.0.18"), 254, &[0x21, 51, 100, 0, 0, 1, 0, 0]);
    driver.run_until(at(DOWN));
    let lines = driver.take_lines();
    let one = |text: &str| assert_eq!(lines.iter().filter(|it| it.contains(text)).count(), 1);
    one("backup -> master");
    one("10.0.0.1: TTL is 254 instead of 255");
}

/// V2-7.1-NM
#[test]
fn every_kind_of_error_has_a_counter_that_can_be_read() {
    let driver = Driver::new(v2());
    let status = driver.engine.status();
    let names: Vec<_> = status.unclaimed().iter().map(|(reason, _)| reason.name()).collect();
    for name in ["ttl", "version", "type", "length", "checksum", "vrid", "auth_type", "interval"] {
        assert!(names.contains(&name), "{name}");
    }
}

#[test]
fn the_last_event_can_be_read() {
    let mut driver = Driver::new(v2());
    assert_eq!(why(&driver), "started");
    driver.run_until(at(DOWN));
    assert_eq!(why(&driver), "no master heard for 3.609375 s");
    driver.hear("10.0.0.1", 150);
    assert_eq!(why(&driver), "10.0.0.1 has priority 150");
    driver.link(LinkState::Down);
    assert_eq!(why(&driver), "link is down");
    driver.link(LinkState::Up);
    assert_eq!(why(&driver), "recovered");
    driver.address("10.0.0.2", false);
    assert_eq!(why(&driver), "interface has no address to send from");
    let owner = Driver::new(InstanceConfig { priority: priority(255), ..v2() });
    assert_eq!(why(&owner), "started as owner of the addresses");
}

/// SEC-NOCONF
#[test]
fn a_password_is_not_shown() {
    let password = Password::new(b"s3cr3t").ok();
    let mut driver = Driver::new(InstanceConfig { password, ..v2() });
    driver.run_until(at(DOWN));
    assert!(!driver.take_lines().iter().any(|line| line.contains("s3cr3t")));
    let shown = format!("{:?}", driver.config());
    assert!(!shown.contains("s3cr3t") && !shown.contains("[115, 51"));
}

/// SEC-MALFORM
#[test]
fn a_million_mutations_of_valid_adverts_crash_nothing_and_are_all_counted() {
    let golden: Vec<_> = vector::vectors().into_iter().filter(|it| it.valid).collect();
    let mut driver = Driver::new(v3(100));
    // xorshift: which advert, which octet, which bits.
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random as usize
    };
    let messages: Vec<_> = golden.iter().map(|it| (it.bytes(), ip(&it.src), ip(&it.dst))).collect();
    let mut out = Outputs::new();
    for _ in 0..1_000_000 {
        let (message, src, dst) = &messages[next() % messages.len()];
        let mut bytes = message.clone();
        let octet = next() % bytes.len();
        bytes[octet] ^= (1 + next() % 255) as u8;
        bytes.truncate(if next() % 4 == 0 { next() % (bytes.len() + 1) } else { bytes.len() });
        let received = Received { interface: ETH0, src: *src, dst: *dst, ttl: 255, bytes: &bytes };
        driver.engine.handle(driver.now, Input::Advert(received), &mut out);
        out.clear();
    }
    driver.engine.check_invariants();
    let status = driver.engine.status();
    let instance = status.instances().next().unwrap();
    let counters = instance.counters();
    let counted = counters.received + counters.drops.total() + status.unclaimed().total();
    assert_eq!(counted, 1_000_000);
    assert_eq!(instance.state(), StateKind::Backup);
}
