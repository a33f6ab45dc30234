//! Values as Erlang writes them, for error texts that people know from RabbitMQ: `<<"text">>`, `#{<<"a">> => 1}`.

use std::fmt;

use serde_json::Value;

use crate::error::erlang_binary;

/// A JSON value to be written as an Erlang term.
pub(crate) struct Term<'a>(pub(crate) &'a Value);

impl fmt::Display for Term<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Null => out.write_str("null"),
            Value::Bool(value) => write!(out, "{value}"),
            Value::Number(value) => write!(out, "{value}"),
            Value::String(text) => out.write_str(&erlang_binary(text.as_bytes())),
            Value::Array(values) => {
                out.write_str("[")?;
                for (index, value) in values.iter().enumerate() {
                    write!(out, "{}{}", if index == 0 { "" } else { "," }, Term(value))?;
                }
                out.write_str("]")
            }
            Value::Object(entries) => {
                out.write_str("#{")?;
                for (index, (key, value)) in entries.iter().enumerate() {
                    let separator = if index == 0 { "" } else { "," };
                    write!(out, "{separator}{} => {}", erlang_binary(key.as_bytes()), Term(value))?;
                }
                out.write_str("}")
            }
        }
    }
}

/// `[{<<"key">>,value},…]`, as Erlang has settings before they become a map.
pub(crate) struct Pairs<'a>(pub(crate) &'a [(&'a str, &'a Value)]);

impl fmt::Display for Pairs<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("[")?;
        for (index, (key, value)) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(out, "{separator}{{{},{}}}", erlang_binary(key.as_bytes()), Term(value))?;
        }
        out.write_str("]")
    }
}

/// Bytes as Erlang prints a list of characters: `"text"`, or numbers where it is no plain text.
pub(crate) fn erlang_string(bytes: &[u8]) -> String {
    if bytes.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ') {
        return format!("{:?}", String::from_utf8_lossy(bytes));
    }
    let numbers: Vec<String> = bytes.iter().map(ToString::to_string).collect();
    format!("[{}]", numbers.join(","))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn writes_terms() {
        let value = json!({"a": [1, -2.5, "x\"y"], "b": {"c": null, "d": true}});
        assert_eq!(
            Term(&value).to_string(),
            r#"#{<<"a">> => [1,-2.5,<<"x\"y">>],<<"b">> => #{<<"c">> => null,<<"d">> => true}}"#
        );
        assert_eq!(Pairs(&[("k", &json!(1)), ("l", &json!("v"))]).to_string(), r#"[{<<"k">>,1},{<<"l">>,<<"v">>}]"#);
    }
}
