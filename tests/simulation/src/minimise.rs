//! From a script that fails to a short one that does.

use crate::{
    plan::Plan,
    run::{Failure, run},
    script::Step,
};

/// How much of a violation's text, without digits, tells its kind.
const KIND_CHARS: usize = 24;

/// Leaves steps out for as long as the script still fails in the same way: halves first, then smaller and smaller parts.
#[must_use]
pub fn minimise(plan: &Plan, script: &[Step], failure: Failure) -> (Vec<Step>, Failure) {
    let mut script = script.to_vec();
    script.truncate(failure.steps + 1);
    let mut failure = failure;
    if let Err(again) = run(plan, &script) {
        failure = again;
    }
    let mut part = script.len().div_ceil(2);
    while part > 0 {
        let mut from = 0;
        while from < script.len() {
            let mut shorter = script.clone();
            shorter.drain(from..script.len().min(from + part));
            match run(plan, &shorter) {
                Err(next) if kind(&next) == kind(&failure) => (script, failure) = (shorter, next),
                _ => from += part,
            }
        }
        part = if part == 1 { 0 } else { part.div_ceil(2) };
    }
    (script, failure)
}

/// What sort of violation it is.
fn kind(failure: &Failure) -> String {
    failure.violation.chars().filter(|character| !character.is_ascii_digit()).take(KIND_CHARS).collect()
}
