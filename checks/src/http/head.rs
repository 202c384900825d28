//! Status line and fields of a reply (RFC 9112 sections 4 and 5): the status and where the body
//! ends, nothing else is looked at.

use alloc::vec::Vec;
use core::mem;

use super::body::Framing;
use super::{HTTP_HEAD_MAX, HTTP_LINE_MAX};
use crate::line::Line;
use crate::verdict::{Excerpt, HttpFault, Stage};

/// How a body's end is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Coding {
    /// No Transfer-Encoding.
    #[default]
    None,
    /// It ends in `chunked`.
    Chunked,
    /// It ends in something else: the body ends when the server closes.
    Other,
}

/// A head that is coming in. Interim ones (100 to 199 but for 101) pass by.
#[derive(Clone, Debug)]
pub(super) struct Head {
    line: Line,
    /// The last field, as the next line may go on with it.
    field: Vec<u8>,
    used: usize,
    status: Option<u16>,
    length: Option<u64>,
    coding: Coding,
}

/// What the next octet made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    More,
    /// The final status is known, its fields follow.
    Status(u16),
    Over(Framing),
}

impl Head {
    pub(super) const fn new() -> Self {
        Self {
            line: Line::new(HTTP_LINE_MAX),
            field: Vec::new(),
            used: 0,
            status: None,
            length: None,
            coding: Coding::None,
        }
    }

    pub(super) fn push(&mut self, octet: u8) -> Result<Progress, HttpFault> {
        if self.used == HTTP_HEAD_MAX {
            return Err(HttpFault::HeadTooLong);
        }
        self.used += 1;
        let Some(line) = self.line.push(octet).map_err(|_| self.too_long())? else {
            return Ok(Progress::More);
        };
        let Some(status) = self.status else {
            let status = status_of(&line).ok_or(HttpFault::NotHttp(Excerpt::of(&line)))?;
            self.status = Some(status);
            let status = Progress::Status(status);
            return Ok(if self.is_interim() { Progress::More } else { status });
        };
        match line.first() {
            // A field that goes on (RFC 9112 section 5.2).
            Some(b' ' | b'\t') => {
                if self.field.len() + line.len() > HTTP_LINE_MAX {
                    return Err(HttpFault::LineTooLong);
                }
                self.field.extend_from_slice(&line);
                Ok(Progress::More)
            }
            Some(_) => {
                let field = mem::replace(&mut self.field, line);
                self.on_field(&field)?;
                Ok(Progress::More)
            }
            None => {
                let field = mem::take(&mut self.field);
                self.on_field(&field)?;
                if self.is_interim() {
                    // All heads of one reply share the limit.
                    *self = Self { used: self.used, ..Self::new() };
                    return Ok(Progress::More);
                }
                Ok(Progress::Over(self.framing(status)))
            }
        }
    }

    pub(super) const fn stage(&self) -> Stage {
        match self.status {
            None => Stage::StatusLine,
            Some(_) => Stage::Head,
        }
    }

    pub(super) const fn held(&self) -> usize {
        self.line.held() + self.field.len()
    }

    /// A first line without an end is no status line, however long it might have become.
    fn too_long(&self) -> HttpFault {
        match self.status {
            None if !self.line.begun().starts_with(b"HTTP/") => {
                HttpFault::NotHttp(Excerpt::of(self.line.begun()))
            }
            None | Some(_) => HttpFault::LineTooLong,
        }
    }

    /// 101 is final: it would be the answer to an Upgrade.
    fn is_interim(&self) -> bool {
        self.status.is_some_and(|status| status != 101 && (100..200).contains(&status))
    }

    fn on_field(&mut self, field: &[u8]) -> Result<(), HttpFault> {
        let Some(colon) = field.iter().position(|octet| *octet == b':') else { return Ok(()) };
        let (name, value) = (&field[..colon], &field[colon + 1..]);
        if name.eq_ignore_ascii_case(b"content-length") {
            for one in value.split(|octet| *octet == b',') {
                let wrong = || HttpFault::ContentLength(Excerpt::of(value.trim_ascii()));
                let length = number(one.trim_ascii()).ok_or_else(wrong)?;
                if self.length.is_some_and(|other| other != length) {
                    return Err(wrong());
                }
                self.length = Some(length);
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            let last = value.rsplit(|octet| *octet == b',').next().unwrap_or_default();
            let chunked = last.trim_ascii().eq_ignore_ascii_case(b"chunked");
            self.coding = if chunked { Coding::Chunked } else { Coding::Other };
        }
        Ok(())
    }

    /// Where the body ends (RFC 9112 section 6.3).
    fn framing(&self, status: u16) -> Framing {
        match (status, self.coding, self.length) {
            (101 | 204 | 304, _, _) => Framing::Length(0),
            (_, Coding::Chunked, _) => Framing::chunked(),
            (_, Coding::None, Some(length)) => Framing::Length(length),
            (_, Coding::Other, _) | (_, Coding::None, None) => Framing::UntilClosed,
        }
    }
}

/// `HTTP/1.1 200 OK`; the reason may be missing, with its space or without.
fn status_of(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"HTTP/")?;
    let (version, rest) = rest.split_first_chunk::<3>()?;
    let [b'0'..=b'9', b'.', b'0'..=b'9'] = version else { return None };
    let (status, rest) = rest.strip_prefix(b" ")?.split_first_chunk::<3>()?;
    if !matches!(rest.first(), None | Some(b' ')) {
        return None;
    }
    u16::try_from(number(status)?).ok()
}

/// A number in digits alone.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(head: &str) -> Result<Framing, HttpFault> {
        let mut reading = Head::new();
        for octet in head.bytes() {
            if let Progress::Over(framing) = reading.push(octet)? {
                return Ok(framing);
            }
        }
        panic!("the head goes on: {reading:?}");
    }

    #[test]
    fn a_status_line_is_read_with_and_without_a_reason() {
        for line in ["HTTP/1.1 204 No Content", "HTTP/1.0 204 ", "HTTP/1.1 204"] {
            assert_eq!(status_of(line.as_bytes()), Some(204), "{line}");
        }
        for line in [
            "",
            "HTTP/1.1",
            "HTTP/1.1 20",
            "HTTP/1.1 2000",
            "HTTP/1.1  200",
            "http/1.1 200",
            "ICY 200",
        ] {
            assert_eq!(status_of(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn a_body_ends_as_section_6_3_says() {
        let with = |fields: &str| read(&alloc::format!("HTTP/1.1 200 OK\r\n{fields}\r\n"));
        assert_eq!(with(""), Ok(Framing::UntilClosed));
        assert_eq!(with("Content-Length: 12\r\n"), Ok(Framing::Length(12)));
        assert_eq!(with("CONTENT-LENGTH:12, 12 \r\n"), Ok(Framing::Length(12)));
        assert_eq!(with("Transfer-Encoding: gzip, Chunked\r\n"), Ok(Framing::chunked()));
        assert_eq!(with("Transfer-Encoding: chunked, gzip\r\n"), Ok(Framing::UntilClosed));
        assert_eq!(
            with("Content-Length: 12\r\nTransfer-Encoding: chunked\r\n"),
            Ok(Framing::chunked())
        );
        assert_eq!(
            read("HTTP/1.1 304 Not Modified\nContent-Length: 12\n\n"),
            Ok(Framing::Length(0))
        );
    }

    #[test]
    fn a_field_may_go_on_in_the_next_line() {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n chunked\r\n\r\n";
        assert_eq!(read(head), Ok(Framing::chunked()));
    }

    #[test]
    fn a_length_that_is_none_or_contradicts_itself_is_a_fault() {
        for value in ["", "-1", "1x", "18446744073709551616", "1, 2", "1\r\nContent-Length: 2"] {
            let found = read(&alloc::format!("HTTP/1.1 200 OK\r\nContent-Length: {value}\r\n\r\n"));
            assert!(matches!(found, Err(HttpFault::ContentLength(_))), "{value}: {found:?}");
        }
    }

    #[test]
    fn an_interim_reply_passes_by() {
        let head = "HTTP/1.1 103 Early Hints\r\nContent-Length: 1\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
        assert_eq!(read(head), Ok(Framing::UntilClosed));
    }
}
