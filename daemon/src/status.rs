//! How things are: the engine's own view as JSON, and that JSON as text for people.

pub mod connections;
mod servers;

use std::fmt::Write as _;

use serde_json::{Value, json};
use vipd_engine::config::FibEntry;
use vipd_engine::{DropCounters, Engine, InstanceStatus, Status, Timestamp};

use crate::driver::Lateness;
use crate::journal::Journal;
use crate::process::Urgency;

/// Everything that is known, as JSON. `docs/daemon.md` says what each key is.
#[must_use]
pub fn report(
    engine: &Engine,
    now: Timestamp,
    late: Lateness,
    unreadable: u64,
    journal: Option<&Journal>,
    urgency: &Urgency,
    mail: &Value,
) -> Value {
    let status = engine.status();
    let instances: Vec<_> = status.instances().map(|one| instance(one, now)).collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "now_ns": now.as_nanos(),
        "instances": instances,
        "static": statics(status),
        "director": status.director().map(|director| servers::report(director, now)),
        "unclaimed": drops(status.unclaimed()),
        "unreadable": unreadable,
        "journal": journal.map(Journal::report),
        "late_timers": { "count": late.count, "worst_ns": nanos(late.worst) },
        "mail": mail,
        "process": urgency.report(),
    })
}

/// What stands whoever is master.
fn statics(status: Status<'_>) -> Value {
    let addresses: Vec<_> = status.static_addresses().map(ToString::to_string).collect();
    let [routes, rules] = by_kind(status.static_fib());
    json!({ "addresses": addresses, "routes": routes, "rules": rules })
}

/// Routes, then rules.
fn by_kind<'a>(entries: impl Iterator<Item = &'a FibEntry>) -> [Vec<String>; 2] {
    let mut lists = [Vec::new(), Vec::new()];
    for entry in entries {
        match entry {
            FibEntry::Route(route) => lists[0].push(route.to_string()),
            FibEntry::Rule(rule) => lists[1].push(rule.to_string()),
        }
    }
    lists
}

fn instance(status: InstanceStatus<'_>, now: Timestamp) -> Value {
    let config = status.config();
    let counters = status.counters();
    let last_heard = status.last_heard().map(|(source, priority, at)| {
        json!({ "source": source, "priority": priority, "ago_ns": nanos(now.since(at)) })
    });
    let deadline =
        status.deadline().map(|(at, what)| json!({ "what": what, "in_ns": nanos(at.since(now)) }));
    let addresses: Vec<_> = status.addresses().map(ToString::to_string).collect();
    let deaf: Vec<_> = status.deaf_rivals(now).collect();
    let held_down = status.standing().held_down_until();
    let [routes, rules] = by_kind(status.fib());
    json!({
        "name": config.name.as_str(),
        "vrid": config.vrid.get(),
        "interface": config.interface.as_str(),
        "state": status.state().name(),
        "for_ns": nanos(now.since(status.since())),
        "why": status.why().to_string(),
        "order": status.standing().word(),
        "held_down_ns": held_down.map(|until| nanos(until.since(now))),
        "fault": status.fault().map(ToString::to_string),
        "priority": status.priority().get(),
        "configured_priority": config.priority.get(),
        "last_heard": last_heard,
        "does_not_hear_us": deaf,
        "addresses": addresses,
        "routes": routes,
        "rules": rules,
        "deadline": deadline,
        "lease_ns": status.lease_end().map(|end| nanos(end.since(now))),
        "counters": {
            "sent": counters.sent,
            "sent_priority_zero": counters.sent_priority_zero,
            "received": counters.received,
            "received_priority_zero": counters.received_priority_zero,
            "master_transitions": counters.master_transitions,
            "drops": drops(&counters.drops),
        },
    })
}

/// Only what was dropped, by reason.
fn drops(counters: &DropCounters) -> Value {
    let counted = counters.iter().filter(|(_, count)| *count > 0);
    counted.map(|(reason, count)| (reason.name().to_owned(), json!(count))).collect()
}

fn nanos(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The same for people. What a key lacks is left out.
#[must_use]
pub fn text(report: &Value) -> String {
    let mut text = String::new();
    for instance in report["instances"].as_array().into_iter().flatten() {
        describe(instance, &mut text);
    }
    let mut statics = String::new();
    holds(&report["static"], &mut statics);
    if !statics.is_empty() {
        line(&mut text, "static:");
        text.push_str(&statics);
    }
    servers::describe(&report["director"], &mut text);
    let late = &report["late_timers"];
    if late["count"] != json!(0) {
        let worst = seconds(&late["worst_ns"]);
        line(&mut text, &format!("timers fired late: {}, the latest by {worst}", late["count"]));
    }
    let journal = &report["journal"];
    if let Some(folder) = journal["folder"].as_str() {
        let (written, lost) = (&journal["written"], &journal["lost"]);
        line(&mut text, &format!("journal in {folder}: {written} inputs written, {lost} lost"));
        if let Some(error) = journal["error"].as_str() {
            line(&mut text, &format!("  not written: {error}"));
        }
    }
    describe_mail(&report["mail"], &mut text);
    line(&mut text, &describe_process(&report["process"]));
    text
}

fn describe_mail(mail: &Value, text: &mut String) {
    let Some(server) = mail["server"].as_str() else { return };
    let [waiting, sent, lost] = ["waiting", "sent", "lost"].map(|key| &mail[key]);
    line(text, &format!("mail to {server}: {sent} sent, {waiting} alerts wait, {lost} lost"));
    if let Some(error) = mail["last_error"].as_str() {
        line(text, &format!("  last error: {error}"));
    }
    if !mail["retry_in_ns"].is_null() {
        line(text, &format!("  tried again in {}", seconds(&mail["retry_in_ns"])));
    }
}

fn describe_process(process: &Value) -> String {
    let locked = process["memory_locked"] == json!(true);
    let mut words =
        String::from(if locked { "memory: locked as it is touched" } else { "memory: not locked" });
    for (key, what) in [("realtime_priority", "real-time priority"), ("nice", "nice value")] {
        if let Some(value) = process[key].as_i64() {
            let _ = write!(words, "; {what}: {value}");
        }
    }
    words
}

fn holds(held: &Value, text: &mut String) {
    for (list, word) in [("addresses", ""), ("routes", "route "), ("rules", "rule ")] {
        for one in held[list].as_array().into_iter().flatten() {
            line(text, &format!("  holds {word}{}", one.as_str().unwrap_or_default()));
        }
    }
}

fn describe(instance: &Value, text: &mut String) {
    let word = |key: &str| instance[key].as_str().unwrap_or_default();
    let [name, state, interface] = ["name", "state", "interface"].map(word);
    let (vrid, priority) = (&instance["vrid"], &instance["priority"]);
    line(text, &format!("{name}: {state} on {interface}, vrid {vrid}, priority {priority}"));
    line(text, &format!("  for {}: {}", seconds(&instance["for_ns"]), word("why")));
    match instance["order"].as_str() {
        Some("yield") => line(text, "  yields by order of an operator, until it is needed"),
        Some(_) => line(text, "  held by order of an operator, until `vipd resume`"),
        None => {}
    }
    let held_down = &instance["held_down_ns"];
    if !held_down.is_null() {
        let words = "held down, a rival does not hear it: preempts nobody for";
        line(text, &format!("  {words} {}, until it is needed", seconds(held_down)));
    }
    if let Some(fault) = instance["fault"].as_str() {
        line(text, &format!("  needs: {fault}"));
    }
    holds(instance, text);
    let heard = &instance["last_heard"];
    if let Some(source) = heard["source"].as_str() {
        let (priority, ago) = (&heard["priority"], seconds(&heard["ago_ns"]));
        line(text, &format!("  heard {source} with priority {priority} {ago} ago"));
    }
    for rival in instance["does_not_hear_us"].as_array().into_iter().flatten() {
        let rival = rival.as_str().unwrap_or_default();
        line(text, &format!("  two masters: {rival} has less priority and does not hear us"));
    }
    let deadline = &instance["deadline"];
    if let Some(what) = deadline["what"].as_str() {
        line(text, &format!("  next: {what} in {}", seconds(&deadline["in_ns"])));
    }
    let counters = &instance["counters"];
    let (sent, received) = (&counters["sent"], &counters["received"]);
    line(text, &format!("  adverts: {sent} sent, {received} received"));
    for (reason, count) in counters["drops"].as_object().into_iter().flatten() {
        line(text, &format!("  dropped: {count} {reason}"));
    }
}

fn line(text: &mut String, words: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{words}");
}

fn seconds(nanos: &Value) -> String {
    let millis = nanos.as_u64().unwrap_or_default() / 1_000_000;
    format!("{}.{:03} s", millis / 1000, millis % 1000)
}
