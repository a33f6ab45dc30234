//! Values of headers.

use leveret_amqp::FieldValue;

pub(crate) fn texts(texts: &[String]) -> FieldValue {
    FieldValue::Array(texts.iter().map(|text| text.as_str().into()).collect())
}

pub(crate) fn integer(number: u64) -> FieldValue {
    i64::try_from(number).unwrap_or(i64::MAX).into()
}
