//! A topology from configuration files alone, for `rehearse` and `hunt`: who may own them has no
//! scenario, just a pair of machines.
//!
//! One host per file, called after the file's stem, which is its config-id as well. Who is on one
//! segment is decided in `wiring`, who has which address in `addressing`. Whatever had to be
//! made up is a remark. The result is an ordinary scenario without steps, and a client on each
//! segment that asks for a virtual address.

mod addressing;
mod wiring;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use vipd_config::diagnostics::Colour;
use vipd_config::{Loaded, Options};
use vipd_engine::config::VirtualAddress;
use vipd_engine::{Config, Family, InstanceConfig};
use vipd_scenarios::record::{HostId, SegmentId, WorldTime};
use vipd_scenarios::scenario::{Conditions, Host, Interface, Probe, Scenario, Segment};

use crate::configurations::{Configurations, Findings};
use addressing::Addressing;
use wiring::Wiring;

/// Most files: each is a machine that hears every other one.
pub const MOST_FILES: usize = 64;

/// How long such a scenario lasts unless steps make it longer.
const LENGTH: Duration = Duration::from_secs(60);

/// Probes of a client per shortest advert interval, and the least time between two.
const PROBES: u32 = 10;
const SHORTEST_PROBE: Duration = Duration::from_millis(1);

/// A file and the host that runs it.
#[derive(Clone, Debug)]
pub struct BareFile {
    /// The host's name.
    pub name: Arc<str>,
    /// The file.
    pub path: PathBuf,
    /// What it says.
    pub loaded: Loaded,
}

/// What bare files make.
#[derive(Clone, Debug)]
pub struct Bare {
    /// Segments, hosts and clients; no steps.
    pub scenario: Scenario,
    /// What each file says.
    pub configurations: Configurations,
    /// The files, in the order of their hosts.
    pub files: Vec<BareFile>,
    /// What was made up, and what is odd, a sentence each.
    pub remarks: Vec<String>,
}

/// Whether these arguments are bare files rather than a scenario: there are several, and none of
/// them ends in `.toml`.
#[must_use]
pub fn are_bare(arguments: &[PathBuf]) -> bool {
    let is_scenario = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "toml");
    arguments.len() > 1 && !arguments.iter().any(is_scenario)
}

/// Reads files, each as `FILE` or as `NAME=FILE`, and makes a topology of them. What is to be said
/// of them is said on `err`; `None` if they cannot be used.
///
/// # Errors
/// Those of `err`.
pub fn read(
    arguments: &[PathBuf],
    colour: Colour,
    err: &mut dyn Write,
) -> io::Result<Option<Bare>> {
    let named = match names(arguments) {
        Ok(named) => named,
        Err(mistakes) => {
            for mistake in mistakes {
                writeln!(err, "error: {mistake}")?;
            }
            return Ok(None);
        }
    };
    let mut findings = Findings::default();
    let mut files = Vec::new();
    for (name, path) in named.hosts {
        let options = Options { config_id: Some(name.to_string()), ..Options::default() };
        match vipd_config::load(&path, &options) {
            Ok(loaded) => {
                findings.reports.push(loaded.report.clone());
                files.push(BareFile { name, path, loaded });
            }
            Err(report) => {
                findings.unusable = true;
                findings.reports.push(*report);
            }
        }
    }
    for text in findings.texts(colour) {
        writeln!(err, "{}", text.trim_end())?;
    }
    if findings.unusable {
        writeln!(err, "error: nothing can be tried with these configurations")?;
        return Ok(None);
    }
    if files.iter().all(|file| file.loaded.config.instances().is_empty()) {
        writeln!(
            err,
            "error: none of these files has a vrrp_instance that its host reads: its config-id is \
             the host's name"
        )?;
        return Ok(None);
    }
    let mut bare = topology(files);
    bare.remarks.splice(0..0, named.remarks);
    for remark in &bare.remarks {
        writeln!(err, "note: {remark}")?;
    }
    Ok(Some(bare))
}

/// Hosts with their files, and what is to be said of the names.
#[derive(Debug)]
struct Named {
    hosts: Vec<(Arc<str>, PathBuf)>,
    remarks: Vec<String>,
}

/// What each file's host is called.
fn names(arguments: &[PathBuf]) -> Result<Named, Vec<String>> {
    if arguments.len() > MOST_FILES {
        return Err(vec![format!("{} files, {MOST_FILES} at most", arguments.len())]);
    }
    let given: Vec<_> = arguments.iter().map(|argument| given(argument)).collect();
    let stems: Vec<_> = given.iter().map(|(_, path)| word(path.file_stem())).collect();
    let (mut mistakes, mut remarks) = (Vec::new(), Vec::new());
    let mut hosts: Vec<(Arc<str>, PathBuf)> = Vec::new();
    for (place, (name, path)) in given.iter().enumerate() {
        let stem = &stems[place];
        let alone = stems.iter().filter(|other| *other == stem).count() == 1;
        let is_unnamed = name.is_none();
        let name = match name {
            Some(name) => name.clone(),
            None if alone => stem.clone(),
            // All of them are called keepalived.conf: the folders tell them apart.
            None => match path.parent().map(|folder| word(folder.file_name())) {
                Some(folder) if !folder.is_empty() => folder,
                Some(_) | None => stem.clone(),
            },
        };
        if let Some(mistake) = misnamed(&arguments[place], is_unnamed, path) {
            mistakes.push(mistake);
            continue;
        }
        let shown = path.display();
        if hosts.iter().any(|(other, _)| **other == *name) {
            let same = hosts.iter().any(|(_, other)| same_file(other, path));
            let twice = if same { "is given twice" } else { "has the name of another one" };
            mistakes.push(format!(
                "{shown} {twice}; name each host, as in `lb1={shown} lb2=FILE`: a host is also \
                 the config-id by which `@id` lines of a shared file are read"
            ));
            continue;
        }
        if path.file_stem().is_none_or(|stem| *stem != *name) {
            remarks.push(format!("{shown} is of host {name}, which is its config-id, too"));
        }
        hosts.push((Arc::from(name), path.clone()));
    }
    if mistakes.is_empty() { Ok(Named { hosts, remarks }) } else { Err(mistakes) }
}

/// What is wrong with an argument that is a `NAME=FILE` and no file.
fn misnamed(argument: &Path, is_unnamed: bool, path: &Path) -> Option<String> {
    let (name, _) = argument.to_str()?.split_once('=').filter(|_| !argument.exists())?;
    let shown = argument.display();
    if is_unnamed {
        return Some(format!(
            "there is no file `{shown}`, and `{name}` is no name of a host: letters, digits, `-`, \
             `_` and `.`"
        ));
    }
    path.as_os_str().is_empty().then(|| format!("there is no file after `{shown}`"))
}

/// `NAME=FILE`, unless a file is really called so.
fn given(argument: &Path) -> (Option<String>, PathBuf) {
    let split = argument.to_str().and_then(|text| text.split_once('='));
    match split {
        Some((name, path)) if !argument.exists() && name == plain(name) && !name.is_empty() => {
            (Some(name.to_owned()), PathBuf::from(path))
        }
        Some(_) | None => (None, argument.to_path_buf()),
    }
}

/// A file as a word of a command line, quoted if it has to be, and never an option.
#[must_use]
pub fn shell(file: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=+:,@%".contains(c);
    let word = if file.starts_with('-') { format!("./{file}") } else { file.to_owned() };
    if word.chars().all(plain) { word } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

/// A part of a path as the name of a host.
fn word(part: Option<&std::ffi::OsStr>) -> String {
    plain(&part.unwrap_or_default().to_string_lossy())
}

/// Only what the names of hosts may have.
fn plain(text: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let text: String = text.chars().map(plain).collect();
    // These mean more than one host in a scenario.
    if matches!(&*text, "all" | "others") { format!("{text}-1") } else { text }
}

fn same_file(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}

/// The topology of files that were read.
#[must_use]
pub fn topology(files: Vec<BareFile>) -> Bare {
    let configs: Vec<_> = files.iter().map(|file| Arc::clone(&file.loaded.config)).collect();
    let names: Vec<_> = files.iter().map(|file| Arc::clone(&file.name)).collect();
    let wiring = Wiring::of(&configs);
    let mut remarks = wiring.remarks(&names, &configs);
    let mut addressing = Addressing::new(&configs, &wiring);
    let segments: Vec<_> = (0..wiring.segments()).map(segment_name).collect();
    let mut hosts = Vec::new();
    for (place, file) in files.iter().enumerate() {
        let mut interfaces = Vec::new();
        for port in wiring.ports_of(place) {
            let given = addressing.of_port(place, port, &mut |made_up| {
                remarks.push(format!("{} {}: {made_up}", file.name, port.name));
            });
            interfaces.push(Interface {
                name: Arc::clone(&port.name),
                segment: SegmentId(port.segment as u16),
                addresses: given,
            });
        }
        let (name, config) = (Arc::clone(&file.name), Some(file.path.clone()));
        let (probe, requests) = (None, None);
        let started = true;
        hosts.push(Host { name, config, started, forwards: false, interfaces, probe, requests });
    }
    clients(&mut hosts, &configs, &wiring, &mut addressing, &mut remarks);
    let mut configurations = Configurations::default();
    for (file, id) in files.iter().zip(0..) {
        configurations.read_from(&file.path, Some(&file.loaded.report));
        configurations.insert(HostId(id), &file.path, Arc::clone(&file.loaded.config));
    }
    let scenario = Scenario {
        name: names.join("+"),
        title: format!("{} as their files say, on a quiet network", names.join(" and ")),
        fault_classes: Vec::new(),
        needs: Vec::new(),
        seed: 1,
        until: WorldTime(0).later(LENGTH),
        segments: segments
            .into_iter()
            .map(|name| Segment { name, conditions: Conditions::default() })
            .collect(),
        hosts,
        steps: Vec::new(),
        expectations: Vec::new(),
        properties: Vec::new(),
    };
    Bare { scenario, configurations, files, remarks }
}

fn segment_name(place: usize) -> Arc<str> {
    if place == 0 { Arc::from("lan") } else { Arc::from(format!("lan-{}", place + 1)) }
}

/// On each segment where somebody serves an address, somebody who asks for it; nobody where it
/// answers nothing, which is remarked.
fn clients(
    hosts: &mut Vec<Host>,
    configs: &[Arc<Config>],
    wiring: &Wiring,
    addressing: &mut Addressing,
    remarks: &mut Vec<String>,
) {
    for segment in 0..wiring.segments() {
        let all = || wiring.instances_on(segment, configs);
        let served = || all().flat_map(held);
        let answers = |asked: &&VirtualAddress| {
            let mut serve = all().filter(|one| held(one).any(|its| its.address == asked.address));
            serve.all(accepts)
        };
        let Some(held) = served().find(answers) else {
            remarks.extend(served().next().map(|held| {
                format!(
                    "{}: no client is made, for {} answers nobody while its master is without \
                     `accept` (`vrrp_strict` or `no_accept`)",
                    segment_name(segment),
                    held.address
                )
            }));
            continue;
        };
        let intervals = wiring.instances_on(segment, configs);
        let shortest = intervals.map(|instance| instance.interval.duration()).min();
        let every = shortest.unwrap_or_default() / PROBES;
        let probe = Probe { address: held.address, every: every.max(SHORTEST_PROBE) };
        let name = client_name(hosts);
        let interface = Interface {
            name: Arc::from("eth0"),
            segment: SegmentId(segment as u16),
            addresses: addressing.of_client(segment, held),
        };
        let interfaces = vec![interface];
        let (probe, requests) = (Some(probe), None);
        let (config, started, forwards) = (None, false, false);
        hosts.push(Host { name, config, started, forwards, interfaces, probe, requests });
    }
}

/// Whether a host answers for the addresses of this instance while it is master of them.
pub(crate) fn accepts(instance: &InstanceConfig) -> bool {
    instance.rules.accept || instance.priority.is_owner()
}

/// The addresses that an instance serves.
fn held(instance: &InstanceConfig) -> impl Iterator<Item = &VirtualAddress> {
    instance.addresses.iter().chain(&instance.excluded)
}

fn client_name(hosts: &[Host]) -> Arc<str> {
    let taken = |name: &str| hosts.iter().any(|host| &*host.name == name);
    let more = (2..).map(|number| format!("client-{number}"));
    let mut names = std::iter::once("client".to_owned()).chain(more);
    names.find(|name| !taken(name)).map_or_else(|| Arc::from("client"), Arc::from)
}

/// `VRID 51 (IPv4)`.
fn router_words(instance: &InstanceConfig) -> String {
    let family = match instance.family {
        Family::Ipv4 => "IPv4",
        Family::Ipv6 => "IPv6",
    };
    format!("VRID {} ({family})", instance.vrid)
}
