//! A broker in a temporary folder, its API on a loopback socket, and a client of it.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::Router;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use leveret_broker::{
    Broker, BrokerConfig,
    plugin::{HttpRoute, Plugin, Registry},
};
use leveret_management::{Clients, Door, router};
use leveret_store::{Options, Store};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};

/// Connections that are only listed.
#[derive(Default)]
pub(crate) struct FakeClients {
    pub(crate) closed: Mutex<Vec<(String, String)>>,
}

impl Clients for FakeClients {
    fn connections(&self) -> Vec<Value> {
        vec![json!({ "name": "1.2.3.4:5 -> 6.7.8.9:10", "user": "guest", "vhost": "/", "id": 1 })]
    }

    fn channels(&self) -> Vec<Value> {
        let connection = json!({ "name": "1.2.3.4:5 -> 6.7.8.9:10" });
        vec![json!({ "name": "1.2.3.4:5 -> 6.7.8.9:10 (1)", "user": "guest", "connection_details": connection })]
    }

    fn close(&self, name: &str, reason: &str) -> bool {
        self.closed.lock().unwrap().push((name.to_owned(), reason.to_owned()));
        true
    }

    fn close_vhost(&self, vhost: &str) {
        self.closed.lock().unwrap().push(("vhost".to_owned(), vhost.to_owned()));
    }

    fn close_user(&self, user: &str) {
        self.closed.lock().unwrap().push(("user".to_owned(), user.to_owned()));
    }

    fn listeners(&self) -> Vec<Value> {
        vec![json!({ "protocol": "amqp", "ip_address": "127.0.0.1", "port": 5672 })]
    }

    fn node(&self) -> &str {
        "leveret@test"
    }

    fn cluster_name(&self) -> &str {
        "hares"
    }

    fn plugins(&self) -> Vec<&'static str> {
        vec!["management"]
    }

    fn alarm(&self) -> Option<String> {
        None
    }
}

/// A running API. The broker ends with it.
pub(crate) struct Api {
    address: SocketAddr,
    broker: Arc<Broker>,
    pub(crate) clients: Arc<FakeClients>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
    _folder: Option<TempDir>,
}

impl Api {
    /// Over TCP, in a new folder.
    pub(crate) async fn start() -> Self {
        Self::of(Door::Tcp).await
    }

    pub(crate) async fn of(door: Door) -> Self {
        Self::serving(door, Registry::default()).await
    }

    /// Over TCP, with the routes of a plugin.
    pub(crate) async fn with_routes(routes: &[HttpRoute]) -> Self {
        let mut registry = Registry::default();
        routes.iter().try_for_each(|route| registry.http_route(route.clone())).unwrap();
        Self::serving(Door::Tcp, registry).await
    }

    /// Over TCP, with what a plugin adds.
    pub(crate) async fn with_plugin(plugin: &dyn Plugin) -> Self {
        Self::serving(Door::Tcp, Registry::of([plugin]).unwrap()).await
    }

    async fn serving(door: Door, registry: Registry) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut api = Self::open_with(&folder, door, registry).await;
        api._folder = Some(folder);
        api
    }

    /// In a folder that outlives it.
    pub(crate) async fn open(folder: &TempDir, door: Door) -> Self {
        Self::open_with(folder, door, Registry::default()).await
    }

    async fn open_with(folder: &TempDir, door: Door, registry: Registry) -> Self {
        let registry = Arc::new(registry);
        let store = Store::open(folder.path(), &Options::default()).unwrap();
        let config = BrokerConfig {
            default_user: "guest".to_owned(),
            default_password: "guest".to_owned(),
            loopback_users: vec!["guest".to_owned()],
            message_memory_bytes: usize::MAX,
        };
        let broker = Broker::open(store, &config, Arc::clone(&registry)).unwrap();
        let clients = Arc::new(FakeClients::default());
        let shown = Arc::clone(&clients);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let serving =
            tokio::spawn(serve(listener, router(Arc::clone(&broker), shown, door, registry.http_routes()), stopped));
        Self { address, broker, clients, stop, serving, _folder: None }
    }

    /// Commits everything and ends; the folder is free then.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        self.serving.await.unwrap();
        self.broker.shutdown();
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        self.send(Method::GET, path, None).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> u16 {
        self.send(Method::PUT, path, Some(body)).await.0
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.send(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> u16 {
        self.send(Method::DELETE, path, None).await.0
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        self.send_as("guest:guest", method, path, body).await
    }

    pub(crate) async fn send_as(
        &self,
        credentials: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (u16, Value) {
        let body = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/{path}"))
            .header(header::AUTHORIZATION, format!("Basic {}", STANDARD.encode(credentials)))
            .header("X-Reason", "because")
            .body(Full::new(body))
            .unwrap();
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let answer = sender.send_request(request).await.unwrap();
        let status = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        let value = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        (status, value)
    }
}

/// Until told to stop and the last connection has ended.
async fn serve(listener: TcpListener, router: Router, stopped: oneshot::Receiver<()>) {
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let serving = axum::serve(listener, service).with_graceful_shutdown(async move {
        // Gone without a word is a stop, too.
        let _ = stopped.await;
    });
    serving.await.unwrap();
}
