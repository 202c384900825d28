//! What an interface has to have: a carrier, an address, a link-local address.

use std::time::Duration;

use crate::conformance::experiment::{Deed, Experiment, When, ms};
use crate::conformance::site::{Flavour, HIGHER, Router, Site, TARGET, Terms};
use crate::conformance::verdict::{EARLY, Verdict, hold, seconds, symptom, untried, wrong};
use crate::conformance::view::View;

/// `Master_Down_Interval` at priority 100 and 1 s.
const DOWN: Duration = Duration::from_micros(3_609_375);
/// How long a target may take to hear of an interface's news.
const NEWS: Duration = ms(200);

/// Nothing until something comes, then Backup for a whole down time.
fn starts_with(view: &View<'_>, label: &str) -> Verdict {
    let at = view.time(label)?;
    let early = view.between(Duration::ZERO, at).len();
    hold(early == 0, "adverts", format!("{early} adverts before"))?;
    let first = view.first_after(at)?;
    let after = first.at - at;
    if let Some(symptom) = symptom(after, DOWN, NEWS + view.late) {
        return wrong(symptom, format!("{} s after it", seconds(after)));
    }
    Ok(format!("silent before, first advert {} s after it", seconds(after)))
}

/// The cable is out when the target starts.
pub(super) fn no_carrier(_terms: &Terms, site: Site, flavour: Flavour) -> Experiment {
    let router = Router::new(site, flavour, 51);
    let mut it = Experiment::new(format!("no-carrier-{}", flavour.name()), site, vec![router]);
    it.ground.carrier = false;
    it.cue("plugged-in", When::At(ms(5_000)), Deed::Carrier(true))
        .judge("X-6.4.1-STARTCOND", |view| starts_with(view, "plugged-in"))
}

/// The interface has no IPv4 address when the target starts, and others speak meanwhile.
pub(super) fn no_address(terms: &Terms, site: Site) -> Experiment {
    let router = Router::new(site, Flavour::V2, 51);
    let (owner, zero) =
        (router.advert(terms, site, HIGHER, 255), router.advert(terms, site, HIGHER, 0));
    let mut it = Experiment::new("no-address-v2", site, vec![router]);
    it.ground.v4 = false;
    let lines = format!("address add {}/24 dev {}\n", site.v4(TARGET), site.interface());
    it.every((500, 5_000, 700), "zero", zero)
        .every((700, 5_000, 700), "owner", owner)
        .cue("address", When::At(ms(5_200)), Deed::Ip(lines))
        .judge("V2-6.4.1-WAIT", |view| {
            let heard = view.times("zero").len() + view.times("owner").len();
            let told = starts_with(view, "address")?;
            Ok(format!("{heard} adverts heard in vain; {told}"))
        })
}

/// The link-local address goes while it is Active, and comes back.
pub(super) fn no_link_local(terms: &Terms, site: Site) -> Experiment {
    let router = Router::new(site, Flavour::V6, 51);
    let address = format!("{}/64 dev {}", Site::link_local(u16::from(TARGET)), site.interface());
    let it = Experiment::new("no-link-local-v3-ipv6", site, vec![router]).apart(terms);
    it.cue("gone", When::At(ms(10_000)), Deed::Ip(format!("address del {address}\n")))
        .cue("back", When::At(ms(14_000)), Deed::Ip(format!("address add {address} nodad\n")))
        .judge("V3-5.1.2.1-SRC6-MISSING", |view| {
            let (gone, back) = (view.time("gone")?, view.time("back")?);
            let own = view.site().own(Flavour::V6, TARGET);
            let before = view.between(Duration::ZERO, gone).len();
            hold(before > 0, "untried", "it was no Master")?;
            let other = view.adverts().into_iter().find(|advert| advert.ip.src != own);
            if let Some(other) = other {
                let at = seconds(other.at);
                return wrong("source", format!("an advert from {} at {at} s", other.ip.src));
            }
            let meanwhile = view.between(gone + ms(300), back).len();
            hold(
                meanwhile == 0,
                "source",
                format!("{meanwhile} adverts from an address that is gone"),
            )?;
            let Ok(again) = view.first_after(back) else {
                return untried("it did not come back with the address");
            };
            Ok(format!("silent without it, back {} s after it came", seconds(again.at - back)))
        })
}

/// The cable of the Master is out for three seconds.
pub(super) fn unplugged(terms: &Terms, site: Site, flavour: Flavour) -> Experiment {
    let router = Router::new(site, flavour, 51);
    Experiment::new(format!("unplugged-{}", flavour.name()), site, vec![router])
        .apart(terms)
        .cue("out", When::At(ms(10_000)), Deed::Carrier(false))
        .cue("in", When::At(ms(13_000)), Deed::Carrier(true))
        .judge("LINK-DOWN", |view| {
            let (out, back) = (view.time("out")?, view.time("in")?);
            let before = view.between(Duration::ZERO, out).len();
            hold(before > 0, "untried", "it was no Master")?;
            let zero = view.between(out, view.stopped()).into_iter().find(|it| it.priority() == 0);
            hold(zero.is_none(), "priority", "an advert with priority 0")?;
            let first = view.first_after(out + ms(20))?;
            let after = first.at.saturating_sub(back);
            let early = after + EARLY < DOWN;
            hold(!early, "early", format!("an advert {} s after the link is up", seconds(after)))?;
            let latest = DOWN + NEWS + view.late;
            hold(
                after <= latest,
                "late",
                format!("Master {} s after the link is up", seconds(after)),
            )?;
            Ok(format!("silent without a carrier, Master {} s after it", seconds(after)))
        })
}
