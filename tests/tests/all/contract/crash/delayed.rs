//! Signal 9 while delayed messages fall due: each is held or in its queue, once.

use std::time::{SystemTime, UNIX_EPOCH};

use lapin::ExchangeKind;
use lapin::types::AMQPValue;
use leveret_tests::{Client, eventually, numbers, table, with_broker};
use rand::RngExt;

use super::messages::plan;

/// Over this time they fall due.
const BURST_MS: i64 = 400;

/// A delayed message is in exactly one place.
pub(super) async fn delayed_messages() {
    with_broker(async |mut broker| {
        if !broker.is_ours() {
            return;
        }
        const COUNT: u32 = 2000;
        let (rounds, mut random) = plan();
        for _ in 0..rounds {
            let client = broker.client().await;
            let kind = ExchangeKind::Custom("x-delayed-message".to_owned());
            let routes = AMQPValue::LongString("fanout".into());
            let exchange = client.exchange(kind, [("x-delayed-type", routes)]).await;
            let queue = client.queue([]).await;
            client.bind(&queue, &exchange, "", []).await;
            let from_ms = now_ms() + BURST_MS;
            let bodies: Vec<String> = (0..COUNT).map(|number| number.to_string()).collect();
            for bodies in bodies.chunks(100) {
                let at_ms = AMQPValue::LongLongInt(from_ms + random.random_range(0..BURST_MS));
                let properties = Client::persistent().with_headers(table([("x-deliver-at", at_ms)]));
                let bodies: Vec<&[u8]> = bodies.iter().map(String::as_bytes).collect();
                client.publish(&exchange, "", properties, &bodies).await;
            }
            let moved = random.random_range(1..COUNT);
            eventually("messages that are due", async || client.ready(&queue).await >= moved).await;
            broker.kill();
            broker.start_again().await;
            let client = broker.client().await;
            client.settles_at(&queue, COUNT).await;
            let mut there = numbers(&client.drain(&queue).await);
            there.sort_unstable();
            assert_eq!(there, (0..COUNT).collect::<Vec<_>>());
        }
    })
    .await;
}

fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}
