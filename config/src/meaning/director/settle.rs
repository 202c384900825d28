//! Virtual servers for the engine: what depends on several keywords and blocks. Where keepalived
//! cuts or ignores a value, so does this, and says so.

use std::sync::Arc;

use vipd_engine::config::director::{
    Forwarding, MAX_SERVICES, Persistence, Protocol, RealServer, Scheduler, Scheduling, Service,
    SorryServer, VirtualServerName,
};
use vipd_engine::config::health::{Alike, CheckKind};
use vipd_engine::config::{DirectorConfig, VirtualServer};
use vipd_engine::{Family, InstanceConfig, Profile};

use super::draft::{FileDraft, Head, Made, ServerDraft};
use super::group::{Entry, ServiceGroup};
use crate::Scope;
use crate::diagnostics::{Diagnostic, Diagnostics, Span};
use crate::director::Director;
use crate::meaning::draft::{Draft, Placed};
use crate::meaning::line::{MOST_FINDINGS, adjusted_severity};
use crate::meaning::transport::at;
use crate::notify::Fifo;
use crate::text::did_you_mean;

/// Every virtual server, and what is run and told of them.
pub(crate) fn settle(
    draft: &mut Draft,
    instances: &[InstanceConfig],
    profile: Profile,
    found: &mut Diagnostics,
) -> (DirectorConfig, Director) {
    if draft.scope == Scope::VrrpOnly {
        return Default::default();
    }
    globals(draft, instances, found);
    let mut servers = std::mem::take(&mut draft.director.servers);
    let mut director = Director { checks: std::mem::take(&mut draft.check_scripts), ..told(draft) };
    let mut all = Vec::with_capacity(servers.len());
    let mut left = MAX_SERVICES;
    for placed in &mut servers {
        let made = std::mem::take(&mut placed.value.made);
        let mut settling = Settling { draft, placed, profile, found, left: &mut left };
        let (server, places) = settling.server(made, &mut director);
        placed.value.places = places;
        all.extend(server.clone());
        placed.value.settled = server;
    }
    draft.director.servers = servers;
    let globals = &draft.director.globals;
    let config = DirectorConfig {
        virtual_servers: all,
        timeouts: globals.timeouts,
        sync_daemon: globals.sync_daemon.clone(),
        flush_at_start: globals.flush,
        at_stop: globals.at_stop,
    };
    (config, director)
}

/// What `global_defs` says of what is run and told.
fn told(draft: &Draft) -> Director {
    let globals = &draft.director.globals;
    let (mails_real_servers, mails_virtual_servers) = globals.mails();
    Director {
        fifo: Some(globals.fifo.clone()).filter(|fifo| !fifo.path.is_empty()),
        tells_start: globals.init_notifies,
        mails_real_servers,
        mails_virtual_servers,
        mails_changes_only: globals.no_checker_emails,
        ..Director::default()
    }
}

fn globals(draft: &mut Draft, instances: &[InstanceConfig], found: &mut Diagnostics) {
    let globals = &mut draft.director.globals;
    if let Some(daemon) = &mut globals.sync_daemon {
        let vrid = daemon.instance.as_ref().and_then(|name| {
            instances.iter().find(|one| one.name == *name).map(|one| one.vrid.get())
        });
        daemon.id = globals.sync_id.or(vrid).unwrap_or(0);
    }
    let Fifo { path, script, .. } = &globals.fifo;
    let origins = &draft.globals.origins;
    if path.is_empty() && script.is_some() {
        let message = "`lvs_notify_fifo_script` is not run: there is no `lvs_notify_fifo`";
        let warning = Diagnostic::warning("missing-keyword", message);
        found.push(at(warning, origins, "lvs_notify_fifo_script"));
    }
    let used = draft.director.servers.iter().filter_map(|server| match &server.value.head {
        Head::Group(name) => Some(name.as_str()),
        Head::Address(..) | Head::Fwmark(_) => None,
    });
    let used: std::collections::BTreeSet<&str> = used.collect();
    for group in &draft.director.groups {
        if !used.contains(group.value.name.as_str()) {
            let message = "no `virtual_server group` uses this group".to_owned();
            found.push(at(Diagnostic::note("unused", message), &group.origins, ""));
        }
    }
}

/// One virtual server that is being settled.
struct Settling<'a> {
    draft: &'a Draft,
    placed: &'a mut Placed<ServerDraft>,
    profile: Profile,
    found: &'a mut Diagnostics,
    /// How many services there may still be.
    left: &'a mut usize,
}

impl Settling<'_> {
    fn server(
        &mut self,
        made: Made,
        director: &mut Director,
    ) -> (Option<Arc<VirtualServer>>, Vec<Span>) {
        let Made { mut real_servers, places, notify, silent, files } = made;
        let Some(name) = self.name(&real_servers) else { return (None, places) };
        self.placed.value.name = Some(name.clone());
        let Some(services) = self.services(&name, &real_servers) else { return (None, places) };
        if real_servers.is_empty() {
            self.adjusted("", "there is no `real_server` in it", "keepalived leaves it out");
            self.placed.value.name = None;
            return (None, places);
        }
        self.ports(&services, &mut real_servers, &places);
        self.checks(&mut real_servers, &silent);
        for (real, number, file) in files {
            self.file_check(&mut real_servers[real], number, &file);
        }
        let (quorum, hysteresis) = self.quorum(&real_servers);
        let scheduling = self.scheduling(&services);
        let persistence = self.persistence(&services);
        let sorry_server = self.sorry_server(&services);
        self.notify(&name, &real_servers, notify, director);
        let draft = &self.placed.value;
        let server = VirtualServer {
            name,
            services,
            scheduling,
            persistence,
            real_servers,
            sorry_server,
            quorum,
            hysteresis,
            alpha: draft.settings.alpha.unwrap_or(false),
            omega: draft.omega,
            ha_suspend: draft.ha_suspend,
        };
        (Some(Arc::new(server)), places)
    }

    /// Its identity; `None`, and a diagnostic, if something that it needs is missing.
    fn name(&mut self, real_servers: &[RealServer]) -> Option<VirtualServerName> {
        for (keyword, default) in [("lb_algo", "wlc"), ("lb_kind", "NAT")] {
            if !self.given(keyword) {
                let message =
                    format!("this `virtual_server` has no `{keyword}`: `{default}` is taken");
                self.report("", Diagnostic::warning("value-adjusted", message));
            }
        }
        let marks = self.has_marks_only();
        if marks && self.given("protocol") {
            let message = "packets with a mark are of any protocol";
            self.adjusted("protocol", message, "keepalived ignores it");
        }
        if let Head::Fwmark(mark) = self.placed.value.head {
            let family = self.family(real_servers);
            return Some(VirtualServerName::Fwmark { mark, family });
        }
        if !marks && !self.given("protocol") {
            let message = "this `virtual_server` has no `protocol`, and keepalived would take UDP";
            let error = Diagnostic::error("missing-keyword", message);
            self.report("", error.help("add `protocol TCP` if that is meant"));
        }
        // Nobody asks for that of marks.
        let protocol = if marks { Protocol::Tcp } else { self.placed.value.protocol? };
        Some(match &self.placed.value.head {
            Head::Address(address, port) => {
                VirtualServerName::Address { address: *address, port: *port, protocol }
            }
            Head::Group(name) => VirtualServerName::Group { name: name.clone(), protocol },
            Head::Fwmark(_) => return None,
        })
    }

    /// Whether its services are marks of the firewall, which say nothing of a protocol.
    fn has_marks_only(&self) -> bool {
        let mark = |entry: &(Entry, Span)| matches!(entry.0, Entry::Fwmark { .. });
        match &self.placed.value.head {
            Head::Address(..) => false,
            Head::Fwmark(_) => true,
            Head::Group(name) => {
                let mut groups = self.draft.director.groups.iter();
                let group = groups.find(|group| group.value.name == *name);
                let entries = group.map_or(&[][..], |group| &group.value.entries);
                !entries.is_empty() && entries.iter().all(mark)
            }
        }
    }

    fn services(
        &mut self,
        name: &VirtualServerName,
        real_servers: &[RealServer],
    ) -> Option<Vec<Service>> {
        match name {
            VirtualServerName::Address { address, port, protocol } => {
                let family = Family::of(*address);
                if self.placed.value.family.is_some_and(|said| said != family) {
                    let message = "the address is of the other family";
                    self.adjusted("ip_family", message, "keepalived ignores it");
                }
                *self.left = self.left.saturating_sub(1);
                Some(vec![Service::Address { address: *address, port: *port, protocol: *protocol }])
            }
            VirtualServerName::Fwmark { mark, family } => {
                *self.left = self.left.saturating_sub(1);
                Some(vec![Service::Fwmark { mark: *mark, family: *family }])
            }
            VirtualServerName::Group { name, protocol } => {
                let groups = &self.draft.director.groups;
                let Some(group) = groups.iter().find(|group| group.value.name == *name) else {
                    self.unknown_group(name);
                    return None;
                };
                self.services_of(&group.value, *protocol, real_servers)
            }
        }
    }

    /// Of marks that say none: the family of the real servers that are not reached by a tunnel, or
    /// else of all of them if it is the same.
    fn family(&self, real_servers: &[RealServer]) -> Family {
        let of = |real: &RealServer| Family::of(real.address);
        let tunnelled = |real: &&RealServer| matches!(real.forwarding, Forwarding::Tunnel(_));
        let direct = real_servers.iter().find(|real| !tunnelled(real)).map(of);
        let mut all = real_servers.iter().map(of);
        let first = all.next();
        let same = first.filter(|first| all.all(|family| family == *first));
        self.placed.value.family.or(direct).or(same).unwrap_or(Family::Ipv4)
    }

    fn unknown_group(&mut self, name: &str) {
        let message = format!("there is no `virtual_server_group {name}`");
        let error = Diagnostic::error("unknown-name", message);
        let groups = self.draft.director.groups.iter();
        let near = did_you_mean(name, groups.map(|group| group.value.name.as_str()));
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("declare it: `virtual_server_group {name} {{ ... }}`"),
        };
        self.report("", error.help(help));
    }

    fn services_of(
        &mut self,
        group: &ServiceGroup,
        protocol: Protocol,
        real_servers: &[RealServer],
    ) -> Option<Vec<Service>> {
        // A mark is of the family of the addresses beside it, if these are of one.
        let mut said = group.entries.iter().filter_map(|(entry, _)| entry.family());
        let first = said.next();
        let beside = first.filter(|first| said.all(|family| family == *first));
        let otherwise = self.placed.value.family.or(beside);
        let otherwise = otherwise.unwrap_or_else(|| self.family(real_servers));
        let mut services = Vec::new();
        for (entry, place) in &group.entries {
            if entry.count() > *self.left as u128 {
                let message =
                    format!("more than {MAX_SERVICES} services of virtual servers in all");
                let error = Diagnostic::error("too-many-services", message).at(*place);
                let help = "mark the packets by a firewall and write `fwmark N`";
                self.push(error.help(help));
                return None;
            }
            *self.left -= entry.count() as usize;
            services.extend(entry.services(protocol, otherwise));
        }
        Some(services)
    }

    /// The kernel writes another port into a packet for NAT only.
    fn ports(&mut self, services: &[Service], real_servers: &mut [RealServer], places: &[Span]) {
        let Some(first) = services.first() else { return };
        let one = services.iter().all(|service| port(*service) == port(*first));
        let (mut forced, mut unused) = (None, None);
        for (index, real) in real_servers.iter_mut().enumerate() {
            let own = Some((index, real.port)).filter(|(_, port)| *port != 0);
            for service in services.iter().filter(|service| real.port_at(**service) != real.port) {
                match service {
                    Service::Address { .. } => forced = forced.or(own),
                    Service::Fwmark { .. } => unused = unused.or(own),
                }
            }
            if one {
                real.port = real.port_at(*first);
            }
        }
        if let Some((index, own)) = forced {
            let message = format!("only NAT leads to another port: not to {own}");
            let severity = adjusted_severity(self.profile);
            let found = Diagnostic::new(severity, "value-adjusted", message).at(places[index]);
            self.push(found.label("packets keep the port they have, as in keepalived"));
        } else if let Some((index, own)) = unused {
            let message = format!("behind a mark, the port {own} is for checks only");
            let found = Diagnostic::note("port-kept", message).at(places[index]);
            self.push(found.label("packets keep the port they have"));
        }
    }

    /// Fills in what the whole file says of checks.
    fn checks(&mut self, real_servers: &mut [RealServer], silent: &[(usize, usize)]) {
        let all = self.draft.director.globals.log_all_failures;
        let ssl = self.draft.director.ssl.as_ref().map(|ssl| &ssl.value);
        if !all && ssl.is_none() {
            return;
        }
        let mut alike = Alike::default();
        for (index, real) in real_servers.iter_mut().enumerate() {
            for (number, placed) in real.checks.iter_mut().enumerate() {
                let mut check = placed.check();
                check.tells_all_failures |= all && !silent.contains(&(index, number));
                if let (CheckKind::Http(http), Some(ssl)) = (&mut check.kind, ssl)
                    && let Some(tls) = &mut http.tls
                {
                    tls.authorities.clone_from(&ssl.authorities);
                    tls.certificate.clone_from(&ssl.certificate);
                    tls.key.clone_from(&ssl.key);
                }
                *placed = alike.place(check);
            }
        }
    }

    /// The weight of a file's number is that of its block unless the check has one.
    fn file_check(&mut self, real: &mut RealServer, number: usize, written: &FileDraft) {
        let Some((name, place)) = &written.file else { return };
        let files = &self.draft.files;
        let Some(file) = files.iter().find(|file| file.value.name == *name) else {
            let message = format!("there is no `track_file {name}`");
            let error = Diagnostic::error("unknown-name", message).at(*place);
            let near = did_you_mean(name.as_str(), files.iter().map(|one| one.value.name.as_str()));
            self.push(match near {
                Some(near) => error.help(format!("did you mean `{near}`?")),
                None => error.help(format!("declare it: `track_file {name} {{ ... }}`")),
            });
            return;
        };
        let own = file.value.weight;
        let wanted = written.weight.unwrap_or((i32::from(own.value), own.reverse));
        let Some(placed) = real.checks.get_mut(number) else { return };
        let mut check = placed.check();
        if let CheckKind::File { weight, reverse, .. } = &mut check.kind {
            (*weight, *reverse) = wanted;
            *placed = check.into();
        }
    }

    /// As keepalived, a quorum that cannot be reached, or never lost, is made less.
    fn quorum(&mut self, real_servers: &[RealServer]) -> (u32, u32) {
        let draft = &self.placed.value;
        let (mut quorum, mut hysteresis) =
            (draft.quorum.unwrap_or(1), draft.hysteresis.unwrap_or(0));
        let sum: u64 = real_servers.iter().map(|real| u64::from(real.weight)).sum();
        if u64::from(quorum) > sum.max(1) {
            let message = format!("all the weights together are {sum}, and the quorum is {quorum}");
            quorum = sum.max(1) as u32;
            self.adjusted("quorum", &message, &format!("{quorum} is used"));
        }
        if hysteresis >= quorum {
            let message =
                format!("the hysteresis {hysteresis} is not less than the quorum {quorum}");
            hysteresis = quorum - 1;
            self.adjusted("hysteresis", &message, &format!("{hysteresis} is used"));
        }
        (quorum, hysteresis)
    }

    fn scheduling(&mut self, services: &[Service]) -> Scheduling {
        let draft = &self.placed.value;
        let scheduler = draft.scheduler.unwrap_or(Scheduler::Wlc);
        let (mut hash_flags, mut hashed) = (draft.hash_flags, draft.hashed);
        let (flags, mut one_packet) = (draft.flags, draft.one_packet);
        let hashes = matches!(scheduler, Scheduler::Sh | Scheduler::Mh);
        for keyword in ["sh-port", "sh-fallback", "mh-port", "mh-fallback", "hashed"] {
            if !hashes && self.given(keyword) {
                let message = format!("`{}` has no such flag", scheduler.name());
                self.adjusted(keyword, &message, "keepalived ignores it");
            }
        }
        if !hashes {
            (hash_flags, hashed) = (0, false);
        }
        let udp = |service: &Service| match service {
            Service::Address { protocol, .. } => *protocol == Protocol::Udp,
            Service::Fwmark { .. } => true,
        };
        if one_packet && !services.iter().all(udp) {
            let message = "packets one by one exist for UDP only";
            self.adjusted("ops", message, "keepalived ignores it");
            one_packet = false;
        }
        Scheduling { scheduler, flags: flags | hash_flags, hashed, one_packet }
    }

    fn persistence(&mut self, services: &[Service]) -> Option<Persistence> {
        let draft = &self.placed.value;
        let Some(timeout) = draft.persistence else {
            for keyword in ["persistence_granularity", "persistence_engine"] {
                if self.given(keyword) && !self.given("persistence_timeout") {
                    let message = format!("`{keyword}` without `persistence_timeout`");
                    let found = Diagnostic::warning("no-effect", message);
                    self.report(keyword, found.label("it has no effect"));
                }
            }
            return None;
        };
        let longest = services.iter().map(|service| service.family().address_len() as u8 * 8);
        let prefix_len = draft.granularity.or(longest.max()).unwrap_or(32);
        Some(Persistence { timeout, prefix_len, engine: draft.engine.clone() })
    }

    fn sorry_server(&mut self, services: &[Service]) -> Option<SorryServer> {
        let draft = &self.placed.value;
        let Some((address, port)) = draft.sorry else {
            for keyword in ["sorry_server_inhibit", "sorry_server_lvs_method"] {
                if self.given(keyword) && !self.given("sorry_server") {
                    let message = format!("`{keyword}` without `sorry_server`");
                    self.adjusted(keyword, &message, "keepalived ignores it");
                }
            }
            return None;
        };
        let mut sorry = SorryServer {
            address,
            port: port.unwrap_or(draft.port()),
            forwarding: draft.sorry_forwarding.unwrap_or(draft.settings.forwarding()),
            inhibit: draft.sorry_inhibit,
        };
        if let [service] = services {
            let own = sorry.port;
            sorry.port = sorry.port_at(*service);
            if own != sorry.port && port.is_some() {
                let message = format!("only NAT leads to another port: not to {own}");
                self.adjusted("sorry_server", &message, "packets keep the port they have");
            }
        }
        Some(sorry)
    }

    fn notify(
        &self,
        name: &VirtualServerName,
        real_servers: &[RealServer],
        said: Vec<(usize, crate::director::RealServerNotify)>,
        director: &mut Director,
    ) {
        let mut notify = self.placed.value.notify.clone();
        for (index, one) in said {
            let real = &real_servers[index];
            notify.real_servers.insert((real.address, real.port), one);
        }
        if !notify.is_empty() {
            director.notify.insert(name.clone(), notify);
        }
    }

    fn given(&self, keyword: &str) -> bool {
        self.placed.origins.given.contains_key(keyword)
    }

    fn adjusted(&mut self, keyword: &str, message: &str, label: &str) {
        let severity = adjusted_severity(self.profile);
        let found = Diagnostic::new(severity, "value-adjusted", message).label(label);
        self.report(keyword, found);
    }

    /// At the keyword's value, or at the head of the block.
    fn report(&mut self, keyword: &str, found: Diagnostic) {
        let found = at(found, &self.placed.origins, keyword);
        self.push(found);
    }

    fn push(&mut self, found: Diagnostic) {
        if self.found.len() < MOST_FINDINGS {
            self.found.push(found);
        }
    }
}

fn port(service: Service) -> Option<u16> {
    match service {
        Service::Address { port, .. } => Some(port),
        Service::Fwmark { .. } => None,
    }
}
