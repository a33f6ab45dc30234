//! What was received, as tests look at it.

use std::ops::Deref;

use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable};

/// A received message.
#[derive(Debug)]
pub struct Message(Delivery);

impl Message {
    pub(crate) fn new(delivery: Delivery) -> Self {
        Self(delivery)
    }

    /// The body as text.
    ///
    /// # Panics
    ///
    /// When it is not UTF-8.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.0.data).expect("text")
    }

    /// The body as a decimal number.
    ///
    /// # Panics
    ///
    /// When it is none.
    pub fn number(&self) -> u32 {
        self.text().parse().expect("a number")
    }

    /// A header.
    pub fn header(&self, name: &str) -> Option<&AMQPValue> {
        self.0.properties.headers().as_ref()?.inner().get(name)
    }

    /// A header that holds text.
    ///
    /// # Panics
    ///
    /// When it is missing or of another type.
    pub fn text_header(&self, name: &str) -> String {
        text(self.header(name).unwrap_or_else(|| panic!("header {name} is missing")))
    }

    /// The entries of the header x-death, the latest first.
    ///
    /// # Panics
    ///
    /// When it is not an array of tables.
    pub fn deaths(&self) -> Vec<Death> {
        let Some(AMQPValue::FieldArray(entries)) = self.header("x-death") else { return Vec::new() };
        let entries = entries.as_slice().iter();
        entries.map(|entry| Death(entry.as_field_table().expect("a table").clone())).collect()
    }
}

impl Deref for Message {
    type Target = Delivery;

    fn deref(&self) -> &Delivery {
        &self.0
    }
}

/// An entry of x-death.
#[derive(Debug)]
pub struct Death(FieldTable);

impl Death {
    /// A field that holds text.
    ///
    /// # Panics
    ///
    /// When it is missing or of another type.
    pub fn text(&self, name: &str) -> String {
        text(self.0.inner().get(name).unwrap_or_else(|| panic!("x-death has no {name}")))
    }

    /// How often it happened.
    pub fn count(&self) -> Option<i64> {
        match self.0.inner().get("count")? {
            AMQPValue::LongLongInt(count) => Some(*count),
            AMQPValue::LongInt(count) => Some(i64::from(*count)),
            _ => None,
        }
    }
}

fn text(value: &AMQPValue) -> String {
    match value {
        AMQPValue::LongString(text) => text.to_string(),
        other => panic!("not text: {other:?}"),
    }
}

/// The bodies of messages as numbers.
pub fn numbers(messages: &[Message]) -> Vec<u32> {
    messages.iter().map(Message::number).collect()
}
