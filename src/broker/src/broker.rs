//! The broker: vhosts, users and policies over one store, and the recovery of all of it.
//!
//! Nothing here is global: whoever needs the broker is handed an [`Arc`] of it. What a front end does, it does within a
//! [`Turn`].

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use dashmap::DashMap;
use leveret_store::Store;
use parking_lot::Mutex;

use crate::{
    Error, Turn, VHost, VHostMetadata,
    access::{Access, Refusal},
    auth::Identity,
    clock,
    exchange::ExchangeTypes,
    limits::Limits,
    memory::MessageMemory,
    plugin::{Event, EventKind, IncomingMessage, Observer, Registry, tell},
    policy::Policies,
    queue::Sizing,
    recovery::{self, OpenError},
    timers::{self, Sleeper, Timers},
    totals::Totals,
};

/// What a broker needs to know beyond its store.
#[derive(Clone, Debug)]
pub struct BrokerConfig {
    /// The first user of an empty store, an administrator.
    pub default_user: String,
    /// Its password.
    pub default_password: String,
    /// Users that may connect from this machine only.
    pub loopback_users: Vec<String>,
    /// Bytes of messages that all queues together keep in memory; what is beyond waits on disk only.
    pub message_memory_bytes: usize,
}

/// The broker.
pub struct Broker {
    store: Store,
    vhosts: DashMap<Arc<str>, Arc<VHost>>,
    access: Access,
    policies: Policies,
    limits: Limits,
    memory: Arc<MessageMemory>,
    registry: Arc<Registry>,
    totals: Totals,
    sizing: Sizing,
    timers: Arc<Timers>,
    timers_thread: Mutex<Option<JoinHandle<()>>>,
    next_id: AtomicU64,
    next_queue_id: AtomicU64,
}

impl Broker {
    /// Opens the broker over a store, with what plugins have registered, and recovers what it holds. An empty store gets vhost `/` and the default user.
    ///
    /// # Errors
    /// Where the catalogue or a queue's log cannot be read, or a thread cannot be started.
    pub fn open(store: Store, config: &BrokerConfig, registry: Arc<Registry>) -> Result<Arc<Self>, OpenError> {
        let broker = Self::open_by_hand(store, config, registry, Sizing::default(), clock::now_ms())?;
        let weak = Arc::downgrade(&broker);
        *broker.timers_thread.lock() = Some(spawn_timers(Arc::clone(&broker.timers), weak)?);
        Ok(broker)
    }

    /// As [`Self::open`], for a broker that does nothing by itself and knows no time: whoever opens it says what time it
    /// is ([`Self::turn_at`]) and wakes those who are due ([`Self::tick_next`]). For simulations, which also choose the `sizing`.
    ///
    /// # Errors
    /// Where the catalogue or a queue's log cannot be read.
    pub fn open_by_hand(
        store: Store,
        config: &BrokerConfig,
        registry: Arc<Registry>,
        sizing: Sizing,
        now_ms: u64,
    ) -> Result<Arc<Self>, OpenError> {
        let broker = Arc::new(Self {
            access: Access::new(&config.loopback_users),
            policies: Policies::default(),
            limits: Limits::default(),
            memory: Arc::new(MessageMemory::new(config.message_memory_bytes)),
            vhosts: DashMap::new(),
            registry,
            totals: Totals::default(),
            sizing,
            timers: Arc::default(),
            timers_thread: Mutex::new(None),
            next_id: AtomicU64::new(1),
            next_queue_id: AtomicU64::new(1),
            store,
        });
        recovery::recover(&broker, config, now_ms)?;
        Ok(broker)
    }

    /// Begins a step at the present time.
    #[must_use]
    pub fn turn(&self) -> Turn<'_> {
        self.turn_at(clock::now_ms())
    }

    /// Begins a step at that time, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn turn_at(&self, now_ms: u64) -> Turn<'_> {
        Turn::new(self, now_ms)
    }

    /// Wakes whose time came first, in a turn of its own; `None` where nobody is due at `now_ms`. What the timers' thread
    /// does.
    pub fn tick_next(&self, now_ms: u64) -> Option<Sleeper> {
        let due = self.timers.pop_due(now_ms)?;
        due.tick(&mut self.turn_at(now_ms));
        Some(due)
    }

    /// When the next wants to be woken, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn next_tick_ms(&self) -> Option<u64> {
        self.timers.next_due_ms()
    }

    /// The vhost of that name.
    #[must_use]
    pub fn vhost(&self, name: &str) -> Option<Arc<VHost>> {
        self.vhosts.get(name).map(|vhost| Arc::clone(&vhost))
    }

    /// All vhosts, by name.
    #[must_use]
    pub fn vhosts(&self) -> Vec<Arc<VHost>> {
        let mut vhosts: Vec<_> = self.vhosts.iter().map(|vhost| Arc::clone(&vhost)).collect();
        vhosts.sort_by(|one, other| one.name.cmp(&other.name));
        vhosts
    }

    /// Adds a vhost with its pre-declared exchanges; `None` where there is one of that name.
    pub(crate) fn add_vhost(&self, name: &str, metadata: VHostMetadata) -> Option<Arc<VHost>> {
        let mut added = None;
        self.vhosts.entry(name.into()).or_insert_with(|| {
            let vhost = Arc::new(self.new_vhost(name, metadata));
            added = Some(Arc::clone(&vhost));
            vhost
        });
        added
    }

    /// Takes a vhost out.
    pub(crate) fn take_vhost(&self, name: &str) -> Option<Arc<VHost>> {
        self.vhosts.remove(name).map(|(_, vhost)| vhost)
    }

    /// Users and permissions.
    #[must_use]
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// Lets a user in with a password, through the backends in their order. `from_loopback`: the peer is on this machine.
    /// Answers at once as long as the internal backend is the only one that is asked.
    ///
    /// # Errors
    /// Why not, for the log.
    pub async fn log_in(&self, name: &str, password: &[u8], from_loopback: bool) -> Result<Identity, Refusal> {
        self.registry.backends().log_in(&self.access, name, password, from_loopback).await
    }

    /// Policies and operator policies.
    #[must_use]
    pub fn policies(&self) -> &Policies {
        &self.policies
    }

    /// Limits of vhosts and users.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The exchange types that can be declared.
    #[must_use]
    pub fn exchange_types(&self) -> &ExchangeTypes {
        self.registry.exchange_types()
    }

    /// The server's name in listings and headers, `leveret@host`.
    #[must_use]
    pub fn node(&self) -> &str {
        self.registry.node()
    }

    /// Has interceptors see a message that a client publishes, before it is routed; its raw properties, where they have
    /// changed them.
    ///
    /// # Errors
    /// What one of them refuses the message with.
    #[inline]
    pub fn intercept(&self, message: &IncomingMessage<'_>) -> Result<Option<Vec<u8>>, Error> {
        if self.registry.interceptors().is_empty() {
            return Ok(None);
        }
        self.registry.intercept(message)
    }

    /// Has observers told at once that something has happened by a user's doing; what happens within a turn is the turn's
    /// to tell ([`Turn::tell`]). Without observers nothing is done.
    pub fn tell(&self, user: &Arc<str>, event: impl FnOnce() -> EventKind) {
        let observers = self.observers();
        if !observers.is_empty() {
            tell(observers, &Event { at_ms: clock::now_ms(), user: Arc::clone(user), kind: event() });
        }
    }

    pub(crate) fn observers(&self) -> &[Arc<dyn Observer>] {
        self.registry.observers()
    }

    /// A number that no other connection, channel or consumer of this run has.
    #[must_use]
    pub fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// The store underneath.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Counts since start over all queues.
    #[must_use]
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Whether queues have more in memory than they may have together.
    #[must_use]
    pub fn is_message_memory_short(&self) -> bool {
        self.memory.is_short()
    }

    /// How much of what publishers usually may have in memory ahead of the disk they may have now: 1.0 is all of it, and
    /// 0.0 as little as lets them go on.
    #[must_use]
    pub fn message_memory_slack(&self) -> f64 {
        self.memory.slack()
    }

    /// The process has more memory than it should, or has not any more: queues keep next to nothing in it meanwhile.
    pub fn set_memory_alarm(&self, is_alarm: bool) {
        self.memory.set_alarm(is_alarm);
    }

    /// Has queues and timelines that keep more than their share in memory, where it is short, let go of the rest. To be called now and
    /// then: a queue in which nothing happens does not notice by itself.
    pub fn relieve_memory(&self) {
        let queues = self.vhosts().into_iter().flat_map(|vhost| vhost.queues());
        for queue in queues.filter(|queue| queue.memory_bytes() > self.memory.share()) {
            queue.relieve(&mut self.turn());
        }
        let timelines = self.vhosts().into_iter().flat_map(|vhost| vhost.all_timelines());
        timelines.for_each(|timeline| timeline.relieve());
    }

    /// Stops the timers and commits everything. Front ends must have ended before.
    pub fn shutdown(&self) {
        self.timers.close();
        if let Some(thread) = self.timers_thread.lock().take()
            && thread.thread().id() != std::thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("the timers' thread had panicked");
        }
        if let Err(error) = self.store.close() {
            tracing::error!(%error, "the last commit failed");
        }
    }

    pub(crate) fn memory(&self) -> &Arc<MessageMemory> {
        &self.memory
    }

    /// How much a queue keeps together and in memory.
    pub(crate) fn sizing(&self) -> Sizing {
        self.sizing
    }

    pub(crate) fn timers(&self) -> &Timers {
        &self.timers
    }

    pub(crate) fn next_queue_id(&self) -> u64 {
        self.next_queue_id.fetch_add(1, Ordering::Relaxed)
    }

    /// The id that the next queue will have.
    pub(crate) fn queue_id_next(&self) -> u64 {
        self.next_queue_id.load(Ordering::Relaxed)
    }

    /// Keeps new queue ids clear of every id that the store has ever seen.
    pub(crate) fn queue_id_seen(&self, id: u64) {
        self.next_queue_id.fetch_max(id + 1, Ordering::Relaxed);
    }

    /// Brings back a vhost that the catalogue holds.
    pub(crate) fn restore_vhost(&self, name: &str, metadata: VHostMetadata) {
        self.vhosts.insert(name.into(), Arc::new(self.new_vhost(name, metadata)));
    }

    /// A vhost with the exchanges that plugins need there.
    fn new_vhost(&self, name: &str, metadata: VHostMetadata) -> VHost {
        let vhost = VHost::new(name, metadata, self.exchange_types());
        for predeclared in self.registry.exchanges().iter().filter(|predeclared| *predeclared.vhost == *name) {
            vhost.restore_exchange(&predeclared.exchange);
        }
        vhost
    }
}

fn spawn_timers(timers: Arc<Timers>, broker: Weak<Broker>) -> Result<JoinHandle<()>, OpenError> {
    std::thread::Builder::new()
        .name("leveret-timers".into())
        .spawn(move || timers::run(&timers, &broker))
        .map_err(OpenError::Thread)
}
