//! What values arguments take. Each check gives the Erlang term that RabbitMQ puts into `invalid arg '…' for …: <term>`.

use leveret_amqp::{FieldValue, fits_short_string};

use super::{EXPIRY_MS_MAX, RETRY_STEPS_MAX};

/// An integer of any width.
pub(super) fn integer(found: &FieldValue) -> Result<i64, String> {
    found.as_i64().ok_or_else(|| format!("\"expected integer, got {}\"", found.type_name()))
}

pub(super) fn not_negative(found: &FieldValue) -> Result<(), String> {
    match integer(found)? {
        negative if negative < 0 => Err(format!("{{value_negative,{negative}}}")),
        _ => Ok(()),
    }
}

pub(super) fn positive(found: &FieldValue) -> Result<(), String> {
    not_negative(found)?;
    if integer(found)? == 0 { Err("{value_zero,0}".into()) } else { Ok(()) }
}

pub(super) fn time_to_live(found: &FieldValue) -> Result<(), String> {
    not_negative(found)?;
    let value = integer(found)?;
    let short_enough = u64::try_from(value).is_ok_and(|value_ms| value_ms <= EXPIRY_MS_MAX);
    if short_enough { Ok(()) } else { Err(format!("{{value_too_large,{value}}}")) }
}

pub(super) fn expires(found: &FieldValue) -> Result<(), String> {
    positive(found)?;
    time_to_live(found)
}

/// Delays, in milliseconds: an array of integers, each as [`expires`] takes it.
pub(super) fn steps(found: &FieldValue) -> Result<(), String> {
    let steps = found.as_array().ok_or_else(|| unacceptable(found))?;
    match steps.len() {
        0 => Err("no_steps".into()),
        count if count > RETRY_STEPS_MAX => Err(format!("{{too_many_steps,{count}}}")),
        _ => steps.iter().try_for_each(expires),
    }
}

pub(super) fn boolean(found: &FieldValue) -> Result<(), String> {
    if found.as_bool().is_some() { Ok(()) } else { Err(unacceptable(found)) }
}

pub(super) fn text(found: &FieldValue) -> Result<(), String> {
    if found.as_bytes().is_some() { Ok(()) } else { Err(unacceptable(found)) }
}

/// The name of an exchange, or a routing key that is set in an argument. RabbitMQ takes any bytes here and finds no
/// exchange of that name later; a name that cannot be on the wire is refused at once.
pub(super) fn name(found: &FieldValue) -> Result<(), String> {
    text(found)?;
    match found.as_str() {
        None => Err("invalid_utf8".into()),
        Some(name) if !fits_short_string(name.as_bytes()) => Err("name_too_long".into()),
        Some(_) => Ok(()),
    }
}

pub(super) fn one_of(found: &FieldValue, words: &[&str], otherwise: &str) -> Result<(), String> {
    text(found)?;
    if found.as_str().is_some_and(|text| words.contains(&text)) { Ok(()) } else { Err(otherwise.to_owned()) }
}

pub(super) fn unacceptable(found: &FieldValue) -> String {
    format!("{{unacceptable_type,{}}}", found.type_name())
}
