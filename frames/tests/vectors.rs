//! The engine's vectors on the wire: each is handed over as it is, and what is not VRRP is not.

use std::net::IpAddr;

use serde_json::Value;
use vipd_engine::MacAddress;
use vipd_frames::{
    Endpoints, Ethernet, FrameFault, IpHeader, Payload, decode, decode_ipv4, encode_raw,
};

const A: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);
const B: MacAddress = MacAddress([2, 0, 0, 0, 0, 2]);

fn vectors() -> Vec<Value> {
    let text = include_str!("../../engine/tests/fixtures/vectors.json");
    serde_json::from_str(text).unwrap()
}

fn text<'a>(vector: &'a Value, field: &str) -> &'a str {
    vector[field].as_str().unwrap_or_default()
}

fn address(vector: &Value, field: &str) -> IpAddr {
    text(vector, field).parse().unwrap()
}

fn octet(vector: &Value, field: &str) -> u8 {
    u8::try_from(vector[field].as_u64().unwrap()).unwrap()
}

fn message(vector: &Value) -> Vec<u8> {
    let hex = text(vector, "hex_vrrp_payload");
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn frame(vector: &Value) -> Vec<u8> {
    let endpoints = Endpoints::new(address(vector, "src"), address(vector, "dst")).unwrap();
    let ip = IpHeader {
        protocol: octet(vector, "ip_proto"),
        ..IpHeader::vrrp(endpoints, octet(vector, "ttl"), 1)
    };
    let mut out = Vec::new();
    encode_raw(Ethernet::toward(A, endpoints.dst(), B), &ip, &message(vector), &mut out);
    // As a switch would pad it.
    out.resize(out.len().max(60), 0);
    out
}

#[test]
fn each_vector_is_handed_over_with_its_source_destination_ttl_and_octets() {
    let mut handed_over = 0;
    for vector in vectors().iter().filter(|vector| text(vector, "discard_reason") != "not_vrrp") {
        let frame = frame(vector);
        let Ok(Payload::Vrrp(vrrp)) = decode(&frame).map(|packet| packet.payload) else {
            panic!("{} is not VRRP", text(vector, "name"));
        };
        assert_eq!((vrrp.src, vrrp.dst), (address(vector, "src"), address(vector, "dst")));
        assert_eq!((vrrp.ttl, vrrp.bytes), (octet(vector, "ttl"), &message(vector)[..]));
        // A raw socket hands over the same packet without its Ethernet header, if it is IPv4.
        let packet = decode_ipv4(&frame[14..]);
        match vrrp.src {
            IpAddr::V4(_) => assert_eq!(packet, Ok(Payload::Vrrp(vrrp))),
            IpAddr::V6(_) => assert_eq!(packet, Err(FrameFault::BadIpVersion(6))),
        }
        handed_over += 1;
    }
    assert_eq!(handed_over, 135);
}

/// So its verdict, which stands in the vector under each profile, is given here.
#[test]
fn another_ip_protocol_never_reaches_the_engine() {
    let vectors = vectors();
    let others = vectors.iter().filter(|vector| vector["ip_proto"] != 112);
    let [vector] = others.collect::<Vec<_>>()[..] else { panic!("more than one") };
    let fault = decode(&frame(vector)).unwrap_err();
    assert_eq!(fault, FrameFault::NotVrrp(113));
    let verdicts = vector["under"].as_object().unwrap().values();
    assert_eq!(verdicts.collect::<Vec<_>>(), [fault.name(); 4]);
}
