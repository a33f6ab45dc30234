//! Password hashes, in RabbitMQ's form so that users move over with their passwords: base64 of a 4-byte salt followed by
//! the digest of salt and password.
//!
//! Not taken: a slow hash (Argon2) as the default. Clients of a broker reconnect by the thousand after a network fault,
//! and the definitions must go both ways. A password is as strong as it is random.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use md5::Md5;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256, Sha512};

const SALT_BYTES: usize = 4;

/// How a password was hashed. The names are those of RabbitMQ's definitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum HashingAlgorithm {
    /// SHA-256, for new passwords.
    #[default]
    #[serde(rename = "rabbit_password_hashing_sha256")]
    Sha256,
    /// SHA-512.
    #[serde(rename = "rabbit_password_hashing_sha512")]
    Sha512,
    /// MD5, of users that come from RabbitMQ 3.5 and older. Only ever verified.
    #[serde(rename = "rabbit_password_hashing_md5")]
    Md5,
}

impl HashingAlgorithm {
    /// The name in definitions, such as `rabbit_password_hashing_sha256`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "rabbit_password_hashing_sha256",
            Self::Sha512 => "rabbit_password_hashing_sha512",
            Self::Md5 => "rabbit_password_hashing_md5",
        }
    }

    /// The algorithm of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Sha256, Self::Sha512, Self::Md5].into_iter().find(|algorithm| algorithm.name() == name)
    }

    fn digest(self, salt: [u8; SALT_BYTES], password: &[u8]) -> Vec<u8> {
        fn of<D: Digest>(salt: [u8; SALT_BYTES], password: &[u8]) -> Vec<u8> {
            D::new().chain_update(salt).chain_update(password).finalize().to_vec()
        }
        match self {
            Self::Sha256 => of::<Sha256>(salt, password),
            Self::Sha512 => of::<Sha512>(salt, password),
            Self::Md5 => of::<Md5>(salt, password),
        }
    }

    const fn digest_bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
            Self::Md5 => 16,
        }
    }
}

/// A salted password hash. Its debug form hides the digest.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Encoded", into = "Encoded")]
pub struct PasswordHash {
    algorithm: HashingAlgorithm,
    salt: [u8; SALT_BYTES],
    digest: Box<[u8]>,
}

/// Why a password hash from outside is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordHashError {
    /// Not base64.
    #[error("the password hash is not base64")]
    Encoding,
    /// Not as long as four bytes of salt and a digest of the algorithm.
    #[error("the password hash does not have the length of a salted {0} hash")]
    Length(&'static str),
}

impl PasswordHash {
    /// Hashes a password with the default algorithm and a salt from the system's generator.
    #[must_use]
    pub fn new(password: &[u8]) -> Self {
        Self::salted(HashingAlgorithm::default(), rand::random(), password)
    }

    /// Hashes a password with a given salt.
    #[must_use]
    pub fn salted(algorithm: HashingAlgorithm, salt: [u8; 4], password: &[u8]) -> Self {
        Self { algorithm, salt, digest: algorithm.digest(salt, password).into() }
    }

    /// Reads a hash as definitions have it.
    ///
    /// # Errors
    /// Where it is not base64, or its length is not that of the algorithm.
    pub fn from_base64(algorithm: HashingAlgorithm, encoded: &str) -> Result<Self, PasswordHashError> {
        let bytes = STANDARD.decode(encoded).map_err(|_| PasswordHashError::Encoding)?;
        match bytes.split_first_chunk() {
            Some((salt, digest)) if digest.len() == algorithm.digest_bytes() => {
                Ok(Self { algorithm, salt: *salt, digest: digest.into() })
            }
            _ => Err(PasswordHashError::Length(algorithm.name())),
        }
    }

    /// The hash as definitions have it.
    #[must_use]
    pub fn to_base64(&self) -> String {
        STANDARD.encode([&self.salt, &*self.digest].concat())
    }

    /// How it was hashed.
    #[must_use]
    pub const fn algorithm(&self) -> HashingAlgorithm {
        self.algorithm
    }

    /// True when this is the hash of that password. Takes the same time wherever the difference is.
    #[must_use]
    pub fn verify(&self, password: &[u8]) -> bool {
        let digest = self.algorithm.digest(self.salt, password);
        let difference = digest.iter().zip(&self.digest).fold(0, |all, (one, other)| all | (one ^ other));
        std::hint::black_box(difference) == 0 && digest.len() == self.digest.len()
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "PasswordHash({:?})", self.algorithm)
    }
}

/// The serialized form, with the field names of definitions.
#[derive(Serialize, Deserialize)]
struct Encoded {
    password_hash: String,
    hashing_algorithm: HashingAlgorithm,
}

impl TryFrom<Encoded> for PasswordHash {
    type Error = PasswordHashError;

    fn try_from(encoded: Encoded) -> Result<Self, PasswordHashError> {
        Self::from_base64(encoded.hashing_algorithm, &encoded.password_hash)
    }
}

impl From<PasswordHash> for Encoded {
    fn from(hash: PasswordHash) -> Self {
        Self { password_hash: hash.to_base64(), hashing_algorithm: hash.algorithm }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RabbitMQ's password guide: "test12" with salt 90 8D C6 0A.
    const DOCUMENTED: &str = "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR";

    #[test]
    fn agrees_with_rabbitmq() {
        let salt = [0x90, 0x8d, 0xc6, 0x0a];
        let hash = PasswordHash::salted(HashingAlgorithm::Sha256, salt, b"test12");
        assert_eq!(hash.to_base64(), DOCUMENTED);
        assert_eq!(PasswordHash::from_base64(HashingAlgorithm::Sha256, DOCUMENTED).unwrap(), hash);
        assert!(hash.verify(b"test12"));
        assert!(!hash.verify(b"test13") && !hash.verify(b""));
    }

    #[test]
    fn verifies_every_algorithm() {
        for algorithm in [HashingAlgorithm::Sha256, HashingAlgorithm::Sha512, HashingAlgorithm::Md5] {
            let hash = PasswordHash::salted(algorithm, [1, 2, 3, 4], b"secret");
            let read = PasswordHash::from_base64(algorithm, &hash.to_base64()).unwrap();
            assert!(read.verify(b"secret") && !read.verify(b"Secret"), "{algorithm:?}");
            assert_eq!(HashingAlgorithm::from_name(algorithm.name()), Some(algorithm));
        }
        assert_eq!(HashingAlgorithm::from_name("plain"), None);
    }

    #[test]
    fn salts_differ_and_debug_is_silent() {
        let one = PasswordHash::new(b"a");
        assert!(one.verify(b"a"));
        assert_eq!(one.algorithm(), HashingAlgorithm::Sha256);
        assert!((0..8).any(|_| PasswordHash::new(b"a") != one));
        assert_eq!(format!("{one:?}"), "PasswordHash(Sha256)");
    }

    #[test]
    fn refuses_malformed_hashes() {
        assert_eq!(PasswordHash::from_base64(HashingAlgorithm::Sha256, "?"), Err(PasswordHashError::Encoding));
        let wrong = PasswordHash::from_base64(HashingAlgorithm::Sha512, DOCUMENTED).unwrap_err();
        assert_eq!(
            wrong.to_string(),
            "the password hash does not have the length of a salted rabbit_password_hashing_sha512 hash"
        );
    }
}
