//! Reads files into one document: opens them, follows includes, keeps the bounds.
//!
//! What happens to a line between the file and the tree stands in [`super::expand`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::diagnostics::{Diagnostic, Diagnostics, FileId, Severity, Sources, Span};

use super::findings::Findings;
use super::include::{self, Checks};
use super::lines::{BYTE_ORDER_MARK, Lines};
use super::macros::Macros;
use super::traced::Traced;
use super::tree::Tree;
use super::words::{self, Braces, Token};
use super::{Files, ReadError, Statement, TextOptions, Word, did_you_mean};

/// One reading of a file and all that it includes.
pub(super) struct Reader<'a> {
    pub(super) files: &'a dyn Files,
    pub(super) options: &'a TextOptions,
    pub(super) findings: Findings,
    pub(super) tree: Tree<'a>,
    /// Who takes the statements outside any block, as they are complete.
    pub(super) each: &'a mut dyn FnMut(Statement),
    pub(super) macros: Macros,
    /// How many lines are being expanded inside each other.
    pub(super) nesting: usize,
    /// Octets moved by substitution so far.
    pub(super) expanded: usize,
    sources: Sources,
    /// The files read so far, by their identity.
    loaded: BTreeMap<PathBuf, Loaded>,
    /// The files that are being read, each included by the one before.
    including: Vec<Including>,
    checks: Checks,
    octets: usize,
    opened: usize,
}

#[derive(Clone, Copy)]
struct Loaded {
    file: FileId,
    /// Whether octets that are not UTF-8 were replaced.
    replaced: bool,
}

struct Including {
    identity: PathBuf,
    path: PathBuf,
}

/// Where a file is named, and how bad it is if it cannot be read.
#[derive(Clone, Copy)]
struct Named {
    span: Option<Span>,
    if_missing: Option<Severity>,
    if_unreadable: Severity,
}

impl<'a> Reader<'a> {
    /// Nothing read yet.
    pub fn new(
        files: &'a dyn Files,
        options: &'a TextOptions,
        each: &'a mut dyn FnMut(Statement),
    ) -> Self {
        Reader {
            files,
            options,
            each,
            findings: Findings::new(options.limits.diagnostics),
            tree: Tree::new(options.limits, &options.root_blocks),
            macros: Macros::default(),
            nesting: 0,
            expanded: 0,
            sources: Sources::default(),
            loaded: BTreeMap::new(),
            including: Vec::new(),
            checks: Checks::default(),
            octets: 0,
            opened: 0,
        }
    }

    /// Reads the file that was asked for.
    pub fn read(mut self, path: &Path) -> (Sources, Diagnostics) {
        let error = Severity::Error;
        self.file(path, Named { span: None, if_missing: Some(error), if_unreadable: error });
        let Reader { mut findings, sources, tree, each, .. } = self;
        for statement in tree.finish(&mut findings) {
            each(statement);
        }
        (sources, findings.finish())
    }

    /// The folder that paths in the file being read are relative to, as the file was named.
    pub(super) fn folder(&self) -> &Path {
        let path = self.including.last().and_then(|including| including.path.parent());
        path.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    /// The indentation of a line, if nothing but white space stands before it in its file.
    pub(super) fn indentation(&self, start: Span) -> Option<usize> {
        let before = &self.sources.text(start.file)[..start.start];
        let indent = &before[before.rfind('\n').map_or(0, |at| at + 1)..];
        indent.trim().is_empty().then_some(indent.len())
    }

    /// The text of a place, to be named in a message.
    pub(super) fn slice(&self, span: Span) -> &str {
        self.sources.slice(span)
    }

    /// Reads a line that begins with an include keyword.
    pub(super) fn include(&mut self, line: &Traced, checks: Checks) {
        let tokens = words::split(line, Braces::Text, &mut self.findings);
        let words: Vec<Word> = tokens.into_iter().filter_map(into_word).collect();
        let [keyword, path] = &words[..] else {
            let Some(keyword) = words.first() else { return };
            let given = words.len() - 1;
            let message = format!("`{}` takes one path, and this has {given}", keyword.text);
            let last = words.last().unwrap_or(keyword);
            self.findings.report(
                Diagnostic::error("include-arguments", message)
                    .at(keyword.span.to(last.span))
                    .help("put a path with spaces into quotes, each path on a line of its own"),
            );
            return;
        };
        let checks = self.checks.and(checks);
        let most = self.options.limits.files;
        self.tree.detach();
        match include::alternatives(&path.text, most) {
            None => self.findings.report(
                Diagnostic::error("include-pattern", format!("this names more than {most} paths"))
                    .at(path.span),
            ),
            Some(paths) => {
                let braces = paths.len() > 1;
                for one in paths {
                    self.include_path(&one, keyword, path.span, checks, braces);
                }
            }
        }
        self.tree.detach();
    }

    fn include_path(
        &mut self,
        path: &str,
        keyword: &Word,
        span: Span,
        checks: Checks,
        braces: bool,
    ) {
        let full = include::from_folder(self.folder(), path);
        let refused = (braces && checks.brace_matches)
            || if include::has_wildcard(path) { checks.wildcard_matches } else { checks.matches };
        let if_unreadable = if checks.readable { Severity::Error } else { Severity::Warning };
        let mut named = Named { span: Some(span), if_missing: None, if_unreadable };
        if !include::has_wildcard(path) {
            named.if_missing = Some(if refused { Severity::Error } else { Severity::Warning });
            self.file(Path::new(&full), named);
            return;
        }
        // One more than allowed is asked for, so that the bound on files is seen to be passed.
        match self.files.matching(&full.replace("**", "*"), self.options.limits.files + 1) {
            Err(reason) => self.findings.report(
                Diagnostic::error("include-pattern", format!("not a pattern of paths: {reason}"))
                    .at(span),
            ),
            Ok(paths) if paths.is_empty() && refused => self.findings.report(
                Diagnostic::error("include-no-match", format!("no file matches `{full}`"))
                    .at(span)
                    .help(format!("`{}` demands one; plain `include` does not", keyword.text)),
            ),
            Ok(paths) => {
                for path in paths {
                    self.file(&path, named);
                }
            }
        }
    }

    /// Follows `include_check`.
    pub(super) fn change_checks(&mut self, tokens: &[Token]) {
        let words: Vec<Word> = tokens.iter().cloned().filter_map(into_word).collect();
        let options: Vec<&str> = words[1..].iter().map(|word| word.text.as_str()).collect();
        match self.checks.changed_by(&options) {
            Ok(checks) => self.checks = checks,
            Err(index) => {
                let word = &words[1 + index];
                let name = word.text.trim_start_matches(['+', '-']);
                let mut error = Diagnostic::error(
                    "include-check-option",
                    format!("`{}` is no option of `{}`", word.text, include::INCLUDE_CHECK),
                )
                .at(word.span);
                if let Some(near) = did_you_mean(name, include::check_options()) {
                    error = error.help(format!("did you mean `{near}`?"));
                }
                self.findings.report(error);
            }
        }
    }

    /// Reads one file, unless a bound or a loop forbids it.
    fn file(&mut self, path: &Path, named: Named) {
        let limits = self.options.limits;
        let identity = self.files.identity(path);
        if self.findings.stopped() || self.is_loop(path, &identity, named) {
            return;
        }
        if self.including.len() >= limits.include_depth {
            let message = format!("more than {} files inside each other", limits.include_depth);
            self.findings.stop(placed(Diagnostic::error("include-too-deep", message), named.span));
            return;
        }
        self.opened += 1;
        if self.opened > limits.files {
            let message = format!("more than {} files are included", limits.files);
            self.findings.stop(placed(Diagnostic::error("too-many-files", message), named.span));
            return;
        }
        let Some(loaded) = self.load(path, &identity, named) else { return };
        let checks = self.checks;
        self.including.push(Including { identity, path: path.to_path_buf() });
        self.lines(loaded);
        self.including.pop();
        self.checks = checks;
    }

    fn lines(&mut self, loaded: Loaded) {
        let text = self.sources.shared_text(loaded.file);
        let limit = self.options.limits.line;
        let mut lines = Lines::new(loaded.file, &text, limit, loaded.replaced);
        while !self.findings.stopped() {
            let Some(logical) = lines.next(&mut self.findings) else { return };
            self.logical(logical);
        }
    }

    fn is_loop(&mut self, path: &Path, identity: &Path, named: Named) -> bool {
        let first = self.including.iter().position(|including| including.identity == identity);
        let Some(first) = first else { return false };
        let mut names: Vec<String> =
            self.including[first..].iter().map(|one| one.path.display().to_string()).collect();
        names.push(path.display().to_string());
        let message = format!("a loop of includes: {}", names.join(" includes "));
        let error = Diagnostic::error("include-loop", message).help("remove one of the includes");
        self.findings.report(placed(error, named.span));
        true
    }

    /// The text of a file, read at its first use.
    fn load(&mut self, path: &Path, identity: &Path, named: Named) -> Option<Loaded> {
        if let Some(loaded) = self.loaded.get(identity) {
            return Some(*loaded);
        }
        let limit = self.options.limits.octets;
        let octets = match self.files.read(path, limit - self.octets) {
            Ok(octets) => octets,
            Err(ReadError::TooLarge) => {
                let message = format!(
                    "`{}` makes the configuration larger than {limit} octets, which is the limit",
                    path.display()
                );
                self.findings.stop(placed(Diagnostic::error("too-large", message), named.span));
                return None;
            }
            Err(error) => {
                self.report_unreadable(path, &error, named);
                return None;
            }
        };
        self.octets += octets.len();
        if octets.starts_with(b"\xff\xfe") || octets.starts_with(b"\xfe\xff") {
            let message = format!("`{}` is UTF-16, and only UTF-8 is read", path.display());
            let error = Diagnostic::error("not-utf8", message).help("save the file as UTF-8");
            self.findings.report(placed(error, named.span));
            return None;
        }
        let (text, replaced) = match String::from_utf8(octets) {
            Ok(text) => (text, false),
            Err(error) => (String::from_utf8_lossy(error.as_bytes()).into_owned(), true),
        };
        let marked = text.starts_with(BYTE_ORDER_MARK);
        let file = self.sources.add(path.display().to_string(), text);
        if marked {
            self.findings.report(
                Diagnostic::warning("byte-order-mark", "the file begins with a byte order mark")
                    .at(Span { file, start: 0, end: BYTE_ORDER_MARK.len_utf8() })
                    .help("save it as UTF-8 without: keepalived does not know its first word"),
            );
        }
        let loaded = Loaded { file, replaced };
        self.loaded.insert(identity.to_path_buf(), loaded);
        Some(loaded)
    }

    fn report_unreadable(&mut self, path: &Path, error: &ReadError, named: Named) {
        let path = path.display();
        let (code, message) = match error {
            ReadError::Missing => ("file-missing", format!("there is no file `{path}`")),
            ReadError::Directory => ("file-is-directory", format!("`{path}` is a directory")),
            ReadError::NotAFile => {
                ("file-not-regular", format!("`{path}` is a pipe, a socket or a device"))
            }
            ReadError::Denied => {
                ("file-denied", format!("`{path}` may not be read: permission denied"))
            }
            ReadError::TooLarge => ("too-large", format!("`{path}` is too large")),
            ReadError::Other(reason) => {
                ("file-unreadable", format!("`{path}` cannot be read: {reason}"))
            }
        };
        let missing = *error == ReadError::Missing;
        let severity = if missing { named.if_missing } else { Some(named.if_unreadable) };
        let Some(severity) = severity else { return };
        let mut found = placed(Diagnostic::new(severity, code, message), named.span);
        found.help = Some(match (error, severity) {
            (_, Severity::Warning) => {
                "keepalived leaves it out without a word; `includea` makes this an error".to_owned()
            }
            (ReadError::Directory, _) if named.span.is_some() => {
                format!("`{path}/*.conf` names the files in it")
            }
            (ReadError::Directory | ReadError::NotAFile, _) => "name a file".to_owned(),
            (ReadError::Missing, _) => "check the path".to_owned(),
            (ReadError::Denied | ReadError::TooLarge | ReadError::Other(_), _) => {
                "check who may read it".to_owned()
            }
        });
        self.findings.report(found);
    }
}

fn placed(diagnostic: Diagnostic, span: Option<Span>) -> Diagnostic {
    Diagnostic { span, ..diagnostic }
}

fn into_word(token: Token) -> Option<Word> {
    match token {
        Token::Word(word) => Some(word),
        Token::Open(_) | Token::Close(_) => None,
    }
}
