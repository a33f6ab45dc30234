//! Runs of byte records in one buffer.
//!
//! A message in memory is a place in such a run: no allocation, no reference count of its own. A run read from disk
//! keeps the value it came in as its buffer. Not taken: `Vec<Bytes>`, which costs 32 bytes and a reference count for
//! each record before its first byte.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

/// An immutable run of byte records, cheap to clone. Records keep the order in which they were added.
///
/// The bytes of one run are limited to 4 GiB.
#[derive(Clone)]
pub struct Records {
    run: Arc<Run>,
}

struct Run {
    data: Bytes,
    /// Where the first record begins: behind the header of a chunk read from disk, else 0.
    start: u32,
    count: u32,
    /// Ends of all records but the last, which ends with `data`: a run of one needs no list.
    inner_ends: Vec<u32>,
}

impl Records {
    /// One record holding `data`.
    pub fn from_one(data: Vec<u8>) -> Self {
        check_size(data.len());
        Self::from_parts(Bytes::from(data), 0, 1, Vec::new())
    }

    pub(crate) fn from_parts(data: Bytes, start: u32, count: u32, inner_ends: Vec<u32>) -> Self {
        Self { run: Arc::new(Run { data, start, count, inner_ends }) }
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.run.count as usize
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.run.count == 0
    }

    /// Bytes of all records together.
    pub fn bytes_len(&self) -> usize {
        self.run.data.len() - self.run.start as usize
    }

    /// The record at `index`.
    ///
    /// # Panics
    /// When `index` is not below [`len`](Self::len), as indexing a slice does.
    pub fn record(&self, index: usize) -> &[u8] {
        &self.run.data[self.range(index)]
    }

    /// The record at `index` as a share of the buffer, without copying.
    ///
    /// # Panics
    /// When `index` is not below [`len`](Self::len).
    pub fn slice(&self, index: usize) -> Bytes {
        self.run.data.slice(self.range(index))
    }

    /// All records in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.len()).map(|index| self.record(index))
    }

    /// The bytes of the records in `picks`, which lie side by side.
    pub(crate) fn bytes_of(&self, picks: Range<u32>) -> &[u8] {
        if picks.is_empty() {
            return &[];
        }
        let first = self.range(picks.start as usize);
        let last = self.range(picks.end as usize - 1);
        &self.run.data[first.start..last.end]
    }

    pub(crate) fn record_len(&self, index: usize) -> usize {
        self.range(index).len()
    }

    fn range(&self, index: usize) -> Range<usize> {
        let run = &*self.run;
        assert!(index < run.count as usize, "record {index} of {}", run.count);
        let start = if index == 0 { run.start } else { run.inner_ends[index - 1] };
        let end = run.inner_ends.get(index).map_or(run.data.len(), |&end| end as usize);
        start as usize..end
    }
}

impl fmt::Debug for Records {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Records").field("len", &self.len()).field("bytes", &self.bytes_len()).finish()
    }
}

fn check_size(bytes: usize) {
    assert!(u32::try_from(bytes).is_ok(), "a run of records is limited to 4 GiB");
}

/// Builds [`Records`] by writing one record after the other into one buffer.
#[derive(Debug, Default)]
pub struct RecordsBuilder {
    data: Vec<u8>,
    count: u32,
    /// Where the last record ends.
    end: u32,
    /// Where those before it end.
    inner_ends: Vec<u32>,
    /// Capacity of the buffer that the last run took along; reserved again with the first byte of the next.
    capacity_hint: usize,
}

impl RecordsBuilder {
    /// An empty builder. Allocates nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The buffer to append the next record's bytes to. What was ended before must not be changed.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        if self.data.capacity() == 0 {
            self.data.reserve(self.capacity_hint);
        }
        &mut self.data
    }

    /// Ends the record: everything appended since the last call is one record.
    ///
    /// # Panics
    /// When the buffer holds more than 4 GiB, or was made shorter than what had been ended.
    pub fn end_record(&mut self) {
        check_size(self.data.len());
        let end = self.data.len() as u32;
        assert!(self.end <= end, "ended records were cut off");
        if self.count > 0 {
            self.inner_ends.push(self.end);
        }
        self.end = end;
        self.count += 1;
    }

    /// How many records have been ended.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether no record has been ended.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of the ended records.
    pub fn bytes_len(&self) -> usize {
        self.end as usize
    }

    /// The records so far; the builder is empty afterwards. Bytes that no `end_record` followed are dropped.
    pub fn finish(&mut self) -> Records {
        let (count, bytes) = (std::mem::take(&mut self.count), std::mem::take(&mut self.end) as usize);
        let mut inner_ends = std::mem::take(&mut self.inner_ends);
        inner_ends.shrink_to_fit();
        Records::from_parts(self.take_data(bytes), 0, count, inner_ends)
    }

    /// A run lives as long as its last message, so it must not hold much more memory than it has bytes: a small run is
    /// copied out of the large buffer, which stays; a run that fills the buffer takes it along.
    fn take_data(&mut self, bytes: usize) -> Bytes {
        if bytes < self.data.capacity() / 2 {
            let exact = Bytes::copy_from_slice(&self.data[..bytes]);
            self.data.clear();
            return exact;
        }
        self.data.truncate(bytes);
        self.capacity_hint = self.data.capacity();
        Bytes::from(std::mem::take(&mut self.data))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn builder_keeps_records_apart() {
        let mut builder = RecordsBuilder::new();
        for record in [&b"one"[..], b"", b"three"] {
            builder.buffer().extend_from_slice(record);
            builder.end_record();
        }
        builder.buffer().extend_from_slice(b"not ended");
        assert_eq!((builder.len(), builder.bytes_len()), (3, 8));
        let records = builder.finish();
        assert!(builder.is_empty());
        assert_eq!(records.iter().collect::<Vec<_>>(), [&b"one"[..], b"", b"three"]);
        assert_eq!(records.bytes_len(), 8);
        assert_eq!(records.bytes_of(1..3), b"three");
        assert_eq!(records.slice(2), "three");
        assert_eq!(builder.finish().len(), 0);
    }

    #[test]
    fn a_small_run_does_not_keep_the_large_buffer() {
        let mut builder = RecordsBuilder::new();
        builder.buffer().reserve(1 << 16);
        builder.buffer().push(7);
        builder.end_record();
        assert_eq!(builder.finish().record(0), [7]);
        assert!(builder.buffer().capacity() >= 1 << 16);
    }

    #[test]
    fn one_record_and_slices_share_the_buffer() {
        let records = Records::from_one(vec![1, 2, 3]);
        let slice = records.slice(0);
        assert_eq!(slice.as_ptr(), records.record(0).as_ptr());
        drop(records);
        assert_eq!(slice, [1, 2, 3][..]);
    }
}
