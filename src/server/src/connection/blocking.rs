//! Whether a resource alarm holds a connection back: from its first publish during the alarm on, as in RabbitMQ. Who only
//! consumes goes on, also where he has published before.

use std::sync::Arc;

use crate::registry::ConnectionState;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Blocking {
    alarm: Option<Arc<str>>,
    has_published: bool,
}

/// What the client is to be told, if it wants to know.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// It is blocked now, for this reason.
    Blocked(Arc<str>),
    /// It is no longer blocked.
    Unblocked,
}

impl Blocking {
    /// A connection that has not published; with the alarm that is on.
    pub(super) fn new(alarm: Option<Arc<str>>) -> Self {
        Self { alarm, has_published: false }
    }

    /// Whether nothing more is to be read.
    pub(super) fn is_blocked(&self) -> bool {
        self.has_published
    }

    /// A publish was seen.
    pub(super) fn published(&mut self) -> Option<Notice> {
        let reason = self.alarm.as_ref().filter(|_| !self.has_published)?;
        self.has_published = true;
        Some(Notice::Blocked(Arc::clone(reason)))
    }

    /// The alarm has come, changed or gone.
    pub(super) fn alarm_changed(&mut self, alarm: Option<Arc<str>>) -> Option<Notice> {
        self.alarm = alarm;
        let unblocks = self.alarm.is_none() && std::mem::take(&mut self.has_published);
        unblocks.then_some(Notice::Unblocked)
    }

    /// RabbitMQ's word for where this leaves the connection.
    pub(super) fn state(&self) -> ConnectionState {
        match (&self.alarm, self.has_published) {
            (None, _) => ConnectionState::Running,
            (Some(_), false) => ConnectionState::Blocking,
            (Some(_), true) => ConnectionState::Blocked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publish_during_an_alarm_blocks_until_it_is_over() {
        let mut blocking = Blocking::default();
        assert_eq!(blocking.published(), None);
        assert_eq!(blocking.alarm_changed(Some("low on disk".into())), None);
        assert!(!blocking.is_blocked(), "what was published before the alarm does not count");
        assert_eq!(blocking.state(), ConnectionState::Blocking);
        assert_eq!(blocking.published(), Some(Notice::Blocked("low on disk".into())));
        assert_eq!(blocking.published(), None, "once told is enough");
        assert_eq!(blocking.alarm_changed(Some("low on memory & disk".into())), None);
        assert!(blocking.is_blocked());
        assert_eq!(blocking.state(), ConnectionState::Blocked);
        assert_eq!(blocking.alarm_changed(None), Some(Notice::Unblocked));
        assert!(!blocking.is_blocked());
        assert_eq!(blocking.state(), ConnectionState::Running);
    }

    #[test]
    fn the_next_alarm_begins_anew() {
        let mut blocking = Blocking::new(Some("low on memory".into()));
        assert!(blocking.published().is_some());
        blocking.alarm_changed(None);
        assert_eq!(blocking.alarm_changed(Some("low on memory".into())), None);
        assert!(!blocking.is_blocked());
    }
}
