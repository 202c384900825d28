//! Rows: `vrrp_instance`, the blocks inside it, and `vrrp_sync_group`.

use serde_json::{Value, json};
use vipd_engine::config::{GroupConfig, Transport};
use vipd_engine::rules::{ChecksumForm, LowerPriorityRule, OwnerRule};

use super::Effect::{Aside, Kernel, Mastership};
use super::Standing::{ActedOn, NoEffect, NotBuilt};
use super::{Effect, Keyword, Place, Show, Since, Standing};
use crate::meaning::{
    Draft, Instance, Line, group, instance, mail, notify, seconds, shared, show_addresses,
    show_fib, show_peers, show_tracks,
};
use crate::notify::NotifyScripts;

type Reader = fn(&mut Draft, &mut Line<'_>);

const fn row(
    name: &'static str,
    arguments: &'static str,
    default: &'static str,
    read: Reader,
) -> Keyword {
    Keyword::new(Place::VrrpInstance, name, arguments, default, ActedOn).reads(read)
}

const fn acted(
    name: &'static str,
    arguments: &'static str,
    default: &'static str,
    read: Reader,
    show: fn(&Instance) -> Value,
) -> Keyword {
    row(name, arguments, default, read).shows(Show::Instance(show))
}

const fn notified(name: &'static str, read: Reader, show: fn(&Instance) -> Value) -> Keyword {
    acted(name, "COMMAND [USER [GROUP]]", "none", read, show)
}

const fn unbuilt(name: &'static str, arguments: &'static str, effect: Effect) -> Keyword {
    Keyword::new(Place::VrrpInstance, name, arguments, "", NotBuilt(effect))
}

const fn useless(name: &'static str, arguments: &'static str, why: &'static str) -> Keyword {
    Keyword::new(Place::VrrpInstance, name, arguments, "", NoEffect).deprecated(why)
}

pub(super) const VRRP_INSTANCE: &[Keyword] = &[
    acted("interface", "IF", "", instance::interface, |i| json!(i.config.interface.as_str())),
    acted("virtual_router_id", "1..255", "", instance::vrid, |i| json!(i.config.vrid.get())),
    acted("priority", "1..255", "100; 255 with `state MASTER`", instance::priority, |i| {
        json!(i.config.priority.get())
    }),
    acted("state", "MASTER|BACKUP", "BACKUP", instance::state, |i| json!(i.state.name())),
    acted("advert_int", "SECONDS", "1", instance::advert_int, |i| {
        seconds(i.config.interval.duration())
    }),
    acted("virtual_ipaddress", "{ ADDRESS[/LENGTH] ... }", "none", instance::addresses, |i| {
        show_addresses(&i.config.addresses)
    })
    .lists(Some(Place::AddressLine)),
    acted(
        "virtual_ipaddress_excluded",
        "{ ADDRESS[/LENGTH] ... }",
        "none",
        instance::excluded,
        |i| show_addresses(&i.config.excluded),
    )
    .lists(Some(Place::AddressLine)),
    acted("no_virtual_ipaddress", "", "off", instance::no_address, |i| json!(i.no_address))
        .since(Since::After2_2_7),
    row("authentication", "{ ... }", "", instance::authentication).opens(Place::Authentication),
    unbuilt("auth_hmac", "{ ... }", Mastership).opens(Place::AuthHmac).since(Since::V2_4_0),
    acted("track_script", "{ SCRIPT ... }", "none", instance::track_script, |i| {
        show_tracks(&i.config.tracks, false)
    })
    .lists(Some(Place::TrackLine)),
    row("track_file", "{ FILE ... }", "none", instance::track_file)
        .lists(Some(Place::TrackLine))
        .sets("track_script"),
    row("track_process", "{ PROCESS ... }", "none", instance::track_process)
        .lists(Some(Place::TrackLine))
        .sets("track_script"),
    acted("track_interface", "{ IF ... }", "none", instance::track_interface, |i| {
        show_tracks(&i.config.tracks, true)
    })
    .lists(Some(Place::TrackLine)),
    unbuilt("track_bfd", "{ BFD }", Mastership).lists(None),
    acted("unicast_src_ip", "ADDRESS", "the interface's", instance::unicast_src_ip, |i| {
        json!(i.config.source())
    }),
    row("mcast_src_ip", "ADDRESS", "the interface's", instance::mcast_src_ip)
        .sets("unicast_src_ip"),
    acted("unicast_peer", "{ ADDRESS ... }", "none: multicast", instance::unicast_peer, |i| {
        show_peers(&i.config.transport)
    })
    .lists(Some(Place::PeerLine)),
    acted("unicast_ttl", "1..255", "255", instance::unicast_ttl, |i| match i.config.transport {
        Transport::Unicast { ttl, .. } => json!(ttl),
        Transport::Multicast { .. } => json!(255),
    }),
    unbuilt("unicast_fault_no_peer", "", Mastership),
    acted("check_unicast_src", "[BOOL]", "off", shared::check_unicast_src, |i| {
        json!(i.config.rules.check_unicast_source)
    })
    .inherits("vrrp_check_unicast_src")
    .by_profile(),
    acted("old_unicast_checksum", "[never]", "never", instance::old_unicast_checksum, |i| {
        json!(i.old_unicast_checksum)
    }),
    acted("v3_checksum_as_v2", "[BOOL]", "off", shared::v3_checksum_as_v2, |i| {
        json!(i.config.rules.checksum_sent == ChecksumForm::MessageOnly)
    })
    .inherits("v3_checksum_as_v2")
    .since(Since::After2_2_7)
    .by_profile(),
    acted("mcast_dst_ip", "ADDRESS", "the group of VRRP", instance::mcast_dst_ip, |i| {
        match i.config.transport {
            Transport::Multicast { group, .. } => json!(group),
            Transport::Unicast { .. } => Value::Null,
        }
    }),
    unbuilt("track_src_ip", "", Mastership),
    acted("preempt", "", "on", instance::preempt, |i| json!(i.config.preempt)),
    row("nopreempt", "", "", instance::no_preempt).sets("preempt"),
    acted("preempt_delay", "0..1000", "0", instance::preempt_delay, |i| {
        seconds(i.config.preempt_delay)
    }),
    notified("notify_master", notify::master, |i| notify::show(i.notify.master.as_ref())),
    notified("notify_backup", notify::backup, |i| notify::show(i.notify.backup.as_ref())),
    notified("notify_fault", notify::fault, |i| notify::show(i.notify.fault.as_ref())),
    notified("notify_stop", notify::stop, |i| notify::show(i.notify.stop.as_ref())),
    acted("notify_deleted", "[COMMAND [USER [GROUP]]]", "off", notify::deleted, |i| {
        match &i.notify.deleted {
            Some(script) => json!(script.command),
            None => json!(i.notify.says_deleted),
        }
    }),
    notified("notify_master_rx_lower_pri", notify::lower_priority, |i| {
        notify::show(i.notify.lower_priority.as_ref())
    }),
    notified("notify_one_way", notify::one_way, |i| notify::show(i.notify.one_way.as_ref()))
        .since(Since::Never),
    acted("one_way_alarm", "0..255", "3", instance::one_way_alarm, |i| {
        json!(i.config.one_way_alarm)
    })
    .since(Since::Never),
    acted("one_way_yield", "1..86400", "none", instance::one_way_yield, |i| {
        i.config.one_way_yield.map_or(Value::Null, seconds)
    })
    .since(Since::Never),
    notified("notify", notify::any, |i| notify::show(i.notify.any.as_ref())),
    acted("notify_priority_changes", "[BOOL]", "off", notify::priority_changes, |i| {
        json!(i.notify.priority_changes.unwrap_or(false))
    })
    .inherits("vrrp_notify_priority_changes"),
    acted("smtp_alert", "[BOOL]", "off", mail::of_one, |i| json!(i.notify.mail.unwrap_or(false)))
        .inherits("smtp_alert_vrrp"),
    acted("use_vmac", "[NAME]", "off", instance::use_vmac, |i| {
        json!(i.config.virtual_mac.as_ref().map(|mac| mac.interface.as_str()))
    })
    .by_profile_alone(),
    acted("vmac_xmit_base", "", "off", instance::vmac_xmit_base, |i| {
        json!(i.config.virtual_mac.as_ref().is_some_and(|mac| mac.transmit_from_parent))
    }),
    unbuilt("use_vmac_addr", "", Kernel),
    unbuilt("use_ipvlan", "[[NAME] IF] [ADDRESS] [bridge|private|vepa] [group N]", Kernel),
    acted("virtual_routes", "{ ROUTE }", "none", instance::routes, |i| {
        show_fib(&i.config.fib, false)
    })
    .lists(Some(Place::RouteLine)),
    acted("virtual_rules", "{ RULE }", "none", instance::rules, |i| show_fib(&i.config.fib, true))
        .lists(Some(Place::RuleLine)),
    acted("version", "2|3", "2, and 3 for IPv6", shared::version, |i| {
        json!(i.config.version.number())
    })
    .inherits("vrrp_version"),
    row("native_ipv6", "", "", instance::native_ipv6)
        .deprecated("the first virtual address says which family it is"),
    acted("accept", "", "on", instance::accept, |i| json!(i.config.rules.accept)).by_profile(),
    row("no_accept", "", "", instance::no_accept).sets("accept"),
    acted("strict_mode", "[BOOL]", "off", shared::strict, |i| json!(i.strict))
        .inherits("vrrp_strict"),
    acted("skip_check_adv_addr", "[BOOL]", "off", shared::skip_check, |i| json!(i.skip_check))
        .inherits("vrrp_skip_check_adv_addr"),
    acted("dont_track_primary", "", "off", instance::dont_track_primary, |i| {
        json!(i.config.ignore_primary_link)
    }),
    unbuilt("promote_secondaries", "", Kernel),
    unbuilt("vrf", "IF", Kernel),
    useless("linkbeat_use_polling", "", "links are reported by netlink"),
    unbuilt("kernel_rx_buf_size", "N", Aside),
    useless("debug", "0..4", "keepalived does nothing with it either"),
    acted("garp_master_delay", "SECONDS", "5", shared::garp_delay, |i| {
        seconds(i.config.announcements.delay)
    })
    .inherits("vrrp_garp_master_delay")
    .by_profile(),
    acted("garp_master_repeat", "N", "5", shared::garp_repeat, |i| {
        json!(i.config.announcements.repeat)
    })
    .inherits("vrrp_garp_master_repeat")
    .by_profile(),
    acted("garp_master_refresh", "SECONDS", "60", shared::garp_refresh, |i| {
        seconds(i.config.announcements.refresh.unwrap_or_default())
    })
    .inherits("vrrp_garp_master_refresh")
    .by_profile(),
    acted("garp_master_refresh_repeat", "N", "1", shared::garp_refresh_repeat, |i| {
        json!(i.config.announcements.refresh_repeat)
    })
    .inherits("vrrp_garp_master_refresh_repeat"),
    acted("garp_lower_prio_delay", "SECONDS", "5", shared::garp_lower_delay, |i| {
        seconds(i.config.announcements.lower_priority_delay)
    })
    .inherits("vrrp_garp_lower_prio_delay")
    .by_profile(),
    acted("garp_lower_prio_repeat", "N", "5", shared::garp_lower_repeat, |i| {
        json!(i.config.announcements.lower_priority_repeat)
    })
    .inherits("vrrp_garp_lower_prio_repeat")
    .by_profile(),
    unbuilt("garp_extra_if", "[all] SECONDS", Aside),
    unbuilt("vmac_garp_intvl", "[all] SECONDS", Aside).deprecated("write `garp_extra_if`"),
    acted("down_timer_adverts", "1..100", "3", shared::down_timer_adverts, |i| {
        json!(i.config.down_timer_adverts)
    })
    .inherits("vrrp_down_timer_adverts"),
    acted("dead_man", "SECONDS", "none", instance::dead_man, |i| {
        i.config.dead_man.map_or(Value::Null, seconds)
    })
    .since(Since::Never),
    unbuilt("timer_expired_backup", "[PRIORITY]", Mastership).since(Since::After2_2_7),
    unbuilt("thread_timer_expired", "[PRIORITY]", Mastership).since(Since::After2_2_7),
    acted("lower_prio_no_advert", "[BOOL]", "off", shared::lower_prio_no_advert, |i| {
        json!(i.config.rules.lower_priority == LowerPriorityRule::Silent)
    })
    .inherits("vrrp_lower_prio_no_advert")
    .by_profile(),
    acted("higher_prio_send_advert", "[BOOL]", "on", shared::higher_prio_send_advert, |i| {
        json!(i.config.rules.yield_advert)
    })
    .inherits("vrrp_higher_prio_send_advert")
    .by_profile(),
    acted("owner_ignore_adverts", "[BOOL]", "off", shared::owner_ignore_adverts, |i| {
        json!(i.config.rules.owner == OwnerRule::Discard)
    })
    .inherits("vrrp_owner_ignore_adverts")
    .since(Since::After2_2_7)
    .by_profile(),
    unbuilt("lvs_sync_daemon_interface", "IF", Kernel)
        .deprecated("write `lvs_sync_daemon` in `global_defs`"),
];

pub(super) const AUTHENTICATION: &[Keyword] = &[
    Keyword::new(Place::Authentication, "auth_type", "PASS|AH", "none", ActedOn)
        .reads(instance::auth_type)
        .shows(Show::Instance(|i| json!(i.config.password.map(|_| "PASS")))),
    Keyword::new(Place::Authentication, "auth_pass", "TEXT", "none", ActedOn)
        .reads(instance::auth_pass)
        .shows(Show::Instance(|i| json!(i.config.password.map(|_| "(not shown)")))),
];

const fn hmac(name: &'static str, arguments: &'static str) -> Keyword {
    Keyword::new(Place::AuthHmac, name, arguments, "", NotBuilt(Mastership)).since(Since::V2_4_0)
}

pub(super) const AUTH_HMAC: &[Keyword] = &[
    hmac("key", "N hex:...|TEXT|file:PATH").many(),
    hmac("active_key", "N"),
    hmac("anti_replay", "time|monotonic"),
    hmac("time_window", "SECONDS"),
    hmac("mode", "enforce|permissive|receive-only"),
];

const fn grouped(name: &'static str, arguments: &'static str, standing: Standing) -> Keyword {
    Keyword::new(Place::SyncGroup, name, arguments, "", standing)
}

const fn group_notified(
    name: &'static str,
    read: fn(&mut Draft, &mut Line<'_>),
    show: fn(&NotifyScripts) -> Value,
) -> Keyword {
    grouped(name, "COMMAND [USER [GROUP]]", ActedOn).reads(read).shows(Show::GroupNotify(show))
}

const fn shown(row: Keyword, show: fn(&GroupConfig) -> Value) -> Keyword {
    row.shows(Show::Group(show))
}

pub(super) const SYNC_GROUP: &[Keyword] = &[
    shown(grouped("group", "{ INSTANCE }", ActedOn).reads(group::members).lists(None), |g| {
        json!(g.members.iter().map(vipd_engine::InstanceName::as_str).collect::<Vec<_>>())
    }),
    shown(
        grouped("track_script", "{ SCRIPT ... }", ActedOn)
            .reads(group::track_script)
            .lists(Some(Place::TrackLine)),
        |g| show_tracks(&g.tracks, false),
    ),
    grouped("track_file", "{ FILE ... }", ActedOn)
        .reads(group::track_file)
        .lists(Some(Place::TrackLine))
        .sets("track_script"),
    grouped("track_process", "{ PROCESS ... }", ActedOn)
        .reads(group::track_process)
        .lists(Some(Place::TrackLine))
        .sets("track_script"),
    shown(
        grouped("track_interface", "{ IF ... }", ActedOn)
            .reads(group::track_interface)
            .lists(Some(Place::TrackLine)),
        |g| show_tracks(&g.tracks, true),
    ),
    grouped("track_bfd", "{ BFD }", NotBuilt(Mastership)).lists(None),
    group_notified("notify_master", notify::master, |n| notify::show(n.master.as_ref())),
    group_notified("notify_backup", notify::backup, |n| notify::show(n.backup.as_ref())),
    group_notified("notify_fault", notify::fault, |n| notify::show(n.fault.as_ref())),
    group_notified("notify_stop", notify::stop, |n| notify::show(n.stop.as_ref())),
    group_notified("notify", notify::any, |n| notify::show(n.any.as_ref())),
    grouped("notify_priority_changes", "[BOOL]", ActedOn)
        .reads(notify::priority_changes)
        .shows(Show::GroupNotify(|n| json!(n.priority_changes))),
    grouped("smtp_alert", "[BOOL]", ActedOn)
        .reads(mail::of_one)
        .shows(Show::GroupNotify(|n| json!(n.mail))),
    shown(grouped("sync_group_tracking_weight", "", ActedOn).reads(group::tracking_weight), |g| {
        json!(g.tracking_weight)
    }),
    grouped("global_tracking", "", NoEffect).deprecated("what a group tracks counts for all of it"),
];
