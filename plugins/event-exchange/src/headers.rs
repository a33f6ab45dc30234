//! What a message says of its event, under RabbitMQ's names.

use std::net::SocketAddr;

use leveret_amqp::{FieldTable, FieldValue};
use leveret_broker::{
    VHostMetadata,
    access::{Permissions, TopicPermissions},
    exchange::Binding,
    plugin::{Channel, Connection, Consumer, ConsumerTerms, Event, EventKind, InVHost, Login, table_from_json},
    policy::Policy,
    queue::Queue,
    topology::Exchange,
};

use crate::values::{integer, texts};

/// The headers of an event on the server of that name.
pub(crate) fn headers(event: &Event, node: &str) -> FieldTable {
    let mut headers = of_kind(&event.kind, node);
    if tells_user(&event.kind) {
        headers.insert("user_who_performed_action", &*event.user);
    }
    headers.insert("timestamp_in_ms", integer(event.at_ms));
    headers
}

/// RabbitMQ does not say whose doing these are.
fn tells_user(kind: &EventKind) -> bool {
    !matches!(
        kind,
        EventKind::ConnectionClosed(_)
            | EventKind::LoginSucceeded(_)
            | EventKind::LoginFailed(..)
            | EventKind::AlarmSet(_)
            | EventKind::AlarmCleared(_)
    )
}

fn of_kind(kind: &EventKind, node: &str) -> FieldTable {
    let named = |name: &str| FieldTable::new().with("name", name);
    match kind {
        EventKind::QueueCreated(queue) => queue_created(queue),
        EventKind::QueueDeleted(queue) => queue_named(queue),
        EventKind::ExchangeCreated(exchange) => exchange_created(exchange),
        EventKind::ExchangeDeleted(InVHost { vhost, it }) => named(&it.name).with("vhost", &**vhost),
        EventKind::BindingCreated(binding) | EventKind::BindingDeleted(binding) => of_binding(binding),
        EventKind::ConnectionCreated(connection) => connection_created(connection, node),
        EventKind::ConnectionClosed(connection) => connection_named(connection, node),
        EventKind::ChannelCreated(channel) => channel_created(channel),
        EventKind::ChannelClosed(channel, consumers) => {
            pid("pid", channel.id).with("consumer_count", i64::try_from(*consumers).unwrap_or(i64::MAX))
        }
        EventKind::ConsumerCreated(consumer, terms) => consumer_created(consumer, terms),
        EventKind::ConsumerDeleted(consumer) => of_consumer(consumer),
        EventKind::PolicySet(_, policy) => policy_set(policy),
        EventKind::PolicyCleared(_, policy) => named(&policy.name).with("vhost", &*policy.vhost),
        EventKind::VHostCreated(name, metadata) | EventKind::VHostUpdated(name, metadata) => {
            with_metadata(named(name), metadata)
        }
        EventKind::VHostDeleted(name) | EventKind::UserDeleted(name) => named(name),
        EventKind::VHostLimitsSet(vhost, limits) => {
            let headers = named("limits").with("vhost", &**vhost);
            with_limits(headers, [("max-connections", limits.max_connections), ("max-queues", limits.max_queues)])
        }
        EventKind::VHostLimitsCleared(vhost) => named("limits").with("vhost", &**vhost),
        EventKind::LoginSucceeded(login) => of_login(login),
        EventKind::LoginFailed(login, reason) => of_login(login).with("error", &**reason),
        EventKind::UserCreated(user) | EventKind::UserPasswordChanged(user) | EventKind::UserPasswordCleared(user) => {
            named(&user.name)
        }
        EventKind::UserTagsSet(user) => named(&user.name).with("tags", texts(&user.tags)),
        EventKind::UserLimitsSet(user, limits) => {
            let headers = named("limits").with("username", &**user);
            with_limits(headers, [("max-connections", limits.max_connections), ("max-channels", limits.max_channels)])
        }
        EventKind::UserLimitsCleared(user) => named("limits").with("username", &**user),
        EventKind::PermissionCreated(permissions) => permission_named(permissions)
            .with("configure", &*permissions.configure)
            .with("write", &*permissions.write)
            .with("read", &*permissions.read),
        EventKind::PermissionDeleted(permissions) => permission_named(permissions),
        EventKind::TopicPermissionCreated(permissions) => {
            topic_permission_named(permissions).with("write", &*permissions.write).with("read", &*permissions.read)
        }
        EventKind::TopicPermissionDeleted(permissions) => topic_permission_named(permissions),
        EventKind::AlarmSet(alarm) | EventKind::AlarmCleared(alarm) => {
            FieldTable::new().with("source", alarm.name()).with("node", node)
        }
    }
}

fn queue_named(queue: &Queue) -> FieldTable {
    FieldTable::new()
        .with("name", &*queue.name)
        .with("vhost", &*queue.vhost)
        // The module that implements it in RabbitMQ, which is what its events have here.
        .with("type", format!("rabbit_{}_queue", queue.kind.name()))
}

fn queue_created(queue: &Queue) -> FieldTable {
    queue_named(queue)
        .with("durable", queue.durable)
        .with("auto_delete", queue.auto_delete)
        .with("exclusive", queue.exclusive_to.is_some())
        .with("arguments", queue.arguments.clone())
}

fn exchange_created(InVHost { vhost, it }: &InVHost<Exchange>) -> FieldTable {
    FieldTable::new()
        .with("name", &*it.name)
        .with("vhost", &**vhost)
        .with("type", &*it.kind)
        .with("durable", it.durable)
        .with("auto_delete", it.auto_delete)
        .with("internal", it.internal)
        .with("arguments", it.arguments.clone())
}

fn of_binding(InVHost { vhost, it }: &InVHost<Binding>) -> FieldTable {
    FieldTable::new()
        .with("source_name", &*it.source)
        .with("source_kind", "exchange")
        .with("destination_name", &**it.destination.name())
        .with("destination_kind", it.destination.kind())
        .with("routing_key", FieldValue::LongString(it.routing_key.to_vec()))
        .with("arguments", it.arguments.clone())
        .with("vhost", &**vhost)
}

fn connection_named(connection: &Connection, node: &str) -> FieldTable {
    let mut headers = pid("pid", connection.id)
        .with("name", &*connection.name)
        .with("node", node)
        .with("client_properties", connection.client_properties.clone());
    if let Some(name) = connection.client_properties.get("connection_name") {
        headers.insert("user_provided_name", name.clone());
    }
    headers
}

fn connection_created(connection: &Connection, node: &str) -> FieldTable {
    let headers = connection_named(connection, node)
        .with("type", "network")
        .with("protocol", connection.protocol)
        .with("auth_mechanism", &*connection.auth_mechanism)
        .with("user", &*connection.user)
        .with("vhost", &*connection.vhost)
        .with("ssl", false)
        .with("timeout", i64::from(connection.heartbeat_s))
        .with("frame_max", i64::from(connection.frame_max))
        .with("channel_max", i64::from(connection.channel_max))
        .with("connected_at", integer(connection.connected_at_ms));
    with_addresses(headers, connection.peer, connection.local)
}

fn channel_created(channel: &Channel) -> FieldTable {
    pid("pid", channel.id)
        .with("name", format!("{} ({})", channel.connection_name, channel.number))
        .with("connection", channel.connection_id.to_string())
        .with("number", i64::from(channel.number))
        .with("user", &*channel.user)
        .with("vhost", &*channel.vhost)
}

fn of_consumer(consumer: &Consumer) -> FieldTable {
    pid("channel", consumer.channel_id)
        .with("consumer_tag", &*consumer.tag)
        .with("queue", &*consumer.queue.name)
        .with("vhost", &*consumer.queue.vhost)
}

fn consumer_created(consumer: &Consumer, terms: &ConsumerTerms) -> FieldTable {
    of_consumer(consumer)
        .with("exclusive", terms.exclusive)
        .with("ack_required", terms.ack_required)
        .with("prefetch_count", i64::from(terms.prefetch))
        .with("arguments", terms.arguments.clone())
}

fn of_login(login: &Login) -> FieldTable {
    let mut headers = FieldTable::new()
        .with("connection_type", "network")
        .with("connection_name", &*login.connection_name)
        .with("protocol", login.protocol)
        .with("auth_mechanism", &*login.auth_mechanism)
        .with("ssl", false);
    if let Some(user) = &login.user {
        headers.insert("name", &**user);
    }
    with_addresses(headers, login.peer, login.local)
}

fn policy_set(policy: &Policy) -> FieldTable {
    FieldTable::new()
        .with("name", &*policy.name)
        .with("vhost", &*policy.vhost)
        .with("pattern", &*policy.pattern)
        .with("apply-to", policy.apply_to.name())
        .with("priority", policy.priority)
        // Its keys are known ones, and short.
        .with("definition", table_from_json(&policy.definition).unwrap_or_default())
}

fn permission_named(permissions: &Permissions) -> FieldTable {
    FieldTable::new().with("user", &*permissions.user).with("vhost", &*permissions.vhost)
}

fn topic_permission_named(permissions: &TopicPermissions) -> FieldTable {
    FieldTable::new()
        .with("user", &*permissions.user)
        .with("vhost", &*permissions.vhost)
        .with("exchange", &*permissions.exchange)
}

fn with_metadata(headers: FieldTable, metadata: &VHostMetadata) -> FieldTable {
    let mut headers = headers.with("description", &*metadata.description).with("tags", texts(&metadata.tags));
    if let Some(kind) = metadata.default_queue_type {
        headers.insert("default_queue_type", kind.name());
    }
    headers
}

/// What stands for a process of RabbitMQ's: all that matters of it is that it is the same in another event.
fn pid(key: &str, id: u64) -> FieldTable {
    FieldTable::new().with(key, id.to_string())
}

fn with_addresses(mut headers: FieldTable, peer: Option<SocketAddr>, local: Option<SocketAddr>) -> FieldTable {
    for (host, port, address) in [("peer_host", "peer_port", peer), ("host", "port", local)] {
        if let Some(address) = address {
            headers.insert(host, address.ip().to_canonical().to_string());
            headers.insert(port, i64::from(address.port()));
        }
    }
    headers
}

fn with_limits<const N: usize>(mut headers: FieldTable, limits: [(&str, Option<i64>); N]) -> FieldTable {
    for (name, limit) in limits {
        if let Some(limit) = limit {
            headers.insert(name, limit);
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use leveret_broker::{plugin::Alarm, policy::PolicyRole};
    use serde_json::json;

    use super::*;

    fn told(kind: EventKind) -> FieldTable {
        headers(&Event { at_ms: 1_500, user: "anna".into(), kind }, "leveret@here")
    }

    #[test]
    fn a_policy_tells_what_it_says() {
        let policy: Policy = serde_json::from_value(json!({
            "name": "p", "vhost": "/", "pattern": "^a", "apply-to": "queues", "priority": 3,
            "definition": { "max-length": 10, "overflow": "reject-publish" },
        }))
        .unwrap();
        let expected = FieldTable::new()
            .with("name", "p")
            .with("vhost", "/")
            .with("pattern", "^a")
            .with("apply-to", "queues")
            .with("priority", 3_i64)
            .with("definition", FieldTable::new().with("max-length", 10_i64).with("overflow", "reject-publish"))
            .with("user_who_performed_action", "anna")
            .with("timestamp_in_ms", 1_500_i64);
        assert_eq!(told(EventKind::PolicySet(PolicyRole::Ordinary, Arc::new(policy))), expected);
    }

    #[test]
    fn an_alarm_is_nobodys_doing() {
        let expected =
            FieldTable::new().with("source", "disk").with("node", "leveret@here").with("timestamp_in_ms", 1_500_i64);
        assert_eq!(told(EventKind::AlarmSet(Alarm::Disk)), expected);
    }

    #[test]
    fn a_login_that_failed_says_why_and_from_where() {
        let login = Login {
            user: None,
            connection_name: "[::1]:9 -> [::1]:5672".into(),
            protocol: "AMQP 0-9-1",
            auth_mechanism: "PLAIN".into(),
            peer: Some("[::ffff:10.0.0.1]:9".parse().unwrap()),
            local: None,
        };
        let headers = told(EventKind::LoginFailed(Arc::new(login), "no".into()));
        let text = |name: &str| headers.get(name).and_then(FieldValue::as_str).map(str::to_owned);
        assert_eq!((text("error").unwrap(), text("peer_host").unwrap()), ("no".into(), "10.0.0.1".into()));
        assert_eq!((text("name"), text("host"), text("user_who_performed_action")), (None, None, None));
    }
}
