//! A run as JSON, one object per line and observation: `--jsonl`. The form is in docs/reports.md.

use std::fmt::Write;

use serde_json::{Value, json};

use super::history::History;
use super::page::Shown;
use super::picture::router_name;
use super::timeline::event_fields;
use crate::judge::Verdict;
use crate::record::{
    HostId, LossReason, MachineChange, Observation, ProcessChange, Seen, SeenAdvert, whole_nanos,
};

/// The version of the form; it grows when a key changes its meaning or goes.
pub const VERSION: u32 = 1;

/// The whole file.
#[must_use]
pub fn text(shown: &Shown<'_>) -> String {
    let Shown { label, scenario, outcome, history, .. } = shown;
    let hosts: Vec<_> = scenario.hosts.iter().map(|host| &*host.name).collect();
    let segments: Vec<_> = scenario.segments.iter().map(|segment| &*segment.name).collect();
    let mut text = String::new();
    let mut line = |value: Value| {
        let _ = writeln!(text, "{value}");
    };
    line(json!({
        "what": "run", "version": VERSION, "scenario": scenario.name, "world": label,
        "hosts": hosts, "segments": segments,
    }));
    for observation in &history.observations {
        line(object(observation, shown));
    }
    for judged in &outcome.properties {
        line(json!({
            "what": "property", "id": judged.report.id.to_string(),
            "verdict": judged.report.verdict.name(),
            "expected": judged.expected.map(Verdict::name),
            "bound_ns": judged.report.bound.map(whole_nanos),
            "worst_ns": judged.report.worst.map(whole_nanos),
            "reason": judged.report.reason,
        }));
    }
    line(json!({
        "what": "end", "at_ns": outcome.end.0, "verdict": outcome.verdict.name(),
        "interrupted": outcome.interrupted, "left_out": history.left_out(),
    }));
    text
}

fn object(observation: &Observation, shown: &Shown<'_>) -> Value {
    let Observation { at, host, seen } = observation;
    let host = name(*host, shown.history);
    let mut object = json!({ "at_ns": at.0, "host": host });
    let fields = fields(seen, shown);
    if let (Some(object), Value::Object(fields)) = (object.as_object_mut(), fields) {
        object.extend(fields);
    }
    object
}

fn fields(seen: &Seen, shown: &Shown<'_>) -> Value {
    let history = shown.history;
    let segment = |id: &crate::record::SegmentId| {
        history.setting.segments.get(usize::from(id.0)).map(|segment| segment.name.to_string())
    };
    let named = |host: Option<HostId>| host.map(|host| name(host, history));
    match seen {
        Seen::AdvertSent(advert) => advert_fields("advert_sent", advert, history),
        Seen::AdvertDelivered(advert) => advert_fields("advert_delivered", advert, history),
        Seen::AdvertLost(advert, why) => lost_fields(advert, *why, history),
        Seen::Address { address, present } => {
            json!({ "what": "address", "address": address, "present": present })
        }
        Seen::Fib { entry, present } => {
            json!({ "what": "route", "entry": &**entry, "present": present })
        }
        Seen::Destination { service, endpoint, weight } => json!({
            "what": "destination", "service": service.to_string(),
            "server": endpoint.to_string(), "weight": weight,
        }),
        Seen::Owns { segment: on, address, owns } => {
            json!({ "what": "owns", "segment": segment(on), "address": address, "owns": owns })
        }
        Seen::Announced { segment: on, address, mac } => json!({
            "what": "announced", "segment": segment(on), "address": address,
            "mac": mac.to_string(),
        }),
        Seen::Answered { segment: on, address, mac } => json!({
            "what": "answered", "segment": segment(on), "address": address,
            "mac": mac.to_string(),
        }),
        Seen::Neighbour { segment: on, address, mac, points_to } => json!({
            "what": "neighbour", "segment": segment(on), "address": address,
            "mac": mac.to_string(), "points_to": named(*points_to),
        }),
        Seen::Process(change) => json!({ "what": "process", "change": process_name(*change) }),
        Seen::Machine(change) => json!({ "what": "machine", "change": machine_name(*change) }),
        Seen::Link { segment: on, up } => {
            json!({ "what": "link", "segment": segment(on), "up": up })
        }
        Seen::Path { segment: on, to, multicast, unicast } => json!({
            "what": "path", "segment": segment(on), "to": name(*to, history),
            "multicast": multicast, "unicast": unicast,
        }),
        Seen::Configured(config) => {
            let names: Vec<_> =
                config.instances().iter().map(|instance| instance.name.to_string()).collect();
            json!({ "what": "configured", "instances": names })
        }
        Seen::Probe { address, sent, answered_by } => json!({
            "what": "probe", "address": address, "sent_ns": sent.0,
            "answered_by": named(*answered_by),
        }),
        Seen::Request { sent, ended, answered_by } => json!({
            "what": "request", "sent_ns": sent.0, "ended_ns": ended.0,
            "answered_by": named(*answered_by),
        }),
        Seen::Engine(event) => {
            let mut fields = event_fields(event);
            fields["what"] = "engine".into();
            fields["news"] = event.news.name().into();
            fields
        }
        Seen::Dropped(reason) => json!({ "what": "dropped", "reason": reason }),
        Seen::Step(timed) => json!({
            "what": "step", "step": timed.step.name(),
            "text": timed.step.line(shown.scenario).to_string(),
        }),
    }
}

fn lost_fields(advert: &SeenAdvert, why: LossReason, history: &History) -> Value {
    let mut lost = advert_fields("advert_lost", advert, history);
    lost["why"] = loss_name(why).into();
    lost
}

fn advert_fields(what: &str, advert: &SeenAdvert, history: &History) -> Value {
    json!({
        "what": what,
        "packet": advert.packet.0,
        "router": router_name(&advert.router, history),
        "vrid": advert.router.vrid,
        "sender": advert.sender.map(|host| name(host, history)),
        "src": advert.src,
        "dst": advert.dst,
        "version": advert.version,
        "priority": advert.priority,
        "interval_ns": whole_nanos(advert.interval),
    })
}

/// A host's name.
pub(super) fn name(host: HostId, history: &History) -> String {
    let setting = history.setting.hosts.get(usize::from(host.0));
    setting.map_or_else(|| format!("host {}", host.0), |host| host.name.to_string())
}

/// Why an advert did not arrive.
pub(super) const fn loss_name(why: LossReason) -> &'static str {
    match why {
        LossReason::Cut => "cut",
        LossReason::Lost => "lost",
        LossReason::LinkDown => "link_down",
        LossReason::PoweredOff => "powered_off",
        LossReason::Corrupted => "corrupted",
    }
}

const fn process_name(change: ProcessChange) -> &'static str {
    match change {
        ProcessChange::Started => "started",
        ProcessChange::Stopping => "stopping",
        ProcessChange::Stopped => "stopped",
        ProcessChange::Killed => "killed",
        ProcessChange::Paused => "paused",
        ProcessChange::Resumed => "resumed",
    }
}

const fn machine_name(change: MachineChange) -> &'static str {
    match change {
        MachineChange::On => "on",
        MachineChange::Off => "off",
        MachineChange::Frozen { .. } => "frozen",
        MachineChange::Thawed => "thawed",
    }
}
