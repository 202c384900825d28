//! The timeline: one line per step, state change, change of ownership or named event. Adverts have
//! none, but for those with priority 0.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::IpAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use vipd_engine::config::director::Service;
use vipd_engine::ipvs::Endpoint;
use vipd_engine::{Event, News};

use crate::record::{
    HostId, LossReason, Observation, ProcessChange, Recorder, Seen, SeenAdvert, WorldTime,
};
use crate::scenario::{Scenario, TimedStep};

/// Entries kept; what comes after is counted.
pub const MAX_ENTRIES: usize = 10_000;

/// Bursts of announcements shown after any other line of their host: at once and after
/// `garp_master_delay`. The refreshes that follow tell nothing new.
const MAX_BURSTS: u32 = 2;

/// One line.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When.
    pub at: WorldTime,
    /// Whose; `None` for a step about the whole network.
    pub host: Option<HostId>,
    /// What.
    pub what: What,
}

/// What a line tells.
#[derive(Clone, Debug)]
pub enum What {
    /// A step of the scenario.
    Step(Arc<TimedStep>),
    /// A process ended in good order.
    Ended,
    /// An engine's own word: a state change or another event.
    Engine(Event),
    /// An advert with priority 0 was sent.
    Resigned(SeenAdvert),
    /// A `lose` step, or a lossy link, took an advert for this host.
    LostAdvert(SeenAdvert),
    /// The data plane took or gave up an address.
    Owns(IpAddr, bool),
    /// The kernel has a route or a rule, or has it no longer.
    Fib(Arc<str>, bool),
    /// The kernel's IPVS table has a destination with this weight, or has it no longer.
    Destination(Service, Endpoint, Option<u32>),
    /// A burst of announcements of one address, and how many frames it had.
    Announced(IpAddr, u32),
    /// From here on a client's probes are answered by this host, or by nobody.
    AnsweredBy(Option<HostId>),
}

/// What happened, line by line.
#[derive(Debug)]
pub struct Timeline {
    hosts: Vec<Arc<str>>,
    /// Hosts with several instances name the instance in each line.
    many_instances: BTreeMap<HostId, bool>,
    steps: BTreeMap<usize, String>,
    answered: BTreeMap<HostId, Option<HostId>>,
    /// Bursts shown since the last other line of the host.
    bursts: BTreeMap<(HostId, IpAddr), u32>,
    entries: Vec<Entry>,
    left_out: usize,
}

impl Timeline {
    /// An empty timeline with the scenario's names.
    #[must_use]
    pub fn new(scenario: &Scenario) -> Self {
        let hosts = scenario.hosts.iter().map(|host| Arc::clone(&host.name)).collect();
        let lines = scenario
            .steps
            .iter()
            .map(|timed| (Arc::as_ptr(timed) as usize, timed.step.line(scenario).to_string()));
        Self {
            hosts,
            many_instances: BTreeMap::new(),
            steps: lines.collect(),
            answered: BTreeMap::new(),
            bursts: BTreeMap::new(),
            entries: Vec::new(),
            left_out: 0,
        }
    }

    /// The lines so far.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// For people: one aligned line per entry, and a legend.
    #[must_use]
    pub fn text(&self) -> String {
        let host_width = self.hosts.iter().map(|host| host.len()).max().unwrap_or(0);
        let time_width = self.entries.last().map_or(0, |entry| entry.at.to_string().len());
        let mut text = String::new();
        for entry in &self.entries {
            let at = entry.at.to_string();
            let host = entry.host.map_or("", |host| &self.hosts[usize::from(host.0)]);
            let (mark, what) = (mark(&entry.what), self.line(entry));
            let _ = writeln!(text, "{at:>time_width$}  {host:host_width$}  {mark} {what}");
        }
        if self.left_out > 0 {
            let _ = writeln!(text, "... and {} more lines", self.left_out);
        }
        text.push_str(
            "legend: seconds of world time; ! step, > state change, + - address owned or not, \
             = announced, * event, 0 advert with priority 0, x advert lost, ? client, . end\n",
        );
        text
    }

    /// For programs: an object per entry.
    #[must_use]
    pub fn json(&self) -> Vec<Value> {
        self.entries.iter().map(|entry| self.object(entry)).collect()
    }

    fn line(&self, entry: &Entry) -> String {
        match &entry.what {
            What::Step(timed) => self.step_line(timed),
            What::Ended => "process ended".to_string(),
            What::Engine(event) => {
                let many = entry.host.and_then(|host| self.many_instances.get(&host));
                match many {
                    Some(true) => event.to_string(),
                    Some(false) | None => event.news.to_string(),
                }
            }
            What::Resigned(advert) => format!("resigns vrid {}", advert.router.vrid),
            What::LostAdvert(advert) => format!("advert of {} lost", advert.src),
            What::Owns(address, true) => format!("owns {address}"),
            What::Owns(address, false) => format!("no longer owns {address}"),
            What::Fib(entry, true) => format!("holds {entry}"),
            What::Fib(entry, false) => format!("no longer holds {entry}"),
            What::Destination(service, endpoint, Some(weight)) => {
                format!("{service} has {endpoint} weight {weight}")
            }
            What::Destination(service, endpoint, None) => {
                format!("{service} no longer has {endpoint}")
            }
            What::Announced(address, 1) => format!("announces {address}"),
            What::Announced(address, frames) => format!("announces {address} {frames} times"),
            What::AnsweredBy(Some(host)) => {
                format!("answered by {}", self.hosts[usize::from(host.0)])
            }
            What::AnsweredBy(None) => "not answered".to_string(),
        }
    }

    fn step_line(&self, timed: &Arc<TimedStep>) -> String {
        let line = self.steps.get(&(Arc::as_ptr(timed) as usize));
        line.cloned().unwrap_or_else(|| timed.step.name().to_string())
    }

    fn object(&self, entry: &Entry) -> Value {
        let host = entry.host.map(|host| self.hosts[usize::from(host.0)].to_string());
        let mut object = json!({ "at_ns": entry.at.0, "host": host });
        let fields = match &entry.what {
            What::Step(timed) => {
                json!({ "what": timed.step.name(), "text": self.step_line(timed) })
            }
            What::Ended => json!({ "what": "ended" }),
            What::Engine(event) => event_fields(event),
            What::Resigned(advert) => json!({ "what": "resign", "vrid": advert.router.vrid }),
            What::LostAdvert(advert) => {
                json!({ "what": "advert_lost", "src": advert.src.to_string() })
            }
            What::Owns(address, owns) => {
                let what = if *owns { "owns" } else { "releases" };
                json!({ "what": what, "address": address.to_string() })
            }
            What::Announced(address, frames) => {
                json!({ "what": "announces", "address": address.to_string(), "frames": frames })
            }
            What::Fib(entry, present) => {
                let what = if *present { "holds" } else { "drops" };
                json!({ "what": what, "entry": &**entry })
            }
            What::Destination(service, endpoint, weight) => json!({
                "what": "pool", "service": service.to_string(),
                "server": endpoint.to_string(), "weight": weight,
            }),
            What::AnsweredBy(host) => {
                let host = host.map(|host| self.hosts[usize::from(host.0)].to_string());
                json!({ "what": "client", "answered_by": host })
            }
        };
        if let (Some(object), Value::Object(fields)) = (object.as_object_mut(), fields) {
            object.extend(fields);
        }
        object
    }

    /// Frames of one time and address are one line.
    fn on_announced(&mut self, at: WorldTime, host: HostId, address: IpAddr) {
        let now = self.entries.iter_mut().rev().take_while(|entry| entry.at == at);
        for entry in now {
            if let What::Announced(known, frames) = &mut entry.what
                && *known == address
                && entry.host == Some(host)
            {
                *frames += 1;
                return;
            }
        }
        let shown = self.bursts.get(&(host, address)).copied().unwrap_or(0);
        if shown < MAX_BURSTS {
            self.push(at, Some(host), What::Announced(address, 1));
            self.bursts.insert((host, address), shown + 1);
        }
    }

    fn push(&mut self, at: WorldTime, host: Option<HostId>, what: What) {
        if !matches!(what, What::Announced(..)) {
            self.bursts.retain(|(announcer, _), _| Some(*announcer) != host);
        }
        if self.entries.len() < MAX_ENTRIES {
            self.entries.push(Entry { at, host, what });
        } else {
            self.left_out += 1;
        }
    }
}

pub(super) fn event_fields(event: &Event) -> Value {
    let instance = event.instance.to_string();
    match &event.news {
        News::State { from, to, why } => json!({
            "what": "state", "instance": instance, "from": from.name(), "to": to.name(),
            "why": why.to_string(),
        }),
        other => {
            json!({ "what": other.name(), "instance": instance, "text": other.to_string() })
        }
    }
}

/// One character that tells the kinds of lines apart.
const fn mark(what: &What) -> char {
    match what {
        What::Step(_) => '!',
        What::Ended => '.',
        What::Engine(Event { news: News::State { .. }, .. }) => '>',
        What::Engine(_) => '*',
        What::Resigned(_) => '0',
        What::LostAdvert(_) => 'x',
        What::Owns(_, true) | What::Fib(_, true) | What::Destination(_, _, Some(_)) => '+',
        What::Owns(_, false) | What::Fib(_, false) | What::Destination(_, _, None) => '-',
        What::Announced(..) => '=',
        What::AnsweredBy(_) => '?',
    }
}

impl Recorder for Timeline {
    fn observe(&mut self, observation: &Observation) {
        let Observation { at, host, seen } = observation;
        match seen {
            Seen::AdvertSent(advert) if advert.priority == 0 => {
                self.push(*at, Some(*host), What::Resigned(*advert));
            }
            Seen::AdvertSent(_) | Seen::AdvertDelivered(_) => {}
            Seen::AdvertLost(advert, LossReason::Lost | LossReason::Corrupted) => {
                self.push(*at, Some(*host), What::LostAdvert(*advert));
            }
            Seen::Step(timed) => {
                self.push(*at, timed.step.subject(), What::Step(Arc::clone(timed)));
            }
            Seen::Process(ProcessChange::Stopped) => self.push(*at, Some(*host), What::Ended),
            Seen::Engine(event) => self.push(*at, Some(*host), What::Engine(event.clone())),
            Seen::Owns { address, owns, .. } => {
                self.push(*at, Some(*host), What::Owns(*address, *owns));
            }
            Seen::Fib { entry, present } => {
                self.push(*at, Some(*host), What::Fib(Arc::clone(entry), *present));
            }
            Seen::Destination { service, endpoint, weight } => {
                self.push(*at, Some(*host), What::Destination(*service, *endpoint, *weight));
            }
            Seen::Announced { address, .. } => self.on_announced(*at, *host, *address),
            Seen::Probe { answered_by, .. } | Seen::Request { answered_by, .. } => {
                if self.answered.insert(*host, *answered_by) != Some(*answered_by) {
                    self.push(*at, Some(*host), What::AnsweredBy(*answered_by));
                }
            }
            Seen::Configured(config) => {
                self.many_instances.insert(*host, config.instances().len() > 1);
            }
            Seen::AdvertLost(..)
            | Seen::Process(_)
            | Seen::Machine(_)
            | Seen::Address { .. }
            | Seen::Answered { .. }
            | Seen::Neighbour { .. }
            | Seen::Link { .. }
            | Seen::Path { .. }
            | Seen::Dropped(_) => {}
        }
    }
}
