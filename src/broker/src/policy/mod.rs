//! Policies: settings for all queues or exchanges whose name matches a pattern.
//!
//! Of the policies that match an object, one holds: the one of highest priority. An operator policy is matched on its
//! own and merged with it. See [`effective_settings`] for what comes out. When [`Policies::generation`] has risen, the
//! settings of every object of the vhost are worked out anew; there is no index from policies to objects, because
//! policies change rarely and matching costs well under a microsecond.

mod definition;
mod effective;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use effective::{effective_alternate_exchange, effective_definition, effective_settings};

use crate::{
    pattern::{Pattern, PatternError},
    queue::Kind,
};

/// A policy, or an operator policy: plain data, with the field names of definitions and the HTTP interface.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Unique in its vhost.
    pub name: Arc<str>,
    /// Where it holds.
    pub vhost: Arc<str>,
    /// What names it is for, as a regular expression that is searched for.
    pub pattern: String,
    /// What kinds of objects it is for.
    #[serde(rename = "apply-to", default)]
    pub apply_to: ApplyTo,
    /// Of several that match, the highest holds; among equals the first by name.
    #[serde(default)]
    pub priority: i64,
    /// The settings.
    pub definition: Map<String, Value>,
}

/// What kinds of objects a policy is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApplyTo {
    /// Queues and exchanges.
    #[default]
    All,
    /// Queues of every type.
    Queues,
    /// Classic queues.
    ClassicQueues,
    /// Quorum queues.
    QuorumQueues,
    /// Streams, of which Leveret has none yet; kept for definitions.
    Streams,
    /// Exchanges.
    Exchanges,
}

impl ApplyTo {
    const ALL: [Self; 6] =
        [Self::All, Self::Queues, Self::ClassicQueues, Self::QuorumQueues, Self::Streams, Self::Exchanges];

    /// The word in definitions, such as `classic_queues`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Queues => "queues",
            Self::ClassicQueues => "classic_queues",
            Self::QuorumQueues => "quorum_queues",
            Self::Streams => "streams",
            Self::Exchanges => "exchanges",
        }
    }

    /// Reads the word of definitions.
    ///
    /// # Errors
    /// Where it is none of them.
    pub fn from_name(name: &str) -> Result<Self, PolicyError> {
        let found = Self::ALL.into_iter().find(|apply_to| apply_to.name() == name);
        found.ok_or_else(|| PolicyError::ApplyTo(name.into()))
    }

    const fn includes(self, kind: ResourceKind) -> bool {
        match self {
            Self::All => true,
            Self::Queues => matches!(kind, ResourceKind::ClassicQueue | ResourceKind::QuorumQueue),
            Self::ClassicQueues => matches!(kind, ResourceKind::ClassicQueue),
            Self::QuorumQueues => matches!(kind, ResourceKind::QuorumQueue),
            Self::Streams => false,
            Self::Exchanges => matches!(kind, ResourceKind::Exchange),
        }
    }
}

/// What a policy is matched with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResourceKind {
    /// A classic queue.
    ClassicQueue,
    /// A quorum queue.
    QuorumQueue,
    /// An exchange.
    Exchange,
}

impl From<Kind> for ResourceKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Classic => Self::ClassicQueue,
            Kind::Quorum => Self::QuorumQueue,
        }
    }
}

/// Whose policy: there are two lists of them in each vhost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PolicyRole {
    /// A policy.
    Ordinary,
    /// An operator policy, which can only tighten limits.
    Operator,
}

/// Why a policy is refused. The HTTP interface puts `Validation failed` before it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// No settings.
    #[error("no policy provided")]
    Empty,
    /// A value that the setting does not take.
    #[error("{0}")]
    Value(String),
    /// Settings that do not exist, as an Erlang list.
    #[error("{0} are not recognised policy settings")]
    Unrecognised(String),
    /// A pattern that does not compile.
    #[error("pattern {0}")]
    Pattern(#[from] PatternError),
    /// A kind of object that does not exist.
    #[error(
        "apply-to '{0}' unrecognised; should be one of: 'queues', 'classic_queues', 'quorum_queues', 'streams', \
         'exchanges', or 'all'"
    )]
    ApplyTo(String),
}

/// All policies and operator policies.
#[derive(Debug, Default)]
pub struct Policies {
    extra_settings: RwLock<BTreeSet<String>>,
    generation: AtomicU64,
    vhosts: RwLock<HashMap<Arc<str>, Lists>>,
}

#[derive(Debug, Default)]
struct Lists {
    ordinary: List,
    operator: List,
}

impl Lists {
    fn of(&self, role: PolicyRole) -> &List {
        match role {
            PolicyRole::Ordinary => &self.ordinary,
            PolicyRole::Operator => &self.operator,
        }
    }

    fn of_mut(&mut self, role: PolicyRole) -> &mut List {
        match role {
            PolicyRole::Ordinary => &mut self.ordinary,
            PolicyRole::Operator => &mut self.operator,
        }
    }
}

/// Policies of one vhost and role, by falling priority, then by name: the first that matches holds.
#[derive(Debug, Default)]
struct List(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    policy: Arc<Policy>,
    pattern: Pattern,
}

impl List {
    fn matching(&self, name: &str, kind: ResourceKind) -> Option<Arc<Policy>> {
        let found = self.0.iter().find(|entry| {
            entry.policy.apply_to.includes(kind)
                && definition::applies_to(&entry.policy.definition, kind)
                && entry.pattern.matches(name.as_bytes())
        });
        found.map(|entry| Arc::clone(&entry.policy))
    }

    fn put(&mut self, entry: Entry) {
        self.remove(&entry.policy.name);
        self.0.push(entry);
        self.0.sort_by(|one, other| {
            let (one, other) = (&one.policy, &other.policy);
            other.priority.cmp(&one.priority).then_with(|| one.name.cmp(&other.name))
        });
    }

    fn remove(&mut self, name: &str) -> Option<Arc<Policy>> {
        let index = self.0.iter().position(|entry| &*entry.policy.name == name)?;
        Some(self.0.remove(index).policy)
    }
}

impl Policies {
    /// Lets policies have a setting that a plugin looks after, with values that it checks itself.
    pub fn register_setting(&self, key: impl Into<String>) {
        self.extra_settings.write().insert(key.into());
    }

    /// Rises with every change.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Checks and sets a policy, in place of one of the same name.
    ///
    /// # Errors
    /// Where a setting, its value or the pattern cannot be.
    pub fn set(&self, role: PolicyRole, policy: Policy) -> Result<Arc<Policy>, PolicyError> {
        definition::validate(&policy.definition, role, &self.extra_settings.read())?;
        self.put(role, policy)
    }

    /// Sets a policy from the catalogue, whose settings were checked when it was new: a plugin that is switched off now
    /// does not stop the broker.
    ///
    /// # Errors
    /// Where the pattern does not compile.
    pub fn put(&self, role: PolicyRole, policy: Policy) -> Result<Arc<Policy>, PolicyError> {
        let pattern = Pattern::new(&policy.pattern)?;
        let policy = Arc::new(policy);
        let entry = Entry { policy: Arc::clone(&policy), pattern };
        self.change(|vhosts| vhosts.entry(Arc::clone(&policy.vhost)).or_default().of_mut(role).put(entry));
        Ok(policy)
    }

    /// Removes a policy and gives it back; `None` where there is none.
    pub fn remove(&self, role: PolicyRole, vhost: &str, name: &str) -> Option<Arc<Policy>> {
        self.change(|vhosts| vhosts.get_mut(vhost)?.of_mut(role).remove(name))
    }

    /// Removes the policies and operator policies of a vhost and gives them back.
    pub fn forget_vhost(&self, vhost: &str) -> Vec<(PolicyRole, Arc<Policy>)> {
        let lists = self.change(|vhosts| vhosts.remove(vhost)).unwrap_or_default();
        let roles = [(PolicyRole::Ordinary, lists.ordinary), (PolicyRole::Operator, lists.operator)];
        roles.into_iter().flat_map(|(role, list)| list.0.into_iter().map(move |entry| (role, entry.policy))).collect()
    }

    /// The policy of that name.
    #[must_use]
    pub fn policy(&self, role: PolicyRole, vhost: &str, name: &str) -> Option<Arc<Policy>> {
        let vhosts = self.vhosts.read();
        let entry = vhosts.get(vhost)?.of(role).0.iter().find(|entry| &*entry.policy.name == name)?;
        Some(Arc::clone(&entry.policy))
    }

    /// All policies of a role, by vhost and name.
    #[must_use]
    pub fn all(&self, role: PolicyRole) -> Vec<Arc<Policy>> {
        let vhosts = self.vhosts.read();
        let sorted: BTreeMap<_, _> = vhosts
            .values()
            .flat_map(|lists| &lists.of(role).0)
            .map(|Entry { policy, .. }| ((&policy.vhost, &policy.name), Arc::clone(policy)))
            .collect();
        sorted.into_values().collect()
    }

    /// The policy that holds for an object.
    #[must_use]
    pub fn matching(&self, vhost: &str, name: &str, kind: ResourceKind) -> Option<Arc<Policy>> {
        self.vhosts.read().get(vhost)?.ordinary.matching(name, kind)
    }

    /// The operator policy that holds for an object.
    #[must_use]
    pub fn matching_operator(&self, vhost: &str, name: &str, kind: ResourceKind) -> Option<Arc<Policy>> {
        self.vhosts.read().get(vhost)?.operator.matching(name, kind)
    }

    /// Changes the lists. The generation rises after, so that whoever sees it sees the change.
    fn change<T>(&self, change: impl FnOnce(&mut HashMap<Arc<str>, Lists>) -> T) -> T {
        let result = change(&mut self.vhosts.write());
        self.generation.fetch_add(1, Ordering::Release);
        result
    }
}

impl fmt::Display for ApplyTo {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

#[cfg(test)]
mod tests;
