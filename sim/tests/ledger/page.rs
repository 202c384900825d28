//! `docs/conformance.md`, made from the ledger and from nothing else.

use std::fmt::Write as _;

use vipd_engine::Profile;

use super::row::{Ledger, Proof, Ring, Row};

const HEAD: &str = "\
# Conformance

Every requirement of the RFCs that vipd knows of, and the proof of it. This page is made from
`requirements.toml` by `UPDATE_DOCS=1 cargo test -p vipd-sim --test ledger`; do not edit it.

`unit` is the engine or the codec alone, `sim` is many routers in the simulator, `wire` is real
kernels. An empty cell: this ring cannot show it. A proof is `package::file::test`, with `#case`
where a test is a table, or a scenario, or an experiment of `viplab conformance`. The numbers of a
source are an RFC and its section; `X-` rows are good practice that no RFC asks for, and `(2nd)`
marks a text that was read at second hand.
Where a row holds: D is `drop-in`, 37 `rfc3768`, 57 `rfc5798`, 95 `rfc9568`.

";

const PROFILES_HEAD: &str = "
## Profiles

Of the MUST and MUST NOT rows of a profile: *proved* in each of `unit` and `sim` that can show it,
*not built* in one of them, *other* where only real kernels can show it or nothing can.

| profile | rows | MUST | proved | not built | other |
|---|---|---|---|---|---|
";

pub fn page(ledger: &Ledger) -> String {
    let mut page = HEAD.to_owned();
    summary(ledger, &mut page);
    profiles(ledger, &mut page);
    exceptions(ledger, &mut page);
    deviations(ledger, &mut page);
    let mut section = "";
    for row in &ledger.rows {
        if row.section != section {
            section = &row.section;
            let _ = write!(page, "\n## {section}\n\n");
            page.push_str(
                "| id | source | level | requirement | in | code | unit | sim | wire |\n",
            );
            page.push_str("|---|---|---|---|---|---|---|---|---|\n");
        }
        line(row, &mut page);
    }
    page
}

fn summary(ledger: &Ledger, page: &mut String) {
    page.push_str("| ring | rows | proved | not built | not applicable |\n|---|---|---|---|---|\n");
    for ring in Ring::ALL {
        let proofs: Vec<_> = ledger.rows.iter().filter_map(|row| row.proof(ring)).collect();
        let proved = proofs.iter().filter(|proof| proof.is_built()).count();
        let missing = proofs.iter().filter(|proof| matches!(proof, Proof::NotBuilt(_))).count();
        let (rows, name) = (proofs.len(), ring.name());
        let other = rows - proved - missing;
        let _ = writeln!(page, "| {name} | {rows} | {proved} | {missing} | {other} |");
    }
    let rows = ledger.rows.len();
    let must = ledger.rows.iter().filter(|row| row.is_must()).count();
    let _ = write!(page, "\n{rows} rows, {must} of them MUST or MUST NOT.\n");
}

/// What each profile holds, and how much of it is proved without a real kernel.
fn profiles(ledger: &Ledger, page: &mut String) {
    page.push_str(PROFILES_HEAD);
    for profile in Profile::ALL {
        let rows: Vec<_> = ledger.rows.iter().filter(|row| row.holds_in(profile)).collect();
        let must: Vec<_> = rows.iter().filter(|row| row.is_must()).collect();
        let missing = |row: &Row| row.in_memory().any(|(_, it)| matches!(it, Proof::NotBuilt(_)));
        let built = |row: &Row| row.in_memory().any(|(_, it)| it.is_built());
        let not_built = must.iter().filter(|row| missing(row)).count();
        let proved = must.iter().filter(|row| !missing(row) && built(row)).count();
        let (rows, must, name) = (rows.len(), must.len(), profile.name());
        let other = must - proved - not_built;
        let _ = writeln!(page, "| `{name}` | {rows} | {must} | {proved} | {not_built} | {other} |");
    }
}

fn exceptions(ledger: &Ledger, page: &mut String) {
    page.push_str("\n## Where the profile of an RFC leaves a MUST\n\n| id | why |\n|---|---|\n");
    let rows = ledger.rows.iter().filter_map(|row| Some((&row.id, row.exception.as_ref()?)));
    for (id, why) in rows {
        let _ = writeln!(page, "| {id} | {why} |");
    }
}

fn deviations(ledger: &Ledger, page: &mut String) {
    page.push_str("\n## Where `drop-in` departs from the RFCs\n\n| id | why |\n|---|---|\n");
    let rows = ledger.rows.iter().filter_map(|row| Some((&row.id, row.deviation.as_ref()?)));
    for (id, why) in rows {
        let _ = writeln!(page, "| {id} | {why} |");
    }
}

fn line(row: &Row, page: &mut String) {
    let short = |profile: &String| match profile.as_str() {
        "drop-in" => "D",
        "rfc3768" => "37",
        "rfc5798" => "57",
        _ => "95",
    };
    let profiles = row.profiles.iter().map(short).collect::<Vec<_>>().join(" ");
    let code = row.code.as_ref().map_or(String::new(), |code| format!("`{code}`"));
    let Row { id, source, level, requirement, .. } = row;
    let _ = write!(page, "| {id} | {source} | {level} | {requirement} | {profiles} | {code} |");
    for ring in Ring::ALL {
        let cell = match (row.proof_text(ring), row.proof(ring)) {
            (Some(text), Some(proof)) if proof.is_built() => format!(" `{text}` |"),
            (Some(text), _) => format!(" {text} |"),
            (None, _) => " |".to_owned(),
        };
        page.push_str(&cell);
    }
    page.push('\n');
}
