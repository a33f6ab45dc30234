//! Exchanges that hold messages back, and send them on when they are due.

use leveret_broker::timeline::{Slot, Timeline, Waiting};

use crate::{publishing::Batch, world::World};

impl World<'_> {
    /// An exchange was woken. The first of what it held back went on: as many as it has counted since the last time.
    pub(crate) fn release(&mut self, timeline: &Timeline) {
        self.observe();
        let (exchange, all) = (&timeline.exchange, timeline.totals.lateness.counts().iter().sum());
        let before = self.real.released.insert(timeline.id, all).unwrap_or(0);
        let mut batch = Batch::default();
        for content in self.model.release(exchange, all - before) {
            let way = self.way(&content, Some(exchange)).unwrap_or_default();
            batch.add(&content, way);
        }
        // What a queue refuses is lost.
        let _refused = self.model.publish(batch.groups, false);
    }

    /// Compares how much exchanges hold back.
    ///
    /// # Errors
    /// Where that is not as it should be.
    pub(crate) fn check_held(&self) -> Result<(), String> {
        for exchange in self.plan.exchanges.iter().filter(|exchange| exchange.holds) {
            let name = &exchange.name;
            let found = self.real.vhost.timeline(name).map(|timeline| timeline.counts().messages);
            let held = self.model.topology.held(name);
            let expected = self.model.topology.exchanges.contains_key(name).then_some(held.len() as u64);
            if found != expected {
                return Err(format!("exchange {name} holds {found:?} messages back and should hold {held:?}"));
            }
        }
        Ok(())
    }

    /// Compares what exchanges show of what they hold back: when each message is due, and its number.
    ///
    /// # Errors
    /// Where that is not as it should be.
    pub(crate) fn check_listings(&self) -> Result<(), String> {
        for timeline in self.real.vhost.timelines() {
            let listing = timeline.list(self.real.broker.store(), Slot::default(), Slot::MAX, usize::MAX);
            let listing = listing.map_err(|error| error.to_string())?;
            let found: Vec<_> = listing.messages.iter().map(|waiting| (waiting.slot.due_ms, number(waiting))).collect();
            let expected = self.model.topology.listing(&timeline.exchange);
            if found != expected {
                let name = &timeline.exchange;
                return Err(format!("exchange {name} shows {found:?} and should show {expected:?}"));
            }
        }
        Ok(())
    }
}

fn number(waiting: &Waiting) -> u64 {
    let body = waiting.record().map(|record| record.body);
    body.and_then(|body| body.first_chunk()).map_or(0, |number| u64::from_le_bytes(*number))
}
