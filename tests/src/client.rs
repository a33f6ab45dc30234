//! lapin, with the few things spelled out that nearly every test does.

use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::StreamExt;
use lapin::options::{
    BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer, ErrorKind, Event, ExchangeKind,
};

use crate::delivery::Message;
use crate::{eventually, within};

/// A connection and its first channel.
pub struct Client {
    /// The connection.
    pub connection: Connection,
    /// A channel of it, without confirms.
    pub channel: Channel,
}

/// A field table of these entries.
pub fn table<const N: usize>(entries: [(&str, AMQPValue); N]) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in entries {
        table.insert(key.into(), value);
    }
    table
}

/// Reply code and text of an error that the broker sent.
///
/// # Panics
///
/// When the error is another one.
pub fn reply(error: &lapin::Error) -> (u16, String) {
    match error.kind() {
        ErrorKind::ProtocolError(error) => (error.get_id(), error.get_message().to_string()),
        other => panic!("not an error of the broker: {other:?}"),
    }
}

/// Connects, or learns why not.
///
/// # Errors
///
/// What the broker says.
///
/// # Panics
///
/// When neither happens.
pub async fn connect(uri: &str) -> lapin::Result<Connection> {
    within("a connection", Connection::connect(uri, ConnectionProperties::default())).await
}

impl Client {
    /// Connects and opens a channel.
    ///
    /// # Panics
    ///
    /// When that fails.
    pub async fn connect(uri: &str) -> Self {
        let connection = connect(uri).await.expect("a connection");
        let channel = within("a channel", connection.create_channel()).await.expect("a channel");
        Self { connection, channel }
    }

    /// Waits until the broker closes the connection; why it did. Called before that can happen.
    ///
    /// # Panics
    ///
    /// When the connection goes on, or ends in another way.
    pub fn closed_by_broker(&self) -> impl Future<Output = (u16, String)> {
        let mut events = self.connection.events_listener();
        within("connection.close", async move {
            loop {
                match events.next().await.expect("events") {
                    Event::Error(error) => return reply(&error),
                    _ => continue,
                }
            }
        })
    }

    /// Another channel of the connection.
    ///
    /// # Panics
    ///
    /// When the broker refuses it.
    pub async fn another_channel(&self) -> Channel {
        within("a channel", self.connection.create_channel()).await.expect("a channel")
    }

    /// Another channel, with confirms.
    ///
    /// # Panics
    ///
    /// When the broker refuses it.
    pub async fn confirm_channel(&self) -> Channel {
        let channel = self.another_channel().await;
        let selected = channel.confirm_select(ConfirmSelectOptions::default());
        within("confirm.select-ok", selected).await.expect("confirms");
        channel
    }

    /// A name that no other test uses.
    pub fn name(what: &str) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        format!("{what}.{}.{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Declares a durable queue of a new name.
    ///
    /// # Panics
    ///
    /// When the broker refuses it.
    pub async fn queue<const N: usize>(&self, arguments: [(&str, AMQPValue); N]) -> String {
        let name = Self::name("queue");
        self.declare(&name, QueueDeclareOptions::durable(), table(arguments)).await.expect("a queue");
        name
    }

    /// Declares a queue on a channel of its own, so that a refusal costs no other.
    ///
    /// # Errors
    ///
    /// What the broker says.
    pub async fn declare(
        &self,
        name: &str,
        options: QueueDeclareOptions,
        arguments: FieldTable,
    ) -> lapin::Result<lapin::Queue> {
        let channel = self.another_channel().await;
        let queue = within("queue.declare-ok", channel.queue_declare(name.into(), options, arguments)).await?;
        let _ = channel.close(200, "declared".into()).await;
        Ok(queue)
    }

    /// Whether a queue exists (and is not another connection's).
    pub async fn has_queue(&self, name: &str) -> bool {
        let passive = QueueDeclareOptions::default().passive();
        self.declare(name, passive, FieldTable::default()).await.is_ok()
    }

    /// Number of ready messages of a queue.
    ///
    /// # Panics
    ///
    /// When there is no such queue.
    pub async fn ready(&self, queue: &str) -> u32 {
        let passive = QueueDeclareOptions::default().passive();
        self.declare(queue, passive, FieldTable::default()).await.expect("a queue").message_count()
    }

    /// Waits until a queue holds so many ready messages.
    ///
    /// # Panics
    ///
    /// When it never does.
    pub async fn settles_at(&self, queue: &str, ready: u32) {
        eventually(&format!("{ready} ready messages in {queue}"), async || self.ready(queue).await == ready).await;
    }

    /// Declares a durable exchange of a new name.
    ///
    /// # Panics
    ///
    /// When the broker refuses it.
    pub async fn exchange<const N: usize>(&self, kind: ExchangeKind, arguments: [(&str, AMQPValue); N]) -> String {
        let name = Self::name("exchange");
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let declared = self.channel.exchange_declare(name.as_str().into(), kind, options, table(arguments));
        within("exchange.declare-ok", declared).await.expect("an exchange");
        name
    }

    /// Binds a queue.
    ///
    /// # Panics
    ///
    /// When the broker refuses it.
    pub async fn bind<const N: usize>(
        &self,
        queue: &str,
        exchange: &str,
        key: &str,
        arguments: [(&str, AMQPValue); N],
    ) {
        let options = QueueBindOptions::default();
        let bound = self.channel.queue_bind(queue.into(), exchange.into(), key.into(), options, table(arguments));
        within("queue.bind-ok", bound).await.expect("a binding");
    }

    /// Publishes with confirms on a channel of its own, and waits: when this returns, the broker has routed it all.
    ///
    /// # Panics
    ///
    /// When the broker refuses a message.
    pub async fn publish(&self, exchange: &str, key: &str, properties: BasicProperties, bodies: &[&[u8]]) {
        let channel = self.confirm_channel().await;
        let options = BasicPublishOptions::default();
        let mut confirms = Vec::new();
        for body in bodies {
            let sent = channel.basic_publish(exchange.into(), key.into(), options, body, properties.clone());
            confirms.push(within("a publish", sent).await.expect("a publish"));
        }
        for confirm in confirms {
            let confirmation = within("a confirm", confirm).await.expect("a confirm");
            assert!(matches!(confirmation, Confirmation::Ack(None)), "{confirmation:?}");
        }
        let _ = channel.close(200, "published".into()).await;
    }

    /// Publishes persistent messages to a queue whose bodies are these numbers in decimal, as [`Client::publish`] does.
    pub async fn publish_numbers(&self, queue: &str, numbers: impl IntoIterator<Item = u32>) {
        let bodies: Vec<String> = numbers.into_iter().map(|number| number.to_string()).collect();
        let bodies: Vec<&[u8]> = bodies.iter().map(String::as_bytes).collect();
        self.publish("", queue, Self::persistent(), &bodies).await;
    }

    /// Properties of a persistent message.
    pub fn persistent() -> BasicProperties {
        BasicProperties::default().with_delivery_mode(2)
    }

    /// Takes one message without acknowledgement.
    ///
    /// # Panics
    ///
    /// When the broker refuses it.
    pub async fn get(&self, queue: &str) -> Option<Message> {
        let got = self.channel.basic_get(queue.into(), BasicGetOptions { no_ack: true });
        within("basic.get", got).await.expect("basic.get").map(|message| Message::new(message.delivery))
    }

    /// Takes all messages that are ready, without acknowledgement.
    pub async fn drain(&self, queue: &str) -> Vec<Message> {
        let mut messages = Vec::new();
        while let Some(message) = self.get(queue).await {
            messages.push(message);
        }
        messages
    }

    /// Consumes with acknowledgement, on a channel of its own with this prefetch (0: no limit).
    ///
    /// # Panics
    ///
    /// When the broker refuses it.
    pub async fn consume(&self, queue: &str, prefetch: u16) -> (Channel, Consumer) {
        let channel = self.another_channel().await;
        channel.basic_qos(prefetch, BasicQosOptions::default()).await.expect("a prefetch");
        let options = BasicConsumeOptions::default();
        let consumer = channel.basic_consume(queue.into(), "".into(), options, FieldTable::default());
        let consumer = within("basic.consume-ok", consumer).await.expect("a consumer");
        (channel, consumer)
    }

    /// The next delivery.
    ///
    /// # Panics
    ///
    /// When none comes.
    pub async fn next(consumer: &mut Consumer) -> Message {
        let delivery = within("a delivery", consumer.next()).await.expect("a consumer that goes on");
        Message::new(delivery.expect("a delivery"))
    }

    /// The next so many deliveries.
    pub async fn take(consumer: &mut Consumer, count: usize) -> Vec<Message> {
        let mut messages = Vec::with_capacity(count);
        for _ in 0..count {
            messages.push(Self::next(consumer).await);
        }
        messages
    }
}
