//! `leveret-faults`: rounds of faults by seed, and a table of what came of them.

mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use leveret_faults::{Kind, Outcome, Round, Sync, run};

/// Break the broker in every way there is, and see whether it keeps what it promised
#[derive(Debug, Parser)]
struct Options {
    /// How many rounds at least; a run makes up to twelve of one recording
    #[arg(long, default_value_t = 100)]
    rounds: usize,
    /// Seed of the first run; the next ones count on from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// This kind of fault only; otherwise each has as many rounds as the others
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    /// When the broker confirms: with "os", losses of power must lose something
    #[arg(long, value_enum, default_value = "commit")]
    sync: Sync,
    /// Where the folders of failed runs are kept
    #[arg(long, default_value = "target/faults")]
    keep: PathBuf,
    /// Print every round
    #[arg(long, short)]
    verbose: bool,
}

/// So many failed runs say all that more could.
const ERRORS_MAX: usize = 10;

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let mut rounds: Vec<Round> = Vec::new();
    let mut errors = 0;
    for seed in options.seed.. {
        if rounds.len() >= options.rounds || errors > ERRORS_MAX {
            break;
        }
        let kind = options.kind.unwrap_or_else(|| rarest(&rounds, seed));
        match run(seed, kind, options.sync, &options.keep).await {
            Ok(of_run) => {
                of_run.iter().for_each(|round| tell(round, options.verbose));
                rounds.extend(of_run);
            }
            Err(error) => {
                println!("--kind {} --seed {seed}: FAILED: {error}", kind.name());
                errors += 1;
            }
        }
    }
    table::print(&rounds);
    let is_good = errors == 0 && !rounds.iter().any(|round| matches!(round.outcome, Outcome::Failed(_)));
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The kind that has had the fewest rounds; of several, they take turns.
fn rarest(rounds: &[Round], seed: u64) -> Kind {
    let mut kinds = Kind::ALL;
    kinds.rotate_left(seed as usize % Kind::ALL.len());
    let count = |kind: Kind| rounds.iter().filter(|round| round.kind == kind).count();
    kinds.into_iter().min_by_key(|&kind| count(kind)).unwrap_or(Kind::Kill)
}

fn tell(round: &Round, is_verbose: bool) {
    let Round { seed, kind, what, outcome, confirmed, .. } = round;
    if is_verbose || matches!(outcome, Outcome::Failed(_)) {
        println!("--kind {} --seed {seed}: {what}, {confirmed} confirmed: {outcome:?}", kind.name());
    }
}
