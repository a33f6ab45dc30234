//! Messages that came back and wait for their next try.

use super::rig::{Message, Rig, TINY, consumer, durable, ids, message, with_dlx};
use crate::queue::{
    Backoff, Command, DelayedRetry, DelayedReturns, NewConsumerState, Outcome, Overflow, Settings, Sizing,
};

const FAILED: Outcome = Outcome::Requeue { count_attempt: true };
const RETURNED: Outcome = Outcome::Requeue { count_attempt: false };

fn delayed(returns: DelayedReturns) -> Settings {
    let backoff = Backoff::Linear { min_ms: 100, max_ms: 250 };
    Settings { delayed_retry: Some(DelayedRetry { returns, backoff }), ..with_dlx() }
}

fn with_consumer(settings: Settings, prefetch: u32) -> Rig {
    let mut rig = Rig::plain(settings);
    rig.apply(Command::Consume(NewConsumerState { prefetch, ..consumer(1) }));
    rig
}

#[test]
fn a_retry_waits_gives_its_credit_back_and_returns_to_its_place() {
    let mut rig = with_consumer(delayed(DelayedReturns::Failed), 1);
    rig.publish_ids(1..4);
    let output = rig.settle(Some(1), &[1], FAILED);
    assert_eq!(ids(&output, 1), [2], "the credit is free for the next");
    let counts = rig.state.counts();
    assert_eq!((counts.ready, counts.unacked, counts.waiting, counts.waiting_bytes), (1, 1, 1, 8));
    assert!(rig.advance(99).delivered.is_empty());
    rig.advance(1);
    assert_eq!(rig.state.counts().ready, 2);
    let output = rig.settle(Some(1), &[2], Outcome::Ack);
    let again = output.delivered[&1][0];
    assert_eq!((again.id, again.redelivered, again.delivery_count, again.acquired_count), (1, true, 1, 1));
}

#[test]
fn delays_grow_until_the_limit_and_then_the_message_is_dead() {
    let settings = Settings { delivery_limit: Some(3), ..delayed(DelayedReturns::All) };
    let mut rig = with_consumer(settings, 1);
    rig.publish_ids(1..2);
    for delay_ms in [100, 200, 250] {
        assert!(rig.settle(Some(1), &[1], FAILED).delivered.is_empty());
        assert!(rig.advance(delay_ms - 1).delivered.is_empty());
        assert_eq!(ids(&rig.advance(1), 1), [1]);
    }
    assert_eq!(rig.settle(Some(1), &[1], FAILED).dead["delivery_limit"], [1]);
}

#[test]
fn a_plain_return_waits_only_where_it_is_delayed() {
    let mut rig = with_consumer(delayed(DelayedReturns::Failed), 1);
    rig.publish_ids(1..2);
    let output = rig.settle(Some(1), &[1], RETURNED);
    let again = output.delivered[&1][0];
    assert_eq!((again.delivery_count, again.acquired_count), (0, 1));
    let mut rig = with_consumer(delayed(DelayedReturns::Returned), 1);
    rig.publish_ids(1..2);
    assert!(rig.settle(Some(1), &[1], RETURNED).delivered.is_empty());
    assert_eq!(ids(&rig.advance(100), 1), [1]);
    assert!(rig.settle(Some(1), &[1], RETURNED).delivered.is_empty());
    assert!(rig.advance(199).delivered.is_empty(), "the second return waits twice as long");
    assert_eq!(ids(&rig.advance(1), 1), [1]);
    assert_eq!(ids(&rig.settle(Some(1), &[1], Outcome::Undelivered), 1), [1], "what reached nobody does not wait");
}

#[test]
fn what_waits_is_nobodys_to_settle() {
    let mut rig = with_consumer(delayed(DelayedReturns::Failed), 0);
    rig.publish_ids(1..4);
    rig.settle(Some(1), &[2], FAILED);
    for outcome in [Outcome::Ack, Outcome::Reject, RETURNED, FAILED] {
        rig.settle(Some(1), &[2], outcome);
    }
    assert_eq!(rig.state.counts().waiting, 1);
    rig.settle(Some(1), &[1, 2, 3], Outcome::Ack);
    assert_eq!((rig.state.counts().waiting, rig.state.counts().unacked), (1, 0));
    assert_eq!(ids(&rig.advance(100), 1), [2]);
}

#[test]
fn what_waits_expires_and_is_purged_and_takes_no_room() {
    let settings = Settings {
        ttl_ms: Some(50),
        max_length: Some(2),
        overflow: Overflow::RejectPublish,
        ..delayed(DelayedReturns::All)
    };
    let mut rig = Rig::plain(settings);
    rig.publish_ids(1..3);
    rig.get();
    rig.settle(None, &[1], FAILED);
    assert!(rig.publish_ids(3..4).rejected.is_empty(), "ready messages only take room");
    assert_eq!(rig.advance(50).dead["expired"], [1, 2, 3]);
    assert_eq!(rig.state.counts().waiting, 0);
    rig.publish_ids(4..6);
    rig.get();
    rig.settle(None, &[4], FAILED);
    assert_eq!(rig.apply(Command::Purge).purged, Some(2));
    assert_eq!(rig.state.counts(), Default::default());
    assert!(rig.drain().is_empty());
}

#[test]
fn after_a_restart_it_waits_on_without_being_read_before_its_time() {
    let mut rig = Rig::new(durable(), delayed(DelayedReturns::Failed), TINY);
    rig.publish_ids(1..30);
    rig.commit();
    for id in 1..6 {
        assert_eq!(rig.get(), Some(id));
    }
    rig.settle(None, &[1, 3], FAILED);
    rig.settle(None, &[2, 4, 5], Outcome::Ack);
    rig.commit();
    rig.crash();
    let counts = rig.state.counts();
    assert_eq!((counts.ready, counts.waiting, counts.waiting_bytes), (24, 2, 16));
    rig.loads = 0;
    rig.advance(99);
    assert_eq!(rig.loads, 0);
    assert_eq!(rig.state.counts().waiting, 2);
    rig.advance(1);
    assert_eq!(rig.state.counts().waiting, 0);
    rig.apply(Command::Consume(NewConsumerState { prefetch: 3, ..consumer(1) }));
    assert_eq!(rig.state.counts().unacked, 3);
    let output = rig.settle(Some(1), &[1, 3, 6], FAILED);
    assert_eq!(ids(&output, 1), [7, 8, 9], "they were the first");
    assert_eq!(ids(&rig.settle(Some(1), &[7, 8, 9], Outcome::Ack), 1), [10, 11, 12]);
}

#[test]
fn a_retry_that_was_not_read_since_a_restart_takes_no_room() {
    let settings =
        Settings { max_length: Some(1), overflow: Overflow::RejectPublish, ..delayed(DelayedReturns::Failed) };
    let mut rig = with_consumer(settings, 10);
    rig.publish_ids(1..2);
    rig.settle(Some(1), &[1], FAILED);
    rig.commit();
    rig.crash();
    rig.apply(Command::Consume(NewConsumerState { prefetch: 10, ..consumer(2) }));
    let output = rig.publish_ids(2..5);
    assert_eq!((ids(&output, 2), output.rejected), (vec![2, 3, 4], vec![]));
    rig.now_ms += 100;
    assert_eq!(ids(&rig.apply(Command::Expire), 2), [1], "as before each publish when something is due");
    let output = rig.publish_ids(5..8);
    assert_eq!((ids(&output, 2), output.rejected), (vec![5, 6, 7], vec![]));
}

#[test]
fn a_clock_that_is_set_back_or_ahead_loses_none() {
    let mut rig = with_consumer(delayed(DelayedReturns::Failed), 1);
    rig.publish_ids(1..2);
    rig.settle(Some(1), &[1], FAILED);
    rig.now_ms -= 500_000;
    assert!(rig.advance(1000).delivered.is_empty());
    rig.now_ms += 50_000_000;
    assert_eq!(ids(&rig.advance(0), 1), [1]);
}

#[test]
fn a_transient_message_waits_as_well() {
    let mut rig = Rig::new(durable(), delayed(DelayedReturns::Failed), Sizing { transient_bytes: 0, ..TINY });
    rig.publish(&(1..20).map(|id| Message { persistent: false, ..message(id) }).collect::<Vec<_>>());
    rig.commit();
    rig.get();
    rig.settle(None, &[1], FAILED);
    rig.commit();
    assert_eq!(rig.state.counts().waiting, 1);
    rig.advance(100);
    assert_eq!(rig.drain(), (1..20).collect::<Vec<_>>());
    assert_eq!(rig.crash(), Default::default());
    assert_eq!(rig.state.counts(), Default::default());
}
