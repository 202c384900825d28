//! The seam: what the run loop needs of the machine below it, in four narrow traits.
//!
//! Everything above (order of reading, timers, dispatch, reload, control) exists in one version,
//! in [`crate::driver`]. Below it is the production machine ([`crate::sockets`],
//! [`crate::clock`], [`crate::netlink`], `executors`) or that of a test.

use std::collections::VecDeque;
use std::sync::Arc;

use vipd_engine::health::{AttemptId, Limits, Outcome, Probe};
use vipd_engine::ipvs::{Answer, Request};
use vipd_engine::{
    CommandId, Config, EffectError, FibChange, Frame, KernelCommand, Link, LocalAddress, Received,
    Timestamp,
};

/// Where datagrams of IP protocol 112 come from and where frames go.
pub trait Socket {
    /// Waits until [`Self::try_recv`] may have something.
    fn readable(&self) -> impl Future<Output = ()>;

    /// The next datagram that waits; `None` if none does. What is no IP datagram is counted and
    /// passed over.
    fn try_recv(&mut self) -> Option<Received<'_>>;

    /// Puts a frame on the wire.
    ///
    /// # Errors
    /// [`EffectError::NoInterface`] if its interface is down or gone, else
    /// [`EffectError::Refused`].
    fn try_send(&mut self, frame: &Frame) -> Result<(), EffectError>;

    /// Puts frames that follow each other on the wire, in their order, and tells of each what came
    /// of it.
    fn send_all(&mut self, frames: &[(CommandId, Frame)], told: &mut VecDeque<Told>) {
        told.extend(frames.iter().map(|(id, frame)| {
            let result = self.try_send(frame);
            Told::Done { id: *id, result }
        }));
    }

    /// Datagrams so far that were none: their IP header cannot be read.
    fn unreadable(&self) -> u64;

    /// Another configuration is in force: other groups on other interfaces are listened to.
    fn configure(&mut self, config: &Arc<Config>);

    /// An interface came, changed or went.
    fn on_link(&mut self, link: &Link);
}

/// A clock that counts suspend.
pub trait Clock {
    /// What it shows.
    fn now(&self) -> Timestamp;

    /// Waits until it shows `at` or more; for ever if there is no such time.
    fn sleep_until(&self, at: Option<Timestamp>) -> impl Future<Output = ()>;
}

/// Performs kernel commands and tells what changes in the kernel, whoever did it.
pub trait Kernel {
    /// Another configuration is about to be in force: what it names is told from now on.
    fn configure(&mut self, _config: &Arc<Config>) {}

    /// Begins a command. It is answered by one [`Told::Done`].
    fn submit(&mut self, id: CommandId, command: KernelCommand);

    /// Goes on with what was begun, as far as adverts can wait. It is called once everything that
    /// one input caused was begun and told, and again whenever the kernel is
    /// [`readable`](Self::readable).
    fn work(&mut self) -> impl Future<Output = ()> {
        async {}
    }

    /// Waits until [`Self::try_next`] may have something.
    fn readable(&mut self) -> impl Future<Output = ()>;

    /// The next news; `None` if there is none.
    fn try_next(&mut self) -> Option<Told>;
}

/// Makes health checks, and changes and reads the kernel's table of IPVS.
pub trait Servers {
    /// Whether it does. If not, the engine hears of no virtual server.
    fn are_directed(&self) -> bool;

    /// How much may be done at once. It does not change.
    fn limits(&self) -> Limits {
        Limits::default()
    }

    /// Begins or drops an attempt. One that begins is answered by one [`Told::Probe`].
    fn probe(&mut self, probe: Probe);

    /// Gives an order. It is answered by [`Told::Ipvs`].
    fn order(&mut self, request: Request);

    /// The next answer, whenever it comes. Nothing is lost if this is dropped.
    fn next(&mut self) -> impl Future<Output = Told>;

    /// The next answer, if there is one.
    fn try_next(&mut self) -> Option<Told>;
}

/// Virtual servers are not acted on.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoServers;

impl Servers for NoServers {
    fn are_directed(&self) -> bool {
        false
    }

    fn probe(&mut self, _: Probe) {}

    fn order(&mut self, _: Request) {}

    async fn next(&mut self) -> Told {
        std::future::pending().await
    }

    fn try_next(&mut self) -> Option<Told> {
        None
    }
}

/// News for the engine that is no datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// An interface came, changed or went.
    Link(Link),
    /// An address came or went.
    Address(LocalAddress),
    /// A route or a rule came or went.
    Fib(FibChange),
    /// An effect ended.
    Done {
        /// Which one.
        id: CommandId,
        /// How.
        result: Result<(), EffectError>,
    },
    /// An attempt of a health check ended.
    Probe {
        /// Which one.
        id: AttemptId,
        /// How.
        outcome: Outcome,
    },
    /// The kernel answered about its table of IPVS.
    Ipvs {
        /// The number of the request.
        number: u64,
        /// What.
        answer: Answer,
    },
}
