//! Vhosts, exchanges, queues, bindings, messages and definitions.

use hyper::Method;
use leveret_management::Door;
use serde_json::{Value, json};

use crate::support::Api;

#[tokio::test]
async fn queues_live_and_die() {
    let api = Api::start().await;
    let arguments = json!({ "x-max-length": 5 });
    let body = json!({ "durable": true, "auto_delete": false, "arguments": arguments, "node": null });
    assert_eq!(api.put("queues/%2F/a%2Fb", body.clone()).await, 201);
    assert_eq!(api.put("queues/%2F/a%2Fb", body).await, 204);
    let (_, queue) = api.get("queues/%2F/a%2Fb").await;
    assert_eq!(
        (&queue["name"], &queue["type"], &queue["state"]),
        (&json!("a/b"), &json!("classic"), &json!("running"))
    );
    assert_eq!((&queue["arguments"], &queue["messages"]), (&arguments, &json!(0)));
    let (status, refusal) = api.send(Method::PUT, "queues/%2F/a%2Fb", Some(json!({}))).await;
    assert_eq!(status, 400);
    assert!(refusal["reason"].as_str().unwrap().starts_with("PRECONDITION_FAILED - inequivalent arg 'x-max-length'"));
    assert_eq!(api.delete("queues/%2F/a%2Fb?if-unused=true&if-empty=true").await, 204);
    assert_eq!(api.delete("queues/%2F/a%2Fb").await, 404);
}

#[tokio::test]
async fn exchanges_live_and_die() {
    let api = Api::start().await;
    assert_eq!(api.put("exchanges/%2F/x", json!({ "type": "topic", "internal": true })).await, 201);
    let (_, exchange) = api.get("exchanges/%2F/x").await;
    assert_eq!((&exchange["type"], &exchange["durable"]), (&json!("topic"), &json!(true)));
    assert_eq!(api.get("exchanges/%2F/amq.default").await.1["name"], "");
    assert_eq!(api.put("exchanges/%2F/y", json!({ "type": "nonsense" })).await, 400);
    assert_eq!(api.delete("exchanges/%2F/x").await, 204);
    assert_eq!(api.delete("exchanges/%2F/amq.topic").await, 401);
}

#[tokio::test]
async fn messages_go_in_and_out() {
    let api = Api::start().await;
    api.put("queues/%2F/q", json!({})).await;
    let message = json!({
        "routing_key": "q", "payload": "hello",
        "properties": { "delivery_mode": 2, "headers": { "n": 1 }, "type": "greeting" },
    });
    assert_eq!(api.post("exchanges/%2F/amq.default/publish", message).await, (200, json!({ "routed": true })));
    let lost = json!({ "routing_key": "nowhere", "payload": "", "properties": [] });
    assert_eq!(api.post("exchanges/%2F/amq.default/publish", lost).await.1["routed"], false);
    let bytes = json!({ "routing_key": "q", "payload": "/w==", "payload_encoding": "base64", "properties": {} });
    assert_eq!(api.post("exchanges/%2F/amq.default/publish", bytes).await.1["routed"], true);

    let look = json!({ "count": 5, "ackmode": "ack_requeue_true", "encoding": "auto", "truncate": 4 });
    let (_, got) = api.post("queues/%2F/q/get", look).await;
    assert_eq!((&got[0]["payload"], &got[0]["payload_bytes"]), (&json!("hell"), &json!(5)));
    assert_eq!(got[0]["properties"], json!({ "delivery_mode": 2, "headers": { "n": 1 }, "type": "greeting" }));
    assert_eq!((&got[1]["payload"], &got[1]["payload_encoding"]), (&json!("/w=="), &json!("base64")));
    let take = json!({ "count": 1, "ackmode": "ack_requeue_false", "encoding": "auto" });
    let (_, got) = api.post("queues/%2F/q/get", take).await;
    assert_eq!((&got[0]["redelivered"], &got[0]["message_count"]), (&json!(true), &json!(1)));
    assert_eq!(api.get("queues/%2F/q").await.1["messages_ready"], 1);
    assert_eq!(api.delete("queues/%2F/q/contents").await, 204);
    assert_eq!(api.get("queues/%2F/q").await.1["messages"], 0);
}

#[tokio::test]
async fn bindings_are_named_by_their_properties() {
    let api = Api::start().await;
    api.put("queues/%2F/q", json!({})).await;
    let bind = "bindings/%2F/e/amq.topic/q/q";
    assert_eq!(api.post(bind, json!({ "routing_key": "a.#", "arguments": null })).await.0, 201);
    assert_eq!(api.post(bind, json!({ "routing_key": "", "arguments": { "n": 1 } })).await.0, 201);
    let (_, bindings) = api.get(bind).await;
    let keys: Vec<_> = bindings.as_array().unwrap().iter().map(|binding| binding["properties_key"].clone()).collect();
    assert!(keys.contains(&json!("a.%23")), "{keys:?}");
    let hashed = keys.iter().find_map(|key| key.as_str()?.strip_prefix('~')).unwrap();
    assert_eq!(api.get(&format!("{bind}/~{hashed}")).await.1["arguments"], json!({ "n": 1 }));
    assert_eq!(api.get("queues/%2F/q/bindings").await.1.as_array().unwrap().len(), 3, "the default one too");
    assert_eq!(api.delete(&format!("{bind}/~{hashed}")).await, 204);
    assert_eq!(api.delete(&format!("{bind}/a.%2523")).await, 204);
    assert_eq!(api.delete(&format!("{bind}/a.%2523")).await, 404);
    assert_eq!(api.get("exchanges/%2F/amq.topic/bindings/source").await.1, json!([]));
    assert_eq!(api.post("bindings/%2F/e/amq.topic/q/none", json!({})).await.0, 404);
}

#[tokio::test]
async fn a_vhost_takes_everything_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let api = Api::open(&folder, Door::Tcp).await;
    assert_eq!(api.put("vhosts/v", json!({})).await, 201);
    assert_eq!(api.get("permissions/v/guest").await.1["configure"], ".*", "the creator's");
    assert_eq!(api.put("queues/v/q", json!({})).await, 201);
    assert_eq!(api.put("exchanges/v/x", json!({ "type": "fanout" })).await, 201);
    assert_eq!(api.post("bindings/v/e/x/q/q", json!({})).await.0, 201);
    assert_eq!(api.put("policies/v/p", json!({ "pattern": "", "definition": { "max-length": 1 } })).await, 201);
    assert_eq!(api.delete("vhosts/v").await, 204);
    assert_eq!(api.get("permissions/v/guest").await.0, 404);
    api.stop().await;

    let api = Api::open(&folder, Door::Tcp).await;
    assert_eq!(api.get("vhosts").await.1.as_array().unwrap().len(), 1);
    assert_eq!(api.put("vhosts/v", json!({})).await, 201);
    assert_eq!(api.get("queues/v").await.1, json!([]));
    assert_eq!(api.get("policies/v").await.1, json!([]));
    api.stop().await;
}

#[tokio::test]
async fn definitions_go_from_one_server_to_another() {
    let api = Api::start().await;
    api.put("vhosts/v", json!({ "description": "d", "tags": "a", "default_queue_type": "quorum" })).await;
    api.put("vhost-limits/v/max-queues", json!({ "value": 7 })).await;
    api.put("users/ann", json!({ "password": "secret", "tags": "monitoring" })).await;
    api.put("user-limits/ann/max-connections", json!({ "value": 3 })).await;
    api.put("permissions/v/ann", json!({ "configure": "", "write": "^a", "read": ".*" })).await;
    api.put("queues/v/q", json!({ "arguments": { "x-max-length": 3 } })).await;
    api.put("exchanges/v/x", json!({ "type": "topic" })).await;
    api.post("bindings/v/e/x/q/q", json!({ "routing_key": "#" })).await;
    api.put("policies/v/p", json!({ "pattern": "^q", "definition": { "max-length": 1 }, "priority": 2 })).await;
    api.put("operator-policies/v/o", json!({ "pattern": "^q", "definition": { "max-length": 2 } })).await;
    let (_, document) = api.get("definitions").await;

    let other = Api::start().await;
    assert_eq!(other.post("definitions", document.clone()).await.0, 204);
    let (_, copy) = other.get("definitions").await;
    for section in ["users", "permissions", "queues", "exchanges", "bindings", "policies", "parameters", "vhosts"] {
        assert_eq!(without(&copy[section], "guest"), without(&document[section], "guest"), "{section}");
    }
    assert_eq!(other.send_as("ann:secret", Method::GET, "whoami", None).await.0, 200);
    assert_eq!(other.get("queues/v/q").await.1["operator_policy"], "o");
    let limits = json!({ "component": "vhost-limits", "vhost": "v", "name": "limits", "value": { "max-queues": 7 } });
    assert!(document["parameters"].as_array().unwrap().contains(&limits));
    assert_eq!(other.get("vhost-limits/v").await.1[0]["value"], json!({ "max-queues": 7 }));
    assert_eq!(other.get("users/ann").await.1["limits"], json!({ "max-connections": 3 }));
    assert_eq!(other.get("vhosts/v").await.1["metadata"]["default_queue_type"], "quorum");

    let missing = json!({ "queues": [{ "name": "q", "vhost": "nowhere" }] });
    assert_eq!(other.post("definitions", missing).await.0, 400);
    let of_vhost = json!({ "queues": [{ "name": "r" }] });
    assert_eq!(other.post("definitions/v", of_vhost).await.0, 204);
    assert_eq!(other.get("queues/v/r").await.0, 200);
}

/// The default user's password is salted anew in every store.
fn without(section: &Value, name: &str) -> Value {
    section.as_array().unwrap().iter().filter(|object| object["name"] != name).cloned().collect()
}
