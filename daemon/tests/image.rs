//! The OCI image that `packaging/build` makes of the static program alone: its layout by the
//! image specification, and the program in a root that has nothing but the image's layer.

mod netns;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use netns::{INTERFACE, network, skip};
use nix::sys::signal::Signal;
use serde_json::Value;

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

/// A folder of the test's, empty.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("image").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder of ours");
    folder
}

fn run(program: &str, arguments: &[&str]) -> Output {
    let output = Command::new(program).args(arguments).output().expect("it can be run");
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
    output
}

fn text(path: &Path) -> &str {
    path.to_str().expect("plain letters")
}

fn sha256(path: &Path) -> String {
    let output = run("sha256sum", &[text(path)]);
    let said = String::from_utf8(output.stdout).expect("text");
    format!("sha256:{}", said.split(' ').next().expect("a digest"))
}

/// The image, unpacked; `None` if nobody has built it.
fn layout(name: &str) -> Option<PathBuf> {
    let image = workspace().join("target/vipd.oci.tar");
    if !image.exists() {
        skip("there is no target/vipd.oci.tar: packaging/build makes it");
        return None;
    }
    let layout = folder(name);
    run("tar", &["--extract", "--file", text(&image), "--directory", text(&layout)]);
    Some(layout)
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("it is there")).expect("one object")
}

/// The blob that a descriptor points to, after its digest and its size were found to be true.
fn blob(layout: &Path, descriptor: &Value) -> PathBuf {
    let digest = descriptor["digest"].as_str().expect("a digest");
    let blob = layout.join("blobs/sha256").join(digest.trim_start_matches("sha256:"));
    assert_eq!(sha256(&blob), digest);
    assert_eq!(fs::metadata(&blob).expect("it is there").len(), descriptor["size"]);
    blob
}

/// The configuration and the one layer of the image.
fn parts(layout: &Path) -> (Value, PathBuf) {
    assert_eq!(json(&layout.join("oci-layout"))["imageLayoutVersion"], "1.0.0");
    let index = json(&layout.join("index.json"));
    let [manifest] = &index["manifests"].as_array().expect("a list")[..] else { panic!("one") };
    let manifest = json(&blob(layout, manifest));
    let [layer] = &manifest["layers"].as_array().expect("a list")[..] else { panic!("one layer") };
    (json(&blob(layout, &manifest["config"])), blob(layout, layer))
}

/// A root that has nothing but the layer.
fn root(layout: &Path, name: &str) -> PathBuf {
    let (_, layer) = parts(layout);
    let root = folder(name);
    run("tar", &["--extract", "--gzip", "--file", text(&layer), "--directory", text(&root)]);
    root
}

#[test]
fn the_layout_is_true_to_its_digests_and_its_layer_holds_the_program_alone() {
    let Some(layout) = layout("layout") else { return };
    let (config, layer) = parts(&layout);
    let [content] = &config["rootfs"]["diff_ids"].as_array().expect("a list")[..] else {
        panic!("one layer")
    };
    let plain = layout.join("layer.tar");
    fs::write(&plain, run("gzip", &["-dc", text(&layer)]).stdout).expect("a file of ours");
    assert_eq!(sha256(&plain), *content.as_str().expect("a digest"));
    let listed = run("tar", &["--list", "--verbose", "--file", text(&plain)]).stdout;
    let listed = String::from_utf8(listed).expect("text");
    let files: Vec<_> = listed.lines().filter(|line| !line.starts_with('d')).collect();
    assert_eq!(files.len(), 2, "the program and the link keepalived:\n{listed}");
    assert!(files.iter().any(|line| line.ends_with("./usr/sbin/keepalived -> vipd")), "{listed}");
    assert!(files.iter().any(|line| line.ends_with("./usr/sbin/vipd")), "{listed}");
    assert_eq!(config["config"]["Entrypoint"], serde_json::json!(["/usr/sbin/vipd"]));
    // The same program gives the same image.
    let (first, program) = (layout.join("first.tar"), root(&layout, "again"));
    let build = workspace().join("packaging/build");
    let program = program.join("usr/sbin/vipd");
    run(text(&build), &["--binary", text(&program), text(&first)]);
    assert_eq!(sha256(&first), sha256(&workspace().join("target/vipd.oci.tar")));
}

#[test]
fn the_program_needs_no_other_file_and_nothing_that_resolves_names_is_in_it() {
    let Some(layout) = layout("alone") else { return };
    let root = root(&layout, "alone-root");
    let program = root.join("usr/sbin/vipd");
    // What glibc's resolvers are loaded by, and what loads any library.
    let has = |name| {
        let words = ["--text", "--quiet", "--fixed-strings", name, text(&program)];
        let found = Command::new("grep").args(words).status().expect("it can be run");
        found.code().filter(|code| *code < 2).expect("it can be read") == 0
    };
    for name in ["libnss_", "/etc/nsswitch.conf", "/lib64/ld-linux-x86-64.so.2"] {
        assert!(!has(name), "{name} is in it");
    }
    assert!(has("vrrp_instance"), "nothing was looked for");
    if !nix::unistd::geteuid().is_root() {
        return skip("chroot needs root");
    }
    let seed = workspace().join("scenarios/seed/director-2.conf");
    fs::copy(seed, root.join("etc/keepalived/keepalived.conf")).expect("a root of ours");
    let file = "/etc/keepalived/keepalived.conf";
    run("chroot", &[text(&root), "/usr/sbin/vipd", "check", file]);
    run("chroot", &[text(&root), "/usr/sbin/keepalived", "-t", "-f", file]);
}

#[test]
fn in_a_root_of_its_own_it_is_master_and_runs_scripts_as_users_of_that_root() {
    let Some(layout) = layout("master") else { return };
    let Some(network) = network(&[&["192.0.2.1/24"]]) else { return };
    let (root, host) = (root(&layout, "master-root"), &network.hosts[0]);
    // The one program that is there is the script, too.
    fs::write(root.join("etc/passwd"), "checker:x:1234:1234::/:/bin/false\n").expect("ours");
    let script = |name: &str, user: &str| {
        format!("vrrp_script {name} {{\n script \"/usr/sbin/vipd --version\"\n user {user}\n}}\n")
    };
    let text = format!(
        "{}{}vrrp_instance VI_1 {{\n interface {INTERFACE}\n virtual_router_id 7\n priority 100\n \
         advert_int 0.1\n version 3\n track_script {{\n known\n unknown weight 1\n }}\n \
         virtual_ipaddress {{\n 192.0.2.9\n }}\n}}\n",
        script("known", "checker"),
        script("unknown", "nobody"),
    );
    fs::write(root.join("etc/keepalived/keepalived.conf"), text).expect("ours");
    // What every container has.
    let enter = "mount -t proc proc \"$0/proc\" && mount --bind /dev \"$0/dev\" && \
                 exec chroot \"$0\" /usr/sbin/vipd run -f /etc/keepalived/keepalived.conf";
    let mut vipd =
        host.run(&["unshare", "--mount", "sh", "-c", enter, root.to_str().expect("plain")]);
    vipd.wait_for_all(&["unknown is bad: there is no user nobody", "add address 192.0.2.9/32"]);
    assert!(host.holds("192.0.2.9"));
    vipd.signal(Signal::SIGTERM);
    assert_eq!(vipd.ended().code(), Some(0), "{}", vipd.said());
}
