//! From the store back to a running broker.
//!
//! The catalogue comes in the order in which it can be applied: vhosts, users, policies, exchanges, queues, bindings, and
//! the messages that exchanges hold back or keep. A queue takes its counters and nothing else, so opening takes time by
//! queue, not by message. A record that cannot be read stops the start: a broker that went on without it would sooner or
//! later drop what belongs to it.

use std::{collections::HashMap, sync::Arc};

use leveret_store::{LogId, LogState, StoreError};

use crate::{
    Broker, BrokerConfig, Error, Turn, VHost, VHostMetadata,
    access::{AccessError, Permissions, User},
    catalogue::{CacheRecord, CatalogueError, ExchangeRecord, QueueRecord, Record, TimelineRecord},
    policy::{PolicyError, PolicyRole},
    topology::DeclareExchange,
    vhost::{DeclareQueue, remember},
};

/// The vhost of an empty store.
const DEFAULT_VHOST: &str = "/";

/// Why a broker cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A record of the catalogue cannot be read.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// A record belongs to a vhost that is not in the catalogue.
    #[error("catalogue: {what} belongs to vhost '{vhost}', which does not exist")]
    Orphan {
        /// The kind of record.
        what: &'static str,
        /// The vhost it names.
        vhost: Arc<str>,
    },
    /// A user or permission in the catalogue is none.
    #[error("catalogue: {0}")]
    Access(#[from] AccessError),
    /// A policy in the catalogue is none.
    #[error("catalogue: {0}")]
    Policy(#[from] PolicyError),
    /// The default vhost cannot be made.
    #[error("cannot create the default vhost: {0}")]
    DefaultVHost(Error),
    /// A thread cannot be started.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] std::io::Error),
}

type Logs = HashMap<u64, Vec<(LogId, LogState)>>;

/// Recovers what the store holds, or fills an empty one.
pub(crate) fn recover(broker: &Broker, config: &BrokerConfig, now_ms: u64) -> Result<(), OpenError> {
    let records = broker.store().catalogue()?;
    let mut logs = logs_by_queue(broker)?;
    let mut turn = broker.turn_at(now_ms);
    let mut has_vhosts = false;
    for (key, value) in records {
        let record = Record::decode(&key, &value)?;
        has_vhosts |= matches!(record, Record::VHost(_));
        apply(broker, &mut turn, record, &mut logs)?;
    }
    for queue in logs.into_keys() {
        tracing::info!(
            queue,
            "removed messages of a queue that the catalogue does not know, or that an exchange held which was not durable"
        );
        turn.store.catalogue(|writes| {
            writes.delete_queue(queue);
            writes.drop_timeline(queue);
        });
    }
    for vhost in broker.vhosts() {
        vhost.add_missing_timelines(&turn);
        vhost.add_missing_caches(&turn);
        vhost.apply_policies(&mut turn);
    }
    if has_vhosts { Ok(()) } else { fill(broker, &mut turn, config) }
}

fn logs_by_queue(broker: &Broker) -> Result<Logs, OpenError> {
    let mut logs = Logs::new();
    for (log, state) in broker.store().logs()? {
        broker.queue_id_seen(log.queue);
        logs.entry(log.queue).or_default().push((log, state));
    }
    Ok(logs)
}

fn apply(broker: &Broker, turn: &mut Turn<'_>, record: Record, logs: &mut Logs) -> Result<(), OpenError> {
    match record {
        Record::Meta(meta) => broker.queue_id_seen(meta.next_queue_id.saturating_sub(1)),
        Record::VHost(record) => broker.restore_vhost(&record.name, record.metadata),
        Record::User(user) => {
            broker.access().put_user(user);
        }
        Record::Permission(permissions) => {
            broker.access().put_permissions(permissions)?;
        }
        Record::TopicPermission(permissions) => {
            broker.access().put_topic_permissions(permissions)?;
        }
        Record::Policy(policy) => {
            broker.policies().put(PolicyRole::Ordinary, policy)?;
        }
        Record::OperatorPolicy(policy) => {
            broker.policies().put(PolicyRole::Operator, policy)?;
        }
        Record::Exchange(record) => exchange(broker, &record)?,
        Record::Queue(record) => queue(broker, turn, &record, logs)?,
        Record::Binding(record) => {
            let vhost = vhost(broker, "a binding", &record.vhost)?;
            if !vhost.restore_binding(record.into_binding()) {
                tracing::warn!(vhost = %vhost.name, "a binding in the catalogue has lost one of its ends");
            }
        }
        Record::Timeline(record) => timeline(broker, turn, &record, logs)?,
        Record::Cache(record) => cache(broker, turn, &record, logs)?,
        Record::VHostLimits(record) => broker.limits().set_vhost(&record.vhost, record.limits),
        Record::UserLimits(record) => broker.limits().set_user(&record.user, record.limits),
        Record::GlobalParameter(_) | Record::Parameter(_) => {}
    }
    Ok(())
}

fn vhost(broker: &Broker, what: &'static str, name: &Arc<str>) -> Result<Arc<VHost>, OpenError> {
    broker.vhost(name).ok_or_else(|| OpenError::Orphan { what, vhost: Arc::clone(name) })
}

fn exchange(broker: &Broker, record: &ExchangeRecord) -> Result<(), OpenError> {
    vhost(broker, "an exchange", &record.vhost)?.restore_exchange(&DeclareExchange {
        name: &record.name,
        kind: &record.kind,
        durable: record.durable,
        auto_delete: record.auto_delete,
        internal: record.internal,
        arguments: &record.arguments,
    });
    Ok(())
}

fn queue(broker: &Broker, turn: &mut Turn<'_>, record: &QueueRecord, logs: &mut Logs) -> Result<(), OpenError> {
    let vhost = vhost(broker, "a queue", &record.vhost)?;
    let declare = DeclareQueue {
        name: &record.name,
        durable: record.durable,
        auto_delete: record.auto_delete,
        exclusive_to: None,
        arguments: &record.arguments,
    };
    broker.queue_id_seen(record.id);
    vhost.restore_queue(turn, record.id, &declare, logs.remove(&record.id).unwrap_or_default());
    Ok(())
}

fn timeline(broker: &Broker, turn: &Turn<'_>, record: &TimelineRecord, logs: &mut Logs) -> Result<(), OpenError> {
    let vhost = vhost(broker, "a timeline", &record.vhost)?;
    broker.queue_id_seen(record.id);
    let state = logs.get(&record.id).and_then(|logs| logs.first()).map(|(_, state)| *state);
    if vhost.restore_timeline(turn, record, state) {
        logs.remove(&record.id);
    } else {
        tracing::warn!(vhost = %vhost.name, exchange = %record.exchange, "messages that an exchange held or kept have lost it");
    }
    Ok(())
}

fn cache(broker: &Broker, turn: &Turn<'_>, record: &CacheRecord, logs: &mut Logs) -> Result<(), OpenError> {
    let vhost = vhost(broker, "a cache", &record.vhost)?;
    broker.queue_id_seen(record.id);
    let state = logs.get(&record.id).and_then(|logs| logs.first()).map(|(_, state)| *state);
    if vhost.restore_cache(turn, record, state)? {
        logs.remove(&record.id);
    } else {
        tracing::warn!(vhost = %vhost.name, owner = %record.owner.name(), "what was seen there is not needed any more");
    }
    Ok(())
}

/// Gives an empty store its vhost and an administrator.
fn fill(broker: &Broker, turn: &mut Turn<'_>, config: &BrokerConfig) -> Result<(), OpenError> {
    broker.create_vhost(turn, DEFAULT_VHOST, VHostMetadata::default()).map_err(OpenError::DefaultVHost)?;
    let user = User::new(&config.default_user, Some(config.default_password.as_bytes()), &["administrator"])?;
    let everything = || ".*".to_owned();
    let permissions = Permissions {
        user: Arc::clone(&user.name),
        vhost: DEFAULT_VHOST.into(),
        configure: everything(),
        write: everything(),
        read: everything(),
    };
    remember(&turn.store, &Record::User(User::clone(&broker.access().put_user(user))));
    let permissions = broker.access().put_permissions(permissions)?;
    remember(&turn.store, &Record::Permission(Permissions::clone(&permissions)));
    Ok(())
}
