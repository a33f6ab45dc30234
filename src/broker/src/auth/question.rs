//! What an authorizer is asked, and what it may answer.

use std::{net::IpAddr, sync::Arc};

use super::{Authorizer, BackendError};
use crate::{
    Error,
    access::{self, Permission, Resource, User},
};

/// A question about a user in a vhost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question<'a> {
    /// May the user enter it?
    VHost {
        /// From there, where that is known.
        peer: Option<IpAddr>,
    },
    /// May the user do something to a queue or exchange?
    Resource {
        /// To be done.
        permission: Permission,
        /// To it.
        resource: Resource<'a>,
    },
    /// May the user publish or bind with a routing key?
    Topic {
        /// Write or read.
        permission: Permission,
        /// The topic exchange.
        exchange: &'a str,
        /// The key.
        routing_key: &'a [u8],
    },
}

impl Question<'_> {
    pub(super) fn put(self, to: &dyn Authorizer, user: &User, vhost: &str) -> Result<bool, BackendError> {
        match self {
            Self::VHost { peer } => to.vhost(user, vhost, peer),
            Self::Resource { permission, resource } => to.resource(user, vhost, permission, resource),
            Self::Topic { permission, exchange, routing_key } => {
                to.topic(user, vhost, permission, exchange, routing_key)
            }
        }
    }

    /// A copy that outlives what it asks about.
    #[must_use]
    pub fn to_owned_question(self) -> OwnedQuestion {
        match self {
            Self::VHost { peer } => OwnedQuestion::VHost { peer },
            Self::Resource { permission, resource } => OwnedQuestion::Resource {
                permission,
                is_queue: matches!(resource, Resource::Queue(_)),
                name: resource.name().into(),
            },
            Self::Topic { permission, exchange, routing_key } => {
                OwnedQuestion::Topic { permission, exchange: exchange.into(), routing_key: routing_key.into() }
            }
        }
    }

    /// What a client is told who may not, in RabbitMQ's words.
    #[must_use]
    pub fn refused(self, user: &str, vhost: &str) -> Error {
        match self {
            Self::VHost { .. } => access::vhost_refused(user, vhost),
            Self::Resource { permission, resource } => access::refused(user, vhost, permission, resource),
            Self::Topic { permission, exchange, routing_key } => {
                access::topic_refused(user, vhost, permission, exchange, routing_key)
            }
        }
    }
}

/// A question that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnedQuestion {
    /// [`Question::VHost`].
    VHost {
        /// From there, where that is known.
        peer: Option<IpAddr>,
    },
    /// [`Question::Resource`].
    Resource {
        /// To be done.
        permission: Permission,
        /// Or an exchange.
        is_queue: bool,
        /// Its name, as permissions have it.
        name: Box<str>,
    },
    /// [`Question::Topic`].
    Topic {
        /// Write or read.
        permission: Permission,
        /// The topic exchange.
        exchange: Box<str>,
        /// The key.
        routing_key: Box<[u8]>,
    },
}

impl OwnedQuestion {
    /// The question.
    #[must_use]
    pub fn question(&self) -> Question<'_> {
        match self {
            Self::VHost { peer } => Question::VHost { peer: *peer },
            Self::Resource { permission, is_queue, name } => Question::Resource {
                permission: *permission,
                resource: if *is_queue { Resource::Queue(name) } else { Resource::Exchange(name) },
            },
            Self::Topic { permission, exchange, routing_key } => {
                Question::Topic { permission: *permission, exchange, routing_key }
            }
        }
    }

    /// Whether it is that question. The default exchange is asked about by the name that permissions have for it.
    #[must_use]
    pub fn is(&self, other: Question<'_>) -> bool {
        match (self.question(), other) {
            (Question::Resource { permission, resource }, Question::Resource { permission: of, resource: other }) => {
                permission == of
                    && matches!(resource, Resource::Queue(_)) == matches!(other, Resource::Queue(_))
                    && resource.name() == other.name()
            }
            (one, other) => one == other,
        }
    }
}

/// What an authorizer has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It may.
    Allowed,
    /// It may not.
    Refused,
    /// The backend of that name could not say: so it may not.
    Failed(Arc<str>),
}

impl Answer {
    /// What a client is told.
    ///
    /// # Errors
    /// 530 for a vhost and 403 for anything else where the user may not. Why a backend has failed is in the log only.
    pub fn to_result(&self, question: Question<'_>, user: &str, vhost: &str) -> Result<(), Error> {
        match self {
            Self::Allowed => Ok(()),
            Self::Refused => Err(question.refused(user, vhost)),
            Self::Failed(backend) => {
                let Error { code, text } = question.refused(user, vhost);
                Err(Error::new(code, format!("{text}, backend {backend} returned an error")))
            }
        }
    }
}
