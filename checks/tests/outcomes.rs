//! What the engine hears of each verdict.

mod talk;

use talk::{ATTEMPT, dns, page, pattern, ping, say, smtp, udp, url, verdict, verdict_open};
use vipd_checks::{ConnectionFailure, Event, HTTP_LINE_MAX, SMTP_LINE_MAX, Step, Verdict};
use vipd_engine::config::health::{DnsRecord, Pattern, UdpCheck, Url};
use vipd_engine::health::{Failure, Outcome, TlsFailure};

fn failure(verdict: &Verdict) -> Failure {
    let Outcome::Bad(failure) = verdict.outcome() else { panic!("{verdict:?}") };
    failure
}

#[test]
fn a_good_verdict_is_good_without_a_wish_for_a_weight() {
    assert_eq!(Verdict::Good.outcome(), Outcome::GOOD);
}

#[test]
fn a_connection_that_fails_is_told_as_what_failed() {
    for (failed, told) in [
        (ConnectionFailure::Refused, Failure::Refused),
        (ConnectionFailure::Unreachable, Failure::Unreachable),
        (ConnectionFailure::Reset, Failure::Reset),
        (ConnectionFailure::Tls(TlsFailure::OutOfDate), Failure::Tls(TlsFailure::OutOfDate)),
    ] {
        let (step, _) = say(&mut smtp().begin(ATTEMPT), &[Event::Failed(failed)]);
        let Step::Over(verdict) = step else { panic!("{step:?}") };
        assert_eq!(failure(&verdict), told);
    }
}

#[test]
fn an_end_that_comes_early_is_told_as_closed_or_late() {
    assert_eq!(failure(&verdict(&smtp(), b"220")), Failure::Closed);
    assert_eq!(failure(&verdict_open(&smtp(), b"220")), Failure::TimedOut);
    assert_eq!(failure(&verdict_open(&ping("192.0.2.1"), b"noise")), Failure::TimedOut);
}

#[test]
fn each_fault_of_a_page_is_told_as_what_one_would_mend() {
    let told = |url: Url, reply: &[u8]| failure(&verdict(&page(url), reply));
    let ok = b"HTTP/1.0 200 OK\r\n\r\nall is well";
    assert_eq!(told(url("/"), b"hello\r\n"), Failure::Malformed);
    assert_eq!(told(url("/"), b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"), Failure::Malformed);
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n";
    assert_eq!(told(url("/"), chunked), Failure::Malformed);
    assert_eq!(told(url("/"), b"HTTP/1.1 503 No\r\n\r\n"), Failure::Status(503));
    let line = [b"HTTP/1.1 200 ".to_vec(), vec![b'x'; HTTP_LINE_MAX]].concat();
    assert_eq!(told(url("/"), &line), Failure::TooLong);
    assert_eq!(told(url("/"), &b"HTTP/1.1 103 X\r\n\r\n".repeat(5000)), Failure::TooLong);
    assert_eq!(told(Url { digest: Some([0; 16]), ..url("/") }, ok), Failure::Digest);
    let searched = |pattern| Url { pattern: Some(pattern), ..url("/") };
    assert_eq!(told(searched(pattern("ill")), ok), Failure::PatternMissing);
    let must_not = Pattern { must_not_match: true, ..pattern("well") };
    assert_eq!(told(searched(must_not), ok), Failure::PatternFound);
}

#[test]
fn each_fault_of_a_mail_server_is_told_as_what_one_would_mend() {
    let told = |said: &[u8]| failure(&verdict_open(&smtp(), said));
    assert_eq!(told(b"hello\r\n"), Failure::Malformed);
    assert_eq!(told(b"220-a\r\n250 b\r\n"), Failure::Malformed);
    assert_eq!(told(b"421 busy\r\n"), Failure::SmtpReply(421));
    assert_eq!(told(&[b'2'; SMTP_LINE_MAX + 1]), Failure::TooLong);
    assert_eq!(told(&b"220-a\r\n".repeat(1000)), Failure::TooLong);
}

#[test]
fn each_fault_of_a_name_server_is_told_as_what_one_would_mend() {
    let told = |flags: u16, answers: u16| {
        let fields = [ATTEMPT.id, flags, 0, answers, 0, 0];
        let message: Vec<u8> = fields.iter().flat_map(|field| field.to_be_bytes()).collect();
        failure(&verdict_open(&dns(DnsRecord::Soa, "."), &message))
    };
    assert_eq!(told(0x8182, 0), Failure::DnsCode(2));
    assert_eq!(told(0x8180, 0), Failure::DnsEmpty);
    assert_eq!(told(0x8380, 0), Failure::DnsTruncated);
    assert_eq!(told(0x8180, 1), Failure::Malformed);
}

#[test]
fn each_fault_of_a_datagram_is_told_as_what_one_would_mend() {
    let check = UdpCheck {
        payload: Vec::new(),
        requires_reply: true,
        reply: vec![(b'o', 0xff)],
        min_reply: 2,
        max_reply: 3,
    };
    let told = |reply: &[u8]| failure(&verdict_open(&udp(check.clone()), reply));
    assert_eq!(told(b"o"), Failure::ReplyLength(1));
    assert_eq!(told(b"okay"), Failure::ReplyLength(4));
    assert_eq!(told(&vec![b'o'; 65_535]), Failure::ReplyLength(65_535));
    assert_eq!(told(b"no"), Failure::ReplyDiffers);
}
