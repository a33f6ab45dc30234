//! As many bindings as a large exchange has.

use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};

use super::{
    Rule, Setup, Violation,
    subject::{Subject, binding},
};
use crate::exchange::{Binding, Destination, ExchangeType};

/// To as many queues.
const BINDINGS: usize = 10_000;

/// Seed of the order in which they are removed.
const SEED: u64 = 1;

pub(super) fn check(kind: &dyn ExchangeType, setup: &Setup) -> Result<(), Violation> {
    let mut bindings: Vec<_> = numbered(setup).collect();
    let mut subject = Subject::with(kind, setup, &bindings)?;
    setup.messages.iter().try_for_each(|message| subject.route(message).map(|_| ()))?;
    bindings.shuffle(&mut StdRng::seed_from_u64(SEED));
    let (removed, left) = bindings.split_at(BINDINGS / 2);
    removed.iter().try_for_each(|binding| subject.unbind(binding))?;
    let fresh = Subject::with(kind, setup, left)?;
    let what = || format!("of {BINDINGS} bindings half were removed");
    subject.check_same(&fresh, &setup.messages, Rule::Removal, what)?;
    left.iter().try_for_each(|binding| subject.unbind(binding))?;
    let empty = Subject::new(kind, setup)?;
    subject.check_same(&empty, &setup.messages, Rule::Removal, || format!("{BINDINGS} bindings came and went"))
}

fn numbered(setup: &Setup) -> impl Iterator<Item = Binding> {
    setup
        .bindings
        .iter()
        .cycle()
        .take(BINDINGS)
        .enumerate()
        .map(|(number, (key, arguments))| binding(Destination::Queue(format!("q{number}").into()), key, arguments))
}
