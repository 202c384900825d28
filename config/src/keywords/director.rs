//! Rows: `virtual_server_group`, `virtual_server`, `real_server` and the checks.

use serde_json::{Value, json};

use super::Effect::{Aside, Kernel};
use super::Standing::{Checked, Dead, NotBuilt};
use super::{Effect, Keyword, Place, Show, Since};
use crate::director::{RealServer, TcpCheck, VirtualServer};
use crate::meaning::{Draft, Line, director, seconds};

type Reader = fn(&mut Draft, &mut Line<'_>);

pub(super) const VIRTUAL_SERVER_GROUP: &[Keyword] =
    &[Keyword::new(Place::VirtualServerGroup, "fwmark", "N [inet|inet6]", "", NotBuilt(Kernel))
        .many()];

const fn checked(
    name: &'static str,
    arguments: &'static str,
    default: &'static str,
    read: Reader,
    show: fn(&VirtualServer) -> Value,
) -> Keyword {
    Keyword::new(Place::VirtualServer, name, arguments, default, Checked)
        .reads(read)
        .shows(Show::VirtualServer(show))
}

const fn unbuilt(name: &'static str, arguments: &'static str, effect: Effect) -> Keyword {
    Keyword::new(Place::VirtualServer, name, arguments, "", NotBuilt(effect))
}

pub(super) const VIRTUAL_SERVER: &[Keyword] = &[
    checked("delay_loop", "SECONDS", "60", director::delay_loop, |v| seconds(v.delay_loop)),
    checked("lb_algo", "SCHEDULER", "wlc", director::scheduler, |v| json!(v.scheduler.name())),
    Keyword::new(Place::VirtualServer, "lvs_sched", "SCHEDULER", "", Checked)
        .reads(director::scheduler)
        .sets("lb_algo"),
    checked("lb_kind", "NAT|DR|TUN", "NAT", director::forwarding, |v| json!(v.forwarding.name())),
    Keyword::new(Place::VirtualServer, "lvs_method", "NAT|DR|TUN", "", Checked)
        .reads(director::forwarding)
        .sets("lb_kind"),
    checked("persistence_timeout", "[SECONDS]", "off; 360 bare", director::persistence, |v| {
        json!(v.persistence.map(seconds))
    }),
    checked("protocol", "TCP|UDP|SCTP", "", director::protocol, |v| json!(v.protocol.name())),
    Keyword::new(Place::VirtualServer, "real_server", "ADDRESS PORT { ... }", "", Checked)
        .opens(Place::RealServer)
        .reads(director::real_server)
        .many(),
    unbuilt("persistence_granularity", "MASK", Kernel),
    unbuilt("persistence_engine", "sip", Kernel),
    unbuilt("flag-1", "", Kernel),
    unbuilt("flag-2", "", Kernel),
    unbuilt("flag-3", "", Kernel),
    unbuilt("sh-port", "", Kernel),
    unbuilt("sh-fallback", "", Kernel),
    unbuilt("mh-port", "", Kernel),
    unbuilt("mh-fallback", "", Kernel),
    unbuilt("hashed", "", Kernel),
    unbuilt("ops", "", Kernel),
    unbuilt("ip_family", "inet|inet6", Kernel),
    unbuilt("ha_suspend", "", Kernel),
    unbuilt("snmp_name", "NAME", Aside),
    unbuilt("weight", "N", Kernel),
    unbuilt("virtualhost", "NAME", Kernel),
    unbuilt("alpha", "[BOOL]", Kernel),
    unbuilt("omega", "[BOOL]", Aside),
    unbuilt("quorum", "N", Kernel),
    unbuilt("hysteresis", "N", Kernel),
    unbuilt("quorum_up", "COMMAND", Aside),
    unbuilt("quorum_down", "COMMAND", Aside),
    unbuilt("sorry_server", "ADDRESS [PORT]", Kernel),
    unbuilt("sorry_server_inhibit", "", Kernel),
    unbuilt("sorry_server_lvs_method", "NAT|DR|TUN", Kernel),
    unbuilt("connect_timeout", "SECONDS", Kernel),
    unbuilt("retry", "N", Kernel),
    unbuilt("delay_before_retry", "SECONDS", Kernel),
    unbuilt("warmup", "SECONDS", Kernel),
    unbuilt("inhibit_on_failure", "[BOOL]", Kernel),
    unbuilt("smtp_alert", "[BOOL]", Aside),
    unbuilt("SSL", "{ ... }", Aside).opens(Place::Ssl),
    Keyword::new(Place::VirtualServer, "nat_mask", "MASK", "", Dead).deprecated("remove the line"),
];

const fn server(
    name: &'static str,
    arguments: &'static str,
    default: &'static str,
    read: Reader,
    show: fn(&RealServer) -> Value,
) -> Keyword {
    Keyword::new(Place::RealServer, name, arguments, default, Checked)
        .reads(read)
        .shows(Show::RealServer(show))
}

const fn unbuilt_server(name: &'static str, arguments: &'static str, effect: Effect) -> Keyword {
    Keyword::new(Place::RealServer, name, arguments, "", NotBuilt(effect))
}

const fn check(name: &'static str, place: Place) -> Keyword {
    unbuilt_server(name, "{ ... }", Kernel).opens(place).many()
}

pub(super) const REAL_SERVER: &[Keyword] = &[
    server("weight", "N", "1", director::weight, |r| json!(r.weight)),
    Keyword::new(Place::RealServer, "TCP_CHECK", "{ ... }", "", Checked)
        .opens(Place::TcpCheck)
        .reads(director::tcp_check)
        .many(),
    check("HTTP_GET", Place::HttpGet),
    check("SSL_GET", Place::HttpGet),
    check("SMTP_CHECK", Place::SmtpCheck),
    check("DNS_CHECK", Place::DnsCheck),
    check("MISC_CHECK", Place::MiscCheck),
    check("PING_CHECK", Place::Check),
    check("UDP_CHECK", Place::UdpCheck),
    check("BFD_CHECK", Place::BfdCheck),
    check("FILE_CHECK", Place::FileCheck),
    unbuilt_server("lvs_method", "NAT|DR|TUN", Kernel),
    unbuilt_server("lb_kind", "NAT|DR|TUN", Kernel),
    unbuilt_server("notify_up", "COMMAND", Aside),
    unbuilt_server("notify_down", "COMMAND", Aside),
    unbuilt_server("uthreshold", "N", Kernel),
    unbuilt_server("lthreshold", "N", Kernel),
    unbuilt_server("inhibit_on_failure", "[BOOL]", Kernel),
    unbuilt_server("alpha", "[BOOL]", Kernel),
    unbuilt_server("retry", "N", Kernel),
    unbuilt_server("delay_before_retry", "SECONDS", Kernel),
    unbuilt_server("warmup", "SECONDS", Kernel),
    unbuilt_server("delay_loop", "SECONDS", Kernel),
    unbuilt_server("connect_timeout", "SECONDS", Kernel),
    unbuilt_server("smtp_alert", "[BOOL]", Aside),
    unbuilt_server("virtualhost", "NAME", Kernel),
    unbuilt_server("snmp_name", "NAME", Aside),
];

const fn in_check(place: Place, name: &'static str, arguments: &'static str) -> Keyword {
    Keyword::new(place, name, arguments, "", NotBuilt(Kernel))
}

pub(super) const SSL: &[Keyword] = &[
    in_check(Place::Ssl, "password", "TEXT"),
    in_check(Place::Ssl, "ca", "PATH"),
    in_check(Place::Ssl, "certificate", "PATH"),
    in_check(Place::Ssl, "key", "PATH"),
];

pub(super) const TCP_CHECK: &[Keyword] =
    &[Keyword::new(Place::TcpCheck, "connect_timeout", "SECONDS", "5", Checked)
        .reads(director::connect_timeout)
        .shows(Show::TcpCheck(tcp_connect_timeout))];

fn tcp_connect_timeout(check: &TcpCheck) -> Value {
    seconds(check.connect_timeout)
}

pub(super) const CHECK: &[Keyword] = &[
    in_check(Place::Check, "connect_ip", "ADDRESS"),
    in_check(Place::Check, "connect_port", "PORT"),
    in_check(Place::Check, "bindto", "ADDRESS"),
    in_check(Place::Check, "bind_port", "PORT"),
    in_check(Place::Check, "bind_if", "IF"),
    in_check(Place::Check, "fwmark", "N"),
    in_check(Place::Check, "connect_timeout", "SECONDS"),
    in_check(Place::Check, "retry", "N"),
    in_check(Place::Check, "delay_before_retry", "SECONDS"),
    in_check(Place::Check, "delay_loop", "SECONDS"),
    in_check(Place::Check, "warmup", "SECONDS"),
    in_check(Place::Check, "alpha", "[BOOL]"),
    in_check(Place::Check, "log_all_failures", "[BOOL]"),
];

pub(super) const HTTP_GET: &[Keyword] = &[
    in_check(Place::HttpGet, "url", "{ ... }").opens(Place::Url).many(),
    in_check(Place::HttpGet, "http_protocol", "1.0|1.0C|1.1"),
    in_check(Place::HttpGet, "virtualhost", "NAME"),
    in_check(Place::HttpGet, "fast_recovery", "[BOOL]"),
    in_check(Place::HttpGet, "enable_sni", ""),
    in_check(Place::HttpGet, "sni_name", "NAME").since(Since::After2_2_7),
    in_check(Place::HttpGet, "tls_compliant", "[BOOL]").since(Since::After2_2_7),
    in_check(Place::HttpGet, "nb_get_retry", "N").deprecated("write `retry`"),
];

pub(super) const URL: &[Keyword] = &[
    in_check(Place::Url, "path", "PATH"),
    in_check(Place::Url, "digest", "MD5"),
    in_check(Place::Url, "status_code", "N[-N] ..."),
    in_check(Place::Url, "virtualhost", "NAME"),
    in_check(Place::Url, "regex", "PATTERN"),
    in_check(Place::Url, "regex_no_match", ""),
    in_check(Place::Url, "regex_options", "NAME ..."),
    in_check(Place::Url, "regex_min_offset", "N"),
    in_check(Place::Url, "regex_max_offset", "N"),
    in_check(Place::Url, "regex_stack", "START MAX"),
    in_check(Place::Url, "tls_compliant", "[BOOL]").since(Since::After2_2_7),
];

pub(super) const SMTP_CHECK: &[Keyword] = &[
    in_check(Place::SmtpCheck, "helo_name", "NAME"),
    in_check(Place::SmtpCheck, "host", "{ ... }")
        .lists(None)
        .deprecated("write its keywords in `SMTP_CHECK` itself"),
];

pub(super) const DNS_CHECK: &[Keyword] = &[
    in_check(Place::DnsCheck, "type", "SOA|A|NS|CNAME|MX|TXT|AAAA|RRSIG|DNSKEY"),
    in_check(Place::DnsCheck, "name", "NAME"),
];

pub(super) const MISC_CHECK: &[Keyword] = &[
    in_check(Place::MiscCheck, "misc_path", "COMMAND"),
    in_check(Place::MiscCheck, "misc_timeout", "SECONDS"),
    in_check(Place::MiscCheck, "misc_dynamic", "[BOOL]"),
    in_check(Place::MiscCheck, "user", "USER [GROUP]"),
];

pub(super) const UDP_CHECK: &[Keyword] = &[
    in_check(Place::UdpCheck, "payload", "HEX"),
    in_check(Place::UdpCheck, "require_reply", "[HEX]"),
    in_check(Place::UdpCheck, "min_reply_length", "N"),
    in_check(Place::UdpCheck, "max_reply_length", "N"),
];

pub(super) const BFD_CHECK: &[Keyword] = &[in_check(Place::BfdCheck, "name", "NAME")];

pub(super) const FILE_CHECK: &[Keyword] = &[
    in_check(Place::FileCheck, "track_file", "NAME"),
    in_check(Place::FileCheck, "weight", "N [reverse]"),
    in_check(Place::FileCheck, "dynamic", ""),
];
