//! Simpler values: what may stand in the place of a time, a number or a step.
//!
//! Each list is in the order of preference, and everything in it is simpler than what is there, so
//! that shrinking ends: fewer digits that are not zero, or no more of them and less.

use std::time::Duration;

use vipd_scenarios::record::whole_nanos;
use vipd_scenarios::scenario::{Conditions, Conduct, Injection, Paths, Step};

/// Simpler numbers: nothing, a half with one digit, then fewer and fewer digits left away.
pub(super) fn numbers(number: u64) -> Vec<u64> {
    let mut simpler = vec![0, first_digit(number / 2)];
    for kept in 1..digits(number) {
        let (down, up) = cut(number, kept);
        simpler.extend([down, up]);
    }
    let mut found = Vec::new();
    for one in simpler {
        let is_simpler = (digits(one), one) < (digits(number), number);
        if is_simpler && !found.contains(&one) {
            found.push(one);
        }
    }
    found
}

pub(super) fn times(time: Duration) -> Vec<Duration> {
    numbers(whole_nanos(time)).into_iter().map(Duration::from_nanos).collect()
}

/// Digits from the first one to the last that is not zero.
pub(super) fn digits(number: u64) -> u32 {
    let mut number = number;
    while number > 0 && number.is_multiple_of(10) {
        number /= 10;
    }
    number.checked_ilog10().map_or(0, |length| length + 1)
}

fn first_digit(number: u64) -> u64 {
    cut(number, 1).0
}

/// The number with so many digits kept, rounded down and up.
fn cut(number: u64, kept: u32) -> (u64, u64) {
    let length = number.checked_ilog10().map_or(0, |length| length + 1);
    let unit = 10_u64.saturating_pow(length.saturating_sub(kept));
    let down = number / unit * unit;
    (down, if down == number { down } else { down.saturating_add(unit) })
}

/// Steps that may stand in the place of this one.
pub(super) fn steps(step: &Step) -> Vec<Step> {
    match step {
        Step::Freeze { host, clock: true } => vec![Step::Freeze { host: *host, clock: false }],
        Step::Cut(paths) => self::paths(paths).into_iter().map(Step::Cut).collect(),
        Step::CutMulticast(paths) => {
            self::paths(paths).into_iter().map(Step::CutMulticast).collect()
        }
        Step::Heal(paths) => self::paths(paths).into_iter().map(Step::Heal).collect(),
        Step::Lose { paths, count } => {
            let fewer = numbers(u64::from(*count)).into_iter().filter(|count| *count > 0);
            let fewer = fewer.map(|count| Step::Lose { paths: paths.clone(), count: count as u32 });
            let other = self::paths(paths).into_iter();
            fewer.chain(other.map(|paths| Step::Lose { paths, count: *count })).collect()
        }
        Step::Conditions { paths, conditions } => {
            let calmer = self::conditions(*conditions).into_iter();
            let calmer =
                calmer.map(|one| Step::Conditions { paths: paths.clone(), conditions: one });
            let other = self::paths(paths).into_iter();
            let other = other.map(|paths| Step::Conditions { paths, conditions: *conditions });
            calmer.chain(other).collect()
        }
        Step::ClockDrift { .. } | Step::WallClockJump { .. } => clocks(step),
        Step::Late { host, by } => {
            times(*by).into_iter().map(|by| Step::Late { host: *host, by }).collect()
        }
        Step::KernelLate { host, by } => {
            times(*by).into_iter().map(|by| Step::KernelLate { host: *host, by }).collect()
        }
        Step::KernelFails { host, count } => {
            let fewer = numbers(u64::from(*count)).into_iter().filter(|count| *count > 0);
            fewer.map(|count| Step::KernelFails { host: *host, count: count as u32 }).collect()
        }
        Step::Server { host, conduct } => conducts(*conduct)
            .into_iter()
            .map(|conduct| Step::Server { host: *host, conduct })
            .collect(),
        Step::Inject(injection) => injections(injection),
        Step::Start(_)
        | Step::Stop(_)
        | Step::Kill(_)
        | Step::Pause(_)
        | Step::Resume(_)
        | Step::Freeze { clock: false, .. }
        | Step::Thaw(_)
        | Step::PowerOff(_)
        | Step::PowerOn(_)
        | Step::LinkDown { .. }
        | Step::LinkUp { .. }
        | Step::RemoveAddress { .. }
        | Step::RemoveEntry { .. }
        | Step::Reload { .. }
        | Step::FlapVirtualMac { .. }
        | Step::Tracker { .. }
        | Step::Operator { .. } => Vec::new(),
    }
}

/// Clocks that are less wrong.
fn clocks(step: &Step) -> Vec<Step> {
    match step {
        Step::ClockDrift { host, ppm } => {
            let sizes = numbers(u64::from(ppm.unsigned_abs())).into_iter();
            let with = |size| Step::ClockDrift { host: *host, ppm: size as i32 * ppm.signum() };
            sizes.map(with).collect()
        }
        Step::WallClockJump { host, seconds } => {
            let sizes = numbers(seconds.unsigned_abs()).into_iter();
            let signed = |size| size as i64 * seconds.signum();
            sizes.map(|size| Step::WallClockJump { host: *host, seconds: signed(size) }).collect()
        }
        _ => Vec::new(),
    }
}

/// Fewer of them, or sooner after one another.
fn injections(injection: &Injection) -> Vec<Step> {
    let fewer = numbers(u64::from(injection.count)).into_iter().filter(|count| *count > 0);
    let fewer = fewer.map(|count| (count as u32, injection.every));
    let sooner = times(injection.every).into_iter().filter(|every| !every.is_zero());
    let sooner = sooner.filter(|_| injection.count > 1).map(|every| (injection.count, every));
    let with =
        |(count, every)| Step::Inject(Box::new(Injection { count, every, ..injection.clone() }));
    fewer.chain(sooner).map(with).collect()
}

/// One host fewer on a side that has several.
fn paths(paths: &Paths) -> Vec<Paths> {
    let (left, right) = match paths {
        Paths::All => return Vec::new(),
        Paths::Between(left, right) | Paths::FromTo(left, right) => (left, right),
    };
    let with = |left, right| match paths {
        Paths::All => Paths::All,
        Paths::Between(..) => Paths::Between(left, right),
        Paths::FromTo(..) => Paths::FromTo(left, right),
    };
    let mut fewer = Vec::new();
    for (side, is_left) in [(left, true), (right, false)] {
        for place in 0..if side.len() > 1 { side.len() } else { 0 } {
            let mut less = side.clone();
            less.remove(place);
            let (left, right) = if is_left { (less, right.clone()) } else { (left.clone(), less) };
            fewer.push(with(left, right));
        }
    }
    fewer
}

/// Nothing unusual, then one thing less.
pub(super) fn conditions(now: Conditions) -> Vec<Conditions> {
    let usual = Conditions::default();
    let mut calmer = vec![
        usual,
        Conditions { delay: usual.delay, ..now },
        Conditions { jitter: usual.jitter, ..now },
        Conditions { reorder: false, ..now },
    ];
    if now.delay > usual.delay {
        let less = times(now.delay).into_iter().filter(|delay| *delay > usual.delay);
        calmer.extend(less.map(|delay| Conditions { delay, ..now }));
    }
    calmer.extend(times(now.jitter).into_iter().map(|jitter| Conditions { jitter, ..now }));
    let shares = |ppm: u32| numbers(u64::from(ppm)).into_iter().map(|ppm| ppm as u32);
    calmer.extend(shares(now.duplicate_ppm).map(|ppm| Conditions { duplicate_ppm: ppm, ..now }));
    calmer.extend(shares(now.corrupt_ppm).map(|ppm| Conditions { corrupt_ppm: ppm, ..now }));
    calmer.extend(shares(now.loss_ppm).map(|ppm| Conditions { loss_ppm: ppm, ..now }));
    calmer.retain(|one| *one != now);
    calmer
}

fn conducts(conduct: Conduct) -> Vec<Conduct> {
    let not_zero = |time: &Duration| !time.is_zero();
    match conduct {
        Conduct::Drips { every } => times(every)
            .into_iter()
            .filter(not_zero)
            .map(|every| Conduct::Drips { every })
            .collect(),
        Conduct::Flaps { good, bad } => {
            let less_good = times(good).into_iter().filter(not_zero);
            let less_bad = times(bad).into_iter().filter(not_zero);
            let less_good = less_good.map(|good| Conduct::Flaps { good, bad });
            let less_bad = less_bad.map(|bad| Conduct::Flaps { good, bad });
            std::iter::once(Conduct::Refuses).chain(less_good).chain(less_bad).collect()
        }
        Conduct::Answers
        | Conduct::Refuses
        | Conduct::Unreachable
        | Conduct::Silent
        | Conduct::Hangs
        | Conduct::Lies
        | Conduct::Resets
        | Conduct::Closes => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simpler_numbers_come_in_the_order_of_preference_and_are_all_simpler() {
        assert_eq!(numbers(0), Vec::<u64>::new());
        assert_eq!(numbers(1), [0]);
        assert_eq!(numbers(17), [0, 8, 10, 20]);
        assert_eq!(
            numbers(10_613),
            [0, 5_000, 10_000, 20_000, 11_000, 10_600, 10_700, 10_610, 10_620]
        );
        for number in [1, 7, 99, 12_345, 1_000_001, u64::MAX] {
            for simpler in numbers(number) {
                assert!((digits(simpler), simpler) < (digits(number), number));
            }
        }
    }

    #[test]
    fn digits_are_counted_to_the_last_one_that_is_not_zero() {
        assert_eq!([0, 5, 10, 120, 1_000_000, 101].map(digits), [0, 1, 1, 2, 1, 3]);
    }
}
