//! Lines of `virtual_routes` and of `static_routes`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use vipd_engine::Family;
use vipd_engine::config::fib::{
    NextHop, OUR_PROTOCOL, Route, RouteKind, RouteMetric, SCOPE_HOST, SCOPE_LINK,
};
use vipd_engine::config::{FibConfig, FibEntry};

use super::Line;
use super::address::{Listed, SCOPES};
use super::fib::{self, Written};
use super::instance::interface_name;
use super::walk::{option, unknown_option};
use crate::keywords::{Place, Read};

/// A line as far as it is read.
#[derive(Clone, Debug, Default)]
pub(crate) struct RouteDraft {
    kind: Option<RouteKind>,
    destination: Option<Written>,
    family: Option<Family>,
    from: Option<Written>,
    tos: u8,
    table: Option<u32>,
    metric: Option<u32>,
    protocol: Option<u8>,
    scope: Option<u8>,
    source: Option<IpAddr>,
    realms: u32,
    hops: Vec<NextHop>,
    /// Several routers by `or` have the interface of the last one.
    one_interface: bool,
    metrics: BTreeMap<RouteMetric, u32>,
    locked: BTreeSet<RouteMetric>,
    untracked: bool,
}

pub(super) fn list(line: &mut Line<'_>) -> Listed<FibConfig> {
    Listed::read(line, |line| {
        let mut draft = RouteDraft::default();
        while let Some(word) = line.next() {
            if let Some(row) = Place::RouteLine.find(&word.text) {
                let go_on = option(line, row, word, &mut |read, line| match read {
                    Read::Route(read) => read(&mut draft, line),
                    Read::Nothing
                    | Read::Statement(_)
                    | Read::Address(_)
                    | Read::Peer(_)
                    | Read::Track(_)
                    | Read::Rule(_) => {}
                });
                if !go_on {
                    return None;
                }
            } else if draft.destination.is_none() {
                draft.destination = Some(fib::prefix_of(line, word)?);
            } else {
                let found = unknown_option(word, line.keyword, Place::RouteLine);
                line.report(found);
                return None;
            }
        }
        let untracked = draft.untracked;
        let route = draft.settle(line)?;
        Some(FibConfig { entry: FibEntry::Route(Box::new(route)), untracked })
    })
}

impl RouteDraft {
    /// The next hop that the words are about.
    fn hop(&mut self) -> &mut NextHop {
        if self.hops.is_empty() {
            self.hops.push(NextHop::default());
        }
        self.hops.last_mut().expect("there is one")
    }

    /// `default` is of the family that something else in the line has.
    fn family(&self) -> Family {
        let vias = self.hops.iter().filter_map(|hop| hop.via);
        let named = vias.chain(self.source).next().map(Family::of);
        let written = self.destination.and_then(Written::family);
        written.or(self.family).or(named).unwrap_or(Family::Ipv4)
    }

    fn settle(self, line: &mut Line<'_>) -> Option<Route> {
        let family = self.family();
        let Some(destination) = self.destination else {
            let at = line.span();
            line.error("missing-value", at, "the route has no destination".to_owned());
            return None;
        };
        let kind = self.kind.unwrap_or(RouteKind::Unicast);
        let on_link = self.hops.iter().all(|hop| hop.via.is_none());
        let scope = match (family, kind) {
            (Family::Ipv6, _) => 0,
            (Family::Ipv4, _) if self.scope.is_some() => self.scope.unwrap_or(0),
            (Family::Ipv4, RouteKind::Local) => SCOPE_HOST,
            (Family::Ipv4, RouteKind::Unicast) if on_link => SCOPE_LINK,
            (Family::Ipv4, _) => 0,
        };
        let mut hops = self.hops;
        if self.one_interface {
            let interface = hops.last().and_then(|last| last.interface.clone());
            for hop in hops.iter_mut().filter(|hop| hop.interface.is_none()) {
                hop.interface.clone_from(&interface);
            }
        }
        let plain = Route::new(destination.of(family));
        Some(Route {
            kind,
            from: self.from.map(|from| from.of(family)).filter(|from| from.prefix_len() > 0),
            tos: self.tos,
            table: self.table.unwrap_or(plain.table),
            // The kernel takes 0 for its default here.
            metric: self.metric.filter(|metric| *metric > 0).unwrap_or(plain.metric),
            protocol: self.protocol.unwrap_or(OUR_PROTOCOL),
            scope,
            source: self.source,
            realms: self.realms,
            next_hops: hops,
            metrics: self.metrics.into_iter().collect(),
            locked: self.locked.into_iter().collect(),
            ..plain
        })
    }
}

pub(crate) fn to(draft: &mut RouteDraft, line: &mut Line<'_>) {
    // `to blackhole PREFIX` is written too.
    let kind = line.peek().and_then(|word| {
        RouteKind::NAMES.into_iter().find(|(name, _)| *name == word.text).map(|(_, kind)| kind)
    });
    if let Some(kind) = kind {
        line.next();
        draft.kind = Some(kind);
    }
    draft.destination = fib::prefix(line);
}

pub(crate) fn from(draft: &mut RouteDraft, line: &mut Line<'_>) {
    draft.from = fib::prefix(line);
}

/// `via ADDRESS`, or `via inet6 ADDRESS` as iproute2 has it.
pub(crate) fn via(draft: &mut RouteDraft, line: &mut Line<'_>) {
    if let Some(word) = line.peek()
        && matches!(word.text.as_str(), "inet" | "inet6")
    {
        line.next();
    }
    if let Some((address, at)) = line.address() {
        if draft.hop().via.is_some() {
            let message = "a second router stands behind `nexthop`".to_owned();
            line.error("invalid-value", at, message);
        }
        draft.hop().via = Some(address);
    }
}

/// `via A or B`: packets are shared between both.
pub(crate) fn or(draft: &mut RouteDraft, line: &mut Line<'_>) {
    if let Some((address, _)) = line.address() {
        draft.hops.push(NextHop { via: Some(address), ..NextHop::default() });
        draft.one_interface = true;
    }
}

pub(crate) fn next_hop(draft: &mut RouteDraft, line: &mut Line<'_>) {
    let bare = line.peek().is_none_or(|word| Place::RouteLine.find(&word.text).is_none());
    if bare {
        let at = line.span();
        line.error("missing-value", at, "`nexthop` needs `via` or `dev`".to_owned());
    }
    draft.hops.push(NextHop::default());
}

pub(crate) fn dev(draft: &mut RouteDraft, line: &mut Line<'_>) {
    draft.hop().interface = interface_name(line);
}

pub(crate) fn weight(draft: &mut RouteDraft, line: &mut Line<'_>) {
    if let Some(weight) = fib::number(line, 1, 256) {
        draft.hop().weight = (weight - 1) as u8;
    }
}

pub(crate) fn onlink(draft: &mut RouteDraft, _line: &mut Line<'_>) {
    draft.hop().onlink = true;
}

pub(crate) fn src(draft: &mut RouteDraft, line: &mut Line<'_>) {
    draft.source = line.address().map(|(address, _)| address);
}

pub(crate) fn table(draft: &mut RouteDraft, line: &mut Line<'_>) {
    draft.table = fib::table(line);
}

pub(crate) fn metric(draft: &mut RouteDraft, line: &mut Line<'_>) {
    draft.metric = fib::number(line, 0, u64::from(u32::MAX)).map(|metric| metric as u32);
}

pub(crate) fn scope(draft: &mut RouteDraft, line: &mut Line<'_>) {
    let names = SCOPES.map(|(name, number)| (name, u32::from(number)));
    draft.scope = fib::named(line, &names, 255).map(|scope| scope as u8);
}

pub(crate) fn tos(draft: &mut RouteDraft, line: &mut Line<'_>) {
    draft.tos = fib::number(line, 0, 255).unwrap_or(0) as u8;
}

pub(crate) fn protocol(draft: &mut RouteDraft, line: &mut Line<'_>) {
    draft.protocol = fib::protocol(line);
}

/// `[SOURCE/]DESTINATION`, as numbers.
pub(crate) fn realms(draft: &mut RouteDraft, line: &mut Line<'_>) {
    draft.realms = match fib::pair(line, '/', u32::from(u16::MAX)) {
        Some((destination, None)) => destination,
        Some((source, Some(destination))) => source << 16 | destination,
        None => 0,
    };
}

pub(crate) fn kind(draft: &mut RouteDraft, line: &mut Line<'_>) {
    draft.kind = line.choice(&RouteKind::NAMES).map(|(kind, _)| kind);
}

/// The word is the kind itself.
pub(crate) fn kind_word(draft: &mut RouteDraft, line: &mut Line<'_>) {
    let word = line.keyword.name;
    let named = RouteKind::NAMES.into_iter().find(|(name, _)| *name == word);
    draft.kind = named.map(|(_, kind)| kind);
}

pub(crate) fn inet(draft: &mut RouteDraft, _line: &mut Line<'_>) {
    draft.family = Some(Family::Ipv4);
}

pub(crate) fn inet6(draft: &mut RouteDraft, _line: &mut Line<'_>) {
    draft.family = Some(Family::Ipv6);
}

pub(crate) fn no_track(draft: &mut RouteDraft, _line: &mut Line<'_>) {
    draft.untracked = true;
}

/// Readers of a number that the kernel keeps of the path.
macro_rules! metric_of {
    ($($name:ident: $metric:ident, $range:expr;)*) => { $(
        pub(crate) fn $name(draft: &mut RouteDraft, line: &mut Line<'_>) {
            lock(draft, RouteMetric::$metric, line);
            if let Some(value) = fib::number(line, *$range.start(), *$range.end()) {
                draft.metrics.insert(RouteMetric::$metric, value as u32);
            }
        }
    )* };
}

metric_of! {
    mtu: Mtu, 0..=65_535;
    hoplimit: Hoplimit, 1..=255;
    advmss: Advmss, 0..=65_535;
    reordering: Reordering, 0..=4_294_967_295;
    window: Window, 0..=4_294_967_295;
    cwnd: Cwnd, 0..=4_294_967_295;
    ssthresh: Ssthresh, 0..=4_294_967_295;
    initcwnd: Initcwnd, 0..=4_294_967_295;
    initrwnd: Initrwnd, 0..=4_294_967_295;
    quickack: Quickack, 0..=1;
    fastopen_no_cookie: FastopenNoCookie, 0..=1;
}

/// Readers of a time. Without a unit it is in the kernel's.
macro_rules! time_of {
    ($($name:ident: $metric:ident, $per_millisecond:expr;)*) => { $(
        pub(crate) fn $name(draft: &mut RouteDraft, line: &mut Line<'_>) {
            lock(draft, RouteMetric::$metric, line);
            if let Some(value) = time(line, $per_millisecond) {
                draft.metrics.insert(RouteMetric::$metric, value);
            }
        }
    )* };
}

time_of! {
    rtt: Rtt, 8;
    rttvar: RttVar, 4;
    rto_min: RtoMin, 1;
}

fn lock(draft: &mut RouteDraft, metric: RouteMetric, line: &mut Line<'_>) {
    if line.peek().is_some_and(|word| word.text == "lock") {
        line.next();
        draft.locked.insert(metric);
    }
}

fn time(line: &mut Line<'_>, per_millisecond: u32) -> Option<u32> {
    let word = line.word()?;
    let (digits, factor) = match word.text.strip_suffix("ms") {
        Some(digits) => (digits, per_millisecond),
        None => match word.text.strip_suffix('s') {
            Some(digits) => (digits, per_millisecond * 1000),
            None => (word.text.as_str(), 1),
        },
    };
    let value = digits.parse::<u32>().ok().and_then(|digits| digits.checked_mul(factor));
    if value.is_none() {
        line.invalid(word, "is not a time such as `100ms` or `2s`", None);
    }
    value
}
