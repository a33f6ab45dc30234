//! What a run is told.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// How to run against a broker.
#[derive(Clone, Debug, Parser)]
pub struct Options {
    /// Command that starts the broker in the foreground, with {port} and {dir} in it; it is killed and started again
    /// [default: the leveret beside this program]
    #[arg(long, value_name = "COMMAND", conflicts_with = "uri")]
    pub start: Option<String>,
    /// A broker that is there, as amqp://USER:PASSWORD@HOST:PORT/VHOST; it is not killed
    #[arg(long)]
    pub uri: Option<String>,
    /// Port for the command; 0 is any free one
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// Seconds in which faults happen; emptying the queues comes after that
    #[arg(long, default_value_t = 20)]
    pub seconds: u64,
    /// Seconds between two kills of the broker, on average; 0 is none
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    pub kill_every: f64,
    /// Seconds between two connections cut, on average; 0 is none
    #[arg(long, value_name = "SECONDS", default_value_t = 0.5)]
    pub cut_every: f64,
    /// Repeats the choices of an earlier run [default: another one each time]
    #[arg(long, default_value_t = rand::random(), hide_default_value = true)]
    pub seed: u64,
    /// Connections that publish
    #[arg(long, default_value_t = 4)]
    pub producers: u32,
    /// Connections that consume
    #[arg(long, default_value_t = 6)]
    pub consumers: u32,
    /// Queues
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub queues: u32,
    /// What kind of queues
    #[arg(long, value_enum, default_value_t = QueueType::Classic)]
    pub queue_type: QueueType,
    /// Messages a second from all producers together
    #[arg(long, default_value_t = 2000)]
    pub rate: u32,
    /// Seconds to wait for the broker to start, to confirm and to give back what is in the queues
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub patience: u64,
    /// Where the history is written [default: beside the broker's data, kept when the run fails]
    #[arg(long, value_name = "FILE")]
    pub history: Option<PathBuf>,
}

/// What kind of queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum QueueType {
    /// On one node.
    Classic,
    /// Replicated, where the broker does that.
    Quorum,
}

impl QueueType {
    /// As `x-queue-type` has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Quorum => "quorum",
        }
    }
}
