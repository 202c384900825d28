//! 80,000 real servers beside a virtual router: no call does more than a portion of their work, so
//! that no advert is late because of them.

mod director_world;
mod ipvs_world;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use director_world::{Machine, with};
use ipvs_world::{at, tcp, virtual_server};
use vipd_engine::config::VirtualAddress;
use vipd_engine::config::director::{DirectorConfig, RealServer, VirtualServer};
use vipd_engine::config::health::Check;
use vipd_engine::ipvs::Request;
use vipd_engine::{
    Config, Engine, Family, Frame, Ifindex, Input, InstanceConfig, InterfaceName, Link, LinkState,
    LocalAddress, MacAddress, Output, Outputs, Priority, Timestamp, Vrid,
};

const POOLS: u32 = 800;
const SERVERS: u32 = 100;
/// Most that one call asks for and tells, each command of a batch counted: a portion of each part.
const MOST: usize = 256;
const SECOND: Duration = Duration::from_secs(1);

fn director() -> DirectorConfig {
    let pool = |pool: u32| {
        let server = |server: u32| -> RealServer {
            let number = pool * SERVERS + server;
            let address = Ipv4Addr::from(0x0a40_0000 + number);
            let text = format!("{address}:80");
            let check = Check { warmup: SECOND * 6, ..director_world::tcp_check(&text) };
            with(&text, check)
        };
        let real_servers = (0..SERVERS).map(server).collect();
        let service = tcp(&format!("10.0.{}.{}:80", pool / 200, pool % 200));
        VirtualServer { real_servers, ..virtual_server(service, &[]) }
    };
    ipvs_world::config(&(0..POOLS).map(pool).collect::<Vec<_>>())
}

fn owner() -> InstanceConfig {
    let mut config =
        InstanceConfig::new("VI_1", Family::Ipv4, "eth0", Vrid::new(51).expect("a VRID"));
    config.priority = Priority::OWNER;
    config.addresses = vec![VirtualAddress::new(at("10.0.0.0:80").address)];
    config
}

/// An engine, and a machine on which whatever an engine puts out takes some time.
struct World {
    engine: Engine,
    machine: Machine,
    now: Timestamp,
    /// The most that one call put out.
    most: usize,
    /// When adverts left.
    adverts: Vec<Timestamp>,
}

impl World {
    /// What each of it takes: more than a real machine.
    const EACH: Duration = Duration::from_micros(10);

    fn tell(&mut self, input: Input<'_>) {
        let mut out = Outputs::new();
        self.engine.handle(self.now, input, &mut out);
        self.most = self.most.max(out.as_slice().iter().map(size).sum());
        let out: Vec<_> = out.drain().collect();
        for output in &out {
            if let Output::Send { frame: Frame::Advert(_), .. } = output {
                self.adverts.push(self.now);
            }
        }
        for output in &out {
            self.now = self.now + Self::EACH * size(output) as u32;
            if let Output::Send { id, .. } | Output::Kernel { id, .. } = output {
                self.tell(Input::Done { id: *id, result: Ok(()) });
            }
            for answer in self.machine.perform(self.now, output) {
                self.tell(answer);
            }
        }
    }

    /// Timers before answers: there are always some of the latter.
    fn run_until(&mut self, until: Timestamp) {
        while self.now < until {
            let due = self.engine.next_deadline().map(|due| due.at);
            let answer = self.machine.next_at();
            if let Some(at) = due.filter(|at| *at <= self.now || answer.is_none_or(|it| *at < it)) {
                self.now = self.now.max(at);
                self.tell(Input::Tick);
            } else if let Some(at) = answer {
                self.now = self.now.max(at);
                let answer = self.machine.answers();
                answer.into_iter().for_each(|answer| self.tell(answer));
            } else {
                return;
            }
        }
    }
}

fn size(output: &Output) -> usize {
    match output {
        Output::Ipvs(Request::Batch(batch)) => batch.commands.len(),
        Output::Ipvs(Request::Read(read)) => read.services.len().max(1),
        Output::Send { .. } | Output::Kernel { .. } | Output::Notify(_) | Output::Probe(_) => 1,
    }
}

#[test]
fn no_call_does_more_than_a_portion_and_no_advert_waits_for_more() {
    let mut world = World {
        engine: Engine::new(),
        machine: Machine::default(),
        now: Timestamp::ZERO,
        most: 0,
        adverts: Vec::new(),
    };
    world.tell(Input::Link(Link {
        interface: Ifindex(2),
        name: InterfaceName::new("eth0"),
        mac: MacAddress([2, 0, 0, 0, 0, 1]),
        state: LinkState::Up,
    }));
    for address in [IpAddr::from([10, 0, 99, 1]), at("10.0.0.0:80").address] {
        let report = LocalAddress { interface: Ifindex(2), address, present: true };
        world.tell(Input::LocalAddress(report));
    }
    let config = Config::new(vec![owner()], vec![], Duration::ZERO).expect("valid");
    let config = config.with_director(director()).expect("valid");
    world.tell(Input::Configure(Arc::new(config.clone())));
    world.run_until(Timestamp::ZERO + SECOND * 4);
    // A reload and a stop are no other than a start.
    world.tell(Input::Configure(Arc::new(config)));
    world.run_until(Timestamp::ZERO + SECOND * 6);
    let destinations = world.machine.kernel.table.values().map(|(_, there)| there.len());
    assert_eq!(destinations.sum::<usize>(), (POOLS * SERVERS) as usize, "all are in the table");
    world.tell(Input::Shutdown);
    world.run_until(Timestamp::ZERO + SECOND * 8);
    assert!(world.machine.kernel.table.is_empty() && !world.engine.status().is_releasing());
    assert!(world.most <= MOST, "{} at once", world.most);
    // It is late by what one call caused at most, and never because of what is left to do.
    let mut late = Duration::ZERO;
    for (number, at) in (0..).zip(&world.adverts[..7]) {
        late = late.max(*at - (world.adverts[0] + SECOND * number));
    }
    assert!(late <= World::EACH * (MOST as u32 + 1), "{late:?} late");
    assert_eq!(world.adverts.len(), 7, "and one that resigns");
}
