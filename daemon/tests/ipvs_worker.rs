//! What the engine's director orders, against a made-up kernel: performed in order, and answered.

mod made_up_ipvs;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use tokio::time::timeout;
use vipd::ipvs::worker::WAITING_ORDERS;
use vipd::ipvs::{Ipvs, Worker};
use vipd_engine::InterfaceName;
use vipd_engine::config::director::{
    Forwarding, Protocol, Scheduler, Scheduling, Service, Timeouts,
};
use vipd_engine::ipvs::{
    Answer, Batch, DestinationSpec, Endpoint, Failure, IpvsCommand, IpvsError, Observed, Read,
    Request, Seen, ServiceSpec, Settings, SyncRole, SyncSpec,
};

use made_up_ipvs::Peer;

/// A test whose answer does not come has failed by then.
const LONG: Duration = Duration::from_secs(20);

fn service(port: u16) -> Service {
    Service::Address { address: [192, 0, 2, 1].into(), port, protocol: Protocol::Tcp }
}

fn spec(scheduler: Scheduler) -> ServiceSpec {
    let scheduling = Scheduling { scheduler, flags: 0, hashed: false, one_packet: false };
    ServiceSpec { scheduling, persistence: None }
}

fn endpoint(last: u8) -> Endpoint {
    Endpoint { address: [10, 0, 0, last].into(), port: 80 }
}

fn to(weight: u32) -> DestinationSpec {
    let forwarding = Forwarding::DirectRouting;
    DestinationSpec { weight, forwarding, upper_threshold: 9, lower_threshold: 3 }
}

fn add(port: u16) -> IpvsCommand {
    IpvsCommand::AddService { service: service(port), spec: spec(Scheduler::Wlc) }
}

fn add_to(port: u16, last: u8, weight: u32) -> IpvsCommand {
    let (service, endpoint) = (service(port), endpoint(last));
    IpvsCommand::AddDestination { service, endpoint, spec: to(weight) }
}

fn batch(number: u64, commands: Vec<IpvsCommand>) -> Request {
    Request::Batch(Batch { number, commands })
}

fn read(number: u64, ports: &[u16]) -> Request {
    let services = ports.iter().copied().map(service).collect();
    Request::Read(Read { number, services, settings: false })
}

/// A worker of this kernel.
fn worker(peer: &Peer) -> Worker<Peer> {
    let peer = peer.clone();
    Worker::over(move || Ipvs::over(peer.clone()))
}

async fn next(worker: &mut Worker<Peer>) -> (u64, Answer) {
    timeout(LONG, worker.next()).await.expect("an answer")
}

/// All that is observed, up to the end.
async fn observed(worker: &mut Worker<Peer>, number: u64) -> Vec<Seen> {
    let mut all = Vec::new();
    assert_eq!(next(worker).await, (number, Answer::Observed(Observed::Begin)));
    loop {
        match next(worker).await {
            (of, Answer::Observed(Observed::Service(seen))) if of == number => all.push(seen),
            (of, Answer::Observed(Observed::End)) if of == number => return all,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn orders_are_performed_one_after_the_other_and_read_back() {
    let peer = Peer::default();
    let mut worker = worker(&peer);
    let all = vec![add(80), add_to(80, 1, 5), add_to(80, 2, 7), add(81)];
    worker.order(batch(1, all));
    let (service, endpoint) = (service(80), endpoint(1));
    worker.order(batch(
        2,
        vec![
            IpvsCommand::EditService { service, spec: spec(Scheduler::Rr) },
            IpvsCommand::EditDestination { service, endpoint, spec: to(0) },
            IpvsCommand::RemoveDestination { service, endpoint: self::endpoint(2) },
        ],
    ));
    worker.order(read(3, &[80, 82, 81]));
    assert_eq!(next(&mut worker).await, (1, Answer::Done(Ok(vec![]))));
    assert_eq!(next(&mut worker).await, (2, Answer::Done(Ok(vec![]))));
    // What is not there is not told.
    let seen = |port, scheduler, destinations| Seen {
        service: self::service(port),
        spec: Some(spec(scheduler)),
        destinations,
    };
    let wanted = vec![
        seen(80, Scheduler::Rr, vec![(endpoint, Some(to(0)))]),
        seen(81, Scheduler::Wlc, vec![]),
    ];
    assert_eq!(observed(&mut worker, 3).await, wanted);
    worker.order(batch(4, vec![IpvsCommand::RemoveService(service)]));
    worker.order(batch(5, vec![IpvsCommand::Flush]));
    assert_eq!(next(&mut worker).await, (4, Answer::Done(Ok(vec![]))));
    assert_eq!(next(&mut worker).await, (5, Answer::Done(Ok(vec![]))));
    assert!(peer.kernel().table.rows.is_empty());
}

#[tokio::test]
async fn limits_and_threads_reach_the_kernel() {
    let peer = Peer::default();
    let mut worker = worker(&peer);
    let udp = Some(Duration::from_secs(42));
    let sync = SyncSpec {
        interface: InterfaceName::new("eth0"),
        id: 7,
        maxlen: Some(1400),
        port: Some(9999),
        ttl: Some(5),
        group: Some([224, 0, 0, 99].into()),
    };
    let (role, other) = (SyncRole::Master, SyncRole::Backup);
    worker.order(batch(
        1,
        vec![
            IpvsCommand::SetTimeouts(Timeouts { udp, ..Timeouts::default() }),
            IpvsCommand::StartSync { role, spec: sync.clone() },
            IpvsCommand::StartSync { role: other, spec: sync.clone() },
            IpvsCommand::StopSync(role),
            IpvsCommand::StopSync(role),
        ],
    ));
    let gone = Failure { place: 4, error: IpvsError::NoService };
    assert_eq!(next(&mut worker).await, (1, Answer::Done(Ok(vec![gone]))));
    {
        let kernel = peer.kernel();
        assert_eq!(kernel.table.timeouts, [900, 120, 42]);
        let [backup] = &kernel.table.sync[..] else { panic!("{:?}", kernel.table.sync) };
        assert_eq!((backup.state, backup.id, backup.port, backup.ttl), (2, 7, 9999, 5));
    }
    // And they are read back.
    worker.order(Request::Read(Read { number: 2, services: vec![], settings: true }));
    let limit = |seconds| Some(Duration::from_secs(seconds));
    let settings = Settings {
        timeouts: Timeouts { tcp: limit(900), tcp_fin: limit(120), udp },
        sync: [(other, sync)].into(),
    };
    for observed in [Observed::Begin, Observed::Settings(settings), Observed::End] {
        assert_eq!(next(&mut worker).await, (2, Answer::Observed(observed)));
    }
}

#[tokio::test]
async fn settings_that_cannot_be_read_are_told_as_such_and_no_part_of_them_ends() {
    let peer = Peer::default();
    let mut worker = worker(&peer);
    peer.kernel().disturbs = 1000;
    worker.order(Request::Read(Read { number: 1, services: vec![], settings: true }));
    assert_eq!(next(&mut worker).await, (1, Answer::Observed(Observed::Begin)));
    assert_eq!(next(&mut worker).await, (1, Answer::Done(Err(IpvsError::TimedOut))));
}

#[tokio::test]
async fn each_failure_is_told_with_its_place_and_as_what_the_engine_knows() {
    let mut worker = worker(&Peer::default());
    let unknown = spec(Scheduler::Twos);
    let (service, endpoint) = (service(80), endpoint(3));
    worker.order(batch(
        1,
        vec![
            add(80),
            add(80),
            IpvsCommand::AddService { service: self::service(81), spec: unknown },
            IpvsCommand::RemoveService(self::service(81)),
            add_to(81, 1, 1),
            add_to(80, 1, 1),
            add_to(80, 1, 1),
            IpvsCommand::EditDestination { service, endpoint, spec: to(1) },
        ],
    ));
    let failed = [
        (1, IpvsError::Exists),
        (2, IpvsError::NotThere),
        (3, IpvsError::NoService),
        (4, IpvsError::NoService),
        (6, IpvsError::Exists),
        (7, IpvsError::NotThere),
    ];
    let failed = failed.map(|(place, error)| Failure { place, error });
    assert_eq!(next(&mut worker).await, (1, Answer::Done(Ok(failed.to_vec()))));
}

#[tokio::test]
async fn what_a_kernel_refuses_is_refused_and_the_rest_is_done() {
    let peer = Peer::default();
    let mut worker = worker(&peer);
    worker.order(batch(1, vec![add(80)]));
    assert_eq!(next(&mut worker).await, (1, Answer::Done(Ok(vec![]))));
    // Everything: the number of the family too.
    peer.kernel().refuses = Some((made_up_ipvs::EPERM, None));
    worker.order(batch(2, vec![add(81)]));
    worker.order(read(3, &[80]));
    assert_eq!(next(&mut worker).await, (2, Answer::Done(Err(IpvsError::Refused))));
    assert_eq!(next(&mut worker).await, (3, Answer::Done(Err(IpvsError::Refused))));
}

#[tokio::test]
async fn a_kernel_without_ipvs_is_told_until_it_has_one() {
    let peer = Peer::default();
    peer.kernel().has_none = true;
    let mut worker = worker(&peer);
    worker.order(batch(1, vec![add(80)]));
    worker.order(read(2, &[]));
    assert_eq!(next(&mut worker).await, (1, Answer::Done(Err(IpvsError::NoIpvs))));
    assert_eq!(next(&mut worker).await, (2, Answer::Done(Err(IpvsError::NoIpvs))));
    peer.kernel().has_none = false;
    worker.order(read(3, &[]));
    assert_eq!(observed(&mut worker, 3).await, []);
    worker.order(batch(4, vec![add(80)]));
    assert_eq!(next(&mut worker).await, (4, Answer::Done(Ok(vec![]))));
}

#[tokio::test]
async fn one_socket_does_for_all_orders_also_of_a_module_loaded_anew_until_one_fails() {
    let (peer, opened) = (Peer::default(), Arc::new(AtomicUsize::new(0)));
    let (count, way) = (Arc::clone(&opened), peer.clone());
    let mut worker = Worker::over(move || {
        count.fetch_add(1, Ordering::SeqCst);
        Ipvs::over(way.clone())
    });
    worker.order(batch(1, vec![add(80)]));
    assert_eq!(next(&mut worker).await, (1, Answer::Done(Ok(vec![]))));
    peer.kernel().reloads = 1;
    worker.order(batch(2, vec![add(81)]));
    assert_eq!(next(&mut worker).await, (2, Answer::Done(Ok(vec![]))));
    assert_eq!((peer.kernel().table.rows.len(), opened.load(Ordering::SeqCst)), (2, 1));
    peer.kernel().is_deaf = true;
    worker.order(batch(3, vec![add(82)]));
    assert_eq!(next(&mut worker).await, (3, Answer::Done(Err(IpvsError::TimedOut))));
    peer.kernel().is_deaf = false;
    worker.order(read(4, &[82]));
    assert_eq!(observed(&mut worker, 4).await, []);
    assert_eq!(opened.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_kernel_that_does_not_answer_is_out_of_time() {
    let peer = Peer::default();
    let mut worker = worker(&peer);
    worker.order(read(1, &[]));
    assert_eq!(observed(&mut worker, 1).await, []);
    peer.kernel().is_deaf = true;
    worker.order(batch(2, vec![add(80)]));
    assert_eq!(next(&mut worker).await, (2, Answer::Done(Err(IpvsError::TimedOut))));
}

#[tokio::test]
async fn a_read_that_is_disturbed_all_the_time_is_out_of_time_and_no_part_of_it_ends() {
    let peer = Peer::default();
    let mut worker = worker(&peer);
    worker.order(batch(1, vec![add(80), add_to(80, 1, 1)]));
    assert_eq!(next(&mut worker).await, (1, Answer::Done(Ok(vec![]))));
    peer.kernel().disturbs = 1000;
    worker.order(read(2, &[80]));
    assert_eq!(next(&mut worker).await, (2, Answer::Observed(Observed::Begin)));
    assert_eq!(next(&mut worker).await, (2, Answer::Done(Err(IpvsError::TimedOut))));
}

#[tokio::test]
async fn more_orders_than_may_wait_are_answered_at_once_and_the_others_in_their_turn() {
    let (peer, gate) = (Peer::default(), Arc::new(Barrier::new(2)));
    let (opened, held) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&gate));
    let (count, way) = (Arc::clone(&opened), peer.clone());
    let mut worker = Worker::over(move || {
        if count.fetch_add(1, Ordering::SeqCst) == 0 {
            // It has taken the order: one more may wait.
            held.wait();
            held.wait();
        }
        Ipvs::over(way.clone())
    });
    worker.order(read(0, &[]));
    tokio::task::spawn_blocking({
        let gate = Arc::clone(&gate);
        move || gate.wait()
    })
    .await
    .expect("it has begun");
    let most = u64::try_from(WAITING_ORDERS).expect("a few");
    for number in 1..=most + 1 {
        worker.order(read(number, &[]));
    }
    assert_eq!(next(&mut worker).await, (most + 1, Answer::Done(Err(IpvsError::TimedOut))));
    assert_eq!(worker.try_next(), None, "the first one is still held");
    gate.wait();
    for number in 0..=most {
        assert_eq!(observed(&mut worker, number).await, []);
    }
}

#[tokio::test]
async fn one_that_was_never_ordered_anything_has_no_thread() {
    let count = Arc::new(AtomicUsize::new(0));
    let opened = Arc::clone(&count);
    let mut worker = Worker::over(move || {
        opened.fetch_add(1, Ordering::SeqCst);
        Ipvs::over(Peer::default())
    });
    assert_eq!(worker.try_next(), None);
    assert!(timeout(Duration::from_millis(20), worker.next()).await.is_err(), "nothing comes");
    drop(worker);
    assert_eq!(count.load(Ordering::SeqCst), 0);
    // Only the maker of the way to the kernel was held.
    assert_eq!(Arc::strong_count(&count), 1);
}
