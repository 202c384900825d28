//! As much of Rust as it takes to find a test and what it says: rustfmt gives an item the
//! indentation of its first line again where it ends. What a proof must have is in `check`.

/// The source of a test file, without the lines that are comments.
pub struct Source<'a> {
    lines: Vec<&'a str>,
}

impl<'a> Source<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { lines: text.lines().filter(|line| !line.trim().starts_with("//")).collect() }
    }

    /// The lines of a function that stands below `#[test]`, in `proptest!` or outside of it.
    pub fn test(&self, name: &str) -> Option<&[&'a str]> {
        let head = format!("fn {name}(");
        let is_test = |at: usize| {
            let above = self.lines[..at].iter().rev().map(|line| line.trim());
            above.take_while(|line| line.starts_with("#[")).any(|line| line == "#[test]")
        };
        let mut heads = (0..self.lines.len())
            .filter(|at| self.lines[*at].trim().starts_with(&head) && is_test(*at));
        heads.next().map(|at| self.item(at))
    }

    /// Whether a test has a case: in its own lines, or in those of a function, a constant or a
    /// static of its file that it names.
    pub fn has_case(&self, test: &str, case: &str) -> bool {
        let Some(body) = self.test(test) else { return false };
        let quoted = format!("\"{case}\"");
        let has = |lines: &[&str]| lines.iter().any(|line| line.contains(&quoted));
        let tables = (0..self.lines.len()).filter(|at| {
            let name = item_name(self.lines[*at]);
            name.is_some_and(|name| body.iter().any(|line| names(line, name)))
        });
        has(body) || tables.into_iter().any(|at| has(self.item(at)))
    }

    /// The lines of the item that begins at a line: one, or those until its indentation returns.
    fn item(&self, at: usize) -> &[&'a str] {
        let first = self.lines[at];
        let is_last = |line: &&str| {
            if first.ends_with('=') {
                return line.ends_with(';');
            }
            // `) -> Type {` ends the arguments of a function, not the function.
            indentation(line) == indentation(first)
                && line.trim_start().starts_with(['}', ']', ')', '"'])
                && !line.ends_with('{')
        };
        let more = match first.ends_with([';', '}']) {
            true => 0,
            false => self.lines[at + 1..].iter().position(is_last).map_or(0, |more| more + 1),
        };
        &self.lines[at..=at + more]
    }
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The name of the function, constant or static that begins with this line.
fn item_name(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = line.strip_prefix("pub ").unwrap_or(line);
    let rest = ["const fn ", "fn ", "const ", "static "]
        .into_iter()
        .find_map(|keyword| line.strip_prefix(keyword))?;
    let end = rest.find(|letter: char| !is_word(letter))?;
    Some(&rest[..end])
}

/// Whether a line has this word.
fn names(line: &str, word: &str) -> bool {
    line.split(|letter: char| !is_word(letter)).any(|found| found == word)
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}
