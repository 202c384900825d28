//! What is known of keepalived 2.2.7 and FRR 8.4.4: where they leave the RFCs, as measured. A fault
//! of a known kind is a deviation with its number; another fault of the same row is not.

use crate::node::Kind;

/// A known departure of a router, and by what it is recognised.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// Its number: K for keepalived, R for FRR.
    pub id: &'static str,
    /// What the router does.
    pub fact: &'static str,
    /// Rows that show it, each with the symptom that it has there.
    pub shown_by: &'static [(&'static str, &'static str)],
}

/// What is known of a target. Of vipd the ledger knows it.
pub(super) const fn known(target: Kind) -> &'static [Known] {
    match target {
        Kind::Vipd => &[],
        Kind::Keepalived => KEEPALIVED,
        Kind::Frr => &[],
    }
}

const fn k(
    id: &'static str,
    fact: &'static str,
    shown_by: &'static [(&'static str, &'static str)],
) -> Known {
    Known { id, fact, shown_by }
}

const KEEPALIVED: &[Known] = &[
    k(
        "K1",
        "Without `use_vmac` adverts, ARP and NA come from the interface's own MAC.",
        &[
            ("V2-7.2-SMAC", "physical-mac"),
            ("V3-7.2-SMAC", "physical-mac"),
            ("V2-7.3-VMAC", "physical-mac"),
            ("V3-7.3-VMAC4", "physical-mac"),
            ("V3-7.3-VMAC6", "physical-mac"),
            ("TRANS-2.4", "physical-mac"),
            ("GARP-826-FMT", "physical-mac"),
            ("GARP-ETHSRC", "physical-mac"),
            ("ND-UNA-FMT", "physical-mac"),
        ],
    ),
    k(
        "K2",
        "The checksum of version 3 over IPv4 always has the pseudo-header.",
        &[("V3-5.2.8-CSUM4-9568", "checksum")],
    ),
    k(
        "K12",
        "Five gratuitous ARPs per address at once, five more after 5 s, to the hardware address \
         ff:ff:ff:ff:ff:ff.",
        &[("GARP-9568-THA", "target-address")],
    ),
    k(
        "K13",
        "Five unsolicited NAs per address within 10 ms, and five more after 5 s.",
        &[("ND-UNA-RATE", "rate")],
    ),
];
