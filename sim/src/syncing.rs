//! The synchronisation of connections on the wire: what the thread of one kernel sends, those of
//! the others on its segment hear. What is told and learnt is in [`crate::ipvs`].
//!
//! It arrives at once, and not through a cut, of multicast alone too, nor at a host that stands
//! still. No frame is made of it, so no capture has it.

use vipd_engine::Timestamp;
use vipd_engine::ipvs::SyncSpec;
use vipd_scenarios::record::HostId;

use crate::host::{Host, Outside};
use crate::ipvs::{Flow, Segment, Synced, Verdict};
use crate::link::Cut;
use crate::network::Due;
use crate::world::Simulation;

impl Host {
    /// What the table does with a packet of a client.
    pub(crate) fn direct(
        &mut self,
        flow: &Flow,
        segment: Segment,
        out: &mut Outside<'_>,
    ) -> Verdict {
        let table = &mut self.balancing.table;
        let waited = table.next_sync();
        let verdict = table.arrive(timestamp(out), flow, segment);
        if let (None, Some(_)) = (waited, table.next_sync()) {
            out.net.queue.push(out.net.now.later(Synced::GATHERED), Due::Sync { host: self.id });
        }
        verdict
    }

    /// What is to be sent now.
    fn send_sync(&mut self, out: &mut Outside<'_>) -> Option<(SyncSpec, Vec<Synced>)> {
        let told = self.balancing.table.send_sync(timestamp(out));
        told.filter(|_| self.is_running())
    }
}

impl Simulation {
    /// The kernel of a host tells the others what it gathered.
    pub(crate) fn on_sync(&mut self, host: HostId, out: &mut dyn vipd_scenarios::record::Recorder) {
        let mut sent = None;
        self.with(host, out, |host, out| sent = host.send_sync(out));
        let Some((from, told)) = sent else { return };
        let all = 0..self.hosts.len();
        for to in all.map(|id| HostId(id as u16)).filter(|to| *to != host) {
            if self.hears_multicast(host, &from, to) {
                self.with(to, out, |to, out| {
                    to.balancing.table.hear_sync(timestamp(out), &from, &told);
                });
            }
        }
    }

    /// Whether multicast of a thread with these settings arrives at another host.
    fn hears_multicast(&self, from: HostId, settings: &SyncSpec, to: HostId) -> bool {
        let host = |id: HostId| self.hosts.get(usize::from(id.0));
        let (Some(from), Some(to)) = (host(from), host(to)) else { return false };
        let is_meant = |host: &Host, index| {
            let named = host.kernel.interface(index);
            named.is_some_and(|own| own.name == settings.interface) && host.kernel.passes(index)
        };
        let sender = from.ports.iter().find(|port| is_meant(from, port.index));
        let hears = to.ports.iter().filter(|port| to.kernel.passes(port.index));
        let Some(sender) = sender.filter(|_| to.is_running()) else { return false };
        let paths = &self.net.port(sender.id).paths;
        hears.into_iter().any(|port| {
            paths.iter().any(|(end, path)| *end == port.id && path.cut() == Cut::Nothing)
        })
    }
}

const fn timestamp(out: &Outside<'_>) -> Timestamp {
    Timestamp::from_nanos(out.net.now.0)
}
