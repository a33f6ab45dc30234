//! Exchanges that hold messages back.

use leveret_amqp::{FieldTable, RawTable};

use crate::Error;

/// A rule by which an exchange holds messages back until their time. What is held is kept by the broker, durably for a
/// durable exchange, and routed when it is due: the rule only says until when.
pub trait Hold: Send + Sync {
    /// Until when a message is held, in milliseconds since the Unix epoch; `None` for one that goes on at once. A time that
    /// has passed is as good as none.
    ///
    /// # Errors
    /// 406 for headers from which no time can be told.
    fn until(&self, headers: Option<RawTable<'_>>, now_ms: u64) -> Result<Option<u64>, Error>;

    /// Changes the headers of a message that was held and goes on now, for those who get it.
    fn released(&self, _headers: &mut FieldTable) {}
}
