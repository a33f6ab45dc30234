// Publisher confirms: the broker says when a message is safe, and what became of one that is not.
//
// A confirm for a persistent message in a durable queue means that the message is on disk. A message that is published as
// mandatory and reaches no queue comes back; one that a queue refuses (here: it is full) is answered with a nack.

import assert from 'node:assert';
import amqp from 'amqplib';

const connection = await amqp.connect(process.env.AMQP_URL ?? 'amqp://localhost');
const channel = await connection.createConfirmChannel();
const limits = { maxLength: 3, arguments: { 'x-overflow': 'reject-publish' } };
await channel.assertQueue('example.orders', { durable: true, ...limits });

// One promise for each message: many can be on their way at once.
function publish(queue, text) {
  return new Promise((resolve) => {
    const properties = { persistent: true, mandatory: true };
    channel.sendToQueue(queue, Buffer.from(text), properties, (error) => resolve(error ? 'refused' : 'confirmed'));
  });
}

const outcomes = await Promise.all([0, 1, 2, 3].map((number) => publish('example.orders', `order ${number}`)));
outcomes.forEach((outcome, number) => console.log(`order ${number} is ${outcome}`));
assert.deepEqual(outcomes, ['confirmed', 'confirmed', 'confirmed', 'refused']);

// The return comes before the confirm, which then says only that the broker has dealt with the message.
let returned = 0;
channel.on('return', (message) => {
  console.log(`${message.content} comes back: ${message.fields.replyText}`);
  returned++;
});
await publish('example.nowhere', 'order 4');
assert.equal(returned, 1);

await channel.deleteQueue('example.orders');
await connection.close();
