//! What a server may say to a health check: nothing panics, what is held has its limit, how a
//! stream is cut does not matter, and a verdict stays.

use std::time::Duration;

use vipd_checks::{
    Attempt, ConnectionFailure, Dialogue, Event, HELD_MAX, Plan, Step, Transport, Verdict,
};
use vipd_engine::config::health::{
    Bind, Check, CheckKind, DnsRecord, HttpCheck, HttpProtocol, Pattern, UdpCheck, Url,
};
use vipd_engine::health::TlsFailure;

use crate::Octets;

/// The first octet chooses the check. If the second is odd, the rest is any events in any order; if
/// not, it is what the server says, and the second has two lengths of pieces for it.
pub fn feed(octets: &[u8]) {
    let mut octets = Octets(octets);
    let kinds = kinds();
    let kind = kinds[usize::from(octets.next()) % kinds.len()].clone();
    let plan = Plan::new(&check(kind)).expect("a check that can be asked");
    let how = octets.next();
    if how % 2 == 1 {
        any_events(&plan, &mut octets);
        return;
    }
    let said = octets.0;
    let whole = conversation(&plan, said, &[]);
    if plan.transport() == Transport::Stream {
        assert_eq!(whole, conversation(&plan, said, &[1]), "said in single octets");
        let pieces = [usize::from(how & 15) + 1, usize::from(how >> 4) + 1];
        assert_eq!(whole, conversation(&plan, said, &pieces), "said in pieces of {pieces:?}");
    }
}

fn check(kind: CheckKind) -> Check {
    Check {
        kind,
        address: "192.0.2.7".parse().expect("an address"),
        port: 80,
        bind: Bind::default(),
        timeout: Duration::from_secs(5),
        delay_loop: Duration::from_secs(60),
        retry: 1,
        delay_before_retry: Duration::from_secs(1),
        warmup: Duration::ZERO,
        alpha: false,
        tells_all_failures: false,
    }
}

/// At least one of each kind. The corpus counts on the order: new ones come last.
fn kinds() -> Vec<CheckKind> {
    let url = Url {
        path: "/".to_owned(),
        virtualhost: None,
        status: vec![(200, 299)],
        digest: None,
        pattern: None,
    };
    let pattern = Pattern {
        expression: "(?m)^all is (well|fine)$".to_owned(),
        must_not_match: false,
        min_offset: 0,
        max_offset: Some(40),
    };
    let pages = |urls| HttpCheck {
        tls: None,
        protocol: HttpProtocol::V1_1,
        virtualhost: None,
        fast_recovery: true,
        urls,
    };
    let searched = Url { pattern: Some(pattern.clone()), ..url.clone() };
    let must_not =
        Pattern { must_not_match: true, expression: r"(?-u)\berror\b".to_owned(), ..pattern };
    let digested = Url { digest: Some([0x26; 16]), pattern: Some(must_not), ..url.clone() };
    let udp = UdpCheck {
        payload: b"ask".to_vec(),
        requires_reply: true,
        reply: vec![(b'o', 0xff), (b'k', 0xdf)],
        min_reply: 1,
        max_reply: 8,
    };
    vec![
        CheckKind::Http(Box::new(pages(vec![url.clone()]))),
        CheckKind::Http(Box::new(pages(vec![searched, url]))),
        CheckKind::Http(Box::new(pages(vec![digested]))),
        CheckKind::Smtp { helo_name: "director.example".to_owned() },
        CheckKind::Dns { record: DnsRecord::A, name: "www.example".to_owned() },
        CheckKind::Udp(Box::new(udp)),
        CheckKind::Ping,
        CheckKind::Tcp,
    ]
}

/// Says the same on every connection until it is over: what was sent, and the verdict.
fn conversation(plan: &Plan, said: &[u8], pieces: &[usize]) -> (Vec<u8>, Verdict) {
    let mut dialogue = plan.begin(Attempt::default());
    let mut out = Vec::new();
    loop {
        let mut step = dialogue.on(Event::Opened, &mut out);
        let mut rest = said;
        let mut pieces = pieces.iter().cycle();
        while step == Step::Continue && !rest.is_empty() {
            let length = pieces.next().map_or(rest.len(), |piece| (*piece).min(rest.len()));
            let (piece, left) = rest.split_at(length);
            rest = left;
            step = dialogue.on(Event::Octets(piece), &mut out);
            hold(&dialogue);
        }
        if step == Step::Continue {
            step = dialogue.on(Event::Closed, &mut out);
        }
        match step {
            Step::Reopen => {}
            Step::Continue | Step::Over(_) => return (out, dialogue.on_deadline()),
        }
    }
}

fn any_events(plan: &Plan, octets: &mut Octets<'_>) {
    let mut dialogue = plan.begin(Attempt::default());
    let mut out = Vec::new();
    let mut over = None;
    while !octets.is_empty() {
        let event = match octets.next() {
            0 => Event::Opened,
            1 => Event::Closed,
            2 => Event::Failed(ConnectionFailure::Refused),
            3 => Event::Failed(ConnectionFailure::Tls(TlsFailure::Handshake)),
            length => Event::Octets(octets.take(usize::from(length - 4))),
        };
        let sent = out.len();
        let step = dialogue.on(event, &mut out);
        hold(&dialogue);
        if let Some(verdict) = &over {
            assert_eq!((&step, out.len()), (verdict, sent), "a verdict does not stay");
        } else if matches!(step, Step::Over(_)) {
            over = Some(step);
        }
    }
}

fn hold(dialogue: &Dialogue) {
    assert!(dialogue.held() <= HELD_MAX, "{} octets held", dialogue.held());
    let words = dialogue.on_deadline().to_string();
    assert!(!words.is_empty() && words.len() < 600, "{words}");
}
