//! What vipd keeps in memory for as many virtual routers as an interface can have, on real kernels,
//! and what it takes to read a file with many real servers.
//!
//! Its heap alone: how much of the program is resident depends on how it was built, and is measured
//! by `versus-keepalived`.

mod netns;

use std::fmt::Write;
use std::fs;
use std::process::Command;

use netns::process::Process;
use nix::sys::signal::Signal;

/// Of 255 virtual routers, in octets. The whole daemon may have 8 MB.
const MOST: u64 = 4_500_000;

fn crowd() -> String {
    let mut text = String::from("global_defs {\n vrrp_version 3\n}\n");
    for vrid in 1..=255 {
        let _ = write!(
            text,
            "vrrp_instance VI_{vrid} {{\n state BACKUP\n interface {}\n virtual_router_id {vrid}\n \
             advert_int 0.5\n virtual_ipaddress {{\n 10.9.0.{vrid}/32\n }}\n}}\n",
            netns::INTERFACE
        );
    }
    text
}

/// Memory that is no file's: heap, stacks, and what the program has written to its own data.
fn heap(vipd: &Process) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", vipd.id())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a line");
    let kilobytes = line.trim().strip_suffix(" kB").expect("a unit").parse::<u64>();
    kilobytes.expect("a number") * 1024
}

#[test]
fn a_crowd_of_virtual_routers_fits_into_a_few_megabytes_also_after_reloads() {
    let Some(network) = netns::network(&[&["10.8.0.1/24"]]) else { return };
    let vipd = network.hosts[0].start(&network.hosts[0].file(&crowd()));
    // The capture may lose some of so many frames at once.
    let added: Vec<_> = (1..=255).map(|vrid| format!("add address 10.9.0.{vrid}/32 on")).collect();
    let added: Vec<_> = added.iter().map(String::as_str).collect();
    vipd.wait_for_all(&added);
    let at_first = heap(&vipd);
    assert!(at_first <= MOST, "{at_first} octets");
    for _ in 0..3 {
        vipd.forget();
        vipd.signal(Signal::SIGHUP);
        vipd.wait_for("read anew");
        network.hosts[0].status();
        // What was freed is given back by the time at which the adverts of half a second have left.
        let seen = network.capture.mark();
        network.hosts[0].status();
        network.capture.advert(seen, 0, 100);
        let seen = network.capture.mark();
        network.capture.advert(seen, 0, 100);
    }
    let at_last = heap(&vipd);
    assert!(at_last <= MOST, "{at_first} octets at first, {at_last} after three reloads");
}

/// Real servers of a large file, each with a check, and what it may take to read it, in octets. The
/// text alone is 2.4 MB, and held twice for a moment.
const SERVERS: u32 = 20_000;
const MOST_TO_READ: u32 = 7_500_000;

#[test]
fn a_file_with_many_real_servers_takes_little_memory_to_read() {
    let mut text = String::new();
    for number in 0..SERVERS {
        if number % 80 == 0 {
            let (service, end) = (number / 80, if number == 0 { "" } else { "}\n" });
            let _ = write!(
                text,
                "{end}virtual_server 10.0.0.{service} 80 {{\n    delay_loop 6\n    \
                 lb_algo wlc\n    lb_kind NAT\n    protocol TCP\n"
            );
        }
        let (third, fourth) = (number / 250, number % 250);
        let _ = write!(
            text,
            "    real_server 10.64.{third}.{fourth} 8080 {{\n        weight 1\n        \
             TCP_CHECK {{\n            connect_timeout 5\n        }}\n    }}\n"
        );
    }
    text.push_str("}\n");
    let file = std::env::temp_dir().join(format!("vipd-many-{}.conf", std::process::id()));
    fs::write(&file, text).expect("a file of ours");
    let mut command = Command::new("prlimit");
    command.arg(format!("--data={MOST_TO_READ}")).arg(env!("CARGO_BIN_EXE_vipd")).arg("check");
    let output = command.arg(&file).output().expect("prlimit");
    fs::remove_file(&file).expect("a file of ours");
    assert!(output.status.success(), "{output:?}");
}

/// Facts of a process in /proc.
fn fact(vipd: &Process, file: &str, name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{}/{file}", vipd.id())).expect("it runs");
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
    line.trim_start_matches([':', ' ', '\t']).to_string()
}

#[test]
fn memory_is_locked_and_priorities_are_taken_before_the_capabilities_are_dropped() {
    let Some(network) = netns::network(&[&["10.8.0.1/24"]]) else { return };
    let host = &network.hosts[0];
    let wanted = "vrrp_rt_priority 7\n vrrp_priority -3\n vrrp_rlimit_rttime 900000\n vrrp_no_swap";
    let text = format!(
        "global_defs {{\n {wanted}\n script_user root\n}}\nvrrp_script never {{\n script \
         \"/bin/false\"\n}}\nvrrp_instance VI_1 {{\n interface {}\n virtual_router_id 7\n \
         track_script {{\n never\n }}\n virtual_ipaddress {{\n 10.9.0.7\n }}\n}}\n",
        netns::INTERFACE
    );
    let vipd = host.start(&host.file(&text));
    let process = &host.status()["process"];
    let expected = serde_json::json!({
        "memory_locked": true, "realtime_priority": 7, "nice": -3
    });
    assert_eq!(*process, expected, "{}", vipd.said());
    // By the kernel's own account: everything is locked, and the scheduler knows.
    let kilobytes = |name| {
        let fact = fact(&vipd, "status", name);
        fact.trim_end_matches(" kB").parse::<u64>().expect("a number")
    };
    // Save for what is the kernel's own, and cannot be swapped out. The heap is unlocked for the
    // moment in which free memory is given back, such as after a status.
    let is_locked = || kilobytes("VmLck") + 200 > kilobytes("VmSize");
    let (locked, all) = (kilobytes("VmLck"), kilobytes("VmSize"));
    assert!((0..100_000).any(|_| is_locked()), "{locked} of {all} kB locked");
    assert!(fact(&vipd, "limits", "Max realtime timeout").starts_with("900000"));
    let stat = fs::read_to_string(format!("/proc/{}/stat", vipd.id())).expect("it runs");
    let fields: Vec<_> = stat.rsplit(") ").next().expect("fields").split(' ').collect();
    // Numbered from 3 on, see proc_pid_stat(5): nice, rt_priority, policy.
    assert_eq!([fields[16], fields[37]], ["-3", "7"], "{stat}");
    assert_eq!(fields[38].parse::<u32>().map(|policy| policy & 0xf), Ok(2), "SCHED_RR: {stat}");
    // Two capabilities, bits 12 and 13, and that to lock, 14, where the limit could not be lifted.
    let unlimited = fact(&vipd, "limits", "Max locked memory").starts_with("unlimited");
    let expected = if unlimited { "0000000000003000" } else { "0000000000007000" };
    for set in ["CapPrm", "CapEff", "CapBnd"] {
        assert_eq!(fact(&vipd, "status", set), expected, "{set}");
    }
    // Scripts, and who runs them, are not urgent.
    let children = format!("/proc/{0}/task/{0}/children", vipd.id());
    let children = fs::read_to_string(children).expect("it runs");
    let helper = children.split(' ').next().expect("the helper");
    let stat = fs::read_to_string(format!("/proc/{helper}/stat")).expect("it runs");
    let fields: Vec<_> = stat.rsplit(") ").next().expect("fields").split(' ').collect();
    assert_eq!([fields[16], fields[37]], ["0", "0"], "{stat}");
    // What it allocates later is not refused, and still given back.
    vipd.signal(Signal::SIGHUP);
    vipd.wait_for("read anew");
    assert_eq!(host.status()["process"]["memory_locked"], true);
}

#[test]
fn adverts_go_first_on_a_busy_machine_and_what_none_needs_goes_last() {
    let Some(network) = netns::network(&[&["10.8.0.1/24"]]) else { return };
    let host = &network.hosts[0];
    let vipd = host.start(&host.file(&crowd()));
    assert_eq!(host.status()["process"]["nice"], -20);
    // Of a thread that reads the file anew.
    vipd.signal(Signal::SIGHUP);
    vipd.wait_for("read anew");
    let threads = fs::read_dir(format!("/proc/{}/task", vipd.id())).expect("it runs");
    let nice = |thread: std::io::Result<fs::DirEntry>| {
        let thread = thread.expect("a thread");
        let stat = fs::read_to_string(thread.path().join("stat")).expect("it waits");
        let fields: Vec<_> = stat.rsplit(") ").next().expect("fields").split(' ').collect();
        (thread.file_name() == *vipd.id().to_string(), fields[16].to_string())
    };
    let (loops, others): (Vec<_>, Vec<_>) = threads.map(nice).partition(|(is_loop, _)| *is_loop);
    assert_eq!(loops, [(true, "-20".to_string())]);
    assert!(!others.is_empty() && others.iter().all(|(_, nice)| nice == "5"), "{others:?}");
}

#[test]
fn without_the_right_to_lock_it_is_a_warning_and_no_allocation_is_refused() {
    let Some(network) = netns::network(&[&["10.8.0.1/24"]]) else { return };
    let host = &network.hosts[0];
    let limits = ["prlimit", "--memlock=65536:65536", "setpriv", "--bounding-set"];
    let kept = "-all,+net_admin,+net_raw,+setpcap";
    let text = format!("global_defs {{\n vrrp_rt_priority 7\n}}\n{}", crowd());
    let starter = [&limits[..], &[kept, "--inh-caps", "-all"]].concat();
    let vipd = host.launch_with(&starter, &host.file(&text));
    vipd.wait_for(
        "memory is not locked, and may be swapped out: it needs LimitMEMLOCK=infinity, or",
    );
    vipd.wait_for("no real-time priority of 7 (vrrp_rt_priority): ");
    vipd.wait_for("ready: 255 instances");
    let expected = serde_json::json!({
        "memory_locked": false, "realtime_priority": null, "nice": null
    });
    assert_eq!(host.status()["process"], expected);
}
