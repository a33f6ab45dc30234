//! Logins and permissions that a web service decides on.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lapin::options::{BasicConsumeOptions, BasicPublishOptions, ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, ExchangeKind};
use leveret_tests::{AuthQuestion, AuthService, Broker, Client, binary, connect, eventually, reply, table, within};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Anna's and otto's. It must show in no log.
const PASSWORD: &str = "s3cret-of-anna";

/// A heartbeat frame.
const HEARTBEAT: [u8; 8] = [8, 0, 0, 0, 0, 0, 0, 0xce];

/// anna manages, otto has no tags. Nobody may touch what is called private, or enter another vhost than `/`.
fn rules(question: &AuthQuestion) -> String {
    let is_private = |name| question.get(name).starts_with("private");
    let answer = match question.path.as_str() {
        "user" if question.get("password") != PASSWORD && question.parameters.contains_key("password") => "deny wrong",
        "user" if question.get("username") == "anna" => "allow management",
        "user" if question.get("username") == "otto" => "allow",
        "vhost" if question.get("vhost") == "/" => "allow",
        "resource" if !is_private("name") => "allow",
        "topic" if !is_private("routing_key") => "allow",
        _ => "deny",
    };
    answer.to_owned()
}

/// A broker that asks the service for whom it does not know itself.
async fn with_service(test: impl AsyncFnOnce(Broker, AuthService)) {
    with_service_and(&["--set", "auth.backends=internal,http"], test).await;
}

async fn with_service_and(arguments: &[&str], test: impl AsyncFnOnce(Broker, AuthService)) {
    let service = AuthService::start(rules).await;
    let more = service.arguments();
    let arguments: Vec<&str> = arguments.iter().copied().chain(more.iter().map(String::as_str)).collect();
    let broker = Broker::start(&arguments).await;
    if broker.is_ours() {
        test(broker, service).await;
    }
}

fn uri(broker: &Broker, user: &str, vhost: &str) -> String {
    broker.uri_for(&format!("{user}:{PASSWORD}"), vhost)
}

fn refusal<T>(result: lapin::Result<T>) -> (u16, String) {
    match result {
        Ok(_) => panic!("the broker accepts what it must refuse"),
        Err(error) => reply(&error),
    }
}

async fn declare(channel: &Channel, name: &str) -> lapin::Result<lapin::Queue> {
    let declared = channel.queue_declare(name.into(), QueueDeclareOptions::durable(), FieldTable::default());
    within("queue.declare-ok", declared).await
}

async fn publish(channel: &Channel, exchange: &str, key: &str, body: &[u8]) -> lapin::Result<bool> {
    let options = BasicPublishOptions::default();
    let sent = channel.basic_publish(exchange.into(), key.into(), options, body, BasicProperties::default()).await?;
    Ok(within("a confirm", sent).await?.is_ack())
}

fn refused(text: &str, user: &str) -> String {
    format!("ACCESS_REFUSED - {text} in vhost '/' refused for user '{user}'")
}

#[tokio::test]
async fn the_service_lets_in_and_says_what_may_be_done() {
    with_service(async |broker, service| {
        assert!(broker.client().await.connection.status().connected(), "guest is an internal user");
        assert!(service.asked("user").is_empty(), "whom the first backend lets in, no other is asked about");

        let client = Client::connect(&uri(&broker, "anna", "/")).await;
        let login = service.asked("user").pop().unwrap();
        assert_eq!((login.get("username"), login.get("password")), ("anna", PASSWORD));
        let vhost = service.asked("vhost").pop().unwrap();
        assert_eq!((vhost.get("vhost"), vhost.get("ip"), vhost.get("tags")), ("/", "127.0.0.1", "management"));

        let queue = client.queue([]).await;
        client.publish_numbers(&queue, 0..10).await;
        assert_eq!(client.drain(&queue).await.len(), 10);
        let asked = service.asked("resource");
        let resources: Vec<_> =
            asked.iter().map(|one| [one.get("resource"), one.get("name"), one.get("permission")]).collect();
        let expected =
            [["queue", &queue, "configure"], ["exchange", "amq.default", "write"], ["queue", &queue, "read"]];
        assert_eq!(resources, expected);
        assert!(service.asked("topic").is_empty());

        let told = refusal(declare(&client.another_channel().await, "private").await);
        assert_eq!(told, (403, refused("configure access to queue 'private'", "anna")));
        let told = refusal(connect(&uri(&broker, "anna", "private")).await);
        assert_eq!(told, (530, "NOT_ALLOWED - vhost private not found".to_owned()));
        broker.ctl(&["add_vhost", "private"]);
        let told = refusal(connect(&uri(&broker, "anna", "private")).await);
        assert_eq!(told, (530, "NOT_ALLOWED - access to vhost 'private' refused for user 'anna'".to_owned()));
        let told = refusal(connect(&broker.uri_for("anna:wrong", "/")).await);
        assert_eq!(told.0, 403);
        assert!(told.1.ends_with("For details see the broker logfile."), "{told:?}");
        let reason = "user 'anna' - refused by backend http: wrong";
        eventually("the reason in the log", async || broker.said().contains(reason)).await;
        assert!(!broker.said().contains(PASSWORD));
    })
    .await;
}

#[tokio::test]
async fn publishing_asks_once_for_an_exchange_and_once_for_a_key() {
    with_service(async |broker, service| {
        let client = Client::connect(&uri(&broker, "anna", "/")).await;
        let queue = client.queue([]).await;
        client.bind(&queue, "amq.topic", "#", []).await;
        for channel in [client.confirm_channel().await, client.confirm_channel().await] {
            for n in 0..100 {
                assert!(publish(&channel, "amq.topic", ["a", "b"][n % 2], b"x").await.unwrap());
            }
        }
        let is_write = |question: &AuthQuestion| question.get("permission") == "write";
        let of_exchange = |question: &AuthQuestion| question.get("name") == "amq.topic" && is_write(question);
        assert_eq!(service.asked("resource").into_iter().filter(of_exchange).count(), 1, "over both channels");
        let topics: Vec<_> = service.asked("topic").into_iter().filter(is_write).collect();
        assert_eq!(topics.iter().map(|topic| topic.get("routing_key")).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(topics[0].get("variable_map.username"), "anna");
        client.settles_at(&queue, 200).await;

        let channel = client.confirm_channel().await;
        let told = refusal(publish(&channel, "amq.topic", "private.key", b"x").await);
        let text = "write access to topic 'private.key' in exchange 'amq.topic'";
        assert_eq!(told, (403, refused(text, "anna")));
        assert_eq!(client.ready(&queue).await, 200);
    })
    .await;
}

#[tokio::test]
async fn without_a_cache_each_message_is_asked_for() {
    let arguments = ["--set", "auth.backends=internal,http", "--set", "auth.cache_ttl_ms=0"];
    with_service_and(&arguments, async |broker, service| {
        let client = Client::connect(&uri(&broker, "anna", "/")).await;
        let queue = client.queue([]).await;
        client.bind(&queue, "amq.topic", "#", []).await;
        let channel = client.confirm_channel().await;
        for _ in 0..10 {
            assert!(publish(&channel, "amq.topic", "a", b"x").await.unwrap());
        }
        assert_eq!(service.asked("topic").iter().filter(|topic| topic.get("permission") == "write").count(), 10);
        client.settles_at(&queue, 10).await;
    })
    .await;
}

/// What a channel sends while an answer is waited for: all of it happens, in that order, and nobody else waits.
#[tokio::test]
async fn a_channel_does_one_thing_after_the_other_while_answers_are_waited_for() {
    with_service(async |broker, service| {
        let guest = broker.client().await;
        let queue = guest.queue([]).await;
        guest.bind(&queue, "amq.topic", "#", []).await;
        let client = Client::connect(&uri(&broker, "anna", "/")).await;
        let channel = client.confirm_channel().await;
        service.hold("resource");
        let large = vec![b'x'; 500_000];
        let bodies: [&[u8]; 6] = [b"1", &large, b"", &large, b"22", b"333"];
        let mut confirms = Vec::new();
        for (n, body) in bodies.iter().enumerate() {
            let (exchange, key) = if n < 3 { ("", queue.as_str()) } else { ("amq.topic", "key") };
            let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
            let sent = channel.basic_publish(exchange.into(), key.into(), options, body, properties);
            confirms.push(sent.await.unwrap());
        }
        eventually("the question", async || !service.asked("resource").is_empty()).await;
        guest.publish("", &queue, BasicProperties::default(), &[b"4444"]).await;
        assert_eq!(service.asked("resource").len(), 1, "one question at a time");
        service.release();
        for confirm in confirms {
            assert!(within("a confirm", confirm).await.unwrap().is_ack());
        }
        let lengths: Vec<_> = guest.drain(&queue).await.iter().map(|message| message.text().len()).collect();
        assert_eq!(lengths, [4, 1, 500_000, 0, 500_000, 2, 3]);
        assert_eq!((service.asked("resource").len(), service.asked("topic").len()), (2, 1));
    })
    .await;
}

#[tokio::test]
async fn a_queue_that_the_server_names_keeps_its_name_while_answers_are_waited_for() {
    with_service(async |broker, service| {
        let client = Client::connect(&uri(&broker, "anna", "/")).await;
        let arguments = table([("x-dead-letter-exchange", AMQPValue::LongString("amq.fanout".into()))]);
        let declared = client.channel.queue_declare("".into(), QueueDeclareOptions::exclusive(), arguments);
        let queue = within("queue.declare-ok", declared).await.unwrap();
        let name = queue.name().as_str();
        let asked = service.asked("resource");
        let resources: Vec<_> = asked.iter().map(|one| (one.get("name"), one.get("permission"))).collect();
        assert_eq!(resources, [(name, "configure"), (name, "read"), ("amq.fanout", "write")]);
    })
    .await;
}

/// A relay to the broker that counts the heartbeats that come from there.
async fn relay(broker: &Broker) -> (String, Arc<AtomicUsize>) {
    let address = broker.uri().rsplit('@').next().unwrap().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = listener.local_addr().unwrap().to_string();
    let heartbeats = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&heartbeats);
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await?;
        let mut server = TcpStream::connect(address).await?;
        let (mut from_client, mut to_client) = client.split();
        let (mut from_server, mut to_server) = server.split();
        let back = async {
            let mut piece = vec![0; 65_536];
            loop {
                let length = from_server.read(&mut piece).await?;
                if length == 0 {
                    return std::io::Result::Ok(());
                }
                let heartbeats = piece[..length].windows(HEARTBEAT.len()).filter(|window| *window == HEARTBEAT);
                counted.fetch_add(heartbeats.count(), Ordering::SeqCst);
                to_client.write_all(&piece[..length]).await?;
            }
        };
        tokio::try_join!(back, tokio::io::copy(&mut from_client, &mut to_server)).map(|_| ())
    });
    (here, heartbeats)
}

#[tokio::test]
async fn heartbeats_go_on_while_an_answer_is_waited_for() {
    let patient = ["--set", "auth.backends=internal,http", "--set", "auth_http.request_timeout_ms=25000"];
    with_service_and(&patient, async |broker, service| {
        let (address, heartbeats) = relay(&broker).await;
        let client = Client::connect(&format!("amqp://anna:{PASSWORD}@{address}/%2f?heartbeat=1")).await;
        service.hold("resource");
        let declared = tokio::spawn(async move { declare(&client.channel, "q").await.map(|queue| (client, queue)) });
        eventually("the question", async || service.asked("resource").len() == 1).await;
        let before = heartbeats.load(Ordering::SeqCst);
        // Longer than either side would wait for the other.
        eventually("heartbeats", async || heartbeats.load(Ordering::SeqCst) >= before + 6).await;
        service.release();
        let (client, queue) = declared.await.unwrap().unwrap();
        assert_eq!(queue.name().as_str(), "q");
        assert!(client.connection.status().connected());
    })
    .await;
}

#[tokio::test]
async fn a_service_that_is_down_refuses_everything_and_the_log_says_why() {
    with_service(async |broker, service| {
        let client = Client::connect(&uri(&broker, "anna", "/")).await;
        let queue = client.queue([]).await;
        let channel = client.confirm_channel().await;
        assert!(publish(&channel, "", &queue, b"x").await.unwrap());
        service.stop().await;
        assert!(publish(&channel, "", &queue, b"x").await.unwrap(), "what was allowed holds for its time");
        let text = refused("write access to exchange 'amq.fanout'", "anna");
        let told = refusal(publish(&channel, "amq.fanout", "", b"x").await);
        assert_eq!(told, (403, format!("{text}, backend http returned an error")));
        assert_eq!(refusal(connect(&uri(&broker, "anna", "/")).await).0, 403);
        assert!(broker.client().await.connection.status().connected(), "internal users come in");
        let said = broker.said();
        assert!(said.contains("an authorization backend has failed"), "{said}");
        assert!(said.contains("an authentication backend has failed"), "{said}");
        assert!(said.contains("/user: client error (Connect)"), "{said}");
        assert!(!said.contains(PASSWORD), "{said}");
    })
    .await;
}

#[tokio::test]
async fn a_service_that_does_not_answer_refuses_in_time() {
    let hasty = ["--set", "auth.backends=internal,http", "--set", "auth_http.request_timeout_ms=50"];
    with_service_and(&hasty, async |broker, service| {
        let client = Client::connect(&uri(&broker, "anna", "/")).await;
        service.hold("resource");
        service.hold("user");
        let text = refused("configure access to queue 'q'", "anna");
        let told = refusal(declare(&client.channel, "q").await);
        assert_eq!(told, (403, format!("{text}, backend http returned an error")));
        assert_eq!(refusal(connect(&uri(&broker, "anna", "/")).await).0, 403);
        let said = broker.said();
        assert!(said.contains("/resource: no answer within 50 ms"), "{said}");
        assert!(said.contains("/user: no answer within 50 ms"), "{said}");
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_waits_for_an_answer_can_be_closed() {
    with_service(async |broker, service| {
        let client = Client::connect(&uri(&broker, "anna", "/")).await;
        let (closed, other) = (client.closed_by_broker(), broker.client().await);
        service.hold("resource");
        let channel = client.channel.clone();
        let declared = tokio::spawn(async move { declare(&channel, "q").await.is_ok() });
        eventually("the question", async || service.asked("resource").len() == 1).await;
        broker.ctl(&["close_all_connections", "-p", "/", "enough"]);
        assert_eq!(closed.await.0, 320);
        assert!(!declared.await.unwrap());
        service.release();
        drop(other);
        let other = broker.client().await;
        assert!(!other.has_queue("q").await, "what waited is not done");
    })
    .await;
}

#[tokio::test]
async fn permissions_are_looked_at_anew_with_a_new_secret() {
    with_service(async |broker, service| {
        let client = Client::connect(&uri(&broker, "anna", "/")).await;
        let before = service.asked("vhost").len();
        let updated = client.connection.update_secret("another".into(), "it is time".into());
        within("connection.update-secret-ok", updated).await.unwrap();
        assert_eq!(service.asked("vhost").len(), before + 1, "whatever is remembered");
        assert!(client.has_queue(&client.queue([]).await).await, "the connection goes on");
    })
    .await;
}

#[tokio::test]
async fn the_service_may_check_passwords_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("leveret.toml");
    std::fs::write(&file, "[auth]\nbackends = [\"internal\", { authn = \"http\", authz = \"internal\" }]\n").unwrap();
    with_service_and(&["--config", file.to_str().unwrap()], async |broker, service| {
        broker.ctl(&["add_user", "anna", "another-password"]);
        broker.ctl(&["set_permissions", "anna", "^mine$", ".*", ".*"]);
        let client = Client::connect(&uri(&broker, "anna", "/")).await;
        declare(&client.channel, "mine").await.unwrap();
        let told = refusal(declare(&client.another_channel().await, "other").await);
        assert_eq!(told, (403, refused("configure access to queue 'other'", "anna")));
        assert!(service.asked("resource").is_empty() && service.asked("vhost").is_empty());
        assert_eq!(
            refusal(connect(&uri(&broker, "otto", "/")).await).0,
            403,
            "the internal backend must know the user"
        );
        let closed = client.closed_by_broker();
        broker.ctl(&["delete_user", "anna"]);
        assert_eq!(closed.await, (320, "CONNECTION_FORCED - user 'anna' is deleted".to_owned()));
    })
    .await;
}

/// Asks the management API; status and answer.
async fn api(broker: &Broker, login: &str, method: &str, path: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(broker.http()).await.unwrap();
    let request = format!(
        "{method} /api/{path} HTTP/1.1\r\nHost: leveret\r\nAuthorization: Basic {}\r\nConnection: close\r\n\
         Content-Length: 0\r\n\r\n",
        base64(login.as_bytes())
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

fn base64(octets: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |three: &[u8]| {
        let bits = (0..3).fold(0_u32, |bits, n| bits << 8 | u32::from(three.get(n).copied().unwrap_or(0)));
        let digit =
            |n: usize| if n > three.len() { '=' } else { char::from(DIGITS[(bits >> (18 - 6 * n) & 63) as usize]) };
        [0, 1, 2, 3].map(digit)
    };
    octets.chunks(3).flat_map(group).collect()
}

#[tokio::test]
async fn management_asks_the_same_backends() {
    with_service(async |broker, service| {
        broker.ctl(&["add_vhost", "private"]);
        let guest = broker.client().await;
        declare(&guest.channel, "private").await.unwrap();
        declare(&guest.channel, "public").await.unwrap();
        let anna = format!("anna:{PASSWORD}");
        let (status, me) = api(&broker, &anna, "GET", "whoami").await;
        assert_eq!((status, me), (200, json!({ "name": "anna", "tags": ["management"], "is_internal_user": false })));
        let (_, vhosts) = api(&broker, &anna, "GET", "vhosts").await;
        assert_eq!(vhosts.as_array().unwrap().iter().map(|vhost| &vhost["name"]).collect::<Vec<_>>(), ["/"]);
        assert_eq!(api(&broker, &anna, "GET", "queues/private").await.0, 401);
        assert_eq!(api(&broker, &anna, "DELETE", "queues/%2F/private").await.0, 401);
        assert_eq!(api(&broker, &anna, "DELETE", "queues/%2F/public").await.0, 204);
        assert_eq!(api(&broker, &anna, "GET", "users").await.0, 401, "anna is no administrator");
        assert_eq!(api(&broker, "anna:wrong", "GET", "whoami").await.0, 401);
        assert_eq!(api(&broker, &format!("otto:{PASSWORD}"), "GET", "whoami").await.0, 401, "otto has no tags");
        assert!(guest.has_queue("private").await && !guest.has_queue("public").await);
        let asked = service.asked("vhost");
        assert_eq!(asked.iter().filter(|one| one.get("vhost") == "/").count(), 1, "what was allowed is remembered");
        service.stop().await;
        assert_eq!(api(&broker, &anna, "GET", "whoami").await.0, 401);
    })
    .await;
}

#[tokio::test]
async fn an_exchange_is_declared_and_consumed_from_through_the_service() {
    with_service(async |broker, service| {
        let client = Client::connect(&uri(&broker, "otto", "/")).await;
        let exchange = client.exchange(ExchangeKind::Direct, []).await;
        let queue = client.queue([]).await;
        client.bind(&queue, &exchange, "k", []).await;
        client.publish(&exchange, "k", Client::persistent(), &[b"hello"]).await;
        let (_channel, mut consumer) = client.consume(&queue, 1).await;
        assert_eq!(Client::next(&mut consumer).await.text(), "hello");
        let channel = client.another_channel().await;
        let consumed =
            channel.basic_consume("private".into(), "".into(), BasicConsumeOptions::default(), FieldTable::default());
        assert_eq!(refusal(consumed.await), (403, refused("read access to queue 'private'", "otto")));
        let channel = client.another_channel().await;
        let options = ExchangeDeclareOptions::default();
        let declared = channel.exchange_declare("private".into(), ExchangeKind::Fanout, options, FieldTable::default());
        assert_eq!(refusal(declared.await), (403, refused("configure access to exchange 'private'", "otto")));
        assert!(service.asked("resource").iter().all(|one| one.get("tags").is_empty()));
    })
    .await;
}

/// What `leveret serve` says where it does not start.
fn refused_start(arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(binary());
    command.current_dir(folder.path()).stdin(Stdio::null()).arg("serve").args(arguments);
    let output = command.output().unwrap();
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_backend_that_is_not_there_stops_the_start() {
    for (arguments, reason) in [
        (
            &["auth.backends=internal,ldap"][..],
            "auth.backends: there is no backend 'ldap' that can authenticate; there are: internal, http",
        ),
        (
            &["auth.backends=http", "plugins.enabled=management"],
            "auth.backends: there is no backend 'http' that can authenticate; there are: internal",
        ),
        (&["auth.backends="], "auth.backends: names no backend"),
        (&["auth.backends=http,http"], "auth.backends: names 'http' twice"),
        (&["auth_http.user_path=https://auth/user"], "configuration section [auth_http]: user_path must be a URL"),
        (
            &["auth_http.http_method=put"],
            "configuration section [auth_http]: unknown variant `put`, expected `get` or `post`",
        ),
    ] {
        let flags: Vec<&str> = arguments.iter().flat_map(|setting| ["--set", setting]).collect();
        let said = refused_start(&flags);
        assert!(said.contains(reason), "{said}");
    }
}

#[test]
fn the_plugin_says_what_it_adds() {
    let folder = tempfile::tempdir().unwrap();
    let shown = |arguments: &[&str]| {
        let mut command = Command::new(binary());
        let output = command.current_dir(folder.path()).arg("plugins").args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let description = "authentication backend http: a web service says who comes in and what they may do";
    assert!(shown(&["list"]).contains(description));
    let info = shown(&["info", "auth-backend-http"]);
    let adds = format!("auth-backend-http (enabled)\n{description}\n\nauthenticator http\n\nauthorizer http\n");
    assert!(info.starts_with(&(adds + "\nconfiguration [auth_http], by default\n")), "{info}");
    assert!(info.contains("\n    user_path = \"http://localhost:8000/auth/user\"\n"), "{info}");
}
