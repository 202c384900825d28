//! The page of a run as a browser shows it: what is drawn is what was seen, and nothing is loaded.

mod browser;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use vipd_config::diagnostics::Colour;
use vipd_scenarios::report::files::Files;
use vipd_scenarios::report::history::History;
use vipd_scenarios::report::page::{Shown, html};
use vipd_scenarios::runner;
use vipd_scenarios::scenario::Scenario;
use vipd_scenarios::world::World;
use vipd_sim::configurations::Configurations;
use vipd_sim::run::{Ended, Request, run};
use vipd_sim::world::Simulation;

use browser::{Browsed, browse, elements};

const HOUR: Duration = Duration::from_secs(3600);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_path_buf()
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("page").join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Plays a scenario for `until`, writes all three files, and returns what was printed.
fn play(file: &Path, until: Option<Duration>, to: &Path, stop: fn() -> bool) -> String {
    let files = Files {
        html: Some(to.join("page.html")),
        perfetto: Some(to.join("trace.json")),
        jsonl: Some(to.join("lines.jsonl")),
    };
    let (ended, out, err) = play_to(file, until, files, stop);
    // What is interrupted passes nothing.
    let good = if stop() { Ended::Skipped } else { Ended::Passed };
    assert!([good, Ended::Failed].contains(&ended), "{ended:?} {err}");
    out
}

fn play_to(
    file: &Path,
    until: Option<Duration>,
    files: Files,
    stop: fn() -> bool,
) -> (Ended, String, String) {
    let (file, colour) = (file.to_path_buf(), Colour::Never);
    let (seed, capture, json) = (None, None, false);
    let request = Request { file, seed, json, capture, files, until, colour, stop };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let ended = run(&request, &mut out, &mut err).expect("memory takes everything");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (ended, text(out), text(err))
}

fn lines(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("lines.jsonl")).expect("lines");
    text.lines().map(|line| serde_json::from_str(line).expect("one object per line")).collect()
}

fn dom(folder: &Path, view: &str) -> Option<String> {
    browser::dom(&folder.join("page.html"), view)
}

#[test]
fn a_page_that_loads_something_or_has_a_mistake_is_noticed() {
    let page = folder("control").join("page.html");
    let text = "<!doctype html><img src=http://page.invalid/x.png><script>nothing()</script>";
    std::fs::write(&page, text).expect("a page");
    let Some(Browsed { said, asked, .. }) = browse(&page, "") else { return };
    let mistake = "Uncaught ReferenceError: nothing is not defined";
    assert!(said.iter().any(|one| one == mistake), "{said:?}");
    assert!(asked.iter().any(|url| url.contains("page.invalid")), "{asked:?}");
}

fn count(lines: &[Value], what: &str, accept: impl Fn(&Value) -> bool) -> usize {
    lines.iter().filter(|line| line["what"] == what && accept(line)).count()
}

#[test]
fn lanes_bands_intervals_and_numbers_are_those_of_the_record() {
    let folder = folder("cut");
    play(&root().join("scenarios/cut/heal-loser-first.toml"), None, &folder, || false);
    let lines = lines(&folder);
    let Some(dom) = dom(&folder, "") else { return };

    let lanes = elements(&dom, &["data-host", "data-router"]);
    assert_eq!(lanes, [["a", "vrid 51 IPv4 on lan"], ["b", "vrid 51 IPv4 on lan"]]);
    // Each state that an engine entered is a stretch that begins at that time.
    let told = lines.iter().filter(|line| line["news"] == "state");
    let told: BTreeSet<_> =
        told.map(|line| vec![text(&line["to"]), line["at_ns"].to_string()]).collect();
    let drawn = elements(&dom, &["data-state", "data-from"]);
    assert_eq!(drawn.into_iter().collect::<BTreeSet<_>>(), told);
    assert_eq!(
        elements(&dom, &["data-cut", "data-from", "data-to"]),
        [["a ↔ b", "10500000000", "20500000000"]]
    );
    let owned = elements(&dom, &["data-owner", "data-from"]);
    assert_eq!(owned, [["a", "3218750000"], ["b", "13828225000"]]);

    // The figures beside an interval are the judge's.
    let bound = |id: &str| {
        let property = lines.iter().find(|line| line["what"] == "property" && line["id"] == id);
        property.map(|property| property["bound_ns"].to_string()).expect("a property")
    };
    let drawn = elements(&dom, &["data-kind", "data-from", "data-to", "data-bound"]);
    let rows = [
        ["no-master", "0", "3218750000", &bound("L4")],
        ["masters-apart", "13828225000", "20500000000", ""],
        ["two-masters", "20500000000", "20828425000", &bound("S1")],
        ["owners-apart", "13828225000", "20500000000", ""],
        ["two-owners", "20500000000", "20828425000", &bound("S2")],
    ];
    assert_eq!(drawn, rows);
    assert!(dom.contains("<td class=\"n\">0.328425 s</td><td class=\"n\">1.0001 s</td>"));

    // Every advert that arrived at a router is an arrow, every one that did not is a cross.
    let router = |line: &Value| line["host"] == "a" || line["host"] == "b";
    let arrows = elements(&dom, &["data-arrow"]).len();
    assert_eq!(arrows, count(&lines, "advert_delivered", router));
    assert_eq!(elements(&dom, &["data-lost"]).len(), count(&lines, "advert_lost", router));
    assert!(arrows > 20 && dom.contains("data-mode=\"arrows\""));
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_string()
}

#[test]
fn an_hour_is_a_density_and_ten_seconds_of_it_are_arrows() {
    let folder = folder("hour");
    let rough = root().join("scenarios/loss/rough-link.toml");
    play(&rough, Some(HOUR), &folder, || false);
    let size = std::fs::metadata(folder.join("page.html")).expect("a page").len();
    assert!(size < 1_000_000, "{size} octets");
    let lines = lines(&folder);
    let Some(whole) = dom(&folder, "") else { return };
    assert!(whole.contains("data-mode=\"density\""));
    assert_eq!(elements(&whole, &["data-arrow"]).len(), 0);
    let shown = elements(&whole, &["class", "data-count"]);
    let sum = |class: &str| -> usize {
        let counts = shown.iter().filter(|one| one[0] == class);
        counts.map(|one| one[1].parse::<usize>().expect("a number")).sum()
    };
    assert_eq!(sum("dens"), count(&lines, "advert_sent", |_| true));
    assert_eq!(sum("denslost"), count(&lines, "advert_lost", |line| line["host"] != "client"));
    let part = dom(&folder, "#1800..1810").expect("a browser");
    assert!(part.contains("data-mode=\"arrows\""));
    assert!((9..=24).contains(&elements(&part, &["data-arrow"]).len()));
}

#[test]
fn keys_zoom_into_an_hour_and_the_pointer_decodes_an_advert() {
    let folder = folder("keys");
    let rough = root().join("scenarios/loss/rough-link.toml");
    play(&rough, Some(HOUR), &folder, || false);
    let page = std::fs::read_to_string(folder.join("page.html")).expect("a page");
    let hands = "<script>for (const key of '++++++++') \
                 document.dispatchEvent(new KeyboardEvent('keydown', { key }));\
                 document.querySelector('.hit').dispatchEvent(\
                 new PointerEvent('pointermove', { bubbles: true }));</script></html>";
    let page = page.replace("</html>", hands);
    std::fs::write(folder.join("page.html"), page).expect("a page");
    let Some(dom) = dom(&folder, "") else { return };
    assert!(dom.contains("data-mode=\"arrows\""));
    let tip = dom.split("id=\"tip\"").nth(1).and_then(|rest| rest.split("</div>").next());
    let tip = tip.expect("a hint");
    for part in ["VRRPv2 advert, vrid 51", "10.0.0.1 → 224.0.0.18", "priority 200, interval 1 s"]
    {
        assert!(tip.contains(part), "{tip}");
    }
}

#[test]
fn runs_that_are_compared_have_their_first_steps_at_one_place() {
    let file = root().join("scenarios/failover/kill-9.toml");
    let text = std::fs::read_to_string(&file).expect("a scenario");
    // The kill of the second one is late, and the start after it is not.
    let late = text.replace("at = \"10.5s\"\nkill", "at = \"12.25s\"\nkill");
    assert_ne!(text, late);
    let kept = [text, late].map(|text| {
        let scenario = Scenario::parse(&file, &text).expect("a scenario");
        let (configurations, _) = Configurations::load(&scenario);
        let mut world = Simulation::new(&scenario, configurations, 1);
        let mut history = History::new(world.setting());
        let outcome = runner::run(&scenario, &mut world, None, Some(&mut history));
        (scenario, outcome, history)
    });
    let labels = ["simulated", "real"].into_iter();
    let shown: Vec<_> = labels
        .zip(&kept)
        .map(|(label, (scenario, outcome, history))| Shown {
            label,
            scenario,
            seed: None,
            outcome,
            history,
        })
        .collect();
    let page = folder("compared").join("page.html");
    std::fs::write(&page, html(&shown)).expect("a page");
    let Some(runs) = browser::runs(&page) else { return };
    let [simulated, real] = &runs[..] else { panic!("{runs:?}") };
    assert_eq!((&*simulated.label, &*real.label), ("simulated", "real"));
    assert!(runs.iter().all(|run| run.lanes == ["a", "b"]), "{runs:?}");
    assert_eq!((simulated.steps.len(), real.steps.len()), (2, 2), "{runs:?}");
    assert_eq!(simulated.steps[0], real.steps[0], "the kill");
    assert_ne!(simulated.steps[1], real.steps[1], "the start");
}

#[test]
fn a_name_that_is_a_script_is_shown_and_not_run() {
    let folder = folder("hostile");
    let hostile = "</script><script>document.body.dataset.taken=1</script><img/src=x>";
    let conf = format!(
        "vrrp_instance {hostile} {{\n interface eth0\n virtual_router_id 51\n priority 100\n \
         virtual_ipaddress {{\n 10.0.0.100\n }}\n}}\n"
    );
    let scenario = format!(
        "title = '''{hostile}'''\nuntil = \"10s\"\n[segment.lan]\n[host.a]\n\
         config = \"a.conf\"\ninterfaces.eth0 = {{ segment = \"lan\", address = \
         \"10.0.0.1/24\" }}\n"
    );
    std::fs::write(folder.join("a.conf"), conf).expect("a file");
    std::fs::write(folder.join("a.toml"), scenario).expect("a file");
    play(&folder.join("a.toml"), None, &folder, || false);
    let page = std::fs::read_to_string(folder.join("page.html")).expect("a page");
    let ends = page.matches("</script").count();
    assert_eq!(
        (ends, page.matches("<img").count()),
        (2, 0),
        "the data and the script end once each"
    );
    assert!(page.contains("\\u003c/script\\u003e"), "the name is in the data");
    let Some(dom) = dom(&folder, "") else { return };
    assert!(!dom.contains("data-taken") && dom.contains("&lt;/script&gt;"));
    assert_eq!(elements(&dom, &["data-host"])[0], ["a"]);
}

#[test]
fn the_page_names_no_address_to_load_anything_from() {
    let folder = folder("alone");
    play(&root().join("scenarios/failover/pkill-master.toml"), None, &folder, || false);
    let page = std::fs::read_to_string(folder.join("page.html")).expect("a page");
    let without = page.replace("http://www.w3.org/2000/svg", "");
    for loads in ["http:", "https:", " src=", "@import", "fetch(", "XMLHttpRequest"] {
        assert!(!without.contains(loads), "{loads}");
    }
}

#[test]
fn a_file_that_cannot_be_written_is_named_before_the_run() {
    let folder = folder("unwritable");
    let scenario = root().join("scenarios/failover/pkill-master.toml");
    let missing = folder.join("no/such/folder/file");
    let (is, other) = (Some(missing.clone()), folder.join("other"));
    std::fs::write(&other, "what was there").expect("a file");
    let files = [
        Files { html: is.clone(), perfetto: Some(other.clone()), jsonl: None },
        Files { html: Some(other.clone()), perfetto: is.clone(), jsonl: None },
        Files { html: Some(other.clone()), perfetto: None, jsonl: is },
    ];
    for files in files {
        let (ended, out, err) = play_to(&scenario, None, files, || panic!("it plays"));
        assert_eq!((ended, &*out), (Ended::Unusable, ""));
        assert!(err.contains(&format!("error: cannot write {}: ", missing.display())), "{err}");
        assert_eq!(std::fs::read_to_string(&other).expect("a file"), "what was there");
    }
}

#[test]
fn a_file_on_a_full_disk_is_named_and_the_verdict_and_the_other_files_are_not_lost() {
    let folder = folder("full");
    let scenario = root().join("scenarios/failover/pkill-master.toml");
    let lines = folder.join("lines.jsonl");
    let files =
        Files { html: Some("/dev/full".into()), perfetto: None, jsonl: Some(lines.clone()) };
    let (ended, out, err) = play_to(&scenario, None, files, || false);
    assert!(out.contains("verdict: pass"), "{out}");
    assert!(err.contains("error: cannot write /dev/full: No space left"), "{err}");
    assert_eq!(ended, Ended::Unusable);
    assert!(lines.is_file(), "the other file is written");
}

#[test]
fn an_interrupted_run_has_a_page_of_what_was_seen_until_then() {
    let folder = folder("interrupted");
    let day = Some(Duration::from_secs(86_400));
    play(&root().join("scenarios/quiet/pair.toml"), day, &folder, || true);
    let page = std::fs::read_to_string(folder.join("page.html")).expect("a page");
    assert!(page.contains("3600 s") && page.contains("<b>interrupted</b>"));
    let end = lines(&folder).pop().expect("a line");
    assert_eq!((&end["what"], &end["interrupted"]), (&"end".into(), &true.into()));
}

#[test]
fn the_trace_has_what_perfetto_needs_and_every_arrow_has_two_ends() {
    let folder = folder("trace");
    play(&root().join("scenarios/failover/pkill-master.toml"), None, &folder, || false);
    let text = std::fs::read_to_string(folder.join("trace.json")).expect("a trace");
    let trace: Value = serde_json::from_str(&text).expect("JSON");
    let events = trace["traceEvents"].as_array().expect("events");
    let of = |phase: &'static str| events.iter().filter(move |event| event["ph"] == phase);
    for event in events {
        assert!(event["pid"].is_u64() && event["tid"].is_u64(), "{event}");
        assert!(event["ph"] == "M" || event["ts"].is_number(), "{event}");
    }
    assert!(of("X").all(|slice| slice["dur"].as_f64().is_some_and(|long| long > 0.0)));
    let ids = |phase| of(phase).map(|event| event["id"].to_string()).collect::<BTreeSet<_>>();
    assert!(ids("s").len() > 20);
    assert_eq!(ids("s"), ids("f"));
    let master = of("X").find(|slice| slice["name"] == "master").expect("a master");
    assert_eq!((&master["ts"], &master["dur"]), (&3_609_375.0.into(), &6_390_625.0.into()));
}

#[test]
fn every_kind_of_line_is_documented() {
    let page = std::fs::read_to_string(root().join("docs/reports.md")).expect("docs/reports.md");
    let known: BTreeSet<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(word, _)| word.to_string())
        .collect();
    let folder = folder("lines");
    for scenario in ["failover/pkill-master", "cut/heal-loser-first", "ipvs/pair"] {
        let file = root().join("scenarios").join(scenario).with_extension("toml");
        play(&file, None, &folder, || false);
        for line in lines(&folder) {
            let what = text(&line["what"]);
            assert!(known.contains(&what), "{what} is not in docs/reports.md");
            assert!(line["what"] == "run" || line["what"] == "property" || line["at_ns"].is_u64());
        }
    }
}
