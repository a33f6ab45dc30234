//! Variable-length integers and the checked reader that every stored value is decoded with.

/// Why a stored value could not be decoded. The store adds which log and key it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The value ends before everything it announces.
    #[error("it ends too early")]
    Truncated,
    /// The value goes on after everything it announces.
    #[error("it has bytes left over")]
    Trailing,
    /// The version byte is none that this program knows.
    #[error("its version {0} is unknown")]
    Version(u8),
    /// A number does not fit where it belongs, or contradicts another one.
    #[error("a number in it is out of range")]
    Number,
}

/// Appends `value` in 7-bit groups, low ones first (LEB128).
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends the difference of two sequence numbers; either may be the larger one.
pub(crate) fn put_difference(out: &mut Vec<u8>, from: u64, to: u64) {
    let difference = to.wrapping_sub(from) as i64;
    put_varint(out, ((difference << 1) ^ (difference >> 63)) as u64);
}

/// A cursor over a stored value.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts reading `value` behind its version byte, which must be `version`.
    pub(crate) fn versioned(value: &'a [u8], version: u8) -> Result<Self, DecodeError> {
        let mut reader = Self { rest: value };
        match reader.byte()? {
            found if found == version => Ok(reader),
            found => Err(DecodeError::Version(found)),
        }
    }

    /// Starts reading `value` behind its version byte, which must be from 1 to `latest`, and says which it is.
    pub(crate) fn up_to_version(value: &'a [u8], latest: u8) -> Result<(u8, Self), DecodeError> {
        let mut reader = Self { rest: value };
        match reader.byte()? {
            found if (1..=latest).contains(&found) => Ok((found, reader)),
            found => Err(DecodeError::Version(found)),
        }
    }

    /// How many bytes have not been read.
    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        let (&first, rest) = self.rest.split_first().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(first)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        let (head, rest) = self.rest.split_first_chunk::<8>().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(u64::from_le_bytes(*head))
    }

    pub(crate) fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let group = u64::from(byte & 0x7f);
            if shift == 63 && group > 1 {
                return Err(DecodeError::Number);
            }
            value |= group << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::Number)
    }

    pub(crate) fn varint_u32(&mut self) -> Result<u32, DecodeError> {
        u32::try_from(self.varint()?).map_err(|_| DecodeError::Number)
    }

    /// The counterpart of [`put_difference`].
    pub(crate) fn difference(&mut self, from: u64) -> Result<u64, DecodeError> {
        let folded = self.varint()?;
        let difference = (folded >> 1) as i64 ^ -((folded & 1) as i64);
        Ok(from.wrapping_add(difference as u64))
    }

    /// A count of things that each take at least one byte, so that a corrupt one cannot ask for absurd memory.
    pub(crate) fn count(&mut self) -> Result<usize, DecodeError> {
        let count = self.varint_u32()? as usize;
        if count > self.remaining() {
            return Err(DecodeError::Truncated);
        }
        Ok(count)
    }

    pub(crate) fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::Trailing) }
    }
}
