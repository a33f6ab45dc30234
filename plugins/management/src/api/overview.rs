//! The server as a whole, and the lists that are empty because Leveret has nothing of the kind.

use std::sync::atomic::Ordering;

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::get,
};
use leveret_broker::{
    access::Role,
    queue::{Counts, Queue},
};
use serde_json::{Value, json};

use super::Answer;
use crate::{Api, RABBITMQ_VERSION, access::Caller, error::ApiError};

pub(super) fn routes() -> Router<Api> {
    let mut routes = Router::new()
        .route("/overview", get(overview))
        .route("/whoami", get(whoami))
        .route("/cluster-name", get(cluster_name))
        .route("/version", get(version))
        .route("/nodes", get(nodes))
        .route("/nodes/{node}", get(node));
    let empty = [
        "/extensions",
        "/feature-flags",
        "/deprecated-features",
        "/parameters",
        "/parameters/{component}",
        "/parameters/{component}/{vhost}",
        "/global-parameters",
    ];
    for path in empty {
        routes = routes.route(path, get(empty_list));
    }
    routes
}

async fn empty_list(_: Caller) -> Json<Value> {
    Json(json!([]))
}

async fn whoami(caller: Caller) -> Json<Value> {
    let tags = caller.user().map_or_else(|| vec![Role::Administrator.tag().to_owned()], |user| user.tags.clone());
    Json(json!({ "name": caller.name(), "tags": tags, "is_internal_user": caller.is_internal() }))
}

async fn cluster_name(State(api): State<Api>, _: Caller) -> Json<Value> {
    Json(json!({ "name": api.clients.cluster_name() }))
}

async fn version(_: Caller) -> Json<Value> {
    Json(json!(RABBITMQ_VERSION))
}

async fn nodes(State(api): State<Api>, _: Caller) -> Json<Value> {
    Json(json!([node_of(&api)]))
}

async fn node(State(api): State<Api>, Path(name): Path<String>, _: Caller) -> Answer {
    if name == api.clients.node() { Ok(Json(node_of(&api))) } else { Err(ApiError::NotFound) }
}

fn node_of(api: &Api) -> Value {
    let alarm = api.clients.alarm();
    let is_low = |what| alarm.as_ref().is_some_and(|reason| reason.contains(what));
    json!({
        "name": api.clients.node(),
        "type": "disc",
        "running": true,
        "being_drained": false,
        "os_pid": std::process::id().to_string(),
        "processors": std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        "mem_alarm": is_low("memory"),
        "disk_free_alarm": is_low("disk"),
        "partitions": [],
        "exchange_types": exchange_types(api),
        "auth_mechanisms": [
            { "name": "PLAIN", "enabled": true },
            { "name": "AMQPLAIN", "enabled": true },
        ],
        "applications": [{ "name": "leveret", "version": env!("CARGO_PKG_VERSION") }],
        "enabled_plugins": api.clients.plugins(),
        "contexts": contexts(api),
        "rates_mode": "none",
    })
}

fn exchange_types(api: &Api) -> Vec<Value> {
    api.broker.exchange_types().names().map(|name| json!({ "name": name, "enabled": true })).collect()
}

/// The HTTP listeners, as RabbitMQ shows them beside the others.
fn contexts(api: &Api) -> Value {
    let listeners = api.clients.listeners();
    let http = listeners.iter().filter(|listener| listener["protocol"] == "http");
    let context = |listener: &Value| {
        json!({
            "node": api.clients.node(), "description": "Leveret Management", "path": "/",
            "ip": listener["ip_address"], "port": listener["port"],
        })
    };
    let mut contexts: Vec<_> = http.map(context).collect();
    if contexts.is_empty() {
        contexts.push(json!({ "node": api.clients.node(), "description": "Leveret Management", "path": "/" }));
    }
    Value::Array(contexts)
}

async fn overview(State(api): State<Api>, caller: Caller) -> Json<Value> {
    let vhosts = caller.vhosts(&api).await;
    let queues: Vec<_> = vhosts.iter().flat_map(|vhost| vhost.queues()).collect();
    let exchanges: usize = vhosts.iter().map(|vhost| vhost.exchanges().len()).sum();
    let counts: Vec<_> = queues.iter().map(|queue| queue.counts()).collect();
    let is_seen = |item: &&Value| caller.sees_of(item["user"].as_str().unwrap_or_default());
    Json(json!({
        "management_version": RABBITMQ_VERSION,
        "rabbitmq_version": RABBITMQ_VERSION,
        "product_name": "Leveret",
        "product_version": env!("CARGO_PKG_VERSION"),
        "rates_mode": "none",
        "sample_retention_policies": { "global": [], "basic": [], "detailed": [] },
        "cluster_name": api.clients.cluster_name(),
        "cluster_tags": {},
        "node_tags": {},
        "node": api.clients.node(),
        "erlang_version": "",
        "erlang_full_version": "",
        "crypto_lib_version": "",
        "disable_stats": false,
        "enable_queue_totals": false,
        "default_queue_type": "classic",
        "is_op_policy_updating_enabled": true,
        "exchange_types": exchange_types(&api),
        "object_totals": {
            "connections": api.clients.connections().iter().filter(is_seen).count(),
            "channels": api.clients.channels().iter().filter(is_seen).count(),
            "exchanges": exchanges,
            "queues": queues.len(),
            "consumers": counts.iter().map(|counts| counts.consumers).sum::<usize>(),
        },
        "queue_totals": totals(&counts),
        "message_stats": queues.iter().map(|queue| Stats::of(queue)).fold(Stats::default(), Stats::plus).to_json(),
        "churn_rates": {},
        "statistics_db_event_queue": 0,
        "listeners": api.clients.listeners(),
        "contexts": contexts(&api),
    }))
}

/// Messages over several queues.
pub(super) fn totals(counts: &[Counts]) -> Value {
    let ready: u64 = counts.iter().map(|counts| counts.ready).sum();
    let unacked: u64 = counts.iter().map(|counts| counts.unacked).sum();
    let waiting: u64 = counts.iter().map(|counts| counts.waiting).sum();
    json!({
        "messages": ready + unacked + waiting,
        "messages_ready": ready,
        "messages_unacknowledged": unacked,
        "messages_delayed": waiting,
    })
}

/// What has passed through queues since start.
#[derive(Clone, Copy, Default)]
pub(super) struct Stats {
    published: u64,
    delivered: u64,
    redelivered: u64,
    acknowledged: u64,
}

impl Stats {
    pub(super) fn of(queue: &Queue) -> Self {
        let totals = &queue.totals;
        Self {
            published: totals.published.load(Ordering::Relaxed),
            delivered: totals.delivered.load(Ordering::Relaxed),
            redelivered: totals.redelivered.load(Ordering::Relaxed),
            acknowledged: totals.acknowledged.load(Ordering::Relaxed),
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            published: self.published + other.published,
            delivered: self.delivered + other.delivered,
            redelivered: self.redelivered + other.redelivered,
            acknowledged: self.acknowledged + other.acknowledged,
        }
    }

    pub(super) fn to_json(self) -> Value {
        json!({
            "publish": self.published,
            "deliver_get": self.delivered,
            "redeliver": self.redelivered,
            "ack": self.acknowledged,
        })
    }
}
