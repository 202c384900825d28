//! Datagrams and echoes; and TCP, where there is nothing to say.

mod talk;

use talk::{ATTEMPT, fault, ping, plan, say, udp, verdict_open, words};
use vipd_checks::{
    Attempt, ConnectionFailure, ECHO_OCTETS, Event, Family, Fault, Plan, Stage, Step, Transport,
    UdpFault, Unusable, Verdict,
};
use vipd_engine::config::health::{CheckKind, DnsRecord, UdpCheck};

/// The verdict if so many octets come back.
fn on_reply(check: &UdpCheck, reply: &[u8]) -> Verdict {
    verdict_open(&udp(check.clone()), reply)
}

fn silence(check: &UdpCheck) -> Verdict {
    let mut dialogue = udp(check.clone()).begin(ATTEMPT);
    say(&mut dialogue, &[Event::Opened]);
    dialogue.on_deadline()
}

/// `require_reply 0aXX0c`, 3 to 5 octets.
fn strict() -> UdpCheck {
    UdpCheck {
        payload: b"ask".to_vec(),
        requires_reply: true,
        reply: vec![(0x0a, 0xff), (0x00, 0x00), (0x0c, 0x0f)],
        min_reply: 0,
        max_reply: 5,
    }
}

#[test]
fn a_connection_that_opens_is_all_of_a_tcp_check() {
    let (step, out) = say(&mut plan(CheckKind::Tcp).begin(ATTEMPT), &[Event::Opened]);
    assert_eq!((step, out.len()), (Step::Over(Verdict::Good), 0));
    for (failure, told) in [
        (ConnectionFailure::Refused, "connection refused"),
        (ConnectionFailure::Unreachable, "host unreachable"),
        (ConnectionFailure::Reset, "connection reset"),
    ] {
        let step = say(&mut plan(CheckKind::Tcp).begin(ATTEMPT), &[Event::Failed(failure)]).0;
        let Step::Over(verdict) = step else { panic!("{step:?}") };
        assert_eq!(words(verdict), told);
    }
}

#[test]
fn a_connection_that_does_not_open_in_time_is_bad_for_every_kind() {
    for plan in [plan(CheckKind::Tcp), udp(UdpCheck::default()), ping("192.0.2.1"), talk::smtp()] {
        let found = plan.begin(ATTEMPT).on_deadline();
        assert_eq!(words(found), "timed out before the connection was there");
    }
}

#[test]
fn the_verdict_stays_whatever_comes_behind_it() {
    let mut dialogue = plan(CheckKind::Tcp).begin(ATTEMPT);
    say(&mut dialogue, &[Event::Opened]);
    for event in [Event::Failed(ConnectionFailure::Reset), Event::Closed, Event::Octets(b"x")] {
        assert_eq!(say(&mut dialogue, &[event]), (Step::Over(Verdict::Good), Vec::new()));
    }
    assert_eq!(dialogue.on_deadline(), Verdict::Good);
}

#[test]
fn a_second_opening_sends_nothing_again() {
    let mut dialogue = udp(strict()).begin(ATTEMPT);
    let (step, out) = say(&mut dialogue, &[Event::Opened, Event::Opened]);
    assert_eq!((step, out.as_slice()), (Step::Continue, &b"ask"[..]));
}

#[test]
fn of_a_datagram_nothing_is_held() {
    for plan in [udp(strict()), ping("192.0.2.1"), talk::dns(DnsRecord::A, "x")] {
        let mut dialogue = plan.begin(ATTEMPT);
        say(&mut dialogue, &[Event::Opened, Event::Octets(b"noise")]);
        assert_eq!(dialogue.held(), 0);
    }
}

#[test]
fn silence_is_good_only_where_no_answer_is_needed() {
    let lax = UdpCheck { requires_reply: false, ..strict() };
    assert_eq!(silence(&lax), Verdict::Good);
    assert_eq!(on_reply(&lax, b"anything"), Verdict::Good);
    assert_eq!(fault(silence(&strict())), Fault::TimedOut(Stage::Answer));
}

#[test]
fn a_refused_datagram_is_bad_even_where_no_answer_is_needed() {
    let mut dialogue = udp(UdpCheck::default()).begin(ATTEMPT);
    let (step, _) = say(&mut dialogue, &[Event::Opened, Event::Failed(ConnectionFailure::Refused)]);
    assert_eq!(step, Step::Over(Verdict::Bad(Fault::Connection(ConnectionFailure::Refused))));
}

#[test]
fn an_answer_is_compared_under_its_mask_and_may_go_on() {
    assert_eq!(on_reply(&strict(), b"\x0a\x77\x5c"), Verdict::Good);
    assert_eq!(on_reply(&strict(), b"\x0a\x00\x0c\x01\x02"), Verdict::Good);
    let first = on_reply(&strict(), b"\x0b\x00\x0c");
    assert_eq!(words(first), "octet 0 is 0b, 0a wanted");
    let third = on_reply(&strict(), b"\x0a\x00\x0d");
    assert_eq!(words(third), "octet 2 is 0d, 0c under 0f wanted");
}

#[test]
fn an_answer_has_a_least_and_a_most_length() {
    assert_eq!(words(on_reply(&strict(), b"\x0a\x00")), "2 octets, 3 at least");
    assert_eq!(words(on_reply(&strict(), b"\x0a\x00\x0c\0\0\0")), "6 octets, 5 at most");
    let plain = UdpCheck { reply: Vec::new(), min_reply: 2, ..strict() };
    assert_eq!(on_reply(&plain, b"ok"), Verdict::Good);
    let short = Fault::Udp(UdpFault::TooShort { octets: 0, least: 2 });
    assert_eq!(fault(on_reply(&plain, b"")), short);
}

#[test]
fn an_empty_datagram_is_an_answer_where_none_is_too_short() {
    let any = UdpCheck { requires_reply: true, max_reply: 255, ..UdpCheck::default() };
    assert_eq!(on_reply(&any, b""), Verdict::Good);
}

/// The answer to a request: another type, and for ICMP the checksum that goes with it.
fn answered(request: &[u8], v6: bool) -> Vec<u8> {
    let mut reply = request.to_vec();
    if v6 {
        reply[0] = 129;
        return reply;
    }
    // The type falls by 8 in the high octet of a word, so the sum's complement grows by it.
    reply[0] = 0;
    let sum = u32::from(u16::from_be_bytes([reply[2], reply[3]])) + 0x0800;
    let sum = (sum & 0xffff) + (sum >> 16);
    reply[2..4].copy_from_slice(&(sum as u16).to_be_bytes());
    reply
}

fn asked(plan: &Plan, attempt: Attempt) -> Vec<u8> {
    say(&mut plan.begin(attempt), &[Event::Opened]).1
}

/// One's complement sum of a message whose checksum is right: all ones.
fn folded(message: &[u8]) -> u32 {
    let words = message.chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let sum: u32 = words.sum();
    (sum & 0xffff) + (sum >> 16)
}

#[test]
fn an_echo_request_has_our_id_and_sequence_number() {
    let v4 = asked(&ping("192.0.2.1"), ATTEMPT);
    assert_eq!(v4.len(), 8 + ECHO_OCTETS);
    assert_eq!((&v4[..2], &v4[4..8]), (&[8, 0][..], &[0x12, 0x34, 0, 7][..]));
    assert_eq!(folded(&v4), 0xffff);
    let v6 = asked(&ping("2001:db8::1"), ATTEMPT);
    assert_eq!(&v6[..8], [128, 0, 0, 0, 0x12, 0x34, 0, 7]);
}

#[test]
fn the_reply_to_our_request_is_good() {
    for (address, v6) in [("192.0.2.1", false), ("2001:db8::1", true)] {
        let plan = ping(address);
        let reply = answered(&asked(&plan, ATTEMPT), v6);
        assert_eq!(verdict_open(&plan, &reply), Verdict::Good, "{address}");
    }
}

#[test]
fn a_reply_that_brings_less_back_is_good() {
    assert_eq!(verdict_open(&ping("2001:db8::1"), b"\x81\0\0\0\x12\x34\0\x07"), Verdict::Good);
}

#[test]
fn what_does_not_answer_this_request_is_not_heard() {
    for (address, v6) in [("192.0.2.1", false), ("2001:db8::1", true)] {
        let plan = ping(address);
        let unheard = |what: &str, message: &[u8]| {
            let found = verdict_open(&plan, message);
            assert_eq!(found, Verdict::Bad(Fault::TimedOut(Stage::Answer)), "{address}: {what}");
        };
        unheard("our own request", &asked(&plan, ATTEMPT));
        let other_id = asked(&plan, Attempt { id: 0x1235, ..ATTEMPT });
        unheard("another id", &answered(&other_id, v6));
        let late = asked(&plan, Attempt { sequence: 6, ..ATTEMPT });
        unheard("the last attempt's", &answered(&late, v6));
        let reply = answered(&asked(&plan, ATTEMPT), v6);
        for length in 0..8 {
            unheard("too little", &reply[..length]);
        }
        unheard("a reply of the other family", &answered(&asked(&plan, ATTEMPT), !v6));
    }
    let mut damaged = answered(&asked(&ping("192.0.2.1"), ATTEMPT), false);
    damaged[20] ^= 1;
    assert_ne!(verdict_open(&ping("192.0.2.1"), &damaged), Verdict::Good);
}

#[test]
fn each_kind_names_its_transport() {
    assert_eq!(plan(CheckKind::Tcp).transport(), Transport::Stream);
    assert_eq!(talk::smtp().transport(), Transport::Stream);
    assert_eq!(talk::page(talk::url("/")).transport(), Transport::Stream);
    assert_eq!(udp(UdpCheck::default()).transport(), Transport::Datagram);
    assert_eq!(ping("192.0.2.1").transport(), Transport::Echo(Family::V4));
    assert_eq!(ping("2001:db8::1").transport(), Transport::Echo(Family::V6));
}

#[test]
fn scripts_and_files_are_not_asked() {
    let kind = CheckKind::Script { script: "s".to_owned(), dynamic: false };
    let refused = Plan::new(&talk::check_at(kind, "192.0.2.1", 0)).expect_err("refused");
    assert_eq!(refused, Unusable::NoDialogue);
}
