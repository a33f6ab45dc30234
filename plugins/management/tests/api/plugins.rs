//! What other plugins have added.

use std::sync::Arc;

use hyper::Method;
use leveret_broker::{
    Error,
    access::{Permission, Resource},
    plugin::{
        Draft, HttpError, HttpMethod, HttpRequest, HttpResponse, HttpRoute, IncomingMessage, Interceptor, Plugin,
        RegisterError, Registry,
    },
};
use serde_json::{Value, json};

use super::support::Api;

/// Says what it was asked.
fn echo(request: &HttpRequest<'_>) -> Result<HttpResponse, HttpError> {
    let vhost = request.caller.vhost(request.segment("vhost")?)?;
    request.caller.check(&vhost.name, Permission::Read, Resource::Exchange(request.segment("name")?))?;
    Ok(HttpResponse::Json(json!({
        "vhost": *vhost.name,
        "name": request.segment("name")?,
        "number": request.query_number("number")?,
        "body_number": request.body_number("number")?,
        "vhosts": request.caller.vhosts().len(),
    })))
}

fn routes() -> Vec<HttpRoute> {
    vec![
        HttpRoute::new(HttpMethod::Get, "/echo/{vhost}/{name}", "echoes", echo),
        HttpRoute::new(HttpMethod::Put, "/echo/{vhost}/{name}", "echoes", echo),
        HttpRoute::new(HttpMethod::Post, "/echo", "does nothing", |_| Ok(HttpResponse::NoContent)),
        HttpRoute::new(HttpMethod::Delete, "/echo", "fails", |_| Err(HttpError::Store("full".to_owned()))),
        HttpRoute::new(HttpMethod::Delete, "/echo/panic", "panics", |_| panic!("a plugin's mistake")),
    ]
}

#[tokio::test]
async fn a_plugin_is_asked_and_answers() {
    let api = Api::with_routes(&routes()).await;
    let (status, answer) = api.get("echo/%2F/a%20b?number=7").await;
    let expected = json!({ "vhost": "/", "name": "a b", "number": 7, "body_number": null, "vhosts": 1 });
    assert_eq!((status, answer), (200, expected));
    let (status, answer) = api.send(Method::PUT, "echo/%2F/x", Some(json!({ "number": 8 }))).await;
    assert_eq!((status, &answer["body_number"]), (200, &json!(8)));
    assert_eq!(api.post("echo", json!({})).await, (204, Value::Null));
}

#[tokio::test]
async fn a_plugin_refuses_as_the_api_does() {
    let api = Api::with_routes(&routes()).await;
    let (status, answer) = api.get("echo/%2F/x?number=many").await;
    assert_eq!((status, &answer["error"]), (400, &json!("bad_request")));
    let (status, _) = api.send(Method::PUT, "echo/%2F/x", Some(json!({ "number": -1 }))).await;
    assert_eq!(status, 400);
    assert_eq!(api.get("echo/nowhere/x").await.0, 404);
    assert_eq!(api.post("echo/%2F/x", json!({})).await.0, 405);
    let (status, answer) = api.send(Method::DELETE, "echo", None).await;
    assert_eq!((status, &answer["reason"]), (500, &json!("the store has failed: full")));
    assert_eq!(api.delete("echo/panic").await, 500);
    assert_eq!(api.post("echo", json!({})).await.0, 204, "it goes on");
}

#[tokio::test]
async fn who_may_not_see_is_not_shown() {
    let api = Api::with_routes(&routes()).await;
    assert_eq!(api.put("users/anna", json!({ "password": "secret", "tags": ["management"] })).await, 201);
    let as_anna = async || api.send_as("anna:secret", Method::GET, "echo/%2F/x", None).await.0;
    assert_eq!(api.send_as("anna:wrong", Method::GET, "echo/%2F/x", None).await.0, 401);
    assert_eq!(as_anna().await, 401, "she has nothing to do with the vhost");
    let permissions = json!({ "configure": "", "write": "", "read": "^y$" });
    assert_eq!(api.put("permissions/%2F/anna", permissions).await, 201);
    assert_eq!(as_anna().await, 401, "nor with the exchange");
    assert_eq!(api.put("permissions/%2F/anna", json!({ "configure": "", "write": "", "read": "^x$" })).await, 204);
    assert_eq!(as_anna().await, 200);
}

/// Says in messages who has sent them, and refuses those without a body.
struct Signer;

impl Plugin for Signer {
    fn name(&self) -> &'static str {
        "signer"
    }

    fn description(&self) -> &'static str {
        "signs messages"
    }

    fn register(&self, registry: &mut Registry) -> Result<(), RegisterError> {
        registry.interceptor(Arc::new(Signer))
    }
}

impl Interceptor for Signer {
    fn name(&self) -> &str {
        "signer"
    }

    fn intercept(&self, message: &IncomingMessage<'_>, draft: &mut Draft<'_>) -> Result<(), Error> {
        if message.body.is_empty() {
            return Err(Error::precondition_failed("there is nothing to sign"));
        }
        draft.properties()?.app_id = Some(message.user.into());
        Ok(())
    }
}

#[tokio::test]
async fn interceptors_see_what_is_published_here() {
    let api = Api::with_plugin(&Signer).await;
    api.put("queues/%2F/q", json!({})).await;
    let publish = async |payload: &str| {
        let message = json!({ "routing_key": "q", "payload": payload, "properties": { "type": "greeting" } });
        api.post("exchanges/%2F/amq.default/publish", message).await
    };
    assert_eq!(publish("hello").await, (200, json!({ "routed": true })));
    let (status, answer) = publish("").await;
    assert_eq!((status, &answer["reason"]), (400, &json!("PRECONDITION_FAILED - there is nothing to sign")));
    let (_, got) = api.post("queues/%2F/q/get", json!({ "count": 5, "ackmode": "ack_requeue_false" })).await;
    assert_eq!(got.as_array().unwrap().len(), 1);
    assert_eq!(got[0]["properties"], json!({ "app_id": "guest", "type": "greeting" }));
}
