//! Message interceptors: what is put into messages when they come in.

use lapin::BasicProperties;
use lapin::options::BasicPublishOptions;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use leveret_tests::{Broker, Client, Message, table, with_broker, with_test_time, within};

const TIMESTAMP: &str = "message_interceptors.incoming.set_header_timestamp.overwrite";
const ROUTING_NODE: &str = "message_interceptors.incoming.set_header_routing_node.overwrite";

/// Runs a test with a broker of ours that is configured so.
async fn with_interceptors(settings: &[(&str, bool)], test: impl AsyncFnOnce(Broker)) {
    let settings: Vec<String> = settings.iter().map(|(key, overwrite)| format!("{key}={overwrite}")).collect();
    let arguments: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
    with_test_time(async {
        let broker = Broker::start(&arguments).await;
        if broker.is_ours() {
            test(broker).await;
        }
    })
    .await;
}

fn said() -> BasicProperties {
    let headers = table([
        ("timestamp_in_ms", AMQPValue::LongLongInt(7000)),
        ("x-routed-by", AMQPValue::LongString("me".into())),
        ("kept", AMQPValue::Boolean(true)),
    ]);
    Client::persistent().with_timestamp(7).with_message_id("m".into()).with_headers(headers)
}

/// Publishes a message to a queue; how it came there.
async fn sent(client: &Client, queue: &str, properties: BasicProperties) -> Message {
    client.publish("", queue, properties, &[b"body"]).await;
    client.get(queue).await.expect("a message")
}

fn milliseconds(message: &Message) -> u64 {
    match message.header("timestamp_in_ms") {
        Some(AMQPValue::LongLongInt(number)) => u64::try_from(*number).expect("a time"),
        other => panic!("timestamp_in_ms is {other:?}"),
    }
}

fn now_ms() -> u64 {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time after 1970");
    u64::try_from(since_1970.as_millis()).expect("a time")
}

#[tokio::test]
async fn messages_are_as_they_were_sent_where_nothing_is_configured() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let queue = client.queue([]).await;
        assert_eq!(sent(&client, &queue, Client::persistent()).await.properties, Client::persistent());
        assert_eq!(sent(&client, &queue, said()).await.properties, said());
    })
    .await;
}

#[tokio::test]
async fn what_a_publisher_has_said_stays_unless_it_is_to_be_overwritten() {
    with_interceptors(&[(TIMESTAMP, false), (ROUTING_NODE, false)], async |broker| {
        let client = broker.client().await;
        let queue = client.queue([]).await;
        let before_ms = now_ms();
        let stamped = sent(&client, &queue, Client::persistent()).await;
        assert!((before_ms..=now_ms()).contains(&milliseconds(&stamped)));
        assert_eq!(*stamped.properties.timestamp(), Some(milliseconds(&stamped) / 1000));
        assert!(stamped.text_header("x-routed-by").starts_with("leveret@"));
        assert_eq!((stamped.text(), *stamped.properties.delivery_mode()), ("body", Some(2)));
        assert_eq!(sent(&client, &queue, said()).await.properties, said());
    })
    .await;
}

#[tokio::test]
async fn what_is_to_be_overwritten_is_and_the_rest_stays() {
    with_interceptors(&[(TIMESTAMP, true), (ROUTING_NODE, true)], async |broker| {
        let client = broker.client().await;
        let queue = client.queue([]).await;
        let before_ms = now_ms();
        let stamped = sent(&client, &queue, said()).await;
        assert!(milliseconds(&stamped) >= before_ms);
        assert_eq!(*stamped.properties.timestamp(), Some(milliseconds(&stamped) / 1000));
        let node = stamped.text_header("x-routed-by");
        assert!(broker.ctl(&["status"]).contains(&node), "{node} is not the node's name");
        assert_eq!(stamped.header("kept"), Some(&AMQPValue::Boolean(true)));
        assert_eq!(stamped.properties.message_id().as_ref().map(ShortString::as_str), Some("m"));
    })
    .await;
}

#[tokio::test]
async fn a_message_is_stamped_once_when_it_comes_in_and_not_when_it_is_sent_on() {
    with_interceptors(&[(TIMESTAMP, true)], async |broker| {
        let client = broker.client().await;
        let dead = client.queue([]).await;
        let alive = client
            .queue([
                ("x-dead-letter-exchange", AMQPValue::LongString("".into())),
                ("x-dead-letter-routing-key", AMQPValue::LongString(dead.as_str().into())),
                ("x-message-ttl", AMQPValue::LongInt(50)),
            ])
            .await;
        client.publish("", &alive, Client::persistent(), &[b"body"]).await;
        let after_ms = now_ms();
        client.settles_at(&dead, 1).await;
        assert!(milliseconds(&client.get(&dead).await.expect("a message")) <= after_ms);
    })
    .await;
}

#[tokio::test]
async fn transactions_and_returned_messages_are_stamped() {
    with_interceptors(&[(ROUTING_NODE, false)], async |broker| {
        let client = broker.client().await;
        let queue = client.queue([]).await;
        let channel = client.another_channel().await;
        channel.tx_select().await.unwrap();
        let options = BasicPublishOptions::default();
        let published = channel.basic_publish("".into(), queue.as_str().into(), options, b"", Client::persistent());
        let _ = published.await.unwrap().await.unwrap();
        channel.tx_commit().await.unwrap();
        let message = client.get(&queue).await.expect("a message");
        assert!(message.text_header("x-routed-by").starts_with("leveret@"));
        let channel = client.confirm_channel().await;
        let mandatory = BasicPublishOptions { mandatory: true, ..options };
        let published = channel.basic_publish("".into(), "nowhere".into(), mandatory, b"", Client::persistent());
        let confirmation = within("a confirm", published.await.unwrap()).await.unwrap();
        let returned = confirmation.take_message().expect("a returned message");
        let headers = returned.delivery.properties.headers().clone().unwrap_or_else(FieldTable::default);
        assert!(headers.contains_key("x-routed-by"));
    })
    .await;
}
