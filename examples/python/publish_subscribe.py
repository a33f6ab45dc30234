"""Publish/subscribe: a fanout exchange gives each subscriber its own copy of every message.

Each subscriber has a queue of its own, named by the broker and deleted with the subscriber's connection.
"""

import os

import pika

connection = pika.BlockingConnection(pika.URLParameters(os.environ.get("AMQP_URL", "amqp://localhost")))
channel = connection.channel()
channel.exchange_declare("example.news", "fanout")

received = []
for name in ("first reader", "second reader"):
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queue, "example.news")

    def read(_channel, _method, _properties, body, name=name):
        print(f"{name}: {body.decode()}")
        received.append((name, body))

    channel.basic_consume(queue, read, auto_ack=True)

for headline in (b"Hares seen at dawn", b"Rain in the afternoon"):
    channel.basic_publish("example.news", "", headline)
while len(received) < 4:
    connection.process_data_events(time_limit=1)

channel.exchange_delete("example.news")
connection.close()
print("both readers have read both headlines")
