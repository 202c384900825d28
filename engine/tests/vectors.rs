//! 136 golden, malformed and edge-case adverts, each at the receiver that its verdict supposes.
//!
//! `fixtures/vectors.json` has one vector a line: the message, the IP fields around it, the
//! receiver, what the RFCs say of it (`expect`, `rfc`, `rfc_verdict`, `valid_under`,
//! `discard_reason`), what deployed routers did with it (`observed`), and in `under` what the
//! receiver does with it that keeps its version and addresses and takes the rules of a profile.
//! `vector` reads them, `vectors/oracle.rs` works out `under` once more, `vectors/page.rs` makes
//! `docs/vectors.md`.

mod driver;
mod vector;
mod vectors {
    pub mod oracle;
    pub mod page;
}

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use driver::ip;
use vector::*;
use vectors::{oracle, page};
use vipd_engine::config::{Peer, Transport};
use vipd_engine::vrrp::advert::AdvertView;
use vipd_engine::{Advert, DropReason, InstanceConfig, Interval, Profile, Version, Vrid};

fn report(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Every vector and profile, with what the fixture says of it.
fn cells(vectors: &[Vector]) -> impl Iterator<Item = (&Vector, Profile, &str)> {
    vectors.iter().flat_map(|vector| {
        assert_eq!(vector.under.len(), Profile::ALL.len(), "{}", vector.name);
        Profile::ALL.map(|profile| (vector, profile, vector.under[profile.name()].as_str()))
    })
}

#[test]
fn the_engine_does_with_each_vector_what_stands_under_each_profile() {
    let vectors = vectors();
    let (mut wrong, mut heard) = (Vec::new(), 0);
    for (vector, profile, expected) in cells(&vectors) {
        if vector.ip_proto != 112 {
            continue;
        }
        let (verdict, _) = hear(vector, vector.config(profile));
        if verdict != expected {
            let name = &vector.name;
            wrong.push(format!("{name} under {}: {verdict}, not {expected}", profile.name()));
        }
        heard += 1;
    }
    report(&wrong);
    assert_eq!((vectors.len(), heard), (136, 135 * 4));
}

/// It never reaches an engine: the test of the same vector in `frames` shows the drop.
#[test]
fn the_one_vector_of_another_ip_protocol_is_no_vrrp_under_any_profile() {
    let vectors = vectors();
    let others = cells(&vectors).filter(|(vector, ..)| vector.ip_proto != 112);
    let expected = others.map(|(vector, _, expected)| (vector.name.as_str(), expected));
    assert_eq!(expected.collect::<Vec<_>>(), [("bad-proto-113", "not_vrrp"); 4]);
}

#[test]
fn what_stands_under_each_profile_is_what_the_rfcs_say_of_its_faults() {
    let vectors = vectors();
    let mut wrong = Vec::new();
    for (vector, profile, expected) in cells(&vectors) {
        let verdict = oracle::verdict(vector, profile);
        if verdict != expected {
            let name = &vector.name;
            wrong.push(format!("{name} under {}: {verdict}, not {expected}", profile.name()));
        }
    }
    report(&wrong);
}

#[test]
fn no_profile_contradicts_the_verdict_of_its_own_rfc() {
    let vectors = vectors();
    let mut wrong = Vec::new();
    for (vector, profile, expected) in cells(&vectors) {
        let processed = expected == "process";
        if oracle::must_process(vector, profile).is_some_and(|must| must != processed) {
            wrong.push(format!("{} under {}: {expected}", vector.name, profile.name()));
        }
    }
    report(&wrong);
}

#[test]
fn the_committed_page_is_the_one_that_the_vectors_make() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/vectors.md");
    let page = page::page(&vectors());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &page).expect("a writable page");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let how = "run `UPDATE_DOCS=1 cargo test -p vipd-engine --test vectors`, commit";
    assert!(committed == page, "{how}");
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

/// Valid messages that no engine of ours would send: reserved bits set, octets that are to be
/// ignored, or the checksum of old unicast peers.
const RECEIVED_ONLY: [&str; 6] = [
    "v2-auth0-nonzero-data",
    "v2-checksum-ffff-alias",
    "v3-4-rsvd-f",
    "v3-4-rsvd-8-interval-4095",
    "v3-6-rsvd-f",
    "v3-4-unicast-old-compat",
];

#[test]
fn every_valid_message_is_emitted_octet_for_octet() {
    let mut emitted = 0;
    for vector in vectors().iter().filter(|vector| vector.valid) {
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
