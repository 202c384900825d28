//! Rows: the checks of a real server.

use serde_json::{Value, json};
use vipd_engine::config::health::{HttpProtocol, Url};

use super::Effect::{Aside, Kernel};
use super::Standing::{ActedOn, NoEffect, NotBuilt};
use super::{Effect, Keyword, Place, Show, Since};
use crate::meaning::director::draft::SslDraft;
use crate::meaning::director::show::{self, CheckView};
use crate::meaning::director::{self, check, http, pattern};
use crate::meaning::{Draft, Line, seconds};

type Reader = fn(&mut Draft, &mut Line<'_>);

const fn row(
    place: Place,
    name: &'static str,
    arguments: &'static str,
    default: &'static str,
    read: Reader,
    show: fn(&CheckView<'_>) -> Value,
) -> Keyword {
    Keyword::new(place, name, arguments, default, ActedOn).reads(read).shows(Show::Check(show))
}

const fn unbuilt(
    place: Place,
    name: &'static str,
    arguments: &'static str,
    effect: Effect,
) -> Keyword {
    Keyword::new(place, name, arguments, "", NotBuilt(effect))
}

const fn any(
    name: &'static str,
    arguments: &'static str,
    default: &'static str,
    read: Reader,
    show: fn(&CheckView<'_>) -> Value,
) -> Keyword {
    row(Place::Check, name, arguments, default, read, show)
}

/// Without it, what the real server or the virtual server says.
const OUTER: &str = "that of the real server";

/// How many of the rows of [`CHECK`] are of the network: a script has only those behind them.
pub(super) const OF_THE_NETWORK: usize = 7;

pub(super) const CHECK: &[Keyword] = &[
    any("connect_ip", "ADDRESS", "the real server", check::connect_ip, |c| json!(c.check.address)),
    any("connect_port", "PORT", "the real server's", check::connect_port, |c| json!(c.check.port)),
    any("bindto", "ADDRESS", "any", check::bind_address, |c| json!(c.bind().address)),
    any("bind_port", "PORT", "any", check::bind_port, |c| json!(c.bind().port)),
    any("bind_if", "IF", "any", check::bind_interface, |c| {
        json!(c.bind().interface.as_ref().map(vipd_engine::InterfaceName::as_str))
    }),
    any("fwmark", "N", "0", check::mark, |c| json!(c.bind().fwmark)),
    any("connect_timeout", "SECONDS", OUTER, director::connect_timeout, |c| {
        seconds(c.check.timeout)
    }),
    any("retry", "N", "1; 3 of `DNS_CHECK`; 0 of `MISC_CHECK`", director::retry, |c| {
        json!(c.check.retry)
    }),
    any(
        "delay_before_retry",
        "SECONDS",
        "1; 3 of HTTP; `delay_loop` of `DNS_CHECK`",
        director::delay_before_retry,
        |c| seconds(c.check.delay_before_retry),
    ),
    any("delay_loop", "SECONDS", OUTER, director::delay_loop, |c| seconds(c.check.delay_loop)),
    any("warmup", "SECONDS", "`delay_loop`", director::warmup, |c| seconds(c.check.warmup)),
    any("alpha", "[BOOL]", OUTER, director::alpha, |c| json!(c.check.alpha)),
    any("log_all_failures", "[BOOL]", "`checker_log_all_failures`", check::log_all_failures, |c| {
        json!(c.check.tells_all_failures)
    })
    .inherits("checker_log_all_failures"),
];

pub(super) const HTTP_GET: &[Keyword] = &[
    Keyword::new(Place::HttpGet, "url", "{ ... }", "", ActedOn)
        .opens(Place::Url)
        .reads(http::url)
        .many(),
    row(Place::HttpGet, "http_protocol", "1.0|1.0C|1.1", "1.0", http::protocol, |c| {
        json!(c.http().map(|http| HttpProtocol::name(http.protocol)))
    }),
    row(Place::HttpGet, "virtualhost", "NAME", OUTER, director::virtualhost, |c| {
        json!(c.http().and_then(|http| http.virtualhost.as_ref()))
    }),
    row(Place::HttpGet, "fast_recovery", "[BOOL]", "off", http::fast_recovery, |c| {
        json!(c.http().is_some_and(|http| http.fast_recovery))
    }),
    row(Place::HttpGet, "enable_sni", "", "off", http::enable_sni, |c| {
        json!(c.tls().map(|tls| tls.sni))
    }),
    row(Place::HttpGet, "sni_name", "NAME", "the virtual host", http::sni_name, |c| {
        json!(c.tls().and_then(|tls| tls.sni_name.as_ref()))
    })
    .since(Since::After2_2_7),
    unbuilt(Place::HttpGet, "tls_compliant", "[BOOL]", Aside).since(Since::After2_2_7),
    Keyword::new(Place::HttpGet, "nb_get_retry", "N", "", ActedOn)
        .reads(director::retry)
        .sets("retry")
        .deprecated("write `retry`"),
];

const fn url(
    name: &'static str,
    arguments: &'static str,
    default: &'static str,
    read: Reader,
    show: fn(&Url) -> Value,
) -> Keyword {
    Keyword::new(Place::Url, name, arguments, default, ActedOn).reads(read).shows(Show::Url(show))
}

pub(super) const URL: &[Keyword] = &[
    url("path", "PATH", "", http::path, |u| json!(u.path)),
    url("digest", "MD5", "any", http::digest, show::digest),
    url("status_code", "N[-N] ...", "200-299", http::status_code, show::status).many(),
    url("virtualhost", "NAME", "that of the check", http::url_virtualhost, |u| {
        json!(u.virtualhost)
    }),
    url("regex", "PATTERN", "any", http::regex, |u| {
        json!(u.pattern.as_ref().map(|pattern| &pattern.expression))
    }),
    url("regex_no_match", "", "off", http::regex_no_match, |u| {
        json!(u.pattern.as_ref().map(|pattern| pattern.must_not_match))
    }),
    url("regex_options", "NAME ...", "none", pattern::options, show::options).many(),
    url("regex_min_offset", "N", "0", http::regex_min_offset, |u| {
        json!(u.pattern.as_ref().map(|pattern| pattern.min_offset))
    }),
    url("regex_max_offset", "N", "none", http::regex_max_offset, |u| {
        json!(u.pattern.as_ref().and_then(|pattern| pattern.max_offset))
    }),
    Keyword::new(Place::Url, "regex_stack", "START MAX", "", NoEffect)
        .deprecated("no expression needs a stack here"),
    unbuilt(Place::Url, "tls_compliant", "[BOOL]", Aside).since(Since::After2_2_7),
];

pub(super) const SMTP_CHECK: &[Keyword] = &[
    row(
        Place::SmtpCheck,
        "helo_name",
        "NAME",
        "smtpchecker.keepalived.org",
        check::helo_name,
        |c| json!(c.helo_name()),
    ),
    Keyword::new(Place::SmtpCheck, "host", "{ ... }", "the check itself", ActedOn)
        .opens(Place::SmtpHost)
        .reads(check::host)
        .many(),
];

const fn host(name: &'static str, arguments: &'static str, read: Reader) -> Keyword {
    Keyword::new(Place::SmtpHost, name, arguments, "that of the check", ActedOn)
        .reads(read)
        .shows(Show::Host)
}

/// Each `host` is a check of its own: what it connects to is shown with it.
pub(super) const SMTP_HOST: &[Keyword] = &[
    host("connect_ip", "ADDRESS", check::connect_ip),
    host("connect_port", "PORT", check::connect_port),
    host("bindto", "ADDRESS", check::bind_address),
    host("bind_port", "PORT", check::bind_port),
    host("bind_if", "IF", check::bind_interface),
    host("fwmark", "N", check::mark),
];

pub(super) const DNS_CHECK: &[Keyword] = &[
    row(
        Place::DnsCheck,
        "type",
        "SOA|A|NS|CNAME|MX|TXT|AAAA|RRSIG|DNSKEY",
        "SOA",
        check::dns_type,
        |c| json!(c.dns().map(|(record, _)| record)),
    ),
    row(Place::DnsCheck, "name", "NAME", "the root", check::dns_name, |c| {
        json!(c.dns().map(|(_, name)| name))
    }),
];

pub(super) const MISC_CHECK: &[Keyword] = &[
    row(Place::MiscCheck, "misc_path", "COMMAND", "", check::misc_path, |c| {
        json!(c.misc().map(|misc| &misc.command))
    }),
    row(Place::MiscCheck, "misc_timeout", "SECONDS", "`delay_loop`", check::misc_timeout, |c| {
        seconds(c.check.timeout)
    }),
    row(Place::MiscCheck, "misc_dynamic", "[BOOL]", "off", check::misc_dynamic, |c| {
        json!(c.misc().is_some_and(|misc| misc.dynamic))
    }),
    row(Place::MiscCheck, "user", "USER [GROUP]", "`script_user`", check::misc_user, |c| {
        json!(c.misc().and_then(|misc| misc.user.as_ref()).map(|user| &user.user))
    }),
];

pub(super) const UDP_CHECK: &[Keyword] = &[
    row(Place::UdpCheck, "payload", "HEX", "8 octets of 0", check::payload, |c| {
        let payload = c.udp().map(|udp| udp.payload.clone()).unwrap_or_default();
        show::octets(payload.into_iter().map(|value| (value, 0xff)))
    }),
    row(Place::UdpCheck, "require_reply", "[HEX]", "off", check::require_reply, |c| {
        let needed = c.udp().filter(|udp| udp.requires_reply);
        json!(needed.map(|udp| show::octets(udp.reply.iter().copied())))
    }),
    row(Place::UdpCheck, "min_reply_length", "N", "0", check::min_reply, |c| {
        json!(c.udp().map(|udp| udp.min_reply))
    }),
    row(Place::UdpCheck, "max_reply_length", "N", "255", check::max_reply, |c| {
        json!(c.udp().map(|udp| udp.max_reply))
    }),
];

pub(super) const BFD_CHECK: &[Keyword] = &[unbuilt(Place::BfdCheck, "name", "NAME", Kernel)];

pub(super) const FILE_CHECK: &[Keyword] = &[
    row(Place::FileCheck, "track_file", "NAME", "", check::track_file, |c| {
        json!(c.file().map(|(name, ..)| name))
    }),
    row(Place::FileCheck, "weight", "N [reverse]", "that of the file", check::file_weight, |c| {
        json!(
            c.file()
                .map(|(_, weight, reverse, _)| { json!({ "weight": weight, "reverse": reverse }) })
        )
    }),
    row(Place::FileCheck, "dynamic", "[BOOL]", "off", check::file_dynamic, |c| {
        json!(c.file().is_some_and(|(.., dynamic)| dynamic))
    })
    .since(Since::After2_2_7),
];

const fn ssl(name: &'static str, read: Reader, show: fn(&SslDraft) -> Value) -> Keyword {
    Keyword::new(Place::Ssl, name, "PATH", "none", ActedOn).reads(read).shows(Show::Ssl(show))
}

pub(super) const SSL: &[Keyword] = &[
    ssl("ca", http::ca, |s| json!(s.authorities)),
    ssl("certificate", http::certificate, |s| json!(s.certificate)),
    ssl("key", http::key, |s| json!(s.key)),
    unbuilt(Place::Ssl, "password", "TEXT", Kernel),
];
