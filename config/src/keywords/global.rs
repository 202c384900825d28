//! Rows: `global_defs`.

use serde_json::json;
use vipd_engine::rules::{ChecksumForm, LowerPriorityRule, OwnerRule};

use super::Effect::{Aside, Kernel, Mastership};
use super::Standing::{ActedOn, Dead, NotBuilt};
use super::{Effect, Keyword, Place, Show, Since};
use crate::mail::CONNECT_TIMEOUT;
use crate::meaning::director::draft::IpvsGlobals;
use crate::meaning::director::ipvs;
use crate::meaning::{Draft, Globals, Line, global, mail, notify, seconds, shared};

type Reader = fn(&mut Draft, &mut Line<'_>);

const fn acted(
    name: &'static str,
    arguments: &'static str,
    default: &'static str,
    read: Reader,
    show: fn(&Globals) -> serde_json::Value,
) -> Keyword {
    Keyword::new(Place::GlobalDefs, name, arguments, default, ActedOn)
        .reads(read)
        .shows(Show::Globals(show))
}

const fn unbuilt(name: &'static str, arguments: &'static str, effect: Effect) -> Keyword {
    Keyword::new(Place::GlobalDefs, name, arguments, "", NotBuilt(effect))
}

const fn ipvs(
    name: &'static str,
    arguments: &'static str,
    default: &'static str,
    read: Reader,
    show: fn(&IpvsGlobals) -> serde_json::Value,
) -> Keyword {
    Keyword::new(Place::GlobalDefs, name, arguments, default, ActedOn)
        .reads(read)
        .shows(Show::Ipvs(show))
}

const fn fifo(name: &'static str, show: fn(&Globals) -> serde_json::Value) -> Keyword {
    acted(name, "PATH [USER [GROUP]]", "none", notify::fifo, show)
}

const fn fifo_script(name: &'static str, show: fn(&Globals) -> serde_json::Value) -> Keyword {
    acted(name, "COMMAND [USER [GROUP]]", "none", notify::fifo_script, show)
}

pub(super) const GLOBAL_DEFS: &[Keyword] = &[
    // Mail.
    acted("router_id", "NAME", "the host name", mail::router_id, |g| json!(g.mail.router_id)),
    acted("notification_email", "{ ADDRESS }", "none", mail::to, |g| json!(g.mail.to)).lists(None),
    acted("notification_email_from", "ADDRESS", "keepalived@HOST", mail::from, |g| {
        json!(g.mail.from)
    }),
    acted("smtp_server", "HOST [PORT]", "none", mail::server, |g| json!(g.smtp_server())),
    acted("smtp_connect_timeout", "SECONDS", "30", mail::connect_timeout, |g| {
        seconds(g.mail.connect_timeout.unwrap_or(CONNECT_TIMEOUT))
    }),
    acted("smtp_helo_name", "NAME", "the host name", mail::helo_name, |g| json!(g.mail.helo_name)),
    Keyword {
        standing: ActedOn,
        ..ipvs("smtp_alert", "[BOOL]", "on of real servers, else off", ipvs::smtp_alert, |g| {
            json!(g.smtp_alert)
        })
    },
    acted("smtp_alert_vrrp", "[BOOL]", "`smtp_alert`", mail::of_all_vrrp, |g| json!(g.mails_vrrp))
        .inherits("smtp_alert"),
    ipvs("smtp_alert_checker", "[BOOL]", "`smtp_alert`", ipvs::smtp_alert_checker, |g| {
        json!(g.smtp_alert_checker)
    }),
    acted("no_email_faults", "", "off", mail::omits_faults, |g| json!(g.mail.omits_faults)),
    ipvs("no_checker_emails", "", "off", ipvs::no_checker_emails, |g| json!(g.no_checker_emails)),
    // Scripts.
    acted("script_user", "USER [GROUP]", "keepalived_script", global::script_user, |g| {
        json!(g.script_user.as_ref().map(|who| &who.user))
    }),
    acted("enable_script_security", "", "off", global::script_security, |g| {
        json!(g.script_security)
    }),
    unbuilt("set_supplementary_groups", "", Aside).since(Since::After2_2_7),
    unbuilt("use_symlink_paths", "[BOOL]", Aside).since(Since::After2_2_7),
    // VRRP: each is the default of the instance's keyword of the same meaning.
    acted("vrrp_version", "2|3", "2, and 3 for IPv6", shared::version, |g| {
        json!(g.version().number())
    }),
    acted("vrrp_strict", "[BOOL]", "off", shared::strict, |g| {
        json!(g.shared.strict.unwrap_or(false))
    }),
    acted("vrrp_skip_check_adv_addr", "[BOOL]", "off", shared::skip_check, |g| {
        json!(g.shared.skip_check.unwrap_or(false))
    }),
    acted("vrrp_garp_master_delay", "SECONDS", "5", shared::garp_delay, |g| {
        seconds(g.announcements().delay)
    })
    .inherits("vrrp_min_garp")
    .by_profile(),
    acted("vrrp_garp_master_repeat", "N", "5", shared::garp_repeat, |g| {
        json!(g.announcements().repeat)
    })
    .inherits("vrrp_min_garp")
    .by_profile(),
    acted("vrrp_garp_master_refresh", "SECONDS", "60", shared::garp_refresh, |g| {
        seconds(g.announcements().refresh.unwrap_or_default())
    })
    .by_profile(),
    acted("vrrp_garp_master_refresh_repeat", "N", "1", shared::garp_refresh_repeat, |g| {
        json!(g.announcements().refresh_repeat)
    }),
    acted(
        "vrrp_garp_lower_prio_delay",
        "SECONDS",
        "`vrrp_garp_master_delay`",
        shared::garp_lower_delay,
        |g| seconds(g.announcements().lower_priority_delay),
    )
    .inherits("vrrp_garp_master_delay")
    .by_profile(),
    acted(
        "vrrp_garp_lower_prio_repeat",
        "N",
        "`vrrp_garp_master_repeat`",
        shared::garp_lower_repeat,
        |g| json!(g.announcements().lower_priority_repeat),
    )
    .inherits("vrrp_garp_master_repeat")
    .by_profile(),
    acted("vrrp_min_garp", "[BOOL]", "off", shared::min_garp, |g| {
        json!(g.shared.min_garp.unwrap_or(false))
    }),
    unbuilt("vrrp_garp_interval", "SECONDS", Aside),
    unbuilt("vrrp_gna_interval", "SECONDS", Aside),
    unbuilt("vrrp_garp_extra_if", "[all] SECONDS", Aside),
    unbuilt("vrrp_vmac_garp_intvl", "[all] SECONDS", Aside)
        .deprecated("write `vrrp_garp_extra_if`"),
    acted("vrrp_down_timer_adverts", "N", "3", shared::down_timer_adverts, |g| {
        json!(g.shared.down_timer_adverts.unwrap_or(3))
    }),
    acted("vrrp_lower_prio_no_advert", "[BOOL]", "off", shared::lower_prio_no_advert, |g| {
        json!(g.rules().lower_priority == LowerPriorityRule::Silent)
    })
    .by_profile(),
    acted("vrrp_higher_prio_send_advert", "[BOOL]", "on", shared::higher_prio_send_advert, |g| {
        json!(g.rules().yield_advert)
    })
    .by_profile(),
    acted("vrrp_owner_ignore_adverts", "[BOOL]", "off", shared::owner_ignore_adverts, |g| {
        json!(g.rules().owner == OwnerRule::Discard)
    })
    .since(Since::After2_2_7)
    .by_profile(),
    acted("vrrp_mcast_group4", "ADDRESS", "224.0.0.18", global::group_v4, |g| json!(g.group_v4())),
    acted("vrrp_mcast_group6", "ADDRESS", "ff02::12", global::group_v6, |g| json!(g.group_v6())),
    acted("vrrp_check_unicast_src", "[BOOL]", "off", shared::check_unicast_src, |g| {
        json!(g.rules().check_unicast_source)
    })
    .by_profile(),
    acted("v3_checksum_as_v2", "[BOOL]", "off", shared::v3_checksum_as_v2, |g| {
        json!(g.rules().checksum_sent == ChecksumForm::MessageOnly)
    })
    .since(Since::After2_2_7)
    .by_profile(),
    acted("vrrp_startup_delay", "SECONDS", "0", global::startup_delay, |g| {
        seconds(g.startup_delay)
    }),
    unbuilt("vrrp_delay_after_boot", "SECONDS", Mastership).since(Since::After2_2_7),
    acted("vmac_prefix", "NAME", "vrrp", global::vmac_prefix, |g| json!(g.vmac_prefix())),
    unbuilt("vmac_addr_prefix", "MAC", Kernel),
    acted("dynamic_interfaces", "[allow_if_changes]", "always on", global::dynamic, |_| {
        json!(true)
    }),
    acted("default_interface", "IF", "eth0", global::default_interface, |g| {
        json!(g.default_interface().as_str())
    }),
    unbuilt("disable_local_igmp", "", Kernel),
    unbuilt("vrrp_iptables", "[IN [OUT]]", Kernel).deprecated("write `nftables`"),
    unbuilt("vrrp_ipsets", "[NAME ...]", Kernel).deprecated("write `nftables`"),
    unbuilt("nftables", "[TABLE]", Kernel),
    unbuilt("nftables_priority", "N", Kernel),
    unbuilt("nftables_counters", "", Kernel),
    unbuilt("nftables_ifindex", "", Kernel),
    unbuilt("nftables_ipvs", "[TABLE]", Kernel),
    unbuilt("nftables_ipvs_priority", "N", Kernel),
    unbuilt("nftables_ipvs_start_fwmark", "N", Kernel),
    unbuilt("log_unknown_vrids", "", Aside),
    Keyword::new(Place::GlobalDefs, "lvs_id", "NAME", "", Dead).deprecated("write `router_id`"),
    // IPVS.
    ipvs(
        "lvs_sync_daemon",
        "IF [[inst] INSTANCE] [id N] [maxlen N] [port N] [ttl N] [group ADDRESS]",
        "none",
        ipvs::sync_daemon,
        ipvs::show_sync_daemon,
    ),
    ipvs(
        "lvs_timeouts",
        "[tcp N] [tcpfin N] [udp N]",
        "the kernel's",
        ipvs::timeouts,
        ipvs::show_timeouts,
    ),
    ipvs("lvs_flush", "", "off", ipvs::flush, |g| json!(g.flush)),
    ipvs("lvs_flush_on_stop", "[VS]", "what is ours", ipvs::flush_at_stop, ipvs::show_at_stop),
    Keyword::new(Place::GlobalDefs, "lvs_flush_onstop", "[VS]", "", ActedOn)
        .reads(ipvs::flush_at_stop)
        .sets("lvs_flush_on_stop"),
    ipvs("rs_init_notifies", "", "off", ipvs::init_notifies, |g| json!(g.init_notifies)),
    ipvs("checker_log_all_failures", "[BOOL]", "off", ipvs::log_all_failures, |g| {
        json!(g.log_all_failures)
    }),
    // Notification.
    fifo("notify_fifo", |g| notify::show_fifo(&g.fifos[0])),
    fifo_script("notify_fifo_script", |g| notify::show(g.fifos[0].script())),
    fifo("vrrp_notify_fifo", |g| notify::show_fifo(&g.fifos[1])),
    fifo_script("vrrp_notify_fifo_script", |g| notify::show(g.fifos[1].script())),
    ipvs("lvs_notify_fifo", "PATH [USER [GROUP]]", "none", ipvs::fifo, |g| {
        notify::show_fifo(&g.fifo)
    }),
    ipvs("lvs_notify_fifo_script", "COMMAND [USER [GROUP]]", "none", ipvs::fifo_script, |g| {
        notify::show(g.fifo.script())
    }),
    acted("fifo_write_vrrp_states_on_reload", "", "off", notify::states_on_reload, |g| {
        json!(g.states_on_reload)
    }),
    acted("vrrp_notify_priority_changes", "[BOOL]", "off", notify::all_priority_changes, |g| {
        json!(g.priority_changes)
    }),
    unbuilt("startup_script", "COMMAND", Aside),
    unbuilt("startup_script_timeout", "SECONDS", Aside),
    unbuilt("shutdown_script", "COMMAND", Aside),
    unbuilt("shutdown_script_timeout", "SECONDS", Aside),
    // The processes of keepalived.
    unbuilt("process_names", "[BOOL]", Aside),
    unbuilt("process_name", "NAME", Aside),
    unbuilt("vrrp_process_name", "NAME", Aside),
    unbuilt("checker_process_name", "NAME", Aside),
    unbuilt("lvs_process_name", "NAME", Aside),
    unbuilt("bfd_process_name", "NAME", Aside),
    unbuilt("max_auto_priority", "[N]", Aside),
    unbuilt("min_auto_priority_delay", "MICROSECONDS", Aside),
    acted("vrrp_priority", "N", "none", global::priority, |g| json!(g.process.nice)),
    unbuilt("checker_priority", "N", Aside),
    unbuilt("bfd_priority", "N", Aside),
    acted("vrrp_no_swap", "", "always on", global::no_swap, |_| json!(true)),
    unbuilt("checker_no_swap", "", Aside),
    unbuilt("bfd_no_swap", "", Aside),
    acted("vrrp_rt_priority", "N", "none", global::realtime, |g| json!(g.process.realtime)),
    unbuilt("checker_rt_priority", "N", Aside),
    unbuilt("bfd_rt_priority", "N", Aside),
    unbuilt("vrrp_cpu_affinity", "N ...", Aside),
    unbuilt("checker_cpu_affinity", "N ...", Aside),
    unbuilt("bfd_cpu_affinity", "N ...", Aside),
    acted("vrrp_rlimit_rttime", "MICROSECONDS", "none", global::realtime_limit, |g| {
        json!(g.process.realtime_limit)
    }),
    unbuilt("checker_rlimit_rttime", "MICROSECONDS", Aside),
    unbuilt("bfd_rlimit_rttime", "MICROSECONDS", Aside),
    Keyword::new(Place::GlobalDefs, "vrrp_rlimit_rtime", "MICROSECONDS", "", ActedOn)
        .reads(global::realtime_limit)
        .sets("vrrp_rlimit_rttime")
        .deprecated("write `vrrp_rlimit_rttime`"),
    unbuilt("checker_rlimit_rtime", "MICROSECONDS", Aside)
        .deprecated("write `checker_rlimit_rttime`"),
    unbuilt("bfd_rlimit_rtime", "MICROSECONDS", Aside).deprecated("write `bfd_rlimit_rttime`"),
    // SNMP, D-Bus.
    unbuilt("snmp_socket", "ADDRESS", Aside),
    unbuilt("enable_snmp_vrrp", "", Aside),
    unbuilt("enable_snmp_keepalived", "", Aside).deprecated("write `enable_snmp_vrrp`"),
    unbuilt("enable_snmp_checker", "", Aside),
    unbuilt("enable_snmp_rfc", "", Aside),
    unbuilt("enable_snmp_rfcv2", "", Aside),
    unbuilt("enable_snmp_rfcv3", "", Aside),
    unbuilt("enable_traps", "", Aside),
    unbuilt("snmp_vs_stats_update_interval", "SECONDS", Aside).since(Since::After2_2_7),
    unbuilt("snmp_rs_stats_update_interval", "SECONDS", Aside).since(Since::After2_2_7),
    unbuilt("enable_dbus", "", Aside),
    unbuilt("dbus_service_name", "NAME", Aside),
    unbuilt("dbus_no_interface_name", "", Aside).since(Since::After2_2_7),
    // Buffers.
    unbuilt("vrrp_netlink_cmd_rcv_bufs", "N", Aside),
    unbuilt("vrrp_netlink_cmd_rcv_bufs_force", "BOOL", Aside),
    unbuilt("vrrp_netlink_monitor_rcv_bufs", "N", Aside),
    unbuilt("vrrp_netlink_monitor_rcv_bufs_force", "BOOL", Aside),
    unbuilt("lvs_netlink_cmd_rcv_bufs", "N", Aside),
    unbuilt("lvs_netlink_cmd_rcv_bufs_force", "BOOL", Aside),
    unbuilt("lvs_netlink_monitor_rcv_bufs", "N", Aside),
    unbuilt("lvs_netlink_monitor_rcv_bufs_force", "BOOL", Aside),
    unbuilt("process_monitor_rcv_bufs", "N", Aside),
    unbuilt("process_monitor_rcv_bufs_force", "BOOL", Aside),
    unbuilt("vrrp_rx_bufs_policy", "MTU|ADVERT|N|NO_SEND_RX ...", Aside),
    unbuilt("vrrp_rx_bufs_multiplier", "N", Aside),
    // Files, reload, the rest.
    unbuilt("umask", "MODE", Aside),
    unbuilt("random_seed", "N", Aside),
    unbuilt("reload_check_config", "[LOG]", Aside),
    unbuilt("reload_time_file", "PATH", Aside),
    unbuilt("reload_repeat", "", Aside),
    unbuilt("reload_file", "[PATH]", Aside),
    Keyword::new(Place::GlobalDefs, "include_check", "[+|-]OPTION ...", "", ActedOn).many(),
    unbuilt("config_save_dir", "PATH", Aside),
    unbuilt("tmp_config_directory", "PATH", Aside),
    unbuilt("data_use_instance", "[BOOL]", Aside),
    unbuilt("state_dump_file", "PATH", Aside).since(Since::After2_2_7),
    unbuilt("stats_dump_file", "PATH", Aside).since(Since::After2_2_7),
    unbuilt("json_dump_file", "PATH", Aside).since(Since::After2_2_7),
    unbuilt("json_version", "N", Aside).since(Since::After2_2_7),
    unbuilt("iproute_usr_dir", "PATH", Aside).since(Since::After2_2_7),
    unbuilt("iproute_etc_dir", "PATH", Aside).since(Since::After2_2_7),
];
