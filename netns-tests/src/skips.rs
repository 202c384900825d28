//! Scenarios that need no step which the real world lacks, and yet cannot be compared with it.
//!
//! `viplab run` plays them all the same. The list may only name scenarios that exist, and with
//! those that lack a step it may not be more than a quarter of all: a test holds both.

/// Scenarios by name, each with its reason.
pub const SKIPS: [(&str, &str); 4] = [
    ("election/equal-priorities", "two equals start together: a tie may end either way"),
    ("mismatch/unlisted-peer", "adverts to an address that nobody has do not reach a real wire"),
    ("preempt/delay", "the delay ends with an advert: a tie may end either way"),
    ("quiet/pair", "a day would take a day here"),
];

/// Why the scenario cannot be compared, if it cannot.
#[must_use]
pub fn reason(name: &str) -> Option<&'static str> {
    SKIPS.iter().find(|(skipped, _)| *skipped == name).map(|(_, reason)| *reason)
}
