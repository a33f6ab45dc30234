// Message groups: workers share a queue, and yet what belongs together is done in order, one after the other.
//
// All messages with the same group are with one worker at a time; groups go to different workers beside each other. Needs
// Leveret.

import assert from 'node:assert';
import { setTimeout as pause } from 'node:timers/promises';
import amqp from 'amqplib';

const CUSTOMERS = ['ann', 'bob', 'cem'];
const STEPS = ['ordered', 'paid', 'sent'];

const connection = await amqp.connect(process.env.AMQP_URL ?? 'amqp://localhost');
const channel = await connection.createConfirmChannel();
const grouped = { durable: true, arguments: { 'x-message-group-header': 'x-group-id' } };
await channel.assertQueue('example.orders', grouped);
for (const step of STEPS) {
  for (const customer of CUSTOMERS) {
    const properties = { headers: { 'x-group-id': customer }, persistent: true };
    channel.sendToQueue('example.orders', Buffer.from(step), properties);
  }
}
await channel.waitForConfirms();

const done = Object.fromEntries(CUSTOMERS.map((customer) => [customer, []]));
const held = new Set();
let left = CUSTOMERS.length * STEPS.length;
let finish;
const allDone = new Promise((resolve) => (finish = resolve));

// A worker on a channel of its own; in real life, a process of its own.
async function startWorker(name) {
  const worker = await connection.createChannel();
  await worker.prefetch(1);
  const { consumerTag } = await worker.consume('example.orders', async (message) => {
    const customer = message.properties.headers['x-group-id'];
    assert(!held.has(customer), "one worker at a time has a customer's messages");
    held.add(customer);
    await pause(20);
    console.log(`${name}: ${customer} ${message.content}`);
    done[customer].push(message.content.toString());
    held.delete(customer);
    worker.ack(message);
    if (--left === 0) finish();
  });
  return () => worker.cancel(consumerTag);
}

const stops = await Promise.all(['worker 1', 'worker 2'].map(startWorker));
await allDone;
await Promise.all(stops.map((stop) => stop()));

for (const customer of CUSTOMERS) assert.deepEqual(done[customer], STEPS);
await channel.deleteQueue('example.orders');
await connection.close();
