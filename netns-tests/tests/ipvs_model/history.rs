//! One random history of table changes and packets, played to the model and to a real kernel.

use std::net::{IpAddr, SocketAddr};
use std::thread::sleep;
use std::time::{Duration, Instant};

use vipd_engine::Timestamp;
use vipd_engine::config::director::{Forwarding, Persistence, Protocol, Scheduling, Service};
use vipd_engine::ipvs::{DestinationSpec, Endpoint, IpvsCommand, ServiceSpec};
use vipd_sim::ipvs::{Flow, Segment, Settings, Table, Verdict};
use vipd_sim::random::Random;

use super::kernel::{Kernel, server_address, server_mac};

/// Real servers that a history has at most.
pub const SERVERS: u8 = 9;
/// Lines that are shown of a history that came to a difference.
const SHOWN: usize = 40;
/// The kernel ends a connection that it gave up by its next tick.
const TICKS: Duration = Duration::from_millis(50);

/// What a history is about.
#[derive(Clone, Debug)]
pub struct Case {
    pub name: String,
    pub service: Service,
    pub scheduling: Scheduling,
    pub persistence: Option<Persistence>,
    pub settings: Settings,
    pub forwarding: Forwarding,
    /// The greatest weight.
    pub weights: u32,
    pub has_thresholds: bool,
    /// Addresses and ports that clients speak to.
    pub targets: Vec<SocketAddr>,
    /// Networks of clients, with 16 clients each.
    pub networks: u8,
}

pub struct History<'a> {
    case: &'a Case,
    kernel: &'a mut Kernel,
    table: Table,
    random: Random,
    began: Instant,
    flows: Vec<(Flow, SocketAddr)>,
    ports: u16,
    log: Vec<String>,
    /// New connections that went to a real server.
    pub picks: u32,
    /// New connections that went to none.
    pub refusals: u32,
}

impl Case {
    fn is_v6(&self) -> bool {
        self.service.family() == vipd_engine::Family::Ipv6
    }

    fn is_datagrams(&self) -> bool {
        matches!(self.service, Service::Address { protocol: Protocol::Udp, .. })
    }

    pub fn spec(&self) -> ServiceSpec {
        ServiceSpec { scheduling: self.scheduling, persistence: self.persistence.clone() }
    }
}

impl<'a> History<'a> {
    pub fn new(case: &'a Case, kernel: &'a mut Kernel, seed: u64) -> Self {
        Kernel::set(case.settings);
        kernel.perform(&IpvsCommand::Flush).expect("an empty table");
        let mut table = Table::new(seed);
        table.settings = case.settings;
        Self {
            random: Random::stream(seed, &case.name),
            case,
            kernel,
            table,
            began: Instant::now(),
            flows: Vec::new(),
            ports: 1024,
            log: Vec::new(),
            picks: 0,
            refusals: 0,
        }
    }

    /// Until so many connections were made.
    pub fn play(&mut self, picks: u32) -> Result<(), String> {
        let result = self.until(picks);
        result.map_err(|what| {
            let (earlier, latest) = self.log.split_at(self.log.len().saturating_sub(SHOWN));
            // What the client of the last packet did before.
            let client = latest.last().and_then(|line| line.split(' ').next()).unwrap_or("");
            let is_client = client.contains(':');
            let same = earlier.iter().filter(|line| is_client && line.starts_with(client));
            let lines: Vec<_> = same.chain(latest).map(String::as_str).collect();
            let lines = lines.join("\n");
            let Case { name, .. } = self.case;
            format!("{name}, after {} picks:\n{lines}\n{what}", self.picks)
        })
    }

    fn until(&mut self, picks: u32) -> Result<(), String> {
        self.begin()?;
        for _ in 0..4 {
            self.change()?;
        }
        // Some histories refuse nearly everything for a while.
        for _ in 0..picks * 20 {
            if self.picks >= picks {
                return self.compare_loads();
            }
            match self.random.below(100) {
                0..55 => self.connect()?,
                55..75 => self.go_on()?,
                75..80 => self.answer()?,
                80 => self.come_again()?,
                _ => self.change()?,
            }
        }
        Err(format!("only {} picks", self.picks))
    }

    /// The service, and one real server.
    pub fn begin(&mut self) -> Result<(), String> {
        let (service, endpoint) = (self.case.service, self.endpoint());
        self.order(&IpvsCommand::AddService { service, spec: self.case.spec() })?;
        let spec = DestinationSpec { weight: 1, ..self.destination() };
        self.order(&IpvsCommand::AddDestination { service, endpoint, spec })
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(u64::try_from(self.began.elapsed().as_nanos()).expect("a time"))
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random.below(bound as u64) as usize
    }

    pub fn order(&mut self, command: &IpvsCommand) -> Result<(), String> {
        let by_model = self.table.perform(self.now(), command);
        let by_kernel = self.kernel.perform(command);
        self.log.push(format!("{command}: {by_kernel:?}"));
        if by_model != by_kernel {
            return Err(format!("the model says {by_model:?}"));
        }
        let removes = matches!(
            command,
            IpvsCommand::RemoveDestination { .. } | IpvsCommand::RemoveService(_)
        );
        if removes && self.case.settings.expire_nodest_conn {
            sleep(TICKS);
        }
        self.compare_loads()
    }

    fn endpoint(&mut self) -> Endpoint {
        let number = 1 + self.below(usize::from(SERVERS)) as u8;
        let address = server_address(number, self.case.is_v6());
        let port = match (self.case.service, self.case.forwarding) {
            (Service::Address { port: 0, .. }, _) => 0,
            (_, Forwarding::Nat) => 8000 + u16::from(number),
            (Service::Fwmark { .. }, _) => 0,
            (Service::Address { port, .. }, _) => port,
        };
        Endpoint { address, port }
    }

    fn destination(&mut self) -> DestinationSpec {
        let weight = match self.below(8) {
            0 => 0,
            _ => 1 + self.random.below(u64::from(self.case.weights)) as u32,
        };
        let (mut upper_threshold, mut lower_threshold) = (0, 0);
        if self.case.has_thresholds && self.below(2) == 0 {
            upper_threshold = 1 + self.below(12) as u32;
            // Sometimes more than the upper one, which is refused.
            lower_threshold = self.below(upper_threshold as usize + 2) as u32;
        }
        let forwarding = self.case.forwarding;
        DestinationSpec { weight, forwarding, upper_threshold, lower_threshold }
    }

    fn change(&mut self) -> Result<(), String> {
        let (service, endpoint) = (self.case.service, self.endpoint());
        let command = match self.below(40) {
            0..20 => {
                let spec = self.destination();
                IpvsCommand::AddDestination { service, endpoint, spec }
            }
            20..29 => IpvsCommand::RemoveDestination { service, endpoint },
            29..38 => {
                let spec = self.destination();
                IpvsCommand::EditDestination { service, endpoint, spec }
            }
            38 => IpvsCommand::EditService { service, spec: self.case.spec() },
            _ => {
                self.order(&IpvsCommand::RemoveService(service))?;
                IpvsCommand::AddService { service, spec: self.case.spec() }
            }
        };
        self.order(&command)
    }

    fn client(&mut self) -> SocketAddr {
        let network = 1 + self.below(usize::from(self.case.networks)) as u8;
        let host = 1 + self.below(16) as u8;
        let address: IpAddr = if self.case.is_v6() {
            [0xfd00, 0xc, 0, u16::from(network), 0, 0, 0, u16::from(host)].into()
        } else {
            [10, 9, network, host].into()
        };
        self.ports = if self.ports == u16::MAX { 1024 } else { self.ports + 1 };
        SocketAddr::new(address, self.ports)
    }

    pub fn connect(&mut self) -> Result<(), String> {
        let client = self.client();
        let target = self.case.targets[self.below(self.case.targets.len())];
        let mark = if let Service::Fwmark { mark, .. } = self.case.service { mark } else { 0 };
        let first = if self.case.is_datagrams() { Segment::Datagram } else { Segment::Syn };
        let refusals = self.refusals;
        self.send(Flow { client, target, mark }, first, true)?;
        // Where all are full, room is made.
        if self.refusals > refusals { self.end_one() } else { Ok(()) }
    }

    /// A connection gets its FIN, and is left alone from then on.
    fn end_one(&mut self) -> Result<(), String> {
        if self.flows.is_empty() || self.case.is_datagrams() {
            return Ok(());
        }
        let place = self.below(self.flows.len());
        let flow = self.flows[place].0;
        self.send(flow, Segment::Fin, false)?;
        self.flows.retain(|(known, _)| *known != flow);
        Ok(())
    }

    fn send(&mut self, flow: Flow, segment: Segment, is_new: bool) -> Result<(), String> {
        let verdict = self.table.arrive(self.now(), &flow, segment);
        let sent = self.kernel.arrive(&flow, segment);
        let Flow { client, target, .. } = flow;
        let seen = sent.map(|sent| (sent.mac, sent.to));
        let foretold = match verdict {
            Verdict::Forwarded { endpoint, to } => {
                let is_it = |number: &u8| server_address(*number, client.is_ipv6()) == to.ip();
                assert_eq!(endpoint.address, to.ip());
                let number = (1..=SERVERS).find(is_it).expect("a real server");
                // Only NAT writes another address into a packet.
                let is_nat = self.case.forwarding == Forwarding::Nat;
                Some((server_mac(number), if is_nat { to } else { target }))
            }
            Verdict::Passed | Verdict::Refused | Verdict::Dropped => None,
        };
        let to = seen.map_or("nobody".to_string(), |(mac, to)| format!("{to} number {}", mac[5]));
        self.log.push(format!("{client} -> {target} {segment:?}: to {to}"));
        if seen != foretold {
            let loads = self.kernel.loads(self.case.service);
            return Err(format!("the model says {verdict:?}\nkernel: {loads:?}\n{:?}", self.table));
        }
        match verdict {
            Verdict::Forwarded { to, .. } => {
                self.flows.retain(|(known, _)| *known != flow);
                self.flows.push((flow, to));
                self.picks += u32::from(is_new);
            }
            _ => self.refusals += u32::from(is_new),
        }
        Ok(())
    }

    /// A later packet of a connection.
    fn go_on(&mut self) -> Result<(), String> {
        if self.flows.is_empty() {
            return Ok(());
        }
        let place = self.below(self.flows.len());
        let segment = match (self.case.is_datagrams(), self.below(10)) {
            (true, _) => Segment::Datagram,
            (false, 0..3) => Segment::Ack,
            (false, 3..9) => Segment::Fin,
            (false, _) => Segment::Reset,
        };
        self.send(self.flows[place].0, segment, false)
    }

    /// A packet of a real server, which only NAT leads past the director.
    fn answer(&mut self) -> Result<(), String> {
        if self.flows.is_empty() || self.case.forwarding != Forwarding::Nat {
            return Ok(());
        }
        let place = self.below(self.flows.len());
        let (flow, by) = self.flows[place];
        let segment = match (self.case.is_datagrams(), self.below(3)) {
            (true, _) => Segment::Datagram,
            (false, 0) => Segment::Syn,
            (false, 1) => Segment::Ack,
            (false, _) => Segment::Fin,
        };
        self.table.reply(self.now(), &flow, by, segment);
        let sent = self.kernel.reply(&flow, by, segment);
        self.log.push(format!("{} <- {by} {segment:?}: {:?}", flow.client, sent.map(|s| s.from)));
        self.compare_loads()
    }

    /// A SYN on a connection that there is.
    fn come_again(&mut self) -> Result<(), String> {
        if self.flows.is_empty() || self.case.is_datagrams() {
            return Ok(());
        }
        let place = self.below(self.flows.len());
        self.send(self.flows[place].0, Segment::Syn, false)?;
        sleep(TICKS);
        self.compare_loads()
    }

    /// The kernel's ticks are coarse: what ends just now may need a second look.
    pub fn compare_loads(&mut self) -> Result<(), String> {
        self.compare_loads_now().or_else(|_| {
            sleep(TICKS);
            self.compare_loads_now()
        })
    }

    fn compare_loads_now(&mut self) -> Result<(), String> {
        let service = self.case.service;
        self.table.expire(self.now());
        let mut by_kernel = self.kernel.loads(service);
        let mut by_model: Vec<_> =
            self.table.destinations(service).map(|(endpoint, _, load)| (endpoint, load)).collect();
        by_kernel.sort_by_key(|(endpoint, _)| *endpoint);
        by_model.sort_by_key(|(endpoint, _)| *endpoint);
        if by_kernel == by_model {
            return Ok(());
        }
        let show = |rows: &[(Endpoint, _)]| {
            rows.iter().map(|row| format!("  {row:?}")).collect::<Vec<_>>().join("\n")
        };
        Err(format!("the kernel has\n{}\nthe model\n{}", show(&by_kernel), show(&by_model)))
    }
}
