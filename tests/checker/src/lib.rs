//! A checker of what brokers promise, after Jepsen: many clients, faults at random moments, a history of all that was
//! done and seen, and a judgement that is a pure function of the history.
//!
//! * [`run`]: the whole course; [`options`]: what it is told;
//! * `producer`, `consumer`, `drain`: the clients, each `session` over a `relay` that can be cut in mid-flight;
//! * `nemesis`: kills the broker and cuts connections; `broker`: starts, kills and starts again;
//! * [`history`]: what is written down; [`check`]: what is made of it; [`report`]: how it is told;
//! * `body`: messages that tell who they are and whether they are whole.
//!
//! Every choice comes from one seed. What happens when is up to the machine, so a seed repeats the choices of a run, not
//! its course. The broker is any that speaks AMQP 0-9-1: one by its address, or one by a command that starts it.
//!
//! Not taken: checking while the run goes on (a history can be looked at, kept, and judged again by a better checker), and
//! closing the client's socket from within (the client library says goodbye; a relay that is dropped does not).

mod body;
mod broker;
pub mod check;
mod consumer;
mod drain;
mod error;
pub mod history;
mod message_id;
mod nemesis;
pub mod options;
mod producer;
mod relay;
pub mod report;
pub mod run;
mod scene;
mod session;
mod subscription;

pub use check::check;
pub use error::Error;
pub use message_id::MessageId;
pub use options::Options;
pub use report::Report;
pub use run::run;
