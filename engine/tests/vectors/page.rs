//! `docs/vectors.md`, made from the vectors and from nothing else.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use vipd_engine::{Family, Profile, rules};

use crate::vector::Vector;

const PEERS: [(&str, &str); 2] =
    [("keepalived-2.2.7", "keepalived 2.2.7"), ("frr-8.4.4", "FRR 8.4.4")];

const HEAD: &str = "\
# Vectors

136 adverts, what the RFCs say of them, what vipd does with them, and what two deployed routers did.
This page is made from `engine/tests/fixtures/vectors.json` by
`UPDATE_DOCS=1 cargo test -p vipd-engine --test vectors`; do not edit it. The same test puts each
vector to the engine under each profile.

A cell of vipd is `process`, or the first `DropReason`. The receiver has the version, the addresses
and the password that the vector supposes, and the rules of the profile, also where the profile is
of the other version.

A cell of a router was measured, and [captures.md](captures.md) has the packets that show it: each
vector went to a Backup of its own every 0.4 s for 8 s. *Accepted*: it stayed Backup. *Discarded*:
it took over as if it had heard nothing. *Short timer*: it took over within 0.5 s, because it had
learned a very short interval. An empty cell was not tried, mostly because the lab or the router
had no such VRID, address, password or unicast.

*Discarded* is not always the router's own doing: its kernel drops what carries its own address
(`bad-v2-src-own`), and for keepalived also a wrong checksum over IPv6. *Accepted* says nothing of
what was learned: FRR does not mask the reserved bits, learns 61,540 cs from `v3-4-rsvd-f`, and is
deaf for minutes after it.

## Where vipd and a router differ

A letter in a cell of vipd points to the reason; the numbers count such cells. Same verdict, no
letter.

";

/// Why vipd does otherwise than a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Difference {
    ChecksumForm,
    OldUnicastChecksum,
    List,
    NoAddress,
    NoInterval,
    FirstAddress,
    GlobalSource,
}

use Difference::*;

impl Difference {
    const ALL: [Self; 7] =
        [ChecksumForm, OldUnicastChecksum, List, NoAddress, NoInterval, FirstAddress, GlobalSource];

    /// Of a verdict and a router that accepts what it discards, or discards what it processes.
    fn of(vector: &Vector, verdict: &str, accepted: bool) -> Option<Self> {
        let other_list = vector.name.contains("-list-");
        let v3_over_ipv4 = vector.receiver.version == 3 && vector.family() == Family::Ipv4;
        match (verdict, accepted) {
            ("process", true) => None,
            ("process", false) if other_list => Some(List),
            ("process", false) if v3_over_ipv4 && is_message_only(vector) => Some(ChecksumForm),
            ("checksum", true) if vector.name == "v3-4-unicast-old-compat" => {
                Some(OldUnicastChecksum)
            }
            ("checksum", true) if v3_over_ipv4 => Some(ChecksumForm),
            ("addr_list", true) if other_list => Some(List),
            ("addr_count", true) => Some(NoAddress),
            ("interval", true) => Some(NoInterval),
            ("addr_first_not_ll", true) => Some(FirstAddress),
            ("source_not_link_local", true) => Some(GlobalSource),
            (_, false) => None,
            (_, true) => panic!("{}: {verdict}, a router accepts it: why?", vector.name),
        }
    }

    const fn letter(self) -> char {
        match self {
            ChecksumForm => 'A',
            OldUnicastChecksum => 'B',
            List => 'C',
            NoAddress => 'D',
            NoInterval => 'E',
            FirstAddress => 'F',
            GlobalSource => 'G',
        }
    }

    const fn why(self) -> &'static str {
        match self {
            ChecksumForm => {
                "v3 over IPv4. RFC 9568 5.2.8 sums the message only; both routers sum a \
                 pseudo-header too, and neither release can do otherwise. So `rfc9568` does not \
                 hear them and they do not hear it; the other profiles read RFC 5798 5.2.8 as they \
                 do. A peer with the other form is named"
            }
            OldUnicastChecksum => {
                "keepalived takes the checksum of its own releases before 1.3.6 and sends it from \
                 then on: one forged advert changes what it sends. vipd takes it only from a peer \
                 whose configuration says so, and never sends it"
            }
            List => {
                "Another address list. keepalived drops it in both versions, from an owner too; \
                 FRR never does. `rfc3768` drops it unless it is from an owner (RFC 3768 7.1); the \
                 other profiles process and name it (RFC 5798 7.1), because dropping makes two \
                 masters. The same list in another order is the same list to all"
            }
            NoAddress => {
                "FRR takes a v2 advert that lists nothing. RFC 3768 5.3.9 has one address or more; \
                 vipd and keepalived drop it. With an empty list of its own vipd takes it"
            }
            NoInterval => {
                "Both routers learn an interval of 0 and take over at once (FRR with the reserved \
                 bits set: not for 10 minutes). vipd drops it under every profile (erratum 8301 of \
                 RFC 9568)"
            }
            FirstAddress => {
                "Erratum 8300 of RFC 9568. Neither router asks for it, nor does RFC 5798; so only \
                 `rfc9568` drops it, the others name it"
            }
            GlobalSource => {
                "RFC 5798 and RFC 9568 5.1.2.1 make the source link-local. Both routers take any; \
                 vipd does not: nobody off the link may speak"
            }
        }
    }
}

fn is_message_only(vector: &Vector) -> bool {
    vector.form() == rules::ChecksumForm::MessageOnly
}

pub fn page(vectors: &[Vector]) -> String {
    let mut page = HEAD.to_owned();
    differences(vectors, &mut page);
    for title in [GOLDEN, BAD, ORDER] {
        let of_kind: Vec<_> = vectors.iter().filter(|vector| kind(vector) == title).collect();
        let _ = write!(page, "\n## {title} ({})\n\n", of_kind.len());
        page.push_str("| vector | what it is | RFC | verdict |");
        for name in Profile::ALL.iter().map(|profile| profile.name()) {
            let _ = write!(page, " {name} |");
        }
        for (_, name) in PEERS {
            let _ = write!(page, " {name} |");
        }
        let _ = writeln!(page, "\n|{}", "---|".repeat(4 + Profile::ALL.len() + PEERS.len()));
        of_kind.into_iter().for_each(|vector| row(vector, &mut page));
    }
    page
}

const GOLDEN: &str = "Golden";
const BAD: &str = "Malformed, and on the edge";
const ORDER: &str = "Several faults: which one is named";

fn kind(vector: &Vector) -> &'static str {
    match vector.name.split('-').next() {
        Some("bad" | "edge") => BAD,
        Some("order") => ORDER,
        _ => GOLDEN,
    }
}

/// The cells of vipd that differ from a router, per reason and profile.
fn differences(vectors: &[Vector], page: &mut String) {
    let mut cells: BTreeMap<(Difference, &str), usize> = BTreeMap::new();
    for vector in vectors {
        for (profile, verdict) in &vector.under {
            if let Some(difference) = difference(vector, verdict) {
                *cells.entry((difference, profile.as_str())).or_default() += 1;
            }
        }
    }
    let names = Profile::ALL.map(Profile::name);
    let _ = writeln!(page, "| | {} | why |\n|---|{}---|", names.join(" | "), "---|".repeat(4));
    for difference in Difference::ALL {
        let _ = write!(page, "| {} |", difference.letter());
        for name in names {
            let count = cells.get(&(difference, name)).copied().unwrap_or_default();
            let _ = write!(page, " {count} |");
        }
        let _ = writeln!(page, " {} |", difference.why());
    }
}

/// Why a verdict differs from a router's. Where both differ, it is for the same reason.
fn difference(vector: &Vector, verdict: &str) -> Option<Difference> {
    let differs = |result: &String| {
        let accepted = result.starts_with("accepted");
        Difference::of(vector, verdict, accepted)
    };
    vector.observed.values().find_map(differs)
}

fn row(vector: &Vector, page: &mut String) {
    let Vector { name, reason, rfc, .. } = vector;
    let verdict = match vector.rfc_verdict.as_str() {
        "must-discard-9568" => "must discard, in 9568 only".to_owned(),
        "extension" => "no RFC: extension".to_owned(),
        other => other.replace('-', " "),
    };
    let _ = write!(page, "| `{name}` | {reason} | {rfc} | {verdict} |");
    for profile in Profile::ALL {
        let verdict = &vector.under[profile.name()];
        let letter = difference(vector, verdict).map(|found| format!(" **{}**", found.letter()));
        let _ = write!(page, " {verdict}{} |", letter.unwrap_or_default());
    }
    for (peer, _) in PEERS {
        let result = match vector.observed.get(peer).map(String::as_str) {
            None => "",
            Some("accepted, very short down timer") => " short timer",
            Some("accepted") => " accepted",
            Some("discarded") => " discarded",
            Some(other) => panic!("{name}: {peer} did {other}"),
        };
        let _ = write!(page, "{result} |");
    }
    page.push('\n');
}
