//! Class tx: publishes and settlements that take effect together.
//!
//! They are held back in the channel and done within one turn at tx.commit. A turn is in one commit of the store or in
//! none, so a transaction over many queues is atomic on disk without further ado; tx.commit-ok follows the commit.
//! Checks that only the publish can fail are made when it comes; what can fail at the commit is checked there before
//! the first effect.

use std::sync::{Arc, atomic::Ordering};

use leveret_amqp::tx;
use leveret_broker::{
    Claims, Error,
    queue::{Admission, Outcome},
    routing::Sender,
};

use smallvec::smallvec;

use super::{
    Channel, ChannelStats,
    message::OwnedMessage,
    publish::Incoming,
    reply_to,
    settle::Origin,
    stats,
    unacked::{Entries, Entry, Unacked},
};
use crate::{session::Session, step::Step};

/// What a transaction holds back.
#[derive(Default)]
pub(super) struct Transaction {
    publishes: Vec<OwnedMessage>,
    bytes: u64,
    settlements: Vec<(Outcome, Entry<Arc<Origin>>)>,
    settled: u64,
}

impl Transaction {
    /// Holds a publish back.
    ///
    /// # Errors
    /// 406 where the transaction has become too large.
    pub(super) fn publish(
        &mut self,
        message: OwnedMessage,
        session: &Session,
        channel_stats: &ChannelStats,
    ) -> Result<(), Error> {
        let bytes_max = session.limits.transaction_bytes_max;
        self.bytes += message.bytes_len();
        if self.bytes > bytes_max {
            let text = format!("transaction is larger than configured max size {bytes_max}");
            return Err(Error::precondition_failed(text));
        }
        self.publishes.push(message);
        self.count(channel_stats);
        Ok(())
    }

    /// Holds settlements back.
    pub(super) fn settle(&mut self, entries: Entries<Arc<Origin>>, outcome: Outcome, channel_stats: &ChannelStats) {
        self.settled += entries.iter().map(|entry| u64::from(entry.run.count)).sum::<u64>();
        self.settlements.extend(entries.into_iter().map(|entry| (outcome, entry)));
        self.count(channel_stats);
    }

    /// Forgets the publishes and makes the settled deliveries unsettled again.
    pub(super) fn roll_back(&mut self, unacked: &mut Unacked<Arc<Origin>>, channel_stats: &ChannelStats) {
        let rolled_back = std::mem::take(self);
        for (_, entry) in rolled_back.settlements {
            unacked.restore(entry);
        }
        self.count(channel_stats);
    }

    /// Everything that a publish of the transaction may fail with, while nothing has been done.
    fn check(&self, session: &Session, now_ms: u64) -> Result<(), Error> {
        let mut claims = Claims::default();
        for publish in &self.publishes {
            let message = Incoming::of(publish)?;
            if !reply_to::is_reply(&message) {
                let Incoming { exchange, routing_key, properties, .. } = &message;
                let routed = session.vhost.route(Sender::Trial, exchange, routing_key, properties, now_ms)?;
                claims.add(routed.queues, message.body.len() as u64);
            }
        }
        claims.check()
    }

    fn count(&self, channel_stats: &ChannelStats) {
        stats::set(&channel_stats.uncommitted, self.publishes.len() as u64);
        stats::set(&channel_stats.uncommitted_acks, self.settled);
    }
}

impl Channel {
    pub(super) fn tx_select(&mut self, step: &mut Step<'_, '_>) -> Result<(), Error> {
        if self.confirms.is_some() {
            return Err(Error::precondition_failed("cannot switch from confirm to tx mode"));
        }
        self.transaction.get_or_insert_default();
        // From here on the queues are asked before a commit.
        self.publisher.admit(Admission::Granted);
        self.stats.transactional.store(true, Ordering::Relaxed);
        self.reply(tx::SelectOk, step);
        Ok(())
    }

    pub(super) fn tx_rollback(&mut self, step: &mut Step<'_, '_>) -> Result<(), Error> {
        let transaction = self.transaction.as_mut().ok_or_else(not_transactional)?;
        transaction.roll_back(&mut self.unacked, &self.stats);
        stats::set(&self.stats.unacked, self.unacked.len());
        self.reply(tx::RollbackOk, step);
        Ok(())
    }

    pub(super) fn tx_commit(&mut self, step: &mut Step<'_, '_>) -> Result<(), Error> {
        let transaction = self.transaction.as_mut().ok_or_else(not_transactional)?;
        transaction.check(step.session, step.turn.now_ms)?;
        let Transaction { publishes, settlements, .. } = std::mem::take(transaction);
        transaction.count(&self.stats);
        let mut durable = self.commit_publishes(&publishes, step)?;
        durable |= self.commit_settlements(settlements, step);
        self.hand_over(step.turn);
        self.reply_to_change(tx::CommitOk, false, durable, step);
        Ok(())
    }

    fn commit_publishes(&mut self, publishes: &[OwnedMessage], step: &mut Step<'_, '_>) -> Result<bool, Error> {
        let mut durable = false;
        for (tag, publish) in (1..).zip(publishes) {
            match self.route_or_return(&Incoming::of(publish)?, tag, step) {
                Ok(is_durable) => durable |= is_durable,
                // The exchange was deleted on another connection since the check: as if that had come just after.
                Err(error) => tracing::debug!(%error, "a publish of a transaction goes nowhere"),
            }
        }
        Ok(durable)
    }

    fn commit_settlements(&mut self, settlements: Vec<(Outcome, Entry<Arc<Origin>>)>, step: &mut Step<'_, '_>) -> bool {
        let mut durable = false;
        for (outcome, entry) in settlements {
            durable |= entry.origin.queue.durable;
            self.settle_entries(smallvec![entry], outcome, step.turn);
        }
        durable
    }
}

fn not_transactional() -> Error {
    Error::precondition_failed("channel is not transactional")
}
