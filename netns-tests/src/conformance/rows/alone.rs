//! A virtual router that hears nobody: how it starts, what it sends, how it stops.

use std::net::IpAddr;
use std::time::Duration;

use vipd_engine::Profile;

use crate::conformance::experiment::{Experiment, ms, text};
use crate::conformance::octets::{self, GROUP4, UDP, VRRP, checksum};
use crate::conformance::site::{Flavour, HOST, Router, Site, TARGET, Terms};
use crate::conformance::verdict::{EARLY, Verdict, Wrong, hold, seconds, symptom, untried, wrong};
use crate::conformance::view::{Advert, View};

/// Nothing is configured but the addresses, so that the defaults show.
pub(super) fn alone(terms: &Terms, site: Site, flavour: Flavour) -> Experiment {
    let router = Router {
        priority: None,
        addresses: site.addresses(flavour, 3),
        ..Router::new(site, flavour, 51)
    };
    let mut it = Experiment::new(format!("alone-{}", flavour.name()), site, vec![router]);
    it.ground.far = true;
    let it = forwarding(it, flavour);
    let it = whereto(encapsulation(it, flavour), flavour);
    let it = fields(it, flavour);
    let it = checksums(it, flavour, terms);
    let it = announcements(it, flavour);
    let it = life(it, flavour);
    shutdown(it, flavour)
}

/// A datagram to the group of VRRP, and one that is to be forwarded.
fn forwarding(it: Experiment, flavour: Flavour) -> Experiment {
    let site = it.site;
    let (group, host) = (flavour.group(), site.host(flavour, HOST));
    let group = octets::datagram(octets::group_mac(group), site.mac(HOST), host, group);
    let beyond = site.far(flavour, HOST);
    let through = octets::datagram(site.mac(TARGET), site.mac(HOST), host, beyond);
    let row = match flavour {
        Flavour::V2 => "V2-5.2.2-NOFWD",
        Flavour::V3 => "V3-5.1.1.2-NOFWD4",
        Flavour::V6 => "V3-5.1.2.2-NOFWD6",
    };
    it.every((6_000, 8_000, 400), "to-group", group).at(8_500, "through", through).judge(
        row,
        move |view| {
            let asked = view.time("to-group")?;
            let far = view.packets(true).filter(|(at, ..)| *at >= asked).collect::<Vec<_>>();
            let passed = far.iter().find(|(_, _, ip)| ip.dst == beyond && ip.protocol == UDP);
            let Some((_, _, passed)) = passed else {
                return untried("the target does not forward at all");
            };
            hold(passed.ttl == 63, "ttl", format!("forwarded with TTL {}", passed.ttl))?;
            let leaked =
                far.iter().any(|(_, _, ip)| ip.dst == flavour.group() && ip.protocol == UDP);
            hold(!leaked, "forwarded", "a datagram to the group came out behind the router")?;
            Ok("5 to the group stayed, 1 to a host passed".to_owned())
        },
    )
}

fn encapsulation(it: Experiment, flavour: Flavour) -> Experiment {
    let site = it.site;
    let own = site.own(flavour, TARGET);
    let (src, dst, ttl, protocol) = match flavour {
        Flavour::V2 => ("V2-5.2.1-SRC", "V2-5.2.2-DST", "V2-5.2.3-TTLTX", "V2-5.2.4-PROTO"),
        Flavour::V3 => {
            let protocol = "V3-5.1.1.4-PROTO4";
            ("V3-5.1.1.1-SRC4", "V3-5.1.1.2-DST4", "V3-5.1.1.3-TTL4TX", protocol)
        }
        Flavour::V6 => ("V3-5.1.2.1-SRC6", "V3-5.1.2.2-DST6", "V3-5.1.2.3-HLTX", "V3-5.1.2.4-NH"),
    };
    it.judge(src, move |view| {
        let first = view.adverts().first().map(|advert| advert.at);
        let later = first.is_some_and(|at| view.has(view.router().addresses[0], at + ms(900)));
        hold(later, "silent", "the virtual address never came")?;
        view.each_advert(
            10,
            "source",
            |advert| advert.ip.src == own,
            |advert| format!("source {}", advert.ip.src),
        )
    })
    .judge(dst, move |view| {
        let group = flavour.group();
        view.each_advert(
            10,
            "destination",
            |it| it.ip.dst == group && it.frame.dst == octets::group_mac(group),
            |it| format!("to {} at {}", it.ip.dst, text(it.frame.dst)),
        )
    })
    .judge(ttl, |view| {
        resigned(view)?;
        let is = |it: &Advert<'_>| it.ip.ttl == 255;
        view.each_advert(10, "ttl", is, |it| format!("TTL {}", it.ip.ttl))
    })
    .judge(protocol, |view| {
        let is = |it: &Advert<'_>| it.ip.protocol == VRRP;
        view.each_advert(10, "protocol", is, |it| format!("protocol {}", it.ip.protocol))
    })
}

/// Where adverts go, and from which MAC.
fn whereto(it: Experiment, flavour: Flavour) -> Experiment {
    let it = it
        .judge(flavour.row("V2-7.2-GROUP", "V3-7.2-GROUP"), move |view| {
            let behind = view.vrrp(true).count();
            hold(behind == 0, "other-interface", format!("{behind} on the other interface"))?;
            let group = flavour.group();
            let to = |it: &Advert<'_>| format!("to {}, one interface of two", it.ip.dst);
            view.each_advert(10, "destination", |it| it.ip.dst == group, to)
        })
        .judge(flavour.row("V2-7.2-SMAC", "V3-7.2-SMAC"), |view| {
            let mac = view.mac();
            let is = |it: &Advert<'_>| it.frame.src == mac;
            view.each_advert(10, "physical-mac", is, |it| format!("from {}", text(it.frame.src)))
        })
        .judge("TRANS-2.4", |view| {
            let first = view.first_after(Duration::ZERO)?;
            view.is_virtual(first.frame.src, "the advert of the transition is from")
        });
    if flavour != Flavour::V2 {
        return it;
    }
    it.judge("V2-5-IPENC", |view| {
        let any: Vec<_> = view.vrrp(false).collect();
        hold(any.len() >= 10, "silent", format!("{} VRRP messages", any.len()))?;
        let is = |it: &&Advert<'_>| {
            it.ip.dst == GROUP4
                && !it.ip.fragment
                && it.octets.first().is_some_and(|it| it & 15 == 1)
        };
        let other = any.iter().find(|it| !is(it));
        hold(
            other.is_none(),
            "encapsulation",
            "not IPv4 multicast, a fragment or of another type",
        )?;
        Ok(format!("{} of type 1 to {GROUP4}, no fragment", any.len()))
    })
}

/// One octet of every advert.
fn octet(
    it: Experiment,
    row: &'static str,
    symptom: &'static str,
    place: usize,
    value: u8,
) -> Experiment {
    it.judge(row, move |view| {
        let is = |it: &Advert<'_>| it.priority() == 0 || it.octets.get(place) == Some(&value);
        let show = |it: &Advert<'_>| match it.octets.get(place) {
            Some(octet) => format!("octet {place} is {octet:02x}"),
            None => format!("octet {place} is missing"),
        };
        view.each_advert(10, symptom, is, show)
    })
}

fn fields(it: Experiment, flavour: Flavour) -> Experiment {
    let v2 = flavour == Flavour::V2;
    let row = |v2, v3| flavour.row(v2, v3);
    let it = it.judge(row("V2-5.3.1-VER", "V3-5.2.1-VER"), move |view| {
        let is = |it: &Advert<'_>| it.octets[0] >> 4 == flavour.version();
        view.each_advert(10, "version", is, |it| format!("version {}", it.octets[0] >> 4))
    });
    let it = it.judge(row("V2-5.3.2-TYPE", "V3-5.2.2-TYPE"), |view| {
        let is = |it: &Advert<'_>| it.octets[0] & 15 == 1;
        view.each_advert(10, "type", is, |it| format!("type {}", it.octets[0] & 15))
    });
    let it = octet(it, row("V2-5.3.3-VRID", "V3-5.2.3-VRID"), "vrid", 1, 51);
    let it = octet(it, row("V2-5.3.4-PRI1-254", "V3-5.2.4-PRI1-254"), "priority", 2, 100);
    let it = octet(it, row("V2-6.1-DEF", "V3-6.1-DEF"), "priority", 2, 100);
    let it = octet(it, row("V2-5.3.5-COUNT", "V3-5.2.5-COUNT"), "count", 3, 3);
    let it = it.judge(row("V2-5.3.9-ADDRS", "V3-5.2.9-ADDRS"), |view| {
        let list = view.configured();
        let is = |it: &Advert<'_>| it.list() == list;
        view.each_advert(10, "list", is, |it| format!("{} octets as configured", it.list().len()))
    });
    let size = if flavour.is_v6() { 16 } else { 4 };
    let length = 8 + 3 * size + if v2 { 8 } else { 0 };
    let sized = move |view: &View<'_>| {
        let is = |it: &Advert<'_>| it.octets.len() == length;
        view.each_advert(10, "length", is, |it| format!("{} octets", it.octets.len()))
    };
    let it = it.judge(row("V2-5.3.5-COUNT", "V3-5.2.5-COUNT"), sized);
    if v2 {
        let it = octet(it, "V2-5.3.6-AUTHTX", "auth-type", 4, 0);
        let it = octet(it, "AUTH-2338-TYPES", "auth-type", 4, 0);
        let it = octet(it, "V2-5.3.7-INTTX", "interval", 5, 1);
        let it = octet(it, "V2-6.1-DEF", "interval", 5, 1);
        return it.judge("V2-5.3.10-AUTHDATA", |view| {
            let is = |it: &Advert<'_>| it.octets.ends_with(&[0; 8]) && it.octets.len() == 28;
            view.each_advert(10, "auth-data", is, |_| "eight octets of zero at the end".to_owned())
        });
    }
    let it = if flavour.is_v6() {
        it.judge("V3-5.2.9-LLFIRST", |view| {
            let first = |it: &Advert<'_>| it.octets.get(8..10).map(|two| [two[0], two[1] & 0xc0]);
            let is = |it: &Advert<'_>| first(it) == Some([0xfe, 0x80]);
            view.each_advert(10, "first-address", is, |it| {
                format!("begins with {:02x?}", first(it))
            })
        })
    } else {
        it
    };
    let it = it.judge("V3-NOAUTH", sized);
    let it = octet(it, "V3-5.2.7-INT", "interval", 5, 100);
    let it = octet(it, "V3-6.1-DEF", "interval", 5, 100);
    let it = octet(it, "V3-5.2.6-RSVDTX", "reserved", 4, 0);
    it.judge("V3-5.2.9-FAMILY", move |view| {
        let is =
            |it: &Advert<'_>| it.ip.src.is_ipv6() == flavour.is_v6() && it.octets.len() == length;
        view.each_advert(10, "family", is, |it| {
            format!("entries of {size} octets for {}", it.ip.src)
        })
    })
}

fn checksums(it: Experiment, flavour: Flavour, terms: &Terms) -> Experiment {
    let summed = |pseudo: bool| {
        move |view: &View<'_>| {
            resigned(view)?;
            let ends = |it: &Advert<'_>| pseudo.then_some((it.ip.src, it.ip.dst, VRRP));
            let is = |it: &Advert<'_>| checksum(it.octets, ends(it)) == 0;
            let show =
                |it: &Advert<'_>| format!("checksum {:02x}{:02x}", it.octets[6], it.octets[7]);
            view.each_advert(10, "checksum", is, show)
        }
    };
    match flavour {
        Flavour::V2 => it.judge("V2-5.3.8-CSUM", summed(false)).judge("V2-7.2-CSUM", summed(false)),
        Flavour::V3 => it
            .judge("V3-5.2.8-CSUM4-5798", summed(true))
            .judge("V3-5.2.8-CSUM4-9568", summed(false))
            .judge("V3-7.2-CSUM", summed(terms.profile != Profile::Rfc9568)),
        Flavour::V6 => it.judge("V3-5.2.8-CSUM6", summed(true)).judge("V3-7.2-CSUM", summed(true)),
    }
}

/// The advert of the resignation is among those that are looked at.
fn resigned(view: &View<'_>) -> Result<(), Wrong> {
    let resigned = view.adverts().iter().any(|it| it.priority() == 0);
    hold(resigned, "untried", "there was no advert with priority 0 to look at")
}

fn announcements(it: Experiment, flavour: Flavour) -> Experiment {
    let it = it.judge("GARP-ALL", |view| {
        let first = view.first_after(Duration::ZERO)?;
        let wanted = &view.router().addresses;
        let last = announced(view, first.at)?;
        Ok(format!("{} addresses announced in {} s", wanted.len(), seconds(last - first.at)))
    });
    if flavour.is_v6() {
        return neighbour_advertisements(it);
    }
    let found = |view: &View<'_>| -> Result<usize, _> {
        let count = view.announcements().len();
        if count == 0 { wrong("missing", "no gratuitous ARP") } else { Ok(count) }
    };
    it.judge("GARP-826-FMT", move |view| {
        let count = found(view)?;
        let fixed = [0, 1, 8, 0, 6, 4, 0, 1];
        for it in view.announcements() {
            let octets = it.arp.map(|arp| arp.octets).unwrap_or_default();
            hold(octets.starts_with(&fixed), "format", format!("begins with {octets:02x?}"))?;
            view.is_virtual(it.mac, "the sender's hardware address is")?;
        }
        Ok(format!("{count} requests with the virtual MAC"))
    })
    .judge("GARP-9568-THA", move |view| {
        let count = found(view)?;
        for arp in view.announcements().into_iter().filter_map(|it| it.arp) {
            let target = text(arp.tha);
            hold(
                arp.tha == view.mac(),
                "target-address",
                format!("target hardware address {target}"),
            )?;
        }
        Ok(format!("{count} with the virtual MAC as target"))
    })
    .judge("GARP-ETHSRC", move |view| {
        let count = found(view)?;
        for it in view.announcements() {
            view.is_virtual(it.frame.src, "from")?;
        }
        Ok(format!("{count} from the virtual MAC"))
    })
    .judge("GARP-COUNT", move |view| {
        found(view)?;
        let of = |address: &IpAddr| {
            view.announcements().iter().filter(|it| it.address == *address).count()
        };
        let counts: Vec<_> = view.router().addresses.iter().map(of).collect();
        let equal = counts.iter().all(|count| *count == counts[0] && *count > 0);
        hold(equal, "count", format!("not equally often: {counts:?}"))?;
        Ok(format!("{} per address", counts[0]))
    })
}

/// When the last of all addresses was announced for the first time after a transition.
fn announced(view: &View<'_>, since: Duration) -> Result<Duration, Wrong> {
    let mut last = since;
    for address in &view.router().addresses {
        let mut found = view.announcements().into_iter();
        match found.find(|it| it.address == *address && it.at >= since) {
            Some(it) => last = last.max(it.at),
            None if view.announcements().iter().any(|it| it.address == *address) => {
                return wrong("announced-before", format!("{address} announced before the advert"));
            }
            None => return wrong("missing", format!("{address} was not announced")),
        }
    }
    let after = last - since;
    hold(after <= view.late, "late", format!("the last announced after {} s", seconds(after)))?;
    Ok(last)
}

fn neighbour_advertisements(it: Experiment) -> Experiment {
    let found = |view: &View<'_>| -> Result<usize, _> {
        let count = view.announcements().len();
        if count == 0 { wrong("missing", "no unsolicited NA") } else { Ok(count) }
    };
    it.judge("ND-UNA-FMT", move |view| {
        let count = found(view)?;
        for it in view.announcements() {
            let Some(ip) = it.na else { return wrong("format", "no NA") };
            let fixed = ip.payload.get(4..8).unwrap_or_default();
            hold(ip.ttl == 255, "format", format!("Hop Limit {}", ip.ttl))?;
            hold(fixed == [0xa0, 0, 0, 0], "flags", format!("flags {fixed:02x?}"))?;
            let sum = checksum(ip.payload, Some((ip.src, ip.dst, 58)));
            hold(sum == 0, "checksum", "wrong ICMPv6 checksum")?;
            let to = it.frame.dst;
            hold(to == [0x33, 0x33, 0, 0, 0, 1], "format", format!("to {}", text(to)))?;
            hold(ip.payload.len() == 32, "format", "no target link-layer address option")?;
            view.is_virtual(it.mac, "the target link-layer address is")?;
        }
        Ok(format!("{count} with flags a0000000 and the virtual MAC"))
    })
    .judge("ND-UNA-SRC", move |view| {
        let count = found(view)?;
        for it in view.announcements() {
            let Some(ip) = it.na else { return wrong("format", "no NA") };
            let own = [view.site().own(Flavour::V6, TARGET), view.site().host(Flavour::V6, TARGET)];
            let ours = own.contains(&ip.src) || view.router().addresses.contains(&ip.src);
            hold(ours, "source", format!("from {}", ip.src))?;
        }
        Ok(format!("{count} from an address of the interface"))
    })
    .judge("ND-UNA-RATE", move |view| {
        let count = found(view)?;
        for address in &view.router().addresses {
            let mut times = view.announcements();
            times.retain(|it| it.address == *address);
            let close = times.windows(2).find(|pair| pair[1].at < pair[0].at + ms(1_000) - EARLY);
            if let Some(pair) = close {
                let gap = seconds(pair[1].at - pair[0].at);
                return wrong("rate", format!("two for {address} within {gap} s"));
            }
        }
        Ok(format!("{count}, a second or more between two for one address"))
    })
}

/// From the start to being Master, and the adverts of a Master.
fn life(it: Experiment, flavour: Flavour) -> Experiment {
    let timer = match flavour {
        Flavour::V2 => "V2-6.4.2-TIMER",
        Flavour::V3 => "V3-6.4.2-TIMER4",
        Flavour::V6 => "V3-6.4.2-TIMER6",
    };
    let row = |v2, v3| flavour.row(v2, v3);
    let it = it
        .judge(row("V2-6.4.1-BACKUP", "V3-6.4.1-BACKUP"), |view| {
            let first = view.first_after(Duration::ZERO)?;
            started(first.at, 3_609_375, view)
        })
        .judge(timer, |view| {
            let first = view.first_after(Duration::ZERO)?;
            let soon = view.between(first.at, first.at + ms(900)).len();
            hold(soon == 1, "adverts", format!("{soon} adverts at once"))?;
            let last = seconds(announced(view, first.at)? - first.at);
            let next = next_one(view, first.at)?;
            Ok(format!("an advert, all announced in {last} s, the next advert after {next}"))
        })
        .judge(row("V2-6.4.3-ADV", "V3-6.4.3-ADV"), |view| paced(view, ms(1_000)));
    let it = match flavour {
        Flavour::V2 => it.judge("V2-6.2-ADT", |view| paced(view, ms(1_000))),
        Flavour::V3 | Flavour::V6 => it.judge("V3-6.4.1-ORDER", |view| {
            let first = view.first_after(Duration::ZERO)?;
            let announced = view.announcements();
            let Some(next) = announced.first() else { return wrong("missing", "none announced") };
            hold(first.at <= next.at, "order", "an announcement before the first advert")?;
            Ok(format!("announced {} s after the advert", seconds(next.at - first.at)))
        }),
    };
    it.judge("X-7.1-SELF", |view| {
        let (first, stop) = (view.first_after(Duration::ZERO)?, view.stopped());
        let gone = view.gone(view.router().addresses[0], first.at).is_some_and(|at| at < stop);
        hold(!gone, "transition", "left Master though nobody spoke but itself")?;
        paced(view, ms(1_000))
    })
}

/// The advert after the first one, an interval later: one that was late makes it earlier.
pub(super) fn next_one(view: &View<'_>, first: Duration) -> Verdict {
    let gap = view.first_after(first + ms(1))?.at - first;
    let right = gap + view.late >= ms(1_000) && gap <= ms(1_000) + view.late;
    hold(right, "interval", format!("the next advert {} s later", seconds(gap)))?;
    Ok(format!("{} s", seconds(gap)))
}

/// The first advert after the start of the process: what the start itself takes is not known.
pub(super) fn started(at: Duration, down_micros: u64, view: &View<'_>) -> Verdict {
    let down = Duration::from_micros(down_micros);
    let (is, was) = (seconds(down), seconds(at));
    match symptom(at, down, view.start + view.late) {
        Some(symptom) => wrong(symptom, format!("{was} s after the start instead of {is} s")),
        None => Ok(format!("{was} s after the start for {is} s")),
    }
}

/// The gaps between the adverts of a Master until it is told to stop.
pub(super) fn paced(view: &View<'_>, interval: Duration) -> Verdict {
    let adverts = view.between(Duration::ZERO, view.stopped());
    hold(adverts.len() >= 12, "silent", format!("{} adverts", adverts.len()))?;
    let gaps: Vec<_> = adverts.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    let (shortest, longest) = (
        gaps.iter().min().copied().unwrap_or_default(),
        gaps.iter().max().copied().unwrap_or_default(),
    );
    let count = gaps.len() as u32;
    let mean = gaps.iter().sum::<Duration>() / count;
    let slowest = gaps.iter().position(|gap| *gap == longest).unwrap_or_default();
    let shown = format!(
        "mean {} s, {} to {} s (at {} s) in {count} gaps",
        seconds(mean),
        seconds(shortest),
        seconds(longest),
        seconds(adverts[slowest].at)
    );
    // One that was late makes the next gap shorter, by as much.
    let jitter = view.late / count;
    hold(mean + EARLY / count >= interval, "early", shown.clone())?;
    hold(longest <= interval + view.late, "late", shown.clone())?;
    hold(mean <= interval + interval * 13 / 1000 + jitter, "drift", shown.clone())?;
    hold(shortest + view.late >= interval, "early", shown.clone())?;
    Ok(shown)
}

fn shutdown(it: Experiment, flavour: Flavour) -> Experiment {
    let row = |v2, v3| flavour.row(v2, v3);
    let it = it.judge(row("V2-6.4.3-SHUT", "V3-6.4.3-SHUT"), |view| {
        let stopped = view.stopped();
        let after = view.between(stopped, Duration::MAX);
        let Some(last) = view.between(Duration::ZERO, stopped).last().copied() else {
            return untried("it never was Master");
        };
        let resigned = after.first();
        let Some(resigned) = resigned else { return wrong("silent", "no advert after SIGTERM") };
        let late = resigned.at - stopped;
        hold(late <= ms(10) + view.late, "late", format!("{} s after SIGTERM", seconds(late)))?;
        hold(resigned.priority() == 0, "priority", format!("priority {}", resigned.priority()))?;
        hold(after.len() == 1, "adverts", format!("{} adverts after SIGTERM", after.len()))?;
        let same = |place: usize| resigned.octets.get(place) == last.octets.get(place);
        let others = (0..last.octets.len()).filter(|place| ![2, 6, 7].contains(place));
        let changed = others.into_iter().find(|place| !same(*place));
        hold(changed.is_none(), "fields", format!("octet {changed:?} changed too"))?;
        Ok(format!("one with priority 0, {} s after SIGTERM", seconds(late)))
    });
    match flavour {
        Flavour::V2 => it
            .judge("V2-5.3.4-PRI0", |view| {
                let stopped = view.stopped();
                let (before, after): (Vec<_>, Vec<_>) =
                    view.adverts().into_iter().partition(|it| it.at < stopped);
                let early = before.iter().filter(|it| it.priority() == 0).count();
                hold(early == 0, "priority", format!("{early} before it was told to stop"))?;
                let zeros = after.iter().filter(|it| it.priority() == 0).count();
                hold(zeros == 1, "silent", format!("{zeros} with priority 0 at the end"))?;
                Ok(format!("one of {}, the last", before.len() + 1))
            })
            .judge("V2-6.4.3-SHUTORDER", |view| {
                let resigned = view.adverts().into_iter().find(|it| it.priority() == 0);
                let Some(resigned) = resigned else { return untried("no resignation") };
                let first = view.router().addresses[0];
                let Some(gone) = view.gone(first, view.stopped()) else {
                    return wrong("address-stays", format!("{first} stays in the kernel"));
                };
                let after = gone.saturating_sub(resigned.at);
                hold(
                    after <= ms(50) + view.late,
                    "late",
                    format!("gone after {} s", seconds(after)),
                )?;
                Ok(format!("{first} gone {} s after the advert", seconds(after)))
            }),
        Flavour::V3 | Flavour::V6 => it,
    }
}

/// A short interval, as short as the version allows.
pub(super) fn fast(_terms: &Terms, site: Site, flavour: Flavour) -> Experiment {
    let interval = if flavour == Flavour::V2 { "1" } else { "0.1" };
    let router = Router::new(site, flavour, 255).priority(150).interval(interval);
    let it = Experiment::new(format!("fast-{}", flavour.name()), site, vec![router]);
    let vmac = match flavour {
        Flavour::V2 => "V2-7.3-VMAC",
        Flavour::V3 => "V3-7.3-VMAC4",
        Flavour::V6 => "V3-7.3-VMAC6",
    };
    let it = it.judge(vmac, |view| {
        let mac = view.mac();
        let is = |it: &Advert<'_>| it.frame.src == mac;
        view.each_advert(10, "physical-mac", is, |it| format!("from {}", text(it.frame.src)))
    });
    match flavour {
        Flavour::V2 => it,
        Flavour::V3 | Flavour::V6 => {
            let it = octet(it, "V3-5.2.7-INT", "interval", 5, 10);
            let it = octet(it, "V3-5.2.6-RSVDTX", "reserved", 4, 0);
            it.judge("V3-6.2-TIMERS", |view| paced(view, ms(100)))
        }
    }
}
