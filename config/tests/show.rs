//! The commands `check` and `config`: the effective configuration of a file, and what is said
//! about it.

use std::path::{Path, PathBuf};

use vipd_config::Options;
use vipd_config::diagnostics::Colour;
use vipd_config::show::{Form, Shown, check, show};
use vipd_engine::Profile;

fn scenario_file(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    root.join("scenarios").join(name)
}

fn shown(name: &str, options: &Options) -> (Shown, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let file = scenario_file(name);
    let status =
        show(&file, options, Form::Json, Colour::Never, &mut out, &mut err).expect("memory");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status, text(out), text(err))
}

#[test]
fn the_seed_files_are_usable_and_only_state_master_is_warned_about() {
    let (first, out, err) = shown("seed/director-1.conf", &Options::default());
    assert_eq!(first, Shown::Warnings);
    assert_eq!(err.matches("warning[").count(), 1, "{err}");
    assert!(err.contains("`state MASTER` has no effect below 255"), "{err}");
    assert!(serde_json::from_str::<serde_json::Value>(&out).is_ok());
    let (second, _, err) = shown("seed/director-2.conf", &Options::default());
    assert_eq!(second, Shown::Fine, "{err}");
}

#[test]
fn a_password_is_never_printed() {
    let (_, out, _) = shown("seed/director-1.conf", &Options::default());
    assert!(out.contains("auth_pass") && !out.contains("1111"), "{out}");
}

#[test]
fn the_config_id_chooses_the_lines() {
    let options = |id: &str| Options { config_id: Some(id.to_string()), ..Options::default() };
    let (status, a, _) = shown("cut/pair.conf", &options("a"));
    assert_eq!(status, Shown::Fine);
    let (_, b, _) = shown("cut/pair.conf", &options("b"));
    assert_ne!(a, b);
    let (status, out, _) = shown("cut/pair.conf", &Options::default());
    assert_eq!((status, out.as_str()), (Shown::Unusable, ""));
}

#[test]
fn what_keepalived_cuts_is_a_warning_as_a_drop_in_and_an_error_by_the_rfc() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("long-password.conf");
    let text = "vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 1\n authentication {\n \
                auth_type PASS\n auth_pass 123456789\n }\n virtual_ipaddress {\n 10.0.0.1\n }\n}\n";
    std::fs::write(&file, text).expect("a file of ours");
    let name = file.to_str().expect("plain letters");
    let (status, _, err) = shown(name, &Options::default());
    assert_eq!(status, Shown::Warnings, "{err}");
    let strict = Options { profile: Profile::Rfc3768, ..Options::default() };
    let (status, out, err) = shown(name, &strict);
    assert_eq!((status, out.as_str()), (Shown::Unusable, ""), "{err}");
}

#[test]
fn the_text_form_has_a_line_per_value_with_its_place_and_its_origin() {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let file = scenario_file("seed/director-2.conf");
    let options = Options::default();
    show(&file, &options, Form::Text, Colour::Never, &mut out, &mut err).expect("memory");
    let text = String::from_utf8(out).expect("text");
    let value_of = |place: &str| {
        let line = text.lines().find(|line| line.starts_with(&format!("{place} = ")));
        line.unwrap_or_else(|| panic!("{place} is missing in\n{text}")).to_owned()
    };
    let priority = value_of("vrrp_instance VI_1 / priority");
    assert!(priority.contains("= 99  # "), "{priority}");
    assert!(priority.ends_with("director-2.conf:15:11"), "{priority}");
    assert!(value_of("vrrp_instance VI_1 / preempt").ends_with("true  # default"));
    let real =
        value_of("virtual_server TCP 200.222.0.113:80 / real_server 200.222.0.87 80 / weight");
    assert!(real.contains("= 100  # "), "{real}");
}

#[test]
fn several_files_are_checked_one_by_one_and_the_worst_decides() {
    let files = ["seed/director-2.conf", "seed/director-1.conf", "seed/no-such.conf"];
    let files = files.map(scenario_file);
    let checked = |count: usize| {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let options = Options::default();
        let worst = check(&files[..count], &options, Colour::Never, &mut out, &mut err);
        (worst.expect("memory"), String::from_utf8(out).expect("text"))
    };
    assert_eq!(checked(1).0, Shown::Fine);
    assert_eq!(checked(2).0, Shown::Warnings);
    let (worst, lines) = checked(3);
    assert_eq!(worst, Shown::Unusable);
    let verdicts: Vec<_> = lines.lines().filter_map(|line| line.rsplit(": ").next()).collect();
    assert_eq!(verdicts, ["fine", "usable, with warnings", "unusable"]);
}
