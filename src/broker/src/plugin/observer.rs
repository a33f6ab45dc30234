//! Who wants to know what happens in a broker.
//!
//! Observers are told after the fact and outside of all locks: what happens in a turn is kept until the turn is over,
//! in its order, so that an observer may do with the broker what it likes, open a turn of its own included. Events of
//! turns that run side by side come in no order.
//!
//! Without observers nothing of this is done: an event is a closure that nobody calls.
//!
//! Not taken: telling observers at the place where something happens. Most of these places hold a lock, and all of them
//! the store's commit back.

use std::{
    cell::RefCell,
    sync::{Arc, LazyLock},
};

use super::{Event, EventKind};

/// Is told what happens in a broker.
pub trait Observer: Send + Sync {
    /// Its name, given once; `leveret plugins info` shows it.
    fn name(&self) -> &str;

    /// Something has happened. Called by whoever did it, on a thread that serves connections: whatever takes time is to be
    /// handed on to a thread of the observer's own.
    fn observe(&self, event: &Event);
}

/// Who does what nobody has asked for, as RabbitMQ names itself in events.
#[must_use]
pub fn internal_user() -> &'static Arc<str> {
    static INTERNAL_USER: LazyLock<Arc<str>> = LazyLock::new(|| "rmq-internal".into());
    &INTERNAL_USER
}

/// Tells everybody.
pub(crate) fn tell(observers: &[Arc<dyn Observer>], event: &Event) {
    observers.iter().for_each(|observer| observer.observe(event));
}

/// What has happened in a turn. Observers hear of it when this is dropped.
pub(crate) struct News<'a> {
    observers: &'a [Arc<dyn Observer>],
    user: &'a Arc<str>,
    events: RefCell<Vec<Event>>,
}

impl<'a> News<'a> {
    /// Nothing yet; what comes is the broker's own doing, unless somebody is named.
    pub(crate) fn new(observers: &'a [Arc<dyn Observer>]) -> Self {
        Self { observers, user: internal_user(), events: RefCell::default() }
    }

    /// What comes now is this user's doing.
    pub(crate) fn set_user(&mut self, user: &'a Arc<str>) {
        self.user = user;
    }

    /// Keeps an event, where anybody wants it.
    pub(crate) fn add(&self, at_ms: u64, kind: impl FnOnce() -> EventKind) {
        if !self.observers.is_empty() {
            self.events.borrow_mut().push(Event { at_ms, user: Arc::clone(self.user), kind: kind() });
        }
    }
}

impl Drop for News<'_> {
    fn drop(&mut self) {
        self.events.get_mut().iter().for_each(|event| tell(self.observers, event));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Weak;

    use leveret_amqp::FieldTable;
    use leveret_store::{Options, Store};
    use parking_lot::Mutex;

    use super::*;
    use crate::{
        Broker, BrokerConfig, DeclareQueue, VHostMetadata,
        access::{Permissions, User},
        exchange::{Binding, Destination},
        plugin::{Plugin, RegisterError, Registry},
        topology::DeclareExchange,
    };

    /// Notes what it hears, and uses the broker each time.
    #[derive(Default)]
    struct Diary {
        broker: Mutex<Weak<Broker>>,
        heard: Mutex<Vec<String>>,
    }

    impl Observer for Diary {
        fn name(&self) -> &str {
            "diary"
        }

        fn observe(&self, event: &Event) {
            self.heard.lock().push(format!("{} {}", event.user, event.kind.name()));
            if let Some(broker) = self.broker.lock().upgrade() {
                // With a turn open on this thread, and the committer waiting, this would wait for ever.
                broker.store().flush().unwrap();
                assert!(broker.turn().now_ms > 0);
            }
        }
    }

    struct Sample(Arc<Diary>);

    impl Plugin for Sample {
        fn name(&self) -> &'static str {
            "sample"
        }

        fn description(&self) -> &'static str {
            "a sample"
        }

        fn register(&self, registry: &mut Registry) -> Result<(), RegisterError> {
            registry.observer(Arc::clone(&self.0) as Arc<dyn Observer>)
        }
    }

    struct Observed {
        broker: Arc<Broker>,
        diary: Arc<Diary>,
        _folder: tempfile::TempDir,
    }

    impl Observed {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let store = Store::open(folder.path(), &Options::default()).unwrap();
            let config = BrokerConfig {
                default_user: "guest".into(),
                default_password: "guest".into(),
                loopback_users: Vec::new(),
                message_memory_bytes: usize::MAX,
            };
            let diary = Arc::<Diary>::default();
            let registry = Registry::of([&Sample(Arc::clone(&diary)) as &dyn Plugin]).unwrap();
            let broker = Broker::open(store, &config, Arc::new(registry)).unwrap();
            *diary.broker.lock() = Arc::downgrade(&broker);
            diary.heard.lock().clear();
            Self { broker, diary, _folder: folder }
        }

        fn heard(&self) -> Vec<String> {
            std::mem::take(&mut *self.diary.heard.lock())
        }
    }

    impl Drop for Observed {
        fn drop(&mut self) {
            self.broker.shutdown();
        }
    }

    fn queue<'a>(name: &'a str, arguments: &'a FieldTable) -> DeclareQueue<'a> {
        DeclareQueue { name, durable: true, auto_delete: false, exclusive_to: None, arguments }
    }

    #[test]
    fn a_turn_is_told_of_when_it_is_over_in_its_order() {
        let observed = Observed::new();
        let vhost = observed.broker.vhost("/").unwrap();
        let (arguments, anna) = (FieldTable::new(), Arc::from("anna"));
        let mut turn = observed.broker.turn().by(&anna);
        let exchange = DeclareExchange {
            name: "x",
            kind: "topic",
            durable: true,
            auto_delete: true,
            internal: false,
            arguments: &arguments,
        };
        vhost.declare_exchange(&mut turn, &exchange).unwrap();
        vhost.declare_queue(&mut turn, &queue("q", &arguments)).unwrap();
        let declared_again = vhost.declare_queue(&mut turn, &queue("q", &arguments)).unwrap();
        let destination = Destination::Queue("q".into());
        let binding = Binding { source: "x".into(), destination, routing_key: b"k"[..].into(), arguments };
        vhost.bind(&mut turn, binding, 0).unwrap();
        assert!(observed.heard().is_empty(), "the turn is not over");
        drop(turn);
        assert_eq!(observed.heard(), ["anna exchange.created", "anna queue.created", "anna binding.created"]);
        vhost.delete_queue(&mut observed.broker.turn(), &declared_again, false, false).unwrap();
        let gone = ["rmq-internal binding.deleted", "rmq-internal exchange.deleted", "rmq-internal queue.deleted"];
        assert_eq!(observed.heard(), gone);
    }

    #[test]
    fn of_a_user_only_what_is_new_is_told() {
        let observed = Observed::new();
        let put = |password: Option<&[u8]>, tags: &[&str]| {
            observed.broker.put_user(&mut observed.broker.turn(), User::new("u", password, tags).unwrap());
            observed.heard()
        };
        assert_eq!(put(Some(b"one"), &["management"]), ["rmq-internal user.created", "rmq-internal user.tags.set"]);
        assert_eq!(put(Some(b"two"), &["management"]), ["rmq-internal user.password.changed"]);
        assert_eq!(put(None, &["management"]), ["rmq-internal user.password.cleared"]);
        assert_eq!(put(None, &[]), ["rmq-internal user.tags.set"]);
        assert!(put(None, &[]).is_empty());
        let unchanged = observed.broker.change_user_limits(&mut observed.broker.turn(), "u", Ok);
        assert_eq!((unchanged, observed.heard()), (Ok(()), Vec::new()));
    }

    #[test]
    fn a_vhost_goes_with_all_that_was_in_it() {
        let observed = Observed::new();
        let broker = &observed.broker;
        broker.create_vhost(&mut broker.turn(), "v", VHostMetadata::default()).unwrap();
        let all = || ".*".to_owned();
        let permissions =
            Permissions { user: "guest".into(), vhost: "v".into(), configure: all(), write: all(), read: all() };
        broker.set_permissions(&mut broker.turn(), permissions).unwrap();
        let vhost = broker.vhost("v").unwrap();
        vhost.declare_queue(&mut broker.turn(), &queue("q", &FieldTable::new())).unwrap();
        let names = |heard: Vec<String>| -> Vec<String> {
            heard.iter().map(|line| line.replace("rmq-internal ", "")).collect()
        };
        assert_eq!(names(observed.heard()), ["vhost.created", "permission.created", "queue.created"]);
        assert!(broker.remove_vhost(&mut broker.turn(), "v"));
        assert_eq!(names(observed.heard()), ["queue.deleted", "permission.deleted", "vhost.deleted"]);
    }
}
