//! The states that one node can be in, each met once, and what leads from each to the next.
//!
//! A node is an engine, a model kernel and the time since something happened. The engine is asked
//! once for each state and event; after that the answer is looked up, so that a search costs a few
//! look-ups per step and a state of the world is a few numbers. This rests on what
//! [`Engine::election_fingerprint`] promises, and on times being distances: nodes share no clock.

use std::collections::{HashMap, VecDeque};
use std::hash::Hasher;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use vipd_engine::config::MULTICAST_GROUP_V4;
use vipd_engine::{
    Config, Engine, Frame, Ifindex, Input, InterfaceName, MacAddress, Output, Outputs, Received,
    StateKind, Timestamp,
};
use xxhash_rust::xxh3::xxh3_128;

use crate::kernel::{Change, Kernel};
use crate::prove::plan::{MAX_NODES, NETWORK, Plan};

/// A state of one node. The first ones are "not running", one for each node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeId(pub u32);

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Not running.
    Down,
    /// Running, not master.
    Backup,
    /// Master.
    Master,
}

/// What happens to one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A quantum passes in which no timer of it fires.
    Wait,
    /// The timer that is due fires.
    Fire,
    /// It is stopped in good order, or started if it does not run.
    Power,
    /// It hears an advert of another node.
    Hear {
        /// Whose.
        from: usize,
        /// With priority 0.
        resigns: bool,
    },
}

/// What an event does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The state after it.
    pub to: NodeId,
    /// Ordinary adverts that it sends.
    pub adverts: u8,
    /// Adverts with priority 0 that it sends.
    pub resignations: u8,
}

/// Events of a state, each with its place.
const EVENTS: usize = 3 + 2 * MAX_NODES;
const UNKNOWN: Edge = Edge { to: NodeId(u32::MAX), adverts: 0, resignations: 0 };
/// A time long after the origin, so that nothing depends on where time begins.
const BEGINNING: Timestamp = Timestamp::from_nanos(1 << 40);

/// A running process and its machine.
#[derive(Clone)]
struct Machine {
    engine: Engine,
    kernel: Kernel,
}

/// One state.
struct State {
    node: usize,
    role: Role,
    /// Quanta until its next timer.
    due: Option<u8>,
    /// Shared by the states in which time alone has passed.
    machine: Option<(Rc<Machine>, Timestamp)>,
    edges: [Edge; EVENTS],
}

/// Every state that was met.
pub struct Nodes {
    configs: Vec<Arc<Config>>,
    quantum: Duration,
    /// What each node sends, octet for octet: the ordinary advert, and that with priority 0.
    sent: Vec<[Option<Vec<u8>>; 2]>,
    states: Vec<State>,
    known: HashMap<(usize, u128), NodeId>,
    machines: usize,
}

impl Nodes {
    /// The nodes of a plan, none of them running.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let states = (0..plan.nodes).map(|node| {
            let edges = [UNKNOWN; EVENTS];
            State { node, role: Role::Down, due: None, machine: None, edges }
        });
        Self {
            configs: (0..plan.nodes).map(|node| plan.config_of(node)).collect(),
            quantum: plan.lattice.quantum(),
            sent: vec![[None, None]; plan.nodes],
            states: states.collect(),
            known: HashMap::new(),
            machines: 0,
        }
    }

    /// A node that does not run.
    #[must_use]
    pub const fn down(node: usize) -> NodeId {
        NodeId(node as u32)
    }

    /// What the node is in this state.
    #[must_use]
    pub fn role(&self, id: NodeId) -> Role {
        self.states[id.0 as usize].role
    }

    /// Quanta until its timer fires; 0: now.
    #[must_use]
    pub fn due(&self, id: NodeId) -> Option<u8> {
        self.states[id.0 as usize].due
    }

    /// How many states were met, and how many engines are kept for them.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.states.len(), self.machines)
    }

    /// What an event does in a state.
    pub fn after(&mut self, id: NodeId, event: Event) -> Edge {
        let place = place(event);
        let known = self.states[id.0 as usize].edges[place];
        if known != UNKNOWN {
            return known;
        }
        let edge = self.ask(id, event);
        self.states[id.0 as usize].edges[place] = edge;
        edge
    }

    /// Asks the engine.
    fn ask(&mut self, id: NodeId, event: Event) -> Edge {
        let State { node, role, due, ref machine, .. } = self.states[id.0 as usize];
        let quiet = |to| Edge { to, adverts: 0, resignations: 0 };
        let Some((machine, now)) = machine.clone() else {
            return match event {
                Event::Wait | Event::Fire | Event::Hear { .. } => quiet(id),
                Event::Power => self.start(node),
            };
        };
        match event {
            Event::Wait => {
                assert!(due != Some(0), "a timer that is due does not wait");
                quiet(self.intern(node, &machine, now + self.quantum))
            }
            Event::Fire => self.feed(node, &machine, now, Input::Tick),
            Event::Power => {
                let edge = self.feed(node, &machine, now, Input::Shutdown);
                assert!(self.role(edge.to) == Role::Down, "a stop ends at once");
                edge
            }
            Event::Hear { from, resigns } => {
                let bytes = self.sent[from][usize::from(resigns)].clone();
                let bytes = bytes.expect("what arrives was sent");
                let received = Received {
                    interface: INTERFACE,
                    src: address(from),
                    dst: IpAddr::V4(MULTICAST_GROUP_V4),
                    ttl: 255,
                    bytes: &bytes,
                };
                let edge = self.feed(node, &machine, now, Input::Advert(received));
                // On this rests what `world` leaves out.
                let silent = edge.adverts == 0 && edge.resignations == 0;
                let stays = self.role(edge.to) == Role::Backup && self.due(edge.to) > Some(0);
                let was_due = due == Some(0);
                assert!(role != Role::Backup || silent && (stays || was_due), "a Backup answers");
                edge
            }
        }
    }

    /// A process starts on a machine that has just booted.
    fn start(&mut self, node: usize) -> Edge {
        let mut kernel = Kernel::default();
        let mac = MacAddress([2, 0, 0, 0, 0, node as u8 + 1]);
        let index = kernel.add_interface(InterfaceName::new("eth0"), mac, &[address(node)]);
        assert!(index == INTERFACE, "the first interface has the first index");
        let report = kernel.report();
        let mut machine = Machine { engine: Engine::new(), kernel };
        let mut sink = Outputs::new();
        for change in report {
            machine.engine.handle(BEGINNING, told(change), &mut sink);
        }
        assert!(sink.as_slice().is_empty(), "nothing is configured yet");
        let config = Arc::clone(&self.configs[node]);
        self.feed(node, &machine, BEGINNING, Input::Configure(config))
    }

    /// One input and whatever follows from it at once.
    fn feed(&mut self, node: usize, before: &Machine, now: Timestamp, input: Input<'_>) -> Edge {
        let mut machine = before.clone();
        let (mut out, mut waiting, mut counts) = (Outputs::new(), VecDeque::new(), [0_u8; 2]);
        let mut changes = Vec::new();
        machine.engine.handle(now, input, &mut out);
        loop {
            for output in out.drain() {
                match output {
                    Output::Send { id, frame } => {
                        if let Frame::Advert(advert) = &frame {
                            let resigns = advert.advert.priority == 0;
                            let mut bytes = Vec::new();
                            advert.emit(&mut bytes);
                            match &self.sent[node][usize::from(resigns)] {
                                Some(sent) => assert!(*sent == bytes, "adverts of a node differ"),
                                None => self.sent[node][usize::from(resigns)] = Some(bytes),
                            }
                            counts[usize::from(resigns)] += 1;
                        }
                        waiting.push_back(Input::Done { id, result: Ok(()) });
                    }
                    Output::Kernel { id, command } => {
                        let result = machine.kernel.perform(&command, &mut changes);
                        waiting.extend(changes.drain(..).map(told));
                        waiting.push_back(Input::Done { id, result });
                    }
                    Output::Notify(_) => {}
                    Output::Probe(_) | Output::Ipvs(_) => unreachable!("no virtual server is here"),
                }
            }
            let Some(next) = waiting.pop_front() else { break };
            machine.engine.handle(now, next, &mut out);
        }
        let ended = machine.engine.status().instances().next().is_none();
        let to = if ended { Self::down(node) } else { self.intern(node, &Rc::new(machine), now) };
        Edge { to, adverts: counts[0], resignations: counts[1] }
    }

    /// The place of a state, a new one if it was not met before.
    fn intern(&mut self, node: usize, machine: &Rc<Machine>, now: Timestamp) -> NodeId {
        let mut folded = Folded(Vec::with_capacity(256));
        machine.engine.election_fingerprint(now, &mut folded);
        let next = NodeId(self.states.len() as u32);
        let id = *self.known.entry((node, xxh3_128(&folded.0))).or_insert(next);
        if id == next {
            let status = machine.engine.status();
            let instance = status.instances().next().expect("a running node has its instance");
            let due = instance.deadline().map(|(at, what)| quanta(at - now, self.quantum, what));
            let role = match instance.state() {
                StateKind::Master => Role::Master,
                StateKind::Backup => Role::Backup,
                StateKind::Initialize | StateKind::Fault => unreachable!("nothing is amiss here"),
            };
            let edges = [UNKNOWN; EVENTS];
            let kept = Rc::strong_count(machine) == 1;
            self.machines += usize::from(kept);
            let machine = Some((Rc::clone(machine), now));
            self.states.push(State { node, role, due, machine, edges });
        }
        id
    }
}

/// The index of the only interface.
const INTERFACE: Ifindex = Ifindex(2);

/// The address of a node.
#[must_use]
pub const fn address(node: usize) -> IpAddr {
    let [a, b, c] = NETWORK;
    IpAddr::V4(std::net::Ipv4Addr::new(a, b, c, node as u8 + 1))
}

const fn place(event: Event) -> usize {
    match event {
        Event::Wait => 0,
        Event::Fire => 1,
        Event::Power => 2,
        Event::Hear { from, resigns } => 3 + 2 * from + resigns as usize,
    }
}

/// The distance to a deadline, which must stand on the lattice.
fn quanta(distance: Duration, quantum: Duration, what: &str) -> u8 {
    let (distance, quantum) = (distance.as_nanos(), quantum.as_nanos());
    assert!(distance.is_multiple_of(quantum), "{what} is due off the lattice, in {distance} ns");
    u8::try_from(distance / quantum).expect("no timer runs longer than four intervals")
}

fn told(change: Change) -> Input<'static> {
    match change {
        Change::Link(link) => Input::Link(link),
        Change::Address(address) => Input::LocalAddress(address),
        Change::Fib(change) => Input::Fib(change),
    }
}

/// What an engine folds, octet for octet.
struct Folded(Vec<u8>);

impl Hasher for Folded {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn finish(&self) -> u64 {
        unreachable!("the octets are hashed as a whole")
    }
}
