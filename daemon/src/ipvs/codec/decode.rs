//! Octets to rows, whatever the kernel says.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use vipd_engine::config::director::{
    Forwarding, Persistence, Scheduler, Scheduling, Service, Timeouts, Tunnel, TunnelChecksum,
};
use vipd_engine::{Family, InterfaceName};

use super::Malformed;
use super::numbers::*;
use crate::ipvs::spec::{
    Connections, DestinationSpec, ListedDestination, ListedService, ServiceSpec, SyncRole,
    SyncSpec, Version,
};
use crate::wire::{Attributes, Message, text_of};

/// Reads the number of the family.
pub fn family(message: &Message<'_>) -> Result<u16, Malformed> {
    let attributes = answered(message, control::NEW_FAMILY)?;
    let found = Found::in_(attributes)?;
    found.u16(control::FAMILY_ID, "the family's number")
}

/// Reads the version.
pub fn version(message: &Message<'_>) -> Result<Version, Malformed> {
    let found = Found::in_(answered(message, command::SET_INFO)?)?;
    let [_, major, minor, patch] = found.u32(INFO_VERSION, "the version")?.to_be_bytes();
    Ok(Version { major, minor, patch })
}

/// Reads the time limits.
pub fn timeouts(message: &Message<'_>) -> Result<Timeouts, Malformed> {
    let found = Found::in_(answered(message, command::SET_CONFIG)?)?;
    let limit = |kind| match found.u32(kind, "a time limit") {
        Ok(limit) => Ok(Some(Duration::from_secs(limit.into()))),
        // A kernel without TCP or UDP in its IPVS has none.
        Err(Malformed::Missing(_)) => Ok(None),
        Err(error) => Err(error),
    };
    Ok(Timeouts {
        tcp: limit(message::TIMEOUT_TCP)?,
        tcp_fin: limit(message::TIMEOUT_TCP_FIN)?,
        udp: limit(message::TIMEOUT_UDP)?,
    })
}

/// Reads a row of services. `None`: of a protocol that no service of ours can have.
pub fn service(message: &Message<'_>) -> Result<Option<ListedService>, Malformed> {
    let found = Found::in_(answered(message, command::NEW_SERVICE)?)?;
    let found = found.nested(message::SERVICE, "the service")?;
    let family = family_at(found.u16(svc::AF, "the service's family")?, "the service's family")?;
    let service = if found.has(svc::FWMARK) {
        Service::Fwmark { mark: found.u32(svc::FWMARK, "the mark")?, family }
    } else {
        let number = found.u16(svc::PROTOCOL, "the protocol")?;
        let address = found.address(svc::ADDR, family, "the service's address")?;
        let port = found.be16(svc::PORT, "the service's port")?;
        let Some(protocol) = protocol_of(number) else { return Ok(None) };
        Service::Address { address, port, protocol }
    };
    let name = text_of(found.get(svc::SCHED_NAME, "the scheduler")?);
    let flags = found.array::<8>(svc::FLAGS, "the service's flags")?;
    let flags = u32::from_ne_bytes([flags[0], flags[1], flags[2], flags[3]]);
    let timeout = found.u32(svc::TIMEOUT, "the persistence timeout")?;
    let netmask = found.array::<4>(svc::NETMASK, "the netmask")?;
    let engine = found.has(svc::PE_NAME).then(|| found.get(svc::PE_NAME, "the engine"));
    let engine = engine.transpose()?.map(text_of);
    let scheduling = scheduling(&name, flags);
    let persistence = if flags & PERSISTENT == 0 {
        Some(None)
    } else {
        let timeout = Duration::from_secs(timeout.into());
        let prefix_len = prefix_len(family, netmask);
        prefix_len.map(|prefix_len| Some(Persistence { timeout, prefix_len, engine }))
    };
    let spec = scheduling.zip(persistence).map(|(scheduling, persistence)| ServiceSpec {
        service,
        scheduling,
        persistence,
    });
    Ok(Some(ListedService { service, spec }))
}

fn scheduling(name: &str, flags: u32) -> Option<Scheduling> {
    let (_, scheduler) = Scheduler::NAMES.into_iter().find(|(known, _)| *known == name)?;
    let own = (flags >> SCHEDULER_SHIFT) & SCHEDULER_FLAGS;
    Some(Scheduling {
        scheduler,
        flags: u8::try_from(own).ok()?,
        hashed: false,
        one_packet: flags & ONE_PACKET != 0,
    })
}

fn prefix_len(family: Family, netmask: [u8; 4]) -> Option<u8> {
    match family {
        Family::Ipv4 => {
            let mask = u32::from_be_bytes(netmask);
            let has_no_hole = mask.leading_ones() == mask.count_ones();
            u8::try_from(mask.leading_ones()).ok().filter(|_| has_no_hole)
        }
        Family::Ipv6 => {
            u8::try_from(u32::from_ne_bytes(netmask)).ok().filter(|length| *length <= 128)
        }
    }
}

/// Reads a row of destinations.
pub fn destination(
    message: &Message<'_>,
    service: Service,
) -> Result<ListedDestination, Malformed> {
    let found = Found::in_(answered(message, command::NEW_DEST)?)?;
    let found = found.nested(message::DEST, "the destination")?;
    let family = match found.u16(dest::ADDR_FAMILY, "the destination's family") {
        // Before Linux 3.18 it is the service's.
        Err(Malformed::Missing(_)) => service.family(),
        number => family_at(number?, "the destination's family")?,
    };
    let address = found.address(dest::ADDR, family, "the destination's address")?;
    let port = found.be16(dest::PORT, "the destination's port")?;
    let weight = found.u32(dest::WEIGHT, "the weight")?;
    let upper_threshold = found.u32(dest::U_THRESH, "the upper threshold")?;
    let lower_threshold = found.u32(dest::L_THRESH, "the lower threshold")?;
    let connections = Connections {
        active: found.u32(dest::ACTIVE_CONNS, "the active connections")?,
        inactive: found.u32(dest::INACT_CONNS, "the inactive connections")?,
        persistent: found.u32(dest::PERSIST_CONNS, "the persistent connections")?,
    };
    let spec = forwarding(&found)?.map(|forwarding| DestinationSpec {
        address,
        port,
        weight,
        forwarding,
        upper_threshold,
        lower_threshold,
    });
    Ok(ListedDestination { address, port, spec, connections })
}

/// `None`: a way that nobody configures, such as `IP_VS_CONN_F_LOCALNODE`.
fn forwarding(found: &Found<'_>) -> Result<Option<Forwarding>, Malformed> {
    Ok(match found.u32(dest::FWD_METHOD, "the forwarding method")? & FORWARD_MASK {
        MASQUERADE => Some(Forwarding::Nat),
        DIRECT_ROUTE => Some(Forwarding::DirectRouting),
        TUNNEL => tunnel(found)?.map(Forwarding::Tunnel),
        _ => None,
    })
}

fn tunnel(found: &Found<'_>) -> Result<Option<Tunnel>, Malformed> {
    // Before Linux 5.3 there is only one.
    if !found.has(dest::TUN_TYPE) {
        return Ok(Some(Tunnel::Ipip));
    }
    let [kind] = found.array(dest::TUN_TYPE, "the tunnel")?;
    let checksum = match found.u16(dest::TUN_FLAGS, "the tunnel's flags") {
        Ok(0) | Err(Malformed::Missing(_)) => Some(TunnelChecksum::None),
        Ok(TUNNEL_CHECKSUM) => Some(TunnelChecksum::Whole),
        Ok(TUNNEL_REMOTE_CHECKSUM) => Some(TunnelChecksum::Remote),
        Ok(_) => None,
        Err(error) => return Err(error),
    };
    Ok(match (kind, checksum) {
        (TUNNEL_IPIP, _) => Some(Tunnel::Ipip),
        (TUNNEL_GUE, Some(checksum)) => {
            Some(Tunnel::Gue { port: found.be16(dest::TUN_PORT, "the tunnel's port")?, checksum })
        }
        (TUNNEL_GRE, Some(checksum)) => Some(Tunnel::Gre { checksum }),
        _ => None,
    })
}

/// Reads a thread of the connection synchronisation.
pub fn sync(message: &Message<'_>) -> Result<SyncSpec, Malformed> {
    let found = Found::in_(answered(message, command::NEW_DAEMON)?)?;
    let found = found.nested(message::DAEMON, "the sync daemon")?;
    let role = match found.u32(sync::STATE, "the sync daemon's state")? {
        1 => SyncRole::Master,
        2 => SyncRole::Backup,
        _ => return Err(Malformed::Value("the sync daemon's state")),
    };
    let interface = text_of(found.get(sync::MCAST_IFN, "the sync daemon's interface")?);
    let id = found.u32(sync::SYNC_ID, "the sync daemon's id")?;
    // Before Linux 4.3 there is none of these.
    let maxlen = found.if_there(sync::SYNC_MAXLEN, |kind| found.u16(kind, "maxlen"))?;
    let port = found.if_there(sync::MCAST_PORT, |kind| found.u16(kind, "the sync port"))?;
    let ttl = found.if_there(sync::MCAST_TTL, |kind| found.array::<1>(kind, "the sync TTL"))?;
    let of_v4 = |kind| found.address(kind, Family::Ipv4, "the sync group");
    let of_v6 = |kind| found.address(kind, Family::Ipv6, "the sync group");
    let group = match found.if_there(sync::MCAST_GROUP, of_v4)? {
        None => found.if_there(sync::MCAST_GROUP6, of_v6)?,
        group => group,
    };
    Ok(SyncSpec {
        role,
        interface: InterfaceName::new(&interface),
        id: u8::try_from(id).map_err(|_| Malformed::Value("the sync daemon's id"))?,
        maxlen,
        group,
        port,
        ttl: ttl.map(|[ttl]| ttl),
    })
}

fn answered<'a>(message: &Message<'a>, with: u8) -> Result<Attributes<'a>, Malformed> {
    let (command, attributes) = message.content()?;
    if command == with { Ok(attributes) } else { Err(Malformed::Command(command)) }
}

/// Attributes that are all well-formed. Of one that comes twice the last counts, as in the kernel.
struct Found<'a>(Vec<(u16, &'a [u8])>);

impl<'a> Found<'a> {
    fn in_(attributes: Attributes<'a>) -> Result<Self, Malformed> {
        attributes.collect::<Result<_, _>>().map(Self)
    }

    fn has(&self, kind: u16) -> bool {
        self.0.iter().any(|(known, _)| *known == kind)
    }

    fn get(&self, kind: u16, what: &'static str) -> Result<&'a [u8], Malformed> {
        let last = self.0.iter().rev().find(|(known, _)| *known == kind);
        last.map(|(_, value)| *value).ok_or(Malformed::Missing(what))
    }

    fn if_there<T>(
        &self,
        kind: u16,
        read: impl FnOnce(u16) -> Result<T, Malformed>,
    ) -> Result<Option<T>, Malformed> {
        self.has(kind).then(|| read(kind)).transpose()
    }

    fn nested(&self, kind: u16, what: &'static str) -> Result<Self, Malformed> {
        Self::in_(Attributes(self.get(kind, what)?))
    }

    fn array<const N: usize>(&self, kind: u16, what: &'static str) -> Result<[u8; N], Malformed> {
        self.get(kind, what)?.try_into().map_err(|_| Malformed::Value(what))
    }

    fn u16(&self, kind: u16, what: &'static str) -> Result<u16, Malformed> {
        self.array(kind, what).map(u16::from_ne_bytes)
    }

    fn be16(&self, kind: u16, what: &'static str) -> Result<u16, Malformed> {
        self.array(kind, what).map(u16::from_be_bytes)
    }

    fn u32(&self, kind: u16, what: &'static str) -> Result<u32, Malformed> {
        self.array(kind, what).map(u32::from_ne_bytes)
    }

    fn address(&self, kind: u16, family: Family, what: &'static str) -> Result<IpAddr, Malformed> {
        let octets = self.get(kind, what)?;
        let address = match family {
            Family::Ipv4 => octets.first_chunk::<4>().map(|four| Ipv4Addr::from(*four).into()),
            Family::Ipv6 => octets.first_chunk::<16>().map(|all| Ipv6Addr::from(*all).into()),
        };
        address.ok_or(Malformed::Value(what))
    }
}
