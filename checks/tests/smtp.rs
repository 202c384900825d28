//! Mail servers: greeting, HELO, QUIT (RFC 5321).

mod talk;

use talk::{ATTEMPT, check_at, fault, say, smtp, verdict, verdict_open, words};
use vipd_checks::{
    ConnectionFailure, Event, Fault, Plan, SMTP_LINE_MAX, SMTP_LINES_MAX, SmtpFault, Stage, Step,
    Unusable, Verdict,
};
use vipd_engine::config::health::CheckKind;

#[test]
fn a_server_that_greets_and_takes_helo_is_good_once_it_answered_quit() {
    let mut dialogue = smtp().begin(ATTEMPT);
    let (step, out) = say(&mut dialogue, &[Event::Opened]);
    assert_eq!((step, out.as_slice()), (Step::Continue, &b""[..]));
    let greeting = Event::Octets(b"220 mail.example ESMTP Postfix (Debian/GNU)\r\n");
    let (step, out) = say(&mut dialogue, &[greeting]);
    assert_eq!((step, out.as_slice()), (Step::Continue, &b"HELO director.example\r\n"[..]));
    let (step, out) = say(&mut dialogue, &[Event::Octets(b"250 mail.example\r\n")]);
    assert_eq!((step, out.as_slice()), (Step::Continue, &b"QUIT\r\n"[..]));
    assert_eq!(fault(dialogue.on_deadline()), Fault::TimedOut(Stage::Quit));
    let (step, out) = say(&mut dialogue, &[Event::Octets(b"221 2.0.0 Bye\r\n")]);
    assert_eq!((step, out.as_slice()), (Step::Over(Verdict::Good), &b""[..]));
}

#[test]
fn a_reply_may_have_several_lines() {
    let said = b"220-mail.example ESMTP Exim 4.96\r\n220-no spam\r\n220 \r\n\
        250-mail.example\r\n250\r\n221 bye\r\n";
    assert_eq!(verdict(&smtp(), said), Verdict::Good);
    let begun = b"220-mail.example\r\n";
    assert_eq!(fault(verdict(&smtp(), begun)), Fault::Closed(Stage::Greeting));
}

#[test]
fn a_server_may_close_or_break_off_once_it_was_told_to_quit() {
    for end in [Event::Closed, Event::Failed(ConnectionFailure::Reset)] {
        let mut dialogue = smtp().begin(ATTEMPT);
        let said = Event::Octets(b"220 a\r\n250 b\r\n");
        assert_eq!(say(&mut dialogue, &[Event::Opened, said, end]).0, Step::Over(Verdict::Good));
    }
}

#[test]
fn another_status_than_the_wanted_one_is_shown_with_its_line() {
    assert_eq!(
        words(verdict_open(&smtp(), b"554 5.7.1 no service for you\r\n")),
        r#"status 554 in the greeting, 220 wanted: "554 5.7.1 no service for you""#
    );
    assert_eq!(
        words(verdict_open(&smtp(), b"220 a\r\n421-too busy\r\n")),
        r#"status 421 in the reply to HELO, 250 wanted: "421-too busy""#
    );
}

#[test]
fn what_is_no_reply_is_shown() {
    for (line, shown) in [
        (&b"hello\r\n"[..], "hello"),
        (b"\r\n", ""),
        (b"22\r\n", "22"),
        (b"2200 x\r\n", "2200 x"),
        (b"\x00220 x\r\n", r"\x00220 x"),
    ] {
        let found = words(verdict_open(&smtp(), line));
        assert_eq!(found, format!("no reply of a mail server: \"{shown}\""));
    }
}

#[test]
fn lines_of_one_reply_agree_on_their_status() {
    let found = verdict_open(&smtp(), b"220-a\r\n250 b\r\n");
    assert_eq!(words(found), "status 220 and 250 in one reply");
}

#[test]
fn a_line_has_a_limit() {
    let line = |length| [b"220 ".to_vec(), vec![b'x'; length - 4], b"\r\n".to_vec()].concat();
    let mut dialogue = smtp().begin(ATTEMPT);
    let (step, _) = say(&mut dialogue, &[Event::Opened, Event::Octets(&line(SMTP_LINE_MAX - 1))]);
    assert_eq!(step, Step::Continue);
    let found = fault(verdict_open(&smtp(), &line(SMTP_LINE_MAX)));
    assert_eq!(found, Fault::Smtp(SmtpFault::LineTooLong));
}

#[test]
fn a_reply_has_a_limit_of_lines() {
    let reply = |lines: usize| [b"220-x\r\n".repeat(lines - 1), b"220 x\r\n".to_vec()].concat();
    let good = [reply(SMTP_LINES_MAX), b"250 x\r\n221 x\r\n".to_vec()].concat();
    assert_eq!(verdict(&smtp(), &good), Verdict::Good);
    let found = fault(verdict_open(&smtp(), &reply(SMTP_LINES_MAX + 1)));
    assert_eq!(found, Fault::Smtp(SmtpFault::TooManyLines));
}

#[test]
fn a_helo_name_that_would_end_its_line_is_refused() {
    let kind = CheckKind::Smtp { helo_name: "a\r\nQUIT".to_owned() };
    let refused = Plan::new(&check_at(kind, "192.0.2.25", 25)).expect_err("refused");
    assert_eq!(refused, Unusable::ControlCharacter("a\r\nQUIT".to_owned()));
}
