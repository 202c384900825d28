//! The configurations of a scenario: read before the run, so that a bad file ends it before it
//! begins.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use vipd_config::Options;
use vipd_engine::Config;
use vipd_scenarios::record::HostId;
use vipd_scenarios::scenario::{Scenario, Step};

/// What each host's files say: the one in place at the start, and those that steps put there.
#[derive(Clone, Debug, Default)]
pub struct Configurations {
    /// By host and file. Shared by its copies: a hunt makes thousands. A file's name is compared by
    /// its octets: a path is, at each comparison, taken apart.
    files: Arc<BTreeMap<HostId, BTreeMap<OsString, Arc<Config>>>>,
    /// All that was read, included files as well.
    paths: Arc<BTreeSet<PathBuf>>,
}

/// What reading them brought up.
#[derive(Debug, Default)]
pub struct Findings {
    /// Reports that hold errors, warnings or notes, in the order of hosts and steps.
    pub reports: Vec<vipd_config::Report>,
    /// What is wrong with the scenario's use of them, a sentence each.
    pub mistakes: Vec<String>,
    /// Whether one of them holds an error, or the scenario a mistake.
    pub unusable: bool,
}

impl Configurations {
    /// Reads every file that the scenario names, each as its host reads it.
    #[must_use]
    pub fn load(scenario: &Scenario) -> (Self, Findings) {
        let mut configurations = Self::default();
        let mut findings = Findings::default();
        for (host, file, refused) in files(scenario) {
            let name = &scenario.hosts[usize::from(host.0)].name;
            let options = Options { config_id: Some(name.to_string()), ..Options::default() };
            configurations.read_from(file, None);
            match vipd_config::load(file, &options) {
                Ok(_) if refused => {
                    findings.unusable = true;
                    findings.mistakes.push(format!(
                        "{} can be used by {name}: `refused = true` is for a file that cannot",
                        file.display()
                    ));
                }
                Err(_) if refused => {}
                Ok(loaded) => {
                    configurations.read_from(file, Some(&loaded.report));
                    configurations.insert(host, file, loaded.config);
                    findings.reports.push(loaded.report);
                }
                Err(report) => {
                    findings.unusable = true;
                    findings.reports.push(*report);
                }
            }
        }
        (configurations, findings)
    }

    /// Says what a file of a host says.
    pub fn insert(&mut self, host: HostId, file: &Path, config: Arc<Config>) {
        let files = Arc::make_mut(&mut self.files);
        files.entry(host).or_default().insert(file.into(), config);
    }

    /// Says that a file was read, and which ones it includes.
    pub fn read_from(&mut self, file: &Path, report: Option<&vipd_config::Report>) {
        let included = report.into_iter().flat_map(|report| report.sources.paths());
        let paths = Arc::make_mut(&mut self.paths);
        paths.extend(included.map(PathBuf::from).chain([file.to_path_buf()]));
    }

    /// The files that were read, included ones as well.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.paths.iter().map(PathBuf::as_path)
    }

    /// What a file of a host says, if it was read.
    #[must_use]
    pub fn get(&self, host: HostId, file: &Path) -> Option<&Arc<Config>> {
        self.files.get(&host)?.get(file.as_os_str())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Config>> {
        self.files.values().flat_map(BTreeMap::values)
    }
}

/// Each file of each host once, in the order in which they come into force, and whether it is said
/// to be refused.
fn files(scenario: &Scenario) -> Vec<(HostId, &PathBuf, bool)> {
    let started = scenario.hosts.iter().zip(0..).filter_map(|(host, id)| {
        let file = host.config.as_ref()?;
        Some((HostId(id), file, false))
    });
    let reloaded = scenario.steps.iter().filter_map(|timed| match &timed.step {
        Step::Reload { host, config, refused } => Some((*host, config, *refused)),
        _ => None,
    });
    let mut files = Vec::new();
    for file in started.chain(reloaded) {
        if !files.contains(&file) {
            files.push(file);
        }
    }
    files
}
