//! What is played to both: files, who is dead from the beginning, and what happens then.

use crate::stage::Case;
use crate::stage::Event::{Answers, Comes, Ends, Goes, Killed, Refuses, Reloads, Starts, Stops};
use crate::words::{address, virtual_address};

/// Lines of a virtual server, and real servers with lines of theirs, each with a `TCP_CHECK`.
pub fn service(name: char, lines: &[&str], servers: &[(char, &str)]) -> String {
    let lines: String = lines.iter().map(|line| format!("    {line}\n")).collect();
    let servers: String = servers.iter().map(|(server, lines)| real(*server, lines)).collect();
    let address = virtual_address(name);
    format!(
        "virtual_server {address} 80 {{
    delay_loop 0.5
    lb_algo rr
    lb_kind NAT
    protocol TCP
    connect_timeout 10
    delay_before_retry 0.1
    warmup 0
{lines}{servers}}}
"
    )
}

fn real(server: char, lines: &str) -> String {
    let address = address(server);
    // Whoever has a check of its own has no other one.
    let has_one = lines.contains("_CHECK") || lines.contains("_GET");
    let check = if has_one { "" } else { "        TCP_CHECK {\n        }" };
    format!("    real_server {address} 80 {{\n{lines}\n{check}\n    }}\n")
}

/// One virtual server with these lines and real servers without any.
pub fn plain(lines: &[&str], servers: &str) -> String {
    let servers: Vec<_> = servers.chars().map(|server| (server, "")).collect();
    service('v', lines, &servers)
}

pub const SORRY: &str = "sorry_server 10.1.0.5 80";
const SCRIPT: &str = "weight 10
MISC_CHECK {
    misc_path \"/bin/sh -c 'exit $(cat FOLDER/code)'\"
    misc_timeout 10
    delay_loop 1
    misc_dynamic
}";

/// Virtual routers are nobody's business here (`-C`).
const ROUTER: &str = "vrrp_instance VI_1 {
    interface lo
    virtual_router_id 51
    priority 255
    virtual_ipaddress {
        10.0.0.1
    }
}
";

fn scripted() -> String {
    let global = "global_defs {\n    script_user root\n}\n";
    global.to_string() + &service('v', &[], &[('a', SCRIPT), ('b', "")])
}

fn weighed(weight: &str) -> String {
    service('v', &[], &[('a', weight), ('b', "")])
}

fn grouped() -> String {
    let group = "virtual_server_group WEB {\n    10.0.0.1 80\n    10.0.0.2 80\n}\n";
    let other =
        plain(&[SORRY], "ab").replace("virtual_server 10.0.0.1 80", "virtual_server group WEB");
    group.to_string() + &other
}

/// Those that are always played, side by side, each with each daemon.
pub const MOST: &[Case] = &[
    Case {
        name: "plain",
        file: || ROUTER.to_string() + &plain(&[], "ab"),
        dead: "b",
        events: &[Starts, Refuses('a'), Answers('b'), Answers('a'), Stops],
    },
    Case {
        name: "sorry server",
        file: || plain(&[SORRY], "ab"),
        dead: "",
        events: &[Starts, Refuses('a'), Refuses('b'), Answers('a'), Answers('b'), Stops],
    },
    Case {
        name: "quorum and sorry server",
        file: || plain(&["quorum 2", SORRY], "abc"),
        dead: "",
        events: &[
            Starts,
            Refuses('a'),
            Refuses('b'),
            Refuses('c'),
            Answers('c'),
            Answers('a'),
            Stops,
        ],
    },
    Case {
        name: "hysteresis",
        file: || plain(&["quorum 2", "hysteresis 1", SORRY], "abc"),
        dead: "",
        events: &[
            Starts,
            Refuses('a'),
            Refuses('b'),
            Refuses('c'),
            Answers('c'),
            Answers('a'),
            Answers('b'),
        ],
    },
    Case {
        name: "inhibit_on_failure",
        file: || plain(&["inhibit_on_failure", SORRY], "ab"),
        dead: "b",
        events: &[Starts, Refuses('a'), Answers('a'), Answers('b'), Refuses('b'), Stops],
    },
    Case {
        name: "weight",
        file: || weighed("weight 3"),
        dead: "",
        events: &[
            Starts,
            Reloads("weight 5 for a", || weighed("weight 5")),
            Reloads("weight 0 for a", || weighed("weight 0")),
            Refuses('a'),
            Answers('a'),
            Reloads("weight 3 for a", || weighed("weight 3")),
            Stops,
        ],
    },
    Case {
        name: "alpha and omega",
        file: || plain(&["alpha", "omega"], "ab"),
        dead: "b",
        events: &[Starts, Answers('b'), Refuses('a'), Stops],
    },
    Case {
        name: "ha_suspend",
        file: || plain(&["ha_suspend"], "ab"),
        dead: "b",
        events: &[Starts, Comes('v'), Answers('b'), Goes('v'), Refuses('b'), Comes('v'), Stops],
    },
    Case {
        name: "reload",
        file: || plain(&[], "ab"),
        dead: "",
        events: &[
            Starts,
            Reloads("without a, with c", || plain(&[], "bc")),
            Refuses('b'),
            Reloads("with a again", || plain(&[], "abc")),
            Reloads("with w, too", || plain(&[], "ac") + &service('w', &[], &[('a', "")])),
            Reloads("without w", || plain(&[], "ac")),
        ],
    },
    Case {
        name: "kill -9",
        file: || plain(&[], "ab"),
        dead: "",
        events: &[Starts, Killed, Refuses('a'), Starts, Stops],
    },
];

/// Those that say little more; played behind the others, so that there are not too many at a time.
pub const REST: &[Case] = &[
    Case {
        name: "sorry server at the start",
        file: || plain(&[SORRY], "ab"),
        dead: "ab",
        events: &[Starts, Stops],
    },
    Case {
        name: "quorum",
        file: || plain(&["quorum 2"], "ab"),
        dead: "",
        events: &[Starts, Refuses('a'), Answers('a'), Stops],
    },
    Case {
        name: "sorry_server_inhibit",
        file: || plain(&[SORRY, "sorry_server_inhibit"], "a"),
        dead: "",
        events: &[Starts, Refuses('a'), Answers('a'), Stops],
    },
    Case {
        name: "misc_dynamic",
        file: scripted,
        dead: "",
        events: &[Starts, Ends(7), Ends(1), Ends(7), Ends(2), Ends(0), Stops],
    },
    Case {
        name: "alpha, inhibit_on_failure",
        file: || plain(&["alpha", "inhibit_on_failure"], "ab"),
        dead: "ab",
        events: &[Starts, Answers('b'), Answers('a'), Stops],
    },
    Case {
        name: "reload of settings",
        file: || plain(&[], "a"),
        dead: "",
        events: &[
            Starts,
            Reloads("lb_algo wlc", || plain(&["lb_algo wlc"], "a")),
            Reloads("persistence_timeout 60", || {
                plain(&["lb_algo wlc", "persistence_timeout 60"], "a")
            }),
            Reloads("lb_kind DR", || plain(&["lb_algo wlc", "lb_kind DR"], "a")),
            Stops,
        ],
    },
    Case {
        name: "reload with a sorry server",
        file: || plain(&[], "ab"),
        dead: "",
        events: &[
            Starts,
            Refuses('a'),
            Refuses('b'),
            Reloads("with a sorry server", || plain(&[SORRY], "ab")),
            Reloads("without it", || plain(&[], "ab")),
            Answers('b'),
        ],
    },
    Case {
        name: "reload while the sorry server is in",
        file: || plain(&[SORRY], "ab"),
        dead: "ab",
        events: &[Starts, Reloads("with c", || plain(&[SORRY], "abc")), Answers('a'), Stops],
    },
    Case {
        name: "group",
        file: grouped,
        dead: "",
        events: &[Starts, Refuses('a'), Refuses('b'), Answers('b'), Stops],
    },
];
