//! Short runs: against Leveret, and against one that is made to lose what it wrote last. `make check` does longer ones.
#![allow(clippy::unwrap_used)]

use clap::Parser;
use leveret_checker::{Options, Report, run};

async fn run_with(options: &[&str]) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let short = ["run", "--seconds", "5", "--kill-every", "1.5", "--cut-every", "0.2"];
    let options = Options::try_parse_from(short.iter().chain(options)).unwrap();
    println!("--seed {}", options.seed);
    let report = run(&options, folder.path()).await.unwrap();
    println!("{report}");
    report
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leveret_keeps_what_it_confirms_through_kills_and_cuts() {
    let report = run_with(&[]).await;
    assert!(report.passed());
    assert!(report.kills > 0 && report.cuts > 0 && report.confirmed > 0 && report.delivered_again > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_loses_the_end_of_its_log_is_found_out() {
    let own = std::env::current_exe().unwrap();
    let leveret = own.ancestors().nth(2).unwrap().join("leveret");
    let command = format!(
        "sh -c 'truncate -s -262144 $(ls -t {{dir}}/data/*.log 2>/dev/null | head -1) 2>/dev/null;
         exec \"{}\" serve --data-dir {{dir}}/data --amqp-bind 127.0.0.1:{{port}} --http-bind \"\" --log-level warn'",
        leveret.display()
    );
    // Patience is also how long the lost ones are waited for.
    let report = run_with(&["--start", &command, "--patience", "15"]).await;
    assert!(report.kills > 0);
    assert!(!report.lost.is_empty() || !report.doubled.is_empty());
}
