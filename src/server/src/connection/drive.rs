//! The loop of an open connection: one task that reads, takes mail, writes and keeps time.
//!
//! Everything is polled in one place. What one read brought in is decoded under one turn of the broker, which is never
//! held while waiting; the outbox is written when there is nothing more to take in.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Buf;
use leveret_amqp::decode;
use leveret_broker::Turn;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, Sleep},
};

use super::{
    FRAME_SIZE_FUDGE, Timings,
    failure::Ending,
    heartbeat::{Due, Heartbeat},
    open::{Open, Phase},
    transport::Transport,
};
use crate::{mail::Mail, mailbox::Mails};

/// Pieces of mail handled under one turn.
const MAIL_BATCH: usize = 128;

/// Bytes in the outbox from which on they are written before more is taken in.
const WRITE_BYTES_MIN: usize = 256 * 1024;

/// Rounds that take in more before what they have brought about is written all the same: a peer that never stops sending
/// still gets its answers.
const ROUNDS_UNWRITTEN_MAX: u32 = 2;

/// Time after which other tasks of the thread get their chance. Work on the frames of one read ends after it too.
const POLL_TIME_MAX: Duration = Duration::from_millis(1);

/// Frames handled between two looks at the clock.
const FRAMES_BETWEEN_LOOKS: u32 = 64;

/// Rounds between two looks at it. A message that comes alone takes one, and a second that finds nothing more.
const ROUNDS_BETWEEN_LOOKS: u32 = 2;

/// Longest time between two looks at the channels' settlement timeouts.
const TICK_MS_MAX: u64 = 10_000;

/// Shortest one.
const TICK_MS_MIN: u64 = 100;

/// An open connection with its socket.
pub(super) struct Drive<S> {
    pub(super) transport: Transport<S>,
    pub(super) open: Open,
    mailbox: Mails,
    mails: Vec<Mail>,
    heartbeat: Heartbeat,
    timer: Pin<Box<Sleep>>,
    /// The timer will wake this task. It is always the same one that polls, so once is enough.
    is_timer_set: bool,
    tick: Duration,
    next_tick: Instant,
    /// The answer to our connection.close must have come by then.
    closing_deadline: Option<Instant>,
    timings: Timings,
    /// `input` may hold a whole frame that has not been handled.
    has_undecoded: bool,
    /// The socket had nothing more in this poll, and wakes the task when it has.
    awaits_input: bool,
    rounds_unwritten: u32,
    /// Bytes of the outbox's window to be given back.
    released: u64,
}

/// Whether something was done.
type Progress = bool;

impl<S: AsyncRead + AsyncWrite + Unpin> Drive<S> {
    pub(super) fn new(transport: Transport<S>, open: Open, mailbox: Mails, heartbeat_s: u16, timings: Timings) -> Self {
        let now = Instant::now();
        let timeout_ms = open.session.limits.consumer_timeout_ms;
        let tick_ms = if timeout_ms == 0 { TICK_MS_MAX } else { (timeout_ms / 4).clamp(TICK_MS_MIN, TICK_MS_MAX) };
        let tick = Duration::from_millis(tick_ms);
        Self {
            has_undecoded: !transport.input.is_empty(),
            transport,
            open,
            mailbox,
            mails: Vec::new(),
            heartbeat: Heartbeat::new(heartbeat_s, now),
            timer: Box::pin(tokio::time::sleep(tick)),
            is_timer_set: false,
            tick,
            next_tick: now + tick,
            closing_deadline: None,
            timings,
            awaits_input: false,
            rounds_unwritten: 0,
            released: 0,
        }
    }

    /// Serves the connection until it ends; everything it had is wound up then.
    pub(super) async fn run(&mut self) -> Ending {
        let ending = std::future::poll_fn(|context| self.poll(context)).await;
        self.wind_up();
        ending
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Ending> {
        let started = Instant::now();
        self.awaits_input = false;
        let mut rounds = 0;
        loop {
            match self.round(context, started) {
                Err(ending) => return Poll::Ready(ending),
                Ok(false) => return Poll::Pending,
                Ok(true) => rounds += 1,
            }
            if rounds % ROUNDS_BETWEEN_LOOKS == 0 && started.elapsed() >= POLL_TIME_MAX {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }

    /// `now` is when the poll began: nothing here needs to know it any better.
    fn round(&mut self, context: &mut Context<'_>, now: Instant) -> Result<Progress, Ending> {
        let mailed = self.take_mail(context);
        let wanted_input = self.wants_input();
        let read = self.take_input(context, now)?;
        let has_more = mailed || read;
        self.rounds_unwritten += 1;
        if has_more && self.transport.outbox.len() < WRITE_BYTES_MIN && self.rounds_unwritten < ROUNDS_UNWRITTEN_MAX {
            return Ok(true);
        }
        self.rounds_unwritten = 0;
        self.write(context, now)?;
        if has_more || wanted_input != self.wants_input() {
            return Ok(true);
        }
        self.watch_clock(context, now)
    }

    fn take_mail(&mut self, context: &mut Context<'_>) -> Progress {
        if !self.mailbox.take(context, MAIL_BATCH, &mut self.mails) {
            return false;
        }
        let Self { transport, open, mails, .. } = self;
        let session = std::sync::Arc::clone(&open.session);
        let turn = &mut session.turn();
        for mail in mails.drain(..) {
            open.mail(mail, turn, &mut transport.outbox);
        }
        open.flush(turn, &mut transport.outbox);
        true
    }

    fn take_input(&mut self, context: &mut Context<'_>, now: Instant) -> Result<Progress, Ending> {
        if self.take_room(context) {
            return Ok(true);
        }
        if !self.wants_input() {
            self.heartbeat.heard(now);
            return Ok(false);
        }
        if !self.has_undecoded && !self.read(context, now)? {
            return Ok(false);
        }
        self.decode(now);
        Ok(true)
    }

    fn read(&mut self, context: &mut Context<'_>, now: Instant) -> Result<Progress, Ending> {
        if self.awaits_input {
            return Ok(false);
        }
        match self.transport.poll_read(context, &self.open.session.registration) {
            Poll::Pending => {
                self.awaits_input = true;
                Ok(false)
            }
            Poll::Ready(Ok(0)) => Err(self.ended_by_peer()),
            Poll::Ready(Ok(_)) => {
                self.heartbeat.heard(now);
                self.has_undecoded = true;
                Ok(true)
            }
            Poll::Ready(Err(error)) => Err(self.failed(error)),
        }
    }

    fn take_room(&mut self, context: &mut Context<'_>) -> Progress {
        match self.open.room.poll(context) {
            Poll::Ready(Some((channel, taken))) => {
                self.open.room_taken(channel, taken);
                true
            }
            Poll::Ready(None) | Poll::Pending => false,
        }
    }

    /// What comes after lost synchronisation is read and thrown away.
    fn wants_input(&self) -> bool {
        matches!(self.open.phase, Phase::Lost(_)) || self.open.may_decode(&self.transport.outbox)
    }

    /// Handles the frames that are there, under one turn, for as long as the poll that `started` then may take.
    fn decode(&mut self, started: Instant) {
        if matches!(self.open.phase, Phase::Lost(_)) {
            self.transport.input.clear();
            self.has_undecoded = false;
            return;
        }
        let frame_max = self.open.session.frame_max.saturating_add(FRAME_SIZE_FUDGE);
        if matches!(decode(&self.transport.input, frame_max), Ok(None)) {
            self.has_undecoded = false;
            return;
        }
        let session = std::sync::Arc::clone(&self.open.session);
        self.decode_batch(frame_max, started, &mut session.turn());
    }

    fn decode_batch(&mut self, frame_max: u32, started: Instant, turn: &mut Turn<'_>) {
        let Self { transport, open, .. } = self;
        let outbox = &mut transport.outbox;
        let (mut consumed, mut frames) = (0, 0_u32);
        while open.may_decode(outbox) {
            if frames == FRAMES_BETWEEN_LOOKS {
                frames = 0;
                if started.elapsed() >= POLL_TIME_MAX {
                    break;
                }
            }
            frames += 1;
            match decode(&transport.input[consumed..], frame_max) {
                Ok(Some((frame, length))) => {
                    open.frame(&frame, turn, outbox);
                    consumed += length;
                }
                Ok(None) => {
                    self.has_undecoded = false;
                    break;
                }
                Err(error) => {
                    open.malformed(&error, turn, outbox);
                    break;
                }
            }
        }
        open.flush(turn, outbox);
        transport.input.advance(consumed);
    }

    fn write(&mut self, context: &mut Context<'_>, now: Instant) -> Result<(), Ending> {
        let before = self.transport.outbox.len();
        let outcome = self.transport.poll_write(context, &self.open.session.registration, &mut self.released);
        if self.transport.outbox.len() < before {
            self.heartbeat.wrote(now);
        }
        self.give_back();
        match outcome {
            Poll::Ready(Err(error)) => Err(self.failed(error)),
            Poll::Ready(Ok(())) => self.take_finished().map_or(Ok(()), Err),
            Poll::Pending => Ok(()),
        }
    }

    /// Gives the outbox's window back what was written, and has the queues go on that had found it full.
    fn give_back(&mut self) {
        let released = std::mem::take(&mut self.released);
        if released > 0 && self.open.session.outbox_window.give(released) {
            let session = std::sync::Arc::clone(&self.open.session);
            self.open.resume(&mut session.turn());
        }
    }

    fn watch_clock(&mut self, context: &mut Context<'_>, now: Instant) -> Result<Progress, Ending> {
        self.check_closing(now)?;
        match self.heartbeat.due(now) {
            Due::Nothing => {}
            Due::Dead => return Err(Ending::Silent),
            // Something already waits to be written: that it cannot be is no reason to add to it.
            Due::Send if !self.transport.outbox.is_empty() => self.heartbeat.wrote(now),
            Due::Send => {
                self.transport.outbox.heartbeat();
                return Ok(true);
            }
        }
        if now >= self.next_tick {
            self.tick(now);
            return Ok(true);
        }
        let wake_at =
            [self.heartbeat.next(), self.closing_deadline].into_iter().flatten().fold(self.next_tick, Instant::min);
        // Set anew only where it would ring too late: traffic puts the time off again and again.
        let rings_at = self.timer.deadline();
        let is_in_time = now < rings_at && rings_at <= wake_at;
        if self.is_timer_set && is_in_time {
            return Ok(false);
        }
        if !is_in_time {
            self.timer.as_mut().reset(wake_at);
        }
        self.is_timer_set = self.timer.as_mut().poll(context).is_pending();
        Ok(!self.is_timer_set)
    }

    fn tick(&mut self, now: Instant) {
        self.next_tick = now + self.tick;
        self.transport.relax();
        if self.open.has_channels() {
            let session = std::sync::Arc::clone(&self.open.session);
            let turn = &mut session.turn();
            self.open.tick(turn, &mut self.transport.outbox);
            self.open.check_room(turn, &mut self.transport.outbox);
            self.open.flush(turn, &mut self.transport.outbox);
        }
    }

    /// Whoever does not answer connection.close is not waited for.
    fn check_closing(&mut self, now: Instant) -> Result<(), Ending> {
        let patience = match self.open.phase {
            Phase::Running | Phase::Finished(_) => return Ok(()),
            Phase::Closing(_) => self.timings.close_ok,
            Phase::Lost(_) => self.timings.silent_close,
        };
        let deadline = *self.closing_deadline.get_or_insert(now + patience);
        if now < deadline { Ok(()) } else { Err(self.ended_by_peer()) }
    }

    /// The socket is at its end, or the peer's time is over: how the connection has ended.
    fn ended_by_peer(&mut self) -> Ending {
        match std::mem::replace(&mut self.open.phase, Phase::Running) {
            Phase::Running => Ending::Abrupt,
            Phase::Closing(ending) | Phase::Lost(ending) | Phase::Finished(ending) => ending,
        }
    }

    fn failed(&mut self, error: io::Error) -> Ending {
        match self.ended_by_peer() {
            Ending::Abrupt if error.kind() != io::ErrorKind::ConnectionReset => Ending::Io(error),
            other => other,
        }
    }

    fn take_finished(&mut self) -> Option<Ending> {
        matches!(self.open.phase, Phase::Finished(_)).then(|| self.ended_by_peer())
    }

    /// Cancels and requeues everything, also what is still in the mail: queues count it as this connection's.
    fn wind_up(&mut self) {
        let session = std::sync::Arc::clone(&self.open.session);
        let turn = &mut session.turn();
        self.open.wind_up(turn);
        for mail in self.mailbox.take_all() {
            self.open.mail(mail, turn, &mut self.transport.outbox);
        }
        let _ = session.outbox_window.give(self.transport.outbox.clear());
    }
}
