//! Priority queues.

use lapin::types::AMQPValue;
use leveret_tests::{Client, with_broker};

async fn publish(client: &Client, queue: &str, priorities: &[Option<u8>]) {
    for (index, priority) in priorities.iter().enumerate() {
        let mut properties = Client::persistent();
        if let Some(priority) = priority {
            properties = properties.with_priority(*priority);
        }
        client.publish("", queue, properties, &[index.to_string().as_bytes()]).await;
    }
}

#[tokio::test]
async fn higher_priorities_come_first_and_equals_in_order() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let queue = client.queue([("x-max-priority", AMQPValue::LongInt(5))]).await;
        // None counts as 0, more than the highest as the highest.
        publish(&client, &queue, &[None, Some(3), Some(9), Some(0), Some(5), Some(3)]).await;
        let messages = client.drain(&queue).await;
        assert_eq!(leveret_tests::numbers(&messages), [2, 4, 1, 5, 0, 3]);
        assert_eq!(messages[0].properties.priority(), &Some(9));
    })
    .await;
}

#[tokio::test]
async fn without_the_argument_priorities_say_nothing() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let queue = client.queue([]).await;
        publish(&client, &queue, &[Some(1), Some(9), Some(5)]).await;
        assert_eq!(leveret_tests::numbers(&client.drain(&queue).await), [0, 1, 2]);
    })
    .await;
}

#[tokio::test]
async fn a_message_given_back_keeps_its_priority() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let queue = client.queue([("x-max-priority", AMQPValue::LongInt(9))]).await;
        publish(&client, &queue, &[Some(1), Some(9)]).await;
        let (channel, mut consumer) = client.consume(&queue, 2).await;
        assert_eq!(leveret_tests::numbers(&Client::take(&mut consumer, 2).await), [1, 0]);
        channel.close(200, "done".into()).await.unwrap();
        publish(&client, &queue, &[Some(5)]).await;
        client.settles_at(&queue, 3).await;
        let priorities: Vec<Option<u8>> =
            client.drain(&queue).await.iter().map(|message| *message.properties.priority()).collect();
        assert_eq!(priorities, [Some(9), Some(5), Some(1)]);
    })
    .await;
}
