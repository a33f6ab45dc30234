//! Length limits.

use lapin::options::QueueDeclareOptions;
use lapin::types::AMQPValue;
use leveret_tests::{Client, numbers, reply, table, with_broker};

#[tokio::test]
async fn the_oldest_go_first() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let queue = client.queue([("x-max-length", AMQPValue::LongInt(3))]).await;
        client.publish_numbers(&queue, 0..10).await;
        client.settles_at(&queue, 3).await;
        assert_eq!(numbers(&client.drain(&queue).await), [7, 8, 9]);
    })
    .await;
}

#[tokio::test]
async fn bytes_of_bodies_are_counted() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let queue = client.queue([("x-max-length-bytes", AMQPValue::LongInt(250))]).await;
        let body = [b'x'; 100];
        client.publish("", &queue, Client::persistent(), &[&body, &body, &body]).await;
        client.settles_at(&queue, 2).await;
    })
    .await;
}

#[tokio::test]
async fn wrong_limits_are_refused() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let wrong = [
            ("x-max-length", AMQPValue::LongInt(-1)),
            ("x-max-length", AMQPValue::LongString("many".into())),
            ("x-overflow", AMQPValue::LongString("explode".into())),
            ("x-message-ttl", AMQPValue::LongInt(-1)),
            ("x-expires", AMQPValue::LongInt(0)),
            ("x-max-priority", AMQPValue::LongInt(256)),
            ("x-dead-letter-exchange", AMQPValue::LongInt(1)),
        ];
        for (key, value) in wrong {
            let arguments = table([(key, value.clone())]);
            let declared = client.declare(&Client::name("wrong"), QueueDeclareOptions::durable(), arguments).await;
            let (code, text) = reply(&declared.expect_err("a refusal"));
            assert_eq!(code, 406, "{key} {value:?}");
            assert!(text.contains(&format!("arg '{key}'")), "{text}");
        }
    })
    .await;
}
