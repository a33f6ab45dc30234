//! A connection that publishes.

use std::sync::Arc;

use bytes::BytesMut;
use leveret_amqp::{FieldTable, Method, OwnedProperties, basic, confirm, encode_body, encode_header};
use rand::RngExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::confirms::{Confirms, Sent};
use super::error::Error;
use super::latency::Latency;
use super::options::{Options, Pattern};
use super::pace::Pace;
use super::shared::Shared;
use super::stamp::{STAMP_BYTES, Stamp};
use super::topology::{queues_of, routing_keys};
use super::wire::{CHANNEL, Incoming, Wire};

/// Publishes are gathered up to this size before they are written.
const BATCH_BYTES: usize = 64 * 1024;

/// Bodies repeat after about so many bytes: further apart than what is compressed together.
const NOISE_BYTES: usize = 1024 * 1024;

/// What `leveret perf` numbers its messages' bodies by: all that goes to one queue (fan-out: to the exchange).
struct Stream {
    /// Queue that the messages go to; under fan-out they go to all.
    queue: u32,
    /// basic.publish and header frames for each routing key, encoded once.
    heads: Vec<Head>,
    /// Number of the next message.
    next: u32,
}

/// The frames of a message before its body; they are the same for all messages with one routing key, but for a delay.
struct Head {
    frames: Vec<u8>,
    /// Where the delay is in it, if there is one.
    delay_at: Option<usize>,
}

/// What a producer did.
pub(super) struct Published {
    pub(super) producer: u16,
    pub(super) streams: Vec<PublishedStream>,
    pub(super) confirm_latency: Latency,
    /// When the broker had handled all (it answered the closing of the connection), or when the producer was ended.
    pub(super) end_ns: u64,
}

/// What went to one queue (fan-out: to all).
pub(super) struct PublishedStream {
    pub(super) queue: u32,
    pub(super) count: u32,
    /// Messages that the broker answered with a nack.
    pub(super) refused: Vec<u32>,
}

/// A connected producer.
pub(super) struct Producer {
    wire: Wire,
    index: u16,
    shared: Arc<Shared>,
    streams: Vec<Stream>,
    refused: Vec<Vec<u32>>,
    bodies: Bodies,
    /// Of messages that are delayed.
    delay_ms_max: Option<u64>,
    window: usize,
    confirms: Confirms,
    latency: Latency,
    pace: Pace,
    left: u64,
    sent: u64,
}

impl Producer {
    /// Connects producer `index`.
    pub(super) async fn open(options: &Options, index: usize, shared: Arc<Shared>) -> Result<Self, Error> {
        let mut wire = Wire::open(&options.uri, &format!("leveret perf: producer {index}")).await?;
        if options.confirm > 0 {
            let select = Method::Confirm(confirm::Method::Select(confirm::Select { no_wait: false }));
            wire.call(CHANNEL, &select, "confirm.select-ok").await?;
        }
        let streams = streams(options, index);
        Ok(Self {
            wire,
            index: index as u16,
            shared,
            refused: vec![Vec::new(); streams.len()],
            streams,
            bodies: Bodies::new((options.size as usize).max(STAMP_BYTES)),
            delay_ms_max: options.delay_ms,
            window: options.confirm,
            confirms: Confirms::default(),
            latency: Latency::new(),
            pace: Pace::new(0.0, 0),
            left: options.share(index),
            sent: 0,
        })
    }

    /// Publishes until its messages are sent, the time is over or `finish` is set, then waits for the confirms.
    /// `abort` ends both at once.
    pub(super) async fn run(
        mut self,
        rate: f64,
        end: Option<Instant>,
        finish: CancellationToken,
        abort: CancellationToken,
    ) -> Result<Published, Error> {
        let clock = self.shared.clock;
        let done = tokio::select! {
            published = self.publish_all(rate, end, &finish) => published.map(|()| true)?,
            () = abort.cancelled() => false,
        };
        let (mut published, wire) = self.into_published();
        if done {
            wire.close().await?;
        }
        published.end_ns = clock.now_ns();
        Ok(published)
    }

    async fn publish_all(&mut self, rate: f64, end: Option<Instant>, finish: &CancellationToken) -> Result<(), Error> {
        self.pace = Pace::new(rate, self.shared.clock.now_ns());
        while self.left > 0 && !finish.is_cancelled() && end.is_none_or(|end| Instant::now() < end) {
            let wake = self.fill();
            let until = [end, wake].into_iter().flatten().min();
            tokio::select! {
                turned = self.wire.turn(until) => turned?,
                () = finish.cancelled() => {}
            }
            self.settle()?;
        }
        while !self.wire.output.is_empty() || self.confirms.unconfirmed() > 0 {
            self.wire.turn(None).await?;
            self.settle()?;
        }
        Ok(())
    }

    /// Encodes what may be sent now. Gives the time of the next message where only time holds it back.
    fn fill(&mut self) -> Option<Instant> {
        let now_ns = self.shared.clock.now_ns();
        let before = self.sent;
        let mut early = false;
        while self.left > 0 && self.wire.output.len() < BATCH_BYTES && self.has_window() && !early {
            match self.pace.take(now_ns) {
                Some(sent_ns) => self.publish(sent_ns),
                None => early = true,
            }
        }
        self.shared.published.add(self.sent - before);
        early.then(|| self.shared.clock.instant(self.pace.due_ns()).into())
    }

    fn has_window(&self) -> bool {
        self.window == 0 || self.confirms.unconfirmed() < self.window
    }

    fn publish(&mut self, sent_ns: u64) {
        let index = (self.sent % self.streams.len() as u64) as usize;
        let stream = &mut self.streams[index];
        let sequence = stream.next;
        let key = sequence as usize % stream.heads.len();
        let delay_ms = self.delay_ms_max.map_or(0, |delay_ms_max| rand::rng().random_range(1..=delay_ms_max));
        self.wire.output.extend_from_slice(stream.heads[key].delayed_by(delay_ms));
        let body = self.bodies.next();
        // A delayed message is late from when it is due.
        let due_ns = sent_ns.saturating_add(delay_ms.saturating_mul(1_000_000));
        Stamp { run: self.shared.run, producer: self.index, sequence, sent_ns: due_ns }.write(body);
        encode_body(CHANNEL, self.wire.frame_max(), body, &mut self.wire.output);
        stream.next += 1;
        self.sent += 1;
        self.left -= 1;
        if self.window > 0 {
            self.confirms.push(Sent { stream: index as u32, sequence, sent_ns });
        }
    }

    /// Takes the confirms that have come.
    fn settle(&mut self) -> Result<(), Error> {
        let Self { wire, confirms, latency, shared, refused, .. } = self;
        let now_ns = shared.clock.now_ns();
        let before = confirms.unconfirmed();
        let mut nacked = 0;
        wire.frames(|incoming, _: &mut BytesMut| {
            let entitled = match incoming {
                Incoming::Method(Method::Basic(basic::Method::Ack(ack))) => {
                    confirms.settle(ack.delivery_tag, ack.multiple, |sent| {
                        latency.record(now_ns.saturating_sub(sent.sent_ns));
                    })
                }
                Incoming::Method(Method::Basic(basic::Method::Nack(nack))) => {
                    confirms.settle(nack.delivery_tag, nack.multiple, |sent| {
                        refused[sent.stream as usize].push(sent.sequence);
                        nacked += 1;
                    })
                }
                // connection.blocked and unblocked: the broker does not read, which holds us back already.
                _ => true,
            };
            if entitled { Ok(()) } else { Err(Error::Unexpected("a confirm for a tag that waits for none")) }
        })?;
        let settled = (before - confirms.unconfirmed()) as u64;
        shared.confirmed.add(settled - nacked);
        shared.refused.add(nacked);
        Ok(())
    }

    fn into_published(self) -> (Published, Wire) {
        let streams = self.streams.iter().zip(self.refused);
        let streams = streams
            .map(|(stream, refused)| PublishedStream { queue: stream.queue, count: stream.next, refused })
            .collect();
        (Published { producer: self.index, streams, confirm_latency: self.latency, end_ns: 0 }, self.wire)
    }
}

fn streams(options: &Options, index: usize) -> Vec<Stream> {
    let queues = match options.pattern {
        Pattern::FanOut => vec![0],
        _ => queues_of(index, options.producers, options.queues),
    };
    queues
        .into_iter()
        .map(|queue| {
            let keys = routing_keys(options, queue);
            let groups = || (0..options.groups.unwrap_or(1)).map(|group| options.groups.map(|_| group));
            let heads = keys.iter().flat_map(|key| groups().map(|group| Head::encode(options, key, group)));
            Stream { queue, heads: heads.collect(), next: 0 }
        })
        .collect()
}

/// Bodies with nothing in them that could be compressed: brokers that compress what they write must not look better than
/// they are.
struct Bodies {
    noise: Vec<u8>,
    size: usize,
    next: usize,
}

impl Bodies {
    fn new(size: usize) -> Self {
        let mut noise = vec![0; NOISE_BYTES + size];
        rand::rng().fill(&mut noise[..]);
        Self { noise, size, next: 0 }
    }

    fn next(&mut self) -> &mut [u8] {
        let from = self.next;
        self.next = if from + self.size < NOISE_BYTES { from + self.size } else { 0 };
        &mut self.noise[from..from + self.size]
    }
}

/// In the place of a delay until one is known: nothing else in the frames looks like it.
const DELAY_UNKNOWN: i64 = 0x5d3e_a11e_0dde_1a75;

impl Head {
    fn encode(options: &Options, routing_key: &str, group: Option<u32>) -> Self {
        let exchange = options.exchange();
        let publish =
            basic::Publish { exchange: &exchange, routing_key: routing_key.as_bytes(), ..basic::Publish::default() };
        let mut frames = BytesMut::new();
        Method::Basic(basic::Method::Publish(publish)).encode(CHANNEL, &mut frames);
        let mut headers = FieldTable::new();
        if options.delay_ms.is_some() {
            headers.insert("x-delay", DELAY_UNKNOWN);
        }
        if let Some(group) = group {
            headers.insert("x-group-id", group);
        }
        let properties = OwnedProperties {
            headers: Some(headers).filter(|headers| headers.iter().len() > 0),
            delivery_mode: Some(if options.persistent { 2 } else { 1 }),
            ..OwnedProperties::default()
        };
        encode_header(CHANNEL, u64::from(options.size), &properties.to_raw(), &mut frames);
        let delay_at = frames.windows(8).position(|bytes| *bytes == DELAY_UNKNOWN.to_be_bytes());
        Self { frames: frames.to_vec(), delay_at }
    }

    fn delayed_by(&mut self, delay_ms: u64) -> &[u8] {
        if let Some(delay_at) = self.delay_at {
            self.frames[delay_at..delay_at + 8].copy_from_slice(&delay_ms.to_be_bytes());
        }
        &self.frames
    }
}
