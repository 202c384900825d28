//! What keeps an instance from preempting: what an operator ordered of it, and the hold-down.
//!
//! Both orders end a mastership at once, with a resignation. One that yields is still of use: it
//! preempts nobody, and takes over again when there is no other master. One that is held is not: it
//! stays out also when nobody else is there, and takes its place when it is resumed.
//!
//! One that is held down is as one that yields, for a time that is configured (`one_way_yield`). It
//! gave itself that order when a lower master did not hear it, and any order of an operator takes
//! its place.

use core::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

use crate::event::{News, StateKind, Why};
use crate::input::Order;
use crate::time::Timestamp;
use crate::vrrp::instance::{Context, Instance};

/// The order in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// None: the election decides.
    #[default]
    Free,
    /// It preempts nobody, until it is needed.
    Yielding,
    /// It does not become Master.
    Held,
    /// It preempts nobody until then, or until it is needed: a rival does not hear it.
    HeldDown {
        /// When the hold-down ends.
        until: Timestamp,
    },
}

impl Standing {
    /// The word in status and JSON: `yield`, `hold`, nothing if there is no order.
    #[must_use]
    pub const fn word(self) -> Option<&'static str> {
        match self {
            Self::Free | Self::HeldDown { .. } => None,
            Self::Yielding => Some(Order::Yield.word()),
            Self::Held => Some(Order::Hold.word()),
        }
    }

    /// When the hold-down ends, if there is one.
    #[must_use]
    pub const fn held_down_until(self) -> Option<Timestamp> {
        match self {
            Self::Free | Self::Yielding | Self::Held => None,
            Self::HeldDown { until } => Some(until),
        }
    }

    /// What an operator ordered, which a hold-down is not.
    pub(crate) const fn ordered(self) -> Self {
        match self {
            Self::HeldDown { .. } => Self::Free,
            Self::Free | Self::Yielding | Self::Held => self,
        }
    }

    /// The lateness of a hold-down decides who acts first.
    pub(crate) fn fold(self, now: Timestamp, hasher: &mut impl Hasher) {
        core::mem::discriminant(&self).hash(hasher);
        self.held_down_until().map(|until| (until - now, now - until)).hash(hasher);
    }
}

impl From<Order> for Standing {
    fn from(order: Order) -> Self {
        match order {
            Order::Yield => Self::Yielding,
            Order::Hold => Self::Held,
            Order::Resume => Self::Free,
        }
    }
}

impl Instance {
    /// An operator orders something. Whoever waits only for the order to end becomes Master, in a
    /// sync group with the others.
    pub(crate) fn on_order(&mut self, ctx: &mut Context<'_>, order: Order) {
        if self.is_stopping() {
            return;
        }
        let before = core::mem::replace(&mut self.standing, order.into());
        if before != self.standing {
            self.notify(ctx, News::Ordered(order));
        }
        if self.standing != Standing::Free && self.state_kind() == StateKind::Master {
            self.resign(ctx);
            self.enter_backup(ctx, Why::Ordered(order), self.config.interval);
        } else {
            self.follow_who_is_no_longer_lower(ctx);
            if !self.grouped {
                self.become_master_if_wanted(ctx);
            }
        }
    }

    /// It becomes Master: there is no other one, so it is needed.
    pub(crate) fn end_yield(&mut self, ctx: &mut Context<'_>) {
        match self.standing {
            Standing::Yielding | Standing::HeldDown { .. } => {
                self.standing = Standing::Free;
                self.notify(ctx, News::YieldOver);
            }
            Standing::Free | Standing::Held => {}
        }
    }

    /// The hold-down ends when it is due: from now on a lower master is one again.
    pub(crate) fn end_hold_down(&mut self, ctx: &mut Context<'_>) {
        if self.standing.held_down_until().is_some_and(|until| until <= ctx.now) {
            self.standing = Standing::Free;
            self.notify(ctx, News::HoldDownOver);
        }
    }

    /// A new configuration shortens a hold-down that runs, or ends it; it never prolongs it.
    pub(crate) fn reconfigure_hold_down(&mut self, ctx: &mut Context<'_>) {
        if let Standing::HeldDown { until } = &mut self.standing {
            let longest = self.config.one_way_yield.unwrap_or_default();
            *until = (*until).min(ctx.now + longest);
            self.end_hold_down(ctx);
        }
    }

    pub(crate) fn is_held(&self) -> bool {
        self.standing == Standing::Held
    }

    pub(crate) const fn is_held_down(&self) -> bool {
        self.standing.held_down_until().is_some()
    }

    /// Preempt_Mode in force. The owner always preempts, unless an operator ordered otherwise.
    pub(crate) fn preempts(&self) -> bool {
        let wanted = self.config.preempt || self.config.priority.is_owner();
        wanted && self.standing == Standing::Free
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::DefaultHasher;

    #[test]
    fn of_a_hold_down_the_time_that_is_left_is_folded_and_its_lateness_too() {
        let folded = |until: u64, now: u64| {
            let mut hasher = DefaultHasher::new();
            let until = Timestamp::from_nanos(until);
            Standing::HeldDown { until }.fold(Timestamp::from_nanos(now), &mut hasher);
            hasher.finish()
        };
        assert_eq!(folded(10, 7), folded(20, 17));
        assert_ne!(folded(10, 7), folded(10, 8));
        assert_ne!(folded(10, 10), folded(10, 11));
        assert_eq!(folded(10, 11), folded(20, 21));
    }
}
