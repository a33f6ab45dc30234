//! Limits of vhosts and users.
//!
//! RabbitMQ's API sets and clears one limit at a time. For rabbitmqctl's commands, which set and clear several, there
//! are routes of Leveret's own, so that such a change is done as a whole: PUT replaces all limits of a vhost, PATCH
//! adds to those of a user, and DELETE removes all. Clearing what is not set succeeds.

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, put},
};
use leveret_broker::{
    Turn,
    access::Role,
    limits::{LimitError, UserLimits, VHostLimits},
};
use serde_json::{Map, Value, json};

use super::Answer;
use crate::{Api, access::Caller, body::Body, error::ApiError, step};

/// The component and the name of the parameter that holds a vhost's limits in definitions.
pub(super) const COMPONENT: &str = "vhost-limits";
const PARAMETER: &str = "limits";

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/vhost-limits", get(of_vhosts))
        .route("/vhost-limits/{vhost}", get(of_vhost).put(set_vhost).delete(clear_vhost))
        .route("/vhost-limits/{vhost}/{name}", put(set_one_of_vhost).delete(clear_one_of_vhost))
        .route("/user-limits", get(of_users))
        .route("/user-limits/{user}", get(of_user).patch(update_user).delete(clear_user))
        .route("/user-limits/{user}/{name}", put(set_one_of_user).delete(clear_one_of_user))
}

/// The limit of a name that `{"value": 10}` sets, as `{"max-connections": 10}`.
fn one(name: String, mut body: Body) -> Result<Map<String, Value>, ApiError> {
    let value = body.0.remove("value").ok_or_else(|| ApiError::bad_request("key_missing: value"))?;
    Ok(Map::from_iter([(name, value)]))
}

fn vhost_from_json(definition: &Map<String, Value>) -> Result<VHostLimits, ApiError> {
    VHostLimits::from_json(definition).map_err(vhost_error)
}

/// RabbitMQ keeps a vhost's limits as a parameter, and says so of those it refuses.
fn vhost_error(error: LimitError) -> ApiError {
    match ApiError::from(error) {
        ApiError::BadRequest(reason) => ApiError::BadRequest(format!("Validation failed\n\n{reason}\n")),
        other => other,
    }
}

async fn of_vhosts(State(api): State<Api>, caller: Caller) -> Answer {
    let mut all = api.broker.limits().vhosts();
    let seen = caller.seen_vhosts(&api).await;
    all.retain(|(vhost, _)| seen.contains(vhost));
    Ok(Json(all.iter().map(|(vhost, limits)| json!({ "vhost": vhost, "value": limits })).collect()))
}

async fn of_vhost(State(api): State<Api>, Path(vhost): Path<String>, caller: Caller) -> Answer {
    caller.vhost(&api, &vhost).await?;
    let limits = api.broker.limits().vhost(&vhost);
    let is_set = limits != VHostLimits::default();
    Ok(Json(is_set.then(|| json!({ "vhost": vhost, "value": limits })).into_iter().collect()))
}

async fn set_vhost(
    State(api): State<Api>,
    Path(vhost): Path<String>,
    caller: Caller,
    body: Body,
) -> Result<StatusCode, ApiError> {
    caller.require(Role::Administrator)?;
    let limits = vhost_from_json(&body.0)?;
    change_vhost(&api, &caller, &vhost, |_| Ok(limits)).await
}

async fn set_one_of_vhost(
    State(api): State<Api>,
    Path((vhost, name)): Path<(String, String)>,
    caller: Caller,
    body: Body,
) -> Result<StatusCode, ApiError> {
    caller.require(Role::Administrator)?;
    let limits = vhost_from_json(&one(name, body)?)?;
    change_vhost(&api, &caller, &vhost, |present| Ok(present.updated(limits))).await
}

async fn clear_vhost(
    State(api): State<Api>,
    Path(vhost): Path<String>,
    caller: Caller,
) -> Result<StatusCode, ApiError> {
    caller.require(Role::Administrator)?;
    change_vhost(&api, &caller, &vhost, |_| Ok(VHostLimits::default())).await
}

async fn clear_one_of_vhost(
    State(api): State<Api>,
    Path((vhost, name)): Path<(String, String)>,
    caller: Caller,
) -> Result<StatusCode, ApiError> {
    caller.require(Role::Administrator)?;
    change_vhost(&api, &caller, &vhost, |present| present.without(&name)).await
}

async fn change_vhost(
    api: &Api,
    caller: &Caller,
    vhost: &str,
    change: impl FnOnce(VHostLimits) -> Result<VHostLimits, LimitError>,
) -> Result<StatusCode, ApiError> {
    step::commit(api, caller, |turn| api.broker.change_vhost_limits(turn, vhost, change).map_err(vhost_error)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn of_users(State(api): State<Api>, caller: Caller) -> Answer {
    caller.require(Role::Administrator)?;
    let all = api.broker.limits().users();
    Ok(Json(all.iter().map(|(user, limits)| json!({ "user": user, "value": limits })).collect()))
}

async fn of_user(State(api): State<Api>, Path(user): Path<String>, caller: Caller) -> Answer {
    if !caller.sees_of(&user) {
        caller.require(Role::Monitoring)?;
    }
    api.broker.access().user(&user).ok_or(ApiError::NotFound)?;
    let limits = api.broker.limits().user(&user);
    let is_set = limits != UserLimits::default();
    Ok(Json(is_set.then(|| json!({ "user": user, "value": limits })).into_iter().collect()))
}

async fn update_user(
    State(api): State<Api>,
    Path(user): Path<String>,
    caller: Caller,
    body: Body,
) -> Result<StatusCode, ApiError> {
    caller.require(Role::Administrator)?;
    let limits = UserLimits::from_json(&body.0)?;
    change_user(&api, &caller, &user, |present| Ok(present.updated(limits))).await
}

async fn set_one_of_user(
    State(api): State<Api>,
    Path((user, name)): Path<(String, String)>,
    caller: Caller,
    body: Body,
) -> Result<StatusCode, ApiError> {
    caller.require(Role::Administrator)?;
    let limits = UserLimits::from_json(&one(name, body)?)?;
    change_user(&api, &caller, &user, |present| Ok(present.updated(limits))).await
}

async fn clear_user(State(api): State<Api>, Path(user): Path<String>, caller: Caller) -> Result<StatusCode, ApiError> {
    caller.require(Role::Administrator)?;
    change_user(&api, &caller, &user, |_| Ok(UserLimits::default())).await
}

async fn clear_one_of_user(
    State(api): State<Api>,
    Path((user, name)): Path<(String, String)>,
    caller: Caller,
) -> Result<StatusCode, ApiError> {
    caller.require(Role::Administrator)?;
    change_user(&api, &caller, &user, |present| present.without(&name)).await
}

async fn change_user(
    api: &Api,
    caller: &Caller,
    user: &str,
    change: impl FnOnce(UserLimits) -> Result<UserLimits, LimitError>,
) -> Result<StatusCode, ApiError> {
    step::commit(api, caller, |turn| Ok(api.broker.change_user_limits(turn, user, change)?)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The limits of vhosts as definitions have them: of all, or of one.
pub(super) fn parameters(api: &Api, vhost: Option<&str>) -> Vec<Value> {
    let mut all = api.broker.limits().vhosts();
    all.retain(|(name, _)| vhost.is_none_or(|vhost| **name == *vhost));
    let to_json =
        |(vhost, limits): &_| json!({ "component": COMPONENT, "vhost": vhost, "name": PARAMETER, "value": limits });
    all.iter().map(to_json).collect()
}

/// Replaces the limits of a vhost by what a parameter in definitions says.
pub(super) fn apply_parameter(api: &Api, turn: &mut Turn<'_>, vhost: &str, parameter: &Body) -> Result<(), ApiError> {
    let limits = vhost_from_json(&parameter.object("value")?)?;
    api.broker.change_vhost_limits(turn, vhost, |_| Ok(limits)).map_err(vhost_error)
}
