//! The messages of a level as an ordered list: segments known in memory, and between them ranges that are on disk.

use std::{collections::VecDeque, ops::Range};

use super::segment::Segment;

/// Sequence numbers whose messages are in the store only. All of them are ready, or not there at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OnDisk {
    pub(crate) seqs: Range<u64>,
    /// No message here has an earlier timestamp.
    pub(crate) oldest_ms: u64,
}

/// One stretch of a level.
#[derive(Debug)]
pub(crate) enum Span {
    OnDisk(OnDisk),
    Resident(Box<Segment>),
}

impl Span {
    pub(crate) fn seqs(&self) -> Range<u64> {
        match self {
            Self::OnDisk(on_disk) => on_disk.seqs.clone(),
            Self::Resident(segment) => segment.seqs(),
        }
    }

    pub(crate) fn segment(&self) -> Option<&Segment> {
        match self {
            Self::OnDisk(_) => None,
            Self::Resident(segment) => Some(segment),
        }
    }
}

/// Spans in ascending order. There may be gaps, which hold nothing.
#[derive(Debug, Default)]
pub(crate) struct Spans {
    list: VecDeque<Span>,
}

impl Spans {
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Span> {
        self.list.get(index)
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Span> {
        self.list.iter()
    }

    pub(crate) fn segments(&self) -> impl DoubleEndedIterator<Item = &Segment> {
        self.list.iter().filter_map(Span::segment)
    }

    pub(crate) fn segments_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut Segment> {
        self.list.iter_mut().filter_map(|span| match span {
            Span::OnDisk(_) => None,
            Span::Resident(segment) => Some(&mut **segment),
        })
    }

    /// The segments from the one that holds `seq` or else the next.
    pub(crate) fn segments_from(&mut self, seq: u64) -> impl Iterator<Item = &mut Segment> {
        let from = self.index_of(seq);
        self.list.iter_mut().skip(from).filter_map(|span| match span {
            Span::OnDisk(_) => None,
            Span::Resident(segment) => Some(&mut **segment),
        })
    }

    /// The index of the span that holds `seq`, or else of the next.
    #[inline]
    pub(crate) fn index_of(&self, seq: u64) -> usize {
        // Nearly always at the front: consumers work there.
        match self.list.front() {
            Some(front) if seq < front.seqs().end => 0,
            _ => self.list.partition_point(|span| span.seqs().end <= seq),
        }
    }

    pub(crate) fn segment_at(&mut self, index: usize) -> Option<&mut Segment> {
        match self.list.get_mut(index)? {
            Span::OnDisk(_) => None,
            Span::Resident(segment) => Some(segment),
        }
    }

    /// The segment that holds `seq`, with its index.
    pub(crate) fn find(&mut self, seq: u64) -> Option<(usize, &mut Segment)> {
        let index = self.index_of(seq);
        let segment = self.segment_at(index)?;
        segment.seqs().contains(&seq).then_some((index, segment))
    }

    pub(crate) fn last(&mut self) -> Option<&mut Segment> {
        self.segment_at(self.list.len().checked_sub(1)?)
    }

    pub(crate) fn push(&mut self, span: Span) {
        self.list.push_back(span);
    }

    pub(crate) fn remove(&mut self, index: usize) {
        self.list.remove(index);
    }

    pub(crate) fn has_on_disk(&self) -> bool {
        self.list.iter().any(|span| matches!(span, Span::OnDisk(_)))
    }

    pub(crate) fn remove_on_disk(&mut self) {
        self.list.retain(|span| matches!(span, Span::Resident(_)));
    }

    /// Puts a segment read from the store into the on-disk span at `index`, which it overlaps.
    pub(crate) fn split_in(&mut self, index: usize, segment: Segment) {
        let Some(Span::OnDisk(on_disk)) = self.list.get(index) else { return };
        let OnDisk { seqs, oldest_ms } = on_disk.clone();
        let before = OnDisk { seqs: seqs.start..segment.first_seq.max(seqs.start), oldest_ms };
        let after = OnDisk {
            seqs: segment.end_seq()..seqs.end,
            // Timestamps ascend with sequence numbers, as far as clocks do. The last one says most: what is due by the
            // first one may be settled, and then two pages would push each other out of memory for ever, each looked
            // at for something due.
            oldest_ms: oldest_ms.max(segment.newest_ms()),
        };
        self.list[index] = Span::Resident(Box::new(segment));
        if !after.seqs.is_empty() {
            self.list.insert(index + 1, Span::OnDisk(after));
        }
        if !before.seqs.is_empty() {
            self.list.insert(index, Span::OnDisk(before));
        }
    }

    /// Replaces the segment at `index` by what is in the store.
    pub(crate) fn page_out(&mut self, index: usize) {
        let Some(segment) = self.list.get(index).and_then(Span::segment) else { return };
        let on_disk = OnDisk { seqs: segment.seqs(), oldest_ms: segment.floor.oldest_ms };
        self.list[index] = Span::OnDisk(on_disk);
        self.merge_next(index, false);
        if let Some(previous) = index.checked_sub(1) {
            self.merge_next(previous, false);
        }
    }

    /// Merges all on-disk spans with nothing but gaps between them.
    pub(crate) fn merge_over_gaps(&mut self) {
        for index in (0..self.list.len().saturating_sub(1)).rev() {
            self.merge_next(index, true);
        }
    }

    /// Forgets what is said to be on disk within `seqs`.
    pub(crate) fn void(&mut self, seqs: &Range<u64>) {
        if seqs.is_empty() {
            return;
        }
        let mut index = self.index_of(seqs.start);
        while let Some(span) = self.list.get_mut(index).filter(|span| span.seqs().start < seqs.end) {
            let Span::OnDisk(on_disk) = span else {
                index += 1;
                continue;
            };
            let rest = seqs.end..on_disk.seqs.end;
            let oldest_ms = on_disk.oldest_ms;
            on_disk.seqs.end = on_disk.seqs.end.min(seqs.start);
            if on_disk.seqs.is_empty() {
                self.list.remove(index);
            } else {
                index += 1;
            }
            if !rest.is_empty() {
                self.list.insert(index, Span::OnDisk(OnDisk { seqs: rest, oldest_ms }));
                return;
            }
        }
    }

    fn merge_next(&mut self, index: usize, over_gaps: bool) {
        let (Some(Span::OnDisk(this)), Some(Span::OnDisk(next))) = (self.list.get(index), self.list.get(index + 1))
        else {
            return;
        };
        if over_gaps || this.seqs.end == next.seqs.start {
            self.list[index] = Span::OnDisk(OnDisk {
                seqs: this.seqs.start..next.seqs.end,
                oldest_ms: this.oldest_ms.min(next.oldest_ms),
            });
            self.list.remove(index + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_disk(seqs: Range<u64>) -> Span {
        Span::OnDisk(OnDisk { seqs, oldest_ms: 0 })
    }

    fn shape(spans: &Spans) -> Vec<Range<u64>> {
        spans.iter().map(Span::seqs).collect()
    }

    #[test]
    fn voiding_cuts_and_splits() {
        let mut spans = Spans::default();
        spans.push(on_disk(0..10));
        spans.push(on_disk(20..30));
        spans.void(&(3..5));
        assert_eq!(shape(&spans), [0..3, 5..10, 20..30]);
        spans.void(&(7..22));
        assert_eq!(shape(&spans), [0..3, 5..7, 22..30]);
        spans.void(&(0..u64::MAX));
        assert_eq!(spans.len(), 0);
    }

    #[test]
    fn merging_over_gaps_leaves_one_span() {
        let mut spans = Spans::default();
        for start in [0, 20, 40] {
            spans.push(on_disk(start..start + 5));
        }
        spans.merge_over_gaps();
        assert_eq!(shape(&spans), vec![0..45]);
    }

    #[test]
    fn finds_the_span_or_the_next() {
        let mut spans = Spans::default();
        spans.push(on_disk(5..10));
        spans.push(on_disk(20..30));
        assert_eq!([0, 5, 9, 10, 29, 30].map(|seq| spans.index_of(seq)), [0, 0, 0, 1, 1, 2]);
        assert!(spans.find(7).is_none(), "no segment");
    }
}
