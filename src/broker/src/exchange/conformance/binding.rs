//! What adding and removing bindings comes to, in whatever order.

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};

use super::{
    Rule, Setup, Violation,
    subject::{Subject, pool, shown},
};
use crate::exchange::{Binding, ExchangeType};

/// Orders and histories that are tried. Fixed, so that what fails once fails again.
const SEEDS: std::ops::Range<u64> = 0..40;

/// Additions and removals in a history.
const STEPS: usize = 60;

/// Queues that the setup's bindings lead to.
const QUEUES: usize = 5;

pub(super) fn check(kind: &dyn ExchangeType, setup: &Setup) -> Result<(), Violation> {
    check_each_counts(kind, setup)?;
    SEEDS.into_iter().try_for_each(|seed| check_order(kind, setup, seed))?;
    SEEDS.into_iter().try_for_each(|seed| check_history(kind, setup, seed))
}

/// Two bindings to one destination, of which one is removed.
fn check_each_counts(kind: &dyn ExchangeType, setup: &Setup) -> Result<(), Violation> {
    let bindings = pool(setup, 1);
    for kept in &bindings {
        let others = bindings.iter().filter(|other| other.destination == kept.destination && *other != kept);
        for removed in others {
            let mut subject = Subject::with(kind, setup, [kept, removed])?;
            subject.unbind(removed)?;
            let alone = Subject::with(kind, setup, [kept])?;
            let what = || format!("after {} was removed, with {} left", shown(removed), shown(kept));
            subject.check_same(&alone, &setup.messages, Rule::EachCounts, what)?;
        }
    }
    Ok(())
}

fn check_order(kind: &dyn ExchangeType, setup: &Setup, seed: u64) -> Result<(), Violation> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut bindings = pool(setup, QUEUES);
    bindings.shuffle(&mut random);
    bindings.truncate(random.random_range(1..=bindings.len()));
    let one = Subject::with(kind, setup, &bindings)?;
    bindings.shuffle(&mut random);
    let other = Subject::with(kind, setup, &bindings)?;
    one.check_same(&other, &setup.messages, Rule::Order, || format!("{} bindings, seed {seed}", bindings.len()))
}

/// Additions and removals by lot; now and then a look whether the past can be seen.
fn check_history(kind: &dyn ExchangeType, setup: &Setup, seed: u64) -> Result<(), Violation> {
    let mut random = StdRng::seed_from_u64(seed);
    let pool = pool(setup, QUEUES);
    let mut subject = Subject::new(kind, setup)?;
    let mut bound: Vec<&Binding> = Vec::new();
    for step in 0..STEPS {
        let chosen = &pool[random.random_range(0..pool.len())];
        match bound.iter().position(|binding| *binding == chosen) {
            Some(place) => {
                subject.unbind(chosen)?;
                bound.remove(place);
            }
            None => {
                subject.bind(chosen)?;
                bound.push(chosen);
            }
        }
        if step % 6 == 0 {
            let fresh = Subject::with(kind, setup, bound.iter().copied())?;
            let what = || format!("after {} additions and removals, seed {seed}", step + 1);
            subject.check_same(&fresh, &setup.messages, Rule::Removal, what)?;
        }
    }
    Ok(())
}
