//! What hosts are told of the virtual router's addresses and MAC, besides who answers in which
//! seat.

use std::net::IpAddr;
use std::time::Duration;

use super::seat::replies;
use crate::conformance::experiment::{Deed, Experiment, Reading, When, ms, text};
use crate::conformance::octets::{self, BROADCAST};
use crate::conformance::site::{Flavour, HIGHER, HOST, Router, STRANGER, Site, TARGET, Terms};
use crate::conformance::verdict::{Verdict, hold, seconds, untried, wrong};
use crate::conformance::view::View;

/// A foreign router or host.
const FOREIGN: u8 = 77;

/// With the virtual MAC, whatever the profile says.
fn with_mac(site: Site, flavour: Flavour) -> Router {
    Router { virtual_mac: true, accept: Some(true), ..Router::new(site, flavour, 51) }
}

/// What the kernel says of groups, links and addresses, as Backup and as Active.
pub(super) fn kernel(terms: &Terms, site: Site) -> Experiment {
    let router = with_mac(site, Flavour::V6);
    let it = Experiment::new("kernel-v3-ipv6", site, vec![router]).apart(terms);
    it.cue("groups", When::At(ms(2_000)), Deed::Read(Reading::Groups))
        .cue("groups", When::At(ms(8_000)), Deed::Read(Reading::Groups))
        .cue("addresses", When::At(ms(8_200)), Deed::Read(Reading::Addresses))
        .judge("V3-6.4.3-SNM", joined)
        .judge("ND-SNM-4291", joined)
        .judge("V3-7.4-IID", |view| {
            let (device, said) = virtual_device(view)?;
            let made = said.contains("200:5eff:fe00:2");
            hold(!made, "identifier", "an address is made from the virtual MAC")?;
            Ok(format!("{device} has none"))
        })
        .judge("V3-7.4-IID-9568", |view| {
            let (device, said) = virtual_device(view)?;
            let none = of_device(said, &device).any(|line| line.contains("addrgenmode none"));
            hold(none, "identifier", format!("{device} may make addresses"))?;
            Ok(format!("{device} has addrgenmode none"))
        })
        .judge("ND-DAD", |view| {
            let (device, said) = virtual_device(view)?;
            let wanted = format!("inet6 {}/", view.router().addresses[0]);
            let line = of_device(said, &device).find(|line| line.contains(&wanted));
            let Some(line) = line else { return untried("the address is not there") };
            hold(line.contains("nodad"), "dad", line.trim())?;
            hold(!line.contains("tentative"), "dad", line.trim())?;
            Ok("the address is there with nodad".to_owned())
        })
}

/// The virtual router's interface, and all that was said.
fn virtual_device<'a>(
    view: &View<'a>,
) -> Result<(String, &'a str), crate::conformance::verdict::Wrong> {
    let said = view.reading(Reading::Addresses, 0)?;
    let near = view.site().interface();
    let line = said.lines().find(|line| line.contains(&format!("@{near}:")));
    let name = line.and_then(|line| line.split(": ").nth(1)?.split('@').next());
    let mac = text(view.mac());
    match name {
        Some(name) if said.contains(&mac) => Ok((name.to_owned(), said)),
        _ => untried("no interface has the virtual MAC"),
    }
}

/// What was said of one interface: its lines begin with its number, the others are indented.
fn of_device<'a>(said: &'a str, device: &'a str) -> impl Iterator<Item = &'a str> {
    let mut own = false;
    said.lines().filter(move |line| {
        if !line.starts_with(' ') {
            own = line.contains(&format!(": {device}@"));
        }
        own
    })
}

/// The solicited-node group of each address, and not before.
fn joined(view: &View<'_>) -> Verdict {
    let [before, after] = [view.reading(Reading::Groups, 0)?, view.reading(Reading::Groups, 1)?];
    let site = view.site();
    let upper = view.notes.upper.clone().unwrap_or_default();
    let own = [site.interface(), upper];
    for address in &view.router().addresses {
        let IpAddr::V6(address) = address else { return untried("no IPv6 address") };
        let IpAddr::V6(group) = octets::solicited_node(*address) else {
            return untried("no group");
        };
        let hex: String = group.octets().map(|octet| format!("{octet:02x}")).concat();
        let member = |said: &str| {
            said.lines().any(|line| {
                let words: Vec<_> = line.split_whitespace().collect();
                let on = words.get(1).is_some_and(|name| own.iter().any(|own| own == name));
                on && words.get(2) == Some(&hex.as_str())
            })
        };
        hold(member(after), "missing", format!("no member of {group} as Active"))?;
        hold(!member(before), "member", format!("member of {group} as Backup"))?;
    }
    Ok("a member as Active, none as Backup".to_owned())
}

/// A host that the router does not know asks by the virtual address: no ARP of the router may bind
/// that address to its own MAC.
pub(super) fn stranger(terms: &Terms, site: Site, flavour: Flavour) -> Experiment {
    let router = with_mac(site, flavour);
    let wanted = router.addresses[router.addresses.len() - 1];
    let host = site.host(flavour, STRANGER);
    let echo = octets::echo_request(flavour.mac(51), site.mac(STRANGER), host, wanted);
    let mut it =
        Experiment::new(format!("stranger-{}", flavour.name()), site, vec![router]).apart(terms);
    it.ground.answering = vec![(STRANGER, site.mac(STRANGER))];
    it.every((6_000, 8_000, 500), "echo", echo).judge("ARP-8.1.2-NOLEAK", move |view| {
        let found = replies(view, wanted, "echo")?;
        hold(found > 0, "untried", "the echo requests were not answered")?;
        let leak = view.arps().find(|(_, _, arp)| {
            view.router().addresses.contains(&IpAddr::V4(arp.spa)) && arp.sha != view.mac()
        });
        if let Some((at, _, arp)) = leak {
            let (mac, at) = (text(arp.sha), seconds(at));
            return wrong("leak", format!("{} at {mac} in an ARP at {at} s", arp.spa));
        }
        Ok(format!("{found} replies, no ARP binds the address to another MAC"))
    })
}

/// The router resolves a host for what it forwards. Linux asks by the interface that its route
/// names: whoever is to ask with the virtual MAC leads the link's prefix over its macvlan, for as
/// long as he is master (docs/daemon.md).
pub(super) fn resolves(terms: &Terms, site: Site) -> Experiment {
    let mut router = Router::new(site, Flavour::V6, 51);
    if let Some(macvlan) = router.macvlan(terms, site) {
        let prefix = site.global_prefix();
        router.lines =
            format!("  virtual_routes {{\n    {prefix} dev {macvlan} metric 100\n  }}\n");
    }
    let (beyond, host) = (site.far(Flavour::V6, HOST), site.host(Flavour::V6, STRANGER));
    let through = octets::datagram(site.far_mac(TARGET), site.far_mac(HOST), beyond, host);
    let mut it = Experiment::new("resolves-v3-ipv6", site, vec![router]).apart(terms);
    it.ground.far = true;
    it.cue("through", When::At(ms(8_000)), Deed::SendFar(through)).judge(
        "ND-NS-SLLA",
        move |view| {
            let at = view.time("through")?;
            let mut found = view.packets(false).filter_map(|(when, _, ip)| {
                let (135, message) = ip.icmp6()? else { return None };
                let target: [u8; 16] = message.get(8..24)?.try_into().ok()?;
                let option = message.get(24..32).filter(|option| option[..2] == [1, 1])?;
                (when >= at && IpAddr::from(target) == host)
                    .then_some(<[u8; 6]>::try_from(&option[2..]).ok()?)
            });
            let Some(mac) = found.next() else { return untried("it asked for nobody") };
            view.is_virtual(mac, "the source link-layer address is")
        },
    )
}

/// The router answers for a host behind it, as it is told to.
pub(super) fn proxy(terms: &Terms, site: Site) -> Experiment {
    let router = Router::new(site, Flavour::V3, 51);
    let wanted = site.far_v4(HOST);
    let asked = octets::who_has((site.mac(HOST), site.v4(HOST)), wanted);
    let mut it = Experiment::new("proxy-v3-ipv4", site, vec![router]).apart(terms);
    it.ground.far = true;
    it.cue("told", When::At(ms(7_500)), Deed::Proxy(wanted))
        .every((8_000, 9_000, 200), "ask", asked)
        .judge("ARP-8.3-PROXY", move |view| {
            let found = view.answers(IpAddr::V4(wanted), view.time("ask")?, Duration::MAX);
            let Some((mac, _)) = found.first() else { return untried("it answers for nobody") };
            view.is_virtual(*mac, "it answers with")
        })
}

/// An announcement of the virtual address by somebody else, to a Backup and to a Master.
pub(super) fn foreign(terms: &Terms, site: Site) -> Experiment {
    let router = Router::new(site, Flavour::V3, 51);
    let good = router.advert(terms, site, HIGHER, 200);
    let mac = site.mac(FOREIGN);
    let IpAddr::V4(wanted) = router.addresses[0] else { unreachable!("an IPv4 router") };
    let claim = octets::arp((BROADCAST, mac), 1, (mac, wanted), (BROADCAST, wanted));
    let near = move |view: &View<'_>, label: &str| -> Result<usize, _> {
        let from = view.time(label)?;
        let until = from + ms(1_000);
        let of = |spa| spa == wanted;
        Ok(view.arps().filter(|(at, _, arp)| (from..until).contains(at) && of(arp.spa)).count())
    };
    Experiment::new("foreign-v3-ipv4", site, vec![router])
        .every((50, 3_000, 1_000), "good", good)
        .at(2_500, "to-backup", claim.clone())
        .at(15_000, "to-master", claim)
        .judge("ARP-5227-DEFEND", move |view| {
            let backup = near(view, "to-backup")?;
            let at = view.time("to-master")?;
            let master = !view.between(at - ms(1_100), at).is_empty();
            hold(master, "untried", "it was no Master")?;
            hold(backup == 0, "defends", format!("{backup} ARPs of the Backup"))?;
            let found = near(view, "to-master")?;
            hold(found <= 1, "defends", format!("{found} ARPs of the Master within 1 s"))?;
            Ok(format!("0 ARPs of the Backup, {found} of the Master"))
        })
        .judge("GARP-REPLYSIDE", move |view| {
            let of = |view: &View<'_>, label: &str| -> Result<usize, _> {
                let from = view.time(label)?;
                Ok(view.answers(IpAddr::V4(wanted), from, from + ms(500)).len())
            };
            let (backup, master) = (of(view, "to-backup")?, of(view, "to-master")?);
            hold(backup == 0, "answered", format!("{backup} replies of the Backup"))?;
            Ok(format!("0 replies of the Backup, {master} of the Master"))
        })
}

/// Announcements wait for the address.
pub(super) fn in_order(terms: &Terms, site: Site, flavour: Flavour) -> Experiment {
    let router = with_mac(site, flavour);
    let row = if flavour.is_v6() { "ND-DELAY" } else { "ARP-8.1.2-DELAY" };
    let it =
        Experiment::new(format!("in-order-{}", flavour.name()), site, vec![router]).apart(terms);
    it.judge(row, |view| {
        for address in &view.router().addresses {
            let mut announced = view.announcements().into_iter();
            let Some(first) = announced.find(|it| it.address == *address) else {
                return wrong("missing", format!("{address} was not announced"));
            };
            // Netlink is read a little after the frames.
            let there = view.has(*address, first.at + ms(20));
            hold(there, "early", format!("{address} is announced and not there"))?;
            view.is_virtual(first.mac, "announced with")?;
        }
        Ok("each address was there, with the virtual MAC, when it was announced".to_owned())
    })
}

/// A known host says that it has another MAC.
pub(super) fn moved(terms: &Terms, site: Site) -> Experiment {
    let router = Router::new(site, Flavour::V6, 51);
    let (host, own) = (site.host(Flavour::V6, STRANGER), site.host(Flavour::V6, TARGET));
    let echo = octets::echo_request(site.mac(TARGET), site.mac(STRANGER), host, own);
    let target = site.global(STRANGER);
    let all: IpAddr = octets::ALL_NODES;
    let mac = site.mac(FOREIGN);
    let moved = octets::advertise((octets::group_mac(all), mac), (host, all), 0x20, target);
    let mut it = Experiment::new("moved-v3-ipv6", site, vec![router]).apart(terms);
    it.ground.answering = vec![(STRANGER, site.mac(STRANGER))];
    let entry = move |said: &str| -> Option<String> {
        let line = said.lines().find(|line| line.starts_with(&format!("{target} ")))?;
        line.split_whitespace().skip_while(|word| *word != "lladdr").nth(1).map(str::to_owned)
    };
    it.at(5_000, "echo", echo)
        .cue("before", When::At(ms(6_000)), Deed::Read(Reading::Neighbours))
        .at(6_500, "moved", moved)
        .cue("after", When::At(ms(7_000)), Deed::Read(Reading::Neighbours))
        .judge("ND-UNA-ACCEPT", move |view| {
            let before = entry(view.reading(Reading::Neighbours, 0)?);
            let known = before == Some(text(view.site().mac(STRANGER)));
            hold(known, "untried", "the host is not known")?;
            let after = entry(view.reading(Reading::Neighbours, 1)?);
            hold(after == Some(text(mac)), "ignored", format!("{after:?} stays"))?;
            Ok(format!("{target} is at {} now", text(mac)))
        })
}

/// A host sends by the virtual MAC to somebody on its own link.
pub(super) fn redirect(terms: &Terms, site: Site, flavour: Flavour) -> Experiment {
    let router = with_mac(site, flavour);
    let (host, other) = (site.host(flavour, HOST), site.host(flavour, HIGHER));
    let by = |mac| octets::datagram(mac, site.mac(HOST), host, other);
    let it =
        Experiment::new(format!("redirect-{}", flavour.name()), site, vec![router]).apart(terms);
    let kind = if flavour.is_v6() { 137 } else { 5 };
    let found = move |view: &View<'_>, label: &str| -> Result<Vec<IpAddr>, _> {
        let (from, until) = (view.time(label)?, view.last(label)? + ms(900));
        let sent_on = view.packets(false).any(|(at, _, ip)| {
            (from..until).contains(&at) && ip.dst == other && ip.protocol == octets::UDP
        });
        hold(sent_on, "untried", "the datagram was not sent on")?;
        let redirects = view
            .packets(false)
            .filter(|(at, _, ip)| (from..until).contains(at) && ip.icmp() == Some(kind));
        Ok(redirects.map(|(_, _, ip)| ip.src).collect())
    };
    let it =
        it.at(8_000, "by-virtual", by(flavour.mac(51))).at(10_000, "by-own", by(site.mac(TARGET)));
    let source = move |view: &View<'_>| {
        let sources = found(view, "by-virtual")?;
        let other = sources.iter().find(|src| !view.router().addresses.contains(src));
        hold(other.is_none(), "source", format!("a redirect from {other:?}"))?;
        Ok(format!("sent on, {} redirects", sources.len()))
    };
    if flavour.is_v6() {
        return it.judge("RED-SRC6", source);
    }
    it.judge("RED-SRC4", source)
        .judge("RED-SYM", move |view| {
            Ok(format!(
                "sent on, {} redirects by the virtual MAC",
                found(view, "by-virtual")?.len()
            ))
        })
        .judge("RED-3768-8.1", move |view| {
            Ok(format!("sent on, {} redirects by the own MAC", found(view, "by-own")?.len()))
        })
}
