//! Content headers: properties encode to the bytes they came in, owned ones to the same values, and what the broker
//! reads of them never panics.

#![no_main]

use leveret_amqp::{ContentHeader, OwnedProperties, Properties};
use leveret_broker::message::expiration_ms;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|payload: &[u8]| {
    let Ok(header) = ContentHeader::decode(payload) else { return };
    let Ok(properties) = Properties::parse(header.properties_raw) else {
        assert!(OwnedProperties::decode(header.properties_raw).is_err());
        return;
    };
    let mut encoded = Vec::new();
    properties.encode(&mut encoded);
    assert_eq!(encoded, header.properties_raw);
    if let Err(error) = expiration_ms(&properties) {
        assert!(error.text.starts_with("invalid expiration"));
    }
    let valid = properties.headers.is_none_or(|headers| headers.validate().is_ok());
    let owned = OwnedProperties::decode(header.properties_raw);
    assert_eq!(owned.is_ok(), valid);
    if let Ok(owned) = owned {
        let again = OwnedProperties::decode(&owned.to_raw()).expect("encoded properties");
        // Compared as text: a float that is no number equals nothing, itself included.
        assert_eq!(format!("{again:?}"), format!("{owned:?}"));
    }
});
