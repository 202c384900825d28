//! What each property says, and its bound as a formula: for whoever reads of a violation. The
//! symbols and everything around them are in docs/properties.md.

use super::PropertyId;

impl PropertyId {
    /// The property in one sentence.
    #[must_use]
    pub const fn statement(self) -> &'static str {
        match self {
            Self::S1 => "two masters that hear each other do not coexist longer than W",
            Self::S2 => "two data planes do not own an address together longer than W + R",
            Self::S3 => "nobody takes over from a master that lives",
            Self::S4 => "after a crash only the best backup becomes master",
            Self::S5 => "when a better node takes over, the overlap is bounded",
            Self::S6 => "after a cut heals there is one master per component",
            Self::S7 => "a calm component has exactly one master, and none outranked",
            Self::S8 => "a stopped engine stops owning within its lease",
            Self::S9 => "a mismatch is reported and named by at least one side",
            Self::S10 => "a one-way cut is told by the winner, and a deaf winner takes over once",
            Self::S11 => "after a dual interval every neighbour cache ends on the survivor",
            Self::S12 => "a backup is mute",
            Self::L1 => "takeover after a crash comes neither too late nor too early",
            Self::L2 => "after a clean stop nobody is master for no longer than Skew",
            Self::L3 => "a returning better node is master in time",
            Self::L4 => "every component settles",
            Self::L5 => "nothing changes once settled",
            Self::L6 => "the address is reachable from every host of the component",
            Self::L7 => "a dead real server leaves the pool in time, a live one comes back",
        }
    }

    /// Its bound.
    #[must_use]
    pub const fn formula(self) -> &'static str {
        match self {
            Self::S1 => "W = A_hi (k+1) + D + 2L, or A_lo + 2D + 3L if that is less and k = 0",
            Self::S2 => "W + R",
            Self::S3 => "(k+1)(A + L) + (D-d) between two arrivals",
            Self::S4 => "D + L",
            Self::S5 => "D + R + L + kA",
            Self::S6 => "A_hi (k+1) + D + 2L",
            Self::S7 => "T = M_max + 2D + 3L + E + X",
            Self::S8 => "the lease + R, from the last advert that the kernel accepted",
            Self::S9 => "2A + D + 2L",
            Self::S10 => {
                "(K+k) A_lo + 2D + 2L, or longer if it answers nobody; overlaps A_hi (k+1) + D + 2L"
            }
            Self::S11 => "A + D + announcement delay + 2L, or one refresh + D + 2L",
            Self::S12 => "R, or 2R",
            Self::L1 => "M - A - L + d to M + D + 2L",
            Self::L2 => "Skew + D + 2L, A more if overtaken",
            Self::L3 => "M + D + 2L and the delays that are configured",
            Self::L4 | Self::L5 => "M_max + A + 2D + 3L + E + X",
            Self::L6 => "M_max + A + 2D + 3L + E + X + announcement delay + D + R",
            Self::L7 => "delay_loop + timeout + retry (delay_before_retry + timeout) + ..",
        }
    }
}
