//! How a Backup times out, and what re-arms its timer.

use std::time::Duration;

use super::seat::takes;
use crate::conformance::experiment::{Deed, Experiment, When, ms};
use crate::conformance::octets::Message;
use crate::conformance::site::{Flavour, HIGHER, LOWER, Router, Site, Terms};
use crate::conformance::verdict::{Verdict, exact, hold, seconds, untried, wrong};
use crate::conformance::view::View;

/// `Master_Down_Interval` of a priority whose interval is 1 s, in microseconds.
fn down(priority: u8) -> u64 {
    3_000_000 + skew(priority, 1_000_000)
}

/// `Skew_Time` in microseconds (RFC 3768 6.1 with a second, RFC 9568 6.1).
fn skew(priority: u8, interval: u64) -> u64 {
    (256 - u64::from(priority)) * interval / 256
}

/// A better router falls silent: the down timer at this priority, then the skew after a
/// resignation.
pub(super) fn silence(terms: &Terms, site: Site, flavour: Flavour, priority: u8) -> Experiment {
    let router = Router::new(site, flavour, 51).priority(priority);
    let good = router.advert(terms, site, HIGHER, 255);
    let resign = router.advert(terms, site, HIGHER, 0);
    let name = format!("silence-{}-{priority}", flavour.name());
    let row = |v2, v3| flavour.row(v2, v3);
    Experiment::new(name, site, vec![router])
        .every((50, 4_000, 1_000), "good", good.clone())
        .every((12_050, 15_000, 1_000), "again", good)
        .at(15_500, "resign", resign)
        .judge(row("V2-6.1-MDI", "V3-6.1-MDI"), takes("good", down(priority)))
        .judge(row("V2-6.1-SKEW", "V3-6.1-SKEW"), takes("resign", skew(priority, 1_000_000)))
        .judge(row("V2-6.4.2-PRI0", "V3-6.4.2-PRI0"), takes("resign", skew(priority, 1_000_000)))
}

/// The interval is 10 s in version 2: the skew stays that of a second.
pub(super) fn slow(terms: &Terms, site: Site) -> Experiment {
    let router = Router::new(site, Flavour::V2, 51).interval("10");
    let message = |priority| Message { interval: 10, ..router.message(terms, priority) };
    let from = site.own(Flavour::V2, HIGHER);
    let good = router.frame(from, &message(150));
    let resign = router.frame(from, &message(0));
    Experiment::new("slow-v2", site, vec![router])
        .at(1_000, "good", good)
        .at(3_000, "resign", resign)
        .judge("V2-6.1-SKEW", takes("resign", skew(100, 1_000_000)))
        .judge("V2-5.3.7-INTTX", |view| {
            let is = |it: &crate::conformance::view::Advert<'_>| it.octets.get(5) == Some(&10);
            view.each_advert(2, "interval", is, |it| format!("octet 5 is {:02x}", it.octets[5]))
        })
}

/// An interval is learned: from then on both times follow it, and own adverts do not.
pub(super) fn learn(terms: &Terms, site: Site, flavour: Flavour) -> Experiment {
    let router = Router::new(site, flavour, 51);
    let message = |priority| Message { interval: 200, ..router.message(terms, priority) };
    let from = site.own(flavour, HIGHER);
    let good = router.frame(from, &message(150));
    let resign = router.frame(from, &message(0));
    let learned = 6_000_000 + skew(100, 2_000_000);
    let both = takes("resign", skew(100, 2_000_000));
    Experiment::new(format!("learn-{}", flavour.name()), site, vec![router])
        .at(1_000, "good", good.clone())
        .at(14_000, "again", good)
        .at(15_000, "resign", resign)
        .judge("V3-6.1-MAI-LEARN", takes("good", learned))
        .judge("V3-6.4.2-GE", takes("good", learned))
        .judge("V3-6.1-MDI", takes("good", learned))
        .judge("V3-6.4.2-PRI0", takes("resign", skew(100, 2_000_000)))
        .judge("V3-6.4.2-SKEWRECALC", both)
        .judge("V3-7.1-INT", takes("good", learned))
        .judge("V3-6.1-MAI-OWN", |view| {
            let first = view.first_after(view.time("good")?)?;
            let own = view.between(first.at, view.time("again")?);
            hold(own.len() >= 5, "silent", format!("{} adverts as Master", own.len()))?;
            for pair in own.windows(2) {
                let gap = pair[1].at - pair[0].at;
                let right = gap + view.late >= ms(1_000) && gap <= ms(1_000) + view.late;
                hold(right, "interval", format!("a gap of {} s", seconds(gap)))?;
            }
            let fields = own.iter().all(|it| it.octets.get(4..6) == Some(&[0, 100]));
            hold(fields, "interval", "the learned interval is in an own advert")?;
            Ok(format!("{} adverts, 1 s apart, each with 100 cs", own.len()))
        })
}

/// A better router sends the four reserved bits as ones, and falls silent.
pub(super) fn reserved(terms: &Terms, site: Site, flavour: Flavour) -> Experiment {
    let router = Router::new(site, flavour, 51);
    let message = Message { interval: 0xf064, ..router.message(terms, 150) };
    let frame = router.frame(site.own(flavour, HIGHER), &message);
    Experiment::new(format!("reserved-{}", flavour.name()), site, vec![router])
        .every((50, 4_000, 1_000), "good", frame)
        .judge("V3-5.2.6-RSVDRX", takes("good", down(100)))
}

/// The interval that is configured is that of nobody heard yet.
pub(super) fn own_interval(terms: &Terms, site: Site, flavour: Flavour) -> Experiment {
    let router = Router::new(site, flavour, 51).interval("2");
    let message = Message { interval: 10, ..router.message(terms, 150) };
    let frame = router.frame(site.own(flavour, HIGHER), &message);
    // The last advert of one that yields is no mastership.
    let short = |view: &View<'_>| {
        let at = view.time("short")?;
        let next = view.first_after(at + ms(100))?;
        exact(next.at - at, Duration::from_micros(360_937), view.late)
    };
    Experiment::new(format!("own-interval-{}", flavour.name()), site, vec![router])
        .at(14_000, "short", frame)
        .judge("V3-6.1-MAI-INIT", |view| {
            let first = view.first_after(Duration::ZERO)?;
            super::alone::started(first.at, 7_218_750, view)
        })
        .judge("V3-6.1-MDI", short)
        .judge("V3-6.1-SKEW", short)
}

/// Two resignations, 0.3 s apart: the second starts the skew anew.
pub(super) fn resigned_twice(terms: &Terms, site: Site, flavour: Flavour) -> Experiment {
    let router = Router::new(site, flavour, 51);
    let good = router.advert(terms, site, HIGHER, 150);
    let resign = router.advert(terms, site, HIGHER, 0);
    let it = Experiment::new(format!("resigned-twice-{}", flavour.name()), site, vec![router])
        .every((50, 4_000, 1_000), "good", good)
        .at(4_500, "resign", resign.clone())
        .at(4_800, "resign", resign);
    let row = flavour.row("V2-6.4.2-PRI0-AGAIN", "V3-6.4.2-PRI0");
    it.judge(row, |view| {
        let first = view.time("resign")?;
        let early = view.between(first, view.last("resign")?).len();
        hold(early == 0, "early", "it took over between the two")?;
        takes("resign", skew(100, 1_000_000))(view)
    })
}

/// An equal priority from a lower address, seldom: each advert re-arms the timer.
pub(super) fn equal(terms: &Terms, site: Site, flavour: Flavour) -> Experiment {
    let router = Router::new(site, flavour, 51);
    let equal = router.advert(terms, site, LOWER, 100);
    let held = |view: &View<'_>| -> Verdict {
        let early = view.between(Duration::ZERO, view.last("equal")?).len();
        hold(early == 0, "took-over", format!("{early} adverts while it heard an equal"))?;
        let heard = view.times("equal").len();
        let then = takes("equal", down(100))(view)?;
        Ok(format!("silent while it heard {heard}, 3 s apart, then {then}"))
    };
    let it = Experiment::new(format!("equal-{}", flavour.name()), site, vec![router])
        .every((500, 16_000, 3_000), "equal", equal)
        .judge(flavour.row("V2-6.4.2-GE", "V3-6.4.2-GE"), held);
    if flavour == Flavour::V2 { it.judge("V2-6.4.2-NOTIE", held) } else { it }
}

/// Preemption is off: a lower priority re-arms the timer too.
pub(super) fn no_preempt(terms: &Terms, site: Site, flavour: Flavour) -> Experiment {
    let router = Router { preempt: false, ..Router::new(site, flavour, 51).priority(200) };
    let worse = router.advert(terms, site, HIGHER, 100);
    let better = router.advert(terms, site, HIGHER, 201);
    Experiment::new(format!("no-preempt-{}", flavour.name()), site, vec![router])
        .every((100, 10_000, 500), "worse", worse)
        .cue("better", When::AfterAdvert { from: ms(16_000), offset: ms(500) }, Deed::Send(better))
        .judge(flavour.row("V2-6.4.2-NOPREEMPT", "V3-6.4.2-GE"), |view| {
            let early = view.between(Duration::ZERO, view.last("worse")?).len();
            hold(early == 0, "took-over", format!("{early} adverts though it must not preempt"))?;
            takes("worse", down(200))(view)
        })
        .judge("V2-6.4.3-PREEMPT-IGN", |view| yields(view, "better"))
}

/// The Master hears a better advert and is silent from then on, for a whole down time.
pub(super) fn yields(view: &View<'_>, label: &str) -> Verdict {
    let at = view.time(label)?;
    let before = view.between(at.saturating_sub(ms(1_500)), at).len();
    hold(before > 0, "untried", "it was no Master")?;
    // DEVIATION of some: one last advert at once.
    let own = view.between(at + ms(100), view.stopped());
    match own.first() {
        Some(next) if next.at - at < ms(2_900) => {
            wrong("no-yield", format!("an advert {} s later", seconds(next.at - at)))
        }
        Some(next) => Ok(format!("silent, back after {} s", seconds(next.at - at))),
        None => Ok("silent to the end".to_owned()),
    }
}

/// Preemption is on: a lower priority does not re-arm the timer, and is not learned from.
pub(super) fn lower(terms: &Terms, site: Site, flavour: Flavour) -> Experiment {
    let router = Router::new(site, flavour, 51).priority(200);
    let interval = if flavour == Flavour::V2 { 1 } else { 400 };
    let message = Message { interval, ..router.message(terms, 100) };
    let worse = router.frame(site.own(flavour, HIGHER), &message);
    Experiment::new(format!("lower-{}", flavour.name()), site, vec![router])
        .every((100, 9_000, 500), "worse", worse)
        .judge(flavour.row("V2-6.4.2-LOWER", "V3-6.4.2-LOWER"), |view| {
            let first = view.first_after(Duration::ZERO)?;
            hold(first.at < view.last("worse")?, "late", "only when the other was silent")?;
            super::alone::started(first.at, down(200), view)
        })
}

/// What a spoofed advert of 255 costs: one down time.
pub(super) fn spoofed(terms: &Terms, site: Site, flavour: Flavour) -> Experiment {
    let router = Router::new(site, flavour, 51);
    let spoof = router.advert(terms, site, LOWER, 255);
    Experiment::new(format!("spoofed-{}", flavour.name()), site, vec![router])
        .apart(terms)
        .between(8_000, "spoof", spoof)
        .judge("SEC-SPOOF255", |view| {
            let at = view.time("spoof")?;
            hold(!view.between(Duration::ZERO, at).is_empty(), "untried", "it was no Master")?;
            // One last advert at once is no mastership.
            let Some(next) = view.between(at + ms(100), Duration::MAX).first().copied() else {
                return untried("it never came back");
            };
            exact(next.at - at, Duration::from_micros(down(100)), view.late)
        })
}
