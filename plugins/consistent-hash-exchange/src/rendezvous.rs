//! Weighted rendezvous hashing: every destination draws a number for a key, and the best draw takes it.
//!
//! Where a key goes follows from the destinations and their weights alone, not from the order in which they came: a
//! restart changes nothing. One that comes takes keys from the others, one that goes gives its own away, and no other key
//! moves. Shares are exact in the mean, at any weight, for the memory of one number a destination.
//!
//! A draw that counts weights is exponentially distributed with the weight as its rate; the least one wins. Its logarithm
//! is the costly part, and only those few draws need it that may be the least.
//!
//! Not taken: a ring of points, which takes about a thousand points a unit of weight to come within a tenth of the shares,
//! so that a peer that binds with large weights spends megabytes; and RabbitMQ's jump hash over a list of buckets, where
//! what goes renumbers what comes after it. Either costs less with thousands of bindings: the logarithm of their number,
//! where this is proportional to it. The benchmark `consistent_hash` says how much that is.

use leveret_broker::exchange::Destination;
use twox_hash::XxHash3_64;

/// Destinations with their weights.
#[derive(Debug, Default)]
pub(crate) struct Rendezvous {
    /// Sorted by destination.
    candidates: Vec<Candidate>,
}

#[derive(Debug)]
struct Candidate {
    destination: Destination,
    seed: u64,
    weight: u64,
}

impl Rendezvous {
    /// Gives a destination so much more weight.
    pub(crate) fn add(&mut self, destination: &Destination, weight: u64) {
        match self.place(destination) {
            Ok(place) => {
                let present = &mut self.candidates[place].weight;
                *present = present.saturating_add(weight);
            }
            Err(place) => {
                let candidate = Candidate { destination: destination.clone(), seed: seed(destination), weight };
                self.candidates.insert(place, candidate);
            }
        }
    }

    /// Takes so much of a destination's weight.
    pub(crate) fn remove(&mut self, destination: &Destination, weight: u64) {
        let Ok(place) = self.place(destination) else { return };
        let present = &mut self.candidates[place].weight;
        *present = present.saturating_sub(weight);
        if *present == 0 {
            self.candidates.remove(place);
        }
    }

    /// The destination of a key, by the key's hash.
    pub(crate) fn pick(&self, key: u64) -> Option<&Destination> {
        let (mut least, mut best) = (f64::INFINITY, None);
        for candidate in &self.candidates {
            let (uniform, weight) = (uniform(mix(key ^ candidate.seed)), candidate.weight as f64);
            // -ln(u) is at least 1 - u, which is close to it where it matters.
            if 1.0 - uniform > least * weight * ROUNDING {
                continue;
            }
            let draw = -logarithm(uniform) / weight;
            if draw < least {
                (least, best) = (draw, Some(&candidate.destination));
            }
        }
        best
    }

    fn place(&self, destination: &Destination) -> Result<usize, usize> {
        self.candidates.binary_search_by(|candidate| candidate.destination.cmp(destination))
    }
}

/// More than rounding can make of a draw.
const ROUNDING: f64 = 1.0 + 1e-9;

/// A destination's own number.
fn seed(destination: &Destination) -> u64 {
    let kind = match destination {
        Destination::Queue(_) => 0,
        Destination::Exchange(_) => 1,
    };
    XxHash3_64::oneshot_with_seed(kind, destination.name().as_bytes())
}

/// Makes every bit of the result depend on every bit: the finalizer of MurmurHash3.
const fn mix(mut bits: u64) -> u64 {
    bits ^= bits >> 33;
    bits = bits.wrapping_mul(0xff51_afd7_ed55_8ccd);
    bits ^= bits >> 33;
    bits = bits.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    bits ^ (bits >> 33)
}

/// Bits of a float's mantissa.
const MANTISSA_BITS: u32 = 52;

/// Bits as a number between 0 and 1, neither of them included.
fn uniform(bits: u64) -> f64 {
    ((bits >> (64 - MANTISSA_BITS)) as f64 + 0.5) / (1_u64 << MANTISSA_BITS) as f64
}

/// The natural logarithm of a number between 0 and 1.
///
/// By its series (ln m = 2 artanh((m-1)/(m+1))) and not the library's, whose last bit may change with machine and
/// release: a key that is a close call would move.
fn logarithm(number: f64) -> f64 {
    let bits = number.to_bits();
    let mut exponent = (bits >> MANTISSA_BITS) as f64 - 1023.0;
    let mut mantissa = f64::from_bits(bits & ((1 << MANTISSA_BITS) - 1) | 1.0_f64.to_bits());
    if mantissa > std::f64::consts::SQRT_2 {
        mantissa /= 2.0;
        exponent += 1.0;
    }
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let series = [15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0, 1.0].iter().fold(0.0, |sum, n| sum * s * s + 1.0 / n);
    2.0 * s * series + exponent * std::f64::consts::LN_2
}

#[cfg(test)]
#[path = "rendezvous_tests.rs"]
mod tests;
