//! Expiry of ready and waiting messages, wherever in the level they are.
//!
//! Every segment has a lower bound of when something in it falls due, and so has the level: nearly always nothing is
//! looked at. Messages on disk come up in one of two ways: through the store's due index by their own expiration, and
//! by a queue's TTL in order of age, which is the order of sequence numbers. By age what is in memory waits for what lies
//! before it on disk, where somebody wants it: dead letters are to come in the queue's order.

use std::ops::Range;

use super::{Level, Span};
use crate::queue::{DeliveryRun, totals::Expiry};

/// One search for expired messages over the levels of a queue.
#[derive(Debug)]
pub(crate) struct ExpiryPass {
    /// Whatever is due before this is over.
    pub(crate) before_ms: u64,
    pub(crate) ttl_ms: Option<u64>,
    /// Whether the messages are wanted for a dead-letter exchange.
    pub(crate) keeps_runs: bool,
    /// The expired messages.
    pub(crate) runs: Vec<DeliveryRun>,
}

impl Level {
    /// The earliest that something may fall due in memory or by age, or has waited long enough; `u64::MAX` is never. Lower
    /// bound.
    pub(crate) fn next_due_ms(&self, ttl_ms: Option<u64>) -> u64 {
        self.hint.due_ms(ttl_ms).min(self.disk_due_ms).min(self.waiting.first_ms())
    }

    /// Whether the store's due index is to be asked.
    pub(crate) fn wants_due_index(&self, now_ms: u64) -> bool {
        self.disk_due_ms <= now_ms
    }

    /// The first entry of the store's due index that was not read yet.
    pub(crate) fn due_from(&self) -> (u64, u64) {
        self.due_from
    }

    /// Removes expired messages. Where the earliest are not in memory, the sequence number to load from.
    pub(crate) fn expire(&mut self, pass: &mut ExpiryPass) -> Option<u64> {
        if self.hint.due_ms(pass.ttl_ms) >= pass.before_ms {
            return None;
        }
        let mut hint = Expiry::NEVER;
        let mut absent = None;
        let mut from_seq = 0;
        while let Some(span) = self.spans.get(self.spans.index_of(from_seq)) {
            let seqs = span.seqs();
            let bound = match span {
                Span::OnDisk(on_disk) => Expiry { own_due_ms: u64::MAX, oldest_ms: on_disk.oldest_ms },
                Span::Resident(segment) => segment.floor,
            };
            let is_due = bound.due_ms(pass.ttl_ms) < pass.before_ms;
            let load_from = match span {
                Span::OnDisk(on_disk) => Some(on_disk.seqs.start),
                Span::Resident(segment) => (!segment.has_data()).then_some(segment.key),
            };
            hint.merge(match (is_due, load_from) {
                (true, None) if absent.is_none() || !pass.keeps_runs => self.expire_segment(&seqs, pass),
                _ => bound,
            });
            if is_due {
                absent = absent.or(load_from);
            }
            from_seq = seqs.end;
        }
        self.hint = hint;
        absent
    }

    /// Removes expired messages of one segment; the bound of what stays.
    fn expire_segment(&mut self, seqs: &Range<u64>, pass: &mut ExpiryPass) -> Expiry {
        let mut expired: Vec<(Range<u64>, bool)> = Vec::new();
        let mut floor = Expiry::NEVER;
        let parts = self.parts_to_expire(seqs.start);
        let Some((_, segment)) = self.spans.find(seqs.start) else { return floor };
        for (part, waits) in parts {
            segment.for_each_due(part, |seq, expiry| {
                if expiry.due_ms(pass.ttl_ms) >= pass.before_ms {
                    floor.merge(expiry);
                } else {
                    match expired.last_mut() {
                        Some((last, last_waits)) if last.end == seq && !waits && !*last_waits => last.end += 1,
                        _ => expired.push((seq..seq + 1, waits)),
                    }
                }
            });
        }
        segment.floor = floor;
        let is_never_due = floor.own_due_ms == u64::MAX && segment.unacked.count == 0;
        let key = segment.key;
        if is_never_due && let Some(entry_ms) = segment.due_key_ms.take() {
            self.move_due(key, Some(entry_ms), None);
        }
        for (part, waits) in expired {
            if pass.keeps_runs {
                self.runs(part.clone(), &mut pass.runs);
            }
            if waits {
                self.discard_waiting(part.start);
            } else {
                self.discard(part);
            }
        }
        floor
    }

    /// What of a segment can expire, in order, and whether it waits.
    fn parts_to_expire(&self, seq: u64) -> Vec<(Range<u64>, bool)> {
        let mut parts: Vec<_> = self.ready_parts(seq).into_iter().map(|part| (part, false)).collect();
        let segment = self.spans.get(self.spans.index_of(seq)).and_then(Span::segment);
        if let Some(segment) = segment.filter(|segment| segment.waiting.count > 0) {
            parts.extend(segment.waiting_in(segment.seqs()).map(|(seq, _)| (seq..seq + 1, true)));
            parts.sort_unstable_by_key(|(part, _)| part.start);
        }
        parts
    }
}
