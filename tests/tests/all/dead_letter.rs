//! Dead-lettering: why, where to, and what the message says of it.

use lapin::options::{BasicAckOptions, BasicRejectOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, ExchangeKind};
use leveret_tests::{Client, numbers, table, with_broker};

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

/// A queue whose dead letters go to another by the default exchange.
async fn pair<const N: usize>(client: &Client, more: [(&str, AMQPValue); N]) -> (String, String) {
    let dead = client.queue([]).await;
    let mut arguments = vec![("x-dead-letter-exchange", text("")), ("x-dead-letter-routing-key", text(&dead))];
    arguments.extend(more);
    let queue = declare(client, arguments).await;
    (queue, dead)
}

async fn declare(client: &Client, arguments: Vec<(&str, AMQPValue)>) -> String {
    let name = Client::name("queue");
    let mut table = FieldTable::default();
    for (key, value) in arguments {
        table.insert(key.into(), value);
    }
    client.declare(&name, QueueDeclareOptions::durable(), table).await.unwrap();
    name
}

#[tokio::test]
async fn rejected_messages_say_where_they_died() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let (queue, dead) = pair(&client, []).await;
        client.publish_numbers(&queue, 0..3).await;
        let (_channel, mut consumer) = client.consume(&queue, 0).await;
        for message in Client::take(&mut consumer, 3).await {
            message.reject(BasicRejectOptions { requeue: false }).await.unwrap();
        }
        client.settles_at(&dead, 3).await;
        let letters = client.drain(&dead).await;
        assert_eq!(numbers(&letters), [0, 1, 2]);
        for letter in &letters {
            let deaths = letter.deaths();
            assert_eq!(deaths.len(), 1);
            assert_eq!(deaths[0].text("reason"), "rejected");
            assert_eq!(deaths[0].text("queue"), queue);
            assert_eq!(deaths[0].text("exchange"), "");
            assert_eq!(deaths[0].count(), Some(1));
            assert_eq!(letter.text_header("x-first-death-queue"), queue);
            assert_eq!(letter.text_header("x-first-death-reason"), "rejected");
            assert_eq!(letter.text_header("x-first-death-exchange"), "");
            assert_eq!(letter.routing_key.as_str(), dead);
        }
    })
    .await;
}

#[tokio::test]
async fn the_routing_key_stays_unless_another_is_given() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let exchange = client.exchange(ExchangeKind::Topic, []).await;
        let dead = client.queue([]).await;
        client.bind(&dead, &exchange, "#", []).await;
        let queue = client.queue([("x-dead-letter-exchange", text(&exchange))]).await;
        client.publish_numbers(&queue, 0..1).await;
        let (_channel, mut consumer) = client.consume(&queue, 0).await;
        Client::next(&mut consumer).await.reject(BasicRejectOptions { requeue: false }).await.unwrap();
        client.settles_at(&dead, 1).await;
        let letter = client.get(&dead).await.unwrap();
        assert_eq!((letter.exchange.as_str(), letter.routing_key.as_str()), (exchange.as_str(), queue.as_str()));
    })
    .await;
}

#[tokio::test]
async fn expired_messages_lose_their_expiration() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let (queue, dead) = pair(&client, []).await;
        let properties = Client::persistent().with_expiration("1".into());
        client.publish("", &queue, properties, &[b"0"]).await;
        client.settles_at(&dead, 1).await;
        let letter = client.get(&dead).await.unwrap();
        assert_eq!(letter.properties.expiration(), &None);
        let deaths = letter.deaths();
        assert_eq!(deaths[0].text("reason"), "expired");
        assert_eq!(deaths[0].text("original-expiration"), "1");
    })
    .await;
}

#[tokio::test]
async fn what_does_not_fit_dies_from_the_head() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let (queue, dead) = pair(&client, [("x-max-length", AMQPValue::LongInt(2))]).await;
        client.publish_numbers(&queue, 0..5).await;
        client.settles_at(&dead, 3).await;
        let letters = client.drain(&dead).await;
        assert_eq!(numbers(&letters), [0, 1, 2]);
        assert!(letters.iter().all(|letter| letter.deaths()[0].text("reason") == "maxlen"));
        assert_eq!(numbers(&client.drain(&queue).await), [3, 4]);
    })
    .await;
}

#[tokio::test]
async fn what_is_refused_for_length_can_be_a_dead_letter() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let overflow = ("x-overflow", text("reject-publish-dlx"));
        let (queue, dead) = pair(&client, [("x-max-length", AMQPValue::LongInt(1)), overflow]).await;
        client.publish_numbers(&queue, 0..1).await;
        let channel = client.confirm_channel().await;
        let key = queue.as_str().into();
        let sent = channel.basic_publish("".into(), key, Default::default(), b"1", Client::persistent());
        assert!(sent.await.unwrap().await.unwrap().is_nack());
        client.settles_at(&dead, 1).await;
        assert_eq!(numbers(&client.drain(&dead).await), [1]);
        assert_eq!(numbers(&client.drain(&queue).await), [0]);
    })
    .await;
}

#[tokio::test]
async fn attempts_are_counted_up_to_a_limit() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let limited = [("x-queue-type", text("quorum")), ("x-delivery-limit", AMQPValue::LongInt(2))];
        let (queue, dead) = pair(&client, limited).await;
        client.publish_numbers(&queue, 0..1).await;
        let (_channel, mut consumer) = client.consume(&queue, 1).await;
        for attempt in 0..3_i64 {
            let message = Client::next(&mut consumer).await;
            let count = match message.header("x-delivery-count") {
                None => 0,
                Some(AMQPValue::LongLongInt(count)) => *count,
                Some(AMQPValue::LongInt(count)) => i64::from(*count),
                Some(AMQPValue::ShortShortInt(count)) => i64::from(*count),
                Some(AMQPValue::ShortShortUInt(count)) => i64::from(*count),
                Some(other) => panic!("{other:?}"),
            };
            assert_eq!(count, attempt);
            message.reject(BasicRejectOptions { requeue: true }).await.unwrap();
        }
        client.settles_at(&dead, 1).await;
        assert_eq!(client.get(&dead).await.unwrap().deaths()[0].text("reason"), "delivery_limit");
    })
    .await;
}

#[tokio::test]
async fn deaths_of_one_kind_are_counted_and_the_latest_is_first() {
    with_broker(async |broker| {
        let client = broker.client().await;
        // Rejected from `work`, waits in `wait` until it expires, and goes back: the usual way to retry.
        let work = Client::name("work");
        let to_work = vec![
            ("x-dead-letter-exchange", text("")),
            ("x-dead-letter-routing-key", text(&work)),
            ("x-message-ttl", AMQPValue::LongInt(1)),
        ];
        let wait = declare(&client, to_work).await;
        let arguments = table([("x-dead-letter-exchange", text("")), ("x-dead-letter-routing-key", text(&wait))]);
        let options = QueueDeclareOptions::durable();
        client.declare(&work, options, arguments).await.unwrap();

        client.publish_numbers(&work, 0..1).await;
        let (_channel, mut consumer) = client.consume(&work, 1).await;
        for _ in 0..3 {
            Client::next(&mut consumer).await.reject(BasicRejectOptions { requeue: false }).await.unwrap();
        }
        let message = Client::next(&mut consumer).await;
        let deaths: Vec<(String, String, Option<i64>)> =
            message.deaths().iter().map(|death| (death.text("queue"), death.text("reason"), death.count())).collect();
        assert_eq!(deaths, [(wait, "expired".into(), Some(3)), (work.clone(), "rejected".into(), Some(3))]);
        assert_eq!(message.text_header("x-first-death-reason"), "rejected");
        message.ack(BasicAckOptions::default()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_circle_without_a_rejection_ends() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let name = Client::name("circle");
        let arguments = table([
            ("x-dead-letter-exchange", text("")),
            ("x-dead-letter-routing-key", text(&name)),
            ("x-message-ttl", AMQPValue::LongInt(1)),
        ]);
        let options = QueueDeclareOptions::durable();
        client.declare(&name, options, arguments).await.unwrap();
        client.publish("", &name, BasicProperties::default(), &[b"0"]).await;
        client.settles_at(&name, 0).await;
    })
    .await;
}
