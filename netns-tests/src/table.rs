//! The IPVS table of a host's kernel, read again and again: the kernel tells nobody of a change.
//!
//! `/proc/net/ip_vs` has all of it as text, in numbers of base 16. A change stands in the Record
//! when it was read, so up to [`EVERY`] after it happened, and what came and went in between does
//! not.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use vipd_engine::Family;
use vipd_engine::config::director::{Protocol, Service};
use vipd_engine::ipvs::Endpoint;
use vipd_scenarios::record::{Seen, WorldTime};

/// How often it is read.
pub(crate) const EVERY: Duration = Duration::from_millis(10);

/// That of the thread's namespace; `/proc/net` would be that of the process.
const FILE: &str = "/proc/thread-self/net/ip_vs";

type Destinations = BTreeMap<(Service, Endpoint), u32>;

/// Reads one kernel's table.
#[derive(Debug)]
pub(crate) struct Table {
    file: File,
    text: String,
    known: Destinations,
    next: WorldTime,
}

impl Table {
    /// That of the namespace of this thread, for as long as it is kept.
    ///
    /// # Errors
    /// Those of open(2): there is no such file without IPVS.
    pub(crate) fn open() -> io::Result<Self> {
        let (text, known) = (String::new(), Destinations::new());
        Ok(Self { file: File::open(FILE)?, text, known, next: WorldTime(0) })
    }

    /// When it is to be read next.
    pub(crate) const fn next(&self) -> WorldTime {
        self.next
    }

    /// What changed since it was read last. Destinations come before others go: of an exchange both
    /// may be read at once, and the service was not empty.
    ///
    /// # Errors
    /// Those of read(2), and text that is no such table.
    pub(crate) fn read(&mut self, now: WorldTime) -> io::Result<Vec<Seen>> {
        self.next = now.later(EVERY);
        self.text.clear();
        self.file.rewind()?;
        self.file.read_to_string(&mut self.text)?;
        let found = parse(&self.text)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a table of IPVS"))?;
        let seen = |(service, endpoint): (Service, Endpoint), weight| Seen::Destination {
            service,
            endpoint,
            weight,
        };
        let is_news =
            |(name, weight): &(&(Service, Endpoint), &u32)| self.known.get(*name) != Some(*weight);
        let come = found.iter().filter(is_news).map(|(name, weight)| seen(*name, Some(*weight)));
        let gone = self.known.keys().filter(|name| !found.contains_key(*name));
        let changes = come.chain(gone.map(|name| seen(*name, None))).collect();
        self.known = found;
        Ok(changes)
    }
}

/// The destinations of a table with their weights, below three lines of headings.
fn parse(text: &str) -> Option<Destinations> {
    let mut destinations = Destinations::new();
    let mut service = None;
    for line in text.lines().skip(3) {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            ["->", endpoint, _, weight, ..] => {
                let (address, port) = socket(endpoint)?;
                let service = match service? {
                    // A mark alone does not say which family it is for.
                    Service::Fwmark { mark, .. } => {
                        Service::Fwmark { mark, family: Family::of(address) }
                    }
                    address @ Service::Address { .. } => address,
                };
                let endpoint = Endpoint { address, port };
                destinations.insert((service, endpoint), weight.parse().ok()?);
            }
            ["FWM", mark, ..] => {
                let mark = u32::from_str_radix(mark, 16).ok()?;
                service = Some(Service::Fwmark { mark, family: Family::Ipv4 });
            }
            [protocol, at, ..] => {
                let protocol = match protocol {
                    "TCP" => Protocol::Tcp,
                    "UDP" => Protocol::Udp,
                    "SCTP" => Protocol::Sctp,
                    _ => return None,
                };
                let (address, port) = socket(at)?;
                service = Some(Service::Address { address, port, protocol });
            }
            [] => {}
            [_] => return None,
        }
    }
    Some(destinations)
}

/// `C8DE0071:0050`, `[2001:0db8:..:0001]:0050`.
fn socket(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.rsplit_once(':')?;
    let address = match address.strip_prefix('[') {
        Some(rest) => IpAddr::V6(rest.strip_suffix(']')?.parse().ok()?),
        None => IpAddr::V4(Ipv4Addr::from_bits(u32::from_str_radix(address, 16).ok()?)),
    };
    Some((address, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  C8DE0071:0050 wlc persistent 600 FFFFFFFF
  -> C8DE0059:0050      Route   100    0          12
  -> C8DE0057:0050      Route   0      3          0
UDP  [2001:0db8:0000:0000:0000:0000:0000:0100]:0035 rr
  -> [2001:0db8:0000:0000:0000:0000:0000:0001]:0035      Masq    7      0          0
FWM  0000002A rr
  -> C8DE0057:0000      Tunnel  1      0          0
TCP  C8DE0071:01BB wlc
";

    #[test]
    fn every_kind_of_service_is_read() {
        let lines = |text| {
            let found = parse(text).expect("a table");
            let line = |((service, endpoint), weight): (&(Service, Endpoint), &u32)| {
                format!("{service} {endpoint} {weight}")
            };
            found.iter().map(line).collect::<Vec<_>>()
        };
        let mut found = lines(TEXT);
        found.sort();
        assert_eq!(
            found,
            [
                "TCP 200.222.0.113:80 200.222.0.87:80 0",
                "TCP 200.222.0.113:80 200.222.0.89:80 100",
                "UDP [2001:db8::100]:53 [2001:db8::1]:53 7",
                "fwmark 42 200.222.0.87:0 1",
            ]
        );
        let headings: String = TEXT.lines().take(3).map(|line| format!("{line}\n")).collect();
        assert_eq!(lines(&headings), [""; 0]);
    }

    #[test]
    fn what_is_no_table_is_not_taken_for_an_empty_one() {
        for line in ["TCP", "ICMP C8DE0071:0050 rr", "  -> C8DE0057:0050 Route 1 0 0"] {
            let text: String =
                TEXT.lines().take(3).chain([line]).map(|line| format!("{line}\n")).collect();
            assert_eq!(parse(&text), None, "{line}");
        }
    }
}
