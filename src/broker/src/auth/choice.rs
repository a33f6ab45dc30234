//! Which backends are asked, and in which order.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    Authenticator, Authorizer, INTERNAL,
    cache::Cache,
    called::{Called, PATIENCE},
    identity::{Authority, External},
};

/// An entry of `auth.backends`: a name, or a pair of them (RabbitMQ's `auth_backends.1.authn` and `.authz`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "must be the name of a backend, or a pair { authn = \"…\", authz = \"…\" }")]
pub enum BackendChoice {
    /// A backend that does both.
    One(String),
    /// Two backends, one for each.
    Pair(BackendPair),
}

/// Who authenticates and who authorizes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackendPair {
    /// Knows who somebody is.
    pub authn: String,
    /// Knows what they may do.
    pub authz: String,
}

impl fmt::Display for BackendChoice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(name) => write!(out, "'{name}'"),
            Self::Pair(BackendPair { authn, authz }) => write!(out, "authn '{authn}' with authz '{authz}'"),
        }
    }
}

/// How backends of plugins are dealt with.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// How long what they allow holds; zero: it is asked for each time.
    pub cache_ttl: Duration,
    /// So many answers are remembered of each.
    pub cache_entries_max: usize,
    /// How long an answer is waited for.
    pub patience: Duration,
}

impl Default for Terms {
    /// RabbitMQ's `auth_cache.cache_ttl`, and longer than any backend should take.
    fn default() -> Self {
        Self { cache_ttl: Duration::from_secs(15), cache_entries_max: 10_000, patience: PATIENCE }
    }
}

/// Why backends cannot be used in that order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    /// Nobody could log in.
    #[error("names no backend")]
    Empty,
    /// It would be asked again what it has just refused.
    #[error("names {0} twice")]
    Twice(BackendChoice),
    /// Not there, or it cannot do what it is to do.
    #[error("there is no backend '{name}' that can {task}; there are: {}", known.join(", "))]
    Unknown {
        /// As configured.
        name: String,
        /// What it is to do.
        task: &'static str,
        /// Those that can.
        known: Vec<String>,
    },
}

/// Authenticators or authorizers that there are beside the internal one, by name.
pub(crate) type Named<T> = BTreeMap<String, Arc<T>>;

/// The backends, in the order in which they are asked. The internal one alone by default.
#[derive(Debug)]
pub struct Backends(pub(super) Vec<Link>);

impl Default for Backends {
    fn default() -> Self {
        Self(vec![Link { authn: Authn::Internal, authority: Authority::Internal, admits: false }])
    }
}

/// One place in the order.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) authn: Authn,
    pub(super) authority: Authority,
    /// Whether the authorizer is asked about a user who has logged in elsewhere.
    pub(super) admits: bool,
}

/// Who checks passwords.
#[derive(Debug)]
pub(super) enum Authn {
    Internal,
    External(Called<dyn Authenticator>),
}

impl Backends {
    pub(crate) fn new(
        order: &[BackendChoice],
        authenticators: &Named<dyn Authenticator>,
        authorizers: &Named<dyn Authorizer>,
        terms: Terms,
    ) -> Result<Self, ChoiceError> {
        if order.is_empty() {
            return Err(ChoiceError::Empty);
        }
        if let Some((_, twice)) = order.iter().enumerate().find(|(place, choice)| order[..*place].contains(choice)) {
            return Err(ChoiceError::Twice(twice.clone()));
        }
        let link = |choice: &BackendChoice| {
            let (authn, authz, admits) = match choice {
                BackendChoice::One(name) => (name, name, false),
                BackendChoice::Pair(BackendPair { authn, authz }) => (authn, authz, true),
            };
            Ok(Link {
                authn: authn_of(find(authn, "authenticate", authenticators)?, authn, terms),
                authority: authority_of(find(authz, "authorize", authorizers)?, authz, terms),
                admits,
            })
        };
        order.iter().map(link).collect::<Result<_, _>>().map(Self)
    }
}

fn authn_of(found: Option<Arc<dyn Authenticator>>, name: &str, terms: Terms) -> Authn {
    found.map_or(Authn::Internal, |backend| Authn::External(Called::new(name, backend, terms.patience)))
}

fn authority_of(found: Option<Arc<dyn Authorizer>>, name: &str, terms: Terms) -> Authority {
    found.map_or(Authority::Internal, |backend| {
        let cache = Cache::new(terms.cache_ttl, terms.cache_entries_max);
        Authority::External(Arc::new(External::new(Called::new(name, backend, terms.patience), cache)))
    })
}

/// `None` is the internal one.
fn find<T: ?Sized>(name: &str, task: &'static str, backends: &Named<T>) -> Result<Option<Arc<T>>, ChoiceError> {
    if name == INTERNAL {
        return Ok(None);
    }
    let found = backends.get(name).ok_or_else(|| ChoiceError::Unknown {
        name: name.to_owned(),
        task,
        known: std::iter::once(INTERNAL.to_owned()).chain(backends.keys().cloned()).collect(),
    })?;
    Ok(Some(Arc::clone(found)))
}
