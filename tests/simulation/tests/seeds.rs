//! Some seeds with every run of the tests; `make sim` runs as many as there is time for.

use leveret_simulation::run::run_seed;

/// Enough that each feature meets each other one, and done in a few seconds.
const SEEDS: u64 = 200;
const STEPS: usize = 500;

#[test]
fn fixed_seeds_show_no_violation() {
    for seed in 1..=SEEDS {
        if let Err(failure) = run_seed(seed, STEPS) {
            panic!(
                "step {}: {}\nto see it made short: make sim ARGS=\"--from-seed {seed} --seeds 1 --steps {STEPS}\"",
                failure.steps, failure.violation
            );
        }
    }
}

#[test]
fn a_seed_is_the_same_run_each_time() {
    for seed in 1..=20 {
        let trace = || run_seed(seed, STEPS).map(|run| run.trace).map_err(|failure| failure.violation);
        assert_eq!(trace(), trace(), "seed {seed}");
    }
}
