//! The two files of the seed, byte for byte: understood whole, acted on as far as it is built.

use std::path::Path;

use vipd_config::{Loaded, Options, explain, load};
use vipd_engine::config::Transport;
use vipd_engine::{Interval, Version};

fn seed(name: &str) -> Loaded {
    let path = Path::new("../scenarios/seed").join(name);
    load(&path, &Options::default()).unwrap_or_else(|report| panic!("{report}"))
}

#[test]
fn director_1_gives_one_warning_about_state_master_and_none_about_the_virtual_server() {
    let loaded = seed("director-1.conf");
    insta::assert_snapshot!(loaded.report);
    assert_eq!(loaded.report.diagnostics.warnings().count(), 1);
}

#[test]
fn director_2_gives_no_warning() {
    let loaded = seed("director-2.conf");
    assert_eq!(loaded.report.diagnostics.warnings().count(), 0, "{}", loaded.report);
    assert_eq!(loaded.report.notes().len(), 1);
}

#[test]
fn the_engine_is_given_what_the_file_says() {
    let loaded = seed("director-1.conf");
    let [instance] = loaded.config.instances() else { panic!("one instance") };
    assert_eq!(instance.name.as_str(), "VI_1");
    assert_eq!(instance.interface.as_str(), "ens192");
    assert_eq!(instance.vrid.get(), 51);
    assert_eq!(instance.priority.get(), 100);
    assert_eq!(instance.version, Version::V2);
    assert_eq!(instance.interval, Interval::DEFAULT);
    assert_eq!(instance.password.unwrap().octets(), *b"1111\0\0\0\0");
    let Transport::Unicast { source, peers, ttl } = &instance.transport else { panic!("unicast") };
    assert_eq!(source.unwrap().to_string(), "200.222.0.73");
    assert_eq!(peers[0].address.to_string(), "200.222.0.74");
    assert_eq!((peers.len(), *ttl), (1, 255));
    assert_eq!(instance.addresses[0].address.to_string(), "200.222.0.113");
    assert_eq!(instance.addresses[0].prefix_len, 32);
}

#[test]
fn the_director_part_is_read_whole() {
    let loaded = seed("director-1.conf");
    insta::assert_debug_snapshot!((&loaded.mail, loaded.config.director()));
}

#[test]
fn every_value_of_the_seed_is_shown_with_its_origin() {
    let path = Path::new("../scenarios/seed/director-1.conf");
    let explained = explain(path, &Options::default());
    let (_, effective) = explained.unwrap_or_else(|report| panic!("{report}"));
    let text = serde_json::to_string_pretty(&effective).unwrap();
    insta::assert_snapshot!(text);
}
