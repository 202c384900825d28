//! What the lexical layer makes of well-formed text. Mistakes are in `text_mistakes.rs`.

use std::path::Path;

use vipd_config::diagnostics::Colour;
use vipd_config::text::{Document, InMemory, Statement, TextOptions, read, read_each, read_from};

fn document(text: &str) -> Document {
    document_of(&InMemory::new().with("/etc/a.conf", text), &options())
}

fn document_of(files: &InMemory, options: &TextOptions) -> Document {
    read_from(files, Path::new("/etc/a.conf"), options)
}

fn options() -> TextOptions {
    TextOptions {
        config_id: Some("main".to_owned()),
        root_blocks: vec!["vrrp_instance", "vrrp_script"],
        ..TextOptions::default()
    }
}

/// The statements on one line: `;` between two, braces around blocks.
fn shape(statements: &[Statement]) -> String {
    let one = |statement: &Statement| {
        let words: Vec<&str> = statement.words.iter().map(|word| word.text.as_str()).collect();
        match &statement.block {
            None => words.join(" "),
            Some(block) => format!("{} {{{}}}", words.join(" "), shape(&block.statements)),
        }
    };
    statements.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// The shape of a text that has no mistake.
fn read_shape(text: &str) -> String {
    clean_shape(&document(text))
}

fn clean_shape(document: &Document) -> String {
    let said = document.diagnostics.render(&document.sources, Colour::Never);
    assert!(document.diagnostics.is_empty(), "{said}");
    shape(&document.statements)
}

/// The text under a word.
fn under(document: &Document, path: &[usize], word: usize) -> String {
    let mut statement = &document.statements[path[0]];
    for index in &path[1..] {
        statement = &statement.children()[*index];
    }
    document.sources.slice(statement.words[word].span).to_owned()
}

#[test]
fn both_directors_files_read_without_a_word_of_complaint() {
    for name in ["director-1.conf", "director-2.conf"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/seed").join(name);
        let document = read(&path, &TextOptions::default());
        let shape = clean_shape(&document);
        assert!(shape.contains("authentication {auth_type PASS; auth_pass 1111}"), "{shape}");
        let keywords = document.statements.iter().map(|one| one.keyword().text.as_str());
        let keywords: Vec<&str> = keywords.collect();
        assert_eq!(keywords, ["global_defs", "vrrp_instance", "virtual_server"]);
    }
}

#[test]
fn a_brace_opens_a_block_glued_to_a_word_at_the_end_or_on_the_next_line() {
    assert_eq!(read_shape("a b{\nc\n}"), "a b {c}");
    assert_eq!(read_shape("a b {\nc\n}"), "a b {c}");
    assert_eq!(read_shape("a b\n\n# comment\n{\nc\n}"), "a b {c}");
    assert_eq!(read_shape("a {b {\nc 1\n} }\nd"), "a {b {c 1}}; d");
}

#[test]
fn words_behind_a_brace_are_a_statement_of_their_own() {
    assert_eq!(read_shape("a { b c }"), "a {b c}");
    assert_eq!(read_shape("a { b c\nd }\ne { }"), "a {b c; d}; e {}");
}

#[test]
fn a_macro_is_replaced_where_it_is_used_with_the_value_it_has_there() {
    let text = "$BASE=10.2.${SUB}\n$SUB=0\n${BASE}.100/32\n$SUB=10\n${BASE}.100/32\n";
    assert_eq!(read_shape(text), "10.2.0.100/32; 10.2.10.100/32");
    assert_eq!(read_shape("$A=1 # one\n$B=\nx $A $B y${B}z"), "x 1 yz");
    assert_eq!(read_shape("$A=b c\nx \"$A d\" '${A}'"), "x b c d b c");
}

#[test]
fn a_macro_of_several_lines_makes_several_statements() {
    let text = "$INSTANCE= \\\n vrrp_instance VI_${NUM} { \\\n  interface eth0.${NUM} \\\n\n  \
                @main priority 130 \\\n  @spare priority 120 \\\n }\n\
                $NUM=0\n$INSTANCE\n$NUM=1\n$INSTANCE\n";
    assert_eq!(
        read_shape(text),
        "vrrp_instance VI_0 {interface eth0.0; priority 130}; \
         vrrp_instance VI_1 {interface eth0.1; priority 130}"
    );
}

#[test]
fn macros_of_several_lines_nest_and_may_define_others() {
    let text = "$RS= \\\nreal_server 10.0.${VS}.${RS_NUM} 80 { \\\n weight 1 \\\n}\n\
                $BOTH= \\\nvirtual_server 10.0.${VS}.4 80 { \\\n $RS_NUM=1 \\\n $RS \\\n \
                $RS_NUM=2 \\\n $RS \\\n}\n$VS=7\n$BOTH\n";
    assert_eq!(
        read_shape(text),
        "virtual_server 10.0.7.4 80 {real_server 10.0.7.1 80 {weight 1}; \
         real_server 10.0.7.2 80 {weight 1}}"
    );
}

#[test]
fn built_in_macros_stand_for_folder_instance_environment_and_comment_marks() {
    let files = InMemory::new()
        .with("/etc/a.conf", "x ${_PWD} ${_INSTANCE} ${_ENV HOME} a${_HASH}b ${_BANG}\ninclude d/b")
        .with("/etc/d/b", "y $_PWD")
        .with_environment("HOME", "/root");
    let document = document_of(&files, &options());
    assert_eq!(clean_shape(&document), "x /etc main /root a#b !; y /etc/d");
}

#[test]
fn a_condition_keeps_or_leaves_out_its_line() {
    let text = "@main a\n@spare b\n@^main c\n@^spare d\n@main @^spare e\n@main $P=1\n@spare $P=2\n\
                p $P\n$IF=@main\n$IF f\n$IF=@spare\n$IF g";
    assert_eq!(read_shape(text), "a; d; e; p 1; f");
}

#[test]
fn a_sequence_repeats_its_line_and_sequences_multiply() {
    assert_eq!(read_shape("a {\n~SEQ(S, 0, 2) 10.0.${S}.1\n}"), "a {10.0.0.1; 10.0.1.1; 10.0.2.1}");
    assert_eq!(read_shape("~SEQx(S, 144, 16, 176) fe80::${S}"), "fe80::90; fe80::a0; fe80::b0");
    assert_eq!(read_shape("~SEQ(A,1,2) ~SEQ(B,3,4) ${A}.${B}"), "1.3; 1.4; 2.3; 2.4");
    assert_eq!(
        read_shape("$N=2\n$B= \\\nx {\\\n y ${A} \\\n}\n~SEQ(A,${N}) $B"),
        "x {y 1}; x {y 2}"
    );
}

#[test]
fn a_list_repeats_its_line_with_each_of_its_values() {
    assert_eq!(read_shape("~LST(IP, 1, 9) 10.0.0.${IP}"), "10.0.0.1; 10.0.0.9");
    let text = "~LST({A, B}, {10,1},{20,4}) ~SEQ(C,168,2,170) 192.${C}.${A}.${B}";
    assert_eq!(read_shape(text), "192.168.10.1; 192.170.10.1; 192.168.20.4; 192.170.20.4");
}

#[test]
fn an_include_is_relative_to_the_file_that_has_it_and_takes_patterns() {
    let files = InMemory::new()
        .with("/etc/a.conf", "a {\ninclude conf.d/*.conf\n}\ninclude none/*\ninclude d/{x,y}")
        .with("/etc/conf.d/2.conf", "two")
        .with("/etc/conf.d/1.conf", "one\ninclude sub/x.conf")
        .with("/etc/conf.d/.hidden.conf", "hidden")
        .with("/etc/conf.d/sub/x.conf", "x\n")
        .with("/etc/d/x", "dx")
        .with("/etc/d/y", "dy");
    let document = document_of(&files, &options());
    assert_eq!(clean_shape(&document), "a {one; x; two}; dx; dy");
    assert_eq!(under(&document, &[0, 1], 0), "x");
    let file = document.statements[0].children()[1].words[0].span.file;
    assert_eq!(document.sources.path(file), "/etc/conf.d/sub/x.conf");
}

#[test]
fn one_file_may_be_included_twice() {
    let files = InMemory::new().with("/etc/a.conf", "include b\ninclude b").with("/etc/b", "x");
    let document = document_of(&files, &options());
    assert_eq!(clean_shape(&document), "x; x");
    assert_eq!(document.sources.paths().count(), 2);
}

#[test]
fn a_line_that_ends_in_a_backslash_goes_on() {
    assert_eq!(
        read_shape("lvs_sync_daemon eth0 \\\n  id 3 \\\n  port 1\nb"),
        "lvs_sync_daemon eth0 id 3 port 1; b"
    );
}

#[test]
fn every_word_points_at_its_text() {
    let text = "vrrp_instance VI_1{ # c\n  notify \"/a b\" 'é'x\n}\n";
    let document = document(text);
    assert_eq!(under(&document, &[0], 1), "VI_1");
    assert_eq!(under(&document, &[0, 0], 1), "\"/a b\"");
    assert_eq!(under(&document, &[0, 0], 2), "'é'x");
    let notify = &document.statements[0].children()[0];
    let position = document.sources.position(notify.words[2].span);
    assert_eq!((position.line, position.column), (2, 17));
    assert!(notify.words[2].quoted && !notify.words[0].quoted);
    let block = document.statements[0].block.as_ref().unwrap();
    assert_eq!(document.sources.slice(block.open), "{");
    assert_eq!(document.sources.slice(block.close.unwrap()), "}");
    assert_eq!(document.sources.slice(notify.span()), "notify \"/a b\" 'é'x");
}

#[test]
fn a_word_that_a_macro_made_points_at_the_use_and_at_what_was_written() {
    let document = document("$P= \\\n priority 300 \\\n nopreempt\n$P\n");
    assert_eq!(under(&document, &[0], 1), "$P");
    let written = document.statements[0].words[1].written.unwrap();
    assert_eq!(document.sources.slice(written), "300");
}

#[test]
fn blocks_are_given_one_by_one_as_they_end_and_a_brace_on_the_next_line_is_theirs() {
    let text = "one\nvrrp_script a\n{\n b {\n c\n }\n}\nvrrp_script d {\n e\n} two\n three\n";
    let files = InMemory::new().with("/etc/a.conf", text);
    let mut given = Vec::new();
    let (sources, found) = read_each(&files, Path::new("/etc/a.conf"), &options(), &mut |one| {
        given.push(shape(&[one]));
    });
    assert!(found.is_empty(), "{}", found.render(&sources, Colour::Never));
    assert_eq!(given, ["one", "vrrp_script a {b {c}}", "vrrp_script d {e}", "two", "three"]);
    assert_eq!(given.join("; "), read_shape(text));
}
