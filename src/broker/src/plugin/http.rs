//! Routes of the management API, in plain values: a plugin answers requests without knowing who serves them.

use std::{collections::BTreeMap, fmt, sync::Arc};

use leveret_amqp::ReplyCode;
use serde_json::{Map, Value};

use crate::{
    Broker, Error, VHost,
    access::{Permission, Resource},
};

/// What a request wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpMethod {
    /// Look.
    Get,
    /// Set.
    Put,
    /// Do.
    Post,
    /// Remove.
    Delete,
}

impl HttpMethod {
    /// As it stands in a request.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Put => "PUT",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

/// What answers requests. Runs on a thread that may block, so it may read the store and wait for a commit.
pub type HttpHandler = dyn Fn(&HttpRequest<'_>) -> Result<HttpResponse, HttpError> + Send + Sync;

/// One route under `/api`.
#[derive(Clone)]
pub struct HttpRoute {
    /// What the request wants to do.
    pub method: HttpMethod,
    /// The path under `/api`; a segment in braces takes any value: `/delayed/{vhost}`.
    pub path: &'static str,
    /// What it does, in a line.
    pub description: &'static str,
    /// What answers.
    pub handler: Arc<HttpHandler>,
}

impl HttpRoute {
    /// A route.
    pub fn new(
        method: HttpMethod,
        path: &'static str,
        description: &'static str,
        handler: impl Fn(&HttpRequest<'_>) -> Result<HttpResponse, HttpError> + Send + Sync + 'static,
    ) -> Self {
        Self { method, path, description, handler: Arc::new(handler) }
    }
}

impl fmt::Display for HttpRoute {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.method.name(), self.path)
    }
}

/// A request to a plugin. Whoever sent it has logged in and may use the management API.
pub struct HttpRequest<'a> {
    /// The broker it is about.
    pub broker: &'a Broker,
    /// Who sent it.
    pub caller: &'a dyn HttpCaller,
    /// The values of the path's segments in braces, by name.
    pub path: &'a BTreeMap<String, String>,
    /// The query's values, by name.
    pub query: &'a BTreeMap<String, String>,
    /// The body, an object; empty where there was none.
    pub body: &'a Map<String, Value>,
}

impl HttpRequest<'_> {
    /// The value of a segment in braces.
    ///
    /// # Errors
    /// 404 for one that the route does not have.
    pub fn segment(&self, name: &str) -> Result<&str, HttpError> {
        self.path.get(name).map(String::as_str).ok_or(HttpError::NotFound)
    }

    /// A number in the query; `None` where it is not there.
    ///
    /// # Errors
    /// 400 for what is no number.
    pub fn query_number(&self, name: &str) -> Result<Option<u64>, HttpError> {
        let Some(text) = self.query.get(name) else { return Ok(None) };
        let wrong = |_| HttpError::BadRequest(format!("'{name}' must be a whole number that is not negative"));
        text.parse().map(Some).map_err(wrong)
    }

    /// A number in the body; `None` where it is not there.
    ///
    /// # Errors
    /// 400 for what is no number.
    pub fn body_number(&self, name: &str) -> Result<Option<u64>, HttpError> {
        let wrong = || HttpError::BadRequest(format!("'{name}' must be a whole number that is not negative"));
        match self.body.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value.as_u64().map(Some).ok_or_else(wrong),
        }
    }
}

/// Who sent a request, and what they may do.
pub trait HttpCaller {
    /// The vhosts that the caller may see, by name.
    fn vhosts(&self) -> Vec<Arc<VHost>>;

    /// The vhost of that name.
    ///
    /// # Errors
    /// Where it is not there, or not for this caller.
    fn vhost(&self, name: &str) -> Result<Arc<VHost>, HttpError>;

    /// Checks a permission as AMQP would.
    ///
    /// # Errors
    /// Where the caller does not have it.
    fn check(&self, vhost: &str, permission: Permission, resource: Resource<'_>) -> Result<(), HttpError>;
}

/// An answer to a request.
#[derive(Clone, Debug, PartialEq)]
pub enum HttpResponse {
    /// 200 with this body.
    Json(Value),
    /// 204: done.
    NoContent,
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// 400 with a reason.
    #[error("{0}")]
    BadRequest(String),
    /// 401 with a reason.
    #[error("{0}")]
    NotPermitted(String),
    /// 404.
    #[error("Not Found")]
    NotFound,
    /// 500 with a reason: the store has failed.
    #[error("the store has failed: {0}")]
    Store(String),
}

impl From<Error> for HttpError {
    fn from(error: Error) -> Self {
        match error.code {
            ReplyCode::NotFound => Self::NotFound,
            ReplyCode::AccessRefused => Self::NotPermitted(error.text),
            code => Self::BadRequest(code.reply_text(&error.text)),
        }
    }
}
