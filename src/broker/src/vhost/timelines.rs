//! Where exchanges keep what they hold back.

use std::sync::Arc;

use leveret_store::LogState;

use super::{Map, VHost, remember};
use crate::{Turn, timeline::Timeline};

impl VHost {
    /// What an exchange holds back; `None` for one that does not.
    #[must_use]
    pub fn timeline(&self, exchange: &str) -> Option<Arc<Timeline>> {
        self.topology.read().timeline(exchange).cloned()
    }

    /// What all exchanges hold back, by the names of the exchanges.
    #[must_use]
    pub fn timelines(&self) -> Vec<Arc<Timeline>> {
        let mut timelines: Vec<_> = self.topology.read().timelines().cloned().collect();
        timelines.sort_by(|one, other| one.exchange.cmp(&other.exchange));
        timelines
    }

    /// Gives an exchange that holds messages back a timeline, where it has none.
    pub(super) fn add_timeline(&self, turn: &Turn<'_>, topology: &mut Map, exchange: &str) {
        let (Some(hold), None) = (topology.hold(exchange), topology.timeline(exchange)) else { return };
        let hold = Some(Arc::clone(hold));
        let is_kept = topology.exchange(exchange).is_ok_and(|exchange| remember::is_kept(exchange));
        let id = turn.broker.next_queue_id();
        let memory = Arc::clone(turn.broker.memory());
        let timeline = Arc::new(Timeline::new(id, &self.name, exchange, is_kept, hold, memory));
        remember::timeline(&turn.store, &timeline, turn.broker.queue_id_next());
        topology.attach_timeline(exchange, timeline);
    }

    /// Brings back a timeline that the catalogue holds, with what its counters say is in it; false where its exchange is
    /// missing. Where only the exchange's type is, the messages wait on.
    pub(crate) fn restore_timeline(&self, turn: &Turn<'_>, id: u64, exchange: &str, state: Option<LogState>) -> bool {
        let mut topology = self.topology.write();
        let hold = topology.hold(exchange).map(Arc::clone);
        let memory = Arc::clone(turn.broker.memory());
        let timeline = Arc::new(Timeline::recover(id, &self.name, exchange, hold, memory, state));
        let is_attached = topology.attach_timeline(exchange, Arc::clone(&timeline));
        drop(topology);
        if is_attached {
            timeline.wake(turn);
        }
        is_attached
    }

    /// Gives timelines to exchanges that hold messages back and were stored before they did.
    pub(crate) fn add_missing_timelines(&self, turn: &Turn<'_>) {
        let mut topology = self.topology.write();
        let names: Vec<_> = topology.exchanges().map(|exchange| Arc::clone(&exchange.name)).collect();
        names.iter().for_each(|name| self.add_timeline(turn, &mut topology, name));
    }
}
