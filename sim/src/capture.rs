//! Writes what passes at every port into a pcapng file: a frame where it is sent and where it
//! arrives, each with its direction, and with a comment where the network dropped it.

use std::io::{self, Write};

use vipd_frames::pcapng::{Direction, Writer};
use vipd_scenarios::record::{LossReason, WorldTime};

use crate::network::PortId;

/// A capture that is being written. It stops at the first error and gives it at the end.
pub struct Capture {
    writer: Writer<Box<dyn Write + Send>>,
    result: io::Result<()>,
}

impl Capture {
    /// A capture with these ports, each with a name and what it is plugged into, in order.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn new(
        out: impl Write + Send + 'static,
        ports: impl IntoIterator<Item = (String, String)>,
    ) -> io::Result<Self> {
        let mut writer = Writer::new(Box::new(out) as Box<dyn Write + Send>)?;
        for (name, segment) in ports {
            writer.add_interface(&name, &segment)?;
        }
        Ok(Self { writer, result: Ok(()) })
    }

    /// A frame left here.
    pub fn sent(&mut self, port: PortId, at: WorldTime, frame: &[u8]) {
        self.write(port, at, frame, Direction::Outbound, None);
    }

    /// A frame arrived here.
    pub fn arrived(&mut self, port: PortId, at: WorldTime, frame: &[u8]) {
        self.write(port, at, frame, Direction::Inbound, None);
    }

    /// A frame for this port was lost.
    pub fn dropped(&mut self, port: PortId, at: WorldTime, frame: &[u8], reason: LossReason) {
        let comment = match reason {
            LossReason::Cut => "dropped: the path is cut",
            LossReason::Lost => "dropped: lost on the path",
            LossReason::LinkDown => "dropped: the link is down",
            LossReason::PoweredOff => "dropped: the machine is off",
            LossReason::Corrupted => "one bit was flipped on the path",
        };
        self.write(port, at, frame, Direction::Inbound, Some(comment));
    }

    /// Ends the file.
    ///
    /// # Errors
    /// The first one that occurred.
    pub fn finish(self) -> io::Result<()> {
        self.result?;
        self.writer.finish().map(|_| ())
    }

    fn write(
        &mut self,
        port: PortId,
        at: WorldTime,
        frame: &[u8],
        direction: Direction,
        comment: Option<&str>,
    ) {
        if self.result.is_ok() {
            self.result = self.writer.packet(port.0, at.0, frame, direction, comment);
        }
    }
}
