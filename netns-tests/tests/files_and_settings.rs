//! A whole vipd beside a kernel that has IPVS: real servers follow files, one whose check cannot be
//! made for want of a file is held down, and what others do to the time limits of connections and
//! to the threads of the synchronisation is put right. The independent reader is ipvsadm.
//!
//! On a machine whose kernel has no IPVS this program runs once more inside of user-mode Linux.

mod again_inside;
mod whole_vipd;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vipd::ipvs::Ipvs;
use vipd_engine::ipvs::READ_BACK_EVERY;
use vipd_netns_tests::namespaces::Namespaces;

use whole_vipd::{LONG, Vipd, becomes, ipvsadm, says, tells};

const TEST: &str = "servers_follow_files_and_the_kernel_keeps_what_is_configured";

/// `load` shifts a weight, `gate` says whether a server is good. Nobody listens at the third one,
/// which does not matter: no check of it is ever made.
fn file(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "\
global_defs {{
    lvs_timeouts tcp 600 udp 30
    lvs_sync_daemon lo id 7
}}
SSL {{
    ca {folder}/ca.pem
}}
track_file load {{
    file {folder}/load
}}
track_file gate {{
    file {folder}/gate
}}
virtual_server 10.0.0.1 80 {{
    delay_loop 1
    lb_algo wrr
    lb_kind NAT
    protocol TCP
    warmup 0
    real_server 127.0.0.2 80 {{
        weight 3
        FILE_CHECK {{
            track_file load
            weight 2
        }}
    }}
    real_server 127.0.0.3 80 {{
        FILE_CHECK {{
            track_file gate
            weight 0
        }}
    }}
    real_server 127.0.0.4 443 {{
        SSL_GET {{
            url {{
                path /
                status_code 200
            }}
        }}
    }}
}}
"
    )
}

#[test]
fn servers_follow_files_and_the_kernel_keeps_what_is_configured() {
    if Ipvs::open().is_ok() {
        let mut namespaces = Namespaces::new().expect("namespaces");
        let namespace = namespaces.add("files").expect("a namespace");
        return namespace.within(on_this_kernel).expect("in it");
    }
    again_inside::run(TEST, "ipvsadm", Duration::from_secs(300));
}

fn on_this_kernel() {
    let up = Command::new("ip").args(["link", "set", "lo", "up"]).status().expect("ip");
    assert!(up.success());
    let folder = std::env::temp_dir().join(format!("vipd-files-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder of ours");
    let mut vipd = Vipd::start(&folder, &file(&folder));
    let log = folder.join("log");
    // Two have no file, and of the third the authority is missing: none of them is good.
    says(&log, |text| text.contains("not made: a file of ours cannot be read"));
    becomes(&has(&[]));
    let status = vipd.tell(&["status"]);
    assert!(status.contains("not made: a file of ours cannot be read"), "{status}");
    says(&log, |text| text.contains("ca.pem"));
    says(&log, |text| text.contains("is down: its file has told no number yet"));
    follow_files(&folder, &vipd);
    keep_settings(&log);
    kill(Pid::from_raw(vipd.child.id() as i32), Signal::SIGTERM).expect("it runs");
    assert_eq!(vipd.child.wait().expect("it ends").code(), Some(0));
    assert_eq!(ipvsadm(&["-Sn"]), [""; 0]);
    assert_eq!(ipvsadm(&["-L", "--daemon"]), [""; 0]);
    fs::remove_dir_all(&folder).expect("a folder of ours");
}

fn follow_files(folder: &Path, vipd: &Vipd) {
    let write = |name: &str, number: &str| {
        fs::write(folder.join("new"), number).expect("a file of ours");
        fs::rename(folder.join("new"), folder.join(name)).expect("a file of ours");
    };
    write("load", "5\n");
    becomes(&has(&["-a -t 10.0.0.1:80 -r 127.0.0.2:80 -m -w 13"]));
    write("gate", "0\n");
    let good = "-a -t 10.0.0.1:80 -r 127.0.0.3:80 -m -w 1";
    becomes(&has(&["-a -t 10.0.0.1:80 -r 127.0.0.2:80 -m -w 13", good]));
    write("load", "-1\n");
    becomes(&has(&["-a -t 10.0.0.1:80 -r 127.0.0.2:80 -m -w 1", good]));
    write("gate", "9\n");
    becomes(&has(&["-a -t 10.0.0.1:80 -r 127.0.0.2:80 -m -w 1"]));
    let status = vipd.tell(&["status"]);
    assert!(status.contains("the file says 9"), "{status}");
    // A file that goes, or that says nothing, has no new value.
    fs::remove_file(folder.join("load")).expect("a file of ours");
    write("gate", "none\n");
    says(&folder.join("log"), |text| text.matches("its value stays").count() >= 2);
    becomes(&has(&["-a -t 10.0.0.1:80 -r 127.0.0.2:80 -m -w 1"]));
    write("gate", "0\n");
    becomes(&has(&["-a -t 10.0.0.1:80 -r 127.0.0.2:80 -m -w 1", good]));
}

fn keep_settings(log: &Path) {
    const LIMITS: &str = "Timeout (tcp tcpfin udp): 600 120 30";
    let limits = ["-L", "--timeout"];
    tells(&limits, LONG, &[LIMITS]);
    let threads = ipvsadm(&["-L", "--daemon"]);
    assert_eq!(threads.len(), 2, "{threads:?}");
    assert!(threads.iter().all(|line| line.contains("mcast=lo, syncid=7")), "{threads:?}");
    ipvsadm(&["--set", "700", "0", "0"]);
    ipvsadm(&["--stop-daemon", "backup"]);
    let soon = READ_BACK_EVERY + LONG;
    tells(&limits, soon, &[LIMITS]);
    tells(&["-L", "--daemon"], LONG, &threads.iter().map(String::as_str).collect::<Vec<_>>());
    says(log, |text| text.contains("somebody set timeouts tcp 700 s tcpfin 120 s udp 30 s"));
    says(log, |text| text.contains("somebody stopped sync backup"));
}

/// The table with these real servers.
fn has(servers: &[&'static str]) -> Vec<&'static str> {
    [&["-A -t 10.0.0.1:80 -s wrr"], servers].concat()
}
