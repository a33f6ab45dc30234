//! The management interface's doors, and what it is told of connections and channels.
//!
//! Two doors to the same routes: HTTP over TCP, where every request logs in, and a unix socket in the data folder for
//! `leveret ctl`, which the file's permissions guard.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use leveret_broker::{
    Broker,
    plugin::{HttpRoute, Registry, table_to_json},
};
use leveret_management::{Clients, Door, router};
use serde_json::{Value, json};
use tokio::net::{TcpListener, UnixListener};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    config::Config,
    http, plugins,
    registry::{ChannelInfo, ConnectionInfo, Connections},
};

/// The unix socket's name in the data folder.
pub(crate) const SOCKET_NAME: &str = "leveret.sock";

/// How long requests under way are waited for when the server stops.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// Whether it is switched on.
pub(crate) fn is_enabled(config: &Config) -> bool {
    plugins::is_enabled(leveret_management::NAME, &config.plugins.enabled)
}

/// What the management interface sees of this server.
pub(crate) struct Front {
    connections: Arc<Connections>,
    node: String,
    cluster_name: String,
    /// Protocols and where they are listened on.
    listeners: Vec<(&'static str, SocketAddr)>,
    plugins: Vec<&'static str>,
    plugin_routes: Vec<HttpRoute>,
}

/// Serves management until `stop`: over `http` where that is on, to `connection_max` at a time, and over the unix socket in `data_dir`.
///
/// # Errors
/// Where the socket cannot be made.
pub(crate) fn serve(
    broker: &Arc<Broker>,
    front: Front,
    http: Option<TcpListener>,
    connection_max: usize,
    data_dir: &Path,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> io::Result<()> {
    let plugin_routes = front.plugin_routes.clone();
    let front: Arc<dyn Clients> = Arc::new(front);
    let (file, socket) = SocketFile::bind(data_dir.join(SOCKET_NAME))?;
    if let Some(listener) = http {
        let routes = router(Arc::clone(broker), Arc::clone(&front), Door::Tcp, &plugin_routes);
        let served = http::serve(listener, routes, connection_max, stop.clone());
        tasks.spawn(within_patience(served, stop.clone()));
    }
    let routes = router(Arc::clone(broker), front, Door::Local, &plugin_routes);
    let served = axum::serve(socket, routes).with_graceful_shutdown(stop.clone().cancelled_owned());
    let served = async move {
        if let Err(error) = served.await {
            tracing::error!(%error, "the management socket has stopped");
        }
    };
    let served = within_patience(served, stop.clone());
    tasks.spawn(async move {
        served.await;
        drop(file);
    });
    Ok(())
}

/// Serves until `stop`, and then for as long as requests under way need, within bounds.
async fn within_patience(served: impl Future<Output = ()>, stop: CancellationToken) {
    let patience = async {
        stop.cancelled().await;
        tokio::time::sleep(STOP_PATIENCE).await;
    };
    tokio::select! {
        () = served => {}
        () = patience => {}
    }
}

/// The socket in the data folder, for its owner alone; dropping it removes it.
struct SocketFile(PathBuf);

impl SocketFile {
    /// Replaces a remnant: the store's lock, which is held, keeps other servers out of the folder.
    ///
    /// The socket gets its name after its permissions, so that nobody else can connect at any moment.
    fn bind(path: PathBuf) -> io::Result<(Self, UnixListener)> {
        let unnamed = path.with_extension("new");
        remove(&unnamed)?;
        let listener = UnixListener::bind(&unnamed)?;
        fs::set_permissions(&unnamed, fs::Permissions::from_mode(0o600))?;
        fs::rename(&unnamed, &path)?;
        Ok((Self(path), listener))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "cannot remove the management socket");
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

impl Front {
    /// What is to be shown of a server.
    pub(crate) fn new(
        connections: &Arc<Connections>,
        cluster_name: &str,
        listeners: Vec<(&'static str, SocketAddr)>,
        registry: &Registry,
    ) -> Self {
        Self {
            connections: Arc::clone(connections),
            node: registry.node().into(),
            cluster_name: cluster_name.into(),
            listeners,
            plugins: registry.plugins().collect(),
            plugin_routes: registry.http_routes().to_vec(),
        }
    }
}

impl Clients for Front {
    fn connections(&self) -> Vec<Value> {
        self.connections.list().iter().map(|info| connection_json(info, &self.node)).collect()
    }

    fn channels(&self) -> Vec<Value> {
        let connections = self.connections.list();
        let of = |channel: &ChannelInfo| connections.iter().find(|info| info.accepted.id == channel.connection.0);
        let channels = self.connections.list_channels();
        channels.iter().filter_map(|channel| Some(channel_json(channel, of(channel)?, &self.node))).collect()
    }

    fn close(&self, name: &str, reason: &str) -> bool {
        self.connections.close(name, reason)
    }

    fn close_vhost(&self, vhost: &str) {
        self.connections.close_vhost(vhost);
    }

    fn close_user(&self, user: &str) {
        self.connections.close_user(user);
    }

    fn listeners(&self) -> Vec<Value> {
        let listener = |(protocol, address): &(&'static str, SocketAddr)| {
            json!({
                "node": self.node, "protocol": protocol, "ip_address": address.ip().to_string(), "port": address.port(),
            })
        };
        self.listeners.iter().map(listener).collect()
    }

    fn node(&self) -> &str {
        &self.node
    }

    fn cluster_name(&self) -> &str {
        &self.cluster_name
    }

    fn plugins(&self) -> Vec<&'static str> {
        self.plugins.clone()
    }

    fn alarm(&self) -> Option<String> {
        self.connections.alarm().map(|reason| reason.to_string())
    }
}

/// A connection in RabbitMQ's shape.
fn connection_json(info: &ConnectionInfo, node: &str) -> Value {
    let ConnectionInfo { accepted, opened, .. } = info;
    let host = |address: Option<SocketAddr>| address.map(|address| address.ip().to_canonical().to_string());
    let port = |address: Option<SocketAddr>| address.map(|address| address.port());
    let properties = table_to_json(&opened.client_properties);
    json!({
        "id": accepted.id,
        "name": &*accepted.name,
        "user_provided_name": properties["connection_name"],
        "node": node,
        "type": "network",
        "protocol": accepted.protocol,
        "state": info.state.as_str(),
        "user": &*opened.username,
        "user_who_performed_action": &*opened.username,
        "vhost": &*opened.vhost,
        "auth_mechanism": &*opened.mechanism,
        "client_properties": properties,
        "peer_host": host(accepted.peer),
        "peer_port": port(accepted.peer),
        "host": host(accepted.local),
        "port": port(accepted.local),
        "ssl": false,
        "connected_at": accepted.connected_at_ms,
        "channels": info.channels,
        "channel_max": opened.channel_max,
        "frame_max": opened.frame_max,
        "timeout": opened.heartbeat_s,
        "recv_oct": info.received_bytes,
        "send_oct": info.sent_bytes,
    })
}

/// A channel in RabbitMQ's shape.
fn channel_json(info: &ChannelInfo, connection: &ConnectionInfo, node: &str) -> Value {
    let stats = &info.stats;
    let prefetch = stats.prefetch.load(Ordering::Relaxed);
    let peer = connection.accepted.peer;
    json!({
        "name": info.name,
        "number": info.number,
        "node": node,
        "user": &*info.username,
        "user_who_performed_action": &*info.username,
        "vhost": &*info.vhost,
        "state": "running",
        "connection_details": {
            "name": &*info.connection.1,
            "peer_host": peer.map(|address| address.ip().to_canonical().to_string()),
            "peer_port": peer.map(|address| address.port()),
        },
        "confirm": stats.confirm.load(Ordering::Relaxed),
        "transactional": stats.transactional.load(Ordering::Relaxed),
        "consumer_count": stats.consumers.load(Ordering::Relaxed),
        "messages_unacknowledged": stats.unacked.load(Ordering::Relaxed),
        "messages_unconfirmed": stats.unconfirmed.load(Ordering::Relaxed),
        "messages_uncommitted": stats.uncommitted.load(Ordering::Relaxed),
        "acks_uncommitted": stats.uncommitted_acks.load(Ordering::Relaxed),
        "prefetch_count": prefetch,
        "global_prefetch_count": stats.global_prefetch.load(Ordering::Relaxed),
        "message_stats": {
            "publish": stats.published.load(Ordering::Relaxed),
            "confirm": stats.confirmed.load(Ordering::Relaxed),
            "return_unroutable": stats.returned_unroutable.load(Ordering::Relaxed),
            "deliver": stats.delivered.load(Ordering::Relaxed),
            "deliver_no_ack": stats.delivered_no_ack.load(Ordering::Relaxed),
            "get": stats.got.load(Ordering::Relaxed),
            "redeliver": stats.redelivered.load(Ordering::Relaxed),
            "ack": stats.acknowledged.load(Ordering::Relaxed),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_socket_is_for_its_owner_and_goes_with_the_server() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(SOCKET_NAME);
        fs::write(&path, "left behind").unwrap();
        let (file, _listener) = SocketFile::bind(path.clone()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(tokio::net::UnixStream::connect(&path).await.is_ok());
        drop(file);
        assert!(!path.exists());
    }
}
