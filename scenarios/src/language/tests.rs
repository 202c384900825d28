//! The language by example: each step, each expectation, each mistake.

use std::path::Path;
use std::time::Duration;

use vipd_engine::{Family, Order, StateKind, TrackerValue};

use super::steps::ACTIONS;
use super::*;
use crate::judge::{PropertyId, Verdict};
use crate::record::{HostId, SegmentId};
use crate::scenario::{AdvertFields, Conditions, Expect, Injection, Message, Need, Paths, Step};

const PAIR: &str = r#"
title = "two directors and a client"
until = "20s"

[segment.lan]

[host.a]
config = "../seed/director-1.conf"
interfaces.ens192 = { segment = "lan", address = "200.222.0.73/24" }

[host.b]
config = "../seed/director-2.conf"
interfaces.ens192 = { segment = "lan", address = "200.222.0.74/24" }

[host.client]
interfaces.eth0 = { segment = "lan", address = ["200.222.0.10/24", "2001:db8::10/64"] }
probe = { address = "200.222.0.113", every = "100ms" }
requests = { address = "200.222.0.113", port = 80, every = "20ms", patient = true }
"#;

const A: HostId = HostId(0);
const B: HostId = HostId(1);
const CLIENT: HostId = HostId(2);

/// The file would stand in the folder beside `seed`.
fn parse(text: &str) -> Result<Scenario, Unreadable> {
    Scenario::parse(&Path::new(env!("CARGO_MANIFEST_DIR")).join("failover/test.toml"), text)
}

/// Whatever these tests read is also written and read back.
fn pair(rest: &str) -> Scenario {
    let read = |text: &str| parse(text).unwrap_or_else(|error| panic!("{error}"));
    let scenario = read(&format!("{PAIR}\n{rest}"));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("failover");
    let again = read(&scenario.to_toml(&folder));
    assert_eq!(without_places(&again), without_places(&scenario));
    scenario
}

fn without_places(scenario: &Scenario) -> String {
    let steps = scenario.steps.iter().map(|timed| (timed.at, &timed.step));
    let expectations = scenario.expectations.iter().map(|one| (one.window, &one.expect));
    let (steps, expectations): (Vec<_>, Vec<_>) = (steps.collect(), expectations.collect());
    let rest = Scenario { steps: Vec::new(), expectations: Vec::new(), ..scenario.clone() };
    format!("{rest:?}{steps:?}{expectations:?}")
}

fn step(text: &str) -> Step {
    pair(&format!("[[step]]\nat = \"1s\"\n{text}")).steps[0].step.clone()
}

fn line(text: &str) -> String {
    let scenario = pair(&format!("[[step]]\nat = \"1s\"\n{text}"));
    scenario.steps[0].step.line(&scenario).to_string()
}

fn expect(text: &str) -> (WorldTime, WorldTime, Expect) {
    let scenario = pair(&format!("[[expect]]\n{text}"));
    let expectation = scenario.expectations[0].clone();
    (expectation.window.0, expectation.window.1, expectation.expect)
}

/// The mistakes, without the place of this crate.
fn mistakes(text: &str) -> String {
    let rendered = parse(text).expect_err("the text holds mistakes").to_string();
    rendered.replace(env!("CARGO_MANIFEST_DIR"), "scenarios")
}

fn mistakes_with(rest: &str) -> String {
    mistakes(&format!("{PAIR}\n{rest}"))
}

#[test]
fn the_seed_scenario_is_read() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("failover/pkill-master.toml");
    let scenario = Scenario::load(&path).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(scenario.name, "failover/pkill-master");
    assert_eq!((scenario.hosts.len(), scenario.steps.len()), (3, 2));
    assert_eq!(scenario.expectations[0].window.0, WorldTime(3_609_375_000));
}

#[test]
fn hosts_and_segments_keep_the_order_of_the_file() {
    let scenario = pair("[segment.backbone]\ndelay = \"1ms\"\nloss = \"1%\"\nreorder = true");
    let names: Vec<&str> = scenario.hosts.iter().map(|host| &*host.name).collect();
    assert_eq!(names, ["a", "b", "client"]);
    let [lan, backbone] = &scenario.segments[..] else { panic!("two segments") };
    assert_eq!((&*lan.name, lan.conditions), ("lan", Conditions::default()));
    assert_eq!(backbone.conditions.delay, Duration::from_millis(1));
    assert_eq!((backbone.conditions.loss_ppm, backbone.conditions.reorder), (10_000, true));
    let client = &scenario.hosts[2];
    assert_eq!(client.interfaces[0].addresses.len(), 2);
    assert_eq!(client.interfaces[0].segment, SegmentId(0));
    assert_eq!(client.probe.map(|probe| probe.every), Some(Duration::from_millis(100)));
    let requests = client.requests.map(|one| (one.port, one.every, one.patient));
    assert_eq!(requests, Some((80, Duration::from_millis(20), true)));
    assert!(scenario.hosts[0].started && !client.started);
}

#[test]
fn each_action_is_a_step_of_the_same_name() {
    let arguments = [
        ("freeze", "\"a\"", ""),
        ("cut", "\"all\"", ""),
        ("cut_multicast", "\"all\"", ""),
        ("heal", "\"all\"", ""),
        ("lose", "1", "on = \"all\""),
        ("conditions", "{}", "on = \"all\""),
        ("link_down", "\"a\"", "interface = \"ens192\""),
        ("link_up", "\"a\"", "interface = \"ens192\""),
        ("remove_address", "\"a\"", "address = \"200.222.0.113\""),
        ("remove_entry", "\"a\"", "entry = \"route default via 200.222.0.1\""),
        ("reload", "\"a\"", "config = \"../seed/director-2.conf\""),
        ("clock_drift", "\"a\"", "ppm = 100"),
        ("wall_clock_jump", "\"a\"", "by = \"1h\""),
        ("late", "\"a\"", "by = \"1ms\""),
        ("flap_virtual_mac", "\"a\"", "interface = \"vrrp.51\""),
        ("tracker", "\"a\"", "name = \"web\"\nvalue = \"up\""),
        ("operator", "\"a\"", "instance = \"VI_1\"\norder = \"yield\""),
        ("kernel_fails", "\"a\"", "count = 1"),
        ("server", "\"a\"", "does = \"refuses\""),
        ("kernel_late", "\"a\"", "by = \"1ms\""),
        ("inject", "\"lan\"", "src = \"200.222.0.9\"\nvrid = 51\npriority = 0"),
    ];
    for (name, _) in ACTIONS {
        let given = arguments.iter().find(|(key, ..)| key == name);
        let (_, value, rest) = given.copied().unwrap_or((name, "\"a\"", ""));
        assert_eq!(step(&format!("{name} = {value}\n{rest}")).name(), *name);
    }
}

#[test]
fn paths_are_written_with_arrows() {
    assert_eq!(step("cut = \"all\""), Step::Cut(Paths::All));
    assert_eq!(step("cut = \"a <-> b\""), Step::Cut(Paths::Between(vec![A], vec![B])));
    assert_eq!(step("heal = \"a->b\""), Step::Heal(Paths::FromTo(vec![A], vec![B])));
    let isolated = Step::CutMulticast(Paths::Between(vec![A], vec![B, CLIENT]));
    assert_eq!(step("cut_multicast = \"a <-> others\""), isolated);
    let deaf = Step::Cut(Paths::FromTo(vec![A, CLIENT], vec![B]));
    assert_eq!(step("cut = \"a, client -> b\""), deaf);
}

#[test]
fn arguments_of_steps_are_read() {
    assert_eq!(step("freeze = \"a\"\nclock_stops = true"), Step::Freeze { host: A, clock: true });
    let lose = Step::Lose { paths: Paths::FromTo(vec![A], vec![B]), count: 2 };
    assert_eq!(step("lose = 2\non = \"a -> b\""), lose);
    let jump = Step::WallClockJump { host: A, seconds: -3600 };
    assert_eq!(step("wall_clock_jump = \"a\"\nby = \"-1h\""), jump);
    assert_eq!(step("clock_drift = \"b\"\nppm = -50"), Step::ClockDrift { host: B, ppm: -50 });
    let tracker = Step::Tracker { host: A, name: "web".into(), value: TrackerValue::Number(-3) };
    assert_eq!(step("tracker = \"a\"\nname = \"web\"\nvalue = -3"), tracker);
    let held = Step::Operator { host: A, instance: "VI_1".into(), order: Order::Hold };
    assert_eq!(step("operator = \"a\"\ninstance = \"VI_1\"\norder = \"hold\""), held);
}

#[test]
fn an_injected_advert_has_the_defaults_of_its_family() {
    let injected = step("inject = \"lan\"\nsrc = \"200.222.0.9\"\nvrid = 51\npriority = 0");
    let fields = AdvertFields {
        version: 2,
        vrid: 51,
        priority: 0,
        interval: 1,
        auth_type: 0,
        auth_data: [0; 8],
        addresses: Vec::new(),
        checksum_error: 0,
    };
    let v4 = Injection {
        segment: SegmentId(0),
        src: "200.222.0.9".parse().unwrap(),
        dst: "224.0.0.18".parse().unwrap(),
        ttl: 255,
        protocol: 112,
        message: Message::Advert(fields.clone()),
        count: 1,
        every: Duration::ZERO,
    };
    assert_eq!(injected, Step::Inject(Box::new(v4.clone())));
    let v6 = Injection {
        src: "fe80::9".parse().unwrap(),
        dst: "ff02::12".parse().unwrap(),
        message: Message::Advert(AdvertFields { version: 3, interval: 10, ..fields.clone() }),
        count: 5,
        every: Duration::from_millis(10),
        ..v4.clone()
    };
    let text = "inject = \"lan\"\nsrc = \"fe80::9\"\nvrid = 51\npriority = 0\n\
                interval = \"100ms\"\ncount = 5\nevery = \"10ms\"";
    assert_eq!(step(text), Step::Inject(Box::new(v6)));
    let fields = AdvertFields { auth_type: 1, auth_data: *b"1111\0\0\0\0", ..fields };
    let signed = Injection { message: Message::Advert(fields), ..v4 };
    let text = "inject = \"lan\"\nsrc = \"200.222.0.9\"\nvrid = 51\npriority = 0\n\
                auth_pass = \"1111\"";
    assert_eq!(step(text), Step::Inject(Box::new(signed)));
}

#[test]
fn an_injected_payload_is_the_message_as_it_is() {
    let octets = |payload: &str| {
        let text = format!("inject = \"lan\"\nsrc = \"200.222.0.9\"\npayload = {payload}");
        let Step::Inject(injection) = step(&text) else { panic!("an injection") };
        assert_eq!((injection.ttl, injection.protocol, injection.count), (255, 112, 1));
        injection.message
    };
    let expected = vec![0x31, 0x33, 0x96, 0x01, 0x00, 0x64, 0xab];
    assert_eq!(octets("\"31339601 0064aB\""), Message::Octets(expected.clone()));
    assert_eq!(octets("\"\"\"\n3133 9601\n 00 6 4ab\n\"\"\""), Message::Octets(expected));
    assert_eq!(octets("\"\""), Message::Octets(vec![]));
    let longest = "ff".repeat(1460);
    assert_eq!(octets(&format!("\"{longest}\"")), Message::Octets(vec![0xff; 1460]));
}

#[test]
fn mistakes_in_a_payload_are_underlined() {
    let too_long = "00".repeat(1461);
    let steps = [
        "payload = \"3133960\"".to_owned(),
        "payload = \"3133 96g1\"".to_owned(),
        "payload = 31339601".to_owned(),
        "payload = \"31339601\"\nvrid = 51\nversion = 3".to_owned(),
        "payload = \"3133\"\nprotocol = 256\nttl = -1".to_owned(),
        "payloda = \"3133\"\nvrid = 51\npriority = 1".to_owned(),
        format!("payload = \"{too_long}\""),
    ];
    let text = steps.map(|step| {
        format!("[[step]]\nat = \"3s\"\ninject = \"lan\"\nsrc = \"200.222.0.9\"\n{step}\n")
    });
    let mistakes = mistakes_with(&text.concat());
    insta::assert_snapshot!(mistakes.replace(&too_long, "00..00"));
}

#[test]
fn a_step_prints_as_one_line() {
    assert_eq!(line("stop = \"a\""), "stop a");
    assert_eq!(line("freeze = \"a\"\nclock_stops = true"), "freeze a and its clock");
    assert_eq!(line("cut = \"a <-> others\""), "cut a <-> b, client");
    assert_eq!(line("lose = 2\non = \"a -> b\""), "lose 2 on a -> b");
    assert_eq!(
        line("conditions = { delay = \"1.5ms\", loss = \"1%\" }\non = \"all\""),
        "conditions on all: delay 1.5ms loss 10000ppm"
    );
    assert_eq!(
        line("reload = \"a\"\nconfig = \"../seed/director-2.conf\""),
        "reload a with director-2.conf"
    );
    assert_eq!(line("clock_drift = \"a\"\nppm = 100"), "clock_drift a by +100 ppm");
    assert_eq!(
        line(
            "inject = \"lan\"\nsrc = \"200.222.0.9\"\nvrid = 51\n\
              priority = 0\ncount = 9\nevery = \"1ms\""
        ),
        "inject lan: v2 vrid 51 prio 0 from 200.222.0.9 to 224.0.0.18 ttl 255, 9 times every 1ms"
    );
    let octets = |payload, rest| {
        line(&format!("inject = \"lan\"\nsrc = \"200.222.0.9\"\npayload = \"{payload}\"{rest}"))
    };
    assert_eq!(
        octets("213396010001 86bf c000020a", "\nprotocol = 113"),
        "inject lan: 12 octets 21339601 000186bf .. from 200.222.0.9 to 224.0.0.18 ttl 255 \
         protocol 113"
    );
    assert_eq!(
        octets("21339601 0001", "\nttl = 1"),
        "inject lan: 6 octets 21339601 0001 from 200.222.0.9 to 224.0.0.18 ttl 1"
    );
    let nothing = "inject lan: 0 octets from 200.222.0.9 to 224.0.0.18 ttl 255";
    assert_eq!(octets("", ""), nothing);
}

#[test]
fn steps_are_sorted_by_time_and_then_by_their_order_in_the_file() {
    let scenario = pair(
        "[[step]]\nat = \"2s\"\nstart = \"a\"\n[[step]]\nat = \"1s\"\nstop = \"a\"\n\
         [[step]]\nat = \"1s\"\nstop = \"b\"",
    );
    let names: Vec<String> =
        scenario.steps.iter().map(|timed| timed.step.line(&scenario).to_string()).collect();
    assert_eq!(names, ["stop a", "stop b", "start a"]);
}

#[test]
fn expectations_have_windows() {
    let second = |n: u64| WorldTime(n * 1_000_000_000);
    assert_eq!(
        expect("during = [\"4s\", \"10s\"]\nmasters = \"a\""),
        (second(4), second(10), Expect::Masters { router: None, hosts: vec![A] })
    );
    assert_eq!(
        expect("at = \"4s\"\nmasters = []\nvrid = 51\nfamily = \"ipv6\""),
        (second(4), second(4), Expect::Masters { router: Some((Family::Ipv6, 51)), hosts: vec![] })
    );
    let address = "200.222.0.113".parse().unwrap();
    assert_eq!(
        expect("at = \"4s\"\nowners = [\"a\", \"b\"]\naddress = \"200.222.0.113\"").2,
        Expect::Owners { address, hosts: vec![A, B] }
    );
    assert_eq!(
        expect("within = [\"1s\", \"2s\"]\nhost = \"a\"\nenters = \"fault\"").2,
        Expect::Enters { host: A, router: None, state: StateKind::Fault }
    );
    for word in ["master", "active"] {
        assert_eq!(
            expect(&format!("at = \"4s\"\nhost = \"a\"\nenters = \"{word}\"")).2,
            Expect::Enters { host: A, router: None, state: StateKind::Master }
        );
    }
    assert_eq!(
        expect("within = [\"1s\", \"2s\"]\nhost = \"a\"\nevent = \"mismatch/ttl\"\ntimes = 1").2,
        Expect::Event { host: A, name: "mismatch/ttl".into(), times: Some(1) }
    );
    assert_eq!(
        expect("within = [\"1s\", \"2s\"]\nclient = \"client\"\ngap_at_most = \"1s\"").2,
        Expect::ClientGap { host: CLIENT, at_most: Duration::from_secs(1) }
    );
    assert_eq!(
        expect("within = [\"1s\", \"2s\"]\nclient = \"client\"\noutage_at_most = \"1s\"").2,
        Expect::Outage { host: CLIENT, at_most: Duration::from_secs(1) }
    );
    assert_eq!(
        expect("within = [\"1s\", \"2s\"]\nclient = \"client\"\nanswered_by = \"b\"").2,
        Expect::AnsweredBy { client: CLIENT, host: B }
    );
}

#[test]
fn properties_carry_the_verdict_that_is_expected() {
    let scenario = pair("[properties]\nviolated = [\"S2\"]\nheld = [\"S1\", \"L1\"]");
    let expected = [
        (PropertyId::S1, Verdict::Held),
        (PropertyId::S2, Verdict::Violated),
        (PropertyId::L1, Verdict::Held),
    ];
    assert_eq!(scenario.properties, expected);
}

#[test]
fn the_name_is_the_path_below_the_nearest_folder_of_scenarios() {
    let name = |path| name_of(Path::new(path));
    assert_eq!(name("/x/scenarios/y/scenarios/failover/kill-9.toml"), "failover/kill-9");
    assert_eq!(name("/x/scenarios/y/../kill-9.toml"), "kill-9");
    assert_eq!(name("/x/y/kill-9.toml"), "kill-9");
}

#[test]
fn mistakes_in_steps_are_underlined() {
    insta::assert_snapshot!(mistakes_with(
        r#"[[step]]
at = "30s"
stpo = "a"
[[step]]
at = 3
stop = "b"
[[step]]
stop = "directr"
[[step]]
at = "3 sec"
stop = "client"
[[step]]
at = "3s"
stop = "a"
start = "b"
[[step]]
at = "3s"
cut = "a <-> b, clinet"
[[step]]
at = "3s"
cut = "a"
[[step]]
at = "3s"
cut = "a -> a"
[[step]]
at = "3s"
link_down = "a"
interface = "ens129"
[[step]]
at = "3s"
lose = -1
on = "all"
[[step]]
at = "3s"
conditions = { loss = 5, dealy = "1ms" }
on = "all"
[[step]]
at = "3s"
reload = "a"
config = "nowhere.conf"
[[step]]
at = "3s"
inject = "lan"
src = "200.222.0.9"
priority = 256
vrid = 51
interval = "0.5s"
auth_pass = "123456789"
[[step]]
"#
    ));
}

#[test]
fn mistakes_in_expectations_and_properties_are_underlined() {
    insta::assert_snapshot!(mistakes_with(
        r#"[[expect]]
during = ["3s", "2s"]
masters = "a"
[[expect]]
within = ["3s", "4s"]
masters = "a"
[[expect]]
during = ["3s", "4s"]
masters = ["client"]
[[expect]]
masters = "a"
[[expect]]
within = ["3s", "21s"]
host = "a"
enters = "mastr"
[[expect]]
at = "3s"
host = "a"
event = "mismatch/pasword"
[[expect]]
at = "3s"
client = "b"
gap_at_most = "1s"
[[expect]]
at = "3s"
client = "b"
outage_at_most = "1s"
[[expect]]
at = "3s"
[properties]
held = ["S1", "S99"]
violated = ["S1"]
not_exercised = ["S4"]
broken = ["S2"]
"#
    ));
}

#[test]
fn mistakes_in_the_topology_are_underlined() {
    insta::assert_snapshot!(mistakes(
        r#"
titel = "what"
fault_class = [5, 21]
seed = -1
until = "1m"
[segment.lan]
delay = 100
[host.a]
config = "../seed/director-3.conf"
interfaces.ens192 = { segment = "lna", address = "200.222.0.73" }
[host.others]
started = true
interfaces.eth0 = { segment = "lan" }
probe = { address = "200.222.0.113/32", every = "0s" }
requests = { address = "200.222.0.113", port = 0, every = "0s", pacient = true }
[host.b]
"#
    ));
}

#[test]
fn what_a_kernel_must_have_is_one_of_two_words() {
    assert_eq!(pair("").needs, [Need::Ipvs], "somebody asks a virtual server");
    let quiet = PAIR.lines().filter(|line| !line.starts_with("requests"));
    let quiet = quiet.collect::<Vec<_>>().join("\n");
    assert_eq!(parse(&quiet).expect("a scenario").needs, []);
    let needs = |text: &str| parse(&format!("needs = {text}\n{quiet}"));
    assert_eq!(needs("\"netem\"").expect("a scenario").needs, [Need::Netem]);
    let both = needs("[\"ipvs\", \"netem\"]").expect("a scenario");
    assert_eq!(both.needs, Need::ALL);
    let mistake = needs("[\"ip_vs\"]").expect_err("no such need").to_string();
    assert!(mistake.contains("did you mean `ipvs`?"), "{mistake}");
}

#[test]
fn broken_toml_is_one_clear_message_at_its_place() {
    insta::assert_snapshot!(mistakes("title = \"x\"\nuntil = 10s\n[host.a\n"));
}

#[test]
fn files_that_cannot_be_read_end_in_one_clear_message() {
    let fault = |path: &Path| Scenario::load(path).expect_err("no scenario").to_string();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert!(fault(&root.join("src")).contains("it is a directory"));
    assert!(fault(&root.join("none.toml")).contains("No such file"));
    assert!(mistakes("title = \"\0\"").starts_with("error[toml]"));
}

#[test]
fn of_very_many_mistakes_the_first_hundred_are_shown() {
    let error = parse(&"[[step]]\n".repeat(1_000)).expect_err("1,000 empty steps");
    assert_eq!(error.diagnostics().len(), values::MAX_MISTAKES + 1);
    assert!(error.to_string().contains("2002 mistakes, of which 100 are shown"));
}

#[test]
fn a_written_file_leaves_out_what_has_its_default_and_names_files_by_their_way() {
    let scenario = pair("[[step]]\nat = \"10s\"\ncut = \"a <-> others\"");
    let elsewhere = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sim/regressions");
    let text = scenario.to_toml(&elsewhere);
    assert!(text.contains("config = \"../../scenarios/seed/director-1.conf\""), "{text}");
    assert!(text.contains("[segment.lan]\n\n[host.a]"), "{text}");
    assert!(text.ends_with("[[step]]\nat = \"10s\"\ncut = \"a <-> b, client\"\n"), "{text}");
}

#[test]
fn names_and_titles_that_need_quotation_marks_are_read_back() {
    let text = PAIR
        .replace("two directors", "two \\\"directors\\\"\\t")
        .replace("host.b]", "host.\"b.1\"]");
    let scenario = parse(&text).unwrap_or_else(|error| panic!("{error}"));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("failover");
    let again = parse(&scenario.to_toml(&folder)).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(without_places(&again), without_places(&scenario));
    assert_eq!(&*again.hosts[1].name, "b.1");
}
