//! Every experiment of the suite, in its stage.
//!
//! **To add a row**: find the experiment whose view shows it (or write one: a function that takes
//! its [`Site`], and a line in [`catalogue`]), add `.judge("ROW-ID", |view| ...)` there, and write
//! `viplab conformance: EXPERIMENT` into the column `wire` of that row in `requirements.toml`.
//! A judge measures from the view alone. A row that is judged by an absence also wants to see the
//! same virtual router react to the good frame, or says that it was not tried.

mod alone;
mod backup;
mod conditions;
mod lives;
mod master;
mod neighbours;
mod owner;
mod receive;
mod seat;
mod several;
mod vectors;

use super::experiment::{Stage, ms};
use super::octets::Sum;
use super::site::{Flavour, Terms};
use crate::node::Kind;

/// Every stage.
pub(super) fn catalogue(terms: &Terms) -> Vec<Stage> {
    let mut main = Stage::new("steady", 0, ms(26_000));
    for flavour in Flavour::ALL {
        main.add(|site| alone::alone(terms, site, flavour));
        main.add(|site| alone::fast(terms, site, flavour));
        main.add(|site| seat::seat(terms, site, flavour));
        main.add(|site| seat::accept(terms, site, flavour, false));
        for priority in [1, 100, 254] {
            main.add(|site| backup::silence(terms, site, flavour, priority));
        }
        main.add(|site| backup::resigned_twice(terms, site, flavour));
        main.add(|site| backup::equal(terms, site, flavour));
        main.add(|site| backup::no_preempt(terms, site, flavour));
        main.add(|site| backup::lower(terms, site, flavour));
        main.add(|site| backup::spoofed(terms, site, flavour));
        main.add(|site| seat::below(terms, site, flavour));
        main.add(|site| master::lesser(terms, site, flavour));
        main.add(|site| master::tie(terms, site, flavour));
        main.add(|site| master::higher(terms, site, flavour));
        main.add(|site| master::provoked(terms, site, flavour));
    }
    for flavour in [Flavour::V3, Flavour::V6] {
        main.add(|site| seat::accept(terms, site, flavour, true));
        main.add(|site| backup::learn(terms, site, flavour));
        main.add(|site| backup::own_interval(terms, site, flavour));
        main.add(|site| backup::reserved(terms, site, flavour));
    }
    main.add(|site| backup::slow(terms, site));
    for (name, own, other, greater) in [
        ("ipv6-greater", "fe80::7fff", "fe80::8000", true),
        ("ipv6-lesser", "fe80::8000", "fe80::7fff", false),
        ("class-c", "10.99.250.1", "192.0.2.1", true),
        ("sign", "100.64.9.1", "200.0.0.1", true),
    ] {
        main.add(|site| master::compared(terms, site, name, own, other, greater));
    }
    special(terms, &mut main);
    neighbours(terms, &mut main);
    let mut many = Stage::new("many", 2, ms(13_500));
    let most = match terms.target {
        // The making of 510 interfaces would take longer than the experiment.
        Kind::Vipd if terms.virtual_mac() => 60,
        Kind::Vipd => 255,
        // As many as they are known to serve at once.
        Kind::Keepalived | Kind::Frr => 24,
    };
    many.add(|site| several::every_vrid(terms, site, most));
    let lives = [lives::reload(terms, 0), lives::crash(terms, 0), injected(terms)];
    let mut stages = vec![main];
    stages.extend(lives);
    stages.extend(lives::refused(terms, 1));
    stages.extend([lives::flood(terms, 2), many]);
    stages
}

/// Owners, unusual packets, interfaces that lack something.
fn special(terms: &Terms, main: &mut Stage) {
    for flavour in Flavour::ALL {
        main.add(|site| owner::owner(terms, site, flavour, None));
        main.add(|site| owner::owner(terms, site, flavour, Some("BACKUP")));
        main.add(|site| owner::preempts(terms, site, flavour));
        main.add(|site| owner::two(terms, site, flavour));
        main.add(|site| receive::variants(terms, site, flavour, "X-DSCP"));
        main.add(|site| receive::elsewhere(terms, site, flavour));
        main.add(|site| conditions::no_carrier(terms, site, flavour));
        main.add(|site| conditions::unplugged(terms, site, flavour));
    }
    main.add(|site| owner::one_link_local(terms, site));
    for flavour in [Flavour::V2, Flavour::V3] {
        for row in ["X-DF", "X-IPOPT", "X-7.1-ETHPAD"] {
            main.add(|site| receive::variants(terms, site, flavour, row));
        }
    }
    for sum in [Sum::Message, Sum::Pseudo] {
        main.add(|site| receive::sums(terms, site, sum));
    }
    for word in ["s3cr3t", "s3cr3tpw"] {
        main.add(|site| receive::password(terms, site, word));
    }
    for flavour in [Flavour::V3, Flavour::V6] {
        main.add(|site| receive::slow_better(terms, site, flavour));
    }
    main.add(|site| conditions::no_address(terms, site));
    main.add(|site| conditions::no_link_local(terms, site));
    main.add(|site| several::two_links(terms, site));
    main.add(|site| several::two_families(terms, site));
}

/// What hosts are told, and what the kernel has.
fn neighbours(terms: &Terms, main: &mut Stage) {
    main.add(|site| neighbours::kernel(terms, site));
    main.add(|site| neighbours::resolves(terms, site));
    main.add(|site| neighbours::proxy(terms, site));
    main.add(|site| neighbours::foreign(terms, site));
    main.add(|site| neighbours::moved(terms, site));
    main.add(|site| neighbours::stranger(terms, site, Flavour::V3));
    for flavour in [Flavour::V3, Flavour::V6] {
        main.add(|site| neighbours::in_order(terms, site, flavour));
        main.add(|site| neighbours::redirect(terms, site, flavour));
    }
}

/// A Backup per vector.
fn injected(terms: &Terms) -> Stage {
    let mut stage = Stage::new("vectors", 1, ms(14_000));
    for vector in vectors::vectors(terms) {
        stage.add(|site| vectors::experiment(terms, site, &vector));
        if let Some(vector) = vector.resummed(terms) {
            stage.add(|site| vectors::experiment(terms, site, &vector));
        }
    }
    stage
}
