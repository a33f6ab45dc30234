//! Message groups, rule by rule.

use super::rig::{Id, Message, Rig, TINY, consumer, durable, ids, message, with_dlx};
use crate::queue::{
    Backoff, Command, ConsumerId, DelayedRetry, DelayedReturns, Nature, NewConsumerState, Outcome, Overflow, Settings,
    Sizing,
};

const REQUEUE: Outcome = Outcome::Requeue { count_attempt: false };

fn of(group: u8, id: Id) -> Message {
    Message { group: Some(group), ..message(id) }
}

fn plain(settings: Settings) -> Rig {
    Rig::grouped(durable(), settings, Sizing::default())
}

fn consume(rig: &mut Rig, id: ConsumerId, prefetch: u32) -> Vec<Id> {
    ids(&rig.apply(Command::Consume(NewConsumerState { prefetch, ..consumer(id) })), id)
}

#[test]
fn a_group_is_with_one_consumer_and_others_go_by() {
    let mut rig = plain(Settings::default());
    consume(&mut rig, 1, 2);
    consume(&mut rig, 2, 2);
    let output = rig.publish(&[of(1, 1), of(1, 2), of(1, 3), of(2, 4), message(5)]);
    assert_eq!((ids(&output, 1), ids(&output, 2)), (vec![1, 2], vec![4, 5]));
    let counts = rig.state.counts();
    assert_eq!((counts.ready, counts.unacked), (1, 4), "what was set aside is ready");
    assert_eq!(ids(&rig.settle(Some(1), &[1], Outcome::Ack), 1), [3]);
}

#[test]
fn a_group_moves_when_nothing_of_it_is_unsettled() {
    let mut rig = plain(Settings::default());
    consume(&mut rig, 1, 1);
    rig.publish(&[of(1, 1), of(1, 2), of(1, 3)]);
    assert!(consume(&mut rig, 2, 5).is_empty());
    rig.apply(Command::Cancel(1));
    let output = rig.settle(Some(1), &[1], REQUEUE);
    assert_eq!(ids(&output, 2), [1, 2, 3], "the requeued one comes first");
    assert_eq!(output.delivered[&2].iter().map(|seen| seen.redelivered).collect::<Vec<_>>(), [true, false, false]);
}

#[test]
fn what_was_requeued_goes_to_who_has_the_rest_of_its_group() {
    let mut rig = plain(Settings::default());
    consume(&mut rig, 1, 3);
    consume(&mut rig, 2, 3);
    rig.publish(&[of(1, 1), of(1, 2), of(1, 3), of(1, 4)]);
    let output = rig.settle(Some(1), &[2], REQUEUE);
    assert_eq!((ids(&output, 1), ids(&output, 2)), (vec![2], vec![]));
}

#[test]
fn a_retry_that_waits_holds_its_group_also_after_a_restart() {
    let backoff = Backoff::Linear { min_ms: 100, max_ms: 100 };
    let settings =
        Settings { delayed_retry: Some(DelayedRetry { returns: DelayedReturns::All, backoff }), ..Settings::default() };
    let mut rig = Rig::grouped(durable(), settings, TINY);
    consume(&mut rig, 1, 10);
    rig.publish(&[of(1, 1), of(2, 2)]);
    assert!(rig.settle(Some(1), &[1], REQUEUE).delivered.is_empty());
    assert_eq!(ids(&rig.publish(&[of(1, 3), of(2, 4), message(5)]), 1), [4, 5]);
    rig.commit();
    rig.crash();
    assert_eq!(consume(&mut rig, 2, 10), [2, 4, 5]);
    assert!(rig.advance(99).delivered.is_empty());
    assert_eq!(ids(&rig.advance(1), 2), [1, 3]);
}

#[test]
fn a_get_takes_the_first_of_a_group_that_nobody_has() {
    let mut rig = plain(Settings::default());
    rig.publish(&[of(1, 1), of(1, 2), of(2, 3), message(4)]);
    assert_eq!([rig.get(), rig.get(), rig.get(), rig.get()], [Some(1), Some(3), Some(4), None]);
    assert_eq!(rig.state.counts().ready, 1);
    rig.settle(None, &[1], Outcome::Ack);
    assert_eq!(rig.get(), Some(2));
    rig.settle(None, &[2, 3], REQUEUE);
    assert_eq!(rig.drain(), [2, 3]);
}

#[test]
fn a_higher_priority_comes_first_within_a_group() {
    let nature = Nature { max_priority: Some(9), ..durable() };
    let mut rig = Rig::grouped(nature, Settings::default(), Sizing::default());
    consume(&mut rig, 1, 1);
    rig.publish(&[of(1, 1), of(1, 2)]);
    rig.publish(&[Message { priority: 5, ..of(1, 3) }]);
    assert_eq!(ids(&rig.settle(Some(1), &[1], Outcome::Ack), 1), [3]);
    assert_eq!(ids(&rig.settle(Some(1), &[3], Outcome::Ack), 1), [2]);
}

#[test]
fn what_was_set_aside_expires_is_dropped_and_is_purged() {
    let settings = Settings { max_length: Some(3), overflow: Overflow::DropHead, ..with_dlx() };
    let mut rig = plain(settings);
    consume(&mut rig, 1, 1);
    consume(&mut rig, 2, 1);
    let output = rig.publish(&[of(1, 1), of(1, 2), Message { expiration_ms: Some(50), ..of(1, 3) }, of(1, 4)]);
    assert_eq!((ids(&output, 1), rig.state.counts().ready), (vec![1], 3));
    assert_eq!(rig.publish(&[of(1, 5)]).dead["maxlen"], [2], "the oldest goes");
    assert_eq!(rig.advance(50).dead["expired"], [3]);
    assert_eq!(ids(&rig.settle(Some(1), &[1], Outcome::Ack), 2), [4], "it was the other's turn");
    assert_eq!(rig.apply(Command::Purge).purged, Some(1));
    assert_eq!(rig.publish(&[of(2, 6)]).delivered.len(), 1);
    assert!(rig.settle(Some(2), &[4], Outcome::Ack).delivered.is_empty());
}

#[test]
fn so_much_is_set_aside_and_no_more() {
    let mut rig = Rig::grouped(durable(), Settings::default(), Sizing { set_aside_max: 2, ..Sizing::default() });
    consume(&mut rig, 1, 1);
    consume(&mut rig, 2, 1);
    let output = rig.publish(&[of(1, 1), of(1, 2), of(1, 3), of(1, 4), message(5)]);
    assert_eq!((ids(&output, 1), ids(&output, 2)), (vec![1], vec![]), "the queue looks no further");
    let output = rig.settle(Some(1), &[1], Outcome::Ack);
    assert_eq!((ids(&output, 1), ids(&output, 2)), (vec![5], vec![2]), "now it does");
}

#[test]
fn what_was_set_aside_is_read_again() {
    let mut rig = Rig::grouped(durable(), Settings::default(), Sizing { set_aside_max: 100, ..TINY });
    consume(&mut rig, 1, 1);
    rig.publish(&(1..40).map(|id| of(1, id)).collect::<Vec<_>>());
    consume(&mut rig, 2, 1);
    rig.commit();
    let mut holder = 1;
    for id in 1..39 {
        rig.commit();
        let output = rig.settle(Some(holder), &[id], Outcome::Ack);
        holder = *output.delivered.keys().next().unwrap();
        assert_eq!(ids(&output, holder), [id + 1]);
    }
    assert!(rig.loads > 10, "most of it was on disk");
}
