//! The rows, and what a command does to them: as `ip_vs_genl_set_cmd` and the dumps of
//! `ip_vs_ctl.c` do it.

use std::net::IpAddr;

use netlink_packet_core::NlasIterator;

use super::numbers::{CMD, CMD_ATTR, DAEMON_ATTR, DEST_ATTR, SVC_ATTR};
use super::{EEXIST, EINVAL, ENOENT, ERANGE, ESRCH, Refused, config, info};

/// `IP_VS_SVC_F_HASHED`: the kernel says it of every service.
const HASHED: u32 = 2;

/// Schedulers of this kernel.
const SCHEDULERS: [&str; 13] =
    ["rr", "wrr", "lc", "wlc", "lblc", "lblcr", "sh", "mh", "dh", "fo", "ovf", "sed", "nq"];

/// What identifies a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    Address { protocol: u16, address: IpAddr, port: u16 },
    Mark { af: u16, mark: u32 },
}

/// A service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub identity: Identity,
    pub scheduler: String,
    pub flags: u32,
    pub timeout: u32,
    /// As on the wire.
    pub netmask: [u8; 4],
    pub engine: Option<String>,
    pub destinations: Vec<Destination>,
}

/// A destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    pub address: IpAddr,
    pub port: u16,
    pub method: u32,
    pub weight: u32,
    pub upper: u32,
    pub lower: u32,
    /// Type, port and flags.
    pub tunnel: (u8, u16, u16),
}

/// A thread of the synchronisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sync {
    pub state: u32,
    pub interface: String,
    pub id: u32,
    pub maxlen: u16,
    pub group: IpAddr,
    pub port: u16,
    pub ttl: u8,
}

/// The whole of it.
#[derive(Clone, Debug)]
pub struct Table {
    pub rows: Vec<Row>,
    pub timeouts: [u32; 3],
    pub sync: Vec<Sync>,
}

impl Default for Table {
    fn default() -> Self {
        Self { rows: Vec::new(), timeouts: [900, 120, 300], sync: Vec::new() }
    }
}

type Answer = Result<Vec<(u8, Vec<u8>)>, Refused>;

impl Table {
    /// Does a command.
    pub fn answer(&mut self, command: u8, is_dump: bool, payload: &[u8]) -> Answer {
        let all = Attributes::read(payload);
        let name = CMD.names[usize::from(command)];
        let is_list = matches!(name, "GET_DEST" | "GET_DAEMON");
        assert!(is_dump == is_list || name == "GET_SERVICE", "{name}");
        match name {
            "NEW_SERVICE" => self.new_service(&service(&all)?),
            "SET_SERVICE" => self.set_service(&service(&all)?),
            "DEL_SERVICE" => {
                let at = self.place(&identity(&service(&all)?)?)?;
                self.rows.remove(at);
                Ok(Vec::new())
            }
            "GET_SERVICE" if !is_dump => {
                let at = self.place(&identity(&service(&all)?)?)?;
                Ok(vec![self.rows[at].answer()])
            }
            "GET_SERVICE" => Ok(self.rows.iter().map(Row::answer).collect()),
            "NEW_DEST" | "SET_DEST" | "DEL_DEST" => self.destination(name, &all),
            "GET_DEST" => {
                // Of a service that is not there it is empty.
                let at = self.place(&identity(&service(&all)?)?);
                let row = at.map(|at| self.rows[at].destinations.as_slice());
                Ok(row.unwrap_or_default().iter().map(Destination::answer).collect())
            }
            "NEW_DAEMON" => self.new_daemon(&Attributes::read(daemon(&all)?)),
            "DEL_DAEMON" => {
                let state = Attributes::read(daemon(&all)?).u32(DAEMON_ATTR.number("STATE"))?;
                let running = self.sync.iter().position(|one| one.state == state);
                self.sync.remove(running.ok_or((ESRCH, None))?);
                Ok(Vec::new())
            }
            "GET_DAEMON" => Ok(self.sync.iter().map(Sync::answer).collect()),
            "SET_CONFIG" => {
                for (place, name) in
                    ["TIMEOUT_TCP", "TIMEOUT_TCP_FIN", "TIMEOUT_UDP"].iter().enumerate()
                {
                    if all.get(CMD_ATTR.number(name)).is_some() {
                        self.timeouts[place] = all.u32(CMD_ATTR.number(name))?;
                    }
                }
                Ok(Vec::new())
            }
            "GET_CONFIG" => Ok(vec![config(self.timeouts)]),
            "GET_INFO" => Ok(vec![info(0x0001_0201)]),
            "FLUSH" => {
                self.rows.clear();
                Ok(Vec::new())
            }
            _ => panic!("{name} is not used"),
        }
    }

    fn place(&self, identity: &Identity) -> Result<usize, Refused> {
        self.rows.iter().position(|row| row.identity == *identity).ok_or((ESRCH, None))
    }

    fn new_service(&mut self, attributes: &Attributes<'_>) -> Answer {
        let row = Row::read(attributes, 0)?;
        if self.place(&row.identity).is_ok() {
            return Err((EEXIST, None));
        }
        self.rows.push(Row { flags: row.flags | HASHED, ..row });
        Ok(Vec::new())
    }

    fn set_service(&mut self, attributes: &Attributes<'_>) -> Answer {
        let at = self.place(&identity(attributes)?)?;
        let old = &mut self.rows[at];
        let row = Row::read(attributes, old.flags)?;
        let destinations = std::mem::take(&mut old.destinations);
        *old = Row { flags: row.flags | HASHED, destinations, ..row };
        Ok(Vec::new())
    }

    fn destination(&mut self, command: &str, all: &Attributes<'_>) -> Answer {
        let at = self.place(&identity(&service(all)?)?)?;
        let Some(nested) = all.get(CMD_ATTR.number("DEST")) else { return Err((EINVAL, None)) };
        let attributes = Attributes::read(nested);
        let (address, port) = end(&attributes)?;
        let rows = &mut self.rows[at].destinations;
        let place = rows.iter().position(|one| (one.address, one.port) == (address, port));
        match (command, place) {
            ("NEW_DEST", None) => rows.push(Destination::read(&attributes)?),
            ("NEW_DEST", Some(_)) => return Err((EEXIST, None)),
            (_, None) => return Err((ENOENT, None)),
            ("SET_DEST", Some(place)) => rows[place] = Destination::read(&attributes)?,
            (_, Some(place)) => drop(rows.remove(place)),
        }
        Ok(Vec::new())
    }

    fn new_daemon(&mut self, attributes: &Attributes<'_>) -> Answer {
        let number = |name| DAEMON_ATTR.number(name);
        let state = attributes.u32(number("STATE"))?;
        if self.sync.iter().any(|one| one.state == state) {
            return Err((EEXIST, None));
        }
        let v4 = attributes.get(number("MCAST_GROUP")).map(|group| {
            let octets: [u8; 4] = group.try_into().expect("4 octets");
            IpAddr::from(octets)
        });
        let v6 = attributes.get(number("MCAST_GROUP6")).map(|group| {
            let octets: [u8; 16] = group.try_into().expect("16 octets");
            IpAddr::from(octets)
        });
        self.sync.push(Sync {
            state,
            interface: attributes.text(number("MCAST_IFN"), 16)?.ok_or((EINVAL, None))?,
            id: attributes.u32(number("SYNC_ID"))?,
            maxlen: attributes.u16_or(number("SYNC_MAXLEN"), 1472),
            group: v4.or(v6).unwrap_or(IpAddr::from([224, 0, 0, 81])),
            port: attributes.u16_or(number("MCAST_PORT"), 8848),
            ttl: attributes.get(number("MCAST_TTL")).map_or(1, |ttl| ttl[0]),
        });
        Ok(Vec::new())
    }
}

impl Row {
    fn read(attributes: &Attributes<'_>, old_flags: u32) -> Result<Self, Refused> {
        let number = |name| SVC_ATTR.number(name);
        let both = attributes.get(number("FLAGS")).ok_or((EINVAL, None))?;
        assert_eq!(both.len(), 8, "struct ip_vs_flags");
        let flags = u32::from_ne_bytes(both[..4].try_into().expect("4 octets"));
        let mask = u32::from_ne_bytes(both[4..].try_into().expect("4 octets"));
        let netmask = attributes.get(number("NETMASK")).ok_or((EINVAL, None))?;
        let netmask = netmask.try_into().map_err(|_| (ERANGE, None))?;
        let scheduler = attributes.text(number("SCHED_NAME"), 15)?.ok_or((EINVAL, None))?;
        let identity = identity(attributes)?;
        if identity.af() == 10 && !(1..=128).contains(&u32::from_ne_bytes(netmask)) {
            return Err((EINVAL, None));
        }
        if !SCHEDULERS.contains(&&*scheduler) {
            return Err((ENOENT, None));
        }
        Ok(Self {
            identity,
            scheduler,
            flags: (old_flags & !mask) | (flags & mask),
            timeout: attributes.u32(number("TIMEOUT"))?,
            netmask,
            engine: attributes.text(number("PE_NAME"), 16)?,
            destinations: Vec::new(),
        })
    }

    fn answer(&self) -> (u8, Vec<u8>) {
        let number = |name| SVC_ATTR.number(name);
        let mut inside = attribute(number("AF"), &self.identity.af().to_ne_bytes());
        match &self.identity {
            Identity::Mark { mark, .. } => {
                inside.extend(attribute(number("FWMARK"), &mark.to_ne_bytes()));
            }
            Identity::Address { protocol, address, port } => {
                inside.extend(attribute(number("PROTOCOL"), &protocol.to_ne_bytes()));
                inside.extend(attribute(number("ADDR"), &union(*address)));
                inside.extend(attribute(number("PORT"), &port.to_be_bytes()));
            }
        }
        inside.extend(attribute(number("SCHED_NAME"), &terminated(&self.scheduler)));
        if let Some(engine) = &self.engine {
            inside.extend(attribute(number("PE_NAME"), &terminated(engine)));
        }
        let both = [self.flags.to_ne_bytes(), [0xff; 4]].concat();
        inside.extend(attribute(number("FLAGS"), &both));
        inside.extend(attribute(number("TIMEOUT"), &self.timeout.to_ne_bytes()));
        inside.extend(attribute(number("NETMASK"), &self.netmask));
        inside.extend(nested(number("STATS64"), &attribute(1, &7_u64.to_ne_bytes())));
        (CMD.number("NEW_SERVICE") as u8, nested(CMD_ATTR.number("SERVICE"), &inside))
    }
}

impl Destination {
    fn read(attributes: &Attributes<'_>) -> Result<Self, Refused> {
        let number = |name| DEST_ATTR.number(name);
        let (address, port) = end(attributes)?;
        let kind = attributes.get(number("TUN_TYPE")).map_or(0, |kind| kind[0]);
        let tunnel_port = attributes.get(number("TUN_PORT")).unwrap_or(&[0, 0]);
        Ok(Self {
            address,
            port,
            method: attributes.u32(number("FWD_METHOD"))? & 7,
            weight: attributes.u32(number("WEIGHT"))?,
            upper: attributes.u32(number("U_THRESH"))?,
            lower: attributes.u32(number("L_THRESH"))?,
            tunnel: (
                kind,
                u16::from_be_bytes(tunnel_port.try_into().map_err(|_| (ERANGE, None))?),
                attributes.u16_or(number("TUN_FLAGS"), 0),
            ),
        })
    }

    fn answer(&self) -> (u8, Vec<u8>) {
        let number = |name| DEST_ATTR.number(name);
        let (kind, tunnel_port, flags) = self.tunnel;
        let inside = [
            attribute(number("ADDR"), &union(self.address)),
            attribute(number("PORT"), &self.port.to_be_bytes()),
            attribute(number("FWD_METHOD"), &self.method.to_ne_bytes()),
            attribute(number("WEIGHT"), &self.weight.to_ne_bytes()),
            attribute(number("TUN_TYPE"), &[kind]),
            attribute(number("TUN_PORT"), &tunnel_port.to_be_bytes()),
            attribute(number("TUN_FLAGS"), &flags.to_ne_bytes()),
            attribute(number("U_THRESH"), &self.upper.to_ne_bytes()),
            attribute(number("L_THRESH"), &self.lower.to_ne_bytes()),
            attribute(number("ACTIVE_CONNS"), &3_u32.to_ne_bytes()),
            attribute(number("INACT_CONNS"), &2_u32.to_ne_bytes()),
            attribute(number("PERSIST_CONNS"), &1_u32.to_ne_bytes()),
            attribute(number("ADDR_FAMILY"), &af(self.address).to_ne_bytes()),
        ];
        (CMD.number("NEW_DEST") as u8, nested(CMD_ATTR.number("DEST"), &inside.concat()))
    }
}

impl Sync {
    fn answer(&self) -> (u8, Vec<u8>) {
        let number = |name| DAEMON_ATTR.number(name);
        let group = match self.group {
            IpAddr::V4(group) => attribute(number("MCAST_GROUP"), &group.octets()),
            IpAddr::V6(group) => attribute(number("MCAST_GROUP6"), &group.octets()),
        };
        let inside = [
            attribute(number("STATE"), &self.state.to_ne_bytes()),
            attribute(number("MCAST_IFN"), &terminated(&self.interface)),
            attribute(number("SYNC_ID"), &self.id.to_ne_bytes()),
            attribute(number("SYNC_MAXLEN"), &self.maxlen.to_ne_bytes()),
            attribute(number("MCAST_PORT"), &self.port.to_ne_bytes()),
            attribute(number("MCAST_TTL"), &[self.ttl]),
            group,
        ];
        (CMD.number("NEW_DAEMON") as u8, nested(CMD_ATTR.number("DAEMON"), &inside.concat()))
    }
}

impl Identity {
    fn af(&self) -> u16 {
        match self {
            Self::Address { address, .. } => af(*address),
            Self::Mark { af, .. } => *af,
        }
    }
}

/// Attributes by their numbers.
pub struct Attributes<'a>(Vec<(u16, &'a [u8])>);

impl<'a> Attributes<'a> {
    /// Reads them; there must be nothing else.
    pub fn read(octets: &'a [u8]) -> Self {
        let all = NlasIterator::new(octets).map(|one| {
            let one = one.expect("an attribute");
            (one.kind(), &one.into_inner()[4..one.length().into()])
        });
        Self(all.collect())
    }

    /// The octets of one.
    pub fn get(&self, number: u16) -> Option<&'a [u8]> {
        self.0.iter().find(|(kind, _)| *kind == number).map(|(_, value)| *value)
    }

    fn u32(&self, number: u16) -> Result<u32, Refused> {
        let value = self.get(number).ok_or((EINVAL, None))?;
        let policy = (ERANGE, Some("Attribute failed policy validation"));
        Ok(u32::from_ne_bytes(value.try_into().map_err(|_| policy)?))
    }

    fn u16_or(&self, number: u16, otherwise: u16) -> u16 {
        self.get(number)
            .map_or(otherwise, |value| u16::from_ne_bytes(value.try_into().expect("2 octets")))
    }

    /// `NLA_NUL_STRING` of at most so many octets.
    fn text(&self, number: u16, at_most: usize) -> Result<Option<String>, Refused> {
        let Some(value) = self.get(number) else { return Ok(None) };
        let Some((0, text)) = value.split_last() else { panic!("a name without its end") };
        if text.len() > at_most {
            return Err((ERANGE, Some("Attribute failed policy validation")));
        }
        Ok(Some(String::from_utf8(text.to_vec()).expect("text")))
    }
}

fn service<'a>(all: &Attributes<'a>) -> Result<Attributes<'a>, Refused> {
    all.get(CMD_ATTR.number("SERVICE")).map(Attributes::read).ok_or((EINVAL, None))
}

fn daemon<'a>(all: &Attributes<'a>) -> Result<&'a [u8], Refused> {
    all.get(CMD_ATTR.number("DAEMON")).ok_or((EINVAL, None))
}

fn identity(attributes: &Attributes<'_>) -> Result<Identity, Refused> {
    let number = |name| SVC_ATTR.number(name);
    let af = attributes.u16_or(number("AF"), 0);
    if attributes.get(number("FWMARK")).is_some() {
        return Ok(Identity::Mark { af, mark: attributes.u32(number("FWMARK"))? });
    }
    let octets = attributes.get(number("ADDR")).ok_or((EINVAL, None))?;
    let port = attributes.get(number("PORT")).ok_or((EINVAL, None))?;
    Ok(Identity::Address {
        protocol: attributes.u16_or(number("PROTOCOL"), 0),
        address: address(af, octets)?,
        port: u16::from_be_bytes(port.try_into().map_err(|_| (ERANGE, None))?),
    })
}

fn end(attributes: &Attributes<'_>) -> Result<(IpAddr, u16), Refused> {
    let number = |name| DEST_ATTR.number(name);
    let octets = attributes.get(number("ADDR")).ok_or((EINVAL, None))?;
    let port = attributes.get(number("PORT")).ok_or((EINVAL, None))?;
    let address = address(attributes.u16_or(number("ADDR_FAMILY"), 0), octets)?;
    Ok((address, u16::from_be_bytes(port.try_into().map_err(|_| (ERANGE, None))?)))
}

fn address(af: u16, octets: &[u8]) -> Result<IpAddr, Refused> {
    match (af, octets) {
        (2, [a, b, c, d, ..]) => Ok(IpAddr::from([*a, *b, *c, *d])),
        (10, octets) => {
            let all: [u8; 16] = octets.try_into().map_err(|_| (ERANGE, None))?;
            Ok(IpAddr::from(all))
        }
        _ => Err((97, None)),
    }
}

fn af(address: IpAddr) -> u16 {
    if address.is_ipv4() { 2 } else { 10 }
}

/// `union nf_inet_addr`.
fn union(address: IpAddr) -> [u8; 16] {
    let mut octets = [0; 16];
    match address {
        IpAddr::V4(address) => octets[..4].copy_from_slice(&address.octets()),
        IpAddr::V6(address) => octets.copy_from_slice(&address.octets()),
    }
    octets
}

fn terminated(text: &str) -> Vec<u8> {
    [text.as_bytes(), b"\0"].concat()
}

/// An attribute with its padding.
pub fn attribute(number: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).expect("a short attribute");
    let mut octets = length.to_ne_bytes().to_vec();
    octets.extend(number.to_ne_bytes());
    octets.extend(value);
    octets.resize(octets.len().next_multiple_of(4), 0);
    octets
}

/// An attribute of attributes. The kernel's have no flag that says so.
pub fn nested(number: u16, inside: &[u8]) -> Vec<u8> {
    attribute(number, inside)
}
