// Publish/subscribe: a fanout exchange gives each subscriber its own copy of every message.
//
// Each subscriber has a queue of its own, named by the broker and deleted with the subscriber's connection.

import amqp from 'amqplib';

const connection = await amqp.connect(process.env.AMQP_URL ?? 'amqp://localhost');
const channel = await connection.createChannel();
await channel.assertExchange('example.news', 'fanout', { durable: false });

let received = 0;
let finish;
const allReceived = new Promise((resolve) => (finish = resolve));

for (const name of ['first reader', 'second reader']) {
  const { queue } = await channel.assertQueue('', { exclusive: true });
  await channel.bindQueue(queue, 'example.news', '');
  const read = (message) => {
    console.log(`${name}: ${message.content}`);
    if (++received === 4) finish();
  };
  await channel.consume(queue, read, { noAck: true });
}

for (const headline of ['Hares seen at dawn', 'Rain in the afternoon']) {
  channel.publish('example.news', '', Buffer.from(headline));
}
await allReceived;

await channel.deleteExchange('example.news');
await connection.close();
console.log('both readers have read both headlines');
