//! A producer's messages that wait for their confirm.

use std::collections::VecDeque;

/// A message on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    /// Which of the producer's streams it belongs to.
    pub(super) stream: u32,
    pub(super) sequence: u32,
    pub(super) sent_ns: u64,
}

/// Unconfirmed messages by publish tag. Tags count from 1; the broker may confirm them in any order.
#[derive(Debug, Default)]
pub(super) struct Confirms {
    /// How many tags are settled and gone from the front.
    gone: u64,
    waiting: VecDeque<Option<Sent>>,
    unconfirmed: usize,
}

impl Confirms {
    /// Number of messages without a confirm.
    pub(super) fn unconfirmed(&self) -> usize {
        self.unconfirmed
    }

    /// Remembers the message with the next tag.
    pub(super) fn push(&mut self, sent: Sent) {
        self.waiting.push_back(Some(sent));
        self.unconfirmed += 1;
    }

    /// Settles `tag`, with `multiple` also all before it (0: all), and hands each message to `each`.
    /// Says whether the broker was entitled to it: the tag was used, and `tag` itself not settled before.
    pub(super) fn settle(&mut self, tag: u64, multiple: bool, mut each: impl FnMut(Sent)) -> bool {
        let last = self.gone + self.waiting.len() as u64;
        let tag = if multiple && tag == 0 { last } else { tag };
        if tag <= self.gone || tag > last {
            return false;
        }
        let index = (tag - self.gone - 1) as usize;
        let first = if multiple { 0 } else { index };
        let mut settled = false;
        for slot in self.waiting.range_mut(first..=index) {
            settled = slot.is_some();
            if let Some(sent) = slot.take() {
                self.unconfirmed -= 1;
                each(sent);
            }
        }
        self.drop_settled();
        settled
    }

    fn drop_settled(&mut self) {
        while let Some(None) = self.waiting.front() {
            self.waiting.pop_front();
            self.gone += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Confirms {
        let mut confirms = Confirms::default();
        for sequence in 0..3 {
            confirms.push(Sent { stream: 0, sequence, sent_ns: 0 });
        }
        confirms
    }

    fn settle(confirms: &mut Confirms, tag: u64, multiple: bool) -> (bool, Vec<u32>) {
        let mut settled = Vec::new();
        let entitled = confirms.settle(tag, multiple, |sent| settled.push(sent.sequence));
        (entitled, settled)
    }

    #[test]
    fn single_confirms_come_in_any_order() {
        let mut confirms = three();
        assert_eq!(settle(&mut confirms, 2, false), (true, vec![1]));
        assert_eq!(settle(&mut confirms, 3, true), (true, vec![0, 2]));
        assert_eq!(confirms.unconfirmed(), 0);
    }

    #[test]
    fn a_confirm_that_is_not_due_is_noticed() {
        let mut confirms = three();
        assert_eq!(settle(&mut confirms, 4, false), (false, vec![]));
        assert_eq!(settle(&mut confirms, 2, false), (true, vec![1]));
        assert_eq!(settle(&mut confirms, 2, false), (false, vec![]));
        assert_eq!(settle(&mut confirms, 1, false), (true, vec![0]));
        assert_eq!(settle(&mut confirms, 1, false), (false, vec![]));
        assert_eq!(confirms.unconfirmed(), 1);
    }

    #[test]
    fn tag_zero_with_multiple_settles_all() {
        assert_eq!(settle(&mut three(), 0, true), (true, vec![0, 1, 2]));
    }
}
