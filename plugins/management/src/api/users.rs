//! Users.

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::{get, post},
};
use leveret_broker::{
    Turn,
    access::{HashingAlgorithm, PasswordHash, Role, User, parse_tags},
    limits::UserLimits,
};
use serde_json::{Value, json};

use super::{Answer, created};
use crate::{Api, access::Caller, body::Body, error::ApiError, paging::ListQuery, step};

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/users", get(list))
        .route("/users/without-permissions", get(without_permissions))
        .route("/users/bulk-delete", post(bulk_delete))
        .route("/users/{user}", get(one).put(put).delete(delete))
        .route("/users/{user}/permissions", get(permissions))
        .route("/users/{user}/topic-permissions", get(topic_permissions))
        .route("/auth/authenticate", post(authenticate))
        .route("/auth/hash_password/{password}", get(hash_password))
}

/// As in definitions. A user without a password has an empty hash, as RabbitMQ shows it.
pub(super) fn to_json(api: &Api, user: &User) -> Value {
    let algorithm = user.password.as_ref().map_or_else(HashingAlgorithm::default, PasswordHash::algorithm);
    json!({
        "name": user.name,
        "password_hash": user.password.as_ref().map_or_else(String::new, PasswordHash::to_base64),
        "hashing_algorithm": algorithm.name(),
        "tags": user.tags,
        "limits": api.broker.limits().user(&user.name),
    })
}

/// The user that a request or definitions describe.
fn from_json(name: &str, body: &Body) -> Result<User, ApiError> {
    let tags = match body.0.get("tags").or_else(|| body.0.get("administrator")) {
        Some(Value::Bool(true)) => vec![Role::Administrator.tag().to_owned()],
        Some(Value::Bool(false)) => Vec::new(),
        Some(given) => tags(given)?,
        None => return Err(ApiError::bad_request("tags_not_present")),
    };
    let user = User { name: name.into(), password: password(name, body)?, tags };
    user.check()?;
    Ok(user)
}

/// Tags as a list, or as one text with commas.
pub(super) fn tags(given: &Value) -> Result<Vec<String>, ApiError> {
    match given {
        Value::String(tags) => Ok(parse_tags(tags)),
        Value::Array(tags) => Ok(parse_tags(&texts(tags)?.join(","))),
        Value::Null => Ok(Vec::new()),
        _ => Err(ApiError::bad_request("'tags' must be a list of texts or one text")),
    }
}

/// Adds or replaces a user as a request or definitions describe it. Limits that are not named stay, as in RabbitMQ.
pub(super) fn apply(api: &Api, turn: &mut Turn<'_>, name: &str, body: &Body) -> Result<(), ApiError> {
    let user = from_json(name, body)?;
    let limits = UserLimits::from_json(&body.object("limits")?)?;
    api.broker.put_user(turn, user);
    Ok(api.broker.change_user_limits(turn, name, |present| Ok(present.updated(limits)))?)
}

fn texts(values: &[Value]) -> Result<Vec<&str>, ApiError> {
    let texts = values.iter().map(|value| value.as_str().ok_or_else(|| ApiError::bad_request("not a text in a list")));
    texts.collect()
}

fn password(name: &str, body: &Body) -> Result<Option<PasswordHash>, ApiError> {
    match (body.text("password")?, body.text("password_hash")?) {
        (Some(_), Some(_)) => Err(ApiError::bad_request("both_password_and_password_hash_are_provided")),
        (Some(password), None) => {
            // Through `User`, which knows what a password may be.
            let none: &[&str] = &[];
            Ok(User::new(name, Some(password.as_bytes()), none)?.password)
        }
        (None, Some("") | None) => Ok(None),
        (None, Some(hash)) => {
            let algorithm = match body.text("hashing_algorithm")? {
                None => HashingAlgorithm::default(),
                Some(name) => HashingAlgorithm::from_name(name)
                    .ok_or_else(|| ApiError::bad_request(format!("unknown hashing_algorithm '{name}'")))?,
            };
            Ok(Some(PasswordHash::from_base64(algorithm, hash).map_err(ApiError::bad_request)?))
        }
    }
}

async fn list(State(api): State<Api>, Query(query): Query<ListQuery>, caller: Caller) -> Answer {
    caller.require(Role::Administrator)?;
    query.apply(api.broker.access().users().iter().map(|user| to_json(&api, user)).collect())
}

async fn without_permissions(State(api): State<Api>, caller: Caller) -> Answer {
    caller.require(Role::Administrator)?;
    let permissions = api.broker.access().all_permissions();
    let users = api.broker.access().users();
    let without = users.iter().filter(|user| permissions.iter().all(|of| of.user != user.name));
    Ok(Json(without.map(|user| to_json(&api, user)).collect()))
}

async fn one(State(api): State<Api>, Path(name): Path<String>, caller: Caller) -> Answer {
    caller.require(Role::Administrator)?;
    let user = api.broker.access().user(&name).ok_or(ApiError::NotFound)?;
    Ok(Json(to_json(&api, &user)))
}

async fn put(
    State(api): State<Api>,
    Path(name): Path<String>,
    caller: Caller,
    body: Body,
) -> Result<StatusCode, ApiError> {
    caller.require(Role::Administrator)?;
    let is_new = api.broker.access().user(&name).is_none();
    step::commit(&api, &caller, |turn| apply(&api, turn, &name, &body)).await?;
    Ok(created(is_new))
}

async fn delete(State(api): State<Api>, Path(name): Path<String>, caller: Caller) -> Result<StatusCode, ApiError> {
    caller.require(Role::Administrator)?;
    step::commit(&api, &caller, |turn| delete_one(&api, turn, &name)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The user's connections are closed in the same step: a request that is given up while it waits would leave them open.
fn delete_one(api: &Api, turn: &mut Turn<'_>, name: &str) -> Result<(), ApiError> {
    api.broker.delete_user(turn, name)?;
    api.clients.close_user(name);
    Ok(())
}

/// Those that do not exist are left out.
async fn bulk_delete(State(api): State<Api>, caller: Caller, body: Body) -> Result<StatusCode, ApiError> {
    caller.require(Role::Administrator)?;
    let Some(Value::Array(names)) = body.0.get("users") else {
        return Err(ApiError::bad_request("key_missing: users"));
    };
    let names = texts(names)?;
    step::commit(&api, &caller, |turn| {
        for name in names {
            let _ = delete_one(&api, turn, name);
        }
        Ok(())
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn permissions(State(api): State<Api>, Path(name): Path<String>, caller: Caller) -> Answer {
    require_self_or_administrator(&caller, &name)?;
    api.broker.access().user(&name).ok_or(ApiError::NotFound)?;
    let mut all = api.broker.access().all_permissions();
    all.retain(|permissions| *permissions.user == name);
    Ok(Json(json!(all)))
}

async fn topic_permissions(State(api): State<Api>, Path(name): Path<String>, caller: Caller) -> Answer {
    require_self_or_administrator(&caller, &name)?;
    api.broker.access().user(&name).ok_or(ApiError::NotFound)?;
    let mut all = api.broker.access().all_topic_permissions();
    all.retain(|permissions| *permissions.user == name);
    Ok(Json(json!(all)))
}

fn require_self_or_administrator(caller: &Caller, name: &str) -> Result<(), ApiError> {
    if caller.owns(name) { Ok(()) } else { caller.require(Role::Administrator) }
}

/// Leveret's own, for `ctl authenticate_user`: whether a password is right.
async fn authenticate(State(api): State<Api>, caller: Caller, body: Body) -> Answer {
    caller.require(Role::Administrator)?;
    let (name, password) = (body.required("username")?, body.required("password")?);
    match api.broker.log_in(name, password.as_bytes(), true).await {
        Ok(identity) => Ok(Json(json!({ "name": identity.user().name, "tags": identity.user().tags }))),
        Err(_) => Err(ApiError::NotPermitted(format!("failed to authenticate user \"{name}\""))),
    }
}

async fn hash_password(Path(password): Path<String>, caller: Caller) -> Answer {
    caller.require(Role::Administrator)?;
    Ok(Json(json!({ "ok": PasswordHash::new(password.as_bytes()).to_base64() })))
}
