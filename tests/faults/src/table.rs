//! The table of what came of the rounds.

use std::collections::BTreeMap;

use leveret_faults::{Kind, Outcome, Round};

const HEAD: &str = "| fault | rounds | kept | stopped with a reason | refused with a reason | not hit | failed | \
                    starts | confirmed messages looked for |";
const COLUMNS: usize = 8;

/// Prints it, by kinds and in sum.
pub(crate) fn print(rounds: &[Round]) {
    let mut counts: BTreeMap<Kind, [usize; COLUMNS]> = BTreeMap::new();
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
        columns[6] += round.starts;
        columns[7] += round.confirmed;
    }
    println!("{HEAD}\n|{}", "---|".repeat(COLUMNS + 1));
    for (kind, columns) in &counts {
        println!("| {} | {} |", kind.name(), columns.map(|count| count.to_string()).join(" | "));
    }
    let sum = counts.values().fold([0; COLUMNS], |sum, columns| std::array::from_fn(|at| sum[at] + columns[at]));
    println!("| all | {} |", sum.map(|count| count.to_string()).join(" | "));
}
