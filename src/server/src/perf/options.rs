//! The command line of `leveret perf`.

use std::time::Duration;

use clap::{Args, ValueEnum};
use leveret_amqp::{FieldTable, FieldValue};

use super::stamp::STAMP_BYTES;
use super::uri::Uri;

/// What `leveret perf` shall do.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// The broker, as amqp://USER:PASSWORD@HOST:PORT/VHOST
    #[arg(long, default_value = "amqp://guest:guest@127.0.0.1:5672/")]
    pub uri: Uri,
    /// How messages reach queues
    #[arg(long, value_enum, default_value_t = Pattern::WorkQueue)]
    pub pattern: Pattern,
    /// Exchange to declare and publish to; a work queue without one uses the default exchange
    #[arg(long)]
    pub exchange: Option<String>,
    /// Connections that publish, each with one channel; 0 only consumes what the queues hold
    #[arg(long, default_value_t = 1)]
    pub producers: usize,
    /// Connections that consume, spread over the queues; 0 leaves the messages there
    #[arg(long, default_value_t = 1)]
    pub consumers: usize,
    /// Number of queues
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub queues: u32,
    /// Names of queues are this, a dot and a number
    #[arg(long, default_value = "leveret.perf")]
    pub queue_prefix: String,
    /// Argument of the queues (a number, true, false or text), may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_argument)]
    pub queue_argument: Vec<(String, FieldValue)>,
    /// Size of a message's body in bytes, at least 16
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u32).range(STAMP_BYTES as i64..))]
    pub size: u32,
    /// Messages a second from all producers together; 0 is as fast as it goes
    #[arg(long, default_value_t = 0)]
    pub rate: u64,
    /// Unconfirmed messages a producer may have; 0 publishes without confirms
    #[arg(long, default_value_t = 0)]
    pub confirm: usize,
    /// Unacknowledged messages a consumer may have; 0 sets no limit
    #[arg(long, default_value_t = 1000)]
    pub prefetch: u16,
    /// Acknowledge (multiple) after so many messages
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub ack_every: u32,
    /// Consume without acknowledgement
    #[arg(long)]
    pub auto_ack: bool,
    /// Declare durable queues and exchange
    #[arg(long)]
    pub durable: bool,
    /// Publish persistent messages (delivery mode 2)
    #[arg(long)]
    pub persistent: bool,
    /// Delay each message by up to so many milliseconds, at random, through an exchange of type x-delayed-message; what is
    /// measured from end to end is then how late messages are
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "verify")]
    pub delay_ms: Option<u64>,
    /// Have messages belong to so many groups in turn, by the header x-group-id; with --queue-argument
    /// x-message-group-header=x-group-id queues keep each together
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub groups: Option<u32>,
    /// Publish for so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10, conflicts_with = "messages")]
    pub time: u64,
    /// Publish so many messages instead of for a time
    #[arg(long, value_name = "COUNT")]
    pub messages: Option<u64>,
    /// Check that no message is lost, doubled or out of order for its producer and queue
    #[arg(long)]
    pub verify: bool,
    /// Give up after so many seconds in which nothing arrives
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub patience: u64,
    /// Keep queues and exchange at the end
    #[arg(long)]
    pub keep: bool,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// How messages reach queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Pattern {
    /// Each message goes to one queue, producers take turns over theirs
    WorkQueue,
    /// A fanout exchange copies each message to every queue
    FanOut,
    /// A topic exchange sends each message to one queue, by one of 100 routing keys
    Topic,
}

/// How the result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// One JSON object in one line
    Json,
}

impl Options {
    /// How long to wait for something that does not happen.
    pub(super) fn patience(&self) -> Duration {
        Duration::from_secs(self.patience.max(1))
    }

    /// How long producers publish; `None` when their number of messages ends them.
    pub(super) fn duration(&self) -> Option<Duration> {
        self.messages.is_none().then(|| Duration::from_secs(self.time))
    }

    /// What producer `index` has of all messages; `u64::MAX` when time ends it.
    pub(super) fn share(&self, index: usize) -> u64 {
        let Some(messages) = self.messages else { return u64::MAX };
        let producers = self.producers as u64;
        messages / producers + u64::from((index as u64) < messages % producers)
    }

    /// The name of queue `index`.
    pub(super) fn queue(&self, index: u32) -> String {
        format!("{}.{index}", self.queue_prefix)
    }

    /// The exchange to publish to, empty for the default exchange.
    pub(super) fn exchange(&self) -> String {
        match (&self.exchange, self.pattern, self.delay_ms) {
            (Some(name), ..) => name.clone(),
            (None, _, Some(_)) => format!("{}.delayed", self.queue_prefix),
            (None, Pattern::WorkQueue, None) => String::new(),
            (None, Pattern::FanOut, None) => format!("{}.fanout", self.queue_prefix),
            (None, Pattern::Topic, None) => format!("{}.topic", self.queue_prefix),
        }
    }

    /// The arguments queues are declared with.
    pub(super) fn queue_arguments(&self) -> FieldTable {
        self.queue_argument.iter().fold(FieldTable::new(), |table, (key, value)| table.with(key, value.clone()))
    }
}

fn parse_argument(text: &str) -> Result<(String, FieldValue), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    let value = match (value, value.parse::<i64>()) {
        ("true", _) => FieldValue::Bool(true),
        ("false", _) => FieldValue::Bool(false),
        (_, Ok(number)) => FieldValue::I64(number),
        _ => FieldValue::from(value),
    };
    Ok((key.to_owned(), value))
}
