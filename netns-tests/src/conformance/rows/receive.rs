//! Good adverts in unusual packets, and good adverts where they do not belong.

use std::time::Duration;

use super::seat::takes;
use crate::conformance::experiment::{Deed, Experiment, When, ms};
use crate::conformance::octets::{self, Header, Message, Sum, VRRP};
use crate::conformance::site::{Flavour, HIGHER, Router, Site, Terms};
use crate::conformance::verdict::{Verdict, exact, follows, hold, seconds, untried, wrong};
use crate::conformance::view::View;

/// `Master_Down_Interval` at priority 100 and 1 s.
const DOWN: u64 = 3_609_375;

/// After a good router only this is heard, often, then nothing.
fn held(terms: &Terms, site: Site, name: String, router: Router, frame: Vec<u8>) -> Experiment {
    let good = router.advert(terms, site, HIGHER, 200);
    Experiment::new(name, site, vec![router]).every((50, 2_100, 1_000), "good", good).every(
        (2_450, 9_000, 400),
        "variant",
        frame,
    )
}

/// It was silent as long as the variants came, and takes over when they end.
fn accepted(view: &View<'_>, terms: &Terms) -> Verdict {
    let (first, last) = (view.time("variant")?, view.last("variant")?);
    if let Some(early) = view.between(Duration::ZERO, last).first() {
        return wrong("discarded", format!("took over at {} s", seconds(early.at)));
    }
    let then = takes("variant", terms.down(view.router().flavour, DOWN))(view)?;
    Ok(format!("silent for {} s of them, then {then}", seconds(last - first)))
}

/// IP headers that differ from the usual ones.
pub(super) fn variants(
    terms: &Terms,
    site: Site,
    flavour: Flavour,
    row: &'static str,
) -> Experiment {
    let router = Router::new(site, flavour, 51);
    let (src, dst) = (site.own(flavour, HIGHER), flavour.group());
    let usual = Header::new(src, dst, VRRP);
    let header = match row {
        "X-DSCP" => Header { class: 0x28, ..usual },
        "X-DF" => Header { dont_fragment: true, ..usual },
        "X-IPOPT" => Header { options: true, ..usual },
        _ => usual,
    };
    let message = router.message(terms, 200).octets(src, dst);
    let frame = octets::packet(octets::group_mac(dst), flavour.mac(51), &header, &message);
    let padded = frame.len() == 60 && 14 + 20 + message.len() < 60;
    let name = format!("{}-{}", row.trim_start_matches("X-").to_lowercase(), flavour.name());
    let name = name.replace("7.1-", "");
    let (it, terms) = (held(terms, site, name, router, frame), *terms);
    it.judge(row, move |view| {
        hold(row != "X-7.1-ETHPAD" || padded, "untried", "the frame has no padding")?;
        accepted(view, &terms)
    })
}

/// The keyword for the checksum of version 3 over IPv4, and an advert of that form.
pub(super) fn sums(terms: &Terms, site: Site, sum: Sum) -> Experiment {
    let (word, name) = match sum {
        Sum::Message => ("on", "message"),
        Sum::Pseudo => ("off", "pseudo-header"),
    };
    let lines = format!("  v3_checksum_as_v2 {word}\n");
    let router = Router { lines, ..Router::new(site, Flavour::V3, 51) };
    let message = Message { sum, ..router.message(terms, 200) };
    let frame = router.frame(site.own(Flavour::V3, HIGHER), &message);
    let other =
        Message { sum: if sum == Sum::Message { Sum::Pseudo } else { Sum::Message }, ..message };
    let other = router.frame(site.own(Flavour::V3, HIGHER), &other);
    let terms = *terms;
    Experiment::new(format!("sum-{name}"), site, vec![router])
        .every((50, 9_000, 400), "variant", frame)
        .every((14_000, 14_500, 100), "other", other)
        .judge("X-CSUM4-DUAL", move |view| {
            let told = accepted(view, &terms)?;
            let from = view.time("other")?;
            let next = view.between(from, from + ms(3_000)).len();
            hold(next >= 2, "accepted", "the form that is not configured counts too")?;
            Ok(told)
        })
}

/// Adverts for the virtual router arrive on another interface of the same router.
pub(super) fn elsewhere(terms: &Terms, site: Site, flavour: Flavour) -> Experiment {
    let router = Router::new(site, flavour, 51);
    let good = router.advert(terms, site, HIGHER, 200);
    let mut it = Experiment::new(format!("elsewhere-{}", flavour.name()), site, vec![router]);
    it.ground.far = true;
    let when = When::Every { from: ms(50), until: ms(12_000), period: ms(500) };
    let down = terms.down(flavour, DOWN);
    it.cue("elsewhere", when, Deed::SendFar(good.clone())).between(9_000, "here", good).judge(
        "X-7.1-IF",
        move |view| {
            let first = view.first_after(Duration::ZERO)?;
            let told = super::alone::started(first.at, down, view)?;
            let here = view.time("here")?;
            hold(first.at < here, "late", "it took over late")?;
            let back = view.first_after(here + ms(100))?;
            if !follows(back.at - here, Duration::from_micros(down), view.late) {
                return untried("it does not follow the same advert on its own interface");
            }
            Ok(format!("{told}, though a better router spoke on another interface"))
        },
    )
}

/// A password of version 2, as it is sent.
pub(super) fn password(terms: &Terms, site: Site, word: &'static str) -> Experiment {
    let router = Router { password: Some(word.to_owned()), ..Router::new(site, Flavour::V2, 51) };
    let mut data = [0; 8];
    data[..word.len()].copy_from_slice(word.as_bytes());
    Experiment::new(format!("password-{}", word.len()), site, vec![router])
        .apart(terms)
        .judge("AUTH-2338-PASSTX", move |view| {
            view.each_advert(
                10,
                "auth-data",
                |it| {
                    let summed = octets::checksum(it.octets, None) == 0;
                    it.octets.get(4) == Some(&1) && it.octets.ends_with(&data) && summed
                },
                |it| {
                    format!(
                        "type {}, ends with {:02x?}",
                        it.octets[4],
                        &it.octets[it.octets.len() - 8..]
                    )
                },
            )
        })
        .judge("AUTH-2338-TYPES", |view| {
            let is = |it: &crate::conformance::view::Advert<'_>| it.octets.get(4) == Some(&1);
            view.each_advert(10, "auth-type", is, |it| format!("type {}", it.octets[4]))
        })
}

/// A better router that speaks every 4 s, heard late.
pub(super) fn slow_better(terms: &Terms, site: Site, flavour: Flavour) -> Experiment {
    let router = Router::new(site, flavour, 51);
    let message = Message { interval: 400, ..router.message(terms, 200) };
    let frame = router.frame(site.own(flavour, HIGHER), &message);
    Experiment::new(format!("slow-better-{}", flavour.name()), site, vec![router])
        .apart(terms)
        .between(5_000, "better", frame)
        .judge("V3-5.2.7-SLOWHIGH", |view| {
            let at = view.time("better")?;
            hold(!view.between(Duration::ZERO, at).is_empty(), "untried", "it was no Master")?;
            let next = view.first_after(at + ms(100))?;
            exact(next.at - at, Duration::from_micros(14_437_500), view.late)
        })
}
