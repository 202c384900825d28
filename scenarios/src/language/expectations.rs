//! `[[expect]]`, a window and what must be seen in it, and `[properties]`, the verdicts of the
//! judge.

use vipd_config::diagnostics::Diagnostic;
use vipd_engine::{Family, StateKind};

use crate::judge::{PropertyId, Verdict};
use crate::language::topology::Names;
use crate::language::values::{self, Fields, Mistakes, Value, quoted};
use crate::record::{HostId, WorldTime};
use crate::scenario::{Expect, Expectation};

/// What may be expected, and whether it holds all through its window.
const KINDS: [(&str, bool); 9] = [
    ("masters", true),
    ("owners", true),
    ("holders", true),
    ("pool", true),
    ("enters", false),
    ("event", false),
    ("gap_at_most", false),
    ("outage_at_most", false),
    ("answered_by", false),
];

/// Names of [`vipd_engine::News`] and, after `mismatch/`, of [`vipd_engine::Mismatch`]. A change of
/// state is expected by `enters`.
pub(super) const EVENTS: [&str; 53] = [
    "mismatch/version",
    "mismatch/interval",
    "mismatch/authentication-type",
    "mismatch/password",
    "mismatch/checksum-form",
    "mismatch/ttl",
    "mismatch/unlisted-peer",
    "mismatch/transport",
    "mismatch/address-list",
    "mismatch/first-address",
    "mismatch/source-not-link-local",
    "mismatch/owner",
    "mismatch",
    "foreign-vrid",
    "one-way",
    "interval-learned",
    "priority-changed",
    "preempt-delayed",
    "preempt-delay-over",
    "equal-priority",
    "advert-discarded",
    "flapping",
    "leftover-address",
    "address-lost",
    "leftover-entry",
    "entry-lost",
    "command-failed",
    "send-refused",
    "ordered",
    "yield-over",
    "hold-down-over",
    "group-state",
    "lower-priority",
    "server-up",
    "server-down",
    "server-weight",
    "server-ordered",
    "check-failed",
    "check-passed",
    "check-not-made",
    "checks-rest",
    "checks-go-on",
    "servers-in-force",
    "service",
    "destination",
    "quorum-up",
    "quorum-down",
    "taken-over",
    "found",
    "ipvs-command-failed",
    "ipvs-batch-failed",
    "ipvs-read-failed",
    "sync",
];

/// Reads one `[[expect]]`.
pub(super) fn expectation<'t>(
    mut fields: Fields<'t>,
    names: &Names,
    m: &mut Mistakes,
) -> Option<Expectation> {
    let place = fields.place();
    let keys = fields.keys();
    let mut kinds = keys.iter().filter_map(|(key, place)| {
        KINDS.iter().find(|(name, _)| name == key).map(|kind| (kind, place.clone()))
    });
    let words: Vec<&str> = KINDS.iter().map(|(name, _)| *name).collect();
    let Some(((kind, lasts), first)) = kinds.next() else {
        let known = [
            "during", "within", "at", "host", "client", "vrid", "family", "address", "entry",
            "service",
        ];
        for key in known {
            fields.optional(key);
        }
        if keys.iter().all(|(key, _)| known.contains(key)) {
            let help = format!("say what must be seen: one of {}", quoted(&words));
            m.error("empty-expectation", place, "nothing is expected", "nothing", help);
        }
        fields.finish_among(&words, m);
        return None;
    };
    if let Some((_, second)) = kinds.next() {
        let (first, second) = (m.span(first), m.span(second));
        let diagnostic = Diagnostic::error("two-expectations", "an expectation is about one thing");
        m.push(
            diagnostic
                .at(second)
                .label("a second one")
                .also(first, "the first one")
                .help("write a second `[[expect]]`"),
        );
        return None;
    }
    let window = window(&mut fields, kind, *lasts, names, m);
    let value = fields.optional(kind)?;
    let expect = match *kind {
        "masters" => masters(&mut fields, value, names, m),
        "owners" => owners(&mut fields, value, names, m),
        "holders" => holders(&mut fields, value, names, m),
        "pool" => pool(&mut fields, value, names, m),
        "enters" => enters(&mut fields, value, names, m),
        "event" => event(&mut fields, value, names, m),
        "gap_at_most" => {
            let host = fields.required("client", m).and_then(|client| names.client(client, m));
            let at_most = values::time(value, m);
            host.zip(at_most).map(|(host, at_most)| Expect::ClientGap { host, at_most })
        }
        "outage_at_most" => {
            let host = fields.required("client", m).and_then(|client| names.user(client, m));
            let at_most = values::time(value, m);
            host.zip(at_most).map(|(host, at_most)| Expect::Outage { host, at_most })
        }
        _ => {
            let client = fields.required("client", m).and_then(|client| names.client(client, m));
            let host = names.host(value, m);
            client.zip(host).map(|(client, host)| Expect::AnsweredBy { client, host })
        }
    };
    fields.finish(m);
    Some(Expectation { window: window?, expect: expect?, span: place })
}

/// `during = [a, b]` for what lasts, `within = [a, b]` for what happens, `at = t` for either.
fn window<'t>(
    fields: &mut Fields<'t>,
    kind: &str,
    lasts: bool,
    names: &Names,
    m: &mut Mistakes,
) -> Option<(WorldTime, WorldTime)> {
    let (right, wrong, why) = if lasts {
        ("during", "within", "holds all through its window")
    } else {
        ("within", "during", "happens somewhere in its window")
    };
    if let Some(value) = fields.optional(wrong) {
        let message = format!("`{kind}` {why}");
        let help = format!("write `{right}` instead of `{wrong}`");
        m.error(
            "wrong-window",
            value.span(),
            message,
            format!("`{wrong}` does not fit `{kind}`"),
            help,
        );
        return None;
    }
    match (fields.optional("at"), fields.optional(right)) {
        (Some(at), None) => names.time(at, m).map(|at| (at, at)),
        (None, Some(window)) => pair(window, right, names, m),
        (Some(at), Some(_)) => {
            let message = format!("`at` and `{right}` exclude each other");
            m.error("wrong-window", at.span(), message, "a second window", "write one of them");
            None
        }
        (None, None) => {
            let message = format!("`{kind}` needs to know when");
            let help = format!("add `{right} = [\"10s\", \"12s\"]` or `at = \"10s\"`");
            m.error("missing-key", fields.place(), message, "no window", help);
            None
        }
    }
}

fn pair<'t>(
    value: &'t Value<'t>,
    key: &str,
    names: &Names,
    m: &mut Mistakes,
) -> Option<(WorldTime, WorldTime)> {
    let [first, last] = values::list(value)[..] else {
        let help = format!("write `{key} = [\"10s\", \"12s\"]`");
        m.error("wrong-window", value.span(), "a window has two ends", "not two times", help);
        return None;
    };
    let (first, last) = (names.time(first, m), names.time(last, m));
    let (first, last) = (first?, last?);
    if first > last {
        let help = "write the earlier time first";
        m.error("wrong-window", value.span(), "this window is upside down", "ends first", help);
        return None;
    }
    Some((first, last))
}

fn masters<'t>(
    fields: &mut Fields<'t>,
    value: &'t Value<'t>,
    names: &Names,
    m: &mut Mistakes,
) -> Option<Expect> {
    let router = router(fields, m);
    let hosts = directors(value, names, m);
    Some(Expect::Masters { router: router?, hosts: hosts? })
}

fn owners<'t>(
    fields: &mut Fields<'t>,
    value: &'t Value<'t>,
    names: &Names,
    m: &mut Mistakes,
) -> Option<Expect> {
    let address = fields.required("address", m).and_then(|value| values::address(value, m));
    let hosts = directors(value, names, m);
    Some(Expect::Owners { address: address?, hosts: hosts? })
}

fn holders<'t>(
    fields: &mut Fields<'t>,
    value: &'t Value<'t>,
    names: &Names,
    m: &mut Mistakes,
) -> Option<Expect> {
    let entry = fields.required("entry", m).and_then(|value| values::text(value, m));
    let hosts = directors(value, names, m);
    Some(Expect::Holders { entry: entry?.into(), hosts: hosts? })
}

fn pool<'t>(
    fields: &mut Fields<'t>,
    value: &'t Value<'t>,
    names: &Names,
    m: &mut Mistakes,
) -> Option<Expect> {
    let host = fields.required("host", m).and_then(|value| names.director(value, m));
    let service = match fields.optional("service") {
        Some(value) => Some(values::text(value, m)?.into()),
        None => None,
    };
    let listed = values::list(value);
    let read = |one: &&'t Value<'t>| values::endpoint(one, m);
    let servers: Vec<_> = listed.iter().filter_map(read).collect();
    let whole = servers.len() == listed.len();
    Some(Expect::Pool { host: host?, service, servers }).filter(|_| whole)
}

fn enters<'t>(
    fields: &mut Fields<'t>,
    value: &'t Value<'t>,
    names: &Names,
    m: &mut Mistakes,
) -> Option<Expect> {
    let host = fields.required("host", m).and_then(|value| names.director(value, m));
    let router = router(fields, m);
    let name = values::text(value, m)?;
    let state = StateKind::from_word(name);
    if state.is_none() {
        let words = StateKind::words().map(|(word, _)| word);
        m.unknown("state", name, value.span(), words);
    }
    Some(Expect::Enters { host: host?, router: router?, state: state? })
}

fn event<'t>(
    fields: &mut Fields<'t>,
    value: &'t Value<'t>,
    names: &Names,
    m: &mut Mistakes,
) -> Option<Expect> {
    let host = fields.required("host", m).and_then(|value| names.director(value, m));
    let times = match fields.optional("times") {
        Some(value) => values::integer(value, u32::MAX, m).map(Some),
        None => Some(None),
    };
    let name = values::text(value, m)?;
    if !EVENTS.contains(&name) {
        m.unknown("event", name, value.span(), EVENTS);
        return None;
    }
    Some(Expect::Event { host: host?, name: name.to_owned(), times: times? })
}

/// `vrid = 51`, and `family = "ipv6"` beside it for the other family; neither if there is one
/// virtual router only. The outer `None` is a mistake.
#[expect(clippy::option_option, reason = "a mistake is not the same as no virtual router named")]
fn router<'t>(fields: &mut Fields<'t>, m: &mut Mistakes) -> Option<Option<(Family, u8)>> {
    let vrid = fields.optional("vrid");
    let family = match fields.optional("family") {
        None => Some(Family::Ipv4),
        Some(value) => match values::text(value, m)? {
            "ipv4" => Some(Family::Ipv4),
            "ipv6" => Some(Family::Ipv6),
            other => {
                m.unknown("family", other, value.span(), ["ipv4", "ipv6"]);
                None
            }
        },
    };
    match vrid {
        None => Some(None),
        Some(value) => {
            let vrid = values::signed(value, 1, 255, m);
            Some(Some((family?, vrid? as u8)))
        }
    }
}

fn directors<'t>(value: &'t Value<'t>, names: &Names, m: &mut Mistakes) -> Option<Vec<HostId>> {
    let listed = values::list(value);
    let found: Vec<HostId> = listed.iter().filter_map(|one| names.director(one, m)).collect();
    (found.len() == listed.len()).then_some(found)
}

/// Reads `[properties]`.
pub(super) fn properties<'t>(
    value: Option<&'t Value<'t>>,
    m: &mut Mistakes,
) -> Vec<(PropertyId, Verdict)> {
    let example = "write `[properties]` and below it `held = [\"S1\", \"L1\"]`";
    let Some(mut fields) = value.and_then(|value| Fields::of(value, "[properties]", example, m))
    else {
        return Vec::new();
    };
    let mut found: Vec<(PropertyId, Verdict, std::ops::Range<usize>)> = Vec::new();
    for verdict in [Verdict::Held, Verdict::Violated, Verdict::NotProvided] {
        for one in fields.optional(verdict.name()).map_or(Vec::new(), values::list) {
            let Some(name) = values::text(one, m) else {
                continue;
            };
            let Some(id) = PropertyId::ALL.into_iter().find(|id| id.to_string() == name) else {
                let ids = PropertyId::ALL.map(|id| id.to_string());
                m.unknown("property", name, one.span(), ids.iter().map(String::as_str));
                continue;
            };
            if let Some((_, _, first)) = found.iter().find(|(other, ..)| *other == id) {
                let (first, second) = (m.span(first.clone()), m.span(one.span()));
                let diagnostic = Diagnostic::error("twice", format!("{id} has two verdicts"));
                m.push(
                    diagnostic
                        .at(second)
                        .label("named again")
                        .also(first, "named first")
                        .help("name it once"),
                );
                continue;
            }
            found.push((id, verdict, one.span()));
        }
    }
    if let Some(value) = fields.optional(Verdict::NotExercised.name()) {
        let message = "a property that is not exercised cannot be expected";
        let help = "leave it out: a property that is not named does not decide";
        m.error("unknown-key", value.span(), message, "judges nothing", help);
    }
    fields.finish(m);
    found.sort_by_key(|(id, ..)| *id);
    found.into_iter().map(|(id, verdict, _)| (id, verdict)).collect()
}
