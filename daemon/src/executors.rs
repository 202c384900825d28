//! What performs the outputs of the director below the run loop: the threads of the checks
//! ([`crate::probes`]) and of the table ([`crate::ipvs`]). Each begins with what it is asked for
//! first.

use vipd_engine::health::{Limits, Probe};
use vipd_engine::ipvs::Request;

use crate::ipvs::Worker;
use crate::probes::Probes;
use crate::seam::{Servers, Told};

/// Both of them.
pub struct Executors {
    probes: Probes,
    table: Worker,
}

impl Executors {
    /// Nothing is started yet.
    #[must_use]
    pub fn new(probes: Probes) -> Self {
        Self { probes, table: Worker::new() }
    }
}

impl Servers for Executors {
    fn are_directed(&self) -> bool {
        true
    }

    fn limits(&self) -> Limits {
        self.probes.limits()
    }

    fn probe(&mut self, probe: Probe) {
        self.probes.perform(probe);
    }

    fn order(&mut self, request: Request) {
        self.table.order(request);
    }

    async fn next(&mut self) -> Told {
        let Self { probes, table } = self;
        tokio::select! {
            biased;
            (number, answer) = table.next() => Told::Ipvs { number, answer },
            (id, outcome) = probes.next() => Told::Probe { id, outcome },
        }
    }

    /// The table first: while it waits nobody goes out of it.
    fn try_next(&mut self) -> Option<Told> {
        let answer = self.table.try_next().map(|(number, answer)| Told::Ipvs { number, answer });
        let outcome = |(id, outcome)| Told::Probe { id, outcome };
        answer.or_else(|| self.probes.try_next().map(outcome))
    }
}
