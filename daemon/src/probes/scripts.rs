//! One attempt of a script (`MISC_CHECK`): the helper runs it, its end is the outcome.

use std::time::Duration;

use tracing::{debug, warn};
use vipd_engine::health::{Failure, LocalError, Outcome};

use super::settings::Settings;
use crate::scripts::{End, Scripts};

/// Runs it. Dropped, it has the script killed.
pub async fn run(
    helper: &Scripts,
    settings: &Settings,
    name: &str,
    dynamic: bool,
    limit: Duration,
) -> Outcome {
    let Some(script) = settings.script(name, limit) else {
        return Outcome::Local(LocalError::Unsupported);
    };
    let ended = helper.run(&script).await;
    match ended.end {
        // DEVIATION: keepalived makes no check of it, and the server is up for good.
        End::Unusable if settings.is_news(name, &ended.said) => {
            warn!("MISC_CHECK {}: its server is down: {}", script.command, ended.said);
        }
        End::Unusable | End::NoProcess => {}
        End::Exit(_) | End::Signal(_) | End::TooLate => settings.is_usable(name),
    }
    debug!("MISC_CHECK {}: {}", script.command, ended.said);
    outcome(ended.end, dynamic)
}

fn outcome(end: End, dynamic: bool) -> Outcome {
    match end {
        End::Exit(status) => Outcome::of_exit(status, dynamic),
        End::Signal(signal) => Outcome::Bad(Failure::Signal(signal)),
        End::TooLate => Outcome::Bad(Failure::TimedOut),
        End::Unusable => Outcome::Bad(Failure::ScriptUnusable),
        End::NoProcess => Outcome::Local(LocalError::Process),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_that_cannot_be_used_is_a_fault_and_one_that_nobody_could_start_is_none() {
        let table = [
            (End::Exit(0), Outcome::GOOD),
            (End::Exit(1), Outcome::Bad(Failure::Exit(1))),
            (End::Exit(9), Outcome::Good { weight: Some(7) }),
            (End::Signal(11), Outcome::Bad(Failure::Signal(11))),
            (End::TooLate, Outcome::Bad(Failure::TimedOut)),
            (End::Unusable, Outcome::Bad(Failure::ScriptUnusable)),
            (End::NoProcess, Outcome::Local(LocalError::Process)),
        ];
        for (end, wanted) in table {
            assert_eq!(outcome(end, true), wanted, "{end:?}");
        }
    }
}
