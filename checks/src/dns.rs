//! A name server's answer over UDP (RFC 1035 section 4).
//!
//! It is ours if id and question are. Names in it are passed over, never put together: a pointer
//! of name compression ends a name, so none is followed.

use alloc::sync::Arc;
use alloc::vec::Vec;

use vipd_engine::config::health::DnsRecord;

use crate::dialogue::{Step, Talk};
use crate::plan::Unusable;
use crate::verdict::{DnsFault, Fault, Stage, Verdict};

/// Most octets of a name on the wire (RFC 1035 section 2.3.4).
pub const DNS_NAME_MAX: usize = 255;

const LABEL_MAX: usize = 63;
const HEADER_LEN: usize = 12;
/// Type, class, time to live and length behind the name of a record.
const RECORD_LEN: usize = 10;
const CLASS_IN: u16 = 1;

/// The flags of a header (RFC 1035 section 4.1.1).
const RESPONSE: u16 = 0x8000;
const OPCODE: u16 = 0x7800;
const TRUNCATED: u16 = 0x0200;
const RECURSION_DESIRED: u16 = 0x0100;
const RCODE: u16 = 0x000f;

/// The question, as it stands on the wire.
#[derive(Debug)]
pub(crate) struct DnsPlan {
    question: Vec<u8>,
}

impl DnsPlan {
    pub(crate) fn new(record: DnsRecord, name: &str) -> Result<Self, Unusable> {
        let wrong = || Unusable::DnsName(name.into());
        let mut question = Vec::new();
        let labels = name.strip_suffix('.').unwrap_or(name);
        if !labels.is_empty() {
            for label in labels.split('.') {
                let length = u8::try_from(label.len()).map_err(|_| wrong())?;
                if label.is_empty() || label.len() > LABEL_MAX {
                    return Err(wrong());
                }
                question.push(length);
                question.extend_from_slice(label.as_bytes());
            }
        }
        question.push(0);
        if question.len() > DNS_NAME_MAX || name.is_empty() {
            return Err(wrong());
        }
        question.extend_from_slice(&(record as u16).to_be_bytes());
        question.extend_from_slice(&CLASS_IN.to_be_bytes());
        Ok(Self { question })
    }
}

/// An attempt.
#[derive(Clone, Debug)]
pub(crate) struct Dns {
    plan: Arc<DnsPlan>,
    id: u16,
}

impl Dns {
    pub(crate) const fn new(plan: Arc<DnsPlan>, id: u16) -> Self {
        Self { plan, id }
    }

    /// `None` if it is not the answer to our question.
    fn judge(&self, message: &[u8]) -> Option<Result<(), DnsFault>> {
        let (header, rest) = message.split_first_chunk::<HEADER_LEN>()?;
        let field = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let (id, flags, questions, answers) = (field(0), field(2), field(4), field(6));
        if id != self.id || flags & RESPONSE == 0 || flags & OPCODE != 0 {
            return None;
        }
        let rest = match questions {
            // Some servers leave it out, with an error above all.
            0 => rest,
            1 => {
                let (question, rest) = rest.split_at_checked(self.plan.question.len())?;
                // Names are the same in capitals (RFC 4343). No length of a label is a letter's
                // number, and neither are our types and class.
                if !question.eq_ignore_ascii_case(&self.plan.question) {
                    return None;
                }
                rest
            }
            _ => return None,
        };
        Some(match (flags & RCODE, answers) {
            (0, 0) if flags & TRUNCATED != 0 => Err(DnsFault::Truncated),
            (0, 0) => Err(DnsFault::NoAnswer),
            (0, _) => record(rest).ok_or(DnsFault::Malformed),
            // Four bits.
            (code, _) => Err(DnsFault::Rcode(code as u8)),
        })
    }
}

/// One whole record (RFC 1035 section 4.1.3).
fn record(octets: &[u8]) -> Option<()> {
    let rest = octets.get(name_len(octets)?..)?;
    let (fixed, data) = rest.split_first_chunk::<RECORD_LEN>()?;
    let length = usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
    (data.len() >= length).then_some(())
}

/// Octets that a name takes where it stands: labels up to the root or a pointer.
fn name_len(octets: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < DNS_NAME_MAX {
        match octets.get(at)? {
            0 => return Some(at + 1),
            length @ 1..=0x3f => at += 1 + usize::from(*length),
            0xc0.. => return Some(at + 2),
            0x40..=0xbf => return None,
        }
    }
    None
}

impl Talk for Dns {
    fn opened(&mut self, out: &mut Vec<u8>) -> Step {
        for field in [self.id, RECURSION_DESIRED, 1, 0, 0, 0] {
            out.extend_from_slice(&field.to_be_bytes());
        }
        out.extend_from_slice(&self.plan.question);
        Step::Continue
    }

    fn heard(&mut self, octets: &[u8], _out: &mut Vec<u8>) -> Step {
        match self.judge(octets) {
            None => Step::Continue,
            Some(Ok(())) => Step::Over(Verdict::Good),
            Some(Err(fault)) => Step::bad(Fault::Dns(fault)),
        }
    }

    fn stage(&self) -> Stage {
        Stage::Answer
    }
}
