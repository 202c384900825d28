//! Readers of what `global_defs` says of virtual servers and of IPVS as a whole.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Value, json};
use vipd_engine::InstanceName;
use vipd_engine::config::director::{AtStop, MAX_SYNC_LEN, MAX_TIMEOUT, SyncDaemon, Timeouts};

use super::draft::IpvsGlobals;
use crate::meaning::instance::interface_name;
use crate::meaning::notify::script;
use crate::meaning::{Draft, Line, global, seconds};

/// `[tcp N] [tcpfin N] [udp N]`; 0 leaves the kernel's.
pub(crate) fn timeouts(draft: &mut Draft, line: &mut Line<'_>) {
    type Field = fn(&mut Timeouts) -> &mut Option<Duration>;
    const WORDS: [(&str, Field); 3] = [
        ("tcp", |all| &mut all.tcp),
        ("tcpfin", |all| &mut all.tcp_fin),
        ("udp", |all| &mut all.udp),
    ];
    if line.peek().is_none() {
        line.word();
    }
    while line.peek().is_some() {
        let Some((field, _)) = line.choice(&WORDS) else {
            line.rest();
            return;
        };
        if let Some(time) = line.integer_in(0..=MAX_TIMEOUT.as_secs() as i64) {
            let time = (time != 0).then(|| Duration::from_secs(time as u64));
            *field(&mut draft.director.globals.timeouts) = time;
        }
    }
}

/// A word of `lvs_sync_daemon` with what belongs to it.
#[derive(Clone, Copy)]
enum SyncWord {
    Instance,
    Id,
    Maxlen,
    Port,
    Ttl,
    Group,
}

const SYNC_WORDS: [(&str, SyncWord); 6] = [
    ("inst", SyncWord::Instance),
    ("id", SyncWord::Id),
    ("maxlen", SyncWord::Maxlen),
    ("port", SyncWord::Port),
    ("ttl", SyncWord::Ttl),
    ("group", SyncWord::Group),
];

/// `IF [[inst] INSTANCE] [id N] [maxlen N] [port N] [ttl N] [group ADDRESS]`.
pub(crate) fn sync_daemon(draft: &mut Draft, line: &mut Line<'_>) {
    let Some(interface) = interface_name(line) else {
        line.rest();
        return;
    };
    let mut daemon = SyncDaemon {
        interface,
        instance: None,
        id: 0,
        maxlen: None,
        port: None,
        ttl: None,
        group: None,
    };
    let known = |text: &str| SYNC_WORDS.iter().any(|(word, _)| *word == text);
    if let Some(word) = line.peek().filter(|word| !known(&word.text)) {
        line.next();
        daemon.instance = Some(InstanceName::new(&word.text));
    }
    while line.peek().is_some() {
        let Some((word, _)) = line.choice(&SYNC_WORDS) else {
            line.rest();
            return;
        };
        match word {
            SyncWord::Instance => {
                daemon.instance = line.word().map(|word| InstanceName::new(&word.text));
            }
            SyncWord::Id => {
                draft.director.globals.sync_id = line.integer_in(0..=255).map(|id| id as u8);
            }
            SyncWord::Maxlen => {
                let most = i64::from(MAX_SYNC_LEN);
                daemon.maxlen = line.integer_in(1..=most).map(|len| len as u16);
            }
            SyncWord::Port => {
                daemon.port = line.integer_in(1..=65535).map(|port| port as u16);
            }
            SyncWord::Ttl => daemon.ttl = line.integer_in(1..=255).map(|ttl| ttl as u8),
            SyncWord::Group => {
                daemon.group = line.address().map(|(address, _): (IpAddr, _)| address);
            }
        }
    }
    draft.director.globals.sync_daemon = Some(daemon);
}

pub(crate) fn flush(draft: &mut Draft, _line: &mut Line<'_>) {
    draft.director.globals.flush = true;
}

/// `[VS]`.
pub(crate) fn flush_at_stop(draft: &mut Draft, line: &mut Line<'_>) {
    draft.director.globals.at_stop = match line.peek() {
        None => AtStop::Flush,
        Some(_) if line.choice(&[("VS", ())]).is_some() => AtStop::RemoveServices,
        Some(_) => return,
    };
}

pub(crate) fn init_notifies(draft: &mut Draft, _line: &mut Line<'_>) {
    draft.director.globals.init_notifies = true;
}

pub(crate) fn log_all_failures(draft: &mut Draft, line: &mut Line<'_>) {
    if let Some(all) = line.flag() {
        draft.director.globals.log_all_failures = all;
    }
}

pub(crate) fn smtp_alert(draft: &mut Draft, line: &mut Line<'_>) {
    draft.director.globals.smtp_alert = line.flag();
}

pub(crate) fn smtp_alert_checker(draft: &mut Draft, line: &mut Line<'_>) {
    draft.director.globals.smtp_alert_checker = line.flag();
}

pub(crate) fn no_checker_emails(draft: &mut Draft, _line: &mut Line<'_>) {
    draft.director.globals.no_checker_emails = true;
}

/// `PATH [USER [GROUP]]`.
pub(crate) fn fifo(draft: &mut Draft, line: &mut Line<'_>) {
    let Some(word) = line.word() else { return };
    let owner = line.peek().and_then(|_| global::account(line));
    let fifo = &mut draft.director.globals.fifo;
    (fifo.path, fifo.owner) = (word.text.clone(), owner);
}

pub(crate) fn fifo_script(draft: &mut Draft, line: &mut Line<'_>) {
    draft.director.globals.fifo.script = script(line);
}

pub(crate) fn show_timeouts(globals: &IpvsGlobals) -> Value {
    let Timeouts { tcp, tcp_fin, udp } = globals.timeouts;
    json!({
        "tcp": tcp.map(seconds),
        "tcpfin": tcp_fin.map(seconds),
        "udp": udp.map(seconds),
    })
}

pub(crate) fn show_sync_daemon(globals: &IpvsGlobals) -> Value {
    json!(globals.sync_daemon.as_ref().map(|daemon| {
        json!({
            "interface": daemon.interface.as_str(),
            "inst": daemon.instance.as_ref().map(InstanceName::as_str),
            "id": daemon.id,
            "maxlen": daemon.maxlen,
            "port": daemon.port,
            "ttl": daemon.ttl,
            "group": daemon.group,
        })
    }))
}

pub(crate) fn show_at_stop(globals: &IpvsGlobals) -> Value {
    json!(match globals.at_stop {
        AtStop::RemoveOurs => "what is ours",
        AtStop::RemoveServices => "VS",
        AtStop::Flush => "everything",
    })
}
