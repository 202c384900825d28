//! Each dialogue driven as a driver does it, over real sockets of the loopback interface, against
//! small servers that say what real ones say. The deadline is the socket's read timeout here.

mod talk;

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use talk::{ATTEMPT, check_at, http, pattern, url, words};
use vipd_checks::{Attempt, ConnectionFailure, Event, Plan, Step, Transport, Verdict};
use vipd_engine::config::health::{CheckKind, DnsRecord, HttpCheck, UdpCheck, Url};

/// Long enough for a busy machine where an answer comes.
const PATIENCE: Duration = Duration::from_secs(10);
/// Where none comes.
const SHORT: Duration = Duration::from_millis(50);

/// No other test takes a port here that was given back.
const LONELY: &str = "127.0.0.77:0";

/// One attempt: what a driver does, without a reactor.
fn attempt(plan: &Plan, at: SocketAddr, deadline: Duration) -> Verdict {
    match plan.transport() {
        Transport::Stream => attempt_stream(plan, at, deadline),
        Transport::Datagram => attempt_datagram(plan, at, deadline),
        Transport::Echo(_) => unreachable!("a test has no right to a ping"),
    }
}

fn failure(error: &io::Error) -> ConnectionFailure {
    match error.kind() {
        ErrorKind::ConnectionRefused => ConnectionFailure::Refused,
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => ConnectionFailure::Reset,
        _ => ConnectionFailure::Unreachable,
    }
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn attempt_stream(plan: &Plan, at: SocketAddr, deadline: Duration) -> Verdict {
    let mut dialogue = plan.begin(ATTEMPT);
    loop {
        let mut out = Vec::new();
        let mut stream = TcpStream::connect(at).map_err(|error| failure(&error));
        let mut step = match &stream {
            Ok(stream) => {
                stream.set_read_timeout(Some(deadline)).expect("a timeout");
                dialogue.on(Event::Opened, &mut out)
            }
            Err(failure) => dialogue.on(Event::Failed(*failure), &mut out),
        };
        let mut buffer = [0; 512];
        while let (Step::Continue, Ok(stream)) = (&step, &mut stream) {
            if let Err(error) = stream.write_all(&out) {
                step = dialogue.on(Event::Failed(failure(&error)), &mut out);
                continue;
            }
            out.clear();
            step = match stream.read(&mut buffer) {
                Ok(0) => dialogue.on(Event::Closed, &mut out),
                Ok(length) => dialogue.on(Event::Octets(&buffer[..length]), &mut out),
                Err(error) if is_late(&error) => return dialogue.on_deadline(),
                Err(error) => dialogue.on(Event::Failed(failure(&error)), &mut out),
            };
        }
        match step {
            Step::Reopen => {}
            Step::Over(verdict) => return verdict,
            Step::Continue => unreachable!("there is a connection"),
        }
    }
}

fn attempt_datagram(plan: &Plan, at: SocketAddr, deadline: Duration) -> Verdict {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.connect(at).expect("connected");
    socket.set_read_timeout(Some(deadline)).expect("a timeout");
    let mut dialogue = plan.begin(ATTEMPT);
    let mut out = Vec::new();
    let mut step = dialogue.on(Event::Opened, &mut out);
    socket.send(&out).expect("sent");
    let mut buffer = [0; 65_535];
    loop {
        if let Step::Over(verdict) = step {
            return verdict;
        }
        step = match socket.recv(&mut buffer) {
            Ok(length) => dialogue.on(Event::Octets(&buffer[..length]), &mut out),
            Err(error) if is_late(&error) => return dialogue.on_deadline(),
            Err(error) => dialogue.on(Event::Failed(failure(&error)), &mut out),
        };
    }
}

/// A server with one connection after the other, as many as there are parts to play.
fn serve(parts: Vec<fn(&mut TcpStream)>) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let at = listener.local_addr().expect("an address");
    let server = thread::spawn(move || {
        for part in parts {
            let (mut stream, _) = listener.accept().expect("a connection");
            stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            part(&mut stream);
        }
    });
    (at, server)
}

/// Reads up to an empty line.
fn request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    let mut octet = [0];
    while !request.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut octet).expect("the request goes on");
        request.push(octet[0]);
    }
    String::from_utf8(request).expect("text")
}

fn line(stream: &mut TcpStream) -> String {
    let mut line = Vec::new();
    let mut octet = [0];
    while !line.ends_with(b"\r\n") {
        stream.read_exact(&mut octet).expect("the line goes on");
        line.push(octet[0]);
    }
    String::from_utf8(line).expect("text")
}

/// As Python's `http.server` answers, which writes head and body in two pieces and closes.
fn python(stream: &mut TcpStream) {
    let request = request(stream);
    let body = match request.split(' ').nth(1) {
        Some("/health") => Some("all is well\n"),
        _ => None,
    };
    let error = "<!DOCTYPE HTML>\n<html lang=\"en\">\n";
    let (status, kind) = match body {
        Some(_) => ("200 OK", "text/plain"),
        None => ("404 File not found", "text/html;charset=utf-8"),
    };
    let body = body.unwrap_or(error);
    let head = format!(
        "HTTP/1.0 {status}\r\nServer: SimpleHTTP/0.6 Python/3.11.2\r\n\
         Date: Fri, 27 Nov 2026 03:00:00 GMT\r\nContent-type: {kind}\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("the head is sent");
    stream.write_all(body.as_bytes()).expect("the body is sent");
}

/// As an application server that makes its page while it sends, and keeps the connection.
fn chunked(stream: &mut TcpStream) {
    request(stream);
    let pieces: [&[u8]; 4] = [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"5\r\nall i\r\n7\r\ns w",
        b"ell\n\r",
        b"\n0\r\n\r\n",
    ];
    for piece in pieces {
        stream.write_all(piece).expect("sent");
        stream.flush().expect("sent");
    }
    // It is the other one that closes.
    assert_eq!(stream.read(&mut [0]).expect("closed"), 0);
}

fn silent(stream: &mut TcpStream) {
    request(stream);
    // Until the other one has had enough.
    let _ = stream.read(&mut [0]);
}

fn postfix(stream: &mut TcpStream) {
    stream.write_all(b"220-mail.example ESMTP Postfix\r\n220 (Debian)\r\n").expect("sent");
    assert_eq!(line(stream), "HELO director.example\r\n");
    stream.write_all(b"250 mail.example\r\n").expect("sent");
    assert_eq!(line(stream), "QUIT\r\n");
    stream.write_all(b"221 2.0.0 Bye\r\n").expect("sent");
}

fn plan(kind: CheckKind) -> Plan {
    Plan::new(&check_at(kind, "127.0.0.1", 80)).expect("a check that can be asked")
}

fn page(url: Url) -> Plan {
    plan(CheckKind::Http(Box::new(http(vec![url]))))
}

fn health() -> Url {
    Url { pattern: Some(pattern("all is well")), ..url("/health") }
}

#[test]
fn a_python_server_is_good_and_its_missing_page_is_not() {
    let (at, server) = serve(vec![python, python]);
    assert_eq!(attempt(&page(health()), at, PATIENCE), Verdict::Good);
    let found = attempt(&page(url("/missing")), at, PATIENCE);
    assert_eq!(words(found), "status 404, 200-299 wanted");
    server.join().expect("the server");
}

#[test]
fn two_pages_are_asked_for_on_two_connections() {
    let urls = vec![health(), health()];
    let check = HttpCheck { fast_recovery: true, ..http(urls) };
    let (at, server) = serve(vec![python, chunked]);
    assert_eq!(attempt(&plan(CheckKind::Http(Box::new(check))), at, PATIENCE), Verdict::Good);
    server.join().expect("the server");
}

#[test]
fn a_web_server_that_takes_a_request_and_says_nothing_is_late() {
    let (at, server) = serve(vec![silent]);
    let found = attempt(&page(health()), at, SHORT);
    assert_eq!(words(found), "timed out before the status line");
    server.join().expect("the server");
}

#[test]
fn a_port_where_nobody_listens_refuses() {
    let listener = TcpListener::bind(LONELY).expect("a listener");
    let at = listener.local_addr().expect("an address");
    drop(listener);
    for plan in [plan(CheckKind::Tcp), page(url("/")), talk::smtp()] {
        assert_eq!(words(attempt(&plan, at, PATIENCE)), "connection refused");
    }
}

#[test]
fn a_port_where_somebody_listens_is_good() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let at = listener.local_addr().expect("an address");
    assert_eq!(attempt(&plan(CheckKind::Tcp), at, PATIENCE), Verdict::Good);
}

#[test]
fn a_mail_server_is_greeted_and_left() {
    let (at, server) = serve(vec![postfix]);
    assert_eq!(attempt(&talk::smtp(), at, PATIENCE), Verdict::Good);
    server.join().expect("the server");
}

/// Answers one datagram with each of what `answers` makes of it.
fn serve_datagram(answers: fn(&[u8]) -> Vec<Vec<u8>>) -> (SocketAddr, JoinHandle<()>) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let at = socket.local_addr().expect("an address");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let server = thread::spawn(move || {
        let mut buffer = [0; 512];
        let (length, from) = socket.recv_from(&mut buffer).expect("a datagram");
        for answer in answers(&buffer[..length]) {
            socket.send_to(&answer, from).expect("sent");
        }
    });
    (at, server)
}

/// Question and id of the query, with these flags and one address.
fn address(query: &[u8], flags: [u8; 2]) -> Vec<u8> {
    let record = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x01\x2c\x00\x04\xc0\x00\x02\x50";
    [&query[..2], &flags, b"\0\x01\0\x01\0\0\0\0", &query[12..], record].concat()
}

#[test]
fn a_name_server_is_heard_behind_what_is_not_its_answer() {
    let (at, server) = serve_datagram(|query| {
        let mut late = address(query, [0x81, 0x83]);
        late[0] ^= 0xff;
        vec![b"noise".to_vec(), late, query.to_vec(), address(query, [0x81, 0x80])]
    });
    let plan = talk::dns(DnsRecord::A, "www.example");
    assert_eq!(attempt(&plan, at, PATIENCE), Verdict::Good);
    server.join().expect("the server");
}

#[test]
fn a_datagram_is_answered_or_refused_or_silence_is_good() {
    let check = |requires_reply| {
        plan(CheckKind::Udp(Box::new(UdpCheck {
            payload: b"ask".to_vec(),
            requires_reply,
            reply: vec![(b'A', 0xdf)],
            min_reply: 0,
            max_reply: 255,
        })))
    };
    let (at, server) = serve_datagram(|asked| vec![asked.to_vec()]);
    assert_eq!(attempt(&check(true), at, PATIENCE), Verdict::Good);
    server.join().expect("the server");

    let deaf = UdpSocket::bind(LONELY).expect("a socket");
    let at = deaf.local_addr().expect("an address");
    assert_eq!(attempt(&check(false), at, SHORT), Verdict::Good);
    assert_eq!(words(attempt(&check(true), at, SHORT)), "timed out before the answer");
    drop(deaf);
    for requires_reply in [false, true] {
        let found = attempt(&check(requires_reply), at, PATIENCE);
        assert_eq!(words(found), "connection refused");
    }
}

#[test]
fn one_page_per_attempt_is_asked_for_in_turn() {
    let check = http(vec![health(), url("/missing")]);
    let plan = plan(CheckKind::Http(Box::new(check)));
    let paths = [0, 1, 2].map(|url| {
        let dialogue = plan.begin(Attempt { url, ..ATTEMPT });
        dialogue.page().map(str::to_owned)
    });
    let wanted = ["/health", "/missing", "/health"].map(|path| Some(path.to_owned()));
    assert_eq!(paths, wanted);
}
