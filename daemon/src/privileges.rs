//! Giving up what is not needed: of all capabilities two stay.
//!
//! They stay in the bounding set too, for the programs that we run.

use caps::errors::CapsError;
use caps::{CapSet, Capability, CapsHashSet};

/// Addresses, interfaces, filters; raw sockets for interfaces that come later.
const KEPT: [Capability; 2] = [Capability::CAP_NET_ADMIN, Capability::CAP_NET_RAW];

/// What the process lacks, by name; empty if nothing.
///
/// # Errors
/// Those of capget(2).
pub fn missing() -> Result<Vec<String>, CapsError> {
    let have = caps::read(None, CapSet::Permitted)?;
    Ok(KEPT.iter().filter(|one| !have.contains(one)).map(ToString::to_string).collect())
}

/// Drops all but those and `more` of the capabilities of this thread, for good; threads that it
/// starts have no more. Who was not privileged enough to shrink the bounding set has nothing in it
/// to fear.
///
/// # Errors
/// Those of capset(2) and prctl(2).
pub fn drop_to_the_needed(more: Option<Capability>) -> Result<(), CapsError> {
    let kept: CapsHashSet = KEPT.into_iter().chain(more).collect();
    if caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP)? {
        for one in caps::read(None, CapSet::Bounding)? {
            if !kept.contains(&one) {
                caps::drop(None, CapSet::Bounding, one)?;
            }
        }
    }
    caps::clear(None, CapSet::Ambient)?;
    caps::set(None, CapSet::Effective, &kept)?;
    caps::set(None, CapSet::Permitted, &kept)?;
    caps::set(None, CapSet::Inheritable, &CapsHashSet::new())
}
