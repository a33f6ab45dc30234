//! Import of definitions: no document is an internal error, and what a broker exports after an import, whole or broken
//! off, is imported by an empty broker and exported by it alike.

#![no_main]

use std::{cell::RefCell, sync::Arc};

use axum::{
    Router,
    body::Body,
    http::{Method, Request, StatusCode},
};
use http_body_util::BodyExt;
use leveret_broker::{Broker, BrokerConfig, VHostMetadata};
use leveret_management::{Clients, Door, router};
use leveret_store::{Options, Store, SyncMode};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tower::ServiceExt;

thread_local! {
    static RIG: RefCell<Rig> = RefCell::new(Rig::start());
}

fuzz_target!(|document: &[u8]| RIG.with_borrow_mut(|rig| rig.check(document)));

/// Inputs after which everything begins anew: what queues leave behind in memory is bounded so.
const RIG_USES_MAX: u32 = 20_000;

struct Rig {
    broker: Arc<Broker>,
    api: Router,
    runtime: Runtime,
    uses: u32,
    _folder: TempDir,
}

impl Rig {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let options = Options { sync: SyncMode::Os, ..Options::default() };
        let store = Store::open(folder.path(), &options).expect("a store");
        let config = BrokerConfig {
            default_user: "guest".to_owned(),
            default_password: "guest".to_owned(),
            loopback_users: Vec::new(),
            message_memory_bytes: usize::MAX,
        };
        let broker = Broker::open(store, &config, Arc::default()).expect("a broker");
        let api = router(Arc::clone(&broker), Arc::new(Nobody), Door::Local, &[]);
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        Self { broker, api, runtime, uses: 0, _folder: folder }
    }

    fn check(&mut self, document: &[u8]) {
        self.uses += 1;
        if self.uses > RIG_USES_MAX {
            self.broker.shutdown();
            *self = Self::start();
        }
        let status = self.import(document.to_vec());
        assert!(status == StatusCode::NO_CONTENT || status.is_client_error(), "{status}");
        let exported = self.export();
        self.empty();
        let (status, text) = self.send(Method::POST, exported.to_string().into_bytes());
        assert_eq!(status, StatusCode::NO_CONTENT, "{} for {exported}", String::from_utf8_lossy(&text));
        assert_eq!(self.export(), exported);
        self.empty();
    }

    /// As it was at the start, but for the password of the user.
    fn empty(&self) {
        let mut turn = self.broker.turn();
        for vhost in self.broker.vhosts() {
            self.broker.remove_vhost(&mut turn, &vhost.name);
        }
        for user in self.broker.access().users() {
            self.broker.delete_user(&mut turn, &user.name).expect("a user that is there");
        }
        self.broker.create_vhost(&mut turn, "/", VHostMetadata::default()).expect("the first vhost");
    }

    fn import(&self, document: Vec<u8>) -> StatusCode {
        self.send(Method::POST, document).0
    }

    /// The definitions, sections in an order of their own: an export has none.
    fn export(&self) -> Value {
        let (status, text) = self.send(Method::GET, Vec::new());
        assert_eq!(status, StatusCode::OK);
        let mut exported: Value = serde_json::from_slice(&text).expect("definitions");
        let sections = exported.as_object_mut().expect("an object").values_mut();
        sections.filter_map(Value::as_array_mut).for_each(|section| section.sort_by_key(Value::to_string));
        exported
    }

    fn send(&self, method: Method, body: Vec<u8>) -> (StatusCode, Vec<u8>) {
        let request = Request::builder().method(method).uri("/api/definitions").body(Body::from(body));
        let answer = self.api.clone().oneshot(request.expect("a request"));
        self.runtime.block_on(async {
            let answer = answer.await.expect("an answer");
            (answer.status(), answer.into_body().collect().await.expect("a body").to_bytes().to_vec())
        })
    }
}

/// No connections, no listeners.
struct Nobody;

impl Clients for Nobody {
    fn connections(&self) -> Vec<Value> {
        Vec::new()
    }

    fn channels(&self) -> Vec<Value> {
        Vec::new()
    }

    fn close(&self, _name: &str, _reason: &str) -> bool {
        false
    }

    fn close_vhost(&self, _vhost: &str) {}

    fn close_user(&self, _user: &str) {}

    fn listeners(&self) -> Vec<Value> {
        Vec::new()
    }

    fn node(&self) -> &str {
        "leveret@fuzz"
    }

    fn cluster_name(&self) -> &str {
        "fuzz"
    }

    fn plugins(&self) -> Vec<&'static str> {
        Vec::new()
    }

    fn alarm(&self) -> Option<String> {
        None
    }
}
