//! Both types against the suite that every exchange type runs.

use leveret_amqp::FieldTable;
use leveret_broker::exchange::conformance::{Setup, check};

use crate::{LocalRandom, Random};

#[test]
fn random_conforms() {
    check(&Random, &Setup { deterministic: false, ..Setup::default() }).unwrap();
}

#[test]
fn local_random_conforms() {
    let setup = Setup {
        refused_bindings: vec![(b"k".to_vec(), FieldTable::new())],
        binds_exchanges: false,
        deterministic: false,
        ..Setup::of_keys([""])
    };
    check(&LocalRandom, &setup).unwrap();
}
