use leveret_amqp::{FieldTable, FieldValue};
use leveret_broker::exchange::{
    ExchangeTypes,
    conformance::{self, Message, Setup},
};

fn check(kind: &str, setup: &Setup) {
    conformance::check(&**ExchangeTypes::default().find(kind).unwrap(), setup).unwrap();
}

#[test]
fn direct_conforms() {
    check("direct", &Setup::default());
}

#[test]
fn fanout_conforms() {
    check("fanout", &Setup::default());
}

#[test]
fn topic_conforms() {
    let messages = ["", "a", "a.b", "a.b.c", "b.c"];
    let messages = messages.iter().map(Message::of_key).collect();
    let setup = Setup { messages, ..Setup::of_keys(["", "#", "*", "a.*", "a.#", "#.b", "a.b.c"]) };
    check("topic", &setup);
}

#[test]
fn headers_conforms() {
    let rule =
        |mode: &str, a: FieldValue| (Vec::new(), FieldTable::new().with("x-match", mode).with("a", a).with("b", 1_i32));
    let headers = |a: FieldValue, b: i64| Message::with_headers("k", FieldTable::new().with("a", a).with("b", b));
    let one = || FieldValue::I32(1);
    let setup = Setup {
        bindings: vec![
            (Vec::new(), FieldTable::new()),
            rule("all", one()),
            rule("any", "text".into()),
            rule("all-with-x", FieldValue::Void),
            rule("any-with-x", FieldValue::Array(vec![one()])),
        ],
        refused_bindings: vec![rule("most", one()), (Vec::new(), FieldTable::new().with("x-match", 1_i32))],
        messages: vec![
            Message::of_key("k"),
            headers(one(), 1),
            headers("text".into(), 2),
            headers(FieldValue::Void, 1),
        ],
        ..Setup::default()
    };
    check("headers", &setup);
}
