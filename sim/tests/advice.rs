//! What `vipsim rehearse` advises: each row of the table for the pair that it is about, and no row
//! for a pair that has nothing of it.

mod pairs;

use pairs::*;
use vipd_sim::faults::FaultClass;
use vipd_sim::rehearse::advice::{ADVICE, Advice};
use vipd_sim::run::Ended;

#[test]
fn a_pair_without_a_fault_in_its_files_gets_no_advice() {
    assert_eq!(codes("good", &lb1(""), &lb2("")), Vec::<&str>::new());
}

/// Two files for each piece of advice; the pair above is where none of them appears.
fn advised() -> Vec<(&'static str, String, String)> {
    let with = |text: String, line: &str, other: &str| {
        assert!(text.contains(line), "{line} is not in {text}");
        text.replace(line, other)
    };
    let without = |text: String, line: &str| with(text, line, "");
    let unicast = |text: String, own: &str, peers: &str| {
        let source = format!("mcast_src_ip {own}");
        with(text, &source, &format!("unicast_src_ip {own}\n unicast_peer {{\n {peers}\n }}"))
    };
    let second = |text: String| {
        let inside = with(text.clone(), "VI_1", "VI_2");
        let inside = with(inside, "eth0", "eth1");
        let inside = with(inside, "virtual_router_id 51", "virtual_router_id 52");
        format!("{text}{}", with(inside, "192.0.2.", "198.51.100."))
    };
    let group = "vrrp_sync_group VG {\n group {\n VI_1\n VI_2\n }\n}\n";
    let slow =
        |text| with(with(text, "advert_int 0.1", "advert_int 1"), "dead_man 0.15", "dead_man 1.5");
    let v2 = |text| slow(with(text, "version 3", "version 2"));
    let owner = |text, priority| {
        let text = without(without(text, "nopreempt"), "dead_man 0.15");
        with(without(text, "one_way_yield 5"), priority, "priority 255")
    };
    let unleased = |text| with(text, "dead_man 1.5", "dead_man 0.15");
    let script = "vrrp_script gateway {\n script \"/usr/bin/ping -c 1 192.0.2.1\"\n}\n";
    let opaque = "vrrp_script gateway {\n script /etc/keepalived/chk_gw.sh\n}\n";
    let tracks = "track_script {\n gateway\n }";
    let own = "vrrp_script own {\n script \"/usr/bin/pgrep haproxy\"\n weight -20\n}\n";
    let lost = "track_script {\n own\n }";
    vec![
        ("vrid-differs", lb1(""), with(lb2(""), "router_id 51", "router_id 52")),
        ("version-differs", lb1(""), v2(lb2(""))),
        ("transport-differs", lb1(""), unicast(lb2(""), "192.0.2.12", "192.0.2.11")),
        ("source-twice", lb1(""), with(lb2(""), ".0.2.12", ".0.2.11")),
        (
            "peer-missing",
            unicast(lb1(""), "192.0.2.11", "192.0.2.13"),
            unicast(lb2(""), "192.0.2.12", "192.0.2.11"),
        ),
        ("interval-differs", lb1(""), slow(lb2(""))),
        (
            "password-differs",
            v2(lb1("authentication {\n auth_type PASS\n auth_pass one\n }")),
            v2(lb2("authentication {\n auth_type PASS\n auth_pass other\n }")),
        ),
        ("two-owners", owner(lb1(""), "priority 200"), owner(lb2(""), "priority 100")),
        ("addresses-differ", lb1(""), with(lb2(""), ".100/24", ".101/24")),
        ("source-is-virtual", with(lb1(""), ".0.2.11", ".0.2.100"), lb2("")),
        ("accepts-nothing", lb1("no_accept"), lb2("")),
        ("alone", second(lb1("")), lb2("")),
        ("equal-priorities", lb1(""), with(lb2(""), "priority 100", "priority 200")),
        ("nopreempt-master", lb1("state MASTER"), lb2("")),
        ("nopreempt-differs", without(lb1(""), "nopreempt"), lb2("")),
        ("script-is-no-witness", format!("{script}{}", lb1(tracks)), lb2("")),
        ("script-is-opaque", format!("{opaque}{}", lb1(tracks)), lb2("")),
        ("weight-too-small", format!("{own}{}", lb1(lost)), lb2("")),
        ("no-sync-group", second(lb1("")), second(lb2(""))),
        ("group-differs", format!("{}{group}", second(lb1(""))), second(lb2(""))),
        ("no-lease", without(lb1(""), "dead_man 0.15"), lb2("")),
        ("no-yield", without(lb1(""), "one_way_yield 5"), lb2("")),
        ("owner-discards", owner(unleased(v2(lb1(""))), "priority 200"), v2(lb2(""))),
        ("silent-to-lower", lb1("lower_prio_no_advert true"), lb2("")),
        ("no-last-advert", lb1(""), lb2("higher_prio_send_advert false")),
        ("no-repair", lb1("garp_lower_prio_repeat 0"), lb2("")),
        ("no-refresh", with(lb1(""), "garp_master_refresh 10", "garp_master_refresh 0"), lb2("")),
        ("slow-refresh", without(lb1(""), "garp_master_refresh 10"), lb2("")),
        ("preempts-at-once", without(lb1(""), "nopreempt"), without(lb2(""), "nopreempt")),
        ("slow-interval", slow(lb1("")), slow(lb2(""))),
    ]
}

#[test]
fn each_piece_of_advice_appears_for_the_pair_that_it_is_about() {
    let cases = advised();
    for (code, one, other) in &cases {
        let found = codes(&format!("advice-{code}"), one, other);
        assert!(found.contains(code), "{code} is not among {found:?}");
    }
    let tried: Vec<_> = cases.iter().map(|(code, ..)| *code).collect();
    let rows: Vec<_> = ADVICE.iter().map(|row| row.code).collect();
    assert_eq!(tried, rows, "each row has its pair, in the order of the table");
}

#[test]
fn a_stronger_mode_that_is_missing_is_advised_with_its_line_and_its_price() {
    let [one, other] = plain(&["dead_man 0.15", "one_way_yield 5"]);
    let found = advice("modes", &one, &other);
    let [lease, yields] = &found[..] else { panic!("{found:?}") };
    assert_eq!((lease.code, lease.keyword), ("no-lease", "dead_man"));
    assert!(lease.what.contains("VRID 51: a process on lb1 or lb2 that is killed"), "{lease:?}");
    assert!(lease.instead.starts_with("`dead_man 0.15`; its price: "), "{lease:?}");
    assert_eq!((yields.code, yields.keyword), ("no-yield", "one_way_yield"));
    // The lesser one is never a master that a lesser one does not hear.
    assert!(yields.what.contains("in which lb1 is not heard any more"), "{yields:?}");
    assert!(yields.instead.starts_with("`one_way_yield 600`; its price: "), "{yields:?}");
    assert!(yields.instead.ends_with("for 3 adverts"), "{yields:?}");
}

#[test]
fn a_stronger_mode_is_not_advised_where_it_cannot_be_or_changes_nothing() {
    let [one, other] = plain(&["dead_man 0.15", "one_way_yield 5"]);
    // An owner can have neither, and the lesser one needs no yield.
    let owner = one.replace("priority 200", "priority 255").replace("nopreempt", "");
    let found = codes("mode-of-owner", &owner, &other.replace("nopreempt", "dead_man 0.15"));
    assert_eq!(found, ["preempts-at-once"]);
    assert_eq!(codes("mode-of-lesser", &lb1(""), &other), ["no-lease"]);
    // No lease fits so short an interval; the longest of a range that ends early is named.
    let [short, shorter] = ["0.01", "0.02"].map(|every| {
        [&one, &other].map(|text| text.replace("advert_int 0.1", &format!("advert_int {every}")))
    });
    let lines = |name: &str, [one, other]: &[String; 2]| -> Vec<_> {
        let all = advice(name, one, other).into_iter();
        all.filter(|one| one.code == "no-lease").map(|one| one.instead).collect()
    };
    assert_eq!(lines("mode-short", &short), Vec::<String>::new());
    let [line] = &lines("mode-shorter", &shorter)[..] else { panic!("no line") };
    assert!(line.starts_with("`dead_man 0.025078125`; "), "{line}");
}

#[test]
fn where_intervals_differ_each_host_gets_a_lease_that_its_own_file_allows() {
    let [one, other] = plain(&["dead_man 0.15", "nopreempt"]);
    let slow = |text: &str, every| text.replace("advert_int 0.1", &format!("advert_int {every}"));
    let (one, other) = (slow(&one, 1), slow(&other, 2));
    let found = advice("leases", &one, &other);
    let leases: Vec<_> = found.iter().filter(|advice| advice.code == "no-lease").collect();
    let [first, second] = leases[..] else { panic!("{found:?}") };
    let mut files = [one, other];
    for (advice, text) in [first, second].into_iter().zip(&mut files) {
        let line = advice.instead.split('`').nth(1).expect("a line of the file");
        *text = text.replace("one_way_yield", &format!("{line}\n one_way_yield"));
    }
    assert!(first.what.contains("a process on lb1 that") && first.instead.contains("dead_man 1.5"));
    assert!(second.what.contains("a process on lb2 that"), "{second:?}");
    // Obeyed, it is no error and there is no more of it.
    let after = codes("leases-obeyed", &files[0], &files[1]);
    assert!(!after.contains(&"no-lease"), "{after:?}");
}

#[test]
fn where_nobody_is_better_nobody_is_said_to_take_the_address_back() {
    let equal = |text: String| text.replace("priority 200", "priority 100");
    let preempts = lb2("").replace("nopreempt", "");
    let found = codes("nobody-better", &equal(lb1("")), &preempts);
    assert_eq!(found, ["equal-priorities"]);
}

/// The advice about a script of lb1 with this command.
fn of_script(name: &str, command: &str) -> Vec<Advice> {
    let script = format!("vrrp_script gateway {{\n script \"{command}\"\n}}\n");
    let text = format!("{script}{}", lb1("track_script {\n gateway\n }"));
    advice(name, &text, &lb2(""))
}

#[test]
fn a_script_that_asks_an_address_of_somebody_else_is_no_witness_whatever_asks() {
    for (place, command) in [
        "curl http://10.9.9.9/",
        "/usr/bin/nc -z 192.0.2.1 80",
        "wget -q -O /dev/null http://10.9.9.9:8080/health",
        "dig @192.0.2.53 example.com",
        "/bin/sh -c 'curl -sf http://[2001:db8::1]:80/ || exit 1'",
        "/usr/bin/arping -c 1 192.0.2.1",
    ]
    .into_iter()
    .enumerate()
    {
        let found = of_script(&format!("asks-other-{place}"), command);
        let codes: Vec<_> = found.iter().map(|one| one.code).collect();
        assert_eq!(codes, ["script-is-no-witness"], "{command}");
    }
}

#[test]
fn a_script_that_asks_its_own_host_is_no_matter() {
    for (place, command) in [
        "curl -sf http://127.0.0.1/health",
        "/usr/bin/nc -z localhost 80",
        "curl http://192.0.2.11:8080/",
        "dig @192.0.2.100 example.com",
        "/usr/bin/killall -0 haproxy",
        "/bin/sh -c '[ -f /run/haproxy.pid ]'",
    ]
    .into_iter()
    .enumerate()
    {
        let found = of_script(&format!("asks-own-{place}"), command);
        assert!(found.is_empty(), "{command}: {found:?}");
    }
}

#[test]
fn of_a_script_that_is_a_program_of_its_own_it_is_said_that_nobody_can_tell() {
    for (place, (command, program)) in [
        ("/etc/keepalived/chk_gw.sh", "/etc/keepalived/chk_gw.sh"),
        ("/bin/sh /etc/keepalived/chk_gw.sh", "/bin/sh"),
        ("curl http://gateway.example.com/", "curl"),
    ]
    .into_iter()
    .enumerate()
    {
        let found = of_script(&format!("opaque-{place}"), command);
        let [only] = &found[..] else { panic!("{command}: {found:?}") };
        assert_eq!((only.code, only.keyword), ("script-is-opaque", "track_script"));
        assert!(only.what.starts_with(&format!("lb1: `gateway` runs {program}: ")), "{only:?}");
        assert!(only.what.contains("nobody can tell here whether it tells a cut"), "{only:?}");
    }
}

#[test]
fn a_pair_whose_address_answers_nobody_has_no_client_and_is_told_what_makes_users_wait() {
    let strict = |text: String| {
        let text = text.replace("dead_man 0.15\n", "").replace("one_way_yield 5\n", "");
        format!("global_defs {{\n vrrp_strict\n}}\n{text}")
    };
    let files = pair("strict", &strict(lb1("")), &strict(lb2("")));
    let said = run(&request(files, &[FaultClass::Stop, FaultClass::Cut], 5));
    assert_eq!(said.ended, Ended::Passed, "{}{}", said.out, said.err);
    assert!(said.out.contains("verdict: everything is within its formula"), "{}", said.out);
    assert!(!said.out.contains("client gap  "), "{}", said.out);
    assert!(said.out.contains("  `accept`: VRID 51: lb1 and lb2 without `accept`"), "{}", said.out);
    assert!(said.err.contains("note: lan: no client is made, for 192.0.2.100 "), "{}", said.err);
}

#[test]
fn a_script_that_is_tracked_and_asks_nobody_else_gets_no_advice() {
    let script = "vrrp_script own {\n script \"/usr/bin/pgrep haproxy\"\n}\n";
    let tracked = format!("{script}{}", lb1("track_script {\n own\n }"));
    assert_eq!(codes("own-service", &tracked, &lb2("")), Vec::<&str>::new());
    // What fails moves the address.
    let enough = tracked.replace("haproxy\"\n", "haproxy\"\n weight -101\n");
    assert_eq!(codes("enough-weight", &enough, &lb2("")), Vec::<&str>::new());
    // Declared and tracked by nobody.
    let ping = "vrrp_script gateway {\n script \"ping -c 1 192.0.2.1\"\n}\n";
    assert_eq!(codes("untracked", &format!("{ping}{}", lb1("")), &lb2("")), Vec::<&str>::new());
}
