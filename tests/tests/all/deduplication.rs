//! Repetitions, at exchanges and at queues.

use lapin::options::{BasicPublishOptions, ExchangeBindOptions, ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Confirmation, ExchangeKind};
use leveret_tests::{Client, numbers, reply, table, with_broker};

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

fn with_value(value: &str) -> BasicProperties {
    Client::persistent().with_headers(table([("x-deduplication-header", text(value))]))
}

/// What asks for it, with room for ten values.
fn arguments() -> [(&'static str, AMQPValue); 2] {
    [("x-message-deduplication", AMQPValue::Boolean(true)), ("x-cache-size", AMQPValue::LongInt(10))]
}

async fn publish(client: &Client, exchange: &str, key: &str, values: &[&str]) {
    for (number, value) in values.iter().enumerate() {
        client.publish(exchange, key, with_value(value), &[number.to_string().as_bytes()]).await;
    }
}

#[tokio::test]
async fn an_exchange_drops_what_it_has_seen() {
    with_broker(async |broker| {
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        let by_type = ExchangeKind::Custom("x-message-deduplication".to_owned());
        let by_argument = client.exchange(ExchangeKind::Topic, arguments()).await;
        let by_type = client.exchange(by_type, [("x-cache-size", AMQPValue::LongInt(10))]).await;
        for exchange in [by_argument, by_type] {
            let queue = client.queue([]).await;
            client.bind(&queue, &exchange, "k", []).await;
            publish(&client, &exchange, "k", &["a", "b", "a", "a", "c", "b"]).await;
            assert_eq!(numbers(&client.drain(&queue).await), [0, 1, 4]);
            // Without a value no message is like another.
            client.publish(&exchange, "k", Client::persistent(), &[b"7", b"8"]).await;
            assert_eq!(numbers(&client.drain(&queue).await), [7, 8]);
        }
    })
    .await;
}

#[tokio::test]
async fn a_queue_drops_what_it_has_seen() {
    with_broker(async |broker| {
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        let [on, size] = arguments();
        let queue = client.queue([on, size, ("x-deduplication-header", text("id"))]).await;
        for (number, id) in [(0, "a"), (1, "a"), (2, "b")] {
            let properties = Client::persistent().with_headers(table([("id", text(id))]));
            client.publish("", &queue, properties, &[number.to_string().as_bytes()]).await;
        }
        assert_eq!(numbers(&client.drain(&queue).await), [0, 2]);
        let properties = Client::persistent().with_headers(table([("id", text("b"))]));
        client.publish("", &queue, properties, &[b"3"]).await;
        assert_eq!(client.ready(&queue).await, 0, "also what was consumed meanwhile");
    })
    .await;
}

#[tokio::test]
async fn what_was_seen_is_known_after_a_restart_and_a_crash() {
    with_broker(async |mut broker| {
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        let exchange = client.exchange(ExchangeKind::Fanout, arguments()).await;
        let (behind, queue) = (client.queue([]).await, client.queue(arguments()).await);
        client.bind(&behind, &exchange, "", []).await;
        publish(&client, &exchange, "", &["a", "b"]).await;
        publish(&client, "", &queue, &["a", "b"]).await;
        broker.kill();
        broker.start_again().await;
        let client = broker.client().await;
        publish(&client, &exchange, "", &["a", "b", "c"]).await;
        publish(&client, "", &queue, &["a", "b", "c"]).await;
        broker.restart().await;
        let client = broker.client().await;
        publish(&client, &exchange, "", &["a", "b", "c", "d"]).await;
        publish(&client, "", &queue, &["a", "b", "c", "d"]).await;
        for queue in [behind, queue] {
            assert_eq!(numbers(&client.drain(&queue).await), [0, 1, 2, 3]);
        }
    })
    .await;
}

#[tokio::test]
async fn the_oldest_value_makes_room_and_a_time_may_be_set() {
    with_broker(async |broker| {
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        let [on, _] = arguments();
        let queue = client.queue([on, ("x-cache-size", AMQPValue::LongInt(2))]).await;
        publish(&client, "", &queue, &["a", "b", "c", "b", "a"]).await;
        assert_eq!(numbers(&client.drain(&queue).await), [0, 1, 2, 4]);

        let [on, size] = arguments();
        let queue = client.queue([on, size, ("x-cache-ttl", AMQPValue::LongInt(1))]).await;
        publish(&client, "", &queue, &["a"]).await;
        leveret_tests::eventually("a value is forgotten", async || {
            publish(&client, "", &queue, &["a"]).await;
            client.ready(&queue).await > 1
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn what_nobody_takes_may_come_again() {
    with_broker(async |broker| {
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        let exchange = client.exchange(ExchangeKind::Fanout, arguments()).await;
        let channel = client.confirm_channel().await;
        let mandatory = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let send = async || {
            let sent = channel.basic_publish(exchange.as_str().into(), "".into(), mandatory, b"0", with_value("a"));
            sent.await.unwrap().await.unwrap()
        };
        assert!(matches!(send().await, Confirmation::Ack(Some(_))), "returned");
        let limit = [("x-max-length", AMQPValue::LongInt(0)), ("x-overflow", text("reject-publish"))];
        let full = client.queue(limit).await;
        client.bind(&full, &exchange, "", []).await;
        assert!(matches!(send().await, Confirmation::Nack(_)), "refused");
        assert!(matches!(send().await, Confirmation::Nack(_)), "and not taken for a repetition");
        let options = lapin::options::QueueDeleteOptions::default();
        client.channel.queue_delete(full.as_str().into(), options).await.unwrap();
        let queue = client.queue([]).await;
        client.bind(&queue, &exchange, "", []).await;
        assert_eq!(send().await, Confirmation::Ack(None));
        assert_eq!(send().await, Confirmation::Ack(None), "a repetition is not returned");
        assert_eq!(client.ready(&queue).await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_transaction_counts_when_it_is_committed() {
    with_broker(async |broker| {
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        let exchange = client.exchange(ExchangeKind::Fanout, arguments()).await;
        let queue = client.queue([]).await;
        client.bind(&queue, &exchange, "", []).await;
        let channel = client.another_channel().await;
        channel.tx_select().await.unwrap();
        for is_committed in [false, true, true] {
            let options = BasicPublishOptions::default();
            let sent = channel.basic_publish(exchange.as_str().into(), "".into(), options, b"0", with_value("a"));
            drop(sent.await.unwrap());
            if is_committed { channel.tx_commit().await.unwrap() } else { channel.tx_rollback().await.unwrap() }
        }
        assert_eq!(client.ready(&queue).await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_dead_letter_is_no_repetition() {
    with_broker(async |broker| {
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        let dead = client.exchange(ExchangeKind::Fanout, arguments()).await;
        let [on, size] = arguments();
        let expiring = [("x-message-ttl", AMQPValue::LongInt(1)), ("x-dead-letter-exchange", text(&dead))];
        let [ttl, letters] = expiring;
        let queue = client.queue([on.clone(), size.clone(), ttl, letters]).await;
        let behind = client.queue([on, size]).await;
        client.bind(&behind, &dead, "", []).await;
        publish(&client, &dead, "", &["a"]).await;
        publish(&client, "", &queue, &["a"]).await;
        client.settles_at(&behind, 2).await;
    })
    .await;
}

#[tokio::test]
async fn wrong_arguments_are_refused() {
    with_broker(async |broker| {
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        let wrong = || table([("x-message-deduplication", text("true"))]);
        let refused = client.declare("dedup.refused", QueueDeclareOptions::durable(), wrong()).await.unwrap_err();
        let expected = "PRECONDITION_FAILED - invalid arg 'x-message-deduplication' for queue 'dedup.refused' in vhost '/': \
                        {unacceptable_type,longstr}";
        assert_eq!(reply(&refused), (406, expected.to_owned()));
        let declare = async |kind, arguments: FieldTable| {
            let channel = client.another_channel().await;
            let options = ExchangeDeclareOptions::default();
            let declared = channel.exchange_declare("dedup.refused".into(), kind, options, arguments).await;
            reply(&declared.unwrap_err()).0
        };
        assert_eq!(declare(ExchangeKind::Fanout, wrong()).await, 406);
        let kind = ExchangeKind::Custom("x-message-deduplication".to_owned());
        assert_eq!(declare(kind, FieldTable::default()).await, 406, "it wants a size");

        let queue = client.queue(arguments()).await;
        let again = client.declare(&queue, QueueDeclareOptions::durable(), FieldTable::default()).await.unwrap_err();
        assert!(reply(&again).1.contains("inequivalent arg 'x-message-deduplication'"));
        let channel = client.confirm_channel().await;
        let exchange = client.exchange(ExchangeKind::Fanout, arguments()).await;
        let headers = table([("x-deduplication-header", text("a")), ("x-cache-ttl", text("soon"))]);
        let properties = Client::persistent().with_headers(headers);
        let options = BasicPublishOptions::default();
        let sent = channel.basic_publish(exchange.as_str().into(), "".into(), options, b"", properties).await.unwrap();
        assert!(reply(&sent.await.unwrap_err()).1.contains("invalid header 'x-cache-ttl'"));
    })
    .await;
}

#[tokio::test]
async fn each_exchange_on_the_way_looks_for_itself() {
    with_broker(async |broker| {
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        let (outer, inner) =
            (client.exchange(ExchangeKind::Fanout, []).await, client.exchange(ExchangeKind::Fanout, arguments()).await);
        let options = ExchangeBindOptions::default();
        let (destination, source) = (inner.as_str().into(), outer.as_str().into());
        client.channel.exchange_bind(destination, source, "".into(), options, FieldTable::default()).await.unwrap();
        let (all, once) = (client.queue([]).await, client.queue([]).await);
        client.bind(&all, &outer, "", []).await;
        client.bind(&once, &inner, "", []).await;
        publish(&client, &outer, "", &["a", "a"]).await;
        assert_eq!((client.ready(&all).await, client.ready(&once).await), (2, 1));
    })
    .await;
}
