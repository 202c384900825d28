//! What an operator ordered of an instance, and what it does about it.
//!
//! Both orders end a mastership at once, with a resignation. One that yields is still of use: it
//! preempts nobody, and takes over again when there is no other master. One that is held is not: it
//! stays out also when nobody else is there, and takes its place when it is resumed.

use serde::{Deserialize, Serialize};

use crate::event::{News, StateKind, Why};
use crate::input::Order;
use crate::vrrp::instance::{Context, Instance};

/// The order in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Standing {
    /// None: the election decides.
    #[default]
    Free,
    /// It preempts nobody, until it is needed.
    Yielding,
    /// It does not become Master.
    Held,
}

impl Standing {
    /// The word in status and JSON: `yield`, `hold`, nothing if there is no order.
    #[must_use]
    pub const fn word(self) -> Option<&'static str> {
        match self {
            Self::Free => None,
            Self::Yielding => Some(Order::Yield.word()),
            Self::Held => Some(Order::Hold.word()),
        }
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
        if self.standing == Standing::Yielding {
            self.standing = Standing::Free;
            self.notify(ctx, News::YieldOver);
        }
    }

    pub(crate) fn is_held(&self) -> bool {
        self.standing == Standing::Held
    }

    /// Preempt_Mode in force. The owner always preempts, unless an operator ordered otherwise.
    pub(crate) fn preempts(&self) -> bool {
        let wanted = self.config.preempt || self.config.priority.is_owner();
        wanted && self.standing == Standing::Free
    }
}
