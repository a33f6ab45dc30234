use proptest::prelude::*;

use super::*;

fn queue(number: usize) -> Destination {
    Destination::Queue(format!("q{number}").into())
}

fn with_weights(weights: impl IntoIterator<Item = u64>) -> Rendezvous {
    let mut rendezvous = Rendezvous::default();
    for (number, weight) in weights.into_iter().enumerate() {
        rendezvous.add(&queue(number), weight);
    }
    rendezvous
}

fn hash(key: usize) -> u64 {
    XxHash3_64::oneshot(format!("key.{key}").as_bytes())
}

/// Where each of so many keys goes.
fn places(rendezvous: &Rendezvous, keys: usize) -> Vec<Option<Destination>> {
    (0..keys).map(|key| rendezvous.pick(hash(key)).cloned()).collect()
}

/// The largest distance of a share from what it should be, as a part of that.
fn worst_error(weights: &[u64], keys: usize) -> f64 {
    let places = places(&with_weights(weights.iter().copied()), keys);
    let total: u64 = weights.iter().sum();
    let errors = weights.iter().enumerate().map(|(number, weight)| {
        let got = places.iter().filter(|place| place.as_ref() == Some(&queue(number))).count();
        let expected = keys as f64 * *weight as f64 / total as f64;
        (got as f64 / expected - 1.0).abs()
    });
    errors.fold(0.0, f64::max)
}

#[test]
fn shares_are_as_the_weights_say() {
    for weights in [&[1, 1, 2, 4][..], &[1; 10], &[1, 2, 3, 4, 5, 6, 7, 8], &[1_000_000, 3_000_000]] {
        let error = worst_error(weights, 100_000);
        assert!(error < 0.04, "weights {weights:?}: {error}");
    }
}

#[test]
fn a_key_stays_where_it_was_in_every_release() {
    let rendezvous = with_weights([1, 1, 2, 4]);
    let places = places(&rendezvous, 16).into_iter().flatten().map(|place| place.name().to_string());
    assert_eq!(places.collect::<Vec<_>>().join(" "), "q2 q0 q0 q3 q3 q3 q0 q3 q3 q3 q3 q2 q3 q3 q2 q0");
}

#[test]
fn queue_and_exchange_of_a_name_are_two() {
    let mut rendezvous = Rendezvous::default();
    rendezvous.add(&Destination::Queue("n".into()), 1);
    rendezvous.add(&Destination::Exchange("n".into()), 1);
    let queues = places(&rendezvous, 1000).into_iter().filter(|place| matches!(place, Some(Destination::Queue(_))));
    assert!((400..600).contains(&queues.count()));
}

#[test]
fn the_logarithm_is_right() {
    for bits in [0, 1 << 12, 1 << 40, 1 << 62, u64::MAX / 3, 1 << 63, u64::MAX - (1 << 40), u64::MAX] {
        let number = uniform(bits);
        let (expected, got) = (number.ln(), logarithm(number));
        assert!((got - expected).abs() <= -expected * 1e-12, "{number}: {got} is not {expected}");
    }
}

#[test]
fn nothing_is_left_of_what_went() {
    let mut rendezvous = with_weights([1, 2]);
    rendezvous.add(&queue(0), 5);
    for (number, weight) in [(0, 5), (0, 1), (1, 2), (1, 2), (7, 1)] {
        rendezvous.remove(&queue(number), weight);
    }
    assert!(rendezvous.candidates.is_empty());
    assert_eq!(rendezvous.pick(1), None);
}

fn weights() -> impl Strategy<Value = Vec<u64>> {
    proptest::collection::vec(prop_oneof![1..4_u64, 1..1_000_000_u64], 1..12)
}

proptest! {
    #[test]
    fn one_that_goes_moves_its_own_keys_only(weights in weights(), gone: prop::sample::Index) {
        let gone = gone.index(weights.len());
        let mut rendezvous = with_weights(weights.iter().copied());
        let before = places(&rendezvous, 500);
        rendezvous.remove(&queue(gone), weights[gone]);
        for (before, after) in before.into_iter().zip(places(&rendezvous, 500)) {
            prop_assert!(before == after || before == Some(queue(gone)));
            prop_assert_ne!(after, Some(queue(gone)));
        }
    }

    #[test]
    fn one_that_comes_or_grows_only_takes(weights in weights(), at in 0..14_usize, more in 1..100_u64) {
        let mut rendezvous = with_weights(weights);
        let before = places(&rendezvous, 500);
        rendezvous.add(&queue(at), more);
        for (before, after) in before.into_iter().zip(places(&rendezvous, 500)) {
            prop_assert!(before == after || after == Some(queue(at)));
        }
    }

    #[test]
    fn the_way_to_the_weights_does_not_matter(weights in weights(), other in weights(), from: prop::sample::Index) {
        let straight = with_weights(weights.iter().copied());
        let mut around = with_weights(other.iter().copied());
        let from = from.index(weights.len());
        for number in (0..weights.len()).cycle().skip(from).take(weights.len()) {
            around.add(&queue(number), weights[number]);
        }
        for (number, weight) in other.into_iter().enumerate() {
            around.remove(&queue(number), weight);
        }
        prop_assert_eq!(places(&straight, 200), places(&around, 200));
    }
}
