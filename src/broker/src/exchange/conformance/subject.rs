//! An exchange under trial: whatever is done to it, what holds for every route is looked at.

use std::{
    any::Any,
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use leveret_amqp::FieldTable;

use super::{Message, Rule, Setup, Violation, violation::hold};
use crate::{
    Error,
    exchange::{Binding, Destination, ExchangeType, ExchangeTypes, Router},
};

/// Where a message goes.
pub(super) type Route = BTreeSet<Destination>;

/// A router and what is bound.
pub(super) struct Subject<'a> {
    setup: &'a Setup,
    router: Box<dyn Router>,
    bound: BTreeMap<Destination, usize>,
}

impl<'a> Subject<'a> {
    /// A new exchange with the setup's arguments.
    pub(super) fn new(kind: &dyn ExchangeType, setup: &'a Setup) -> Result<Self, Violation> {
        let router = declare(kind, &setup.arguments)?;
        let router = router.map_err(|error| Violation {
            rule: Rule::ArgumentsAccepted,
            details: format!("{} refused: {error}", setup.arguments),
        })?;
        Ok(Self { setup, router, bound: BTreeMap::new() })
    }

    /// A new exchange with these bindings.
    pub(super) fn with<'b>(
        kind: &dyn ExchangeType,
        setup: &'a Setup,
        bindings: impl IntoIterator<Item = &'b Binding>,
    ) -> Result<Self, Violation> {
        let mut subject = Self::new(kind, setup)?;
        bindings.into_iter().try_for_each(|binding| subject.bind(binding))?;
        Ok(subject)
    }

    pub(super) fn cacheable(&self) -> bool {
        self.router.cacheable()
    }

    /// What the type thinks of a binding.
    pub(super) fn validate(&self, binding: &Binding) -> Result<Result<(), Error>, Violation> {
        guarded(|| format!("validating {}", shown(binding)), || self.router.validate_binding(binding))
    }

    /// Adds a binding, as after a restart: without asking.
    pub(super) fn bind(&mut self, binding: &Binding) -> Result<(), Violation> {
        guarded(|| format!("adding {}", shown(binding)), || self.router.bind(binding))?;
        *self.bound.entry(binding.destination.clone()).or_default() += 1;
        Ok(())
    }

    /// Removes a binding that is there.
    pub(super) fn unbind(&mut self, binding: &Binding) -> Result<(), Violation> {
        guarded(|| format!("removing {}", shown(binding)), || self.router.unbind(binding))?;
        if let Some(bindings) = self.bound.get_mut(&binding.destination) {
            *bindings -= 1;
            if *bindings == 0 {
                self.bound.remove(&binding.destination);
            }
        }
        Ok(())
    }

    /// Routes a message, with all that holds for every route.
    pub(super) fn route(&self, message: &Message) -> Result<Route, Violation> {
        let route = self.route_once(message)?;
        if self.setup.deterministic {
            let again = self.route_once(message)?;
            hold(Rule::Deterministic, route == again, || {
                format!("{message:?} went to {}, and the next time to {}", names(&route), names(&again))
            })?;
        }
        Ok(route)
    }

    /// Routes a message where one rule is looked at: that something is found that is not bound breaks that rule.
    pub(super) fn route_for(
        &self,
        rule: Rule,
        message: &Message,
        what: impl FnOnce() -> String,
    ) -> Result<Route, Violation> {
        self.route(message).map_err(|violation| match violation.rule {
            Rule::BoundOnly => Violation { rule, details: format!("{}: {}", what(), violation.details) },
            _ => violation,
        })
    }

    fn route_once(&self, message: &Message) -> Result<Route, Violation> {
        let before = Destination::Queue("there before".into());
        let mut out = vec![before.clone()];
        let routing = || message.show(|input| self.router.route(input, &mut out));
        guarded(|| format!("routing {message:?}"), routing)?;
        let mut found = out.into_iter();
        hold(Rule::Appends, found.next() == Some(before), || format!("{message:?} took out what was there before"))?;
        let mut route = Route::new();
        for destination in found {
            let name = shown_destination(&destination);
            hold(Rule::BoundOnly, self.bound.contains_key(&destination), || {
                format!("{message:?} went to {name}, which is not bound")
            })?;
            hold(Rule::Once, route.insert(destination), || format!("{message:?} went to {name} twice"))?;
        }
        Ok(route)
    }

    /// Looks whether another exchange with the same bindings routes the same. Where lots are drawn, only whether it
    /// routes at all.
    pub(super) fn check_same<'m>(
        &self,
        other: &Self,
        messages: impl IntoIterator<Item = &'m Message>,
        rule: Rule,
        what: impl Fn() -> String,
    ) -> Result<(), Violation> {
        for message in messages {
            let (here, there) = (self.route_for(rule, message, &what)?, other.route(message)?);
            let same = if self.setup.deterministic { here == there } else { here.is_empty() == there.is_empty() };
            hold(rule, same, || {
                format!("{}: {message:?} goes to {}, but should go to {}", what(), names(&here), names(&there))
            })?;
        }
        Ok(())
    }
}

/// Declares an exchange, as the broker does.
pub(super) fn declare(
    kind: &dyn ExchangeType,
    arguments: &FieldTable,
) -> Result<Result<Box<dyn Router>, Error>, Violation> {
    guarded(
        || format!("declaring with {arguments}"),
        || {
            kind.validate(arguments)?;
            kind.router_among(arguments, &ExchangeTypes::default())
        },
    )
}

/// Bindings of the setup, each to each of so many queues, and exchanges where the type takes them.
pub(super) fn pool(setup: &Setup, queues: usize) -> Vec<Binding> {
    let names = (0..queues).map(|number| format!("d{number}"));
    let to_queues = names.clone().map(|name| Destination::Queue(name.into()));
    // Of the same names: these are two things.
    let to_exchanges =
        names.take(if setup.binds_exchanges { 2 } else { 0 }).map(|name| Destination::Exchange(name.into()));
    let destinations: Vec<_> = to_queues.chain(to_exchanges).collect();
    let all = |(key, arguments): &(Vec<u8>, FieldTable)| {
        let (key, arguments) = (key.clone(), arguments.clone());
        destinations.clone().into_iter().map(move |destination| binding(destination, &key, &arguments))
    };
    setup.bindings.iter().flat_map(all).collect()
}

/// A binding of the exchange under trial.
pub(super) fn binding(destination: Destination, key: &[u8], arguments: &FieldTable) -> Binding {
    let source = Arc::from("under trial");
    Binding { source, destination, routing_key: key.into(), arguments: arguments.clone() }
}

/// A binding, for people.
pub(super) fn shown(binding: &Binding) -> String {
    let (destination, key) = (shown_destination(&binding.destination), binding.routing_key.escape_ascii());
    match binding.arguments == FieldTable::new() {
        true => format!("a binding of {destination} with key '{key}'"),
        false => format!("a binding of {destination} with key '{key}' and {}", binding.arguments),
    }
}

fn shown_destination(destination: &Destination) -> String {
    format!("{} '{}'", destination.kind(), destination.name())
}

/// The beginning of a route, for people.
pub(super) fn names(route: &Route) -> String {
    const SHOWN: usize = 8;
    let names: Vec<_> = route.iter().take(SHOWN).map(shown_destination).collect();
    match route.len() {
        0 => "nothing".to_owned(),
        all if all > SHOWN => format!("{} and {} more", names.join(", "), all - SHOWN),
        _ => names.join(", "),
    }
}

fn guarded<T>(what: impl FnOnce() -> String, work: impl FnOnce() -> T) -> Result<T, Violation> {
    // What it leaves behind is not looked at any more.
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| Violation {
        rule: Rule::NoPanic,
        details: format!("{} panicked: {}", what(), text_of(&*panic)),
    })
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a text")
}
