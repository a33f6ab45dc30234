//! Declaring a queue again: the same, or refused.

use leveret_amqp::{FieldTable, FieldValue};

use super::{keys::KEYS, queue_kind};
use crate::{Error, deduplication};

/// A queue as it is or as somebody declares it.
#[derive(Clone, Copy, Debug)]
pub struct QueueDeclaration<'a> {
    /// Its vhost.
    pub vhost: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Survives a restart.
    pub durable: bool,
    /// Goes with its last consumer.
    pub auto_delete: bool,
    /// The connection that has it to itself. In a declaration, the declaring connection if `exclusive` is set.
    pub exclusive_to: Option<u64>,
    /// Its arguments.
    pub arguments: &'a FieldTable,
}

/// Checks that an existing queue is what is declared now, in RabbitMQ's order: owner, flags, arguments. Of the arguments
/// those count that the queue's type knows, except the consumer timeouts; integers are compared regardless of width.
///
/// # Errors
/// 405 for another connection's exclusive queue or another `exclusive` flag, else 406 with the first difference.
pub fn check_equivalent(existing: &QueueDeclaration<'_>, declared: &QueueDeclaration<'_>) -> Result<(), Error> {
    let QueueDeclaration { name, vhost, .. } = *existing;
    if existing.exclusive_to != declared.exclusive_to {
        return Err(Error::locked_queue(name, vhost));
    }
    for (key, declared, existing) in
        [("durable", declared.durable, existing.durable), ("auto_delete", declared.auto_delete, existing.auto_delete)]
    {
        if declared != existing {
            return Err(Error::inequivalent_property(key, "queue", name, vhost, declared, existing));
        }
    }
    let kind = queue_kind(existing.arguments);
    for key in KEYS.iter().filter(|key| key.is_for(kind) && !key.free) {
        let (declared, existing) = (value(declared.arguments, key.name), value(existing.arguments, key.name));
        Error::check_equivalent_arg(key.name, "queue", name, vhost, declared.as_ref(), existing.as_ref())?;
    }
    for key in deduplication::ARGUMENTS {
        let (declared, existing) = (declared.arguments.get(key), existing.arguments.get(key));
        Error::check_equivalent_arg(key, "queue", name, vhost, declared, existing)?;
    }
    Ok(())
}

/// A queue without a type is a classic queue that says so.
fn value(arguments: &FieldTable, key: &str) -> Option<FieldValue> {
    let classic = || (key == "x-queue-type").then(|| FieldValue::from("classic"));
    arguments.get(key).cloned().or_else(classic)
}

#[cfg(test)]
mod tests {
    use leveret_amqp::ReplyCode;

    use super::*;

    fn queue(arguments: &FieldTable) -> QueueDeclaration<'_> {
        QueueDeclaration { vhost: "/", name: "q", durable: true, auto_delete: false, exclusive_to: None, arguments }
    }

    fn difference(existing: &FieldTable, declared: &FieldTable) -> Option<String> {
        check_equivalent(&queue(existing), &queue(declared)).err().map(|error| error.text)
    }

    #[test]
    fn flags_in_order() {
        let none = FieldTable::new();
        let existing = queue(&none);
        assert_eq!(check_equivalent(&existing, &existing), Ok(()));
        let different = QueueDeclaration { durable: false, auto_delete: true, exclusive_to: Some(1), ..existing };
        let error = check_equivalent(&existing, &different).unwrap_err();
        assert_eq!(error.code, ReplyCode::ResourceLocked);
        assert_eq!(
            error.text,
            "cannot obtain exclusive access to locked queue 'q' in vhost '/'. It could be originally declared on \
             another connection or the exclusive property value does not match that of the original declaration."
        );
        let different = QueueDeclaration { exclusive_to: None, ..different };
        let error = check_equivalent(&existing, &different).unwrap_err();
        assert_eq!(error.code, ReplyCode::PreconditionFailed);
        assert_eq!(
            error.text,
            "inequivalent arg 'durable' for queue 'q' in vhost '/': received 'false' but current is 'true'"
        );
        let error = check_equivalent(&existing, &QueueDeclaration { durable: true, ..different }).unwrap_err();
        assert_eq!(
            error.text,
            "inequivalent arg 'auto_delete' for queue 'q' in vhost '/': received 'true' but current is 'false'"
        );
    }

    #[test]
    fn an_exclusive_queue_is_the_owners() {
        let none = FieldTable::new();
        let owned = QueueDeclaration { exclusive_to: Some(1), ..queue(&none) };
        assert!(check_equivalent(&owned, &owned).is_ok());
        assert!(check_equivalent(&owned, &QueueDeclaration { exclusive_to: Some(2), ..owned }).is_err());
        assert!(check_equivalent(&owned, &queue(&none)).is_err());
    }

    #[test]
    fn arguments_differ() {
        let ten = FieldTable::new().with("x-max-length", 10);
        assert_eq!(
            difference(&ten, &FieldTable::new()).unwrap(),
            "inequivalent arg 'x-max-length' for queue 'q' in vhost '/': received none but current is the value '10' of \
             type 'signedint'"
        );
        assert_eq!(
            difference(&FieldTable::new(), &ten).unwrap(),
            "inequivalent arg 'x-max-length' for queue 'q' in vhost '/': received the value '10' of type 'signedint' but \
             current is none"
        );
        assert_eq!(
            difference(&ten, &FieldTable::new().with("x-max-length", 20)).unwrap(),
            "inequivalent arg 'x-max-length' for queue 'q' in vhost '/': received '20' but current is '10'"
        );
        assert_eq!(difference(&ten, &FieldTable::new().with("x-max-length", 10_i64)), None);
    }

    #[test]
    fn a_missing_type_is_classic() {
        let (none, classic) = (FieldTable::new(), FieldTable::new().with("x-queue-type", "classic"));
        let quorum = FieldTable::new().with("x-queue-type", "quorum");
        assert_eq!(difference(&none, &classic), None);
        assert_eq!(difference(&classic, &none), None);
        assert_eq!(
            difference(&quorum, &none).unwrap(),
            "inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': received 'classic' but current is 'quorum'"
        );
    }

    #[test]
    fn unknown_arguments_and_timeouts_do_not_count() {
        let other = FieldTable::new().with("x-mine", "a").with("x-consumer-timeout", 5);
        assert_eq!(difference(&FieldTable::new(), &other), None);
    }
}
