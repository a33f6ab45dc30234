//! Permissions and topic permissions.

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::get,
};
use leveret_broker::access::{Permissions, Role, TopicPermissions};
use serde_json::{Value, json};

use super::{Answer, created};
use crate::{Api, access::Caller, body::Body, error::ApiError, paging::ListQuery, step};

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/permissions", get(list))
        .route("/permissions/{vhost}/{user}", get(one).put(put).delete(delete))
        .route("/topic-permissions", get(list_topics))
        .route("/topic-permissions/{vhost}/{user}", get(topics).put(put_topic).delete(delete_topics))
        .route("/topic-permissions/{vhost}/{user}/{exchange}", get(topic).delete(delete_topic))
}

/// What a permission names must be there.
fn check_ends(api: &Api, vhost: &str, user: &str) -> Result<(), ApiError> {
    match (api.broker.vhost(vhost), api.broker.access().user(user)) {
        (Some(_), Some(_)) => Ok(()),
        (None, _) => Err(ApiError::bad_request(format!("vhost '{vhost}' does not exist"))),
        (_, None) => Err(ApiError::bad_request(format!("user '{user}' does not exist"))),
    }
}

pub(super) fn from_json(vhost: &str, user: &str, body: &Body) -> Result<Permissions, ApiError> {
    Ok(Permissions {
        user: user.into(),
        vhost: vhost.into(),
        configure: body.required("configure")?.to_owned(),
        write: body.required("write")?.to_owned(),
        read: body.required("read")?.to_owned(),
    })
}

pub(super) fn topic_from_json(vhost: &str, user: &str, body: &Body) -> Result<TopicPermissions, ApiError> {
    Ok(TopicPermissions {
        user: user.into(),
        vhost: vhost.into(),
        exchange: body.required("exchange")?.into(),
        write: body.required("write")?.to_owned(),
        read: body.required("read")?.to_owned(),
    })
}

async fn list(State(api): State<Api>, Query(query): Query<ListQuery>, caller: Caller) -> Answer {
    caller.require(Role::Administrator)?;
    query.apply(api.broker.access().all_permissions().iter().map(|permissions| json!(permissions)).collect())
}

async fn one(State(api): State<Api>, Path((vhost, user)): Path<(String, String)>, caller: Caller) -> Answer {
    caller.require(Role::Administrator)?;
    let permissions = api.broker.access().permissions(&user, &vhost).ok_or(ApiError::NotFound)?;
    Ok(Json(json!(permissions)))
}

async fn put(
    State(api): State<Api>,
    Path((vhost, user)): Path<(String, String)>,
    caller: Caller,
    body: Body,
) -> Result<StatusCode, ApiError> {
    caller.require(Role::Administrator)?;
    let permissions = from_json(&vhost, &user, &body)?;
    let is_new = api.broker.access().permissions(&user, &vhost).is_none();
    step::commit(&api, &caller, |turn| {
        check_ends(&api, &vhost, &user)?;
        api.broker.set_permissions(turn, permissions)?;
        Ok(())
    })
    .await?;
    Ok(created(is_new))
}

async fn delete(
    State(api): State<Api>,
    Path((vhost, user)): Path<(String, String)>,
    caller: Caller,
) -> Result<StatusCode, ApiError> {
    caller.require(Role::Administrator)?;
    let found = step::commit(&api, &caller, |turn| Ok(api.broker.clear_permissions(turn, &user, &vhost))).await?;
    if found { Ok(StatusCode::NO_CONTENT) } else { Err(ApiError::NotFound) }
}

async fn list_topics(State(api): State<Api>, Query(query): Query<ListQuery>, caller: Caller) -> Answer {
    caller.require(Role::Administrator)?;
    query.apply(api.broker.access().all_topic_permissions().iter().map(|permissions| json!(permissions)).collect())
}

async fn topics(State(api): State<Api>, Path((vhost, user)): Path<(String, String)>, caller: Caller) -> Answer {
    caller.require(Role::Administrator)?;
    let mut all = api.broker.access().all_topic_permissions();
    all.retain(|permissions| *permissions.user == user && *permissions.vhost == vhost);
    if all.is_empty() { Err(ApiError::NotFound) } else { Ok(Json(json!(all))) }
}

async fn topic(
    State(api): State<Api>,
    Path((vhost, user, exchange)): Path<(String, String, String)>,
    caller: Caller,
) -> Answer {
    caller.require(Role::Administrator)?;
    let found = api.broker.access().topic_permissions(&user, &vhost, &exchange);
    found.map(|permissions| Json::<Value>(json!(permissions))).ok_or(ApiError::NotFound)
}

async fn put_topic(
    State(api): State<Api>,
    Path((vhost, user)): Path<(String, String)>,
    caller: Caller,
    body: Body,
) -> Result<StatusCode, ApiError> {
    caller.require(Role::Administrator)?;
    let permissions = topic_from_json(&vhost, &user, &body)?;
    let is_new = api.broker.access().topic_permissions(&user, &vhost, &permissions.exchange).is_none();
    step::commit(&api, &caller, |turn| {
        check_ends(&api, &vhost, &user)?;
        api.broker.set_topic_permissions(turn, permissions)?;
        Ok(())
    })
    .await?;
    Ok(created(is_new))
}

async fn delete_topics(
    State(api): State<Api>,
    Path((vhost, user)): Path<(String, String)>,
    caller: Caller,
) -> Result<StatusCode, ApiError> {
    clear_topics(&api, &caller, &user, &vhost, None).await
}

async fn delete_topic(
    State(api): State<Api>,
    Path((vhost, user, exchange)): Path<(String, String, String)>,
    caller: Caller,
) -> Result<StatusCode, ApiError> {
    clear_topics(&api, &caller, &user, &vhost, Some(&exchange)).await
}

async fn clear_topics(
    api: &Api,
    caller: &Caller,
    user: &str,
    vhost: &str,
    exchange: Option<&str>,
) -> Result<StatusCode, ApiError> {
    caller.require(Role::Administrator)?;
    let found =
        step::commit(api, caller, |turn| Ok(api.broker.clear_topic_permissions(turn, user, vhost, exchange))).await?;
    if found { Ok(StatusCode::NO_CONTENT) } else { Err(ApiError::NotFound) }
}
