//! Which features a run has.

use rand::{RngExt, rngs::StdRng};

/// What a seed has switched on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Features {
    /// Queues expire messages.
    pub ttl: bool,
    /// Messages have an expiration of their own.
    pub expiration: bool,
    /// Queues have a dead-letter exchange.
    pub dead_letters: bool,
    /// Queues have a greatest length.
    pub limits: bool,
    /// Queues have priorities.
    pub priorities: bool,
    /// The broker is restarted: after a crash, a loss of power or in good order.
    pub restarts: bool,
    /// Writes fail.
    pub faults: bool,
    /// Queues keep next to nothing in memory.
    pub paging: bool,
    /// Queues and bindings come and go.
    pub topology: bool,
    /// Queues delete themselves: auto-delete, exclusive, `x-expires`.
    pub fleeting: bool,
    /// Channels limit what is unacked over all their consumers.
    pub windows: bool,
    /// Messages name further routing keys, openly or not.
    pub copies: bool,
    /// Consumers come and go.
    pub consumers: bool,
    /// Quorum queues and delivery limits.
    pub attempts: bool,
    /// Messages have headers, and exchanges route by them.
    pub headers: bool,
    /// Policies come and go.
    pub policies: bool,
    /// Part of the messages, or of the queues, is transient.
    pub transient: bool,
    /// Messages that come back wait before they are tried again.
    pub retries: bool,
    /// Messages belong to groups.
    pub groups: bool,
    /// Exchanges hold messages back for a time.
    pub delays: bool,
}

impl Features {
    pub(super) fn draw(rng: &mut StdRng) -> Self {
        let mut on = || rng.random_bool(0.5);
        let mut features = Self {
            ttl: on(),
            expiration: on(),
            dead_letters: on(),
            limits: on(),
            priorities: on(),
            restarts: on(),
            faults: on(),
            paging: on(),
            topology: on(),
            fleeting: on(),
            windows: on(),
            copies: on(),
            consumers: on(),
            attempts: on(),
            headers: on(),
            policies: on(),
            transient: on(),
            retries: on(),
            groups: on(),
            delays: on(),
        };
        if !features.keeps_order() && features.limits && features.dead_letters {
            // It is not certain which of the dead letters a queue of limited length keeps.
            (features.limits, features.dead_letters) = (rng.random(), rng.random());
            features.dead_letters &= !features.limits;
        }
        if !features.keeps_order() && features.delays && features.dead_letters {
            // Nor which of those that an exchange holds back until the same time go on first.
            features.dead_letters = rng.random();
            features.delays = !features.dead_letters;
        }
        features
    }

    /// Whether messages that die by one command do so in the order of the queue. Those that fall due by an expiration of
    /// their own, and those of several levels, do only where they are all in memory.
    #[must_use]
    pub fn keeps_order(&self) -> bool {
        !self.expiration && !self.priorities || !self.paging && !self.restarts
    }
}
