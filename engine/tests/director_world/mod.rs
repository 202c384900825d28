//! A world for tests of the director in an engine without virtual routers: the model of the
//! kernel's table, real servers that answer, refuse or keep silent, and a list of everything that
//! was put out.

#![allow(dead_code, reason = "each test file uses its part")]

pub mod machine;
pub mod random;

use std::hash::{DefaultHasher, Hasher};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use vipd_engine::config::director::{DirectorConfig, RealServer, Service};
use vipd_engine::config::health::{Bind, Check, CheckKind};
use vipd_engine::director::{self, DirectorOutput};
use vipd_engine::health::{Limits, ProbeCommand, ServerName};
use vipd_engine::ipvs::{IpvsCommand, OrderError, Request, ServerOrder};
use vipd_engine::{
    Config, Engine, Ifindex, Input, InterfaceName, Link, LinkState, LocalAddress, MacAddress, News,
    Output, Outputs, Timestamp,
};

pub use machine::{Behaviour, GOOD, Machine, REFUSES};

use crate::ipvs_world::{at, name, real};

pub const LOOP: Duration = Duration::from_secs(6);
pub const TIMEOUT: Duration = Duration::from_secs(5);
pub const PAUSE: Duration = Duration::from_secs(1);
const ETH0: Ifindex = Ifindex(2);
pub const NANO: Duration = Duration::from_nanos(1);

/// keepalived's `TCP_CHECK` of a real server: `connect_timeout` 5 s, `retry` 1,
/// `delay_before_retry` 1 s; with `delay_loop` 6 s and no warmup.
pub fn tcp_check(server: &str) -> Check {
    let endpoint = at(server);
    Check {
        kind: CheckKind::Tcp,
        address: endpoint.address,
        port: endpoint.port,
        bind: Bind::default(),
        timeout: TIMEOUT,
        delay_loop: LOOP,
        retry: 1,
        delay_before_retry: PAUSE,
        warmup: Duration::ZERO,
        alpha: false,
        tells_all_failures: false,
    }
}

pub fn server_name(service: Service, server: &str) -> ServerName {
    let endpoint = at(server);
    ServerName { virtual_server: name(service), address: endpoint.address, port: endpoint.port }
}

/// A real server with that check.
pub fn checked(server: &str) -> RealServer {
    with(server, tcp_check(server))
}

/// The same, which has to be good once before it is up.
pub fn alpha(server: &str) -> RealServer {
    with(server, Check { alpha: true, ..tcp_check(server) })
}

pub fn with(server: &str, check: Check) -> RealServer {
    RealServer { checks: [check.into()].into(), ..real(server) }
}

#[derive(Clone, Debug)]
pub struct World {
    pub engine: Engine,
    pub machine: Machine,
    pub now: Timestamp,
    pub log: Vec<(Timestamp, DirectorOutput)>,
}

impl World {
    pub fn new() -> Self {
        Self::of(Timestamp::from_nanos(0), Limits::default())
    }

    pub fn of(now: Timestamp, limits: Limits) -> Self {
        let mut world = Self {
            engine: Engine::with_limits(limits),
            machine: Machine::default(),
            now,
            log: Vec::new(),
        };
        world.tell(Input::Link(Link {
            interface: ETH0,
            name: InterfaceName::new("eth0"),
            mac: MacAddress([2, 0, 0, 0, 0, 1]),
            state: LinkState::Up,
        }));
        world
    }

    /// A director that has this configuration in force, with an empty log.
    pub fn with(config: &DirectorConfig) -> Self {
        let mut world = Self::new();
        world.configure(config);
        world.run(Duration::ZERO);
        world.log.clear();
        world
    }

    pub fn configure(&mut self, config: &DirectorConfig) {
        let config = Config::default().with_director(config.clone()).expect("it breaks no rule");
        self.tell(Input::Configure(Arc::new(config)));
    }

    pub fn address(&mut self, address: IpAddr, present: bool) {
        self.tell(Input::LocalAddress(LocalAddress { interface: ETH0, address, present }));
    }

    pub fn order(
        &mut self,
        service: Service,
        server: &str,
        order: ServerOrder,
    ) -> Result<(), OrderError> {
        let server = server_name(service, server);
        let result = self.engine.may_order(&server, order);
        let before = self.log.len();
        self.tell(Input::Server { server: Box::new(server), order });
        assert!(result.is_ok() || self.log.len() == before, "it was refused");
        result
    }

    pub fn stop(&mut self) {
        self.tell(Input::Shutdown);
    }

    pub fn tick(&mut self) {
        self.tell(Input::Tick);
    }

    /// What the director says of itself. There is one from the first configuration on.
    pub fn director(&self) -> director::Status<'_> {
        self.engine.status().director().expect("there is one")
    }

    pub fn set(&mut self, server: &str, behaviour: Behaviour) {
        self.machine.set(server, behaviour);
    }

    /// One input, and what the kernel and the real servers do about it.
    pub fn tell(&mut self, input: Input<'_>) {
        let mut out = Outputs::new();
        self.engine.handle(self.now, input, &mut out);
        self.engine.check_invariants();
        let out: Vec<_> = out.drain().collect();
        self.log.extend(out.iter().map(|output| (self.now, of_director(output.clone()))));
        for output in out {
            for answer in self.machine.perform(self.now, &output) {
                self.tell(answer);
            }
        }
    }

    /// The next answer or deadline, if it comes until then. Answers come first.
    pub fn step(&mut self, until: Timestamp) -> bool {
        let answer = self.machine.next_at().filter(|at| *at <= until);
        let deadline = self.engine.next_deadline().map(|deadline| deadline.at);
        let deadline = deadline.filter(|at| *at <= until);
        if let Some(at) = answer
            && deadline.is_none_or(|deadline| at <= deadline)
        {
            self.now = self.now.max(at);
            let answers = self.machine.answers();
            answers.into_iter().for_each(|answer| self.tell(answer));
        } else if let Some(at) = deadline {
            self.now = self.now.max(at);
            self.tick();
        } else {
            return false;
        }
        true
    }

    pub fn run(&mut self, time: Duration) {
        let until = self.now + time;
        let mut at_once = 0;
        while self.step(until) {
            at_once += 1;
            assert!(at_once < 1_000_000, "it has no end: {:?}", self.engine.next_deadline());
        }
        self.now = until;
    }

    /// Runs until something is put out that is meant. Returns how long that took.
    pub fn until(
        &mut self,
        limit: Duration,
        is_meant: impl Fn(&DirectorOutput) -> bool,
    ) -> Duration {
        let (since, mut seen) = (self.now, self.log.len());
        loop {
            if self.log[seen..].iter().any(|(_, output)| is_meant(output)) {
                return self.now - since;
            }
            seen = self.log.len();
            assert!(self.step(since + limit), "it took longer than {limit:?}");
        }
    }

    /// The commands since the log was last taken, with the log.
    pub fn commands(&mut self) -> Vec<IpvsCommand> {
        let commands = self.log.drain(..).flat_map(|(_, output)| match output {
            DirectorOutput::Batch(batch) => batch.commands,
            DirectorOutput::Probe(_) | DirectorOutput::Read(_) | DirectorOutput::News(_) => vec![],
        });
        commands.collect()
    }

    /// What people were told since the log was last taken, with the log.
    pub fn told(&mut self) -> Vec<String> {
        let log = self.log.drain(..);
        let news = log.filter(|(_, output)| matches!(output, DirectorOutput::News(_)));
        news.map(|(_, output)| output.to_string()).collect()
    }

    /// All lines since the log was last taken but for reads and attempts, with the log.
    pub fn lines(&mut self) -> Vec<String> {
        let log = self.log.drain(..).filter(|(_, output)| {
            !matches!(output, DirectorOutput::Read(_))
                && !matches!(output, DirectorOutput::Probe(probe)
                    if matches!(probe.command, ProbeCommand::Start { .. }))
        });
        log.flat_map(|(_, one)| one.to_string().lines().map(str::to_string).collect::<Vec<_>>())
            .collect()
    }

    /// Destinations with their weights, as the kernel has them.
    pub fn weights(&self, service: Service) -> Vec<(String, u32)> {
        let (_, destinations) =
            self.machine.kernel.table.get(&service).expect("the service is there");
        destinations.iter().map(|(endpoint, spec)| (endpoint.to_string(), spec.weight)).collect()
    }

    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.engine.fingerprint(self.now, &mut hasher);
        hasher.finish()
    }
}

/// What the engine put out: there is nothing but a director in it.
fn of_director(output: Output) -> DirectorOutput {
    match output {
        Output::Probe(probe) => DirectorOutput::Probe(probe),
        Output::Ipvs(Request::Batch(batch)) => DirectorOutput::Batch(batch),
        Output::Ipvs(Request::Read(read)) => DirectorOutput::Read(read),
        Output::Notify(event) => match event.news {
            News::Director(news) => DirectorOutput::News(*news),
            other => panic!("{other}"),
        },
        Output::Send { .. } | Output::Kernel { .. } => panic!("{output}"),
    }
}

/// Whether it takes this real server out of the table.
pub fn removes(output: &DirectorOutput, server: &str) -> bool {
    let server = at(server);
    commands(output).iter().any(|command| {
        matches!(command, IpvsCommand::RemoveDestination { endpoint, .. } if *endpoint == server)
    })
}

/// Whether it puts this real server into the table.
pub fn adds(output: &DirectorOutput, server: &str) -> bool {
    let server = at(server);
    commands(output).iter().any(|command| {
        matches!(command, IpvsCommand::AddDestination { endpoint, .. } if *endpoint == server)
    })
}

fn commands(output: &DirectorOutput) -> &[IpvsCommand] {
    match output {
        DirectorOutput::Batch(batch) => &batch.commands,
        DirectorOutput::Probe(_) | DirectorOutput::Read(_) | DirectorOutput::News(_) => &[],
    }
}
