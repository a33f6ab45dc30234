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

fn retrying(settings: Settings) -> Settings {
    let backoff = Backoff::Linear { min_ms: 100, max_ms: 100 };
    Settings { delayed_retry: Some(DelayedRetry { returns: DelayedReturns::All, backoff }), ..settings }
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
fn what_was_set_aside_and_then_delivered_is_redelivered_after_a_restart() {
    let mut rig = plain(Settings::default());
    let transient = |message: Message| Message { persistent: false, ..message };
    consume(&mut rig, 1, 1);
    rig.publish(&[transient(of(1, 1)), of(1, 2)]);
    rig.commit();
    assert!(consume(&mut rig, 2, 1).is_empty());
    assert_eq!(ids(&rig.publish(&[transient(message(3))]), 2), [3], "it goes by");
    assert_eq!(ids(&rig.settle(Some(1), &[1], Outcome::Ack), 1), [2]);
    rig.commit();
    rig.crash();
    let got = rig.apply(Command::Get { no_ack: false }).got;
    assert!(matches!(&got[..], [Some((seen, 0))] if seen.id == 2 && seen.redelivered), "{got:?}");
}

#[test]
fn a_retry_that_waits_holds_its_group_also_after_a_restart() {
    let mut rig = Rig::grouped(durable(), retrying(Settings::default()), TINY);
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
fn a_retry_that_is_over_holds_nothing_up_although_it_has_yet_to_be_read() {
    let settings = retrying(Settings { ttl_ms: Some(100), ..Settings::default() });
    let mut rig = Rig::grouped(durable(), settings, Sizing { resident_bytes: 0, ..TINY });
    consume(&mut rig, 1, 1);
    rig.publish(&[of(1, 1)]);
    rig.commit();
    rig.advance(10);
    rig.publish(&[of(1, 2), of(2, 3)]);
    rig.commit();
    rig.now_ms += 90;
    assert_eq!(ids(&rig.settle(Some(1), &[1], REQUEUE), 1), [2]);
}

#[test]
fn a_retry_of_a_higher_priority_holds_its_group_also_after_a_restart() {
    let nature = Nature { max_priority: Some(9), ..durable() };
    let mut rig = Rig::grouped(nature, retrying(Settings::default()), Sizing::default());
    consume(&mut rig, 1, 10);
    rig.publish(&[Message { priority: 5, ..of(1, 1) }]);
    rig.settle(Some(1), &[1], REQUEUE);
    assert!(rig.publish(&[of(1, 2)]).delivered.is_empty());
    rig.commit();
    rig.crash();
    assert!(consume(&mut rig, 2, 10).is_empty());
    assert_eq!(rig.get(), None);
    assert_eq!(ids(&rig.advance(100), 2), [1, 2]);
}

#[test]
fn nothing_is_refused_that_a_consumer_has_room_for_because_a_retry_was_not_read_since_a_restart() {
    let settings = Settings { max_length: Some(1), overflow: Overflow::RejectPublish, ..Settings::default() };
    let mut rig = plain(retrying(settings));
    consume(&mut rig, 1, 10);
    rig.publish(&[of(1, 1)]);
    rig.settle(Some(1), &[1], REQUEUE);
    rig.commit();
    rig.crash();
    assert!(consume(&mut rig, 2, 10).is_empty());
    let output = rig.publish(&[of(2, 2), of(2, 3), message(4), of(1, 5)]);
    assert_eq!((ids(&output, 2), output.rejected), (vec![2, 3, 4], vec![]));
    assert_eq!(rig.publish(&[of(1, 6)]).rejected, [0], "there is room for one that waits behind the retry");
}

#[test]
fn nothing_is_refused_that_a_consumer_has_room_for_because_of_what_is_left_of_others_on_disk() {
    let settings = Settings { max_length: Some(2), overflow: Overflow::RejectPublish, ..Settings::default() };
    let mut rig = Rig::grouped(durable(), settings, Sizing { segment_bytes: 1000, resident_bytes: 0, ..TINY });
    consume(&mut rig, 1, 1);
    rig.publish(&[of(1, 1)]);
    rig.commit();
    consume(&mut rig, 2, 10);
    rig.publish(&[of(1, 2), of(2, 3), of(3, 4)]);
    rig.commit();
    rig.settle(Some(2), &[3, 4], Outcome::Ack);
    rig.commit();
    rig.crash();
    assert_eq!((consume(&mut rig, 3, 1), consume(&mut rig, 4, 10)), (vec![1], vec![]));
    rig.commit();
    // What was set aside is on disk, with what is settled behind it.
    let output = rig.publish(&[message(5), message(6), message(7)]);
    assert_eq!((ids(&output, 4), output.rejected), (vec![5, 6, 7], vec![]));
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
fn when_what_was_in_the_way_is_dropped_the_next_is_handed_out() {
    let settings = Settings { max_length: Some(2), ..with_dlx() };
    let mut rig = Rig::grouped(durable(), settings, Sizing { set_aside_max: 0, ..Sizing::default() });
    consume(&mut rig, 1, 1);
    consume(&mut rig, 2, 1);
    let output = rig.publish(&[of(1, 1), of(1, 2), of(2, 3)]);
    assert_eq!((ids(&output, 1), ids(&output, 2)), (vec![1], vec![]), "the queue looks no further");
    let output = rig.publish(&[of(1, 4)]);
    assert_eq!((output.dead["maxlen"].as_slice(), ids(&output, 2)), ([2].as_slice(), vec![3]));
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

#[test]
fn nothing_is_dropped_for_what_has_yet_to_be_read_for_a_consumer() {
    let settings = Settings { max_length: Some(2), ..with_dlx() };
    let mut rig = Rig::grouped(durable(), settings, TINY);
    consume(&mut rig, 1, 1);
    consume(&mut rig, 2, 1);
    let output = rig.publish(&[of(1, 1), of(1, 2), of(1, 3), Message { body_len: 400, ..of(2, 4) }]);
    assert_eq!((ids(&output, 1), ids(&output, 2), rig.state.counts().ready), (vec![1], vec![4], 2));
    rig.commit();
    rig.loads = 0;
    let output = rig.settle(Some(2), &[4], REQUEUE);
    assert_eq!((ids(&output, 2), rig.loads), (vec![4], 1), "it was on disk");
    assert_eq!((output.dead.len(), rig.state.counts().ready), (0, 2), "it takes no room");
}
