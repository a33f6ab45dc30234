//! Field tables as they lie in a frame, read on demand.
//!
//! Most message headers pass through a broker unread. What reads them wants one or two names, so [`RawTable::find`]
//! walks over the rest by their lengths and copies only what was asked for.

use crate::{FieldTable, FieldValue, error::WireError, wire::Reader};

/// Levels of tables and arrays inside each other, the outermost included. Far more than anything in use (a message's
/// `x-death` has three), and little enough for recursion on any stack.
pub const TABLE_DEPTH_MAX: u32 = 64;

/// Values in one table, those of nested tables and arrays included. A value takes one byte on the wire and about
/// 60 in memory: the limit keeps what one frame can make the broker allocate near one megabyte.
pub const TABLE_VALUES_MAX: u32 = 16_384;

const WHAT: &str = "field table";

/// A field table's entries as on the wire, without the length before them. Nothing is known about them yet: every
/// method may find them malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct RawTable<'a>(&'a [u8]);

impl<'a> RawTable<'a> {
    /// A view of entries without their length.
    #[must_use]
    pub const fn new(contents: &'a [u8]) -> Self {
        Self(contents)
    }

    /// The bytes of the entries.
    #[must_use]
    pub const fn contents(self) -> &'a [u8] {
        self.0
    }

    /// True when there is no entry.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The entries one by one. Ends after the first error.
    #[must_use]
    pub const fn iter(self) -> RawEntries<'a> {
        RawEntries { reader: Reader::new(self.0, WHAT) }
    }

    /// Copies the whole table out.
    ///
    /// # Errors
    ///
    /// `SYNTAX_ERROR`: truncated, unknown value type, a name that is not UTF-8, deeper than [`TABLE_DEPTH_MAX`], more
    /// values than [`TABLE_VALUES_MAX`].
    pub fn decode(self) -> Result<FieldTable, WireError> {
        Budget::new().table(self)
    }

    /// Checks everything that [`Self::decode`] checks, without allocating: so that a malformed table is refused where
    /// it comes in, not where it goes out.
    ///
    /// # Errors
    ///
    /// As [`Self::decode`].
    pub fn validate(self) -> Result<(), WireError> {
        Budget::new().check_table(self)
    }

    /// Copies out the first value of this name.
    ///
    /// # Errors
    ///
    /// `SYNTAX_ERROR` when the entry, or one before it, is malformed.
    pub fn find(self, name: &str) -> Result<Option<FieldValue>, WireError> {
        self.find_raw(name)?.map(RawValue::decode).transpose()
    }

    /// The first value of this name, not copied.
    ///
    /// # Errors
    ///
    /// As [`Self::find`].
    pub fn find_raw(self, name: &str) -> Result<Option<RawValue<'a>>, WireError> {
        for entry in self {
            let (present, value) = entry?;
            if present == name.as_bytes() {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }
}

impl<'a> IntoIterator for RawTable<'a> {
    type Item = Result<(&'a [u8], RawValue<'a>), WireError>;
    type IntoIter = RawEntries<'a>;

    fn into_iter(self) -> RawEntries<'a> {
        self.iter()
    }
}

/// Iterator over the entries of a [`RawTable`].
pub struct RawEntries<'a> {
    reader: Reader<'a>,
}

impl<'a> RawEntries<'a> {
    fn entry(&mut self) -> Result<(&'a [u8], RawValue<'a>), WireError> {
        Ok((self.reader.short_bytes()?, RawValue::read(&mut self.reader)?))
    }
}

impl<'a> Iterator for RawEntries<'a> {
    type Item = Result<(&'a [u8], RawValue<'a>), WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_empty() {
            return None;
        }
        let entry = self.entry();
        if entry.is_err() {
            self.reader = Reader::new(&[], WHAT);
        }
        Some(entry)
    }
}

/// One value, by its type octet and its bytes (without a length before them).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawValue<'a> {
    kind: u8,
    bytes: &'a [u8],
}

impl<'a> RawValue<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        let kind = reader.octet()?;
        let bytes = match kind {
            b'V' => &[],
            b't' | b'b' | b'B' => reader.bytes(1)?,
            b's' | b'u' => reader.bytes(2)?,
            b'I' | b'i' | b'f' => reader.bytes(4)?,
            b'D' => reader.bytes(5)?,
            b'l' | b'L' | b'd' | b'T' => reader.bytes(8)?,
            b'S' | b'x' | b'A' | b'F' => reader.long_bytes()?,
            unknown => return Err(WireError::UnknownFieldType(unknown)),
        };
        Ok(Self { kind, bytes })
    }

    /// The type octet.
    #[must_use]
    pub const fn kind(self) -> u8 {
        self.kind
    }

    /// The bytes of a long string.
    #[must_use]
    pub const fn as_bytes(self) -> Option<&'a [u8]> {
        match self.kind {
            b'S' => Some(self.bytes),
            _ => None,
        }
    }

    /// Copies the value out.
    ///
    /// # Errors
    ///
    /// As [`RawTable::decode`], when an array or table is malformed.
    pub fn decode(self) -> Result<FieldValue, WireError> {
        Budget::new().nested(self)
    }

    /// A value that is neither array nor table.
    fn scalar(self) -> Result<FieldValue, WireError> {
        let bytes = self.bytes;
        Ok(match self.kind {
            b't' => FieldValue::Bool(u8::from_be_bytes(fixed(bytes)?) != 0),
            b'b' => FieldValue::I8(i8::from_be_bytes(fixed(bytes)?)),
            b'B' => FieldValue::U8(u8::from_be_bytes(fixed(bytes)?)),
            b's' => FieldValue::I16(i16::from_be_bytes(fixed(bytes)?)),
            b'u' => FieldValue::U16(u16::from_be_bytes(fixed(bytes)?)),
            b'I' => FieldValue::I32(i32::from_be_bytes(fixed(bytes)?)),
            b'i' => FieldValue::U32(u32::from_be_bytes(fixed(bytes)?)),
            b'l' | b'L' => FieldValue::I64(i64::from_be_bytes(fixed(bytes)?)),
            b'f' => FieldValue::F32(f32::from_be_bytes(fixed(bytes)?)),
            b'd' => FieldValue::F64(f64::from_be_bytes(fixed(bytes)?)),
            b'T' => FieldValue::Timestamp(u64::from_be_bytes(fixed(bytes)?)),
            b'D' => {
                let [scale, digits @ ..] = fixed::<5>(bytes)?;
                FieldValue::Decimal { scale, value: u32::from_be_bytes(digits) }
            }
            b'S' => FieldValue::LongString(bytes.to_vec()),
            b'x' => FieldValue::ByteArray(bytes.to_vec()),
            b'V' => FieldValue::Void,
            unknown => return Err(WireError::UnknownFieldType(unknown)),
        })
    }
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], WireError> {
    bytes.try_into().map_err(|_| WireError::Truncated(WHAT))
}

/// What is left of the limits while a table is walked.
struct Budget {
    levels: u32,
    values: u32,
}

impl Budget {
    const fn new() -> Self {
        Self { levels: TABLE_DEPTH_MAX, values: TABLE_VALUES_MAX }
    }

    fn enter(&mut self) -> Result<(), WireError> {
        self.levels = self.levels.checked_sub(1).ok_or(WireError::TableTooDeep(TABLE_DEPTH_MAX))?;
        Ok(())
    }

    const fn leave(&mut self) {
        self.levels += 1;
    }

    fn count(&mut self) -> Result<(), WireError> {
        self.values = self.values.checked_sub(1).ok_or(WireError::TableTooLarge(TABLE_VALUES_MAX))?;
        Ok(())
    }

    fn table(&mut self, raw: RawTable<'_>) -> Result<FieldTable, WireError> {
        self.enter()?;
        let mut table = FieldTable::new();
        for entry in raw {
            let (name, value) = entry?;
            self.count()?;
            table.push(field_name(name)?.to_owned(), self.nested(value)?);
        }
        self.leave();
        Ok(table)
    }

    fn array(&mut self, contents: &[u8]) -> Result<Vec<FieldValue>, WireError> {
        self.enter()?;
        let mut reader = Reader::new(contents, WHAT);
        let mut values = Vec::new();
        while !reader.is_empty() {
            self.count()?;
            values.push(self.nested(RawValue::read(&mut reader)?)?);
        }
        self.leave();
        Ok(values)
    }

    fn nested(&mut self, value: RawValue<'_>) -> Result<FieldValue, WireError> {
        match value.kind {
            b'F' => self.table(RawTable::new(value.bytes)).map(FieldValue::Table),
            b'A' => self.array(value.bytes).map(FieldValue::Array),
            _ => value.scalar(),
        }
    }

    fn check_table(&mut self, raw: RawTable<'_>) -> Result<(), WireError> {
        self.enter()?;
        for entry in raw {
            let (name, value) = entry?;
            self.count()?;
            field_name(name)?;
            self.check_nested(value)?;
        }
        self.leave();
        Ok(())
    }

    fn check_array(&mut self, contents: &[u8]) -> Result<(), WireError> {
        self.enter()?;
        let mut reader = Reader::new(contents, WHAT);
        while !reader.is_empty() {
            self.count()?;
            self.check_nested(RawValue::read(&mut reader)?)?;
        }
        self.leave();
        Ok(())
    }

    /// Scalars need no check: their bytes were taken by their width.
    fn check_nested(&mut self, value: RawValue<'_>) -> Result<(), WireError> {
        match value.kind {
            b'F' => self.check_table(RawTable::new(value.bytes)),
            b'A' => self.check_array(value.bytes),
            _ => Ok(()),
        }
    }
}

fn field_name(name: &[u8]) -> Result<&str, WireError> {
    str::from_utf8(name).map_err(|_| WireError::InvalidUtf8("field name"))
}
