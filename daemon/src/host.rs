//! `vipd check --host`: what on this machine would break a file that is fine by itself.
//!
//! Nothing is changed and nothing is sent. One file per kind of look: each reads through
//! [`crate::netlink`], /proc/sys or a program, and judges apart from that. What could not be looked
//! at is a note that says why: it is no pass.

mod firewall;
mod links;
mod listening;
mod programs;
mod real_servers;
mod settings;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::runtime::Builder;
use vipd_config::diagnostics::{Diagnostic, Diagnostics, Span};
use vipd_config::{Loaded, Places};
use vipd_engine::Config;
use vipd_engine::Family;
use vipd_engine::event::Seconds;

use crate::ipvs;
use crate::netlink::Seen;

/// Looks at this machine with a file in mind. `listen`: how long for other masters; `None` is three
/// intervals and a bit, 30 s at most, zero is not at all. It says on `talk` that it listens.
///
/// # Errors
/// Those of `talk`.
pub fn look(
    loaded: &Loaded,
    places: &Places,
    listen: Option<Duration>,
    talk: &mut dyn Write,
) -> io::Result<Diagnostics> {
    let config = &*loaded.config;
    let mut found = Diagnostics::default();
    found.extend(packet_filters(config, places));
    if !config.director().virtual_servers.is_empty() {
        found.extend(in_kernel(ipvs::Ipvs::open().err(), places));
    }
    let listen = listen.or_else(|| listening::long_enough(config)).unwrap_or_default();
    if !config.instances().is_empty() && !listen.is_zero() {
        let time = Seconds(listen);
        writeln!(talk, "listening to other masters for {time} s (`--listen 0`: not at all)")?;
    }
    let runtime = Builder::new_current_thread().enable_all().build();
    match runtime.and_then(|runtime| runtime.block_on(Seen::now()).map(|seen| (runtime, seen))) {
        Err(error) => found.push(unseen("interfaces and addresses", &error.to_string())),
        Ok((runtime, seen)) => {
            found.extend(links::judge(&seen, config, places));
            found.extend(settings::judge(&Proc, &seen, config, places));
            found.extend(real_servers::judge(&Proc, &seen, config, places));
            if !config.instances().is_empty() && !listen.is_zero() {
                match runtime.block_on(listening::listen(config, &seen, listen)) {
                    Ok(heard) => found.extend(listening::judge(&heard, &seen, config, places)),
                    Err(error) => found.push(unseen("other masters", &error.to_string())),
                }
            }
        }
    }
    Ok(found)
}

fn packet_filters(config: &Config, places: &Places) -> Diagnostics {
    let families: BTreeSet<Family> = config.instances().iter().map(|one| one.family).collect();
    let families: Vec<_> = families.into_iter().collect();
    if families.is_empty() {
        return Diagnostics::default();
    }
    let (rulesets, unread) = programs::rulesets(&families);
    let mut found = firewall::judge(&rulesets, config, places);
    for why in unread {
        found.push(unseen("the packet filter", &why));
    }
    found
}

/// Whether the kernel has what virtual servers need, by why it could not be spoken to.
fn in_kernel(error: Option<ipvs::Error>, places: &Places) -> Diagnostics {
    let mut found = Diagnostics::default();
    match error {
        None => {}
        Some(ipvs::Error::NotInKernel) if ipvs::module::can_be_loaded() => {
            let note = Diagnostic::note("ipvs-not-loaded", "the module ip_vs is not loaded yet");
            let help = "vipd loads it when it starts";
            found.push(placed(note.help(help), places.of_server(0)));
        }
        Some(ipvs::Error::NotInKernel) => {
            let message = "this kernel has no IPVS, and no module of it that could be loaded";
            let error = Diagnostic::error("no-ipvs", message).label("virtual servers need it");
            let help = "with -P virtual servers are somebody else's";
            found.push(placed(error.help(help), places.of_server(0)));
        }
        Some(error) => found.push(unseen("the kernel's IPVS", &error.to_string())),
    }
    found
}

/// At this place, if there is one.
fn placed(diagnostic: Diagnostic, at: Option<Span>) -> Diagnostic {
    match at {
        Some(at) => diagnostic.at(at),
        None => diagnostic,
    }
}

fn unseen(what: &str, why: &str) -> Diagnostic {
    let note = Diagnostic::note("not-looked-at", format!("{what}: not looked at, {why}"));
    note.help("this says nothing of it, neither good nor bad; root sees more")
}

/// /proc/sys of this network namespace.
struct Proc;

impl Proc {
    fn file(path: &str) -> PathBuf {
        Path::new("/proc/sys").join(path)
    }
}

impl settings::Settings for Proc {
    fn get(&self, path: &str) -> Option<i64> {
        std::fs::read_to_string(Self::file(path)).ok()?.trim().parse().ok()
    }

    fn is_read_only(&self, path: &str) -> bool {
        // Opening it writes nothing.
        let opened = OpenOptions::new().write(true).open(Self::file(path));
        opened.is_err_and(|error| error.kind() == ErrorKind::ReadOnlyFilesystem)
    }
}
