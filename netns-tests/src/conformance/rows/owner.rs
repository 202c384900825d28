//! The owner of the addresses, priority 255.

use std::time::Duration;

use super::backup::yields;
use super::master::stays;
use super::seat::replies;
use crate::conformance::experiment::{Experiment, ms};
use crate::conformance::octets;
use crate::conformance::site::{Flavour, HIGHER, HOST, LOWER, Router, Site, TARGET, Terms};
use crate::conformance::verdict::{Verdict, hold, seconds, wrong};
use crate::conformance::view::{Advert, View};

fn router(site: Site, flavour: Flavour) -> Router {
    let own = site.own(flavour, TARGET);
    let mut addresses = vec![own];
    if flavour.is_v6() {
        addresses.push(site.host(flavour, TARGET));
    }
    Router { addresses, ..Router::new(site, flavour, 51).priority(255) }
}

/// An experiment with this owner. Over IPv6 the interface has a link-local address of its own
/// besides the virtual one: there are routers that send from no other, see [`one_link_local`].
fn experiment(name: &str, site: Site, router: Router) -> Experiment {
    let flavour = router.flavour;
    let mut it = Experiment::new(format!("{name}-{}", flavour.name()), site, vec![router]);
    if flavour.is_v6() {
        let own = Site::link_local(u16::from(TARGET) + 1);
        it.ground.lines = format!("address add {own}/64 dev {} nodad\n", site.interface());
    }
    it
}

/// The virtual link-local address is the only one of the interface.
pub(super) fn one_link_local(_terms: &Terms, site: Site) -> Experiment {
    let flavour = Flavour::V6;
    Experiment::new("owner-one-link-local-v3-ipv6", site, vec![router(site, flavour)])
        .judge("V3-6.4.1-OWNER6", move |view| started(view, flavour))
}

/// It is Master at once.
fn at_once(view: &View<'_>) -> Verdict {
    let first = view.first_after(Duration::ZERO)?;
    let latest = ms(100) + view.start + view.late;
    hold(first.at <= latest, "late", format!("first advert after {} s", seconds(first.at)))?;
    Ok(format!("first advert {} s after the start", seconds(first.at)))
}

/// Alone, asked for its address, with or without `state BACKUP`.
pub(super) fn owner(
    _terms: &Terms,
    site: Site,
    flavour: Flavour,
    state: Option<&'static str>,
) -> Experiment {
    let lines = state.map(|state| format!("  state {state}\n")).unwrap_or_default();
    let router = Router { lines, ..router(site, flavour) };
    let word = state.map(|state| format!("-{}", state.to_lowercase())).unwrap_or_default();
    let it = experiment(&format!("owner{word}"), site, router);
    let start = match flavour {
        Flavour::V2 => "V2-6.4.1-OWNER",
        Flavour::V3 => "V3-6.4.1-OWNER4",
        Flavour::V6 => "V3-6.4.1-OWNER6",
    };
    if state.is_some() {
        return it.judge(start, at_once);
    }
    let (host, own) = (site.host(flavour, HOST), site.host(flavour, TARGET));
    let echo = octets::echo_request(site.mac(TARGET), site.mac(HOST), host, own);
    let it = it.at(5_000, "echo", echo).judge(start, move |view| started(view, flavour)).judge(
        flavour.row("V2-5.3.4-PRI255", "V3-5.2.4-PRI255"),
        |view| {
            let is = |it: &Advert<'_>| it.at > view.stopped() || it.priority() == 255;
            view.each_advert(10, "priority", is, |it| format!("octet 2 is {:02x}", it.priority()))
        },
    );
    let accept = flavour.row("V2-6.4.3-ACCEPTOWN", "V3-6.4.3-ACCEPT");
    it.judge(accept, move |view| {
        let found = replies(view, own, "echo")?;
        hold(found == 1, "not-accepted", format!("{found} echo replies"))?;
        Ok("an echo request is answered".to_owned())
    })
}

fn started(view: &View<'_>, flavour: Flavour) -> Verdict {
    let told = at_once(view)?;
    let first = view.first_after(Duration::ZERO)?;
    let announced = view.announcements();
    for address in &view.router().addresses {
        let mut found = announced.iter().filter(|it| it.address == *address);
        // Its interface and its filter are made meanwhile.
        let latest = first.at + view.start + view.late;
        let soon = found.any(|it| it.at >= first.at && it.at <= latest);
        hold(soon, "missing", format!("{address} was not announced in time"))?;
    }
    let next = super::alone::next_one(view, first.at)?;
    if flavour.is_v6() {
        for it in &announced {
            let flags = it.na.and_then(|ip| ip.payload.get(4).copied());
            hold(flags == Some(0xa0), "flags", format!("flags {flags:02x?}"))?;
            view.is_virtual(it.mac, "the target link-layer address is")?;
        }
    }
    Ok(format!("{told}, announced, the next after {next}"))
}

/// A Master of priority 254 speaks from the start, and preemption is off.
pub(super) fn preempts(terms: &Terms, site: Site, flavour: Flavour) -> Experiment {
    let router = Router { preempt: false, ..router(site, flavour) };
    let other = router.advert(terms, site, HIGHER, 254);
    experiment("owner-preempts", site, router).every((1, 4_000, 100), "other", other).judge(
        flavour.row("V2-6.1-PREEMPT-OWNER", "V3-6.1-PREEMPT-OWNER"),
        |view| {
            let told = at_once(view)?;
            let first = view.first_after(Duration::ZERO)?;
            let heard = view.times("other").iter().filter(|at| **at < first.at).count();
            hold(heard > 0, "untried", "nobody spoke before it")?;
            let own = view.between(first.at, ms(4_000)).len();
            hold(own >= 3, "yielded", format!("{own} adverts in 4 s"))?;
            Ok(format!("{told}, {heard} adverts of another were there before"))
        },
    )
}

/// Another owner is heard: from a greater address, then from a lower one.
pub(super) fn two(terms: &Terms, site: Site, flavour: Flavour) -> Experiment {
    let router = router(site, flavour);
    let advert = |from| router.advert(terms, site, from, 255);
    let (greater, lower) = (advert(HIGHER), advert(LOWER));
    let it = experiment("two-owners", site, router)
        .between(6_000, "greater", greater)
        .between(14_000, "lower", lower);
    let it = it.judge(flavour.row("V2-7.1-OWNER", "V3-7.1-OWNER"), |view| {
        let (greater, lower) = (stays(view, "greater")?, stays(view, "lower")?);
        Ok(format!("greater address: {greater}; lower address: {lower}"))
    });
    if flavour == Flavour::V2 {
        return it;
    }
    it.judge("V3-7.1-OWNER-ERR", |view| {
        let greater = yields(view, "greater")?;
        match stays(view, "lower") {
            Ok(lower) => Ok(format!("greater address: {greater}; lower address: {lower}")),
            Err(found) => wrong("yields-to-lower", found.measured),
        }
    })
}
