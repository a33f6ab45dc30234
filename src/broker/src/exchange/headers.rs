//! Headers exchange: bindings ask for headers by name and value.
//!
//! `x-match` says how many must agree: `all` (the default) or `any`, in which headers whose names start with `x-` are
//! not asked for, and `all-with-x` or `any-with-x`, in which they are. An argument without a value (void) asks for the
//! name only. Integers are equal whatever their width. After RabbitMQ's `rabbit_exchange_type_headers`.
//!
//! The conditions are indexed by name and value; a message's headers look up the rules that ask for them and count how
//! many conditions of each are met. So a route costs as much as there are agreeing conditions, not as there are bindings.

use std::{collections::HashMap, sync::Arc};

use leveret_amqp::{FieldTable, FieldValue, RawTable};

use super::{
    Binding, Destination, RouteInput, Router, canonical,
    counted::CountedSet,
    interner::Interner,
    scratch::{self, Scratch},
};
use crate::{Error, error::erlang_binary};

/// Router of a headers exchange.
#[derive(Debug, Default)]
pub struct Headers {
    destinations: Interner<Destination>,
    /// Distinct (destination, mode, conditions); the routing key of a binding means nothing here.
    identities: Interner<Arc<[u8]>>,
    rules: Vec<Rule>,
    names: Interner<Arc<[u8]>>,
    conditions: Vec<Conditions>,
    /// Rules that ask for everything of nothing.
    unconditional: CountedSet<u32>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Rule {
    destination: u32,
    /// Conditions to be met: one for `any`.
    needed: u32,
}

/// Who asks for one name.
#[derive(Debug, Default)]
struct Conditions {
    present: CountedSet<u32>,
    equal: HashMap<Box<[u8]>, CountedSet<u32>, ahash::RandomState>,
}

/// A binding's arguments, understood.
struct Specification<'a> {
    any: bool,
    conditions: Vec<(&'a str, &'a FieldValue)>,
}

impl Router for Headers {
    fn validate_binding(&self, binding: &Binding) -> Result<(), Error> {
        match binding.arguments.get("x-match") {
            None => Ok(()),
            Some(value) => check_match(value),
        }
    }

    fn bind(&mut self, binding: &Binding) {
        let specification = Specification::of(&binding.arguments);
        let (destination, _) = self.destinations.acquire(&binding.destination, Destination::clone);
        let (number, is_new) = self.identities.acquire(&specification.identity(destination)[..], Arc::from);
        if is_new {
            self.add_rule(number, destination, &specification);
        }
    }

    fn unbind(&mut self, binding: &Binding) {
        let specification = Specification::of(&binding.arguments);
        let Some(destination) = self.destinations.find(&binding.destination) else { return };
        let Some(number) = self.identities.find(&specification.identity(destination)[..]) else { return };
        if self.identities.release(number) {
            self.remove_rule(number, &specification);
        }
        self.destinations.release(destination);
    }

    fn route(&self, input: &RouteInput<'_>, out: &mut Vec<Destination>) {
        scratch::with(|scratch| {
            scratch.destinations.begin(self.destinations.bound());
            scratch.first.begin(self.names.bound());
            scratch.rules.begin(self.rules.len());
            self.count(&self.unconditional, scratch, out);
            if !self.names.is_empty() {
                self.route_by(input.properties.headers.unwrap_or_default(), scratch, out);
            }
        });
    }

    fn cacheable(&self) -> bool {
        false
    }

    fn uses_routing_key(&self) -> bool {
        false
    }
}

impl Headers {
    fn route_by(&self, headers: RawTable<'_>, scratch: &mut Scratch, out: &mut Vec<Destination>) {
        // Malformed headers end here: they were refused when the message came in.
        for (name, value) in headers.iter().map_while(Result::ok) {
            let Some(number) = self.names.find(name) else { continue };
            // The first entry of a name is the one that counts.
            if !scratch.first.mark(number) {
                continue;
            }
            let conditions = &self.conditions[number as usize];
            self.count(&conditions.present, scratch, out);
            if conditions.equal.is_empty() {
                continue;
            }
            scratch.bytes.clear();
            if canonical::put_canonical(value, &mut scratch.bytes)
                && let Some(rules) = conditions.equal.get(&scratch.bytes[..])
            {
                self.count(rules, scratch, out);
            }
        }
    }

    /// Counts a condition as met for these rules; those for which it was the last one match.
    fn count(&self, rules: &CountedSet<u32>, scratch: &mut Scratch, out: &mut Vec<Destination>) {
        for &(number, times) in rules.entries() {
            let rule = self.rules[number as usize];
            if !scratch.destinations.is_marked(rule.destination) && scratch.rules.add(number, times) >= rule.needed {
                scratch.destinations.mark(rule.destination);
                out.extend(self.destinations.value(rule.destination).cloned());
            }
        }
    }

    fn add_rule(&mut self, number: u32, destination: u32, specification: &Specification<'_>) {
        let needed =
            if specification.any { 1 } else { u32::try_from(specification.conditions.len()).unwrap_or(u32::MAX) };
        set(&mut self.rules, number, Rule { destination, needed });
        if needed == 0 {
            self.unconditional.add(&number);
        }
        for (name, value) in &specification.conditions {
            let (name, is_new) = self.names.acquire(name.as_bytes(), Arc::from);
            if is_new {
                set(&mut self.conditions, name, Conditions::default());
            }
            self.conditions[name as usize].add(value, number);
        }
    }

    fn remove_rule(&mut self, number: u32, specification: &Specification<'_>) {
        self.unconditional.remove(&number);
        for (name, value) in &specification.conditions {
            if let Some(name) = self.names.find(name.as_bytes()) {
                self.conditions[name as usize].remove(value, number);
                self.names.release(name);
            }
        }
    }
}

impl Conditions {
    fn add(&mut self, value: &FieldValue, rule: u32) {
        match value {
            FieldValue::Void => self.present.add(&rule),
            value => self.equal.entry(canonical_box(value)).or_default().add(&rule),
        }
    }

    fn remove(&mut self, value: &FieldValue, rule: u32) {
        if *value == FieldValue::Void {
            self.present.remove(&rule);
            return;
        }
        let key = canonical_box(value);
        if let Some(rules) = self.equal.get_mut(&key) {
            rules.remove(&rule);
            if rules.is_empty() {
                self.equal.remove(&key);
            }
        }
    }
}

impl<'a> Specification<'a> {
    fn of(arguments: &'a FieldTable) -> Self {
        // Anything else was refused when it came, or is older than the check: then it means `all`, as in RabbitMQ.
        let (any, with_x) = match arguments.get("x-match").and_then(FieldValue::as_str) {
            Some("any") => (true, false),
            Some("any-with-x") => (true, true),
            Some("all-with-x") => (false, true),
            _ => (false, false),
        };
        let is_asked_for = |name: &str| name != "x-match" && (with_x || !name.starts_with("x-"));
        let mut conditions: Vec<_> = arguments.iter().filter(|(name, _)| is_asked_for(name)).collect();
        conditions.sort_by_key(|(name, _)| *name);
        Self { any, conditions }
    }

    fn identity(&self, destination: u32) -> Vec<u8> {
        let mut identity = destination.to_be_bytes().to_vec();
        identity.push(self.any.into());
        for (name, value) in &self.conditions {
            identity.extend_from_slice(&name.len().to_be_bytes());
            identity.extend_from_slice(name.as_bytes());
            canonical::put(value, &mut identity);
        }
        identity
    }
}

fn check_match(value: &FieldValue) -> Result<(), Error> {
    match value {
        FieldValue::LongString(bytes) if matches!(&bytes[..], b"all" | b"any" | b"all-with-x" | b"any-with-x") => {
            Ok(())
        }
        FieldValue::LongString(bytes) => Err(Error::precondition_failed(format!(
            "Invalid x-match field value {}; expected all, any, all-with-x, or any-with-x",
            erlang_binary(bytes)
        ))),
        other => Err(Error::precondition_failed(format!(
            "Invalid x-match field type {} (value {other}); expected longstr",
            other.type_name()
        ))),
    }
}

fn canonical_box(value: &FieldValue) -> Box<[u8]> {
    let mut bytes = Vec::new();
    canonical::put(value, &mut bytes);
    bytes.into()
}

/// Sets the element of a dense number.
fn set<T: Default>(elements: &mut Vec<T>, number: u32, element: T) {
    let place = number as usize;
    if elements.len() <= place {
        elements.resize_with(place + 1, T::default);
    }
    elements[place] = element;
}

#[cfg(test)]
#[path = "headers_tests.rs"]
mod tests;
