//! The table of differences in `docs/keepalived.md`, and what was seen beside it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::cases::{MOST, REST};
use crate::kinds::KINDS;
use crate::stage::{Case, Event, Phase};
use crate::words::is_service;

/// Above the table.
const HEAD: &str = "| case: event | keepalived | vipd | why |";
/// Rows that all cases have in common.
const STOPS: [&str; 3] = ["each case: stops", "delete a, delete v", "delete v"];
const DEAD: [&str; 3] =
    ["each case: starts while b is dead", "new b 1, delete b", "the same, or nothing"];

/// A difference, as the page has it but for the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The case and its event.
    pub place: String,
    keepalived: String,
    vipd: String,
}

impl Row {
    fn new([place, keepalived, vipd]: [&str; 3]) -> Self {
        let [place, keepalived, vipd] = [place, keepalived, vipd].map(str::to_string);
        Self { place, keepalived, vipd }
    }

    /// What differs behind an event of a case, if anything does.
    pub fn of(case: &Case, place: usize, theirs: &Phase, ours: &Phase) -> Option<Self> {
        let event = case.events[place];
        let same_table = theirs.table == ours.table;
        let is_first = place == 0;
        // Which of the two it is depends on what is quicker, the first check or the kernel.
        if is_first && !case.dead.is_empty() && same_table {
            let [theirs, ours] = [theirs, ours].map(|phase| settled(&phase.commands, case.dead));
            if theirs == ours {
                return Some(Self::new(DEAD));
            }
        }
        // With a virtual server its real servers go.
        let services = theirs.commands.iter().filter(|one| is_of_a_service(one));
        if matches!(event, Event::Stops) && same_table && services.eq(&ours.commands) {
            return (theirs.commands != ours.commands).then(|| Self::new(STOPS));
        }
        let say = |phase: &Phase| {
            let commands = match &phase.commands[..] {
                [] => "nothing".to_string(),
                commands => commands.join(", "),
            };
            let table = phase.table.join(", ");
            if same_table { commands } else { format!("{commands}; the table: {table}") }
        };
        let label = event.to_string();
        let before = case.events[..place].iter().filter(|one| one.to_string() == label).count();
        let label = format!("{}: {label}{}", case.name, " again".repeat(before));
        let row = Self::new([&label, &say(theirs), &say(ours)]);
        (row.keepalived != row.vipd).then_some(row)
    }

    fn line(&self) -> String {
        format!("| {} | {} | {} |", self.place, self.keepalived, self.vipd)
    }
}

/// Whether it deletes a virtual server.
fn is_of_a_service(command: &str) -> bool {
    command.strip_prefix("delete ").is_some_and(is_service)
}

/// The commands without those that brought these real servers in before they were found dead.
fn settled(commands: &[String], dead: &str) -> Vec<String> {
    let of = |verb: &str| dead.chars().map(|name| format!("{verb} {name}")).collect::<Vec<_>>();
    let (new, gone) = (of("new"), of("delete"));
    let set: Vec<_> = of("set").iter().map(|one| format!("{one} 0")).collect();
    let stays = |command: &String| {
        let is_new = new.iter().any(|new| command.starts_with(new)) && !command.ends_with(" 0");
        !is_new && !gone.contains(command)
    };
    let kept = commands.iter().filter(|one| stays(one));
    let as_new = |one: &String| match set.iter().position(|set| set == one) {
        Some(place) => format!("{} 0", new[place]),
        None => one.clone(),
    };
    kept.map(as_new).collect()
}

/// The rows of the page; each has a reason.
fn listed() -> BTreeMap<String, Row> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/keepalived.md");
    let page = fs::read_to_string(page).expect("the page");
    let rows = page.lines().skip_while(|line| *line != HEAD).skip(2);
    let rows = rows.take_while(|line| line.starts_with('|'));
    let row = |line: &str| {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [place, keepalived, vipd, why] = cells[..] else { panic!("not four cells: {line}") };
        assert!(!why.is_empty(), "no reason: {line}");
        (place.to_string(), Row::new([place, keepalived, vipd]))
    };
    rows.map(row).collect()
}

/// What was found of these cases is what is listed of them.
pub fn compare(cases: &[Case], found: &BTreeMap<String, Row>) {
    let is_of = |place: &str, name: &str| place.starts_with(&format!("{name}: "));
    let is_played = |one: &Case| cases.iter().any(|case| case.name == one.name);
    // Of a few cases none need have what all have in common.
    let are_most = MOST.iter().all(is_played);
    let mut listed = listed();
    listed.retain(|place, _| {
        let is_common = is_of(place, "each case") && (are_most || found.contains_key(place));
        is_common || cases.iter().any(|case| is_of(place, case.name))
    });
    let unlike = |these: &BTreeMap<String, Row>, those: &BTreeMap<String, Row>| {
        let rows = these.iter().filter(|(place, row)| those.get(*place) != Some(row));
        rows.map(|(_, row)| row.line()).collect::<Vec<_>>().join("\n")
    };
    let (new, gone) = (unlike(found, &listed), unlike(&listed, found));
    let as_listed = new.is_empty() && gone.is_empty();
    assert!(as_listed, "not in docs/keepalived.md:\n{new}\nthere, and not seen:\n{gone}");
}

#[test]
fn every_difference_of_the_page_is_of_a_case() {
    let cases = [MOST, REST, KINDS].concat();
    for place in listed().keys() {
        let is_of_one = cases.iter().any(|case| place.starts_with(&format!("{}: ", case.name)));
        assert!(is_of_one || place.starts_with("each case: "), "{place}");
    }
}

#[test]
fn one_that_is_dead_at_the_start_may_have_been_in() {
    let commands = |text: &str| text.split(", ").map(str::to_string).collect::<Vec<_>>();
    let settled = |text: &str, dead| settled(&commands(text), dead).join(", ");
    assert_eq!(settled("new v rr, new a 1, new b 1, delete b", "b"), "new v rr, new a 1");
    assert_eq!(settled("new v rr, new a 1, new b 1, set b 0", "b"), "new v rr, new a 1, new b 0");
    assert_eq!(settled("new v rr, new a 1, new b 0", "b"), "new v rr, new a 1, new b 0");
    let sorry = "new v rr, new a 1, new b 1, delete a, delete b, new s 1";
    assert_eq!(settled(sorry, "ab"), "new v rr, new s 1");
}
