//! The table as a page for people: `docs/keywords.md`. A test fails if the committed page differs.

use std::fmt::Write;

use super::{Effect, Keyword, Place, Since, Standing};

const HEAD: &str = "\
# Keywords

Every keyword of keepalived.conf that vipd knows, and what becomes of it. This page is made from the
table in `config/src/keywords`: do not edit it, run `UPDATE_DOCS=1 cargo test -p vipd-config`.

| what becomes of it | meaning |
|---|---|
| acted on | it does what it says |
| refused: mastership | keepalived knows it, this version does not do it, and it decides who is master: an error |
| refused: kernel | the same, and it changes what the kernel has: an error |
| ignored | keepalived knows it, this version does not do it: a warning |
| no effect | keepalived does nothing with it either: a warning |
| unknown | keepalived does not know it, but files in the wild have it: an error |

*Since* names the keepalived that first knew a keyword, if it is newer than 2.2.7.

`vrrp_strict` and `strict_mode` pick the switches of the instance's RFC (RFC 3768 for version 2,
RFC 9568 for version 3) unless the file says otherwise, but keep keepalived's checksum with the
pseudo-header, which its peers demand; `v3_checksum_as_v2` picks RFC 9568's form, in what is sent
and in what is accepted. Values that keepalived cuts, rounds or ignores are warnings with its result
in the profile `drop-in`, errors in the profiles `rfc3768`, `rfc5798` and `rfc9568`. These three
also use the virtual MAC without `use_vmac`; `vrrp_strict` alone does not.

`skip_check_adv_addr` changes nothing else: an address list that differs is named once per sender
with or without it.

`dead_man` is the longest time after the last advert that the kernel accepted for which the
addresses can be reached, whatever becomes of vipd (property S8 in `split-brain.md`). With
`advert_int` A and `down_timer_adverts` N it is longer than A + 5 ms and at most (N - 1) A + A/256 -
15 ms, in version 2 (N - 1) A + 1/256 s - 15 ms; another value is an error that prints this range.
keepalived skips the line and goes on, but its `-t` exits with 5 then.

`one_way_yield` is opt-in (property S10 in `split-brain.md`): at the alarm that a lower master does
not hear this one (`one_way_alarm`), this one yields to it, and for so many seconds preempts nobody;
fractions count. It takes over as ever when it hears no master. An owner, and one whose alarm is 0
or 1, cannot have it. keepalived treats the line as that of `dead_man`.

What a check does not say is what its real server says, and what that does not say is what the
virtual server says. A port of a real server is for its checks in any case; packets are sent to it
by `NAT` only. A `regex` is one of the Rust crate `regex`, with the options
of PCRE: look-around, back-references and possessive quantifiers are errors. It matches octets,
unless `utf` or `ucp` is among its options.
";

/// The page.
#[must_use]
pub fn page() -> String {
    let mut text = HEAD.to_owned();
    for place in Place::ALL {
        let _ = write!(text, "\n## {}\n\n", heading(place));
        text.push_str("| keyword | arguments | default | since | what becomes of it |\n");
        text.push_str("|---|---|---|---|---|\n");
        for row in place.rows() {
            let Keyword { name, arguments, default, .. } = row;
            let (arguments, default) = (cell(arguments), default.replace('|', "\\|"));
            let (since, fate) = (since(row.since), fate(row));
            let _ = writeln!(text, "| `{name}` | {arguments} | {default} | {since} | {fate} |");
        }
    }
    text
}

fn heading(place: Place) -> String {
    let title = place.title();
    let mut letters = title.chars();
    letters.next().map_or_else(String::new, |first| {
        let mut heading: String = first.to_uppercase().collect();
        heading.push_str(letters.as_str());
        heading
    })
}

fn cell(arguments: &str) -> String {
    if arguments.is_empty() {
        String::new()
    } else {
        format!("`{}`", arguments.replace('|', "\\|"))
    }
}

const fn since(since: Since) -> &'static str {
    match since {
        Since::Long => "",
        Since::After2_2_7 => "after 2.2.7",
        Since::V2_4_0 => "2.4.0",
        Since::Never => "vipd only",
    }
}

fn fate(row: &Keyword) -> String {
    let fate = match row.standing {
        Standing::ActedOn => "acted on",
        Standing::NotBuilt(Effect::Mastership) => "refused: mastership",
        Standing::NotBuilt(Effect::Kernel) => "refused: kernel",
        Standing::NotBuilt(Effect::Aside) => "ignored",
        Standing::NoEffect => "no effect",
        Standing::Dead => "unknown",
    };
    let mut text = fate.to_owned();
    if row.sets != row.name {
        let _ = write!(text, "; sets `{}`", row.sets);
    }
    if let Some(global) = row.inherits {
        let _ = write!(text, "; inherits `{global}`");
    }
    if let Some(way_out) = row.deprecated {
        let _ = write!(text, "; deprecated: {}", way_out.replace('|', "\\|"));
    }
    text
}
