//! Name servers: the question, and which datagram answers it (RFC 1035).

mod talk;

use talk::{ATTEMPT, check_at, dns, fault, say, verdict_open, words};
use vipd_checks::{DNS_NAME_MAX, DnsFault, Event, Fault, Plan, Stage, Step, Unusable, Verdict};
use vipd_engine::config::health::{CheckKind, DnsRecord};

/// `www.example.` of type A and class IN.
const QUESTION: &[u8] = b"\x03www\x07example\x00\x00\x01\x00\x01";

/// A name that points to the question's, A, IN, 300 s, 192.0.2.80.
const ADDRESS: &[u8] = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x01\x2c\x00\x04\xc0\x00\x02\x50";

/// Id of [`ATTEMPT`], the response flags, and the counts of questions and answers.
fn message(flags: u16, questions: u16, answers: u16, rest: &[&[u8]]) -> Vec<u8> {
    let mut message = Vec::new();
    for field in [ATTEMPT.id, flags, questions, answers, 0, 0] {
        message.extend_from_slice(&field.to_be_bytes());
    }
    message.extend_from_slice(&rest.concat());
    message
}

fn www() -> Plan {
    dns(DnsRecord::A, "www.example")
}

/// Nothing was made of it.
fn is_unheard(message: &[u8]) -> bool {
    let mut dialogue = www().begin(ATTEMPT);
    let step = say(&mut dialogue, &[Event::Opened, Event::Octets(message)]).0;
    let silence = dialogue.on_deadline();
    step == Step::Continue && silence == Verdict::Bad(Fault::TimedOut(Stage::Answer))
}

#[test]
fn the_question_is_one_datagram_with_recursion_desired() {
    for name in ["www.example", "www.example."] {
        let (step, out) = say(&mut dns(DnsRecord::A, name).begin(ATTEMPT), &[Event::Opened]);
        assert_eq!(step, Step::Continue);
        assert_eq!(out, message(0x0100, 1, 0, &[QUESTION]));
    }
    let (_, out) = say(&mut dns(DnsRecord::Soa, ".").begin(ATTEMPT), &[Event::Opened]);
    assert_eq!(out, message(0x0100, 1, 0, &[b"\x00\x00\x06\x00\x01"]));
}

#[test]
fn every_type_is_asked_for_by_its_number() {
    let numbers = [1, 2, 5, 6, 15, 16, 28, 46, 48];
    for ((name, record), number) in DnsRecord::NAMES.into_iter().zip(numbers) {
        let (_, out) = say(&mut dns(record, ".").begin(ATTEMPT), &[Event::Opened]);
        assert_eq!(&out[12..], [0, 0, number, 0, 1], "{name}");
    }
}

#[test]
fn an_answer_with_a_record_is_good() {
    assert_eq!(verdict_open(&www(), &message(0x8180, 1, 1, &[QUESTION, ADDRESS])), Verdict::Good);
    let spelt = b"\x03WwW\x07EXAMPLE\x00\x00\x01\x00\x01";
    assert_eq!(verdict_open(&www(), &message(0x8180, 1, 1, &[spelt, ADDRESS])), Verdict::Good);
    let without = message(0x8180, 0, 1, &[ADDRESS]);
    assert_eq!(verdict_open(&www(), &without), Verdict::Good);
}

#[test]
fn an_error_of_the_server_is_named() {
    for (code, told) in [
        (1, "error 1 (FORMERR)"),
        (2, "error 2 (SERVFAIL)"),
        (3, "error 3 (NXDOMAIN)"),
        (4, "error 4 (NOTIMP)"),
        (5, "error 5 (REFUSED)"),
        (9, "error 9"),
    ] {
        assert_eq!(words(verdict_open(&www(), &message(0x8180 | code, 1, 0, &[QUESTION]))), told);
        assert_eq!(words(verdict_open(&www(), &message(0x8180 | code, 0, 0, &[]))), told);
    }
}

#[test]
fn an_answer_without_a_record_is_bad_and_tells_whether_it_was_cut() {
    let empty = message(0x8180, 1, 0, &[QUESTION]);
    assert_eq!(fault(verdict_open(&www(), &empty)), Fault::Dns(DnsFault::NoAnswer));
    let cut = message(0x8380, 1, 0, &[QUESTION]);
    assert_eq!(fault(verdict_open(&www(), &cut)), Fault::Dns(DnsFault::Truncated));
    let some = message(0x8380, 1, 1, &[QUESTION, ADDRESS]);
    assert_eq!(verdict_open(&www(), &some), Verdict::Good);
}

#[test]
fn what_does_not_answer_this_question_is_not_heard() {
    let mut other_id = message(0x8180, 1, 1, &[QUESTION, ADDRESS]);
    other_id[1] ^= 1;
    assert!(is_unheard(&other_id));
    assert!(is_unheard(&message(0x0100, 1, 0, &[QUESTION])), "our own question");
    assert!(is_unheard(&message(0x9180, 1, 1, &[QUESTION, ADDRESS])), "another opcode");
    assert!(is_unheard(&message(0x8180, 2, 1, &[QUESTION, QUESTION, ADDRESS])));
    let other_name = b"\x03ftp\x07example\x00\x00\x01\x00\x01";
    assert!(is_unheard(&message(0x8180, 1, 1, &[other_name, ADDRESS])));
    let other_type = b"\x03www\x07example\x00\x00\x1c\x00\x01";
    assert!(is_unheard(&message(0x8180, 1, 1, &[other_type, ADDRESS])));
    assert!(is_unheard(&message(0x8180, 1, 1, &[&QUESTION[..10]])));
    assert!(is_unheard(b""));
    assert!(is_unheard(&message(0x8180, 1, 1, &[])[..11]));
}

#[test]
fn the_answer_is_still_heard_behind_what_is_not() {
    let mut dialogue = www().begin(ATTEMPT);
    let good = message(0x8180, 1, 1, &[QUESTION, ADDRESS]);
    let events = [Event::Opened, Event::Octets(b"noise"), Event::Octets(&good)];
    assert_eq!(say(&mut dialogue, &events).0, Step::Over(Verdict::Good));
}

#[test]
fn a_first_record_that_is_not_whole_is_bad() {
    let malformed = |record: &[u8]| {
        let found = verdict_open(&www(), &message(0x8180, 1, 1, &[QUESTION, record]));
        assert_eq!(fault(found), Fault::Dns(DnsFault::Malformed), "{record:02x?}");
    };
    for length in 0..ADDRESS.len() {
        malformed(&ADDRESS[..length]);
    }
    // Reserved kinds of labels (RFC 1035 section 4.1.4).
    malformed(&[0x40; 32]);
    malformed(&[0x80; 32]);
    // A name without an end.
    malformed(&[b"\x01x".repeat(200), ADDRESS.to_vec()].concat());
}

#[test]
fn a_pointer_ends_a_name_wherever_it_points_to() {
    // To itself, forwards, beyond the message.
    for pointer in [[0xc0, 29], [0xc0, 40], [0xff, 0xff]] {
        let record = [&pointer[..], &ADDRESS[2..]].concat();
        let message = message(0x8180, 1, 1, &[QUESTION, &record]);
        assert_eq!(verdict_open(&www(), &message), Verdict::Good, "{pointer:02x?}");
    }
}

#[test]
fn a_name_that_dns_cannot_have_is_refused() {
    let label = "x".repeat(63);
    // Four labels of 63 with their lengths and the root are 257 octets.
    let longest = format!("{label}.{label}.{label}.{}", "x".repeat(DNS_NAME_MAX - 192 - 2));
    let plan = |name: &str| {
        let kind = CheckKind::Dns { record: DnsRecord::A, name: name.to_owned() };
        Plan::new(&check_at(kind, "192.0.2.53", 53))
    };
    assert!(plan(&longest).is_ok());
    for name in ["", "a..b", ".a", &"x".repeat(64), &format!("{longest}x"), &"x".repeat(300), "a.."]
    {
        let refused = plan(name).expect_err("refused");
        assert_eq!(refused, Unusable::DnsName(name.to_owned()));
    }
}
