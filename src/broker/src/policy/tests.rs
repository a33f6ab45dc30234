#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;

impl Policy {
    pub(super) fn sample() -> Self {
        Self {
            name: "p".into(),
            vhost: "/".into(),
            pattern: "^q".into(),
            apply_to: ApplyTo::All,
            priority: 0,
            definition: json!({"max-length": 1}).as_object().unwrap().clone(),
        }
    }

    fn named(name: &str, priority: i64, apply_to: ApplyTo) -> Self {
        Self { name: name.into(), priority, apply_to, ..Self::sample() }
    }
}

fn name_of(policy: Option<Arc<Policy>>) -> Option<String> {
    policy.map(|policy| policy.name.to_string())
}

#[test]
fn the_highest_priority_holds() {
    let policies = Policies::default();
    for policy in [
        Policy::named("low", -1, ApplyTo::All),
        Policy::named("high-b", 5, ApplyTo::Queues),
        Policy::named("high-a", 5, ApplyTo::Queues),
        Policy::named("top", 9, ApplyTo::QuorumQueues),
    ] {
        policies.set(PolicyRole::Ordinary, policy).unwrap();
    }
    let matching = |name, kind| name_of(policies.matching("/", name, kind));
    assert_eq!(matching("q1", ResourceKind::ClassicQueue).as_deref(), Some("high-a"));
    assert_eq!(matching("q1", Kind::Quorum.into()).as_deref(), Some("top"));
    assert_eq!(matching("q1", ResourceKind::Exchange).as_deref(), Some("low"));
    assert_eq!(matching("x1", ResourceKind::ClassicQueue), None);
    assert_eq!(name_of(policies.matching("other", "q1", ResourceKind::ClassicQueue)), None);
    assert_eq!(name_of(policies.matching_operator("/", "q1", ResourceKind::ClassicQueue)), None);
    policies.set(PolicyRole::Ordinary, Policy::named("top", -9, ApplyTo::QuorumQueues)).unwrap();
    assert_eq!(name_of(policies.matching("/", "q1", ResourceKind::QuorumQueue)).as_deref(), Some("high-a"));
    assert_eq!(policies.all(PolicyRole::Ordinary).len(), 4);
}

#[test]
fn a_policy_with_settings_of_other_kinds_does_not_match() {
    let policies = Policies::default();
    let definition = json!({"delivery-limit": 3}).as_object().unwrap().clone();
    let policy = Policy { definition, ..Policy::named("quorum", 1, ApplyTo::All) };
    policies.set(PolicyRole::Ordinary, policy).unwrap();
    policies.set(PolicyRole::Ordinary, Policy::named("any", 0, ApplyTo::All)).unwrap();
    let matching = |kind| name_of(policies.matching("/", "q", kind));
    assert_eq!(matching(ResourceKind::ClassicQueue).as_deref(), Some("any"));
    assert_eq!(matching(ResourceKind::QuorumQueue).as_deref(), Some("quorum"));
}

#[test]
fn policies_come_and_go() {
    let policies = Policies::default();
    let before = policies.generation();
    policies.set(PolicyRole::Ordinary, Policy::sample()).unwrap();
    policies.set(PolicyRole::Operator, Policy::sample()).unwrap();
    assert!(policies.generation() > before);
    assert!(policies.policy(PolicyRole::Operator, "/", "p").is_some());
    assert!(policies.remove(PolicyRole::Ordinary, "/", "p").is_some());
    assert!(policies.remove(PolicyRole::Ordinary, "/", "p").is_none());
    assert_eq!(policies.forget_vhost("/"), [(PolicyRole::Operator, Arc::new(Policy::sample()))]);
    assert!(policies.all(PolicyRole::Operator).is_empty());
}

#[test]
fn refusals() {
    let policies = Policies::default();
    let refusal = |policy| policies.set(PolicyRole::Ordinary, policy).unwrap_err().to_string();
    let pattern = Policy { pattern: "(".into(), ..Policy::sample() };
    assert_eq!(refusal(pattern), "pattern should be regular expression but is invalid: unclosed group");
    let definition = json!({"mine": 1}).as_object().unwrap().clone();
    let unknown = Policy { definition, ..Policy::sample() };
    assert_eq!(refusal(unknown.clone()), r#"[{<<"mine">>,1}] are not recognised policy settings"#);
    assert!(policies.put(PolicyRole::Ordinary, unknown.clone()).is_ok(), "from the catalogue it is taken");
    policies.register_setting("mine");
    assert!(policies.set(PolicyRole::Ordinary, unknown).is_ok());
}

#[test]
fn words_and_json() {
    for apply_to in ApplyTo::ALL {
        assert_eq!(ApplyTo::from_name(apply_to.name()), Ok(apply_to));
        assert_eq!(serde_json::to_value(apply_to).unwrap(), json!(apply_to.to_string()));
    }
    assert_eq!(
        ApplyTo::from_name("things").unwrap_err().to_string(),
        "apply-to 'things' unrecognised; should be one of: 'queues', 'classic_queues', 'quorum_queues', 'streams', \
         'exchanges', or 'all'"
    );
    let value = json!({"name": "p", "vhost": "/", "pattern": "^q", "definition": {"max-length": 1}});
    assert_eq!(serde_json::from_value::<Policy>(value).unwrap(), Policy::sample());
}
