//! The golden, malformed and edge-case adverts of `fixtures/vectors.json`, the receiver that each
//! of them supposes, and what "discarded" and "processed" mean there. Expected times are computed
//! here from the RFC, not by the engine.

#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use vipd_engine::config::{Peer, Transport, VirtualAddress};
use vipd_engine::rules::ChecksumForm;
use vipd_engine::{
    DropReason, Engine, Family, InstanceConfig, Interval, LinkState, Output, Password, Profile,
    Rules, StateKind, Timestamp, Version, Vrid,
};

use crate::driver::{Answer, Driver, ip, priority};

pub const RECEIVER_V4: &str = "192.0.2.1";
pub const RECEIVER_V6: &str = "fe80::1";
/// When the receiver hears the vector: its down timer has run for a while.
pub const HEARD_AT: Timestamp = Timestamp::from_nanos(1_000_000_000);

#[derive(Deserialize)]
pub struct Vector {
    pub name: String,
    pub src: String,
    pub dst: String,
    pub ttl: u8,
    pub ip_proto: u8,
    pub checksum_mode: serde_json::Value,
    pub hex_vrrp_payload: String,
    pub fields: Fields,
    pub receiver: Receiver,
    pub valid: bool,
    /// What it shows, or what is wrong with it.
    pub reason: String,
    pub expect: String,
    /// RFC and section.
    pub rfc: String,
    pub rfc_verdict: String,
    #[serde(default)]
    pub valid_under: Vec<String>,
    pub discard_reason: Option<String>,
    /// Profile to `process` or the name of the first [`DropReason`].
    pub under: BTreeMap<String, String>,
    /// What deployed routers did with it.
    #[serde(default)]
    pub observed: BTreeMap<String, String>,
}

#[derive(Deserialize)]
pub struct Fields {
    pub version: u8,
    pub vrid: u8,
    pub priority: u8,
    pub count: u8,
    pub addresses: Vec<String>,
    pub auth_type: Option<u8>,
    pub adver_int_s: Option<u16>,
    pub auth_data_hex: Option<String>,
    pub max_adver_int_cs: Option<u16>,
}

#[derive(Deserialize)]
pub struct Receiver {
    pub version: u8,
    pub vrid: u8,
    pub priority: u8,
    pub addresses: Vec<String>,
    pub adver_int_s: Option<u16>,
    pub adver_int_cs: Option<u16>,
    pub auth_password: Option<String>,
    #[serde(default)]
    pub unicast: bool,
}

pub fn vectors() -> Vec<Vector> {
    serde_json::from_str(include_str!("../fixtures/vectors.json")).unwrap()
}

pub fn vector(name: &str) -> Vector {
    vectors().into_iter().find(|vector| vector.name == name).expect("a vector of this name")
}

pub fn octets(hex: &str) -> Vec<u8> {
    let octet = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(octet).collect()
}

impl Vector {
    pub fn bytes(&self) -> Vec<u8> {
        octets(&self.hex_vrrp_payload)
    }

    pub fn family(&self) -> Family {
        Family::of(ip(&self.src))
    }

    pub fn form(&self) -> ChecksumForm {
        match self.checksum_mode.as_str() {
            Some("plain") => ChecksumForm::MessageOnly,
            _ => ChecksumForm::PseudoHeader,
        }
    }

    pub fn config(&self, profile: Profile) -> InstanceConfig {
        let receiver = &self.receiver;
        let vrid = Vrid::new(i64::from(receiver.vrid)).unwrap();
        let mut config = InstanceConfig::new("VI_1", self.family(), "eth0", vrid);
        config.rules = Rules::of(profile);
        config.priority = priority(i64::from(receiver.priority));
        config.addresses =
            receiver.addresses.iter().map(|address| VirtualAddress::new(ip(address))).collect();
        config.password =
            receiver.auth_password.as_ref().map(|text| Password::new(text.as_bytes()).unwrap());
        (config.version, config.interval) = match receiver.version {
            2 => {
                let seconds = receiver.adver_int_s.expect("an interval");
                (Version::V2, Interval::from_seconds(i64::from(seconds)).unwrap())
            }
            3 => {
                let centiseconds = receiver.adver_int_cs.expect("an interval");
                (Version::V3, Interval::from_centiseconds(i64::from(centiseconds)).unwrap())
            }
            other => panic!("version {other}"),
        };
        if receiver.unicast {
            config.transport = Transport::Unicast {
                source: Some(ip(RECEIVER_V4)),
                peers: vec![Peer::new(ip(&self.src))],
                ttl: 255,
            };
        }
        config
    }

    /// When a receiver that processes it takes over, by RFC 3768 and RFC 9568 section 6.1.
    pub fn down_at(&self) -> Timestamp {
        let below_owner = 256 - u64::from(self.receiver.priority);
        let (interval, skew) = match self.receiver.version {
            2 => {
                let interval = u64::from(self.receiver.adver_int_s.unwrap()) * 1_000_000_000;
                (interval, below_owner * 1_000_000_000 / 256)
            }
            _ => {
                let interval = u64::from(self.fields.max_adver_int_cs.unwrap()) * 10_000_000;
                (interval, below_owner * interval / 256)
            }
        };
        let silence = if self.fields.priority == 0 { skew } else { 3 * interval + skew };
        HEARD_AT + Duration::from_nanos(silence)
    }

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
        Output::Send { .. } | Output::Kernel { .. } => None,
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
