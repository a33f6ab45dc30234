//! `leveret-faults`: rounds of faults by seed, and a table of what came of them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use leveret_faults::{Kind, Outcome, Round, run};

/// Break the broker in every way there is, and see whether it keeps what it promised
#[derive(Debug, Parser)]
struct Options {
    /// How many rounds at least; a run makes up to twelve of one recording
    #[arg(long, default_value_t = 100)]
    rounds: usize,
    /// Seed of the first run; the next ones count on from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// This kind of fault only
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    /// Where the folders of failed runs are kept
    #[arg(long, default_value = "target/faults")]
    keep: PathBuf,
    /// Print every round
    #[arg(long, short)]
    verbose: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let mut rounds = Vec::new();
    let mut errors = 0;
    for seed in options.seed.. {
        if rounds.len() >= options.rounds {
            break;
        }
        match run(seed, options.kind, &options.keep).await {
            Ok(of_run) => {
                of_run.iter().for_each(|round| tell(round, options.verbose));
                rounds.extend(of_run);
            }
            Err(error) => {
                println!("seed {seed}: FAILED: {error}");
                errors += 1;
            }
        }
        if errors > 10 {
            break;
        }
    }
    print_table(&rounds);
    let is_good = errors == 0 && !rounds.iter().any(|round| matches!(round.outcome, Outcome::Failed(_)));
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn tell(round: &Round, is_verbose: bool) {
    let Round { seed, kind, what, outcome, confirmed } = round;
    if is_verbose || matches!(outcome, Outcome::Failed(_)) {
        println!("seed {seed} {}, {what}, {confirmed} confirmed: {outcome:?}", kind.name());
    }
}

fn print_table(rounds: &[Round]) {
    let mut counts: BTreeMap<Kind, [usize; 7]> = BTreeMap::new();
    for round in rounds {
        let columns = counts.entry(round.kind).or_default();
        let column = match round.outcome {
            Outcome::Kept => 1,
            Outcome::Stopped(_) => 2,
            Outcome::Refused(_) => 3,
            Outcome::NotHit => 4,
            Outcome::Failed(_) => 5,
        };
        columns[0] += 1;
        columns[column] += 1;
        columns[6] += round.confirmed;
    }
    println!(
        "| fault | rounds | kept | stopped with a reason | refused with a reason | not hit | failed | confirmed |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (kind, columns) in &counts {
        println!("| {} | {} |", kind.name(), columns.map(|count| count.to_string()).join(" | "));
    }
    let sum = counts.values().fold([0; 7], |sum, columns| std::array::from_fn(|at| sum[at] + columns[at]));
    println!("| all | {} |", sum.map(|count| count.to_string()).join(" | "));
}
