//! What is to hold, told by the search as it goes: what each claim has to remember of the past, and
//! when it does not hold. The arithmetic is that of docs/properties.md, in quanta, and shares none
//! with the engine.

use std::fmt;
use std::time::Duration;

use vipd_scenarios::language::duration_text;

use crate::prove::node::Role;
use crate::prove::plan::{Claim, DELAY, MAX_NODES, Plan};
use crate::prove::world::{Message, Space, World};

const PAIRS: usize = MAX_NODES * (MAX_NODES - 1) / 2;
/// Of two masters one had resigned less than A + D before they were two.
const RETURNED: u8 = 0x80;

/// What the claims remember. What a search does not claim stays as it is at the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clocks {
    /// Quanta since the last fault, or since the beginning. It is not packed: of two worlds that
    /// differ in nothing else, the longer one is the one that is looked at.
    pub calm: u8,
    /// For how long each pair has been two masters that hear each other; with [`RETURNED`], if one
    /// of them had resigned shortly before.
    together: [u8; PAIRS],
    /// For how long a resignation of each node still counts: the next advert of it is answered.
    resigned: [u8; MAX_NODES],
    /// The same of some pair.
    some: u8,
    /// A master stopped in good order and nobody has followed it.
    stop: Option<Stop>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stop {
    who: u8,
    elapsed: u8,
    /// Who heard it, a bit each.
    heirs: u8,
    /// Who heard an older advert after the resignation.
    overtaken: u8,
}

/// A claim that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub claim: Claim,
    /// For how long at least.
    pub lasted: Duration,
    /// For how long at most it was to be.
    pub bound: Duration,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [lasted, bound] = [self.lasted, self.bound].map(duration_text);
        match self.claim {
            Claim::S1 => write!(f, "two masters heard each other for {lasted}, {bound} at most"),
            Claim::SomeTwoMasters => {
                write!(f, "some two masters heard each other for {lasted}, {bound} at most")
            }
            Claim::S7 => write!(f, "not settled {lasted} after the last fault, {bound} at most"),
            Claim::L2 => write!(f, "nobody followed for {lasted} after a stop, {bound} at most"),
        }
    }
}

impl Clocks {
    /// Appends all but `calm` in octets.
    pub fn pack(&self, plan: &Plan, octets: &mut Vec<u8>) {
        if plan.claims(Claim::S1) {
            octets.extend_from_slice(&self.together[..pairs(plan)]);
        }
        if counts_overlaps(plan) {
            octets.extend_from_slice(&self.resigned[..plan.nodes]);
        }
        octets.push(self.some);
        match self.stop {
            None => octets.push(0),
            Some(Stop { who, elapsed, heirs, overtaken }) => {
                octets.extend_from_slice(&[1, who, elapsed, heirs, overtaken]);
            }
        }
    }

    /// The clocks at the beginning of these octets, and the rest.
    #[must_use]
    pub fn unpack<'a>(plan: &Plan, octets: &'a [u8]) -> (Self, &'a [u8]) {
        let mut clocks = Self::default();
        let pairs = if plan.claims(Claim::S1) { pairs(plan) } else { 0 };
        let nodes = if counts_overlaps(plan) { plan.nodes } else { 0 };
        let (together, rest) = octets.split_at(pairs);
        let (resigned, rest) = rest.split_at(nodes);
        clocks.together[..pairs].copy_from_slice(together);
        clocks.resigned[..nodes].copy_from_slice(resigned);
        clocks.some = rest[0];
        match rest[1] {
            0 => (clocks, &rest[2..]),
            _ => {
                let [who, elapsed, heirs, overtaken] = [rest[2], rest[3], rest[4], rest[5]];
                clocks.stop = Some(Stop { who, elapsed, heirs, overtaken });
                (clocks, &rest[6..])
            }
        }
    }
}

const fn pairs(plan: &Plan) -> usize {
    plan.nodes * (plan.nodes - 1) / 2
}

fn counts_overlaps(plan: &Plan) -> bool {
    plan.claims(Claim::S1) || plan.claims(Claim::SomeTwoMasters)
}

/// Lets a clock of two masters go on. For how long they have been two.
const fn overlap(clock: &mut u8, returned: bool, quanta: u8) -> u8 {
    *clock = (*clock + quanta) | if returned { RETURNED } else { 0 };
    *clock & !RETURNED
}

/// The pairs of so many nodes, in the order of their clocks.
fn each_pair(count: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..count).flat_map(move |b| (0..b).map(move |a| (a, b)))
}

impl Space {
    /// Quanta pass in which nothing happens.
    pub(super) fn pass(&self, world: &mut World, quanta: u8) -> Option<Violation> {
        let mut violation = None;
        let mut beyond = |claim, lasted: u8, bound: u8| {
            if lasted > bound {
                violation = violation.or(Some(self.violation(claim, lasted, bound)));
            }
        };
        let (mut any, mut any_returned) = (false, false);
        for (place, (a, b)) in each_pair(self.plan.nodes).enumerate() {
            if counts_overlaps(&self.plan) && self.are_together(world, a, b) {
                let Clocks { together, resigned, .. } = &mut world.clocks;
                let returned = resigned[a] > 0 || resigned[b] > 0;
                (any, any_returned) = (true, any_returned || returned);
                if self.plan.claims(Claim::S1) {
                    let lasted = overlap(&mut together[place], returned, quanta);
                    beyond(Claim::S1, lasted, self.plan.overlap(together[place] & RETURNED != 0));
                }
            }
        }
        if any && self.plan.claims(Claim::SomeTwoMasters) {
            let some = &mut world.clocks.some;
            let lasted = overlap(some, any_returned, quanta);
            beyond(Claim::SomeTwoMasters, lasted, self.plan.overlap(*some & RETURNED != 0));
        }
        for left in &mut world.clocks.resigned {
            *left = left.saturating_sub(quanta);
        }
        if self.plan.claims(Claim::S7) {
            let settling = self.settling(world);
            // Longer than any bound is long enough.
            let most = self.plan.down_interval(MAX_NODES) + 2 * DELAY + self.plan.echo() + 1;
            world.clocks.calm = world.clocks.calm.saturating_add(quanta).min(most);
            if !self.is_settled(world) {
                beyond(Claim::S7, world.clocks.calm, settling);
            }
        }
        if let Some(stop) = &mut world.clocks.stop {
            stop.elapsed += quanta;
            beyond(Claim::L2, stop.elapsed, self.longest(*stop));
        }
        violation
    }

    /// What is not so any more is not remembered.
    pub(super) fn reset_clocks(&self, world: &mut World) {
        let mut any = false;
        for (place, (a, b)) in each_pair(self.plan.nodes).enumerate() {
            if self.are_together(world, a, b) {
                any = true;
            } else {
                world.clocks.together[place] = 0;
            }
        }
        if !any {
            world.clocks.some = 0;
        }
    }

    /// A fault happens: what was calm is not, and who stopped before is nobody's measure.
    pub(super) fn disturbed(&self, world: &mut World) {
        world.clocks.calm = 0;
        world.clocks.stop = None;
    }

    /// A node is about to be stopped. It counts if it is the only master and somebody hears it.
    pub(super) fn resigning(&self, world: &mut World, node: usize) {
        let nodes = || (0..self.plan.nodes).filter(|other| *other != node);
        let rival = nodes().any(|other| self.role(world, other) == Role::Master);
        let hears =
            |other: &usize| self.role(world, *other) == Role::Backup && !world.is_cut(node, *other);
        let heirs = nodes().filter(hears).fold(0, |all, heir| all | 1 << heir);
        let is_master = self.role(world, node) == Role::Master;
        let counts = is_master && !rival && heirs != 0;
        if counts_overlaps(&self.plan) && !self.plan.strict && is_master {
            world.clocks.resigned[node] = self.plan.lattice.quanta() + DELAY;
        }
        if self.plan.claims(Claim::L2) && counts {
            world.clocks.stop = Some(Stop { who: node as u8, elapsed: 0, heirs, overtaken: 0 });
        }
    }

    /// An advert arrives that was taken from those on their way.
    pub(super) fn heard(&self, world: &mut World, message: Message) {
        let resignation_came = !world.is_under_way(message.from, message.to, true);
        let is_third = world.clocks.stop.is_some_and(|stop| stop.who != message.from);
        if is_third && !message.resigns {
            // Its sender went before: who hears it follows a router that is not there any more.
            world.clocks.stop = None;
        }
        if let Some(stop) = &mut world.clocks.stop
            && stop.who == message.from
            && !message.resigns
            && resignation_came
        {
            stop.overtaken |= stop.heirs & 1 << message.to;
        }
    }

    /// A node became master.
    pub(super) fn taken_over(&self, world: &mut World, node: usize) -> Option<Violation> {
        let stop = world.clocks.stop.take()?;
        let is_heir = stop.heirs & 1 << node != 0;
        let bound = if is_heir { self.bound(stop, node) } else { self.longest(stop) };
        let lasted = stop.elapsed;
        (lasted > bound).then(|| self.violation(Claim::L2, lasted, bound))
    }

    fn violation(&self, claim: Claim, lasted: u8, bound: u8) -> Violation {
        let [lasted, bound] = [lasted, bound].map(|quanta| self.plan.time(quanta.into()));
        Violation { claim, lasted, bound }
    }

    /// How long it may take one that heard the resignation to follow.
    const fn bound(&self, stop: Stop, heir: usize) -> u8 {
        let late = if stop.overtaken & 1 << heir != 0 { self.plan.lattice.quanta() } else { 0 };
        Plan::skew(heir) + DELAY + late
    }

    /// How long it may take any of them.
    fn longest(&self, stop: Stop) -> u8 {
        let heirs = (0..self.plan.nodes).filter(|heir| stop.heirs & 1 << heir != 0);
        heirs.map(|heir| self.bound(stop, heir)).max().unwrap_or(0)
    }

    fn are_together(&self, world: &World, a: usize, b: usize) -> bool {
        let is_master = |node| self.role(world, node) == Role::Master;
        is_master(a) && is_master(b) && world.hear_each_other(a, b)
    }

    /// `T`: the longest down interval of those that run, twice the delay, and the echo.
    fn settling(&self, world: &World) -> u8 {
        let running = (0..self.plan.nodes).filter(|node| self.role(world, *node) != Role::Down);
        let down = running.map(|node| self.plan.down_interval(node)).max().unwrap_or(0);
        down + 2 * DELAY + self.plan.echo()
    }

    /// Whether each component has one master, the best one unless nobody preempts. Where a cut is
    /// one-way or partial that is not promised.
    fn is_settled(&self, world: &World) -> bool {
        let running = || (0..self.plan.nodes).filter(|node| self.role(world, *node) != Role::Down);
        let mut left: u8 = running().fold(0, |all, node| all | 1 << node);
        let mut settled = true;
        while left != 0 {
            let component = component(world, left, left.trailing_zeros() as usize);
            left &= !component;
            let members = || running().filter(|node| component & 1 << node != 0);
            let whole = members().all(|a| members().all(|b| a == b || !world.is_cut(a, b)));
            if !whole {
                return true;
            }
            let mut masters = members().filter(|node| self.role(world, *node) == Role::Master);
            let (first, second) = (masters.next(), masters.next());
            let best = members().next();
            settled &= second.is_none() && first.is_some();
            settled &= self.plan.nopreempt || first == best;
        }
        settled
    }
}

/// Those of `among` that a node is connected to by whoever hears whom, itself included.
fn component(world: &World, among: u8, node: usize) -> u8 {
    let mut found: u8 = 1 << node;
    loop {
        let before = found;
        let members = (0..MAX_NODES).filter(|a| before & 1 << a != 0);
        for (a, b) in members.flat_map(|a| (0..MAX_NODES).map(move |b| (a, b))) {
            let linked = !world.is_cut(a, b) || !world.is_cut(b, a);
            if a != b && linked {
                found |= among & 1 << b;
            }
        }
        if found == before {
            return found;
        }
    }
}
