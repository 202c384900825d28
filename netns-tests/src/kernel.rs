//! Whose kernel plays a scenario: this machine's, or one that is booted for it (`uml`).

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::str::FromStr;

use vipd_scenarios::scenario::Need;

use crate::uml;

/// The program by which the kernel loads modules when they are needed.
const LOADER: &str = "/proc/sys/kernel/modprobe";

/// Whose kernel plays a scenario.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kernel {
    /// This machine's, if it has what the scenario needs and root asks; otherwise a user-mode
    /// Linux, where that is installed.
    #[default]
    Auto,
    /// This machine's.
    Host,
    /// A user-mode Linux.
    Uml,
}

impl FromStr for Kernel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "host" => Ok(Self::Host),
            "uml" => Ok(Self::Uml),
            other => Err(format!("`{other}` is none of auto, host and uml")),
        }
    }
}

impl Kernel {
    /// Whether a user-mode Linux is to be booted for a scenario with these needs.
    pub(crate) fn is_uml(self, needs: &[Need]) -> bool {
        match self {
            Self::Auto => {
                // Making namespaces needs root.
                let does = nix::unistd::geteuid().is_root() && lacking(needs).is_empty();
                !does && uml::is_possible().is_ok()
            }
            Self::Host => false,
            Self::Uml => true,
        }
    }
}

/// What this kernel lacks of what is needed, in words.
#[must_use]
pub fn lacking(needs: &[Need]) -> Vec<String> {
    let lacking = needs.iter().filter(|need| !has(module(**need)));
    let said = lacking.map(|need| {
        let (name, module) = (need.name(), module(*need));
        format!(
            "this kernel has no {name} (module {module}); `viplab run --kernel uml` boots one that \
             has (Debian packages user-mode-linux and kmod)"
        )
    });
    said.collect()
}

/// Loads what is needed, as far as that is possible: whoever needs it says what is missing.
pub(crate) fn load(need: Need) {
    let loader = fs::read_to_string(LOADER).unwrap_or_default();
    let mut command = Command::new(loader.trim());
    command.args(["--quiet", module(need)]).stdin(Stdio::null());
    let _ = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
}

const fn module(need: Need) -> &'static str {
    match need {
        Need::Ipvs => "ip_vs",
        Need::Netem => "sch_netem",
    }
}

/// Whether it is there, or would be once somebody needs it. Nothing is loaded by asking.
fn has(module: &str) -> bool {
    if Path::new("/sys/module").join(module).exists() {
        return true;
    }
    let Ok(loader) = fs::read_to_string(LOADER) else { return false };
    let mut command = Command::new(loader.trim());
    command.args(["--dry-run", "--quiet", module]).stdin(Stdio::null());
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_nothing_lacks_nothing_and_an_unknown_module_is_nowhere() {
        assert_eq!(lacking(&[]), Vec::<String>::new());
        assert!(!has("no_such_module"));
    }

    #[test]
    fn a_kernel_has_one_of_three_names() {
        assert_eq!("uml".parse(), Ok(Kernel::Uml));
        assert_eq!("xen".parse::<Kernel>(), Err("`xen` is none of auto, host and uml".to_string()));
    }

    #[test]
    fn who_says_which_kernel_gets_that_one() {
        assert!(Kernel::Uml.is_uml(&[]));
        assert!(!Kernel::Host.is_uml(&[Need::Ipvs, Need::Netem]));
    }
}
