//! Histories written by hand. Each wrong one is a right one with one thing changed.
#![allow(clippy::unwrap_used)]

use super::*;

/// The producer of all messages, a first and a second consumer.
const PRODUCER: u32 = 1;
const ONE: u32 = 2;
const TWO: u32 = 3;

const fn id(sequence: u32) -> MessageId {
    MessageId { producer: PRODUCER, sequence }
}

#[derive(Default)]
struct Script(Vec<Event>);

impl Script {
    /// All three are connected.
    fn begin() -> Self {
        Self::default().connect(PRODUCER).connect(ONE).connect(TWO)
    }

    fn add(mut self, process: u32, operation: Operation, outcome: Outcome) -> Self {
        let time_us = self.0.len() as u64;
        self.0.push(Event { time_us, process, operation, outcome });
        self
    }

    fn connect(self, process: u32) -> Self {
        self.add(process, Operation::Connect, Outcome::Started).add(process, Operation::Connect, Outcome::Ok)
    }

    fn publish(self, sequence: u32, outcome: Outcome) -> Self {
        let operation = Operation::Publish { id: id(sequence), queue: 0 };
        self.add(PRODUCER, operation.clone(), Outcome::Started).add(PRODUCER, operation, outcome)
    }

    fn deliver(self, process: u32, sequence: u32, redelivered: bool) -> Self {
        self.add(process, Operation::Deliver { id: Some(id(sequence)), queue: 0, redelivered }, Outcome::Ok)
    }

    fn ack(self, process: u32, sequence: u32, answer: Answer, outcome: Outcome) -> Self {
        let operation = Operation::Acknowledge { id: id(sequence), queue: 0, answer };
        self.add(process, operation.clone(), Outcome::Started).add(process, operation, outcome)
    }

    fn kill(self) -> Self {
        self.add(0, Operation::Kill, Outcome::Ok).add(0, Operation::Restart, Outcome::Ok)
    }

    fn check(&self) -> Report {
        check(&self.0)
    }
}

#[test]
fn nothing_is_nothing() {
    assert_eq!(check(&[]), Report::default());
    assert!(check(&[]).passed());
}

#[test]
fn what_goes_well_passes() {
    let script = Script::begin()
        .publish(0, Outcome::Ok)
        .publish(1, Outcome::Ok)
        .deliver(ONE, 0, false)
        .deliver(ONE, 1, false)
        .add(ONE, Operation::Requeue { id: id(0), queue: 0 }, Outcome::Ok)
        .ack(ONE, 1, Answer::Later, Outcome::Ok)
        .deliver(TWO, 0, true)
        .ack(TWO, 0, Answer::Commit, Outcome::Ok);
    let report = script.check();
    assert!(report.passed(), "{report}");
    assert_eq!((report.published, report.confirmed, report.unknown), (2, 2, 0));
    assert_eq!((report.delivered, report.delivered_again), (3, 1));
    assert_eq!((report.acknowledged, report.requeued), (2, 1));
}

#[test]
fn a_confirmed_message_that_never_comes_is_lost() {
    let report = Script::begin().publish(0, Outcome::Ok).check();
    assert_eq!(report.lost, [id(0)]);
    assert!(!report.passed());
}

#[test]
fn a_confirmed_message_that_is_delivered_and_then_gone_is_lost() {
    let report = Script::begin().publish(0, Outcome::Ok).deliver(ONE, 0, false).check();
    assert_eq!(report.lost, [id(0)]);
}

#[test]
fn an_acknowledgement_counts_from_when_it_is_sent() {
    let script = Script::begin().publish(0, Outcome::Ok).deliver(ONE, 0, false);
    assert!(script.ack(ONE, 0, Answer::Later, Outcome::Unknown).check().passed());
}

#[test]
fn what_was_not_confirmed_may_be_gone_or_there() {
    let script = Script::begin()
        .publish(0, Outcome::Unknown)
        .publish(1, Outcome::Unknown)
        .publish(2, Outcome::Fail)
        .add(PRODUCER, Operation::Publish { id: id(3), queue: 0 }, Outcome::Started)
        .deliver(ONE, 1, false);
    let report = script.check();
    assert!(report.passed(), "{report}");
    assert_eq!((report.unknown, report.unknown_delivered, report.refused), (3, 1, 1));
}

#[test]
fn a_committed_acknowledgement_is_for_good() {
    let settled =
        || Script::begin().publish(0, Outcome::Ok).deliver(ONE, 0, false).ack(ONE, 0, Answer::Commit, Outcome::Ok);
    assert_eq!(settled().deliver(TWO, 0, true).check().doubled, [Double::AfterCommit(id(0))]);
    let after_kill = settled().kill().connect(4).deliver(4, 0, true).check();
    assert_eq!(after_kill.doubled, [Double::AfterCommit(id(0))]);
}

#[test]
fn an_unanswered_commit_settles_nothing() {
    let script = Script::begin().publish(0, Outcome::Ok).deliver(ONE, 0, false);
    let script = script.ack(ONE, 0, Answer::Commit, Outcome::Unknown).deliver(TWO, 0, true);
    assert!(script.check().passed());
}

#[test]
fn an_answered_acknowledgement_holds_while_the_broker_lives() {
    let settled =
        || Script::begin().publish(0, Outcome::Ok).deliver(ONE, 0, false).ack(ONE, 0, Answer::Later, Outcome::Ok);
    assert_eq!(settled().deliver(TWO, 0, true).check().doubled, [Double::AfterAnswer(id(0))]);
    let after_kill = settled().kill().connect(4).deliver(4, 0, true).check();
    assert!(after_kill.passed(), "{after_kill}");
    assert_eq!(after_kill.forgotten_acks, 1);
}

#[test]
fn a_kill_before_the_acknowledging_process_connected_excuses_nothing() {
    let script = Script::begin().publish(0, Outcome::Ok).kill().connect(4).deliver(4, 0, false);
    let script = script.ack(4, 0, Answer::Later, Outcome::Ok).connect(5).deliver(5, 0, true);
    assert_eq!(script.check().doubled, [Double::AfterAnswer(id(0))]);
}

#[test]
fn what_comes_again_is_marked() {
    let again = |script: Script| script.publish(0, Outcome::Ok).deliver(ONE, 0, false).deliver(TWO, 0, false);
    let report = again(Script::begin()).ack(TWO, 0, Answer::Later, Outcome::Ok).check();
    assert_eq!(report.doubled, [Double::Unmarked(id(0))]);
}

#[test]
fn a_killed_broker_may_forget_what_it_has_delivered() {
    let script = Script::begin().publish(0, Outcome::Ok).deliver(ONE, 0, false).kill().connect(4);
    let report = script.deliver(4, 0, false).ack(4, 0, Answer::Later, Outcome::Ok).check();
    assert!(report.passed(), "{report}");
    assert_eq!(report.forgotten_marks, 1);
}

#[test]
fn a_delivery_written_down_after_the_kill_is_from_before_it() {
    let script = Script::begin().publish(0, Outcome::Ok).kill().deliver(ONE, 0, false).connect(4);
    assert!(script.deliver(4, 0, false).ack(4, 0, Answer::Later, Outcome::Ok).check().passed());
}

#[test]
fn a_delivery_written_down_after_its_socket_was_cut_may_be_older_than_it_looks() {
    let cut = || Script::begin().publish(0, Outcome::Ok).add(0, Operation::Cut { victim: ONE }, Outcome::Ok);
    let report = cut().deliver(TWO, 0, true).ack(TWO, 0, Answer::Commit, Outcome::Ok).deliver(ONE, 0, false).check();
    assert!(report.passed(), "{report}");
    assert_eq!(report.late, 1);
    let another = cut().deliver(TWO, 0, true).ack(TWO, 0, Answer::Commit, Outcome::Ok).connect(4).deliver(4, 0, true);
    assert_eq!(another.check().doubled, [Double::AfterCommit(id(0))]);
}

#[test]
fn first_deliveries_on_a_channel_are_in_order() {
    let published = || (0..3).fold(Script::begin(), |script, sequence| script.publish(sequence, Outcome::Unknown));
    let report = published().deliver(ONE, 0, false).deliver(ONE, 2, false).deliver(ONE, 1, false).check();
    assert_eq!(report.out_of_order, [(id(1), id(2))]);
    assert!(!report.passed());
    let elsewhere = published().deliver(ONE, 2, false).deliver(TWO, 1, false).check();
    assert!(elsewhere.passed(), "{elsewhere}");
    let given_back = published().deliver(ONE, 2, false).deliver(ONE, 1, true).check();
    assert!(given_back.passed(), "{given_back}");
}

#[test]
fn what_nobody_published_so_is_unexpected() {
    let never = Script::begin().deliver(ONE, 0, false).check();
    assert_eq!(never.unexpected, [Unexpected::NeverPublished { id: id(0), queue: 0 }]);
    let elsewhere = Operation::Deliver { id: Some(id(0)), queue: 5, redelivered: false };
    let wrong_queue = Script::begin().publish(0, Outcome::Unknown).add(ONE, elsewhere, Outcome::Ok).check();
    assert_eq!(wrong_queue.unexpected, [Unexpected::WrongQueue { id: id(0), queue: 5, published_to: 0 }]);
    let nameless = Operation::Deliver { id: None, queue: 0, redelivered: false };
    let damaged = Script::begin().add(ONE, nameless, Outcome::Ok).check();
    assert_eq!(damaged.unexpected, [Unexpected::Damaged { queue: 0 }]);
    assert!(!never.passed() && !wrong_queue.passed() && !damaged.passed());
}

#[test]
fn a_report_tells_what_is_wrong() {
    let text = Script::begin().publish(0, Outcome::Ok).kill().check().to_string();
    assert!(text.contains("lost          1\n              1-0\n"), "{text}");
    assert!(text.contains("1 kills") && text.ends_with("FAILED"), "{text}");
}
