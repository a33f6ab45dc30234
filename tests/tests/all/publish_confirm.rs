//! Publishing: confirms, and that what comes out is what went in.

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, DecimalValue, FieldArray, FieldTable};
use lapin::{BasicProperties, Confirmation};
use leveret_tests::{Client, numbers, reply, table, with_broker, within};

#[tokio::test]
async fn every_message_is_confirmed_and_kept_in_order() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let queue = client.queue([]).await;
        client.publish_numbers(&queue, 0..2000).await;
        assert_eq!(client.ready(&queue).await, 2000);
        let (_channel, mut consumer) = client.consume(&queue, 0).await;
        let messages = Client::take(&mut consumer, 2000).await;
        assert_eq!(numbers(&messages), (0..2000).collect::<Vec<_>>());
        assert!(messages.iter().all(|message| !message.redelivered));
    })
    .await;
}

#[tokio::test]
async fn transient_and_unroutable_messages_are_confirmed_too() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let queue = client.queue([]).await;
        client.publish("", &queue, BasicProperties::default(), &[b"transient"]).await;
        client.publish("", &Client::name("nowhere"), Client::persistent(), &[b"unroutable"]).await;
        assert_eq!(client.ready(&queue).await, 1);
    })
    .await;
}

#[tokio::test]
async fn properties_arrive_as_they_were_sent() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let queue = client.queue([]).await;
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_content_encoding("identity".into())
            .with_headers(every_type())
            .with_delivery_mode(2)
            .with_priority(7)
            .with_correlation_id("correlation".into())
            .with_reply_to("reply".into())
            .with_expiration("600000".into())
            .with_message_id("message".into())
            .with_timestamp(1_700_000_000)
            .with_type("type".into())
            .with_user_id("guest".into())
            .with_app_id("application".into())
            .with_cluster_id("cluster".into());
        client.publish("", &queue, properties.clone(), &[b"{}"]).await;
        let message = client.get(&queue).await.unwrap();
        assert_eq!(message.properties, properties);
        assert_eq!(message.data, b"{}");
    })
    .await;
}

fn every_type() -> FieldTable {
    let array = FieldArray::from(vec![AMQPValue::LongInt(1), AMQPValue::Void, AMQPValue::LongString("x".into())]);
    table([
        ("bool", AMQPValue::Boolean(true)),
        ("i8", AMQPValue::ShortShortInt(-8)),
        ("u8", AMQPValue::ShortShortUInt(8)),
        ("i16", AMQPValue::ShortInt(-16)),
        ("i32", AMQPValue::LongInt(-32)),
        ("u32", AMQPValue::LongUInt(32)),
        ("i64", AMQPValue::LongLongInt(i64::MIN)),
        ("f32", AMQPValue::Float(0.5)),
        ("f64", AMQPValue::Double(-0.25)),
        ("decimal", AMQPValue::DecimalValue(DecimalValue { scale: 2, value: 314 })),
        ("text", AMQPValue::LongString("ünïcode".into())),
        ("array", AMQPValue::FieldArray(array)),
        ("timestamp", AMQPValue::Timestamp(1)),
        ("table", AMQPValue::FieldTable(table([("inner", AMQPValue::FieldTable(FieldTable::default()))]))),
        ("bytes", AMQPValue::ByteArray(vec![0, 255].into())),
        ("void", AMQPValue::Void),
    ])
}

#[tokio::test]
async fn bodies_of_every_size_arrive_whole() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let queue = client.queue([]).await;
        // Around the edges of one frame (131072 less 8), of the shared segments (16 KiB), and several frames.
        let sizes = [0, 1, 16_383, 16_384, 131_063, 131_064, 131_065, 262_128, 3_000_000];
        let bodies: Vec<Vec<u8>> =
            sizes.iter().map(|size| (0..*size).map(|index: usize| (index % 251) as u8).collect()).collect();
        let slices: Vec<&[u8]> = bodies.iter().map(Vec::as_slice).collect();
        client.publish("", &queue, Client::persistent(), &slices).await;
        let received = client.drain(&queue).await;
        assert_eq!(received.len(), bodies.len());
        for (message, body) in received.iter().zip(&bodies) {
            assert!(message.data == *body, "a body of {} bytes arrives with {}", body.len(), message.data.len());
        }
    })
    .await;
}

#[tokio::test]
async fn publishing_to_no_exchange_closes_the_channel() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let channel = client.confirm_channel().await;
        let name = Client::name("missing");
        let options = BasicPublishOptions::default();
        let sent = channel.basic_publish(name.as_str().into(), "".into(), options, b"", BasicProperties::default());
        let confirm = within("the publish", sent).await.unwrap();
        let error = within("the refusal", confirm).await.unwrap_err();
        assert_eq!(reply(&error), (404, format!("NOT_FOUND - no exchange '{name}' in vhost '/'")));
        // The connection goes on.
        client.confirm_channel().await;
    })
    .await;
}

#[tokio::test]
async fn another_users_name_is_refused() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let queue = client.queue([]).await;
        let channel = client.confirm_channel().await;
        let properties = BasicProperties::default().with_user_id("somebody".into());
        let options = BasicPublishOptions::default();
        let sent = channel.basic_publish("".into(), queue.as_str().into(), options, b"", properties);
        let confirm = within("the publish", sent).await.unwrap();
        let error = within("the refusal", confirm).await.unwrap_err();
        let expected = "PRECONDITION_FAILED - user_id property set to 'somebody' but authenticated user was 'guest'";
        assert_eq!(reply(&error), (406, expected.to_owned()));
    })
    .await;
}

#[tokio::test]
async fn confirms_and_transactions_exclude_each_other() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let channel = client.another_channel().await;
        channel.tx_select().await.unwrap();
        let error = channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap_err();
        assert_eq!(reply(&error).0, 406);
        let channel = client.confirm_channel().await;
        assert_eq!(reply(&channel.tx_select().await.unwrap_err()).0, 406);
    })
    .await;
}

#[tokio::test]
async fn without_confirms_none_come() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let queue = client.queue([]).await;
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let sent = client.channel.basic_publish("".into(), queue.as_str().into(), options, b"1", properties);
        assert_eq!(sent.await.unwrap().await.unwrap(), Confirmation::NotRequested);
        client.settles_at(&queue, 1).await;
    })
    .await;
}
