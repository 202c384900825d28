//! What keepalived's `-t` and ours say of the same files: every configuration in the repository
//! and Debian's samples. Each difference is a row of `docs/keepalived.md`, and each row is one.
//!
//! keepalived looks at the machine, too, so the files are read where every interface is there.

mod netns;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use netns::{INTERFACE, network, skip};

/// Where Debian's package puts its samples.
const SAMPLES: &str = "/usr/share/doc/keepalived/samples";
/// Interfaces that the files name beside that of every host.
const INTERFACES: [&str; 7] = ["bond0.100", "ens5", "eth0", "eth0.1", "eth1", "eth2", "eth3"];

/// Exit statuses, keepalived's and ours.
type Statuses = [i32; 2];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

/// Every file below a folder whose name says that it is a configuration, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut entries: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    let all =
        entries.into_iter().flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] });
    all.filter(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.ends_with(".conf") || name.starts_with("keepalived.conf.")
    })
    .collect()
}

/// The ids that the `@id` lines of a file name.
fn ids(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).expect("text");
    let lines = text.lines().filter_map(|line| line.trim_start().strip_prefix('@'));
    let mut ids: Vec<String> = lines
        .filter_map(|line| line.split_whitespace().next())
        .map(|id| id.trim_start_matches('^').to_string())
        .filter(|id| !id.is_empty())
        .collect();
    ids.sort();
    ids.dedup();
    ids
}

/// A file as the page calls it.
fn title(file: &Path, id: Option<&str>) -> String {
    let name = match file.strip_prefix(SAMPLES) {
        Ok(sample) => {
            let name = sample.display().to_string();
            format!("samples/{}", name.trim_start_matches("keepalived.conf."))
        }
        Err(_) => file.strip_prefix(root()).expect("one of ours").display().to_string(),
    };
    id.map_or_else(|| name.clone(), |id| format!("{name} -i {id}"))
}

/// The rows of the page's table.
fn documented() -> BTreeMap<String, Statuses> {
    let page = include_str!("../../docs/keepalived.md");
    let section = page.split("\n## DEVIATIONS").nth(1).expect("the heading");
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let mut all = BTreeMap::new();
    for row in rows {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let number = |cell: usize| cells[cell].parse().expect("an exit status");
        for name in cells[1].split('`').skip(1).step_by(2) {
            let twice = all.insert(name.to_string(), [number(2), number(3)]);
            assert!(twice.is_none(), "{name} stands twice in docs/keepalived.md");
            assert!(!cells[4].is_empty(), "{name} has no reason");
        }
    }
    all
}

/// The program under the name that makes it keepalived.
fn link() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("deviations");
    std::fs::create_dir_all(&folder).expect("a folder of ours");
    let link = folder.join("keepalived");
    let _ = std::fs::remove_file(&link);
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_vipd"), &link).expect("a link of ours");
    link
}

#[test]
fn every_difference_of_the_exit_statuses_of_t_is_a_row_of_the_page() {
    if Command::new("keepalived").arg("--version").output().is_err() {
        return skip("keepalived is not installed");
    }
    let Some(network) = network(&[&["192.0.2.1/24"]]) else { return };
    let host = &network.hosts[0];
    for (number, name) in INTERFACES.iter().enumerate() {
        let end = format!("end{number}");
        host.ip(&["link", "add", name, "type", "veth", "peer", "name", &end]);
        host.ip(&["link", "set", name, "up"]);
        host.ip(&["link", "set", &end, "up"]);
    }
    assert!(!INTERFACES.contains(&INTERFACE));
    let ours = link();
    let status = |program: &str, arguments: &[&str]| {
        let words = [&["sh", "-c", "\"$0\" \"$@\" >&2; echo $?", program], arguments].concat();
        host.output(&words).parse().expect("an exit status")
    };
    let mut corpus = files(&root().join("scenarios"));
    corpus.extend(files(&root().join("config/tests/corpus")));
    let samples = files(Path::new(SAMPLES));
    let (mut measured, mut zeros) = (BTreeMap::<String, Statuses>::new(), 0);
    for file in corpus.iter().chain(&samples) {
        let ids = ids(file);
        let ids = if ids.is_empty() { vec![None] } else { ids.into_iter().map(Some).collect() };
        for id in ids {
            for only in [&[][..], &["-P"]] {
                let path = file.display().to_string();
                let of_id: Vec<_> = id.iter().flat_map(|id| ["-i", id.as_str()]).collect();
                let arguments = [&["-t", "-f", &path], &of_id[..], only].concat();
                let ours = status(ours.to_str().expect("plain letters"), &arguments);
                let statuses = [status("keepalived", &arguments), ours];
                zeros += usize::from(statuses == [0, 0]);
                if statuses[0] != statuses[1] {
                    let title = title(file, id.as_deref());
                    measured.insert([&[&*title], only].concat().join(" "), statuses);
                }
            }
        }
    }
    let mut documented = documented();
    if samples.is_empty() {
        documented.retain(|name, _| !name.starts_with("samples/"));
        skip("keepalived's samples are not installed");
    }
    let missing: Vec<_> =
        measured.iter().filter(|one| documented.get(one.0) != Some(one.1)).collect();
    assert!(missing.is_empty(), "not in docs/keepalived.md (file, keepalived, vipd): {missing:#?}");
    let gone: Vec<_> = documented.keys().filter(|name| !measured.contains_key(*name)).collect();
    assert!(gone.is_empty(), "in docs/keepalived.md, and no difference: {gone:#?}");
    // Otherwise nothing was compared.
    assert!(zeros > 100, "only {zeros} files are fine for both");
    for missing in ["-t", "-Pt"] {
        assert_eq!(
            status(ours.to_str().expect("plain letters"), &[missing, "-f", "/nonexistent"]),
            4
        );
    }
}
