//! How RocksDB is set up, and why.

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamilyDescriptor, DBCompressionType, DBRecoveryMode, LogLevel, Options as Settings,
};

use crate::keys::Family;
use crate::options::Options;
use crate::room::{FILE_BYTES, MERGE_BYTES};

/// Write buffer of everything but the chunks: small values, and deleted keys in it slow down reading.
const SMALL_BUFFER_BYTES: usize = 8 << 20;

/// Settings of the whole database.
pub(crate) fn database(options: &Options) -> Settings {
    let mut settings = Settings::default();
    settings.create_if_missing(true);
    settings.create_missing_column_families(true);
    settings.set_db_write_buffer_size(options.write_buffers_bytes);
    settings.set_max_open_files(i32::from(options.open_files));
    settings.set_max_background_jobs(i32::from(options.background_jobs));
    write_ahead_log(&mut settings, options);
    // All families at once: what is in files is of one moment. Otherwise a log may be needed for one family when another
    // has been written out beyond it; where that log is damaged then, or only ends with what it held when it was last used
    // and the next is still empty, the engine refuses to open.
    settings.set_atomic_flush(true);
    // One thread writes: what lets several write at once only costs.
    settings.set_allow_concurrent_memtable_write(false);
    settings.set_enable_write_thread_adaptive_yield(false);
    // Write files out steadily instead of in one burst that a sync of the log would have to wait for.
    settings.set_bytes_per_sync(1 << 20);
    settings.set_log_level(LogLevel::Warn);
    settings.set_keep_log_file_num(2);
    settings.set_max_log_file_size(1 << 20);
    settings.set_stats_dump_period_sec(0);
    settings.set_stats_persist_period_sec(0);
    settings
}

fn write_ahead_log(settings: &mut Settings, options: &Options) {
    // Without a bound, one quiet family that was written once holds every log since.
    settings.set_max_total_wal_size(options.wal_bytes);
    // Logs used again do not grow, so their syncs need not write the file system's journal.
    settings.set_recycle_log_file_num(2);
    // Up to the first damaged record: a torn tail is normal after a crash, and nothing behind it was confirmed.
    settings.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
}

/// All column families with their settings. `others` were found but are unknown: they are opened to be able to look
/// at the format.
pub(crate) fn families(options: &Options, others: &[String], merges: bool) -> Vec<ColumnFamilyDescriptor> {
    let cache = Cache::new_lru_cache(options.cache_bytes);
    let known = Family::ALL.iter().map(|&family| {
        let mut settings = family_settings(family, options, &cache);
        settings.set_disable_auto_compactions(!merges);
        ColumnFamilyDescriptor::new(family.name(), settings)
    });
    let plain = others.iter().map(|name| ColumnFamilyDescriptor::new(name, small(&cache)));
    known.chain(plain).collect()
}

/// The database of transient chunks: one family, no log, nothing that outlives the process.
pub(crate) fn transient(options: &Options) -> Settings {
    // A chunk is read once, and not through the cache: what is in it are blocks of indexes.
    let mut settings = chunks(options, &Cache::new_lru_cache(SMALL_BUFFER_BYTES));
    settings.create_if_missing(true);
    settings.set_max_write_buffer_number(2);
    settings.set_max_open_files(i32::from(options.open_files));
    settings.set_allow_concurrent_memtable_write(false);
    settings.set_log_level(LogLevel::Warn);
    settings.set_keep_log_file_num(1);
    settings.set_stats_dump_period_sec(0);
    settings.set_stats_persist_period_sec(0);
    compact_deleted(&mut settings);
    settings
}

/// Queues are consumed from the front: reading there means stepping over what was deleted. A file with a stretch that
/// is half deletions is compacted without waiting for its level to fill.
fn compact_deleted(settings: &mut Settings) {
    settings.add_compact_on_deletion_collector_factory(128, 64, 0.0);
}

fn family_settings(family: Family, options: &Options, cache: &Cache) -> Settings {
    let mut settings = match family {
        Family::Chunks | Family::Timeline => chunks(options, cache),
        _ => small(cache),
    };
    if matches!(family, Family::Chunks | Family::Marks | Family::Due | Family::Timeline) {
        compact_deleted(&mut settings);
    }
    settings
}

fn chunks(options: &Options, cache: &Cache) -> Settings {
    let mut settings = Settings::default();
    settings.set_write_buffer_size(options.chunk_buffer_bytes);
    // One being filled, one being written out, and one so that filling does not wait for the disk at once.
    settings.set_max_write_buffer_number(3);
    // Young chunks are mostly consumed before they are compacted; the old ones of a long backlog are worth packing.
    settings.set_compression_per_level(&[
        DBCompressionType::None,
        DBCompressionType::None,
        DBCompressionType::None,
        DBCompressionType::Lz4,
        DBCompressionType::Lz4,
        DBCompressionType::Lz4,
        DBCompressionType::Lz4,
    ]);
    settings.set_block_based_table_factory(&blocks(cache, 32 << 10));
    merged_piece_by_piece(&mut settings);
    settings
}

fn small(cache: &Cache) -> Settings {
    let mut settings = Settings::default();
    settings.set_write_buffer_size(SMALL_BUFFER_BYTES);
    settings.set_compression_type(DBCompressionType::None);
    settings.set_block_based_table_factory(&blocks(cache, 4 << 10));
    merged_piece_by_piece(&mut settings);
    settings
}

/// See [`room`](crate::room). The level that new files are merged into is not larger than they are when there are enough of
/// them: one merge takes them all together.
fn merged_piece_by_piece(settings: &mut Settings) {
    settings.set_target_file_size_base(FILE_BYTES);
    settings.set_max_compaction_bytes(MERGE_BYTES);
    settings.set_max_bytes_for_level_base(MERGE_BYTES);
}

fn blocks(cache: &Cache, bytes: usize) -> BlockBasedOptions {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    blocks.set_block_size(bytes);
    blocks
}
