//! Policies come and go.

use std::sync::Arc;

use leveret_broker::policy::{ApplyTo, Policy, PolicyRole};
use serde_json::{Map, Value};

use crate::{
    arguments::{delayed_retry, overflow},
    plan::PolicyPlan,
    world::{VHOST, World},
};

impl World<'_> {
    /// A policy is set, in place of one of the same name.
    pub(crate) fn set_policy(&mut self, policy: usize) {
        let plan = &self.plan.policies[policy];
        self.turn(|world, turn| {
            let broker = Arc::clone(&world.real.broker);
            if let Err(error) = broker.set_policy(turn, PolicyRole::Ordinary, on_wire(plan)) {
                world.model.fail(format!("set of a policy: {error}"));
            }
            world.model.policies.insert(Arc::clone(&plan.name), plan.clone());
            world.govern();
            world.commits.after_commit(turn);
        });
    }

    /// A policy is removed.
    pub(crate) fn clear_policy(&mut self, policy: usize) {
        let name = &self.plan.policies[policy].name;
        self.turn(|world, turn| {
            let was_there = Arc::clone(&world.real.broker).clear_policy(turn, PolicyRole::Ordinary, VHOST, name);
            if world.model.policies.remove(name).is_some() != was_there {
                world.model.fail(format!("clear of a policy: found {was_there}"));
            }
            world.govern();
            world.commits.after_commit(turn);
        });
    }

    /// Brings the model's queues in line with its policies, in the order in which the broker does it.
    fn govern(&mut self) {
        self.observe();
        for queue in self.real.vhost.queues() {
            self.model.govern(queue.id);
        }
    }
}

fn on_wire(plan: &PolicyPlan) -> Policy {
    let settings = &plan.settings;
    let numbers = [
        ("message-ttl", settings.ttl_ms),
        ("expires", settings.expires_ms),
        ("max-length", settings.max_length),
        ("max-length-bytes", settings.max_length_bytes),
    ];
    let texts = [
        ("overflow", overflow(settings.overflow).or(Some("drop-head"))),
        ("dead-letter-exchange", settings.dead_letter_exchange.as_deref()),
        ("dead-letter-routing-key", settings.dead_letter_key.as_deref()),
    ];
    let numbers = numbers.into_iter().filter_map(|(key, number)| Some((key.to_owned(), Value::from(number?))));
    let texts = texts.into_iter().filter_map(|(key, text)| Some((key.to_owned(), Value::from(text?))));
    let retries = settings.delayed_retry.iter().flat_map(delayed_retry).map(|(key, value)| (key.to_owned(), value));
    Policy {
        name: Arc::clone(&plan.name),
        vhost: VHOST.into(),
        pattern: plan.queue.as_ref().map_or_else(|| "^q".to_owned(), |queue| format!("^{queue}$")),
        apply_to: ApplyTo::Queues,
        priority: plan.priority,
        definition: numbers.chain(texts).chain(retries).collect::<Map<_, _>>(),
    }
}
