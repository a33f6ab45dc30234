//! Definitions: made, changed and deleted, by clients and by `leveret ctl`.

use lapin::ExchangeKind;
use lapin::options::{ExchangeDeclareOptions, QueueDeleteOptions, QueuePurgeOptions};
use leveret_tests::{Broker, Client, within};
use serde_json::Value;

use super::{Findings, Scene};

/// One round of definitions, all answered.
#[derive(Clone)]
struct Defined {
    exchange: String,
    /// Bound to the exchange, and purged.
    queue: String,
    deleted_queue: String,
    /// The name of a user, a policy and a vhost.
    name: String,
}

#[derive(Clone)]
pub(in crate::contract) struct Definitions {
    answered: Vec<Defined>,
    /// Queues of the rounds to come, to be deleted there.
    doomed: Vec<String>,
}

impl Scene for Definitions {
    async fn prepare(broker: &Broker) -> Self {
        let client = broker.client().await;
        let mut doomed = Vec::new();
        for _ in 0..super::PROMISES {
            let queue = client.queue([]).await;
            client.publish_numbers(&queue, 0..3).await;
            doomed.push(queue);
        }
        Self { answered: Vec::new(), doomed }
    }

    async fn promise(&mut self, broker: &Broker) {
        let client = broker.client().await;
        let exchange = client.exchange(ExchangeKind::Direct, []).await;
        let queue = client.queue([]).await;
        client.publish_numbers(&queue, 0..3).await;
        client.bind(&queue, &exchange, "key", []).await;
        let purged = client.channel.queue_purge(queue.as_str().into(), QueuePurgeOptions::default());
        within("queue.purge-ok", purged).await.unwrap();
        let name = Client::name("defined");
        broker.ctl(&["add_vhost", &name]);
        broker.ctl(&["add_user", &name, "secret"]);
        broker.ctl(&["set_permissions", "-p", &name, &name, "^mine", ".*", ".*"]);
        broker.ctl(&["set_policy", &name, "^none$", r#"{"max-length": 1}"#]);
        let deleted_queue = self.doomed.pop().unwrap();
        let deleted = client.channel.queue_delete(deleted_queue.as_str().into(), QueueDeleteOptions::default());
        within("queue.delete-ok", deleted).await.unwrap();
        self.answered.push(Defined { exchange, queue, deleted_queue, name });
    }

    async fn look(&self, broker: &Broker) -> Findings {
        let (client, mut findings) = (broker.client().await, Findings::default());
        let users = broker.ctl(&["list_users", "--format", "json"]);
        let policies = broker.ctl(&["list_policies", "--format", "json"]);
        for Defined { exchange, queue, deleted_queue, name } in &self.answered {
            findings.broken_unless(!client.has_queue(deleted_queue).await, || format!("{deleted_queue} is back"));
            findings.broken_unless(has(&users, "user", name), || format!("user {name} is lost"));
            findings.broken_unless(has(&policies, "name", name), || format!("policy {name} is lost"));
            findings.broken_unless(has_permission(broker, name), || format!("the permission of {name} is lost"));
            let is_empty = client.has_queue(queue).await && client.ready(queue).await == 0;
            findings.broken_unless(is_empty, || format!("{queue} is lost or was not purged"));
            let is_bound = is_empty && has_exchange(&client, exchange).await && {
                client.publish(exchange, "key", Client::persistent(), &[b"1"]).await;
                client.ready(queue).await == 1
            };
            findings.broken_unless(is_bound, || format!("{exchange} or its binding is lost"));
        }
        findings
    }
}

fn has(listing: &str, field: &str, name: &str) -> bool {
    let rows: Vec<Value> = serde_json::from_str(listing).unwrap();
    rows.iter().any(|row| row[field] == name)
}

/// In the vhost of that name, which must be there as well.
fn has_permission(broker: &Broker, name: &str) -> bool {
    let listed = broker.ctl_output(&["list_permissions", "-p", name, "--format", "json"]);
    listed.status.success() && {
        let rows: Vec<Value> = serde_json::from_slice(&listed.stdout).unwrap();
        rows.iter().any(|row| row["user"] == name && row["configure"] == "^mine")
    }
}

async fn has_exchange(client: &Client, name: &str) -> bool {
    let channel = client.another_channel().await;
    let options = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
    let declared = channel.exchange_declare(name.into(), ExchangeKind::Direct, options, Default::default());
    within("exchange.declare-ok", declared).await.is_ok()
}
