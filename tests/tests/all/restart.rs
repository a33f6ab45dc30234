//! What is still there after an orderly stop and a start.

use lapin::ExchangeKind;
use lapin::options::{BasicAckOptions, BasicRejectOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use leveret_tests::{Client, Message, numbers, with_broker};

#[tokio::test]
async fn persistent_messages_survive_in_order_and_whole() {
    with_broker(async |mut broker| {
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        let queue = client.queue([]).await;
        let headers = leveret_tests::table([("key", AMQPValue::LongString("value".into()))]);
        let properties = Client::persistent().with_message_id("id".into()).with_headers(headers);
        client.publish_numbers(&queue, 0..1000).await;
        let large = vec![b'7'; 300_000];
        client.publish("", &queue, properties.clone(), &[&large]).await;
        broker.restart().await;
        let client = broker.client().await;
        assert_eq!(client.ready(&queue).await, 1001);
        let mut messages = client.drain(&queue).await;
        let last = messages.pop().unwrap();
        assert_eq!(numbers(&messages), (0..1000).collect::<Vec<_>>());
        assert!(messages.iter().all(|message| !message.redelivered));
        assert!(last.data == large);
        assert_eq!(last.properties, properties);
        assert_eq!((last.exchange.as_str(), last.routing_key.as_str()), ("", queue.as_str()));
    })
    .await;
}

#[tokio::test]
async fn transient_things_are_gone() {
    with_broker(async |mut broker| {
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        let queue = client.queue([]).await;
        client.publish("", &queue, Default::default(), &[b"transient"]).await;
        client.publish_numbers(&queue, 1..2).await;
        let transient = Client::name("transient");
        client.declare(&transient, QueueDeclareOptions::default(), FieldTable::default()).await.unwrap();
        broker.restart().await;
        let client = broker.client().await;
        assert_eq!(numbers(&client.drain(&queue).await), [1]);
        assert!(!client.has_queue(&transient).await);
    })
    .await;
}

#[tokio::test]
async fn what_was_delivered_is_marked_and_what_was_settled_is_gone() {
    with_broker(async |mut broker| {
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        let queue = client.queue([]).await;
        client.publish_numbers(&queue, 0..10).await;
        let (_channel, mut consumer) = client.consume(&queue, 6).await;
        let messages = Client::take(&mut consumer, 6).await;
        messages[1].ack(BasicAckOptions { multiple: true }).await.unwrap();
        messages[4].reject(BasicRejectOptions { requeue: false }).await.unwrap();
        // The three settled ones make room for three more, so all were delivered once these have come.
        Client::take(&mut consumer, 3).await;
        broker.restart().await;
        let client = broker.client().await;
        let messages = client.drain(&queue).await;
        assert_eq!(numbers(&messages), [2, 3, 5, 6, 7, 8, 9]);
        let marked: Vec<u32> = messages.iter().filter(|message| message.redelivered).map(Message::number).collect();
        assert_eq!(marked, [2, 3, 5, 6, 7, 8]);
    })
    .await;
}

#[tokio::test]
async fn declarations_survive() {
    with_broker(async |mut broker| {
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        let exchange = client.exchange(ExchangeKind::Topic, []).await;
        let headers = client.exchange(ExchangeKind::Headers, []).await;
        let queue = client.queue([("x-max-length", AMQPValue::LongInt(2))]).await;
        client.bind(&queue, &exchange, "a.*", []).await;
        client.bind(&queue, &headers, "", [("kind", AMQPValue::LongInt(1))]).await;
        broker.restart().await;
        let client = broker.client().await;
        let arguments = leveret_tests::table([("x-max-length", AMQPValue::LongInt(2))]);
        client.declare(&queue, QueueDeclareOptions::durable(), arguments).await.unwrap();
        for (key, body) in [("a.b", b"0"), ("b.b", b"1"), ("a.c", b"2")] {
            client.publish(&exchange, key, Client::persistent(), &[body]).await;
        }
        let matching = leveret_tests::table([("kind", AMQPValue::LongInt(1))]);
        client.publish(&headers, "", Client::persistent().with_headers(matching), &[b"3"]).await;
        client.settles_at(&queue, 2).await;
        assert_eq!(numbers(&client.drain(&queue).await), [2, 3]);
    })
    .await;
}

#[tokio::test]
async fn priorities_and_times_survive() {
    with_broker(async |mut broker| {
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        let ranked = client.queue([("x-max-priority", AMQPValue::LongInt(9))]).await;
        for (priority, body) in [(1, b"0"), (9, b"1"), (5, b"2")] {
            client.publish("", &ranked, Client::persistent().with_priority(priority), &[body]).await;
        }
        let timed = client.queue([]).await;
        client.publish_numbers(&timed, 0..1).await;
        client.publish("", &timed, Client::persistent().with_expiration("1".into()), &[b"1"]).await;
        client.publish("", &timed, Client::persistent().with_expiration("600000".into()), &[b"2"]).await;
        broker.restart().await;
        let client = broker.client().await;
        assert_eq!(numbers(&client.drain(&ranked).await), [1, 2, 0]);
        client.settles_at(&timed, 2).await;
        assert_eq!(numbers(&client.drain(&timed).await), [0, 2]);
    })
    .await;
}

#[tokio::test]
async fn an_empty_queue_stays_empty_over_many_restarts() {
    with_broker(async |mut broker| {
        if !broker.is_ours() {
            return;
        }
        let queue = broker.client().await.queue([]).await;
        for round in 0..3 {
            let client = broker.client().await;
            assert_eq!(client.ready(&queue).await, 0);
            client.publish_numbers(&queue, round * 10..round * 10 + 10).await;
            assert_eq!(numbers(&client.drain(&queue).await), (round * 10..round * 10 + 10).collect::<Vec<_>>());
            broker.restart().await;
        }
    })
    .await;
}
