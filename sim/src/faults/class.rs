//! The twenty fault classes of docs/properties.md, and their names.

use std::fmt;

/// A class of faults. Its number is the one that `fault_class` of a scenario carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultClass {
    /// 1: a machine loses its power and comes back.
    HostCrash,
    /// 2: SIGKILL: the addresses stay.
    ProcessCrash,
    /// 3: SIGSTOP and SIGCONT.
    Pause,
    /// 4: a machine stands still and goes on, with or without its clock.
    Freeze,
    /// 5: SIGTERM, and started again.
    Stop,
    /// 6: restarted or reloaded while an election runs.
    MidElection,
    /// 7: two sides, each with a director, hear nothing of each other.
    Cut,
    /// 8: one machine hears nobody and nobody hears it.
    Isolation,
    /// 9: one direction between two directors is cut.
    OneWayCut,
    /// 10: two directors do not hear each other and both hear everybody else.
    PartialCut,
    /// 11: multicast and broadcast are lost, unicast passes.
    MulticastLost,
    /// 12: some adverts in a row are lost.
    AdvertsLost,
    /// 13: delay, jitter, reordering, duplicates, corruption, chance loss.
    RoughLink,
    /// 14: timers and packet handlers run late.
    LateHandlers,
    /// 15: a clock runs fast or slow; a wall clock jumps.
    Clock,
    /// 16: carrier flaps, addresses are removed, a virtual-MAC interface comes up by itself.
    Carrier,
    /// 17: one router is reloaded with a configuration that does not fit the others.
    Mismatch,
    /// 18: somebody who runs no engine advertises.
    Spoof,
    /// 19: trackers or real servers flap.
    Flaps,
    /// 20: routers change their version one after the other, and back.
    Upgrade,
}

impl FaultClass {
    /// All of them, by number.
    pub const ALL: [Self; 20] = [
        Self::HostCrash,
        Self::ProcessCrash,
        Self::Pause,
        Self::Freeze,
        Self::Stop,
        Self::MidElection,
        Self::Cut,
        Self::Isolation,
        Self::OneWayCut,
        Self::PartialCut,
        Self::MulticastLost,
        Self::AdvertsLost,
        Self::RoughLink,
        Self::LateHandlers,
        Self::Clock,
        Self::Carrier,
        Self::Mismatch,
        Self::Spoof,
        Self::Flaps,
        Self::Upgrade,
    ];

    /// Its number in the catalogue, 1 to 20.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8 + 1
    }

    /// The class with this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.number() == number)
    }

    /// Its name in reports and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HostCrash => "host-crash",
            Self::ProcessCrash => "process-crash",
            Self::Pause => "pause",
            Self::Freeze => "freeze",
            Self::Stop => "clean-stop",
            Self::MidElection => "mid-election",
            Self::Cut => "cut",
            Self::Isolation => "isolation",
            Self::OneWayCut => "one-way-cut",
            Self::PartialCut => "partial-cut",
            Self::MulticastLost => "multicast-lost",
            Self::AdvertsLost => "adverts-lost",
            Self::RoughLink => "rough-link",
            Self::LateHandlers => "late-handlers",
            Self::Clock => "clock",
            Self::Carrier => "carrier",
            Self::Mismatch => "mismatch",
            Self::Spoof => "spoof",
            Self::Flaps => "flaps",
            Self::Upgrade => "upgrade",
        }
    }
}

impl fmt::Display for FaultClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number(), self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_catalogue_and_names_differ() {
        let numbers: Vec<_> = FaultClass::ALL.iter().map(|class| class.number()).collect();
        assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
        for class in FaultClass::ALL {
            assert_eq!(FaultClass::from_number(class.number()), Some(class));
        }
        let mut names: Vec<_> = FaultClass::ALL.iter().map(|class| class.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 20);
        assert_eq!(FaultClass::from_number(0), None);
        assert_eq!(FaultClass::from_number(21), None);
    }
}
