//! Facts about the table as a whole.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;

fn all() -> impl Iterator<Item = &'static Keyword> {
    Place::ALL.into_iter().flat_map(Place::rows)
}

#[test]
fn a_keyword_stands_once_in_a_place_and_its_row_names_that_place() {
    for place in Place::ALL {
        let mut names = BTreeSet::new();
        for row in place.rows() {
            assert!(names.insert(row.name), "{} stands twice in {place:?}", row.name);
            assert_eq!(row.place, place, "{}", row.name);
        }
    }
}

#[test]
fn what_is_acted_on_or_checked_has_a_reader() {
    for row in all() {
        let read = row.standing == Standing::ActedOn;
        // `include` and its like are the text layer's, and `global_defs` has no head to read.
        let headless =
            row.name.starts_with("include") || row.form == Form::Block(Place::GlobalDefs);
        let has_reader = !matches!(row.read, Read::Nothing);
        assert_eq!(read && !headless, has_reader, "{} in {:?}", row.name, row.place);
    }
}

#[test]
fn a_keyword_sets_and_inherits_what_the_table_has() {
    for row in all() {
        assert!(row.place.find(row.sets).is_some(), "{} sets {}", row.name, row.sets);
        if let Some(global) = row.inherits {
            assert!(Place::GlobalDefs.find(global).is_some(), "{} inherits {global}", row.name);
        }
    }
}

#[test]
fn every_value_that_takes_effect_is_shown() {
    for row in all() {
        let valued = row.standing == Standing::ActedOn
            && row.sets == row.name
            && !matches!(row.form, Form::Block(_))
            && row.deprecated.is_none()
            && row.place != Place::Root
            && !row.name.starts_with("include")
            && !row.place.is_line();
        let shown = !matches!(row.show, Show::Nothing);
        assert_eq!(valued, shown, "{} in {:?}", row.name, row.place);
    }
}

#[test]
fn the_committed_page_is_the_one_that_the_table_makes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/keywords.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, page()).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == page(), "run `UPDATE_DOCS=1 cargo test -p vipd-config` and commit");
}
