//! Lists on standard output: tables as rabbitmqctl writes them, or JSON.

use std::io::Write;

use serde_json::{Map, Value};

use super::error::Error;

/// How results are written.
pub(super) struct Output {
    pub(super) is_json: bool,
    /// `Listing queues ...`
    pub(super) has_remarks: bool,
    pub(super) has_headers: bool,
}

/// A column's name, and where its value is in an object of the API, a path with dots.
pub(super) type Column = (&'static str, &'static str);

impl Output {
    /// Says what is being done.
    pub(super) fn remark(&self, text: &str) {
        if self.has_remarks {
            print_lines(&format!("{text} ..."));
        }
    }

    /// Says something that is a result.
    pub(super) fn result(&self, text: &str) {
        print_lines(text);
    }

    /// Writes objects with the chosen columns.
    pub(super) fn list(&self, items: &[Value], columns: &[Column]) {
        if self.is_json {
            self.json(&Value::Array(items.iter().map(|item| object(item, columns)).collect()));
        } else {
            self.table(items, columns);
        }
    }

    pub(super) fn json(&self, value: &Value) {
        print_lines(&format!("{value:#}"));
    }

    fn table(&self, items: &[Value], columns: &[Column]) {
        if items.is_empty() {
            return;
        }
        let mut lines = Vec::new();
        if self.has_headers {
            lines.push(columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join("\t"));
        }
        for item in items {
            lines.push(columns.iter().map(|(_, path)| cell(at(item, path))).collect::<Vec<_>>().join("\t"));
        }
        print_lines(&lines.join("\n"));
    }
}

/// Picks columns by name.
pub(super) fn choose(names: &[String], known: &[Column], default: &[&str]) -> Result<Vec<Column>, Error> {
    let names: Vec<_> = if names.is_empty() { default.to_vec() } else { names.iter().map(String::as_str).collect() };
    let find = |name: &str| known.iter().find(|(known, _)| *known == name).copied();
    let all = || known.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let chosen = names.into_iter().map(|name| {
        find(name).ok_or_else(|| Error::Usage(format!("there is no column '{name}'; there are: {}", all())))
    });
    chosen.collect()
}

fn object(item: &Value, columns: &[Column]) -> Value {
    let fields = columns.iter().map(|(name, path)| ((*name).to_owned(), at(item, path).clone()));
    Value::Object(fields.collect::<Map<_, _>>())
}

fn at<'a>(item: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(item, |item, name| &item[name])
}

/// A value in a table: texts as they are but for control characters, lists in brackets.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => escaped(text),
        Value::Array(values) => format!("[{}]", values.iter().map(cell).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, character| {
        if character.is_control() {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
        out
    })
}

/// A reader that has gone (`| head`) is no failure.
fn print_lines(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells_fit_into_a_line() {
        assert_eq!(cell(&json!("a\tb\n")), "a\\tb\\n");
        assert_eq!(cell(&json!(["administrator", "x"])), "[administrator, x]");
        assert_eq!(cell(&json!({"x-max-length": 1})), r#"{"x-max-length":1}"#);
        assert_eq!(
            (cell(&Value::Null), cell(&json!(7)), cell(&json!(false))),
            (String::new(), "7".into(), "false".into())
        );
    }

    #[test]
    fn columns_are_chosen_by_name() {
        let known = [("name", "name"), ("queue_name", "queue.name")];
        assert_eq!(choose(&[], &known, &["name"]).unwrap(), [known[0]]);
        let chosen = choose(&["queue_name".to_owned()], &known, &["name"]).unwrap();
        assert_eq!(object(&json!({"queue": {"name": "q"}}), &chosen), json!({"queue_name": "q"}));
        let error = choose(&["color".to_owned()], &known, &["name"]).unwrap_err();
        assert_eq!(error.to_string(), "there is no column 'color'; there are: name, queue_name");
    }
}
