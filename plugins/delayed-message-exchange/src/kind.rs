//! The exchange type `x-delayed-message`.

use std::sync::Arc;

use leveret_amqp::{FieldTable, FieldValue};
use leveret_broker::{
    Error,
    exchange::{ExchangeType, ExchangeTypes, Hold, Router},
};

use crate::Delay;

/// The type's name.
const NAME: &str = "x-delayed-message";

/// The argument that names the type which routes.
const DELAYED_TYPE: &str = "x-delayed-type";

/// Exchange type `x-delayed-message`.
pub struct DelayedMessage;

impl ExchangeType for DelayedMessage {
    fn name(&self) -> &str {
        NAME
    }

    fn router(&self, _arguments: &FieldTable) -> Result<Box<dyn Router>, Error> {
        Err(no_such_type())
    }

    /// The router of the other type: nothing stands between it and what need not wait.
    fn router_among(&self, arguments: &FieldTable, types: &ExchangeTypes) -> Result<Box<dyn Router>, Error> {
        let name = arguments.get(DELAYED_TYPE).and_then(FieldValue::as_str).filter(|name| *name != NAME);
        let other = name.and_then(|name| types.find(name)).ok_or_else(no_such_type)?;
        other.validate(arguments)?;
        other.router_among(arguments, types)
    }

    fn hold(&self, _arguments: &FieldTable) -> Option<Arc<dyn Hold>> {
        Some(Arc::new(Delay))
    }

    fn compared_arguments(&self) -> &[&str] {
        &[DELAYED_TYPE]
    }
}

fn no_such_type() -> Error {
    Error::precondition_failed("Invalid argument, 'x-delayed-type' must be an existing exchange type")
}

#[cfg(test)]
mod tests {
    use leveret_broker::exchange::conformance::{Setup, check};

    use super::*;

    #[test]
    fn it_conforms() {
        let with = |kind| FieldTable::new().with(DELAYED_TYPE, kind);
        let setup = Setup {
            arguments: with("topic"),
            refused_arguments: vec![FieldTable::new(), with("x-not-valid"), with(NAME)],
            ..Setup::of_keys(["a", "b", "a.b"])
        };
        check(&DelayedMessage, &setup).unwrap();
    }

    fn router(arguments: &FieldTable) -> Result<Box<dyn Router>, Error> {
        DelayedMessage.router_among(arguments, &ExchangeTypes::default())
    }

    #[test]
    fn the_other_type_must_exist_and_be_another() {
        let refused = |arguments| router(&arguments).err().map(|error| error.text.to_string());
        let text = "Invalid argument, 'x-delayed-type' must be an existing exchange type";
        let with = |kind| FieldTable::new().with(DELAYED_TYPE, FieldValue::from(kind));
        assert_eq!(refused(FieldTable::new()).as_deref(), Some(text));
        assert_eq!(refused(with("x-not-valid")).as_deref(), Some(text));
        assert_eq!(refused(with(NAME)).as_deref(), Some(text));
        assert_eq!(refused(FieldTable::new().with(DELAYED_TYPE, 5_i32)).as_deref(), Some(text));
        assert_eq!(refused(with("topic")), None);
    }
}
