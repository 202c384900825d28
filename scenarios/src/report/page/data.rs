//! What the script of a page draws: one JSON object per run. Times are nanoseconds, hosts and
//! routers are places in lists, so that an hour of adverts stays small.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Shown;
use crate::record::{HostId, RouterKey, WorldTime, whole_nanos};
use crate::report::intervals::{About, Interval};
use crate::report::lines::{loss_name, name};
use crate::report::picture::{Cut, Flight, Picture, Span, Track, Ways, router_name};

/// Everything that is drawn of a run.
pub(super) fn run(shown: &Shown<'_>, picture: &Picture) -> Value {
    let history = shown.history;
    let mut routers: Vec<_> = picture.lanes.keys().map(|(router, _)| *router).collect();
    routers.dedup();
    let place = |router: &RouterKey| routers.iter().position(|known| known == router);
    let lanes = picture.lanes.iter().map(|((router, host), track)| {
        json!({
            "host": host.0, "router": place(router),
            "spans": spans(track, |condition| condition.name().into()),
        })
    });
    let halts = picture.halts.iter().map(
        |(host, track)| json!({ "host": host.0, "spans": spans(track, |halt| halt.name().into()) }),
    );
    let clients = picture.clients.iter().map(|(host, track)| {
        json!({ "host": host.0, "spans": spans(track, |by| by.map(|host| host.0).into()) })
    });
    let flights: Vec<_> = picture.flights.values().collect();
    json!({
        "label": shown.label,
        "end": shown.outcome.end.0,
        "fault": picture.steps.first().map(|(at, _)| at.0),
        "hosts": shown.scenario.hosts.iter().map(|host| &*host.name).collect::<Vec<_>>(),
        "routers": routers.iter().map(|router| router_name(router, history)).collect::<Vec<_>>(),
        "lanes": lanes.collect::<Vec<_>>(),
        "halts": halts.collect::<Vec<_>>(),
        "clients": clients.collect::<Vec<_>>(),
        "owners": owners(picture),
        "cuts": cuts(picture, shown),
        "steps": picture.steps.iter().map(|(at, text)| json!([at.0, text])).collect::<Vec<_>>(),
        "news": picture.news.iter().map(|(at, host, text)| json!([at.0, host.0, text]))
            .collect::<Vec<_>>(),
        "announcements": picture.announcements.iter()
            .map(|(at, host, address)| json!([at.0, host.0, address])).collect::<Vec<_>>(),
        "intervals": picture.intervals.iter().map(|one| interval(one, shown, &place))
            .collect::<Vec<_>>(),
        "adverts": flights.iter().map(|flight| advert(flight, &place)).collect::<Vec<_>>(),
    })
}

fn spans<T>(track: &Track<T>, what: impl Fn(&T) -> Value) -> Vec<Value> {
    let span = |span: &Span<T>| json!([span.from.0, span.to.0, what(&span.what)]);
    track.spans.iter().map(span).collect()
}

fn owners(picture: &Picture) -> Vec<Value> {
    let mut by_address: BTreeMap<_, Vec<Value>> = BTreeMap::new();
    for ((address, host), track) in &picture.owners {
        let spans = by_address.entry(*address).or_default();
        spans.extend(track.spans.iter().map(|span| json!([span.from.0, span.to.0, host.0])));
    }
    by_address
        .into_iter()
        .map(|(address, spans)| json!({ "address": address, "spans": spans }))
        .collect()
}

/// What is cut from when to when; what is cut together is one band.
fn cuts(picture: &Picture, shown: &Shown<'_>) -> Vec<Value> {
    let mut bands: BTreeMap<(WorldTime, WorldTime), Vec<String>> = BTreeMap::new();
    for ((_, low, high), track) in &picture.cuts {
        for span in &track.spans {
            let text = cut_text(span.what, *low, *high, shown);
            bands.entry((span.from, span.to)).or_default().push(text);
        }
    }
    let band = |((from, to), texts): ((WorldTime, WorldTime), Vec<String>)| {
        json!([from.0, to.0, texts.join(", ")])
    };
    bands.into_iter().map(band).collect()
}

fn cut_text(ways: Ways, low: HostId, high: HostId, shown: &Shown<'_>) -> String {
    let (a, b) = (name(low, shown.history), name(high, shown.history));
    let (arrow, cut) = match (ways.there, ways.back) {
        (there, Cut::Nothing) => ("→", there),
        (Cut::Nothing, back) => ("←", back),
        (there, _) => ("↔", there),
    };
    let what = match cut {
        Cut::Nothing | Cut::Everything => "",
        Cut::Multicast => " (multicast)",
        Cut::Unicast => " (unicast)",
    };
    format!("{a} {arrow} {b}{what}")
}

fn interval(
    one: &Interval,
    shown: &Shown<'_>,
    place: &impl Fn(&RouterKey) -> Option<usize>,
) -> Value {
    let (router, address) = match one.about {
        About::Router(router) => (place(&router), None),
        About::Address(address) => (None, Some(address)),
    };
    let bound = shown.bound(one.kind.bounded_by());
    json!({
        "kind": one.kind.name(), "text": one.kind.text(), "router": router, "address": address,
        "from": one.from.0, "to": one.to.0,
        "hosts": one.hosts.iter().map(|host| host.0).collect::<Vec<_>>(),
        "property": bound.and(one.kind.bounded_by()).map(|id| id.to_string()),
        "bound": bound.map(whole_nanos),
        "beyond": bound.is_some_and(|bound| one.to.since(one.from) > bound),
    })
}

/// `[at, sender, router, version, priority, interval, src, dst, [[receiver, at, lost]]]`.
fn advert(flight: &Flight, place: &impl Fn(&RouterKey) -> Option<usize>) -> Value {
    let advert = &flight.advert;
    let ends = flight.ends.iter().map(|(host, at, lost)| match lost {
        Some(why) => json!([host.0, at.0, loss_name(*why)]),
        None => json!([host.0, at.0]),
    });
    json!([
        flight.at.0,
        advert.sender.map(|host| host.0),
        place(&advert.router),
        advert.version,
        advert.priority,
        whole_nanos(advert.interval),
        advert.src,
        advert.dst,
        ends.collect::<Vec<_>>(),
    ])
}
