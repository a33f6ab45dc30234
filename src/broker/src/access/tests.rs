#![allow(clippy::unwrap_used)]

use leveret_amqp::ReplyCode;

use super::*;

const NO_TAGS: &[&str] = &[];

fn permissions(configure: &str, write: &str, read: &str) -> Permissions {
    Permissions {
        user: "u".into(),
        vhost: "/".into(),
        configure: configure.into(),
        write: write.into(),
        read: read.into(),
    }
}

fn topic_permissions(exchange: &str, write: &str) -> TopicPermissions {
    TopicPermissions {
        user: "u".into(),
        vhost: "/".into(),
        exchange: exchange.into(),
        write: write.into(),
        read: ".*".into(),
    }
}

fn access_with_user() -> Access {
    let access = Access::new(&["guest"]);
    access.add_user("u", Some(b"secret"), NO_TAGS).unwrap();
    access
}

#[test]
fn passwords_let_in() {
    let access = access_with_user();
    assert_eq!(&*access.authenticate("u", b"secret", false).unwrap().name, "u");
    let refusal = access.authenticate("u", b"wrong", true).unwrap_err();
    assert_eq!(refusal.to_string(), "user 'u' - invalid credentials");
    assert_eq!(access.authenticate("nobody", b"nobody", true), Err(Refusal::Credentials("nobody".into())));
    assert_eq!(access.authenticate("u", b"", true), Err(Refusal::BlankPassword("u".into())));
    let error = refusal.to_error("PLAIN");
    assert_eq!(error.code, ReplyCode::AccessRefused);
    assert_eq!(
        error.text,
        "Login was refused using authentication mechanism PLAIN. For details see the broker logfile."
    );
}

#[test]
fn a_user_without_password_cannot_log_in() {
    let access = access_with_user();
    access.clear_password("u").unwrap();
    assert_eq!(access.authenticate("u", b"secret", true), Err(Refusal::Credentials("u".into())));
    assert_eq!(access.authenticate("u", b"nobody", true), Err(Refusal::Credentials("u".into())), "nor with nobody's");
    assert!(access.admit("u", false).is_ok(), "but a certificate may vouch for it");
    access.change_password("u", b"new").unwrap();
    assert!(access.authenticate("u", b"new", false).is_ok());
    assert_eq!(access.change_password("x", b"new"), Err(AccessError::NoSuchUser("x".into())));
    assert_eq!(access.change_password("u", b""), Err(AccessError::BlankPassword("u".into())));
}

#[test]
fn loopback_users_stay_at_home() {
    let access = Access::new(&["guest"]);
    access.add_user("guest", Some(b"guest"), &["administrator"]).unwrap();
    assert!(access.authenticate("guest", b"guest", true).is_ok());
    let refusal = access.authenticate("guest", b"guest", false).unwrap_err();
    assert_eq!(refusal.to_string(), "user 'guest' can only connect via localhost");
    assert_eq!(access.authenticate("guest", b"guess", false), Err(Refusal::Credentials("guest".into())));
    assert_eq!(access.admit("guest", false), Err(Refusal::LoopbackOnly("guest".into())));
}

#[test]
fn users_come_and_go() {
    let access = access_with_user();
    let again = access.add_user("u", None, NO_TAGS).unwrap_err();
    assert_eq!(again.to_string(), "user 'u' already exists");
    assert_eq!(access.set_tags("u", &["monitoring", " monitoring"]).unwrap().tags, ["monitoring"]);
    access.put_user(User::new("a", None, &["x"]).unwrap());
    let names: Vec<_> = access.users().iter().map(|user| user.name.to_string()).collect();
    assert_eq!(names, ["a", "u"]);
    let granted = access.set_permissions(permissions("", "", ".*")).unwrap();
    let topic = access.set_topic_permissions(topic_permissions("x", "a")).unwrap();
    let removed = access.delete_user("u").unwrap();
    assert_eq!(removed, Removed { permissions: vec![granted], topic_permissions: vec![topic] });
    assert!(access.user("u").is_none() && access.all_permissions().is_empty());
    assert_eq!(access.delete_user("u").unwrap_err().to_string(), "user 'u' does not exist");
}

#[test]
fn patterns_decide() {
    let access = access_with_user();
    access.set_permissions(permissions("", r"^u\.|^amq\.default$", "b")).unwrap();
    let check = |permission, resource| access.check("u", "/", permission, resource);
    assert!(check(Permission::Write, Resource::Exchange("u.x")).is_ok());
    assert!(check(Permission::Write, Resource::Exchange("")).is_ok(), "the default exchange is amq.default");
    assert!(check(Permission::Read, Resource::Queue("abc")).is_ok(), "patterns search");
    let error = check(Permission::Configure, Resource::Queue("q")).unwrap_err();
    assert_eq!(error.code, ReplyCode::AccessRefused);
    assert_eq!(error.text, "configure access to queue 'q' in vhost '/' refused for user 'u'");
    let error = check(Permission::Read, Resource::Exchange("")).unwrap_err();
    assert_eq!(error.text, "read access to exchange 'amq.default' in vhost '/' refused for user 'u'");
    assert!(check(Permission::Configure, Resource::Queue("")).is_ok(), "an empty pattern allows the empty name only");
    assert!(access.check("u", "other", Permission::Read, Resource::Queue("abc")).is_err());
    assert!(access.check("v", "/", Permission::Read, Resource::Queue("abc")).is_err());
}

#[test]
fn vhosts_need_a_permission() {
    let access = access_with_user();
    let error = access.check_vhost("u", "/").unwrap_err();
    assert_eq!(error.code, ReplyCode::NotAllowed);
    assert_eq!(error.text, "access to vhost '/' refused for user 'u'");
    access.set_permissions(permissions("", "", "")).unwrap();
    assert!(access.check_vhost("u", "/").is_ok(), "permissions that allow nothing still let in");
    assert!(access.clear_permissions("u", "/").is_some());
    assert!(access.clear_permissions("u", "/").is_none());
    assert!(access.check_vhost("u", "/").is_err());
}

#[test]
fn permissions_need_a_user_and_a_pattern() {
    let access = Access::new(NO_TAGS);
    assert_eq!(access.set_permissions(permissions("", "", "")), Err(AccessError::NoSuchUser("u".into())));
    assert_eq!(access.set_topic_permissions(topic_permissions("x", "")), Err(AccessError::NoSuchUser("u".into())));
    assert!(access.put_permissions(permissions("", "", "")).is_ok(), "from the catalogue they are taken");
    assert!(access.put_topic_permissions(topic_permissions("x", "")).is_ok());
    let error = access.set_permissions(permissions(".*", "(", ".*")).unwrap_err();
    assert_eq!(error.to_string(), "write should be regular expression but is invalid: unclosed group");
}

#[test]
fn topics_are_free_until_restricted() {
    let access = access_with_user();
    let check = |exchange, key: &str| access.check_topic("u", "/", Permission::Write, exchange, key.as_bytes());
    assert!(check("x", "any").is_ok());
    access.set_topic_permissions(topic_permissions("x", "^{username}\\.")).unwrap();
    assert!(check("x", "u.1").is_ok() && check("x", "v.1").is_err() && check("y", "v.1").is_ok());
    access.set_topic_permissions(topic_permissions("y", "^$")).unwrap();
    assert_eq!(access.all_topic_permissions().len(), 2);
    assert_eq!(access.clear_topic_permissions("u", "/", Some("x")).len(), 1);
    assert!(check("x", "v.1").is_ok() && check("y", "v.1").is_err());
    assert_eq!(access.clear_topic_permissions("u", "/", None).len(), 1);
    assert!(access.clear_topic_permissions("u", "/", None).is_empty());
}

#[test]
fn a_deleted_vhost_takes_permissions_along() {
    let access = access_with_user();
    access.set_permissions(permissions("", "", "")).unwrap();
    access.set_topic_permissions(topic_permissions("x", "")).unwrap();
    let removed = access.forget_vhost("/");
    assert_eq!((removed.permissions.len(), removed.topic_permissions.len()), (1, 1));
    assert_eq!(access.forget_vhost("/"), Removed::default());
}

#[test]
fn user_id_must_be_ones_own() {
    let access = access_with_user();
    assert!(access.check_user_id("u", b"u").is_ok());
    let error = access.check_user_id("u", b"x").unwrap_err();
    assert_eq!(error.code, ReplyCode::PreconditionFailed);
    assert_eq!(error.text, "user_id property set to 'x' but authenticated user was 'u'");
    access.set_tags("u", &["impersonator"]).unwrap();
    assert!(access.check_user_id("u", b"x").is_ok());
}

#[test]
fn a_cache_follows_changes() {
    let access = access_with_user();
    let mut cache = PermissionCache::new("u".into(), "/".into());
    let mut write = |exchange: &str| cache.check(&access, Permission::Write, Resource::Exchange(exchange));
    assert!(write("x").is_err());
    access.set_permissions(permissions("", ".*", "")).unwrap();
    for _ in 0..2 {
        for exchange in 0..20 {
            assert!(write(&exchange.to_string()).is_ok());
        }
    }
    let before = access.generation();
    access.set_permissions(permissions("", "^y$", "")).unwrap();
    assert!(access.generation() > before);
    assert!(write("19").is_err() && write("y").is_ok());
    assert!(cache.check(&access, Permission::Write, Resource::Queue("19")).is_err());
    assert!(cache.check_topic(&access, Permission::Write, "x", b"k").is_ok());
    access.set_topic_permissions(topic_permissions("x", "^j$")).unwrap();
    for _ in 0..2 {
        assert!(cache.check_topic(&access, Permission::Write, "x", b"k").is_err());
        assert!(cache.check_topic(&access, Permission::Write, "x", b"j").is_ok());
    }
}
