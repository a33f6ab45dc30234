//! Queues: where messages wait, in order, until somebody settles them.
//!
//! [`State`] is the queue itself, pure: commands in, actions out. Around it are values that its users share with it
//! ([`Position`], [`DeliveryRun`], [`Window`], [`Settings`]). Inside, a state has [`level`]s, a level has a list of
//! [`spans`], and a span is a [`segment`] in memory or a range on disk; [`consumers`] knows whose turn it is.

mod aside;
mod consumers;
mod delivery;
mod group_key;
mod groups;
mod level;
mod outlet;
mod paging;
mod pieces;
mod position;
mod ranges;
mod repetitions;
mod retry;
mod segment;
mod settings;
mod settled;
mod shell;
mod spans;
mod state;
mod subscriber;
#[cfg(test)]
mod tests;
mod totals;
mod window;

pub use delivery::{DeliveryRun, Got};
pub use group_key::{GroupKey, GroupProperty};
pub use outlet::{CancelReason, Deliveries, Outlet};
pub use position::{Position, Run, Runs};
pub use retry::{Backoff, DelayedRetry, DelayedReturns};
pub use settings::{Kind, Overflow, QUORUM_DELIVERY_LIMIT, Settings, Sizing};
pub(crate) use shell::Blueprint;
pub use shell::{Queue, Totals};
pub use state::{
    Action, Admission, Arrivals, Command, ConsumerId, Counts, DeadLetterReason, DueChunk, Nature, NewConsumerState,
    Outcome, Refusal, State,
};
pub use subscriber::{ConsumerInfo, NewConsumer};
pub use window::Window;
