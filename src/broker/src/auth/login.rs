//! A login, through the backends in their order.

use std::sync::Arc;

use super::{
    Authenticator, Authority, BackendError, Backends, Identity, Login,
    called::Called,
    choice::{Authn, Link},
    identity::{External, Origin},
};
use crate::access::{Access, Refusal, User};

/// Who wants in.
#[derive(Clone, Copy)]
struct Attempt<'a> {
    access: &'a Access,
    name: &'a str,
    password: &'a [u8],
    from_loopback: bool,
}

impl Backends {
    /// Lets a user in with a password. `from_loopback`: the peer is on this machine.
    ///
    /// # Errors
    /// Why the last backend did not, for the log.
    pub(crate) async fn log_in(
        &self,
        access: &Access,
        name: &str,
        password: &[u8],
        from_loopback: bool,
    ) -> Result<Identity, Refusal> {
        let attempt = Attempt { access, name, password, from_loopback };
        let mut refusal = Refusal::Credentials(name.into());
        for link in &self.0 {
            match link.log_in(attempt).await {
                // No other backend could let in a user who is bound to this machine.
                Err(at_home @ Refusal::LoopbackOnly(_)) => return Err(at_home),
                Err(next) => {
                    tracing::debug!(reason = %next, "a backend has not let a user in");
                    refusal = next;
                }
                Ok(identity) => return Ok(identity),
            }
        }
        Err(refusal)
    }
}

impl Link {
    async fn log_in(&self, attempt: Attempt<'_>) -> Result<Identity, Refusal> {
        let Attempt { access, name, password, from_loopback } = attempt;
        let (user, origin) = match &self.authn {
            Authn::Internal => (access.authenticate(name, password, from_loopback)?, Origin::Internal),
            Authn::External(backend) => (Arc::new(authenticate(backend, attempt).await?), Origin::External),
        };
        match (&self.authority, origin) {
            (Authority::Internal, Origin::Internal) => Ok(Identity::internal(user)),
            (Authority::Internal, _) => {
                let known = access.admit(name, from_loopback)?;
                Ok(Identity::new(with_tags(user, &known.tags), Authority::Internal, Origin::Both))
            }
            (Authority::External(external), _) => {
                let tags = if self.admits { external.admit(name).await? } else { Vec::new() };
                let origin = if origin == Origin::Internal { Origin::Both } else { Origin::External };
                Ok(Identity::new(with_tags(user, &tags), self.authority.clone(), origin))
            }
        }
    }
}

/// Has a plugin's backend check a password. A name that no user can have is nobody's.
async fn authenticate(backend: &Called<dyn Authenticator>, attempt: Attempt<'_>) -> Result<User, Refusal> {
    let mut user = User { name: attempt.name.into(), password: None, tags: Vec::new() };
    user.check().map_err(|_| Refusal::Credentials(attempt.name.into()))?;
    let (name, password) = (Arc::clone(&user.name), attempt.password.to_vec());
    let answer = backend.call(move |backend| backend.authenticate(&name, &password)).await;
    user.tags = tags(answer, &backend.name, attempt.name)?;
    user.check().map_err(|reason| failed(&backend.name, attempt.name, &BackendError(reason.to_string())))?;
    attempt.access.check_loopback(attempt.name, attempt.from_loopback)?;
    Ok(user)
}

impl External {
    async fn admit(&self, username: &str) -> Result<Vec<String>, Refusal> {
        let name = username.to_owned();
        tags(self.authorizer.call(move |backend| backend.admit(&name)).await, &self.authorizer.name, username)
    }
}

/// The tags that a backend lets a user in with.
fn tags(answer: Result<Login, BackendError>, backend: &Arc<str>, user: &str) -> Result<Vec<String>, Refusal> {
    match answer {
        Ok(Login::Accepted { tags }) => Ok(tags),
        Ok(Login::Refused(reason)) => Err(Refusal::Backend { user: user.into(), backend: Arc::clone(backend), reason }),
        Err(error) => Err(failed(backend, user, &error)),
    }
}

/// A refusal that somebody should look after.
fn failed(backend: &Arc<str>, user: &str, error: &BackendError) -> Refusal {
    tracing::error!(%backend, user, %error, "an authentication backend has failed");
    Refusal::BackendFailed { user: user.into(), backend: Arc::clone(backend), reason: error.to_string() }
}

/// With the tags that the other one of a pair has for the user.
fn with_tags(mut user: Arc<User>, more: &[String]) -> Arc<User> {
    let missing: Vec<_> = more.iter().filter(|tag| !user.tags.contains(tag)).cloned().collect();
    if !missing.is_empty() {
        Arc::make_mut(&mut user).tags.extend(missing);
    }
    user
}
