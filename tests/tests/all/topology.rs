//! Declaring and deleting queues, exchanges and bindings, and the texts of refusals.

use lapin::options::{
    BasicCancelOptions, BasicConsumeOptions, ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions,
    QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ExchangeKind, Result};
use leveret_tests::{Client, eventually, reply, table, with_broker};

fn refusal<T>(result: Result<T>) -> (u16, String) {
    match result {
        Ok(_) => panic!("the broker accepts what it must refuse"),
        Err(error) => reply(&error),
    }
}

async fn declare_exchange(channel: &Channel, name: &str, options: ExchangeDeclareOptions) -> Result<()> {
    channel.exchange_declare(name.into(), ExchangeKind::Direct, options, FieldTable::default()).await
}

#[tokio::test]
async fn a_queue_can_be_declared_again_only_as_it_is() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let queue = client.queue([("x-max-length", AMQPValue::LongInt(5))]).await;

        let same = table([("x-max-length", AMQPValue::LongLongInt(5))]);
        client.declare(&queue, QueueDeclareOptions::durable(), same).await.unwrap();

        let transient = client.declare(&queue, QueueDeclareOptions::default(), FieldTable::default()).await;
        let (code, text) = refusal(transient);
        let expected = format!(
            "PRECONDITION_FAILED - inequivalent arg 'durable' for queue '{queue}' in vhost '/': \
             received 'false' but current is 'true'"
        );
        assert_eq!((code, text), (406, expected));

        let other = table([("x-max-length", AMQPValue::LongInt(6))]);
        let (code, text) = refusal(client.declare(&queue, QueueDeclareOptions::durable(), other).await);
        let expected = format!(
            "PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue '{queue}' in vhost '/': \
             received '6' but current is '5'"
        );
        assert_eq!((code, text), (406, expected));
    })
    .await;
}

#[tokio::test]
async fn a_missing_queue_is_not_found() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let passive = QueueDeclareOptions::default().passive();
        let name = Client::name("missing");
        let (code, text) = refusal(client.declare(&name, passive, FieldTable::default()).await);
        assert_eq!((code, text), (404, format!("NOT_FOUND - no queue '{name}' in vhost '/'")));
    })
    .await;
}

#[tokio::test]
async fn the_server_names_queues() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let mut names = Vec::new();
        for _ in 0..2 {
            let options = QueueDeclareOptions::exclusive();
            let queue = client.channel.queue_declare("".into(), options, FieldTable::default()).await.unwrap();
            assert!(queue.name().as_str().starts_with("amq.gen-"), "{}", queue.name());
            names.push(queue.name().to_string());
        }
        assert_ne!(names[0], names[1]);
        let reserved = client.declare("amq.mine", QueueDeclareOptions::durable(), FieldTable::default()).await;
        assert_eq!(refusal(reserved).0, 403);
    })
    .await;
}

#[tokio::test]
async fn an_exclusive_queue_is_its_connections_alone() {
    with_broker(async |broker| {
        let (owner, other) = (broker.client().await, broker.client().await);
        let name = Client::name("exclusive");
        let options = QueueDeclareOptions::exclusive();
        owner.channel.queue_declare(name.as_str().into(), options, FieldTable::default()).await.unwrap();

        let passive = QueueDeclareOptions::default().passive();
        let (code, text) = refusal(other.declare(&name, passive, FieldTable::default()).await);
        assert_eq!(code, 405);
        assert!(
            text.starts_with(&format!("RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '{name}'"))
        );

        owner.connection.close(200, "done".into()).await.unwrap();
        let declare = async || other.declare(&name, passive, FieldTable::default()).await;
        eventually("the end of the queue", async || refusal(declare().await).0 == 404).await;
    })
    .await;
}

#[tokio::test]
async fn an_auto_delete_queue_goes_with_its_last_consumer() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let name = Client::name("auto-delete");
        let options = QueueDeclareOptions::durable().auto_delete();
        client.declare(&name, options, FieldTable::default()).await.unwrap();
        // lapin cancels a consumer that is dropped.
        let mut consumers = Vec::new();
        for tag in ["first", "second"] {
            let consume = BasicConsumeOptions::default();
            let queue = name.as_str().into();
            let consumer = client.channel.basic_consume(queue, tag.into(), consume, FieldTable::default());
            consumers.push(consumer.await.unwrap());
        }
        client.channel.basic_cancel("first".into(), BasicCancelOptions::default()).await.unwrap();
        assert!(client.has_queue(&name).await);
        client.channel.basic_cancel("second".into(), BasicCancelOptions::default()).await.unwrap();
        eventually("the end of the queue", async || !client.has_queue(&name).await).await;
    })
    .await;
}

#[tokio::test]
async fn conditions_of_deletion_hold() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let queue = client.queue([]).await;
        client.publish_numbers(&queue, 0..3).await;

        let if_empty = QueueDeleteOptions { if_empty: true, ..QueueDeleteOptions::default() };
        let channel = client.another_channel().await;
        let (code, text) = refusal(channel.queue_delete(queue.as_str().into(), if_empty).await);
        assert_eq!((code, text), (406, format!("PRECONDITION_FAILED - queue '{queue}' in vhost '/' not empty")));

        let (_channel, _consumer) = client.consume(&queue, 1).await;
        let if_unused = QueueDeleteOptions { if_unused: true, ..QueueDeleteOptions::default() };
        let channel = client.another_channel().await;
        let (code, text) = refusal(channel.queue_delete(queue.as_str().into(), if_unused).await);
        assert_eq!((code, text), (406, format!("PRECONDITION_FAILED - queue '{queue}' in vhost '/' in use")));

        let channel = client.another_channel().await;
        channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
        assert!(!client.has_queue(&queue).await);
        // What is not there is deleted already.
        channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_exchange_in_use_is_kept_if_so_asked() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let (queue, exchange) = (client.queue([]).await, client.exchange(ExchangeKind::Fanout, []).await);
        client.bind(&queue, &exchange, "", []).await;
        let if_unused = ExchangeDeleteOptions { if_unused: true, ..ExchangeDeleteOptions::default() };
        let channel = client.another_channel().await;
        let (code, text) = refusal(channel.exchange_delete(exchange.as_str().into(), if_unused).await);
        assert_eq!((code, text), (406, format!("PRECONDITION_FAILED - exchange '{exchange}' in vhost '/' in use")));
        let channel = client.another_channel().await;
        channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
        channel.exchange_delete(exchange.as_str().into(), if_unused).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn purging_counts_what_it_takes() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let queue = client.queue([]).await;
        client.publish_numbers(&queue, 0..7).await;
        let (_channel, mut consumer) = client.consume(&queue, 2).await;
        Client::take(&mut consumer, 2).await;
        client.settles_at(&queue, 5).await;
        let purged = client.channel.queue_purge(queue.as_str().into(), QueuePurgeOptions::default()).await;
        assert_eq!(purged.unwrap(), 5);
        assert_eq!(client.ready(&queue).await, 0);
    })
    .await;
}

#[tokio::test]
async fn exchanges_are_refused_as_queues_are() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let exchange = client.exchange(ExchangeKind::Topic, []).await;
        let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };

        let channel = client.another_channel().await;
        let (code, text) = refusal(declare_exchange(&channel, &exchange, durable).await);
        let expected = format!(
            "PRECONDITION_FAILED - inequivalent arg 'type' for exchange '{exchange}' in vhost '/': \
             received 'direct' but current is 'topic'"
        );
        assert_eq!((code, text), (406, expected));

        let channel = client.another_channel().await;
        assert_eq!(refusal(declare_exchange(&channel, "amq.mine", durable).await).0, 403);
        let channel = client.another_channel().await;
        assert_eq!(refusal(declare_exchange(&channel, "", durable).await).0, 403);

        let channel = client.another_channel().await;
        let passive = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
        let name = Client::name("missing");
        let (code, text) = refusal(declare_exchange(&channel, &name, passive).await);
        assert_eq!((code, text), (404, format!("NOT_FOUND - no exchange '{name}' in vhost '/'")));
    })
    .await;
}

#[tokio::test]
async fn the_default_exchange_has_no_bindings_of_ones_own() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let queue = client.queue([]).await;
        let channel = client.another_channel().await;
        let options = QueueBindOptions::default();
        let bound = channel.queue_bind(queue.as_str().into(), "".into(), "key".into(), options, FieldTable::default());
        assert_eq!(refusal(bound.await).0, 403);
    })
    .await;
}

#[tokio::test]
async fn an_auto_delete_exchange_goes_with_its_last_binding() {
    with_broker(async |broker| {
        let client = broker.client().await;
        let name = Client::name("auto-delete");
        let options = ExchangeDeclareOptions { auto_delete: true, ..ExchangeDeclareOptions::default() };
        declare_exchange(&client.channel, &name, options).await.unwrap();
        let queue = client.queue([]).await;
        client.bind(&queue, &name, "key", []).await;
        let unbound = client.channel.queue_unbind(
            queue.as_str().into(),
            name.as_str().into(),
            "key".into(),
            FieldTable::default(),
        );
        unbound.await.unwrap();
        let passive = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
        let channel = client.another_channel().await;
        assert_eq!(refusal(declare_exchange(&channel, &name, passive).await).0, 404);
    })
    .await;
}
