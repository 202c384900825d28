//! Rules of iptables, old and as it writes them into nftables, from what `iptables-save` prints
//! (iptables-extensions(8)).

use std::collections::BTreeMap;

use vipd_engine::Family;

use super::model::{
    Action, Chain, Condition, Direction, Field, Hook, Rule, Ruleset, Step, Value, target,
};

/// Modules of conditions that stand in options of their own, or that are none.
const PLAIN: [&str; 8] =
    ["tcp", "udp", "comment", "conntrack", "state", "multiport", "addrtype", "pkttype"];
/// What has ports.
const TRANSPORTS: [(&str, &str); 2] = [("udp", "UDP"), ("tcp", "TCP")];

/// The tables of nftables that this is another view of: it says more of their rules than nft does.
pub fn tables_of_nft(saved: &str, family: Family) -> Vec<String> {
    if !saved.lines().any(|line| line.starts_with('#') && line.contains("(nf_tables)")) {
        return Vec::new();
    }
    let of = match family {
        Family::Ipv4 => "ip",
        Family::Ipv6 => "ip6",
    };
    let tables = saved.lines().filter_map(|line| line.strip_prefix('*'));
    tables.map(|table| format!("{of} {table}")).collect()
}

/// Reads it.
pub fn ruleset(saved: &str, family: Family) -> Ruleset {
    let program = match family {
        Family::Ipv4 => "iptables",
        Family::Ipv6 => "ip6tables",
    };
    let (mut ruleset, mut table, mut places) = (Ruleset::default(), "", BTreeMap::new());
    let named = |table| format!("{table} of {program}");
    for line in saved.lines() {
        if let Some(name) = line.strip_prefix('*') {
            table = name;
        } else if let Some(head) = line.strip_prefix(':') {
            let chain = chain(head, &named(table), program, family);
            places.insert((table, chain.name.clone()), ruleset.chains.len());
            ruleset.chains.push(chain);
        } else if let Some(rest) = line.strip_prefix("-A ") {
            let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            let place = |name: &str| places.get(&(table, name.to_owned()));
            if let Some(chain) = place(name).and_then(|place| ruleset.chains.get_mut(*place)) {
                let number = chain.rules.len() + 1;
                chain.rules.push(rule(rest, number, line, &|name| place(name).is_some()));
            }
        }
    }
    ruleset
}

fn chain(head: &str, table: &str, program: &str, family: Family) -> Chain {
    let mut words = head.split(' ');
    let (name, policy) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let direction = match name {
        "PREROUTING" | "INPUT" => Some(Direction::Arriving),
        "OUTPUT" | "POSTROUTING" => Some(Direction::Leaving),
        _ => None,
    };
    let drops = policy == "DROP";
    let of_table = table.split(' ').next().unwrap_or_default();
    Chain {
        table: table.to_owned(),
        family: Some(family),
        name: name.to_owned(),
        hook: direction.map(|direction| Hook { direction, devices: Vec::new(), drops }),
        rules: Vec::new(),
        way_out: format!("{program} -t {of_table} -I {name} -p 112 -j ACCEPT"),
    }
}

fn rule(options: &str, number: usize, text: &str, is_chain: &dyn Fn(&str) -> bool) -> Rule {
    let words = words(options);
    let (mut steps, mut negated, mut transport) = (Vec::new(), false, None);
    let mut mistaken_port = None;
    let mut at = words.iter().map(String::as_str);
    while let Some(word) = at.next() {
        let condition = match word {
            "!" => {
                negated = true;
                continue;
            }
            "-p" => {
                let protocol = at.next().unwrap_or_default();
                transport = TRANSPORTS.iter().find(|(name, _)| *name == protocol);
                Some((Field::Protocol, vec![Value::word(protocol)]))
            }
            "-s" => Some((Field::Source, vec![network(at.next())])),
            "-d" => Some((Field::Destination, vec![network(at.next())])),
            "-i" => Some((Field::ArrivesOn, vec![interface(at.next())])),
            "-o" => Some((Field::LeavesBy, vec![interface(at.next())])),
            "--ctstate" | "--state" => {
                let states = at.next().unwrap_or_default().to_lowercase();
                Some((Field::State, states.split(',').map(Value::word).collect()))
            }
            "--dst-type" | "--pkt-type" => {
                Some((Field::Kind, vec![Value::Word(at.next().unwrap_or_default().to_lowercase())]))
            }
            "-m" => {
                let is_plain = at.next().is_some_and(|module| PLAIN.contains(&module));
                (!is_plain).then_some((Field::Other, Vec::new()))
            }
            "--comment" => {
                at.next();
                None
            }
            "--dport" | "--dports" => {
                let is_112 = at.next().unwrap_or_default().split(',').any(|port| port == "112");
                mistaken_port = transport.filter(|_| is_112 && !negated).map(|(_, name)| *name);
                Some((Field::Other, Vec::new()))
            }
            "-j" | "-g" => {
                // What follows are options of the target.
                steps.extend(action(word, at.next().unwrap_or_default(), is_chain).map(Step::Do));
                break;
            }
            // Else it is a value of an option that is not known.
            _ => word.starts_with('-').then_some((Field::Other, Vec::new())),
        };
        let condition = condition.map(|(field, values)| Condition { field, negated, values });
        steps.extend(condition.map(Step::If));
        negated = false;
    }
    let accepts = steps.contains(&Step::Do(Action::Accept));
    Rule {
        name: format!("rule {number}"),
        text: text.to_owned(),
        steps,
        mistaken_port: mistaken_port.filter(|_| accepts),
    }
}

fn action(option: &str, name: &str, is_chain: &dyn Fn(&str) -> bool) -> Option<Action> {
    match option {
        _ if !is_chain(name) => target(name),
        "-g" => Some(Action::Goto(name.to_owned())),
        _ => Some(Action::Jump(name.to_owned())),
    }
}

/// Words, of which a quoted one may have blanks in it.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut quoted) = (vec![String::new()], false);
    for letter in text.chars() {
        match letter {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            _ => words.last_mut().expect("there is one").push(letter),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn network(word: Option<&str>) -> Value {
    let (address, length) = word.and_then(|word| word.split_once('/')).unwrap_or_default();
    match (address.parse(), length.parse()) {
        (Ok(address), Ok(length)) => Value::Prefix(address, length),
        _ => Value::Unknown,
    }
}

fn interface(word: Option<&str>) -> Value {
    Value::Word(word.unwrap_or_default().replace('+', "*"))
}
