//! Virtual hosts.

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::get,
};
use leveret_broker::{
    VHost,
    access::{Permissions, Role},
};
use serde_json::{Map, Value, json};

use super::{Answer, created, overview::totals};
use crate::{Api, access::Caller, body::Body, error::ApiError, paging::ListQuery, step};

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/vhosts", get(list))
        .route("/vhosts/{vhost}", get(one).put(put).delete(delete))
        .route("/vhosts/{vhost}/permissions", get(permissions))
        .route("/vhosts/{vhost}/topic-permissions", get(topic_permissions))
        .route("/vhosts/{vhost}/connections", get(connections))
        .route("/vhosts/{vhost}/channels", get(channels))
}

fn to_json(api: &Api, vhost: &VHost) -> Value {
    let counts: Vec<_> = vhost.queues().iter().map(|queue| queue.counts()).collect();
    let mut object = Map::new();
    object.insert("name".to_owned(), json!(vhost.name));
    object.insert("description".to_owned(), json!(""));
    object.insert("tags".to_owned(), json!([]));
    object.insert("default_queue_type".to_owned(), json!("classic"));
    object.insert("metadata".to_owned(), json!({ "description": "", "tags": [], "default_queue_type": "classic" }));
    object.insert("tracing".to_owned(), json!(false));
    object.insert("cluster_state".to_owned(), json!({ api.clients.node(): "running" }));
    if let Value::Object(totals) = totals(&counts) {
        object.extend(totals);
    }
    Value::Object(object)
}

async fn list(State(api): State<Api>, Query(query): Query<ListQuery>, caller: Caller) -> Answer {
    query.apply(caller.vhosts(&api).iter().map(|vhost| to_json(&api, vhost)).collect())
}

async fn one(State(api): State<Api>, Path(name): Path<String>, caller: Caller) -> Answer {
    Ok(Json(to_json(&api, &*caller.vhost(&api, &name)?)))
}

/// Who creates a vhost gets all permissions in it, as in RabbitMQ.
async fn put(
    State(api): State<Api>,
    Path(name): Path<String>,
    caller: Caller,
    body: Body,
) -> Result<StatusCode, ApiError> {
    caller.require(Role::Administrator)?;
    if body.flag("tracing", false)? {
        return Err(ApiError::bad_request("tracing is not available"));
    }
    let is_new = step::commit(&api, |turn| {
        let is_new = api.broker.create_vhost(turn, &name)?;
        if let Some(user) = caller.user().filter(|_| is_new) {
            let all = || ".*".to_owned();
            let permissions = Permissions {
                user: user.name.clone(),
                vhost: name.as_str().into(),
                configure: all(),
                write: all(),
                read: all(),
            };
            api.broker.set_permissions(turn, permissions)?;
        }
        Ok(is_new)
    });
    Ok(created(is_new.await?))
}

async fn delete(State(api): State<Api>, Path(name): Path<String>, caller: Caller) -> Result<StatusCode, ApiError> {
    caller.require(Role::Administrator)?;
    let found = step::commit(&api, |turn| Ok(api.broker.remove_vhost(turn, &name))).await?;
    if !found {
        return Err(ApiError::NotFound);
    }
    api.clients.close_vhost(&name, &format!("vhost '{name}' is deleted"));
    Ok(StatusCode::NO_CONTENT)
}

async fn permissions(State(api): State<Api>, Path(name): Path<String>, caller: Caller) -> Answer {
    caller.require(Role::Administrator)?;
    caller.vhost(&api, &name)?;
    let mut all = api.broker.access().all_permissions();
    all.retain(|permissions| *permissions.vhost == name);
    Ok(Json(json!(all)))
}

async fn topic_permissions(State(api): State<Api>, Path(name): Path<String>, caller: Caller) -> Answer {
    caller.require(Role::Administrator)?;
    caller.vhost(&api, &name)?;
    let mut all = api.broker.access().all_topic_permissions();
    all.retain(|permissions| *permissions.vhost == name);
    Ok(Json(json!(all)))
}

async fn connections(
    State(api): State<Api>,
    Path(name): Path<String>,
    Query(query): Query<ListQuery>,
    caller: Caller,
) -> Answer {
    caller.vhost(&api, &name)?;
    query.apply(of_vhost(api.clients.connections(), &name, &caller))
}

async fn channels(
    State(api): State<Api>,
    Path(name): Path<String>,
    Query(query): Query<ListQuery>,
    caller: Caller,
) -> Answer {
    caller.vhost(&api, &name)?;
    query.apply(of_vhost(api.clients.channels(), &name, &caller))
}

fn of_vhost(mut items: Vec<Value>, vhost: &str, caller: &Caller) -> Vec<Value> {
    items.retain(|item| item["vhost"] == vhost && caller.sees_of(item["user"].as_str().unwrap_or_default()));
    items
}
