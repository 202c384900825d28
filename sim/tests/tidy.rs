//! Holds the style rules of CONTRIBUTING.md that a machine can hold, over every source file of the
//! workspace. `EXCEPTIONS` is a ratchet: an entry that is no longer needed fails the test too.

use std::fs;
use std::path::{Path, PathBuf};

const MAX_FILE_LINES: usize = 600;
const MAX_FUNCTION_LINES: usize = 70;
const MAX_COLUMNS: usize = 100;
const MAX_DOC_COLUMNS: usize = 120;

/// Files that may be longer, with their limit. Numbers here only go down.
const EXCEPTIONS: [(&str, usize); 0] = [];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_path_buf()
}

/// Every file below the packages that ends in one of `extensions`, with its path from the root.
fn files(extensions: &[&str]) -> Vec<(String, String)> {
    let root = root();
    let packages = [
        "engine",
        "checks",
        "config",
        "frames",
        "scenarios",
        "sim",
        "sys",
        "daemon",
        "netns-tests",
        "docs",
    ];
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = packages.iter().map(|package| root.join(package)).collect();
    for page in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"] {
        if extensions.contains(&"md") {
            found.push((page.to_string(), fs::read_to_string(root.join(page)).expect("a page")));
        }
    }
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let extension = path.extension().and_then(|extension| extension.to_str());
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if extension.is_some_and(|extension| extensions.contains(&extension)) {
                let name = path.strip_prefix(&root).expect("below the root").display().to_string();
                found.push((name, fs::read_to_string(&path).expect("readable text")));
            }
        }
    }
    found.sort();
    found
}

fn report(broken: &[String]) {
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn no_source_file_is_too_long() {
    let mut broken = Vec::new();
    for (name, text) in files(&["rs"]) {
        let lines = text.lines().count();
        let exception = EXCEPTIONS.iter().find(|(file, _)| *file == name);
        let limit = exception.map_or(MAX_FILE_LINES, |(_, limit)| *limit);
        if lines > limit {
            broken.push(format!("{name}: {lines} lines, {limit} at most"));
        } else if exception.is_some() && lines < limit {
            broken.push(format!("{name}: {lines} lines, tighten its exception"));
        }
    }
    report(&broken);
}

#[test]
fn no_function_is_too_long() {
    let mut broken = Vec::new();
    for (name, text) in files(&["rs"]) {
        let lines: Vec<_> = text.lines().collect();
        for (start, line) in lines.iter().enumerate().filter(|(_, line)| begins_function(line)) {
            let indent = line.len() - line.trim_start().len();
            let close = format!("{}}}", " ".repeat(indent));
            let length = lines[start..].iter().position(|line| *line == close).unwrap_or(0);
            if length > MAX_FUNCTION_LINES {
                broken.push(format!("{name}:{}: {length} lines", start + 1));
            }
        }
    }
    report(&broken);
}

fn begins_function(line: &str) -> bool {
    let line = line.trim_start();
    let visible = ["", "pub ", "pub(crate) ", "pub(super) "];
    let is_signature = visible.iter().any(|visibility| {
        line.strip_prefix(visibility)
            .is_some_and(|rest| rest.starts_with("fn ") || rest.starts_with("const fn "))
    });
    is_signature && !line.ends_with(';')
}

#[test]
fn no_line_is_too_wide() {
    let mut broken = Vec::new();
    for (extensions, limit) in [(["rs"], MAX_COLUMNS), (["md"], MAX_DOC_COLUMNS)] {
        for (name, text) in files(&extensions) {
            for (number, line) in text.lines().enumerate() {
                let is_table_or_link = line.starts_with('|') || line.contains("](");
                let columns = line.chars().count();
                if columns > limit && !is_table_or_link {
                    broken.push(format!("{name}:{}: {columns} columns", number + 1));
                }
            }
        }
    }
    report(&broken);
}

#[test]
fn each_source_file_says_at_its_head_what_it_is() {
    let headless = files(&["rs"]).into_iter().filter(|(_, text)| !text.starts_with("//!"));
    report(&headless.map(|(name, _)| format!("{name}: no //! at its head")).collect::<Vec<_>>());
}

#[test]
fn nothing_is_left_to_be_done_and_no_test_is_ignored() {
    // Spelt in two parts, so that this file does not find itself.
    let marks =
        [("TO", "DO"), ("FIX", "ME"), ("todo", "!("), ("unimplemented", "!("), ("#[ig", "nore")];
    let mut broken = Vec::new();
    for (name, text) in files(&["rs"]) {
        for (number, line) in text.lines().enumerate() {
            for (head, tail) in marks {
                if line.contains(&format!("{head}{tail}")) {
                    broken.push(format!("{name}:{}: {head}{tail}", number + 1));
                }
            }
        }
    }
    report(&broken);
}
