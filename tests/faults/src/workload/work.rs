//! The kinds of work: their queues, and what is true of the messages in them.

use lapin::types::{AMQPValue, FieldTable};
use leveret_tests::table;

/// A kind of work, with clients and queues of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Confirmed publishes, acknowledged in part.
    Queue,
    /// Transactions that publish the same to two queues.
    Pair,
    /// Rejected messages go to another queue; some are taken back first.
    Dead,
    /// Messages expire, by their queue's time or their own, and go to another queue.
    Expiring,
    /// Messages of several priorities.
    Priority,
    /// Several publishers, and several consumers on one connection.
    Shared,
    /// A queue is purged, or deleted and declared again, while clients go on with it.
    Emptied,
    /// Messages that no binding takes go to an alternate exchange.
    Alternate,
    /// Messages wait for their time before they go to their queue.
    Delayed,
    /// Queues are declared and deleted, or exclusive to a connection.
    Definitions,
    /// A policy that all queues have is changed.
    Policy,
}

/// Of the queue whose messages expire; longest of a message.
pub(super) const TTL_MS: u32 = 150;
/// What nothing is bound to.
pub(super) const FIRST_EXCHANGE: &str = "alternate.first";
/// Where it goes instead.
pub(super) const SECOND_EXCHANGE: &str = "alternate.second";
/// What holds messages back.
pub(super) const DELAYED_EXCHANGE: &str = "delayed";
const DELAY_MS_MAX: u32 = 600;
const PRIORITY_MAX: u8 = 4;

impl Work {
    pub(super) const ALL: [Self; 11] = [
        Self::Queue,
        Self::Pair,
        Self::Dead,
        Self::Expiring,
        Self::Priority,
        Self::Shared,
        Self::Emptied,
        Self::Alternate,
        Self::Delayed,
        Self::Definitions,
        Self::Policy,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Pair => "pair",
            Self::Dead => "dead",
            Self::Expiring => "expiring",
            Self::Priority => "priority",
            Self::Shared => "shared",
            Self::Emptied => "emptied",
            Self::Alternate => "alternate",
            Self::Delayed => "delayed",
            Self::Definitions => "definitions",
            Self::Policy => "policy",
        }
    }

    /// Where its messages are.
    pub(crate) fn queues(self) -> &'static [&'static str] {
        match self {
            Self::Queue => &["queue"],
            Self::Pair => &["pair.a", "pair.b"],
            Self::Dead => &["dead.source", "dead.target"],
            Self::Expiring => &["expiring.source", "expiring.target"],
            Self::Priority => &["priority"],
            Self::Shared => &["shared"],
            Self::Emptied => &["emptied"],
            Self::Alternate => &["alternate"],
            // In the order of their times.
            Self::Delayed => &["delayed.target"],
            Self::Definitions | Self::Policy => &[],
        }
    }

    /// Where confirmed messages are published to: exchange and routing key.
    pub(super) fn address(self) -> (&'static str, &'static str) {
        match self {
            Self::Alternate => (FIRST_EXCHANGE, "nobody"),
            Self::Delayed => (DELAYED_EXCHANGE, ""),
            _ => ("", self.queues()[0]),
        }
    }

    /// How many publishers share its numbers: each has those that leave its own remainder.
    pub(crate) fn publishers(self) -> u32 {
        match self {
            Self::Shared => 2,
            Self::Definitions | Self::Policy => 0,
            _ => 1,
        }
    }

    /// The priority of a message.
    pub(crate) fn priority(self, number: u32) -> u8 {
        match self {
            Self::Priority => (number % (u32::from(PRIORITY_MAX) + 1)) as u8,
            _ => 0,
        }
    }

    /// After how long a message expires by itself, where it does.
    pub(super) fn expiration_ms(self, number: u32) -> Option<u32> {
        (self == Self::Expiring && number.is_multiple_of(3)).then_some(number % TTL_MS)
    }

    /// How long a message waits before it goes to its queue, where it does.
    pub(super) fn delay_ms(self, number: u32) -> Option<u32> {
        (self == Self::Delayed).then_some(number * 7 % DELAY_MS_MAX)
    }

    /// Whether messages are acknowledged, and gone then.
    pub(crate) fn is_consumed(self) -> bool {
        matches!(self, Self::Queue | Self::Priority | Self::Shared | Self::Emptied)
    }

    pub(super) fn arguments(self, queue: &str) -> FieldTable {
        let text = |value: &str| AMQPValue::LongString(value.into());
        let dead_letters =
            |target: &str| [("x-dead-letter-exchange", text("")), ("x-dead-letter-routing-key", text(target))];
        match queue {
            "dead.source" => table(dead_letters("dead.target")),
            "expiring.source" => {
                let mut arguments = table(dead_letters("expiring.target"));
                arguments.insert("x-message-ttl".into(), AMQPValue::LongUInt(TTL_MS));
                arguments
            }
            "priority" => table([("x-max-priority", AMQPValue::ShortShortUInt(PRIORITY_MAX))]),
            _ => FieldTable::default(),
        }
    }
}
