//! Connections, channels and consumers.

use std::collections::HashMap;

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
    routing::get,
};
use leveret_broker::{VHost, plugin::table_to_json, queue::Queue};
use serde_json::{Value, json};

use super::Answer;
use crate::{Api, access::Caller, error::ApiError, paging::ListQuery};

/// What a closed connection is told where nobody said why. RabbitMQ's text.
const CLOSED: &str = "Closed via management plugin";

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/connections", get(connections))
        .route("/connections/{name}", get(connection).delete(close))
        .route("/connections/{name}/channels", get(channels_of))
        .route("/connections/username/{user}", get(connections_of).delete(close_all_of))
        .route("/channels", get(channels))
        .route("/channels/{name}", get(channel))
        .route("/consumers", get(consumers))
        .route("/consumers/{vhost}", get(consumers_of))
}

fn owner(item: &Value) -> &str {
    item["user"].as_str().unwrap_or_default()
}

fn find(items: Vec<Value>, name: &str, caller: &Caller) -> Result<Value, ApiError> {
    let found = items.into_iter().find(|item| item["name"] == name).ok_or(ApiError::NotFound)?;
    if caller.sees_of(owner(&found)) {
        return Ok(found);
    }
    Err(ApiError::NotPermitted("User not authorised to access object".to_owned()))
}

fn seen(mut items: Vec<Value>, caller: &Caller) -> Vec<Value> {
    items.retain(|item| caller.sees_of(owner(item)));
    items
}

async fn connections(State(api): State<Api>, Query(query): Query<ListQuery>, caller: Caller) -> Answer {
    query.apply(seen(api.clients.connections(), &caller))
}

async fn connections_of(State(api): State<Api>, Path(user): Path<String>, caller: Caller) -> Answer {
    let mut items = seen(api.clients.connections(), &caller);
    items.retain(|item| owner(item) == user);
    Ok(Json(Value::Array(items)))
}

async fn connection(State(api): State<Api>, Path(name): Path<String>, caller: Caller) -> Answer {
    find(api.clients.connections(), &name, &caller).map(Json)
}

async fn close(
    State(api): State<Api>,
    Path(name): Path<String>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    let found = find(api.clients.connections(), &name, &caller)?;
    if !caller.owns(owner(&found)) {
        return Err(ApiError::NotPermitted("User not authorised to access object".to_owned()));
    }
    if api.clients.close(&name, &reason(&headers)) { Ok(StatusCode::NO_CONTENT) } else { Err(ApiError::NotFound) }
}

async fn close_all_of(
    State(api): State<Api>,
    Path(user): Path<String>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    if !caller.owns(&user) {
        return Err(ApiError::NotPermitted("User not authorised to access object".to_owned()));
    }
    for connection in api.clients.connections().iter().filter(|item| owner(item) == user) {
        // Gone meanwhile is as good as closed.
        let _ = api.clients.close(connection["name"].as_str().unwrap_or_default(), &reason(&headers));
    }
    Ok(StatusCode::NO_CONTENT)
}

fn reason(headers: &HeaderMap) -> String {
    let given = headers.get("X-Reason").and_then(|reason| reason.to_str().ok());
    given.map_or_else(|| CLOSED.to_owned(), ToOwned::to_owned)
}

async fn channels(State(api): State<Api>, Query(query): Query<ListQuery>, caller: Caller) -> Answer {
    query.apply(seen(api.clients.channels(), &caller))
}

async fn channels_of(State(api): State<Api>, Path(name): Path<String>, caller: Caller) -> Answer {
    find(api.clients.connections(), &name, &caller)?;
    let mut items = seen(api.clients.channels(), &caller);
    items.retain(|item| item["connection_details"]["name"] == name);
    Ok(Json(Value::Array(items)))
}

async fn channel(State(api): State<Api>, Path(name): Path<String>, caller: Caller) -> Answer {
    find(api.clients.channels(), &name, &caller).map(Json)
}

async fn consumers(State(api): State<Api>, Query(query): Query<ListQuery>, caller: Caller) -> Answer {
    let channels = by_name(api.clients.channels());
    query.apply(caller.vhosts(&api).await.iter().flat_map(|vhost| of_vhost(vhost, &channels)).collect())
}

async fn consumers_of(
    State(api): State<Api>,
    Path(vhost): Path<String>,
    Query(query): Query<ListQuery>,
    caller: Caller,
) -> Answer {
    let vhost = caller.vhost(&api, &vhost).await?;
    query.apply(of_vhost(&vhost, &by_name(api.clients.channels())))
}

/// The channels by their names.
fn by_name(channels: Vec<Value>) -> HashMap<String, Value> {
    let named = |channel: Value| (channel["name"].as_str().unwrap_or_default().to_owned(), channel);
    channels.into_iter().map(named).collect()
}

fn of_vhost(vhost: &VHost, channels: &HashMap<String, Value>) -> Vec<Value> {
    vhost.queues().iter().flat_map(|queue| of_queue(queue, channels)).collect()
}

fn of_queue(queue: &Queue, channels: &HashMap<String, Value>) -> Vec<Value> {
    let consumers = queue.consumers();
    let to_json = |consumer: &leveret_broker::queue::ConsumerInfo| {
        let channel = channels.get(&consumer.channel).unwrap_or(&Value::Null);
        json!({
            "consumer_tag": consumer.tag,
            "ack_required": consumer.ack_required,
            "exclusive": consumer.exclusive,
            "prefetch_count": consumer.prefetch,
            "active": consumer.active,
            "activity_status": if consumer.active { "single_active" } else { "waiting" },
            "arguments": table_to_json(&consumer.arguments),
            "queue": { "name": queue.name, "vhost": queue.vhost },
            "channel_details": {
                "name": consumer.channel,
                "number": channel["number"],
                "user": channel["user"],
                "node": channel["node"],
                "connection_name": channel["connection_details"]["name"],
                "peer_host": channel["connection_details"]["peer_host"],
                "peer_port": channel["connection_details"]["peer_port"],
            },
        })
    };
    let mut items: Vec<_> = consumers.iter().map(to_json).collect();
    if !queue.single_active_consumer {
        items.iter_mut().for_each(|item| item["activity_status"] = json!("up"));
    }
    items
}

/// A queue's consumers, for its own page.
pub(super) fn consumer_details(api: &Api, queue: &Queue) -> Vec<Value> {
    of_queue(queue, &by_name(api.clients.channels()))
}
