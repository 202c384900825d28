//! Whatever is written: it is used or refused with an error, and nothing panics.

use std::path::Path;

use proptest::prelude::*;
use vipd_config::keywords::Place;
use vipd_config::text::InMemory;
use vipd_config::{Options, Scope, explain_from};
use vipd_engine::Profile;

/// Values that are right somewhere, and some that are right nowhere.
const VALUES: [&str; 27] = [
    "0",
    "1",
    "2",
    "3",
    "51",
    "255",
    "300",
    "-1",
    "0.5",
    "on",
    "off",
    "MASTER",
    "BACKUP",
    "PASS",
    "eth0",
    "VI_1",
    "G",
    "10.0.0.1",
    "10.0.0.2/24",
    "10.0.0.3/99",
    "fe80::1",
    "224.0.0.7",
    "fwmark",
    "weight",
    "dev",
    "rr",
    "\"\"",
];

fn keyword() -> impl Strategy<Value = &'static str> {
    let all = Place::ALL.into_iter().filter(|place| !place.is_line());
    let names = all.flat_map(Place::rows).map(|row| row.name);
    let names: Vec<_> = names.filter(|name| !name.starts_with("include")).collect();
    proptest::sample::select(names)
}

fn words() -> impl Strategy<Value = String> {
    let values = proptest::collection::vec(proptest::sample::select(VALUES.to_vec()), 0..4);
    values.prop_map(|values| values.join(" "))
}

/// Statements in blocks in blocks, any keyword anywhere, lines of lists among them.
fn statements() -> impl Strategy<Value = String> {
    let head = prop_oneof![3 => keyword().boxed(), 1 => Just("10.0.0.9").boxed()];
    let line = (head, words()).prop_map(|(keyword, words)| format!("{keyword} {words}\n"));
    line.prop_recursive(4, 60, 8, |inner| {
        let inside = proptest::collection::vec(inner, 0..8);
        let block = (keyword(), words(), inside.clone());
        let block = block.prop_map(|(keyword, words, inside)| {
            format!("{keyword} {words} {{\n{}}}\n", inside.concat())
        });
        prop_oneof![block, inside.prop_map(|lines| lines.concat())]
    })
}

/// The keywords of an instance in an instance: more of it is understood than of anything at all.
fn instance() -> impl Strategy<Value = String> {
    let names: Vec<_> = Place::VrrpInstance.rows().iter().map(|row| row.name).collect();
    let line = (proptest::sample::select(names), words(), any::<bool>());
    let line = line.prop_map(|(keyword, words, block)| {
        if block { format!("{keyword} {{\n{words}\n}}\n") } else { format!("{keyword} {words}\n") }
    });
    proptest::collection::vec(line, 0..8).prop_map(|lines| {
        let lines = lines.concat();
        format!("vrrp_instance VI_1 {{\ninterface eth0\nvirtual_router_id 9\n{lines}}}\n")
    })
}

fn check(text: &str, profile: Profile) -> Result<(), TestCaseError> {
    let files = InMemory::new().with("/k.conf", text);
    let options = Options { config_id: Some("a".to_owned()), profile, scope: Scope::All };
    match explain_from(&files, Path::new("/k.conf"), &options) {
        Ok((loaded, effective)) => {
            prop_assert!(!loaded.report.diagnostics.has_errors());
            let shown = serde_json::to_value(&effective).unwrap();
            let instances = shown["vrrp_instance"].as_array().unwrap().len();
            prop_assert_eq!(instances, loaded.config.instances().len());
        }
        Err(report) => {
            prop_assert!(report.diagnostics.has_errors());
            prop_assert!(!report.to_string().is_empty());
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_keywords_in_any_blocks_are_used_or_refused_with_an_error(text in statements()) {
        check(&text, Profile::DropIn)?;
    }

    #[test]
    fn any_lines_in_an_instance_are_used_or_refused_with_an_error(
        text in instance(),
        profile in proptest::sample::select(Profile::ALL.to_vec()),
    ) {
        check(&text, profile)?;
    }
}
