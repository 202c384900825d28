//! `vipsim config`: what a keepalived.conf means, every default filled in, each value with its
//! origin. Nothing is run.

use std::io::{self, Write};
use std::path::Path;

use vipd_config::diagnostics::Colour;
use vipd_config::{Options, Report};

/// What was found, as the exit status of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// 0: nothing to remark but notes.
    Fine,
    /// 1: usable, with warnings.
    Warnings,
    /// 2: unusable, nothing was printed on `out`.
    Unusable,
}

impl Shown {
    /// The exit status.
    #[must_use]
    pub const fn status(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Warnings => 1,
            Self::Unusable => 2,
        }
    }
}

/// Prints the effective configuration as JSON on `out`, everything that is to be said of the file
/// on `err`.
///
/// # Errors
/// Those of `out` and `err`.
pub fn show(
    file: &Path,
    options: &Options,
    colour: Colour,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<Shown> {
    match vipd_config::load(file, options) {
        Ok(loaded) => {
            remark(&loaded.report, colour, err)?;
            let json = serde_json::to_string_pretty(&loaded.effective)?;
            writeln!(out, "{json}")?;
            out.flush()?;
            let warned = loaded.report.diagnostics.warnings().next().is_some();
            Ok(if warned { Shown::Warnings } else { Shown::Fine })
        }
        Err(report) => {
            remark(&report, colour, err)?;
            Ok(Shown::Unusable)
        }
    }
}

fn remark(report: &Report, colour: Colour, err: &mut dyn Write) -> io::Result<()> {
    let text = report.render(colour);
    if text.trim().is_empty() { Ok(()) } else { writeln!(err, "{}", text.trim_end()) }
}
