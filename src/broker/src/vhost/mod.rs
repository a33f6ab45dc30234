//! A virtual host: the exchanges, bindings and queues under one name.
//!
//! The topology is plain data behind a read-write lock that is held for a look-up or a change and never across
//! anything else but the note of that change to the store's next cut. Publishers do not come here for each message: they
//! keep routes for as long as [`VHost::generation`] stands still.

mod caches;
mod exchanges;
mod metadata;
mod policies;
mod queues;
mod remember;
mod replay;
mod tell;
mod timelines;

use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use leveret_amqp::{Properties, ReplyCode};
use parking_lot::{Mutex, RwLock};

use crate::{
    Error, Turn,
    exchange::{Binding, Destination, ExchangeTypes, RouteInput},
    queue::Queue,
    routing::{self, Routed, Sender},
    timeline::Timeline,
    topology::{Change, DeclareExchange, Exchange, Topology},
};

pub use metadata::VHostMetadata;
pub use queues::DeclareQueue;
pub(crate) use queues::is_kept;
pub(crate) use remember::remember;

/// Bytes of a vhost's name, as a short string has it.
const NAME_BYTES_MAX: usize = 255;

/// What leads where in a vhost.
type Map = Topology<Arc<Queue>, Arc<Timeline>>;

/// A virtual host.
pub struct VHost {
    /// Its name.
    pub name: Arc<str>,
    topology: RwLock<Map>,
    generation: AtomicU64,
    deleted: AtomicBool,
    metadata: RwLock<Arc<VHostMetadata>>,
    exclusive: Mutex<HashMap<u64, Vec<Weak<Queue>>>>,
}

impl VHost {
    /// A vhost with the pre-declared exchanges.
    pub(crate) fn new(name: &str, metadata: VHostMetadata, types: &ExchangeTypes) -> Self {
        Self {
            name: name.into(),
            topology: RwLock::new(Topology::new(name, types.clone())),
            generation: AtomicU64::new(0),
            deleted: AtomicBool::new(false),
            metadata: RwLock::new(Arc::new(metadata)),
            exclusive: Mutex::default(),
        }
    }

    /// What administrators say of it.
    #[must_use]
    pub fn metadata(&self) -> Arc<VHostMetadata> {
        Arc::clone(&self.metadata.read())
    }

    pub(crate) fn change_metadata(&self, change: impl FnOnce(&mut VHostMetadata)) {
        change(Arc::make_mut(&mut self.metadata.write()));
    }

    /// Whether it is deleted: whoever still holds it can do nothing more in it. Under the lock under which the flag is
    /// set: what was done before this answered no, whoever deletes the vhost sees.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        let _topology = self.topology.read();
        self.deleted.load(Ordering::Relaxed)
    }

    /// Changes whenever a route may have changed.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Where a message goes that comes to an exchange at `now_ms`.
    ///
    /// # Errors
    /// 404 for an unknown exchange, 403 for a client's message to an internal one, 406 for malformed CC or BCC headers, an
    /// exchange whose type is missing, and a time that cannot be told.
    pub fn route(
        &self,
        sender: Sender,
        exchange: &str,
        routing_key: &[u8],
        properties: &Properties<'_>,
        now_ms: u64,
    ) -> Result<Routed<Arc<Queue>, Arc<Timeline>>, Error> {
        let input = RouteInput { routing_key, properties };
        routing::route(&self.topology.read(), sender, exchange, input, now_ms)
    }

    /// The queues, by name.
    #[must_use]
    pub fn queues(&self) -> Vec<Arc<Queue>> {
        let mut queues: Vec<_> = self.topology.read().queues().cloned().collect();
        queues.sort_by(|one, other| one.name.cmp(&other.name));
        queues
    }

    /// The exchanges, by name.
    #[must_use]
    pub fn exchanges(&self) -> Vec<Arc<Exchange>> {
        let mut exchanges: Vec<_> = self.topology.read().exchanges().cloned().collect();
        exchanges.sort_by(|one, other| one.name.cmp(&other.name));
        exchanges
    }

    /// The bindings, those of the default exchange to every queue not among them.
    #[must_use]
    pub fn bindings(&self) -> Vec<Binding> {
        self.topology.read().bindings().cloned().collect()
    }

    /// Whether an exchange leads anywhere by a binding.
    #[must_use]
    pub fn is_bound(&self, exchange: &str) -> bool {
        self.topology.read().bindings_from(exchange).next().is_some()
    }

    pub(crate) fn restore_exchange(&self, declare: &DeclareExchange<'_>) {
        self.topology.write().restore_exchange(declare);
    }

    /// False where one of its ends is missing.
    pub(crate) fn restore_binding(&self, binding: Binding) -> bool {
        self.topology.write().restore_binding(binding)
    }

    /// Ends every queue; their consumers are told.
    pub(crate) fn close(&self, turn: &mut Turn<'_>) {
        {
            let _topology = self.topology.write();
            self.deleted.store(true, Ordering::Relaxed);
        }
        for queue in self.queues() {
            self.remove_queue(turn, &queue);
        }
    }

    /// Deletes the exclusive queues of a connection that has ended.
    pub fn release_connection(&self, turn: &mut Turn<'_>, connection_id: u64) {
        let queues = self.exclusive.lock().remove(&connection_id).unwrap_or_default();
        for queue in queues.iter().filter_map(Weak::upgrade) {
            self.remove_queue(turn, &queue);
        }
    }

    /// Refuses additions once the vhost is deleted: whoever still holds it would leave records that belong to nothing.
    /// Asked under the topology's lock, under which the flag is set.
    fn check_not_deleted(&self) -> Result<(), Error> {
        match self.deleted.load(Ordering::Relaxed) {
            true => Err(Error::new(ReplyCode::NotAllowed, format!("vhost {} not found", self.name))),
            false => Ok(()),
        }
    }

    /// Applies a change of the topology and notes what of it is durable for the store's next cut. Both happen under
    /// the topology's lock, so that the catalogue sees changes of one thing in the order in which they were made.
    fn change<T>(
        &self,
        turn: &Turn<'_>,
        change: impl FnOnce(&mut Map) -> Result<(T, Change), Error>,
    ) -> Result<T, Error> {
        let mut topology = self.topology.write();
        let (result, change) = change(&mut topology)?;
        self.generation.store(topology.generation(), Ordering::Release);
        remember::change(&turn.store, &topology, &change);
        let left = topology.take_left_timelines();
        left.iter().for_each(|timeline| remember::timeline_gone(&turn.store, timeline));
        let left_caches = topology.take_left_caches();
        for (exchange, cache) in &left_caches {
            remember::cache_gone(&turn.store, &self.name, Destination::Exchange(Arc::clone(exchange)), cache);
        }
        drop(topology);
        self.tell(turn, &change);
        left.iter().for_each(|timeline| timeline.close());
        left_caches.iter().for_each(|(_, cache)| cache.close());
        Ok(result)
    }
}

/// Refuses what cannot be a vhost's name.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(Error::precondition_failed(format!(
            "invalid vhost name: it must have 1 to {NAME_BYTES_MAX} bytes, this one has {}",
            name.len()
        )));
    }
    Ok(())
}
