#![allow(clippy::unwrap_used)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use leveret_broker::{
    access::{Permission, Resource, User},
    auth::{Authenticator, Authorizer, BackendError, Login},
    plugin::Registry,
};

use super::*;

/// A service that gives the same answer, or none, to each request, and keeps them.
struct Service {
    url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Request {
    /// Method and path.
    line: String,
    content_type: String,
    body: String,
}

impl Service {
    /// `answer` is status line, headers and body; `None` leaves whoever asks waiting.
    fn start(answer: Option<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        thread::spawn(move || {
            let mut open = Vec::new();
            for socket in listener.incoming().map_while(Result::ok) {
                let Some(request) = read(&socket) else { continue };
                kept.lock().unwrap().push(request);
                match &answer {
                    Some(answer) => (&socket).write_all(answer.as_bytes()).unwrap(),
                    None => open.push(socket),
                }
            }
        });
        Self { url, requests }
    }

    fn answering(body: &str) -> Self {
        Self::start(Some(response("200 OK", body)))
    }

    fn backend(&self, http_method: HttpMethod) -> HttpBackend {
        let path = |name| format!("{}/auth/{name}", self.url);
        HttpBackend::new(Settings {
            http_method,
            user_path: path("user"),
            vhost_path: path("vhost"),
            resource_path: path("resource"),
            topic_path: path("topic?key=1"),
            ..Settings::default()
        })
    }

    fn request(&self) -> Request {
        self.requests.lock().unwrap().pop().unwrap()
    }
}

/// Of a service that closes the connection then.
fn response(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

fn read(socket: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(socket);
    let mut request = Request::default();
    lines.read_line(&mut request.line).ok()?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        lines.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "content-type" => value.clone_into(&mut request.content_type),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    lines.read_exact(&mut body).ok()?;
    request.body = String::from_utf8(body).ok()?;
    request.line = request.line.trim().trim_end_matches(" HTTP/1.1").to_owned();
    Some(request)
}

/// As the broker calls a backend: on a thread that may block.
async fn ask<R: Send + 'static>(
    backend: &HttpBackend,
    question: impl FnOnce(&HttpBackend) -> Result<R, BackendError> + Send + 'static,
) -> Result<R, BackendError> {
    let backend = backend.clone();
    tokio::task::spawn_blocking(move || question(&backend)).await.unwrap()
}

async fn log_in(backend: &HttpBackend) -> Result<Login, BackendError> {
    ask(backend, |backend| backend.authenticate("u v", b"s3cret&")).await
}

fn anna() -> User {
    User { name: "anna".into(), password: None, tags: vec!["management".to_owned(), "mine".to_owned()] }
}

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn a_login_is_asked_for_as_rabbitmq_does() {
    let service = Service::answering("allow management mine");
    let accepted = Login::Accepted { tags: vec!["management".to_owned(), "mine".to_owned()] };
    assert_eq!(log_in(&service.backend(HttpMethod::Post)).await, Ok(accepted.clone()));
    let post = Request {
        line: "POST /auth/user".to_owned(),
        content_type: FORM.to_owned(),
        body: "username=u+v&password=s3cret%26".to_owned(),
    };
    assert_eq!(service.request(), post);
    assert_eq!(log_in(&service.backend(HttpMethod::Get)).await, Ok(accepted));
    let line = "GET /auth/user?username=u+v&password=s3cret%26".to_owned();
    assert_eq!(service.request(), Request { line, ..Request::default() });
    let admitted = ask(&service.backend(HttpMethod::Post), |backend| backend.admit("u")).await;
    assert_eq!(admitted, Ok(Login::Accepted { tags: vec![] }), "tags are those of whoever has authenticated");
    assert_eq!(service.request().body, "username=u");
}

#[tokio::test]
async fn permissions_are_asked_for_as_rabbitmq_does() {
    let service = Service::answering("allow");
    let backend = service.backend(HttpMethod::Post);
    assert_eq!(ask(&backend, |backend| backend.vhost(&anna(), "/", "::1".parse().ok())).await, Ok(true));
    let Request { line, body, .. } = service.request();
    assert_eq!((&*line, &*body), ("POST /auth/vhost", "username=anna&vhost=%2F&ip=%3A%3A1&tags=management+mine"));
    for (resource, expected) in
        [(Resource::Queue("q"), "queue&name=q"), (Resource::Exchange(""), "exchange&name=amq.default")]
    {
        let allowed = ask(&backend, move |backend| backend.resource(&anna(), "v", Permission::Write, resource)).await;
        assert_eq!(allowed, Ok(true));
        let Request { line, body, .. } = service.request();
        let expected = format!("username=anna&vhost=v&resource={expected}&permission=write&tags=management+mine");
        assert_eq!((line, body), ("POST /auth/resource".to_owned(), expected));
    }
    let topic = |backend: &HttpBackend| backend.topic(&anna(), "v", Permission::Read, "amq.topic", b"a.#");
    assert_eq!(ask(&backend, topic).await, Ok(true));
    let Request { line, body, .. } = service.request();
    let expected = "username=anna&vhost=v&resource=topic&name=amq.topic&permission=read&tags=management+mine\
                    &routing_key=a.%23&variable_map.username=anna&variable_map.vhost=v";
    assert_eq!((&*line, &*body), ("POST /auth/topic?key=1", expected));
}

#[tokio::test]
async fn what_is_no_answer_lets_nobody_in_and_shows_no_password() {
    let long = format!("allow {}", "x".repeat(5000));
    for (answer, reason) in [
        (response("500 Internal Server Error", "allow"), "it answered 500 Internal Server Error"),
        (response("204 No Content", ""), "it answered 204 No Content"),
        (response("302 Found\r\nLocation: http://elsewhere/", "allow"), "it answered 302 Found"),
        (response("200 OK", &long), "length limit exceeded"),
        (response("200 OK", "s3cret&"), "the answer is neither allow nor deny"),
        ("nonsense\r\n\r\n".to_owned(), "client error"),
        (String::new(), "client error"),
    ] {
        let service = Service::start(Some(answer));
        for method in [HttpMethod::Get, HttpMethod::Post] {
            let error = log_in(&service.backend(method)).await.unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}

#[tokio::test]
async fn an_answer_may_come_with_201() {
    let service = Service::start(Some(response("201 Created", "allow")));
    assert_eq!(log_in(&service.backend(HttpMethod::Post)).await, Ok(Login::Accepted { tags: vec![] }));
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_given_up() {
    let service = Service::start(None);
    let url = format!("{}/auth/user?key=1", service.url);
    let settings = Settings { user_path: url.clone(), request_timeout_ms: 20, ..Settings::default() };
    let error = log_in(&HttpBackend::new(settings)).await.unwrap_err();
    assert_eq!(error.to_string(), format!("{}: no answer within 20 ms", url.trim_end_matches("?key=1")));
}

#[tokio::test]
async fn a_service_that_is_not_there_says_nothing() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let settings = Settings { user_path: format!("http://{free}/user"), ..Settings::default() };
    let error = log_in(&HttpBackend::new(settings)).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("http://{free}/user: client error (Connect): ")), "{error}");
}

#[test]
fn it_is_there_under_its_name() {
    let registry = Registry::of([&AuthBackendHttp as &dyn Plugin]).unwrap();
    assert_eq!(registry.authenticators().collect::<Vec<_>>(), [BACKEND]);
    assert_eq!(registry.authorizers().collect::<Vec<_>>(), [BACKEND]);
}
