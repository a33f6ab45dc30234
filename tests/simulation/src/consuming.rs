//! What clients take, and what they say about it.

use std::sync::Arc;

use leveret_amqp::FieldTable;
use leveret_broker::{
    Turn,
    queue::{
        ConsumerId, Deliveries, DeliveryRun, NewConsumer, NewConsumerState, Outcome, Outlet, Queue as BrokerQueue, Run,
        Runs,
    },
};

use crate::{
    front::{Channel, Mail, Post, Subscription, Unacked},
    model::{Consumer, Queue, Seen, Settled},
    world::World,
};

impl World<'_> {
    /// basic.consume
    pub(crate) fn consume(
        &mut self,
        channel: usize,
        queue: usize,
        (no_ack, exclusive): (bool, bool),
        priority: i32,
        prefetch: u32,
    ) {
        let Some(queue) = self.usable_queue(channel, queue) else { return };
        self.turn(|world, turn| {
            let Channel { id: channel_id, connection, window, .. } = &world.real.channels[channel];
            let connection = &world.real.connections[*connection];
            let post = Post {
                channel: *channel_id,
                mailbox: Arc::clone(&connection.mailbox),
                log: Arc::clone(&world.real.log),
            };
            let id = world.real.broker.next_id();
            let (window, outbox) = (Arc::clone(window), Arc::clone(&connection.window));
            let terms = NewConsumerState {
                id,
                no_ack,
                exclusive,
                priority,
                prefetch,
                windows: vec![Arc::clone(&window)],
                outbox: Arc::clone(&outbox),
            };
            let outlet = Arc::new(post) as Arc<dyn Outlet>;
            let new = NewConsumer { terms, outlet, tag: id.to_string().into(), arguments: FieldTable::new() };
            let is_taken = queue.consume(turn, new).is_ok();
            world.observe();
            let windows = vec![window, outbox];
            let consumer = Consumer { id, no_ack, exclusive, priority, prefetch, unacked: 0, windows };
            let expected = world.model.act(queue.id, |queue, act| queue.consume(consumer, act));
            if expected != Some(is_taken) {
                world.model.fail(format!("consume: taken {is_taken}, and should be {expected:?}"));
            }
            if is_taken {
                let subscription = Subscription { queue, no_ack, is_cancelled: false };
                world.real.channels[channel].consumers.insert(id, subscription);
            }
        });
    }

    /// basic.cancel
    pub(crate) fn cancel(&mut self, channel: usize, consumer: usize) {
        let consumers = &mut self.real.channels[channel].consumers;
        let active: Vec<_> = consumers.iter().filter(|(_, of)| !of.is_cancelled).map(|(id, _)| *id).collect();
        let Some(id) = active.get(consumer % active.len().max(1)).copied() else { return };
        let Some(subscription) = consumers.get_mut(&id) else { return };
        subscription.is_cancelled = true;
        let queue = Arc::clone(&subscription.queue);
        self.turn(|world, turn| world.cancel_consumer(&queue, id, turn));
        let Channel { id: channel_id, connection, .. } = &self.real.channels[channel];
        self.real.connections[*connection].mailbox.lock().push_back(Mail::CancelOk(*channel_id, id));
    }

    pub(crate) fn cancel_consumer(&mut self, queue: &Arc<BrokerQueue>, id: ConsumerId, turn: &mut Turn<'_>) {
        queue.cancel(turn, id);
        self.observe();
        self.model.act(queue.id, |queue, act| queue.cancel(id, act));
    }

    /// basic.get
    pub(crate) fn get(&mut self, channel: usize, queue: usize, no_ack: bool) {
        let Some(queue) = self.usable_queue(channel, queue) else { return };
        self.turn(|world, turn| {
            let result = queue.get(turn, no_ack);
            world.observe();
            let Ok(got) = result else {
                let is_refused = queue.single_active_consumer && world.model.queues[&queue.id].plan.quorum;
                if !is_refused {
                    world.model.fail(format!("get was refused: {result:?}"));
                }
                world.model.act(queue.id, Queue::follow_up);
                return;
            };
            let seen = got.as_ref().and_then(|got| Some((Seen::all(None, &got.run).next()?, got.remaining)));
            world.model.act(queue.id, |queue, act| queue.get(no_ack, seen, act));
            if let Some(got) = got.filter(|_| !no_ack) {
                let unacked = Unacked { queue: Arc::clone(&queue), consumer: None, place: got.run.position };
                world.real.channels[channel].remember(unacked);
            }
        });
    }

    /// basic.ack, nack and reject
    pub(crate) fn settle(&mut self, channel: usize, delivery: usize, multiple: bool, how: Settled) {
        let Channel { unacked, transaction, .. } = &mut self.real.channels[channel];
        let Some(tag) = unacked.keys().nth(delivery % unacked.len().max(1)).copied() else { return };
        let chosen: Vec<_> = unacked.extract_if(..=tag, |other, _| multiple || *other == tag).collect();
        if let Some(transaction) = transaction {
            return transaction.settlements.extend(chosen.into_iter().map(|(tag, unacked)| (tag, unacked, how)));
        }
        let chosen = chosen.into_iter().map(|(_, unacked)| unacked).collect();
        self.turn(|world, turn| world.settle_all(channel, chosen, how, turn));
    }

    /// basic.recover
    pub(crate) fn recover(&mut self, channel: usize) {
        let unacked = std::mem::take(&mut self.real.channels[channel].unacked);
        let unacked = unacked.into_values().collect();
        self.turn(|world, turn| world.settle_all(channel, unacked, Settled::Requeued, turn));
    }

    /// basic.qos for the whole channel.
    pub(crate) fn resize_window(&mut self, channel: usize, limit: u32) {
        if self.real.channels[channel].window.resize(u64::from(limit)) {
            self.turn(|world, turn| world.resume(channel, turn));
        }
    }

    /// Settles deliveries, each queue and consumer at a time, and gives their room back.
    pub(crate) fn settle_all(&mut self, channel: usize, unacked: Vec<Unacked>, how: Settled, turn: &mut Turn<'_>) {
        let mut groups: Vec<Vec<Unacked>> = Vec::new();
        let mut returned = 0;
        for next in unacked {
            returned += u64::from(next.consumer.is_some());
            let of_group = |first: &Unacked| first.queue.id == next.queue.id && first.consumer == next.consumer;
            match groups.iter_mut().find(|group| of_group(&group[0])) {
                Some(group) => group.push(next),
                None => groups.push(vec![next]),
            }
        }
        for group in groups {
            let Unacked { queue, consumer, .. } = group[0].clone();
            self.settle_group(&queue, consumer, &group, how, turn);
        }
        if self.real.channels[channel].window.give(returned) {
            self.resume(channel, turn);
        }
    }

    fn settle_group(
        &mut self,
        queue: &Arc<BrokerQueue>,
        consumer: Option<ConsumerId>,
        group: &[Unacked],
        how: Settled,
        turn: &mut Turn<'_>,
    ) {
        let outcome = match how {
            Settled::Acked => Outcome::Ack,
            Settled::Requeued => Outcome::Requeue { count_attempt: false },
            Settled::RequeuedCounted => Outcome::Requeue { count_attempt: true },
            Settled::Undelivered => Outcome::Undelivered,
            Settled::Rejected => Outcome::Reject,
        };
        let mut runs: Runs<Run> = Runs::new();
        for Unacked { place, .. } in group {
            match runs.last_mut() {
                Some(last) if last.position.level == place.level && last.end_seq() == place.seq => last.count += 1,
                _ => runs.push(Run { position: *place, count: 1 }),
            }
        }
        queue.settle(turn, consumer, runs, outcome);
        self.observe();
        let places: Vec<_> = group.iter().map(|unacked| unacked.place).collect();
        self.model.settle(queue.id, consumer, &places, how);
    }

    /// Room was given back in the channel's window.
    pub(crate) fn resume(&mut self, channel: usize, turn: &mut Turn<'_>) {
        for queue in self.real.channels[channel].queues() {
            queue.resume(turn);
            self.observe();
            self.model.act(queue.id, Queue::follow_up);
        }
    }

    /// Room was given back in the connection's window.
    fn resume_connection(&mut self, connection: usize, turn: &mut Turn<'_>) {
        for channel in 0..self.real.channels.len() {
            if self.real.channels[channel].connection == connection {
                self.resume(channel, turn);
            }
        }
    }

    /// A connection handles mail.
    pub(crate) fn read_mail(&mut self, connection: usize, count: usize) {
        self.turn(|world, turn| {
            for _ in 0..count {
                let mail = world.real.connections[connection].mailbox.lock().pop_front();
                let Some(mail) = mail else { break };
                world.read(connection, mail, turn);
            }
        });
    }

    fn read(&mut self, connection: usize, mail: Mail, turn: &mut Turn<'_>) {
        let place = |world: &Self, id| world.real.channels.iter().position(|channel| channel.id == id);
        match mail {
            Mail::Deliver(id, deliveries) => {
                let channel = place(self, id);
                self.deliver(connection, channel, deliveries, turn);
            }
            Mail::Resume => self.resume_connection(connection, turn),
            Mail::Cancelled(id, consumer) => {
                if let Some(channel) = place(self, id) {
                    let consumers = &mut self.real.channels[channel].consumers;
                    let _gone = consumers.extract_if(.., |of, gone| *of == consumer && !gone.is_cancelled).count();
                }
            }
            Mail::CancelOk(id, consumer) => {
                if let Some(channel) = place(self, id) {
                    self.real.channels[channel].consumers.remove(&consumer);
                }
            }
        }
    }

    /// Messages reach the client, or go back where their channel or consumer is gone.
    fn deliver(&mut self, connection: usize, channel: Option<usize>, deliveries: Deliveries, turn: &mut Turn<'_>) {
        let Deliveries { queue, consumer, runs } = deliveries;
        let bytes = runs.iter().map(DeliveryRun::bytes_len).sum();
        let places = runs.iter().flat_map(|run| Seen::all(Some(consumer), run)).map(|seen| seen.place);
        let unacked: Vec<_> =
            places.map(|place| Unacked { queue: Arc::clone(&queue), consumer: Some(consumer), place }).collect();
        let subscription = channel.and_then(|channel| self.real.channels[channel].consumers.get(&consumer));
        match (channel, subscription.map(|subscription| subscription.no_ack)) {
            (_, Some(true)) => {}
            (Some(channel), Some(false)) => {
                unacked.into_iter().for_each(|unacked| self.real.channels[channel].remember(unacked));
            }
            (Some(channel), None) => self.settle_all(channel, unacked, Settled::Undelivered, turn),
            (None, _) => self.settle_group(&queue, Some(consumer), &unacked, Settled::Undelivered, turn),
        }
        if self.real.connections[connection].window.give(bytes) {
            self.resume_connection(connection, turn);
        }
    }

    /// The channel closes: consumers are cancelled, what is unsettled goes back. It opens again at once.
    pub(crate) fn close_channel(&mut self, channel: usize) {
        self.turn(|world, turn| {
            for (id, subscription) in std::mem::take(&mut world.real.channels[channel].consumers) {
                world.cancel_consumer(&subscription.queue, id, turn);
            }
            world.real.channels[channel].roll_back();
            let unacked = std::mem::take(&mut world.real.channels[channel].unacked);
            world.settle_all(channel, unacked.into_values().collect(), Settled::RequeuedCounted, turn);
        });
        let connection = self.real.channels[channel].connection;
        let id = self.real.broker.next_id();
        self.real.channels[channel] = Channel::new(id, connection, &self.real.vhost, self.plan.channels[channel]);
    }

    /// The connection ends, with its exclusive queues, and comes again.
    pub(crate) fn close_connection(&mut self, connection: usize) {
        for channel in 0..self.real.channels.len() {
            if self.real.channels[channel].connection == connection {
                self.close_channel(channel);
            }
        }
        let id = self.real.connections[connection].id;
        self.turn(|world, turn| {
            world.real.vhost.release_connection(turn, id);
            let owned = world.model.queues.iter().filter(|(_, queue)| queue.owner == Some(id));
            for queue in owned.map(|(id, _)| *id).collect::<Vec<_>>() {
                world.model.delete_queue(queue);
            }
        });
        self.read_mail(connection, usize::MAX);
        self.real.connections[connection].id = self.real.broker.next_id();
    }
}
