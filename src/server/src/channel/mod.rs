//! A channel: what one client session within a connection has declared, published, consumed and not yet settled.
//!
//! A channel is a synchronous state machine. It never touches the socket: what it says goes to the outbox it is lent
//! for a [`Step`]. Nothing in it waits; what must wait for the disk is answered later, by mail or by the connection.
//!
//! Publishes and settlements of one read batch are gathered and handed over once, in [`Channel::flush`]; every other
//! method hands them over first, so that nothing a client can ask shows that they were held back.
//!
//! Not taken: a task per channel, which would need a mailbox and a wake-up for every method of every channel.

mod asked;
mod assembly;
mod confirms;
mod consume;
mod consumers;
mod delivery;
mod events;
mod exchange;
mod flow;
mod message;
mod names;
mod outlet;
mod permissions;
mod publish;
mod queue;
mod reply_to;
mod settle;
mod stats;
mod timeouts;
mod tx;
mod unacked;

use std::sync::{Arc, atomic::Ordering};

use leveret_amqp::{
    ContentHeader, Method, ReplyCode, access, basic, channel, confirm, exchange as exchange_class,
    queue as queue_class, tx as tx_class,
};
use leveret_broker::{
    Error, Publisher, Turn,
    queue::{Outcome, Window},
};

use crate::{
    connection::Taken,
    session::{ChannelId, Session},
    step::Step,
    tally::ChannelPlace,
};
use assembly::{Assembled, Assembly};
use confirms::Confirms;
use consumers::Consumers;
use outlet::ChannelOutlet;
use permissions::Permissions;
use reply_to::ReplyConsumer;
use settle::{Origin, Settlements};
use tx::Transaction;
use unacked::Unacked;

pub(crate) use delivery::give_back;
pub(crate) use reply_to::{Reply, ReplyConsumers};
pub(crate) use stats::ChannelStats;

/// Larger bodies are large ones where the peers have agreed on no limit for frames.
const FRAME_MAX_DEFAULT: u32 = 128 * 1024;

/// What the connection has to do after a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing.
    Continue,
    /// The client closed the channel: close-ok is written and the channel has been wound up; forget it.
    Closed,
}

/// One open channel.
pub(crate) struct Channel {
    id: ChannelId,
    session: Arc<Session>,
    outlet: Arc<ChannelOutlet>,
    stats: Arc<ChannelStats>,
    /// Class and method id of what is being done, for the close method if it fails.
    method: (u16, u16),
    assembly: Assembly,
    /// For the message that is coming in, where it is a large one.
    room: Option<Taken>,
    permissions: Permissions,
    publisher: Publisher,
    /// Publishes that a queue refused in the open batch, by sequence number.
    refused: Vec<u64>,
    confirms: Option<Confirms>,
    transaction: Option<Transaction>,
    last_delivery_tag: u64,
    unacked: Unacked<Arc<Origin>>,
    settlements: Settlements,
    consumers: Consumers,
    reply_consumer: Option<ReplyConsumer>,
    /// Unsettled deliveries of all consumers of the channel: basic.qos with global, and the server's own limit.
    window: Arc<Window>,
    /// Prefetch for consumers to come; 0 is unlimited.
    prefetch: u16,
    /// What an empty queue name stands for.
    last_queue: Option<Arc<str>>,
    /// Which of the consumers' queues was served first at the last [`Self::resume`].
    resumed: usize,
    /// Given back with the channel's end.
    _place: ChannelPlace,
}

impl Channel {
    /// A channel just opened; open-ok is the connection's to send.
    pub(crate) fn new(number: u16, session: Arc<Session>, place: ChannelPlace) -> Self {
        let id = ChannelId { number, id: session.broker.next_id() };
        Self {
            id,
            outlet: Arc::new(ChannelOutlet::new(id, &session)),
            stats: Arc::default(),
            method: (0, 0),
            assembly: Assembly::new(session.limits.message_bytes_max),
            room: None,
            permissions: Permissions::new(&session),
            publisher: Publisher::new(Arc::clone(&session.vhost)),
            refused: Vec::new(),
            confirms: None,
            transaction: None,
            last_delivery_tag: 0,
            unacked: Unacked::new(),
            settlements: Settlements::default(),
            consumers: Consumers::default(),
            reply_consumer: None,
            window: Arc::new(Window::new(u64::from(session.limits.unacked_per_channel_max))),
            prefetch: 0,
            last_queue: None,
            resumed: 0,
            _place: place,
            session,
        }
    }

    /// Unique in the broker; mail for another id is of a former channel of that number.
    pub(crate) fn id(&self) -> u64 {
        self.id.id
    }

    /// Counters for listings.
    pub(crate) fn stats(&self) -> &Arc<ChannelStats> {
        &self.stats
    }

    /// Class and method id for the close method after an error from [`Self::method`], [`Self::header`] or
    /// [`Self::body`].
    pub(crate) fn failing_method(&self) -> (u16, u16) {
        self.method
    }

    /// Handles a method frame.
    ///
    /// # Errors
    /// Whatever the method may fail with; the code says whether it ends the channel or the connection.
    pub(crate) fn method(&mut self, method: &Method<'_>, step: &mut Step<'_, '_>) -> Result<Next, Error> {
        self.method = method.ids();
        self.assembly.expect_method()?;
        match method {
            Method::Access(method) => self.access(method, step),
            Method::Basic(method) => self.basic(method, step),
            Method::Channel(method) => return self.channel(method, step),
            Method::Confirm(method) => self.confirm(method, step),
            Method::Connection(_) => Err(unimplemented_method()),
            Method::Exchange(method) => self.exchange(method, step),
            Method::Queue(method) => self.queue(method, step),
            Method::Tx(method) => self.tx(method, step),
        }?;
        Ok(Next::Continue)
    }

    /// Refuses a content header frame where none is due, before it is decoded.
    ///
    /// # Errors
    /// 505.
    pub(crate) fn expect_header(&self) -> Result<(), Error> {
        self.assembly.expect_header()
    }

    /// Handles a content header frame.
    ///
    /// # Errors
    /// 406 for a message that is too large, and what the publish of an empty one may fail with.
    pub(crate) fn header(&mut self, header: &ContentHeader<'_>, step: &mut Step<'_, '_>) -> Result<(), Error> {
        match self.assembly.header(header)? {
            Assembled::Complete => self.publish(&[], step),
            Assembled::Gathered | Assembled::Incomplete => Ok(()),
        }
    }

    /// The bytes of the body that is to come, where it takes several frames of the negotiated size.
    pub(crate) fn bytes_to_gather(&self) -> Option<u64> {
        let frame_max = if self.session.frame_max == 0 { FRAME_MAX_DEFAULT } else { self.session.frame_max };
        self.assembly.body_left().filter(|left| *left > u64::from(frame_max))
    }

    /// There is room for the body that is to come.
    pub(crate) fn take_room(&mut self, taken: Taken) {
        self.room = Some(taken);
    }

    /// Whether a large message is incomplete.
    pub(crate) fn has_room(&self) -> bool {
        self.room.is_some()
    }

    /// Handles a content body frame.
    ///
    /// # Errors
    /// 505 where none is due, 501 for more than the header announced, and what the publish may fail with.
    pub(crate) fn body(&mut self, payload: &[u8], step: &mut Step<'_, '_>) -> Result<(), Error> {
        match self.assembly.body(payload)? {
            Assembled::Complete => self.publish(payload, step),
            Assembled::Gathered => {
                let published = self.publish_gathered(step);
                if !self.has_question() {
                    self.room = None;
                }
                published
            }
            Assembled::Incomplete => Ok(()),
        }
    }

    /// Ends a read batch: hands over publishes and settlements, and confirms what can be confirmed.
    pub(crate) fn flush(&mut self, step: &mut Step<'_, '_>) {
        self.hand_over(step.turn);
        self.confirm_batch(step);
    }

    /// Everything up to `upto` is durable, or never will be.
    pub(crate) fn confirmed(&mut self, upto: u64, succeeded: bool, step: &mut Step<'_, '_>) {
        let Some(confirms) = &mut self.confirms else { return };
        let confirms = confirms.committed(upto, succeeded);
        self.send_confirms(&confirms, step.outbox);
    }

    /// Room was given back in a window that queues had found full: they serve the channel's consumers again.
    /// Another one is first each time, since the first may take all the room.
    pub(crate) fn resume(&mut self, turn: &mut Turn<'_>) {
        let mut queues = self.consumers.queues();
        if queues.is_empty() {
            return;
        }
        self.resumed = (self.resumed + 1) % queues.len();
        queues.rotate_left(self.resumed);
        for queue in queues {
            queue.resume(turn);
        }
    }

    /// Winds the channel up: nothing published is lost, consumers are cancelled, what is unsettled goes back.
    pub(crate) fn close(&mut self, turn: &mut Turn<'_>) {
        self.hand_over(turn);
        self.drop_reply_consumer();
        let consumers = self.consumers.take_all();
        for consumer in &consumers {
            consumer.origin.queue.cancel(turn, consumer.id);
        }
        let served = consumers.iter().filter(|consumer| consumer.cancel_reply.is_none());
        let ended = served.inspect(|consumer| self.tell_consumer_deleted(turn, consumer)).count();
        if let Some(transaction) = &mut self.transaction {
            transaction.roll_back(&mut self.unacked, &self.stats);
        }
        let unsettled = self.unacked.take_all();
        self.settlements.add(unsettled, Outcome::Requeue { count_attempt: true }, &self.window, turn);
        self.settlements.apply(&self.window, turn);
        self.tell_closed(turn, ended);
    }

    /// Has the queues see everything published and settled so far.
    fn hand_over(&mut self, turn: &mut Turn<'_>) {
        if self.settlements.apply(&self.window, turn) {
            self.resume(turn);
        }
        self.refused.extend(self.publisher.flush(turn));
    }

    fn access(&mut self, method: &access::Method<'_>, step: &mut Step<'_, '_>) -> Result<(), Error> {
        match method {
            access::Method::Request(_) => self.reply(access::RequestOk { ticket: 1 }, step),
            access::Method::RequestOk(_) => return Err(unimplemented_method()),
        }
        Ok(())
    }

    fn basic(&mut self, method: &basic::Method<'_>, step: &mut Step<'_, '_>) -> Result<(), Error> {
        match method {
            basic::Method::Ack(ack) => return self.ack(ack, step),
            basic::Method::Nack(nack) => return self.nack(nack, step),
            basic::Method::Publish(publish) => return self.begin_publish(publish),
            basic::Method::Reject(reject) => return self.reject(reject, step),
            _ => self.hand_over(step.turn),
        }
        match method {
            basic::Method::Cancel(cancel) => self.cancel(cancel, step),
            basic::Method::CancelOk(_) => Ok(()),
            basic::Method::Consume(consume) => self.consume(consume, step),
            basic::Method::Get(get) => self.get(get, step),
            basic::Method::Qos(qos) => self.qos(qos, step),
            basic::Method::Recover(recover) => self.recover(recover, step),
            basic::Method::RecoverAsync(recover) => self.recover_async(recover, step),
            basic::Method::Ack(_)
            | basic::Method::Nack(_)
            | basic::Method::Publish(_)
            | basic::Method::Reject(_)
            | basic::Method::ConsumeOk(_)
            | basic::Method::Deliver(_)
            | basic::Method::GetEmpty(_)
            | basic::Method::GetOk(_)
            | basic::Method::QosOk(_)
            | basic::Method::RecoverOk(_)
            | basic::Method::Return(_) => Err(unimplemented_method()),
        }
    }

    fn channel(&mut self, method: &channel::Method<'_>, step: &mut Step<'_, '_>) -> Result<Next, Error> {
        self.hand_over(step.turn);
        match method {
            channel::Method::Close(_) => return Ok(self.closed_by_client(step)),
            channel::Method::Flow(flow) => self.flow(flow, step)?,
            // The server never asks for a change of flow; a client that answers all the same does no harm.
            channel::Method::CloseOk(_) | channel::Method::FlowOk(_) => {}
            channel::Method::Open(_) => return Err(Error::new(ReplyCode::ChannelError, "second 'channel.open' seen")),
            channel::Method::OpenOk(_) => return Err(unimplemented_method()),
        }
        Ok(Next::Continue)
    }

    fn confirm(&mut self, method: &confirm::Method, step: &mut Step<'_, '_>) -> Result<(), Error> {
        self.hand_over(step.turn);
        match method {
            confirm::Method::Select(select) => self.confirm_select(select, step),
            confirm::Method::SelectOk(_) => Err(unimplemented_method()),
        }
    }

    fn exchange(&mut self, method: &exchange_class::Method<'_>, step: &mut Step<'_, '_>) -> Result<(), Error> {
        self.hand_over(step.turn);
        match method {
            exchange_class::Method::Bind(bind) => self.bind_exchange(bind, step),
            exchange_class::Method::Declare(declare) => self.declare_exchange(declare, step),
            exchange_class::Method::Delete(delete) => self.delete_exchange(delete, step),
            exchange_class::Method::Unbind(unbind) => self.unbind_exchange(unbind, step),
            exchange_class::Method::BindOk(_)
            | exchange_class::Method::DeclareOk(_)
            | exchange_class::Method::DeleteOk(_)
            | exchange_class::Method::UnbindOk(_) => Err(unimplemented_method()),
        }
    }

    fn queue(&mut self, method: &queue_class::Method<'_>, step: &mut Step<'_, '_>) -> Result<(), Error> {
        self.hand_over(step.turn);
        match method {
            queue_class::Method::Bind(bind) => self.bind_queue(bind, step),
            queue_class::Method::Declare(declare) => self.declare_queue(declare, step),
            queue_class::Method::Delete(delete) => self.delete_queue(delete, step),
            queue_class::Method::Purge(purge) => self.purge_queue(purge, step),
            queue_class::Method::Unbind(unbind) => self.unbind_queue(unbind, step),
            queue_class::Method::BindOk(_)
            | queue_class::Method::DeclareOk(_)
            | queue_class::Method::DeleteOk(_)
            | queue_class::Method::PurgeOk(_)
            | queue_class::Method::UnbindOk(_) => Err(unimplemented_method()),
        }
    }

    fn tx(&mut self, method: &tx_class::Method, step: &mut Step<'_, '_>) -> Result<(), Error> {
        self.hand_over(step.turn);
        match method {
            tx_class::Method::Commit(_) => self.tx_commit(step),
            tx_class::Method::Rollback(_) => self.tx_rollback(step),
            tx_class::Method::Select(_) => self.tx_select(step),
            tx_class::Method::CommitOk(_) | tx_class::Method::RollbackOk(_) | tx_class::Method::SelectOk(_) => {
                Err(unimplemented_method())
            }
        }
    }

    /// Confirm mode can be asked for again, but not beside transactions.
    fn confirm_select(&mut self, select: &confirm::Select, step: &mut Step<'_, '_>) -> Result<(), Error> {
        if self.transaction.is_some() {
            return Err(Error::precondition_failed("cannot switch from tx to confirm mode"));
        }
        self.confirms.get_or_insert_default();
        self.stats.confirm.store(true, Ordering::Relaxed);
        self.reply_to_change(confirm::SelectOk, select.no_wait, false, step);
        Ok(())
    }

    fn closed_by_client(&mut self, step: &mut Step<'_, '_>) -> Next {
        self.close(step.turn);
        self.reply(channel::CloseOk, step);
        Next::Closed
    }

    fn reply<'m>(&self, method: impl Into<Method<'m>>, step: &mut Step<'_, '_>) {
        step.outbox.method(self.id.number, &method.into());
    }

    /// As [`Self::reply`] unless the client wants no answer, and after the commit where the change must survive.
    fn reply_to_change<'m>(&self, reply: impl Into<Method<'m>>, no_wait: bool, durable: bool, step: &mut Step<'_, '_>) {
        match (no_wait, durable) {
            (true, _) => {}
            (false, true) => step.reply_after_commit(self.id.number, &reply.into()),
            (false, false) => self.reply(reply, step),
        }
    }
}

/// RabbitMQ's answer to a method that only servers send.
fn unimplemented_method() -> Error {
    Error::new(ReplyCode::CommandInvalid, "unimplemented method")
}
