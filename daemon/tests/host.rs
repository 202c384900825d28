//! `vipd check --host` on a real kernel: what it reads in one network namespace, which is gone with
//! the thread that made it.

mod netns;

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use netns::{INTERFACE, seed, skip};
use nix::net::if_::if_nametoindex;
use nix::sched::{CloneFlags, unshare};
use vipd_engine::rules::ChecksumForm;
use vipd_engine::{
    Advert, AdvertFrame, Frame, Ifindex, Interval, MacAddress, Password, Version, Vrid,
};
use vipd_frames::Ethernet;
use vipd_sys::PacketSocket;

/// The other end of the interface.
const CABLE: &str = "cable";

/// Does something on a thread in a namespace of its own, where [`INTERFACE`] has an address.
fn alone(act: impl FnOnce() + Send + 'static) {
    if !nix::unistd::geteuid().is_root() {
        return skip("namespaces need root");
    }
    let thread = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).expect("root may do it");
        run("ip", &["link", "set", "lo", "up"]);
        run("ip", &["link", "add", INTERFACE, "type", "veth", "peer", "name", CABLE]);
        run("ip", &["address", "add", "200.222.0.74/24", "dev", INTERFACE]);
        for end in [INTERFACE, CABLE] {
            run("ip", &["link", "set", end, "up"]);
        }
        act();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().expect("it is installed");
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
}

/// A child has the namespace of the thread that starts it.
fn start(arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vipd"));
    command.args(["check", "--host"]).args(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("it was built")
}

fn check(arguments: &[&str]) -> Output {
    start(arguments).wait_with_output().expect("it ends")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn assert_says(output: &Output, parts: &[&str]) {
    let said = said(output);
    for part in parts {
        assert!(said.contains(part), "nothing says {part:?} in\n{said}");
    }
}

/// A backup of the seed's pair by multicast, on this interface.
fn file(name: &str, interface: &str) -> String {
    let text = format!(
        "vrrp_instance VI_1 {{\ninterface {interface}\nvirtual_router_id 51\npriority 99\n\
         authentication {{\nauth_type PASS\nauth_pass 1111\n}}\n\
         virtual_ipaddress {{\n200.222.0.113\n}}\n}}\n"
    );
    written(name, &text)
}

fn written(name: &str, text: &str) -> String {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&file, text).expect("a file of ours");
    file.display().to_string()
}

/// Director 1 as master, from the other end of the cable.
fn advertise(password: &[u8], priority: u8) {
    let cable = Ifindex(if_nametoindex(CABLE).expect("its index"));
    let mac = MacAddress([2, 0, 0, 0, 0, 73]);
    let advert = Advert {
        version: Version::V2,
        vrid: Vrid::new(51).expect("in range"),
        priority,
        interval: Interval::DEFAULT,
        password: Some(Password::new(password).expect("short")),
        addresses: ["200.222.0.113".parse().expect("an address")].into(),
    };
    let [src, dst] = ["200.222.0.73", "224.0.0.18"].map(|text| text.parse().expect("an address"));
    let checksum = ChecksumForm::MessageOnly;
    let frame = AdvertFrame { interface: cable, mac, src, dst, ttl: 255, checksum, advert };
    let mut octets = Vec::new();
    vipd_frames::encode(&Frame::Advert(frame), Ethernet::BROADCAST, 1, &mut octets);
    PacketSocket::new().expect("root may do it").send(cable.0, &octets).expect("it is up");
}

/// What is said while a master with this password is there.
fn check_beside(password: &[u8], arguments: &[&str]) -> Output {
    let mut checking = start(arguments);
    // More often than a real one, and bounded.
    for _ in 0..40 {
        if checking.try_wait().expect("it is ours").is_some() {
            break;
        }
        advertise(password, 100);
        std::thread::sleep(Duration::from_millis(100));
    }
    checking.wait_with_output().expect("it ends")
}

#[test]
fn a_master_that_is_there_is_named_with_what_would_come_of_it() {
    alone(|| {
        let file = file("heard.conf", INTERFACE);
        let heard = check_beside(b"1111", &["--listen", "1", &file]);
        assert_says(
            &heard,
            &[
                "listening to other masters for 1 s",
                "200.222.0.73 advertises VRID 51 with priority 100; this machine would be its",
            ],
        );
        assert_eq!(heard.status.code(), Some(0), "{}", said(&heard));
        let deaf = check_beside(b"2222", &["--listen", "1", &file]);
        assert_says(&deaf, &["would be dropped (auth_data: password differs)"]);
        assert_eq!(deaf.status.code(), Some(1), "{}", said(&deaf));
    });
}

#[test]
fn what_on_the_machine_would_break_the_file_is_an_error_and_named() {
    alone(|| {
        let nft = Command::new("nft").arg("--version").output();
        if nft.is_err() {
            return skip("nft (Debian package nftables) is not there");
        }
        let rules = "table inet t {\n chain in {\n type filter hook input priority 0; policy \
                     drop;\n udp dport 112 accept\n }\n chain out {\n type filter hook output \
                     priority 0;\n ip daddr 224.0.0.18 drop\n }\n}\n";
        run("nft", &["-f", &written("host.nft", rules)]);
        // That of this thread's namespace.
        std::fs::write("/proc/sys/net/ipv4/conf/all/rp_filter", "1").expect("it is writable");
        let with_macvlan = file("host.conf", &format!("{INTERFACE}\nuse_vmac"));
        let checked = check(&["--listen", "0", &with_macvlan]);
        assert_says(
            &checked,
            &[
                "adverts that arrive on ens192 are dropped by the policy of chain in of table",
                "of chain in of table inet t (`udp dport 112 accept`) lets UDP port 112 through",
                "adverts that leave by ens192 are dropped by rule",
                "net.ipv4.conf.all.rp_filter is 1 and counts for `vrrp.51` too",
            ],
        );
        assert!(!said(&checked).contains("listening"), "{}", said(&checked));
        assert_eq!(checked.status.code(), Some(2));
        let verdict = String::from_utf8_lossy(&checked.stdout);
        assert!(verdict.trim_end().ends_with(": unusable on this machine"), "{verdict}");

        run("nft", &["insert", "rule", "inet", "t", "in", "meta", "l4proto", "112", "accept"]);
        run("nft", &["insert", "rule", "inet", "t", "out", "meta", "l4proto", "112", "accept"]);
        let checked = check(&["--listen", "0", &file("host.conf", "ens9")]);
        assert!(!said(&checked).contains("are dropped"), "{}", said(&checked));
        assert_says(&checked, &["there is no interface `ens9` on this machine"]);
    });
}

#[test]
fn what_may_not_be_looked_at_is_said_and_is_no_pass() {
    alone(|| {
        let file = seed("director-2.conf").display().to_string();
        let (program, nobody) = (env!("CARGO_BIN_EXE_vipd"), 65_534);
        // Where the folder of the program is open to all, which root's own is not.
        let copy = std::env::temp_dir().join(format!("vipd-host-{}", std::process::id()));
        std::fs::create_dir_all(&copy).expect("a folder of ours");
        let (there, conf) = (copy.join("vipd"), copy.join("v.conf"));
        std::fs::copy(program, &there).expect("it was built");
        std::fs::copy(file, &conf).expect("the seed");
        let mut command = Command::new(&there);
        command.args(["check", "--host", "-P", "--listen", "1"]).arg(&conf);
        use std::os::unix::process::CommandExt;
        let output = command.uid(nobody).gid(nobody).output();
        let _ = std::fs::remove_dir_all(&copy);
        let output = output.expect("it runs");
        assert_says(
            &output,
            &["other masters: not looked at, ", "the packet filter: not looked at"],
        );
        assert!(!said(&output).contains("interfaces and addresses"), "{}", said(&output));
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    });
}

#[test]
fn virtual_servers_need_ipvs_unless_they_are_somebody_elses() {
    alone(|| {
        let file = seed("director-2.conf").display().to_string();
        let checked = check(&["--listen", "0", &file]);
        let has_ipvs = vipd::ipvs::Ipvs::open().is_ok();
        assert_eq!(said(&checked).contains("has no IPVS"), !has_ipvs, "{}", said(&checked));
        let checked = check(&["-P", "--listen", "0", &file]);
        assert!(!said(&checked).contains("IPVS"), "{}", said(&checked));
    });
}
