//! A mail server's greeting: 220, HELO, 250, QUIT (RFC 5321 sections 3.1 and 4.2).

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::dialogue::{Step, Talk};
use crate::line::Line;
use crate::plan::{Unusable, fits_in_a_line};
use crate::verdict::{ConnectionFailure, Excerpt, Fault, SmtpFault, Stage, Verdict};

/// Most octets of a line of a reply: twice what RFC 5321 section 4.5.3.1.5 allows.
pub const SMTP_LINE_MAX: usize = 1024;

/// Most lines of a reply.
pub const SMTP_LINES_MAX: usize = 128;

const GREETED: u16 = 220;
const COMPLETED: u16 = 250;

#[derive(Debug)]
pub(crate) struct SmtpPlan {
    helo: Vec<u8>,
}

impl SmtpPlan {
    pub(crate) fn new(helo_name: &str) -> Result<Self, Unusable> {
        let name = fits_in_a_line(helo_name)?;
        Ok(Self { helo: format!("HELO {name}\r\n").into_bytes() })
    }
}

/// An attempt.
#[derive(Clone, Debug)]
pub(crate) struct Smtp {
    plan: Arc<SmtpPlan>,
    stage: Waiting,
    line: Line,
    /// Status of the reply's first line, and how many lines came.
    reply: Option<(u16, usize)>,
}

/// For which reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    Greeting,
    Helo,
    Quit,
}

impl Smtp {
    pub(crate) const fn new(plan: Arc<SmtpPlan>) -> Self {
        Self { plan, stage: Waiting::Greeting, line: Line::new(SMTP_LINE_MAX), reply: None }
    }

    fn on_line(&mut self, line: &[u8], out: &mut Vec<u8>) -> Result<Step, SmtpFault> {
        let wanted = match self.stage {
            Waiting::Greeting => GREETED,
            Waiting::Helo => COMPLETED,
            // The service was shown before; it says good-bye in its own way.
            Waiting::Quit => return Ok(Step::Over(Verdict::Good)),
        };
        let Some((status, more)) = reply_line(line) else {
            return Err(SmtpFault::NotSmtp(Excerpt::of(line)));
        };
        let (first, lines) = self.reply.unwrap_or((status, 0));
        if status != first {
            return Err(SmtpFault::MixedStatus { first, status });
        }
        if status != wanted {
            let (stage, line) = (self.stage(), Excerpt::of(line));
            return Err(SmtpFault::Status { stage, status, wanted, line });
        }
        if more {
            if lines + 1 == SMTP_LINES_MAX {
                return Err(SmtpFault::TooManyLines);
            }
            self.reply = Some((first, lines + 1));
            return Ok(Step::Continue);
        }
        self.reply = None;
        if self.stage == Waiting::Greeting {
            out.extend_from_slice(&self.plan.helo);
            self.stage = Waiting::Helo;
        } else {
            out.extend_from_slice(b"QUIT\r\n");
            self.stage = Waiting::Quit;
        }
        Ok(Step::Continue)
    }

    fn take(&mut self, octets: &[u8], out: &mut Vec<u8>) -> Result<Step, SmtpFault> {
        for octet in octets {
            let line = self.line.push(*octet).map_err(|_| SmtpFault::LineTooLong)?;
            let Some(line) = line else { continue };
            let step = self.on_line(&line, out)?;
            if step != Step::Continue {
                return Ok(step);
            }
        }
        Ok(Step::Continue)
    }
}

/// A line of a mail server's reply (RFC 5321 section 4.2), without its end: its status, and whether
/// more lines follow. `None`: it is none.
///
/// ```
/// assert_eq!(vipd_checks::reply_line(b"250-mail.example"), Some((250, true)));
/// assert_eq!(vipd_checks::reply_line(b"250 OK"), Some((250, false)));
/// assert_eq!(vipd_checks::reply_line(b"250OK"), None);
/// ```
#[must_use]
pub fn reply_line(line: &[u8]) -> Option<(u16, bool)> {
    let (digits, rest) = line.split_first_chunk::<3>()?;
    let more = match rest.first() {
        None | Some(b' ') => false,
        Some(b'-') => true,
        Some(_) => return None,
    };
    let status = digits.iter().try_fold(0, |sum, digit| {
        digit.is_ascii_digit().then(|| sum * 10 + u16::from(digit - b'0'))
    })?;
    Some((status, more))
}

impl Talk for Smtp {
    fn opened(&mut self, _out: &mut Vec<u8>) -> Step {
        Step::Continue
    }

    fn heard(&mut self, octets: &[u8], out: &mut Vec<u8>) -> Step {
        self.take(octets, out).unwrap_or_else(|fault| Step::bad(Fault::Smtp(fault)))
    }

    fn closed(&mut self) -> Step {
        match self.stage {
            Waiting::Greeting | Waiting::Helo => Step::bad(Fault::Closed(self.stage())),
            Waiting::Quit => Step::Over(Verdict::Good),
        }
    }

    /// A server may be gone before it reads the QUIT to its end.
    fn failed(&mut self, failure: ConnectionFailure) -> Step {
        match self.stage {
            Waiting::Greeting | Waiting::Helo => Step::bad(Fault::Connection(failure)),
            Waiting::Quit => Step::Over(Verdict::Good),
        }
    }

    fn stage(&self) -> Stage {
        match self.stage {
            Waiting::Greeting => Stage::Greeting,
            Waiting::Helo => Stage::Helo,
            Waiting::Quit => Stage::Quit,
        }
    }

    fn held(&self) -> usize {
        self.line.held()
    }
}
