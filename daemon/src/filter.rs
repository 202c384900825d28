//! Accept mode off: packets to a virtual address are dropped, ARP and ND spared (RFC 9568 section
//! 6.4.3). An nftables table of our own, written by the program `nft`.
//!
//! The whole table is written each time in one transaction, and it is gone with the last address.
//! What a killed run left is removed at the start: it would drop packets that are accepted now.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io;
use std::net::IpAddr;
use std::process::{ExitStatus, Stdio};

use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::sync::mpsc;
use tracing::{info, warn};
use vipd_engine::{CommandId, EffectError};

use crate::tables::{INET, Table};

/// Where an answer goes.
pub trait Answer: Fn(CommandId, Result<(), EffectError>) + Send + 'static {}
impl<F: Fn(CommandId, Result<(), EffectError>) + Send + 'static> Answer for F {}

struct Change {
    id: CommandId,
    address: IpAddr,
    drop: bool,
}

/// The name of our table.
const NAME: &str = "vipd";

/// Changes that one run of `nft` writes. Hundreds of instances that become master together would
/// otherwise wait for as many runs, and their addresses with them.
const AT_ONCE: usize = 1024;

/// The filter, worked on in the order of its changes; those that wait are written together.
pub struct Filter {
    changes: mpsc::UnboundedSender<Change>,
}

impl Filter {
    /// Starts it, in front of these tables. Must be called inside a runtime.
    pub fn start(present: &[Table], answer: impl Answer) -> Self {
        let (changes, mut due) = mpsc::unbounded_channel();
        let is_left = present.iter().any(|table| table.family == INET && table.name == NAME);
        tokio::spawn(async move {
            let mut dropped = BTreeSet::new();
            if is_left {
                info!("filter: left by an earlier process, removed");
                // What is wrong was told.
                let _ = write(&dropped).await;
            }
            let mut waiting = Vec::new();
            while due.recv_many(&mut waiting, AT_ONCE).await > 0 {
                let mut wanted = dropped.clone();
                for Change { address, drop, .. } in &waiting {
                    if *drop {
                        wanted.insert(*address)
                    } else {
                        wanted.remove(address)
                    };
                }
                let result = write(&wanted).await;
                if result.is_ok() {
                    dropped = wanted;
                }
                for Change { id, .. } in waiting.drain(..) {
                    answer(id, result);
                }
            }
        });
        Self { changes }
    }

    /// Packets to this address are dropped from now on.
    pub fn add(&self, id: CommandId, address: IpAddr) {
        // The worker ends with the runtime only, and then nobody waits for an answer.
        let _ = self.changes.send(Change { id, address, drop: true });
    }

    /// They are not any more.
    pub fn remove(&self, id: CommandId, address: IpAddr) {
        let _ = self.changes.send(Change { id, address, drop: false });
    }
}

async fn write(dropped: &BTreeSet<IpAddr>) -> Result<(), EffectError> {
    match nft(&ruleset(dropped)).await {
        Ok((status, _)) if status.success() => {
            info!("filter: packets to {} addresses are dropped", dropped.len());
            Ok(())
        }
        Ok((status, said)) => {
            warn!("filter: nft ended with {status}: {}", said.trim());
            Err(EffectError::Refused)
        }
        Err(error) => {
            warn!("filter: cannot run nft (Debian package nftables): {error}");
            Err(EffectError::Refused)
        }
    }
}

/// Lets `nft` read this.
pub async fn nft(ruleset: &str) -> io::Result<(ExitStatus, String)> {
    let mut command = Command::new("nft");
    command.args(["-f", "-"]).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut running = command.spawn()?;
    if let Some(mut input) = running.stdin.take() {
        input.write_all(ruleset.as_bytes()).await?;
    }
    let ended = running.wait_with_output().await?;
    Ok((ended.status, String::from_utf8_lossy(&ended.stderr).into_owned()))
}

/// The whole table. It is made before it is removed, since removing what is not there is an error.
/// ARP does not pass this hook at all.
fn ruleset(dropped: &BTreeSet<IpAddr>) -> String {
    let mut text = String::from("table inet vipd\ndelete table inet vipd\n");
    if dropped.is_empty() {
        return text;
    }
    text.push_str("table inet vipd {\n  chain input {\n");
    text.push_str("    type filter hook input priority filter; policy accept;\n");
    text.push_str("    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept\n");
    for address in dropped {
        let family = if address.is_ipv4() { "ip" } else { "ip6" };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "    {family} daddr {address} drop");
    }
    text.push_str("  }\n}\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_drops_the_addresses_spares_neighbour_discovery_and_is_gone_without_any() {
        let addresses = ["10.0.0.9", "2001:db8::9"].map(|one| one.parse().expect("an address"));
        let text = ruleset(&BTreeSet::from(addresses));
        let rules: Vec<_> = text.lines().map(str::trim).filter(|line| line.contains('.')).collect();
        assert_eq!(rules, ["ip daddr 10.0.0.9 drop"]);
        let spared = text.find("nd-neighbor-solicit").expect("a rule");
        assert!(spared < text.find("ip6 daddr 2001:db8::9 drop").expect("a rule"));
        let none = ruleset(&BTreeSet::new());
        assert_eq!(none, "table inet vipd\ndelete table inet vipd\n");
    }
}
