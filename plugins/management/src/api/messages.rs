//! Publishing and getting single messages, for tests and repairs by hand.

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::post,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use leveret_amqp::{OwnedProperties, Properties, encode_exchange_and_key, fits_short_string};
use leveret_broker::{
    Publish, Publisher, Turn, VHost,
    access::Permission,
    message::RecordView,
    plugin::{IncomingMessage, payload_to_json, properties_to_json, table_from_json},
    queue::{Got, Outcome, Queue},
};
use serde_json::{Map, Value, json};
use std::sync::Arc;

use super::{Answer, exchange_name, queues};
use crate::{Api, access::Caller, body::Body, error::ApiError, step};

/// Messages that one request may take.
const GET_MAX: i64 = 10_000;

/// Bytes of message bodies in one answer; the request gets fewer messages than it asked for beyond that.
const GET_BYTES_MAX: usize = 64 << 20;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/exchanges/{vhost}/{exchange}/publish", post(publish))
        .route("/queues/{vhost}/{queue}/get", post(get))
}

async fn publish(
    State(api): State<Api>,
    Path((vhost, exchange)): Path<(String, String)>,
    caller: Caller,
    body: Body,
) -> Answer {
    let vhost = caller.vhost(&api, &vhost).await?;
    let exchange = exchange_name(&exchange);
    let routing_key = body.required("routing_key")?.as_bytes();
    let payload = payload(&body)?;
    let properties = properties_from_json(&body.object("properties")?)?;
    check_publish(&api, &caller, &vhost, exchange, routing_key, &properties).await?;
    let raw = properties.to_raw();
    let message = Message { user: caller.acting_user(), exchange, routing_key, raw: &raw, body: &payload };
    let routed = step::commit(&api, &caller, |turn| publish_one(&api, turn, &vhost, &message)).await?;
    Ok(Json(json!({ "routed": routed })))
}

struct Message<'a> {
    user: &'a str,
    exchange: &'a str,
    routing_key: &'a [u8],
    raw: &'a [u8],
    body: &'a [u8],
}

fn publish_one(api: &Api, turn: &mut Turn<'_>, vhost: &Arc<VHost>, message: &Message<'_>) -> Result<bool, ApiError> {
    vhost.exchange(message.exchange)?;
    let intercepted = intercept(api, turn.now_ms, vhost, message)?;
    let raw = intercepted.as_deref().unwrap_or(message.raw);
    let properties = Properties::parse(raw).map_err(ApiError::bad_request)?;
    let exchange_and_key = exchange_and_key(message.exchange, message.routing_key)?;
    let mut publisher = Publisher::new(Arc::clone(vhost));
    let publish = Publish {
        exchange_and_key: &exchange_and_key,
        exchange: message.exchange,
        routing_key: message.routing_key,
        properties: &properties,
        properties_raw: raw,
        body: message.body,
        dead_lettered: false,
    };
    let routing = publisher.publish(turn, &publish, 0)?;
    let refused = publisher.flush(turn);
    Ok(routing.routed && refused.is_empty())
}

fn intercept(api: &Api, now_ms: u64, vhost: &VHost, message: &Message<'_>) -> Result<Option<Vec<u8>>, ApiError> {
    let &Message { user, exchange, routing_key, raw, body } = message;
    let properties = &Properties::parse(raw).map_err(ApiError::bad_request)?;
    let vhost = &vhost.name;
    Ok(api.broker.intercept(&IncomingMessage { now_ms, user, vhost, exchange, routing_key, properties, body })?)
}

async fn check_publish(
    api: &Api,
    caller: &Caller,
    vhost: &VHost,
    exchange: &str,
    routing_key: &[u8],
    properties: &OwnedProperties,
) -> Result<(), ApiError> {
    caller.check_publish(api, vhost, exchange, routing_key).await?;
    if let Some(claimed) = &properties.user_id {
        caller.check_user_id(api, claimed)?;
    }
    Ok(())
}

/// Exchange and routing key as they stand on the wire.
fn exchange_and_key(exchange: &str, routing_key: &[u8]) -> Result<Vec<u8>, ApiError> {
    if [exchange.as_bytes(), routing_key].iter().any(|part| !fits_short_string(part)) {
        return Err(ApiError::bad_request("a name or key is longer than 255 bytes"));
    }
    let mut bytes = Vec::with_capacity(2 + exchange.len() + routing_key.len());
    encode_exchange_and_key(exchange, routing_key, &mut bytes);
    Ok(bytes)
}

fn payload(body: &Body) -> Result<Vec<u8>, ApiError> {
    let payload = body.required("payload")?;
    match body.text("payload_encoding")?.unwrap_or("string") {
        "string" => Ok(payload.as_bytes().to_vec()),
        "base64" => STANDARD.decode(payload).map_err(ApiError::bad_request),
        other => Err(ApiError::bad_request(format!("unsupported payload_encoding '{other}': string or base64"))),
    }
}

fn properties_from_json(object: &Map<String, Value>) -> Result<OwnedProperties, ApiError> {
    let mut properties = OwnedProperties::default();
    for (name, value) in object {
        if value.is_null() {
            continue;
        }
        match name.as_str() {
            "headers" => {
                let headers = value.as_object().ok_or_else(|| wrong(name, "an object"))?;
                properties.headers = Some(table_from_json(headers).map_err(ApiError::bad_request)?);
            }
            "delivery_mode" => properties.delivery_mode = Some(octet(name, value)?),
            "priority" => properties.priority = Some(octet(name, value)?),
            "timestamp" => properties.timestamp = Some(value.as_u64().ok_or_else(|| wrong(name, "an integer"))?),
            _ => {
                let field = text_field(&mut properties, name)
                    .ok_or_else(|| ApiError::bad_request(format!("unknown property '{name}'")))?;
                *field = Some(text(name, value)?);
            }
        }
    }
    Ok(properties)
}

fn text_field<'a>(properties: &'a mut OwnedProperties, name: &str) -> Option<&'a mut Option<Vec<u8>>> {
    Some(match name {
        "content_type" => &mut properties.content_type,
        "content_encoding" => &mut properties.content_encoding,
        "correlation_id" => &mut properties.correlation_id,
        "reply_to" => &mut properties.reply_to,
        "expiration" => &mut properties.expiration,
        "message_id" => &mut properties.message_id,
        "type" => &mut properties.kind,
        "user_id" => &mut properties.user_id,
        "app_id" => &mut properties.app_id,
        "cluster_id" => &mut properties.cluster_id,
        _ => return None,
    })
}

fn wrong(name: &str, expected: &str) -> ApiError {
    ApiError::bad_request(format!("property '{name}' must be {expected}"))
}

fn octet(name: &str, value: &Value) -> Result<u8, ApiError> {
    value.as_u64().and_then(|value| u8::try_from(value).ok()).ok_or_else(|| wrong(name, "an integer from 0 to 255"))
}

fn text(name: &str, value: &Value) -> Result<Vec<u8>, ApiError> {
    let text = value.as_str().filter(|text| text.len() <= usize::from(u8::MAX));
    text.map(|text| text.as_bytes().to_vec()).ok_or_else(|| wrong(name, "a text of at most 255 bytes"))
}

/// How a request wants its messages.
struct Wanted {
    count: usize,
    outcome: Outcome,
    base64: bool,
    truncate: Option<usize>,
}

impl Wanted {
    fn from_json(body: &Body) -> Result<Self, ApiError> {
        let count = body.integer("count")?.ok_or_else(|| ApiError::bad_request("key_missing: count"))?;
        let outcome = match (body.text("ackmode")?, body.flag("requeue", true)?) {
            (Some("ack_requeue_true"), _) | (None, true) => Outcome::Requeue { count_attempt: false },
            (Some("ack_requeue_false"), _) | (None, false) => Outcome::Ack,
            (Some("reject_requeue_true"), _) => Outcome::Requeue { count_attempt: true },
            (Some("reject_requeue_false"), _) => Outcome::Reject,
            (Some(other), _) => return Err(ApiError::bad_request(format!("invalid ackmode '{other}'"))),
        };
        let base64 = match body.text("encoding")?.unwrap_or("auto") {
            "auto" => false,
            "base64" => true,
            other => return Err(ApiError::bad_request(format!("invalid encoding '{other}': auto or base64"))),
        };
        Ok(Self {
            count: usize::try_from(count.clamp(0, GET_MAX)).unwrap_or(0),
            outcome,
            base64,
            truncate: body.integer("truncate")?.and_then(|bytes| usize::try_from(bytes).ok()),
        })
    }
}

/// A real basic.get: it changes `redelivered` of what goes back.
async fn get(
    State(api): State<Api>,
    Path((vhost, name)): Path<(String, String)>,
    caller: Caller,
    body: Body,
) -> Answer {
    let vhost = caller.vhost(&api, &vhost).await?;
    let wanted = Wanted::from_json(&body)?;
    let queue = queues::find(&api, &caller, &vhost, &name, Permission::Read).await?;
    let got = step::commit(&api, &caller, |turn| take(turn, &queue, &wanted)).await?;
    Ok(Json(got.iter().map(|got| to_json(got, &wanted)).collect()))
}

fn take(turn: &mut Turn<'_>, queue: &Arc<Queue>, wanted: &Wanted) -> Result<Vec<Got>, ApiError> {
    let mut taken: Vec<Got> = Vec::new();
    let mut bytes = 0;
    while taken.len() < wanted.count && bytes < GET_BYTES_MAX {
        match queue.get(turn, false)? {
            Some(got) => {
                bytes += got.run.record(0).len();
                taken.push(got);
            }
            None => break,
        }
    }
    if !taken.is_empty() {
        let runs = taken.iter().map(|got| got.run.run()).collect();
        queue.settle(turn, None, runs, wanted.outcome);
    }
    Ok(taken)
}

fn to_json(got: &Got, wanted: &Wanted) -> Value {
    let Some(record) = RecordView::parse(got.run.record(0)) else { return Value::Null };
    let shown = &record.body[..wanted.truncate.unwrap_or(usize::MAX).min(record.body.len())];
    let (payload, encoding) = payload_to_json(shown, wanted.base64);
    let properties = OwnedProperties::decode(record.properties_raw).unwrap_or_default();
    json!({
        "payload_bytes": record.body.len(),
        "redelivered": got.run.redelivered,
        "exchange": record.exchange,
        "routing_key": String::from_utf8_lossy(record.routing_key),
        "message_count": got.remaining,
        "properties": properties_to_json(&properties),
        "payload": payload,
        "payload_encoding": encoding,
    })
}
