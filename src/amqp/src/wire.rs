//! The elementary types: a reader over borrowed bytes and a writer that cannot fail.
//!
//! Reader and writer have methods of the same names, one per wire type; the method declarations name them.

use bytes::BytesMut;

use crate::{FieldTable, RawTable, error::WireError};

/// Bytes that a short string can have.
pub const SHORT_STRING_MAX: usize = 255;

/// True when `text` can be sent as a short string as it is, and will not be cut.
#[must_use]
pub const fn fits_short_string(text: &[u8]) -> bool {
    text.len() <= SHORT_STRING_MAX
}

/// The longest beginning of `text` that has at most `len_max` bytes and ends between characters.
pub(crate) fn cut_text(text: &str, len_max: usize) -> &str {
    text.get(..text.floor_char_boundary(len_max)).unwrap_or_default()
}

/// A growing buffer that can be encoded into: `BytesMut` (frames) or `Vec<u8>` (records).
pub trait Sink: sealed::Sealed {
    /// Appends `bytes`.
    fn put(&mut self, bytes: &[u8]);
    /// Number of bytes written so far.
    fn position(&self) -> usize;
    /// Overwrites what was written at `position`; does nothing where nothing was written.
    fn patch(&mut self, position: usize, bytes: &[u8]);
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for bytes::BytesMut {}
    impl Sealed for Vec<u8> {}
}

macro_rules! sink {
    ($buffer:ty) => {
        impl Sink for $buffer {
            #[inline]
            fn put(&mut self, bytes: &[u8]) {
                self.extend_from_slice(bytes);
            }

            #[inline]
            fn position(&self) -> usize {
                self.len()
            }

            #[inline]
            fn patch(&mut self, position: usize, bytes: &[u8]) {
                let end = position.saturating_add(bytes.len());
                if let Some(place) = self.get_mut(position..end) {
                    place.copy_from_slice(bytes);
                }
            }
        }
    };
}

sink!(BytesMut);
sink!(Vec<u8>);

/// Writes `bytes` as a short string, cut to 255 bytes.
#[inline]
pub(crate) fn put_short_bytes<S: Sink>(out: &mut S, bytes: &[u8]) {
    let kept = bytes.get(..SHORT_STRING_MAX).unwrap_or(bytes);
    out.put(&[kept.len() as u8]);
    out.put(kept);
}

/// Writes `text` as a short string, cut to 255 bytes at a character boundary.
#[inline]
pub(crate) fn put_short_text<S: Sink>(out: &mut S, text: &str) {
    put_short_bytes(out, cut_text(text, SHORT_STRING_MAX).as_bytes());
}

/// Writes `bytes` as a long string.
#[inline]
pub(crate) fn put_long_bytes<S: Sink>(out: &mut S, bytes: &[u8]) {
    let kept = bytes.get(..u32::MAX as usize).unwrap_or(bytes);
    out.put(&(kept.len() as u32).to_be_bytes());
    out.put(kept);
}

/// Writes what `write` writes, with its length in four bytes before it.
pub(crate) fn put_counted<S: Sink>(out: &mut S, write: impl FnOnce(&mut S)) {
    let start = out.position();
    out.put(&[0; 4]);
    write(out);
    let len = out.position() - start - 4;
    out.patch(start, &u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
}

/// Reads fields off the front of borrowed bytes.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    what: &'static str,
    bits: u8,
    bits_left: u8,
}

impl<'a> Reader<'a> {
    /// Reads `bytes`; `what` names them in errors.
    #[inline]
    pub(crate) const fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { rest: bytes, what, bits: 0, bits_left: 0 }
    }

    /// Names what is being read from here on.
    #[inline]
    pub(crate) const fn name(&mut self, what: &'static str) {
        self.what = what;
    }

    /// What has not been read yet.
    #[inline]
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Refuses left-over bytes, as RabbitMQ does.
    #[inline]
    pub(crate) const fn finish(&self) -> Result<(), WireError> {
        match self.rest.len() {
            0 => Ok(()),
            count => Err(WireError::Trailing { what: self.what, count }),
        }
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (array, rest) = self.rest.split_first_chunk::<N>().ok_or(WireError::Truncated(self.what))?;
        self.rest = rest;
        self.bits_left = 0;
        Ok(*array)
    }

    /// The next `len` bytes.
    #[inline]
    pub(crate) fn bytes(&mut self, len: usize) -> Result<&'a [u8], WireError> {
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(WireError::Truncated(self.what))?;
        self.rest = rest;
        Ok(bytes)
    }

    /// A bit; up to eight neighbours share an octet, lowest first.
    #[inline]
    pub(crate) fn bit(&mut self) -> Result<bool, WireError> {
        if self.bits_left == 0 {
            [self.bits] = self.array()?;
            self.bits_left = 8;
        }
        let bit = self.bits & 1 == 1;
        self.bits >>= 1;
        self.bits_left -= 1;
        Ok(bit)
    }

    #[inline]
    pub(crate) fn octet(&mut self) -> Result<u8, WireError> {
        self.array().map(u8::from_be_bytes)
    }

    #[inline]
    pub(crate) fn short(&mut self) -> Result<u16, WireError> {
        self.array().map(u16::from_be_bytes)
    }

    #[inline]
    pub(crate) fn long(&mut self) -> Result<u32, WireError> {
        self.array().map(u32::from_be_bytes)
    }

    #[inline]
    pub(crate) fn long_long(&mut self) -> Result<u64, WireError> {
        self.array().map(u64::from_be_bytes)
    }

    #[inline]
    pub(crate) fn short_bytes(&mut self) -> Result<&'a [u8], WireError> {
        let len = self.octet()?;
        self.bytes(usize::from(len))
    }

    #[inline]
    pub(crate) fn short_text(&mut self) -> Result<&'a str, WireError> {
        let bytes = self.short_bytes()?;
        str::from_utf8(bytes).map_err(|_| WireError::InvalidUtf8(self.what))
    }

    #[inline]
    pub(crate) fn long_bytes(&mut self) -> Result<&'a [u8], WireError> {
        let len = self.long()?;
        self.bytes(len as usize)
    }

    #[inline]
    pub(crate) fn raw_table(&mut self) -> Result<RawTable<'a>, WireError> {
        self.long_bytes().map(RawTable::new)
    }

    pub(crate) fn table(&mut self) -> Result<FieldTable, WireError> {
        self.raw_table()?.decode()
    }

    #[inline]
    pub(crate) fn reserved_short(&mut self) -> Result<(), WireError> {
        self.short().map(drop)
    }

    pub(crate) fn reserved_short_string(&mut self) -> Result<(), WireError> {
        self.short_bytes().map(drop)
    }

    pub(crate) fn reserved_long_string(&mut self) -> Result<(), WireError> {
        self.long_bytes().map(drop)
    }

    pub(crate) fn reserved_bit(&mut self) -> Result<(), WireError> {
        self.bit().map(drop)
    }
}

/// Appends fields to a frame. Takes references, for one rule in the method declarations.
pub(crate) struct Writer<'o> {
    out: &'o mut BytesMut,
    bits_used: u8,
}

impl<'o> Writer<'o> {
    pub(crate) const fn new(out: &'o mut BytesMut) -> Self {
        Self { out, bits_used: 0 }
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
        self.bits_used = 0;
    }

    #[inline]
    pub(crate) fn bit(&mut self, value: &bool) {
        if self.bits_used.is_multiple_of(8) {
            self.put(&[0]);
        }
        if let Some(octet) = self.out.last_mut() {
            *octet |= u8::from(*value) << self.bits_used;
        }
        self.bits_used += 1;
    }

    #[inline]
    pub(crate) fn octet(&mut self, value: &u8) {
        self.put(&[*value]);
    }

    #[inline]
    pub(crate) fn short(&mut self, value: &u16) {
        self.put(&value.to_be_bytes());
    }

    #[inline]
    pub(crate) fn long(&mut self, value: &u32) {
        self.put(&value.to_be_bytes());
    }

    #[inline]
    pub(crate) fn long_long(&mut self, value: &u64) {
        self.put(&value.to_be_bytes());
    }

    #[inline]
    pub(crate) fn short_bytes(&mut self, value: &[u8]) {
        self.bits_used = 0;
        put_short_bytes(self.out, value);
    }

    #[inline]
    pub(crate) fn short_text(&mut self, value: &str) {
        self.bits_used = 0;
        put_short_text(self.out, value);
    }

    #[inline]
    pub(crate) fn long_bytes(&mut self, value: &[u8]) {
        self.bits_used = 0;
        put_long_bytes(self.out, value);
    }

    pub(crate) fn table(&mut self, value: &FieldTable) {
        self.bits_used = 0;
        value.encode(self.out);
    }

    pub(crate) fn reserved_short(&mut self) {
        self.put(&[0; 2]);
    }

    pub(crate) fn reserved_short_string(&mut self) {
        self.put(&[0]);
    }

    pub(crate) fn reserved_long_string(&mut self) {
        self.put(&[0; 4]);
    }

    pub(crate) fn reserved_bit(&mut self) {
        self.bit(&false);
    }
}
