//! What is ordered of the kernel's IPVS, whoever orders it: read from a tap on netlink (nlmon),
//! one line per command in their order. It has its own arithmetic and nothing of the daemon's
//! codec, so it can judge that, too.
//!
//! Names and kinds are those of `linux/ip_vs.h`; attributes of a command stand in their own order,
//! not in the sender's.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use vipd_netns_tests::namespaces::Namespace;
use vipd_netns_tests::wire::Plug;

const TAP: &str = "tap";
/// Of `linux/netlink.h` and `linux/genetlink.h`.
pub const REQUEST: u16 = 1;
const CONTROL: u16 = 16;
const NEW_FAMILY: u8 = 1;
const INET6: u16 = 10;

/// A tap on the netlink of a namespace.
pub struct Tap {
    plug: Plug,
    reader: Reader,
    buffer: Vec<u8>,
}

/// Makes lines of what comes out of a tap.
#[derive(Default)]
pub struct Reader {
    /// The number of the family IPVS, once somebody has asked for it.
    family: Option<u16>,
}

impl Tap {
    /// Opens it: what comes before is not heard.
    pub fn open(namespace: &Namespace) -> Result<Self, String> {
        namespace.ip(&format!("link add {TAP} type nlmon\nlink set {TAP} up\n"))?;
        // A tap has no address to bind to. No frame of another interface looks like a message.
        let plug = namespace.within(Plug::open_all)?.map_err(|error| error.to_string())?;
        Ok(Self { plug, reader: Reader::default(), buffer: vec![0; 1 << 16] })
    }

    /// The commands that came since it was asked last.
    pub fn commands(&mut self) -> Vec<String> {
        let mut commands = Vec::new();
        while let Some((length, _)) = self.plug.receive(&mut self.buffer).expect("the tap") {
            commands.extend(self.reader.read(&self.buffer[..length]));
        }
        commands
    }
}

impl Reader {
    /// The commands of a datagram. Questions are none.
    pub fn read(&mut self, datagram: &[u8]) -> Vec<String> {
        let mut commands = Vec::new();
        for message in messages(datagram) {
            let [command, rest @ ..] = message.payload else { continue };
            let attributes = attributes(rest.get(3..).unwrap_or_default());
            if message.kind == CONTROL && *command == NEW_FAMILY {
                if attributes.get(&2).is_some_and(|name| name.starts_with(b"IPVS\0")) {
                    self.family = attributes.get(&1).map(|id| number(id) as u16);
                }
            } else if Some(message.kind) == self.family && message.flags & REQUEST != 0 {
                commands.extend(line(*command, &attributes));
            }
        }
        commands
    }
}

struct Message<'a> {
    kind: u16,
    flags: u16,
    payload: &'a [u8],
}

/// The netlink messages of a datagram.
fn messages(mut rest: &[u8]) -> Vec<Message<'_>> {
    let mut messages = Vec::new();
    while let [a, b, c, d, kind, above, flags, more, ..] = *rest {
        let length = u32::from_ne_bytes([a, b, c, d]) as usize;
        let Some(payload) = rest.get(16..length) else { break };
        let (kind, flags) = (u16::from_ne_bytes([kind, above]), u16::from_ne_bytes([flags, more]));
        messages.push(Message { kind, flags, payload });
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    messages
}

/// Attributes by their number.
fn attributes(mut rest: &[u8]) -> BTreeMap<u16, &[u8]> {
    let mut attributes = BTreeMap::new();
    while let [a, b, c, d, ..] = *rest {
        let length = usize::from(u16::from_ne_bytes([a, b]));
        let Some(value) = rest.get(4..length) else { break };
        // Without the flags for nested ones and for the order of octets.
        attributes.insert(u16::from_ne_bytes([c, d]) & 0x3fff, value);
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    attributes
}

/// A number in the machine's own order of octets.
fn number(value: &[u8]) -> u32 {
    match *value {
        [a] => u32::from(a),
        [a, b] => u32::from(u16::from_ne_bytes([a, b])),
        [a, b, c, d, ..] => u32::from_ne_bytes([a, b, c, d]),
        [] | [_, _, _] => panic!("no number has {} octets", value.len()),
    }
}

/// `None` for a question.
fn line(command: u8, attributes: &BTreeMap<u16, &[u8]>) -> Option<String> {
    let name = match command {
        1 => "new-service",
        2 => "set-service",
        3 => "del-service",
        5 => "new-dest",
        6 => "set-dest",
        7 => "del-dest",
        9 => "new-daemon",
        10 => "del-daemon",
        12 => "set-config",
        16 => "zero",
        17 => "flush",
        4 | 8 | 11 | 13 | 15 => return None,
        other => panic!("IPVS has no command {other}"),
    };
    let mut line = name.to_string();
    for (kind, value) in attributes {
        match kind {
            1 => line += &words(value, "service", &SERVICE),
            2 => line += &words(value, "dest", &DEST),
            3 => line += &words(value, "daemon", &DAEMON),
            4 => say(&mut line, "tcp", number(value)),
            5 => say(&mut line, "tcp-fin", number(value)),
            6 => say(&mut line, "udp", number(value)),
            other => panic!("attribute {other} of a command is unknown"),
        }
    }
    Some(line)
}

/// How the value of an attribute is written.
#[derive(Clone, Copy)]
enum As {
    Number,
    /// In the order of the network.
    Port,
    Text,
    Address,
    /// Which are set, and which are meant.
    Flags,
    /// An address, or the length of a prefix in IPv6.
    Mask,
}

type Names = [(u16, &'static str, As)];

const SERVICE: [(u16, &str, As); 10] = [
    (1, "af", As::Number),
    (2, "protocol", As::Number),
    (3, "addr", As::Address),
    (4, "port", As::Port),
    (5, "fwmark", As::Number),
    (6, "sched", As::Text),
    (7, "flags", As::Flags),
    (8, "timeout", As::Number),
    (9, "netmask", As::Mask),
    (11, "pe", As::Text),
];

const DEST: [(u16, &str, As); 10] = [
    (1, "addr", As::Address),
    (2, "port", As::Port),
    (3, "fwd", As::Number),
    (4, "weight", As::Number),
    (5, "upper", As::Number),
    (6, "lower", As::Number),
    (11, "af", As::Number),
    (13, "tunnel", As::Number),
    (14, "tunnel-port", As::Port),
    (15, "tunnel-flags", As::Number),
];

const DAEMON: [(u16, &str, As); 8] = [
    (1, "state", As::Number),
    (2, "interface", As::Text),
    (3, "id", As::Number),
    (4, "maxlen", As::Number),
    (5, "group", As::Address),
    (6, "group6", As::Address),
    (7, "port", As::Number),
    (8, "ttl", As::Number),
];

fn words(value: &[u8], what: &str, names: &Names) -> String {
    let attributes = attributes(value);
    let family = names.iter().find(|(_, name, _)| *name == "af").map(|(kind, ..)| kind);
    let family = family.and_then(|kind| attributes.get(kind)).map(|value| number(value) as u16);
    let mut words = format!(" {what}");
    for (kind, value) in attributes {
        let known = names.iter().find(|(known, ..)| *known == kind);
        let (_, name, kind) = known.unwrap_or_else(|| panic!("attribute {kind} of {what}"));
        match (kind, value) {
            (As::Number, value) => say(&mut words, name, number(value)),
            (As::Port, [high, low]) => say(&mut words, name, u16::from_be_bytes([*high, *low])),
            (As::Text, value) => {
                let text = String::from_utf8_lossy(value);
                say(&mut words, name, text.trim_end_matches('\0'));
            }
            (As::Address | As::Mask, [a, b, c, d]) if family != Some(INET6) => {
                say(&mut words, name, Ipv4Addr::new(*a, *b, *c, *d));
            }
            (As::Mask, value) => say(&mut words, name, number(value)),
            (As::Address, value) => say(&mut words, name, address(value, family)),
            (As::Flags, [flags @ .., _, _, _, _]) => {
                let mask = &value[flags.len()..];
                say(&mut words, name, format!("{:#x}/{:#x}", number(flags), number(mask)));
            }
            (As::Port | As::Flags, value) => panic!("{what} {name}: {value:?}"),
        }
    }
    words
}

/// IPVS writes IPv4 addresses into the first four of sixteen octets.
fn address(value: &[u8], family: Option<u16>) -> String {
    let Ok(octets) = <[u8; 16]>::try_from(value) else { panic!("an address: {value:?}") };
    let [a, b, c, d, ..] = octets;
    if family == Some(INET6) {
        Ipv6Addr::from(octets).to_string()
    } else {
        Ipv4Addr::new(a, b, c, d).to_string()
    }
}

fn say(line: &mut String, name: &str, value: impl std::fmt::Display) {
    let _ = write!(line, " {name}={value}");
}
