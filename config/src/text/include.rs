//! The six `include` keywords and `include_check`: how strict each is and which paths it names.
//! It opens no file.

use std::path::Path;

/// What must be true of the files that an include names, or it is an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Checks {
    /// Every file can be read.
    pub readable: bool,
    /// A path without wildcards names a file.
    pub matches: bool,
    /// A path with wildcards names a file.
    pub wildcard_matches: bool,
    /// Every alternative of a brace expression names a file.
    pub brace_matches: bool,
}

impl Checks {
    const NONE: Checks =
        Checks { readable: false, matches: false, wildcard_matches: false, brace_matches: false };
    const READABLE: Checks = Checks { readable: true, ..Checks::NONE };
    const MATCHES: Checks = Checks { matches: true, ..Checks::READABLE };
    const WILDCARD: Checks = Checks { wildcard_matches: true, ..Checks::READABLE };
    const BRACE: Checks = Checks { brace_matches: true, ..Checks::READABLE };
    const ALL: Checks =
        Checks { readable: true, matches: true, wildcard_matches: true, brace_matches: true };

    /// What an include keyword demands; `None` if it is none.
    pub fn of_keyword(keyword: &str) -> Option<Checks> {
        INCLUDES.iter().find(|(name, _)| *name == keyword).map(|(_, checks)| *checks)
    }

    /// What either demands.
    #[must_use]
    pub fn and(self, other: Checks) -> Checks {
        Checks {
            readable: self.readable || other.readable,
            matches: self.matches || other.matches,
            wildcard_matches: self.wildcard_matches || other.wildcard_matches,
            brace_matches: self.brace_matches || other.brace_matches,
        }
    }

    fn without(self, other: Checks) -> Checks {
        Checks {
            readable: self.readable && !other.readable,
            matches: self.matches && !other.matches,
            wildcard_matches: self.wildcard_matches && !other.wildcard_matches,
            brace_matches: self.brace_matches && !other.brace_matches,
        }
    }

    /// What holds after `include_check` with these options; the option that it does not know.
    ///
    /// # Errors
    /// The option's index.
    pub fn changed_by(self, options: &[&str]) -> Result<Checks, usize> {
        if options.is_empty() {
            return Ok(Checks::ALL);
        }
        let relative = options[0].starts_with(['+', '-']);
        let mut checks = if relative { self } else { Checks::NONE };
        let mut adding = true;
        for (index, option) in options.iter().enumerate() {
            let name = option.trim_start_matches(['+', '-']);
            adding = (adding || option.starts_with('+')) && !option.starts_with('-');
            if name.is_empty() && option.len() == 1 {
                continue;
            }
            let named = OPTIONS.iter().find(|(known, _)| *known == name).ok_or(index)?.1;
            checks = if adding {
                checks.and(named)
            } else if named == Checks::READABLE {
                checks.without(named)
            } else {
                checks.without(named.without(Checks::READABLE))
            };
        }
        Ok(checks)
    }
}

/// The keyword in `global_defs` that makes all includes after it stricter.
pub(super) const INCLUDE_CHECK: &str = "include_check";

const INCLUDES: [(&str, Checks); 6] = [
    ("include", Checks::NONE),
    ("includer", Checks::READABLE),
    ("includem", Checks::MATCHES),
    ("includew", Checks::WILDCARD),
    ("includeb", Checks::BRACE),
    ("includea", Checks::ALL),
];

const OPTIONS: [(&str, Checks); 4] = [
    ("readable", Checks::READABLE),
    ("match", Checks::MATCHES),
    ("wildcard_match", Checks::WILDCARD),
    ("brace_match", Checks::BRACE),
];

/// The names of [`INCLUDE_CHECK`]'s options.
pub(super) fn check_options() -> impl Iterator<Item = &'static str> {
    OPTIONS.iter().map(|(name, _)| *name)
}

/// The path as seen from the folder of the file that includes it.
pub(super) fn from_folder(folder: &Path, path: &str) -> String {
    folder.join(path).to_string_lossy().into_owned()
}

/// Whether a path names files by a pattern.
pub(super) fn has_wildcard(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// The alternatives of a path with expressions such as `{a,b}`, which may stand inside each other;
/// the path itself if it has none. `None` if they are more than `most`.
pub(super) fn alternatives(path: &str, most: usize) -> Option<Vec<String>> {
    let mut waiting = vec![path.to_owned()];
    let mut done = Vec::new();
    // The last is taken first, so each is replaced by its alternatives in reverse.
    while let Some(path) = waiting.pop() {
        match first_choice(&path) {
            None => done.push(path),
            Some((before, choices, behind)) => {
                for choice in choices.iter().rev() {
                    waiting.push(format!("{before}{choice}{behind}"));
                }
            }
        }
        if done.len() + waiting.len() > most {
            return None;
        }
    }
    Some(done)
}

/// The first complete `{..,..}`: what stands before it, its choices, and what stands behind.
fn first_choice(path: &str) -> Option<(&str, Vec<&str>, &str)> {
    let open = path.find('{')?;
    let mut depth = 0;
    let mut choices = Vec::new();
    let mut start = open + 1;
    for (at, c) in path.char_indices().skip_while(|(at, _)| *at < open) {
        match c {
            '{' => depth += 1,
            ',' if depth == 1 => {
                choices.push(&path[start..at]);
                start = at + 1;
            }
            '}' => {
                depth -= 1;
                if depth == 0 {
                    choices.push(&path[start..at]);
                    return Some((&path[..open], choices, &path[at + 1..]));
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(path: &str) -> String {
        alternatives(path, 100).map_or("too many".to_owned(), |all| all.join(" "))
    }

    #[test]
    fn a_brace_expression_stands_for_each_of_its_alternatives() {
        assert_eq!(expanded("a.conf"), "a.conf");
        assert_eq!(expanded("{foo/{,cat,dog},bar}"), "foo/ foo/cat foo/dog bar");
        assert_eq!(expanded("{a,b}{1,2}"), "a1 a2 b1 b2");
        assert_eq!(expanded("a{b"), "a{b");
        assert_eq!(expanded(&"{a,b}".repeat(30)), "too many");
    }

    #[test]
    fn include_check_sets_adds_and_removes() {
        let none = Checks::default();
        assert_eq!(none.changed_by(&[]), Ok(Checks::ALL));
        assert_eq!(none.changed_by(&["readable"]), Ok(Checks::READABLE));
        let changed = none.changed_by(&["+match", "-wildcard_match"]);
        assert_eq!(changed, Ok(Checks::MATCHES));
        assert_eq!(Checks::ALL.changed_by(&["-", "match"]).map(|checks| checks.matches), Ok(false));
        assert_eq!(none.changed_by(&["readable", "mtch"]), Err(1));
    }
}
