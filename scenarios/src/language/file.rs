//! A scenario as the text of a file that reads back as the same scenario.
//!
//! What has its default is left out. It reads nothing; the files beside it do.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use vipd_engine::config::{MULTICAST_GROUP_V4, MULTICAST_GROUP_V6};
use vipd_engine::vrrp::advert::IP_PROTOCOL;
use vipd_engine::{Family, TrackerValue};

use crate::judge::Verdict;
use crate::language::duration_text;
use crate::record::{HostId, SegmentId, WorldTime};
use crate::scenario::{
    AdvertFields, Conditions, Conduct, Expect, Expectation, Host, Injection, Message, Paths,
    Scenario, Step, TimedStep,
};

impl Scenario {
    /// The text of a scenario file in `folder`. Configurations are named by their way from there,
    /// and a password of an injected advert ends at its first octet that is no text.
    #[must_use]
    pub fn to_toml(&self, folder: &Path) -> String {
        File { scenario: self, folder }.text()
    }
}

/// A scenario on its way into a file.
struct File<'a> {
    scenario: &'a Scenario,
    folder: &'a Path,
}

/// `key = value` lines in their order.
type Lines = Vec<(&'static str, String)>;

impl File<'_> {
    fn text(&self) -> String {
        let Scenario { title, fault_classes, needs, seed, until, .. } = self.scenario;
        let mut head: Lines = vec![("title", quoted(title))];
        if !fault_classes.is_empty() {
            head.push(("fault_class", list(fault_classes.iter().map(u8::to_string))));
        }
        head.push(("until", time(*until)));
        if *seed != 1 {
            head.push(("seed", seed.to_string()));
        }
        if !needs.is_empty() {
            head.push(("needs", list(needs.iter().map(|need| quoted(need.name())))));
        }
        let mut text = String::new();
        lines(&mut text, &head);
        for segment in &self.scenario.segments {
            let _ = writeln!(text, "\n[segment.{}]", key(&segment.name));
            lines(&mut text, &conditions(&segment.conditions));
        }
        for host in &self.scenario.hosts {
            self.host(&mut text, host);
        }
        for step in &self.scenario.steps {
            text.push_str("\n[[step]]\n");
            lines(&mut text, &self.step(step));
        }
        for expectation in &self.scenario.expectations {
            text.push_str("\n[[expect]]\n");
            lines(&mut text, &self.expectation(expectation));
        }
        self.properties(&mut text);
        text
    }

    fn host(&self, text: &mut String, host: &Host) {
        let _ = writeln!(text, "\n[host.{}]", key(&host.name));
        if let Some(config) = &host.config {
            let _ = writeln!(text, "config = {}", self.path(config));
            if !host.started {
                text.push_str("started = false\n");
            }
        }
        for interface in &host.interfaces {
            let segment = quoted(self.segment_name(interface.segment));
            let _ = write!(text, "interfaces.{} = {{ segment = {segment}", key(&interface.name));
            let addresses = interface.addresses.iter();
            let addresses = addresses.map(|(address, len)| quoted(&format!("{address}/{len}")));
            match addresses.collect::<Vec<_>>().as_slice() {
                [] => {}
                [one] => drop(write!(text, ", address = {one}")),
                many => drop(write!(text, ", address = {}", list(many.iter().cloned()))),
            }
            text.push_str(" }\n");
        }
        if host.interfaces.is_empty() {
            text.push_str("interfaces = {}\n");
        }
        if let Some(probe) = &host.probe {
            let (address, every) = (quoted(&probe.address.to_string()), span(probe.every));
            let _ = writeln!(text, "probe = {{ address = {address}, every = {every} }}");
        }
        if let Some(requests) = &host.requests {
            let (address, every) = (quoted(&requests.address.to_string()), span(requests.every));
            let port = requests.port;
            let _ =
                write!(text, "requests = {{ address = {address}, port = {port}, every = {every}");
            text.push_str(if requests.patient { ", patient = true }\n" } else { " }\n" });
        }
        if host.forwards {
            text.push_str("forwards = true\n");
        }
    }

    fn step(&self, timed: &TimedStep) -> Lines {
        let step = &timed.step;
        let mut written: Lines = vec![("at", time(timed.at))];
        let value = match step {
            Step::Cut(paths) | Step::CutMulticast(paths) | Step::Heal(paths) => self.paths(paths),
            Step::Lose { count, .. } => count.to_string(),
            Step::Conditions { conditions: new, .. } => table(&conditions(new)),
            Step::Inject(injection) => quoted(self.segment_name(injection.segment)),
            _ => step.subject().map_or_else(String::new, |host| quoted(self.name(host))),
        };
        written.push((step.name(), value));
        self.arguments(step, &mut written);
        written
    }

    fn arguments(&self, step: &Step, written: &mut Lines) {
        match step {
            Step::Start(_)
            | Step::Stop(_)
            | Step::Kill(_)
            | Step::Pause(_)
            | Step::Resume(_)
            | Step::Freeze { clock: false, .. }
            | Step::Thaw(_)
            | Step::PowerOff(_)
            | Step::PowerOn(_)
            | Step::Cut(_)
            | Step::CutMulticast(_)
            | Step::Heal(_) => {}
            Step::Freeze { clock: true, .. } => written.push(("clock_stops", "true".to_owned())),
            Step::Lose { paths, .. } | Step::Conditions { paths, .. } => {
                written.push(("on", self.paths(paths)));
            }
            Step::LinkDown { interface, .. }
            | Step::LinkUp { interface, .. }
            | Step::FlapVirtualMac { interface, .. } => {
                written.push(("interface", quoted(interface)));
            }
            Step::RemoveAddress { address, .. } => {
                written.push(("address", quoted(&address.to_string())));
            }
            Step::RemoveEntry { entry, .. } => written.push(("entry", quoted(entry))),
            Step::Reload { config, refused, .. } => {
                written.push(("config", self.path(config)));
                if *refused {
                    written.push(("refused", "true".to_owned()));
                }
            }
            Step::ClockDrift { ppm, .. } => written.push(("ppm", ppm.to_string())),
            Step::WallClockJump { seconds, .. } => {
                written.push(("by", quoted(&format!("{seconds}s"))));
            }
            Step::Late { by, .. } | Step::KernelLate { by, .. } => written.push(("by", span(*by))),
            Step::Tracker { name, value, .. } => {
                written.push(("name", quoted(name)));
                let value = match value {
                    TrackerValue::Pending => quoted("pending"),
                    TrackerValue::Up => quoted("up"),
                    TrackerValue::Down => quoted("down"),
                    TrackerValue::Number(number) => number.to_string(),
                };
                written.push(("value", value));
            }
            Step::Operator { instance, order, .. } => {
                written.push(("instance", quoted(instance)));
                written.push(("order", quoted(order.word())));
            }
            Step::Server { conduct, .. } => {
                written.push(("does", quoted(conduct.name())));
                match conduct {
                    Conduct::Drips { every } => written.push(("every", span(*every))),
                    Conduct::Flaps { good, bad } => {
                        written.push(("good", span(*good)));
                        written.push(("bad", span(*bad)));
                    }
                    _ => {}
                }
            }
            Step::KernelFails { count, .. } => written.push(("count", count.to_string())),
            Step::Inject(injection) => injected(injection, written),
        }
    }

    fn expectation(&self, expectation: &Expectation) -> Lines {
        let (from, until) = expectation.window;
        let window = list([time(from), time(until)]);
        let host = |host: &HostId| quoted(self.name(*host));
        let hosts = |hosts: &[HostId]| list(hosts.iter().map(host));
        let router = |router: &Option<(Family, u8)>| {
            let mut written = Lines::new();
            if let Some((family, vrid)) = router {
                written.push(("vrid", vrid.to_string()));
                if *family == Family::Ipv6 {
                    written.push(("family", quoted("ipv6")));
                }
            }
            written
        };
        match &expectation.expect {
            Expect::Masters { router: which, hosts: all } => {
                let mut written = vec![("during", window), ("masters", hosts(all))];
                written.extend(router(which));
                written
            }
            Expect::Owners { address, hosts: all } => vec![
                ("during", window),
                ("owners", hosts(all)),
                ("address", quoted(&address.to_string())),
            ],
            Expect::Holders { entry, hosts: all } => {
                vec![("during", window), ("holders", hosts(all)), ("entry", quoted(entry))]
            }
            Expect::Pool { host: whose, service, servers } => {
                let servers = servers.iter().map(|server| quoted(&server.to_string()));
                let mut written =
                    vec![("during", window), ("host", host(whose)), ("pool", list(servers))];
                written.extend(service.as_ref().map(|service| ("service", quoted(service))));
                written
            }
            Expect::Enters { host: who, router: which, state } => {
                let mut written =
                    vec![("within", window), ("host", host(who)), ("enters", quoted(state.name()))];
                written.extend(router(which));
                written
            }
            Expect::Event { host: who, name, times } => {
                let mut written =
                    vec![("within", window), ("host", host(who)), ("event", quoted(name))];
                written.extend(times.map(|times| ("times", times.to_string())));
                written
            }
            Expect::ClientGap { host: client, at_most } => {
                vec![("within", window), ("client", host(client)), ("gap_at_most", span(*at_most))]
            }
            Expect::Outage { host: client, at_most } => {
                let most = span(*at_most);
                vec![("within", window), ("client", host(client)), ("outage_at_most", most)]
            }
            Expect::AnsweredBy { client, host: who } => {
                vec![("within", window), ("client", host(client)), ("answered_by", host(who))]
            }
        }
    }

    fn properties(&self, text: &mut String) {
        if self.scenario.properties.is_empty() {
            return;
        }
        text.push_str("\n[properties]\n");
        for verdict in [Verdict::Held, Verdict::Violated, Verdict::NotProvided] {
            let named = self.scenario.properties.iter().filter(|(_, named)| *named == verdict);
            let named: Vec<_> = named.map(|(id, _)| quoted(&id.to_string())).collect();
            if !named.is_empty() {
                let _ = writeln!(text, "{} = {}", verdict.name(), list(named));
            }
        }
    }

    fn paths(&self, paths: &Paths) -> String {
        let side = |hosts: &[HostId]| {
            hosts.iter().map(|host| self.name(*host)).collect::<Vec<_>>().join(", ")
        };
        quoted(&match paths {
            Paths::All => "all".to_owned(),
            Paths::Between(left, right) => format!("{} <-> {}", side(left), side(right)),
            Paths::FromTo(from, to) => format!("{} -> {}", side(from), side(to)),
        })
    }

    fn name(&self, host: HostId) -> &str {
        self.scenario.hosts.get(usize::from(host.0)).map_or("?", |host| &*host.name)
    }

    fn segment_name(&self, segment: SegmentId) -> &str {
        self.scenario.segments.get(usize::from(segment.0)).map_or("?", |segment| &*segment.name)
    }

    fn path(&self, path: &Path) -> String {
        quoted(&way(self.folder, path).to_string_lossy())
    }
}

fn injected(injection: &Injection, written: &mut Lines) {
    let Injection { src, dst, ttl, protocol, message, count, every, .. } = injection;
    written.push(("src", quoted(&src.to_string())));
    let (group, usual): (IpAddr, u8) = match src {
        IpAddr::V4(_) => (MULTICAST_GROUP_V4.into(), 2),
        IpAddr::V6(_) => (MULTICAST_GROUP_V6.into(), 3),
    };
    if *dst != group {
        written.push(("dst", quoted(&dst.to_string())));
    }
    if *ttl != 255 {
        written.push(("ttl", ttl.to_string()));
    }
    if *protocol != IP_PROTOCOL {
        written.push(("protocol", protocol.to_string()));
    }
    match message {
        Message::Advert(fields) => advert(fields, usual, written),
        Message::Octets(octets) => {
            let octets: Vec<_> = octets.iter().map(|octet| format!("{octet:02x}")).collect();
            written.push(("payload", quoted(&octets.join(" "))));
        }
    }
    if *count != 1 {
        written.push(("count", count.to_string()));
        written.push(("every", span(*every)));
    }
}

fn advert(fields: &AdvertFields, usual: u8, written: &mut Lines) {
    let AdvertFields { version, vrid, priority, interval, auth_type, auth_data, .. } = fields;
    if *version != usual {
        written.push(("version", version.to_string()));
    }
    written.push(("vrid", vrid.to_string()));
    written.push(("priority", priority.to_string()));
    let (unit, one) = if *version == 2 { (1000, 1) } else { (10, 100) };
    if *interval != one {
        written.push(("interval", span(Duration::from_millis(u64::from(*interval) * unit))));
    }
    let length = auth_data.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
    let text = auth_data[..length].utf8_chunks().next().map_or("", |chunk| chunk.valid());
    if !text.is_empty() {
        written.push(("auth_pass", quoted(text)));
    }
    if *auth_type != u8::from(!text.is_empty()) {
        written.push(("auth_type", auth_type.to_string()));
    }
    if !fields.addresses.is_empty() {
        let addresses = fields.addresses.iter().map(|address| quoted(&address.to_string()));
        written.push(("addresses", list(addresses)));
    }
    if fields.checksum_error != 0 {
        written.push(("checksum_error", fields.checksum_error.to_string()));
    }
}

/// What differs from a quiet LAN.
fn conditions(conditions: &Conditions) -> Lines {
    let usual = Conditions::default();
    let Conditions { delay, jitter, reorder, duplicate_ppm, corrupt_ppm, loss_ppm } = *conditions;
    let mut written = Lines::new();
    for (key, value, usual) in [("delay", delay, usual.delay), ("jitter", jitter, usual.jitter)] {
        if value != usual {
            written.push((key, span(value)));
        }
    }
    if reorder {
        written.push(("reorder", "true".to_owned()));
    }
    for (key, ppm) in [("duplicate", duplicate_ppm), ("corrupt", corrupt_ppm), ("loss", loss_ppm)] {
        match ppm {
            0 => {}
            ppm if ppm % 10_000 == 0 => written.push((key, quoted(&format!("{}%", ppm / 10_000)))),
            ppm => written.push((key, quoted(&format!("{ppm}ppm")))),
        }
    }
    written
}

fn lines(text: &mut String, written: &Lines) {
    for (key, value) in written {
        let _ = writeln!(text, "{key} = {value}");
    }
}

fn table(written: &Lines) -> String {
    let inside: Vec<_> = written.iter().map(|(key, value)| format!("{key} = {value}")).collect();
    if inside.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", inside.join(", ")) }
}

fn list(items: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", items.into_iter().collect::<Vec<_>>().join(", "))
}

fn time(time: WorldTime) -> String {
    span(Duration::from_nanos(time.0))
}

fn span(time: Duration) -> String {
    quoted(&duration_text(time))
}

/// A name as the key of a table.
fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !name.is_empty() && name.chars().all(bare) { name.to_owned() } else { quoted(name) }
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => drop(write!(quoted, "\\U{:08X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// The way from a folder to a file: relative, but for a file of another root.
fn way(folder: &Path, file: &Path) -> PathBuf {
    let (from, to) = (plain(folder), plain(file));
    let mut rest = to.components().peekable();
    let mut up = from.components().peekable();
    if rest.peek() != up.peek() {
        return to;
    }
    while rest.peek().is_some() && rest.peek() == up.peek() {
        rest.next();
        up.next();
    }
    up.map(|_| Component::ParentDir).chain(rest).collect()
}

/// The absolute path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let here = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let whole = std::path::absolute(here).unwrap_or_else(|_| here.to_path_buf());
    let mut plain = PathBuf::new();
    for component in whole.components() {
        match component {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            Component::Normal(_) | Component::RootDir | Component::Prefix(_) => {
                plain.push(component);
            }
        }
    }
    plain
}
