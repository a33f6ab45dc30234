//! What becomes of a message that an interceptor refuses.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use lapin::{
    BasicProperties, Connection, ConnectionProperties, ErrorKind,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};
use leveret::{config::Config, plugins::Plugins, server::Server};
use leveret_broker::{
    Error,
    plugin::{Draft, IncomingMessage, Interceptor, Plugin, RegisterError, Registry},
};

/// Refuses messages whose body is not text.
struct TextOnly;

impl Plugin for TextOnly {
    fn name(&self) -> &'static str {
        "text-only"
    }

    fn description(&self) -> &'static str {
        "refuses what is not text"
    }

    fn register(&self, registry: &mut Registry) -> Result<(), RegisterError> {
        registry.interceptor(Arc::new(TextOnly))
    }
}

impl Interceptor for TextOnly {
    fn name(&self) -> &str {
        "text_only"
    }

    fn intercept(&self, message: &IncomingMessage<'_>, _draft: &mut Draft<'_>) -> Result<(), Error> {
        match std::str::from_utf8(message.body) {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::precondition_failed(format!("{} sends what is not text", message.user))),
        }
    }
}

#[tokio::test]
async fn its_channel_is_closed_with_what_the_interceptor_says() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config { data_dir: folder.path().to_owned(), ..Config::default() };
    config.amqp.bind = "127.0.0.1:0".to_owned();
    config.http.bind = String::new();
    let server = Server::start(config, Plugins::default().with(TextOnly)).await.unwrap();
    let uri = format!("amqp://guest:guest@{}", server.amqp_address());
    let connection = Connection::connect(&uri, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let publish = async |body: &[u8]| {
        let options = BasicPublishOptions::default();
        let sent = channel.basic_publish("".into(), "q".into(), options, body, BasicProperties::default());
        sent.await.unwrap().await
    };
    publish(b"text").await.unwrap();
    let refused = publish(b"\xff").await.unwrap_err();
    let ErrorKind::ProtocolError(refused) = refused.kind() else { panic!("{refused}") };
    assert_eq!(refused.get_id(), 406);
    assert_eq!(refused.get_message().as_str(), "PRECONDITION_FAILED - guest sends what is not text");
    connection.create_channel().await.unwrap();
    server.shut_down().await.unwrap();
}
