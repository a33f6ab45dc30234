//! Queues, exchange and bindings of a run, and which producer and consumer has which queues.

use leveret_amqp::{FieldTable, Method, exchange, queue};

use super::error::Error;
use super::options::{Options, Pattern};
use super::uri::Uri;
use super::wire::{CHANNEL, Wire};

/// How many routing keys a queue is reached by under [`Pattern::Topic`].
const TOPIC_KEYS: u32 = 100;

/// The queues that member `index` of `members` works on: members share the queues out, and where there are more members
/// than queues, several have the same one.
pub(super) fn queues_of(index: usize, members: usize, queues: u32) -> Vec<u32> {
    let queues = queues as usize;
    let of: Vec<usize> =
        if members >= queues { vec![index % queues] } else { (index..queues).step_by(members).collect() };
    of.into_iter().map(|queue| queue as u32).collect()
}

/// The routing keys that lead to a queue; a producer uses them in turn.
pub(super) fn routing_keys(options: &Options, queue: u32) -> Vec<String> {
    match options.pattern {
        Pattern::WorkQueue => vec![options.queue(queue)],
        Pattern::FanOut => vec![String::new()],
        Pattern::Topic => (0..TOPIC_KEYS).map(|key| format!("perf.{key}.{queue}.event")).collect(),
    }
}

fn binding_key(options: &Options, queue: u32) -> String {
    match options.pattern {
        Pattern::WorkQueue => options.queue(queue),
        Pattern::FanOut => String::new(),
        Pattern::Topic => format!("*.*.{queue}.#"),
    }
}

/// A connection for declaring and deleting.
pub(super) struct Topology<'a> {
    wire: Wire,
    options: &'a Options,
}

impl<'a> Topology<'a> {
    pub(super) async fn open(uri: &Uri, options: &'a Options) -> Result<Self, Error> {
        Ok(Self { wire: Wire::open(uri, "leveret perf: topology").await?, options })
    }

    /// Declares all there is, and gives the number of messages that wait in the queues. Queues that producers of this
    /// run will fill are emptied first.
    pub(super) async fn declare(&mut self) -> Result<u64, Error> {
        let exchange = self.options.exchange();
        if !exchange.is_empty() {
            self.declare_exchange(&exchange).await?;
        }
        let mut ready = 0;
        for queue in 0..self.options.queues {
            ready += self.declare_queue(queue).await?;
            if !exchange.is_empty() {
                self.bind(&exchange, queue).await?;
            }
        }
        Ok(ready)
    }

    async fn declare_exchange(&mut self, name: &str) -> Result<(), Error> {
        let kind = match self.options.pattern {
            Pattern::WorkQueue => "direct",
            Pattern::FanOut => "fanout",
            Pattern::Topic => "topic",
        };
        let (kind, arguments) = match self.options.delay_ms {
            None => (kind, FieldTable::new()),
            Some(_) => ("x-delayed-message", FieldTable::new().with("x-delayed-type", kind)),
        };
        let durable = self.options.durable;
        let declare = exchange::Declare { exchange: name, kind, durable, arguments, ..exchange::Declare::default() };
        let declare = Method::Exchange(exchange::Method::Declare(declare));
        self.wire.call(CHANNEL, &declare, "exchange.declare-ok").await
    }

    async fn declare_queue(&mut self, queue: u32) -> Result<u64, Error> {
        let name = self.options.queue(queue);
        let ready = self.messages(&name, false).await?;
        if ready == 0 || self.options.producers == 0 {
            return Ok(ready);
        }
        let purge = queue::Purge { queue: &name, ..queue::Purge::default() };
        self.wire.call(CHANNEL, &Method::Queue(queue::Method::Purge(purge)), "queue.purge-ok").await?;
        Ok(0)
    }

    /// Declares a queue and gives its number of ready messages.
    async fn messages(&mut self, name: &str, passive: bool) -> Result<u64, Error> {
        let declare = queue::Declare {
            queue: name,
            passive,
            durable: self.options.durable,
            arguments: self.options.queue_arguments(),
            ..queue::Declare::default()
        };
        self.wire.send(CHANNEL, &Method::Queue(queue::Method::Declare(declare)));
        let count = self.wire.pick(|method| match method {
            Method::Queue(queue::Method::DeclareOk(ok)) => Some(ok.message_count),
            _ => None,
        });
        count.await.map(u64::from)
    }

    async fn bind(&mut self, exchange: &str, queue: u32) -> Result<(), Error> {
        let (name, key) = (self.options.queue(queue), binding_key(self.options, queue));
        let bind = queue::Bind { queue: &name, exchange, routing_key: key.as_bytes(), ..queue::Bind::default() };
        self.wire.call(CHANNEL, &Method::Queue(queue::Method::Bind(bind)), "queue.bind-ok").await
    }

    /// Counts what is left in the queues, and deletes queues and exchange unless they shall stay.
    pub(super) async fn finish(mut self) -> Result<u64, Error> {
        let mut left = 0;
        for queue in 0..self.options.queues {
            let name = self.options.queue(queue);
            left += self.messages(&name, true).await?;
            if !self.options.keep {
                let delete = queue::Delete { queue: &name, ..queue::Delete::default() };
                self.wire.call(CHANNEL, &Method::Queue(queue::Method::Delete(delete)), "queue.delete-ok").await?;
            }
        }
        let exchange = self.options.exchange();
        if !self.options.keep && !exchange.is_empty() {
            let delete = exchange::Delete { exchange: &exchange, ..exchange::Delete::default() };
            self.wire.call(CHANNEL, &Method::Exchange(exchange::Method::Delete(delete)), "exchange.delete-ok").await?;
        }
        self.wire.close().await?;
        Ok(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_are_shared_out() {
        assert_eq!(queues_of(1, 2, 5), vec![1, 3]);
        assert_eq!(queues_of(0, 2, 5), vec![0, 2, 4]);
        assert_eq!(queues_of(3, 4, 2), vec![1]);
        assert_eq!(queues_of(0, 1, 1), vec![0]);
    }
}
