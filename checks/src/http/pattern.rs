//! A regular expression over a body that passes by: each octet is looked at once and none is kept,
//! so that neither the length of the body nor how it is cut can matter.
//!
//! The crate `regex` wants its haystack in one piece. Only its compiler is used here; the automaton
//! is followed in parallel (Thompson's construction), which answers whether there is a match that
//! begins where it may. Where matches begin and end is not asked.

use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem;

use regex_automata::nfa::thompson::{Compiler, Config, NFA, State, WhichCaptures};
use regex_automata::util::look::Look;
use regex_automata::util::primitives::StateID;
use regex_syntax::{Error, ParserBuilder};
use vipd_engine::config::health;

use crate::Unusable;

/// Most octets of a compiled pattern. A search takes less than that again.
pub const PATTERN_SIZE_MAX: usize = 256 * 1024;

/// A pattern, compiled.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    automaton: NFA,
    /// By octet: whether a match can begin with it. Most of a body is passed over by this alone.
    begins_with: [bool; 256],
    min_offset: u64,
    /// A match begins before it.
    end_offset: Option<u64>,
    pub(super) must_not_match: bool,
}

impl Pattern {
    /// A body may be anything, so a match need not be text. What `(?-u)` switches off is on, as in
    /// the crate itself.
    pub(super) fn new(pattern: &health::Pattern) -> Result<Self, Unusable> {
        let mut parser = ParserBuilder::new().utf8(false).build();
        let syntax = parser.parse(&pattern.expression).map_err(|error| syntax_error(&error))?;
        if syntax.properties().look_set().contains_word_unicode() {
            let why = r"a word boundary of Unicode; `(?-u:\b)` is one of ASCII".to_string();
            return Err(Unusable::PatternSyntax { at: 0, why });
        }
        let limits = Config::new()
            .utf8(false)
            .which_captures(WhichCaptures::None)
            .nfa_size_limit(Some(PATTERN_SIZE_MAX));
        let automaton = Compiler::new()
            .configure(limits)
            .build_from_hir(&syntax)
            .map_err(|_| Unusable::PatternTooLarge)?;
        Ok(Self {
            begins_with: begins_with(&automaton),
            automaton,
            min_offset: u64::from(pattern.min_offset),
            end_offset: pattern.max_offset.map(u64::from),
            must_not_match: pattern.must_not_match,
        })
    }
}

/// All octets, if there is a match that takes none. Assertions are taken to hold.
fn begins_with(automaton: &NFA) -> [bool; 256] {
    let mut visited = States::new(automaton.states().len());
    let mut pending = alloc::vec![automaton.start_anchored()];
    let mut begins_with = [false; 256];
    while let Some(id) = pending.pop() {
        if !visited.insert(id) {
            continue;
        }
        let takes: &dyn Fn(u8) -> bool = match automaton.state(id) {
            State::ByteRange { trans } => &|octet| trans.matches_byte(octet),
            State::Sparse(ways) => &|octet| ways.matches_byte(octet).is_some(),
            State::Dense(ways) => &|octet| ways.matches_byte(octet).is_some(),
            State::Match { .. } => &|_| true,
            epsilon => {
                follow(epsilon, &mut pending, |_| true);
                continue;
            }
        };
        for octet in 0..=u8::MAX {
            begins_with[usize::from(octet)] |= takes(octet);
        }
    }
    begins_with
}

/// Puts where a state leads to that takes no octet.
fn follow(state: &State, pending: &mut Vec<StateID>, holds: impl Fn(Look) -> bool) {
    match state {
        State::Look { look, next } if holds(*look) => pending.push(*next),
        State::Union { alternates } => pending.extend_from_slice(alternates),
        State::BinaryUnion { alt1, alt2 } => pending.extend_from_slice(&[*alt1, *alt2]),
        State::Capture { next, .. } => pending.push(*next),
        State::Look { .. } | State::Fail => {}
        // These take one, or are the end.
        State::ByteRange { .. } | State::Sparse(_) | State::Dense(_) | State::Match { .. } => {}
    }
}

fn syntax_error(error: &Error) -> Unusable {
    let (at, why) = match error {
        Error::Parse(error) => (error.span().start.offset, error.kind().to_string()),
        Error::Translate(error) => (error.span().start.offset, error.kind().to_string()),
        other => (0, other.to_string()),
    };
    Unusable::PatternSyntax { at, why }
}

/// States, each once, in the order in which they were put in.
#[derive(Clone, Debug)]
struct States {
    members: Vec<StateID>,
    present: Vec<bool>,
}

impl States {
    fn new(count: usize) -> Self {
        Self { members: Vec::new(), present: alloc::vec![false; count] }
    }

    /// Whether it was not there.
    fn insert(&mut self, id: StateID) -> bool {
        let present = &mut self.present[id.as_usize()];
        if *present {
            return false;
        }
        *present = true;
        self.members.push(id);
        true
    }

    fn clear(&mut self) {
        for id in self.members.drain(..) {
            self.present[id.as_usize()] = false;
        }
    }
}

/// The search through one body.
#[derive(Clone, Debug)]
pub(super) struct Search {
    pattern: Arc<Pattern>,
    /// Octets that passed.
    offset: u64,
    last: Option<u8>,
    /// Where the automaton stands before the next octet.
    standing: States,
    next: States,
    visited: States,
    found: bool,
}

impl Search {
    pub(super) fn new(pattern: Arc<Pattern>) -> Self {
        let count = pattern.automaton.states().len();
        let states = States::new(count);
        let (standing, next, visited) = (states.clone(), states.clone(), states);
        Self { pattern, offset: 0, last: None, standing, next, visited, found: false }
    }

    /// The body goes on. Whether a match was found, now or before.
    pub(super) fn pass(&mut self, octets: &[u8]) -> bool {
        for octet in octets {
            if self.found || self.is_over() {
                break;
            }
            let idle = self.standing.members.is_empty();
            if !idle || self.pattern.begins_with[usize::from(*octet)] {
                self.boundary(Some(*octet));
            }
            self.offset = self.offset.saturating_add(1);
            self.last = Some(*octet);
        }
        self.found
    }

    /// The body ends. Whether there is a match in it.
    pub(super) fn end(&mut self) -> bool {
        if !self.found && !self.is_over() {
            self.boundary(None);
        }
        self.found
    }

    pub(super) fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// None began that could still become a match, and none may begin any more.
    fn is_over(&self) -> bool {
        self.standing.members.is_empty()
            && self.pattern.end_offset.is_some_and(|end| self.offset >= end)
    }

    /// Between two octets: what holds here is followed, then `octet` is taken.
    fn boundary(&mut self, octet: Option<u8>) {
        let begins = self.offset >= self.pattern.min_offset
            && self.pattern.end_offset.is_none_or(|end| self.offset < end);
        let automaton = &self.pattern.automaton;
        // Assertions look at one octet on each side.
        let around = [self.last, octet].map(|side| side.unwrap_or(0));
        let around = &around[usize::from(self.last.is_none())..1 + usize::from(octet.is_some())];
        let here = usize::from(self.last.is_some());
        let holds = |look: Look| automaton.look_matcher().matches(look, around, here);

        self.visited.clear();
        self.next.clear();
        let mut pending = mem::take(&mut self.standing.members);
        pending.iter().for_each(|id| self.standing.present[id.as_usize()] = false);
        if begins {
            pending.push(automaton.start_anchored());
        }
        while let Some(id) = pending.pop() {
            if !self.visited.insert(id) {
                continue;
            }
            let next = match (automaton.state(id), octet) {
                (State::ByteRange { trans }, Some(octet)) => {
                    trans.matches_byte(octet).then_some(trans.next)
                }
                (State::Sparse(ways), Some(octet)) => ways.matches_byte(octet),
                (State::Dense(ways), Some(octet)) => ways.matches_byte(octet),
                (State::Match { .. }, _) => {
                    self.found = true;
                    return;
                }
                (other, _) => {
                    follow(other, &mut pending, holds);
                    None
                }
            };
            if let Some(next) = next {
                self.next.insert(next);
            }
        }
        self.standing.members = pending;
        mem::swap(&mut self.standing, &mut self.next);
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::*;

    fn pattern(expression: &str, min_offset: u32, max_offset: Option<u32>) -> health::Pattern {
        let expression = String::from(expression);
        health::Pattern { expression, must_not_match: false, min_offset, max_offset }
    }

    fn finds(pattern: &health::Pattern, pieces: &[&[u8]]) -> bool {
        let mut search = Search::new(Arc::new(Pattern::new(pattern).expect("a pattern")));
        for piece in pieces {
            search.pass(piece);
        }
        search.end()
    }

    #[test]
    fn a_match_is_found_across_pieces() {
        assert!(finds(&pattern("all is well", 0, None), &[b"... all i", b"", b"s w", b"ell"]));
        assert!(!finds(&pattern("all is well", 0, None), &[b"all is", b"well"]));
    }

    #[test]
    fn a_match_begins_no_earlier_than_the_least_offset() {
        assert!(finds(&pattern("ok", 3, None), &[b"...ok"]));
        assert!(!finds(&pattern("ok", 4, None), &[b"...ok"]));
        assert!(finds(&pattern("ok", 4, None), &[b"...ok.ok"]));
    }

    #[test]
    fn a_match_begins_before_the_last_offset_and_may_end_behind_it() {
        assert!(finds(&pattern("ok", 0, Some(4)), &[b"...ok"]));
        assert!(!finds(&pattern("ok", 0, Some(3)), &[b"...ok"]));
        // Neither beside one that began before and came to nothing.
        assert!(!finds(&pattern(".x|ok", 0, Some(3)), &[b"...ok"]));
    }

    #[test]
    fn ends_are_those_of_the_body_and_not_of_a_piece() {
        assert!(!finds(&pattern("^b", 0, None), &[b"a", b"b"]));
        assert!(!finds(&pattern("a$", 0, None), &[b"a", b"b"]));
        assert!(finds(&pattern("b$", 0, None), &[b"a", b"b"]));
        assert!(finds(&pattern(r"(?mR)^b$", 0, None), &[b"a\r", b"\nb\r", b"\nc"]));
        assert!(!finds(&pattern(r"(?-u)a\b", 0, None), &[b"a", b"b"]));
        assert!(finds(&pattern(r"(?-u)a\b", 0, None), &[b"a", b" "]));
    }

    #[test]
    fn an_empty_body_is_matched_by_what_matches_nothing() {
        assert!(finds(&pattern("", 0, None), &[]));
        assert!(finds(&pattern("^$", 0, None), &[b""]));
        assert!(!finds(&pattern("x", 0, None), &[]));
        assert!(!finds(&pattern("", 1, None), &[]));
    }

    #[test]
    fn a_match_may_be_longer_than_anything_that_is_kept() {
        let long = alloc::vec![b'x'; 100_000];
        assert!(finds(&pattern("(?s)begin.*end", 0, None), &[b"begin", &long, b"end"]));
    }

    #[test]
    fn what_comes_behind_the_last_offset_is_not_looked_at() {
        let pattern = pattern("ok", 0, Some(4));
        let mut search = Search::new(Arc::new(Pattern::new(&pattern).expect("a pattern")));
        search.pass(&[b'.'; 100]);
        assert!(search.offset < 8, "{}", search.offset);
    }

    #[test]
    fn octets_that_are_no_text_are_matched_as_octets() {
        assert!(finds(&pattern(r"(?s-u:\xff.)", 0, None), &[b"\xff", b"\0"]));
        assert!(finds(&pattern("(?i)GRÜN", 0, None), &["grü".as_bytes(), b"n"]));
        assert!(!finds(&pattern("(?i-u)GRÜN", 0, None), &["grün".as_bytes()]));
    }

    #[test]
    fn a_pattern_that_cannot_be_read_is_refused_where_it_goes_wrong() {
        let error = Pattern::new(&pattern("ab(c", 0, None)).expect_err("refused");
        let Unusable::PatternSyntax { at, why } = error else { panic!("{error:?}") };
        assert_eq!((at, why.as_str()), (2, "unclosed group"));
        let error = Pattern::new(&pattern(r"\bx", 0, None)).expect_err("refused");
        assert!(matches!(error, Unusable::PatternSyntax { .. }), "{error:?}");
    }

    #[test]
    fn a_pattern_that_grows_beyond_the_limit_is_refused() {
        assert!(finds(&pattern("x{1000}", 0, None), &[&[b'x'; 1000]]));
        let error = Pattern::new(&pattern("(?:x{1000}){1000}", 0, None)).expect_err("refused");
        assert_eq!(error, Unusable::PatternTooLarge);
    }
}
