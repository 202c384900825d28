//! How virtual servers and real servers are: what the table is to have of them, what it has, and
//! why.

use serde_json::{Value, json};
use vipd_engine::director::{ServerStatus, Status, VirtualServerStatus};
use vipd_engine::{Timestamp, ipvs};

use super::{line, nanos, seconds};

/// Real servers that one report lists. Of the others it says how many there are: a report is made
/// between two adverts.
pub const MOST_LISTED: usize = 1000;

/// All of it as JSON.
pub fn report(director: Status<'_>, now: Timestamp) -> Value {
    let mut room = MOST_LISTED;
    let pools = director.virtual_servers().map(|pool| {
        let all = pool.config().real_servers.len();
        let listed = all.min(room);
        room -= listed;
        virtual_server(pool, listed, now)
    });
    let pools: Vec<_> = pools.collect();
    let checks = director.checks();
    let counters = checks.counters();
    json!({
        "ipvs": if director.is_in_fault() { "missing" } else { "there" },
        "virtual_servers": pools,
        "checks": {
            "attempts": counters.attempts,
            "timed_out": counters.timed_out,
            "late": counters.late,
            "latest_ns": nanos(counters.latest),
        },
    })
}

fn virtual_server(pool: VirtualServerStatus<'_>, listed: usize, now: Timestamp) -> Value {
    let config = pool.config();
    let services = pool.services().map(|service| {
        json!({
            "service": service.service().to_string(),
            "state": match service.state() {
                ipvs::ServiceState::Unknown => "unknown",
                ipvs::ServiceState::Absent => "absent",
                ipvs::ServiceState::Differs => "differs",
                ipvs::ServiceState::Present => "present",
            },
            "error": service.error().map(|error| error.to_string()),
        })
    });
    let services: Vec<_> = services.collect();
    let servers: Vec<_> = pool.servers().take(listed).map(|one| real_server(&one, now)).collect();
    json!({
        "name": config.name.to_string(),
        "has_quorum": pool.table.has_quorum(),
        "for_ns": nanos(now.since(pool.table.since())),
        "live": pool.table.live(),
        "quorum": config.quorum,
        "rests": pool.table.rests(),
        "services": services,
        "real_servers": servers,
        "not_listed": config.real_servers.len() - listed,
    })
}

fn real_server(server: &ServerStatus<'_>, now: Timestamp) -> Value {
    let config = server.config();
    let there = server.in_kernel().next().map(|(_, there)| there);
    let ago = |at: Timestamp| nanos(now.since(at));
    let last = server.last();
    let last =
        last.map(|(at, outcome)| json!({ "outcome": outcome.to_string(), "ago_ns": ago(at) }));
    json!({
        "server": ipvs::identity(config).to_string(),
        "is_up": server.is_up(),
        "for_ns": ago(server.since()),
        "weight": config.weight,
        "wanted": server.wanted(),
        "why": server.why().name(),
        "drained": server.table.drained,
        "ordered_weight": server.table.ordered,
        "in_kernel": there.and_then(|there| there.in_kernel).map(|spec| spec.weight),
        "connections": null,
        "error": there.and_then(|there| there.error).map(|error| error.to_string()),
        "last": last,
        "next_in_ns": server.next_check().map(|at| nanos(at.since(now))),
    })
}

/// The same for people.
pub fn describe(report: &Value, text: &mut String) {
    if report["ipvs"] == json!("missing") {
        line(text, "the kernel has no IPVS: nothing is directed");
    }
    for pool in report["virtual_servers"].as_array().into_iter().flatten() {
        describe_pool(pool, text);
    }
}

fn describe_pool(pool: &Value, text: &mut String) {
    let word = |key: &str| pool[key].as_str().unwrap_or_default();
    let quorum = if pool["has_quorum"] == json!(true) { "quorum" } else { "no quorum" };
    let (live, wanted, since) = (&pool["live"], &pool["quorum"], seconds(&pool["for_ns"]));
    line(text, &format!("{}: {quorum} for {since}, weight {live} of {wanted}", word("name")));
    if pool["rests"] == json!(true) {
        line(text, "  checks rest: its address is elsewhere");
    }
    for service in pool["services"].as_array().into_iter().flatten() {
        let [name, state] =
            ["service", "state"].map(|key| service[key].as_str().unwrap_or_default());
        match service["error"].as_str() {
            Some(error) => line(text, &format!("  {name} is {state}: {error}")),
            None if state != "present" => line(text, &format!("  {name} is {state}")),
            None => {}
        }
    }
    for server in pool["real_servers"].as_array().into_iter().flatten() {
        describe_server(server, text);
    }
    if pool["not_listed"] != json!(0) {
        line(text, &format!("  and {} real servers more", pool["not_listed"]));
    }
}

fn describe_server(server: &Value, text: &mut String) {
    let word = |key: &str| server[key].as_str().unwrap_or_default();
    let state = if server["is_up"] == json!(true) { "up" } else { "down" };
    let has = match server["in_kernel"].as_u64() {
        Some(weight) => format!("weight {weight}"),
        None => "not in the table".to_owned(),
    };
    let mut words =
        format!("  {}: {state} for {}, {has}", word("server"), seconds(&server["for_ns"]));
    if server["in_kernel"] != server["wanted"] {
        let wanted = server["wanted"].as_u64();
        let wanted = wanted.map_or("out of it".to_owned(), |weight| format!("weight {weight}"));
        words.push_str(&format!(", to be {wanted}"));
    }
    if !["up", "down"].contains(&word("why")) {
        words.push_str(&format!(" ({})", word("why")));
    }
    if let Some(connections) = server["connections"].as_object() {
        let [active, inactive] = ["active", "inactive"].map(|key| &connections[key]);
        words.push_str(&format!(", connections: {active} active, {inactive} inactive"));
    }
    line(text, &words);
    if let Some(error) = server["error"].as_str() {
        line(text, &format!("    refused: {error}"));
    }
    if let Some(outcome) = server["last"]["outcome"].as_str() {
        let ago = seconds(&server["last"]["ago_ns"]);
        let next = match server["next_in_ns"] {
            Value::Null => String::new(),
            _ => format!(", next in {}", seconds(&server["next_in_ns"])),
        };
        line(text, &format!("    last check {ago} ago: {outcome}{next}"));
    }
}
