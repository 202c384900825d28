//! Reads `fixtures/captures`: each frame once, and how often it was captured.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pcap_file::DataLink;
use pcap_file::pcap::PcapReader;

/// One frame of a capture, with its Ethernet header.
#[derive(Clone, Debug)]
pub struct Frame {
    pub octets: Vec<u8>,
    /// When it was captured first.
    pub at: Duration,
    /// How often the same octets were captured.
    pub times: u64,
}

impl Frame {
    /// The VRID that an Ethernet source of the form 00-00-5E-00-0X-{VRID} stands for.
    pub fn virtual_mac_slot(&self) -> Option<u8> {
        match self.octets[6..12] {
            [0, 0, 0x5e, 0, 1 | 2, vrid] => Some(vrid),
            _ => None,
        }
    }

    /// What follows the IP header, by its length field: no frame of a fixture has IP options.
    pub fn message(&self) -> &[u8] {
        let length =
            |at: usize| usize::from(u16::from_be_bytes([self.octets[at], self.octets[at + 1]]));
        match self.octets[14] >> 4 {
            4 => &self.octets[34..14 + length(16)],
            _ => &self.octets[54..54 + length(18)],
        }
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/captures")
}

/// The names of the captures that are there, without `.pcap`.
pub fn names() -> Vec<String> {
    let files = fs::read_dir(folder()).expect("the captures").map(|entry| entry.unwrap().path());
    let captures = files.filter(|path| path.extension().is_some_and(|it| it == "pcap"));
    let mut names: Vec<_> =
        captures.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// A line of `occurrences.txt` is `NAME: 56x16 55x20`: 56 frames that were captured 16 times each,
/// then 55 that were captured 20 times each.
fn occurrences(name: &str) -> Vec<u64> {
    let text = fs::read_to_string(folder().join("occurrences.txt")).expect("occurrences.txt");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let runs = line.unwrap_or_else(|| panic!("{name}: no occurrences")).split(' ');
    let run = |run: &str| {
        let (frames, times) = run.split_once('x').expect("frames x times");
        vec![times.parse().expect("a number"); frames.parse().expect("a number")]
    };
    runs.flat_map(run).collect()
}

pub fn frames(name: &str) -> Vec<Frame> {
    let file = File::open(folder().join(format!("{name}.pcap"))).expect("a capture");
    let mut reader = PcapReader::new(file).expect("a pcap header");
    let link = reader.header().datalink;
    let mut times = occurrences(name).into_iter();
    let mut frames = Vec::new();
    while let Some(packet) = reader.next_packet() {
        let packet = packet.expect("a packet");
        let data = packet.data.into_owned();
        frames.push(Frame {
            octets: if link == DataLink::RAW { with_ethernet(data) } else { data },
            at: packet.timestamp,
            times: times.next().expect("a number for each frame"),
        });
    }
    assert_eq!(times.next(), None, "{name}");
    frames
}

/// A capture of bare IP packets has no Ethernet headers.
fn with_ethernet(packet: Vec<u8>) -> Vec<u8> {
    let kind: [u8; 2] = if packet[0] >> 4 == 4 { [0x08, 0x00] } else { [0x86, 0xdd] };
    [vec![0; 12], kind.to_vec(), packet].concat()
}
