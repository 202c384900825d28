//! Gates: an address behind one can be reached only while somebody renews its lease, which a
//! process that stands still or was killed does not (`dead_man`).
//!
//! A gate is a table of nftables, [`rules`], written by the program `nft` like `filter`.
//! What keeps it open is renewed by a thread of this process, [`lease`] and [`codec`]: by a child
//! it could be renewed after our end. A thread and not the loop, because the kernel makes one
//! change of its packet filters at a time, and somebody else's may take long.
//!
//! A killed process leaves its gates, which shut by themselves. The next one removes them when its
//! own stand and the addresses behind them are gone ([`LEFT_FOR`]).

pub mod codec;
pub mod lease;
pub mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::iter;
use std::mem;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rtnetlink::sys::protocols::NETLINK_NETFILTER;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::{debug, error, info, warn};
use vipd_engine::{CommandId, EffectError, InstanceId, InterfaceName, Timestamp};

use crate::clock;
use crate::filter::nft;
use crate::ipvs::socket::Socket;
use crate::process::{self, Urgency};
use crate::tables::{NETDEV, Table};
use lease::{Failure, Leases};
use rules::Places;

/// Renewals that wait for the thread, at most: one that finds no room is refused.
const WAITING: usize = 4096;

/// Changes that one run of `nft` writes. Hundreds of instances that start together would otherwise
/// wait for as many runs, longer than the engine waits for one.
const AT_ONCE: usize = 1024;

/// The gates that a killed process left go behind the first new ones, or after this long if there
/// are none. By then the engine has removed the addresses behind them.
pub const LEFT_FOR: Duration = Duration::from_secs(1);

/// Where an answer goes.
pub type Answer = Arc<dyn Fn(CommandId, Result<(), EffectError>) + Send + Sync>;

/// What is held while something is being written: addresses wait for it.
pub type Hold = Arc<()>;

/// What the task that runs `nft` is told.
enum Order {
    Change(Change),
    /// Somebody removed its table, so it is written anew, and then renewed.
    Anew(Lease),
    /// This interface was made anew, without our chains.
    Interface {
        name: InterfaceName,
        hold: Hold,
    },
}

/// The table is to have these places from now on; to be gone if there are none.
struct Change {
    id: CommandId,
    table: String,
    places: Option<Places>,
}

impl Change {
    /// What `nft` reads for it where the tables are these.
    fn ruleset(&self, tables: &BTreeMap<String, Places>) -> String {
        match &self.places {
            Some(places) => rules::put(&self.table, tables.get(&self.table), places),
            None => rules::removal(&self.table),
        }
    }

    /// It was written.
    fn done(&self, tables: &mut BTreeMap<String, Places>) {
        match &self.places {
            Some(places) => tables.insert(self.table.clone(), places.clone()),
            None => tables.remove(&self.table),
        };
    }
}

/// What the thread is told: to renew until then.
struct Lease {
    id: CommandId,
    table: String,
    until: Timestamp,
    back: Back,
}

/// Where a lease goes once its gate was written anew; a second time it does not.
enum Back {
    To(mpsc::WeakSender<Lease>),
    No,
}

/// All gates of this process.
pub struct Gates {
    orders: mpsc::UnboundedSender<Order>,
    /// Begins with the first lease.
    leases: Option<mpsc::Sender<Lease>>,
    answer: Answer,
    absent: BTreeSet<InterfaceName>,
    urgency: Urgency,
}

impl Gates {
    /// Leases are as urgent as adverts. What an earlier process left of these tables goes at once
    /// if no instance of the configuration `has_gates`. Must be called inside a runtime.
    pub fn start(present: &[Table], has_gates: bool, urgency: Urgency, answer: Answer) -> Self {
        let (orders, mut due) = mpsc::unbounded_channel();
        let is_ours = |one: &&Table| one.family == NETDEV && one.name.starts_with(rules::PREFIX);
        let left: Vec<_> = present.iter().filter(is_ours).map(|table| table.name.clone()).collect();
        let mut written = Written { tables: BTreeMap::new(), answer: Arc::clone(&answer) };
        tokio::spawn(async move {
            let left_for = if has_gates { LEFT_FOR } else { Duration::ZERO };
            let mut waiting = Vec::new();
            let _ = timeout(left_for, due.recv_many(&mut waiting, AT_ONCE)).await;
            while !waiting.is_empty() {
                written.obey(mem::take(&mut waiting)).await;
                waiting.extend(iter::from_fn(|| due.try_recv().ok()).take(AT_ONCE));
            }
            written.remove_what_is_left(left).await;
            while due.recv_many(&mut waiting, AT_ONCE).await > 0 {
                written.obey(mem::take(&mut waiting)).await;
            }
        });
        Self { orders, leases: None, answer, absent: BTreeSet::new(), urgency }
    }

    /// The gate of this instance stands in front of these addresses. A new one is shut.
    pub fn put(&self, id: CommandId, instance: InstanceId, places: Places) {
        let table = rules::table(instance);
        self.order(Order::Change(Change { id, table, places: Some(places) }));
    }

    /// There is none.
    pub fn remove(&self, id: CommandId, instance: InstanceId) {
        let table = rules::table(instance);
        self.order(Order::Change(Change { id, table, places: None }));
    }

    /// It is open until then and no longer.
    pub fn renew(&mut self, id: CommandId, instance: InstanceId, until: Timestamp) {
        let leases = match &self.leases {
            Some(leases) => leases,
            None => match self.start_thread() {
                Ok(leases) => self.leases.insert(leases),
                Err(error) => {
                    error!("no thread for leases: {error}");
                    return (self.answer)(id, Err(EffectError::Refused));
                }
            },
        };
        let back = Back::To(leases.downgrade());
        if leases.try_send(Lease { id, table: rules::table(instance), until, back }).is_err() {
            (self.answer)(id, Err(EffectError::Refused));
        }
    }

    /// An interface came or went. One that is made anew has no chain: no address may come to it
    /// before, for as long as `hold` is not dropped.
    pub fn on_link(&mut self, name: &InterfaceName, is_there: bool, hold: &Hold) {
        if !is_there {
            self.absent.insert(name.clone());
        } else if self.absent.remove(name) {
            self.order(Order::Interface { name: name.clone(), hold: Arc::clone(hold) });
        }
    }

    /// It ends with `self`.
    fn start_thread(&self) -> io::Result<mpsc::Sender<Lease>> {
        let (leases, mut due) = mpsc::channel::<Lease>(WAITING);
        let (answer, orders, urgency) =
            (Arc::clone(&self.answer), self.orders.clone(), self.urgency);
        let mut renewer = Renewer { leases: Renewer::open()?, orders };
        thread::Builder::new().name("leases".to_string()).spawn(move || {
            process::be_as_urgent(urgency);
            while let Some(lease) = due.blocking_recv() {
                let id = lease.id;
                if let Some(result) = renewer.write(lease) {
                    answer(id, result);
                }
            }
        })?;
        Ok(leases)
    }

    fn order(&self, order: Order) {
        // The task ends with the runtime only, and then nobody waits for an answer.
        let _ = self.orders.send(order);
    }
}

/// The tables as this process wrote them.
struct Written {
    tables: BTreeMap<String, Places>,
    answer: Answer,
}

impl Written {
    /// In their order; changes that follow each other are written together.
    async fn obey(&mut self, orders: Vec<Order>) {
        let mut changes = Vec::new();
        for order in orders {
            match order {
                Order::Change(change) => changes.push(change),
                Order::Anew(lease) => {
                    self.change(mem::take(&mut changes)).await;
                    self.write_anew_for(lease).await;
                }
                Order::Interface { name, hold } => {
                    self.change(mem::take(&mut changes)).await;
                    let of_it = self.tables.iter().filter(|(_, places)| places.contains_key(&name));
                    for table in of_it.map(|(table, _)| table.clone()).collect::<Vec<_>>() {
                        self.write_anew(&table).await;
                    }
                    drop(hold);
                }
            }
        }
        self.change(changes).await;
    }

    /// All of them in one transaction, or, if one of them is refused and all with it, each in its
    /// own.
    async fn change(&mut self, changes: Vec<Change>) {
        if changes.len() > 1 {
            let (mut tables, mut text) = (self.tables.clone(), String::new());
            for change in &changes {
                text.push_str(&change.ruleset(&tables));
                change.done(&mut tables);
            }
            if write(&text).await.is_ok() {
                self.tables = tables;
                for change in &changes {
                    self.answer(change, Ok(()));
                }
                return;
            }
        }
        for change in changes {
            let result = write(&change.ruleset(&self.tables)).await;
            if result.is_ok() {
                change.done(&mut self.tables);
            } else if change.places.is_some() {
                // It may be another one than we know, or none.
                self.tables.remove(&change.table);
            }
            self.answer(&change, result);
        }
    }

    fn answer(&self, change: &Change, result: Result<(), EffectError>) {
        let table = &change.table;
        match (&change.places, result) {
            (Some(places), Ok(())) => {
                info!("gate {table}: {} addresses need a lease", count(places));
            }
            (None, Ok(())) => info!("gate {table}: removed"),
            (_, Err(_)) => {}
        }
        (self.answer)(change.id, result);
    }

    /// A firewall that is read anew removes every table. Nobody shall lose his address for that.
    async fn write_anew_for(&self, mut lease: Lease) {
        self.write_anew(&lease.table).await;
        let (id, back) = (lease.id, mem::replace(&mut lease.back, Back::No));
        let handed_back = match back {
            Back::To(leases) => leases.upgrade().is_some_and(|to| to.try_send(lease).is_ok()),
            Back::No => false,
        };
        if !handed_back {
            (self.answer)(id, Err(EffectError::Refused));
        }
    }

    /// Its lease is over, and so it is shut until the next renewal.
    async fn write_anew(&self, table: &str) {
        if let Some(places) = self.tables.get(table) {
            warn!("gate {table}: was removed behind our back, written again");
            let _ = write(&rules::put(table, None, places)).await;
        }
    }

    /// Removes what an earlier process wrote.
    async fn remove_what_is_left(&self, left: Vec<String>) {
        for table in left.into_iter().filter(|name| !self.tables.contains_key(name)) {
            info!("gate {table}: left by an earlier process, removed");
            // What is wrong was told.
            let _ = write(&rules::removal(&table)).await;
        }
    }
}

fn count(places: &Places) -> usize {
    places.values().map(BTreeSet::len).sum()
}

async fn write(ruleset: &str) -> Result<(), EffectError> {
    match nft(ruleset).await {
        Ok((status, _)) if status.success() => Ok(()),
        Ok((status, said)) => {
            warn!("gate: nft ended with {status}: {}", said.trim());
            Err(EffectError::Refused)
        }
        Err(error) => {
            warn!("gate: cannot run nft (Debian package nftables): {error}");
            Err(EffectError::Refused)
        }
    }
}

/// What the thread works with.
struct Renewer {
    leases: Leases<Socket>,
    orders: mpsc::UnboundedSender<Order>,
}

impl Renewer {
    fn open() -> io::Result<Leases<Socket>> {
        Socket::speaks(NETLINK_NETFILTER).map(Leases::over)
    }

    /// `None`: it is answered later.
    fn write(&mut self, lease: Lease) -> Option<Result<(), EffectError>> {
        let Lease { table, until, .. } = &lease;
        let failure = match self.leases.renew(table, *until, clock::now) {
            Ok(()) => {
                debug!("gate {table}: open until {until}");
                return Some(Ok(()));
            }
            Err(failure) => failure,
        };
        match failure {
            Failure::NoGate if matches!(lease.back, Back::To(_)) => {
                // The task ends with the runtime only, and then nobody needs a gate.
                let _ = self.orders.send(Order::Anew(lease));
                return None;
            }
            // Answers to the past may still come by the old one.
            Failure::Socket(_) => match Self::open() {
                Ok(anew) => self.leases = anew,
                Err(error) => error!("no socket for leases: {error}"),
            },
            Failure::NoGate | Failure::Over | Failure::Late | Failure::Refused(_) => {}
        }
        warn!("gate {table}: no lease: {failure}");
        Some(Err(EffectError::Refused))
    }
}
