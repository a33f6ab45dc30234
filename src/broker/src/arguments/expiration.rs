//! The `expiration` property of a message: milliseconds, written as text.

use super::EXPIRY_MS_MAX;
use crate::{Error, term::erlang_string};

/// Reads an `expiration` property, in milliseconds.
///
/// # Errors
/// 406 where it is not a whole number of milliseconds from 0 to [`EXPIRY_MS_MAX`].
pub fn parse_expiration(text: &[u8]) -> Result<u64, Error> {
    parse(text).map_err(|term| {
        Error::precondition_failed(format!("invalid expiration '{}': {term}", String::from_utf8_lossy(text)))
    })
}

/// The error is an Erlang term, as `rabbit_basic:parse_expiration` makes it.
fn parse(text: &[u8]) -> Result<u64, String> {
    let (negative, unsigned) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let length = unsigned.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = unsigned.split_at(length);
    if digits.is_empty() {
        return Err("no_integer".into());
    }
    if !rest.is_empty() {
        return Err(format!("{{leftover_string,{}}}", erlang_string(rest)));
    }
    // More digits than 64 bits hold are still a number to RabbitMQ, only too large a one.
    let significant = String::from_utf8_lossy(digits);
    let significant = match significant.trim_start_matches('0') {
        "" => "0",
        digits => digits,
    };
    match significant.parse() {
        Ok(0) => Ok(0),
        _ if negative => Err(format!("{{value_negative,-{significant}}}")),
        Ok(value_ms) if value_ms <= EXPIRY_MS_MAX => Ok(value_ms),
        _ => Err(format!("{{value_too_large,{significant}}}")),
    }
}

#[cfg(test)]
mod tests {
    use leveret_amqp::ReplyCode;

    use super::*;

    #[test]
    fn reads_milliseconds() {
        for (text, value_ms) in [("0", 0), ("60000", 60_000), ("+5", 5), ("-0", 0), ("000000000000000000000007", 7)] {
            assert_eq!(parse_expiration(text.as_bytes()), Ok(value_ms), "{text}");
        }
        assert_eq!(parse_expiration(b"315360000000"), Ok(EXPIRY_MS_MAX));
    }

    #[test]
    fn refuses_as_rabbitmq_does() {
        for (text, expected) in [
            ("abc", "no_integer"),
            ("", "no_integer"),
            ("-", "no_integer"),
            (" 1", "no_integer"),
            ("10s", r#"{leftover_string,"s"}"#),
            ("1.5", r#"{leftover_string,".5"}"#),
            ("-1", "{value_negative,-1}"),
            ("315360000001", "{value_too_large,315360000001}"),
            ("99999999999999999999", "{value_too_large,99999999999999999999}"),
        ] {
            let error = parse_expiration(text.as_bytes()).unwrap_err();
            assert_eq!(error.code, ReplyCode::PreconditionFailed);
            assert_eq!(error.text, format!("invalid expiration '{text}': {expected}"));
        }
        assert_eq!(
            parse_expiration(b"1\xff").unwrap_err().text,
            "invalid expiration '1\u{fffd}': {leftover_string,[255]}"
        );
    }
}
