//! The octets of the adverts that an instance sends (RFC 3768, 5798 and 9568 sections 5 and 7.2),
//! and the configurations that none can be sent for, one row of `requirements.toml` a case.

mod driver;

use std::time::Duration;

use driver::*;
use vipd_engine::config::{ConfigRule, VirtualAddress};
use vipd_engine::{
    Config, Frame, Ifindex, Input, InstanceConfig, Interval, LinkState, Password, Priority,
    Profile, Rules, Version, Vrid,
};

const SECOND: Duration = Duration::from_secs(1);

/// All that an instance sends from its start to its resignation, 3 s after its first advert.
fn messages(config: InstanceConfig) -> Vec<Vec<u8>> {
    let mut driver = Driver::new(config);
    let down = driver.deadline().unwrap();
    driver.run_until(down + SECOND * 3);
    driver.handle(Input::Shutdown);
    driver.messages()
}

fn assert_octets(row: &str, config: InstanceConfig, offset: usize, octets: &[u8]) {
    for message in messages(config) {
        assert_eq!(&message[offset..offset + octets.len()], octets, "{row}");
    }
}

fn addresses(count: usize, v6: bool) -> Vec<VirtualAddress> {
    let address = |n: usize| match v6 {
        true => format!("fe80::1:{n:x}"),
        false => format!("10.1.{}.{}", n / 256, n % 256),
    };
    (1..=count).map(|n| VirtualAddress::new(ip(&address(n)))).collect()
}

fn rules_broken(config: InstanceConfig) -> Vec<ConfigRule> {
    match Config::new(vec![config], vec![], Duration::ZERO) {
        Ok(_) => vec![],
        Err(errors) => errors.into_iter().map(|error| error.rule).collect(),
    }
}

#[test]
fn the_fixed_fields_are_the_configured_ones() {
    let owner =
        |config: &InstanceConfig| InstanceConfig { priority: priority(255), ..config.clone() };
    let cs = |centiseconds| v3(centiseconds);
    let slow =
        |seconds| InstanceConfig { interval: Interval::from_seconds(seconds).unwrap(), ..v2() };
    let rows: Vec<(&str, InstanceConfig, usize, &[u8])> = vec![
        ("V2-5.3.6-AUTHTX", v2(), 4, &[0]),
        ("V2-5.3.7-INTTX", v2(), 5, &[1]),
        ("V2-5.3.7-INTTX", slow(255), 5, &[255]),
        ("V3-5.2.6-RSVDTX", cs(1), 4, &[0x00]),
        ("V3-5.2.6-RSVDTX", cs(100), 4, &[0x00]),
        ("V3-5.2.6-RSVDTX", cs(4095), 4, &[0x0f]),
        ("V3-5.2.7-INT", cs(100), 4, &[0, 0x64]),
        ("V3-5.2.7-INT", cs(10), 4, &[0, 0x0a]),
        ("V3-5.2.7-INT", cs(1), 4, &[0, 1]),
        ("V3-5.2.7-INT", cs(4095), 4, &[0x0f, 0xff]),
        ("V2-5.3.9-ADDRS", v2(), 8, &[10, 0, 0, 100]),
        ("AUTH-2338-TYPES", v2(), 4, &[0]),
    ];
    for (row, config, offset, octets) in rows {
        for (row, config) in under_each_profile(row, &config) {
            assert_octets(row, config, offset, octets);
        }
    }
    for (row, config) in both("V2-5.3.4-PRI255", "V3-5.2.4-PRI255") {
        assert_eq!(priorities_before_the_last(&owner(&config)), [255; 4], "{row}");
    }
    let pass = InstanceConfig { password: Password::new(b"s3cr3t").ok(), ..v2() };
    assert_octets("AUTH-2338-TYPES", pass, 4, &[1]);
    let half = InstanceConfig { interval: Interval::from_centiseconds(50).unwrap(), ..v2() };
    assert_eq!(rules_broken(half), [ConfigRule::IntervalDoesNotFit(Version::V2)]);
}

/// The priorities sent before the resignation.
fn priorities_before_the_last(config: &InstanceConfig) -> Vec<u8> {
    let mut driver = Driver::new(config.clone());
    driver.run_until(driver.now + SECOND * 3);
    driver.handle(Input::Shutdown);
    let mut priorities: Vec<_> = driver.adverts().into_iter().map(|(_, own)| own).collect();
    assert_eq!(priorities.pop(), Some(0));
    priorities
}

#[test]
fn a_router_that_is_not_the_owner_uses_1_to_254() {
    for (row, config) in both("V2-5.3.4-PRI1-254", "V3-5.2.4-PRI1-254") {
        assert_eq!(messages(config)[0][2], 100, "{row}: nothing configured");
        assert!(Priority::new(0).is_err() && Priority::new(256).is_err(), "{row}");
        for (own, delta, sent) in [(10, -100, 1), (250, 100, 254), (254, 1, 254)] {
            assert_eq!(priority(own).adjusted(delta).get(), sent, "{row}");
        }
    }
}

#[test]
fn priority_zero_is_sent_once_and_only_by_a_master_that_stops() {
    for (row, config) in under_each_profile("V2-5.3.4-PRI0", &v2()) {
        let sent: Vec<_> = messages(config).into_iter().map(|message| message[2]).collect();
        assert_eq!(sent, [100, 100, 100, 100, 0], "{row}");
    }
}

#[test]
fn a_vrid_is_1_to_255_and_is_sent_as_it_is() {
    for (row, config) in both("V2-5.3.3-VRID", "V3-5.2.3-VRID") {
        assert!(Vrid::new(0).is_err() && Vrid::new(256).is_err(), "{row}");
        for id in [1, 51, 255] {
            let config = InstanceConfig { vrid: Vrid::new(id).unwrap(), ..config.clone() };
            assert_octets(row, config, 1, &[id as u8]);
        }
    }
}

/// V3-6.1-INTRANGE
#[test]
fn an_interval_of_v3_is_1_to_4095_centiseconds() {
    assert!(Interval::from_centiseconds(0).is_err());
    for (centiseconds, broken) in [(1, 0), (4095, 0), (4096, 1)] {
        let Ok(interval) = Interval::from_centiseconds(centiseconds) else {
            assert_eq!(broken, 1);
            continue;
        };
        let config = InstanceConfig { interval, ..v3(100) };
        assert_eq!(rules_broken(config).len(), broken, "{centiseconds}");
    }
}

#[test]
fn the_count_and_the_length_are_those_of_the_list() {
    for (row, config) in under_each_profile("V2-5.3.5-COUNT", &v2()) {
        for count in [1, 2, 20, 255] {
            let list = addresses(count, false);
            let message = &messages(InstanceConfig { addresses: list, ..config.clone() })[0];
            assert_eq!((message[3], message.len()), (count as u8, 8 + 4 * count + 8), "{row}");
        }
    }
    for (row, config) in under_each_profile("V3-5.2.5-COUNT", &v3(100)) {
        for count in [1, 3, 255] {
            let list = addresses(count, false);
            let message = &messages(InstanceConfig { addresses: list, ..config.clone() })[0];
            assert_eq!((message[3], message.len()), (count as u8, 8 + 4 * count), "{row}");
        }
    }
    for (row, config) in under_each_profile("V3-5.2.5-COUNT", &v6()) {
        for count in [1, 3, 90] {
            let list = addresses(count, true);
            let message = &messages(InstanceConfig { addresses: list, ..config.clone() })[0];
            assert_eq!((message[3], message.len()), (count as u8, 8 + 16 * count), "{row}");
        }
    }
}

#[test]
fn the_list_is_of_one_family_in_the_configured_order_and_the_last_thing_of_a_v3_message() {
    for row in ["V3-5.2.9-ADDRS", "V3-NOAUTH"] {
        for (row, config) in under_each_profile(row, &v3(100)) {
            for message in messages(config) {
                assert_eq!(message[8..], [10, 0, 0, 100], "{row}");
            }
        }
        for (row, config) in under_each_profile(row, &v6()) {
            for message in messages(config) {
                assert_eq!(message.len(), 8 + 2 * 16, "{row}");
                assert_eq!(message[8..10], [0xfe, 0x80], "{row}");
                assert_eq!(message[24..28], [0xfd, 0, 0, 0x99], "{row}");
            }
        }
        let mut mixed = v3(100);
        mixed.addresses.push(VirtualAddress::new(ip("fe80::10")));
        assert_eq!(rules_broken(mixed), [ConfigRule::FamilyDiffers(ip("fe80::10"))], "{row}");
    }
}

/// V3-5.2.9-LLFIRST
#[test]
fn the_first_ipv6_address_is_link_local_under_the_rfcs() {
    for profile in [Profile::Rfc5798, Profile::Rfc9568] {
        let mut config = InstanceConfig { rules: Rules::of(profile), ..v6() };
        assert_octets("", config.clone(), 8, &[0xfe, 0x80]);
        config.addresses.reverse();
        let broken = [ConfigRule::FirstAddressNotLinkLocal(ip("fd00:99::10"))];
        assert_eq!(rules_broken(config), broken);
    }
}

/// X-MTU
#[test]
fn a_list_that_does_not_fit_the_link_is_refused() {
    let of = |count| InstanceConfig { addresses: addresses(count, true), ..v6() };
    assert!(rules_broken(of(90)).is_empty());
    assert_eq!(rules_broken(of(91)), [ConfigRule::TooManyAddresses(90)]);
}

/// AUTH-2338-PASSTX
#[test]
fn a_password_is_zero_filled_in_the_last_eight_octets() {
    let texts: [(&[u8], [u8; 8]); 2] = [(b"s3cr3t", *b"s3cr3t\0\0"), (b"12345678", *b"12345678")];
    for (text, octets) in texts {
        let config = InstanceConfig { password: Password::new(text).ok(), ..v2() };
        for message in messages(config) {
            assert_eq!(message[12..], octets);
            assert_eq!(sum(&message), 0xffff, "the checksum covers them");
        }
    }
}

/// The ones-complement sum of RFC 1071.
fn sum(octets: &[u8]) -> u16 {
    let words = octets.chunks(2).map(|pair| u32::from(pair[0]) * 256 + u32::from(pair[1]));
    let sum: u32 = words.sum();
    ((sum & 0xffff) + (sum >> 16)) as u16
}

/// AUTH-2338-LONG
#[test]
fn a_password_of_nine_octets_is_none() {
    assert!(Password::new(b"123456789").is_err());
    assert!(Password::new(b"12345678").is_ok());
}

/// AUTH-V3
#[test]
fn a_password_in_v3_is_refused() {
    let config = InstanceConfig { password: Password::new(b"1111").ok(), ..v3(100) };
    assert_eq!(rules_broken(config), [ConfigRule::AuthenticationNeedsV2]);
}

/// AUTH-2338-PERIF
#[test]
fn two_virtual_routers_of_one_interface_have_their_own_passwords() {
    let password = Password::new(b"1111").ok();
    let second = InstanceConfig {
        name: vipd_engine::InstanceName::new("VI_2"),
        vrid: Vrid::new(52).unwrap(),
        addresses: addresses(1, false),
        password,
        ..v2()
    };
    let mut driver = Driver::unconfigured();
    driver.configure(vec![v2(), second], vec![]);
    driver.run_for(SECOND * 4);
    let types: Vec<_> = driver.messages().iter().map(|it| (it[1], it[4])).collect();
    assert_eq!(types, [(51, 0), (52, 1)]);
}

#[test]
fn a_change_of_the_configuration_stands_in_the_next_advert() {
    for (row, config) in both("V2-7.2-FILL", "V3-7.2-FILL") {
        let mut driver = Driver::new(config.clone());
        driver.run_for(SECOND * 4);
        driver.log.clear();
        let mut changed = InstanceConfig { priority: priority(77), ..config };
        changed.addresses.push(VirtualAddress::new(ip("10.0.0.101")));
        driver.configure(vec![changed], vec![]);
        driver.run_for(SECOND);
        let message = &driver.messages()[0];
        assert_eq!((message[2], message[3]), (77, 2), "{row}");
        assert_eq!(message[8..16], [10, 0, 0, 100, 10, 0, 0, 101], "{row}");
    }
}

/// Priority 150 for 10.99.0.10, from 10.99.0.1.
fn director(config: InstanceConfig) -> Vec<Vec<u8>> {
    let mut driver = Driver::unconfigured();
    driver.address("10.0.0.2", false);
    driver.address("10.99.0.1", true);
    let addresses = vec![VirtualAddress::new(ip("10.99.0.10"))];
    let config = InstanceConfig { priority: priority(150), addresses, ..config };
    driver.configure(vec![config], vec![]);
    driver.run_for(SECOND * 4);
    driver.handle(Input::Shutdown);
    driver.messages()
}

#[test]
fn every_advert_has_its_checksum_the_last_one_too() {
    for (row, config) in under_each_profile("V2-7.2-CSUM", &v2()) {
        let sent = director(config);
        let (first, last) = (sent.first().unwrap(), sent.last().unwrap());
        assert_eq!((&first[6..8], &last[6..8]), (&[0x3e, 0x5d][..], &[0xd4, 0x5d][..]), "{row}");
    }
    let cases = [(Profile::DropIn, [0x43, 0x07]), (Profile::Rfc5798, [0x43, 0x07])];
    for (profile, checksum) in cases {
        let config = InstanceConfig { rules: Rules::of(profile), ..v3(100) };
        assert_eq!(director(config)[0][6..8], checksum, "{}", "V3-7.2-CSUM");
    }
}

#[test]
fn adverts_go_to_the_group_on_the_one_interface() {
    let mut cases = both("V2-7.2-GROUP", "V3-7.2-GROUP");
    cases.extend(under_each_profile("V3-7.2-GROUP", &v6()));
    for (row, config) in cases {
        let mut driver = Driver::unconfigured();
        driver.link_of(Ifindex(3), "eth1", LinkState::Up);
        let group = if config.name.as_str() == "VI_6" { ip("ff02::12") } else { ip("224.0.0.18") };
        driver.configure(vec![config], vec![]);
        driver.run_for(SECOND * 10);
        let mut count = 0;
        for (_, frame) in driver.frames() {
            if let Frame::Advert(frame) = frame {
                assert_eq!((frame.interface, frame.dst), (ETH0, group), "{row}");
                count += 1;
            }
        }
        assert_eq!(count, 7, "{row}");
    }
}
