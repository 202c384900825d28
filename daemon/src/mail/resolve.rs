//! The addresses of the mail server: an address, a name of `/etc/hosts`, or a name that a server of
//! `/etc/resolv.conf` knows. The C library's resolver loads code at run time and waits; this does
//! neither.

mod dns;

use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use dns::{Answer, Kind};

/// Octets of a file that are read.
const FILE_MAX: u64 = 1 << 20;
const HOSTS: &str = "/etc/hosts";
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// Name servers that are asked, and domains that are tried (resolv.conf(5)).
const SERVERS_MAX: usize = 3;
const SEARCHED_MAX: usize = 6;
/// How long one server has for an answer.
const ANSWER_WAIT: Duration = Duration::from_secs(2);
/// How often all servers are asked.
const ROUNDS: usize = 2;
const DNS_PORT: u16 = 53;

/// Those of a host, the best one first. Whoever calls it sets a limit to its time.
///
/// # Errors
/// Why there is none, in words.
pub async fn addresses(host: &str) -> Result<Vec<IpAddr>, String> {
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    // A file may be on a disk that does not answer.
    let files = spawn_blocking(|| [HOSTS, RESOLV_CONF].map(|path| read(path).unwrap_or_default()));
    let [hosts, settings] = files.await.map_err(|error| error.to_string())?;
    let found = in_hosts(&hosts, host);
    if !found.is_empty() {
        return Ok(found);
    }
    if host.eq_ignore_ascii_case("localhost") {
        return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    Asked::new(&settings).addresses(host).await
}

/// Who is asked, and for what (resolv.conf(5)).
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    servers: Vec<SocketAddr>,
    search: Vec<String>,
}

impl Asked {
    fn new(settings: &str) -> Self {
        let (mut servers, mut search) = (Vec::new(), Vec::new());
        for line in settings.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") if servers.len() < SERVERS_MAX => {
                    let address = words.next().and_then(|word| word.parse::<IpAddr>().ok());
                    servers.extend(address.map(|address| SocketAddr::new(address, DNS_PORT)));
                }
                // The last one counts.
                Some("search" | "domain") => {
                    search = words.take(SEARCHED_MAX).map(str::to_string).collect();
                }
                _ => {}
            }
        }
        if servers.is_empty() {
            servers.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), DNS_PORT));
        }
        Self { servers, search }
    }

    /// The names that a host may have: one with a dot is whole.
    fn names(&self, host: &str) -> Vec<String> {
        let searched = self.search.iter().map(|domain| format!("{host}.{domain}"));
        let searched = searched.filter(|_| !host.contains('.'));
        searched.chain([host.to_string()]).collect()
    }

    /// IPv4 first: where there is no IPv6 its attempt would cost its whole time.
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, String> {
        let mut why = format!("DNS knows no address of {host}");
        for name in self.names(host) {
            let mut found = Vec::new();
            for kind in [Kind::A, Kind::Aaaa] {
                match self.ask(&name, kind).await {
                    Ok(Answer::Addresses(some)) => found.extend(some),
                    Ok(Answer::NoSuchName) => break,
                    Ok(Answer::Failed(code)) => {
                        why = format!("DNS answers with code {code} when asked for {name}");
                    }
                    Err(words) => why = words,
                }
            }
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Err(why)
    }

    /// The first server that can say it.
    async fn ask(&self, name: &str, kind: Kind) -> Result<Answer, String> {
        let mut last = Err(format!("no name server answers when asked for {name}"));
        for server in self.servers.iter().cycle().take(self.servers.len() * ROUNDS) {
            let id = random();
            let Some(question) = dns::question(id, name, kind) else {
                return Err(format!("{name} is no name"));
            };
            match timeout(ANSWER_WAIT, exchange(*server, &question, kind)).await {
                Ok(Ok(Answer::Failed(code))) => last = Ok(Answer::Failed(code)),
                Ok(Ok(answer)) => return Ok(answer),
                // It is not there, or does not answer: another one may.
                Ok(Err(_)) | Err(_) => {}
            }
        }
        last
    }
}

/// Waits for what answers the question, whatever else comes. The kernel takes datagrams of this
/// server alone, and chooses our port.
async fn exchange(server: SocketAddr, question: &[u8], kind: Kind) -> io::Result<Answer> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut octets = [0; dns::ANSWER_MAX];
    loop {
        let length = socket.recv(&mut octets).await?;
        if let Some(answer) = dns::answer(question, kind, &octets[..length]) {
            return Ok(answer);
        }
    }
}

/// A number that nobody can guess: the hasher's keys are the system's random octets.
fn random() -> u16 {
    (RandomState::new().build_hasher().finish() >> 48) as u16
}

fn read(path: &str) -> io::Result<String> {
    let mut text = Vec::new();
    File::open(path)?.take(FILE_MAX).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The lines of a host (hosts(5)).
fn in_hosts(hosts: &str, host: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for line in hosts.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let Some(address) = words.next().and_then(|word| word.parse().ok()) else { continue };
        if words.any(|name| name.eq_ignore_ascii_case(host)) && !found.contains(&address) {
            found.push(address);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_the_addresses_of_all_its_lines_in_their_order() {
        let hosts = "127.0.0.1 localhost\n# 192.0.2.9 mail\nnonsense mail\n\
                     192.0.2.1\tmail.example MAIL # 192.0.2.8\n2001:db8::1 mail\n192.0.2.1 mail\n";
        let found = in_hosts(hosts, "mail");
        assert_eq!(found, ["192.0.2.1", "2001:db8::1"].map(|one| one.parse::<IpAddr>().unwrap()));
        assert!(in_hosts(hosts, "192.0.2.8").is_empty());
    }

    #[tokio::test]
    async fn an_address_is_its_own_and_localhost_is_known() {
        assert_eq!(addresses("2001:db8::1").await, Ok(vec!["2001:db8::1".parse().unwrap()]));
        let local = addresses("localhost").await.expect("everybody has it");
        assert!(local.iter().all(IpAddr::is_loopback), "{local:?}");
    }
    #[test]
    fn the_file_says_who_is_asked_and_for_which_names() {
        let text = "# nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver nonsense\n\
                    domain a.example\nsearch b.example c.example\nnameserver 2001:db8::2\n\
                    nameserver 192.0.2.3\nnameserver 192.0.2.4\noptions ndots:5\n";
        let asked = Asked::new(text);
        let servers: Vec<_> = asked.servers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["192.0.2.2:53", "[2001:db8::2]:53", "192.0.2.3:53"]);
        assert_eq!(asked.names("mail"), ["mail.b.example", "mail.c.example", "mail"]);
        assert_eq!(asked.names("mail.example"), ["mail.example"]);
        assert_eq!(Asked::new("").servers, ["127.0.0.1:53".parse().unwrap()]);
    }

    /// A name server that sends back what this makes of a question.
    async fn serves(make: fn(&[u8]) -> Vec<Vec<u8>>) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let at = socket.local_addr().expect("an address");
        tokio::spawn(async move {
            let mut octets = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut octets).await {
                for datagram in make(&octets[..length]) {
                    let _ = socket.send_to(&datagram, from).await;
                }
            }
        });
        at
    }

    /// As an answer, with one address if it is a question for IPv4.
    fn knows(question: &[u8]) -> Vec<Vec<u8>> {
        let mut octets = question.to_vec();
        octets[2] = 0x81;
        if question[question.len() - 3] == 1 {
            octets[7] = 1;
            octets.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 7]);
        }
        // Somebody guesses before it.
        let mut forged = octets.clone();
        forged[0] ^= 1;
        let last = forged.len() - 1;
        forged[last] ^= 0xff;
        vec![forged, octets]
    }

    #[tokio::test]
    async fn a_server_that_fails_or_is_not_there_is_passed_over_and_a_forged_answer_too() {
        let fails = serves(|question| {
            let mut octets = question.to_vec();
            (octets[2], octets[3]) = (0x81, 2);
            vec![octets]
        });
        let gone = UdpSocket::bind("127.0.0.1:0").await.expect("a port").local_addr();
        let servers = vec![fails.await, gone.expect("an address"), serves(knows).await];
        let asked = Asked { servers, search: Vec::new() };
        let found = asked.addresses("mail.example").await;
        assert_eq!(found, Ok(vec!["192.0.2.7".parse().unwrap()]));
    }

    #[tokio::test]
    async fn a_name_that_nobody_has_is_told_as_such() {
        let no = serves(|question| {
            let mut octets = question.to_vec();
            (octets[2], octets[3]) = (0x81, 3);
            vec![octets]
        });
        let asked = Asked { servers: vec![no.await], search: vec!["b.example".to_string()] };
        let found = asked.addresses("mail").await;
        assert_eq!(found, Err("DNS knows no address of mail".to_string()));
        let found = asked.addresses("a..b").await;
        assert_eq!(found, Err("a..b is no name".to_string()));
    }
}
