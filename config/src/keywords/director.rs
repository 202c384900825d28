//! Rows: `virtual_server_group`, `virtual_server` and `real_server`. Those of checks stand in
//! [`super::checks`].

use serde_json::{Value, json};
use vipd_engine::Family;

use super::Effect::{Aside, Kernel};
use super::Standing::{ActedOn, Dead, NotBuilt};
use super::{Keyword, Place, Show};
use crate::meaning::director::show::{self, RealView, ServerView};
use crate::meaning::director::{self, check, group};
use crate::meaning::{Draft, Line, notify, seconds};

type Reader = fn(&mut Draft, &mut Line<'_>);

pub(super) const VIRTUAL_SERVER_GROUP: &[Keyword] =
    &[Keyword::new(Place::VirtualServerGroup, "fwmark", "N [inet|inet6]", "", ActedOn)
        .reads(group::fwmark)
        .many()];

const fn row(
    name: &'static str,
    arguments: &'static str,
    default: &'static str,
    read: Reader,
    show: fn(&ServerView<'_>) -> Value,
) -> Keyword {
    Keyword::new(Place::VirtualServer, name, arguments, default, ActedOn)
        .reads(read)
        .shows(Show::VirtualServer(show))
}

/// Forms of forwarding, as they are written.
const FORWARDING: &str = "NAT|DR|TUN [type ipip|gue port N|gre] [nocsum|csum|remcsum]";
/// Without it, what the block around says.
const OUTER: &str = "that of the virtual server";

pub(super) const VIRTUAL_SERVER: &[Keyword] = &[
    row("lb_algo", "SCHEDULER", "wlc", director::scheduler, |v| {
        json!(v.server.scheduling.scheduler.name())
    }),
    Keyword::new(Place::VirtualServer, "lvs_sched", "SCHEDULER", "", ActedOn)
        .reads(director::scheduler)
        .sets("lb_algo"),
    row("flag-1", "", "off", director::flag_1, |v| show::flag(v, 1)),
    row("flag-2", "", "off", director::flag_2, |v| show::flag(v, 2)),
    row("flag-3", "", "off", director::flag_3, |v| show::flag(v, 4)),
    row("sh-port", "", "off", director::hash_port, |v| show::flag(v, 2)),
    row("sh-fallback", "", "off", director::hash_fallback, |v| show::flag(v, 1)),
    row("mh-port", "", "off", director::hash_port, |v| show::flag(v, 2)),
    row("mh-fallback", "", "off", director::hash_fallback, |v| show::flag(v, 1)),
    row("hashed", "", "off", director::hashed, |v| json!(v.server.scheduling.hashed)),
    row("ops", "", "off", director::one_packet, |v| json!(v.server.scheduling.one_packet)),
    row("lb_kind", FORWARDING, "NAT", director::forwarding, |v| {
        show::forwarding(v.draft.settings.forwarding())
    }),
    Keyword::new(Place::VirtualServer, "lvs_method", FORWARDING, "", ActedOn)
        .reads(director::forwarding)
        .sets("lb_kind"),
    row("persistence_timeout", "[SECONDS]", "off; 360 bare", director::persistence, |v| {
        show::time(v.server.persistence.as_ref().map(|one| one.timeout))
    }),
    row("persistence_granularity", "MASK|BITS", "each address", director::granularity, |v| {
        json!(v.server.persistence.as_ref().map(|one| one.prefix_len))
    }),
    row("persistence_engine", "NAME", "none", director::engine, |v| {
        json!(v.server.persistence.as_ref().and_then(|one| one.engine.as_ref()))
    }),
    row("protocol", "TCP|UDP|SCTP", "", director::protocol, |v| {
        json!(v.draft.protocol.map(vipd_engine::config::director::Protocol::name))
    }),
    row("ip_family", "inet|inet6", "that of the addresses", director::family, |v| {
        let families = v.server.services.iter().map(|service| service.family());
        let names = [(Family::Ipv4, "inet"), (Family::Ipv6, "inet6")];
        let known = |family| names.iter().find(|(one, _)| *one == family).map(|(_, name)| *name);
        json!(families.map(known).next())
    }),
    row("ha_suspend", "[BOOL]", "off", director::ha_suspend, |v| json!(v.server.ha_suspend)),
    row("quorum", "N", "1", director::quorum, |v| json!(v.server.quorum)),
    row("hysteresis", "N", "0", director::hysteresis, |v| json!(v.server.hysteresis)),
    row("quorum_up", "COMMAND [USER [GROUP]]", "none", director::quorum_up, |v| {
        notify::show(v.draft.notify.up.as_ref())
    }),
    row("quorum_down", "COMMAND [USER [GROUP]]", "none", director::quorum_down, |v| {
        notify::show(v.draft.notify.down.as_ref())
    }),
    row("sorry_server", "ADDRESS [PORT]", "none", director::sorry_server, show::sorry_server),
    row("sorry_server_inhibit", "[BOOL]", "off", director::sorry_inhibit, |v| {
        json!(v.server.sorry_server.as_ref().map(|sorry| sorry.inhibit))
    }),
    row("sorry_server_lvs_method", FORWARDING, OUTER, director::sorry_forwarding, |v| {
        json!(v.server.sorry_server.as_ref().map(|sorry| show::forwarding(sorry.forwarding)))
    }),
    row("alpha", "[BOOL]", "off", director::alpha, |v| json!(v.server.alpha)),
    row("omega", "[BOOL]", "off", director::omega, |v| json!(v.server.omega)),
    row("smtp_alert", "[BOOL]", "off", director::server_mail, |v| {
        json!(v.draft.notify.mail.unwrap_or(v.mail))
    }),
    // What real servers and checks take from here.
    row("delay_loop", "SECONDS", "60", director::delay_loop, |v| {
        seconds(v.draft.settings.delay_loop())
    }),
    row("connect_timeout", "SECONDS", "5", director::connect_timeout, |v| {
        seconds(v.draft.settings.connect_timeout())
    }),
    row("retry", "N", "that of the check", director::retry, |v| json!(v.draft.settings.retry)),
    row("delay_before_retry", "SECONDS", "that of the check", director::delay_before_retry, |v| {
        show::time(v.draft.settings.delay_before_retry)
    }),
    row("warmup", "SECONDS", "`delay_loop`", director::warmup, |v| {
        show::time(v.draft.settings.warmup)
    }),
    row("inhibit_on_failure", "[BOOL]", "off", director::inhibit_on_failure, |v| {
        json!(v.draft.settings.inhibit_on_failure.unwrap_or(false))
    }),
    row("weight", "N", "1", director::weight, |v| json!(v.draft.settings.weight.unwrap_or(1))),
    row("virtualhost", "NAME", "none", director::virtualhost, |v| {
        json!(v.draft.settings.virtualhost)
    }),
    Keyword::new(Place::VirtualServer, "real_server", "ADDRESS [PORT] { ... }", "", ActedOn)
        .opens(Place::RealServer)
        .reads(director::real_server)
        .many(),
    Keyword::new(Place::VirtualServer, "snmp_name", "NAME", "", NotBuilt(Aside)),
    Keyword::new(Place::VirtualServer, "nat_mask", "MASK", "", Dead).deprecated("remove the line"),
];

const fn server(
    name: &'static str,
    arguments: &'static str,
    default: &'static str,
    read: Reader,
    show: fn(&RealView<'_>) -> Value,
) -> Keyword {
    Keyword::new(Place::RealServer, name, arguments, default, ActedOn)
        .reads(read)
        .shows(Show::RealServer(show))
}

const fn opens(name: &'static str, place: Place, read: Reader) -> Keyword {
    Keyword::new(Place::RealServer, name, "{ ... }", "", ActedOn).opens(place).reads(read).many()
}

pub(super) const REAL_SERVER: &[Keyword] = &[
    server("weight", "N", OUTER, director::weight, |r| json!(r.real.weight)),
    server("lvs_method", FORWARDING, OUTER, director::forwarding, |r| {
        show::forwarding(r.real.forwarding)
    })
    .outer("lb_kind"),
    server("uthreshold", "N", "none", director::upper_threshold, |r| json!(r.real.upper_threshold)),
    server("lthreshold", "N", "none", director::lower_threshold, |r| json!(r.real.lower_threshold)),
    server("inhibit_on_failure", "[BOOL]", OUTER, director::inhibit_on_failure, |r| {
        json!(r.real.inhibit_on_failure)
    }),
    server("notify_up", "COMMAND [USER [GROUP]]", "none", director::notify_up, |r| {
        notify::show(r.draft.notify.up.as_ref())
    }),
    server("notify_down", "COMMAND [USER [GROUP]]", "none", director::notify_down, |r| {
        notify::show(r.draft.notify.down.as_ref())
    }),
    server("smtp_alert", "[BOOL]", "on", director::real_mail, |r| {
        json!(r.draft.notify.mail.unwrap_or(r.mail))
    }),
    // What checks take from here.
    server("alpha", "[BOOL]", OUTER, director::alpha, |r| json!(r.settings.alpha.unwrap_or(false))),
    server("delay_loop", "SECONDS", OUTER, director::delay_loop, |r| {
        seconds(r.settings.delay_loop())
    }),
    server("connect_timeout", "SECONDS", OUTER, director::connect_timeout, |r| {
        seconds(r.settings.connect_timeout())
    }),
    server("retry", "N", OUTER, director::retry, |r| json!(r.settings.retry)),
    server("delay_before_retry", "SECONDS", OUTER, director::delay_before_retry, |r| {
        show::time(r.settings.delay_before_retry)
    }),
    server("warmup", "SECONDS", OUTER, director::warmup, |r| show::time(r.settings.warmup)),
    server("virtualhost", "NAME", OUTER, director::virtualhost, |r| json!(r.settings.virtualhost)),
    opens("TCP_CHECK", Place::TcpCheck, check::tcp),
    opens("HTTP_GET", Place::HttpGet, check::http_get),
    opens("SSL_GET", Place::HttpGet, check::ssl_get),
    opens("SMTP_CHECK", Place::SmtpCheck, check::smtp),
    opens("DNS_CHECK", Place::DnsCheck, check::dns),
    opens("MISC_CHECK", Place::MiscCheck, check::misc),
    opens("PING_CHECK", Place::PingCheck, check::ping),
    opens("UDP_CHECK", Place::UdpCheck, check::udp),
    opens("FILE_CHECK", Place::FileCheck, check::file),
    Keyword::new(Place::RealServer, "BFD_CHECK", "{ ... }", "", NotBuilt(Kernel))
        .opens(Place::BfdCheck)
        .many(),
    Keyword::new(Place::RealServer, "snmp_name", "NAME", "", NotBuilt(Aside)),
];
