//! Parameters as a form has them: `application/x-www-form-urlencoded`, with RabbitMQ's names and in its order.

use std::fmt::Write;

/// The parameters of one request. Not `Debug`: there may be a password in it.
#[derive(Default)]
pub(crate) struct Form(String);

impl Form {
    /// With one more parameter. Values are bytes: passwords and routing keys need not be text.
    pub(crate) fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.push_str(name);
        self.0.push('=');
        for octet in value.as_ref() {
            match octet {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => self.0.push(char::from(*octet)),
                b' ' => self.0.push('+'),
                // Writing to a text cannot fail.
                _ => _ = write!(self.0, "%{octet:02X}"),
            }
        }
        self
    }

    /// As it goes out.
    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_meaning_in_a_form_is_escaped() {
        let form = Form::default().with("username", "a b&c=d").with("password", [0, 255, b'+', b'%']);
        assert_eq!(form.into_text(), "username=a+b%26c%3Dd&password=%00%FF%2B%25");
        assert_eq!(
            Form::default().with("vhost", "/").with("name", "Häschen").into_text(),
            "vhost=%2F&name=H%C3%A4schen"
        );
        assert_eq!(Form::default().with("ip", "").into_text(), "ip=");
    }
}
