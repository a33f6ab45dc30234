//! What a queue is told and what it answers with.

use std::{ops::Range, sync::Arc};

use leveret_store::{Records, StoredChunk};

use crate::queue::{DeliveryRun, Got, Run, Runs, Settings, Window};

/// A consumer's number, unique in the broker.
pub type ConsumerId = u64;

/// Records of a batch for one queue.
#[derive(Clone, Debug)]
pub struct Arrivals {
    /// The whole batch.
    pub records: Records,
    /// The records that go to this queue, ascending.
    pub picks: Vec<Range<u32>>,
    /// Whether the queue may refuse them.
    pub admission: Admission,
    /// The first of the store's waiters that waits for them: [`leveret_store::Turn::next_waiter`], or
    /// [`leveret_store::AWAITED_BY_ALL`].
    pub awaited_from: u64,
}

/// Whether a queue that refuses what it has no room for (`reject-publish`) is to judge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Admission {
    /// It judges each message as it comes.
    #[default]
    Judged,
    /// It was asked before ([`super::State::has_room`]) and takes them all, also where others have come in between.
    Granted,
}

/// What decides how a consumer is served.
#[derive(Clone, Debug)]
pub struct NewConsumerState {
    /// Unique in the broker.
    pub id: ConsumerId,
    /// What is delivered counts as acknowledged.
    pub no_ack: bool,
    /// No other consumer may be on the queue.
    pub exclusive: bool,
    /// `x-priority`: higher is served first.
    pub priority: i32,
    /// Unacked messages at a time; 0 is unlimited. Without effect for `no_ack`.
    pub prefetch: u32,
    /// Limits shared with other consumers, in messages. `no_ack` takes nothing of them, but waits while one is used up.
    /// What was taken is given back by their owner when the channel settles.
    pub windows: Vec<Arc<Window>>,
    /// What the connection may have waiting to be written, in record bytes. Given back by the connection
    /// ([`DeliveryRun::bytes_len`]).
    pub outbox: Arc<Window>,
}

/// What a consumer says about messages it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done with: the messages are gone.
    Ack,
    /// Back to their places in the queue, where they may have to wait before they are ready again.
    Requeue {
        /// Whether it counts towards the delivery limit.
        count_attempt: bool,
    },
    /// They never reached anybody: ready again at once, and uncounted.
    Undelivered,
    /// Refused: dead-lettered, or dropped where there is no dead-letter exchange.
    Reject,
}

/// A chunk found through the store's due index.
#[derive(Clone, Debug)]
pub struct DueChunk {
    /// The due time of the entry.
    pub due_ms: u64,
    /// The chunk's first sequence number, as the entry has it.
    pub first_seq: u64,
    /// The chunk; `None` if it is no longer there.
    pub chunk: Option<StoredChunk>,
}

/// One step of a queue.
#[derive(Clone, Debug)]
pub enum Command {
    /// New messages.
    Publish(Arrivals),
    /// One message, if there is one.
    Get {
        /// Whether it counts as acknowledged.
        no_ack: bool,
    },
    /// A new consumer.
    Consume(NewConsumerState),
    /// A consumer goes. Its unacked messages stay unacked until they are settled.
    Cancel(ConsumerId),
    /// Messages that were handed out are settled, in the order given. Those not unacked any more are passed over.
    Settle {
        /// The consumer whose prefetch they come back to; `None` for basic.get.
        consumer: Option<ConsumerId>,
        /// Which.
        runs: Runs<Run>,
        /// How.
        outcome: Outcome,
    },
    /// What is in memory beyond the queue's share of it goes.
    Relieve,
    /// A window that was found empty may have room again.
    Resume,
    /// All ready and waiting messages go.
    Purge,
    /// The queue was declared again: it is in use as far as `x-expires` is concerned. Also the first command of a
    /// queue brought back at start, which has nothing to do but to say when it wants to be woken.
    Touch,
    /// A time asked for by [`Action::WakeAt`] has passed.
    Tick,
    /// What is over goes, as with every command: said before one that is not to find it there.
    Expire,
    /// Policies have changed.
    Configure(Settings),
    /// The answer to [`Action::Load`]: the chunks from the sequence number asked for, in order and without omission.
    Loaded {
        /// The level asked for.
        level: u8,
        /// What was found; empty if there is nothing at or after the sequence number.
        chunks: Vec<StoredChunk>,
    },
    /// The answer to [`Action::LoadDue`].
    LoadedDue {
        /// The level asked for.
        level: u8,
        /// Entries of the due index within the bounds asked for, earliest first, as many as the shell likes.
        found: Vec<DueChunk>,
        /// With nothing found: the earliest entry behind them, if there is any.
        next_due_ms: Option<u64>,
    },
    /// The queue is deleted: nothing is delivered or written any more.
    Close,
}

/// Why messages leave a queue for its dead-letter exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeadLetterReason {
    /// A consumer rejected them.
    Rejected,
    /// Their time was over.
    Expired,
    /// The queue was too long.
    MaxLen,
    /// They were tried too often.
    DeliveryLimit,
}

impl DeadLetterReason {
    /// RabbitMQ's word for it in `x-death`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::MaxLen => "maxlen",
            Self::DeliveryLimit => "delivery_limit",
        }
    }
}

/// Why a command was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// An exclusive consumer is there, or an exclusive one is wanted where others are (RabbitMQ: 403, in exclusive use).
    ExclusiveUse,
    /// basic.get on a quorum queue with single active consumer (RabbitMQ: 405).
    SingleActiveConsumer,
}

/// What a step asks the shell to do, in this order.
#[derive(Clone, Debug)]
pub enum Action {
    /// Messages for a consumer.
    Deliver {
        /// For whom.
        consumer: ConsumerId,
        /// In order.
        runs: Runs<DeliveryRun>,
    },
    /// The answer to [`Command::Get`]; it may follow only after a [`Action::Load`] has been answered.
    Got(Option<Got>),
    /// Indexes of published records that the queue refuses (`reject-publish`).
    Rejected(Vec<Range<u32>>),
    /// Messages to be moved to the dead-letter exchange; they are no longer in the queue. Only where there is one.
    DeadLetter {
        /// Why.
        reason: DeadLetterReason,
        /// Which. A message that never got into the queue has the sequence number `u64::MAX`.
        runs: Vec<DeliveryRun>,
    },
    /// How many messages a purge removed.
    Purged(u64),
    /// Read chunks, from the one that holds `from_seq` or else the next, and apply [`Command::Loaded`] before any
    /// other command.
    Load {
        /// Of which level.
        level: u8,
        /// Where to begin.
        from_seq: u64,
        /// About how much; at least one chunk if there is any.
        bytes_max: usize,
    },
    /// Read chunks through the due index and apply [`Command::LoadedDue`] before any other command.
    LoadDue {
        /// Of which level.
        level: u8,
        /// The first entry wanted: its due time and the chunk's first sequence number.
        from: (u64, u64),
        /// The latest due time wanted, inclusive.
        until_ms: u64,
    },
    /// Send [`Command::Tick`] at this time (or soon, if it has passed). Each one replaces those before: it is said only
    /// for an earlier time, or after a tick.
    WakeAt(u64),
    /// There is something for [`super::State::collect`]. Not said again until it was called.
    Dirty,
    /// Which of the store's waiters have to wait for persistent messages here that are in no commit yet: those from this
    /// number on. [`super::State::collect`] ends it without a word.
    Awaited {
        /// As last said.
        was: Option<u64>,
        /// From now on.
        now: Option<u64>,
    },
    /// Who is served in a queue with single active consumer.
    ActiveConsumer(Option<ConsumerId>),
    /// So many messages that the queue counted were not in the store, and are counted no more.
    Missing(u64),
    /// Credit that was taken turned out not to be needed, while another queue found none in that window: the channel
    /// of this consumer resumes its queues.
    Resume(ConsumerId),
    /// The command was refused and changed nothing.
    Refused(Refusal),
    /// The last consumer is gone.
    Unused,
    /// The queue was not used for its `x-expires`.
    Expired,
}
