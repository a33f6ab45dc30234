// Dead-lettering and retry: a failed job waits a little and is tried again, and is put aside after three attempts.
//
//     example.jobs --rejected--> example.jobs.retry --expired after 200 ms--> example.jobs
//                  --third attempt failed--> example.jobs.failed
//
// The header x-death counts how often a message died where; no state is kept by the worker.

import assert from 'node:assert';
import amqp from 'amqplib';

const ATTEMPTS = 3;

const connection = await amqp.connect(process.env.AMQP_URL ?? 'amqp://localhost');
const channel = await connection.createConfirmChannel();
const deadLettersTo = (queue) => ({ deadLetterExchange: '', deadLetterRoutingKey: queue });
await channel.assertQueue('example.jobs', { durable: true, ...deadLettersTo('example.jobs.retry') });
await channel.assertQueue('example.jobs.retry', { durable: true, messageTtl: 200, ...deadLettersTo('example.jobs') });
await channel.assertQueue('example.jobs.failed', { durable: true });

for (const job of ['good', 'bad']) {
  channel.sendToQueue('example.jobs', Buffer.from(job), { persistent: true });
}
await channel.waitForConfirms();

// How often this message was rejected from example.jobs.
function failures(message) {
  const deaths = message.properties.headers?.['x-death'] ?? [];
  const ours = deaths.filter((death) => death.queue === 'example.jobs' && death.reason === 'rejected');
  return ours.reduce((sum, death) => sum + Number(death.count), 0);
}

let settled = 0;
let finish;
const allSettled = new Promise((resolve) => (finish = resolve));

function settle(message) {
  channel.ack(message);
  if (++settled === 2) finish();
}

const { consumerTag } = await channel.consume('example.jobs', (message) => {
  const job = message.content.toString();
  const attempt = failures(message) + 1;
  if (job === 'good') {
    console.log(`${job}: attempt ${attempt} succeeds`);
    settle(message);
  } else if (attempt < ATTEMPTS) {
    console.log(`${job}: attempt ${attempt} fails, again later`);
    channel.reject(message, false);
  } else {
    console.log(`${job}: attempt ${attempt} fails, put aside`);
    // Acknowledged once the copy is safe: at worst there are two, never none.
    channel.sendToQueue('example.jobs.failed', message.content, { persistent: true }, () => settle(message));
  }
});
await allSettled;
await channel.cancel(consumerTag);

const failed = await channel.get('example.jobs.failed', { noAck: true });
assert.equal(failed.content.toString(), 'bad');
for (const queue of ['example.jobs', 'example.jobs.retry', 'example.jobs.failed']) {
  await channel.deleteQueue(queue);
}
await connection.close();
