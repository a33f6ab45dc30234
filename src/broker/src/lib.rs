//! The broker: vhosts, exchanges, bindings, queues, users and policies, and the way of a message through them.
//!
//! A front end opens a [`Turn`], does what its client asks through [`Broker`], [`VHost`], [`queue::Queue`] and
//! [`Publisher`], and lets the turn go. It hands in AMQP values — tables, properties, reply codes — and never frames: a
//! second protocol is a peer of the AMQP front end.
//!
//! * [`publisher`]: a publish, routed with a cache, in one hand-over per queue and batch;
//! * [`exchange`], [`topology`], [`routing`]: what leads where;
//! * [`queue`]: a pure state machine in a thin shell;
//! * [`dead_letter`]: the way of those that die;
//! * [`timeline`]: those that wait for their time;
//! * [`deduplication`]: those that come again;
//! * [`access`], [`policy`], [`arguments`]: who may do what, and what a declaration means;
//! * [`auth`]: who is let in, and who else may decide on that;
//! * [`catalogue`], [`recovery`]: what survives a restart;
//! * [`plugin`]: what can be added.

pub mod access;
mod admin;
pub mod arguments;
pub mod auth;
mod broker;
pub mod catalogue;
mod claims;
pub mod clock;
mod dead_letter;
pub mod deduplication;
mod error;
pub mod exchange;
pub mod limits;
mod memory;
pub mod message;
pub mod pattern;
pub mod plugin;
pub mod policy;
mod publisher;
pub mod queue;
mod recovery;
pub mod routing;
mod term;
pub mod timeline;
mod timers;
pub mod topology;
mod totals;
mod turn;
mod vhost;

pub use broker::{Broker, BrokerConfig};
pub use claims::Claims;
pub use error::{Error, erlang_binary};
pub use publisher::{Publish, Publisher, Routing};
pub use recovery::OpenError;
pub use timers::Sleeper;
pub use totals::Totals;
pub use turn::Turn;
pub use vhost::{DeclareQueue, VHost, VHostMetadata};
