//! Delayed messages: what RabbitMQ's plugin promises, and what is more.

use std::time::{SystemTime, UNIX_EPOCH};

use lapin::options::{BasicPublishOptions, ExchangeBindOptions, ExchangeDeclareOptions, ExchangeDeleteOptions};
use lapin::types::{AMQPValue, FieldArray, FieldTable};
use lapin::{BasicProperties, ExchangeKind};
use leveret_tests::{Broker, Client, Message, eventually, numbers, reply, table, with_broker};
use serde_json::Value;

/// Longer than any test takes.
const HOUR_MS: i32 = 3_600_000;

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

fn with_header(name: &str, value: AMQPValue) -> BasicProperties {
    Client::persistent().with_headers(table([(name, value)]))
}

fn delayed(delay_ms: i32) -> BasicProperties {
    with_header("x-delay", AMQPValue::LongInt(delay_ms))
}

fn kind() -> ExchangeKind {
    ExchangeKind::Custom("x-delayed-message".to_owned())
}

/// A delayed exchange that routes as `routes` does.
async fn exchange(client: &Client, routes: &str) -> String {
    client.exchange(kind(), [("x-delayed-type", text(routes))]).await
}

/// A delayed direct exchange, and a queue bound to it with key `k`.
async fn setup(client: &Client) -> (String, String) {
    let (exchange, queue) = (exchange(client, "direct").await, client.queue([]).await);
    client.bind(&queue, &exchange, "k", []).await;
    (exchange, queue)
}

/// Takes so many messages as they come.
async fn take(client: &Client, queue: &str, count: usize) -> Vec<Message> {
    let (_channel, mut consumer) = client.consume(queue, 0).await;
    Client::take(&mut consumer, count).await
}

/// What `leveret ctl` says waits in an exchange.
fn waiting(broker: &Broker, exchange: &str, filter: &[&str]) -> Vec<Value> {
    let command = [&["list_delayed", exchange, "id", "message_id", "due_ms"], filter, &["--format", "json"]].concat();
    serde_json::from_str(&broker.ctl(&command)).unwrap()
}

fn count_delayed(broker: &Broker, exchange: &str) -> u64 {
    let listed = broker.ctl(&["list_exchanges", "name", "messages_delayed", "--format", "json"]);
    let listed: Vec<Value> = serde_json::from_str(&listed).unwrap();
    let ours = listed.iter().find(|listed| listed["name"] == *exchange).unwrap();
    ours["messages_delayed"].as_u64().unwrap()
}

#[tokio::test]
async fn messages_come_in_the_order_of_their_delays_and_not_before() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let (exchange, queue) = setup(&client).await;
        let delays = [500, 100, 300, 200, 100, 400];
        let begin_ms = now_ms();
        for delay_ms in delays {
            client.publish(&exchange, "k", delayed(delay_ms), &[delay_ms.to_string().as_bytes()]).await;
        }
        let (_channel, mut consumer) = client.consume(&queue, 0).await;
        for delay_ms in [100, 100, 200, 300, 400, 500] {
            let message = Client::next(&mut consumer).await;
            assert!(now_ms() >= begin_ms + i64::from(delay_ms));
            assert_eq!(message.number(), delay_ms as u32);
            assert_eq!(message.header("x-delay"), Some(&AMQPValue::LongInt(-delay_ms)), "it is over");
        }
    })
    .await;
}

#[tokio::test]
async fn a_delay_may_be_a_text_or_a_time() {
    with_broker(async |broker| {
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        let (exchange, queue) = setup(&client).await;
        let at_ms = now_ms() + 250;
        client.publish(&exchange, "k", with_header("x-deliver-at", AMQPValue::LongLongInt(at_ms)), &[b"2"]).await;
        client.publish(&exchange, "k", with_header("x-delay", text("50")), &[b"1"]).await;
        let messages = take(&client, &queue, 2).await;
        assert!(now_ms() >= at_ms);
        assert_eq!(numbers(&messages), [1, 2]);
        assert_eq!(messages[0].header("x-delay"), Some(&AMQPValue::LongInt(-50)));
        // Longer than RabbitMQ's plugin can.
        let century_ms = AMQPValue::LongLongInt(100 * 365 * 24 * i64::from(HOUR_MS));
        client.publish(&exchange, "k", with_header("x-delay", century_ms), &[b"3"]).await;
        assert_eq!(count_delayed(&broker, &exchange), 1);
    })
    .await;
}

#[tokio::test]
async fn the_delayed_type_must_be_another_type_that_exists() {
    with_broker(async |broker| {
        let client = broker.client().await;
        for arguments in [
            table([("x-delayed-type", text("x-not-valid-type"))]),
            table([("x-delayed-type", text("x-delayed-message"))]),
            FieldTable::default(),
        ] {
            let channel = client.another_channel().await;
            let options = ExchangeDeclareOptions::default();
            let declared = channel.exchange_declare("delayed.refused".into(), kind(), options, arguments);
            let (code, text) = reply(&declared.await.unwrap_err());
            assert_eq!(code, 406);
            let expected = "PRECONDITION_FAILED - Invalid argument, 'x-delayed-type' must be an existing exchange type";
            assert!(!broker.is_ours() || text == expected, "{text}");
        }
        let name = exchange(&client, "direct").await;
        let channel = client.another_channel().await;
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let other = table([("x-delayed-type", text("topic"))]);
        let (code, text) =
            reply(&channel.exchange_declare(name.as_str().into(), kind(), options, other).await.unwrap_err());
        assert_eq!(code, 406);
        assert!(!broker.is_ours() || text.contains("inequivalent arg 'x-delayed-type'"), "{text}");
    })
    .await;
}

#[tokio::test]
async fn what_has_no_delay_is_routed_at_once_as_its_type_does() {
    with_broker(async |broker| {
        let client = broker.client().await;
        for (routes, keys, routed) in [
            ("topic", ["a.b.c", "a.z.c", "b.b.c"], 2),
            ("direct", ["a.b.c", "noroute", "a.b.c"], 2),
            ("fanout", ["a.b.c", "noroute", ""], 3),
        ] {
            let (exchange, queue) = (exchange(&client, routes).await, client.queue([]).await);
            client.bind(&queue, &exchange, if routes == "topic" { "a.#" } else { "a.b.c" }, []).await;
            for (key, properties) in keys.into_iter().zip([delayed(0), delayed(-5), Client::persistent()]) {
                client.publish(&exchange, key, properties, &[b"0"]).await;
            }
            assert_eq!(client.ready(&queue).await, routed, "{routes}");
        }
    })
    .await;
}

#[tokio::test]
async fn exchanges_lead_to_delayed_exchanges_and_these_to_others() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let (inner, queue) = setup(&client).await;
        let outer = client.exchange(ExchangeKind::Direct, []).await;
        let beyond = client.exchange(ExchangeKind::Fanout, []).await;
        for (destination, source) in [(&inner, &outer), (&beyond, &inner)] {
            let options = ExchangeBindOptions::default();
            let (destination, source) = (destination.as_str().into(), source.as_str().into());
            let bound = client.channel.exchange_bind(destination, source, "k".into(), options, FieldTable::default());
            bound.await.unwrap();
        }
        let other = client.queue([]).await;
        client.bind(&other, &beyond, "", []).await;
        for delay_ms in [300, 100, 200, 0] {
            client.publish(&outer, "k", delayed(delay_ms), &[delay_ms.to_string().as_bytes()]).await;
        }
        let messages = take(&client, &queue, 4).await;
        assert_eq!(numbers(&messages), [0, 100, 200, 300]);
        assert!(messages.iter().all(|message| message.exchange.as_str() == outer), "where it was published");
        assert_eq!(numbers(&take(&client, &other, 4).await), [0, 100, 200, 300]);
    })
    .await;
}

#[tokio::test]
async fn what_no_time_can_be_told_from_is_refused() {
    with_broker(async |broker| {
        if !broker.is_ours() {
            // RabbitMQ's plugin delivers at once, or closes with an internal error.
            return;
        }
        let client = broker.client().await;
        let (exchange, queue) = setup(&client).await;
        for (name, value) in
            [("x-delay", text("soon")), ("x-delay", AMQPValue::Boolean(true)), ("x-deliver-at", text(""))]
        {
            let channel = client.confirm_channel().await;
            let options = BasicPublishOptions::default();
            let sent =
                channel.basic_publish(exchange.as_str().into(), "k".into(), options, b"", with_header(name, value));
            let (code, text) = reply(&sent.await.unwrap().await.unwrap_err());
            assert_eq!(code, 406);
            assert!(text.starts_with(&format!("PRECONDITION_FAILED - invalid header '{name}' of type '")), "{text}");
        }
        assert_eq!(client.ready(&queue).await, 0);
        assert_eq!(count_delayed(&broker, &exchange), 0);
    })
    .await;
}

#[tokio::test]
async fn delayed_messages_are_counted() {
    with_broker(async |broker| {
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        let (exchange, queue) = setup(&client).await;
        client.publish(&exchange, "k", delayed(HOUR_MS), &[b"0".as_slice(); 6]).await;
        assert_eq!((count_delayed(&broker, &exchange), client.ready(&queue).await), (6, 0));
    })
    .await;
}

#[tokio::test]
async fn a_restart_delays_nothing_and_loses_nothing() {
    with_broker(async |mut broker| {
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        let (exchange, queue) = setup(&client).await;
        let begin_ms = now_ms();
        for delay_ms in [50, 4000, 20, 2000] {
            client.publish(&exchange, "k", delayed(delay_ms), &[delay_ms.to_string().as_bytes()]).await;
        }
        // What is held is on disk whatever its mode.
        client.publish(&exchange, "k", delayed(HOUR_MS).with_delivery_mode(1), &[b"0"]).await;
        broker.kill();
        broker.start_again().await;
        let client = broker.client().await;
        assert_eq!(numbers(&take(&client, &queue, 4).await), [20, 50, 2000, 4000]);
        assert!(now_ms() >= begin_ms + 4000);
        broker.restart().await;
        assert_eq!(count_delayed(&broker, &exchange), 1);
    })
    .await;
}

#[tokio::test]
async fn routing_is_decided_when_a_message_is_due() {
    with_broker(async |broker| {
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        let spare = client.queue([]).await;
        let alternate = client.exchange(ExchangeKind::Fanout, []).await;
        client.bind(&spare, &alternate, "", []).await;
        let arguments = [("x-delayed-type", text("direct")), ("alternate-exchange", text(&alternate))];
        let exchange = client.exchange(kind(), arguments).await;
        let channel = client.confirm_channel().await;
        let mandatory = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        for key in ["now", "never"] {
            let sent = channel.basic_publish(exchange.as_str().into(), key.into(), mandatory, b"0", delayed(HOUR_MS));
            let confirmed = sent.await.unwrap().await.unwrap();
            assert_eq!(confirmed, lapin::Confirmation::Ack(None), "held, not returned");
        }
        let queue = client.queue([]).await;
        client.bind(&queue, &exchange, "now", []).await;
        for message in waiting(&broker, &exchange, &[]) {
            broker.ctl(&["deliver_delayed", &exchange, message["id"].as_str().unwrap()]);
        }
        assert_eq!((client.ready(&queue).await, client.ready(&spare).await), (1, 1));
        assert_eq!(client.get(&spare).await.unwrap().routing_key.as_str(), "never");

        // Without an alternate exchange, who is not there is counted.
        let (exchange, _) = setup(&client).await;
        client.publish(&exchange, "nobody", delayed(10), &[b"0"]).await;
        eventually("an unroutable message", async || {
            let listed = broker.ctl(&["list_delayed_exchanges", "name", "unroutable", "--format", "json"]);
            let listed: Vec<Value> = serde_json::from_str(&listed).unwrap();
            listed.iter().any(|listed| listed["name"] == *exchange && listed["unroutable"] == 1)
        })
        .await;
        assert!(broker.said().contains("no queue took messages that were due"));
    })
    .await;
}

#[tokio::test]
async fn copies_are_sent_when_the_message_is_due() {
    with_broker(async |broker| {
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        let (exchange, queue) = setup(&client).await;
        let (copied, blindly) = (client.queue([]).await, client.queue([]).await);
        client.bind(&copied, &exchange, "cc", []).await;
        client.bind(&blindly, &exchange, "bcc", []).await;
        let keys = |key| AMQPValue::FieldArray(FieldArray::from(vec![text(key)]));
        let headers = [("x-delay", AMQPValue::LongInt(50)), ("CC", keys("cc")), ("BCC", keys("bcc"))];
        client.publish(&exchange, "k", Client::persistent().with_headers(table(headers)), &[b"0"]).await;
        for queue in [queue, copied, blindly] {
            let message = take(&client, &queue, 1).await.remove(0);
            assert!(message.header("CC").is_some() && message.header("BCC").is_none());
        }
    })
    .await;
}

#[tokio::test]
async fn the_time_to_live_begins_in_the_queue() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let (exchange, queue) = setup(&client).await;
        let (_channel, mut consumer) = client.consume(&queue, 0).await;
        client.publish(&exchange, "k", delayed(300).with_expiration("150".into()), &[b"0"]).await;
        assert_eq!(Client::next(&mut consumer).await.number(), 0);
    })
    .await;
}

#[tokio::test]
async fn operators_find_move_and_cancel() {
    with_broker(async |broker| {
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        let (exchange, queue) = setup(&client).await;
        for number in 0..5 {
            let id = format!("m {number}");
            let properties = delayed(HOUR_MS + number).with_message_id(id.as_str().into());
            client.publish(&exchange, "k", properties, &[number.to_string().as_bytes()]).await;
        }
        let ids = |filter: &[&str]| -> Vec<String> {
            waiting(&broker, &exchange, filter)
                .iter()
                .map(|item| item["message_id"].as_str().unwrap().to_owned())
                .collect()
        };
        let id = |message_id| {
            waiting(&broker, &exchange, &["--message-id", message_id])[0]["id"].as_str().unwrap().to_owned()
        };
        assert_eq!(ids(&[]), ["m 0", "m 1", "m 2", "m 3", "m 4"]);
        assert_eq!(ids(&["--limit", "2"]), ["m 0", "m 1"]);
        let due_ms = waiting(&broker, &exchange, &[])[2]["due_ms"].to_string();
        assert_eq!(ids(&["--from-ms", &due_ms]).len() + ids(&["--until-ms", &due_ms]).len(), 5);

        broker.ctl(&["cancel_delayed", &exchange, &id("m 1")]);
        let gone = broker.ctl_output(&["cancel_delayed", &exchange, "1-1"]);
        assert!(!gone.status.success());
        assert!(String::from_utf8_lossy(&gone.stderr).contains("there is no delayed message '1-1'"));
        broker.ctl(&["reschedule_delayed", &exchange, &id("m 0"), "--delay-ms", &(2 * HOUR_MS).to_string()]);
        assert_eq!(ids(&[]), ["m 2", "m 3", "m 4", "m 0"]);
        broker.ctl(&["deliver_delayed", &exchange, &id("m 3")]);
        assert_eq!(client.get(&queue).await.unwrap().number(), 3);
        broker.ctl(&["reschedule_delayed", &exchange, &id("m 4"), "--at-ms", "1"]);
        client.settles_at(&queue, 1).await;
        assert_eq!(client.get(&queue).await.unwrap().number(), 4);
        assert_eq!(broker.ctl(&["-q", "purge_delayed", &exchange, "--message-id", "m 2"]).trim(), "1");
        assert_eq!(ids(&[]), ["m 0"]);
        assert_eq!(broker.ctl(&["-q", "purge_delayed", &exchange]).trim(), "1");
        assert_eq!(count_delayed(&broker, &exchange), 0);
    })
    .await;
}

#[tokio::test]
async fn an_exchange_that_holds_messages_is_in_use() {
    with_broker(async |broker| {
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        let exchange = exchange(&client, "fanout").await;
        client.publish(&exchange, "", delayed(HOUR_MS), &[b"0".as_slice(); 3]).await;
        let channel = client.another_channel().await;
        let if_unused = ExchangeDeleteOptions { if_unused: true, ..ExchangeDeleteOptions::default() };
        let refused = channel.exchange_delete(exchange.as_str().into(), if_unused).await.unwrap_err();
        let expected =
            format!("PRECONDITION_FAILED - exchange '{exchange}' in vhost '/' in use: 3 delayed messages wait in it");
        assert_eq!(reply(&refused), (406, expected));
        let options = ExchangeDeleteOptions::default();
        client.channel.exchange_delete(exchange.as_str().into(), options).await.unwrap();
        assert!(broker.said().contains("deleted with delayed messages"));
    })
    .await;
}

#[tokio::test]
async fn messages_wait_while_the_plugin_is_off() {
    with_broker(async |mut broker| {
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        let (exchange, queue) = setup(&client).await;
        client.publish(&exchange, "k", delayed(1), &[b"0"]).await;
        client.settles_at(&queue, 1).await;
        client.publish(&exchange, "k", delayed(HOUR_MS), &[b"1"]).await;
        broker.kill();
        broker.start_again_with(&["--set", "plugins.enabled=management"]).await;
        let client = broker.client().await;
        let channel = client.confirm_channel().await;
        let options = BasicPublishOptions::default();
        let sent = channel.basic_publish(exchange.as_str().into(), "k".into(), options, b"", Client::persistent());
        let (code, text) = reply(&sent.await.unwrap().await.unwrap_err());
        assert_eq!(code, 406);
        assert!(text.contains("x-delayed-message"), "{text}");
        assert_eq!(count_delayed(&broker, &exchange), 1);
        broker.kill();
        broker.start_again().await;
        assert_eq!(waiting(&broker, &exchange, &[]).len(), 1);
        broker.ctl(&["deliver_delayed", &exchange, waiting(&broker, &exchange, &[])[0]["id"].as_str().unwrap()]);
        assert_eq!(numbers(&broker.client().await.drain(&queue).await), [0, 1]);
    })
    .await;
}
