//! `vipsim rehearse`: the page for a pair of files, and what it measures.

mod pairs;

use std::path::Path;

use pairs::*;
use serde_json::Value;
use vipd_sim::faults::FaultClass;
use vipd_sim::rehearse::Request;
use vipd_sim::run::Ended;

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

/// The rehearsal of a pair, which must be within its formulas.
fn within(name: &str, files: &[String; 2], classes: &[FaultClass]) -> Value {
    let [one, other] = files;
    let whole = json(&request(pair(name, one, other), classes, 60));
    assert_eq!(whole["verdict"], "within", "{name}: {whole}");
    whole
}

/// Files as people write them: a priority, and these lines.
fn short(lines: &str) -> [String; 2] {
    [100, 90].map(|priority| {
        format!(
            "vrrp_instance VI_1 {{\n interface eth0\n virtual_router_id 51\n \
             priority {priority}\n {lines}\n virtual_ipaddress {{\n 192.0.2.100/24\n }}\n}}\n"
        )
    })
}

#[test]
fn a_start_up_delay_is_part_of_what_a_start_takes() {
    let files = short("").map(|text| format!("global_defs {{\n vrrp_startup_delay 20\n}}\n{text}"));
    let whole = within("startup", &files, &[FaultClass::MidElection]);
    let worst = &whole["classes"][0]["worst"]["no_master"];
    assert_eq!(worst["formula"], "f + S + M' + 2A' + D");
    assert!(worst["value_ns"].as_u64() > Some(20_000_000_000), "{worst}");
}

#[test]
fn where_the_survivor_of_two_masters_is_mute_a_client_waits_for_its_next_refresh() {
    let classes = [FaultClass::Freeze, FaultClass::Cut];
    let owner = short("").map(|text| text.replace("priority 100", "priority 255"));
    for (name, files) in [
        ("owner", owner),
        ("silent", short("lower_prio_no_advert true")),
        ("no-last", short("higher_prio_send_advert false")),
        ("no-repair", short("garp_master_delay 0\n garp_lower_prio_repeat 0")),
    ] {
        let whole = within(&format!("mute-{name}"), &files, &classes);
        for class in 0..classes.len() {
            let gap = &whole["classes"][class]["worst"]["client_gap"];
            assert_eq!(gap["formula"], "f + M + 2A + G + 3D + 2p", "{name}");
        }
    }
    let whole = within("not-mute", &short(""), &classes);
    assert_eq!(whole["classes"][1]["worst"]["client_gap"]["formula"], "M + A + 3D + 2p");
}

#[test]
fn a_backup_that_learned_a_longer_interval_skews_by_it() {
    let [one, other] = short("version 3\n advert_int 1");
    let files = [one, other.replace("advert_int 1", "advert_int 0.1")];
    let whole = within("learned", &files, &[FaultClass::Stop]);
    let failover = &whole["classes"][0]["worst"]["failover"];
    // 166/256 of the second that the better one advertises.
    assert_eq!(failover["bound_ns"], 648_437_500 + 100_000);
    assert!(failover["value_ns"].as_u64() > Some(610_000_000), "{failover}");
}

#[test]
fn an_owner_that_sends_from_its_virtual_address_keeps_it_while_it_is_stopped() {
    let [one, other] = short("");
    let unicast = |own: u8, peer: u8| {
        format!("unicast_src_ip 192.0.2.{own}\n unicast_peer {{\n 192.0.2.{peer}\n }}\n ")
    };
    let owner = one.replace("priority 100", &format!("{}priority 255", unicast(100, 2)));
    let lesser = other.replace("priority 90", &format!("{}priority 90", unicast(2, 100)));
    let whole = within("keeps", &[owner, lesser], &[FaultClass::Stop]);
    assert_eq!(whole["classes"][0]["worst"]["two_owners"]["formula"], "f + A + D");
}

#[test]
fn where_the_own_carrier_does_not_matter_a_failover_lasts_as_long_as_it_is_gone() {
    let whole = within("untracked", &short("dont_track_primary"), &[FaultClass::Carrier]);
    assert_eq!(whole["classes"][0]["worst"]["failover"]["formula"], "f + M + D");
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
