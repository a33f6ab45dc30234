//! Health checks: 200 `{"status": "ok"}`, or 503 with the reason.

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::get,
};
use serde_json::{Value, json};

use super::Answer;
use crate::{Api, access::Caller, error::ApiError, step};

pub(super) fn routes() -> Router<Api> {
    let mut routes = Router::new()
        .route("/aliveness-test/{vhost}", get(aliveness))
        .route("/health/checks/alarms", get(alarms))
        .route("/health/checks/local-alarms", get(alarms))
        .route("/health/checks/port-listener/{port}", get(port_listener))
        .route("/health/checks/protocol-listener/{protocol}", get(protocol_listener));
    let ready = [
        "/health/checks/virtual-hosts",
        "/health/checks/ready-to-serve-clients",
        "/health/checks/is-in-service",
        "/health/checks/node-is-quorum-critical",
        "/health/checks/metadata-store/initialized",
        "/health/checks/metadata-store/initialized/with-data",
        "/healthchecks/node",
        "/healthchecks/node/{node}",
    ];
    for path in ready {
        routes = routes.route(path, get(self::ready));
    }
    routes
}

fn ok() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

async fn ready(State(api): State<Api>, _: Caller) -> Answer {
    check_store(&api)?;
    Ok(ok())
}

/// No check is passed once nothing can be confirmed any more.
fn check_store(api: &Api) -> Result<(), ApiError> {
    match api.broker.store().poisoned() {
        None => Ok(()),
        Some(reason) => Err(ApiError::Unhealthy(format!("the store has failed: {reason}"))),
    }
}

/// RabbitMQ publishes and consumes a message here. What can fail of that in Leveret is the commit.
async fn aliveness(State(api): State<Api>, Path(vhost): Path<String>, caller: Caller) -> Answer {
    caller.vhost(&api, &vhost).await?;
    step::commit(&api, &caller, |_| Ok(())).await?;
    Ok(ok())
}

async fn alarms(State(api): State<Api>, _: Caller) -> Answer {
    check_store(&api)?;
    match api.clients.alarm() {
        None => Ok(ok()),
        Some(reason) => Err(ApiError::Unhealthy(format!("resource alarm: {reason}"))),
    }
}

async fn port_listener(State(api): State<Api>, Path(port): Path<u16>, _: Caller) -> Answer {
    check_store(&api)?;
    if api.clients.listeners().iter().any(|listener| listener["port"] == port) {
        return Ok(Json(json!({ "status": "ok", "port": port })));
    }
    Err(ApiError::Unhealthy(format!("No active listener on port {port}")))
}

async fn protocol_listener(State(api): State<Api>, Path(protocol): Path<String>, _: Caller) -> Answer {
    let wanted = match protocol.as_str() {
        "amqp091" | "amqp0.9.1" | "amqp0-9-1" | "amqp" => "amqp",
        other => other,
    };
    check_store(&api)?;
    if api.clients.listeners().iter().any(|listener| listener["protocol"] == wanted) {
        return Ok(Json(json!({ "status": "ok", "protocol": protocol })));
    }
    Err(ApiError::Unhealthy(format!("No active listener for protocol {protocol}")))
}
