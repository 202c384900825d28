//! Same scenario and seed, same trace; anything else, another one.

mod rehearsal;

use rehearsal::*;

const NOISY: &str = r#"
[[step]]
at = "0s"
conditions = { delay = "1ms", jitter = "3ms", loss = "5%", duplicate = "2%", reorder = true }
on = "all"
[[step]]
at = "9s"
stop = "a"
"#;

#[test]
fn two_runs_in_one_process_have_the_same_trace() {
    let rehearsal = Rehearsal::probed(NOISY);
    assert_eq!(rehearsal.play().trace, rehearsal.play().trace);
}

#[test]
fn another_seed_is_another_run_where_anything_is_random() {
    let noisy = Rehearsal::probed(NOISY);
    assert_ne!(noisy.play_with(1).trace, noisy.play_with(2).trace);
    let quiet = Rehearsal::probed("");
    assert_eq!(quiet.play_with(1).trace, quiet.play_with(2).trace);
}

#[test]
fn one_flipped_bit_of_one_advert_changes_the_trace() {
    let injected = |priority: u8| {
        let rest = format!(
            "[[step]]\nat = \"6s\"\ninject = \"lan\"\nsrc = \"10.0.0.66\"\nvrid = 52\n\
             priority = {priority}\n"
        );
        Rehearsal::pair(&rest).play().trace
    };
    assert_eq!(injected(8), injected(8));
    assert_ne!(injected(8), injected(9));
}

#[test]
fn one_more_host_leaves_the_randomness_of_the_others_alone() {
    let entered = |rehearsal: Rehearsal| {
        let played = rehearsal.play();
        played.times(|seen| {
            matches!(&seen.seen, vipd_scenarios::record::Seen::AdvertDelivered(_)) && seen.host == B
        })
    };
    assert_eq!(entered(Rehearsal::pair(NOISY)), entered(Rehearsal::probed(NOISY)));
}
