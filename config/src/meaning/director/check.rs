//! Readers of the checks of a real server, other than of what only HTTP has.

use std::net::IpAddr;
use std::time::Duration;

use vipd_engine::TrackerName;
use vipd_engine::config::health::{DnsRecord, UdpCheck};

use super::draft::{CheckDraft, Endpoint, FileDraft, KindDraft, MiscDraft, Settings};
use crate::meaning::draft::Origins;
use crate::meaning::instance::interface_name;
use crate::meaning::{Draft, Line, global};

/// Octets of a datagram that says nothing of itself; keepalived sends random ones.
const PAYLOAD: [u8; 8] = [0; 8];
/// Longest answer of `UDP_CHECK` unless configured.
const LONGEST_REPLY: u16 = 255;
/// Longest name of the domain name system, dots included (RFC 1035 section 2.3.4).
const LONGEST_NAME: usize = 253;
/// Longest part of one.
const LONGEST_LABEL: usize = 63;

fn opens(draft: &mut Draft, line: &Line<'_>, kind: KindDraft) {
    let block = Some(line.statement.span());
    draft.real().checks.push(CheckDraft {
        kind,
        settings: Settings::default(),
        endpoint: Endpoint::default(),
        hosts: Vec::new(),
        log_all_failures: None,
        origins: Origins { block, ..Origins::default() },
    });
}

pub(crate) fn tcp(draft: &mut Draft, line: &mut Line<'_>) {
    opens(draft, line, KindDraft::Tcp);
}

pub(crate) fn ping(draft: &mut Draft, line: &mut Line<'_>) {
    opens(draft, line, KindDraft::Ping);
}

pub(crate) fn http_get(draft: &mut Draft, line: &mut Line<'_>) {
    opens(draft, line, KindDraft::Http(super::http::new(false)));
}

pub(crate) fn ssl_get(draft: &mut Draft, line: &mut Line<'_>) {
    opens(draft, line, KindDraft::Http(super::http::new(true)));
}

pub(crate) fn smtp(draft: &mut Draft, line: &mut Line<'_>) {
    opens(draft, line, KindDraft::Smtp { helo_name: None });
}

pub(crate) fn dns(draft: &mut Draft, line: &mut Line<'_>) {
    opens(draft, line, KindDraft::Dns { record: DnsRecord::Soa, name: ".".to_owned() });
}

pub(crate) fn misc(draft: &mut Draft, line: &mut Line<'_>) {
    opens(draft, line, KindDraft::Misc(MiscDraft::default()));
}

pub(crate) fn udp(draft: &mut Draft, line: &mut Line<'_>) {
    let udp =
        UdpCheck { payload: PAYLOAD.to_vec(), max_reply: LONGEST_REPLY, ..UdpCheck::default() };
    opens(draft, line, KindDraft::Udp(udp));
}

pub(crate) fn file(draft: &mut Draft, line: &mut Line<'_>) {
    opens(draft, line, KindDraft::File(FileDraft::default()));
}

/// `host` of an `SMTP_CHECK`.
pub(crate) fn host(draft: &mut Draft, _line: &mut Line<'_>) {
    draft.check().hosts.push(Endpoint::default());
}

pub(crate) fn connect_ip(draft: &mut Draft, line: &mut Line<'_>) {
    draft.endpoint(line.keyword.place).address = line.address().map(|(address, _)| address);
}

pub(crate) fn connect_port(draft: &mut Draft, line: &mut Line<'_>) {
    draft.endpoint(line.keyword.place).port = port(line);
}

pub(crate) fn bind_address(draft: &mut Draft, line: &mut Line<'_>) {
    let address: Option<IpAddr> = line.address().map(|(address, _)| address);
    draft.endpoint(line.keyword.place).bind.address = address;
}

pub(crate) fn bind_port(draft: &mut Draft, line: &mut Line<'_>) {
    draft.endpoint(line.keyword.place).bind.port = port(line).unwrap_or(0);
}

pub(crate) fn bind_interface(draft: &mut Draft, line: &mut Line<'_>) {
    draft.endpoint(line.keyword.place).bind.interface = interface_name(line);
}

pub(crate) fn mark(draft: &mut Draft, line: &mut Line<'_>) {
    let mark = line.integer_in(0..=super::MOST).map_or(0, |mark| mark as u32);
    draft.endpoint(line.keyword.place).bind.fwmark = mark;
}

fn port(line: &mut Line<'_>) -> Option<u16> {
    line.integer_in(1..=65535).map(|port| port as u16)
}

pub(crate) fn log_all_failures(draft: &mut Draft, line: &mut Line<'_>) {
    draft.check().log_all_failures = line.flag();
}

pub(crate) fn helo_name(draft: &mut Draft, line: &mut Line<'_>) {
    let name = line.word().map(|word| word.text.clone());
    if let KindDraft::Smtp { helo_name } = &mut draft.check().kind {
        *helo_name = name;
    }
}

pub(crate) fn dns_type(draft: &mut Draft, line: &mut Line<'_>) {
    let read = line.choice_of_any_case(&DnsRecord::NAMES);
    if let (Some((read, _)), KindDraft::Dns { record, .. }) = (read, &mut draft.check().kind) {
        *record = read;
    }
}

pub(crate) fn dns_name(draft: &mut Draft, line: &mut Line<'_>) {
    let Some(word) = line.word() else { return };
    let labels = word.text.strip_suffix('.').unwrap_or(&word.text);
    let fits = |label: &str| (1..=LONGEST_LABEL).contains(&label.len());
    let root = word.text == ".";
    if !root && (labels.len() > LONGEST_NAME || !labels.split('.').all(fits)) {
        line.invalid(word, "is no name of parts of 1 to 63 octets, 253 together", None);
        return;
    }
    if let KindDraft::Dns { name, .. } = &mut draft.check().kind {
        name.clone_from(&word.text);
    }
}

/// The check whose keyword is read, if it is a `MISC_CHECK`: no other has these.
fn misc_of(draft: &mut Draft) -> Option<&mut MiscDraft> {
    match &mut draft.check().kind {
        KindDraft::Misc(misc) => Some(misc),
        KindDraft::Tcp
        | KindDraft::Http(_)
        | KindDraft::Smtp { .. }
        | KindDraft::Dns { .. }
        | KindDraft::Ping
        | KindDraft::Udp(_)
        | KindDraft::File(_) => None,
    }
}

pub(crate) fn misc_path(draft: &mut Draft, line: &mut Line<'_>) {
    let command = crate::meaning::tracker::command_of(line);
    if let (Some(command), Some(misc)) = (command, misc_of(draft)) {
        misc.command = command;
    }
}

pub(crate) fn misc_timeout(draft: &mut Draft, line: &mut Line<'_>) {
    let seconds = line.integer_in(1..=super::MOST);
    if let (Some(seconds), Some(misc)) = (seconds, misc_of(draft)) {
        misc.timeout = Some(Duration::from_secs(seconds as u64));
    }
}

pub(crate) fn misc_dynamic(draft: &mut Draft, line: &mut Line<'_>) {
    let dynamic = line.flag();
    if let (Some(dynamic), Some(misc)) = (dynamic, misc_of(draft)) {
        misc.dynamic = dynamic;
    }
}

pub(crate) fn misc_user(draft: &mut Draft, line: &mut Line<'_>) {
    let user = global::account(line);
    if let Some(misc) = misc_of(draft) {
        misc.user = user;
    }
}

fn udp_of(draft: &mut Draft) -> Option<&mut UdpCheck> {
    match &mut draft.check().kind {
        KindDraft::Udp(udp) => Some(udp),
        KindDraft::Tcp
        | KindDraft::Http(_)
        | KindDraft::Smtp { .. }
        | KindDraft::Dns { .. }
        | KindDraft::Misc(_)
        | KindDraft::Ping
        | KindDraft::File(_) => None,
    }
}

pub(crate) fn payload(draft: &mut Draft, line: &mut Line<'_>) {
    if line.peek().is_none() {
        line.word();
    }
    let octets = hexadecimal(line, false);
    if let (Some(octets), Some(udp)) = (octets, udp_of(draft)) {
        udp.payload = octets.into_iter().map(|(value, _)| value).collect();
    }
}

/// Without octets any answer is good.
pub(crate) fn require_reply(draft: &mut Draft, line: &mut Line<'_>) {
    let octets = hexadecimal(line, true);
    if let (Some(octets), Some(udp)) = (octets, udp_of(draft)) {
        (udp.requires_reply, udp.reply) = (true, octets);
    }
}

/// Octets as pairs of hexadecimal digits, blanks between them as one likes; a digit alone is a
/// whole octet. An `X` stands for any digit, if that is allowed. Each is a value and its mask.
fn hexadecimal(line: &mut Line<'_>, any_digit: bool) -> Option<Vec<(u8, u8)>> {
    let Some((text, at)) = line.rest() else { return Some(Vec::new()) };
    let digit = |letter: u8| match letter {
        b'x' | b'X' if any_digit => Some((0, 0)),
        _ => Some((char::from(letter).to_digit(16)? as u8, 0xf)),
    };
    let groups = text.split_whitespace().flat_map(|group| group.as_bytes().chunks(2));
    let octets = groups.map(|pair| {
        let high = if pair.len() == 2 { digit(pair[0])? } else { (0, 0xf) };
        let low = digit(*pair.last()?)?;
        Some((high.0 << 4 | low.0, high.1 << 4 | low.1))
    });
    let octets: Option<Vec<_>> = octets.collect();
    if octets.is_none() {
        line.error("invalid-value", at, format!("`{text}` is not hexadecimal"));
    }
    octets
}

pub(crate) fn min_reply(draft: &mut Draft, line: &mut Line<'_>) {
    let length = line.integer_in(0..=65535);
    if let (Some(length), Some(udp)) = (length, udp_of(draft)) {
        udp.min_reply = length as u16;
    }
}

pub(crate) fn max_reply(draft: &mut Draft, line: &mut Line<'_>) {
    let length = line.integer_in(0..=65535);
    if let (Some(length), Some(udp)) = (length, udp_of(draft)) {
        udp.max_reply = length as u16;
    }
}

fn file_of(draft: &mut Draft) -> Option<&mut FileDraft> {
    match &mut draft.check().kind {
        KindDraft::File(file) => Some(file),
        KindDraft::Tcp
        | KindDraft::Http(_)
        | KindDraft::Smtp { .. }
        | KindDraft::Dns { .. }
        | KindDraft::Misc(_)
        | KindDraft::Ping
        | KindDraft::Udp(_) => None,
    }
}

pub(crate) fn track_file(draft: &mut Draft, line: &mut Line<'_>) {
    let Some(word) = line.word() else { return };
    if let Some(file) = file_of(draft) {
        file.file = Some((TrackerName::new(&word.text), word.span));
    }
}

/// `N [reverse]`.
pub(crate) fn file_weight(draft: &mut Draft, line: &mut Line<'_>) {
    let weight = line.integer_in(-i64::from(i32::MAX)..=i64::from(i32::MAX));
    let reverse = line.peek().is_some() && line.choice(&[("reverse", ())]).is_some();
    if let (Some(weight), Some(file)) = (weight, file_of(draft)) {
        file.weight = Some((weight as i32, reverse));
    }
}

pub(crate) fn file_dynamic(draft: &mut Draft, line: &mut Line<'_>) {
    let dynamic = line.flag();
    if let (Some(dynamic), Some(file)) = (dynamic, file_of(draft)) {
        file.dynamic = dynamic;
    }
}
