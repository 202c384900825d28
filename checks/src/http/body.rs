//! A body that passes by: where it ends, its digest, and what is looked for in it.

use md5::{Digest, Md5};

use super::pattern::Search;
use super::{HTTP_HEAD_MAX, HTTP_LINE_MAX, Page};
use crate::line::Line;
use crate::verdict::{Excerpt, HttpFault, Stage};

/// Where a body ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// After so many octets.
    Length(u64),
    /// With the last chunk.
    Chunked(Chunk),
    /// When the server closes.
    UntilClosed,
}

impl Framing {
    pub(super) const fn chunked() -> Self {
        Self::Chunked(Chunk::Size(Line::new(HTTP_LINE_MAX)))
    }
}

/// Where in the chunks of RFC 9112 section 7.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    /// In the line with the size.
    Size(Line),
    /// So many octets are left of it.
    Data(u64),
    /// In the end of line behind it.
    End(Line),
    /// Behind the last one: trailers, of which so many octets came.
    Trailers { line: Line, used: usize },
}

/// A body that is coming in.
#[derive(Clone, Debug)]
pub(super) struct Body {
    framing: Framing,
    content: Content,
}

/// What came of it.
#[derive(Clone, Debug)]
struct Content {
    octets: u64,
    digest: Option<Md5>,
    search: Option<Search>,
}

impl Body {
    pub(super) fn new(framing: Framing, page: &Page) -> Self {
        let digest = page.digest.map(|_| Md5::new());
        let search = page.pattern.clone().map(Search::new);
        Self { framing, content: Content { octets: 0, digest, search } }
    }

    /// Takes what came, up to its end. Whether that is reached.
    pub(super) fn take(&mut self, mut octets: &[u8]) -> Result<bool, HttpFault> {
        loop {
            match &mut self.framing {
                Framing::UntilClosed => {
                    self.content.take(octets)?;
                    return Ok(false);
                }
                Framing::Length(left) => {
                    self.content.take(up_to(left, &mut octets))?;
                    return Ok(*left == 0);
                }
                Framing::Chunked(Chunk::Data(left)) => {
                    self.content.take(up_to(left, &mut octets))?;
                    if *left > 0 {
                        return Ok(false);
                    }
                    // Nothing but an end of line may stand there.
                    self.framing = Framing::Chunked(Chunk::End(Line::new(1)));
                }
                Framing::Chunked(chunk) => {
                    let Some((octet, rest)) = octets.split_first() else { return Ok(false) };
                    octets = rest;
                    if chunk.push(*octet)? {
                        return Ok(true);
                    }
                }
            }
        }
    }

    /// The server closed. Whether the body is whole then.
    pub(super) const fn is_whole_when_closed(&self) -> bool {
        match &self.framing {
            // The last chunk came (RFC 9112 section 8).
            Framing::UntilClosed | Framing::Chunked(Chunk::Trailers { .. }) => true,
            Framing::Length(_) | Framing::Chunked(_) => false,
        }
    }

    /// It is whole: is it what it must be?
    pub(super) fn judge(self, page: &Page) -> Result<(), HttpFault> {
        if let (Some(md5), Some(wanted)) = (self.content.digest, page.digest) {
            let found = <[u8; 16]>::from(md5.finalize());
            if found != wanted {
                return Err(HttpFault::Digest { found, wanted });
            }
        }
        let Some(mut search) = self.content.search else { return Ok(()) };
        match (search.end(), search.pattern().must_not_match) {
            (true, true) => Err(HttpFault::PatternFound),
            (false, false) => Err(HttpFault::PatternMissing),
            (true, false) | (false, true) => Ok(()),
        }
    }

    pub(super) const fn stage(&self) -> Stage {
        Stage::Body { octets: self.content.octets }
    }

    pub(super) const fn held(&self) -> usize {
        match &self.framing {
            Framing::Chunked(Chunk::Size(line) | Chunk::End(line)) => line.held(),
            Framing::Chunked(Chunk::Trailers { line, .. }) => line.held(),
            Framing::Chunked(Chunk::Data(_)) | Framing::Length(_) | Framing::UntilClosed => 0,
        }
    }
}

/// At most `left` octets from the front, which are then no longer left.
fn up_to<'a>(left: &mut u64, octets: &mut &'a [u8]) -> &'a [u8] {
    let count = usize::try_from(*left).map_or(octets.len(), |left| left.min(octets.len()));
    let (taken, rest) = octets.split_at(count);
    *octets = rest;
    *left -= count as u64;
    taken
}

impl Content {
    fn take(&mut self, octets: &[u8]) -> Result<(), HttpFault> {
        self.octets = self.octets.saturating_add(octets.len() as u64);
        if let Some(digest) = &mut self.digest {
            digest.update(octets);
        }
        if let Some(search) = &mut self.search {
            let found = search.pass(octets);
            if found && search.pattern().must_not_match {
                return Err(HttpFault::PatternFound);
            }
        }
        Ok(())
    }
}

impl Chunk {
    /// Takes an octet that is not of the content. Whether the body ends with it.
    fn push(&mut self, octet: u8) -> Result<bool, HttpFault> {
        match self {
            Self::Size(line) => {
                let pushed = line.push(octet).map_err(|_| HttpFault::LineTooLong)?;
                let Some(line) = pushed else { return Ok(false) };
                let size = chunk_size(&line).ok_or(HttpFault::Chunk(Excerpt::of(&line)))?;
                *self = if size == 0 {
                    Self::Trailers { line: Line::new(HTTP_LINE_MAX), used: 0 }
                } else {
                    Self::Data(size)
                };
            }
            Self::End(line) => match line.push(octet) {
                Ok(None) if octet == b'\r' => {}
                Ok(Some(_)) => *self = Self::Size(Line::new(HTTP_LINE_MAX)),
                Ok(None) | Err(_) => return Err(HttpFault::Chunk(Excerpt::of(&[octet]))),
            },
            Self::Trailers { line, used } => {
                if *used == HTTP_HEAD_MAX {
                    return Err(HttpFault::HeadTooLong);
                }
                *used += 1;
                let pushed = line.push(octet).map_err(|_| HttpFault::LineTooLong)?;
                return Ok(pushed.is_some_and(|line| line.is_empty()));
            }
            // Its octets are of the content.
            Self::Data(_) => {}
        }
        Ok(false)
    }
}

/// In hexadecimal digits, padded by some servers; extensions follow behind a semicolon.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|octet| *octet == b';').next()?.trim_ascii();
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        sum.checked_mul(16)?.checked_add(u64::from(digit))
    })
}
