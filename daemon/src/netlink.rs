//! The kernel of this machine by rtnetlink: what it tells, and what it is told to do.
//!
//! What was told so far is in `table`; how a command becomes messages is in `commands`; filters
//! are another program's and in `crate::filter`. The connections to the kernel are tasks of the
//! same thread, so their queues are worked off before anybody waits again.
//!
//! There are three: one asks, one only listens, and one asks for addresses, many at once (see
//! `together`). What the kernel tells of a change that we asked for has the number of our request,
//! and on the asking connection it would be taken for its answer.

mod commands;
mod fib;
mod rules;
mod table;
mod together;

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{BoxStream, TryStreamExt};
use futures_util::{FutureExt, StreamExt};
use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use rtnetlink::packet_core::{NLM_F_REPLACE, NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::route::RouteMessage;
use rtnetlink::sys::{AsyncSocket, SocketAddr};
use rtnetlink::{Handle, IpVersion, MulticastGroup};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tracing::{debug, error, warn};
use vipd_engine::{
    CommandId, Config, EffectError, Family, Ifindex, InstanceId, InterfaceName, KernelCommand,
    Link, LinkState,
};

use crate::filter::Filter;
use crate::gate::Gates;
use crate::gate::rules::Places;
use crate::process::Urgency;
use crate::seam::{Kernel, Told};
use crate::tables;
use commands::Message;
use table::{Dump, Table};
use together::{Change, Outcome, Together};

/// Messages that nobody asked for, as rtnetlink hands them over.
type Unasked = BoxStream<'static, NetlinkMessage<RouteNetlinkMessage>>;

/// What failed is tried again after this long.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Octets of news that may wait, by the kernel's count, which doubles it: addresses come many at
/// once, and news that are lost have the whole state read anew.
const WAITING: usize = 1 << 18;

/// Something that a task of ours has to say.
enum Finished {
    Command {
        id: CommandId,
        result: Result<(), EffectError>,
    },
    Together(Vec<Outcome>),
    Dump(io::Result<Dump>),
    /// It is time to connect anew.
    Connect,
}

/// The kernel.
pub struct Netlink {
    /// Of the connection that asks.
    handle: Handle,
    /// Asks for addresses.
    together: Together,
    /// Shared with what addresses wait for: each task that removes a route or a rule, and one that
    /// writes the gate of an interface that was made anew.
    before_addresses: Arc<()>,
    /// From the connection that listens; `None` while there is none.
    unasked: Option<Unasked>,
    finished: mpsc::UnboundedReceiver<Finished>,
    finish: mpsc::UnboundedSender<Finished>,
    filter: Filter,
    gates: Gates,
    table: Table,
    news: VecDeque<Told>,
    /// Messages that came while the whole state is read anew. They are heard after it.
    held: Option<Vec<(RouteNetlinkMessage, bool)>>,
    /// Messages were lost while the state was read: once more.
    dump_again: bool,
}

impl Netlink {
    /// Subscribes to changes, then reads the state: no change is missed between the two. Routes and
    /// rules are followed only if the configuration names some, and only those that are marked as
    /// they would be: a router may have millions of others. Must be called inside a runtime.
    ///
    /// # Errors
    /// Those of netlink(7), and of the dump.
    pub async fn follow(config: &Config, urgency: Urgency) -> io::Result<Self> {
        let mut table = Table::default();
        table.follow(&protocols(config));
        let (handle, unasked) = (ask()?, listen(table.protocols())?);
        let (finish, finished) = mpsc::unbounded_channel();
        let has_gates = config.instances().iter().any(|one| one.dead_man.is_some());
        // A kernel that cannot tell has none that could be left.
        let left = tables::present().unwrap_or_else(|error| {
            debug!("no tables of nftables can be read: {error}");
            Vec::new()
        });
        let mut netlink = Self {
            filter: Filter::start(&left, answer(finish.clone())),
            gates: Gates::start(&left, has_gates, urgency, Arc::new(answer(finish.clone()))),
            handle,
            together: Together::new()?,
            before_addresses: Arc::default(),
            unasked: Some(unasked),
            finished,
            finish,
            table,
            news: VecDeque::new(),
            held: None,
            dump_again: false,
        };
        let dump = dump(netlink.handle.clone(), netlink.table.protocols().clone()).await?;
        netlink.table.replace(&dump, &mut netlink.news);
        Ok(netlink)
    }

    fn on_message(&mut self, message: NetlinkMessage<RouteNetlinkMessage>) {
        let replaces = message.header.flags & NLM_F_REPLACE != 0;
        match message.payload {
            NetlinkPayload::InnerMessage(message) => match &mut self.held {
                Some(held) => held.push((message, replaces)),
                None => self.apply(&message, replaces),
            },
            NetlinkPayload::Overrun(_) => {
                warn!("the kernel lost messages for us, its state is read anew");
                self.read_anew(Duration::ZERO);
            }
            NetlinkPayload::Done(_) | NetlinkPayload::Error(_) | NetlinkPayload::Noop => {}
            _ => {}
        }
    }

    fn apply(&mut self, message: &RouteNetlinkMessage, replaces: bool) {
        if self.table.apply(message, replaces, &mut self.news) {
            self.read_anew(Duration::ZERO);
        }
    }

    fn read_anew(&mut self, after: Duration) {
        if self.held.is_some() {
            self.dump_again = true;
            return;
        }
        self.held = Some(Vec::new());
        let (handle, protocols) = (self.handle.clone(), self.table.protocols().clone());
        self.later(async move {
            sleep(after).await;
            Finished::Dump(dump(handle, protocols).await)
        });
    }

    /// Hears what a task has to say once it has ended.
    fn later(&self, task: impl Future<Output = Finished> + Send + 'static) {
        let finish = self.finish.clone();
        tokio::spawn(async move {
            // Nobody listens any more only when we are about to end.
            let _ = finish.send(task.await);
        });
    }

    /// The kernel does not speak to us any more.
    fn on_silence(&mut self) {
        error!("the connection to the kernel has ended, it is made anew");
        self.unasked = None;
        self.later(async {
            sleep(RETRY_AFTER).await;
            Finished::Connect
        });
    }

    fn on_finished(&mut self, finished: Finished) {
        match finished {
            Finished::Command { id, result } => self.news.push_back(Told::Done { id, result }),
            Finished::Together(outcomes) => {
                for Outcome { id, command, result } in outcomes {
                    let result = result.map_err(|errno| (Some(errno), ""));
                    let result = commands::tell(&command, result);
                    self.news.push_back(Told::Done { id, result });
                }
            }
            Finished::Dump(dump) => {
                let held = self.held.take().unwrap_or_default();
                let mut after = std::mem::take(&mut self.dump_again).then_some(Duration::ZERO);
                match dump {
                    Ok(dump) => self.table.replace(&dump, &mut self.news),
                    Err(error) => {
                        error!("cannot read the kernel's state: {error}");
                        after = Some(RETRY_AFTER);
                    }
                }
                if let Some(after) = after {
                    self.read_anew(after);
                }
                for (message, replaces) in held {
                    self.apply(&message, replaces);
                }
            }
            Finished::Connect => self.connect(),
        }
    }

    /// Addresses wait to be asked for, and nothing goes before them.
    fn may_ask(&self) -> bool {
        self.together.is_busy() && Arc::strong_count(&self.before_addresses) == 1
    }

    /// A change of an address waits for [`Kernel::work`], with those that follow it.
    fn change(
        &mut self,
        id: CommandId,
        command: KernelCommand,
        asked: Result<(Vec<Message>, Errno), EffectError>,
    ) {
        match asked {
            Ok((messages, fine)) => self.together.add(Change { id, command, messages, fine }),
            Err(error) => {
                self.later(async move { Finished::Command { id, result: Err(error) } });
            }
        }
    }

    fn set_gate(
        &mut self,
        id: CommandId,
        instance: InstanceId,
        places: Vec<(InterfaceName, IpAddr)>,
    ) {
        if places.iter().any(|(interface, _)| self.table.index_of(interface).is_none()) {
            let result = Err(EffectError::NoInterface);
            return self.later(async move { Finished::Command { id, result } });
        }
        let mut sorted = Places::new();
        for (interface, address) in places {
            sorted.entry(interface).or_default().insert(address);
        }
        self.gates.put(id, instance, sorted);
    }

    /// Hands news over. An interface that was made anew has no gate until it is written.
    fn next_news(&mut self) -> Option<Told> {
        let told = self.news.pop_front()?;
        if let Told::Link(link) = &told {
            self.gates.on_link(&link.name, link.state != LinkState::Absent, &self.before_addresses);
        }
        Some(told)
    }

    fn connect(&mut self) {
        match (ask(), listen(self.table.protocols())) {
            (Ok(handle), Ok(unasked)) => {
                (self.handle, self.unasked) = (handle, Some(unasked));
                self.read_anew(Duration::ZERO);
            }
            (Err(error), _) | (_, Err(error)) => {
                error!("cannot connect to the kernel: {error}");
                self.on_silence();
            }
        }
    }
}

/// Interfaces and addresses at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The interfaces.
    pub links: Vec<Link>,
    /// Each address with its interface and its prefix length, in the kernel's order.
    pub addresses: Vec<(Ifindex, IpAddr, u8)>,
}

impl Seen {
    /// Asks the kernel. It follows nothing, changes nothing, and needs no privilege. Must be called
    /// inside a runtime.
    ///
    /// # Errors
    /// Those of netlink(7), and of the dump.
    pub async fn now() -> io::Result<Self> {
        let dump = dump(ask()?, BTreeSet::new()).await?;
        let (links, addresses) = table::seen(&dump);
        Ok(Self { links, addresses })
    }

    /// The interface of this name.
    #[must_use]
    pub fn link(&self, name: &InterfaceName) -> Option<&Link> {
        self.links.iter().find(|link| link.name == *name)
    }

    /// The addresses of an interface.
    pub fn addresses_of(&self, interface: Ifindex) -> impl Iterator<Item = IpAddr> + '_ {
        let on = self.addresses.iter().filter(move |(index, ..)| *index == interface);
        on.map(|(_, address, _)| *address)
    }
}

impl Kernel for Netlink {
    fn configure(&mut self, config: &Arc<Config>) {
        let followed = !self.table.protocols().is_empty();
        if self.table.follow(&protocols(config)) {
            if followed {
                self.read_anew(Duration::ZERO);
            } else {
                self.connect();
            }
        }
    }

    fn submit(&mut self, id: CommandId, command: KernelCommand) {
        match command {
            KernelCommand::AddFilter(address) => self.filter.add(id, address),
            KernelCommand::RemoveFilter(address) => self.filter.remove(id, address),
            KernelCommand::AddAddress(ref spec) => {
                let asked = commands::addition(spec, &self.table);
                self.change(id, command, asked);
            }
            KernelCommand::RemoveAddress(ref spec) => {
                let asked = Ok(commands::removal(spec, &self.table));
                self.change(id, command, asked);
            }
            KernelCommand::SetGate { instance, places } => self.set_gate(id, instance, places),
            KernelCommand::RemoveGate { instance } => self.gates.remove(id, instance),
            KernelCommand::RenewLease { instance, until } => self.gates.renew(id, instance, until),
            KernelCommand::SetVirtualMac { .. }
            | KernelCommand::RemoveVirtualMac { .. }
            | KernelCommand::AddFib(_)
            | KernelCommand::RemoveFib(_) => {
                let steps = commands::steps(&command, &self.table);
                let handle = self.handle.clone();
                let removes = matches!(command, KernelCommand::RemoveFib(_));
                let before_addresses = removes.then(|| Arc::clone(&self.before_addresses));
                self.later(async move {
                    let _before_addresses = before_addresses;
                    let result = match steps {
                        Ok(steps) => commands::perform(&handle, &command, steps).await,
                        Err(error) => Err(error),
                    };
                    // What changed by it is heard first.
                    tokio::task::yield_now().await;
                    Finished::Command { id, result }
                });
            }
        }
    }

    async fn work(&mut self) {
        if !self.may_ask() {
            return;
        }
        // Whoever is told of what leads to it, on the control socket too, hears that first.
        tokio::task::yield_now().await;
        let outcomes = self.together.ask();
        if !outcomes.is_empty() {
            self.later(async {
                // What changed by it is heard first.
                tokio::task::yield_now().await;
                Finished::Together(outcomes)
            });
        }
    }

    async fn readable(&mut self) {
        if !self.news.is_empty() || self.may_ask() {
            return;
        }
        let message = async {
            match &mut self.unasked {
                Some(unasked) => unasked.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            message = message => match message {
                Some(message) => self.on_message(message),
                None => self.on_silence(),
            },
            Some(finished) = self.finished.recv() => self.on_finished(finished),
        }
    }

    fn try_next(&mut self) -> Option<Told> {
        while self.news.is_empty() {
            // What changed is heard before the end of the command that changed it.
            let unasked = self.unasked.as_mut().and_then(|unasked| unasked.next().now_or_never());
            if let Some(Some(message)) = unasked {
                self.on_message(message);
            } else if let Ok(finished) = self.finished.try_recv() {
                self.on_finished(finished);
            } else {
                return None;
            }
        }
        self.next_news()
    }
}

/// Where what is not netlink's business hands its answers.
fn answer(
    finish: mpsc::UnboundedSender<Finished>,
) -> impl Fn(CommandId, Result<(), EffectError>) + Send + Sync + 'static {
    move |id, result| {
        let _ = finish.send(Finished::Command { id, result });
    }
}

/// Who is said to have added what the configuration names.
fn protocols(config: &Config) -> BTreeSet<u8> {
    config.fib().map(vipd_engine::config::FibEntry::protocol).collect()
}

/// The connection that listens, to routes and rules only if some protocol of theirs is followed.
fn listen(protocols: &BTreeSet<u8>) -> io::Result<Unasked> {
    use MulticastGroup::{Ipv4Ifaddr, Ipv4Route, Ipv4Rule, Ipv6Ifaddr, Ipv6Route, Ipv6Rule, Link};
    let all = [Link, Ipv4Ifaddr, Ipv6Ifaddr, Ipv4Route, Ipv6Route, Ipv4Rule, Ipv6Rule];
    let groups = if protocols.is_empty() { &all[..3] } else { &all[..] };
    let (mut listening, _, unasked) = rtnetlink::new_multicast_connection(groups)?;
    // Beyond what the system allows to others, as CAP_NET_ADMIN may; else it has the usual.
    let _ = setsockopt(listening.socket_mut().socket_ref(), sockopt::RcvBufForce, &WAITING);
    tokio::spawn(listening);
    Ok(unasked.map(|(message, _): (_, SocketAddr)| message).boxed())
}

/// The connection that asks.
fn ask() -> io::Result<Handle> {
    let (asking, handle, _) = rtnetlink::new_connection()?;
    tokio::spawn(asking);
    Ok(handle)
}

/// Must be made after the subscription, or it misses something.
async fn dump(handle: Handle, protocols: BTreeSet<u8>) -> io::Result<Dump> {
    let read = async {
        let links = handle.link().get().execute().try_collect().await?;
        let addresses = handle.address().get().execute().try_collect().await?;
        Ok(Dump { links, addresses, routes: Vec::new(), rules: Vec::new() })
    };
    let mut dump = read.await.map_err(|error: rtnetlink::Error| io::Error::other(error))?;
    if protocols.is_empty() {
        return Ok(dump);
    }
    // On this connection the kernel picks the routes of a protocol itself.
    let (asking, strict, _) = rtnetlink::new_connection_with_strict_check()?;
    let asking = tokio::spawn(asking);
    let read = async {
        for (family, version) in [(Family::Ipv4, IpVersion::V4), (Family::Ipv6, IpVersion::V6)] {
            for protocol in &protocols {
                let mut filter = RouteMessage::default();
                filter.header.address_family = fib::family_of(family);
                filter.header.protocol = (*protocol).into();
                let routes = strict.route().get(filter).execute();
                dump.routes.extend(routes.try_collect::<Vec<_>>().await?);
            }
            let rules = strict.rule().get(version).execute();
            dump.rules.extend(rules.try_collect::<Vec<_>>().await?);
        }
        Ok(())
    };
    let result = read.await.map_err(|error: rtnetlink::Error| io::Error::other(error));
    asking.abort();
    result.map(|()| dump)
}
