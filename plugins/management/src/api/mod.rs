//! The routes, by what they are about.

mod bindings;
mod clients;
mod definitions;
mod exchanges;
mod health;
mod limits;
mod messages;
mod overview;
mod permissions;
mod plugins;
mod policies;
mod queues;
mod users;
mod vhosts;

use axum::{
    Json, Router,
    extract::DefaultBodyLimit,
    http::{Request, StatusCode, Uri},
    middleware::map_request,
};
use leveret_broker::plugin::HttpRoute;
use serde_json::{Value, json};

use crate::{Api, error::ApiError};

/// Bytes of a request's body: definitions are large.
const BODY_BYTES_MAX: usize = 64 << 20;

/// The answer to a list or a look-up.
type Answer = Result<Json<Value>, ApiError>;

/// The whole API, under `/api`. What is not there is a 404 in JSON. A slash at the end means nothing, as in RabbitMQ.
pub(crate) fn router(api: Api, plugins: &[HttpRoute]) -> Router {
    let routes = Router::new()
        .nest(
            "/api",
            routes().merge(plugins::routes(plugins)).method_not_allowed_fallback(async || ApiError::MethodNotAllowed),
        )
        .fallback(not_found)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(api);
    // Routed again behind the layer, which sees requests before the routes do.
    Router::new().fallback_service(routes).layer(map_request(without_slash_at_the_end))
}

fn routes() -> Router<Api> {
    Router::new()
        .merge(overview::routes())
        .merge(health::routes())
        .merge(vhosts::routes())
        .merge(users::routes())
        .merge(permissions::routes())
        .merge(clients::routes())
        .merge(exchanges::routes())
        .merge(queues::routes())
        .merge(messages::routes())
        .merge(bindings::routes())
        .merge(policies::routes())
        .merge(limits::routes())
        .merge(definitions::routes())
}

async fn without_slash_at_the_end<B>(mut request: Request<B>) -> Request<B> {
    let uri = request.uri();
    let Some(path) = uri.path().strip_suffix('/').filter(|path| !path.is_empty()) else { return request };
    let path = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    if let Ok(uri) = path.parse() {
        *request.uri_mut() = uri;
    }
    request
}

async fn not_found(uri: Uri) -> (StatusCode, Json<Value>) {
    let reason = format!("there is nothing at {}", uri.path());
    (StatusCode::NOT_FOUND, Json(json!({ "error": "Object Not Found", "reason": reason })))
}

/// 201 for what is new, 204 for what was there.
fn created(is_new: bool) -> StatusCode {
    if is_new { StatusCode::CREATED } else { StatusCode::NO_CONTENT }
}

/// The default exchange has no name, and a path needs one: RabbitMQ's is `amq.default`.
fn exchange_name(segment: &str) -> &str {
    if segment == "amq.default" { "" } else { segment }
}

/// A condition in a query: `if-empty=true`, or the name alone.
fn is_set(flag: Option<&str>) -> bool {
    flag.is_some_and(|flag| flag.is_empty() || flag.eq_ignore_ascii_case("true"))
}
