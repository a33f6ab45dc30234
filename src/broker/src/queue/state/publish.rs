//! New messages.

use std::ops::Range;

use leveret_store::{Records, RecordsBuilder};

use super::{Action, Admission, Arrivals, DeadLetterReason, State};
use crate::{
    message::{Prefix, body_len},
    queue::{
        DeliveryRun, Overflow, Position,
        segment::{Arrival, expiry_of},
        totals::Totals,
    },
};

/// A message whose place is not in the queue.
const NO_SEQ: u64 = u64::MAX;

/// A queue copies what it takes of a batch when it takes less than one part in this many of its bytes: otherwise a
/// few messages that stay would keep the whole batch in memory.
const SHARE_PART_MIN: usize = 4;

/// Messages scattered over a batch in runs shorter than this on average are copied together: they are then delivered,
/// written and settled as one run.
const SHARE_RUN_MIN: usize = 4;

impl State {
    pub(super) fn publish(&mut self, now_ms: u64, arrivals: &Arrivals, actions: &mut Vec<Action>) {
        if self.may_refuse(arrivals) {
            return self.publish_judged(now_ms, arrivals, actions);
        }
        let compact = self.compact(arrivals);
        let Arrivals { records, picks, awaited_from, .. } = compact.as_ref().unwrap_or(arrivals);
        for picks in picks {
            self.append(records, picks.clone(), *awaited_from);
        }
        self.expire(now_ms, false, actions);
        // What is due at once may still be delivered at once.
        self.serve(now_ms, actions);
    }

    /// Messages one by one, where the queue refuses what it has no room for. A message that a consumer takes at once
    /// needs no room.
    fn publish_judged(&mut self, now_ms: u64, arrivals: &Arrivals, actions: &mut Vec<Action>) {
        let compact = self.compact(arrivals);
        let stored = compact.as_ref().unwrap_or(arrivals);
        let mut rejected: Vec<Range<u32>> = Vec::new();
        for (index, place) in indexes(arrivals).zip(indexes(stored)) {
            self.append(&stored.records, place..place + 1, arrivals.awaited_from);
            self.expire(now_ms, false, actions);
            self.serve(now_ms, actions);
            if self.is_too_long() && self.withdraw(&stored.records, place) {
                match rejected.last_mut() {
                    Some(last) if last.end == index => last.end += 1,
                    _ => rejected.push(index..index + 1),
                }
            }
        }
        if rejected.is_empty() {
            return;
        }
        if self.settings.overflow == Overflow::RejectPublishDlx && self.settings.dead_letter_exchange.is_some() {
            let runs = rejected.iter().map(|range| refused_run(&arrivals.records, range)).collect();
            actions.push(Action::DeadLetter { reason: DeadLetterReason::MaxLen, runs });
        }
        actions.push(Action::Rejected(rejected));
    }

    /// Whether the queue would take so many messages more, all together. Where nothing waits and the consumers have
    /// credit for all of them they need no room; credit for a part of them is not counted.
    #[must_use]
    pub fn has_room(&self, count: u64, body_bytes: u64) -> bool {
        if self.settings.overflow == Overflow::DropHead {
            return true;
        }
        let ready = self.ready();
        let mut length = ready;
        length += Totals { count, bytes: body_bytes };
        !self.exceeds_limits(length) || ready.count == 0 && self.consumers.credit() >= count
    }

    fn may_refuse(&self, arrivals: &Arrivals) -> bool {
        if self.settings.overflow == Overflow::DropHead || arrivals.admission == Admission::Granted {
            return false;
        }
        let mut length = self.ready();
        for index in indexes(arrivals) {
            length += Totals { count: 1, bytes: body_len(arrivals.records.record(index as usize)) };
        }
        self.exceeds_limits(length)
    }

    fn withdraw(&mut self, records: &Records, index: u32) -> bool {
        let level = Prefix::parse(records.record(index as usize)).map_or(0, |prefix| self.level_for(prefix));
        self.level_mut(level).withdraw_newest()
    }

    /// A copy of what is picked, where sharing the batch would cost more.
    fn compact(&self, arrivals: &Arrivals) -> Option<Arrivals> {
        let Arrivals { records, picks, admission, awaited_from } = arrivals;
        let picked: usize = picks.iter().map(ExactSizeIterator::len).sum();
        if picked == records.len() || records.bytes_len() <= self.sizing.share_bytes {
            return None;
        }
        let lens = indexes(arrivals).map(|index| records.record(index as usize).len());
        let is_small_part = lens.sum::<usize>() < records.bytes_len() / SHARE_PART_MIN;
        let is_scattered = picked < picks.len() * SHARE_RUN_MIN && picks.len() > 1;
        (is_small_part || is_scattered).then(|| {
            let mut builder = RecordsBuilder::new();
            for index in indexes(arrivals) {
                builder.buffer().extend_from_slice(records.record(index as usize));
                builder.end_record();
            }
            let records = builder.finish();
            let count = u32::try_from(records.len()).unwrap_or(u32::MAX);
            Arrivals { records, picks: vec![0..count], admission: *admission, awaited_from: *awaited_from }
        })
    }

    /// Appends records, cut where level or persistence changes and where a segment is full.
    fn append(&mut self, records: &Records, picks: Range<u32>, awaited_from: u64) {
        let mut run: Option<(u8, Arrival)> = None;
        for index in picks {
            let record = records.record(index as usize);
            let prefix = Prefix::parse(record);
            let level = prefix.map_or(0, |prefix| self.level_for(prefix));
            let nature = self.nature;
            let persistent = nature.durable && prefix.is_some_and(|prefix| nature.kind.keeps(prefix.persistent));
            let body_bytes = body_len(record);
            match &mut run {
                Some((run_level, arrival))
                    if *run_level == level
                        && arrival.persistent == persistent
                        && arrival.record_bytes + record.len() <= self.sizing.segment_bytes =>
                {
                    arrival.picks.end = index + 1;
                    arrival.body_bytes += body_bytes;
                    arrival.record_bytes += record.len();
                    arrival.expiry.merge(expiry_of(record));
                }
                _ => {
                    let next = Arrival {
                        records: records.clone(),
                        picks: index..index + 1,
                        persistent,
                        body_bytes,
                        record_bytes: record.len(),
                        expiry: expiry_of(record),
                    };
                    if let Some((level, arrival)) = run.replace((level, next)) {
                        self.append_run(level, arrival, awaited_from);
                    }
                }
            }
        }
        if let Some((level, arrival)) = run {
            self.append_run(level, arrival, awaited_from);
        }
    }

    fn append_run(&mut self, level: u8, arrival: Arrival, awaited_from: u64) {
        let sizing = self.sizing;
        self.level_mut(level).append(arrival, awaited_from, &sizing);
    }

    fn level_for(&self, prefix: Prefix) -> u8 {
        prefix.priority.min(self.nature.max_priority.unwrap_or(0))
    }
}

fn indexes(arrivals: &Arrivals) -> impl Iterator<Item = u32> + '_ {
    arrivals.picks.iter().cloned().flatten()
}

fn refused_run(records: &Records, range: &Range<u32>) -> DeliveryRun {
    DeliveryRun {
        records: records.clone(),
        first: range.start,
        count: range.end - range.start,
        position: Position { level: 0, seq: NO_SEQ },
        redelivered: false,
        delivery_count: 0,
        acquired_count: 0,
    }
}
