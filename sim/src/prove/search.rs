//! Breadth-first through every state of the world: fewest faults first, then fewest steps, so that
//! the first counter-example is a shortest one.
//!
//! States with one more fault are never states with one fewer, so each number of faults is a layer
//! of its own, and what a finished layer has met is forgotten.

use xxhash_rust::xxh3::xxh3_128;

use crate::prove::claims::Violation;
use crate::prove::plan::Plan;
use crate::prove::visited::Visited;
use crate::prove::world::{Move, Space, World};

/// Between two looks at the clock of memory and at Ctrl-C.
const SLICE: u64 = 1024;
/// A machine of a node: its engine has a table of 512 lists.
const MACHINE: usize = 20 << 10;
/// A state of a node, its edges and its place in the index.
const NODE: usize = 320;
/// Where only one step is possible it is taken at once, this often at most: a lonely master goes on
/// for ever.
const STRAIGHT: usize = 64;

/// What one number of faults came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layer {
    /// How many faults there were before each of these states.
    pub faults: u8,
    /// States, each counted once.
    pub states: u64,
    /// Steps that were tried.
    pub steps: u64,
}

/// Why a search ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Somebody interrupted it.
    Interrupted,
    /// It would need more memory than it may take.
    Memory,
}

/// What a search found.
#[derive(Clone, Debug)]
pub struct Found {
    /// By number of faults, the last one perhaps not whole.
    pub layers: Vec<Layer>,
    /// The first claim that does not hold, and the steps to it.
    pub counterexample: Option<(Violation, Vec<Move>)>,
    /// Why it ended early, if it did.
    pub cut: Option<Cut>,
    /// Most octets that it took at a time, about.
    pub peak: usize,
    /// States of single nodes that were met.
    pub node_states: usize,
}

impl Found {
    /// Whether every state was looked at.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.cut.is_none() && self.counterexample.is_none()
    }

    /// How many different states were met.
    #[must_use]
    pub fn states(&self) -> u64 {
        self.layers.iter().map(|layer| layer.states).sum()
    }

    /// How many steps were tried.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.layers.iter().map(|layer| layer.steps).sum()
    }
}

/// Looks at every state that `plan` has, within so many octets, until `stop` says yes. `tell` hears
/// of each layer when it is done.
pub fn search(
    plan: Plan,
    memory: usize,
    stop: &dyn Fn() -> bool,
    tell: &mut dyn FnMut(&Layer),
) -> Found {
    let mut search = Search {
        space: Space::new(plan),
        layer: Layer::default(),
        here: Front::default(),
        next: Front::default(),
        trail: Vec::new(),
        octets: Vec::new(),
        ways: Vec::new(),
        peak: 0,
    };
    let mut layers = Vec::new();
    let mut ended = search.begin();
    while ended.is_none() {
        ended = search.whole_layer(memory, stop);
        search.layer.states = search.here.visited.len() as u64;
        if ended.is_none() {
            tell(&search.layer);
        }
        layers.push(search.layer);
        if search.layer.faults == search.space.plan.faults {
            break;
        }
        let faults = search.layer.faults + 1;
        search.layer = Layer { faults, ..Layer::default() };
        search.here = std::mem::take(&mut search.next);
    }
    let (counterexample, cut) = match ended {
        Some(Ended::Violated(violation, at, last)) => {
            (Some((violation, search.path(at, last))), None)
        }
        Some(Ended::Cut(cut)) => (None, Some(cut)),
        None => (None, None),
    };
    search.measure();
    let (node_states, _) = search.space.nodes.counts();
    Found { layers, counterexample, cut, peak: search.peak, node_states }
}

/// How one state was reached: from which one, by which of its moves.
#[derive(Clone, Copy)]
struct Step {
    from: u32,
    choice: u16,
}

/// Where the trail begins.
const ROOT: u32 = u32::MAX;

/// What is to be looked at of one layer.
#[derive(Default)]
struct Front {
    visited: Visited,
    /// By number of steps: states in octets, each behind its length, its time of calm and its place
    /// in the trail.
    waiting: Vec<Vec<u8>>,
    octets: usize,
}

enum Ended {
    /// A claim does not hold after this state and this move.
    Violated(Violation, u32, u16),
    Cut(Cut),
}

struct Search {
    space: Space,
    layer: Layer,
    here: Front,
    next: Front,
    trail: Vec<Step>,
    /// Room for one state.
    octets: Vec<u8>,
    /// Room for the moves of a state that may have one alone.
    ways: Vec<Move>,
    peak: usize,
}

impl Search {
    fn begin(&mut self) -> Option<Ended> {
        let mut world = self.space.beginning();
        if let Err(violation) = self.go_straight(&mut world) {
            return Some(Ended::Violated(violation, ROOT, 0));
        }
        if self.is_new(&world) {
            self.keep(&world, ROOT, 0, 0);
        }
        None
    }

    fn whole_layer(&mut self, memory: usize, stop: &dyn Fn() -> bool) -> Option<Ended> {
        let (mut moves, mut looked_at) = (Vec::new(), 0_u64);
        let mut depth = 0;
        while depth < self.here.waiting.len() {
            let bucket = std::mem::take(&mut self.here.waiting[depth]);
            let mut rest = &bucket[..];
            while let Some((record, after)) = Record::read(rest) {
                rest = after;
                let hash = xxh3_128(record.octets);
                if self.here.visited.calm(hash) > record.calm {
                    continue;
                }
                if let Some(ended) = self.look(&record, depth, &mut moves) {
                    return Some(ended);
                }
                looked_at += 1;
                if looked_at.is_multiple_of(SLICE) {
                    self.measure();
                    if stop() {
                        return Some(Ended::Cut(Cut::Interrupted));
                    }
                    if self.peak > memory {
                        return Some(Ended::Cut(Cut::Memory));
                    }
                }
            }
            self.here.octets -= bucket.capacity();
            depth += 1;
        }
        None
    }

    /// Tries every move of one state.
    fn look(&mut self, record: &Record<'_>, depth: usize, moves: &mut Vec<Move>) -> Option<Ended> {
        let mut world = World::unpack(&self.space.plan, record.octets);
        world.clocks.calm = record.calm;
        self.space.moves(&world, moves);
        for (choice, step) in moves.iter().enumerate() {
            let mut after = world.clone();
            self.layer.steps += 1;
            if let Some(violation) = self.space.apply(&mut after, *step) {
                return Some(Ended::Violated(violation, record.place, choice as u16));
            }
            if !self.is_new(&after) {
                continue;
            }
            match self.go_straight(&mut after) {
                Ok(0) => {}
                Ok(_) if !self.is_new(&after) => continue,
                Ok(_) => {}
                Err(violation) => {
                    return Some(Ended::Violated(violation, record.place, choice as u16));
                }
            }
            self.keep(&after, record.place, choice as u16, depth + 1);
        }
        None
    }

    /// Goes on while there is one way alone, once there are no faults left. Says how many steps
    /// that were.
    fn go_straight(&mut self, world: &mut World) -> Result<usize, Violation> {
        for steps in 0..STRAIGHT {
            let Some(step) = self.space.only_way(world, &mut self.ways) else { return Ok(steps) };
            self.layer.steps += 1;
            if let Some(violation) = self.space.apply(world, step) {
                return Err(violation);
            }
        }
        Ok(STRAIGHT)
    }

    /// Notes a state. Whether it is to be looked at: neither it was met before, nor did a straight
    /// way lead over it.
    fn is_new(&mut self, world: &World) -> bool {
        self.octets.clear();
        world.pack(&self.space.plan, &mut self.octets);
        let is_next = world.faults != self.layer.faults;
        let front = if is_next { &mut self.next } else { &mut self.here };
        front.visited.meet(xxh3_128(&self.octets), world.clocks.calm)
    }

    /// Keeps the state that was noted last, to be looked at.
    fn keep(&mut self, world: &World, from: u32, choice: u16, depth: usize) {
        let is_next = world.faults != self.layer.faults;
        let front = if is_next { &mut self.next } else { &mut self.here };
        let place = self.trail.len() as u32;
        assert!(place != ROOT, "the trail has no room for more states");
        self.trail.push(Step { from, choice });
        if front.waiting.len() <= depth {
            front.waiting.resize_with(depth + 1, Vec::new);
        }
        let bucket = &mut front.waiting[depth];
        front.octets -= bucket.capacity();
        Record { octets: &self.octets, calm: world.clocks.calm, place }.write(bucket);
        front.octets += bucket.capacity();
    }

    /// The steps from the beginning to a state and over one more move.
    fn path(&mut self, at: u32, last: u16) -> Vec<Move> {
        let mut choices = vec![last];
        let mut at = at;
        while at != ROOT {
            let Step { from, choice } = self.trail[at as usize];
            choices.push(choice);
            at = from;
        }
        // The first state was chosen by nobody.
        choices.pop();
        let mut world = self.space.beginning();
        let (mut moves, mut path) = (Vec::new(), Vec::new());
        for choice in choices.iter().rev().map(Some).chain([None]) {
            for _ in 0..STRAIGHT {
                let Some(step) = self.space.only_way(&world, &mut moves) else { break };
                path.push(step);
                if self.space.apply(&mut world, step).is_some() {
                    return path;
                }
            }
            let Some(choice) = choice else { break };
            self.space.moves(&world, &mut moves);
            path.push(moves[usize::from(*choice)]);
            if self.space.apply(&mut world, moves[usize::from(*choice)]).is_some() {
                return path;
            }
        }
        path
    }

    /// What it takes now.
    fn measure(&mut self) {
        let (states, machines) = self.space.nodes.counts();
        let fronts = [&self.here, &self.next];
        let fronts = fronts.map(|front| front.visited.octets() + front.octets);
        let trail = self.trail.capacity() * size_of::<Step>();
        let now = fronts.iter().sum::<usize>() + trail + states * NODE + machines * MACHINE;
        self.peak = self.peak.max(now);
    }
}

impl Space {
    /// Whether a state is worth looking at only if there are several ways from it: no fault can
    /// come now.
    fn goes_straight(&self, world: &World) -> bool {
        self.plan.reduce && (world.settling || world.faults == self.plan.faults)
    }

    /// The only step that such a state can take.
    fn only_way(&self, world: &World, moves: &mut Vec<Move>) -> Option<Move> {
        if !self.goes_straight(world) {
            return None;
        }
        self.moves(world, moves);
        if let [only] = moves[..] { Some(only) } else { None }
    }
}

/// A state that waits to be looked at.
struct Record<'a> {
    octets: &'a [u8],
    calm: u8,
    place: u32,
}

impl<'a> Record<'a> {
    fn write(&self, bucket: &mut Vec<u8>) {
        bucket.push(u8::try_from(self.octets.len()).expect("a state has few octets"));
        bucket.push(self.calm);
        bucket.extend_from_slice(&self.place.to_le_bytes());
        bucket.extend_from_slice(self.octets);
    }

    /// The first one of a bucket, and what is behind it.
    fn read(bucket: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let ([len, calm], rest) = bucket.split_first_chunk()?;
        let (place, rest) = rest.split_first_chunk()?;
        let (octets, rest) = rest.split_at(usize::from(*len));
        Some((Self { octets, calm: *calm, place: u32::from_le_bytes(*place) }, rest))
    }
}
