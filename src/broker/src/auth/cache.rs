//! What an authorizer has allowed, for a while: publishing asks for the same over and over, and each question is a request
//! to somewhere else.
//!
//! One cache for each backend in use, over all connections, as RabbitMQ's `auth_backend_cache`: clients that open a channel
//! for each message find in it what the one before them was allowed. Only what was allowed is kept. Refusals are not, so
//! that a permission just given can be used at once; nor are logins, which would keep passwords in memory.
//!
//! Not taken: a cache for each channel without a lock (only channels that live long gain by it; the lock is taken where a
//! plugin's backend decides, and nowhere else), and entries in the order of their use (two halves, of which the older one is
//! dropped whole, come near enough).

use std::{
    collections::HashMap,
    mem,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::Question;
use crate::access::{Resource, User};

/// Answers that were yes. It knows no clock: `now` is handed in.
#[derive(Debug)]
pub(super) struct Cache {
    ttl: Duration,
    half_max: usize,
    halves: Mutex<Halves>,
}

/// When each was given. What is found in the older half moves to the younger one.
#[derive(Debug, Default)]
struct Halves {
    younger: HashMap<Key, Instant>,
    older: HashMap<Key, Instant>,
}

/// A question with all that its answer depends on, as bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key(Vec<u8>);

impl Cache {
    /// Answers hold for `ttl`, and there are never more than `entries_max` of them.
    pub(super) fn new(ttl: Duration, entries_max: usize) -> Self {
        Self { ttl, half_max: entries_max / 2, halves: Mutex::default() }
    }

    /// Whether it was allowed, and that still holds.
    pub(super) fn holds(&self, key: &Key, now: Instant) -> bool {
        let holds = |given: Instant| now.saturating_duration_since(given) < self.ttl;
        let halves = &mut *self.halves.lock();
        if let Some(given) = halves.younger.get(key) {
            return holds(*given);
        }
        let Some((key, given)) = halves.older.remove_entry(key) else { return false };
        if holds(given) {
            halves.put(key, given, self.half_max);
        }
        holds(given)
    }

    /// It was allowed.
    pub(super) fn put(&self, key: Key, now: Instant) {
        if self.half_max > 0 && !self.ttl.is_zero() {
            self.halves.lock().put(key, now, self.half_max);
        }
    }
}

impl Halves {
    fn put(&mut self, key: Key, given: Instant, half_max: usize) {
        if self.younger.len() >= half_max && !self.younger.contains_key(&key) {
            self.older = mem::take(&mut self.younger);
        }
        self.younger.insert(key, given);
    }
}

impl Key {
    /// Tags come last: there may be any number of them.
    pub(super) fn new(user: &User, vhost: &str, question: Question<'_>) -> Self {
        let mut key = Self(Vec::new());
        key.add(user.name.as_bytes());
        key.add(vhost.as_bytes());
        match question {
            Question::VHost { peer } => {
                key.add(b"vhost");
                key.add(peer.map(|peer| peer.to_string()).unwrap_or_default().as_bytes());
            }
            Question::Resource { permission, resource } => {
                let is_queue = matches!(resource, Resource::Queue(_));
                key.add(if is_queue { b"queue".as_slice() } else { b"exchange" });
                key.add(permission.name().as_bytes());
                key.add(resource.name().as_bytes());
            }
            Question::Topic { permission, exchange, routing_key } => {
                key.add(b"topic");
                key.add(permission.name().as_bytes());
                key.add(exchange.as_bytes());
                key.add(routing_key);
            }
        }
        for tag in &user.tags {
            key.add(tag.as_bytes());
        }
        key
    }

    /// With its length, so that what ends one part cannot begin the next.
    fn add(&mut self, part: &[u8]) {
        self.0.extend((part.len() as u64).to_le_bytes());
        self.0.extend(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Permission;

    const TTL: Duration = Duration::from_secs(15);

    fn user(name: &str, tags: &[&str]) -> User {
        User { name: name.into(), password: None, tags: tags.iter().map(ToString::to_string).collect() }
    }

    fn key(routing_key: &str) -> Key {
        let question =
            Question::Topic { permission: Permission::Write, exchange: "x", routing_key: routing_key.as_bytes() };
        Key::new(&user("u", &[]), "/", question)
    }

    #[test]
    fn what_was_allowed_holds_for_its_time_and_no_longer() {
        let (cache, start) = (Cache::new(TTL, 10), Instant::now());
        assert!(!cache.holds(&key("a"), start));
        cache.put(key("a"), start);
        assert!(cache.holds(&key("a"), start) && !cache.holds(&key("b"), start));
        assert!(cache.holds(&key("a"), start + TTL - Duration::from_millis(1)));
        assert!(!cache.holds(&key("a"), start + TTL));
        cache.put(key("a"), start + TTL);
        assert!(cache.holds(&key("a"), start + TTL), "it was asked again");
    }

    #[test]
    fn use_makes_nothing_hold_longer() {
        let (cache, start) = (Cache::new(TTL, 2), Instant::now());
        cache.put(key("a"), start);
        cache.put(key("b"), start + TTL / 2);
        assert!(cache.holds(&key("a"), start + TTL / 2), "and moves to the younger half");
        assert!(!cache.holds(&key("a"), start + TTL));
    }

    #[test]
    fn what_is_used_stays_and_the_rest_makes_room() {
        let (cache, now) = (Cache::new(TTL, 100), Instant::now());
        cache.put(key("used"), now);
        for n in 0..1000 {
            cache.put(key(&n.to_string()), now);
            assert!(cache.holds(&key("used"), now), "{n}");
            let halves = cache.halves.lock();
            assert!(halves.younger.len() + halves.older.len() <= 100, "{n}");
        }
        assert!(cache.holds(&key("999"), now) && !cache.holds(&key("0"), now));
    }

    #[test]
    fn without_time_or_room_nothing_is_kept() {
        let now = Instant::now();
        for cache in [Cache::new(Duration::ZERO, 10), Cache::new(TTL, 0)] {
            cache.put(key("a"), now);
            assert!(!cache.holds(&key("a"), now));
            assert!(cache.halves.lock().younger.is_empty());
        }
    }

    #[test]
    fn all_that_an_answer_depends_on_is_in_the_key() {
        let resource = |permission, resource| Question::Resource { permission, resource };
        let questions = [
            Question::VHost { peer: None },
            Question::VHost { peer: "10.0.0.1".parse().ok() },
            resource(Permission::Read, Resource::Queue("a")),
            resource(Permission::Write, Resource::Queue("a")),
            resource(Permission::Write, Resource::Exchange("a")),
            resource(Permission::Write, Resource::Exchange("ab")),
            Question::Topic { permission: Permission::Write, exchange: "ab", routing_key: b"c" },
            Question::Topic { permission: Permission::Write, exchange: "a", routing_key: b"bc" },
            Question::Topic { permission: Permission::Read, exchange: "a", routing_key: b"bc" },
        ];
        let users = [user("u", &[]), user("v", &[]), user("u", &["a"]), user("u", &["a", "b"]), user("u", &["ab"])];
        let mut keys: Vec<_> = users
            .iter()
            .flat_map(|user| ["/", "w"].map(|vhost| questions.map(|question| Key::new(user, vhost, question))))
            .flatten()
            .collect();
        let count = keys.len();
        keys.sort_by(|one, other| one.0.cmp(&other.0));
        keys.dedup();
        assert_eq!((keys.len(), count), (count, 90));
    }
}
