//! What the director's news are for scripts and named pipes, in keepalived's words.

use std::collections::BTreeMap;

use vipd_config::Loaded;
use vipd_config::director::{Director, ServerNotify};
use vipd_config::notify::NotifyScript;
use vipd_config::trackers::ScriptUser;
use vipd_engine::config::director::VirtualServerName;
use vipd_engine::director::News;
use vipd_engine::health::ServerName;

use super::Object;
use super::due::{Due, runs};
use super::queue::What;
use crate::servers::{Change, Changes, Owners, Why, of_virtual, owners, real, word};

/// What a file wants of it.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    of: BTreeMap<VirtualServerName, ServerNotify>,
    tells_start: bool,
    has_pipes: bool,
    user: Option<ScriptUser>,
    owners: Owners,
}

impl Wanted {
    /// Of this file.
    pub fn new(loaded: &Loaded) -> Self {
        let Director { notify, tells_start, fifo, .. } = &loaded.director;
        Self {
            of: notify.clone(),
            tells_start: *tells_start,
            has_pipes: fifo.is_some() || loaded.notify.fifos.iter().any(|fifo| !fifo.vrrp_only),
            user: loaded.trackers.script_user.clone(),
            owners: owners(loaded),
        }
    }
}

/// What is wanted, and what was told.
#[derive(Debug, Default)]
pub struct Servers {
    wanted: Wanted,
    /// Those before: what a reload takes away is told of its end afterwards.
    before: Wanted,
    changes: Changes,
}

impl Servers {
    /// Of this file from now on.
    pub fn configure(&mut self, wanted: Wanted) {
        self.before = std::mem::replace(&mut self.wanted, wanted);
        self.changes.configure();
    }

    /// What is due.
    pub fn due(&mut self, news: &News) -> Option<Due> {
        match self.changes.of(news, &self.wanted.owners)? {
            Change::Real(_, Why::Begins) if !self.wanted.tells_start => None,
            Change::Real(server, Why::Removed) => self.real_server(&self.before, &server, false),
            Change::Real(server, why) => self.real_server(&self.wanted, &server, why.is_up()),
            Change::Virtual { name, up, live: _ } => self.virtual_server(&name, up),
        }
    }

    fn real_server(&self, wanted: &Wanted, server: &ServerName, up: bool) -> Option<Due> {
        let of = wanted.of.get(&server.virtual_server);
        let own = of.and_then(|of| of.real_servers.get(&(server.address, server.port)));
        let script = own.and_then(|own| if up { own.up.clone() } else { own.down.clone() });
        let [real, its_own] = [real(server), of_virtual(&server.virtual_server)];
        self.told("RS", format!("{real} {its_own}"), up, script)
    }

    fn virtual_server(&self, name: &VirtualServerName, up: bool) -> Option<Due> {
        let own = self.wanted.of.get(name);
        let script = own.and_then(|own| if up { own.up.clone() } else { own.down.clone() });
        self.told("VS", of_virtual(name), up, script)
    }

    fn told(
        &self,
        kind: &'static str,
        name: String,
        up: bool,
        script: Option<NotifyScript>,
    ) -> Option<Due> {
        let state = word(up);
        // DEVIATION: keepalived writes a zero behind each line.
        let line = self.wanted.has_pipes.then(|| format!("{kind} {name} {state}"));
        let script = script.map(|NotifyScript { command, user }| {
            let user = user.or_else(|| self.wanted.user.clone());
            NotifyScript { command, user }
        });
        if line.is_none() && script.is_none() {
            return None;
        }
        let object = Object { kind, name };
        Some(Due { object, what: What::State(state), scripts: runs(script, &[]), line })
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

    const FILE: &str = "virtual_server 192.0.2.1 80 {\nprotocol TCP\nOMEGA\n\
                        quorum_up \"/bin/q up\"\nquorum_down \"/bin/q down\" one\n\
                        real_server 10.0.0.1 80 {\nnotify_up \"/bin/n up\"\n\
                        notify_down \"/bin/n down\" two\n}\nreal_server 10.0.0.2 80 {\n}\n}\n";

    fn servers(global: &str, omega: bool) -> Servers {
        let more = if omega { "omega" } else { "" };
        let text = format!("global_defs {{\n{global}\n}}\n{}", FILE.replace("OMEGA", more));
        let files = InMemory::new().with("/k.conf", text);
        let loaded = load_from(&files, Path::new("/k.conf"), &Options::default());
        let mut servers = Servers::default();
        servers.configure(Wanted::new(&loaded.expect("it is usable")));
        servers
    }

    fn virtual_server() -> VirtualServerName {
        let (address, protocol) = ([192, 0, 2, 1].into(), Protocol::Tcp);
        VirtualServerName::Address { address, port: 80, protocol }
    }

    fn server(last: u8) -> Arc<ServerName> {
        let (virtual_server, address) = (virtual_server(), [10, 0, 0, last].into());
        Arc::new(ServerName { virtual_server, address, port: 80 })
    }

    fn up(last: u8, why: WhyUp) -> News {
        News::Health(health::News::ServerUp { server: server(last), weight: 1, why })
    }

    fn down(last: u8) -> News {
        let why = WhyDown::Failed(Failure::Refused);
        News::Health(health::News::ServerDown { server: server(last), why })
    }

    fn quorum(up: bool) -> News {
        News::Table(ipvs::News::Quorum { name: virtual_server(), up, live: 1, limit: 1 })
    }

    fn stopped(last: u8) -> News {
        let service =
            Service::Address { address: [192, 0, 2, 1].into(), port: 80, protocol: Protocol::Tcp };
        News::Table(ipvs::News::Server {
            service,
            server: Endpoint { address: [10, 0, 0, last].into(), port: 80 },
            sorry: false,
            from: Some(1),
            to: None,
            cause: Cause::Stop,
        })
    }

    /// The commands with their users, and the line.
    fn due(servers: &mut Servers, news: &News) -> Option<(Vec<String>, Option<String>)> {
        let Due { scripts, line, .. } = servers.due(news)?;
        let named = scripts.into_iter().map(|script| {
            assert!(script.arguments.is_empty());
            let user = script.user.map_or("nobody".to_string(), |user| user.user);
            format!("{} as {user}", script.command)
        });
        Some((named.collect(), line))
    }

    fn only(script: &str) -> Option<(Vec<String>, Option<String>)> {
        Some((vec![script.to_string()], None))
    }

    #[test]
    fn a_real_server_that_goes_down_and_comes_back_has_its_scripts_run() {
        let servers = &mut servers("script_user three", false);
        assert_eq!(due(servers, &up(1, WhyUp::Assumed)), None, "it begins");
        assert_eq!(due(servers, &down(1)), only("/bin/n down as two"));
        assert_eq!(due(servers, &up(1, WhyUp::Passed)), only("/bin/n up as three"));
        assert_eq!(due(servers, &down(2)), None, "it has no script, and there is no pipe");
        assert_eq!(due(servers, &quorum(true)), only("/bin/q up as three"));
        assert_eq!(due(servers, &quorum(false)), only("/bin/q down as one"));
    }

    #[test]
    fn the_start_is_told_if_the_file_says_so_and_that_one_was_never_up_is_no_news() {
        let servers = &mut servers("rs_init_notifies", false);
        assert_eq!(due(servers, &up(1, WhyUp::Assumed)), only("/bin/n up as nobody"));
        let why = WhyDown::Untested;
        let untested = News::Health(health::News::ServerDown { server: server(1), why });
        assert_eq!(due(servers, &untested), None);
        assert_eq!(due(servers, &down(1)), only("/bin/n down as two"));
        // Its checks went away with a reload.
        let unchecked = up(1, WhyUp::Unchecked);
        assert_eq!(due(servers, &unchecked), only("/bin/n up as nobody"));
    }

    #[test]
    fn a_pipe_is_told_of_all_in_the_words_of_keepalived() {
        let servers = &mut servers("lvs_notify_fifo /run/lvs", false);
        let line = |servers: &mut Servers, news: &News| {
            due(servers, news).and_then(|(_, line)| line).unwrap_or_default()
        };
        let vs = "[192.0.2.1]:tcp:80";
        assert_eq!(line(servers, &down(2)), format!("RS [10.0.0.2]:tcp:80 {vs} DOWN"));
        assert_eq!(line(servers, &up(2, WhyUp::Passed)), format!("RS [10.0.0.2]:tcp:80 {vs} UP"));
        assert_eq!(line(servers, &quorum(false)), format!("VS {vs} DOWN"));
    }

    #[test]
    fn a_pipe_of_virtual_routers_alone_hears_nothing() {
        let servers = &mut servers("vrrp_notify_fifo /run/vrrp", false);
        assert_eq!(due(servers, &down(2)), None);
    }

    #[test]
    fn the_end_is_told_once_where_the_file_asks_for_it() {
        let asked = &mut servers("", true);
        assert_eq!(due(asked, &stopped(1)), only("/bin/n down as two"));
        assert_eq!(due(asked, &stopped(1)), None, "in another service");
        assert_eq!(due(&mut servers("", false), &stopped(1)), None);
    }
}
