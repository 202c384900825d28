//! Commands of the tap and the table of ipvsadm in few words: real servers are `a` to `d`, the
//! sorry server is `s`, virtual servers are `v` and `w`.

use std::net::IpAddr;
use std::process::Command;

use vipd_netns_tests::namespaces::Namespace;

/// Names of real servers, which are at 10.1.0.1, 10.1.0.2 and so on, and at fd01::1 and so on, port
/// 80.
pub const SERVERS: [char; 5] = ['a', 'b', 'c', 'd', 's'];
/// Names of virtual servers, which are at 10.0.0.1 and 10.0.0.2, and at fd00::1 and fd00::2.
pub const SERVICES: [char; 2] = ['v', 'w'];
/// What a virtual server by the mark of its packets is called: the mark.
const MARK: &str = "mark ";

/// The address of a real server.
pub fn address(server: char) -> IpAddr {
    place([10, 1, 0], &SERVERS, server)
}

/// The address of a virtual server.
pub fn virtual_address(service: char) -> IpAddr {
    place([10, 0, 0], &SERVICES, service)
}

/// The other address of a real server.
pub fn address6(server: char) -> IpAddr {
    place6(0xfd01, &SERVERS, server)
}

/// The other address of a virtual server.
pub fn virtual_address6(service: char) -> IpAddr {
    place6(0xfd00, &SERVICES, service)
}

fn place6(first: u16, names: &[char], name: char) -> IpAddr {
    let place = names.iter().position(|known| *known == name).expect("one of ours");
    IpAddr::from([first, 0, 0, 0, 0, 0, 0, place as u16 + 1])
}

/// Whether this is what a virtual server is called.
pub fn is_service(word: &str) -> bool {
    word.starts_with(MARK) || SERVICES.iter().any(|service| word == service.to_string())
}

fn place([a, b, c]: [u8; 3], names: &[char], name: char) -> IpAddr {
    let place = names.iter().position(|known| *known == name).expect("one of ours");
    IpAddr::from([a, b, c, place as u8 + 1])
}

/// A command as the tap tells it: `new-dest service af=2 .. dest addr=10.1.0.1 .. weight=1`.
/// What a command says of a service that it does not change is left out.
pub fn command(line: &str) -> String {
    let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
    let (service, dest) = rest.split_once(" dest ").unwrap_or((rest, ""));
    let of = named(service);
    let server = || format!("{}{}", named(dest), aside(&of));
    match name {
        "new-service" => format!("new {of} {}", settings(service)),
        "set-service" => format!("set {of} {}", settings(service)),
        "del-service" => format!("delete {of}"),
        "new-dest" => format!("new {} {}", server(), weight(dest)),
        "set-dest" => format!("set {} {}", server(), weight(dest)),
        "del-dest" => format!("delete {}", server()),
        _ => line.to_string(),
    }
}

/// Not of the first virtual server, which most files have alone.
fn aside(service: &str) -> String {
    if service == "v" { String::new() } else { format!(" of {service}") }
}

fn value<'a>(words: &'a str, key: &str) -> Option<&'a str> {
    words.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

/// A name of ours for what has this address, and its port unless that is 80.
fn named(words: &str) -> String {
    if let Some(mark) = value(words, "fwmark") {
        return format!("{MARK}{mark}");
    }
    let found: Option<IpAddr> = value(words, "addr").and_then(|text| text.parse().ok());
    let name = found.and_then(name).map(String::from);
    let port = value(words, "port").map(aside_of_80).unwrap_or_default();
    name.unwrap_or_else(|| format!("{found:?}")) + &port
}

fn aside_of_80(port: &str) -> String {
    if port == "80" { String::new() } else { format!(":{port}") }
}

fn name(known: IpAddr) -> Option<char> {
    let is = |addresses: [IpAddr; 2]| addresses.contains(&known);
    let server = SERVERS.into_iter().find(|one| is([address(*one), address6(*one)]));
    server.or_else(|| {
        SERVICES.into_iter().find(|one| is([virtual_address(*one), virtual_address6(*one)]))
    })
}

/// The scheduler, flags that are set, for how long it is persistent, for which part of an address,
/// and by which engine.
fn settings(service: &str) -> String {
    let scheduler = value(service, "sched").unwrap_or("none");
    let persistent = value(service, "timeout").filter(|seconds| *seconds != "0");
    let persistent = persistent.map(|seconds| format!(" p{seconds}"));
    let flags = value(service, "flags").and_then(|flags| flags.split('/').next());
    // That it is persistent is said by its time.
    let flags = flags.and_then(|text| u32::from_str_radix(text.strip_prefix("0x")?, 16).ok());
    let flags = flags.map(|flags| flags & !1).filter(|flags| *flags != 0);
    let flags = flags.map(|flags| format!(" flags {flags:#x}"));
    let whole = ["255.255.255.255", "128", "0.0.0.0", "0"];
    let mask = value(service, "netmask").filter(|mask| !whole.contains(mask));
    let mask = mask.map(|mask| format!(" of {mask}"));
    let engine = value(service, "pe").map(|engine| format!(" {engine}"));
    let rest = [persistent, flags, mask, engine].into_iter().flatten().collect::<String>();
    format!("{scheduler}{rest}")
}

/// The weight, how packets reach it unless that is NAT, and its thresholds.
fn weight(dest: &str) -> String {
    let weight = value(dest, "weight").unwrap_or("?");
    let way = match value(dest, "fwd") {
        Some("0") => String::new(),
        Some("2") => tunnel(dest),
        Some("3") => " dr".to_string(),
        other => format!(" fwd {other:?}"),
    };
    let thresholds = match ["upper", "lower"].map(|key| value(dest, key).unwrap_or("0")) {
        ["0", "0"] => String::new(),
        [upper, lower] => format!(" at most {upper}, again below {lower}"),
    };
    format!("{weight}{way}{thresholds}")
}

/// Of which kind, to which port, and which sums are sent (`IP_VS_TUNNEL_ENCAP_FLAG_*`).
fn tunnel(dest: &str) -> String {
    let kind = match value(dest, "tunnel").unwrap_or("0") {
        "0" => "",
        "1" => " gue",
        "2" => " gre",
        other => return format!(" tun {other}"),
    };
    let set = |key| value(dest, key).filter(|value| *value != "0");
    let port = set("tunnel-port").map(|port| format!(" {port}"));
    let sums = set("tunnel-flags").map(|flags| format!(" sums {flags}"));
    let rest = [port, sums].into_iter().flatten().collect::<String>();
    format!(" tun{kind}{rest}")
}

/// The table of a namespace by `ipvsadm -Sn`, in one order.
pub fn table(namespace: &Namespace) -> Vec<String> {
    let [program, words @ ..] = namespace.entering();
    let output = Command::new(program).args(words).args(["ipvsadm", "-Sn"]).output();
    let output = output.expect("ipvsadm");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    let mut lines: Vec<String> = text.lines().map(row).collect();
    lines.sort();
    lines
}

/// A row, such as `-A -t 10.0.0.1:80 -s rr` or `-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 1`.
fn row(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let named = |end: &&str| {
        let known = end.rsplit_once(':').and_then(|(address, port)| {
            let address = address.trim_matches(['[', ']']).parse().ok()?;
            Some(format!("{}{}", name(address)?, aside_of_80(port)))
        });
        known.unwrap_or_else(|| (*end).to_string())
    };
    let as_they_are =
        |words: &[&str]| words.iter().map(|word| format!(" {word}")).collect::<String>();
    match &words[..] {
        ["-A", kind, service, rest @ ..] => {
            format!("{}{}", of_kind(kind, &named(service)), as_they_are(rest))
        }
        ["-a", kind, service, "-r", server, rest @ ..]
        | ["-a", kind, service, "-6", "-r", server, rest @ ..] => {
            let rest = as_they_are(rest).replace(" -m -w", "");
            format!("{}{}{rest}", named(server), aside(&of_kind(kind, &named(service))))
        }
        _ => line.trim().to_string(),
    }
}

/// A service as a command calls it; of UDP that is said, too.
fn of_kind(kind: &str, service: &str) -> String {
    match kind {
        "-t" => service.to_string(),
        "-u" => format!("{service} udp"),
        "-f" => format!("{MARK}{service}"),
        other => format!("{other} {service}"),
    }
}

#[test]
fn a_command_is_a_few_words() {
    let service = "service af=2 protocol=6 addr=10.0.0.1 port=80 sched=wlc flags=0x1/0xffffffff";
    let added = format!("new-service {service} timeout=600 netmask=255.255.255.255");
    assert_eq!(command(&added), "new v wlc p600");
    let dest = "dest addr=10.1.0.2 port=80 fwd=3 weight=5 upper=0 lower=0 af=2";
    assert_eq!(command(&format!("new-dest {service} timeout=0 {dest}")), "new b 5 dr");
    assert_eq!(command(&format!("del-dest {service} {dest}")), "delete b");
    let other = service.replace("10.0.0.1", "10.0.0.2");
    assert_eq!(command(&format!("del-dest {other} {dest}")), "delete b of w");
    assert_eq!(command("flush"), "flush");
    let hashed = added.replace("0x1/", "0x1d/").replace(".255.255 ", ".0.0 ");
    assert_eq!(command(&format!("{hashed} pe=sip")), "new v wlc p600 flags 0x1c sip");
    let masked = added.replace("255.255.255.255", "255.255.255.0");
    assert_eq!(command(&masked), "new v wlc p600 of 255.255.255.0");
    let tunnel = dest.replace("fwd=3", "fwd=2") + " tunnel=1 tunnel-port=6080 tunnel-flags=2";
    let limited = tunnel.replace("upper=0 lower=0", "upper=9 lower=3");
    let added = format!("new-dest {service} timeout=0 {limited}");
    assert_eq!(command(&added), "new b 5 tun gue 6080 sums 2 at most 9, again below 3");
    let of_mark = "service af=10 fwmark=7 sched=rr flags=0x0/0xffffffff timeout=0 netmask=128";
    assert_eq!(command(&format!("new-service {of_mark}")), "new mark 7 rr");
    let six = "dest addr=fd01::2 port=0 fwd=3 weight=1 upper=0 lower=0 af=10";
    assert_eq!(command(&format!("new-dest {of_mark} {six}")), "new b:0 of mark 7 1 dr");
    assert_eq!(row("-A -u [fd00::1]:80 -s rr"), "v udp -s rr");
    assert_eq!(row("-A -f 7 -s rr"), "mark 7 -s rr");
    assert_eq!(row("-a -f 7 -6 -r [fd01::1]:0 -m -w 1"), "a:0 of mark 7 1");
    assert_eq!(row("-A -t 10.0.0.1:80 -s rr -p 60"), "v -s rr -p 60");
    assert_eq!(row("-a -t 10.0.0.2:80 -r 10.1.0.1:80 -m -w 1"), "a of w 1");
}
