//! A change, done in one turn of the broker and answered when it is durable.

use leveret_broker::Turn;
use tokio::sync::oneshot;

use crate::{Api, access::Caller, error::ApiError};

/// Does `change` within a turn of the caller's and waits for its commit.
///
/// The turn ends before the wait: it is never held across an await.
pub(crate) async fn commit<T>(
    api: &Api,
    caller: &Caller,
    change: impl FnOnce(&mut Turn<'_>) -> Result<T, ApiError>,
) -> Result<T, ApiError> {
    let (result, committed) = {
        let mut turn = api.broker.turn().by(caller.acting_user());
        let result = change(&mut turn)?;
        turn.settle_work();
        let (sender, committed) = oneshot::channel();
        turn.after_commit(Box::new(move |outcome| {
            // The request may have been given up meanwhile.
            let _ = sender.send(outcome.map_err(|error| error.to_string()));
        }));
        (result, committed)
    };
    match committed.await {
        Ok(Ok(())) => Ok(result),
        Ok(Err(reason)) => Err(ApiError::Store(reason)),
        Err(_) => Err(ApiError::Store("it is closed".to_owned())),
    }
}
