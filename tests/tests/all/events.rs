//! The event exchange: what a program hears of the broker that is bound to `amq.rabbitmq.event`.

use lapin::options::{BasicCancelOptions, BasicPublishOptions, ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Consumer, ExchangeKind};
use leveret_tests::{Broker, Client, Message, connect, eventually, reply, table, with_broker, with_test_time, within};

const EXCHANGE: &str = "amq.rabbitmq.event";

/// A program that hears of events whose names fit a pattern.
struct Listener {
    _client: Client,
    _channel: lapin::Channel,
    consumer: Consumer,
}

impl Listener {
    async fn new(broker: &Broker, pattern: &str) -> Self {
        let client = broker.client().await;
        let queue = client.queue([]).await;
        client.bind(&queue, EXCHANGE, pattern, []).await;
        let (channel, consumer) = client.consume(&queue, 0).await;
        Self { _client: client, _channel: channel, consumer }
    }

    /// The next event.
    async fn next(&mut self) -> Message {
        Client::next(&mut self.consumer).await
    }

    /// The next event of that name, whatever comes before it.
    async fn next_of(&mut self, name: &str) -> Message {
        loop {
            let event = self.next().await;
            if event.routing_key.as_str() == name {
                return event;
            }
        }
    }
}

fn integer(event: &Message, name: &str) -> i64 {
    match event.header(name) {
        Some(AMQPValue::LongLongInt(number)) => *number,
        other => panic!("{name} is {other:?}"),
    }
}

#[tokio::test]
async fn what_is_declared_is_told_with_what_it_is() {
    with_broker(async |broker| {
        if !broker.is_ours() {
            return;
        }
        let mut listener = Listener::new(&broker, "queue.*").await;
        let client = broker.client().await;
        let queue = client.queue([("x-max-length", AMQPValue::LongInt(5))]).await;
        let created = listener.next_of("queue.created").await;
        assert_eq!(created.text_header("name"), queue);
        assert_eq!(created.text_header("vhost"), "/");
        assert_eq!(created.text_header("type"), "rabbit_classic_queue");
        assert_eq!(created.text_header("user_who_performed_action"), "guest");
        assert_eq!(created.header("durable"), Some(&AMQPValue::Boolean(true)));
        let arguments = table([("x-max-length", AMQPValue::LongInt(5))]);
        assert_eq!(created.header("arguments"), Some(&AMQPValue::FieldTable(arguments)));
        assert!(created.data.is_empty());
        assert_eq!(*created.properties.delivery_mode(), Some(2));
        let seconds = created.properties.timestamp().unwrap();
        assert_eq!(integer(&created, "timestamp_in_ms") / 1000, i64::try_from(seconds).unwrap());
        client.channel.queue_delete(queue.as_str().into(), Default::default()).await.unwrap();
        assert_eq!(listener.next_of("queue.deleted").await.text_header("name"), queue);
    })
    .await;
}

#[tokio::test]
async fn bindings_go_before_the_exchange_that_goes_with_the_last_of_them() {
    with_broker(async |broker| {
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        let queue = client.queue([]).await;
        let mut listener = Listener::new(&broker, "#").await;
        let options = ExchangeDeclareOptions { auto_delete: true, ..ExchangeDeclareOptions::default() };
        let name = Client::name("exchange");
        let declared =
            client.channel.exchange_declare(name.as_str().into(), ExchangeKind::Fanout, options, FieldTable::default());
        declared.await.unwrap();
        let created = listener.next_of("exchange.created").await;
        assert_eq!((created.text_header("name"), created.text_header("type")), (name.clone(), "fanout".into()));
        client.bind(&queue, &name, "k", []).await;
        let bound = listener.next_of("binding.created").await;
        let ends = ["source_name", "source_kind", "destination_name", "destination_kind", "routing_key", "vhost"];
        let ends = ends.map(|end| bound.text_header(end));
        assert_eq!(ends, [&*name, "exchange", &*queue, "queue", "k", "/"]);
        let unbound =
            client.channel.queue_unbind(queue.as_str().into(), name.as_str().into(), "k".into(), FieldTable::default());
        unbound.await.unwrap();
        assert_eq!(listener.next().await.routing_key.as_str(), "binding.deleted");
        let gone = listener.next().await;
        assert_eq!((gone.routing_key.as_str(), gone.text_header("name")), ("exchange.deleted", name));
    })
    .await;
}

#[tokio::test]
async fn connections_channels_and_consumers_can_be_told_to_belong_together() {
    with_broker(async |broker| {
        if !broker.is_ours() {
            return;
        }
        let queue = broker.client().await.queue([]).await;
        let mut listener = Listener::new(&broker, "#").await;
        let client = broker.client().await;
        let login = listener.next_of("user.authentication.success").await;
        assert_eq!((login.text_header("name"), login.text_header("auth_mechanism")), ("guest".into(), "PLAIN".into()));
        assert!(login.header("vhost").is_none() && login.header("ssl") == Some(&AMQPValue::Boolean(false)));
        let connected = listener.next_of("connection.created").await;
        assert_eq!((connected.text_header("user"), connected.text_header("vhost")), ("guest".into(), "/".into()));
        assert_eq!(connected.text_header("peer_host"), "127.0.0.1");
        assert_eq!(connected.text_header("name"), login.text_header("connection_name"));
        let opened = listener.next_of("channel.created").await;
        assert_eq!(opened.text_header("connection"), connected.text_header("pid"));
        let (channel, consumer) = client.consume(&queue, 7).await;
        let channel_created = listener.next_of("channel.created").await;
        let consumes = listener.next_of("consumer.created").await;
        assert_eq!(consumes.text_header("channel"), channel_created.text_header("pid"));
        assert_eq!((consumes.text_header("queue"), integer(&consumes, "prefetch_count")), (queue.clone(), 7));
        channel.basic_cancel(consumer.tag(), BasicCancelOptions::default()).await.unwrap();
        let cancelled = listener.next_of("consumer.deleted").await;
        assert_eq!(cancelled.text_header("consumer_tag"), consumer.tag().as_str());
        let (_other_channel, _consumer) = client.consume(&queue, 7).await;
        let tag = listener.next_of("consumer.created").await.text_header("consumer_tag");
        client.connection.close(200, "enough".into()).await.unwrap();
        assert_eq!(listener.next_of("consumer.deleted").await.text_header("consumer_tag"), tag);
        assert_eq!(integer(&listener.next_of("channel.closed").await, "consumer_count"), 1);
        let closed = listener.next_of("connection.closed").await;
        assert_eq!(closed.text_header("pid"), connected.text_header("pid"));
    })
    .await;
}

#[tokio::test]
async fn a_queue_that_is_deleted_ends_its_consumers() {
    with_broker(async |broker| {
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        let queue = client.queue([]).await;
        let mut listener = Listener::new(&broker, "consumer.*").await;
        let (_channel, consumer) = client.consume(&queue, 0).await;
        client.channel.queue_delete(queue.as_str().into(), Default::default()).await.unwrap();
        let deleted = listener.next_of("consumer.deleted").await;
        assert_eq!(deleted.text_header("consumer_tag"), consumer.tag().as_str());
    })
    .await;
}

#[tokio::test]
async fn what_operators_do_is_told() {
    with_broker(async |broker| {
        if !broker.is_ours() {
            return;
        }
        let mut listener = Listener::new(&broker, "#").await;
        broker.ctl(&["add_vhost", "shop"]);
        let created = listener.next_of("vhost.created").await;
        let (name, user) = (created.text_header("name"), created.text_header("user_who_performed_action"));
        assert_eq!((&*name, &*user), ("shop", "rmq-cli"));
        broker.ctl(&["add_user", "anna", "secret"]);
        assert_eq!(listener.next_of("user.created").await.text_header("name"), "anna");
        broker.ctl(&["set_user_tags", "anna", "management"]);
        assert_eq!(listener.next_of("user.tags.set").await.text_header("name"), "anna");
        broker.ctl(&["change_password", "anna", "another"]);
        let changed = listener.next_of("user.password.changed").await;
        let said = changed.properties.headers().as_ref().unwrap().inner().clone();
        let names: Vec<&str> = said.keys().map(ShortString::as_str).collect();
        assert_eq!(names, ["name", "timestamp_in_ms", "user_who_performed_action"], "nothing of the password");
        broker.ctl(&["set_permissions", "-p", "shop", "anna", "^a", "^b", "^c"]);
        let allowed = listener.next_of("permission.created").await;
        let patterns = ["configure", "write", "read"].map(|what| allowed.text_header(what));
        assert_eq!(patterns, ["^a", "^b", "^c"]);
        broker.ctl(&["set_policy", "-p", "shop", "short", "^q", r#"{"max-length": 2}"#]);
        let policy = listener.next_of("policy.set").await;
        assert_eq!(
            policy.header("definition"),
            Some(&AMQPValue::FieldTable(table([("max-length", AMQPValue::LongLongInt(2))])))
        );
        broker.ctl(&["set_vhost_limits", "-p", "shop", r#"{"max-queues": 3}"#]);
        assert_eq!(integer(&listener.next_of("vhost.limits.set").await, "max-queues"), 3);
        assert!(connect(&broker.uri_for("anna:wrong", "shop")).await.is_err());
        let refused = listener.next_of("user.authentication.failure").await;
        assert_eq!(refused.text_header("error"), "user 'anna' - invalid credentials");
        broker.ctl(&["delete_vhost", "shop"]);
        for name in ["permission.deleted", "policy.cleared", "vhost.deleted"] {
            listener.next_of(name).await;
        }
        broker.ctl(&["delete_user", "anna"]);
        assert_eq!(listener.next_of("user.deleted").await.text_header("name"), "anna");
    })
    .await;
}

#[tokio::test]
async fn a_durable_queue_stays_bound_over_a_restart() {
    with_broker(async |mut broker| {
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        let queue = client.queue([]).await;
        client.bind(&queue, EXCHANGE, "user.authentication.success", []).await;
        broker.restart().await;
        let client = broker.client().await;
        eventually("an event after the restart", async || client.ready(&queue).await > 0).await;
    })
    .await;
}

#[tokio::test]
async fn a_disk_that_runs_short_is_told() {
    with_broker(async |mut broker| {
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        let queue = client.queue([]).await;
        client.bind(&queue, EXCHANGE, "alarm.set", []).await;
        broker.kill();
        broker.start_again_with(&["--set", "disk_free_limit_bytes=9000000000000000000"]).await;
        let client = broker.client().await;
        let (_channel, mut consumer) = client.consume(&queue, 0).await;
        assert_eq!(Client::next(&mut consumer).await.text_header("source"), "disk");
    })
    .await;
}

#[tokio::test]
async fn the_exchange_is_in_the_vhost_that_is_configured_and_is_for_the_broker_alone() {
    with_test_time(async {
        let broker = Broker::start(&["--set", "event_exchange.vhost=ops"]).await;
        if !broker.is_ours() {
            return;
        }
        broker.ctl(&["set_permissions", "-p", "ops", "guest", ".*", ".*", ".*"]);
        let client = Client::connect(&broker.uri_for("guest:guest", "ops")).await;
        let queue = client.queue([]).await;
        client.bind(&queue, EXCHANGE, "queue.created", []).await;
        let elsewhere = broker.client().await;
        let durable = QueueDeclareOptions::durable();
        elsewhere.declare("seen", durable, FieldTable::default()).await.unwrap();
        client.settles_at(&queue, 1).await;
        assert!(!broker.ctl(&["list_exchanges"]).contains(EXCHANGE), "vhost / has none");
        let channel = client.confirm_channel().await;
        let options = BasicPublishOptions::default();
        let sent = channel.basic_publish(EXCHANGE.into(), "k".into(), options, b"", Client::persistent());
        let refused = within("a refusal", sent.await.unwrap()).await.unwrap_err();
        let text = "ACCESS_REFUSED - cannot publish to internal exchange 'amq.rabbitmq.event' in vhost 'ops'";
        assert_eq!(reply(&refused), (403, text.to_owned()));
    })
    .await;
}
