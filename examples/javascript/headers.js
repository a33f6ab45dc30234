// Headers: a headers exchange looks at a message's headers in place of its routing key.
//
// x-match says whether all of a binding's headers must be there or any one of them is enough.

import assert from 'node:assert';
import amqp from 'amqplib';

const connection = await amqp.connect(process.env.AMQP_URL ?? 'amqp://localhost');
const channel = await connection.createConfirmChannel();
await channel.assertExchange('example.documents', 'headers', { durable: false });

const bindings = {
  'invoices as PDF': { 'x-match': 'all', kind: 'invoice', format: 'pdf' },
  'invoices, and all that is urgent': { 'x-match': 'any', kind: 'invoice', urgent: true },
};
const queues = {};
for (const [name, headers] of Object.entries(bindings)) {
  const { queue } = await channel.assertQueue('', { exclusive: true });
  await channel.bindQueue(queue, 'example.documents', '', headers);
  queues[name] = queue;
}

const documents = {
  'invoice.pdf': { kind: 'invoice', format: 'pdf' },
  'invoice.html': { kind: 'invoice', format: 'html' },
  'letter.pdf': { kind: 'letter', format: 'pdf', urgent: true },
  'note.txt': { kind: 'note', format: 'text' },
};
for (const [name, headers] of Object.entries(documents)) {
  channel.publish('example.documents', '', Buffer.from(name), { headers });
}
await channel.waitForConfirms();

const received = {};
for (const [name, queue] of Object.entries(queues)) {
  received[name] = [];
  for (let message; (message = await channel.get(queue, { noAck: true })); ) {
    received[name].push(message.content.toString());
  }
  console.log(`${name}: ${received[name].join(', ')}`);
}
assert.deepEqual(received['invoices as PDF'], ['invoice.pdf']);
assert.deepEqual(received['invoices, and all that is urgent'], ['invoice.pdf', 'invoice.html', 'letter.pdf']);

await channel.deleteExchange('example.documents');
await connection.close();
