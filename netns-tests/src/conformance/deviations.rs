//! What is known of keepalived 2.2.7 and FRR 8.4.4: where they leave the RFCs, as measured. A fault
//! of a known kind is a deviation with its number; another fault of the same row is not. The
//! numbers up to K25 and R20 are those of measurements before there was this suite, which found
//! those from K26 on.

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
        Kind::Frr => FRR,
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
        "Without `use_vmac` adverts, announcements and answers carry the interface's \
         own MAC.",
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
            ("V3-6.4.1-OWNER6", "physical-mac"),
            ("V2-6.4.3-ARP", "physical-mac"),
            ("V3-6.4.3-ARP", "physical-mac"),
            ("V3-6.4.3-NS", "physical-mac"),
            ("ARP-8.2-VMAC", "physical-mac"),
            ("ARP-8.1.2-NOPHYS", "physical-mac"),
            ("ND-NS-VMAC", "physical-mac"),
            ("ND-NS-SLLA", "physical-mac"),
            ("ARP-8.3-PROXY", "physical-mac"),
            ("V2-6.4.3-FWD", "not-forwarded"),
            ("V3-6.4.3-FWD", "not-forwarded"),
        ],
    ),
    k(
        "K2",
        "The checksum of version 3 over IPv4 has the pseudo-header, sent and received.",
        &[
            ("V3-5.2.8-CSUM4-9568", "checksum"),
            ("V3-5.2.8-CSUM4-9568", "discarded"),
            ("X-CSUM4-DUAL", "discarded"),
        ],
    ),
    k(
        "K4",
        "Version 3 by unicast over IPv4: one advert with the checksum of old releases switches it \
         to that form, and from then on adverts with the right checksum are discarded.",
        &[("SEC-MALFORM", "deaf-to-good")],
    ),
    k(
        "K6",
        "A Master accepts what is sent to its addresses without `no_accept` or \
         `vrrp_strict`.",
        &[
            ("V2-6.4.3-NOACCEPT", "accepted"),
            ("V3-6.4.3-NOACCEPT", "accepted"),
            ("V3-6.1-DEF", "accepted"),
        ],
    ),
    k(
        "K7",
        "Another address list is discarded in version 3 too, and from an owner.",
        &[("V3-7.1-LIST", "discarded"), ("V2-7.1-LIST-DROP", "discarded")],
    ),
    k(
        "K8",
        "An interval of 0 is accepted in version 3 and learned: it takes over at once.",
        &[("V3-7.1-INT0", "short-timer"), ("V3-7.1-INT0", "accepted")],
    ),
    k(
        "K9",
        "An owner that hears another one lowers its priority and yields, to a lower \
         address too.",
        &[
            ("V2-7.1-OWNER", "yielded"),
            ("V3-7.1-OWNER", "yielded"),
            ("V3-7.1-OWNER-ERR", "yields-to-lower"),
        ],
    ),
    k(
        "K10",
        "With `state BACKUP` an owner waits for a whole down time.",
        &[("V2-6.4.1-OWNER", "late"), ("V3-6.4.1-OWNER4", "late"), ("V3-6.4.1-OWNER6", "late")],
    ),
    k(
        "K11",
        "A lower priority is answered at once, without a limit.",
        &[
            ("V2-6.4.3-LOWER", "advert-sent"),
            ("V3-6.4.3-LOWER-5798", "advert-sent"),
            ("X-LOWER-RATE", "rate"),
        ],
    ),
    k(
        "K12",
        "Gratuitous ARPs have the target ff:ff:ff:ff:ff:ff, five at once, five more \
         after 5 s.",
        &[("GARP-9568-THA", "target-address")],
    ),
    k(
        "K13",
        "Five unsolicited NAs per address within 10 ms, and five more after 5 s.",
        &[("ND-UNA-RATE", "rate")],
    ),
    k(
        "K15",
        "An IPv6 list without a leading link-local address is taken, from its file and \
         the wire.",
        &[("V3-5.2.9-LLFIRST", "accepted-file"), ("V3-7.1-LLFIRST-RX", "accepted")],
    ),
    k(
        "K16",
        "With `use_vmac` a Backup forwards what is sent to the virtual MAC.",
        &[("V2-6.4.2-DROPVMAC", "forwarded"), ("V3-6.4.2-DROPVMAC", "forwarded")],
    ),
    k(
        "K17",
        "With `use_vmac` it asks for a host by the virtual address with its own MAC.",
        &[("ARP-8.1.2-NOLEAK", "leak")],
    ),
    k(
        "K21",
        "Of more addresses than fit into an advert the last ones are left out of it.",
        &[("X-MTU", "accepted-file")],
    ),
    k(
        "K26",
        "A value out of range in its file is replaced, by the default or by the nearest one.",
        &[
            ("V2-5.3.4-PRI1-254", "accepted-file"),
            ("V3-5.2.4-PRI1-254", "accepted-file"),
            ("V2-5.3.7-INTTX", "accepted-file"),
            ("V3-6.1-INTRANGE", "accepted-file"),
        ],
    ),
    k(
        "K27",
        "An owner over IPv6 whose virtual link-local address is the interface's only one stays in \
         FAULT.",
        &[("V3-6.4.1-OWNER6", "silent")],
    ),
    k(
        "K28",
        "The process that reads frames has every capability of root.",
        &[("SEC-PRIV", "capabilities")],
    ),
];

const FRR: &[Known] = &[
    k(
        "R1",
        "Addresses stay configured in every state, on a macvlan that the operator makes.",
        &[
            ("V2-6.4.3-SHUTORDER", "address-stays"),
            ("TRANS-OLDMASTER", "address-stays"),
            ("V3-6.4.3-SNM", "member"),
            ("ND-SNM-4291", "member"),
            ("V2-6.4.3-HIGHER", "address-stays"),
            ("V3-6.4.3-HIGHER", "address-stays"),
        ],
    ),
    k(
        "R2",
        "Without `arp_ignore` the parent interface answers ARP too, with its own MAC, as a Backup \
         and before the Master's macvlan does; a Master asks by the virtual address and that MAC.",
        &[
            ("V2-6.4.2-NOARP", "answered"),
            ("V3-6.4.2-NOARP", "answered"),
            ("V2-6.4.3-ARP", "physical-mac"),
            ("V3-6.4.3-ARP", "physical-mac"),
            ("ARP-8.2-VMAC", "physical-mac"),
            ("ARP-8.1.2-NOPHYS", "physical-mac"),
            ("TRANS-OLDMASTER", "answered"),
            ("ARP-8.1.2-NOLEAK", "leak"),
            ("ND-NS-SLLA", "physical-mac"),
        ],
    ),
    k(
        "R3",
        "A Backup answers echo requests to the address, and forwards frames to the virtual MAC.",
        &[
            ("V2-6.4.2-DROPVMAC", "forwarded"),
            ("V3-6.4.2-DROPVMAC", "forwarded"),
            ("V2-6.4.2-NOACCEPT", "answered"),
            ("V3-6.4.2-NOACCEPT", "answered"),
            ("LOOP-8.4-BACKUP", "answered"),
        ],
    ),
    k(
        "R4",
        "There is no Accept_Mode: a Master always accepts.",
        &[
            ("V2-6.4.3-NOACCEPT", "accepted"),
            ("V3-6.4.3-NOACCEPT", "accepted"),
            ("V3-6.1-DEF", "accepted"),
        ],
    ),
    k(
        "R5",
        "The checksum of version 3 over IPv4 always has the pseudo-header, sent and received.",
        &[("V3-5.2.8-CSUM4-9568", "checksum"), ("V3-5.2.8-CSUM4-9568", "discarded")],
    ),
    k(
        "R6",
        "The reserved bits are learned as part of the interval: one such advert, and nobody takes \
         over for minutes.",
        &[("V3-5.2.6-RSVDRX", "silent")],
    ),
    k(
        "R7",
        "Interval 0 is accepted: Master at once. With reserved bits it is learned as minutes.",
        &[("V3-7.1-INT0", "short-timer"), ("V3-7.1-INT0", "accepted")],
    ),
    k(
        "R8",
        "Skew and down time are whole centiseconds, rounded down.",
        &[
            ("V2-6.1-SKEW", "rounded-down"),
            ("V2-6.1-MDI", "rounded-down"),
            ("V2-6.2-MDT", "rounded-down"),
            ("V2-6.4.2-PRI0", "rounded-down"),
            ("V2-6.4.2-PRI0-AGAIN", "rounded-down"),
            ("V2-6.4.2-GE", "rounded-down"),
            ("V2-6.4.2-NOPREEMPT", "rounded-down"),
            ("V2-6.4.2-NOTIE", "rounded-down"),
            ("V2-6.4.3-HIGHER", "rounded-down"),
            ("V2-6.4.3-TIEHI", "rounded-down"),
            ("V3-6.1-SKEW", "rounded-down"),
            ("V3-6.1-MDI", "rounded-down"),
            ("V3-6.1-MAI-LEARN", "rounded-down"),
            ("V3-6.4.2-PRI0", "rounded-down"),
            ("V3-6.4.2-GE", "rounded-down"),
            ("V3-6.4.2-SKEWRECALC", "rounded-down"),
            ("V3-6.4.3-HIGHER", "rounded-down"),
            ("V3-6.4.3-TIESRC", "rounded-down"),
            ("V3-7.1-INT", "rounded-down"),
            ("V3-5.2.7-SLOWHIGH", "rounded-down"),
            ("V2-6.4.1-WAIT", "rounded-down"),
            ("SEC-SPOOF255", "rounded-down"),
            ("V3-6.1-MAI-INIT", "rounded-down"),
            ("V3-5.2.6-RSVDRX", "rounded-down"),
            ("X-DSCP", "rounded-down"),
            ("X-DF", "rounded-down"),
            ("X-IPOPT", "rounded-down"),
            ("X-7.1-ETHPAD", "rounded-down"),
            ("X-CSUM4-DUAL", "rounded-down"),
            ("V2-6.4.1-BACKUP", "rounded-down"),
            ("V3-6.4.1-BACKUP", "rounded-down"),
            ("V2-6.4.2-LOWER", "rounded-down"),
            ("V3-6.4.2-LOWER", "rounded-down"),
        ],
    ),
    k(
        "R10",
        "Address lists are only logged: another list, none in version 2, and a first address that \
         is not link-local are all accepted.",
        &[
            ("V2-7.1-LIST-DROP", "accepted"),
            ("V2-5.3.5-COUNT", "accepted"),
            ("V3-7.1-LLFIRST-RX", "accepted"),
        ],
    ),
    k(
        "R11",
        "A Master that hears a lower priority says nothing, as RFC 5798 has it.",
        &[("V3-6.4.3-LOWER-9568", "no-advert")],
    ),
    k(
        "R12",
        "Over IPv6 the first advert is lost: announcements go out at once, the first advert one \
         interval after the takeover.",
        &[
            ("V3-6.4.1-ORDER", "order"),
            ("V3-6.4.1-BACKUP", "an-interval-late"),
            ("V3-6.1-SKEW", "an-interval-late"),
            ("V3-6.1-MDI", "an-interval-late"),
            ("V3-6.1-MAI-INIT", "an-interval-late"),
            ("V3-6.1-MAI-LEARN", "an-interval-late"),
            ("V3-6.4.2-PRI0", "an-interval-late"),
            ("V3-6.4.2-GE", "an-interval-late"),
            ("V3-6.4.2-SKEWRECALC", "an-interval-late"),
            ("V3-6.4.2-LOWER", "an-interval-late"),
            ("V3-6.4.3-HIGHER", "an-interval-late"),
            ("V3-6.4.3-TIESRC", "an-interval-late"),
            ("V3-7.1-INT", "an-interval-late"),
            ("V3-5.2.7-SLOWHIGH", "an-interval-late"),
            ("SEC-SPOOF255", "an-interval-late"),
            ("V3-5.2.6-RSVDRX", "an-interval-late"),
            ("X-DSCP", "an-interval-late"),
            ("X-7.1-IF", "an-interval-late"),
            ("V3-6.4.2-TIMER6", "announced-before"),
            ("GARP-ALL", "announced-before"),
        ],
    ),
    k(
        "R13",
        "The IPv6 source is a link-local address of the macvlan, not the interface's: it cannot be \
         chosen, and who wins a tie is left to chance.",
        &[
            ("V3-5.1.2.1-SRC6", "source"),
            ("V3-5.1.2.1-SRC6-MISSING", "source"),
            ("V3-7.4-IID-9568", "identifier"),
            ("V3-6.4.3-TIESRC", "no-yield"),
            ("V3-6.4.3-TIECMP", "other-source"),
            ("V3-6.4.3-TIESRC", "other-source"),
        ],
    ),
    k(
        "R14",
        "One announcement per address, never repeated, to the hardware address ff:ff:ff:ff:ff:ff.",
        &[("GARP-9568-THA", "target-address")],
    ),
    k(
        "R15",
        "Link state is ignored: started without a carrier it is Master as soon as that comes, and \
         one that loses it goes on as Master when it is back.",
        &[("X-6.4.1-STARTCOND", "early"), ("LINK-DOWN", "early")],
    ),
    k(
        "R16",
        "After SIGKILL the macvlan stays up with the address and the virtual MAC, until somebody \
         removes it.",
        &[("CRASH-VIP", "address-stays")],
    ),
    k(
        "R18",
        "A checksum is compared, not summed up: 0 in the place of ffff is wrong.",
        &[("V2-5.3.8-CSUM", "discarded")],
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::conformance::requirement::requirements;

    #[test]
    fn what_is_known_is_of_a_row_of_the_ledger_and_stands_once() {
        let rows = requirements().expect("a ledger");
        for table in [KEEPALIVED, FRR] {
            let mut seen = BTreeSet::new();
            for known in table {
                assert!(!known.shown_by.is_empty(), "{} is shown by nothing", known.id);
                for (row, symptom) in known.shown_by {
                    assert!(rows.iter().any(|known| known.id == *row), "{row}");
                    assert!(seen.insert((row, symptom)), "{row} {symptom} stands twice");
                }
            }
        }
    }
}
