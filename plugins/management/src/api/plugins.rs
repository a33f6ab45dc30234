//! What other plugins have added to the API.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{MethodFilter, on},
};
use leveret_broker::{
    VHost,
    access::{Permission, Resource},
    plugin::{HttpCaller, HttpError, HttpMethod, HttpRequest, HttpResponse, HttpRoute},
};

use tokio::runtime::Handle;

use crate::{Api, access::Caller, body::Body, error::ApiError};

pub(super) fn routes(added: &[HttpRoute]) -> Router<Api> {
    added.iter().fold(Router::new(), |routes, route| {
        let handler = Arc::clone(&route.handler);
        let answer = async move |State(api): State<Api>,
                                 Path(path): Path<BTreeMap<String, String>>,
                                 Query(query): Query<BTreeMap<String, String>>,
                                 caller: Caller,
                                 body: Body| {
            let answered = tokio::task::spawn_blocking(move || {
                let caller = &Asking { api: &api, caller: &caller };
                handler(&HttpRequest { broker: &api.broker, caller, path: &path, query: &query, body: &body.0 })
            });
            answered.await.map_err(|panic| ApiError::Internal(panic.to_string()))?.map(Answered).map_err(ApiError::from)
        };
        routes.route(route.path, on(filter(route.method), answer))
    })
}

const fn filter(method: HttpMethod) -> MethodFilter {
    match method {
        HttpMethod::Get => MethodFilter::GET,
        HttpMethod::Put => MethodFilter::PUT,
        HttpMethod::Post => MethodFilter::POST,
        HttpMethod::Delete => MethodFilter::DELETE,
    }
}

struct Answered(HttpResponse);

impl IntoResponse for Answered {
    fn into_response(self) -> Response {
        match self.0 {
            HttpResponse::Json(body) => Json(body).into_response(),
            HttpResponse::NoContent => StatusCode::NO_CONTENT.into_response(),
        }
    }
}

/// The caller, for a handler that runs on a thread which may block.
struct Asking<'a> {
    api: &'a Api,
    caller: &'a Caller,
}

impl HttpCaller for Asking<'_> {
    fn vhosts(&self) -> Vec<Arc<VHost>> {
        Handle::current().block_on(self.caller.vhosts(self.api))
    }

    fn vhost(&self, name: &str) -> Result<Arc<VHost>, HttpError> {
        Handle::current().block_on(self.caller.vhost(self.api, name)).map_err(refusal)
    }

    fn check(&self, vhost: &str, permission: Permission, resource: Resource<'_>) -> Result<(), HttpError> {
        Handle::current().block_on(self.caller.check(self.api, vhost, permission, resource)).map_err(refusal)
    }
}

fn refusal(error: ApiError) -> HttpError {
    match error {
        ApiError::NotFound => HttpError::NotFound,
        ApiError::Store(reason) => HttpError::Store(reason),
        ApiError::BadRequest(reason) => HttpError::BadRequest(reason),
        other => HttpError::NotPermitted(other.to_string()),
    }
}

impl From<HttpError> for ApiError {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::BadRequest(reason) => Self::BadRequest(reason),
            HttpError::NotPermitted(reason) => Self::NotPermitted(reason),
            HttpError::NotFound => Self::NotFound,
            HttpError::Store(reason) => Self::Store(reason),
        }
    }
}
