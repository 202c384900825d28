//! Tracked scripts, files and processes. None is run or watched yet: whatever depends on one waits,
//! and that is said.

use tracing::warn;
use vipd_config::trackers::Trackers;

/// Says of each tracker that it never reports. With weight 0 an instance that tracks it does not
/// start; with another weight its priority stays as configured.
pub fn warn_of_those_not_run(trackers: &Trackers) {
    let scripts = trackers.scripts.iter().map(|one| ("vrrp_script", &one.name));
    let files = trackers.files.iter().map(|one| ("track_file", &one.name));
    let processes = trackers.processes.iter().map(|one| ("vrrp_track_process", &one.name));
    for (keyword, name) in scripts.chain(files).chain(processes) {
        warn!("{keyword} {name} is not run (not built): whoever tracks it waits for its report");
    }
}
