//! What a laboratory that died left behind. It is in a file of its own: any laboratory that begins
//! at the same time would remove it.

use std::process::Command;

use vipd_netns_tests::namespaces::Namespaces;

/// No process has this number: the kernel's largest is 2^22.
const LEFT: &str = "viplab-4194305-0-wires";

fn ip(words: &[&str]) -> String {
    let output = Command::new("ip").args(words).output().expect("ip runs");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn what_a_laboratory_that_died_left_behind_is_removed_by_the_next_one() {
    if let Err(reason) = Namespaces::new() {
        let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
        assert!(!in_ci, "a skip is no pass in CI: {reason}");
        println!("skipped: {reason}");
        return;
    }
    ip(&["netns", "add", LEFT]);
    assert!(ip(&["netns", "list"]).contains(LEFT));
    let mut inside = Command::new("ip");
    inside.args(["netns", "exec", LEFT, "tail", "-f", "/dev/null"]);
    let mut inside = inside.spawn().expect("ip runs");
    let entered = (0..10_000).any(|_| !ip(&["netns", "pids", LEFT]).is_empty());
    assert!(entered, "it never came in");
    drop(Namespaces::new().expect("as before"));
    assert!(!ip(&["netns", "list"]).contains(LEFT));
    let ended = inside.wait().expect("a child of ours");
    assert!(!ended.success(), "it was killed");
}
