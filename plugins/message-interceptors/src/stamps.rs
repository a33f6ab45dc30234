//! What is put into messages, under RabbitMQ's names.

use leveret_amqp::{FieldTable, FieldValue};
use leveret_broker::{
    Error,
    plugin::{Draft, IncomingMessage, Interceptor},
};

/// The header with the time in milliseconds.
const TIMESTAMP_IN_MS: &str = "timestamp_in_ms";

/// The header with the node's name.
const ROUTED_BY: &str = "x-routed-by";

/// Puts the time into the property `timestamp`, in seconds, and into the header `timestamp_in_ms`.
pub(crate) struct Timestamp {
    /// Whether what is there is replaced; otherwise each of the two is put where it is missing.
    pub(crate) overwrite: bool,
}

/// Puts the name of the server into the header `x-routed-by`.
pub(crate) struct RoutingNode {
    /// The name.
    pub(crate) node: String,
    /// Whether what is there is replaced.
    pub(crate) overwrite: bool,
}

impl Interceptor for Timestamp {
    fn name(&self) -> &str {
        "set_header_timestamp"
    }

    fn intercept(&self, message: &IncomingMessage<'_>, draft: &mut Draft<'_>) -> Result<(), Error> {
        let properties = draft.properties()?;
        if self.overwrite || properties.timestamp.is_none() {
            properties.timestamp = Some(message.now_ms / 1000);
        }
        let now_ms = i64::try_from(message.now_ms).unwrap_or(i64::MAX);
        put(properties.headers.get_or_insert_default(), TIMESTAMP_IN_MS, now_ms, self.overwrite);
        Ok(())
    }
}

impl Interceptor for RoutingNode {
    fn name(&self) -> &str {
        "set_header_routing_node"
    }

    fn intercept(&self, _message: &IncomingMessage<'_>, draft: &mut Draft<'_>) -> Result<(), Error> {
        let headers = draft.properties()?.headers.get_or_insert_default();
        put(headers, ROUTED_BY, self.node.as_str(), self.overwrite);
        Ok(())
    }
}

fn put(headers: &mut FieldTable, name: &str, value: impl Into<FieldValue>, overwrite: bool) {
    if overwrite || !headers.contains(name) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use leveret_amqp::{OwnedProperties, Properties};
    use leveret_broker::plugin::{Plugin, RegisterError, Registry, Setup};
    use serde_json::{Value, json};

    use crate::MessageInterceptors;

    use super::*;

    fn configured(incoming: Value) -> Result<Registry, RegisterError> {
        let sections = [("message_interceptors".to_owned(), json!({ "incoming": incoming }))].into();
        Registry::with(Setup { node: "leveret@here".into(), sections }, [&MessageInterceptors as &dyn Plugin])
    }

    /// What becomes of a message that comes in at 1,234,567 ms; `None` where nothing does.
    fn stamped(incoming: Value, properties: &OwnedProperties) -> Option<OwnedProperties> {
        let raw = properties.to_raw();
        let message = IncomingMessage {
            now_ms: 1_234_567,
            user: "u",
            vhost: "/",
            exchange: "x",
            routing_key: b"k",
            properties: &Properties::parse(&raw).unwrap(),
            body: b"",
        };
        let changed = configured(incoming).unwrap().intercept(&message).unwrap()?;
        Some(OwnedProperties::decode(&changed).unwrap())
    }

    /// What a publisher has said.
    fn said() -> OwnedProperties {
        let headers = FieldTable::new().with("timestamp_in_ms", "then").with("x-routed-by", "me").with("other", true);
        OwnedProperties { timestamp: Some(7), headers: Some(headers), priority: Some(3), ..OwnedProperties::default() }
    }

    #[test]
    fn a_message_is_left_alone_where_nothing_is_configured() {
        assert_eq!(stamped(json!({}), &said()), None);
    }

    #[test]
    fn what_is_missing_is_put_in() {
        let both = json!({ "set_header_timestamp": { "overwrite": false }, "set_header_routing_node": { "overwrite": false } });
        let headers = FieldTable::new().with("timestamp_in_ms", 1_234_567_i64).with("x-routed-by", "leveret@here");
        let expected = OwnedProperties { timestamp: Some(1234), headers: Some(headers), ..OwnedProperties::default() };
        assert_eq!(stamped(both.clone(), &OwnedProperties::default()).unwrap(), expected);
        assert_eq!(stamped(both, &said()).unwrap(), said());
    }

    #[test]
    fn each_is_put_in_where_it_is_missing_alone() {
        let timestamp = json!({ "set_header_timestamp": { "overwrite": false } });
        let with_a_time = OwnedProperties { timestamp: Some(7), ..OwnedProperties::default() };
        let headers = FieldTable::new().with("timestamp_in_ms", 1_234_567_i64);
        assert_eq!(
            stamped(timestamp, &with_a_time).unwrap(),
            OwnedProperties { headers: Some(headers), ..with_a_time }
        );
    }

    #[test]
    fn what_is_there_is_replaced_where_that_is_configured() {
        let routing_node = stamped(json!({ "set_header_routing_node": { "overwrite": true } }), &said()).unwrap();
        let headers = said().headers.unwrap().with("x-routed-by", "leveret@here");
        assert_eq!(routing_node, OwnedProperties { headers: Some(headers), ..said() });
        let timestamp = stamped(json!({ "set_header_timestamp": { "overwrite": true } }), &said()).unwrap();
        let headers = said().headers.unwrap().with("timestamp_in_ms", 1_234_567_i64);
        assert_eq!(timestamp, OwnedProperties { timestamp: Some(1234), headers: Some(headers), ..said() });
    }

    #[test]
    fn a_wrong_key_is_refused() {
        let error = configured(json!({ "set_header_time": {} })).err().unwrap().to_string();
        assert!(
            error.starts_with("configuration section [message_interceptors]: unknown field `set_header_time`"),
            "{error}"
        );
    }
}
