//! Exchange types that are plugins: hashes, lots and history, what is refused, and what becomes of an exchange whose type is gone.

use std::collections::{BTreeMap, BTreeSet};

use lapin::options::{
    BasicPublishOptions, ExchangeBindOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, ExchangeKind, Result};
use leveret_tests::{Broker, Client, Message, reply, table, with_broker, with_test_time, within};

const CONSISTENT_HASH: &str = "x-consistent-hash";
const MODULUS_HASH: &str = "x-modulus-hash";
const RANDOM: &str = "x-random";
const LOCAL_RANDOM: &str = "x-local-random";
const RECENT_HISTORY: &str = "x-recent-history";

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

fn kind(name: &str) -> ExchangeKind {
    ExchangeKind::Custom(name.to_owned())
}

/// An exchange and queues bound to it with these keys, in order.
async fn bound<const N: usize, const K: usize>(
    client: &Client,
    kind_name: &str,
    arguments: [(&str, AMQPValue); N],
    keys: [&str; K],
) -> (String, [String; K]) {
    let exchange = client.exchange(kind(kind_name), arguments).await;
    let mut queues = [const { String::new() }; K];
    for (queue, key) in queues.iter_mut().zip(keys) {
        *queue = client.queue([]).await;
        client.bind(queue, &exchange, key, []).await;
    }
    (exchange, queues)
}

/// Publishes on the client's channel: what it asks there next comes after.
async fn send(client: &Client, exchange: &str, key: &str, properties: BasicProperties, body: &str) {
    let options = BasicPublishOptions::default();
    let sent = client.channel.basic_publish(exchange.into(), key.into(), options, body.as_bytes(), properties);
    within("a publish", sent).await.unwrap();
}

async fn send_keys(client: &Client, exchange: &str, keys: impl IntoIterator<Item = u32>) {
    for key in keys {
        let key = format!("key.{key}");
        send(client, exchange, &key, Client::persistent(), &key).await;
    }
}

async fn texts(client: &Client, queue: &str) -> Vec<String> {
    client.drain(queue).await.iter().map(|message: &Message| message.text().to_owned()).collect()
}

/// Which queue each message is in, by the queues' numbers; takes them out.
async fn places<const N: usize>(client: &Client, queues: &[String; N]) -> BTreeMap<String, BTreeSet<usize>> {
    let mut places = BTreeMap::<String, BTreeSet<usize>>::new();
    for (number, queue) in queues.iter().enumerate() {
        for message in texts(client, queue).await {
            places.entry(message).or_default().insert(number);
        }
    }
    places
}

async fn declare<const N: usize>(client: &Client, kind_name: &str, arguments: [(&str, AMQPValue); N]) -> Result<()> {
    let (channel, name) = (client.another_channel().await, Client::name("exchange"));
    let options = ExchangeDeclareOptions::default();
    channel.exchange_declare(name.as_str().into(), kind(kind_name), options, table(arguments)).await
}

fn refusal(result: Result<()>) -> (u16, String) {
    reply(&result.expect_err("the broker accepts what it must refuse"))
}

#[tokio::test]
async fn hashes_send_equal_keys_to_one_queue() {
    with_broker(async |broker| {
        let client = broker.client().await;
        for (kind_name, keys) in [(CONSISTENT_HASH, ["1", "2", "1"]), (MODULUS_HASH, ["", "any", ""])] {
            let (exchange, queues) = bound(&client, kind_name, [], keys).await;
            send_keys(&client, &exchange, (0..60).chain(0..60)).await;
            let places = places(&client, &queues).await;
            assert_eq!(places.len(), 60, "{kind_name}");
            assert!(places.values().all(|queues| queues.len() == 1), "{kind_name}: {places:?}");
            let used: BTreeSet<_> = places.values().flatten().collect();
            assert_eq!(used.len(), 3, "{kind_name}: {places:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_consistent_hash_looks_at_a_header_or_a_property() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let number = |number: u32| number.to_string().into();
        let header = |value: u32| table([("customer", AMQPValue::LongUInt(value))]);
        type Make<'a> = &'a dyn Fn(u32) -> BasicProperties;
        let hashed: [(&str, &str, Make<'_>); 4] = [
            ("hash-header", "customer", &|value| BasicProperties::default().with_headers(header(value))),
            ("hash-property", "message_id", &|value| BasicProperties::default().with_message_id(number(value))),
            ("hash-property", "correlation_id", &|value| BasicProperties::default().with_correlation_id(number(value))),
            ("hash-property", "timestamp", &|value| BasicProperties::default().with_timestamp(value.into())),
        ];
        for (argument, what, properties) in hashed {
            let (exchange, queues) = bound(&client, CONSISTENT_HASH, [(argument, text(what))], ["1", "1"]).await;
            for key in 0..40_u32 {
                // What is hashed decides, and not the key.
                send(&client, &exchange, &key.to_string(), properties(7), "seven").await;
                send(&client, &exchange, "key", properties(key), &key.to_string()).await;
            }
            let places = places(&client, &queues).await;
            assert_eq!(places.len(), 41, "{what}");
            assert!(places.values().all(|queues| queues.len() == 1), "{what}: {places:?}");
            assert_eq!(places.values().flatten().collect::<BTreeSet<_>>().len(), 2, "{what}: {places:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn carbon_copies_do_not_send_a_hashed_message_further() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let copies = AMQPValue::FieldArray((0..50).map(|key| text(&format!("key.{key}"))).collect::<Vec<_>>().into());
        let properties = BasicProperties::default().with_headers(table([("CC", copies)]));
        for (kind_name, key) in [(CONSISTENT_HASH, "1"), (MODULUS_HASH, ""), (RANDOM, ""), (LOCAL_RANDOM, "")] {
            let (exchange, queues) = bound(&client, kind_name, [], [key, key]).await;
            send(&client, &exchange, "key", properties.clone(), "message").await;
            let places = places(&client, &queues).await;
            assert_eq!(places["message"].len(), 1, "{kind_name}");
        }
    })
    .await;
}

#[tokio::test]
async fn lots_use_every_queue_and_lose_nothing() {
    with_broker(async |broker| {
        let client = broker.client().await;
        for kind_name in [RANDOM, LOCAL_RANDOM] {
            let (exchange, queues) = bound(&client, kind_name, [], ["", ""]).await;
            // That one queue gets all of them has a chance of one in 2^199.
            send_keys(&client, &exchange, 0..200).await;
            let places = places(&client, &queues).await;
            assert_eq!(places.len(), 200, "{kind_name}");
            assert!(places.values().all(|queues| queues.len() == 1), "{kind_name}");
            assert_eq!(places.values().flatten().collect::<BTreeSet<_>>().len(), 2, "{kind_name}");
        }
    })
    .await;
}

#[tokio::test]
async fn who_binds_to_a_recent_history_gets_its_last_messages() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let length = [("x-recent-history-length", AMQPValue::LongInt(3))];
        let (exchange, [early]) = bound(&client, RECENT_HISTORY, length, ["any"]).await;
        send_keys(&client, &exchange, 0..4).await;
        let no_store = table([("x-recent-history-no-store", AMQPValue::Boolean(true))]);
        send(&client, &exchange, "key", BasicProperties::default().with_headers(no_store), "left out").await;
        let late = client.queue([]).await;
        client.bind(&late, &exchange, "", []).await;
        send_keys(&client, &exchange, 4..5).await;
        assert_eq!(texts(&client, &early).await, ["key.0", "key.1", "key.2", "key.3", "left out", "key.4"]);
        let messages = client.drain(&late).await;
        let keys: Vec<_> = messages.iter().map(|message| (message.text(), message.routing_key.as_str())).collect();
        assert_eq!(keys, ["key.1", "key.2", "key.3", "key.4"].map(|key| (key, key)));
        assert!(messages.iter().all(|message| message.exchange.as_str() == exchange && !message.redelivered));

        // An exchange gets them as well, and routes them.
        let (topic, [one]) = bound(&client, "topic", [], ["key.3"]).await;
        let (to, from, options) = (topic.as_str().into(), exchange.as_str().into(), ExchangeBindOptions::default());
        client.channel.exchange_bind(to, from, "".into(), options, FieldTable::default()).await.unwrap();
        assert_eq!(texts(&client, &one).await, ["key.3"]);
    })
    .await;
}

#[tokio::test]
async fn a_recent_history_outlives_a_crash_and_its_plugin() {
    with_test_time(async {
        let mut broker = Broker::start(&[]).await;
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        let exchange = client.exchange(kind(RECENT_HISTORY), []).await;
        // No queue takes them. They are confirmed all the same: when they are on disk.
        let bodies: Vec<String> = (0..30).map(|number| number.to_string()).collect();
        let bodies: Vec<&[u8]> = bodies.iter().map(String::as_bytes).collect();
        client.publish(&exchange, "key", Client::persistent(), &bodies).await;
        broker.kill();
        broker.start_again_with(&["--set", "plugins.enabled=management"]).await;
        broker.kill();
        broker.start_again().await;
        let client = broker.client().await;
        let queue = client.queue([]).await;
        client.bind(&queue, &exchange, "", []).await;
        let last: Vec<u32> = client.drain(&queue).await.iter().map(Message::number).collect();
        assert_eq!(last, (10..30).collect::<Vec<_>>());
        assert_eq!(broker.ctl(&["list_delayed_exchanges", "--quiet"]).trim(), "", "they are not delayed");
    })
    .await;
}

#[tokio::test]
async fn without_a_binding_the_alternate_exchange_takes_it() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let (rest, queues) = bound(&client, "fanout", [], [""]).await;
        for kind_name in [CONSISTENT_HASH, MODULUS_HASH, RANDOM, LOCAL_RANDOM, RECENT_HISTORY] {
            let exchange = client.exchange(kind(kind_name), [("alternate-exchange", text(&rest))]).await;
            send(&client, &exchange, "key", BasicProperties::default(), kind_name).await;
            assert_eq!(texts(&client, &queues[0]).await, [kind_name]);
        }
    })
    .await;
}

#[tokio::test]
async fn wrong_arguments_are_refused() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let both = [("hash-header", text("h")), ("hash-property", text("message_id"))];
        assert_eq!(
            refusal(declare(&client, CONSISTENT_HASH, both).await),
            (406, "PRECONDITION_FAILED - hash-header and hash-property are mutually exclusive".to_owned())
        );
        assert_eq!(
            refusal(declare(&client, CONSISTENT_HASH, [("hash-property", text("app_id"))]).await),
            (406, "PRECONDITION_FAILED - Unsupported property: app_id".to_owned())
        );
        let (code, text) = refusal(declare(&client, CONSISTENT_HASH, [("hash-header", AMQPValue::LongInt(1))]).await);
        assert_eq!(code, 406, "{text}");
        let length = [("x-recent-history-length", AMQPValue::LongInt(0))];
        assert_eq!(
            refusal(declare(&client, RECENT_HISTORY, length).await),
            (
                406,
                "PRECONDITION_FAILED - Invalid argument 0, 'x-recent-history-length' must be a positive integer"
                    .to_owned()
            )
        );
    })
    .await;
}

#[tokio::test]
async fn an_exchange_is_not_declared_again_with_another_hash() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let exchange = client.exchange(kind(CONSISTENT_HASH), [("hash-header", text("one"))]).await;
        let channel = client.another_channel().await;
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let other = table([("hash-header", text("two"))]);
        let refused = channel.exchange_declare(exchange.as_str().into(), kind(CONSISTENT_HASH), options, other).await;
        let expected = format!(
            "PRECONDITION_FAILED - inequivalent arg 'hash-header' for exchange '{exchange}' in vhost '/': \
             received 'two' but current is 'one'"
        );
        assert_eq!(refusal(refused), (406, expected));
    })
    .await;
}

#[tokio::test]
async fn wrong_bindings_are_refused() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let queue = client.queue([]).await;
        let refused = [
            (CONSISTENT_HASH, "a", r#"The binding key must be an integer: <<"a">>"#),
            (CONSISTENT_HASH, "0", "The binding key must be greater than 0"),
            (CONSISTENT_HASH, "4294967296", "The binding key must be at most 4294967295"),
            (LOCAL_RANDOM, "k", "Non empty binding 'k' key not permitted"),
        ];
        for (kind_name, key, text) in refused {
            let exchange = client.exchange(kind(kind_name), []).await;
            let (channel, options) = (client.another_channel().await, QueueBindOptions::default());
            let (to, from) = (queue.as_str().into(), exchange.as_str().into());
            let bound = channel.queue_bind(to, from, key.into(), options, FieldTable::default()).await;
            assert_eq!(refusal(bound), (406, format!("PRECONDITION_FAILED - {text}")));
        }
        let exchange = client.exchange(kind(LOCAL_RANDOM), []).await;
        let (channel, options) = (client.another_channel().await, ExchangeBindOptions::default());
        let (to, from) = ("amq.fanout".into(), exchange.as_str().into());
        let bound = channel.exchange_bind(to, from, "".into(), options, FieldTable::default()).await;
        assert_eq!(refusal(bound), (406, "PRECONDITION_FAILED - Destination not found".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn after_a_restart_keys_go_where_they_went() {
    with_broker(async |mut broker| {
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        // Bound in another order than that of their names, which is the one in which they come back.
        let mut exchanges = Vec::new();
        for (kind_name, keys) in [(CONSISTENT_HASH, ["3", "1", "2"]), (MODULUS_HASH, ["", "", ""])] {
            let (exchange, names) = (client.exchange(kind(kind_name), []).await, ["c", "a", "b"].map(Client::name));
            for (name, key) in names.iter().zip(keys) {
                let options = QueueDeclareOptions::durable();
                client.declare(name, options, FieldTable::default()).await.unwrap();
                client.bind(name, &exchange, key, []).await;
            }
            send_keys(&client, &exchange, 0..60).await;
            let before = places(&client, &names).await;
            exchanges.push((exchange, names, before));
        }
        broker.restart().await;
        let client = broker.client().await;
        for (exchange, names, before) in exchanges {
            send_keys(&client, &exchange, 0..60).await;
            assert_eq!(places(&client, &names).await, before);
        }
    })
    .await;
}

#[tokio::test]
async fn an_exchange_outlives_its_plugin() {
    with_test_time(async {
        let mut broker = Broker::start(&[]).await;
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        let (exchange, queues) = bound(&client, CONSISTENT_HASH, [("hash-header", text("h"))], ["1", "3"]).await;
        let (direct, [queue]) = bound(&client, "direct", [], ["key"]).await;
        broker.kill();

        broker.start_again_with(&["--set", "plugins.enabled=management"]).await;
        let client = broker.client().await;
        let listed = broker.ctl(&["list_exchanges", "--quiet", "name", "type"]);
        assert!(listed.lines().any(|line| line == format!("{exchange}\t{CONSISTENT_HASH}")), "{listed}");
        let channel = client.confirm_channel().await;
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let sent = channel.basic_publish(exchange.as_str().into(), "key".into(), options, b"", properties);
        let refused = within("the refusal", within("the publish", sent).await.unwrap()).await.unwrap_err();
        let expected = format!(
            "PRECONDITION_FAILED - Cannot route message through exchange '{exchange}' in vhost '/': \
             exchange type {CONSISTENT_HASH} not found"
        );
        assert_eq!(reply(&refused), (406, expected));
        assert_eq!(
            refusal(declare(&client, CONSISTENT_HASH, []).await),
            (406, format!("PRECONDITION_FAILED - unknown exchange type '{CONSISTENT_HASH}'"))
        );
        send(&client, &direct, "key", Client::persistent(), "direct").await;
        assert_eq!(texts(&client, &queue).await, ["direct"]);
        // Nobody knows now which bindings the type would take: one comes that it would not, and one goes.
        client.bind(&queues[1], &exchange, "no weight", []).await;
        let (of, from) = (queues[0].as_str().into(), exchange.as_str().into());
        client.channel.queue_unbind(of, from, "1".into(), FieldTable::default()).await.unwrap();
        broker.kill();

        broker.start_again().await;
        let client = broker.client().await;
        send_keys(&client, &exchange, 0..20).await;
        assert!(texts(&client, &queues[0]).await.is_empty());
        assert_eq!(texts(&client, &queues[1]).await.len(), 20);
    })
    .await;
}

#[tokio::test]
async fn listings_name_types_and_arguments() {
    with_broker(async |broker| {
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        for kind_name in [CONSISTENT_HASH, MODULUS_HASH, RANDOM, LOCAL_RANDOM, RECENT_HISTORY] {
            let exchange = client.exchange(kind(kind_name), []).await;
            let listed = broker.ctl(&["list_exchanges", "--quiet", "name", "type"]);
            assert!(listed.lines().any(|line| line == format!("{exchange}\t{kind_name}")), "{listed}");
        }
        let exchange = client.exchange(kind(CONSISTENT_HASH), [("hash-header", text("customer"))]).await;
        // The management API's own answer.
        let listed = broker.ctl(&["list_exchanges", "--format", "json", "name", "type", "durable", "arguments"]);
        let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
        let found = listed.as_array().unwrap().iter().find(|one| one["name"] == exchange.as_str()).unwrap();
        assert_eq!(
            *found,
            serde_json::json!({
                "name": exchange,
                "type": CONSISTENT_HASH,
                "durable": true,
                "arguments": { "hash-header": "customer" },
            })
        );
    })
    .await;
}
