//! The receive checks of the RFCs (section 7.1), one row of `requirements.toml` a case.
//!
//! Each case puts the row's vectors on the wire of a fresh backup: the one counter that the row
//! names goes up by one and no other, nothing is received, state and down timer stay as they were.

mod driver;
mod vector;

use driver::{Driver, ip, nanos, priority, v2, v3};
use vector::*;
use vipd_engine::rules::ChecksumRule;
use vipd_engine::{
    DropReason, Ifindex, Input, InstanceConfig, LinkState, Profile, Received, Rules, StateKind,
    Timestamp,
};

type Row = (&'static str, Profile, &'static [(&'static str, DropReason)]);

fn assert_rows(rows: &[Row]) {
    for (row, profile, vectors) in rows {
        for (name, reason) in *vectors {
            let vector = vector(name);
            let driver = assert_discarded(&vector, vector.config(*profile), *reason);
            assert_eq!(driver.drops(*reason), 1, "{row}: {name}");
            assert!(driver.adverts().is_empty(), "{row}: {name}");
        }
    }
}

/// The octets of the first advert that an instance sends.
fn first_message(config: InstanceConfig, profile: Profile) -> Vec<u8> {
    let mut driver = Driver::new(InstanceConfig { rules: Rules::of(profile), ..config });
    driver.run_for(nanos(3_609_375_000));
    driver.messages().remove(0)
}

#[test]
fn a_header_that_is_not_of_this_protocol_is_discarded() {
    use DropReason::{AddressCount, Length, Trailing, Ttl, Type, Version};
    use Profile::{DropIn, Rfc3768, Rfc5798, Rfc9568};
    assert_rows(&[
        (
            "V2-5.3.1-VER",
            Rfc3768,
            &[
                ("bad-version-0", Version),
                ("bad-version-1", Version),
                ("bad-version-4", Version),
                ("bad-version-15", Version),
                ("bad-v3-to-v2-receiver", Version),
            ],
        ),
        (
            "V3-5.2.1-VER",
            Rfc5798,
            &[("bad-v2-to-v3-receiver", Version), ("bad-v2-over-ipv6", Version)],
        ),
        ("COEX-OFF", Rfc9568, &[("bad-v2-to-v3-receiver", Version)]),
        (
            "V2-5.3.2-TYPE",
            Rfc3768,
            &[("bad-v2-type-0", Type), ("bad-v2-type-2", Type), ("bad-v2-type-15", Type)],
        ),
        (
            "V3-5.2.2-TYPE",
            Rfc5798,
            &[
                ("bad-v3-type-0", Type),
                ("bad-v3-type-2", Type),
                ("bad-v3-type-15", Type),
                ("bad-v3-6-type-2", Type),
            ],
        ),
        ("V3-5.1.1.3-TTL4RX", Rfc5798, &[("bad-v3-4-ttl-254", Ttl)]),
        ("V3-5.1.2.3-HLRX", Rfc5798, &[("bad-v3-6-hlim-254", Ttl), ("bad-v3-6-hlim-1", Ttl)]),
        ("SEC-TTL", DropIn, &[("bad-v2-ttl-254", Ttl)]),
        (
            "V3-5.2.5-COUNT0RX",
            DropIn,
            &[("bad-v3-count-0", AddressCount), ("bad-v3-6-count-0", AddressCount)],
        ),
        (
            "V3-5.2.9-FAMILY",
            Rfc5798,
            &[("bad-v3-4-ipv6-list", Trailing), ("bad-v3-6-ipv4-list", Length)],
        ),
    ]);
    // What we send ourselves is of the right version and type.
    assert_eq!(first_message(v2(), Rfc3768)[0], 0x21);
    assert_eq!(first_message(v3(100), Rfc5798)[0], 0x31);
}

#[test]
fn a_message_that_is_not_whole_is_discarded() {
    use DropReason::{Length, Trailing};
    use Profile::{Rfc3768, Rfc5798};
    assert_rows(&[
        (
            "V2-7.1-LEN",
            Rfc3768,
            &[
                ("bad-empty", Length),
                ("bad-len-1", Length),
                ("bad-len-7", Length),
                ("bad-v2-no-addresses", Length),
                ("bad-v2-no-authdata", Length),
                ("bad-v2-half-authdata", Length),
                ("bad-v2-count-high", Length),
                ("bad-v2-count-255", Length),
            ],
        ),
        ("X-CSUM-ODD", Rfc3768, &[("bad-len-7", Length)]),
        (
            "V3-7.1-LEN",
            Rfc5798,
            &[
                ("bad-v3-len-4", Length),
                ("bad-v3-no-addresses", Length),
                ("bad-v3-count-high", Length),
                ("bad-v3-6-half-address", Length),
                ("bad-v3-6-count-high", Length),
            ],
        ),
        (
            "X-7.1-TRAIL",
            Rfc3768,
            &[
                ("bad-v2-count-low", Trailing),
                ("bad-v2-trailing-4-summed", Trailing),
                ("bad-v2-trailing-4-unsummed", Trailing),
                ("bad-v3-trailing-8", Trailing),
            ],
        ),
        ("MIB-6527-LEN", Profile::DropIn, &[("bad-len-7", Length)]),
    ]);
}

#[test]
fn a_wrong_checksum_is_discarded() {
    use DropReason::Checksum;
    use Profile::{DropIn, Rfc3768, Rfc5798, Rfc9568};
    assert_rows(&[
        (
            "V2-7.1-CSUMRX",
            Rfc3768,
            &[("bad-v2-checksum-flip", Checksum), ("bad-v2-checksum-zero", Checksum)],
        ),
        (
            "V3-7.1-CSUMRX",
            Rfc5798,
            &[
                ("bad-v3-4-checksum-flip", Checksum),
                ("bad-v3-4-checksum-zero", Checksum),
                ("bad-v3-4-checksum-wrong-ph-dst", Checksum),
                ("bad-v3-6-checksum-flip", Checksum),
                ("bad-v3-6-checksum-noph", Checksum),
                ("bad-v3-6-checksum-nh58", Checksum),
            ],
        ),
        ("V3-5.2.8-CSUM6-DST", Rfc9568, &[("bad-v3-6-checksum-wrong-dst", Checksum)]),
        ("MIB-6527-CSUM", DropIn, &[("bad-v2-checksum-flip", Checksum)]),
    ]);
}

#[test]
fn an_advert_for_another_virtual_router_is_discarded() {
    use DropReason::{Destination, Vrid};
    use Profile::{DropIn, Rfc3768, Rfc5798};
    assert_rows(&[
        ("V2-7.1-VRID", Rfc3768, &[("bad-v2-vrid-unknown", Vrid), ("bad-v2-vrid-0", Vrid)]),
        ("V3-7.1-VRID", Rfc5798, &[("bad-v3-vrid-0", Vrid), ("bad-v3-6-vrid-unknown", Vrid)]),
        (
            "X-7.1-DST",
            DropIn,
            &[("bad-v2-dst-unicast", Destination), ("bad-v3-dst-unicast", Destination)],
        ),
    ]);
}

#[test]
fn an_advert_that_does_not_agree_with_the_configuration_is_discarded() {
    use DropReason::{AddressList, AuthData, AuthType, FirstAddress, Interval};
    use Profile::{DropIn, Rfc3768, Rfc9568};
    assert_rows(&[
        (
            "V2-5.3.6-AUTHUNK",
            Rfc3768,
            &[
                ("bad-v2-auth-type-3", AuthType),
                ("bad-v2-auth-type-254", AuthType),
                ("bad-v2-auth-unexpected-pass", AuthType),
                ("bad-v2-auth-missing", AuthType),
            ],
        ),
        ("AUTH-2338-AH", DropIn, &[("bad-v2-auth-ah-type", AuthType)]),
        (
            "AUTH-2338-PASSRX",
            DropIn,
            &[
                ("bad-v2-auth-wrong-password", AuthData),
                ("bad-v2-auth-unpadded", AuthData),
                ("bad-v2-auth-prefix", AuthData),
            ],
        ),
        (
            "AUTH-2338-MIS",
            DropIn,
            &[("bad-v2-auth-unexpected-pass", AuthType), ("bad-v2-auth-missing", AuthType)],
        ),
        (
            "V2-7.1-AUTH",
            Rfc3768,
            &[
                ("bad-v2-auth-unexpected-pass", AuthType),
                ("bad-v2-auth-missing", AuthType),
                ("bad-v2-auth-wrong-password", AuthData),
                ("bad-v2-auth-unpadded", AuthData),
                ("bad-v2-auth-prefix", AuthData),
                ("bad-v2-auth-ah-type", AuthType),
                ("bad-v2-auth-type-3", AuthType),
                ("bad-v2-auth-type-254", AuthType),
            ],
        ),
        (
            "V2-7.1-INT",
            Rfc3768,
            &[
                ("bad-v2-interval-2", Interval),
                ("bad-v2-interval-0", Interval),
                ("bad-v2-interval-mismatch-255", Interval),
            ],
        ),
        ("V2-6.1-NOLEARN", DropIn, &[("bad-v2-interval-2", Interval)]),
        ("V3-7.1-INT0", Rfc9568, &[("bad-v3-6-interval-0", Interval)]),
        ("V3-7.1-LLFIRST-RX", Rfc9568, &[("bad-v3-6-no-linklocal-first", FirstAddress)]),
        ("MIB-6527-LIST", Rfc3768, &[("bad-v2-list-mismatch", AddressList)]),
        ("MIB-6527-INT", DropIn, &[("bad-v2-interval-2", Interval)]),
    ]);
    // Over IPv4 the checksum of these two is the one of RFC 5798.
    for name in ["bad-v3-interval-0", "bad-v3-interval-0-rsvd-f"] {
        assert_discarded(&vector(name), vector(name).config(DropIn), Interval);
    }
}

#[test]
fn of_several_faults_the_first_in_the_order_of_the_rfc_is_the_reason() {
    use DropReason::{AddressList, AuthType, Checksum, Interval, Length, Ttl, Type, Version, Vrid};
    assert_rows(&[
        (
            "V2-7.1-ORDER",
            Profile::Rfc3768,
            &[
                ("order-ttl-before-version", Ttl),
                ("order-ttl-before-checksum", Ttl),
                ("order-version-before-length", Version),
                ("order-version-before-type", Version),
                ("order-length-before-checksum", Length),
                ("order-checksum-before-vrid", Checksum),
                ("order-vrid-before-auth", Vrid),
                ("order-auth-before-list", AuthType),
                ("order-list-before-interval", AddressList),
                ("order-owner-list-then-interval", Interval),
            ],
        ),
        ("MIB-6527-TYPE", Profile::DropIn, &[("bad-v2-type-2", Type)]),
    ]);
}

/// V3-7.1-ORDER: message after message has one fault less, from the TTL on.
#[test]
fn in_v3_a_fault_hides_all_that_come_after_it() {
    // An advert of v3 with every fault at once: 15 octets, type 2, another VRID, a wrong sum.
    let mut bytes = vec![0x22, 52, 150, 2, 0, 0, 0, 0, 10, 0, 0, 100, 10, 0, 0];
    let mut driver = Driver::new(v3(100));
    let group = ip("224.0.0.18");
    let mut expect = |bytes: &[u8], ttl, reason| {
        let before = driver.drops(reason);
        driver.hear_bytes("10.0.0.1", group, ttl, bytes);
        assert_eq!(driver.drops(reason), before + 1, "{reason}");
    };
    bytes[1] = 51;
    expect(&bytes, 254, DropReason::Ttl);
    expect(&bytes, 255, DropReason::Version);
    bytes[0] = 0x32;
    expect(&bytes, 255, DropReason::Type);
    bytes[0] = 0x31;
    expect(&bytes, 255, DropReason::Length);
    bytes.push(101);
    expect(&bytes, 255, DropReason::Checksum);
    bytes[1] = 52;
    expect(&bytes, 255, DropReason::Checksum);
}

/// V2-5.2.3-TTLRX
#[test]
fn adverts_from_beyond_the_link_do_not_hold_a_backup_back() {
    let mut driver = Driver::new(InstanceConfig { priority: priority(50), ..v2() });
    driver.run_for(nanos(1_000_000_000));
    driver.hear("10.0.0.1", 100);
    let last_good = driver.now;
    let good = [0x21, 51, 100, 1, 0, 1, 0, 0, 10, 0, 0, 100, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut count = 0;
    while driver.now + nanos(400_000_000) < last_good + nanos(3_804_687_500) {
        driver.run_for(nanos(400_000_000));
        let ttl = if count % 2 == 0 { 254 } else { 1 };
        driver.hear_bytes("10.0.0.1", ip("224.0.0.18"), ttl, &good);
        count += 1;
        assert_eq!(driver.drops(DropReason::Ttl), count);
    }
    driver.run_until(last_good + nanos(3_804_687_499));
    assert_eq!(driver.state(), StateKind::Backup);
    driver.run_until(last_good + nanos(3_804_687_500));
    assert_eq!(driver.state(), StateKind::Master);
    assert_eq!(count, 9);
}

/// V2-7.1-LIST-DROP
#[test]
fn under_rfc_3768_another_list_is_dropped_unless_the_owner_sent_it() {
    for name in ["bad-v2-list-mismatch", "bad-v2-list-count-mismatch"] {
        let vector = vector(name);
        assert_discarded(&vector, vector.config(Profile::Rfc3768), DropReason::AddressList);
    }
    let owner = vector("edge-v2-list-mismatch-owner");
    assert_processed(&owner, owner.config(Profile::Rfc3768));
}

/// V2-7.1-LIST
#[test]
fn another_list_is_named_whether_it_is_dropped_or_not() {
    let vector = vector("bad-v2-list-mismatch");
    let driver =
        assert_discarded(&vector, vector.config(Profile::Rfc3768), DropReason::AddressList);
    assert_eq!(mismatches(&driver), ["192.0.2.2: address list differs"]);
    let driver = assert_processed(&vector, vector.config(Profile::DropIn));
    assert_eq!(mismatches(&driver)[0], "192.0.2.2: address list differs");
}

/// V3-7.1-LIST
#[test]
fn in_v3_another_list_or_order_is_processed() {
    for name in ["edge-v3-list-mismatch", "edge-v3-list-order"] {
        for profile in [Profile::DropIn, Profile::Rfc5798] {
            assert_processed(&vector(name), vector(name).config(profile));
        }
    }
}

/// V2-5.3.10-AUTHDATA
#[test]
fn authentication_data_that_nobody_uses_is_ignored() {
    let vector = vector("v2-auth0-nonzero-data");
    assert_processed(&vector, vector.config(Profile::Rfc3768));
    assert_eq!(first_message(v2(), Profile::Rfc3768)[12..], [0; 8]);
}

/// V3-5.2.6-RSVDRX
#[test]
fn the_reserved_bits_are_no_part_of_the_interval() {
    // f064 is 100 cs: three of them and the skew of priority 100.
    for (name, profile) in [("v3-4-rsvd-f", Profile::Rfc5798), ("v3-6-rsvd-f", Profile::Rfc9568)] {
        let driver = assert_processed(&vector(name), vector(name).config(profile));
        assert_eq!(driver.now, HEARD_AT + nanos(3_609_375_000));
    }
}

/// V3-5.2.8-CSUM4-5798
#[test]
fn under_rfc_5798_an_ipv4_advert_is_summed_with_the_pseudo_header() {
    let (with, without) = (vector("v3-4-basic-ph"), vector("v3-4-basic-noph"));
    assert_processed(&with, with.config(Profile::Rfc5798));
    assert_discarded(&without, without.config(Profile::Rfc5798), DropReason::Checksum);
    let mut covered = vec![10, 0, 0, 2, 224, 0, 0, 18, 0, 112, 0, 12];
    covered.extend(first_message(v3(100), Profile::Rfc5798));
    assert_eq!(sum(&covered), 0xffff);
}

/// V3-5.2.8-CSUM4-9568
#[test]
fn under_rfc_9568_an_ipv4_advert_is_summed_without_the_pseudo_header() {
    let (with, without) = (vector("v3-4-basic-ph"), vector("v3-4-basic-noph"));
    assert_processed(&without, without.config(Profile::Rfc9568));
    assert_discarded(&with, with.config(Profile::Rfc9568), DropReason::Checksum);
    assert_eq!(sum(&first_message(v3(100), Profile::Rfc9568)), 0xffff);
}

/// X-CSUM4-DUAL
#[test]
fn a_receiver_that_takes_either_form_still_drops_a_wrong_sum() {
    let either = |name| {
        let mut config = vector(name).config(Profile::DropIn);
        config.rules.checksum_accepted = ChecksumRule::Either;
        config
    };
    for name in ["v3-4-basic-ph", "v3-4-basic-noph"] {
        assert_processed(&vector(name), either(name));
    }
    let flipped = "bad-v3-4-checksum-flip";
    assert_discarded(&vector(flipped), either(flipped), DropReason::Checksum);
}

/// The ones-complement sum of RFC 1071, by our own arithmetic.
fn sum(octets: &[u8]) -> u16 {
    let words = octets.chunks(2).map(|pair| u32::from(pair[0]) * 256 + u32::from(pair[1]));
    let total: u32 = words.sum();
    let folded = (total & 0xffff) + (total >> 16);
    ((folded & 0xffff) + (folded >> 16)) as u16
}

/// V2-5.3.8-CSUM
#[test]
fn a_v2_message_sums_to_ffff_without_a_pseudo_header() {
    let vectors = vectors();
    let golden = vectors.iter().filter(|vector| vector.valid && vector.receiver.version == 2);
    let mut count = 0;
    for vector in golden {
        assert_eq!(sum(&vector.bytes()), 0xffff, "{}", vector.name);
        count += 1;
    }
    assert!(count >= 18);
    let pseudo = vector("bad-v2-checksum-pseudo");
    assert_discarded(&pseudo, pseudo.config(Profile::Rfc3768), DropReason::Checksum);
}

/// V3-5.2.8-CSUM6
#[test]
fn an_ipv6_message_sums_to_ffff_with_the_pseudo_header_of_rfc_8200() {
    let vectors = vectors();
    let golden = vectors.iter().filter(|vector| vector.valid && vector.name.starts_with("v3-6-"));
    let mut count = 0;
    for vector in golden {
        let bytes = vector.bytes();
        let mut covered = Vec::new();
        for address in [&vector.src, &vector.dst] {
            let address: std::net::Ipv6Addr = address.parse().unwrap();
            covered.extend(address.octets());
        }
        covered.extend((bytes.len() as u32).to_be_bytes());
        covered.extend([0, 0, 0, 112]);
        covered.extend(&bytes);
        assert_eq!(sum(&covered), 0xffff, "{}", vector.name);
        assert_processed(vector, vector.config(Profile::Rfc9568));
        count += 1;
    }
    assert_eq!(count, 9);
    for name in ["bad-v3-6-checksum-noph", "bad-v3-6-checksum-nh58"] {
        assert_discarded(
            &vector(name),
            vector(name).config(Profile::Rfc9568),
            DropReason::Checksum,
        );
    }
}

/// X-CSUM-ZERO
#[test]
fn a_sum_of_0000_and_its_alias_ffff_are_both_accepted() {
    for name in ["v2-checksum-0000", "v2-checksum-ffff-alias"] {
        assert_processed(&vector(name), vector(name).config(Profile::Rfc3768));
    }
}

#[test]
fn a_counter_goes_up_by_the_number_of_faults_and_no_other_does() {
    let rows = [
        ("MIB-6527-VER", "bad-version-4", DropReason::Version),
        ("MIB-6527-VRID", "bad-v2-vrid-unknown", DropReason::Vrid),
        ("MIB-6527-TTL", "bad-v2-ttl-254", DropReason::Ttl),
    ];
    for (row, name, reason) in rows {
        let vector = vector(name);
        let mut driver = backup(vector.config(Profile::DropIn));
        for _ in 0..7 {
            vector.deliver(&mut driver);
        }
        assert_eq!(all_drops(&driver), [(reason, 7)], "{row}");
    }
}

/// MIB-2787-AUTH
#[test]
fn the_authentication_counters_of_v2_are_kept_apart() {
    let of = |name| {
        let vector = vector(name);
        let mut driver = backup(vector.config(Profile::DropIn));
        vector.deliver(&mut driver);
        all_drops(&driver)
    };
    assert_eq!(of("bad-v2-auth-missing"), [(DropReason::AuthType, 1)]);
    assert_eq!(of("bad-v2-auth-wrong-password"), [(DropReason::AuthData, 1)]);
}

/// V2-7.1-LOG
#[test]
fn a_receiver_says_once_who_sent_what_it_cannot_use() {
    let named = [
        ("bad-v2-ttl-254", "192.0.2.2: TTL is 254 instead of 255"),
        ("bad-version-4", "192.0.2.2: version differs (theirs is 4)"),
        ("bad-v2-auth-wrong-password", "192.0.2.2: password differs"),
        ("bad-v2-interval-2", "192.0.2.2: interval differs (theirs is 2 s)"),
        ("bad-v2-dst-unicast", "192.0.2.2: one side is multicast, the other unicast"),
        ("bad-v2-type-2", "192.0.2.2: advert discarded: type"),
        ("bad-v2-no-authdata", "192.0.2.2: advert discarded: length"),
        ("bad-v2-count-low", "192.0.2.2: advert discarded: trailing"),
        ("bad-v2-checksum-flip", "192.0.2.2: advert discarded: checksum"),
        ("bad-v2-count-0", "192.0.2.2: advert discarded: addr_count"),
    ];
    for (name, text) in named {
        let vector = vector(name);
        let mut driver = backup(vector.config(Profile::Rfc3768));
        for _ in 0..3 {
            vector.deliver(&mut driver);
        }
        assert_eq!(mismatches(&driver), [text], "{name}");
    }
}

#[test]
fn nothing_that_is_discarded_goes_untold() {
    let mut told = 0;
    for vector in vectors().iter().filter(|vector| vector.ip_proto == 112) {
        for profile in Profile::ALL {
            let mut driver = backup(vector.config(profile));
            vector.deliver(&mut driver);
            // Other virtual routers are normal on a link, and so is our own advert that comes back.
            let own = driver.drops(DropReason::OwnSource);
            let ours = all_drops(&driver).len() as u64 - unclaimed(&driver) - own;
            assert!(ours == 0 || !mismatches(&driver).is_empty(), "{} {profile:?}", vector.name);
            told += ours;
        }
    }
    assert!(told > 200, "{told}");
}

/// Datagrams that no virtual router claimed.
fn unclaimed(driver: &Driver) -> u64 {
    let status = driver.engine.status();
    DropReason::ALL.into_iter().map(|reason| status.unclaimed().get(reason)).sum()
}

/// V3-7.1-LOGRATE
#[test]
fn a_thousand_bad_adverts_are_a_thousand_on_the_counter_and_one_in_the_log() {
    let vector = vector("bad-v3-4-ttl-254");
    let mut driver = backup(vector.config(Profile::Rfc9568));
    for _ in 0..1000 {
        driver.run_for(nanos(1_000_000));
        vector.deliver(&mut driver);
    }
    assert_eq!(all_drops(&driver), [(DropReason::Ttl, 1000)]);
    assert_eq!(mismatches(&driver).len(), 1);
}

/// V2-7.1-OWNER
#[test]
fn an_owner_discards_every_advert_in_v2() {
    for profile in [Profile::DropIn, Profile::Rfc3768] {
        let rules = Rules::of(profile);
        let config = InstanceConfig { priority: priority(255), rules, ..v2() };
        let mut driver = Driver::new(config);
        driver.hear("10.0.0.200", 255);
        assert_eq!((driver.state(), driver.drops(DropReason::Owner)), (StateKind::Master, 1));
    }
}

/// V3-7.1-OWNER
#[test]
fn an_owner_discards_every_advert_under_rfc_5798() {
    let rules = Rules::of(Profile::Rfc5798);
    let mut driver = Driver::new(InstanceConfig { priority: priority(255), rules, ..v3(100) });
    driver.hear("10.0.0.200", 255);
    assert_eq!((driver.state(), driver.drops(DropReason::Owner)), (StateKind::Master, 1));
    assert_eq!(driver.adverts(), [(Timestamp::ZERO, 255)]);
}

/// X-7.1-IF
#[test]
fn an_advert_on_another_interface_is_not_ours() {
    let mut driver = Driver::unconfigured();
    let eth1 = Ifindex(3);
    driver.link_of(eth1, "eth1", LinkState::Up);
    driver.configure(vec![v2()], vec![]);
    let deadline = driver.deadline();
    let vector = vector("v2-basic");
    let bytes = vector.bytes();
    let (src, dst) = (ip(&vector.src), ip(&vector.dst));
    let advert = Received { interface: eth1, src, dst, ttl: 255, bytes: &bytes };
    driver.handle(Input::Advert(advert));
    assert_eq!((driver.state(), driver.deadline()), (StateKind::Backup, deadline));
    assert_eq!(received(&driver), 0);
}

/// X-7.1-SELF
#[test]
fn our_own_advert_that_comes_back_is_not_received() {
    let vector = vector("bad-v2-src-own");
    assert_discarded(&vector, vector.config(Profile::DropIn), DropReason::OwnSource);
}
