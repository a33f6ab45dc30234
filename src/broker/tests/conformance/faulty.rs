//! An exchange type as `direct` is, apart from one fault.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use leveret_amqp::{FieldTable, ReplyCode};
use leveret_broker::{
    Error,
    exchange::{Binding, Destination, ExchangeType, RouteInput, Router},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    EmptyName,
    SpaceInName,
    RefusesAllArguments,
    AcceptsAllArguments,
    RefusesArgumentsWith404,
    PanicsOnArguments,
    RefusesAllBindings,
    AcceptsAllBindings,
    RefusesBindingsWith404,
    RoutesWithoutBindings,
    KeepsRemoved,
    SharesBindings,
    RoutesNowhere,
    IgnoresArguments,
    ClearsTheList,
    InventsDestinations,
    Repeats,
    TakesTurns,
    FirstBindingOnly,
    ForgetsTwins,
    ForgetsTheRest,
    KeepsWhatIsNotANumber,
    LooksAtHeaders,
    PanicsOnKeys,
    PanicsOnBindingKeys,
    PanicsOnHeaders,
}

/// The argument that must be a string, of the exchange and of a binding.
pub(crate) const TEXT: &str = "x-text";

#[derive(Debug)]
pub(crate) struct Faulty {
    fault: Fault,
    shared: Arc<Mutex<Vec<Binding>>>,
}

impl Faulty {
    pub(crate) fn new(fault: Fault) -> Self {
        Self { fault, shared: Arc::default() }
    }
}

fn check_text(arguments: &FieldTable, code: ReplyCode) -> Result<(), Error> {
    match arguments.get(TEXT) {
        Some(value) if value.as_str().is_none() => Err(Error::new(code, "not a string")),
        _ => Ok(()),
    }
}

impl ExchangeType for Faulty {
    fn name(&self) -> &str {
        match self.fault {
            Fault::EmptyName => "",
            Fault::SpaceInName => "x faulty",
            _ => "x-faulty",
        }
    }

    fn validate(&self, arguments: &FieldTable) -> Result<(), Error> {
        match self.fault {
            Fault::RefusesAllArguments => Err(Error::precondition_failed("no")),
            Fault::AcceptsAllArguments => Ok(()),
            Fault::RefusesArgumentsWith404 => check_text(arguments, ReplyCode::NotFound),
            Fault::PanicsOnArguments => {
                assert!(check_text(arguments, ReplyCode::PreconditionFailed).is_ok());
                Ok(())
            }
            _ => check_text(arguments, ReplyCode::PreconditionFailed),
        }
    }

    fn router(&self, _arguments: &FieldTable) -> Result<Box<dyn Router>, Error> {
        let bindings = if self.fault == Fault::SharesBindings { Arc::clone(&self.shared) } else { Arc::default() };
        Ok(Box::new(FaultyRouter { fault: self.fault, bindings, most: 0, turn: AtomicUsize::new(0) }))
    }
}

/// As bytes: a value that is not a number differs from itself.
fn encoded(arguments: &FieldTable) -> Vec<u8> {
    let mut bytes = Vec::new();
    arguments.encode(&mut bytes);
    bytes
}

struct FaultyRouter {
    fault: Fault,
    bindings: Arc<Mutex<Vec<Binding>>>,
    /// Most bindings there ever were.
    most: usize,
    turn: AtomicUsize,
}

impl Router for FaultyRouter {
    fn validate_binding(&self, binding: &Binding) -> Result<(), Error> {
        match self.fault {
            Fault::RefusesAllBindings => Err(Error::precondition_failed("no")),
            Fault::AcceptsAllBindings => Ok(()),
            Fault::RefusesBindingsWith404 => check_text(&binding.arguments, ReplyCode::NotFound),
            _ => check_text(&binding.arguments, ReplyCode::PreconditionFailed),
        }
    }

    fn bind(&mut self, binding: &Binding) {
        if self.fault == Fault::PanicsOnBindingKeys {
            str::from_utf8(&binding.routing_key).unwrap();
        }
        let mut bindings = self.bindings.lock().unwrap();
        bindings.push(binding.clone());
        self.most = self.most.max(bindings.len());
    }

    fn unbind(&mut self, binding: &Binding) {
        let is_twin =
            |other: &Binding| other.destination == binding.destination && other.routing_key == binding.routing_key;
        let mut bindings = self.bindings.lock().unwrap();
        match self.fault {
            Fault::KeepsRemoved => {}
            Fault::KeepsWhatIsNotANumber => bindings.retain(|other| other != binding),
            Fault::ForgetsTwins => bindings.retain(|other| !is_twin(other)),
            _ => bindings.retain(|other| !is_twin(other) || encoded(&other.arguments) != encoded(&binding.arguments)),
        }
    }

    fn route(&self, input: &RouteInput<'_>, out: &mut Vec<Destination>) {
        let bindings = self.bindings.lock().unwrap();
        let matches = |binding: &&Binding| *binding.routing_key == *input.routing_key;
        let mut found: Vec<_> = bindings.iter().filter(matches).map(|binding| binding.destination.clone()).collect();
        if self.fault != Fault::Repeats && self.fault != Fault::FirstBindingOnly {
            found.sort();
            found.dedup();
        }
        let invented = || Destination::Queue("invented".into());
        match self.fault {
            Fault::RoutesWithoutBindings => found.push(invented()),
            Fault::InventsDestinations if !found.is_empty() => found.push(invented()),
            Fault::RoutesNowhere => found.clear(),
            Fault::IgnoresArguments if input.routing_key.is_empty() => found.clear(),
            Fault::ClearsTheList => out.clear(),
            Fault::TakesTurns if !found.is_empty() => {
                let turn = self.turn.fetch_add(1, Ordering::Relaxed) % found.len();
                found = vec![found.swap_remove(turn)];
            }
            Fault::FirstBindingOnly => found.truncate(1),
            // Of more than two: smaller exchanges are looked at by another rule.
            Fault::ForgetsTheRest if self.most > 2 && bindings.len() * 2 <= self.most => found.clear(),
            Fault::LooksAtHeaders if input.properties.headers.is_some() => found.clear(),
            Fault::PanicsOnKeys => assert!(input.routing_key.is_ascii()),
            Fault::PanicsOnHeaders => {
                input.properties.headers.map(|headers| headers.decode().unwrap());
            }
            _ => {}
        }
        out.append(&mut found);
    }
}
