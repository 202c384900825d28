//! The gate on a real kernel: who can reach an address while its lease lasts, and who cannot
//! afterwards.

mod netns;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Write};
use std::net::IpAddr;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use netns::{Host, INTERFACE, PATIENCE, network};
use nix::sys::signal::Signal;
use nix::time::{ClockId, clock_gettime};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use vipd::gate::lease::{Failure, Leases};
use vipd::gate::rules::{self, Places};
use vipd::ipvs::socket::Socket;
use vipd::netlink::Netlink;
use vipd::process::Urgency;
use vipd::seam::{Kernel, Told};
use vipd_engine::config::VirtualAddress;
use vipd_engine::{
    AddressSpec, CommandId, Config, EffectError, Family, InstanceConfig, InstanceId, InterfaceName,
    KernelCommand, LinkState, Timestamp, Vrid,
};

/// `NETLINK_NETFILTER` (`linux/netlink.h`).
const NETFILTER: isize = 12;
const LEASE: Duration = Duration::from_millis(1500);

fn now() -> Timestamp {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("a clock");
    Timestamp::ZERO + Duration::from(now)
}

fn nft(host: &Host, text: &str) {
    host.within(|| {
        let mut nft = Command::new("nft");
        let mut running =
            nft.args(["-f", "-"]).stdin(Stdio::piped()).spawn().expect("nftables is installed");
        let mut input = running.stdin.take().expect("a pipe");
        input.write_all(text.as_bytes()).expect("it reads");
        drop(input);
        assert!(running.wait().expect("it ends").success(), "{text}");
    });
}

fn leases(host: &Host) -> Leases<Socket> {
    host.within(|| Leases::over(Socket::speaks(NETFILTER).expect("a socket")))
}

fn places(addresses: &[&str]) -> Places {
    let addresses = addresses.iter().map(|one| one.parse::<IpAddr>().expect("an address"));
    Places::from([(InterfaceName::new(INTERFACE), addresses.collect::<BTreeSet<_>>())])
}

/// Which of these another host reaches, asked all at once, with nothing known of who has them.
fn reached<'a>(from: &Host, addresses: &[&'a str]) -> Vec<&'a str> {
    from.ip(&["neighbour", "flush", "dev", INTERFACE]);
    let asked = |address: &&str| from.connect(address) == ErrorKind::ConnectionRefused;
    addresses.iter().copied().filter(asked).collect()
}

#[test]
fn an_address_behind_a_gate_is_reached_for_as_long_as_its_lease_and_every_other_one_always() {
    let Some(network) =
        network(&[&["192.0.2.1/24", "2001:db8::1/64"], &["192.0.2.2/24", "2001:db8::2/64"]])
    else {
        return;
    };
    let [host, from] = &network.hosts[..] else { panic!("two hosts") };
    // One of each family as they are in the kernel, and one on a macvlan as a virtual MAC has it.
    for address in ["192.0.2.9/32", "2001:db8::9/128"] {
        host.ip(&["address", "add", address, "dev", INTERFACE, "nodad"]);
    }
    host.ip(&["link", "add", "vmac", "link", INTERFACE, "type", "macvlan", "mode", "private"]);
    host.ip(&["address", "add", "192.0.2.10/32", "dev", "vmac"]);
    host.ip(&["link", "set", "vmac", "up"]);
    host.output(&["sysctl", "-q", "-w", "net.ipv4.conf.all.arp_ignore=1"]);
    let behind = ["192.0.2.9", "192.0.2.10", "2001:db8::9"];
    let own = ["192.0.2.1", "2001:db8::1"];
    assert_eq!(reached(from, &behind), behind);

    let table = rules::table(InstanceId(1));
    nft(host, &rules::put(&table, None, &places(&behind)));
    assert_eq!(reached(from, &behind), [""; 0]);
    assert_eq!(reached(from, &own), own);

    let mut leases = leases(host);
    leases.renew(&table, now() + LEASE, now).expect("a lease");
    assert_eq!(reached(from, &behind), behind);
    // Renewed before its end, twice: it goes on, and the address is never lost.
    for _ in 0..2 {
        sleep(LEASE / 2);
        leases.renew(&table, now() + LEASE, now).expect("a lease");
        assert_eq!(reached(from, &behind), behind);
    }
    // Other addresses get behind it, and its lease goes on.
    let more = ["192.0.2.9", "2001:db8::9", "192.0.2.11"];
    let was = places(&behind);
    leases.renew(&table, now() + LEASE, now).expect("a lease");
    nft(host, &rules::put(&table, Some(&was), &places(&more)));
    assert_eq!(reached(from, &behind), behind);

    // It ends by itself, and by our word, also for who knows the way.
    sleep(LEASE);
    assert_eq!(reached(from, &more), [""; 0]);
    assert_eq!(reached(from, &["192.0.2.10"]), ["192.0.2.10"], "it is no longer behind the gate");
    leases.renew(&table, now() + LEASE, now).expect("a lease, also over one that is over");
    assert_eq!(reached(from, &["192.0.2.9"]), ["192.0.2.9"]);
    leases.end(&table).expect("an end");
    assert_eq!(from.connect("192.0.2.9"), ErrorKind::TimedOut);
    leases.end(&table).expect("an end that was there");

    nft(host, &rules::removal(&table));
    assert_eq!(reached(from, &behind), behind);
    let gone = leases.renew(&table, now() + LEASE, now);
    assert!(matches!(gone, Err(Failure::NoGate)), "{gone:?}");
}

/// What the documents say of the costs.
#[test]
fn a_renewal_takes_a_fraction_of_what_the_bound_allows() {
    const RENEWALS: usize = 200;
    let Some(network) = network(&[&["192.0.2.1/24"]]) else { return };
    let host = &network.hosts[0];
    let table = rules::table(InstanceId(1));
    nft(host, &rules::put(&table, None, &places(&["192.0.2.9"])));
    let mut leases = leases(host);
    let mut took: Vec<_> = (0..RENEWALS)
        .map(|_| {
            sleep(Duration::from_millis(2));
            let begun = Instant::now();
            leases.renew(&table, now() + LEASE, now).expect("a lease");
            begun.elapsed()
        })
        .collect();
    took.sort();
    let (half, most) = (took[RENEWALS / 2], took[RENEWALS - 1]);
    println!("a renewal: {half:?} in the middle of {RENEWALS}, {most:?} at most");
    assert!(half * 4 < vipd::gate::lease::WRITE_LIMIT, "{half:?}");
}

const GATE: InstanceId = InstanceId(1);

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn with_dead_man() -> Config {
    let vrid = Vrid::new(7).expect("a number");
    let mut instance = InstanceConfig::new("VI_1", Family::Ipv4, INTERFACE, vrid);
    instance.addresses.push(VirtualAddress::new("192.0.2.9".parse().expect("an address")));
    instance.dead_man = Some(LEASE);
    Config::new(vec![instance], Vec::new(), Duration::ZERO).expect("it is valid")
}

/// The kernel's side of the daemon, which does one thing after the other.
struct Side {
    kernel: Netlink,
    number: u64,
}

impl Side {
    async fn of(config: &Config) -> Self {
        let kernel = Netlink::follow(config, Urgency::default()).await.expect("netlink");
        Self { kernel, number: 0 }
    }

    async fn does(&mut self, command: KernelCommand) -> Result<(), EffectError> {
        self.number += 1;
        let own = CommandId { instance: GATE, number: self.number };
        self.kernel.submit(own, command);
        self.hears(|told| match told {
            Told::Done { id, result } if *id == own => Some(*result),
            _ => None,
        })
        .await
    }

    async fn hears<T>(&mut self, mut find: impl FnMut(&Told) -> Option<T>) -> T {
        let heard = async {
            loop {
                self.kernel.work().await;
                while let Some(told) = self.kernel.try_next() {
                    if let Some(found) = find(&told) {
                        return found;
                    }
                }
                self.kernel.readable().await;
            }
        };
        timeout(PATIENCE, heard).await.expect("an answer")
    }

    async fn sets(&mut self, addresses: &[&str]) -> Result<(), EffectError> {
        let place = |one: &&str| (InterfaceName::new(INTERFACE), one.parse().expect("an address"));
        let places = addresses.iter().map(place).collect();
        self.does(KernelCommand::SetGate { instance: GATE, places }).await
    }

    async fn renews(&mut self) -> Result<(), EffectError> {
        let until = now() + 4 * LEASE;
        self.does(KernelCommand::RenewLease { instance: GATE, until }).await
    }
}

#[test]
fn whatever_happens_to_a_gate_nobody_reaches_the_address_without_one_and_a_lease() {
    let all: [&[&str]; 2] = [&["192.0.2.1/24"], &["192.0.2.2/24"]];
    let Some(network) = network(&all) else { return };
    let [host, from] = &network.hosts[..] else { panic!("two hosts") };
    let add_vip = || host.ip(&["address", "add", "192.0.2.9/32", "dev", INTERFACE]);
    let vip = ["192.0.2.9"];
    let is_reached = || !reached(from, &vip).is_empty();
    let tables = || host.output(&["nft", "list", "tables"]);
    add_vip();
    let play = async || {
        let mut side = Side::of(&Config::default()).await;
        assert_eq!(side.renews().await, Err(EffectError::Refused), "there is no gate");
        assert_eq!(side.sets(&vip).await, Ok(()));
        assert!(!is_reached());
        assert_eq!(side.renews().await, Ok(()));
        assert!(is_reached());
        let over = KernelCommand::RenewLease { instance: GATE, until: now() };
        assert_eq!(side.does(over).await, Err(EffectError::Refused));

        // Somebody reads a firewall anew: the next renewal writes the gate again.
        host.output(&["nft", "flush", "ruleset"]);
        assert_eq!(side.renews().await, Ok(()));
        assert!(is_reached() && tables().contains("vipd_gate_1"));

        // An interface that was made anew has it before any address comes.
        network.replace_interface(0, all[0]);
        let is_up = |told: &Told| matches!(told, Told::Link(link) if link.state == LinkState::Up);
        side.hears(|told| is_up(told).then_some(())).await;
        let address = VirtualAddress::new(vip[0].parse().expect("an address"));
        let spec = AddressSpec { interface: InterfaceName::new(INTERFACE), address };
        assert_eq!(side.does(KernelCommand::AddAddress(spec)).await, Ok(()));
        assert!(!is_reached());
        assert_eq!(side.renews().await, Ok(()));
        assert!(is_reached());

        assert_eq!(side.does(KernelCommand::RemoveGate { instance: GATE }).await, Ok(()));
        assert_eq!(tables(), "");
        assert_eq!(side.sets(&vip).await, Ok(()));
    };
    host.within(|| runtime().block_on(play()));

    // It ended as a killed one does. The next one leaves the gate where its addresses may be, until
    // its own comes, and takes it away where it has no use for it.
    assert!(!is_reached());
    let becomes = async |wanted| {
        let began = Instant::now();
        while tables().trim() != wanted {
            assert!(began.elapsed() < PATIENCE, "{}", tables());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let play = async || {
        let mut side = Side::of(&with_dead_man()).await;
        assert!(tables().contains("vipd_gate_1") && !is_reached());
        let places = vec![(InterfaceName::new(INTERFACE), "192.0.2.10".parse().expect("one"))];
        let other = KernelCommand::SetGate { instance: InstanceId(2), places };
        assert_eq!(side.does(other).await, Ok(()));
        becomes("table netdev vipd_gate_2").await;
    };
    host.within(|| runtime().block_on(play()));
    let play = async || {
        let _side = Side::of(&Config::default()).await;
        becomes("").await;
    };
    host.within(|| runtime().block_on(play()));
}

/// Asks for so many gates, all at once. What becomes of each, in their order.
async fn set_all(side: &mut Side, gates: u32) -> Vec<Result<(), EffectError>> {
    for instance in (1..=gates).map(InstanceId) {
        let places = vec![(InterfaceName::new(INTERFACE), "192.0.2.9".parse().expect("one"))];
        let id = CommandId { instance, number: 1 };
        side.kernel.submit(id, KernelCommand::SetGate { instance, places });
    }
    let mut ends = BTreeMap::new();
    side.hears(|told| {
        if let Told::Done { id, result } = told {
            ends.insert(id.instance.0, *result);
        }
        (ends.len() == gates as usize).then_some(())
    })
    .await;
    ends.into_values().collect()
}

#[test]
fn gates_that_are_wanted_together_are_written_together_and_one_that_is_refused_keeps_none() {
    let Some(network) = network(&[&["192.0.2.1/24"]]) else { return };
    let host = &network.hosts[0];
    let mut monitor = host.within(|| {
        let mut nft = Command::new("nft");
        nft.arg("monitor").stdout(Stdio::piped()).spawn().expect("nftables is installed")
    });
    sleep(Duration::from_millis(300));
    let together = async || set_all(&mut Side::of(&Config::default()).await, 50).await;
    assert_eq!(host.within(|| runtime().block_on(together())), [Ok(()); 50]);
    sleep(Duration::from_millis(300));
    monitor.kill().expect("it runs");
    let said = monitor.wait_with_output().expect("an end").stdout;
    let generations = String::from_utf8_lossy(&said).matches("new generation").count();
    assert_eq!(generations, 1, "transactions for 50 gates");

    let refused = async || {
        let mut side = Side::of(&Config::default()).await;
        assert_eq!(set_all(&mut side, 3).await, [Ok(()); 3]);
        host.output(&["nft", "delete", "table", "netdev", &rules::table(InstanceId(2))]);
        [set_all(&mut side, 3).await, set_all(&mut side, 3).await]
    };
    let ends = host.within(|| runtime().block_on(refused()));
    assert_eq!(ends[0], [Ok(()), Err(EffectError::Refused), Ok(())], "its lease went on in vain");
    assert_eq!(ends[1], [Ok(()); 3], "it is written anew");
}

/// A lease of 0.55 s, with which it is master 1.3 s after its start.
fn file(more: &str) -> String {
    format!(
        "vrrp_instance VI_1 {{\n version 3\n interface {INTERFACE}\n virtual_router_id 7\n \
         priority 200\n advert_int 0.3\n {more}\n virtual_ipaddress {{\n 192.0.2.9\n }}\n}}\n"
    )
}

/// Waits until another host reaches the address, or does not any more, and says how long it took.
fn waits_until(from: &Host, is_reached: bool) -> Duration {
    let began = Instant::now();
    let reached = || {
        from.ip(&["neighbour", "flush", "dev", INTERFACE]);
        from.connect_within("192.0.2.9", Duration::from_millis(50)) == ErrorKind::ConnectionRefused
    };
    while reached() != is_reached {
        assert!(began.elapsed() < PATIENCE, "reached is to be {is_reached}");
    }
    began.elapsed()
}

#[test]
fn a_vipd_that_stands_still_or_is_killed_loses_its_address_with_and_without_a_virtual_mac() {
    for mode in ["", "use_vmac vrrp.7"] {
        let Some(network) = network(&[&["192.0.2.1/24"], &["192.0.2.2/24"]]) else { return };
        let [host, from] = &network.hosts[..] else { panic!("two hosts") };
        let text = file(&format!("dead_man 0.55\n {mode}"));
        let vipd = host.start(&host.file(&text));
        waits_until(from, true);
        vipd.signal(Signal::SIGSTOP);
        let took = waits_until(from, false);
        println!("{mode}: out of reach {took:?} after SIGSTOP");
        // The lease and a round of asking.
        assert!(took < LEASE / 2, "{took:?}");
        assert!(host.holds("192.0.2.9"));
        vipd.signal(Signal::SIGCONT);
        vipd.wait_for("master -> backup: its own last advert is older than its lease");
        waits_until(from, true);
        drop(vipd);
        waits_until(from, false);
        assert!(host.holds("192.0.2.9"), "it was killed");
        assert!(host.output(&["nft", "list", "tables"]).contains("vipd_gate_"));

        // The next one is not kept from its address by what that one left, and takes all away.
        let mut vipd = host.start(&host.file(&text));
        waits_until(from, true);
        vipd.signal(Signal::SIGTERM);
        assert!(vipd.ended().success());
        assert_eq!(host.output(&["nft", "list", "tables"]), "");
        assert!(!host.holds("192.0.2.9"));
    }
}

#[test]
fn a_reload_puts_a_gate_in_front_of_an_address_and_takes_it_away() {
    let Some(network) = network(&[&["192.0.2.1/24"], &["192.0.2.2/24"]]) else { return };
    let [host, from] = &network.hosts[..] else { panic!("two hosts") };
    let vipd = host.start(&host.file(&file("")));
    waits_until(from, true);
    let stands = || host.output(&["nft", "list", "tables"]).contains("vipd_gate_");
    for with_lease in [true, false, true] {
        host.file(&file(if with_lease { "dead_man 0.55" } else { "" }));
        assert_eq!(host.vipd(&["reload"]).status.code(), Some(0));
        let began = Instant::now();
        while stands() != with_lease {
            assert!(began.elapsed() < PATIENCE, "with a lease: {with_lease}");
        }
        waits_until(from, true);
        assert_eq!(host.status()["instances"][0]["counters"]["master_transitions"], 1);
    }
    vipd.signal(Signal::SIGSTOP);
    waits_until(from, false);
}
