//! Rules of nftables, from what `nft -j list ruleset` prints (libnftables-json(5)); their text from
//! what `nft -a list ruleset` prints. What iptables-nft made is among them, with conditions that
//! only iptables can print: `legacy` reads that.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use vipd_engine::Family;

use super::model::{
    Action, Chain, Condition, Direction, Field, Hook, Rule, Ruleset, Step, Value, target,
};

/// Reads both; what is no ruleset is an error that says so.
pub fn ruleset(json: &str, listing: &str) -> Result<Ruleset, String> {
    let read: Json = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let objects = read["nftables"].as_array().ok_or("there is no list `nftables` in it")?;
    let listing = Listing::read(listing);
    let (mut ruleset, mut places) = (Ruleset::default(), BTreeMap::new());
    for chain in objects.iter().filter_map(|object| object.get("chain")) {
        if let Some(chain) = self::chain(chain, &listing) {
            places.insert((chain.table.clone(), chain.name.clone()), ruleset.chains.len());
            ruleset.chains.push(chain);
        }
    }
    for rule in objects.iter().filter_map(|object| object.get("rule")) {
        let place = places.get(&(table(rule), text(&rule["chain"]).to_owned()));
        if let Some(chain) = place.and_then(|place| ruleset.chains.get_mut(*place)) {
            chain.rules.push(self::rule(rule, &listing));
        }
    }
    Ok(ruleset)
}

/// What only the text of the rules tells.
#[derive(Default)]
struct Listing {
    /// The text of each rule by its table and its handle, which are of one table.
    rules: BTreeMap<(String, u64), String>,
    /// The devices of chains by table and name: nft 1.0.6 leaves them out of the JSON.
    devices: BTreeMap<(String, String), Vec<String>>,
}

impl Listing {
    fn read(text: &str) -> Self {
        let (mut listing, mut table, mut chain) = (Self::default(), "", "");
        for line in text.lines().map(str::trim) {
            if let Some((_, rest)) = line.split_once(" device") {
                let devices = rest.split('"').skip(1).step_by(2).map(str::to_owned).collect();
                listing.devices.insert((table.to_owned(), chain.to_owned()), devices);
            }
            let Some((content, handle)) = line.rsplit_once(" # handle ") else { continue };
            let Ok(handle) = handle.parse() else { continue };
            let head = |kind: &str| content.strip_prefix(kind)?.strip_suffix(" {");
            if let Some(name) = head("table ") {
                table = name;
            } else if let Some(name) = head("chain ") {
                chain = name;
            } else if !content.ends_with('{') {
                listing.rules.insert((table.to_owned(), handle), content.to_owned());
            }
        }
        listing
    }
}

fn text(json: &Json) -> &str {
    json.as_str().unwrap_or_default()
}

fn table(object: &Json) -> String {
    format!("{} {}", text(&object["family"]), text(&object["table"]))
}

/// `None`: adverts do not pass it.
fn chain(object: &Json, listing: &Listing) -> Option<Chain> {
    let family = match text(&object["family"]) {
        "ip" => Some(Family::Ipv4),
        "ip6" => Some(Family::Ipv6),
        "inet" | "netdev" => None,
        // Bridges and ARP.
        _ => return None,
    };
    let direction = match text(&object["hook"]) {
        "ingress" | "prerouting" | "input" => Some(Direction::Arriving),
        "output" | "postrouting" | "egress" => Some(Direction::Leaving),
        _ => None,
    };
    let drops = text(&object["policy"]) == "drop";
    let (table, name) = (table(object), text(&object["name"]).to_owned());
    let devices = match &object["dev"] {
        Json::String(device) => vec![device.clone()],
        Json::Array(devices) => devices.iter().map(|one| text(one).to_owned()).collect(),
        _ => listing.devices.get(&(table.clone(), name.clone())).cloned().unwrap_or_default(),
    };
    let way_out = format!("nft insert rule {table} {name} meta l4proto 112 accept");
    let hook = direction.map(|direction| Hook { direction, devices, drops });
    Some(Chain { table, family, name, hook, rules: Vec::new(), way_out })
}

fn rule(object: &Json, listing: &Listing) -> Rule {
    let handle = object["handle"].as_u64().unwrap_or_default();
    let expressions = object["expr"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut steps: Vec<_> = expressions.iter().flat_map(step).collect();
    // Older programs do not print what an expression of iptables is: it may be the target.
    let hidden = expressions.iter().any(|one| one.get("xt").is_some_and(Json::is_null));
    if hidden && !steps.iter().any(|step| matches!(step, Step::Do(_))) {
        steps.push(Step::Do(Action::Unclear));
    }
    let accepts = steps.contains(&Step::Do(Action::Accept));
    let mistaken = expressions.iter().find_map(mistaken_port).filter(|_| accepts);
    Rule {
        name: format!("rule {handle}"),
        text: listing.rules.get(&(table(object), handle)).cloned().unwrap_or_default(),
        steps,
        mistaken_port: mistaken,
    }
}

/// The transport whose port 112 is matched.
fn mistaken_port(expression: &Json) -> Option<&'static str> {
    let found = expression.get("match").filter(|found| text(&found["op"]) == "==")?;
    let left = &found["left"]["payload"];
    let is_port = text(&left["field"]) == "dport";
    let names = ["udp", "tcp"].iter().zip(["UDP", "TCP"]);
    let (_, name) = names.into_iter().find(|(name, _)| text(&left["protocol"]) == **name)?;
    let right = values(&found["right"]);
    (is_port && right.contains(&Value::word("112"))).then_some(name)
}

fn step(expression: &Json) -> Vec<Step> {
    let Some((kind, content)) = expression.as_object().and_then(|all| all.iter().next()) else {
        return vec![Step::If(Condition::unknown())];
    };
    match kind.as_str() {
        "match" => {
            let negated = text(&content["op"]) == "!=";
            let is_equal = negated || ["==", "in"].contains(&text(&content["op"]));
            let (mut steps, field) = looked_at(&content["left"]);
            let field = if is_equal { field } else { Field::Other };
            steps.push(Step::If(Condition { field, negated, values: values(&content["right"]) }));
            steps
        }
        "vmap" => {
            let (mut steps, field) = looked_at(&content["key"]);
            let cases = content["data"]["set"].as_array();
            steps.push(match cases {
                Some(cases) => Step::Select(cases.iter().map(|one| case(field, one)).collect()),
                None => Step::Do(Action::Unclear),
            });
            steps
        }
        // What counts, writes or marks, and lets the packet go on.
        "counter" | "log" | "mangle" | "notrack" | "set" | "map" | "meter" | "flow" | "dup"
        | "ct helper" | "ct timeout" | "ct expectation" | "comment" => Vec::new(),
        "xt" if text(&content["name"]) == "comment" => Vec::new(),
        "xt" if text(&content["type"]) == "target" => {
            target(text(&content["name"])).map(Step::Do).into_iter().collect()
        }
        // Another program's word.
        "queue" | "synproxy" | "tproxy" | "fwd" => vec![Step::Do(Action::Unclear)],
        "snat" | "dnat" | "masquerade" | "redirect" => vec![Step::Do(Action::Accept)],
        // A verdict, or else a condition that is not known here.
        _ => match action(kind, content) {
            Some(action) => vec![Step::Do(action)],
            None => vec![Step::If(Condition::unknown())],
        },
    }
}

fn case(field: Field, case: &Json) -> (Condition, Action) {
    let condition = Condition { field, negated: false, values: values(&case[0]) };
    let verdict = case[1].as_object().and_then(|all| all.iter().next());
    let action = verdict.and_then(|(kind, content)| action(kind, content));
    (condition, action.unwrap_or(Action::Unclear))
}

fn action(kind: &str, content: &Json) -> Option<Action> {
    let target = text(&content["target"]).to_owned();
    Some(match kind {
        "accept" => Action::Accept,
        "drop" | "reject" => Action::Drop,
        "jump" => Action::Jump(target),
        "goto" => Action::Goto(target),
        "return" => Action::Return,
        "continue" => Action::Continue,
        _ => return None,
    })
}

/// The field that the left side of a comparison is, and what has to hold before it is looked at.
fn looked_at(left: &Json) -> (Vec<Step>, Field) {
    if let Some(payload) = left.get("payload") {
        let (needs, field) = header(text(&payload["protocol"]), text(&payload["field"]));
        return (needs.into_iter().map(Step::If).collect(), field);
    }
    if let Some(combined) = ["&", "|", "^", "<<", ">>"].iter().find_map(|sign| left.get(sign)) {
        return (looked_at(&combined[0]).0, Field::Other);
    }
    let field = match (text(&left["meta"]["key"]), text(&left["ct"]["key"])) {
        ("l4proto", _) => Field::Protocol,
        ("nfproto" | "protocol", _) => Field::Family,
        ("iif" | "iifname", _) => Field::ArrivesOn,
        ("oif" | "oifname", _) => Field::LeavesBy,
        ("pkttype", _) => Field::Kind,
        (_, "state") => Field::State,
        _ if left["fib"]["flags"] == serde_json::json!(["daddr"])
            && text(&left["fib"]["result"]) == "type" =>
        {
            Field::Kind
        }
        _ => Field::Other,
    };
    (Vec::new(), field)
}

fn header(protocol: &str, field: &str) -> (Option<Condition>, Field) {
    let needs = match protocol {
        "ip" => Some(Condition::is(Field::Family, "4")),
        "ip6" => Some(Condition::is(Field::Family, "6")),
        "tcp" | "udp" | "udplite" | "sctp" | "dccp" | "icmp" | "icmpv6" | "igmp" | "ah" | "esp"
        | "comp" | "gre" => Some(Condition::is(Field::Protocol, protocol)),
        _ => None,
    };
    let field = match (protocol, field) {
        ("ip", "protocol") | ("ip6", "nexthdr") => Field::Protocol,
        ("ip" | "ip6", "saddr") => Field::Source,
        ("ip" | "ip6", "daddr") => Field::Destination,
        _ => Field::Other,
    };
    (needs, field)
}

fn values(right: &Json) -> Vec<Value> {
    match right {
        Json::Array(all) => all.iter().flat_map(values).collect(),
        Json::Number(number) => vec![Value::Word(number.to_string())],
        Json::String(word) if word.starts_with('@') => vec![Value::Unknown],
        Json::String(word) => vec![match word.as_str() {
            "ipv4" | "ip" => Value::word("4"),
            "ipv6" | "ip6" => Value::word("6"),
            word => Value::word(word),
        }],
        Json::Object(_) if right.get("set").is_some() => values(&right["set"]),
        Json::Object(_) if right.get("elem").is_some() => values(&right["elem"]["val"]),
        Json::Object(_) if right.get("prefix").is_some() => {
            let prefix = &right["prefix"];
            let length = prefix["len"].as_u64().and_then(|length| u8::try_from(length).ok());
            vec![match (text(&prefix["addr"]).parse(), length) {
                (Ok(address), Some(length)) => Value::Prefix(address, length),
                _ => Value::Unknown,
            }]
        }
        Json::Object(_) if right.get("range").is_some() => match &values(&right["range"])[..] {
            [Value::Word(first), Value::Word(last)] => {
                vec![Value::Range(first.clone(), last.clone())]
            }
            _ => vec![Value::Unknown],
        },
        Json::Object(_) | Json::Bool(_) | Json::Null => vec![Value::Unknown],
    }
}
