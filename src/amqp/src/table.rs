//! Field tables: named values, as in arguments, headers and peer properties.
//!
//! A list in the order of arrival, looked up by walking: tables are small, their order is kept on the wire, and a hash
//! map would cost more than it saves.

use std::fmt;

use crate::{
    FieldValue, RawTable, WireError,
    wire::{Reader, Sink, put_counted, put_short_text},
};

/// An owned field table, in order. A peer may send a name twice: both entries are kept, and the first one counts, as in
/// RabbitMQ.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FieldTable {
    entries: Vec<(String, FieldValue)>,
}

impl FieldTable {
    /// An empty table.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// Sets a value: in place of the first one of that name, which is returned, else at the end.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<FieldValue>) -> Option<FieldValue> {
        let (name, value) = (name.into(), value.into());
        if let Some(present) = self.get_mut(&name) {
            return Some(std::mem::replace(present, value));
        }
        self.entries.push((name, value));
        None
    }

    /// Like [`Self::insert`], for building in one expression.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<FieldValue>) -> Self {
        self.insert(name, value);
        self
    }

    /// The first value of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&FieldValue> {
        self.entries.iter().find(|(present, _)| present == name).map(|(_, value)| value)
    }

    /// The first value of this name, to change it.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut FieldValue> {
        self.entries.iter_mut().find(|(present, _)| present == name).map(|(_, value)| value)
    }

    /// Takes out every entry of this name and returns the first.
    pub fn remove(&mut self, name: &str) -> Option<FieldValue> {
        let mut found = self.entries.extract_if(.., |(present, _)| present == name).map(|(_, value)| value);
        let first = found.next();
        found.for_each(drop);
        first
    }

    /// True when there is an entry of this name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &FieldValue)> {
        self.entries.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Number of entries, without those of nested tables.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when there are no entries.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// True when both tables have the same names with [`crate::equivalent`] values, in whatever order.
    #[must_use]
    pub fn equivalent(&self, other: &Self) -> bool {
        let (own, others) = (self.by_name(), other.by_name());
        own.len() == others.len()
            && own.iter().zip(others).all(|((a_name, a), (b_name, b))| *a_name == b_name && crate::equivalent(a, b))
    }

    /// The entries that count, sorted by name: peers send tables of thousands of entries, too many to look up each.
    fn by_name(&self) -> Vec<(&str, &FieldValue)> {
        let mut entries: Vec<_> = self.iter().collect();
        entries.sort_by_key(|(name, _)| *name);
        entries.dedup_by_key(|(name, _)| *name);
        entries
    }

    /// Reads a whole table as [`Self::encode`] writes it: four bytes of length, then the entries.
    ///
    /// # Errors
    ///
    /// What is wrong with the bytes; all are `SYNTAX_ERROR`. Also bytes after the table.
    pub fn decode(input: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(input, "field table");
        let table = reader.table()?;
        reader.finish()?;
        Ok(table)
    }

    /// Reads the entries without the length, like [`RawTable::decode`].
    ///
    /// # Errors
    ///
    /// What is wrong with the bytes; all are `SYNTAX_ERROR`.
    pub fn decode_contents(contents: &[u8]) -> Result<Self, WireError> {
        RawTable::new(contents).decode()
    }

    /// Writes four bytes of length, then the entries.
    pub fn encode<S: Sink>(&self, out: &mut S) {
        put_counted(out, |out| self.encode_contents(out));
    }

    /// Writes the entries without the length: what a [`RawTable`] is a view of.
    pub fn encode_contents<S: Sink>(&self, out: &mut S) {
        for (name, value) in &self.entries {
            put_short_text(out, name);
            value.encode(out);
        }
    }

    /// Adds an entry without looking for its name.
    pub(crate) fn push(&mut self, name: String, value: FieldValue) {
        self.entries.push((name, value));
    }
}

/// `{name: value, …}` for logs.
impl fmt::Display for FieldTable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("{")?;
        for (index, (name, value)) in self.iter().enumerate() {
            write!(out, "{}{name}: {value}", if index == 0 { "" } else { ", " })?;
        }
        out.write_str("}")
    }
}

impl<N: Into<String>, V: Into<FieldValue>> FromIterator<(N, V)> for FieldTable {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(entries: I) -> Self {
        let mut table = Self::new();
        for (name, value) in entries {
            table.insert(name, value);
        }
        table
    }
}

impl IntoIterator for FieldTable {
    type Item = (String, FieldValue);
    type IntoIter = std::vec::IntoIter<(String, FieldValue)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}
