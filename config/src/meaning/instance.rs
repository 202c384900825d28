//! Readers of `vrrp_instance`, other than those shared with `global_defs`.

use vipd_engine::{InterfaceName, Password, Priority, Vrid};

use super::draft::{AuthType, InstanceDraft, Placed, State};
use super::track::Kind;
use super::{Draft, Line, address, peer, route, rule, track};
use crate::diagnostics::Diagnostic;

pub(crate) fn block(draft: &mut Draft, line: &mut Line<'_>) {
    let name = line.word().map(|word| word.text.clone());
    let broken = name.is_none();
    let instance =
        InstanceDraft { name: name.unwrap_or_default(), broken, ..InstanceDraft::default() };
    draft.instances.push(Placed::new(instance, line.statement.span()));
}

pub(crate) fn interface(draft: &mut Draft, line: &mut Line<'_>) {
    match interface_name(line) {
        Some(name) => draft.instance().interface = Some(name),
        None => draft.instance().broken = true,
    }
}

/// The kernel's limit of an interface name, without the closing zero (linux/if.h, IFNAMSIZ).
const LONGEST_NAME: usize = 15;

/// A name that the kernel can give to an interface.
pub(super) fn interface_name(line: &mut Line<'_>) -> Option<InterfaceName> {
    let word = line.word()?;
    let text = word.text.as_str();
    if text.is_empty() || text.len() > LONGEST_NAME || text.contains('/') {
        let what = format!("is not an interface name of 1 to {LONGEST_NAME} characters");
        line.invalid(word, &what, None);
        return None;
    }
    Some(InterfaceName::new(text))
}

pub(crate) fn vrid(draft: &mut Draft, line: &mut Line<'_>) {
    draft.instance().vrid = line.typed(Vrid::new);
    draft.instance().broken |= draft.instance().vrid.is_none();
}

pub(crate) fn priority(draft: &mut Draft, line: &mut Line<'_>) {
    draft.instance().priority = line.typed(Priority::new);
}

pub(crate) fn state(draft: &mut Draft, line: &mut Line<'_>) {
    draft.instance().state = line.choice(&State::NAMES).map(|(state, _)| state);
}

/// What the version can carry is decided when the version is known.
pub(crate) fn advert_int(draft: &mut Draft, line: &mut Line<'_>) {
    draft.instance().interval = line.seconds().map(|(time, _)| time);
}

pub(crate) fn addresses(draft: &mut Draft, line: &mut Line<'_>) {
    let read = address::list(line);
    draft.instance().addresses.extend(read.values);
    note_items(draft, line, read.places);
}

pub(crate) fn excluded(draft: &mut Draft, line: &mut Line<'_>) {
    let read = address::list(line);
    draft.instance().excluded.extend(read.values);
    note_items(draft, line, read.places);
}

pub(crate) fn routes(draft: &mut Draft, line: &mut Line<'_>) {
    let read = route::list(line);
    draft.instance().routes.extend(read.values);
    note_items(draft, line, read.places);
}

pub(crate) fn rules(draft: &mut Draft, line: &mut Line<'_>) {
    let read = rule::list(line);
    draft.instance().rules.extend(read.values);
    note_items(draft, line, read.places);
}

pub(super) fn note_items(
    draft: &mut Draft,
    line: &Line<'_>,
    places: Vec<crate::diagnostics::Span>,
) {
    if let Some(origins) = draft.origins(line.keyword.place) {
        origins.items.entry(line.keyword.name).or_default().extend(places);
    }
}

pub(crate) fn no_address(draft: &mut Draft, _line: &mut Line<'_>) {
    draft.instance().no_address = true;
}

/// The values stand in the block.
pub(crate) fn authentication(_draft: &mut Draft, _line: &mut Line<'_>) {}

pub(crate) fn auth_type(draft: &mut Draft, line: &mut Line<'_>) {
    let Some((kind, at)) = line.choice(&AuthType::NAMES) else {
        draft.instance().broken = true;
        return;
    };
    if kind == AuthType::Ah {
        let found = Diagnostic::error(
            "not-built",
            "`auth_type AH` is not built, and it decides who is master",
        );
        let found = found.at(at).help("no RFC since RFC 3768 has it: use PASS, or neither");
        line.report(found);
    }
    draft.instance().auth_type = Some(kind);
}

pub(crate) fn auth_pass(draft: &mut Draft, line: &mut Line<'_>) {
    let Some(word) = line.word() else { return };
    let octets = word.text.as_bytes();
    let password = Password::new(octets).or_else(|error| {
        let cut = octets.get(..octets.len().min(error.max as usize)).unwrap_or_default();
        let password = Password::new(cut)?;
        let message = format!("{error}, and this one has {} octets", octets.len());
        line.adjusted(word.span, message, "only its first 8 octets are used");
        Ok(password)
    });
    match password {
        Ok(password) => draft.instance().auth_pass = Some(password),
        Err(error) => line.out_of_range(word.span, error),
    }
}

pub(crate) fn track_script(draft: &mut Draft, line: &mut Line<'_>) {
    let tracks = track::list(line, Kind::Script);
    draft.instance().tracks.extend(tracks);
}

pub(crate) fn track_file(draft: &mut Draft, line: &mut Line<'_>) {
    let tracks = track::list(line, Kind::File);
    draft.instance().tracks.extend(tracks);
}

pub(crate) fn track_process(draft: &mut Draft, line: &mut Line<'_>) {
    let tracks = track::list(line, Kind::Process);
    draft.instance().tracks.extend(tracks);
}

pub(crate) fn track_interface(draft: &mut Draft, line: &mut Line<'_>) {
    let tracks = track::list(line, Kind::Interface);
    draft.instance().tracks.extend(tracks);
}

/// `unicast_src_ip` and `mcast_src_ip` both say which source adverts have.
pub(crate) fn unicast_src_ip(draft: &mut Draft, line: &mut Line<'_>) {
    draft.instance().source = line.address().map(|(address, _)| address);
}

pub(crate) fn mcast_src_ip(draft: &mut Draft, line: &mut Line<'_>) {
    unicast_src_ip(draft, line);
}

pub(crate) fn mcast_dst_ip(draft: &mut Draft, line: &mut Line<'_>) {
    draft.instance().group = line.address().map(|(address, _)| address);
}

pub(crate) fn unicast_peer(draft: &mut Draft, line: &mut Line<'_>) {
    let read = peer::list(line);
    let instance = draft.instance();
    instance.broken |= read.mistaken;
    instance.peers.get_or_insert_default().extend(read.values);
    note_items(draft, line, read.places);
}

pub(crate) fn unicast_ttl(draft: &mut Draft, line: &mut Line<'_>) {
    draft.instance().unicast_ttl = line.integer_in(1..=255).map(|ttl| ttl as u8);
}

pub(crate) fn old_unicast_checksum(draft: &mut Draft, line: &mut Line<'_>) {
    let never = line.peek().is_some() && line.choice(&[("never", ())]).is_some();
    draft.instance().old_unicast_checksum = !never;
}

pub(crate) fn preempt(draft: &mut Draft, _line: &mut Line<'_>) {
    draft.instance().preempt = Some(true);
}

pub(crate) fn no_preempt(draft: &mut Draft, _line: &mut Line<'_>) {
    draft.instance().preempt = Some(false);
}

/// Its range follows from the interval, the version and the down timer: a rule of the engine.
pub(crate) fn dead_man(draft: &mut Draft, line: &mut Line<'_>) {
    draft.instance().dead_man = line.seconds().map(|(time, _)| time);
}

pub(crate) fn preempt_delay(draft: &mut Draft, line: &mut Line<'_>) {
    draft.instance().preempt_delay = line.seconds_in(0..=1000);
}

pub(crate) fn one_way_alarm(draft: &mut Draft, line: &mut Line<'_>) {
    draft.instance().one_way_alarm = line.integer_in(0..=255).map(|times| times as u8);
}

/// Its range is a rule of the engine.
pub(crate) fn one_way_yield(draft: &mut Draft, line: &mut Line<'_>) {
    draft.instance().one_way_yield = line.seconds().map(|(time, _)| time);
}

pub(crate) fn use_vmac(draft: &mut Draft, line: &mut Line<'_>) {
    let name = if line.peek().is_some() { interface_name(line) } else { None };
    draft.instance().virtual_mac = Some(name);
    if let Some((text, at)) = line.rest() {
        let message = format!("`{text}` after `use_vmac` is not built, and it changes the kernel");
        let found = Diagnostic::error("not-built", message).at(at);
        line.report(found.help("write `use_vmac` or `use_vmac NAME`"));
    }
}

pub(crate) fn vmac_xmit_base(draft: &mut Draft, _line: &mut Line<'_>) {
    draft.instance().transmit_from_parent = true;
}

pub(crate) fn native_ipv6(draft: &mut Draft, _line: &mut Line<'_>) {
    draft.instance().native_ipv6 = true;
}

pub(crate) fn accept(draft: &mut Draft, _line: &mut Line<'_>) {
    draft.instance().accept = Some(true);
}

pub(crate) fn no_accept(draft: &mut Draft, _line: &mut Line<'_>) {
    draft.instance().accept = Some(false);
}

pub(crate) fn dont_track_primary(draft: &mut Draft, _line: &mut Line<'_>) {
    draft.instance().ignore_primary_link = true;
}
