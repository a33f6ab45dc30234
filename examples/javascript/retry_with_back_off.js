// Retry with back-off: a job that fails comes back later each time, and is put aside after four attempts.
//
// The broker does all of it: the job waits in its place in the queue, on disk, and takes nothing of the worker's prefetch.
// The header x-delivery-count says how often it failed. Needs Leveret.

import assert from 'node:assert';
import amqp from 'amqplib';

const connection = await amqp.connect(process.env.AMQP_URL ?? 'amqp://localhost');
const channel = await connection.createConfirmChannel();
await channel.assertQueue('example.mails.failed', { durable: true });
await channel.assertQueue('example.mails', {
  durable: true,
  deadLetterExchange: '',
  deadLetterRoutingKey: 'example.mails.failed',
  arguments: {
    'x-delayed-retry-type': 'failed', // what is rejected with requeue, or was with a worker that died
    'x-delayed-retry-min': 100, // ms
    'x-delayed-retry-mode': 'exponential', // then 200, 400 ...
    'x-delivery-limit': 3,
  },
});
channel.sendToQueue('example.mails', Buffer.from('mail'), { persistent: true });
await channel.waitForConfirms();

const begin = Date.now();
const failed = [];
const mails = await channel.consume('example.mails', (message) => {
  const count = message.properties.headers['x-delivery-count'] ?? 0;
  console.log(`after ${Date.now() - begin} ms: attempt ${count + 1} fails`);
  failed.push(count);
  channel.reject(message, true);
});
let find;
const found = new Promise((resolve) => (find = resolve));
const asides = await channel.consume('example.mails.failed', find, { noAck: true });
console.log(`put aside: ${(await found).content}`);
await channel.cancel(mails.consumerTag);
await channel.cancel(asides.consumerTag);

assert.deepEqual(failed, [0, 1, 2, 3]);
for (const queue of ['example.mails', 'example.mails.failed']) {
  await channel.deleteQueue(queue);
}
await connection.close();
