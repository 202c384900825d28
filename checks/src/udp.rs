//! A datagram, and one that comes back or at least no refusal.

use alloc::sync::Arc;
use alloc::vec::Vec;

use vipd_engine::config::health::UdpCheck;

use crate::dialogue::{Step, Talk};
use crate::verdict::{Fault, Stage, UdpFault, Verdict};

/// An attempt.
#[derive(Clone, Debug)]
pub(crate) struct Udp {
    check: Arc<UdpCheck>,
}

impl Udp {
    pub(crate) const fn new(check: Arc<UdpCheck>) -> Self {
        Self { check }
    }

    fn judge(&self, octets: &[u8]) -> Result<(), UdpFault> {
        let check = &self.check;
        let least = usize::from(check.min_reply).max(check.reply.len());
        let most = usize::from(check.max_reply);
        if octets.len() < least {
            return Err(UdpFault::TooShort { octets: octets.len(), least });
        }
        if octets.len() > most {
            return Err(UdpFault::TooLong { octets: octets.len(), most });
        }
        for (at, (found, (wanted, mask))) in octets.iter().zip(&check.reply).enumerate() {
            if (found ^ wanted) & mask != 0 {
                let (found, wanted, mask) = (*found, *wanted, *mask);
                return Err(UdpFault::Differs { at, found, wanted, mask });
            }
        }
        Ok(())
    }
}

impl Talk for Udp {
    fn opened(&mut self, out: &mut Vec<u8>) -> Step {
        out.extend_from_slice(&self.check.payload);
        Step::Continue
    }

    /// Where no answer is needed, any is one.
    fn heard(&mut self, octets: &[u8], _out: &mut Vec<u8>) -> Step {
        if !self.check.requires_reply {
            return Step::Over(Verdict::Good);
        }
        match self.judge(octets) {
            Ok(()) => Step::Over(Verdict::Good),
            Err(fault) => Step::bad(Fault::Udp(fault)),
        }
    }

    fn stage(&self) -> Stage {
        Stage::Answer
    }

    fn on_deadline(&self) -> Verdict {
        if self.check.requires_reply {
            return Verdict::Bad(Fault::TimedOut(self.stage()));
        }
        Verdict::Good
    }
}
