//! Leveret's server: configuration, listeners, AMQP 0-9-1 connections and channels, composition.
//!
//! A library with a thin `main`, so that tests start whole servers in their own process: [`server::run`].

pub mod cli;
pub mod config;
pub mod ctl;
pub mod perf;
pub mod server;

mod alarms;
mod channel;
mod connection;
mod http;
mod listener;
mod logging;
mod mail;
mod mailbox;
mod management;
mod outbox;
mod registry;
mod relief;
mod session;
mod step;
mod tally;

#[cfg(fuzzing)]
pub use connection::fuzz_handshake;
