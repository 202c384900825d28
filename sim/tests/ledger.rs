//! Holds `requirements.toml` to its word: every requirement has a proof in each ring, or says why
//! not. What the ledger looks like to a reader is made here too (`docs/conformance.md`).
//!
//! `ledger/row.rs` reads it, `ledger/check.rs` finds what is wrong, `ledger/source.rs` reads the
//! tests that it names, `ledger/page.rs` writes the page.

mod ledger {
    pub mod check;
    pub mod page;
    pub mod row;
    pub mod source;
}

use std::fs;
use std::path::PathBuf;

use ledger::row::{Ledger, Ring};
use ledger::source::Source;
use ledger::{check, page};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn committed() -> Ledger {
    let text = fs::read_to_string(root().join("requirements.toml")).expect("the ledger");
    Ledger::parse(&text).unwrap_or_else(|mistake| panic!("requirements.toml: {mistake}"))
}

fn report(broken: &[String]) {
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn the_ledger_has_its_270_requirements_and_each_ring_its_share() {
    let ledger = committed();
    let share = |ring: Ring| ledger.rows.iter().filter(|row| row.proof(ring).is_some()).count();
    assert_eq!(ledger.rows.len(), 270);
    assert_eq!(Ring::ALL.map(share), [207, 186, 228]);
}

#[test]
fn every_row_is_whole_and_stands_once() {
    report(&check::rows(&committed()));
}

#[test]
fn every_named_proof_exists() {
    report(&check::proofs(&committed(), &root()));
}

#[test]
fn no_proof_serves_two_requirements() {
    report(&check::shared_proofs(&committed()));
}

#[test]
fn every_named_place_in_the_code_exists() {
    report(&check::code(&committed(), &root()));
}

#[test]
fn the_committed_page_is_the_one_that_the_ledger_makes() {
    let path = root().join("docs/conformance.md");
    let page = page::page(&committed());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &page).expect("a writable page");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == page, "run `UPDATE_DOCS=1 cargo test -p vipd-sim --test ledger`, commit");
}

#[test]
fn in_the_profile_of_an_rfc_no_must_of_it_is_without_a_proof_in_memory() {
    report(&check::unproved(&committed()));
}

#[test]
fn each_deviation_names_what_restores_the_rfc() {
    report(&check::deviations(&committed(), &root()));
}

/// A row that is whole, but for what follows.
fn row(id: &str, rest: &str) -> String {
    format!(
        "[[row]]\nid = \"{id}\"\nsection = \"S\"\nsource = \"3768 1\"\nlevel = \"MUST\"\n\
         requirement = \"It is so.\"\n{rest}\n"
    )
}

const HELD: &str = "profiles = [\"drop-in\", \"rfc3768\"]";
const TEST: &str = "sim::ledger::every_named_proof_exists";

/// Ledgers with one mistake in what they say of profiles, and the mistake.
fn mistakes_in_profiles() -> Vec<(String, &'static str)> {
    vec![
        (row("A", "profiles = [\"rfc1\"]"), "A: no profile is called rfc1"),
        (row("A", "profiles = [\"rfc3768\"]"), "A: drop-in leaves it and no deviation says why"),
        (
            row("A", "profiles = [\"drop-in\", \"rfc9568\"]"),
            "A: rfc3768 leaves it and no exception says why",
        ),
        (
            row("A", "profiles = [\"drop-in\"]\nexception = \"An erratum.\"")
                .replace("3768 1", "5798/9568 1")
                + &row("B", "profiles = [\"drop-in\", \"rfc5798\"]")
                    .replace("3768 1", "5798/9568 1"),
            "B: rfc9568 leaves it and no exception says why",
        ),
        (
            row("A", &format!("{HELD}\nexception = \"An erratum.\"")),
            "A: an exception, and no profile leaves it",
        ),
        (
            row("A", "profiles = [\"rfc3768\"]\ndeviation = \"As `keepalived` does.\""),
            "A: its deviation names nothing that restores the RFC",
        ),
        (
            row("A", &format!("{HELD}\nunit = \"{TEST}\"\nsim = \"not built: no proof yet\"")),
            "A: a MUST of rfc3768 without a proof in sim",
        ),
    ]
}

#[test]
fn each_mistake_in_a_ledger_is_found() {
    let mistakes = [
        (row("A", HELD) + &row("A", HELD), "A: stands twice"),
        (
            row("A", "profiles = [\"drop-in\"]\nexception = \"-\"\nunit = \"not built:\""),
            "A: not built without a reason",
        ),
        (row("A", &format!("{HELD}\nunit = \"maybe\"")), "A: `maybe` names no proof"),
        (
            row("A", &format!("{HELD}\nunit = \"sim::ledger::nothing\"")),
            "A: sim/tests/ledger.rs has no test nothing",
        ),
        (
            row("A", &format!("{HELD}\nunit = \"sim::ledger::report\"")),
            "A: sim/tests/ledger.rs has no test report",
        ),
        (
            // Another test has it.
            row("A", &format!("{HELD}\nunit = \"{TEST}#docs/conformance.md\"")),
            "A: sim/tests/ledger.rs: every_named_proof_exists has no case docs/conformance.md",
        ),
        (
            row("A", &format!("{HELD}\nsim = \"scenarios/no/such.toml\"")),
            "A: no file scenarios/no/such.toml",
        ),
        (
            row("A", &format!("{HELD}\nunit = \"{TEST}\""))
                + &row("B", &format!("{HELD}\nunit = \"{TEST}\"")),
            "B: sim::ledger::every_named_proof_exists is already the proof of A",
        ),
        (
            row("A", &format!("{HELD}\ncode = \"engine/src/lib.rs::no_such_thing\"")),
            "A: engine/src/lib.rs has no no_such_thing",
        ),
    ];
    for (text, mistake) in mistakes.into_iter().chain(mistakes_in_profiles()) {
        let ledger = Ledger::parse(&text).expect("a ledger that can be read");
        let mut found = check::rows(&ledger);
        found.extend(check::deviations(&ledger, &root()));
        found.extend(check::unproved(&ledger));
        found.extend(check::proofs(&ledger, &root()));
        found.extend(check::shared_proofs(&ledger));
        found.extend(check::code(&ledger, &root()));
        assert_eq!(found, [mistake]);
    }
    assert_eq!(Ledger::parse("[[row]]\nid = 7").unwrap_err(), "row 1: id is no text");
    let unknown = row("A", "colour = \"red\"");
    assert_eq!(Ledger::parse(&unknown).unwrap_err(), "A: no field is called colour");
}

#[test]
fn a_case_stands_in_its_test_or_in_a_table_that_the_test_names() {
    let text = r#"
const TABLE: [&str; 2] = [
    "IN-TABLE",
];
const SHORT: &str =
    "IN-SHORT";
fn rows(
    from: &str,
) -> Vec<&str> {
    vec!["IN-ROWS"]
}
const OTHER: &str = "IN-OTHER";
mod inner {
    #[test]
    fn it_is_so() {
        for row in rows("IN-BODY").iter().chain(TABLE).chain(SHORT) {}
        // "IN-COMMENT" OTHER
    }
    fn not_a_test() { "IN-ROWS" }
}
#[test]
fn it_is_otherwise() {
    let rows_of = "IN-SECOND";
}
"#;
    let source = Source::new(text);
    for case in ["IN-BODY", "IN-TABLE", "IN-SHORT", "IN-ROWS"] {
        assert!(source.has_case("it_is_so", case), "{case}");
        assert!(!source.has_case("it_is_otherwise", case), "{case}");
    }
    for case in ["IN-COMMENT", "IN-OTHER", "IN-SECOND", "IN"] {
        assert!(!source.has_case("it_is_so", case), "{case}");
    }
    assert!(source.has_case("it_is_otherwise", "IN-SECOND"));
    assert!(source.test("not_a_test").is_none());
}
