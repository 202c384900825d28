//! Configuration text: it is used or refused with an error, whatever it is, and both can be shown.

use std::path::Path;

use vipd_config::diagnostics::Colour;
use vipd_config::text::InMemory;
use vipd_config::{Options, explain_from};
use vipd_engine::{Engine, Input, Outputs, Profile, Timestamp};

/// The name that `@fuzz` lines are compared with.
const ID: &str = "fuzz";

/// The first octet chooses the profile; the rest is the file, which may include itself.
pub fn feed(octets: &[u8]) {
    let Some((first, text)) = octets.split_first() else { return };
    let profile = Profile::ALL[usize::from(*first) % Profile::ALL.len()];
    let files = InMemory::new().with("/k.conf", text);
    let options = Options { config_id: Some(ID.to_owned()), profile, ..Options::default() };
    match explain_from(&files, Path::new("/k.conf"), &options) {
        Ok((loaded, effective)) => {
            assert!(!loaded.report.diagnostics.has_errors(), "an error, and it is used");
            // What is said of it can be said.
            let _ = loaded.report.render(Colour::Never);
            let shown = effective.as_value()["vrrp_instance"].as_array().map(Vec::len);
            assert_eq!(shown, Some(loaded.config.instances().len()), "an instance is not shown");
            // What config lets through, the engine takes.
            let (mut engine, mut out) = (Engine::new(), Outputs::new());
            engine.handle(Timestamp::ZERO, Input::Configure(loaded.config), &mut out);
            engine.check_invariants();
        }
        Err(report) => {
            assert!(report.diagnostics.has_errors(), "refused without an error");
            assert!(!report.render(Colour::Never).trim().is_empty(), "refused in silence");
        }
    }
}
