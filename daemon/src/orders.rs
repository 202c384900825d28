//! Orders about real servers: which of those that there are somebody means.

use std::net::{IpAddr, SocketAddr};

use vipd_engine::Engine;
use vipd_engine::health::ServerName;
use vipd_engine::ipvs::ServerOrder;

/// Real servers as people name them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Which {
    /// Their address.
    pub address: IpAddr,
    /// Their port; any if `None`.
    pub port: Option<u16>,
    /// The virtual server, as `vipd status` prints it; any if `None`.
    pub of: Option<String>,
}

impl Which {
    /// Of `ADDRESS`, `ADDRESS:PORT` or `[ADDRESS]:PORT`.
    ///
    /// # Errors
    /// If it is none of these.
    pub fn new(server: &str, of: Option<String>) -> Result<Self, String> {
        let parsed = server.parse::<SocketAddr>().map(|at| (at.ip(), Some(at.port())));
        let parsed = parsed.or_else(|_| server.parse().map(|address| (address, None)));
        let fault =
            |_| format!("`{server}` is no real server: ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT");
        let (address, port) = parsed.map_err(fault)?;
        Ok(Self { address, port, of })
    }
}

/// The real servers that are meant and may be ordered so.
///
/// # Errors
/// What is wrong, in words: there is none, or it may not be.
pub fn find(engine: &Engine, which: &Which, order: ServerOrder) -> Result<Vec<ServerName>, String> {
    let status = engine.status();
    let Some(director) = status.director() else {
        return Err("there are no virtual servers".to_string());
    };
    let mut found = Vec::new();
    let mut known = Vec::new();
    for pool in director.virtual_servers() {
        let name = pool.config().name.to_string();
        if which.of.as_ref().is_none_or(|of| *of == name) {
            let servers = pool.config().real_servers.iter();
            let meant = servers.filter(|server| {
                server.address == which.address && which.port.is_none_or(|port| port == server.port)
            });
            found.extend(meant.map(|server| ServerName::of(pool.config(), server)));
        }
        known.push(name);
    }
    if let Some(of) = &which.of
        && !known.contains(of)
    {
        known.truncate(MOST_NAMED);
        return Err(format!("there is no virtual server `{of}`; there is {}", known.join(", ")));
    }
    if found.is_empty() {
        return Err("no virtual server has such a real server".to_string());
    }
    for server in &found {
        engine.may_order(server, order).map_err(|error| error.to_string())?;
    }
    Ok(found)
}

/// Names of virtual servers that one answer lists.
const MOST_NAMED: usize = 16;

/// `drain SERVER`, `undrain SERVER`, `weight N SERVER` (`-`: no such order any more), each with
/// ` of VIRTUAL-SERVER` or not. `None`: it begins with another word.
#[must_use]
pub fn read(question: &str) -> Option<Result<(Which, ServerOrder), String>> {
    let (word, rest) = question.split_once(' ').unwrap_or((question, ""));
    let (order, rest) = match word {
        "drain" => (Ok(ServerOrder::Drain), rest),
        "undrain" => (Ok(ServerOrder::Undrain), rest),
        "weight" => {
            let (weight, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            (self::weight(weight), rest)
        }
        _ => return None,
    };
    let (server, of) = match rest.split_once(" of ") {
        Some((server, of)) => (server, Some(of.trim().to_string())),
        None => (rest, None),
    };
    let which = || Which::new(server.trim(), of);
    Some(order.and_then(|order| Ok((which()?, order))))
}

/// A weight as an order: a number, or `-` for none.
///
/// # Errors
/// If it is neither.
pub fn weight(text: &str) -> Result<ServerOrder, String> {
    match text {
        "-" => Ok(ServerOrder::Weight(None)),
        _ => match text.parse() {
            Ok(weight) => Ok(ServerOrder::Weight(Some(weight))),
            Err(_) => Err(format!("`{text}` is no weight: a number, or - for none")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_names_a_server_and_perhaps_its_virtual_server() {
        let server = |server: &str, of: Option<&str>| {
            Which::new(server, of.map(str::to_string)).expect("a server")
        };
        let cases = [
            ("drain 10.1.0.1:80", server("10.1.0.1:80", None), ServerOrder::Drain),
            ("undrain 10.1.0.1", server("10.1.0.1", None), ServerOrder::Undrain),
            (
                "weight 5 [fd00::1]:80 of TCP [fd00::9]:80",
                server("[fd00::1]:80", Some("TCP [fd00::9]:80")),
                ServerOrder::Weight(Some(5)),
            ),
            ("weight - fd00::1", server("fd00::1", None), ServerOrder::Weight(None)),
        ];
        for (question, which, order) in cases {
            assert_eq!(read(question), Some(Ok((which, order))), "{question}");
        }
        assert_eq!(read("yield VI_1"), None);
        let refused = |question: &str| read(question).expect("an order").expect_err("no server");
        let form = "ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT";
        assert_eq!(refused("drain web1"), format!("`web1` is no real server: {form}"));
        assert_eq!(refused("drain"), format!("`` is no real server: {form}"));
        assert_eq!(refused("weight x 10.1.0.1"), "`x` is no weight: a number, or - for none");
    }
}
