//! `MISC_CHECK`: scripts that are run by the helper.

mod checked;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::unistd::Uid;
use vipd_config::{Loaded, Options, load};
use vipd_engine::config::health::{Check, CheckKind};
use vipd_engine::health::{Failure, Outcome};

use checked::{Checks, Folder, LONG, SHORT};

/// A file with a check per command, and what it says of them.
struct Scripts {
    folder: Folder,
    loaded: Loaded,
}

impl Scripts {
    fn of(name: &str, commands: &[(&str, &str)], global: &str) -> Self {
        let folder = Folder::new(name);
        let place = folder.path("").display().to_string();
        let mut text = format!("global_defs {{\nscript_user root root\n{global}\n}}\n");
        text += "virtual_server 10.0.0.9 80 {\ndelay_loop 6\nprotocol TCP\n";
        for (at, (command, more)) in (1..).zip(commands) {
            let command = command.replace("FOLDER/", &place);
            let check = format!("MISC_CHECK {{\nmisc_path \"{command}\"\n{more}\n}}");
            text += &format!("real_server 10.0.0.{at} 80 {{\n{check}\n}}\n");
        }
        let file = folder.write("vipd.conf", &(text + "}\n"));
        let loaded = load(Path::new(&file), &Options::default()).expect("it is usable");
        Self { folder, loaded }
    }

    fn script(&self, name: &str, text: &str) {
        let path = self.folder.write(name, &format!("#!/bin/sh\n{text}\n"));
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("its mode");
    }

    /// The driver with its helper, which has read the file.
    async fn checks(&self) -> Checks {
        Checks::with(&self.folder.path("vipd.conf"), &self.loaded).await
    }

    /// The check of the real server with this number, counted from 0.
    fn check(&self, place: usize, timeout: Duration) -> Check {
        let server = &self.loaded.config.director().virtual_servers[0].real_servers[place];
        Check { timeout, ..server.checks[0].check() }
    }
}

fn is_root() -> bool {
    let root = Uid::effective().is_root();
    if !root {
        eprintln!("skipped: scripts are run as root here");
    }
    root
}

#[tokio::test]
async fn the_exit_status_of_a_script_is_the_outcome() {
    if !is_root() {
        return;
    }
    let commands = [
        ("FOLDER/exits 0", ""),
        ("FOLDER/exits 1", ""),
        ("FOLDER/exits 9", "misc_dynamic"),
        ("FOLDER/exits 9", ""),
        ("FOLDER/dies", ""),
        ("FOLDER/missing", ""),
        ("FOLDER/data", ""),
        ("FOLDER/exits 0", "user nobody_of_this_name"),
    ];
    let scripts = Scripts::of("misc-exit", &commands, "");
    scripts.script("exits", "exit $1");
    scripts.script("dies", "kill -9 $$");
    scripts.folder.write("data", "no program");
    let mut checks = scripts.checks().await;
    let unusable = Outcome::Bad(Failure::ScriptUnusable);
    let wanted = [
        Outcome::GOOD,
        Outcome::Bad(Failure::Exit(1)),
        Outcome::Good { weight: Some(7) },
        Outcome::Bad(Failure::Exit(9)),
        Outcome::Bad(Failure::Signal(9)),
        unusable,
        unusable,
        unusable,
    ];
    for ((place, wanted), (command, _)) in (0..).zip(wanted).zip(commands) {
        assert_eq!(checks.outcome(scripts.check(place, LONG)).await, wanted, "{command}");
    }
    // It is put there: the next attempt is good.
    scripts.script("missing", "exit 0");
    assert_eq!(checks.outcome(scripts.check(5, LONG)).await, Outcome::GOOD);
}

#[tokio::test]
async fn a_script_that_anybody_may_change_is_not_run_as_root() {
    if !is_root() {
        return;
    }
    let commands = [("FOLDER/open", "")];
    let scripts = Scripts::of("misc-safe", &commands, "enable_script_security");
    scripts.script("open", "exit 0");
    let path = scripts.folder.path("open");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).expect("its mode");
    let mut checks = scripts.checks().await;
    let outcome = checks.outcome(scripts.check(0, LONG)).await;
    assert_eq!(outcome, Outcome::Bad(Failure::ScriptUnusable));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its mode");
    assert_eq!(checks.outcome(scripts.check(0, LONG)).await, Outcome::GOOD);
}

/// Waits until a file is there, or is gone.
fn wait_for(path: &Path, exists: bool) {
    let began = Instant::now();
    while path.exists() != exists {
        assert!(began.elapsed() < LONG, "{} {exists}", path.display());
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn a_script_has_its_time_and_no_more_and_is_killed_with_its_children_when_it_is_dropped() {
    if !is_root() {
        return;
    }
    let scripts = Scripts::of("misc-time", &[("FOLDER/hangs", "")], "");
    let place = scripts.folder.path("").display().to_string();
    // The child tells of its own end, unless it is killed.
    let child = format!("(sleep 2; touch {place}left) &");
    scripts.script(
        "hangs",
        &format!("{child}\necho $$ >{place}pid.new\nmv {place}pid.new {place}pid\nsleep 100"),
    );
    let mut checks = scripts.checks().await;
    let began = Instant::now();
    let outcome = checks.outcome(scripts.check(0, SHORT)).await;
    assert_eq!(outcome, Outcome::Bad(Failure::TimedOut));
    assert!(began.elapsed() >= SHORT, "{:?}", began.elapsed());
    let pid = scripts.folder.path("pid");
    let _ = fs::remove_file(&pid);
    let dropped = checks.start(1, &Arc::new(scripts.check(0, LONG)), 0);
    let running = tokio::task::spawn_blocking(move || {
        wait_for(&pid, true);
        fs::read_to_string(pid).expect("a number")
    });
    let running = running.await.expect("it runs");
    let process = Path::new("/proc").join(running.trim());
    checks.cancel(dropped);
    let gone = tokio::task::spawn_blocking(move || wait_for(&process, false));
    gone.await.expect("it is killed");
    assert!(!scripts.folder.path("left").exists(), "its child was killed too");
}

#[tokio::test]
async fn a_script_that_the_file_does_not_have_is_not_run() {
    if !is_root() {
        return;
    }
    let scripts = Scripts::of("misc-unknown", &[("FOLDER/exits 0", "")], "");
    scripts.script("exits", "exit $1");
    let mut checks = scripts.checks().await;
    let kind = CheckKind::Script { script: "another".into(), dynamic: false };
    let unknown = Check { kind, ..scripts.check(0, LONG) };
    assert!(matches!(checks.outcome(unknown).await, Outcome::Local(_)));
    assert_eq!(checks.outcome(scripts.check(0, LONG)).await, Outcome::GOOD);
}
