//! A director written down and read back. It may have been edited by anybody in between, so it is
//! checked: each part by itself, and that both mean the same.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::director::{Director, Next};
use crate::health::{self, Health};
use crate::ipvs::{self, Ipvs};

/// Everything that a director knows and cannot derive, for serde. `Director::try_from` gives the
/// director back, if there can be such a one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Snapshot {
    health: health::Snapshot,
    ipvs: ipvs::Snapshot,
    next: Option<Next>,
}

/// Why a snapshot is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotError {
    /// Its checks cannot be.
    Health(health::SnapshotError),
    /// Its table cannot be.
    Ipvs(ipvs::SnapshotError),
    /// The two do not agree: what about.
    Apart(&'static str),
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Health(error) => error.fmt(f),
            Self::Ipvs(error) => error.fmt(f),
            Self::Apart(what) => f.write_str(what),
        }
    }
}

impl core::error::Error for SnapshotError {}

impl Director {
    /// What it knows now. It costs as much as a copy.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let Self { health, ipvs, next, .. } = self;
        Snapshot { health: health.snapshot(), ipvs: ipvs.snapshot(), next: next.clone() }
    }
}

impl TryFrom<Snapshot> for Director {
    type Error = SnapshotError;

    fn try_from(Snapshot { health, ipvs, next }: Snapshot) -> Result<Self, SnapshotError> {
        let health = Health::try_from(health).map_err(SnapshotError::Health)?;
        let ipvs = Ipvs::try_from(ipvs).map_err(SnapshotError::Ipvs)?;
        let ipvs_due = ipvs.deadline();
        let director = Self { health, ipvs, ipvs_due, next, ..Self::default() };
        director.agree().map_err(SnapshotError::Apart)?;
        Ok(director)
    }
}
