//! The exchange types that can be declared, by name.

use std::{collections::BTreeMap, fmt, sync::Arc};

use leveret_amqp::FieldTable;

use super::{Direct, ExchangeType, Fanout, Headers, Router, Topic};
use crate::Error;

/// Two types want the same name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("exchange type '{0}' is registered twice")]
pub struct DuplicateExchangeType(pub String);

/// The registry of exchange types. A clone is a snapshot.
#[derive(Clone)]
pub struct ExchangeTypes {
    types: BTreeMap<Arc<str>, Arc<dyn ExchangeType>>,
}

impl ExchangeTypes {
    /// Adds a type.
    ///
    /// # Errors
    /// Where the name is taken.
    pub fn register(&mut self, kind: Arc<dyn ExchangeType>) -> Result<(), DuplicateExchangeType> {
        if self.types.contains_key(kind.name()) {
            return Err(DuplicateExchangeType(kind.name().to_owned()));
        }
        self.types.insert(kind.name().into(), kind);
        Ok(())
    }

    /// The type of that name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Arc<dyn ExchangeType>> {
        self.types.get(name)
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.types.keys().map(AsRef::as_ref)
    }
}

/// The four types of the specification.
impl Default for ExchangeTypes {
    fn default() -> Self {
        let built_in = [
            BuiltIn { name: "direct", router: || Box::new(Direct::default()) },
            BuiltIn { name: "fanout", router: || Box::new(Fanout::default()) },
            BuiltIn { name: "headers", router: || Box::new(Headers::default()) },
            BuiltIn { name: "topic", router: || Box::new(Topic::default()) },
        ];
        let types = built_in.into_iter().map(|kind| (Arc::from(kind.name), Arc::new(kind) as Arc<dyn ExchangeType>));
        Self { types: types.collect() }
    }
}

impl fmt::Debug for ExchangeTypes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_set().entries(self.names()).finish()
    }
}

struct BuiltIn {
    name: &'static str,
    router: fn() -> Box<dyn Router>,
}

impl ExchangeType for BuiltIn {
    fn name(&self) -> &str {
        self.name
    }

    fn router(&self, _arguments: &FieldTable) -> Result<Box<dyn Router>, Error> {
        Ok((self.router)())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_types_of_the_specification_are_there() {
        assert_eq!(ExchangeTypes::default().names().collect::<Vec<_>>(), ["direct", "fanout", "headers", "topic"]);
    }

    #[test]
    fn a_name_is_registered_once() {
        let mut types = ExchangeTypes::default();
        let topic = Arc::new(BuiltIn { name: "topic", router: || Box::new(Topic::default()) });
        assert_eq!(types.register(topic), Err(DuplicateExchangeType("topic".to_owned())));
        let other = Arc::new(BuiltIn { name: "x-other", router: || Box::new(Topic::default()) });
        assert_eq!(types.register(other), Ok(()));
        assert!(types.find("x-other").is_some());
    }
}
