//! What of the director's news is told by scripts, named pipes and mail, and keepalived's words for
//! it. Who is told of it is decided in `notify::servers` and `mail::servers`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use vipd_config::Loaded;
use vipd_engine::config::director::{Protocol, Service, VirtualServerName};
use vipd_engine::director::News;
use vipd_engine::health::{self, Failure, ServerName, WhyDown, WhyUp};
use vipd_engine::ipvs::{self, Cause};

/// One thing that is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Of a real server.
    Real(ServerName, Why),
    /// A virtual server gained or lost its quorum, with so much weight alive.
    Virtual {
        /// Which one.
        name: VirtualServerName,
        /// Whether it has it now.
        up: bool,
        /// Sum of the weights of the living real servers.
        live: u64,
    },
}

/// What became of a real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is up from the first.
    Begins,
    /// It is up again, or at last.
    Passed,
    /// It is down: this was wrong with it.
    Failed(Failure),
    /// It is down because we stop (`omega`).
    Stops,
    /// It is down because a reload takes it out of its virtual server.
    Removed,
}

impl Why {
    /// Whether it is up.
    pub const fn is_up(self) -> bool {
        matches!(self, Self::Begins | Self::Passed)
    }
}

/// Finds what is to be told.
#[derive(Debug, Default)]
pub struct Changes {
    /// Real servers that were told to be down, and not to be up since.
    down: BTreeSet<ServerName>,
    /// Those that the last reload took away.
    removed: BTreeSet<ServerName>,
}

/// Whose each service is.
pub type Owners = BTreeMap<Service, Owner>;

/// Whose a service is.
#[derive(Clone, Debug)]
pub struct Owner {
    name: VirtualServerName,
    /// It is told of its end.
    omega: bool,
}

/// Those of a file.
pub fn owners(loaded: &Loaded) -> Owners {
    let all = loaded.config.director().virtual_servers.iter();
    let of = all.flat_map(|server| {
        let owner = Owner { name: server.name.clone(), omega: server.omega };
        server.services.iter().map(move |service| (*service, owner.clone()))
    });
    of.collect()
}

impl Changes {
    /// Another file is in force.
    pub fn configure(&mut self) {
        self.removed.clear();
    }

    /// What is to be told of this. Most news are for the log alone.
    pub fn of(&mut self, news: &News, owners: &Owners) -> Option<Change> {
        match news {
            News::Health(health::News::ServerUp { server, why, weight: _ }) => {
                let was_down = self.down.remove(&**server);
                let why = match why {
                    WhyUp::Assumed | WhyUp::Unchecked if !was_down => Why::Begins,
                    WhyUp::Assumed | WhyUp::Unchecked | WhyUp::Passed => Why::Passed,
                };
                Some(Change::Real(ServerName::clone(server), why))
            }
            News::Health(health::News::ServerDown { server, why }) => match why {
                // It was never up.
                WhyDown::Untested | WhyDown::NoNumber => None,
                WhyDown::Failed(failure) => self.goes_down(server, Why::Failed(*failure)),
            },
            News::Table(ipvs::News::Server {
                service,
                server,
                sorry: false,
                to: None,
                cause: cause @ (Cause::Stop | Cause::Dropped),
                ..
            }) => {
                let Owner { name, omega } = owners.get(service)?;
                let ipvs::Endpoint { address, port } = *server;
                let server = ServerName { virtual_server: name.clone(), address, port };
                match cause {
                    Cause::Stop if *omega => self.goes_down(&server, Why::Stops),
                    Cause::Dropped => self.is_removed(server),
                    Cause::Stop | Cause::Wanted | Cause::Belated => None,
                }
            }
            News::Table(ipvs::News::Quorum { name, up, live, limit: _ }) => {
                Some(Change::Virtual { name: name.clone(), up: *up, live: *live })
            }
            News::Health(_)
            | News::Table(_)
            | News::Ordered { .. }
            | News::Rest { .. }
            | News::InForce => None,
        }
    }

    /// Of one that was down nothing more is told.
    fn is_removed(&mut self, server: ServerName) -> Option<Change> {
        let was_down = self.down.remove(&server);
        let is_first = self.removed.insert(server.clone());
        (is_first && !was_down).then_some(Change::Real(server, Why::Removed))
    }

    /// A virtual server of a group has a real server in each of its services, and one end of it.
    fn goes_down(&mut self, server: &ServerName, why: Why) -> Option<Change> {
        self.down.insert(server.clone()).then(|| Change::Real(server.clone(), why))
    }
}

/// keepalived's word for it.
pub const fn word(up: bool) -> &'static str {
    if up { "UP" } else { "DOWN" }
}

/// A virtual server in keepalived's words: `[192.0.2.1]:tcp:80`, `[GROUP]:0`, `FWM 7`.
pub fn of_virtual(name: &VirtualServerName) -> String {
    match name {
        VirtualServerName::Address { address, port, protocol } => {
            trio(*address, Some(*protocol), *port)
        }
        VirtualServerName::Fwmark { mark, .. } => format!("FWM {mark}"),
        VirtualServerName::Group { name, .. } => format!("[{name}]:0"),
    }
}

/// A real server likewise.
pub fn real(server: &ServerName) -> String {
    let protocol = match &server.virtual_server {
        VirtualServerName::Address { protocol, .. } | VirtualServerName::Group { protocol, .. } => {
            Some(*protocol)
        }
        VirtualServerName::Fwmark { .. } => None,
    };
    trio(server.address, protocol, server.port)
}

fn trio(address: IpAddr, protocol: Option<Protocol>, port: u16) -> String {
    let protocol = match protocol {
        Some(Protocol::Tcp) => "tcp",
        Some(Protocol::Udp) => "udp",
        Some(Protocol::Sctp) => "sctp",
        None => "none",
    };
    format!("[{address}]:{protocol}:{port}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use vipd_engine::ipvs::Endpoint;

    fn name() -> VirtualServerName {
        let (address, protocol) = ([192, 0, 2, 1].into(), Protocol::Tcp);
        VirtualServerName::Address { address, port: 80, protocol }
    }

    fn server() -> ServerName {
        ServerName { virtual_server: name(), address: [10, 0, 0, 1].into(), port: 80 }
    }

    fn up(why: WhyUp) -> News {
        News::Health(health::News::ServerUp { server: Arc::new(server()), weight: 1, why })
    }

    fn down(why: WhyDown) -> News {
        News::Health(health::News::ServerDown { server: Arc::new(server()), why })
    }

    fn why(changes: &mut Changes, news: &News) -> Option<Why> {
        match changes.of(news, &Owners::new())? {
            Change::Real(of, why) => (of == server()).then_some(why),
            Change::Virtual { .. } => None,
        }
    }

    #[test]
    fn a_server_begins_fails_once_and_comes_back_whatever_made_it_so() {
        let changes = &mut Changes::default();
        let failed = WhyDown::Failed(Failure::Refused);
        assert_eq!(why(changes, &up(WhyUp::Assumed)), Some(Why::Begins));
        assert_eq!(why(changes, &down(failed)), Some(Why::Failed(Failure::Refused)));
        assert_eq!(why(changes, &down(failed)), None, "it is down already");
        assert_eq!(why(changes, &up(WhyUp::Unchecked)), Some(Why::Passed));
        assert_eq!(why(changes, &up(WhyUp::Unchecked)), Some(Why::Begins));
    }

    #[test]
    fn one_that_was_never_up_is_no_news_until_it_is() {
        let changes = &mut Changes::default();
        assert_eq!(why(changes, &down(WhyDown::Untested)), None);
        assert_eq!(why(changes, &up(WhyUp::Passed)), Some(Why::Passed));
    }

    #[test]
    fn the_end_is_told_once_where_the_file_asks_for_it() {
        let services = [80, 81].map(|port| Service::Address {
            address: [192, 0, 2, 1].into(),
            port,
            protocol: Protocol::Tcp,
        });
        let gone = |service, cause| {
            News::Table(ipvs::News::Server {
                service,
                server: Endpoint { address: [10, 0, 0, 1].into(), port: 80 },
                sorry: false,
                from: Some(1),
                to: None,
                cause,
            })
        };
        let owners = |omega| services.map(|one| (one, Owner { name: name(), omega })).into();
        let [first, second] = services.map(|service| gone(service, Cause::Stop));
        assert_eq!(Changes::default().of(&first, &owners(false)), None, "it does not");
        let changes = &mut Changes::default();
        assert_eq!(changes.of(&first, &owners(true)), Some(Change::Real(server(), Why::Stops)));
        assert_eq!(changes.of(&second, &owners(true)), None, "the same in another service");

        let (changes, owners) = (&mut Changes::default(), owners(false));
        let [first, second] = services.map(|service| gone(service, Cause::Dropped));
        assert_eq!(changes.of(&first, &owners), Some(Change::Real(server(), Why::Removed)));
        assert_eq!(changes.of(&second, &owners), None, "the same in another service");
        changes.configure();
        // One that comes back begins anew.
        assert_eq!(why(changes, &up(WhyUp::Assumed)), Some(Why::Begins));
        assert_eq!(changes.of(&first, &owners), Some(Change::Real(server(), Why::Removed)));
        let changes = &mut Changes::default();
        assert!(changes.of(&down(WhyDown::Failed(Failure::Refused)), &owners).is_some());
        assert_eq!(changes.of(&first, &owners), None, "it is told to be down already");
    }

    #[test]
    fn names_are_those_of_keepalived() {
        let v6: IpAddr = "2001:db8::1".parse().expect("an address");
        let group = VirtualServerName::Group { name: "web".into(), protocol: Protocol::Udp };
        let marked = VirtualServerName::Fwmark { mark: 7, family: vipd_engine::Family::Ipv4 };
        assert_eq!(of_virtual(&group), "[web]:0");
        assert_eq!(of_virtual(&marked), "FWM 7");
        let real_server =
            |virtual_server| real(&ServerName { virtual_server, address: v6, port: 53 });
        assert_eq!(real_server(group), "[2001:db8::1]:udp:53");
        assert_eq!(real_server(marked), "[2001:db8::1]:none:53");
    }
}
