//! Rows: words inside the lines of routes and of rules.

use super::Effect::{Kernel, Mastership};
use super::Standing::{ActedOn, NotBuilt};
use super::{Keyword, Place, Read};
use crate::meaning::{Line, RouteDraft, RuleDraft, route, rule};

const fn word(
    name: &'static str,
    arguments: &'static str,
    default: &'static str,
    read: fn(&mut RouteDraft, &mut Line<'_>),
) -> Keyword {
    let row = Keyword::new(Place::RouteLine, name, arguments, default, ActedOn);
    Keyword { read: Read::Route(read), ..row }
}

const fn unbuilt(name: &'static str, arguments: &'static str) -> Keyword {
    Keyword::new(Place::RouteLine, name, arguments, "", NotBuilt(Kernel))
}

pub(super) const ROUTE: &[Keyword] = &[
    word("to", "[TYPE] PREFIX|default", "", route::to),
    word("from", "PREFIX", "any", route::from),
    word("via", "ADDRESS", "on the link", route::via),
    word("gw", "ADDRESS", "", route::via).sets("via").deprecated("write `via`"),
    word("or", "ADDRESS", "", route::or).sets("nexthop").deprecated("write `nexthop`"),
    word("dev", "IF", "whichever leads to the router", route::dev),
    word("oif", "IF", "", route::dev).sets("dev"),
    word("src", "ADDRESS", "the kernel's choice", route::src),
    word("table", "main|local|default|N", "main", route::table),
    word("metric", "N", "0, and 1024 for IPv6", route::metric),
    word("priority", "N", "", route::metric).sets("metric"),
    word("preference", "N", "", route::metric).sets("metric"),
    word("scope", "SCOPE", "`link` without `via`, else `global`", route::scope),
    word("tos", "N", "any", route::tos),
    word("dsfield", "N", "", route::tos).sets("tos"),
    word("protocol", "NAME|N", "keepalived (18)", route::protocol),
    word("proto", "NAME|N", "", route::protocol).sets("protocol"),
    word("mtu", "[lock] N", "", route::mtu),
    word("hoplimit", "N", "", route::hoplimit),
    word("advmss", "[lock] N", "", route::advmss),
    word("rtt", "[lock] TIME", "", route::rtt),
    word("rttvar", "[lock] TIME", "", route::rttvar),
    word("reordering", "[lock] N", "", route::reordering),
    word("window", "N", "", route::window),
    word("cwnd", "[lock] N", "", route::cwnd),
    word("ssthresh", "[lock] N", "", route::ssthresh),
    word("realms", "[N/]N", "none", route::realms),
    word("rto_min", "[lock] TIME", "", route::rto_min),
    word("initcwnd", "N", "", route::initcwnd),
    word("initrwnd", "N", "", route::initrwnd),
    word("quickack", "0|1", "", route::quickack),
    unbuilt("congctl", "NAME"),
    unbuilt("pref", "low|medium|high"),
    unbuilt("expires", "SECONDS"),
    unbuilt("features", "NAME"),
    unbuilt("encap", "ip|ip6|ila|mpls ..."),
    word("nexthop", "via ADDRESS [dev IF] [weight N] [onlink]", "", route::next_hop),
    word("weight", "1..256", "1", route::weight),
    word("onlink", "", "off", route::onlink),
    unbuilt("vrf", "IF"),
    unbuilt("ttl-propagate", "BOOL"),
    word("fastopen_no_cookie", "0|1", "", route::fastopen_no_cookie),
    word("type", "TYPE", "unicast", route::kind),
    word("unicast", "", "", route::kind_word).sets("type"),
    word("local", "", "", route::kind_word).sets("type"),
    word("blackhole", "", "", route::kind_word).sets("type"),
    word("unreachable", "", "", route::kind_word).sets("type"),
    word("prohibit", "", "", route::kind_word).sets("type"),
    word("throw", "", "", route::kind_word).sets("type"),
    unbuilt("add", ""),
    unbuilt("prepend", ""),
    unbuilt("append", ""),
    word("no_track", "", "a removed one is added again", route::no_track),
    Keyword::new(Place::RouteLine, "track_group", "NAME", "", NotBuilt(Mastership)),
    word("inet", "", "that of the destination", route::inet),
    word("inet6", "", "", route::inet6).sets("inet"),
];

const fn of_rule(
    name: &'static str,
    arguments: &'static str,
    default: &'static str,
    read: fn(&mut RuleDraft, &mut Line<'_>),
) -> Keyword {
    let row = Keyword::new(Place::RuleLine, name, arguments, default, ActedOn);
    Keyword { read: Read::Rule(read), ..row }
}

const fn unbuilt_rule(name: &'static str, arguments: &'static str) -> Keyword {
    Keyword::new(Place::RuleLine, name, arguments, "", NotBuilt(Kernel))
}

pub(super) const RULE: &[Keyword] = &[
    of_rule("from", "PREFIX|all", "all", rule::from),
    of_rule("to", "PREFIX|all", "all", rule::to),
    of_rule("table", "main|local|default|N", "main", rule::table),
    of_rule("lookup", "main|local|default|N", "", rule::table).sets("table"),
    of_rule("iif", "IF", "any", rule::iif),
    of_rule("oif", "IF", "any", rule::oif),
    of_rule("fwmark", "N[/MASK]", "any", rule::fwmark),
    of_rule("tos", "N", "any", rule::tos),
    of_rule("dsfield", "N", "", rule::tos).sets("tos"),
    unbuilt_rule("realms", "REALM"),
    of_rule("preference", "N", "16384 and less, line by line", rule::preference),
    of_rule("order", "N", "", rule::preference).sets("preference"),
    of_rule("priority", "N", "", rule::preference).sets("preference"),
    of_rule("goto", "N", "", rule::goto),
    of_rule("type", "unicast|nop|blackhole|unreachable|prohibit", "unicast", rule::action),
    of_rule("nop", "", "", rule::action_word).sets("type"),
    of_rule("blackhole", "", "", rule::action_word).sets("type"),
    of_rule("unreachable", "", "", rule::action_word).sets("type"),
    of_rule("prohibit", "", "", rule::action_word).sets("type"),
    of_rule("not", "", "off", rule::not),
    of_rule("suppress_prefixlength", "N", "off", rule::suppress_prefix_len),
    of_rule("suppress_ifgroup", "default|N", "off", rule::suppress_group),
    of_rule("uidrange", "N[-N]", "any", rule::users),
    of_rule("l3mdev", "", "off", rule::l3mdev),
    unbuilt_rule("tunnel-id", "N"),
    of_rule("protocol", "NAME|N", "keepalived (18)", rule::protocol),
    of_rule("ipproto", "NAME|N", "any", rule::ip_protocol),
    of_rule("ip_proto", "NAME|N", "", rule::ip_protocol).sets("ipproto"),
    of_rule("sport", "N[-N]", "any", rule::sport),
    of_rule("dport", "N[-N]", "any", rule::dport),
    of_rule("no_track", "", "a removed one is added again", rule::no_track),
    Keyword::new(Place::RuleLine, "track_group", "NAME", "", NotBuilt(Mastership)),
    of_rule("inet", "", "that of the prefixes, else IPv4", rule::inet),
    of_rule("inet6", "", "", rule::inet6).sets("inet"),
];
