//! What is known of each message as the history goes by.

use std::collections::HashMap;

use crate::{MessageId, history::Answer};

/// All messages that were published.
#[derive(Default)]
pub(super) struct Ledger(HashMap<MessageId, Message>);

/// A message that was published.
pub(super) struct Message {
    /// Where to.
    pub(super) queue: u32,
    /// What became of its publish.
    pub(super) confirm: Confirm,
    /// Who got it last.
    pub(super) last_delivery: Option<u32>,
    /// Whether anybody has sent an acknowledgement.
    pub(super) acknowledged: bool,
    /// The strongest answer that an acknowledgement got.
    pub(super) settled: Option<Settled>,
}

/// What became of a publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Confirm {
    /// Nothing is written of it.
    Missing,
    /// Confirmed.
    Ok,
    /// The broker would not have it.
    Refused,
    /// The connection ended before.
    Unknown,
}

/// An acknowledgement that was followed by an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settled {
    /// By which.
    pub(super) answer: Answer,
    /// Whose.
    pub(super) process: u32,
}

impl Ledger {
    /// The message of a publish, new or known.
    pub(super) fn published(&mut self, id: MessageId, queue: u32) -> &mut Message {
        self.0.entry(id).or_insert(Message {
            queue,
            confirm: Confirm::Missing,
            last_delivery: None,
            acknowledged: false,
            settled: None,
        })
    }

    pub(super) fn get(&self, id: MessageId) -> Option<&Message> {
        self.0.get(&id)
    }

    pub(super) fn delivered(&mut self, id: MessageId, process: u32) {
        if let Some(message) = self.0.get_mut(&id) {
            message.last_delivery = Some(process);
        }
    }

    pub(super) fn acknowledged(&mut self, id: MessageId) {
        if let Some(message) = self.0.get_mut(&id) {
            message.acknowledged = true;
        }
    }

    /// A commit stays what counts, whatever comes after it.
    pub(super) fn settled(&mut self, id: MessageId, settled: Settled) {
        if let Some(message) = self.0.get_mut(&id)
            && !matches!(message.settled, Some(Settled { answer: Answer::Commit, .. }))
        {
            message.settled = Some(settled);
        }
    }

    pub(super) fn messages(self) -> impl Iterator<Item = (MessageId, Message)> {
        self.0.into_iter()
    }
}
