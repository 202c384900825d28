//! When a virtual server has its quorum. Pure.

/// Whether it has it, given whether it had it and the sum of the weights of its living real
/// servers.
///
/// It is gained at quorum + hysteresis and lost below quorum - hysteresis; nothing alive is never
/// a quorum, however small that difference is.
pub(super) fn has_quorum(had: bool, live: u64, quorum: u32, hysteresis: u32) -> bool {
    live > 0 && live >= limit(!had, quorum, hysteresis).into()
}

/// What it takes to gain it, or what must be there to keep it.
pub(super) const fn limit(to_gain: bool, quorum: u32, hysteresis: u32) -> u32 {
    if to_gain { quorum.saturating_add(hysteresis) } else { quorum.saturating_sub(hysteresis) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_gained_at_quorum_plus_hysteresis_and_lost_below_quorum_minus_hysteresis() {
        // quorum 5, hysteresis 2: gained at 7, lost below 3.
        for (had, live, has) in [
            (false, 6, false),
            (false, 7, true),
            (true, 6, true),
            (true, 3, true),
            (true, 2, false),
            (false, 3, false),
        ] {
            assert_eq!(has_quorum(had, live, 5, 2), has, "had {had}, live {live}");
        }
    }

    #[test]
    fn without_hysteresis_both_edges_are_one() {
        for had in [false, true] {
            assert!(has_quorum(had, 3, 3, 0));
            assert!(!has_quorum(had, 2, 3, 0));
        }
    }

    #[test]
    fn nothing_alive_is_never_a_quorum() {
        for (quorum, hysteresis) in [(0, 0), (1, 1), (2, 5)] {
            assert!(!has_quorum(true, 0, quorum, hysteresis));
            assert!(!has_quorum(false, 0, quorum, hysteresis));
        }
    }

    #[test]
    fn a_hysteresis_above_the_quorum_keeps_it_to_the_last_server() {
        assert!(has_quorum(true, 1, 2, 5));
        assert!(!has_quorum(false, 6, 2, 5));
        assert!(has_quorum(false, 7, 2, 5));
    }

    #[test]
    fn the_greatest_numbers_do_not_overflow() {
        assert!(!has_quorum(false, u64::from(u32::MAX) - 1, u32::MAX, u32::MAX));
        assert!(has_quorum(false, u64::from(u32::MAX), u32::MAX, u32::MAX));
    }
}
