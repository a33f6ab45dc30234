#![allow(clippy::unwrap_used)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use leveret_amqp::ReplyCode;
use parking_lot::{Condvar, Mutex};

use super::*;
use crate::{
    access::{Access, Permission, Permissions, Refusal, Resource, User},
    plugin::{RegisterError, Registry},
};

const NO_TAGS: &[&str] = &[];

/// Knows anna, berta and guest with the password `secret`, fails for `broken`, panics for `panic`, and waits for the gate for `slow`. What is
/// called `private` nobody may touch.
#[derive(Clone, Default)]
struct Sample(Arc<Asked>);

#[derive(Default)]
struct Asked {
    questions: AtomicUsize,
    at_a_time: AtomicUsize,
    at_a_time_max: AtomicUsize,
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Sample {
    fn ask(&self, what: &str) -> Result<(), BackendError> {
        let Asked { questions, at_a_time, at_a_time_max, is_open, opened } = &*self.0;
        questions.fetch_add(1, Ordering::SeqCst);
        at_a_time_max.fetch_max(at_a_time.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        if what == "slow" {
            opened.wait_while(&mut is_open.lock(), |is_open| !*is_open);
        }
        at_a_time.fetch_sub(1, Ordering::SeqCst);
        match what {
            "broken" => Err(BackendError("out of order".to_owned())),
            "panic" => panic!("the test wants it so"),
            _ => Ok(()),
        }
    }

    fn open(&self) {
        *self.0.is_open.lock() = true;
        self.0.opened.notify_all();
    }

    fn questions(&self) -> usize {
        self.0.questions.load(Ordering::SeqCst)
    }
}

impl Authenticator for Sample {
    fn name(&self) -> &str {
        "sample"
    }

    fn authenticate(&self, username: &str, password: &[u8]) -> Result<Login, BackendError> {
        self.ask(username)?;
        Ok(match (username, password) {
            ("anna" | "berta" | "slow" | "guest", b"secret") => Login::Accepted { tags: vec!["monitoring".to_owned()] },
            ("tagged", _) => Login::Accepted { tags: (0..100).map(|n| n.to_string()).collect() },
            _ => Login::Refused("never heard of".to_owned()),
        })
    }
}

impl Authorizer for Sample {
    fn name(&self) -> &str {
        "sample"
    }

    fn admit(&self, username: &str) -> Result<Login, BackendError> {
        self.ask(username)?;
        Ok(match username {
            "anna" => Login::Accepted { tags: vec!["impersonator".to_owned()] },
            _ => Login::Refused("never heard of".to_owned()),
        })
    }

    fn vhost(&self, _user: &User, vhost: &str, _peer: Option<std::net::IpAddr>) -> Result<bool, BackendError> {
        self.ask(vhost)?;
        Ok(vhost != "private")
    }

    fn resource(
        &self,
        _user: &User,
        _vhost: &str,
        _permission: Permission,
        resource: Resource<'_>,
    ) -> Result<bool, BackendError> {
        self.ask(resource.name())?;
        Ok(resource.name() != "private")
    }

    fn topic(
        &self,
        _user: &User,
        _vhost: &str,
        _permission: Permission,
        _exchange: &str,
        routing_key: &[u8],
    ) -> Result<bool, BackendError> {
        self.ask("topic")?;
        Ok(routing_key != b"private")
    }
}

/// The internal users anna (password `internal`, tag `management`), who may do everything in vhost `/`, and guest.
fn access() -> Access {
    let access = Access::new(&["guest"]);
    access.add_user("anna", Some(b"internal"), &["management"]).unwrap();
    access.add_user("guest", Some(b"internal"), NO_TAGS).unwrap();
    let all = || ".*".into();
    let permissions =
        Permissions { user: "anna".into(), vhost: "/".into(), configure: all(), write: all(), read: all() };
    access.set_permissions(permissions).unwrap();
    access
}

fn one(name: &str) -> BackendChoice {
    BackendChoice::One(name.to_owned())
}

fn pair(authn: &str, authz: &str) -> BackendChoice {
    BackendChoice::Pair(BackendPair { authn: authn.to_owned(), authz: authz.to_owned() })
}

fn registry(sample: &Sample, order: &[BackendChoice], terms: Terms) -> Result<Registry, ChoiceError> {
    let mut registry = Registry::default();
    registry.authenticator(sample.clone()).unwrap();
    registry.authorizer(sample.clone()).unwrap();
    registry.choose_backends(order, terms)?;
    Ok(registry)
}

async fn log_in(order: &[BackendChoice], name: &str, password: &str) -> Result<Identity, Refusal> {
    let registry = registry(&Sample::default(), order, Terms::default()).unwrap();
    registry.backends().log_in(&access(), name, password.as_bytes(), true).await
}

/// Why somebody is refused, in all its words.
async fn refusal(order: &[BackendChoice], name: &str, password: &str) -> String {
    log_in(order, name, password).await.unwrap_err().to_string()
}

fn is_external(identity: &Identity) -> bool {
    matches!(identity.authority(), Authority::External(_))
}

#[tokio::test]
async fn the_internal_backend_is_asked_alone_unless_others_are_chosen() {
    let mut registry = Registry::default();
    let sample = Sample::default();
    registry.authenticator(sample.clone()).unwrap();
    let log_in = async |password: &str| registry.backends().log_in(&access(), "anna", password.as_bytes(), true).await;
    let anna = log_in("internal").await.unwrap();
    assert!(!is_external(&anna) && anna.needs_internal_user());
    assert_eq!(log_in("secret").await.unwrap_err(), Refusal::Credentials("anna".into()));
    assert_eq!(sample.questions(), 0);
}

#[tokio::test]
async fn the_first_backend_that_lets_a_user_in_decides_on_its_permissions() {
    for order in [[one("internal"), one("sample")], [one("sample"), one("internal")]] {
        let outside = log_in(&order, "anna", "secret").await.unwrap();
        assert!(is_external(&outside) && !outside.needs_internal_user());
        assert_eq!(outside.user().tags, ["monitoring"]);
        let inside = log_in(&order, "anna", "internal").await.unwrap();
        assert!(!is_external(&inside));
        assert_eq!(inside.user().tags, ["management"]);
    }
}

#[tokio::test]
async fn who_is_refused_by_all_learns_what_the_last_one_said() {
    let (internal, sample) = (one("internal"), one("sample"));
    assert_eq!(
        refusal(&[internal.clone(), sample.clone()], "anna", "x").await,
        "user 'anna' - refused by backend sample: never heard of"
    );
    assert_eq!(refusal(&[sample, internal], "anna", "x").await, "user 'anna' - invalid credentials");
}

#[tokio::test]
async fn a_backend_that_fails_lets_nobody_in_and_hands_on_to_the_next() {
    let sample = [one("sample")];
    let failed = "backend sample failed authenticating user";
    assert_eq!(refusal(&sample, "broken", "secret").await, format!("{failed} 'broken': out of order"));
    assert_eq!(refusal(&sample, "panic", "secret").await, format!("{failed} 'panic': it has panicked"));
    assert_eq!(
        refusal(&sample, "tagged", "secret").await,
        format!("{failed} 'tagged': a user cannot have more than 32 tags")
    );
    let access = access();
    access.add_user("broken", Some(b"internal"), NO_TAGS).unwrap();
    let both = registry(&Sample::default(), &[one("sample"), one("internal")], Terms::default()).unwrap();
    assert!(both.backends().log_in(&access, "broken", b"internal", true).await.is_ok());
}

#[tokio::test]
async fn a_pair_authenticates_with_the_one_and_authorizes_with_the_other() {
    let to_internal = [pair("sample", "internal")];
    let anna = log_in(&to_internal, "anna", "secret").await.unwrap();
    assert!(!is_external(&anna) && anna.needs_internal_user());
    assert_eq!(anna.user().tags, ["monitoring", "management"]);
    assert_eq!(refusal(&to_internal, "anna", "x").await, "user 'anna' - refused by backend sample: never heard of");
    let unknown_inside = refusal(&to_internal, "berta", "secret").await;
    assert_eq!(unknown_inside, "user 'berta' - invalid credentials");

    let to_sample = [pair("internal", "sample")];
    let anna = log_in(&to_sample, "anna", "internal").await.unwrap();
    assert!(is_external(&anna) && anna.needs_internal_user());
    assert_eq!(anna.user().tags, ["management", "impersonator"]);
    assert_eq!(refusal(&to_sample, "anna", "secret").await, "user 'anna' - invalid credentials");
    assert!(refusal(&to_sample, "guest", "internal").await.ends_with("never heard of"));
}

#[tokio::test]
async fn a_user_who_is_bound_to_this_machine_is_so_in_each_backend() {
    for order in [[one("internal"), one("sample")], [one("sample"), one("internal")]] {
        let registry = registry(&Sample::default(), &order, Terms::default()).unwrap();
        for password in [b"secret".as_slice(), b"internal"] {
            let from_elsewhere = registry.backends().log_in(&access(), "guest", password, false).await;
            assert_eq!(from_elsewhere.unwrap_err(), Refusal::LoopbackOnly("guest".into()));
            assert!(registry.backends().log_in(&access(), "guest", password, true).await.is_ok());
        }
    }
}

#[tokio::test]
async fn a_name_that_no_user_can_have_is_not_asked_about() {
    let sample = Sample::default();
    let registry = registry(&sample, &[one("sample")], Terms::default()).unwrap();
    for name in [String::new(), "x".repeat(256)] {
        let refused = registry.backends().log_in(&access(), &name, b"secret", true).await;
        assert_eq!(refused.unwrap_err(), Refusal::Credentials(name));
    }
    assert_eq!(sample.questions(), 0);
}

#[tokio::test]
async fn who_claims_to_be_somebody_else_must_be_an_impersonator() {
    let access = access();
    let refused =
        |identity: &Identity, claimed: &[u8]| identity.check_user_id(&access, claimed).map_err(|error| error.code);
    let anna = log_in(&[one("sample")], "anna", "secret").await.unwrap();
    assert_eq!(refused(&anna, b"anna"), Ok(()));
    assert_eq!(refused(&anna, b"otto"), Err(ReplyCode::PreconditionFailed));
    let anna = log_in(&[pair("internal", "sample")], "anna", "internal").await.unwrap();
    assert_eq!(refused(&anna, b"otto"), Ok(()));
}

#[tokio::test]
async fn an_authorizer_decides_and_one_that_fails_refuses() {
    let (access, anna) = (access(), log_in(&[one("sample")], "anna", "secret").await.unwrap());
    let text = |result: Result<(), crate::Error>| result.map_err(|error| (error.code, error.text));
    let write = async |name| text(anna.check(&access, "/", Permission::Write, Resource::Queue(name)).await);
    assert_eq!(write("q").await, Ok(()));
    let refused = "write access to queue 'private' in vhost '/' refused for user 'anna'";
    assert_eq!(write("private").await, Err((ReplyCode::AccessRefused, refused.to_owned())));
    for name in ["broken", "panic"] {
        let refused = format!(
            "write access to queue '{name}' in vhost '/' refused for user 'anna', backend sample returned an error"
        );
        assert_eq!(write(name).await, Err((ReplyCode::AccessRefused, refused)));
    }
    assert_eq!(text(anna.check_vhost(&access, "nowhere", None).await), Ok(()));
    let refused = "access to vhost 'private' refused for user 'anna'";
    let private = anna.check_vhost(&access, "private", None).await;
    assert_eq!(text(private), Err((ReplyCode::NotAllowed, refused.to_owned())));
    let topic = async |key: &[u8]| anna.check_topic(&access, "/", Permission::Read, "x", key).await.is_ok();
    assert!(topic(b"a").await && !topic(b"private").await);
}

#[tokio::test]
async fn what_was_allowed_is_not_asked_again_and_what_was_refused_is() {
    for (cache_ttl, questions) in [(Duration::from_secs(3600), 1), (Duration::ZERO, 3)] {
        let (access, sample) = (access(), Sample::default());
        let registry = registry(&sample, &[one("sample")], Terms { cache_ttl, ..Terms::default() }).unwrap();
        let log_in = async || registry.backends().log_in(&access, "anna", b"secret", true).await.unwrap();
        let (anna, again) = (log_in().await, log_in().await);
        let before = sample.questions();
        assert_eq!(before, 2, "a login is asked for each time");
        for who in [&anna, &anna, &again] {
            who.check(&access, "/", Permission::Read, Resource::Queue("q")).await.unwrap();
        }
        assert_eq!(sample.questions() - before, questions);
        for _ in 0..3 {
            anna.check(&access, "/", Permission::Read, Resource::Queue("private")).await.unwrap_err();
        }
        assert_eq!(sample.questions() - before, questions + 3);
    }
}

#[tokio::test]
async fn a_backend_that_does_not_answer_is_not_waited_for_for_ever() {
    let sample = Sample::default();
    let terms = Terms { patience: Duration::from_millis(20), ..Terms::default() };
    let registry = registry(&sample, &[one("sample")], terms).unwrap();
    let refused = registry.backends().log_in(&access(), "slow", b"secret", true).await.unwrap_err();
    assert_eq!(refused.to_string(), "backend sample failed authenticating user 'slow': no answer within 20 ms");
    let anna = registry.backends().log_in(&access(), "anna", b"secret", true).await.unwrap();
    let refused = anna.check_vhost(&access(), "slow", None).await.unwrap_err();
    assert_eq!(refused.text, "access to vhost 'slow' refused for user 'anna', backend sample returned an error");
    sample.open();
}

#[tokio::test]
async fn a_backend_answers_no_more_than_some_at_a_time() {
    let sample = Sample::default();
    let registry = Arc::new(registry(&sample, &[one("sample")], Terms::default()).unwrap());
    let access = Arc::new(access());
    let logins: Vec<_> = (0..2 * called::CALLS_MAX)
        .map(|_| {
            let (registry, access) = (Arc::clone(&registry), Arc::clone(&access));
            tokio::spawn(async move { registry.backends().log_in(&access, "slow", b"secret", true).await.is_ok() })
        })
        .collect();
    while sample.questions() < called::CALLS_MAX {
        tokio::task::yield_now().await;
    }
    sample.open();
    for login in logins {
        assert!(login.await.unwrap(), "all get their turn");
    }
    assert_eq!(sample.0.at_a_time_max.load(Ordering::SeqCst), called::CALLS_MAX);
    assert_eq!(sample.questions(), 2 * called::CALLS_MAX);
}

#[test]
fn backends_must_be_there_and_be_named_once() {
    let refused = |order: &[BackendChoice]| {
        registry(&Sample::default(), order, Terms::default()).err().map(|error| error.to_string())
    };
    assert_eq!(refused(&[]).unwrap(), "names no backend");
    assert_eq!(
        refused(&[one("internal"), one("ldap")]).unwrap(),
        "there is no backend 'ldap' that can authenticate; there are: internal, sample"
    );
    assert_eq!(
        refused(&[pair("sample", "ldap")]).unwrap(),
        "there is no backend 'ldap' that can authorize; there are: internal, sample"
    );
    assert_eq!(refused(&[one("sample"), one("internal"), one("sample")]).unwrap(), "names 'sample' twice");
    let twice = pair("sample", "internal");
    assert_eq!(refused(&[twice.clone(), twice.clone()]).unwrap(), "names authn 'sample' with authz 'internal' twice");
    assert_eq!(refused(&[twice, one("sample"), one("internal")]), None);
}

#[test]
fn backends_have_names_of_their_own() {
    struct Named(&'static str);

    impl Authenticator for Named {
        fn name(&self) -> &str {
            self.0
        }

        fn authenticate(&self, _username: &str, _password: &[u8]) -> Result<Login, BackendError> {
            Ok(Login::Refused(String::new()))
        }
    }

    let mut registry = Registry::default();
    registry.authenticator(Named("b")).unwrap();
    registry.authenticator(Named("a")).unwrap();
    registry.authorizer(Sample::default()).unwrap();
    assert_eq!(registry.authenticators().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(registry.authorizers().collect::<Vec<_>>(), ["sample"]);
    let message = |refused: Result<(), RegisterError>| refused.unwrap_err().to_string();
    assert_eq!(message(registry.authenticator(Named("a"))), "the authenticator 'a' is registered twice");
    assert_eq!(message(registry.authenticator(Named(INTERNAL))), "the authenticator 'internal' is registered twice");
    assert_eq!(message(registry.authorizer(Sample::default())), "the authorizer 'sample' is registered twice");
}
