//! What the server says of itself in connection.start.

use leveret_amqp::FieldTable;

/// The RabbitMQ release whose behaviour Leveret follows. Clients and tools read the key `version` as that: they compare
/// it with the release in which something was introduced, and refuse or work around older ones. Leveret's own version
/// is in `product_version`.
const RABBITMQ_VERSION: &str = "4.3.0";

/// What the server can do beyond AMQP 0-9-1, in RabbitMQ's names and order.
const CAPABILITIES: [&str; 9] = [
    "publisher_confirms",
    "exchange_exchange_bindings",
    "basic.nack",
    "consumer_cancel_notify",
    "connection.blocked",
    "consumer_priorities",
    "authentication_failure_close",
    "per_consumer_qos",
    "direct_reply_to",
];

/// The table of server properties.
pub(super) fn server_properties(cluster_name: &str) -> FieldTable {
    let capabilities = CAPABILITIES.iter().fold(FieldTable::new(), |table, name| table.with(*name, true));
    FieldTable::new()
        .with("capabilities", capabilities)
        .with("cluster_name", cluster_name)
        .with("copyright", "Copyright the Leveret authors")
        .with("information", "Leveret, an AMQP 0-9-1 message broker. Licensed under the Apache License 2.0")
        .with("platform", concat!("Leveret ", env!("CARGO_PKG_VERSION")))
        .with("product", "Leveret")
        .with("product_version", env!("CARGO_PKG_VERSION"))
        .with("version", RABBITMQ_VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_leveret_and_all_capabilities() {
        let properties = server_properties("hares");
        assert_eq!(properties.get("product").and_then(|value| value.as_str()), Some("Leveret"));
        assert_eq!(properties.get("cluster_name").and_then(|value| value.as_str()), Some("hares"));
        let capabilities = properties.get("capabilities").and_then(|value| value.as_table()).unwrap();
        assert_eq!(capabilities.len(), 9);
        assert!(capabilities.iter().all(|(_, value)| value.as_bool() == Some(true)));
    }
}
