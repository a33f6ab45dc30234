//! Transient messages for which there is no room in memory.

use super::rig::{Id, Message, Rig, TINY, consumer, durable, ids, message, with_dlx};
use crate::queue::{Command, Nature, Outcome, Settings, Sizing};

const TRANSIENT: fn(Id) -> Message = |id| Message { persistent: false, ..message(id) };

fn publish(rig: &mut Rig, messages: impl Iterator<Item = Message>) {
    for message in messages {
        rig.publish(&[message]);
        if message.id % 5 == 0 {
            rig.commit();
        }
    }
    rig.commit();
}

fn assert_nothing_left(rig: &mut Rig) {
    rig.commit();
    assert!(rig.store.transient.is_empty() && rig.store.chunks.is_empty());
    assert_eq!(rig.state.memory_bytes(), 0);
}

#[test]
fn a_long_queue_of_transient_messages_needs_no_memory_for_its_middle() {
    for nature in [durable(), Nature { durable: false, ..durable() }] {
        let mut rig = Rig::new(nature, Settings::default(), TINY);
        publish(&mut rig, (1..2_000).map(TRANSIENT));
        let (spans, resident) = rig.state.levels()[0].residency();
        assert!(spans < 10 && resident < 10, "{spans} spans, {resident} in memory");
        assert!(rig.store.chunks.is_empty() && rig.store.logs.is_empty(), "nothing that would be recovered");
        assert_eq!(rig.drain(), (1..2_000).collect::<Vec<_>>());
        assert_nothing_left(&mut rig);
    }
}

#[test]
fn what_fits_stays_in_memory() {
    let mut rig = Rig::new(durable(), Settings::default(), Sizing { transient_bytes: usize::MAX, ..TINY });
    publish(&mut rig, (1..500).map(TRANSIENT));
    assert!(rig.store.transient.is_empty());
    assert_eq!(rig.drain(), (1..500).collect::<Vec<_>>());
}

#[test]
fn both_kinds_keep_their_order() {
    let mut rig = Rig::new(durable(), Settings::default(), TINY);
    let mixed = |id: Id| Message { persistent: id % 7 < 3, ..message(id) };
    publish(&mut rig, (1..1_000).map(mixed));
    assert!(!rig.store.transient.is_empty() && !rig.store.chunks.is_empty());
    assert_eq!(rig.drain(), (1..1_000).collect::<Vec<_>>());
    assert_nothing_left(&mut rig);
}

#[test]
fn a_crash_leaves_the_persistent_ones() {
    let mut rig = Rig::new(durable(), Settings::default(), TINY);
    let mixed = |id: Id| Message { persistent: id.is_multiple_of(2), ..message(id) };
    publish(&mut rig, (1..500).map(mixed));
    rig.crash();
    assert_eq!(rig.drain(), (1..500).filter(|id: &Id| id.is_multiple_of(2)).collect::<Vec<_>>());
}

#[test]
fn unacked_ones_come_back_to_their_places() {
    let mut rig = Rig::new(durable(), Settings::default(), Sizing { loads_per_step: 1_000, ..TINY });
    rig.apply(Command::Consume(consumer(1)));
    publish(&mut rig, (1..500).map(TRANSIENT));
    let (_, resident) = rig.state.levels()[0].residency();
    assert!(resident < 10, "{resident} in memory");
    let (odd, even): (Vec<Id>, Vec<Id>) = (1..500).partition(|id| id % 2 == 1);
    rig.settle(Some(1), &odd, Outcome::Ack);
    rig.commit();
    rig.apply(Command::Cancel(1));
    rig.settle(Some(1), &even, Outcome::Requeue { count_attempt: true });
    rig.commit();
    let output = rig.apply(Command::Consume(consumer(2)));
    assert_eq!(ids(&output, 2), even);
    assert!(output.delivered[&2].iter().all(|seen| seen.redelivered && seen.delivery_count == 1));
}

#[test]
fn their_own_time_and_the_queues_hold_on_disk() {
    let expiring = |id: Id| Message { expiration_ms: id.is_multiple_of(3).then_some(50), ..TRANSIENT(id) };
    let mut rig = Rig::new(durable(), with_dlx(), TINY);
    publish(&mut rig, (1..300).map(expiring));
    let output = rig.advance(60);
    assert_eq!(output.dead["expired"], (1..300).filter(|id: &Id| id.is_multiple_of(3)).collect::<Vec<_>>());
    assert_eq!(rig.drain(), (1..300).filter(|id: &Id| !id.is_multiple_of(3)).collect::<Vec<_>>());

    let mut rig = Rig::new(durable(), Settings { ttl_ms: Some(50), ..with_dlx() }, TINY);
    publish(&mut rig, (1..300).map(TRANSIENT));
    assert_eq!(rig.advance(60).dead["expired"], (1..300).collect::<Vec<_>>());
    assert_nothing_left(&mut rig);
}

#[test]
fn a_purge_leaves_what_is_unacked() {
    let mut rig = Rig::new(durable(), Settings::default(), TINY);
    rig.apply(Command::Consume(consumer(1)));
    publish(&mut rig, (1..100).map(TRANSIENT));
    rig.apply(Command::Cancel(1));
    publish(&mut rig, (100..300).map(TRANSIENT));
    assert_eq!(rig.apply(Command::Purge).purged, Some(200));
    rig.commit();
    let unacked: Vec<Id> = (1..100).collect();
    rig.settle(Some(1), &unacked, Outcome::Requeue { count_attempt: false });
    rig.commit();
    assert_eq!(rig.drain(), unacked);
    assert_nothing_left(&mut rig);
}

#[test]
fn a_queue_keeps_to_its_share_of_memory() {
    let mut rig = Rig::plain(Settings::default());
    publish(
        &mut rig,
        (1..2_000).map(|id: Id| Message { persistent: id.is_multiple_of(2), body_len: 1_000, ..message(id) }),
    );
    assert!(rig.state.memory_bytes() > 1_500_000, "{}", rig.state.memory_bytes());
    rig.state.share_memory(100_000);
    rig.apply(Command::Relieve);
    rig.commit();
    assert!(rig.state.memory_bytes() <= 100_000 + 64 * 1024, "{}", rig.state.memory_bytes());
    rig.state.share_memory(0);
    rig.apply(Command::Relieve);
    rig.commit();
    assert_eq!(rig.state.memory_bytes(), 0);
    assert_eq!(rig.drain(), (1..2_000).collect::<Vec<_>>());
}
