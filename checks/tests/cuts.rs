//! Anything a server may say, in any pieces: nothing panics, nothing grows, and how it is cut does
//! not matter. And the search in a stream finds what the regex crate finds in one piece.

mod talk;

use proptest::prelude::*;
use talk::{ATTEMPT, check_at, http, page, pattern, smtp, url};
use vipd_checks::{Event, HELD_MAX, HTTP_LINE_MAX, Plan, Step, Verdict};
use vipd_engine::config::health::{CheckKind, HttpCheck, Pattern, Url};

/// Lines and pieces of which replies are put together, good ones among them.
const PIECES: [&[u8]; 32] = [
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.0 200\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 404 Not Found\r\n",
    b"Content-Length: 11\r\n",
    b"Content-Length: x\r\n",
    b"Content-Length:\r\n 11\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip\r\n",
    b"\r\n",
    b"\n",
    b"\r",
    b"all is well",
    b"all is",
    b" well",
    b"5\r\nall i\r\n",
    b"6;x=y\r\ns well\r\n",
    b"0\r\n",
    b"0\r\n\r\n",
    b"ffffffffffffffff\r\n",
    b"X-Trailer: y\r\n",
    b"\0\0\0",
    b"220 mail.example\r\n",
    b"220-mail.example\r\n",
    b"250 ok\r\n",
    b"250-ok\r\n",
    b"250\r\n",
    b"221 bye\r\n",
    b"421 busy\r\n",
    b"2",
    b" ",
    &[0xff; 300],
];

fn replies() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        12 => prop::sample::select(&PIECES[..]).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ];
    let any = prop::collection::vec(piece.clone(), 0..14);
    // Every other one begins as a page does, so that bodies are reached.
    let page = prop::collection::vec(piece, 0..10).prop_map(|rest| {
        let head = PIECES[0].to_vec();
        [vec![head], rest].concat()
    });
    prop_oneof![any, page].prop_map(|pieces| pieces.concat())
}

/// One of each stream, and those pages that look at their body.
fn plans() -> Vec<Plan> {
    let digest = 0xcd_u128.to_be_bytes();
    let searched = |pattern| page(Url { pattern: Some(pattern), ..url("/") });
    let all = HttpCheck { fast_recovery: true, ..http(vec![url("/a"), url("/b")]) };
    vec![
        smtp(),
        page(url("/")),
        page(Url { digest: Some(digest), ..url("/") }),
        searched(pattern("(?m)is well$")),
        searched(Pattern { must_not_match: true, ..pattern("s w") }),
        searched(Pattern { min_offset: 4, max_offset: Some(5), ..pattern("is") }),
        Plan::new(&check_at(CheckKind::Http(Box::new(all)), "192.0.2.7", 80)).expect("a plan"),
    ]
}

/// What it comes to: all that was sent, and the last step. Each connection says `reply`.
fn conversation(plan: &Plan, reply: &[u8], cuts: &[usize]) -> (Vec<u8>, Step, Verdict) {
    let mut dialogue = plan.begin(ATTEMPT);
    let mut out = Vec::new();
    let mut step = Step::Reopen;
    while step == Step::Reopen {
        step = dialogue.on(Event::Opened, &mut out);
        let mut rest = reply;
        let mut cuts = cuts.iter().cycle();
        while !rest.is_empty() && step == Step::Continue {
            let length = cuts.next().map_or(rest.len(), |cut| (*cut).min(rest.len()));
            let (piece, left) = rest.split_at(length);
            rest = left;
            step = dialogue.on(Event::Octets(piece), &mut out);
            assert!(dialogue.held() <= HELD_MAX, "{} octets held", dialogue.held());
        }
        if step == Step::Continue {
            step = dialogue.on(Event::Closed, &mut out);
        }
    }
    let verdict = dialogue.on_deadline();
    (out, step, verdict)
}

proptest! {
    #[test]
    fn how_a_reply_is_cut_does_not_matter(
        reply in replies(),
        cuts in prop::collection::vec(1_usize..9, 1..12),
    ) {
        for plan in plans() {
            let whole = conversation(&plan, &reply, &[]);
            prop_assert!(matches!(whole.1, Step::Over(_)), "{:?} when it closes", whole.1);
            prop_assert_eq!(&whole, &conversation(&plan, &reply, &[1]));
            prop_assert_eq!(&whole, &conversation(&plan, &reply, &cuts));
        }
    }

    #[test]
    fn a_search_finds_what_the_regex_crate_finds_in_one_piece(
        expression in expressions(),
        body in "[ab\r\n ]{0,24}",
        min_offset in 0_u32..12,
        max_offset in prop::option::of(0_u32..24),
        cuts in prop::collection::vec(1_usize..5, 1..6),
    ) {
        // The oracle is built without the tables of Unicode.
        let expression = format!("(?-u){expression}");
        let regex = regex::bytes::Regex::new(&expression).expect("a pattern");
        let begins = usize::try_from(min_offset).expect("small");
        let found = (begins <= body.len())
            .then(|| regex.find_at(body.as_bytes(), begins))
            .flatten()
            .is_some_and(|found| max_offset.is_none_or(|max| found.start() < max as usize));
        let looked_for = Pattern { min_offset, max_offset, ..pattern(&expression) };
        let plan = page(Url { pattern: Some(looked_for), ..url("/") });
        let reply = [b"HTTP/1.0 200 OK\r\n\r\n", body.as_bytes()].concat();
        let (_, _, verdict) = conversation(&plan, &reply, &cuts);
        prop_assert_eq!(verdict == Verdict::Good, found, "{:?} in {:?}", expression, body);
    }
}

/// Expressions with every assertion that octets have.
fn expressions() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(
        &[
            "a",
            "b",
            "ab",
            "[ab]",
            r"\r",
            r"\n",
            " ",
            ".",
            "(?s:.)",
            "^",
            "$",
            "(?m:^)",
            "(?m:$)",
            "(?mR:^)",
            "(?mR:$)",
            r"\b",
            r"\B",
            r"\b{start}",
            r"\b{end}",
            r"\b{start-half}",
            r"\b{end-half}",
            r"\A",
            r"\z",
            "",
        ][..],
    );
    leaf.prop_map(str::to_owned).prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
            (inner.clone(), inner.clone()).prop_map(|(one, other)| format!("(?:{one}|{other})")),
            inner.clone().prop_map(|one| format!("(?:{one})*")),
            inner.prop_map(|one| format!("(?:{one}){{1,2}}")),
        ]
    })
}

#[test]
fn an_endless_body_is_held_nowhere() {
    let searched = Url { digest: Some([0; 16]), pattern: Some(pattern("never")), ..url("/") };
    for head in ["\r\n", "Content-Length: 18446744073709551615\r\n\r\n"] {
        let plan = page(searched.clone());
        let mut dialogue = plan.begin(ATTEMPT);
        let mut out = Vec::new();
        let head = format!("HTTP/1.1 200 OK\r\n{head}");
        dialogue.on(Event::Opened, &mut out);
        dialogue.on(Event::Octets(head.as_bytes()), &mut out);
        for _ in 0..40 {
            let step = dialogue.on(Event::Octets(&[b'n'; 10_000]), &mut out);
            assert_eq!((step, dialogue.held()), (Step::Continue, 0));
        }
    }
}

#[test]
fn endless_chunks_of_one_octet_are_held_nowhere() {
    let plan = page(url("/"));
    let mut dialogue = plan.begin(ATTEMPT);
    let mut out = Vec::new();
    dialogue.on(Event::Opened, &mut out);
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    dialogue.on(Event::Octets(head), &mut out);
    for _ in 0..10_000 {
        let step = dialogue.on(Event::Octets(b"1;x\r\nx\r\n"), &mut out);
        assert_eq!((step, dialogue.held()), (Step::Continue, 0));
    }
}

#[test]
fn of_chunks_the_line_that_came_in_part_is_held() {
    let mut dialogue = page(url("/")).begin(ATTEMPT);
    let mut out = Vec::new();
    dialogue.on(Event::Opened, &mut out);
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    dialogue.on(Event::Octets(head), &mut out);
    for (said, held) in
        [(&b"2;x=y"[..], 5), (b"\r\na", 0), (b"b\r", 1), (b"\n0\r\n", 0), (b"X: y", 4)]
    {
        let step = dialogue.on(Event::Octets(said), &mut out);
        assert_eq!((step, dialogue.held()), (Step::Continue, held), "{said:?}");
    }
}

#[test]
fn the_most_that_is_held_is_a_field_and_the_line_behind_it() {
    let plan = page(url("/"));
    let mut dialogue = plan.begin(ATTEMPT);
    let mut out = Vec::new();
    dialogue.on(Event::Opened, &mut out);
    dialogue.on(Event::Octets(b"HTTP/1.1 200 OK\r\n"), &mut out);
    let line = [vec![b'x'; HTTP_LINE_MAX], b"\n".to_vec()].concat();
    dialogue.on(Event::Octets(&line), &mut out);
    let step = dialogue.on(Event::Octets(&line[..HTTP_LINE_MAX]), &mut out);
    assert_eq!((step, dialogue.held()), (Step::Continue, HELD_MAX));
}
