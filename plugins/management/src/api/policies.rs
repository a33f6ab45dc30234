//! Policies and operator policies.

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::get,
};
use leveret_broker::{
    access::Role,
    policy::{ApplyTo, Policy, PolicyRole},
};
use serde_json::{Value, json};

use super::{Answer, created};
use crate::{Api, access::Caller, body::Body, error::ApiError, paging::ListQuery, step};

pub(super) fn routes() -> Router<Api> {
    of_role(PolicyRole::Ordinary, "/policies").merge(of_role(PolicyRole::Operator, "/operator-policies"))
}

/// The same routes twice: only whose policies they are differs.
fn of_role(role: PolicyRole, path: &str) -> Router<Api> {
    let all = async move |State(api): State<Api>, Query(query): Query<ListQuery>, caller: Caller| {
        list(&api, role, &query, &caller, None).await
    };
    let of_vhost = async move |State(api): State<Api>,
                               Path(vhost): Path<String>,
                               Query(query): Query<ListQuery>,
                               caller: Caller| list(&api, role, &query, &caller, Some(&vhost)).await;
    let one = async move |State(api): State<Api>, Path((vhost, name)): Path<(String, String)>, caller: Caller| {
        one(&api, role, &caller, &vhost, &name).await
    };
    let put = async move |State(api): State<Api>,
                          Path((vhost, name)): Path<(String, String)>,
                          caller: Caller,
                          body: Body| put(&api, role, &caller, &vhost, &name, &body).await;
    let delete = async move |State(api): State<Api>, Path((vhost, name)): Path<(String, String)>, caller: Caller| {
        delete(&api, role, &caller, &vhost, &name).await
    };
    Router::new()
        .route(path, get(all))
        .route(&format!("{path}/{{vhost}}"), get(of_vhost))
        .route(&format!("{path}/{{vhost}}/{{name}}"), get(one).put(put).delete(delete))
}

async fn check_vhost(api: &Api, caller: &Caller, vhost: &str) -> Result<(), ApiError> {
    caller.require(Role::Policymaker)?;
    caller.vhost(api, vhost).await.map(drop)
}

async fn list(api: &Api, role: PolicyRole, query: &ListQuery, caller: &Caller, vhost: Option<&str>) -> Answer {
    caller.require(Role::Management)?;
    if let Some(vhost) = vhost {
        caller.vhost(api, vhost).await?;
    }
    let mut policies = api.broker.policies().all(role);
    policies.retain(|policy| vhost.is_none_or(|vhost| *policy.vhost == *vhost));
    let seen = caller.seen_vhosts(api).await;
    policies.retain(|policy| seen.contains(&policy.vhost));
    query.apply(policies.iter().map(|policy| json!(policy)).collect())
}

async fn one(api: &Api, role: PolicyRole, caller: &Caller, vhost: &str, name: &str) -> Answer {
    caller.vhost(api, vhost).await?;
    let policy = api.broker.policies().policy(role, vhost, name).ok_or(ApiError::NotFound)?;
    Ok(Json(json!(policy)))
}

/// The policy that a request or definitions describe.
pub(super) fn from_json(vhost: &str, name: &str, body: &Body) -> Result<Policy, ApiError> {
    let definition = match body.0.get("definition") {
        Some(Value::Object(definition)) => definition.clone(),
        Some(_) => return Err(ApiError::bad_request("'definition' must be an object")),
        None => return Err(ApiError::bad_request("key_missing: definition")),
    };
    Ok(Policy {
        name: name.into(),
        vhost: vhost.into(),
        pattern: body.required("pattern")?.to_owned(),
        apply_to: body.text("apply-to")?.map_or(Ok(ApplyTo::All), ApplyTo::from_name)?,
        priority: body.integer("priority")?.unwrap_or(0),
        definition,
    })
}

async fn put(
    api: &Api,
    role: PolicyRole,
    caller: &Caller,
    vhost: &str,
    name: &str,
    body: &Body,
) -> Result<StatusCode, ApiError> {
    check_vhost(api, caller, vhost).await?;
    if role == PolicyRole::Operator {
        caller.require(Role::Administrator)?;
    }
    let policy = from_json(vhost, name, body)?;
    let is_new = api.broker.policies().policy(role, vhost, name).is_none();
    step::commit(api, caller, |turn| Ok(api.broker.set_policy(turn, role, policy)?)).await?;
    Ok(created(is_new))
}

async fn delete(api: &Api, role: PolicyRole, caller: &Caller, vhost: &str, name: &str) -> Result<StatusCode, ApiError> {
    check_vhost(api, caller, vhost).await?;
    if role == PolicyRole::Operator {
        caller.require(Role::Administrator)?;
    }
    let found = step::commit(api, caller, |turn| Ok(api.broker.clear_policy(turn, role, vhost, name))).await?;
    if found { Ok(StatusCode::NO_CONTENT) } else { Err(ApiError::NotFound) }
}
