//! Memory that queues keep though nothing happens in them: they are told now and then when it is short.

use std::{sync::Arc, time::Duration};

use leveret_broker::Broker;
use tokio::time::MissedTickBehavior;

/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(500);

/// Looks after message memory for as long as it is polled.
pub(crate) async fn watch(broker: Arc<Broker>) {
    let mut interval = tokio::time::interval(INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        if broker.is_message_memory_short() {
            let broker = Arc::clone(&broker);
            // It waits for queues' locks and may meet thousands of queues.
            let relieved = tokio::task::spawn_blocking(move || broker.relieve_memory()).await;
            if let Err(error) = relieved {
                tracing::error!(%error, "message memory could not be relieved");
            }
        }
    }
}
