//! A scenario inside of user-mode Linux: this program plays it there, and what it prints is printed
//! here.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use vipd_config::diagnostics::Colour;
use vipd_scenarios::language::duration_text;
use vipd_scenarios::report::files::Files;
use vipd_sim::output::Output;
use vipd_sim::run::{Ended, read, said};

use super::{Inside, MEMORY, init};
use crate::kernel::Kernel;
use crate::run::{Request, run};
use crate::world::{TOLERANCE, hurry};

/// Booting, starting nodes and ending take no longer than this beside the scenario's own time.
pub(super) const BESIDE: Duration = Duration::from_secs(120);

/// What it may be late by unless it is said: mostly how long processes take there that start at
/// once.
pub const TOLERANCE_INSIDE: Duration = Duration::from_millis(1500);

/// A file that is asked for: it is made inside, in the folder of the results, and copied out.
struct File<'a> {
    option: &'static str,
    inside: &'static str,
    to: &'a Path,
}

fn files(request: &Request) -> impl Iterator<Item = File<'_>> {
    let Files { html, perfetto, jsonl } = &request.files;
    let known = [
        ("--pcap", "capture.pcapng", &request.capture),
        ("--html", "page.html", html),
        ("--perfetto", "trace.json", perfetto),
        ("--jsonl", "lines.jsonl", jsonl),
    ];
    known
        .into_iter()
        .filter_map(|(option, inside, to)| Some(File { option, inside, to: to.as_deref()? }))
}

/// Does what is asked for on the kernel that is asked for. Without a tolerance that is the
/// kernel's own; that of the request does not count.
///
/// # Errors
/// Those of `out` and `err`.
pub fn play(
    mut request: Request,
    kernel: Kernel,
    tolerance: Option<Duration>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<Ended> {
    request.tolerance = tolerance.unwrap_or(TOLERANCE);
    // What is to be said of the scenario is said where it is played. One that cannot be used is
    // not carried in.
    let read = read(&request.file, Colour::Never, &mut io::sink())?;
    let capture = request.capture.as_deref();
    let used = read.as_ref().map(|read| {
        let (configurations, files) = (&read.configurations, &request.files);
        vipd_sim::files::NamedFiles::of_run(&request.file, configurations, capture, files)
    });
    if let Some(Err(why)) = used.map(vipd_sim::files::NamedFiles::check) {
        writeln!(err, "error: {why}")?;
        return Ok(Ended::Unusable);
    }
    let Some(read) = read.filter(|read| kernel.is_uml(&read.scenario.needs)) else {
        return run(&request, out, err);
    };
    request.tolerance = tolerance.unwrap_or(TOLERANCE_INSIDE);
    // Bounds are longer by the tolerance, so it is waited for them as long.
    let planned = Duration::from_nanos(read.scenario.until.0) + request.tolerance;
    let until = *request.until.get_or_insert(planned);
    match carried(&request, until + BESIDE, out, err)? {
        Ok(ended) => Ok(ended),
        Err(reason) => {
            writeln!(err, "error: {reason}")?;
            Ok(Ended::Unusable)
        }
    }
}

/// Plays it inside, and hands over all that came of it.
fn carried(
    request: &Request,
    within: Duration,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<Result<Ended, String>> {
    let viplab = std::env::current_exe()?;
    let words = match text(&viplab).and_then(|viplab| words(viplab, request)) {
        Ok(words) => words,
        Err(reason) => return Ok(Err(reason)),
    };
    let open = |file: File<'_>| Ok((file.inside, Output::open(file.to)?));
    let opened: Vec<_> = match files(request).map(open).collect() {
        Ok(opened) => opened,
        Err(reason) => return Ok(Err(reason)),
    };
    hurry();
    let inside = Inside { command: words, viplab, memory: MEMORY, within, stop: request.stop };
    let finished = match inside.run() {
        Ok(finished) => finished,
        Err(reason) => return Ok(Err(reason)),
    };
    out.write_all(&finished.output)?;
    err.write_all(&finished.errors)?;
    let mut unwritten = Vec::new();
    for (inside, output) in opened {
        unwritten.extend(finished.hand_over(inside, output).err());
    }
    let ends = [Ended::Passed, Ended::Failed, Ended::Unusable, Ended::Skipped];
    let ended = ends.into_iter().find(|ended| ended.status() == finished.status);
    let ended = match ended {
        Some(ended) => Some(said(ended, &unwritten, err)?),
        None => None,
    };
    Ok(ended.ok_or_else(|| format!("viplab inside ended with status {}", finished.status)))
}

/// What is run inside: this program again, on the kernel that it finds there.
fn words(viplab: String, request: &Request) -> Result<Vec<String>, String> {
    let mut words = vec![viplab];
    words.extend(["run", "--kernel", "host"].map(str::to_string));
    words.push(text(&request.file)?);
    words.extend(options(request)?);
    for File { option, inside, .. } in files(request) {
        words.extend([option.to_string(), format!("{}/{inside}", init::RESULTS)]);
    }
    Ok(words)
}

/// How a scenario is played, as options.
pub(super) fn options(request: &Request) -> Result<Vec<String>, String> {
    let mut words = vec!["--tolerance".to_string(), duration_text(request.tolerance)];
    for (host, kind) in &request.nodes {
        words.extend(["--node".to_string(), format!("{host}={kind}")]);
    }
    if let Some(vipd) = &request.vipd {
        words.extend(["--vipd".to_string(), text(vipd)?]);
    }
    if let Some(until) = request.until {
        words.extend(["--until".to_string(), duration_text(until)]);
    }
    if request.json {
        words.push("--json".to_string());
    }
    Ok(words)
}

pub(super) fn text(path: &Path) -> Result<String, String> {
    path.to_str().map(str::to_string).ok_or_else(|| format!("{} is no text", path.display()))
}

#[cfg(test)]
mod tests {
    use crate::node::Kind;

    use super::*;

    #[test]
    fn the_program_inside_is_called_as_this_one_was() {
        let request = Request {
            file: "scenarios/a.toml".into(),
            nodes: [("b".to_string(), Kind::Keepalived)].into(),
            vipd: Some("/opt/vipd".into()),
            json: true,
            capture: Some("out.pcapng".into()),
            files: Files { html: Some("out.html".into()), ..Files::default() },
            tolerance: Duration::from_millis(300),
            until: Some(Duration::from_secs(8)),
            colour: Colour::Never,
            stop: || false,
        };
        let words = words("viplab".to_string(), &request).expect("words").join(" ");
        assert_eq!(
            words,
            "viplab run --kernel host scenarios/a.toml --tolerance 300ms --node b=keepalived \
             --vipd /opt/vipd --until 8s --json --pcap /run/viplab/capture.pcapng \
             --html /run/viplab/page.html"
        );
    }

    #[test]
    fn an_output_that_would_overwrite_what_is_read_is_refused_before_anything_is_played() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/failover/kill-9.toml");
        let length = || Path::new(file).metadata().expect("the scenario").len();
        let before = length();
        let request = Request {
            file: file.into(),
            nodes: [].into(),
            vipd: None,
            json: false,
            capture: None,
            files: Files { html: Some(file.into()), ..Files::default() },
            tolerance: TOLERANCE,
            until: None,
            colour: Colour::Never,
            stop: || false,
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let ended = play(request, Kernel::Host, None, &mut out, &mut err);
        assert_eq!(ended.expect("memory takes everything"), Ended::Unusable);
        let wanted = format!("error: --html {file} would overwrite the scenario {file}: ");
        assert!(String::from_utf8(err).expect("text").starts_with(&wanted) && out.is_empty());
        assert_eq!(length(), before);
    }
}
