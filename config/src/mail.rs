//! What a configuration says about mail alerts. The engine tells what happened; a driver mails it.

use std::collections::BTreeSet;
use std::time::Duration;

use vipd_engine::{GroupName, InstanceName};

/// The port of `smtp_server` without a number.
pub const PORT: u16 = 25;
/// keepalived's `smtp_connect_timeout` without the keyword.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// Octets of an address (RFC 5321 section 4.5.3.1.3, without the brackets).
pub const ADDRESS_MAX: usize = 254;

/// Where mail goes, and of what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mail {
    /// Name in the subjects; the host name if `None` (`router_id`).
    pub router_id: Option<String>,
    /// Receivers (`notification_email`), each with an [`address`].
    pub to: Vec<String>,
    /// Sender (`notification_email_from`), with an [`address`]; `keepalived@` and the host name if
    /// `None`.
    pub from: Option<String>,
    /// Host name or address of the mail server (`smtp_server`); no mail is sent without it.
    pub server: Option<String>,
    /// Port of the mail server; [`PORT`] if `None`.
    pub port: Option<u16>,
    /// Time limit of the connection and of each reply; [`CONNECT_TIMEOUT`] if `None`
    /// (`smtp_connect_timeout`).
    pub connect_timeout: Option<Duration>,
    /// Name in HELO; the host name if `None` (`smtp_helo_name`).
    pub helo_name: Option<String>,
    /// Nobody is told of faults (`no_email_faults`).
    pub omits_faults: bool,
    /// Virtual routers whose states are mailed (`smtp_alert`, else `smtp_alert_vrrp`, else
    /// `smtp_alert` of `global_defs`; off).
    pub instances: BTreeSet<InstanceName>,
    /// Sync groups whose states are mailed (the same).
    pub groups: BTreeSet<GroupName>,
}

/// The address alone: what is in brackets (`Operators <ops@example.com>`), or all of it. `None` if
/// it does not fit into a command: no `@`, no octet but visible ASCII.
#[must_use]
pub fn address(text: &str) -> Option<&str> {
    let text = text.trim();
    let inner = match text.strip_suffix('>') {
        Some(open) => open.rsplit_once('<')?.1,
        None => text,
    };
    let fits = |octet: u8| octet.is_ascii_graphic() && octet != b'<' && octet != b'>';
    let good = inner.len() <= ADDRESS_MAX && inner.contains('@') && inner.bytes().all(fits);
    good.then_some(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_have_a_name_beside_it_and_nothing_that_ends_a_command() {
        assert_eq!(address("ops@example.com"), Some("ops@example.com"));
        assert_eq!(address("The ops <ops@example.com>"), Some("ops@example.com"));
        for wrong in ["", "ops", "a b@x", "a@x\r\nDATA", "ops>", "<a@x> <b@x>>", "\u{e4}@x"] {
            assert_eq!(address(wrong), None, "{wrong:?}");
        }
        assert_eq!(address(&format!("a@{}", "x".repeat(ADDRESS_MAX))), None);
    }
}
