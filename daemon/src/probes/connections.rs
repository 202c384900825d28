//! Attempts that only want a connection (`TCP_CHECK`), all of them together. A task, a timer and a
//! place in the runtime's set of descriptors for each would cost more than what TCP does for it.
//!
//! Those that begin together are looked at once, by one call. Only what was not there by then is
//! watched, in a set of its own, which a socket leaves by being closed. Only of one with which
//! something is wrong the kernel is asked what it is.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use socket2::Socket;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, Sleep, sleep_until};
use tracing::debug;
use vipd_checks::{Fault, Stage, Verdict};
use vipd_engine::config::health::Check;
use vipd_engine::health::{AttemptId, Outcome};

use super::socket::{self, Trouble};
use super::{TOLD_TOGETHER, Told};

/// Those that are under way.
pub struct Connections {
    /// By the number of the attempt.
    open: HashMap<u64, Connection>,
    /// Until when each of them may take.
    limits: BTreeSet<(Instant, u64)>,
    set: Epoll,
    /// Whether something of the set is to be heard.
    audible: AsyncFd<OwnedFd>,
    /// Rings when the first limit is over, or before.
    alarm: Pin<Box<Sleep>>,
    /// When it rings, if it will.
    rings_at: Option<Instant>,
}

/// An attempt whose connection is not there yet.
struct Connection {
    id: AttemptId,
    check: Arc<Check>,
    socket: Socket,
    until: Instant,
}

impl Connections {
    /// None so far. Must be called inside a runtime.
    ///
    /// # Errors
    /// Those of `epoll_create1(2)`.
    pub fn new() -> io::Result<Self> {
        let set = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let audible = vipd_sys::watch(&set.0)?;
        Ok(Self {
            open: HashMap::new(),
            limits: BTreeSet::new(),
            set,
            audible,
            alarm: Box::pin(sleep_until(Instant::now())),
            rings_at: None,
        })
    }

    /// Begins some. Says how those ended that have already.
    pub fn begin(&mut self, attempts: Vec<(AttemptId, Arc<Check>)>) -> Vec<Told> {
        let mut told = Vec::new();
        if attempts.is_empty() {
            return told;
        }
        let (now, mut begun) = (Instant::now(), Vec::with_capacity(attempts.len()));
        for (id, check) in attempts {
            match socket::connecting(&check) {
                Ok(socket) => {
                    let until = now + check.timeout;
                    begun.push(Connection { id, check, socket, until });
                }
                Err(trouble) => told.push((id, outcome(&check, Err(trouble)))),
            }
        }
        for (connection, seen) in look(begun) {
            if seen.is_empty() {
                told.extend(self.watch(connection));
            } else {
                told.push(connection.end(seen.intersects(PollFlags::POLLERR | PollFlags::POLLHUP)));
            }
        }
        self.set_alarm();
        told
    }

    /// Waits until some have ended, and says how. Nothing is lost if this is dropped.
    pub async fn next(&mut self) -> Vec<Told> {
        loop {
            let told = tokio::select! {
                Ok(mut ready) = self.audible.readable() => {
                    let mut events = [EpollEvent::empty(); TOLD_TOGETHER];
                    let heard = self.set.wait(&mut events, EpollTimeout::ZERO).unwrap_or(0);
                    if heard < events.len() {
                        // What comes from now on is told anew.
                        ready.clear_ready();
                    }
                    self.hear(&events[..heard])
                }
                () = self.alarm.as_mut(), if self.rings_at.is_some() => self.on_alarm(),
                // The runtime is being shut down.
                else => std::future::pending().await,
            };
            if !told.is_empty() {
                return told;
            }
        }
    }

    /// Drops an attempt, if it is one of these.
    pub fn cancel(&mut self, id: AttemptId) -> bool {
        self.take(id.number).is_some()
    }

    fn watch(&mut self, connection: Connection) -> Option<Told> {
        // Once, because a process that begins may hold what is closed here for a moment longer.
        let interest = EpollFlags::EPOLLOUT | EpollFlags::EPOLLONESHOT;
        let number = connection.id.number;
        match self.set.add(&connection.socket, EpollEvent::new(interest, number)) {
            Ok(()) => {
                self.limits.insert((connection.until, number));
                self.open.insert(number, connection);
                None
            }
            Err(errno) => Some(connection.fail(Trouble::ours(&errno.into()))),
        }
    }

    fn hear(&mut self, events: &[EpollEvent]) -> Vec<Told> {
        let wrong = EpollFlags::EPOLLERR | EpollFlags::EPOLLHUP;
        let told = events.iter().filter_map(|event| {
            let connection = self.take(event.data())?;
            Some(connection.end(event.events().intersects(wrong)))
        });
        told.collect()
    }

    /// A limit may be over.
    fn on_alarm(&mut self) -> Vec<Told> {
        let (now, mut told) = (Instant::now(), Vec::new());
        while let Some((until, number)) = self.limits.first().copied()
            && until <= now
            && told.len() < TOLD_TOGETHER
        {
            told.extend(self.take(number).map(|connection| connection.fail(Trouble::Late)));
        }
        self.rings_at = None;
        self.set_alarm();
        told
    }

    /// It is set for nothing later than the first limit. It may ring for one that is gone: to set
    /// it anew for each would be a timer for each.
    fn set_alarm(&mut self) {
        if let Some((first, _)) = self.limits.first().copied()
            && self.rings_at.is_none_or(|at| first < at)
        {
            self.alarm.as_mut().reset(first);
            self.rings_at = Some(first);
        }
    }

    fn take(&mut self, number: u64) -> Option<Connection> {
        let connection = self.open.remove(&number)?;
        self.limits.remove(&(connection.until, number));
        Some(connection)
    }
}

impl Connection {
    /// The kernel has said that it is there, or that something is wrong.
    fn end(self, is_wrong: bool) -> Told {
        let made = match is_wrong {
            true => socket::made(self.socket.take_error()),
            false => Ok(()),
        };
        (self.id, outcome(&self.check, made))
    }

    fn fail(self, trouble: Trouble) -> Told {
        (self.id, outcome(&self.check, Err(trouble)))
    }
}

/// What is to be seen of each right now. If the call fails, that is nothing.
fn look(begun: Vec<Connection>) -> impl Iterator<Item = (Connection, PollFlags)> {
    let asked = begun.iter().map(|one| PollFd::new(one.socket.as_fd(), PollFlags::POLLOUT));
    let mut asked: Vec<_> = asked.collect();
    let looked = poll(&mut asked, PollTimeout::ZERO).is_ok();
    let seen = |one: &PollFd<'_>| one.revents().filter(|_| looked).unwrap_or(PollFlags::empty());
    let seen: Vec<_> = asked.iter().map(seen).collect();
    begun.into_iter().zip(seen)
}

/// What it means for a check that its connection is there, or why it is not: the words of its
/// dialogue.
fn outcome(check: &Check, made: Result<(), Trouble>) -> Outcome {
    let verdict = match made {
        Ok(()) => Verdict::Good,
        Err(Trouble::Theirs(why)) => Verdict::Bad(Fault::Connection(why)),
        Err(Trouble::Late) => Verdict::Bad(Fault::TimedOut(Stage::Connection)),
        Err(Trouble::Ours(error)) => {
            debug!("{check} could not be made: {error}");
            return Outcome::Local(error);
        }
    };
    debug!("{check}: {verdict}");
    verdict.outcome()
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::{Domain, Type};
    use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
    use std::time::Duration;
    use tokio::time::timeout;
    use vipd_checks::{Attempt, ConnectionFailure, Event, Plan, Step};
    use vipd_engine::config::health::{Bind, CheckKind};
    use vipd_engine::health::{CheckId, Failure};

    /// What has not come by then does not come.
    const LONG: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(300);
    const LATE: Outcome = Outcome::Bad(Failure::TimedOut);

    fn check(port: u16, timeout: Duration) -> Arc<Check> {
        Arc::new(Check {
            kind: CheckKind::Tcp,
            address: Ipv4Addr::LOCALHOST.into(),
            port,
            bind: Bind::default(),
            timeout,
            delay_loop: Duration::from_secs(6),
            retry: 0,
            delay_before_retry: Duration::from_secs(1),
            warmup: Duration::ZERO,
            alpha: false,
            tells_all_failures: false,
        })
    }

    const fn id(number: u64) -> AttemptId {
        AttemptId { check: CheckId(0), number }
    }

    /// A port whose queue is full: connections come about when somebody takes those that wait.
    fn busy() -> (Socket, u16, TcpStream) {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        listener.bind(&any.into()).expect("a port");
        listener.listen(0).expect("a queue of one");
        let address = listener.local_addr().ok().and_then(|address| address.as_socket());
        let address = address.expect("an address of IP");
        let waits = TcpStream::connect(address).expect("a connection");
        (listener, address.port(), waits)
    }

    async fn next(connections: &mut Connections) -> Vec<Told> {
        timeout(LONG, connections.next()).await.expect("an end")
    }

    /// So many, those that were told already among them, in the order of their numbers.
    async fn all(connections: &mut Connections, count: usize, mut told: Vec<Told>) -> Vec<Told> {
        while told.len() < count {
            told.extend(next(connections).await);
        }
        told.sort_by_key(|(id, _)| *id);
        told
    }

    fn nothing_is_left(connections: &Connections) {
        assert!(connections.open.is_empty() && connections.limits.is_empty());
    }

    #[tokio::test]
    async fn many_that_begin_together_each_have_their_own_end() {
        let mut connections = Connections::new().expect("a set");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let good = check(listener.local_addr().expect("an address").port(), LONG);
        let closed = TcpListener::bind("127.0.0.1:0").expect("a port");
        let refused = check(closed.local_addr().expect("an address").port(), LONG);
        drop(closed);
        std::thread::spawn(move || listener.incoming().for_each(drop));
        let of = |number: u64| if number.is_multiple_of(3) { &refused } else { &good };
        for begin in [0, 60, 120] {
            let numbers = begin..begin + 60;
            let attempts = numbers.clone().map(|number| (id(number), Arc::clone(of(number))));
            let told = connections.begin(attempts.collect());
            let told = all(&mut connections, 60, told).await;
            let wanted = |number| match number % 3 {
                0 => (id(number), Outcome::Bad(Failure::Refused)),
                _ => (id(number), Outcome::GOOD),
            };
            assert_eq!(told, numbers.map(wanted).collect::<Vec<_>>());
        }
        nothing_is_left(&connections);
    }

    #[tokio::test]
    async fn one_that_is_not_there_at_once_is_heard_of_when_it_is_there_or_refused() {
        let mut connections = Connections::new().expect("a set");
        let (later, port, _waiting) = busy();
        let (never, gone, _too) = busy();
        let attempts = vec![(id(1), check(port, LONG)), (id(2), check(gone, LONG))];
        assert!(connections.begin(attempts).is_empty());
        assert_eq!(connections.open.len(), 2);
        // Its SYN is sent again after a second.
        drop(later.accept().expect("the one that waits"));
        drop(never);
        let told = all(&mut connections, 2, Vec::new()).await;
        assert_eq!(told, [(id(1), Outcome::GOOD), (id(2), Outcome::Bad(Failure::Refused))]);
        nothing_is_left(&connections);
    }

    #[tokio::test]
    async fn each_has_its_own_time_and_the_next_one_is_not_late_for_the_one_before() {
        let mut connections = Connections::new().expect("a set");
        let (_listener, port, _waiting) = busy();
        let began = Instant::now();
        let times = [3, 1, 2].map(|times| times * SHORT);
        let attempts = (1..).zip(times).map(|(number, time)| (id(number), check(port, time)));
        assert!(connections.begin(attempts.collect()).is_empty());
        for (number, time) in [(2, SHORT), (3, 2 * SHORT), (1, 3 * SHORT)] {
            assert_eq!(next(&mut connections).await, [(id(number), LATE)]);
            let took = began.elapsed();
            assert!(took >= time && took < time + Duration::from_secs(2), "{took:?}");
        }
        // The alarm was heard, and is set again for one that comes later.
        assert!(connections.begin(vec![(id(4), check(port, SHORT))]).is_empty());
        assert_eq!(next(&mut connections).await, [(id(4), LATE)]);
        nothing_is_left(&connections);
    }

    #[tokio::test]
    async fn more_than_are_told_together_are_all_told() {
        let mut connections = Connections::new().expect("a set");
        let (listener, port, _waiting) = busy();
        let tcp = check(port, LONG);
        let count = 2 * TOLD_TOGETHER as u64 + 1;
        let attempts = (0..count).map(|number| (id(number), Arc::clone(&tcp)));
        assert!(connections.begin(attempts.collect()).is_empty());
        // All are refused by the answer to their next SYN, at about the same time.
        drop(listener);
        let mut told = Vec::new();
        while (told.len() as u64) < count {
            let some = next(&mut connections).await;
            assert!(some.len() <= TOLD_TOGETHER, "{}", some.len());
            told.extend(some);
        }
        assert!(told.iter().all(|(_, outcome)| *outcome == Outcome::Bad(Failure::Refused)));
        nothing_is_left(&connections);
    }

    #[tokio::test]
    async fn one_that_is_dropped_is_closed_and_tells_nothing() {
        let mut connections = Connections::new().expect("a set");
        let (listener, port, _waiting) = busy();
        let attempts = vec![(id(1), check(port, SHORT)), (id(2), check(port, 2 * SHORT))];
        assert!(connections.begin(attempts).is_empty());
        assert!(connections.cancel(id(1)) && !connections.cancel(id(1)));
        assert_eq!(next(&mut connections).await, [(id(2), LATE)]);
        nothing_is_left(&connections);
        // Neither is heard of when there is room for both.
        drop(listener.accept().expect("the one that waits"));
        listener.set_nonblocking(true).expect("a mode");
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert!(listener.accept().is_err(), "a SYN was sent again");
    }

    #[test]
    fn the_words_are_those_of_the_dialogue() {
        let tcp = check(80, LONG);
        let plan = Plan::new(&tcp).expect("a check that can be asked");
        let says = |event| match plan.begin(Attempt::default()).on(event, &mut Vec::new()) {
            Step::Over(verdict) => verdict.outcome(),
            step => panic!("{step:?}"),
        };
        assert_eq!(outcome(&tcp, Ok(())), says(Event::Opened));
        for why in
            [ConnectionFailure::Refused, ConnectionFailure::Unreachable, ConnectionFailure::Reset]
        {
            assert_eq!(outcome(&tcp, Err(Trouble::Theirs(why))), says(Event::Failed(why)));
        }
        let silence = plan.begin(Attempt::default()).on_deadline().outcome();
        assert_eq!(outcome(&tcp, Err(Trouble::Late)), silence);
    }
}
