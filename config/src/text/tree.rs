//! Words and braces to statements and blocks, and what is said of braces that do not match.

use crate::diagnostics::{Diagnostic, Span};

use super::findings::Findings;
use super::words::Token;
use super::{Block, Limits, Statement, Word};

/// The statements read so far, and the blocks that are open.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    limits: Limits,
    /// Keywords of blocks that stand outside any block only.
    root_blocks: &'a [&'static str],
    root: Vec<Statement>,
    open: Vec<OpenBlock>,
    /// Whether a `{` now belongs to the last statement: it ended the line before.
    may_open: bool,
    words: usize,
    /// The last line that a condition left out and that opens a block: the usual cause of a `}`
    /// too many.
    left_out: Option<Span>,
}

#[derive(Debug)]
struct OpenBlock {
    /// Empty after a `{` without a keyword, which was reported.
    words: Vec<Word>,
    open: Span,
    statements: Vec<Statement>,
    /// Where the statement's line is indented to.
    indent: Option<usize>,
    /// The first block inside that was closed at another indentation than it was opened: its `{`
    /// and its `}`.
    suspect: Option<(Span, Span)>,
}

impl<'a> Tree<'a> {
    /// No statements yet.
    pub fn new(limits: Limits, root_blocks: &'a [&'static str]) -> Self {
        Tree {
            limits,
            root_blocks,
            root: Vec::new(),
            open: Vec::new(),
            may_open: false,
            words: 0,
            left_out: None,
        }
    }

    /// Adds a line. `indent` is its indentation in octets, if it stands in a file as it is.
    pub fn line(&mut self, tokens: Vec<Token>, indent: Option<usize>, findings: &mut Findings) {
        let mut words = Vec::with_capacity(tokens.len());
        let mut first = true;
        for token in tokens {
            match token {
                Token::Word(word) => words.push(word),
                Token::Open(open) => {
                    let words = std::mem::take(&mut words);
                    self.open(words, open, indent, findings);
                }
                Token::Close(close) => {
                    self.statement(std::mem::take(&mut words), findings);
                    self.close(close, indent.filter(|_| first), findings);
                }
            }
            first = false;
            if findings.stopped() {
                return;
            }
        }
        self.statement(words, findings);
    }

    /// Notes that a condition left out a line that opens a block.
    pub fn leave_out(&mut self, line: Span) {
        self.left_out = Some(line);
    }

    /// Ends what a `{` on the next line could belong to.
    pub fn detach(&mut self) {
        self.may_open = false;
    }

    /// Takes the statements outside any block that nothing can be added to any more.
    pub fn take_complete(&mut self) -> impl Iterator<Item = Statement> {
        // A `{` on the next line would belong to the last one.
        let last = usize::from(self.may_open && self.open.is_empty());
        let complete = if self.open.is_empty() { self.root.len() - last } else { 0 };
        self.root.drain(..complete)
    }

    /// Closes what is open, and reports it unless reading was stopped.
    pub fn finish(mut self, findings: &mut Findings) -> Vec<Statement> {
        self.report_unclosed(None, findings);
        self.close_all();
        self.root
    }

    fn statement(&mut self, mut words: Vec<Word>, findings: &mut Findings) {
        if words.is_empty() {
            return;
        }
        // Most statements have one or two words, and a growing vector keeps room for four.
        words.shrink_to_fit();
        self.words += words.len();
        if self.words > self.limits.words {
            let message = format!("more than {} words", self.limits.words);
            findings.stop(Diagnostic::error("too-many-words", message).at(words[0].span));
            return;
        }
        self.statements().push(Statement { words, block: None });
        self.may_open = true;
    }

    fn open(
        &mut self,
        mut words: Vec<Word>,
        open: Span,
        indent: Option<usize>,
        findings: &mut Findings,
    ) {
        if words.is_empty() && self.may_open {
            let last = self.statements().pop();
            words = last.map(|statement| statement.words).unwrap_or_default();
        }
        self.may_open = false;
        match words.first() {
            None => findings.report(
                Diagnostic::error("brace-without-keyword", "a `{` that belongs to no keyword")
                    .at(open)
                    .label("what stands in it is not used")
                    .help("write the keyword before it, or remove it and its `}`"),
            ),
            Some(keyword) if self.root_blocks.contains(&keyword.text.as_str()) => {
                let span = keyword.span;
                self.report_unclosed(Some(span), findings);
                self.close_all();
            }
            Some(_) => {}
        }
        if self.open.len() >= self.limits.block_depth {
            let message = format!("more than {} blocks inside each other", self.open.len());
            findings.stop(Diagnostic::error("block-too-deep", message).at(open));
            return;
        }
        self.words += words.len() + 1;
        self.open.push(OpenBlock { words, open, statements: Vec::new(), indent, suspect: None });
    }

    fn close(&mut self, close: Span, indent: Option<usize>, findings: &mut Findings) {
        self.may_open = false;
        let Some(block) = self.open.pop() else {
            let mut error = Diagnostic::error("stray-brace", "a `}` that closes nothing")
                .at(close)
                .label("no block is open here")
                .help("remove it, or look for a `}` too many above");
            if let Some(line) = self.left_out {
                error = error.also(line, "this line opens a block, and its condition left it out");
            }
            findings.report(error);
            return;
        };
        let aligned = indent.is_none() || block.indent.is_none() || indent == block.indent;
        let open = block.open;
        self.push(block, Some(close));
        if let Some(outer) = self.open.last_mut().filter(|_| !aligned) {
            outer.suspect = outer.suspect.or(Some((open, close)));
        }
    }

    /// Reports the innermost open block. `next` is the keyword that shows that it should have
    /// been closed; without one it is the end of the text.
    fn report_unclosed(&self, next: Option<Span>, findings: &mut Findings) {
        let Some(inner) = self.open.last() else { return };
        let name = inner.words.iter().map(|word| word.text.as_str()).take(2);
        let name = name.collect::<Vec<_>>().join(" ");
        let mut error =
            Diagnostic::error("unclosed-block", format!("the block `{name}` is never closed"))
                .at(inner.open)
                .label("this `{` has no `}`");
        if let Some(next) = next {
            error = error.also(next, "a block of its own begins here, so the `}` is missing above");
        }
        if let Some((open, close)) = self.open.iter().rev().find_map(|block| block.suspect) {
            error = error
                .also(open, "perhaps this is the one that is not closed")
                .also(close, "because this `}` stands under another line");
        }
        findings.report(error.help("add a `}` where the block ends"));
    }

    fn close_all(&mut self) {
        while let Some(block) = self.open.pop() {
            self.push(block, None);
        }
        self.may_open = false;
    }

    /// Puts a block that has ended where it belongs.
    fn push(&mut self, block: OpenBlock, close: Option<Span>) {
        let OpenBlock { words, open, statements, .. } = block;
        if !words.is_empty() {
            let block = Some(Block { open, close, statements });
            self.statements().push(Statement { words, block });
        }
    }

    /// The statements of the innermost open block.
    fn statements(&mut self) -> &mut Vec<Statement> {
        self.open.last_mut().map_or(&mut self.root, |block| &mut block.statements)
    }
}
