//! Rules of iptables, from what `iptables-save` prints (iptables-extensions(8)). Those that nft has
//! as well are left to `nft`.

use vipd_engine::Family;

use super::model::{Action, Chain, Condition, Direction, Field, Hook, Rule, Ruleset, Step, Value};

/// Modules of conditions that stand in options of their own, or that are none.
const PLAIN: [&str; 6] = ["tcp", "udp", "comment", "conntrack", "state", "multiport"];
/// Targets behind which a packet goes on.
const PASSING: [&str; 8] =
    ["LOG", "NFLOG", "MARK", "CONNMARK", "TCPMSS", "CHECKSUM", "CT", "NOTRACK"];

/// What has ports.
const TRANSPORTS: [(&str, &str); 2] = [("udp", "UDP"), ("tcp", "TCP")];

/// `None`: it is the program that writes into nftables.
pub fn ruleset(saved: &str, family: Family) -> Option<Ruleset> {
    if saved.lines().any(|line| line.starts_with('#') && line.contains("(nf_tables)")) {
        return None;
    }
    let program = match family {
        Family::Ipv4 => "iptables",
        Family::Ipv6 => "ip6tables",
    };
    let (mut ruleset, mut table) = (Ruleset::default(), String::new());
    for line in saved.lines() {
        if let Some(name) = line.strip_prefix('*') {
            table = format!("{name} of {program}");
        } else if let Some(head) = line.strip_prefix(':') {
            ruleset.chains.push(chain(head, &table, program, family));
        } else if let Some(rest) = line.strip_prefix("-A ") {
            let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            let names: Vec<_> = ruleset.chains.iter().map(|chain| chain.name.clone()).collect();
            let mut chains = ruleset.chains.iter_mut();
            if let Some(chain) = chains.find(|one| one.table == table && one.name == name) {
                let number = chain.rules.len() + 1;
                chain.rules.push(rule(rest, number, line, &names));
            }
        }
    }
    Some(ruleset)
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

fn rule(options: &str, number: usize, text: &str, chains: &[String]) -> Rule {
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
                steps.extend(target(word, at.next().unwrap_or_default(), chains).map(Step::Do));
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

fn target(option: &str, name: &str, chains: &[String]) -> Option<Action> {
    match name {
        "ACCEPT" => Some(Action::Accept),
        "DROP" | "REJECT" => Some(Action::Drop),
        "RETURN" => Some(Action::Return),
        _ if PASSING.contains(&name) => None,
        _ if !chains.iter().any(|chain| chain == name) => Some(Action::Unclear),
        _ if option == "-g" => Some(Action::Goto(name.to_owned())),
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
