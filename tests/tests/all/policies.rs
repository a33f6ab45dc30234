//! What operators do with `leveret ctl`: policies, users, vhosts, listings.

use lapin::types::AMQPValue;
use leveret_tests::{Broker, Client, connect, eventually, numbers, with_broker};
use serde_json::{Value, json};

fn listing(broker: &Broker, arguments: &[&str]) -> Vec<Value> {
    let mut all = arguments.to_vec();
    all.extend(["--format", "json"]);
    serde_json::from_str(&broker.ctl(&all)).unwrap()
}

fn row<'a>(rows: &'a [Value], name: &str) -> &'a Value {
    rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("{name} is not listed in {rows:?}"))
}

#[tokio::test]
async fn a_policy_is_applied_to_what_exists_and_taken_off_again() {
    with_broker(async |broker| {
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        let queue = client.queue([]).await;
        client.publish_numbers(&queue, 0..5).await;
        let pattern = format!("^{queue}$");
        broker.ctl(&["set_policy", "short", &pattern, r#"{"max-length": 2}"#, "--apply-to", "queues"]);
        client.settles_at(&queue, 2).await;
        assert_eq!(numbers(&client.drain(&queue).await), [3, 4]);
        broker.ctl(&["clear_policy", "short"]);
        client.publish_numbers(&queue, 0..5).await;
        assert_eq!(client.ready(&queue).await, 5);
    })
    .await;
}

#[tokio::test]
async fn the_stricter_of_argument_and_policy_counts() {
    with_broker(async |broker| {
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        let queue = client.queue([("x-max-length", AMQPValue::LongInt(3))]).await;
        broker.ctl(&["set_policy", "long", ".*", r#"{"max-length": 10}"#]);
        client.publish_numbers(&queue, 0..5).await;
        client.settles_at(&queue, 3).await;
        broker.ctl(&["set_operator_policy", "strict", ".*", r#"{"max-length": 1}"#]);
        client.settles_at(&queue, 1).await;
    })
    .await;
}

#[tokio::test]
async fn a_policy_with_a_wrong_key_is_refused() {
    with_broker(async |broker| {
        if !broker.is_ours() {
            return;
        }
        let output = broker.ctl_output(&["set_policy", "wrong", ".*", r#"{"no-such-key": 1}"#]);
        assert!(!output.status.success());
        assert!(String::from_utf8_lossy(&output.stderr).contains("no-such-key"));
    })
    .await;
}

#[tokio::test]
async fn policies_outlive_a_restart() {
    with_broker(async |mut broker| {
        if !broker.is_ours() {
            return;
        }
        let queue = broker.client().await.queue([]).await;
        broker.ctl(&["set_policy", "short", ".*", r#"{"max-length": 1}"#]);
        broker.restart().await;
        let client = broker.client().await;
        client.publish_numbers(&queue, 0..3).await;
        client.settles_at(&queue, 1).await;
    })
    .await;
}

#[tokio::test]
async fn queues_are_listed_with_their_counts() {
    with_broker(async |broker| {
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        let queue = client.queue([("x-max-priority", AMQPValue::LongInt(3))]).await;
        client.publish_numbers(&queue, 0..5).await;
        let (_channel, mut consumer) = client.consume(&queue, 2).await;
        Client::take(&mut consumer, 2).await;
        let columns = ["list_queues", "name", "messages_ready", "messages_unacknowledged", "messages", "consumers"];
        eventually("the counts", async || {
            let rows = listing(&broker, &columns);
            let row = row(&rows, &queue);
            *row
                == json!({"name": queue, "messages_ready": 3, "messages_unacknowledged": 2, "messages": 5, "consumers": 1})
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_user_needs_permissions() {
    with_broker(async |broker| {
        if !broker.is_ours() {
            return;
        }
        broker.ctl(&["add_vhost", "shop"]);
        broker.ctl(&["add_user", "anna", "secret"]);
        let uri = broker.uri_for("anna:secret", "shop");
        assert!(connect(&uri).await.is_err(), "a user without permissions gets into a vhost");
        broker.ctl(&["set_permissions", "--vhost", "shop", "anna", "^mine", "^mine", "^mine"]);
        let client = Client::connect(&uri).await;
        let durable = lapin::options::QueueDeclareOptions::durable();
        client.declare("mine", durable, Default::default()).await.unwrap();
        let refused = client.declare("yours", durable, Default::default()).await.unwrap_err();
        let expected = "ACCESS_REFUSED - configure access to queue 'yours' in vhost 'shop' refused for user 'anna'";
        assert_eq!(leveret_tests::reply(&refused), (403, expected.to_owned()));
    })
    .await;
}
