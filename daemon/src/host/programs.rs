//! What programs of this machine print of its packet filters. They are asked, and change nothing.

use std::io::ErrorKind;
use std::process::Command;

use vipd_engine::Family;

use super::firewall::{self, Ruleset};

/// The rules of nftables and of iptables, and what could not be looked at and why.
pub fn rulesets(families: &[Family]) -> (Vec<Ruleset>, Vec<String>) {
    let (mut rulesets, mut unseen) = (Vec::new(), Vec::new());
    let nft = output("nft", &["-j", "list", "ruleset"]);
    match nft {
        Ok(Some(json)) => {
            // Without the texts, rules are named by their handles.
            let listing = output("nft", &["-a", "list", "ruleset"]).ok().flatten();
            match firewall::of_nft(&json, &listing.unwrap_or_default()) {
                Ok(ruleset) => rulesets.push(ruleset),
                Err(error) => unseen.push(format!("nft prints what cannot be read: {error}")),
            }
        }
        Ok(None) => unseen.push("there is no program nft (Debian package nftables)".to_owned()),
        Err(error) => unseen.push(error),
    }
    for family in families {
        let program = match family {
            Family::Ipv4 => "iptables-save",
            Family::Ipv6 => "ip6tables-save",
        };
        match output(program, &[]) {
            Ok(Some(saved)) => {
                let again = firewall::tables_of_nft(&saved, *family);
                for Ruleset { chains } in &mut rulesets {
                    chains.retain(|chain| !again.contains(&chain.table));
                }
                rulesets.push(firewall::of_iptables(&saved, *family));
            }
            // Where the program is not there, its rules are hardly.
            Ok(None) => {}
            Err(error) => unseen.push(error),
        }
    }
    (rulesets, unseen)
}

/// What a program prints; `None` if there is no such program.
fn output(program: &str, arguments: &[&str]) -> Result<Option<String>, String> {
    match Command::new(program).args(arguments).output() {
        Ok(output) if output.status.success() => {
            Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned()))
        }
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let first = said.lines().next().unwrap_or_default().trim();
            Err(format!("{program} ended with {}: {first}", output.status))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("cannot run {program}: {error}")),
    }
}
