//! Packing messages into chunks, and back.

#![allow(clippy::unwrap_used, missing_docs)]

use divan::{Bencher, counter::ItemsCount};
use leveret_store::{Piece, Records, RecordsBuilder, decode_chunk, encode_chunk};

const RECORDS: u32 = 100;

fn main() {
    divan::main();
}

fn records(record_len: usize) -> Records {
    let mut builder = RecordsBuilder::new();
    for _ in 0..RECORDS {
        builder.buffer().extend_from_slice(&vec![7; record_len]);
        builder.end_record();
    }
    builder.finish()
}

fn pieces(record_len: usize) -> [Piece; 1] {
    [Piece { records: records(record_len), picks: 0..RECORDS, first_seq: 1 }]
}

#[divan::bench(args = [16, 100, 1024])]
fn pack(bencher: Bencher<'_, '_>, record_len: usize) {
    let pieces = pieces(record_len);
    bencher.counter(ItemsCount::new(RECORDS)).bench_local(|| encode_chunk(1, &pieces));
}

#[divan::bench(args = [16, 100, 1024])]
fn unpack(bencher: Bencher<'_, '_>, record_len: usize) {
    let value = encode_chunk(1, &pieces(record_len));
    bencher
        .counter(ItemsCount::new(RECORDS))
        .with_inputs(|| value.clone())
        .bench_local_values(|value| decode_chunk(1, value).unwrap());
}
