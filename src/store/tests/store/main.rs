//! The store as its users see it, on a real database in a temporary directory. One binary: each links RocksDB.
#![allow(clippy::unwrap_used)]

mod atomicity;
mod committing;
mod damage;
mod deleting;
mod encoding;
mod failing;
mod large;
mod manifest;
mod opening;
mod reading;
mod settling;
mod space;
mod support;
mod timelines;
mod unfinished;
