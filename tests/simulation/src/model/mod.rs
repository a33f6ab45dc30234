//! What a broker should do, written as plainly as possible: lists, looked through from the front.
//!
//! The model is told what was done and what was seen, and says whether that may be so. It knows nothing of chunks, pages,
//! commits or locks; what is durable it knows as a copy of itself, made whenever the committer takes its cut. After a
//! crash it is the copy that belongs to the last batch found on the disk: so it is exact about what comes back.

mod dead_letters;
mod held;
mod message;
mod queue;
mod seen;
mod topology;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use leveret_broker::queue::Position;

pub(crate) use message::{Content, Message, texts};
pub(crate) use queue::{Consumer, Queue, Settled, Work};
pub(crate) use seen::Seen;
pub(crate) use topology::{Topology, Way};

use crate::plan::{Name, Plan, PolicyPlan, QueuePlan};
use dead_letters::Source;
use queue::Act;

/// The broker's id of a queue.
pub(crate) type QueueId = u64;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    /// The time, in milliseconds since the Unix epoch.
    pub(crate) now_ms: u64,
    /// What there is.
    pub(crate) queues: BTreeMap<QueueId, Queue>,
    /// The policies in force, by name.
    pub(crate) policies: BTreeMap<Name, PolicyPlan>,
    /// See there.
    pub(crate) topology: Topology,
    /// Whether messages that die together come in the order in which they lay in the queue.
    pub(crate) keeps_order: bool,
    /// How many messages a queue looks past whose group is with somebody else.
    pub(crate) set_aside_max: u64,
    work: VecDeque<(Source, Work)>,
    commands: u64,
    seen: BTreeMap<QueueId, VecDeque<Seen>>,
    next_copy: u64,
    next_rank: u64,
    violation: Option<String>,
}

impl Model {
    /// A broker without queues.
    pub(crate) fn new(now_ms: u64, plan: &Plan) -> Self {
        let (keeps_order, set_aside_max) = (plan.features.keeps_order(), plan.sizing.set_aside_max);
        Self { now_ms, keeps_order, set_aside_max, ..Self::default() }
    }

    /// The queue of that name.
    pub(crate) fn queue_id(&self, name: &str) -> Option<QueueId> {
        self.queues.iter().find(|(_, queue)| *queue.plan.name == *name).map(|(id, _)| *id)
    }

    /// Deliveries were seen.
    pub(crate) fn see(&mut self, queue: QueueId, seen: impl IntoIterator<Item = Seen>) {
        self.seen.entry(queue).or_default().extend(seen);
    }

    /// Something was found that should not be.
    pub(crate) fn fail(&mut self, violation: impl Into<String>) {
        self.violation.get_or_insert(violation.into());
    }

    /// What should not have been.
    pub(crate) fn violation(&self) -> Option<&str> {
        self.violation.as_deref()
    }

    /// A queue is declared for the first time.
    pub(crate) fn declare(&mut self, id: QueueId, plan: &QueuePlan, owner: Option<u64>) {
        let queue = Queue {
            plan: plan.under(self.policy_for(&plan.name)),
            declared: plan.clone(),
            set_aside_max: self.set_aside_max,
            owner,
            messages: Vec::new(),
            consumers: Vec::new(),
            active: None,
            unused_since_ms: self.now_ms,
        };
        self.queues.insert(id, queue);
    }

    /// Brings a queue in line with the policies.
    pub(crate) fn govern(&mut self, id: QueueId) {
        let Some(queue) = self.queues.get(&id) else { return };
        let plan = queue.declared.under(self.policy_for(&queue.plan.name));
        if plan != queue.plan {
            self.act(id, |queue, act| {
                queue.plan = plan;
                queue.touch(act);
            });
        }
    }

    fn policy_for(&self, queue: &str) -> Option<&PolicyPlan> {
        let matching = self.policies.values().filter(|policy| policy.is_for(queue));
        // Of equals the first.
        matching.rev().max_by_key(|policy| policy.priority)
    }

    /// Does something with a queue, if it is still there.
    pub(crate) fn act<T>(&mut self, id: QueueId, act_on: impl FnOnce(&mut Queue, &mut Act<'_>) -> T) -> Option<T> {
        let queue = self.queues.get_mut(&id)?;
        let seen = self.seen.entry(id).or_default();
        let mut act = Act { now_ms: self.now_ms, seen, work: Vec::new(), violation: None };
        let result = act_on(queue, &mut act);
        let Act { work, violation, .. } = act;
        let plan = &queue.plan;
        let name = &plan.name;
        if let Some(violation) = violation {
            self.violation.get_or_insert(format!("queue {name}: {violation}"));
        }
        self.commands += 1;
        let source = Source { queue: id, plan: plan.clone(), command: self.commands };
        self.work.extend(work.into_iter().map(|work| (source.clone(), work)));
        Some(result)
    }

    /// A new copy of a message, behind all others.
    pub(crate) fn message(&mut self, content: Arc<Content>) -> Message {
        self.next_rank += 1;
        self.next_copy += 1;
        Message {
            copy: self.next_copy,
            content,
            rank: self.next_rank,
            place: None,
            is_ready: true,
            holder: None,
            was_delivered: false,
            may_seem_delivered: false,
            attempts: 0,
            returns: 0,
            waits_until_ms: None,
        }
    }

    /// Publishes to queues, each with its messages, in this order; the numbers of the messages that one refused.
    pub(crate) fn publish(&mut self, groups: Vec<(QueueId, Vec<Arc<Content>>)>, is_granted: bool) -> BTreeSet<u64> {
        let mut refused = BTreeSet::new();
        for (id, contents) in groups {
            let messages: Vec<_> = contents.into_iter().map(|content| self.message(content)).collect();
            let of_queue = self.act(id, |queue, act| queue.publish(messages, is_granted, act)).unwrap_or_default();
            refused.extend(of_queue.into_iter().map(|message| message.content.root));
        }
        refused
    }

    /// Settles messages of a queue.
    pub(crate) fn settle(&mut self, id: QueueId, consumer: Option<u64>, places: &[Position], how: Settled) {
        self.act(id, |queue, act| queue.settle(consumer, places, how, act));
    }

    /// Deletes a queue with its bindings.
    pub(crate) fn delete_queue(&mut self, id: QueueId) {
        if let Some(queue) = self.queues.remove(&id) {
            self.topology.unbind(|binding| binding.to_queue && binding.destination == queue.plan.name);
        }
    }

    /// Does the follow-up work at the end of a turn. `order` puts the queues that a dead letter goes to in order.
    pub(crate) fn end_turn(&mut self, order: impl Fn(&Content) -> Vec<QueueId>) {
        while let Some((source, work)) = self.work.pop_front() {
            match work {
                Work::Delete => self.delete_queue(source.queue),
                Work::DeadLetters(reason, messages) => {
                    let letters = self.with_those_of_command(&source, reason, messages);
                    self.move_dead(&source.plan, letters, &order);
                }
            }
        }
        let unexplained = self.seen.iter().find_map(|(id, seen)| Some((*id, seen.front()?.clone())));
        if let Some((id, seen)) = unexplained {
            let state = self.queues.get(&id).map(|queue| (&queue.consumers, &queue.messages));
            let text = format!("{seen:?} of queue {id} could not be delivered: {state:?}, of {:?}", self.seen.get(&id));
            self.fail(text);
        }
    }

    /// What survives a restart, as it is now.
    #[must_use]
    pub(crate) fn durable(&self) -> Self {
        let kept = self.queues.iter().filter(|(_, queue)| queue.is_kept());
        let after_restart = |queue: &Queue| Queue {
            messages: queue
                .messages
                .iter()
                .filter(|message| queue.plan.keeps(message.content.persistent))
                .map(|message| message.at_rest(queue.plan.group_key.is_some()))
                .collect(),
            consumers: Vec::new(),
            active: None,
            ..queue.clone()
        };
        Self {
            queues: kept.map(|(id, queue)| (*id, after_restart(queue))).collect(),
            topology: self.topology.durable(|name| self.queues[&self.queue_id(name).unwrap_or(0)].is_kept()),
            work: VecDeque::new(),
            seen: BTreeMap::new(),
            ..self.clone()
        }
    }

    /// Takes the place of `crashed`: what was durable is there again. Numbers go on from where they were.
    #[must_use]
    pub(crate) fn recovered(&self, crashed: &Self) -> Self {
        Self {
            now_ms: crashed.now_ms,
            next_copy: crashed.next_copy,
            next_rank: crashed.next_rank,
            violation: crashed.violation.clone(),
            ..self.clone()
        }
    }

    /// The first of these messages that would be lost in a crash which leaves what is in `durable`: a copy is in a
    /// queue or held back by an exchange, and neither it nor one that it was made from would be found again.
    #[must_use]
    pub(crate) fn endangered(&self, roots: &BTreeSet<u64>, durable: &Self) -> Option<&Content> {
        let found: BTreeSet<u64> = durable.copies().map(|(copy, _)| copy).collect();
        let is_found = |copy: u64, content: &Content| {
            found.contains(&copy) || content.ancestors.iter().any(|ancestor| found.contains(ancestor))
        };
        let mut promised = self.copies().filter(|(_, content)| content.is_promised && roots.contains(&content.root));
        promised.find_map(|(copy, content)| (!is_found(copy, content)).then_some(content))
    }

    /// All that a restart must not lose: each copy with its number.
    fn copies(&self) -> impl Iterator<Item = (u64, &Content)> {
        let of_queue = |queue: &Queue, message: &Message| queue.plan.keeps(message.content.persistent);
        let in_queues = self.queues.values().flat_map(move |queue| {
            let kept = queue.messages.iter().filter(move |message| of_queue(queue, message));
            kept.map(|message| (message.copy, &*message.content))
        });
        in_queues.chain(self.topology.all_kept().map(|held| (held.copy, &*held.content)))
    }
}

impl Message {
    /// As it is found after a restart. Where others go by, those that were delivered are not those that came first, and it
    /// is not known of each.
    fn at_rest(&self, is_grouped: bool) -> Self {
        Self { is_ready: self.waits_until_ms.is_none(), may_seem_delivered: is_grouped, ..self.clone() }
    }
}

/// Names for messages.
impl Model {
    /// Where a message goes that a client publishes, or that goes on from the exchange which held it back; `None` where its
    /// exchange does not exist.
    #[must_use]
    pub(crate) fn route(&self, content: &Content, released_by: Option<&str>) -> Option<Way<BTreeSet<QueueId>>> {
        let Way { queues, held } = self.topology.route(content, released_by)?;
        Some(Way { queues: queues.iter().filter_map(|name| self.queue_id(name)).collect(), held })
    }
}
