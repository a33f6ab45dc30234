//! Runs seeds for a time, or one seed, and shows what fails.

use std::{
    process::ExitCode,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use clap::Parser;
use leveret_simulation::{
    minimise::minimise,
    plan::Plan,
    run::{Failure, run_seed},
    script::script,
};
use parking_lot::Mutex;

/// Deterministic simulation of the broker's core against a reference model.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// Runs for so many seconds, unless --seeds ends it before
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Runs so many seeds
    #[arg(long, default_value_t = u64::MAX)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    from_seed: u64,
    /// Steps of each seed, beyond those that declare queues, exchanges and bindings
    #[arg(long, default_value_t = 1000)]
    steps: usize,
    /// Threads; by default as many as there are processors
    #[arg(long)]
    threads: Option<usize>,
}

/// What all threads share.
struct Progress {
    next_seed: AtomicU64,
    seeds: AtomicU64,
    steps: AtomicU64,
    is_over: AtomicBool,
    failed: Mutex<Option<(u64, Failure)>>,
}

fn main() -> ExitCode {
    // What panics is a violation like others, and reported as such.
    std::panic::set_hook(Box::new(|_| ()));
    let options = Options::parse();
    let started = Instant::now();
    let progress = run_all(&options, started);
    let (seeds, steps) = (progress.seeds.load(Relaxed), progress.steps.load(Relaxed));
    let elapsed = started.elapsed();
    println!("{seeds} seeds, {steps} steps in {:.1} s", elapsed.as_secs_f64());
    match progress.failed.into_inner() {
        None => {
            println!("no violation");
            ExitCode::SUCCESS
        }
        Some((seed, failure)) => {
            report(seed, &failure, options.steps);
            ExitCode::FAILURE
        }
    }
}

fn run_all(options: &Options, started: Instant) -> Progress {
    let progress = Progress {
        next_seed: AtomicU64::new(options.from_seed),
        seeds: AtomicU64::new(0),
        steps: AtomicU64::new(0),
        is_over: AtomicBool::new(false),
        failed: Mutex::new(None),
    };
    let threads = options.threads.or_else(|| std::thread::available_parallelism().ok().map(usize::from));
    std::thread::scope(|scope| {
        for _ in 0..threads.unwrap_or(1) {
            scope.spawn(|| {
                while started.elapsed() < Duration::from_secs(options.seconds) && !progress.is_over.load(Relaxed) {
                    run_next(options, &progress);
                }
            });
        }
    });
    progress
}

fn run_next(options: &Options, progress: &Progress) {
    let seed = progress.next_seed.fetch_add(1, Relaxed);
    if seed - options.from_seed >= options.seeds {
        return progress.is_over.store(true, Relaxed);
    }
    match run_seed(seed, options.steps) {
        Ok(run) => {
            progress.seeds.fetch_add(1, Relaxed);
            progress.steps.fetch_add(run.steps as u64, Relaxed);
        }
        Err(failure) => {
            progress.is_over.store(true, Relaxed);
            progress.failed.lock().get_or_insert((seed, failure));
        }
    }
}

fn report(seed: u64, failure: &Failure, length: usize) {
    println!("seed {seed} fails at step {}: {}", failure.steps, failure.violation);
    println!("run it again: make sim ARGS=\"--from-seed {seed} --seeds 1 --steps {length}\"");
    let (plan, mut rng) = Plan::new(seed);
    let script = script(&plan, &mut rng, length);
    let (short, failure) = minimise(&plan, &script, failure.clone());
    println!("\n{} steps do it, with {:?}, {:?}, {:?}:", short.len(), plan.channels, plan.sizing, plan.sync);
    plan.queues.iter().for_each(|queue| println!("  {queue:?}"));
    plan.exchanges.iter().for_each(|exchange| println!("  {exchange:?}"));
    plan.bindings.iter().for_each(|binding| println!("  {binding:?}"));
    plan.policies.iter().for_each(|policy| println!("  {policy:?}"));
    for step in &short {
        println!("  {step:?}");
    }
    println!("{}", failure.violation);
}
