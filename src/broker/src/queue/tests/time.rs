//! Expiry, of messages and of queues.

use super::rig::{Message, Rig, TINY, consumer, durable, ids, message, with_dlx};
use crate::queue::{Command, NewConsumerState, Outcome, Settings, Sizing};

const REQUEUE: Outcome = Outcome::Requeue { count_attempt: false };

fn with_ttl(ttl_ms: u64) -> Settings {
    Settings { ttl_ms: Some(ttl_ms), ..with_dlx() }
}

fn expiring(id: u64, expiration_ms: u64) -> Message {
    Message { expiration_ms: Some(expiration_ms), ..message(id) }
}

#[test]
fn a_ttl_expires_messages_on_time() {
    let mut rig = Rig::plain(with_ttl(100));
    rig.publish_ids(1..3);
    assert!(rig.advance(40).dead.is_empty());
    rig.publish_ids(3..4);
    assert!(rig.advance(59).dead.is_empty());
    assert_eq!(rig.advance(1).dead["expired"], [1, 2]);
    assert_eq!(rig.advance(40).dead["expired"], [3]);
    assert_eq!(rig.wake_at_ms, u64::MAX, "nothing is left to wake for");
}

#[test]
fn a_message_expires_behind_one_that_lasts() {
    let mut rig = Rig::plain(with_dlx());
    rig.publish(&[message(1), expiring(2, 500), expiring(3, 50), message(4)]);
    assert_eq!(rig.advance(50).dead["expired"], [3]);
    assert_eq!(rig.advance(450).dead["expired"], [2]);
    assert_eq!(rig.drain(), [1, 4]);
}

#[test]
fn the_lower_of_ttl_and_expiration_counts() {
    let mut rig = Rig::plain(with_ttl(100));
    rig.publish(&[expiring(1, 500), expiring(2, 50)]);
    assert_eq!(rig.advance(50).dead["expired"], [2]);
    assert_eq!(rig.advance(50).dead["expired"], [1]);
}

#[test]
fn a_ttl_of_zero_means_now_or_never() {
    let mut rig = Rig::plain(with_ttl(0));
    assert_eq!(rig.publish_ids(1..2).dead["expired"], [1]);
    rig.apply(Command::Consume(NewConsumerState { prefetch: 1, ..consumer(1) }));
    let output = rig.publish_ids(2..4);
    assert_eq!((ids(&output, 1), &output.dead["expired"]), (vec![2], &vec![3]));
}

#[test]
fn unacked_messages_expire_when_they_come_back() {
    let mut rig = Rig::plain(with_ttl(100));
    rig.publish_ids(1..2);
    rig.get();
    assert!(rig.advance(200).dead.is_empty());
    assert_eq!(rig.settle(None, &[1], REQUEUE).dead["expired"], [1]);
}

#[test]
fn a_requeued_message_keeps_its_expiry() {
    let mut rig = Rig::plain(with_dlx());
    rig.publish(&[expiring(1, 100)]);
    rig.get();
    rig.advance(60);
    rig.settle(None, &[1], REQUEUE);
    assert!(rig.advance(39).dead.is_empty());
    assert_eq!(rig.advance(1).dead["expired"], [1]);
}

#[test]
fn a_policy_may_bring_a_ttl_and_take_it_away() {
    let mut rig = Rig::plain(with_dlx());
    rig.publish_ids(1..3);
    rig.advance(100);
    rig.apply(Command::Configure(with_ttl(150)));
    rig.apply(Command::Configure(with_dlx()));
    assert!(rig.advance(100).dead.is_empty());
    assert_eq!(rig.apply(Command::Configure(with_ttl(150))).dead["expired"], [1, 2]);
}

#[test]
fn messages_expire_on_disk_without_being_asked_for() {
    let mut rig = Rig::new(durable(), with_dlx(), TINY);
    let messages = (1..60).map(|id| if id % 7 == 0 { expiring(id, 100 * id) } else { message(id) });
    rig.publish(&messages.collect::<Vec<_>>());
    rig.commit();
    let resident = rig.state.levels()[0].residency().1;
    assert!(resident < 10, "{resident} segments in memory");
    for expected in [7, 14, 21, 28, 35, 42, 49, 56] {
        rig.commit();
        assert_eq!(rig.advance(700).dead["expired"], [expected]);
    }
    rig.commit();
    rig.advance(0);
    assert!(rig.store.due.is_empty(), "no entry is left: {:?}", rig.store.due);
    assert_eq!(rig.state.counts().ready, 59 - 8);
}

#[test]
fn a_ttl_reaches_what_is_on_disk_after_a_restart() {
    let mut rig = Rig::new(durable(), with_ttl(1_000), TINY);
    for id in 1..50 {
        rig.publish_ids(id..id + 1);
        rig.advance(10);
        rig.commit();
    }
    rig.crash();
    assert!(rig.advance(500).dead.is_empty());
    let mut expired = Vec::new();
    for count in 1..50 {
        expired.extend(rig.advance(10).dead.remove("expired").unwrap_or_default());
        assert_eq!(expired, (1..=count).collect::<Vec<_>>(), "each on its own time");
        rig.commit();
    }
    rig.commit();
    assert!(rig.store.chunks.is_empty());
}

#[test]
fn much_that_is_over_at_once_is_spread_over_ticks() {
    let mut rig = Rig::new(durable(), with_ttl(1_000), TINY);
    rig.publish_ids(1..200);
    rig.commit();
    let first = {
        rig.now_ms = rig.wake_at_ms;
        rig.apply(Command::Tick)
    };
    assert!(first.dead["expired"].len() < 100, "one tick does not do everything");
    let rest = rig.advance(0);
    assert_eq!(first.dead["expired"].len() + rest.dead["expired"].len(), 199);
}

#[test]
fn what_is_over_by_age_dies_in_order_though_only_its_end_is_in_memory() {
    let mut rig = Rig::new(durable(), with_ttl(1_000), TINY);
    rig.publish_ids(1..100);
    rig.commit();
    rig.publish_ids(100..110);
    let (spans, resident) = rig.state.levels()[0].residency();
    assert!(resident < spans, "something is on disk only");
    assert_eq!(rig.advance(1_000).dead["expired"], (1..110).collect::<Vec<_>>());
}

#[test]
fn an_expired_message_is_never_given_out() {
    let mut rig = Rig::plain(with_ttl(100));
    rig.publish_ids(1..3);
    rig.now_ms += 100;
    let output = rig.apply(Command::Get { no_ack: true });
    assert_eq!((output.got, &output.dead["expired"]), (vec![None], &vec![1, 2]));
}

#[test]
fn an_unused_queue_expires() {
    let mut rig = Rig::plain(Settings { expires_ms: Some(1_000), ..Settings::default() });
    rig.apply(Command::Touch);
    rig.advance(900);
    rig.apply(Command::Get { no_ack: true });
    assert!(!rig.advance(900).expired, "a get is use");
    rig.publish_ids(1..2);
    rig.apply(Command::Consume(consumer(1)));
    assert!(!rig.advance(5_000).expired, "a consumer is use");
    rig.apply(Command::Cancel(1));
    rig.publish_ids(2..3);
    assert!(!rig.advance(999).expired);
    assert!(rig.advance(1).expired, "a publish is not");
}

#[test]
fn pages_that_are_not_due_do_not_push_each_other_out_for_ever() {
    let sizing = Sizing { segment_bytes: 2_000, resident_bytes: 100, load_bytes: 1, loads_per_step: 1_000, ..TINY };
    let mut rig = Rig::new(durable(), Settings { ttl_ms: Some(100), ..Settings::default() }, sizing);
    rig.publish_ids(1..5);
    rig.advance(60);
    rig.publish_ids(5..9);
    rig.commit();
    for ids in [9..15, 15..21, 21..27] {
        rig.publish_ids(ids);
        rig.commit();
    }
    rig.apply(Command::Consume(consumer(1)));
    rig.settle(Some(1), &[1, 2, 3, 4], Outcome::Ack);
    rig.commit();
    rig.crash();
    rig.loads = 0;
    // The first are over, but they are settled.
    rig.advance(41);
    assert!(rig.loads < 20, "{} loads", rig.loads);
    assert_eq!(rig.drain(), (5..27).collect::<Vec<_>>());
}

#[test]
fn what_is_over_in_memory_is_not_given_out_while_what_lies_before_it_is_read() {
    let sizing = Sizing { segment_bytes: 1, resident_bytes: 900, loads_per_step: 1, ..TINY };
    let mut rig = Rig::new(durable(), with_ttl(100), sizing);
    rig.publish_ids(1..4);
    rig.apply(Command::Consume(consumer(1)));
    rig.commit();
    let (spans, resident) = rig.state.levels()[0].residency();
    assert!(resident < spans, "{resident} of {spans} segments have their records");
    rig.now_ms += 100;
    let output = rig.settle(Some(1), &[3], REQUEUE);
    assert_eq!((ids(&output, 1), &output.dead["expired"]), (vec![], &vec![3]));
}

#[test]
fn what_fell_due_unacked_is_over_at_once_after_a_restart() {
    let mut rig = Rig::new(durable(), with_dlx(), TINY);
    rig.publish(&[expiring(1, 100), message(2)]);
    rig.apply(Command::Consume(consumer(1)));
    rig.commit();
    rig.advance(150);
    rig.commit();
    let output = rig.crash();
    assert_eq!((&output.dead["expired"], rig.state.counts().ready), (&vec![1], 1));
}

#[test]
fn what_is_on_disk_expires_on_time_also_without_commits() {
    let mut rig = Rig::new(durable(), with_dlx(), TINY);
    for id in 1..20 {
        rig.publish(&[expiring(id, 100 + id)]);
        rig.commit();
    }
    rig.crash();
    rig.advance(100);
    for id in 1..20 {
        assert_eq!(rig.advance(1).dead["expired"], [id], "each on its own time");
    }
}
