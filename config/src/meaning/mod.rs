//! The typed meaning: statements to settings, by the readers that the keyword table names.
//!
//! [`walk`] looks a statement up in the table and calls its reader, which writes into the
//! [`Draft`]; [`settle`] fills in what depends on several keywords and asks the engine for its
//! rules.

pub(crate) mod address;
mod advice;
mod declared;
pub(crate) mod director;
mod draft;
mod fib;
pub(crate) mod global;
pub(crate) mod group;
pub(crate) mod instance;
mod line;
pub(crate) mod mail;
mod notes;
pub(crate) mod notify;
pub(crate) mod peer;
pub(crate) mod route;
pub(crate) mod rule;
mod settle;
pub(crate) mod shared;
mod show;
pub(crate) mod statics;
pub(crate) mod track;
pub(crate) mod tracker;
mod transport;
mod value;
mod walk;

pub(crate) use draft::{Draft, Globals, GroupDraft, Origins, Placed};
pub(crate) use line::{Line, MOST_FINDINGS};
pub(crate) use route::RouteDraft;
pub(crate) use rule::RuleDraft;
pub(crate) use settle::{Instance, Settled, settle};
pub(crate) use show::{
    seconds, show_addresses, show_fib, show_peers, show_static, show_tracks, show_weight,
};
pub(crate) use track::TrackDraft;
pub(crate) use walk::walk;
