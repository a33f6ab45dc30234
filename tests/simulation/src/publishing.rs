//! What clients publish, alone and in transactions.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use leveret_amqp::Properties;
use leveret_broker::{Claims, Publish, Turn};

use crate::{
    front::Transaction,
    model::{Content, QueueId, Settled, Way},
    plan::Name,
    script::Publication,
    world::{World, properties, route},
};

/// The number of a message in front of its padding.
const NUMBER_BYTES: usize = 8;

/// What a turn publishes, for the model: queues in the order in which they are first named, each with its messages.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) groups: Vec<(QueueId, Vec<Arc<Content>>)>,
    /// What exchanges hold back.
    held: Vec<(Name, Arc<Content>)>,
    roots: BTreeSet<u64>,
    must_be_durable: bool,
}

impl Batch {
    pub(crate) fn add(&mut self, content: &Arc<Content>, way: Way<Vec<QueueId>>) {
        for id in way.queues {
            match self.groups.iter_mut().find(|(other, _)| *other == id) {
                Some((_, contents)) => contents.push(Arc::clone(content)),
                None => self.groups.push((id, vec![Arc::clone(content)])),
            }
        }
        self.held.extend(way.held.into_iter().map(|exchange| (exchange, Arc::clone(content))));
    }
}

impl World<'_> {
    /// Messages that one read brings in.
    pub(crate) fn publish(&mut self, channel: usize, publications: &[Publication]) {
        let numbered: Vec<_> = publications
            .iter()
            .map(|publication| {
                self.next_root += 1;
                (self.next_root, publication.clone())
            })
            .collect();
        if let Some(transaction) = &mut self.real.channels[channel].transaction {
            transaction.publishes.extend(numbered);
            return;
        }
        self.turn(|world, turn| {
            let batch = world.publish_all(channel, &numbered, turn);
            let must_be_durable = batch.must_be_durable;
            let accepted = world.hand_over(channel, batch, turn);
            if must_be_durable {
                world.commits.when_safe(turn, accepted);
            }
        });
    }

    /// tx.commit
    pub(crate) fn commit(&mut self, channel: usize) {
        let Some(transaction) = self.real.channels[channel].transaction.take() else { return };
        self.real.channels[channel].transaction = Some(Transaction::default());
        self.turn(|world, turn| {
            if !world.has_room(&transaction) {
                world.real.channels[channel].transaction = Some(transaction);
                return world.real.channels[channel].roll_back();
            }
            let Transaction { publishes, settlements } = transaction;
            let batch = world.publish_all(channel, &publishes, turn);
            let is_durable = settlements.iter().any(|(_, unacked, _)| unacked.queue.durable);
            world.settle_in_order(channel, settlements, turn);
            let must_be_durable = batch.must_be_durable || is_durable;
            world.hand_over(channel, batch, turn);
            if must_be_durable {
                world.commits.after_commit(turn);
            }
        });
    }

    /// Asks the broker and the model whether the queues have room for a transaction.
    fn has_room(&mut self, transaction: &Transaction) -> bool {
        let mut claims = Claims::default();
        let mut sums: BTreeMap<QueueId, (u64, u64)> = BTreeMap::new();
        for (_, publication) in &transaction.publishes {
            let content = self.content(0, publication);
            let bytes = content.bytes;
            let Some(way) = route(&self.real.vhost, &content, None) else { return false };
            claims.add(way.queues.iter().map(|id| Arc::clone(&self.real.queues[id])).collect(), bytes);
            for id in way.queues {
                let sum = sums.entry(id).or_default();
                *sum = (sum.0 + 1, sum.1 + bytes);
            }
        }
        let has_room = claims.check().is_ok();
        let refuses = |(id, sum): (&QueueId, &(u64, u64))| self.model.queues[id].refuses(sum.0, sum.1);
        if !has_room && !sums.iter().any(refuses) {
            self.model.fail("a transaction was refused although every queue has room");
        }
        has_room
    }

    /// Publishes one after the other, as far as exchanges are there.
    fn publish_all(&mut self, channel: usize, publications: &[(u64, Publication)], turn: &mut Turn<'_>) -> Batch {
        let mut batch = Batch::default();
        for (number, publication) in publications {
            let content = self.content(*number, publication);
            let way = self.way(&content, None);
            let Some(is_durable) = self.publish_one(channel, publication, &content, turn) else { continue };
            batch.must_be_durable |= is_durable;
            batch.roots.insert(*number);
            batch.add(&content, way.unwrap_or_default());
        }
        batch
    }

    /// Where the broker routes a message, in its order, which is where the model would; `None` where it refuses to.
    pub(crate) fn way(&mut self, content: &Content, released_by: Option<&str>) -> Option<Way<Vec<QueueId>>> {
        let way = route(&self.real.vhost, content, released_by);
        let found = way.as_ref().map(|way| (way.queues.iter().copied().collect::<BTreeSet<_>>(), &way.held));
        let expected = self.model.route(content, released_by);
        if found != expected.as_ref().map(|expected| (expected.queues.clone(), &expected.held)) {
            self.model.fail(format!("{content:?} was routed to {found:?} and should be to {expected:?}"));
        }
        way
    }

    /// Whether the broker says that it must reach the disk; `None` where the exchange does not exist.
    fn publish_one(
        &mut self,
        channel: usize,
        publication: &Publication,
        content: &Content,
        turn: &mut Turn<'_>,
    ) -> Option<bool> {
        let mut properties = properties(content);
        properties.delivery_mode = content.persistent.then_some(2);
        properties.priority = publication.priority;
        properties.expiration = content.expiration_ms.map(|expiration_ms| expiration_ms.to_string().into_bytes());
        let raw = properties.to_raw();
        let view = Properties::parse(&raw).ok()?;
        let mut body = content.root.to_le_bytes().to_vec();
        body.resize(NUMBER_BYTES + publication.padding, 0);
        let publish = Publish {
            exchange_and_key: &on_wire(&content.exchange, &content.key),
            exchange: &content.exchange,
            routing_key: content.key.as_bytes(),
            properties: &view,
            properties_raw: &raw,
            body: &body,
            dead_lettered: false,
        };
        let routing = self.real.channels[channel].publisher.publish(turn, &publish, content.root).ok()?;
        let to = self.model.route(content, None).unwrap_or_default();
        let is_kept = to.queues.iter().any(|id| self.model.queues[id].plan.keeps(content.persistent));
        let is_held = !to.held.is_empty();
        if (routing.routed, routing.durable) != (!to.queues.is_empty() || is_held, is_kept || is_held) {
            self.model.fail(format!("{content:?}: {routing:?}, where it goes to {to:?}"));
        }
        Some(routing.durable)
    }

    /// Hands a batch over to its queues; the messages that none of them refused.
    fn hand_over(&mut self, channel: usize, batch: Batch, turn: &mut Turn<'_>) -> BTreeSet<u64> {
        let refused: BTreeSet<_> = self.real.channels[channel].publisher.flush(turn).into_iter().collect();
        self.observe();
        let is_granted = self.real.channels[channel].transaction.is_some();
        let expected = self.model.publish(batch.groups, is_granted);
        if refused != expected {
            self.model.fail(format!("messages {refused:?} were refused and should be {expected:?}"));
        }
        batch.held.iter().for_each(|(exchange, content)| self.model.hold(exchange, content));
        &batch.roots - &refused
    }

    fn content(&self, number: u64, publication: &Publication) -> Arc<Content> {
        let (exchange, key) = self.address(publication);
        Arc::new(Content {
            root: number,
            ancestors: Vec::new(),
            bytes: (publication.padding + NUMBER_BYTES) as u64,
            is_promised: true,
            persistent: publication.persistent,
            priority: publication.priority.unwrap_or(0),
            timestamp_ms: self.now_ms,
            expiration_ms: publication.expiration_ms,
            exchange,
            key,
            copies: publication.copies.clone(),
            blind_copies: publication.blind_copies.clone(),
            group: publication.group,
            delay_ms: publication.delay_ms.and_then(|delay_ms| i64::try_from(delay_ms).ok()),
            headers: publication.headers.clone(),
            deaths: Vec::new(),
            first_death: None,
        })
    }

    fn address(&self, publication: &Publication) -> (Name, Name) {
        match self.plan.exchanges.get(publication.exchange) {
            Some(exchange) => (Arc::clone(&exchange.name), Arc::clone(&publication.key)),
            None => ("".into(), Arc::clone(&self.plan.queues[publication.queue].name)),
        }
    }

    /// Settles what a transaction held back: gathered as long as the outcome is the same.
    fn settle_in_order(
        &mut self,
        channel: usize,
        settlements: Vec<(u64, crate::front::Unacked, Settled)>,
        turn: &mut Turn<'_>,
    ) {
        let mut rest = settlements.into_iter().peekable();
        while let Some((_, first, how)) = rest.next() {
            let mut alike = vec![first];
            while let Some((_, next, _)) = rest.next_if(|(_, _, next)| *next == how) {
                alike.push(next);
            }
            self.settle_all(channel, alike, how, turn);
        }
    }
}

/// Exchange and routing key as two short strings.
fn on_wire(exchange: &str, key: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for part in [exchange, key] {
        wire.push(part.len() as u8);
        wire.extend_from_slice(part.as_bytes());
    }
    wire
}
