//! What stands whoever is master: static addresses, routes and rules. No instance owns them; they
//! are put back when somebody removes them and go when the configuration has them no more.

use core::hash::Hasher;
use core::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::config::{FibEntry, StaticConfig};
use crate::event::{Event, News, STATIC_NAME};
use crate::input::EffectError;
use crate::names::{InstanceName, InterfaceName};
use crate::output::{CommandId, InstanceId, KernelCommand, Output};
use crate::status::MOST_COUNTED;
use crate::time::Timestamp;
use crate::vrrp::holdings::{Change, Holdings, Want};
use crate::vrrp::instance::Context;

/// The holdings of [`InstanceId::STATIC`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Statics {
    holdings: Holdings,
    stopped: bool,
    next_number: u64,
}

impl Statics {
    /// Takes over a configuration. What is there already is ours, whoever added it.
    pub(crate) fn configure(&mut self, ctx: &mut Context<'_>, config: &StaticConfig) {
        self.stopped = false;
        let addresses = config.addresses.iter();
        let wanted = addresses.map(|(name, address)| (address.clone(), name.clone(), false));
        self.holdings.configure(wanted, None, &config.fib);
        for (interface, address) in ctx.observed.addresses() {
            self.holdings.observe(&interface, address, true, Want::Held, false);
        }
        for entry in ctx.observed.fib() {
            self.holdings.fib.observe(&entry, true, Want::Held, |name| ctx.observed.is_up(name));
        }
        self.reconcile(ctx);
    }

    /// Gives everything back.
    pub(crate) fn stop(&mut self, ctx: &mut Context<'_>) {
        self.stopped = true;
        self.reconcile(ctx);
    }

    pub(crate) fn on_done(
        &mut self,
        ctx: &mut Context<'_>,
        number: u64,
        result: Result<(), EffectError>,
    ) {
        let change = self.holdings.done(ctx.now, number, result);
        tell(ctx, change);
        self.reconcile(ctx);
    }

    pub(crate) fn on_address(
        &mut self,
        ctx: &mut Context<'_>,
        interface: &InterfaceName,
        address: IpAddr,
        present: bool,
    ) {
        let change = self.holdings.observe(interface, address, present, self.want(), false);
        tell(ctx, change);
        self.reconcile(ctx);
    }

    pub(crate) fn on_fib(&mut self, ctx: &mut Context<'_>, entry: &FibEntry, present: bool) {
        let (want, observed) = (self.want(), ctx.observed);
        let change = self.holdings.fib.observe(entry, present, want, |name| observed.is_up(name));
        tell(ctx, change);
        self.reconcile(ctx);
    }

    /// An interface came, went, or changed.
    pub(crate) fn on_link(&mut self, ctx: &mut Context<'_>) {
        self.holdings.fib.try_anew();
        self.reconcile(ctx);
    }

    pub(crate) fn on_tick(&mut self, ctx: &mut Context<'_>) {
        while let Some(change) = self.holdings.overdue(ctx.now) {
            tell(ctx, change);
        }
        self.reconcile(ctx);
    }

    /// Derives what is derived after it was read back.
    pub(crate) fn derive(&mut self) {
        self.holdings.file();
    }

    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        self.holdings.deadline()
    }

    pub(crate) const fn holdings(&self) -> &Holdings {
        &self.holdings
    }

    /// Whether its numbers can be so.
    pub(crate) fn fits(&self) -> bool {
        self.holdings.fits(self.next_number) && self.next_number <= MOST_COUNTED
    }

    pub(crate) fn fold(&self, now: Timestamp, hasher: &mut impl Hasher) {
        hasher.write_u8(u8::from(self.stopped));
        let first = self.holdings.first_waiting().unwrap_or(0);
        self.holdings.fold(now, first, hasher);
    }

    const fn want(&self) -> Want {
        if self.stopped { Want::Released } else { Want::Held }
    }

    fn reconcile(&mut self, ctx: &mut Context<'_>) {
        let want = self.want();
        let Self { holdings, next_number, .. } = self;
        let is_up = |name: &InterfaceName| ctx.observed.is_up(name);
        let instance = InstanceId::STATIC;
        holdings.reconcile(instance, ctx.now, want, None, is_up, |command: &KernelCommand| {
            let number = *next_number;
            *next_number += 1;
            let id = CommandId { instance, number };
            ctx.out.push(Output::Kernel { id, command: command.clone() });
            number
        });
    }
}

fn tell(ctx: &mut Context<'_>, change: Change) {
    let news = match change {
        // Nobody elects anything here: what comes or was left is as it should be.
        Change::None
        | Change::Gate
        | Change::Present(_)
        | Change::Leftover(_)
        | Change::LeftoverEntry(_) => {
            return;
        }
        Change::Lost(address) => News::AddressLost(address),
        Change::LostEntry { entry, let_go } => News::EntryLost { entry, let_go },
        Change::Failed(command, error) => News::CommandFailed { command, error },
    };
    let instance = InstanceName::new(STATIC_NAME);
    ctx.out.push(Output::Notify(Event { instance, news }));
}
