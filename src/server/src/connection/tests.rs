#![allow(clippy::unwrap_used)]
//! The handshake, by what clients send.

use bytes::BytesMut;
use leveret_amqp::{FieldTable, Method, connection as class};
use tokio::io::duplex;

use super::{
    rig::{OFFER, OneUser, Outcome, registration},
    *,
};

async fn shake(script: Script, piece: usize) -> Outcome {
    rig::shake(&script.0, piece).await
}

/// What the client sends, all at once: the server must not mind.
#[derive(Default)]
struct Script(BytesMut);

impl Script {
    fn header() -> Self {
        Self(BytesMut::from(&PROTOCOL_HEADER[..]))
    }

    fn send<'m>(mut self, method: impl Into<Method<'m>>) -> Self {
        method.into().encode(0, &mut self.0);
        self
    }

    fn log_in(self, password: &str, capabilities: FieldTable) -> Self {
        let response = format!("\0hare\0{password}");
        self.send(class::StartOk {
            client_properties: FieldTable::new().with("capabilities", capabilities),
            mechanism: "PLAIN",
            response: response.as_bytes(),
            locale: "en_US",
        })
    }

    fn tune(self, frame_max: u32) -> Self {
        self.send(class::TuneOk { channel_max: 0, frame_max, heartbeat: 5 })
    }

    fn open(self, virtual_host: &str) -> Self {
        self.send(class::Open { virtual_host })
    }
}

fn can_be_told() -> FieldTable {
    FieldTable::new().with("authentication_failure_close", true).with("connection.blocked", true)
}

#[tokio::test]
async fn a_client_that_does_everything_right_gets_in() {
    for piece in [1, 7, 4096] {
        let script = Script::header().log_in("form", can_be_told()).tune(4096).open("/");
        let outcome = shake(script, piece).await;
        assert_eq!(outcome.methods(), ["connection.start", "connection.tune", "connection.open-ok"]);
        let Ok(admitted) = outcome.result else { panic!("not let in") };
        assert_eq!((&*admitted.login.identity.user().name, &*admitted.entry), ("hare", "/"));
        assert_eq!(
            (admitted.tuning.frame_max, admitted.tuning.channel_max, admitted.tuning.heartbeat_s),
            (4096, 2047, 5)
        );
        assert!(admitted.login.capabilities.connection_blocked && !admitted.login.capabilities.basic_nack);
    }
}

#[tokio::test]
async fn what_follows_open_is_left_for_later() {
    let script = Script::header().log_in("form", FieldTable::new()).tune(0).open("/").send(class::CloseOk);
    let outcome = shake(script, usize::MAX).await;
    assert!(outcome.result.is_ok());
    assert!(!outcome.left.is_empty());
}

#[tokio::test]
async fn another_protocol_is_answered_with_the_header() {
    for hello in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"AMQP\x03\x01\x00\x00", b"\x16\x03\x01\x02\x00\x01\x00\x01"] {
        let outcome = shake(Script(BytesMut::from(hello)), usize::MAX).await;
        assert_eq!(outcome.received, PROTOCOL_HEADER);
        assert!(matches!(outcome.result, Err(Rejection { ending: Ending::NotAmqp(_), close: Close::Now })));
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_only_to_who_understands() {
    let told = shake(Script::header().log_in("wrong", can_be_told()), usize::MAX).await;
    let text = "close 403 ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the \
                broker logfile. (0, 0)";
    assert_eq!(told.methods(), ["connection.start", text]);
    assert!(!told.is_silent());
    let silent = shake(Script::header().log_in("wrong", FieldTable::new()), usize::MAX).await;
    assert_eq!(silent.methods(), ["connection.start"]);
    assert!(silent.is_silent());
}

#[tokio::test]
async fn limits_out_of_range_are_refused() {
    let outcome = shake(Script::header().log_in("form", FieldTable::new()).tune(100), usize::MAX).await;
    let text =
        "close 530 NOT_ALLOWED - negotiated frame_max = 100 is lower than the minimum allowed value (4096) (10, 31)";
    assert_eq!(outcome.methods().last().unwrap(), text);
}

#[tokio::test]
async fn an_unknown_vhost_is_refused() {
    let outcome = shake(Script::header().log_in("form", FieldTable::new()).tune(0).open("nowhere"), usize::MAX).await;
    assert_eq!(outcome.methods().last().unwrap(), "close 530 NOT_ALLOWED - vhost nowhere not found (10, 40)");
}

#[tokio::test]
async fn steps_cannot_be_left_out() {
    let outcome = shake(Script::header().open("/"), usize::MAX).await;
    assert_eq!(outcome.methods(), ["connection.start"]);
    assert!(outcome.is_silent());
    let outcome = shake(Script::header().log_in("form", FieldTable::new()).open("/"), usize::MAX).await;
    let text = "close 504 CHANNEL_ERROR - unexpected method in connection state tuning (10, 40)";
    assert_eq!(outcome.methods().last().unwrap(), text);
}

#[tokio::test]
async fn garbage_after_the_header_is_dropped_without_a_word() {
    let mut script = Script::header();
    script.0.extend_from_slice(&[42; 64]);
    let outcome = shake(script, usize::MAX).await;
    assert_eq!(outcome.methods(), ["connection.start"]);
    assert!(outcome.is_silent());
}

#[tokio::test]
async fn a_client_may_close_during_the_handshake() {
    let close = class::Close { reply_code: 200, reply_text: "", class_id: 0, method_id: 0 };
    let outcome = shake(Script::header().log_in("form", FieldTable::new()).send(close), usize::MAX).await;
    assert_eq!(outcome.methods().last().unwrap(), "connection.close-ok");
    assert!(matches!(outcome.result, Err(Rejection { ending: Ending::ByClient, .. })));
}

#[tokio::test]
async fn a_socket_that_ends_is_noticed() {
    let registration = registration();
    let (client, server) = duplex(1024);
    drop(client);
    let mut transport = Transport::new(server, INITIAL_FRAME_MAX);
    let result = shake_hands(&mut transport, &registration, &OneUser, OFFER, "hares").await;
    assert!(matches!(result, Err(Rejection { ending: Ending::NoData, .. })));
}
