//! The rules, and how one is broken.

use std::fmt;

/// What every exchange type holds to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// The type's name is always the same: 1 to 255 bytes, without spaces and control characters.
    Name,
    /// The arguments of the setup are accepted.
    ArgumentsAccepted,
    /// Wrong arguments of an exchange are refused, with 406.
    ArgumentsRefused,
    /// The bindings of the setup are accepted.
    BindingsAccepted,
    /// Wrong bindings are refused, with 406.
    BindingsRefused,
    /// An exchange without bindings routes nowhere, also after all of them have been removed.
    NothingWithoutBindings,
    /// Each exchange has its own bindings.
    OwnBindings,
    /// Each binding of the setup, where it is the only one, takes one of the setup's messages.
    BindingsWork,
    /// A route adds to the list that it is given and leaves alone what is in it.
    Appends,
    /// A route leads to bound destinations only.
    BoundOnly,
    /// A destination is in a route at most once.
    Once,
    /// The same message takes the same route, if the setup says so.
    Deterministic,
    /// The order in which bindings were made changes nothing, if the type is deterministic.
    Order,
    /// Each binding counts, also one that differs from another in its arguments alone: what is left when one of the two
    /// is removed is the other.
    EachCounts,
    /// After a removal everything is as if the binding had never been.
    Removal,
    /// A route that may be kept depends on routing key and bindings alone.
    Cacheable,
    /// Nothing that peers send makes it panic.
    NoPanic,
}

impl Rule {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::Name,
        Self::ArgumentsAccepted,
        Self::ArgumentsRefused,
        Self::BindingsAccepted,
        Self::BindingsRefused,
        Self::NothingWithoutBindings,
        Self::OwnBindings,
        Self::BindingsWork,
        Self::Appends,
        Self::BoundOnly,
        Self::Once,
        Self::Deterministic,
        Self::Order,
        Self::EachCounts,
        Self::Removal,
        Self::Cacheable,
        Self::NoPanic,
    ];

    const fn text(self) -> &'static str {
        match self {
            Self::Name => "the name is always the same, 1 to 255 bytes without spaces and control characters",
            Self::ArgumentsAccepted => "the arguments of the setup are accepted",
            Self::ArgumentsRefused => "wrong arguments of an exchange are refused with 406",
            Self::BindingsAccepted => "the bindings of the setup are accepted",
            Self::BindingsRefused => "wrong bindings are refused with 406",
            Self::NothingWithoutBindings => "without bindings a message goes nowhere",
            Self::OwnBindings => "each exchange has its own bindings",
            Self::BindingsWork => "each binding of the setup takes one of its messages",
            Self::Appends => "a route adds to the list that it is given",
            Self::BoundOnly => "a route leads to bound destinations only",
            Self::Once => "a destination is in a route at most once",
            Self::Deterministic => "the same message takes the same route",
            Self::Order => "the order of bindings changes nothing",
            Self::EachCounts => "each of two bindings to one destination counts",
            Self::Removal => "after a removal everything is as if the binding had never been",
            Self::Cacheable => "a route that may be kept depends on routing key and bindings alone",
            Self::NoPanic => "nothing that peers send makes it panic",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self:?} ({})", self.text())
    }
}

/// A rule that a type breaks.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("the exchange type breaks the rule {rule}: {details}")]
pub struct Violation {
    /// Which.
    pub rule: Rule,
    /// How.
    pub details: String,
}

/// As for people: this is what a test that unwraps shows.
impl fmt::Debug for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// Ok where the rule holds.
pub(super) fn hold(rule: Rule, holds: bool, details: impl FnOnce() -> String) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation { rule, details: details() }) }
}
