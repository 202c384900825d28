//! The kernel of this machine by rtnetlink: what it tells, and what it is told to do.
//!
//! What was told so far is in `table`; how a command becomes messages is in `commands`; filters
//! are another program's and in `crate::filter`. The connections to the kernel are tasks of the
//! same thread, so their queues are worked off before anybody waits again.
//!
//! There are two: one asks, one only listens. What the kernel tells of a change that we asked for
//! has the number of our request, and on the asking connection it would be taken for its answer.

mod commands;
mod table;

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use futures_util::stream::{BoxStream, TryStreamExt};
use futures_util::{FutureExt, StreamExt};
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::sys::SocketAddr;
use rtnetlink::{Handle, MulticastGroup};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tracing::{error, warn};
use vipd_engine::{CommandId, EffectError, KernelCommand};

use crate::filter::Filter;
use crate::seam::{Kernel, Told};
use table::{Dump, Table};

/// Messages that nobody asked for, as rtnetlink hands them over.
type Unasked = BoxStream<'static, NetlinkMessage<RouteNetlinkMessage>>;

/// What failed is tried again after this long.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Something that a task of ours has to say.
enum Finished {
    Command {
        id: CommandId,
        result: Result<(), EffectError>,
    },
    Dump(Result<Dump, rtnetlink::Error>),
    /// It is time to connect anew.
    Connect,
}

/// The kernel.
pub struct Netlink {
    /// Of the connection that asks.
    handle: Handle,
    /// From the connection that listens; `None` while there is none.
    unasked: Option<Unasked>,
    finished: mpsc::UnboundedReceiver<Finished>,
    finish: mpsc::UnboundedSender<Finished>,
    filter: Filter,
    table: Table,
    news: VecDeque<Told>,
    /// Messages that came while the whole state is read anew. They are heard after it.
    held: Option<Vec<RouteNetlinkMessage>>,
    /// Messages were lost while the state was read: once more.
    dump_again: bool,
}

impl Netlink {
    /// Subscribes to changes, then reads the state: no change is missed between the two. Must be
    /// called inside a runtime.
    ///
    /// # Errors
    /// Those of netlink(7), and of the dump.
    pub async fn follow() -> io::Result<Self> {
        let (handle, unasked) = connect()?;
        let (finish, finished) = mpsc::unbounded_channel();
        let mut netlink = Self {
            filter: Filter::start(finish_filter(finish.clone())),
            handle,
            unasked: Some(unasked),
            finished,
            finish,
            table: Table::default(),
            news: VecDeque::new(),
            held: None,
            dump_again: false,
        };
        let dump = dump(netlink.handle.clone()).await.map_err(io::Error::other)?;
        netlink.table.replace(&dump, &mut netlink.news);
        Ok(netlink)
    }

    fn on_message(&mut self, message: NetlinkMessage<RouteNetlinkMessage>) {
        match message.payload {
            NetlinkPayload::InnerMessage(message) => match &mut self.held {
                Some(held) => held.push(message),
                None => self.table.apply(message, &mut self.news),
            },
            NetlinkPayload::Overrun(_) => {
                warn!("the kernel lost messages for us, its state is read anew");
                self.read_anew(Duration::ZERO);
            }
            NetlinkPayload::Done(_) | NetlinkPayload::Error(_) | NetlinkPayload::Noop => {}
            _ => {}
        }
    }

    fn read_anew(&mut self, after: Duration) {
        if self.held.is_some() {
            self.dump_again = true;
            return;
        }
        self.held = Some(Vec::new());
        let handle = self.handle.clone();
        self.later(async move {
            sleep(after).await;
            Finished::Dump(dump(handle).await)
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
                for message in held {
                    self.table.apply(message, &mut self.news);
                }
                if let Some(after) = after {
                    self.read_anew(after);
                }
            }
            Finished::Connect => match connect() {
                Ok((handle, unasked)) => {
                    (self.handle, self.unasked) = (handle, Some(unasked));
                    self.read_anew(Duration::ZERO);
                }
                Err(error) => {
                    error!("cannot connect to the kernel: {error}");
                    self.on_silence();
                }
            },
        }
    }
}

impl Kernel for Netlink {
    fn submit(&mut self, id: CommandId, command: KernelCommand) {
        match command {
            KernelCommand::AddFilter(address) => self.filter.add(id, address),
            KernelCommand::RemoveFilter(address) => self.filter.remove(id, address),
            KernelCommand::AddAddress(_)
            | KernelCommand::RemoveAddress(_)
            | KernelCommand::SetVirtualMac { .. }
            | KernelCommand::RemoveVirtualMac { .. } => {
                let steps = commands::steps(&command, &self.table);
                let handle = self.handle.clone();
                self.later(async move {
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

    async fn readable(&mut self) {
        if !self.news.is_empty() {
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
        self.news.pop_front()
    }
}

fn finish_filter(
    finish: mpsc::UnboundedSender<Finished>,
) -> impl Fn(CommandId, Result<(), EffectError>) + Send + 'static {
    move |id, result| {
        let _ = finish.send(Finished::Command { id, result });
    }
}

/// Subscribes first, so that a dump after it misses nothing.
fn connect() -> io::Result<(Handle, Unasked)> {
    let groups = [MulticastGroup::Link, MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv6Ifaddr];
    let (listening, _, unasked) = rtnetlink::new_multicast_connection(&groups)?;
    tokio::spawn(listening);
    let (asking, handle, _) = rtnetlink::new_connection()?;
    tokio::spawn(asking);
    Ok((handle, unasked.map(|(message, _): (_, SocketAddr)| message).boxed()))
}

async fn dump(handle: Handle) -> Result<Dump, rtnetlink::Error> {
    let links = handle.link().get().execute().try_collect().await?;
    let addresses = handle.address().get().execute().try_collect().await?;
    Ok(Dump { links, addresses })
}
