//! FRR as a node: what a host's keepalived.conf says, in the language of FRR's vrrpd, and the
//! macvlans that vrrpd expects to find.
//!
//! vrrpd makes no interface and moves no address: an operator gives each virtual router a macvlan
//! with its virtual MAC and its addresses, and vrrpd says by `protodown` whether that one speaks.
//! What FRR has no word for is refused here, by the keyword; nothing is left out in silence, save
//! how often addresses are announced (FRR does it once) and what is no VRRP at all: scripts, mail,
//! virtual servers. How the processes are started is in [`crate::node`].

use std::fmt::Write;
use std::net::IpAddr;

use vipd_engine::config::{MULTICAST_GROUP_V4, MULTICAST_GROUP_V6, Tracked, Transport};
use vipd_engine::rules::ChecksumForm;
use vipd_engine::{Config, Family, InstanceConfig, InterfaceName, MacAddress, Version};

use crate::hosts::nodad;

/// Where Debian's package has the daemons.
pub(crate) const FOLDER: &str = "/usr/lib/frr";
/// The factor of `Master_Down_Interval` in every RFC, which FRR does not let anybody change.
const DOWN_ADVERTS: u8 = 3;
/// Longest `advertisement-interval`, in hundredths of a second.
const LONGEST: u16 = 4095;

/// What a configuration is for FRR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Equivalent {
    /// The file of vrrpd.
    pub(crate) text: String,
    /// What must be there before vrrpd is.
    pub(crate) macvlans: Vec<Macvlan>,
}

/// The interface of a virtual router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Macvlan {
    name: String,
    parent: InterfaceName,
    mac: MacAddress,
    family: Family,
    addresses: Vec<(IpAddr, u8)>,
}

/// Says it in FRR's words.
///
/// # Errors
/// What FRR cannot do, with the instance and keepalived's keyword for it.
pub(crate) fn equivalent(config: &Config) -> Result<Equivalent, String> {
    if !config.groups().is_empty() {
        return Err("FRR has no sync groups (`vrrp_sync_group`)".to_string());
    }
    if !config.startup_delay().is_zero() {
        return Err("FRR has no delay at its start (`vrrp_startup_delay`)".to_string());
    }
    let mut text = "log timestamp precision 6\n".to_string();
    let mut macvlans = Vec::new();
    for (place, instance) in config.instances().iter().enumerate() {
        let refused = lacks(instance).or_else(|| differs(instance, &config.instances()[..place]));
        if let Some(reason) = refused {
            return Err(format!("{}: {reason}", instance.name));
        }
        write_instance(instance, &mut text);
        macvlans.push(Macvlan::of(instance, place));
    }
    Ok(Equivalent { text, macvlans })
}

/// What of an instance FRR cannot do.
fn lacks(instance: &InstanceConfig) -> Option<String> {
    let rules = &instance.rules;
    let pseudo_header = matches!(rules.checksum_sent, ChecksumForm::PseudoHeader);
    let v4_v3 = instance.family == Family::Ipv4 && instance.version == Version::V3;
    let held = &instance.addresses;
    let checks = [
        (instance.password.is_some(), "no `authentication`"),
        (instance.priority.get() == 255, "no owner (`priority 255`)"),
        (instance.interval.centiseconds() > LONGEST, "no `advert_int` above 40.95 s"),
        (instance.version == Version::V2 && instance.family == Family::Ipv6, "no v2 for IPv6"),
        (!instance.excluded.is_empty(), "no `virtual_ipaddress_excluded`"),
        (!instance.preempt_delay.is_zero(), "no `preempt_delay`"),
        (instance.down_timer_adverts != DOWN_ADVERTS, "no `down_timer_adverts`"),
        (instance.dead_man.is_some(), "no `dead_man`"),
        (instance.one_way_yield.is_some(), "no `one_way_yield`"),
        (!rules.accept, "no `no_accept` (nor `vrrp_strict`, which turns it on)"),
        (v4_v3 && !pseudo_header, "no `v3_checksum_as_v2`"),
        (held.iter().any(|held| held.interface.is_some()), "no address on another `dev`"),
        (held.iter().any(|held| held.label.is_some()), "no `label`"),
        (held.is_empty(), "no instance without `virtual_ipaddress`"),
        (
            instance.virtual_mac.as_ref().is_some_and(|mac| mac.transmit_from_parent),
            "no `vmac_xmit_base`",
        ),
    ];
    let lacking = checks.into_iter().find_map(|(is_so, what)| is_so.then(|| what.to_string()));
    let lacking = lacking.or_else(|| lacks_transport(&instance.transport).map(str::to_string));
    let tracked = instance.tracks.first().map(|track| match &track.tracked {
        Tracked::Interface(name) => format!("no `track_interface` ({name})"),
        Tracked::Tracker(name) => {
            format!("no `track_script`, `track_file` or `track_process` ({name})")
        }
    });
    lacking.or(tracked).map(|what| format!("FRR has {what}"))
}

fn lacks_transport(transport: &Transport) -> Option<&'static str> {
    let groups = [IpAddr::V4(MULTICAST_GROUP_V4), IpAddr::V6(MULTICAST_GROUP_V6)];
    match transport {
        Transport::Unicast { .. } => Some("no unicast (`unicast_peer`)"),
        Transport::Multicast { source: Some(_), .. } => Some("no `mcast_src_ip`"),
        Transport::Multicast { group, .. } if !groups.contains(group) => {
            Some("no other group (`vrrp_mcast_group4`, `vrrp_mcast_group6`)")
        }
        Transport::Multicast { .. } => None,
    }
}

/// Both families of a VRID are one virtual router for FRR, with one priority.
fn differs(instance: &InstanceConfig, before: &[std::sync::Arc<InstanceConfig>]) -> Option<String> {
    let same = |other: &&std::sync::Arc<InstanceConfig>| {
        other.vrid == instance.vrid && other.interface == instance.interface
    };
    let other = before.iter().find(same)?;
    let terms = |of: &InstanceConfig| (of.version, of.priority, of.interval, of.preempt);
    (terms(other) != terms(instance)).then(|| {
        format!(
            "FRR has one version, `priority`, `advert_int` and `nopreempt` for both families of \
             `virtual_router_id {}`, and {} has others",
            instance.vrid.get(),
            other.name
        )
    })
}

fn write_instance(instance: &InstanceConfig, text: &mut String) {
    let vrid = instance.vrid.get();
    let version = match instance.version {
        Version::V2 => 2,
        Version::V3 => 3,
    };
    let keyword = match instance.family {
        Family::Ipv4 => "ip",
        Family::Ipv6 => "ipv6",
    };
    let _ = writeln!(text, "interface {}", instance.interface);
    let _ = writeln!(text, " vrrp {vrid} version {version}");
    let _ = writeln!(text, " vrrp {vrid} priority {}", instance.priority.get());
    let interval = instance.interval.duration().as_millis();
    let _ = writeln!(text, " vrrp {vrid} advertisement-interval {interval}");
    if !instance.preempt {
        let _ = writeln!(text, " no vrrp {vrid} preempt");
    }
    for held in &instance.addresses {
        let _ = writeln!(text, " vrrp {vrid} {keyword} {}", held.address);
    }
    let _ = writeln!(text, "exit");
}

impl Macvlan {
    /// The virtual router's MAC (RFC 9568 section 7.3), by which vrrpd finds the interface.
    fn of(instance: &InstanceConfig, place: usize) -> Self {
        let held = instance.addresses.iter();
        let named = instance.virtual_mac.as_ref().map(|mac| mac.interface.to_string());
        Self {
            name: named.unwrap_or_else(|| format!("vrrp{place}-{}", instance.vrid.get())),
            parent: instance.interface.clone(),
            mac: MacAddress::virtual_router(instance.family, instance.vrid),
            family: instance.family,
            addresses: held.map(|held| (held.address, held.prefix_len)).collect(),
        }
    }

    /// Lines of `ip` that make it, mute until vrrpd says otherwise.
    pub(crate) fn lines(&self) -> String {
        let Self { name, parent, mac, family, addresses } = self;
        let mut lines = String::new();
        let _ =
            writeln!(lines, "link add {name} link {parent} address {mac} type macvlan mode bridge");
        // vrrpd takes the link-local address of the macvlan for its source; made from the virtual
        // MAC it would be that of every router (RFC 5798 section 7.4).
        let generated = match family {
            Family::Ipv4 => "none",
            Family::Ipv6 => "random",
        };
        let _ = writeln!(lines, "link set {name} addrgenmode {generated}");
        for (address, len) in addresses {
            let _ = writeln!(lines, "address add {address}/{len} dev {name}{}", nodad(*address));
        }
        // The order of FRR's manual: the address that is generated now comes before those above in
        // the kernel's list, and vrrpd takes the first link-local one for its source.
        let _ = writeln!(lines, "link set {name} up");
        lines.push_str(&self.muting());
        lines
    }

    /// Lines of `ip` that make it mute again: one whose vrrpd was killed speaks on.
    pub(crate) fn muting(&self) -> String {
        format!("link set {} protodown on\n", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> std::sync::Arc<Config> {
        let whole = format!(
            "vrrp_instance VI_1 {{\n interface eth0\n virtual_router_id 51\n priority 200\n{text}\n\
             }}\n"
        );
        load(&whole)
    }

    fn load(whole: &str) -> std::sync::Arc<Config> {
        let path = std::env::temp_dir().join(format!("frr-{}", std::process::id()));
        let path = path.with_extension(format!("{:?}.conf", std::thread::current().id()));
        std::fs::write(&path, whole).expect("a folder for temporary files");
        let loaded = vipd_config::load(&path, &vipd_config::Options::default());
        let _ = std::fs::remove_file(&path);
        match loaded {
            Ok(loaded) => loaded.config,
            Err(report) => panic!("{}", report.render(vipd_config::diagnostics::Colour::Never)),
        }
    }

    const ADDRESS: &str = "virtual_ipaddress {\n 10.0.0.100/24\n}";

    #[test]
    fn what_both_know_is_said_in_the_words_of_frr() {
        let config = config(&format!("version 3\nadvert_int 0.1\nnopreempt\n{ADDRESS}"));
        let Equivalent { text, macvlans } = equivalent(&config).expect("nothing is missing");
        assert_eq!(
            text,
            "log timestamp precision 6\ninterface eth0\n vrrp 51 version 3\n \
             vrrp 51 priority 200\n \
             vrrp 51 advertisement-interval 100\n no vrrp 51 preempt\n vrrp 51 ip 10.0.0.100\n\
             exit\n"
        );
        assert_eq!(
            macvlans[0].lines(),
            "link add vrrp0-51 link eth0 address 00:00:5e:00:01:33 type macvlan mode bridge\n\
             link set vrrp0-51 addrgenmode none\naddress add 10.0.0.100/24 dev vrrp0-51\n\
             link set vrrp0-51 up\nlink set vrrp0-51 protodown on\n"
        );
    }

    #[test]
    fn both_families_of_a_vrid_are_two_macvlans_and_must_agree() {
        let instance = |name: &str, priority: u8, address: &str| {
            format!(
                "vrrp_instance {name} {{\n version 3\n interface eth0\n virtual_router_id 7\n \
                 priority {priority}\n virtual_ipaddress {{\n {address}\n }}\n}}\n"
            )
        };
        let four = instance("FOUR", 200, "10.0.0.100");
        let same = load(&(four.clone() + &instance("SIX", 200, "fe80::100")));
        let Equivalent { macvlans, .. } = equivalent(&same).expect("nothing is missing");
        let macs: Vec<_> = macvlans.iter().map(|macvlan| macvlan.mac.to_string()).collect();
        assert_eq!(macs, ["00:00:5e:00:01:07", "00:00:5e:00:02:07"]);
        let other = load(&(four + &instance("SIX", 150, "fe80::100")));
        let refused = equivalent(&other).expect_err("one virtual router has one priority");
        assert!(refused.starts_with("SIX: ") && refused.ends_with("FOUR has others"), "{refused}");
    }

    #[test]
    fn what_frr_cannot_do_is_refused_by_its_keyword() {
        for (text, keyword) in [
            ("authentication {\n auth_type PASS\n auth_pass 1111\n}", "`authentication`"),
            ("unicast_peer {\n 10.0.0.2\n}", "`unicast_peer`"),
            ("mcast_src_ip 10.0.0.9", "`mcast_src_ip`"),
            ("advert_int 41", "`advert_int`"),
            ("virtual_ipaddress_excluded {\n 10.0.0.101\n}", "`virtual_ipaddress_excluded`"),
            ("preempt_delay 5", "`preempt_delay`"),
            ("one_way_yield 60", "`one_way_yield`"),
            ("down_timer_adverts 2", "`down_timer_adverts`"),
            ("no_accept", "`no_accept`"),
            ("version 3\nv3_checksum_as_v2", "`v3_checksum_as_v2`"),
            ("track_interface {\n eth1 weight 10\n}", "`track_interface` (eth1)"),
            ("priority 255", "`priority 255`"),
        ] {
            let refused = equivalent(&config(&format!("{text}\n{ADDRESS}")));
            let refused = refused.expect_err(keyword);
            assert!(refused.starts_with("VI_1: FRR has no"), "{refused}");
            assert!(refused.contains(keyword), "{keyword}: {refused}");
        }
    }
}
