//! The state behind [`Access`] and the operations of administration on it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{
    Access, AccessError, PasswordHash, Permissions, TopicPermissions, User,
    permissions::{Grants, TopicGrants},
    user::{hash_of, normalized},
};

/// By vhost, then by exchange.
type TopicMap = BTreeMap<Arc<str>, BTreeMap<Arc<str>, Arc<TopicGrants>>>;

/// Users, and permissions by user.
#[derive(Debug, Default)]
pub(super) struct State {
    users: BTreeMap<Arc<str>, Arc<User>>,
    permissions: HashMap<Arc<str>, BTreeMap<Arc<str>, Grants>>,
    topics: HashMap<Arc<str>, TopicMap>,
}

impl State {
    pub(super) fn grants(&self, user: &str, vhost: &str) -> Option<&Grants> {
        self.permissions.get(user)?.get(vhost)
    }

    pub(super) fn topic_grants(&self, user: &str, vhost: &str, exchange: &str) -> Option<Arc<TopicGrants>> {
        self.topics.get(user)?.get(vhost)?.get(exchange).cloned()
    }

    fn put_grants(&mut self, grants: Grants) -> Arc<Permissions> {
        let permissions = Arc::clone(&grants.permissions);
        let of_user = self.permissions.entry(Arc::clone(&permissions.user)).or_default();
        of_user.insert(Arc::clone(&permissions.vhost), grants);
        permissions
    }

    fn put_topic_grants(&mut self, grants: TopicGrants) -> Arc<TopicPermissions> {
        let permissions = Arc::clone(&grants.permissions);
        let of_user = self.topics.entry(Arc::clone(&permissions.user)).or_default();
        let of_vhost = of_user.entry(Arc::clone(&permissions.vhost)).or_default();
        of_vhost.insert(Arc::clone(&permissions.exchange), Arc::new(grants));
        permissions
    }

    fn update(&mut self, name: &str, change: impl FnOnce(&mut User)) -> Result<Arc<User>, AccessError> {
        let user = self.users.get_mut(name).ok_or_else(|| AccessError::NoSuchUser(name.into()))?;
        let mut changed = User::clone(user);
        change(&mut changed);
        changed.check()?;
        *user = Arc::new(changed);
        Ok(Arc::clone(user))
    }
}

/// Records that went with a user or a vhost, to be deleted from the catalogue as well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Permissions.
    pub permissions: Vec<Arc<Permissions>>,
    /// Topic permissions.
    pub topic_permissions: Vec<Arc<TopicPermissions>>,
}

/// Users.
impl Access {
    /// The user of that name.
    #[must_use]
    pub fn user(&self, name: &str) -> Option<Arc<User>> {
        self.state.read().users.get(name).cloned()
    }

    /// All users, by name.
    #[must_use]
    pub fn users(&self) -> Vec<Arc<User>> {
        self.state.read().users.values().cloned().collect()
    }

    /// Adds or replaces a user, as recovery and definitions do.
    pub fn put_user(&self, user: User) -> Arc<User> {
        let user = Arc::new(user);
        self.change(|state| state.users.insert(Arc::clone(&user.name), Arc::clone(&user)));
        user
    }

    /// Adds a user. Without a password, it cannot log in with one.
    ///
    /// # Errors
    /// Where the user exists, or name, password or tags cannot be.
    pub fn add_user<T: AsRef<str>>(
        &self,
        name: &str,
        password: Option<&[u8]>,
        tags: &[T],
    ) -> Result<Arc<User>, AccessError> {
        let user = Arc::new(User::new(name, password, tags)?);
        self.change(|state| {
            if state.users.contains_key(name) {
                return Err(AccessError::UserExists(name.into()));
            }
            state.users.insert(Arc::clone(&user.name), Arc::clone(&user));
            Ok(user)
        })
    }

    /// Deletes a user with all its permissions.
    ///
    /// # Errors
    /// Where there is none.
    pub fn delete_user(&self, name: &str) -> Result<Removed, AccessError> {
        self.change(|state| {
            state.users.remove(name).ok_or_else(|| AccessError::NoSuchUser(name.into()))?;
            let permissions = state.permissions.remove(name).unwrap_or_default();
            let topics = state.topics.remove(name).unwrap_or_default();
            Ok(Removed {
                permissions: permissions.into_values().map(|grants| grants.permissions).collect(),
                topic_permissions: topics.values().flat_map(records_of).collect(),
            })
        })
    }

    /// Sets a user's password.
    ///
    /// # Errors
    /// Where there is no such user, or the password is empty.
    pub fn change_password(&self, name: &str, password: &[u8]) -> Result<Arc<User>, AccessError> {
        let hash = hash_of(name, password)?;
        self.set_password_hash(name, Some(hash))
    }

    /// Takes a user's password away: it can no longer log in with one.
    ///
    /// # Errors
    /// Where there is no such user.
    pub fn clear_password(&self, name: &str) -> Result<Arc<User>, AccessError> {
        self.set_password_hash(name, None)
    }

    /// Sets a hash made elsewhere.
    ///
    /// # Errors
    /// Where there is no such user.
    pub fn set_password_hash(&self, name: &str, hash: Option<PasswordHash>) -> Result<Arc<User>, AccessError> {
        self.change(|state| state.update(name, |user| user.password = hash))
    }

    /// Replaces a user's tags.
    ///
    /// # Errors
    /// Where there is no such user, or there are too many tags.
    pub fn set_tags<T: AsRef<str>>(&self, name: &str, tags: &[T]) -> Result<Arc<User>, AccessError> {
        self.change(|state| state.update(name, |user| user.tags = normalized(tags)))
    }
}

/// Permissions.
impl Access {
    /// A user's permissions in a vhost.
    #[must_use]
    pub fn permissions(&self, user: &str, vhost: &str) -> Option<Arc<Permissions>> {
        self.state.read().grants(user, vhost).map(|grants| Arc::clone(&grants.permissions))
    }

    /// All permissions, by user and vhost.
    #[must_use]
    pub fn all_permissions(&self) -> Vec<Arc<Permissions>> {
        let state = self.state.read();
        let grants = state.permissions.values().flat_map(BTreeMap::values);
        let mut all: Vec<_> = grants.map(|grants| Arc::clone(&grants.permissions)).collect();
        all.sort_by(|one, other| (&one.user, &one.vhost).cmp(&(&other.user, &other.vhost)));
        all
    }

    /// Sets a user's permissions in a vhost. That the vhost exists is for the caller to see to.
    ///
    /// # Errors
    /// Where there is no such user, or a pattern does not compile.
    pub fn set_permissions(&self, permissions: Permissions) -> Result<Arc<Permissions>, AccessError> {
        let grants = Grants::new(permissions)?;
        self.change(|state| {
            check_exists(state, &grants.permissions.user)?;
            Ok(state.put_grants(grants))
        })
    }

    /// Sets permissions from the catalogue. A user who is not there yet, or no longer, is no reason not to start.
    ///
    /// # Errors
    /// Where a pattern does not compile.
    pub fn put_permissions(&self, permissions: Permissions) -> Result<Arc<Permissions>, AccessError> {
        let grants = Grants::new(permissions)?;
        Ok(self.change(|state| state.put_grants(grants)))
    }

    /// Takes a user's permissions in a vhost away and gives them back; `None` where there were none.
    pub fn clear_permissions(&self, user: &str, vhost: &str) -> Option<Arc<Permissions>> {
        let grants = self.change(|state| state.permissions.get_mut(user)?.remove(vhost))?;
        Some(grants.permissions)
    }

    /// A user's permissions on a topic exchange.
    #[must_use]
    pub fn topic_permissions(&self, user: &str, vhost: &str, exchange: &str) -> Option<Arc<TopicPermissions>> {
        let grants = self.state.read().topic_grants(user, vhost, exchange)?;
        Some(Arc::clone(&grants.permissions))
    }

    /// All topic permissions, by user, vhost and exchange.
    #[must_use]
    pub fn all_topic_permissions(&self) -> Vec<Arc<TopicPermissions>> {
        let state = self.state.read();
        let mut all: Vec<_> = state.topics.values().flat_map(BTreeMap::values).flat_map(records_of).collect();
        all.sort_by(|one, other| {
            (&one.user, &one.vhost, &one.exchange).cmp(&(&other.user, &other.vhost, &other.exchange))
        });
        all
    }

    /// Sets a user's permissions on a topic exchange.
    ///
    /// # Errors
    /// Where there is no such user, or a pattern does not compile.
    pub fn set_topic_permissions(&self, permissions: TopicPermissions) -> Result<Arc<TopicPermissions>, AccessError> {
        let grants = TopicGrants::new(permissions)?;
        self.change(|state| {
            check_exists(state, &grants.permissions.user)?;
            Ok(state.put_topic_grants(grants))
        })
    }

    /// Sets topic permissions from the catalogue, like [`Self::put_permissions`].
    ///
    /// # Errors
    /// Where a pattern does not compile.
    pub fn put_topic_permissions(&self, permissions: TopicPermissions) -> Result<Arc<TopicPermissions>, AccessError> {
        let grants = TopicGrants::new(permissions)?;
        Ok(self.change(|state| state.put_topic_grants(grants)))
    }

    /// Takes a user's topic permissions in a vhost away, of one exchange or of all, and gives them back.
    pub fn clear_topic_permissions(
        &self,
        user: &str,
        vhost: &str,
        exchange: Option<&str>,
    ) -> Vec<Arc<TopicPermissions>> {
        let taken = self.change(|state| {
            let of_user = state.topics.get_mut(user)?;
            match exchange {
                None => of_user.remove(vhost),
                Some(exchange) => of_user.get_mut(vhost)?.remove_entry(exchange).map(|entry| BTreeMap::from([entry])),
            }
        });
        taken.iter().flat_map(records_of).collect()
    }

    /// Takes away everybody's permissions in a vhost that is deleted.
    pub fn forget_vhost(&self, vhost: &str) -> Removed {
        self.change(|state| {
            let permissions = state.permissions.values_mut().filter_map(|of_user| of_user.remove(vhost));
            let topics = state.topics.values_mut().filter_map(|of_user| of_user.remove(vhost));
            Removed {
                permissions: permissions.map(|grants| grants.permissions).collect(),
                topic_permissions: topics.flat_map(|of_vhost| records_of(&of_vhost)).collect(),
            }
        })
    }
}

fn records_of(of_vhost: &BTreeMap<Arc<str>, Arc<TopicGrants>>) -> Vec<Arc<TopicPermissions>> {
    of_vhost.values().map(|grants| Arc::clone(&grants.permissions)).collect()
}

fn check_exists(state: &State, user: &str) -> Result<(), AccessError> {
    if state.users.contains_key(user) { Ok(()) } else { Err(AccessError::NoSuchUser(user.into())) }
}
