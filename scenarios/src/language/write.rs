//! Steps as text: the name that the language gives them, and one line for timelines.
//!
//! It reads nothing; `steps` beside it does.

use std::fmt;

use vipd_engine::TrackerValue;
use vipd_engine::vrrp::advert::IP_PROTOCOL;

use crate::language::duration_text;
use crate::record::{HostId, SegmentId};
use crate::scenario::{
    AdvertFields, Conditions, Conduct, Injection, Message, Paths, Scenario, Step,
};

impl Step {
    /// The key of the step in a scenario file, also `what` in the JSON timeline.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Start(_) => "start",
            Self::Stop(_) => "stop",
            Self::Kill(_) => "kill",
            Self::Pause(_) => "pause",
            Self::Resume(_) => "resume",
            Self::Freeze { .. } => "freeze",
            Self::Thaw(_) => "thaw",
            Self::PowerOff(_) => "power_off",
            Self::PowerOn(_) => "power_on",
            Self::Cut(_) => "cut",
            Self::CutMulticast(_) => "cut_multicast",
            Self::Heal(_) => "heal",
            Self::Lose { .. } => "lose",
            Self::Conditions { .. } => "conditions",
            Self::LinkDown { .. } => "link_down",
            Self::LinkUp { .. } => "link_up",
            Self::RemoveAddress { .. } => "remove_address",
            Self::RemoveEntry { .. } => "remove_entry",
            Self::Reload { .. } => "reload",
            Self::ClockDrift { .. } => "clock_drift",
            Self::WallClockJump { .. } => "wall_clock_jump",
            Self::Late { .. } => "late",
            Self::FlapVirtualMac { .. } => "flap_virtual_mac",
            Self::Tracker { .. } => "tracker",
            Self::Operator { .. } => "operator",
            Self::KernelFails { .. } => "kernel_fails",
            Self::Server { .. } => "server",
            Self::KernelLate { .. } => "kernel_late",
            Self::Inject(_) => "inject",
        }
    }

    /// The host that it is done to, the first one if there are several; `None` if it is done to
    /// everybody or to a segment.
    #[must_use]
    pub fn subject(&self) -> Option<HostId> {
        match self {
            Self::Start(host)
            | Self::Stop(host)
            | Self::Kill(host)
            | Self::Pause(host)
            | Self::Resume(host)
            | Self::Freeze { host, .. }
            | Self::Thaw(host)
            | Self::PowerOff(host)
            | Self::PowerOn(host)
            | Self::LinkDown { host, .. }
            | Self::LinkUp { host, .. }
            | Self::RemoveAddress { host, .. }
            | Self::RemoveEntry { host, .. }
            | Self::Reload { host, .. }
            | Self::ClockDrift { host, .. }
            | Self::WallClockJump { host, .. }
            | Self::Late { host, .. }
            | Self::FlapVirtualMac { host, .. }
            | Self::Tracker { host, .. }
            | Self::Operator { host, .. }
            | Self::KernelFails { host, .. }
            | Self::Server { host, .. }
            | Self::KernelLate { host, .. } => Some(*host),
            Self::Cut(paths)
            | Self::CutMulticast(paths)
            | Self::Heal(paths)
            | Self::Lose { paths, .. }
            | Self::Conditions { paths, .. } => match paths {
                Paths::All => None,
                Paths::Between(left, _) | Paths::FromTo(left, _) => left.first().copied(),
            },
            Self::Inject(_) => None,
        }
    }

    /// The step as one line, such as `stop director-1` or `cut director-1 <-> director-2`.
    #[must_use]
    pub const fn line<'a>(&'a self, scenario: &'a Scenario) -> StepLine<'a> {
        StepLine { step: self, scenario }
    }
}

/// A step as one line.
#[derive(Clone, Copy, Debug)]
pub struct StepLine<'a> {
    step: &'a Step,
    scenario: &'a Scenario,
}

impl StepLine<'_> {
    fn host(&self, id: HostId) -> &str {
        self.scenario.hosts.get(usize::from(id.0)).map_or("?", |host| &*host.name)
    }

    fn segment(&self, id: SegmentId) -> &str {
        self.scenario.segments.get(usize::from(id.0)).map_or("?", |segment| &*segment.name)
    }

    fn paths(&self, paths: &Paths) -> String {
        let side = |hosts: &[HostId]| {
            let names: Vec<&str> = hosts.iter().map(|host| self.host(*host)).collect();
            names.join(", ")
        };
        match paths {
            Paths::All => "all".to_owned(),
            Paths::Between(left, right) => format!("{} <-> {}", side(left), side(right)),
            Paths::FromTo(from, to) => format!("{} -> {}", side(from), side(to)),
        }
    }

    fn inject(&self, f: &mut fmt::Formatter<'_>, injection: &Injection) -> fmt::Result {
        let Injection { segment, src, dst, ttl, protocol, message, count, .. } = injection;
        write!(f, " {}:", self.segment(*segment))?;
        match message {
            Message::Advert(AdvertFields { version, vrid, priority, .. }) => {
                write!(f, " v{version} vrid {vrid} prio {priority}")?;
            }
            Message::Octets(octets) => write!(f, " {}", OctetsLine(octets))?,
        }
        write!(f, " from {src} to {dst} ttl {ttl}")?;
        if *protocol != IP_PROTOCOL {
            write!(f, " protocol {protocol}")?;
        }
        match count {
            1 => Ok(()),
            _ => write!(f, ", {count} times every {}", duration_text(injection.every)),
        }
    }
}

impl fmt::Display for StepLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.step.name())?;
        match self.step {
            Step::Start(host)
            | Step::Stop(host)
            | Step::Kill(host)
            | Step::Pause(host)
            | Step::Resume(host)
            | Step::Freeze { host, clock: false }
            | Step::Thaw(host)
            | Step::PowerOff(host)
            | Step::PowerOn(host) => write!(f, " {}", self.host(*host)),
            Step::Freeze { host, clock: true } => write!(f, " {} and its clock", self.host(*host)),
            Step::Cut(paths) | Step::CutMulticast(paths) | Step::Heal(paths) => {
                write!(f, " {}", self.paths(paths))
            }
            Step::Lose { count, paths } => write!(f, " {count} on {}", self.paths(paths)),
            Step::Conditions { paths, conditions } => {
                write!(f, " on {}: {}", self.paths(paths), ConditionsLine(conditions))
            }
            Step::LinkDown { host, interface }
            | Step::LinkUp { host, interface }
            | Step::FlapVirtualMac { host, interface } => {
                write!(f, " {} {interface}", self.host(*host))
            }
            Step::RemoveEntry { host, entry } => write!(f, " {} {entry}", self.host(*host)),
            Step::RemoveAddress { host, address } => write!(f, " {} {address}", self.host(*host)),
            Step::Reload { host, config, refused } => {
                let name = config.file_name().unwrap_or_default();
                write!(f, " {} with {}", self.host(*host), name.to_string_lossy())?;
                f.write_str(if *refused { ", which cannot be used" } else { "" })
            }
            Step::ClockDrift { host, ppm } => write!(f, " {} by {ppm:+} ppm", self.host(*host)),
            Step::WallClockJump { host, seconds } => {
                write!(f, " {} by {seconds:+} s", self.host(*host))
            }
            Step::Late { host, by } => {
                write!(f, " {} by up to {}", self.host(*host), duration_text(*by))
            }
            Step::Tracker { host, name, value } => {
                write!(f, " {} {name} = ", self.host(*host))?;
                match value {
                    TrackerValue::Pending => f.write_str("pending"),
                    TrackerValue::Up => f.write_str("up"),
                    TrackerValue::Down => f.write_str("down"),
                    TrackerValue::Number(number) => write!(f, "{number}"),
                }
            }
            Step::Operator { host, instance, order } => {
                write!(f, " {} {} {instance}", self.host(*host), order.word())
            }
            Step::Server { host, conduct } => {
                write!(f, " {} {}", self.host(*host), conduct.name())?;
                match conduct {
                    Conduct::Drips { every } => write!(f, " every {}", duration_text(*every)),
                    Conduct::Flaps { good, bad } => {
                        let (good, bad) = (duration_text(*good), duration_text(*bad));
                        write!(f, ", good {good} bad {bad}")
                    }
                    _ => Ok(()),
                }
            }
            Step::KernelFails { host, count } => write!(f, " {} {count} times", self.host(*host)),
            Step::KernelLate { host, by } => {
                write!(f, " {} by {}", self.host(*host), duration_text(*by))
            }
            Step::Inject(injection) => self.inject(f, injection),
        }
    }
}

/// How many octets, and as many of them as the fixed part of an advert has.
struct OctetsLine<'a>(&'a [u8]);

impl fmt::Display for OctetsLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 8;
        write!(f, "{} octets", self.0.len())?;
        for (place, octet) in self.0.iter().take(SHOWN).enumerate() {
            let gap = if place % 4 == 0 { " " } else { "" };
            write!(f, "{gap}{octet:02x}")?;
        }
        if self.0.len() > SHOWN { f.write_str(" ..") } else { Ok(()) }
    }
}

/// Conditions without what is absent.
struct ConditionsLine<'a>(&'a Conditions);

impl fmt::Display for ConditionsLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Conditions { delay, jitter, reorder, duplicate_ppm, corrupt_ppm, loss_ppm } = self.0;
        write!(f, "delay {}", duration_text(*delay))?;
        if !jitter.is_zero() {
            write!(f, " jitter {}", duration_text(*jitter))?;
        }
        if *reorder {
            f.write_str(" reorder")?;
        }
        for (name, ppm) in
            [("duplicate", duplicate_ppm), ("corrupt", corrupt_ppm), ("loss", loss_ppm)]
        {
            if *ppm > 0 {
                write!(f, " {name} {ppm}ppm")?;
            }
        }
        Ok(())
    }
}
