//! Queues.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::get,
};
use leveret_amqp::{FieldTable, FieldValue};
use leveret_broker::{
    DeclareQueue, VHost,
    access::{Permission, Resource},
    plugin::table_to_json,
    policy,
    queue::Queue,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, clients::consumer_details, created, overview::Stats};
use crate::{Api, access::Caller, body::Body, error::ApiError, paging::ListQuery, step};

/// No connection has this number: what is exclusive is refused, as RabbitMQ's API does it.
const NO_CONNECTION: u64 = 0;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/queues", get(list))
        .route("/queues/detailed", get(list))
        .route("/queues/{vhost}", get(list_of))
        .route("/queues/{vhost}/{queue}", get(one).put(put).delete(delete))
        .route("/queues/{vhost}/{queue}/contents", axum::routing::delete(purge))
}

#[derive(Deserialize)]
struct DeleteQuery {
    #[serde(rename = "if-unused")]
    if_unused: Option<String>,
    #[serde(rename = "if-empty")]
    if_empty: Option<String>,
}

fn to_json(api: &Api, queue: &Queue) -> Value {
    let counts = queue.counts();
    let policies = api.broker.policies();
    let policy = policies.matching(&queue.vhost, &queue.name, queue.kind.into());
    let operator = policies.matching_operator(&queue.vhost, &queue.name, queue.kind.into());
    json!({
        "name": queue.name,
        "vhost": queue.vhost,
        "type": queue.kind.name(),
        "node": api.clients.node(),
        "state": "running",
        "durable": queue.durable,
        "auto_delete": queue.auto_delete,
        "exclusive": queue.exclusive_to.is_some(),
        "arguments": table_to_json(&queue.arguments),
        "policy": policy.as_ref().map(|policy| policy.name.to_string()),
        "operator_policy": operator.as_ref().map(|policy| policy.name.to_string()),
        "effective_policy_definition": policy::effective_definition(policy.as_deref(), operator.as_deref()),
        "messages": counts.ready + counts.unacked + counts.waiting,
        "messages_ready": counts.ready,
        "messages_unacknowledged": counts.unacked,
        "messages_delayed": counts.waiting,
        "message_bytes": counts.ready_bytes + counts.unacked_bytes + counts.waiting_bytes,
        "message_bytes_ready": counts.ready_bytes,
        "message_bytes_unacknowledged": counts.unacked_bytes,
        "message_bytes_delayed": counts.waiting_bytes,
        "consumers": counts.consumers,
        "message_stats": Stats::of(queue).to_json(),
    })
}

fn all_of(api: &Api, vhost: &VHost) -> Vec<Value> {
    vhost.queues().iter().map(|queue| to_json(api, queue)).collect()
}

async fn list(State(api): State<Api>, Query(query): Query<ListQuery>, caller: Caller) -> Answer {
    query.apply(caller.vhosts(&api).await.iter().flat_map(|vhost| all_of(&api, vhost)).collect())
}

async fn list_of(
    State(api): State<Api>,
    Path(vhost): Path<String>,
    Query(query): Query<ListQuery>,
    caller: Caller,
) -> Answer {
    let vhost = caller.vhost(&api, &vhost).await?;
    query.apply(all_of(&api, &vhost))
}

async fn one(State(api): State<Api>, Path((vhost, name)): Path<(String, String)>, caller: Caller) -> Answer {
    let vhost = caller.vhost(&api, &vhost).await?;
    let queue = vhost.find_queue(&name).ok_or(ApiError::NotFound)?;
    let mut found = to_json(&api, &queue);
    let consumers = consumer_details(&api, &queue);
    found["owner_pid_details"] = owner(&api, &queue);
    let active = consumers.iter().find(|consumer| queue.single_active_consumer && consumer["active"] == true);
    found["single_active_consumer_tag"] = active.map_or(Value::Null, |consumer| consumer["consumer_tag"].clone());
    found["consumer_details"] = Value::Array(consumers);
    Ok(Json(found))
}

/// The connection that an exclusive queue belongs to.
fn owner(api: &Api, queue: &Queue) -> Value {
    let Some(id) = queue.exclusive_to else { return Value::Null };
    let connections = api.clients.connections();
    connections.iter().find(|connection| connection["id"] == id).map_or(Value::Null, |connection| {
        json!({
            "name": connection["name"], "peer_host": connection["peer_host"], "peer_port": connection["peer_port"],
        })
    })
}

async fn put(
    State(api): State<Api>,
    Path((vhost, name)): Path<(String, String)>,
    caller: Caller,
    body: Body,
) -> Result<StatusCode, ApiError> {
    let vhost = caller.vhost(&api, &vhost).await?;
    let arguments = body.arguments()?;
    let declare = from_json(&name, &body, &arguments)?;
    let onward = arguments.get("x-dead-letter-exchange").and_then(FieldValue::as_str);
    caller.check_declare(&api, &vhost.name, Resource::Queue(&name), onward).await?;
    let is_new = vhost.find_queue(&name).is_none();
    step::commit(&api, &caller, |turn| {
        if name.starts_with("amq.") && is_new {
            return Err(leveret_broker::Error::reserved_name("queue", &name).into());
        }
        vhost.declare_queue(turn, &declare)?;
        Ok(())
    })
    .await?;
    Ok(created(is_new))
}

/// The declaration that a request or definitions describe. RabbitMQ's defaults: durable.
pub(super) fn from_json<'a>(
    name: &'a str,
    body: &Body,
    arguments: &'a FieldTable,
) -> Result<DeclareQueue<'a>, ApiError> {
    Ok(DeclareQueue {
        name,
        durable: body.flag("durable", true)?,
        auto_delete: body.flag("auto_delete", false)?,
        exclusive_to: None,
        arguments,
    })
}

/// The queue, where this caller may do something to it. Only the local administrator reaches exclusive ones.
pub(super) async fn find(
    api: &Api,
    caller: &Caller,
    vhost: &VHost,
    name: &str,
    permission: Permission,
) -> Result<Arc<Queue>, ApiError> {
    caller.check(api, &vhost.name, permission, Resource::Queue(name)).await?;
    if caller.user().is_none() {
        return vhost.find_queue(name).ok_or(ApiError::NotFound);
    }
    Ok(vhost.queue(name, NO_CONNECTION)?)
}

async fn delete(
    State(api): State<Api>,
    Path((vhost, name)): Path<(String, String)>,
    Query(query): Query<DeleteQuery>,
    caller: Caller,
) -> Result<StatusCode, ApiError> {
    let vhost = caller.vhost(&api, &vhost).await?;
    let queue = find(&api, &caller, &vhost, &name, Permission::Configure).await?;
    let (if_unused, if_empty) = (super::is_set(query.if_unused.as_deref()), super::is_set(query.if_empty.as_deref()));
    step::commit(&api, &caller, |turn| Ok(vhost.delete_queue(turn, &queue, if_unused, if_empty)?)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn purge(
    State(api): State<Api>,
    Path((vhost, name)): Path<(String, String)>,
    caller: Caller,
) -> Result<StatusCode, ApiError> {
    let vhost = caller.vhost(&api, &vhost).await?;
    let queue = find(&api, &caller, &vhost, &name, Permission::Read).await?;
    step::commit(&api, &caller, |turn| Ok(queue.purge(turn))).await?;
    Ok(StatusCode::NO_CONTENT)
}
