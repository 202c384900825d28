//! Everything that a fuzzer has found worth keeping, replayed.

use std::fs;
use std::path::Path;

use vipd_fuzz::TARGETS;

#[test]
fn every_file_of_a_corpus_goes_through_its_target() {
    for (name, feed) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        let entries = fs::read_dir(&folder).expect("a corpus");
        let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
        files.sort();
        assert!(files.len() >= 10, "{name} has hardly any corpus");
        for file in files {
            let octets = fs::read(&file).expect("a file");
            let fed = std::panic::catch_unwind(|| feed(&octets));
            assert!(fed.is_ok(), "{} does not hold", file.display());
        }
    }
}

#[test]
fn every_corpus_has_its_target() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let entries = fs::read_dir(folder).expect("the corpora");
    for entry in entries {
        let name = entry.expect("an entry").file_name();
        assert!(TARGETS.iter().any(|(target, _)| *target == name), "{name:?}");
    }
}
