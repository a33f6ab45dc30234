//! Consuming: order, credit and settling.

use lapin::options::{
    BasicAckOptions, BasicGetOptions, BasicNackOptions, BasicQosOptions, BasicRecoverOptions, BasicRejectOptions,
};
use lapin::types::AMQPValue;
use lapin::{Channel, Consumer};
use leveret_tests::{Client, numbers, reply, with_broker, within};

async fn filled(client: &Client, count: u32) -> String {
    let queue = client.queue([]).await;
    client.publish_numbers(&queue, 0..count).await;
    queue
}

const REQUEUE: BasicNackOptions = BasicNackOptions { multiple: false, requeue: true };

#[tokio::test]
async fn no_more_is_sent_than_the_prefetch_allows() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let queue = filled(&client, 10).await;
        let (_channel, mut consumer) = client.consume(&queue, 3).await;
        let first = Client::take(&mut consumer, 3).await;
        client.settles_at(&queue, 7).await;
        first[1].ack(BasicAckOptions::default()).await.unwrap();
        let next = Client::next(&mut consumer).await;
        assert_eq!(next.number(), 3);
        assert_eq!(client.ready(&queue).await, 6);
        next.ack(BasicAckOptions { multiple: true }).await.unwrap();
        assert_eq!(numbers(&Client::take(&mut consumer, 3).await), [4, 5, 6]);
        assert_eq!(client.ready(&queue).await, 3);
    })
    .await;
}

#[tokio::test]
async fn a_prefetch_of_the_channel_is_shared_by_its_consumers() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let (first, second) = (filled(&client, 5).await, filled(&client, 5).await);
        let channel = client.another_channel().await;
        channel.basic_qos(4, BasicQosOptions { global: true }).await.unwrap();
        let _one = consume_on(&channel, &first).await;
        let _two = consume_on(&channel, &second).await;
        let both = async || client.ready(&first).await + client.ready(&second).await;
        leveret_tests::eventually("four deliveries in all", async || both().await == 6).await;
        // It stays so: a further request is answered after whatever the broker had to send.
        assert_eq!(both().await, 6);
    })
    .await;
}

async fn consume_on(channel: &Channel, queue: &str) -> Consumer {
    let consumer = channel.basic_consume(queue.into(), "".into(), Default::default(), Default::default());
    within("a consumer", consumer).await.unwrap()
}

#[tokio::test]
async fn what_is_given_back_returns_to_its_place() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let queue = filled(&client, 6).await;
        let (channel, mut consumer) = client.consume(&queue, 4).await;
        let messages = Client::take(&mut consumer, 4).await;
        messages[0].ack(BasicAckOptions::default()).await.unwrap();
        messages[2].reject(BasicRejectOptions { requeue: true }).await.unwrap();
        let _ = channel.close(200, "done".into()).await;
        client.settles_at(&queue, 5).await;
        let rest = client.drain(&queue).await;
        assert_eq!(numbers(&rest), [1, 2, 3, 4, 5]);
        let redelivered: Vec<bool> = rest.iter().map(|message| message.redelivered).collect();
        assert!(redelivered[..3].iter().all(|flag| *flag), "{redelivered:?}");
        // 4 was sent in the place of 0 or not, by chance.
        assert!(!redelivered[4]);
    })
    .await;
}

#[tokio::test]
async fn a_lost_connection_gives_everything_back() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let queue = filled(&client, 100).await;
        let other = broker.client().await;
        let (_channel, mut consumer) = other.consume(&queue, 0).await;
        Client::take(&mut consumer, 100).await;
        other.connection.close(200, "done".into()).await.unwrap();
        client.settles_at(&queue, 100).await;
        let messages = client.drain(&queue).await;
        assert_eq!(numbers(&messages), (0..100).collect::<Vec<_>>());
        assert!(messages.iter().all(|message| message.redelivered));
    })
    .await;
}

#[tokio::test]
async fn several_are_settled_at_once() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let queue = filled(&client, 10).await;
        let (channel, mut consumer) = client.consume(&queue, 0).await;
        let messages = Client::take(&mut consumer, 10).await;
        messages[3].ack(BasicAckOptions { multiple: true }).await.unwrap();
        messages[5].nack(BasicNackOptions { multiple: true, requeue: false }).await.unwrap();
        channel.close(200, "done".into()).await.unwrap();
        client.settles_at(&queue, 4).await;
        assert_eq!(numbers(&client.drain(&queue).await), [6, 7, 8, 9]);
    })
    .await;
}

#[tokio::test]
async fn a_tag_can_be_settled_once() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let (tag, error) = loop {
            let queue = filled(&client, 1).await;
            let channel = client.another_channel().await;
            let got = channel.basic_get(queue.as_str().into(), BasicGetOptions::default()).await.unwrap().unwrap();
            let tag = got.delivery.delivery_tag;
            channel.basic_ack(tag, BasicAckOptions::default()).await.unwrap();
            channel.basic_ack(tag, BasicAckOptions::default()).await.unwrap();
            let error = channel.basic_qos(1, BasicQosOptions::default()).await.unwrap_err();
            // The client may know already that the channel is closed, and does not say why then.
            if !matches!(error.kind(), lapin::ErrorKind::InvalidChannelState(..)) {
                break (tag, error);
            }
        };
        assert_eq!(reply(&error), (406, format!("PRECONDITION_FAILED - unknown delivery tag {tag}")));
    })
    .await;
}

#[tokio::test]
async fn getting_counts_down_to_empty() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let queue = filled(&client, 2).await;
        for left in [1, 0] {
            let got = client.channel.basic_get(queue.as_str().into(), BasicGetOptions { no_ack: false }).await;
            let got = got.unwrap().unwrap();
            assert_eq!(got.message_count, left);
            got.delivery.ack(BasicAckOptions::default()).await.unwrap();
        }
        assert!(client.get(&queue).await.is_none());
    })
    .await;
}

#[tokio::test]
async fn requeued_messages_are_marked_and_go_round() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let queue = filled(&client, 1).await;
        let (_channel, mut consumer) = client.consume(&queue, 1).await;
        for round in 0..3 {
            let message = Client::next(&mut consumer).await;
            assert_eq!(message.redelivered, round > 0);
            message.nack(REQUEUE).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn recovering_sends_everything_again() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let queue = filled(&client, 3).await;
        let (channel, mut consumer) = client.consume(&queue, 0).await;
        let first = Client::take(&mut consumer, 3).await;
        within("recover-ok", channel.basic_recover(BasicRecoverOptions { requeue: true })).await.unwrap();
        let second = Client::take(&mut consumer, 3).await;
        assert_eq!(numbers(&first), numbers(&second));
        assert!(second.iter().all(|message| message.redelivered));
        second[2].ack(BasicAckOptions { multiple: true }).await.unwrap();
        channel.close(200, "done".into()).await.unwrap();
        assert_eq!(client.ready(&queue).await, 0);
    })
    .await;
}

#[tokio::test]
async fn messages_on_their_way_are_not_ready() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let queue = client.queue([("x-max-length", AMQPValue::LongInt(2))]).await;
        client.publish_numbers(&queue, 0..2).await;
        let (_channel, mut consumer) = client.consume(&queue, 0).await;
        Client::take(&mut consumer, 2).await;
        // The limit counts ready messages only, so nothing is dropped.
        client.publish_numbers(&queue, 2..4).await;
        assert_eq!(numbers(&Client::take(&mut consumer, 2).await), [2, 3]);
    })
    .await;
}
