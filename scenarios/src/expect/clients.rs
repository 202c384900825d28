//! What clients saw of an outage: by probes of a virtual address, and by requests of a virtual
//! server.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Span, within};
use crate::record::{HostId, WorldTime};
use crate::scenario::Expect;

/// Everything that they asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Clients {
    probes: BTreeMap<HostId, Vec<ProbeRun>>,
    /// In the order in which they began.
    requests: BTreeMap<HostId, Vec<Request>>,
}

/// Probes in a row with the same answer.
#[derive(Clone, Copy, Debug)]
struct ProbeRun {
    first: WorldTime,
    last: WorldTime,
    answered_by: Option<HostId>,
}

#[derive(Clone, Copy, Debug)]
struct Request {
    sent: WorldTime,
    ended: WorldTime,
    answered_by: Option<HostId>,
}

impl Clients {
    pub(super) fn on_probe(
        &mut self,
        client: HostId,
        sent: WorldTime,
        answered_by: Option<HostId>,
    ) {
        let runs = self.probes.entry(client).or_default();
        match runs.last_mut() {
            Some(run) if run.answered_by == answered_by => run.last = sent,
            Some(_) | None => runs.push(ProbeRun { first: sent, last: sent, answered_by }),
        }
    }

    pub(super) fn on_request(
        &mut self,
        client: HostId,
        (sent, ended): Span,
        answered_by: Option<HostId>,
    ) {
        let all = self.requests.entry(client).or_default();
        all.push(Request { sent, ended, answered_by });
    }

    /// The longest of what the expectation sets a limit to. `None`: it sets none, or nothing was
    /// asked.
    pub(super) fn measure(
        &self,
        expect: &Expect,
        window: Span,
        end: WorldTime,
    ) -> Option<Duration> {
        let lengths = match expect {
            Expect::Outage { host, .. } => outages(self.requests.get(host)?, window, end),
            Expect::ClientGap { host, .. } => match self.requests.get(host) {
                Some(requests) => gaps_of_requests(requests, window, end),
                None => gaps_of_probes(self.probes.get(host)?, window, end),
            },
            _ => return None,
        };
        Some(lengths.into_iter().max().unwrap_or(Duration::ZERO))
    }

    pub(super) fn is_answered_by(&self, client: HostId, host: HostId, window: Span) -> bool {
        let probes = self.probes.get(&client).into_iter().flatten();
        let mut by_probes = probes.filter(|run| run.answered_by == Some(host));
        let requests = self.requests.get(&client).into_iter().flatten();
        let mut by_requests = requests.filter(|request| request.answered_by == Some(host));
        by_probes.any(|run| run.last >= window.0 && run.first <= window.1)
            || by_requests.any(|request| within(request.sent, window))
    }
}

fn gaps_of_probes(runs: &[ProbeRun], window: Span, end: WorldTime) -> Vec<Duration> {
    let gaps = runs.iter().enumerate().filter(|(_, run)| run.answered_by.is_none());
    let lengths = gaps.filter(|(_, run)| within(run.first, window)).map(|(index, run)| {
        let from = if index == 0 { run.first } else { runs[index - 1].last };
        let until = runs.get(index + 1).map_or(end, |next| next.first);
        until.since(from)
    });
    lengths.collect()
}

/// From answer to answer. Requests overlap, and so an answer may overtake another one.
fn gaps_of_requests(requests: &[Request], window: Span, end: WorldTime) -> Vec<Duration> {
    let answered = requests.iter().filter(|request| request.answered_by.is_some());
    let mut times: Vec<_> = answered.map(|request| request.ended).collect();
    times.sort();
    let next = times.iter().copied().skip(1).chain([end]);
    let gaps = times.iter().zip(next).filter(|(from, _)| within(**from, window));
    gaps.map(|(from, until)| until.since(*from)).collect()
}

/// From the beginning of the first that fails to the beginning of the first that does not.
fn outages(requests: &[Request], window: Span, end: WorldTime) -> Vec<Duration> {
    let (mut lengths, mut since) = (Vec::new(), None);
    for request in requests {
        if request.answered_by.is_none() {
            since.get_or_insert(request.sent);
        } else if let Some(from) = since.take().filter(|from| within(*from, window)) {
            lengths.push(request.sent.since(from));
        }
    }
    lengths.extend(since.filter(|from| within(*from, window)).map(|from| end.since(from)));
    lengths
}
