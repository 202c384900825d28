//! The engine's rules across fields, told at their place in the file and with the way out.

use vipd_engine::config::{CheckRule, ConfigError, ConfigRule, ServerRule};
use vipd_engine::{InstanceName, Version};

use super::director::draft::ServerDraft;
use super::draft::{Draft, Origins, Placed};
use crate::diagnostics::{Diagnostic, Span};
use crate::keywords::{Form, Place};
use crate::text::did_you_mean;

/// A broken rule as a diagnostic.
pub(super) fn diagnostic(error: &ConfigError, draft: &Draft) -> Diagnostic {
    let path = &error.path;
    if path.block.0 == VIRTUAL_SERVER {
        return of_server(error, draft);
    }
    let origins = block(error, draft);
    let stands = path.block.1.is_empty();
    let field = if path.field == path.block.0 && !stands { "" } else { path.field };
    let message = match Place::Root.find(path.block.0) {
        Some(_) if !field.is_empty() => format!("`{field}`: {}", error.rule),
        _ => error.rule.to_string(),
    };
    let mut found = Diagnostic::error("broken-rule", message);
    let place = origins.and_then(|origins| origins.place(field, path.index));
    if let Some(place) = place {
        found = found.at(place);
    }
    if let Some(help) = help(&error.rule, draft) {
        found = found.help(help);
    }
    match other(error, draft) {
        Some((place, label)) => found.also(place, label),
        None => found,
    }
}

const VIRTUAL_SERVER: &str = "virtual_server";

/// A rule of virtual servers. Of two of one name the second is the mistaken one.
fn of_server(error: &ConfigError, draft: &Draft) -> Diagnostic {
    let path = &error.path;
    let named = |name: &str| -> Vec<_> {
        let is_it = |server: &&Placed<ServerDraft>| {
            server.value.name.as_ref().is_some_and(|one| one.to_string() == name)
        };
        draft.director.servers.iter().filter(is_it).collect()
    };
    let head = path.field == VIRTUAL_SERVER;
    let message = match error.rule {
        _ if head => error.rule.to_string(),
        _ => format!("`{}`: {}", path.field, error.rule),
    };
    let found = Diagnostic::error("broken-rule", message);
    let Some(server) = named(&path.block.1).pop() else { return found };
    let place = match path.index {
        Some(index) => server.value.places.get(index).copied(),
        None => server.origins.place(if head { "" } else { path.field }, None),
    };
    let mut found = place.into_iter().fold(found, Diagnostic::at);
    if let ConfigRule::Server(rule) = &error.rule {
        if let Some(help) = server_help(rule) {
            found = found.help(help);
        }
        if let ServerRule::SameService(_, other) = rule
            && let Some(place) = named(other).first().and_then(|first| first.origins.block)
            && Some(place) != found.span
        {
            found = found.also(place, "the first one");
        }
    }
    found
}

fn server_help(rule: &ServerRule) -> Option<&'static str> {
    Some(match rule {
        ServerRule::SameService(..) => "put the real servers into one of the two",
        ServerRule::NoService => "write addresses or `fwmark N` into its `virtual_server_group`",
        ServerRule::NeedsPersistence => "write a port, or `persistence_timeout`",
        ServerRule::FamilyNeedsTunnel(_) => "write `lvs_method TUN`, or an address of its family",
        ServerRule::SameRealServer(..) => "remove one of the two",
        ServerRule::ThresholdsCross => "`uthreshold` is the greater one",
        ServerRule::Check(_, rule) => match rule {
            CheckRule::NoPort => "write `connect_port N`",
            CheckRule::NeedsInterface(_) => "write `bind_if IF`",
            CheckRule::SourceFamilyDiffers(_)
            | CheckRule::NoTime
            | CheckRule::NoUrl
            | CheckRule::PathNotAbsolute
            | CheckRule::NoStatus(..)
            | CheckRule::OffsetsCross
            | CheckRule::LengthsCross => return None,
        },
        ServerRule::TooManyServices(_)
        | ServerRule::NoMark
        | ServerRule::OnePacketNeedsUdp
        | ServerRule::PersistenceOutOfRange(_)
        | ServerRule::GranularityOutOfRange(_)
        | ServerRule::NameTooLong(_)
        | ServerRule::QuorumOutOfReach(_)
        | ServerRule::HysteresisNotBelowQuorum
        | ServerRule::PortDiffers(_)
        | ServerRule::WeightTooGreat(_)
        | ServerRule::TimeoutOutOfRange(_)
        | ServerRule::SyncLenOutOfRange(_) => return None,
    })
}

/// The block of an error. Of two blocks of one name the second is the mistaken one.
fn block<'a>(error: &ConfigError, draft: &'a Draft) -> Option<&'a Origins> {
    let (keyword, name) = &error.path.block;
    if Place::Root.find(keyword)?.form == Form::Block(Place::GlobalDefs) {
        return Some(&draft.globals.origins);
    }
    if name.is_empty() {
        return Some(&draft.root);
    }
    let instances = draft.instances.iter().map(|one| (one.value.name.as_str(), &one.origins));
    let groups = draft.groups.iter();
    let groups = groups.map(|one| (one.value.config.name.as_str(), &one.origins));
    let named = |(block, origins): (&str, &'a Origins)| (block == name).then_some(origins);
    if Place::Root.find(keyword)?.form == Form::Block(Place::SyncGroup) {
        groups.rev().find_map(named)
    } else {
        instances.rev().find_map(named)
    }
}

fn instance<'a>(name: &InstanceName, draft: &'a Draft) -> Option<&'a Origins> {
    let mut all = draft.instances.iter();
    all.find(|one| one.value.name == name.as_str()).map(|one| &one.origins)
}

/// The other place of a rule about two.
fn other(error: &ConfigError, draft: &Draft) -> Option<(Span, &'static str)> {
    match &error.rule {
        ConfigRule::SameIdentity(name) => {
            let place = instance(name, draft)?.place("virtual_router_id", None)?;
            Some((place, "the other one"))
        }
        ConfigRule::SameName => {
            let place = instance(&InstanceName::new(&error.path.block.1), draft)?.block?;
            Some((place, "the first one"))
        }
        ConfigRule::InTwoGroups(name) => {
            let mut groups = draft.groups.iter();
            let group = groups.find(|one| one.value.config.name == *name)?;
            Some((group.origins.block?, "the other group"))
        }
        ConfigRule::FamilyDiffers(_)
        | ConfigRule::TooManyAddresses(_)
        | ConfigRule::SameAddress(_)
        | ConfigRule::PrefixTooLong(_)
        | ConfigRule::VersionNeedsIpv4
        | ConfigRule::IntervalDoesNotFit(_)
        | ConfigRule::AuthenticationNeedsV2
        | ConfigRule::EndpointFamilyDiffers(_)
        | ConfigRule::PeerIsSelf(_)
        | ConfigRule::TooManyPeers(_)
        | ConfigRule::NoPeer
        | ConfigRule::NotAGroup(_)
        | ConfigRule::NoDownTimer
        | ConfigRule::DeadManOutOfRange(..)
        | ConfigRule::DeadManNeedsTime
        | ConfigRule::DeadManOfOwner
        | ConfigRule::HoldDownOutOfRange
        | ConfigRule::OneWayYieldNeedsAlarm
        | ConfigRule::OneWayYieldOfOwner
        | ConfigRule::UnknownMember(_)
        | ConfigRule::FirstAddressNotLinkLocal(_)
        | ConfigRule::RouteFamilyDiffers(_)
        | ConfigRule::RuleFamilyDiffers(_)
        | ConfigRule::NoNextHop
        | ConfigRule::NextHopOfRefusal(_)
        | ConfigRule::Ipv6Only(_)
        | ConfigRule::Ipv4Only(_)
        | ConfigRule::GotoBackwards(_)
        | ConfigRule::SameEntry
        | ConfigRule::Server(_) => None,
    }
}

fn help(rule: &ConfigRule, draft: &Draft) -> Option<String> {
    let text = match rule {
        ConfigRule::SameIdentity(_) => "give one of them another `virtual_router_id`",
        ConfigRule::SameName => "give it another name",
        ConfigRule::FamilyDiffers(_) => {
            "addresses of the other family stand in `virtual_ipaddress_excluded`, or in an \
             instance of their own"
        }
        ConfigRule::TooManyAddresses(_) => "put the rest into `virtual_ipaddress_excluded`",
        ConfigRule::SameAddress(_) | ConfigRule::SameEntry => "remove one of the two lines",
        ConfigRule::NextHopOfRefusal(_) => "remove `via`, `dev` and `nexthop` from the line",
        ConfigRule::VersionNeedsIpv4 => "write `version 3`, or leave the line out",
        ConfigRule::IntervalDoesNotFit(Version::V2) => "`version 3` carries fractions of a second",
        ConfigRule::DeadManNeedsTime => "remove `dead_man`, or write a longer `advert_int`",
        ConfigRule::DeadManOfOwner => "remove `dead_man`, or write a lower `priority`",
        ConfigRule::OneWayYieldNeedsAlarm => "remove `one_way_alarm`: it is 3 then",
        ConfigRule::OneWayYieldOfOwner => "remove `one_way_yield`, or write a lower `priority`",
        ConfigRule::PeerIsSelf(_) => "list the other routers only",
        ConfigRule::NoPeer => "list the other routers, or remove the block to use multicast",
        ConfigRule::FirstAddressNotLinkLocal(_) => "put an address of fe80::/10 first",
        ConfigRule::UnknownMember(name) => {
            let names = draft.instances.iter().map(|one| one.value.name.as_str());
            let near = did_you_mean(name.as_str(), names)?;
            return Some(format!("did you mean `{near}`?"));
        }
        ConfigRule::PrefixTooLong(_)
        | ConfigRule::IntervalDoesNotFit(Version::V3)
        | ConfigRule::AuthenticationNeedsV2
        | ConfigRule::EndpointFamilyDiffers(_)
        | ConfigRule::NotAGroup(_)
        | ConfigRule::NoDownTimer
        | ConfigRule::DeadManOutOfRange(..)
        | ConfigRule::HoldDownOutOfRange
        | ConfigRule::TooManyPeers(_)
        | ConfigRule::InTwoGroups(_)
        | ConfigRule::RouteFamilyDiffers(_)
        | ConfigRule::RuleFamilyDiffers(_)
        | ConfigRule::NoNextHop
        | ConfigRule::Ipv6Only(_)
        | ConfigRule::Ipv4Only(_)
        | ConfigRule::GotoBackwards(_)
        | ConfigRule::Server(_) => return None,
    };
    Some(text.to_owned())
}
