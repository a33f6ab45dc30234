//! The address of a broker: `amqp://user:password@host:port/vhost`, as RabbitMQ's URI specification has it.
//!
//! Written here because a general URL parser gets the one peculiar rule wrong: no path means vhost `/`, while a path of
//! a single slash means the vhost with the empty name in RabbitMQ's specification. People write `amqp://host/` and mean
//! the default vhost, and most clients read it so: an empty name is taken as `/` here too.

use std::fmt;
use std::str::FromStr;

/// Where and as whom to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uri {
    /// User name for SASL PLAIN.
    pub username: String,
    /// Password for SASL PLAIN.
    pub password: String,
    /// Name or address, without the brackets of an IPv6 address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Virtual host.
    pub vhost: String,
}

/// Why a text is not the address of a broker.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// Another protocol, or none.
    #[error("expected amqp://USER:PASSWORD@HOST:PORT/VHOST (TLS is not supported by the load generator)")]
    Scheme,
    /// The port is not a number from 1 to 65535.
    #[error("'{0}' is not a port")]
    Port(String),
    /// A `%` that is not followed by two hexadecimal digits, or what they give is not UTF-8.
    #[error("'{0}' is not percent-encoded UTF-8")]
    Encoding(String),
}

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        let rest = text.strip_prefix("amqp://").ok_or(UriError::Scheme)?;
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let (authority, vhost) = rest.split_once('/').unwrap_or((rest, ""));
        let (credentials, address) = authority.rsplit_once('@').unwrap_or(("guest:guest", authority));
        let (username, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        let (host, port) = split_port(address)?;
        Ok(Self {
            username: decode(username)?,
            password: decode(password)?,
            host: if host.is_empty() { "127.0.0.1".to_owned() } else { decode(host)? },
            port,
            vhost: if vhost.is_empty() { "/".to_owned() } else { decode(vhost)? },
        })
    }
}

impl fmt::Display for Uri {
    /// Without the password: this is printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "amqp://{}@{}:{} (vhost {})", self.username, self.host, self.port, self.vhost)
    }
}

fn split_port(address: &str) -> Result<(&str, u16), UriError> {
    let (host, port) = match address.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':').unwrap_or_default()),
        None => address.split_once(':').unwrap_or((address, "")),
    };
    let number = if port.is_empty() { Ok(5672) } else { port.parse() };
    match number {
        Ok(number) if number > 0 => Ok((host, number)),
        _ => Err(UriError::Port(port.to_owned())),
    }
}

fn decode(text: &str) -> Result<String, UriError> {
    let error = || UriError::Encoding(text.to_owned());
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2).ok_or_else(error)?;
        let digits = std::str::from_utf8(digits).map_err(|_| error())?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| error())?);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| error())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> (String, String, String, u16, String) {
        let uri: Uri = text.parse().unwrap();
        (uri.username, uri.password, uri.host, uri.port, uri.vhost)
    }

    fn expected(parts: (&str, &str, &str, u16, &str)) -> (String, String, String, u16, String) {
        (parts.0.into(), parts.1.into(), parts.2.into(), parts.3, parts.4.into())
    }

    #[test]
    fn parts_have_defaults() {
        assert_eq!(parse("amqp://"), expected(("guest", "guest", "127.0.0.1", 5672, "/")));
        assert_eq!(parse("amqp://broker/"), expected(("guest", "guest", "broker", 5672, "/")));
        assert_eq!(parse("amqp://a:b@broker:1/c"), expected(("a", "b", "broker", 1, "c")));
        assert_eq!(parse("amqp://[::1]:2?heartbeat=5"), expected(("guest", "guest", "::1", 2, "/")));
    }

    #[test]
    fn reserved_characters_are_percent_encoded() {
        assert_eq!(parse("amqp://a%40b:c%2Fd@h/%2F"), expected(("a@b", "c/d", "h", 5672, "/")));
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!("http://h".parse::<Uri>(), Err(UriError::Scheme));
        assert_eq!("amqp://h:0".parse::<Uri>(), Err(UriError::Port("0".into())));
        assert_eq!("amqp://h:x".parse::<Uri>(), Err(UriError::Port("x".into())));
        assert_eq!("amqp://%4@h".parse::<Uri>(), Err(UriError::Encoding("%4".into())));
    }
}
