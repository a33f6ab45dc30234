//! Exchanges.

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::get,
};
use leveret_amqp::{FieldTable, FieldValue};
use leveret_broker::{
    VHost,
    access::{Permission, Resource},
    plugin::table_to_json,
    policy::ResourceKind,
    topology::{DeclareExchange, Exchange},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, created, exchange_name};
use crate::{Api, access::Caller, body::Body, error::ApiError, paging::ListQuery, step};

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/exchanges", get(list))
        .route("/exchanges/{vhost}", get(list_of))
        .route("/exchanges/{vhost}/{exchange}", get(one).put(put).delete(delete))
}

#[derive(Deserialize)]
struct DeleteQuery {
    #[serde(rename = "if-unused")]
    if_unused: Option<String>,
}

fn to_json(api: &Api, vhost: &VHost, exchange: &Exchange) -> Value {
    let policy = api.broker.policies().matching(&vhost.name, &exchange.name, ResourceKind::Exchange);
    let mut shown = json!({
        "name": exchange.name,
        "vhost": vhost.name,
        "type": exchange.kind,
        "durable": exchange.durable,
        "auto_delete": exchange.auto_delete,
        "internal": exchange.internal,
        "arguments": table_to_json(&exchange.arguments),
        "policy": policy.map(|policy| policy.name.to_string()),
        "user_who_performed_action": "",
    });
    if let Some(timeline) = vhost.timeline(&exchange.name) {
        shown["messages_delayed"] = json!(timeline.counts().messages);
    }
    shown
}

fn all_of(api: &Api, vhost: &VHost) -> Vec<Value> {
    vhost.exchanges().iter().map(|exchange| to_json(api, vhost, exchange)).collect()
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
    let exchange = vhost.exchange(exchange_name(&name))?;
    Ok(Json(to_json(&api, &vhost, &exchange)))
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
    let onward = arguments.get("alternate-exchange").and_then(FieldValue::as_str);
    caller.check_declare(&api, &vhost.name, Resource::Exchange(&name), onward).await?;
    let is_new = vhost.exchange(&name).is_err();
    step::commit(&api, &caller, |turn| Ok(vhost.declare_exchange(turn, &declare)?)).await?;
    Ok(created(is_new))
}

/// The declaration that a request or definitions describe. RabbitMQ's defaults: durable.
pub(super) fn from_json<'a>(
    name: &'a str,
    body: &'a Body,
    arguments: &'a FieldTable,
) -> Result<DeclareExchange<'a>, ApiError> {
    Ok(DeclareExchange {
        name,
        kind: body.text("type")?.unwrap_or("direct"),
        durable: body.flag("durable", true)?,
        auto_delete: body.flag("auto_delete", false)?,
        internal: body.flag("internal", false)?,
        arguments,
    })
}

async fn delete(
    State(api): State<Api>,
    Path((vhost, name)): Path<(String, String)>,
    Query(query): Query<DeleteQuery>,
    caller: Caller,
) -> Result<StatusCode, ApiError> {
    let vhost = caller.vhost(&api, &vhost).await?;
    let name = exchange_name(&name);
    caller.check(&api, &vhost.name, Permission::Configure, Resource::Exchange(name)).await?;
    vhost.exchange(name)?;
    let if_unused = super::is_set(query.if_unused.as_deref());
    step::commit(&api, &caller, |turn| Ok(vhost.delete_exchange(turn, name, if_unused)?)).await?;
    Ok(StatusCode::NO_CONTENT)
}
