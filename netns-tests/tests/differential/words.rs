//! Commands of the tap and the table of ipvsadm in few words: real servers are `a` to `d`, the
//! sorry server is `s`, virtual servers are `v` and `w`.

use std::net::IpAddr;
use std::process::Command;

use vipd_netns_tests::namespaces::Namespace;

/// Names of real servers, which are at 10.1.0.1, 10.1.0.2 and so on, port 80.
pub const SERVERS: [char; 5] = ['a', 'b', 'c', 'd', 's'];
/// Names of virtual servers, which are at 10.0.0.1 and 10.0.0.2.
pub const SERVICES: [char; 2] = ['v', 'w'];

/// The address of a real server.
pub fn address(server: char) -> IpAddr {
    place([10, 1, 0], &SERVERS, server)
}

/// The address of a virtual server.
pub fn virtual_address(service: char) -> IpAddr {
    place([10, 0, 0], &SERVICES, service)
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

/// A name of ours for what has this address.
fn named(words: &str) -> String {
    if let Some(mark) = value(words, "fwmark") {
        return format!("mark {mark}");
    }
    let found: Option<IpAddr> = value(words, "addr").and_then(|text| text.parse().ok());
    let name = found.and_then(name).map(String::from);
    name.unwrap_or_else(|| format!("{found:?}"))
}

fn name(known: IpAddr) -> Option<char> {
    let server = SERVERS.into_iter().find(|server| address(*server) == known);
    server.or_else(|| SERVICES.into_iter().find(|service| virtual_address(*service) == known))
}

/// The scheduler, flags that are set, and for how long it is persistent.
fn settings(service: &str) -> String {
    let scheduler = value(service, "sched").unwrap_or("none");
    let persistent = value(service, "timeout").filter(|seconds| *seconds != "0");
    let persistent = persistent.map(|seconds| format!(" p{seconds}"));
    format!("{scheduler}{}", persistent.unwrap_or_default())
}

/// The weight, and how packets reach it unless that is NAT.
fn weight(dest: &str) -> String {
    let weight = value(dest, "weight").unwrap_or("?");
    match value(dest, "fwd") {
        Some("0") => weight.to_string(),
        Some("2") => format!("{weight} tun"),
        Some("3") => format!("{weight} dr"),
        other => format!("{weight} fwd {other:?}"),
    }
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
        let address = end.rsplit_once(':').and_then(|(address, _)| address.parse().ok());
        address.and_then(name).map_or_else(|| (*end).to_string(), String::from)
    };
    let as_they_are =
        |words: &[&str]| words.iter().map(|word| format!(" {word}")).collect::<String>();
    match &words[..] {
        ["-A", "-t", service, rest @ ..] => format!("{}{}", named(service), as_they_are(rest)),
        ["-a", "-t", service, "-r", server, rest @ ..] => {
            let rest = as_they_are(rest).replace(" -m -w", "");
            format!("{}{}{rest}", named(server), aside(&named(service)))
        }
        _ => line.trim().to_string(),
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
    assert_eq!(row("-A -t 10.0.0.1:80 -s rr -p 60"), "v -s rr -p 60");
    assert_eq!(row("-a -t 10.0.0.2:80 -r 10.1.0.1:80 -m -w 1"), "a of w 1");
}
