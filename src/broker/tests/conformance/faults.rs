//! Each rule can be broken, and is named when it is.

use std::collections::HashSet;

use leveret_amqp::{FieldTable, FieldValue};
use leveret_broker::exchange::conformance::{self, Rule, Setup, Violation};

use crate::faulty::{Fault, Faulty, TEXT};

fn setup() -> Setup {
    let wrong = || FieldTable::new().with(TEXT, FieldValue::Void);
    Setup {
        arguments: FieldTable::new().with(TEXT, "text"),
        refused_arguments: vec![wrong()],
        refused_bindings: vec![(b"a".to_vec(), wrong())],
        ..Setup::default()
    }
}

fn check(fault: Fault, setup: &Setup) -> Result<(), Violation> {
    conformance::check(&Faulty::new(fault), setup)
}

const FAULTS: [(Fault, Rule); 26] = [
    (Fault::EmptyName, Rule::Name),
    (Fault::SpaceInName, Rule::Name),
    (Fault::RefusesAllArguments, Rule::ArgumentsAccepted),
    (Fault::AcceptsAllArguments, Rule::ArgumentsRefused),
    (Fault::RefusesArgumentsWith404, Rule::ArgumentsRefused),
    (Fault::PanicsOnArguments, Rule::NoPanic),
    (Fault::RefusesAllBindings, Rule::BindingsAccepted),
    (Fault::AcceptsAllBindings, Rule::BindingsRefused),
    (Fault::RefusesBindingsWith404, Rule::BindingsRefused),
    (Fault::RoutesWithoutBindings, Rule::NothingWithoutBindings),
    (Fault::KeepsRemoved, Rule::NothingWithoutBindings),
    (Fault::SharesBindings, Rule::OwnBindings),
    (Fault::RoutesNowhere, Rule::BindingsWork),
    (Fault::IgnoresArguments, Rule::BindingsWork),
    (Fault::ClearsTheList, Rule::Appends),
    (Fault::InventsDestinations, Rule::BoundOnly),
    (Fault::Repeats, Rule::Once),
    (Fault::TakesTurns, Rule::Deterministic),
    (Fault::FirstBindingOnly, Rule::Order),
    (Fault::ForgetsTwins, Rule::EachCounts),
    (Fault::ForgetsTheRest, Rule::Removal),
    (Fault::KeepsWhatIsNotANumber, Rule::Removal),
    (Fault::LooksAtHeaders, Rule::Cacheable),
    (Fault::PanicsOnKeys, Rule::NoPanic),
    (Fault::PanicsOnBindingKeys, Rule::NoPanic),
    (Fault::PanicsOnHeaders, Rule::NoPanic),
];

#[test]
fn without_a_fault_it_conforms() {
    check(Fault::None, &setup()).unwrap();
}

#[test]
fn each_fault_is_found_and_named() {
    for (fault, rule) in FAULTS {
        let violation = check(fault, &setup()).expect_err(&format!("{fault:?} was not found"));
        assert_eq!(violation.rule, rule, "{fault:?}: {violation}");
        assert!(violation.to_string().contains(&format!("{rule:?}")) && !violation.details.is_empty());
    }
}

#[test]
fn every_rule_can_be_broken() {
    let broken: HashSet<Rule> = FAULTS.iter().map(|(_, rule)| *rule).collect();
    for rule in Rule::ALL {
        assert!(broken.contains(&rule), "no fault breaks {rule}");
    }
}

#[test]
fn what_takes_turns_conforms_only_where_it_says_so_and_is_not_kept() {
    let violation = check(Fault::TakesTurns, &Setup { deterministic: false, ..setup() }).unwrap_err();
    assert_eq!(violation.rule, Rule::Cacheable);
}

#[test]
fn exchanges_that_may_not_be_bound_must_be_refused() {
    let violation = check(Fault::None, &Setup { binds_exchanges: false, ..setup() }).unwrap_err();
    assert_eq!(violation.rule, Rule::BindingsRefused);
}

#[test]
fn a_violation_says_what_happened() {
    let violation = check(Fault::Repeats, &setup()).unwrap_err();
    assert_eq!(
        violation.to_string(),
        "the exchange type breaks the rule Once (a destination is in a route at most once): the message with key '' went \
         to queue 'd0' twice"
    );
}
