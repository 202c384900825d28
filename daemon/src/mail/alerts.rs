//! What an event is for mail, in keepalived's subjects and bodies. One mail per state: what a state
//! between was not mailed for is not mailed twice.

use std::collections::BTreeMap;
use std::fmt;

use vipd_config::mail::Mail;
use vipd_config::notify::Notify;
use vipd_engine::{Event, GroupName, InstanceName, News, StateKind, Why};

/// What an alert is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum About {
    /// A virtual router.
    Instance(InstanceName),
    /// A sync group.
    Group(GroupName),
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instance(name) => write!(f, "VRRP Instance {name}"),
            Self::Group(name) => write!(f, "VRRP Group {name}"),
        }
    }
}

/// What is mailed of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Master,
    Backup,
    Fault,
    Stop,
    Deleted,
}

impl What {
    const fn subject(self) -> &'static str {
        match self {
            Self::Master => "Entering MASTER state",
            Self::Backup => "Entering BACKUP state",
            Self::Fault => "Entering FAULT state",
            Self::Stop => "Stopping",
            Self::Deleted => "Deleted",
        }
    }

    const fn body(self, about: &About) -> &'static str {
        match (about, self) {
            (About::Instance(_), Self::Master) => "VRRP Instance is now owning VRRP VIPs",
            (About::Instance(_), Self::Backup | Self::Fault) => {
                "VRRP Instance is no longer owning VRRP VIPs"
            }
            (About::Instance(_), Self::Stop) => "VRRP Instance stopping",
            (About::Group(_), Self::Master) => "All VRRP group instances are now in MASTER state",
            (About::Group(_), Self::Backup) => "All VRRP group instances are now in BACKUP state",
            (About::Group(_), Self::Fault) => "All VRRP group instances are now in FAULT state",
            (About::Group(_), Self::Stop) => "All VRRP group instances are now stopping",
            (_, Self::Deleted) => "VRRP Deleted at reload",
        }
    }
}

/// Who is to be told of what.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// The mail settings.
    pub mail: Mail,
    /// How the end of an instance is told.
    pub notify: Notify,
}

/// What was mailed last of each.
#[derive(Debug, Default)]
pub struct Alerts {
    rules: Rules,
    /// Those before: what a reload takes away is told of its end afterwards.
    before: Rules,
    last: BTreeMap<About, What>,
}

impl Alerts {
    /// These rules from now on.
    pub fn configure(&mut self, rules: Rules) {
        self.before = std::mem::replace(&mut self.rules, rules);
    }

    /// The subject behind the name of this machine, and the body, if it is to be mailed.
    pub fn due(&mut self, event: &Event) -> Option<(String, String)> {
        let (about, to, what) = match &event.news {
            News::State { to, why, .. } => {
                let what = self.of_instance(&event.instance, *to, why);
                (About::Instance(event.instance.clone()), *to, what)
            }
            News::GroupState { group, to, .. } => {
                let mail = &self.rules.mail;
                let what = state(*to).unwrap_or(What::Stop);
                let told = mail.groups.contains(group) && !omitted(mail, what);
                (About::Group(group.clone()), *to, told.then_some(what))
            }
            _ => return None,
        };
        let last = self.last.get(&about).copied();
        if to == StateKind::Initialize {
            self.last.remove(&about);
        }
        let what = what.filter(|what| last != Some(*what))?;
        if to != StateKind::Initialize {
            self.last.insert(about.clone(), what);
        }
        Some((format!("{about} - {}", what.subject()), format!("=> {} <=", what.body(&about))))
    }

    /// One that a reload removes is at fault unless `notify_deleted` says otherwise, for scripts
    /// as well.
    fn of_instance(&self, name: &InstanceName, to: StateKind, why: &Why) -> Option<What> {
        let removed = matches!(why, Why::Removed);
        let rules = if removed { &self.before } else { &self.rules };
        let what = match (state(to), why) {
            (Some(what), _) => what,
            (None, Why::Shutdown) => What::Stop,
            (None, Why::Removed) => {
                let own = rules.notify.instances.get(name);
                if own.is_some_and(|own| own.says_deleted) { What::Deleted } else { What::Fault }
            }
            (None, _) => return None,
        };
        let told = rules.mail.instances.contains(name) && !omitted(&rules.mail, what);
        told.then_some(what)
    }
}

fn omitted(mail: &Mail, what: What) -> bool {
    mail.omits_faults && what == What::Fault
}

const fn state(to: StateKind) -> Option<What> {
    match to {
        StateKind::Master => Some(What::Master),
        StateKind::Backup => Some(What::Backup),
        StateKind::Fault => Some(What::Fault),
        StateKind::Initialize => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vipd_config::notify::NotifyScripts;

    fn alerts(omits_faults: bool) -> Alerts {
        let mail = Mail {
            instances: [InstanceName::new("VI_1")].into(),
            groups: [GroupName::new("VG")].into(),
            omits_faults,
            ..Mail::default()
        };
        let mut alerts = Alerts::default();
        alerts.configure(Rules { mail, notify: Notify::default() });
        alerts
    }

    fn told(alerts: &mut Alerts, name: &str, to: StateKind, why: Why) -> String {
        let news = News::State { from: StateKind::Backup, to, why };
        let due = alerts.due(&Event { instance: InstanceName::new(name), news });
        due.map(|(subject, body)| format!("{subject} {body}")).unwrap_or_default()
    }

    fn group(alerts: &mut Alerts, to: StateKind) -> String {
        let group = GroupName::new("VG");
        let news = News::GroupState { group, from: StateKind::Backup, to };
        let due = alerts.due(&Event { instance: InstanceName::new("VI_1"), news });
        due.map(|(subject, body)| format!("{subject} {body}")).unwrap_or_default()
    }

    #[test]
    fn each_state_has_the_subject_and_the_body_of_keepalived() {
        let alerts = &mut alerts(false);
        for (to, why, text) in [
            (
                StateKind::Master,
                Why::Recovered,
                "VRRP Instance VI_1 - Entering MASTER state \
                 => VRRP Instance is now owning VRRP VIPs <=",
            ),
            (
                StateKind::Backup,
                Why::Recovered,
                "VRRP Instance VI_1 - Entering BACKUP state \
                 => VRRP Instance is no longer owning VRRP VIPs <=",
            ),
            (
                StateKind::Fault,
                Why::Recovered,
                "VRRP Instance VI_1 - Entering FAULT state \
                 => VRRP Instance is no longer owning VRRP VIPs <=",
            ),
            (
                StateKind::Initialize,
                Why::Shutdown,
                "VRRP Instance VI_1 - Stopping => VRRP Instance stopping <=",
            ),
        ] {
            assert_eq!(told(alerts, "VI_1", to, why), text);
            assert_eq!(told(alerts, "VI_2", to, Why::Recovered), "", "it does not ask for mail");
        }
        for (to, text) in [
            (
                StateKind::Master,
                "VRRP Group VG - Entering MASTER state \
                 => All VRRP group instances are now in MASTER state <=",
            ),
            (
                StateKind::Initialize,
                "VRRP Group VG - Stopping => All VRRP group instances are now stopping <=",
            ),
        ] {
            assert_eq!(group(alerts, to), text);
        }
    }

    #[test]
    fn without_faults_the_same_state_is_not_mailed_again_behind_one() {
        let alerts = &mut alerts(true);
        assert_ne!(told(alerts, "VI_1", StateKind::Backup, Why::Recovered), "");
        assert_eq!(told(alerts, "VI_1", StateKind::Fault, Why::Recovered), "");
        assert_eq!(told(alerts, "VI_1", StateKind::Backup, Why::Recovered), "");
        assert_ne!(told(alerts, "VI_1", StateKind::Master, Why::Recovered), "");
    }

    #[test]
    fn what_a_reload_removes_is_told_by_the_file_before() {
        for says_deleted in [false, true] {
            let alerts = &mut alerts(false);
            let own = NotifyScripts { says_deleted, ..NotifyScripts::default() };
            alerts.rules.notify.instances.insert(InstanceName::new("VI_1"), own);
            alerts.configure(Rules::default());
            let text = told(alerts, "VI_1", StateKind::Initialize, Why::Removed);
            let deleted = "VRRP Instance VI_1 - Deleted => VRRP Deleted at reload <=";
            assert_eq!(text == deleted, says_deleted);
            assert!(says_deleted || text.contains("Entering FAULT"), "{text}");
        }
    }
}
