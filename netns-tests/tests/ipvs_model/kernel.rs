//! The real kernel: a director in a namespace, and one wire on which all clients and real servers
//! are made up. Which real server was picked is seen by the MAC that the frame goes to.

use std::fs;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::process::{Command as Process, Stdio};
use std::time::{Duration, Instant};

use vipd::ipvs::{self as daemon, Ipvs, orders};
use vipd_engine::config::director::Service;
use vipd_engine::ipvs::{Endpoint, IpvsCommand, IpvsError};
use vipd_netns_tests::wire::Plug;
use vipd_sim::ipvs::{Flow, Load, Segment, Settings};

use super::history::Case;
use super::octets::{Kind, Mac, Sent, frame, read};

/// Its card, which is told packets of a mark by who sends them, and the wire's end.
const DIRECTOR: Mac = [2, 0, 0, 0, 0, 1];
const GATEWAY: Mac = [2, 0, 0, 0, 0, 2];
/// Real servers are numbered from 1; this one is for packets that only pass.
const FENCE: u8 = 250;

/// A real server's MAC.
pub const fn server_mac(number: u8) -> Mac {
    [2, 0, 0, 0, 1, number]
}

pub fn server_address(number: u8, v6: bool) -> IpAddr {
    match v6 {
        false => IpAddr::from([10, 1, 0, number]),
        true => IpAddr::from([0xfd00, 1, 0, 0, 0, 0, 0, u16::from(number)]),
    }
}

pub struct Kernel {
    pub ipvs: Ipvs,
    plug: Plug,
    fences: u16,
}

/// Many lines to one program.
fn batch(program: &str, lines: &[String]) {
    let mut child = Process::new(program)
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(lines.join("\n").as_bytes()).expect("lines");
    drop(input);
    assert!(child.wait().expect("its end").success(), "{program}: {lines:#?}");
}

fn set(path: &str, value: &str) {
    fs::write(path, value).unwrap_or_else(|error| panic!("{path}: {error}"));
}

impl Kernel {
    /// Lays the wire in the namespace of this thread.
    pub fn new(servers: u8, marks: u8) -> Self {
        let mut lines: Vec<_> = [
            "link add p0 address 02:00:00:00:00:01 type veth peer name p1",
            "link set p1 up",
            "link set p0 up",
            "addr add 10.0.9.2/24 dev p0",
            "addr add fd00:9::2/64 dev p0 nodad",
            "neigh add 10.0.9.1 lladdr 02:00:00:00:00:02 dev p0 nud permanent",
            "neigh add fd00:9::1 lladdr 02:00:00:00:00:02 dev p0 nud permanent",
            "route add 10.9.0.0/16 via 10.0.9.1",
            "route add fd00:c::/32 via fd00:9::1",
            "route add 10.1.0.0/24 dev p0",
            "route add fd00:1::/64 dev p0",
            // All of these addresses are the director's own.
            "route add local 10.20.0.0/16 dev lo",
            "route add local fd00:20::/64 dev lo",
        ]
        .map(str::to_string)
        .to_vec();
        for number in (1..=servers).chain([FENCE]) {
            for address in [false, true].map(|v6| server_address(number, v6)) {
                let mac = format!("02:00:00:00:01:{number:02x}");
                lines.push(format!("neigh add {address} lladdr {mac} dev p0 nud permanent"));
            }
        }
        batch("ip", &lines);
        for path in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
            set(&format!("/proc/sys/net/{path}"), "1");
        }
        let marking = (1..=marks).map(|mark| {
            let from = format!("flower src_mac 02:00:00:00:02:{mark:02x}");
            let all = "filter add dev p0 ingress protocol all";
            format!("{all} {from} action skbedit mark {mark}")
        });
        let first = "qdisc add dev p0 ingress".to_string();
        batch("tc", &[first].into_iter().chain(marking).collect::<Vec<_>>());
        let plug = Plug::open("p1").expect("a packet socket");
        Self { ipvs: Ipvs::open().expect("IPVS"), plug, fences: 0 }
    }

    pub fn set(settings: Settings) {
        let Settings { expire_nodest_conn, expire_quiescent_template, conn_reuse_mode } = settings;
        for (name, is_on) in [
            ("expire_nodest_conn", expire_nodest_conn),
            ("expire_quiescent_template", expire_quiescent_template),
            ("conn_reuse_mode", conn_reuse_mode),
        ] {
            set(&format!("/proc/sys/net/ipv4/vs/{name}"), if is_on { "1" } else { "0" });
        }
    }

    pub fn perform(&mut self, command: &IpvsCommand) -> Result<(), IpvsError> {
        let results = self.ipvs.perform(&[orders::command(command)]).expect("an answer");
        let result = results.into_iter().next().expect("one answer");
        result.map_err(|failure| orders::error(&failure))
    }

    /// Whether it has no such scheduler. The service stays.
    pub fn lacks(&mut self, case: &Case) -> bool {
        let command = IpvsCommand::AddService { service: case.service, spec: case.spec() };
        self.perform(&command) == Err(IpvsError::NotThere)
    }

    /// The connections of each destination.
    pub fn loads(&mut self, service: Service) -> Vec<(Endpoint, Load)> {
        let listed = self.ipvs.destinations(service).expect("destinations");
        let of = |one: daemon::ListedDestination| {
            let daemon::Connections { active, inactive, persistent } = one.connections;
            let endpoint = Endpoint { address: one.address, port: one.port };
            (endpoint, Load { active, inactive, persistent })
        };
        listed.into_iter().map(of).collect()
    }

    /// A client's packet. `None`: it was sent on to nobody.
    pub fn arrive(&mut self, flow: &Flow, segment: Segment) -> Option<Sent> {
        let from = if flow.mark == 0 { GATEWAY } else { mark_mac(flow.mark) };
        let kind = Kind::of_client(segment);
        let octets = frame([from, DIRECTOR], flow.client, flow.target, kind);
        self.plug.send(&octets).expect("a frame is sent");
        let is_meant = |sent: &Sent| sent.from == flow.client && sent.mac != GATEWAY;
        self.receive(flow.client.is_ipv6(), is_meant)
    }

    /// A real server's packet to the client. `None`: it did not get there by the director.
    pub fn reply(&mut self, flow: &Flow, by: SocketAddr, segment: Segment) -> Option<Sent> {
        let octets = frame([server_mac(1), DIRECTOR], by, flow.client, Kind::of_server(segment));
        self.plug.send(&octets).expect("a frame is sent");
        self.receive(flow.client.is_ipv6(), |sent| sent.mac == GATEWAY && sent.to == flow.client)
    }

    /// What comes before a packet that was sent later and passes for certain.
    fn receive(&mut self, v6: bool, is_meant: impl Fn(&Sent) -> bool) -> Option<Sent> {
        if let Some(sent) = self.next(&is_meant) {
            return Some(sent);
        }
        self.fences = self.fences.wrapping_add(1).max(1);
        let client: IpAddr =
            if v6 { "fd00:c::1".parse() } else { "10.9.255.1".parse() }.expect("an address");
        let from = SocketAddr::new(client, self.fences);
        let to = SocketAddr::new(server_address(FENCE, v6), 9);
        let octets = frame([GATEWAY, DIRECTOR], from, to, Kind::Datagram);
        self.plug.send(&octets).expect("a frame is sent");
        let is_fence = |sent: &Sent| sent.from == from && sent.mac == server_mac(FENCE);
        let began = Instant::now();
        loop {
            match self.next(&|sent: &Sent| is_fence(sent) || is_meant(sent)) {
                Some(sent) if is_fence(&sent) => return None,
                Some(sent) => return Some(sent),
                None => assert!(began.elapsed() < Duration::from_secs(5), "a packet is lost"),
            }
        }
    }

    fn next(&self, is_meant: &impl Fn(&Sent) -> bool) -> Option<Sent> {
        let mut buffer = [0; 256];
        while let Some((length, _)) = self.plug.receive(&mut buffer).expect("a frame") {
            let sent = read(&buffer[..length.min(buffer.len())]);
            if let Some(sent) = sent.filter(is_meant) {
                return Some(sent);
            }
        }
        None
    }
}

const fn mark_mac(mark: u32) -> Mac {
    [2, 0, 0, 0, 2, mark as u8]
}
