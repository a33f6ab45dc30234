//! The front end's part: connections with a mailbox, channels that remember what is unacked. As in the server, without
//! frames and sockets.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use leveret_broker::{
    Publisher, VHost,
    queue::{Admission, CancelReason, ConsumerId, Deliveries, Outlet, Position, Queue, Runs, Window},
};
use parking_lot::Mutex;

use crate::{model::Settled, plan::Mode, script::Publication};

/// Deliveries in the order in which queues made them, for the model.
pub(crate) type Log = Arc<Mutex<Vec<Delivered>>>;

/// What a queue handed out.
pub(crate) struct Delivered {
    /// The queue.
    pub(crate) queue: u64,
    /// To whom.
    pub(crate) consumer: ConsumerId,
    /// The messages.
    pub(crate) runs: Runs<leveret_broker::queue::DeliveryRun>,
}

/// A connection.
pub(crate) struct Connection {
    /// Unique in the broker.
    pub(crate) id: u64,
    /// Bytes under way to the client.
    pub(crate) window: Arc<Window>,
    /// See there.
    pub(crate) mailbox: Mailbox,
}

/// What queues send to a connection.
pub(crate) type Mailbox = Arc<Mutex<VecDeque<Mail>>>;

/// One piece of mail. The numbers are those of a channel and of its life.
pub(crate) enum Mail {
    /// Messages.
    Deliver(u64, Deliveries),
    /// A queue has dropped a consumer.
    Cancelled(u64, ConsumerId),
    /// Everything for a consumer that the client cancelled is delivered.
    CancelOk(u64, ConsumerId),
    /// A window has room again.
    Resume,
}

/// A channel.
pub(crate) struct Channel {
    /// Which of the broker's numbers it has.
    pub(crate) id: u64,
    /// The place of its connection.
    pub(crate) connection: usize,
    /// See there.
    pub(crate) publisher: Publisher,
    /// Messages unacked over all its consumers.
    pub(crate) window: Arc<Window>,
    /// By number.
    pub(crate) consumers: BTreeMap<ConsumerId, Subscription>,
    /// By delivery tag.
    pub(crate) unacked: BTreeMap<u64, Unacked>,
    /// The last one.
    pub(crate) delivery_tag: u64,
    /// What waits for tx.commit, on a transactional channel.
    pub(crate) transaction: Option<Transaction>,
}

/// A consumer of a channel.
pub(crate) struct Subscription {
    /// Its queue.
    pub(crate) queue: Arc<Queue>,
    /// Deliveries need no settling.
    pub(crate) no_ack: bool,
    /// The client has cancelled it.
    pub(crate) is_cancelled: bool,
}

/// A delivery.
#[derive(Clone)]
pub(crate) struct Unacked {
    /// Where it came from.
    pub(crate) queue: Arc<Queue>,
    /// For whom; `None` is basic.get.
    pub(crate) consumer: Option<ConsumerId>,
    /// Its place there.
    pub(crate) place: Position,
}

/// What waits for tx.commit.
#[derive(Default)]
pub(crate) struct Transaction {
    /// Messages.
    pub(crate) publishes: Vec<(u64, Publication)>,
    /// Settlements, by delivery tag.
    pub(crate) settlements: Vec<(u64, Unacked, Settled)>,
}

impl Channel {
    /// An open channel.
    pub(crate) fn new(id: u64, connection: usize, vhost: &Arc<VHost>, mode: Mode) -> Self {
        let mut publisher = Publisher::new(Arc::clone(vhost));
        if mode == Mode::Transaction {
            publisher.admit(Admission::Granted);
        }
        Self {
            id,
            connection,
            publisher,
            window: Arc::new(Window::new(0)),
            consumers: BTreeMap::new(),
            unacked: BTreeMap::new(),
            delivery_tag: 0,
            transaction: (mode == Mode::Transaction).then(Transaction::default),
        }
    }

    /// Remembers a delivery.
    pub(crate) fn remember(&mut self, unacked: Unacked) {
        self.delivery_tag += 1;
        self.unacked.insert(self.delivery_tag, unacked);
    }

    /// The queues that it consumes from, each once.
    pub(crate) fn queues(&self) -> Vec<Arc<Queue>> {
        let by_id: BTreeMap<_, _> = self.consumers.values().map(|of| (of.queue.id, Arc::clone(&of.queue))).collect();
        by_id.into_values().collect()
    }

    /// Makes what a transaction has settled unacked again.
    pub(crate) fn roll_back(&mut self) {
        if let Some(transaction) = &mut self.transaction {
            let settlements = std::mem::take(transaction).settlements;
            self.unacked.extend(settlements.into_iter().map(|(tag, unacked, _)| (tag, unacked)));
        }
    }
}

/// The outlet of all consumers of a channel.
pub(crate) struct Post {
    /// The channel's number.
    pub(crate) channel: u64,
    /// Its connection's.
    pub(crate) mailbox: Mailbox,
    /// See there.
    pub(crate) log: Log,
}

impl Outlet for Post {
    fn deliver(&self, deliveries: Deliveries) {
        let Deliveries { queue, consumer, runs } = &deliveries;
        self.log.lock().push(Delivered { queue: queue.id, consumer: *consumer, runs: runs.clone() });
        self.mailbox.lock().push_back(Mail::Deliver(self.channel, deliveries));
    }

    fn cancelled(&self, consumer: ConsumerId, _: CancelReason) {
        self.mailbox.lock().push_back(Mail::Cancelled(self.channel, consumer));
    }

    fn room_returned(&self, _: ConsumerId) {
        self.mailbox.lock().push_back(Mail::Resume);
    }

    fn name(&self) -> String {
        format!("channel {}", self.channel)
    }
}
