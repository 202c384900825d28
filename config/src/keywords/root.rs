//! Rows: what stands outside any block, and the small blocks that belong to no other part.

use super::Effect::{Aside, Kernel, Mastership};
use super::Standing::{ActedOn, NotBuilt};
use super::{Effect, Keyword, Place, Since, Standing};
use crate::meaning::director::{group as servers, http};
use crate::meaning::{director, group, instance, statics, tracker};

const fn row(name: &'static str, arguments: &'static str, statics: Standing) -> Keyword {
    Keyword::new(Place::Root, name, arguments, "", statics)
}

const fn unbuilt(name: &'static str, arguments: &'static str, effect: Effect) -> Keyword {
    row(name, arguments, NotBuilt(effect))
}

pub(super) const ROOT: &[Keyword] = &[
    row("include", "PATTERN", ActedOn).many(),
    row("includer", "PATTERN", ActedOn).many(),
    row("includem", "PATTERN", ActedOn).many(),
    row("includew", "PATTERN", ActedOn).many(),
    row("includeb", "PATTERN", ActedOn).many(),
    row("includea", "PATTERN", ActedOn).many(),
    row("global_defs", "{ ... }", ActedOn).opens(Place::GlobalDefs).many(),
    row("vrrp_instance", "NAME { ... }", ActedOn)
        .opens(Place::VrrpInstance)
        .reads(instance::block)
        .many(),
    row("vrrp_sync_group", "NAME { ... }", ActedOn)
        .opens(Place::SyncGroup)
        .reads(group::block)
        .many(),
    row("vrrp_script", "NAME { ... }", ActedOn)
        .opens(Place::VrrpScript)
        .reads(tracker::script_block)
        .many(),
    row("track_file", "NAME { ... }", ActedOn)
        .opens(Place::TrackFile)
        .reads(tracker::file_block)
        .many(),
    row("vrrp_track_file", "NAME { ... }", ActedOn)
        .opens(Place::TrackFile)
        .reads(tracker::file_block)
        .deprecated("write `track_file`")
        .many(),
    row("vrrp_track_process", "NAME { ... }", ActedOn)
        .opens(Place::TrackProcess)
        .reads(tracker::process_block)
        .many(),
    unbuilt("bfd_instance", "NAME { ... }", Mastership).opens(Place::BfdInstance).many(),
    row("virtual_server", "ADDRESS PORT | fwmark N | group NAME { ... }", ActedOn)
        .opens(Place::VirtualServer)
        .reads(director::virtual_server)
        .many(),
    row("virtual_server_group", "NAME { ADDRESS[-ADDRESS|-LAST|/LENGTH] [PORT] | ... }", ActedOn)
        .lists(Some(Place::VirtualServerGroup))
        .reads(servers::block),
    row("SSL", "{ ... }", ActedOn).opens(Place::Ssl).reads(http::ssl),
    unbuilt("net_namespace", "NAME", Kernel),
    unbuilt("net_namespace_ipvs", "[NAME]", Kernel),
    unbuilt("namespace_with_ipsets", "", Kernel).deprecated("it is for kernels before 3.13"),
    unbuilt("instance", "NAME", Aside),
    unbuilt("use_pid_dir", "", Aside),
    row("linkbeat_use_polling", "", Standing::NoEffect).deprecated("links are reported by netlink"),
    unbuilt("linkbeat_interfaces", "{ IF [MII|ETHTOOL|IOCTL] }", Mastership).lists(None),
    unbuilt("child_wait_time", "SECONDS", Aside),
    unbuilt("interface_up_down_delays", "{ IF DOWN [UP] }", Mastership).lists(None),
    row("static_ipaddress", "{ ADDRESS[/LENGTH] ... }", ActedOn)
        .lists(Some(Place::AddressLine))
        .reads(statics::addresses),
    row("static_routes", "{ ROUTE }", ActedOn).lists(Some(Place::RouteLine)).reads(statics::routes),
    row("static_rules", "{ RULE }", ActedOn).lists(Some(Place::RuleLine)).reads(statics::rules),
    unbuilt("track_group", "NAME { ... }", Mastership).opens(Place::TrackGroup).many(),
    row("local_address_group", "NAME { ... }", Standing::Dead)
        .lists(None)
        .deprecated("only the DPVS fork knows it"),
    unbuilt("garp_group", "{ ... }", Aside).opens(Place::GarpGroup).many(),
];

pub(super) const TRACK_GROUP: &[Keyword] =
    &[Keyword::new(Place::TrackGroup, "group", "{ INSTANCE }", "", NotBuilt(Mastership))];

const fn garp(name: &'static str, arguments: &'static str) -> Keyword {
    Keyword::new(Place::GarpGroup, name, arguments, "", NotBuilt(Aside))
}

pub(super) const GARP_GROUP: &[Keyword] = &[
    garp("garp_interval", "SECONDS"),
    garp("gna_interval", "SECONDS"),
    garp("interface", "IF"),
    garp("interfaces", "{ IF }").since(Since::Long),
];
