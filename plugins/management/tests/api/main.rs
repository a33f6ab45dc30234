//! The management API over a real broker and a real socket.
#![allow(clippy::unwrap_used)]

mod limits;
mod permissions;
mod plugins;
mod policies;
mod support;
mod topology;
mod vhosts;

use leveret_management::Door;
use serde_json::json;
use support::Api;

#[tokio::test]
async fn says_what_it_is() {
    let api = Api::start().await;
    let (status, overview) = api.get("overview").await;
    assert_eq!(status, 200);
    assert_eq!(overview["rabbitmq_version"], leveret_management::RABBITMQ_VERSION);
    assert_eq!((&overview["node"], &overview["cluster_name"]), (&json!("leveret@test"), &json!("hares")));
    assert_eq!(overview["object_totals"]["exchanges"], 7);
    assert_eq!(api.get("whoami").await.1["tags"], json!(["administrator"]));
    assert_eq!(api.get("nodes/leveret@test").await.1["running"], true);
    assert_eq!(api.get("aliveness-test/%2F").await.1, json!({ "status": "ok" }));
    assert_eq!(api.get("health/checks/port-listener/5672").await.0, 200);
    assert_eq!(api.get("health/checks/port-listener/1").await.0, 503);
    assert_eq!(api.get("health/checks/protocol-listener/amqp091").await.0, 200);
    assert_eq!(api.get("healthchecks/node/").await.0, 200, "a slash at the end means nothing");
}

#[tokio::test]
async fn what_is_not_there_is_said_in_json() {
    let api = Api::start().await;
    for path in ["nothing", "queues/%2F/q", "exchanges/%2F/x", "queues/nowhere", "users/nobody", "policies/%2F/p"] {
        let (status, answer) = api.get(path).await;
        assert_eq!(status, 404, "{path}");
        assert_eq!(answer["error"], "Object Not Found", "{path}");
    }
    let (status, answer) = api.post("overview", json!({})).await;
    assert_eq!((status, &answer["error"]), (405, &json!("Method Not Allowed")));
}

#[tokio::test]
async fn connections_are_listed_and_closed() {
    let api = Api::start().await;
    let name = "1.2.3.4%3A5%20-%3E%206.7.8.9%3A10";
    assert_eq!(api.get("connections").await.1[0]["user"], "guest");
    assert_eq!(api.get(&format!("connections/{name}/channels")).await.1[0]["name"], "1.2.3.4:5 -> 6.7.8.9:10 (1)");
    assert_eq!(api.delete(&format!("connections/{name}")).await, 204);
    let closed = api.clients.closed.lock().unwrap().clone();
    assert_eq!(closed, [("1.2.3.4:5 -> 6.7.8.9:10".to_owned(), "because".to_owned())]);
    assert_eq!(api.delete("connections/other").await, 404);
}

#[tokio::test]
async fn the_local_door_asks_for_no_password() {
    let api = Api::of(Door::Local).await;
    let (status, me) = api.send_as("nobody:wrong", hyper::Method::GET, "whoami", None).await;
    assert_eq!((status, &me["name"]), (200, &json!("leveret ctl")));
}

#[tokio::test]
async fn lists_come_in_pages() {
    let api = Api::start().await;
    for name in ["abc", "abd", "xyz"] {
        assert_eq!(api.put(&format!("queues/%2F/{name}"), json!({})).await, 201);
    }
    let (_, page) = api.get("queues/%2F?page=2&page_size=1&name=ab").await;
    assert_eq!(page["items"][0]["name"], "abd");
    assert_eq!((&page["page_count"], &page["filtered_count"], &page["total_count"]), (&json!(2), &json!(2), &json!(3)));
    let (_, names) = api.get("queues?sort=name&sort_reverse=true&columns=name").await;
    assert_eq!(names, json!([{ "name": "xyz" }, { "name": "abd" }, { "name": "abc" }]));
    assert_eq!(api.get("queues?page=1&name=%5Ex.z&use_regex=True").await.1["item_count"], 1);
    assert_eq!(api.get("queues?page=9").await.0, 400);
    assert_eq!(api.get("queues?page=1&name=%5B&use_regex=true").await.0, 400);
}
