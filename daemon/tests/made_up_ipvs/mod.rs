//! A kernel's IPVS, made up from `linux/ip_vs.h`: it reads requests with netlink-packet-core, keeps
//! a table, and answers. Nothing of `vipd::ipvs` but its trait is used.
//!
//! `numbers` has the enumerations of the header, `table` the rows.

#![allow(dead_code, unused_imports, reason = "not every test needs all of it")]

pub mod numbers;
mod table;

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkBuffer};
use vipd::ipvs::client::Datagrams;

use numbers::{CMD, CMD_ATTR, CTRL_ATTR, CTRL_CMD, INFO_ATTR};
pub use table::{Attributes, Destination, Identity, Row, Table, attribute};

/// What it calls the family.
const FAMILY: u16 = 0x1e;

pub const EPERM: i32 = 1;
pub const ENOENT: i32 = 2;
pub const ESRCH: i32 = 3;
pub const EEXIST: i32 = 17;
pub const EINVAL: i32 = 22;
pub const ERANGE: i32 = 34;
const ENOBUFS: i32 = 105;

/// An error of a command and the kernel's words for it.
pub type Refused = (i32, Option<&'static str>);

/// What waits to be received.
enum Waiting {
    Datagram(Vec<u8>),
    /// Something was lost here.
    Lost,
}

/// The kernel and what goes wrong on the way to it.
#[derive(Default)]
pub struct Kernel {
    /// It has no IPVS.
    pub has_none: bool,
    /// So often its module was loaded anew: each time the family has another number.
    pub reloads: u16,
    pub table: Table,
    /// A send takes no more octets than this.
    pub takes_at_most: Option<usize>,
    /// So many answers can wait; what comes on top is lost. 0: any number.
    pub room: usize,
    /// So many dumps are disturbed.
    pub disturbs: usize,
    /// So many calls are interrupted by a signal.
    pub signals: usize,
    /// It is asked nothing any more.
    pub is_deaf: bool,
    /// Everything is answered with this.
    pub refuses: Option<Refused>,
    /// Datagrams that came in.
    pub received: Vec<Vec<u8>>,
    /// Datagrams that went out, or were lost.
    pub told: usize,
    waiting: VecDeque<Waiting>,
}

/// One end of the way to it; clones lead to the same one.
#[derive(Clone, Default)]
pub struct Peer(Arc<Mutex<Kernel>>);

impl Peer {
    /// The kernel at the other end.
    pub fn kernel(&self) -> MutexGuard<'_, Kernel> {
        self.0.lock().expect("nobody failed with it")
    }
}

impl Datagrams for Peer {
    fn send(&mut self, octets: &[u8]) -> io::Result<usize> {
        let mut kernel = self.kernel();
        kernel.interrupted()?;
        let taken = octets.len().min(kernel.takes_at_most.unwrap_or(usize::MAX));
        if !kernel.is_deaf {
            kernel.hear(&octets[..taken]);
        }
        Ok(taken)
    }

    fn receive(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let mut kernel = self.kernel();
        kernel.interrupted()?;
        match kernel.waiting.pop_front() {
            None => Err(io::ErrorKind::WouldBlock.into()),
            Some(Waiting::Lost) => Err(io::Error::from_raw_os_error(ENOBUFS)),
            Some(Waiting::Datagram(datagram)) => {
                let length = datagram.len().min(room.len());
                room[..length].copy_from_slice(&datagram[..length]);
                Ok(datagram.len())
            }
        }
    }
}

impl Kernel {
    /// Something that nobody asked for waits too.
    pub fn say(&mut self, datagram: Vec<u8>) {
        self.waiting.push_back(Waiting::Datagram(datagram));
    }

    fn interrupted(&mut self) -> io::Result<()> {
        if self.signals == 0 {
            return Ok(());
        }
        self.signals -= 1;
        Err(io::ErrorKind::Interrupted.into())
    }

    /// As `netlink_rcv_skb` does: message by message, and a cut one is the end.
    fn hear(&mut self, octets: &[u8]) {
        self.received.push(octets.to_vec());
        let mut rest = octets;
        while let Ok(message) = NetlinkBuffer::new_checked(rest) {
            let length = message.length() as usize;
            assert_eq!(length % 4, 0, "a message is not padded");
            assert_ne!(message.flags() & NLM_F_REQUEST, 0, "no request");
            let acknowledges = message.flags() & NLM_F_ACK != 0;
            let (kind, sequence) = (message.message_type(), message.sequence_number());
            let is_dump = message.flags() & NLM_F_DUMP == NLM_F_DUMP;
            let payload = message.payload();
            let header: [u8; 16] = rest[..16].try_into().expect("a header");
            let [command, version, 0, 0] = payload[..4] else { panic!("no generic header") };
            assert_eq!(version, 1, "the version of the family");
            let answered = (is_dump, acknowledges);
            self.answer(kind, command, answered, sequence, header, &payload[4..]);
            rest = &rest[length..];
        }
    }

    fn answer(
        &mut self,
        family: u16,
        command: u8,
        (is_dump, acknowledges): (bool, bool),
        sequence: u32,
        header: [u8; 16],
        payload: &[u8],
    ) {
        let answer = match (self.refuses, family) {
            (Some(refused), _) => Err(refused),
            (None, 16) => self.family(command, payload),
            (None, number) if number == self.number() => {
                self.table.answer(command, is_dump, payload)
            }
            (None, _) => Err((ENOENT, None)),
        };
        let rows = match answer {
            Ok(rows) => rows,
            Err((errno, text)) => return self.acknowledge(sequence, errno, text, header),
        };
        let disturbed = is_dump && self.disturbs > 0;
        self.disturbs -= usize::from(disturbed);
        let flags = if disturbed { NLM_F_DUMP_INTR } else { 0 };
        let mut messages: Vec<_> = rows
            .into_iter()
            .map(|(command, attributes)| {
                let payload = [&[command, 1, 0, 0], attributes.as_slice()].concat();
                message(family, flags, sequence, &payload)
            })
            .collect();
        if !is_dump {
            messages.into_iter().for_each(|one| self.queue(one));
            if acknowledges {
                self.acknowledge(sequence, 0, None, header);
            }
            return;
        }
        messages.push(message(3, flags, sequence, &0_i32.to_ne_bytes()));
        // Several rows in one datagram, and the end in the last or by itself.
        for some in messages.chunks(3) {
            self.queue(some.concat());
        }
    }

    fn number(&self) -> u16 {
        FAMILY + self.reloads
    }

    fn family(&self, command: u8, payload: &[u8]) -> Result<Vec<(u8, Vec<u8>)>, Refused> {
        assert_eq!(command, CTRL_CMD.number("GETFAMILY") as u8);
        let attributes = Attributes::read(payload);
        let name = attributes.get(CTRL_ATTR.number("FAMILY_NAME")).expect("the family's name");
        if self.has_none || name != b"IPVS\0" {
            return Err((ENOENT, None));
        }
        let answer = [
            attribute(CTRL_ATTR.number("FAMILY_NAME"), name),
            attribute(CTRL_ATTR.number("FAMILY_ID"), &self.number().to_ne_bytes()),
        ];
        Ok(vec![(CTRL_CMD.number("NEWFAMILY") as u8, answer.concat())])
    }

    /// As `netlink_ack` does, with `NETLINK_CAP_ACK` and `NETLINK_EXT_ACK`.
    fn acknowledge(&mut self, sequence: u32, errno: i32, text: Option<&str>, header: [u8; 16]) {
        let mut payload = (-errno).to_ne_bytes().to_vec();
        payload.extend(header);
        let mut flags = 0x100;
        if let Some(text) = text {
            flags |= 0x200;
            payload.extend(attribute(1, &[text.as_bytes(), b"\0"].concat()));
        }
        self.queue(message(2, flags, sequence, &payload));
    }

    fn queue(&mut self, datagram: Vec<u8>) {
        self.told += 1;
        if self.room == 0 || self.waiting.len() < self.room {
            self.waiting.push_back(Waiting::Datagram(datagram));
        } else if !matches!(self.waiting.back(), Some(Waiting::Lost)) {
            self.waiting.push_back(Waiting::Lost);
        }
    }
}

/// What `GET_INFO` and `GET_CONFIG` are answered with.
fn info(version: u32) -> (u8, Vec<u8>) {
    let attributes = [
        attribute(INFO_ATTR.number("VERSION"), &version.to_ne_bytes()),
        attribute(INFO_ATTR.number("CONN_TAB_SIZE"), &4096_u32.to_ne_bytes()),
    ];
    (CMD.number("SET_INFO") as u8, attributes.concat())
}

fn config(timeouts: [u32; 3]) -> (u8, Vec<u8>) {
    let names = ["TIMEOUT_TCP", "TIMEOUT_TCP_FIN", "TIMEOUT_UDP"];
    let attributes = names.into_iter().zip(timeouts);
    let octets =
        attributes.flat_map(|(name, limit)| attribute(CMD_ATTR.number(name), &limit.to_ne_bytes()));
    (CMD.number("SET_CONFIG") as u8, octets.collect())
}

/// A netlink message.
pub fn message(kind: u16, flags: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + payload.len()).expect("a short message");
    let mut octets = length.to_ne_bytes().to_vec();
    octets.extend(kind.to_ne_bytes());
    octets.extend(flags.to_ne_bytes());
    octets.extend(sequence.to_ne_bytes());
    octets.extend([0; 4]);
    octets.extend(payload);
    octets.resize(octets.len().next_multiple_of(4), 0);
    octets
}
