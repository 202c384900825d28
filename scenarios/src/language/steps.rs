//! `[[step]]`: one action key, its arguments and `at`. The table [`ACTIONS`] is the language.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use vipd_config::diagnostics::Diagnostic;
use vipd_engine::config::{MULTICAST_GROUP_V4, MULTICAST_GROUP_V6};
use vipd_engine::vrrp::advert::IP_PROTOCOL;
use vipd_engine::{Order, TrackerValue};

use crate::language::topology::{self, Names};
use crate::language::values::{self, Fields, Mistakes, Value, quoted};
use crate::record::HostId;
use crate::scenario::{AdvertFields, Conduct, Injection, Message, Paths, Step, TimedStep};

/// The longest message that an Ethernet frame carries behind either IP header.
const MAX_PAYLOAD: usize = 1460;

/// Reads the value of an action's key, and its arguments from the other keys.
pub(super) type Read = for<'t> fn(&mut Reader<'_, 't, '_>, &'t Value<'t>) -> Option<Step>;

/// Every action: its key and how it is read.
pub(super) const ACTIONS: &[(&str, Read)] = &[
    ("start", |r, v| r.director(v).map(Step::Start)),
    ("stop", |r, v| r.director(v).map(Step::Stop)),
    ("kill", |r, v| r.director(v).map(Step::Kill)),
    ("pause", |r, v| r.director(v).map(Step::Pause)),
    ("resume", |r, v| r.director(v).map(Step::Resume)),
    ("freeze", freeze),
    ("thaw", |r, v| r.host(v).map(Step::Thaw)),
    ("power_off", |r, v| r.host(v).map(Step::PowerOff)),
    ("power_on", |r, v| r.host(v).map(Step::PowerOn)),
    ("cut", |r, v| r.paths(v).map(Step::Cut)),
    ("cut_multicast", |r, v| r.paths(v).map(Step::CutMulticast)),
    ("heal", |r, v| r.paths(v).map(Step::Heal)),
    ("lose", lose),
    ("conditions", conditions),
    ("link_down", |r, v| {
        let (host, interface) = r.port(v);
        Some(Step::LinkDown { host: host?, interface: interface? })
    }),
    ("link_up", |r, v| {
        let (host, interface) = r.port(v);
        Some(Step::LinkUp { host: host?, interface: interface? })
    }),
    ("remove_address", remove_address),
    ("remove_entry", |r, v| {
        let (host, entry) = (r.host(v), r.text("entry"));
        Some(Step::RemoveEntry { host: host?, entry: entry? })
    }),
    ("reload", reload),
    ("clock_drift", clock_drift),
    ("wall_clock_jump", wall_clock_jump),
    ("late", |r, v| {
        let (host, by) = (r.host(v), r.time("by"));
        Some(Step::Late { host: host?, by: by? })
    }),
    ("flap_virtual_mac", |r, v| {
        let (host, interface) = (r.director(v), r.text("interface"));
        Some(Step::FlapVirtualMac { host: host?, interface: interface? })
    }),
    ("tracker", tracker),
    ("operator", operator),
    ("server", server),
    ("kernel_fails", |r, v| {
        let (host, count) = (r.director(v), r.count("count"));
        Some(Step::KernelFails { host: host?, count: count? })
    }),
    ("kernel_late", |r, v| {
        let (host, by) = (r.director(v), r.time("by"));
        Some(Step::KernelLate { host: host?, by: by? })
    }),
    ("inject", inject),
];

/// Reads one `[[step]]`.
pub(super) fn step<'t>(
    mut fields: Fields<'t>,
    names: &Names,
    folder: &Path,
    m: &mut Mistakes,
) -> Option<TimedStep> {
    let place = fields.place();
    let at = fields.required("at", m).and_then(|value| names.time(value, m));
    let keys = fields.keys();
    let mut actions = keys.iter().filter_map(|(key, place)| {
        ACTIONS.iter().find(|(name, _)| name == key).map(|action| (action, place.clone()))
    });
    let Some(((name, read), first)) = actions.next() else {
        let names: Vec<&str> = ACTIONS.iter().map(|(name, _)| *name).collect();
        if keys.iter().any(|(key, _)| *key != "at") {
            fields.finish_among(&names, m);
        } else {
            let help = format!("say what happens: one of {}", quoted(&names));
            m.error("empty-step", place, "this step does nothing", "no action", help);
        }
        return None;
    };
    if let Some(((_, _), second)) = actions.next() {
        let span = m.span(first);
        let diagnostic = Diagnostic::error("two-actions", "a step does one thing");
        let second = m.span(second);
        m.push(
            diagnostic
                .at(second)
                .label("a second action")
                .also(span, "the first one")
                .help("write a second `[[step]]` with the same `at`"),
        );
        return None;
    }
    let value = fields.optional(name)?;
    let mut reader = Reader { fields, names, folder, m };
    let step = read(&mut reader, value);
    let Reader { fields, m, .. } = reader;
    fields.finish(m);
    Some(TimedStep { at: at?, step: step?, span: place })
}

/// What an action reads from.
pub(super) struct Reader<'a, 't, 'm> {
    fields: Fields<'t>,
    names: &'a Names<'a>,
    folder: &'a Path,
    m: &'a mut Mistakes<'m>,
}

impl<'t> Reader<'_, 't, '_> {
    fn host(&mut self, value: &'t Value<'t>) -> Option<HostId> {
        self.names.host(value, self.m)
    }

    fn director(&mut self, value: &'t Value<'t>) -> Option<HostId> {
        self.names.director(value, self.m)
    }

    fn required(&mut self, key: &'static str) -> Option<&'t Value<'t>> {
        self.fields.required(key, self.m)
    }

    fn time(&mut self, key: &'static str) -> Option<Duration> {
        let value = self.required(key)?;
        values::time(value, self.m)
    }

    fn text(&mut self, key: &'static str) -> Option<Arc<str>> {
        let value = self.required(key)?;
        values::text(value, self.m).map(Arc::from)
    }

    fn count(&mut self, key: &'static str) -> Option<u32> {
        let value = self.required(key)?;
        values::signed(value, 1, u32::MAX.into(), self.m).map(|count| count as u32)
    }

    fn octet(&mut self, key: &'static str, default: Option<u8>, max: u8) -> Option<u8> {
        match (self.fields.optional(key), default) {
            (Some(value), _) => values::integer(value, max, self.m),
            (None, Some(default)) => Some(default),
            (None, None) => self.required(key).and(None),
        }
    }

    /// The whole message. A key that would make a part of it is a mistake beside it.
    fn octets(&mut self, payload: &'t Value<'t>) -> Option<Vec<u8>> {
        let octets = values::octets(payload, MAX_PAYLOAD, self.m);
        let beside = self.fields.keys().into_iter().filter_map(|(key, place)| {
            let known = ADVERT_KEYS.into_iter().find(|known| *known == key)?;
            Some((known, place))
        });
        let beside: Vec<_> = beside.collect();
        for (key, place) in &beside {
            self.fields.optional(key);
            let message = format!("`{key}` has no place beside `payload`");
            let help = "leave one of them out: `payload` is the whole message as it is, the other \
                        keys make one";
            let whole = self.m.span(payload.span());
            let diagnostic = Diagnostic::error("two-messages", message);
            let place = self.m.span(place.clone());
            self.m.push(
                diagnostic.at(place).label("a part").also(whole, "the whole message").help(help),
            );
        }
        octets.filter(|_| beside.is_empty())
    }

    fn port(&mut self, value: &'t Value<'t>) -> (Option<HostId>, Option<Arc<str>>) {
        let host = self.host(value);
        let interface = self.required("interface");
        (host, interface.and_then(|value| self.names.interface(value, host, self.m)))
    }

    /// `all`, `A <-> B`, `A -> B`; a side is names with commas, or `others`.
    fn paths(&mut self, value: &'t Value<'t>) -> Option<Paths> {
        let text = values::text(value, self.m)?;
        if text.trim() == "all" {
            return Some(Paths::All);
        }
        let (arrow, at) = match (text.find("<->"), text.find("->")) {
            (Some(at), _) => ("<->", at),
            (None, Some(at)) => ("->", at),
            (None, None) => {
                let help = "write \"all\", \"A <-> B\" (both ways) or \"A -> B\" (one way); a \
                            side is one host, several with commas, or `others`";
                let message = format!("`{text}` does not say which paths");
                self.m.error("bad-paths", value.span(), message, "no arrow", help);
                return None;
            }
        };
        let left = self.side(value, 0..at);
        let right = self.side(value, at + arrow.len()..text.len());
        let (left, right) = match (left?, right?) {
            (Side::Hosts(left), Side::Hosts(right)) => (left, right),
            (Side::Hosts(left), Side::Others) => {
                let right = self.others(&left);
                (left, right)
            }
            (Side::Others, Side::Hosts(right)) => (self.others(&right), right),
            (Side::Others, Side::Others) => {
                let help = "name the hosts of one side, or write \"all\"";
                let message = "`others` needs a side to differ from";
                self.m.error("bad-paths", value.span(), message, "twice `others`", help);
                return None;
            }
        };
        if left.iter().any(|host| right.contains(host)) {
            let help = "name each host on one side only";
            let message = "a host has no path to itself";
            self.m.error("bad-paths", value.span(), message, "a host stands on both sides", help);
            return None;
        }
        Some(if arrow == "<->" { Paths::Between(left, right) } else { Paths::FromTo(left, right) })
    }

    fn side(&mut self, value: &'t Value<'t>, range: std::ops::Range<usize>) -> Option<Side> {
        let text = value.get_ref().as_str()?;
        let side = &text[range.clone()];
        if side.trim() == "others" {
            return Some(Side::Others);
        }
        let mut hosts = Some(Vec::new());
        let mut start = range.start;
        for word in side.split(',') {
            let name = word.trim();
            let from = start + (word.len() - word.trim_start().len());
            let place = self.m.piece(value, from..from + name.len());
            match (self.names.host_named(name, place, self.m), &mut hosts) {
                (Some(host), Some(hosts)) => hosts.push(host),
                (Some(_), None) => {}
                (None, _) => hosts = None,
            }
            start += word.len() + 1;
        }
        hosts.map(Side::Hosts)
    }

    fn others(&self, hosts: &[HostId]) -> Vec<HostId> {
        let all = self.names.all_hosts().into_iter();
        all.filter(|host| !hosts.contains(host)).collect()
    }
}

/// One side of an arrow.
enum Side {
    Hosts(Vec<HostId>),
    Others,
}

fn freeze<'t>(r: &mut Reader<'_, 't, '_>, value: &'t Value<'t>) -> Option<Step> {
    let host = r.host(value);
    let clock = match r.fields.optional("clock_stops") {
        Some(value) => values::boolean(value, r.m)?,
        None => false,
    };
    Some(Step::Freeze { host: host?, clock })
}

fn lose<'t>(r: &mut Reader<'_, 't, '_>, value: &'t Value<'t>) -> Option<Step> {
    let count = values::signed(value, 0, u32::MAX.into(), r.m).map(|count| count as u32);
    let paths = r.required("on").and_then(|value| r.paths(value));
    Some(Step::Lose { paths: paths?, count: count? })
}

fn conditions<'t>(r: &mut Reader<'_, 't, '_>, value: &'t Value<'t>) -> Option<Step> {
    let help = "write `conditions = { delay = \"1ms\", jitter = \"500us\", ... }`";
    let paths = r.required("on").and_then(|value| r.paths(value));
    let mut fields = Fields::of(value, "conditions", help, r.m)?;
    let conditions = topology::conditions(&mut fields, r.m);
    fields.finish(r.m);
    Some(Step::Conditions { paths: paths?, conditions })
}

fn remove_address<'t>(r: &mut Reader<'_, 't, '_>, value: &'t Value<'t>) -> Option<Step> {
    let host = r.host(value);
    let address = r.required("address").and_then(|value| values::address(value, r.m));
    Some(Step::RemoveAddress { host: host?, address: address? })
}

fn reload<'t>(r: &mut Reader<'_, 't, '_>, value: &'t Value<'t>) -> Option<Step> {
    let host = r.director(value);
    let config = r.required("config").and_then(|value| topology::file(value, r.folder, r.m));
    let refused = match r.fields.optional("refused") {
        Some(value) => values::boolean(value, r.m)?,
        None => false,
    };
    Some(Step::Reload { host: host?, config: config?, refused })
}

fn clock_drift<'t>(r: &mut Reader<'_, 't, '_>, value: &'t Value<'t>) -> Option<Step> {
    let host = r.host(value);
    let ppm = r.required("ppm").and_then(|value| values::signed(value, -900_000, 900_000, r.m));
    Some(Step::ClockDrift { host: host?, ppm: ppm? as i32 })
}

fn wall_clock_jump<'t>(r: &mut Reader<'_, 't, '_>, value: &'t Value<'t>) -> Option<Step> {
    let host = r.host(value);
    let by = r.required("by")?;
    let (back, time) = values::signed_time(by, r.m)?;
    if time.subsec_nanos() != 0 {
        let help = "write a time such as \"-1h\" or \"30s\"";
        let message = "a wall clock jumps by whole seconds";
        r.m.error("bad-time", by.span(), message, "not whole seconds", help);
        return None;
    }
    let seconds = i64::try_from(time.as_secs()).ok()?;
    Some(Step::WallClockJump { host: host?, seconds: if back { -seconds } else { seconds } })
}

fn tracker<'t>(r: &mut Reader<'_, 't, '_>, value: &'t Value<'t>) -> Option<Step> {
    let host = r.director(value);
    let name = r.text("name");
    let value = r.required("value")?;
    let help = "write \"up\", \"down\", \"pending\" or a whole number";
    let value = match value.get_ref().as_str() {
        Some("up") => TrackerValue::Up,
        Some("down") => TrackerValue::Down,
        Some("pending") => TrackerValue::Pending,
        Some(other) => {
            let message = format!("`{other}` is not the value of a tracker");
            r.m.error("bad-value", value.span(), message, "not a value", help);
            return None;
        }
        None => {
            let (min, max) = (i128::from(i32::MIN), i128::from(i32::MAX));
            TrackerValue::Number(values::signed(value, min, max, r.m)? as i32)
        }
    };
    Some(Step::Tracker { host: host?, name: name?, value })
}

fn operator<'t>(r: &mut Reader<'_, 't, '_>, value: &'t Value<'t>) -> Option<Step> {
    let host = r.director(value);
    let instance = r.text("instance");
    let value = r.required("order")?;
    let word = values::text(value, r.m)?;
    let Some(order) = Order::from_word(word) else {
        let message = format!("`{word}` is nothing that an operator orders");
        let help = format!("write one of {}", quoted(&Order::ALL.map(Order::word)));
        r.m.error("bad-value", value.span(), message, "not an order", help);
        return None;
    };
    Some(Step::Operator { host: host?, instance: instance?, order })
}

fn server<'t>(r: &mut Reader<'_, 't, '_>, value: &'t Value<'t>) -> Option<Step> {
    let host = r.host(value);
    let does = r.required("does")?;
    let conduct = match values::text(does, r.m)? {
        "answers" => Conduct::Answers,
        "refuses" => Conduct::Refuses,
        "unreachable" => Conduct::Unreachable,
        "silent" => Conduct::Silent,
        "hangs" => Conduct::Hangs,
        "lies" => Conduct::Lies,
        "resets" => Conduct::Resets,
        "closes" => Conduct::Closes,
        "drips" => Conduct::Drips { every: r.time("every")? },
        "flaps" => {
            let (good, bad) = (r.time("good"), r.time("bad"));
            Conduct::Flaps { good: good?, bad: bad? }
        }
        other => {
            let message = format!("`{other}` is nothing that a real server does");
            let help = format!("write one of {}", quoted(&Conduct::NAMES));
            r.m.error("bad-value", does.span(), message, "not a conduct", help);
            return None;
        }
    };
    Some(Step::Server { host: host?, conduct })
}

fn inject<'t>(r: &mut Reader<'_, 't, '_>, value: &'t Value<'t>) -> Option<Step> {
    let segment = r.names.segment(value, r.m);
    let src = r.required("src").and_then(|value| values::address(value, r.m));
    let (group, usual) = match src {
        Some(src) if src.is_ipv6() => (MULTICAST_GROUP_V6.into(), 3),
        Some(_) | None => (MULTICAST_GROUP_V4.into(), 2),
    };
    let dst = r.fields.optional("dst").map_or(Some(group), |v| values::address(v, r.m));
    let ttl = r.octet("ttl", Some(255), 255);
    let protocol = r.octet("protocol", Some(IP_PROTOCOL), 255);
    let message = match r.fields.optional("payload") {
        Some(payload) => r.octets(payload).map(Message::Octets),
        None => advert(r, usual).map(Message::Advert),
    };
    let (count, every) = match r.fields.optional("count") {
        Some(_) => (r.count("count"), r.time("every")),
        None => (Some(1), Some(Duration::ZERO)),
    };
    Some(Step::Inject(Box::new(Injection {
        segment: segment?,
        src: src?,
        dst: dst?,
        ttl: ttl?,
        protocol: protocol?,
        message: message?,
        count: count?,
        every: every?,
    })))
}

/// The keys that make an advert.
const ADVERT_KEYS: [&str; 8] = [
    "version",
    "vrid",
    "priority",
    "interval",
    "auth_pass",
    "auth_type",
    "addresses",
    "checksum_error",
];

fn advert(r: &mut Reader<'_, '_, '_>, usual: u8) -> Option<AdvertFields> {
    let version = r.octet("version", Some(usual), 15);
    let vrid = r.octet("vrid", None, 255);
    let priority = r.octet("priority", None, 255);
    let interval = match r.fields.optional("interval") {
        Some(value) => interval(value, version?, r.m),
        None => Some(if version? == 2 { 1 } else { 100 }),
    };
    let auth_data = r.fields.optional("auth_pass").map(|value| password(value, r.m));
    let auth_type = r.octet("auth_type", Some(u8::from(auth_data.is_some())), 255);
    let addresses = r.fields.optional("addresses").map_or(Vec::new(), |value| {
        let listed = values::list(value).into_iter();
        listed.filter_map(|one| values::address(one, r.m)).collect()
    });
    let checksum_error = match r.fields.optional("checksum_error") {
        Some(value) => values::integer(value, u16::MAX, r.m),
        None => Some(0),
    };
    Some(AdvertFields {
        version: version?,
        vrid: vrid?,
        priority: priority?,
        interval: interval?,
        auth_type: auth_type?,
        auth_data: auth_data.unwrap_or(Some([0; 8]))?,
        addresses,
        checksum_error: checksum_error?,
    })
}

/// An interval as it goes on the wire: seconds in v2, centiseconds in any other version.
fn interval(value: &Value, version: u8, m: &mut Mistakes) -> Option<u16> {
    let time = values::time(value, m)?;
    let (unit, limit, help) = match version {
        2 => (1_000_000_000, 255, "v2 carries whole seconds, \"0s\" to \"255s\""),
        _ => (10_000_000, 4095, "v3 carries hundredths of a second, \"0s\" to \"40.95s\""),
    };
    let nanos = time.as_nanos();
    if !nanos.is_multiple_of(unit) || nanos / unit > limit {
        let message = "this version cannot carry this interval";
        m.error("out-of-range", value.span(), message, "does not fit", help);
        return None;
    }
    u16::try_from(nanos / unit).ok()
}

fn password<'t>(value: &'t Value<'t>, m: &mut Mistakes) -> Option<[u8; 8]> {
    let text = values::text(value, m)?;
    let mut octets = [0; 8];
    match octets.get_mut(..text.len()) {
        Some(start) => start.copy_from_slice(text.as_bytes()),
        None => {
            let help = "VRRPv2 carries eight octets";
            m.error("out-of-range", value.span(), "the password is too long", "too long", help);
            return None;
        }
    }
    Some(octets)
}
