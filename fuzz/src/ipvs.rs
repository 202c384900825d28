//! What a kernel may answer about IPVS: whatever it is, there is a result or an error, a result for
//! each command, and what was read can be ordered again.

use std::io;

use vipd::ipvs::client::Datagrams;
use vipd::ipvs::{Command, Ipvs, ServiceSpec, SyncRole};
use vipd_engine::config::director::{Protocol, Scheduler, Scheduling, Service, Timeouts};

use crate::Octets;

/// The number of the family that the kernel tells unless the first octet says otherwise.
const FAMILY: [u8; 28] = [
    28, 0, 0, 0, 16, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0,
    0, // a message of the controller, the first
    1, 1, 0, 0, // NEWFAMILY
    6, 0, 1, 0, 30, 0, 0, 0, // FAMILY_ID
];
const ACKNOWLEDGED: [u8; 36] = [
    36, 0, 0, 0, 2, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, // NLMSG_ERROR, capped
    0, 0, 0, 0, // of nothing
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // the request's header
];

/// A kernel that says what the octets say: one that tells how, one for a length, a datagram.
struct Said<'a> {
    octets: Octets<'a>,
    first: Vec<&'static [u8]>,
    /// Of the last request.
    sequence: [u8; 4],
}

impl Datagrams for Said<'_> {
    fn send(&mut self, octets: &[u8]) -> io::Result<usize> {
        if let Some(sequence) = octets.get(8..).and_then(<[u8]>::first_chunk) {
            self.sequence = *sequence;
        }
        Ok(octets.len())
    }

    fn receive(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if let Some(first) = self.first.pop() {
            room[..first.len()].copy_from_slice(first);
            return Ok(first.len());
        }
        if self.octets.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let (how, length) = (self.octets.next(), self.octets.next());
        match how & 3 {
            1 => return Err(io::ErrorKind::Interrupted.into()),
            // ENOBUFS.
            2 => return Err(io::Error::from_raw_os_error(105)),
            _ => {}
        }
        let datagram = self.octets.take(usize::from(length) * 2);
        room[..datagram.len()].copy_from_slice(datagram);
        // No fuzzer finds a length and a number.
        if how & 4 == 0 && datagram.len() >= 16 {
            let length = u32::try_from(datagram.len()).expect("a short one");
            room[..4].copy_from_slice(&length.to_ne_bytes());
            room[8..12].copy_from_slice(&self.sequence);
        }
        Ok(datagram.len())
    }
}

/// The first octet says whether the kernel has a usual number for the family.
pub fn feed(octets: &[u8]) {
    let mut octets = Octets(octets);
    let first: Vec<&[u8]> =
        if octets.next() & 1 == 0 { vec![&ACKNOWLEDGED, &FAMILY] } else { Vec::new() };
    let said = Said { octets, first, sequence: [0; 4] };
    let Ok(mut ipvs) = Ipvs::over(said) else { return };
    let service =
        Service::Address { address: [192, 0, 2, 1].into(), port: 80, protocol: Protocol::Tcp };
    let scheduling =
        Scheduling { scheduler: Scheduler::Rr, flags: 0, hashed: false, one_packet: false };
    let commands = [
        Command::AddService(ServiceSpec { service, scheduling, persistence: None }),
        Command::SetTimeouts(Timeouts::default()),
        Command::StopSync(SyncRole::Master),
    ];
    if let Ok(results) = ipvs.perform(&commands) {
        assert_eq!(results.len(), commands.len(), "a result for each command");
        // Whatever was refused can be said.
        let said = results.iter().filter_map(|one| one.as_ref().err()).map(ToString::to_string);
        assert!(said.into_iter().all(|text| !text.is_empty()), "refused in silence");
    }
    let (_, _) = (ipvs.version().is_ok(), ipvs.timeouts().is_ok());
    let mut again = Vec::new();
    if let Ok(listed) = ipvs.destinations(service) {
        let specs = listed.into_iter().filter_map(|one| one.spec);
        again.extend(specs.map(|spec| Command::AddDestination(service, spec)));
    }
    if let Ok(listed) = ipvs.services() {
        for one in listed {
            assert!(one.spec.as_ref().is_none_or(|spec| spec.service == one.service));
            again.push(Command::RemoveService(one.service));
            again.extend(one.spec.map(Command::SetService));
        }
    }
    if let Ok(threads) = ipvs.sync() {
        again.extend(threads.into_iter().map(Command::StartSync));
    }
    let _ = ipvs.perform(&again);
}
