//! What is said of vhosts, and the end of vhosts and users.

use hyper::Method;
use leveret_management::Door;
use serde_json::{Value, json};

use crate::support::Api;

#[tokio::test]
async fn what_is_said_of_a_vhost_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let api = Api::open(&folder, Door::Tcp).await;
    let said = json!({ "description": "of the shop", "tags": "a, b", "default_queue_type": "quorum" });
    assert_eq!(api.put("vhosts/shop", said).await, 201);
    assert_eq!(api.put("vhosts/plain", json!({})).await, 201);
    api.stop().await;

    let api = Api::open(&folder, Door::Tcp).await;
    let said = json!({ "description": "of the shop", "tags": ["a", "b"], "default_queue_type": "quorum" });
    assert_eq!(metadata(&api, "shop").await, said);
    let nothing = json!({ "description": "", "tags": [], "default_queue_type": "classic" });
    assert_eq!(metadata(&api, "plain").await, nothing);
    let vhosts = api.get("vhosts?columns=name,description").await.1;
    assert!(vhosts.as_array().unwrap().contains(&json!({ "name": "shop", "description": "of the shop" })));

    let changes = json!({ "tags": ["c"] });
    assert_eq!(api.send(Method::PATCH, "vhosts/shop", Some(changes.clone())).await.0, 204);
    let changed = json!({ "description": "of the shop", "tags": ["c"], "default_queue_type": "quorum" });
    assert_eq!(metadata(&api, "shop").await, changed, "the rest stays");
    assert_eq!(api.send(Method::PATCH, "vhosts/nowhere", Some(changes)).await.0, 404);
    assert_eq!(api.get("vhosts/nowhere").await.0, 404);
    assert_eq!(api.put("vhosts/shop", json!({ "description": "new" })).await, 204);
    let replaced = json!({ "description": "new", "tags": [], "default_queue_type": "classic" });
    assert_eq!(metadata(&api, "shop").await, replaced, "the rest goes");
    api.stop().await;

    let api = Api::open(&folder, Door::Tcp).await;
    assert_eq!(metadata(&api, "shop").await, replaced);
    api.stop().await;
}

/// As it is said twice.
async fn metadata(api: &Api, vhost: &str) -> Value {
    let (_, shown) = api.get(&format!("vhosts/{vhost}")).await;
    for key in ["description", "tags", "default_queue_type"] {
        assert_eq!(shown[key], shown["metadata"][key], "{key}");
    }
    shown["metadata"].clone()
}

#[tokio::test]
async fn what_cannot_be_said_of_a_vhost() {
    let api = Api::start().await;
    for (said, reason) in [
        (json!({ "default_queue_type": "stream" }), "queue type stream is not available"),
        (json!({ "default_queue_type": "fast" }), "fast is not a valid queue type"),
        (json!({ "defaultqueuetype": "fast" }), "fast is not a valid queue type"),
        (json!({ "default_queue_type": "" }), "default_queue_type must not be an empty string"),
        (json!({ "description": 5 }), "'description' must be a text"),
        (json!({ "tags": 5 }), "'tags' must be a list of texts or one text"),
        (json!({ "tracing": true }), "tracing (the firehose) is not available"),
    ] {
        let (status, answer) = api.send(Method::PUT, "vhosts/v", Some(said.clone())).await;
        assert_eq!((status, answer["reason"].as_str()), (400, Some(reason)), "{said}");
    }
    assert_eq!(api.get("vhosts/v").await.0, 404);
    let unsaid = json!({ "default_queue_type": "undefined", "description": null, "tags": null, "tracing": false });
    assert_eq!(api.put("vhosts/v", unsaid).await, 201);
}

#[tokio::test]
async fn queues_get_the_vhosts_type() {
    let folder = tempfile::tempdir().unwrap();
    let api = Api::open(&folder, Door::Tcp).await;
    api.put("vhosts/v", json!({})).await;
    assert_eq!(api.put("queues/v/before", json!({})).await, 201);
    assert_eq!(api.put("vhosts/v", json!({ "default_queue_type": "quorum" })).await, 204);
    assert_eq!(api.put("queues/v/q", json!({})).await, 201);
    assert_eq!(api.put("queues/v/own", json!({ "arguments": { "x-queue-type": "classic" } })).await, 201);
    assert_eq!(api.put("queues/v/transient", json!({ "durable": false })).await, 201);
    assert_eq!(api.put("queues/v/auto", json!({ "auto_delete": true })).await, 201);
    let types = json!([
        { "name": "auto", "type": "classic", "arguments": { "x-queue-type": "classic" } },
        { "name": "before", "type": "classic", "arguments": {} },
        { "name": "own", "type": "classic", "arguments": { "x-queue-type": "classic" } },
        { "name": "q", "type": "quorum", "arguments": { "x-queue-type": "quorum" } },
        { "name": "transient", "type": "classic", "arguments": { "x-queue-type": "classic" } },
    ]);
    assert_eq!(api.get("queues/v?columns=name,type,arguments").await.1, types);
    assert_eq!(api.put("queues/v/q", json!({})).await, 204, "declared again as it was");
    assert_eq!(api.put("queues/v/auto", json!({ "auto_delete": true })).await, 204);
    assert_eq!(api.put("queues/v/q", json!({ "arguments": { "x-queue-type": "quorum" } })).await, 204);
    api.stop().await;

    let api = Api::open(&folder, Door::Tcp).await;
    assert_eq!(api.get("queues/v/q").await.1["type"], "quorum");
    assert_eq!(api.get("queues/v/before").await.1["type"], "classic");
    assert_eq!(api.put("queues/v/q", json!({})).await, 204);
    assert_eq!(api.put("queues/v/more", json!({})).await, 201);
    assert_eq!(api.get("queues/v/more").await.1["type"], "quorum", "the default has come back, too");
    let (_, exported) = api.get("definitions/v").await;
    let before = exported["queues"].as_array().unwrap().iter().find(|queue| queue["name"] == "before").unwrap();
    assert_eq!(before["arguments"], json!({ "x-queue-type": "classic" }), "to be the same wherever it is imported");
    api.stop().await;
}

#[tokio::test]
async fn definitions_of_any_age_say_something_of_vhosts() {
    let api = Api::start().await;
    let import = async |vhost: Value| api.post("definitions", json!({ "vhosts": [vhost] })).await.0;
    assert_eq!(import(json!({ "name": "v" })).await, 204);
    assert_eq!(metadata(&api, "v").await, json!({ "description": "", "tags": [], "default_queue_type": "classic" }));
    let of_today = json!({ "description": "d", "tags": ["a"], "default_queue_type": "quorum" });
    assert_eq!(import(json!({ "name": "v", "metadata": of_today })).await, 204);
    assert_eq!(metadata(&api, "v").await, of_today);
    assert_eq!(import(json!({ "name": "v", "description": "older", "metadata": {} })).await, 204);
    assert_eq!(
        metadata(&api, "v").await,
        json!({ "description": "older", "tags": ["a"], "default_queue_type": "quorum" })
    );
    assert_eq!(import(json!({ "name": "v", "metadata": { "default_queue_type": "stream" } })).await, 400);
}

#[tokio::test]
async fn connections_end_with_their_vhost_and_their_user() {
    let api = Api::start().await;
    api.put("vhosts/v", json!({})).await;
    for user in ["ann", "ben", "cid"] {
        api.put(&format!("users/{user}"), json!({ "password": "p", "tags": "" })).await;
    }
    assert_eq!(api.delete("vhosts/nowhere").await, 404);
    assert_eq!(api.delete("users/nobody").await, 404);
    assert!(api.clients.closed.lock().unwrap().is_empty());
    assert_eq!(api.delete("vhosts/v").await, 204);
    assert_eq!(api.delete("users/ann").await, 204);
    assert_eq!(api.post("users/bulk-delete", json!({ "users": ["ben", "nobody", "cid"] })).await.0, 204);
    let closed = api.clients.closed.lock().unwrap().clone();
    let closed: Vec<_> = closed.iter().map(|(kind, name)| (kind.as_str(), name.as_str())).collect();
    assert_eq!(closed, [("vhost", "v"), ("user", "ann"), ("user", "ben"), ("user", "cid")]);
}
