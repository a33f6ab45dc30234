"""Publisher confirms: the broker says when a message is safe, and what became of one that is not.

A confirm for a persistent message in a durable queue means that the message is on disk. A message that is published as
mandatory and reaches no queue comes back; one that a queue refuses (here: it is full) is answered with a nack.

pika's blocking connection waits for each confirm in turn. To have many on their way at once, use its asynchronous
connection, or look at the examples in JavaScript and Rust.
"""

import os

import pika
from pika.exceptions import NackError, UnroutableError

connection = pika.BlockingConnection(pika.URLParameters(os.environ.get("AMQP_URL", "amqp://localhost")))
channel = connection.channel()
channel.confirm_delivery()
limits = {"x-max-length": 3, "x-overflow": "reject-publish"}
channel.queue_declare("example.orders", durable=True, arguments=limits)

persistent = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent)
for number in range(3):
    channel.basic_publish("", "example.orders", f"order {number}".encode(), persistent, mandatory=True)
    print(f"order {number} is on disk")

try:
    channel.basic_publish("", "example.orders", b"order 3", persistent, mandatory=True)
    raise SystemExit("a full queue takes a message")
except NackError:
    print("order 3 is refused: the queue is full")

try:
    channel.basic_publish("", "example.nowhere", b"order 4", persistent, mandatory=True)
    raise SystemExit("a message without a queue is taken")
except UnroutableError:
    print("order 4 comes back: no queue has that name")

channel.queue_delete("example.orders")
connection.close()
