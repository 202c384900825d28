//! Lines of `track_script`, `track_file`, `track_process` and `track_interface`.

use vipd_engine::config::{Track, Tracked, Weight};
use vipd_engine::{InterfaceName, TrackerName};

use super::Line;
use super::draft::Draft;
use super::line::adjusted_severity;
use super::walk::options;
use crate::diagnostics::{Diagnostic, Diagnostics, Span};
use crate::keywords::{Place, Read};
use crate::text::did_you_mean;
use vipd_engine::Profile;

/// What a line names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Script,
    File,
    Process,
    Interface,
}

/// One line as it was written.
#[derive(Clone, Debug)]
pub(crate) struct TrackDraft {
    kind: Kind,
    name: String,
    weight: Option<i16>,
    reverse: Option<bool>,
    place: Span,
}

/// keepalived's limit of a weight: it moves a priority from one end to the other.
const HEAVIEST: i64 = 253;

pub(super) fn list(line: &mut Line<'_>, kind: Kind) -> Vec<TrackDraft> {
    let mut tracks = Vec::new();
    line.children(|line| {
        let Some(word) = line.next() else { return };
        let (name, place) = (word.text.clone(), word.span);
        let mut track = TrackDraft { kind, name, weight: None, reverse: None, place };
        options(line, Place::TrackLine, |read, line| match read {
            Read::Track(read) => read(&mut track, line),
            Read::Nothing
            | Read::Statement(_)
            | Read::Address(_)
            | Read::Peer(_)
            | Read::Route(_)
            | Read::Rule(_) => {}
        });
        tracks.push(track);
    });
    tracks
}

pub(crate) fn weight(track: &mut TrackDraft, line: &mut Line<'_>) {
    track.weight = line.integer_in(-HEAVIEST..=HEAVIEST).map(|weight| weight as i16);
}

pub(crate) fn reverse(track: &mut TrackDraft, _line: &mut Line<'_>) {
    track.reverse = Some(true);
}

pub(crate) fn no_reverse(track: &mut TrackDraft, _line: &mut Line<'_>) {
    track.reverse = Some(false);
}

/// `N [reverse]` of a tracker's own block.
pub(super) fn own_weight(line: &mut Line<'_>) -> Option<Weight> {
    let value = line.integer_in(-HEAVIEST..=HEAVIEST)? as i16;
    let reverse = line.peek().is_some() && line.choice(&[("reverse", ())]).is_some();
    Some(Weight { value, reverse })
}

impl TrackDraft {
    /// The tracked thing with its weight; `None`, and a diagnostic, if it cannot be tracked.
    ///
    /// `own`: the interface of the instance, which is watched in any case.
    pub fn settle(
        &self,
        own: Option<&InterfaceName>,
        draft: &Draft,
        profile: Profile,
        found: &mut Diagnostics,
    ) -> Option<Track> {
        let declared = match self.kind {
            Kind::Interface => Some(Weight::FAULT),
            Kind::Script => {
                self.declared(draft.scripts.iter().map(|s| (&s.value.name, s.value.weight)))
            }
            Kind::File => {
                self.declared(draft.files.iter().map(|f| (&f.value.name, f.value.weight)))
            }
            Kind::Process => {
                self.declared(draft.processes.iter().map(|p| (&p.value.name, p.value.weight)))
            }
        };
        let Some(declared) = declared else {
            found.push(self.undeclared(draft));
            return None;
        };
        if self.kind == Kind::Interface && own.is_some_and(|own| own.as_str() == self.name) {
            let message = format!("`{}` is the instance's own interface", self.name);
            let own = Diagnostic::new(adjusted_severity(profile), "value-adjusted", message);
            let own = own.at(self.place).label("keepalived ignores it");
            found.push(own.help("remove it: that interface is watched in any case"));
            return None;
        }
        let tracked = match self.kind {
            Kind::Interface => Tracked::Interface(InterfaceName::new(&self.name)),
            Kind::Script | Kind::File | Kind::Process => {
                Tracked::Tracker(TrackerName::new(&self.name))
            }
        };
        let weight = Weight {
            value: self.weight.unwrap_or(declared.value),
            reverse: self.reverse.unwrap_or(declared.reverse),
        };
        Some(Track { tracked, weight })
    }

    fn declared<'a>(
        &self,
        mut all: impl Iterator<Item = (&'a TrackerName, Weight)>,
    ) -> Option<Weight> {
        all.find(|(name, _)| name.as_str() == self.name).map(|(_, weight)| weight)
    }

    fn undeclared(&self, draft: &Draft) -> Diagnostic {
        let (block, names): (&str, Vec<&str>) = match self.kind {
            Kind::Script => {
                ("vrrp_script", draft.scripts.iter().map(|s| s.value.name.as_str()).collect())
            }
            Kind::File => {
                ("track_file", draft.files.iter().map(|f| f.value.name.as_str()).collect())
            }
            Kind::Process => (
                "vrrp_track_process",
                draft.processes.iter().map(|p| p.value.name.as_str()).collect(),
            ),
            Kind::Interface => ("interface", Vec::new()),
        };
        let message = format!("there is no `{block} {}`", self.name);
        let found = Diagnostic::error("unknown-name", message).at(self.place);
        match did_you_mean(&self.name, names) {
            Some(near) => found.help(format!("did you mean `{near}`?")),
            None => found.help(format!("declare it: `{block} {} {{ ... }}`", self.name)),
        }
    }
}
