//! A segment: the messages of one on-disk chunk, while they are known in memory.

use std::{collections::BTreeMap, ops::Range};

use leveret_store::{Marks, Piece, Records, Returned, StoredChunk};

use super::{
    pieces::{Pieces, continues, for_each_record, piece_at, piece_end, pieces_of, record_index},
    settled::Settled,
    spans::Span,
    totals::{Expiry, Totals},
};
use crate::message::{Prefix, body_len};

/// Consecutive records of a batch that go to one level and are alike in persistence, with what is known of them.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) records: Records,
    pub(crate) picks: Range<u32>,
    pub(crate) persistent: bool,
    pub(crate) body_bytes: u64,
    pub(crate) record_bytes: usize,
    pub(crate) expiry: Expiry,
}

impl Arrival {
    pub(crate) fn totals(&self) -> Totals {
        Totals { count: self.picks.len() as u64, bytes: self.body_bytes }
    }
}

/// Contiguous sequence numbers of one level, all persistent or all transient, with what is settled among them.
///
/// The records are shared with the batches they came in. They may be dropped while messages are unacked and found again
/// in the store; the lengths stay, because counters are in bytes too.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) first_seq: u64,
    count: u32,
    pub(crate) persistent: bool,
    /// No more messages are appended.
    pub(crate) sealed: bool,
    /// The commit with which the chunk was written; 0 for never. See [`super::level::Level`] on epochs.
    pub(crate) written_epoch: u64,
    /// The commit that last had, or will have, something to say about the chunk's marks.
    pub(crate) changed_epoch: u64,
    /// The chunk's name in the store, once written: the first sequence number in it.
    pub(crate) key: u64,
    /// The entry of the due index that stands for the chunk.
    pub(crate) due_key_ms: Option<u64>,
    data: Data,
    /// Record bytes.
    pub(crate) bytes: usize,
    settled: Settled,
    /// Not settled.
    pub(crate) live: Totals,
    /// Of these, handed out.
    pub(crate) unacked: Totals,
    /// Of these, held by nobody: they wait until they may be tried again.
    pub(crate) waiting: Totals,
    /// What is known of the messages that came back.
    returned: BTreeMap<u64, Returned>,
    /// Lower bound over all messages.
    pub(crate) expiry: Expiry,
    /// Lower bound over ready and waiting messages.
    pub(crate) floor: Expiry,
}

/// A segment without its records, in its place in the list.
const SEGMENT_BYTES: usize = size_of::<Segment>() + size_of::<Span>();

/// The buffer that a piece may be the only one to use, without the records: counts of references, where the records are,
/// and what their allocation loses.
const BUFFER_BYTES: usize = 144;

#[derive(Debug)]
enum Data {
    /// Ascending; what lies between is settled.
    Pieces(Pieces),
    /// Body lengths by index.
    Lengths(Box<[u32]>),
}

/// Messages that lie side by side in a buffer and have their facts in common.
#[derive(Clone, Debug)]
pub(crate) struct Stretch {
    pub(crate) records: Records,
    pub(crate) first: u32,
    pub(crate) count: u32,
    pub(crate) seq: u64,
    pub(crate) returned: Returned,
}

impl Stretch {
    pub(crate) fn body_len(&self, index: u32) -> u64 {
        body_len(self.records.record((self.first + index) as usize))
    }

    /// Of the one message that it begins with.
    pub(crate) fn totals_of_first(&self) -> Totals {
        Totals { count: 1, bytes: self.body_len(0) }
    }
}

impl Segment {
    pub(crate) fn new(first_seq: u64, persistent: bool) -> Self {
        Self {
            first_seq,
            count: 0,
            persistent,
            sealed: false,
            written_epoch: 0,
            changed_epoch: 0,
            key: first_seq,
            due_key_ms: None,
            data: Data::Pieces(Pieces::new()),
            bytes: 0,
            settled: Settled::default(),
            live: Totals::default(),
            unacked: Totals::default(),
            waiting: Totals::default(),
            returned: BTreeMap::new(),
            expiry: Expiry::NEVER,
            floor: Expiry::NEVER,
        }
    }

    /// A segment from the store, with its marks applied; all that is not settled is ready or waiting. `None` for an empty
    /// chunk.
    pub(crate) fn from_stored(chunk: &StoredChunk, written_epoch: u64) -> Option<Self> {
        let last_seq = *chunk.seqs.last()?;
        let mut segment = Self::new(chunk.first_seq, chunk.persistent);
        segment.count = u32::try_from(last_seq.checked_sub(chunk.first_seq)? + 1).ok()?;
        segment.sealed = true;
        segment.written_epoch = written_epoch;
        segment.changed_epoch = written_epoch;
        segment.refill(chunk);
        segment.settle_gaps();
        for settled in &chunk.marks.settled {
            let clipped = settled.start.max(segment.first_seq)..settled.end.min(segment.end_seq());
            if !clipped.is_empty() {
                segment.settled.insert(segment.indexes(clipped));
            }
        }
        segment.take_returned(&chunk.marks);
        segment.expiry = segment.expiry_of_all();
        segment.floor = segment.expiry;
        // There is an entry for this or an earlier time; by what is settled there need not be one any more.
        segment.due_key_ms = segment.first_due_of_live();
        segment.live = segment.count_clear();
        Some(segment)
    }

    /// What the marks say of messages that came back and are not settled. Those that wait are set aside.
    fn take_returned(&mut self, marks: &Marks) {
        for &(seq, returned) in &marks.returned {
            if self.next_live(seq, seq.saturating_add(1)) != seq {
                continue;
            }
            let known = self.returned.insert(seq, returned);
            if returned.waits_until_ms > 0 && known.is_none_or(|known| known.waits_until_ms == 0) {
                let totals = self.totals(seq..seq + 1);
                self.unacked += totals;
                self.waiting += totals;
            }
        }
    }

    pub(crate) fn end_seq(&self) -> u64 {
        self.first_seq + u64::from(self.count)
    }

    /// Whether it belongs to a commit to come.
    pub(crate) fn is_unwritten(&self) -> bool {
        self.persistent && self.written_epoch == 0
    }

    /// Whether it is transient and the store has never seen it.
    pub(crate) fn is_in_memory_only(&self) -> bool {
        !self.persistent && self.written_epoch == 0
    }

    pub(crate) fn seqs(&self) -> Range<u64> {
        self.first_seq..self.end_seq()
    }

    /// Ready messages.
    pub(crate) fn ready(&self) -> Totals {
        let mut ready = self.live;
        ready -= self.unacked;
        ready
    }

    pub(crate) fn has_data(&self) -> bool {
        matches!(self.data, Data::Pieces(_))
    }

    /// What it takes in memory, about.
    pub(crate) fn memory_bytes(&self) -> usize {
        let of_data = match &self.data {
            Data::Pieces(pieces) => {
                let in_segment = if pieces.spilled() { 0 } else { pieces.inline_size() };
                let places = pieces.capacity() - in_segment;
                self.bytes + pieces.len() * BUFFER_BYTES + places * size_of::<Piece>()
            }
            Data::Lengths(lengths) => size_of_val(&**lengths),
        };
        SEGMENT_BYTES + of_data
    }

    pub(crate) fn append(&mut self, arrival: Arrival) {
        let picked = arrival.picks.end - arrival.picks.start;
        self.live += arrival.totals();
        self.bytes += arrival.record_bytes;
        self.expiry.merge(arrival.expiry);
        self.floor.merge(arrival.expiry);
        if let Data::Pieces(pieces) = &mut self.data {
            match pieces.last_mut() {
                Some(last) if continues(last, &arrival.records, arrival.picks.start) => {
                    last.picks.end = arrival.picks.end;
                }
                _ => pieces.push(Piece {
                    records: arrival.records,
                    picks: arrival.picks,
                    first_seq: self.first_seq + u64::from(self.count),
                }),
            }
        }
        self.count += picked;
    }

    /// The next message at or after `seq` that is not settled; `end` if there is none before it.
    pub(crate) fn next_live(&self, seq: u64, end: u64) -> u64 {
        let within = seq.max(self.first_seq)..end.min(self.end_seq());
        if within.is_empty() {
            return end;
        }
        let indexes = self.indexes(within.clone());
        let found = self.settled.next_clear(indexes.start, indexes.end);
        if found == indexes.end { end } else { self.first_seq + u64::from(found) }
    }

    /// The next message at or after `seq` that is neither settled nor waiting; `end` if there is none before it.
    pub(crate) fn next_in_turn(&self, seq: u64, end: u64) -> u64 {
        let mut next = self.next_live(seq, end);
        while self.waiting.count > 0 && next < end && self.waiting_in(next..next + 1).next().is_some() {
            next = self.next_live(next + 1, end);
        }
        next
    }

    /// The unsettled parts of `seqs`, ascending.
    pub(crate) fn live_parts(&self, seqs: Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
        let within = seqs.start.max(self.first_seq)..seqs.end.min(self.end_seq());
        let indexes = if within.is_empty() { 0..0 } else { self.indexes(within) };
        let mut from = indexes.start;
        std::iter::from_fn(move || {
            let start = self.settled.next_clear(from, indexes.end);
            from = self.settled.next_set(start, indexes.end);
            let seq = |index| self.first_seq + u64::from(index);
            (start < indexes.end).then(|| seq(start)..seq(from))
        })
    }

    /// The messages from `seq` on that can be handed out together, up to `end`. `None` without data, or where there is
    /// no unsettled message at `seq`.
    pub(crate) fn stretch(&self, seq: u64, end: u64) -> Option<Stretch> {
        let Data::Pieces(pieces) = &self.data else { return None };
        let piece = piece_at(pieces, seq)?;
        let live = self.live_parts(seq..end.min(piece_end(piece))).next().filter(|part| part.start == seq)?;
        let (returned, end) = self.returned_at(seq, live.end);
        Some(Stretch {
            records: piece.records.clone(),
            first: record_index(piece, seq),
            count: u32::try_from(end - seq).unwrap_or(u32::MAX),
            seq,
            returned,
        })
    }

    /// Body bytes of the messages `seqs`, all of which lie in the segment.
    pub(crate) fn totals(&self, seqs: Range<u64>) -> Totals {
        let bytes = match &self.data {
            Data::Pieces(pieces) => {
                let mut bytes = 0;
                for_each_record(pieces, seqs.clone(), |_, record| bytes += body_len(record));
                bytes
            }
            Data::Lengths(lengths) => {
                let indexes = self.indexes(seqs.clone());
                let lengths = &lengths[indexes.start as usize..indexes.end as usize];
                lengths.iter().map(|length| u64::from(*length)).sum()
            }
        };
        Totals { count: seqs.end - seqs.start, bytes }
    }

    /// Settles unsettled messages. `totals` are theirs.
    pub(crate) fn settle(&mut self, seqs: Range<u64>, totals: Totals) {
        let indexes = self.indexes(seqs.clone());
        self.settled.insert(indexes);
        self.live -= totals;
        while let Some((seq, _)) = self.returned.range(seqs.clone()).next() {
            let seq = *seq;
            self.returned.remove(&seq);
        }
    }

    /// A message came back; what is known of it now.
    pub(crate) fn count_return(&mut self, seq: u64, has_failed: bool, counts_all: bool) -> Returned {
        let returned = self.returned.entry(seq).or_default();
        returned.delivery_count = returned.delivery_count.saturating_add(u32::from(has_failed));
        returned.acquired_count = returned.acquired_count.saturating_add(u32::from(counts_all));
        *returned
    }

    /// Whether it knows of any message that came back.
    pub(crate) fn has_returned(&self) -> bool {
        !self.returned.is_empty()
    }

    /// A message that was handed out waits from now on.
    pub(crate) fn wait(&mut self, seq: u64, until_ms: u64, totals: Totals) {
        self.returned.entry(seq).or_default().waits_until_ms = until_ms;
        self.waiting += totals;
    }

    /// A message that waits does so no more: it is handed out, as far as the segment is concerned. When its time was to
    /// come; `None` for one that does not wait.
    pub(crate) fn end_wait(&mut self, seq: u64, totals: Totals) -> Option<u64> {
        let returned = self.returned.get_mut(&seq).filter(|returned| returned.waits_until_ms > 0)?;
        self.waiting -= totals;
        Some(std::mem::take(&mut returned.waits_until_ms))
    }

    /// The messages of `seqs` that wait, and until when.
    pub(crate) fn waiting_in(&self, seqs: Range<u64>) -> impl Iterator<Item = (u64, u64)> + '_ {
        let of_none = seqs.start..seqs.start;
        let waiting = self.returned.range(if self.waiting.count == 0 { of_none } else { seqs });
        waiting.map(|(seq, returned)| (*seq, returned.waits_until_ms)).filter(|(_, until_ms)| *until_ms > 0)
    }

    /// The earliest that a message is no longer to wait.
    pub(crate) fn first_wait_ms(&self) -> Option<u64> {
        self.waiting_in(self.seqs()).map(|(_, until_ms)| until_ms).min()
    }

    /// Collects the parts of `seqs` that are neither settled nor waiting, ascending.
    pub(crate) fn parts_in_turn(&self, seqs: Range<u64>, parts: &mut Vec<Range<u64>>) {
        for live in self.live_parts(seqs) {
            let mut from = live.start;
            for (seq, _) in self.waiting_in(live.clone()) {
                parts.extend(Some(from..seq).filter(|part| !part.is_empty()));
                from = seq + 1;
            }
            parts.extend(Some(from..live.end).filter(|part| !part.is_empty()));
        }
    }

    /// The due times under `ttl_ms` of the messages `seqs`, which are unsettled. Nothing without data.
    pub(crate) fn for_each_due(&self, seqs: Range<u64>, mut visit: impl FnMut(u64, Expiry)) {
        let Data::Pieces(pieces) = &self.data else { return };
        for_each_record(pieces, seqs, |seq, record| visit(seq, expiry_of(record)));
    }

    /// The timestamp of the last message; 0 without data.
    pub(crate) fn newest_ms(&self) -> u64 {
        let Data::Pieces(pieces) = &self.data else { return 0 };
        let last = pieces.last().and_then(|piece| Some(piece.records.record(piece.picks.end.checked_sub(1)? as usize)));
        last.and_then(Prefix::parse).map_or(0, |prefix| prefix.timestamp_ms)
    }

    /// The earliest that an unsettled message falls due, by its own expiration or because it has waited long enough.
    pub(crate) fn first_due_of_live(&self) -> Option<u64> {
        let mut expiry = Expiry::NEVER;
        if self.expiry.own_due_ms != u64::MAX {
            for part in self.live_parts(self.seqs()) {
                self.for_each_due(part, |_, of_one| expiry.merge(of_one));
            }
        }
        let own_due_ms = Some(expiry.own_due_ms).filter(|due_ms| *due_ms != u64::MAX);
        own_due_ms.into_iter().chain(self.first_wait_ms()).min()
    }

    /// The unsettled records, as a chunk is written.
    pub(crate) fn live_pieces(&self) -> Vec<Piece> {
        let Data::Pieces(pieces) = &self.data else { return Vec::new() };
        let mut live = Vec::with_capacity(pieces.len());
        for piece in pieces {
            for part in self.live_parts(piece.first_seq..piece_end(piece)) {
                let first = record_index(piece, part.start);
                live.push(Piece {
                    records: piece.records.clone(),
                    picks: first..first + u32::try_from(part.end - part.start).unwrap_or(u32::MAX),
                    first_seq: part.start,
                });
            }
        }
        live
    }

    /// What stands beside the chunk.
    pub(crate) fn marks(&self) -> Marks {
        let settled = self.settled.ranges(self.count).into_iter();
        let seq = |index| self.first_seq + u64::from(index);
        Marks {
            settled: settled
                .map(|range| seq(range.start).max(self.key)..seq(range.end))
                .filter(|range| !range.is_empty())
                .collect(),
            returned: self.returned.iter().map(|(seq, returned)| (*seq, *returned)).collect(),
        }
    }

    /// Lets go of the records; the lengths stay.
    pub(crate) fn drop_data(&mut self) {
        let Data::Pieces(pieces) = &self.data else { return };
        let mut lengths = vec![0; self.count as usize].into_boxed_slice();
        for_each_record(pieces, self.seqs(), |seq, record| {
            lengths[(seq - self.first_seq) as usize] = u32::try_from(body_len(record)).unwrap_or(u32::MAX);
        });
        self.data = Data::Lengths(lengths);
    }

    /// Takes the records of `chunk`; what is settled is known better here than there.
    pub(crate) fn refill(&mut self, chunk: &StoredChunk) {
        self.data = Data::Pieces(pieces_of(chunk));
        self.bytes = chunk.records.bytes_len();
    }

    fn indexes(&self, seqs: Range<u64>) -> Range<u32> {
        let index = |seq: u64| u32::try_from(seq - self.first_seq).unwrap_or(u32::MAX);
        index(seqs.start)..index(seqs.end)
    }

    /// What is known of the message at `seq` that came back, and up to where it is the same.
    fn returned_at(&self, seq: u64, end: u64) -> (Returned, u64) {
        if self.returned.is_empty() {
            return (Returned::default(), end);
        }
        let returned = |seq: &u64| self.returned.get(seq).copied();
        let same = returned(&seq);
        let until = match same {
            None => self.returned.range(seq..end).next().map(|(counted, _)| *counted),
            Some(_) => (seq + 1..end).find(|next| returned(next) != same),
        };
        (same.unwrap_or_default(), until.unwrap_or(end))
    }

    /// Between the records of a stored chunk were transient messages, or such as were settled before it was written.
    fn settle_gaps(&mut self) {
        let Data::Pieces(pieces) = &self.data else { return };
        let mut from = self.first_seq;
        for piece in pieces {
            if from < piece.first_seq {
                let gap = from - self.first_seq..piece.first_seq - self.first_seq;
                let index = |at: u64| u32::try_from(at).unwrap_or(u32::MAX);
                self.settled.insert(index(gap.start)..index(gap.end));
            }
            from = piece_end(piece);
        }
    }

    fn expiry_of_all(&self) -> Expiry {
        let mut expiry = Expiry::NEVER;
        self.for_each_due(self.seqs(), |_, of_one| expiry.merge(of_one));
        expiry
    }

    fn count_clear(&self) -> Totals {
        let mut clear = Totals::default();
        for part in self.live_parts(self.seqs()) {
            clear += self.totals(part);
        }
        clear
    }
}

/// When a record falls due. One that cannot be read does not.
pub(crate) fn expiry_of(record: &[u8]) -> Expiry {
    Prefix::parse(record)
        .map_or(Expiry::NEVER, |prefix| Expiry { own_due_ms: prefix.due_ms(), oldest_ms: prefix.timestamp_ms })
}
