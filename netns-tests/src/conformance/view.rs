//! What was seen of one experiment: every frame on its LAN, what the target's kernel said of
//! addresses, and what was done when.

use std::net::IpAddr;
use std::time::Duration;

use super::experiment::{Experiment, Reading, text};
use super::octets::{ALL_NODES, Arp, BROADCAST, Frame, Mac, Packet, VRRP, raw};
use super::site::{Router, Site};
use super::verdict::{Verdict, Wrong, exact, hold, seconds, untried, wrong};

/// A frame that the target sent.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub at: Duration,
    /// Towards the network behind.
    pub far: bool,
    pub octets: Vec<u8>,
}

/// An address came or went.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    pub at: Duration,
    pub address: IpAddr,
    pub present: bool,
}

/// What happened to the target's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Started,
    Reloaded,
    Killed,
    Stopped,
    /// It ended; with status 0 or not.
    Ended(bool),
}

/// All that is noted of one LAN.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes {
    pub frames: Vec<Seen>,
    pub changes: Vec<Change>,
    pub sent: Vec<(&'static str, Duration)>,
    pub readings: Vec<(Duration, Reading, String)>,
    /// The interface of the virtual router above that of the LAN.
    pub upper: Option<String>,
}

/// One experiment, seen from outside.
pub(super) struct View<'a> {
    pub experiment: &'a Experiment,
    pub notes: &'a Notes,
    pub marks: &'a [(Duration, Mark)],
    /// What this machine may be late by.
    pub late: Duration,
    /// What the start of the target may take.
    pub start: Duration,
}

/// An advert of the target.
#[derive(Clone, Copy, Debug)]
pub(super) struct Advert<'a> {
    pub at: Duration,
    pub frame: Frame<'a>,
    pub ip: Packet<'a>,
    /// The VRRP message.
    pub octets: &'a [u8],
}

impl Advert<'_> {
    pub(super) fn priority(&self) -> u8 {
        self.octets.get(2).copied().unwrap_or_default()
    }

    /// The octets of its addresses, by its count.
    pub(super) fn list(&self) -> &[u8] {
        let size = if self.ip.src.is_ipv4() { 4 } else { 16 };
        let count = usize::from(self.octets.get(3).copied().unwrap_or_default());
        self.octets.get(8..8 + count * size).unwrap_or_default()
    }
}

/// An announcement of an address: a gratuitous ARP or an unsolicited NA.
#[derive(Clone, Copy, Debug)]
pub(super) struct Announcement<'a> {
    pub at: Duration,
    pub frame: Frame<'a>,
    pub address: IpAddr,
    /// The MAC that it binds the address to.
    pub mac: Mac,
    pub arp: Option<Arp<'a>>,
    pub na: Option<Packet<'a>>,
}

impl<'a> View<'a> {
    pub(super) fn site(&self) -> Site {
        self.experiment.site
    }

    pub(super) fn router(&self) -> &'a Router {
        self.experiment.router()
    }

    /// The MAC that the target has to use for its virtual router, if it uses one.
    pub(super) fn mac(&self) -> Mac {
        let router = self.router();
        router.flavour.mac(router.vrid)
    }

    fn frames(&self) -> impl Iterator<Item = (&'a Seen, Frame<'a>)> {
        self.notes.frames.iter().filter_map(|seen| Some((seen, Frame::read(&seen.octets)?)))
    }

    /// Every IP packet that the target sent, to the LAN or to the network behind it.
    pub(super) fn packets(
        &self,
        far: bool,
    ) -> impl Iterator<Item = (Duration, Frame<'a>, Packet<'a>)> {
        let frames = self.frames().filter(move |(seen, _)| seen.far == far);
        frames.filter_map(|(seen, frame)| Some((seen.at, frame, frame.ip()?)))
    }

    /// Every ARP message that the target sent to the LAN.
    pub(super) fn arps(&self) -> impl Iterator<Item = (Duration, Frame<'a>, Arp<'a>)> {
        let frames = self.frames().filter(|(seen, _)| !seen.far);
        frames.filter_map(|(seen, frame)| Some((seen.at, frame, frame.arp()?)))
    }

    /// Every VRRP message that the target sent here, of any version and VRID.
    pub(super) fn vrrp(&self, far: bool) -> impl Iterator<Item = Advert<'a>> {
        let packets = self.packets(far).filter(|(_, _, ip)| ip.protocol == VRRP);
        packets.map(|(at, frame, ip)| Advert { at, frame, ip, octets: ip.payload })
    }

    /// The adverts of a virtual router.
    pub(super) fn adverts_of(&self, router: &Router) -> Vec<Advert<'a>> {
        let (v6, vrid) = (router.flavour.is_v6(), router.vrid);
        let own = |advert: &Advert<'_>| {
            advert.ip.src.is_ipv6() == v6 && advert.octets.get(1) == Some(&vrid)
        };
        self.vrrp(router.far).filter(own).collect()
    }

    /// The adverts of the virtual router that the experiment is about.
    pub(super) fn adverts(&self) -> Vec<Advert<'a>> {
        self.adverts_of(self.router())
    }

    /// Those from one time on, before another.
    pub(super) fn between(&self, from: Duration, until: Duration) -> Vec<Advert<'a>> {
        let mut adverts = self.adverts();
        adverts.retain(|advert| advert.at >= from && advert.at < until);
        adverts
    }

    /// The first advert after a time.
    pub(super) fn first_after(&self, from: Duration) -> Result<Advert<'a>, Wrong> {
        let first = self.adverts().into_iter().find(|advert| advert.at >= from);
        first.map_or_else(|| wrong("silent", format!("no advert after {} s", seconds(from))), Ok)
    }

    /// When this was done, each time.
    pub(super) fn times(&self, label: &str) -> Vec<Duration> {
        let sent = self.notes.sent.iter().filter(|(known, _)| *known == label);
        sent.map(|(_, at)| *at).collect()
    }

    /// When this was done for the first time.
    pub(super) fn time(&self, label: &str) -> Result<Duration, Wrong> {
        self.times(label)
            .first()
            .map_or_else(|| untried(format!("{label} was not done")), |at| Ok(*at))
    }

    /// When this was done for the last time.
    pub(super) fn last(&self, label: &str) -> Result<Duration, Wrong> {
        self.times(label)
            .last()
            .map_or_else(|| untried(format!("{label} was not done")), |at| Ok(*at))
    }

    pub(super) fn mark(&self, wanted: Mark) -> Result<Duration, Wrong> {
        let found = self.marks.iter().find(|(_, mark)| *mark == wanted);
        found.map_or_else(|| untried(format!("never {wanted:?}")), |(at, _)| Ok(*at))
    }

    /// When the target is told to stop.
    pub(super) fn stopped(&self) -> Duration {
        self.mark(Mark::Stopped).unwrap_or(Duration::MAX)
    }

    /// The first advert after an event, and whether it comes exactly so long after it.
    pub(super) fn takes_over(&self, since: Duration, down: Duration) -> Verdict {
        let first = self.first_after(since)?;
        exact(first.at - since, down, self.late)
    }

    /// Every advert while the target runs, at least `least` of them, is like this.
    pub(super) fn each_advert(
        &self,
        least: usize,
        symptom: &'static str,
        is: impl Fn(&Advert<'a>) -> bool,
        show: impl Fn(&Advert<'a>) -> String,
    ) -> Verdict {
        let adverts = self.adverts();
        if adverts.len() < least {
            return wrong("silent", format!("{} adverts, {least} wanted", adverts.len()));
        }
        if let Some(other) = adverts.iter().find(|advert| !is(advert)) {
            return wrong(symptom, format!("{} at {} s", show(other), seconds(other.at)));
        }
        Ok(format!("{} in {} adverts", show(&adverts[0]), adverts.len()))
    }

    /// Announcements of the addresses of a virtual router.
    pub(super) fn announcements(&self) -> Vec<Announcement<'a>> {
        let addresses = &self.router().addresses;
        let arps =
            self.arps().filter(|(_, frame, arp)| frame.dst == BROADCAST && arp.spa == arp.tpa);
        let arps = arps.map(|(at, frame, arp)| {
            let (address, mac) = (IpAddr::V4(arp.spa), arp.sha);
            Announcement { at, frame, address, mac, arp: Some(arp), na: None }
        });
        let nas = self.advertised().filter(|(.., ip)| ip.dst == ALL_NODES);
        let nas = nas.map(|(at, frame, address, mac, ip)| Announcement {
            at,
            frame,
            address,
            mac,
            arp: None,
            na: Some(ip),
        });
        let mut found: Vec<_> = arps.chain(nas).collect();
        found.retain(|found| addresses.contains(&found.address));
        found.sort_by_key(|found| found.at);
        found
    }

    /// Every neighbour advertisement of the target: its target and the MAC that it names.
    pub(super) fn advertised(
        &self,
    ) -> impl Iterator<Item = (Duration, Frame<'a>, IpAddr, Mac, Packet<'a>)> {
        let packets = self.packets(false);
        packets.filter_map(|(at, frame, ip)| {
            let (136, message) = ip.icmp6()? else { return None };
            let target: [u8; 16] = message.get(8..24)?.try_into().ok()?;
            let option = message.get(24..32).filter(|option| option[..2] == [2, 1]);
            let mac = option.and_then(|option| option[2..8].try_into().ok()).unwrap_or(frame.src);
            Some((at, frame, IpAddr::from(target), mac, ip))
        })
    }

    /// Answers to who has an address, from one time on, before another: the MAC of each, with what
    /// the frame itself came from.
    pub(super) fn answers(
        &self,
        address: IpAddr,
        from: Duration,
        until: Duration,
    ) -> Vec<(Mac, Mac)> {
        let inside = |at: Duration| at >= from && at < until;
        let arps = self.arps().filter(|(at, _, arp)| {
            inside(*at) && arp.operation == 2 && IpAddr::V4(arp.spa) == address
        });
        let nas = self.advertised().filter(|(at, _, target, _, ip)| {
            inside(*at) && *target == address && ip.dst != ALL_NODES
        });
        let arps = arps.map(|(_, frame, arp)| (arp.sha, frame.src));
        arps.chain(nas.map(|(_, frame, _, mac, _)| (mac, frame.src))).collect()
    }

    /// Whether the target's kernel has an address at a time, by what it said until then.
    pub(super) fn has(&self, address: IpAddr, at: Duration) -> bool {
        let said =
            self.notes.changes.iter().rfind(|change| change.at <= at && change.address == address);
        said.is_some_and(|change| change.present)
    }

    /// When an address went for the first time after this.
    pub(super) fn gone(&self, address: IpAddr, after: Duration) -> Option<Duration> {
        let mut changes = self.notes.changes.iter();
        let gone = changes
            .find(|change| change.at >= after && change.address == address && !change.present);
        gone.map(|change| change.at)
    }

    /// What the kernel said when it was asked for the n-th time.
    pub(super) fn reading(&self, wanted: Reading, place: usize) -> Result<&'a str, Wrong> {
        let mut readings = self.notes.readings.iter().filter(|(_, kind, _)| *kind == wanted);
        let found = readings.nth(place).map(|(.., text)| text.as_str());
        found.map_or_else(|| untried(format!("{wanted:?} was not read")), Ok)
    }

    /// The own MAC of the target's interface, or whatever is not the virtual one.
    pub(super) fn is_virtual(&self, mac: Mac, what: &str) -> Verdict {
        hold(mac == self.mac(), "physical-mac", format!("{what} {}", text(mac)))?;
        Ok(format!("{what} {}", text(mac)))
    }

    /// The configured addresses as octets, in their order.
    pub(super) fn configured(&self) -> Vec<u8> {
        self.router().addresses.iter().flat_map(|address| raw(*address)).collect()
    }
}
