//! Composition: opens the store and the broker, starts the listeners, and takes all of it down in order.
//!
//! This is the one place that knows every part.

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use leveret_broker::{
    Broker, BrokerConfig,
    auth::ChoiceError,
    plugin::{Plugin, RegisterError, Registry},
};
use leveret_store::{Options, Store, SyncMode};
use tokio::{net::TcpListener, sync::oneshot, task::JoinSet};
use tokio_util::task::TaskTracker;

use crate::{
    alarms::{self, Thresholds},
    config::{Config, Sync},
    connection::{self, Room, Shared, Timings, Tuning},
    listener::{self, Ends, listen},
    management::{self, Front},
    plugins::Plugins,
    protocols,
    registry::{AMQP, Connections},
    relief,
    session::Limits,
};

/// How long connections are waited for at shutdown before they are cut off.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(10);

/// Why a server could not start, or stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The store cannot be opened.
    #[error("cannot open the store in {folder}: {reason}{}", advice(&reason.to_string()))]
    Store {
        /// The data folder.
        folder: String,
        /// Why.
        reason: leveret_store::StoreError,
    },
    /// What is in the store cannot be recovered.
    #[error("cannot recover from the store: {reason}{}", advice(&reason.to_string()))]
    Recovery {
        /// Why.
        #[from]
        reason: leveret_broker::OpenError,
    },
    /// An address cannot be listened on.
    #[error("cannot listen on {address} ({key}): {reason}")]
    Listen {
        /// As configured.
        address: String,
        /// The key that says so.
        key: &'static str,
        /// Why.
        reason: std::io::Error,
    },
    /// The socket for `leveret ctl` cannot be made.
    #[error("cannot make the management socket in {folder}: {reason}")]
    Socket {
        /// The data folder.
        folder: String,
        /// Why.
        reason: std::io::Error,
    },
    /// A write or sync failed while serving; nothing was confirmed after that.
    #[error("the store has failed: {reason}{}", advice(reason))]
    StoreFailed {
        /// Why.
        reason: Arc<str>,
    },
    /// Two plugins want the same name, or one is configured wrongly.
    #[error("plugins: {0}")]
    Register(#[from] RegisterError),
    /// The backends for logins cannot be used as configured.
    #[error("auth.backends: {0}")]
    Backends(#[from] ChoiceError),
    /// A plugin cannot begin.
    #[error("plugin {name}: {reason}")]
    Plugin {
        /// Which.
        name: &'static str,
        /// Why.
        reason: Box<dyn std::error::Error + Send + std::marker::Sync>,
    },
    /// A part of the server panicked.
    #[error("internal error: {0}")]
    Internal(String),
}

/// What to do about a failure of the store, by what the system or the engine calls it.
fn advice(reason: &str) -> &'static str {
    const ADVICE: [(&str, &str); 4] = [
        ("Corruption", ". A file is damaged: restore the data folder from a backup"),
        ("No space left", ". The disk is full: free some space and start again; what was confirmed is kept"),
        ("Read-only", ". The disk cannot be written to: make it writable and start again; what was confirmed is kept"),
        ("IO error", ". Look after the disk and start again; what was confirmed is kept as far as the disk keeps it"),
    ];
    ADVICE.iter().find(|(name, _)| reason.contains(name)).map_or("", |(_, advice)| advice)
}

/// A running server.
pub struct Server {
    broker: Arc<Broker>,
    connections: Arc<Connections>,
    amqp_address: SocketAddr,
    http_address: Option<SocketAddr>,
    protocol_addresses: Vec<(&'static str, SocketAddr)>,
    ends: Ends,
    connection_tasks: TaskTracker,
    plugins: Plugins,
    /// Ended with the server.
    watchers: JoinSet<()>,
    store_failed: oneshot::Receiver<Arc<str>>,
}

/// Serves until `shutdown` completes or the store fails; everything is committed and closed then.
///
/// # Errors
/// Where the server cannot start, or the store fails while it serves.
pub async fn run(config: Config, plugins: Plugins, shutdown: impl Future<Output = ()>) -> Result<(), ServerError> {
    let mut server = Server::start(config, plugins).await?;
    let failure = tokio::select! {
        () = shutdown => None,
        Ok(reason) = &mut server.store_failed => Some(reason),
    };
    match failure {
        None => {
            tracing::info!("shutting down");
            server.shut_down().await
        }
        Some(reason) => {
            tracing::error!(%reason, "the store has failed: nothing is confirmed any more, stopping");
            // What the shutdown says beyond that follows from it.
            let _ = server.shut_down().await;
            Err(ServerError::StoreFailed { reason })
        }
    }
}

impl Server {
    /// Opens the store, recovers the broker and begins to listen.
    ///
    /// # Errors
    /// Where one of these fails; what was begun is taken back.
    pub async fn start(config: Config, plugins: Plugins) -> Result<Self, ServerError> {
        let plugins = plugins.enabled(&config.plugins.enabled);
        let registry = Arc::new(register(&plugins, &config)?);
        // The address first: a second server on this machine should hear of the port, not of the store's lock.
        let (listener, amqp_address) = listen(&config.amqp.bind, "amqp.bind").await?;
        let http = listen_http(&config).await?;
        let http_address = http.as_ref().map(|(_, address)| *address);
        let protocols = protocols::bind(registry.protocols()).await?;
        let protocol_addresses: Vec<_> = protocols.iter().map(protocols::Bound::place).collect();
        let (broker, store_failed) = open_broker(&config, Arc::clone(&registry)).await?;
        start_plugins(&plugins, &broker)?;
        let connections = Arc::new(Connections::default());
        let shared = Arc::new(shared(&config, &broker, &connections));
        let ends = Ends::default();
        let connection_tasks = TaskTracker::new();
        if management::is_enabled(&config) {
            let http_address = http_address.map(|address| ("http", address));
            let listeners = [("amqp", amqp_address)].into_iter().chain(http_address);
            let listeners = listeners.chain(protocol_addresses.iter().copied()).collect();
            let front = Front::new(&connections, &config.cluster_name, listeners, &registry);
            let http = http.map(|(listener, _)| listener);
            let connection_max = config.http.connection_max();
            management::serve(&broker, front, http, connection_max, &config.data_dir, &connection_tasks, &ends.stop)
                .map_err(|reason| ServerError::Socket { folder: config.data_dir.display().to_string(), reason })?;
        }
        for bound in protocols {
            connection_tasks.spawn(bound.accept(Arc::clone(&shared), ends.clone()));
        }
        connection_tasks.spawn(accept_amqp(listener, shared, ends.clone()));
        let mut watchers = JoinSet::new();
        watchers.spawn(alarms::watch(Thresholds::new(&config), Arc::clone(&connections), Arc::clone(&broker)));
        watchers.spawn(relief::watch(Arc::clone(&broker)));
        announce(&config, amqp_address, http_address, &protocol_addresses);
        Ok(Self {
            broker,
            connections,
            amqp_address,
            http_address,
            protocol_addresses,
            ends,
            connection_tasks,
            plugins,
            watchers,
            store_failed,
        })
    }

    /// Where AMQP is listened on; with the port that the system chose where 0 was configured.
    #[must_use]
    pub fn amqp_address(&self) -> SocketAddr {
        self.amqp_address
    }

    /// Where management is listened on, if it is.
    #[must_use]
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http_address
    }

    /// Where the protocols of plugins are listened on, by their names.
    #[must_use]
    pub fn protocol_addresses(&self) -> &[(&'static str, SocketAddr)] {
        &self.protocol_addresses
    }

    /// The broker behind it.
    #[must_use]
    pub fn broker(&self) -> &Arc<Broker> {
        &self.broker
    }

    /// Closes all connections with 320, waits for them within bounds, and commits everything.
    ///
    /// # Errors
    /// [`ServerError::StoreFailed`] where the last commit fails.
    pub async fn shut_down(mut self) -> Result<(), ServerError> {
        self.ends.stop.cancel();
        self.watchers.abort_all();
        self.connections.shut_down();
        if tokio::time::timeout(SHUTDOWN_PATIENCE, self.connections.emptied()).await.is_err() {
            tracing::warn!(connections = self.connections.len(), "connections did not close in time and are cut off");
        }
        self.ends.cut_off.cancel();
        self.connection_tasks.close();
        self.connection_tasks.wait().await;
        self.plugins.iter().for_each(Plugin::stop);
        let broker = self.broker;
        let closed = tokio::task::spawn_blocking(move || {
            broker.shutdown();
            broker.store().poisoned()
        });
        match closed.await {
            Ok(None) => {
                tracing::info!("stopped; everything is committed");
                Ok(())
            }
            Ok(Some(reason)) => Err(ServerError::StoreFailed { reason }),
            Err(panic) => Err(ServerError::Internal(panic.to_string())),
        }
    }
}

/// What the plugins add, and which of it logins go to.
fn register(plugins: &Plugins, config: &Config) -> Result<Registry, ServerError> {
    let mut registry = plugins.register(config)?;
    registry.choose_backends(&config.auth.backends, config.auth.terms())?;
    Ok(registry)
}

async fn accept_amqp(listener: TcpListener, shared: Arc<Shared>, ends: Ends) {
    let serve = |socket, accepted| connection::serve(socket, accepted, Arc::clone(&shared));
    listener::accept(listener, AMQP, &shared, ends, serve).await;
}

async fn listen_http(config: &Config) -> Result<Option<(TcpListener, SocketAddr)>, ServerError> {
    if config.http.bind.is_empty() || !management::is_enabled(config) {
        return Ok(None);
    }
    listen(&config.http.bind, "http.bind").await.map(Some)
}

/// Has plugins begin; where one cannot, those before it end again.
fn start_plugins(plugins: &Plugins, broker: &Arc<Broker>) -> Result<(), ServerError> {
    for (index, plugin) in plugins.iter().enumerate() {
        if let Err(reason) = plugin.start(broker) {
            plugins.iter().take(index).for_each(Plugin::stop);
            return Err(ServerError::Plugin { name: plugin.name(), reason });
        }
    }
    Ok(())
}

/// Opens store and broker on a thread that may block.
async fn open_broker(
    config: &Config,
    registry: Arc<Registry>,
) -> Result<(Arc<Broker>, oneshot::Receiver<Arc<str>>), ServerError> {
    let folder = config.data_dir.clone();
    let store = &config.store;
    let options = Options {
        sync: sync_mode(store.sync),
        accept_damage: store.accept_damage,
        chunk_buffer_bytes: usize::try_from(store.write_buffer_bytes).unwrap_or(usize::MAX),
        wal_bytes: store.wal_bytes,
        ..Options::default()
    };
    let broker_config = BrokerConfig {
        default_user: config.default_user.clone(),
        default_password: config.default_pass.reveal().to_owned(),
        loopback_users: config.loopback_users.clone(),
        message_memory_bytes: usize::try_from(alarms::message_memory_bytes(config)).unwrap_or(usize::MAX),
    };
    let (sender, store_failed) = oneshot::channel();
    let opened = tokio::task::spawn_blocking(move || {
        let store = Store::open(&folder, &options)
            .map_err(|reason| ServerError::Store { folder: folder.display().to_string(), reason })?;
        store.on_poison(move |reason| {
            // Nobody listens any more once the server has stopped.
            let _ = sender.send(reason);
        });
        Broker::open(store, &broker_config, registry).map_err(ServerError::from)
    });
    match opened.await {
        Ok(broker) => Ok((broker?, store_failed)),
        Err(panic) => Err(ServerError::Internal(panic.to_string())),
    }
}

fn shared(config: &Config, broker: &Arc<Broker>, connections: &Arc<Connections>) -> Shared {
    let amqp = &config.amqp;
    Shared {
        broker: Arc::clone(broker),
        connections: Arc::clone(connections),
        tally: Arc::default(),
        reply_consumers: Arc::default(),
        limits: Arc::new(Limits {
            consumers_per_channel_max: unlimited_if_zero(amqp.consumer_max_per_channel),
            unacked_per_channel_max: amqp.unacked_max_per_channel,
            message_bytes_max: amqp.message_bytes_max,
            transaction_bytes_max: amqp.transaction_bytes_max,
            consumer_timeout_ms: config.consumer_timeout_ms,
        }),
        offer: Tuning { frame_max: amqp.frame_max, channel_max: amqp.channel_max, heartbeat_s: amqp.heartbeat },
        room: Room::new(amqp.incomplete_bytes_max, amqp.message_bytes_max),
        outbox_bytes: amqp.outbox_bytes,
        connection_max: usize::try_from(amqp.connection_max).unwrap_or(usize::MAX),
        cluster_name: config.cluster_name.clone(),
        timings: Timings::with_handshake(Duration::from_millis(amqp.handshake_timeout_ms)),
    }
}

fn unlimited_if_zero(limit: u32) -> u32 {
    if limit == 0 { u32::MAX } else { limit }
}

fn sync_mode(sync: Sync) -> SyncMode {
    match sync {
        Sync::Commit => SyncMode::Commit,
        Sync::Os => SyncMode::Os,
    }
}

/// The line that says where it listens, where the data is and what a confirm means.
fn announce(config: &Config, amqp: SocketAddr, http: Option<SocketAddr>, protocols: &[(&str, SocketAddr)]) {
    let data = std::path::absolute(&config.data_dir).unwrap_or_else(|_| config.data_dir.clone());
    let confirms = match config.store.sync {
        Sync::Commit => "after the sync to disk (store.sync = \"commit\": they survive a crash of the machine)",
        Sync::Os => "after the write (store.sync = \"os\": they survive a crash of Leveret, not of the machine)",
    };
    let management = http.map_or_else(String::new, |address| format!(", management on http://{address}"));
    let protocols: String = protocols.iter().map(|(name, address)| format!(", {name} on {address}")).collect();
    tracing::info!(
        "Leveret {} is ready: AMQP 0-9-1 on {amqp}{protocols}{management}, data in {}, confirms {confirms}",
        env!("CARGO_PKG_VERSION"),
        data.display(),
    );
}
