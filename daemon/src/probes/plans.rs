//! What is prepared once per check, and kept for as long as the engine has the check.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use tracing::warn;
use vipd_checks::Plan;
use vipd_engine::config::health::Check;
use vipd_engine::health::{CheckId, LocalError};

/// So many attempts begin before it is looked for plans that nobody needs any more.
const TIDY_EVERY: u32 = 4096;

/// A plan per check.
#[derive(Default)]
pub struct Plans {
    by_check: HashMap<CheckId, (Weak<Check>, Option<Plan>)>,
    begun: u32,
}

impl Plans {
    /// That of this check, whose place may have been another's before.
    ///
    /// # Errors
    /// It can never be asked: told once, with the reason.
    pub fn of(&mut self, id: CheckId, check: &Arc<Check>) -> Result<Plan, LocalError> {
        self.begun += 1;
        if self.begun >= TIDY_EVERY {
            self.begun = 0;
            self.by_check.retain(|_, (check, _)| check.strong_count() > 0);
        }
        let known = self.by_check.get(&id);
        let known = known.filter(|(known, _)| std::ptr::eq(known.as_ptr(), Arc::as_ptr(check)));
        let plan = match known {
            Some((_, plan)) => plan.clone(),
            None => {
                let plan = Plan::new(check);
                let plan = plan.inspect_err(|why| warn!("{check} cannot be made: {why}")).ok();
                self.by_check.insert(id, (Arc::downgrade(check), plan.clone()));
                plan
            }
        };
        plan.ok_or(LocalError::Configuration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use vipd_engine::config::health::{Bind, CheckKind};

    fn check(helo_name: &str) -> Arc<Check> {
        Arc::new(Check {
            kind: CheckKind::Smtp { helo_name: helo_name.into() },
            address: [192, 0, 2, 1].into(),
            port: 25,
            bind: Bind::default(),
            timeout: Duration::from_secs(1),
            delay_loop: Duration::from_secs(1),
            retry: 0,
            delay_before_retry: Duration::from_secs(1),
            warmup: Duration::ZERO,
            alpha: false,
            tells_all_failures: false,
        })
    }

    #[test]
    fn a_place_has_the_plan_of_the_check_that_is_there_now() {
        let mut plans = Plans::default();
        assert!(plans.of(CheckId(7), &check("a.example")).is_ok());
        let unusable = check("a\r\nb");
        assert_eq!(plans.of(CheckId(7), &unusable).err(), Some(LocalError::Configuration));
        assert!(plans.of(CheckId(7), &check("c.example")).is_ok());
    }

    #[test]
    fn what_was_prepared_for_a_check_that_is_gone_is_not_kept() {
        let mut plans = Plans::default();
        for place in 0..100 {
            assert!(plans.of(CheckId(place), &check("gone.example")).is_ok());
        }
        let stays = check("stays.example");
        for _ in 0..TIDY_EVERY {
            assert!(plans.of(CheckId(100), &stays).is_ok());
        }
        assert_eq!(plans.by_check.keys().collect::<Vec<_>>(), [&CheckId(100)]);
    }
}
