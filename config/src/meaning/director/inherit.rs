//! What a real server takes from its virtual server, and a check from both: done when the block of
//! the virtual server ends, so that of a large file only one virtual server is held as written.

use std::collections::BTreeMap;
use std::mem;
use std::time::Duration;

use vipd_engine::TrackerName;
use vipd_engine::config::director::{Forwarding, RealServer};
use vipd_engine::config::health::{Alike, Check, CheckKind, HttpCheck, Tls, Url};

use super::draft::{
    CheckDraft, Endpoint, FileDraft, HttpDraft, KindDraft, Made, RealDraft, ServerDraft, Settings,
};
use super::{http, pattern};
use crate::Scope;
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::keywords::Place;
use crate::meaning::draft::{Draft, Origins};
use crate::meaning::line::MOST_FINDINGS;
use crate::meaning::transport::at;
use crate::notify::NotifyScript;

/// keepalived's `delay_loop`.
const DELAY_LOOP: Duration = Duration::from_secs(60);
/// keepalived's `connect_timeout`.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// keepalived's `delay_before_retry` of HTTP, and of the others.
const DELAY_BEFORE_RETRY: [Duration; 2] = [Duration::from_secs(3), Duration::from_secs(1)];
/// keepalived's `retry`, that of `DNS_CHECK`, and that of `MISC_CHECK`.
const RETRY: [u32; 3] = [1, 3, 0];
/// The port of SMTP, and that of DNS, where neither the check nor its real server has one.
const PORTS: [u16; 2] = [25, 53];
/// keepalived's name in HELO.
const HELO_NAME: &str = "smtpchecker.keepalived.org";

impl Settings {
    /// These, and for what they do not say those of the block around.
    pub(crate) fn or(&self, outer: &Self) -> Self {
        Self {
            delay_loop: self.delay_loop.or(outer.delay_loop),
            connect_timeout: self.connect_timeout.or(outer.connect_timeout),
            retry: self.retry.or(outer.retry),
            delay_before_retry: self.delay_before_retry.or(outer.delay_before_retry),
            warmup: self.warmup.or(outer.warmup),
            alpha: self.alpha.or(outer.alpha),
            virtualhost: self.virtualhost.as_ref().or(outer.virtualhost.as_ref()).cloned(),
            weight: self.weight.or(outer.weight),
            forwarding: self.forwarding.or(outer.forwarding),
            inhibit_on_failure: self.inhibit_on_failure.or(outer.inhibit_on_failure),
        }
    }

    pub(crate) fn forwarding(&self) -> Forwarding {
        self.forwarding.unwrap_or(Forwarding::Nat)
    }

    pub(crate) fn delay_loop(&self) -> Duration {
        self.delay_loop.unwrap_or(DELAY_LOOP)
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        self.connect_timeout.unwrap_or(CONNECT_TIMEOUT)
    }
}

/// A block of a virtual server, or of a part of one, ends.
pub(crate) fn end(draft: &mut Draft, place: Place, found: &mut Diagnostics) {
    let keep = draft.explains;
    match place {
        Place::VirtualServer if draft.scope == Scope::VrrpOnly => {
            draft.server().real_servers.clear();
        }
        Place::VirtualServer => {
            let mut scripts = mem::take(&mut draft.check_scripts);
            let mut alike = mem::take(&mut draft.director.alike);
            let server = draft.server();
            let written = mem::take(&mut server.real_servers);
            let (scripts, alike) = (&mut scripts, &mut alike);
            let mut making = Making { server, scripts, alike, found };
            let made = making.all(&written);
            server.made = made;
            if keep {
                server.real_servers = written;
            }
            (draft.check_scripts, draft.director.alike) = (mem::take(scripts), mem::take(alike));
        }
        // Told twice or not was asked already, and nobody else asks.
        Place::RealServer if !keep => forget(&mut draft.real().origins),
        Place::TcpCheck
        | Place::HttpGet
        | Place::SmtpCheck
        | Place::DnsCheck
        | Place::MiscCheck
        | Place::PingCheck
        | Place::UdpCheck
        | Place::FileCheck
            if !keep =>
        {
            forget(&mut draft.check().origins);
        }
        Place::Url if !keep => forget(&mut draft.url().origins),
        _ => {}
    }
}

fn forget(origins: &mut Origins) {
    *origins = Origins { block: origins.block, ..Origins::default() };
}

/// The making of one virtual server's real servers.
struct Making<'a> {
    server: &'a ServerDraft,
    scripts: &'a mut BTreeMap<String, NotifyScript>,
    alike: &'a mut Alike,
    found: &'a mut Diagnostics,
}

impl Making<'_> {
    fn all(&mut self, written: &[RealDraft]) -> Made {
        let mut made = Made::default();
        made.real_servers.reserve_exact(written.len());
        made.places.reserve_exact(written.len());
        for (index, real) in written.iter().enumerate() {
            let server = self.real_server(real, index, &mut made);
            made.real_servers.push(server);
            made.places.push(real.place);
            if real.notify != crate::director::RealServerNotify::default() {
                made.notify.push((index, real.notify.clone()));
            }
        }
        made
    }

    fn real_server(&mut self, real: &RealDraft, index: usize, made: &mut Made) -> RealServer {
        let settings = real.settings.or(&self.server.settings);
        let port = real.port.unwrap_or(self.server.port());
        let count = real.checks.iter().map(|check| check.hosts.len().max(1)).sum();
        let mut checks = Vec::with_capacity(count);
        for check in &real.checks {
            let own = check.settings.or(&settings);
            let hosts = check.hosts.iter().map(|host| host.or(&check.endpoint));
            let hosts: Vec<Endpoint> =
                if check.hosts.is_empty() { vec![check.endpoint.clone()] } else { hosts.collect() };
            for endpoint in hosts {
                let number = checks.len();
                if check.log_all_failures == Some(false) {
                    made.silent.push((index, number));
                }
                if let KindDraft::File(file) = &check.kind {
                    made.files.push((index, number, file.clone()));
                }
                let Some(kind) = self.kind(check, &own) else { continue };
                checks.push(self.alike.place(made_check(check, kind, &own, endpoint, real, port)));
            }
        }
        RealServer {
            address: real.address,
            port,
            weight: settings.weight.unwrap_or(1),
            forwarding: settings.forwarding(),
            upper_threshold: real.upper_threshold,
            lower_threshold: real.lower_threshold,
            inhibit_on_failure: settings.inhibit_on_failure.unwrap_or(false),
            checks: checks.into(),
        }
    }

    /// What is done; `None`, and a diagnostic, if something that it needs is missing.
    fn kind(&mut self, check: &CheckDraft, settings: &Settings) -> Option<CheckKind> {
        Some(match &check.kind {
            KindDraft::Tcp => CheckKind::Tcp,
            KindDraft::Ping => CheckKind::Ping,
            KindDraft::Http(http) => {
                if http.urls.is_empty() {
                    self.missing(&check.origins, "check", "url { path PATH }");
                }
                CheckKind::Http(Box::new(self.http(http, settings)))
            }
            KindDraft::Smtp { helo_name } => CheckKind::Smtp {
                helo_name: helo_name.clone().unwrap_or_else(|| HELO_NAME.to_owned()),
            },
            KindDraft::Dns { record, name } => {
                CheckKind::Dns { record: *record, name: name.clone() }
            }
            KindDraft::Udp(udp) => CheckKind::Udp(Box::new(udp.clone())),
            KindDraft::Misc(misc) => {
                if misc.command.is_empty() {
                    self.missing(&check.origins, "check", "misc_path COMMAND");
                }
                let (name, script) = misc.script();
                self.scripts.entry(name.clone()).or_insert(script);
                CheckKind::Script { script: name, dynamic: misc.dynamic }
            }
            KindDraft::File(FileDraft { file, weight, dynamic }) => {
                if file.is_none() {
                    self.missing(&check.origins, "check", "track_file NAME");
                }
                let (weight, reverse) = weight.unwrap_or((1, false));
                let name = file.as_ref().map(|(name, _)| name.clone());
                let file = name.unwrap_or_else(|| TrackerName::new(""));
                CheckKind::File { file, weight, reverse, dynamic: *dynamic }
            }
        })
    }

    fn http(&mut self, http: &HttpDraft, settings: &Settings) -> HttpCheck {
        let mut urls = Vec::with_capacity(http.urls.len());
        for url in &http.urls {
            if url.url.path.is_empty() {
                self.missing(&url.origins, "url", "path PATH");
            }
            let pattern = pattern::pattern(&url.pattern).unwrap_or_else(|mistake| {
                self.report(*mistake);
                None
            });
            urls.push(Url { status: http::status(&url.url), pattern, ..url.url.clone() });
        }
        let tls = http.tls.then(|| Tls {
            sni: http.sni,
            sni_name: http.sni_name.clone(),
            ..Tls::default()
        });
        HttpCheck {
            tls,
            protocol: http.protocol,
            virtualhost: settings.virtualhost.clone(),
            fast_recovery: http.fast_recovery,
            urls,
        }
    }

    fn missing(&mut self, origins: &Origins, block: &str, example: &str) {
        let keyword = example.split(' ').next().unwrap_or_default();
        // A value that was given and refused has its own error.
        if origins.given.contains_key(keyword) {
            return;
        }
        let message = format!("this {block} has no `{keyword}`");
        let error = Diagnostic::error("missing-keyword", message);
        self.report(at(error.help(format!("add `{example}`")), origins, ""));
    }

    fn report(&mut self, found: Diagnostic) {
        if self.found.len() < MOST_FINDINGS {
            self.found.push(found);
        }
    }
}

fn made_check(
    check: &CheckDraft,
    kind: CheckKind,
    settings: &Settings,
    endpoint: Endpoint,
    real: &RealDraft,
    port: u16,
) -> Check {
    let delay_loop = settings.delay_loop();
    let [general, dns, misc] = RETRY;
    let [http, others] = DELAY_BEFORE_RETRY;
    let (retry, delay_before_retry) = match &check.kind {
        KindDraft::Http(_) => (general, http),
        KindDraft::Dns { .. } => (dns, delay_loop),
        KindDraft::Misc(_) => (misc, others),
        KindDraft::Tcp
        | KindDraft::Smtp { .. }
        | KindDraft::Ping
        | KindDraft::Udp(_)
        | KindDraft::File(_) => (general, others),
    };
    let timeout = match &check.kind {
        KindDraft::Misc(misc) => misc.timeout.unwrap_or(delay_loop),
        _ => settings.connect_timeout(),
    };
    let usual = match &check.kind {
        KindDraft::Smtp { .. } => PORTS[0],
        KindDraft::Dns { .. } => PORTS[1],
        _ => 0,
    };
    let own = endpoint.port.unwrap_or(port);
    Check {
        port: match () {
            () if !kind.needs_port() => 0,
            () if own == 0 => usual,
            () => own,
        },
        kind,
        address: endpoint.address.unwrap_or(real.address),
        bind: endpoint.bind,
        timeout,
        delay_loop,
        retry: settings.retry.unwrap_or(retry),
        delay_before_retry: settings.delay_before_retry.unwrap_or(delay_before_retry),
        warmup: settings.warmup.unwrap_or(delay_loop),
        alpha: settings.alpha.unwrap_or(false),
        tells_all_failures: check.log_all_failures.unwrap_or(false),
    }
}

impl Endpoint {
    /// This, and for what it does not say the other.
    fn or(&self, outer: &Self) -> Self {
        let (own, other) = (&self.bind, &outer.bind);
        let number = |own: u32, other: u32| if own == 0 { other } else { own };
        Self {
            address: self.address.or(outer.address),
            port: self.port.or(outer.port),
            bind: vipd_engine::config::health::Bind {
                address: own.address.or(other.address),
                port: if own.port == 0 { other.port } else { own.port },
                interface: own.interface.as_ref().or(other.interface.as_ref()).cloned(),
                fwmark: number(own.fwmark, other.fwmark),
            },
        }
    }
}
