//! The two SASL mechanisms: PLAIN (RFC 4616) and AMQPLAIN (AMQP 0-8's own, still the default of some clients).
//!
//! Nothing of a response ever goes into an error text or a log.

use leveret_amqp::{FieldTable, ReplyCode};
use leveret_broker::Error;

/// The names offered in connection.start.
pub(super) const MECHANISMS: &[u8] = b"PLAIN AMQPLAIN";

/// What a client logs in with. Not `Debug`, so that it cannot be logged by accident.
pub(crate) struct Credentials {
    pub(crate) username: String,
    pub(crate) password: Vec<u8>,
}

/// Reads a response.
///
/// # Errors
/// 503 for a mechanism that was not offered, 502 for a response that is none of its mechanism.
pub(super) fn credentials(mechanism: &str, response: &[u8]) -> Result<Credentials, Error> {
    let credentials = match mechanism {
        "PLAIN" => plain(response),
        "AMQPLAIN" => amqplain(response),
        _ => {
            let text = format!("unknown authentication mechanism '{mechanism}'");
            return Err(Error::new(ReplyCode::CommandInvalid, text));
        }
    };
    credentials.ok_or_else(|| {
        let text = format!("the response is not one of authentication mechanism {mechanism}");
        Error::new(ReplyCode::SyntaxError, text)
    })
}

/// `[authorization identity] NUL user NUL password`. The identity is not looked at, as in RabbitMQ.
fn plain(response: &[u8]) -> Option<Credentials> {
    let mut parts = response.splitn(3, |octet| *octet == 0);
    let (_identity, username, password) = (parts.next()?, parts.next()?, parts.next()?);
    Some(Credentials { username: String::from_utf8(username.to_vec()).ok()?, password: password.to_vec() })
}

/// The entries `LOGIN` and `PASSWORD` of a field table without its length.
fn amqplain(response: &[u8]) -> Option<Credentials> {
    let table = FieldTable::decode_contents(response).ok()?;
    Some(Credentials {
        username: table.get("LOGIN")?.as_str()?.to_owned(),
        password: table.get("PASSWORD")?.as_bytes()?.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mechanism: &str, response: &[u8]) -> Result<(String, Vec<u8>), Error> {
        credentials(mechanism, response).map(|credentials| (credentials.username, credentials.password))
    }

    #[test]
    fn plain_with_and_without_identity() {
        let expected = ("user".to_owned(), b"pass".to_vec());
        assert_eq!(read("PLAIN", b"\0user\0pass").unwrap(), expected);
        assert_eq!(read("PLAIN", b"other\0user\0pass").unwrap(), expected);
        assert_eq!(read("PLAIN", b"\0user\0pa\0ss").unwrap().1, b"pa\0ss");
    }

    #[test]
    fn amqplain_is_a_table_without_length() {
        let mut response = Vec::new();
        FieldTable::new().with("LOGIN", "user").with("PASSWORD", "pass").encode_contents(&mut response);
        assert_eq!(read("AMQPLAIN", &response).unwrap(), ("user".to_owned(), b"pass".to_vec()));
    }

    #[test]
    fn what_is_neither_is_refused_without_being_repeated() {
        for response in [&b""[..], b"user", b"\0user", b"\0\xFF\0secret"] {
            let error = read("PLAIN", response).unwrap_err();
            assert_eq!(error.code, ReplyCode::SyntaxError);
            assert!(!error.text.contains("secret"));
        }
        assert_eq!(read("AMQPLAIN", b"\0user\0pass").unwrap_err().code, ReplyCode::SyntaxError);
        let unknown = read("EXTERNAL", b"").unwrap_err();
        assert_eq!(unknown.code, ReplyCode::CommandInvalid);
        assert_eq!(unknown.text, "unknown authentication mechanism 'EXTERNAL'");
    }
}
