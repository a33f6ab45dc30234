//! Field tables: what decodes encodes to the same table again, checking agrees with decoding, and looking a name up
//! agrees with the whole table.

#![no_main]

use leveret_amqp::{FieldTable, RawTable, equivalent};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let raw = RawTable::new(bytes);
    let decoded = raw.decode();
    assert_eq!(raw.validate(), decoded.as_ref().map(|_| ()).map_err(Clone::clone));
    let _ = raw.iter().count();
    let Ok(table) = decoded else {
        let _ = (raw.find("k"), FieldTable::decode(bytes));
        return;
    };
    let mut encoded = Vec::new();
    table.encode_contents(&mut encoded);
    let again = RawTable::new(&encoded).decode().expect("an encoded table");
    // Compared as text: a float that is no number equals nothing, itself included.
    assert_eq!(format!("{again:?}"), format!("{table:?}"));
    for (name, value) in table.iter() {
        let found = raw.find(name).expect("a table that decodes").expect("a name of the table");
        assert_eq!(Some(format!("{found:?}")), table.get(name).map(|value| format!("{value:?}")));
        let _ = (equivalent(value, &found), value.to_string());
    }
    assert_eq!(table.equivalent(&again), table.equivalent(&table));
    let mut whole = Vec::new();
    table.encode(&mut whole);
    assert_eq!(format!("{:?}", FieldTable::decode(&whole).expect("a whole table")), format!("{table:?}"));
});
