//! What a receiver has to do with a vector under a profile, worked out from what the vector says
//! of itself. Nothing here comes from the engine but the names of the profiles.

use std::collections::BTreeSet;
use std::net::IpAddr;

use vipd_engine::rules::ChecksumForm;
use vipd_engine::{Family, Profile};

use crate::driver::ip;
use crate::vector::{RECEIVER_V4, Vector};

/// `process`, or the first fault in the order of RFC 9568 section 7.1 (RFC 3768 section 7.1 has
/// the same, without the type, and the interval last).
pub fn verdict(vector: &Vector, profile: Profile) -> &str {
    let fault = vector.discard_reason.as_deref().unwrap_or_default();
    match fault {
        // Before any choice: RFC 3768 5.2.3, 5.2.4, 5.3.1, 5.3.2, 5.3.8 and 7.1, and the same
        // sections of RFC 5798 and RFC 9568. Octets left over: RFC silent, no router takes them.
        "not_vrrp" | "ttl" | "version" | "type" | "length" | "trailing" | "checksum" => fault,
        // No virtual router has this VRID, so no profile is asked which checksum it wants.
        "vrid" => fault,
        _ if !sums_as(vector, profile) => "checksum",
        // No RFC has unicast: a multicast virtual router does not listen to it.
        "destination" => fault,
        // A reflected advert is nobody's: RFC 3768 6.4.3 yields to a *greater* address only.
        "source" if vector.src == RECEIVER_V4 => "own_source",
        // RFC 5798 and RFC 9568 5.1.2.1: the source is link-local.
        "source" => "source_not_link_local",
        // RFC 3768 7.1, RFC 2338 5.3.6 and 5.3.10.
        "auth_type" | "auth_data" => fault,
        // RFC 3768 5.3.9 "one or more", RFC 5798 5.2.5 "minimum 1", erratum 8299 of RFC 9568.
        "addr_count" => fault,
        _ if drops_the_list(vector, profile) => "addr_list",
        _ if drops_the_first_address(vector, profile) => "addr_first_not_ll",
        _ if drops_the_interval(vector) => "interval",
        _ => "process",
    }
}

/// RFC 9568 5.2.8: the sum of v3 over IPv4 covers the message only. The other profiles read RFC
/// 5798 5.2.8 as keepalived and FRR do, with a pseudo-header, whose destination is the one on the
/// wire: the sum of old unicast peers has the group there. v2 and IPv6 leave no choice.
fn sums_as(vector: &Vector, profile: Profile) -> bool {
    if vector.receiver.version == 2 || vector.family() == Family::Ipv6 {
        return true;
    }
    match vector.form() {
        ChecksumForm::MessageOnly => profile == Profile::Rfc9568,
        ChecksumForm::PseudoHeader => {
            profile != Profile::Rfc9568 && vector.name != "v3-4-unicast-old-compat"
        }
    }
}

/// RFC 3768 7.1: a router that compares the lists drops what differs, unless the owner sent it.
/// RFC 5798 and RFC 9568 7.1 log it, and so does `drop-in`, whatever the version.
fn drops_the_list(vector: &Vector, profile: Profile) -> bool {
    let set = |list: &[String]| list.iter().map(|text| ip(text)).collect::<BTreeSet<_>>();
    let differs = set(&vector.fields.addresses) != set(&vector.receiver.addresses);
    differs && profile == Profile::Rfc3768 && vector.fields.priority != 255
}

/// Erratum 8300 of RFC 9568. RFC 5798 5.2.9 binds the sender only.
fn drops_the_first_address(vector: &Vector, profile: Profile) -> bool {
    let first = vector.fields.addresses.first().map(|text| ip(text));
    let is_global = matches!(first, Some(IpAddr::V6(first)) if !first.is_unicast_link_local());
    is_global && profile == Profile::Rfc9568
}

/// RFC 3768 7.1: the interval is ours, also from the owner. v3 learns it (RFC 5798 and RFC 9568
/// 6.4.2), but for the 0 of erratum 8301, of which no timer can be made under any profile.
fn drops_the_interval(vector: &Vector) -> bool {
    match vector.receiver.version {
        2 => vector.fields.adver_int_s != vector.receiver.adver_int_s,
        _ => vector.fields.max_adver_int_cs == Some(0),
    }
}

/// Whether the RFC of a profile leaves no choice, by what stands in `rfc_verdict` and
/// `valid_under`. RFC 3768 speaks of v2, the other two of v3.
pub fn must_process(vector: &Vector, profile: Profile) -> Option<bool> {
    let version = vector.receiver.version;
    let own = match profile {
        Profile::DropIn => return (vector.rfc_verdict == "must-discard").then_some(false),
        Profile::Rfc3768 if version == 2 => "3768",
        Profile::Rfc5798 if version == 3 => "5798",
        Profile::Rfc9568 if version == 3 => "9568",
        Profile::Rfc3768 | Profile::Rfc5798 | Profile::Rfc9568 => return None,
    };
    match vector.rfc_verdict.as_str() {
        "must-discard" => Some(false),
        "must-discard-9568" if own == "9568" => Some(false),
        "process" => Some(is_valid_by(vector, own) || is_pass(vector)),
        _ => None,
    }
}

/// RFC 5798 can be read in two ways; its profile takes the one of the deployed routers.
fn is_valid_by(vector: &Vector, rfc: &str) -> bool {
    let mut readings = vector.valid_under.iter();
    readings.any(|reading| reading.starts_with(rfc) && !reading.contains("IPv6-only"))
}

/// RFC 3768 7.1 asks for the configured authentication, and 5.3.6 keeps the numbers of RFC 2338.
fn is_pass(vector: &Vector) -> bool {
    vector.valid_under == ["2338"]
}
