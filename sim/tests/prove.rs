//! `vipsim prove`: what is known is found again, what is left out changes no verdict, and a
//! counter-example is a scenario that fails.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use vipd_sim::prove::counterexample::Counterexample;
use vipd_sim::prove::plan::{Claim, Delays, Lattice, Plan};
use vipd_sim::prove::search::{Cut, Found, search};
use vipd_sim::prove::world::{Fault, Message, Move, Phase, Space};
use vipd_sim::prove::{Request, prove};

const MEMORY: usize = 2 << 30;

fn plan(nodes: usize, faults: u8, claims: &[Claim]) -> Plan {
    let claims = claims.to_vec();
    let (lattice, delays) = (Lattice::Eighths, Delays::ZeroOrOne);
    Plan { nodes, faults, lattice, delays, claims, strict: false, nopreempt: false, reduce: true }
}

fn find(plan: Plan) -> Found {
    search(plan, MEMORY, &|| false, &mut |_| ())
}

fn refuted(found: &Found) -> Option<Claim> {
    found.counterexample.as_ref().map(|(violation, _)| violation.claim)
}

fn vipsim(at: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vipsim"));
    command.current_dir(at).args(arguments).output().expect("vipsim runs")
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

#[test]
fn two_nodes_with_two_faults_keep_every_property() {
    let found = find(plan(2, 2, &Claim::DEFAULT));
    assert_eq!(refuted(&found), None);
    assert!(found.is_complete() && found.layers.len() == 3);
}

#[test]
fn two_nodes_with_five_faults_keep_every_property_also_on_the_finer_lattice() {
    let found = find(plan(2, 5, &Claim::DEFAULT));
    assert!(found.is_complete(), "{:?}", found.counterexample);
    let finer = find(Plan { lattice: Lattice::Sixteenths, ..plan(2, 3, &Claim::DEFAULT) });
    assert!(finer.is_complete(), "{:?}", finer.counterexample);
}

#[test]
fn three_nodes_with_one_fault_keep_every_property() {
    let found = find(plan(3, 1, &Claim::DEFAULT));
    assert!(found.is_complete(), "{:?}", found.counterexample);
}

#[test]
fn more_nodes_or_more_faults_keep_every_property_too_if_no_advert_is_quick() {
    let slow = |nodes, faults| Plan { delays: Delays::One, ..plan(nodes, faults, &Claim::DEFAULT) };
    for (nodes, faults) in [(5, 1), (4, 2), (3, 3)] {
        let found = find(slow(nodes, faults));
        assert!(found.is_complete(), "{nodes} nodes: {:?}", found.counterexample);
    }
}

#[test]
fn adverts_that_all_take_as_long_reach_fewer_states_and_refute_what_is_false_all_the_same() {
    let slow = |claim| Plan { delays: Delays::One, ..plan(2, 1, &[claim]) };
    let found = find(Plan { strict: true, ..slow(Claim::L2) });
    assert_eq!(refuted(&found), Some(Claim::L2));
    let quick = find(Plan { strict: true, ..plan(2, 1, &[Claim::L2]) });
    assert!(found.states() < quick.states());
    assert_eq!(refuted(&find(slow(Claim::L2))), None);
}

#[test]
fn after_a_clean_stop_somebody_follows_in_time_in_whatever_order_adverts_arrive() {
    let found = find(plan(2, 1, &[Claim::L2]));
    assert!(found.is_complete(), "{:?}", found.counterexample);
}

#[test]
fn without_the_departure_from_the_rfc_a_late_advert_costs_a_full_down_interval() {
    let found = find(Plan { strict: true, ..plan(2, 1, &[Claim::L2]) });
    assert_eq!(refuted(&found), Some(Claim::L2));
}

/// What `vipsim prove --nodes 3 --faults 3 --property some-two-masters` finds. The third node
/// hears the second one a quantum after that took over; by then the first one hears both.
fn two_pairs_in_a_chain() -> Vec<Move> {
    use Move::{Deliver, Fault as Fails, Fire, Hold, Settle, Wait};
    use Phase::{Due, Fresh};
    let hear = |to, phase, from| Deliver(Message { to, phase, from, resigns: false });
    let flip = |from, to| Fails(0, Fault::Flip(from, to));
    vec![
        Wait(25),
        Fire(0),
        Settle,
        hear(1, Fresh, 0),
        hear(2, Fresh, 0),
        Wait(8),
        flip(0, 2),
        Fire(0),
        Settle,
        hear(1, Fresh, 0),
        Wait(8),
        flip(0, 1),
        Fire(0),
        Wait(8),
        Fire(0),
        Wait(3),
        Fire(2),
        Settle,
        hear(1, Fresh, 2),
        Wait(1),
        hear(0, Due, 2),
        Wait(6),
        Fire(1),
        hear(0, Fresh, 1),
        Wait(1),
        Fire(2),
        hear(0, Fresh, 2),
        hear(1, Fresh, 2),
        hear(0, Fresh, 1),
        flip(0, 1),
        hear(2, Due, 1),
        hear(0, Fresh, 2),
        hear(1, Fresh, 2),
        hear(0, Fresh, 1),
        Settle,
        Hold(2),
        Wait(1),
        Settle,
        hear(2, Due, 1),
        hear(2, Due, 1),
        Wait(7),
        Fire(0),
        Fire(1),
        Settle,
        hear(2, Fresh, 1),
        Wait(1),
    ]
}

#[test]
fn two_pairs_that_meet_in_a_chain_refute_the_wording_of_some_two_masters_and_not_s1() {
    let claims = [Claim::S1, Claim::SomeTwoMasters];
    let plan = plan(3, 3, &claims);
    let (mut space, path) = (Space::new(plan.clone()), two_pairs_in_a_chain());
    let mut world = space.beginning();
    let mut violations = path.iter().filter_map(|step| space.apply(&mut world, *step));
    let violation = violations.next().expect("it is violated");
    assert_eq!((violation.claim, violations.next()), (Claim::SomeTwoMasters, None));
    let file = folder("prove-chain").join("chain.toml");
    let mut written = Counterexample::new(&plan, violation, &path, &file);
    written.write(&file).expect("two files");
    assert_eq!(written.fails, Some(true), "{}", written.scenario);
}

#[test]
fn what_is_left_out_changes_no_verdict_of_a_small_space() {
    let all = Claim::DEFAULT;
    for (nodes, faults, claims, strict) in
        [(2, 2, &all[..], false), (2, 1, &[Claim::L2][..], true), (3, 1, &all[..], false)]
    {
        let plan = Plan { strict, ..plan(nodes, faults, claims) };
        let reduced = find(plan.clone());
        let whole = find(Plan { reduce: false, ..plan });
        assert_eq!(refuted(&reduced), refuted(&whole), "{nodes} nodes, {faults} faults");
        assert!(reduced.states() < whole.states());
    }
}

#[test]
fn a_search_that_is_told_to_stop_or_has_no_memory_says_so_and_what_it_found() {
    let stopped = search(plan(3, 2, &Claim::DEFAULT), MEMORY, &|| true, &mut |_| ());
    assert_eq!(stopped.cut, Some(Cut::Interrupted));
    assert!(!stopped.is_complete() && stopped.states() > 0);
    let full = search(plan(3, 2, &Claim::DEFAULT), 1, &|| false, &mut |_| ());
    assert_eq!(full.cut, Some(Cut::Memory));
}

#[test]
fn a_counterexample_is_a_scenario_on_which_vipsim_fails() {
    let place = folder("prove");
    let search = ["prove", "--nodes", "2", "--faults", "1", "--strict", "--property", "L2"];
    for delays in ["0,1", "1"] {
        let found =
            vipsim(&place, &[&search[..], &["--out", "found.toml", "--delays", delays]].concat());
        assert_eq!(found.status.code(), Some(1), "{}", text(&found.stderr));
        let shown = text(&found.stdout);
        assert!(shown.contains("L2                refuted"), "{shown}");
        assert!(shown.contains("complete: no (counterexample)"), "{shown}");
        assert!(shown.contains("vipsim run found.toml"), "{shown}");
        assert!(!shown.contains("does not fail"), "{shown}");
        let played = vipsim(&place, &["run", "found.toml"]);
        assert_eq!(played.status.code(), Some(1), "{}", text(&played.stdout));
    }
}

/// Hears how far the search is, and takes the folder away meanwhile.
struct TakesAway {
    folder: PathBuf,
    heard: Vec<u8>,
}

impl Write for TakesAway {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        _ = std::fs::remove_dir_all(&self.folder);
        self.heard.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_counterexample_whose_file_cannot_be_written_is_printed_all_the_same() {
    let folder = folder("prove-gone");
    let plan = Plan { strict: true, ..plan(2, 1, &[Claim::L2]) };
    let out = Some(folder.join("found.toml"));
    let request = Request { plan, memory: MEMORY, out, json: false, stop: || false };
    let (mut out, mut err) = (Vec::new(), TakesAway { folder, heard: Vec::new() });
    let ended = prove(&request, &mut out, &mut err).expect("it is kept in memory");
    assert_eq!(ended.status(), 2);
    assert!(text(&out).contains("L2                refuted"), "{}", text(&out));
    let heard = text(&err.heard);
    for words in ["error: cannot write ", "stop = \"n1\"", "virtual_router_id 51"] {
        assert!(heard.contains(words), "{heard}");
    }
}

#[test]
fn complete_is_printed_with_its_lattice() {
    let place = folder("prove-lattice");
    let found = vipsim(&place, &["prove", "--nodes", "2", "--faults", "1"]);
    assert_eq!(found.status.code(), Some(0), "{}", text(&found.stderr));
    let shown = text(&found.stdout);
    for line in ["quantum A/16 = 62.5ms, priorities 240, 224\n", "faults fall at every quantum"] {
        assert!(shown.contains(line), "{shown}");
    }
    assert!(shown.contains("complete: yes\n"), "{shown}");
    let json = vipsim(&place, &["prove", "--nodes", "2", "--faults", "1", "--json"]);
    assert!(text(&json.stdout).contains("\"quantum_ns\": 62500000"));
    assert!(text(&json.stdout).contains("\"complete\": true"));
}

#[test]
fn what_cannot_be_searched_or_written_is_said_before_the_search() {
    let place = folder("prove-unusable");
    std::fs::write(place.join("mine.conf"), "vrrp_instance VI_1 {}\n").expect("a file");
    let cases: [(&[&str], &str); 6] = [
        (&["prove", "--nodes", "1"], "2..=5"),
        (&["prove", "--property", "S8"], "some-two-masters"),
        (&["prove", "--memory", "12X"], "K, M and G"),
        (&["prove", "--delays", "2"], "there are 0,1 and 1"),
        (&["prove", "--out", "found.txt"], ".toml"),
        (&["prove", "--out", "mine.toml"], "name another file"),
    ];
    for (arguments, message) in cases {
        let found = vipsim(&place, arguments);
        assert_eq!(found.status.code(), Some(2), "{arguments:?}");
        assert!(text(&found.stderr).contains(message), "{}", text(&found.stderr));
    }
    let none = vipsim(&place, &["prove", "--out", "no/such/folder/found.toml"]);
    assert_eq!(none.status.code(), Some(2));
}
