//! Somebody who has logged in, and who decides what they may do.

use std::{net::IpAddr, sync::Arc, time::Instant};

use super::{
    Answer, Authorizer, OwnedQuestion, Question,
    cache::{Cache, Key},
    called::Called,
};
use crate::{
    Error, VHost,
    access::{self, Access, Permission, Resource, Role, User},
};

/// A user as a backend has let them in.
#[derive(Clone, Debug)]
pub struct Identity {
    user: Arc<User>,
    authority: Authority,
    origin: Origin,
}

/// Where a user is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// In the internal backend alone.
    Internal,
    /// In the internal backend and in one of a plugin, which are a pair.
    Both,
    /// Nowhere in the internal backend.
    External,
}

/// Who decides on permissions.
#[derive(Clone, Debug)]
pub enum Authority {
    /// [`Access`], on the spot.
    Internal,
    /// A plugin's backend, which must be waited for.
    External(Arc<External>),
}

/// An authorizer of a plugin.
#[derive(Debug)]
pub struct External {
    pub(super) authorizer: Called<dyn Authorizer>,
    cache: Cache,
}

impl Identity {
    /// A user of the internal backend.
    #[must_use]
    pub fn internal(user: Arc<User>) -> Self {
        Self::new(user, Authority::Internal, Origin::Internal)
    }

    pub(super) fn new(user: Arc<User>, authority: Authority, origin: Origin) -> Self {
        Self { user, authority, origin }
    }

    /// Name and tags at the time of the login. A user of a plugin's backend has no password here.
    #[must_use]
    pub fn user(&self) -> &Arc<User> {
        &self.user
    }

    /// Who decides on permissions.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Whether the internal backend had a say: this user is no longer welcome once the one of that name is deleted there.
    /// Others need not exist there, and have nothing to do with one that does.
    #[must_use]
    pub fn needs_internal_user(&self) -> bool {
        self.origin != Origin::External
    }

    /// Whether the user may enter a vhost.
    ///
    /// # Errors
    /// 530 where not.
    pub async fn check_vhost(&self, access: &Access, vhost: &str, peer: Option<IpAddr>) -> Result<(), Error> {
        match &self.authority {
            Authority::Internal => access.check_vhost(&self.user.name, vhost),
            Authority::External(external) => external.check(&self.user, vhost, Question::VHost { peer }).await,
        }
    }

    /// Whether the user may do something to a queue or exchange.
    ///
    /// # Errors
    /// 403 where not.
    pub async fn check(
        &self,
        access: &Access,
        vhost: &str,
        permission: Permission,
        resource: Resource<'_>,
    ) -> Result<(), Error> {
        match &self.authority {
            Authority::Internal => access.check(&self.user.name, vhost, permission, resource),
            Authority::External(external) => {
                external.check(&self.user, vhost, Question::Resource { permission, resource }).await
            }
        }
    }

    /// Whether the user may publish to or bind to a topic exchange with a key. Beside [`Self::check`].
    ///
    /// # Errors
    /// 403 where not.
    pub async fn check_topic(
        &self,
        access: &Access,
        vhost: &str,
        permission: Permission,
        exchange: &str,
        routing_key: &[u8],
    ) -> Result<(), Error> {
        match &self.authority {
            Authority::Internal => access.check_topic(&self.user.name, vhost, permission, exchange, routing_key),
            Authority::External(external) => {
                let question = Question::Topic { permission, exchange, routing_key };
                external.check(&self.user, vhost, question).await
            }
        }
    }

    /// Whether the user may publish to an exchange with a key: both of the above, the second where it is a topic exchange.
    ///
    /// # Errors
    /// 403 where not.
    pub async fn check_publish(
        &self,
        access: &Access,
        vhost: &VHost,
        exchange: &str,
        routing_key: &[u8],
    ) -> Result<(), Error> {
        self.check(access, &vhost.name, Permission::Write, Resource::Exchange(exchange)).await?;
        if vhost.has_topic_permissions(exchange) {
            self.check_topic(access, &vhost.name, Permission::Write, exchange, routing_key).await?;
        }
        Ok(())
    }

    /// Checks the `user-id` property of a message against the user who publishes it. Tags of an internal user are those of
    /// now, any other's those of the login.
    ///
    /// # Errors
    /// 406 where it names somebody else and the user has no `impersonator` tag.
    pub fn check_user_id(&self, access: &Access, claimed: &[u8]) -> Result<(), Error> {
        let name = &*self.user.name;
        match self.origin {
            Origin::Internal => access.check_user_id(name, claimed),
            _ if claimed == name.as_bytes() || self.user.has_role(Role::Impersonator) => Ok(()),
            _ => Err(access::user_id_refused(name, claimed)),
        }
    }
}

impl External {
    pub(super) fn new(authorizer: Called<dyn Authorizer>, cache: Cache) -> Self {
        Self { authorizer, cache }
    }

    /// Whether it has allowed that, so short a time ago that it need not be asked again.
    #[must_use]
    pub fn remembers(&self, user: &User, vhost: &str, question: Question<'_>, now: Instant) -> bool {
        self.cache.holds(&Key::new(user, vhost, question), now)
    }

    /// Has the backend answer, whatever is remembered. Failures are logged here.
    pub async fn ask(&self, user: Arc<User>, vhost: Arc<str>, question: OwnedQuestion) -> Answer {
        let asked_at = Instant::now();
        let key = Key::new(&user, &vhost, question.question());
        let (of, within) = (Arc::clone(&user), Arc::clone(&vhost));
        let answer = self.authorizer.call(move |backend| question.question().put(backend, &of, &within)).await;
        match answer {
            Ok(true) => {
                self.cache.put(key, asked_at);
                Answer::Allowed
            }
            Ok(false) => Answer::Refused,
            Err(error) => {
                let backend = &self.authorizer.name;
                tracing::error!(%backend, user = %user.name, %vhost, %error, "an authorization backend has failed");
                Answer::Failed(Arc::clone(backend))
            }
        }
    }

    async fn check(&self, user: &Arc<User>, vhost: &str, question: Question<'_>) -> Result<(), Error> {
        if self.remembers(user, vhost, question, Instant::now()) {
            return Ok(());
        }
        let answer = self.ask(Arc::clone(user), vhost.into(), question.to_owned_question()).await;
        answer.to_result(question, &user.name, vhost)
    }
}
