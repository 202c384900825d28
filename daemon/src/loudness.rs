//! How loud an event is in the log: one line each, in the engine's own words.

use tracing::{debug, info, warn};
use vipd_engine::health::WhyUp;
use vipd_engine::{Event, News, StateKind, director, health, ipvs};

/// Whoever directs may be asked why a server had no connections.
fn log_director(event: &Event, news: &director::News) {
    // Of such there may be 100,000 at a start, and nothing was found out of any.
    if let director::News::Health(health::News::ServerUp { why, .. }) = news
        && matches!(why, WhyUp::Assumed | WhyUp::Unchecked)
    {
        return debug!("{event}");
    }
    let is_fine = match news {
        director::News::Health(news) => match news {
            health::News::ServerUp { .. }
            | health::News::Weight { .. }
            | health::News::CheckPassed { .. } => true,
            health::News::ServerDown { .. }
            | health::News::CheckFailed { .. }
            | health::News::CheckNotMade { .. } => false,
        },
        director::News::Table(news) => match news {
            ipvs::News::Service { .. }
            | ipvs::News::Server { .. }
            | ipvs::News::Quorum { up: true, .. }
            | ipvs::News::TakenOver { .. }
            | ipvs::News::Sync { .. }
            | ipvs::News::FaultOver => true,
            ipvs::News::Quorum { up: false, .. }
            | ipvs::News::Found { .. }
            | ipvs::News::FoundSetting(_)
            | ipvs::News::CommandFailed { .. }
            | ipvs::News::BatchFailed { .. }
            | ipvs::News::ReadFailed { .. }
            | ipvs::News::Fault => false,
        },
        director::News::Ordered { .. } | director::News::Rest { .. } | director::News::InForce => {
            true
        }
    };
    if is_fine { info!("{event}") } else { warn!("{event}") }
}

/// Writes it into the log.
pub fn log(event: &Event) {
    match &event.news {
        News::State { to: StateKind::Fault, .. }
        | News::GroupState { to: StateKind::Fault, .. }
        | News::LowerPriority { .. }
        | News::Mismatch { .. }
        | News::ForeignVrid { .. }
        | News::OneWay { .. }
        | News::AdvertDiscarded { .. }
        | News::Flapping { .. }
        | News::LeftoverAddress(_)
        | News::AddressLost(_)
        | News::LeftoverEntry(_)
        | News::EntryLost { .. }
        | News::CommandFailed { .. }
        | News::SendRefused { .. } => warn!("{event}"),
        News::State { .. }
        | News::IntervalLearned { .. }
        | News::PriorityChanged { .. }
        | News::PreemptDelayed { .. }
        | News::PreemptDelayOver
        | News::EqualPriority { .. }
        | News::Ordered(_)
        | News::YieldOver
        | News::HoldDownOver
        | News::GroupState { .. } => info!("{event}"),
        News::Director(news) => log_director(event, news),
    }
}
