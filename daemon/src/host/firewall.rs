//! Whether a packet filter keeps adverts away: rules are followed for the adverts that the file's
//! virtual routers send and hear, and for nothing else.
//!
//! Pure: [`super::programs`] has asked for the rules. What cannot be decided is told, not guessed.

mod legacy;
mod model;
mod nft;
#[cfg(test)]
mod tests;
mod walk;

use std::collections::{BTreeMap, BTreeSet};

use vipd_config::Places;
use vipd_config::diagnostics::{Diagnostic, Diagnostics};
use vipd_engine::config::{Config, InstanceConfig, Transport};

pub use legacy::{ruleset as of_iptables, tables_of_nft};
pub use model::{Ruleset, is_within};
pub use nft::ruleset as of_nft;

use model::{Chain, Direction, Packet, Rule};
use walk::{End, Undecided, Walk};

/// What was found of a chain, or of a rule of it: once for all instances of an interface.
type Found = BTreeMap<String, Diagnostic>;

/// Says which rules drop adverts of this configuration, and which of them may.
pub fn judge(rulesets: &[Ruleset], config: &Config, places: &Places) -> Diagnostics {
    let (mut found, mut followed) = (Found::new(), BTreeSet::new());
    for instance in config.instances() {
        let at = places.of_instance(&instance.name, "interface");
        let mut tell = |key: String, diagnostic: Diagnostic| {
            let placed = match at {
                Some(at) => diagnostic.at(at),
                None => diagnostic,
            };
            found.entry(format!("{key}/{}", instance.interface)).or_insert(placed);
        };
        for packet in packets(instance) {
            // Virtual routers of one interface send and hear alike.
            if !followed.insert(packet.clone()) {
                continue;
            }
            for ruleset in rulesets {
                for chain in &ruleset.chains {
                    let mut walk = Walk::new(ruleset, &packet);
                    if sees(chain, &packet) {
                        let end = walk.through(chain);
                        verdict(chain, &packet, end, &walk.undecided, &mut tell);
                    }
                }
            }
        }
    }
    mistaken_ports(rulesets, &mut found);
    let mut all = Diagnostics::default();
    for diagnostic in found.into_values() {
        all.push(diagnostic);
    }
    all
}

/// The adverts that an instance hears, and those that it sends.
fn packets(instance: &InstanceConfig) -> Vec<Packet> {
    let macvlan = instance.virtual_mac.iter().map(|virtual_mac| &virtual_mac.interface);
    let names = [&instance.interface].into_iter().chain(macvlan);
    let interfaces: Vec<_> = names.map(|name| name.as_str().to_owned()).collect();
    let packet = |direction, source, destination| Packet {
        family: instance.family,
        direction,
        source,
        destination,
        interfaces: interfaces.clone(),
    };
    let own = instance.source();
    match &instance.transport {
        Transport::Multicast { group, .. } => vec![
            packet(Direction::Arriving, None, Some(*group)),
            packet(Direction::Leaving, own, Some(*group)),
        ],
        Transport::Unicast { peers, .. } => {
            let both = peers.iter().map(|peer| Some(peer.address)).flat_map(|peer| {
                [packet(Direction::Arriving, peer, own), packet(Direction::Leaving, own, peer)]
            });
            both.collect()
        }
    }
}

fn sees(chain: &Chain, packet: &Packet) -> bool {
    chain.hook.as_ref().is_some_and(|hook| {
        let on = &hook.devices;
        hook.direction == packet.direction
            && chain.family.is_none_or(|family| family == packet.family)
            && (on.is_empty() || packet.interfaces.iter().any(|name| on.contains(name)))
    })
}

fn verdict(
    chain: &Chain,
    packet: &Packet,
    end: End<'_>,
    undecided: &[Undecided<'_>],
    tell: &mut impl FnMut(String, Diagnostic),
) {
    let policy = chain.hook.as_ref().is_some_and(|hook| hook.drops);
    let (by, key) = match end {
        End::Dropped(chain, rule) => (named(chain, rule), rule.name.as_str()),
        End::Over if policy => (format!("the policy of {}", title(chain)), "policy"),
        End::Accepted | End::Over => return may_be_dropped(chain, packet, undecided, tell),
    };
    let way_out = format!("accept IP protocol 112, before any other rule: `{}`", chain.way_out);
    let key = format!("{}/{}/{key}/{:?}", chain.table, chain.name, packet.direction);
    let what = adverts(packet);
    let Some(unless) = undecided.iter().find(|one| one.accepts) else {
        let message = format!("{what} are dropped by {by}");
        let error = Diagnostic::error("firewall-drops", message).label(consequence(packet));
        return tell(key, error.help(way_out));
    };
    let rule = named(unless.chain, unless.rule);
    let message =
        format!("{what} are dropped by {by}, unless {rule} applies, which is not decided here");
    // Whoever wrote a rule for VRRP has thought of it.
    let found = if unless.is_meant { Diagnostic::note } else { Diagnostic::warning };
    let found = found("firewall-undecided", message).label(consequence(packet));
    tell(key, found.help(way_out));
}

fn may_be_dropped(
    chain: &Chain,
    packet: &Packet,
    undecided: &[Undecided<'_>],
    tell: &mut impl FnMut(String, Diagnostic),
) {
    for one in undecided.iter().filter(|one| one.drops) {
        let rule = named(one.chain, one.rule);
        let message =
            format!("{} are dropped if {rule} applies, which is not decided here", adverts(packet));
        let note = Diagnostic::note("firewall-undecided", message);
        let key =
            format!("{}/{}/{}/{:?}?", chain.table, chain.name, one.rule.name, packet.direction);
        tell(key, note.help(format!("if it does: `{}`", chain.way_out)));
    }
}

/// The protocol's number, taken for a port.
fn mistaken_ports(rulesets: &[Ruleset], found: &mut Found) {
    for chain in rulesets.iter().flat_map(|ruleset| &ruleset.chains) {
        for rule in &chain.rules {
            let Some(transport) = rule.mistaken_port else { continue };
            let message = format!(
                "VRRP is IP protocol 112, {} lets {transport} port 112 through",
                named(chain, rule)
            );
            let warning = Diagnostic::warning("firewall-port", message);
            let warning = warning.help(format!("write instead: `{}`", chain.way_out));
            let key = format!("{}/{}/{}/port", chain.table, chain.name, rule.name);
            found.insert(key, warning);
        }
    }
}

fn adverts(packet: &Packet) -> String {
    let interface = packet.interfaces.first().map(String::as_str).unwrap_or_default();
    match (packet.direction, packet.source, packet.destination) {
        (Direction::Arriving, Some(peer), _) => format!("adverts of {peer} to {interface}"),
        (Direction::Arriving, None, _) => format!("adverts that arrive on {interface}"),
        (Direction::Leaving, _, Some(to)) if !to.is_multicast() => {
            format!("adverts to {to} by {interface}")
        }
        (Direction::Leaving, ..) => format!("adverts that leave by {interface}"),
    }
}

const fn consequence(packet: &Packet) -> &'static str {
    match packet.direction {
        Direction::Arriving => "it hears no master, and becomes one itself",
        Direction::Leaving => "nobody hears it, and another one is master as well",
    }
}

fn title(chain: &Chain) -> String {
    format!("chain {} of table {}", chain.name, chain.table)
}

fn named(chain: &Chain, rule: &Rule) -> String {
    if rule.text.is_empty() {
        format!("{} of {}", rule.name, title(chain))
    } else {
        format!("{} of {} (`{}`)", rule.name, title(chain), rule.text)
    }
}
