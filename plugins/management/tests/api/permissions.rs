//! Users, and who may do what.

use hyper::Method;
use leveret_management::Door;
use serde_json::json;

use crate::support::Api;

#[tokio::test]
async fn users_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let api = Api::open(&folder, Door::Tcp).await;
    assert_eq!(api.put("users/ann", json!({ "password": "one", "tags": ["management", "x"] })).await, 201);
    assert_eq!(api.put("users/ann", json!({ "password": "two", "tags": "management,y" })).await, 204);
    let permissions = json!({ "configure": "^a", "write": "^b", "read": "^c" });
    assert_eq!(api.put("permissions/%2F/ann", permissions).await, 201);
    let topic = json!({ "exchange": "amq.topic", "write": "^a", "read": "^b" });
    assert_eq!(api.put("topic-permissions/%2F/ann", topic).await, 201);
    api.stop().await;

    let api = Api::open(&folder, Door::Tcp).await;
    assert_eq!(api.get("users/ann").await.1["tags"], json!(["management", "y"]));
    assert_eq!(api.send_as("ann:two", Method::GET, "whoami", None).await.0, 200);
    assert_eq!(api.send_as("ann:one", Method::GET, "whoami", None).await.0, 401);
    assert_eq!(api.get("users/ann/permissions").await.1[0]["write"], "^b");
    assert_eq!(api.get("topic-permissions/%2F/ann").await.1[0]["exchange"], "amq.topic");
    assert_eq!(api.delete("permissions/%2F/ann").await, 204);
    assert_eq!(api.delete("topic-permissions/%2F/ann").await, 204);
    assert_eq!(api.delete("users/ann").await, 204);
    assert_eq!(api.delete("users/ann").await, 404);
    api.stop().await;

    let api = Api::open(&folder, Door::Tcp).await;
    assert_eq!(api.get("users/ann").await.0, 404);
    assert_eq!(api.get("permissions").await.1.as_array().unwrap().len(), 1);
    api.stop().await;
}

#[tokio::test]
async fn hashes_are_taken_as_they_are() {
    let api = Api::start().await;
    // The example of RabbitMQ's password guide.
    let hash = "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR";
    assert_eq!(api.put("users/u", json!({ "password_hash": hash, "tags": "management" })).await, 201);
    assert_eq!(api.get("users/u").await.1["password_hash"], hash);
    assert_eq!(api.send_as("u:test12", Method::GET, "whoami", None).await.0, 200);
    assert_eq!(api.put("users/u", json!({ "password": "a" })).await, 400, "tags must be given");
    assert_eq!(api.put("users/u", json!({ "password": "", "tags": "" })).await, 400);
    assert_eq!(api.put("users/u", json!({ "tags": "management" })).await, 204, "without a password");
    assert_eq!(api.send_as("u:test12", Method::GET, "whoami", None).await.0, 401);
    assert_eq!(api.post("users/bulk-delete", json!({ "users": ["u", "nobody"] })).await.0, 204);
    assert_eq!(api.get("users/u").await.0, 404);
}

#[tokio::test]
async fn users_do_what_their_tags_and_permissions_say() {
    let api = Api::start().await;
    api.put("vhosts/hidden", json!({})).await;
    api.put("users/none", json!({ "password": "p", "tags": "" })).await;
    api.put("users/ann", json!({ "password": "p", "tags": "management" })).await;
    api.put("users/pol", json!({ "password": "p", "tags": "policymaker" })).await;
    for user in ["ann", "pol"] {
        api.put(&format!("permissions/%2F/{user}"), json!({ "configure": "^a", "write": "^a", "read": "^a" })).await;
    }
    let get = async |who: &str, path: &str| api.send_as(&format!("{who}:p"), Method::GET, path, None).await;
    let put =
        async |who: &str, path: &str, body| api.send_as(&format!("{who}:p"), Method::PUT, path, Some(body)).await.0;
    assert_eq!(get("none", "whoami").await.0, 401, "no tag, no management");
    assert_eq!(get("ann", "users").await.0, 401);
    assert_eq!(get("ann", "vhosts").await.1.as_array().unwrap().len(), 1);
    assert_eq!(get("ann", "queues/hidden").await.0, 401);
    assert_eq!(get("ann", "connections").await.1, json!([]), "another user's");
    assert_eq!(put("ann", "vhosts/new", json!({})).await, 401);
    assert_eq!(put("ann", "queues/%2F/a", json!({})).await, 201);
    assert_eq!(put("ann", "queues/%2F/b", json!({})).await, 401);
    let message = json!({ "routing_key": "a", "payload": "" });
    let publish = api.send_as("ann:p", Method::POST, "exchanges/%2F/amq.default/publish", Some(message)).await;
    assert_eq!(publish.0, 200, "amq.default begins with an a");
    let policy = json!({ "pattern": "", "definition": { "max-length": 1 } });
    assert_eq!(put("ann", "policies/%2F/p", policy.clone()).await, 401);
    assert_eq!(put("pol", "policies/%2F/p", policy.clone()).await, 201);
    assert_eq!(put("pol", "policies/hidden/p", policy.clone()).await, 401);
    assert_eq!(put("pol", "operator-policies/%2F/p", policy).await, 401);
    assert_eq!(put("ann", "permissions/%2F/ann", json!({ "configure": "", "write": "", "read": "" })).await, 401);
}
