//! Waiting for a condition, with a deadline and without fixed sleeps.

use std::future::Future;
use std::time::{Duration, Instant};

/// How long a test waits for one thing; generous, as test machines are shared and slow.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at a condition.
const POLL: Duration = Duration::from_millis(5);

/// Waits until `condition` gives something.
///
/// # Panics
///
/// When it has given nothing for [`PATIENCE`]; `what` says what was waited for.
pub async fn until<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(POLL).await;
    }
}

/// Waits until `condition` is true.
///
/// # Panics
///
/// As [`until`].
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    until(what, async || condition().await.then_some(())).await;
}

/// Waits for a future.
///
/// # Panics
///
/// When it takes longer than [`PATIENCE`]; `what` says what was waited for.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain: {what}"),
    }
}
