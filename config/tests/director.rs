//! What the engine is given of virtual servers: defaults, inheritance, groups, checks.

use std::path::Path;
use std::time::Duration;

use vipd_config::text::InMemory;
use vipd_config::trackers::ScriptUser;
use vipd_config::{Loaded, Options, explain_from, load_from};
use vipd_engine::Family;
use vipd_engine::config::director::{
    AtStop, Forwarding, Protocol, RealServer, Scheduler, Service, Tunnel, TunnelChecksum,
    VirtualServer,
};
use vipd_engine::config::health::{Check, CheckKind, HttpCheck, HttpProtocol, PlacedCheck};

fn load(text: &str) -> Loaded {
    let files = InMemory::new().with("/k.conf", text);
    let loaded = load_from(&files, Path::new("/k.conf"), &Options::default());
    loaded.unwrap_or_else(|report| panic!("{report}"))
}

/// A virtual server with these lines, and a real server with these.
fn text(head: &str, lines: &str, real: &str) -> String {
    format!(
        "virtual_server {head} {{\nlb_algo rr\nlb_kind NAT\nprotocol TCP\n{lines}\n\
         real_server 10.0.1.1 8080 {{\n{real}\n}}\n}}\n"
    )
}

fn server(lines: &str, real: &str) -> VirtualServer {
    let loaded = load(&text("10.0.0.1 80", lines, real));
    VirtualServer::clone(&loaded.config.director().virtual_servers[0])
}

/// The check of a real server with these lines.
fn check(lines: &str, real: &str) -> Check {
    let server = server(lines, real);
    let [check] = &server.real_servers[0].checks[..] else { panic!("one check") };
    check.check()
}

fn all_checks(real: &RealServer) -> Vec<Check> {
    real.checks.iter().map(PlacedCheck::check).collect()
}

fn http(lines: &str) -> HttpCheck {
    let check = check("", &format!("HTTP_GET {{\n{lines}\n}}"));
    let CheckKind::Http(http) = check.kind else { panic!("HTTP") };
    *http
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_virtual_server_that_says_little_has_keepaliveds_defaults() {
    let server = server("", "TCP_CHECK {\n}");
    let address = Service::Address {
        address: "10.0.0.1".parse().unwrap(),
        port: 80,
        protocol: Protocol::Tcp,
    };
    assert_eq!(server.services, [address]);
    assert_eq!((server.quorum, server.hysteresis), (1, 0));
    assert!(!server.alpha && !server.omega && !server.ha_suspend);
    assert_eq!((server.persistence, server.sorry_server), (None, None));
    let [real] = &server.real_servers[..] else { panic!("one real server") };
    assert_eq!((real.port, real.weight, real.forwarding), (8080, 1, Forwarding::Nat));
    assert!(!real.inhibit_on_failure);
    let check = real.checks[0].check();
    assert_eq!((check.address.to_string(), check.port), ("10.0.1.1".to_owned(), 8080));
    assert_eq!(
        (check.timeout, check.delay_loop, check.warmup),
        (seconds(5), seconds(60), seconds(60))
    );
    assert_eq!((check.retry, check.delay_before_retry), (1, seconds(1)));
}

#[test]
fn each_check_has_its_own_retries() {
    let checks = [
        ("TCP_CHECK {\n}", 1, 1),
        ("SMTP_CHECK {\n}", 1, 1),
        ("PING_CHECK {\n}", 1, 1),
        ("UDP_CHECK {\n}", 1, 1),
        ("HTTP_GET {\nurl {\npath /\n}\n}", 1, 3),
        ("SSL_GET {\nurl {\npath /\n}\n}", 1, 3),
        ("DNS_CHECK {\n}", 3, 7),
        ("MISC_CHECK {\nmisc_path /bin/true\n}", 0, 1),
    ];
    for (real, retry, delay) in checks {
        let check = check("delay_loop 7", real);
        assert_eq!((check.retry, check.delay_before_retry), (retry, seconds(delay)), "{real}");
        assert_eq!((check.delay_loop, check.warmup), (seconds(7), seconds(7)), "{real}");
    }
    let misc = check("delay_loop 7", "MISC_CHECK {\nmisc_path /bin/true\n}");
    assert_eq!(misc.timeout, seconds(7));
}

#[test]
fn a_check_inherits_from_its_real_server_and_that_from_its_virtual_server() {
    let outer = "retry 5\ndelay_before_retry 6\nwarmup 0\nconnect_timeout 9\nalpha";
    let inherited = check(outer, "TCP_CHECK {\n}");
    assert_eq!((inherited.retry, inherited.delay_before_retry), (5, seconds(6)));
    assert_eq!((inherited.warmup, inherited.timeout), (Duration::ZERO, seconds(9)));
    assert!(inherited.alpha);
    let own = check(outer, "retry 7\nalpha off\nTCP_CHECK {\nconnect_timeout 1.5\n}");
    assert_eq!((own.retry, own.timeout, own.alpha), (7, Duration::from_millis(1500), false));

    let real = &server("weight 3\ninhibit_on_failure", "").real_servers[0];
    assert!(real.weight == 3 && real.inhibit_on_failure);
    let own = &server("weight 3\ninhibit_on_failure", "weight 0\ninhibit_on_failure no");
    assert!(own.real_servers[0].weight == 0 && !own.real_servers[0].inhibit_on_failure);
    // What the virtual server says counts wherever it stands.
    let text = "virtual_server 10.0.0.1 80 {\nprotocol TCP\nlb_algo rr\nlb_kind NAT\n\
                real_server 10.0.1.1 80 {\nTCP_CHECK {\n}\n}\nretry 9\n}\n";
    let loaded = load(text);
    assert_eq!(
        loaded.config.director().virtual_servers[0].real_servers[0].checks[0].manner().retry,
        9
    );
}

#[test]
fn schedulers_have_their_flags() {
    let mh = server("lb_algo mh\nmh-port\nmh-fallback", "").scheduling;
    assert_eq!((mh.scheduler, mh.flags), (Scheduler::Mh, 3));
    let sh = server("hashed\nsh-port\nlvs_sched sh", "").scheduling;
    assert_eq!((sh.scheduler, sh.flags, sh.hashed), (Scheduler::Sh, 2, true));
    let flags = server("flag-1\nflag-3", "").scheduling;
    assert_eq!((flags.scheduler, flags.flags), (Scheduler::Rr, 5));
    assert!(server("protocol UDP\nops", "").scheduling.one_packet);
}

#[test]
fn a_tunnel_has_a_type_and_a_checksum() {
    let forwarding = |lines: &str| server(lines, "").real_servers[0].forwarding;
    assert_eq!(forwarding("lb_kind TUN"), Forwarding::Tunnel(Tunnel::Ipip));
    assert_eq!(
        forwarding("lvs_method TUN type gue port 6080 remcsum"),
        Forwarding::Tunnel(Tunnel::Gue { port: 6080, checksum: TunnelChecksum::Remote })
    );
    assert_eq!(
        forwarding("lb_kind TUN csum type gre"),
        Forwarding::Tunnel(Tunnel::Gre { checksum: TunnelChecksum::Whole })
    );
    let own = server("lb_kind TUN type gre", "lvs_method NAT").real_servers[0].forwarding;
    assert_eq!(own, Forwarding::Nat);
}

#[test]
fn persistence_has_a_time_a_network_and_an_engine() {
    let bare = server("persistence_timeout", "").persistence.unwrap();
    assert_eq!((bare.timeout, bare.prefix_len, bare.engine), (seconds(360), 32, None));
    let lines = "persistence_timeout 600\npersistence_granularity 255.255.240.0\n\
                 persistence_engine sip";
    let all = server(lines, "").persistence.unwrap();
    assert_eq!((all.timeout, all.prefix_len), (seconds(600), 20));
    assert_eq!(all.engine.as_deref(), Some("sip"));
}

#[test]
fn only_nat_leads_to_another_port_and_checks_keep_theirs() {
    let with = |lines: &str| {
        let server = server(lines, "TCP_CHECK {\n}");
        (server.real_servers[0].port, server.real_servers[0].checks[0].port())
    };
    assert_eq!(with(""), (8080, 8080));
    assert_eq!(with("lb_kind DR"), (80, 8080));
    let marked = |lines: &str| {
        let text = text("fwmark 3", lines, "TCP_CHECK {\n}").replace("protocol TCP\n", "");
        let loaded = load(&text);
        let server = &loaded.config.director().virtual_servers[0];
        assert_eq!(server.services, [Service::Fwmark { mark: 3, family: Family::Ipv4 }]);
        (server.real_servers[0].port, server.real_servers[0].checks[0].port())
    };
    assert_eq!(marked(""), (8080, 8080));
    assert_eq!(marked("lb_kind DR"), (0, 8080));
}

#[test]
fn a_mark_is_of_the_family_of_its_real_servers() {
    let family = |lines: &str, real: &str| {
        let text = format!(
            "virtual_server fwmark 1 {{\nlb_algo rr\n{lines}\nreal_server {real} {{\n}}\n}}\n"
        );
        load(&text).config.director().virtual_servers[0].services[0].family()
    };
    assert_eq!(family("lb_kind NAT", "10.0.0.1"), Family::Ipv4);
    assert_eq!(family("lb_kind NAT", "2001:db8::1"), Family::Ipv6);
    assert_eq!(family("lb_kind TUN", "2001:db8::1"), Family::Ipv6);
    assert_eq!(family("lb_kind TUN\nip_family inet6", "10.0.0.1"), Family::Ipv6);
}

#[test]
fn a_group_is_all_its_addresses_and_marks() {
    let group = "virtual_server_group G {\n10.0.0.1 80\n10.0.0.250-10.0.1.3 81\n10.0.2.9-11 82\n\
                 10.0.3.4/30 83\nfwmark 7\n}\n";
    let loaded = load(&format!("{group}{}", text("group G", "", "")));
    let server = &loaded.config.director().virtual_servers[0];
    assert_eq!(server.name.to_string(), "TCP group G");
    let count = |wanted: u16| {
        let ports = server
            .services
            .iter()
            .filter(|service| matches!(service, Service::Address { port, .. } if *port == wanted));
        ports.count()
    };
    assert_eq!([80, 81, 82, 83].map(count), [1, 10, 3, 4]);
    assert_eq!(server.services[1].to_string(), "TCP 10.0.0.250:81");
    assert_eq!(server.services[10].to_string(), "TCP 10.0.1.3:81");
    assert_eq!(server.services.last().unwrap().to_string(), "fwmark 7");
    let six = "virtual_server_group G {\n2001:db8::fffe-ffff 80\n2001:db8::1:0/127 80\n}\n";
    let real = "lb_kind TUN";
    let loaded = load(&format!("{}{six}", text("group G", real, "")));
    let services = &loaded.config.director().virtual_servers[0].services;
    let services: Vec<_> = services.iter().map(ToString::to_string).collect();
    assert_eq!(
        services,
        [
            "TCP [2001:db8::fffe]:80",
            "TCP [2001:db8::ffff]:80",
            "TCP [2001:db8::1:0]:80",
            "TCP [2001:db8::1:1]:80"
        ]
    );
}

#[test]
fn a_group_of_marks_needs_no_protocol() {
    let group = "virtual_server_group G {\nfwmark 7\nfwmark 8\n}\n";
    let server = text("group G", "", "").replace("protocol TCP\n", "");
    let loaded = load(&format!("{group}{server}"));
    assert_eq!(loaded.config.director().virtual_servers[0].services.len(), 2);
    let said = load(&format!("{group}{}", text("group G", "", ""))).report.to_string();
    assert!(said.contains("packets with a mark are of any protocol"), "{said}");
}

#[test]
fn a_sorry_server_follows_its_virtual_server_unless_it_says_otherwise() {
    let sorry = |lines: &str| server(lines, "").sorry_server.unwrap();
    let plain = sorry("sorry_server 10.0.0.9");
    assert_eq!((plain.port, plain.forwarding, plain.inhibit), (80, Forwarding::Nat, false));
    let own = sorry("sorry_server_inhibit\nsorry_server_lvs_method DR\nsorry_server 10.0.0.9 81");
    assert_eq!((own.port, own.forwarding, own.inhibit), (80, Forwarding::DirectRouting, true));
}

#[test]
fn a_page_is_what_its_url_says() {
    let plain = http("url {\npath /\n}");
    assert_eq!((plain.tls.is_none(), plain.protocol), (true, HttpProtocol::V1_0));
    assert_eq!(plain.urls[0].status, [(200, 299)]);
    let all = http(
        "http_protocol 1.1\nvirtualhost a.example\nfast_recovery\nurl {\npath /x?y\n\
         status_code 200 300-302\ndigest 640205B7b0fc66c1ea91c463fac6334d\nvirtualhost b.example\n\
         regex \"all (is )?well$\"\nregex_options caseless dotall\nregex_no_match\n\
         regex_min_offset 3\nregex_max_offset 9\n}\nurl {\npath /z\n}",
    );
    assert_eq!((all.protocol, all.fast_recovery), (HttpProtocol::V1_1, true));
    assert_eq!(all.virtualhost.as_deref(), Some("a.example"));
    let [first, second] = &all.urls[..] else { panic!("two urls") };
    assert_eq!((first.path.as_str(), second.path.as_str()), ("/x?y", "/z"));
    assert_eq!(first.status, [(200, 200), (300, 302)]);
    assert_eq!(first.digest.unwrap()[..3], [0x64, 0x02, 0x05]);
    assert_eq!(first.virtualhost.as_deref(), Some("b.example"));
    let pattern = first.pattern.as_ref().unwrap();
    assert_eq!(pattern.expression, r"(?is-u)all (is )?well(?:\n?\z)");
    assert!(pattern.must_not_match);
    assert_eq!((pattern.min_offset, pattern.max_offset), (3, Some(9)));
    let inherited = check("virtualhost outer.example", "HTTP_GET {\nurl {\npath /\n}\n}");
    let CheckKind::Http(inherited) = inherited.kind else { panic!("HTTP") };
    assert_eq!(inherited.virtualhost.as_deref(), Some("outer.example"));
}

#[test]
fn tls_has_the_files_of_ssl_wherever_it_stands() {
    let real = "SSL_GET {\nenable_sni\nsni_name a.example\nurl {\npath /\n}\n}";
    let ssl = "SSL {\nca /etc/ca.pem\ncertificate /etc/own.pem\nkey /etc/own.key\n}\n";
    let loaded = load(&format!("{}{ssl}", text("10.0.0.1 443", "", real)));
    let check = loaded.config.director().virtual_servers[0].real_servers[0].checks[0].check();
    let CheckKind::Http(http) = &check.kind else { panic!("HTTP") };
    let tls = http.tls.as_ref().unwrap();
    assert!(tls.sni);
    assert_eq!(tls.sni_name.as_deref(), Some("a.example"));
    assert_eq!(tls.authorities.as_deref(), Some("/etc/ca.pem"));
    assert_eq!(tls.certificate.as_deref(), Some("/etc/own.pem"));
    assert_eq!(tls.key.as_deref(), Some("/etc/own.key"));
}

#[test]
fn a_mail_server_is_checked_at_each_of_its_hosts() {
    let real = "SMTP_CHECK {\nhelo_name a.example\nconnect_port 26\n\
                host {\nconnect_ip 10.0.2.1\n}\n\
                host {\nconnect_ip 10.0.2.2\nconnect_port 587\nbindto 10.0.0.5\n}\n}";
    let server = server("", real);
    let checks = all_checks(&server.real_servers[0]);
    let ends: Vec<_> = checks.iter().map(|one| format!("{}:{}", one.address, one.port)).collect();
    assert_eq!(ends, ["10.0.2.1:26", "10.0.2.2:587"]);
    assert_eq!(checks[1].bind.address.unwrap().to_string(), "10.0.0.5");
    assert_eq!(checks[0].kind, CheckKind::Smtp { helo_name: "a.example".to_owned() });
    // Without any port there are those of the protocols.
    let text = "virtual_server fwmark 1 {\nlb_algo rr\nlb_kind NAT\nreal_server 10.0.1.1 {\n\
                SMTP_CHECK {\n}\nDNS_CHECK {\n}\n}\n}\n";
    let loaded = load(text);
    let checks = all_checks(&loaded.config.director().virtual_servers[0].real_servers[0]);
    assert_eq!((checks[0].port, checks[1].port), (25, 53));
}

#[test]
fn datagrams_are_octets_and_an_x_is_any_digit() {
    let udp = |lines: &str| {
        let check = check("", &format!("UDP_CHECK {{\n{lines}\n}}"));
        let CheckKind::Udp(udp) = check.kind else { panic!("UDP") };
        *udp
    };
    let plain = udp("");
    assert_eq!((plain.payload.len(), plain.requires_reply), (8, false));
    assert_eq!((plain.min_reply, plain.max_reply), (0, 255));
    // As in keepalived.conf(5).
    let all = udp("payload \"Ab12f 3 456 546443123\"\nrequire_reply 41 Xx 4x\nmin_reply_length 2");
    assert_eq!(all.payload, [0xab, 0x12, 0x0f, 0x03, 0x45, 0x06, 0x54, 0x64, 0x43, 0x12, 0x03]);
    assert_eq!(all.reply, [(0x41, 0xff), (0, 0), (0x40, 0xf0)]);
    assert!(all.requires_reply && all.min_reply == 2);
    assert!(udp("require_reply").requires_reply);
}

#[test]
fn scripts_are_known_by_their_names_and_who_runs_them() {
    let real = "notify_up \"/bin/up a\" www\nnotify_down /bin/down\nMISC_CHECK {\n\
                misc_path \"/bin/check b\"\nmisc_dynamic\nmisc_timeout 4\nuser www adm\n}\n\
                MISC_CHECK {\nmisc_path /bin/check b\n}";
    let lines = "quorum_up /bin/gained\nquorum_down \"/bin/lost\" www\nsmtp_alert";
    let loaded = load(&text("10.0.0.1 80", lines, real));
    let server = &loaded.config.director().virtual_servers[0];
    let checks = all_checks(&server.real_servers[0]);
    assert_eq!(checks[0].timeout, seconds(4));
    let name = "/bin/check b (as www:adm)".to_owned();
    assert_eq!(checks[0].kind, CheckKind::Script { script: name.clone(), dynamic: true });
    let director = &loaded.director;
    let script = &director.checks[&name];
    let user = ScriptUser { user: "www".into(), group: Some("adm".into()) };
    assert_eq!((script.command.as_str(), &script.user), ("/bin/check b", &Some(user)));
    assert_eq!(director.checks["/bin/check b"].user, None);
    let notify = &director.notify[&server.name];
    assert_eq!(notify.up.as_ref().unwrap().command, "/bin/gained");
    assert_eq!(notify.mail, Some(true));
    let real = &notify.real_servers[&("10.0.1.1".parse().unwrap(), 8080)];
    assert_eq!(real.up.as_ref().unwrap().command, "/bin/up a");
    assert_eq!(real.mail, None);
    assert_eq!(director.scripts().count(), 6);
    assert!(director.mails_real_servers && !director.mails_virtual_servers);
}

#[test]
fn a_tracked_file_gives_its_weight_unless_the_check_has_one() {
    let weights = |lines: &str| {
        let real = format!("FILE_CHECK {{\ntrack_file F\n{lines}\n}}");
        let file = "track_file F {\nfile /run/f\nweight -2 reverse\n}\n";
        let loaded = load(&format!("{}{file}", text("10.0.0.1 80", "", &real)));
        let check = loaded.config.director().virtual_servers[0].real_servers[0].checks[0].check();
        let CheckKind::File { weight, reverse, .. } = &check.kind else { panic!("a file") };
        (*weight, *reverse)
    };
    assert_eq!(weights(""), (-2, true));
    assert_eq!(weights("weight 5"), (5, false));
}

#[test]
fn global_defs_say_what_holds_for_the_whole_table() {
    let vrrp = "vrrp_instance VI_1 {\ninterface eth0\nvirtual_router_id 51\nvirtual_ipaddress {\n\
                10.0.0.1\n}\n}\n";
    let globals = "global_defs {\nlvs_timeouts tcp 7200 udp 0\nlvs_sync_daemon eth0 VI_1 ttl 3\n\
                   lvs_flush\nlvs_flush_onstop VS\nrs_init_notifies\nchecker_log_all_failures\n\
                   lvs_notify_fifo /run/lvs www\nlvs_notify_fifo_script /bin/read\n\
                   smtp_alert_checker no\nno_checker_emails\n}\n";
    let real = "TCP_CHECK {\n}\nTCP_CHECK {\nconnect_port 1\nlog_all_failures no\n}";
    let loaded = load(&format!("{}{globals}{vrrp}", text("10.0.0.1 80", "", real)));
    let config = loaded.config.director();
    assert_eq!((config.timeouts.tcp, config.timeouts.udp), (Some(seconds(7200)), None));
    let daemon = config.sync_daemon.as_ref().unwrap();
    assert_eq!((daemon.id, daemon.ttl), (51, Some(3)), "the id is that of the instance");
    assert!(config.flush_at_start);
    assert_eq!(config.at_stop, AtStop::RemoveServices);
    let checks = all_checks(&config.virtual_servers[0].real_servers[0]);
    assert!(checks[0].tells_all_failures && !checks[1].tells_all_failures);
    let director = &loaded.director;
    assert!(director.tells_start && director.mails_changes_only && !director.mails_real_servers);
    let fifo = director.fifo.as_ref().unwrap();
    assert_eq!(fifo.path, "/run/lvs");
    assert_eq!(fifo.script().unwrap().command, "/bin/read");
    assert!(loaded.notify.fifos.is_empty(), "it is not told of virtual routers");
}

#[test]
fn an_inherited_value_has_the_place_where_it_was_given() {
    let text = "virtual_server 10.0.0.1 80 {\n  lb_algo rr\n  lb_kind DR\n  protocol TCP\n  \
                retry 5\n  real_server 10.0.1.1 80 {\n    delay_loop 9\n    HTTP_GET {\n      \
                connect_timeout 3\n      url {\n        path /\n      }\n    }\n  }\n}\n";
    let files = InMemory::new().with("/k.conf", text);
    let explained = explain_from(&files, Path::new("/k.conf"), &Options::default());
    let (_, effective) = explained.unwrap_or_else(|report| panic!("{report}"));
    let real = &effective.as_value()["virtual_server"][0]["real_server"][0];
    assert_eq!(real["lvs_method"]["origin"], "/k.conf:3:11");
    let check = &real["HTTP_GET"][0];
    let origins = ["retry", "delay_loop", "connect_timeout", "warmup"]
        .map(|keyword| check[keyword]["origin"].as_str().unwrap().to_owned());
    assert_eq!(origins, ["/k.conf:5:9", "/k.conf:7:16", "/k.conf:9:23", "default"]);
    assert_eq!(check["warmup"]["value"], 9);
    assert_eq!(check["url"][0]["path"]["origin"], "/k.conf:11:14");
}
