//! Readers of `virtual_server`, `real_server` and `TCP_CHECK`: checked, not acted on yet.

use std::time::Duration;

use super::draft::{Origins, Placed, RealDraft, ServerDraft};
use super::{Draft, Line};
use crate::diagnostics::Diagnostic;
use crate::director::{Forwarding, Protocol, RealServer, Scheduler, TcpCheck, VirtualServer};

/// keepalived's `persistence_timeout` without a number.
const BARE_PERSISTENCE: Duration = Duration::from_secs(360);
/// Longest time of the kernel's persistence: 31 days (ip_vs.h).
const LONGEST_PERSISTENCE: u32 = 31 * 24 * 60 * 60;

pub(crate) fn virtual_server(draft: &mut Draft, line: &mut Line<'_>) {
    let special = [("fwmark", ()), ("group", ())];
    if line.peek().is_some_and(|word| special.iter().any(|(name, ())| *name == word.text)) {
        let (text, at) = line.rest().expect("a word was seen");
        line.skip_block = true;
        if draft.vrrp_only {
            return;
        }
        let message =
            format!("`virtual_server {text}` is not built yet, and it changes what the kernel has");
        let found = Diagnostic::error("not-built", message).at(at);
        line.report(found.help("only `virtual_server ADDRESS PORT` is read so far"));
        return;
    }
    let Some((address, _)) = line.address() else {
        line.skip_block = true;
        return;
    };
    let port = if line.peek().is_some() { line.port().unwrap_or(0) } else { 0 };
    let config = VirtualServer {
        address,
        port,
        protocol: Protocol::Tcp,
        scheduler: Scheduler::named("wlc").expect("a known name"),
        forwarding: Forwarding::Nat,
        persistence: None,
        delay_loop: Duration::from_secs(60),
        real_servers: Vec::new(),
    };
    let server = ServerDraft { config, real_servers: Vec::new() };
    draft.virtual_servers.push(Placed::new(server, line.statement.span()));
}

pub(crate) fn delay_loop(draft: &mut Draft, line: &mut Line<'_>) {
    let Some((time, at)) = line.seconds() else { return };
    if time.is_zero() {
        line.error("out-of-range", at, "delay_loop must be greater than 0".to_owned());
    }
    draft.server().config.delay_loop = time;
}

pub(crate) fn scheduler(draft: &mut Draft, line: &mut Line<'_>) {
    let names = Scheduler::NAMES.map(|name| (name, Scheduler::named(name)));
    if let Some((Some(scheduler), _)) = line.choice(&names) {
        draft.server().config.scheduler = scheduler;
    }
}

pub(crate) fn forwarding(draft: &mut Draft, line: &mut Line<'_>) {
    let Some((forwarding, _)) = line.choice(&Forwarding::NAMES) else {
        line.rest();
        return;
    };
    draft.server().config.forwarding = forwarding;
    if let Some((text, at)) = line.rest().filter(|_| !draft.vrrp_only) {
        let message = format!("`{text}` after `TUN` is not built yet, and it changes the kernel");
        line.error("not-built", at, message);
    }
}

pub(crate) fn persistence(draft: &mut Draft, line: &mut Line<'_>) {
    let written = line.peek();
    if written.is_some_and(|word| word.text == "0") {
        let at = line.next().map_or(line.span(), |word| word.span);
        line.adjusted(at, "persistence_timeout cannot be 0".to_owned(), "keepalived ignores it");
        return;
    }
    draft.server().config.persistence = match written {
        None => Some(BARE_PERSISTENCE),
        Some(_) => line.seconds_in(1..=LONGEST_PERSISTENCE),
    };
}

pub(crate) fn protocol(draft: &mut Draft, line: &mut Line<'_>) {
    if let Some((protocol, _)) = line.choice_of_any_case(&Protocol::NAMES) {
        draft.server().config.protocol = protocol;
    }
}

pub(crate) fn real_server(draft: &mut Draft, line: &mut Line<'_>) {
    let Some((address, _)) = line.address() else {
        line.skip_block = true;
        return;
    };
    let server = draft.server();
    let port = if line.peek().is_some() { line.port() } else { Some(server.config.port) };
    let port = port.unwrap_or(server.config.port);
    let real = RealServer { address, port, weight: 1, tcp_checks: Vec::new() };
    server.config.real_servers.push(real);
    server.real_servers.push(Placed::new(RealDraft::default(), line.statement.span()));
}

pub(crate) fn weight(draft: &mut Draft, line: &mut Line<'_>) {
    if let (Some(weight), Some(real)) =
        (line.integer_in(0..=65535), draft.server().config.real_servers.last_mut())
    {
        real.weight = weight as u16;
    }
}

pub(crate) fn tcp_check(draft: &mut Draft, line: &mut Line<'_>) {
    let server = draft.server();
    if let Some(real) = server.config.real_servers.last_mut() {
        real.tcp_checks.push(TcpCheck { connect_timeout: Duration::from_secs(5) });
    }
    if let Some(real) = server.real_servers.last_mut() {
        let block = Some(line.statement.span());
        real.value.checks.push(Origins { block, ..Origins::default() });
    }
}

pub(crate) fn connect_timeout(draft: &mut Draft, line: &mut Line<'_>) {
    let Some((time, at)) = line.seconds() else { return };
    if time.is_zero() {
        line.error("out-of-range", at, "connect_timeout must be greater than 0".to_owned());
    }
    let real = draft.server().config.real_servers.last_mut();
    if let Some(check) = real.and_then(|real| real.tcp_checks.last_mut()) {
        check.connect_timeout = time;
    }
}
