//! A director written down and read back. It may have been edited by anybody in between, so it is
//! checked: none that comes out of here panics or hangs, whatever it is told.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::ipvs::director::Ipvs;
use crate::status::MOST_COUNTED;

/// Everything that a director knows and cannot derive, for serde. `Ipvs::try_from` gives the
/// director back, if there can be such a one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Snapshot(Ipvs);

/// Why a snapshot is none: what cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotError(&'static str);

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl core::error::Error for SnapshotError {}

impl Ipvs {
    /// What it knows now. It costs as much as a copy.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.clone())
    }
}

impl TryFrom<Snapshot> for Ipvs {
    type Error = SnapshotError;

    fn try_from(Snapshot(mut ipvs): Snapshot) -> Result<Self, SnapshotError> {
        ipvs.derive().map_err(SnapshotError)?;
        if ipvs.next_number > MOST_COUNTED {
            return Err(SnapshotError("commands count too far"));
        }
        ipvs.soundness().map_err(SnapshotError)?;
        Ok(ipvs)
    }
}
