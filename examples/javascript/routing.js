// Routing: a direct exchange sends a message to the queues that are bound with the message's routing key.
//
// Here one queue keeps errors only, and another one takes every severity.

import assert from 'node:assert';
import amqp from 'amqplib';

const connection = await amqp.connect(process.env.AMQP_URL ?? 'amqp://localhost');
const channel = await connection.createConfirmChannel();
await channel.assertExchange('example.logs', 'direct', { durable: false });

const { queue: errors } = await channel.assertQueue('', { exclusive: true });
await channel.bindQueue(errors, 'example.logs', 'error');
const { queue: everything } = await channel.assertQueue('', { exclusive: true });
for (const severity of ['info', 'warning', 'error']) {
  await channel.bindQueue(everything, 'example.logs', severity);
}

for (const severity of ['info', 'warning', 'error', 'info']) {
  channel.publish('example.logs', severity, Buffer.from(`a line of severity ${severity}`));
}
await channel.waitForConfirms();

for (const [name, queue, expected] of [['errors', errors, 1], ['everything', everything, 4]]) {
  for (let count = 0; count < expected; count++) {
    const message = await channel.get(queue, { noAck: true });
    console.log(`${name}: [${message.fields.routingKey}] ${message.content}`);
  }
  assert.equal(await channel.get(queue), false);
}

await channel.deleteExchange('example.logs');
await connection.close();
