//! The states of one instance. A state owns its deadlines: a timer that outlives its state cannot
//! be written.

use core::hash::{Hash, Hasher};
use core::net::IpAddr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::InstanceConfig;
use crate::event::{StateKind, Why};
use crate::names::Interval;
use crate::time::{Timestamp, earlier};
use crate::vrrp::announce::Announcing;
use crate::vrrp::lease::Lease;
use crate::vrrp::rivals::Rivals;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum State {
    /// Not started; with a start-up delay until this time.
    Initialize {
        start_at: Option<Timestamp>,
    },
    Backup(Backup),
    Master(Master),
    /// With a time at which what went wrong as Master is tried again: sends that were refused, an
    /// address that vanished.
    Fault {
        retry_at: Option<Timestamp>,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Backup {
    /// `Master_Down_Timer`. `None`: it ran out, and the sync group or an operator holds the
    /// instance back.
    pub(crate) master_down_at: Option<Timestamp>,
    /// `Master_Adver_Interval`: in v3 the master's, else our own.
    pub(crate) interval: Interval,
    /// The down timer was armed with this much.
    pub(crate) armed_for: Duration,
    pub(crate) heard: Heard,
    pub(crate) hold: Hold,
}

/// The preempt delay. While it runs, adverts of a lower master count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Hold {
    /// No lower master was heard, or there is no delay.
    Off,
    Until(Timestamp),
    Over,
}

/// The last advert that told something of the election.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Heard {
    Nothing,
    /// Its lease was over: what it did not read in that time may be a master.
    Unread,
    Master(IpAddr),
    Resigned(IpAddr),
    Lower {
        peer: IpAddr,
        priority: u8,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Master {
    /// `Adver_Timer`.
    pub(crate) advert_at: Timestamp,
    pub(crate) announcing: Announcing,
    pub(crate) rivals: Rivals,
    /// With `dead_man`, once the gate stands: how long it may be Master without another advert.
    #[serde(default)]
    pub(crate) lease: Option<Lease>,
}

impl State {
    pub(crate) const fn kind(&self) -> StateKind {
        match self {
            Self::Initialize { .. } => StateKind::Initialize,
            Self::Backup(_) => StateKind::Backup,
            Self::Master(_) => StateKind::Master,
            Self::Fault { .. } => StateKind::Fault,
        }
    }

    /// Its first timer.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        match self {
            Self::Initialize { start_at: at } | Self::Fault { retry_at: at } => *at,
            Self::Backup(backup) => earlier(backup.master_down_at, backup.hold.deadline()),
            Self::Master(master) => {
                let lease = master.lease.as_ref().map(|lease| lease.until);
                let others = earlier(master.announcing.deadline(), lease);
                earlier(Some(master.advert_at), others)
            }
        }
    }

    /// What its first timer is, if that is at this time.
    pub(crate) fn timer(&self, at: Timestamp) -> &'static str {
        match self {
            Self::Initialize { .. } => "start-up delay",
            Self::Backup(backup) if backup.master_down_at == Some(at) => "Master_Down_Timer",
            Self::Backup(_) => "preempt delay",
            Self::Master(master) if master.advert_at == at => "Adver_Timer",
            Self::Master(master) if master.announcing.deadline() == Some(at) => "announcement",
            Self::Master(_) => "end of the lease",
            Self::Fault { .. } => "end of the fault",
        }
    }

    /// Folds what decides who is Master and what is sent.
    pub(crate) fn fold_election(&self, now: Timestamp, hasher: &mut impl Hasher) {
        self.kind().hash(hasher);
        match self {
            Self::Initialize { start_at: at } | Self::Fault { retry_at: at } => {
                at.map(|at| at - now).hash(hasher);
            }
            Self::Backup(backup) => {
                // A late timer is not the same state as one that is due: trackers move it from
                // where it was.
                backup.master_down_at.map(|at| (at - now, now - at)).hash(hasher);
                // Who heard nobody joins the masters of its group, and who lost its lease takes
                // them along without a word.
                let heard = backup.heard;
                (backup.interval, heard == Heard::Nothing, heard == Heard::Unread).hash(hasher);
                // One that is due ends alike, however late.
                backup.hold.deadline().map(|at| at - now).hash(hasher);
                (backup.hold == Hold::Over).hash(hasher);
            }
            Self::Master(master) => {
                // From a late timer the next one is counted, so lateness decides.
                (master.advert_at - now, now - master.advert_at).hash(hasher);
                master.announcing.fold(now, hasher);
                master.rivals.fold_budget(now, hasher);
                if let Some(lease) = &master.lease {
                    lease.fold(now, hasher);
                }
            }
        }
    }

    /// Folds what decides only what is told of it: why it becomes Master, and of a rival.
    pub(crate) fn fold_news(&self, now: Timestamp, hasher: &mut impl Hasher) {
        match self {
            Self::Backup(backup) => (backup.armed_for, backup.heard).hash(hasher),
            Self::Master(master) => master.rivals.fold_rivals(now, hasher),
            Self::Initialize { .. } | Self::Fault { .. } => {}
        }
    }
}

impl Hold {
    const fn deadline(self) -> Option<Timestamp> {
        match self {
            Self::Until(at) => Some(at),
            Self::Off | Self::Over => None,
        }
    }

    pub(crate) fn is_due(self, now: Timestamp) -> bool {
        self.deadline().is_some_and(|at| at <= now)
    }
}

impl Backup {
    /// Why the down timer ran out.
    pub(crate) const fn why(&self) -> Why {
        match self.heard {
            Heard::Nothing | Heard::Unread | Heard::Master(_) => Why::MasterDown(self.armed_for),
            Heard::Resigned(peer) => Why::MasterResigned(peer),
            Heard::Lower { peer, priority } => Why::Preempts { peer, priority },
        }
    }
}

/// No router is so busy that its adverts are late by this.
const STOOD_STILL: Duration = Duration::from_secs(1);

impl Master {
    /// Frames per address that are due now. Asked before the advert that is due is sent.
    pub(crate) fn announcements_due(&mut self, now: Timestamp, config: &InstanceConfig) -> u8 {
        let due = self.announcing.due(now, &config.announcements);
        due.max(self.announces_anew(now, config))
    }

    /// Frames per address because it stood still: its advert is late by so much that a backup that
    /// waits for as many as it would itself may have been Master meanwhile. Zero if it did not.
    pub(crate) fn announces_anew(&mut self, now: Timestamp, config: &InstanceConfig) -> u8 {
        // The shorter one first, for it is enough nearly always.
        if now < self.advert_at + STOOD_STILL {
            return 0;
        }
        let others = u32::from(config.down_timer_adverts.saturating_sub(1));
        if now < self.advert_at + config.interval.duration() * others {
            return 0;
        }
        self.announcing.repeat(now, &config.announcements);
        config.announcements.repeat
    }

    pub(crate) fn new(now: Timestamp, config: &InstanceConfig) -> Self {
        Self {
            advert_at: now + config.interval.duration(),
            announcing: Announcing::new(now, &config.announcements),
            rivals: Rivals::default(),
            lease: None,
        }
    }
}
