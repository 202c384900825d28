//! 136 golden, malformed and edge-case adverts, each at the receiver that its verdict supposes.
//!
//! `fixtures/vectors.json` has one vector a line: the message, the IP fields around it, the
//! receiver, what the RFCs say of it (`expect`, `rfc_verdict`, `discard_reason`), what deployed
//! routers did with it (`observed`), and in `rules` the profile under which `discard_reason` is
//! ours. `vector` reads them.

mod driver;
mod vector;

use std::net::IpAddr;

use driver::ip;
use vector::*;
use vipd_engine::config::{Peer, Transport};
use vipd_engine::rules::ChecksumForm;
use vipd_engine::vrrp::advert::AdvertView;
use vipd_engine::{Advert, DropReason, Family, InstanceConfig, Interval, Profile, Version, Vrid};

/// Vectors that are not for the engine, or not for its configuration as it stands.
fn is_special(vector: &Vector) -> bool {
    vector.ip_proto != 112 || vector.name == "v3-4-unicast-old-compat"
}

#[test]
fn each_vector_is_processed_or_discarded_for_its_reason_under_its_rules() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 136);
    assert_eq!(vectors.iter().filter(|vector| is_special(vector)).count(), 2);
    for vector in vectors.iter().filter(|vector| !is_special(vector)) {
        let config = vector.config(profile(&vector.rules));
        match vector.drop_reason() {
            Some(reason) => {
                assert_discarded(vector, config, reason);
            }
            None => {
                assert_processed(vector, config);
            }
        }
    }
}

/// The two faults that are a choice of the rules are left out, and so is v3 over IPv4 where the
/// checksum form of the vector is not the one of the profile: its checksum is the first fault then.
#[test]
fn a_fault_that_every_rfc_knows_is_discarded_under_every_profile() {
    for vector in vectors().iter().filter(|vector| !is_special(vector)) {
        let Some(reason) = vector.drop_reason() else { continue };
        if [DropReason::AddressList, DropReason::FirstAddress].contains(&reason) {
            continue;
        }
        let pseudo_header = vector.form() == ChecksumForm::PseudoHeader;
        for profile in Profile::ALL {
            let rfc9568_over_ipv4 = profile == Profile::Rfc9568 && vector.family() == Family::Ipv4;
            if rfc9568_over_ipv4 && vector.receiver.version == 3 && pseudo_header {
                continue;
            }
            assert_discarded(vector, vector.config(profile), reason);
        }
    }
}

#[test]
fn an_expected_learned_interval_is_the_one_in_the_message() {
    let vectors = vectors();
    let learned = vectors.iter().filter_map(|vector| {
        let text = vector.expect.strip_prefix("process:learn interval ")?.strip_suffix(" cs")?;
        Some((vector, text.parse().unwrap()))
    });
    let mut count = 0;
    for (vector, centiseconds) in learned {
        assert_eq!(vector.fields.max_adver_int_cs, Some(centiseconds), "{}", vector.name);
        count += 1;
    }
    assert_eq!(count, 10);
}

/// Discarding another address list, as RFC 3768 allows, makes two masters.
#[test]
fn where_the_drop_in_rules_process_another_address_list_they_name_it() {
    let names = [
        "bad-v2-list-mismatch",
        "edge-v2-list-mismatch-owner",
        "bad-v2-list-count-mismatch",
        "edge-v3-list-mismatch",
    ];
    for name in names {
        let vector = vector(name);
        let driver = assert_processed(&vector, vector.config(Profile::DropIn));
        assert_eq!(mismatches(&driver)[0], format!("{}: address list differs", vector.src));
    }
    let order = vector("edge-v3-list-order");
    let mut driver = backup(order.config(Profile::DropIn));
    order.deliver(&mut driver);
    assert_eq!(mismatches(&driver), <[String; 0]>::default());
    let interval = vector("order-list-before-interval");
    assert_discarded(&interval, interval.config(Profile::DropIn), DropReason::Interval);
}

#[test]
fn where_the_drop_in_rules_process_a_list_without_a_leading_link_local_they_name_it() {
    let vector = vector("bad-v3-6-no-linklocal-first");
    let driver = assert_processed(&vector, vector.config(Profile::DropIn));
    assert_eq!(mismatches(&driver)[0], "fe80::2: first IPv6 address is not link-local");
}

#[test]
fn a_peer_with_the_other_checksum_form_is_named_and_not_heard() {
    for (name, profile) in [
        ("v3-4-basic-noph", Profile::DropIn),
        ("v3-4-basic-noph", Profile::Rfc5798),
        ("v3-4-basic-ph", Profile::Rfc9568),
    ] {
        let vector = vector(name);
        let driver = assert_discarded(&vector, vector.config(profile), DropReason::Checksum);
        assert_eq!(mismatches(&driver), ["192.0.2.2: checksum form differs"]);
    }
}

#[test]
fn the_checksum_of_old_unicast_peers_is_accepted_only_from_a_peer_that_opted_in() {
    let vector = vector("v3-4-unicast-old-compat");
    let config = vector.config(Profile::DropIn);
    assert_discarded(&vector, config.clone(), DropReason::Checksum);

    let peer = |address: &str, old_unicast_checksum| Peer {
        old_unicast_checksum,
        ..Peer::new(ip(address))
    };
    let with = |peers| {
        let transport = Transport::Unicast { source: Some(ip(RECEIVER_V4)), peers, ttl: 255 };
        InstanceConfig { transport, ..config.clone() }
    };
    assert_processed(&vector, with(vec![peer("192.0.2.2", true)]));
    let other = with(vec![peer("192.0.2.2", false), peer("192.0.2.3", true)]);
    assert_discarded(&vector, other, DropReason::Checksum);
}

#[test]
fn an_advert_without_addresses_counts_in_v2_where_our_own_list_is_empty() {
    let vector = vector("bad-v2-count-0");
    let config = InstanceConfig { addresses: vec![], ..vector.config(Profile::DropIn) };
    assert_processed(&vector, config);
}

/// Valid messages that no engine of ours would send: reserved bits set, or octets that are to be
/// ignored.
const RECEIVED_ONLY: [&str; 5] = [
    "v2-auth0-nonzero-data",
    "v2-checksum-ffff-alias",
    "v3-4-rsvd-f",
    "v3-4-rsvd-8-interval-4095",
    "v3-6-rsvd-f",
];

#[test]
fn every_valid_message_is_emitted_octet_for_octet() {
    let mut emitted = 0;
    for vector in vectors().iter().filter(|vector| vector.valid && !is_special(vector)) {
        if RECEIVED_ONLY.contains(&vector.name.as_str()) || vector.name.starts_with("edge") {
            continue;
        }
        let config = vector.config(Profile::DropIn);
        let centiseconds = vector.fields.max_adver_int_cs;
        let advert = Advert {
            version: config.version,
            vrid: Vrid::new(i64::from(vector.fields.vrid)).unwrap(),
            priority: vector.fields.priority,
            interval: centiseconds.map_or(config.interval, |centiseconds| {
                Interval::from_centiseconds(i64::from(centiseconds)).unwrap()
            }),
            password: config.password,
            addresses: vector.fields.addresses.iter().map(|address| ip(address)).collect(),
        };
        let mut message = Vec::new();
        advert.emit(ip(&vector.src), ip(&vector.dst), vector.form(), &mut message);
        assert_eq!(message, vector.bytes(), "{}", vector.name);
        emitted += 1;
    }
    assert_eq!(emitted, 40);
}

#[test]
fn every_valid_message_is_read_field_by_field() {
    for vector in vectors().iter().filter(|vector| vector.valid) {
        let (name, fields, bytes) = (&vector.name, &vector.fields, vector.bytes());
        let version = if fields.version == 2 { Version::V2 } else { Version::V3 };
        let view = AdvertView::new(version, vector.family(), &bytes).unwrap();
        assert_eq!((view.vrid(), view.priority()), (fields.vrid, fields.priority), "{name}");
        assert_eq!(view.count(), fields.count, "{name}");
        let listed: Vec<IpAddr> = fields.addresses.iter().map(|address| ip(address)).collect();
        assert_eq!(view.addresses().collect::<Vec<_>>(), listed, "{name}");
        let interval = fields.adver_int_s.or(fields.max_adver_int_cs).unwrap();
        assert_eq!(view.interval_field(), interval, "{name}");
        assert_eq!(view.auth_type(), fields.auth_type.unwrap_or(0), "{name}");
        let data = fields.auth_data_hex.as_deref().map_or(vec![], octets);
        assert_eq!(view.auth_data(), data, "{name}");
    }
}
