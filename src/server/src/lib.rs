//! Leveret's server: configuration, listeners, AMQP 0-9-1 connections and channels, composition.
//!
//! A library with a thin `main`, so that tests start whole servers in their own process: [`server::run`].

pub mod cli;
pub mod config;
pub mod ctl;
pub mod perf;
pub mod plugins;
pub mod server;

mod alarms;
mod channel;
mod connection;
#[cfg(feature = "management")]
mod http;
mod listener;
mod logging;
mod mail;
mod mailbox;
#[cfg(feature = "management")]
mod management;
#[cfg(not(feature = "management"))]
#[path = "management_off.rs"]
mod management;
mod outbox;
mod protocols;
#[cfg_attr(not(feature = "management"), expect(dead_code, reason = "what only the management interface shows"))]
mod registry;
mod relief;
mod session;
mod step;
mod tally;

#[cfg(fuzzing)]
pub use connection::fuzz_handshake;
