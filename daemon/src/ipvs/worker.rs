//! The thread that performs what the engine's director orders of the kernel's table, in order, and
//! answers each order. Its calls may wait for the kernel; nobody waits for it.
//!
//! It begins with the first order. Before each order it asks for the number of the family: that is
//! two calls, and a module that came or went is never missed. Behind a failure it opens another
//! socket.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::thread;

use tokio::sync::mpsc::{self, error::TrySendError};
use tracing::{error, warn};
use vipd_engine::ipvs::{Answer, Batch, Failure as Failed, IpvsError, Observed, Read, Request};

use crate::process;

use super::client::{Datagrams, Error, Ipvs};
use super::orders::{self, command, seen};
use super::socket::Socket;

/// Orders that wait for the thread, at most. The director waits for the answer to one before it
/// gives the next, or for a few seconds.
pub const WAITING_ORDERS: usize = 4;
/// Orders whose answers wait to be heard: the thread waits with those to the next one.
pub const WAITING_ANSWERS: usize = 4;

/// What came of an order, by its number.
type Answered = (u64, Answer);

type Open<D> = Arc<dyn Fn() -> Result<Ipvs<D>, Error> + Send + Sync>;

/// All that came of an order, in its order: the loop is woken once for it.
type Told = VecDeque<Answered>;

/// The loop's end of the thread.
pub struct Worker<D = Socket> {
    open: Open<D>,
    orders: Option<mpsc::Sender<Request>>,
    answers: (mpsc::Sender<Told>, mpsc::Receiver<Told>),
    /// What is to be heard before anything else: the rest of an order's answers, and orders that
    /// were not taken.
    told: Told,
}

impl Worker<Socket> {
    /// Nothing is started yet. It will speak of the network namespace of the thread that gives the
    /// first order.
    #[must_use]
    pub fn new() -> Self {
        Self::over(Ipvs::open)
    }
}

impl Default for Worker<Socket> {
    fn default() -> Self {
        Self::new()
    }
}

impl<D: Datagrams + 'static> Worker<D> {
    /// Opens the way to the kernel like this, for the first order and behind a failure.
    #[must_use]
    pub fn over(open: impl Fn() -> Result<Ipvs<D>, Error> + Send + Sync + 'static) -> Self {
        let answers = mpsc::channel(WAITING_ANSWERS);
        Self { open: Arc::new(open), orders: None, answers, told: VecDeque::new() }
    }

    /// Gives an order. It never waits: one that cannot be taken is answered as refused.
    pub fn order(&mut self, order: Request) {
        let number = order.number();
        let orders = match &self.orders {
            Some(orders) => orders.clone(),
            None => match self.start() {
                Ok(orders) => self.orders.insert(orders).clone(),
                Err(error) => {
                    error!("no thread for IPVS: {error}");
                    self.told.push_back((number, Answer::Done(Err(IpvsError::Refused))));
                    return;
                }
            },
        };
        if let Err(error) = orders.try_send(order) {
            if matches!(error, TrySendError::Closed(_)) {
                // A mistake of ours has ended it. The next order starts another one.
                self.orders = None;
            }
            self.told.push_back((number, Answer::Done(Err(IpvsError::TimedOut))));
        }
    }

    /// The next answer, whenever it comes. Nothing is lost if this is dropped.
    pub async fn next(&mut self) -> Answered {
        loop {
            if let Some(answer) = self.told.pop_front() {
                return answer;
            }
            let (_, answers) = &mut self.answers;
            match answers.recv().await {
                Some(told) => self.told = told,
                // We hold a sender ourselves.
                None => std::future::pending().await,
            }
        }
    }

    /// The next answer, if there is one.
    pub fn try_next(&mut self) -> Option<Answered> {
        let (_, answers) = &mut self.answers;
        if self.told.is_empty() {
            self.told = answers.try_recv().ok()?;
        }
        self.told.pop_front()
    }

    /// Ends with `self`, or behind the order at which it is then.
    fn start(&self) -> io::Result<mpsc::Sender<Request>> {
        let (orders, mut due) = mpsc::channel::<Request>(WAITING_ORDERS);
        let (open, answers) = (Arc::clone(&self.open), self.answers.0.clone());
        thread::Builder::new().name("ipvs".to_string()).spawn(move || {
            process::give_way();
            let (mut ipvs, mut teller) = (None, Teller::default());
            while let Some(order) = due.blocking_recv() {
                let number = order.number();
                let told = perform(&mut ipvs, &*open, &order, &mut teller);
                let told = told.into_iter().map(|answer| (number, answer)).collect();
                if answers.blocking_send(told).is_err() {
                    return;
                }
            }
        })?;
        Ok(orders)
    }
}

/// Performs an order. What came of it ends with how it ended.
fn perform<D: Datagrams>(
    known: &mut Option<Ipvs<D>>,
    open: &dyn Fn() -> Result<Ipvs<D>, Error>,
    order: &Request,
    teller: &mut Teller,
) -> Vec<Answer> {
    let mut told = Vec::new();
    let mut act = || {
        let mut ipvs = match known.take() {
            Some(mut ipvs) => ipvs.find_family().map(|()| ipvs),
            None => open(),
        }?;
        let done = match order {
            Request::Batch(batch) => Answer::Done(Ok(change(&mut ipvs, batch, teller)?)),
            Request::Read(read) => {
                look(&mut ipvs, read, &mut told)?;
                Answer::Observed(Observed::End)
            }
        };
        *known = Some(ipvs);
        Ok(done)
    };
    let done: Result<_, Error> = act();
    told.push(done.unwrap_or_else(|error| Answer::Done(Err(teller.failed(&error)))));
    told
}

fn look<D: Datagrams>(
    ipvs: &mut Ipvs<D>,
    read: &Read,
    told: &mut Vec<Answer>,
) -> Result<(), Error> {
    told.push(Answer::Observed(Observed::Begin));
    for (service, listed) in read.services.iter().zip(ipvs.find(&read.services)?) {
        if let Some(listed) = listed {
            let seen = seen(listed, ipvs.destinations(*service)?);
            told.push(Answer::Observed(Observed::Service(seen)));
        }
    }
    if read.settings {
        let settings = orders::settings(ipvs.timeouts()?, ipvs.sync()?);
        told.push(Answer::Observed(Observed::Settings(settings)));
    }
    Ok(())
}

fn change<D: Datagrams>(
    ipvs: &mut Ipvs<D>,
    batch: &Batch,
    teller: &mut Teller,
) -> Result<Vec<Failed>, Error> {
    let commands: Vec<_> = batch.commands.iter().map(command).collect();
    let results = ipvs.perform(&commands)?;
    let mut failures = Vec::new();
    for ((place, result), command) in (0..).zip(results).zip(&batch.commands) {
        if let Err(failure) = result {
            let error = orders::error(&failure);
            if error == IpvsError::Refused {
                teller.tell(format!("ipvs: {command}: {failure}"));
            }
            failures.push(Failed { place, error });
        }
    }
    Ok(failures)
}

/// The kernel's own words, which the engine does not know. Nothing is told twice in a row.
#[derive(Default)]
struct Teller(Option<String>);

impl Teller {
    fn tell(&mut self, words: String) {
        if self.0.as_ref() != Some(&words) {
            warn!("{words}");
            self.0 = Some(words);
        }
    }

    /// Nothing is known of the whole order.
    fn failed(&mut self, error: &Error) -> IpvsError {
        match error {
            Error::NotInKernel => return IpvsError::NoIpvs,
            Error::NoAnswer | Error::Unsettled => self.tell(error.to_string()),
            Error::Refused(_) | Error::Malformed(_) | Error::Socket(_) => {
                self.tell(error.to_string());
                return IpvsError::Refused;
            }
        }
        IpvsError::TimedOut
    }
}
