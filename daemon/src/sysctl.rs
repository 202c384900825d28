//! Settings of interfaces that only /proc has.

use std::fs;
use std::path::PathBuf;

use tracing::warn;
use vipd_engine::InterfaceName;

/// A virtual address on a macvlan must be answered for with the macvlan's MAC. Linux answers on any
/// interface for any address that the machine has (`arp_ignore` 0), so the parent would give away
/// its own MAC. The source of what arrives on a macvlan is not looked for behind it (`rp_filter`),
/// and it makes no address of its own: its MAC is another router's too. When the parent asks for a
/// host that spoke to the virtual address, it asks by an address of its own (`arp_announce`): by
/// the virtual one it would bind that to its own MAC (RFC 9568 section 8.1.2).
///
/// The parent's settings stay when the macvlan goes: nobody can tell whether another one needs it.
pub fn answer_for_own_addresses_only(macvlan: &InterfaceName, parent: &InterfaceName) {
    set("ipv4", macvlan, "arp_ignore", "1");
    set("ipv4", macvlan, "rp_filter", "0");
    set("ipv4", parent, "arp_ignore", "1");
    set("ipv4", parent, "arp_announce", "2");
    set("ipv6", macvlan, "addr_gen_mode", "1");
}

fn set(family: &str, interface: &InterfaceName, key: &str, value: &str) {
    let path: PathBuf = ["/proc/sys/net", family, "conf", interface.as_str(), key].iter().collect();
    let is_set = fs::read_to_string(&path).is_ok_and(|now| now.trim() == value);
    if let Err(error) = if is_set { Ok(()) } else { fs::write(&path, value) } {
        warn!("cannot write {value} to {}: {error}", path.display());
    }
}
