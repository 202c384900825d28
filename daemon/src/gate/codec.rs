//! A lease as elements of a set, written in one transaction (`linux/netfilter/nfnetlink.h`,
//! `linux/netfilter/nf_tables.h`): what is sent, and what the kernel's answer means. Pure.
//!
//! The elements are the EtherTypes of what asks for an address or is sent to it, so a renewal has
//! the same length however many addresses stand behind the gate.

use std::time::Duration;

use nix::errno::Errno;

use crate::ipvs::Malformed;
use crate::tables;
use crate::wire::{ACK, ERROR, Messages, REQUEST, Writer};

/// The name of the set in the table of each gate.
pub const SET: &str = "lease";
/// ARP, IPv4, IPv6 (`linux/if_ether.h`), as nft calls them in a set of type `ether_type`.
const PROTOCOLS: [u16; 3] = [0x0806, 0x0800, 0x86dd];
/// Numbers that one transaction uses: two messages around those that say what to do.
pub const NUMBERS: u32 = 5;

/// `NFNL_MSG_BATCH_BEGIN` and `_END`.
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
/// `NFNL_SUBSYS_NFTABLES`, for the transaction and in a kind.
pub const NFTABLES: u16 = 10;
/// `NFT_MSG_NEWSETELEM` and `NFT_MSG_DELSETELEM`.
const NEW_ELEMENTS: u16 = NFTABLES << 8 | 12;
const DELETE_ELEMENTS: u16 = NFTABLES << 8 | 14;
/// `NLM_F_CREATE`.
const CREATE: u16 = 0x400;
/// `NFPROTO_NETDEV` and `NFNETLINK_V0`, no resource.
const NETDEV: [u8; 4] = [tables::NETDEV, 0, 0, 0];

/// `NFTA_SET_ELEM_LIST_TABLE`, `_SET` and `_ELEMENTS`.
const TABLE: u16 = 1;
const NAME: u16 = 2;
const ELEMENTS: u16 = 3;
/// `NFTA_LIST_ELEM`; `NFTA_SET_ELEM_KEY` and `_TIMEOUT`; `NFTA_DATA_VALUE`.
const ELEMENT: u16 = 1;
const KEY: u16 = 1;
const TIMEOUT: u16 = 4;
const VALUE: u16 = 1;

/// The lease of this table's gate ends so long after the kernel has read it. It counts milliseconds
/// by its ticks, and rounds down. `None` if that is nothing: a timeout of 0 would be none at all.
///
/// Its elements are added, deleted and added again: deleting what is not there is refused, and
/// before Linux 6.12 one that is there already kept its time.
#[must_use]
pub fn renewal(table: &str, sequence: u32, left: Duration) -> Option<Vec<u8>> {
    let left = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
    (left > 0).then(|| {
        transaction(
            table,
            sequence,
            &[(NEW_ELEMENTS, Some(left)), (DELETE_ELEMENTS, None), (NEW_ELEMENTS, Some(left))],
        )
    })
}

/// The lease of this table's gate ends now, whether there is one or not.
#[must_use]
pub fn end(table: &str, sequence: u32) -> Vec<u8> {
    // For the moment between the two nobody sees it: the kernel does both or nothing.
    transaction(table, sequence, &[(NEW_ELEMENTS, Some(1)), (DELETE_ELEMENTS, None)])
}

/// What a datagram of the kernel says of the transaction with these numbers; `None` if nothing.
///
/// The first that it says counts. It tells an error before what it would have done otherwise, and
/// of a transaction that it did not take as a whole it may go on to confirm the last message.
///
/// # Errors
/// It is no message of netlink.
pub fn outcome(octets: &[u8], sequence: u32) -> Result<Option<Result<(), Errno>>, Malformed> {
    for message in Messages(octets) {
        let message = message?;
        if message.kind == ERROR && message.sequence.wrapping_sub(sequence) < NUMBERS {
            let (errno, _) = message.error()?;
            let result = if errno == 0 { Ok(()) } else { Err(Errno::from_raw(errno)) };
            return Ok(Some(result));
        }
    }
    Ok(None)
}

/// Only the last of the changes is answered if all is well.
fn transaction(table: &str, sequence: u32, changes: &[(u16, Option<u64>)]) -> Vec<u8> {
    let mut out = Writer::default();
    let mut numbers = (0..).map(|place| sequence.wrapping_add(place));
    let mut number = || numbers.next().unwrap_or_default();
    out.message(BATCH_BEGIN, REQUEST, number(), around(), |_| {});
    for (place, (kind, timeout)) in (1..).zip(changes) {
        let creates = if *kind == NEW_ELEMENTS { CREATE } else { 0 };
        let tells = if place == changes.len() { ACK } else { 0 };
        out.message(*kind, REQUEST | creates | tells, number(), NETDEV, |out| {
            out.text(TABLE, table);
            out.text(NAME, SET);
            out.nested(ELEMENTS, |out| {
                for protocol in PROTOCOLS {
                    put_element(out, protocol, *timeout);
                }
            });
        });
    }
    out.message(BATCH_END, REQUEST, number(), around(), |_| {});
    out.into_octets()
}

/// The family header of the two messages around a transaction.
const fn around() -> [u8; 4] {
    let [high, low] = NFTABLES.to_be_bytes();
    [0, 0, high, low]
}

fn put_element(out: &mut Writer, protocol: u16, timeout: Option<u64>) {
    out.nested(ELEMENT, |out| {
        if let Some(milliseconds) = timeout {
            out.be64(TIMEOUT, milliseconds);
        }
        out.nested(KEY, |out| out.be16(VALUE, protocol));
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    use crate::wire::Attributes;

    /// What nft 1.0.6 sent for `add element netdev vt lease { arp timeout 300ms, ip timeout 300ms,
    /// ip6 timeout 300ms }`, `delete element netdev vt lease { arp, ip, ip6 }` and the first again,
    /// without the number of the set (`NFTA_SET_ELEM_LIST_SET_ID`), which only a set of the same
    /// transaction needs. It gives the elements of a list the numbers 1, 2 and 3, which nobody
    /// reads.
    const NFT: &str = "
        14000000 10000100 00000000 00000000 0000000a
        80000000 0c0a0104 01000000 00000000 05000000
          07000100 76740000 0a000200 6c656173 65000000 58000380
          1c000180 0c000400 00000000 0000012c 0c000180 06000100 08060000
          1c000280 0c000400 00000000 0000012c 0c000180 06000100 08000000
          1c000380 0c000400 00000000 0000012c 0c000180 06000100 86dd0000
        5c000000 0e0a0100 02000000 00000000 05000000
          07000100 76740000 0a000200 6c656173 65000000 34000380
          10000180 0c000180 06000100 08060000
          10000280 0c000180 06000100 08000000
          10000380 0c000180 06000100 86dd0000
        80000000 0c0a0104 03000000 00000000 05000000
          07000100 76740000 0a000200 6c656173 65000000 58000380
          1c000180 0c000400 00000000 0000012c 0c000180 06000100 08060000
          1c000280 0c000400 00000000 0000012c 0c000180 06000100 08000000
          1c000380 0c000400 00000000 0000012c 0c000180 06000100 86dd0000
        14000000 11000100 04000000 00000000 0000000a";

    fn nft() -> Vec<u8> {
        let digits: Vec<u8> = NFT.bytes().filter(u8::is_ascii_hexdigit).collect();
        let octet = |two: &[u8]| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap();
        digits.chunks(2).map(octet).collect()
    }

    /// A message: its kind, flags and number, its family's header, and of its elements key and
    /// timeout.
    #[derive(Debug, PartialEq, Eq)]
    struct Read {
        kind: u16,
        flags: u16,
        number: u32,
        header: Vec<u8>,
        names: Vec<(u16, Vec<u8>)>,
        elements: Vec<(u16, Option<u64>)>,
    }

    fn read(octets: &[u8]) -> Vec<Read> {
        let mut all = Vec::new();
        for message in Messages(octets) {
            let message = message.unwrap();
            let (header, rest) = message.payload.split_at(4);
            let (mut names, mut elements) = (Vec::new(), Vec::new());
            for attribute in Attributes(rest) {
                let (kind, value) = attribute.unwrap();
                if kind != 3 {
                    names.push((kind, value.to_vec()));
                    continue;
                }
                for element in Attributes(value) {
                    let (mut key, mut timeout) = (None, None);
                    for part in Attributes(element.unwrap().1) {
                        match part.unwrap() {
                            (1, inside) => {
                                let (kind, value) = Attributes(inside).next().unwrap().unwrap();
                                assert_eq!(kind, 1);
                                key = Some(u16::from_be_bytes(value.try_into().unwrap()));
                            }
                            (4, value) => {
                                timeout = Some(u64::from_be_bytes(value.try_into().unwrap()));
                            }
                            other => panic!("{other:?}"),
                        }
                    }
                    elements.push((key.expect("a key"), timeout));
                }
            }
            let (kind, flags, number) = (message.kind, message.flags, message.sequence);
            all.push(Read { kind, flags, number, header: header.to_vec(), names, elements });
        }
        all
    }

    #[test]
    fn a_renewal_is_what_nft_sends_but_for_the_answer_that_is_asked_for() {
        let ours = renewal("vt", 0, Duration::from_millis(300)).unwrap();
        let (mut ours, nft) = (read(&ours), read(&nft()));
        assert_eq!(ours[3].flags, nft[3].flags | 0x4);
        ours[3].flags = nft[3].flags;
        assert_eq!(ours, nft);
    }

    #[test]
    fn what_is_left_is_rounded_down_and_less_than_a_millisecond_is_nothing() {
        let timeout = |left| {
            let octets = renewal("vt", 0, Duration::from_micros(left))?;
            read(&octets)[1].elements[0].1
        };
        assert_eq!(timeout(2_900_999), Some(2_900));
        assert_eq!(timeout(1_000), Some(1));
        assert_eq!(timeout(999), None);
        assert_eq!(timeout(0), None);
    }

    /// An answer of the kernel: its number is that of the message it is about.
    fn answer(number: u32, errno: i32) -> Vec<u8> {
        let mut octets = Vec::new();
        octets.extend(36_u32.to_ne_bytes());
        octets.extend(ERROR.to_ne_bytes());
        octets.extend(0x100_u16.to_ne_bytes());
        octets.extend(number.to_ne_bytes());
        octets.extend([0; 4]);
        octets.extend((-errno).to_ne_bytes());
        octets.extend([0; 16]);
        octets
    }

    #[test]
    fn the_first_word_about_a_transaction_counts_and_one_about_another_is_nothing() {
        assert_eq!(outcome(&answer(13, 0), 10), Ok(Some(Ok(()))));
        let refused = [answer(11, Errno::ENOENT as i32), answer(13, 0)].concat();
        assert_eq!(outcome(&refused, 10), Ok(Some(Err(Errno::ENOENT))));
        for other in [9, 15] {
            assert_eq!(outcome(&answer(other, 0), 10), Ok(None));
        }
        // Numbers come round.
        assert_eq!(outcome(&answer(1, 0), u32::MAX - 1), Ok(Some(Ok(()))));
        assert_eq!(outcome(&[1, 2, 3], 10), Err(Malformed::Message));
    }

    proptest! {
        #[test]
        fn every_lease_of_every_table_is_written_whole_and_with_the_same_length(
            table in "[a-z][a-z0-9_.]{0,60}",
            number in any::<u32>(),
            milliseconds in 1..=u64::MAX,
        ) {
            let octets = renewal(&table, number, Duration::from_millis(milliseconds)).unwrap();
            let messages = read(&octets);
            prop_assert_eq!(messages.len(), NUMBERS as usize);
            for (place, message) in (0..).zip(&messages) {
                prop_assert_eq!(message.number, number.wrapping_add(place));
            }
            let mut name = table.clone().into_bytes();
            name.push(0);
            for message in &messages[1..4] {
                prop_assert_eq!(&message.names[0], &(1, name.clone()));
                let timeout = (message.kind == NEW_ELEMENTS).then_some(milliseconds);
                let wanted = PROTOCOLS.map(|one| (one, timeout));
                prop_assert_eq!(&message.elements[..], &wanted[..]);
            }
            let padding = name.len().next_multiple_of(4);
            prop_assert_eq!(octets.len(), 352 + 3 * (padding + 8));
        }

        #[test]
        fn an_end_leaves_no_element(number in any::<u32>()) {
            let messages = read(&end("vt", number));
            let kinds: Vec<_> = messages.iter().map(|message| message.kind).collect();
            prop_assert_eq!(kinds, [BATCH_BEGIN, NEW_ELEMENTS, DELETE_ELEMENTS, BATCH_END]);
            prop_assert_eq!(messages[2].elements.len(), PROTOCOLS.len());
            prop_assert_eq!(messages[2].flags, REQUEST | ACK);
        }

        #[test]
        fn nothing_that_comes_makes_it_panic(octets: Vec<u8>, number: u32) {
            let _ = outcome(&octets, number);
        }
    }
}
