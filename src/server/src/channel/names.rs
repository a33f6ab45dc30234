//! Names that the server makes up, of queues and of consumers, and what it makes of declared ones.

use std::borrow::Cow;

/// Digits of base 64 that names and URLs take alike.
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A declared name as it counts: RabbitMQ drops carriage returns and line feeds.
pub(super) fn without_line_breaks(name: &str) -> Cow<'_, str> {
    if name.contains(['\r', '\n']) { Cow::Owned(name.replace(['\r', '\n'], "")) } else { Cow::Borrowed(name) }
}

/// `prefix` with 128 random bits behind it, in 22 characters: it goes out with every delivery, so it is short.
pub(super) fn unique(prefix: &str) -> String {
    let mut bits = rand::random::<u128>();
    let mut name = String::with_capacity(prefix.len() + 22);
    name.push_str(prefix);
    for _ in 0..22 {
        name.push(char::from(DIGITS[(bits & 63) as usize]));
        bits >>= 6;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_and_are_short() {
        let name = unique("amq.gen-");
        assert_eq!(name.len(), 30);
        assert!(name.starts_with("amq.gen-"));
        assert_ne!(name, unique("amq.gen-"));
    }
}
