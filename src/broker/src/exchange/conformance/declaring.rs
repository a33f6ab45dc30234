//! Names and arguments of exchanges.

use std::collections::BTreeSet;

use leveret_amqp::{FieldTable, ReplyCode};

use super::{
    Rule, Setup, Violation, hostile,
    subject::{Subject, declare},
    violation::hold,
};
use crate::exchange::ExchangeType;

pub(super) fn check(kind: &dyn ExchangeType, setup: &Setup) -> Result<(), Violation> {
    check_name(kind)?;
    Subject::new(kind, setup)?;
    for arguments in &setup.refused_arguments {
        let refused = declare(kind, arguments)?.is_err();
        hold(Rule::ArgumentsRefused, refused, || format!("{arguments} accepted"))?;
        check_refusal(kind, arguments)?;
    }
    hostile_arguments(kind, setup).iter().try_for_each(|arguments| check_refusal(kind, arguments))
}

fn check_name(kind: &dyn ExchangeType) -> Result<(), Violation> {
    let name = kind.name();
    let fits =
        (1..=255).contains(&name.len()) && !name.chars().any(|letter| letter.is_control() || letter.is_whitespace());
    hold(Rule::Name, fits && name == kind.name(), || format!("{name:?}"))
}

/// Where arguments are refused, the code must be right.
fn check_refusal(kind: &dyn ExchangeType, arguments: &FieldTable) -> Result<(), Violation> {
    let error = declare(kind, arguments)?.err();
    let precise = error.as_ref().is_none_or(|error| error.code == ReplyCode::PreconditionFailed);
    hold(Rule::ArgumentsRefused, precise, || format!("{arguments} refused with {error:?}"))
}

/// The arguments that the type is known to look at, each with values of every type.
fn hostile_arguments(kind: &dyn ExchangeType, setup: &Setup) -> Vec<FieldTable> {
    let refused = setup.refused_arguments.iter().flat_map(FieldTable::iter);
    let known = setup.arguments.iter().chain(refused).map(|(name, _)| name);
    let names: BTreeSet<&str> = known.chain(kind.compared_arguments().iter().copied()).collect();
    let changed = |name: &&str| {
        hostile::values()
            .into_iter()
            .map(|value| {
                let mut arguments = setup.arguments.clone();
                arguments.insert(*name, value);
                arguments
            })
            .collect::<Vec<_>>()
    };
    names.iter().flat_map(changed).collect()
}
