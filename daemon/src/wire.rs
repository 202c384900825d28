//! Netlink messages and attributes (`linux/netlink.h`) of the families whose header has 4 octets:
//! generic netlink (`linux/genetlink.h`) and netfilter (`linux/netfilter/nfnetlink.h`). Numbers are
//! in the machine's byte order unless a name says otherwise.
//!
//! The headers are 20 octets, an attribute's 4: less than what the traits of netlink-packet-core
//! ask of a family, and nothing here can panic.

use crate::ipvs::Malformed;

const MESSAGE_HEADER: usize = 16;
const FAMILY_HEADER: usize = 4;
const ATTRIBUTE_HEADER: usize = 4;

/// `NLMSG_ERROR`, also an acknowledgement; `NLMSG_DONE`, the end of a dump.
pub const ERROR: u16 = 2;
pub const DONE: u16 = 3;

/// `NLM_F_REQUEST`, `NLM_F_ACK`, `NLM_F_DUMP`.
pub const REQUEST: u16 = 0x1;
pub const ACK: u16 = 0x4;
pub const DUMP: u16 = 0x300;

/// `NLM_F_DUMP_INTR`: the table changed meanwhile.
pub const DUMP_INTERRUPTED: u16 = 0x10;
/// `NLM_F_CAPPED`: of the request only its header is repeated.
const CAPPED: u16 = 0x100;
/// `NLM_F_ACK_TLVS`: attributes follow the repeated request.
const ACK_ATTRIBUTES: u16 = 0x200;

const NESTED: u16 = 0x8000;
/// Without `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER`.
const ATTRIBUTE_TYPE: u16 = 0x3fff;

/// `NLMSGERR_ATTR_MSG`.
const ERROR_TEXT: u16 = 1;

/// Names are cut here. It is more than any the kernel takes, so it refuses what was cut.
const LONGEST_TEXT: usize = 255;

/// Messages one behind the other, as a datagram carries them.
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// One message of this kind, with the header of its family.
    pub fn message(
        &mut self,
        kind: u16,
        flags: u16,
        sequence: u32,
        header: [u8; FAMILY_HEADER],
        attributes: impl FnOnce(&mut Self),
    ) {
        let start = self.0.len();
        self.0.extend([0; 4]);
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(flags.to_ne_bytes());
        self.0.extend(sequence.to_ne_bytes());
        // Our port: the kernel knows it.
        self.0.extend([0; 4]);
        self.0.extend(header);
        attributes(self);
        let length = u32::try_from(self.0.len() - start).unwrap_or(u32::MAX);
        self.0[start..start + 4].copy_from_slice(&length.to_ne_bytes());
    }

    /// Attributes inside of one.
    pub fn nested(&mut self, kind: u16, inside: impl FnOnce(&mut Self)) {
        let start = self.0.len();
        self.0.extend([0; 2]);
        self.0.extend((kind | NESTED).to_ne_bytes());
        inside(self);
        let length = u16::try_from(self.0.len() - start).unwrap_or(u16::MAX);
        self.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
    }

    /// An attribute of a few octets.
    pub fn octets(&mut self, kind: u16, value: &[u8]) {
        let length = u16::try_from(ATTRIBUTE_HEADER + value.len()).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        let padded = self.0.len().next_multiple_of(4);
        self.0.resize(padded, 0);
    }

    /// A number.
    pub fn u16(&mut self, kind: u16, value: u16) {
        self.octets(kind, &value.to_ne_bytes());
    }

    /// A number.
    pub fn u32(&mut self, kind: u16, value: u32) {
        self.octets(kind, &value.to_ne_bytes());
    }

    /// A number in the network's byte order.
    pub fn be16(&mut self, kind: u16, value: u16) {
        self.octets(kind, &value.to_be_bytes());
    }

    /// A number in the network's byte order.
    pub fn be64(&mut self, kind: u16, value: u64) {
        self.octets(kind, &value.to_be_bytes());
    }

    /// A name with its terminating zero.
    pub fn text(&mut self, kind: u16, text: &str) {
        let text = text.as_bytes();
        let mut value = text[..text.len().min(LONGEST_TEXT)].to_vec();
        value.push(0);
        self.octets(kind, &value);
    }

    /// How much it is so far.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// All of it.
    pub fn into_octets(self) -> Vec<u8> {
        self.0
    }
}

/// One netlink message of a datagram.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// What it is: [`ERROR`], [`DONE`] or a family's number.
    pub kind: u16,
    /// Its flags.
    pub flags: u16,
    /// Of the request that it answers.
    pub sequence: u32,
    /// What follows its header.
    pub payload: &'a [u8],
}

/// The messages of a datagram. After one that is malformed there is no other.
#[derive(Clone, Copy, Debug)]
pub struct Messages<'a>(pub &'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let rest = std::mem::take(&mut self.0);
        Some(self.split(rest).ok_or(Malformed::Message))
    }
}

impl<'a> Messages<'a> {
    fn split(&mut self, octets: &'a [u8]) -> Option<Message<'a>> {
        let length = usize::try_from(u32_at(octets, 0)?).ok()?;
        let payload = octets.get(MESSAGE_HEADER..length)?;
        let kind = u16_at(octets, 4)?;
        let (flags, sequence) = (u16_at(octets, 6)?, u32_at(octets, 8)?);
        // The last one may lack its padding.
        self.0 = octets.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Message { kind, flags, sequence, payload })
    }
}

impl<'a> Message<'a> {
    /// Of an error or the end of a dump: its number, 0 if it is none, and the kernel's text.
    pub fn error(&self) -> Result<(i32, Option<String>), Malformed> {
        let code = u32_at(self.payload, 0).ok_or(Malformed::Error)?.cast_signed();
        let errno = code.checked_neg().ok_or(Malformed::Error)?;
        if self.flags & ACK_ATTRIBUTES == 0 {
            return Ok((errno, None));
        }
        let repeated = match (self.kind, self.flags & CAPPED) {
            (ERROR, 0) => usize::try_from(u32_at(self.payload, 4).ok_or(Malformed::Error)?)
                .map_err(|_| Malformed::Error)?
                .checked_next_multiple_of(4)
                .ok_or(Malformed::Error)?,
            (ERROR, _) => MESSAGE_HEADER,
            _ => 0,
        };
        let attributes = self.payload.get(4..).and_then(|rest| rest.get(repeated..));
        let mut text = None;
        for attribute in Attributes(attributes.ok_or(Malformed::Error)?) {
            let (kind, value) = attribute?;
            if kind == ERROR_TEXT {
                text = Some(text_of(value));
            }
        }
        Ok((errno, text))
    }

    /// Of a family's message: its command and its attributes.
    pub fn content(&self) -> Result<(u8, Attributes<'a>), Malformed> {
        let command = self.payload.first().ok_or(Malformed::Message)?;
        let attributes = self.payload.get(FAMILY_HEADER..).ok_or(Malformed::Message)?;
        Ok((*command, Attributes(attributes)))
    }
}

/// Attributes one behind the other, each its type and value.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a>(pub &'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<(u16, &'a [u8]), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let rest = std::mem::take(&mut self.0);
        Some(self.split(rest).ok_or(Malformed::Attribute))
    }
}

impl<'a> Attributes<'a> {
    fn split(&mut self, octets: &'a [u8]) -> Option<(u16, &'a [u8])> {
        let length = usize::from(u16_at(octets, 0)?);
        let value = octets.get(ATTRIBUTE_HEADER..length)?;
        let kind = u16_at(octets, 2)? & ATTRIBUTE_TYPE;
        self.0 = octets.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    }
}

/// A name, without what follows its first zero.
pub fn text_of(value: &[u8]) -> String {
    let end = value.iter().position(|octet| *octet == 0).unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
}

fn u16_at(octets: &[u8], at: usize) -> Option<u16> {
    octets.get(at..)?.first_chunk().map(|two| u16::from_ne_bytes(*two))
}

fn u32_at(octets: &[u8], at: usize) -> Option<u32> {
    octets.get(at..)?.first_chunk().map(|four| u32::from_ne_bytes(*four))
}
