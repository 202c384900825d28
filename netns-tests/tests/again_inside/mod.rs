//! Runs a test once more, inside of user-mode Linux: for a machine whose kernel has no IPVS.

use std::process::Command;
use std::time::Duration;

use vipd_netns_tests::uml::{Inside, MEMORY, is_possible};

/// Set inside, so that nobody looks for a kernel within a kernel.
const IS_INSIDE: &str = "VIPLAB_TEST_IS_INSIDE";

/// Whether this is inside already.
pub fn is_inside() -> bool {
    std::env::var_os(IS_INSIDE).is_some()
}

/// Runs the test of this name, which takes a program that is called as its Debian package, and
/// shows what it says. What is missing is a skip in plain sight, and a failure under `CI=true`.
pub fn run(test: &str, program: &str, within: Duration) {
    assert!(!is_inside(), "user-mode Linux has no IPVS");
    let found = Command::new(program).arg("--version").output();
    let missing = |_| format!("{program} is not installed (Debian package {program})");
    if let Err(lacking) = is_possible().and_then(|()| found.map_err(missing)) {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{lacking}");
        eprintln!("skipped: this kernel has no IPVS, and {lacking}");
        return;
    }
    let own = std::env::current_exe().expect("this program").display().to_string();
    let inside = format!("{IS_INSIDE}=1");
    let command = ["env", &inside, &own, test, "--exact", "--nocapture"];
    let inside = Inside {
        command: command.map(str::to_string).to_vec(),
        viplab: env!("CARGO_BIN_EXE_viplab").into(),
        memory: MEMORY,
        within,
        stop: || false,
    };
    let ran = inside.run().expect("a run");
    let said = [ran.output, ran.errors].concat();
    let said = String::from_utf8_lossy(&said);
    assert_eq!(ran.status, 0, "inside:\n{said}");
    println!("{said}");
}
