// Topics: a topic exchange matches routing keys of several words against patterns.
//
// A word is what is between dots; * stands for exactly one word, # for any number of words, none included.

import assert from 'node:assert';
import amqp from 'amqplib';

const connection = await amqp.connect(process.env.AMQP_URL ?? 'amqp://localhost');
const channel = await connection.createConfirmChannel();
await channel.assertExchange('example.animals', 'topic', { durable: false });

const queues = new Map();
for (const pattern of ['*.brown.*', '*.*.rabbit', 'lazy.#']) {
  const { queue } = await channel.assertQueue('', { exclusive: true });
  await channel.bindQueue(queue, 'example.animals', pattern);
  queues.set(pattern, queue);
}

for (const key of ['quick.brown.rabbit', 'lazy.brown.hare', 'lazy.white.rabbit', 'lazy', 'quick.red.fox']) {
  channel.publish('example.animals', key, Buffer.alloc(0));
}
await channel.waitForConfirms();

for (const [pattern, queue] of queues) {
  const keys = [];
  for (let message; (message = await channel.get(queue, { noAck: true })); ) {
    keys.push(message.fields.routingKey);
  }
  console.log(`${pattern.padEnd(12)} matches ${keys.join(', ')}`);
  assert(keys.length > 0, pattern);
}

await channel.deleteExchange('example.animals');
await connection.close();
