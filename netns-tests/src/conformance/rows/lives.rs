//! Other lives of the process: files that are to be refused, a reload, a crash, a flood.

use std::time::Duration;

use crate::conformance::experiment::{Act, Deed, Experiment, Reading, Stage, When, ms, text};
use crate::conformance::site::{Flavour, HIGHER, Router, Site, TARGET, Terms};
use crate::conformance::verdict::{Verdict, hold, seconds, untried, wrong};
use crate::conformance::view::{Mark, View};

/// What is wrong with a file: the row, a name, and what is written instead of what.
struct Mistake {
    row: &'static str,
    name: &'static str,
    flavour: Flavour,
    right: &'static str,
    wrong: &'static str,
}

/// The IPv6 header of a fragment.
const FRAGMENT: u8 = 44;

const HUNDRED: &str = "  priority 100\n  advert_int 1\n";
const OWNER_TOO_SLOW: &str = "  priority 255\n  advert_int 40.96\n";

const MISTAKES: [Mistake; 10] = [
    mistake("V2-5.3.3-VRID", "vrid-0", Flavour::V2, "router_id 51", "router_id 0"),
    mistake("V2-5.3.3-VRID", "vrid-256", Flavour::V2, "router_id 51", "router_id 256"),
    mistake("V3-5.2.3-VRID", "vrid-none", Flavour::V3, "  virtual_router_id 51\n", ""),
    mistake("V2-5.3.4-PRI1-254", "priority-0", Flavour::V2, "priority 100", "priority 0"),
    mistake("V3-5.2.4-PRI1-254", "priority-256", Flavour::V3, "priority 100", "priority 256"),
    mistake("V2-5.3.7-INTTX", "half-a-second", Flavour::V2, "advert_int 1", "advert_int 0.5"),
    mistake("V3-6.1-INTRANGE", "interval-0", Flavour::V3, "advert_int 1", "advert_int 0"),
    // Whoever takes it sends at once, at this priority.
    mistake("V3-6.1-INTRANGE", "interval-4096", Flavour::V3, HUNDRED, OWNER_TOO_SLOW),
    mistake("V3-5.2.9-LLFIRST", "no-link-local", Flavour::V6, "    fe80::a\n", ""),
    mistake("X-MTU", "too-many", Flavour::V6, "    fe80::a\n", "    fe80::a\n"),
];

const fn mistake(
    row: &'static str,
    name: &'static str,
    flavour: Flavour,
    right: &'static str,
    wrong: &'static str,
) -> Mistake {
    Mistake { row, name, flavour, right, wrong }
}

/// A stage per mistake: each file has just one.
pub(super) fn refused(terms: &Terms, round: u8) -> Vec<Stage> {
    let stage = |mistake: &'static Mistake| {
        let mut stage = Stage::new(mistake.name, round, ms(6_000));
        stage.add(|site| {
            let mut router = Router::new(site, mistake.flavour, 51).interval("1");
            if mistake.row == "X-MTU" {
                // Ninety fit an MTU of 1500: (1500 - 40 - 8) / 16.
                router
                    .addresses
                    .extend((20..110).map(|host| std::net::IpAddr::V6(site.global(host))));
            }
            let name = format!("refused-{}", mistake.name);
            Experiment::new(name, site, vec![router]).judge(mistake.row, is_whole_or_refused)
        });
        let text = stage.text(terms, false);
        assert!(text.contains(mistake.right), "{}: nothing to replace", mistake.name);
        stage.configuration = Some(text.replace(mistake.right, mistake.wrong));
        stage
    };
    MISTAKES.iter().map(stage).collect()
}

/// What it sends in spite of the file is not in pieces.
fn is_whole_or_refused(view: &View<'_>) -> Verdict {
    let pieces = view.packets(false).filter(|(.., ip)| ip.protocol == FRAGMENT).count();
    hold(pieces == 0, "fragment", format!("{pieces} fragments"))?;
    is_refused(view)
}

/// Nothing is sent, longer than a down time: that a file without the mistake is followed is what
/// every other experiment shows.
fn is_refused(view: &View<'_>) -> Verdict {
    let found: Vec<_> = view.vrrp(false).collect();
    if let [first, ..] = &found[..] {
        let octets: String = first.octets.iter().take(6).map(|it| format!("{it:02x}")).collect();
        let adverts = format!("{} adverts in spite of the file", found.len());
        return wrong("accepted-file", format!("{adverts}, the first begins with {octets}"));
    }
    let ended = view.mark(Mark::Ended(false)).or_else(|_| view.mark(Mark::Ended(true)));
    Ok(match ended {
        Ok(at) if at < ms(5_900) => format!("it ended {} s after its start", seconds(at)),
        Ok(_) | Err(_) => "it runs and sends nothing".to_owned(),
    })
}

/// The file changes and SIGHUP comes at 9 s: one virtual router has another priority and one more
/// address, another is as it was.
pub(super) fn reload(terms: &Terms, round: u8) -> Stage {
    let mut stage = Stage::new("reload", round, ms(14_000));
    stage.acts.push((ms(9_300), Act::Reload));
    for flavour in Flavour::ALL {
        stage.add(|site| changed(terms, site, flavour));
        stage.add(|site| unchanged(terms, site, flavour));
    }
    stage
}

fn changed(terms: &Terms, site: Site, flavour: Flavour) -> Experiment {
    let router = Router::new(site, flavour, 51);
    let count = router.addresses.len() as u8;
    let addresses = site.addresses(flavour, count + 1);
    let added = addresses[addresses.len() - 1];
    let then = Router { addresses, priority: Some(120), ..router.clone() };
    let mut it =
        Experiment::new(format!("changed-{}", flavour.name()), site, vec![router]).apart(terms);
    it.reloaded = vec![then];
    it.judge(flavour.row("V2-7.2-FILL", "V3-7.2-FILL"), move |view| {
        let at = view.mark(Mark::Reloaded)?;
        let before = view.between(Duration::ZERO, at);
        let fields = |it: &crate::conformance::view::Advert<'_>| (it.priority(), it.octets[3]);
        let old = before.last().map(fields);
        hold(old == Some((100, count)), "untried", format!("{old:?} before"))?;
        let next = view.first_after(at + ms(1_000))?;
        let (priority, listed) = fields(&next);
        let right = (priority, listed) == (120, count + 1);
        hold(right, "stale", format!("priority {priority}, {listed} addresses afterwards"))?;
        Ok(format!("priority {priority} and {listed} addresses afterwards"))
    })
    .judge("ARP-8.1.2-CFG", move |view| {
        let at = view.mark(Mark::Reloaded)?;
        let announced = of_another(view, added);
        let Some(first) = announced.into_iter().find(|when| *when >= at) else {
            return wrong("missing", format!("{added} was not announced"));
        };
        let after = first - at;
        // The file is read first.
        let latest = ms(300) + view.late;
        hold(after <= latest, "late", format!("{added} {} s after SIGHUP", seconds(after)))?;
        Ok(format!("{added} announced {} s after SIGHUP", seconds(after)))
    })
}

/// When an address was announced that the first file does not have.
fn of_another(view: &View<'_>, address: std::net::IpAddr) -> Vec<Duration> {
    let arps = view
        .arps()
        .filter(|(_, _, arp)| std::net::IpAddr::V4(arp.spa) == address && arp.spa == arp.tpa);
    let arps = arps.map(|(at, ..)| at);
    let nas = view.advertised().filter(|(_, _, target, ..)| *target == address).map(|(at, ..)| at);
    arps.chain(nas).collect()
}

fn unchanged(terms: &Terms, site: Site, flavour: Flavour) -> Experiment {
    let router = Router::new(site, flavour, 52);
    let it =
        Experiment::new(format!("unchanged-{}", flavour.name()), site, vec![router]).apart(terms);
    it.judge("RELOAD", |view| {
        let (at, stopped) = (view.mark(Mark::Reloaded)?, view.stopped());
        let all = view.between(Duration::ZERO, stopped);
        let before = all.iter().any(|it| it.at < at);
        hold(before, "untried", "it was no Master")?;
        let zero = all.iter().any(|it| it.priority() == 0);
        hold(!zero, "priority", "an advert with priority 0")?;
        let longest = all.windows(2).map(|pair| pair[1].at - pair[0].at).max().unwrap_or_default();
        let most = ms(1_000) + view.late;
        hold(longest <= most, "late", format!("a gap of {} s", seconds(longest)))?;
        let after = all.iter().filter(|it| it.at > at).count();
        hold(after >= 3, "silent", format!("{after} adverts afterwards"))?;
        Ok(format!("no resignation, no gap above {} s", seconds(longest)))
    })
}

/// SIGKILL at 7 s, a start at 9 s.
pub(super) fn crash(terms: &Terms, round: u8) -> Stage {
    let mut stage = Stage::new("crash", round, ms(16_000));
    stage.acts.extend([(ms(7_000), Act::Kill), (ms(9_000), Act::Start)]);
    for flavour in Flavour::ALL {
        stage.add(|site| killed(terms, site, flavour));
        stage.add(|site| boots(terms, site, flavour));
    }
    stage
}

fn killed(terms: &Terms, site: Site, flavour: Flavour) -> Experiment {
    let router = Router::new(site, flavour, 51);
    let it = Experiment::new(format!("killed-{}", flavour.name()), site, vec![router]).apart(terms);
    it.judge("CRASH-VIP", |view| {
        let (killed, again) = (view.mark(Mark::Killed)?, ms(9_000));
        let address = view.router().addresses[0];
        hold(view.has(address, killed), "untried", "it was no Master")?;
        let zero = view.between(killed, again).len();
        hold(zero == 0, "untried", "it spoke after SIGKILL")?;
        let first = view.first_after(again)?;
        let Some(gone) = view.gone(address, killed) else {
            return wrong("address-stays", format!("{address} stays through the restart"));
        };
        hold(gone < first.at, "address-stays", format!("{address} went after the takeover"))?;
        let back = view.has(address, first.at + ms(300));
        hold(back, "missing", format!("{address} is not there after the takeover"))?;
        let when = if gone < again { "with the process" } else { "at the next start" };
        Ok(format!("{address} went {when}, back with the takeover"))
    })
}

/// An owner that starts again: its first ARP or NA has the virtual MAC.
fn boots(_terms: &Terms, site: Site, flavour: Flavour) -> Experiment {
    let mut addresses = vec![site.own(flavour, TARGET)];
    if flavour.is_v6() {
        addresses.push(site.host(flavour, TARGET));
    }
    let router =
        Router { addresses, virtual_mac: true, ..Router::new(site, flavour, 53).priority(255) };
    let it = Experiment::new(format!("boots-{}", flavour.name()), site, vec![router]);
    let row = if flavour.is_v6() { "ND-BOOT" } else { "ARP-8.2-BOOT" };
    it.judge(row, |view| {
        for from in [Duration::ZERO, ms(9_000)] {
            let own = view.site().own(view.router().flavour, TARGET);
            let mut announced = view.announcements().into_iter();
            let Some(first) = announced.find(|it| it.at >= from && it.address == own) else {
                return untried("it announced nothing");
            };
            let mac = text(first.mac);
            hold(first.mac == view.mac(), "physical-mac", format!("first announced as {mac}"))?;
        }
        Ok("its first announcement after each start has the virtual MAC".to_owned())
    })
}

/// A flood of fewer adverts is none. A target that answers each keeps this machine from more.
const LEAST: usize = 25_000;

/// Ten thousand adverts of a lower priority a second, for five seconds; and what the process may.
pub(super) fn flood(terms: &Terms, round: u8) -> Stage {
    let mut stage = Stage::new("flood", round, ms(13_500));
    stage.add(|site| {
        let router = Router::new(site, Flavour::V3, 51);
        let low = router.advert(terms, site, HIGHER, 50);
        let it = Experiment::new("flood-v3-ipv4", site, vec![router]);
        let when = When::Every { from: ms(6_000), until: ms(11_000), period: ms(10) };
        it.cue("flood", when, Deed::Burst(vec![low; 100]))
            .cue("process", When::At(ms(5_000)), Deed::Read(Reading::Process))
            .judge("SEC-FLOOD", |view| {
                let (from, until) = (view.time("flood")?, view.last("flood")?);
                let sent = view.times("flood").len() * 100;
                let told = format!("{sent} adverts in 5 s");
                hold(sent >= LEAST, "untried", format!("this machine sent no more than {told}"))?;
                let own = view.between(from - ms(1_100), until + ms(1_100));
                hold(own.len() >= 6, "silent", format!("{} adverts", own.len()))?;
                let gaps = own.windows(2).map(|pair| pair[1].at - pair[0].at);
                let longest = gaps.max().unwrap_or_default();
                let most = ms(1_000) + ms(50).max(view.late);
                hold(longest <= most, "late", format!("a gap of {} s", seconds(longest)))?;
                Ok(format!("no gap above {} s under {told}", seconds(longest)))
            })
            .judge("SEC-PRIV", |view| {
                let said = view.reading(Reading::Process, 0)?;
                let held = said.lines().filter_map(|line| line.strip_prefix("CapEff:"));
                let held: Vec<_> = held.map(|hex| u64::from_str_radix(hex.trim(), 16)).collect();
                hold(!held.is_empty(), "untried", "no process holds a raw socket")?;
                // CAP_NET_ADMIN and CAP_NET_RAW of capabilities(7), and CAP_IPC_LOCK, which gives
                // a process more of its own memory and nothing else.
                let allowed = 1 << 12 | 1 << 13 | 1 << 14;
                let more = held.iter().flatten().find(|held| **held & !allowed != 0);
                if let Some(more) = more {
                    return wrong("capabilities", format!("capabilities {more:x}"));
                }
                let held: Vec<_> = held.iter().flatten().map(|held| format!("{held:x}")).collect();
                Ok(format!("capabilities of who reads frames: {}", held.join(", ")))
            })
    });
    stage
}
