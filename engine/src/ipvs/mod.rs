//! What the kernel's IPVS table is to be, and the commands that make it so: desired minus observed.
//!
//! [`Ipvs`] is told of configurations, of what the health checks say ([`Ipvs::on_server`]), of what
//! an operator orders, and of what the kernel answered and has. It says what is to be done
//! ([`Effect`]). It probes nobody (`health` does) and speaks no netlink (the driver does).
//!
//! One thing at a time waits for the kernel: a batch of commands, or a read. So no command is made
//! from what an earlier one is about to change, and the order holds. What is to be looked at next
//! waits in a queue of places, never of commands (`queue`): a start, a reload, a change of health,
//! the end of a failure and a manual `ipvsadm` are all the same comparison (`building`).
//!
//! - Every service of the configuration is read before the first command about it, so what a
//!   killed run left goes on without a flap; then every [`READ_BACK_EVERY`], one after the other,
//!   and after an error. IPVS sends no news. So are the time limits of connections and the threads
//!   of the synchronisation, where the configuration says anything of them.
//! - Services that no configuration names are neither read nor touched. Destinations of somebody
//!   else in a service of ours are removed.
//! - No call does more than [`WORK_AT_ONCE`] items, except for one virtual server as a whole: when
//!   it is configured, when it is read, and at the exchange with its sorry server.
//!
//! Go on with `director` (inputs), `pool` (a virtual server), `table` (what the kernel has),
//! `course` (configurations and the stop), `building` and `answers` (commands), `reading`.

mod answers;
mod building;
pub mod command;
mod course;
mod director;
pub mod news;
mod pairs;
mod pool;
mod queue;
mod quorum;
mod reading;
mod snapshot;
mod status;
mod sync;
mod table;

pub use building::{COMMAND_LIMIT, MOST_IN_BATCH, WORK_AT_ONCE};
pub use command::{
    Answer, Batch, DestinationSpec, Effect, Endpoint, Failure, IpvsCommand, IpvsError, Observed,
    Read, Request, Seen, ServiceSpec, Settings, SyncRole, SyncSpec,
};
pub use director::{Ipvs, Judged, OrderError, PROBE_EVERY};
pub use news::{Cause, Found, FoundSetting, News, ServiceChange};
pub use pool::{Health, ServerOrder, Why, identity};
pub use queue::{MOST_DOUBLINGS, RETRY_AFTER};
pub use reading::{READ_AT_ONCE, READ_BACK_EVERY, READ_LIMIT};
pub use snapshot::{Snapshot, SnapshotError};
pub use status::{
    DestinationStatus, ServerStatus, ServiceState, ServiceStatus, VirtualServerStatus,
};
