//! What is no service: the time limits of connections and the threads of the synchronisation are
//! desired minus observed, too. Read at the start, in turn and after an error; what others changed
//! is put right and told; where nothing is configured nobody asks.

mod ipvs_world;

use std::time::Duration;

use ipvs_world::{Fate, SECOND, World, config, tcp, virtual_server};
use vipd_engine::config::director::{DirectorConfig, SyncDaemon, Timeouts, VirtualServer};
use vipd_engine::ipvs::{
    Effect, IpvsCommand, IpvsError, News, Observed, READ_BACK_EVERY, SyncRole, SyncSpec,
};
use vipd_engine::{InstanceName, InterfaceName};

fn vip() -> VirtualServer {
    virtual_server(tcp("10.0.0.1:80"), &["10.1.0.1:80"])
}

fn failures(world: &mut World) -> Vec<String> {
    let failed = |news: &News| {
        matches!(
            news,
            News::CommandFailed { .. } | News::BatchFailed { .. } | News::ReadFailed { .. }
        )
    };
    world.news().iter().filter(|news| failed(news)).map(ToString::to_string).collect()
}

fn limited(tcp: u64) -> DirectorConfig {
    let timeouts = Timeouts { tcp: Some(Duration::from_secs(tcp)), ..Timeouts::default() };
    DirectorConfig { timeouts, ..config(&[]) }
}

fn tcp_is(seconds: u64) -> Timeouts {
    Timeouts { tcp: Some(Duration::from_secs(seconds)), ..Timeouts::default() }
}

fn reads(world: &World) -> usize {
    world.log.iter().filter(|effect| matches!(effect, Effect::Read(read) if read.settings)).count()
}

fn synchronised(instance: Option<&str>, id: u8) -> DirectorConfig {
    let sync_daemon = Some(SyncDaemon {
        interface: InterfaceName::new("eth0"),
        instance: instance.map(InstanceName::new),
        id,
        maxlen: None,
        port: None,
        ttl: None,
        group: None,
    });
    DirectorConfig { sync_daemon, ..config(&[]) }
}

#[test]
fn the_synchronisation_follows_its_instance_and_ends_with_the_director() {
    let mut world = World::new();
    world.configure(&synchronised(Some("VI_1"), 5));
    assert_eq!(
        world.lines(),
        ["ipvs: start sync backup on eth0 id 5", "sync backup runs"],
        "that none runs was read"
    );
    world.instance(SyncRole::Master);
    assert_eq!(
        world.lines(),
        [
            "ipvs: stop sync backup",
            "ipvs: start sync master on eth0 id 5",
            "sync backup is stopped",
            "sync master runs",
        ]
    );
    world.instance(SyncRole::Master);
    assert_eq!(world.lines(), Vec::<String>::new());
    world.stop();
    assert!(world.kernel.sync.is_empty() && world.ipvs.is_stopped());
}

#[test]
fn without_an_instance_both_threads_run_and_a_change_starts_them_anew() {
    let mut world = World::new();
    world.configure(&synchronised(None, 5));
    assert_eq!(world.kernel.sync.len(), 2);
    world.configure(&synchronised(None, 6));
    assert!(world.kernel.sync.values().all(|spec| spec.id == 6));
    world.configure(&config(&[]));
    assert!(world.kernel.sync.is_empty());
}

#[test]
fn threads_that_a_killed_run_left_another_way_are_started_anew_as_configured() {
    let mut world = World::new();
    world.kernel = World::with(&synchronised(None, 9)).kernel;
    world.configure(&synchronised(Some("VI_1"), 5));
    let running: Vec<_> = world.kernel.sync.iter().map(|(role, spec)| (*role, spec.id)).collect();
    assert_eq!(running, [(SyncRole::Backup, 5)]);
    assert_eq!(failures(&mut world), Vec::<String>::new());
}

#[test]
fn threads_of_somebody_else_are_left_alone_where_none_is_configured() {
    let mut world = World::new();
    world.kernel = World::with(&synchronised(None, 9)).kernel;
    world.configure(&config(&[vip()]));
    world.stop();
    assert_eq!(world.kernel.sync.len(), 2);
}

#[test]
fn threads_that_a_killed_run_left_as_configured_go_on() {
    let mut world = World::new();
    world.kernel = World::with(&synchronised(None, 5)).kernel;
    world.configure(&synchronised(None, 5));
    assert_eq!(world.lines(), ["sync master runs", "sync backup runs"]);
    world.wait(READ_BACK_EVERY * 2);
    assert_eq!(world.lines(), Vec::<String>::new());
    world.stop();
    assert!(world.kernel.sync.is_empty() && world.ipvs.is_stopped());
}

#[test]
fn threads_that_others_touch_are_put_right_and_told_within_a_minute() {
    let mut world = World::with(&synchronised(Some("VI_1"), 5));
    let ours = world.kernel.sync[&SyncRole::Backup].clone();
    world.wait(SECOND);
    world.log.clear();
    world.kernel.sync.clear();
    world.wait(READ_BACK_EVERY);
    let told = [
        "somebody stopped sync backup",
        "ipvs: start sync backup on eth0 id 5",
        "sync backup runs",
    ];
    assert_eq!(world.lines(), told);
    let other = SyncSpec { ttl: Some(9), ..ours.clone() };
    world.kernel.sync.insert(SyncRole::Backup, other.clone());
    world.kernel.sync.insert(SyncRole::Master, other);
    world.wait(READ_BACK_EVERY);
    assert_eq!(
        world.lines(),
        [
            "somebody started sync master",
            "somebody started sync backup another way",
            "ipvs: stop sync master",
            "ipvs: stop sync backup",
            "sync master is stopped",
            "sync backup is stopped",
            "ipvs: start sync backup on eth0 id 5",
            "sync backup runs",
        ]
    );
    assert_eq!(world.kernel.sync.values().collect::<Vec<_>>(), [&ours]);
}

#[test]
fn time_limits_that_are_there_are_not_set_and_those_that_others_set_are_put_right_and_told() {
    let mut world = World::new();
    world.configure(&limited(900));
    assert_eq!(world.lines(), Vec::<String>::new(), "they are the kernel's own");
    world.kernel.timeouts = tcp_is(60);
    world.wait(READ_BACK_EVERY);
    assert_eq!(
        world.lines(),
        [
            "somebody set timeouts tcp 60 s tcpfin 120 s udp 300 s",
            "ipvs: set timeouts tcp 900 s tcpfin - udp -",
        ]
    );
    assert_eq!(world.kernel.timeouts, tcp_is(900));
    // What the file does not name is anybody's.
    world.kernel.timeouts.udp = Some(SECOND);
    world.wait(READ_BACK_EVERY);
    assert_eq!(world.lines(), Vec::<String>::new());
}

#[test]
fn a_command_that_was_lost_or_refused_is_made_once_it_was_read_what_became_of_it() {
    for fate in [Fate::Lost, Fate::Unanswered, Fate::Late, Fate::Refused(0xff)] {
        let mut world = World::new();
        world.fates.extend([Fate::Answered, fate]);
        let both = DirectorConfig { timeouts: tcp_is(60), ..synchronised(None, 5) };
        world.configure(&both);
        world.wait(SECOND * 20);
        assert_eq!(world.kernel.timeouts, tcp_is(60), "{fate:?}");
        assert_eq!(world.kernel.sync.len(), 2, "{fate:?}");
        assert!(reads(&world) >= 2, "{fate:?}");
        assert!(!failures(&mut world).is_empty(), "{fate:?}");
    }
}

#[test]
fn what_could_not_be_read_is_read_again_and_nothing_is_ordered_before() {
    for fate in [Fate::Lost, Fate::Refused(0), Fate::Failed(IpvsError::TimedOut)] {
        let mut world = World::new();
        world.fates.extend([fate, fate]);
        world.configure(&limited(60));
        world.wait(SECOND / 2);
        assert_eq!(world.kernel.timeouts, Timeouts::default(), "{fate:?}");
        world.wait(SECOND * 20);
        assert_eq!(world.kernel.timeouts, tcp_is(60), "{fate:?}");
        assert_eq!(failures(&mut world).len(), 2, "{fate:?}");
    }
}

#[test]
fn a_driver_that_does_not_tell_what_it_was_asked_for_is_asked_again() {
    let mut world = World::new();
    world.held = true;
    world.configure(&limited(60));
    let Some(Effect::Read(read)) = world.waiting.pop() else { panic!("it is read first") };
    assert!(read.settings && read.services.is_empty());
    for observed in [Observed::Begin, Observed::End] {
        world.tell(|ipvs, now, out| ipvs.on_observed(now, read.number, observed, out));
    }
    world.held = false;
    assert_eq!(world.kernel.timeouts, Timeouts::default());
    world.wait(SECOND * 2);
    assert_eq!(world.kernel.timeouts, tcp_is(60));
}

#[test]
fn where_nothing_of_it_is_configured_nobody_asks() {
    let mut world = World::with(&config(&[vip()]));
    world.wait(READ_BACK_EVERY * 3);
    assert_eq!(reads(&world), 0);
    // Nor any more once the file has lost it.
    world.configure(&limited(60));
    world.configure(&config(&[vip()]));
    world.log.clear();
    world.kernel.timeouts = tcp_is(1);
    world.wait(READ_BACK_EVERY * 3);
    assert_eq!((reads(&world), world.kernel.timeouts), (0, tcp_is(1)));
    assert!(!world.lines().iter().any(|line| line.contains("timeouts")));
}

#[test]
fn a_kernel_that_got_its_ipvs_anew_is_read_before_anything_is_ordered_of_it() {
    let mut world = World::new();
    world.kernel.is_bare = true;
    world.configure(&DirectorConfig { timeouts: tcp_is(60), ..synchronised(None, 5) });
    world.wait(SECOND * 5);
    world.kernel.is_bare = false;
    world.log.clear();
    world.wait(SECOND * 10);
    let first = world.log.iter().position(|effect| matches!(effect, Effect::Batch(_)));
    let read =
        world.log.iter().position(|effect| matches!(effect, Effect::Read(read) if read.settings));
    assert!(read < first && read.is_some());
    assert_eq!((world.kernel.sync.len(), world.kernel.timeouts), (2, tcp_is(60)));
    assert!(world.commands().iter().all(|command| !matches!(command, IpvsCommand::StopSync(_))));
}

#[test]
fn linux_fills_in_what_was_left_open_and_bounds_the_rest() {
    let open = SyncSpec {
        interface: InterfaceName::new("eth0"),
        id: 5,
        maxlen: None,
        port: None,
        ttl: None,
        group: None,
    };
    let filled = SyncSpec {
        maxlen: Some(1472),
        port: Some(8848),
        ttl: Some(1),
        group: Some([224, 0, 0, 81].into()),
        ..open.clone()
    };
    for role in SyncRole::ALL {
        assert!(open.runs_as(role, &filled) && filled.runs_as(role, &filled));
        // A kernel before 4.3.
        assert!(filled.runs_as(role, &open));
        let others = [
            SyncSpec { interface: InterfaceName::new("eth1"), ..filled.clone() },
            SyncSpec { id: 6, ..filled.clone() },
            SyncSpec { port: Some(1), ..filled.clone() },
            SyncSpec { ttl: Some(2), ..filled.clone() },
            SyncSpec { group: Some([224, 0, 0, 82].into()), ..filled.clone() },
        ];
        assert!(others.iter().all(|other| !open.runs_as(role, other)), "{role}");
    }
    let short = SyncSpec { maxlen: Some(100), ..open };
    let least = SyncSpec { maxlen: Some(1024), ..filled.clone() };
    assert!(short.runs_as(SyncRole::Backup, &least) && !short.runs_as(SyncRole::Master, &least));
    let long = SyncSpec { maxlen: Some(u16::MAX), ..filled.clone() };
    assert!(long.runs_as(SyncRole::Master, &SyncSpec { maxlen: Some(65_507), ..filled }));
}
