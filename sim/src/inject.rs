//! Datagrams of somebody who runs no engine: any field may be wrong, and any octet.

use std::net::IpAddr;

use vipd_engine::MacAddress;
use vipd_engine::Version;
use vipd_engine::rules::ChecksumForm;
use vipd_engine::vrrp::advert::{IP_PROTOCOL, TYPE_ADVERTISEMENT};
use vipd_engine::vrrp::checksum;
use vipd_frames::{Endpoints, Ethernet, IpHeader};
use vipd_scenarios::record::{Recorder, SeenAdvert};
use vipd_scenarios::scenario::{AdvertFields, Injection, Message};

use crate::network::{Due, Network, PortId, seen_advert};

/// The MAC that injected frames come from.
pub const STRANGER: MacAddress = MacAddress([0x02, 0xfe, 0, 0, 0, 1]);

/// An injection that runs.
pub struct Running {
    injection: Injection,
    port: PortId,
    left: u32,
}

impl Running {
    /// An injection that begins now, at this port.
    #[must_use]
    pub const fn new(injection: Injection, port: PortId) -> Self {
        let left = injection.count;
        Self { injection, port, left }
    }

    /// Sends the next one and files the one after it.
    pub fn on_due(&mut self, index: u32, net: &mut Network, record: &mut dyn Recorder) {
        let Injection { src, dst, ttl, protocol, every, .. } = self.injection;
        let Some(endpoints) = Endpoints::new(src, dst).filter(|_| self.left > 0) else { return };
        self.left -= 1;
        if self.left > 0 {
            net.queue.push(net.now.later(every), Due::Injection { index });
        }
        let message = match &self.injection.message {
            Message::Advert(fields) => message(fields, src, dst),
            Message::Octets(octets) => octets.clone(),
        };
        let segment = self.injection.segment;
        let ethernet = Ethernet::toward(STRANGER, dst, net.resolve(segment, dst));
        let number = net.number_packet();
        let packet = net.packets.take();
        let in_flight = net.packets.get_mut(packet);
        let header = IpHeader { protocol, ..IpHeader::vrrp(endpoints, ttl, number.0 as u16) };
        vipd_frames::encode_raw(ethernet, &header, &message, &mut in_flight.bytes);
        // Behind another protocol number it is no VRRP, whatever it looks like.
        in_flight.advert = seen_advert(number, segment, None, (src, dst), &message)
            .map(|advert| SeenAdvert { injection: Some(index), ..advert })
            .filter(|_| protocol == IP_PROTOCOL);
        net.transmit(self.port, packet, record);
    }
}

/// The VRRP message. A version that nobody has defined has the layout of v2.
fn message(fields: &AdvertFields, src: IpAddr, dst: IpAddr) -> Vec<u8> {
    let AdvertFields { version, vrid, priority, interval, auth_type, auth_data, .. } = fields;
    let count = fields.addresses.len() as u8;
    let mut out = vec![version << 4 | TYPE_ADVERTISEMENT, *vrid, *priority, count];
    if *version == 3 {
        out.extend_from_slice(&(interval & 0x0fff).to_be_bytes());
    } else {
        out.extend_from_slice(&[*auth_type, *interval as u8]);
    }
    out.extend_from_slice(&[0, 0]);
    for address in &fields.addresses {
        match address {
            IpAddr::V4(address) => out.extend_from_slice(&address.octets()),
            IpAddr::V6(address) => out.extend_from_slice(&address.octets()),
        }
    }
    if *version != 3 {
        out.extend_from_slice(auth_data);
    }
    let layout = if *version == 3 { Version::V3 } else { Version::V2 };
    let right = checksum::of_advert(layout, ChecksumForm::PseudoHeader, src, dst, &out);
    let sum = right.wrapping_add(fields.checksum_error);
    out[6..8].copy_from_slice(&sum.to_be_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advert(version: u8, interval: u16) -> AdvertFields {
        AdvertFields {
            version,
            vrid: 51,
            priority: 150,
            interval,
            auth_type: 0,
            auth_data: [0; 8],
            addresses: vec![IpAddr::from([10, 99, 0, 10])],
            checksum_error: 0,
        }
    }

    fn sent(fields: &AdvertFields) -> Vec<u8> {
        message(fields, IpAddr::from([10, 99, 0, 1]), IpAddr::from([224, 0, 0, 18]))
    }

    /// What keepalived 2.2.7 and FRR 8.4.4 send for these fields.
    #[test]
    fn without_a_wrong_field_it_is_what_deployed_routers_send() {
        let v2 = [0x21, 51, 150, 1, 0, 1, 0x3e, 0x5d, 10, 99, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(sent(&advert(2, 1)), v2);
        let v3 = [0x31, 51, 150, 1, 0, 100, 0x43, 0x07, 10, 99, 0, 10];
        assert_eq!(sent(&advert(3, 100)), v3);
    }

    #[test]
    fn a_checksum_error_changes_the_checksum_and_nothing_else() {
        let wrong = sent(&AdvertFields { checksum_error: 1, ..advert(3, 100) });
        assert_eq!(wrong[..6], sent(&advert(3, 100))[..6]);
        assert_eq!(wrong[6..8], [0x43, 0x08]);
    }
}
