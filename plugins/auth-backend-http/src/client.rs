//! Requests to the service, over connections that are kept for the next one.

use std::{error::Error, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, Response, StatusCode, body::Incoming, header};
use hyper_util::{
    client::legacy::{Client as HyperClient, connect::HttpConnector},
    rt::TokioExecutor,
};
use leveret_broker::auth::BackendError;
use tokio::runtime::Handle;

use crate::{HttpMethod, Settings, form::Form};

/// Bytes of an answer: a word and some tags, or a reason.
const ANSWER_BYTES_MAX: usize = 4 * 1024;

/// How long a connection is kept that is not used.
const IDLE_TIME_MAX: Duration = Duration::from_secs(30);

/// Asks the service.
pub(crate) struct Client {
    method: HttpMethod,
    timeout: Duration,
    client: HyperClient<HttpConnector, Full<Bytes>>,
}

impl Client {
    pub(crate) fn new(settings: &Settings) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(settings.connection_timeout()));
        connector.set_nodelay(true);
        Self {
            method: settings.http_method,
            timeout: settings.request_timeout(),
            client: HyperClient::builder(TokioExecutor::new()).pool_idle_timeout(IDLE_TIME_MAX).build(connector),
        }
    }

    /// The body of the service's answer. Blocks; to be called within the server's runtime.
    pub(crate) fn ask(&self, path: &str, form: Form) -> Result<String, BackendError> {
        let runtime = Handle::try_current().map_err(|error| BackendError(error.to_string()))?;
        let request = self.request(path, form)?;
        let answered = async { tokio::time::timeout(self.timeout, self.answer(request)).await };
        let too_late = |_| failed(path, format_args!("no answer within {} ms", self.timeout.as_millis()));
        runtime.block_on(answered).map_err(too_late)?.map_err(|reason| failed(path, reason))
    }

    fn request(&self, path: &str, form: Form) -> Result<Request<Full<Bytes>>, BackendError> {
        let form = form.into_text();
        let request = match self.method {
            HttpMethod::Get => Request::get(with_query(path, &form)).body(Full::default()),
            HttpMethod::Post => Request::post(path)
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(Full::from(form)),
        };
        // The error of a URL may show it, and the password with it.
        request.map_err(|_| failed(path, "the URL cannot be"))
    }

    async fn answer(&self, request: Request<Full<Bytes>>) -> Result<String, Box<dyn Error + Send + Sync>> {
        let response = self.client.request(request).await.map_err(|error| causes(&error))?;
        let status = response.status();
        if !matches!(status, StatusCode::OK | StatusCode::CREATED) {
            return Err(format!("it answered {status}").into());
        }
        body(response).await
    }
}

async fn body(response: Response<Incoming>) -> Result<String, Box<dyn Error + Send + Sync>> {
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await?.to_bytes();
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// A URL may have a query of its own.
fn with_query(path: &str, form: &str) -> String {
    let sign = if path.contains('?') { '&' } else { '?' };
    format!("{path}{sign}{form}")
}

/// A URL as it may be logged: with GET there is a password in its query, and in one of its own may be a key.
pub(crate) fn without_query(path: &str) -> &str {
    path.split('?').next().unwrap_or_default()
}

fn failed(path: &str, reason: impl std::fmt::Display) -> BackendError {
    BackendError(format!("{}: {reason}", without_query(path)))
}

/// hyper says what it was doing; its causes say what went wrong.
fn causes(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {}", causes(cause)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_added_to_one_that_is_there() {
        assert_eq!(with_query("http://h/auth", "a=b"), "http://h/auth?a=b");
        assert_eq!(with_query("http://h/auth?key=1", "a=b"), "http://h/auth?key=1&a=b");
    }
}
