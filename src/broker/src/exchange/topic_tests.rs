use std::collections::BTreeSet;

use proptest::{prelude::*, sample::select};

use super::{super::testing::*, *};

/// Matching as the documentation of RabbitMQ describes it.
fn matches(pattern: &[&[u8]], key: &[&[u8]]) -> bool {
    match (pattern, key) {
        ([], []) => true,
        ([ANY_WORDS, rest @ ..], _) => (0..=key.len()).any(|taken| matches(rest, &key[taken..])),
        ([ANY_WORD, rest @ ..], [_, key @ ..]) => matches(rest, key),
        ([word, rest @ ..], [first, key @ ..]) => word == first && matches(rest, key),
        _ => false,
    }
}

fn expected(bindings: &BTreeSet<(String, String)>, key: &str) -> Vec<String> {
    let key: Vec<_> = words(key.as_bytes()).collect();
    let is_match = |pattern: &str| matches(&words(pattern.as_bytes()).collect::<Vec<_>>(), &key);
    let names: BTreeSet<_> =
        bindings.iter().filter(|(pattern, _)| is_match(pattern)).map(|(_, name)| name.clone()).collect();
    names.into_iter().collect()
}

fn joined(words: &'static [&'static str], max: usize) -> impl Strategy<Value = String> {
    proptest::collection::vec(select(words), 0..=max).prop_map(|words| words.join("."))
}

fn pattern() -> impl Strategy<Value = String> {
    joined(&["a", "b", "c", "", "*", "#", "#"], 6)
}

fn key() -> impl Strategy<Value = String> {
    joined(&["a", "b", "c", "d", "", "*", "#"], 7)
}

fn is_empty(topic: &Topic) -> bool {
    topic.literals.is_empty()
        && topic.words.is_empty()
        && topic.destinations.is_empty()
        && topic.nodes[ROOT as usize].is_unused()
        && topic.free.len() + 1 == topic.nodes.len()
}

proptest! {
    #[test]
    fn it_matches_as_described(
        steps in proptest::collection::vec((any::<bool>(), pattern(), 0..6_u8), 1..120),
        keys in proptest::collection::vec(key(), 1..20),
    ) {
        let mut topic = Topic::default();
        let mut bindings = BTreeSet::new();
        for (add, pattern, number) in &steps {
            let name = format!("q{number}");
            let binding = binding(pattern, &name);
            if *add {
                if bindings.insert((pattern.clone(), name)) { topic.bind(&binding); }
            } else if bindings.remove(&(pattern.clone(), name)) {
                topic.unbind(&binding);
            }
        }
        for key in &keys {
            prop_assert_eq!(routed(&topic, key), expected(&bindings, key), "key {}", key);
        }
        for (pattern, name) in &bindings {
            topic.unbind(&binding(pattern, name));
        }
        prop_assert!(is_empty(&topic));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn it_matches_with_thousands_of_bindings(
        patterns in proptest::collection::vec(pattern(), 2_000..3_000),
        keys in proptest::collection::vec(key(), 50),
    ) {
        let mut topic = Topic::default();
        let bindings: BTreeSet<_> = patterns.iter().enumerate().map(|(at, pattern)| (pattern.clone(), format!("q{}", at % 700))).collect();
        bindings.iter().for_each(|(pattern, name)| topic.bind(&binding(pattern, name)));
        for key in &keys {
            prop_assert_eq!(routed(&topic, key), expected(&bindings, key), "key {}", key);
        }
    }
}

#[test]
fn words_may_be_empty_and_an_empty_key_has_none() {
    let mut topic = Topic::default();
    for (pattern, name) in [("", "nothing"), ("*", "one"), ("#", "all"), ("*.*", "two"), ("a.#", "a"), ("#.a", "to-a")]
    {
        topic.bind(&binding(pattern, name));
    }
    assert_eq!(routed(&topic, ""), ["all", "nothing"]);
    assert_eq!(routed(&topic, "."), ["all", "two"]);
    assert_eq!(routed(&topic, "a"), ["a", "all", "one", "to-a"]);
    assert_eq!(routed(&topic, "a.a"), ["a", "all", "to-a", "two"]);
    assert_eq!(routed(&topic, "a..b"), ["a", "all"]);
}

#[test]
fn bindings_with_other_arguments_are_counted() {
    let mut topic = Topic::default();
    topic.bind(&binding("a.*", "q"));
    topic.bind(&binding("a.*", "q"));
    topic.unbind(&binding("a.*", "q"));
    assert_eq!(routed(&topic, "a.b"), ["q"]);
    topic.unbind(&binding("a.*", "q"));
    topic.unbind(&binding("a.*", "q"));
    assert!(is_empty(&topic));
}

#[test]
fn many_wildcards_do_not_explode() {
    let mut topic = Topic::default();
    topic.bind(&binding(&["#.a"; 60].join("."), "sixty"));
    topic.bind(&binding(&["#.*"; 60].join("."), "many"));
    let key = [["a"; 100].join("."), "b".to_owned()].join(".");
    assert_eq!(routed(&topic, &key), ["many"]);
}

#[test]
fn two_among_thousands_of_bindings() {
    let mut topic = Topic::default();
    for number in 0..1_000 {
        topic.bind(&binding(&format!("region{}.device{number}.event", number % 50), &format!("q{number}")));
        topic.bind(&binding(&format!("region{}.*.kind{number}", number % 50), &format!("q{number}")));
        topic.bind(&binding(&format!("#.alarm{number}"), &format!("q{number}")));
    }
    topic.bind(&binding("region7.#", "all7"));
    let input = RouteInput::of_key(b"region7.device507.event");
    let mut out = Vec::new();
    topic.route(&input, &mut out);
    assert_eq!(out.len(), 2);
}
