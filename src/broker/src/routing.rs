//! From a publish to queues: what is the same for every exchange type.
//!
//! An exchange's router gives destinations. Here they are followed: queues are looked up, exchanges are routed through
//! in turn, each once, and the alternate exchange takes what an exchange has no destination for. Routing keys in the
//! headers CC and BCC count like the message's own. A queue gets a message once, however many ways lead to it. Where an
//! exchange holds a message back, its way ends there for now.

use std::{borrow::Cow, collections::HashSet, sync::Arc};

use leveret_amqp::{FieldValue, OwnedProperties, Properties, RawTable};

use crate::{
    Error,
    deduplication::{Cache, Seen},
    exchange::{Destination, RouteInput},
    topology::{DEFAULT_EXCHANGE, Entry, Exchange, Topology},
};

const CARBON_COPIES: &str = "CC";
const BLIND_CARBON_COPIES: &str = "BCC";

/// Where a message goes. `Q` and `T` are the topology's handles of queues and timelines.
#[derive(Clone, Debug)]
pub struct Routed<Q, T = ()> {
    /// The queues that get it, each once.
    pub queues: Vec<Q>,
    /// Where it is held back, and until when in milliseconds since the Unix epoch.
    pub held: Vec<(T, u64)>,
    /// Where it is kept for those who bind later, and as one of how many.
    pub kept: Vec<(T, u64)>,
    /// Who has seen it for the first time, and remembers it by this: to be told if it is not taken after all.
    pub(crate) seen: Vec<(Arc<Cache>, u128)>,
    /// An exchange has dropped it, having seen it before.
    pub is_repetition: bool,
    /// Whether all of this depends on exchange and routing key alone, so that it may be kept for as long as the topology's
    /// generation stands still.
    pub cacheable: bool,
}

/// Who sends a message on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// A client: internal exchanges refuse it, and it is told of headers from which no time can be told.
    Client,
    /// A client that wants to know where a message would go; nobody remembers it.
    Trial,
    /// The broker itself (dead letters, traces). What comes from it was seen before, and is no repetition.
    Broker,
    /// The exchange that held it back, and does so no more.
    Hold,
}

/// Finds where a message goes that comes to `exchange` at `now_ms`.
///
/// # Errors
/// 404 for an unknown exchange, 403 for an internal one, 406 for malformed CC or BCC, for an exchange on the way whose
/// type is missing, and for one that holds messages back and cannot tell until when.
pub fn route<Q: Clone, T: Clone>(
    topology: &Topology<Q, T>,
    sender: Sender,
    exchange: &str,
    input: RouteInput<'_>,
    now_ms: u64,
) -> Result<Routed<Q, T>, Error> {
    let entry = topology.entry(exchange)?;
    if sender.is_client() {
        check_publish(&entry.exchange, topology.vhost())?;
    }
    let copies =
        input.properties.headers.map_or_else(|| Ok(Vec::new()), |headers| copied_keys(headers, input.routing_key))?;
    let mut walk = Walk::new(topology, sender, entry, input, now_ms, &copies);
    match walk.run() {
        Ok(()) => Ok(walk.routed),
        Err(error) => {
            walk.routed.forget();
            Err(error)
        }
    }
}

impl Sender {
    const fn is_client(self) -> bool {
        matches!(self, Self::Client | Self::Trial)
    }
}

impl<Q, T> Routed<Q, T> {
    /// Nowhere so far.
    pub(crate) fn new(cacheable: bool) -> Self {
        Self {
            queues: Vec::new(),
            held: Vec::new(),
            kept: Vec::new(),
            seen: Vec::new(),
            is_repetition: false,
            cacheable,
        }
    }

    /// The message is not taken: when it comes again, it is no repetition.
    fn forget(&self) {
        self.seen.iter().for_each(|(cache, digest)| cache.forget(*digest));
    }
}

/// Refuses clients that publish to an internal exchange.
///
/// # Errors
/// 403.
pub fn check_publish(exchange: &Exchange, vhost: &str) -> Result<(), Error> {
    if exchange.internal { Err(Error::internal_exchange(&exchange.name, vhost)) } else { Ok(()) }
}

/// Whether the message's headers add routing keys, or are malformed: then its route is not to be taken from a cache.
/// Costs a step for each header.
#[must_use]
pub fn has_carbon_copies(properties: &Properties<'_>) -> bool {
    properties.headers.is_some_and(mentions_copies)
}

/// The raw properties without BCC, which the recipients must not see. Copied only where there is a BCC.
///
/// # Errors
/// 502 for malformed headers.
pub fn without_bcc<'a>(properties: &Properties<'_>, raw: &'a [u8]) -> Result<Cow<'a, [u8]>, Error> {
    let Some(headers) = properties.headers.filter(|headers| mentions_copies(*headers)) else {
        return Ok(Cow::Borrowed(raw));
    };
    if headers.find_raw(BLIND_CARBON_COPIES)?.is_none() {
        return Ok(Cow::Borrowed(raw));
    }
    let mut properties = OwnedProperties::try_from(properties)?;
    if let Some(headers) = &mut properties.headers {
        headers.remove(BLIND_CARBON_COPIES);
    }
    Ok(Cow::Owned(properties.to_raw()))
}

fn mentions_copies(headers: RawTable<'_>) -> bool {
    headers.iter().any(|entry| match entry {
        Ok((name, _)) => name == CARBON_COPIES.as_bytes() || name == BLIND_CARBON_COPIES.as_bytes(),
        // Whoever looks closer will find the error.
        Err(_) => true,
    })
}

/// The routing keys in CC and BCC, without repetitions and without the message's own.
fn copied_keys(headers: RawTable<'_>, routing_key: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
    let mut keys = Vec::new();
    if !mentions_copies(headers) {
        return Ok(keys);
    }
    for name in [CARBON_COPIES, BLIND_CARBON_COPIES] {
        match headers.find(name)? {
            None => {}
            Some(FieldValue::Array(values)) => keys.extend(values.into_iter().filter_map(key)),
            Some(other) => return Err(bad_copies(name, &other)),
        }
    }
    keys.sort_unstable();
    keys.dedup();
    keys.retain(|key| key != routing_key);
    Ok(keys)
}

/// What is no string is not a key, and passed over, as in RabbitMQ.
fn key(value: FieldValue) -> Option<Vec<u8>> {
    match value {
        FieldValue::LongString(key) => Some(key),
        _ => None,
    }
}

fn bad_copies(name: &str, value: &FieldValue) -> Error {
    let kind = value.type_name();
    Error::precondition_failed(format!("invalid message: {{unacceptable_type_in_header,\"{name}\",{kind}}}"))
}

/// One message's way through the exchanges.
struct Walk<'a, Q, T> {
    topology: &'a Topology<Q, T>,
    sender: Sender,
    input: RouteInput<'a>,
    now_ms: u64,
    copies: &'a [Vec<u8>],
    start: &'a Entry<T>,
    /// Exchanges to go through yet, and all but the first that were ever among them.
    pending: Vec<&'a Entry<T>>,
    visited: HashSet<&'a str, ahash::RandomState>,
    found: Vec<Destination>,
    /// Queues found; kept from where one could come again, which it cannot with one exchange and one key.
    taken: Option<HashSet<&'a str, ahash::RandomState>>,
    routed: Routed<Q, T>,
}

impl<'a, Q: Clone, T: Clone> Walk<'a, Q, T> {
    fn new(
        topology: &'a Topology<Q, T>,
        sender: Sender,
        start: &'a Entry<T>,
        input: RouteInput<'a>,
        now_ms: u64,
        copies: &'a [Vec<u8>],
    ) -> Self {
        Self {
            topology,
            sender,
            input,
            now_ms,
            copies,
            start,
            pending: Vec::new(),
            visited: HashSet::default(),
            found: Vec::new(),
            taken: (!copies.is_empty()).then(HashSet::default),
            routed: Routed::new(copies.is_empty()),
        }
    }

    fn run(&mut self) -> Result<(), Error> {
        let mut next = Some(self.start);
        while let Some(entry) = next {
            if *entry.exchange.name == *DEFAULT_EXCHANGE {
                self.by_name();
            } else if !self.has_seen(entry)?
                && !self.hold(entry)?
                && !self.through(entry)?
                && let Some(alternate) = entry.exchange.alternate()
            {
                self.visit(alternate);
            }
            next = self.pending.pop();
        }
        Ok(())
    }

    /// The default exchange: a key is the name of a queue.
    fn by_name(&mut self) {
        for key in std::iter::once(self.input.routing_key).chain(self.copies.iter().map(Vec::as_slice)) {
            if let Ok(name) = str::from_utf8(key) {
                self.take_queue(name);
            }
        }
    }

    /// Whether the exchange drops the message as a repetition.
    fn has_seen(&mut self, entry: &Entry<T>) -> Result<bool, Error> {
        let Some(cache) = &entry.cache else { return Ok(false) };
        self.routed.cacheable = false;
        let is_released = self.sender == Sender::Hold && std::ptr::eq(entry, self.start);
        if self.sender == Sender::Broker || is_released {
            return Ok(false);
        }
        let headers = self.input.properties.headers;
        let has_seen = if self.sender == Sender::Trial {
            cache.is_repetition(headers, self.now_ms)?
        } else {
            let seen = cache.look(headers, self.now_ms)?;
            if let Seen::New(digest) = seen {
                self.routed.seen.push((Arc::clone(cache), digest));
            }
            seen == Seen::Before
        };
        self.routed.is_repetition |= has_seen;
        Ok(has_seen)
    }

    /// Leaves the message with the exchange, where that holds it back. True where it does.
    fn hold(&mut self, entry: &Entry<T>) -> Result<bool, Error> {
        let (Some(hold), Some(timeline)) = (&entry.hold, &entry.timeline) else { return Ok(false) };
        if self.sender == Sender::Hold && std::ptr::eq(entry, self.start) {
            return Ok(false);
        }
        self.routed.cacheable = false;
        let until_ms = match hold.until(self.input.properties.headers, self.now_ms) {
            Ok(until_ms) => until_ms.filter(|until_ms| *until_ms > self.now_ms),
            Err(error) if self.sender.is_client() => return Err(error),
            Err(error) => {
                tracing::warn!(exchange = %entry.exchange.name, vhost = %self.topology.vhost(), %error, "not held back");
                None
            }
        };
        self.routed.held.extend(until_ms.map(|until_ms| (timeline.clone(), until_ms)));
        Ok(until_ms.is_some())
    }

    /// Leaves a copy with the exchange, where that keeps its last messages.
    fn keep(&mut self, entry: &Entry<T>) {
        let (Some(history), Some(timeline)) = (&entry.history, &entry.timeline) else { return };
        self.routed.cacheable = false;
        if !(history.leaves_out)(self.input.properties.headers) {
            self.routed.kept.push((timeline.clone(), history.length));
        }
    }

    /// Takes what the exchange's router gives for every key. True where that is anything.
    fn through(&mut self, entry: &Entry<T>) -> Result<bool, Error> {
        let router = entry.router.as_ref().map_err(Error::clone)?;
        self.keep(entry);
        self.routed.cacheable &= router.cacheable();
        router.route(&self.input, &mut self.found);
        let mut matched = self.take_found();
        if router.uses_routing_key() {
            for key in self.copies {
                router.route(&RouteInput { routing_key: key, ..self.input }, &mut self.found);
                matched |= self.take_found();
            }
        }
        Ok(matched)
    }

    fn take_found(&mut self) -> bool {
        let mut found = std::mem::take(&mut self.found);
        let leads_on = found.iter().any(|destination| matches!(destination, Destination::Exchange(_)));
        if leads_on && self.taken.is_none() {
            // Nothing was taken before: without further exchanges and keys, this is the only time.
            self.taken = Some(HashSet::default());
        }
        let any = !found.is_empty();
        for destination in found.drain(..) {
            match destination {
                Destination::Queue(name) => self.take_queue(&name),
                Destination::Exchange(name) => self.visit(&name),
            }
        }
        // Keeps its memory for the next key.
        self.found = found;
        any
    }

    fn take_queue(&mut self, name: &str) {
        let Some((name, queue)) = self.topology.queue_entry(name) else { return };
        if self.taken.as_mut().is_none_or(|taken| taken.insert(name)) {
            self.routed.queues.push(queue.clone());
        }
    }

    /// Puts an exchange on the way, once. One that does not exist is passed over: it may be declared later.
    fn visit(&mut self, name: &str) {
        let Some(entry) = self.topology.find_entry(name) else { return };
        if !std::ptr::eq(entry, self.start) && self.visited.insert(&entry.exchange.name) {
            self.pending.push(entry);
        }
    }
}

#[cfg(test)]
#[path = "routing_tests.rs"]
mod tests;
