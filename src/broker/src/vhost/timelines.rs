//! Where exchanges have what they hold back, or keep for those who bind later.

use std::sync::Arc;

use leveret_store::LogState;

use super::{Map, VHost, remember};
use crate::{Turn, catalogue::TimelineRecord, timeline::Timeline};

impl VHost {
    /// What an exchange holds back; `None` for one that does not.
    #[must_use]
    pub fn timeline(&self, exchange: &str) -> Option<Arc<Timeline>> {
        self.topology.read().timeline(exchange).filter(|timeline| !timeline.is_history).cloned()
    }

    /// What all exchanges hold back, by the names of the exchanges.
    #[must_use]
    pub fn timelines(&self) -> Vec<Arc<Timeline>> {
        let mut timelines = self.all_timelines();
        timelines.retain(|timeline| !timeline.is_history);
        timelines.sort_by(|one, other| one.exchange.cmp(&other.exchange));
        timelines
    }

    /// What exchanges hold back, and what they keep, in no order.
    pub(crate) fn all_timelines(&self) -> Vec<Arc<Timeline>> {
        self.topology.read().timelines().cloned().collect()
    }

    /// What an exchange keeps for those who bind later; `None` for one that does not, or whose type is missing.
    pub(super) fn history(&self, exchange: &str) -> Option<Arc<Timeline>> {
        let topology = self.topology.read();
        topology.history(exchange).and_then(|_| topology.timeline(exchange)).cloned()
    }

    /// Gives an exchange that holds or keeps messages a timeline, where it has none.
    pub(super) fn add_timeline(&self, turn: &Turn<'_>, topology: &mut Map, exchange: &str) {
        let (hold, is_history) = (topology.hold(exchange).map(Arc::clone), topology.history(exchange).is_some());
        if topology.timeline(exchange).is_some() || (hold.is_none() && !is_history) {
            return;
        }
        let is_kept = topology.exchange(exchange).is_ok_and(|exchange| remember::is_kept(exchange));
        let id = turn.broker.next_queue_id();
        let memory = Arc::clone(turn.broker.memory());
        let timeline = Arc::new(Timeline::new(id, &self.name, exchange, is_kept, is_history, hold, memory));
        remember::timeline(&turn.store, &timeline, turn.broker.queue_id_next());
        topology.attach_timeline(exchange, timeline);
    }

    /// Brings back a timeline that the catalogue holds, with what its counters say is in it; false where its exchange is
    /// missing. Where only the exchange's type is, the messages wait on.
    pub(crate) fn restore_timeline(&self, turn: &Turn<'_>, record: &TimelineRecord, state: Option<LogState>) -> bool {
        let TimelineRecord { id, exchange, is_history, .. } = record;
        let mut topology = self.topology.write();
        let hold = topology.hold(exchange).map(Arc::clone);
        let memory = Arc::clone(turn.broker.memory());
        let timeline = Arc::new(Timeline::recover(*id, &self.name, exchange, *is_history, hold, memory, state));
        let is_attached = topology.attach_timeline(exchange, Arc::clone(&timeline));
        drop(topology);
        if is_attached {
            timeline.wake(turn);
        }
        is_attached
    }

    /// Gives timelines to exchanges that hold or keep messages and were stored before they did.
    pub(crate) fn add_missing_timelines(&self, turn: &Turn<'_>) {
        let mut topology = self.topology.write();
        let names: Vec<_> = topology.exchanges().map(|exchange| Arc::clone(&exchange.name)).collect();
        names.iter().for_each(|name| self.add_timeline(turn, &mut topology, name));
    }
}
