//! Users and their tags.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{AccessError, PasswordHash};

/// Tags that a user may have. RabbitMQ's limit.
pub const USER_TAGS_MAX: usize = 32;

/// Longest user name, in bytes: what a short string of the protocol can carry (`user-id`).
pub const USER_NAME_BYTES_MAX: usize = 255;

/// A tag with a meaning to the broker. Users may have others, which are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// May use the management interface for its own vhosts.
    Management,
    /// Management, and policies and parameters of its vhosts.
    Policymaker,
    /// Management, and sees everything.
    Monitoring,
    /// May do everything in the management interface.
    Administrator,
    /// May publish with another user's name in `user-id`.
    Impersonator,
}

impl Role {
    /// The tag.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Management => "management",
            Self::Policymaker => "policymaker",
            Self::Monitoring => "monitoring",
            Self::Administrator => "administrator",
            Self::Impersonator => "impersonator",
        }
    }

    /// The tags that include this role.
    const fn held_by(self) -> &'static [&'static str] {
        match self {
            Self::Management => &["management", "policymaker", "monitoring", "administrator"],
            Self::Policymaker => &["policymaker", "administrator"],
            Self::Monitoring => &["monitoring", "administrator"],
            Self::Administrator => &["administrator"],
            Self::Impersonator => &["impersonator"],
        }
    }
}

/// A user. Plain data: what the catalogue keeps and definitions carry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Unique, not empty.
    pub name: Arc<str>,
    /// Absent: cannot log in with a password.
    pub password: Option<PasswordHash>,
    /// In the order given, each once.
    pub tags: Vec<String>,
}

impl User {
    /// A user with a password, or none. Hashing takes a random salt, so a replica is sent the result.
    ///
    /// # Errors
    /// Where the name is empty or too long, the password empty, or there are too many tags.
    pub fn new<T: AsRef<str>>(name: &str, password: Option<&[u8]>, tags: &[T]) -> Result<Self, AccessError> {
        let user = Self {
            name: name.into(),
            password: password.map(|password| hash_of(name, password)).transpose()?,
            tags: normalized(tags),
        };
        user.check()?;
        Ok(user)
    }

    /// True when one of the user's tags includes the role: an administrator is also a policymaker.
    #[must_use]
    pub fn has_role(&self, role: Role) -> bool {
        self.tags.iter().any(|tag| role.held_by().contains(&tag.as_str()))
    }

    /// Checks what definitions or a request bring.
    ///
    /// # Errors
    /// Where the name is empty or too long, or there are too many tags.
    pub fn check(&self) -> Result<(), AccessError> {
        if self.name.is_empty() || self.name.len() > USER_NAME_BYTES_MAX {
            return Err(AccessError::UserName);
        }
        if self.tags.len() > USER_TAGS_MAX {
            return Err(AccessError::TooManyTags);
        }
        Ok(())
    }
}

/// Tags from `"administrator, monitoring"`, as older definitions and the management interface write them.
#[must_use]
pub fn parse_tags(list: &str) -> Vec<String> {
    normalized(&list.split(',').collect::<Vec<_>>())
}

pub(super) fn normalized<T: AsRef<str>>(tags: &[T]) -> Vec<String> {
    let mut unique: Vec<String> = Vec::new();
    for tag in tags.iter().map(|tag| tag.as_ref().trim()).filter(|tag| !tag.is_empty()) {
        if !unique.iter().any(|present| present == tag) {
            unique.push(tag.to_owned());
        }
    }
    unique
}

pub(super) fn hash_of(name: &str, password: &[u8]) -> Result<PasswordHash, AccessError> {
    if password.is_empty() { Err(AccessError::BlankPassword(name.into())) } else { Ok(PasswordHash::new(password)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_include_each_other() {
        let user = |tags: &str| User::new("u", None, &parse_tags(tags)).unwrap();
        assert!(user("administrator").has_role(Role::Policymaker));
        assert!(user("monitoring").has_role(Role::Management));
        assert!(!user("monitoring").has_role(Role::Policymaker));
        assert!(!user("policymaker").has_role(Role::Monitoring));
        assert!(!user("administrator").has_role(Role::Impersonator), "only its own tag gives it, as in RabbitMQ");
        assert!(user("impersonator").has_role(Role::Impersonator));
    }

    #[test]
    fn tags_are_trimmed_and_unique() {
        assert_eq!(parse_tags(" administrator,, mine ,administrator"), ["administrator", "mine"]);
        assert!(parse_tags("").is_empty());
    }

    #[test]
    fn refuses_bad_users() {
        let none: &[&str] = &[];
        assert_eq!(User::new("", None, none), Err(AccessError::UserName));
        assert_eq!(User::new(&"u".repeat(256), None, none), Err(AccessError::UserName));
        assert_eq!(User::new("u", Some(b""), none), Err(AccessError::BlankPassword("u".into())));
        let tags: Vec<_> = (0..33).map(|tag| tag.to_string()).collect();
        assert_eq!(User::new("u", None, &tags), Err(AccessError::TooManyTags));
    }
}
