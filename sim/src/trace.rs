//! The trace: a 128-bit XXH3 hash with the published constants (seed 0, default secret) over every
//! (world time, host, input octets, outputs) in order, never over text.
//!
//! Two runs with one trace took the same decisions at the same nanoseconds. It says nothing about
//! what the decisions were: see the Record.

use std::hash::{Hash, Hasher};
use std::net::IpAddr;

use vipd_engine::{Config, Input, LinkState, Output, TrackerValue};
use vipd_scenarios::record::{HostId, WorldTime};
use xxhash_rust::xxh3::Xxh3;

/// Octets that are gathered before they are hashed: many small writes cost more than one.
const GATHER: usize = 4096;
/// Most octets that are written without a look at how many are gathered.
const FEW: usize = 16;

/// Octets so far, hashed in blocks.
#[derive(Clone)]
pub struct Trace {
    hash: Xxh3,
    /// With room for a few more at any time.
    gathered: Box<[u8; GATHER + FEW]>,
    /// So many of them are there, always less than [`GATHER`].
    len: usize,
}

impl Default for Trace {
    fn default() -> Self {
        Self { hash: Xxh3::new(), gathered: Box::new([0; GATHER + FEW]), len: 0 }
    }
}

impl Trace {
    /// An engine is about to take this in.
    pub fn input(&mut self, at: WorldTime, host: HostId, input: &Input<'_>) {
        match input {
            Input::Tick => self.begin(at, host, 0),
            Input::Configure(config) => {
                self.begin(at, host, 1);
                self.configuration(config);
            }
            Input::Advert(received) => {
                self.begin(at, host, 2);
                self.write_u32(received.interface.0);
                self.address(received.src);
                self.address(received.dst);
                self.write_u8(received.ttl);
                self.write_u32(received.bytes.len() as u32);
                self.write(received.bytes);
            }
            Input::Link(link) => {
                self.begin(at, host, 3);
                self.write_u32(link.interface.0);
                self.write(&link.mac.0);
                self.write_u8(match link.state {
                    LinkState::Up => 0,
                    LinkState::Down => 1,
                    LinkState::Absent => 2,
                });
                link.name.hash(self);
            }
            Input::LocalAddress(address) => {
                self.begin(at, host, 4);
                self.write_u32(address.interface.0);
                self.address(address.address);
                self.write_u8(u8::from(address.present));
            }
            Input::Fib(change) => {
                self.begin(at, host, 9);
                change.entry.hash(self);
                self.write_u8(u8::from(change.present));
            }
            Input::Tracker { id, value } => {
                self.begin(at, host, 5);
                id.hash(self);
                self.tracker(*value);
            }
            Input::Done { id, result } => {
                self.begin(at, host, 6);
                id.hash(self);
                result.hash(self);
            }
            Input::Shutdown => self.begin(at, host, 7),
            Input::Operator { instance, order } => {
                self.begin(at, host, 8);
                instance.hash(self);
                order.hash(self);
            }
            Input::Probe { id, outcome } => {
                self.begin(at, host, 10);
                (id, outcome).hash(self);
            }
            Input::Ipvs { number, answer } => {
                self.begin(at, host, 11);
                (number, answer).hash(self);
            }
            Input::Server { server, order } => {
                self.begin(at, host, 12);
                (server, order).hash(self);
            }
        }
    }

    /// An engine gave this out.
    pub fn output(&mut self, output: &Output) {
        output.hash(self);
    }

    /// The kernel of a host took in this frame, which is not for an engine.
    pub fn frame(&mut self, at: WorldTime, host: HostId, frame: &[u8]) {
        self.begin(at, host, 8);
        self.write_u32(frame.len() as u32);
        self.write(frame);
    }

    /// The hash of everything so far.
    #[must_use]
    pub fn digest(&self) -> u128 {
        let mut hash = self.hash.clone();
        hash.update(&self.gathered[..self.len]);
        hash.digest128()
    }

    /// These come when so much was gathered already.
    #[cold]
    fn hash_all(&mut self, gathered: usize, octets: &[u8]) {
        self.hash.update(&self.gathered[..gathered]);
        self.hash.update(octets);
        self.len = 0;
    }

    /// A number. That the length is below [`GATHER`] is said for the compiler, which needs no look
    /// at the bounds then.
    #[inline]
    fn put<const N: usize>(&mut self, octets: [u8; N]) {
        const { assert!(N <= FEW) };
        let at = self.len % GATHER;
        self.gathered[at..at + N].copy_from_slice(&octets);
        self.len = at + N;
        if self.len >= GATHER {
            self.hash_all(self.len, &[]);
        }
    }

    /// When and where, and what kind of thing follows.
    fn begin(&mut self, at: WorldTime, host: HostId, kind: u8) {
        let [h0, h1] = host.0.to_le_bytes();
        let [t0, t1, t2, t3, t4, t5, t6, t7] = at.0.to_le_bytes();
        self.put([t0, t1, t2, t3, t4, t5, t6, t7, h0, h1, kind]);
    }

    fn address(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(address) => {
                let [a, b, c, d] = address.octets();
                self.put([4, a, b, c, d]);
            }
            IpAddr::V6(address) => {
                self.write_u8(6);
                self.write(&address.octets());
            }
        }
    }

    fn tracker(&mut self, value: TrackerValue) {
        match value {
            TrackerValue::Pending => self.write_u8(0),
            TrackerValue::Up => self.write_u8(1),
            TrackerValue::Down => self.write_u8(2),
            TrackerValue::Number(number) => {
                self.write_u8(3);
                self.write_u32(number as u32);
            }
        }
    }

    /// Who the virtual routers are. What else a configuration says shows in the outputs.
    fn configuration(&mut self, config: &Config) {
        self.write_u32(config.instances().len() as u32);
        for instance in config.instances() {
            instance.identity().hash(self);
            self.write_u8(instance.priority.get());
            self.write_u16(instance.interval.centiseconds());
        }
    }
}

/// Takes derived `Hash`es as octets: every number in its full width, little-endian.
impl Hasher for Trace {
    #[inline]
    fn write(&mut self, octets: &[u8]) {
        let end = self.len + octets.len();
        match self.gathered[..GATHER - 1].get_mut(self.len..end) {
            Some(room) => {
                room.copy_from_slice(octets);
                self.len = end;
            }
            None => self.hash_all(self.len, octets),
        }
    }

    #[inline]
    fn write_u8(&mut self, number: u8) {
        self.put(number.to_le_bytes());
    }

    #[inline]
    fn write_u16(&mut self, number: u16) {
        self.put(number.to_le_bytes());
    }

    #[inline]
    fn write_u32(&mut self, number: u32) {
        self.put(number.to_le_bytes());
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        self.put(number.to_le_bytes());
    }

    #[inline]
    fn write_u128(&mut self, number: u128) {
        self.put(number.to_le_bytes());
    }

    #[inline]
    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    #[inline]
    fn write_i8(&mut self, number: i8) {
        self.put(number.to_le_bytes());
    }

    #[inline]
    fn write_i16(&mut self, number: i16) {
        self.put(number.to_le_bytes());
    }

    #[inline]
    fn write_i32(&mut self, number: i32) {
        self.put(number.to_le_bytes());
    }

    #[inline]
    fn write_i64(&mut self, number: i64) {
        self.put(number.to_le_bytes());
    }

    #[inline]
    fn write_i128(&mut self, number: i128) {
        self.put(number.to_le_bytes());
    }

    #[inline]
    fn write_isize(&mut self, number: isize) {
        self.write_i64(number as i64);
    }

    fn finish(&self) -> u64 {
        self.digest() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vipd_engine::{Ifindex, Received};
    use xxhash_rust::xxh3::xxh3_128;

    const HOST: HostId = HostId(1);

    fn advert(bytes: &[u8]) -> u128 {
        let mut trace = Trace::default();
        let src = IpAddr::from([10, 0, 0, 1]);
        let dst = IpAddr::from([224, 0, 0, 18]);
        let received = Received { interface: Ifindex(2), src, dst, ttl: 255, bytes };
        trace.input(WorldTime(5), HOST, &Input::Advert(received));
        trace.digest()
    }

    #[test]
    fn one_flipped_bit_of_one_input_changes_it() {
        assert_eq!(advert(&[0x21, 51, 100]), advert(&[0x21, 51, 100]));
        assert_ne!(advert(&[0x21, 51, 100]), advert(&[0x21, 51, 101]));
    }

    #[test]
    fn it_is_the_hash_of_the_octets_however_they_are_cut() {
        let (mut trace, mut octets) = (Trace::default(), Vec::new());
        for tick in 0..5000_u64 {
            trace.input(WorldTime(tick), HOST, &Input::Tick);
            octets.extend_from_slice(&tick.to_le_bytes());
            octets.extend_from_slice(&[1, 0, 0]);
            let frame = vec![0xa5; (tick * 7 % 61) as usize];
            trace.frame(WorldTime(tick), HOST, &frame);
            octets.extend_from_slice(&tick.to_le_bytes());
            octets.extend_from_slice(&[1, 0, 8, frame.len() as u8, 0, 0, 0]);
            octets.extend_from_slice(&frame);
        }
        let long = [0x5a; 3 * GATHER];
        trace.frame(WorldTime(9), HOST, &long);
        octets.extend_from_slice(&[9, 0, 0, 0, 0, 0, 0, 0, 1, 0, 8, 0, 48, 0, 0]);
        octets.extend_from_slice(&long);
        assert_eq!(trace.digest(), xxh3_128(&octets));
    }

    /// The value that the author's C program gives for no octets and seed 0.
    #[test]
    fn nothing_hashes_to_the_published_value() {
        assert_eq!(Trace::default().digest(), 0x99aa_06d3_0147_98d8_6001_c324_468d_497f);
    }
}
