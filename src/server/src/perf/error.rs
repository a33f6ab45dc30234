//! Why a run did not end as it should.

use leveret_amqp::WireError;

/// Why `leveret perf` failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection.
    #[error("cannot connect to {uri}: {source}")]
    Connect {
        /// The broker, without the password.
        uri: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// Reading or writing failed.
    #[error("connection lost: {0}")]
    Io(#[from] std::io::Error),
    /// The broker ended the connection without a word.
    #[error("the broker closed the connection without a reason (a wrong user, password or vhost?)")]
    Disconnected,
    /// The broker closed channel or connection.
    #[error("closed by the broker: {code} {text}")]
    Closed {
        /// AMQP reply code.
        code: u16,
        /// The broker's explanation.
        text: String,
    },
    /// The broker cancelled a consumer, for example because its queue was deleted.
    #[error("the broker cancelled a consumer")]
    Cancelled,
    /// What the broker sent is not AMQP 0-9-1.
    #[error("the broker sent what cannot be understood: {0}")]
    Wire(#[from] WireError),
    /// The broker sent something at a moment when it may not.
    #[error("the broker sent {0} where it may not")]
    Unexpected(&'static str),
    /// The options contradict each other.
    #[error("{0}")]
    Options(&'static str),
    /// Nothing arrived for too long.
    #[error("nothing arrived for {seconds} s while {waiting} messages were awaited")]
    Stalled {
        /// How long was waited.
        seconds: u64,
        /// Confirms and deliveries that are missing.
        waiting: u64,
    },
    /// `--verify` found a fault; the printed result has the numbers.
    #[error("verification failed: messages were lost, doubled or out of order")]
    Verification,
    /// A task of this program panicked; its message is on standard error.
    #[error("the load generator failed, see above")]
    Task,
    /// The result cannot be printed.
    #[error("cannot print the result: {0}")]
    Print(#[from] serde_json::Error),
}

impl Error {
    pub(super) fn closed(code: u16, text: &str) -> Self {
        Self::Closed { code, text: text.to_owned() }
    }
}
