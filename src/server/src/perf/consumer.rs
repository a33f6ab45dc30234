//! A connection that consumes.

use std::sync::Arc;

use bytes::BytesMut;
use leveret_amqp::{Method, basic};
use tokio_util::sync::CancellationToken;

use super::error::Error;
use super::latency::Latency;
use super::options::Options;
use super::shared::Shared;
use super::stamp::{STAMP_BYTES, Stamp};
use super::topology::queues_of;
use super::verify::{Order, Verdict};
use super::wire::{CHANNEL, Incoming, Wire};

/// What a consumer saw.
pub(super) struct Consumed {
    pub(super) latency: Latency,
    pub(super) verdict: Verdict,
    /// When the last message came.
    pub(super) end_ns: u64,
}

/// A connected consumer, subscribed to its queues.
pub(super) struct Consumer {
    wire: Wire,
    sink: Sink,
}

/// Where deliveries go.
struct Sink {
    shared: Arc<Shared>,
    consumed: Consumed,
    order: Order,
    /// Acknowledge after so many; 0 never.
    ack_every: u32,
    unacked: u32,
    last_tag: u64,
    queue: u32,
    /// Bytes of the current body that are still to come.
    missing: u64,
    stamp: [u8; STAMP_BYTES],
    stamped: usize,
    now_ns: u64,
    count: u64,
    surplus: u64,
}

impl Consumer {
    /// Connects consumer `index` and subscribes it to its queues.
    pub(super) async fn open(options: &Options, index: usize, shared: Arc<Shared>) -> Result<Self, Error> {
        let mut wire = Wire::open(&options.uri, &format!("leveret perf: consumer {index}")).await?;
        let qos = basic::Qos { prefetch_size: 0, prefetch_count: options.prefetch, global: false };
        wire.call(CHANNEL, &Method::Basic(basic::Method::Qos(qos)), "basic.qos-ok").await?;
        for queue in queues_of(index, options.consumers, options.queues) {
            subscribe(&mut wire, options, queue);
        }
        Ok(Self { wire, sink: Sink::new(options, shared) })
    }

    /// Consumes until `stop` is set, then acknowledges the rest and closes.
    pub(super) async fn run(mut self, stop: CancellationToken) -> Result<Consumed, Error> {
        while !stop.is_cancelled() {
            tokio::select! {
                turned = self.wire.turn(None) => turned?,
                () = stop.cancelled() => {}
            }
            self.sink.now_ns = self.sink.shared.clock.now_ns();
            self.wire.frames(|incoming, output| self.sink.take(incoming, output))?;
            self.sink.publish_counts();
        }
        self.sink.acknowledge(&mut self.wire.output);
        self.wire.close().await?;
        Ok(self.sink.consumed)
    }
}

fn subscribe(wire: &mut Wire, options: &Options, queue: u32) {
    let (name, tag) = (options.queue(queue), queue.to_string());
    let consume = basic::Consume {
        queue: &name,
        consumer_tag: &tag,
        no_ack: options.auto_ack,
        no_wait: true,
        ..basic::Consume::default()
    };
    wire.send(CHANNEL, &Method::Basic(basic::Method::Consume(consume)));
}

impl Sink {
    fn new(options: &Options, shared: Arc<Shared>) -> Self {
        let most = if options.prefetch == 0 { u32::MAX } else { u32::from(options.prefetch) };
        Self {
            shared,
            consumed: Consumed { latency: Latency::new(), verdict: Verdict::default(), end_ns: 0 },
            order: Order::default(),
            // A consumer that waited for more messages than it may have would wait for ever.
            ack_every: if options.auto_ack { 0 } else { options.ack_every.min(most) },
            unacked: 0,
            last_tag: 0,
            queue: 0,
            missing: 0,
            stamp: [0; STAMP_BYTES],
            stamped: 0,
            now_ns: 0,
            count: 0,
            surplus: 0,
        }
    }

    fn take(&mut self, incoming: Incoming<'_>, output: &mut BytesMut) -> Result<(), Error> {
        match incoming {
            Incoming::Method(Method::Basic(basic::Method::Deliver(deliver))) => {
                self.last_tag = deliver.delivery_tag;
                self.queue = deliver.consumer_tag.parse().map_err(|_| Error::Unexpected("an unknown consumer tag"))?;
            }
            Incoming::Method(_) => {}
            Incoming::Header(header) => {
                self.missing = header.body_size;
                self.stamped = 0;
                if header.body_size == 0 {
                    self.message(output);
                }
            }
            Incoming::Body(bytes) => {
                self.body(bytes)?;
                if self.missing == 0 {
                    self.message(output);
                }
            }
        }
        Ok(())
    }

    fn body(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let missing = self.missing.checked_sub(bytes.len() as u64);
        self.missing = missing.ok_or(Error::Unexpected("more body than the header announced"))?;
        let part = bytes.len().min(STAMP_BYTES - self.stamped);
        self.stamp[self.stamped..self.stamped + part].copy_from_slice(&bytes[..part]);
        self.stamped += part;
        Ok(())
    }

    /// A message is complete.
    fn message(&mut self, output: &mut BytesMut) {
        self.count += 1;
        match Stamp::read(&self.stamp[..self.stamped]).filter(|stamp| stamp.run == self.shared.run) {
            Some(stamp) => self.ours(stamp),
            None => self.foreign(),
        }
        self.unacked += 1;
        if self.unacked == self.ack_every {
            self.acknowledge(output);
        }
    }

    fn ours(&mut self, stamp: Stamp) {
        self.consumed.latency.record(self.now_ns.saturating_sub(stamp.sent_ns));
        let Some(ledger) = &self.shared.ledger else { return };
        let stream = (self.queue, stamp.producer);
        if !ledger.arrived(stream, stamp.sequence) {
            self.consumed.verdict.doubled += 1;
            self.surplus += 1;
        } else if !self.order.follows(stream, stamp.sequence) {
            self.consumed.verdict.out_of_order += 1;
        }
    }

    /// A message of another run: an error where it is verified, and else what a run without producers is there for.
    fn foreign(&mut self) {
        if self.shared.ledger.is_some() {
            self.consumed.verdict.foreign += 1;
            self.surplus += 1;
        }
    }

    fn acknowledge(&mut self, output: &mut BytesMut) {
        if self.ack_every > 0 && self.unacked > 0 {
            let ack = basic::Ack { delivery_tag: self.last_tag, multiple: true };
            Method::Basic(basic::Method::Ack(ack)).encode(CHANNEL, output);
        }
        self.unacked = 0;
    }

    fn publish_counts(&mut self) {
        if self.count > 0 {
            self.consumed.end_ns = self.now_ns;
            self.shared.surplus.add(std::mem::take(&mut self.surplus));
            self.shared.delivered.add(std::mem::take(&mut self.count));
        }
    }
}
