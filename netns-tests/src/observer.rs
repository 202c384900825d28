//! Who answers for a virtual address: asked on the wire, apart from what kernels say of themselves.
//!
//! An observer stands at the other end of every cable of a host that runs VRRP, and asks by ARP or
//! neighbour solicitation for each virtual address of its configuration, where that configuration
//! has it. What it asks and hears passes no wire and is not in the Record: nobody learns from it.
//!
//! Of vipd and keepalived this is the second source beside netlink, and [`Observer::ask`] names
//! what the two do not agree on. FRR's addresses never leave their interface, and those of a vipd
//! with `dead_man` stay while nobody can reach them: there it is the only one, and it asks more
//! often.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use vipd_engine::{Config, MacAddress};
use vipd_frames::{ArpOperation, Payload, neighbour};
use vipd_scenarios::record::WorldTime;

use crate::hosts::Cable;

/// How often it asks where netlink tells too.
const BESIDE_NETLINK: Duration = Duration::from_millis(250);
/// How often it asks where it is the only source.
const ALONE: Duration = Duration::from_millis(10);
/// Without an answer for this long, and to as many questions as [`PATIENCE`], nobody answers any
/// more. A kernel answers in microseconds, but gives a broadcast to its macvlans from a work queue
/// that may stand still for longer.
pub(crate) const SILENCE: Duration = Duration::from_millis(50);
/// Questions in a row.
const PATIENCE: u32 = 3;
/// The end of an ownership shows as late as this where nothing but the wire tells of it.
pub(crate) const LATE: Duration = SILENCE.saturating_add(ALONE);

/// Nobody's: no interface has it, and no switch needs to find it.
const MAC: MacAddress = MacAddress([0x02, 0xff, 0, 0, 0, 1]);
/// The link-local address that its MAC makes (RFC 4291 appendix A).
const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0x00ff, 0x00ff, 0xfe00, 0x0001);

/// What tells who owns an address of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Its kernel; the wire is compared with it.
    Netlink,
    /// The wire.
    Wire,
    /// The wire, and every address has the virtual router's MAC.
    WireOfFrr,
}

/// Asks one host.
#[derive(Debug)]
pub(crate) struct Observer {
    every: Duration,
    next: WorldTime,
    questions: Vec<Question>,
}

/// One address at one cable.
#[derive(Debug)]
struct Question {
    cable: usize,
    address: IpAddr,
    /// To everybody.
    frame: Vec<u8>,
    /// To the virtual MAC, as who has an entry asks anew (RFC 1122 section 2.3.2.1), each second
    /// time: no work queue delays it.
    direct: Option<Vec<u8>>,
    asked_directly: bool,
    /// It was asked at least once since the cable could be reached.
    asked: bool,
    /// Somebody answers for it.
    answers: bool,
    /// Whether the kernel had the address when it was asked last.
    held: bool,
    /// Questions in a row that nobody answered, and when the first of them was asked.
    unanswered: u32,
    since: WorldTime,
    /// Rounds in a row in which kernel and wire did not say the same.
    differing: u32,
}

/// What a round brought up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nobody answers for an address any more.
    Silent,
    /// The kernel has the address and nobody answers, or the reverse, for [`PATIENCE`] rounds.
    Differs {
        /// The address.
        address: IpAddr,
        /// Whether the kernel has it.
        held: bool,
    },
}

impl Observer {
    /// Asks for what `config` makes virtual.
    pub(crate) fn new(config: &Config, cables: &[Cable], source: Source) -> Self {
        let mut questions: Vec<Question> = Vec::new();
        for instance in config.instances() {
            for held in instance.addresses.iter().chain(&instance.excluded) {
                let interface = held.interface.as_ref().unwrap_or(&instance.interface).as_str();
                let cable = cables.iter().position(|cable| *cable.interface == *interface);
                let known = |cable| {
                    let mut all = questions.iter();
                    all.any(|other| (other.cable, other.address) == (cable, held.address))
                };
                if let Some(cable) = cable.filter(|cable| !known(*cable)) {
                    let mac = MacAddress::virtual_router(instance.family, instance.vrid);
                    let has_it = match source {
                        Source::Netlink => false,
                        Source::Wire => instance.virtual_mac.is_some(),
                        Source::WireOfFrr => true,
                    };
                    questions.push(Question::new(cable, held.address, has_it.then_some(mac)));
                }
            }
        }
        let every = if source == Source::Netlink { BESIDE_NETLINK } else { ALONE };
        Self { every, next: WorldTime(0), questions }
    }

    /// When it asks next.
    pub(crate) fn next(&self) -> Option<WorldTime> {
        (!self.questions.is_empty()).then_some(self.next)
    }

    /// Asks everything that can be asked, and says what the answers to the last questions show.
    /// `held` is what the kernel says of an address at a cable; of a host that stands still or a
    /// cable that is out nothing is known.
    pub(crate) fn ask(
        &mut self,
        now: WorldTime,
        held: impl Fn(usize, IpAddr) -> Option<bool>,
        mut send: impl FnMut(usize, &[u8]),
    ) -> Vec<Found> {
        self.next = now.later(self.every);
        let mut found = Vec::new();
        for question in &mut self.questions {
            match held(question.cable, question.address) {
                Some(held) => {
                    found.extend(question.conclude(now, held));
                    send(question.cable, question.next_frame());
                }
                None => question.forget(),
            }
        }
        found
    }

    /// Reads a frame from a cable, if it is for the observer. Says whether somebody answers now
    /// who did not.
    pub(crate) fn hear(&mut self, cable: usize, frame: &[u8]) -> bool {
        let Ok(packet) = vipd_frames::decode(frame) else { return false };
        let address = match packet.payload {
            Payload::Arp(arp) if arp.operation == ArpOperation::Reply => IpAddr::V4(arp.spa),
            Payload::NeighbourAdvert(advert) => IpAddr::V6(advert.target),
            _ => return false,
        };
        let mut own = self.questions.iter_mut();
        let own = own.find(|question| (question.cable, question.address) == (cable, address));
        own.is_some_and(|question| {
            question.unanswered = 0;
            !std::mem::replace(&mut question.answers, true)
        })
    }

    /// Whether somebody answers for what at which cable.
    pub(crate) fn answered(&self) -> impl Iterator<Item = (usize, IpAddr)> {
        let own = self.questions.iter().filter(|question| question.answers);
        own.map(|question| (question.cable, question.address))
    }
}

/// Whether a frame is an answer to an observer.
pub(crate) fn is_for_observer(frame: &[u8]) -> bool {
    frame.starts_with(&MAC.0)
}

impl Question {
    fn new(cable: usize, address: IpAddr, virtual_mac: Option<MacAddress>) -> Self {
        let mut frame = Vec::new();
        match address {
            // A probe (RFC 5227 section 1.1): who answers it learns nothing.
            IpAddr::V4(address) => {
                neighbour::arp_request(MAC, Ipv4Addr::UNSPECIFIED, address, &mut frame);
            }
            IpAddr::V6(address) => {
                neighbour::neighbour_solicitation(MAC, LINK_LOCAL, address, &mut frame);
            }
        }
        let direct = virtual_mac.map(|mac| {
            let mut direct = frame.clone();
            direct[..mac.0.len()].copy_from_slice(&mac.0);
            direct
        });
        Self {
            cable,
            address,
            frame,
            direct,
            asked_directly: false,
            asked: false,
            answers: false,
            held: false,
            unanswered: 0,
            since: WorldTime(0),
            differing: 0,
        }
    }

    fn next_frame(&mut self) -> &[u8] {
        self.asked_directly = !self.asked_directly;
        match &self.direct {
            Some(direct) if self.asked_directly => direct,
            Some(_) | None => &self.frame,
        }
    }

    /// What the answers until now say, before it is asked again.
    fn conclude(&mut self, now: WorldTime, held: bool) -> Vec<Found> {
        let mut found = Vec::new();
        if self.asked {
            let heard = self.unanswered == 0;
            // What changed since it was asked is compared in the next round.
            let differs = self.held == held && heard != held;
            self.differing = if differs { self.differing + 1 } else { 0 };
            if self.differing == PATIENCE {
                found.push(Found::Differs { address: self.address, held });
            }
            let silent = self.unanswered >= PATIENCE && now.since(self.since) >= SILENCE;
            if silent && std::mem::take(&mut self.answers) {
                found.push(Found::Silent);
            }
        }
        if self.unanswered == 0 {
            self.since = now;
        }
        self.unanswered = self.unanswered.saturating_add(1);
        (self.asked, self.held) = (true, held);
        found
    }

    fn forget(&mut self) {
        (self.asked, self.answers) = (false, false);
        (self.unanswered, self.differing) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 100));
    const ROUTER: MacAddress = MacAddress([0x02, 0, 0, 0, 0, 0]);

    fn observer(every: Duration, address: IpAddr) -> Observer {
        Observer { every, next: WorldTime(0), questions: vec![Question::new(0, address, None)] }
    }

    /// Asks `rounds` times of a kernel that says this, and answers if it is so.
    fn play(observer: &mut Observer, rounds: u32, held: bool, answers: bool) -> Vec<Found> {
        let mut found = Vec::new();
        for _ in 0..rounds {
            let mut asked = Vec::new();
            let now = observer.next;
            found.extend(observer.ask(now, |_, _| Some(held), |_, frame| asked = frame.to_vec()));
            if answers {
                observer.hear(0, &answer(&asked));
            }
        }
        found
    }

    fn answer(asked: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        let packet = vipd_frames::decode(asked).expect("its own frame");
        match packet.payload {
            Payload::Arp(arp) => neighbour::arp_reply(&arp, ROUTER, &mut frame),
            Payload::NeighbourSolicitation(asked) => {
                neighbour::neighbour_reply(MAC, &asked, ROUTER, false, &mut frame);
            }
            other => panic!("{other:?}"),
        }
        assert!(is_for_observer(&frame) && !is_for_observer(asked));
        frame
    }

    #[test]
    fn kernel_and_wire_that_say_the_same_are_no_news_in_either_family() {
        for address in [VIP, "fe80::100".parse().expect("an address")] {
            let mut observer = observer(BESIDE_NETLINK, address);
            assert_eq!(play(&mut observer, 9, true, true), []);
            assert_eq!(observer.answered().collect::<Vec<_>>(), [(0, address)]);
            assert_eq!(play(&mut observer, 9, false, false), [Found::Silent]);
            assert_eq!(observer.answered().count(), 0);
        }
    }

    #[test]
    fn an_address_that_nobody_answers_for_is_told_once_and_so_is_the_reverse() {
        for held in [true, false] {
            let mut observer = observer(BESIDE_NETLINK, VIP);
            // The first round only asks.
            assert_eq!(play(&mut observer, PATIENCE, held, !held), []);
            let differs = Found::Differs { address: VIP, held };
            assert_eq!(play(&mut observer, 5, held, !held), [differs]);
        }
    }

    #[test]
    fn one_lost_answer_or_a_change_between_two_rounds_is_no_difference() {
        let mut observer = observer(BESIDE_NETLINK, VIP);
        for held in [true, false, true, false] {
            let mut found = play(&mut observer, 4, held, held);
            found.extend(play(&mut observer, 1, held, !held));
            found.retain(|found| *found != Found::Silent);
            assert_eq!(found, []);
        }
    }

    #[test]
    fn alone_it_tells_of_an_end_no_later_than_it_promises() {
        let mut observer = observer(ALONE, VIP);
        play(&mut observer, 10, true, true);
        let last_answer = observer.next.earlier(ALONE);
        let mut found = Vec::new();
        while found.is_empty() {
            found = play(&mut observer, 1, true, false);
            found.retain(|found| *found == Found::Silent);
        }
        let told = observer.next.earlier(ALONE);
        assert!(told.since(last_answer) <= LATE, "{:?}", told.since(last_answer));
        assert!(told.since(last_answer) >= SILENCE);
    }

    #[test]
    fn each_second_question_alone_is_to_the_virtual_mac() {
        let mac = MacAddress([0x00, 0x00, 0x5e, 0x00, 0x01, 0x33]);
        let mut question = Question::new(0, VIP, Some(mac));
        let mut destinations = Vec::new();
        for _ in 0..4 {
            destinations.push(question.next_frame()[..6].to_vec());
        }
        let (direct, all) = (mac.0.to_vec(), vec![0xff; 6]);
        assert_eq!(destinations, [direct.clone(), all.clone(), direct, all]);
    }

    #[test]
    fn what_cannot_be_reached_is_neither_silent_nor_different() {
        let mut observer = observer(ALONE, VIP);
        play(&mut observer, 10, true, true);
        let now = observer.next;
        assert_eq!(observer.ask(now, |_, _| None, |_, _| panic!("nobody is asked")), []);
        assert_eq!(observer.answered().count(), 0);
        assert_eq!(play(&mut observer, 2, true, true), []);
    }
}
