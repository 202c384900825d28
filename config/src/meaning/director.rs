//! Readers of `virtual_server` and `real_server`.
//!
//! [`group`] reads `virtual_server_group`, [`check`] and [`http`] the checks, [`ipvs`] what
//! `global_defs` says. [`inherit`] makes real servers for the engine when a block ends, [`settle`]
//! virtual servers when the file has.

pub(crate) mod check;
pub(crate) mod draft;
pub(crate) mod group;
pub(crate) mod http;
mod inherit;
pub(crate) mod ipvs;
pub(crate) mod pattern;
mod settle;
pub(crate) mod show;

use std::net::Ipv4Addr;
use std::time::Duration;

use vipd_engine::config::director::{
    Forwarding, MAX_PERSISTENCE, MAX_WEIGHT, Protocol, Scheduler, Tunnel, TunnelChecksum,
};

use self::draft::{Head, RealDraft, ServerDraft, Settings};
use super::draft::{Origins, Placed};
use super::notify::script;
use super::{Draft, Line};
use crate::director::RealServerNotify;

pub(super) use self::inherit::end;
pub(super) use self::settle::settle;

/// keepalived's `persistence_timeout` without a number.
const BARE_PERSISTENCE: Duration = Duration::from_secs(360);
/// Most tries that keepalived takes.
const MOST: i64 = u32::MAX as i64;

pub(crate) fn virtual_server(draft: &mut Draft, line: &mut Line<'_>) {
    let Some(head) = head(line) else {
        line.rest();
        line.skip_block = true;
        return;
    };
    let server = Placed::new(ServerDraft::new(head), line.statement.span());
    draft.director.servers.push(server);
}

/// `ADDRESS [PORT]`, `fwmark N`, `group NAME`.
fn head(line: &mut Line<'_>) -> Option<Head> {
    match line.peek().map(|word| word.text.as_str()) {
        Some("fwmark") => {
            line.next();
            mark(line).map(Head::Fwmark)
        }
        Some("group") => {
            line.next();
            line.word().map(|word| Head::Group(word.text.clone()))
        }
        Some(_) | None => {
            let (address, _) = line.address()?;
            let port = if line.peek().is_some() { line.port()? } else { 0 };
            Some(Head::Address(address, port))
        }
    }
}

/// A mark of the firewall; 0 is none.
fn mark(line: &mut Line<'_>) -> Option<u32> {
    line.integer_in(1..=MOST).map(|mark| mark as u32)
}

/// A reader of a keyword that a virtual server, a real server and a check may have.
macro_rules! inherited {
    ($($name:ident: $read:expr),* $(,)?) => { $(
        pub(crate) fn $name(draft: &mut Draft, line: &mut Line<'_>) {
            let read: fn(&mut Line<'_>) -> Option<_> = $read;
            if let Some(value) = read(line) {
                draft.settings(line.keyword.place).$name = Some(value);
            }
        }
    )* };
}

inherited! {
    delay_loop: above_0,
    connect_timeout: above_0,
    delay_before_retry: |line| line.seconds().map(|(time, _)| time),
    warmup: |line| line.seconds().map(|(time, _)| time),
    retry: |line| line.integer_in(1..=MOST).map(|count| count as u32),
    alpha: |line| line.flag(),
    inhibit_on_failure: |line| line.flag(),
    virtualhost: |line| line.word().map(|word| word.text.clone()),
    weight: |line| line.integer_in(0..=i64::from(MAX_WEIGHT)).map(|weight| weight as u32),
    forwarding: forwarding_of,
}

/// A time that would be without end at 0.
fn above_0(line: &mut Line<'_>) -> Option<Duration> {
    let (time, at) = line.seconds()?;
    if time.is_zero() {
        line.error("out-of-range", at, format!("{} must be greater than 0", line.keyword.name));
        return None;
    }
    Some(time)
}

/// `NAT`, `DR`, or `TUN` and its options.
fn forwarding_of(line: &mut Line<'_>) -> Option<Forwarding> {
    let Some((forwarding, _)) = line.choice(&Forwarding::NAMES) else {
        line.rest();
        return None;
    };
    match forwarding {
        Forwarding::Nat | Forwarding::DirectRouting => Some(forwarding),
        Forwarding::Tunnel(_) => tunnel(line).map(Forwarding::Tunnel),
    }
}

/// A word after `TUN`.
#[derive(Clone, Copy)]
enum TunnelWord {
    Type,
    Checksum(TunnelChecksum),
}

const TUNNEL_WORDS: [(&str, TunnelWord); 4] = [
    ("type", TunnelWord::Type),
    ("nocsum", TunnelWord::Checksum(TunnelChecksum::None)),
    ("csum", TunnelWord::Checksum(TunnelChecksum::Whole)),
    ("remcsum", TunnelWord::Checksum(TunnelChecksum::Remote)),
];

/// `[type ipip|gue port N|gre] [nocsum|csum|remcsum]`.
fn tunnel(line: &mut Line<'_>) -> Option<Tunnel> {
    const GUE: Tunnel = Tunnel::Gue { port: 0, checksum: TunnelChecksum::None };
    const GRE: Tunnel = Tunnel::Gre { checksum: TunnelChecksum::None };
    let mut tunnel = Tunnel::Ipip;
    let mut wanted = TunnelChecksum::None;
    while line.peek().is_some() {
        match line.choice(&TUNNEL_WORDS)?.0 {
            TunnelWord::Checksum(checksum) => wanted = checksum,
            TunnelWord::Type => {
                let types = [("ipip", Tunnel::Ipip), ("gue", GUE), ("gre", GRE)];
                tunnel = line.choice(&types)?.0;
                if let Tunnel::Gue { port, .. } = &mut tunnel {
                    line.choice(&[("port", ())])?;
                    *port = line.integer_in(1..=65535)? as u16;
                }
            }
        }
    }
    let refused = match (&mut tunnel, wanted) {
        (Tunnel::Gue { checksum, .. }, _) => {
            *checksum = wanted;
            None
        }
        (Tunnel::Gre { .. }, TunnelChecksum::Remote) => Some("a GRE tunnel has no `remcsum`"),
        (Tunnel::Gre { checksum }, _) => {
            *checksum = wanted;
            None
        }
        (Tunnel::Ipip, TunnelChecksum::None) => None,
        (Tunnel::Ipip, _) => Some("an IPIP tunnel has no checksum"),
    };
    if let Some(message) = refused {
        line.error("invalid-value", line.statement.span(), message.to_owned());
        return None;
    }
    Some(tunnel)
}

pub(crate) fn scheduler(draft: &mut Draft, line: &mut Line<'_>) {
    if let Some((scheduler, _)) = line.choice(&Scheduler::NAMES) {
        draft.server().scheduler = Some(scheduler);
    }
}

pub(crate) fn flag_1(draft: &mut Draft, _line: &mut Line<'_>) {
    draft.server().flags |= 1;
}

pub(crate) fn flag_2(draft: &mut Draft, _line: &mut Line<'_>) {
    draft.server().flags |= 2;
}

pub(crate) fn flag_3(draft: &mut Draft, _line: &mut Line<'_>) {
    draft.server().flags |= 4;
}

/// `IP_VS_SVC_F_SCHED_SH_FALLBACK` and its like of `mh` are the first flag.
pub(crate) fn hash_fallback(draft: &mut Draft, _line: &mut Line<'_>) {
    draft.server().hash_flags |= 1;
}

/// `IP_VS_SVC_F_SCHED_SH_PORT` and its like of `mh` are the second flag.
pub(crate) fn hash_port(draft: &mut Draft, _line: &mut Line<'_>) {
    draft.server().hash_flags |= 2;
}

pub(crate) fn hashed(draft: &mut Draft, _line: &mut Line<'_>) {
    draft.server().hashed = true;
}

pub(crate) fn one_packet(draft: &mut Draft, _line: &mut Line<'_>) {
    draft.server().one_packet = true;
}

pub(crate) fn persistence(draft: &mut Draft, line: &mut Line<'_>) {
    let written = line.peek();
    if written.is_some_and(|word| word.text == "0") {
        let at = line.next().map_or(line.span(), |word| word.span);
        line.adjusted(at, "persistence_timeout cannot be 0".to_owned(), "keepalived ignores it");
        return;
    }
    draft.server().persistence = match written {
        None => Some(BARE_PERSISTENCE),
        Some(_) => {
            let most = MAX_PERSISTENCE.as_secs() as i64;
            line.integer_in(1..=most).map(|time| Duration::from_secs(time as u64))
        }
    };
}

/// A netmask, or a number of bits.
pub(crate) fn granularity(draft: &mut Draft, line: &mut Line<'_>) {
    let Some(word) = line.word() else { return };
    let mask = word.text.parse::<Ipv4Addr>().ok().map(Ipv4Addr::to_bits);
    let bits = match mask {
        Some(mask) => {
            (mask.leading_ones() + mask.trailing_zeros() == 32).then_some(mask.leading_ones() as u8)
        }
        None => word.text.parse().ok(),
    };
    match bits.filter(|bits| (1..=128).contains(bits)) {
        Some(bits) => draft.server().granularity = Some(bits),
        None => line.invalid(word, "is neither a netmask nor a number of bits", None),
    }
}

pub(crate) fn engine(draft: &mut Draft, line: &mut Line<'_>) {
    draft.server().engine = line.word().map(|word| word.text.clone());
}

pub(crate) fn protocol(draft: &mut Draft, line: &mut Line<'_>) {
    if let Some((protocol, _)) = line.choice_of_any_case(&Protocol::NAMES) {
        draft.server().protocol = Some(protocol);
    }
}

pub(crate) fn family(draft: &mut Draft, line: &mut Line<'_>) {
    draft.server().family = line.choice(&group::FAMILIES).map(|(family, _)| family);
}

/// A reader of `[BOOL]`.
macro_rules! flag {
    ($($name:ident),*) => { $(
        pub(crate) fn $name(draft: &mut Draft, line: &mut Line<'_>) {
            if let Some(value) = line.flag() {
                draft.server().$name = value;
            }
        }
    )* };
}

flag!(ha_suspend, omega, sorry_inhibit);

pub(crate) fn quorum(draft: &mut Draft, line: &mut Line<'_>) {
    draft.server().quorum = line.integer_in(1..=MOST).map(|quorum| quorum as u32);
}

pub(crate) fn hysteresis(draft: &mut Draft, line: &mut Line<'_>) {
    draft.server().hysteresis = line.integer_in(0..=MOST).map(|hysteresis| hysteresis as u32);
}

pub(crate) fn sorry_server(draft: &mut Draft, line: &mut Line<'_>) {
    let Some((address, _)) = line.address() else {
        line.rest();
        return;
    };
    let port = line.peek().and_then(|_| line.port());
    draft.server().sorry = Some((address, port));
}

pub(crate) fn sorry_forwarding(draft: &mut Draft, line: &mut Line<'_>) {
    draft.server().sorry_forwarding = forwarding_of(line);
}

pub(crate) fn quorum_up(draft: &mut Draft, line: &mut Line<'_>) {
    draft.server().notify.up = script(line);
}

pub(crate) fn quorum_down(draft: &mut Draft, line: &mut Line<'_>) {
    draft.server().notify.down = script(line);
}

pub(crate) fn server_mail(draft: &mut Draft, line: &mut Line<'_>) {
    draft.server().notify.mail = line.flag();
}

pub(crate) fn real_server(draft: &mut Draft, line: &mut Line<'_>) {
    let Some((address, _)) = line.address() else {
        line.rest();
        line.skip_block = true;
        return;
    };
    let port = line.peek().and_then(|_| line.port());
    let place = line.statement.span();
    draft.server().real_servers.push(RealDraft {
        address,
        port,
        settings: Settings::default(),
        upper_threshold: 0,
        lower_threshold: 0,
        notify: RealServerNotify::default(),
        checks: Vec::new(),
        place,
        origins: Origins { block: Some(place), ..Origins::default() },
    });
}

pub(crate) fn upper_threshold(draft: &mut Draft, line: &mut Line<'_>) {
    if let Some(most) = line.integer_in(0..=MOST) {
        draft.real().upper_threshold = most as u32;
    }
}

pub(crate) fn lower_threshold(draft: &mut Draft, line: &mut Line<'_>) {
    if let Some(least) = line.integer_in(0..=MOST) {
        draft.real().lower_threshold = least as u32;
    }
}

pub(crate) fn notify_up(draft: &mut Draft, line: &mut Line<'_>) {
    draft.real().notify.up = script(line);
}

pub(crate) fn notify_down(draft: &mut Draft, line: &mut Line<'_>) {
    draft.real().notify.down = script(line);
}

pub(crate) fn real_mail(draft: &mut Draft, line: &mut Line<'_>) {
    draft.real().notify.mail = line.flag();
}
