//! A virtual router that is Backup, then Master, then Backup again, and how its addresses and its
//! MAC are served in each seat.

use std::net::IpAddr;
use std::time::Duration;

use crate::conformance::experiment::{Experiment, ms, text};
use crate::conformance::octets::{self, Mac, UDP};
use crate::conformance::site::{Flavour, HIGHER, HOST, Router, Site, TARGET, Terms};
use crate::conformance::verdict::{Verdict, Wrong, exact, hold, seconds, untried, wrong};
use crate::conformance::view::View;

/// How long an answer is waited for.
const SOON: Duration = ms(600);

/// Hears a better router until 9.05 s, is Master, hears it again from 17.05 s on.
pub(super) fn seat(terms: &Terms, site: Site, flavour: Flavour) -> Experiment {
    let router = Router::new(site, flavour, 51);
    let good = router.advert(terms, site, HIGHER, 150);
    let name = format!("seat-{}", flavour.name());
    let mut it = Experiment::new(name, site, vec![router]);
    it.ground.far = true;
    let it = it.every((50, 9_100, 1_000), "good", good.clone()).every(
        (17_050, 27_000, 1_000),
        "back",
        good,
    );
    let it = probes(it, flavour, 3_000, ["ask", "echo", "echo-own", "transit", "through"]);
    let again = ["ask-again", "echo-again", "echo-own-again", "transit-again", "through-again"];
    let it = probes(it, flavour, 14_000, again);
    let asked = ask(site, flavour);
    let it = it.at(17_150, "ask-late", asked);
    let it = backup(it, flavour);
    let it = takeover(it, flavour);
    master(it, flavour)
}

/// Who has the first virtual address, asked by the host.
fn ask(site: Site, flavour: Flavour) -> Vec<u8> {
    match site.addresses(flavour, 1)[0] {
        IpAddr::V4(wanted) => octets::who_has((site.mac(HOST), site.v4(HOST)), wanted),
        IpAddr::V6(wanted) => {
            let own = Site::link_local(u16::from(HOST));
            octets::solicit(site.mac(HOST), own.into(), wanted)
        }
    }
}

/// The address that echo requests go to: a host has to have a route to it.
fn pinged(site: Site, flavour: Flavour) -> IpAddr {
    let wanted = site.addresses(flavour, 2);
    if flavour.is_v6() { wanted[1] } else { wanted[0] }
}

/// Ten questions, echo requests to the address by either MAC and to the target's own, and
/// datagrams to a host behind the target by either MAC.
fn probes(it: Experiment, flavour: Flavour, from: u64, labels: [&'static str; 5]) -> Experiment {
    let [asks, echoes, own, transit, through] = labels;
    let site = it.site;
    let (physical, mac) = (site.mac(TARGET), flavour.mac(51));
    let (host, target) = (site.host(flavour, HOST), site.host(flavour, TARGET));
    let (wanted, beyond) = (pinged(site, flavour), site.far(flavour, HOST));
    let prober = site.mac(HOST);
    let echo = |to: Mac, dst: IpAddr| octets::echo_request(to, prober, host, dst);
    it.every((from, from + 500, 50), asks, ask(site, flavour))
        .at(from + 700, echoes, echo(mac, wanted))
        .at(from + 750, echoes, echo(physical, wanted))
        .at(from + 800, own, echo(physical, target))
        .at(from + 1_500, transit, octets::datagram(mac, prober, host, beyond))
        .at(from + 2_200, through, octets::datagram(physical, prober, host, beyond))
}

/// The echo replies from an address after this was sent.
pub(super) fn replies(view: &View<'_>, from: IpAddr, label: &str) -> Result<usize, Wrong> {
    let (begin, end) = (view.time(label)?, view.last(label)? + SOON);
    let reply = if from.is_ipv4() { 0 } else { 129 };
    let found = view.packets(false).filter(|(at, _, ip)| {
        (begin..end).contains(at) && ip.src == from && ip.icmp() == Some(reply)
    });
    Ok(found.count())
}

/// The datagrams that came out behind the target after this was sent: their TTLs.
fn passed(view: &View<'_>, label: &str) -> Result<Vec<u8>, Wrong> {
    let (begin, end) = (view.time(label)?, view.last(label)? + SOON);
    let found =
        view.packets(true).filter(|(at, _, ip)| (begin..end).contains(at) && ip.protocol == UDP);
    Ok(found.map(|(.., ip)| ip.ttl).collect())
}

/// The answers for the first virtual address after this was asked.
fn answered(view: &View<'_>, label: &str) -> Result<Vec<(Mac, Mac)>, Wrong> {
    let (begin, end) = (view.time(label)?, view.last(label)? + SOON);
    Ok(view.answers(view.router().addresses[0], begin, end))
}

/// It answers for its own address and forwards, so what else it does not is not for want of both.
fn alive(view: &View<'_>, own: &str, through: &str) -> Result<(), Wrong> {
    let router = view.router();
    let replied = replies(view, view.site().host(router.flavour, TARGET), own)?;
    hold(replied > 0, "untried", "it does not even answer for its own address")?;
    hold(!passed(view, through)?.is_empty(), "untried", "it does not even forward by its own MAC")
}

fn backup(it: Experiment, flavour: Flavour) -> Experiment {
    let row = |v2, v3| flavour.row(v2, v3);
    let silent = match flavour {
        Flavour::V2 => "V2-6.4.2-NOARP",
        Flavour::V3 => "V3-6.4.2-NOARP",
        Flavour::V6 => "V3-6.4.2-NONS",
    };
    let it = it
        .judge(silent, |view| {
            let again = answered(view, "ask-again")?.len();
            hold(again > 0, "untried", "no answer as Master either")?;
            let found = answered(view, "ask")?;
            if let Some((mac, _)) = found.first() {
                return wrong("answered", format!("{} answers, first {}", found.len(), text(*mac)));
            }
            Ok(format!("0 answers of 10 as Backup, {again} as Master"))
        })
        .judge(row("V2-6.4.2-DROPVMAC", "V3-6.4.2-DROPVMAC"), |view| {
            alive(view, "echo-own", "through")?;
            let found = passed(view, "transit")?.len();
            hold(found == 0, "forwarded", "it forwarded a frame to the virtual MAC")?;
            Ok("not forwarded by the virtual MAC, forwarded by its own".to_owned())
        })
        .judge(row("V2-6.4.2-NOACCEPT", "V3-6.4.2-NOACCEPT"), move |view| {
            alive(view, "echo-own", "through")?;
            let found = replies(view, pinged(view.site(), flavour), "echo")?;
            hold(found == 0, "answered", format!("{found} echo replies"))?;
            Ok("no echo reply by either MAC, one from its own address".to_owned())
        })
        .judge(row("V2-6.4.2-SHUT", "V3-6.4.2-SHUT"), |view| {
            let stopped = view.stopped();
            let before = view.between(Duration::ZERO, stopped);
            hold(!before.is_empty(), "untried", "it never was Master")?;
            let last = stopped.saturating_sub(ms(3_000));
            let late = view.between(last, stopped).len();
            hold(late == 0, "untried", "it was no Backup at the end")?;
            let after = view.between(stopped, Duration::MAX).len();
            hold(after == 0, "adverts", format!("{after} adverts after SIGTERM"))?;
            Ok(format!("silent after SIGTERM, {} adverts as Master before", before.len()))
        });
    quiet(it, flavour)
}

/// A virtual router with its virtual MAC, whatever the profile: a datagram to that MAC goes nowhere
/// as long as a better router speaks, and on its way once this one is Master.
pub(super) fn below(terms: &Terms, site: Site, flavour: Flavour) -> Experiment {
    let router = Router { virtual_mac: true, ..Router::new(site, flavour, 51) };
    let good = router.advert(terms, site, HIGHER, 150);
    let name = format!("virtual-mac-backup-{}", flavour.name());
    let mut it = Experiment::new(name, site, vec![router]);
    it.ground.far = true;
    let it = it.every((50, 9_100, 1_000), "good", good);
    let it = probes(it, flavour, 3_000, ["ask", "echo", "echo-own", "transit", "through"]);
    let again = ["ask-again", "echo-again", "echo-own-again", "transit-again", "through-again"];
    let it = probes(it, flavour, 15_000, again);
    it.judge(flavour.row("V2-6.4.2-DROPVMAC", "V3-6.4.2-DROPVMAC"), |view| {
        alive(view, "echo-own", "through")?;
        let later = passed(view, "transit-again")?.len();
        hold(later > 0, "untried", "it forwards none as Master either")?;
        let found = passed(view, "transit")?.len();
        hold(found == 0, "forwarded", "it forwarded a frame to the virtual MAC")?;
        Ok("not forwarded by the virtual MAC as Backup, forwarded as Master".to_owned())
    })
}

/// What a Backup does not say.
fn quiet(it: Experiment, flavour: Flavour) -> Experiment {
    match flavour {
        Flavour::V2 => it
            .judge("V2-3-ONLYMASTER", |view| {
                let later = view.between(view.last("good")?, view.time("back")?).len();
                hold(later > 3, "untried", "it never was Master")?;
                let found = view.between(Duration::ZERO, view.last("good")?).len();
                hold(found == 0, "adverts", format!("{found} adverts as Backup"))?;
                Ok(format!("0 adverts as Backup in 9 s, {later} as Master"))
            })
            .judge("LOOP-8.4-BACKUP", |view| {
                alive(view, "echo-own", "through")?;
                let wanted = view.router().addresses[0];
                let found = replies(view, wanted, "echo")?;
                hold(found == 0, "answered", format!("{found} echo replies"))?;
                let (from, until) = (view.time("echo")?, view.last("echo")? + SOON);
                let bounced = view.packets(false).filter(|(at, _, ip)| {
                    (from..until).contains(at) && ip.dst == wanted && ip.icmp() == Some(8)
                });
                let sent_on = bounced.count();
                Ok(format!("no reply; {sent_on} of 2 misdelivered requests sent on"))
            }),
        Flavour::V3 => it,
        Flavour::V6 => it.judge("V3-6.4.2-NORA", |view| {
            hold(!answered(view, "ask-again")?.is_empty(), "untried", "no ND as Master either")?;
            let until = view.last("good")?;
            let found = view.packets(false).filter(|(at, _, ip)| {
                *at < until && ip.icmp6().is_some_and(|(kind, _)| kind == 134)
            });
            let found = found.count();
            hold(found == 0, "router-advert", format!("{found} router advertisements"))?;
            Ok("0 router advertisements in 9 s as Backup".to_owned())
        }),
    }
}

fn takeover(it: Experiment, flavour: Flavour) -> Experiment {
    let down =
        |view: &View<'_>| view.takes_over(view.last("good")?, Duration::from_micros(3_609_375));
    let it = match flavour {
        Flavour::V2 => it.judge("V2-6.2-MDT", down).judge("V2-6.1-MDI", down),
        Flavour::V3 | Flavour::V6 => it.judge("V3-6.1-MDI", down),
    };
    it.judge("TRANS-OLDMASTER", |view| {
        let (back, first) = (view.time("back")?, view.router().addresses[0]);
        hold(view.has(first, back), "untried", "it had no address to release")?;
        hold(!answered(view, "ask-again")?.is_empty(), "untried", "it answered for none")?;
        let late = answered(view, "ask-late")?.len();
        hold(late == 0, "answered", "it still answers 100 ms after the better advert")?;
        let Some(gone) = view.gone(first, back) else {
            return wrong("address-stays", format!("{first} stays in the kernel"));
        };
        let after = gone - back;
        hold(after <= ms(50) + view.late, "late", format!("gone after {} s", seconds(after)))?;
        Ok(format!("{first} gone {} s after the better advert, then not answered", seconds(after)))
    })
}

/// Answers carry the virtual MAC, and only that.
fn virtually(view: &View<'_>) -> Verdict {
    let found = answered(view, "ask-again")?;
    hold(!found.is_empty(), "silent", "no answer as Master")?;
    for (mac, _) in &found {
        view.is_virtual(*mac, "it answers with")?;
    }
    hold(found.len() == 10, "count", format!("{} answers to 10 questions", found.len()))?;
    Ok(format!("10 answers to 10 questions, all {}", text(view.mac())))
}

fn master(it: Experiment, flavour: Flavour) -> Experiment {
    let row = |v2, v3| flavour.row(v2, v3);
    let unaccepted = move |view: &View<'_>| {
        alive(view, "echo-own-again", "through-again")?;
        hold(
            !answered(view, "ask-again")?.is_empty(),
            "silent",
            "not even an answer in ARP or ND",
        )?;
        let found = replies(view, pinged(view.site(), flavour), "echo-again")?;
        hold(found == 0, "accepted", format!("{found} echo replies from the virtual address"))?;
        Ok("ARP or ND answered, no echo reply".to_owned())
    };
    let it = it
        .judge(row("V2-6.4.3-FWD", "V3-6.4.3-FWD"), |view| {
            alive(view, "echo-own-again", "through-again")?;
            match passed(view, "transit-again")?[..] {
                [63] => Ok("forwarded with TTL 63".to_owned()),
                [] => wrong("not-forwarded", "a frame to the virtual MAC was not forwarded"),
                ref ttls => wrong("ttl", format!("forwarded with TTLs {ttls:?}")),
            }
        })
        .judge(row("V2-6.4.3-NOACCEPT", "V3-6.4.3-NOACCEPT"), unaccepted);
    let it = if flavour == Flavour::V2 { it } else { it.judge("V3-6.1-DEF", unaccepted) };
    match flavour {
        Flavour::V2 => it.judge("V2-6.4.3-ARP", virtually).judge("ARP-8.2-VMAC", virtually),
        Flavour::V3 => it
            .judge("V3-6.4.3-ARP", virtually)
            .judge("ARP-8.2-VMAC", virtually)
            .judge("ARP-8.1.2-NOPHYS", virtually)
            .judge("ARP-8.1.2-ETHSRC", |view| {
                let found = answered(view, "ask-again")?;
                let Some((mac, from)) = found.first() else { return untried("no answer") };
                let own = [view.mac(), view.site().mac(TARGET)];
                hold(own.contains(from), "source", format!("from {}", text(*from)))?;
                Ok(format!("from {} for {}", text(*from), text(*mac)))
            }),
        Flavour::V6 => it
            .judge("V3-6.4.3-NS", |view| {
                let found = flags(view)?;
                hold(found & 0x60 == 0x60, "flags", format!("flags {found:02x}"))?;
                virtually(view)
            })
            .judge("V3-6.4.3-NS-R", |view| {
                let found = flags(view)?;
                hold(found == 0xe0, "flags", format!("flags {found:02x}"))?;
                Ok(format!("flags {found:02x}"))
            })
            .judge("ND-NS-VMAC", virtually),
    }
}

/// The flags of the first answer to a solicitation of the Master.
fn flags(view: &View<'_>) -> Result<u8, Wrong> {
    let asked = view.time("ask-again")?;
    let wanted = view.router().addresses[0];
    let mut found = view.advertised().filter(|(at, _, target, _, ip)| {
        *at >= asked && *target == wanted && !ip.dst.is_multicast()
    });
    let first = found.next();
    first.map_or_else(|| wrong("silent", "no answer as Master"), |(.., ip)| Ok(ip.payload[4]))
}

/// Accept mode is said, on or off: whether echo requests are answered, and ARP or ND always.
pub(super) fn accept(terms: &Terms, site: Site, flavour: Flavour, on: bool) -> Experiment {
    let router = Router { accept: Some(on), ..Router::new(site, flavour, 51) };
    let word = if on { "accept" } else { "no-accept" };
    let it = Experiment::new(format!("{word}-{}", flavour.name()), site, vec![router]).apart(terms);
    let (host, target) = (site.host(flavour, HOST), site.host(flavour, TARGET));
    let wanted = pinged(site, flavour);
    let echo = |to: Mac, dst: IpAddr| octets::echo_request(to, site.mac(HOST), host, dst);
    let mut it = it
        .every((6_000, 6_500, 50), "ask-again", ask(site, flavour))
        .at(7_000, "echo", echo(flavour.mac(51), wanted))
        .at(7_050, "echo", echo(site.mac(TARGET), wanted))
        .at(7_100, "echo-own", echo(site.mac(TARGET), target));
    let judged = move |view: &View<'_>| {
        let own = replies(view, view.site().host(flavour, TARGET), "echo-own")?;
        hold(own > 0, "untried", "it does not even answer for its own address")?;
        let asked = answered(view, "ask-again")?.len();
        hold(asked > 0, "silent", "no answer in ARP or ND")?;
        let found = replies(view, wanted, "echo")?;
        let right = (found > 0) == on;
        let symptom = if on { "not-accepted" } else { "accepted" };
        hold(right, symptom, format!("{found} echo replies"))?;
        Ok(format!("{found} echo replies, {asked} answers in ARP or ND"))
    };
    if on {
        return it.judge("V3-6.4.3-ACCEPT", judged);
    }
    if flavour.is_v6() {
        it = it.judge("V3-6.4.3-ND-NODROP", judged);
    }
    it.judge("LOOP-8.4", move |view| {
        judged(view)?;
        let from = view.time("echo")?;
        let kind = if flavour.is_v6() { 128 } else { 8 };
        let again = view
            .packets(false)
            .filter(|(at, _, ip)| *at >= from && ip.dst == wanted && ip.icmp() == Some(kind));
        let again = again.count();
        hold(again == 0, "forwarded", format!("{again} of 2 requests seen again"))?;
        Ok("2 echo requests to the address: no reply, not sent on".to_owned())
    })
}

/// That a time of a takeover is exact, from one of several labels.
pub(super) fn takes(label: &'static str, micros: u64) -> impl Fn(&View<'_>) -> Verdict {
    move |view| {
        let since = view.last(label)?;
        let first = view.first_after(since)?;
        exact(first.at - since, Duration::from_micros(micros), view.late)
    }
}
