//! Who asks, and what he may.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
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
    auth::Identity,
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
pub(crate) struct Caller(Option<Remote>);

/// A user who has logged in for a request.
struct Remote {
    identity: Identity,
    peer: Option<IpAddr>,
}

impl Caller {
    /// The user's name, for messages that carry one.
    pub(crate) fn name(&self) -> &str {
        self.user().map_or("leveret ctl", |user| &user.name)
    }

    /// Whose doing a change is, for observers; RabbitMQ's name for those at the command line is the local administrator's.
    pub(crate) fn acting_user(&self) -> &Arc<str> {
        static COMMAND_LINE: LazyLock<Arc<str>> = LazyLock::new(|| "rmq-cli".into());
        self.user().map_or(&COMMAND_LINE, |user| &user.name)
    }

    /// The user; `None` for the local administrator.
    pub(crate) fn user(&self) -> Option<&Arc<User>> {
        self.0.as_ref().map(|remote| remote.identity.user())
    }

    /// Whether the internal backend knows who this is.
    pub(crate) fn is_internal(&self) -> bool {
        self.0.as_ref().is_none_or(|remote| remote.identity.needs_internal_user())
    }

    /// Refuses users without the role.
    pub(crate) fn require(&self, role: Role) -> Result<(), ApiError> {
        match self.user() {
            Some(user) if !user.has_role(role) => {
                Err(ApiError::NotPermitted(format!("User not authorised: needs the tag {}", role.tag())))
            }
            _ => Ok(()),
        }
    }

    /// The vhost, where it is there for this user.
    pub(crate) async fn vhost(&self, api: &Api, name: &str) -> Result<Arc<VHost>, ApiError> {
        if !self.sees(api, name).await {
            return Err(ApiError::NotPermitted(format!("User not authorised to access virtual host {name}")));
        }
        api.broker.vhost(name).ok_or(ApiError::NotFound)
    }

    /// The vhosts that this user sees.
    pub(crate) async fn vhosts(&self, api: &Api) -> Vec<Arc<VHost>> {
        let mut seen = Vec::new();
        for vhost in api.broker.vhosts() {
            if self.sees(api, &vhost.name).await {
                seen.push(vhost);
            }
        }
        seen
    }

    /// Their names.
    pub(crate) async fn seen_vhosts(&self, api: &Api) -> BTreeSet<Arc<str>> {
        self.vhosts(api).await.iter().map(|vhost| Arc::clone(&vhost.name)).collect()
    }

    /// Checks a permission as AMQP would.
    pub(crate) async fn check(
        &self,
        api: &Api,
        vhost: &str,
        permission: Permission,
        resource: Resource<'_>,
    ) -> Result<(), ApiError> {
        match &self.0 {
            None => Ok(()),
            Some(Remote { identity, .. }) => {
                Ok(identity.check(api.broker.access(), vhost, permission, resource).await?)
            }
        }
    }

    /// Checks a routing key of a topic exchange as AMQP would.
    pub(crate) async fn check_topic(
        &self,
        api: &Api,
        vhost: &str,
        permission: Permission,
        exchange: &str,
        routing_key: &[u8],
    ) -> Result<(), ApiError> {
        let Some(Remote { identity, .. }) = &self.0 else { return Ok(()) };
        Ok(identity.check_topic(api.broker.access(), vhost, permission, exchange, routing_key).await?)
    }

    /// Checks a publish as AMQP would, its `user-id` apart.
    pub(crate) async fn check_publish(
        &self,
        api: &Api,
        vhost: &VHost,
        exchange: &str,
        routing_key: &[u8],
    ) -> Result<(), ApiError> {
        let Some(Remote { identity, .. }) = &self.0 else { return Ok(()) };
        Ok(identity.check_publish(api.broker.access(), vhost, exchange, routing_key).await?)
    }

    /// Checks a message's `user-id` as AMQP would.
    pub(crate) fn check_user_id(&self, api: &Api, claimed: &[u8]) -> Result<(), ApiError> {
        let Some(Remote { identity, .. }) = &self.0 else { return Ok(()) };
        Ok(identity.check_user_id(api.broker.access(), claimed)?)
    }

    /// Checks a declaration as AMQP would. What goes `onward` to an exchange (dead letters, what an exchange cannot route)
    /// is read from the declared thing and written there.
    pub(crate) async fn check_declare(
        &self,
        api: &Api,
        vhost: &str,
        declared: Resource<'_>,
        onward: Option<&str>,
    ) -> Result<(), ApiError> {
        self.check(api, vhost, Permission::Configure, declared).await?;
        if let Some(exchange) = onward {
            self.check(api, vhost, Permission::Read, declared).await?;
            self.check(api, vhost, Permission::Write, Resource::Exchange(exchange)).await?;
        }
        Ok(())
    }

    /// Whether what belongs to `owner` may be seen: everything by monitoring, one's own by everybody.
    pub(crate) fn sees_of(&self, owner: &str) -> bool {
        self.user().is_none_or(|user| *user.name == *owner || user.has_role(Role::Monitoring))
    }

    /// Whether what belongs to `owner` may be changed: everything by administrators, one's own by everybody.
    pub(crate) fn owns(&self, owner: &str) -> bool {
        self.user().is_none_or(|user| *user.name == *owner || user.has_role(Role::Administrator))
    }

    /// Whether the user may see a vhost: monitoring sees all, others those they have permissions in.
    async fn sees(&self, api: &Api, vhost: &str) -> bool {
        match &self.0 {
            None => true,
            Some(Remote { identity, peer }) => {
                identity.user().has_role(Role::Monitoring)
                    || identity.check_vhost(api.broker.access(), vhost, *peer).await.is_ok()
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
        let peer = peer(parts);
        // A peer that is not known is taken for one from elsewhere.
        let from_loopback = peer.is_some_and(|peer| peer.is_loopback());
        let login = api.broker.log_in(&name, password.as_bytes(), from_loopback).await;
        let identity = login.map_err(|_| ApiError::NotAuthenticated)?;
        let caller = Self(Some(Remote { identity, peer }));
        caller.require(Role::Management)?;
        Ok(caller)
    }
}

fn peer(parts: &Parts) -> Option<IpAddr> {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    peer.map(|ConnectInfo(peer)| peer.ip().to_canonical())
}

fn credentials(parts: &Parts) -> Option<(String, String)> {
    let header = parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let encoded = header.strip_prefix("Basic ").or_else(|| header.strip_prefix("basic "))?;
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (name, password) = decoded.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}
