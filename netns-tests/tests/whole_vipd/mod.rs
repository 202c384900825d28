//! A whole vipd beside a kernel that has IPVS, and waiting until that kernel's table is right. The
//! independent reader is ipvsadm.

#![allow(dead_code, reason = "not every test needs all of it")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Longer than anything here takes, on a machine that is busy.
pub const LONG: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

/// A vipd that ends with the test.
pub struct Vipd {
    pub child: Child,
    program: PathBuf,
    socket: PathBuf,
    log: PathBuf,
}

impl Vipd {
    /// With this configuration, and what it needs in this folder.
    pub fn start(folder: &Path, text: &str) -> Self {
        let program = Path::new(env!("CARGO_BIN_EXE_viplab")).with_file_name("vipd");
        assert!(program.exists(), "{} is built by: cargo build -p vipd", program.display());
        let (path, socket) = (folder.join("keepalived.conf"), folder.join("control.sock"));
        let log = folder.join("log");
        fs::write(&path, text).expect("a file of ours");
        let said = File::create(&log).expect("a file of ours");
        let mut command = Command::new(&program);
        command.arg("run").arg("-f").arg(path).arg("--socket").arg(&socket);
        command.stdout(said.try_clone().expect("a log")).stderr(said);
        Self { child: command.spawn().expect("it starts"), program, socket, log }
    }

    /// What one of its commands says.
    pub fn tell(&self, words: &[&str]) -> String {
        let mut command = Command::new(&self.program);
        let output = command.args(words).arg("--socket").arg(&self.socket).output();
        let output = output.expect("it runs");
        assert!(output.status.success(), "{words:?}: {output:?}: {}", self.log());
        String::from_utf8(output.stdout).expect("text")
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Vipd {
    fn drop(&mut self) {
        // It is gone already, if all went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

/// Waits until a file is as it is to be.
pub fn says(file: &Path, is_right: impl Fn(&str) -> bool) {
    let began = Instant::now();
    loop {
        let text = fs::read_to_string(file).unwrap_or_default();
        if is_right(&text) {
            return;
        }
        assert!(began.elapsed() < LONG, "{}: {text}", file.display());
        sleep(POLL);
    }
}

/// Waits until the table is this.
pub fn becomes(expected: &[&str]) {
    tells(&["-Sn"], LONG, expected);
}

/// Waits until ipvsadm says this.
pub fn tells(words: &[&str], within: Duration, expected: &[&str]) {
    let began = Instant::now();
    loop {
        let said = ipvsadm(words);
        if said == expected {
            return;
        }
        assert!(began.elapsed() < within, "{said:?} is not {expected:?}");
        sleep(POLL);
    }
}

/// What ipvsadm says, line by line.
pub fn ipvsadm(words: &[&str]) -> Vec<String> {
    let output = Command::new("ipvsadm").args(words).output().expect("ipvsadm");
    assert!(output.status.success(), "{words:?}: {output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(|line| line.trim().to_string()).collect()
}
