//! Pages: what is asked, and when the answer is good (RFC 9110, RFC 9112).

mod talk;

use talk::{ATTEMPT, check_at, fault, http, page, pattern, say, url, verdict, verdict_open, words};
use vipd_checks::{
    Attempt, ConnectionFailure, Event, Fault, HTTP_HEAD_MAX, HTTP_LINE_MAX, HttpFault, Plan, Stage,
    Step, Unusable, Verdict,
};
use vipd_engine::config::health::{CheckKind, HttpCheck, HttpProtocol, Pattern, Tls, Url};
use vipd_engine::health::TlsFailure;

/// As nginx sends it for a static page.
const PLAIN: &[u8] = b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\n\
    Date: Fri, 27 Nov 2026 03:00:00 GMT\r\nContent-Type: text/html\r\nContent-Length: 12\r\n\
    Connection: close\r\n\r\nall is well\n";

/// As an application server sends it that does not know the length; 5 and 7 octets, a chunk
/// extension and a trailer.
const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
    5\r\nall i\r\n7;name=\"value\"\r\ns well\n\r\n0\r\nX-Checked: yes\r\n\r\n";

/// As Python's `http.server` sends it.
const PYTHON: &[u8] = b"HTTP/1.0 200 OK\r\nServer: SimpleHTTP/0.6 Python/3.11.2\r\n\
    Date: Fri, 27 Nov 2026 03:00:00 GMT\r\nContent-type: text/html\r\nContent-Length: 12\r\n\
    Last-Modified: Fri, 27 Nov 2026 02:00:00 GMT\r\n\r\nall is well\n";

/// `printf 'all is well\n' | md5sum`
const DIGEST: [u8; 16] = 0x2670_f929_ce8c_93af_815b_a0ae_8fd5_91ff_u128.to_be_bytes();

fn with_digest(digest: [u8; 16]) -> Url {
    Url { digest: Some(digest), ..url("/") }
}

fn with_pattern(pattern: Pattern) -> Url {
    Url { pattern: Some(pattern), ..url("/") }
}

fn request(check: HttpCheck, address: &str, port: u16, url: u32) -> String {
    let check = check_at(CheckKind::Http(Box::new(check)), address, port);
    let mut dialogue = Plan::new(&check).expect("a plan").begin(Attempt { url, ..ATTEMPT });
    let (step, out) = say(&mut dialogue, &[Event::Opened]);
    assert_eq!(step, Step::Continue);
    String::from_utf8(out).expect("text")
}

#[test]
fn the_request_says_what_it_speaks() {
    let mut check = http(vec![url("/ok?deep=1")]);
    let mut first = |protocol| {
        check.protocol = protocol;
        request(check.clone(), "192.0.2.7", 80, 0)
    };
    assert_eq!(
        first(HttpProtocol::V1_0),
        "GET /ok?deep=1 HTTP/1.0\r\nHost: 192.0.2.7:80\r\nUser-Agent: vipd\r\n\r\n"
    );
    assert_eq!(
        first(HttpProtocol::V1_0Close),
        "GET /ok?deep=1 HTTP/1.0\r\nHost: 192.0.2.7:80\r\nUser-Agent: vipd\r\n\
         Connection: close\r\n\r\n"
    );
    assert_eq!(
        first(HttpProtocol::V1_1),
        "GET /ok?deep=1 HTTP/1.1\r\nHost: 192.0.2.7:80\r\nUser-Agent: vipd\r\n\
         Connection: close\r\n\r\n"
    );
}

#[test]
fn the_host_is_the_urls_then_the_checks_then_the_address_with_its_port() {
    let host = |check: &HttpCheck, address| {
        let request = request(check.clone(), address, 8080, 0);
        let line = request.lines().find(|line| line.starts_with("Host: ")).expect("a Host");
        line.to_owned()
    };
    let mut check = http(vec![url("/")]);
    assert_eq!(host(&check, "192.0.2.7"), "Host: 192.0.2.7:8080");
    assert_eq!(host(&check, "2001:db8::7"), "Host: [2001:db8::7]:8080");
    check.virtualhost = Some("www.example".to_owned());
    assert_eq!(host(&check, "2001:db8::7"), "Host: www.example");
    check.urls[0].virtualhost = Some("shop.example:81".to_owned());
    assert_eq!(host(&check, "192.0.2.7"), "Host: shop.example:81");
}

#[test]
fn the_name_in_the_tls_handshake_is_the_given_one_or_the_virtual_host() {
    let name = |tls, virtualhost: Option<&str>| {
        let virtualhost = virtualhost.map(str::to_owned);
        let check = HttpCheck { tls, virtualhost, ..http(vec![url("/")]) };
        let check = check_at(CheckKind::Http(Box::new(check)), "192.0.2.7", 443);
        let dialogue = Plan::new(&check).expect("a plan").begin(ATTEMPT);
        dialogue.server_name().map(str::to_owned)
    };
    let tls = Tls { sni: true, ..Tls::default() };
    let named = Tls { sni_name: Some("sni.example".to_owned()), ..tls.clone() };
    assert_eq!(name(None, Some("www.example")), None);
    assert_eq!(name(Some(Tls::default()), Some("www.example")), None);
    assert_eq!(name(Some(tls.clone()), None), None);
    assert_eq!(name(Some(tls), Some("www.example")).as_deref(), Some("www.example"));
    assert_eq!(name(Some(named), Some("www.example")).as_deref(), Some("sni.example"));
}

#[test]
fn a_page_is_good_once_its_body_is_whole_whether_the_server_closes_or_not() {
    for (name, reply) in [("plain", PLAIN), ("chunked", CHUNKED), ("python", PYTHON)] {
        let plan = page(with_digest(DIGEST));
        let mut dialogue = plan.begin(ATTEMPT);
        let (step, _) = say(&mut dialogue, &[Event::Opened, Event::Octets(reply)]);
        assert_eq!(step, Step::Over(Verdict::Good), "{name}");
    }
}

#[test]
fn a_page_is_good_octet_by_octet_and_not_before_the_last() {
    for (name, reply) in [("plain", PLAIN), ("chunked", CHUNKED), ("python", PYTHON)] {
        let mut dialogue = page(with_digest(DIGEST)).begin(ATTEMPT);
        let (mut step, _) = say(&mut dialogue, &[Event::Opened]);
        for octet in reply {
            assert_eq!(step, Step::Continue, "{name}");
            step = say(&mut dialogue, &[Event::Octets(&[*octet])]).0;
        }
        assert_eq!(step, Step::Over(Verdict::Good), "{name}");
    }
}

#[test]
fn a_body_without_a_length_ends_when_the_server_closes() {
    let reply = b"HTTP/1.0 200 OK\r\n\r\nall is well\n";
    let plan = page(with_digest(DIGEST));
    assert_eq!(verdict(&plan, reply), Verdict::Good);
    let late = verdict_open(&plan, reply);
    assert_eq!(fault(late), Fault::TimedOut(Stage::Body { octets: 12 }));
}

#[test]
fn a_status_is_good_only_within_the_ranges() {
    let reply = |status: u16| format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
    let plan = page(Url { status: vec![(200, 299), (404, 404)], ..url("/") });
    for status in [200, 204, 299, 404] {
        assert_eq!(verdict(&plan, reply(status).as_bytes()), Verdict::Good, "{status}");
    }
    for status in [199, 300, 403, 405, 500, 0, 999] {
        // 199 is interim: nothing else came.
        assert_ne!(verdict(&plan, reply(status).as_bytes()), Verdict::Good, "{status}");
    }
    assert_eq!(words(verdict(&plan, reply(500).as_bytes())), "status 500, 200-299, 404 wanted");
}

#[test]
fn a_bad_status_is_told_before_the_rest_of_the_head_comes() {
    let plan = page(url("/"));
    let mut dialogue = plan.begin(ATTEMPT);
    let octets = Event::Octets(b"HTTP/1.1 503 Service Unavailable\r\n");
    let (step, _) = say(&mut dialogue, &[Event::Opened, octets]);
    let wanted = vec![(200, 299)];
    let fault = HttpFault::Status { status: 503, wanted };
    assert_eq!(step, Step::Over(Verdict::Bad(Fault::Http(fault))));
}

#[test]
fn a_redirection_is_not_followed() {
    let reply = b"HTTP/1.1 301 Moved\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(words(verdict(&page(url("/")), reply)), "status 301, 200-299 wanted");
}

#[test]
fn an_interim_status_is_waited_through_and_switching_protocols_is_final() {
    let interim = b"HTTP/1.1 100 Continue\r\n\r\n";
    let plan = page(url("/"));
    assert_eq!(verdict(&plan, &[interim, PLAIN].concat()), Verdict::Good);
    assert_eq!(fault(verdict(&plan, interim)), Fault::Closed(Stage::StatusLine));
    let switching = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";
    assert_eq!(words(verdict(&plan, switching)), "status 101, 200-299 wanted");
}

#[test]
fn a_status_that_has_no_body_is_over_with_its_head() {
    let plan = page(Url { status: vec![(204, 304)], ..url("/") });
    for status in [204, 304] {
        let reply = format!("HTTP/1.1 {status} X\r\nContent-Length: 5\r\n\r\n");
        assert_eq!(verdict_open(&plan, reply.as_bytes()), Verdict::Good, "{status}");
    }
}

#[test]
fn a_body_that_is_cut_short_is_bad_however_its_end_is_told() {
    let plan = page(url("/"));
    let short = &PLAIN[..PLAIN.len() - 1];
    assert_eq!(
        words(verdict(&plan, short)),
        "closed before the end of the body, after 11 octets of it"
    );
    let chunk = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nall";
    assert_eq!(fault(verdict(&plan, chunk)), Fault::Closed(Stage::Body { octets: 3 }));
    let between = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nall i\r\n";
    assert_eq!(fault(verdict(&plan, between)), Fault::Closed(Stage::Body { octets: 5 }));
}

#[test]
fn a_server_that_closes_behind_its_last_chunk_has_said_all() {
    let reply = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n";
    assert_eq!(verdict(&page(with_pattern(pattern("^ok$"))), reply), Verdict::Good);
    assert_ne!(verdict_open(&page(url("/")), reply), Verdict::Good);
}

#[test]
fn the_digest_is_that_of_the_body_without_what_frames_it() {
    let plan = page(with_digest([0xab; 16]));
    for reply in [PLAIN, CHUNKED, PYTHON] {
        assert_eq!(
            words(verdict(&plan, reply)),
            "MD5 of the body is 2670f929ce8c93af815ba0ae8fd591ff, \
             abababababababababababababababab wanted"
        );
    }
}

#[test]
fn octets_behind_the_end_of_a_reply_are_not_looked_at() {
    let reply = [PLAIN, b"more that nobody asked for"].concat();
    assert_eq!(verdict(&page(with_digest(DIGEST)), &reply), Verdict::Good);
}

#[test]
fn a_pattern_is_looked_for_in_the_body_and_not_in_the_head() {
    assert_eq!(verdict(&page(with_pattern(pattern("all is w[aeiou]ll"))), CHUNKED), Verdict::Good);
    let head = page(with_pattern(pattern("nginx")));
    assert_eq!(words(verdict(&head, PLAIN)), "the body does not match the pattern");
}

#[test]
fn offsets_of_a_pattern_count_from_the_start_of_the_body() {
    let at = |min_offset, max_offset| {
        page(with_pattern(Pattern { min_offset, max_offset, ..pattern("is") }))
    };
    for (min, max, good) in
        [(4, None, true), (5, None, false), (0, Some(5), true), (0, Some(4), false)]
    {
        assert_eq!(verdict(&at(min, max), CHUNKED) == Verdict::Good, good, "{min} {max:?}");
    }
}

#[test]
fn a_pattern_that_must_not_match_ends_it_where_it_matches() {
    let plan = page(with_pattern(Pattern { must_not_match: true, ..pattern("is we") }));
    let early = &PLAIN[..PLAIN.len() - 1];
    assert_eq!(words(verdict_open(&plan, early)), "the body matches the pattern, and must not");
    let other = page(with_pattern(Pattern { must_not_match: true, ..pattern("is ill") }));
    assert_eq!(verdict(&other, PLAIN), Verdict::Good);
}

#[test]
fn one_page_is_asked_for_per_attempt_going_round() {
    let check = http(vec![url("/a"), url("/b"), url("/c")]);
    for (place, path) in [(0, "/a"), (1, "/b"), (2, "/c"), (3, "/a"), (u32::MAX, "/a")] {
        let request = request(check.clone(), "192.0.2.7", 80, place);
        assert!(request.starts_with(&format!("GET {path} ")), "{place}: {request}");
    }
}

#[test]
fn with_fast_recovery_all_pages_are_asked_for_in_one_attempt_on_a_connection_each() {
    let check = HttpCheck { fast_recovery: true, ..http(vec![url("/a"), with_digest(DIGEST)]) };
    let plan =
        Plan::new(&check_at(CheckKind::Http(Box::new(check)), "192.0.2.7", 80)).expect("a plan");
    let mut dialogue = plan.begin(Attempt { url: 1, ..ATTEMPT });
    assert_eq!(dialogue.page(), Some("/a"));
    let (step, out) = say(&mut dialogue, &[Event::Opened, Event::Octets(PLAIN)]);
    assert_eq!((step, out.starts_with(b"GET /a ")), (Step::Reopen, true));
    // What the old connection still says is nothing to the new one.
    let (step, out) = say(&mut dialogue, &[Event::Octets(b"late"), Event::Closed]);
    assert_eq!((step, out.len()), (Step::Continue, 0));
    assert_eq!(fault(dialogue.on_deadline()), Fault::TimedOut(Stage::Connection));
    let (step, out) = say(&mut dialogue, &[Event::Opened, Event::Octets(CHUNKED)]);
    assert_eq!((step, out.starts_with(b"GET / ")), (Step::Over(Verdict::Good), true));
}

#[test]
fn the_first_bad_page_ends_the_attempt_and_is_named() {
    let check = HttpCheck { fast_recovery: true, ..http(vec![url("/a"), url("/b"), url("/c")]) };
    let plan =
        Plan::new(&check_at(CheckKind::Http(Box::new(check)), "192.0.2.7", 80)).expect("a plan");
    let mut dialogue = plan.begin(ATTEMPT);
    say(&mut dialogue, &[Event::Opened, Event::Octets(PLAIN)]);
    let (step, _) = say(&mut dialogue, &[Event::Failed(ConnectionFailure::Refused)]);
    assert_eq!(step, Step::Over(Verdict::Bad(Fault::Connection(ConnectionFailure::Refused))));
    assert_eq!(dialogue.page(), Some("/b"));
}

#[test]
fn what_is_no_http_is_shown() {
    let plan = page(url("/"));
    let ssh = verdict(&plan, b"SSH-2.0-OpenSSH_9.2p1\r\n");
    assert_eq!(words(ssh), r#"no status line of HTTP: "SSH-2.0-OpenSSH_9.2p1""#);
    let octets = verdict(&plan, b"\x16\x03\x01\0\n");
    assert_eq!(words(octets), r#"no status line of HTTP: "\x16\x03\x01\x00""#);
}

#[test]
fn a_line_of_a_head_has_a_limit() {
    let line = |length: usize| {
        let field = "x".repeat(length);
        format!("HTTP/1.1 200 OK\r\n{field}\r\nContent-Length: 0\r\n\r\n")
    };
    let plan = page(url("/"));
    // The CR counts.
    assert_eq!(verdict(&plan, line(HTTP_LINE_MAX - 1).as_bytes()), Verdict::Good);
    let over = verdict(&plan, line(HTTP_LINE_MAX).as_bytes());
    assert_eq!(fault(over), Fault::Http(HttpFault::LineTooLong));
    let status = [b"HTTP/1.1 200 ".to_vec(), vec![b'x'; HTTP_LINE_MAX - 12]].concat();
    assert_eq!(fault(verdict(&plan, &status)), Fault::Http(HttpFault::LineTooLong));
    let endless = verdict(&plan, &vec![b'x'; HTTP_LINE_MAX + 1]);
    assert!(matches!(fault(endless), Fault::Http(HttpFault::NotHttp(_))));
}

#[test]
fn a_field_that_goes_on_has_the_limit_of_a_line() {
    let field = |length: usize| {
        let more = " ".repeat(length - 1004);
        format!("HTTP/1.1 200 OK\r\nX: y\r\n{}\r\n{more}\r\n\r\n", " ".repeat(1000))
    };
    let plan = page(url("/"));
    assert_eq!(verdict(&plan, field(HTTP_LINE_MAX).as_bytes()), Verdict::Good);
    let over = verdict(&plan, field(HTTP_LINE_MAX + 1).as_bytes());
    assert_eq!(fault(over), Fault::Http(HttpFault::LineTooLong));
}

#[test]
fn a_head_has_a_limit_that_interim_ones_and_trailers_share() {
    let plan = page(url("/"));
    let fields = "X: y\r\n".repeat(HTTP_HEAD_MAX / 6 + 1);
    let too_long = Fault::Http(HttpFault::HeadTooLong);
    let head = format!("HTTP/1.1 200 OK\r\n{fields}");
    assert_eq!(fault(verdict(&plan, head.as_bytes())), too_long);
    let interim = "HTTP/1.1 102 Processing\r\n\r\n".repeat(HTTP_HEAD_MAX / 27 + 1);
    assert_eq!(fault(verdict(&plan, interim.as_bytes())), too_long);
    let trailers = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n{fields}");
    assert_eq!(fault(verdict(&plan, trailers.as_bytes())), too_long);
}

#[test]
fn a_chunk_that_is_none_is_a_fault() {
    let plan = page(url("/"));
    for chunks in [
        "x\r\n",
        "\r\n",
        "-1\r\n",
        "10000000000000000\r\n",
        "2\r\nokX",
        "2\r\nok\rX",
        "2\r\nok\r\r\n",
    ] {
        let reply = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
        let found = fault(verdict_open(&plan, reply.as_bytes()));
        assert!(matches!(found, Fault::Http(HttpFault::Chunk(_))), "{chunks:?}: {found}");
    }
    let endless = [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;".to_vec(),
        vec![b'x'; HTTP_LINE_MAX],
    ];
    assert_eq!(fault(verdict(&plan, &endless.concat())), Fault::Http(HttpFault::LineTooLong));
}

#[test]
fn nuls_in_a_head_and_in_a_body_are_octets_as_any() {
    let reply = b"HTTP/1.1 200 O\0K\r\nX\0: \0\r\n\0\r\nContent-Length: 3\r\n\r\n\0a\0";
    assert_eq!(verdict(&page(with_pattern(pattern(r"^\x00a\x00$"))), reply), Verdict::Good);
}

#[test]
fn a_broken_connection_is_bad_at_every_stage() {
    let plan = page(url("/"));
    for said in [&b""[..], b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 200 OK\r\n\r\nall"] {
        let mut dialogue = plan.begin(ATTEMPT);
        let events = [Event::Opened, Event::Octets(said), Event::Failed(ConnectionFailure::Reset)];
        let (step, _) = say(&mut dialogue, &events);
        assert_eq!(step, Step::Over(Verdict::Bad(Fault::Connection(ConnectionFailure::Reset))));
    }
}

#[test]
fn a_failure_of_tls_is_a_fault_of_its_own() {
    for (failure, told) in [
        (TlsFailure::Alert(40), "TLS alert 40"),
        (TlsFailure::Untrusted, "the certificate is not trusted"),
    ] {
        let failed = Event::Failed(ConnectionFailure::Tls(failure));
        let (step, _) = say(&mut page(url("/")).begin(ATTEMPT), &[failed]);
        let Step::Over(verdict) = step else { panic!("{step:?}") };
        assert_eq!(words(verdict), told);
    }
}

#[test]
fn what_would_end_a_line_of_the_request_is_refused() {
    let refused = |check: HttpCheck| {
        Plan::new(&check_at(CheckKind::Http(Box::new(check)), "192.0.2.7", 80))
            .expect_err("refused")
    };
    let path = refused(http(vec![url("/ HTTP/1.1\r\nX: y")]));
    assert!(matches!(path, Unusable::ControlCharacter(_)), "{path}");
    let virtualhost = Some("a\nb".to_owned());
    let host = refused(HttpCheck { virtualhost, ..http(vec![url("/")]) });
    assert_eq!(host.to_string(), r#""a\nb" has a control character"#);
    assert_eq!(refused(http(vec![])), Unusable::NoPage);
}
