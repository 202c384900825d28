//! All nodes, the links between them and the adverts on their way, at one instant; and every way in
//! which it can go on.
//!
//! Time is counted in quanta. An advert arrives in the instant in which it is sent or one quantum
//! later ([`Delays`]), in any order with everything else of that instant: that is free. Faults are
//! counted.

use crate::prove::claims::{Clocks, Violation};
use crate::prove::node::{Edge, Event, NodeId, Nodes, Role};
use crate::prove::plan::{Claim, Delays, MAX_NODES, Plan};

/// When an advert on its way arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// In this instant: it was sent a quantum ago.
    Due,
    /// In this instant or the next: it was sent in this one.
    Fresh,
    /// In the next instant: that was decided.
    Held,
}

/// An advert on its way to one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Message {
    /// Whom it goes to.
    pub to: u8,
    /// When it arrives.
    pub phase: Phase,
    /// Who sent it.
    pub from: u8,
    /// It has priority 0.
    pub resigns: bool,
}

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The machine of a node loses its power.
    Crash(u8),
    /// A node is stopped in good order.
    Stop(u8),
    /// A node that does not run is started.
    Start(u8),
    /// One direction between two nodes is cut, or healed if it is cut.
    Flip(u8, u8),
    /// Both directions between a node and every other one are cut.
    Isolate(u8),
    /// They are healed.
    Rejoin(u8),
}

/// One step from one state of the world to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// An advert arrives.
    Deliver(Message),
    /// What else is on its way to this node arrives in the next instant.
    Hold(u8),
    /// The timer of a node fires.
    Fire(u8),
    /// Whoever may answer has heard what it hears in this instant: the turn of the others.
    Settle,
    /// Quanta pass in which nothing happens.
    Wait(u8),
    /// Quanta pass in which nothing happens, then there is a fault.
    Fault(u8, Fault),
}

/// One state of everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    /// The state of each node.
    pub nodes: [NodeId; MAX_NODES],
    /// Directions that are cut, a bit each.
    cut: u32,
    /// In order, so that equal worlds look alike.
    flight: Vec<Message>,
    /// How many faults there were.
    pub faults: u8,
    /// In this instant only those still hear something that do not answer.
    pub settling: bool,
    /// What the claims remember.
    pub clocks: Clocks,
}

/// A plan and the states of nodes that were met on the way.
pub struct Space {
    /// What is searched.
    pub plan: Plan,
    /// The states of nodes.
    pub nodes: Nodes,
}

impl World {
    /// Whether what one node sends does not reach the other.
    #[must_use]
    pub const fn is_cut(&self, from: usize, to: usize) -> bool {
        self.cut & bit(from, to) != 0
    }

    /// Whether two nodes hear each other.
    #[must_use]
    pub const fn hear_each_other(&self, a: usize, b: usize) -> bool {
        !self.is_cut(a, b) && !self.is_cut(b, a)
    }

    /// Whether this advert is on its way.
    #[must_use]
    pub fn is_under_way(&self, from: u8, to: u8, resigns: bool) -> bool {
        let is_it =
            |message: &Message| (message.from, message.to, message.resigns) == (from, to, resigns);
        self.flight.iter().any(is_it)
    }

    /// The adverts on their way, in order.
    #[must_use]
    pub fn flight(&self) -> &[Message] {
        &self.flight
    }

    /// Appends the state in octets. All worlds of a search have the same layout.
    pub fn pack(&self, plan: &Plan, octets: &mut Vec<u8>) {
        for node in &self.nodes[..plan.nodes] {
            octets.extend_from_slice(&node.0.to_le_bytes());
        }
        octets.extend_from_slice(&self.cut.to_le_bytes());
        octets.push(self.faults << 1 | u8::from(self.settling));
        self.clocks.pack(plan, octets);
        for message in &self.flight {
            let phase = (message.phase as u8) << 1;
            octets.push(message.from << 4 | message.to);
            octets.push(phase | u8::from(message.resigns));
        }
    }

    /// The state that these octets are.
    #[must_use]
    pub fn unpack(plan: &Plan, mut octets: &[u8]) -> Self {
        let mut word = || {
            let (first, rest) = octets.split_first_chunk().expect("packed by `pack`");
            octets = rest;
            u32::from_le_bytes(*first)
        };
        let mut nodes = [NodeId(0); MAX_NODES];
        nodes[..plan.nodes].fill_with(|| NodeId(word()));
        let cut = word();
        let (faults, rest) = octets.split_first().expect("packed by `pack`");
        let (clocks, rest) = Clocks::unpack(plan, rest);
        let message = |pair: &[u8; 2]| Message {
            to: pair[0] & 15,
            phase: [Phase::Due, Phase::Fresh, Phase::Held][usize::from(pair[1] >> 1)],
            from: pair[0] >> 4,
            resigns: pair[1] & 1 != 0,
        };
        let (pairs, _) = rest.as_chunks::<2>();
        let flight = pairs.iter().map(message).collect();
        Self { nodes, cut, flight, faults: faults >> 1, settling: faults & 1 != 0, clocks }
    }
}

const fn bit(from: usize, to: usize) -> u32 {
    1 << (from * MAX_NODES + to)
}

impl Space {
    /// A space of which nothing is known yet.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        let nodes = Nodes::new(&plan);
        Self { plan, nodes }
    }

    /// All nodes have just been started together, and every link is whole.
    pub fn beginning(&mut self) -> World {
        let mut nodes = [NodeId(0); MAX_NODES];
        for (node, place) in nodes[..self.plan.nodes].iter_mut().enumerate() {
            *place = self.nodes.after(Nodes::down(node), Event::Power).to;
        }
        let clocks = Clocks::default();
        World { nodes, cut: 0, flight: Vec::new(), faults: 0, settling: false, clocks }
    }

    /// What a node is.
    #[must_use]
    pub fn role(&self, world: &World, node: usize) -> Role {
        self.nodes.role(world.nodes[node])
    }

    /// Every way in which it can go on, in an order that depends on the world alone.
    pub fn moves(&self, world: &World, out: &mut Vec<Move>) {
        out.clear();
        if world.settling {
            self.turn_of_one(world, out);
            return;
        }
        let (reduce, is_last) = (self.plan.reduce, world.faults == self.plan.faults);
        let waits = |message: &Message| message.phase != Phase::Held;
        let later = |message: &Message| reduce && self.is_passive(world, usize::from(message.to));
        let passive = world.flight.iter().any(|message| waits(message) && later(message));
        let all = passive && !is_last && self.may_end_a_measure(world);
        deliveries(world, |message| all || !later(message), out);
        let timers = (0..self.plan.nodes).filter(|node| self.is_due(world, *node));
        out.extend(timers.map(|node| Move::Fire(node as u8)));
        if !is_last {
            self.faults_now(world, out);
        }
        let must_arrive = |message: &Message| message.phase == Phase::Due && !later(message);
        if self.next_timer(world) == Some(0) || world.flight.iter().any(must_arrive) {
            return;
        }
        if passive {
            out.push(Move::Settle);
        } else {
            self.time_passes(world, out);
        }
    }

    /// Time goes on to the next timer, or by a quantum if something is on its way.
    fn time_passes(&self, world: &World, out: &mut Vec<Move>) {
        let one_by_one = !self.plan.reduce || !world.flight.is_empty();
        let gap = if one_by_one { 1 } else { self.next_timer(world).unwrap_or(0) };
        if gap > 0 {
            out.push(Move::Wait(gap));
        }
        if world.faults == self.plan.faults {
            return;
        }
        // Only these are worth waiting for: the others can as well come at once.
        for after in 1..gap {
            let timed = (0..self.plan.nodes).filter_map(|node| {
                let fault = self.power_fault(world, node)?;
                Some(Move::Fault(after, fault))
            });
            out.extend(timed);
        }
    }

    /// Whether what a node hears in this instant changes nothing but that node, so that it may as
    /// well come last: a Backup whose timer is not due never answers. Whether one that does not
    /// run hears anything depends on when it is started.
    fn is_passive(&self, world: &World, node: usize) -> bool {
        match self.role(world, node) {
            Role::Backup => !self.is_due(world, node),
            Role::Down => world.faults == self.plan.faults,
            Role::Master => false,
        }
    }

    /// Whether an advert of somebody who is no master any more is on its way: once it is heard, a
    /// stop is not judged by L2, so it counts whether the stop comes before or after it.
    fn may_end_a_measure(&self, world: &World) -> bool {
        let is_masters =
            |message: &Message| self.role(world, usize::from(message.from)) == Role::Master;
        self.plan.claims(Claim::L2) && !world.flight.iter().all(is_masters)
    }

    /// All others have done what they do in this instant: those that are passive are looked at one
    /// after the other, in their order.
    fn turn_of_one(&self, world: &World, out: &mut Vec<Move>) {
        let Some(first) = world.flight.iter().find(|message| message.phase != Phase::Held) else {
            self.time_passes(world, out);
            return;
        };
        deliveries(world, |message| message.to == first.to, out);
        if first.phase != Phase::Due {
            out.push(Move::Hold(first.to));
        }
    }

    /// Every fault that can happen now.
    fn faults_now(&self, world: &World, out: &mut Vec<Move>) {
        let count = self.plan.nodes;
        let mut fault = |fault| out.push(Move::Fault(0, fault));
        for node in 0..count {
            let name = node as u8;
            if self.role(world, node) != Role::Down {
                fault(Fault::Crash(name));
            }
            match self.power_fault(world, node) {
                Some(power) => fault(power),
                // A Backup stops without a word: that is a crash for everybody else.
                None if !self.plan.reduce => fault(Fault::Stop(name)),
                None => {}
            }
            let others = || (0..count).filter(|other| *other != node);
            for other in others() {
                fault(Fault::Flip(name, other as u8));
            }
            let directions = others().flat_map(|other| [(node, other), (other, node)]);
            let cut = directions.filter(|(from, to)| world.is_cut(*from, *to)).count();
            if count == 2 && node > 0 {
                continue;
            }
            if 2 * (count - 1) - cut >= 2 {
                fault(Fault::Isolate(name));
            }
            if cut >= 2 {
                fault(Fault::Rejoin(name));
            }
        }
    }

    /// The fault at a node whose very moment shows: a master resigns, or a timer begins.
    fn power_fault(&self, world: &World, node: usize) -> Option<Fault> {
        match self.role(world, node) {
            Role::Master => Some(Fault::Stop(node as u8)),
            Role::Down => Some(Fault::Start(node as u8)),
            Role::Backup => None,
        }
    }

    /// Lets it go on. What does not hold any more is the answer.
    pub fn apply(&mut self, world: &mut World, step: Move) -> Option<Violation> {
        let violation = match step {
            Move::Wait(quanta) => self.wait(world, quanta),
            Move::Fire(node) => self.happen(world, usize::from(node), Event::Fire),
            Move::Deliver(message) => self.deliver(world, message),
            Move::Hold(to) => {
                let fresh =
                    |message: &&mut Message| message.to == to && message.phase == Phase::Fresh;
                world.flight.iter_mut().filter(fresh).for_each(|held| held.phase = Phase::Held);
                None
            }
            Move::Settle => {
                let (space, nodes) = (&self.nodes, world.nodes);
                let answers = |to: u8| space.role(nodes[usize::from(to)]) != Role::Backup;
                let fresh =
                    |message: &&mut Message| message.phase == Phase::Fresh && answers(message.to);
                world.flight.iter_mut().filter(fresh).for_each(|held| held.phase = Phase::Held);
                world.settling = true;
                None
            }
            Move::Fault(after, fault) => {
                let violation = if after > 0 { self.wait(world, after) } else { None };
                self.fail(world, fault);
                violation
            }
        };
        if self.plan.reduce && world.faults == self.plan.faults {
            self.forget_the_dead(world);
        }
        world.flight.sort_unstable();
        self.reset_clocks(world);
        violation
    }

    /// Who does not run and is never started again hears nothing and is heard by nobody.
    fn forget_the_dead(&self, world: &mut World) {
        for node in 0..self.plan.nodes {
            if self.role(world, node) == Role::Down {
                world.cut &= !self.around(node);
                world.flight.retain(|message| usize::from(message.to) != node);
            }
        }
    }

    fn wait(&mut self, world: &mut World, quanta: u8) -> Option<Violation> {
        for node in 0..self.plan.nodes {
            for _ in 0..quanta {
                world.nodes[node] = self.nodes.after(world.nodes[node], Event::Wait).to;
            }
        }
        world.flight.iter_mut().for_each(|message| message.phase = Phase::Due);
        world.settling = false;
        self.pass(world, quanta)
    }

    fn deliver(&mut self, world: &mut World, message: Message) -> Option<Violation> {
        let place = world.flight.iter().position(|other| *other == message);
        world.flight.remove(place.expect("it is on its way"));
        self.heard(world, message);
        let (from, resigns) = (usize::from(message.from), message.resigns);
        self.happen(world, usize::from(message.to), Event::Hear { from, resigns })
    }

    fn happen(&mut self, world: &mut World, node: usize, event: Event) -> Option<Violation> {
        let before = self.role(world, node);
        let edge = self.nodes.after(world.nodes[node], event);
        world.nodes[node] = edge.to;
        send(world, node, &self.plan, edge);
        let took_over = before != Role::Master && self.role(world, node) == Role::Master;
        if took_over { self.taken_over(world, node) } else { None }
    }

    fn fail(&mut self, world: &mut World, fault: Fault) {
        world.faults += 1;
        self.disturbed(world);
        match fault {
            Fault::Crash(node) => {
                world.nodes[usize::from(node)] = Nodes::down(usize::from(node));
            }
            Fault::Stop(node) => {
                let node = usize::from(node);
                self.resigning(world, node);
                let edge = self.nodes.after(world.nodes[node], Event::Power);
                world.nodes[node] = edge.to;
                send(world, node, &self.plan, edge);
            }
            Fault::Start(node) => {
                let node = usize::from(node);
                world.nodes[node] = self.nodes.after(world.nodes[node], Event::Power).to;
            }
            Fault::Flip(from, to) => world.cut ^= bit(usize::from(from), usize::from(to)),
            Fault::Isolate(node) => world.cut |= self.around(usize::from(node)),
            Fault::Rejoin(node) => world.cut &= !self.around(usize::from(node)),
        }
    }

    /// Every direction that a node is an end of.
    fn around(&self, node: usize) -> u32 {
        let others = (0..self.plan.nodes).filter(|other| *other != node);
        others.fold(0, |all, other| all | bit(node, other) | bit(other, node))
    }

    /// Whether the timer of a node fires in this instant.
    #[must_use]
    pub fn is_due(&self, world: &World, node: usize) -> bool {
        self.nodes.due(world.nodes[node]) == Some(0)
    }

    /// Quanta until the next timer of any node.
    fn next_timer(&self, world: &World) -> Option<u8> {
        world.nodes[..self.plan.nodes].iter().filter_map(|node| self.nodes.due(*node)).min()
    }
}

/// Those adverts that may arrive now, equal ones once.
fn deliveries(world: &World, which: impl Fn(&Message) -> bool, out: &mut Vec<Move>) {
    let mut last = None;
    for message in &world.flight {
        if message.phase != Phase::Held && which(message) && last != Some(message) {
            out.push(Move::Deliver(*message));
            last = Some(message);
        }
    }
}

/// Puts what a node sends on its way to every node that it reaches. Who does not run may do so by
/// the time it arrives.
fn send(world: &mut World, from: usize, plan: &Plan, edge: Edge) {
    let phase = match plan.delays {
        Delays::ZeroOrOne => Phase::Fresh,
        Delays::One => Phase::Held,
    };
    for (resigns, times) in [(false, edge.adverts), (true, edge.resignations)] {
        for to in (0..plan.nodes).filter(|to| *to != from) {
            if !world.is_cut(from, to) {
                let (to, from) = (to as u8, from as u8);
                let message = Message { to, phase, from, resigns };
                world.flight.extend((0..times).map(|_| message));
            }
        }
    }
}
