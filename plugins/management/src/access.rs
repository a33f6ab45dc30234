//! Who asks, and what he may.

use std::{
    net::SocketAddr,
    sync::{Arc, LazyLock},
};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{header, request::Parts},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use leveret_broker::{
    VHost,
    access::{Permission, Resource, Role, User},
};

use crate::{Api, error::ApiError};

/// How a request came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Over TCP: the request must log in. Users that are bound to this machine are let in where the peer's address is a
    /// loopback address; so the router must be served with connect info.
    Tcp,
    /// Over the unix socket: the file's permissions have decided, everything is allowed.
    Local,
}

/// The user behind a request; `None` is the local administrator.
pub(crate) struct Caller(Option<Arc<User>>);

impl Caller {
    /// The user's name, for messages that carry one.
    pub(crate) fn name(&self) -> &str {
        self.0.as_ref().map_or("leveret ctl", |user| &user.name)
    }

    /// Whose doing a change is, for observers; RabbitMQ's name for those at the command line is the local administrator's.
    pub(crate) fn acting_user(&self) -> &Arc<str> {
        static COMMAND_LINE: LazyLock<Arc<str>> = LazyLock::new(|| "rmq-cli".into());
        self.0.as_ref().map_or(&COMMAND_LINE, |user| &user.name)
    }

    /// The user; `None` for the local administrator.
    pub(crate) fn user(&self) -> Option<&Arc<User>> {
        self.0.as_ref()
    }

    /// Refuses users without the role.
    pub(crate) fn require(&self, role: Role) -> Result<(), ApiError> {
        match &self.0 {
            Some(user) if !user.has_role(role) => {
                Err(ApiError::NotPermitted(format!("User not authorised: needs the tag {}", role.tag())))
            }
            _ => Ok(()),
        }
    }

    /// The vhost, where it is there for this user.
    pub(crate) fn vhost(&self, api: &Api, name: &str) -> Result<Arc<VHost>, ApiError> {
        if !self.sees(api, name) {
            return Err(ApiError::NotPermitted(format!("User not authorised to access virtual host {name}")));
        }
        api.broker.vhost(name).ok_or(ApiError::NotFound)
    }

    /// The vhosts that this user sees.
    pub(crate) fn vhosts(&self, api: &Api) -> Vec<Arc<VHost>> {
        api.broker.vhosts().into_iter().filter(|vhost| self.sees(api, &vhost.name)).collect()
    }

    /// Checks a permission as AMQP would.
    pub(crate) fn check(
        &self,
        api: &Api,
        vhost: &str,
        permission: Permission,
        resource: Resource<'_>,
    ) -> Result<(), ApiError> {
        match &self.0 {
            None => Ok(()),
            Some(user) => Ok(api.broker.access().check(&user.name, vhost, permission, resource)?),
        }
    }

    /// Checks a declaration as AMQP would. What goes `onward` to an exchange (dead letters, what an exchange cannot route)
    /// is read from the declared thing and written there.
    pub(crate) fn check_declare(
        &self,
        api: &Api,
        vhost: &str,
        declared: Resource<'_>,
        onward: Option<&str>,
    ) -> Result<(), ApiError> {
        self.check(api, vhost, Permission::Configure, declared)?;
        if let Some(exchange) = onward {
            self.check(api, vhost, Permission::Read, declared)?;
            self.check(api, vhost, Permission::Write, Resource::Exchange(exchange))?;
        }
        Ok(())
    }

    /// Whether what belongs to `owner` may be seen: everything by monitoring, one's own by everybody.
    pub(crate) fn sees_of(&self, owner: &str) -> bool {
        self.0.as_ref().is_none_or(|user| *user.name == *owner || user.has_role(Role::Monitoring))
    }

    /// Whether what belongs to `owner` may be changed: everything by administrators, one's own by everybody.
    pub(crate) fn owns(&self, owner: &str) -> bool {
        self.0.as_ref().is_none_or(|user| *user.name == *owner || user.has_role(Role::Administrator))
    }

    /// Whether the user may see a vhost: monitoring sees all, others those they have permissions in.
    pub(crate) fn sees(&self, api: &Api, vhost: &str) -> bool {
        match &self.0 {
            None => true,
            Some(user) => {
                user.has_role(Role::Monitoring) || api.broker.access().permissions(&user.name, vhost).is_some()
            }
        }
    }
}

impl FromRequestParts<Api> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        if api.door == Door::Local {
            return Ok(Self(None));
        }
        let (name, password) = credentials(parts).ok_or(ApiError::NotAuthenticated)?;
        let user = api
            .broker
            .access()
            .authenticate(&name, password.as_bytes(), is_from_loopback(parts))
            .map_err(|_| ApiError::NotAuthenticated)?;
        let caller = Self(Some(user));
        caller.require(Role::Management)?;
        Ok(caller)
    }
}

/// A peer that is not known is taken for one from elsewhere.
fn is_from_loopback(parts: &Parts) -> bool {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    peer.is_some_and(|ConnectInfo(peer)| peer.ip().to_canonical().is_loopback())
}

fn credentials(parts: &Parts) -> Option<(String, String)> {
    let header = parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let encoded = header.strip_prefix("Basic ").or_else(|| header.strip_prefix("basic "))?;
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (name, password) = decoded.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}
