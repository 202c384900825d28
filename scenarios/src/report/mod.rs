//! Reports: what happened ([`timeline`]) and what to make of it ([`summary`]), for people and as
//! JSON; and files to look at ([`files`]): a [`page`], a trace for [`perfetto`], JSON [`lines`],
//! made of a [`history`]. Nothing here decides anything.

pub mod files;
pub mod history;
mod intervals;
pub mod lines;
pub mod page;
pub mod perfetto;
mod picture;
pub mod summary;
pub mod timeline;
