//! Virtual hosts.

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::get,
};
use leveret_broker::{
    Turn, VHost, VHostMetadata,
    access::{Permissions, Role},
    queue::Kind,
};
use serde_json::{Map, Value, json};

use super::{Answer, created, overview::totals, users};
use crate::{Api, access::Caller, body::Body, error::ApiError, paging::ListQuery, step};

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/vhosts", get(list))
        .route("/vhosts/{vhost}", get(one).put(put).patch(update).delete(delete))
        .route("/vhosts/{vhost}/permissions", get(permissions))
        .route("/vhosts/{vhost}/topic-permissions", get(topic_permissions))
        .route("/vhosts/{vhost}/connections", get(connections))
        .route("/vhosts/{vhost}/channels", get(channels))
}

/// A vhost as in definitions: what is said of it twice, as RabbitMQ does it.
pub(super) fn definition(vhost: &VHost) -> Map<String, Value> {
    let metadata = vhost.metadata();
    let said = [
        ("description", json!(metadata.description)),
        ("tags", json!(metadata.tags)),
        ("default_queue_type", json!(metadata.default_queue_type.unwrap_or_default().name())),
    ];
    let mut object: Map<_, _> = said.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    object.insert("metadata".to_owned(), json!(object));
    object.insert("name".to_owned(), json!(vhost.name));
    object
}

/// What a request or definitions say of a vhost; `None` where they say nothing.
struct Changes {
    description: Option<String>,
    tags: Option<Vec<String>>,
    default_queue_type: Option<Kind>,
}

impl Changes {
    fn from_json(body: &Body) -> Result<Self, ApiError> {
        // The key of RabbitMQ 3.11 is still known.
        let queue_type = body.text("default_queue_type")?.or(body.text("defaultqueuetype")?);
        Ok(Self {
            description: body.text("description")?.map(ToOwned::to_owned),
            tags: body.0.get("tags").filter(|tags| !tags.is_null()).map(users::tags).transpose()?,
            // RabbitMQ has written this text where there was none.
            default_queue_type: queue_type.filter(|name| *name != "undefined").map(queue_kind).transpose()?,
        })
    }

    fn apply(self, metadata: &mut VHostMetadata) {
        if let Some(description) = self.description {
            metadata.description = description;
        }
        if let Some(tags) = self.tags {
            metadata.tags = tags;
        }
        metadata.default_queue_type = self.default_queue_type.or(metadata.default_queue_type);
    }
}

fn queue_kind(name: &str) -> Result<Kind, ApiError> {
    Kind::from_name(name).ok_or_else(|| match name {
        "" => ApiError::bad_request("default_queue_type must not be an empty string"),
        "stream" | "rabbit_stream_queue" => ApiError::bad_request(format!("queue type {name} is not available")),
        _ => ApiError::bad_request(format!("{name} is not a valid queue type")),
    })
}

fn to_json(api: &Api, vhost: &VHost) -> Value {
    let counts: Vec<_> = vhost.queues().iter().map(|queue| queue.counts()).collect();
    let mut object = definition(vhost);
    object.insert("tracing".to_owned(), json!(false));
    object.insert("cluster_state".to_owned(), json!({ api.clients.node(): "running" }));
    if let Value::Object(totals) = totals(&counts) {
        object.extend(totals);
    }
    Value::Object(object)
}

async fn list(State(api): State<Api>, Query(query): Query<ListQuery>, caller: Caller) -> Answer {
    query.apply(caller.vhosts(&api).await.iter().map(|vhost| to_json(&api, vhost)).collect())
}

async fn one(State(api): State<Api>, Path(name): Path<String>, caller: Caller) -> Answer {
    Ok(Json(to_json(&api, &*caller.vhost(&api, &name).await?)))
}

/// Creates a vhost, or replaces all that is said of it: what is left out is not kept, as in RabbitMQ. Who creates a
/// vhost gets all permissions in it.
async fn put(
    State(api): State<Api>,
    Path(name): Path<String>,
    caller: Caller,
    body: Body,
) -> Result<StatusCode, ApiError> {
    caller.require(Role::Administrator)?;
    if body.flag("tracing", false)? {
        return Err(ApiError::bad_request("tracing (the firehose) is not available"));
    }
    let mut metadata = VHostMetadata::default();
    Changes::from_json(&body)?.apply(&mut metadata);
    let is_new = step::commit(&api, &caller, |turn| {
        let is_new = api.broker.create_vhost(turn, &name, metadata.clone())?;
        if !is_new {
            change_metadata(&api, turn, &name, |present| *present = metadata)?;
        }
        if let Some(user) = caller.user().filter(|_| is_new && caller.is_internal()) {
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

/// Leveret's own, for `ctl update_vhost_metadata`: what is left out stays.
async fn update(
    State(api): State<Api>,
    Path(name): Path<String>,
    caller: Caller,
    body: Body,
) -> Result<StatusCode, ApiError> {
    caller.require(Role::Administrator)?;
    let changes = Changes::from_json(&body)?;
    step::commit(&api, &caller, |turn| change_metadata(&api, turn, &name, |metadata| changes.apply(metadata))).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn change_metadata(
    api: &Api,
    turn: &mut Turn<'_>,
    name: &str,
    change: impl FnOnce(&mut VHostMetadata),
) -> Result<(), ApiError> {
    if api.broker.change_vhost_metadata(turn, name, change) { Ok(()) } else { Err(ApiError::NotFound) }
}

/// Creates a vhost that definitions describe, or changes what they say of it.
pub(super) fn apply(api: &Api, turn: &mut Turn<'_>, body: &Body) -> Result<(), ApiError> {
    let name = body.required("name")?;
    let mut said = body.0.clone();
    said.extend(body.object("metadata")?);
    let changes = Changes::from_json(&Body(said))?;
    api.broker.create_vhost(turn, name, VHostMetadata::default())?;
    change_metadata(api, turn, name, |metadata| changes.apply(metadata))
}

async fn delete(State(api): State<Api>, Path(name): Path<String>, caller: Caller) -> Result<StatusCode, ApiError> {
    caller.require(Role::Administrator)?;
    step::commit(&api, &caller, |turn| {
        if !api.broker.remove_vhost(turn, &name) {
            return Err(ApiError::NotFound);
        }
        // In the same step: a request that is given up while it waits would leave them open.
        api.clients.close_vhost(&name);
        Ok(())
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn permissions(State(api): State<Api>, Path(name): Path<String>, caller: Caller) -> Answer {
    caller.require(Role::Administrator)?;
    caller.vhost(&api, &name).await?;
    let mut all = api.broker.access().all_permissions();
    all.retain(|permissions| *permissions.vhost == name);
    Ok(Json(json!(all)))
}

async fn topic_permissions(State(api): State<Api>, Path(name): Path<String>, caller: Caller) -> Answer {
    caller.require(Role::Administrator)?;
    caller.vhost(&api, &name).await?;
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
    caller.vhost(&api, &name).await?;
    query.apply(of_vhost(api.clients.connections(), &name, &caller))
}

async fn channels(
    State(api): State<Api>,
    Path(name): Path<String>,
    Query(query): Query<ListQuery>,
    caller: Caller,
) -> Answer {
    caller.vhost(&api, &name).await?;
    query.apply(of_vhost(api.clients.channels(), &name, &caller))
}

fn of_vhost(mut items: Vec<Value>, vhost: &str, caller: &Caller) -> Vec<Value> {
    items.retain(|item| item["vhost"] == vhost && caller.sees_of(item["user"].as_str().unwrap_or_default()));
    items
}
