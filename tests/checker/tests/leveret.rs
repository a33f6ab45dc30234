//! A short run against Leveret: `make check` does longer ones.
#![allow(clippy::unwrap_used)]

use clap::Parser;
use leveret_checker::{Options, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leveret_keeps_what_it_confirms_through_kills_and_cuts() {
    let options = ["run", "--seconds", "5", "--kill-every", "1.5", "--cut-every", "0.2"];
    let report = run(&Options::try_parse_from(options).unwrap()).await.unwrap();
    println!("{report}");
    assert!(report.passed());
    assert!(report.kills > 0 && report.cuts > 0 && report.confirmed > 0 && report.delivered_again > 0);
}
