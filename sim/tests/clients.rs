//! What a client sees: its neighbour cache, and who answers.

mod rehearsal;

use std::net::IpAddr;

use rehearsal::*;
use vipd_engine::config::{MULTICAST_GROUP_V6, Transport, VirtualAddress};
use vipd_engine::{Family, Version};
use vipd_scenarios::record::{HostId, Seen};

/// When the client's entry changed, and to whom.
fn entries(played: &Played) -> Vec<(u64, Option<HostId>)> {
    let entries = played.seen.iter().filter_map(|seen| match seen.seen {
        Seen::Neighbour { points_to, .. } => Some((seen.at.0, points_to)),
        _ => None,
    });
    entries.collect()
}

#[test]
fn a_gratuitous_arp_moves_the_entry_to_the_new_master() {
    let played = Rehearsal::probed("[[step]]\nat = \"10s\"\nstop = \"a\"\n").play();
    let [(learnt, Some(A)), (moved, Some(B))] = entries(&played)[..] else {
        panic!("{:?}", entries(&played))
    };
    assert!(learnt > 3_609_375_000 && learnt < 3_800_000_000, "asked for by a probe");
    assert_eq!(moved, played.owned(B, true)[0] + DELAY);
}

#[test]
fn an_entry_that_no_announcement_moves_stays_and_the_client_is_cut_off() {
    let rest = "[[step]]\nat = \"9s\"\ncut = \"b -> client\"\n\
                [[step]]\nat = \"10s\"\npower_off = \"a\"\n\
                [[step]]\nat = \"15s\"\nheal = \"all\"\n";
    let played = Rehearsal::probed(rest).play();
    let taken_over = played.owned(B, true)[0];
    assert!(taken_over < 15 * SECOND);
    assert_eq!(played.answered_by(15 * SECOND + 500_000_000), None, "it believes the old entry");
    let repaired = entries(&played).last().copied();
    assert_eq!(repaired, Some((taken_over + 5 * SECOND + DELAY, Some(B))), "garp_master_delay");
    assert_eq!(played.answered_by(19 * SECOND), Some(B));
}

#[test]
fn without_accept_mode_the_address_is_resolved_and_says_nothing() {
    let played = Rehearsal::changed("", |instance| instance.rules.accept = false).play();
    assert_eq!(entries(&played).len(), 1);
    assert_eq!(played.answered_by(10 * SECOND), None);
}

#[test]
fn an_ipv6_client_resolves_by_neighbour_solicitation() {
    let vip = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x100]);
    let text = r#"
title = "an IPv6 pair"
until = "20s"
[segment.lan]
[host.a]
config = "seed/director-1.conf"
interfaces.eth0 = { segment = "lan", address = "2001:db8::1/64" }
[host.b]
config = "seed/director-2.conf"
interfaces.eth0 = { segment = "lan", address = "2001:db8::2/64" }
[host.client]
interfaces.eth0 = { segment = "lan", address = "2001:db8::9/64" }
probe = { address = "2001:db8::100", every = "100ms" }
[[step]]
at = "10s"
stop = "a"
"#;
    let played = Rehearsal::new(text, |instance| {
        instance.family = Family::Ipv6;
        instance.version = Version::V3;
        instance.password = None;
        instance.transport =
            Transport::Multicast { group: IpAddr::V6(MULTICAST_GROUP_V6), source: None };
        instance.addresses = vec![VirtualAddress::new(vip)];
    })
    .play();
    assert_eq!(played.answered_by(9 * SECOND), Some(A));
    assert_eq!(played.answered_by(15 * SECOND), Some(B));
    let pointed: Vec<_> = entries(&played).into_iter().map(|(_, host)| host).collect();
    assert_eq!(pointed, [Some(A), Some(B)]);
}
