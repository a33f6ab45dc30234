//! Field values: what a field table maps names to.

use std::fmt;

use crate::{
    FieldTable,
    wire::{Sink, put_counted, put_long_bytes},
};

/// A value of a field table or array, of one of the types that RabbitMQ knows. The octet before each is its type on
/// the wire.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldValue {
    /// `t`
    Bool(bool),
    /// `b`
    I8(i8),
    /// `B`
    U8(u8),
    /// `s`
    I16(i16),
    /// `u`
    U16(u16),
    /// `I`
    I32(i32),
    /// `i`
    U32(u32),
    /// `l`; also decoded from `L`, as RabbitMQ does.
    I64(i64),
    /// `f`
    F32(f32),
    /// `d`
    F64(f64),
    /// `D`: `value` / 10^`scale`. Unsigned, as RabbitMQ reads it.
    Decimal {
        /// Digits after the decimal point.
        scale: u8,
        /// All digits.
        value: u32,
    },
    /// `S`: text by convention, but any bytes.
    LongString(Vec<u8>),
    /// `x`
    ByteArray(Vec<u8>),
    /// `A`
    Array(Vec<FieldValue>),
    /// `T`: seconds since the Unix epoch.
    Timestamp(u64),
    /// `F`
    Table(FieldTable),
    /// `V`: no value.
    Void,
}

impl FieldValue {
    /// The value of an integer of any width.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match *self {
            Self::I8(value) => Some(value.into()),
            Self::U8(value) => Some(value.into()),
            Self::I16(value) => Some(value.into()),
            Self::U16(value) => Some(value.into()),
            Self::I32(value) => Some(value.into()),
            Self::U32(value) => Some(value.into()),
            Self::I64(value) => Some(value),
            _ => None,
        }
    }

    /// The value of a float of either width.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            Self::F32(value) => Some(value.into()),
            Self::F64(value) => Some(value),
            _ => None,
        }
    }

    /// The text of a long string that is UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        self.as_bytes().and_then(|bytes| str::from_utf8(bytes).ok())
    }

    /// The bytes of a long string.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::LongString(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The value of a boolean.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match *self {
            Self::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// The elements of an array.
    #[must_use]
    pub fn as_array(&self) -> Option<&[FieldValue]> {
        match self {
            Self::Array(values) => Some(values),
            _ => None,
        }
    }

    /// The table, if it is one.
    #[must_use]
    pub fn as_table(&self) -> Option<&FieldTable> {
        match self {
            Self::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The type's name in RabbitMQ's error texts, such as `longstr` or `signedint`.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Bool(_) => "bool",
            Self::I8(_) => "byte",
            Self::U8(_) => "unsignedbyte",
            Self::I16(_) => "short",
            Self::U16(_) => "unsignedshort",
            Self::I32(_) => "signedint",
            Self::U32(_) => "unsignedint",
            Self::I64(_) => "long",
            Self::F32(_) => "float",
            Self::F64(_) => "double",
            Self::Decimal { .. } => "decimal",
            Self::LongString(_) => "longstr",
            Self::ByteArray(_) => "binary",
            Self::Array(_) => "array",
            Self::Timestamp(_) => "timestamp",
            Self::Table(_) => "table",
            Self::Void => "void",
        }
    }

    /// Writes type octet and value.
    pub fn encode<S: Sink>(&self, out: &mut S) {
        match self {
            Self::Bool(value) => out.put(&[b't', u8::from(*value)]),
            Self::I8(value) => put_fixed(out, b'b', value.to_be_bytes()),
            Self::U8(value) => put_fixed(out, b'B', value.to_be_bytes()),
            Self::I16(value) => put_fixed(out, b's', value.to_be_bytes()),
            Self::U16(value) => put_fixed(out, b'u', value.to_be_bytes()),
            Self::I32(value) => put_fixed(out, b'I', value.to_be_bytes()),
            Self::U32(value) => put_fixed(out, b'i', value.to_be_bytes()),
            Self::I64(value) => put_fixed(out, b'l', value.to_be_bytes()),
            Self::F32(value) => put_fixed(out, b'f', value.to_be_bytes()),
            Self::F64(value) => put_fixed(out, b'd', value.to_be_bytes()),
            Self::Timestamp(value) => put_fixed(out, b'T', value.to_be_bytes()),
            Self::Void => out.put(b"V"),
            Self::Decimal { scale, value } => {
                out.put(&[b'D', *scale]);
                out.put(&value.to_be_bytes());
            }
            Self::LongString(bytes) => {
                out.put(b"S");
                put_long_bytes(out, bytes);
            }
            Self::ByteArray(bytes) => {
                out.put(b"x");
                put_long_bytes(out, bytes);
            }
            Self::Array(values) => {
                out.put(b"A");
                put_counted(out, |out| values.iter().for_each(|value| value.encode(out)));
            }
            Self::Table(table) => {
                out.put(b"F");
                table.encode(out);
            }
        }
    }
}

fn put_fixed<S: Sink, const N: usize>(out: &mut S, kind: u8, value: [u8; N]) {
    out.put(&[kind]);
    out.put(&value);
}

/// True when two values mean the same: integers of any width by value, floats likewise, arrays and tables by their
/// parts (tables regardless of order), everything else by type and value. What re-declaring a queue is judged by.
#[must_use]
pub fn equivalent(a: &FieldValue, b: &FieldValue) -> bool {
    match (a, b) {
        (FieldValue::Array(a), FieldValue::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equivalent(a, b))
        }
        (FieldValue::Table(a), FieldValue::Table(b)) => a.equivalent(b),
        _ => match (a.as_i64(), b.as_i64(), a.as_f64(), b.as_f64()) {
            (Some(a), Some(b), ..) => a == b,
            (_, _, Some(a), Some(b)) => a == b,
            _ => a == b,
        },
    }
}

/// The plain value for error texts and logs: text without quotes, lists in brackets, tables in braces.
impl fmt::Display for FieldValue {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(out, "{value}"),
            Self::I8(value) => write!(out, "{value}"),
            Self::U8(value) => write!(out, "{value}"),
            Self::I16(value) => write!(out, "{value}"),
            Self::U16(value) => write!(out, "{value}"),
            Self::I32(value) => write!(out, "{value}"),
            Self::U32(value) => write!(out, "{value}"),
            Self::I64(value) => write!(out, "{value}"),
            Self::F32(value) => write!(out, "{value:?}"),
            Self::F64(value) => write!(out, "{value:?}"),
            Self::Decimal { scale, value } => write!(out, "{value}e-{scale}"),
            Self::LongString(bytes) | Self::ByteArray(bytes) => out.write_str(&String::from_utf8_lossy(bytes)),
            Self::Array(values) => {
                out.write_str("[")?;
                for (index, value) in values.iter().enumerate() {
                    write!(out, "{}{value}", if index == 0 { "" } else { "," })?;
                }
                out.write_str("]")
            }
            Self::Timestamp(seconds) => write!(out, "{seconds}"),
            Self::Table(table) => write!(out, "{table}"),
            Self::Void => out.write_str("undefined"),
        }
    }
}

macro_rules! from {
    ($($from:ty => $variant:ident,)*) => {
        $(impl From<$from> for FieldValue {
            fn from(value: $from) -> Self {
                Self::$variant(value.into())
            }
        })*
    };
}

from! {
    bool => Bool,
    i8 => I8,
    u8 => U8,
    i16 => I16,
    u16 => U16,
    i32 => I32,
    u32 => U32,
    i64 => I64,
    f32 => F32,
    f64 => F64,
    &str => LongString,
    String => LongString,
    Vec<FieldValue> => Array,
    FieldTable => Table,
}
