//! Whole files with the mistakes that real ones have: what is said about each, and what is made of
//! those that are used.

use std::path::Path;

use vipd_config::{Loaded, Options, Report, load};
use vipd_engine::config::{Tracked, Transport};
use vipd_engine::rules::{ChecksumForm, LowerPriorityRule};
use vipd_engine::{Family, Profile, Version};

fn read(name: &str) -> Result<Loaded, Box<Report>> {
    load(&Path::new("tests/corpus").join(name), &Options::default())
}

fn used(name: &str) -> Loaded {
    read(name).unwrap_or_else(|report| panic!("{report}"))
}

#[test]
fn a_pair_in_front_of_an_api_server_is_used_with_warnings() {
    let loaded = used("kubernetes-api.conf");
    insta::assert_snapshot!(loaded.report);
    insta::assert_debug_snapshot!(loaded.config);
    insta::assert_debug_snapshot!(loaded.trackers);
}

#[test]
fn an_old_director_is_refused_with_all_its_mistakes() {
    insta::assert_snapshot!(read("balancer.conf").unwrap_err());
}

#[test]
fn a_gateway_with_options_in_the_wrong_block_is_refused() {
    insta::assert_snapshot!(read("gateway.conf").unwrap_err());
}

#[test]
fn a_cloud_pair_without_an_address_is_used_with_warnings() {
    let loaded = used("cloud.conf");
    insta::assert_snapshot!(loaded.report);
    let [instance] = loaded.config.instances() else { panic!("one instance") };
    let Transport::Unicast { peers, .. } = &instance.transport else { panic!("unicast") };
    assert_eq!((peers[1].min_ttl, peers[1].max_ttl), (Some(60), Some(64)));
    assert_eq!(instance.password.unwrap().octets(), *b"6f0c2a34");
}

#[test]
fn the_shipped_default_is_used_strictly_with_warnings() {
    let loaded = used("shipped-default.conf");
    insta::assert_snapshot!(loaded.report);
    let [instance] = loaded.config.instances() else { panic!("one instance") };
    assert_eq!(instance.rules.profile, Profile::Rfc3768);
    assert_eq!(instance.rules.lower_priority, LowerPriorityRule::Silent);
    assert_eq!(instance.rules.checksum_sent, ChecksumForm::PseudoHeader);
    assert!(!instance.rules.accept && !instance.rules.yield_advert);
    assert_eq!(instance.password, None);
    assert_eq!((instance.announcements.repeat, instance.announcements.refresh), (1, None));
}

#[test]
fn the_same_gateway_without_its_mistakes_is_used() {
    let text = std::fs::read_to_string("tests/corpus/gateway.conf").unwrap();
    let text = text.replace("    garp_lower_prio_repeat 1\n", "");
    let text = text.replace("    garp_master_refresh 60\n", "");
    let files = vipd_config::text::InMemory::new().with("/gateway.conf", text);
    let loaded =
        vipd_config::load_from(&files, Path::new("/gateway.conf"), &Options::default()).unwrap();
    let [wan, lan6] = loaded.config.instances() else { panic!("two instances") };
    assert_eq!((wan.version, wan.interval.centiseconds()), (Version::V3, 10));
    let mac = wan.virtual_mac.as_ref().unwrap();
    assert_eq!((mac.interface.as_str(), mac.transmit_from_parent), ("vwan", true));
    assert_eq!(wan.announcements.refresh.unwrap().as_secs(), 30);
    assert_eq!(wan.excluded[0].interface.as_ref().unwrap().as_str(), "eth0");
    assert_eq!(lan6.family, Family::Ipv6);
    assert_eq!(lan6.virtual_mac.as_ref().unwrap().interface.as_str(), "vrrp6.10");
    assert_eq!(lan6.announcements.refresh, None);
    assert_eq!(lan6.preempt_delay.as_secs(), 30);
    let [group] = loaded.config.groups() else { panic!("one group") };
    assert_eq!(group.members.len(), 2);
    let Tracked::Interface(tracked) = &group.tracks[0].tracked else { panic!("an interface") };
    assert_eq!(tracked.as_str(), "eth2");
}
