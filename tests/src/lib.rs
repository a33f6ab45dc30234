//! Whole-server tests: the broker's own binary, started as a user starts it, and a client that nobody here wrote (lapin).
//!
//! This library is the harness; the tests are one integration binary, `tests/all.rs`, so that it is linked once.
//!
//! * Each test has a [`Broker`] of its own: a process, free ports on 127.0.0.1, an empty data folder. The binary is the
//!   one beside the test's own in the target folder, which `make test` builds first; `LEVERET_BINARY` names another.
//! * `LEVERET_TEST_URI=amqp://…` runs the tests against a broker that is there already, for example RabbitMQ, to see
//!   whether a test expects the right thing. Tests that need a restart or what only Leveret does pass at once then.
//! * Nothing sleeps for a fixed time: [`until`] polls a condition up to a deadline, and a test that hangs ends at one.
//!
//! Not taken: starting the server inside of the test's process. It is quicker by a few milliseconds, and cannot be
//! killed with signal 9, which is what durability is about.

mod auth_service;
mod binary;
mod broker;
mod client;
mod delivery;
mod disk;
mod recording;
mod wait;

pub use auth_service::{AuthQuestion, AuthService};
pub use binary::binary;
pub use broker::{Broker, with_broker, with_test_time};
pub use client::{Client, connect, reply, table};
pub use delivery::{Message, numbers};
pub use disk::FaultyDisk;
pub use recording::{Loss, Recording};
pub use wait::{PATIENCE, eventually, until, within};
