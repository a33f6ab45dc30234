//! What chance decides.

use rand::RngExt;
use rand::rngs::StdRng;

/// One of several, all as likely.
pub(crate) fn pick<T: Copy, const N: usize>(random: &mut StdRng, from: [T; N]) -> T {
    const { assert!(N > 0) };
    from[random.random_range(0..N)]
}
