//! Writes records by hand: a segment with routers on it, told in the words of a scenario.
//!
//! Time is in nanoseconds since the run began. Observations may be told in any order; the judge
//! hears them sorted by time, those of one time in the order in which they were told.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use vipd_engine::config::{Config, InstanceConfig, VirtualAddress};
use vipd_engine::{
    Event, Family, InstanceName, Interval, MacAddress, Mismatch, News, Priority, StateKind,
    Version, Vrid, Why,
};

use crate::judge::{Judge, PropertyId, PropertyReport, Verdict};
use crate::record::{
    HostId, HostSetting, LossReason, MachineChange, Observation, PacketId, ProcessChange, Recorder,
    RouterKey, Seen, SeenAdvert, SegmentId, SegmentSetting, Setting, WorldTime,
};

pub const MS: u64 = 1_000_000;
pub const SECOND: u64 = 1_000 * MS;
/// One-way delay of every advert, and `D` and `d` of the setting.
pub const DELAY: u64 = 100_000;
/// `R` of the setting.
pub const RELEASE: u64 = 2 * MS;
/// `L` of the setting.
pub const LATE: u64 = MS;
/// So long an answer may take: the address is resolved and the question answered.
pub const ANSWERED: u64 = 4 * DELAY + 2 * LATE;
/// A + D + 2L.
pub const W: u64 = SECOND + DELAY + 2 * LATE;
/// When a, with priority 200, becomes master if it hears nobody after a common start.
pub const A_MASTER: u64 = 3 * SECOND + skew(200);
/// When b, with priority 100, does.
pub const B_MASTER: u64 = 3 * SECOND + skew(100);
pub const LAN: SegmentId = SegmentId(0);
pub const CLIENT: usize = 9;

/// The first three routers are `a`, `b`, `c`; the client is host 9.
pub struct Run {
    pub setting: Setting,
    configs: Vec<InstanceConfig>,
    seen: Vec<Observation>,
    packets: u64,
}

pub fn address(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))
}

pub fn vip() -> IpAddr {
    address(100)
}

pub fn key() -> RouterKey {
    RouterKey { segment: LAN, family: Family::Ipv4, vrid: 51 }
}

/// Skew_Time at a priority in v2, in nanoseconds.
pub const fn skew(priority: u8) -> u64 {
    (256 - priority as u64) * SECOND / 256
}

impl Run {
    /// Routers with these priorities, v2 with one second, not started yet.
    pub fn new(priorities: &[i64]) -> Self {
        let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "client"];
        let host = |(index, name): (usize, &&str)| HostSetting {
            name: Arc::from(*name),
            addresses: vec![(LAN, address(index as u8 + 1))],
            interfaces: vec![(Arc::from("eth0"), LAN)],
            runs_vrrp: index < priorities.len(),
            speaks: true,
        };
        let config = |priority: &i64| {
            let vrid = Vrid::new(51).unwrap();
            let mut config = InstanceConfig::new("VI_1", Family::Ipv4, "eth0", vrid);
            config.priority = Priority::new(*priority).unwrap();
            config.addresses = vec![VirtualAddress::new(vip())];
            config
        };
        let delay = Duration::from_nanos(DELAY);
        Self {
            setting: Setting {
                hosts: names.iter().enumerate().map(host).collect(),
                segments: vec![SegmentSetting {
                    name: Arc::from("lan"),
                    min_delay: delay,
                    max_delay: delay,
                }],
                lateness: Duration::from_nanos(LATE),
                rate_error_ppb: 0,
                release: Duration::from_nanos(RELEASE),
                tolerance: Duration::ZERO,
                routes_seen: true,
                tables_seen: true,
            },
            configs: priorities.iter().map(config).collect(),
            seen: Vec::new(),
            packets: 0,
        }
    }

    /// Changes the configuration of a router, before it starts.
    pub fn with(mut self, host: usize, change: impl FnOnce(&mut InstanceConfig)) -> Self {
        change(&mut self.configs[host]);
        self
    }

    /// The same for all of them, v3 with this interval.
    pub fn version_3(mut self, interval: u64) -> Self {
        for config in &mut self.configs {
            config.version = Version::V3;
            config.interval = Interval::from_centiseconds((interval / MS / 10) as i64).unwrap();
        }
        self
    }

    /// The configuration of a router.
    pub fn config(&self, host: usize) -> InstanceConfig {
        self.configs[host].clone()
    }

    pub fn see(&mut self, at: u64, host: usize, seen: Seen) {
        let host = HostId(host as u16);
        self.seen.push(Observation { at: WorldTime(at), host, seen });
    }

    /// The process starts and the instance becomes a backup.
    pub fn start(&mut self, at: u64, host: usize) {
        self.see(at, host, Seen::Process(ProcessChange::Started));
        self.reload(at, host);
        self.state(at, host, StateKind::Initialize, StateKind::Backup);
    }

    /// The process starts, with a start-up delay: its engine says nothing before that is over.
    pub fn start_after(&mut self, at: u64, host: usize, delay: u64) {
        self.see(at, host, Seen::Process(ProcessChange::Started));
        self.configured(at, host, Duration::from_nanos(delay));
        self.state(at + delay, host, StateKind::Initialize, StateKind::Backup);
    }

    /// The process reads its configuration again.
    pub fn reload(&mut self, at: u64, host: usize) {
        self.configured(at, host, Duration::ZERO);
    }

    /// The process reads its configuration, which has this start-up delay.
    pub fn configured(&mut self, at: u64, host: usize, startup_delay: Duration) {
        let configs = vec![self.configs[host].clone()];
        let config = Config::new(configs, Vec::new(), startup_delay).unwrap();
        self.see(at, host, Seen::Configured(Arc::new(config)));
    }

    pub fn start_all(&mut self) {
        for host in 0..self.configs.len() {
            self.start(0, host);
        }
    }

    pub fn process(&mut self, at: u64, host: usize, change: ProcessChange) {
        self.see(at, host, Seen::Process(change));
    }

    pub fn machine(&mut self, at: u64, host: usize, change: MachineChange) {
        self.see(at, host, Seen::Machine(change));
    }

    pub fn news(&mut self, at: u64, host: usize, news: News) {
        let instance = InstanceName::new("VI_1");
        self.see(at, host, Seen::Engine(Event { instance, news }));
    }

    pub fn state(&mut self, at: u64, host: usize, from: StateKind, to: StateKind) {
        self.news(at, host, News::State { from, to, why: Why::Startup });
    }

    pub fn mismatch(&mut self, at: u64, host: usize, peer: usize, mismatch: Mismatch) {
        let peer = address(peer as u8 + 1);
        self.news(at, host, News::Mismatch { peer, mismatch });
    }

    /// An advert of its configured priority leaves and arrives at the other routers.
    pub fn advert(&mut self, at: u64, host: usize) {
        let priority = self.configs[host].priority.get();
        self.advert_to(at, host, priority, &self.others(host));
    }

    /// An advert that arrives at some only.
    pub fn advert_to(&mut self, at: u64, host: usize, priority: u8, to: &[usize]) {
        let advert = self.make(host, priority);
        self.see(at, host, Seen::AdvertSent(advert));
        for receiver in to {
            self.see(at + DELAY, *receiver, Seen::AdvertDelivered(advert));
        }
    }

    /// An advert that is lost on the way to everybody.
    pub fn lost(&mut self, at: u64, host: usize, priority: u8) {
        let advert = self.make(host, priority);
        self.see(at, host, Seen::AdvertSent(advert));
        for receiver in self.others(host) {
            self.see(at, receiver, Seen::AdvertLost(advert, LossReason::Lost));
        }
    }

    /// Adverts every interval from `from` on, as long as they leave before `to`.
    pub fn adverts(&mut self, from: u64, to: u64, host: usize) {
        self.adverts_to(from, to, host, &self.others(host));
    }

    /// All start, a becomes master and advertises as long as it leaves before `until`.
    pub fn a_is_master(&mut self, until: u64) {
        self.start_all();
        self.takes_over(A_MASTER, 0);
        self.adverts(A_MASTER, until, 0);
    }

    pub fn adverts_to(&mut self, from: u64, to: u64, host: usize, receivers: &[usize]) {
        let interval = self.configs[host].interval.duration().as_nanos() as u64;
        let priority = self.configs[host].priority.get();
        for at in (from..to).step_by(interval as usize) {
            self.advert_to(at, host, priority, receivers);
        }
    }

    pub fn make(&mut self, host: usize, priority: u8) -> SeenAdvert {
        self.packets += 1;
        let config = &self.configs[host];
        SeenAdvert {
            packet: PacketId(self.packets),
            router: RouterKey { vrid: config.vrid.get(), ..key() },
            sender: Some(HostId(host as u16)),
            injection: None,
            src: address(host as u8 + 1),
            dst: IpAddr::V4(vipd_engine::config::MULTICAST_GROUP_V4),
            version: config.version.number(),
            priority,
            interval: config.interval.duration(),
        }
    }

    /// Somebody puts an advert in the name of an address on the segment, which arrives then.
    pub fn forge(&mut self, at: u64, receiver: usize, name: u8, priority: u8) {
        let (sender, src) = (None, address(name));
        let advert = SeenAdvert { sender, src, ..self.make(0, priority) };
        self.see(at, receiver, Seen::AdvertDelivered(advert));
    }

    /// Becomes master, with the address, and tells everybody.
    pub fn takes_over(&mut self, at: u64, host: usize) {
        self.state(at, host, StateKind::Backup, StateKind::Master);
        self.owns(at, host, true);
    }

    /// Leaves the state Master and lets the address go.
    pub fn yields(&mut self, at: u64, host: usize) {
        self.state(at, host, StateKind::Master, StateKind::Backup);
        self.owns(at, host, false);
    }

    /// SIGTERM: priority 0, the address goes, the process ends.
    pub fn stop(&mut self, at: u64, host: usize) {
        self.process(at, host, ProcessChange::Stopping);
        self.advert_to(at, host, 0, &self.others(host));
        self.state(at, host, StateKind::Master, StateKind::Initialize);
        self.owns(at, host, false);
        self.process(at, host, ProcessChange::Stopped);
    }

    pub fn owns(&mut self, at: u64, host: usize, owns: bool) {
        self.see(at, host, Seen::Owns { segment: LAN, address: vip(), owns });
    }

    /// What passes from one host to another.
    pub fn path(&mut self, at: u64, from: usize, to: usize, open: bool) {
        let to = HostId(to as u16);
        self.see(at, from, Seen::Path { segment: LAN, to, multicast: open, unicast: open });
    }

    pub fn cut(&mut self, at: u64, a: usize, b: usize) {
        self.path(at, a, b, false);
        self.path(at, b, a, false);
    }

    pub fn heal(&mut self, at: u64, a: usize, b: usize) {
        self.path(at, a, b, true);
        self.path(at, b, a, true);
    }

    /// The neighbour cache of a host points to another one.
    pub fn neighbour(&mut self, at: u64, host: usize, points_to: usize) {
        let mac = MacAddress([2, 0, 0, 0, 0, points_to as u8]);
        let points_to = Some(HostId(points_to as u16));
        self.see(at, host, Seen::Neighbour { segment: LAN, address: vip(), mac, points_to });
    }

    /// A question that is answered at once, or given up after [`ANSWERED`].
    pub fn probe(&mut self, at: u64, answered_by: Option<usize>) {
        let told = if answered_by.is_some() { at } else { at + ANSWERED };
        self.probe_told(at, told, answered_by);
    }

    pub fn probe_told(&mut self, at: u64, told: u64, answered_by: Option<usize>) {
        let answered_by = answered_by.map(|host| HostId(host as u16));
        let sent = WorldTime(at);
        self.see(told, CLIENT, Seen::Probe { address: vip(), sent, answered_by });
    }

    /// The report on one property of a run that ends then.
    pub fn judged(mut self, id: PropertyId, end: u64) -> PropertyReport {
        self.seen.sort_by_key(|observation| observation.at);
        let mut judge = Judge::new(self.setting);
        for observation in self.seen.iter().filter(|seen| seen.at <= WorldTime(end)) {
            judge.observe(observation);
        }
        let reports = judge.finish(WorldTime(end));
        assert!(reports.iter().map(|report| report.id).eq(PropertyId::ALL));
        reports.into_iter().find(|report| report.id == id).unwrap()
    }

    /// The record so far, in order.
    pub fn take(&mut self) -> Vec<Observation> {
        self.seen.sort_by_key(|observation| observation.at);
        std::mem::take(&mut self.seen)
    }

    fn others(&self, host: usize) -> Vec<usize> {
        (0..self.configs.len()).filter(|other| *other != host).collect()
    }
}

/// Asserts that a value exactly at its bound is held, with these figures, and that a nanosecond
/// more is violated. `run` writes the record with this much added to the value.
#[track_caller]
pub fn at_the_bound(id: PropertyId, bound: u64, run: impl Fn(u64) -> PropertyReport) {
    let report = run(0);
    assert_eq!(report.verdict, Verdict::Held, "{report:?}");
    assert_eq!(report.bound, Some(Duration::from_nanos(bound)), "{id}: {report:?}");
    assert_eq!(report.worst, report.bound, "{report:?}");
    let report = run(1);
    assert_eq!(report.verdict, Verdict::Violated, "{report:?}");
    assert_eq!(report.worst, Some(Duration::from_nanos(bound + 1)), "{report:?}");
}

#[track_caller]
pub fn is(report: &PropertyReport, verdict: Verdict, reason: &str) {
    assert_eq!(report.verdict, verdict, "{report:?}");
    let text = report.reason.as_deref().unwrap_or("");
    assert!(text.contains(reason), "{report:?}");
}
