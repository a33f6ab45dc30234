//! Policies as they reach a vhost's queues and exchanges: live, whenever one changes.

use std::sync::atomic::Ordering;

use leveret_amqp::FieldTable;

use super::VHost;
use crate::{
    Turn,
    policy::{self, ResourceKind},
    queue::{Kind, Settings},
};

impl VHost {
    /// Brings every queue and exchange in line with the policies as they are now.
    pub fn apply_policies(&self, turn: &mut Turn<'_>) {
        for queue in self.queues() {
            let settings = self.effective_settings(turn, &queue.name, queue.kind, &queue.arguments);
            if settings != queue.settings() {
                queue.configure(turn, settings);
            }
        }
        for exchange in self.exchanges() {
            self.apply_policies_to_exchange(turn, &exchange.name);
        }
    }

    pub(super) fn apply_policies_to_exchange(&self, turn: &Turn<'_>, name: &str) {
        let policy = turn.broker.policies().matching(&self.name, name, ResourceKind::Exchange);
        let alternate = policy.as_ref().and_then(|policy| policy.definition.get("alternate-exchange")?.as_str());
        let mut topology = self.topology.write();
        topology.set_policy_alternate(name, alternate);
        self.generation.store(topology.generation(), Ordering::Release);
    }

    pub(crate) fn effective_settings(
        &self,
        turn: &Turn<'_>,
        name: &str,
        kind: Kind,
        arguments: &FieldTable,
    ) -> Settings {
        let policies = turn.broker.policies();
        let ordinary = policies.matching(&self.name, name, kind.into());
        let operator = policies.matching_operator(&self.name, name, kind.into());
        policy::effective_settings(arguments, ordinary.as_deref(), operator.as_deref())
    }
}
