//! What a transaction is about to bring to each queue, added up before the first effect: a queue that refuses what it has
//! no room for (`reject-publish`) is asked once for all of it, so that the transaction is done as a whole or not at all.
//!
//! Not taken: reserving the room. It would be held only while this turn goes on, and what others bring meanwhile may
//! exceed the queue's limit by no more than that.

use std::{collections::HashMap, sync::Arc};

use crate::{Error, queue::Queue};

/// See the module.
#[derive(Default)]
pub struct Claims {
    by_queue: HashMap<u64, Claim, ahash::RandomState>,
}

struct Claim {
    queue: Arc<Queue>,
    count: u64,
    body_bytes: u64,
}

impl Claims {
    /// Adds a message for these queues.
    pub fn add(&mut self, queues: Vec<Arc<Queue>>, body_bytes: u64) {
        for queue in queues {
            let claim = self.by_queue.entry(queue.id).or_insert(Claim { queue, count: 0, body_bytes: 0 });
            claim.count += 1;
            claim.body_bytes += body_bytes;
        }
    }

    /// Asks the queues.
    ///
    /// # Errors
    /// 406 where one of them has no room.
    pub fn check(&self) -> Result<(), Error> {
        let refusing = self.by_queue.values().find(|claim| !claim.queue.has_room(claim.count, claim.body_bytes));
        match refusing {
            Some(claim) => Err(Error::no_room(&claim.queue.name, &claim.queue.vhost)),
            None => Ok(()),
        }
    }
}
