//! The table of a gate as text for `nft`: at the ingress of each interface that has one of its
//! addresses, before anything else reads a frame, what asks for the address or is sent to it is
//! dropped unless the set has its EtherType. It leaves everything else alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv6Addr};

use vipd_engine::{InstanceId, InterfaceName};

use super::codec::SET;

/// What the names of our tables begin with.
pub const PREFIX: &str = "vipd_gate_";

/// The addresses behind a gate, by the interface whose frames pass it.
pub type Places = BTreeMap<InterfaceName, BTreeSet<IpAddr>>;

/// The name of an instance's table.
#[must_use]
pub fn table(instance: InstanceId) -> String {
    format!("{PREFIX}{}", instance.0)
}

/// Writes it in one transaction. `was`: the interfaces of the table as this process wrote it, whose
/// lease goes on; `None`: whatever is there goes, with its lease.
pub fn put(table: &str, was: Option<&Places>, places: &Places) -> String {
    let mut text = was.map_or_else(|| removal(table), |_| String::new());
    for interface in was.into_iter().flat_map(Places::keys) {
        let chain = chain(interface);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "flush chain netdev {table} {chain}");
        let _ = writeln!(text, "delete chain netdev {table} {chain}");
    }
    let _ = writeln!(text, "table netdev {table} {{");
    let _ = writeln!(text, "  set {SET} {{\n    type ether_type\n    flags timeout\n  }}");
    for (interface, addresses) in places {
        let _ = writeln!(text, "  chain {} {{", chain(interface));
        let hook = format!("type filter hook ingress device \"{interface}\" priority -300");
        let _ = writeln!(text, "    {hook}; policy accept;");
        for rule in rules(addresses) {
            let _ = writeln!(text, "    {rule} meta protocol != @{SET} drop");
        }
        text.push_str("  }\n");
    }
    text.push_str("}\n");
    text
}

/// Removes it, also if it is not there: it is made before.
pub fn removal(table: &str) -> String {
    format!("table netdev {table}\ndelete table netdev {table}\n")
}

/// What a frame is that the addresses need a lease for. A few rules for each interface, because
/// every frame passes all of them; but nft takes no set of what a neighbour solicitation asks for
/// (RFC 4861 section 4.3: 8 octets behind the begin of the message).
fn rules(addresses: &BTreeSet<IpAddr>) -> Vec<String> {
    let (mut v4, mut v6, mut asked) = (Vec::new(), Vec::new(), Vec::new());
    for address in addresses {
        match address {
            IpAddr::V4(address) => v4.push(address.to_string()),
            IpAddr::V6(address) => {
                v6.push(address.to_string());
                let target = Ipv6Addr::to_bits(*address);
                asked.push(format!("icmpv6 type nd-neighbor-solicit @th,64,128 0x{target:032x}"));
            }
        }
    }
    let mut rules = Vec::new();
    if !v4.is_empty() {
        let set = v4.join(", ");
        rules.push(format!("arp daddr ip {{ {set} }}"));
        rules.push(format!("ip daddr {{ {set} }}"));
    }
    if !v6.is_empty() {
        rules.push(format!("ip6 daddr {{ {} }}", v6.join(", ")));
        rules.extend(asked);
    }
    rules
}

/// Of a name only letters, digits and `_` are sure to be read back: of everything else the octets
/// are written.
fn chain(interface: &InterfaceName) -> String {
    let mut chain = String::from("in_");
    for octet in interface.as_str().bytes() {
        if octet.is_ascii_alphanumeric() || octet == b'_' {
            chain.push(char::from(octet));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(chain, ".{octet:02x}");
        }
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(all: &[(&str, &[&str])]) -> Places {
        let addresses = |all: &[&str]| all.iter().map(|one| one.parse().unwrap()).collect();
        all.iter().map(|(name, all)| (InterfaceName::new(name), addresses(all))).collect()
    }

    #[test]
    fn each_interface_has_a_chain_with_the_rules_of_its_families() {
        let places = places(&[("eth0", &["192.0.2.9", "192.0.2.10"]), ("lan.5", &["2001:db8::9"])]);
        assert_eq!(
            put(&table(InstanceId(7)), None, &places),
            "table netdev vipd_gate_7
delete table netdev vipd_gate_7
table netdev vipd_gate_7 {
  set lease {
    type ether_type
    flags timeout
  }
  chain in_eth0 {
    type filter hook ingress device \"eth0\" priority -300; policy accept;
    arp daddr ip { 192.0.2.9, 192.0.2.10 } meta protocol != @lease drop
    ip daddr { 192.0.2.9, 192.0.2.10 } meta protocol != @lease drop
  }
  chain in_lan.2e5 {
    type filter hook ingress device \"lan.5\" priority -300; policy accept;
    ip6 daddr { 2001:db8::9 } meta protocol != @lease drop
    icmpv6 type nd-neighbor-solicit @th,64,128 0x20010db8000000000000000000000009 \
meta protocol != @lease drop
  }
}
"
        );
    }

    #[test]
    fn a_table_that_we_wrote_keeps_its_set_and_gets_other_chains() {
        let (was, is) = (places(&[("eth0", &["192.0.2.9"])]), places(&[("eth1", &["192.0.2.9"])]));
        let text = put("t", Some(&was), &is);
        assert!(!text.contains("delete table"), "{text}");
        assert!(text.contains("delete chain netdev t in_eth0\n"), "{text}");
        assert!(text.contains("chain in_eth1 {"), "{text}");
    }

    #[test]
    fn two_interfaces_never_share_a_chain() {
        let names = ["eth0", "eth.0", "eth-0", "eth.2e0", "eth 0", "ü0"];
        let chains: BTreeSet<_> = names.map(|name| chain(&InterfaceName::new(name))).into();
        assert_eq!(chains.len(), names.len());
        let plain = |one: &String| {
            one.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"._".contains(&octet))
        };
        assert!(chains.iter().all(plain), "{chains:?}");
    }
}
