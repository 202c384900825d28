//! The lexical layer: files of keepalived.conf text to a tree of statements, each word with its
//! place.
//!
//! It knows lines, comments, quotes, braces, `include`, macros, conditions and repeated lines. It
//! does not know a single keyword's meaning. The keyword table and the typed meaning build on it.
//!
//! Where next: [`files`] is where text comes from, `reader` opens and bounds it, `lines` takes
//! comments out, `expand` follows conditions and macros, `words` splits, `tree` nests, and
//! [`crate::diagnostics`] is what is said about it.

mod expand;
pub mod files;
mod findings;
mod include;
mod lines;
mod macros;
mod reader;
mod repeat;
mod suggest;
mod traced;
mod tree;
mod words;

use std::path::Path;

pub use files::{Disk, Files, InMemory, ReadError};
pub use suggest::did_you_mean;

use crate::diagnostics::{Diagnostics, Sources, Span};

/// What the lexical layer must be told from outside.
#[derive(Clone, Debug, Default)]
pub struct TextOptions {
    /// What `@id` and `@^id` lines are compared with (keepalived's `--config-id`, by default the
    /// short host name). `None` makes the first condition an error.
    pub config_id: Option<String>,
    /// What `${_INSTANCE}` stands for; by default the config id.
    pub instance: Option<String>,
    /// Keywords that open a block and stand outside any block only. One of them inside an open
    /// block shows that a `}` is missing before it. Empty: only the end of the text shows it.
    pub root_blocks: Vec<&'static str>,
    /// Bounds on what is read.
    pub limits: Limits,
}

/// Bounds that keep any input's time and memory small; each has its own diagnostic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of all files together.
    pub octets: usize,
    /// Octets of one line, before and after substitution.
    pub line: usize,
    /// Octets that macros, `~SEQ` and `~LST` may make in all, those in between included.
    pub expansion: usize,
    /// Words in all.
    pub words: usize,
    /// Files inside files by `include`.
    pub include_depth: usize,
    /// Files in all, each time an `include` names one.
    pub files: usize,
    /// Macros inside macros.
    pub macro_depth: usize,
    /// Blocks inside blocks.
    pub block_depth: usize,
    /// Mistakes that are reported.
    pub diagnostics: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            octets: 32 << 20,
            line: 64 << 10,
            expansion: 256 << 20,
            words: 2 << 20,
            include_depth: 32,
            files: 4096,
            macro_depth: 64,
            block_depth: 64,
            diagnostics: 1000,
        }
    }
}

/// Everything that was read, whether or not mistakes were found.
#[derive(Clone, Debug, Default)]
pub struct Document {
    /// The files, in the order in which they were first read.
    pub sources: Sources,
    /// The statements outside any block, in order, includes in their place.
    pub statements: Vec<Statement>,
    /// What was found wrong with the text.
    pub diagnostics: Diagnostics,
}

/// One logical line: a keyword and its arguments, and the block that follows, if one does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The keyword and its arguments; never empty.
    pub words: Vec<Word>,
    /// The block after a `{`, whether glued to the last word, at the end or on the next line.
    pub block: Option<Block>,
}

impl Statement {
    /// The first word.
    pub fn keyword(&self) -> &Word {
        &self.words[0]
    }

    /// The words after the first.
    pub fn arguments(&self) -> &[Word] {
        &self.words[1..]
    }

    /// The statements of the block, none if there is no block.
    pub fn children(&self) -> &[Statement] {
        self.block.as_ref().map_or(&[], |block| &block.statements)
    }

    /// From the first word to the last, without the block. The first word's alone if an `include`
    /// or a macro put the last one into another file.
    pub fn span(&self) -> Span {
        let first = self.words[0].span;
        self.words.last().map_or(first, |last| first.to(last.span))
    }
}

/// What stands between `{` and `}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The `{`.
    pub open: Span,
    /// The `}`, `None` if it is missing (which is an error that was reported).
    pub close: Option<Span>,
    /// The statements inside, in order.
    pub statements: Vec<Statement>,
}

/// A word with quotes and escapes resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// What it says.
    pub text: String,
    /// Where it stands, quotes included. For a word that a macro made: where the macro is used.
    pub span: Span,
    /// Whether any part of it stood in quotes.
    pub quoted: bool,
    /// For a word that a macro made: where it stands in the macro's definition.
    pub written: Option<Span>,
}

/// Reads a file and what it includes from the disk.
///
/// Never fails: what could not be read is an error in [`Document::diagnostics`].
pub fn read(path: &Path, options: &TextOptions) -> Document {
    read_from(&Disk, path, options)
}

/// As [`read`], from any set of files.
pub fn read_from(files: &dyn Files, path: &Path, options: &TextOptions) -> Document {
    let mut statements = Vec::new();
    let (sources, diagnostics) =
        read_each(files, path, options, &mut |statement| statements.push(statement));
    Document { sources, statements, diagnostics }
}

/// As [`read_from`], one statement outside any block after the other: only one of them is held.
pub fn read_each(
    files: &dyn Files,
    path: &Path,
    options: &TextOptions,
    each: &mut dyn FnMut(Statement),
) -> (Sources, Diagnostics) {
    reader::Reader::new(files, options, each).read(path)
}
