//! Something that the broker promises: the rows of the table.

mod acknowledgements;
mod confirmed_messages;
mod dead_letters;
mod definitions;
mod transactions;
mod transient_messages;

pub(super) use acknowledgements::Acknowledgements;
pub(super) use confirmed_messages::ConfirmedMessages;
pub(super) use dead_letters::DeadLetters;
pub(super) use definitions::Definitions;
pub(super) use transactions::Transactions;
pub(super) use transient_messages::TransientMessages;

use lapin::Channel;
use lapin::options::QueueDeclareOptions;
use leveret_tests::{Broker, within};

/// Promises in a scene: enough for several moments, few enough for many brokers to be looked at.
const PROMISES: usize = 6;

/// See the module. A clone is what had been promised when it was made.
pub(super) trait Scene: Clone {
    /// What is there before the first promise.
    async fn prepare(broker: &Broker) -> Self;

    /// Waits for one more promise.
    async fn promise(&mut self, broker: &Broker);

    /// Compares what is there after a fault with what was promised.
    async fn look(&self, broker: &Broker) -> Findings;

    /// A scene in which everything was promised.
    async fn play(broker: &Broker) -> Self {
        let mut scene = Self::prepare(broker).await;
        scene.promise_all(broker, |_| ()).await;
        scene
    }

    /// Waits for all promises, and says after each what has been promised.
    async fn promise_all(&mut self, broker: &Broker, mut promised: impl FnMut(&Self)) {
        for _ in 0..PROMISES {
            self.promise(broker).await;
            promised(self);
        }
    }
}

/// What is not as it was promised.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// What was promised and does not hold. Losses of power at `store.sync = "os"` may do that.
    pub(super) broken: Vec<String>,
    /// What must not be, whatever happens: half of something, twice the same, another order.
    pub(super) wrong: Vec<String>,
}

impl Findings {
    /// Everything promised holds.
    #[track_caller]
    pub(super) fn must_be_none(&self) {
        assert!(self.broken.is_empty() && self.wrong.is_empty(), "{self:?}");
    }

    fn broken_unless(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.broken.push(what());
        }
    }

    fn wrong_unless(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.wrong.push(what());
        }
    }
}

/// Waits until everything that was done before on this channel is where `store.sync` wants it: the answer to a durable
/// declaration says so.
pub(super) async fn wait_for_commit(channel: &Channel) {
    let declared = channel.queue_declare("commit".into(), QueueDeclareOptions::durable(), Default::default());
    within("queue.declare-ok", declared).await.unwrap();
}

/// A test for each row, by a function that is generic over scenes.
macro_rules! each_scene {
    ($run:ident, $($test:ident: $scene:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                leveret_tests::with_test_time($run::<crate::contract::scene::$scene>()).await;
            }
        )*
    };
    ($run:ident) => {
        crate::contract::scene::each_scene! {
            $run,
            confirmed_messages: ConfirmedMessages,
            transactions: Transactions,
            acknowledgements: Acknowledgements,
            dead_letters: DeadLetters,
            definitions: Definitions,
            transient_messages: TransientMessages,
        }
    };
}
pub(super) use each_scene;
