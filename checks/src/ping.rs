//! An echo that comes back: ICMP (RFC 792) and ICMPv6 (RFC 4443 section 4).

use alloc::vec::Vec;

use crate::dialogue::{Step, Talk};
use crate::plan::Family;
use crate::verdict::{Stage, Verdict};

/// Octets behind the header of a request, as `ping` sends them.
pub const ECHO_OCTETS: usize = 56;

/// Type, code, checksum, id, sequence number.
const HEADER_LEN: usize = 8;

/// An attempt.
#[derive(Clone, Debug)]
pub(crate) struct Ping {
    family: Family,
    id: u16,
    sequence: u16,
}

impl Ping {
    pub(crate) const fn new(family: Family, id: u16, sequence: u16) -> Self {
        Self { family, id, sequence }
    }

    /// Whether it answers us. What it brings back is not compared: some hosts cut it.
    fn is_reply(&self, message: &[u8]) -> bool {
        let Some((header, _)) = message.split_first_chunk::<HEADER_LEN>() else { return false };
        let [kind, code, _, _, id @ .., high, low] = *header;
        let reply = match self.family {
            // Raw sockets hear messages before the kernel looked at the checksum.
            Family::V4 => kind == 0 && checksum(message) == 0,
            Family::V6 => kind == 129,
        };
        let (id, sequence) = (u16::from_be_bytes(id), u16::from_be_bytes([high, low]));
        reply && code == 0 && id == self.id && sequence == self.sequence
    }
}

/// The sum of RFC 1071 over a whole message: 0 if the one in it is right.
fn checksum(message: &[u8]) -> u16 {
    let words = message
        .chunks(2)
        .map(|word| u64::from(u16::from_be_bytes([word[0], word.get(1).copied().unwrap_or(0)])));
    let mut sum: u64 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

impl Talk for Ping {
    fn opened(&mut self, out: &mut Vec<u8>) -> Step {
        let kind = match self.family {
            Family::V4 => 8,
            Family::V6 => 128,
        };
        let mut message = Vec::with_capacity(HEADER_LEN + ECHO_OCTETS);
        message.extend_from_slice(&[kind, 0, 0, 0]);
        message.extend_from_slice(&self.id.to_be_bytes());
        message.extend_from_slice(&self.sequence.to_be_bytes());
        message.extend(b"vipd".iter().cycle().take(ECHO_OCTETS));
        if self.family == Family::V4 {
            let sum = checksum(&message);
            message[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        out.append(&mut message);
        Step::Continue
    }

    fn heard(&mut self, octets: &[u8], _out: &mut Vec<u8>) -> Step {
        if self.is_reply(octets) { Step::Over(Verdict::Good) } else { Step::Continue }
    }

    fn stage(&self) -> Stage {
        Stage::Answer
    }
}
