//! The channels of a connection by number: those that are open, and those that the server has closed and the client has
//! not yet confirmed to be.

use std::collections::BTreeMap;

use crate::channel::Channel;

/// A channel number in use.
pub(super) enum Slot {
    /// Open.
    Open(Box<Channel>),
    /// channel.close was sent: what comes is discarded until channel.close-ok.
    Closing,
}

/// The numbers in use. Ordered, so that what is done for all is done in the same order each time.
#[derive(Default)]
pub(super) struct Channels {
    slots: BTreeMap<u16, Slot>,
    /// Those that have something to flush since the last [`Self::visit_touched`].
    touched: Vec<u16>,
}

impl Channels {
    /// The channel numbers in use, those being closed included.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// What the number stands for.
    pub(super) fn slot(&mut self, number: u16) -> Option<&mut Slot> {
        self.slots.get_mut(&number)
    }

    /// The open channel of that number; notes that it has something to flush.
    pub(super) fn touch(&mut self, number: u16) -> Option<&mut Channel> {
        match self.slots.get_mut(&number) {
            Some(Slot::Open(channel)) => {
                if self.touched.last() != Some(&number) {
                    self.touched.push(number);
                }
                Some(channel)
            }
            _ => None,
        }
    }

    /// The channel that mail is for, unless it has gone; notes that it has something to flush.
    pub(super) fn touch_same(&mut self, number: u16, id: u64) -> Option<&mut Channel> {
        self.touch(number).filter(|channel| channel.id() == id)
    }

    /// Visits the open channels of the numbers noted, each once, in order.
    pub(super) fn visit_touched(&mut self, mut visit: impl FnMut(&mut Channel)) {
        self.touched.sort_unstable();
        self.touched.dedup();
        for number in self.touched.drain(..) {
            if let Some(Slot::Open(channel)) = self.slots.get_mut(&number) {
                visit(channel);
            }
        }
    }

    /// The open channel of that number.
    pub(super) fn open(&mut self, number: u16) -> Option<&mut Channel> {
        match self.slots.get_mut(&number) {
            Some(Slot::Open(channel)) => Some(channel),
            _ => None,
        }
    }

    /// All open channels.
    pub(super) fn all_open(&mut self) -> impl Iterator<Item = (u16, &mut Channel)> {
        self.slots.iter_mut().filter_map(|(number, slot)| match slot {
            Slot::Open(channel) => Some((*number, &mut **channel)),
            Slot::Closing => None,
        })
    }

    /// A channel was opened.
    pub(super) fn insert(&mut self, number: u16, channel: Channel) {
        self.slots.insert(number, Slot::Open(Box::new(channel)));
    }

    /// The server closes the channel; the channel, for its end.
    pub(super) fn begin_close(&mut self, number: u16) -> Option<Box<Channel>> {
        match self.slots.insert(number, Slot::Closing) {
            Some(Slot::Open(channel)) => Some(channel),
            _ => None,
        }
    }

    /// The number is free again.
    pub(super) fn remove(&mut self, number: u16) {
        self.slots.remove(&number);
    }

    /// All channels that were open, for their end; every number is free.
    pub(super) fn take_all(&mut self) -> Vec<(u16, Box<Channel>)> {
        self.touched.clear();
        let slots = std::mem::take(&mut self.slots);
        let open = |(number, slot)| match slot {
            Slot::Open(channel) => Some((number, channel)),
            Slot::Closing => None,
        };
        slots.into_iter().filter_map(open).collect()
    }
}
