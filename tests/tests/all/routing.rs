//! Which queues a message reaches.

use lapin::options::{BasicPublishOptions, ExchangeBindOptions, ExchangeDeclareOptions};
use lapin::types::{AMQPValue, FieldArray, FieldTable};
use lapin::{BasicProperties, Confirmation, ExchangeKind};
use leveret_tests::{Client, Message, table, with_broker, within};

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

async fn send(client: &Client, exchange: &str, key: &str) {
    client.publish(exchange, key, BasicProperties::default(), &[key.as_bytes()]).await;
}

async fn texts(client: &Client, queue: &str) -> Vec<String> {
    client.drain(queue).await.iter().map(|message: &Message| message.text().to_owned()).collect()
}

#[tokio::test]
async fn direct_exchanges_compare_keys() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let exchange = client.exchange(ExchangeKind::Direct, []).await;
        let (first, second) = (client.queue([]).await, client.queue([]).await);
        client.bind(&first, &exchange, "red", []).await;
        client.bind(&first, &exchange, "blue", []).await;
        client.bind(&second, &exchange, "blue", []).await;
        for key in ["red", "blue", "green", "Red"] {
            send(&client, &exchange, key).await;
        }
        assert_eq!(texts(&client, &first).await, ["red", "blue"]);
        assert_eq!(texts(&client, &second).await, ["blue"]);
    })
    .await;
}

#[tokio::test]
async fn a_message_reaches_a_queue_once_however_many_bindings_match() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let exchange = client.exchange(ExchangeKind::Topic, []).await;
        let queue = client.queue([]).await;
        for key in ["#", "a.*", "a.b"] {
            client.bind(&queue, &exchange, key, []).await;
        }
        send(&client, &exchange, "a.b").await;
        assert_eq!(texts(&client, &queue).await, ["a.b"]);
    })
    .await;
}

#[tokio::test]
async fn topic_exchanges_match_words() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let exchange = client.exchange(ExchangeKind::Topic, []).await;
        let patterns = ["*.orange.*", "*.*.rabbit", "lazy.#", "#", "#.#.fox", "*", ""];
        let mut queues = Vec::new();
        for pattern in patterns {
            let queue = client.queue([]).await;
            client.bind(&queue, &exchange, pattern, []).await;
            queues.push(queue);
        }
        let keys = ["quick.orange.rabbit", "lazy.orange.fox", "lazy", "lazy.a.b.c", "fox", "", "orange"];
        for key in keys {
            send(&client, &exchange, key).await;
        }
        let expected: [&[&str]; 7] = [
            &["quick.orange.rabbit", "lazy.orange.fox"],
            &["quick.orange.rabbit"],
            &["lazy.orange.fox", "lazy", "lazy.a.b.c"],
            &keys,
            &["lazy.orange.fox", "fox"],
            &["lazy", "fox", "orange"],
            &[""],
        ];
        for (index, expected) in expected.into_iter().enumerate() {
            // RabbitMQ matches * against the one empty word that it takes an empty key for; so do we.
            let mut received = texts(&client, &queues[index]).await;
            if patterns[index] == "*" {
                received.retain(|key| !key.is_empty());
            }
            assert_eq!(received, expected, "binding key {:?}", patterns[index]);
        }
    })
    .await;
}

#[tokio::test]
async fn headers_exchanges_match_all_or_any() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let exchange = client.exchange(ExchangeKind::Headers, []).await;
        let (all, any, exists) = (client.queue([]).await, client.queue([]).await, client.queue([]).await);
        let kind = ("kind", text("report"));
        let size = ("size", AMQPValue::LongInt(3));
        client.bind(&all, &exchange, "", [("x-match", text("all")), kind.clone(), size.clone()]).await;
        client.bind(&any, &exchange, "", [("x-match", text("any")), kind.clone(), size.clone()]).await;
        client.bind(&exists, &exchange, "", [("kind", AMQPValue::Void)]).await;
        let messages = [
            ("both", table([kind.clone(), size.clone()])),
            ("kind", table([kind])),
            ("size", table([size])),
            ("other", table([("kind", text("letter"))])),
            ("none", FieldTable::default()),
        ];
        for (name, headers) in messages {
            let properties = BasicProperties::default().with_headers(headers);
            client.publish(&exchange, "", properties, &[name.as_bytes()]).await;
        }
        assert_eq!(texts(&client, &all).await, ["both"]);
        assert_eq!(texts(&client, &any).await, ["both", "kind", "size"]);
        assert_eq!(texts(&client, &exists).await, ["both", "kind", "other"]);
    })
    .await;
}

#[tokio::test]
async fn exchanges_feed_exchanges_also_in_a_circle() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let first = client.exchange(ExchangeKind::Topic, []).await;
        let second = client.exchange(ExchangeKind::Fanout, []).await;
        let queue = client.queue([]).await;
        for (destination, source, key) in [(&second, &first, "a.#"), (&first, &second, "")] {
            let options = ExchangeBindOptions::default();
            let (destination, source) = (destination.as_str().into(), source.as_str().into());
            client
                .channel
                .exchange_bind(destination, source, key.into(), options, FieldTable::default())
                .await
                .unwrap();
        }
        client.bind(&queue, &second, "", []).await;
        send(&client, &first, "a.b").await;
        send(&client, &first, "b").await;
        send(&client, &second, "c").await;
        assert_eq!(texts(&client, &queue).await, ["a.b", "c"]);
    })
    .await;
}

#[tokio::test]
async fn an_alternate_exchange_takes_what_nobody_wants() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let alternate = client.exchange(ExchangeKind::Fanout, []).await;
        let exchange = client.exchange(ExchangeKind::Direct, [("alternate-exchange", text(&alternate))]).await;
        let (wanted, rest) = (client.queue([]).await, client.queue([]).await);
        client.bind(&wanted, &exchange, "wanted", []).await;
        client.bind(&rest, &alternate, "", []).await;
        send(&client, &exchange, "wanted").await;
        send(&client, &exchange, "unwanted").await;
        assert_eq!(texts(&client, &wanted).await, ["wanted"]);
        assert_eq!(texts(&client, &rest).await, ["unwanted"]);
    })
    .await;
}

#[tokio::test]
async fn carbon_copies_have_their_own_keys() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let exchange = client.exchange(ExchangeKind::Direct, []).await;
        let (to, copy, blind) = (client.queue([]).await, client.queue([]).await, client.queue([]).await);
        for (queue, key) in [(&to, "to"), (&copy, "copy"), (&blind, "blind")] {
            client.bind(queue, &exchange, key, []).await;
        }
        let keys = |key: &str| AMQPValue::FieldArray(FieldArray::from(vec![text(key)]));
        let headers = table([("CC", keys("copy")), ("BCC", keys("blind"))]);
        client.publish(&exchange, "to", BasicProperties::default().with_headers(headers), &[b"x"]).await;
        for queue in [&to, &copy, &blind] {
            let message = client.get(queue).await.unwrap();
            assert!(message.header("CC").is_some());
            assert!(message.header("BCC").is_none(), "BCC is taken off");
            assert_eq!(message.routing_key.as_str(), "to");
        }
    })
    .await;
}

#[tokio::test]
async fn an_internal_exchange_takes_no_publishes() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let name = Client::name("internal");
        let options = ExchangeDeclareOptions { internal: true, ..ExchangeDeclareOptions::default() };
        let channel = client.confirm_channel().await;
        let (kind, arguments) = (ExchangeKind::Fanout, FieldTable::default());
        channel.exchange_declare(name.as_str().into(), kind, options, arguments).await.unwrap();
        let publish = BasicPublishOptions::default();
        let sent = channel.basic_publish(name.as_str().into(), "".into(), publish, b"", BasicProperties::default());
        let confirm = within("the publish", sent).await.unwrap();
        let refused = within("the refusal", confirm).await.unwrap_err();
        assert_eq!(leveret_tests::reply(&refused).0, 403);
    })
    .await;
}

#[tokio::test]
async fn unroutable_messages_come_back_only_if_mandatory() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let exchange = client.exchange(ExchangeKind::Direct, []).await;
        let channel = client.confirm_channel().await;
        for mandatory in [true, false] {
            let options = BasicPublishOptions { mandatory, ..BasicPublishOptions::default() };
            let properties = BasicProperties::default();
            let sent = channel.basic_publish(exchange.as_str().into(), "nobody".into(), options, b"body", properties);
            let confirmation = within("the confirm", sent.await.unwrap()).await.unwrap();
            match confirmation {
                Confirmation::Ack(Some(returned)) => {
                    assert!(mandatory);
                    assert_eq!((returned.reply_code, returned.reply_text.as_str()), (312, "NO_ROUTE"));
                    assert_eq!(returned.delivery.data, b"body");
                }
                Confirmation::Ack(None) => assert!(!mandatory),
                other => panic!("{other:?}"),
            }
        }
    })
    .await;
}
