//! A run in the JSON trace-event format, which ui.perfetto.dev and chrome://tracing open:
//! `--perfetto`.
//!
//! A host is a process; its virtual routers, its adverts and what stops it are threads. Owners of
//! addresses and measured intervals are processes of their own. Times are microseconds.

use serde_json::{Value, json};

use super::intervals::About;
use super::lines::{loss_name, name};
use super::page::Shown;
use super::picture::{Picture, Span, router_name};
use crate::record::WorldTime;

/// Processes of the trace that are no hosts.
const OWNERS: u32 = 1_000_000;
const INTERVALS: u32 = 1_000_001;

/// Threads of a host that are no virtual routers.
const ADVERTS: u32 = 10_000;
const HALTS: u32 = 10_001;
const CLIENT: u32 = 10_002;

/// How wide an advert is drawn, in microseconds: an arrow needs something to stand on.
const WIDTH: f64 = 1.0;

/// The whole file.
#[must_use]
pub fn text(shown: &Shown<'_>) -> String {
    let picture = Picture::of(shown.history, shown.scenario, shown.outcome.end);
    let mut events = Vec::new();
    hosts(&picture, shown, &mut events);
    owners(&picture, shown, &mut events);
    adverts(&picture, shown, &mut events);
    for (at, text) in &picture.steps {
        events.push(json!({
            "ph": "i", "s": "g", "name": text, "cat": "step", "ts": micros(*at), "pid": INTERVALS,
            "tid": 0,
        }));
    }
    json!({
        "displayTimeUnit": "ms",
        "otherData": { "scenario": shown.scenario.name, "world": shown.label },
        "traceEvents": events,
    })
    .to_string()
}

fn hosts(picture: &Picture, shown: &Shown<'_>, events: &mut Vec<Value>) {
    for (place, host) in shown.scenario.hosts.iter().enumerate() {
        let pid = u32::try_from(place).unwrap_or(u32::MAX);
        events.push(named("process_name", pid, 0, &host.name));
        events.push(named("thread_name", pid, ADVERTS, "adverts"));
    }
    let mut routers: Vec<_> = picture.lanes.keys().map(|(router, _)| *router).collect();
    routers.dedup();
    for ((router, host), track) in &picture.lanes {
        let tid = routers.iter().position(|known| known == router).unwrap_or(0) + 1;
        let (pid, tid) = (u32::from(host.0), u32::try_from(tid).unwrap_or(u32::MAX));
        events.push(named("thread_name", pid, tid, &router_name(router, shown.history)));
        let slices = track.spans.iter().map(|span| slice(span, pid, tid, span.what.name()));
        events.extend(slices);
    }
    for (host, track) in &picture.halts {
        let pid = u32::from(host.0);
        if !track.spans.is_empty() {
            events.push(named("thread_name", pid, HALTS, "stopped or cut off"));
        }
        events.extend(track.spans.iter().map(|span| slice(span, pid, HALTS, span.what.name())));
    }
    for (host, track) in &picture.clients {
        let pid = u32::from(host.0);
        events.push(named("thread_name", pid, CLIENT, "answered by"));
        for span in &track.spans {
            let text = span.what.map_or_else(|| "nobody".into(), |by| name(by, shown.history));
            events.push(slice(span, pid, CLIENT, &text));
        }
    }
    for (at, host, text) in &picture.news {
        events.push(json!({
            "ph": "i", "s": "p", "name": text, "cat": "news", "ts": micros(*at),
            "pid": host.0, "tid": 0,
        }));
    }
}

fn owners(picture: &Picture, shown: &Shown<'_>, events: &mut Vec<Value>) {
    events.push(named("process_name", OWNERS, 0, "owners of virtual addresses"));
    events.push(named("process_name", INTERVALS, 0, "measured intervals"));
    for (place, ((address, host), track)) in picture.owners.iter().enumerate() {
        let tid = u32::try_from(place + 1).unwrap_or(u32::MAX);
        let text = format!("{address} on {}", name(*host, shown.history));
        events.push(named("thread_name", OWNERS, tid, &text));
        events.extend(track.spans.iter().map(|span| slice(span, OWNERS, tid, "owns")));
    }
    let mut subjects: Vec<_> = picture.intervals.iter().map(|interval| interval.about).collect();
    subjects.sort_unstable();
    subjects.dedup();
    for (place, about) in subjects.iter().enumerate() {
        let tid = u32::try_from(place + 1).unwrap_or(u32::MAX);
        let text = match about {
            About::Router(router) => router_name(router, shown.history),
            About::Address(address) => address.to_string(),
        };
        events.push(named("thread_name", INTERVALS, tid, &text));
        for interval in picture.intervals.iter().filter(|interval| interval.about == *about) {
            let span = Span { from: interval.from, to: interval.to, what: () };
            events.push(slice(&span, INTERVALS, tid, interval.kind.text()));
        }
    }
}

/// An advert is a thin slice at its sender and one at each receiver, with an arrow between them.
fn adverts(picture: &Picture, shown: &Shown<'_>, events: &mut Vec<Value>) {
    let mut arrow = 0_u64;
    for flight in picture.flights.values() {
        let advert = &flight.advert;
        let args = json!({
            "router": router_name(&advert.router, shown.history),
            "src": advert.src, "dst": advert.dst, "version": advert.version,
            "priority": advert.priority, "interval_s": advert.interval.as_secs_f64(),
        });
        let text = format!("advert, priority {}", advert.priority);
        let thin = |pid: u16, at: WorldTime, name: &str| {
            json!({
                "ph": "X", "name": name, "cat": "advert", "ts": micros(at), "dur": WIDTH,
                "pid": pid, "tid": ADVERTS, "args": args,
            })
        };
        if let Some(sender) = advert.sender {
            events.push(thin(sender.0, flight.at, &text));
        }
        for (host, at, lost) in &flight.ends {
            let received = match lost {
                Some(why) => format!("advert not received: {}", loss_name(*why)),
                None => format!("received {text}"),
            };
            events.push(thin(host.0, *at, &received));
            if let (Some(sender), None) = (advert.sender, lost) {
                arrow += 1;
                let end = |phase: &str, pid: u16, at: WorldTime| {
                    json!({
                        "ph": phase, "bp": "e", "id": arrow, "name": "advert", "cat": "advert",
                        "ts": micros(at), "pid": pid, "tid": ADVERTS,
                    })
                };
                events.push(end("s", sender.0, flight.at));
                events.push(end("f", host.0, *at));
            }
        }
    }
}

fn slice<T>(span: &Span<T>, pid: u32, tid: u32, name: &str) -> Value {
    json!({
        "ph": "X", "name": name, "ts": micros(span.from), "pid": pid, "tid": tid,
        "dur": micros(WorldTime(span.to.0.saturating_sub(span.from.0))),
    })
}

fn named(what: &str, pid: u32, tid: u32, name: &str) -> Value {
    json!({ "ph": "M", "name": what, "pid": pid, "tid": tid, "args": { "name": name } })
}

/// Exact to the nanosecond for the first 100 days.
fn micros(at: WorldTime) -> f64 {
    std::time::Duration::from_nanos(at.0).as_secs_f64() * 1e6
}
