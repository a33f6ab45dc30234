use leveret_amqp::{FieldTable, Properties};
use serde_json::json;

use super::*;
use crate::{
    exchange::{Fanout, Router},
    plugin::{Client, Event, HttpMethod, HttpResponse, ListenAddress, Section, Serving},
};

struct Kind(&'static str);

impl ExchangeType for Kind {
    fn name(&self) -> &str {
        self.0
    }

    fn router(&self, _arguments: &FieldTable) -> Result<Box<dyn Router>, Error> {
        Ok(Box::new(Fanout::default()))
    }
}

impl Observer for Kind {
    fn name(&self) -> &str {
        self.0
    }

    fn observe(&self, _event: &Event) {}
}

impl Interceptor for Kind {
    fn name(&self) -> &str {
        self.0
    }

    /// Puts its name before the application's, which it must have.
    fn intercept(&self, message: &IncomingMessage<'_>, draft: &mut Draft<'_>) -> Result<(), Error> {
        if message.properties.app_id.is_none() {
            return Err(Error::precondition_failed(format!("{} needs an app_id", self.0)));
        }
        let app_id = draft.properties()?.app_id.take().unwrap_or_default();
        draft.properties()?.app_id = Some([self.0.as_bytes(), &app_id].concat());
        Ok(())
    }
}

impl Protocol for Kind {
    fn name(&self) -> &'static str {
        self.0
    }

    fn addresses(&self) -> Vec<ListenAddress> {
        Vec::new()
    }

    fn serve(&self, _client: Client) -> Serving {
        Box::pin(async { Ok(()) })
    }
}

/// A plugin that has one thing of each sort.
struct Sample {
    name: &'static str,
    kind: &'static str,
    path: &'static str,
    section: &'static str,
    observer: &'static str,
    exchange: &'static str,
    interceptor: &'static str,
    protocol: &'static str,
}

static NO_ARGUMENTS: FieldTable = FieldTable::new();

impl Sample {
    fn of(name: &'static str, kind: &'static str, path: &'static str) -> Self {
        Self { name, kind, path, section: name, observer: name, exchange: name, interceptor: name, protocol: name }
    }
}

impl Plugin for Sample {
    fn name(&self) -> &'static str {
        self.name
    }

    fn description(&self) -> &'static str {
        "a sample"
    }

    fn section(&self) -> Option<Section> {
        Some(Section { name: self.section, defaults: json!({}) })
    }

    fn register(&self, registry: &mut Registry) -> Result<(), RegisterError> {
        registry.exchange_type(Kind(self.kind))?;
        registry.observer(Arc::new(Kind(self.observer)))?;
        registry.interceptor(Arc::new(Kind(self.interceptor)))?;
        registry.protocol(Arc::new(Kind(self.protocol)))?;
        let exchange = DeclareExchange {
            name: self.exchange,
            kind: "fanout",
            durable: true,
            auto_delete: false,
            internal: true,
            arguments: &NO_ARGUMENTS,
        };
        registry.exchange(Predeclared { vhost: "/".into(), exchange })?;
        registry.http_route(HttpRoute::new(HttpMethod::Get, self.path, "answers", |_| Ok(HttpResponse::NoContent)))
    }
}

fn registered(plugins: &[Sample]) -> Result<Registry, RegisterError> {
    Registry::of(plugins.iter().map(|plugin| plugin as &dyn Plugin))
}

#[test]
fn what_plugins_add_is_there() {
    let registry = registered(&[Sample::of("two", "x-two", "/two"), Sample::of("one", "x-one", "/one")]).unwrap();
    assert_eq!(registry.plugins().collect::<Vec<_>>(), ["one", "two"]);
    assert!(registry.exchange_types().find("x-two").is_some() && registry.exchange_types().find("topic").is_some());
    assert_eq!(registry.http_routes().iter().map(|route| route.path).collect::<Vec<_>>(), ["/two", "/one"]);
    assert_eq!(registry.observers().iter().map(|observer| observer.name()).collect::<Vec<_>>(), ["two", "one"]);
    assert_eq!(registry.exchanges().iter().map(|one| one.exchange.name).collect::<Vec<_>>(), ["two", "one"]);
    assert_eq!(registry.protocols().iter().map(|protocol| protocol.name()).collect::<Vec<_>>(), ["two", "one"]);
}

#[test]
fn each_name_is_given_once() {
    let refused = |other| registered(&[Sample::of("one", "x-one", "/one"), other]).err().map(|error| error.to_string());
    let other = || Sample::of("other", "x-other", "/other");
    for (taken, text) in [
        (Sample { name: "one", ..other() }, "there are two plugins of the name 'one'"),
        (Sample { kind: "x-one", ..other() }, "exchange type 'x-one' is registered twice"),
        (Sample { kind: "topic", ..other() }, "exchange type 'topic' is registered twice"),
        (Sample { path: "/one", ..other() }, "the HTTP route GET /one is registered twice"),
        (Sample { section: "one", ..other() }, "the configuration section [one] belongs to two plugins"),
        (Sample { observer: "one", ..other() }, "the observer 'one' is registered twice"),
        (Sample { interceptor: "one", ..other() }, "the interceptor 'one' is registered twice"),
        (Sample { protocol: "one", ..other() }, "the protocol 'one' is registered twice"),
        (Sample { exchange: "one", ..other() }, "the exchange 'one' in vhost '/' is registered twice"),
    ] {
        assert_eq!(refused(taken).unwrap(), text);
    }
    assert!(refused(other()).is_none());
}

#[test]
fn interceptors_see_a_message_one_after_the_other_until_one_refuses_it() {
    let registry = registered(&[Sample::of("a-", "x-a", "/a"), Sample::of("b-", "x-b", "/b")]).unwrap();
    let intercept = |registry: &Registry, properties: &Properties<'_>| {
        let (exchange, routing_key, body) = ("x", &b"k"[..], &b""[..]);
        let message = IncomingMessage { now_ms: 0, user: "u", vhost: "/", exchange, routing_key, properties, body };
        registry.intercept(&message)
    };
    let properties = Properties { app_id: Some(b"app"), priority: Some(3), ..Properties::default() };
    let changed = intercept(&registry, &properties).unwrap().unwrap();
    let expected = Properties { app_id: Some(b"b-a-app"), ..properties };
    assert_eq!(Properties::parse(&changed).unwrap(), expected);
    let refused = intercept(&registry, &Properties::default()).unwrap_err();
    assert_eq!(refused, Error::precondition_failed("a- needs an app_id"));
    assert_eq!(intercept(&Registry::default(), &properties), Ok(None));
}
