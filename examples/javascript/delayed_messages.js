// Delayed messages: an exchange holds each message back until its time, and then routes it as it would have before.
//
// The header x-delay says how many milliseconds from now, x-deliver-at says when. What waits is on disk when it is confirmed.
// Needs Leveret, or RabbitMQ's delayed-message plugin for x-delay.

import assert from 'node:assert';
import amqp from 'amqplib';

const connection = await amqp.connect(process.env.AMQP_URL ?? 'amqp://localhost');
const channel = await connection.createConfirmChannel();
const delayed = { durable: true, arguments: { 'x-delayed-type': 'direct' } };
await channel.assertExchange('example.later', 'x-delayed-message', delayed);
await channel.assertQueue('example.reminders', { durable: true });
await channel.bindQueue('example.reminders', 'example.later', 'reminders');

const begin = Date.now();
const reminders = {
  'in half a second': { 'x-delay': 500 },
  'in 200 ms': { 'x-delay': 200 },
  'at once': {},
  'at a time': { 'x-deliver-at': begin + 350 },
};
for (const [text, headers] of Object.entries(reminders)) {
  channel.publish('example.later', 'reminders', Buffer.from(text), { headers, persistent: true });
}
await channel.waitForConfirms();

const arrived = [];
let finish;
const allArrived = new Promise((resolve) => (finish = resolve));
const { consumerTag } = await channel.consume('example.reminders', (message) => {
  console.log(`after ${Date.now() - begin} ms: ${message.content}`);
  channel.ack(message);
  arrived.push(message.content.toString());
  if (arrived.length === 4) finish();
});
await allArrived;
await channel.cancel(consumerTag);

assert.deepEqual(arrived, ['at once', 'in 200 ms', 'at a time', 'in half a second']);
await channel.deleteQueue('example.reminders');
await channel.deleteExchange('example.later');
await connection.close();
