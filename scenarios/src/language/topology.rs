//! Segments and hosts: who is there, where it is plugged in, and what it is called in the rest of
//! the file.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use toml::de::DeValue;

use crate::language::values::{self, Fields, Mistakes, Value};
use crate::record::{HostId, SegmentId, WorldTime};
use crate::scenario::{Conditions, Host, Interface, Probe, Requests, Segment};

/// A segment and where its name stands.
pub(super) struct ReadSegment {
    pub(super) segment: Segment,
}

/// A host, and what may be asked of it.
pub(super) struct ReadHost {
    pub(super) host: Host,
    /// Its table holds a mistake: what seems to be missing in it is not reported again.
    doubtful: bool,
}

/// The names that steps and expectations use.
pub(super) struct Names<'a> {
    segments: &'a [ReadSegment],
    hosts: &'a [ReadHost],
    until: WorldTime,
}

/// The tables below `[segment]` or `[host]`, by name, in the order of the file.
fn named<'t>(
    value: Option<&'t Value<'t>>,
    what: &'static str,
    example: &str,
    m: &mut Mistakes,
) -> Vec<(Arc<str>, Range<usize>, Fields<'t>)> {
    let Some(value) = value else {
        return Vec::new();
    };
    let DeValue::Table(tables) = value.get_ref() else {
        m.wrong_type(value, "a table", example);
        return Vec::new();
    };
    let mut found = Vec::new();
    for (name, value) in tables {
        let text: &str = name.get_ref();
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        if text.is_empty() || !text.chars().all(plain) || matches!(text, "all" | "others") {
            let message = format!("`{text}` cannot be the name of {what}");
            let help = "names are letters, digits, `-`, `_` and `.`; `all` and `others` mean more \
                        than one";
            m.error("bad-name", name.span(), message, "not a name", help);
        }
        if let Some(fields) = Fields::of(value, what, example, m) {
            found.push((Arc::from(text), name.span(), fields));
        }
    }
    found.sort_by_key(|(_, place, _)| place.start);
    found
}

pub(super) fn segments<'t>(value: Option<&'t Value<'t>>, m: &mut Mistakes) -> Vec<ReadSegment> {
    let tables = named(value, "a segment", "write `[segment.NAME]` and its keys below", m);
    let mut found = Vec::new();
    for (name, _, mut fields) in tables {
        let conditions = conditions(&mut fields, m);
        fields.finish(m);
        found.push(ReadSegment { segment: Segment { name, conditions } });
    }
    found
}

/// What happens to frames; every key has a default.
pub(super) fn conditions(fields: &mut Fields, m: &mut Mistakes) -> Conditions {
    let mut conditions = Conditions::default();
    if let Some(delay) = fields.optional("delay").and_then(|value| values::time(value, m)) {
        conditions.delay = delay;
    }
    if let Some(jitter) = fields.optional("jitter").and_then(|value| values::time(value, m)) {
        conditions.jitter = jitter;
    }
    if let Some(reorder) = fields.optional("reorder").and_then(|value| values::boolean(value, m)) {
        conditions.reorder = reorder;
    }
    let mut share = |key| fields.optional(key).and_then(|value| values::share(value, m));
    conditions.duplicate_ppm = share("duplicate").unwrap_or(0);
    conditions.corrupt_ppm = share("corrupt").unwrap_or(0);
    conditions.loss_ppm = share("loss").unwrap_or(0);
    conditions
}

pub(super) fn hosts<'t>(
    value: Option<&'t Value<'t>>,
    segments: &[ReadSegment],
    folder: &Path,
    m: &mut Mistakes,
) -> Vec<ReadHost> {
    let tables = named(value, "a host", "write `[host.NAME]` and its keys below", m);
    let mut found = Vec::new();
    for (name, _, mut fields) in tables {
        let before = m.count();
        let config = fields.optional("config").and_then(|value| file(value, folder, m));
        let started = fields.optional("started");
        if let (Some(value), None) = (started, &config)
            && before == m.count()
        {
            let help = "add `config = \"NAME.conf\"`, or leave `started` out";
            let message = format!("{name} has nothing to start: it has no `config`");
            m.error("no-vrrp", value.span(), message, "nothing is started", help);
        }
        let started = started.and_then(|value| values::boolean(value, m)).unwrap_or(true);
        let forwards = fields.optional("forwards").and_then(|value| values::boolean(value, m));
        let forwards = forwards.unwrap_or(false);
        let interfaces = match fields.required("interfaces", m) {
            Some(value) => interfaces(value, segments, m),
            None => Vec::new(),
        };
        let probe = fields.optional("probe").and_then(|value| probe(value, m));
        let requests = fields.optional("requests").and_then(|value| requests(value, m));
        fields.finish(m);
        let started = started && config.is_some();
        let host = Host { name, started, config, forwards, interfaces, probe, requests };
        found.push(ReadHost { host, doubtful: m.count() > before });
    }
    found
}

fn interfaces<'t>(
    value: &'t Value<'t>,
    segments: &[ReadSegment],
    m: &mut Mistakes,
) -> Vec<Interface> {
    let example = "write `interfaces.NAME = { segment = \"NAME\", address = \"192.0.2.1/24\" }`";
    let mut found = Vec::new();
    for (name, _, mut fields) in named(Some(value), "an interface", example, m) {
        let segment = fields.required("segment", m).and_then(|value| segment(value, segments, m));
        let addresses = fields.optional("address").map_or(Vec::new(), |value| {
            let listed = values::list(value).into_iter();
            listed.filter_map(|one| values::network(one, m)).collect()
        });
        fields.finish(m);
        if let Some(segment) = segment {
            found.push(Interface { name, segment, addresses });
        }
    }
    found
}

fn probe<'t>(value: &'t Value<'t>, m: &mut Mistakes) -> Option<Probe> {
    let example = "write `probe = { address = \"192.0.2.100\", every = \"100ms\" }`";
    let mut fields = Fields::of(value, "a probe", example, m)?;
    let address = fields.required("address", m).and_then(|value| values::address(value, m));
    let every = interval(&mut fields, "a probe", m);
    fields.finish(m);
    Some(Probe { address: address?, every: every? })
}

fn requests<'t>(value: &'t Value<'t>, m: &mut Mistakes) -> Option<Requests> {
    let example = "write `requests = { address = \"192.0.2.100\", port = 80, every = \"20ms\" }`";
    let mut fields = Fields::of(value, "requests", example, m)?;
    let address = fields.required("address", m).and_then(|value| values::address(value, m));
    let port = fields.required("port", m).and_then(|value| values::signed(value, 1, 65535, m));
    let every = interval(&mut fields, "a request", m);
    let patient = fields.optional("patient").and_then(|value| values::boolean(value, m));
    fields.finish(m);
    let (port, patient) = (port? as u16, patient.unwrap_or(false));
    Some(Requests { address: address?, port, every: every?, patient })
}

/// `every`: not zero.
fn interval(fields: &mut Fields, what: &str, m: &mut Mistakes) -> Option<Duration> {
    let every = fields.required("every", m)?;
    let interval = values::time(every, m)?;
    if interval.is_zero() {
        let help = "write an interval such as \"100ms\"";
        let message = format!("{what} needs time between two");
        m.error("out-of-range", every.span(), message, "zero", help);
        return None;
    }
    Some(interval)
}

fn segment<'t>(
    value: &'t Value<'t>,
    segments: &[ReadSegment],
    m: &mut Mistakes,
) -> Option<SegmentId> {
    let name = values::text(value, m)?;
    let names = || segments.iter().map(|one| &*one.segment.name);
    let found = names().position(|one| one == name);
    if found.is_none() {
        m.unknown("segment", name, value.span(), names());
    }
    found.map(|index| SegmentId(index as u16))
}

/// A file beside the scenario, which must be there.
pub(super) fn file<'t>(value: &'t Value<'t>, folder: &Path, m: &mut Mistakes) -> Option<PathBuf> {
    let name = values::text(value, m)?;
    let path = folder.join(name);
    if !path.is_file() {
        let message = format!("there is no file {}", path.display());
        let help = "paths are relative to the scenario file";
        m.error("missing-file", value.span(), message, "no such file", help);
    }
    Some(path)
}

impl<'a> Names<'a> {
    pub(super) const fn new(
        segments: &'a [ReadSegment],
        hosts: &'a [ReadHost],
        until: WorldTime,
    ) -> Self {
        Self { segments, hosts, until }
    }

    /// A time that lies in the run.
    pub(super) fn time(&self, value: &Value, m: &mut Mistakes) -> Option<WorldTime> {
        let time = values::world_time(values::time(value, m)?);
        if time > self.until {
            let help = "make `until` later, or this earlier";
            m.error("after-end", value.span(), "this is after the end", "after `until`", help);
            return None;
        }
        Some(time)
    }

    pub(super) fn segment<'t>(&self, value: &'t Value<'t>, m: &mut Mistakes) -> Option<SegmentId> {
        segment(value, self.segments, m)
    }

    pub(super) fn all_hosts(&self) -> Vec<HostId> {
        (0..self.hosts.len()).map(|index| HostId(index as u16)).collect()
    }

    pub(super) fn host_named(
        &self,
        name: &str,
        place: Range<usize>,
        m: &mut Mistakes,
    ) -> Option<HostId> {
        let names = || self.hosts.iter().map(|one| &*one.host.name);
        let found = names().position(|one| one == name);
        if found.is_none() {
            m.unknown("host", name, place, names());
        }
        found.map(|index| HostId(index as u16))
    }

    pub(super) fn host<'t>(&self, value: &'t Value<'t>, m: &mut Mistakes) -> Option<HostId> {
        self.host_named(values::text(value, m)?, value.span(), m)
    }

    /// A host that runs VRRP.
    pub(super) fn director<'t>(&self, value: &'t Value<'t>, m: &mut Mistakes) -> Option<HostId> {
        let id = self.host(value, m)?;
        let ReadHost { host, doubtful } = &self.hosts[usize::from(id.0)];
        if host.config.is_none() && !doubtful {
            let message = format!("{} runs no VRRP", host.name);
            let help = format!("give [host.{}] a `config`, or name another host", host.name);
            m.error("no-vrrp", value.span(), message, "it has no `config`", help);
            return None;
        }
        Some(id)
    }

    /// A host that probes a virtual address, or asks a virtual server for pages.
    pub(super) fn client<'t>(&self, value: &'t Value<'t>, m: &mut Mistakes) -> Option<HostId> {
        let id = self.host(value, m)?;
        let ReadHost { host, doubtful } = &self.hosts[usize::from(id.0)];
        if host.probe.is_none() && host.requests.is_none() && !doubtful {
            let message = format!("{} probes nothing", host.name);
            let help = format!("give [host.{}] a `probe`, or name another host", host.name);
            m.error("no-probe", value.span(), message, "it has no `probe`", help);
            return None;
        }
        Some(id)
    }

    /// A host that asks a virtual server for pages.
    pub(super) fn user<'t>(&self, value: &'t Value<'t>, m: &mut Mistakes) -> Option<HostId> {
        let id = self.host(value, m)?;
        let ReadHost { host, doubtful } = &self.hosts[usize::from(id.0)];
        if host.requests.is_none() && !doubtful {
            let message = format!("{} requests nothing", host.name);
            let help = format!("give [host.{}] `requests`, or name another host", host.name);
            m.error("no-requests", value.span(), message, "it has no `requests`", help);
            return None;
        }
        Some(id)
    }

    /// An interface of a host.
    pub(super) fn interface<'t>(
        &self,
        value: &'t Value<'t>,
        host: Option<HostId>,
        m: &mut Mistakes,
    ) -> Option<Arc<str>> {
        let name = values::text(value, m)?;
        let ReadHost { host, doubtful } = &self.hosts[usize::from(host?.0)];
        let names = || host.interfaces.iter().map(|one| &*one.name);
        if !names().any(|one| one == name) && !doubtful {
            m.unknown(&format!("interface of {}", host.name), name, value.span(), names());
            return None;
        }
        Some(Arc::from(name))
    }
}
