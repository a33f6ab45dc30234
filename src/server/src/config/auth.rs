//! Who lets users in.

use std::time::Duration;

use leveret_broker::auth::{BackendChoice, INTERNAL, Terms};
use serde::{Deserialize, Serialize};

/// Which backends are asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// In this order.
    pub backends: Vec<BackendChoice>,
    /// How long a permission that a plugin's backend has given holds without asking again, in milliseconds; 0 asks each
    /// time.
    pub cache_ttl_ms: u64,
    /// Such permissions that are remembered.
    pub cache_entries_max: u32,
}

impl Auth {
    /// How backends of plugins are dealt with.
    #[must_use]
    pub fn terms(&self) -> Terms {
        Terms {
            cache_ttl: Duration::from_millis(self.cache_ttl_ms),
            cache_entries_max: usize::try_from(self.cache_entries_max).unwrap_or(usize::MAX),
            ..Terms::default()
        }
    }
}

impl Default for Auth {
    fn default() -> Self {
        Self { backends: vec![BackendChoice::One(INTERNAL.into())], cache_ttl_ms: 15_000, cache_entries_max: 10_000 }
    }
}
