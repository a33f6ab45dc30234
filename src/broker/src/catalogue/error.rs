//! What is wrong with a record of the catalogue.

/// Why a record cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// The key is of a kind of record that this version does not know.
    #[error("catalogue: record of unknown kind {0:#04x}; was it written by a newer version?")]
    Kind(u8),
    /// The key has no bytes, or the value has none.
    #[error("catalogue: record without a key or a value")]
    Empty,
    /// The value is of a version that this version does not know.
    #[error(
        "catalogue: {kind} record of version {version}, which this version cannot read; was it written by a newer one?"
    )]
    Version {
        /// What the record is.
        kind: &'static str,
        /// The byte found.
        version: u8,
    },
    /// The value cannot be read.
    #[error("catalogue: malformed {kind} record: {source}")]
    Malformed {
        /// What the record is.
        kind: &'static str,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// The value is that of another object.
    #[error("catalogue: {0} record under another's key")]
    Misplaced(&'static str),
}
