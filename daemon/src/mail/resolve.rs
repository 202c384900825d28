//! The addresses of the mail server: an address, a name of `/etc/hosts`, or a name that a server of
//! `/etc/resolv.conf` knows. The C library's resolver loads code at run time and waits; this does
//! neither.

use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::task::spawn_blocking;

/// Octets of a file that are read.
const FILE_MAX: u64 = 1 << 20;
const HOSTS: &str = "/etc/hosts";

/// Those of a host, the best one first. Whoever calls it sets a limit to its time.
///
/// # Errors
/// Why there is none, in words.
pub async fn addresses(host: &str) -> Result<Vec<IpAddr>, String> {
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    // A file may be on a disk that does not answer.
    let hosts = spawn_blocking(|| read(HOSTS)).await;
    let hosts = hosts.map_err(|error| error.to_string())?.unwrap_or_default();
    let mut found = in_hosts(&hosts, host);
    if found.is_empty() && host.eq_ignore_ascii_case("localhost") {
        found = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    }
    if found.is_empty() {
        return Err(format!("{host} is not in {HOSTS}"));
    }
    Ok(found)
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
}
