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

/// A vector's own row says what is wrong with it; `SEC-MALFORM` has all vectors once more.
const FRR: &[Known] = &[
    k(
        "R1",
        "Addresses stay configured in every state, on a macvlan that the operator makes.",
        &[
            ("V2-6.4.3-SHUTORDER", "address-stays"),
            ("TRANS-OLDMASTER", "address-stays"),
            ("V3-6.4.3-SNM", "member"),
            ("ND-SNM-4291", "member"),
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
        &[
            ("V3-5.2.8-CSUM4-9568", "checksum"),
            ("V3-5.2.8-CSUM4-9568", "discarded"),
            ("SEC-MALFORM", "discarded"),
        ],
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
        &[
            ("V3-7.1-INT0", "short-timer"),
            ("V3-7.1-INT0", "accepted"),
            ("SEC-MALFORM", "short-timer"),
        ],
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
            ("SEC-MALFORM", "accepted"),
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
            ("V3-6.4.2-TIMER6", "missing"),
            ("GARP-ALL", "missing"),
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
            ("V3-6.4.3-TIECMP", "untried"),
            ("V3-6.4.3-TIESRC", "untried"),
            ("V3-6.4.3-TIESRC", "no-yield"),
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
