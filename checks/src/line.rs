//! Lines out of a stream, however it is cut, and never more than a limit of one.

use alloc::vec::Vec;
use core::mem;

/// The line goes on beyond the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// The line that is coming in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    octets: Vec<u8>,
    limit: usize,
}

impl Line {
    /// At most `limit` octets come before the LF.
    pub(crate) const fn new(limit: usize) -> Self {
        Self { octets: Vec::new(), limit }
    }

    /// The line, once it is whole, without its end: CR LF, or LF alone (RFC 9112 section 2.2 allows
    /// to take it for one).
    pub(crate) fn push(&mut self, octet: u8) -> Result<Option<Vec<u8>>, TooLong> {
        if octet == b'\n' {
            let mut line = mem::take(&mut self.octets);
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            return Ok(Some(line));
        }
        if self.octets.len() == self.limit {
            return Err(TooLong);
        }
        self.octets.push(octet);
        Ok(None)
    }

    /// Octets of it so far.
    pub(crate) const fn held(&self) -> usize {
        self.octets.len()
    }

    /// What came of it so far.
    pub(crate) fn begun(&self) -> &[u8] {
        &self.octets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8], limit: usize) -> Result<Vec<Vec<u8>>, TooLong> {
        let mut line = Line::new(limit);
        let mut whole = Vec::new();
        for octet in text {
            whole.extend(line.push(*octet)?);
        }
        Ok(whole)
    }

    #[test]
    fn a_line_ends_with_lf_and_loses_one_cr_before_it() {
        let whole = lines(b"a\r\nb\n\r\r\n\nrest", 8).expect("lines");
        assert_eq!(whole, [b"a".to_vec(), b"b".to_vec(), b"\r".to_vec(), b"".to_vec()]);
    }

    #[test]
    fn a_line_of_the_limit_is_whole_and_one_octet_more_is_too_long() {
        assert_eq!(lines(b"abc\r\n", 4).expect("a line"), [b"abc".to_vec()]);
        assert_eq!(lines(b"abcd\r\n", 4), Err(TooLong));
        assert_eq!(lines(b"abcde", 4), Err(TooLong));
    }
}
