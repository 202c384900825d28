//! The repository's adverts, good and malformed, octet by octet: each goes to a Backup of its own.
//!
//! It is primed by a better router, then hears the vector alone, often. One that takes over when
//! its down timer ends has discarded it; one that stays silent has accepted it; one that takes over
//! early has learned a short interval. In the end it is put to the test that the same virtual
//! router does follow a good advert, whatever it made of the vector.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::Value;

use crate::conformance::experiment::{Experiment, ms};
use crate::conformance::octets::{self, Header, Mac, Message, Sum, VRRP, checksum};
use crate::conformance::site::{Flavour, Router, Site, TARGET, Terms};
use crate::conformance::verdict::{EARLY, Verdict, Wrong, exact, seconds, untried, wrong};
use crate::conformance::view::View;
use crate::node::Kind;

const VECTORS: &str = include_str!("../../../../engine/tests/fixtures/vectors.json");
/// The receiver that the vectors suppose.
const RECEIVER: [&str; 2] = ["192.0.2.1", "fe80::1"];
/// How much later than exact the last takeover may be: it shows that the receiver follows, and all
/// of them take over at almost the same time.
const CONTROL: Duration = ms(1_000);
/// How often a vector is sent.
const PERIOD: u64 = 400;
/// What a vector's name ends with whose checksum is of old releases of keepalived.
const OLD_FORM: &str = "-old-compat";

/// One advert, and the receiver that it supposes.
#[derive(Clone, Debug)]
pub(super) struct Vector {
    pub name: String,
    src: IpAddr,
    dst: IpAddr,
    ttl: u8,
    protocol: u8,
    mac: Mac,
    octets: Vec<u8>,
    /// The pseudo-header is in its checksum.
    pseudo: bool,
    priority: u8,
    /// In centiseconds, in version 3.
    interval: Option<u64>,
    reason: String,
    flavour: Flavour,
    vrid: u8,
    own_priority: u8,
    /// In centiseconds.
    own_interval: u64,
    addresses: Vec<IpAddr>,
    password: Option<String>,
    unicast: bool,
    /// What vipd does with it under the profile of the run.
    table: String,
}

/// Every vector, for the profile of the run.
pub(super) fn vectors(terms: &Terms) -> Vec<Vector> {
    let all: Value = serde_json::from_str(VECTORS).unwrap_or_default();
    let all = all.as_array().cloned().unwrap_or_default();
    all.iter().filter_map(|vector| read(vector, terms)).collect()
}

fn read(vector: &Value, terms: &Terms) -> Option<Vector> {
    let text = |key: &str| vector[key].as_str();
    let (fields, receiver) = (&vector["fields"], &vector["receiver"]);
    let octet = |value: &Value| value.as_u64().map(|value| value as u8);
    let hex = |text: &str| -> Option<Vec<u8>> {
        let octet = |at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
        (0..text.len()).step_by(2).map(octet).collect()
    };
    let src: IpAddr = text("src")?.parse().ok()?;
    let version = octet(&receiver["version"])?;
    let flavour = match (version, src) {
        (2, _) => Flavour::V2,
        (_, IpAddr::V4(_)) => Flavour::V3,
        (_, IpAddr::V6(_)) => Flavour::V6,
    };
    let seconds = receiver["adver_int_s"].as_u64().map(|seconds| seconds * 100);
    let list = receiver["addresses"].as_array()?;
    Some(Vector {
        name: text("name")?.to_owned(),
        src,
        dst: text("dst")?.parse().ok()?,
        ttl: octet(&vector["ttl"])?,
        protocol: octet(&vector["ip_proto"])?,
        mac: hex(&text("eth_src")?.replace(':', ""))?.try_into().ok()?,
        octets: hex(text("hex_vrrp_payload")?)?,
        pseudo: vector["checksum_mode"].as_str() != Some("plain"),
        priority: octet(&fields["priority"])?,
        interval: fields["max_adver_int_cs"].as_u64().filter(|_| version == 3),
        reason: text("discard_reason").unwrap_or_default().to_owned(),
        flavour,
        vrid: octet(&receiver["vrid"])?,
        own_priority: octet(&receiver["priority"])?,
        own_interval: receiver["adver_int_cs"].as_u64().or(seconds)?,
        addresses: list.iter().filter_map(|text| text.as_str()?.parse().ok()).collect(),
        password: receiver["auth_password"].as_str().map(str::to_owned),
        unicast: receiver["unicast"].as_bool().unwrap_or_default(),
        table: vector["under"][terms.profile.name()].as_str()?.to_owned(),
    })
}

impl Vector {
    /// It is about version 3 over IPv4 with the pseudo-header, but not about that: where the
    /// target sums the message alone, its checksum says nothing of the rest of it.
    pub(super) fn resummed(&self, terms: &Terms) -> Option<Self> {
        let about_the_form = self.name.ends_with("-ph") || self.name.ends_with(OLD_FORM);
        if !self.is_of_the_other_form(terms)
            || about_the_form
            || self.octets.len() < 8
            || self.octets[0] >> 4 != 3
        {
            return None;
        }
        // What the pseudo-header adds to the verifying sum goes to the field instead (RFC 1624), so
        // a sum that is wrong stays wrong by as much.
        let with = checksum(&self.octets, Some((self.src, self.dst, VRRP)));
        let without = checksum(&self.octets, None);
        let old = u16::from_be_bytes([self.octets[6], self.octets[7]]);
        let mut sum = u32::from(old) + u32::from(!with) + u32::from(without);
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        let mut octets = self.octets.clone();
        octets[6..8].copy_from_slice(&(sum as u16).to_be_bytes());
        let table = if self.is_good() { "process" } else { "discard" }.to_owned();
        Some(Self {
            name: format!("{}-resummed", self.name),
            octets,
            pseudo: false,
            table,
            ..self.clone()
        })
    }

    /// Its checksum is right by RFC 5798, and the target follows RFC 9568.
    fn is_of_the_other_form(&self, terms: &Terms) -> bool {
        self.flavour == Flavour::V3 && self.pseudo && terms.sum() == Sum::Message
    }

    /// The RFC wants it processed.
    fn is_good(&self) -> bool {
        !self.name.starts_with("bad-") && !self.name.starts_with("order-")
    }

    fn router(&self, site: Site) -> Router {
        let six = usize::from(self.flavour.is_v6());
        let own: Option<IpAddr> = RECEIVER[six].parse().ok();
        Router {
            priority: Some(self.own_priority),
            interval: Some(format!("{}", self.own_interval / 100)),
            addresses: self.addresses.clone(),
            password: self.password.clone(),
            peer: own.filter(|_| self.unicast).map(|own| (own, self.src)),
            ..Router::new(site, self.flavour, self.vrid)
        }
    }

    fn frame(&self, site: Site, dst: IpAddr, header: &Header, octets: &[u8]) -> Vec<u8> {
        let to = if dst.is_multicast() { octets::group_mac(dst) } else { site.mac(TARGET) };
        octets::packet(to, self.mac, header, octets)
    }

    /// A good advert for its receiver.
    fn good(&self, terms: &Terms, site: Site, priority: u8) -> Vec<u8> {
        let router = self.router(site);
        let message = router.message(terms, priority);
        let interval =
            if self.flavour == Flavour::V2 { self.own_interval / 100 } else { self.own_interval };
        let message = Message { interval: interval as u16, ..message };
        let src: IpAddr =
            if self.flavour.is_v6() { "fe80::2" } else { "192.0.2.2" }.parse().unwrap_or(self.src);
        let dst = router.peer.map_or(self.flavour.group(), |(own, _)| own);
        self.frame(site, dst, &Header::new(src, dst, VRRP), &message.octets(src, dst))
    }

    /// The skew with this interval, in centiseconds, until the first advert.
    fn skew(&self, interval: u64, terms: &Terms) -> Duration {
        let of = if self.flavour == Flavour::V2 { 100 } else { interval };
        let skew = terms.skew((256 - u64::from(self.own_priority)) * of * 10_000 / 256);
        let silent = if terms.is_silent_at_first(self.flavour) { self.own_interval } else { 0 };
        Duration::from_micros(skew) + ms(10 * silent)
    }

    /// The down timer with this interval, in centiseconds, until the first advert.
    fn down(&self, interval: u64, terms: &Terms) -> Duration {
        ms(30 * interval) + self.skew(interval, terms)
    }
}

/// What a receiver made of a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Made {
    Accepted,
    Discarded,
    /// It took over earlier than either explains.
    Short,
    /// It took over later than that it discarded the vector explains.
    Late,
}

/// The experiment of one vector.
pub(super) fn experiment(terms: &Terms, site: Site, vector: &Vector) -> Experiment {
    let router = vector.router(site);
    let (good, resign) = (vector.good(terms, site, 200), vector.good(terms, site, 0));
    let header = Header { ttl: vector.ttl, ..Header::new(vector.src, vector.dst, vector.protocol) };
    let frame = vector.frame(site, vector.dst, &header, &vector.octets);
    let mut it = Experiment::new(format!("vector-{}", vector.name), site, vec![router]);
    it.ground.primary = Some(RECEIVER[0]);
    it.ground.link_local = RECEIVER[1].parse().ok();
    let mac = crate::conformance::experiment::text(vector.mac);
    if vector.unicast {
        let near = site.interface();
        it.ground.lines =
            format!("neighbour add 192.0.2.2 lladdr {mac} dev {near} nud permanent\n");
    }
    // All at once is more than one process answers at once.
    let apart = 5 * u64::from(site.0);
    let mut it = it
        .every((50 + apart, 4_100 + apart, 1_000), "good", good.clone())
        .every((4_450 + apart, 10_000 + apart, PERIOD), "vector", frame)
        .at(10_050 + apart, "again", good)
        .at(10_550 + apart, "resign", resign);
    for row in rows(vector, terms) {
        let (vector, terms) = (vector.clone(), *terms);
        it = it.judge(row, move |view| judged(view, &vector, &terms, row));
    }
    it
}

fn made(view: &View<'_>, vector: &Vector, terms: &Terms) -> Result<Made, Wrong> {
    let (primed, begin) = (view.last("good")?, view.time("vector")?);
    let skew = vector.skew(vector.own_interval, terms);
    let control = view.first_after(view.time("resign")?);
    let Ok(control) = control else {
        return untried("it does not even follow a good advert and a resignation");
    };
    let down = vector.down(vector.own_interval, terms);
    let after = control.at - view.time("resign")?;
    if after + EARLY < skew || after > skew + CONTROL {
        let heard = control.at.saturating_sub(view.last("vector")?);
        if vector.name.ends_with(OLD_FORM) && exact(heard, down, view.late).is_ok() {
            let heard = seconds(heard);
            return wrong(
                "deaf-to-good",
                format!(
                    "took over {heard} s after the last vector, whatever good adverts followed"
                ),
            );
        }
        let after = seconds(after);
        return untried(format!("a resignation was followed by an advert {after} s later"));
    }
    let first = view.between(Duration::ZERO, view.time("again")?).first().copied();
    let Some(first) = first else { return Ok(Made::Accepted) };
    let learned = vector.interval.map(|interval| vector.down(interval, terms));
    let learned = learned.filter(|down| *down < ms(PERIOD) && vector.priority > 0);
    if let Some(down) = learned
        && exact(first.at.saturating_sub(begin), down, view.late).is_ok()
        && vector.interval != Some(0)
    {
        return Ok(Made::Accepted);
    }
    let after = first.at.saturating_sub(primed);
    Ok(match exact(after, down, view.late) {
        Ok(_) => Made::Discarded,
        Err(_) if after < down => Made::Short,
        Err(_) => Made::Late,
    })
}

/// A takeover, and when it would be exact if the vector were not heard.
fn shown(view: &View<'_>, vector: &Vector, terms: &Terms) -> Result<String, Wrong> {
    let primed = view.last("good")?;
    let first = view.between(Duration::ZERO, view.time("again")?).first().copied();
    let Some(first) = first else { return Ok("silent".to_owned()) };
    let after = seconds(first.at.saturating_sub(primed));
    let down = seconds(vector.down(vector.own_interval, terms));
    Ok(format!("took over after {after} s, and {down} s is undisturbed"))
}

fn judged(view: &View<'_>, vector: &Vector, terms: &Terms, row: &str) -> Verdict {
    let made = made(view, vector, terms)?;
    let shown = shown(view, vector, terms)?;
    if row == "V2-7.1-LIST" {
        return Ok(format!("{made:?}"));
    }
    let good = match (row, terms.target) {
        // What no RFC says is the table's to say, and only of vipd.
        ("SEC-MALFORM", Kind::Vipd) => vector.table == "process",
        ("SEC-MALFORM", Kind::Keepalived | Kind::Frr) => {
            return Ok(format!("{made:?} ({shown}), then a good advert followed"));
        }
        _ => vector.is_good() && !vector.is_of_the_other_form(terms),
    };
    match (good, made) {
        (true, Made::Accepted) => Ok(format!("accepted ({shown})")),
        (false, Made::Discarded) => Ok(format!("discarded ({shown})")),
        (true, Made::Discarded) => wrong("discarded", shown),
        (false, Made::Accepted) => wrong("accepted", shown),
        (_, Made::Short) => wrong("short-timer", shown),
        (_, Made::Late) => wrong("late", shown),
    }
}

/// The rows that a vector shows.
fn rows(vector: &Vector, terms: &Terms) -> Vec<&'static str> {
    if vector.is_of_the_other_form(terms) {
        let form = ["V3-5.2.8-CSUM4-9568", "SEC-MALFORM"];
        return form[usize::from(!vector.is_good())..].to_vec();
    }
    let row = |v2, v3| vector.flavour.row(v2, v3);
    let name = vector.name.as_str();
    let has = |part: &str| name.contains(part);
    let mut rows = match vector.reason.as_str() {
        "length" => vec![row("V2-7.1-LEN", "V3-7.1-LEN")],
        "trailing" => vec!["X-7.1-TRAIL"],
        "addr_count" => vec![row("V2-5.3.5-COUNT", "V3-5.2.5-COUNT0RX")],
        "version" => vec![row("V2-5.3.1-VER", "V3-5.2.1-VER")],
        "type" => vec![row("V2-5.3.2-TYPE", "V3-5.2.2-TYPE")],
        "checksum" => vec![row("V2-7.1-CSUMRX", "V3-7.1-CSUMRX")],
        "ttl" if vector.flavour.is_v6() => vec!["V3-5.1.2.3-HLRX", "SEC-TTL"],
        "ttl" => vec![row("V2-5.2.3-TTLRX", "V3-5.1.1.3-TTL4RX"), "SEC-TTL"],
        "vrid" => vec![row("V2-7.1-VRID", "V3-7.1-VRID")],
        "auth_type" => vec!["V2-5.3.6-AUTHUNK", "V2-7.1-AUTH"],
        "auth_data" => vec!["AUTH-2338-PASSRX", "V2-7.1-AUTH"],
        "interval" if vector.flavour == Flavour::V2 => vec!["V2-7.1-INT", "V2-6.1-NOLEARN"],
        "interval" => vec!["V3-7.1-INT0"],
        "addr_list" => vec!["V2-7.1-LIST-DROP"],
        "addr_first_not_ll" => vec!["V3-7.1-LLFIRST-RX"],
        "destination" => vec!["X-7.1-DST"],
        "not_vrrp" => vec!["V2-5.2.4-PROTO"],
        _ if vector.is_good() => golden(vector),
        _ => Vec::new(),
    };
    if name.starts_with("order-") {
        rows.clear();
    }
    if name == "edge-v2-list-mismatch-owner" {
        rows = vec!["V2-7.1-LIST-DROP"];
    }
    for (part, row) in [
        ("bad-v2-checksum-pseudo", "V2-5.3.8-CSUM"),
        ("bad-v3-6-checksum-wrong-dst", "V3-5.2.8-CSUM6-DST"),
        ("bad-v3-6-checksum-n", "V3-5.2.8-CSUM6"),
        ("bad-v3-4-ipv6-list", "V3-5.2.9-FAMILY"),
        ("bad-v3-6-ipv4-list", "V3-5.2.9-FAMILY"),
        ("bad-v2-auth-unexpected-pass", "AUTH-2338-MIS"),
        ("bad-v2-auth-missing", "AUTH-2338-MIS"),
        ("bad-v2-to-v3-receiver", "COEX-OFF"),
        ("bad-v3-to-v2-receiver", "COEX-OFF"),
        ("bad-v2-list-mismatch", "V2-7.1-LIST"),
    ] {
        if has(part) {
            rows.push(row);
        }
    }
    rows.push("SEC-MALFORM");
    rows
}

fn golden(vector: &Vector) -> Vec<&'static str> {
    let has = |part: &str| vector.name.contains(part);
    let of_all = match vector.flavour {
        // Both a receiver that takes it and one that does not are silent for 766 s.
        Flavour::V2 if has("interval-255") => return Vec::new(),
        Flavour::V2 => "V2-5.3.8-CSUM",
        // A checksum of old releases of keepalived, by unicast: no RFC's.
        Flavour::V3 if vector.name.ends_with(OLD_FORM) => return Vec::new(),
        Flavour::V3 if has("-list-") => "V3-7.1-LIST",
        Flavour::V3 if vector.pseudo => "V3-5.2.8-CSUM4-5798",
        Flavour::V3 if has("-noph") => "V3-5.2.8-CSUM4-9568",
        Flavour::V3 => "V3-5.2.9-FAMILY",
        Flavour::V6 => "V3-5.2.8-CSUM6",
    };
    let mut rows = vec![of_all];
    for (part, row) in [
        ("v2-auth0-nonzero-data", "V2-5.3.10-AUTHDATA"),
        ("v2-pass", "AUTH-2338-PASSRX"),
        ("v2-pass", "V2-7.1-AUTH"),
        ("-rsvd-", "V3-5.2.6-RSVDRX"),
        ("v2-vrid", "V2-5.3.3-VRID"),
        ("v3-6-vrid", "V3-5.2.3-VRID"),
    ] {
        if has(part) {
            rows.push(row);
        }
    }
    rows
}
