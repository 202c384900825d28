//! Every experiment of the suite, in its stage.
//!
//! **To add a row**: find the experiment whose view shows it (or write one: a function that takes
//! its [`Site`], and a line in [`catalogue`]), add `.judge("ROW-ID", |view| ...)` there, and write
//! `viplab conformance: EXPERIMENT` into the column `wire` of that row in `requirements.toml`.
//! A judge measures from the view alone. A row that is judged by an absence also wants to see the
//! same virtual router react to the good frame, or says that it was not tried.

mod alone;
mod backup;
mod master;
mod seat;
mod vectors;

use super::experiment::{Stage, ms};
use super::site::{Flavour, Terms};

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
    vec![main, injected(terms)]
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
