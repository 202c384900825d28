//! Commands and questions to octets.

use std::net::IpAddr;
use std::time::Duration;

use vipd_engine::Family;
use vipd_engine::config::director::{Forwarding, Service, Timeouts, Tunnel, TunnelChecksum};

use super::Question;
use super::numbers::*;
use crate::ipvs::spec::{Command, DestinationSpec, ServiceSpec, SyncSpec};
use crate::wire::{ACK, DUMP, REQUEST, Writer};

/// `GENL_HEADER`: every family that is spoken to here has version 1.
const fn header(command: u8) -> [u8; 4] {
    [command, 1, 0, 0]
}

/// Writes a question as one message.
pub fn ask(out: &mut Writer, family: u16, sequence: u32, question: Question) {
    let flags = if question.is_dump() { REQUEST | ACK | DUMP } else { REQUEST | ACK };
    let (family, command) = match question {
        Question::Family => (control::FAMILY, control::GET_FAMILY),
        Question::Version => (family, command::GET_INFO),
        Question::Timeouts => (family, command::GET_CONFIG),
        Question::Services | Question::Service(_) => (family, command::GET_SERVICE),
        Question::Destinations(_) => (family, command::GET_DEST),
        Question::Sync => (family, command::GET_DAEMON),
    };
    out.message(family, flags, sequence, header(command), |out| match question {
        Question::Family => out.text(control::FAMILY_NAME, "IPVS"),
        Question::Service(service) | Question::Destinations(service) => {
            out.nested(message::SERVICE, |out| put_service(out, service));
        }
        Question::Version | Question::Timeouts | Question::Services | Question::Sync => {}
    });
}

/// Writes a command as one message. If it succeeds that is answered only where `tells` says so; an
/// error always is.
pub fn order(out: &mut Writer, family: u16, sequence: u32, order: &Command, tells: bool) {
    let flags = if tells { REQUEST | ACK } else { REQUEST };
    let mut message = |command, attributes: &dyn Fn(&mut Writer)| {
        out.message(family, flags, sequence, header(command), attributes);
    };
    match order {
        Command::Flush => message(command::FLUSH, &|_| {}),
        Command::AddService(spec) => {
            message(command::NEW_SERVICE, &|out| put_service_spec(out, spec));
        }
        Command::SetService(spec) => {
            message(command::SET_SERVICE, &|out| put_service_spec(out, spec));
        }
        Command::RemoveService(service) => message(command::DEL_SERVICE, &|out| {
            out.nested(message::SERVICE, |out| put_service(out, *service));
        }),
        Command::AddDestination(service, spec) => {
            message(command::NEW_DEST, &|out| put_destination_spec(out, *service, spec));
        }
        Command::SetDestination(service, spec) => {
            message(command::SET_DEST, &|out| put_destination_spec(out, *service, spec));
        }
        Command::RemoveDestination(service, address, port) => message(command::DEL_DEST, &|out| {
            out.nested(message::SERVICE, |out| put_service(out, *service));
            out.nested(message::DEST, |out| put_destination(out, *address, *port));
        }),
        Command::SetTimeouts(timeouts) => {
            message(command::SET_CONFIG, &|out| put_timeouts(out, *timeouts));
        }
        Command::StartSync(spec) => message(command::NEW_DAEMON, &|out| put_sync(out, spec)),
        Command::StopSync(role) => message(command::DEL_DAEMON, &|out| {
            out.nested(message::DAEMON, |out| out.u32(sync::STATE, state_of(*role)));
        }),
    }
}

fn put_service(out: &mut Writer, service: Service) {
    out.u16(svc::AF, af_of(service.family()));
    match service {
        Service::Address { address, port, protocol } => {
            out.u16(svc::PROTOCOL, number_of(protocol));
            put_address(out, svc::ADDR, address);
            out.be16(svc::PORT, port);
        }
        Service::Fwmark { mark, .. } => out.u32(svc::FWMARK, mark),
    }
}

fn put_service_spec(out: &mut Writer, spec: &ServiceSpec) {
    let ServiceSpec { service, scheduling, persistence } = spec;
    let mut flags = (u32::from(scheduling.flags) & SCHEDULER_FLAGS) << SCHEDULER_SHIFT;
    if scheduling.one_packet {
        flags |= ONE_PACKET;
    }
    if persistence.is_some() {
        flags |= PERSISTENT;
    }
    // `struct ip_vs_flags`: the flags, and which of them are meant.
    let mut both = [0; 8];
    both[..4].copy_from_slice(&flags.to_ne_bytes());
    both[4..].copy_from_slice(&(!HASHED).to_ne_bytes());
    let timeout = persistence.as_ref().map_or(0, |one| seconds(one.timeout));
    out.nested(message::SERVICE, |out| {
        put_service(out, *service);
        out.text(svc::SCHED_NAME, scheduling.scheduler.name());
        out.octets(svc::FLAGS, &both);
        out.u32(svc::TIMEOUT, timeout);
        put_netmask(out, service.family(), persistence.as_ref().map(|one| one.prefix_len));
        if let Some(engine) = persistence.as_ref().and_then(|one| one.engine.as_ref()) {
            out.text(svc::PE_NAME, engine);
        }
    });
}

/// A mask in the network's byte order for IPv4, a prefix length in the machine's for IPv6. Without
/// persistence it says nothing, and must still be a valid one.
fn put_netmask(out: &mut Writer, family: Family, prefix_len: Option<u8>) {
    match family {
        Family::Ipv4 => {
            let host_bits = 32_u32.saturating_sub(prefix_len.unwrap_or(32).into());
            let mask = u32::MAX.checked_shl(host_bits).unwrap_or(0);
            out.octets(svc::NETMASK, &mask.to_be_bytes());
        }
        Family::Ipv6 => out.u32(svc::NETMASK, prefix_len.unwrap_or(128).into()),
    }
}

fn put_destination(out: &mut Writer, address: IpAddr, port: u16) {
    out.u16(dest::ADDR_FAMILY, af_of(family_of(address)));
    put_address(out, dest::ADDR, address);
    out.be16(dest::PORT, port);
}

fn put_destination_spec(out: &mut Writer, service: Service, spec: &DestinationSpec) {
    out.nested(message::SERVICE, |out| put_service(out, service));
    out.nested(message::DEST, |out| {
        put_destination(out, spec.address, spec.port);
        let method = match spec.forwarding {
            Forwarding::Nat => MASQUERADE,
            Forwarding::DirectRouting => DIRECT_ROUTE,
            Forwarding::Tunnel(_) => TUNNEL,
        };
        out.u32(dest::FWD_METHOD, method);
        out.u32(dest::WEIGHT, spec.weight);
        out.u32(dest::U_THRESH, spec.upper_threshold);
        out.u32(dest::L_THRESH, spec.lower_threshold);
        let (kind, port, checksum) = match spec.forwarding {
            // IPIP is what every kernel means where nothing is said.
            Forwarding::Nat | Forwarding::DirectRouting | Forwarding::Tunnel(Tunnel::Ipip) => {
                return;
            }
            Forwarding::Tunnel(Tunnel::Gue { port, checksum }) => {
                (TUNNEL_GUE, Some(port), checksum)
            }
            Forwarding::Tunnel(Tunnel::Gre { checksum }) => (TUNNEL_GRE, None, checksum),
        };
        let flags = match checksum {
            TunnelChecksum::None => 0,
            TunnelChecksum::Whole => TUNNEL_CHECKSUM,
            TunnelChecksum::Remote => TUNNEL_REMOTE_CHECKSUM,
        };
        out.octets(dest::TUN_TYPE, &[kind]);
        if let Some(port) = port {
            out.be16(dest::TUN_PORT, port);
        }
        out.u16(dest::TUN_FLAGS, flags);
    });
}

fn put_timeouts(out: &mut Writer, timeouts: Timeouts) {
    let Timeouts { tcp, tcp_fin, udp } = timeouts;
    let limits = [
        (message::TIMEOUT_TCP, tcp),
        (message::TIMEOUT_TCP_FIN, tcp_fin),
        (message::TIMEOUT_UDP, udp),
    ];
    for (kind, limit) in limits {
        if let Some(limit) = limit {
            out.u32(kind, seconds(limit));
        }
    }
}

fn put_sync(out: &mut Writer, spec: &SyncSpec) {
    out.nested(message::DAEMON, |out| {
        out.u32(sync::STATE, state_of(spec.role));
        out.text(sync::MCAST_IFN, spec.interface.as_str());
        out.u32(sync::SYNC_ID, spec.id.into());
        if let Some(maxlen) = spec.maxlen {
            out.u16(sync::SYNC_MAXLEN, maxlen);
        }
        match spec.group {
            Some(IpAddr::V4(group)) => out.octets(sync::MCAST_GROUP, &group.octets()),
            Some(IpAddr::V6(group)) => out.octets(sync::MCAST_GROUP6, &group.octets()),
            None => {}
        }
        // The one port that is in the machine's byte order.
        if let Some(port) = spec.port {
            out.u16(sync::MCAST_PORT, port);
        }
        if let Some(ttl) = spec.ttl {
            out.octets(sync::MCAST_TTL, &[ttl]);
        }
    });
}

/// `union nf_inet_addr`: 16 octets, an IPv4 address in the first four.
fn put_address(out: &mut Writer, kind: u16, address: IpAddr) {
    let mut octets = [0; 16];
    match address {
        IpAddr::V4(address) => octets[..4].copy_from_slice(&address.octets()),
        IpAddr::V6(address) => octets = address.octets(),
    }
    out.octets(kind, &octets);
}

fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}
