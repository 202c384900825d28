//! What must hold of an instance between any two calls, and of one that was read from a file.

use core::time::Duration;

use crate::event::StateKind;
use crate::status::MOST_COUNTED;
use crate::vrrp::instance::Instance;
use crate::vrrp::operator::Standing;
use crate::vrrp::state::State;

/// No timer of an instance is armed for longer: 255 intervals of 255 s are less.
const LONGEST_TIMER: Duration = Duration::from_secs(1 << 20);

impl Instance {
    /// What must hold between any two calls and does not.
    pub(crate) fn broken_invariant(&self) -> Option<&'static str> {
        let faulty = self.own_fault.is_some() || self.group_fault.is_some();
        let runs = self.is_running();
        let waits = self.grouped || self.is_held();
        let masters = self.state.kind() == StateKind::Master;
        let owner = self.config.priority.is_owner();
        let tries_again = matches!(self.state, State::Fault { retry_at: Some(_) }) || self.stopping;
        let rules = [
            (!(runs && faulty), "runs in spite of a fault"),
            (!(runs && self.port.is_none()), "runs without a source"),
            (!(self.stopping && runs), "runs after its stop"),
            (waits || !self.wants_master(), "waits for a group it is not in"),
            (self.has_its_lease(), "is master with another lease than is configured"),
            (!masters || self.standing == Standing::Free, "is master against an order"),
            (self.may_be_held_down(), "is held down without a hold-down"),
            (self.holdings.is_filed(), "waits for a command at another time than it says"),
            (tries_again || self.vanishing.fault().is_none(), "never tries an address again"),
            (owner == self.priority.is_owner(), "has an owner's priority that trackers changed"),
        ];
        rules.into_iter().find(|(holds, _)| !holds).map(|(_, what)| what)
    }

    fn may_be_held_down(&self) -> bool {
        let is_configured = self.config.one_way_yield.is_some() && !self.stopping;
        is_configured || !self.is_held_down()
    }

    fn has_its_lease(&self) -> bool {
        match &self.state {
            State::Master(master) => {
                let leased = self.config.dead_man.is_some() && self.holdings.gate.stands();
                master.lease.is_some() == leased
            }
            State::Initialize { .. } | State::Backup(_) | State::Fault { .. } => true,
        }
    }

    /// What no engine ever wrote down, and would keep this one from going on.
    pub(crate) fn unsound(&self) -> Option<&'static str> {
        let master = match &self.state {
            State::Backup(backup) if backup.armed_for > LONGEST_TIMER => {
                return Some("has a down timer that nobody arms");
            }
            State::Master(master) => Some(master),
            State::Initialize { .. } | State::Backup(_) | State::Fault { .. } => None,
        };
        let announcements = &self.config.announcements;
        let rules = [
            (
                master.is_none_or(|master| master.announcing.fits(announcements)),
                "announces at times that are not configured",
            ),
            (master.is_none_or(|master| master.rivals.fits()), "remembers too many rivals"),
            (
                master
                    .and_then(|master| master.lease.as_ref())
                    .is_none_or(|lease| lease.fits(self.next_number)),
                "renews a lease without a number",
            ),
            (self.resignations.fits(), "remembers too many resignations"),
            (self.named.fits(), "remembers too many names"),
            (self.sending.fits(self.next_number), "sends adverts without a number"),
            (self.vanishing.fits(), "remembers too many losses"),
            (self.holdings.fits(self.next_number), "gave commands without a number"),
            (self.counters.fit() && self.next_number <= MOST_COUNTED, "counts too far"),
        ];
        rules.into_iter().find(|(holds, _)| !holds).map(|(_, what)| what)
    }
}
