//! The simulator's model of the IPVS table beside a real kernel: the same random histories, and the
//! same real server is picked.

mod history;
mod kernel;
mod octets;

use std::net::{IpAddr, SocketAddr};
use std::thread::sleep;
use std::time::{Duration, Instant};

use vipd_engine::Family;
use vipd_engine::config::director::{
    Forwarding, Persistence, Protocol, Scheduler, Scheduling, Service, Timeouts,
};
use vipd_engine::ipvs::IpvsCommand;
use vipd_sim::ipvs::Settings;

use history::{Case, History, SERVERS};
use kernel::Kernel;

/// New connections of each history, unless told otherwise.
const SHORT: u32 = 60;
/// How many else.
const PICKS: &str = "IPVS_PICKS";
/// The seed of all histories; 1 unless told otherwise.
const SEED: &str = "IPVS_SEED";

/// A part of the names of those that are played; all unless told otherwise.
const ONLY: &str = "IPVS_ONLY";
/// Every history has a mark of its own, from 1.
const MARKS: u8 = 64;

fn number(variable: &str, otherwise: u64) -> u64 {
    let given = std::env::var(variable).ok();
    given.map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{variable}: {text}")))
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// TCP with NAT to one address.
fn plain(scheduler: Scheduler) -> Case {
    let target: SocketAddr = "10.20.0.1:80".parse().expect("an address and port");
    Case {
        name: scheduler.name().to_string(),
        service: Service::Address { address: target.ip(), port: 80, protocol: Protocol::Tcp },
        scheduling: Scheduling { scheduler, flags: 0, hashed: false, one_packet: false },
        persistence: None,
        settings: Settings::default(),
        forwarding: Forwarding::Nat,
        weights: 5,
        has_thresholds: true,
        targets: vec![target],
        networks: 20,
    }
}

fn named(case: Case, what: &str) -> Case {
    Case { name: format!("{} {what}", case.name), ..case }
}

fn with_flags(scheduler: Scheduler, flags: u8, what: &str) -> Case {
    let case = named(plain(scheduler), what);
    Case { scheduling: Scheduling { flags, ..case.scheduling }, ..case }
}

/// Over IPv6.
fn v6(case: Case) -> Case {
    let target: SocketAddr = "[fd00:20::1]:80".parse().expect("an address and port");
    let protocol = Protocol::Tcp;
    let service = Service::Address { address: target.ip(), port: 80, protocol };
    Case { service, targets: vec![target], ..named(case, "inet6") }
}

/// By a mark of the firewall, to many addresses and ports.
fn marked(case: Case) -> Case {
    let addresses = (1..=24).map(|last| IpAddr::from([10, 20, 1, last]));
    let targets = addresses.flat_map(|one| [80, 443].map(|port| SocketAddr::new(one, port)));
    let service = Service::Fwmark { mark: 1, family: Family::Ipv4 };
    Case { service, targets: targets.collect(), ..named(case, "fwmark") }
}

fn marked_v6(case: Case) -> Case {
    let addresses = (1..=24).map(|last| IpAddr::from([0xfd00, 0x20, 0, 0, 7, 0, 0, last]));
    let targets = addresses.map(|one| SocketAddr::new(one, 80));
    let service = Service::Fwmark { mark: 1, family: Family::Ipv6 };
    Case { service, targets: targets.collect(), ..named(case, "fwmark inet6") }
}

fn udp(case: Case) -> Case {
    let Service::Address { address, port, .. } = case.service else { panic!("{case:?}") };
    let service = Service::Address { address, port, protocol: Protocol::Udp };
    Case { service, ..named(case, "udp") }
}

fn one_packet(case: Case) -> Case {
    let case = named(udp(case), "ops");
    Case { scheduling: Scheduling { one_packet: true, ..case.scheduling }, ..case }
}

fn persistent(case: Case, prefix_len: u8) -> Case {
    let persistence = Persistence { timeout: Duration::from_secs(300), prefix_len, engine: None };
    let case = named(case, &format!("persistent /{prefix_len}"));
    Case { persistence: Some(persistence), ..case }
}

/// A service of every port.
fn any_port(case: Case) -> Case {
    let address = address("10.20.0.2");
    let service = Service::Address { address, port: 0, protocol: Protocol::Tcp };
    let targets = [21, 80, 443, 8080].map(|port| SocketAddr::new(address, port)).to_vec();
    Case { service, targets, ..named(case, "any port") }
}

fn routed(case: Case) -> Case {
    Case { forwarding: Forwarding::DirectRouting, ..named(case, "DR") }
}

fn heavy(case: Case, weights: u32) -> Case {
    Case { weights, ..named(case, &format!("weights to {weights}")) }
}

fn set(case: Case, settings: Settings, what: &str) -> Case {
    Case { settings, ..named(case, what) }
}

/// Every scheduler by itself, and what only some of them look at.
fn cases_of_schedulers() -> Vec<Case> {
    use Scheduler::{Dh, Fo, Lblc, Lblcr, Lc, Mh, Nq, Ovf, Rr, Sed, Sh, Wlc, Wrr};
    let all = Scheduler::NAMES.into_iter().map(|(_, scheduler)| scheduler);
    let all = all.filter(|scheduler| *scheduler != Scheduler::Twos);
    let (fallback, port) = (1, 2);
    // It fills up, and would refuse nearly everything for good.
    let roomy = |scheduler| match scheduler {
        Ovf => heavy(plain(Ovf), 60),
        _ => plain(scheduler),
    };
    all.map(roomy)
        .chain([
            with_flags(Sh, fallback, "sh-fallback"),
            with_flags(Sh, port, "sh-port"),
            with_flags(Sh, fallback | port, "sh-fallback sh-port"),
            with_flags(Mh, fallback, "mh-fallback"),
            with_flags(Mh, port, "mh-port"),
            with_flags(Mh, fallback | port, "mh-fallback mh-port"),
            heavy(plain(Wrr), 60),
            heavy(plain(Sh), 300),
            heavy(plain(Mh), 1000),
            heavy(plain(Wlc), 65_535),
            heavy(plain(Ovf), 20),
            heavy(plain(Fo), 3),
            marked(plain(Dh)),
            marked(plain(Lblc)),
            marked(plain(Lblcr)),
            marked(plain(Rr)),
            marked_v6(plain(Dh)),
            marked_v6(plain(Lblc)),
            marked_v6(plain(Lblcr)),
            v6(plain(Rr)),
            v6(plain(Sh)),
            v6(with_flags(Mh, fallback | port, "mh-fallback mh-port")),
            routed(plain(Wlc)),
            routed(plain(Sed)),
            routed(plain(Nq)),
            routed(plain(Lc)),
            udp(plain(Wlc)),
            udp(plain(Lc)),
            udp(plain(Wrr)),
        ])
        .collect()
}

/// Flags and persistence.
fn cases_of_services() -> Vec<Case> {
    use Scheduler::{Lc, Mh, Rr, Sh, Wlc, Wrr};
    let usual = Settings::default();
    let quiescent = Settings { expire_quiescent_template: true, ..usual };
    let nodest = Settings { expire_nodest_conn: true, ..usual };
    let no_reuse = Settings { conn_reuse_mode: false, ..usual };
    vec![
        one_packet(plain(Rr)),
        one_packet(plain(Wlc)),
        persistent(plain(Rr), 32),
        persistent(plain(Wlc), 24),
        persistent(plain(Wrr), 30),
        persistent(plain(Sh), 16),
        persistent(udp(plain(Rr)), 28),
        persistent(one_packet(plain(Wrr)), 28),
        persistent(v6(plain(Wlc)), 64),
        persistent(v6(plain(Rr)), 125),
        persistent(marked(plain(Rr)), 32),
        persistent(marked_v6(plain(Wrr)), 128),
        persistent(any_port(plain(Rr)), 30),
        persistent(routed(any_port(plain(Lc))), 32),
        persistent(set(plain(Wlc), quiescent, "expire_quiescent_template"), 30),
        persistent(set(plain(Wlc), nodest, "expire_nodest_conn"), 30),
        set(plain(Rr), nodest, "expire_nodest_conn"),
        set(plain(Wlc), nodest, "expire_nodest_conn"),
        set(plain(Mh), no_reuse, "without conn_reuse_mode"),
    ]
}

/// The same at a place of its own: connections outlive their service.
fn placed(place: usize, case: Case) -> Case {
    let place = u8::try_from(1 + place).expect("few histories");
    let moved = |address: IpAddr| match address {
        IpAddr::V4(address) => {
            let [first, second, _, last] = address.octets();
            IpAddr::from([first, second, place, last])
        }
        IpAddr::V6(address) => {
            let mut parts = address.segments();
            parts[6] = u16::from(place);
            IpAddr::from(parts)
        }
    };
    let service = match case.service {
        Service::Fwmark { family, .. } => Service::Fwmark { mark: u32::from(place), family },
        Service::Address { address, port, protocol } => {
            Service::Address { address: moved(address), port, protocol }
        }
    };
    let targets = case.targets.iter();
    let targets = targets.map(|target| SocketAddr::new(moved(target.ip()), target.port()));
    Case { service, targets: targets.collect(), ..case }
}

/// Connections and persistence end when their time is over, and a template not before its last
/// connection.
fn time_limits_are_the_same(kernel: &mut Kernel, is_long: bool) -> Result<(), String> {
    let seconds = Duration::from_secs;
    let case = placed(usize::from(MARKS), persistent(udp(plain(Scheduler::Rr)), 32));
    let persistence = case.persistence.map(|one| Persistence { timeout: seconds(1), ..one });
    let case = Case { persistence, has_thresholds: false, ..case };
    let mut history = History::new(&case, kernel, 1);
    history.begin()?;
    let udp = |seconds| Timeouts { udp: Some(seconds), ..Timeouts::default() };
    // Times far from those at which something ends. The last one shows that a template that had to
    // wait keeps its new time limit of a minute.
    let steps = [(1, &[5, 14][..]), (2, &[14]), (1, &[5, 24])];
    let shown = if is_long { &steps[..] } else { &steps[..2] };
    for (limit, times) in shown {
        history.order(&IpvsCommand::SetTimeouts(udp(seconds(*limit))))?;
        history.connect()?;
        let began = Instant::now();
        for tenths in *times {
            let at = Duration::from_millis(100 * tenths);
            sleep(at.saturating_sub(began.elapsed()));
            let result = history.compare_loads();
            result.map_err(|what| format!("{at:?} after a connection of {limit} s: {what}"))?;
        }
    }
    history.order(&IpvsCommand::SetTimeouts(udp(seconds(300))))
}

/// Plays all of it in the namespace of this thread.
pub fn model_and_kernel_pick_the_same() {
    let picks = u32::try_from(number(PICKS, u64::from(SHORT))).expect("a number");
    let seed = number(SEED, 1);
    let mut kernel = Kernel::new(SERVERS, MARKS);
    eprintln!("skipped: twos draws, so no two histories need be the same");
    let (mut played, mut refusals, mut wrong) = (0, 0, Vec::new());
    let began = Instant::now();
    let cases = cases_of_schedulers().into_iter().chain(cases_of_services());
    let only = std::env::var(ONLY).unwrap_or_default();
    for (place, case) in cases.enumerate().filter(|(_, case)| case.name.contains(&only)) {
        let case = placed(place, case);
        if kernel.lacks(&case) {
            eprintln!("skipped: {}: this kernel has no such scheduler", case.name);
            continue;
        }
        let mut history = History::new(&case, &mut kernel, seed);
        wrong.extend(history.play(picks).err());
        played += history.picks;
        refusals += history.refusals;
    }
    wrong.extend(time_limits_are_the_same(&mut kernel, picks > SHORT).err());
    println!("{played} picks and {refusals} refusals in {:?}", began.elapsed());
    let count = wrong.len();
    assert!(wrong.is_empty(), "{count} histories differ:\n{}", wrong.join("\n\n"));
}
