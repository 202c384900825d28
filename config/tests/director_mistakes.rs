//! What is said about each mistake in virtual servers: snapshots of the whole report.

use std::path::Path;

use vipd_config::text::InMemory;
use vipd_config::{Loaded, Options, Report, load_from};
use vipd_engine::Profile;

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

/// The report on a file that is used, and what the engine is given of its virtual server.
#[track_caller]
fn used(text: &str) -> (String, Loaded) {
    let loaded = read(text, Profile::DropIn).unwrap_or_else(|report| panic!("{report}"));
    (loaded.report.to_string(), loaded)
}

/// A virtual server with these lines and these of its real server.
fn server(lines: &str, real: &str) -> String {
    format!(
        "virtual_server 10.0.0.1 80 {{\n    lb_algo rr\n    lb_kind NAT\n    protocol TCP\n{lines}\
         \x20   real_server 10.0.1.1 80 {{\n{real}    }}\n}}\n"
    )
}

fn group(entries: &str) -> String {
    format!(
        "virtual_server_group G {{\n{entries}}}\n{}",
        server("", "").replace("10.0.0.1 80", "group G")
    )
}

#[test]
fn what_keepalived_cuts_is_told_with_what_is_used() {
    let lines = "    quorum 5\n    hysteresis 3\n    ops\n    sh-port\n    hashed\n    \
                 ip_family inet6\n    sorry_server_inhibit\n    persistence_granularity 24\n";
    let (report, loaded) = used(&server(lines, ""));
    let server = &loaded.config.director().virtual_servers[0];
    assert_eq!((server.quorum, server.hysteresis), (1, 0));
    let scheduling = server.scheduling;
    assert!(!scheduling.one_packet && !scheduling.hashed && scheduling.flags == 0);
    assert_eq!((&server.persistence, &server.sorry_server), (&None, &None));
    insta::assert_snapshot!(report);
    let strictly = read(&self::server(lines, ""), Profile::Rfc9568).expect_err("errors there");
    assert!(strictly.diagnostics.errors().count() >= 6, "{strictly}");
}

#[test]
fn a_port_that_packets_never_get_is_told_once() {
    let text = server("    lb_kind DR\n    real_server 10.0.1.2 81 {\n    }\n", "")
        .replace("10.0.1.1 80", "10.0.1.1 82");
    let text = text.replace("    lb_kind NAT\n", "");
    let (report, loaded) = used(&text);
    let real = &loaded.config.director().virtual_servers[0].real_servers;
    assert_eq!((real[0].port, real[1].port), (80, 80));
    insta::assert_snapshot!(report);
    let mark = server("", "").replace("10.0.0.1 80", "fwmark 3").replace("NAT", "DR");
    insta::assert_snapshot!(used(&mark).0);
}

#[test]
fn a_virtual_server_without_a_real_server_is_left_out_as_in_keepalived() {
    let text = "virtual_server 10.0.0.1 80 {\n    lb_algo rr\n    lb_kind NAT\n    protocol TCP\n\
                \x20   sorry_server 10.0.0.9 80\n}\n";
    let (report, loaded) = used(text);
    assert!(loaded.config.director().virtual_servers.is_empty());
    insta::assert_snapshot!(report);
}

#[test]
fn a_service_or_a_real_server_that_stands_twice_is_an_error_that_shows_both() {
    let twice = format!("{}{}", server("", ""), server("", ""));
    insta::assert_snapshot!(refused(&twice));
    insta::assert_snapshot!(refused(&server("    real_server 10.0.1.1 80 {\n    }\n", "")));
}

#[test]
fn a_real_server_of_the_other_family_needs_a_tunnel() {
    let text = server("    sorry_server fe80::9\n", "").replace("10.0.1.1", "2001:db8::1");
    insta::assert_snapshot!(refused(&text));
}

#[test]
fn what_the_kernel_would_refuse_is_an_error() {
    insta::assert_snapshot!(refused(&server("", "        uthreshold 3\n        lthreshold 4\n")));
    insta::assert_snapshot!(refused(&server("", "").replace("10.0.0.1 80", "10.0.0.1")));
    let lines = "    lb_kind TUN type gue\n    lvs_sched none\n    sorry_server x\n    \
                 sorry_server_lvs_method TUN type gre remcsum\n    lb_kind TUN csum\n    \
                 persistence_granularity 255.0.255.0\n    quorum 0\n    retry 0\n";
    insta::assert_snapshot!(refused(&server(lines, "        weight -1\n")));
}

#[test]
fn a_group_is_known_and_its_lines_are_addresses_ranges_or_marks() {
    let text = server("", "").replace("10.0.0.1 80", "group H");
    insta::assert_snapshot!(refused(&format!(
        "virtual_server_group G {{\n    fwmark 1\n}}\n{text}"
    )));
    insta::assert_snapshot!(refused(&group(
        "    10.0.0.5-1 80\n    10.0.0.7/29 80\n    10.0.0.300 80\n    10.0.0.1-fe80::1 80\n    \
         fwmark\n    fwmark 3 inet7\n    10.0.0.1 80 x\n"
    )));
    insta::assert_snapshot!(refused(&group("")));
}

#[test]
fn a_group_of_too_many_services_is_an_error_that_names_a_better_way() {
    insta::assert_snapshot!(refused(&group("    10.0.0.0/8 80\n")));
    let (_, loaded) = used(&group("    10.0.0.0/16 80\n"));
    assert_eq!(loaded.config.director().virtual_servers[0].services.len(), 1 << 16);
    let wide = group("    2001:db8::/32 80\n    ::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 80\n");
    assert!(refused(&wide).contains("too-many-services"));
}

#[test]
fn checks_without_what_they_need_are_errors() {
    let checks = "        HTTP_GET {\n        }\n        SSL_GET {\n            url {\n            \
                  }\n        }\n        MISC_CHECK {\n        }\n        FILE_CHECK {\n        }\n\
                  \x20       FILE_CHECK {\n            track_file F\n        }\n";
    insta::assert_snapshot!(refused(&server("", checks)));
    let text = server("", "        TCP_CHECK {\n        }\n").replace("10.0.0.1 80", "fwmark 1");
    let text = text.replace("    protocol TCP\n", "").replace("10.0.1.1 80", "10.0.1.1");
    insta::assert_snapshot!(refused(&text));
}

#[test]
fn values_of_checks_that_cannot_be_meant_are_errors() {
    let checks = "        TCP_CHECK {\n            connect_port 0\n            bindto fe80::1\n\
                  \x20       }\n        DNS_CHECK {\n            type PTR\n            name a..b\n\
                  \x20       }\n        UDP_CHECK {\n            payload 0g\n            \
                  min_reply_length 9\n            max_reply_length 8\n        }\n        \
                  HTTP_GET {\n            http_protocol 2\n            enable_sni\n            \
                  nb_get_retry 2\n            url {\n                path x\n                \
                  digest 12\n                status_code 99 300-200\n                \
                  regex_options bogus firstline\n                regex_stack 1 2\n            }\n\
                  \x20       }\n        MISC_CHECK {\n            misc_path /bin/true\n            \
                  connect_ip 10.0.0.1\n        }\n";
    insta::assert_snapshot!(refused(&server("", checks)));
}

#[test]
fn an_expression_that_is_not_built_is_pointed_at() {
    let url = |expression: &str| {
        server(
            "",
            &format!(
                "        HTTP_GET {{\n            url {{\n                path /\n                \
                 regex {expression}\n            }}\n        }}\n"
            ),
        )
    };
    insta::assert_snapshot!(refused(&url("\"up(?!grading)\"")));
    insta::assert_snapshot!(refused(&url("\"(a)b\\\\1\"")));
    insta::assert_snapshot!(refused(&url("\"a++\"")));
    insta::assert_snapshot!(refused(&url("\"(\"")));
}

#[test]
fn mistakes_in_the_settings_of_the_table_are_errors() {
    insta::assert_snapshot!(refused(
        "global_defs {\n    lvs_timeouts\n    lvs_timeouts foo 5\n    \
         lvs_timeouts tcp 9999999\n    \
         lvs_sync_daemon eth0 VI_1 group 10.0.0.1\n    lvs_flush_on_stop x\n}\n"
    ));
    let (report, _) = used("global_defs {\n    lvs_notify_fifo_script /bin/x\n}\n");
    insta::assert_snapshot!(report);
}

#[test]
fn an_error_of_each_of_many_real_servers_ends_soon() {
    let many: String = (0..1000)
        .map(|port| format!("    real_server fe80::1 {} {{\n    }}\n", port + 1))
        .collect();
    let report = read(&server(&many, ""), Profile::DropIn).expect_err("the other family");
    assert!(report.diagnostics.len() < 250, "{}", report.diagnostics.len());
}
