//! What is searched: how many nodes, how many faults, which claims; and the lattice, the instants
//! on which everything happens.
//!
//! With an interval of one second, skews that are whole quanta and delays of one quantum every
//! timer of the engine is a whole number of quanta, so that states repeat and the space is finite.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use vipd_config::Options;
use vipd_config::text::InMemory;
use vipd_engine::Config;
use vipd_scenarios::judge::PropertyId;

use crate::prove::counterexample::HEADER;

/// Most nodes. Partial partitions among five nodes reproduce nearly all known failures.
pub const MAX_NODES: usize = 5;
/// Most faults.
pub const MAX_FAULTS: u8 = 9;
/// The advert interval.
pub const INTERVAL: Duration = Duration::from_secs(1);
/// Largest one-way delay, in quanta. The smallest is 0.
pub const DELAY: u8 = 1;
/// Where the addresses of nodes begin: `10.0.0.1`.
pub const NETWORK: [u8; 3] = [10, 0, 0];

/// What is to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    /// Two masters that hear each other do not coexist longer than `W`: per pair.
    S1,
    /// The same of *some* two masters, whichever they are from moment to moment. It is false.
    SomeTwoMasters,
    /// From the last fault and `T` on each component has one master, the best one.
    S7,
    /// After a clean stop nobody is master for `Skew` at most, and for `A` more if an older advert
    /// overtook the resignation.
    L2,
}

impl Claim {
    /// Every claim.
    pub const ALL: [Self; 4] = [Self::S1, Self::SomeTwoMasters, Self::S7, Self::L2];
    /// Those that hold.
    pub const DEFAULT: [Self; 3] = [Self::S1, Self::S7, Self::L2];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::S1 => "S1",
            Self::SomeTwoMasters => "some-two-masters",
            Self::S7 => "S7",
            Self::L2 => "L2",
        }
    }

    /// The claim that a name means.
    ///
    /// # Errors
    /// The names that there are.
    pub fn from_name(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|claim| claim.name().eq_ignore_ascii_case(name));
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("is no property that can be searched; these can: {names}")
        })
    }

    /// The property of the catalogue that judges a run of it.
    #[must_use]
    pub const fn property(self) -> Option<PropertyId> {
        match self {
            Self::S1 => Some(PropertyId::S1),
            Self::SomeTwoMasters => None,
            Self::S7 => Some(PropertyId::S7),
            Self::L2 => Some(PropertyId::L2),
        }
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How fine time is: the quantum, of which delays, skews and the instants of faults are multiples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lattice {
    /// An eighth of the interval.
    Eighths,
    /// A sixteenth of it.
    #[default]
    Sixteenths,
}

impl Lattice {
    /// Quanta in an interval.
    #[must_use]
    pub const fn quanta(self) -> u8 {
        match self {
            Self::Eighths => 8,
            Self::Sixteenths => 16,
        }
    }

    /// What time is counted in.
    #[must_use]
    pub fn quantum(self) -> Duration {
        INTERVAL / u32::from(self.quanta())
    }

    /// The lattice with so many quanta in an interval.
    ///
    /// # Errors
    /// The numbers that there are.
    pub fn from_quanta(text: &str) -> Result<Self, String> {
        match text {
            "8" => Ok(Self::Eighths),
            "16" => Ok(Self::Sixteenths),
            _ => Err("is no lattice; there are 8 and 16 quanta in an interval".to_owned()),
        }
    }
}

/// How long an advert may take, in quanta.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delays {
    /// None or one, each advert for itself: they overtake each other and meet what is sent.
    #[default]
    ZeroOrOne,
    /// One: what is sent in one instant arrives in the next.
    One,
}

impl Delays {
    /// Each of them, in quanta.
    #[must_use]
    pub const fn quanta(self) -> &'static [u8] {
        match self {
            Self::ZeroOrOne => &[0, DELAY],
            Self::One => &[DELAY],
        }
    }

    /// The delays with these quanta.
    ///
    /// # Errors
    /// Those that there are.
    pub fn from_quanta(text: &str) -> Result<Self, String> {
        match text {
            "0,1" => Ok(Self::ZeroOrOne),
            "1" => Ok(Self::One),
            _ => Err("are no delays in quanta; there are 0,1 and 1".to_owned()),
        }
    }
}

/// A search.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many nodes, 2 to [`MAX_NODES`].
    pub nodes: usize,
    /// How many faults at most.
    pub faults: u8,
    /// How fine time is.
    pub lattice: Lattice,
    /// How long an advert may take.
    pub delays: Delays,
    /// What is to hold.
    pub claims: Vec<Claim>,
    /// The nodes follow the RFC's switches (`strict_mode`): no departure from it is in force.
    pub strict: bool,
    /// No node preempts.
    pub nopreempt: bool,
    /// Leave out what cannot change a verdict. Off, every order of everything is tried.
    pub reduce: bool,
}

impl Plan {
    /// Whether this one is to hold.
    #[must_use]
    pub fn claims(&self, claim: Claim) -> bool {
        self.claims.contains(&claim)
    }

    /// The priority of a node; the first one is the best.
    #[must_use]
    pub const fn priority(&self, node: usize) -> u8 {
        (256 - Self::skew(node) as u16 * 256 / self.lattice.quanta() as u16) as u8
    }

    /// `Skew_Time` of a node in quanta: (256 - priority) / 256 of the interval.
    #[must_use]
    pub const fn skew(node: usize) -> u8 {
        node as u8 + 1
    }

    /// `Master_Down_Interval` of a node in quanta.
    #[must_use]
    pub const fn down_interval(&self, node: usize) -> u8 {
        3 * self.lattice.quanta() + Self::skew(node)
    }

    /// The echo of a last advert, in quanta. Without preemption everybody obeys everybody: a new
    /// master yields to the advert that a dead one has left behind, the next one to that of the
    /// first, and so on, a delay each, and the last one's begins the timers of all others anew.
    #[must_use]
    pub const fn echo(&self) -> u8 {
        if self.nopreempt && self.nodes > 2 { (self.nodes as u8 - 1) * DELAY } else { 0 }
    }

    /// `W` in quanta: how long two masters that hear each other may coexist. The higher one's next
    /// advert comes within A + D, and the answer to one of the lower one within A + 2D. If one has
    /// just returned from a resignation, its first advert is answered instead of obeyed.
    #[must_use]
    pub const fn overlap(&self, returned: bool) -> u8 {
        self.lattice.quanta() + if returned { 2 * DELAY } else { DELAY }
    }

    /// Quanta as a time.
    #[must_use]
    pub fn time(&self, quanta: u32) -> Duration {
        self.lattice.quantum() * quanta
    }

    /// The name of a node.
    #[must_use]
    pub fn name(node: usize) -> String {
        format!("n{}", node + 1)
    }

    /// The keepalived.conf of all nodes.
    #[must_use]
    pub fn configuration(&self) -> String {
        let mut text = format!("{HEADER}\n# Every timer stands on the lattice of the search.\n");
        for node in 0..self.nodes {
            text += &format!("@{} $PRIORITY={}\n", Self::name(node), self.priority(node));
        }
        text +=
            "\nvrrp_instance VI_1 {\n    interface eth0\n    virtual_router_id 51\n    version 3\n";
        text += "    priority $PRIORITY\n    advert_int 1\n";
        text += "    garp_master_delay 0\n    garp_lower_prio_delay 0\n    garp_master_refresh 0\n";
        if self.strict {
            text += "    strict_mode on\n";
        }
        if self.nopreempt {
            text += "    nopreempt\n";
        }
        text += "    virtual_ipaddress {\n        10.0.0.100\n    }\n}\n";
        text
    }

    /// The same, as a node's engine is given it.
    ///
    /// # Panics
    /// If our own text cannot be read.
    #[must_use]
    pub fn config_of(&self, node: usize) -> Arc<Config> {
        let files = InMemory::new().with("nodes.conf", self.configuration());
        let options = Options { config_id: Some(Self::name(node)), ..Options::default() };
        match vipd_config::load_from(&files, Path::new("nodes.conf"), &options) {
            Ok(loaded) => loaded.config,
            Err(report) => panic!("the configuration of the nodes cannot be read: {report:?}"),
        }
    }
}
