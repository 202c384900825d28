//! What values become: defaults, inheritance, rounding, profiles.

use std::path::Path;

use vipd_config::notify::{NotifyScript, NotifyScripts};
use vipd_config::text::InMemory;
use vipd_config::trackers::{ParamMatch, ScriptUser};
use vipd_config::{Loaded, Options, explain_from, load_from};
use vipd_engine::config::{InstanceConfig, Tracked, Transport};
use vipd_engine::rules::{ChecksumForm, ChecksumRule, LowerPriorityRule, OwnerRule};
use vipd_engine::{InstanceName, Profile, Rules, Version};

fn load_as(profile: Profile, text: &str) -> Loaded {
    let files = InMemory::new().with("/k.conf", text);
    let options = Options { profile, ..Options::default() };
    load_from(&files, Path::new("/k.conf"), &options).unwrap_or_else(|report| panic!("{report}"))
}

/// The instance that these lines of `global_defs` and of its own block make.
fn instance_as(profile: Profile, global: &str, lines: &str) -> InstanceConfig {
    let text = format!(
        "vrrp_instance VI_1 {{\ninterface eth0\nvirtual_router_id 51\n{lines}\n\
         virtual_ipaddress {{\n10.0.0.100\n}}\n}}\nglobal_defs {{\n{global}\n}}\n"
    );
    InstanceConfig::clone(&load_as(profile, &text).config.instances()[0])
}

fn instance(global: &str, lines: &str) -> InstanceConfig {
    instance_as(Profile::DropIn, global, lines)
}

#[test]
fn an_instance_that_says_nothing_is_the_engines_own_default() {
    let given = instance("", "");
    let vrid = given.vrid;
    let mut default = InstanceConfig::new("VI_1", given.family, "eth0", vrid);
    default.addresses.clone_from(&given.addresses);
    assert_eq!(given, default);
}

#[test]
fn an_instance_inherits_from_global_defs_wherever_they_stand_and_its_own_word_counts_first() {
    let global = "vrrp_garp_master_delay 7\nvrrp_garp_master_repeat 3\nvrrp_version 3\n\
                  vrrp_down_timer_adverts 4\nvrrp_check_unicast_src\nvrrp_mcast_group4 224.0.0.99";
    let inherited = instance(global, "");
    assert_eq!(inherited.version, Version::V3);
    assert_eq!(inherited.down_timer_adverts, 4);
    assert!(inherited.rules.check_unicast_source);
    let Transport::Multicast { group, .. } = inherited.transport else { panic!("multicast") };
    assert_eq!(group.to_string(), "224.0.0.99");
    let announcements = inherited.announcements;
    assert_eq!((announcements.delay.as_secs(), announcements.repeat), (7, 3));
    // The lower-priority pair follows the master pair of the same block.
    let lower = (announcements.lower_priority_delay.as_secs(), announcements.lower_priority_repeat);
    assert_eq!(lower, (7, 3));

    let own = "garp_master_delay 1\nversion 2\ndown_timer_adverts 5\ncheck_unicast_src off\n\
               mcast_dst_ip 224.0.0.98";
    let own = instance(global, own);
    assert_eq!((own.version, own.down_timer_adverts), (Version::V2, 5));
    assert!(!own.rules.check_unicast_source);
    assert_eq!(own.announcements.delay.as_secs(), 1);
    assert_eq!(own.announcements.lower_priority_delay.as_secs(), 7);
}

#[test]
fn vrrp_min_garp_is_one_announcement_and_no_second_burst() {
    let announcements = instance("vrrp_min_garp", "").announcements;
    assert_eq!((announcements.repeat, announcements.delay.as_secs()), (1, 0));
    let lower = (announcements.lower_priority_repeat, announcements.lower_priority_delay.as_secs());
    assert_eq!(lower, (1, 0));
}

#[test]
fn a_refresh_of_0_is_none() {
    assert_eq!(instance("", "garp_master_refresh 0").announcements.refresh, None);
    assert_eq!(instance("vrrp_garp_master_refresh 0", "").announcements.refresh, None);
}

#[test]
fn intervals_become_what_the_version_can_carry() {
    let v2 = [("1", 100), ("255", 25500), ("0.3", 100), ("1.4", 100), ("1.5", 200), ("300", 25500)];
    for (written, centiseconds) in v2 {
        let given = instance("", &format!("advert_int {written}")).interval;
        assert_eq!(given.centiseconds(), centiseconds, "{written} in version 2");
    }
    let v3 = [("1", 100), ("0.01", 1), ("40.95", 4095), ("0.1", 10), ("0.104", 10), ("0.105", 11)];
    for (written, centiseconds) in v3 {
        let given = instance("vrrp_version 3", &format!("advert_int {written}")).interval;
        assert_eq!(given.centiseconds(), centiseconds, "{written} in version 3");
    }
}

#[test]
fn each_profile_gives_its_rules_and_keywords_change_them_one_by_one() {
    for profile in Profile::ALL {
        assert_eq!(instance_as(profile, "", "").rules, Rules::of(profile));
    }
    let rules = instance(
        "",
        "lower_prio_no_advert\nhigher_prio_send_advert off\nowner_ignore_adverts\nno_accept\n\
         check_unicast_src",
    )
    .rules;
    assert_eq!(rules.lower_priority, LowerPriorityRule::Silent);
    assert_eq!(rules.owner, OwnerRule::Discard);
    assert!(!rules.yield_advert && !rules.accept && rules.check_unicast_source);
    let rules = instance_as(Profile::Rfc3768, "", "lower_prio_no_advert off\naccept").rules;
    assert_eq!(rules.lower_priority, LowerPriorityRule::Assert);
    assert!(rules.accept);
}

#[test]
fn the_profile_of_an_rfc_uses_the_virtual_mac_and_strictness_alone_does_not() {
    let name = |instance: InstanceConfig| instance.virtual_mac.map(|mac| mac.interface.to_string());
    assert_eq!(name(instance("", "")), None);
    assert_eq!(name(instance("vrrp_strict", "")), None);
    for profile in [Profile::Rfc3768, Profile::Rfc5798, Profile::Rfc9568] {
        assert_eq!(name(instance_as(profile, "", "")).as_deref(), Some("vrrp.51"));
        assert_eq!(name(instance_as(profile, "", "use_vmac own")).as_deref(), Some("own"));
    }
}

#[test]
fn strictness_picks_the_rfc_of_the_version_and_keeps_keepaliveds_checksum() {
    let v2 = instance("vrrp_strict", "");
    assert_eq!(v2.rules, Rules::of(Profile::Rfc3768));
    assert_eq!((v2.announcements.repeat, v2.announcements.refresh), (1, None));
    let v3 = instance("vrrp_strict", "version 3").rules;
    let pseudo = ChecksumForm::PseudoHeader;
    let expected = Rules {
        checksum_sent: pseudo,
        checksum_accepted: ChecksumRule::Only(pseudo),
        ..Rules::of(Profile::Rfc9568)
    };
    assert_eq!(v3, expected);
    let as_v2 = instance("vrrp_strict\nv3_checksum_as_v2", "version 3").rules;
    assert_eq!(as_v2, Rules::of(Profile::Rfc9568));
    let own = instance("vrrp_strict", "strict_mode off").rules;
    assert_eq!(own, Rules::of(Profile::DropIn));
    // A file may still ask for more than the RFC does.
    let refreshed = instance("vrrp_strict", "garp_master_refresh 30\naccept");
    assert_eq!(refreshed.announcements.refresh.unwrap().as_secs(), 30);
    assert!(refreshed.rules.accept);
}

#[test]
fn v3_checksum_as_v2_sends_and_accepts_the_message_only() {
    let rules = instance("", "version 3\nv3_checksum_as_v2").rules;
    assert_eq!(rules.checksum_sent, ChecksumForm::MessageOnly);
    assert_eq!(rules.checksum_accepted, ChecksumRule::Only(ChecksumForm::MessageOnly));
    let off = instance_as(Profile::Rfc9568, "", "version 3\nv3_checksum_as_v2 off").rules;
    assert_eq!(off.checksum_sent, ChecksumForm::PseudoHeader);
}

#[test]
fn old_unicast_checksum_is_for_one_peer_or_for_all_and_never_by_itself() {
    let old = |lines: &str| {
        let peers = "check_unicast_src\nunicast_peer {\n10.0.0.2 old_unicast_checksum\n10.0.0.3\n}";
        let instance = instance("", &format!("{peers}\n{lines}"));
        let Transport::Unicast { peers, .. } = instance.transport else { panic!("unicast") };
        (peers[0].old_unicast_checksum, peers[1].old_unicast_checksum)
    };
    assert_eq!(old(""), (true, false));
    assert_eq!(old("old_unicast_checksum"), (true, true));
    assert_eq!(old("old_unicast_checksum never"), (true, false));
}

#[test]
fn trackers_give_their_weight_and_the_line_may_say_otherwise() {
    let text = "vrrp_script s {\nscript \"/bin/true a b\"\nweight -20 reverse\n}\n\
                track_file f {\nfile /run/f\n}\n\
                vrrp_track_process p {\nprocess haproxy\nweight 5\nquorum 2\ndelay 3\n}\n\
                vrrp_instance VI_1 {\ninterface eth0\nvirtual_router_id 1\n\
                track_script {\ns\n}\ntrack_file {\nf weight 3\n}\ntrack_process {\np\n}\n\
                track_interface {\neth1 weight 7 reverse\neth2\n}\n\
                virtual_ipaddress {\n10.0.0.1\n}\n}\n";
    let loaded = load_as(Profile::DropIn, text);
    let tracks = &loaded.config.instances()[0].tracks;
    let shown: Vec<_> = tracks
        .iter()
        .map(|track| {
            let name = match &track.tracked {
                Tracked::Interface(name) => name.as_str(),
                Tracked::Tracker(name) => name.as_str(),
            };
            (name, track.weight.value, track.weight.reverse)
        })
        .collect();
    let expected =
        [("s", -20, true), ("f", 3, false), ("p", 5, false), ("eth1", 7, true), ("eth2", 0, false)];
    assert_eq!(shown, expected);
    assert_eq!(loaded.trackers.scripts[0].command, "/bin/true a b");
    assert_eq!(loaded.trackers.scripts[0].timeout.as_secs(), 1);
    let process = &loaded.trackers.processes[0];
    assert_eq!((process.quorum, process.terminate_delay.as_secs()), (2, 3));
}

#[test]
fn an_origin_names_the_place_the_profile_or_the_default() {
    let text = "global_defs {\n  vrrp_strict\n  vrrp_version 3\n}\nvrrp_instance VI_1 {\n  \
                interface eth0\n  virtual_router_id 1\n  state MASTER\n  virtual_ipaddress {\n    \
                10.0.0.1\n  }\n}\n";
    let shown = |profile, text: &str| {
        let files = InMemory::new().with("/k.conf", text);
        let options = Options { profile, ..Options::default() };
        let explained = explain_from(&files, Path::new("/k.conf"), &options);
        let (_, effective) = explained.unwrap_or_else(|report| panic!("{report}"));
        effective.as_value()["vrrp_instance"][0].clone()
    };
    let instance = shown(Profile::DropIn, text);
    let origin = |keyword: &str| instance[keyword]["origin"].as_str().unwrap().to_owned();
    assert_eq!(origin("interface"), "/k.conf:6:13");
    assert_eq!(origin("version"), "/k.conf:3:16");
    assert_eq!(origin("priority"), "/k.conf:8:9");
    assert_eq!(origin("accept"), "vrrp_strict");
    assert_eq!(origin("use_vmac"), "default");
    assert_eq!(origin("preempt"), "default");
    let instance = shown(Profile::Rfc9568, &text.replace("  vrrp_strict\n", ""));
    assert_eq!(instance["accept"]["origin"], "profile rfc9568");
    assert_eq!(instance["accept"]["value"], false);
    assert_eq!(instance["use_vmac"]["origin"], "profile rfc9568");
    assert_eq!(instance["use_vmac"]["value"], "vrrp.1");
}

#[test]
fn a_notify_script_is_one_word_with_its_arguments_and_then_who_runs_it() {
    let text = "vrrp_instance VI_1 {\ninterface eth0\nvirtual_router_id 51\n\
                notify_master \"/bin/m.sh up now\" www adm\nnotify /bin/any.sh www:adm\n\
                virtual_ipaddress {\n10.0.0.100\n}\n}\n";
    let loaded = load_as(Profile::DropIn, text);
    let scripts = &loaded.notify.instances[&InstanceName::new("VI_1")];
    let user = Some(ScriptUser { user: "www".into(), group: Some("adm".into()) });
    let command =
        |command: &str| Some(NotifyScript { command: command.into(), user: user.clone() });
    let expected = NotifyScripts {
        master: command("/bin/m.sh up now"),
        any: command("/bin/any.sh"),
        ..NotifyScripts::default()
    };
    assert_eq!(*scripts, expected);
}

#[test]
fn groups_have_scripts_too_and_pipes_are_told_of_everything() {
    let instance = |name: &str, more: &str| {
        let (vrid, own) = (name.len(), name.len());
        format!(
            "vrrp_instance {name} {{\ninterface eth0\nvirtual_router_id {vrid}\n{more}\n\
             virtual_ipaddress {{\n10.0.0.{own}\n}}\n}}\n"
        )
    };
    let text = "global_defs {\nnotify_fifo /run/all\nnotify_fifo_script \"/bin/read it\" www\n\
                vrrp_notify_fifo /run/vrrp www adm\nfifo_write_vrrp_states_on_reload\n}\n\
                vrrp_sync_group VG {\ngroup {\nA\nBB\n}\nnotify_master /bin/g\nnotify /bin/any\n\
                notify_priority_changes\n}\n"
        .to_string();
    let single = "notify_deleted\nnotify_master_rx_lower_pri /bin/lower";
    let text = text
        + &instance("A", "notify_deleted /bin/gone")
        + &instance("BB", "notify_priority_changes off")
        + &instance("CCC", single);
    let loaded = load_as(Profile::DropIn, &text);
    let notify = &loaded.notify;
    let group = notify.groups.values().next().expect("a group with scripts");
    assert_eq!(group.master.as_ref().map(|one| one.command.as_str()), Some("/bin/g"));
    let [all, vrrp] = &notify.fifos[..] else { panic!("two pipes") };
    assert_eq!((all.path.as_str(), vrrp.path.as_str()), ("/run/all", "/run/vrrp"));
    assert_eq!(all.script().map(|one| one.command.as_str()), Some("/bin/read it"));
    let owner = ScriptUser { user: "www".into(), group: Some("adm".into()) };
    assert_eq!((&vrrp.owner, &vrrp.script), (&Some(owner), &None));
    assert!(notify.states_on_reload);
    let of = |name: &str| notify.instances.get(&InstanceName::new(name));
    let a = of("A").expect("it has scripts");
    assert!(a.says_deleted && a.priority_changes == Some(true), "its group says so");
    assert_eq!(a.deleted.as_ref().map(|one| one.command.as_str()), Some("/bin/gone"));
    assert_eq!(of("BB"), None, "it says otherwise");
    let c = of("CCC").expect("it has a script");
    assert!(c.says_deleted && c.deleted.is_none() && c.priority_changes.is_none());
    assert!(loaded.config.instances().iter().all(|one| one.tells_lower_priority), "for the pipes");
    assert_eq!(notify.scripts().count(), 5);
}

#[test]
fn a_script_without_its_pipe_and_one_pipe_twice_are_warned_about() {
    let said = |lines: &str| {
        let loaded = load_as(Profile::DropIn, &format!("global_defs {{\n{lines}\n}}\n"));
        (loaded.notify.fifos.len(), loaded.report.to_string())
    };
    let (count, report) = said("vrrp_notify_fifo_script /bin/read");
    assert!(count == 0 && report.contains("there is no `vrrp_notify_fifo`"), "{report}");
    let (count, report) = said("notify_fifo /run/a\nvrrp_notify_fifo /run/a");
    assert!(count == 1 && report.contains("it is written to once"), "{report}");
}

#[test]
fn a_tracked_process_is_words_and_a_number_of_them_that_can_be_met() {
    let process = |lines: &str| {
        let text = format!("vrrp_track_process p {{\n{lines}\n}}\n");
        let loaded = load_as(Profile::DropIn, &text);
        (loaded.trackers.processes[0].clone(), loaded.report.to_string())
    };
    let (one, _) = process("process \"/opt/a b\" -f \"c d\"\nparam_match initial");
    assert_eq!(one.program, "/opt/a b");
    assert_eq!(one.parameters, ["-f", "c d"]);
    assert_eq!(one.param_match, Some(ParamMatch::Initial));
    assert!(one.reads_command_lines());
    let (one, _) = process("process sshd\nquorum_max 0");
    assert_eq!((one.quorum, one.quorum_max), (0, Some(0)), "none may run");
    assert!(!one.reads_command_lines());
    let (one, said) = process("process sshd\nquorum 5\nquorum_max 3");
    assert_eq!((one.quorum, one.quorum_max), (5, None));
    assert!(said.contains("`quorum_max` 3 is less than `quorum` 5"), "{said}");
}
