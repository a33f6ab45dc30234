//! An exchange as others see it.

use std::sync::Arc;

use leveret_amqp::{FieldTable, FieldValue};

use crate::{
    Error,
    deduplication::Cache,
    exchange::{History, Hold, Router},
};

/// The argument that names an exchange for what this one cannot route.
pub(super) const ALTERNATE_EXCHANGE: &str = "alternate-exchange";

/// What `exchange.declare` says.
#[derive(Clone, Copy, Debug)]
pub struct DeclareExchange<'a> {
    /// The exchange's name.
    pub name: &'a str,
    /// The name of its type.
    pub kind: &'a str,
    /// Whether it survives a restart.
    pub durable: bool,
    /// Whether it goes with its last binding.
    pub auto_delete: bool,
    /// Whether only other exchanges may route to it.
    pub internal: bool,
    /// Arguments for the type, and `alternate-exchange`.
    pub arguments: &'a FieldTable,
}

/// An exchange. It does not change once declared, except for what a policy gives it: then there is a new one.
#[derive(Clone, Debug, PartialEq)]
pub struct Exchange {
    /// Its name; empty for the default exchange.
    pub name: Arc<str>,
    /// The name of its type. The type itself may be missing after a restart.
    pub kind: Arc<str>,
    /// Whether it survives a restart.
    pub durable: bool,
    /// Whether it goes with its last binding.
    pub auto_delete: bool,
    /// Whether only other exchanges may route to it.
    pub internal: bool,
    /// As declared.
    pub arguments: FieldTable,
    /// The alternate exchange that a policy gives it.
    pub policy_alternate: Option<Arc<str>>,
}

impl Exchange {
    pub(super) fn of(declaration: &DeclareExchange<'_>) -> Self {
        Self {
            name: declaration.name.into(),
            kind: declaration.kind.into(),
            durable: declaration.durable,
            auto_delete: declaration.auto_delete,
            internal: declaration.internal,
            arguments: declaration.arguments.clone(),
            policy_alternate: None,
        }
    }

    /// Where messages go that this exchange has no destination for. The argument goes before the policy.
    #[must_use]
    pub fn alternate(&self) -> Option<&str> {
        let argument = self.arguments.get(ALTERNATE_EXCHANGE).and_then(FieldValue::as_str);
        argument.or(self.policy_alternate.as_deref())
    }

    /// The declaration that would make this exchange.
    #[must_use]
    pub fn declaration(&self) -> DeclareExchange<'_> {
        DeclareExchange {
            name: &self.name,
            kind: &self.kind,
            durable: self.durable,
            auto_delete: self.auto_delete,
            internal: self.internal,
            arguments: &self.arguments,
        }
    }
}

/// An exchange with its router, or why it has none.
pub(crate) struct Entry<T> {
    pub(crate) exchange: Arc<Exchange>,
    pub(crate) router: Result<Box<dyn Router>, Error>,
    /// By which rule it holds messages back.
    pub(crate) hold: Option<Arc<dyn Hold>>,
    /// What it keeps for those who bind later.
    pub(crate) history: Option<History>,
    /// Where either is.
    pub(crate) timeline: Option<T>,
    /// What it has seen, where it drops repetitions.
    pub(crate) cache: Option<Arc<Cache>>,
}
