//! What becomes of a packet in a chain: it is accepted, dropped, or handed back; and which rules on
//! its way could not be decided.

use super::model::{Action, Chain, Packet, Rule, Ruleset, Step};

/// Chains inside chains that are followed; nft allows 16.
const DEPTH: usize = 16;
/// Rules that are looked at for one packet and chain: what a jump that is not decided may do is
/// looked up each time.
const MOST_RULES: usize = 1 << 20;

/// How a chain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End<'a> {
    Accepted,
    Dropped(&'a Chain, &'a Rule),
    /// No rule of it decided.
    Over,
}

/// A rule on the way of which nobody knows whether it applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undecided<'a> {
    pub chain: &'a Chain,
    pub rule: &'a Rule,
    /// It may let the packet through.
    pub accepts: bool,
    /// It may drop it.
    pub drops: bool,
    /// It names VRRP or its group: somebody meant it.
    pub is_meant: bool,
}

/// A packet on its way.
pub struct Walk<'a> {
    ruleset: &'a Ruleset,
    packet: &'a Packet,
    left: usize,
    pub undecided: Vec<Undecided<'a>>,
}

impl<'a> Walk<'a> {
    pub const fn new(ruleset: &'a Ruleset, packet: &'a Packet) -> Self {
        Self { ruleset, packet, left: MOST_RULES, undecided: Vec::new() }
    }

    /// Through this chain and those that it leads to.
    pub fn through(&mut self, chain: &'a Chain) -> End<'a> {
        self.deeper(chain, DEPTH)
    }

    fn deeper(&mut self, chain: &'a Chain, depth: usize) -> End<'a> {
        for rule in &chain.rules {
            let Some(left) = self.left.checked_sub(1) else {
                self.doubt(chain, rule, &[&Action::Unclear], depth);
                return End::Over;
            };
            self.left = left;
            let (certain, actions) = self.actions(rule);
            let [action] = actions[..] else {
                self.doubt(chain, rule, &actions, depth);
                continue;
            };
            if !certain {
                self.doubt(chain, rule, &[action], depth);
                continue;
            }
            match action {
                Action::Accept => return End::Accepted,
                Action::Drop => return End::Dropped(chain, rule),
                Action::Return => return End::Over,
                Action::Continue => {}
                Action::Jump(target) | Action::Goto(target) => {
                    match self.named(chain, target).filter(|_| depth > 0) {
                        Some(next) => match self.deeper(next, depth - 1) {
                            End::Over if matches!(action, Action::Goto(_)) => return End::Over,
                            End::Over => {}
                            end => return end,
                        },
                        None => self.doubt(chain, rule, &[&Action::Unclear], depth),
                    }
                }
                Action::Unclear => self.doubt(chain, rule, &[action], depth),
            }
        }
        End::Over
    }

    /// What a rule may do with the packet, and whether it certainly does. None: nothing.
    fn actions(&self, rule: &'a Rule) -> (bool, Vec<&'a Action>) {
        let mut certain = true;
        for step in &rule.steps {
            match step {
                Step::If(condition) => match condition.holds(self.packet) {
                    Some(true) => {}
                    Some(false) => return (true, Vec::new()),
                    None => certain = false,
                },
                Step::Do(action) => return (certain, vec![action]),
                Step::Select(cases) => {
                    let mut possible = Vec::new();
                    for (condition, action) in cases {
                        match condition.holds(self.packet) {
                            Some(true) => {
                                possible.push(action);
                                return (certain && possible.len() == 1, possible);
                            }
                            Some(false) => {}
                            None => possible.push(action),
                        }
                    }
                    return (false, possible);
                }
            }
        }
        (true, Vec::new())
    }

    /// Remembers a rule that may do any of these.
    fn doubt(&mut self, chain: &'a Chain, rule: &'a Rule, actions: &[&'a Action], depth: usize) {
        let (mut accepts, mut drops) = (false, false);
        for action in actions {
            let (may_accept, may_drop) = match action {
                Action::Accept => (true, false),
                Action::Drop => (false, true),
                Action::Continue => (false, false),
                // Rules behind it may be passed over, whatever they do.
                Action::Return | Action::Unclear => (true, true),
                Action::Jump(target) | Action::Goto(target) => self.may(chain, target, depth),
            };
            accepts |= may_accept;
            drops |= may_drop;
        }
        let is_meant = rule.steps.iter().any(|step| match step {
            Step::If(condition) => condition.is_about(self.packet),
            Step::Do(_) | Step::Select(_) => false,
        });
        if accepts || drops {
            self.undecided.push(Undecided { chain, rule, accepts, drops, is_meant });
        }
    }

    /// Whether a chain may accept, and whether it may drop.
    fn may(&mut self, from: &Chain, target: &str, depth: usize) -> (bool, bool) {
        let Some(next) = self.named(from, target).filter(|_| depth > 0) else {
            return (true, true);
        };
        let mut there = Walk { left: self.left, ..Walk::new(self.ruleset, self.packet) };
        let end = there.deeper(next, depth - 1);
        self.left = there.left;
        let accepts = there.undecided.iter().any(|one| one.accepts);
        let drops = there.undecided.iter().any(|one| one.drops);
        (accepts || end == End::Accepted, drops || matches!(end, End::Dropped(..)))
    }

    fn named(&self, from: &Chain, name: &str) -> Option<&'a Chain> {
        let chains = self.ruleset.chains.iter();
        let mut same = chains.filter(|one| one.table == from.table && one.family == from.family);
        same.find(|one| one.name == name)
    }
}
