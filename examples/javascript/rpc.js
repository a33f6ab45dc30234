// RPC by direct reply-to: a question goes through a queue, its answer comes straight back to who asked.
//
// The pseudo-queue amq.rabbitmq.reply-to needs no declaration. It is consumed without acknowledgement, on the channel that
// publishes the questions; the correlation id tells which answer belongs to which question.

import assert from 'node:assert';
import amqp from 'amqplib';

const URL = process.env.AMQP_URL ?? 'amqp://localhost';

// The server; in real life, a process of its own.
async function serve() {
  const connection = await amqp.connect(URL);
  const channel = await connection.createChannel();
  await channel.assertQueue('example.squares', { durable: false, autoDelete: true });
  await channel.consume('example.squares', (question) => {
    const answer = Buffer.from(String(Number(question.content) ** 2));
    const { replyTo, correlationId } = question.properties;
    channel.sendToQueue(replyTo, answer, { correlationId });
    channel.ack(question);
  });
  return connection;
}

const server = await serve();
const connection = await amqp.connect(URL);
const channel = await connection.createChannel();

const waiting = new Map();
const answered = (answer) => waiting.get(answer.properties.correlationId)(Number(answer.content));
await channel.consume('amq.rabbitmq.reply-to', answered, { noAck: true });

function square(number) {
  const correlationId = String(number);
  const properties = { replyTo: 'amq.rabbitmq.reply-to', correlationId };
  channel.sendToQueue('example.squares', Buffer.from(correlationId), properties);
  return new Promise((resolve) => waiting.set(correlationId, resolve));
}

const answers = await Promise.all([1, 2, 3].map(square));
answers.forEach((answer, index) => console.log(`the square of ${index + 1} is ${answer}`));
assert.deepEqual(answers, [1, 4, 9]);

await connection.close();
await server.close();
