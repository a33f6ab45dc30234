//! What a history comes to.

use std::fmt;

use crate::MessageId;

/// Examples shown of each kind of violation.
const EXAMPLES_MAX: usize = 10;

/// What a history comes to: what the broker did wrong, and how much was tried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Confirmed, and neither acknowledged nor found at the end; sorted.
    pub lost: Vec<MessageId>,
    /// Delivered once more than may be.
    pub doubled: Vec<Double>,
    /// Delivered behind a later one: which, and behind which.
    pub out_of_order: Vec<(MessageId, MessageId)>,
    /// Deliveries of what was not published so.
    pub unexpected: Vec<Unexpected>,
    /// Publishes.
    pub published: u64,
    /// Of these, with a confirm.
    pub confirmed: u64,
    /// Of these, with a nack.
    pub refused: u64,
    /// Of these, without an answer.
    pub unknown: u64,
    /// Of those without an answer, delivered.
    pub unknown_delivered: u64,
    /// Deliveries.
    pub delivered: u64,
    /// Of these, of messages that had been delivered before.
    pub delivered_again: u64,
    /// Deliveries written down after their connection had ended: not judged as doubled.
    pub late: u64,
    /// Acknowledgements.
    pub acknowledged: u64,
    /// Deliveries given back.
    pub requeued: u64,
    /// Deliveries after a kill whose earlier acknowledgement was answered and not committed. No fault.
    pub forgotten_acks: u64,
    /// Deliveries after a kill without the mark of those that came before. No fault.
    pub forgotten_marks: u64,
    /// How often the broker was killed.
    pub kills: u64,
    /// How often a connection was cut.
    pub cuts: u64,
}

/// A delivery too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Double {
    /// Its acknowledgement was committed.
    AfterCommit(MessageId),
    /// A method after its acknowledgement was answered, and the broker lived on.
    AfterAnswer(MessageId),
    /// It came before, and is not marked so, and the broker lived on.
    Unmarked(MessageId),
}

/// A delivery of what was not published so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unexpected {
    /// Nobody has published it.
    NeverPublished {
        /// Which.
        id: MessageId,
        /// From where.
        queue: u32,
    },
    /// It belongs into another queue.
    WrongQueue {
        /// Which.
        id: MessageId,
        /// From where.
        queue: u32,
        /// Where it belongs.
        published_to: u32,
    },
    /// The body is none that the run has made.
    Damaged {
        /// From where.
        queue: u32,
    },
}

impl Report {
    /// Whether the broker did nothing wrong.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.lost.is_empty() && self.doubled.is_empty() && self.out_of_order.is_empty() && self.unexpected.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { published, confirmed, refused, unknown, unknown_delivered, .. } = self;
        writeln!(out, "published     {published}: confirmed {confirmed}, refused {refused}, unknown {unknown}")?;
        writeln!(out, "              of the unknown {unknown_delivered} were delivered")?;
        let Self { delivered, delivered_again, late, .. } = self;
        writeln!(out, "delivered     {delivered}: {delivered_again} of them again, {late} written down late")?;
        writeln!(out, "acknowledged  {}, given back {}", self.acknowledged, self.requeued)?;
        writeln!(out, "faults        {} kills, {} connections cut", self.kills, self.cuts)?;
        let (acks, marks) = (self.forgotten_acks, self.forgotten_marks);
        writeln!(out, "after kills   {acks} uncommitted acknowledgements forgotten, {marks} delivered again unmarked")?;
        list(out, "lost", &self.lost)?;
        list(out, "doubled", &self.doubled)?;
        let out_of_order = self.out_of_order.iter().map(|(id, after)| format!("{id} after {after}"));
        list(out, "out of order", &out_of_order.collect::<Vec<_>>())?;
        list(out, "unexpected", &self.unexpected)?;
        write!(out, "{}", if self.passed() { "passed" } else { "FAILED" })
    }
}

fn list(out: &mut fmt::Formatter<'_>, name: &str, violations: &[impl fmt::Display]) -> fmt::Result {
    writeln!(out, "{name:<13} {}", violations.len())?;
    for violation in violations.iter().take(EXAMPLES_MAX) {
        writeln!(out, "              {violation}")?;
    }
    Ok(())
}

impl fmt::Display for Double {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AfterCommit(id) => write!(out, "{id} delivered after its acknowledgement was committed"),
            Self::AfterAnswer(id) => write!(out, "{id} delivered after its acknowledgement was answered"),
            Self::Unmarked(id) => write!(out, "{id} delivered again without being marked"),
        }
    }
}

impl fmt::Display for Unexpected {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverPublished { id, queue } => write!(out, "{id} from queue {queue}, never published"),
            Self::WrongQueue { id, queue, published_to } => {
                write!(out, "{id} from queue {queue}, published to queue {published_to}")
            }
            Self::Damaged { queue } => write!(out, "a damaged body from queue {queue}"),
        }
    }
}
