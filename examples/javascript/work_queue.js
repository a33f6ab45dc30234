// Work queue: tasks are shared out among workers, and a task is done when its worker says so.
//
// The queue is durable and the messages persistent: both survive a restart of the broker. With a prefetch of 1 a worker
// gets its next task when it has acknowledged the last one, so a slow worker does not hold tasks back.

import amqp from 'amqplib';

const connection = await amqp.connect(process.env.AMQP_URL ?? 'amqp://localhost');
const channel = await connection.createConfirmChannel();
await channel.assertQueue('example.tasks', { durable: true });

for (let number = 0; number < 6; number++) {
  channel.sendToQueue('example.tasks', Buffer.from(`task ${number}`), { persistent: true });
}
await channel.waitForConfirms(); // the broker has them on disk
console.log('published 6 tasks');

let done = 0;
let finish;
const allDone = new Promise((resolve) => (finish = resolve));

// A worker on a channel of its own; in real life, a process of its own.
async function startWorker(name) {
  const worker = await connection.createChannel();
  await worker.prefetch(1);
  await worker.consume('example.tasks', (message) => {
    if (message === null) return; // the queue was deleted
    console.log(`${name}: ${message.content}`);
    worker.ack(message);
    if (++done === 6) finish();
  });
}

await startWorker('worker 1');
await startWorker('worker 2');
await allDone;

await channel.deleteQueue('example.tasks');
await connection.close();
console.log('all tasks are done');
