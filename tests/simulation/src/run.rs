//! A run: the steps of a script, one after the other, and at the end the question whether everything is still there.

use std::{
    hash::Hasher,
    panic::{AssertUnwindSafe, catch_unwind},
};

use leveret_broker::Sleeper;

use crate::{
    model::{Queue, Settled},
    plan::{HELD_MS_MAX, Plan, QueuePlan, RETRY_DELAY_MS_MAX},
    script::{How, Step, Stop, script},
    world::{CONNECTIONS, World},
};

/// Steps between two comparisons of exchanges and bindings.
const STEPS_PER_TOPOLOGY_CHECK: usize = 50;

/// After a pause of this length, an exchange that may not send much on at a time does it again.
const RELEASE_PAUSE_MS: u64 = 5;

/// As many pauses as it takes to send on all that a script can publish.
const RELEASES_MAX: usize = 10_000;

/// What went wrong.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Steps done before.
    pub steps: usize,
    /// What should not have been.
    pub violation: String,
}

/// A run without a violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// How many steps there were.
    pub steps: usize,
    /// Says of two runs whether they were the same, by everything that was delivered.
    pub trace: u64,
}

/// Runs the script of a seed.
///
/// # Errors
/// The first violation.
pub fn run_seed(seed: u64, length: usize) -> Result<Run, Failure> {
    let (plan, mut rng) = Plan::new(seed);
    run(&plan, &script(&plan, &mut rng, length))
}

/// Runs a script.
///
/// # Errors
/// The first violation; a panic is one too.
pub fn run(plan: &Plan, script: &[Step]) -> Result<Run, Failure> {
    let mut steps = 0;
    let outcome = catch_unwind(AssertUnwindSafe(|| run_steps(plan, script, &mut steps)));
    let violation = match outcome {
        Ok(Ok(trace)) => return Ok(Run { steps, trace }),
        Ok(Err(violation)) => violation,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            format!("panic: {}", text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a text"))
        }
    };
    Err(Failure { steps, violation })
}

fn run_steps(plan: &Plan, script: &[Step], steps: &mut usize) -> Result<u64, String> {
    let mut world = World::new(plan)?;
    for step in script {
        world.step(step)?;
        world.check_told()?;
        world.check()?;
        *steps += 1;
        if steps.is_multiple_of(STEPS_PER_TOPOLOGY_CHECK) {
            world.check_topology()?;
        }
    }
    world.end()?;
    Ok(world.trace.finish())
}

impl World<'_> {
    fn step(&mut self, step: &Step) -> Result<(), String> {
        let channels = self.real.channels.len();
        let channel = |channel: &usize| channel % channels;
        match step {
            Step::DeclareQueue { channel: of, queue } => self.declare_queue(channel(of), *queue),
            Step::DeleteQueue { channel: of, queue, if_unused, if_empty } => {
                self.delete_queue(channel(of), *queue, *if_unused, *if_empty);
            }
            Step::Purge { channel: of, queue } => self.purge(channel(of), *queue),
            Step::DeclareExchange { exchange } => self.declare_exchange(*exchange),
            Step::DeleteExchange { exchange, if_unused } => self.delete_exchange(*exchange, *if_unused),
            Step::Bind { channel: of, binding } => self.bind(channel(of), *binding),
            Step::Unbind { channel: of, binding } => self.unbind(channel(of), *binding),
            Step::SetPolicy { policy } => self.set_policy(*policy),
            Step::ClearPolicy { policy } => self.clear_policy(*policy),
            Step::Publish { channel: of, messages } => self.publish(channel(of), messages),
            Step::Consume { channel: of, queue, no_ack, exclusive, priority, prefetch } => {
                self.consume(channel(of), *queue, (*no_ack, *exclusive), *priority, *prefetch);
            }
            Step::Cancel { channel: of, consumer } => self.cancel(channel(of), *consumer),
            Step::Get { channel: of, queue, no_ack } => self.get(channel(of), *queue, *no_ack),
            Step::Settle { channel: of, delivery, multiple, how } => {
                self.settle(channel(of), *delivery, *multiple, settled(*how));
            }
            Step::Recover { channel: of } => self.recover(channel(of)),
            Step::Window { channel: of, limit } => self.resize_window(channel(of), *limit),
            Step::Commit { channel: of } => self.commit(channel(of)),
            Step::Rollback { channel: of } => self.real.channels[channel(of)].roll_back(),
            Step::CloseChannel { channel: of } => self.close_channel(channel(of)),
            Step::CloseConnection { connection } => self.close_connection(connection % CONNECTIONS),
            Step::Mail { connection, count } => self.read_mail(*connection, *count),
            Step::Wait { ms } => self.wait(*ms),
            Step::Tick => _ = self.tick(),
            Step::Committer { steps } => return (0..*steps).try_for_each(|_| self.commit_step()),
            Step::FailWrite => self.real.broker.store().fail_next_write(),
            Step::Restart { how, kept, down_ms } => return self.restart(*how, *kept, *down_ms),
        }
        Ok(())
    }

    fn wait(&mut self, ms: u64) {
        self.now_ms += ms;
        self.model.now_ms = self.now_ms;
        self.real.steps.advance(ms * 1000);
    }

    /// Wakes the next queue or exchange that is due; whether there was one.
    fn tick(&mut self) -> bool {
        self.commits.turn += 1;
        match self.real.broker.tick_next(self.now_ms) {
            None => return false,
            Some(Sleeper::Queue(queue)) => {
                self.observe();
                self.model.act(queue.id, Queue::tick);
            }
            Some(Sleeper::Timeline(timeline)) => self.release(&timeline),
        }
        self.end_turn();
        true
    }

    /// Wakes all that are due, until everything that exchanges hold back and that is due has gone on.
    fn tick_all(&mut self) -> Result<(), String> {
        for _ in 0..RELEASES_MAX {
            while self.tick() {
                self.check()?;
            }
            if !self.model.holds_what_is_due() {
                return Ok(());
            }
            self.wait(RELEASE_PAUSE_MS);
        }
        Err("messages are due, and the exchange that holds them back does not send them on".to_owned())
    }

    /// Brings everything to an end: what was promised is kept, and what is left can be had.
    fn end(&mut self) -> Result<(), String> {
        if self.real.broker.store().poisoned().is_some() {
            self.restart(Stop::Kill, 0, 0)?;
        }
        self.quiesce()?;
        if self.plan.features.restarts {
            self.restart(Stop::Power, 1, 0)?;
            self.check()?;
            self.check_topology()?;
            self.quiesce()?;
        }
        if self.plan.features.delays {
            self.wait(HELD_MS_MAX);
            self.quiesce()?;
        }
        if self.plan.features.groups {
            // Nobody has anything that keeps the rest of its group.
            (0..CONNECTIONS).for_each(|connection| self.close_connection(connection));
            self.quiesce()?;
        }
        if self.plan.features.retries {
            self.wait(RETRY_DELAY_MS_MAX);
            self.quiesce()?;
        }
        for queue in 0..self.plan.queues.len() {
            self.drain(queue)?;
        }
        self.restart(Stop::Orderly, 0, 0)?;
        self.check_topology()
    }

    /// Everything that is under way arrives.
    fn quiesce(&mut self) -> Result<(), String> {
        self.tick_all()?;
        for connection in 0..CONNECTIONS {
            self.read_mail(connection, usize::MAX);
        }
        self.check()?;
        self.commit_all()
    }

    /// Takes everything out of a queue, if it is one that anybody may get from.
    fn drain(&mut self, queue: usize) -> Result<(), String> {
        let QueuePlan { name, exclusive, quorum, single_active, .. } = &self.plan.queues[queue];
        if *exclusive || *quorum && *single_active {
            return Ok(());
        }
        while self.model.queue_id(name).is_some_and(|id| self.model.queues[&id].ready().0 > 0) {
            self.get(0, queue, true);
            self.check()?;
        }
        Ok(())
    }
}

fn settled(how: How) -> Settled {
    match how {
        How::Ack => Settled::Acked,
        How::Requeue => Settled::Requeued,
        How::RequeueCounted => Settled::RequeuedCounted,
        How::Reject => Settled::Rejected,
    }
}
