//! Reports: what happened ([`timeline`]) and what to make of it ([`summary`]), for people and as
//! JSON. Nothing here decides anything.

pub mod summary;
pub mod timeline;
