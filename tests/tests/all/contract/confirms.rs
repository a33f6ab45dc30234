//! When a confirm is sent, and what for.

use lapin::message::BasicReturnMessage;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Confirmation};
use leveret_faultfs::{Fault, Slot, operations};
use leveret_tests::{Broker, Client, numbers, with_broker, with_test_time, within};

/// A broker whose every sync fails from now on: what it confirms has waited for none.
async fn broker_that_cannot_sync(prepare: impl AsyncFnOnce(&Client)) -> (Broker, Client) {
    let broker = Broker::start_on_faulty_disk(&[], |_| ()).await;
    let client = broker.client().await;
    prepare(&client).await;
    let every_sync = Fault {
        operations: operations::SYNC,
        errno: 5,
        pattern: "",
        nth: 1,
        lasting: true,
        torn_bytes: 0,
        delay_ms: 0,
    };
    broker.disk().control.fail(&every_sync).unwrap();
    (broker, client)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_need_not_be_kept_waits_for_no_disk() {
    with_test_time(async {
        let (durable, transient) = (Client::name("durable"), Client::name("transient"));
        let (broker, client) = broker_that_cannot_sync(async |client| {
            for (name, options) in [(&durable, QueueDeclareOptions::durable()), (&transient, Default::default())] {
                client.declare(name, options, FieldTable::default()).await.unwrap();
            }
        })
        .await;
        client.publish("", &durable, BasicProperties::default(), &[b"0"]).await;
        client.publish("", &transient, Client::persistent(), &[b"1"]).await;
        assert_eq!((client.ready(&durable).await, client.ready(&transient).await), (1, 1));
        assert_eq!(broker.disk().control.get(Slot::Hits).unwrap(), 0, "something was synced");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_consumers_have_settled_already_waits_for_no_disk() {
    with_test_time(async {
        let queue = Client::name("queue");
        let (broker, client) = broker_that_cannot_sync(async |client| {
            client.declare(&queue, QueueDeclareOptions::durable(), FieldTable::default()).await.unwrap();
        })
        .await;
        let no_ack = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let consuming = client.channel.basic_consume(queue.as_str().into(), "".into(), no_ack, FieldTable::default());
        let mut consumer = consuming.await.unwrap();
        client.publish_numbers(&queue, 0..100).await;
        assert_eq!(numbers(&Client::take(&mut consumer, 100).await), (0..100).collect::<Vec<_>>());
        assert_eq!(broker.disk().control.get(Slot::Hits).unwrap(), 0, "something was synced");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_without_a_queue_is_returned_if_mandatory_and_confirmed() {
    with_test_time(async {
        let (broker, client) = broker_that_cannot_sync(async |_| ()).await;
        let channel = client.confirm_channel().await;
        let mut answers = Vec::new();
        for mandatory in [false, true] {
            let options = BasicPublishOptions { mandatory, ..BasicPublishOptions::default() };
            let sent = channel.basic_publish("".into(), "nowhere".into(), options, b"0", Client::persistent());
            answers.push(within("the confirm", sent.await.unwrap()).await.unwrap());
        }
        assert!(matches!(answers[0], Confirmation::Ack(None)), "{answers:?}");
        let is_no_route = |returned: &BasicReturnMessage| returned.reply_code == 312 && returned.data == b"0";
        assert!(matches!(&answers[1], Confirmation::Ack(Some(returned)) if is_no_route(returned)), "{answers:?}");
        assert_eq!(broker.disk().control.get(Slot::Hits).unwrap(), 0, "something was synced");
    })
    .await;
}

#[tokio::test]
async fn a_queue_that_refuses_answers_with_a_nack() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let reject = AMQPValue::LongString("reject-publish".into());
        let queue = client.queue([("x-max-length", AMQPValue::LongInt(2)), ("x-overflow", reject)]).await;
        let channel = client.confirm_channel().await;
        let mut answers = Vec::new();
        for number in 0..4_u32 {
            let (options, body) = (BasicPublishOptions::default(), number.to_string());
            let key = queue.as_str().into();
            let sent = channel.basic_publish("".into(), key, options, body.as_bytes(), Client::persistent());
            answers.push(within("the confirm", sent.await.unwrap()).await.unwrap().is_ack());
        }
        assert_eq!(answers, [true, true, false, false]);
        assert_eq!(numbers(&client.drain(&queue).await), [0, 1]);
    })
    .await;
}
