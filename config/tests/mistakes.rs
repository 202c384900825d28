//! What is said about each mistake that people make: snapshots of the whole report.

use std::path::Path;

use vipd_config::text::InMemory;
use vipd_config::{Loaded, Options, Report, Scope, load_from};
use vipd_engine::Profile;
use vipd_engine::config::DirectorConfig;

fn read(text: &str, profile: Profile) -> Result<Loaded, Box<Report>> {
    let files = InMemory::new().with("/k.conf", text);
    load_from(&files, Path::new("/k.conf"), &Options { profile, ..Options::default() })
}

/// The report on a file that is refused.
#[track_caller]
fn refused(text: &str) -> String {
    let report = read(text, Profile::DropIn).expect_err("a mistake");
    assert!(report.diagnostics.has_errors());
    report.to_string()
}

/// The report on a file that is used.
#[track_caller]
fn used(text: &str) -> String {
    read(text, Profile::DropIn).unwrap_or_else(|report| panic!("{report}")).report.to_string()
}

/// An instance without a mistake, and these lines.
fn instance(lines: &str) -> String {
    let head = "vrrp_instance VI_1 {\n    interface eth0\n    virtual_router_id 51\n";
    let tail = "    virtual_ipaddress {\n        10.0.0.100\n    }\n}\n";
    format!("{head}{lines}{tail}")
}

/// A virtual server with these lines.
fn server(lines: &str) -> String {
    let real = "    real_server 10.0.0.3 80 {\n    }\n";
    format!("virtual_server 10.0.0.100 80 {{\n{lines}{real}}}\n")
}

#[test]
fn a_misspelt_block_is_one_error_and_closes_nothing() {
    let text = instance(
        "    authentification {\n        auth_type PASS\n        auth_pass 1111\n    }\n    \
         priority 300\n",
    );
    insta::assert_snapshot!(refused(&text));
}

#[test]
fn a_misspelt_keyword_is_an_error_with_the_one_that_is_meant() {
    insta::assert_snapshot!(refused(&instance("    prioritty 150\n    advert_inr 1\n")));
}

#[test]
fn a_misspelt_root_block_is_one_error() {
    insta::assert_snapshot!(refused("vrrp_instnace VI_1 {\n    interface eth0\n}\n"));
}

#[test]
fn all_mistakes_of_a_file_are_told_in_one_go() {
    insta::assert_snapshot!(refused(&instance(
        "    state SLAVE\n    priority 300\n    advert_int 0\n    nopremept\n"
    )));
}

#[test]
fn a_keyword_in_the_wrong_block_is_told_where_it_belongs() {
    let text = format!(
        "global_defs {{\n    garp_master_refresh 60\n    priority 100\n}}\n{}",
        instance("    vrrp_garp_master_delay 1\n    delay_loop 6\n    vrrp_script chk\n")
    );
    insta::assert_snapshot!(refused(&text));
}

#[test]
fn a_missing_brace_is_an_error_and_the_next_block_is_still_read() {
    let text = "vrrp_instance A {\n    interface eth0\n    virtual_router_id 1\n    \
                virtual_ipaddress {\n        10.0.0.1\n    }\n\nvrrp_instance B {\n    interface \
                eth0\n    virtual_router_id 2\n    virtual_ipaddress {\n        10.0.0.2\n    \
                }\n    prioritty 3\n}\n";
    insta::assert_snapshot!(refused(text));
}

#[test]
fn what_an_instance_cannot_do_without_is_asked_for() {
    insta::assert_snapshot!(refused("vrrp_instance VI_1 {\n}\n"));
}

#[test]
fn a_value_that_is_no_number_or_out_of_range_is_an_error() {
    insta::assert_snapshot!(refused(&instance(
        "    priority high\n    virtual_router_id 0\n    down_timer_adverts 0\n    \
         preempt_delay 1001\n    garp_master_repeat 300\n    garp_master_delay soon\n"
    )));
}

#[test]
fn a_keyword_without_its_value_or_with_one_too_many_is_told_so() {
    insta::assert_snapshot!(refused(&instance("    priority\n    advert_int 1 2\n")));
}

#[test]
fn a_block_where_none_belongs_and_none_where_one_does_are_errors() {
    insta::assert_snapshot!(refused(&instance(
        "    priority 100 {\n    }\n    authentication PASS\n"
    )));
}

#[test]
fn state_master_below_255_is_one_warning_and_cancels_nothing() {
    let text = instance("    state MASTER\n    priority 150\n    nopreempt\n");
    let loaded = read(&text, Profile::DropIn).unwrap();
    assert!(!loaded.config.instances()[0].preempt);
    insta::assert_snapshot!(loaded.report);
}

#[test]
fn without_a_priority_state_master_makes_an_owner() {
    let loaded = read(&instance("    state MASTER\n"), Profile::DropIn).unwrap();
    assert!(loaded.config.instances()[0].priority.is_owner());
    insta::assert_snapshot!(loaded.report);
}

#[test]
fn an_owner_that_says_backup_or_nopreempt_is_told_that_it_has_no_effect() {
    insta::assert_snapshot!(used(&instance(
        "    state BACKUP\n    priority 255\n    nopreempt\n    preempt_delay 5\n"
    )));
}

#[test]
fn a_password_of_nine_characters_is_cut_with_a_warning() {
    let lines =
        "    authentication {\n        auth_type PASS\n        auth_pass 123456789\n    }\n";
    let loaded = read(&instance(lines), Profile::DropIn).unwrap();
    let password = loaded.config.instances()[0].password.unwrap();
    assert_eq!(password.octets(), *b"12345678");
    insta::assert_snapshot!(loaded.report);
}

#[test]
fn half_an_authentication_is_none_and_a_warning() {
    let lines = "    authentication {\n        auth_pass 1234\n    }\n";
    insta::assert_snapshot!(used(&instance(lines)));
}

#[test]
fn ah_is_refused_because_it_decides_who_is_master() {
    let lines = "    authentication {\n        auth_type AH\n        auth_pass 1234\n    }\n";
    insta::assert_snapshot!(refused(&instance(lines)));
}

#[test]
fn version_2_rounds_an_interval_with_a_warning() {
    let loaded = read(&instance("    advert_int 0.5\n"), Profile::DropIn).unwrap();
    assert_eq!(loaded.config.instances()[0].interval.centiseconds(), 100);
    insta::assert_snapshot!(loaded.report);
}

#[test]
fn version_3_ignores_a_password_with_a_warning() {
    let lines = "    version 3\n    authentication {\n        auth_type PASS\n        auth_pass \
                 1234\n    }\n";
    let loaded = read(&instance(lines), Profile::DropIn).unwrap();
    assert_eq!(loaded.config.instances()[0].password, None);
    insta::assert_snapshot!(loaded.report);
}

#[test]
fn what_is_adjusted_in_drop_in_is_an_error_in_every_rfc_profile() {
    let password =
        "    authentication {\n        auth_type PASS\n        auth_pass 123456789\n    }\n";
    let cases = ["    advert_int 0.5\n", "    advert_int 1 2\n", password];
    for lines in cases {
        assert!(read(&instance(lines), Profile::DropIn).is_ok(), "{lines}");
        for profile in [Profile::Rfc3768, Profile::Rfc5798, Profile::Rfc9568] {
            assert!(read(&instance(lines), profile).is_err(), "{lines} in {profile:?}");
        }
    }
}

#[test]
fn a_stray_unicast_ttl_is_an_error() {
    insta::assert_snapshot!(refused(&instance("    unicast_ttl 64\n")));
}

#[test]
fn unicast_without_a_check_of_the_source_is_a_note_that_names_the_keyword() {
    let peer = "    unicast_src_ip 10.0.0.1\n    unicast_peer {\n        10.0.0.2\n    }\n";
    insta::assert_snapshot!(used(&instance(peer)));
    let checked = format!("{peer}    check_unicast_src\n");
    assert_eq!(used(&instance(&checked)), "");
    let global = format!("global_defs {{\n    vrrp_check_unicast_src\n}}\n{}", instance(peer));
    assert_eq!(used(&global), "");
}

#[test]
fn a_peer_that_is_no_address_or_is_this_router_itself_is_an_error() {
    insta::assert_snapshot!(refused(&instance(
        "    unicast_src_ip 10.0.0.1\n    unicast_peer {\n        10.0.0.1\n    }\n"
    )));
    insta::assert_snapshot!(refused(&instance("    unicast_peer {\n        10.0.0\n    }\n")));
    insta::assert_snapshot!(refused(&instance("    unicast_peer {\n    }\n")));
}

#[test]
fn mistakes_in_an_address_point_at_the_word() {
    let text = "vrrp_instance VI_1 {\n    interface eth0\n    virtual_router_id 51\n    \
                virtual_ipaddress {\n        192.168.100./24\n        10.0.0.1/33\n        \
                10.0.0.2/24 dve eth1\n        10.0.0.3 scope lnk\n        \
                10.0.0.4 10.0.0.5\n        fe80::1\n        10.0.0.4\n        \
                10.0.0.6 noprefixroute\n    }\n}\n";
    insta::assert_snapshot!(refused(text));
}

#[test]
fn two_instances_that_are_one_are_an_error_that_shows_both() {
    let text = format!("{}{}", instance(""), instance("").replace("10.0.0.100", "10.0.0.101"));
    insta::assert_snapshot!(refused(&text));
}

#[test]
fn version_2_and_ipv6_is_an_error() {
    let text = instance("    version 2\n").replace("10.0.0.100", "fe80::1");
    insta::assert_snapshot!(refused(&text));
}

#[test]
fn a_sync_group_that_lists_its_members_without_a_block_is_told_how() {
    let text = format!("{}vrrp_sync_group G {{\n    VI_1\n}}\n", instance(""));
    insta::assert_snapshot!(refused(&text));
}

#[test]
fn a_group_of_unknown_members_is_an_error() {
    let text =
        format!("{}vrrp_sync_group G {{\n    group {{\n        VI_2\n    }}\n}}\n", instance(""));
    insta::assert_snapshot!(refused(&text));
}

#[test]
fn a_script_that_nobody_declares_is_an_error_and_one_declared_later_is_not() {
    let track = instance("    track_script {\n        chk_haproyx weight 2\n    }\n");
    let script = "vrrp_script chk_haproxy {\n    script \"killall -0 haproxy\"\n}\n";
    insta::assert_snapshot!(refused(&format!("{track}{script}")));
    let right = track.replace("haproyx", "haproxy");
    assert_eq!(used(&format!("{right}{script}")), "");
}

#[test]
fn an_instance_that_tracks_its_own_interface_is_a_warning() {
    let text = instance("    track_interface {\n        eth0\n        eth1\n    }\n");
    let loaded = read(&text, Profile::DropIn).unwrap();
    assert_eq!(loaded.config.instances()[0].tracks.len(), 1);
    insta::assert_snapshot!(loaded.report);
}

#[test]
fn what_is_not_built_is_an_error_if_it_decides_and_a_warning_if_not() {
    insta::assert_snapshot!(refused(&instance(
        "    kernel_rx_buf_size 9\n    use_vmac_addr\n    \
         track_bfd {\n        b\n    }\n    \
         lvs_sync_daemon_interface eth0\n    debug 4\n    native_ipv6\n"
    )));
}

#[test]
fn a_keyword_said_twice_is_a_warning_and_the_last_one_counts() {
    let loaded = read(&instance("    priority 10\n    priority 20\n"), Profile::DropIn).unwrap();
    assert_eq!(loaded.config.instances()[0].priority.get(), 20);
    insta::assert_snapshot!(loaded.report);
}

#[test]
fn a_virtual_server_without_a_protocol_is_an_error() {
    let text = server("    delay_loop 6\n    lb_algo rr\n    lb_kind DR\n");
    insta::assert_snapshot!(refused(&text));
}

#[test]
fn a_scheduler_that_the_kernel_does_not_have_is_an_error() {
    let text = server("    lb_algo loadbalance\n    lb_kind dr\n    protocol tcp\n");
    insta::assert_snapshot!(refused(&text));
}

#[test]
fn persistence_timeout_0_is_a_warning_and_means_off() {
    let lines = "    lb_algo rr\n    lb_kind DR\n    protocol TCP\n    persistence_timeout 0\n";
    let loaded = read(&server(lines), Profile::DropIn).unwrap();
    assert_eq!(loaded.config.director().virtual_servers[0].persistence, None);
    insta::assert_snapshot!(loaded.report);
}

#[test]
fn what_the_director_part_does_not_have_yet_is_an_error() {
    insta::assert_snapshot!(refused(&server(
        "    lb_algo rr\n    lb_kind DR\n    protocol TCP\n    nat_mask 255.255.255.0\n    \
         snmp_name x\n    real_server 10.0.0.2 80{\n        BFD_CHECK {\n            \
         name x\n        }\n        TCP_CHECK {\n            connect_port 8080\n            \
         conect_timeout 3\n        }\n    }\n"
    )));
}

#[test]
fn strictness_refuses_unicast_and_ignores_what_no_rfc_has() {
    let text = format!(
        "global_defs {{\n    vrrp_strict\n}}\n{}",
        instance(
            "    unicast_peer {\n        10.0.0.2\n    }\n    preempt_delay 5\n    \
             authentication {\n        auth_type PASS\n        auth_pass 1111\n    }\n"
        )
    );
    insta::assert_snapshot!(refused(&text));
}

#[test]
fn an_instance_without_an_address_is_a_warning_unless_it_is_meant() {
    let text = "vrrp_instance VI_1 {\n    interface eth0\n    virtual_router_id 51\n";
    insta::assert_snapshot!(used(&format!("{text}}}\n")));
    assert_eq!(used(&format!("{text}    no_virtual_ipaddress\n}}\n")), "");
}

#[test]
fn words_that_are_neither_on_nor_off_are_errors() {
    insta::assert_snapshot!(refused(&instance("    check_unicast_src enabled\n")));
}

#[test]
fn version_3_without_an_address_is_an_error_because_peers_would_discard_its_adverts() {
    let text = "vrrp_instance VI_1 {\n    interface eth0\n    virtual_router_id 51\n    version \
                3\n    no_virtual_ipaddress\n}\n";
    insta::assert_snapshot!(refused(text));
}

#[test]
fn an_ipv6_list_that_does_not_begin_link_local_is_a_warning_and_an_error_in_strict_mode() {
    let text = instance("").replace("10.0.0.100", "2001:db8::1");
    insta::assert_snapshot!(used(&text));
    insta::assert_snapshot!(refused(&format!("global_defs {{\n    vrrp_strict\n}}\n{text}")));
}

#[test]
fn a_merge_left_unfinished_is_an_error() {
    let text = instance("<<<<<<< HEAD\n    priority 100\n=======\n    priority 90\n>>>>>>> b\n");
    insta::assert_snapshot!(refused(&text));
}

#[test]
fn a_value_that_a_macro_makes_is_shown_where_it_is_used_and_where_it_is_written() {
    insta::assert_snapshot!(refused(&format!("$PRIO=high\n{}", instance("    priority $PRIO\n"))));
}

#[test]
fn many_mistakes_end_in_one_that_says_so() {
    let report = read(&"bogus\n".repeat(3_000), Profile::DropIn).unwrap_err();
    let last = report.diagnostics.iter().next().unwrap();
    assert_eq!(last.code, "too-many-mistakes");
    assert!(report.diagnostics.len() < 250);
}

#[test]
fn with_vrrp_only_nothing_is_said_of_what_is_not_built_of_virtual_servers() {
    let servers = "virtual_server 10.0.0.100 80 {\n    protocol TCP\n    lb_algo rr\n    \
                   lb_kind NAT\n    real_server 10.0.0.1 80 {\n        BFD_CHECK {\n            \
                   name x\n        }\n        HTTP_GET {\n        }\n    }\n}\n\
                   virtual_server fwmark 3 {\n}\nvirtual_server_group G {\n}\n";
    let text = format!("{}{servers}", instance(""));
    let read = |scope| {
        let files = InMemory::new().with("/k.conf", text.as_str());
        load_from(&files, Path::new("/k.conf"), &Options { scope, ..Options::default() })
    };
    let silent = read(Scope::VrrpOnly).unwrap();
    assert_eq!(silent.report.to_string(), "");
    assert_eq!(**silent.config.director(), DirectorConfig::default(), "they are somebody else's");
    let codes =
        |report: &Report| -> Vec<_> { report.diagnostics.iter().map(|found| found.code).collect() };
    assert_eq!(
        codes(&read(Scope::All).unwrap_err()),
        [
            "not-built",
            "missing-keyword",
            "value-adjusted",
            "value-adjusted",
            "value-adjusted",
            "unused"
        ]
    );
    // A mistake stays one.
    let mistaken = text.replace("10.0.0.1 80", "10.0.0.1 99999");
    let files = InMemory::new().with("/k.conf", mistaken);
    let options = Options { scope: Scope::VrrpOnly, ..Options::default() };
    assert!(load_from(&files, Path::new("/k.conf"), &options).is_err());
}

#[test]
fn with_checks_only_virtual_routers_are_read_and_left_to_somebody_else() {
    let servers = "virtual_server 10.0.0.100 80 {\n    protocol TCP\n    lb_algo rr\n    \
                   lb_kind NAT\n    real_server 10.0.0.1 80 {\n    }\n}\n\
                   global_defs {\n    lvs_sync_daemon eth0 VI_1\n    script_user root\n}\n\
                   static_ipaddress {\n    10.0.0.7/24 dev eth0\n}\n\
                   vrrp_script check {\n    script \"/bin/true\"\n}\n\
                   vrrp_sync_group G {\n    group {\n        VI_1\n    }\n}\n";
    let text = format!("{}{servers}", instance("track_script {\n check\n }\n"));
    let read = |text: &str| {
        let files = InMemory::new().with("/k.conf", text);
        let options = Options { scope: Scope::ChecksOnly, ..Options::default() };
        load_from(&files, Path::new("/k.conf"), &options)
    };
    let loaded = read(&text).unwrap();
    assert_eq!(loaded.config.instances(), []);
    assert_eq!(loaded.config.director().virtual_servers.len(), 1);
    assert_eq!(loaded.config.director().sync_daemon, None);
    assert_eq!(loaded.trackers.scripts, []);
    // A mistake stays one.
    assert!(read(&text.replace("virtual_router_id", "virtual_router")).is_err());
}

#[test]
fn a_yield_that_makes_no_sense_is_an_error_that_says_why() {
    for (lines, told) in [
        ("    one_way_yield 0.5\n", "the hold-down must be 1 to 86400 s"),
        ("    one_way_yield 86400.1\n", "the hold-down must be 1 to 86400 s"),
        (
            "    one_way_alarm 0\n    one_way_yield 60\n",
            "the one-way alarm, which must be 2 or more",
        ),
        (
            "    one_way_alarm 1\n    one_way_yield 60\n",
            "the one-way alarm, which must be 2 or more",
        ),
        ("    priority 255\n    one_way_yield 60\n", "an owner (priority 255) is master of its"),
        ("    one_way_yield\n", "one_way_yield"),
        ("    one_way_yield soon\n", "is not a time in seconds"),
    ] {
        let report = refused(&instance(lines));
        assert!(report.contains(told), "{report}");
        assert!(report.contains("one_way_yield"), "the line is shown: {report}");
    }
    let loaded = read(&instance("    nopreempt\n    one_way_yield 1.5\n"), Profile::DropIn);
    let hold_down = loaded.expect("used").config.instances()[0].one_way_yield;
    assert_eq!(hold_down, Some(std::time::Duration::from_millis(1500)));
}

#[test]
fn a_lease_outside_of_its_range_is_an_error_that_prints_the_range() {
    for (lines, told) in [
        (
            "    dead_man 2.5\n",
            "with this interval a lease is longer than 1.005 s and at most 1.98890625 s",
        ),
        (
            "    version 3\n    advert_int 0.1\n    dead_man 0.1\n",
            "with this interval a lease is longer than 0.105 s and at most 0.185390625 s",
        ),
        (
            "    version 3\n    advert_int 0.01\n    dead_man 0.02\n",
            "the interval is too short for a lease: up to 0.005 s are kept for late adverts and \
             0.01 s for the gate",
        ),
        (
            "    priority 255\n    dead_man 1.5\n",
            "an owner (priority 255) keeps its addresses, so it can have no lease",
        ),
        ("    dead_man soon\n", "is not a time in seconds"),
    ] {
        let report = refused(&instance(lines));
        assert!(report.contains(told), "{report}");
        assert!(report.contains("dead_man"), "the line is shown: {report}");
    }
    let loaded = read(&instance("    dead_man 1.5\n"), Profile::DropIn).expect("used");
    let lease = loaded.config.instances()[0].dead_man;
    assert_eq!(lease, Some(std::time::Duration::from_millis(1500)));
}
