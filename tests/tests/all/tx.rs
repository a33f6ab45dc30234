//! Transactions.

use lapin::Channel;
use lapin::options::{BasicAckOptions, BasicGetOptions, BasicPublishOptions};
use lapin::types::AMQPValue;
use leveret_tests::{Client, numbers, with_broker};

async fn transaction(client: &Client) -> Channel {
    let channel = client.another_channel().await;
    channel.tx_select().await.unwrap();
    channel
}

async fn publish(channel: &Channel, queue: &str, body: &str) {
    let options = BasicPublishOptions::default();
    let sent = channel.basic_publish("".into(), queue.into(), options, body.as_bytes(), Client::persistent());
    let _ = sent.await.unwrap().await.unwrap();
}

async fn get_and_ack(channel: &Channel, queue: &str) -> u32 {
    let got = channel.basic_get(queue.into(), BasicGetOptions::default()).await.unwrap().unwrap();
    got.delivery.ack(BasicAckOptions::default()).await.unwrap();
    std::str::from_utf8(&got.delivery.data).unwrap().parse().unwrap()
}

#[tokio::test]
async fn nothing_is_seen_before_the_commit() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let (first, second) = (client.queue([]).await, client.queue([]).await);
        let channel = transaction(&client).await;
        for number in ["0", "1"] {
            publish(&channel, &first, number).await;
            publish(&channel, &second, number).await;
        }
        // The answer to a request on the same channel comes after the publishes were handled.
        channel.basic_qos(1, Default::default()).await.unwrap();
        assert_eq!((client.ready(&first).await, client.ready(&second).await), (0, 0));
        channel.tx_commit().await.unwrap();
        assert_eq!(numbers(&client.drain(&first).await), [0, 1]);
        assert_eq!(numbers(&client.drain(&second).await), [0, 1]);
    })
    .await;
}

#[tokio::test]
async fn a_rollback_forgets_publishes_and_acknowledgements() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let queue = client.queue([]).await;
        client.publish_numbers(&queue, 0..1).await;
        let channel = transaction(&client).await;
        assert_eq!(get_and_ack(&channel, &queue).await, 0);
        publish(&channel, &queue, "1").await;
        channel.tx_rollback().await.unwrap();
        assert_eq!(client.ready(&queue).await, 0);
        // The message is unsettled again, and goes back with the channel.
        channel.close(200, "done".into()).await.unwrap();
        client.settles_at(&queue, 1).await;
        assert_eq!(numbers(&client.drain(&queue).await), [0]);
    })
    .await;
}

#[tokio::test]
async fn acknowledgements_count_with_the_commit() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let (from, to) = (client.queue([]).await, client.queue([]).await);
        client.publish_numbers(&from, 0..2).await;
        let channel = transaction(&client).await;
        get_and_ack(&channel, &from).await;
        publish(&channel, &to, "0").await;
        channel.tx_commit().await.unwrap();
        get_and_ack(&channel, &from).await;
        publish(&channel, &to, "1").await;
        channel.close(200, "without a commit".into()).await.unwrap();
        client.settles_at(&from, 1).await;
        assert_eq!(numbers(&client.drain(&from).await), [1]);
        assert_eq!(numbers(&client.drain(&to).await), [0]);
    })
    .await;
}

#[tokio::test]
async fn a_queue_without_room_refuses_the_whole_transaction() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let (from, open) = (client.queue([]).await, client.queue([]).await);
        let reject = AMQPValue::LongString("reject-publish".into());
        let narrow = client.queue([("x-max-length", AMQPValue::LongInt(1)), ("x-overflow", reject)]).await;
        client.publish_numbers(&from, 0..1).await;
        let channel = transaction(&client).await;
        get_and_ack(&channel, &from).await;
        publish(&channel, &open, "1").await;
        publish(&channel, &narrow, "2").await;
        publish(&channel, &narrow, "3").await;
        let error = channel.tx_commit().await.unwrap_err();
        let expected = format!(
            "PRECONDITION_FAILED - queue '{narrow}' in vhost '/' has no room for the transaction: nothing of it was done"
        );
        assert_eq!(leveret_tests::reply(&error), (406, expected));
        client.settles_at(&from, 1).await;
        assert_eq!((client.ready(&open).await, client.ready(&narrow).await), (0, 0));
    })
    .await;
}

#[tokio::test]
async fn a_channel_without_a_transaction_cannot_commit() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let error = client.channel.tx_commit().await.unwrap_err();
        assert_eq!(leveret_tests::reply(&error), (406, "PRECONDITION_FAILED - channel is not transactional".into()));
    })
    .await;
}
