//! Limits that administrators set, also where many clients come at once.

use futures_util::future::join_all;
use lapin::Connection;
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use leveret_tests::{Broker, Client, connect, eventually, reply, with_broker};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

fn refusal<T>(result: lapin::Result<T>) -> (u16, String) {
    match result {
        Ok(_) => panic!("the broker accepts what it must refuse"),
        Err(error) => reply(&error),
    }
}

/// What several get that all come at once, and what the others are told.
async fn rush<T>(count: usize, come: impl AsyncFn() -> lapin::Result<T>) -> (Vec<T>, Vec<(u16, String)>) {
    let (mut got, mut refused) = (Vec::new(), Vec::new());
    for result in join_all((0..count).map(|_| come())).await {
        match result {
            Ok(item) => got.push(item),
            Err(error) => refused.push(reply(&error)),
        }
    }
    (got, refused)
}

/// Adds anna, who may do everything in these vhosts, which are made.
fn add_anna(broker: &Broker, vhosts: &[&str]) {
    broker.ctl(&["add_user", "anna", "secret"]);
    for vhost in vhosts {
        broker.ctl(&["add_vhost", vhost]);
        broker.ctl(&["set_permissions", "-p", vhost, "anna", ".*", ".*", ".*"]);
    }
}

async fn close(connection: &Connection) {
    connection.close(200, "done".into()).await.unwrap();
}

#[tokio::test]
async fn a_vhost_has_no_more_queues_than_it_may() {
    with_broker(async |broker| {
        if !broker.is_ours() {
            return;
        }
        broker.ctl(&["set_vhost_limits", r#"{"max-queues": 10}"#]);
        let clients = join_all((0..8).map(|_| broker.client())).await;
        let declare = async |client: &Client, name: &str| {
            client.declare(name, QueueDeclareOptions::durable(), FieldTable::default()).await
        };
        let rushes = clients.iter().map(|client| rush(4, async || declare(client, &Client::name("queue")).await));
        let (mut declared, mut refused) = (Vec::new(), Vec::new());
        for (got, told) in join_all(rushes).await {
            declared.extend(got);
            refused.extend(told);
        }
        assert_eq!((declared.len(), refused.len()), (10, 22));
        for (code, text) in refused {
            assert_eq!(code, 406);
            assert!(text.starts_with("PRECONDITION_FAILED - cannot declare queue 'queue."), "{text}");
            assert!(text.ends_with("': queue limit in vhost '/' (10) is reached"), "{text}");
        }
        let (client, present) = (&clients[0], declared[0].name().as_str());
        declare(client, present).await.unwrap();
        client.channel.queue_delete(present.into(), QueueDeleteOptions::default()).await.unwrap();
        declare(client, "another").await.unwrap();
        assert_eq!(refusal(declare(client, "one more").await).0, 406);
        broker.ctl(&["clear_vhost_limits"]);
        declare(client, "one more").await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_vhost_has_no_more_connections_than_it_may() {
    with_broker(async |broker| {
        if !broker.is_ours() {
            return;
        }
        broker.ctl(&["set_vhost_limits", r#"{"max-connections": 5}"#]);
        let (mut connections, refused) = rush(16, async || connect(broker.uri()).await).await;
        assert_eq!((connections.len(), refused.len()), (5, 11));
        let text = "NOT_ALLOWED - access to vhost '/' refused for user 'guest': connection limit (5) is reached";
        for told in refused {
            assert_eq!(told, (530, text.to_owned()));
        }
        // Whoever has seen close-ok finds the place free, at once and each time.
        for _ in 0..20 {
            close(&connections.pop().unwrap()).await;
            connections.push(connect(broker.uri()).await.unwrap());
        }
        assert_eq!(refusal(connect(broker.uri()).await).0, 530);
    })
    .await;
}

#[tokio::test]
async fn a_user_has_no_more_connections_than_it_may_over_all_vhosts() {
    with_broker(async |broker| {
        if !broker.is_ours() {
            return;
        }
        add_anna(&broker, &["one", "other"]);
        broker.ctl(&["set_user_limits", "anna", r#"{"max-connections": 2}"#]);
        // Who is refused after the limits were looked at does not count.
        for (vhost, text) in [
            ("/", "NOT_ALLOWED - access to vhost '/' refused for user 'anna'"),
            ("nowhere", "NOT_ALLOWED - vhost nowhere not found"),
        ] {
            for _ in 0..3 {
                let told = refusal(connect(&broker.uri_for("anna:secret", vhost)).await);
                assert_eq!(told, (530, text.to_owned()));
            }
        }
        let one = connect(&broker.uri_for("anna:secret", "one")).await.unwrap();
        let other = connect(&broker.uri_for("anna:secret", "other")).await.unwrap();
        let told = refusal(connect(&broker.uri_for("anna:secret", "one")).await);
        let text = "NOT_ALLOWED - connection refused for user 'anna': user connection limit (2) is reached";
        assert_eq!(told, (530, text.to_owned()));
        broker.ctl(&["set_vhost_limits", "-p", "one", r#"{"max-connections": 0}"#]);
        let told = refusal(connect(&broker.uri_for("anna:secret", "one")).await);
        let text = "NOT_ALLOWED - access to vhost 'one' refused for user 'anna': connection limit (0) is reached";
        assert_eq!(told, (530, text.to_owned()), "the vhost is asked first");
        close(&one).await;
        let again = connect(&broker.uri_for("anna:secret", "other")).await.unwrap();
        assert!(again.status().connected() && other.status().connected());
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_is_cut_gives_its_place_back() {
    with_broker(async |broker| {
        if !broker.is_ours() {
            return;
        }
        broker.ctl(&["set_vhost_limits", r#"{"max-connections": 1}"#]);
        broker.ctl(&["set_user_limits", "guest", r#"{"max-channels": 1}"#]);
        let address = broker.uri().rsplit('@').next().unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("amqp://guest:guest@{}", listener.local_addr().unwrap());
        let between = tokio::spawn(async move {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut server = TcpStream::connect(address).await.unwrap();
            tokio::io::copy_bidirectional(&mut client, &mut server).await
        });
        let client = Client::connect(&uri).await;
        assert_eq!(refusal(connect(broker.uri()).await).0, 530);
        between.abort();
        eventually("the place", async || match connect(broker.uri()).await {
            Ok(connection) => connection.create_channel().await.is_ok(),
            Err(_) => false,
        })
        .await;
        drop(client);
    })
    .await;
}

#[tokio::test]
async fn a_user_has_no_more_channels_than_it_may_over_all_connections() {
    with_broker(async |broker| {
        if !broker.is_ours() {
            return;
        }
        add_anna(&broker, &["shop"]);
        broker.ctl(&["set_user_limits", "anna", r#"{"max-channels": 3}"#]);
        let uri = broker.uri_for("anna:secret", "shop");
        let (one, other) = (Client::connect(&uri).await, Client::connect(&uri).await);
        let mut last = one.another_channel().await;
        let end = other.closed_by_broker();
        assert!(other.connection.create_channel().await.is_err());
        let text = "NOT_ALLOWED - number of channels opened for user 'anna' has reached the maximum allowed user \
                    limit of (3)";
        assert_eq!(end.await, (530, text.to_owned()));
        // The one of the connection that is no more is free, and so is each that is closed, whoever closes it.
        let third = one.another_channel().await;
        for _ in 0..20 {
            last.close(200, "done".into()).await.unwrap();
            last = one.another_channel().await;
            let passive = QueueDeclareOptions::default().passive();
            let missing = last.queue_declare("missing".into(), passive, FieldTable::default()).await;
            assert_eq!(refusal(missing).0, 404);
            last = one.another_channel().await;
        }
        close(&one.connection).await;
        drop(third);
        let again = Client::connect(&uri).await;
        let _all = (again.another_channel().await, again.another_channel().await);
        assert!(again.connection.create_channel().await.is_err());
        assert!(broker.client().await.connection.status().connected(), "another user has limits of its own");
    })
    .await;
}

#[tokio::test]
async fn limits_are_listed_as_rabbitmqctl_does_it() {
    with_broker(async |mut broker| {
        if !broker.is_ours() {
            return;
        }
        broker.ctl(&["add_vhost", "shop"]);
        assert_eq!(broker.ctl(&["list_vhost_limits", "-q"]), "{}\n");
        let definition = r#"{"max-connections": 64, "max-queues": 256}"#;
        let said = broker.ctl(&["set_vhost_limits", "-p", "shop", definition]);
        assert_eq!(said, format!("Setting vhost limits to \"{definition}\" for vhost \"shop\" ...\n"));
        broker.ctl(&["set_user_limits", "guest", r#"{"max-connections": 8}"#]);
        broker.ctl(&["set_user_limits", "guest", r#"{"max-channels": 9}"#]);
        broker.restart().await;
        let listed = broker.ctl(&["list_vhost_limits", "-p", "shop"]);
        let compact = r#"{"max-connections":64,"max-queues":256}"#;
        assert_eq!(listed, format!("Listing limits for vhost \"shop\" ...\n{compact}\n"));
        let listed = broker.ctl(&["list_vhost_limits", "--global"]);
        assert_eq!(listed, format!("Listing limits for all vhosts ...\nvhost\tlimits\nshop\t{compact}\n"));
        assert_eq!(
            as_json(&broker, &["list_vhost_limits", "--global"]),
            json!([{ "vhost": "shop", "limits": { "max-connections": 64, "max-queues": 256 } }])
        );
        assert_eq!(as_json(&broker, &["list_vhost_limits"]), json!({}));
        let of_guest = json!({ "max-connections": 8, "max-channels": 9 });
        assert_eq!(as_json(&broker, &["list_user_limits"]), of_guest);
        assert_eq!(as_json(&broker, &["list_user_limits", "--user", "guest"]), of_guest);
        assert_eq!(
            as_json(&broker, &["list_user_limits", "--global"]),
            json!([{ "user": "guest", "limits": of_guest }])
        );
        broker.ctl(&["clear_user_limits", "guest", "max-channels"]);
        assert_eq!(as_json(&broker, &["list_user_limits"]), json!({ "max-connections": 8 }));
        broker.ctl(&["clear_user_limits", "guest", "all"]);
        assert_eq!(as_json(&broker, &["list_user_limits", "--global"]), json!([]));
        broker.ctl(&["clear_vhost_limits", "-p", "shop"]);
        assert_eq!(as_json(&broker, &["list_vhost_limits", "--global"]), json!([]));
    })
    .await;
}

fn as_json(broker: &Broker, arguments: &[&str]) -> Value {
    serde_json::from_str(&broker.ctl(&[arguments, &["--format", "json"]].concat())).unwrap()
}

#[tokio::test]
async fn commands_about_limits_fail_with_a_reason() {
    with_broker(async |broker| {
        if !broker.is_ours() {
            return;
        }
        for (arguments, code, reason) in [
            (
                &["set_vhost_limits", r#"{"max-things": 1}"#][..],
                65,
                "Unrecognised terms [{<<\"max-things\">>,1}] in limits",
            ),
            (&["set_vhost_limits", "{"], 64, "Could not parse JSON document"),
            (&["set_vhost_limits", "-p", "nowhere", r#"{"max-queues": 1}"#], 67, "there is no vhost 'nowhere'"),
            (&["set_user_limits", "guest", r#"{"max-channels": "a"}"#], 65, "max-channels should be a number"),
            (&["set_user_limits", "nobody", "{}"], 67, "User \"nobody\" does not exist"),
            (
                &["clear_user_limits", "guest", "max-things"],
                65,
                "Unrecognised terms [<<\"max-things\">>] in user-limits",
            ),
            (&["list_user_limits", "--user", "nobody"], 67, "User \"nobody\" does not exist"),
        ] {
            let output = broker.ctl_output(arguments);
            let errors = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
            assert!(errors.contains(reason), "{arguments:?}: {errors}");
        }
    })
    .await;
}
