//! What is said of text that cannot be right: each mistake once, where it stands, with a way out.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use insta::assert_snapshot;
use vipd_config::diagnostics::Colour;
use vipd_config::text::{Document, InMemory, Limits, TextOptions, read, read_from};

fn document_of(files: &InMemory, options: &TextOptions) -> Document {
    read_from(files, Path::new("/etc/a.conf"), options)
}

fn options() -> TextOptions {
    TextOptions {
        config_id: Some("main".to_owned()),
        root_blocks: vec!["vrrp_instance", "vrrp_script", "virtual_server"],
        ..TextOptions::default()
    }
}

fn shown(document: &Document) -> String {
    document.diagnostics.render(&document.sources, Colour::Never)
}

/// What is said of a text.
fn said(text: impl Into<Vec<u8>>) -> String {
    shown(&document_of(&InMemory::new().with("/etc/a.conf", text), &options()))
}

fn said_of(files: &InMemory) -> String {
    shown(&document_of(files, &options()))
}

/// The codes of what is found, in order.
fn codes(document: &Document) -> Vec<&'static str> {
    document.diagnostics.iter().map(|found| found.code).collect()
}

/// What is found within bounds that a test can reach.
fn codes_within(limits: Limits, files: &InMemory) -> Vec<&'static str> {
    codes(&document_of(files, &TextOptions { limits, ..options() }))
}

fn one(text: impl Into<Vec<u8>>) -> InMemory {
    InMemory::new().with("/etc/a.conf", text)
}

#[test]
fn a_missing_brace_is_one_error_at_the_block_that_is_open() {
    assert_snapshot!(said("vrrp_instance VI_1 {\n    priority 100\n    state BACKUP\n"));
}

#[test]
fn a_missing_brace_is_seen_where_the_next_root_block_begins() {
    let text = "vrrp_instance VI_1 {\n    authentication {\n        auth_type PASS\n    \
                virtual_ipaddress {\n        10.0.0.1\n    }\n}\n\nvrrp_script check {\n    \
                script /bin/true\n}\n";
    let document = document_of(&one(text), &options());
    assert_eq!(document.statements.len(), 2);
    assert_snapshot!(shown(&document));
}

#[test]
fn a_brace_too_many_is_an_error() {
    assert_snapshot!(said("vrrp_instance VI_1 {\n    priority 100\n}\n}\n"));
}

#[test]
fn a_condition_that_leaves_out_an_opening_line_is_named_with_the_stray_brace() {
    assert_snapshot!(said("@spare vrrp_instance VI_1 {\n    priority 100\n}\n"));
}

#[test]
fn a_brace_without_a_keyword_is_an_error_and_its_block_is_not_used() {
    let document = document_of(&one("a {\n}\n{\n  b\n}\nc\n"), &options());
    assert_eq!(document.statements.len(), 2);
    assert_snapshot!(shown(&document));
}

#[test]
fn a_quotation_that_is_not_closed_is_an_error() {
    assert_snapshot!(said(
        "notify \"/etc/notify.sh\nnotification_email_from o'brien@example.com\n"
    ));
}

#[test]
fn an_escape_that_means_nothing_is_an_error() {
    assert_snapshot!(said("script \"/bin/x \\xzz\"\n"));
}

#[test]
fn a_comment_mark_inside_a_word_is_a_warning() {
    assert_snapshot!(said("auth_pass abc#123\nvirtual_server 10.0.0.1 80 {#fine\n}!fine\n"));
}

#[test]
fn an_undefined_macro_is_an_error_with_the_name_that_is_meant() {
    assert_snapshot!(said("$PRIORITY=100\npriority $PRIORTY\naddress 10.0.0.${HOST}\n"));
}

#[test]
fn a_definition_with_a_space_before_its_equals_sign_is_an_error() {
    assert_snapshot!(said("$PRIO = 100\n"));
}

#[test]
fn a_variable_of_a_script_in_quotes_is_no_mistake() {
    assert_eq!(said("script \"/bin/sh -c 'test $1 = $HOME && kill -0 $(cat /run/x)'\"\n"), "");
}

#[test]
fn a_macro_that_keepalived_would_not_replace_is_an_error() {
    assert_snapshot!(said("$SUBNET=7\naddress 10.0.$SUBNET.1\n"));
}

#[test]
fn shell_templates_are_an_error() {
    assert_snapshot!(said("priority ${PRIORITY:-100}\n"));
}

#[test]
fn macros_that_use_each_other_are_an_error() {
    assert_snapshot!(said("$A=x ${B}\n$B=y ${A}\naddress $A\n"));
}

#[test]
fn text_behind_a_macro_of_several_lines_is_an_error() {
    assert_snapshot!(said("$M= \\\n a \\\n b\n$M c\n"));
}

#[test]
fn a_random_number_is_an_error_that_names_a_better_way() {
    assert_snapshot!(said("priority ${_RANDOM 100 200}\n"));
}

#[test]
fn built_in_macros_that_have_no_value_are_errors() {
    let options = TextOptions { config_id: None, ..options() };
    let document =
        document_of(&one("a ${_ENV HOME}\nb ${_INSTANCE}\nc ${_PWD x}\n$_PWD=d\n"), &options);
    assert_snapshot!(shown(&document));
}

#[test]
fn a_condition_without_anything_to_compare_it_with_is_an_error() {
    let options = TextOptions { config_id: None, ..options() };
    assert_snapshot!(shown(&document_of(&one("@main priority 100\n@ priority 90\n"), &options)));
}

#[test]
fn mistakes_in_a_repetition_are_errors() {
    assert_snapshot!(said("~SEQ(A, 1, 0, 5) a\n~LST({A,B}, {1}) b\n~seq(A, 3) c\n~SEQ(A, 5 d\n"));
}

#[test]
fn a_repetition_of_nothing_is_a_warning() {
    assert_snapshot!(said("~SEQ(A, 5, 1, 1) 10.0.0.${A}\n~SEQ(A, 3)\n"));
}

#[test]
fn a_merge_conflict_is_one_error() {
    let text = "vrrp_instance VI_1 {\n<<<<<<< HEAD\n    priority 100\n=======\n    priority 150\n\
                >>>>>>> other\n}\n";
    assert_snapshot!(said(text));
}

#[test]
fn a_nul_octet_is_one_error() {
    assert_snapshot!(said("priority 100\0\nstate \0BACKUP\nadvert_int 1\n"));
}

#[test]
fn octets_that_are_not_utf8_are_an_error_outside_comments_only() {
    assert_snapshot!(said(b"# d\xe9fini\nrouter_id caf\xe9\n".to_vec()));
}

#[test]
fn a_file_in_utf16_is_one_error() {
    assert_snapshot!(said(b"\xff\xfea\0b\0".to_vec()));
}

#[test]
fn a_byte_order_mark_is_a_warning() {
    assert_snapshot!(said("\u{feff}global_defs {\n}\n"));
}

#[test]
fn a_line_that_keepalived_drops_is_a_warning_at_1023_octets() {
    let of = |octets: usize| format!("{:width$}", "a", width = octets - 1) + "b\n";
    assert_eq!(said(of(1022)), "");
    assert_snapshot!(said(of(1023)).replace("  ", ""));
}

#[test]
fn a_missing_file_is_an_error_that_names_it() {
    assert_snapshot!(said_of(&InMemory::new()));
}

#[test]
fn a_directory_is_an_error_that_names_it() {
    assert_snapshot!(said_of(&InMemory::new().with("/etc/a.conf/x", "")));
}

#[test]
fn a_loop_of_includes_is_an_error_that_names_the_files() {
    let files = one("include b.conf\n").with("/etc/b.conf", "a 1\ninclude ./x/../a.conf\n");
    assert_snapshot!(said_of(&files));
}

#[test]
fn a_plain_include_of_nothing_is_a_warning_and_its_strict_forms_are_errors() {
    let text = "include none.conf\nincludem none.conf\nincludew none/*\ninclude none/*\n\
                includeb {b,c}.conf\ninclude d\nincluder d\ninclude a b\n";
    let files = one(text).with("/etc/b.conf", "").with("/etc/d/x", "");
    assert_snapshot!(said_of(&files));
}

#[test]
fn include_check_makes_later_includes_strict() {
    let text = "global_defs {\ninclude_check match\n}\ninclude none.conf\ninclude_check -matsch\n";
    assert_snapshot!(said(text));
}

#[test]
fn an_include_behind_a_brace_is_an_error() {
    assert_snapshot!(said("vrrp_instance VI_1 { include b.conf\n}\n"));
}

#[test]
fn a_mistake_in_an_included_file_points_into_that_file() {
    let files = one("include b.conf\n").with("/etc/b.conf", "a\n  priority ${P}\n");
    assert_snapshot!(said_of(&files));
}

#[test]
fn a_mistake_repeated_by_a_macro_is_said_once() {
    let text = "~SEQ(A, 1, 50) priority ${P} ${A}\n";
    assert_eq!(codes(&document_of(&one(text), &options())), ["undefined-macro"]);
}

#[test]
fn all_mistakes_are_found_in_one_go_in_the_order_of_their_places() {
    let text = "a $X\nb 'c\n}\nd \\xg\n";
    let document = document_of(&one(text), &options());
    assert_eq!(
        codes(&document),
        ["undefined-macro", "unclosed-quote", "stray-brace", "bad-escape"]
    );
    assert!(document.diagnostics.has_errors());
}

#[test]
fn a_diagnostic_as_json_has_its_place_and_its_way_out() {
    let document = document_of(&one("a\n  b é $X\n"), &options());
    let records = document.diagnostics.to_records(&document.sources);
    assert_snapshot!(serde_json::to_string_pretty(&records).unwrap());
}

#[test]
fn colour_is_only_used_where_it_is_asked_for() {
    let document = document_of(&one("a $X\n"), &options());
    let plain = document.diagnostics.render(&document.sources, Colour::Never);
    let coloured = document.diagnostics.render(&document.sources, Colour::Always);
    assert!(!plain.contains('\u{1b}') && coloured.contains('\u{1b}'));
}

#[test]
fn every_bound_ends_in_one_error_of_its_own() {
    let limits = Limits::default();
    let deep = one("include a1").with("/etc/a1", "include a2").with("/etc/a2", "x");
    let cases: [(Limits, InMemory, &str); 10] = [
        (Limits { octets: 10, ..limits }, one("a b c d e f g"), "too-large"),
        (Limits { line: 10, ..limits }, one("a b c d e f g\nh"), "line-too-long"),
        (Limits { line: 10, ..limits }, one("a b c d \\\ne f g\n"), "line-too-long"),
        (Limits { line: 10, ..limits }, one("$A=aaaaaa\nb$A ${A}${A}"), "line-too-long"),
        (Limits { expansion: 500, ..limits }, one("~SEQ(A,100) b"), "expansion-too-large"),
        (Limits { words: 3, ..limits }, one("a b\nc d\ne"), "too-many-words"),
        (Limits { include_depth: 2, ..limits }, deep.clone(), "include-too-deep"),
        (Limits { files: 2, ..limits }, deep, "too-many-files"),
        (Limits { macro_depth: 2, ..limits }, one("$A=1\n$B=$A\n$C=$B\n$C"), "macro-too-deep"),
        (Limits { block_depth: 2, ..limits }, one("a {\nb {\nc {\n"), "block-too-deep"),
    ];
    for (limits, files, code) in cases {
        assert_eq!(codes_within(limits, &files), [code]);
    }
    let many = codes_within(Limits { diagnostics: 3, ..limits }, &one("}\n".repeat(9)));
    assert_eq!(many, ["stray-brace", "stray-brace", "stray-brace", "too-many-mistakes"]);
}

#[test]
fn hostile_text_ends_quickly_in_few_words() {
    let mut bomb = "$A0=aaaaaaaaaa\n".to_owned();
    for level in 1..60 {
        let before = level - 1;
        writeln!(bomb, "$A{level}=${{A{before}}}${{A{before}}}").unwrap();
    }
    let mut lines = "$L0= \\\n a \\\n b\n".to_owned();
    for level in 1..60 {
        let before = level - 1;
        writeln!(lines, "$L{level}= \\\n $L{before} \\\n $L{before}").unwrap();
    }
    let cases = [
        "a ".repeat(50 << 20),
        "a".repeat(20 << 20),
        "}".repeat(20 << 20),
        "{".repeat(20 << 20),
        "a{".repeat(10 << 20),
        "a\n".repeat(1 << 20),
        "}\n".repeat(1 << 20),
        format!("{bomb}x $A59"),
        format!("{lines}$L59"),
        "~SEQ(A,4000000000) @nobody x\n".to_owned(),
        "~SEQ(A,1,2)".repeat(5000) + "x\n",
        "$E=\n".to_owned() + &"${E}".repeat(16000) + "\n",
        "include a.conf\n".repeat(100_000),
        "\"\n'\n".repeat(1_000_000),
        "\\\n".repeat(500_000),
        "@".repeat(60_000) + "\n",
        "@main ".repeat(10_000) + "x\n",
        "$".repeat(60_000) + "\n",
        "${".repeat(30_000) + "\n",
        format!("include {}\n", "{a,b}".repeat(10_000)),
    ];
    // The bounds are lower than by default, and what is measured grows with them.
    let limits = Limits { words: 200_000, expansion: 8 << 20, ..Limits::default() };
    let options = TextOptions { limits, ..options() };
    for text in cases {
        let began = Instant::now();
        let start: String = text.chars().take(20).collect();
        let document = document_of(&one(text), &options);
        assert!(shown(&document).len() < 1 << 20, "{start}");
        let took = began.elapsed();
        assert!(took < Duration::from_secs(20), "{start}: {took:?}");
    }
}

#[test]
fn on_the_disk_a_missing_file_a_directory_and_a_device_are_each_one_error() {
    let folder = std::env::temp_dir();
    let missing = folder.join("vipd-no-such-file.conf");
    for (path, code) in [
        (missing.as_path(), "file-missing"),
        (folder.as_path(), "file-is-directory"),
        (Path::new("/dev/zero"), "file-not-regular"),
    ] {
        assert_eq!(codes(&read(path, &options())), [code]);
    }
}
