//! What the director's news are for mail, in keepalived's subjects and bodies.
//!
//! DEVIATION: keepalived mails each check that changes, and a server with three of them three
//! times; here it is the real server that is told of, with what was wrong with it.

use std::collections::{BTreeMap, BTreeSet};

use vipd_config::Loaded;
use vipd_config::director::ServerNotify;
use vipd_engine::config::director::VirtualServerName;
use vipd_engine::director::News;
use vipd_engine::health::ServerName;

use crate::servers::{Change, Changes, Owners, Why, of_virtual, owners, real, word};

const SHUTTING_DOWN: &str = "Shutting down";
const REMOVING: &str = "Removing";

/// What a file wants of it.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    of: BTreeMap<VirtualServerName, ServerNotify>,
    real_servers: bool,
    virtual_servers: bool,
    quorums: BTreeMap<VirtualServerName, Quorum>,
    owners: Owners,
}

/// What a virtual server needs, and how it begins.
#[derive(Clone, Copy, Debug)]
struct Quorum {
    quorum: u32,
    hysteresis: u32,
    alpha: bool,
}

impl Wanted {
    /// Of this file.
    pub fn new(loaded: &Loaded) -> Self {
        let all = &loaded.config.director().virtual_servers;
        let quorums = all.iter().map(|server| {
            let (quorum, hysteresis, alpha) = (server.quorum, server.hysteresis, server.alpha);
            (server.name.clone(), Quorum { quorum, hysteresis, alpha })
        });
        Self {
            of: loaded.director.notify.clone(),
            real_servers: loaded.director.mails_real_servers,
            virtual_servers: loaded.director.mails_virtual_servers,
            quorums: quorums.collect(),
            owners: owners(loaded),
        }
    }
}

/// What was mailed.
#[derive(Debug, Default)]
pub struct ServerAlerts {
    wanted: Wanted,
    /// Those before: what a reload takes away is told of its end afterwards.
    before: Wanted,
    changes: Changes,
    /// Virtual servers whose quorum was told of.
    begun: BTreeSet<VirtualServerName>,
}

impl ServerAlerts {
    /// Of this file from now on.
    pub fn configure(&mut self, wanted: Wanted) {
        self.before = std::mem::replace(&mut self.wanted, wanted);
        self.changes.configure();
        self.begun.retain(|name| self.wanted.quorums.contains_key(name));
    }

    /// The subject behind the name of this machine, and the body, if it is to be mailed.
    pub fn due(&mut self, news: &News) -> Option<(String, String)> {
        match self.changes.of(news, &self.wanted.owners)? {
            Change::Real(server, why) => self.real_server(&server, why),
            Change::Virtual { name, up, live } => self.virtual_server(&name, up, live),
        }
    }

    fn real_server(&self, server: &ServerName, why: Why) -> Option<(String, String)> {
        let body = match why {
            Why::Begins => return None,
            Why::Passed => "CHECK succeed on service".to_string(),
            Why::Failed(failure) => format!("CHECK failed on service : {failure}"),
            Why::Stops => SHUTTING_DOWN.to_string(),
            Why::Removed => REMOVING.to_string(),
        };
        let wanted = if why == Why::Removed { &self.before } else { &self.wanted };
        let name = &server.virtual_server;
        let of = wanted.of.get(name);
        let own = of.and_then(|of| of.real_servers.get(&(server.address, server.port)));
        let (real, its_own, state) = (real(server), of_virtual(name), word(why.is_up()));
        let subject = || format!("Realserver {real} of virtual server {its_own} - {state}");
        let told = own.and_then(|own| own.mail).unwrap_or(wanted.real_servers);
        told.then(|| (subject(), format!("=> {body} <=")))
    }

    fn virtual_server(
        &mut self,
        name: &VirtualServerName,
        up: bool,
        live: u64,
    ) -> Option<(String, String)> {
        let begins = self.begun.insert(name.clone());
        let own = self.wanted.of.get(name).and_then(|own| own.mail);
        if !own.unwrap_or(self.wanted.virtual_servers) {
            return None;
        }
        let Quorum { quorum, hysteresis, alpha } = *self.wanted.quorums.get(name)?;
        let gained = u64::from(quorum) + u64::from(hysteresis);
        let lost = quorum.saturating_sub(hysteresis);
        let body = match (up, begins && !alpha) {
            (true, true) => {
                format!("Starting with quorum up {quorum}+{hysteresis}={gained} <= {live}")
            }
            (true, false) => format!("Gained quorum {quorum}+{hysteresis}={gained} <= {live}"),
            // It would have its quorum still.
            (false, _) if live > 0 && live >= u64::from(lost) => SHUTTING_DOWN.to_string(),
            (false, _) => format!("Lost quorum {quorum}-{hysteresis}={lost} > {live}"),
        };
        let subject = format!("Virtualserver {} - {}", of_virtual(name), word(up));
        Some((subject, format!("=> {body} <=")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::sync::Arc;
    use vipd_config::text::InMemory;
    use vipd_config::{Options, load_from};
    use vipd_engine::config::director::{Protocol, Service};
    use vipd_engine::health::{self, Failure, WhyDown, WhyUp};
    use vipd_engine::ipvs::{self, Cause, Endpoint};

    fn alerts(global: &str, own: &str) -> ServerAlerts {
        let text = format!(
            "global_defs {{\n{global}\n}}\nvirtual_server 192.0.2.1 80 {{\nprotocol TCP\n{own}\n\
             real_server 10.0.0.1 80 {{\n}}\nreal_server 10.0.0.2 80 {{\nsmtp_alert no\n}}\n\
             real_server 10.0.0.3 80 {{\n}}\n}}\n"
        );
        let files = InMemory::new().with("/k.conf", text);
        let loaded = load_from(&files, Path::new("/k.conf"), &Options::default());
        let mut alerts = ServerAlerts::default();
        alerts.configure(Wanted::new(&loaded.expect("it is usable")));
        alerts
    }

    fn name() -> VirtualServerName {
        let (address, protocol) = ([192, 0, 2, 1].into(), Protocol::Tcp);
        VirtualServerName::Address { address, port: 80, protocol }
    }

    fn server(last: u8) -> Arc<ServerName> {
        let (virtual_server, address) = (name(), [10, 0, 0, last].into());
        Arc::new(ServerName { virtual_server, address, port: 80 })
    }

    fn down(last: u8) -> News {
        let why = WhyDown::Failed(Failure::Status(503));
        News::Health(health::News::ServerDown { server: server(last), why })
    }

    fn up(last: u8, why: WhyUp) -> News {
        News::Health(health::News::ServerUp { server: server(last), weight: 1, why })
    }

    fn quorum(up: bool, live: u64) -> News {
        News::Table(ipvs::News::Quorum { name: name(), up, live, limit: 1 })
    }

    fn text(alerts: &mut ServerAlerts, news: &News) -> String {
        alerts.due(news).map(|(subject, body)| format!("{subject} {body}")).unwrap_or_default()
    }

    #[test]
    fn a_real_server_is_mailed_unless_the_file_says_otherwise() {
        let mails = &mut alerts("", "");
        assert_eq!(text(mails, &up(1, WhyUp::Assumed)), "", "it begins");
        let subject = "Realserver [10.0.0.1]:tcp:80 of virtual server [192.0.2.1]:tcp:80";
        assert_eq!(
            text(mails, &down(1)),
            format!("{subject} - DOWN => CHECK failed on service : HTTP status 503 <=")
        );
        assert_eq!(
            text(mails, &up(1, WhyUp::Passed)),
            format!("{subject} - UP => CHECK succeed on service <=")
        );
        assert_eq!(text(mails, &down(2)), "", "smtp_alert no");
        let none = &mut alerts("smtp_alert_checker off", "");
        assert_eq!(text(none, &down(1)), "");
    }

    #[test]
    fn a_quorum_is_mailed_only_if_the_file_says_so_and_with_its_numbers() {
        assert_eq!(text(&mut alerts("", ""), &quorum(true, 3)), "");
        let mails = &mut alerts("", "smtp_alert\nquorum 2\nhysteresis 1");
        let subject = "Virtualserver [192.0.2.1]:tcp:80";
        for (news, wanted) in [
            (quorum(true, 3), "UP => Starting with quorum up 2+1=3 <= 3 <="),
            (quorum(false, 0), "DOWN => Lost quorum 2-1=1 > 0 <="),
            (quorum(true, 3), "UP => Gained quorum 2+1=3 <= 3 <="),
            (quorum(false, 3), "DOWN => Shutting down <="),
        ] {
            assert_eq!(text(mails, &news), format!("{subject} - {wanted}"));
        }
        let late = &mut alerts("", "smtp_alert\nalpha");
        let gained = "UP => Gained quorum 1+0=1 <= 1 <=";
        assert_eq!(text(late, &quorum(true, 1)), format!("{subject} - {gained}"));
    }

    #[test]
    fn one_that_a_reload_takes_away_is_mailed_as_the_file_before_said() {
        let service =
            Service::Address { address: [192, 0, 2, 1].into(), port: 80, protocol: Protocol::Tcp };
        let dropped = |last| {
            News::Table(ipvs::News::Server {
                service,
                server: Endpoint { address: [10, 0, 0, last].into(), port: 80 },
                sorry: false,
                from: Some(1),
                to: None,
                cause: Cause::Dropped,
            })
        };
        let mails = &mut alerts("", "");
        mails.configure(alerts("smtp_alert_checker off", "").wanted);
        assert!(text(mails, &dropped(1)).ends_with(" - DOWN => Removing <="));
        assert_eq!(text(mails, &dropped(2)), "", "smtp_alert no");
    }

    #[test]
    fn the_end_is_mailed_once_where_the_file_asks_for_it() {
        let service =
            Service::Address { address: [192, 0, 2, 1].into(), port: 80, protocol: Protocol::Tcp };
        let stopped = News::Table(ipvs::News::Server {
            service,
            server: Endpoint { address: [10, 0, 0, 3].into(), port: 80 },
            sorry: false,
            from: Some(1),
            to: None,
            cause: Cause::Stop,
        });
        let mails = &mut alerts("", "omega");
        assert!(text(mails, &stopped).ends_with(" - DOWN => Shutting down <="));
        assert_eq!(text(mails, &stopped), "");
        assert_eq!(text(&mut alerts("", ""), &stopped), "");
    }
}
