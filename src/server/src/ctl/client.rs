//! HTTP over the server's unix socket.

use std::{path::PathBuf, time::Duration};

use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, StatusCode, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::UnixStream, runtime::Runtime};

use super::error::Error;

/// A way to the server.
pub(super) struct Client {
    socket: PathBuf,
    timeout_s: u64,
    runtime: Runtime,
}

impl Client {
    pub(super) fn new(socket: PathBuf, timeout_s: u64) -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Runtime)?;
        Ok(Self { socket, timeout_s, runtime })
    }

    pub(super) fn get(&self, path: &str) -> Result<Value, Error> {
        self.send(Method::GET, path, None, None)
    }

    pub(super) fn put(&self, path: &str, body: &Value) -> Result<(), Error> {
        self.send(Method::PUT, path, Some(body), None).map(drop)
    }

    /// As [`Self::put`], for an answer that says something.
    pub(super) fn put_for(&self, path: &str, body: &Value) -> Result<Value, Error> {
        self.send(Method::PUT, path, Some(body), None)
    }

    pub(super) fn patch(&self, path: &str, body: &Value) -> Result<(), Error> {
        self.send(Method::PATCH, path, Some(body), None).map(drop)
    }

    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value, Error> {
        self.send(Method::POST, path, Some(body), None)
    }

    pub(super) fn delete(&self, path: &str) -> Result<(), Error> {
        self.send(Method::DELETE, path, None, None).map(drop)
    }

    /// As [`Self::delete`], for an answer that says something.
    pub(super) fn delete_for(&self, path: &str) -> Result<Value, Error> {
        self.send(Method::DELETE, path, None, None)
    }

    /// Deletes, and says why.
    pub(super) fn delete_because(&self, path: &str, reason: &str) -> Result<(), Error> {
        self.send(Method::DELETE, path, None, Some(reason)).map(drop)
    }

    /// Whether there is something at a path.
    pub(super) fn exists(&self, path: &str) -> Result<bool, Error> {
        match self.get(path) {
            Ok(_) => Ok(true),
            Err(Error::Refused { status: 404, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn send(&self, method: Method, path: &str, body: Option<&Value>, reason: Option<&str>) -> Result<Value, Error> {
        let request = request(method, path, body, reason)?;
        self.runtime.block_on(async {
            let within = Duration::from_secs(self.timeout_s);
            let answer = tokio::time::timeout(within, self.exchange(request)).await;
            let (status, bytes) = answer.map_err(|_| Error::TimedOut(self.timeout_s))??;
            understand(status, &bytes)
        })
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), Error> {
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|reason| Error::Connect { socket: self.socket.clone(), reason })?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(connection);
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let bytes = answer.into_body().collect().await?.to_bytes();
        driver.abort();
        Ok((status, bytes))
    }
}

fn request(
    method: Method,
    path: &str,
    body: Option<&Value>,
    reason: Option<&str>,
) -> Result<Request<Full<Bytes>>, Error> {
    let mut request = Request::builder().method(method).uri(format!("/api/{path}")).header(header::HOST, "localhost");
    if let Some(reason) = reason {
        request = request.header("X-Reason", reason);
    }
    let body = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
    request.body(Full::new(body)).map_err(|error| Error::Usage(format!("this cannot be asked for: {error}")))
}

fn understand(status: StatusCode, bytes: &[u8]) -> Result<Value, Error> {
    if status.is_success() {
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        return serde_json::from_slice(bytes).map_err(Error::Answer);
    }
    let answer: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let reason = answer["reason"].as_str().map_or_else(|| status.to_string(), |reason| reason.trim().to_owned());
    Err(Error::Refused { status: status.as_u16(), reason })
}

/// A name as a segment of a path.
pub(super) fn segment(name: &str) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(name.len());
    for &byte in name.as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            // Writing to a text cannot fail.
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_segments() {
        assert_eq!(segment("/"), "%2F");
        assert_eq!(segment("a b?é"), "a%20b%3F%C3%A9");
    }

    #[test]
    fn refusals_have_the_servers_reason() {
        let error = understand(StatusCode::BAD_REQUEST, br#"{"error": "bad_request", "reason": "no"}"#).unwrap_err();
        assert_eq!((error.to_string(), error.exit_code()), ("no".to_owned(), 65));
        let error = understand(StatusCode::BAD_GATEWAY, b"?").unwrap_err();
        assert_eq!(error.to_string(), "502 Bad Gateway");
    }
}
