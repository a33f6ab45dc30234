//! Errors as the API answers them: a status, and `{"error", "reason"}` as RabbitMQ has it.

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use leveret_amqp::ReplyCode;
use leveret_broker::{access::AccessError, limits::LimitError, policy::PolicyError};
use serde_json::json;

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("{0}")]
    BadRequest(String),
    #[error("Login failed")]
    NotAuthenticated,
    #[error("{0}")]
    NotPermitted(String),
    #[error("Not Found")]
    NotFound,
    #[error("Method Not Allowed")]
    MethodNotAllowed,
    #[error("{0}")]
    Unhealthy(String),
    #[error("the store has failed: {0}")]
    Store(String),
    #[error("{0}")]
    Internal(String),
}

impl ApiError {
    pub(crate) fn bad_request(reason: impl ToString) -> Self {
        Self::BadRequest(reason.to_string())
    }

    fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Self::BadRequest(_) => (StatusCode::BAD_REQUEST, "bad_request"),
            Self::NotAuthenticated => (StatusCode::UNAUTHORIZED, "not_authorized"),
            Self::NotPermitted(_) => (StatusCode::UNAUTHORIZED, "not_authorized"),
            Self::NotFound => (StatusCode::NOT_FOUND, "Object Not Found"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed"),
            Self::Unhealthy(_) => (StatusCode::SERVICE_UNAVAILABLE, "unhealthy"),
            Self::Store(_) | Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal_error"),
        }
    }
}

impl From<leveret_broker::Error> for ApiError {
    fn from(error: leveret_broker::Error) -> Self {
        match error.code {
            ReplyCode::NotFound => Self::NotFound,
            ReplyCode::AccessRefused => Self::NotPermitted(error.text),
            code => Self::BadRequest(code.reply_text(&error.text)),
        }
    }
}

impl From<AccessError> for ApiError {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::NoSuchUser(_) => Self::NotFound,
            other => Self::bad_request(other),
        }
    }
}

impl From<LimitError> for ApiError {
    fn from(error: LimitError) -> Self {
        match error {
            LimitError::NoSuchVHost(_) | LimitError::NoSuchUser(_) => Self::NotFound,
            other => Self::bad_request(other),
        }
    }
}

impl From<PolicyError> for ApiError {
    fn from(error: PolicyError) -> Self {
        Self::BadRequest(format!("Validation failed\n\n{error}\n"))
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, error) = self.status();
        let body = match &self {
            Self::Unhealthy(reason) => Json(json!({ "status": "failed", "reason": reason })),
            _ => Json(json!({ "error": error, "reason": self.to_string() })),
        };
        match self {
            Self::NotAuthenticated => {
                let realm = [(header::WWW_AUTHENTICATE, "Basic realm=\"Leveret Management\"")];
                (status, realm, body).into_response()
            }
            _ => (status, body).into_response(),
        }
    }
}
