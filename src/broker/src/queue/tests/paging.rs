//! Between memory and disk.

use super::rig::{Message, Rig, TINY, consumer, durable, ids, message, records, with_dlx};
use crate::queue::{
    Admission, Arrivals, Command, Nature, NewConsumerState, Outcome, Settings, Sizing, State, level::Level,
};

const REQUEUE: Outcome = Outcome::Requeue { count_attempt: false };

fn tiny() -> Rig {
    Rig::new(durable(), Settings::default(), TINY)
}

fn backlog(rig: &mut Rig, ids: std::ops::Range<u64>) {
    for id in ids {
        rig.publish_ids(id..id + 1);
        if id % 5 == 0 {
            rig.commit();
        }
    }
    rig.commit();
}

#[test]
fn a_long_queue_needs_no_memory_for_its_middle() {
    let mut rig = tiny();
    backlog(&mut rig, 1..2_000);
    let (spans, resident) = rig.state.levels()[0].residency();
    assert!(spans < 10 && resident < 8, "{spans} spans, {resident} in memory");
    assert_eq!(rig.state.counts().ready, 1_999);
    assert_eq!(rig.drain(), (1..2_000).collect::<Vec<_>>());
    rig.commit();
    assert!(rig.store.chunks.is_empty() && rig.store.marks.is_empty());
}

#[test]
fn unacked_messages_do_not_keep_their_records() {
    let mut rig = tiny();
    rig.apply(Command::Consume(consumer(1)));
    backlog(&mut rig, 1..500);
    let (_, resident) = rig.state.levels()[0].residency();
    assert!(resident < 8, "{resident} in memory");
    let odd: Vec<_> = (1..500).filter(|id| id % 2 == 1).collect();
    let even: Vec<_> = (1..500).filter(|id| id % 2 == 0).collect();
    rig.settle(Some(1), &odd, Outcome::Ack);
    rig.commit();
    rig.apply(Command::Cancel(1));
    rig.settle(Some(1), &even, REQUEUE);
    rig.commit();
    assert_eq!(rig.drain(), even);
}

#[test]
fn rejected_messages_are_read_again_for_their_dead_letter_exchange() {
    let mut rig = Rig::new(durable(), with_dlx(), TINY);
    rig.apply(Command::Consume(consumer(1)));
    backlog(&mut rig, 1..100);
    let rejected: Vec<_> = (1..100).filter(|id| id % 3 == 0).collect();
    let output = rig.settle(Some(1), &rejected, Outcome::Reject);
    assert_eq!(output.dead["rejected"], rejected);
    assert_eq!(rig.state.counts().unacked, 99 - 33);
}

#[test]
fn what_is_settled_before_its_commit_is_never_written() {
    let mut rig = tiny();
    rig.apply(Command::Consume(NewConsumerState { no_ack: true, ..consumer(1) }));
    rig.publish_ids(1..50);
    rig.commit();
    assert!(rig.store.chunks.is_empty());
    rig.apply(Command::Cancel(1));
    rig.publish_ids(50..53);
    rig.apply(Command::Get { no_ack: true });
    rig.commit();
    let live = rig.store.live_records();
    assert_eq!(live.len(), 2);
    assert!(rig.store.marks.is_empty(), "left out, not marked");
}

#[test]
fn a_partly_settled_chunk_has_marks_and_a_settled_one_goes() {
    let mut rig = Rig::plain(Settings::default());
    rig.publish_ids(1..11);
    rig.commit();
    assert_eq!((rig.store.chunks.len(), rig.store.marks.len()), (1, 0));
    (0..10).for_each(|_| assert!(rig.get().is_some()));
    rig.settle(None, &[1, 2, 3, 7], Outcome::Ack);
    rig.commit();
    let marks = rig.store.marks.values().next().expect("marks beside the chunk");
    assert_eq!(marks.settled, [0..3, 6..7]);
    rig.settle(None, &[4, 5, 6, 8, 9, 10], Outcome::Ack);
    rig.commit();
    assert!(rig.store.chunks.is_empty() && rig.store.marks.is_empty());
}

#[test]
fn a_restart_brings_back_what_was_committed_in_order() {
    let mut rig = tiny();
    backlog(&mut rig, 1..40);
    (0..10).for_each(|_| assert!(rig.get().is_some()));
    rig.settle(None, &[2, 5], Outcome::Ack);
    rig.settle(None, &[3], Outcome::Requeue { count_attempt: true });
    rig.commit();
    rig.settle(None, &[9], Outcome::Ack);
    rig.crash();
    assert_eq!(rig.state.counts().ready, 37);
    let output = rig.apply(Command::Consume(consumer(1)));
    let seen = &output.delivered[&1];
    assert_eq!(seen.iter().map(|seen| seen.id).take(5).collect::<Vec<_>>(), [1, 3, 4, 6, 7]);
    assert!(seen.iter().all(|seen| seen.redelivered == (seen.id <= 10)));
    assert!(seen.iter().all(|seen| seen.delivery_count == u32::from(seen.id == 3)));
}

#[test]
fn transient_messages_keep_their_place_among_persistent_ones() {
    let mut rig = tiny();
    let mixed = |id| Message { persistent: id % 3 != 0, ..message(id) };
    for id in 1..100 {
        rig.publish(&[mixed(id)]);
        rig.commit();
    }
    assert_eq!(rig.store.live_records().len(), 66);
    let first: Vec<_> = (0..30).filter_map(|_| rig.get()).collect();
    rig.settle(None, &first, REQUEUE);
    assert_eq!(rig.drain(), (1..100).collect::<Vec<_>>());
}

#[test]
fn a_transient_queue_writes_nothing() {
    let mut rig = Rig::new(Nature { durable: false, ..durable() }, Settings::default(), TINY);
    backlog(&mut rig, 1..100);
    assert!(!rig.dirty && rig.store.logs.is_empty() && rig.store.chunks.is_empty());
    assert_eq!(rig.drain().len(), 99);
}

#[test]
fn a_queue_is_dirty_until_collected_and_awaited_until_settled() {
    let mut rig = Rig::plain(Settings::default());
    rig.publish_ids(1..3);
    rig.next_waiter = 8;
    rig.publish_ids(3..5);
    assert_eq!((rig.dirty, rig.awaited_from), (true, Some(1)));
    assert_eq!((rig.get(), rig.get()), (Some(1), Some(2)));
    rig.settle(None, &[2], Outcome::Ack);
    assert_eq!(rig.awaited_from, Some(1));
    rig.settle(None, &[1], Outcome::Ack);
    assert_eq!(rig.awaited_from, Some(8));
    assert_eq!(rig.drain(), [3, 4]);
    assert_eq!((rig.dirty, rig.awaited_from), (true, None));
    rig.publish_ids(5..7);
    rig.commit();
    assert_eq!((rig.dirty, rig.awaited_from), (false, None));
    rig.apply(Command::Purge);
    assert_eq!((rig.dirty, rig.awaited_from), (true, None));
}

#[test]
fn a_purge_spares_what_is_unacked() {
    let mut rig = tiny();
    backlog(&mut rig, 1..300);
    (0..3).for_each(|_| assert!(rig.get().is_some()));
    assert_eq!(rig.apply(Command::Purge).purged, Some(296));
    rig.commit();
    assert_eq!(rig.store.live_records().len(), 3);
    rig.crash();
    assert_eq!(rig.drain(), [1, 2, 3]);
}

#[test]
fn a_purge_of_unacked_messages_on_disk_reads_and_rewrites_them() {
    let mut rig = tiny();
    rig.apply(Command::Consume(NewConsumerState { prefetch: 100, ..consumer(1) }));
    backlog(&mut rig, 1..300);
    assert_eq!(rig.apply(Command::Purge).purged, Some(199));
    rig.settle(Some(1), &[50], Outcome::Ack);
    rig.commit();
    rig.commit();
    rig.crash();
    assert_eq!(rig.drain(), (1..101).filter(|id| *id != 50).collect::<Vec<_>>());
}

#[test]
fn a_small_part_of_a_large_batch_is_copied() {
    let mut rig = Rig::plain(Settings::default());
    let batch = records(&(0..500).map(|id| Message { body_len: 100, ..message(id) }).collect::<Vec<_>>(), 0);
    let mut actions = Vec::new();
    let mut held_by_queue = |picks| {
        let arrivals = Arrivals { records: batch.clone(), picks, admission: Admission::Judged, awaited_from: 1 };
        rig.state.apply(0, Command::Publish(arrivals), &mut actions);
        actions.clear();
        rig.state.apply(0, Command::Get { no_ack: true }, &mut actions);
        let got = actions.iter().find_map(|action| match action {
            crate::queue::Action::Got(Some(got)) => Some(got.run.records.bytes_len()),
            _ => None,
        });
        rig.state.apply(0, Command::Purge, &mut actions);
        got.expect("it was just published")
    };
    assert_eq!(held_by_queue(vec![0..500]), batch.bytes_len());
    assert_eq!(held_by_queue(vec![100..400]), batch.bytes_len(), "most of it is shared");
    assert_eq!(held_by_queue(vec![3..5]), 2 * batch.record(0).len());
    let every_second = (0..250).map(|pair| pair * 2..pair * 2 + 1).collect();
    assert_eq!(held_by_queue(every_second), 250 * batch.record(0).len(), "scattered messages are put together");
}

#[test]
fn messages_missing_on_disk_do_not_stop_the_queue_and_are_reported() {
    let mut rig = tiny();
    backlog(&mut rig, 1..100);
    rig.crash();
    let lost: Vec<_> = rig.store.chunks.keys().copied().skip(2).take(5).collect();
    lost.iter().for_each(|key| drop(rig.store.chunks.remove(key)));
    let mut missing = 0;
    let mut get = || {
        let output = rig.apply(Command::Get { no_ack: true });
        missing += output.missing;
        output.got[0].map(|(seen, _)| seen.id)
    };
    let left: Vec<_> = std::iter::from_fn(&mut get).collect();
    assert!(left.len() < 99 && left.len() > 50 && left.is_sorted(), "{left:?}");
    assert_eq!(missing, 99 - left.len() as u64);
    assert_eq!(rig.state.counts().ready, 0);
}

#[test]
fn a_get_finds_what_lies_behind_much_that_is_over() {
    let mut rig = tiny();
    let over = |id| Message { expiration_ms: Some(100), ..message(id) };
    rig.publish(&(1..200).map(over).collect::<Vec<_>>());
    rig.publish_ids(200..201);
    rig.commit();
    rig.now_ms += 100;
    assert_eq!(rig.get(), Some(200));
}

#[test]
fn a_consumer_without_limits_empties_a_long_queue() {
    let mut rig = Rig::new(durable(), Settings::default(), Sizing { loads_per_step: 2, ..TINY });
    backlog(&mut rig, 1..200);
    rig.crash();
    let mut output = rig.apply(Command::Consume(consumer(1)));
    assert!(ids(&output, 1).len() < 199, "not all in one step");
    let rest = rig.advance(0);
    let mut all = ids(&output, 1);
    all.extend(ids(&rest, 1));
    assert_eq!(all, (1..200).collect::<Vec<_>>());
    output.delivered.clear();
}

#[test]
fn an_empty_chunk_is_passed_over() {
    let mut rig = tiny();
    backlog(&mut rig, 1..30);
    rig.crash();
    let (log, first_seq) = *rig.store.chunks.keys().nth(1).expect("several chunks");
    rig.store.chunks.insert((log, first_seq), leveret_store::encode_chunk(first_seq, &[]));
    let left = rig.drain();
    assert!(left.len() < 29 && left.is_sorted(), "{left:?}");
    assert_eq!(rig.state.counts().ready, 0);
}

#[test]
fn an_idle_queue_is_small() {
    let bytes = size_of::<State>() + size_of::<Level>();
    assert!(bytes < 1_400, "{bytes} bytes");
}

#[test]
fn a_chunk_that_is_done_with_but_not_yet_deleted_does_not_come_back() {
    let mut rig = Rig::new(durable(), with_dlx(), TINY);
    let expiration_ms = |id| (8..12).contains(&id).then_some(100);
    for id in 0..20 {
        rig.publish(&[Message { expiration_ms: expiration_ms(id), ..message(id) }]);
    }
    rig.commit();
    rig.crash();
    rig.publish_ids(20..21);
    rig.collect();
    assert_eq!(rig.advance(100).dead["expired"], [8, 9, 10, 11]);
    rig.complete();
    let mut output = crate::queue::tests::rig::Output::default();
    for _ in 0..17 {
        rig.step(Command::Get { no_ack: true }, &mut output);
    }
    assert!(output.dead.is_empty(), "expired twice: {:?}", output.dead);
    assert_eq!(rig.state.counts().ready, 0);
}
