//! The broker and its model side by side, and all that stands between them.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    hash::{DefaultHasher, Hash},
    sync::Arc,
};

use leveret_amqp::{FieldTable, OwnedProperties, Properties};
use leveret_broker::{
    Broker, BrokerConfig, Turn, VHost,
    plugin::Registry,
    queue::{Queue, Window},
    routing::Sender,
};
use leveret_delayed_message_exchange::DelayedMessageExchange;
use leveret_store::simulation::{self, Disk, Steps};

use crate::{
    commits::Commits,
    declaring::binding_arguments,
    front::{Channel, Connection, Log},
    model::{self, Content, Model, QueueId, Seen, Way, texts},
    plan::{Name, Plan},
};

/// The time at which runs begin, in milliseconds since the Unix epoch.
const START_MS: u64 = 1_000_000_000_000;

/// The only vhost.
pub(crate) const VHOST: &str = "/";

/// How many connections there are.
pub(crate) const CONNECTIONS: usize = 2;

/// See the module.
pub(crate) struct World<'p> {
    pub(crate) plan: &'p Plan,
    pub(crate) disk: Disk,
    pub(crate) now_ms: u64,
    pub(crate) model: Model,
    pub(crate) real: Real,
    pub(crate) commits: Commits,
    pub(crate) next_root: u64,
    pub(crate) trace: DefaultHasher,
}

/// The broker of one life, and its clients.
pub(crate) struct Real {
    pub(crate) broker: Arc<Broker>,
    pub(crate) vhost: Arc<VHost>,
    pub(crate) steps: Steps,
    pub(crate) connections: Vec<Connection>,
    pub(crate) channels: Vec<Channel>,
    pub(crate) queues: BTreeMap<QueueId, Arc<Queue>>,
    /// How many messages have gone on from exchanges that held them back, by the numbers of their timelines.
    pub(crate) released: BTreeMap<u64, u64>,
    pub(crate) log: Log,
}

impl<'p> World<'p> {
    /// An empty disk and a broker on it.
    ///
    /// # Errors
    /// Where the broker does not start.
    pub(crate) fn new(plan: &'p Plan) -> Result<Self, String> {
        let disk = Disk::new();
        let model = Model::new(START_MS, plan);
        Ok(Self {
            plan,
            real: Real::start(plan, &disk, START_MS)?,
            disk,
            now_ms: START_MS,
            commits: Commits::new(&model),
            model,
            next_root: 0,
            trace: DefaultHasher::new(),
        })
    }

    /// Does something in a turn of its own, and what follows from it.
    pub(crate) fn turn(&mut self, act: impl FnOnce(&mut Self, &mut Turn<'_>)) {
        let broker = Arc::clone(&self.real.broker);
        self.commits.turn += 1;
        let mut turn = broker.turn_at(self.now_ms);
        act(self, &mut turn);
        drop(turn);
        self.end_turn();
    }

    /// Has the model do what the broker did as a turn ended.
    pub(crate) fn end_turn(&mut self) {
        self.observe();
        let vhost = &self.real.vhost;
        self.model.end_turn(|content| route(vhost, content, None).unwrap_or_default().queues);
        self.real.queues.retain(|id, _| self.model.queues.contains_key(id));
    }

    /// Tells the model what was delivered since it was last told.
    pub(crate) fn observe(&mut self) {
        for delivered in self.real.log.lock().drain(..) {
            (delivered.queue, delivered.consumer, delivered.runs.len()).hash(&mut self.trace);
            delivered.runs.iter().for_each(|run| run.run().hash(&mut self.trace));
            let consumer = Some(delivered.consumer);
            self.model.see(delivered.queue, delivered.runs.iter().flat_map(|run| Seen::all(consumer, run)));
        }
    }

    /// Compares what can be compared.
    ///
    /// # Errors
    /// What is not as it should be.
    pub(crate) fn check(&self) -> Result<(), String> {
        if let Some(violation) = self.model.violation() {
            return Err(violation.to_owned());
        }
        let names: BTreeSet<_> = self.real.vhost.queues().iter().map(|queue| queue.id).collect();
        let expected: BTreeSet<_> = self.model.queues.keys().copied().collect();
        if names != expected {
            return Err(format!("the queues are {names:?} and should be {expected:?}"));
        }
        self.model.queues.keys().try_for_each(|id| self.check_queue(*id))?;
        self.check_held()
    }

    fn check_queue(&self, id: QueueId) -> Result<(), String> {
        let (real, model) = (&self.real.queues[&id], &self.model.queues[&id]);
        let counts = real.counts();
        let found = [
            (counts.ready, counts.ready_bytes),
            (counts.unacked, counts.unacked_bytes),
            (counts.waiting, counts.waiting_bytes),
            (counts.consumers as u64, 0),
        ];
        let (ready, _) = model.ready();
        let expected = [model.ready(), model.unacked(), model.waiting(), (model.consumers.len() as u64, 0)];
        if found != expected {
            let name = &model.plan.name;
            return Err(format!(
                "queue {name}: ready, unacked, waiting, consumers: {found:?} and should be {expected:?}"
            ));
        }
        self.check_settings(real, model)?;
        match model.neglected() {
            Some(consumer) if self.is_mail_read() => {
                Err(format!("queue {}: {consumer:?} has room and {ready} messages wait", model.plan.name))
            }
            _ => Ok(()),
        }
    }

    fn check_settings(&self, real: &Queue, model: &model::Queue) -> Result<(), String> {
        let (settings, plan) = (real.settings(), &model.plan);
        let found = (settings.ttl_ms, settings.max_length, settings.max_length_bytes, settings.overflow);
        let expected = (plan.ttl_ms, plan.max_length, plan.max_length_bytes, plan.overflow);
        let found_retry = (&settings.dead_letter_exchange, &settings.delayed_retry);
        match found == expected && found_retry == (&plan.dead_letter_exchange, &plan.delayed_retry) {
            true => Ok(()),
            false => Err(format!("queue {}: its settings are {settings:?} and should be {plan:?}", plan.name)),
        }
    }

    /// Compares exchanges, bindings and what exchanges show of the messages that they hold back.
    ///
    /// # Errors
    /// What is not as it should be.
    pub(crate) fn check_topology(&self) -> Result<(), String> {
        let vhost = &self.real.vhost;
        let names = vhost.exchanges().into_iter().map(|exchange| Arc::clone(&exchange.name));
        let exchanges: BTreeSet<Name> = names.filter(|name| name.starts_with('x')).collect();
        let expected: BTreeSet<Name> = self.model.topology.exchanges.keys().cloned().collect();
        if exchanges != expected {
            return Err(format!("the exchanges are {exchanges:?} and should be {expected:?}"));
        }
        let parts = |source: &Name, destination: &Name, key: &[u8], arguments: &FieldTable| {
            let key = String::from_utf8_lossy(key).into_owned();
            (Arc::clone(source), Arc::clone(destination), key, format!("{arguments:?}"))
        };
        let bindings: BTreeSet<_> = vhost
            .bindings()
            .iter()
            .map(|binding| parts(&binding.source, binding.destination.name(), &binding.routing_key, &binding.arguments))
            .collect();
        let expected = self.model.topology.bindings.iter();
        let expected = expected.map(|binding| {
            parts(&binding.source, &binding.destination, binding.key.as_bytes(), &binding_arguments(binding))
        });
        let expected: BTreeSet<_> = expected.collect();
        match bindings == expected {
            true => self.check_listings(),
            false => Err(format!("the bindings are {bindings:?} and should be {expected:?}")),
        }
    }

    fn is_mail_read(&self) -> bool {
        self.real.connections.iter().all(|connection| connection.mailbox.lock().is_empty())
    }
}

impl Real {
    /// Starts the broker on a disk, and its clients.
    pub(crate) fn start(plan: &Plan, disk: &Disk, now_ms: u64) -> Result<Self, String> {
        let config = BrokerConfig {
            default_user: "guest".to_owned(),
            default_password: "guest".to_owned(),
            loopback_users: Vec::new(),
            message_memory_bytes: plan.message_memory_bytes,
        };
        let (store, steps) = simulation::open(disk, plan.sync, plan.batch_bytes)
            .map_err(|error| format!("the store does not open: {error}"))?;
        let registry = Registry::of([&DelayedMessageExchange as _]).map_err(|error| error.to_string())?;
        let broker = Broker::open_by_hand(store, &config, Arc::new(registry), plan.sizing, now_ms)
            .map_err(|error| format!("the broker does not start: {error}"))?;
        let vhost = broker.vhost(VHOST).ok_or("the vhost is missing")?;
        let connection = |_| Connection {
            id: broker.next_id(),
            window: Arc::new(Window::new(plan.outbox_bytes)),
            mailbox: Arc::default(),
        };
        let connections = (0..CONNECTIONS).map(connection).collect();
        let channel = |(number, mode): (usize, &_)| Channel::new(broker.next_id(), number % CONNECTIONS, &vhost, *mode);
        let channels = plan.channels.iter().enumerate().map(channel).collect();
        let queues = vhost.queues().into_iter().map(|queue| (queue.id, queue)).collect();
        let (released, log) = (BTreeMap::new(), Arc::default());
        Ok(Self { vhost, steps, connections, channels, queues, released, log, broker })
    }
}

impl Drop for Real {
    /// Mail holds queues, and these hold the mailbox.
    fn drop(&mut self) {
        for connection in &self.connections {
            let mail: VecDeque<_> = std::mem::take(&mut *connection.mailbox.lock());
            drop(mail);
        }
    }
}

/// Where the broker routes a message, in its order; `None` where it refuses to. One that was held back goes on from that
/// exchange.
pub(crate) fn route(vhost: &VHost, content: &Content, released_by: Option<&str>) -> Option<Way<Vec<QueueId>>> {
    let raw = properties(content).to_raw();
    let view = Properties::parse(&raw).ok()?;
    let (sender, exchange) = match released_by {
        Some(exchange) => (Sender::Hold, exchange),
        None => (Sender::Client, &*content.exchange),
    };
    let routed = vhost.route(sender, exchange, content.key.as_bytes(), &view, 0).ok()?;
    Some(Way {
        queues: routed.queues.iter().map(|queue| queue.id).collect(),
        held: routed.held.iter().map(|(timeline, _)| Arc::clone(&timeline.exchange)).collect(),
    })
}

/// The properties that the broker looks at as it routes and groups.
pub(crate) fn properties(content: &Content) -> OwnedProperties {
    let mut headers = content.own_headers();
    for (name, keys) in [("CC", &content.copies), ("BCC", &content.blind_copies)] {
        if !keys.is_empty() {
            headers.insert(name, texts(keys));
        }
    }
    let has_headers = headers.iter().len() > 0;
    let group = content.group.map(|group| group.to_string().into_bytes());
    OwnedProperties {
        headers: has_headers.then_some(headers),
        message_id: group.clone(),
        correlation_id: group,
        timestamp: content.group.map(u64::from),
        ..OwnedProperties::default()
    }
}
