//! Scenarios that need what this machine's kernel lacks, compared inside of user-mode Linux: one
//! boot for all of them, by this program itself.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde_json::from_slice;

use super::play::{BESIDE, options, text};
use super::{Finished, Inside, MEMORY, init};
use crate::run::Request as One;
use crate::world::hurry;

/// What is to be compared inside, one at a time: there is one processor.
pub(crate) struct Errand {
    pub(crate) files: Vec<PathBuf>,
    /// How each is played, with the tolerance of in there.
    pub(crate) how: One,
    /// How long all of it takes at most, once and one at a time.
    pub(crate) takes: Duration,
    pub(crate) viplab: PathBuf,
}

/// What `viplab agree --json` says of a scenario.
#[derive(Debug, Deserialize)]
pub(crate) struct Told {
    pub(crate) scenario: String,
    pub(crate) verdict: String,
    pub(crate) compared: Option<usize>,
    pub(crate) largest_difference_seconds: Option<f64>,
    pub(crate) reasons: Vec<String>,
    pub(crate) tries: u32,
    pub(crate) first_try: Vec<String>,
}

#[derive(Deserialize)]
struct Table {
    scenarios: Vec<Told>,
}

impl Errand {
    /// Runs it.
    ///
    /// # Errors
    /// Why there is no result, in words.
    pub(crate) fn run(&self) -> Result<Finished, String> {
        hurry();
        // What disagrees is played once more.
        let within = self.takes * 2 + BESIDE;
        let (viplab, stop) = (self.viplab.clone(), self.how.stop);
        Inside { command: self.words()?, viplab, memory: MEMORY, within, stop }.run()
    }

    /// The same, with what came of each in the order of the files.
    ///
    /// # Errors
    /// Why there is no result, in words.
    pub(crate) fn told(&self) -> Result<Vec<Told>, String> {
        let finished = self.run()?;
        let table: Table = from_slice(&finished.output).map_err(|error| {
            let errors = String::from_utf8_lossy(&finished.errors);
            format!("viplab inside did not print its table ({error}): {errors}")
        })?;
        match table.scenarios.len() == self.files.len() {
            true => Ok(table.scenarios),
            false => Err(format!("viplab inside compared {} scenarios", table.scenarios.len())),
        }
    }

    fn words(&self) -> Result<Vec<String>, String> {
        let mut words = vec![text(&self.viplab)?];
        words.extend(["agree", "--kernel", "host", "--jobs", "1"].map(str::to_string));
        for file in &self.files {
            words.push(text(file)?);
        }
        words.extend(options(&self.how)?);
        if self.how.files.html.is_some() {
            words.extend(["--html".to_string(), format!("{}/{PAGE}", init::RESULTS)]);
        }
        Ok(words)
    }
}

/// In the folder of the results.
pub(crate) const PAGE: &str = "page.html";

#[cfg(test)]
mod tests {
    use vipd_config::diagnostics::Colour;
    use vipd_scenarios::report::files::Files;

    use super::*;

    #[test]
    fn the_program_inside_compares_the_same_files_on_the_kernel_that_it_finds() {
        let how = One {
            file: PathBuf::new(),
            nodes: [].into(),
            vipd: None,
            json: true,
            capture: None,
            files: Files::default(),
            tolerance: Duration::from_millis(300),
            until: None,
            colour: Colour::Never,
            stop: || false,
        };
        let files = vec!["a.toml".into(), "b.toml".into()];
        let errand = Errand { files, how, takes: Duration::ZERO, viplab: "viplab".into() };
        assert_eq!(
            errand.words().expect("words").join(" "),
            "viplab agree --kernel host --jobs 1 a.toml b.toml --tolerance 300ms --json"
        );
    }
}
