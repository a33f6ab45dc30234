//! Limits of vhosts and users.

use hyper::Method;
use leveret_management::Door;
use serde_json::{Value, json};

use crate::support::Api;

#[tokio::test]
async fn limits_are_set_one_by_one_and_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let api = Api::open(&folder, Door::Tcp).await;
    assert_eq!(api.get("vhost-limits").await, (200, json!([])));
    assert_eq!(api.put("vhost-limits/%2F/max-connections", json!({ "value": 10 })).await, 204);
    assert_eq!(api.put("vhost-limits/%2F/max-queues", json!({ "value": 2 })).await, 204);
    assert_eq!(api.put("user-limits/guest/max-channels", json!({ "value": -1 })).await, 204);
    api.stop().await;

    let api = Api::open(&folder, Door::Tcp).await;
    let of_vhost = json!([{ "vhost": "/", "value": { "max-connections": 10, "max-queues": 2 } }]);
    assert_eq!(api.get("vhost-limits").await.1, of_vhost);
    assert_eq!(api.get("vhost-limits/%2F").await.1, of_vhost);
    let of_user = json!([{ "user": "guest", "value": { "max-channels": -1 } }]);
    assert_eq!(api.get("user-limits").await.1, of_user);
    assert_eq!(api.get("user-limits/guest").await.1, of_user);
    assert_eq!(api.get("users/guest").await.1["limits"], json!({ "max-channels": -1 }));
    assert_eq!(api.get("users").await.1[0]["limits"], json!({ "max-channels": -1 }));
    assert_eq!(api.delete("vhost-limits/%2F/max-connections").await, 204);
    assert_eq!(api.get("vhost-limits").await.1[0]["value"], json!({ "max-queues": 2 }));
    assert_eq!(api.delete("vhost-limits/%2F/max-connections").await, 204, "what is not set is cleared already");
    assert_eq!(api.delete("vhost-limits/%2F/max-queues").await, 204);
    assert_eq!(api.delete("user-limits/guest/max-channels").await, 204);
    api.stop().await;

    let api = Api::open(&folder, Door::Tcp).await;
    assert_eq!(api.get("vhost-limits").await.1, json!([]));
    assert_eq!(api.get("user-limits").await.1, json!([]));
    api.stop().await;
}

#[tokio::test]
async fn several_limits_are_changed_as_a_whole() {
    let api = Api::start().await;
    let patch = async |body: Value| api.send(Method::PATCH, "user-limits/guest", Some(body)).await.0;
    let of_vhost = async || api.get("vhost-limits/%2F").await.1;
    let of_user = async || api.get("user-limits/guest").await.1;
    assert_eq!(api.put("vhost-limits/%2F", json!({ "max-connections": 1, "max-queues": 2 })).await, 204);
    assert_eq!(api.put("vhost-limits/%2F", json!({ "max-queues": 3 })).await, 204);
    assert_eq!(of_vhost().await[0]["value"], json!({ "max-queues": 3 }), "all are replaced");
    assert_eq!(api.put("vhost-limits/%2F", json!({ "max-connections": 1, "max-queues": "a" })).await, 400);
    assert_eq!(of_vhost().await[0]["value"], json!({ "max-queues": 3 }), "all or none");
    assert_eq!(api.delete("vhost-limits/%2F").await, 204);
    assert_eq!(of_vhost().await, json!([]));

    assert_eq!(patch(json!({ "max-connections": 1 })).await, 204);
    assert_eq!(patch(json!({ "max-channels": 2 })).await, 204);
    assert_eq!(of_user().await[0]["value"], json!({ "max-connections": 1, "max-channels": 2 }), "the rest stays");
    assert_eq!(api.delete("user-limits/guest").await, 204);
    assert_eq!(of_user().await, json!([]));
}

#[tokio::test]
async fn bad_limits_are_refused_in_rabbitmqs_words() {
    let api = Api::start().await;
    let reason = async |path: &str, body: Value| {
        let (status, answer) = api.send(Method::PUT, path, Some(body)).await;
        assert_eq!(status, 400, "{path}");
        answer["reason"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        reason("vhost-limits/%2F/max-connections", json!({ "value": "10" })).await,
        "Validation failed\n\nmax-connections should be a number, actually was <<\"10\">>\n"
    );
    assert_eq!(
        reason("vhost-limits/%2F/max-channels", json!({ "value": 5 })).await,
        "Validation failed\n\nUnrecognised terms [{<<\"max-channels\">>,5}] in limits\n"
    );
    assert_eq!(
        reason("user-limits/guest/max-channels", json!({ "value": 1.5 })).await,
        "max-channels should be a number, actually was 1.5"
    );
    assert_eq!(
        reason("user-limits/guest/max-queues", json!({ "value": 5 })).await,
        "Unrecognised terms [{<<\"max-queues\">>,5}] in user-limits"
    );
    assert_eq!(reason("vhost-limits/%2F/max-queues", json!({})).await, "key_missing: value");
    let with_limits = json!({ "password": "p", "tags": "", "limits": { "max-channels": true } });
    assert_eq!(reason("users/ann", with_limits).await, "max-channels should be a number, actually was true");
    assert_eq!(api.get("users/ann").await.0, 404);
    assert_eq!(api.delete("vhost-limits/%2F/max-things").await, 400);
    assert_eq!(api.delete("user-limits/guest/max-things").await, 400);
    for path in ["vhost-limits/nowhere", "user-limits/nobody"] {
        let one = format!("{path}/max-connections");
        assert_eq!(api.put(&one, json!({ "value": 1 })).await, 404, "{path}");
        assert_eq!(api.delete(&one).await, 404, "{path}");
        assert_eq!(api.delete(path).await, 404, "{path}");
        assert_eq!(api.get(path).await.0, 404, "{path}");
    }
    assert_eq!(api.get("vhost-limits").await.1, json!([]), "nothing is left of those refused");
    assert_eq!(api.get("user-limits").await.1, json!([]));
}

#[tokio::test]
async fn limits_are_for_administrators_to_set_and_for_others_to_see_their_own() {
    let api = Api::start().await;
    api.put("vhosts/hidden", json!({})).await;
    api.put("users/ann", json!({ "password": "p", "tags": "policymaker", "limits": { "max-channels": 3 } })).await;
    api.put("permissions/%2F/ann", json!({ "configure": "", "write": "", "read": "" })).await;
    for vhost in ["%2F", "hidden"] {
        assert_eq!(api.put(&format!("vhost-limits/{vhost}/max-queues"), json!({ "value": 1 })).await, 204);
    }
    let ann = async |method: Method, path: &str| {
        let body = (method == Method::PUT).then(|| json!({ "value": 1 }));
        api.send_as("ann:p", method, path, body).await
    };
    assert_eq!(ann(Method::GET, "vhost-limits").await.1, json!([{ "vhost": "/", "value": { "max-queues": 1 } }]));
    assert_eq!(ann(Method::GET, "vhost-limits/hidden").await.0, 401);
    assert_eq!(ann(Method::GET, "user-limits/ann").await.1[0]["value"], json!({ "max-channels": 3 }));
    for path in ["user-limits", "user-limits/guest"] {
        assert_eq!(ann(Method::GET, path).await.0, 401, "{path}");
    }
    for path in ["vhost-limits/%2F/max-queues", "user-limits/ann/max-channels"] {
        assert_eq!(ann(Method::PUT, path).await.0, 401, "{path}");
        assert_eq!(ann(Method::DELETE, path).await.0, 401, "{path}");
    }
    for path in ["vhost-limits/%2F", "user-limits/ann"] {
        assert_eq!(ann(Method::DELETE, path).await.0, 401, "{path}");
    }
}

#[tokio::test]
async fn limits_go_with_what_they_limit() {
    let api = Api::start().await;
    for _ in 0..2 {
        assert_eq!(api.put("vhosts/v", json!({})).await, 201);
        assert_eq!(api.put("users/ann", json!({ "password": "p", "tags": "" })).await, 201);
        assert_eq!(api.get("vhost-limits/v").await.1, json!([]));
        assert_eq!(api.get("users/ann").await.1["limits"], json!({}));
        assert_eq!(api.put("vhost-limits/v/max-queues", json!({ "value": 1 })).await, 204);
        assert_eq!(api.put("user-limits/ann/max-channels", json!({ "value": 1 })).await, 204);
        assert_eq!(api.delete("vhosts/v").await, 204);
        assert_eq!(api.delete("users/ann").await, 204);
    }
}

#[tokio::test]
async fn queues_over_the_limit_are_refused() {
    let api = Api::start().await;
    assert_eq!(api.put("queues/%2F/a", json!({})).await, 201);
    assert_eq!(api.put("vhost-limits/%2F/max-queues", json!({ "value": 1 })).await, 204);
    let (status, refusal) = api.send(Method::PUT, "queues/%2F/b", Some(json!({}))).await;
    let text = "PRECONDITION_FAILED - cannot declare queue 'b': queue limit in vhost '/' (1) is reached";
    assert_eq!((status, refusal["reason"].as_str().unwrap()), (400, text));
    assert_eq!(api.put("queues/%2F/a", json!({})).await, 204, "what is there may be declared again");
    api.put("vhosts/v", json!({})).await;
    assert_eq!(api.put("queues/v/b", json!({})).await, 201, "elsewhere there is no limit");
    assert_eq!(api.delete("queues/%2F/a").await, 204);
    assert_eq!(api.put("queues/%2F/b", json!({})).await, 201);
}
