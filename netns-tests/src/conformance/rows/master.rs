//! What a Master does when it hears another router.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::backup::yields;
use crate::conformance::experiment::{Deed, Experiment, When, ms};
use crate::conformance::octets::Message;
use crate::conformance::site::{Flavour, HIGHER, LOWER, Router, Site, TARGET, Terms};
use crate::conformance::verdict::{Verdict, exact, hold, seconds, untried, wrong};
use crate::conformance::view::View;

/// How soon "at once" is, besides the tolerance.
const AT_ONCE: Duration = ms(10);

/// The Master's advert before something, and its first one after it.
fn around(
    view: &View<'_>,
    label: &str,
) -> Result<(Duration, Duration, Duration), crate::conformance::verdict::Wrong> {
    let at = view.time(label)?;
    let before = view.between(Duration::ZERO, at);
    let Some(before) = before.last() else { return untried("it was no Master") };
    let after = view.first_after(at)?;
    Ok((before.at, at, after.at))
}

/// How long a Master is watched that is to stay: longer than a down time.
const AWHILE: Duration = ms(3_900);

/// It advertises at once.
fn asserts(view: &View<'_>, label: &str) -> Verdict {
    let (_, at, after) = around(view, label)?;
    let late = after - at;
    hold(
        late <= AT_ONCE + view.late,
        "no-advert",
        format!("next advert {} s later", seconds(late)),
    )?;
    Ok(format!("an advert {} s later", seconds(late)))
}

/// It goes on as if nothing had been heard: the next advert is at its normal time.
fn ignores(view: &View<'_>, label: &str) -> Verdict {
    let (before, at, after) = around(view, label)?;
    let early = after + view.late < before + ms(1_000);
    hold(!early, "advert-sent", format!("an advert {} s later", seconds(after - at)))?;
    exact(after - before, ms(1_000), view.late)
}

/// It stays Master: no advert is later than its normal time.
pub(super) fn stays(view: &View<'_>, label: &str) -> Verdict {
    let (before, at, after) = around(view, label)?;
    // Some say a last word at once, and are silent then.
    let until = at + AWHILE;
    let times = view.between(before, until).into_iter().map(|advert| advert.at).chain([until]);
    let times: Vec<_> = times.collect();
    let longest = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default();
    let shown = format!("a gap of {} s", seconds(longest));
    hold(longest <= ms(1_000) + view.late, "yielded", shown)?;
    let (next, longest) = (seconds(after - before), seconds(longest));
    Ok(format!("next advert {next} s after the one before, no gap above {longest} s"))
}

/// Hears a lower priority, a resignation, and an equal priority from a lower address.
pub(super) fn lesser(terms: &Terms, site: Site, flavour: Flavour) -> Experiment {
    let router = Router::new(site, flavour, 51);
    let advert = |from, priority| router.advert(terms, site, from, priority);
    let (low, zero, equal) = (advert(HIGHER, 50), advert(HIGHER, 0), advert(LOWER, 100));
    let row = |v2, v3| flavour.row(v2, v3);
    let it = Experiment::new(format!("lesser-{}", flavour.name()), site, vec![router])
        .apart(terms)
        .between(6_000, "low", low)
        .between(10_000, "zero", zero)
        .between(15_000, "equal", equal)
        .judge(row("V2-6.4.3-PRI0", "V3-6.4.3-PRI0"), |view| {
            let told = asserts(view, "zero")?;
            let first = view.first_after(view.time("zero")?)?;
            let next = view.first_after(first.at + ms(1))?;
            let then = exact(next.at - first.at, ms(1_000), view.late)?;
            Ok(format!("{told}, the next after {then}"))
        })
        .judge("SEC-SPOOF0", |view| asserts(view, "zero"))
        .judge("TRANS-2.3", |view| {
            let (low, equal) = (stays(view, "low")?, stays(view, "equal")?);
            Ok(format!("lower: {low}; equal: {equal}"))
        });
    match flavour {
        Flavour::V2 => it
            .judge("V2-6.4.3-LOWER", |view| ignores(view, "low"))
            .judge("V2-6.4.3-TIELO", |view| stays(view, "equal")),
        Flavour::V3 | Flavour::V6 => it
            .judge("V3-6.4.3-LOWER-9568", |view| asserts(view, "low"))
            .judge("V3-6.4.3-LOWER-5798", |view| ignores(view, "low"))
            .judge("X-LOWER-TIMER", |view| {
                let (before, at, after) = around(view, "low")?;
                let next = view.first_after(after + ms(1))?.at;
                let longest = (after - before).max(next - after);
                let most = ms(1_000) + view.late;
                hold(longest <= most, "late", format!("a gap of {} s", seconds(longest)))?;
                let kept = seconds(next - at);
                Ok(format!("asserted {} s later, the next {kept} s later", seconds(after - at)))
            }),
    }
}

/// Hears an equal priority from a higher address, once.
pub(super) fn tie(terms: &Terms, site: Site, flavour: Flavour) -> Experiment {
    let router = Router::new(site, flavour, 51);
    let equal = router.advert(terms, site, HIGHER, 100);
    let own = router.advert(terms, site, TARGET, 100);
    let back = Duration::from_micros(3_609_375);
    let it = Experiment::new(format!("tie-{}", flavour.name()), site, vec![router])
        .apart(terms)
        .between(6_000, "own", own)
        .between(10_000, "equal", equal);
    let returns = move |view: &View<'_>| {
        yields(view, "equal")?;
        let at = view.time("equal")?;
        let Some(next) = view.between(at + ms(100), Duration::MAX).first().copied() else {
            return wrong("silent", "it never came back");
        };
        exact(next.at - at, back, view.late)
    };
    match flavour {
        Flavour::V2 => {
            it.judge("V2-6.4.3-TIEHI", returns).judge("V2-6.4.3-TIEEQ", |view| stays(view, "own"))
        }
        Flavour::V3 | Flavour::V6 => it.judge("V3-6.4.3-TIESRC", returns),
    }
}

/// Hears one advert of a higher priority; in version 3 with another interval.
pub(super) fn higher(terms: &Terms, site: Site, flavour: Flavour) -> Experiment {
    let router = Router::new(site, flavour, 51);
    let interval = if flavour == Flavour::V2 { 1 } else { 200 };
    let message = Message { interval, ..router.message(terms, 101) };
    let better = router.frame(site.own(flavour, LOWER), &message);
    let back = if flavour == Flavour::V2 { 3_609_375 } else { 7_218_750 };
    Experiment::new(format!("higher-{}", flavour.name()), site, vec![router])
        .apart(terms)
        .between(8_000, "better", better)
        .judge(flavour.row("V2-6.4.3-HIGHER", "V3-6.4.3-HIGHER"), move |view| {
            let at = view.time("better")?;
            let first = view.router().addresses[0];
            hold(view.has(first, at), "untried", "it had no address")?;
            let gone = view.gone(first, at).is_some_and(|gone| gone <= at + ms(50) + view.late);
            let next = view.first_after(at + ms(100))?;
            let then = exact(next.at - at, Duration::from_micros(back), view.late)?;
            hold(gone, "address-stays", format!("{first} stays"))?;
            let last = view.between(at, at + ms(100)).len();
            hold(last == 0, "last-advert", format!("{last} more at once, then back after {then}"))?;
            Ok(format!("silent, {first} gone, back after {then}"))
        })
}

/// How addresses are compared: the target has one, an equal comes from another.
pub(super) fn compared(
    terms: &Terms,
    site: Site,
    name: &'static str,
    own: &'static str,
    other: &'static str,
    greater: bool,
) -> Experiment {
    let other: IpAddr = other.parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let flavour = if other.is_ipv6() { Flavour::V6 } else { Flavour::V3 };
    let router = Router::new(site, flavour, 51);
    let equal = router.frame(other, &router.message(terms, 100));
    let mut it = Experiment::new(format!("compared-{name}"), site, vec![router]).apart(terms);
    match own.parse() {
        Ok(IpAddr::V6(own)) => {
            it.ground.link_local = Some(own);
            // The global address must not decide.
            it.ground.global = if greater { 0xffff } else { 2 };
        }
        Ok(IpAddr::V4(_)) | Err(_) => it.ground.primary = Some(own),
    }
    let judged = move |view: &View<'_>| {
        let at = view.time("equal")?;
        let own: IpAddr = own.parse().unwrap_or(other);
        let before = view.between(Duration::ZERO, at);
        let sends = before.last().is_some_and(|advert| advert.ip.src == own);
        hold(sends, "other-source", format!("it does not send from {own}"))?;
        let told = if greater { yields(view, "equal") } else { stays(view, "equal") }?;
        Ok(format!("{other} against {own}: {told}"))
    };
    it = it.cue("equal", When::AfterAdvert { from: ms(8_000), offset: ms(500) }, Deed::Send(equal));
    let it = it.judge("V3-6.4.3-TIECMP", judged);
    if flavour.is_v6() { it.judge("V3-6.4.3-TIESRC", judged) } else { it }
}

/// A hundred lower adverts in a tenth of a second, once the Master is one.
pub(super) fn provoked(terms: &Terms, site: Site, flavour: Flavour) -> Experiment {
    let router = Router::new(site, flavour, 51);
    let low = router.advert(terms, site, HIGHER, 50);
    Experiment::new(format!("provoked-{}", flavour.name()), site, vec![router])
        .apart(terms)
        .every((8_000, 8_100, 1), "low", low)
        .judge("X-LOWER-RATE", |view| {
            let (from, until) = (view.time("low")?, view.last("low")?);
            let before = view.between(Duration::ZERO, from).len();
            hold(before > 0, "untried", "it was no Master")?;
            let sent = view.times("low").len();
            // One of them may be the periodic one.
            let own = view.between(from, until + ms(100)).len();
            hold(own <= 5, "rate", format!("{own} adverts for {sent} lower ones"))?;
            let next = stays(view, "low")?;
            Ok(format!("{own} adverts for {sent} lower ones; {next}"))
        })
}
