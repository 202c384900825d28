//! A writer of pcapng captures with nanosecond stamps. It reads nothing.
//!
//! The same calls make the same octets on every machine: little-endian, no host or time of writing.

use std::borrow::Cow;
use std::io::{self, Write};
use std::time::Duration;

use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption, TsResolution,
};
use pcap_file::{DataLink, Endianness, PcapError};

/// No Ethernet frame is longer.
const SNAPLEN: u32 = 262_144;
/// The length field of a pcapng option has 16 bits.
const MAX_TEXT_LEN: usize = 65_535;

/// Which way a frame passes a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It comes in.
    Inbound,
    /// It goes out.
    Outbound,
}

impl Direction {
    /// The two lowest bits of the option `epb_flags`.
    const fn flags(self) -> u32 {
        match self {
            Self::Inbound => 1,
            Self::Outbound => 2,
        }
    }
}

/// Writes one capture, a block per call. Wrap a file in [`io::BufWriter`].
pub struct Writer<W: Write> {
    out: PcapNgWriter<W>,
    interfaces: u32,
}

impl<W: Write> Writer<W> {
    /// Writes the section header.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn new(out: W) -> io::Result<Self> {
        let out = PcapNgWriter::with_endianness(out, Endianness::Little).map_err(io_error)?;
        Ok(Self { out, interfaces: 0 })
    }

    /// Adds a port, and gives the number by which [`Self::packet`] knows it. `description` says
    /// what it is plugged into; it may be empty.
    ///
    /// # Errors
    /// Those of the output.
    pub fn add_interface(&mut self, name: &str, description: &str) -> io::Result<u32> {
        let mut block = InterfaceDescriptionBlock::new(DataLink::ETHERNET, SNAPLEN);
        block.options.push(InterfaceDescriptionOption::IfName(text(name)));
        if !description.is_empty() {
            block.options.push(InterfaceDescriptionOption::IfDescription(text(description)));
        }
        block.options.push(InterfaceDescriptionOption::IfTsResol(TsResolution::NANO.to_raw()));
        self.out.write_pcapng_block(block).map_err(io_error)?;
        let number = self.interfaces;
        self.interfaces += 1;
        Ok(number)
    }

    /// Adds a frame seen at a port, `at_ns` nanoseconds after 1970. `comment` says what happened to
    /// it ("dropped: cut").
    ///
    /// # Errors
    /// Those of the output, and an interface that was not added.
    pub fn packet(
        &mut self,
        interface: u32,
        at_ns: u64,
        bytes: &[u8],
        direction: Direction,
        comment: Option<&str>,
    ) -> io::Result<()> {
        let mut block = EnhancedPacketBlock::default();
        block.interface_id = interface;
        block.timestamp = Duration::from_nanos(at_ns);
        block.original_len = bytes.len() as u32;
        block.data = Cow::Borrowed(bytes);
        block.options.push(EnhancedPacketOption::Flags(direction.flags()));
        block.options.extend(comment.map(|comment| EnhancedPacketOption::Comment(text(comment))));
        self.out.write_pcapng_block(block).map_err(io_error)?;
        Ok(())
    }

    /// Flushes, and gives the output back.
    ///
    /// # Errors
    /// Those of the output.
    pub fn finish(self) -> io::Result<W> {
        let mut out = self.out.into_inner();
        out.flush()?;
        Ok(out)
    }
}

fn text(text: &str) -> Cow<'_, str> {
    Cow::Borrowed(&text[..text.floor_char_boundary(MAX_TEXT_LEN)])
}

fn io_error(error: PcapError) -> io::Error {
    match error {
        PcapError::IoError(error) => error,
        other => io::Error::other(other),
    }
}
