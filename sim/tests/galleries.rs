//! The pages of a hunt and of a rehearsal as a browser shows them: each run that is named has its
//! timeline, which is drawn when it is opened, and its link.

mod browser;

use std::path::{Path, PathBuf};
use std::time::Duration;

use vipd_config::diagnostics::Colour;
use vipd_scenarios::judge::PropertyId;
use vipd_sim::bare_files;
use vipd_sim::faults::{FaultClass, Plan};
use vipd_sim::hunt::arena::Arena;
use vipd_sim::hunt::html::html;
use vipd_sim::hunt::tally::{Card, FORM, Hunted, PANIC, Tally};
use vipd_sim::rehearse::{Request, rehearse};
use vipd_sim::run::Ended;

use browser::{dom, elements};

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("galleries").join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// The files of a pair.
fn pair(folder: &Path) -> Vec<PathBuf> {
    let write = |(name, priority): (&str, u8)| {
        let path = folder.join(name);
        let text = format!(
            "vrrp_instance VI_1 {{\n interface eth0\n virtual_router_id 51\n priority {priority}\n \
             mcast_src_ip 192.0.2.{priority}\n virtual_ipaddress {{\n 192.0.2.250/24\n }}\n}}\n"
        );
        std::fs::write(&path, text).expect("a file");
        path
    };
    [("lb1.conf", 200), ("lb2.conf", 100)].map(write).to_vec()
}

/// A hunt over the pair: these seeds, and these violations, which nothing but this test saw.
fn hunted(folder: &Path, seeds: u64, violations: &[(&str, u64)]) -> String {
    let length = Duration::from_secs(180);
    let read = bare_files::read(&pair(folder), Colour::Never, &mut Vec::new());
    let bare = read.expect("memory takes it all").expect("usable files");
    let arena = Arena::new(bare.scenario, &bare.configurations, Plan::swarm(length));
    let hunted = Hunted {
        form: FORM,
        version: "1".to_owned(),
        scenario: "--conf lb1.conf lb2.conf".to_owned(),
        ground: String::new(),
        for_ns: 180_000_000_000,
        behaviour: String::new(),
    };
    let mut tally = Tally::new(&arena, hunted);
    (0..seeds).for_each(|seed| tally.add(&arena.play(seed)));
    for (id, seed) in violations {
        let count = tally.properties.entry((*id).to_owned()).or_default();
        count.violated += 1;
        let what = "<i>seen</i> for 2.5 s".to_owned();
        let (value_ns, bound_ns) = (Some(2_500_000_000), Some(1_000_000_000));
        count.cards.push(Card { seed: *seed, what, value_ns, bound_ns, faults: vec![7, 9] });
    }
    html(&tally, &arena)
}

/// How many timelines of a document are drawn.
fn drawn(dom: &str) -> usize {
    dom.matches("<svg tabindex=\"0\"").count()
}

#[test]
fn the_page_of_a_hunt_has_its_violations_with_their_timelines_and_its_tables() {
    let folder = folder("hunt");
    let page = folder.join("page.html");
    let text = hunted(&folder, 4, &[("S1", 2), ("S1", 3), ("L1", 2)]);
    std::fs::write(&page, &text).expect("a page");
    assert!(!text.contains("<i>") && text.contains("&lt;i&gt;seen&lt;/i&gt;"));
    for part in [
        "<b>S1</b> two masters that hear each other do not coexist longer than W; \
         <a href=\"#symbols\">bound</a>: W.",
        "<td><code>W</code><td>how long two masters that hear each other may coexist: ",
        "Violated in 2 of 4 seeds.",
        "vipsim hunt --conf lb1.conf lb2.conf --for 180s --seed 2",
        "vipsim shrink --conf lb1.conf lb2.conf --for 180s --hunted 2 --property S1",
        "vipsim shrink --conf lb1.conf lb2.conf --for 180s --hunted 2 --property L1",
        "<td>7 cut, 9 one-way-cut",
        "<td>master + master",
        "<td>V2-6.4.2-TIMER",
    ] {
        assert!(text.contains(part), "{part}");
    }
    let Some(first) = dom(&page, "") else { return };
    // Both seeds are linked where they are named, and have one timeline each; the first is open.
    let links: Vec<_> = first.matches("href=\"#seed-").collect();
    assert_eq!(links.len(), 3, "two of S1, one of L1");
    assert_eq!((first.matches("class=\"exhibit\"").count(), drawn(&first)), (2, 1));
    assert!(!elements(&first, &["data-state", "data-from"]).is_empty());
    let second = dom(&page, "#seed-3").expect("a browser");
    assert_patterns_are_rendered(&second);
    assert_eq!(drawn(&second), 2, "whoever follows a link finds the timeline drawn");
}

/// What paints the hatched and the striped swatch is rendered whatever is folded away.
fn assert_patterns_are_rendered(dom: &str) {
    let folded = dom.rfind("</details>").expect("something is folded away");
    for pattern in ["<pattern id=\"hatch\"", "<pattern id=\"apart\""] {
        assert_eq!(dom.matches(pattern).count(), 1, "{pattern}");
        assert!(dom.find(pattern) > Some(folded), "{pattern}");
    }
}

#[test]
fn a_hunt_without_a_violation_and_one_with_a_panic_have_a_page_too() {
    let folder = folder("none");
    let page = folder.join("page.html");
    std::fs::write(&page, hunted(&folder, 2, &[])).expect("a page");
    let Some(none) = dom(&page, "") else { return };
    assert!(none.contains("None.") && drawn(&none) == 0);
    assert_patterns_are_rendered(&none);
    let text = hunted(&folder, 2, &[(PANIC, 1)]);
    assert!(text.contains("must not panic"));
}

#[test]
fn the_page_of_a_rehearsal_shows_each_worst_run_from_shortly_before_its_fault() {
    let folder = folder("rehearsal");
    let page = folder.join("page.html");
    let request = Request {
        files: pair(&folder),
        classes: vec![FaultClass::HostCrash, FaultClass::Cut, FaultClass::Flaps],
        runs: 6,
        seed: None,
        jobs: 2,
        json: false,
        html: Some(page.clone()),
        bar: false,
        colour: Colour::Never,
        stop: || false,
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let ended = rehearse(&request, &mut out, &mut err).expect("memory takes everything");
    assert_eq!(ended, Ended::Passed, "{}", String::from_utf8_lossy(&err));
    let Some(dom) = dom(&page, "") else { return };
    let exhibits = dom.matches("class=\"exhibit\"").count();
    assert!(exhibits >= 2 && drawn(&dom) == 2, "{exhibits}, {}: one of each class", drawn(&dom));
    // The pair starts long before the fault, so nothing of its first election is in view.
    let spans = elements(&dom, &["data-state", "data-from", "data-to"]);
    assert!(spans.iter().all(|span| span[2] != "0" && span[0] != "init"), "{spans:?}");
    assert!(!elements(&dom, &["data-cut"]).is_empty());
    let bound = PropertyId::S1.to_string();
    assert!(dom.contains(&format!("data-property=\"{bound}\"")) && dom.contains("in words"));
}
