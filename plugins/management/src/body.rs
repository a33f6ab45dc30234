//! Request bodies: JSON objects, whatever the content type says, as RabbitMQ takes them.

use std::str::FromStr;

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
};
use leveret_amqp::FieldTable;
use leveret_broker::plugin::table_from_json;
use serde_json::{Map, Value};

use crate::{Api, error::ApiError};

/// A request's body, an object. No body is an empty one.
pub(crate) struct Body(pub(crate) Map<String, Value>);

impl FromRequest<Api> for Body {
    type Rejection = ApiError;

    async fn from_request(request: Request, api: &Api) -> Result<Self, ApiError> {
        let bytes = Bytes::from_request(request, api).await.map_err(ApiError::bad_request)?;
        if bytes.trim_ascii().is_empty() {
            return Ok(Self(Map::new()));
        }
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(object)) => Ok(Self(object)),
            Ok(_) => Err(ApiError::bad_request("the body must be a JSON object")),
            Err(error) => Err(ApiError::bad_request(format!("the body is not JSON: {error}"))),
        }
    }
}

impl Body {
    /// A text; absent and null are `None`.
    pub(crate) fn text(&self, key: &str) -> Result<Option<&str>, ApiError> {
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(ApiError::bad_request(format!("'{key}' must be a text"))),
        }
    }

    /// A text that must be there.
    pub(crate) fn required(&self, key: &str) -> Result<&str, ApiError> {
        self.text(key)?.ok_or_else(|| ApiError::bad_request(format!("key_missing: {key}")))
    }

    /// A flag, also as text; absent is `default`.
    pub(crate) fn flag(&self, key: &str, default: bool) -> Result<bool, ApiError> {
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(Value::String(text)) => bool::from_str(text).map_err(|_| not_a_flag(key)),
            Some(_) => Err(not_a_flag(key)),
        }
    }

    /// An integer, also as text; absent and null are `None`.
    pub(crate) fn integer(&self, key: &str) -> Result<Option<i64>, ApiError> {
        let wrong = || ApiError::bad_request(format!("'{key}' must be an integer"));
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => text.trim().parse().map(Some).map_err(|_| wrong()),
            Some(value) => value.as_i64().map(Some).ok_or_else(wrong),
        }
    }

    /// An object; absent and null are empty.
    pub(crate) fn object(&self, key: &str) -> Result<Map<String, Value>, ApiError> {
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(Map::new()),
            Some(Value::Object(object)) => Ok(object.clone()),
            // What RabbitMQ itself writes for an empty one in some places.
            Some(Value::Array(values)) if values.is_empty() => Ok(Map::new()),
            Some(_) => Err(ApiError::bad_request(format!("'{key}' must be an object"))),
        }
    }

    /// The field table under `arguments`.
    pub(crate) fn arguments(&self) -> Result<FieldTable, ApiError> {
        table_from_json(&self.object("arguments")?).map_err(ApiError::bad_request)
    }
}

fn not_a_flag(key: &str) -> ApiError {
    ApiError::bad_request(format!("'{key}' must be true or false"))
}
