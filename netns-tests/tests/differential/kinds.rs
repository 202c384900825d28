//! Every kind of virtual server, real server and persistence that a file can ask for: who is dead
//! at the beginning and who comes back is the same in each, only what is ordered of them differs.

use crate::cases::{SORRY, plain, service};
use crate::stage::Case;
use crate::stage::Event::{self, Answers, Pages, Refuses, Reloads, Starts, Stops};

/// What happens to most of them.
const COMES_AND_GOES: &[Event] = &[Starts, Refuses('a'), Answers('a'), Stops];

/// In IPv6, on the same file.
fn six(file: &str) -> String {
    file.replace("10.0.0.", "fd00::").replace("10.1.0.", "fd01::")
}

/// By the mark of packets, and so without a port of its own.
fn marked(lines: &[&str]) -> String {
    plain(lines, "ab").replace("virtual_server 10.0.0.1 80", "virtual_server fwmark 7")
}

fn tunnelled(kind: &str) -> String {
    let lines = format!("weight 1\n        lvs_method TUN {kind}");
    service('v', &[], &[('a', &lines), ('b', &lines)])
}

/// Both kinds of services in one group.
fn mixed_group() -> String {
    let group = "virtual_server_group ALL {\n    10.0.0.1 80\n    10.0.0.2 80\n    fwmark 7\n}\n";
    let own = plain(&[], "ab");
    group.to_string() + &own.replace("virtual_server 10.0.0.1 80", "virtual_server group ALL")
}

const PAGE: &str = "HTTP_GET {
            url {
                path /
                status_code 200
            }
        }";

fn paged() -> String {
    service('v', &[SORRY], &[('a', PAGE), ('b', PAGE)])
}

pub const KINDS: &[Case] = &[
    Case {
        name: "flags of sh",
        file: || plain(&["lb_algo sh", "flag-1", "flag-2"], "ab"),
        dead: "",
        events: &[
            Starts,
            Refuses('a'),
            Answers('a'),
            Reloads("without flag-2", || plain(&["lb_algo sh", "flag-1"], "ab")),
            Stops,
        ],
    },
    Case {
        name: "flags of mh",
        file: || plain(&["lb_algo mh", "mh-port", "mh-fallback"], "ab"),
        dead: "",
        events: COMES_AND_GOES,
    },
    Case {
        name: "one packet",
        file: || plain(&["ops"], "ab").replace("protocol TCP", "protocol UDP"),
        dead: "",
        events: COMES_AND_GOES,
    },
    Case {
        name: "thresholds",
        file: || {
            let lines = "uthreshold 9\n        lthreshold 3";
            service('v', &[], &[('a', lines), ('b', "uthreshold 5")])
        },
        dead: "",
        events: &[
            Starts,
            Refuses('a'),
            Answers('a'),
            Reloads("uthreshold 7 for a", || {
                service('v', &[], &[('a', "uthreshold 7"), ('b', "uthreshold 5")])
            }),
            Refuses('a'),
            Answers('a'),
            Stops,
        ],
    },
    Case {
        name: "TUN",
        file: || plain(&[], "ab").replace("lb_kind NAT", "lb_kind TUN"),
        dead: "",
        events: COMES_AND_GOES,
    },
    Case {
        name: "TUN gue",
        file: || tunnelled("type gue port 6080"),
        dead: "",
        events: COMES_AND_GOES,
    },
    Case { name: "TUN gre", file: || tunnelled("type gre csum"), dead: "", events: COMES_AND_GOES },
    Case {
        name: "UDP",
        file: || plain(&[SORRY], "a").replace("protocol TCP", "protocol UDP"),
        dead: "",
        events: COMES_AND_GOES,
    },
    Case {
        name: "IPv6",
        file: || six(&plain(&[SORRY], "ab")),
        dead: "b",
        events: &[Starts, Refuses('a'), Answers('b'), Answers('a'), Stops],
    },
    Case {
        name: "fwmark",
        file: || marked(&[SORRY]).replace("lb_kind NAT", "lb_kind DR"),
        dead: "",
        events: &[Starts, Refuses('a'), Refuses('b'), Answers('b'), Stops],
    },
    Case {
        name: "fwmark of IPv6",
        file: || six(&marked(&["ip_family inet6"])),
        dead: "",
        events: COMES_AND_GOES,
    },
    Case {
        name: "group of addresses and a mark",
        file: mixed_group,
        dead: "",
        events: COMES_AND_GOES,
    },
    Case {
        name: "group of addresses and a mark by DR",
        file: || mixed_group().replace("lb_kind NAT", "lb_kind DR"),
        dead: "",
        events: COMES_AND_GOES,
    },
    Case {
        name: "persistence",
        file: || plain(&["persistence_timeout 60", "persistence_granularity 255.255.255.0"], "ab"),
        dead: "",
        events: &[
            Starts,
            Refuses('a'),
            Reloads("another granularity", || {
                plain(&["persistence_timeout 60", "persistence_granularity 255.255.0.0"], "ab")
            }),
            Answers('a'),
            Reloads("none", || plain(&[], "ab")),
            Stops,
        ],
    },
    Case {
        name: "persistence by SIP",
        file: || {
            let lines = ["persistence_timeout 60", "persistence_engine sip"];
            plain(&lines, "ab").replace("protocol TCP", "protocol UDP")
        },
        dead: "",
        events: COMES_AND_GOES,
    },
    Case {
        name: "persistence of IPv6",
        file: || six(&plain(&["persistence_timeout 60", "persistence_granularity 64"], "ab")),
        dead: "",
        events: COMES_AND_GOES,
    },
    Case {
        name: "HTTP_GET",
        file: paged,
        dead: "",
        events: &[
            Starts,
            Pages('a', 500),
            Refuses('b'),
            Answers('b'),
            Pages('a', 200),
            Refuses('a'),
            Pages('b', 404),
            Answers('a'),
            Stops,
        ],
    },
];
