//! Who gets what, and what happens to it then.

use std::sync::Arc;

use super::rig::{Rig, consumer, durable, ids, message, with_dlx};
use crate::queue::{
    Action, Admission, Arrivals, Command, Kind, Nature, NewConsumerState, Outcome, Refusal, Settings, Sizing, Window,
};

const REQUEUE: Outcome = Outcome::Requeue { count_attempt: false };
const FAILED: Outcome = Outcome::Requeue { count_attempt: true };

fn plain() -> Rig {
    Rig::plain(Settings::default())
}

#[test]
fn a_get_takes_the_oldest_and_says_what_is_left() {
    let mut rig = plain();
    assert_eq!(rig.apply(Command::Get { no_ack: true }).got, [None]);
    rig.publish_ids(1..4);
    let got = rig.apply(Command::Get { no_ack: false }).got[0].expect("three are ready");
    assert_eq!((got.0.id, got.0.redelivered, got.1), (1, false, 2));
    assert_eq!(rig.drain(), [2, 3]);
    assert_eq!((rig.state.counts().ready, rig.state.counts().unacked), (0, 1));
}

#[test]
fn one_consumer_gets_a_batch_as_one_run() {
    let mut rig = plain();
    rig.apply(Command::Consume(consumer(1)));
    let mut actions = Vec::new();
    let records = super::rig::records(&(0..100).map(message).collect::<Vec<_>>(), 0);
    let arrivals = Arrivals { records, picks: vec![0..100], admission: Admission::Judged, awaited_from: 1 };
    rig.state.apply(0, Command::Publish(arrivals), &mut actions);
    let runs = actions.iter().find_map(|action| match action {
        Action::Deliver { runs, .. } => Some(runs),
        _ => None,
    });
    assert_eq!(runs.map(|runs| (runs.len(), runs[0].count)), Some((1, 100)));
}

#[test]
fn several_consumers_take_turns() {
    let mut rig = plain();
    rig.apply(Command::Consume(consumer(1)));
    rig.apply(Command::Consume(consumer(2)));
    let output = rig.publish_ids(1..6);
    assert_eq!((ids(&output, 1), ids(&output, 2)), (vec![1, 3, 5], vec![2, 4]));
    let output = rig.publish_ids(6..8);
    assert_eq!((ids(&output, 1), ids(&output, 2)), (vec![7], vec![6]));
}

#[test]
fn a_lower_priority_is_served_only_when_no_higher_has_room() {
    let mut rig = plain();
    rig.apply(Command::Consume(consumer(1)));
    rig.apply(Command::Consume(NewConsumerState { priority: 5, prefetch: 2, ..consumer(2) }));
    let output = rig.publish_ids(1..5);
    assert_eq!((ids(&output, 2), ids(&output, 1)), (vec![1, 2], vec![3, 4]));
    rig.settle(Some(2), &[1], Outcome::Ack);
    assert_eq!(ids(&rig.publish_ids(5..6), 2), [5]);
}

#[test]
fn prefetch_holds_back_until_something_is_settled() {
    let mut rig = plain();
    rig.publish_ids(1..6);
    let output = rig.apply(Command::Consume(NewConsumerState { prefetch: 2, ..consumer(1) }));
    assert_eq!(ids(&output, 1), [1, 2]);
    assert_eq!(ids(&rig.settle(Some(1), &[2], Outcome::Ack), 1), [3]);
    assert_eq!(ids(&rig.settle(Some(1), &[2], Outcome::Ack), 1), [0; 0], "settled twice counts once");
    assert_eq!(ids(&rig.settle(None, &[1], Outcome::Ack), 1), [0; 0], "not this consumer's");
}

#[test]
fn no_ack_settles_at_once_and_knows_no_prefetch() {
    let mut rig = plain();
    let output = rig.apply(Command::Consume(NewConsumerState { no_ack: true, prefetch: 1, ..consumer(1) }));
    assert_eq!(ids(&output, 1), [0; 0]);
    assert_eq!(ids(&rig.publish_ids(1..4), 1), [1, 2, 3]);
    assert_eq!(rig.state.counts().unacked, 0);
}

#[test]
fn the_outbox_may_go_over_by_one_message() {
    let mut rig = plain();
    let outbox = Arc::new(Window::new(50));
    rig.apply(Command::Consume(NewConsumerState { outbox: Arc::clone(&outbox), ..consumer(1) }));
    assert_eq!(ids(&rig.publish_ids(1..6), 1), [1, 2], "35 bytes each");
    assert_eq!(outbox.used(), 70);
    assert!(outbox.give(35), "the queue was turned away");
    assert_eq!(ids(&rig.apply(Command::Resume), 1), [3]);
}

#[test]
fn a_shared_window_limits_all_its_consumers_together() {
    let mut rig = plain();
    let window = Arc::new(Window::new(3));
    let limited = |id| NewConsumerState { windows: vec![Arc::clone(&window)], ..consumer(id) };
    rig.apply(Command::Consume(limited(1)));
    rig.apply(Command::Consume(limited(2)));
    let output = rig.publish_ids(1..6);
    assert_eq!((ids(&output, 1), ids(&output, 2)), (vec![1, 3], vec![2]));
    assert_eq!(ids(&rig.settle(Some(2), &[2], Outcome::Ack), 2), [0; 0], "the channel has not given it back yet");
    assert!(window.give(1));
    assert_eq!(rig.apply(Command::Resume).delivered.values().map(Vec::len).sum::<usize>(), 1);
}

#[test]
fn room_in_a_shared_window_goes_round_though_one_consumer_gives_it_back() {
    let mut rig = plain();
    let window = Arc::new(Window::new(1));
    let limited = |id| NewConsumerState { windows: vec![Arc::clone(&window)], ..consumer(id) };
    rig.apply(Command::Consume(limited(1)));
    rig.apply(Command::Consume(limited(2)));
    assert_eq!(ids(&rig.publish_ids(1..6), 1), [1]);
    for (id, next) in [(1, 2), (2, 3), (3, 4)] {
        let (holder, other) = if id % 2 == 1 { (1, 2) } else { (2, 1) };
        rig.settle(Some(holder), &[id], Outcome::Ack);
        assert!(window.give(1));
        assert_eq!(ids(&rig.apply(Command::Resume), other), [next]);
    }
}

#[test]
fn a_used_up_window_holds_back_also_those_who_need_not_acknowledge() {
    let mut rig = plain();
    let window = Arc::new(Window::new(1));
    let limited = |id| NewConsumerState { windows: vec![Arc::clone(&window)], ..consumer(id) };
    rig.apply(Command::Consume(limited(1)));
    assert_eq!(ids(&rig.publish_ids(1..2), 1), [1]);
    rig.apply(Command::Consume(NewConsumerState { no_ack: true, ..limited(2) }));
    assert_eq!(ids(&rig.publish_ids(2..4), 2), [0; 0]);
    rig.settle(Some(1), &[1], Outcome::Ack);
    assert!(window.give(1));
    let output = rig.apply(Command::Resume);
    assert_eq!((ids(&output, 1), ids(&output, 2)), (vec![2], vec![]));
    rig.apply(Command::Cancel(1));
    rig.settle(Some(1), &[2], Outcome::Ack);
    assert!(window.give(1));
    assert_eq!(ids(&rig.apply(Command::Resume), 2), [3]);
}

#[test]
fn credit_taken_in_vain_is_given_back() {
    let mut rig = plain();
    let (wide, narrow) = (Arc::new(Window::new(10)), Arc::new(Window::new(1)));
    let windows = vec![Arc::clone(&wide), Arc::clone(&narrow)];
    rig.apply(Command::Consume(NewConsumerState { windows, ..consumer(1) }));
    assert_eq!(ids(&rig.publish_ids(1..6), 1), [1]);
    assert_eq!((wide.used(), narrow.used()), (1, 1));
}

#[test]
fn requeued_messages_return_to_their_places() {
    let mut rig = plain();
    rig.publish_ids(1..6);
    let taken: Vec<_> = (0..4).filter_map(|_| rig.get()).collect();
    assert_eq!(taken, [1, 2, 3, 4]);
    rig.settle(None, &[4, 2], REQUEUE);
    let output = rig.apply(Command::Consume(consumer(1)));
    let seen = &output.delivered[&1];
    assert_eq!(
        seen.iter().map(|seen| (seen.id, seen.redelivered)).collect::<Vec<_>>(),
        [(2, true), (4, true), (5, false)]
    );
}

#[test]
fn cancelling_leaves_unacked_messages_alone() {
    let mut rig = plain();
    rig.apply(Command::Consume(consumer(1)));
    rig.publish_ids(1..3);
    assert!(rig.apply(Command::Cancel(1)).unused);
    assert_eq!(rig.state.counts().unacked, 2);
    assert!(!rig.apply(Command::Cancel(1)).unused, "it was not there");
    rig.settle(Some(1), &[1, 2], REQUEUE);
    assert_eq!(rig.drain(), [1, 2]);
}

#[test]
fn attempts_are_counted_and_limited() {
    let mut rig = Rig::plain(Settings { delivery_limit: Some(1), ..with_dlx() });
    rig.publish_ids(1..2);
    rig.get();
    rig.settle(None, &[1], REQUEUE);
    rig.get();
    assert_eq!(rig.settle(None, &[1], FAILED).dead.len(), 0);
    let again = rig.apply(Command::Get { no_ack: false }).got[0].expect("one attempt is allowed").0;
    assert_eq!(again.delivery_count, 1, "a plain requeue does not count");
    assert_eq!(rig.settle(None, &[1], FAILED).dead["delivery_limit"], [1]);
    assert_eq!(rig.state.counts().ready, 0);
}

#[test]
fn quorum_queues_have_a_limit_by_default() {
    assert_eq!(Settings::defaults(Kind::Quorum).delivery_limit, Some(20));
    assert_eq!(Settings::defaults(Kind::Classic).delivery_limit, None);
}

#[test]
fn rejected_messages_go_to_the_dead_letter_exchange_if_there_is_one() {
    let mut rig = Rig::plain(with_dlx());
    rig.publish_ids(1..4);
    (0..3).for_each(|_| assert!(rig.get().is_some()));
    assert_eq!(rig.settle(None, &[1, 3], Outcome::Reject).dead["rejected"], [1, 3]);
    rig.apply(Command::Configure(Settings::default()));
    assert!(rig.settle(None, &[2], Outcome::Reject).dead.is_empty());
    assert_eq!(rig.state.counts().unacked, 0);
}

#[test]
fn an_exclusive_consumer_is_alone() {
    let mut rig = plain();
    let exclusive = |id| NewConsumerState { exclusive: true, ..consumer(id) };
    rig.apply(Command::Consume(consumer(1)));
    assert_eq!(rig.apply(Command::Consume(exclusive(2))).refused, [Refusal::ExclusiveUse]);
    rig.apply(Command::Cancel(1));
    assert_eq!(rig.apply(Command::Consume(exclusive(3))).refused, []);
    assert_eq!(rig.apply(Command::Consume(consumer(4))).refused, [Refusal::ExclusiveUse]);
    rig.apply(Command::Cancel(3));
    assert_eq!(rig.apply(Command::Consume(consumer(5))).refused, []);
}

#[test]
fn of_single_active_consumers_one_is_served_and_then_the_next() {
    let nature = Nature { single_active_consumer: true, ..durable() };
    let mut rig = Rig::new(nature, Settings::default(), Sizing::default());
    assert_eq!(rig.apply(Command::Consume(consumer(1))).active, [Some(1)]);
    rig.apply(Command::Consume(consumer(2)));
    assert_eq!(rig.apply(Command::Consume(NewConsumerState { priority: 1, ..consumer(3) })).active, []);
    assert_eq!(ids(&rig.publish_ids(1..3), 1), [1, 2]);
    let output = rig.apply(Command::Cancel(1));
    assert_eq!(output.active, [Some(3)], "priority before arrival");
    assert_eq!(ids(&rig.settle(Some(1), &[1, 2], REQUEUE), 3), [1, 2]);
    assert_eq!(rig.apply(Command::Cancel(3)).active, [Some(2)]);
    assert_eq!(rig.apply(Command::Cancel(2)).active, [None]);
}

#[test]
fn a_quorum_queue_with_single_active_consumer_refuses_get() {
    let nature = Nature { single_active_consumer: true, kind: Kind::Quorum, ..durable() };
    let mut rig = Rig::new(nature, Settings::default(), Sizing::default());
    assert_eq!(rig.apply(Command::Get { no_ack: true }).refused, [Refusal::SingleActiveConsumer]);
}

#[test]
fn higher_message_priority_comes_first() {
    let nature = Nature { max_priority: Some(5), ..durable() };
    let mut rig = Rig::new(nature, Settings::default(), Sizing::default());
    let with_priority = |id, priority| super::rig::Message { priority, ..message(id) };
    rig.publish(&[with_priority(1, 0), with_priority(2, 3), with_priority(3, 200), with_priority(4, 5)]);
    assert_eq!(rig.drain(), [3, 4, 2, 1], "what is above the maximum counts as the maximum");
}

#[test]
fn a_closed_queue_does_nothing() {
    let mut rig = plain();
    rig.publish_ids(1..3);
    rig.apply(Command::Close);
    assert_eq!(rig.apply(Command::Get { no_ack: true }).got, [None]);
    assert_eq!(rig.apply(Command::Purge).purged, Some(0));
    rig.commit();
    assert!(rig.store.chunks.is_empty());
}
