//! A host: its namespace, its cables, its process, and what its kernel says of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use vipd_engine::{Config, MacAddress};
use vipd_scenarios::record::{HostId, SegmentId};
use vipd_scenarios::scenario::Host as Plan;
use vipd_sim::network::{Network, PortId};
use vipd_sim::packets::Slot;
use vipd_sim::topology::{self, Serving};

use crate::client::Client;
use crate::frr::{self, Macvlan};
use crate::namespaces::{Namespace, Namespaces};
use crate::node::{Kind, Node, VRRP_ONLY};
use crate::observer::{Observer, Source};
use crate::real_server::RealServer;
use crate::requests::User;
use crate::table::Table;
use crate::watch::{Watch, Word};
use crate::wire::Plug;

/// Numbers of interfaces from here on are those of the cables' other ends.
const FIRST_END: u32 = 1000;

/// A port of a host, and the other end of its cable.
#[derive(Debug)]
pub(crate) struct Cable {
    pub(crate) port: PortId,
    pub(crate) segment: SegmentId,
    /// The interface's name in its host.
    pub(crate) interface: Arc<str>,
    /// The name of the other end, in the namespace of the wires.
    pub(crate) end: String,
    pub(crate) plug: Plug,
    pub(crate) up: bool,
}

/// A host.
pub(crate) struct Host {
    pub(crate) id: HostId,
    pub(crate) namespace: Namespace,
    pub(crate) cables: Vec<Cable>,
    pub(crate) node: Option<Node>,
    /// What its process reads when it starts.
    pub(crate) config: Option<Arc<Config>>,
    pub(crate) client: Option<Client>,
    pub(crate) watch: Watch,
    /// Asks a virtual server for pages.
    pub(crate) user: Option<User>,
    /// Takes the connections that directors send it.
    pub(crate) real_server: Option<RealServer>,
    /// As a real server it is as good as dead: no frame reaches it.
    pub(crate) silent: bool,
    /// The IPVS table of its kernel, if it serves virtual servers.
    pub(crate) table: Option<Table>,
    /// Who asks for its virtual addresses from outside, if it runs VRRP.
    pub(crate) observer: Option<Observer>,
    pub(crate) powered: bool,
    pub(crate) frozen: bool,
    /// Frames for or of a machine that stands still.
    pub(crate) held: Vec<Held>,
    fixed: Vec<IpAddr>,
    /// What FRR finds when it starts.
    macvlans: Vec<Macvlan>,
    /// Interfaces by number: a cable of ours, by its place.
    links: BTreeMap<u32, usize>,
    pub(crate) addresses: BTreeSet<(u32, IpAddr)>,
    pub(crate) neighbours: BTreeMap<(SegmentId, IpAddr), MacAddress>,
    owned: BTreeSet<(SegmentId, IpAddr)>,
}

/// A frame that waits for a machine to go on.
pub(crate) enum Held {
    /// It would have left at this port.
    Left(PortId, Vec<u8>),
    /// It would have arrived at this port.
    Arrived(PortId, Slot),
}

impl Host {
    /// Makes a host with its cables, their other ends in `wires`.
    pub(crate) fn new(
        (id, plan): (HostId, &Plan),
        net: &Network,
        wires: &Namespace,
        namespaces: &mut Namespaces,
    ) -> Result<Self, String> {
        let namespace = namespaces.add(&format!("{}", id.0))?;
        let watch = namespace.within(Watch::open)?.map_err(|error| error.to_string())?;
        let ports = net.ports().iter().zip(0..).filter(|(port, _)| port.host == Some(id));
        let mut cables = Vec::new();
        let mut own = String::new();
        for (port, place) in ports {
            let interface = Arc::clone(&plan.interfaces[port.local].name);
            let end = format!("p{place}");
            // The two ends must not have the same number by chance: Linux tells at once of a lost
            // carrier if they differ, else up to a second later (its linkwatch takes an interface
            // that is its own lower one for a card that may flap).
            let (number, there) = (FIRST_END + place, namespace.name());
            let near = format!("{end} index {number} type veth");
            let far = format!("{interface} address {} netns {there}", port.mac);
            wires.ip(&format!("link add {near} peer name {far}\n"))?;
            let plug = wires.within(|| Plug::open(&end))?;
            let plug = plug.map_err(|error| format!("a packet socket: {error}"))?;
            wires.ip(&format!("link set {end} up\n"))?;
            // Without the kernel's own link-local address: ours is the one that the port's MAC
            // makes, or the scenario's.
            let _ = writeln!(own, "link set {interface} addrgenmode none");
            let _ = writeln!(own, "link set {interface} up");
            for (address, len) in topology::addresses(plan, id.0, port.local) {
                let _ =
                    writeln!(own, "address add {address}/{len} dev {interface}{}", nodad(address));
            }
            let (port, segment) = (PortId(place), port.segment);
            cables.push(Cable { port, segment, interface, end, plug, up: true });
        }
        namespace.ip(&own)?;
        if plan.config.is_some() {
            keep_neighbours(&namespace, plan)?;
        }
        let locals = 0..plan.interfaces.len();
        let fixed = locals.flat_map(|local| topology::addresses(plan, id.0, local));
        let fixed = fixed.map(|(address, _)| address).collect();
        let asks = topology::asks(plan, id.0).zip(plan.probe);
        let open = asks.map(|((_, ends), probe)| move || Client::open(ends, probe.every, id));
        let client = open.map(|open| namespace.within(open)).transpose()?.transpose();
        let client = client.map_err(|error| format!("a raw socket: {error}"))?;
        Ok(Self {
            id,
            namespace,
            cables,
            node: None,
            config: None,
            client,
            user: None,
            real_server: None,
            silent: false,
            table: None,
            watch,
            observer: None,
            powered: true,
            frozen: false,
            held: Vec::new(),
            fixed,
            macvlans: Vec::new(),
            links: BTreeMap::new(),
            addresses: BTreeSet::new(),
            neighbours: BTreeMap::new(),
            owned: BTreeSet::new(),
        })
    }

    /// Makes it a client that asks for pages, and a real server, as far as it is one.
    pub(crate) fn equip(&mut self, plan: &Plan, serving: &Serving) -> Result<(), String> {
        // A namespace begins with what the machine has.
        self.set_ipv4("forwarding", if plan.forwards { "1" } else { "0" })?;
        if let Some(requests) = plan.requests {
            self.user = Some(User::new(&self.namespace, requests)?);
        }
        if !serving.hidden.is_empty() {
            // It has the address of the service, and neither answers for it nor says it is there.
            self.set_ipv4("arp_ignore", "1")?;
            self.set_ipv4("arp_announce", "2")?;
            let lines = serving.hidden.iter().map(|address| {
                let len = if address.is_ipv4() { 32 } else { 128 };
                format!("address add {address}/{len} dev lo\n")
            });
            self.namespace.ip(&lines.collect::<String>())?;
        }
        if !serving.ports.is_empty() {
            let ports = serving.ports.iter().copied();
            self.real_server = Some(RealServer::start(&self.namespace, &plan.name, ports)?);
        }
        Ok(())
    }

    fn set_ipv4(&self, key: &str, value: &str) -> Result<(), String> {
        let path = format!("/proc/sys/net/ipv4/conf/all/{key}");
        let written = self.namespace.within(|| fs::write(&path, value))?;
        written.map_err(|error| format!("{path}: {error}"))
    }

    /// Gives it a process, which does not run yet. `serves`: it serves its virtual servers, too.
    pub(crate) fn install(
        &mut self,
        plan: &Plan,
        program: (Kind, PathBuf),
        folder: PathBuf,
        serves: bool,
    ) -> Result<(), String> {
        let Some(file) = &plan.config else { return Ok(()) };
        let kind = program.0;
        let file = match (kind, &self.config) {
            (Kind::Frr, Some(config)) => {
                let equivalent = frr::equivalent(config);
                let equivalent = equivalent.map_err(|reason| format!("{}: {reason}", plan.name))?;
                self.prepare_for_frr(equivalent.macvlans)?;
                let own = folder.join("equivalent");
                let written = fs::create_dir_all(&own);
                let file = own.join("vrrpd.conf");
                let written = written.and_then(|()| fs::write(&file, equivalent.text));
                written.map_err(|error| format!("{}: {error}", file.display()))?;
                file
            }
            (Kind::Frr, None) | (Kind::Vipd | Kind::Keepalived, _) => file.clone(),
        };
        let arguments = match kind {
            Kind::Vipd | Kind::Keepalived if !serves => vec![VRRP_ONLY.to_string()],
            Kind::Vipd | Kind::Keepalived | Kind::Frr => Vec::new(),
        };
        let node = Node::new(program, &plan.name, &self.namespace, folder, &file, arguments);
        let node = node.map_err(|error| format!("{}: {error}", file.display()))?;
        self.node = Some(node);
        if serves {
            let table = self.namespace.within(Table::open)?;
            let table = table.map_err(|error| format!("the table of IPVS: {error}"))?;
            self.table = Some(table);
        }
        self.observe();
        Ok(())
    }

    /// Without the first key a Backup's parent interface answers for the address as well, and a
    /// Master's before its macvlan does.
    fn prepare_for_frr(&mut self, macvlans: Vec<Macvlan>) -> Result<(), String> {
        self.set_ipv4("arp_ignore", "1")?;
        self.set_ipv4("arp_announce", "2")?;
        self.namespace.ip(&macvlans.iter().map(Macvlan::lines).collect::<String>())?;
        self.macvlans = macvlans;
        Ok(())
    }

    /// Looks for the virtual addresses of its configuration from now on.
    pub(crate) fn observe(&mut self) {
        let source = match (self.is_frr(), self.has_gates()) {
            (true, _) => Source::WireOfFrr,
            (false, true) => Source::Wire,
            (false, false) => Source::Netlink,
        };
        let config = self.config.as_ref();
        self.observer = config.map(|config| Observer::new(config, &self.cables, source));
    }

    /// Only the wire tells which virtual addresses it owns.
    pub(crate) fn is_seen_from_outside(&self) -> bool {
        self.is_frr() || self.has_gates()
    }

    /// Its addresses are there, and out of reach without a lease.
    fn has_gates(&self) -> bool {
        let is_vipd = self.node.as_ref().is_some_and(|node| node.kind() == Kind::Vipd);
        let mut instances = self.config.iter().flat_map(|config| config.instances());
        is_vipd && instances.any(|instance| instance.dead_man.is_some())
    }

    /// FRR's addresses are there in every state, so its kernel does not tell who owns them.
    pub(crate) fn is_frr(&self) -> bool {
        self.node.as_ref().is_some_and(|node| node.kind() == Kind::Frr)
    }

    /// Does by hand what FRR leaves to its operator: after a kill its macvlans speak on.
    pub(crate) fn mute(&self) -> Result<(), String> {
        let speaks = self.observer.as_ref().is_some_and(|seen| seen.answered().next().is_some());
        if self.macvlans.is_empty() || !speaks {
            return Ok(());
        }
        self.namespace.ip(&self.macvlans.iter().map(Macvlan::muting).collect::<String>())
    }

    /// Notes what the kernel says of its links; the rest is for whoever keeps the Record.
    pub(crate) fn note_link(&mut self, word: &Word) {
        if let Word::Link { index, name, below } = word {
            let own = self.cables.iter().position(|cable| *cable.interface == **name);
            // A macvlan is on the wire of the cable below it.
            let above = below.and_then(|below| self.links.get(&below).copied());
            if let Some(cable) = own.or(above) {
                self.links.insert(*index, cable);
            }
        }
    }

    /// The cable of an interface, or the one below it.
    pub(crate) fn cable_of(&self, index: u32) -> Option<&Cable> {
        self.cables.get(*self.links.get(&index)?)
    }

    /// Power is on and nothing stands still.
    pub(crate) const fn is_running(&self) -> bool {
        self.powered && !self.frozen
    }

    /// Whether its kernel has an address at one of its cables; nothing is known of a machine that
    /// stands still and of a cable that is out.
    pub(crate) fn holds(&self, cable: usize, address: IpAddr) -> Option<bool> {
        let mut own = self.addresses.iter();
        let there = |index: &u32| self.links.get(index) == Some(&cable);
        let reachable = self.is_running() && self.cables[cable].up;
        reachable.then(|| own.any(|(index, known)| *known == address && there(index)))
    }

    /// Which virtual addresses its data plane owns now and did not before, and the reverse.
    pub(crate) fn refresh_owned(&mut self, virtuals: &[IpAddr]) -> Vec<(SegmentId, IpAddr, bool)> {
        let mut owned = BTreeSet::new();
        if self.is_seen_from_outside() {
            let answered = self.observer.iter().flat_map(Observer::answered);
            let answered = answered.map(|(cable, address)| (&self.cables[cable], address));
            let reached = answered.filter(|(cable, _)| cable.up && self.is_running());
            owned.extend(reached.map(|(cable, address)| (cable.segment, address)));
        } else {
            for (index, address) in &self.addresses {
                let cable = self.cable_of(*index).filter(|cable| cable.up && self.is_running());
                if let Some(cable) = cable.filter(|_| virtuals.contains(address)) {
                    owned.insert((cable.segment, *address));
                }
            }
        }
        let before = std::mem::replace(&mut self.owned, owned);
        let lost =
            before.difference(&self.owned).map(|(segment, address)| (*segment, *address, false));
        let taken =
            self.owned.difference(&before).map(|(segment, address)| (*segment, *address, true));
        lost.chain(taken).collect()
    }

    /// Forgets in its kernel what a machine forgets without power.
    pub(crate) fn reboot(&self) -> Result<(), String> {
        let mut lines = String::new();
        for (index, address) in self.addresses.iter().filter(|_| !self.is_frr()) {
            let Some(cable) = self.cable_of(*index).filter(|_| !self.fixed.contains(address))
            else {
                continue;
            };
            let len = if address.is_ipv4() { 32 } else { 128 };
            let _ = writeln!(lines, "address del {address}/{len} dev {}", cable.interface);
        }
        lines.push_str("neighbour flush all\n");
        self.namespace.ip(&lines)?;
        if self.table.is_some() {
            self.namespace.run(&["ipvsadm", "--clear"])?;
        }
        self.mute()
    }
}

/// What a kernel is told of its neighbours (ip-sysctl): for how long it believes what they
/// confirmed, and for how long, in seconds, what they only said.
const BELIEFS: [(&str, &str); 2] =
    [("base_reachable_time_ms", "3600000"), ("delay_first_probe_time", "3600")];

/// A router that speaks to its peers by unicast goes on while they are cut off, as long as its
/// kernel knows their MACs: for a minute or not at all, as it happens, unless it is told to believe
/// what it knows. Simulated hosts do.
fn keep_neighbours(namespace: &Namespace, plan: &Plan) -> Result<(), String> {
    for interface in &plan.interfaces {
        for family in ["ipv4", "ipv6"] {
            for (name, value) in BELIEFS {
                let key = format!("/proc/sys/net/{family}/neigh/{}/{name}", interface.name);
                match namespace.within(|| fs::write(&key, value))? {
                    // A kernel without IPv6 has no neighbours there.
                    Err(error) if error.kind() != ErrorKind::NotFound => {
                        return Err(format!("{key}: {error}"));
                    }
                    _ => {}
                }
            }
        }
    }
    Ok(())
}

/// A duplicate is looked for by nobody: the address is there at once.
pub(crate) const fn nodad(address: IpAddr) -> &'static str {
    match address {
        IpAddr::V4(_) => "",
        IpAddr::V6(_) => " nodad",
    }
}
