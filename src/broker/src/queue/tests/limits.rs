//! Length limits.

use std::sync::Arc;

use super::rig::{Message, Rig, consumer, durable, ids, message, with_dlx};
use crate::queue::{Admission, Arrivals, Command, Nature, NewConsumerState, Overflow, Settings, Sizing, Window};

fn at_most(max_length: u64, overflow: Overflow) -> Settings {
    Settings { max_length: Some(max_length), overflow, ..with_dlx() }
}

#[test]
fn the_head_makes_room() {
    let mut rig = Rig::plain(at_most(3, Overflow::DropHead));
    let output = rig.publish_ids(1..6);
    assert_eq!(output.dead["maxlen"], [1, 2]);
    assert!(output.rejected.is_empty());
    assert_eq!(rig.drain(), [3, 4, 5]);
}

#[test]
fn bytes_are_body_bytes_of_ready_messages() {
    let settings = Settings { max_length_bytes: Some(100), ..with_dlx() };
    let mut rig = Rig::plain(settings);
    let sized = |id, body_len| Message { body_len, ..message(id) };
    assert!(rig.publish(&[sized(1, 60), sized(2, 40)]).dead.is_empty());
    rig.get();
    assert!(rig.publish(&[sized(3, 60)]).dead.is_empty(), "what is unacked does not count");
    assert_eq!(rig.publish(&[sized(4, 50)]).dead["maxlen"], [2, 3]);
}

#[test]
fn of_priorities_the_highest_is_dropped_first() {
    let nature = Nature { max_priority: Some(9), ..durable() };
    let mut rig = Rig::new(nature, at_most(2, Overflow::DropHead), Sizing::default());
    rig.publish(&[Message { priority: 9, ..message(1) }, message(2)]);
    assert_eq!(rig.publish_ids(3..4).dead["maxlen"], [1]);
}

#[test]
fn consumers_are_served_before_the_length_is_judged() {
    let mut rig = Rig::plain(at_most(1, Overflow::DropHead));
    rig.apply(Command::Consume(NewConsumerState { prefetch: 3, ..consumer(1) }));
    let output = rig.publish_ids(1..6);
    assert_eq!(ids(&output, 1), [1, 2, 3]);
    assert_eq!(output.dead["maxlen"], [4]);
}

#[test]
fn a_requeue_may_push_out_the_requeued() {
    let mut rig = Rig::plain(at_most(1, Overflow::DropHead));
    rig.publish_ids(1..2);
    rig.get();
    rig.publish_ids(2..3);
    let output = rig.settle(None, &[1], crate::queue::Outcome::Requeue { count_attempt: false });
    assert_eq!(output.dead["maxlen"], [1]);
}

#[test]
fn new_messages_are_refused_where_asked_for() {
    let mut rig = Rig::plain(at_most(3, Overflow::RejectPublish));
    rig.publish_ids(1..3);
    let output = rig.publish_ids(3..6);
    assert_eq!((output.rejected, output.dead.len()), (vec![1, 2], 0));
    assert_eq!(rig.drain(), [1, 2, 3]);
}

#[test]
fn refused_messages_can_be_dead_lettered() {
    let mut rig = Rig::plain(at_most(1, Overflow::RejectPublishDlx));
    let output = rig.publish_ids(1..4);
    assert_eq!((output.rejected, &output.dead["maxlen"]), (vec![1, 2], &vec![2, 3]));
}

#[test]
fn a_message_that_is_taken_at_once_needs_no_room() {
    let mut rig = Rig::plain(at_most(0, Overflow::RejectPublish));
    assert_eq!(rig.publish_ids(1..2).rejected, [0]);
    rig.apply(Command::Consume(NewConsumerState { prefetch: 2, ..consumer(1) }));
    let output = rig.publish_ids(2..5);
    assert_eq!((ids(&output, 1), output.rejected), (vec![2, 3], vec![2]));
}

#[test]
fn indexes_of_refused_messages_are_those_of_the_batch() {
    let sizing = Sizing { share_bytes: 0, ..Sizing::default() };
    let mut rig = Rig::new(durable(), at_most(1, Overflow::RejectPublish), sizing);
    let records = super::rig::records(&(0..40).map(message).collect::<Vec<_>>(), 0);
    let picks = vec![7..8, 20..22, 39..40];
    let output =
        rig.apply(Command::Publish(Arrivals { records, picks, admission: Admission::Judged, awaited_from: 1 }));
    assert_eq!(output.rejected, [20, 21, 39]);
    assert_eq!(rig.drain(), [7]);
}

#[test]
fn room_is_judged_for_all_of_a_transaction() {
    let mut rig = Rig::plain(at_most(3, Overflow::RejectPublish));
    rig.publish_ids(1..2);
    assert!(rig.state.has_room(2, 16) && !rig.state.has_room(3, 24));
    rig.apply(Command::Configure(at_most(1, Overflow::DropHead)));
    assert!(rig.state.has_room(1000, 8000), "a queue that drops has room for anything");
}

#[test]
fn consumers_with_credit_for_all_of_a_transaction_are_room() {
    let mut rig = Rig::plain(at_most(0, Overflow::RejectPublish));
    assert!(!rig.state.has_room(1, 8));
    let window = Arc::new(Window::new(3));
    let windows = vec![Arc::clone(&window)];
    rig.apply(Command::Consume(NewConsumerState { prefetch: 5, windows, ..consumer(1) }));
    rig.apply(Command::Consume(NewConsumerState { prefetch: 1, ..consumer(2) }));
    assert!(rig.state.has_room(4, 32) && !rig.state.has_room(5, 40));
}

#[test]
fn what_was_granted_is_taken_though_others_were_faster() {
    let mut rig = Rig::plain(at_most(1, Overflow::RejectPublish));
    rig.publish_ids(1..2);
    let records = super::rig::records(&[message(2)], 0);
    let picks = vec![0..1];
    let output =
        rig.apply(Command::Publish(Arrivals { records, picks, admission: Admission::Granted, awaited_from: 1 }));
    assert_eq!(output.rejected, [0; 0]);
    assert_eq!(rig.drain(), [1, 2]);
}

#[test]
fn a_smaller_limit_holds_at_once() {
    let mut rig = Rig::plain(with_dlx());
    rig.publish_ids(1..6);
    let output = rig.apply(Command::Configure(at_most(2, Overflow::DropHead)));
    assert_eq!(output.dead["maxlen"], [1, 2, 3]);
}
