//! From a publish to the queues: routing with a cache, and one hand-over per queue and batch.
//!
//! A publisher gathers what one read of a socket brought into a single buffer of records. Consecutive messages with the
//! same exchange and routing key cost a comparison each; their queues are touched once, at [`Publisher::flush`].
//! The cache is private to the publisher, so that it needs no lock; any change of the topology starts it afresh.

use std::{collections::HashMap, ops::Range, sync::Arc};

use leveret_amqp::Properties;
use leveret_store::RecordsBuilder;

use crate::{
    Error, Turn, VHost,
    deduplication::Cache,
    message,
    queue::{Admission, Queue},
    routing::{Routed, Sender},
    timeline::{Held, Kept, Timeline},
};

/// Routes kept per publisher. Beyond it the cache is emptied: keys that repeat come back at once, keys that do not
/// (an id in each routing key) must not fill the memory.
const CACHED_ROUTES_MAX: usize = 4096;

/// Records gathered before the batch is handed over without waiting for its end, so that a large body is a buffer, and
/// in the store a chunk, of its own.
const BATCH_BYTES_MAX: usize = 256 * 1024;

/// As [`BATCH_BYTES_MAX`], for copies in queues: one message may go to thousands, and the caller has to come up for air.
const BATCH_COPIES_MAX: usize = 16 * 1024;

/// One message on its way in.
#[derive(Debug)]
pub struct Publish<'a> {
    /// Exchange and routing key as two short strings, as they stand on the wire.
    pub exchange_and_key: &'a [u8],
    /// The exchange's name; empty for the default exchange.
    pub exchange: &'a str,
    /// The routing key.
    pub routing_key: &'a [u8],
    /// A view of `properties_raw`.
    pub properties: &'a Properties<'a>,
    /// Property flags and list, kept as they came.
    pub properties_raw: &'a [u8],
    /// The whole body.
    pub body: &'a [u8],
    /// Whether its `x-death` is this broker's own: never for what comes from a client.
    pub dead_lettered: bool,
}

/// What became of a publish so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Routing {
    /// Whether at least one queue takes it, or an exchange holds it back or drops it as a repetition.
    pub routed: bool,
    /// Whether it must reach the disk: a persistent message for at least one durable queue, or kept by a durable exchange,
    /// any for a quorum queue, and any that is held back.
    pub durable: bool,
}

/// A source of messages with its own route cache and batch.
pub struct Publisher {
    vhost: Arc<VHost>,
    sender: Sender,
    generation: u64,
    routes: HashMap<Box<[u8]>, Arc<Route>, ahash::RandomState>,
    last: Option<(Box<[u8]>, Arc<Route>)>,
    records: RecordsBuilder,
    copies: usize,
    tags: Vec<u64>,
    runs: Vec<(Arc<Route>, Range<u32>)>,
    held: Vec<(Arc<Timeline>, Held)>,
    kept: Vec<(Arc<Timeline>, Kept)>,
    /// Who has seen messages of the batch for the first time, by their tags.
    seen: Vec<(u64, Arc<Cache>, u128)>,
    refused: Vec<u64>,
    admission: Admission,
}

struct Route {
    queues: Box<[Arc<Queue>]>,
    /// Where the message is held back, and until when. Never in the cache.
    held: Vec<(Arc<Timeline>, u64)>,
    /// Where it is kept, and as one of how many. Never in the cache, either.
    kept: Vec<(Arc<Timeline>, u64)>,
    /// Who has seen it for the first time, and remembers it by what. Never in the cache, either.
    seen: Vec<(Arc<Cache>, u128)>,
    /// It was dropped, having been seen before.
    is_repetition: bool,
    keeps_persistent: bool,
    keeps_transient: bool,
}

impl Route {
    fn new(routed: Routed<Arc<Queue>, Arc<Timeline>>) -> Self {
        let Routed { queues, held, kept, seen, is_repetition, .. } = routed;
        let any_keeps = |persistent| queues.iter().any(|queue| queue.keeps(persistent));
        let keeps_persistent = any_keeps(true) || kept.iter().any(|(timeline, _)| timeline.is_kept);
        let keeps_transient = any_keeps(false);
        let queues = queues.into_boxed_slice();
        Self { queues, held, kept, seen, is_repetition, keeps_persistent, keeps_transient }
    }

    /// Whether anybody gets the message. That it is kept for those who bind later is not enough.
    fn leads_anywhere(&self) -> bool {
        !self.queues.is_empty() || !self.held.is_empty()
    }

    /// The message is not taken: when it comes again, it is no repetition.
    fn forget(&self) {
        self.seen.iter().for_each(|(cache, digest)| cache.forget(*digest));
    }

    /// Whether a message reaches the disk on it. What is remembered has to; and who is told that a repetition is safe is told
    /// so of the message that came before it.
    fn keeps(&self, persistent: bool) -> bool {
        let is_remembered = || self.seen.iter().any(|(cache, _)| cache.is_kept);
        !self.held.is_empty()
            || self.is_repetition
            || is_remembered()
            || if persistent { self.keeps_persistent } else { self.keeps_transient }
    }
}

impl Publisher {
    /// A publisher into `vhost`, for a client.
    #[must_use]
    pub fn new(vhost: Arc<VHost>) -> Self {
        Self::from(Sender::Client, vhost)
    }

    /// A publisher into `vhost` for messages of the broker's own: internal exchanges take them too.
    #[must_use]
    pub fn internal(vhost: Arc<VHost>) -> Self {
        Self::from(Sender::Broker, vhost)
    }

    /// A publisher into `vhost` for somebody else than a client.
    pub(crate) fn from(sender: Sender, vhost: Arc<VHost>) -> Self {
        Self {
            generation: vhost.generation(),
            vhost,
            sender,
            routes: HashMap::default(),
            last: None,
            records: RecordsBuilder::new(),
            copies: 0,
            tags: Vec::new(),
            runs: Vec::new(),
            held: Vec::new(),
            kept: Vec::new(),
            seen: Vec::new(),
            refused: Vec::new(),
            admission: Admission::Judged,
        }
    }

    /// Says whether queues may refuse what comes from now on.
    pub fn admit(&mut self, admission: Admission) {
        self.admission = admission;
    }

    /// Routes a message and adds it to the batch. `tag` is the caller's own number for it.
    ///
    /// # Errors
    /// What routing refuses: no such exchange, an internal exchange, a malformed CC or BCC header.
    pub fn publish(&mut self, turn: &mut Turn<'_>, publish: &Publish<'_>, tag: u64) -> Result<Routing, Error> {
        let route = self.route(publish, turn.now_ms)?;
        let routed = route.leads_anywhere();
        if !routed && route.kept.is_empty() {
            route.forget();
            return Ok(Routing { routed: route.is_repetition, durable: route.is_repetition });
        }
        let persistent = publish.properties.delivery_mode == Some(message::PERSISTENT);
        let routing = Routing { routed: routed || route.is_repetition, durable: route.keeps(persistent) };
        let appended = self.append(turn, publish, persistent, tag, Arc::clone(&route));
        if appended.is_err() {
            route.forget();
        }
        appended.map(|()| routing)
    }

    /// Adds a message to the batch for one queue, without a route.
    ///
    /// # Errors
    /// 406 for a malformed expiration.
    pub(crate) fn publish_to(
        &mut self,
        turn: &mut Turn<'_>,
        queue: &Arc<Queue>,
        publish: &Publish<'_>,
        tag: u64,
    ) -> Result<(), Error> {
        let queues = vec![Arc::clone(queue)];
        let routed = Routed { queues, ..Routed::new(false) };
        self.append(turn, publish, publish.properties.is_persistent(), tag, Arc::new(Route::new(routed)))
    }

    /// Hands the batch over to the queues; the tags of the messages that a queue refused (`reject-publish`).
    pub fn flush(&mut self, turn: &mut Turn<'_>) -> Vec<u64> {
        self.hand_over(turn);
        std::mem::take(&mut self.refused)
    }

    fn append(
        &mut self,
        turn: &mut Turn<'_>,
        publish: &Publish<'_>,
        persistent: bool,
        tag: u64,
        route: Arc<Route>,
    ) -> Result<(), Error> {
        let properties_raw = crate::routing::without_bcc(publish.properties, publish.properties_raw)?;
        self.seen.extend(route.seen.iter().map(|(cache, digest)| (tag, Arc::clone(cache), *digest)));
        if !route.held.is_empty() {
            // Who is meant by BCC is still needed when it is due.
            let index = self.append_record(turn, publish, persistent, publish.properties_raw, tag)?;
            let held =
                route.held.iter().map(|(timeline, due_ms)| (Arc::clone(timeline), Held { index, due_ms: *due_ms }));
            self.held.extend(held);
        }
        if !route.queues.is_empty() || !route.kept.is_empty() {
            let index = self.append_record(turn, publish, persistent, &properties_raw, tag)?;
            self.copies += route.queues.len();
            let kept =
                route.kept.iter().map(|(timeline, length)| (Arc::clone(timeline), Kept { index, length: *length }));
            self.kept.extend(kept);
            match self.runs.last_mut() {
                // A record in between may be one that is held.
                Some((last, run)) if Arc::ptr_eq(last, &route) && run.end == index => run.end += 1,
                _ => self.runs.push((route, index..index + 1)),
            }
        }
        if self.records.buffer().len() >= BATCH_BYTES_MAX || self.copies >= BATCH_COPIES_MAX {
            self.hand_over(turn);
        }
        Ok(())
    }

    /// Adds a record to the batch; its index.
    fn append_record(
        &mut self,
        turn: &Turn<'_>,
        publish: &Publish<'_>,
        persistent: bool,
        properties_raw: &[u8],
        tag: u64,
    ) -> Result<u32, Error> {
        let index = u32::try_from(self.records.len()).unwrap_or(u32::MAX);
        message::append_record(
            self.records.buffer(),
            &message::NewRecord {
                persistent,
                dead_lettered: publish.dead_lettered,
                priority: publish.properties.priority.unwrap_or(0),
                timestamp_ms: turn.now_ms,
                expiration_ms: message::expiration_ms(publish.properties)?,
                exchange_and_key: publish.exchange_and_key,
                properties_raw,
                body: publish.body,
            },
        );
        self.records.end_record();
        self.tags.push(tag);
        Ok(index)
    }

    fn hand_over(&mut self, turn: &mut Turn<'_>) {
        if self.records.is_empty() {
            return;
        }
        let records = self.records.finish();
        let awaited_from = turn.store.next_waiter();
        let refused_before = self.refused.len();
        for_each_queue(&self.runs, |queue, picks| {
            for refused in queue.publish(turn, records.clone(), picks, self.admission, awaited_from) {
                let tags = refused.filter_map(|index| self.tags.get(index as usize).copied());
                self.refused.extend(tags);
            }
        });
        for of_one in self.held.chunk_by(|(one, _), (other, _)| Arc::ptr_eq(one, other)) {
            of_one[0].0.hold(turn, &records, of_one.iter().map(|(_, held)| *held), awaited_from);
        }
        for of_one in self.kept.chunk_by(|(one, _), (other, _)| Arc::ptr_eq(one, other)) {
            of_one[0].0.keep(turn, &records, of_one.iter().map(|(_, kept)| *kept), awaited_from);
        }
        for (tag, cache, digest) in self.seen.drain(..) {
            if self.refused[refused_before..].contains(&tag) {
                cache.forget(digest);
            }
            cache.note(turn, awaited_from);
        }
        self.copies = 0;
        self.runs.clear();
        self.held.clear();
        self.kept.clear();
        self.tags.clear();
    }

    fn route(&mut self, publish: &Publish<'_>, now_ms: u64) -> Result<Arc<Route>, Error> {
        self.drop_stale_routes();
        let has_keys_in_headers = crate::routing::has_carbon_copies(publish.properties);
        if !has_keys_in_headers {
            if let Some((_, route)) = self.last.as_ref().filter(|(key, _)| **key == *publish.exchange_and_key) {
                return Ok(Arc::clone(route));
            }
            if let Some(route) = self.routes.get(publish.exchange_and_key).map(Arc::clone) {
                self.last = Some((publish.exchange_and_key.into(), Arc::clone(&route)));
                return Ok(route);
            }
        }
        self.resolve(publish, now_ms)
    }

    fn resolve(&mut self, publish: &Publish<'_>, now_ms: u64) -> Result<Arc<Route>, Error> {
        let routed =
            self.vhost.route(self.sender, publish.exchange, publish.routing_key, publish.properties, now_ms)?;
        let cacheable = routed.cacheable;
        let route = Arc::new(Route::new(routed));
        if cacheable {
            if self.routes.len() >= CACHED_ROUTES_MAX {
                self.routes.clear();
            }
            self.routes.insert(publish.exchange_and_key.into(), Arc::clone(&route));
            self.last = Some((publish.exchange_and_key.into(), Arc::clone(&route)));
        }
        Ok(route)
    }

    fn drop_stale_routes(&mut self) {
        let generation = self.vhost.generation();
        if generation != self.generation {
            self.generation = generation;
            self.routes.clear();
            self.last = None;
        }
    }
}

/// Visits each queue with its records, in order. Most batches go to the queues of one route.
fn for_each_queue(runs: &[(Arc<Route>, Range<u32>)], mut visit: impl FnMut(&Arc<Queue>, Vec<Range<u32>>)) {
    match runs {
        [(route, run)] => route.queues.iter().for_each(|queue| visit(queue, vec![run.clone()])),
        runs => group_by_queue(runs).into_iter().for_each(|(queue, picks)| visit(&queue, picks)),
    }
}

fn group_by_queue(runs: &[(Arc<Route>, Range<u32>)]) -> Vec<(Arc<Queue>, Vec<Range<u32>>)> {
    let mut groups: Vec<(Arc<Queue>, Vec<Range<u32>>)> = Vec::new();
    let mut places: HashMap<u64, usize, ahash::RandomState> = HashMap::default();
    for (route, run) in runs {
        for queue in &route.queues {
            let place = *places.entry(queue.id).or_insert_with(|| {
                groups.push((Arc::clone(queue), Vec::new()));
                groups.len() - 1
            });
            match groups[place].1.last_mut() {
                Some(last) if last.end == run.start => last.end = run.end,
                _ => groups[place].1.push(run.clone()),
            }
        }
    }
    groups
}
