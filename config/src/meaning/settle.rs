//! What depends on several keywords: defaults, versions, rules, and the checks across fields.

use std::net::IpAddr;
use std::time::Duration;

use vipd_engine::config::{
    CheckRule, ConfigError, ConfigRule, DirectorConfig, GroupConfig, ServerRule, StaticConfig,
    VirtualMac,
};
use vipd_engine::names::OutOfRange;
use vipd_engine::{
    Config, Family, InstanceConfig, InterfaceName, Interval, Priority, Profile, Version,
};

use super::draft::{AuthType, Draft, GroupDraft, InstanceDraft, Origins, Placed, State};
use super::line::{MOST_FINDINGS, adjusted_severity};
use super::rule::Numbering;
use super::transport::{at, family, transport};
use super::{advice, director, notes, notify};
use crate::Scope;
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::director::Director;
use crate::mail::Mail;
use crate::notify::{Notify, NotifyScripts};

/// An instance as the engine has it, and what only the file says.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    pub config: InstanceConfig,
    pub state: State,
    pub strict: bool,
    pub notify: NotifyScripts,
    pub skip_check: bool,
    pub no_address: bool,
    pub old_unicast_checksum: bool,
    pub origins: Origins,
}

/// A whole configuration as it takes effect.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    pub config: Option<Config>,
    pub instances: Vec<Instance>,
    pub groups: Vec<Placed<GroupConfig>>,
    pub notify: Notify,
    pub mail: Mail,
    pub statics: StaticConfig,
    pub director: Director,
}

/// Fills in every default and asks the engine for its rules.
pub(crate) fn settle(draft: &mut Draft, profile: Profile, found: &mut Diagnostics) -> Settled {
    super::declared::check(draft, found);
    let mut numbering = Numbering::default();
    let mut statics = super::statics::settle(draft, &mut numbering);
    let mut instances = Vec::new();
    for placed in &draft.instances {
        let rules = placed.value.rules.iter().map(|rule| numbering.settle(rule));
        let fib = placed.value.routes.iter().cloned().chain(rules).collect();
        let mut settling = Settling { draft, placed, profile, found };
        instances.extend(settling.instance().map(|mut instance| {
            instance.config.fib = fib;
            instance
        }));
    }
    let mut groups: Vec<_> = draft
        .groups
        .iter()
        .map(|placed| Placed {
            value: group(&placed.value, draft, profile, found),
            origins: placed.origins.clone(),
        })
        .collect();
    notify::check(draft, found);
    let configs: Vec<_> = instances.iter().map(|instance| instance.config.clone()).collect();
    let (servers, director) = director::settle(draft, &configs, profile, found);
    let group_configs = groups.iter().map(|group| group.value.clone()).collect();
    let config = Config::new(configs, group_configs, draft.globals.startup_delay);
    let mut config = checked(config, statics.clone(), servers, draft, found);
    if draft.scope == Scope::ChecksOnly {
        config = config.and_then(|config| without_routers(&config));
        (instances, groups, statics) = Default::default();
    }
    let notify = notify::settled(draft, &instances);
    let mail = super::mail::settled(draft, &instances, found);
    Settled { config, instances, groups, notify, mail, statics, director }
}

/// What is left where virtual routers are somebody else's: nothing of them can break a rule.
fn without_routers(config: &Config) -> Option<Config> {
    let director = DirectorConfig { sync_daemon: None, ..DirectorConfig::clone(config.director()) };
    Config::default().with_director(director).ok()
}

/// Asks for every rule: mistakes of one part would hide those of another.
fn checked(
    config: Result<Config, Vec<ConfigError>>,
    statics: StaticConfig,
    servers: DirectorConfig,
    draft: &Draft,
    found: &mut Diagnostics,
) -> Option<Config> {
    let (config, broken) = apart(config, Config::default());
    let (config, broken_statics) = apart(config.clone().with_static(statics), config);
    let (config, broken_servers) = apart(config.clone().with_director(servers), config);
    let broken: Vec<_> = [broken, broken_statics, broken_servers].concat();
    for error in broken.iter().filter(|error| !follows(error, draft)).take(MOST_FINDINGS) {
        found.push(advice::diagnostic(error, draft));
    }
    broken.is_empty().then_some(config)
}

/// A configuration in any case, and the rules that are broken.
fn apart(config: Result<Config, Vec<ConfigError>>, without: Config) -> (Config, Vec<ConfigError>) {
    match config {
        Ok(config) => (config, Vec::new()),
        Err(errors) => (without, errors),
    }
}

/// Whether an error only follows from a mistake that was told: an instance that was left out, a
/// check without what it needs.
fn follows(error: &ConfigError, draft: &Draft) -> bool {
    match &error.rule {
        ConfigRule::UnknownMember(member) => {
            draft.instances.iter().any(|instance| instance.value.name == member.as_str())
        }
        ConfigRule::Server(ServerRule::Check(_, rule)) => {
            matches!(rule, CheckRule::NoUrl | CheckRule::PathNotAbsolute)
        }
        _ => false,
    }
}

fn group(
    group: &GroupDraft,
    draft: &Draft,
    profile: Profile,
    found: &mut Diagnostics,
) -> GroupConfig {
    let tracks = group.tracks.iter();
    let tracks = tracks.filter_map(|track| track.settle(None, draft, profile, found)).collect();
    GroupConfig { tracks, ..group.config.clone() }
}

/// One instance that is being settled.
struct Settling<'a> {
    draft: &'a Draft,
    placed: &'a Placed<InstanceDraft>,
    profile: Profile,
    found: &'a mut Diagnostics,
}

impl Settling<'_> {
    fn instance(&mut self) -> Option<Instance> {
        let instance = &self.placed.value;
        let (draft, globals) = (self.draft, &self.draft.globals);
        self.mandatory("interface", instance.interface.is_some(), "IF");
        self.mandatory("virtual_router_id", instance.vrid.is_some(), "1..255");
        let family = family(instance);
        let version = self.version(family);
        let strict = globals.shared.strict(&instance.shared);
        let interval = self.interval(version);
        let priority = self.priority();
        let password = self.password(version, strict);
        let transport = transport(self.placed, family, globals, self.found);
        let preempt_delay = self.preempt_delay(priority, strict);
        self.preemption(priority);
        self.addresses(version, strict);
        self.first_address(strict);
        let tracks = instance.tracks.iter();
        let tracks = tracks
            .filter_map(|track| {
                track.settle(instance.interface.as_ref(), draft, self.profile, self.found)
            })
            .collect();
        // Its mistakes have been reported; without them there is nothing to hand over.
        let (Some(interface), Some(vrid), false) =
            (&instance.interface, instance.vrid, instance.broken)
        else {
            return None;
        };
        let mut config = InstanceConfig::new(&instance.name, family, interface.as_str(), vrid);
        config.version = version;
        config.priority = priority;
        config.interval = interval.unwrap_or(Interval::DEFAULT);
        config.transport = transport;
        config.password = password;
        config.addresses.clone_from(&instance.addresses);
        config.excluded.clone_from(&instance.excluded);
        config.preempt = instance.preempt.unwrap_or(true);
        config.preempt_delay = preempt_delay;
        let adverts = instance.shared.down_timer_adverts.or(globals.shared.down_timer_adverts);
        config.down_timer_adverts = adverts.unwrap_or(config.down_timer_adverts);
        config.dead_man = instance.dead_man;
        config.announcements = globals.shared.announcements(&instance.shared, self.profile);
        config.tracks = tracks;
        config.ignore_primary_link = instance.ignore_primary_link;
        config.virtual_mac = self.virtual_mac(family);
        config.rules = globals.shared.rules(&instance.shared, self.profile, version);
        if let Some(accept) = instance.accept {
            config.rules.accept = accept;
        }
        config.one_way_alarm = instance.one_way_alarm.unwrap_or(config.one_way_alarm);
        config.one_way_yield = instance.one_way_yield;
        let notify = notify::of_instance(draft, instance);
        config.tells_lower_priority = globals.has_fifo() || notify.lower_priority.is_some();
        notes::open_unicast(&config, &self.placed.origins, self.found);
        let origins = self.origins(family);
        Some(Instance {
            state: instance.state.unwrap_or_default(),
            strict,
            notify,
            skip_check: instance
                .shared
                .skip_check
                .or(globals.shared.skip_check)
                .unwrap_or_default(),
            no_address: instance.no_address,
            old_unicast_checksum: instance.old_unicast_checksum,
            config,
            origins,
        })
    }

    /// Where values were given, those included that another keyword gives.
    fn origins(&self, family: Family) -> Origins {
        let mut origins = self.placed.origins.clone();
        let given = &self.placed.origins.given;
        let state = given.get("state").filter(|_| self.placed.value.state == Some(State::Master));
        let group = match family {
            Family::Ipv4 => self.draft.globals.origins.given.get("vrrp_mcast_group4"),
            Family::Ipv6 => self.draft.globals.origins.given.get("vrrp_mcast_group6"),
        };
        for (keyword, place) in [("priority", state), ("mcast_dst_ip", group)] {
            if let Some(place) = place {
                origins.given.entry(keyword).or_insert(*place);
            }
        }
        origins
    }

    fn mandatory(&mut self, keyword: &str, given: bool, arguments: &str) {
        // A value that was given and refused has its own error.
        if given || self.placed.origins.given.contains_key(keyword) {
            return;
        }
        let message = format!("`vrrp_instance {}` has no `{keyword}`", self.placed.value.name);
        let found = Diagnostic::error("missing-keyword", message);
        let found = found.help(format!("add `{keyword} {arguments}` to the block"));
        self.report("", found);
    }

    /// VRRPv2 exists for IPv4 only; that a block asks for it otherwise is the engine's to refuse.
    fn version(&self, family: Family) -> Version {
        let default = match family {
            Family::Ipv4 => self.draft.globals.version(),
            Family::Ipv6 => Version::V3,
        };
        self.placed.value.shared.version.unwrap_or(default)
    }

    fn interval(&mut self, version: Version) -> Option<Interval> {
        const STEP: [(u64, u64); 2] = [(1_000_000, 255), (10_000, 4095)];
        let given = self.placed.value.interval?;
        let (step, most) = match version {
            Version::V2 => STEP[0],
            Version::V3 => STEP[1],
        };
        let make = |steps: u64| match version {
            Version::V2 => Interval::from_seconds(steps as i64),
            Version::V3 => Interval::from_centiseconds(steps as i64),
        };
        let micros = given.as_micros() as u64;
        let rounded = (micros + step / 2) / step;
        // keepalived makes 1 of what would be rounded to 0, and 255 of more in version 2.
        let kept = match version {
            Version::V2 if micros > 0 => rounded.clamp(1, most),
            Version::V2 | Version::V3 => rounded,
        };
        match make(kept) {
            Ok(interval) => {
                if interval.duration() != given {
                    self.rounded(version, given, interval);
                }
                Some(interval)
            }
            Err(error) => {
                self.out_of_range("advert_int", error);
                None
            }
        }
    }

    fn rounded(&mut self, version: Version, given: Duration, kept: Interval) {
        let carries = match version {
            Version::V2 => "VRRPv2 carries whole seconds, 1 to 255",
            Version::V3 => "VRRPv3 carries hundredths of a second",
        };
        let message = format!("{carries}: not {} s", given.as_secs_f64());
        let found = Diagnostic::new(adjusted_severity(self.profile), "value-adjusted", message);
        let found = found.label(format!("{kept} is used"));
        let found = if version == Version::V2 && given < Duration::from_secs(255) {
            found.help("`version 3` carries fractions")
        } else {
            found
        };
        self.report("advert_int", found);
    }

    fn priority(&mut self) -> Priority {
        let draft = &self.placed.value;
        let priority = match (draft.priority, draft.state) {
            (Some(priority), _) => priority,
            (None, Some(State::Master)) => Priority::OWNER,
            (None, Some(State::Backup) | None) => Priority::DEFAULT,
        };
        let refused =
            draft.priority.is_none() && self.placed.origins.given.contains_key("priority");
        if refused {
            return priority;
        }
        match draft.state {
            Some(State::Master) if !priority.is_owner() => {
                let message = format!(
                    "`state MASTER` has no effect below 255: the priority {priority} decides"
                );
                let mut found = Diagnostic::warning("state-master", message);
                if draft.preempt == Some(false) || draft.preempt_delay.is_some() {
                    found = found.label("`nopreempt` and `preempt_delay` stay in force");
                }
                self.report("state", found.help("remove it, or write `state BACKUP`"));
            }
            Some(State::Master) if draft.priority.is_none() => {
                let message = "`state MASTER` without `priority` makes this the address owner, \
                               priority 255";
                self.report("state", Diagnostic::note("owner", message));
            }
            Some(State::Backup) if priority.is_owner() => {
                let message = "the address owner, priority 255, becomes master at once whatever \
                               `state` says";
                self.report("state", Diagnostic::note("owner", message));
            }
            Some(State::Master | State::Backup) | None => {}
        }
        priority
    }

    fn password(&mut self, version: Version, strict: bool) -> Option<vipd_engine::Password> {
        let draft = &self.placed.value;
        let given = self.placed.origins.given.contains_key("authentication");
        if given && (version == Version::V3 || strict) {
            let why = match version {
                Version::V3 => "VRRPv3 has no authentication",
                Version::V2 => "`vrrp_strict` has no authentication, as RFC 3768 has none",
            };
            self.adjusted("authentication", why, "keepalived ignores it");
            return None;
        }
        match (draft.auth_type, draft.auth_pass) {
            (Some(AuthType::Pass), Some(password)) => Some(password),
            (Some(AuthType::Pass), None)
                if !self.placed.origins.given.contains_key("auth_pass") =>
            {
                let why = "`auth_type PASS` without `auth_pass`";
                self.adjusted("auth_type", why, "keepalived ignores it");
                None
            }
            (None, Some(_)) if !self.placed.origins.given.contains_key("auth_type") => {
                let why = "`auth_pass` without `auth_type PASS`";
                self.adjusted("auth_pass", why, "keepalived ignores it");
                None
            }
            (Some(AuthType::Ah | AuthType::Pass) | None, _) => None,
        }
    }

    fn preempt_delay(&mut self, priority: Priority, strict: bool) -> Duration {
        let draft = &self.placed.value;
        let Some(delay) = draft.preempt_delay.filter(|delay| !delay.is_zero()) else {
            return Duration::ZERO;
        };
        let ignored = if strict {
            "`vrrp_strict` has no `preempt_delay`, as no RFC has one"
        } else if priority.is_owner() {
            "the address owner, priority 255, always preempts at once"
        } else if draft.preempt == Some(false) {
            "`preempt_delay` and `nopreempt` exclude each other"
        } else {
            return delay;
        };
        self.adjusted("preempt_delay", ignored, "keepalived ignores it");
        Duration::ZERO
    }

    fn preemption(&mut self, priority: Priority) {
        if self.placed.value.preempt == Some(false) && priority.is_owner() {
            let message = "`nopreempt` has no effect: the address owner, priority 255, always \
                           preempts";
            self.report("preempt", Diagnostic::warning("no-effect", message));
        }
    }

    /// A router without an address, and what strictness asks of the transport.
    fn addresses(&mut self, version: Version, strict: bool) {
        let draft = &self.placed.value;
        let given = &self.placed.origins.given;
        if draft.addresses.is_empty() && !given.contains_key("virtual_ipaddress") {
            let message = format!("`vrrp_instance {}` has no virtual address", draft.name);
            let error = Diagnostic::error("no-address", message.clone());
            if version == Version::V3 {
                let why = "VRRPv3 routers discard an advert without an address, so that each is \
                           master: add `virtual_ipaddress`, or write `version 2`";
                self.report("", error.help(why));
            } else if strict {
                self.report("", error.help("`vrrp_strict` demands one: add `virtual_ipaddress`"));
            } else if !draft.no_address && draft.excluded.is_empty() {
                let found = Diagnostic::warning("no-address", message);
                self.report("", found.help("write `no_virtual_ipaddress` if that is meant"));
            }
        }
        if strict && draft.peers.is_some() {
            let message = "`vrrp_strict` refuses unicast peers, as no RFC has them";
            let found = Diagnostic::error("strict-unicast", message);
            self.report("unicast_peer", found.help("write `strict_mode off` in this instance"));
        }
    }

    /// DEVIATION from erratum 8300 of RFC 9568: accepted outside strict mode and the RFC profiles,
    /// where the engine refuses it.
    fn first_address(&mut self, strict: bool) {
        let first = self.placed.value.addresses.first().map(|first| first.address);
        let lenient = self.profile == Profile::DropIn && !strict;
        if let Some(IpAddr::V6(first)) = first
            && lenient
            && !first.is_unicast_link_local()
        {
            let message = format!("{first} is not link-local, and RFC 9568 wants the first to be");
            let found = Diagnostic::warning("first-address", message);
            let place = self.placed.origins.place("virtual_ipaddress", Some(0));
            let found = place.into_iter().fold(found, Diagnostic::at);
            self.found.push(found.help("put an address of fe80::/10 first"));
        }
    }

    /// The RFCs know no virtual router without its MAC (RFC 9568 section 7.3).
    fn virtual_mac(&self, family: Family) -> Option<VirtualMac> {
        let instance = &self.placed.value;
        let name = match self.profile {
            Profile::DropIn => instance.virtual_mac.as_ref()?.clone(),
            Profile::Rfc3768 | Profile::Rfc5798 | Profile::Rfc9568 => {
                instance.virtual_mac.clone().flatten()
            }
        };
        Some(VirtualMac {
            interface: name.unwrap_or_else(|| self.default_mac_name(family)),
            transmit_from_parent: instance.transmit_from_parent,
        })
    }

    fn default_mac_name(&self, family: Family) -> InterfaceName {
        let prefix = self.draft.globals.vmac_prefix();
        let vrid = self.placed.value.vrid.map_or(0, vipd_engine::Vrid::get);
        InterfaceName::new(&match family {
            Family::Ipv4 => format!("{prefix}.{vrid}"),
            Family::Ipv6 => format!("{prefix}6.{vrid}"),
        })
    }

    fn adjusted(&mut self, keyword: &str, message: &str, label: &str) {
        let severity = adjusted_severity(self.profile);
        let found = Diagnostic::new(severity, "value-adjusted", message).label(label);
        self.report(keyword, found);
    }

    fn out_of_range(&mut self, keyword: &str, error: OutOfRange) {
        let found = Diagnostic::error("out-of-range", error.to_string());
        let label = format!("outside {} to {}", error.min, error.max);
        self.report(keyword, found.label(label));
    }

    /// At the keyword's value, or at the head of the block.
    fn report(&mut self, keyword: &str, found: Diagnostic) {
        self.found.push(at(found, &self.placed.origins, keyword));
    }
}
