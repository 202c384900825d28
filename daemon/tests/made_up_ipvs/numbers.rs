//! The enumerations of `linux/ip_vs.h` and `linux/genetlink.h`, by their names there.

/// An enumeration: a name's place is its number.
pub struct Enumeration {
    /// What all its names begin with.
    pub prefix: &'static str,
    /// The names without that, from 0 on.
    pub names: &'static [&'static str],
}

impl Enumeration {
    /// The number of a name.
    pub fn number(&self, name: &str) -> u16 {
        let place = self.names.iter().position(|known| *known == name);
        place.unwrap_or_else(|| panic!("no {}{name}", self.prefix)) as u16
    }
}

pub const CTRL_CMD: Enumeration =
    Enumeration { prefix: "CTRL_CMD_", names: &["UNSPEC", "NEWFAMILY", "DELFAMILY", "GETFAMILY"] };

pub const CTRL_ATTR: Enumeration =
    Enumeration { prefix: "CTRL_ATTR_", names: &["UNSPEC", "FAMILY_ID", "FAMILY_NAME"] };

pub const CMD: Enumeration = Enumeration {
    prefix: "IPVS_CMD_",
    names: &[
        "UNSPEC",
        "NEW_SERVICE",
        "SET_SERVICE",
        "DEL_SERVICE",
        "GET_SERVICE",
        "NEW_DEST",
        "SET_DEST",
        "DEL_DEST",
        "GET_DEST",
        "NEW_DAEMON",
        "DEL_DAEMON",
        "GET_DAEMON",
        "SET_CONFIG",
        "GET_CONFIG",
        "SET_INFO",
        "GET_INFO",
        "ZERO",
        "FLUSH",
    ],
};

pub const CMD_ATTR: Enumeration = Enumeration {
    prefix: "IPVS_CMD_ATTR_",
    names: &[
        "UNSPEC",
        "SERVICE",
        "DEST",
        "DAEMON",
        "TIMEOUT_TCP",
        "TIMEOUT_TCP_FIN",
        "TIMEOUT_UDP",
    ],
};

pub const SVC_ATTR: Enumeration = Enumeration {
    prefix: "IPVS_SVC_ATTR_",
    names: &[
        "UNSPEC",
        "AF",
        "PROTOCOL",
        "ADDR",
        "PORT",
        "FWMARK",
        "SCHED_NAME",
        "FLAGS",
        "TIMEOUT",
        "NETMASK",
        "STATS",
        "PE_NAME",
        "STATS64",
    ],
};

pub const DEST_ATTR: Enumeration = Enumeration {
    prefix: "IPVS_DEST_ATTR_",
    names: &[
        "UNSPEC",
        "ADDR",
        "PORT",
        "FWD_METHOD",
        "WEIGHT",
        "U_THRESH",
        "L_THRESH",
        "ACTIVE_CONNS",
        "INACT_CONNS",
        "PERSIST_CONNS",
        "STATS",
        "ADDR_FAMILY",
        "STATS64",
        "TUN_TYPE",
        "TUN_PORT",
        "TUN_FLAGS",
    ],
};

pub const DAEMON_ATTR: Enumeration = Enumeration {
    prefix: "IPVS_DAEMON_ATTR_",
    names: &[
        "UNSPEC",
        "STATE",
        "MCAST_IFN",
        "SYNC_ID",
        "SYNC_MAXLEN",
        "MCAST_GROUP",
        "MCAST_GROUP6",
        "MCAST_PORT",
        "MCAST_TTL",
    ],
};

pub const INFO_ATTR: Enumeration =
    Enumeration { prefix: "IPVS_INFO_ATTR_", names: &["UNSPEC", "VERSION", "CONN_TAB_SIZE"] };

/// Those of IPVS.
pub const ALL: [&Enumeration; 6] =
    [&CMD, &CMD_ATTR, &SVC_ATTR, &DEST_ATTR, &DAEMON_ATTR, &INFO_ATTR];
