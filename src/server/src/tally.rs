//! How many connections each vhost and user has and how many channels each user, for the limits that administrators set.
//!
//! Whoever comes is checked and counted in one step and gets a place, which counts until it is dropped: two who come at
//! once cannot both take the last one, and no way out is without giving it back. One lock for all of it, held for a few
//! look-ups at the beginning and end of a connection or channel.
//!
//! Not taken: counting the live connections each time ([`crate::registry`] has them). That is exact only under a lock
//! over all of them, and takes time by their number.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use leveret_broker::{
    Error,
    limits::{UserLimits, VHostLimits},
};
use parking_lot::Mutex;

/// The places taken in a server.
#[derive(Default)]
pub(crate) struct Tally {
    counts: Mutex<Counts>,
}

/// Who has none is not in it.
#[derive(Default)]
struct Counts {
    connections_of_vhosts: Count,
    connections_of_users: Count,
    channels_of_users: Count,
}

#[derive(Default)]
struct Count(HashMap<Arc<str>, u64>);

/// An open connection's place in its vhost and among those of its user.
#[must_use]
pub(crate) struct ConnectionPlace {
    tally: Arc<Tally>,
    vhost: Arc<str>,
    username: Arc<str>,
}

/// An open channel's place among those of its user.
#[must_use]
pub(crate) struct ChannelPlace {
    tally: Arc<Tally>,
    username: Arc<str>,
}

impl Tally {
    /// Takes a place for a connection, within these limits of its vhost and its user.
    ///
    /// # Errors
    /// 530 where one of them has as many as it may; the vhost is asked first, as in RabbitMQ.
    pub(crate) fn connection(
        self: &Arc<Self>,
        vhost: &Arc<str>,
        username: &Arc<str>,
        of_vhost: VHostLimits,
        of_user: UserLimits,
    ) -> Result<ConnectionPlace, Error> {
        let mut counts = self.counts.lock();
        of_vhost.check_connections(vhost, username, counts.connections_of_vhosts.of(vhost))?;
        of_user.check_connections(username, counts.connections_of_users.of(username))?;
        counts.connections_of_vhosts.add(vhost);
        counts.connections_of_users.add(username);
        Ok(ConnectionPlace { tally: Arc::clone(self), vhost: Arc::clone(vhost), username: Arc::clone(username) })
    }

    /// Takes a place for a channel, within these limits of its user.
    ///
    /// # Errors
    /// 530 where the user has as many as it may.
    pub(crate) fn channel(self: &Arc<Self>, username: &Arc<str>, of_user: UserLimits) -> Result<ChannelPlace, Error> {
        let mut counts = self.counts.lock();
        of_user.check_channels(username, counts.channels_of_users.of(username))?;
        counts.channels_of_users.add(username);
        Ok(ChannelPlace { tally: Arc::clone(self), username: Arc::clone(username) })
    }
}

impl Count {
    fn of(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    fn add(&mut self, name: &Arc<str>) {
        *self.0.entry(Arc::clone(name)).or_default() += 1;
    }

    fn remove(&mut self, name: &Arc<str>) {
        if let Entry::Occupied(mut count) = self.0.entry(Arc::clone(name)) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        let mut counts = self.tally.counts.lock();
        counts.connections_of_vhosts.remove(&self.vhost);
        counts.connections_of_users.remove(&self.username);
    }
}

impl Drop for ChannelPlace {
    fn drop(&mut self) {
        self.tally.counts.lock().channels_of_users.remove(&self.username);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY_VHOST: VHostLimits = VHostLimits { max_connections: None, max_queues: None };
    const ANY_USER: UserLimits = UserLimits { max_connections: None, max_channels: None };

    /// What several threads get that all want a place and keep it.
    fn rush<T: Send>(take: impl Fn() -> Option<T> + Sync) -> Vec<T> {
        std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|_| scope.spawn(|| (0..100).filter_map(|_| take()).collect::<Vec<_>>())).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        })
    }

    #[test]
    fn a_rush_gets_as_many_connections_as_there_may_be() {
        let tally = Arc::new(Tally::default());
        let (vhost, username): (Arc<str>, Arc<str>) = ("/".into(), "u".into());
        let of_vhost = VHostLimits { max_connections: Some(5), max_queues: None };
        let of_user = UserLimits { max_connections: Some(7), max_channels: None };
        let places = rush(|| tally.connection(&vhost, &username, of_vhost, ANY_USER).ok());
        assert_eq!(places.len(), 5);
        let elsewhere: Arc<str> = "v".into();
        let more = rush(|| tally.connection(&elsewhere, &username, of_vhost, of_user).ok());
        assert_eq!(more.len(), 2, "the user's connections count over all vhosts");
        assert!(tally.connection(&vhost, &"w".into(), ANY_VHOST, of_user).is_ok(), "another user's do not");
    }

    #[test]
    fn a_rush_gets_as_many_channels_as_there_may_be() {
        let tally = Arc::new(Tally::default());
        let username: Arc<str> = "u".into();
        let of_user = UserLimits { max_connections: None, max_channels: Some(5) };
        let mut places = rush(|| tally.channel(&username, of_user).ok());
        assert_eq!(places.len(), 5);
        places.pop();
        places.push(tally.channel(&username, of_user).ok().unwrap());
        assert!(tally.channel(&username, of_user).is_err());
    }

    #[test]
    fn places_are_given_back() {
        let tally = Arc::new(Tally::default());
        let (vhost, username): (Arc<str>, Arc<str>) = ("/".into(), "u".into());
        let one = VHostLimits { max_connections: Some(1), max_queues: None };
        for _ in 0..3 {
            let place = tally.connection(&vhost, &username, one, ANY_USER).ok().unwrap();
            let refused = tally.connection(&vhost, &username, one, ANY_USER).err().unwrap();
            assert_eq!(refused.text, "access to vhost '/' refused for user 'u': connection limit (1) is reached");
            drop(place);
        }
        drop(tally.channel(&username, ANY_USER));
        let counts = tally.counts.lock();
        let counts = [&counts.connections_of_vhosts, &counts.connections_of_users, &counts.channels_of_users];
        assert!(counts.iter().all(|count| count.0.is_empty()), "whoever has none is not remembered");
    }
}
