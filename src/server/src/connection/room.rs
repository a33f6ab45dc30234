//! Room for messages that have begun to come in and are not complete.
//!
//! A message of several frames lies in memory until its last one is there. A thousand connections in the middle of a
//! large message each would take all memory there is, and no alarm would help: they are all to be let finish. So there is
//! a bound for all of them together, and who would go beyond it waits, with its body unread in its socket, until others
//! have finished. Room is taken for the whole message before its body is read, so that whoever has room can finish.
//!
//! Not taken: taking room as the body comes (all might wait in the middle of theirs for ever), and bodies on disk before
//! they are complete (twice written, for what a moment of patience does as well).

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::PollSemaphore;

/// Room is counted in pieces of so many bytes.
const PIECE_BYTES: u64 = 1024;

/// The room of the whole server.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    pieces: Arc<Semaphore>,
    pieces_max: u32,
    message_bytes_max: u64,
}

/// Room that was taken; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Taken {
    _pieces: OwnedSemaphorePermit,
}

impl Room {
    /// Room for `bytes` in all and for messages of up to `message_bytes_max` each, of which at least one has room.
    pub(crate) fn new(bytes: u64, message_bytes_max: u64) -> Self {
        let pieces_max = pieces_of(bytes.max(message_bytes_max));
        Self { pieces: Arc::new(Semaphore::new(pieces_max as usize)), pieces_max, message_bytes_max }
    }

    /// Whether there is no room for a message of the largest size.
    fn is_short(&self) -> bool {
        (self.pieces.available_permits() as u64) < u64::from(pieces_of(self.message_bytes_max))
    }
}

/// What one connection has to do with it.
#[derive(Debug)]
pub(super) struct RoomOf {
    room: Room,
    waiting: PollSemaphore,
    /// The channel that waits, and for how much.
    wanted: Option<(u16, u32)>,
    /// A body frame came since the last [`Self::is_stuck`].
    has_progress: bool,
}

impl RoomOf {
    pub(super) fn new(room: Room) -> Self {
        Self { waiting: PollSemaphore::new(Arc::clone(&room.pieces)), room, wanted: None, has_progress: true }
    }

    /// Asks for room for a message whose header has come on a channel.
    pub(super) fn ask(&mut self, channel: u16, body_bytes: u64) {
        self.wanted = Some((channel, pieces_of(body_bytes).min(self.room.pieces_max)));
    }

    /// Takes room at once for a message on a connection that has others incomplete: it cannot wait for its own.
    pub(super) fn try_take(&self, body_bytes: u64) -> Option<Taken> {
        let pieces = pieces_of(body_bytes).min(self.room.pieces_max);
        let taken = Arc::clone(&self.room.pieces).try_acquire_many_owned(pieces).ok()?;
        Some(Taken { _pieces: taken })
    }

    /// Whether the connection waits for room.
    pub(super) fn is_waiting(&self) -> bool {
        self.wanted.is_some()
    }

    /// The room that was asked for, once it is there, and the channel that it is for.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<(u16, Taken)>> {
        let Some((channel, pieces)) = self.wanted else { return Poll::Ready(None) };
        let taken = ready!(self.waiting.poll_acquire_many(context, pieces));
        self.wanted = None;
        Poll::Ready(taken.map(|pieces| (channel, Taken { _pieces: pieces })))
    }

    /// Something of a body has come.
    pub(super) fn progress(&mut self) {
        self.has_progress = true;
    }

    /// Whether a connection that has room made no use of it since the last call, while others may need it.
    pub(super) fn is_stuck(&mut self) -> bool {
        !std::mem::take(&mut self.has_progress) && self.room.is_short()
    }
}

fn pieces_of(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(PIECE_BYTES)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn poll(connection: &mut RoomOf) -> Option<Taken> {
        match connection.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(taken) => taken.map(|(_, taken)| taken),
            Poll::Pending => None,
        }
    }

    #[test]
    fn who_finds_no_room_waits_until_others_have_finished() {
        let room = Room::new(10_000, 8_000);
        let mut connections: Vec<_> = (0..3).map(|_| RoomOf::new(room.clone())).collect();
        for connection in &mut connections {
            connection.ask(1, 5_000);
        }
        let first = poll(&mut connections[0]).unwrap();
        let second = poll(&mut connections[1]).unwrap();
        assert!(poll(&mut connections[2]).is_none() && connections[2].is_waiting());
        assert!(connections[0].try_take(1).is_none(), "nobody gets in before who waits");
        drop(first);
        let third = poll(&mut connections[2]).unwrap();
        assert!(!connections[2].is_waiting());
        drop((second, third));
        assert!(!room.is_short());
    }

    #[test]
    fn one_message_always_has_room() {
        let room = Room::new(1, 8_000);
        let mut connection = RoomOf::new(room);
        connection.ask(1, 8_000);
        assert!(poll(&mut connection).is_some());
    }

    #[test]
    fn room_that_is_not_used_is_noticed_when_it_is_short() {
        let room = Room::new(8_000, 8_000);
        let mut connection = RoomOf::new(room.clone());
        connection.ask(1, 5_000);
        let taken = poll(&mut connection).unwrap();
        assert!(!connection.is_stuck(), "it has just begun");
        connection.progress();
        assert!(!connection.is_stuck());
        assert!(connection.is_stuck());
        drop(taken);
        assert!(!connection.is_stuck(), "nobody needs more than there is");
    }
}
