//! What the store reads back: a damaged chunk, mark or log state is told, and what decodes encodes to the same again.

#![no_main]

use leveret_store::{LogState, Marks, Piece, StoredChunk, decode_chunk, encode_chunk};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u64, &[u8])| {
    let (first_seq, value) = input;
    if let Ok(chunk) = decode_chunk(first_seq, value.to_vec()) {
        check_chunk(first_seq, &chunk);
    }
    if let Ok(marks) = Marks::decode(value, first_seq) {
        assert_eq!(Marks::decode(&marks.encode(first_seq), first_seq), Ok(marks));
    }
    if let Ok(state) = LogState::decode(value) {
        assert_eq!(LogState::decode(&state.encode()), Ok(state));
    }
});

fn check_chunk(first_seq: u64, chunk: &StoredChunk) {
    assert_eq!(chunk.seqs.len(), chunk.records.len());
    assert!(chunk.seqs.is_sorted_by(|one, next| one < next));
    assert!(chunk.seqs.first().is_none_or(|seq| *seq >= first_seq));
    assert_eq!(chunk.records.iter().map(<[u8]>::len).sum::<usize>(), chunk.records.bytes_len());
    let pieces: Vec<Piece> = (0..)
        .zip(&chunk.seqs)
        .map(|(index, &first_seq)| Piece { records: chunk.records.clone(), picks: index..index + 1, first_seq })
        .collect();
    let again = decode_chunk(first_seq, encode_chunk(first_seq, &pieces)).expect("an encoded chunk");
    assert_eq!(again.seqs, chunk.seqs);
    assert!(again.records.iter().eq(chunk.records.iter()));
}
