//! Bindings, those of the default exchange to every queue included.

use std::{
    hash::{DefaultHasher, Hasher},
    sync::Arc,
};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::{HeaderName, StatusCode, header},
    routing::get,
};
use leveret_amqp::FieldTable;
use leveret_broker::{
    VHost,
    access::{Permission, Resource},
    exchange::{Binding, Destination},
    plugin::table_to_json,
};
use serde_json::{Value, json};

use super::{Answer, exchange_name};
use crate::{Api, access::Caller, body::Body, error::ApiError, paging::ListQuery, step};

/// Administration binds for nobody's connection: queues that are exclusive are refused.
const NO_CONNECTION: u64 = 0;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/bindings", get(list))
        .route("/bindings/{vhost}", get(list_of))
        .route("/bindings/{vhost}/e/{source}/{kind}/{destination}", get(between).post(bind))
        .route("/bindings/{vhost}/e/{source}/{kind}/{destination}/{properties_key}", get(one).delete(unbind))
        .route("/exchanges/{vhost}/{exchange}/bindings/source", get(from_exchange))
        .route("/exchanges/{vhost}/{exchange}/bindings/destination", get(to_exchange))
        .route("/queues/{vhost}/{queue}/bindings", get(to_queue))
}

fn all_of(vhost: &VHost) -> Vec<Binding> {
    let queues = vhost.queues();
    let defaults = queues.iter().map(|queue| Binding {
        source: "".into(),
        destination: Destination::Queue(Arc::clone(&queue.name)),
        routing_key: queue.name.as_bytes().into(),
        arguments: FieldTable::new(),
    });
    defaults.chain(vhost.bindings()).collect()
}

fn to_json(vhost: &VHost, binding: &Binding) -> Value {
    json!({
        "source": binding.source,
        "vhost": vhost.name,
        "destination": binding.destination.name(),
        "destination_type": binding.destination.kind(),
        "routing_key": String::from_utf8_lossy(&binding.routing_key),
        "arguments": table_to_json(&binding.arguments),
        "properties_key": properties_key(binding),
    })
}

/// Routing key and arguments as one path segment, as RabbitMQ forms it: `~` for neither, a hash of the arguments
/// behind a tilde. The hash itself is no one's business but the server's.
fn properties_key(binding: &Binding) -> String {
    let key = quoted(&binding.routing_key);
    match (key.is_empty(), binding.arguments.is_empty()) {
        (true, true) => "~".to_owned(),
        (false, true) => key,
        (_, false) => format!("{key}~{}", arguments_hash(&binding.arguments)),
    }
}

/// Quoted for a form, and the tilde as well.
fn quoted(key: &[u8]) -> String {
    use std::fmt::Write;
    let mut out = String::new();
    for &byte in key {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            // Writing to a text cannot fail.
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
    out
}

fn arguments_hash(arguments: &FieldTable) -> String {
    let mut entries: Vec<_> = arguments.iter().collect();
    entries.sort_by_key(|(name, _)| *name);
    let sorted: FieldTable = entries.into_iter().map(|(name, value)| (name, value.clone())).collect();
    let mut bytes = Vec::new();
    sorted.encode(&mut bytes);
    // Its keys are fixed: the hash stays the same over restarts of one version.
    let mut hasher = DefaultHasher::new();
    hasher.write(&bytes);
    format!("{:016x}", hasher.finish())
}

async fn list(State(api): State<Api>, Query(query): Query<ListQuery>, caller: Caller) -> Answer {
    let vhosts = caller.vhosts(&api).await;
    let of = |vhost: &Arc<VHost>| all_of(vhost).iter().map(|binding| to_json(vhost, binding)).collect::<Vec<_>>();
    query.apply(vhosts.iter().flat_map(of).collect())
}

/// The bindings of a vhost for which `is_wanted` holds.
fn some_of(vhost: &VHost, is_wanted: impl Fn(&Binding) -> bool) -> Vec<Value> {
    all_of(vhost).iter().filter(|binding| is_wanted(binding)).map(|binding| to_json(vhost, binding)).collect()
}

async fn list_of(
    State(api): State<Api>,
    Path(vhost): Path<String>,
    Query(query): Query<ListQuery>,
    caller: Caller,
) -> Answer {
    query.apply(some_of(&*caller.vhost(&api, &vhost).await?, |_| true))
}

async fn from_exchange(State(api): State<Api>, Path((vhost, name)): Path<(String, String)>, caller: Caller) -> Answer {
    let vhost = caller.vhost(&api, &vhost).await?;
    let name = exchange_name(&name);
    vhost.exchange(name)?;
    Ok(Json(Value::Array(some_of(&vhost, |binding| &*binding.source == name))))
}

async fn to_exchange(State(api): State<Api>, Path((vhost, name)): Path<(String, String)>, caller: Caller) -> Answer {
    let vhost = caller.vhost(&api, &vhost).await?;
    let name = exchange_name(&name);
    vhost.exchange(name)?;
    let destination = Destination::Exchange(name.into());
    Ok(Json(Value::Array(some_of(&vhost, |binding| binding.destination == destination))))
}

async fn to_queue(State(api): State<Api>, Path((vhost, name)): Path<(String, String)>, caller: Caller) -> Answer {
    let vhost = caller.vhost(&api, &vhost).await?;
    vhost.find_queue(&name).ok_or(ApiError::NotFound)?;
    let destination = Destination::Queue(name.as_str().into());
    Ok(Json(Value::Array(some_of(&vhost, |binding| binding.destination == destination))))
}

/// Both ends of a binding as a path names them.
type Ends = (String, String, String, String);

fn destination(kind: &str, name: &str) -> Result<Destination, ApiError> {
    match kind {
        "q" | "queue" => Ok(Destination::Queue(name.into())),
        "e" | "exchange" => Ok(Destination::Exchange(exchange_name(name).into())),
        _ => Err(ApiError::NotFound),
    }
}

async fn between(State(api): State<Api>, Path((vhost, source, kind, name)): Path<Ends>, caller: Caller) -> Answer {
    let vhost = caller.vhost(&api, &vhost).await?;
    let (source, destination) = (exchange_name(&source), destination(&kind, &name)?);
    check_ends_exist(&vhost, source, &destination)?;
    let is_between = |binding: &Binding| &*binding.source == source && binding.destination == destination;
    Ok(Json(Value::Array(some_of(&vhost, is_between))))
}

fn check_ends_exist(vhost: &VHost, source: &str, destination: &Destination) -> Result<(), ApiError> {
    vhost.exchange(source)?;
    match destination {
        Destination::Exchange(name) => vhost.exchange(name).map(drop)?,
        Destination::Queue(name) => vhost.find_queue(name).map(drop).ok_or(ApiError::NotFound)?,
    }
    Ok(())
}

/// As queue.bind and exchange.bind: the destination must be writable, the source readable.
async fn check_bind(api: &Api, caller: &Caller, vhost: &VHost, binding: &Binding) -> Result<(), ApiError> {
    let destination = match &binding.destination {
        Destination::Queue(name) => Resource::Queue(name),
        Destination::Exchange(name) => Resource::Exchange(name),
    };
    caller.check(api, &vhost.name, Permission::Write, destination).await?;
    caller.check(api, &vhost.name, Permission::Read, Resource::Exchange(&binding.source)).await?;
    if vhost.has_topic_permissions(&binding.source) {
        let (source, key) = (&binding.source, &binding.routing_key);
        caller.check_topic(api, &vhost.name, Permission::Read, source, key).await?;
    }
    Ok(())
}

/// The binding that a request or definitions describe.
pub(super) fn from_json(source: &str, destination: Destination, body: &Body) -> Result<Binding, ApiError> {
    let routing_key = body.text("routing_key")?.unwrap_or_default();
    if routing_key.len() > usize::from(u8::MAX) {
        return Err(ApiError::bad_request("the routing key is longer than 255 bytes"));
    }
    Ok(Binding {
        source: source.into(),
        destination,
        routing_key: routing_key.as_bytes().into(),
        arguments: body.arguments()?,
    })
}

async fn bind(
    State(api): State<Api>,
    Path((vhost, source, kind, name)): Path<Ends>,
    caller: Caller,
    body: Body,
) -> Result<(StatusCode, [(HeaderName, String); 1]), ApiError> {
    let vhost = caller.vhost(&api, &vhost).await?;
    let binding = from_json(exchange_name(&source), destination(&kind, &name)?, &body)?;
    check_bind(&api, &caller, &vhost, &binding).await?;
    let location = format!("{}/{}", quoted(name.as_bytes()), properties_key(&binding));
    step::commit(&api, &caller, |turn| Ok(vhost.bind(turn, binding, NO_CONNECTION)?)).await?;
    Ok((StatusCode::CREATED, [(header::LOCATION, location)]))
}

/// A binding of a path that ends with a properties key. The plain routing key is taken as well.
fn find(vhost: &VHost, source: &str, destination: &Destination, key: &str) -> Result<Binding, ApiError> {
    let is_it = |binding: &Binding| {
        let is_plain_key = binding.arguments.is_empty() && *binding.routing_key == *key.as_bytes();
        &*binding.source == source
            && binding.destination == *destination
            && (is_plain_key || properties_key(binding) == key)
    };
    all_of(vhost).into_iter().find(is_it).ok_or(ApiError::NotFound)
}

async fn one(
    State(api): State<Api>,
    Path((vhost, source, kind, name, key)): Path<(String, String, String, String, String)>,
    caller: Caller,
) -> Answer {
    let vhost = caller.vhost(&api, &vhost).await?;
    let binding = find(&vhost, exchange_name(&source), &destination(&kind, &name)?, &key)?;
    Ok(Json(to_json(&vhost, &binding)))
}

async fn unbind(
    State(api): State<Api>,
    Path((vhost, source, kind, name, key)): Path<(String, String, String, String, String)>,
    caller: Caller,
) -> Result<StatusCode, ApiError> {
    let vhost = caller.vhost(&api, &vhost).await?;
    let binding = find(&vhost, exchange_name(&source), &destination(&kind, &name)?, &key)?;
    check_bind(&api, &caller, &vhost, &binding).await?;
    step::commit(&api, &caller, |turn| Ok(vhost.unbind(turn, &binding, NO_CONNECTION)?)).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding(routing_key: &str, arguments: FieldTable) -> Binding {
        Binding {
            source: "x".into(),
            destination: Destination::Queue("q".into()),
            routing_key: routing_key.as_bytes().into(),
            arguments,
        }
    }

    #[test]
    fn properties_keys_are_rabbitmqs() {
        assert_eq!(properties_key(&binding("", FieldTable::new())), "~");
        assert_eq!(properties_key(&binding("a.b", FieldTable::new())), "a.b");
        assert_eq!(properties_key(&binding("a b~#", FieldTable::new())), "a+b%7E%23");
        let arguments = FieldTable::new().with("a", 1_i32).with("b", true);
        let turned = FieldTable::new().with("b", true).with("a", 1_i32);
        let key = properties_key(&binding("k", arguments));
        assert!(key.starts_with("k~") && key.len() == 18, "{key}");
        assert_eq!(key, properties_key(&binding("k", turned)));
        assert!(properties_key(&binding("", FieldTable::new().with("a", 2_i32))).starts_with('~'));
    }
}
