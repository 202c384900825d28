//! Bursts of datagrams on the loopback interface, by raw sockets: skipped without `CAP_NET_RAW`.

use std::io::{ErrorKind, Read};
use std::net::IpAddr;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use vipd_sys::{BURST, Path, send_burst};

/// For experiments (RFC 3692).
const PROTOCOL: i32 = 253;
const LOOPBACK: u32 = 1;

fn raw(address: IpAddr) -> Option<Socket> {
    let domain = if address.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let opened = Socket::new(domain, Type::RAW, Some(Protocol::from(PROTOCOL)));
    if opened.as_ref().is_err_and(|error| error.kind() == ErrorKind::PermissionDenied) {
        eprintln!("skipped: no raw sockets without CAP_NET_RAW");
        return None;
    }
    let socket = opened.expect("a raw socket");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("an option");
    Some(socket)
}

/// Hears from now on what is for this address alone. Until then it was for every address.
fn bind(mut socket: &Socket, address: IpAddr) {
    socket.bind(&std::net::SocketAddr::new(address, 0).into()).expect("an address of ours");
    socket.set_nonblocking(true).expect("an option");
    while socket.read(&mut [0; 100]).is_ok() {}
    socket.set_nonblocking(false).expect("an option");
}

fn path(address: IpAddr) -> Path {
    Path { interface: LOOPBACK, src: address, dst: address, ttl: Some(77) }
}

/// The next packet; in IPv4 with its header.
fn receive(mut socket: &Socket) -> Vec<u8> {
    let mut packet = [0; 100];
    let length = socket.read(&mut packet).expect("a packet");
    packet[..length].to_vec()
}

/// Each test has an address of its own: they run side by side.
fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn all_of_a_burst_arrive_in_their_order_with_source_and_ttl() {
    for address in [address("127.0.7.1"), address("::1")] {
        let Some(socket) = raw(address) else { return };
        bind(&socket, address);
        let sent = send_burst(&socket, path(address), &[b"one", b"second", b"3"]);
        assert_eq!(sent.expect("they are sent"), 3);
        for expected in [&b"one"[..], b"second", b"3"] {
            let packet = receive(&socket);
            let message = if address.is_ipv4() {
                assert_eq!((packet[8], &packet[12..16]), (77, &[127, 0, 7, 1][..]));
                &packet[20..]
            } else {
                &packet
            };
            assert_eq!(message, expected, "{address}");
        }
    }
}

#[test]
fn without_a_ttl_a_burst_has_that_of_the_socket() {
    let address = address("127.0.7.4");
    let Some(socket) = raw(address) else { return };
    bind(&socket, address);
    socket.set_ttl_v4(78).expect("an option");
    let path = Path { ttl: None, ..path(address) };
    assert_eq!(send_burst(&socket, path, &[b"one"]).expect("it is sent"), 1);
    let packet = receive(&socket);
    assert_eq!((packet[8], &packet[12..16], &packet[20..]), (78, &[127, 0, 7, 4][..], &b"one"[..]));
}

#[test]
fn one_that_is_refused_is_told_as_the_first_of_the_rest_and_keeps_no_other_from_leaving() {
    let address = address("127.0.7.2");
    let Some(socket) = raw(address) else { return };
    let too_long = vec![0; 70_000];
    let messages: [&[u8]; 3] = [b"before", &too_long, b"behind"];
    let send = |from: usize| send_burst(&socket, path(address), &messages[from..]);
    assert_eq!(send(0).expect("the first leaves"), 1);
    assert!(send(1).is_err());
    assert_eq!(send(2).expect("the last leaves"), 1);
}

#[test]
fn a_burst_has_its_limit_and_one_family() {
    let [v4, v6] = [address("127.0.7.3"), address("::1")];
    let Some(socket) = raw(v4) else { return };
    let many = [&b"x"[..]; BURST + 1];
    assert_eq!(send_burst(&socket, path(v4), &many).expect("they are sent"), BURST);
    assert!(send_burst(&socket, Path { src: v6, ..path(v4) }, &many).is_err());
}
