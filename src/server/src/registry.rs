//! The live connections and their channels: for listings, for closing one by name, for telling all of them something.
//!
//! Counters are relaxed atomics written by the connection's own task; whoever lists reads them without stopping it.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
};

use dashmap::DashMap;
use leveret_amqp::FieldTable;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{channel::ChannelStats, mail::Mail, mailbox::Mailbox};

/// What most connections speak, as listings and events name it.
pub(crate) const AMQP: &str = "AMQP 0-9-1";

/// All connections of this server, from accept on.
#[derive(Default)]
pub(crate) struct Connections {
    entries: DashMap<u64, Arc<Entry>>,
    emptied: Notify,
    is_shutting_down: AtomicBool,
    alarm: Mutex<Option<Arc<str>>>,
}

/// What is known of a connection when it is accepted.
#[derive(Clone, Debug)]
pub(crate) struct Accepted {
    /// Unique in the broker.
    pub(crate) id: u64,
    /// What it speaks: [`AMQP`], or a plugin's protocol.
    pub(crate) protocol: &'static str,
    /// `peer:port -> local:port`.
    pub(crate) name: Arc<str>,
    /// The peer's end; `None` where the transport has no addresses.
    pub(crate) peer: Option<SocketAddr>,
    /// The server's end.
    pub(crate) local: Option<SocketAddr>,
    /// When, in milliseconds since the Unix epoch.
    pub(crate) connected_at_ms: u64,
}

impl Accepted {
    /// Where the peer is; `None` where the transport has no addresses.
    #[must_use]
    pub(crate) fn peer_ip(&self) -> Option<IpAddr> {
        self.peer.map(|peer| peer.ip().to_canonical())
    }
}

/// What is known of a connection once it is open.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    /// Who logged in.
    pub(crate) username: Arc<str>,
    /// Whether the internal backend had a say in that.
    pub(crate) needs_internal_user: bool,
    /// The vhost's name.
    pub(crate) vhost: Arc<str>,
    /// The SASL mechanism used.
    pub(crate) mechanism: Arc<str>,
    /// As the client sent them in connection.start-ok.
    pub(crate) client_properties: FieldTable,
    /// Negotiated; 0 is no limit.
    pub(crate) frame_max: u32,
    /// Negotiated; 0 is no limit.
    pub(crate) channel_max: u16,
    /// Negotiated; 0 is off.
    pub(crate) heartbeat_s: u16,
}

/// What a connection does at present; RabbitMQ's words for the column `state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ConnectionState {
    /// In the handshake.
    Starting,
    /// Open.
    Running,
    /// A resource alarm is on; it has not published since.
    Blocking,
    /// A resource alarm is on and it has published: not read.
    Blocked,
    /// connection.close was sent or received.
    Closing,
}

impl ConnectionState {
    /// RabbitMQ's word.
    #[must_use]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Blocking => "blocking",
            Self::Blocked => "blocked",
            Self::Closing => "closing",
        }
    }

    fn from_u8(value: u8) -> Self {
        [Self::Starting, Self::Running, Self::Blocking, Self::Blocked]
            .into_iter()
            .find(|state| *state as u8 == value)
            .unwrap_or(Self::Closing)
    }
}

/// A connection as listings show it.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionInfo {
    /// Known since accept.
    pub(crate) accepted: Accepted,
    /// Known since open.
    pub(crate) opened: Opened,
    /// At present.
    pub(crate) state: ConnectionState,
    /// Open channels.
    pub(crate) channels: usize,
    /// Bytes read since accept.
    pub(crate) received_bytes: u64,
    /// Bytes written since accept.
    pub(crate) sent_bytes: u64,
}

/// A channel as listings show it.
#[derive(Clone, Debug)]
pub(crate) struct ChannelInfo {
    /// `connection name (number)`, as RabbitMQ names channels.
    pub(crate) name: String,
    /// The number on the wire.
    pub(crate) number: u16,
    /// The connection's id and name.
    pub(crate) connection: (u64, Arc<str>),
    /// Who logged in.
    pub(crate) username: Arc<str>,
    /// The vhost's name.
    pub(crate) vhost: Arc<str>,
    /// Counts and modes at present.
    pub(crate) stats: Arc<ChannelStats>,
}

/// A connection's own place in [`Connections`]; dropping it takes the connection out.
pub(crate) struct Registration {
    connections: Arc<Connections>,
    entry: Arc<Entry>,
}

struct Entry {
    accepted: Accepted,
    mailbox: Mailbox,
    opened: OnceLock<Opened>,
    state: AtomicU8,
    received_bytes: AtomicU64,
    sent_bytes: AtomicU64,
    channels: Mutex<BTreeMap<u16, Arc<ChannelStats>>>,
}

impl Connections {
    /// Takes a connection in. It is told at once of an alarm that is on.
    #[must_use]
    pub(crate) fn register(self: &Arc<Self>, accepted: Accepted, mailbox: Mailbox) -> Registration {
        let entry = Arc::new(Entry {
            mailbox,
            opened: OnceLock::new(),
            state: AtomicU8::new(ConnectionState::Starting as u8),
            received_bytes: AtomicU64::new(0),
            sent_bytes: AtomicU64::new(0),
            channels: Mutex::default(),
            accepted,
        });
        self.entries.insert(entry.accepted.id, Arc::clone(&entry));
        // In this order no connection misses anything: whoever changes it after this look finds the entry.
        if self.alarm().is_some() {
            entry.mailbox.send(Mail::AlarmChanged);
        }
        if self.is_shutting_down.load(Ordering::SeqCst) {
            entry.mailbox.send(Mail::Shutdown);
        }
        Registration { connections: Arc::clone(self), entry }
    }

    /// How many connections there are, those in the handshake included.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The open connections, in the order in which they were accepted.
    #[must_use]
    pub(crate) fn list(&self) -> Vec<ConnectionInfo> {
        let mut infos: Vec<_> = self.entries.iter().filter_map(|entry| entry.info()).collect();
        infos.sort_by_key(|info| info.accepted.id);
        infos
    }

    /// The open channels, by connection and number.
    #[must_use]
    pub(crate) fn list_channels(&self) -> Vec<ChannelInfo> {
        let mut infos: Vec<_> = self.entries.iter().flat_map(|entry| entry.channel_infos()).collect();
        infos.sort_by_key(|info| (info.connection.0, info.number));
        infos
    }

    /// Has the connection of that name closed with 320 and `reason`; false where there is none.
    pub(crate) fn close(&self, name: &str, reason: &str) -> bool {
        let found = self.entries.iter().find(|entry| &*entry.accepted.name == name);
        found.is_some_and(|entry| entry.mailbox.send(Mail::Close(reason.into())))
    }

    /// Has every connection to a vhost that was deleted closed with 320. Those that become open only now see to it
    /// themselves.
    pub(crate) fn close_vhost(&self, vhost: &str) {
        self.close_where(&vhost_deleted(vhost), |opened| *opened.vhost == *vhost);
    }

    /// Has every connection of an internal user who was deleted closed with 320, as [`Self::close_vhost`] does.
    pub(crate) fn close_user(&self, username: &str) {
        let is_of = |opened: &Opened| opened.needs_internal_user && *opened.username == *username;
        self.close_where(&user_deleted(username), is_of);
    }

    fn close_where(&self, reason: &str, matches: impl Fn(&Opened) -> bool) {
        let reason: Arc<str> = reason.into();
        for entry in &self.entries {
            if entry.opened.get().is_some_and(&matches) {
                entry.mailbox.send(Mail::Close(Arc::clone(&reason)));
            }
        }
    }

    /// Tells all connections of a resource alarm, or that there is none any more. Repeating it changes nothing.
    pub(crate) fn set_alarm(&self, reason: Option<&str>) {
        if self.alarm().as_deref() == reason {
            return;
        }
        *self.alarm.lock() = reason.map(Into::into);
        for entry in &self.entries {
            entry.mailbox.send(Mail::AlarmChanged);
        }
    }

    /// The resource alarm that is on.
    #[must_use]
    pub(crate) fn alarm(&self) -> Option<Arc<str>> {
        self.alarm.lock().clone()
    }

    /// Asks all connections to end; [`Self::emptied`] says when they have.
    pub(crate) fn shut_down(&self) {
        self.is_shutting_down.store(true, Ordering::SeqCst);
        for entry in &self.entries {
            entry.mailbox.send(Mail::Shutdown);
        }
    }

    /// Waits until there is no connection.
    pub(crate) async fn emptied(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.is_empty() {
                return;
            }
            emptied.await;
        }
    }
}

/// What a connection is told whose vhost was deleted.
pub(crate) fn vhost_deleted(vhost: &str) -> String {
    format!("vhost '{vhost}' is deleted")
}

/// What a connection is told whose user was deleted.
pub(crate) fn user_deleted(username: &str) -> String {
    format!("user '{username}' is deleted")
}

impl Entry {
    fn info(&self) -> Option<ConnectionInfo> {
        Some(ConnectionInfo {
            accepted: self.accepted.clone(),
            opened: self.opened.get()?.clone(),
            state: ConnectionState::from_u8(self.state.load(Ordering::Relaxed)),
            channels: self.channels.lock().len(),
            received_bytes: self.received_bytes.load(Ordering::Relaxed),
            sent_bytes: self.sent_bytes.load(Ordering::Relaxed),
        })
    }

    fn channel_infos(&self) -> Vec<ChannelInfo> {
        let Some(opened) = self.opened.get() else { return Vec::new() };
        let channels = self.channels.lock();
        let info = |(number, stats): (&u16, &Arc<ChannelStats>)| ChannelInfo {
            name: format!("{} ({number})", self.accepted.name),
            number: *number,
            connection: (self.accepted.id, Arc::clone(&self.accepted.name)),
            username: Arc::clone(&opened.username),
            vhost: Arc::clone(&opened.vhost),
            stats: Arc::clone(stats),
        };
        channels.iter().map(info).collect()
    }
}

impl Registration {
    /// What was known when the connection was accepted.
    #[must_use]
    pub(crate) fn accepted(&self) -> &Accepted {
        &self.entry.accepted
    }

    /// What is known since the connection is open.
    #[must_use]
    pub(crate) fn open(&self) -> Option<&Opened> {
        self.entry.opened.get()
    }

    /// The resource alarm that is on.
    #[must_use]
    pub(crate) fn alarm(&self) -> Option<Arc<str>> {
        self.connections.alarm()
    }

    /// The connection is open now, and is listed from now on.
    pub(crate) fn opened(&self, opened: Opened) {
        // A connection opens once; its handshake sees to that.
        let _ = self.entry.opened.set(opened);
        self.set_state(ConnectionState::Running);
    }

    /// Notes what the connection does now.
    pub(crate) fn set_state(&self, state: ConnectionState) {
        self.entry.state.store(state as u8, Ordering::Relaxed);
    }

    /// Counts bytes read.
    pub(crate) fn count_received(&self, bytes: usize) {
        self.entry.received_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Whether any byte was read.
    pub(crate) fn has_received(&self) -> bool {
        self.entry.received_bytes.load(Ordering::Relaxed) > 0
    }

    /// Counts bytes written.
    pub(crate) fn count_sent(&self, bytes: usize) {
        self.entry.sent_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Lists a channel from now on.
    pub(crate) fn channel_opened(&self, number: u16, stats: Arc<ChannelStats>) {
        self.entry.channels.lock().insert(number, stats);
    }

    /// Lists a channel no more.
    pub(crate) fn channel_closed(&self, number: u16) {
        self.entry.channels.lock().remove(&number);
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.connections.entries.remove(&self.entry.accepted.id);
        if self.connections.is_empty() {
            self.connections.emptied.notify_waiters();
        }
    }
}
