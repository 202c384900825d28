//! The director as a part of the engine: what it is told of machine, configuration and virtual
//! routers, and where what it puts out goes.
//!
//! It is there from the first configuration on that says anything of IPVS. VRRP always acts before
//! it, so no advert waits for a real server. What its news means to virtual routers is in `policy`.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::director::{Director, DirectorOutput};
use crate::engine::Engine;
use crate::event::{DIRECTOR_NAME, Event, News};
use crate::health::{AttemptId, Outcome, ServerName};
use crate::ipvs::{Answer, OrderError, Request, ServerOrder, SyncRole};
use crate::names::InstanceName;
use crate::output::{InstanceId, Output, Outputs};
use crate::policy;
use crate::time::Timestamp;
use crate::vrrp::instance::Instance;

impl Engine {
    /// Whether an operator may order this of a real server.
    ///
    /// # Errors
    /// If there is no such server, or the weight is too great.
    pub fn may_order(&self, server: &ServerName, order: ServerOrder) -> Result<(), OrderError> {
        let director = self.director.as_ref().ok_or(OrderError::NoVirtualServer)?;
        director.may_order(server, order)
    }

    /// Takes over what the configuration says. One that comes into being hears at once what it
    /// would have heard by then.
    pub(crate) fn configure_director(&mut self, now: Timestamp, out: &mut Outputs) {
        let config = Arc::clone(self.config.director());
        if self.director.is_none() {
            if config.is_empty() {
                return;
            }
            self.director = Some(Box::new(Director::new(self.limits)));
            self.tell_director_all(now, out);
        }
        self.direct(now, out, |director, out| director.configure(now, config, out));
    }

    fn tell_director_all(&mut self, now: Timestamp, out: &mut Outputs) {
        let addresses: Vec<_> = self.observed.addresses();
        let trackers = self.observed.trackers();
        self.direct(now, out, |director, out| {
            for (_, address) in addresses {
                director.on_address(now, address, true, out);
            }
            for (file, value) in trackers {
                director.on_tracker(now, file, value, out);
            }
        });
    }

    /// Does what is due of it: one portion.
    #[inline(never)]
    pub(crate) fn tick_director(&mut self, now: Timestamp, out: &mut Outputs) {
        self.direct(now, out, |director, out| director.tick(now, out));
    }

    /// The address came to an interface or left one: it may still be on another one.
    pub(crate) fn tell_director_of(&mut self, now: Timestamp, address: IpAddr, out: &mut Outputs) {
        if self.director.is_some() {
            let present = self.observed.has_address(address);
            self.direct(now, out, |director, out| {
                director.on_address(now, address, present, out);
            });
        }
    }

    #[inline(never)]
    pub(crate) fn on_outcome(
        &mut self,
        now: Timestamp,
        id: AttemptId,
        outcome: Outcome,
        out: &mut Outputs,
    ) {
        self.direct(now, out, |director, out| director.on_outcome(now, id, outcome, out));
    }

    pub(crate) fn on_ipvs(
        &mut self,
        now: Timestamp,
        number: u64,
        answer: Answer,
        out: &mut Outputs,
    ) {
        self.direct(now, out, |director, out| match answer {
            Answer::Observed(observed) => director.on_observed(now, number, observed, out),
            Answer::Done(Ok(failures)) => director.on_done(now, number, Ok(&failures), out),
            Answer::Done(Err(error)) => director.on_done(now, number, Err(error), out),
        });
    }

    pub(crate) fn on_server_order(
        &mut self,
        now: Timestamp,
        server: &ServerName,
        order: ServerOrder,
        out: &mut Outputs,
    ) {
        self.direct(now, out, |director, out| {
            // Whoever wants to know asks before, by `may_order`.
            let _ = director.order(now, server, order, out);
        });
    }

    /// Lets the director act, and then the virtual routers that its news is about.
    pub(crate) fn direct(
        &mut self,
        now: Timestamp,
        out: &mut Outputs,
        act: impl FnOnce(&mut Director, &mut Vec<DirectorOutput>),
    ) {
        let Some(director) = &mut self.director else { return };
        act(director, &mut self.told);
        self.director_due = director.deadline();
        if self.told.is_empty() {
            return;
        }
        let mut concerns_instances = false;
        for output in self.told.drain(..) {
            out.push(match output {
                DirectorOutput::Probe(probe) => Output::Probe(probe),
                DirectorOutput::Batch(batch) => Output::Ipvs(Request::Batch(batch)),
                DirectorOutput::Read(read) => Output::Ipvs(Request::Read(read)),
                DirectorOutput::News(news) => {
                    concerns_instances |= policy::concerns_instances(&news);
                    let instance = InstanceName::new(DIRECTOR_NAME);
                    Output::Notify(Event { instance, news: News::Director(Box::new(news)) })
                }
            });
        }
        if concerns_instances {
            for id in self.ids() {
                self.with(id, now, out, Instance::evaluate);
            }
        }
    }

    /// Tells the director what became of the instance that its synchronisation follows.
    pub(crate) fn follow(&mut self, now: Timestamp, out: &mut Outputs) {
        let Some(director) = &self.director else { return };
        let role = self.sync_role();
        if director.sync_role() != role && !director.is_stopping() {
            self.direct(now, out, |director, out| director.on_instance(now, role, out));
        }
    }

    /// The instance that the synchronisation follows.
    pub(crate) fn find_followed(&self) -> Option<InstanceId> {
        let name = self.config.director().sync_daemon.as_ref()?.instance.as_ref()?;
        let mut running = self.instances.iter().flatten().filter(|one| !one.is_stopping());
        running.find(|instance| instance.config.name == *name).map(|instance| instance.id)
    }

    /// What must hold between director, machine and virtual routers, and does not.
    pub(crate) fn apart_from_director(&self) -> Option<&'static str> {
        let director = self.director.as_deref()?;
        let here = self.observed.addresses().into_iter().map(|(_, address)| address);
        if here.collect::<alloc::collections::BTreeSet<_>>() != *director.addresses() {
            return Some("the director knows of other addresses than this machine has");
        }
        if !director.is_stopping() && director.sync_role() != self.sync_role() {
            return Some("the synchronisation does not follow its instance");
        }
        let settled = || !director.is_taking();
        let mut instances = self.instances.iter().flatten().filter(|one| !one.is_stopping());
        let wrong = instances.any(|instance| {
            let told = matches!(instance.own_fault(), Some(crate::event::Fault::NoIpvs(_)));
            match policy::undirected(Some(director), &instance.config) {
                Some(_) => instance.own_fault().is_none(),
                None => told,
            }
        });
        (wrong && settled()).then_some("an instance does not know whether IPVS is there")
    }

    fn sync_role(&self) -> SyncRole {
        let followed = self.followed.and_then(|id| self.instance(id));
        policy::sync_role(followed.map(Instance::state_kind))
    }
}
