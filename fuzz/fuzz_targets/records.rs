//! What the broker reads back from the store: messages and the catalogue. A damaged record is told, and what decodes
//! encodes to the same again.

#![no_main]

use leveret_broker::{
    catalogue::Record,
    message::{NewRecord, RecordView, append_record},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(view) = RecordView::parse(bytes) {
        check_message(&view);
    }
    // A length, a key of that length, a value.
    let Some((&key_len, rest)) = bytes.split_first() else { return };
    let Some((key, value)) = rest.split_at_checked(usize::from(key_len)) else { return };
    match Record::decode(key, value) {
        Ok(record) => {
            assert_eq!(record.key(), key);
            let again = Record::decode(key, &record.value()).expect("an encoded record");
            // Compared as text: a float that is no number equals nothing, itself included.
            assert_eq!(format!("{again:?}"), format!("{record:?}"));
        }
        Err(error) => assert!(error.to_string().starts_with("catalogue: ")),
    }
});

fn check_message(view: &RecordView<'_>) {
    let mut bytes = Vec::new();
    let record = NewRecord {
        persistent: view.persistent,
        dead_lettered: view.dead_lettered,
        priority: view.priority,
        timestamp_ms: view.timestamp_ms,
        expiration_ms: view.expiration_ms,
        exchange_and_key: view.exchange_and_key,
        properties_raw: view.properties_raw,
        body: view.body,
    };
    append_record(&mut bytes, &record);
    assert_eq!(RecordView::parse(&bytes).as_ref(), Some(view));
}
