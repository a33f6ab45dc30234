//! Reading from RocksDB: always bounded to one log, so that a look beyond its end does not step over its neighbours' deletions.

use rocksdb::{DB, DBPinnableSlice, DBRawIterator, ErrorKind, ReadOptions, Snapshot};

use crate::chunk::{self, StoredChunk};
use crate::codec::DecodeError;
use crate::engine::{CatalogueRecord, Visit};
use crate::error::StoreError;
use crate::keys::{
    Family, chunk_key, due_key, end_of, end_of_due, hexadecimal, last_number, log_key, parse_due_key, parse_log_key,
};
use crate::log::{LogId, LogState, Marks};
use crate::rocks::Rocks;

impl Rocks {
    pub(crate) fn read_chunks(
        &self,
        log: LogId,
        from_seq: u64,
        bytes_max: usize,
    ) -> Result<Vec<StoredChunk>, StoreError> {
        Reading::start(self, log).collect(from_seq, bytes_max)
    }

    pub(crate) fn read_chunk(&self, log: LogId, first_seq: u64) -> Result<Option<StoredChunk>, StoreError> {
        let reading = Reading::start(self, log);
        let value = reading.value(Family::Chunks, &chunk_key(log, first_seq))?;
        value.map(|value| reading.decode(true, first_seq, &value)).transpose()
    }

    pub(crate) fn read_due(
        &self,
        log: LogId,
        from: (u64, u64),
        until_ms: u64,
        limit: usize,
    ) -> Result<Vec<(u64, u64)>, StoreError> {
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(end_of_due(log, until_ms));
        let mut found = Vec::new();
        let mut entries = self.db.raw_iterator_cf_opt(self.family(Family::Due), options);
        entries.seek(due_key(log, from.0, from.1));
        while let (true, Some(key)) = (found.len() < limit, entries.key()) {
            found.push(parse_due_key(key)?);
            entries.next();
        }
        entries.status().map_err(|error| engine_error("reading due times", &error))?;
        Ok(found)
    }

    pub(crate) fn read_timeline(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(to);
        options.fill_cache(false);
        let mut entries = self.db.raw_iterator_cf_opt(self.family(Family::Timeline), options);
        entries.seek(from);
        while let Some((key, value)) = entries.item() {
            if !visit(key, value)? {
                return Ok(());
            }
            entries.next();
        }
        entries.status().map_err(|error| engine_error("reading a timeline", &error))
    }

    pub(crate) fn read_logs(&self) -> Result<Vec<(LogId, LogState)>, StoreError> {
        self.all(Family::Logs, |key, value| {
            let log = parse_log_key(key)?;
            let state = LogState::decode(value).map_err(|error| corrupt(Family::Logs, log, key, error))?;
            Ok((log, state))
        })
    }

    pub(crate) fn read_catalogue(&self) -> Result<Vec<CatalogueRecord>, StoreError> {
        self.all(Family::Catalogue, |key, value| Ok((key.to_vec(), value.to_vec())))
    }

    fn all<T>(
        &self,
        family: Family,
        read: impl Fn(&[u8], &[u8]) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut options = ReadOptions::default();
        options.fill_cache(false);
        let mut found = Vec::new();
        let mut entries = self.db.raw_iterator_cf_opt(self.family(family), options);
        entries.seek_to_first();
        while let Some((key, value)) = entries.item() {
            found.push(read(key, value)?);
            entries.next();
        }
        entries.status().map_err(|error| engine_error("reading records", &error))?;
        Ok(found)
    }
}

/// How many deleted chunks are stepped over backwards. One would do, but an overwritten one counts as well.
const DELETED_MAX: u64 = 16;

/// A log seen at one moment: a chunk and its marks are from the same commit.
struct Reading<'a> {
    rocks: &'a Rocks,
    log: LogId,
    snapshot: Snapshot<'a>,
}

impl<'a> Reading<'a> {
    fn start(rocks: &'a Rocks, log: LogId) -> Self {
        Self { rocks, log, snapshot: rocks.db.snapshot() }
    }

    fn collect(&self, from_seq: u64, bytes_max: usize) -> Result<Vec<StoredChunk>, StoreError> {
        let persistent = Kept { of: &self.rocks.db, reading: self, persistent: true };
        let transient = self.rocks.transient.db().map(|of| Kept { of, reading: self, persistent: false });
        let places = [Some(persistent), transient].into_iter().flatten().map(|kept| kept.place(from_seq));
        let mut places = places.collect::<Result<Vec<_>, _>>()?;
        let mut found = Vec::new();
        let mut bytes = 0usize;
        while let Some(place) = next_of(&mut places)? {
            let Some((first_seq, value)) = current(&place.chunks)? else { break };
            if !found.is_empty() && bytes.saturating_add(value.len()) > bytes_max {
                break;
            }
            let chunk = self.decode(place.persistent, first_seq, value)?;
            // The one before may end before what is wanted.
            if chunk.seqs.last().is_some_and(|&last| last >= from_seq) {
                bytes = bytes.saturating_add(value.len());
                found.push(chunk);
            }
            place.chunks.next();
        }
        Ok(found)
    }

    fn decode(&self, persistent: bool, first_seq: u64, value: &[u8]) -> Result<StoredChunk, StoreError> {
        let key = chunk_key(self.log, first_seq);
        let mut chunk =
            chunk::decode(first_seq, value.to_vec()).map_err(|error| corrupt(Family::Chunks, self.log, &key, error))?;
        chunk.persistent = persistent;
        if persistent && let Some(value) = self.value(Family::Marks, &key)? {
            chunk.marks =
                Marks::decode(&value, first_seq).map_err(|error| corrupt(Family::Marks, self.log, &key, error))?;
        }
        Ok(chunk)
    }

    fn value(&self, family: Family, key: &[u8]) -> Result<Option<DBPinnableSlice<'_>>, StoreError> {
        let mut options = ReadOptions::default();
        options.set_snapshot(&self.snapshot);
        options.fill_cache(false);
        let value = self.rocks.db.get_pinned_cf_opt(self.rocks.family(family), key, &options);
        value.map_err(|error| engine_error("reading a record", &error))
    }
}

/// The chunks of a log in one of the two databases.
struct Kept<'a> {
    of: &'a DB,
    reading: &'a Reading<'a>,
    persistent: bool,
}

impl<'a> Kept<'a> {
    fn iterator(&self, mut options: ReadOptions) -> DBRawIterator<'a> {
        let start = log_key(self.reading.log);
        options.set_iterate_lower_bound(start);
        options.set_iterate_upper_bound(end_of(&start));
        // A chunk is read once and then lives in the queue's memory.
        options.fill_cache(false);
        if !self.persistent {
            return self.of.raw_iterator_opt(options);
        }
        options.set_snapshot(&self.reading.snapshot);
        self.of.raw_iterator_cf_opt(self.reading.rocks.family(Family::Chunks), options)
    }

    /// The first chunk that may hold `from_seq` or something behind it.
    fn place(&self, from_seq: u64) -> Result<Place<'a>, StoreError> {
        let mut chunks = self.iterator(ReadOptions::default());
        chunks.seek(chunk_key(self.reading.log, from_seq));
        if !matches!(current(&chunks)?, Some((found, _)) if found == from_seq)
            && let Some(before) = self.before(from_seq)?
        {
            chunks.seek(chunk_key(self.reading.log, before));
        }
        Ok(Place { chunks, persistent: self.persistent })
    }

    /// The chunk before `from_seq`, if it may hold it. Chunks do not overlap: when one right before was deleted, that
    /// was the only one that could. Searching further would step over all that the queue consumed lately, backwards,
    /// which was measured at 150 ms for 200,000 chunks.
    fn before(&self, from_seq: u64) -> Result<Option<u64>, StoreError> {
        let mut options = ReadOptions::default();
        options.set_max_skippable_internal_keys(DELETED_MAX);
        let mut chunks = self.iterator(options);
        chunks.seek_for_prev(chunk_key(self.reading.log, from_seq));
        match chunks.status() {
            Err(error) if error.kind() == ErrorKind::Incomplete => Ok(None),
            _ => Ok(current(&chunks)?.map(|(first_seq, _)| first_seq)),
        }
    }
}

/// Where reading has come to in one of the databases.
struct Place<'a> {
    chunks: DBRawIterator<'a>,
    persistent: bool,
}

/// The place with the next chunk.
fn next_of<'p, 'a>(places: &'p mut [Place<'a>]) -> Result<Option<&'p mut Place<'a>>, StoreError> {
    let mut next: Option<(u64, &mut Place<'_>)> = None;
    for place in places {
        if let Some((first_seq, _)) = current(&place.chunks)?
            && next.as_ref().is_none_or(|(soonest, _)| first_seq < *soonest)
        {
            next = Some((first_seq, place));
        }
    }
    Ok(next.map(|(_, place)| place))
}

/// The first sequence number and the value at the place that has been reached.
fn current<'i>(chunks: &'i DBRawIterator<'_>) -> Result<Option<(u64, &'i [u8])>, StoreError> {
    match chunks.item() {
        Some((key, value)) => Ok(Some((last_number(Family::Chunks, key, 17)?, value))),
        None => chunks.status().map(|()| None).map_err(|error| engine_error("reading chunks", &error)),
    }
}

/// A value that cannot be decoded.
pub(crate) fn corrupt(family: Family, log: LogId, key: &[u8], source: DecodeError) -> StoreError {
    StoreError::Corrupt { family: family.name(), log, key: hexadecimal(key), source }
}

pub(crate) fn engine_error(doing: &'static str, error: &rocksdb::Error) -> StoreError {
    StoreError::Engine { doing, reason: error.to_string() }
}
