//! `docs/captures.md`: what is to be done with each packet of each capture, counted. That vipd does
//! it is another test's proof.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use vipd_engine::Profile;

use super::lab::{Capture, Packet, Sender, expected};
use crate::vector::Vector;

const HEAD: &str = "\
# Captures

Every VRRP packet of 27 captures of keepalived 2.2.7 and FRR 8.4.4, as a virtual router with the
configuration of that lab judges it under each profile. This page is made from
`frames/tests/fixtures/captures` by `UPDATE_DOCS=1 cargo test -p vipd-frames --test captures`; do
not edit it. The same test reads each frame with `vipd_frames::decode`, hands it to the engine, and
compares the verdict. How the captures were made stands in a README beside them;
[vectors.md](vectors.md) says of each vector why vipd and the two routers differ.

What keepalived and FRR sent is also what our codec emits for the same configuration, octet for
octet from the Ethernet header on. FRR sets *don't fragment*, and the kernel an IPv6 flow label;
nothing else differs. And the captures show what [vectors.md](vectors.md) says of the routers:
whether one took over, and when, while it heard nothing but a vector.

- *The same*: as under `drop-in`.
- *Valid*: an advert of the lab that makes a router a Backup, or asks for its answer.
- *Vectors*: those of the fixture that were tried on that router, rebuilt for the lab's network.
- `checksum` of what is valid: v3 over IPv4 with a pseudo-header in its sum, under `rfc9568`.
- `owner`: the lab spoke to a router of priority 255. RFC 3768 and RFC 5798 discard that in section
  7.1; erratum 8298 of RFC 9568, which `drop-in` follows in v3, does not.

";

pub fn page(all: &[(Capture, Vec<Packet>)], vectors: &[Vector]) -> String {
    let mut page = HEAD.to_owned();
    totals(all, &mut page);
    page.push_str("\n| capture | what | sent by | packets |");
    for profile in Profile::ALL {
        let _ = write!(page, " {} |", profile.name());
    }
    let _ = writeln!(page, "\n|{}", "---|".repeat(4 + Profile::ALL.len()));
    for (capture, packets) in all {
        let mut by_sender: BTreeMap<&str, Vec<&Packet>> = BTreeMap::new();
        for packet in packets {
            by_sender.entry(name(packet.sender)).or_default().push(packet);
        }
        for (sender, packets) in by_sender {
            let total = count(&packets);
            let Capture { name, what, .. } = capture;
            let _ = write!(page, "| `{name}` | {what} | {sender} | {total} |");
            let drop_in = verdicts(&packets, vectors, Profile::DropIn);
            for profile in Profile::ALL {
                let cell = match verdicts(&packets, vectors, profile) {
                    same if same == drop_in && profile != Profile::DropIn => "the same".to_owned(),
                    other => other,
                };
                let _ = write!(page, " {cell} |");
            }
            page.push('\n');
        }
    }
    page
}

const fn name(sender: Sender) -> &'static str {
    match sender {
        Sender::Keepalived => "keepalived",
        Sender::Frr => "FRR",
        Sender::Lab => "lab, valid",
        Sender::Vector(_) => "lab, vectors",
    }
}

fn count(packets: &[&Packet]) -> u64 {
    packets.iter().map(|packet| packet.frame.times).sum()
}

fn totals(all: &[(Capture, Vec<Packet>)], page: &mut String) {
    let packets = || all.iter().flat_map(|(_, packets)| packets);
    page.push_str("| sent by | packets | of them different |\n|---|---|---|\n");
    for sender in ["keepalived", "FRR", "lab, valid", "lab, vectors"] {
        let of: Vec<_> = packets().filter(|packet| name(packet.sender) == sender).collect();
        let _ = writeln!(page, "| {sender} | {} | {} |", count(&of), of.len());
    }
}

/// `process 40, checksum 2`: the process first, the rest in the order of their names.
fn verdicts(packets: &[&Packet], vectors: &[Vector], profile: Profile) -> String {
    let mut counts: BTreeMap<(bool, &str), u64> = BTreeMap::new();
    for packet in packets {
        let verdict = expected(packet, vectors, profile);
        *counts.entry((verdict != "process", verdict)).or_default() += packet.frame.times;
    }
    let each = counts.iter().map(|((_, verdict), count)| format!("{verdict} {count}"));
    each.collect::<Vec<_>>().join(", ")
}
