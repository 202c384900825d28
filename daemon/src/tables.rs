//! Which tables of nftables there are (`NFT_MSG_GETTABLE`, `linux/netfilter/nf_tables.h`), asked of
//! the kernel itself: to run `nft` for it takes longer than all else that a start does.

use std::io;

use nix::errno::Errno;
use rtnetlink::sys::protocols::NETLINK_NETFILTER;

use crate::gate::codec::NFTABLES;
use crate::ipvs::client::{Datagrams, LONGEST_DATAGRAM};
use crate::ipvs::socket::Socket;
use crate::wire::{DONE, DUMP, ERROR, Messages, REQUEST, Writer, text_of};

/// `NFT_MSG_NEWTABLE`, as which tables are told, and `NFT_MSG_GETTABLE`.
const TABLE: u16 = NFTABLES << 8;
const TABLES: u16 = TABLE | 1;
/// `NFPROTO_UNSPEC`: tables of every family.
const EVERY_FAMILY: [u8; 4] = [0; 4];
/// `NFTA_TABLE_NAME`.
const NAME: u16 = 1;

/// The number of the only question.
const QUESTION: u32 = 1;

/// A table of nftables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// [`INET`], [`NETDEV`] or another family's number.
    pub family: u8,
    /// Its name.
    pub name: String,
}

/// `NFPROTO_INET`.
pub const INET: u8 = 1;
/// `NFPROTO_NETDEV`.
pub const NETDEV: u8 = 5;

/// The tables of the network namespace of this thread.
///
/// # Errors
/// Those of netlink(7); a kernel without nftables says one too.
pub fn present() -> io::Result<Vec<Table>> {
    read(&mut Socket::speaks(NETLINK_NETFILTER)?)
}

fn read(datagrams: &mut impl Datagrams) -> io::Result<Vec<Table>> {
    let mut question = Writer::default();
    question.message(TABLES, REQUEST | DUMP, QUESTION, EVERY_FAMILY, |_| {});
    datagrams.send(&question.into_octets())?;
    let (mut room, mut tables) = (vec![0; LONGEST_DATAGRAM], Vec::new());
    loop {
        let length = datagrams.receive(&mut room)?.min(room.len());
        if take(&room[..length], &mut tables)? {
            return Ok(tables);
        }
    }
}

/// Takes the tables of a datagram. Says whether it is the last one.
fn take(octets: &[u8], tables: &mut Vec<Table>) -> io::Result<bool> {
    for message in Messages(octets) {
        let message = message.map_err(io::Error::other)?;
        match message.kind {
            _ if message.sequence != QUESTION => {}
            TABLE => {
                let (family, attributes) = message.content().map_err(io::Error::other)?;
                for attribute in attributes {
                    let (kind, value) = attribute.map_err(io::Error::other)?;
                    if kind == NAME {
                        tables.push(Table { family, name: text_of(value) });
                    }
                }
            }
            ERROR | DONE => {
                let (errno, _) = message.error().map_err(io::Error::other)?;
                return if errno == 0 { Ok(true) } else { Err(Errno::from_raw(errno).into()) };
            }
            _ => {}
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// A kernel that answers with these datagrams.
    struct Kernel(VecDeque<Vec<u8>>);

    impl Datagrams for Kernel {
        fn send(&mut self, octets: &[u8]) -> io::Result<usize> {
            let asked = Messages(octets).next().expect("a question").expect("whole");
            assert_eq!((asked.kind, asked.flags), (0x0a01, 0x301));
            Ok(octets.len())
        }

        fn receive(&mut self, room: &mut [u8]) -> io::Result<usize> {
            let next = self.0.pop_front().ok_or(io::ErrorKind::WouldBlock)?;
            room[..next.len()].copy_from_slice(&next);
            Ok(next.len())
        }
    }

    fn told(tables: &[(u8, &str)], sequence: u32) -> Vec<u8> {
        let mut out = Writer::default();
        for (family, name) in tables {
            out.message(TABLE, 2, sequence, [*family, 0, 0, 0], |out| {
                out.u32(2, 0);
                out.text(NAME, name);
                out.u32(3, 1);
            });
        }
        out.into_octets()
    }

    /// `header` is the number of an error, or what follows a dump.
    fn ended(kind: u16, errno: i32) -> Vec<u8> {
        let mut out = Writer::default();
        out.message(kind, 2, QUESTION, (-errno).to_ne_bytes(), |_| {});
        out.into_octets()
    }

    fn read_of(datagrams: &[Vec<u8>]) -> io::Result<Vec<Table>> {
        read(&mut Kernel(datagrams.iter().cloned().collect()))
    }

    #[test]
    fn tables_of_every_family_are_read_to_the_end_of_the_dump() {
        let first = told(&[(INET, "vipd"), (2, "nat")], QUESTION);
        let second = [told(&[(NETDEV, "vipd_lease_1")], QUESTION), ended(DONE, 0)].concat();
        let table = |family, name: &str| Table { family, name: name.to_string() };
        let wanted = [table(INET, "vipd"), table(2, "nat"), table(NETDEV, "vipd_lease_1")];
        assert_eq!(read_of(&[first, second]).expect("tables"), wanted);
        assert_eq!(read_of(&[ended(DONE, 0)]).expect("none"), []);
    }

    #[test]
    fn what_answers_another_question_is_left_and_an_error_is_told() {
        let other = told(&[(INET, "vipd")], QUESTION + 1);
        assert_eq!(read_of(&[other, ended(DONE, 0)]).expect("none"), []);
        let refused = read_of(&[ended(ERROR, Errno::EPERM as i32)]).expect_err("refused");
        assert_eq!(refused.raw_os_error(), Some(Errno::EPERM as i32));
        assert!(read_of(&[told(&[(INET, "vipd")], QUESTION)]).is_err());
        assert!(read_of(&[vec![1, 2, 3]]).is_err());
    }
}
