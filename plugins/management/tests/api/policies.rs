//! Policies.

use leveret_management::Door;
use serde_json::json;

use crate::support::Api;

#[tokio::test]
async fn policies_hold_at_once_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let api = Api::open(&folder, Door::Tcp).await;
    api.put("queues/%2F/q", json!({})).await;
    publish(&api, 3).await;
    let policy = json!({ "pattern": "^q", "apply-to": "queues", "priority": 7, "definition": { "max-length": 2 } });
    assert_eq!(api.put("policies/%2F/p", policy.clone()).await, 201);
    assert_eq!(api.put("policies/%2F/p", policy).await, 204);
    let operator = json!({ "pattern": "^q", "definition": { "max-length": 1 } });
    assert_eq!(api.put("operator-policies/%2F/o", operator).await, 201);
    let (_, queue) = api.get("queues/%2F/q").await;
    assert_eq!((&queue["policy"], &queue["operator_policy"]), (&json!("p"), &json!("o")));
    assert_eq!(queue["effective_policy_definition"], json!({ "max-length": 1 }));
    publish(&api, 1).await;
    assert_eq!(api.get("queues/%2F/q").await.1["messages"], 1);
    api.stop().await;

    let api = Api::open(&folder, Door::Tcp).await;
    let (_, stored) = api.get("policies/%2F/p").await;
    assert_eq!((&stored["priority"], &stored["apply-to"]), (&json!(7), &json!("queues")));
    publish(&api, 2).await;
    assert_eq!(api.get("queues/%2F/q").await.1["messages"], 1);
    assert_eq!(api.delete("operator-policies/%2F/o").await, 204);
    publish(&api, 2).await;
    assert_eq!(api.get("queues/%2F/q").await.1["messages"], 2);
    assert_eq!(api.delete("policies/%2F/p").await, 204);
    assert_eq!(api.delete("policies/%2F/p").await, 404);
    publish(&api, 2).await;
    assert_eq!(api.get("queues/%2F/q").await.1["messages"], 4);
    api.stop().await;
}

#[tokio::test]
async fn bad_policies_are_refused() {
    let api = Api::start().await;
    for policy in [
        json!({ "pattern": "^q" }),
        json!({ "pattern": "(", "definition": { "max-length": 1 } }),
        json!({ "pattern": "", "definition": {} }),
        json!({ "pattern": "", "definition": { "max-length": "many" } }),
        json!({ "pattern": "", "definition": { "max-length": 1 }, "apply-to": "users" }),
    ] {
        assert_eq!(api.put("policies/%2F/p", policy.clone()).await, 400, "{policy}");
    }
    assert_eq!(api.get("policies").await.1, json!([]));
}

async fn publish(api: &Api, count: usize) {
    for _ in 0..count {
        let message = json!({ "routing_key": "q", "payload": "m", "properties": { "delivery_mode": 2 } });
        assert_eq!(api.post("exchanges/%2F/amq.default/publish", message).await.1["routed"], true);
    }
}
