//! Confirm mode: which publishes have been confirmed, and which wait for the disk.
//!
//! Publishes are confirmed by the batch that one read brought in, so that one wait on the store and one
//! `basic.ack(multiple)` serve them all. Batches are confirmed strictly in order: an ack with `multiple` says
//! "everything up to here", so a batch that needs no disk waits behind one that does.

use std::collections::VecDeque;

/// A publisher confirm to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Confirm {
    /// basic.ack
    Ack {
        /// The sequence number.
        tag: u64,
        /// Whether all before it are meant too.
        multiple: bool,
    },
    /// basic.nack
    Nack {
        /// The sequence number.
        tag: u64,
        /// Whether all before it are meant too.
        multiple: bool,
    },
}

/// The state of confirm mode on a channel.
#[derive(Debug, Default)]
pub(super) struct Confirms {
    /// The last sequence number given out.
    last: u64,
    /// Everything up to here was confirmed.
    confirmed: u64,
    /// Everything up to here belongs to a batch.
    batched: u64,
    /// Whether the open batch has something that must reach the disk.
    is_durable: bool,
    pending: VecDeque<Batch>,
}

#[derive(Debug)]
struct Batch {
    upto: u64,
    is_durable: bool,
    refused: Vec<u64>,
}

impl Confirms {
    /// The sequence number of the next publish; the first is 1.
    pub(super) fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// The publish numbered last must reach the disk.
    pub(super) fn wait_for_disk(&mut self) {
        self.is_durable = true;
    }

    /// How many publishes have been confirmed, positively or negatively.
    pub(super) fn confirmed(&self) -> u64 {
        self.confirmed
    }

    /// How many publishes await their confirm.
    pub(super) fn unconfirmed(&self) -> u64 {
        self.last - self.confirmed
    }

    /// Closes the open batch, of which queues refused some. Gives the confirms that can be sent now, and, where the
    /// batch must reach the disk, the number to call [`Confirms::committed`] with when it has.
    pub(super) fn close_batch(&mut self, refused: Vec<u64>) -> (Option<u64>, Vec<Confirm>) {
        let is_durable = std::mem::take(&mut self.is_durable);
        if self.batched == self.last {
            return (None, Vec::new());
        }
        self.batched = self.last;
        self.pending.push_back(Batch { upto: self.last, is_durable, refused });
        (is_durable.then_some(self.last), self.release(self.confirmed))
    }

    /// Everything up to `upto` has reached the disk, or never will.
    pub(super) fn committed(&mut self, upto: u64, succeeded: bool) -> Vec<Confirm> {
        let mut confirms = Vec::new();
        if !succeeded {
            while self.pending.pop_front_if(|batch| batch.upto <= upto).is_some() {}
            confirms.extend(self.confirm_through(upto, |tag, multiple| Confirm::Nack { tag, multiple }));
        }
        confirms.extend(self.release(upto));
        confirms
    }

    /// The confirms of all batches at the front that wait for nothing beyond `committed`.
    fn release(&mut self, committed: u64) -> Vec<Confirm> {
        let mut refused = Vec::new();
        let mut upto = self.confirmed;
        while let Some(batch) = self.pending.pop_front_if(|batch| !batch.is_durable || batch.upto <= committed) {
            refused.extend(batch.refused);
            upto = batch.upto;
        }
        // A publish is named once for each queue that refused it.
        refused.sort_unstable();
        refused.dedup();
        let mut confirms: Vec<_> = refused.iter().map(|tag| Confirm::Nack { tag: *tag, multiple: false }).collect();
        let refused_at_end = refused.iter().rev().zip((0..=upto).rev()).take_while(|(tag, last)| *tag == last).count();
        let last_accepted = upto - refused_at_end as u64;
        confirms.extend(self.confirm_through(last_accepted, |tag, multiple| Confirm::Ack { tag, multiple }));
        self.confirmed = upto;
        confirms
    }

    fn confirm_through(&mut self, tag: u64, confirm: fn(u64, bool) -> Confirm) -> Option<Confirm> {
        if tag <= self.confirmed {
            return None;
        }
        let multiple = tag > self.confirmed + 1;
        self.confirmed = tag;
        Some(confirm(tag, multiple))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const fn ack(tag: u64, multiple: bool) -> Confirm {
        Confirm::Ack { tag, multiple }
    }

    const fn nack(tag: u64, multiple: bool) -> Confirm {
        Confirm::Nack { tag, multiple }
    }

    fn publish(confirms: &mut Confirms, count: u64, durable: bool) {
        for _ in 0..count {
            confirms.next();
        }
        if durable {
            confirms.wait_for_disk();
        }
    }

    #[test]
    fn transient_batch_is_confirmed_at_once() {
        let mut confirms = Confirms::default();
        publish(&mut confirms, 1, false);
        assert_eq!(confirms.close_batch(vec![]), (None, vec![ack(1, false)]));
        publish(&mut confirms, 3, false);
        assert_eq!(confirms.unconfirmed(), 3);
        assert_eq!(confirms.close_batch(vec![]), (None, vec![ack(4, true)]));
        assert_eq!(confirms.close_batch(vec![]), (None, vec![]));
        assert_eq!(confirms.unconfirmed(), 0);
    }

    #[test]
    fn transient_batch_does_not_overtake_a_durable_one() {
        let mut confirms = Confirms::default();
        publish(&mut confirms, 2, true);
        assert_eq!(confirms.close_batch(vec![]), (Some(2), vec![]));
        publish(&mut confirms, 2, false);
        assert_eq!(confirms.close_batch(vec![]), (None, vec![]));
        publish(&mut confirms, 1, true);
        assert_eq!(confirms.close_batch(vec![]), (Some(5), vec![]));
        assert_eq!(confirms.committed(2, true), vec![ack(4, true)]);
        assert_eq!(confirms.committed(5, true), vec![ack(5, false)]);
    }

    #[test]
    fn refused_publishes_are_nacked_one_by_one() {
        let mut confirms = Confirms::default();
        publish(&mut confirms, 6, true);
        assert_eq!(confirms.close_batch(vec![6, 2, 5, 2]).0, Some(6));
        let expected = vec![nack(2, false), nack(5, false), nack(6, false), ack(4, true)];
        assert_eq!(confirms.committed(6, true), expected);
        publish(&mut confirms, 2, false);
        assert_eq!(confirms.close_batch(vec![7, 8]), (None, vec![nack(7, false), nack(8, false)]));
        publish(&mut confirms, 2, false);
        assert_eq!(confirms.close_batch(vec![9]), (None, vec![nack(9, false), ack(10, true)]));
    }

    #[test]
    fn failed_commit_nacks_what_waited_for_it() {
        let mut confirms = Confirms::default();
        publish(&mut confirms, 2, true);
        assert_eq!(confirms.close_batch(vec![]).0, Some(2));
        publish(&mut confirms, 1, false);
        assert_eq!(confirms.close_batch(vec![]), (None, vec![]));
        assert_eq!(confirms.committed(2, false), vec![nack(2, true), ack(3, false)]);
        assert_eq!(confirms.unconfirmed(), 0);
    }

    /// A client's view: what it still waits for, and what it was told.
    #[derive(Default)]
    struct Client {
        waiting: BTreeSet<u64>,
        acked: BTreeSet<u64>,
    }

    impl Client {
        fn hear(&mut self, confirms: &[Confirm]) {
            for confirm in confirms {
                let (tag, multiple) = match *confirm {
                    Confirm::Ack { tag, multiple } | Confirm::Nack { tag, multiple } => (tag, multiple),
                };
                assert!(self.waiting.contains(&tag), "{confirm:?} is for nothing");
                let meant: Vec<_> = self.waiting.range(if multiple { 0 } else { tag }..=tag).copied().collect();
                for tag in meant {
                    self.waiting.remove(&tag);
                    if matches!(confirm, Confirm::Ack { .. }) {
                        self.acked.insert(tag);
                    }
                }
            }
        }
    }

    proptest! {
        /// Whatever the batches and however far commits lag behind: no ack before its commit, none for a refused
        /// publish, each publish confirmed once, all in the end.
        #[test]
        fn every_publish_is_confirmed_once(
            batches in proptest::collection::vec((0..5u64, any::<bool>(), any::<u8>(), any::<bool>()), 1..20),
        ) {
            let (mut confirms, mut client) = (Confirms::default(), Client::default());
            let (mut awaited, mut refused, mut undurable) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
            for (count, durable, refused_bits, commits) in batches {
                let first = confirms.last + 1;
                publish(&mut confirms, count, durable && count > 0);
                let tags = first..first + count;
                client.waiting.extend(tags.clone());
                let refused_now: Vec<_> = tags.clone().filter(|tag| refused_bits >> (tag - first) & 1 == 1).collect();
                refused.extend(&refused_now);
                let (upto, ready) = confirms.close_batch(refused_now);
                if upto.is_some() {
                    undurable.extend(tags);
                }
                awaited.extend(upto);
                client.hear(&ready);
                if commits && !awaited.is_empty() {
                    let upto = awaited.remove(0);
                    undurable.retain(|tag| *tag > upto);
                    client.hear(&confirms.committed(upto, true));
                }
                prop_assert!(client.acked.is_disjoint(&undurable) && client.acked.is_disjoint(&refused));
                prop_assert_eq!(confirms.unconfirmed(), client.waiting.len() as u64);
            }
            for upto in awaited {
                client.hear(&confirms.committed(upto, true));
            }
            prop_assert!(client.waiting.is_empty());
        }
    }
}
