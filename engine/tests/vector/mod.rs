//! What "discarded" and "processed" mean for the adverts of `fixtures/vectors.rs` at one engine.

#![allow(dead_code, reason = "each test file uses its part")]

#[path = "../fixtures/vectors.rs"]
mod fixture;

use vipd_engine::{DropReason, Engine, InstanceConfig, LinkState, Output, StateKind, Timestamp};

pub use fixture::*;

use crate::driver::{Answer, Driver, ip};

impl Vector {
    pub fn deliver(&self, driver: &mut Driver) {
        driver.hear_bytes(&self.src, ip(&self.dst), self.ttl, &self.bytes());
    }
}

/// A backup that has not heard anything yet, at [`HEARD_AT`].
pub fn backup(config: InstanceConfig) -> Driver {
    let mut driver = Driver {
        engine: Engine::new(),
        now: Timestamp::ZERO,
        log: Vec::new(),
        kernel: Answer::Ok,
        wire: Answer::Ok,
    };
    driver.link(LinkState::Up);
    driver.address(RECEIVER_V4, true);
    driver.address(RECEIVER_V6, true);
    driver.configure(vec![config], vec![]);
    driver.run_until(HEARD_AT);
    assert_eq!(driver.state(), StateKind::Backup);
    driver.log.clear();
    driver
}

pub fn received(driver: &Driver) -> u64 {
    driver.engine.status().instances().map(|instance| instance.counters().received).sum()
}

pub fn all_drops(driver: &Driver) -> Vec<(DropReason, u64)> {
    let counts = DropReason::ALL.into_iter().map(|reason| (reason, driver.drops(reason)));
    counts.filter(|(_, count)| *count > 0).collect()
}

pub fn mismatches(driver: &Driver) -> Vec<String> {
    let news = driver.log.iter().filter_map(|(_, output)| match output {
        Output::Notify(event) => Some(event.news.to_string()),
        Output::Send { .. } | Output::Kernel { .. } | Output::Probe(_) | Output::Ipvs(_) => None,
    });
    news.collect()
}

/// What the receiver does with the vector: `process`, or the reason of its one drop. Whatever else
/// it does, such as a drop that moves the down timer, is told as it is.
pub fn hear(vector: &Vector, config: InstanceConfig) -> (String, Driver) {
    let mut driver = backup(config);
    let before = driver.deadline();
    vector.deliver(&mut driver);
    let is_backup = driver.state() == StateKind::Backup;
    let (received, drops, deadline) = (received(&driver), all_drops(&driver), driver.deadline());
    let verdict = match (received, &drops[..]) {
        (0, [(reason, 1)]) if is_backup && deadline == before => reason.name().to_string(),
        (1, []) if is_backup && deadline == Some(vector.down_at()) => "process".to_string(),
        _ => format!("{received} received, {drops:?}, {:?} {deadline:?}", driver.state()),
    };
    (verdict, driver)
}

pub fn assert_discarded(vector: &Vector, config: InstanceConfig, reason: DropReason) -> Driver {
    let (verdict, driver) = hear(vector, config);
    assert_eq!(verdict, reason.name(), "{}", vector.name);
    driver
}

pub fn assert_processed(vector: &Vector, config: InstanceConfig) -> Driver {
    let (verdict, mut driver) = hear(vector, config);
    assert_eq!(verdict, "process", "{}", vector.name);
    driver.run_until(vector.down_at());
    assert_eq!(driver.state(), StateKind::Master, "{}", vector.name);
    driver
}
