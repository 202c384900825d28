//! Several virtual routers of one target that must not disturb each other.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use crate::conformance::experiment::{Deed, Experiment, When, ms};
use crate::conformance::site::{Flavour, HIGHER, Router, Site, Terms};
use crate::conformance::verdict::{hold, untried, wrong};

/// One VRID on two interfaces; a better router is heard on the first only.
pub(super) fn two_links(terms: &Terms, site: Site) -> Experiment {
    let near = Router::new(site, Flavour::V3, 51);
    let addresses = vec![IpAddr::V4(site.far_v4(10))];
    let far = Router { far: true, addresses, ..near.clone() };
    let good = near.advert(terms, site, HIGHER, 200);
    let mut it = Experiment::new("two-links-v3-ipv4", site, vec![near, far]);
    it.ground.far = true;
    it.every((50, 15_000, 1_000), "good", good).judge("MULTI-2", |view| {
        let last = view.last("good")?;
        let near = view.between(Duration::ZERO, last).len();
        let far = view.adverts_of(&view.experiment.routers[1]);
        let far = far.iter().filter(|it| it.at < last).count();
        hold(far >= 8, "silent", format!("{far} adverts where nobody else is"))?;
        hold(near == 0, "took-over", format!("{near} adverts where a better router is"))?;
        hold(view.first_after(last).is_ok(), "untried", "it never takes over")?;
        Ok(format!("Backup on one interface, {far} adverts on the other"))
    })
}

/// One VRID in both families; a better router is heard in one of them.
pub(super) fn two_families(terms: &Terms, site: Site) -> Experiment {
    let four = Router::new(site, Flavour::V3, 51);
    let six = Router::new(site, Flavour::V6, 51);
    let good = four.advert(terms, site, HIGHER, 200);
    Experiment::new("two-families", site, vec![four, six])
        .every((50, 15_000, 1_000), "good", good)
        .judge("MULTI-3", |view| {
            let last = view.last("good")?;
            let four = view.between(Duration::ZERO, last).len();
            let six = view.adverts_of(&view.experiment.routers[1]);
            let six: Vec<_> = six.iter().filter(|it| it.at < last).collect();
            hold(six.len() >= 8, "silent", format!("{} adverts in IPv6", six.len()))?;
            hold(four == 0, "took-over", format!("{four} adverts in IPv4"))?;
            hold(view.first_after(last).is_ok(), "untried", "IPv4 never takes over")?;
            Ok(format!("Backup in IPv4, {} adverts in IPv6", six.len()))
        })
        .judge("V3-7.3-VMAC6", |view| {
            let six = view.adverts_of(&view.experiment.routers[1]);
            let Some(six) = six.first() else { return untried("no advert in IPv6") };
            let four = view.first_after(Duration::ZERO)?;
            let (one, other) = (four.frame.src, six.frame.src);
            if one == other {
                return wrong("physical-mac", "both families use one MAC");
            }
            Ok("two MACs for one VRID".to_owned())
        })
}

/// Every VRID in both families on one interface; every third hears a better router.
pub(super) fn every_vrid(terms: &Terms, site: Site, most: u8) -> Experiment {
    let mut routers = Vec::new();
    for vrid in 1..=most {
        let four = vec![IpAddr::V4(Ipv4Addr::new(10, 97, vrid, 10))];
        let six = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, u16::from(vrid), 0x10);
        routers.push(Router { addresses: four, ..Router::new(site, Flavour::V3, vrid) });
        routers
            .push(Router { addresses: vec![six.into()], ..Router::new(site, Flavour::V6, vrid) });
    }
    let held = |router: &&Router| router.vrid.is_multiple_of(3);
    let good: Vec<_> =
        routers.iter().filter(held).map(|router| router.advert(terms, site, HIGHER, 200)).collect();
    let it = Experiment::new("every-vrid", site, routers);
    it.cue(
        "good",
        When::Every { from: ms(50), until: ms(9_000), period: ms(1_000) },
        Deed::Burst(good),
    )
    .judge("MULTI-1", |view| {
        let last = view.last("good")?;
        let (mut masters, mut backups) = (0, 0);
        let mut seen = std::collections::BTreeMap::new();
        for advert in view.vrrp(false) {
            let vrid = advert.octets.get(1).copied().unwrap_or_default();
            let of = seen.entry((vrid, advert.ip.src.is_ipv6())).or_insert((0, 0));
            if advert.at < last {
                of.0 += 1;
            } else {
                of.1 += 1;
            };
        }
        for router in &view.experiment.routers {
            let name = format!("{} of {}", router.vrid, router.flavour.name());
            let (early, late) =
                seen.get(&(router.vrid, router.flavour.is_v6())).copied().unwrap_or_default();
            if router.vrid.is_multiple_of(3) {
                hold(early == 0, "took-over", format!("{name} took over"))?;
                hold(late > 0, "silent", format!("{name} never takes over"))?;
                backups += 1;
            } else {
                hold(early >= 3, "silent", format!("{name} sent {early} adverts"))?;
                masters += 1;
            }
        }
        Ok(format!("{masters} Masters and {backups} Backups on one interface"))
    })
}
