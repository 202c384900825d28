//! Readers of `vrrp_sync_group`.

use vipd_engine::InstanceName;

use super::draft::{GroupDraft, Placed};
use super::track::{self, Kind};
use super::{Draft, Line};

pub(crate) fn block(draft: &mut Draft, line: &mut Line<'_>) {
    let name = line.word().map_or("", |word| &word.text);
    draft.groups.push(Placed::new(GroupDraft::new(name), line.statement.span()));
}

pub(crate) fn members(draft: &mut Draft, line: &mut Line<'_>) {
    let mut places = Vec::new();
    let group = draft.group();
    line.children(|line| {
        while let Some(word) = line.next() {
            group.config.members.push(InstanceName::new(&word.text));
            places.push(word.span);
        }
    });
    if let Some(origins) = draft.origins(line.keyword.place) {
        origins.items.entry(line.keyword.name).or_default().extend(places);
    }
}

pub(crate) fn track_script(draft: &mut Draft, line: &mut Line<'_>) {
    draft.group().tracks.extend(track::list(line, Kind::Script));
}

pub(crate) fn track_file(draft: &mut Draft, line: &mut Line<'_>) {
    draft.group().tracks.extend(track::list(line, Kind::File));
}

pub(crate) fn track_process(draft: &mut Draft, line: &mut Line<'_>) {
    draft.group().tracks.extend(track::list(line, Kind::Process));
}

pub(crate) fn track_interface(draft: &mut Draft, line: &mut Line<'_>) {
    draft.group().tracks.extend(track::list(line, Kind::Interface));
}

pub(crate) fn tracking_weight(draft: &mut Draft, _line: &mut Line<'_>) {
    draft.group().config.tracking_weight = true;
}
