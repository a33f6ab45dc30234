//! What administrators change: users, permissions, policies, limits, and vhosts as a whole.
//!
//! Each operation changes what is in force at once and notes the record for the turn's commit. What is written is read
//! again at the moment of writing, which is serial: of two changes to one thing, whichever is written last is written
//! as it then stands, so that memory and disk cannot part. That reads one lock under another, the store's list of
//! changes, which nobody takes the other way round. Not taken: a lock around administration.

use std::sync::Arc;

use crate::{
    Broker, Error, Turn, VHostMetadata,
    access::{AccessError, Permissions, Removed, TopicPermissions, User},
    catalogue::{Record, UserLimitsRecord, VHostLimitsRecord, VHostRecord},
    limits::{LimitError, UserLimits, VHostLimits},
    plugin::EventKind,
    policy::{Policy, PolicyError, PolicyRole},
    vhost::check_name,
};

/// Users and permissions.
impl Broker {
    /// Adds or replaces a user.
    pub fn put_user(&self, turn: &mut Turn<'_>, user: User) -> Arc<User> {
        let before = self.access().user(&user.name);
        let user = self.access().put_user(user);
        self.note_user(turn, &user.name);
        tell_user(turn, before.as_deref(), &user);
        user
    }

    /// Deletes a user with all its permissions and limits.
    ///
    /// # Errors
    /// Where there is none.
    pub fn delete_user(&self, turn: &mut Turn<'_>, name: &str) -> Result<(), AccessError> {
        let removed = self.access().delete_user(name)?;
        self.note_user(turn, name);
        turn.tell(|| EventKind::UserDeleted(name.into()));
        self.note_removed(turn, &removed);
        self.forget_user_limits(turn, name);
        Ok(())
    }

    /// Sets a user's permissions in a vhost.
    ///
    /// # Errors
    /// Where there is no such user, or a pattern does not compile.
    pub fn set_permissions(&self, turn: &mut Turn<'_>, permissions: Permissions) -> Result<(), AccessError> {
        let permissions = self.access().set_permissions(permissions)?;
        self.note_permissions(turn, &permissions);
        turn.tell(|| EventKind::PermissionCreated(permissions));
        Ok(())
    }

    /// Takes a user's permissions in a vhost away; false where there were none.
    pub fn clear_permissions(&self, turn: &mut Turn<'_>, user: &str, vhost: &str) -> bool {
        let removed = self.access().clear_permissions(user, vhost);
        let found = removed.is_some();
        if let Some(permissions) = removed {
            self.note_permissions(turn, &permissions);
            turn.tell(|| EventKind::PermissionDeleted(permissions));
        }
        found
    }

    /// Sets a user's permissions on a topic exchange.
    ///
    /// # Errors
    /// Where there is no such user, or a pattern does not compile.
    pub fn set_topic_permissions(&self, turn: &mut Turn<'_>, permissions: TopicPermissions) -> Result<(), AccessError> {
        let permissions = self.access().set_topic_permissions(permissions)?;
        self.note_topic_permissions(turn, &permissions);
        turn.tell(|| EventKind::TopicPermissionCreated(permissions));
        Ok(())
    }

    /// Takes a user's topic permissions in a vhost away, of one exchange or of all; false where there were none.
    pub fn clear_topic_permissions(
        &self,
        turn: &mut Turn<'_>,
        user: &str,
        vhost: &str,
        exchange: Option<&str>,
    ) -> bool {
        let removed = self.access().clear_topic_permissions(user, vhost, exchange);
        for permissions in &removed {
            self.note_topic_permissions(turn, permissions);
            turn.tell(|| EventKind::TopicPermissionDeleted(Arc::clone(permissions)));
        }
        !removed.is_empty()
    }

    fn note_removed(&self, turn: &Turn<'_>, removed: &Removed) {
        for permissions in &removed.permissions {
            self.note_permissions(turn, permissions);
        }
        for permissions in &removed.topic_permissions {
            self.note_topic_permissions(turn, permissions);
        }
    }

    fn note_user(&self, turn: &Turn<'_>, name: &str) {
        let identity = Record::User(User { name: name.into(), password: None, tags: Vec::new() });
        note(turn, &identity, || self.access().user(name).map(|user| Record::User(User::clone(&user))));
    }

    fn note_permissions(&self, turn: &Turn<'_>, of: &Permissions) {
        let current = || self.access().permissions(&of.user, &of.vhost);
        note(turn, &Record::Permission(of.clone()), || {
            current().map(|permissions| Record::Permission(Permissions::clone(&permissions)))
        });
    }

    fn note_topic_permissions(&self, turn: &Turn<'_>, of: &TopicPermissions) {
        let current = || self.access().topic_permissions(&of.user, &of.vhost, &of.exchange);
        note(turn, &Record::TopicPermission(of.clone()), || {
            current().map(|permissions| Record::TopicPermission(TopicPermissions::clone(&permissions)))
        });
    }
}

/// Policies.
impl Broker {
    /// Checks and sets a policy, in place of one of the same name, and brings the vhost in line with it.
    ///
    /// # Errors
    /// Where a setting, its value or the pattern cannot be.
    pub fn set_policy(&self, turn: &mut Turn<'_>, role: PolicyRole, policy: Policy) -> Result<(), PolicyError> {
        let policy = self.policies().set(role, policy)?;
        self.note_policy(turn, role, &policy);
        self.apply_policies(turn, &policy.vhost);
        turn.tell(|| EventKind::PolicySet(role, policy));
        Ok(())
    }

    /// Removes a policy, and brings the vhost in line with that; false where there was none.
    pub fn clear_policy(&self, turn: &mut Turn<'_>, role: PolicyRole, vhost: &str, name: &str) -> bool {
        let Some(policy) = self.policies().remove(role, vhost, name) else { return false };
        self.note_policy(turn, role, &policy);
        self.apply_policies(turn, vhost);
        turn.tell(|| EventKind::PolicyCleared(role, policy));
        true
    }

    fn apply_policies(&self, turn: &mut Turn<'_>, vhost: &str) {
        if let Some(vhost) = self.vhost(vhost) {
            vhost.apply_policies(turn);
        }
    }

    fn note_policy(&self, turn: &Turn<'_>, role: PolicyRole, of: &Policy) {
        let record = match role {
            PolicyRole::Ordinary => Record::Policy,
            PolicyRole::Operator => Record::OperatorPolicy,
        };
        let current = || self.policies().policy(role, &of.vhost, &of.name);
        note(turn, &record(of.clone()), || current().map(|policy| record(Policy::clone(&policy))));
    }
}

/// Limits.
impl Broker {
    /// Changes the limits of a vhost.
    ///
    /// # Errors
    /// Where there is no such vhost, or `change` fails.
    pub fn change_vhost_limits(
        &self,
        turn: &mut Turn<'_>,
        vhost: &str,
        change: impl FnOnce(VHostLimits) -> Result<VHostLimits, LimitError>,
    ) -> Result<(), LimitError> {
        let before = self.limits().vhost(vhost);
        self.limits().change_vhost(vhost, change)?;
        self.note_vhost_limits(turn, vhost);
        // Asked last: whoever deletes the vhost meanwhile removes its limits after it, so nothing is left either way.
        if self.vhost(vhost).is_none() {
            self.forget_vhost_limits(turn, vhost);
            return Err(LimitError::NoSuchVHost(vhost.into()));
        }
        let limits = self.limits().vhost(vhost);
        if limits != before {
            turn.tell(|| match limits == VHostLimits::default() {
                true => EventKind::VHostLimitsCleared(vhost.into()),
                false => EventKind::VHostLimitsSet(vhost.into(), limits),
            });
        }
        Ok(())
    }

    /// Changes the limits of a user.
    ///
    /// # Errors
    /// Where there is no such user, or `change` fails.
    pub fn change_user_limits(
        &self,
        turn: &mut Turn<'_>,
        user: &str,
        change: impl FnOnce(UserLimits) -> Result<UserLimits, LimitError>,
    ) -> Result<(), LimitError> {
        let before = self.limits().user(user);
        self.limits().change_user(user, change)?;
        self.note_user_limits(turn, user);
        // Asked last, as for vhosts.
        if self.access().user(user).is_none() {
            self.forget_user_limits(turn, user);
            return Err(LimitError::NoSuchUser(user.into()));
        }
        let limits = self.limits().user(user);
        if limits != before {
            turn.tell(|| match limits == UserLimits::default() {
                true => EventKind::UserLimitsCleared(user.into()),
                false => EventKind::UserLimitsSet(user.into(), limits),
            });
        }
        Ok(())
    }

    fn forget_vhost_limits(&self, turn: &Turn<'_>, vhost: &str) {
        self.limits().set_vhost(vhost, VHostLimits::default());
        self.note_vhost_limits(turn, vhost);
    }

    fn forget_user_limits(&self, turn: &Turn<'_>, user: &str) {
        self.limits().set_user(user, UserLimits::default());
        self.note_user_limits(turn, user);
    }

    fn note_vhost_limits(&self, turn: &Turn<'_>, vhost: &str) {
        let record = |limits| Record::VHostLimits(VHostLimitsRecord { vhost: vhost.into(), limits });
        note(turn, &record(VHostLimits::default()), || {
            let limits = self.limits().vhost(vhost);
            (limits != VHostLimits::default()).then(|| record(limits))
        });
    }

    fn note_user_limits(&self, turn: &Turn<'_>, user: &str) {
        let record = |limits| Record::UserLimits(UserLimitsRecord { user: user.into(), limits });
        note(turn, &record(UserLimits::default()), || {
            let limits = self.limits().user(user);
            (limits != UserLimits::default()).then(|| record(limits))
        });
    }
}

/// Vhosts.
impl Broker {
    /// Creates a vhost with its pre-declared exchanges; false where it exists.
    ///
    /// # Errors
    /// 406 where the name is empty or too long.
    pub fn create_vhost(&self, turn: &mut Turn<'_>, name: &str, metadata: VHostMetadata) -> Result<bool, Error> {
        check_name(name)?;
        let created = self.add_vhost(name, metadata);
        if let Some(vhost) = &created {
            self.note_vhost(turn, name);
            turn.tell(|| EventKind::VHostCreated(Arc::clone(&vhost.name), vhost.metadata()));
        }
        Ok(created.is_some())
    }

    /// Changes what is said of a vhost; false where there is none. Queues keep the type they were declared with.
    pub fn change_vhost_metadata(
        &self,
        turn: &mut Turn<'_>,
        name: &str,
        change: impl FnOnce(&mut VHostMetadata),
    ) -> bool {
        let Some(vhost) = self.vhost(name) else { return false };
        vhost.change_metadata(change);
        self.note_vhost(turn, name);
        turn.tell(|| EventKind::VHostUpdated(Arc::clone(&vhost.name), vhost.metadata()));
        true
    }

    /// Deletes a vhost with all that is in it and all that names it: queues, exchanges, bindings, permissions,
    /// policies, limits. False where there is none.
    pub fn remove_vhost(&self, turn: &mut Turn<'_>, name: &str) -> bool {
        let Some(vhost) = self.take_vhost(name) else { return false };
        vhost.close(turn);
        self.note_vhost(turn, name);
        for exchange in vhost.exchanges() {
            // The pre-declared ones refuse, and are in no catalogue.
            let _ = vhost.delete_exchange(turn, &exchange.name, false);
        }
        let removed = self.access().forget_vhost(name);
        self.note_removed(turn, &removed);
        for permissions in removed.permissions {
            turn.tell(|| EventKind::PermissionDeleted(permissions));
        }
        for permissions in removed.topic_permissions {
            turn.tell(|| EventKind::TopicPermissionDeleted(permissions));
        }
        for (role, policy) in self.policies().forget_vhost(name) {
            self.note_policy(turn, role, &policy);
            turn.tell(|| EventKind::PolicyCleared(role, policy));
        }
        self.forget_vhost_limits(turn, name);
        turn.tell(|| EventKind::VHostDeleted(Arc::clone(&vhost.name)));
        true
    }

    fn note_vhost(&self, turn: &Turn<'_>, name: &str) {
        let record = |metadata| Record::VHost(VHostRecord { name: name.into(), metadata });
        note(turn, &record(VHostMetadata::default()), || {
            self.vhost(name).map(|vhost| record(VHostMetadata::clone(&vhost.metadata())))
        });
    }
}

/// Tells what of a user is new, as RabbitMQ does: its tags are an event of their own.
fn tell_user(turn: &Turn<'_>, before: Option<&User>, user: &Arc<User>) {
    match before {
        None => turn.tell(|| EventKind::UserCreated(Arc::clone(user))),
        Some(before) if before.password == user.password => {}
        Some(_) if user.password.is_none() => turn.tell(|| EventKind::UserPasswordCleared(Arc::clone(user))),
        Some(_) => turn.tell(|| EventKind::UserPasswordChanged(Arc::clone(user))),
    }
    if before.map_or(&[][..], |before| &before.tags) != user.tags {
        turn.tell(|| EventKind::UserTagsSet(Arc::clone(user)));
    }
}

/// Notes what has become of the record with the identity of `of`: `current` is asked at the moment of writing.
fn note(turn: &Turn<'_>, of: &Record, current: impl FnOnce() -> Option<Record>) {
    turn.store.catalogue(|writes| match current() {
        Some(record) => writes.put_catalogue(record.key(), record.value()),
        None => writes.delete_catalogue(of.key()),
    });
}
