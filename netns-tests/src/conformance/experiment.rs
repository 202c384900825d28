//! What an experiment is: virtual routers of the target on a LAN of their own, what is put on the
//! wire when, and what each requirement makes of the view that results.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::octets::Mac;
use super::site::{HIGHER, HOST, LOWER, Router, Site, TARGET, Terms, head};
use super::verdict::Verdict;
use super::view::View;

/// Milliseconds since the start of the target.
pub(super) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// What a requirement makes of what was seen.
pub(super) type Judge = Box<dyn Fn(&View<'_>) -> Verdict + Send + Sync>;

/// One experiment.
pub(super) struct Experiment {
    /// Stands in the column `wire` of the ledger, and is the same in every run.
    pub name: String,
    pub site: Site,
    pub ground: Ground,
    pub routers: Vec<Router>,
    /// What the routers are after a reload.
    pub reloaded: Vec<Router>,
    pub cues: Vec<Cue>,
    /// The row of the ledger, and how it is judged.
    pub judges: Vec<(&'static str, Judge)>,
}

/// How a LAN is when the target starts.
pub(super) struct Ground {
    /// There is a network behind the target.
    pub far: bool,
    /// The cable is in.
    pub carrier: bool,
    pub v4: bool,
    pub link_local: Option<Ipv6Addr>,
    /// The last part of the global IPv6 address.
    pub global: u16,
    /// More lines of `ip`, in the target's namespace.
    pub lines: String,
    /// Hosts that answer when the target asks for them, in ARP and ND.
    pub answering: Vec<(u8, Mac)>,
    /// The primary IPv4 address, instead of the site's own.
    pub primary: Option<&'static str>,
}

/// When something is done.
#[derive(Clone, Copy, Debug)]
pub(super) enum When {
    At(Duration),
    Every {
        from: Duration,
        until: Duration,
        period: Duration,
    },
    /// So long after the first advert of the target that is seen from then on.
    AfterAdvert {
        from: Duration,
        offset: Duration,
    },
}

/// What is done.
#[derive(Clone, Debug)]
pub(super) enum Deed {
    /// A frame into the target's interface.
    Send(Vec<u8>),
    /// A frame into the interface to the network behind.
    SendFar(Vec<u8>),
    /// Frames as fast as they go, if this machine comes to it in time.
    Burst(Vec<Vec<u8>>),
    /// The cable is pulled or plugged in.
    Carrier(bool),
    /// Lines of `ip` in the target's namespace.
    Ip(String),
    /// The target answers for this address, on its virtual interface if it has one.
    Proxy(Ipv4Addr),
    /// What the kernel says is noted.
    Read(Reading),
}

/// What may be asked of the target's kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// IPv6 group memberships (/proc/net/igmp6).
    Groups,
    /// Addresses, then links (`ip -d address`, `ip -d link`).
    Addresses,
    /// Neighbours (`ip neighbour`).
    Neighbours,
    /// The process (/proc/PID/status).
    Process,
}

/// Something that is done once or often.
pub(super) struct Cue {
    pub when: When,
    pub deed: Deed,
    /// What judges find its times by.
    pub label: &'static str,
}

impl Experiment {
    pub(super) fn new(name: impl Into<String>, site: Site, routers: Vec<Router>) -> Self {
        let ground = Ground {
            far: false,
            carrier: true,
            v4: true,
            link_local: Some(Site::link_local(u16::from(TARGET))),
            global: u16::from(TARGET),
            lines: String::new(),
            answering: Vec::new(),
            primary: None,
        };
        let (reloaded, cues, judges) = (routers.clone(), Vec::new(), Vec::new());
        Self { name: name.into(), site, ground, routers, reloaded, cues, judges }
    }

    /// The virtual router that it is about.
    pub(super) fn router(&self) -> &Router {
        &self.routers[0]
    }

    pub(super) fn cue(mut self, label: &'static str, when: When, deed: Deed) -> Self {
        self.cues.push(Cue { when, deed, label });
        self
    }

    pub(super) fn at(self, millis: u64, label: &'static str, frame: Vec<u8>) -> Self {
        self.cue(label, When::At(ms(millis)), Deed::Send(frame))
    }

    pub(super) fn every(
        self,
        (from, until, period): (u64, u64, u64),
        label: &'static str,
        frame: Vec<u8>,
    ) -> Self {
        let when = When::Every { from: ms(from), until: ms(until), period: ms(period) };
        self.cue(label, when, Deed::Send(frame))
    }

    /// A better router is heard once, at a time of the experiment's own: it becomes Master later
    /// than it would, and not in the crowd of all that start together.
    pub(super) fn apart(self, terms: &Terms) -> Self {
        let (site, router) = (self.site, self.router());
        let frame = router.advert(terms, site, HIGHER, 255);
        self.at(100 + 20 * u64::from(site.0), "apart", frame)
    }

    /// Half a second after an advert, so that what is due at the next one is not in the way.
    pub(super) fn between(self, from: u64, label: &'static str, frame: Vec<u8>) -> Self {
        let when = When::AfterAdvert { from: ms(from), offset: ms(500) };
        self.cue(label, when, Deed::Send(frame))
    }

    /// With a row of the ledger, and what it makes of the view.
    pub(super) fn judge(
        mut self,
        row: &'static str,
        judge: impl Fn(&View<'_>) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        self.judges.push((row, Box::new(judge)));
        self
    }

    /// The blocks of its virtual routers, before or after a reload.
    pub(super) fn configuration(&self, terms: &Terms, reloaded: bool, out: &mut String) {
        let routers = if reloaded { &self.reloaded } else { &self.routers };
        for router in routers {
            router.block(terms, self.site, out);
        }
    }

    /// Lines of `ip` that make its interfaces ready, in the target's namespace.
    pub(super) fn interfaces(&self) -> String {
        let (site, ground, mut out) = (self.site, &self.ground, String::new());
        let near = site.interface();
        let _ = writeln!(out, "link set {near} addrgenmode none\nlink set {near} up");
        if ground.v4 {
            let own = site.v4(TARGET).to_string();
            let own = ground.primary.unwrap_or(&own);
            let _ = writeln!(out, "address add {own}/24 dev {near}");
            if ground.primary.is_none() {
                // A secondary one, which must never be the source.
                let _ = writeln!(out, "address add {}/24 dev {near}", site.v4(200));
            }
        }
        if let Some(address) = ground.link_local {
            let _ = writeln!(out, "address add {address}/64 dev {near} nodad");
        }
        let global = Ipv6Addr::new(0xfd00, 0x99, u16::from(site.0), 0, 0, 0, 0, ground.global);
        let _ = writeln!(out, "address add {global}/64 dev {near} nodad");
        for host in [HOST, LOWER, HIGHER] {
            let mac = text(site.mac(host));
            for address in [site.v4(host).to_string(), site.global(host).to_string()] {
                let _ =
                    writeln!(out, "neighbour add {address} lladdr {mac} dev {near} nud permanent");
            }
        }
        if ground.far {
            let far = site.far_interface();
            let mac = text(site.far_mac(HOST));
            let (v4, v6) = (site.far_v4(TARGET), site.far_v6(TARGET));
            let _ = writeln!(out, "link set {far} addrgenmode none\nlink set {far} up");
            let _ = writeln!(out, "address add {v4}/24 dev {far}");
            let _ = writeln!(out, "address add {}/64 dev {far} nodad", Site::link_local(3));
            let _ = writeln!(out, "address add {v6}/64 dev {far} nodad");
            for address in [site.far_v4(HOST).to_string(), site.far_v6(HOST).to_string()] {
                let _ =
                    writeln!(out, "neighbour add {address} lladdr {mac} dev {far} nud permanent");
            }
        }
        out.push_str(&ground.lines);
        out
    }
}

/// A MAC as people write it.
pub(super) fn text(mac: Mac) -> String {
    mac.map(|octet| format!("{octet:02x}")).join(":")
}

/// What happens to the target's process in a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// SIGHUP, with the other configuration in place.
    Reload,
    /// SIGKILL to all of its processes.
    Kill,
    /// A start after it ended.
    Start,
}

/// Experiments that share a process of the target.
pub(super) struct Stage {
    pub name: &'static str,
    pub experiments: Vec<Experiment>,
    pub acts: Vec<(Duration, Act)>,
    /// SIGTERM. It is looked at for a while after that.
    pub ends: Duration,
    /// Those of one round are played side by side. Links and addresses of all namespaces share one
    /// lock of the kernel, so a stage that makes hundreds of them has a round of its own.
    pub round: u8,
    /// Instead of what the routers make: configurations that are to be refused.
    pub configuration: Option<String>,
}

impl Stage {
    pub(super) fn new(name: &'static str, round: u8, ends: Duration) -> Self {
        let (experiments, acts, configuration) = (Vec::new(), Vec::new(), None);
        Self { name, experiments, acts, ends, round, configuration }
    }

    /// What the target's file says, in keepalived's language.
    pub(super) fn text(&self, terms: &Terms, reloaded: bool) -> String {
        self.configuration.clone().unwrap_or_else(|| {
            let mut text = head(terms);
            for experiment in &self.experiments {
                experiment.configuration(terms, reloaded, &mut text);
            }
            text
        })
    }

    /// Adds an experiment on the next LAN.
    pub(super) fn add(&mut self, make: impl FnOnce(Site) -> Experiment) {
        let number = self.experiments.len() + 1;
        assert!(number < 250, "the third octet of an address tells LANs apart");
        self.experiments.push(make(Site(number as u8)));
    }
}
