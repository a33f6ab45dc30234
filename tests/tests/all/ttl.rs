//! Time to live, of messages and of queues.

use lapin::options::BasicPublishOptions;
use lapin::types::AMQPValue;
use leveret_tests::{Client, eventually, reply, with_broker};

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

#[tokio::test]
async fn the_queue_limits_the_time_of_all() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let queue = client.queue([("x-message-ttl", AMQPValue::LongInt(30))]).await;
        client.publish_numbers(&queue, 0..5).await;
        client.settles_at(&queue, 0).await;
    })
    .await;
}

#[tokio::test]
async fn the_shorter_of_both_times_counts() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let queue = client.queue([("x-message-ttl", AMQPValue::LongInt(20))]).await;
        client.publish("", &queue, Client::persistent().with_expiration("600000".into()), &[b"0"]).await;
        client.settles_at(&queue, 0).await;
        let queue = client.queue([("x-message-ttl", AMQPValue::LongInt(600_000))]).await;
        client.publish("", &queue, Client::persistent().with_expiration("20".into()), &[b"0"]).await;
        client.settles_at(&queue, 0).await;
    })
    .await;
}

#[tokio::test]
async fn a_message_that_waits_behind_others_expires_on_time() {
    with_broker(async |broker| {
        if !broker.is_ours() {
            // RabbitMQ looks at the head only.
            return;
        }
        let client = broker.client().await;
        let dead = client.queue([]).await;
        let arguments = [("x-dead-letter-exchange", text("")), ("x-dead-letter-routing-key", text(&dead))];
        let queue = client.queue(arguments).await;
        client.publish_numbers(&queue, 0..2).await;
        client.publish("", &queue, Client::persistent().with_expiration("30".into()), &[b"2"]).await;
        client.publish_numbers(&queue, 3..4).await;
        client.settles_at(&dead, 1).await;
        assert_eq!(client.get(&dead).await.unwrap().number(), 2);
        assert_eq!(leveret_tests::numbers(&client.drain(&queue).await), [0, 1, 3]);
    })
    .await;
}

#[tokio::test]
async fn no_time_at_all_means_at_once_or_never() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let queue = client.queue([("x-message-ttl", AMQPValue::LongInt(0))]).await;
        client.publish_numbers(&queue, 0..1).await;
        client.settles_at(&queue, 0).await;
        // With a consumer that waits, it is delivered.
        let (_channel, mut consumer) = client.consume(&queue, 1).await;
        client.publish_numbers(&queue, 1..2).await;
        assert_eq!(Client::next(&mut consumer).await.number(), 1);
    })
    .await;
}

#[tokio::test]
async fn what_is_being_worked_on_does_not_expire() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let queue = client.queue([]).await;
        let short = Client::persistent().with_expiration("200".into());
        let (channel, mut consumer) = client.consume(&queue, 1).await;
        client.publish("", &queue, short, &[b"0"]).await;
        Client::next(&mut consumer).await;
        // A witness with the same time, in a queue nobody consumes.
        let witness = client.queue([]).await;
        client.publish("", &witness, Client::persistent().with_expiration("200".into()), &[b"0"]).await;
        client.settles_at(&witness, 0).await;
        channel.close(200, "done".into()).await.unwrap();
        // Given back after its time, it expires now.
        client.settles_at(&queue, 0).await;
    })
    .await;
}

#[tokio::test]
async fn an_expiration_is_a_number() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let queue = client.queue([]).await;
        let channel = client.confirm_channel().await;
        let properties = Client::persistent().with_expiration("soon".into());
        let options = BasicPublishOptions::default();
        let sent = channel.basic_publish("".into(), queue.as_str().into(), options, b"0", properties).await.unwrap();
        let (code, text) = reply(&leveret_tests::within("the refusal", sent).await.unwrap_err());
        assert_eq!(code, 406);
        assert!(text.starts_with("PRECONDITION_FAILED - invalid expiration 'soon'"), "{text}");
    })
    .await;
}

#[tokio::test]
async fn an_unused_queue_expires() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let queue = client.queue([("x-expires", AMQPValue::LongInt(300))]).await;
        let used = client.queue([("x-expires", AMQPValue::LongInt(300))]).await;
        let (_channel, _consumer) = client.consume(&used, 1).await;
        eventually("the end of the queue", async || !exists_unused(&client, &queue).await).await;
        assert!(client.has_queue(&used).await);
    })
    .await;
}

/// Looks for a queue by binding an exchange to it: unlike a passive declaration, that does not count as use.
async fn exists_unused(client: &Client, queue: &str) -> bool {
    let channel = client.another_channel().await;
    let (exchange, options) = ("amq.direct".into(), Default::default());
    channel.queue_bind(queue.into(), exchange, "unused".into(), options, Default::default()).await.is_ok()
}
