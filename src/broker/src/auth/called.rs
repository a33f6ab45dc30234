//! A backend of a plugin as the broker calls it: on threads that may block, a few at a time, and not waited for for ever.

use std::{fmt, sync::Arc, time::Duration};

use tokio::sync::Semaphore;

use super::BackendError;

/// Requests that a backend answers at a time; others wait for their turn. Enough for hundreds of logins a second at the
/// pace of a usual service, and few beside the threads that the process has for what blocks.
pub(super) const CALLS_MAX: usize = 32;

/// How long an answer is waited for, turn included. Backends have their own, shorter limits; this one holds where they
/// fail to.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// A backend, with its name and the calls that it takes at a time.
pub(super) struct Called<T: ?Sized> {
    pub(super) name: Arc<str>,
    backend: Arc<T>,
    calls: Arc<Semaphore>,
    patience: Duration,
}

impl<T: ?Sized + Send + Sync + 'static> Called<T> {
    pub(super) fn new(name: &str, backend: Arc<T>, patience: Duration) -> Self {
        Self { name: name.into(), backend, calls: Arc::new(Semaphore::new(CALLS_MAX)), patience }
    }

    /// Has the backend answer. The place is given back when it has, even where nobody waits any more.
    pub(super) async fn call<R: Send + 'static>(
        &self,
        call: impl FnOnce(&T) -> Result<R, BackendError> + Send + 'static,
    ) -> Result<R, BackendError> {
        let answered = async {
            let calls = Arc::clone(&self.calls);
            let place = calls.acquire_owned().await.map_err(|closed| BackendError(closed.to_string()))?;
            let backend = Arc::clone(&self.backend);
            let answer = tokio::task::spawn_blocking(move || {
                let _place = place;
                call(&backend)
            });
            // What it panicked with may hold what it was asked.
            answer.await.map_err(|_| BackendError("it has panicked".to_owned()))?
        };
        let too_late = || BackendError(format!("no answer within {} ms", self.patience.as_millis()));
        tokio::time::timeout(self.patience, answered).await.map_err(|_| too_late())?
    }
}

impl<T: ?Sized> Clone for Called<T> {
    fn clone(&self) -> Self {
        Self {
            name: Arc::clone(&self.name),
            backend: Arc::clone(&self.backend),
            calls: Arc::clone(&self.calls),
            patience: self.patience,
        }
    }
}

impl<T: ?Sized> fmt::Debug for Called<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)
    }
}
