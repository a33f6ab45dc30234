//! Vhosts and users as operators make, describe and delete them; what becomes of connections then.

use lapin::options::{QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use leveret_tests::{Broker, Client, connect, reply, table, with_broker};
use serde_json::{Value, json};

fn listing(broker: &Broker, arguments: &[&str]) -> Vec<Value> {
    serde_json::from_str(&broker.ctl(&[arguments, &["--format", "json"]].concat())).unwrap()
}

/// Makes the vhost, where anna may do everything.
fn add_shop(broker: &Broker) {
    broker.ctl(&["add_vhost", "shop"]);
    allow(broker, "anna");
}

/// Adds a user, if it is not there, who may do everything in the shop.
fn allow(broker: &Broker, user: &str) {
    let added = broker.ctl_output(&["add_user", user, "secret"]);
    assert!(added.status.success() || added.status.code() == Some(65), "{added:?}");
    broker.ctl(&["set_permissions", "-p", "shop", user, ".*", ".*", ".*"]);
}

#[tokio::test]
async fn a_deleted_vhost_takes_its_connections_and_queues_with_it() {
    with_broker(async |mut broker| {
        if !broker.is_ours() {
            return;
        }
        add_shop(&broker);
        let uri = broker.uri_for("anna:secret", "shop");
        let client = Client::connect(&uri).await;
        let idle = Client::connect(&uri).await;
        let elsewhere = broker.client().await;
        let queue = client.queue([]).await;
        client.publish_numbers(&queue, 0..10).await;
        let (_channel, _consumer) = client.consume(&queue, 5).await;
        let (ends, idle_ends) = (client.closed_by_broker(), idle.closed_by_broker());
        broker.ctl(&["delete_vhost", "shop"]);
        let told = (320, "CONNECTION_FORCED - vhost 'shop' is deleted".to_owned());
        assert_eq!((ends.await, idle_ends.await), (told.clone(), told));
        let refused = reply(&connect(&uri).await.unwrap_err());
        assert_eq!(refused, (530, "NOT_ALLOWED - vhost shop not found".to_owned()));
        assert!(elsewhere.has_queue(&elsewhere.queue([]).await).await, "others go on");

        add_shop(&broker);
        assert!(!Client::connect(&uri).await.has_queue(&queue).await);
        broker.restart().await;
        let uri = broker.uri_for("anna:secret", "shop");
        assert!(!Client::connect(&uri).await.has_queue(&queue).await, "also on disk");
    })
    .await;
}

#[tokio::test]
async fn a_deleted_user_takes_its_connections_with_it() {
    with_broker(async |broker| {
        if !broker.is_ours() {
            return;
        }
        add_shop(&broker);
        allow(&broker, "ben");
        let anna = Client::connect(&broker.uri_for("anna:secret", "shop")).await;
        let ben = Client::connect(&broker.uri_for("ben:secret", "shop")).await;
        let queue = anna.queue([]).await;
        let ends = anna.closed_by_broker();
        broker.ctl(&["delete_user", "anna"]);
        assert_eq!(ends.await, (320, "CONNECTION_FORCED - user 'anna' is deleted".to_owned()));
        assert!(ben.has_queue(&queue).await, "what she has made stays, and others go on");
    })
    .await;
}

#[tokio::test]
async fn what_is_said_of_a_vhost_is_listed() {
    with_broker(async |mut broker| {
        if !broker.is_ours() {
            return;
        }
        let said = ["--description", "of the shop", "--tags", "a,b", "--default-queue-type", "quorum"];
        broker.ctl(&[&["add_vhost", "shop"][..], &said].concat());
        broker.restart().await;
        let columns = ["list_vhosts", "name", "description", "tags", "default_queue_type"];
        let shop = |broker: &Broker| {
            let rows = listing(broker, &columns);
            rows.into_iter().find(|row| row["name"] == "shop").unwrap()
        };
        let expected = json!({
            "name": "shop", "description": "of the shop", "tags": ["a", "b"], "default_queue_type": "quorum",
        });
        assert_eq!(shop(&broker), expected);
        let said = broker.ctl(&["update_vhost_metadata", "shop", "--description", "new", "--tags", ""]);
        assert_eq!(said, "Updating metadata of vhost \"shop\" ...\n");
        let expected = json!({ "name": "shop", "description": "new", "tags": [], "default_queue_type": "quorum" });
        assert_eq!(shop(&broker), expected);
        for (arguments, code, reason) in [
            (&["update_vhost_metadata", "shop"][..], 64, "give --description"),
            (&["update_vhost_metadata", "nowhere", "--tags", "a"], 67, "there is no vhost 'nowhere'"),
            (&["add_vhost", "new", "--default-queue-type", "stream"], 65, "queue type stream is not available"),
            (&["add_vhost", "new", "--default-queue-type", "fast"], 65, "fast is not a valid queue type"),
            (&["add_vhost", "shop"], 65, "Virtual host 'shop' already exists"),
        ] {
            let output = broker.ctl_output(arguments);
            let errors = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
            assert!(errors.contains(reason), "{arguments:?}: {errors}");
        }
    })
    .await;
}

#[tokio::test]
async fn queues_declared_without_a_type_get_the_vhosts() {
    with_broker(async |mut broker| {
        if !broker.is_ours() {
            return;
        }
        add_shop(&broker);
        broker.ctl(&["update_vhost_metadata", "shop", "--default-queue-type", "quorum"]);
        let client = Client::connect(&broker.uri_for("anna:secret", "shop")).await;
        let durable = QueueDeclareOptions::durable();
        let declare = async |client: &Client, name: &str, options| client.declare(name, options, FieldTable::default()).await;
        declare(&client, "durable", durable).await.unwrap();
        declare(&client, "transient", QueueDeclareOptions::default()).await.unwrap();
        declare(&client, "auto", durable.auto_delete()).await.unwrap();
        let exclusive = QueueDeclareOptions { exclusive: true, ..durable };
        client.channel.queue_declare("exclusive".into(), exclusive, FieldTable::default()).await.unwrap();
        let types = || {
            let rows = listing(&broker, &["list_queues", "-p", "shop", "name", "type"]);
            rows.iter().map(|row| format!("{} {}", row["name"], row["type"]).replace('"', "")).collect::<Vec<_>>()
        };
        assert_eq!(types(), ["auto classic", "durable quorum", "exclusive classic", "transient classic"]);
        // The queue is a quorum queue in all it does: it takes no priorities, and dead-letters after too many attempts.
        let ranked = table([("x-max-priority", AMQPValue::LongInt(5))]);
        let refused = reply(&client.declare("ranked", durable, ranked).await.unwrap_err());
        let text = "PRECONDITION_FAILED - invalid arg 'x-max-priority' for queue 'ranked' in vhost 'shop' of queue type \
                    rabbit_quorum_queue";
        assert_eq!(refused, (406, text.to_owned()));
        for arguments in [FieldTable::default(), table([("x-queue-type", AMQPValue::LongString("quorum".into()))])] {
            client.declare("durable", durable, arguments).await.unwrap();
        }
        let bound = client.channel.queue_bind(
            "durable".into(),
            "amq.fanout".into(),
            "".into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        bound.await.unwrap();
        client.publish("amq.fanout", "", Client::persistent(), &[b"0"]).await;
        broker.restart().await;
        let client = Client::connect(&broker.uri_for("anna:secret", "shop")).await;
        declare(&client, "durable", durable).await.unwrap();
        assert_eq!(client.ready("durable").await, 1);
    })
    .await;
}

#[tokio::test]
async fn any_new_secret_is_taken_from_who_still_may_be_there() {
    with_broker(async |broker| {
        if !broker.is_ours() {
            return;
        }
        add_shop(&broker);
        let client = Client::connect(&broker.uri_for("anna:secret", "shop")).await;
        client.connection.update_secret("another".into(), "rotation".into()).await.unwrap();
        client.queue([]).await;
        broker.ctl(&["clear_permissions", "-p", "shop", "anna"]);
        let ends = client.closed_by_broker();
        let updated = client.connection.update_secret("third".into(), "rotation".into()).await;
        assert!(updated.is_err());
        let text = "NOT_ALLOWED - access to vhost 'shop' refused for user 'anna'";
        assert_eq!(ends.await, (530, text.to_owned()));
    })
    .await;
}
