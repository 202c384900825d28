//! `vipsim rehearse`: the page for a pair of files, what it measures, and what it advises.

use std::path::{Path, PathBuf};

use serde_json::Value;
use vipd_config::diagnostics::Colour;
use vipd_sim::bare_files;
use vipd_sim::faults::FaultClass;
use vipd_sim::rehearse::advice::{ADVICE, Advice, advise};
use vipd_sim::rehearse::{Request, rehearse};
use vipd_sim::run::Ended;

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("rehearse-{name}"));
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Files `lb1.conf` and `lb2.conf` of these texts.
fn pair(name: &str, one: &str, other: &str) -> Vec<PathBuf> {
    let folder = folder(name);
    let write = |file: &str, text: &str| {
        let path = folder.join(file);
        std::fs::write(&path, text).expect("a file");
        path
    };
    vec![write("lb1.conf", one), write("lb2.conf", other)]
}

/// An instance that no advice is about, if it is the lesser one.
fn instance(priority: u8, rest: &str) -> String {
    format!(
        "vrrp_instance VI_1 {{\n interface eth0\n virtual_router_id 51\n version 3\n \
         advert_int 0.1\n priority {priority}\n nopreempt\n garp_master_refresh 10\n \
         dead_man 0.15\n one_way_yield 5\n {rest}\n virtual_ipaddress {{\n \
         192.0.2.100/24\n }}\n}}\n"
    )
}

fn lb1(rest: &str) -> String {
    instance(200, &format!("mcast_src_ip 192.0.2.11\n {rest}"))
}

fn lb2(rest: &str) -> String {
    instance(100, &format!("mcast_src_ip 192.0.2.12\n {rest}"))
}

fn request(files: Vec<PathBuf>, classes: &[FaultClass], runs: u64) -> Request {
    Request {
        files,
        classes: classes.to_vec(),
        runs,
        seed: None,
        jobs: 2,
        json: false,
        html: None,
        bar: false,
        colour: Colour::Never,
        stop: || false,
    }
}

struct Said {
    ended: Ended,
    out: String,
    err: String,
}

fn run(request: &Request) -> Said {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let ended = rehearse(request, &mut out, &mut err).expect("memory takes everything");
    let text = |octets: Vec<u8>| String::from_utf8(octets).expect("text");
    Said { ended, out: text(out), err: text(err) }
}

fn json(request: &Request) -> Value {
    let said = run(&Request { json: true, ..request.clone() });
    serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {}", said.err))
}

/// The codes of the advice for a pair.
fn codes(name: &str, one: &str, other: &str) -> Vec<&'static str> {
    advice(name, one, other).into_iter().map(|one| one.code).collect()
}

fn advice(name: &str, one: &str, other: &str) -> Vec<Advice> {
    let mut err = Vec::new();
    let files = pair(name, one, other);
    let bare = bare_files::read(&files, Colour::Never, &mut err).expect("memory takes it all");
    let bare = bare.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&err)));
    advise(&bare.files)
}

#[test]
fn a_pair_without_a_fault_in_its_files_gets_no_advice() {
    assert_eq!(codes("good", &lb1(""), &lb2("")), Vec::<&str>::new());
}

/// Two files for each piece of advice; the pair above is where none of them appears.
fn advised() -> Vec<(&'static str, String, String)> {
    let without = |text: String, line: &str| {
        assert!(text.contains(line), "{line} is not in {text}");
        text.replace(line, "")
    };
    let with = |text: String, line: &str, other: &str| {
        assert!(text.contains(line), "{line} is not in {text}");
        text.replace(line, other)
    };
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
    let script = "vrrp_script gateway {\n script \"/usr/bin/ping -c 1 192.0.2.1\"\n}\n";
    let opaque = "vrrp_script gateway {\n script /etc/keepalived/chk_gw.sh\n}\n";
    let tracks = "track_script {\n gateway\n }";
    let own = "vrrp_script own {\n script \"/usr/bin/pgrep haproxy\"\n weight -20\n}\n";
    let lost = "track_script {\n own\n }";
    vec![
        ("vrid-differs", lb1(""), with(lb2(""), "router_id 51", "router_id 52")),
        ("version-differs", lb1(""), v2(lb2(""))),
        ("transport-differs", lb1(""), unicast(lb2(""), "192.0.2.12", "192.0.2.11")),
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

/// These lines of both files are gone.
fn plain(lines: &[&str]) -> [String; 2] {
    [lb1(""), lb2("")].map(|text| {
        lines.iter().fold(text, |text, line| {
            assert!(text.contains(line), "{line} is not in {text}");
            text.replace(line, "")
        })
    })
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

#[test]
fn a_clean_stop_and_a_crash_are_as_long_as_their_formulas_say() {
    let classes = [FaultClass::HostCrash, FaultClass::Stop];
    let whole = json(&request(pair("bounds", &lb1(""), &lb2("")), &classes, 24));
    assert_eq!(whole["verdict"], "within");
    let worst = |class: usize, measure: &str| {
        let seen = &whole["classes"][class]["worst"][measure];
        let number = |key: &str| seen[key].as_u64().unwrap_or_else(|| panic!("{seen}"));
        (number("value_ns"), number("bound_ns"))
    };
    // M = 3 * 100 ms + 156/256 * 100 ms of lb2, and D = 100 us.
    let (crash, bound) = worst(0, "failover");
    assert_eq!(bound, 300_000_000 + 60_937_500 + 100_000);
    assert!(crash > 250_000_000 && crash <= bound, "{crash}");
    let (stop, bound) = worst(1, "failover");
    assert_eq!(bound, 60_937_500 + 100_000);
    assert_eq!(stop, bound, "the lesser one waits exactly its skew");
    let (gap, bound) = worst(0, "client_gap");
    assert!(gap > crash && gap <= bound, "{gap}");
}

#[test]
fn in_a_cut_there_are_two_masters_as_long_as_it_lasts_and_the_formula_says_so() {
    let whole = json(&request(pair("cut", &lb1(""), &lb2("")), &[FaultClass::Cut], 12));
    let two = &whole["classes"][0]["worst"]["two_masters"];
    assert_eq!(two["formula"], "f + A + D");
    assert!(two["value_ns"].as_u64() > Some(100_000_000), "{two}");
    assert_eq!(whole["classes"][0]["worst"]["no_master"], Value::Null);
}

/// Formula, bound and worst value of a measure of the one class that was rehearsed.
fn worst(whole: &Value, measure: &str) -> (String, u64, u64) {
    assert_eq!(whole["verdict"], "within", "{whole}");
    let seen = &whole["classes"][0]["worst"][measure];
    let number = |key: &str| seen[key].as_u64().unwrap_or_else(|| panic!("{seen}"));
    let formula = seen["formula"].as_str().unwrap_or_else(|| panic!("{seen}"));
    (formula.to_owned(), number("bound_ns"), number("value_ns"))
}

#[test]
fn with_a_lease_what_a_dead_process_leaves_is_bounded_by_it_and_without_by_nobody() {
    let [one, other] = plain(&["dead_man 0.15"]).map(|text| text.replace("nopreempt", ""));
    let [leased, lesser] = [lb1(""), lb2("")].map(|text| text.replace("nopreempt", ""));
    for class in [FaultClass::ProcessCrash, FaultClass::Pause] {
        let name = class.name();
        let rehearse = |kind: &str, one: &str, other: &str| {
            json(&request(pair(&format!("{kind}-{name}"), one, other), &[class], 12))
        };
        let (formula, bound, value) = worst(&rehearse("leased", &leased, &lesser), "two_owners");
        assert_eq!((&*formula, bound), ("l + R", 150_000_000 + 10_000_000));
        // Its gate is shut before anybody takes over: what is left is a better one that returns.
        assert!(value < 1_000_000, "{name}: {value}");
        let (formula, bound, value) = worst(&rehearse("unleased", &one, &other), "two_owners");
        assert_eq!(formula, "f + A + D");
        assert!(value > 150_000_000 && bound > value, "{name}: {value} of {bound}");
        // One that has none is enough.
        let (formula, ..) = worst(&rehearse("half", &leased, &other), "two_owners");
        assert_eq!(formula, "f + A + D");
    }
}

#[test]
fn where_a_master_that_is_not_heard_yields_two_are_master_for_its_alarm_only() {
    let class = [FaultClass::OneWayCut];
    let with = json(&request(pair("yields", &lb1(""), &lb2("")), &class, 24));
    for measure in ["two_masters", "two_owners"] {
        let (formula, bound, value) = worst(&with, measure);
        assert_eq!((&*formula, bound), ("Y + 2D", 300_000_000 + 200_000));
        assert!(value > 100_000_000 && value <= bound, "{value}");
    }
    // One that answers nobody waits for its own next advert after each that it counts, and until
    // the rival had half an interval to hear it.
    let silent = [lb1, lb2].map(|file| file("lower_prio_no_advert true"));
    let silent = json(&request(pair("silent", &silent[0], &silent[1]), &class, 24));
    let (formula, bound, value) = worst(&silent, "two_masters");
    assert_eq!((&*formula, bound), ("Y + 2D", 300_000_000 + 2 * 150_000_000 + 200_000));
    assert!(value > 100_000_000 && value <= bound, "{value}");
    let [one, other] = plain(&["one_way_yield 5"]);
    let without = json(&request(pair("stays", &one, &other), &class, 24));
    let (formula, _, value) = worst(&without, "two_masters");
    assert_eq!(formula, "f + A + D");
    assert!(value > 300_200_000, "{value}");
}

#[test]
fn the_page_is_the_same_for_any_number_of_threads_and_names_seeds_that_play_the_same_again() {
    let files = pair("threads", &lb1(""), &lb2(""));
    let classes = [FaultClass::Pause, FaultClass::AdvertsLost];
    let one = run(&Request { jobs: 1, ..request(files.clone(), &classes, 8) });
    let many = run(&Request { jobs: 5, ..request(files.clone(), &classes, 8) });
    assert_eq!(one.out, many.out);
    let whole = json(&request(files.clone(), &classes, 8));
    let seen = &whole["classes"][0]["worst"]["client_gap"];
    let seen = if seen.is_null() { &whole["classes"][0]["worst"]["failover"] } else { seen };
    let seed = seen["seed"].as_u64().expect("a seed");
    let again = run(&Request { seed: Some(seed), ..request(files, &[FaultClass::Pause], 8) });
    assert_eq!(again.ended, Ended::Passed, "{}", again.err);
    let lines = seen["timeline"].as_array().expect("its lines");
    assert!(!lines.is_empty());
    for line in lines {
        let line = line.as_str().expect("text");
        assert!(again.out.contains(line), "{line} is not in\n{}", again.out);
    }
}

#[test]
fn a_run_that_is_played_again_has_the_figures_of_the_whole_rehearsal() {
    let files = pair("figures", &lb1(""), &lb2(""));
    let classes = [FaultClass::ProcessCrash, FaultClass::Cut, FaultClass::Mismatch];
    let whole = json(&request(files.clone(), &classes, 6));
    for (class, of_class) in classes.into_iter().zip(whole["classes"].as_array().expect("all")) {
        let worst = of_class["worst"].as_object().expect("measures");
        assert!(worst.values().any(Value::is_object), "{worst:?}");
        for (measure, seen) in worst.iter().filter(|(_, seen)| seen.is_object()) {
            let asked =
                Request { seed: seen["seed"].as_u64(), ..request(files.clone(), &[class], 6) };
            let again = json(&asked);
            let alone = &again["worst"][measure];
            assert_eq!(again["verdict"], "pass");
            for key in keys(alone) {
                assert_eq!(alone[&key], seen[&key], "{class} {measure} {key}");
            }
            assert_eq!(keys(alone).len() + 3, keys(seen).len(), "but for what names the run");
        }
    }
}

#[test]
fn a_run_without_a_fault_of_a_director_is_beside_no_formula() {
    let files = pair("client", &lb1(""), &lb2(""));
    let mut runs = (1..64).map(|seed| {
        run(&Request { seed: Some(seed), ..request(files.clone(), &[FaultClass::HostCrash], 1) })
    });
    let spared = runs.find(|said| said.out.contains("a rehearsal leaves it out"));
    let spared = spared.expect("no fault is drawn for some seed");
    assert_eq!(spared.ended, Ended::Passed, "{}", spared.out);
    assert!(spared.out.contains("verdict: pass") && !spared.out.contains("formula"));
}

#[test]
fn a_class_that_does_not_apply_says_why() {
    let files = pair("lacks", &lb1(""), &lb2(""));
    let said = run(&request(files, &[FaultClass::Flaps], 5));
    assert_eq!(said.ended, Ended::Passed);
    assert!(said.out.contains("does not apply: nothing is tracked"), "{}", said.out);
}

#[test]
fn files_without_a_virtual_router_in_common_get_their_advice_and_end_with_2() {
    let files = pair("nothing", &lb1(""), &lb2("").replace("router_id 51", "router_id 52"));
    let said = run(&request(files, &[FaultClass::Cut], 5));
    assert_eq!(said.ended, Ended::Unusable);
    assert!(said.out.contains("`virtual_router_id`"), "{}", said.out);
    assert!(said.err.contains("nothing to rehearse"), "{}", said.err);
}

#[test]
fn the_html_is_one_file_without_anything_from_elsewhere_and_escapes_what_it_shows() {
    let folder = folder("html");
    let (one, other) = (folder.join("<b>&.conf"), folder.join("lb2.conf"));
    std::fs::write(&one, lb1("")).expect("a file");
    std::fs::write(&other, lb2("")).expect("a file");
    let page = folder.join("page.html");
    let asked = request(vec![one, other], &[FaultClass::HostCrash, FaultClass::Flaps], 5);
    let said = run(&Request { html: Some(page.clone()), ..asked });
    assert_eq!(said.ended, Ended::Passed, "{}", said.err);
    let text = std::fs::read_to_string(&page).expect("the page");
    assert!(text.starts_with("<!doctype html>") && text.ends_with("</html>\n"));
    assert!(text.contains("&lt;b&gt;&amp;.conf") && !text.contains("<b>&"), "{text}");
    let without = text.replace("http://www.w3.org/2000/svg", "");
    for foreign in ["http:", "https:", "<img", " src=", "@import", "fetch("] {
        assert!(!without.contains(foreign), "{foreign}");
    }
    for part in ["host-crash", "power_off", "does not apply", "the worst failover"] {
        assert!(text.contains(part), "{part}");
    }
    assert!(!folder.join("page.html.part").exists());
}

#[test]
fn what_cannot_be_written_is_said_before_the_work() {
    let files = pair("unwritable", &lb1(""), &lb2(""));
    let nowhere = Some(folder("unwritable").join("no/such/page.html"));
    let said = run(&Request { html: nowhere, ..request(files, &[FaultClass::Cut], 5) });
    assert_eq!(said.ended, Ended::Unusable);
    assert!(said.err.contains("cannot write") && said.out.is_empty(), "{}", said.err);
}

#[test]
fn an_interrupted_rehearsal_shows_what_it_has_and_says_so() {
    let files = pair("interrupted", &lb1(""), &lb2(""));
    let said = run(&Request { stop: || true, ..request(files, &[FaultClass::Cut], 5) });
    assert!(said.err.contains("interrupted") && said.out.contains("interrupted"), "{}", said.err);
    assert!(said.out.contains("(0 runs)"), "{}", said.out);
}

#[test]
fn an_interrupted_run_of_a_rehearsal_prints_what_it_has_and_is_none_that_passed() {
    // With such an interval it takes hours of its own time, and an hour is played at once.
    let slow = |text: String| {
        let text = text.replace("version 3", "version 2").replace("0.1\n", "255\n");
        text.replace("dead_man 0.15\n", "")
    };
    let files = pair("interrupted-run", &slow(lb1("")), &slow(lb2("")));
    let asked = Request { seed: Some(1), ..request(files, &[FaultClass::HostCrash], 1) };
    let said = run(&Request { stop: || true, ..asked.clone() });
    assert_eq!(said.ended, Ended::Skipped, "{}", said.err);
    assert!(said.out.contains("interrupted at "), "{}", said.out);
    let whole = run(&asked);
    assert_eq!(whole.ended, Ended::Passed, "{}", whole.err);
    let master = |line: &&str| line.contains("backup -> master");
    let first = whole.out.lines().find(master).expect("a master");
    assert!(said.out.contains(first), "{}", said.out);
}

/// The words in back quotes in the first column of the table that follows `heading`, and that of
/// the headings below it.
fn documented(heading: &str) -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let text = std::fs::read_to_string(page.join("docs/json.md")).expect("docs/json.md");
    let (_, own) = text.split_once("# The JSON of `vipsim rehearse --json`\n").expect("its part");
    let (_, rest) = own.split_once(heading).expect("the heading");
    let rows = rest.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let rows = rows.take_while(|line| line.starts_with('|'));
    let mut keys: Vec<_> =
        rows.filter_map(|row| row.split('`').nth(1)).map(str::to_owned).collect();
    keys.sort();
    keys
}

fn keys(value: &Value) -> Vec<String> {
    let mut keys: Vec<_> = value.as_object().expect("an object").keys().cloned().collect();
    keys.sort();
    keys
}

#[test]
fn the_json_has_the_documented_keys() {
    let files = pair("json", &lb1(""), &lb2(""));
    let whole = json(&request(files, &[FaultClass::HostCrash], 2));
    assert_eq!(keys(&whole), documented(""));
    let class = &whole["classes"][0];
    assert_eq!(keys(class), documented("\n## `classes`\n"));
    assert_eq!(keys(&class["worst"]["client_gap"]), documented("\n## `worst`\n"));
}
