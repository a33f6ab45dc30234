//! What can happen in a broker, under the names that RabbitMQ's event exchange has for it.
//!
//! Events share what they are about with the broker: one costs a few counters, not copies. RabbitMQ's `parameter.*` are
//! not among them: Leveret keeps no parameters, and what RabbitMQ keeps as some — operator policies, limits — has events
//! of its own in both.

use std::{net::SocketAddr, sync::Arc};

use leveret_amqp::FieldTable;

use crate::{
    VHostMetadata,
    access::{Permissions, TopicPermissions, User},
    exchange::Binding,
    limits::{UserLimits, VHostLimits},
    policy::{Policy, PolicyRole},
    queue::Queue,
    topology::Exchange,
};

/// Something that has happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Who did it; [`super::internal_user`] for what the broker did by itself.
    pub user: Arc<str>,
    /// What.
    pub kind: EventKind,
}

/// What has happened, and to what.
#[derive(Clone, Debug)]
pub enum EventKind {
    /// A queue is new.
    QueueCreated(Arc<Queue>),
    /// A queue is gone.
    QueueDeleted(Arc<Queue>),
    /// An exchange is new.
    ExchangeCreated(InVHost<Exchange>),
    /// An exchange is gone.
    ExchangeDeleted(InVHost<Exchange>),
    /// A binding is new.
    BindingCreated(InVHost<Binding>),
    /// A binding is gone; also with one of its ends.
    BindingDeleted(InVHost<Binding>),
    /// A connection is open.
    ConnectionCreated(Arc<Connection>),
    /// A connection that was open has ended.
    ConnectionClosed(Arc<Connection>),
    /// A channel is open.
    ChannelCreated(Arc<Channel>),
    /// A channel has ended; with so many consumers on it.
    ChannelClosed(Arc<Channel>, usize),
    /// A consumer is there, on these terms.
    ConsumerCreated(Consumer, Arc<ConsumerTerms>),
    /// A consumer has ended.
    ConsumerDeleted(Consumer),
    /// A policy is new, or another.
    PolicySet(PolicyRole, Arc<Policy>),
    /// A policy is gone.
    PolicyCleared(PolicyRole, Arc<Policy>),
    /// A vhost is new.
    VHostCreated(Arc<str>, Arc<VHostMetadata>),
    /// Something else is said of a vhost.
    VHostUpdated(Arc<str>, Arc<VHostMetadata>),
    /// A vhost is gone.
    VHostDeleted(Arc<str>),
    /// A vhost has these limits now.
    VHostLimitsSet(Arc<str>, VHostLimits),
    /// A vhost has no limits any more.
    VHostLimitsCleared(Arc<str>),
    /// Somebody has logged in.
    LoginSucceeded(Arc<Login>),
    /// Somebody was not let in; why, for people.
    LoginFailed(Arc<Login>, Arc<str>),
    /// A user is new.
    UserCreated(Arc<User>),
    /// A user is gone.
    UserDeleted(Arc<str>),
    /// A user has another password.
    UserPasswordChanged(Arc<User>),
    /// A user has no password any more.
    UserPasswordCleared(Arc<User>),
    /// A user has other tags.
    UserTagsSet(Arc<User>),
    /// A user has these limits now.
    UserLimitsSet(Arc<str>, UserLimits),
    /// A user has no limits any more.
    UserLimitsCleared(Arc<str>),
    /// A user has these permissions in a vhost now.
    PermissionCreated(Arc<Permissions>),
    /// A user has no permissions in a vhost any more.
    PermissionDeleted(Arc<Permissions>),
    /// A user has these permissions on a topic exchange now.
    TopicPermissionCreated(Arc<TopicPermissions>),
    /// A user has none on a topic exchange any more.
    TopicPermissionDeleted(Arc<TopicPermissions>),
    /// A resource runs short: publishers wait.
    AlarmSet(Alarm),
    /// It does not any more.
    AlarmCleared(Alarm),
}

impl EventKind {
    /// The name, such as `queue.created`: the routing key in RabbitMQ's event exchange.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::QueueCreated(_) => "queue.created",
            Self::QueueDeleted(_) => "queue.deleted",
            Self::ExchangeCreated(_) => "exchange.created",
            Self::ExchangeDeleted(_) => "exchange.deleted",
            Self::BindingCreated(_) => "binding.created",
            Self::BindingDeleted(_) => "binding.deleted",
            Self::ConnectionCreated(_) => "connection.created",
            Self::ConnectionClosed(_) => "connection.closed",
            Self::ChannelCreated(_) => "channel.created",
            Self::ChannelClosed(..) => "channel.closed",
            Self::ConsumerCreated(..) => "consumer.created",
            Self::ConsumerDeleted(_) => "consumer.deleted",
            Self::PolicySet(..) => "policy.set",
            Self::PolicyCleared(PolicyRole::Ordinary, _) => "policy.cleared",
            Self::PolicyCleared(PolicyRole::Operator, _) => "operator.policy.cleared",
            Self::VHostCreated(..) => "vhost.created",
            Self::VHostUpdated(..) => "vhost.updated",
            Self::VHostDeleted(_) => "vhost.deleted",
            Self::VHostLimitsSet(..) => "vhost.limits.set",
            Self::VHostLimitsCleared(_) => "vhost.limits.cleared",
            Self::LoginSucceeded(_) => "user.authentication.success",
            Self::LoginFailed(..) => "user.authentication.failure",
            Self::UserCreated(_) => "user.created",
            Self::UserDeleted(_) => "user.deleted",
            Self::UserPasswordChanged(_) => "user.password.changed",
            Self::UserPasswordCleared(_) => "user.password.cleared",
            Self::UserTagsSet(_) => "user.tags.set",
            Self::UserLimitsSet(..) => "user.limits.set",
            Self::UserLimitsCleared(_) => "user.limits.cleared",
            Self::PermissionCreated(_) => "permission.created",
            Self::PermissionDeleted(_) => "permission.deleted",
            Self::TopicPermissionCreated(_) => "topic.permission.created",
            Self::TopicPermissionDeleted(_) => "topic.permission.deleted",
            Self::AlarmSet(_) => "alarm.set",
            Self::AlarmCleared(_) => "alarm.cleared",
        }
    }
}

/// Something of a vhost that does not know which.
#[derive(Debug)]
pub struct InVHost<T> {
    /// The vhost's name.
    pub vhost: Arc<str>,
    /// What it is about.
    pub it: Arc<T>,
}

// Not derived, since that asks for a `T` that can be copied.
impl<T> Clone for InVHost<T> {
    fn clone(&self) -> Self {
        Self { vhost: Arc::clone(&self.vhost), it: Arc::clone(&self.it) }
    }
}

/// A client's connection, as its front end knows it.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Unique among the connections, channels and consumers of this run.
    pub id: u64,
    /// `peer:port -> local:port`, as RabbitMQ names connections.
    pub name: Arc<str>,
    /// Who logged in.
    pub user: Arc<str>,
    /// The vhost's name.
    pub vhost: Arc<str>,
    /// Such as `AMQP 0-9-1`.
    pub protocol: &'static str,
    /// The mechanism of the login, such as `PLAIN`.
    pub auth_mechanism: Arc<str>,
    /// The peer's end; `None` where the transport has no addresses.
    pub peer: Option<SocketAddr>,
    /// The server's end.
    pub local: Option<SocketAddr>,
    /// When it was accepted, in milliseconds since the Unix epoch.
    pub connected_at_ms: u64,
    /// Bytes; 0 is no limit.
    pub frame_max: u32,
    /// 0 is no limit.
    pub channel_max: u16,
    /// Seconds; 0 is off.
    pub heartbeat_s: u16,
    /// As the client sent them.
    pub client_properties: FieldTable,
}

/// A channel of a connection.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Unique among the connections, channels and consumers of this run.
    pub id: u64,
    /// Its number on the wire.
    pub number: u16,
    /// The connection's id.
    pub connection_id: u64,
    /// The connection's name.
    pub connection_name: Arc<str>,
    /// Who logged in.
    pub user: Arc<str>,
    /// The vhost's name.
    pub vhost: Arc<str>,
}

/// A consumer of a queue.
#[derive(Clone, Debug)]
pub struct Consumer {
    /// The consumer tag, unique in its channel.
    pub tag: Arc<str>,
    /// The channel's id.
    pub channel_id: u64,
    /// What it consumes from.
    pub queue: Arc<Queue>,
}

/// How a consumer is served.
#[derive(Clone, Debug)]
pub struct ConsumerTerms {
    /// Whether it is alone by right.
    pub exclusive: bool,
    /// Whether deliveries must be acknowledged.
    pub ack_required: bool,
    /// Unacked messages at a time; 0 is no limit.
    pub prefetch: u32,
    /// As given to basic.consume.
    pub arguments: FieldTable,
}

/// An attempt to log in.
#[derive(Clone, Debug)]
pub struct Login {
    /// The user's name, where one was told.
    pub user: Option<Arc<str>>,
    /// The name of the connection.
    pub connection_name: Arc<str>,
    /// Such as `AMQP 0-9-1`.
    pub protocol: &'static str,
    /// The mechanism, such as `PLAIN`.
    pub auth_mechanism: Arc<str>,
    /// The peer's end; `None` where the transport has no addresses.
    pub peer: Option<SocketAddr>,
    /// The server's end.
    pub local: Option<SocketAddr>,
}

/// A resource that can run short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// Memory.
    Memory,
    /// Space on the data folder's disk.
    Disk,
}

impl Alarm {
    /// RabbitMQ's word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Disk => "disk",
        }
    }
}
