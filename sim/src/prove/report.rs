//! What `vipsim prove` prints: always with the lattice, for without it "complete" says nothing.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use vipd_scenarios::language::duration_text;

use crate::prove::counterexample::Counterexample;
use crate::prove::plan::{Claim, DELAY, Delays, INTERVAL, Plan};
use crate::prove::search::{Cut, Found};

/// A search that is over.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// What was searched.
    pub plan: &'a Plan,
    /// What was found.
    pub found: &'a Found,
    /// The counter-example, written down.
    pub counterexample: Option<&'a Counterexample>,
    /// Where it was written.
    pub file: Option<&'a Path>,
    /// How long it took here.
    pub wall: Duration,
}

/// What a search says of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Holds,
    Refuted,
    Undecided,
}

impl Verdict {
    const fn name(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Refuted => "refuted",
            Self::Undecided => "undecided",
        }
    }
}

const FAULTS: &str =
    "crash, clean stop, start, one direction cut or healed, a node isolated or rejoined";
const ORDER: &str = "what happens in one instant happens in every order";
const INSTANTS: &str = "at every quantum, before, between and after what happens then";

impl Report<'_> {
    /// For people.
    #[must_use]
    pub fn text(self) -> String {
        let Self { plan, found, .. } = self;
        let mut text = String::new();
        let _ = writeln!(text, "{} nodes, {} faults at most: {FAULTS}", plan.nodes, plan.faults);
        let interval = duration_text(INTERVAL);
        let quantum = duration_text(plan.lattice.quantum());
        let quanta = plan.lattice.quanta();
        let priorities: Vec<_> = self.priorities().iter().map(u8::to_string).collect();
        let _ = writeln!(
            text,
            "lattice: A = {interval}, quantum A/{quanta} = {quantum}, priorities {}",
            priorities.join(", ")
        );
        let delays = match plan.delays {
            Delays::ZeroOrOne => "0 or 1 quantum",
            Delays::One => "1 quantum, never less",
        };
        let _ = writeln!(text, "  each advert takes {delays} (D = {quantum}); {ORDER}");
        let _ = writeln!(text, "  faults fall {INSTANTS}");
        let _ =
            writeln!(text, "  all nodes start together, every link is whole; nothing is ever late");
        let _ = writeln!(text, "rules: {}\n", self.rules());
        let _ = writeln!(text, "{:>8}  {:>14}  {:>14}", "faults", "states", "steps");
        for layer in &found.layers {
            let _ =
                writeln!(text, "{:>8}  {:>14}  {:>14}", layer.faults, layer.states, layer.steps);
        }
        let _ = writeln!(text, "{:>8}  {:>14}  {:>14}\n", "all", found.states(), found.steps());
        for claim in &plan.claims {
            let verdict = self.verdict(*claim).name();
            let _ = writeln!(text, "{:16}  {verdict:9}  {}", claim.name(), self.bound(*claim));
        }
        self.show_counterexample(&mut text);
        let ended = self.ended().map_or_else(String::new, |why| format!(" ({why})"));
        let complete = if found.is_complete() { "yes" } else { "no" };
        let _ = writeln!(text, "\ncomplete: {complete}{ended}");
        let seconds = self.wall.as_secs_f64();
        let _ = writeln!(
            text,
            "took {seconds:.1} s ({:.0} states/s), about {} MB at most, {} states of single nodes",
            found.states() as f64 / seconds.max(1e-9),
            found.peak / 1_000_000,
            found.node_states
        );
        text
    }

    fn show_counterexample(self, text: &mut String) {
        let Some(found) = self.counterexample else { return };
        let _ = writeln!(text, "\n{}: {}", found.violation.claim, found.violation);
        for fault in &found.faults {
            let _ = writeln!(text, "{fault}");
        }
        let _ = match (self.file, found.fails) {
            (_, Some(false)) => writeln!(
                text,
                "its scenario does not fail: it rests on an order in one instant that no run has"
            ),
            (Some(file), Some(true) | None) => writeln!(text, "see: vipsim run {}", file.display()),
            (None, Some(true) | None) => {
                writeln!(text, "with --out FILE.toml it is a scenario to run")
            }
        };
    }

    /// For programs. Every key is always there; null where there is nothing. Only `wall_seconds`
    /// differs between two searches of one plan that come to their end.
    #[must_use]
    pub fn json(self) -> Value {
        let Self { plan, found, .. } = self;
        let nanos = |duration: Duration| duration.as_nanos() as u64;
        let delays = plan.delays.quanta().iter().map(|quanta| nanos(plan.time((*quanta).into())));
        let layers = found.layers.iter().map(
            |layer| json!({ "faults": layer.faults, "states": layer.states, "steps": layer.steps }),
        );
        let properties = plan.claims.iter().map(|claim| {
            json!({
                "id": claim.name(),
                "bound": self.bound(*claim),
                "verdict": self.verdict(*claim).name(),
            })
        });
        json!({
            "nodes": plan.nodes,
            "faults": plan.faults,
            "lattice": {
                "interval_ns": nanos(INTERVAL),
                "quantum_ns": nanos(plan.lattice.quantum()),
                "delays_ns": delays.collect::<Vec<_>>(),
                "priorities": self.priorities(),
                "faults": FAULTS,
                "fault_instants": INSTANTS,
            },
            "strict": plan.strict,
            "nopreempt": plan.nopreempt,
            "reduced": plan.reduce,
            "complete": found.is_complete(),
            "ended": self.ended(),
            "properties": properties.collect::<Vec<_>>(),
            "layers": layers.collect::<Vec<_>>(),
            "states": found.states(),
            "steps": found.steps(),
            "node_states": found.node_states,
            "peak_octets": found.peak,
            "counterexample": self.counterexample.map(|found| json!({
                "property": found.violation.claim.name(),
                "text": found.violation.to_string(),
                "faults": found.faults.iter().map(|line| line.trim()).collect::<Vec<_>>(),
                "file": self.file.map(|file| file.display().to_string()),
                "fails": found.fails,
            })),
            "wall_seconds": self.wall.as_secs_f64(),
        })
    }

    fn priorities(self) -> Vec<u8> {
        (0..self.plan.nodes).map(|node| self.plan.priority(node)).collect()
    }

    fn rules(self) -> String {
        let rules = if self.plan.strict { "strict_mode" } else { "as by default" };
        let preempt = if self.plan.nopreempt { ", nopreempt" } else { "" };
        let reduced = if self.plan.reduce { "" } else { "; nothing is left out" };
        format!("{rules}{preempt}{reduced}")
    }

    fn verdict(self, claim: Claim) -> Verdict {
        match &self.found.counterexample {
            Some((violation, _)) if violation.claim == claim => Verdict::Refuted,
            None if self.found.is_complete() => Verdict::Holds,
            Some(_) | None => Verdict::Undecided,
        }
    }

    /// The bound of a claim, in words.
    fn bound(self, claim: Claim) -> String {
        let text = |quanta: u8| duration_text(self.plan.time(quanta.into()));
        let last = self.plan.nodes - 1;
        match claim {
            Claim::S1 | Claim::SomeTwoMasters => {
                let [bound, returned] = [false, true].map(|it| text(self.plan.overlap(it)));
                let more = if self.plan.strict {
                    String::new()
                } else {
                    format!(", A + 2D = {returned} if one had just resigned and returned")
                };
                format!("W = A + D = {bound}{more}")
            }
            Claim::S7 => {
                let longest = self.plan.down_interval(last) + 2 * DELAY + self.plan.echo();
                let echo = match self.plan.echo() {
                    0 => "",
                    _ => " + (N-1)D",
                };
                format!("T = M_max + 2D{echo}, {} if all of them run", text(longest))
            }
            Claim::L2 => {
                let [best, worst] = [1, last].map(|node| text(Plan::skew(node) + DELAY));
                format!("Skew + D = {best} to {worst}, A more if an older advert comes later")
            }
        }
    }

    const fn ended(self) -> Option<&'static str> {
        match (self.found.cut, &self.found.counterexample) {
            (Some(Cut::Interrupted), _) => Some("interrupted"),
            (Some(Cut::Memory), _) => Some("memory"),
            (None, Some(_)) => Some("counterexample"),
            (None, None) => None,
        }
    }
}
