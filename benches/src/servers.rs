//! Files with many virtual servers, and the services and destinations that they are.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};

use vipd::ipvs::{Command, DestinationSpec, ServiceSpec};
use vipd_engine::config::director::{Forwarding, Protocol, Scheduler, Scheduling, Service};

/// Where real servers listen for `TCP_CHECK`, and for `SSL_GET`.
pub const PORTS: [u16; 2] = [8080, 8443];

/// Every virtual server of a file has as many real servers.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Virtual servers.
    pub services: u32,
    /// Real servers of each.
    pub servers: u32,
    /// How many of all real servers have a check, and how many of these ask for a page over TLS.
    pub checked: [u32; 2],
    /// Weight of the last real server, which a reload changes.
    pub last_weight: u32,
}

impl Table {
    /// Without checks.
    #[must_use]
    pub const fn unchecked(services: u32, servers: u32) -> Self {
        Self { services, servers, checked: [0, 0], last_weight: 1 }
    }

    /// How many real servers there are.
    #[must_use]
    pub const fn all(&self) -> u32 {
        self.services * self.servers
    }

    /// The services, in the order of the file.
    pub fn services(&self) -> impl Iterator<Item = Service> {
        (0..self.services).map(|number| Service::Address {
            address: service(number).into(),
            port: 80,
            protocol: Protocol::Tcp,
        })
    }

    /// What has to be ordered of the kernel: a service, then its destinations.
    #[must_use]
    pub fn commands(&self) -> Vec<Command> {
        let mut commands = Vec::new();
        for (number, service) in (0..).zip(self.services()) {
            let scheduler = Scheduler::Wlc;
            let scheduling = Scheduling { scheduler, flags: 0, hashed: false, one_packet: false };
            commands.push(Command::AddService(ServiceSpec {
                service,
                scheduling,
                persistence: None,
            }));
            for server in 0..self.servers {
                let (address, port) = self.real(number * self.servers + server);
                let spec = DestinationSpec {
                    address: IpAddr::from(address),
                    port,
                    forwarding: Forwarding::Nat,
                    weight: 1,
                    upper_threshold: 0,
                    lower_threshold: 0,
                };
                commands.push(Command::AddDestination(service, spec));
            }
        }
        commands
    }

    /// As `keepalived.conf`.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for number in 0..self.services {
            // Writing to a string cannot fail.
            let _ = write!(
                text,
                "virtual_server {} 80 {{\n    delay_loop 6\n    lb_algo wlc\n    lb_kind NAT\n    \
                 protocol TCP\n",
                service(number)
            );
            for server in 0..self.servers {
                self.real_server(&mut text, number * self.servers + server);
            }
            text.push_str("}\n");
        }
        text
    }

    fn real_server(&self, text: &mut String, number: u32) {
        let (address, port) = self.real(number);
        let weight = if number + 1 == self.all() { self.last_weight } else { 1 };
        let check = match number {
            _ if number < self.checked[1] => {
                "        SSL_GET {\n            url {\n                path /\n                \
                 status_code 200\n            }\n            connect_timeout 5\n        }\n"
            }
            _ if number < self.checked[0] => {
                "        TCP_CHECK {\n            connect_timeout 5\n        }\n"
            }
            _ => "",
        };
        let _ = write!(
            text,
            "    real_server {address} {port} {{\n        weight {weight}\n{check}    }}\n"
        );
    }

    /// Those with a check are on this machine: all of loopback is.
    fn real(&self, number: u32) -> (Ipv4Addr, u16) {
        let net = if number < self.checked[0] { 0x7f01_0000 } else { 0x0a40_0000 };
        let port = PORTS[usize::from(number < self.checked[1])];
        (Ipv4Addr::from(net + number), port)
    }
}

fn service(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x0a00_0001 + number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_its_servers_and_the_first_of_them_are_checked() {
        let table = Table { services: 3, servers: 2, checked: [4, 1], last_weight: 7 };
        let text = table.text();
        let count = |what: &str| text.matches(what).count();
        let counts = ["virtual_server ", " real_server ", "SSL_GET", "TCP_CHECK"].map(count);
        assert_eq!(counts, [3, 6, 1, 3]);
        assert!(text.ends_with("real_server 10.64.0.5 8080 {\n        weight 7\n    }\n}\n"));
        assert_eq!(table.commands().len(), 9);
    }
}
