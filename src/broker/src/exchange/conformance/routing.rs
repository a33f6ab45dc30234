//! What holds for a route, whatever is bound.

use super::{
    Message, Rule, Setup, Violation, hostile,
    subject::{Subject, names, pool, shown},
    violation::hold,
};
use crate::exchange::{Binding, ExchangeType};

/// Queues that the setup's bindings lead to.
const QUEUES: usize = 3;

pub(super) fn check(kind: &dyn ExchangeType, setup: &Setup) -> Result<(), Violation> {
    let bindings = pool(setup, QUEUES);
    check_without_bindings(kind, setup, &bindings)?;
    bindings.iter().try_for_each(|binding| check_works(kind, setup, binding))?;
    check_cacheable(kind, setup, &bindings)
}

fn check_without_bindings(kind: &dyn ExchangeType, setup: &Setup, bindings: &[Binding]) -> Result<(), Violation> {
    let goes_nowhere = |subject: &Subject<'_>, rule, what: &str| {
        let mut messages = setup.messages.iter();
        messages.try_for_each(|message| subject.route_for(rule, message, || what.to_owned()).map(|_| ()))
    };
    let first = Subject::new(kind, setup)?;
    goes_nowhere(&first, Rule::NothingWithoutBindings, "nothing was ever bound")?;
    let mut second = Subject::with(kind, setup, bindings)?;
    goes_nowhere(&first, Rule::OwnBindings, "only another exchange has bindings")?;
    bindings.iter().try_for_each(|binding| second.unbind(binding))?;
    goes_nowhere(&second, Rule::NothingWithoutBindings, "all bindings were removed")
}

fn check_works(kind: &dyn ExchangeType, setup: &Setup, binding: &Binding) -> Result<(), Violation> {
    let subject = Subject::with(kind, setup, [binding])?;
    let accepted = subject.validate(binding)?;
    hold(Rule::BindingsAccepted, accepted.is_ok(), || format!("{}: {accepted:?}", shown(binding)))?;
    let routes = setup.messages.iter().map(|message| subject.route(message)).collect::<Result<Vec<_>, _>>()?;
    hold(Rule::BindingsWork, routes.iter().any(|route| !route.is_empty()), || format!("{} gets none", shown(binding)))
}

/// Looks at each key with all properties there are, if the type says that they do not matter.
fn check_cacheable(kind: &dyn ExchangeType, setup: &Setup, bindings: &[Binding]) -> Result<(), Violation> {
    let subject = Subject::with(kind, setup, bindings)?;
    if !subject.cacheable() {
        return Ok(());
    }
    hold(Rule::Cacheable, setup.deterministic, || "routes that are not deterministic may be kept".to_owned())?;
    let all: Vec<_> = setup.messages.iter().cloned().chain(hostile::messages()).collect();
    for message in &setup.messages {
        let route = subject.route(message)?;
        for other in &all {
            let other = Message { routing_key: message.routing_key.clone(), ..other.clone() };
            let another = subject.route(&other)?;
            hold(Rule::Cacheable, route == another, || {
                format!("{message:?} goes to {}, {other:?} to {}", names(&route), names(&another))
            })?;
        }
    }
    Ok(())
}
