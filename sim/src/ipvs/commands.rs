//! Changes of the table and their answers, and what is read of it.

use vipd_engine::config::director::{Forwarding, MAX_WEIGHT, Service, Timeouts};
use vipd_engine::ipvs::{
    DestinationSpec, Endpoint, IpvsCommand, IpvsError, Observed, Read, Seen, ServiceSpec, Settings,
};
use vipd_engine::{Family, Timestamp};

use super::scheduler::{Change, Memory};
use super::{Destination, Limits, Load, Name, Row, Table};

impl Table {
    /// Does one command.
    ///
    /// # Errors
    /// Those of Linux.
    pub fn perform(&mut self, now: Timestamp, command: &IpvsCommand) -> Result<(), IpvsError> {
        self.expire(now);
        match command {
            IpvsCommand::Flush => {
                for service in self.services.keys().copied().collect::<Vec<_>>() {
                    self.remove_service(service)?;
                }
            }
            IpvsCommand::SetTimeouts(Timeouts { tcp, tcp_fin, udp }) => {
                let limits = &mut self.limits;
                limits.tcp = tcp.unwrap_or(limits.tcp);
                limits.tcp_fin = tcp_fin.unwrap_or(limits.tcp_fin);
                limits.udp = udp.unwrap_or(limits.udp);
            }
            IpvsCommand::AddService { service, spec } => self.add_service(*service, spec)?,
            IpvsCommand::EditService { service, spec } => self.edit_service(*service, spec)?,
            IpvsCommand::RemoveService(service) => self.remove_service(*service)?,
            IpvsCommand::AddDestination { service, endpoint, spec } => {
                self.add_destination(*service, *endpoint, *spec)?;
            }
            IpvsCommand::EditDestination { service, endpoint, spec } => {
                self.edit_destination(*service, *endpoint, *spec)?;
            }
            IpvsCommand::RemoveDestination { service, endpoint } => {
                self.remove_destination(*service, *endpoint)?;
            }
            IpvsCommand::StartSync { role, .. } if self.sync.contains_key(role) => {
                return Err(IpvsError::Exists);
            }
            IpvsCommand::StartSync { role, spec } => {
                self.sync.insert(*role, spec.clone());
            }
            IpvsCommand::StopSync(role) => {
                self.sync.remove(role).ok_or(IpvsError::NoService)?;
            }
        }
        Ok(())
    }

    /// The answer to a read.
    #[must_use]
    pub fn read(&self, read: &Read) -> Vec<Observed> {
        let seen = read.services.iter().filter_map(|service| self.seen(*service));
        let seen = seen.map(Observed::Service);
        let settings = read.settings.then(|| Observed::Settings(self.settings()));
        [Observed::Begin].into_iter().chain(seen).chain(settings).chain([Observed::End]).collect()
    }

    fn settings(&self) -> Settings {
        let Limits { tcp, tcp_fin, udp } = self.limits;
        let timeouts = Timeouts { tcp: Some(tcp), tcp_fin: Some(tcp_fin), udp: Some(udp) };
        Settings { timeouts, sync: self.sync.clone() }
    }

    fn seen(&self, service: Service) -> Option<Seen> {
        let row = self.services.get(&service)?;
        let of = |(endpoint, spec, _)| (endpoint, Some(spec));
        let destinations = self.destinations(service).map(of).collect();
        Some(Seen { service, spec: Some(row.spec.clone()), destinations })
    }

    fn add_service(&mut self, service: Service, spec: &ServiceSpec) -> Result<(), IpvsError> {
        if self.services.contains_key(&service) {
            return Err(IpvsError::Exists);
        }
        let memory = Memory::new(spec.scheduling.scheduler, &[]);
        let row = Row { spec: as_kept(spec), order: Vec::new(), memory };
        self.services.insert(service, row);
        Ok(())
    }

    fn edit_service(&mut self, service: Service, spec: &ServiceSpec) -> Result<(), IpvsError> {
        let pool = self.pool(service);
        let row = self.services.get_mut(&service).ok_or(IpvsError::NoService)?;
        // The same scheduler keeps its memory.
        if row.spec.scheduling.scheduler != spec.scheduling.scheduler {
            row.memory = Memory::new(spec.scheduling.scheduler, &pool);
        }
        row.spec = as_kept(spec);
        Ok(())
    }

    fn remove_service(&mut self, service: Service) -> Result<(), IpvsError> {
        let row = self.services.remove(&service).ok_or(IpvsError::NoService)?;
        for endpoint in row.order {
            self.take_out((service, endpoint));
        }
        Ok(())
    }

    fn add_destination(
        &mut self,
        service: Service,
        endpoint: Endpoint,
        spec: DestinationSpec,
    ) -> Result<(), IpvsError> {
        self.check(service, endpoint, spec)?;
        let row = self.services.get_mut(&service).ok_or(IpvsError::NoService)?;
        if row.order.contains(&endpoint) {
            return Err(IpvsError::Exists);
        }
        row.order.insert(0, endpoint);
        let one = self.destinations.entry((service, endpoint)).or_insert(Destination {
            spec,
            is_in_table: true,
            load: Load::default(),
            is_overloaded: false,
            last_weight: 0,
        });
        one.is_in_table = true;
        one.last_weight = 0;
        one.set(spec);
        self.changed(service, Change::Added);
        Ok(())
    }

    fn edit_destination(
        &mut self,
        service: Service,
        endpoint: Endpoint,
        spec: DestinationSpec,
    ) -> Result<(), IpvsError> {
        self.check(service, endpoint, spec)?;
        let one = self.destinations.get_mut(&(service, endpoint)).filter(|one| one.is_in_table);
        one.ok_or(IpvsError::NotThere)?.set(spec);
        self.changed(service, Change::Edited);
        Ok(())
    }

    fn remove_destination(
        &mut self,
        service: Service,
        endpoint: Endpoint,
    ) -> Result<(), IpvsError> {
        let row = self.services.get_mut(&service).ok_or(IpvsError::NoService)?;
        let place = row.order.iter().position(|one| *one == endpoint);
        let place = place.ok_or(IpvsError::NotThere)?;
        row.order.remove(place);
        let before = place.checked_sub(1).map(|place| row.order[place]);
        self.changed(service, Change::Removed { endpoint, before });
        self.take_out((service, endpoint));
        Ok(())
    }

    /// What Linux refuses of a destination (`ip_vs_genl_set_cmd`, `ip_vs_add_dest`).
    fn check(
        &self,
        service: Service,
        endpoint: Endpoint,
        spec: DestinationSpec,
    ) -> Result<(), IpvsError> {
        if !self.services.contains_key(&service) {
            return Err(IpvsError::NoService);
        }
        let address = endpoint.address;
        let is_other_family = Family::of(address) != service.family();
        let cannot_cross = !matches!(spec.forwarding, Forwarding::Tunnel(_));
        let refused = spec.weight > MAX_WEIGHT
            || spec.lower_threshold > spec.upper_threshold
            || is_other_family && (cannot_cross || !self.sync.is_empty())
            || address.is_ipv4() && (address.is_multicast() || address.is_unspecified());
        if refused { Err(IpvsError::Refused) } else { Ok(()) }
    }

    fn changed(&mut self, service: Service, change: Change) {
        let pool = self.pool(service);
        if let Some(row) = self.services.get_mut(&service) {
            row.memory.on_change(row.spec.scheduling.scheduler, change, &pool);
        }
    }

    /// It is no longer in the table. Its connections are, unless they are to end with it.
    fn take_out(&mut self, name: Name) {
        if let Some(one) = self.destinations.get_mut(&name) {
            one.is_in_table = false;
        }
        if self.settings.expire_nodest_conn {
            self.end_all_of(name);
        }
        self.forget_if_idle(name);
    }

    /// Nothing refers to it any more.
    pub(super) fn forget_if_idle(&mut self, name: Name) {
        if self.destinations.get(&name).is_some_and(|one| !one.is_in_table && one.is_idle()) {
            self.destinations.remove(&name);
        }
    }
}

impl Destination {
    fn set(&mut self, spec: DestinationSpec) {
        let upper = spec.upper_threshold;
        if upper == 0 || upper > self.spec.upper_threshold {
            self.is_overloaded = false;
        }
        if spec.weight != 0 {
            self.last_weight = spec.weight;
        }
        self.spec = spec;
    }
}

/// Linux hashes every service.
fn as_kept(spec: &ServiceSpec) -> ServiceSpec {
    let mut spec = spec.clone();
    spec.scheduling.hashed = true;
    spec
}
