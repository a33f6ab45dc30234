//! Definitions: everything that is declared and configured, as one JSON document that RabbitMQ reads and writes too.
//!
//! Importing only adds and replaces. Each section is a turn of its own: a document that fails half-way leaves what came
//! before, as in RabbitMQ.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use leveret_broker::{
    Turn, VHost,
    access::Role,
    exchange::{Binding, Destination},
    plugin::table_to_json,
    policy::{Policy, PolicyRole},
    queue::Queue,
    topology::Exchange,
};
use serde_json::{Map, Value, json};

use super::{Answer, bindings, exchanges, limits, permissions, policies, queues, users, vhosts};
use crate::{Api, RABBITMQ_VERSION, access::Caller, body::Body, error::ApiError, step};

/// Objects done in one turn: a large import must not hold up commits of others.
const OBJECTS_PER_TURN: usize = 512;

/// The component of operator policies among parameters.
const OPERATOR_POLICY: &str = "operator_policy";

/// No connection has this number.
const NO_CONNECTION: u64 = 0;

pub(super) fn routes() -> Router<Api> {
    let of_all = || get(export).post(import).put(import);
    let of_vhost = || get(export_vhost).post(import_vhost).put(import_vhost);
    Router::new()
        .route("/definitions", of_all())
        .route("/all-configuration", of_all())
        .route("/definitions/{vhost}", of_vhost())
        .route("/all-configuration/{vhost}", of_vhost())
}

async fn export(State(api): State<Api>, caller: Caller) -> Answer {
    caller.require(Role::Administrator)?;
    let mut document = head(&api);
    let access = api.broker.access();
    document.insert("users".into(), access.users().iter().map(|user| users::to_json(&api, user)).collect());
    document.insert("vhosts".into(), api.broker.vhosts().iter().map(|vhost| vhosts::definition(vhost)).collect());
    document.insert("permissions".into(), json!(access.all_permissions()));
    document.insert("topic_permissions".into(), json!(access.all_topic_permissions()));
    document.insert("parameters".into(), parameters(&api, None));
    document.insert("global_parameters".into(), json!([]));
    document.insert("policies".into(), json!(api.broker.policies().all(PolicyRole::Ordinary)));
    let vhosts = api.broker.vhosts();
    insert_topology(&mut document, &vhosts, true);
    Ok(Json(Value::Object(document)))
}

/// Without the vhost's name, so that it can be imported under another.
async fn export_vhost(State(api): State<Api>, Path(vhost): Path<String>, caller: Caller) -> Answer {
    caller.require(Role::Policymaker)?;
    let vhost = caller.vhost(&api, &vhost).await?;
    let mut document = head(&api);
    let mut policies = api.broker.policies().all(PolicyRole::Ordinary);
    policies.retain(|policy| policy.vhost == vhost.name);
    let nameless = |policy: &Arc<Policy>| without_vhost(json!(policy));
    document.insert("parameters".into(), parameters(&api, Some(&vhost.name)));
    document.insert("policies".into(), policies.iter().map(nameless).collect());
    insert_topology(&mut document, &[vhost], false);
    Ok(Json(Value::Object(document)))
}

fn head(api: &Api) -> Map<String, Value> {
    let mut document = Map::new();
    for (key, value) in [
        ("rabbit_version", RABBITMQ_VERSION),
        ("rabbitmq_version", RABBITMQ_VERSION),
        ("product_name", "Leveret"),
        ("product_version", env!("CARGO_PKG_VERSION")),
        ("rabbitmq_definition_format", "cluster"),
        ("original_cluster_name", api.clients.cluster_name()),
    ] {
        document.insert(key.to_owned(), json!(value));
    }
    document
}

/// Operator policies and the limits of vhosts are parameters, as RabbitMQ keeps them.
fn parameters(api: &Api, vhost: Option<&str>) -> Value {
    let mut policies = api.broker.policies().all(PolicyRole::Operator);
    policies.retain(|policy| vhost.is_none_or(|vhost| *policy.vhost == *vhost));
    let to_json = |policy: &Arc<Policy>| {
        let value = json!({
            "pattern": policy.pattern, "apply-to": policy.apply_to, "priority": policy.priority,
            "definition": policy.definition,
        });
        json!({ "component": OPERATOR_POLICY, "vhost": policy.vhost, "name": policy.name, "value": value })
    };
    let parameters = policies.iter().map(to_json).chain(limits::parameters(api, vhost));
    parameters.map(|parameter| if vhost.is_some() { without_vhost(parameter) } else { parameter }).collect()
}

fn without_vhost(mut value: Value) -> Value {
    if let Value::Object(object) = &mut value {
        object.remove("vhost");
    }
    value
}

/// What clients declared and what survives a restart.
fn insert_topology(document: &mut Map<String, Value>, vhosts: &[Arc<VHost>], named: bool) {
    let (mut queues, mut exchanges, mut bindings) = (Vec::new(), Vec::new(), Vec::new());
    for vhost in vhosts {
        let name = |value| if named { value } else { without_vhost(value) };
        let durable = |queue: &&Arc<Queue>| queue.durable && queue.exclusive_to.is_none();
        let declared = |exchange: &&Arc<Exchange>| !exchange.name.is_empty() && !exchange.name.starts_with("amq.");
        queues.extend(vhost.queues().iter().filter(durable).map(|queue| name(queue_to_json(queue))));
        let all = vhost.exchanges();
        exchanges.extend(all.iter().filter(declared).map(|exchange| name(exchange_to_json(vhost, exchange))));
        let lasting = |binding: &&Binding| is_lasting(vhost, binding);
        bindings.extend(vhost.bindings().iter().filter(lasting).map(|binding| name(binding_to_json(vhost, binding))));
    }
    document.insert("queues".into(), Value::Array(queues));
    document.insert("exchanges".into(), Value::Array(exchanges));
    document.insert("bindings".into(), Value::Array(bindings));
}

/// A binding to a queue that is not exported cannot be imported.
fn is_lasting(vhost: &VHost, binding: &Binding) -> bool {
    match &binding.destination {
        Destination::Exchange(_) => true,
        Destination::Queue(name) => {
            vhost.find_queue(name).is_some_and(|queue| queue.durable && queue.exclusive_to.is_none())
        }
    }
}

/// The type is said also where it was not at declaration: where this is imported, the default may be another.
fn queue_to_json(queue: &Queue) -> Value {
    let mut arguments = table_to_json(&queue.arguments);
    if let Value::Object(arguments) = &mut arguments {
        arguments.entry("x-queue-type").or_insert_with(|| json!(queue.kind.name()));
    }
    json!({
        "name": queue.name, "vhost": queue.vhost, "durable": queue.durable, "auto_delete": queue.auto_delete,
        "arguments": arguments,
    })
}

fn exchange_to_json(vhost: &VHost, exchange: &Exchange) -> Value {
    json!({
        "name": exchange.name, "vhost": vhost.name, "type": exchange.kind, "durable": exchange.durable,
        "auto_delete": exchange.auto_delete, "internal": exchange.internal,
        "arguments": table_to_json(&exchange.arguments),
    })
}

fn binding_to_json(vhost: &VHost, binding: &Binding) -> Value {
    json!({
        "source": binding.source, "vhost": vhost.name, "destination": binding.destination.name(),
        "destination_type": binding.destination.kind(),
        "routing_key": String::from_utf8_lossy(&binding.routing_key),
        "arguments": table_to_json(&binding.arguments),
    })
}

/// The sections in the order in which they can be applied.
const SECTIONS: [(&str, Apply); 9] = [
    ("vhosts", vhosts::apply),
    ("users", apply_user),
    ("permissions", apply_permission),
    ("topic_permissions", apply_topic_permission),
    ("parameters", apply_parameter),
    ("policies", apply_policy),
    ("exchanges", apply_exchange),
    ("queues", apply_queue),
    ("bindings", apply_binding),
];

/// Of a document for one vhost.
const SECTIONS_OF_VHOST: [&str; 5] = ["parameters", "policies", "exchanges", "queues", "bindings"];

type Apply = fn(&Api, &mut Turn<'_>, &Body) -> Result<(), ApiError>;

async fn import(State(api): State<Api>, caller: Caller, body: Body) -> Result<StatusCode, ApiError> {
    caller.require(Role::Administrator)?;
    for (section, apply) in SECTIONS {
        apply_section(&api, &caller, &body, section, apply, None).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn import_vhost(
    State(api): State<Api>,
    Path(vhost): Path<String>,
    caller: Caller,
    body: Body,
) -> Result<StatusCode, ApiError> {
    caller.require(Role::Administrator)?;
    caller.vhost(&api, &vhost).await?;
    for (section, apply) in SECTIONS.into_iter().filter(|(section, _)| SECTIONS_OF_VHOST.contains(section)) {
        apply_section(&api, &caller, &body, section, apply, Some(&vhost)).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn apply_section(
    api: &Api,
    caller: &Caller,
    document: &Body,
    section: &str,
    apply: Apply,
    vhost: Option<&str>,
) -> Result<(), ApiError> {
    let objects = match document.0.get(section) {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Array(objects)) => objects,
        Some(_) => return Err(ApiError::bad_request(format!("'{section}' must be a list"))),
    };
    for some in objects.chunks(OBJECTS_PER_TURN) {
        step::commit(api, caller, |turn| {
            for object in some {
                let Value::Object(object) = object else {
                    return Err(ApiError::bad_request(format!("'{section}' must be a list of objects")));
                };
                let mut body = Body(object.clone());
                if let Some(vhost) = vhost {
                    body.0.insert("vhost".to_owned(), json!(vhost));
                }
                apply(api, turn, &body)?;
            }
            Ok(())
        })
        .await?;
    }
    Ok(())
}

fn vhost_of(api: &Api, body: &Body) -> Result<Arc<VHost>, ApiError> {
    let name = body.required("vhost")?;
    let found = api.broker.vhost(name);
    found.ok_or_else(|| {
        ApiError::bad_request(format!("Please create virtual host \"{name}\" prior to importing definitions."))
    })
}

fn apply_user(api: &Api, turn: &mut Turn<'_>, body: &Body) -> Result<(), ApiError> {
    users::apply(api, turn, body.required("name")?, body)
}

fn apply_permission(api: &Api, turn: &mut Turn<'_>, body: &Body) -> Result<(), ApiError> {
    let vhost = vhost_of(api, body)?;
    api.broker.set_permissions(turn, permissions::from_json(&vhost.name, body.required("user")?, body)?)?;
    Ok(())
}

fn apply_topic_permission(api: &Api, turn: &mut Turn<'_>, body: &Body) -> Result<(), ApiError> {
    let vhost = vhost_of(api, body)?;
    api.broker.set_topic_permissions(turn, permissions::topic_from_json(&vhost.name, body.required("user")?, body)?)?;
    Ok(())
}

/// Other components than these are for plugins that Leveret does not have.
fn apply_parameter(api: &Api, turn: &mut Turn<'_>, body: &Body) -> Result<(), ApiError> {
    let (component, name) = (body.required("component")?, body.required("name")?);
    match component {
        OPERATOR_POLICY => apply_operator_policy(api, turn, name, body),
        limits::COMPONENT => limits::apply_parameter(api, turn, &vhost_of(api, body)?.name, body),
        _ => {
            tracing::warn!(component, name, "definitions: a parameter of this component is left out");
            Ok(())
        }
    }
}

fn apply_operator_policy(api: &Api, turn: &mut Turn<'_>, name: &str, body: &Body) -> Result<(), ApiError> {
    let vhost = vhost_of(api, body)?;
    let policy = policies::from_json(&vhost.name, name, &Body(body.object("value")?))?;
    Ok(api.broker.set_policy(turn, PolicyRole::Operator, policy)?)
}

fn apply_policy(api: &Api, turn: &mut Turn<'_>, body: &Body) -> Result<(), ApiError> {
    let vhost = vhost_of(api, body)?;
    let policy = policies::from_json(&vhost.name, body.required("name")?, body)?;
    Ok(api.broker.set_policy(turn, PolicyRole::Ordinary, policy)?)
}

fn apply_exchange(api: &Api, turn: &mut Turn<'_>, body: &Body) -> Result<(), ApiError> {
    let vhost = vhost_of(api, body)?;
    let (name, arguments) = (body.required("name")?, body.arguments()?);
    // What is there stays as it is, as in RabbitMQ.
    if vhost.exchange(name).is_ok() {
        return Ok(());
    }
    Ok(vhost.declare_exchange(turn, &exchanges::from_json(name, body, &arguments)?)?)
}

fn apply_queue(api: &Api, turn: &mut Turn<'_>, body: &Body) -> Result<(), ApiError> {
    let vhost = vhost_of(api, body)?;
    let (name, arguments) = (body.required("name")?, body.arguments()?);
    if vhost.find_queue(name).is_none() {
        vhost.declare_queue(turn, &queues::from_json(name, body, &arguments)?)?;
    }
    Ok(())
}

fn apply_binding(api: &Api, turn: &mut Turn<'_>, body: &Body) -> Result<(), ApiError> {
    let vhost = vhost_of(api, body)?;
    let name = body.required("destination")?;
    let destination = match body.required("destination_type")? {
        "queue" => Destination::Queue(name.into()),
        "exchange" => Destination::Exchange(name.into()),
        other => return Err(ApiError::bad_request(format!("unknown destination_type '{other}'"))),
    };
    let binding = bindings::from_json(body.required("source")?, destination, body)?;
    Ok(vhost.bind(turn, binding, NO_CONNECTION)?)
}
