//! Rows: `vrrp_script`, `track_file`, `vrrp_track_process`, `bfd_instance`.

use serde_json::{Value, json};

use super::Effect::Mastership;
use super::Standing::{ActedOn, NotBuilt};
use super::{Keyword, Place, Show, Since};
use crate::meaning::{Draft, Line, seconds, show_weight, tracker};
use crate::trackers::{ParamMatch, Script, TrackedFile, TrackedProcess};

type Reader = fn(&mut Draft, &mut Line<'_>);

const fn row(
    place: Place,
    (name, arguments, default): (&'static str, &'static str, &'static str),
    read: Reader,
    show: Show,
) -> Keyword {
    Keyword::new(place, name, arguments, default, ActedOn).reads(read).shows(show)
}

const fn script(
    head: (&'static str, &'static str, &'static str),
    read: Reader,
    show: fn(&Script) -> Value,
) -> Keyword {
    row(Place::VrrpScript, head, read, Show::Script(show))
}

pub(super) const VRRP_SCRIPT: &[Keyword] = &[
    script(("script", "COMMAND", ""), tracker::command, |s| json!(s.command)),
    script(("interval", "SECONDS", "1"), tracker::interval, |s| seconds(s.interval)),
    script(("timeout", "SECONDS", "`interval`"), tracker::timeout, |s| seconds(s.timeout)),
    script(("weight", "-253..253 [reverse]", "0"), tracker::script_weight, |s| {
        show_weight(s.weight)
    }),
    script(("rise", "N", "1"), tracker::rise, |s| json!(s.rise)),
    script(("fall", "N", "1"), tracker::fall, |s| json!(s.fall)),
    script(("user", "USER [GROUP]", "`script_user`"), tracker::user, |s| {
        json!(s.user.as_ref().map(|who| &who.user))
    }),
    script(("init_fail", "", "off"), tracker::init_fail, |s| json!(s.init_fail)),
];

const fn file(
    head: (&'static str, &'static str, &'static str),
    read: Reader,
    show: fn(&TrackedFile) -> Value,
) -> Keyword {
    row(Place::TrackFile, head, read, Show::File(show))
}

pub(super) const TRACK_FILE: &[Keyword] = &[
    file(("file", "PATH", ""), tracker::path, |f| json!(f.path)),
    file(("weight", "-254..254 [reverse]", "1"), tracker::file_weight, |f| show_weight(f.weight)),
    file(("init_file", "[N] [overwrite]", "none"), tracker::init_file, |f| json!(f.init)),
];

const fn process(
    head: (&'static str, &'static str, &'static str),
    read: Reader,
    show: fn(&TrackedProcess) -> Value,
) -> Keyword {
    row(Place::TrackProcess, head, read, Show::Process(show))
}

pub(super) const TRACK_PROCESS: &[Keyword] = &[
    process(("process", "COMMAND", ""), tracker::process, |p| {
        json!([&[p.program.clone()][..], &p.parameters].concat().join(" "))
    }),
    process(("param_match", "initial|partial", "exact"), tracker::param_match, |p| {
        json!(p.param_match.map_or("exact", ParamMatch::name))
    }),
    process(("weight", "-254..254 [reverse]", "0"), tracker::process_weight, |p| {
        show_weight(p.weight)
    }),
    process(("quorum", "N", "1, 0 if `quorum_max` is 0"), tracker::quorum, |p| json!(p.quorum)),
    process(("quorum_max", "N", "none"), tracker::quorum_max, |p| json!(p.quorum_max)),
    process(("delay", "SECONDS", "0"), tracker::delay, |p| {
        json!([seconds(p.fork_delay), seconds(p.terminate_delay)])
    }),
    process(("fork_delay", "SECONDS", "0"), tracker::fork_delay, |p| seconds(p.fork_delay)),
    process(("terminate_delay", "SECONDS", "0"), tracker::terminate_delay, |p| {
        seconds(p.terminate_delay)
    }),
    process(("full_command", "", "off"), tracker::full_command, |p| json!(p.full_command)),
];

const fn bfd(name: &'static str, arguments: &'static str, default: &'static str) -> Keyword {
    Keyword::new(Place::BfdInstance, name, arguments, default, NotBuilt(Mastership))
}

pub(super) const BFD_INSTANCE: &[Keyword] = &[
    bfd("neighbor_ip", "ADDRESS", ""),
    bfd("neighbour_ip", "ADDRESS", "").sets("neighbor_ip"),
    bfd("source_ip", "ADDRESS", ""),
    bfd("min_rx", "MILLISECONDS", "10"),
    bfd("min_tx", "MILLISECONDS", "10"),
    bfd("idle_tx", "MILLISECONDS", "1000"),
    bfd("multiplier", "N", "5"),
    bfd("passive", "", "off"),
    bfd("ttl", "N", "255"),
    bfd("hoplimit", "N", "64"),
    bfd("max_hops", "N", "0"),
    bfd("multihop", "", "off").since(Since::After2_2_7),
    bfd("weight", "N [reverse]", "0"),
    bfd("vrrp", "", ""),
    bfd("checker", "", ""),
];
