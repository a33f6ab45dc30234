//! Consumers beside each other: turns, priorities, exclusiveness, hand-over, cancellation; direct reply-to.

use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicPublishOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Consumer, Result};
use leveret_tests::{Client, numbers, reply, table, with_broker, within};

use futures_util::StreamExt;

async fn consume(channel: &Channel, queue: &str, tag: &str, exclusive: bool, priority: i32) -> Result<Consumer> {
    let options = BasicConsumeOptions { exclusive, ..BasicConsumeOptions::default() };
    let arguments =
        if priority == 0 { FieldTable::default() } else { table([("x-priority", AMQPValue::LongInt(priority))]) };
    within("a consumer", channel.basic_consume(queue.into(), tag.into(), options, arguments)).await
}

#[tokio::test]
async fn consumers_take_turns() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let queue = client.queue([]).await;
        let (_one, mut first) = client.consume(&queue, 10).await;
        let (_two, mut second) = client.consume(&queue, 10).await;
        client.publish_numbers(&queue, 0..20).await;
        let (first, second) = (Client::take(&mut first, 10).await, Client::take(&mut second, 10).await);
        let mut all = [numbers(&first), numbers(&second)];
        assert!(all.iter().all(|numbers| numbers.is_sorted()));
        all[0].append(&mut all[1].clone());
        all[0].sort_unstable();
        assert_eq!(all[0], (0..20).collect::<Vec<_>>());
    })
    .await;
}

#[tokio::test]
async fn the_higher_priority_is_served_while_it_has_credit() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let queue = client.queue([]).await;
        let (low_channel, high_channel) = (client.another_channel().await, client.another_channel().await);
        for channel in [&low_channel, &high_channel] {
            channel.basic_qos(2, Default::default()).await.unwrap();
        }
        let mut low = consume(&low_channel, &queue, "low", false, 0).await.unwrap();
        let mut high = consume(&high_channel, &queue, "high", false, 5).await.unwrap();
        client.publish_numbers(&queue, 0..3).await;
        assert_eq!(numbers(&Client::take(&mut high, 2).await), [0, 1]);
        assert_eq!(Client::next(&mut low).await.number(), 2);
    })
    .await;
}

#[tokio::test]
async fn an_exclusive_consumer_is_alone() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let queue = client.queue([]).await;
        let channel = client.another_channel().await;
        let _alone = consume(&channel, &queue, "alone", true, 0).await.unwrap();
        let other = client.another_channel().await;
        let error = consume(&other, &queue, "other", false, 0).await.unwrap_err();
        assert_eq!(reply(&error).0, 403);
        channel.basic_cancel("alone".into(), BasicCancelOptions::default()).await.unwrap();
        let other = client.another_channel().await;
        consume(&other, &queue, "other", false, 0).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_tag_is_used_once_in_a_channel() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let queue = client.queue([]).await;
        let _first = consume(&client.channel, &queue, "tag", false, 0).await.unwrap();
        let again = client.channel.basic_consume(
            queue.as_str().into(),
            "tag".into(),
            BasicConsumeOptions { nowait: true, ..BasicConsumeOptions::default() },
            FieldTable::default(),
        );
        let _ = within("basic.consume", again).await;
        let status = client.connection.status();
        leveret_tests::eventually("the end of the connection", async || !status.connected()).await;
    })
    .await;
}

#[tokio::test]
async fn a_single_active_consumer_hands_over() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let queue = client.queue([("x-single-active-consumer", AMQPValue::Boolean(true))]).await;
        let (first_channel, mut first) = client.consume(&queue, 0).await;
        let (_second_channel, mut second) = client.consume(&queue, 0).await;
        client.publish_numbers(&queue, 0..4).await;
        let messages = Client::take(&mut first, 4).await;
        messages[1].ack(BasicAckOptions { multiple: true }).await.unwrap();
        first_channel.close(200, "done".into()).await.unwrap();
        let messages = Client::take(&mut second, 2).await;
        assert_eq!(numbers(&messages), [2, 3]);
        assert!(messages.iter().all(|message| message.redelivered));
    })
    .await;
}

#[tokio::test]
async fn consumers_are_told_of_the_end_of_their_queue() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let queue = client.queue([]).await;
        let (_channel, mut consumer) = client.consume(&queue, 0).await;
        client.channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
        assert!(within("the end of the consumer", consumer.next()).await.is_none());
    })
    .await;
}

#[tokio::test]
async fn a_cancelled_consumer_keeps_what_it_has() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let queue = client.queue([]).await;
        client.publish_numbers(&queue, 0..2).await;
        let channel = client.another_channel().await;
        let mut consumer = consume(&channel, &queue, "tag", false, 0).await.unwrap();
        let messages = Client::take(&mut consumer, 2).await;
        channel.basic_cancel("tag".into(), BasicCancelOptions::default()).await.unwrap();
        client.publish_numbers(&queue, 2..3).await;
        assert_eq!(client.ready(&queue).await, 1);
        messages[1].ack(BasicAckOptions { multiple: true }).await.unwrap();
        channel.close(200, "done".into()).await.unwrap();
        assert_eq!(numbers(&client.drain(&queue).await), [2]);
    })
    .await;
}

#[tokio::test]
async fn requests_are_answered_without_a_reply_queue() {
    with_broker(async |broker| {
        let (client, server) = (broker.client().await, broker.client().await);
        let requests = client.queue([]).await;
        let pseudo = "amq.rabbitmq.reply-to";
        let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let replies = client.channel.basic_consume(pseudo.into(), "".into(), options, FieldTable::default());
        let mut replies = within("the reply consumer", replies).await.unwrap();

        let properties = BasicProperties::default().with_reply_to(pseudo.into()).with_correlation_id("one".into());
        let publish = BasicPublishOptions::default();
        let key = requests.as_str().into();
        client.channel.basic_publish("".into(), key, publish, b"question", properties).await.unwrap();

        let (_channel, mut consumer) = server.consume(&requests, 1).await;
        let request = Client::next(&mut consumer).await;
        let reply_to = request.properties.reply_to().clone().unwrap();
        assert!(reply_to.as_str().starts_with("amq.rabbitmq.reply-to."), "{reply_to}");
        let properties = BasicProperties::default().with_correlation_id("one".into());
        server.publish("", reply_to.as_str(), properties, &[b"answer"]).await;

        let answer = Client::next(&mut replies).await;
        assert_eq!(answer.text(), "answer");
        assert_eq!(answer.properties.correlation_id().as_ref().unwrap().as_str(), "one");
    })
    .await;
}
