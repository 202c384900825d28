//! Attempts over the network, to servers on loopback that answer, refuse, hang, drip, go away, or
//! never stop.

mod checked;

use std::io::{Read, Write};
use std::net::{Ipv6Addr, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::time::timeout;
use vipd_engine::config::health::{Bind, Check, CheckKind, DnsRecord, Pattern, UdpCheck};
use vipd_engine::health::{Failure, LocalError, Outcome};
use vipd_engine::{InterfaceName, TrackerName};

use checked::{
    Checks, LONG, PAGE, SHORT, answers, check, closed_port, http, page, pours, request, server,
    server_at, url,
};

const fn bad(failure: Failure) -> Outcome {
    Outcome::Bad(failure)
}

/// The same check with little time.
fn hasty(check: Check) -> Check {
    Check { timeout: SHORT, ..check }
}

/// An outcome that comes when the time is over, neither before nor much later.
async fn in_no_time(checks: &mut Checks, check: Check) -> Outcome {
    let began = Instant::now();
    let outcome = checks.outcome(hasty(check)).await;
    let took = began.elapsed();
    assert!(took >= SHORT && took < SHORT + Duration::from_secs(2), "{took:?}");
    outcome
}

#[tokio::test]
async fn a_connection_is_good_and_a_refused_one_is_bad() {
    let mut checks = Checks::new();
    let (port, came) = server(|stream| stream.peer_addr().is_ok());
    assert_eq!(checks.outcome(check(CheckKind::Tcp, port)).await, Outcome::GOOD);
    assert_eq!(came.recv_timeout(LONG), Ok(true));
    let refused = check(CheckKind::Tcp, closed_port());
    assert_eq!(checks.outcome(refused).await, bad(Failure::Refused));
    let (port, _came) = server_at(Ipv6Addr::LOCALHOST.into(), drop);
    let v6 = Check { address: Ipv6Addr::LOCALHOST.into(), ..check(CheckKind::Tcp, port) };
    assert_eq!(checks.outcome(v6).await, Outcome::GOOD);
}

#[tokio::test]
async fn a_page_is_good_or_has_another_status_or_is_no_page() {
    let mut checks = Checks::new();
    let (port, came) = server(answers(PAGE));
    assert_eq!(checks.outcome(http(page(None), port)).await, Outcome::GOOD);
    let asked = came.recv_timeout(LONG).expect("a request");
    assert!(asked.starts_with("GET / HTTP/1.1\r\n"), "{asked}");
    let table = [
        ("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", bad(Failure::Status(503))),
        ("SSH-2.0-x\r\n", bad(Failure::Malformed)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", bad(Failure::PatternMissing)),
    ];
    for (answer, wanted) in table {
        let (port, _came) = server(answers(answer));
        let mut asked = page(None);
        asked.urls[0].pattern = Some(Pattern {
            expression: "hello".into(),
            must_not_match: false,
            min_offset: 0,
            max_offset: None,
        });
        assert_eq!(checks.outcome(http(asked, port)).await, wanted, "{answer:?}");
    }
}

#[tokio::test]
async fn several_pages_in_one_attempt_are_several_connections_and_otherwise_one_is_visited() {
    let mut checks = Checks::new();
    let (port, came) = server(answers(PAGE));
    let mut two = page(None);
    two.urls = vec![url("/one"), url("/two")];
    let in_turn = Arc::new(http(two.clone(), port));
    for (place, path) in [(0, "/one"), (1, "/two")] {
        checks.start(0, &in_turn, place);
        assert_eq!(checks.next().await.1, Outcome::GOOD);
        let asked = came.recv_timeout(LONG).expect("a request");
        assert!(asked.starts_with(&format!("GET {path} ")), "{asked}");
    }
    two.fast_recovery = true;
    assert_eq!(checks.outcome(http(two, port)).await, Outcome::GOOD);
    let both = [(); 2].map(|()| came.recv_timeout(LONG).expect("a request"));
    assert!(both.iter().any(|one| one.starts_with("GET /one ")), "{both:?}");
    assert!(both.iter().any(|one| one.starts_with("GET /two ")), "{both:?}");
}

#[tokio::test]
async fn one_that_hangs_drips_or_never_ends_has_its_time_and_no_more() {
    let mut checks = Checks::new();
    let (hangs, _came) = server(|mut stream| {
        let _ = request(&mut stream);
        stream.read(&mut [0])
    });
    assert_eq!(in_no_time(&mut checks, http(page(None), hangs)).await, bad(Failure::TimedOut));
    let (drips, _came) = server(|mut stream| {
        let _ = request(&mut stream);
        for octet in PAGE.bytes() {
            // Each octet comes well within the time.
            thread::sleep(SHORT / 10);
            if stream.write_all(&[octet]).is_err() {
                return;
            }
        }
    });
    assert_eq!(in_no_time(&mut checks, http(page(None), drips)).await, bad(Failure::TimedOut));
    let (endless, _came) = server(|mut stream| {
        let _ = request(&mut stream);
        pours(&mut stream);
    });
    assert_eq!(in_no_time(&mut checks, http(page(None), endless)).await, bad(Failure::TimedOut));
}

#[tokio::test]
async fn one_that_never_ends_holds_up_no_other() {
    let mut checks = Checks::new();
    let (endless, _came) = server(|mut stream| {
        let _ = request(&mut stream);
        pours(&mut stream);
    });
    let mut digested = page(None);
    digested.urls[0].digest = Some([0; 16]);
    let endless = Check { timeout: 10 * LONG, ..http(digested, endless) };
    let endless = Arc::new(endless);
    let poured: Vec<_> = (0..4).map(|place| checks.start(place, &endless, 0)).collect();
    let (port, _came) = server(answers(PAGE));
    let good = Arc::new(http(page(None), port));
    for _ in 0..20 {
        let id = checks.start(9, &good, 0);
        assert_eq!(checks.next().await, (id, Outcome::GOOD), "none of the others ends before");
    }
    poured.into_iter().for_each(|id| checks.cancel(id));
}

#[tokio::test]
async fn one_that_resets_or_closes_is_told_apart() {
    let mut checks = Checks::new();
    let (resets, _came) = server(|mut stream| {
        let _ = request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 2");
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("a linger");
    });
    assert_eq!(checks.outcome(http(page(None), resets)).await, bad(Failure::Reset));
    let (closes, _came) = server(|mut stream| {
        let _ = request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort");
    });
    assert_eq!(checks.outcome(http(page(None), closes)).await, bad(Failure::Closed));
    let (long, _came) = server(|mut stream| {
        let _ = request(&mut stream);
        while stream.write_all(b"HTTP/1.1 200 and so on and on and on").is_ok() {}
    });
    assert_eq!(checks.outcome(http(page(None), long)).await, bad(Failure::TooLong));
}

#[tokio::test]
async fn what_a_mail_server_says_before_it_closes_is_heard() {
    let mut checks = Checks::new();
    let smtp = || CheckKind::Smtp { helo_name: "director.example".into() };
    let (good, came) = server(|mut stream| {
        let mut said = Vec::new();
        let _ = stream.write_all(b"220 mail.example\r\n");
        for reply in ["250 hello\r\n", "221 bye\r\n"] {
            let mut octet = [0];
            while !said.ends_with(b"\n") || octet == [0] {
                stream.read_exact(&mut octet).expect("a line");
                said.push(octet[0]);
            }
            let _ = stream.write_all(reply.as_bytes());
        }
        String::from_utf8_lossy(&said).into_owned()
    });
    assert_eq!(checks.outcome(check(smtp(), good)).await, Outcome::GOOD);
    assert_eq!(came.recv_timeout(LONG).as_deref(), Ok("HELO director.example\r\nQUIT\r\n"));
    let (refuses, _came) = server(|mut stream| stream.write_all(b"554 go away\r\n"));
    let outcome = checks.outcome(check(smtp(), refuses)).await;
    assert_eq!(outcome, bad(Failure::SmtpReply(554)));
}

/// Answers datagrams as it is told, until it is told nothing.
fn datagrams(answer: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = socket.local_addr().expect("an address").port();
    thread::spawn(move || {
        let mut room = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut room) {
            for datagram in answer(&room[..length]) {
                let _ = socket.send_to(&datagram, from);
            }
        }
    });
    port
}

#[tokio::test]
async fn a_datagram_is_answered_or_refused_or_not_answered() {
    let mut checks = Checks::new();
    let udp = |requires_reply, reply: &[u8]| {
        CheckKind::Udp(Box::new(UdpCheck {
            payload: b"ping".to_vec(),
            requires_reply,
            reply: reply.iter().map(|octet| (*octet, 0xff)).collect(),
            min_reply: 0,
            max_reply: 255,
        }))
    };
    let echo = datagrams(|came| vec![came.to_vec()]);
    assert_eq!(checks.outcome(check(udp(true, b"pi"), echo)).await, Outcome::GOOD);
    let differs = checks.outcome(check(udp(true, b"po"), echo)).await;
    assert_eq!(differs, bad(Failure::ReplyDiffers));
    let long = datagrams(|_| vec![vec![b'x'; 1400]]);
    let outcome = checks.outcome(check(udp(true, b""), long)).await;
    assert_eq!(outcome, bad(Failure::ReplyLength(1400)));
    let silent = datagrams(|_| Vec::new());
    assert_eq!(in_no_time(&mut checks, check(udp(false, b""), silent)).await, Outcome::GOOD);
    let outcome = in_no_time(&mut checks, check(udp(true, b""), silent)).await;
    assert_eq!(outcome, bad(Failure::TimedOut));
    // Nobody is there: that is heard also where no answer is needed.
    let closed = UdpSocket::bind("127.0.0.1:0").expect("a port").local_addr().expect("it").port();
    assert_eq!(checks.outcome(check(udp(false, b""), closed)).await, bad(Failure::Refused));
}

#[tokio::test]
async fn a_name_server_must_answer_the_question_that_was_asked() {
    let mut checks = Checks::new();
    let dns = || CheckKind::Dns { record: DnsRecord::A, name: "www.example".into() };
    let answer = |came: &[u8], rcode: u8| {
        let mut answer = came.to_vec();
        (answer[2], answer[3]) = (0x81, 0x80 | rcode);
        if rcode == 0 {
            answer[7] = 1;
            answer.extend(b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x01");
        }
        answer
    };
    let good = datagrams(move |came| {
        // First one that anybody could have forged.
        let mut forged = answer(came, 2);
        forged[0] ^= 1;
        vec![forged, answer(came, 0)]
    });
    assert_eq!(checks.outcome(check(dns(), good)).await, Outcome::GOOD);
    let fails = datagrams(move |came| vec![answer(came, 2)]);
    assert_eq!(checks.outcome(check(dns(), fails)).await, bad(Failure::DnsCode(2)));
}

#[tokio::test]
async fn an_echo_comes_back_to_the_attempt_that_asked_for_it() {
    let mut checks = Checks::new();
    let v4 = Arc::new(check(CheckKind::Ping, 0));
    let v6 = Check { address: Ipv6Addr::LOCALHOST.into(), ..check(CheckKind::Ping, 0) };
    let v6 = Arc::new(v6);
    checks.start(0, &v4, 0);
    if checks.next().await.1 == Outcome::Local(LocalError::Permission) {
        eprintln!("skipped: raw sockets take CAP_NET_RAW");
        return;
    }
    let mut asked = Vec::new();
    for place in 0..100 {
        asked.push(checks.start(place, &v4, 0));
        asked.push(checks.start(100 + place, &v6, 0));
    }
    let mut heard = Vec::new();
    for _ in 0..asked.len() {
        let (id, outcome) = checks.next().await;
        assert_eq!(outcome, Outcome::GOOD, "{id}");
        heard.push(id);
    }
    heard.sort();
    asked.sort();
    assert_eq!(heard, asked);
}

#[tokio::test]
async fn an_attempt_comes_from_where_the_check_says_and_again_from_there() {
    let mut checks = Checks::new();
    let (port, came) = server(|stream| stream.peer_addr().expect("a peer").to_string());
    let bind =
        |address: [u8; 4], port| Bind { address: Some(address.into()), port, ..Bind::default() };
    let tcp = |bind| Check { bind, ..check(CheckKind::Tcp, port) };
    assert_eq!(checks.outcome(tcp(bind([127, 0, 0, 5], 0))).await, Outcome::GOOD);
    let from = came.recv_timeout(LONG).expect("a peer");
    assert!(from.starts_with("127.0.0.5:"), "{from}");
    let own = closed_port();
    // What is left of the connection before waits for a minute.
    for _ in 0..3 {
        assert_eq!(checks.outcome(tcp(bind([127, 0, 0, 6], own))).await, Outcome::GOOD);
        assert_eq!(came.recv_timeout(LONG), Ok(format!("127.0.0.6:{own}")));
    }
    let foreign = checks.outcome(tcp(bind([203, 0, 113, 9], 0))).await;
    assert_eq!(foreign, Outcome::Local(LocalError::Bind));
    let on = |interface| Bind { interface: Some(InterfaceName::new(interface)), ..Bind::default() };
    assert_eq!(checks.outcome(tcp(on("lo"))).await, Outcome::GOOD);
    assert_eq!(checks.outcome(tcp(on("nowhere0"))).await, Outcome::Local(LocalError::Bind));
}

#[tokio::test]
async fn an_attempt_that_is_dropped_closes_and_tells_nothing() {
    let mut checks = Checks::new();
    let (asks, asked) = channel();
    let (port, came) = server(move |mut stream| {
        if !request(&mut stream).is_empty() {
            asks.send(()).expect("a test that waits");
        }
        stream.read(&mut [0]).map_err(|error| error.kind())
    });
    let hangs = Arc::new(http(page(None), port));
    let dropped = checks.start(0, &hangs, 0);
    // The other one is over at once.
    assert_eq!(asked.recv_timeout(LONG), Ok(()));
    let other = checks.start(1, &Arc::new(check(CheckKind::Tcp, port)), 0);
    assert_eq!(checks.next().await, (other, Outcome::GOOD));
    checks.cancel(dropped);
    // Both connections: that of the other one is over anyway.
    for _ in 0..2 {
        assert!(came.recv_timeout(LONG).expect("it ends").is_ok_and(|octets| octets == 0));
    }
    assert!(timeout(SHORT, checks.probes.next()).await.is_err(), "nobody waits for it");
    checks.cancel(dropped);
    let last = checks.start(2, &Arc::new(check(CheckKind::Tcp, port)), 0);
    assert_eq!(checks.next().await, (last, Outcome::GOOD));
}

#[tokio::test]
async fn what_this_driver_does_not_check_is_no_fault_of_the_server() {
    let mut checks = Checks::new();
    let file = TrackerName::new("f");
    let kind = CheckKind::File { file, weight: 0, reverse: false, dynamic: false };
    let outcome = checks.outcome(check(kind, 0)).await;
    assert_eq!(outcome, Outcome::Local(LocalError::Unsupported));
}

#[tokio::test]
async fn a_check_that_can_never_be_asked_is_told_as_such() {
    let mut checks = Checks::new();
    let kind = CheckKind::Smtp { helo_name: "two\r\nlines".into() };
    let outcome = checks.outcome(check(kind, 1)).await;
    assert_eq!(outcome, Outcome::Local(LocalError::Configuration));
}

#[tokio::test]
async fn thousands_at_once_are_all_told_and_ask_little_of_whoever_asks() {
    const ALL: u32 = 2000;
    let mut checks = Checks::new();
    let (port, _came) = server(drop);
    let tcp = Arc::new(check(CheckKind::Tcp, port));
    let refused = Arc::new(check(CheckKind::Tcp, closed_port()));
    let began = Instant::now();
    for place in 0..ALL {
        checks.start(place, if place % 2 == 0 { &tcp } else { &refused }, 0);
    }
    let handed_over = began.elapsed();
    let mut good = 0;
    for _ in 0..ALL {
        match checks.next().await {
            (id, Outcome::Good { .. }) if id.check.0 % 2 == 0 => good += 1,
            (id, Outcome::Bad(Failure::Refused)) if id.check.0 % 2 == 1 => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(good, ALL / 2);
    println!("{ALL} handed over in {handed_over:?}, told after {:?}", began.elapsed());
}
