//! The numbers of `linux/ip_vs.h` and `linux/genetlink.h`, and what ours are in them.

use std::net::IpAddr;

use vipd_engine::Family;
use vipd_engine::config::director::Protocol;

use super::Malformed;
use crate::ipvs::spec::SyncRole;

/// `GENL_ID_CTRL` and what is asked of it.
pub mod control {
    pub const FAMILY: u16 = 16;
    pub const NEW_FAMILY: u8 = 1;
    pub const GET_FAMILY: u8 = 3;
    pub const FAMILY_ID: u16 = 1;
    pub const FAMILY_NAME: u16 = 2;
}

/// `IPVS_CMD_*`.
pub mod command {
    pub const NEW_SERVICE: u8 = 1;
    pub const SET_SERVICE: u8 = 2;
    pub const DEL_SERVICE: u8 = 3;
    pub const GET_SERVICE: u8 = 4;
    pub const NEW_DEST: u8 = 5;
    pub const SET_DEST: u8 = 6;
    pub const DEL_DEST: u8 = 7;
    pub const GET_DEST: u8 = 8;
    pub const NEW_DAEMON: u8 = 9;
    pub const DEL_DAEMON: u8 = 10;
    pub const GET_DAEMON: u8 = 11;
    pub const SET_CONFIG: u8 = 12;
    pub const GET_CONFIG: u8 = 13;
    /// What `GET_INFO` is answered with.
    pub const SET_INFO: u8 = 14;
    pub const GET_INFO: u8 = 15;
    pub const FLUSH: u8 = 17;
}

/// `IPVS_CMD_ATTR_*`: of a message.
pub mod message {
    pub const SERVICE: u16 = 1;
    pub const DEST: u16 = 2;
    pub const DAEMON: u16 = 3;
    pub const TIMEOUT_TCP: u16 = 4;
    pub const TIMEOUT_TCP_FIN: u16 = 5;
    pub const TIMEOUT_UDP: u16 = 6;
}

/// `IPVS_SVC_ATTR_*`.
pub mod svc {
    pub const AF: u16 = 1;
    pub const PROTOCOL: u16 = 2;
    pub const ADDR: u16 = 3;
    pub const PORT: u16 = 4;
    pub const FWMARK: u16 = 5;
    pub const SCHED_NAME: u16 = 6;
    pub const FLAGS: u16 = 7;
    pub const TIMEOUT: u16 = 8;
    pub const NETMASK: u16 = 9;
    pub const PE_NAME: u16 = 11;
}

/// `IPVS_DEST_ATTR_*`.
pub mod dest {
    pub const ADDR: u16 = 1;
    pub const PORT: u16 = 2;
    pub const FWD_METHOD: u16 = 3;
    pub const WEIGHT: u16 = 4;
    pub const U_THRESH: u16 = 5;
    pub const L_THRESH: u16 = 6;
    pub const ACTIVE_CONNS: u16 = 7;
    pub const INACT_CONNS: u16 = 8;
    pub const PERSIST_CONNS: u16 = 9;
    pub const ADDR_FAMILY: u16 = 11;
    pub const TUN_TYPE: u16 = 13;
    pub const TUN_PORT: u16 = 14;
    pub const TUN_FLAGS: u16 = 15;
}

/// `IPVS_DAEMON_ATTR_*`.
pub mod sync {
    pub const STATE: u16 = 1;
    pub const MCAST_IFN: u16 = 2;
    pub const SYNC_ID: u16 = 3;
    pub const SYNC_MAXLEN: u16 = 4;
    pub const MCAST_GROUP: u16 = 5;
    pub const MCAST_GROUP6: u16 = 6;
    pub const MCAST_PORT: u16 = 7;
    pub const MCAST_TTL: u16 = 8;
}

/// `IPVS_INFO_ATTR_VERSION`.
pub const INFO_VERSION: u16 = 1;

/// `IP_VS_SVC_F_*`.
pub const PERSISTENT: u32 = 0x1;
pub const HASHED: u32 = 0x2;
pub const ONE_PACKET: u32 = 0x4;
/// Of a scheduler: three bits from here on.
pub const SCHEDULER_SHIFT: u32 = 3;
pub const SCHEDULER_FLAGS: u32 = 0x7;

/// `IP_VS_CONN_F_*`: how packets reach a destination.
pub const FORWARD_MASK: u32 = 0x7;
pub const MASQUERADE: u32 = 0;
pub const TUNNEL: u32 = 2;
pub const DIRECT_ROUTE: u32 = 3;

/// `IP_VS_CONN_F_TUNNEL_TYPE_*` and `IP_VS_TUNNEL_ENCAP_FLAG_*`.
pub const TUNNEL_IPIP: u8 = 0;
pub const TUNNEL_GUE: u8 = 1;
pub const TUNNEL_GRE: u8 = 2;
pub const TUNNEL_CHECKSUM: u16 = 1;
pub const TUNNEL_REMOTE_CHECKSUM: u16 = 2;

/// `AF_INET` and `AF_INET6`.
pub const INET: u16 = 2;
pub const INET6: u16 = 10;

pub const fn number_of(protocol: Protocol) -> u16 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Sctp => 132,
    }
}

pub const fn protocol_of(number: u16) -> Option<Protocol> {
    match number {
        6 => Some(Protocol::Tcp),
        17 => Some(Protocol::Udp),
        132 => Some(Protocol::Sctp),
        _ => None,
    }
}

pub const fn state_of(role: SyncRole) -> u32 {
    match role {
        SyncRole::Master => 1,
        SyncRole::Backup => 2,
    }
}

pub const fn af_of(family: Family) -> u16 {
    match family {
        Family::Ipv4 => INET,
        Family::Ipv6 => INET6,
    }
}

pub const fn family_at(number: u16, what: &'static str) -> Result<Family, Malformed> {
    match number {
        INET => Ok(Family::Ipv4),
        INET6 => Ok(Family::Ipv6),
        _ => Err(Malformed::Value(what)),
    }
}

pub const fn family_of(address: IpAddr) -> Family {
    match address {
        IpAddr::V4(_) => Family::Ipv4,
        IpAddr::V6(_) => Family::Ipv6,
    }
}
