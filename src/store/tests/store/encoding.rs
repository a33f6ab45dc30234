//! Stored forms: what is written is read back, and whatever else is read is an error, never a panic.

use leveret_store::{DecodeError, LogState, Marks, Piece, RecordsBuilder, Returned, decode_chunk, encode_chunk};
use proptest::collection::vec;
use proptest::prelude::*;

/// Pieces as they come: for each a hole before it, and records, of which the first `skip` are not picked.
type Plan = Vec<(u64, usize, Vec<Vec<u8>>)>;

fn plan() -> impl Strategy<Value = Plan> {
    vec((0u64..1000, 0usize..3, vec(vec(any::<u8>(), 0..300), 0..20)), 0..6)
}

/// The pieces of a plan, and what is to be read back: each picked record and its number.
fn pieces(first_seq: u64, plan: &Plan) -> (Vec<Piece>, Vec<(u64, Vec<u8>)>) {
    let (mut pieces, mut expected, mut next) = (Vec::new(), Vec::new(), first_seq);
    for (hole, skip, records) in plan {
        let mut builder = RecordsBuilder::new();
        for record in records {
            builder.buffer().extend_from_slice(record);
            builder.end_record();
        }
        let skip = (*skip).min(records.len());
        let first_seq = next + hole;
        let picked = &records[skip..];
        expected.extend(picked.iter().enumerate().map(|(index, record)| (first_seq + index as u64, record.clone())));
        let picks = skip as u32..records.len() as u32;
        pieces.push(Piece { records: builder.finish(), picks, first_seq });
        if !picked.is_empty() {
            next = first_seq + picked.len() as u64;
        }
    }
    (pieces, expected)
}

fn marks() -> impl Strategy<Value = Marks> {
    let settled = vec((any::<u64>(), 0u64..1000), 0..10)
        .prop_map(|ranges| ranges.into_iter().map(|(start, length)| start..start.saturating_add(length)).collect());
    let returned = any::<(u64, u32, u32, u64)>().prop_map(|(seq, delivery_count, acquired_count, waits_until_ms)| {
        (seq, Returned { delivery_count, acquired_count, waits_until_ms })
    });
    (settled, vec(returned, 0..10)).prop_map(|(settled, returned)| Marks { settled, returned })
}

/// Decodes and touches everything, so that a wrong offset would show.
fn decode_and_touch(value: &[u8]) {
    if let Ok(chunk) = decode_chunk(5, value.to_owned()) {
        assert_eq!(chunk.seqs.len(), chunk.records.len());
        let bytes: usize = chunk.records.iter().map(<[u8]>::len).sum();
        assert_eq!(bytes, chunk.records.bytes_len());
    }
    let _ = Marks::decode(value, 5);
    let _ = LogState::decode(value);
}

proptest! {
    #[test]
    fn chunks_are_read_back(first_seq in 0u64..1 << 60, plan in plan()) {
        let (pieces, expected) = pieces(first_seq, &plan);
        let chunk = decode_chunk(first_seq, encode_chunk(first_seq, &pieces)).unwrap();
        let found: Vec<_> = chunk.seqs.iter().copied().zip(chunk.records.iter().map(<[u8]>::to_vec)).collect();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(chunk.first_seq, first_seq);
        prop_assert!(chunk.marks.is_empty());
    }

    #[test]
    fn marks_are_read_back(first_seq: u64, marks in marks()) {
        prop_assert_eq!(Marks::decode(&marks.encode(first_seq), first_seq).unwrap(), marks);
    }

    #[test]
    fn log_states_are_read_back(numbers: [u64; 7]) {
        let [next_seq, head_seq, count, bytes, delivered_until, waiting_count, waiting_bytes] = numbers;
        let state = LogState { next_seq, head_seq, count, bytes, delivered_until, waiting_count, waiting_bytes };
        prop_assert_eq!(LogState::decode(&state.encode()).unwrap(), state);
    }

    #[test]
    fn random_bytes_never_panic(version in 0u8..3, bytes in vec(any::<u8>(), 0..200)) {
        decode_and_touch(&bytes);
        decode_and_touch(&[&[version], bytes.as_slice()].concat());
    }

    #[test]
    fn damaged_values_never_panic(plan in plan(), marks in marks(), place: prop::sample::Index, byte: u8, cut: bool) {
        for mut value in [encode_chunk(5, &pieces(5, &plan).0), marks.encode(5)] {
            let place = place.index(value.len());
            value[place] = byte;
            if cut {
                value.truncate(place);
            }
            decode_and_touch(&value);
        }
    }
}

#[test]
fn ascending_marks_near_the_chunk_are_small() {
    let marks = Marks { settled: vec![1_000_000..1_000_050, 1_000_051..1_000_060], returned: Vec::new() };
    assert!(marks.encode(1_000_000).len() <= 8);
}

#[test]
fn marks_of_the_first_version_are_read() {
    // Settled: 5..7; delivery counts: two of message 8 and one of message 9.
    let marks = Marks::decode(&[1, 1, 0, 2, 2, 6, 2, 2, 1], 5).unwrap();
    let attempts = |count| Returned { delivery_count: count, acquired_count: count, waits_until_ms: 0 };
    let settled = std::iter::once(5..7).collect();
    assert_eq!(marks, Marks { settled, returned: vec![(8, attempts(2)), (9, attempts(1))] });
}

#[test]
fn log_states_of_the_first_version_are_read() {
    let numbers = [9u64, 1, 8, 64, 3];
    let value: Vec<u8> = std::iter::once(1).chain(numbers.iter().flat_map(|number| number.to_le_bytes())).collect();
    let state = LogState { next_seq: 9, head_seq: 1, count: 8, bytes: 64, delivered_until: 3, ..LogState::default() };
    assert_eq!(LogState::decode(&value), Ok(state));
}

#[test]
fn errors_say_what_is_wrong() {
    let value = encode_chunk(1, &[super::support::piece(1..3)]);
    assert_eq!(decode_chunk(1, Vec::new()).unwrap_err(), DecodeError::Truncated);
    assert_eq!(decode_chunk(1, value[..value.len() - 1].to_vec()).unwrap_err(), DecodeError::Truncated);
    assert_eq!(decode_chunk(1, [&value[..], &[0]].concat()).unwrap_err(), DecodeError::Trailing);
    assert_eq!(decode_chunk(u64::MAX, value.clone()).unwrap_err(), DecodeError::Number);
    assert_eq!(decode_chunk(1, [&[9], &value[1..]].concat()).unwrap_err(), DecodeError::Version(9));
    assert_eq!(LogState::decode(&[1; 40]), Err(DecodeError::Truncated));
    assert_eq!(LogState::decode(&[2; 41]), Err(DecodeError::Truncated));
    assert_eq!(LogState::decode(&[3; 57]), Err(DecodeError::Version(3)));
    assert_eq!(Marks::decode(&[1, 0, 0, 0], 1), Err(DecodeError::Trailing));
    assert_eq!(Marks::decode(&[0, 0, 0], 1), Err(DecodeError::Version(0)));
}

#[test]
#[should_panic(expected = "out of order")]
fn pieces_out_of_order_are_not_written() {
    use super::support::piece;
    encode_chunk(1, &[piece(5..7), piece(6..8)]);
}
