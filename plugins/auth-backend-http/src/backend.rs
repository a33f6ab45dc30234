//! What the service is asked, in RabbitMQ's parameters.

use std::{net::IpAddr, sync::Arc};

use leveret_broker::{
    access::{Permission, Resource, User},
    auth::{Authenticator, Authorizer, BackendError, Login},
};

use crate::{
    BACKEND, Settings, answer,
    client::{Client, without_query},
    form::Form,
};

/// The backend.
#[derive(Clone)]
pub(crate) struct HttpBackend(Arc<Service>);

struct Service {
    settings: Settings,
    client: Client,
}

impl HttpBackend {
    pub(crate) fn new(settings: Settings) -> Self {
        Self(Arc::new(Service { client: Client::new(&settings), settings }))
    }

    fn log_in(&self, form: Form) -> Result<Login, BackendError> {
        answer::login(&self.0.client.ask(&self.0.settings.user_path, form)?)
    }

    fn allows(&self, path: &str, user: &User, form: Form) -> Result<bool, BackendError> {
        answer::permission(&self.0.client.ask(path, form)?, without_query(path), &user.name)
    }
}

impl Authenticator for HttpBackend {
    fn name(&self) -> &str {
        BACKEND
    }

    fn authenticate(&self, username: &str, password: &[u8]) -> Result<Login, BackendError> {
        self.log_in(Form::default().with("username", username).with("password", password))
    }
}

impl Authorizer for HttpBackend {
    fn name(&self) -> &str {
        BACKEND
    }

    /// RabbitMQ asks as for a login here, without a password, and leaves the tags out.
    fn admit(&self, username: &str) -> Result<Login, BackendError> {
        Ok(match self.log_in(Form::default().with("username", username))? {
            Login::Accepted { .. } => Login::Accepted { tags: Vec::new() },
            refused @ Login::Refused(_) => refused,
        })
    }

    fn vhost(&self, user: &User, vhost: &str, peer: Option<IpAddr>) -> Result<bool, BackendError> {
        let ip = peer.map_or_else(|| "unknown".to_owned(), |peer| peer.to_string());
        let form = of(user, vhost).with("ip", ip).with("tags", tags(user));
        self.allows(&self.0.settings.vhost_path, user, form)
    }

    fn resource(
        &self,
        user: &User,
        vhost: &str,
        permission: Permission,
        resource: Resource<'_>,
    ) -> Result<bool, BackendError> {
        let kind = match resource {
            Resource::Queue(_) => "queue",
            Resource::Exchange(_) => "exchange",
        };
        let form = of(user, vhost)
            .with("resource", kind)
            .with("name", resource.name())
            .with("permission", permission.name())
            .with("tags", tags(user));
        self.allows(&self.0.settings.resource_path, user, form)
    }

    fn topic(
        &self,
        user: &User,
        vhost: &str,
        permission: Permission,
        exchange: &str,
        routing_key: &[u8],
    ) -> Result<bool, BackendError> {
        let form = of(user, vhost)
            .with("resource", "topic")
            .with("name", exchange)
            .with("permission", permission.name())
            .with("tags", tags(user))
            .with("routing_key", routing_key)
            .with("variable_map.username", &*user.name)
            .with("variable_map.vhost", vhost);
        self.allows(&self.0.settings.topic_path, user, form)
    }
}

fn of(user: &User, vhost: &str) -> Form {
    Form::default().with("username", &*user.name).with("vhost", vhost)
}

fn tags(user: &User) -> String {
    user.tags.join(" ")
}
