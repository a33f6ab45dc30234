//! Topic patterns: the trie finds the same bindings as matching each of them by the documentation's words, also after
//! some were taken away.

#![no_main]

use std::collections::BTreeSet;

use arbitrary::Arbitrary;
use leveret_broker::exchange::{Router, Topic};
use leveret_fuzz::{binding, routed};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    /// Whether to bind or unbind, the pattern's words, the queue's number.
    steps: Vec<(bool, Vec<Word>, u8)>,
    keys: Vec<Vec<Word>>,
}

/// Few words, so that keys and patterns meet.
#[derive(Arbitrary, Debug, Clone, Copy)]
enum Word {
    A,
    B,
    Long,
    Empty,
    Star,
    Hash,
}

impl Word {
    fn text(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
            Self::Long => "aa",
            Self::Empty => "",
            Self::Star => "*",
            Self::Hash => "#",
        }
    }
}

/// A short string's worth of words at most, as on the wire.
fn joined(words: &[Word]) -> String {
    words.iter().take(80).map(|word| word.text()).collect::<Vec<_>>().join(".")
}

fn words(text: &str) -> Vec<&str> {
    if text.is_empty() { Vec::new() } else { text.split('.').collect() }
}

/// Whether a pattern matches, by a table of which words of the pattern match which of the key: not exponential.
fn matches(pattern: &[&str], key: &[&str]) -> bool {
    let mut reached = vec![false; key.len() + 1];
    reached[0] = true;
    for word in pattern {
        let mut next = vec![false; key.len() + 1];
        for at in 0..=key.len() {
            next[at] = match *word {
                "#" => reached[..=at].contains(&true),
                "*" => at > 0 && reached[at - 1],
                literal => at > 0 && reached[at - 1] && key[at - 1] == literal,
            };
        }
        reached = next;
    }
    reached[key.len()]
}

fuzz_target!(|input: Input| {
    let mut topic = Topic::default();
    let mut bound = BTreeSet::new();
    for (add, pattern, queue) in input.steps.iter().take(64) {
        let (pattern, queue) = (joined(pattern), format!("q{}", queue % 8));
        let (binding, identity) = (binding(&pattern, &queue), (pattern, queue));
        if *add {
            if bound.insert(identity) {
                topic.bind(&binding);
            }
        } else if bound.remove(&identity) {
            topic.unbind(&binding);
        }
    }
    for key in input.keys.iter().take(16).map(|key| joined(key)) {
        let key_words = words(&key);
        let expected: BTreeSet<String> = bound
            .iter()
            .filter(|(pattern, _)| matches(&words(pattern), &key_words))
            .map(|(_, queue)| queue.clone())
            .collect();
        assert_eq!(routed(&topic, key.as_bytes(), None), expected.into_iter().collect::<Vec<_>>(), "key {key}");
    }
});
