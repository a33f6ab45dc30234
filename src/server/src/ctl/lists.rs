//! What can be listed: where it comes from and which columns it has, by rabbitmqctl's names.

use super::output::Column;

/// One kind of list.
pub(super) struct List {
    pub(super) what: &'static str,
    /// Below `/api/`.
    pub(super) path: &'static str,
    /// Whether the vhost is part of the path.
    pub(super) by_vhost: bool,
    pub(super) columns: &'static [Column],
    pub(super) default: &'static [&'static str],
}

pub(super) const USERS: List = List {
    what: "users",
    path: "users",
    by_vhost: false,
    columns: &[("user", "name"), ("tags", "tags")],
    default: &["user", "tags"],
};

pub(super) const VHOSTS: List = List {
    what: "vhosts",
    path: "vhosts",
    by_vhost: false,
    columns: &[
        ("name", "name"),
        ("description", "description"),
        ("tags", "tags"),
        ("default_queue_type", "default_queue_type"),
        ("metadata", "metadata"),
        ("tracing", "tracing"),
        ("cluster_state", "cluster_state"),
        ("messages", "messages"),
    ],
    default: &["name"],
};

pub(super) const POLICIES: List =
    List { what: "policies", path: "policies", by_vhost: true, columns: POLICY_COLUMNS, default: POLICY_DEFAULT };

pub(super) const OPERATOR_POLICIES: List = List {
    what: "operator policy overrides",
    path: "operator-policies",
    by_vhost: true,
    columns: POLICY_COLUMNS,
    default: POLICY_DEFAULT,
};

const POLICY_COLUMNS: &[Column] = &[
    ("vhost", "vhost"),
    ("name", "name"),
    ("pattern", "pattern"),
    ("apply-to", "apply-to"),
    ("definition", "definition"),
    ("priority", "priority"),
];

const POLICY_DEFAULT: &[&str] = &["vhost", "name", "pattern", "apply-to", "definition", "priority"];

pub(super) const QUEUES: List = List {
    what: "queues",
    path: "queues",
    by_vhost: true,
    columns: &[
        ("name", "name"),
        ("vhost", "vhost"),
        ("durable", "durable"),
        ("auto_delete", "auto_delete"),
        ("exclusive", "exclusive"),
        ("arguments", "arguments"),
        ("type", "type"),
        ("policy", "policy"),
        ("operator_policy", "operator_policy"),
        ("effective_policy_definition", "effective_policy_definition"),
        ("messages_ready", "messages_ready"),
        ("messages_unacknowledged", "messages_unacknowledged"),
        ("messages_delayed", "messages_delayed"),
        ("messages", "messages"),
        ("message_bytes_ready", "message_bytes_ready"),
        ("message_bytes_unacknowledged", "message_bytes_unacknowledged"),
        ("message_bytes_delayed", "message_bytes_delayed"),
        ("message_bytes", "message_bytes"),
        ("consumers", "consumers"),
        ("state", "state"),
        ("node", "node"),
    ],
    default: &["name", "messages"],
};

pub(super) const EXCHANGES: List = List {
    what: "exchanges",
    path: "exchanges",
    by_vhost: true,
    columns: &[
        ("name", "name"),
        ("vhost", "vhost"),
        ("type", "type"),
        ("durable", "durable"),
        ("auto_delete", "auto_delete"),
        ("internal", "internal"),
        ("arguments", "arguments"),
        ("policy", "policy"),
        ("messages_delayed", "messages_delayed"),
    ],
    default: &["name", "type"],
};

pub(super) const DELAYED_EXCHANGES: List = List {
    what: "delayed exchanges",
    path: "delayed",
    by_vhost: true,
    columns: &[
        ("name", "name"),
        ("vhost", "vhost"),
        ("messages_delayed", "messages_delayed"),
        ("message_bytes_delayed", "message_bytes_delayed"),
        ("next_due_ms", "next_due_ms"),
        ("delivered", "delivered"),
        ("unroutable", "unroutable"),
        ("lateness", "lateness"),
    ],
    default: &["name", "messages_delayed", "next_due_ms"],
};

pub(super) const DELAYED_COLUMNS: &[Column] = &[
    ("id", "id"),
    ("due_ms", "due_ms"),
    ("published_ms", "published_ms"),
    ("message_id", "message_id"),
    ("exchange", "exchange"),
    ("routing_key", "routing_key"),
    ("properties", "properties"),
    ("payload_bytes", "payload_bytes"),
];

pub(super) const DELAYED_DEFAULT: &[&str] = &["id", "due_ms", "message_id", "routing_key", "payload_bytes"];

pub(super) const BINDINGS: List = List {
    what: "bindings",
    path: "bindings",
    by_vhost: true,
    columns: &[
        ("source_name", "source"),
        ("source_kind", "source_kind"),
        ("destination_name", "destination"),
        ("destination_kind", "destination_type"),
        ("routing_key", "routing_key"),
        ("arguments", "arguments"),
        ("vhost", "vhost"),
    ],
    default: &["source_name", "source_kind", "destination_name", "destination_kind", "routing_key", "arguments"],
};

pub(super) const CONNECTIONS: List = List {
    what: "connections",
    path: "connections",
    by_vhost: false,
    columns: &[
        ("name", "name"),
        ("user_provided_name", "user_provided_name"),
        ("user", "user"),
        ("vhost", "vhost"),
        ("peer_host", "peer_host"),
        ("peer_port", "peer_port"),
        ("host", "host"),
        ("port", "port"),
        ("state", "state"),
        ("protocol", "protocol"),
        ("auth_mechanism", "auth_mechanism"),
        ("ssl", "ssl"),
        ("channels", "channels"),
        ("channel_max", "channel_max"),
        ("frame_max", "frame_max"),
        ("timeout", "timeout"),
        ("client_properties", "client_properties"),
        ("connected_at", "connected_at"),
        ("recv_oct", "recv_oct"),
        ("send_oct", "send_oct"),
        ("node", "node"),
    ],
    default: &["user", "peer_host", "peer_port", "state"],
};

pub(super) const CHANNELS: List = List {
    what: "channels",
    path: "channels",
    by_vhost: false,
    columns: &[
        ("name", "name"),
        ("number", "number"),
        ("user", "user"),
        ("vhost", "vhost"),
        ("connection", "connection_details.name"),
        ("state", "state"),
        ("transactional", "transactional"),
        ("confirm", "confirm"),
        ("consumer_count", "consumer_count"),
        ("messages_unacknowledged", "messages_unacknowledged"),
        ("messages_uncommitted", "messages_uncommitted"),
        ("acks_uncommitted", "acks_uncommitted"),
        ("messages_unconfirmed", "messages_unconfirmed"),
        ("prefetch_count", "prefetch_count"),
        ("global_prefetch_count", "global_prefetch_count"),
    ],
    default: &["name", "user", "consumer_count", "messages_unacknowledged"],
};

pub(super) const CONSUMERS: List = List {
    what: "consumers",
    path: "consumers",
    by_vhost: true,
    columns: &[
        ("queue_name", "queue.name"),
        ("channel_name", "channel_details.name"),
        ("consumer_tag", "consumer_tag"),
        ("ack_required", "ack_required"),
        ("exclusive", "exclusive"),
        ("prefetch_count", "prefetch_count"),
        ("active", "active"),
        ("activity_status", "activity_status"),
        ("arguments", "arguments"),
    ],
    default: &["queue_name", "channel_name", "consumer_tag", "ack_required", "prefetch_count", "active", "arguments"],
};

/// Of all vhosts.
pub(super) const VHOST_LIMITS: &[Column] = &[("vhost", "vhost"), ("limits", "value")];

/// Of all users.
pub(super) const USER_LIMITS: &[Column] = &[("user", "user"), ("limits", "value")];

/// Of a vhost.
pub(super) const PERMISSIONS: &[Column] =
    &[("user", "user"), ("configure", "configure"), ("write", "write"), ("read", "read")];

/// Of a user.
pub(super) const USER_PERMISSIONS: &[Column] =
    &[("vhost", "vhost"), ("configure", "configure"), ("write", "write"), ("read", "read")];

/// Of a vhost.
pub(super) const TOPIC_PERMISSIONS: &[Column] =
    &[("user", "user"), ("exchange", "exchange"), ("write", "write"), ("read", "read")];
