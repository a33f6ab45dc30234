//! A connection's mailbox: many hands put mail in, one task takes it out.
//!
//! Not taken: tokio's unbounded channel, which it replaces. It does more for a message that comes alone, the common case at
//! moderate rates, and it keeps room for 32 pieces of mail for each connection that has none.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use parking_lot::Mutex;

use crate::mail::Mail;

/// A mailbox that has grown beyond so many places gives them back once it is empty.
const KEPT_PLACES_MAX: usize = 64;

/// The side of those who send. Sending never blocks. It is not bounded by count, but by what may be under way: deliveries
/// by the windows, commit notices by the batches read, the rest by the hands that send it.
#[derive(Clone, Debug)]
pub(crate) struct Mailbox(Arc<Mutex<Content>>);

/// The side of the connection that reads. Dropping it closes the mailbox.
#[derive(Debug)]
pub(crate) struct Mails(Arc<Mutex<Content>>);

#[derive(Debug, Default)]
struct Content {
    mails: VecDeque<Mail>,
    /// Of the task, while it waits.
    waker: Option<Waker>,
    is_closed: bool,
}

impl Mailbox {
    /// A mailbox and the end that the connection reads.
    #[must_use]
    pub(crate) fn new() -> (Self, Mails) {
        let content = Arc::<Mutex<Content>>::default();
        (Self(Arc::clone(&content)), Mails(content))
    }

    /// Sends; false where the connection has ended. Deliveries that come back this way need no care: the connection
    /// cancels its consumers and reads what is left before it goes.
    pub(crate) fn send(&self, mail: Mail) -> bool {
        let mut content = self.0.lock();
        if content.is_closed {
            return false;
        }
        content.mails.push_back(mail);
        let waker = content.waker.take();
        drop(content);
        waker.into_iter().for_each(Waker::wake);
        true
    }
}

impl Mails {
    /// Moves mail into `taken`, oldest first and up to `count_max` pieces; false where there is none, and the task is woken
    /// when there is.
    pub(crate) fn take(&mut self, context: &Context<'_>, count_max: usize, taken: &mut Vec<Mail>) -> bool {
        let mut content = self.0.lock();
        if content.mails.is_empty() {
            content.wake(context.waker());
            return false;
        }
        let count = content.mails.len().min(count_max);
        taken.extend(content.mails.drain(..count));
        if content.mails.is_empty() && content.mails.capacity() > KEPT_PLACES_MAX {
            content.mails = VecDeque::new();
        }
        true
    }

    /// The next piece of mail.
    pub(crate) async fn next(&mut self) -> Mail {
        std::future::poll_fn(|context| {
            let mut content = self.0.lock();
            let next = content.mails.pop_front();
            if next.is_none() {
                content.wake(context.waker());
            }
            next.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// All mail that is there, oldest first.
    pub(crate) fn take_all(&mut self) -> VecDeque<Mail> {
        std::mem::take(&mut self.0.lock().mails)
    }
}

impl Content {
    /// Has this waker woken by the next mail.
    fn wake(&mut self, waker: &Waker) {
        match &mut self.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }
}

impl Drop for Mails {
    fn drop(&mut self) {
        let mut content = self.0.lock();
        content.is_closed = true;
        let left = (std::mem::take(&mut content.mails), content.waker.take());
        // What mail holds may itself send mail when it is dropped.
        drop(content);
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        task::Wake,
    };

    use super::*;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn marks(mails: impl IntoIterator<Item = Mail>) -> Vec<u64> {
        let mark = |mail| match mail {
            Mail::Absorbed(mark) => mark,
            other => panic!("{other:?}"),
        };
        mails.into_iter().map(mark).collect()
    }

    #[test]
    fn mail_comes_in_order_and_in_batches() {
        let (mailbox, mut mails) = Mailbox::new();
        (1..=5).for_each(|mark| assert!(mailbox.send(Mail::Absorbed(mark))));
        let (context, mut taken) = (Context::from_waker(Waker::noop()), Vec::new());
        assert!(mails.take(&context, 3, &mut taken));
        assert_eq!(marks(taken.drain(..)), [1, 2, 3]);
        assert!(mailbox.send(Mail::Absorbed(6)));
        assert_eq!(marks(mails.take_all()), [4, 5, 6]);
        assert!(!mails.take(&context, 3, &mut taken));
        drop(mails);
        assert!(!mailbox.send(Mail::Absorbed(7)), "the connection has ended");
    }

    #[test]
    fn who_has_found_it_empty_is_woken_once() {
        let (mailbox, mut mails) = Mailbox::new();
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let (context, mut taken) = (Context::from_waker(&waker), Vec::new());
        mailbox.send(Mail::Absorbed(1));
        assert!(mails.take(&context, 10, &mut taken));
        mailbox.send(Mail::Absorbed(2));
        assert_eq!(wakes.0.load(Ordering::Relaxed), 0, "it has not waited");
        assert!(mails.take(&context, 10, &mut taken));
        assert!(!mails.take(&context, 10, &mut taken));
        mailbox.send(Mail::Absorbed(3));
        mailbox.send(Mail::Absorbed(4));
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        assert!(mails.take(&context, 10, &mut taken));
        assert_eq!(marks(taken), [1, 2, 3, 4]);
    }
}
