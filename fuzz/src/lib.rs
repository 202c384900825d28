//! Fuzz targets: each takes any octets, and panics if something does not hold.
//!
//! `fuzz/run` feeds them by libFuzzer with coverage; what is found stays in `fuzz/corpus` and is
//! replayed by an ordinary test. [`advert`] is what the network may say, [`text`] what a file may,
//! [`inputs`] what a driver may, in any order, [`replies`] what a server may that is checked,
//! [`ipvs`] what a kernel may about its table.

#![forbid(unsafe_code)]

pub mod advert;
pub mod inputs;
pub mod ipvs;
pub mod replies;
pub mod text;
#[allow(missing_docs, reason = "it is a module of the engine's tests")]
#[path = "../../engine/tests/inputs/mod.rs"]
mod world;

/// A target.
pub type Target = fn(&[u8]);

/// All of them, with the names of their corpora.
pub const TARGETS: [(&str, Target); 5] = [
    ("advert", advert::feed),
    ("text", text::feed),
    ("inputs", inputs::feed),
    ("ipvs", ipvs::feed),
    ("replies", replies::feed),
];

/// Octets that are taken from the front. There is no end to them: behind the last come zeros.
#[derive(Debug)]
struct Octets<'a>(&'a [u8]);

impl<'a> Octets<'a> {
    const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn next(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn number(&mut self) -> u32 {
        u32::from_be_bytes([self.next(), self.next(), self.next(), self.next()])
    }

    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }
}
