//! The engine's logs and its manifest, which the store looks through before it opens them. The checksums are put right:
//! they keep nearly all other inputs out.

#![no_main]

use leveret_store::fuzz_logs;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u32, Vec<(u8, &[u8])>, &[u8])| {
    let (number, pieces, rest) = input;
    fuzz_logs(number, &pieces, rest);
});
