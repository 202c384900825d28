//! Virtual servers as the effective configuration shows them.

use std::time::Duration;

use serde_json::{Value, json};
use vipd_engine::config::VirtualServer;
use vipd_engine::config::director::{Forwarding, RealServer, Tunnel, TunnelChecksum};
use vipd_engine::config::health::{Bind, Check, CheckKind, HttpCheck, Tls, UdpCheck, Url};

use super::draft::{CheckDraft, KindDraft, RealDraft, ServerDraft, Settings};
use crate::meaning::seconds;

/// A virtual server, for the engine and as written.
pub(crate) struct ServerView<'a> {
    pub server: &'a VirtualServer,
    pub draft: &'a ServerDraft,
    /// Whether mail is sent where nothing is said.
    pub mail: bool,
}

/// A real server, for the engine and as written.
pub(crate) struct RealView<'a> {
    pub real: &'a RealServer,
    pub draft: &'a RealDraft,
    /// With those of its virtual server.
    pub settings: Settings,
    /// Whether mail is sent where nothing is said.
    pub mail: bool,
}

/// A check, for the engine and as written.
pub(crate) struct CheckView<'a> {
    pub check: &'a Check,
    pub draft: &'a CheckDraft,
}

impl CheckView<'_> {
    pub fn bind(&self) -> &Bind {
        &self.check.bind
    }

    pub fn http(&self) -> Option<&HttpCheck> {
        match &self.check.kind {
            CheckKind::Http(http) => Some(http),
            _ => None,
        }
    }

    pub fn tls(&self) -> Option<&Tls> {
        self.http()?.tls.as_ref()
    }

    pub fn udp(&self) -> Option<&UdpCheck> {
        match &self.check.kind {
            CheckKind::Udp(udp) => Some(udp),
            _ => None,
        }
    }

    pub fn helo_name(&self) -> Option<&str> {
        match &self.check.kind {
            CheckKind::Smtp { helo_name } => Some(helo_name),
            _ => None,
        }
    }

    pub fn dns(&self) -> Option<(&'static str, &str)> {
        match &self.check.kind {
            CheckKind::Dns { record, name } => Some((record.name(), name)),
            _ => None,
        }
    }

    pub fn misc(&self) -> Option<&super::draft::MiscDraft> {
        match &self.draft.kind {
            KindDraft::Misc(misc) => Some(misc),
            _ => None,
        }
    }

    /// Name of the file, weight, whether it is reversed, whether it is the weight.
    pub fn file(&self) -> Option<(&str, i32, bool, bool)> {
        match &self.check.kind {
            CheckKind::File { file, weight, reverse, dynamic } => {
                Some((file.as_str(), *weight, *reverse, *dynamic))
            }
            _ => None,
        }
    }
}

/// A time that may not be said.
pub(crate) fn time(time: Option<Duration>) -> Value {
    json!(time.map(seconds))
}

pub(crate) fn forwarding(forwarding: Forwarding) -> Value {
    let checksum = |checksum| match checksum {
        TunnelChecksum::None => "nocsum",
        TunnelChecksum::Whole => "csum",
        TunnelChecksum::Remote => "remcsum",
    };
    json!(match forwarding {
        Forwarding::Nat | Forwarding::DirectRouting => forwarding.name().to_owned(),
        Forwarding::Tunnel(Tunnel::Ipip) => "TUN type ipip".to_owned(),
        Forwarding::Tunnel(Tunnel::Gue { port, checksum: form }) => {
            format!("TUN type gue port {port} {}", checksum(form))
        }
        Forwarding::Tunnel(Tunnel::Gre { checksum: form }) => {
            format!("TUN type gre {}", checksum(form))
        }
    })
}

/// Whether one of the bits of a scheduler's flags is set.
pub(crate) fn flag(view: &ServerView<'_>, bit: u8) -> Value {
    json!(view.server.scheduling.flags & bit != 0)
}

pub(crate) fn sorry_server(view: &ServerView<'_>) -> Value {
    let sorry = view.server.sorry_server.as_ref();
    json!(sorry.map(|sorry| format!("{} {}", sorry.address, sorry.port)))
}

pub(crate) fn status(url: &Url) -> Value {
    let range = |(first, last): &(u16, u16)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    url.status.iter().map(range).collect()
}

pub(crate) fn digest(url: &Url) -> Value {
    let hex = |digest: [u8; 16]| digest.map(|octet| format!("{octet:02x}")).concat();
    json!(url.digest.map(hex))
}

/// What stands in front of an expression, in the letters of the regex crate.
pub(crate) fn options(url: &Url) -> Value {
    let expression = url.pattern.as_ref().and_then(|one| one.expression.strip_prefix("(?"));
    json!(expression.and_then(|rest| rest.split_once(')')).map(|(letters, _)| letters))
}

/// Octets, `X` for a digit that may be any.
pub(crate) fn octets(octets: impl Iterator<Item = (u8, u8)>) -> Value {
    let digit = |value: u8, mask: u8| {
        let letter = char::from_digit(u32::from(value & 0xf), 16).unwrap_or('X');
        if mask & 0xf == 0 { 'X' } else { letter }
    };
    let both = |(value, mask): (u8, u8)| [digit(value >> 4, mask >> 4), digit(value, mask)];
    json!(octets.flat_map(both).collect::<String>())
}
