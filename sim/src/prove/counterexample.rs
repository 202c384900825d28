//! A counter-example as a scenario file, on which `vipsim run` fails.
//!
//! On the lattice many things happen in one instant, in an order that matters. A scenario says when
//! steps come and how long each advert takes, and timers follow from that; so every event gets an
//! offset of whole microseconds that puts it behind the one before it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use vipd_scenarios::judge::Verdict;
use vipd_scenarios::language::duration_text;
use vipd_scenarios::runner::{self, RunVerdict};
use vipd_scenarios::scenario::Scenario;

use crate::configurations::Configurations;
use crate::output::Output;
use crate::prove::claims::Violation;
use crate::prove::node::{Role, address};
use crate::prove::plan::Plan;
use crate::prove::world::{Fault, Message, Move, Phase, Space, World};
use crate::world::Simulation;

/// The first line of every file that is written here.
pub const HEADER: &str = "# Written by `vipsim prove`.";

/// A counter-example.
#[derive(Clone, Debug)]
pub struct Counterexample {
    /// What does not hold.
    pub violation: Violation,
    /// The faults, a line each with its time.
    pub faults: Vec<String>,
    /// The scenario file.
    pub scenario: String,
    /// The configuration that it names.
    pub configuration: String,
    /// Whether a run of it fails, as it must; `None` before it is played.
    pub fails: Option<bool>,
    /// The search was for what holds without the rules that `strict_mode` takes away.
    strict: bool,
}

/// Something that happens at a time.
#[derive(Default)]
struct Happening {
    /// In quanta.
    at: u32,
    /// Microseconds later.
    offset: u32,
    /// What it is in a scenario file: nothing, if it follows from the others.
    step: Option<String>,
    /// The happening that armed the timer which fires here.
    armed_by: Option<usize>,
    /// The one that armed a timer which is due in this instant and does not fire, for this came
    /// first.
    forestalls: Option<usize>,
}

/// An advert: on which path, which happening sent it, and which one is its arrival, if it arrives.
struct Advert {
    message: Message,
    sent: usize,
    arrived: Option<usize>,
}

/// Everything that happens on the way to a violation.
struct History<'a> {
    plan: &'a Plan,
    happenings: Vec<Happening>,
    adverts: Vec<Advert>,
    /// What armed the timer of each node.
    armed: Vec<usize>,
    /// Nodes without power.
    dark: Vec<bool>,
    /// In quanta.
    now: u32,
    /// Who is master at the end, the better ones first.
    masters: Vec<usize>,
}

impl Counterexample {
    /// Writes down the way to a violation, for a file of this name.
    #[must_use]
    pub fn new(plan: &Plan, violation: Violation, path: &[Move], name: &Path) -> Self {
        let mut history = History::of(plan, path);
        history.put_in_order();
        let configuration = name.with_extension("conf");
        let configuration = configuration.file_name().unwrap_or_default().to_string_lossy();
        let scenario = history.scenario(violation, &configuration);
        Self {
            violation,
            faults: history.faults(),
            scenario,
            configuration: plan.configuration(),
            fails: None,
            strict: plan.strict,
        }
    }

    /// Writes both files, or none of them, and plays the scenario.
    ///
    /// # Errors
    /// What to tell people: which file cannot be written or read, and why.
    pub fn write(&mut self, name: &Path) -> Result<(), String> {
        let mut configuration = Output::open(&name.with_extension("conf"))?;
        let mut scenario = Output::open(name)?;
        configuration.fill(self.configuration.as_bytes())?;
        scenario.fill(self.scenario.as_bytes())?;
        configuration.keep()?;
        scenario.keep()?;
        let played = Scenario::load(name).map_err(|error| error.to_string())?;
        let (configurations, _) = Configurations::load(&played);
        let mut world = Simulation::new(&played, configurations, played.seed);
        let outcome = runner::run(&played, &mut world, None, None);
        // A run that puts nothing to the test does not fail for what was found. Where a rule was
        // taken away, one does in which the rules have no answer.
        let is_found = |verdict| match verdict {
            Verdict::Violated => true,
            Verdict::NotProvided => self.strict,
            Verdict::Held | Verdict::NotExercised => false,
        };
        self.fails = Some(match self.violation.claim.property() {
            None => outcome.verdict == RunVerdict::Fail,
            Some(id) => outcome
                .properties
                .iter()
                .any(|judged| judged.report.id == id && is_found(judged.report.verdict)),
        });
        Ok(())
    }
}

impl<'a> History<'a> {
    /// Goes the way once more and notes what happens.
    fn of(plan: &'a Plan, path: &[Move]) -> Self {
        let mut space = Space::new(plan.clone());
        let mut world = space.beginning();
        let mut history = Self {
            plan,
            happenings: Vec::new(),
            adverts: Vec::new(),
            armed: (0..plan.nodes).collect(),
            dark: vec![false; plan.nodes],
            now: 0,
            masters: Vec::new(),
        };
        for node in 0..plan.nodes {
            history.note(Some(format!("start = \"{}\"", Plan::name(node))));
        }
        for step in path {
            let before = world.clone();
            space.apply(&mut world, *step);
            let armed = history.forestalled(&space, &before, &world, step);
            history.take(&space, &before, &world, step);
            if armed.is_some() {
                history.happenings.last_mut().expect("it was noted").forestalls = armed;
            }
        }
        let is_master = |node: &usize| space.role(&world, *node) == Role::Master;
        history.masters = (0..plan.nodes).filter(is_master).collect();
        history
    }

    /// What armed the timer that was due and, by this step, does not fire any more.
    fn forestalled(
        &self,
        space: &Space,
        before: &World,
        after: &World,
        step: &Move,
    ) -> Option<usize> {
        let node = match *step {
            Move::Deliver(message) => message.to,
            Move::Fault(0, Fault::Crash(node) | Fault::Stop(node)) => node,
            Move::Fault(..) | Move::Fire(_) | Move::Hold(_) | Move::Settle | Move::Wait(_) => {
                return None;
            }
        };
        let node = usize::from(node);
        let ceases = space.is_due(before, node) && !space.is_due(after, node);
        ceases.then_some(self.armed[node])
    }

    fn note(&mut self, step: Option<String>) -> usize {
        self.happenings.push(Happening { at: self.now, step, ..Happening::default() });
        self.happenings.len() - 1
    }

    /// Notes what a step does.
    fn take(&mut self, space: &Space, before: &World, after: &World, step: &Move) {
        match *step {
            Move::Hold(_) | Move::Settle => {}
            Move::Wait(quanta) => self.now += u32::from(quanta),
            Move::Fire(node) => {
                let place = self.note(None);
                let node = usize::from(node);
                self.happenings[place].armed_by = Some(self.armed[node]);
                self.armed[node] = place;
                self.note_sent(after, node, place);
            }
            Move::Deliver(message) => {
                let place = self.note(None);
                let (now, happenings) = (self.now, &self.happenings);
                let is_it = |advert: &&mut Advert| {
                    let is_due = happenings[advert.sent].at < now;
                    let alike = Message { phase: message.phase, ..advert.message } == message;
                    advert.arrived.is_none() && alike && is_due == (message.phase == Phase::Due)
                };
                let advert = self.adverts.iter_mut().find(is_it).expect("it is on its way");
                advert.arrived = Some(place);
                let node = usize::from(message.to);
                let sends = self.note_sent(after, node, place);
                let [was, is] = [before, after].map(|world| space.role(world, node));
                let obeys = message.resigns || self.plan.nopreempt || message.from < message.to;
                if sends || was != is || was == Role::Backup && obeys {
                    self.armed[node] = place;
                }
            }
            Move::Fault(quanta, fault) => {
                self.now += u32::from(quanta);
                let step = self.fault(before, fault);
                let place = self.note(Some(step));
                match fault {
                    Fault::Stop(node) => _ = self.note_sent(after, usize::from(node), place),
                    Fault::Start(node) => self.armed[usize::from(node)] = place,
                    Fault::Crash(_) | Fault::Flip(..) | Fault::Isolate(_) | Fault::Rejoin(_) => {}
                }
            }
        }
    }

    /// Notes the adverts that a node has just sent. False if there are none.
    fn note_sent(&mut self, after: &World, node: usize, place: usize) -> bool {
        let before = self.adverts.len();
        let sent_now =
            |message: &&Message| usize::from(message.from) == node && message.phase != Phase::Due;
        for message in after.flight().iter().filter(sent_now) {
            let is_it = |advert: &&Advert| {
                let alike = Message { phase: message.phase, ..advert.message } == *message;
                let is_new = self.happenings[advert.sent].at == self.now;
                alike && is_new && advert.arrived.is_none()
            };
            let known = self.adverts.iter().filter(is_it).count();
            let wanted = after.flight().iter().filter(|other| *other == message).count();
            if known < wanted {
                self.adverts.push(Advert { message: *message, sent: place, arrived: None });
            }
        }
        self.adverts.len() > before
    }

    /// A fault in the words of a scenario file.
    fn fault(&mut self, before: &World, fault: Fault) -> String {
        let name = |node: u8| Plan::name(usize::from(node));
        match fault {
            Fault::Crash(node) => {
                self.dark[usize::from(node)] = true;
                format!("power_off = \"{}\"", name(node))
            }
            Fault::Stop(node) => format!("stop = \"{}\"", name(node)),
            Fault::Start(node) => {
                let dark = std::mem::take(&mut self.dark[usize::from(node)]);
                format!("{} = \"{}\"", if dark { "power_on" } else { "start" }, name(node))
            }
            Fault::Flip(from, to) => {
                let healed = before.is_cut(usize::from(from), usize::from(to));
                let how = if healed { "heal" } else { "cut" };
                format!("{how} = \"{} -> {}\"", name(from), name(to))
            }
            Fault::Isolate(node) => format!("cut = \"{} <-> others\"", name(node)),
            Fault::Rejoin(node) => format!("heal = \"{} <-> others\"", name(node)),
        }
    }

    /// Gives each happening the smallest offset that keeps the order of each instant. A timer fires
    /// as late as it was armed, or would have, had nothing forestalled it. Where no offsets do (two
    /// nodes whose timers were armed and fire in opposite orders), the run shows it.
    fn put_in_order(&mut self) {
        for _ in 0..self.happenings.len() {
            let mut moved = false;
            for place in self.plan.nodes..self.happenings.len() {
                let Happening { at, armed_by, forestalls, mut offset, .. } = self.happenings[place];
                let previous = &self.happenings[place - 1];
                if previous.at == at {
                    offset = offset.max(previous.offset + 1);
                }
                if let Some(armed_by) = armed_by {
                    offset = offset.max(self.happenings[armed_by].offset);
                    moved |= self.happenings[armed_by].offset < offset;
                    self.happenings[armed_by].offset = offset;
                }
                moved |= self.happenings[place].offset < offset;
                self.happenings[place].offset = offset;
                if let Some(armed) = forestalls {
                    moved |= self.happenings[armed].offset <= offset;
                    let later = self.happenings[armed].offset.max(offset + 1);
                    self.happenings[armed].offset = later;
                }
            }
            if !moved {
                break;
            }
        }
    }

    fn time_of(&self, place: usize) -> Duration {
        let Happening { at, offset, .. } = &self.happenings[place];
        self.plan.time(*at) + Duration::from_micros((*offset).into())
    }

    /// Behind everything that happens.
    fn end(&self) -> Duration {
        let last = self.happenings.iter().map(|happening| happening.offset).max();
        self.plan.time(self.now) + Duration::from_micros(u64::from(last.unwrap_or(0)) + 2)
    }

    /// The faults, a line each.
    fn faults(&self) -> Vec<String> {
        let all = (self.plan.nodes..self.happenings.len()).filter_map(|place| {
            let step = self.happenings[place].step.as_ref()?;
            Some(format!("{:>12}  {}", duration_text(self.time_of(place)), step.replace(" =", "")))
        });
        all.collect()
    }

    /// Every step with its time, in order: what is done, and how long each advert takes that is
    /// sent afterwards.
    fn steps(&self) -> Vec<(Duration, String)> {
        let mut steps: Vec<_> = (0..self.happenings.len())
            .filter_map(|place| {
                let step = self.happenings[place].step.clone()?;
                Some((self.time_of(place), step))
            })
            .collect();
        // What does not arrive before the end arrives a moment after it.
        let after_the_end = self.end() + Duration::from_micros(1);
        let mut in_force = BTreeMap::new();
        for Advert { message: Message { from, to, .. }, sent, arrived } in &self.adverts {
            let sent = self.time_of(*sent);
            let arrived = arrived.map_or(after_the_end, |place| self.time_of(place));
            let delay = arrived.saturating_sub(sent);
            if in_force.insert((*from, *to), delay).unwrap_or(self.plan.time(1)) != delay {
                let [from, to] = [from, to].map(|node| Plan::name(usize::from(*node)));
                let delay = duration_text(delay);
                let conditions = format!("conditions = {{ delay = \"{delay}\", reorder = true }}");
                let before = sent.saturating_sub(Duration::from_nanos(500));
                steps.push((before, format!("{conditions}\non = \"{from} -> {to}\"")));
            }
        }
        steps.sort();
        steps
    }

    /// The scenario file.
    fn scenario(&self, violation: Violation, configuration: &str) -> String {
        let mut text = format!("{HEADER}\ntitle = \"{}: {violation}\"\n", violation.claim);
        let _ = writeln!(text, "until = \"{}\"", duration_text(self.end()));
        let quantum = duration_text(self.plan.time(1));
        let _ = writeln!(text, "\n[segment.lan]\ndelay = \"{quantum}\"\nreorder = true");
        for node in 0..self.plan.nodes {
            let (name, address) = (Plan::name(node), address(node));
            let _ = writeln!(text, "\n[host.{name}]\nconfig = \"{configuration}\"");
            let _ = writeln!(text, "started = false");
            let interface = format!("{{ segment = \"lan\", address = \"{address}/24\" }}");
            let _ = writeln!(text, "interfaces.eth0 = {interface}");
        }
        for (at, step) in self.steps() {
            let _ = writeln!(text, "\n[[step]]\nat = \"{}\"\n{step}", duration_text(at));
        }
        match (violation.claim.property(), self.masters.first()) {
            (Some(property), _) => {
                let _ = writeln!(text, "\n[properties]\nheld = [\"{property}\"]");
            }
            (None, best) => {
                let at = self.end() - Duration::from_micros(1);
                let best =
                    best.map_or_else(String::new, |node| format!("\"{}\"", Plan::name(*node)));
                let _ = writeln!(text, "\n# By now the last of them was to be alone.");
                let _ = writeln!(text, "[[expect]]\nat = \"{}\"", duration_text(at));
                let _ = writeln!(text, "masters = [{best}]");
            }
        }
        text
    }
}
