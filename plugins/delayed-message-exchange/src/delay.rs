//! Until when a message is held: what its headers say.
//!
//! | header | value | meaning |
//! |---|---|---|
//! | `x-delay` | milliseconds, as an integer of any width, a float (what is behind the point does not count) or a text of digits | from when it came in; 0 and less is no delay |
//! | `x-deliver-at` | milliseconds since the Unix epoch, as an integer of any width or a text of digits, or a timestamp | not before that; a time that has passed is no delay |
//!
//! With both, the later of the two holds. Negative delays are not refused, as in RabbitMQ's plugin, because it is what
//! consumers get: a delay that is over is negated ([`Delay::released`]), so that a message that is published again with the
//! headers it came with, or goes on to another such exchange, is not delayed again.

use leveret_amqp::{FieldTable, FieldValue, RawTable};
use leveret_broker::{Error, exchange::Hold};

const DELAY: &str = "x-delay";
const DELIVER_AT: &str = "x-deliver-at";

/// The rule of exchanges of type `x-delayed-message`.
pub struct Delay;

impl Hold for Delay {
    fn until(&self, headers: Option<RawTable<'_>>, now_ms: u64) -> Result<Option<u64>, Error> {
        let Some(headers) = headers else { return Ok(None) };
        let delay_ms = headers.find(DELAY)?.map(|delay| delay_ms(&delay)).transpose()?;
        // What is negative is none.
        let delayed_ms = delay_ms.and_then(|delay_ms| u64::try_from(delay_ms).ok());
        let at_ms = headers.find(DELIVER_AT)?.map(|at| at_ms(&at)).transpose()?;
        let until_ms = delayed_ms.map(|delay_ms| now_ms.saturating_add(delay_ms));
        Ok(until_ms.max(at_ms).filter(|until_ms| *until_ms > now_ms))
    }

    /// Negates the delay: as an integer of 32 bits, as RabbitMQ's plugin does, where it fits.
    fn released(&self, headers: &mut FieldTable) {
        let Some(delay) = headers.get_mut(DELAY) else { return };
        if let Ok(delay_ms) = delay_ms(delay).map(i64::saturating_neg) {
            *delay = i32::try_from(delay_ms).map_or(FieldValue::I64(delay_ms), FieldValue::I32);
        }
    }
}

fn delay_ms(delay: &FieldValue) -> Result<i64, Error> {
    let number = integer(delay).or_else(|| delay.as_f64().and_then(whole));
    number.ok_or_else(|| refusal(DELAY, delay, "a whole number of milliseconds that fits 63 bits"))
}

fn at_ms(at: &FieldValue) -> Result<u64, Error> {
    let number = match at {
        FieldValue::Timestamp(seconds) => seconds.checked_mul(1000).filter(|at_ms| *at_ms <= i64::MAX as u64),
        _ => integer(at).and_then(|at_ms| u64::try_from(at_ms).ok()),
    };
    number.ok_or_else(|| refusal(DELIVER_AT, at, "milliseconds since 1970 that fit 63 bits, or a timestamp"))
}

fn integer(value: &FieldValue) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// The whole number before the point of a float, if there is one of that size.
fn whole(number: f64) -> Option<i64> {
    // 2^63 itself does not fit.
    let fits = number.is_finite() && number.abs() < i64::MAX as f64;
    fits.then_some(number as i64)
}

fn refusal(name: &str, value: &FieldValue, expected: &str) -> Error {
    let kind = value.type_name();
    Error::precondition_failed(format!("invalid header '{name}' of type '{kind}': it must be {expected}"))
}

#[cfg(test)]
mod tests {
    use leveret_amqp::ReplyCode;

    use super::*;

    const NOW_MS: u64 = 1_700_000_000_000;

    fn until(headers: &FieldTable) -> Result<Option<u64>, Error> {
        let mut contents = Vec::new();
        headers.encode_contents(&mut contents);
        Delay.until(Some(RawTable::new(&contents)), NOW_MS)
    }

    fn with(name: &str, value: impl Into<FieldValue>) -> FieldTable {
        FieldTable::new().with(name, value)
    }

    #[test]
    fn a_delay_may_be_any_integer_and_what_reads_as_one() {
        let values = [
            FieldValue::I8(100),
            FieldValue::U8(100),
            FieldValue::I16(100),
            FieldValue::U16(100),
            FieldValue::I32(100),
            FieldValue::U32(100),
            FieldValue::I64(100),
            FieldValue::F32(100.9),
            FieldValue::F64(100.9),
            FieldValue::from("100"),
            FieldValue::from(" 100 "),
            FieldValue::from("+100"),
        ];
        for value in values {
            assert_eq!(until(&with(DELAY, value.clone())).unwrap(), Some(NOW_MS + 100), "{value:?}");
        }
    }

    #[test]
    fn a_delay_may_be_longer_than_49_days() {
        for delay_ms in [1 << 32, 1 << 40, i64::MAX] {
            assert_eq!(until(&with(DELAY, delay_ms)).unwrap(), Some(NOW_MS + delay_ms as u64));
        }
        assert_eq!(until(&with(DELAY, "9223372036854775807")).unwrap(), Some(NOW_MS + i64::MAX as u64));
    }

    #[test]
    fn no_delay_is_one_that_is_over() {
        for delay in [FieldValue::I32(0), FieldValue::I32(-5), FieldValue::I64(i64::MIN), FieldValue::from("-5")] {
            assert_eq!(until(&with(DELAY, delay)).unwrap(), None);
        }
        assert_eq!(until(&FieldTable::new()).unwrap(), None);
        assert_eq!(Delay.until(None, NOW_MS).unwrap(), None);
    }

    #[test]
    fn what_is_no_time_is_refused() {
        let values = [
            FieldValue::from("soon"),
            FieldValue::from(""),
            FieldValue::from("5s"),
            FieldValue::from("9223372036854775808"),
            FieldValue::F64(f64::NAN),
            FieldValue::F64(1e19),
            FieldValue::Bool(true),
            FieldValue::Void,
            FieldValue::Array(vec![]),
            FieldValue::Decimal { scale: 0, value: 5 },
        ];
        for value in values {
            for name in [DELAY, DELIVER_AT] {
                let error = until(&with(name, value.clone())).unwrap_err();
                assert_eq!(error.code, ReplyCode::PreconditionFailed, "{value:?}");
                assert!(error.text.starts_with(&format!("invalid header '{name}' of type '")), "{}", error.text);
            }
        }
        assert!(until(&with(DELAY, FieldValue::Timestamp(5))).is_err());
        assert!(until(&with(DELIVER_AT, -1_i32)).is_err());
        assert!(until(&with(DELIVER_AT, FieldValue::Timestamp(u64::MAX))).is_err());
        assert!(until(&with(DELIVER_AT, FieldValue::F64(5.0))).is_err());
    }

    #[test]
    fn a_time_may_be_given_instead() {
        let later_ms = NOW_MS + 2500;
        for value in [FieldValue::I64(later_ms as i64), FieldValue::from(later_ms.to_string())] {
            assert_eq!(until(&with(DELIVER_AT, value)).unwrap(), Some(later_ms));
        }
        let seconds = NOW_MS / 1000 + 7;
        assert_eq!(until(&with(DELIVER_AT, FieldValue::Timestamp(seconds))).unwrap(), Some(seconds * 1000));
        assert_eq!(until(&with(DELIVER_AT, NOW_MS as i64)).unwrap(), None, "it has passed");
        let both = with(DELIVER_AT, later_ms as i64);
        assert_eq!(until(&both.clone().with(DELAY, 100_i32)).unwrap(), Some(later_ms));
        assert_eq!(until(&both.clone().with(DELAY, 5000_i32)).unwrap(), Some(NOW_MS + 5000));
        assert_eq!(until(&both.with(DELAY, -5000_i32)).unwrap(), Some(later_ms));
    }

    #[test]
    fn a_delay_that_is_over_is_negated() {
        let released = |value: FieldValue| {
            let mut headers = with(DELAY, value).with("other", 1_i32);
            Delay.released(&mut headers);
            assert_eq!(headers.get("other"), Some(&FieldValue::I32(1)));
            headers.get(DELAY).cloned().unwrap()
        };
        assert_eq!(released(FieldValue::I32(5000)), FieldValue::I32(-5000));
        assert_eq!(released(FieldValue::U8(200)), FieldValue::I32(-200));
        assert_eq!(released(FieldValue::from("5000")), FieldValue::I32(-5000));
        assert_eq!(released(FieldValue::F64(1.5)), FieldValue::I32(-1));
        assert_eq!(released(FieldValue::I64(1 << 40)), FieldValue::I64(-(1 << 40)));
        assert_eq!(until(&with(DELAY, released(FieldValue::I64(i64::MAX)))).unwrap(), None);
        let mut without = FieldTable::new();
        Delay.released(&mut without);
        assert!(!without.contains(DELAY));
    }
}
