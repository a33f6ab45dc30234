//! A binding key that is a weight.

use leveret_broker::{Error, erlang_binary};

/// The largest weight of a binding. A weight takes no memory however large it is; 32 bits keep the sum of two million
/// bindings exact where it is calculated with.
pub const WEIGHT_MAX: u32 = u32::MAX;

/// The weight that a binding key says.
///
/// # Errors
/// 406 with RabbitMQ's texts: no integer, or below 1. And above [`WEIGHT_MAX`], where RabbitMQ has no limit but its memory.
pub(crate) fn parse(key: &[u8]) -> Result<u64, Error> {
    let (sign, digits) = match key {
        [sign @ (b'+' | b'-'), digits @ ..] => (*sign, digits),
        digits => (b'+', digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        let key = erlang_binary(key);
        return Err(Error::precondition_failed(format!("The binding key must be an integer: {key}")));
    }
    let weight =
        digits.iter().fold(0_u64, |value, digit| value.saturating_mul(10).saturating_add((digit - b'0').into()));
    if sign == b'-' || weight == 0 {
        return Err(Error::precondition_failed("The binding key must be greater than 0"));
    }
    if weight > WEIGHT_MAX.into() {
        return Err(Error::precondition_failed(format!("The binding key must be at most {WEIGHT_MAX}")));
    }
    Ok(weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(key: &[u8]) -> String {
        parse(key).unwrap_err().to_string()
    }

    #[test]
    fn integers_are_weights() {
        for (key, weight) in [("1", 1), ("10", 10), ("007", 7), ("+3", 3), ("4294967295", 4_294_967_295)] {
            assert_eq!(parse(key.as_bytes()), Ok(weight));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let text = "PRECONDITION_FAILED - The binding key must be an integer: ";
        assert_eq!(refused(b""), format!("{text}<<>>"));
        assert_eq!(refused(b"a"), format!("{text}<<\"a\">>"));
        assert_eq!(refused(b"1.5"), format!("{text}<<\"1.5\">>"));
        assert_eq!(refused(b" 1"), format!("{text}<<\" 1\">>"));
        assert_eq!(refused(b"-"), format!("{text}<<\"-\">>"));
        assert_eq!(refused(b"\xff"), format!("{text}<<255>>"));
        for key in ["0", "-0", "-1", "-99999999999999999999"] {
            assert_eq!(refused(key.as_bytes()), "PRECONDITION_FAILED - The binding key must be greater than 0");
        }
        for key in ["4294967296", "99999999999999999999"] {
            assert_eq!(refused(key.as_bytes()), "PRECONDITION_FAILED - The binding key must be at most 4294967295");
        }
    }
}
