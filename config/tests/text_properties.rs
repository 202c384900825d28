//! What holds of the lexical layer whatever the text is.

use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use vipd_config::diagnostics::{Colour, Sources, Span};
use vipd_config::text::{Document, InMemory, Limits, Statement, TextOptions, read_from};

/// Bounds low enough to be met by text that a test can make.
fn options() -> TextOptions {
    let limits = Limits { words: 5_000, expansion: 200_000, ..Limits::default() };
    TextOptions {
        config_id: Some("main".to_owned()),
        root_blocks: vec!["vrrp_instance"],
        limits,
        ..TextOptions::default()
    }
}

fn document(text: impl Into<Vec<u8>>) -> Document {
    let files = InMemory::new()
        .with("/etc/a.conf", text)
        .with("/etc/b", "x ${A} {\n include c\n")
        .with("/etc/c", "$A= \\\n d \\\n }\n@main ~SEQ(B,1,3) $A\ninclude a.conf\n");
    read_from(&files, Path::new("/etc/a.conf"), &options())
}

/// Everything that a reader of the document may rely on.
fn check(document: &Document) {
    check_statements(&document.statements, &document.sources);
    for found in document.diagnostics.iter() {
        assert!(found.span.is_none_or(|span| fits(span, &document.sources)), "{found:?}");
        for colour in [Colour::Never, Colour::Always] {
            assert!(!found.render(&document.sources, colour).is_empty());
        }
        let first = found.message.chars().next().expect("a message");
        assert!(!first.is_uppercase() && !found.message.ends_with('.'), "{}", found.message);
    }
}

fn check_statements(statements: &[Statement], sources: &Sources) {
    for statement in statements {
        assert!(!statement.words.is_empty());
        for word in &statement.words {
            assert!(fits(word.span, sources) && word.span.start < word.span.end, "{word:?}");
            assert!(word.written.is_none_or(|written| fits(written, sources)), "{word:?}");
        }
        if let Some(block) = &statement.block {
            assert!(fits(block.open, sources) && block.close.is_none_or(|at| fits(at, sources)));
        }
        check_statements(statement.children(), sources);
    }
}

fn fits(span: Span, sources: &Sources) -> bool {
    let text = sources.text(span.file);
    span.start <= span.end && text.get(span.start..span.end).is_some()
}

/// Text that is full of what the language gives a meaning to.
fn lively_text() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "a",
        "priority",
        "vrrp_instance",
        " ",
        " ",
        "\n",
        "\n",
        "{",
        "}",
        "\"",
        "'",
        "\\",
        "\\\n",
        "#",
        "!",
        "$A",
        "${A}",
        "$A=",
        "$B=",
        "${B}",
        "=",
        "@main ",
        "@^main ",
        "@x ",
        "@",
        "~SEQ(B,3)",
        "~SEQx(A,9,12) ",
        "~LST({A,B},{1,2}) ",
        "~LST(A,$B) ",
        "~SEQ(",
        ",",
        ")",
        "include b",
        "include",
        "includea c",
        "include_check",
        "include {b,c}",
        "${",
        "${_PWD}",
        "${_ENV A}",
        "${_RANDOM 1 2}",
        "\\x41",
        "\\c",
        "\\777",
        "é",
        "\u{feff}",
        "\0",
        "\r",
        "\t",
        "<<<<<<< a",
        "=======",
        ">>>>>>> b",
        "\u{85}",
        "\u{2028}",
    ]);
    vec(pieces, 0..60).prop_map(|pieces| pieces.concat())
}

/// Statements with any words, as a text that says them and as they should be read.
fn statements(depth: u32) -> BoxedStrategy<(String, String)> {
    let block = if depth == 0 {
        Just(None).boxed()
    } else {
        prop::option::of(statements(depth - 1)).boxed()
    };
    let word = prop_oneof!["[a-z_]{1,8}", "[0-9.]{1,8}", "[ -~é\\t]{0,8}"];
    let statement =
        (vec(word, 1..4), block, any::<bool>()).prop_map(|(words, block, next_line)| {
            let mut words: Vec<String> = words;
            // No word of the language itself, as `include` is, may come first.
            words[0].insert(0, 'k');
            let written: Vec<String> = words.iter().map(|word| quoted(word)).collect();
            let (text, read) = (written.join(" "), format!("{words:?}"));
            match block {
                None => (format!("{text}\n"), read),
                Some((inside, read_inside)) => {
                    let open = if next_line { "\n{" } else { "{" };
                    (format!("{text}{open}\n{inside}}}\n"), format!("{read}{{{read_inside}}}"))
                }
            }
        });
    let all = vec(statement, 0..5);
    all.prop_map(|all| {
        let (texts, reads): (Vec<String>, Vec<String>) = all.into_iter().unzip();
        (texts.concat(), reads.concat())
    })
    .boxed()
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_');
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let escaped = word.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$");
    format!("\"{escaped}\"")
}

fn shape(statements: &[Statement]) -> String {
    let one = |statement: &Statement| {
        let words: Vec<&str> = statement.words.iter().map(|word| word.text.as_str()).collect();
        match &statement.block {
            None => format!("{words:?}"),
            Some(block) => format!("{words:?}{{{}}}", shape(&block.statements)),
        }
    };
    statements.iter().map(one).collect()
}

proptest! {
    #[test]
    fn any_octets_are_read_to_an_end(octets in vec(any::<u8>(), 0..300)) {
        check(&document(octets));
    }

    #[test]
    fn any_text_of_the_languages_own_marks_is_read_to_an_end(text in lively_text()) {
        let first = document(text.clone());
        check(&first);
        // Two readings of one text agree in every word that is said of it.
        let second = document(text);
        prop_assert_eq!(&first.statements, &second.statements);
        prop_assert_eq!(
            first.diagnostics.render(&first.sources, Colour::Never),
            second.diagnostics.render(&second.sources, Colour::Never)
        );
    }

    #[test]
    fn what_is_written_is_what_is_read((text, expected) in statements(3)) {
        let document = document(text.clone());
        let said = document.diagnostics.render(&document.sources, Colour::Never);
        prop_assert!(document.diagnostics.is_empty(), "{}\n{}", text, said);
        prop_assert_eq!(shape(&document.statements), expected);
        check(&document);
    }
}
