//! Pieces of logs as the engine writes them: for tests and fuzzing.

use super::records::masked;

/// Appends a piece of a log that is used again, which has a number, or of one that is written once.
pub(super) fn put_piece(log: &mut Vec<u8>, kind: u8, number: Option<u32>, data: &[u8]) {
    let number = number.map(u32::to_le_bytes);
    let body = [&[kind][..], number.as_ref().map_or(&[], |number| number), data].concat();
    log.extend_from_slice(&masked(crc32c::crc32c(&body)).to_le_bytes());
    log.extend_from_slice(&(data.len() as u16).to_le_bytes());
    log.extend_from_slice(&body);
}

/// Whatever the pieces of a log hold, what is whole is read, also with anything behind it; and whatever records hold,
/// looking for losses says something that makes sense. `pieces` must fit into a block of the log.
#[cfg(fuzzing)]
pub fn fuzz_logs(number: u32, pieces: &[(u8, &[u8])], rest: &[u8]) {
    use super::records::{Found, plain, reused};

    let records = whole_records(pieces);
    let is_record = |found| match found {
        Found::Record(record) => Some(record.into_owned()),
        Found::Unreadable(_) => None,
    };
    let (mut numbered, mut once) = (Vec::new(), Vec::new());
    for (kind, data) in pieces {
        put_piece(&mut numbered, kind % 4 + 5, Some(number), data);
        put_piece(&mut once, kind % 4 + 1, None, data);
    }
    assert_eq!(super::records::unreadable(&once), None);
    numbered.extend_from_slice(rest);
    once.extend_from_slice(rest);
    assert!(reused(&numbered, number.into()).filter_map(is_record).take(records.len()).eq(records.iter().cloned()));
    assert!(plain(&once).filter_map(is_record).take(records.len()).eq(records.iter().cloned()));
    super::manifest::fuzz_entries(&records);
    super::gap::fuzz_search(number, &numbered);
}

/// The records that the pieces make up.
#[cfg(fuzzing)]
fn whole_records(pieces: &[(u8, &[u8])]) -> Vec<Vec<u8>> {
    let (mut records, mut begun) = (Vec::new(), None::<Vec<u8>>);
    for (kind, data) in pieces {
        match (kind % 4, &mut begun) {
            (0, _) => records.push(data.to_vec()),
            (1, _) => begun = Some(data.to_vec()),
            (_, Some(record)) => record.extend_from_slice(data),
            (_, None) => {}
        }
        if kind % 4 == 3 {
            records.extend(begun.take());
        }
    }
    records
}
