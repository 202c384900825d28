//! A question for the addresses of a name, and its answer (RFC 1035 section 4). Octets in, octets
//! out; nothing that a server sends makes it fail or follow a pointer.

use std::net::IpAddr;

/// Octets of an answer that are looked at: what fits into a datagram without EDNS.
pub const ANSWER_MAX: usize = 512;
/// Addresses that are taken of an answer.
const ADDRESSES_MAX: usize = 8;

const HEADER_LEN: usize = 12;
const LABEL_MAX: usize = 63;
const NAME_MAX: usize = 255;
const CLASS_IN: u16 = 1;

/// The flags of a header (RFC 1035 section 4.1.1).
const RESPONSE: u16 = 0x8000;
const OPCODE: u16 = 0x7800;
const RECURSION_DESIRED: u16 = 0x0100;
const RCODE: u16 = 0x000f;
const NAME_ERROR: u16 = 3;

/// Which addresses are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// IPv4.
    A = 1,
    /// IPv6 (RFC 3596).
    Aaaa = 28,
}

/// What a server says to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// These, or none of this kind.
    Addresses(Vec<IpAddr>),
    /// There is no such name.
    NoSuchName,
    /// It cannot say.
    Failed(u16),
}

/// A question, as it goes in a datagram. `None` for what is no name.
#[must_use]
pub fn question(id: u16, name: &str, kind: Kind) -> Option<Vec<u8>> {
    let mut octets = Vec::new();
    for field in [id, RECURSION_DESIRED, 1, 0, 0, 0] {
        octets.extend_from_slice(&field.to_be_bytes());
    }
    for label in name.strip_suffix('.').unwrap_or(name).split('.') {
        if label.is_empty() || label.len() > LABEL_MAX {
            return None;
        }
        octets.push(u8::try_from(label.len()).ok()?);
        octets.extend_from_slice(label.as_bytes());
    }
    octets.push(0);
    if octets.len() - HEADER_LEN > NAME_MAX {
        return None;
    }
    octets.extend_from_slice(&(kind as u16).to_be_bytes());
    octets.extend_from_slice(&CLASS_IN.to_be_bytes());
    Some(octets)
}

/// What a datagram says to this question; `None` if it is no answer to it. Addresses are taken of
/// every answer: a resolver has followed the aliases, and put them in front.
#[must_use]
pub fn answer(question: &[u8], kind: Kind, datagram: &[u8]) -> Option<Answer> {
    let field = |at: usize| Some(u16::from_be_bytes([*datagram.get(at)?, *datagram.get(at + 1)?]));
    let (flags, questions, answers) = (field(2)?, field(4)?, field(6)?);
    if datagram.get(..2)? != question.get(..2)? || flags & RESPONSE == 0 || flags & OPCODE != 0 {
        return None;
    }
    let asked = question.get(HEADER_LEN..)?;
    let rest = datagram.get(HEADER_LEN..)?;
    let rest = match questions {
        0 => rest,
        1 => {
            let (again, rest) = rest.split_at_checked(asked.len())?;
            // Names are the same in capitals (RFC 4343).
            again.eq_ignore_ascii_case(asked).then_some(rest)?
        }
        _ => return None,
    };
    Some(match flags & RCODE {
        0 => Answer::Addresses(addresses(rest, answers, kind)),
        NAME_ERROR => Answer::NoSuchName,
        code => Answer::Failed(code),
    })
}

/// Those among so many records. What is cut short ends them.
fn addresses(mut rest: &[u8], records: u16, kind: Kind) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for _ in 0..records {
        let Some((Record { kind: of, class, data }, behind)) = record(rest) else { break };
        rest = behind;
        let address = match (of, kind) {
            (1, Kind::A) if class == CLASS_IN => <[u8; 4]>::try_from(data).ok().map(IpAddr::from),
            (28, Kind::Aaaa) if class == CLASS_IN => {
                <[u8; 16]>::try_from(data).ok().map(IpAddr::from)
            }
            _ => None,
        };
        found.extend(address);
        if found.len() == ADDRESSES_MAX {
            break;
        }
    }
    found
}

struct Record<'a> {
    kind: u16,
    class: u16,
    data: &'a [u8],
}

/// The first record, and what is behind it.
fn record(octets: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let rest = behind_name(octets)?;
    let (fixed, rest) = rest.split_first_chunk::<10>()?;
    let field = |at: usize| u16::from_be_bytes([fixed[at], fixed[at + 1]]);
    let (data, rest) = rest.split_at_checked(usize::from(field(8)))?;
    Some((Record { kind: field(0), class: field(2), data }, rest))
}

/// A pointer ends a name, so none is followed.
fn behind_name(mut octets: &[u8]) -> Option<&[u8]> {
    loop {
        let (length, rest) = octets.split_first()?;
        match length {
            0 => return Some(rest),
            1..=63 => octets = rest.get(usize::from(*length)..)?,
            192..=255 => return rest.get(1..),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn asked(kind: Kind) -> Vec<u8> {
        question(7, "mail.example", kind).expect("a name")
    }

    /// An answer with these records: type and data, each under a pointer to the question's name.
    fn says(kind: Kind, code: u8, records: &[(u16, &[u8])]) -> Vec<u8> {
        let mut octets = asked(kind);
        (octets[2], octets[3]) = (0x81, 0x80 | code);
        octets[7] = u8::try_from(records.len()).expect("few");
        for (kind, data) in records {
            octets.extend_from_slice(&[0xc0, 12]);
            octets.extend_from_slice(&kind.to_be_bytes());
            octets.extend_from_slice(&[0, 1, 0, 0, 0, 60]);
            octets.extend_from_slice(&u16::try_from(data.len()).expect("short").to_be_bytes());
            octets.extend_from_slice(data);
        }
        octets
    }

    #[test]
    fn a_question_stands_as_the_rfc_has_it() {
        let expected = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x04mail\x07example\0\0\x01\0\x01";
        assert_eq!(asked(Kind::A), expected);
        assert_eq!(question(7, "mail.example.", Kind::A), Some(expected.to_vec()));
        for wrong in ["", ".", "a..b", &"a".repeat(64), &"a.".repeat(128)] {
            assert_eq!(question(7, wrong, Kind::A), None, "{wrong}");
        }
    }

    #[test]
    fn addresses_are_taken_from_behind_aliases_and_only_those_that_were_asked_for() {
        let alias = (5, b"\x02mx\xc0\x11".as_slice());
        let datagram = says(Kind::A, 0, &[alias, (1, &[192, 0, 2, 1]), (28, &[0; 16]), (1, &[9])]);
        let found = vec!["192.0.2.1".parse().unwrap()];
        assert_eq!(answer(&asked(Kind::A), Kind::A, &datagram), Some(Answer::Addresses(found)));
        let six = says(Kind::Aaaa, 0, &[(28, &[0x20; 16])]);
        let found = vec!["2020:2020:2020:2020:2020:2020:2020:2020".parse().unwrap()];
        assert_eq!(answer(&asked(Kind::Aaaa), Kind::Aaaa, &six), Some(Answer::Addresses(found)));
    }

    #[test]
    fn what_answers_another_question_is_no_answer() {
        let mut other_id = says(Kind::A, 0, &[]);
        other_id[1] = 8;
        let mut other_name = says(Kind::A, 0, &[]);
        other_name[14] = b'x';
        for datagram in [asked(Kind::A), other_id, other_name, says(Kind::Aaaa, 0, &[]), vec![0]] {
            assert_eq!(answer(&asked(Kind::A), Kind::A, &datagram), None, "{datagram:?}");
        }
        let no = says(Kind::A, 3, &[]);
        assert_eq!(answer(&asked(Kind::A), Kind::A, &no), Some(Answer::NoSuchName));
        let failed = says(Kind::A, 2, &[]);
        assert_eq!(answer(&asked(Kind::A), Kind::A, &failed), Some(Answer::Failed(2)));
    }

    proptest! {
        #[test]
        fn no_datagram_makes_it_fail_or_find_more_than_it_may(
            mut datagram in proptest::collection::vec(any::<u8>(), 0..ANSWER_MAX),
            is_ours in any::<bool>(),
        ) {
            let ours = says(Kind::A, 0, &[]);
            if is_ours {
                let shared = ours.len().min(datagram.len());
                datagram[..shared].copy_from_slice(&ours[..shared]);
                if let Some(count) = datagram.get_mut(6) {
                    *count = 0xff;
                }
            }
            if let Some(Answer::Addresses(found)) = answer(&asked(Kind::A), Kind::A, &datagram) {
                prop_assert!(found.len() <= ADDRESSES_MAX);
            }
        }
    }
}
