//! Rules across fields: each broken rule is found with its path, all of them in one go.

mod driver;

use driver::{ip, priority, v2, v3};
use std::time::Duration;
use vipd_engine::config::{ConfigRule, GroupConfig, MAX_PEERS, Peer, Transport, VirtualAddress};
use vipd_engine::{
    Config, Family, GroupName, InstanceConfig, InstanceName, Interval, Password, Profile, Rules,
    Version,
};

/// The broken rules of one instance, as `path: rule`.
fn broken(instance: InstanceConfig) -> Vec<String> {
    let errors = Config::new(vec![instance], vec![], Duration::ZERO).err().unwrap_or_default();
    errors.iter().map(ToString::to_string).collect()
}

fn unicast(peers: &[&str]) -> Transport {
    let peers = peers.iter().map(|peer| Peer::new(ip(peer))).collect();
    Transport::Unicast { source: Some(ip("10.0.0.2")), peers, ttl: 255 }
}

#[test]
fn a_valid_instance_breaks_no_rule() {
    assert!(broken(v2()).is_empty() && broken(v3(1)).is_empty());
}

#[test]
fn all_broken_rules_are_told_in_one_go() {
    let mut config = v3(10);
    config.password = Password::new(b"1111").ok();
    config.down_timer_adverts = 0;
    config.addresses.push(VirtualAddress::new(ip("10.0.0.100")));
    config.addresses.push(VirtualAddress::new(ip("2001:db8::1")));
    assert_eq!(
        broken(config),
        [
            "vrrp_instance VI_1 / authentication: VRRPv3 has no authentication",
            "vrrp_instance VI_1 / down_timer_adverts: the down timer needs at least one advert",
            "vrrp_instance VI_1 / virtual_ipaddress / 2: 10.0.0.100 stands here twice",
            "vrrp_instance VI_1 / virtual_ipaddress / 3: 2001:db8::1 is not of the family of the \
             first address",
        ]
    );
}

#[test]
fn version_2_is_for_ipv4_and_whole_seconds() {
    let config = InstanceConfig { interval: Interval::from_centiseconds(50).unwrap(), ..v2() };
    let fractions = "vrrp_instance VI_1 / advert_int: VRRPv2 carries whole seconds, 1 to 255";
    assert_eq!(broken(config), [fractions]);
    let mut config = InstanceConfig::new("VI_6", Family::Ipv6, "eth0", driver::vrid());
    config.version = Version::V2;
    let family = "vrrp_instance VI_6 / version: VRRPv2 exists for IPv4 only";
    assert_eq!(broken(config), [family]);
}

#[test]
fn unicast_has_peers_and_none_of_them_is_this_router() {
    let transport = |peers: &[&str]| InstanceConfig { transport: unicast(peers), ..v2() };
    assert_eq!(
        broken(transport(&[])),
        ["vrrp_instance VI_1 / unicast_peer: unicast needs at least one peer"]
    );
    assert_eq!(
        broken(transport(&["10.0.0.1", "10.0.0.2"])),
        ["vrrp_instance VI_1 / unicast_peer / 2: 10.0.0.2 is this router's own source"]
    );
    let peers: Vec<_> =
        (0..=MAX_PEERS).map(|last| format!("10.1.{}.{}", last / 256, last % 256)).collect();
    let peers: Vec<_> = peers.iter().map(String::as_str).collect();
    assert!(broken(transport(&peers[..MAX_PEERS])).is_empty());
    assert_eq!(
        broken(transport(&peers)),
        ["vrrp_instance VI_1 / unicast_peer: at most 255 unicast peers"]
    );
}

#[test]
fn an_advert_carries_at_most_255_ipv4_or_90_ipv6_addresses() {
    let mut config = v2();
    config.addresses = (0..256)
        .map(|last| format!("10.1.{}.{}", last / 256, last % 256))
        .map(|a| VirtualAddress::new(ip(&a)))
        .collect();
    assert_eq!(
        broken(config),
        ["vrrp_instance VI_1 / virtual_ipaddress: an advert carries at most 255"]
    );
    let mut config = InstanceConfig::new("VI_6", Family::Ipv6, "eth0", driver::vrid());
    config.addresses =
        (0..91).map(|last| VirtualAddress::new(ip(&format!("fe80::{last:x}")))).collect();
    assert_eq!(
        broken(config),
        ["vrrp_instance VI_6 / virtual_ipaddress: an advert carries at most 90"]
    );
}

#[test]
fn a_prefix_is_no_longer_than_an_address_of_its_family() {
    let with = |address: &str, prefix_len| {
        let family = Family::of(ip(address));
        let mut config = InstanceConfig::new("VI_1", family, "eth0", driver::vrid());
        config.addresses = vec![VirtualAddress { prefix_len, ..VirtualAddress::new(ip(address)) }];
        broken(config)
    };
    for (address, longest) in [("10.0.0.100", 32), ("fe80::100", 128)] {
        assert!(with(address, 0).is_empty() && with(address, longest).is_empty());
        let path = "vrrp_instance VI_1 / virtual_ipaddress / 1";
        let rule = ConfigRule::PrefixTooLong(longest);
        assert_eq!(with(address, longest + 1), [format!("{path}: {rule}")]);
    }
}

#[test]
fn the_first_ipv6_address_is_link_local_under_an_rfc_profile_only() {
    let mut config = InstanceConfig::new("VI_6", Family::Ipv6, "eth0", driver::vrid());
    config.addresses = vec![VirtualAddress::new(ip("2001:db8::1"))];
    assert!(broken(config.clone()).is_empty());
    config.rules = Rules::of(Profile::Rfc9568);
    assert_eq!(broken(config).len(), 1);
}

#[test]
fn two_instances_of_one_identity_are_refused_whatever_their_names() {
    let second = InstanceConfig { name: InstanceName::new("VI_2"), ..v2() };
    let second = InstanceConfig { priority: priority(50), ..second };
    let errors = Config::new(vec![v2(), second], vec![], Duration::ZERO).unwrap_err();
    assert_eq!(errors[0].rule, ConfigRule::SameIdentity(InstanceName::new("VI_1")));
    assert_eq!(errors.len(), 1);
}

#[test]
fn a_group_member_exists_and_is_in_one_group() {
    let group = |name: &str, members: &[&str]| GroupConfig {
        name: GroupName::new(name),
        members: members.iter().map(|member| InstanceName::new(member)).collect(),
        tracks: vec![],
        tracking_weight: false,
    };
    let groups = vec![group("G1", &["VI_1", "VI_9"]), group("G2", &["VI_1"])];
    let errors = Config::new(vec![v2()], groups, Duration::ZERO).unwrap_err();
    let rules: Vec<_> = errors.into_iter().map(|error| error.rule).collect();
    assert_eq!(
        rules,
        [
            ConfigRule::UnknownMember(InstanceName::new("VI_9")),
            ConfigRule::InTwoGroups(GroupName::new("G1")),
        ]
    );
}
