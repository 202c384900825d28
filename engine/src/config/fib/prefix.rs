//! Addresses that begin alike.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::names::{Family, OutOfRange};

/// Addresses that begin alike. The bits behind the length are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "(IpAddr, u8)", into = "(IpAddr, u8)")]
pub struct Prefix {
    address: IpAddr,
    len: u8,
}

impl Prefix {
    /// The first `len` bits of `address`.
    ///
    /// # Errors
    /// [`OutOfRange`] for more than 32 bits of IPv4 or 128 of IPv6.
    pub fn new(address: IpAddr, len: u8) -> Result<Self, OutOfRange> {
        let longest = Family::of(address).address_len() as u8 * 8;
        if len > longest {
            return Err(OutOfRange { what: "prefix length", min: 0, max: longest.into() });
        }
        let cut = u32::from(longest - len);
        let address = match address {
            IpAddr::V4(one) => {
                let mask = u32::MAX.checked_shl(cut).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from(u32::from(one) & mask))
            }
            IpAddr::V6(one) => {
                let mask = u128::MAX.checked_shl(cut).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from(u128::from(one) & mask))
            }
        };
        Ok(Self { address, len })
    }

    /// Every address of a family.
    #[must_use]
    pub const fn all(family: Family) -> Self {
        let address = match family {
            Family::Ipv4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Family::Ipv6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        Self { address, len: 0 }
    }

    /// The first address.
    #[must_use]
    pub const fn address(self) -> IpAddr {
        self.address
    }

    /// How many bits are alike.
    #[must_use]
    pub const fn prefix_len(self) -> u8 {
        self.len
    }

    /// Its family.
    #[must_use]
    pub const fn family(self) -> Family {
        Family::of(self.address)
    }
}

impl TryFrom<(IpAddr, u8)> for Prefix {
    type Error = OutOfRange;

    fn try_from((address, len): (IpAddr, u8)) -> Result<Self, OutOfRange> {
        Self::new(address, len)
    }
}

impl From<Prefix> for (IpAddr, u8) {
    fn from(prefix: Prefix) -> Self {
        (prefix.address, prefix.len)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.len {
            0 => f.write_str("default"),
            len => write!(f, "{}/{len}", self.address),
        }
    }
}
